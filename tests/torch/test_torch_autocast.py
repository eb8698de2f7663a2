"""Autocast: operator by operator the types and values that eager gives, inside the compiled function and around it."""

from __future__ import annotations

import contextlib

import pytest
import torch
import torch.nn.functional as F
from quern.inductor.ops import OPS
from torch_checks import compare, compiled, randn

import quern
from quern.testing import CompileCounter

pytestmark = pytest.mark.sampled(3)

X, M, V = randn(3, 4), randn(4, 4, seed=1), randn(4, seed=2)
B, IMAGE, VOLUME = randn(2, 3, 4, seed=3), randn(1, 2, 6, 6, seed=4), randn(1, 2, 4, 4, 4, seed=5)
POSITIONS = torch.tensor([0, 2, 1])

#: functions of (x, m): x is 3x4, m is 4x4, each given in several types
OPERATORS = {
    "matmul": lambda x, m: x @ m,
    "mv": lambda x, m: torch.mv(m, x[0]),
    "dot": lambda x, m: torch.dot(x[0], x[1]),
    "addmm": lambda x, m: torch.addmm(x, x, m),
    "einsum": lambda x, m: torch.einsum("ij,jk->ki", x, m),
    "einsum_elementwise": lambda x, m: torch.einsum("ij,ij->ij", x, x),
    "einsum_permutation": lambda x, m: torch.einsum("ij->ji", x),
    "tensordot": lambda x, m: torch.tensordot(x, m, 1),
    "multi_dot": lambda x, m: torch.linalg.multi_dot([x, m, m]),
    "linear": lambda x, m: F.linear(x, m, m[0]),
    "bilinear": lambda x, m: F.bilinear(x, x, m[None]),
    "outer": lambda x, m: torch.outer(x[0], m[0]),
    "conv1d": lambda x, m: F.conv1d(x[None], m[None, :3, :2]),
    "conv_transpose2d": lambda x, m: F.conv_transpose2d(x[None, None], m[None, None, :2, :2]),
    "attention": lambda x, m: F.scaled_dot_product_attention(x[None], m[None], m[None]),
    "softmax": lambda x, m: F.softmax(x, -1) + x.log_softmax(-1),
    "norms": lambda x, m: (F.layer_norm(x, (4,)), x.norm(), torch.linalg.vector_norm(x, dim=1), F.normalize(x)),
    "losses": lambda x, m: (
        F.mse_loss(x, x * 2),
        F.l1_loss(x, x * 2),
        F.smooth_l1_loss(x, x * 2),
        F.huber_loss(x, x * 2),
    ),
    "probabilities": lambda x, m: (
        F.cross_entropy(x, POSITIONS),
        F.nll_loss(x, POSITIONS),
        F.kl_div(x, x.exp()),
        F.binary_cross_entropy_with_logits(x, x.sigmoid()),
        F.binary_cross_entropy(x.sigmoid(), x.sigmoid()),
    ),
    "sums": lambda x, m: (
        x.sum(),
        x.mean(0),
        x.prod(),
        x.prod(1),
        x.cumsum(0),
        torch.trace(x),
        x.var(),
        x.logsumexp(1),
    ),
    "joins": lambda x, m: (torch.cat([x, m]), torch.stack([x[0], m[0]]), torch.hstack([x, x]), torch.vstack([x, m])),
    "pointwise": lambda x, m: (x.exp(), x.abs().log(), x.pow(2), x / 3, F.gelu(x), F.silu(x), x.tanh(), x.rsqrt()),
    "prelu": lambda x, m: F.prelu(x, m[0, :1]),
    "pads": lambda x, m: (F.pad(x[None], (1, 1), "reflect"), F.pad(x[None], (1, 1), "replicate"), F.pad(x, (1, 1))),
    "pools": lambda x, m: (F.avg_pool1d(x[None], 2), F.max_pool1d(x[None], 2), F.adaptive_avg_pool1d(x[None], 2)),
    "distances": lambda x, m: (torch.cdist(x, m), F.cosine_similarity(x, x), F.pairwise_distance(x, x + 1)),
    "inverse": lambda x, m: torch.linalg.inv(m.float() + 4 * torch.eye(4)),
    "index_copy": lambda x, m: m.index_copy(0, POSITIONS, x),
    "scatter": lambda x, m: (x.index_select(0, POSITIONS), torch.zeros(4, 4).index_add(0, POSITIONS, x.float())),
    "where": lambda x, m: torch.where(x > 0, x, x * 2),
    "lerp": lambda x, m: (x.lerp(x * 2, 0.5), torch.addcmul(x, x, x)),
    "in_place": lambda x, m: (x.clone().add_(1), m.clone().addmm_(m, m), x.clone().relu_()),
    "quantile": lambda x, m: torch.quantile(x, 0.5),
    "grid": lambda x, m: F.grid_sample(x[None, None], m[None, :2, :2].reshape(1, 1, 2, 2)),
    "embedding": lambda x, m: F.embedding(POSITIONS, m),
    "chain": lambda x, m: torch.chain_matmul(x, m, m) if hasattr(torch, "chain_matmul") else x @ m @ m,
    "baddbmm": lambda x, m: torch.baddbmm(x[None], x[None], m[None]),
    "bmm": lambda x, m: torch.bmm(x[None], m[None]),
    "interpolate": lambda x, m: F.interpolate(x[None], scale_factor=2),
}


