"""Attention as one kernel, however it is spelled: eager's values, the scores never in memory; and what is left to the library."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.sampled(2)
F = torch.nn.functional

from quern.inductor.codegen.cpp import source  # noqa: E402
from quern.inductor.refusal import Refusal  # noqa: E402

import quern  # noqa: E402

attention = F.scaled_dot_product_attention


def T(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(dtype)


def QKV(*batch, rows=48, keys=50, head=16, values=None, dtype=torch.float32):
    shapes = (rows, head), (keys, head), (keys, values or head)
    return tuple(T(*batch, *shape, dtype=dtype, seed=i) for i, shape in enumerate(shapes))


def check(f, *args, tolerance=3e-5):
    """Values, types and layouts are eager's. What ran comes back: kernels by strategy, and how often the library was called."""
    with torch.no_grad():
        wanted = f(*args)
        said = quern.explain(f)(*args)
    (graph,) = said.graphs
    got = said.result
    assert (got.dtype, got.shape, got.stride()) == (wanted.dtype, wanted.shape, wanted.stride())
    torch.testing.assert_close(got, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)
    return [k.strategy for k in graph.record.plan.kernels], graph.record.calls


def softmaxed(q, k, v):
    return torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), dim=-1) @ v


def by_exponentials(q, k, v, dtype=None):
    scores = q @ k.mT * 0.3
    powers = torch.exp(scores - scores.amax(-1, keepdim=True))
    return (powers / powers.sum(-1, keepdim=True, dtype=dtype)) @ v.to(dtype or v.dtype)


def by_einsum(q, k, v):
    weights = F.softmax(torch.einsum("bhmd,bhnd->bhmn", q, k) * 0.3, -1)
    return torch.einsum("bhmn,bhnd->bmhd", weights, v)


def by_batches(q, k, v, bias):
    q, k, v = (x.reshape(-1, *x.shape[2:]) for x in (q, k, v))
    scores = torch.baddbmm(bias.expand(2, 3, 48, 50).reshape(6, 48, 50), q, k.transpose(1, 2), alpha=0.3)
    return torch.bmm(F.softmax(scores, -1, dtype=torch.float32), v)


def with_dropout_off(q, k, v):
    scores = torch.matmul(q, k.permute(0, 1, 3, 2)).mul(0.25)
    return torch.matmul(F.dropout(F.softmax(scores, dim=-1), 0.1, training=False), v).to(q.dtype)


def soft_capped(q, k, v):
    return torch.softmax(20 * torch.tanh(q @ k.mT / 20), -1) @ v


def with_slopes(q, k, v):
    rows, keys = torch.arange(48), torch.arange(50)
    bias = (keys - rows[:, None]).clamp(max=0) * torch.tensor([0.5, 0.25, 0.125]).view(3, 1, 1)
    past = keys <= rows[:, None]
    return torch.softmax(torch.where(past, q @ k.mT * 0.25 + bias, -math.inf), -1) @ v


def in_a_window(q, k, v):
    rows, keys = torch.arange(q.shape[-2])[:, None], torch.arange(k.shape[-2])
    seen = (keys <= rows) & (keys > rows - 40)
    return torch.softmax(torch.where(seen, q @ k.mT * 0.25, -math.inf), -1) @ v


def after_a_window(q, k, v):
    rows, keys = torch.arange(q.shape[-2])[:, None], torch.arange(k.shape[-2])
    return torch.softmax(torch.where(keys >= rows - 5, q @ k.mT, -math.inf), -1) @ v


def split_heads(x):
    q, k, v = (y.view(2, 50, 4, 16).transpose(1, 2) for y in x.split(64, -1))
    return attention(q, k, v, is_causal=True).transpose(1, 2).reshape(2, 50, 64)


def repeated_heads(q, k, v):
    k, v = (x[:, :, None].expand(2, 2, 3, 50, 16).reshape(2, 6, 50, 16) for x in (k, v))
    return attention(q, k, v)


