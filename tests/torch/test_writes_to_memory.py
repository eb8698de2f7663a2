"""Writes into memory: at places that repeat or are known beforehand, into what the same call reads, and through what reads the
storage. Each program is run plain and compiled; values, layouts, arguments and refusals are the same."""

from __future__ import annotations

import copy

import pytest
import torch
from torch_checks import compare, randn, tensors

import quern

F, T = torch.nn.functional, torch.tensor
GENERATED = ({}, {"dynamic": True}, {"options": {"cpu_codegen": "triton"}})
IDS = ("static", "dynamic", "triton")


def outcome(fn, args):
    """(result, arguments after the call, refusal)"""
    args = copy.deepcopy(args)
    with torch.no_grad():
        try:
            return fn(*args), args, None
        except (RuntimeError, IndexError) as error:
            return None, args, (type(error), str(error))


def same(fn, *args, settings=None):
    """The compiled form does what the plain one does, exact strides included."""
    quern.reset()
    expected, before, refusal = outcome(fn, args)
    found, after, refused = outcome(quern.compile(fn, **(settings or {})), args)
    assert refused == refusal
    if refusal is None:
        compare(expected, found, ignore=["storage offset"])  # eager's slice_scatter copies what lies before a view, too
        for a, b in zip(tensors(expected), tensors(found)):
            assert a.stride() == b.stride()
    compare(before, after)


# ------------------------------------------------------------------ adding at places


def add_at_literals(x, v):
    return x.index_put((T([-1, 2, -1]),), v, accumulate=True)


def add_one_number(x, v):
    return x.index_put_((T([1, 1, 1]),), torch.ones(()), accumulate=True) + 0


def add_at_zeros(x, v):
    return x.scatter_add(0, torch.zeros(3, dtype=torch.int64), v)


def add_many(x, v):
    return x.index_add(0, torch.full((1000,), 4), torch.full((1000,), 0.5))


def add_then_read(x, v):
    return x.index_add(0, T([0, 0, 0]), torch.ones(3))[T([0, 0, 0])] * v


def write_twice_then_read(x, v):
    return x.index_put((T([1, 1, 1]),), v)[T([1, 1, 1])] + v


def add_broadcast(x, v):
    return x.view(5, 1).expand(5, 4).clone().index_put((T([[0], [1]]), T([0, 0, 2])), T(1.5), accumulate=True)


@pytest.mark.parametrize("settings", GENERATED, ids=IDS)
@pytest.mark.parametrize("fn", [add_at_literals, add_one_number, add_at_zeros, add_many, add_then_read, write_twice_then_read, add_broadcast], ids=lambda f: f.__name__)  # fmt: skip
def test_adding_at_places_known_beforehand(fn, settings):
    same(fn, randn(5), randn(3, seed=1), settings=settings)


@pytest.mark.parametrize("settings", GENERATED, ids=IDS)
@pytest.mark.parametrize("place", ["literal", "argument"])
def test_truth_values_add_up_to_true(place, settings):
    def fn(x, i, s):
        i = T([1, 1, 0]) if place == "literal" else i
        return (x.index_put((i,), s, accumulate=True), x.index_add(0, i, s), x.scatter_add(0, i, s))

    same(fn, T([False, True, False, True]), T([1, 1, 0]), T([True, True, False]), settings=settings)


def test_augmented_assignment_writes_once():
    def fn(x, i):
        x[i] += 1
        x[[0, 0]] -= 2
        return x

    same(fn, randn(5), T([1, 1, 2]))


# ------------------------------------------------------------------ writes into what is read

REFUSED = (
    "x[1:] = x[:-1]", "x[:-1].copy_(x[1:])", "x[1:] += x[:-1]", "x.view(3, 3).mul_(x.view(3, 3).t())", "x[1:].lerp_(x[:-1], 0.5)",
    "torch.add(x[1:], 1, out=x[:-1])", "torch.cumsum(x[1:], 0, out=x[:-1])", "x[:4] += x[2:6]", "x.expand(2, 9).add_(1)",
    "x.view(3, 3).copy_(x.view(3, 3).t())", "x.index_add_(0, torch.tensor([0]), x[:1])", "x.scatter_(0, torch.tensor([0, 1]), x[:2])",
    "x[torch.tensor([0, 1])] = x[:2]", "torch.cat([x[:4], x[4:]], out=x)", "x.clamp_(x[0:1].expand(9).contiguous()[:8])",
    "x[2].unsqueeze(-1).copy_(x[2])", "x[2:3].copy_(x[2])", "x.view(9, 1).copy_(x.view(9, 1).as_strided((9, 1), (1, 5)))",
)  # fmt: skip
TAKEN = (
    "x[:4] = x[4:8]", "x += x", "x[2:5].sub_(x[2:5])", "x.view(3, 3)[:, 0] = x.view(3, 3)[:, 1]", "x.view(3, 3)[0] += x.view(3, 3)[1]",
    "x.view(3, 3)[:, :1].copy_(x.view(3, 3)[:, 1:2])", "torch.mul(x[:3], x[3:6], out=x[6:])", "x.addcmul_(x, x)", "x[3:6] = x[3:6]",
    "x[2] = x[3]", "x.div_(x.max())", "x.fill_(x.sum())", "x[::2].add_(1)",
)  # fmt: skip


