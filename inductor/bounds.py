"""Bounds of integer arrays that follow from a graph alone (an arange, a constant), whatever the data."""

from __future__ import annotations

from typing import Any

from .graph import Node
from .ops.intervals import Interval

#: the most nodes that are looked at for one answer
_FOLLOWED = 100


def is_below(index: Node, size: Any) -> bool:
    """Whether these are surely numbers from 0 to below `size`: a call looked, or the op counts no further."""
    bits = 8 * index.dtype.size
    while index.op.elements == "first":
        source = index.inputs[0]
        if source is None or isinstance(source.meta, tuple) or not source.dtype.is_int:
            return False
        index, bits = source, min(bits, 8 * source.dtype.size)
    found = None if index.op.below is None else index.op.below(index)
    if isinstance(found, int) and isinstance(size, int):
        return found <= min(size, 1 << bits - 1)
    return found is not None and bits == 64 and bool(found == size)


def interval(n: Node, known: dict[Node, Interval | None] | None = None) -> Interval | None:
    """Bounds of an integer node's values from the graph alone; None when they depend on data. `known`: those of other nodes."""
    known = {} if known is None else known
    if n not in known:
        known[n] = None  # a chain that is too long to follow
        if n.op.bounds is not None and len(known) <= _FOLLOWED:
            known[n] = n.op.bounds(n, lambda i: interval(i, known))
    return known[n]
