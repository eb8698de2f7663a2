"""Iterators of rolled loops: whether they have an item left, what it is, and what they go over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .....inductor.sequential.program import ONE, Apply, Expr, Literal
from . import elements, numbers
from .kinds import SMALL_BITS, CannotRoll, Counted, Number, Placed, Rows, Several, Trace, Walk, Zipped


def more(t: Trace, it: Any) -> Expr:
    """Whether an iterator has an item left."""
    if isinstance(it, Walk):
        forward = it.step > 0
        return t.let(Apply("lt" if forward else "gt", (it.at.expr, it.stop.expr), "bool"))
    if isinstance(it, Rows):
        return t.let(Apply("lt", (it.at.expr, it.array.sizes[0].expr), "bool"))
    if isinstance(it, (Counted, Placed)):
        return more(t, it.inner)
    if isinstance(it, Zipped) and it.parts:
        first, *others = (more(t, p) for p in it.parts)
        for other in others:
            first = t.let(Apply("both", (first, other), "bool"))
        return first
    raise CannotRoll(f"iterating over {type(it).__name__}")


def item(t: Trace, it: Any, unswitches: bool) -> tuple[Any, Any]:
    """(the next item, the iterator behind it). unswitches: whether loops have a version that need not look at their items"""
    if isinstance(it, Walk):
        after = t.let(Apply("add", (it.at.expr, Literal(it.step, "int64")), "int64"))
        stop = it.stop.expr
        to_zero = isinstance(stop, Literal) and isinstance(stop.value, int) and stop.value >= -1
        natural = it.at.natural if it.step > 0 else to_zero
        number = replace(it.at, natural=natural, loop=it.loop if unswitches else None)
        return number, replace(it, at=replace(it.at, expr=after))
    if isinstance(it, Rows):
        after = t.let(Apply("add", (it.at.expr, ONE), "int64"))
        array = it.array
        if array.ndim == 1:
            row: Any = Number(t.let(array.at((it.at.expr,)), reads=True), array.dtype)
        else:
            row = elements.view(t, array, array.sizes[1:], array.ref.strides[1:],
                                 elements.small("mul", it.at.expr, array.ref.strides[0]))  # fmt: skip
        return row, Rows(array, replace(it.at, expr=after))
    if isinstance(it, Counted):
        row, inner = item(t, it.inner, unswitches)
        place = t.let(Apply("add", (it.at.expr, ONE), "int64"))
        return Several((it.at, row)), Counted(inner, replace(it.at, expr=place, bits=SMALL_BITS, known=None))
    if isinstance(it, Placed):
        rest, inner = item(t, it.inner, unswitches)
        found: list[Number] = []
        for size in it.sizes[:0:-1]:
            found.append(numbers.binary(t, "%", rest, size))
            rest = numbers.binary(t, "//", rest, size)
        return Several((rest, *found[::-1])), replace(it, inner=inner)
    assert isinstance(it, Zipped)
    items, parts = zip(*(item(t, p, unswitches) for p in it.parts))
    return Several(tuple(items)), Zipped(tuple(parts))


def gone_over(it: Any) -> frozenset[str]:
    """What the arrays may lie in that an iterator goes over."""
    if isinstance(it, Rows):
        return it.array.bases
    if isinstance(it, (Counted, Placed)):
        return gone_over(it.inner)
    return frozenset().union(*map(gone_over, it.parts)) if isinstance(it, Zipped) else frozenset()


def loops_of(it: Any) -> list[int]:
    """The loops over ranges whose items an iterator gives."""
    if isinstance(it, Walk):
        return [it.loop]
    if isinstance(it, (Counted, Placed)):
        return loops_of(it.inner)
    return [loop for p in it.parts for loop in loops_of(p)] if isinstance(it, Zipped) else []
