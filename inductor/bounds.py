"""Bounds of integer arrays that follow from a graph alone (an arange, a constant), whatever the data."""

from __future__ import annotations

from typing import Any

from .graph import Node
from .ops.intervals import Interval

#: the most nodes that are looked at for one answer
_FOLLOWED = 100


def is_below(index: Node, size: Any) -> bool:
    """Whether a call said that it looked: these are numbers from 0 to below `size`, a symbolic size."""
    while index.op.elements == "first":
        source = index.inputs[0]
        if source is None or isinstance(source.meta, tuple) or source.dtype != index.dtype:
            break
        index = source
    return bool(index.attrs.get("below") == size)


def interval(n: Node, known: dict[Node, Interval | None] | None = None) -> Interval | None:
    """Bounds of an integer node's values from the graph alone; None when they depend on data. `known`: those of other nodes."""
    known = {} if known is None else known
    if n not in known:
        known[n] = None  # a chain that is too long to follow
        if n.op.bounds is not None and len(known) <= _FOLLOWED:
            known[n] = n.op.bounds(n, lambda i: interval(i, known))
    return known[n]
