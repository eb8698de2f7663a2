"""Bounds of integer arrays that follow from a graph alone (an arange, a constant), whatever the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .graph import Node

#: (lowest, highest) value of an integer array, when known
Interval = tuple[int, int]

#: ops that give their argument's values in another layout
_MOVES = frozenset(("clone", "contiguous", "restride"))

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