def same_or_raises(fn, *args):
    try:
        return fn(*args)
    except (RuntimeError, NotImplementedError) as error:
        return type(error)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("dtypes", ["float32 float32", "bfloat16 float32", "bfloat16 bfloat16", "float64 float64"])
@pytest.mark.filterwarnings("ignore")
def test_operators(name, dtypes, backend):
    op = OPERATORS[name]
    x, m = (t.to(getattr(torch, d)) for t, d in zip((X, M), dtypes.split()))

    def inside(x, m):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return op(x, m)

    function = quern.compile(inside, backend=backend)
    with torch.no_grad():
        compare(same_or_raises(inside, x, m), same_or_raises(function, x, m), 1e-2 if backend == "inductor" else 1e-6)


def test_around_the_call():
    counter = CompileCounter()

    def fn(x, m):
        y = x @ m
        with torch.autocast("cpu", enabled=False):
            return y, x @ m, torch.is_autocast_enabled("cpu")

    function = compiled(fn, backend=counter)
    for enabled, dtype in ((True, torch.bfloat16), (False, None), (True, torch.float16), (True, torch.bfloat16)):
        with torch.no_grad(), torch.autocast("cpu", dtype=dtype, enabled=enabled):
            compare(fn(X, M), function(X, M))
            assert torch.is_autocast_enabled("cpu") is enabled
    assert counter.frame_count == 3


@pytest.mark.parametrize("where", ["inside", "around"])
def test_weights_are_cast_once(where):
    """Gradients of a weight that is used twice add up in the lower type."""

    def both(x, m):
        return ((x @ m) @ m).float().sum() + (x @ m).float().pow(2).sum()

    def inside(x, m):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return both(x, m)

    grads = []
    for call in (inside if where == "inside" else both, None):
        m = M.clone().requires_grad_()
        fn = call or compiled(inside if where == "inside" else both)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=where == "around"):
            out = fn(X, m)
        out.backward()
        grads.append(m.grad)
    assert torch.equal(*grads)


def breaks(x):
    quern.graph_break()
    return x


def fails(x):
    return torch.tensordot(x, x.float(), 1)


@pytest.mark.parametrize("enabled", [True, False], ids=["", "off inside"])
@pytest.mark.parametrize("within", [breaks, fails])
def test_contexts_are_left(within, enabled):
    """Also behind a graph break: what is left too often or not at all keeps casts of weights that have changed since."""

    def fn(x, m):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
                return within(x @ m) @ m

    def results(function):
        found = []
        m = M.clone().requires_grad_()
        for _ in range(3):
            with contextlib.suppress(RuntimeError):
                found.append(function(X, m))
            found.append(torch.autocast_increment_nesting())
            torch.autocast_decrement_nesting()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                found.append(X @ m)
            with torch.no_grad():
                m.mul_(2)
        return found

    compare(results(fn), results(compiled(fn, fullgraph=False)))


def test_left_switched_on():
    def fn(x, m):
        torch.set_autocast_enabled("cpu", True)
        return x @ m

    function = compiled(fn)
    try:
        with torch.no_grad():
            assert function(X, M).dtype is torch.bfloat16
        assert torch.is_autocast_enabled("cpu")
    finally:
        torch.set_autocast_enabled("cpu", False)
        torch.clear_autocast_cache()


def test_rows_say_what_torch_registers():
    """But for functions whose row has another name, or settles it by its attributes."""
    listed = {
        name.removeprefix("aten::").partition(".")[0]
        for name in torch._C._dispatch_get_registrations_for_dispatch_key("AutocastCPU")
    }
    other_names = {"convolution", "conv_transpose", "cross_entropy", "max_pool3d_with_indices", "pad"}
    assert {name for name, row in OPS.items() if row.autocast} - other_names == listed & set(OPS)
