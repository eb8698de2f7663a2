"""Indices that come from data are checked when the graph runs: generated code never reads out of bounds, and an index that eager
refuses is refused here too, not silently moved into range.

What can be bounded from the graph alone (an arange, a constant) is not checked at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .graph import Dim, Graph, GraphBuilder, Node
from .ops.table import Op
from .passes import rebuild

#: (lowest, highest) value of an integer array, when known
Interval = tuple[int, int]

#: ops that give their argument's values in another layout
_MOVES = frozenset(("clone", "contiguous", "restride"))

_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
}


def _by_dim(position: int, negative: bool) -> Callable[[Node], Iterator[tuple[int, Dim, int, bool]]]:
    def find(n: Node) -> Iterator[tuple[int, Dim, int, bool]]:
        x = n.inputs[0]
        assert x is not None
        if x.shape:
            dim = n.attrs["dim"] % len(x.shape)
            yield position, x.shape[dim], dim, negative

    return find


def _along_dim(n: Node) -> Iterator[tuple[int, Dim, int, bool]]:
    """Along a dim positions may count from the end; into the flattened tensor they may not."""
    x = n.inputs[0]
    assert x is not None
    if n.attrs["dim"] is not None:
        yield from _by_dim(1, True)(n)
    elif x.shape:
        yield 1, x.meta.numel, 0, False


def _one_per_dim(first: int) -> Callable[[Node], Iterator[tuple[int, Dim, int, bool]]]:
    def find(n: Node) -> Iterator[tuple[int, Dim, int, bool]]:
        x = n.inputs[0]
        assert x is not None
        for dim, index in enumerate(n.inputs[first:]):
            if index is not None and index.dtype.is_int:
                yield first + dim, x.shape[dim], dim, True

    return find


def _rows_of_weight(n: Node) -> Iterator[tuple[int, Dim, int, bool]]:
    weight = n.inputs[1]
    assert weight is not None
    yield 0, weight.shape[0], 0, False


#: op -> (input that is an index, size it must stay below, dim, whether negative counts from the end)
_INDEXED: dict[str, Callable[[Node], Iterator[tuple[int, Dim, int, bool]]]] = {
    "embedding": _rows_of_weight,
    "gather": _by_dim(1, False),
    "take_along_dim": _along_dim,
    "index_select": _by_dim(1, False),
    "index_add": _by_dim(1, False),
    "index_copy": _by_dim(1, False),
    "index_fill": _by_dim(1, True),
    "scatter": _by_dim(1, False),
    "scatter_add": _by_dim(1, False),
    "index": _one_per_dim(1),
    "index_put": _one_per_dim(2),
}


def check_indices(graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """Put a `checked_index` before every index that may be out of range."""

    def visit(b: GraphBuilder, n: Node, inputs: list[Node | None]) -> Node:
        find = _INDEXED.get(n.op.name)
        for position, size, dim, negative in find(n) if find is not None and n.meta.device == "cpu" else ():
            old, index = n.inputs[position], inputs[position]
            assert old is not None and index is not None
            if not _within(old, size, negative) and 0 not in old.shape:
                inputs[position] = b.call(
                    "checked_index", index, size=size, dim=dim, negative=negative, reader=n.op.name
                )
        return b.append(n.op, inputs, n.attrs, n.meta)

    return rebuild(graph, ops, visit)


def _within(index: Node, size: Dim, negative: bool) -> bool:
    if not isinstance(size, int):
        while index.op.name in _MOVES and index.inputs[0] is not None:
            index = index.inputs[0]
        return bool(index.attrs.get("below") == size)
    found = interval(index)
    if found is None:
        return False
    return (-size if negative else 0) <= found[0] and found[1] < size


def interval(n: Node, depth: int = 0) -> Interval | None:
    """Bounds of an integer node's values from the graph alone; None when they depend on data."""
    name, attrs = n.op.name, n.attrs
    if depth > 20:
        return None
    if n.op.kind == "extern":
        below = attrs.get("below")
        return (0, below - 1) if isinstance(below, int) and below > 0 else None
    if name == "arange":
        start, end, step = attrs["start"], attrs["end"], attrs["step"]
        if all(type(v) is int for v in (start, end, step)) and n.shape and n.shape[0]:
            ends = (start, start + (int(n.shape[0]) - 1) * step) if isinstance(n.shape[0], int) else None
            return None if ends is None else (min(ends), max(ends))
        return None
    if name == "scalar":
        return _point(attrs["value"])
    if name in ("full", "full_like"):
        return _point(attrs["value"])
    if name == "constant":
        values: Any = attrs["value"]
        return (min(values), max(values)) if values and all(type(v) is int for v in values) else None
    operands = [interval(i, depth + 1) for i in n.inputs if i is not None]
    if n.op.kind == "view" or name in _MOVES or name in ("cast", "stack", "cat", "repeat"):
        if name == "cast" and not (n.dtype.is_int and n.inputs[0] is not None and n.inputs[0].dtype.is_int):
            return None
        known = [o for o in operands if o is not None]
        if len(known) != len(operands) or not known:
            return None
        return min(k[0] for k in known), max(k[1] for k in known)
    if name in _ARITHMETIC and len(operands) == 2 and all(operands):
        (a, b), (c, d) = operands  # type: ignore[misc]
        ends4 = [_ARITHMETIC[name](x, y) for x in (a, b) for y in (c, d)]
        return min(ends4), max(ends4)
    return None


def _point(value: Any) -> Interval | None:
    return (value, value) if type(value) is int else None
