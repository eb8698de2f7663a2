"""Functions that put the elements of an array to other places, or look at them along other axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .....inductor.sequential.program import ONE, ZERO, Apply, Check, Expr, Literal
from . import elements, numbers
from .elements import small
from .functions import apply_ufunc
from .joining import as_array, concatenated
from .kinds import (
    NONE,
    CannotRoll,
    Elements,
    Extent,
    InMemory,
    Number,
    Part,
    Several,
    Size,
    Trace,
    literal,
)
from .ufuncs import cast

#: arguments that are left out
_ONE, _LAST, _ZERO = literal(1), literal(-1), literal(0)

_WHOLE = Part(NONE, NONE, NONE)


def at_places(t: Trace, a: Elements) -> Elements:
    """The array, fit to be read at other places than it is written to, and several times: its elements cost little and raise nothing."""
    a = elements.evaluated(t, a)
    return elements.in_memory(t, a) if elements.is_heavy(a) else a


# --------------------------------------------------------------------------- elements at other places


def _roll(t: Trace, a: Any, shift: Any, axis: Any = NONE) -> Any:
    array = as_array(t, a)
    if not array.ndim:
        raise CannotRoll("np.roll of a number")
    if axis == NONE and array.ndim > 1:
        flat = elements.raveled(t, elements.in_memory(t, replace(array, by_rows=True), fresh=True))
        return elements.reshaped(t, _roll(t, flat, shift), array.sizes)
    axes = [0] if axis == NONE else _places(t, axis, array.ndim)
    shifts = list(shift.items) if isinstance(shift, Several) else [shift]
    count = max(len(axes), len(shifts))
    if {len(axes), len(shifts)} - {1, count}:
        raise CannotRoll("as many shifts as axes")
    total: dict[int, Number] = {}
    for d, by in zip(axes * (count // len(axes)), shifts * (count // len(shifts))):
        number = numbers.as_index(t, by)
        total[d] = numbers.binary(t, "+", total[d], number) if d in total else number
    for d, number in total.items():
        array = _rolled(t, array, d, number.expr)
    return array


def _places(t: Trace, axis: Any, ndim: int) -> list[int]:
    """Axes in the order in which they are given."""
    found = t.constant(axis)
    axes = found if isinstance(found, tuple) else (found,)
    if not axes or not all(type(d) is int and -ndim <= d < ndim for d in axes):
        raise CannotRoll("an axis that is out of range")
    return [d % ndim for d in axes]


def _rolled(t: Trace, a: Elements, axis: int, shift: Expr) -> Elements:
    """The array along one axis: its last elements first, then the others."""
    a = at_places(t, a)
    size = a.sizes[axis].expr
    by = t.let(Apply("mod_int", (shift, t.let(Apply("max", (size, ONE), "int64"))), "int64"))
    if axis < a.ndim - 1:

        def place(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
            at = Apply("wrapped", (small("sub", index[axis], by), size), "int64")
            return (*index[:axis], at, *index[axis + 1 :])

        return Elements(a.dtype, a.sizes, lambda i: a.at(place(i)), lambda i: a.guards(place(i)), a.bases, a.by_rows)
    # along the last axis parts are copied as wholes, which are runs of memory
    rest = t.let(small("sub", size, by))
    made = elements.new(t, a.sizes, a.dtype, by_rows=a.by_rows)
    for target, source, count in ((by, ZERO, rest), (ZERO, rest, by)):
        extent = Extent(count)
        elements.fill_new(t, elements.stretch(t, made, axis, target, extent), _from(a, axis, source, extent))
    return made


def _from(a: Elements, axis: int, first: Expr, size: Extent) -> Elements:
    """`size` elements along an axis from `first` on."""
    sizes = (*a.sizes[:axis], size, *a.sizes[axis + 1 :])

    def place(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return (*index[:axis], small("add", index[axis], first), *index[axis + 1 :])

    return Elements(a.dtype, sizes, lambda i: a.at(place(i)), lambda i: a.guards(place(i)), a.bases, a.by_rows)


def _diff(t: Trace, a: Any, n: Any = _ONE, axis: Any = _LAST, prepend: Any = NONE, append: Any = NONE) -> Any:
    array, order = as_array(t, a), t.constant(n)
    if not array.ndim or type(order) is not int or order < 1:
        raise CannotRoll("np.diff of a number, or of no order")
    (along,) = _places(t, axis, array.ndim)
    parts = [_beside(t, p, array, along) for p in (prepend, append)]
    given = [p for p in (parts[0], array, parts[1]) if p is not None]
    array = concatenated(t, given, along) if len(given) > 1 else array
    for _ in range(order):
        stored = elements.in_memory(t, array)
        later, earlier = (
            elements.getitem(t, stored, Several((*[_WHOLE] * along, part)))
            for part in (Part(literal(1), NONE, NONE), Part(NONE, literal(-1), NONE))
        )
        array = apply_ufunc(t, np.not_equal if stored.kind == "b" else np.subtract, [later, earlier], {})
    return array


def _beside(t: Trace, value: Any, a: Elements, axis: int) -> Elements | None:
    """What np.diff puts before an array or behind it."""
    if value == NONE:
        return None
    part = as_array(t, value)
    return (
        part
        if part.ndim
        else elements.spread(t, part, (*a.sizes[:axis], Extent(ONE, Size.of(1)), *a.sizes[axis + 1 :]))
    )


def _repeat(t: Trace, a: Any, repeats: Any, axis: Any = NONE) -> Any:
    array, times = as_array(t, a), _count(t, repeats)
    if array.ndim != 1 and axis == NONE:
        raise CannotRoll("np.repeat of all elements of a matrix")
    (along,) = (0,) if axis == NONE else _places(t, axis, array.ndim)
    return _spread_out(t, array, along, times, "div")


def _tile(t: Trace, a: Any, counts: Any) -> Any:
    array = as_array(t, a)
    times = [_count(t, c) for c in (counts.items if isinstance(counts, Several) else (counts,))]
    while array.ndim < len(times):
        array = elements.new_axis(array, 0)
    if all(n == 1 for n in times):
        return elements.in_memory(t, array, fresh=True)
    times = [1] * (array.ndim - len(times)) + times
    made = array
    for d, n in enumerate(times):
        if n != 1:
            made = _spread_out(t, made, d, n, "mod_int")
    return elements.in_memory(t, made)


def _count(t: Trace, n: Any) -> int:
    found = t.constant(n)
    if type(found) is not int or found < 0:
        raise CannotRoll("a count that is no constant")
    return found


def _spread_out(t: Trace, a: Elements, axis: int, times: int, op: str) -> Elements:
    """Each element so many times, one behind the other ("div") or the whole axis again ("mod_int"). It lies row by row."""
    a = at_places(t, a)
    size, count = a.sizes[axis], Literal(times, "int64")
    known = None if size.known is None else size.known * Size.of(times)
    by = count if op == "div" else size.expr
    sizes = (*a.sizes[:axis], Extent(t.let(small("mul", size.expr, count)), known), *a.sizes[axis + 1 :])

    def place(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        at = index[axis] if by == ONE and op == "div" else Apply(op, (index[axis], by), "int64")
        return (*index[:axis], at, *index[axis + 1 :])

    return elements.in_memory(t, Elements(a.dtype, sizes, lambda i: a.at(place(i)), bases=a.bases), fresh=True)


def _triangle(lower: bool) -> Callable[..., Any]:
    def apply(t: Trace, m: Any, k: Any = _ZERO) -> Any:
        a = elements.evaluated(t, as_array(t, m))
        if a.ndim < 2:
            raise CannotRoll("a triangle of a vector")
        beyond = numbers.as_index(t, k).expr
        zero = cast(Literal(0, "int64"), a.dtype)

        def at(index: tuple[Expr, ...]) -> Expr:
            kept = Apply("le" if lower else "ge", (index[-1], small("add", index[-2], beyond)), "bool")
            return Apply("where", (kept, a.at(index), zero), a.dtype.name)

        return Elements(a.dtype, a.sizes, at, a.guards, a.bases, a.by_rows)

    return apply


# --------------------------------------------------------------------------- views


def _swapaxes(t: Trace, a: Any, first: Any, second: Any) -> Any:
    array = elements.in_memory(t, as_array(t, a))
    order = list(range(array.ndim))
    (i,), (j,) = (_places(t, x, array.ndim) for x in (first, second))
    order[i], order[j] = order[j], order[i]
    return elements.transposed(array, order)


def _squeeze(t: Trace, a: Any, axis: Any = NONE) -> Any:
    array = elements.in_memory(t, as_array(t, a))
    gone = []
    for d, size in enumerate(array.sizes):
        if axis != NONE and d not in _places(t, axis, array.ndim):
            continue
        one = Apply("eq", (size.expr, ONE), "bool")
        if size.is_one or size.known is not None and size.known.hint == 1:
            t.emit(Check(Literal(True, "bool") if size.is_one else one))
            gone.append(d)
        elif size.known is None or axis != NONE:
            raise CannotRoll("np.squeeze along an axis of another size")
        else:
            t.emit(Check(Apply("not", (one,), "bool")))
    kept = [d for d in range(array.ndim) if d not in gone]
    return elements.view(t, array, [array.sizes[d] for d in kept], [array.ref.strides[d] for d in kept], ZERO)


def _expand_dims(t: Trace, a: Any, axis: Any) -> Any:
    array = elements.in_memory(t, as_array(t, a))
    given = axis.items if isinstance(axis, Several) else (axis,)
    ndim = array.ndim + len(given)
    new = _places(t, axis, ndim)
    if len(set(new)) != len(new):
        raise CannotRoll("np.expand_dims with an axis twice")
    return elements.getitem(t, array, Several(tuple(NONE if d in new else _WHOLE for d in range(ndim))))


def _flip_along(axis: int) -> Callable[..., Any]:
    def apply(t: Trace, a: Any) -> Any:
        array = elements.in_memory(t, as_array(t, a))
        if array.ndim <= axis:
            raise CannotRoll("a flip along an axis that there is not")
        return elements.flipped(t, array, [axis])

    return apply


def diagonal(t: Trace, a: Any, offset: Any = _ZERO) -> InMemory:
    """`np.diagonal(a, offset)` of a matrix: a view that nobody may write to. Which side of the matrix is shorter must stay as it is."""
    array = elements.in_memory(t, as_array(t, a))
    k = t.constant(offset)
    if array.ndim != 2 or type(k) is not int:
        raise CannotRoll("a diagonal of what is no matrix, or one that is not known")
    rows, columns = (_less(t, s, max(0, n)) for s, n in zip(array.sizes, (-k, k)))
    down, across = array.ref.strides
    first = small("mul", Literal(abs(k), "int64"), across if k > 0 else down)
    size = _shorter(t, rows, columns)
    step = t.let(small("add", down, across))
    return replace(elements.view(t, array, [size], [step], first), writeable=False)


def _less(t: Trace, size: Extent, n: int) -> Extent:
    """A size without n places; bails where there are not so many."""
    if not n:
        return size
    if size.known is None or size.known.hint < n:
        raise CannotRoll("a diagonal outside of the matrix")
    e = t.let(small("sub", size.expr, Literal(n, "int64")))
    t.emit(Check(Apply("ge", (e, ZERO), "bool")))
    return Extent(e, size.known - Size.of(n))


def _shorter(t: Trace, a: Extent, b: Extent) -> Extent:
    """The smaller size, which is taken to be the smaller one always."""
    if elements.agree(t, a, b):
        return a
    if a.known is None or b.known is None:
        raise CannotRoll("the diagonal of a matrix whose sizes are computed")
    low, high = (a, b) if a.known.hint < b.known.hint else (b, a)
    t.emit(Check(Apply("le", (low.expr, high.expr), "bool")))
    return low


def _diag(t: Trace, v: Any, k: Any = _ZERO) -> Any:
    a = as_array(t, v)
    if a.ndim != 1:
        return diagonal(t, a, k)
    off = t.constant(k)
    if type(off) is not int:
        raise CannotRoll("a diagonal that is not known")
    size = a.sizes[0]
    more = Literal(abs(off), "int64")
    side = Extent(t.let(small("add", size.expr, more)), None if size.known is None else size.known + Size.of(abs(off)))
    made = elements.full(t, [side, side], a.dtype, 0)
    down = made.ref.strides[0]
    first = small("mul", more, ONE if off > 0 else down)
    line = elements.view(t, made, [size], [t.let(small("add", down, ONE))], first)
    elements.fill_new(t, line, a)
    return made


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.roll: _roll, np.diff: _diff, np.repeat: _repeat, np.tile: _tile,
    np.triu: _triangle(False), np.tril: _triangle(True),
    np.swapaxes: _swapaxes, np.squeeze: _squeeze, np.expand_dims: _expand_dims,
    np.flipud: _flip_along(0), np.fliplr: _flip_along(1),
    np.diag: _diag, np.diagonal: diagonal,
}  # fmt: skip
METHODS: dict[str, Callable[..., Any]] = {
    "repeat": _repeat, "swapaxes": _swapaxes, "squeeze": _squeeze, "diagonal": diagonal,
}  # fmt: skip
