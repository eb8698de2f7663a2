"""Sizes that change between calls: few compilations, eager's results at every size, guards, marks and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import quern  # noqa: E402
from quern.api import functions_of  # noqa: E402
from quern.errors import SpecializationError  # noqa: E402
from quern.testing import CompileCounter, same  # noqa: E402

LENGTHS = range(7, 57)


@pytest.fixture(autouse=True)
def strict():
    with quern.config.patch(verify=True), torch.no_grad():
        yield


def captures(compiled) -> int:
    return sum(f.dispatcher.captures for f in functions_of(compiled))


def agree(found, wanted) -> None:
    if isinstance(wanted, (tuple, list)):
        assert type(found) is type(wanted) and len(found) == len(wanted)
        for f, w in zip(found, wanted):
            agree(f, w)
    elif isinstance(wanted, torch.Tensor):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5, equal_nan=True)
    elif isinstance(wanted, np.ndarray):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)
    else:
        assert same(found, wanted), (found, wanted)


# ---------------------------------------------------------------- at most two compilations for fifty lengths


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 16))

    def forward(self, x):
        return self.net(x)


class Block(nn.Module):
    def __init__(self, d=32, heads=4):
        super().__init__()
        self.heads = heads
        self.qkv, self.out, self.norm = nn.Linear(d, 3 * d), nn.Linear(d, d), nn.LayerNorm(d)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (z.view(b, t, self.heads, -1).transpose(1, 2) for z in self.qkv(self.norm(x)).chunk(3, -1))
        scores = (q @ k.transpose(-1, -2)) * (d // self.heads) ** -0.5
        mask = torch.ones(t, t, dtype=torch.bool).tril()
        y = scores.masked_fill(~mask, float("-inf")).softmax(-1) @ v
        return x + self.out(y.transpose(1, 2).reshape(b, t, d))


def rows(x):
    return F.layer_norm(x.softmax(-1), (8,)), x.mean(0), x.amax(0)


def with_numpy(x):
    y = np.exp(x - x.max(axis=-1, keepdims=True))
    return y / y.sum(axis=-1, keepdims=True), np.tanh(x).mean(axis=0)


FIFTY = {
    "mlp": (MLP, lambda n: torch.randn(n, 16)),
    "attention": (Block, lambda n: torch.randn(2, n, 32)),
    "rows": (lambda: rows, lambda n: torch.randn(n, 8)),
    "numpy": (lambda: with_numpy, lambda n: np.random.default_rng(n).standard_normal((n, 6))),
}


@pytest.mark.parametrize("name", FIFTY)
def test_fifty_lengths_compile_twice(name):
    make, inputs = FIFTY[name]
    torch.manual_seed(0)
    plain = make()
    fast = quern.compile(plain)
    for n in LENGTHS:
        x = inputs(n)
        agree(fast(x), plain(x))
    assert captures(fast) <= 2
    for n in (1, 2):
        x = inputs(n)
        agree(fast(x), plain(x))


@pytest.mark.slow
def test_bert_compiles_twice():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = transformers.BertConfig(vocab_size=50, max_position_embeddings=64, **sizes)
    torch.manual_seed(0)
    model = transformers.BertModel(config).eval()
    fast = quern.compile(model)
    for n in LENGTHS:
        ids = torch.randint(0, 50, (2, n))
        agree(fast(ids).last_hidden_state, model(ids).last_hidden_state)
    assert captures(fast) <= 2


def test_empty_and_single_rows():
    def f(x):
        return (x * 2).relu(), x.sum(1), x.shape[0] + 1

    fast = quern.compile(f)
    for n in (5, 6, 0, 1, 7, 0, 1):
        x = torch.randn(n, 4)
        agree(fast(x), f(x))
    assert captures(fast) == 4  # 5, any size from 2 on, 0, 1


# ---------------------------------------------------------------- functions over shapes, dynamic from the first call

SHAPES = {
    "view": lambda x: x.view(-1),
    "view with a size": lambda x: x.view(x.shape[0] * 2, -1),
    "reshape": lambda x: x.reshape(x.shape[0], 2, x.shape[1] // 2),
    "flatten": lambda x: x.flatten(),
    "transposed and flat": lambda x: x.t().reshape(-1) * 2,
    "contiguous": lambda x: x.t().contiguous().view(-1),
    "permute": lambda x: x[None].permute(2, 0, 1) + 1,
    "expand": lambda x: x[:, None].expand(x.shape[0], 3, x.shape[1]) * 1,
    "repeat": lambda x: x.repeat(2, 1),
    "cat": lambda x: torch.cat([x, x + 1], 0),
    "cat columns": lambda x: torch.cat([x, x[:, :2]], 1),
    "stack": lambda x: torch.stack([x, -x], 1),
    "arange": lambda x: torch.arange(x.shape[0]) * 2,
    "arange from": lambda x: torch.arange(1, x.shape[0] + 3),
    "zeros": lambda x: torch.zeros(x.shape[0], 3) + x[:, :1],
    "ones like": lambda x: torch.ones_like(x).cumsum(0),
    "full": lambda x: torch.full((x.size(0),), 2.5),
    "slice": lambda x: x[1:] - x[:-1],
    "slice by size": lambda x: x[: x.shape[0] // 2],
    "steps": lambda x: x[::2] * 3,
    "last": lambda x: x[-1] + x[0],
    "narrow": lambda x: x.narrow(0, 1, x.shape[0] - 1) * 2,
    "unsqueeze": lambda x: x.unsqueeze(1) + x.unsqueeze(0),
    "pad": lambda x: F.pad(x, (1, 2)),
    "flip": lambda x: x.flip(0),
    "roll": lambda x: x.roll(1, 0),
    "tril": lambda x: (x @ x.t()).tril(),
    "numel": lambda x: x.sum() / x.numel(),
    "scaled by size": lambda x: x * x.shape[0] + len(x),
    "min and max": lambda x: x[: min(x.shape[0], 4)] * max(x.shape[0], 3),
    "mod": lambda x: x + (x.shape[0] % 3),
    "loop": lambda x: sum(x[i] for i in range(x.shape[0])),
    "chunk": lambda x: torch.cat(x.chunk(2, 0)[::-1]),
    "index": lambda x: x[torch.arange(x.shape[0] - 1, -1, -1)],
    "sizes as results": lambda x: (x + 1, x.shape, x.numel() // 2, -x.shape[0]),
}


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", SHAPES)
def test_shape_functions(name, backend):
    f = SHAPES[name]
    fast = quern.compile(f, dynamic=True, backend=backend)
    for n in (4, 6, 9, 1):
        x = torch.randn(n, 6)
        agree(fast(x), f(x))


# ---------------------------------------------------------------- guards


def test_a_branch_on_a_size_is_guarded():
    def f(x):
        return x + 1 if x.shape[0] % 8 == 0 else x - 1

    counter = CompileCounter()
    fast = quern.compile(f, dynamic=True, backend=counter)
    for n in (16, 24, 9, 10, 32):
        x = torch.randn(n)
        agree(fast(x), f(x))
    assert counter.frame_count == 2
    assert "x.shape[0] % 8 == 0 held; now x.shape[0] is 9" in str(fast.recompiles[0])


def test_equal_sizes_share_a_symbol_until_they_differ():
    def f(x, y):
        return x.sum() + y.sum()

    counter = CompileCounter()
    fast = quern.compile(f, dynamic=True, backend=counter)
    for n, m in ((5, 5), (6, 6), (6, 7), (8, 8), (3, 9)):
        x, y = torch.randn(n), torch.randn(m)
        agree(fast(x, y), f(x, y))
    assert counter.frame_count == 2
    assert "y.shape[0] and x.shape[0] were equal" in str(fast.recompiles[0])


def test_int_arguments_become_symbols():
    def f(x, k):
        return x[:k] * k

    counter = CompileCounter()
    fast = quern.compile(f, backend=counter)
    for k in (3, 4, 5, 6, 7):
        x = torch.randn(9)
        agree(fast(x, k), f(x, k))
    assert counter.frame_count == 2


def test_dynamic_false_never_makes_symbols():
    counter = CompileCounter()
    fast = quern.compile(lambda x: x * 2, dynamic=False, backend=counter)
    for n in (3, 4, 5):
        fast(torch.randn(n))
    assert counter.frame_count == 3


def test_layouts_follow_from_sizes():
    def f(x):
        return (x * 2).reshape(-1), x.t()

    fast = quern.compile(f)
    for n in (5, 6, 7, 8):
        x = torch.randn(4, n).t()
        agree(fast(x), f(x))
        assert fast(x)[1].stride() == f(x)[1].stride()
    assert captures(fast) == 2


# ---------------------------------------------------------------- marks


def test_marked_dims_compile_once_within_their_range():
    counter = CompileCounter()
    fast = quern.compile(lambda x: x + 1, backend=counter)
    x = torch.randn(5, 3)
    quern.mark_dynamic(x, 0, min=4, max=64)
    fast(x)
    for n in (4, 30, 64):
        fast(torch.randn(n, 3))
    assert counter.frame_count == 1
    fast(torch.randn(65, 3))
    assert counter.frame_count == 2
    assert "x.shape[0] was from 4 to 64; now it is 65" in str(fast.recompiles[0])


def test_marks_on_arrays_and_static_marks():
    counter = CompileCounter()
    fast = quern.compile(lambda x: np.sin(x), backend=counter)
    x = np.ones(5)
    quern.mark_dynamic(x, -1)
    fast(x)
    fast(np.ones(9))
    assert counter.frame_count == 1
    static = quern.compile(lambda x: x + 1, dynamic=True, backend=counter)
    for n in (5, 6):
        y = torch.randn(n)
        quern.mark_static(y)
        static(y)
    assert counter.frame_count == 3


SPECIALIZING = {
    "loop": lambda x: sum(x[i] for i in range(x.shape[0])),
    "constant": lambda x: x + torch.ones(5),
    "comparison": lambda x: x * 2 if x.shape[0] == 5 else x,
    "text": lambda x: x * len(str(x.shape[0])),
}


@pytest.mark.parametrize("name", SPECIALIZING)
def test_a_marked_dim_that_must_be_constant_is_an_error(name):
    x = torch.randn(5)
    quern.mark_dynamic(x, 0)
    with pytest.raises(SpecializationError) as info:
        quern.compile(SPECIALIZING[name])(x)
    text = str(info.value)
    assert "dimension 0 of `x` is marked dynamic, but here it can only be 5" in text
    assert __file__ in text and f'"{name}": lambda x:' in text and "quern.mark_static(x, 0)" in text


def test_wrong_marks():
    x = torch.randn(5)
    with pytest.raises(IndexError, match="dimension 1 is out of range"):
        quern.mark_dynamic(x, 1)
    with pytest.raises(ValueError, match="size 5, which is not in the range"):
        quern.mark_dynamic(x, 0, min=6)
    with pytest.raises(TypeError, match="a int has none"):
        quern.mark_static(3)


# ---------------------------------------------------------------- arithmetic on sizes that goes below zero


def _below_zero(x):
    n = x.shape[0]
    return (
        x * 0 + (3 - n) // 4,
        torch.full((2,), (3 - n) % 4),
        torch.full((2,), -n // 3),
        x + (-n % 5) + (2 - n) // 7 * 2,
    )


def _by_negative(x):
    n, m = x.shape
    return torch.full((2,), (n - m) // m), torch.full((2,), (n - 3 * m) % n), x * ((5 - n) // 2) + (-(n // -3))


def _smallest_of_three(x):
    n, m = x.shape
    return torch.full((2,), max(n - m, 1 - n, -3)), x + min(n, m, 7)


def _rolls(x):
    return torch.roll(x, 5, 0) + 1, x.roll((7, -9), (0, 1)) * 2, x.roll(-7) * 2, x.roll(x.shape[0] + 3, 0) + x


def _positions_of_columns(x):
    """Positions in memory of another order, some before its start where nothing is read."""
    flat = x.t().reshape(-1)
    later, much_later = flat.clone(), flat.clone()
    later[1:] = flat[:-1]
    much_later[5:] = flat[:-5]
    return (
        later,
        much_later,
        F.pad(flat, (3, 0)),
        F.pad(x.t(), (2, 1)).reshape(-1),
        flat.flip(0).view(x.shape[1], -1).flip(1),
    )


@pytest.mark.parametrize("function", [_below_zero, _by_negative, _smallest_of_three, _rolls, _positions_of_columns])
@pytest.mark.parametrize("options", [{}, {"cpu_codegen": "triton"}], ids=["cpp", "triton"])
def test_sizes_below_zero_round_as_python_does(function, options):
    compiled = quern.compile(function, dynamic=True, options=options)
    for n, m in ((20, 6), (9, 4), (7, 12), (3, 5), (2, 31), (33, 2), (6, 6)):
        x = torch.randn(n, m)
        agree(compiled(x), function(x))


# ---------------------------------------------------------------- places whose names are alike are places of their own


def _closure(w):
    def grow(new):
        nonlocal w
        w = new

    def f(x):
        return x * w.shape[0] + w.sum()

    f.grow = grow
    return f


def _config(w):
    class Config:
        weight = w
        count = w.shape[0]

    return Config


_FIRST, _SECOND = _closure(torch.ones(3)), _closure(torch.ones(5))
_ONE, _OTHER = _config(torch.ones(3)), _config(torch.ones(5))


def _of_closures(x):
    return _FIRST(x) + _SECOND(x) * 1000


def _of_classes(x):
    return x * _ONE.weight.shape[0] + _OTHER.weight.shape[0] * 1000 + _ONE.weight.sum() - _OTHER.weight.sum()


def _of_numbers(x):
    return x * _ONE.count + _OTHER.count * 1000


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize("function", [_of_closures, _of_classes, _of_numbers])
def test_variables_and_classes_of_one_name(function, dynamic):
    compiled = quern.compile(function, dynamic=dynamic)
    for n, m in ((3, 5), (4, 7), (6, 2), (3, 3), (9, 4)):
        for held, config, size in ((_FIRST, _ONE, n), (_SECOND, _OTHER, m)):
            held.grow(torch.ones(size))
            config.weight, config.count = torch.ones(size), size
        x = torch.ones(2)
        agree(compiled(x), function(x))


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x[:, 1:] - x[:, :-1],
        lambda x: x[1:, 2:] * 2,
        lambda x: (x[:, :-1] > 0).float(),
        lambda x: x[..., 1:].exp() + x[..., :-1],
        lambda x: x[:-1, 1:-1, 1:] + 1,
    ],
)
def test_parts_of_a_transposed_tensor_keep_its_order_of_dims(fn, dynamic):
    """Also where two of the strides are sums: which is the greater does not show in their text."""
    ours = quern.compile(fn, dynamic=dynamic)
    for shape, dims in (
        ((3, 4, 6), (0, 1)),
        ((3, 5, 6), (0, 1)),
        ((3, 6, 5), (1, 2)),
        ((3, 6, 7), (1, 2)),
        ((6, 5, 3), (0, 2)),
    ):
        x = torch.arange(float(np.prod(shape))).reshape(shape).transpose(*dims)
        found, expected = ours(x), fn(x)
        assert found.stride() == expected.stride()
        same(found, expected)


@pytest.mark.parametrize(
    "write",
    [
        lambda x, at: x.index_copy_(0, at, torch.sin(x)[:2]),
        lambda x, at: x.index_add_(0, at, x[:2] * 2),
        lambda x, at: x.index_fill_(0, at, 3.0),
        lambda x, at: x.index_put_((at,), x[:2].exp(), accumulate=True),
        lambda x, at: x.scatter_add_(0, at, x[:2].exp()),
        lambda x, at: x.__setitem__(at, 0.5),
    ],
    ids=["index_copy", "index_add", "index_fill", "index_put", "scatter_add", "setitem"],
)
def test_writes_at_computed_places_of_changing_size(write):
    """The size that wraps a negative index is an argument of the kernel, though no load and no loop has it."""

    def fn(x, at):
        write(x, at)
        return x + 1

    ours = quern.compile(fn, dynamic=True)
    for size in (5, 9, 4):
        x, at = torch.linspace(-1, 1, size), torch.tensor([0, 2])
        y = x.clone()
        agree(ours(x, at), fn(y, at))
        agree(x, y)


def test_rows_of_no_elements_are_written_at_computed_places():
    def fn(x, at):
        return x.index_copy(0, at, x[:1]), x.index_add(0, at, x[:1])

    ours = quern.compile(fn, dynamic=True)
    for size in (3, 5):
        x, at = torch.empty(size, 0), torch.tensor([0])
        agree(ours(x, at), fn(x, at))


@pytest.mark.parametrize("correction", [0, 1, 2, 3, 7, 0.5, 2.5])
@pytest.mark.parametrize(
    "spread",
    [lambda x, c: x.var(0, correction=c), lambda x, c: x.std(correction=c), lambda x, c: x[2:].var(0, correction=c)],
    ids=["var", "std of all", "var of a part"],
)
def test_variances_of_fewer_elements_than_are_taken_off(spread, correction):
    """No count is negative: the variance is infinite, or NaN."""
    compiled = quern.compile(spread, dynamic=True)
    for n in (5, 2, 3, 4):
        x = torch.arange(2.0 * n).reshape(n, 2) ** 2
        torch.testing.assert_close(compiled(x, correction), spread(x, correction), equal_nan=True)


@pytest.mark.parametrize(("program", "shapes"), [
    (lambda x: torch.cross(x[..., :3], x[..., :3].flip(-1)), [(3, 4), (4, 4), (3, 4), (5, 4)]),
    (lambda x: x.split([2, 3], 0), [(5, 2), (6, 2), (5, 2)]),
    (lambda x: torch.split(x, (1, 4))[1] * 2, [(6, 2), (5, 2), (5, 3)]),
])  # fmt: skip
@pytest.mark.parametrize("dynamic", [None, True])
def test_what_a_size_must_be_is_asked_of_its_value(program, shapes, dynamic):
    """The first axis of size 3; sections that add up to the size."""
    compiled = quern.compile(program, dynamic=dynamic)
    for shape in shapes:
        x = torch.arange(float(math.prod(shape))).reshape(shape).sin()
        try:
            wanted = program(x)
        except RuntimeError as error:
            with pytest.raises(RuntimeError) as refused:
                compiled(x)
            assert str(refused.value) == str(error)
        else:
            torch.testing.assert_close(compiled(x), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dropped", [True, False])
@pytest.mark.parametrize("text", [
    "x.repeat(n)", "x.repeat(n, 1)", "torch.tile(x, (n,))", "torch.tile(x, (n, 1))", "x.split(n)[0]", "torch.split(x, n)[-1]",
    "x.split([n, 4 - n])[0]", "x.split_with_sizes((4 - n, n))[1]", "x.unfold(0, n, 1)", "x.narrow(0, 0, n)", "torch.zeros(n, 2)",
    "x.expand(n, 4)", "x.repeat_interleave(n)", "torch.arange(n)", "x.new_full((2, n), 1)",
])  # fmt: skip
def test_a_count_that_goes_below_zero_is_refused(text, dropped):
    """Also where nobody needs what would have been made."""
    program = eval(f"lambda x, n: (({text}), x * 2)[{int(dropped)}]", {"torch": torch})
    compiled = quern.compile(program)
    for n in (2, 3, -1, 0, -2, 4):
        x = torch.arange(4.0)
        try:
            wanted = program(x, n)
        except RuntimeError as error:
            with pytest.raises(RuntimeError) as refused:
                compiled(x, n)
            assert str(refused.value) == str(error)
        else:
            assert same(compiled(x, n), wanted)


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize(
    ("shift", "dim"), [(2, 1), (1, 1), (0, 1), (-2, 1), (4, 2), (1, 2), (4, 3), ((4, 4), (2, 3)), (3, None)]
)
def test_rolled_images_lie_as_eagers(shift, dim, dynamic):
    """Eager joins two parts, of which one is empty where a whole turn is made: that lies otherwise."""
    compiled = quern.compile(lambda x: x.roll(shift, dim), dynamic=dynamic)
    for shape in ((2, 2, 4, 4), (2, 3, 4, 5), (3, 2, 5, 4)):
        x = torch.arange(float(math.prod(shape))).reshape(shape).contiguous(memory_format=torch.channels_last)
        wanted, found = x.roll(shift, dim), compiled(x)
        assert torch.equal(found, wanted) and found.stride() == wanted.stride()
