"""Functions that make a number of an array, or one of each row: norms, averages, traces, counts, comparisons of all elements."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .....inductor.sequential.program import ZERO, Apply, Check, Expr, Literal
from . import elements, functions, numbers, reducing
from .functions import apply_ufunc
from .joining import as_array
from .kinds import FALSE, FLOAT, INT, NONE, SMALL_BITS, CannotRoll, Elements, Number, Trace, literal
from .rearranging import at_places, diagonal
from .ufuncs import cast, truth_of

#: arguments that are left out
_ZERO, _RELATIVE, _ABSOLUTE = literal(0), literal(1e-5), literal(1e-8)

#: whether NumPy counts in Python's ints, as it did before 2.4
_COUNTS_IN_INTS = type(np.count_nonzero(np.zeros(1))) is int


# --------------------------------------------------------------------------- norms


def _norm(t: Trace, x: Any, ord: Any = NONE, axis: Any = NONE, keepdims: Any = FALSE) -> Any:
    a = as_array(t, x)
    if a.kind in "biu":
        a = elements.converted(a, FLOAT)
    a = at_places(t, a)
    order, axes, keep = t.constant(ord), t.axes(axis, a.ndim), bool(t.constant(keepdims))
    if isinstance(order, bool) or not (order is None or order == "fro" or order in (0, 1, 2, math.inf, -math.inf)):
        raise CannotRoll(f"np.linalg.norm of order {order}")
    count = a.ndim if axes is None else len(axes)
    if order is None and (axes is None or count <= 2) or count == 2 and order == "fro" or count == 1 and order == 2:
        return apply_ufunc(t, np.sqrt, [reducing.reduced(t, "sum", _squares(a), axes, keep)], {})
    if count == 1 and order != "fro":
        if order == 0:
            nonzero = elements.converted(_truths(a), _real(a.dtype))
            return reducing.reduced(t, "sum", nonzero, axes, keep)
        name = {1: "sum", math.inf: "max", -math.inf: "min"}[order]
        return reducing.reduced(t, name, _sizes(t, a), axes, keep)
    if count == a.ndim == 2 and order in (1, math.inf) and not keep:
        totals = reducing.reduced(t, "sum", _sizes(t, a), (0 if order == 1 else 1,), False)
        return reducing.reduced(t, "max", totals, None, False)
    raise CannotRoll(f"np.linalg.norm of order {order}, of {count} axes")


def _real(dtype: np.dtype) -> np.dtype:
    return np.dtype({"c8": "f4", "c16": "f8"}.get(dtype.str[1:], dtype))


def _truths(a: Elements) -> Elements:
    return Elements(np.dtype(bool), a.sizes, lambda i: truth_of(a.at(i), a.dtype), a.guards, a.bases, a.by_rows)


def _sizes(t: Trace, a: Elements) -> Elements:
    """The absolute value of each element."""
    op = "abs_complex" if a.kind == "c" else "fabs"
    dtype = _real(a.dtype)
    return Elements(dtype, a.sizes, lambda i: Apply(op, (a.at(i),), dtype.name), a.guards, a.bases, a.by_rows)


def _squares(a: Elements) -> Elements:
    """The square of each element's absolute value."""
    dtype = _real(a.dtype)

    def at(index: tuple[Expr, ...]) -> Expr:
        e = a.at(index)
        parts = [e] if a.kind != "c" else [Apply(part, (e,), dtype.name) for part in ("real", "imag")]
        first, *others = (Apply("mul", (p, p), dtype.name) for p in parts)
        return Apply("add", (first, *others), dtype.name) if others else first

    return Elements(dtype, a.sizes, at, a.guards, a.bases, a.by_rows)


# --------------------------------------------------------------------------- sums and counts


def _trace(t: Trace, a: Any, offset: Any = _ZERO) -> Any:
    return reducing.reduced(t, "sum", diagonal(t, a, offset), None, False)


def _ptp(t: Trace, a: Any, axis: Any = NONE) -> Any:
    array = elements.in_memory(t, as_array(t, a))
    axes = t.axes(axis, array.ndim)
    ends = [reducing.reduced(t, name, array, axes, False) for name in ("max", "min")]
    return apply_ufunc(t, np.subtract, ends, {})


def _count_nonzero(t: Trace, a: Any, axis: Any = NONE) -> Any:
    array = elements.evaluated(t, as_array(t, a))
    counts = elements.converted(_truths(array), INT)
    axes = t.axes(axis, array.ndim)
    made = reducing.reduced(t, "sum", counts, axes, False)
    if not isinstance(made, Number):
        return made
    return replace(made, python=_COUNTS_IN_INTS and axes is None, bits=SMALL_BITS, natural=True)