def program(statement):
    scope = {"torch": torch}
    exec(f"def fn(x):\n    {statement}\n    return x", scope)  # noqa: S102 - our own text
    return scope["fn"]


@pytest.mark.parametrize("settings", GENERATED[:2], ids=IDS[:2])
@pytest.mark.parametrize("statement", REFUSED)
def test_overlapping_writes_are_refused_as_in_eager(statement, settings):
    same(program(statement), torch.arange(1.0, 10.0), settings=settings)


@pytest.mark.parametrize("settings", GENERATED[:2], ids=IDS[:2])
@pytest.mark.parametrize("statement", TAKEN)
def test_writes_beside_what_is_read_are_captured(statement, settings):
    same(program(statement), torch.arange(1.0, 10.0), settings={"fullgraph": True, **settings})


def test_an_overlapping_write_says_what_to_do():
    def fn(x):
        x[:, 1:] = x[:, :-1]

    with pytest.raises(quern.errors.Unsupported, match=r"from the same memory \[overlapping-write\](.|\n)*clone\(\)"):
        quern.compile(fn, fullgraph=True)(randn(4, 4))


# ------------------------------------------------------------------ what reads the storage

MAKERS = {
    "roll": lambda x: x.roll(-1, 0), "flip": lambda x: x.flip(0), "sum": lambda x: x + 1, "softmax": lambda x: x.softmax(1),
    "cat": lambda x: torch.cat([x, x], 1), "pad": lambda x: F.pad(x, (1, 1)), "norm": lambda x: F.group_norm(x, 3),
    "scan": lambda x: x.cumsum(1), "pool": lambda x: F.avg_pool2d(x, 2), "variance": lambda x: x.var(1), "stack": lambda x: torch.stack([x, x], 1),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
def test_what_reads_the_storage_finds_it_as_in_eager(name):
    make = MAKERS[name]

    def fn(x):
        y = make(x)
        written = make(x)
        written.as_strided((2, 2), (3, 1)).fill_(7)
        return y.as_strided((2, 3), (4, 1)), y.as_strided((2, 2), (1, 3), 1) * 2, written

    same(fn, randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last))
    same(fn, randn(5, 3, 2, 4).permute(2, 1, 3, 0))


# ------------------------------------------------------------------ replacing parts

PARTS = {
    "slice": lambda x, y: torch.slice_scatter(x, y, 0, 1),
    "select": lambda x, y: torch.select_scatter(x, y, 1, 0),
    "diagonal": lambda x, y: torch.diagonal_scatter(x, y, 1),
}


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 4), (2, 4), (0, 4)], ids=str)
@pytest.mark.parametrize("settings", GENERATED[:2], ids=IDS[:2])
@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_replaced_by_a_source_of_its_very_shape(name, settings, shape):
    same(PARTS[name], randn(3, 4), torch.ones(shape), settings=settings)


# ------------------------------------------------------------------ layouts of results

LAID_OUT = {
    "norms": lambda x: (F.instance_norm(x), F.group_norm(x, 3), F.rms_norm(x, x.shape[-1:]), F.batch_norm(x, None, None, training=True)),
    "joins": lambda x: (torch.stack([x, x]), torch.stack([x, x], 2), torch.stack([x, x], -1), torch.cat([x, x.contiguous()])),
    "shifts": lambda x: (x.roll(1, 1), x.roll((1, 1), (0, 3)), x.roll(2), x.roll(0, 1)),
    "pads": lambda x: (F.pad(x, (-1, -1)), F.pad(x, (1, -1)), *(F.pad(x, (1, 1, 1, 1), mode=m) for m in ("reflect", "replicate", "circular"))),
    "writes": lambda x: (x.index_add(1, T([0]), x[:, :1]), x.index_copy(1, T([0]), x[:, 1:2]), x.index_fill(1, T([0]), 2.0),
                         x.slice_scatter(x[:, :1], 1, 0, 1), x.masked_scatter(x > 0, x.contiguous()), x.put(T([0]), T([1.0]))),
    "products": lambda x: (F.conv2d(x, torch.ones(4, 3, 2, 2)), F.conv2d(x.double(), torch.ones(4, 3, 2, 2, dtype=torch.float64)),
                           torch.addr(x[0, 0], x[0, 0, :, 0], x[0, 0, 0])),
    "formats": lambda x: (x.to(memory_format=torch.channels_last), x.to(memory_format=torch.contiguous_format), x.clone(),
                          x.to(torch.float64, memory_format=torch.contiguous_format), torch.zeros_like(x), F.rrelu(x)),
    "powers": lambda x: (torch.pow(2, x), x**2, 2.0**x, torch.float_power(2.0, x)),
    "losses": lambda x: (F.huber_loss(x, x.contiguous(), reduction="none"), F.kl_div(x, x.contiguous().abs(), reduction="none")),
}  # fmt: skip
OPERANDS = {
    "channels_last": lambda: randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    "permuted": lambda: randn(5, 3, 2, 4).permute(2, 1, 3, 0),
    "sliced": lambda: randn(4, 3, 8, 5)[::2, :, ::2],
    "expanded": lambda: randn(1, 3, 4, 5).expand(2, 3, 4, 5),
    "offset": lambda: randn(3, 3, 4, 5)[1:],
}


