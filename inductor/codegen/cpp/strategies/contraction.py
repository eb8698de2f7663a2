"""Sums of products of two operands, in blocks of registers: rows by columns, the inner axes walked once for a block.

No blocks are written yet: the other strategies emit what is generated all the same, one point or one vector of points at a time.
"""

from __future__ import annotations

from ....contraction import Axes, recognise
from ....refusal import Refusal
from ..nest import Nest


def plan(nest: Nest) -> Refusal:
    """For contractions whose blocks fit."""
    found = recognise(nest.kernel)
    return found if isinstance(found, Refusal) else blocks(found.axes)


def blocks(axes: Axes) -> Refusal:
    """The blocks of a contraction."""
    if not (axes.rows and axes.columns):
        return Refusal("nothing-to-block", "heuristic", "no element of an operand is used twice")
    return Refusal("no-register-blocks", "heuristic", "it would be summed point by point")