SHARED = T(2, 6, 48, 16), T(2, 2, 50, 16), T(2, 2, 50, 16, seed=1)
ONE_KERNEL = {
    "the library's": (attention, QKV(2, 3)),
    "the library's, causal": (lambda q, k, v: attention(q, k, v, is_causal=True), QKV(2, 3)),
    "the library's, longer than wide": (lambda q, k, v: attention(q, k, v, is_causal=True), QKV(2, 3, rows=300, keys=140)),
    "the library's, scaled": (lambda q, k, v: attention(q, k, v, scale=2.0), QKV(3)),
    "heads that share keys": (lambda q, k, v: attention(q, k, v, enable_gqa=True, is_causal=True), SHARED),
    "heads that repeat keys": (repeated_heads, SHARED),
    "heads of one projection": (split_heads, (T(2, 50, 192),)),
    "batches that broadcast": (attention, (T(2, 1, 48, 16), T(3, 50, 16), T(3, 50, 16, seed=1))),
    "five axes": (lambda q, k, v, m: attention(q, k, v, attn_mask=m), (*QKV(2, 1, 3), T(48, 50))),
    "softmax": (softmaxed, QKV(2, 3)),
    "softmax of matrices": (softmaxed, QKV()),
    "softmax, in double precision": (softmaxed, QKV(2, dtype=torch.float64)),
    "exponentials": (by_exponentials, QKV(2, 3)),
    "einsum": (by_einsum, QKV(2, 3)),
    "baddbmm": (by_batches, (*QKV(2, 3), T(2, 1, 48, 50))),
    "dropout off": (with_dropout_off, QKV(2, 3)),
    "a soft cap": (soft_capped, QKV(2, 3)),
    "slopes": (with_slopes, QKV(2, 3)),
    "a window": (in_a_window, QKV(2, rows=300, keys=310)),
    "a window without an end": (after_a_window, QKV(2, rows=290, keys=300)),
    "an epilogue": (lambda q, k, v, x: torch.relu(softmaxed(q, k, v) + x), (*QKV(2, 3), T(2, 3, 48, 16))),
    "one tensor": (lambda x: attention(x, x, x), (T(2, 3, 48, 16),)),
    "operands computed": (lambda q, k, v: attention(q * 2 + 1, -k, v + 1), QKV(2, 3)),
    "operands with steps": (lambda q, k, v: attention(q[..., ::2], k[..., ::2], v[..., ::2]), QKV(2, 3, head=32)),
    "operands turned": (lambda q, k, v: softmaxed(q.mT, k.mT, v.mT), tuple(T(2, 3, 16, 48, seed=i) for i in range(3))),
    "keys of one head": (
        lambda q, k, v: softmaxed(q, k.expand(2, 3, 50, 16), v), (T(2, 3, 48, 16), T(1, 1, 50, 16), T(2, 3, 50, 16))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_KERNEL)
def test_one_kernel(name):
    f, args = ONE_KERNEL[name]
    assert check(f, *args) == (["attention"], 0)


SIZES = [
    (64, 64, 16, 16),
    (33, 70, 24, 24),
    (40, 129, 8, 8),
    (100, 37, 65, 65),
    (129, 513, 5, 7),
    (70, 70, 64, 96),
    (257, 300, 3, 1),
]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("rows", "keys", "head", "values"), SIZES)
def test_sizes(rows, keys, head, values, causal):
    q, k, v = QKV(2, 2, rows=rows, keys=keys, head=head, values=values)
    check(lambda q, k, v: attention(q, k, v, is_causal=causal), q, k, v)
    check(softmaxed, q, k, v)


def masks():
    seen = torch.rand(60, 130, generator=torch.Generator().manual_seed(0)) > 0.3
    seen[0], seen[:, 70:], seen[5, :65] = False, False, False
    return {
        "added": T(2, 1, 60, 130), "of truths": seen, "of truths for each head": seen.expand(2, 3, 60, 130),
        "added, of infinities": torch.where(seen, 0.0, -math.inf), "for keys": seen[1].expand(2, 1, 1, 130),
    }  # fmt: skip