@pytest.mark.parametrize("layout", OPERANDS)
@pytest.mark.parametrize("name", LAID_OUT)
def test_results_are_laid_out_as_in_eager(name, layout):
    same(LAID_OUT[name], OPERANDS[layout]())


@pytest.mark.parametrize("settings", GENERATED, ids=IDS)
def test_a_view_is_of_the_layout_that_eager_gives_what_it_views(settings):
    """Resampled to the size that it has, a tensor is a row-major copy."""
    same(
        lambda x: F.interpolate(x, size=(4, 5), mode="bilinear").view(-1) * 2, OPERANDS["permuted"](), settings=settings
    )


def test_volumes_are_laid_out_as_in_eager():
    def fn(x):
        return (F.max_pool3d(x, 2), F.avg_pool3d(x, 2), F.adaptive_avg_pool3d(x, 1), F.adaptive_avg_pool3d(x, 2), F.instance_norm(x),
                F.interpolate(x, scale_factor=2), F.pad(x, (1, 1) * 3, mode="replicate"), F.conv3d(x, torch.ones(2, 3, 2, 2, 2)),
                x.to(memory_format=torch.channels_last_3d), x.contiguous(memory_format=torch.channels_last_3d),
                x.is_contiguous(memory_format=torch.channels_last_3d))  # fmt: skip

    same(fn, randn(2, 3, 4, 5, 6).contiguous(memory_format=torch.channels_last_3d))
    same(fn, randn(2, 3, 4, 5, 6))


def test_complex_operands_are_laid_out_as_in_eager():
    def fn(x, w):
        return x.angle(), torch.angle(x[0]), x.abs(), F.conv2d(x, w), F.conv_transpose2d(x, w), x[:, 0].angle()

    x, w = torch.complex(randn(2, 3, 4, 5), randn(2, 3, 4, 5)), torch.complex(randn(3, 3, 2, 2), randn(3, 3, 2, 2))
    for layout in (torch.contiguous_format, torch.channels_last):
        same(fn, x.contiguous(memory_format=layout), w.contiguous(memory_format=layout))
    same(fn, x.mT, w.mT)


@pytest.mark.parametrize("factor", [1, 2])
def test_shuffled_pixels_are_laid_out_as_in_eager(factor):
    def fn(x):
        return F.pixel_shuffle(x, factor), F.pixel_unshuffle(x, factor), F.channel_shuffle(x, 4)

    x = randn(2, 8, 4, 6)
    last = randn(4, 16, 8, 12).contiguous(memory_format=torch.channels_last)
    for operand in (x, last, x.transpose(2, 3), x.transpose(1, 3)[:, :4]):
        same(fn, operand)
    for gaps in (last[::2], last[:, :8], last[..., :4, :], last[..., ::2], last[..., :2, :2], last[:0], last[:, :, :0]):
        same(fn, gaps)


def test_strides_of_size_one_dims_are_laid_out_as_in_eager():
    def fn(x, y, w):
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
        normed = F.batch_norm(x, mean, var), F.batch_norm(x, None, None, training=True), F.rms_norm(y, (1,))
        return *normed, F.prelu(y, w), F.binary_cross_entropy(y, y, reduction="none")

    x, w = torch.rand(2, 4, 1, 1).as_strided((2, 4, 1, 1), (4, 1, 4, 4)), torch.ones(4)
    for y in (x, torch.rand(4, 4, 5, 1)[::4, :, ::2], torch.rand(1, 5, 2, 4).permute(0, 3, 1, 2)[:, :, :2]):
        same(fn, x, y, w)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_an_input_whose_elements_stand_at_one_place(backend):
    """Windows that overlap, which the rest of a function gets behind a graph break."""

    def program(x, windows):
        windows[0] = 0
        windows[torch.tensor([0, 0])] += 1
        return windows * 2

    compiled = quern.compile(program, backend=backend)
    for n in (5, 6, 9):
        one, other = torch.arange(float(n)), torch.arange(float(n))
        wanted = program(one, one.unfold(-1, 2, 1))
        got = compiled(other, other.unfold(-1, 2, 1))
        assert torch.equal(one, other) and torch.equal(wanted, got)