def _average(t: Trace, a: Any, axis: Any = NONE, weights: Any = NONE) -> Any:
    array = as_array(t, a)
    if weights == NONE:
        for size in array.sizes:  # NumPy divides by how many results there are
            t.emit(Check(Apply("gt", (size.expr, ZERO), "bool")))
        return functions.METHODS["mean"](t, array, axis)
    axes, given = t.axes(axis, array.ndim), at_places(t, as_array(t, weights))
    dtype = np.result_type(array.dtype, given.dtype, *[FLOAT] * (array.kind in "biu"))
    if given.ndim != array.ndim:
        if given.ndim != 1 or axes is None or len(axes) != 1 or array.ndim != 2:
            raise CannotRoll("np.average with weights of other axes")
        given = elements.new_axis(given, 1 - axes[0])
        elements.agree(t, array.sizes[axes[0]], given.sizes[axes[0]])
    elif axes is not None and array.ndim != 1 or not elements.agree(t, array.sizes[0], given.sizes[0]):
        raise CannotRoll("np.average with weights along some axes")
    total = reducing.reduced(t, "sum", elements.converted(given, dtype), None, False)
    t.emit(Check(Apply("ne", (total.expr, cast(Literal(0, "int64"), dtype)), "bool")))
    products = apply_ufunc(t, np.multiply, [elements.converted(array, dtype), elements.converted(given, dtype)], {})
    return apply_ufunc(t, np.true_divide, [reducing.reduced(t, "sum", products, axes, False), total], {})


# --------------------------------------------------------------------------- comparisons of all elements


def _operand(t: Trace, value: Any) -> Any:
    """A number as it is; anything else as an array in memory, which is read several times."""
    return value if isinstance(value, Number) else elements.in_memory(t, as_array(t, value))


def _isclose(t: Trace, a: Any, b: Any, rtol: Any = _RELATIVE, atol: Any = _ABSOLUTE, equal_nan: Any = FALSE) -> Any:
    x, y = _operand(t, a), _operand(t, b)
    for tolerance in (rtol, atol):
        if not isinstance(tolerance, Number) or tolerance.kind not in "if":
            raise CannotRoll("np.isclose with tolerances that are no real numbers")
        if tolerance.kind == "f":
            t.emit(Check(t.let(Apply("isfinite", (tolerance.expr,), "bool"))))
    if isinstance(y, Number) and y.python:
        y = y if y.kind == "f" else numbers.converted(t, y, float)
    elif (inexact := np.result_type(y.dtype, 1.0)) != y.dtype:
        y = Number(t.let(cast(y.expr, inexact)), inexact) if isinstance(y, Number) else elements.converted(y, inexact)

    def of(ufunc: np.ufunc, *operands: Any) -> Any:
        return apply_ufunc(t, ufunc, list(operands), {})

    finite = of(np.isfinite, y)
    bounded = _or_zero(t, finite, y)  # NumPy says nothing of the invalid differences of infinities
    tolerance = of(np.add, atol, of(np.multiply, rtol, of(np.absolute, bounded)))
    near = of(np.less_equal, of(np.absolute, of(np.subtract, x, bounded)), tolerance)
    made = of(np.bitwise_or, of(np.bitwise_and, near, finite), of(np.equal, x, y))
    if t.constant(equal_nan):
        made = of(np.bitwise_or, made, of(np.bitwise_and, of(np.isnan, x), of(np.isnan, y)))
    return made


def _or_zero(t: Trace, condition: Any, y: Any) -> Any:
    """`y` where the condition holds, elsewhere zero."""
    zero = cast(Literal(0, "int64"), y.dtype)
    if isinstance(y, Number):
        return replace(y, expr=t.let(Apply("where", (condition.expr, y.expr, zero), y.dtype.name)))

    def at(index: tuple[Expr, ...]) -> Expr:
        return Apply("where", (condition.at(index), y.at(index), zero), y.dtype.name)

    return Elements(y.dtype, y.sizes, at, y.guards, y.bases, y.by_rows)


def _all(t: Trace, truths: Any) -> Number:
    """`bool(np.all(truths))`."""
    found = truths if isinstance(truths, Number) else reducing.reduced(t, "all", truths, None, False)
    return numbers.converted(t, found, bool)


def _allclose(t: Trace, a: Any, b: Any, rtol: Any = _RELATIVE, atol: Any = _ABSOLUTE, equal_nan: Any = FALSE) -> Any:
    return _all(t, _isclose(t, a, b, rtol, atol, equal_nan))


def _array_equal(t: Trace, a: Any, b: Any) -> Any:
    x, y = as_array(t, a), as_array(t, b)
    if x.ndim != y.ndim:
        return literal(False)
    if not all(elements.agree(t, m, n) for m, n in zip(x.sizes, y.sizes)):
        raise CannotRoll("np.array_equal of arrays of different sizes")
    return _all(t, apply_ufunc(t, np.equal, [x, y], {}))


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.linalg.norm: _norm, np.trace: _trace, np.ptp: _ptp, np.count_nonzero: _count_nonzero, np.average: _average,
    np.isclose: _isclose, np.allclose: _allclose, np.array_equal: _array_equal,
}  # fmt: skip
METHODS: dict[str, Callable[..., Any]] = {"trace": _trace}
