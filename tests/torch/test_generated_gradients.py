"""Gradients that generated code computes: eager's values, and autograd as its users know it around them."""

# mypy: ignore-errors

from __future__ import annotations

import contextlib
import math
import warnings
import weakref

import pytest
import torch
import torch.nn.functional as F
from quern.capture.entry import execution
from quern.capture.frontends.torch.eager_ops import EAGER
from quern.inductor import training
from torch import nn
from torch.utils.checkpoint import checkpoint

import quern
from quern.errors import LoweringError

pytestmark = pytest.mark.sampled(3)


@pytest.fixture
def made(monkeypatch):
    """Who differentiates what was compiled, in order."""
    seen = []

    def compile_for_gradients(*args, **kwargs):
        executable = training.compile_for_gradients(*args, **kwargs)
        seen.append(executable.gradients)
        return executable

    monkeypatch.setattr(execution, "compile_for_gradients", compile_for_gradients)
    return seen


def leaf(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def weighted(result):
    """A number that depends on each element in its own way."""
    outs = result if isinstance(result, (tuple, list)) else [result]
    return sum((o * torch.arange(1.0, o.numel() + 1, dtype=o.dtype).reshape(o.shape).cos()).sum() for o in outs)


def agree(f, *inputs, **kwargs):
    """Results and gradients of both; returns the compiled function."""
    compiled = quern.compile(f, **kwargs)
    found = []
    for call in (f, compiled):
        given = [
            x.detach().clone().requires_grad_(x.requires_grad) if isinstance(x, torch.Tensor) else x for x in inputs
        ]
        torch.manual_seed(0)
        result = call(*given)
        weighted(result).backward()
        outs = [o.detach() for o in (result if isinstance(result, (tuple, list)) else [result])]
        found.append((outs, [x.grad for x in given if isinstance(x, torch.Tensor)]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-9, check_stride=True)
    return compiled


# ---------------------------------------------------------------- what is generated

W, B = leaf(6, seed=1), leaf(6, seed=2)
LINEAR, TABLE = leaf(5, 6, seed=3), leaf(7, 6, seed=4)
INDEX = torch.tensor([[0, 3, 3], [6, 1, 0]])

#: programs of which every op has a rule
PROGRAMS = {
    "pointwise": lambda x: (x.sin() * x.exp() + torch.sigmoid(x) / (x * x + 1)).tanh(),
    "kinks": lambda x: torch.relu(x) + F.leaky_relu(x) + F.hardtanh(x) + F.elu(x) + F.softplus(x) + F.hardswish(x),
    "extrema": lambda x: torch.maximum(x, x.flip(0)) + x.clamp(-0.5, 0.5) + x.amax(1, keepdim=True) + x.min(0).values,
    "softmax": lambda x: F.softmax(x, -1) + F.log_softmax(x, 0) + torch.logsumexp(x, 1, keepdim=True),
    "norms": lambda x: F.layer_norm(x, (6,), W, B) + F.rms_norm(x, (6,), W, 1e-5) + x.var(1, keepdim=True) + x.norm(dim=0),
    "products": lambda x: F.linear(torch.tanh(x), LINEAR) @ LINEAR + (x.T @ x).sum(0),
    "places": lambda x: torch.cat([x[1:], x[:1]]) + torch.stack([x[0], x[1], x[2], x[3]]) + x.roll(1, 0).cumsum(1),
    "positions": lambda x: F.embedding(INDEX, TABLE).sum((0, 1)) + x.gather(1, INDEX[:, :2].repeat(2, 3) % 6) + x[INDEX[0, 1:] % 4].sum(0),
    "written": lambda x: torch.zeros(4, 6, dtype=x.dtype).index_add(0, INDEX[0] % 4, x[:3].exp()) + x.exp(),
    "losses": lambda x: F.cross_entropy(x, INDEX.flatten()[:4] % 6) + F.mse_loss(x, x.flip(1)) + F.smooth_l1_loss(x, x * 2),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_are_eagers_and_all_generated(name, made):
    agree(PROGRAMS[name], leaf(4, 6), fullgraph=True)
    (who,) = made
    assert who.parts == 1 and not who.framework and who.generated >= 2


#: composites of an input that lies the other way around, of which eager's kernels make row-major results
TURNED_AROUND = {
    "layer norm": lambda x: F.layer_norm(x, (6,), W, B),
    "rms norm": lambda x: F.rms_norm(x, (6,), W, 1e-5),
    "softmax": lambda x: F.softmax(x, -1),
    "log softmax": lambda x: F.log_softmax(x, 0),
    "gelu": lambda x: F.gelu(x),
    "group norm": lambda x: F.group_norm(x, 3, W),
    "losses": lambda x: F.mse_loss(x, x.sin(), reduction="none") + F.smooth_l1_loss(x, x.exp(), reduction="none"),
    "cumulative sums": lambda x: x.cumsum(0),
}


@pytest.mark.parametrize("name", TURNED_AROUND)
def test_results_lie_as_eagers_whatever_they_are_computed_from(name):
    """They do for who reads them next, too: another part, or the framework."""

    def f(x):
        y = TURNED_AROUND[name](x.T * 2)
        return y, (y * 2).exp(), torch.cumprod(y.tanh(), 0).sin() * 2

    agree(f, leaf(6, 4), fullgraph=True)


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
def test_gradients_in_narrow_types(dtype):
    def f(x, w):
        return F.gelu(F.layer_norm(x, (16,)) @ w).mean()

    def gradients(call, dtype):
        x, w = leaf(8, 16, dtype=dtype), leaf(16, 4, dtype=dtype, seed=1)
        call(x, w).backward()
        return [x.grad, w.grad]

    exact = gradients(f, torch.float64)
    eager, ours = gradients(f, dtype), gradients(quern.compile(f), dtype)
    for best, theirs, own in zip(exact, eager, ours):
        allowed = 2 * (theirs - best).abs().max() + torch.finfo(dtype).eps * best.abs().max()
        assert own.dtype == dtype and (own - best).abs().max() <= allowed


def test_what_has_no_rule_stays_a_call_between_parts(made):
    agree(lambda x: torch.cumprod(torch.tanh(x) * 2, 0).relu().square(), leaf(4, 6), fullgraph=True)
    (who,) = made
    assert who.parts == 2 and who.framework == ("cumprod",)


FILTER, TURNED, SIDE = leaf(4, 2, 3, 3, seed=1), leaf(4, 2, 2, 2, seed=2), leaf(4, seed=3)
LINE = leaf(4, 8, 3, seed=4)
HALF_MASK = torch.ones(5, 5, dtype=torch.bool).tril()

#: programs that the library computes, forward and backward, inside of parts: over images, and over heads
LIBRARY = {
    "convolutions": lambda x: F.conv_transpose2d(F.conv2d(x.tanh(), FILTER, SIDE, 2, 1).relu(), TURNED, stride=2) * 2,
    "convolution that keeps sizes": lambda x: F.conv2d(x.tanh(), FILTER, padding="same", dilation=2) * 2,
    "of one image": lambda x: F.max_pool2d(F.conv2d(x[0].tanh(), FILTER, SIDE).relu(), 2),
    "in one dim": lambda x: F.avg_pool1d(F.max_pool1d(F.conv1d(x[0].exp(), LINE, padding=1), 3, 2, 1), 2) + 1,
    "in three dims": lambda x: F.avg_pool3d(F.max_pool3d(x.unsqueeze(0).sin(), (1, 2, 2)), 2, 1) * 2,
    "pools that overlap": lambda x: F.avg_pool2d(F.max_pool2d(x.relu(), 3, 1, 1), 3, 2, 1, True, False) * 2,
    "pools over all": lambda x: F.adaptive_avg_pool2d(F.max_pool2d(x.relu(), 6, 1), 1).square(),
    "attention": lambda x: F.scaled_dot_product_attention(x.sin(), x * 2, x.exp()).tanh(),
    "attention to what comes before": lambda x: F.scaled_dot_product_attention(x.sin(), x * 2, x, is_causal=True, scale=0.2) + 1,
    "attention with masks": lambda x: F.scaled_dot_product_attention(x.sin(), x * 2, x, HALF_MASK[:2, :2]) * 2,
    "attention of shared heads": lambda x: F.scaled_dot_product_attention(x.sin(), x[:, :1] * 2, x[:, 1:], enable_gqa=True) * 2,
}  # fmt: skip


@pytest.mark.parametrize("name", LIBRARY)
@pytest.mark.parametrize("layout", (torch.contiguous_format, torch.channels_last), ids=("rows", "channels last"))
def test_what_the_library_differentiates_is_inside_of_parts(name, layout, made):
    x = leaf(2, 2, 8, 8).detach().contiguous(memory_format=layout).requires_grad_()
    if name.startswith("attention"):
        if layout == torch.channels_last:
            pytest.skip("the library's fused kernel does not take it")
        x = leaf(3, 2, 2, 8)
    agree(LIBRARY[name], x, fullgraph=True)
    (who,) = made
    assert who.parts == 1 and not who.framework


STEPS = {
    "a learned bias": (
        lambda x, m: F.scaled_dot_product_attention(x.sin() * 2, x * 2, x, m * 2) * 2,
        (2, 2, 5, 8),
        (2, 1, 5, 5),
    ),
    "a bias for all": (
        lambda x, m: F.scaled_dot_product_attention(x.sin(), x * 2, x, m * 2, scale=0.3),
        (2, 2, 5, 8),
        (5, 5),
    ),
    "a bias that hides": (
        lambda x, m: F.scaled_dot_product_attention(x.sin(), x * 2, x, torch.where(m > 0.2, m, -math.inf)),
        (2, 2, 5, 8),
        (1, 1, 5, 5),
    ),
    "shared heads": (
        lambda x, m: F.scaled_dot_product_attention(x.sin(), x[:, :2] * 2, x[:, 2:], m, enable_gqa=True),
        (2, 4, 5, 8),
        (4, 5, 5),
    ),
    "heads that lie apart": (
        lambda x, m: F.scaled_dot_product_attention(*[(x * n).transpose(1, 2) for n in (1, 2, 3)], m * 2),
        (2, 5, 2, 8),
        (2, 1, 5, 5),
    ),
    "three dims": (lambda x, m: F.scaled_dot_product_attention(x.sin(), x * 2, x.exp()) * m, (3, 5, 8), (8,)),
    "three dims, causal": (
        lambda x, m: F.scaled_dot_product_attention(x.sin(), x * 2, x.exp(), is_causal=True) * m,
        (3, 5, 8),
        (8,),
    ),
    "two dims": (lambda x, m: F.scaled_dot_product_attention(x.sin(), x * 2, x.exp()) * m, (5, 8), (8,)),
    "narrow values": (lambda x, m: F.scaled_dot_product_attention(x.sin(), x * 2, x[..., :6]) * m, (2, 2, 5, 8), (6,)),
    "empty rows": (
        lambda x, m: F.scaled_dot_product_attention(x.sin().mT, x.mT * 2, x.mT, torch.ones(8, 8).tril(-1).bool()) * m,
        (2, 2, 5, 8),
        (5,),
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_attention_that_the_librarys_kernel_does_not_take(made, name):
    """It is generated in steps: products, and the softmax between them."""
    function, *shapes = STEPS[name]
    agree(function, leaf(*shapes[0]), leaf(*shapes[1], seed=1), fullgraph=True)
    assert not made[0].framework


def test_maxima_of_equal_elements_and_of_nan_are_eagers():
    x = torch.tensor(
        [[1.0, 1.0, float("nan"), 2.0], [1.0, 1.0, 2.0, float("nan")], [-float("inf")] * 4, [-float("inf")] * 4]
    )
    for settings in ((2,), (3, 1, 1), (2, 2, 1)):
        found = []
        for call in (F.max_pool2d, quern.compile(lambda x, *s: F.max_pool2d(x * 1, *s))):
            given = x.clone().reshape(1, 1, 4, 4).requires_grad_()
            weighted(call(given * 1, *settings)).backward()
            found.append(given.grad)
        torch.testing.assert_close(found[1].nan_to_num(7.0), found[0].nan_to_num(7.0))


# ---------------------------------------------------------------- in autograd


def test_inputs_on_which_nothing_that_was_asked_for_depends_have_no_gradient():
    def heads(x, v, w):
        h = x.tanh() * 2
        return (h * v).exp(), (h * w).sin() + 1

    compiled = quern.compile(heads)
    for take in (0, 1):
        x, v, w = (leaf(3, 4, seed=s) for s in range(3))
        expected = torch.autograd.grad(heads(x, v, w)[take].sum(), (x, v, w), allow_unused=True)
        found = torch.autograd.grad(compiled(x, v, w)[take].sum(), (x, v, w), allow_unused=True)
        assert [g is None for g in found] == [g is None for g in expected]
        assert all(torch.allclose(a, b) for a, b in zip(found, expected) if a is not None)


def test_a_result_that_another_depends_on_has_its_place_in_history():
    """Its gradient can be asked for, kept and hooked, as eager's."""

    def f(x):
        hidden = x.sin() * 2
        return hidden, (hidden.exp() + x).sum()

    x = leaf(5)
    seen = []
    for call in (f, quern.compile(f, fullgraph=True)):
        hidden, loss = call(x)
        hidden.retain_grad()
        hidden.register_hook(lambda g: g * 2)
        (of_hidden,) = torch.autograd.grad(loss, hidden, retain_graph=True)
        loss.backward()
        seen.append((of_hidden, hidden.grad, x.grad))
        x.grad = None
    torch.testing.assert_close(*seen)


def test_passes_again_and_into_what_is_there():
    def f(x):
        return (x.exp() * x).sum()

    x, y = leaf(6), leaf(6)
    for t, call in ((x, f), (y, quern.compile(f))):
        loss = call(t)
        loss.backward(retain_graph=True)
        kept = t.grad
        loss.backward()
        assert t.grad is kept  # added to, in its memory
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_derivatives_of_derivatives():
    """A gradient penalty, with random numbers inside: those of the first pass."""

    def f(x, w):
        return F.dropout(torch.tanh(x @ w) * 3, 0.4).square().sum()

    found = []
    for call in (f, quern.compile(f, fullgraph=True)):
        x, w = leaf(4, 3), leaf(3, 5, seed=1)
        torch.manual_seed(3)
        (g,) = torch.autograd.grad(call(x, w), x, create_graph=True)
        (g.square().sum() + g.sum()).backward()
        found.append((g.detach(), x.grad, w.grad))
    torch.testing.assert_close(found[1], found[0])


def test_gradients_in_batches_and_of_functions_that_torch_transforms():
    def f(x):
        return (x.sin() * x.exp()).tanh()

    compiled, x = quern.compile(f), leaf(4)
    expected = torch.autograd.functional.jacobian(f, x)
    torch.testing.assert_close(torch.autograd.functional.jacobian(compiled, x, vectorize=True), expected)
    torch.testing.assert_close(torch.autograd.functional.jacobian(compiled, x), expected)
    (batched,) = torch.autograd.grad(compiled(x), x, torch.eye(4, dtype=x.dtype), is_grads_batched=True)
    torch.testing.assert_close(batched, expected)
    for transform in (torch.func.jacrev, torch.func.jacfwd, lambda g: torch.func.hessian(lambda v: g(v).sum())):
        torch.testing.assert_close(transform(compiled)(x.detach()), transform(f)(x.detach()))


def test_what_was_made_on_the_way_goes_with_the_backward_pass():
    held = []

    def f(x, y):
        return torch.relu(x + y) * 1.5

    compiled, x = quern.compile(f), leaf(5)
    loss = compiled(x * 1, x * 2).sum()
    held.append(loss.grad_fn.next_functions[0][0])
    loss.backward()
    assert all(not isinstance(a, torch.Tensor) for a in held[0].arguments)
    again = x.grad.clone()
    x.grad = None
    f(x * 1, x * 2).sum().backward()
    torch.testing.assert_close(again, x.grad)


@pytest.mark.parametrize("write", ("input", "result", "other input"))
def test_a_write_to_what_is_saved_is_refused_where_eager_refuses_it(write):
    def f(x, other):
        return (x * 2 + other).exp() * 1.5

    raised = []
    for call in (f, quern.compile(f)):
        a, b = leaf(4), leaf(4, seed=1)
        x, other = a * 1, b * 1
        y = call(x, other)
        with torch.no_grad():
            {"input": x, "result": y, "other input": other}[write].add_(1)
        try:
            y.sum().backward()
            raised.append((a.grad, b.grad))
        except RuntimeError as error:
            raised.append("modified by an inplace operation" in str(error))
    torch.testing.assert_close(raised[1], raised[0])


def test_no_more_is_saved_than_eager_saves():
    def f(x, w, b):
        return F.gelu(F.layer_norm(x, (64,), w, b) * 2 + 1).square() + x.sigmoid()

    def saved(call):
        sizes = {}

        def pack(t):
            sizes[t.data_ptr()] = t.nbytes
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            call(leaf(32, 64), leaf(64, seed=1), leaf(64, seed=2))
        return sum(sizes.values())

    assert saved(quern.compile(f)) <= saved(f) / 1.9


def test_what_is_saved_goes_once_the_backward_pass_has_read_it(monkeypatch):
    seen, alive = [], []
    backward = EAGER["convolution_backward"]

    def unpack(t):
        seen.append(weakref.ref(made := t.clone()))
        return made

    def convolution_backward(*args, **kwargs):
        alive.append(sum(x() is not None for x in seen))
        return backward(*args, **kwargs)

    def f(x):
        for _ in range(3):
            x = F.conv2d(x, FILTER[:2], padding=1).tanh()
        return x

    monkeypatch.setitem(EAGER, "convolution_backward", convolution_backward)
    compiled = quern.compile(f)
    for keep in (False, True):
        seen.clear(), alive.clear()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t, unpack):
            result = compiled(leaf(1, 2, 6, 6)).sum()
        result.backward(retain_graph=keep)
        assert alive[-1] < alive[0] <= len(seen)
        with contextlib.nullcontext() if keep else pytest.raises(RuntimeError, match="second time"):
            result.backward()


def test_hooks_of_saved_tensors_can_move_them():
    moved = []

    def pack(t):
        moved.append(t.shape)
        return t.clone()

    compiled = quern.compile(lambda x: (x.exp() * x.sin()).sum())
    x = leaf(7)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        loss = compiled(x)
    loss.backward()
    assert moved
    torch.testing.assert_close(x.grad, x.detach().exp() * (x.detach().sin() + x.detach().cos()))


# ---------------------------------------------------------------- what a program may do


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.norm, self.two = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.two(F.dropout(self.act(self.norm(self.one(x))), 0.25, self.training))


@pytest.mark.parametrize("frozen", ("", "one", "norm", "two"))
def test_layers_that_are_frozen_and_not_again(frozen):
    def gradients(wrap):
        torch.manual_seed(0)
        net = Net().double()
        call, found = wrap(net), []
        for turn in range(4):
            if frozen:
                getattr(net, frozen).requires_grad_(turn % 2 == 0)
            net.zero_grad()
            torch.manual_seed(turn)
            F.cross_entropy(call(leaf(5, 6, seed=turn).detach()), torch.tensor([0, 1, 2, 1, 0])).backward()
            found.append([None if p.grad is None else p.grad.clone() for p in net.parameters()])
        return found, [b.clone() for b in net.buffers()]

    torch.testing.assert_close(gradients(quern.compile), gradients(lambda net: net))


def test_parts_of_it_without_gradients():
    def f(x, w):
        with torch.no_grad():
            scale = (x * x).mean() + 1
        return x.exp() * scale * w.detach().sin() + (w * scale).tanh()

    agree(f, leaf(4, 3), leaf(4, 3, seed=1), fullgraph=True)


def test_a_view_that_was_made_unrecorded_requires_gradients_that_end_at_it():
    def f(x):
        y = x * 1
        with torch.no_grad():
            v = y.flatten()
        return (v[::2] * 2).exp().flip(0), y.sin() * 2

    found = []
    for call in (f, quern.compile(f, fullgraph=True)):
        x = leaf(4, 4)
        a, b = call(x)
        (a.sum() + b.sum()).backward()
        found.append((a.requires_grad, a.detach(), x.grad))
    assert found[0][0] and found[1][0]
    torch.testing.assert_close(found[0][1:], found[1][1:])


def test_results_of_all_kinds():
    def f(x):
        y = x.exp() * 2
        return y.argmax(1), y.sum(0), x.shape[0], y > 1, y.detach() * 2, y.T

    x, z = leaf(3, 4), leaf(3, 4)
    e, q = f(x), quern.compile(f)(z)
    assert [getattr(r, "requires_grad", None) for r in q] == [getattr(r, "requires_grad", None) for r in e]
    assert q[5]._is_view() == e[5]._is_view() and q[5].stride() == e[5].stride()
    for given, (_, a, _, _, _, b) in ((x, e), (z, q)):
        (a.sum() + b[0].sum()).backward()
        assert given.grad.stride() == (4, 1)
    torch.testing.assert_close(x.grad, z.grad)


def test_equal_results_are_tensors_of_their_own():
    def f(x):
        return [x.exp() * 3 for _ in range(3)] + [x.exp()]

    found = []
    for call in (f, quern.compile(f)):
        x = leaf(5)
        results = call(x)
        with torch.no_grad():
            results[0].add_(1)
        (results[1].sum() + results[2].sum() * 2).backward()
        found.append(([r.detach() for r in results], x.grad))
        assert len({r.data_ptr() for r in results}) == 4
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("dynamic", (None, True))
def test_sizes_that_change(dynamic, made):
    compiled = quern.compile(lambda x, w: F.softmax(F.layer_norm(x @ w, (5,)), -1).square(), dynamic=dynamic)
    for n in (3, 7, 11, 4):
        x, w = leaf(n, 6), leaf(6, 5, seed=1)
        compiled(x, w).sum().backward()
        found = x.grad, w.grad
        x, w = leaf(n, 6), leaf(6, 5, seed=1)
        F.softmax(F.layer_norm(x @ w, (5,)), -1).square().sum().backward()
        torch.testing.assert_close(found, (x.grad, w.grad))
    assert len(made) == (1 if dynamic else 2) and all(who.parts for who in made)


def test_results_can_be_written_to():
    """Also those that the framework's kernels give as views, as a layer over a vector does."""

    def f(x):
        y = F.linear(torch.tanh(F.linear(x, LINEAR)), LINEAR.T, W)
        return y, y.exp() * 2

    for shape in ((6,), (2, 6), (2, 3, 6)):
        found = []
        for call in (f, quern.compile(f)):
            x = leaf(*shape)
            y, z = call(x)
            y += 1
            z[..., :2].mul_(y[..., :2])
            weighted((y, z)).backward()
            found.append((y, z, x.grad, y._version, z._version))
        torch.testing.assert_close(found[1], found[0])


def test_what_is_computed_unrecorded_requires_no_gradients():
    layers = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))

    def f(x):
        y = x.exp() * 2
        with torch.no_grad():
            z = layers(x)
            v = layers(y[0])
        return y, z, v, layers[1](v)

    found = []
    for call in (f, quern.compile(f)):
        layers.zero_grad()
        results = call(leaf(4, 6, dtype=torch.float32))
        weighted(results).backward()
        grads = [p.grad for p in layers.parameters()]
        found.append((results, [r.requires_grad for r in results], [g for g in grads if g is not None]))
    torch.testing.assert_close(found[1], found[0])


def test_numbers_that_change():
    """What is computed of numbers alone is a number to the framework, and each part makes its own."""

    class Schedule:
        step, scale = 1, 0.1

    def f(x):
        Schedule.step += 1
        Schedule.scale *= 1.1
        y = torch.tanh(x) * 2
        z = y.exp() * Schedule.scale + Schedule.step
        return y, z, z * (Schedule.step * 2) + y * Schedule.scale, (z * z.sum().item()).sin() * 3

    compiled = quern.compile(f, fullgraph=True)
    for _ in range(4):
        found = []
        for call in (f, compiled):
            x, before = leaf(4, 6), (Schedule.step, Schedule.scale)
            results = call(x)
            weighted(results).backward()
            found.append((results, x.grad))
            if call is f:
                Schedule.step, Schedule.scale = before
        torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-12)


def test_checkpointed_blocks():
    w = leaf(6, 6, seed=1)

    def block(x):
        return F.dropout(torch.tanh(x @ w) * 2, 0.3)

    agree(lambda x: checkpoint(block, x, use_reentrant=False).exp() + x, leaf(4, 6))


def test_a_class_out_of_range_is_eagers_error():
    def loss(x, y):
        return F.cross_entropy(x * 2, y)

    compiled = quern.compile(loss)
    good, bad = torch.tensor([0, 1, 2]), torch.tensor([0, 9, 2])
    compiled(leaf(3, 4), good).backward()
    with pytest.raises(IndexError, match="out of bounds"):
        compiled(leaf(3, 4), bad)
    x = leaf(3, 4)
    compiled(x, good).backward()
    assert x.grad is not None


def test_threads_do_not_show():
    x, w = leaf(64, 128, dtype=torch.float32), leaf(128, 96, dtype=torch.float32, seed=1)
    compiled = quern.compile(lambda x, w: F.gelu(F.layer_norm(x, (128,)) @ w).square().sum())
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(torch.autograd.grad(compiled(x, w), (x, w)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other))


def test_results_that_have_nothing_in_common_have_histories_of_their_own():
    """A backward pass through one leaves the other."""

    def f(x, y):
        v = x.T
        return v.exp() * 2, (v * y).sin().cos()

    found = []
    for call in (f, quern.compile(f, fullgraph=True)):
        x, y = leaf(3, 4), leaf(4, 3, seed=1)
        for result in call(x, y):
            result.sum().backward()
        found.append((x.grad, y.grad))
    torch.testing.assert_close(*found)


def test_a_backward_pass_leaves_the_history_of_what_is_detached():
    def f(x, p):
        return (p * x.detach()).exp().sum(), x.sin()

    for call in (f, quern.compile(f, fullgraph=True)):
        given, p = leaf(4), leaf(4, seed=1)
        x = given.exp()  # what this keeps is freed by a pass through it
        loss, other = call(x, p)
        loss.backward()
        other.sum().backward()
        assert given.grad is not None and p.grad is not None


class _Negated(torch.autograd.Function):
    """The identity, of which the gradient arrives with its sign still to be turned."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return torch._neg_view(g.neg().contiguous())


def test_gradients_and_values_that_lie_in_memory_with_the_other_sign():
    def f(x):
        return (x.exp() * 2).sin()

    found = []
    for call in (f, quern.compile(f)):
        gradients = []
        for between in (_Negated.apply, lambda r: _Negated.apply(r.sum()), lambda r: _Negated.apply(r.T)):
            x = leaf(3, 4)
            weighted(between(call(x))).backward()
            gradients.append(x.grad)
        x = leaf(3, 4)
        with torch.autograd.graph.saved_tensors_hooks(torch.neg, torch._neg_view):
            weighted(call(x)).backward()
        gradients.append(x.grad)
        z = leaf(3, 4).detach().to(torch.complex128)
        v = (z * 1j).conj().imag.requires_grad_()  # its sign is turned as it is read
        weighted(call(v)).backward()
        found.append([*gradients, v.grad])
    torch.testing.assert_close(*found)


def test_a_backward_pass_that_is_not_compiled_is_the_frameworks(monkeypatch):
    compile_graph = training.compile_graph

    def failing(graph, *args, **kwargs):
        if graph.name.endswith("_backward"):
            raise LoweringError("out of ideas")
        return compile_graph(graph, *args, **kwargs)

    def f(x):
        return (x.exp() * x).sin()

    monkeypatch.setattr(training, "compile_graph", failing)
    with quern.config.patch(on_error="warn"):
        with pytest.warns(UserWarning, match="left to the framework(?s:.*)out of ideas"):
            compiled = agree(f, leaf(3, 4))
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # it is said once
            compiled(leaf(3, 4)).sum().backward()
    with quern.config.patch(on_error="raise"), pytest.raises(LoweringError):
        quern.compile(lambda x: f(x))(leaf(3, 4)).sum().backward()
