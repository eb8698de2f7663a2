"""Bounds of integer arrays that follow from a graph alone (an arange, a constant), whatever the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .graph import Node

#: (lowest, highest) value of an integer array, when known
Interval = tuple[int, int]

#: ops that give their argument's values in another layout
_MOVES = frozenset(("clone", "contiguous", "restride"))

#: the most nodes that are looked at for one answer
_FOLLOWED = 100

_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
}


def is_below(index: Node, size: Any) -> bool:
    """Whether a call said that it looked: these are numbers from 0 to below `size`, a symbolic size."""
    while index.op.name in _MOVES and index.inputs[0] is not None:
        index = index.inputs[0]
    return bool(index.attrs.get("below") == size)


def interval(n: Node, known: dict[Node, Interval | None] | None = None) -> Interval | None:
    """Bounds of an integer node's values from the graph alone; None when they depend on data. `known`: those of other nodes."""
    known = {} if known is None else known
    if n not in known:
        known[n] = None  # a chain that is too long to follow
        if len(known) <= _FOLLOWED:
            known[n] = _interval(n, known)
    return known[n]


def _interval(n: Node, known: dict[Node, Interval | None]) -> Interval | None:
    name, attrs = n.op.name, n.attrs
    if n.op.kind == "extern":
        below = attrs.get("below")
        return (0, below - 1) if isinstance(below, int) and below > 0 else None
    if name == "arange":
        start, end, step = attrs["start"], attrs["end"], attrs["step"]
        if all(type(v) is int for v in (start, end, step)) and n.shape and n.shape[0]:
            ends = (start, start + (int(n.shape[0]) - 1) * step) if isinstance(n.shape[0], int) else None
            return None if ends is None else (min(ends), max(ends))
        return None
    if name in ("scalar", "full", "full_like"):
        return _point(attrs["value"])
    if name == "constant":
        values: Any = attrs["value"]
        return (min(values), max(values)) if values and all(type(v) is int for v in values) else None
    keeps = n.op.kind == "view" or name in _MOVES or name in ("cast", "stack", "cat", "repeat")
    if not keeps and name not in _ARITHMETIC or not n.dtype.is_int:
        return None
    operands = [interval(i, known) for i in n.inputs if i is not None]
    found = [o for o in operands if o is not None]
    if not found or len(found) != len(operands) or not all(i.dtype.is_int for i in n.inputs if i is not None):
        return None
    if keeps:
        return _held(n, [end for o in found for end in o])
    if len(found) != 2:
        return None
    return _held(n, [_ARITHMETIC[name](x, y) for x in found[0] for y in found[1]])


def _held(n: Node, ends: list[int]) -> Interval | None:
    """The interval of these ends, where the node's dtype holds them all: others wrap around."""
    bits = 8 * n.dtype.size
    low, high = (0, 1 << bits) if n.dtype.name.startswith("uint") else (-1 << bits - 1, 1 << bits - 1)
    return (min(ends), max(ends)) if low <= min(ends) and max(ends) < high else None


def _point(value: Any) -> Interval | None:
    return (value, value) if type(value) is int else None