@pytest.mark.parametrize("name", masks())
def test_masks(name):
    """Also those that leave a row nothing: the library gives zeros, a softmax NaN."""
    mask, operands = masks()[name], QKV(2, 3, rows=60, keys=130)

    def by_hand(q, k, v, mask):
        scores = q @ k.mT * 0.3
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
        return torch.softmax(scores, -1) @ v

    assert check(lambda q, k, v, m: attention(q, k, v, attn_mask=m), *operands, mask) == (["attention"], 0)
    assert check(by_hand, *operands, mask) == (["attention"], 0)


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 20])
@pytest.mark.parametrize(("keys", "head", "values"), [(1001, 64, 64), (512, 80, 40), (500, 33, 17), (777, 16, 13)])
def test_few_rows(rows, keys, head, values):
    """As in decoding: the keys are read once, as they lie."""
    operands, mask = QKV(2, 2, rows=rows, keys=keys, head=head, values=values), T(2, 1, 1, keys)
    assert check(softmaxed, *operands) == (["attention"], 0)
    assert check(lambda q, k, v, m: attention(q, k, v, attn_mask=m), *operands, mask) == (["attention"], 0)
    turned = (operands[0], operands[1].mT.contiguous().mT, operands[2].mT.contiguous().mT)
    assert check(softmaxed, *turned) == (["attention"], 0)


def test_few_rows_of_heads_that_share_keys():
    q, k, v = T(2, 6, 1, 32), T(2, 2, 400, 32), T(2, 2, 400, 32, seed=1)
    seen = (torch.arange(400) < torch.tensor([[250], [399]])).view(2, 1, 1, 400)
    assert check(lambda q, k, v, m: attention(q, k, v, attn_mask=m, enable_gqa=True), q, k, v, seen) == (
        ["attention"],
        0,
    )


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 3e38, 1e-40])
@pytest.mark.parametrize("which", range(3))
def test_special_values(value, which):
    operands = QKV(2, 2, rows=40, keys=300)
    operands[which][0, 1, 7, 3] = value
    check(softmaxed, *operands)
    check(attention, *operands)


def test_scores_of_any_size():
    """Later keys may have much larger scores than earlier ones, and the other way round."""
    q, k, v = QKV(2, rows=40, keys=400)
    for scale in (torch.linspace(1e-3, 50, 400), torch.linspace(50, 1e-3, 400), torch.tensor(1e-30)):
        check(softmaxed, q, k * scale.view(-1, 1), v, tolerance=1e-4)


@pytest.mark.parametrize("scale", [1, 10, 100])
def test_as_accurate_as_the_librarys(scale):
    q, k, v = QKV(8, rows=300, keys=700, head=64)
    q = q * scale
    with torch.no_grad():
        exact = attention(q.double(), k.double(), v.double())
        theirs, ours = ((f(q, k, v) - exact).abs().max() for f in (attention, quern.compile(attention)))
    assert ours <= 1.5 * theirs + 2e-7


def test_what_is_read_is_written_to_afterwards():
    """The result goes to the operand's own memory: not before all of it was read."""
    x = T(2, 3, 48, 16)

    def f(x):
        x.copy_(attention(x, x, x))
        x[:, :1] += softmaxed(x, x, x)[:, :1]

    expected, found = x.clone(), x.clone()
    with torch.no_grad():
        f(expected)
        quern.compile(f, fullgraph=True)(found)
    torch.testing.assert_close(found, expected, rtol=3e-5, atol=3e-5)


