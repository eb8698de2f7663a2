"""Functions that make arrays of numbers: identities, evenly spaced numbers, arrays full of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .....inductor.sequential.program import ONE, ZERO, Apply, Expr, Literal
from . import elements, numbers
from .elements import small
from .joining import as_array
from .kinds import FLOAT, INT, NONE, CannotRoll, Elements, Extent, Fixed, Number, Trace, literal
from .ufuncs import cast

#: arguments that are left out
_ZERO, _FIFTY, _TRUE = literal(0), literal(50), Fixed(True)


def _full_like(t: Trace, a: Any, value: Any, dtype: Any = NONE) -> Any:
    like = elements.evaluated(t, as_array(t, a))
    if not isinstance(value, Number):
        raise CannotRoll("np.full_like of an array")
    return elements.full(t, like.sizes, t.dtype(dtype, like.dtype), value, like.by_rows)


def _eye(t: Trace, rows: Any, columns: Any = NONE, k: Any = _ZERO, dtype: Any = NONE) -> Any:
    sizes = [*t.shape(rows), *t.shape(rows if columns == NONE else columns)]
    if len(sizes) != 2:
        raise CannotRoll("an identity that is no matrix")
    return identity(sizes, t.dtype(dtype, FLOAT), numbers.as_index(t, k).expr)


def identity(sizes: Sequence[Extent], dtype: np.dtype, beyond: Expr = ZERO) -> Elements:
    """A matrix with ones on a diagonal, `beyond` columns right of the main one."""

    def at(index: tuple[Expr, ...]) -> Expr:
        return cast(Apply("eq", (small("add", index[0], beyond), index[1]), "bool"), dtype)

    return Elements(dtype, tuple(sizes), at)


def _identity(t: Trace, n: Any, dtype: Any = NONE) -> Any:
    return _eye(t, n, dtype=dtype)


def _linspace(t: Trace, start: Any, stop: Any, num: Any = _FIFTY, endpoint: Any = _TRUE, dtype: Any = NONE) -> Any:
    if not all(
        isinstance(n, Number) and n.kind in "if" and (n.python or n.dtype in (INT, FLOAT)) for n in (start, stop)
    ):
        raise CannotRoll("np.linspace between what is no number of Python's types")
    if t.dtype(dtype, FLOAT) != FLOAT:
        raise CannotRoll("np.linspace of another type than float64")
    (size,) = t.shape(num)
    ends = bool(t.constant(endpoint))
    intervals = t.let(small("sub", size.expr, ONE)) if ends else size.expr
    first, last = cast(start.expr, FLOAT), cast(stop.expr, FLOAT)

    def of(op: str, a: Expr, b: Expr) -> Expr:
        return Apply(op, (a, b), "float64")

    between = t.let(of("sub", last, first))
    # with no interval there is at most the first number, whatever the step
    divisor = t.let(cast(Apply("max", (intervals, ONE), "int64"), FLOAT))
    step = t.let(of("div", between, divisor))
    tiny = t.let(Apply("eq", (step, Literal(0.0, "float64")), "bool"))

    def at(index: tuple[Expr, ...]) -> Expr:
        place = cast(index[0], FLOAT)
        way = Apply("where", (tiny, of("mul", of("div", place, divisor), between), of("mul", place, step)), "float64")
        e = of("add", way, first)
        if not ends:
            return e
        at_end = Apply(
            "both",
            (Apply("eq", (index[0], intervals), "bool"), Apply("gt", (intervals, Literal(0, "int64")), "bool")),
            "bool",
        )
        return Apply("where", (at_end, last, e), "float64")

    return Elements(FLOAT, (size,), at)


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.full_like: _full_like, np.eye: _eye, np.identity: _identity, np.linspace: _linspace,
}  # fmt: skip
