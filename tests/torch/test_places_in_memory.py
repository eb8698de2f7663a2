"""Where a tensor begins in its memory, and what lies around it: what the functions that look there make of it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import quern  # noqa: E402

ATEN = torch.ops.aten


def paired(x):
    return torch.view_as_complex(x.view(3, 2, 2))


def written_later(x, y):
    r = torch.select_scatter(x[1:], y.expand(4), 0, 0)
    x.add_(1)
    r.mul_(2)
    return r


#: what the sizes of windows are is no fact of the graph where sizes are symbols: there it breaks, and the rest of a program goes on
PROGRAMS = {
    "select_scatter": lambda x, y: torch.select_scatter(x[-1], y, -1, 0),
    "select_scatter of rows": lambda x, y: torch.select_scatter((x + 1)[1:], y.expand(4), 0, 1),
    "its offset": lambda x, y: torch.select_scatter((x + 1)[1], y, 0, 1).storage_offset(),
    "memory around it": lambda x, y: torch.select_scatter((x + 1)[1], y, 0, 1).as_strided((6,), (1,), 1),
    "slice_scatter of columns": lambda x, y: torch.slice_scatter((x + 1).t()[1:], y.expand(2, 3), 0, 1),
    "slice_scatter of nothing": lambda x, y: torch.slice_scatter((x + 1)[1:][:0], y.expand(0, 4), 0, 1),
    "diagonal_scatter with gaps": lambda x, y: torch.diagonal_scatter((x + 1)[1:, ::2], y.expand(2)),
    "an input that is written later": written_later,
    "windows": lambda x, y: torch.select_scatter(x.view(-1).unfold(0, 3, 1), y.expand(10), 1, 1),
    "windows further on": lambda x, y: torch.select_scatter((x + 1).view(-1)[1:].unfold(0, 3, 1), y.expand(9), 1, 1),
    "repeated rows": lambda x, y: torch.select_scatter(x[1:2].expand(3, 4), y.expand(4), 0, 1),
    "as_strided_scatter": lambda x, y: torch.as_strided_scatter((x + 1)[1:], y.expand(2), (2,), (1,), 5),
    "as_strided_scatter before it": lambda x, y: torch.as_strided_scatter((x + 1)[1:], y.expand(2), (2,), (1,), 1),
    "as_strided_scatter where it begins": lambda x, y: x[1:].as_strided_scatter(y.expand(2), (2,), (1,)),
    "as_strided_scatter of an input": lambda x, y: torch.as_strided_scatter(x[1:], y.expand(2), (2,), (1,), 5),
    "as_strided_scatter of repeated rows": lambda x, y: torch.as_strided_scatter(
        x[:1].expand(3, 4), y.expand(2), (2,), (1,), 1
    ),
    "as_strided_copy": lambda x, y: (
        torch.as_strided_copy((x + 1)[1:], (2,), (1,), 1),
        torch.as_strided_copy((x + 1)[1:], (2,), (2,)),
    ),
    "operators": lambda x, y: (
        ATEN.as_strided((x + 1)[1:], (2,), (1,), 1),
        ATEN.as_strided_copy((x + 1)[1:], (2,), (1,), 1),
        ATEN.as_strided_scatter((x + 1)[1:], y.expand(2), (2,), (1,), 5),
        ATEN.select_scatter.default((x + 1)[1:], y.expand(4), 0, 1),
        ATEN.slice_scatter((x + 1)[1:], y.expand(2, 2), 1, 1, 3),
        ATEN.diagonal_scatter((x + 1)[1:], y.expand(2)),
    ),
    "other elements": lambda x, y: x.view(torch.int32).as_strided((2,), (1,)),
    "other elements, from the memory's first": lambda x, y: x.view(torch.int32).as_strided((2,), (1,), 1),
    "smaller elements": lambda x, y: (x + 1).view(torch.int16)[:, 1:].as_strided((2,), (1,)),
    "where smaller elements begin": lambda x, y: (x + 1)[1:].view(torch.int16)[:, 1:].storage_offset(),
    "complex numbers": lambda x, y: paired(x).as_strided((2,), (1,)),
    "where complex numbers begin": lambda x, y: paired(x)[1:].storage_offset(),
    "imaginary parts": lambda x, y: (paired(x).imag.as_strided((2,), (1,)), paired(x).imag.storage_offset()),
    "a row that a tensor tells": lambda x, y: (
        x[torch.tensor(1)].as_strided((2,), (1,)),
        x[torch.tensor(1)].storage_offset(),
    ),
    "a part of a row that a tensor tells": lambda x, y: torch.select_scatter(x[torch.tensor(1)], y, 0, 1),
}  # fmt: skip


def seen(tree):
    if isinstance(tree, tuple):
        return [seen(t) for t in tree]
    if not isinstance(tree, torch.Tensor):
        return tree
    return tree.tolist(), tree.stride(), tree.storage_offset(), tree.dtype


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_values(name, backend, dynamic, before):
    program = PROGRAMS[name]
    function = quern.compile(program, backend=backend, dynamic=dynamic)
    with torch.no_grad():
        x, y = torch.arange(40.0)[before : before + 12].view(3, 4), torch.tensor(70.0)
        expected = seen(program(x, y))
        x = torch.arange(40.0)[before : before + 12].view(3, 4)
        assert seen(function(x, y)) == expected


#: these break the graph
UNKNOWN = ("windows", "other elements, from", "where ", "imaginary", "a row that", "a part of a row")


@pytest.mark.parametrize("name", [n for n in PROGRAMS if not n.startswith(UNKNOWN)])
def test_what_is_one_graph(name):
    x, y = torch.arange(12.0).view(3, 4), torch.tensor(70.0)
    with torch.no_grad():
        quern.compile(PROGRAMS[name], fullgraph=True)(x, y)


def test_the_memory_before_an_input_is_guarded():
    whole = torch.arange(40.0)
    function = quern.compile(lambda x, y: torch.select_scatter(x[1], y, 0, 1), fullgraph=True)
    with torch.no_grad():
        for before in (2, 2, 3, 0, 2):
            x, y = whole[before : before + 12].view(3, 4), torch.tensor(70.0)
            made, expected = function(x, y), torch.select_scatter(x[1], y, 0, 1)
            assert seen(made) == seen(expected)
            around = (expected.storage_offset() + 4,), (1,), 0
            assert torch.equal(made.as_strided(*around), expected.as_strided(*around))


#: each leaves one row of some, of which `contiguous` makes a copy only where several are left
PARTS = {
    "contiguous": lambda x: x[1:, :1].contiguous(),
    "is_contiguous": lambda x: (x[1:, :1].is_contiguous(), x[1:, :1].contiguous().abs()),
    "ravel": lambda x: x[1:, :1].ravel(),
    "reshape": lambda x: x[1:, :1].reshape(-1),
    "flatten": lambda x: x[1:, :1].flatten(),
    "columns": lambda x: x[1:].transpose(0, 2)[:1].contiguous(),
    "nothing is left": lambda x: x[2:, :1].contiguous(),
    "a write": lambda x: x[1:, :1].contiguous().add_(1),
    "channels_last": lambda x: x.unsqueeze(1)[1:].contiguous(memory_format=torch.channels_last),
    "a result's layout": lambda x: x[1:, :1] + x[1:, :1],
}


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", PARTS)
def test_parts_of_one_row(name, backend):
    """A size that is one now, of a part of something with a size that changes."""
    program = PARTS[name]
    function = quern.compile(program, backend=backend, dynamic=True)
    for rows in (2, 3, 5, 2):
        x, other = (torch.arange(rows * 12.0).view(rows, 3, 4) for _ in range(2))
        expected, made = program(x), function(other)
        assert seen(made) == seen(expected)
        assert torch.equal(x, other)
        if isinstance(made, torch.Tensor):
            assert (made.data_ptr() - other.data_ptr() == made.storage_offset() * 4) == (
                expected.data_ptr() - x.data_ptr() == expected.storage_offset() * 4
            )
