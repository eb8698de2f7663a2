"""Sums of products of two operands, tile by tile with `tl.dot`.

No tiles are written yet: the other strategies emit what is generated all the same, a block of points at a time.
"""

from __future__ import annotations

from ....contraction import Axes, recognise
from ....refusal import Refusal
from .way import Request


def plan(request: Request) -> Refusal:
    """For contractions that tiles cover."""
    found = recognise(request.kernel)
    return found if isinstance(found, Refusal) else tiles(found.axes)


def tiles(axes: Axes) -> Refusal:
    """The tiles of a contraction."""
    if not (axes.rows and axes.columns):
        return Refusal("nothing-to-tile", "heuristic", "no element of an operand is used twice")
    return Refusal("no-dot", "heuristic", "it would be summed without the matrix units")
