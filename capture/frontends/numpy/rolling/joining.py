"""Arrays that are put together of others: `np.concatenate` and its kin, and what is an array where NumPy takes anything for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .....inductor.sequential.program import ZERO, Expr
from . import elements
from .kinds import NONE, CannotRoll, Chosen, Elements, Extent, InMemory, Number, Several, Trace, literal

#: arguments that are left out
_ZERO = literal(0)


def as_array(t: Trace, value: Any) -> Elements:
    """What `np.asarray(value)` is. Tuples and lists of numbers or arrays are new arrays."""
    if isinstance(value, Chosen):
        return elements.settled(t, value)
    if isinstance(value, Elements):
        return value
    if isinstance(value, Number):
        return Elements(value.dtype, (), lambda index: value.expr)
    if isinstance(value, Several):
        return of_items(t, value.items, None)
    raise CannotRoll(f"{type(value).__name__} where an array is wanted")


def of_items(t: Trace, items: Sequence[Any], dtype: np.dtype | None) -> InMemory:
    """`np.array((a, b, c))` of numbers, or of arrays or tuples: it lies row by row, however these do."""
    if not items or all(isinstance(i, Number) for i in items):
        return elements.of_numbers(t, items, dtype)
    rows = [elements.new_axis(as_array(t, i), 0) for i in items]
    if dtype is not None and not all(np.can_cast(r.dtype, dtype, "same_kind") for r in rows):
        raise CannotRoll(f"np.array of other types as {dtype}")
    return replace(concatenated(t, rows, 0, dtype), by_rows=True)


def concatenated(t: Trace, arrays: Sequence[Elements], axis: int, dtype: np.dtype | None = None) -> InMemory:
    """A new array of arrays side by side along an axis."""
    first, *others = arrays
    if any(a.ndim != first.ndim for a in others):
        raise CannotRoll("arrays with different numbers of axes side by side")
    sizes = list(first.sizes)
    for other in others:
        for d, (mine, theirs) in enumerate(zip(first.sizes, other.sizes)):
            if d == axis:
                sizes[d] = _sum(t, sizes[d], theirs)
            elif not elements.agree(t, mine, theirs):
                raise CannotRoll("arrays of different sizes side by side")
    found = dtype or np.result_type(*[a.dtype for a in arrays])
    made = elements.new(t, sizes, found, by_rows=all(a.by_rows for a in arrays))
    at: Expr = ZERO
    for a in arrays:
        elements.fill_new(t, elements.stretch(t, made, axis, at, a.sizes[axis]), a)
        at = t.let(elements.small("add", at, a.sizes[axis].expr))
    return made


def _sum(t: Trace, a: Extent, b: Extent) -> Extent:
    known = None if a.known is None or b.known is None else a.known + b.known
    return Extent(t.let(elements.small("add", a.expr, b.expr)), known)


def _arrays(t: Trace, given: Any) -> list[Elements]:
    """The arrays of a tuple or list."""
    if not isinstance(given, Several) or not given.items:
        raise CannotRoll("joining what is no tuple or list of arrays")
    return [as_array(t, i) for i in given.items]


def _axis(t: Trace, axis: Any, ndim: int) -> int:
    found = t.axes(axis, ndim)
    if found is None or len(found) != 1:
        raise CannotRoll("joining along other than one axis")
    return found[0]


def _flat(t: Trace, a: Elements) -> Elements:
    if a.ndim == 1:
        return a
    if not a.ndim:
        return elements.new_axis(a, 0)
    return elements.raveled(t, elements.in_memory(t, replace(a, by_rows=True), fresh=True))


def _concatenate(t: Trace, given: Any, axis: Any = _ZERO, *, dtype: Any = NONE) -> Any:
    arrays = _arrays(t, given)
    if axis == NONE:
        arrays, axis = [_flat(t, a) for a in arrays], literal(0)
    if not arrays[0].ndim:
        raise CannotRoll("joining numbers")
    wanted = None if dtype == NONE else t.dtype(dtype, None)
    if wanted is not None and not all(np.can_cast(a.dtype, wanted, "safe") for a in arrays):
        raise CannotRoll(f"joining arrays to {wanted}")
    return concatenated(t, arrays, _axis(t, axis, arrays[0].ndim), wanted)


def _stack(t: Trace, given: Any, axis: Any = _ZERO) -> Any:
    arrays = _arrays(t, given)
    at = _axis(t, axis, arrays[0].ndim + 1)
    if any(a.ndim != arrays[0].ndim for a in arrays):
        raise CannotRoll("stacking arrays with different numbers of axes")
    return concatenated(t, [elements.new_axis(a, at) for a in arrays], at)


def _with_axes(a: Elements, least: int, behind: bool = False) -> Elements:
    """The array with axes of size one before its own, or behind them, until it has so many."""
    while a.ndim < least:
        a = elements.new_axis(a, a.ndim if behind and a.ndim else 0)
    return a


def _hstack(t: Trace, given: Any) -> Any:
    arrays = [_with_axes(a, 1) for a in _arrays(t, given)]
    return concatenated(t, arrays, 0 if arrays[0].ndim == 1 else 1)


def _vstack(t: Trace, given: Any) -> Any:
    return concatenated(t, [_with_axes(a, 2) for a in _arrays(t, given)], 0)


def _column_stack(t: Trace, given: Any) -> Any:
    return concatenated(t, [_with_axes(a, 2, behind=True) for a in _arrays(t, given)], 1)


def _append(t: Trace, a: Any, values: Any, axis: Any = NONE) -> Any:
    return _concatenate(t, Several((a, values)), axis)


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.concatenate: _concatenate, np.stack: _stack, np.hstack: _hstack, np.vstack: _vstack,
    np.column_stack: _column_stack, np.append: _append,
}  # fmt: skip
