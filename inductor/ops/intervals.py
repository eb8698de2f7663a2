"""Rules of the table's column `bounds`: what follows for an integer result from its inputs' intervals, whatever the data.

A rule gets the node and a function that gives another node's interval, (lowest, highest) or None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..graph import Dim, Node
from .dims import is_whole
from .facts import Operand

Interval = tuple[int, int]
Known = Callable[[Node], Interval | None]


def of_elements(node: Node, known: Known) -> Interval | None:
    """Its elements are its inputs' elements."""
    found = [known(i) for k, i in enumerate(node.inputs) if i is not None and _takes(node.op.operand(k))]
    if not found or None in found or not _all_ints(node):
        return None
    return _held(node, [end for o in found if o is not None for end in o])


def of_corners(meaning: Callable[[int, int], int]) -> Callable[[Node, Known], Interval | None]:
    """It takes its extremes where both operands take theirs."""

    def rule(node: Node, known: Known) -> Interval | None:
        found = [known(i) for i in node.inputs if i is not None]
        if len(found) != 2 or found[0] is None or found[1] is None or not _all_ints(node):
            return None
        return _held(node, [meaning(x, y) for x in found[0] for y in found[1]])

    return rule


def of_number(node: Node, known: Known) -> Interval | None:
    """It holds its attribute `value`: a number, or several."""
    value: Any = node.attrs["value"]
    values = value if isinstance(value, (list, tuple)) else [value]
    return (min(values), max(values)) if values and all(type(v) is int for v in values) else None


def of_ramp(node: Node, known: Known) -> Interval | None:
    """It counts from `start` in steps of `step`."""
    start, end, step = node.attrs["start"], node.attrs["end"], node.attrs["step"]
    count = node.shape[0]
    if not all(type(v) is int for v in (start, end, step)) or not isinstance(count, int) or not count:
        return None
    last = start + (count - 1) * step
    return min(start, last), max(start, last)


def of_checked_call(node: Node, known: Known) -> Interval | None:
    """The call looked at its result: see `below_checked`."""
    below = below_checked(node)
    return (0, below - 1) if isinstance(below, int) and below > 0 else None


def below_checked(node: Node) -> Dim | None:
    """The call looked at its result: numbers from 0 to below its attribute `below`."""
    return node.attrs.get("below")


def below_end(node: Node) -> Dim | None:
    """It counts 0, 1, 2, ... to below `end`."""
    start, end, step = node.attrs["start"], node.attrs["end"], node.attrs["step"]
    return end if start == 0 and step == 1 and is_whole(end) else None


def below_axis(node: Node) -> Dim | None:
    """Positions along one axis of its input."""
    x, dim = node.inputs[0], node.attrs["dim"]
    return x.shape[dim] if x is not None and x.shape and isinstance(dim, int) else None


def _takes(operand: Operand) -> bool:
    return operand.role == "value"


def _all_ints(node: Node) -> bool:
    return node.dtype.is_int and all(
        i.dtype.is_int for k, i in enumerate(node.inputs) if i is not None and _takes(node.op.operand(k))
    )


def _held(node: Node, ends: list[int]) -> Interval | None:
    """The interval of these ends, where the node's dtype holds them all: others wrap around."""
    bits = 8 * node.dtype.size
    low, high = (0, 1 << bits) if node.dtype.kind == "uint" else (-1 << bits - 1, 1 << bits - 1)
    return (min(ends), max(ends)) if low <= min(ends) and max(ends) < high else None