NOT_STREAMED = {
    "weights are a result": lambda q, k, v: torch.softmax(q @ k.mT, -1).sum() + (torch.softmax(q @ k.mT, -1) @ v),
    "along another axis": lambda q, k, v: torch.softmax(q @ k.mT, -2) @ v,
    "few products": lambda q, k, v: softmaxed(q[..., :4, :], k[..., :9, :], v[..., :9, :]),
    "one key": lambda q, k, v: softmaxed(q, k[..., :1, :], v[..., :1, :]),
    "no keys": lambda q, k, v: softmaxed(q, k[..., :0, :], v[..., :0, :]),
    "no batch": lambda q, k, v: softmaxed(q[:0], k[:0], v[:0]),
    "summed in a wider type": lambda q, k, v: by_exponentials(q, k, v, torch.float64),
    "a sum of two products": lambda q, k, v: torch.softmax(q @ k.mT + k[..., :48, :] @ k.mT, -1) @ v,
}


@pytest.mark.parametrize("name", NOT_STREAMED)
def test_not_streamed(name):
    strategies, _ = check(NOT_STREAMED[name], *QKV(2, 3))
    assert "attention" not in strategies


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_the_librarys(dtype):
    strategies, calls = check(attention, *QKV(2, 3, dtype=dtype), tolerance=2e-2)
    assert (strategies, calls) == ([], 1)


def test_what_follows_is_fused_where_it_fits():
    """What sums over a row of results is a kernel of its own."""
    strategies, calls = check(lambda q, k, v: F.layer_norm(softmaxed(q, k, v) + 1, (16,)), *QKV(2, 3))
    assert strategies[0] == "attention" and len(strategies) == 2 and calls == 0


@pytest.mark.parametrize("bias", [False, True])
def test_the_product_behind_finds_heads_side_by_side(bias):
    """Attention's result lies as eager's: (tokens, heads) by columns, so that the output's product walks one inner axis."""
    x, w = T(2, 48, 64), T(64, 64)
    offset = T(64) if bias else None

    def f(x, w):
        q, k, v = (y.view(2, 48, 4, 16).transpose(1, 2) for y in (x, x * 2, x + 1))
        mixed = attention(q, k, v).transpose(1, 2).reshape(2, 48, 64)
        return torch.relu(F.linear(mixed, w, offset))

    with torch.no_grad():
        said = quern.explain(f)(x, w)
    torch.testing.assert_close(said.result, f(x, w), rtol=3e-5, atol=3e-5)
    (product,) = (k for k in said.graphs[0].record.plan.kernels if k.strategy == "contraction")
    assert "for p0 < 96, p1 < 64, r0 < 64:" in product.loops


def test_threads_do_not_show():
    args = QKV(1, 2, rows=300, keys=300)
    f = quern.compile(softmaxed)
    results = []
    with torch.no_grad():
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(f(*args))
    assert all(torch.equal(results[0], r) for r in results)


def test_gradients():
    """Where they are asked for, eager's own attention runs."""
    operands = [x.requires_grad_() for x in QKV(2, 3)]
    f = quern.compile(softmaxed)
    grads = [torch.autograd.grad(g(*operands).sum(), operands) for g in (softmaxed, f)]
    torch.testing.assert_close(*grads)


def test_sizes_that_change():
    f = quern.compile(softmaxed, dynamic=True)
    with torch.no_grad():
        for rows in (40, 50, 64):
            args = QKV(2, 3, rows=rows, keys=rows)
            torch.testing.assert_close(f(*args), softmaxed(*args))


@pytest.mark.parametrize("name", ["softmax", "the library's, causal", "a window"])
def test_without_a_strategy(name, monkeypatch, tmp_path):
    """Any kernel can be emitted point by point."""
    monkeypatch.setattr(source.attention, "plan", lambda nest: Refusal("none", "heuristic", "for a test"))
    f, args = ONE_KERNEL[name]
    with torch.no_grad(), quern.config.patch(cache_dir=str(tmp_path)):
        strategies, calls = check(f, *args)
    assert "attention" not in strategies and calls == 0
