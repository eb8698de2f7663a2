"""Reductions: sums, extrema, means, moments, and what NumPy defines by them.

The arguments of each function are NumPy's own. Sums of small integers are int64 or uint64, means of integers float64,
float16 accumulates in float32; a result without axes is a NumPy scalar. What sorts runs as NumPy's own call.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....inductor.graph import Input, Number
from ....inductor.ops.promotion import broadcast_shapes
from . import layout
from .arrays import Array, Masked, any_array, unsupported
from .builder import ArrayBuilder
from .shaping import moveaxis, swapaxes, wrap_axis
from .ufuncs import call_ufunc

_BOOL, _INT64, _FLOAT32, _FLOAT64 = np.dtype(bool), np.dtype(np.int64), np.dtype(np.float32), np.dtype(np.float64)


# --------------------------------------------------------------------------- axes


def wrap_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes as given by `axis=`: None for all, an int or several."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, list):
        raise TypeError("'list' object cannot be interpreted as an integer")
    if not isinstance(axis, tuple):
        return () if ndim == 0 and operator.index(axis) in (0, -1) else (wrap_axis(axis, ndim),)
    axes = tuple(wrap_axis(a, ndim) for a in axis)
    if len(set(axes)) != len(axes):
        raise ValueError("duplicate value in 'axis'")
    return axes


def over_chosen(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a reduction with `where=` take elements chosen by a mask: it runs over all, where the mask holds."""

    def apply(b: ArrayBuilder, a: Any, axis: Any = None, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(a, Masked):
            return function(b, a, axis, *args, **kwargs)
        if kwargs.get("keepdims") or "where" in kwargs or len(args) > 1 or kwargs.get("out") is not None:
            raise unsupported("this reduction of elements chosen by a mask", code="data-dependent-shape")
        axes, where = _axes_of_chosen(b, a, axis)
        made = function(b, a.array, axes, *args, where=where, **kwargs)
        return b.copy(made, "C") if made.ndim > 1 else made

    return apply


def _axes_of_chosen(b: ArrayBuilder, a: Masked, axis: Any) -> tuple[tuple[int, ...], Array]:
    """(the axes to reduce of the array that elements are chosen from, the mask in its rank).

    Raises Unsupported where the chosen elements stay apart: how many there are is not known.
    """
    rank = a.mask.ndim
    axes = wrap_axes(axis, a.array.ndim - rank + 1)
    if 0 not in axes:
        raise unsupported("this reduction of elements chosen by a mask", code="data-dependent-shape")
    where = a.mask
    for _ in range(a.array.ndim - rank):
        where = b.view(where, "unsqueeze", dim=where.ndim)
    return (*range(rank), *(d + rank - 1 for d in axes if d)), where


def _check_axis(x: Array, axis: Any, name: str) -> None:
    """What is no plain reduction of a ufunc refuses an axis that a number does not have."""
    if axis not in (None, ()) and not x.ndim:
        raise unsupported(f"np.{name} of a number along an axis", why="NumPy refuses it")


def _reduce(b: ArrayBuilder, op: str, x: Array, axes: Sequence[int], keepdims: bool, **attrs: Any) -> Array:
    """A reduction by a table op, laid out as NumPy's."""
    if not axes and x.ndim:
        raise AssertionError("a reduction over no axis is not a reduction")
    strides = layout.reduced_strides(x.shape, x.strides, axes, keepdims) if x.ndim else ()
    dim = tuple(axes) if x.ndim else None
    return b.call(op, x, strides=strides, dim=dim, keepdim=bool(keepdims) and x.ndim > 0, **attrs)


def _extern_reduce(
    b: ArrayBuilder, name: str, x: Array, axes: Sequence[int], keepdims: bool, dtype: np.dtype, **kwargs: Any
) -> Array:
    """A reduction that runs as NumPy's own call."""
    shape = [1 if d in axes else s for d, s in enumerate(x.shape) if keepdims or d not in axes]
    strides = layout.reduced_strides(x.shape, x.strides, axes, keepdims)
    call = {"axis": tuple(axes), "keepdims": bool(keepdims), **kwargs}
    return b.extern(f"numpy:{name}", [x], [Input(0)], shape, dtype, strides=strides, kwargs=call)


# --------------------------------------------------------------------------- sums and products


def sum_dtype(x: np.dtype) -> np.dtype:
    """Integers narrower than a word, and booleans, add up in words."""
    if x.kind == "b" or (x.kind == "i" and x.itemsize < 8):
        return _INT64
    return np.dtype(np.uint64) if x.kind == "u" and x.itemsize < 8 else x


def _accumulate(op: str, function: str, ufunc: np.ufunc, identity: int) -> Callable[..., Any]:
    def apply(b: ArrayBuilder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
              initial: Any = None, where: Any = True) -> Any:  # fmt: skip
        x = b.lift(a)
        wanted = sum_dtype(x.dtype) if dtype is None else np.dtype(dtype)
        axes = wrap_axes(axis, x.ndim)
        x = b.converted(x, wanted)
        if where is not True:
            x = _only(b, x, where, b.number(identity, wanted))
        if not axes and x.ndim:
            result = b.same(x)
        elif wanted.kind == "c" or op == "prod" and wanted.kind == "f":
            # in any other order a product could leave the range of its type on the way, or stay in it
            start = {} if type(initial) not in (int, float) else {"initial": initial}
            initial = None if start else initial
            result = _extern_reduce(b, function, x, axes, keepdims, wanted, **start)
        else:
            result = _reduce(b, op, x, axes, keepdims, dtype=b.dtype(wanted))
        if initial is not None and not (type(initial) is int and initial == identity):
            result = call_ufunc(b, ufunc, result, initial, dtype=wanted)
        return b.into(out, result, "no")

    return apply


def _only(b: ArrayBuilder, x: Array, where: Any, otherwise: Array) -> Array:
    """`x` where the mask holds, `otherwise` elsewhere."""
    mask = b.cast(b.lift(where), _BOOL)
    if broadcast_shapes(mask.shape, x.shape) != x.shape:
        raise unsupported("a reduction whose where= is larger than the array")
    return b.elementwise("where", mask, x, otherwise)


sum_ = over_chosen(_accumulate("sum", "sum", np.add, 0))
prod = over_chosen(_accumulate("prod", "prod", np.multiply, 1))


def _truth(op: str, function: str, identity: bool) -> Callable[..., Any]:
    def apply(
        b: ArrayBuilder, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True
    ) -> Any:
        x = b.converted(b.lift(a), _BOOL)
        axes = wrap_axes(axis, x.ndim)
        if where is not True:
            x = _only(b, x, where, b.number(identity, _BOOL))
        return b.into(out, _reduce(b, op, x, axes, keepdims) if axes or not x.ndim else b.same(x), "no")

    return apply


any_ = over_chosen(_truth("any", "any", False))
all_ = over_chosen(_truth("all", "all", True))


#: whether np.count_nonzero over all axes gives a Python int (up to NumPy 2.2), not a NumPy one
_COUNTS_ARE_INTS = type(np.count_nonzero(np.zeros(1))) is int


def count_nonzero(b: ArrayBuilder, a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    if isinstance(a, Masked):
        made = sum_(b, Masked(b.cast(a.array, _BOOL), a.mask), axis, keepdims=keepdims)
    else:
        made = sum_(b, b.cast(b.lift(a), _BOOL), axis, keepdims=keepdims)
    return b.python_number(made, int) if _COUNTS_ARE_INTS and axis is None and not keepdims else made


# --------------------------------------------------------------------------- extrema


def _extremum_of_chosen(function: Callable[..., Any], low: bool) -> Callable[..., Any]:
    """The same for max and min: over nothing they raise, when the compiled function runs."""

    def apply(b: ArrayBuilder, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None,
              where: Any = True) -> Any:  # fmt: skip
        if not isinstance(a, Masked):
            return function(b, a, axis, out, keepdims, initial, where)
        if keepdims or where is not True or a.array.kind not in "iuf":
            raise unsupported("this reduction of elements chosen by a mask", code="data-dependent-shape")
        axes, where = _axes_of_chosen(b, a, axis)
        if initial is None:
            info = np.iinfo(a.dtype) if a.array.kind in "iu" else None
            start: Any = (-np.inf if low else np.inf) if info is None else (info.min if low else info.max)
            made = function(b, a.array, axes, None, False, b.number(start, a.dtype), where)
            count = sum_(b, a.mask)
            target = "quern.capture.frontends.numpy.checks:some"
            call = [Input(0), Input(1), function_name(low)]
            made = b.extern(target, [made, count], call, made.shape, made.dtype, strides=made.strides)
            return b.into(out, made, "no")
        made = function(b, a.array, axes, None, False, initial, where)
        return b.into(out, b.copy(made, "C") if made.ndim > 1 else made, "no")

    return apply


def function_name(low: bool) -> str:
    return "maximum" if low else "minimum"


def _extremum(op: str, function: str, ufunc: np.ufunc) -> Callable[..., Any]:
    def apply(b: ArrayBuilder, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None,
              where: Any = True) -> Any:  # fmt: skip
        x = b.lift(a)
        axes = wrap_axes(axis, x.ndim)
        empty = layout.is_zero(math.prod([x.shape[d] for d in axes]))
        if where is not True:
            if initial is None:
                raise ValueError(f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a where "
                                 "mask one has to specify 'initial'")  # fmt: skip
            x = _only(b, x, where, b.cast(b.lift(initial), x.dtype))
        if empty and initial is None:
            raise ValueError(f"zero-size array to reduction operation {ufunc.__name__} which has no identity")
        if not axes and x.ndim:
            result = b.same(x)
        elif x.kind == "c":
            result = _extern_reduce(b, function, x, axes, keepdims, x.dtype)
        elif empty:
            shape = [1 if d in axes else s for d, s in enumerate(x.shape) if keepdims or d not in axes]
            result = b.copy(b.view(b.cast(b.lift(initial), x.dtype), "expand", shape=tuple(shape)), scalar=not shape)
        else:
            result = _reduce(b, op, x, axes, keepdims)
        if initial is not None and not empty:
            result = call_ufunc(b, ufunc, result, initial, dtype=x.dtype)
        return b.into(out, result, "no")

    return apply


max_ = _extremum_of_chosen(_extremum("amax", "max", np.maximum), low=True)
min_ = _extremum_of_chosen(_extremum("amin", "min", np.minimum), low=False)


def ptp(b: ArrayBuilder, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    highest, lowest = max_(b, a, axis, keepdims=keepdims), min_(b, a, axis, keepdims=keepdims)
    return b.into(out, call_ufunc(b, np.subtract, highest, lowest), "no")


def _position(op: str, name: str) -> Callable[..., Any]:
    def apply(b: ArrayBuilder, a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
        x = b.lift(a)
        if x.kind == "c":
            raise unsupported(f"np.{name} of complex numbers")
        if layout.is_zero(x.size if axis is None else x.shape[wrap_axis(axis, x.ndim)]):
            raise ValueError(f"attempt to get {name} of an empty sequence")
        x = b.cast(x, np.dtype(np.uint8)) if x.kind == "b" else x
        if axis is not None and x.ndim:
            axis = wrap_axis(axis, x.ndim)
        result = b.call(op, x, dim=axis if x.ndim else None, keepdim=bool(keepdims) and x.ndim > 0)
        return b.into(out, result, "no")

    return apply


argmax = _position("argmax", "argmax")
argmin = _position("argmin", "argmin")


# --------------------------------------------------------------------------- means and moments


def _mean_dtype(x: np.dtype, dtype: Any) -> tuple[np.dtype, np.dtype]:
    """(dtype of the sums, dtype of the result)."""
    if dtype is not None:
        return np.dtype(dtype), np.dtype(dtype)
    if x.kind in "biu":
        return _FLOAT64, _FLOAT64
    return (_FLOAT32, x) if x == np.float16 else (x, x)


def _count(b: ArrayBuilder, x: Array, axes: Sequence[int], keepdims: bool, where: Any, least: Any = 0) -> Any:
    """How many elements enter each result: a size, or an array under `where=`. NumPy warns where it is not more than `least`."""
    if where is True:
        size = math.prod([x.shape[d] for d in axes])
        if isinstance(size, int) and isinstance(least, (int, float)) and size <= least:
            raise unsupported("a mean or a variance of too few elements", why="NumPy warns of it", code="numpy-warning")
        return size
    mask = b.view(b.lift(where), "expand", shape=x.shape)
    made = sum_(b, mask, tuple(axes), keepdims=keepdims)
    if not isinstance(least, (int, float)):
        raise unsupported("a variance whose ddof= is computed")
    target = "quern.capture.frontends.numpy.checks:counts"
    call = [Input(0), least]
    return b.extern(target, [made], call, made.shape, made.dtype, strides=made.strides, scalar=made.scalar)


@over_chosen
def mean(b: ArrayBuilder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *,
         where: Any = True) -> Any:  # fmt: skip
    x = b.lift(a)
    _check_axis(x, axis, "mean")
    axes = wrap_axes(axis, x.ndim)
    sums, wanted = _mean_dtype(x.dtype, dtype)
    if where is True:
        _count(b, x, axes, keepdims, True)
    if where is True and sums.kind == "f" and (axes or not x.ndim):
        result = _reduce(b, "mean", b.converted(x, sums), axes, keepdims, dtype=b.dtype(sums))
    else:
        total = sum_(b, x, axes, dtype=sums, keepdims=keepdims, where=where)
        result = _divide(b, total, _count(b, x, axes, keepdims, where), sums)
    return b.into(out, b.cast(result, wanted), "no")


def _divide(b: ArrayBuilder, total: Array, count: Any, dtype: np.dtype) -> Array:
    if isinstance(count, (Array, int)):
        return b.cast(call_ufunc(b, np.true_divide, total, count), dtype)
    return b.elementwise("div", total, b.cast(b.lift(count), dtype))


def _variance(b: ArrayBuilder, a: Any, axis: Any, dtype: Any, ddof: Any, keepdims: bool, where: Any, given_mean: Any,
              root: bool) -> Array:  # fmt: skip
    x = b.lift(a)
    if isinstance(ddof, Array):
        raise unsupported("a variance whose ddof= is computed")
    if x.kind == "c":
        raise unsupported("the variance of complex numbers")
    _check_axis(x, axis, "var")
    axes = wrap_axes(axis, x.ndim)
    sums, wanted = _mean_dtype(x.dtype, dtype)
    if sums.kind != "f":
        raise unsupported(f"a variance with dtype={sums}")
    x = b.converted(x, sums)
    if where is True:
        _count(b, x, axes, keepdims, True, ddof)
    if where is True and given_mean is None and (axes or not x.ndim):
        result = _reduce(b, "std" if root else "var", x, axes, keepdims, correction=ddof, accumulate=b.dtype(sums))
        return b.cast(result, wanted)
    count = _count(b, x, axes, True, where)
    centre = given_mean
    if centre is None:
        centre = _divide(b, sum_(b, x, axes, keepdims=True, where=where), count, sums)
    distance = call_ufunc(b, np.subtract, x, centre)
    total = sum_(b, call_ufunc(b, np.square, distance), axes, keepdims=keepdims, where=where)
    count = _count(b, x, axes, keepdims, where, ddof)
    if isinstance(count, Array):
        left = call_ufunc(b, np.maximum, call_ufunc(b, np.subtract, count, ddof), 0)
    else:
        left = max(count - ddof, 0) if isinstance(count, int) else count - ddof
    result = _divide(b, total, left, sums)
    return b.cast(call_ufunc(b, np.sqrt, result) if root else result, wanted)


@over_chosen
def var(b: ArrayBuilder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
        keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None) -> Any:  # fmt: skip
    ddof = ddof if correction is None else correction
    return b.into(out, _variance(b, a, axis, dtype, ddof, keepdims, where, mean, False), "no")


@over_chosen
def std(b: ArrayBuilder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
        keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None) -> Any:  # fmt: skip
    ddof = ddof if correction is None else correction
    return b.into(out, _variance(b, a, axis, dtype, ddof, keepdims, where, mean, True), "no")


def average(b: ArrayBuilder, a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *,
            keepdims: bool = False) -> Any:  # fmt: skip
    """Weighted mean. A zero sum of weights raises ZeroDivisionError when the compiled function runs, as in NumPy."""
    x = b.lift(a)
    _check_axis(x, axis, "average")
    if weights is None:
        average_ = mean(b, x, axis, keepdims=keepdims)
        if any(layout.same(s, 0) for s in average_.shape):
            raise ZeroDivisionError("division by zero")  # NumPy divides the numbers of elements
        if not returned:
            return average_
        count = math.prod([x.shape[d] for d in wrap_axes(axis, x.ndim)])
        if not isinstance(count, int):
            raise unsupported("np.average with returned=True over an axis whose size is dynamic")
        counts = b.full(average_.shape, float(count), average_.dtype)
        counts.scalar = average_.scalar
        return average_, counts
    if returned:
        raise unsupported("np.average with weights and returned=True")
    w = b.lift(weights)
    dtype = np.result_type(x.dtype, w.dtype, _FLOAT64) if x.kind in "biu" else np.result_type(x.dtype, w.dtype)
    if w.shape != x.shape:
        if axis is None or isinstance(axis, tuple) or w.ndim != 1:
            raise unsupported("np.average with weights of another shape, unless they are 1-d along one axis")
        axis = wrap_axis(axis, x.ndim)
        if not layout.same(w.shape[0], x.shape[axis]):
            raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
        for _ in range(x.ndim - 1):
            w = b.view(w, "unsqueeze", dim=0)
        w = swapaxes(b, w, -1, axis)
    scale = sum_(b, w, axis, dtype=dtype, keepdims=keepdims)
    target = "quern.capture.frontends.numpy.checks:weights"
    scale = b.extern(target, [scale], [Input(0)], scale.shape, scale.dtype, strides=scale.strides)
    weighted = call_ufunc(b, np.multiply, x, w, dtype=dtype)
    return call_ufunc(b, np.true_divide, sum_(b, weighted, axis, keepdims=keepdims), scale)


# --------------------------------------------------------------------------- NaN-aware


def missing_of(b: ArrayBuilder, a: Any) -> tuple[Array, Array | None]:
    """The array, and where it is NaN. None: it holds integers. NumPy looks at a copy of other arrays, laid out as copies are."""
    x = b.lift(a)
    if x.kind not in "fc":
        return x, None
    x = b.as_copied(x)
    return x, call_ufunc(b, np.isnan, x)


def _nan_accumulate(function: Callable[..., Any], identity: float) -> Callable[..., Any]:
    def apply(b: ArrayBuilder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
              initial: Any = None, where: Any = True) -> Any:  # fmt: skip
        x, missing = missing_of(b, a)
        if missing is not None:
            x = b.elementwise("where", missing, b.number(identity, x.dtype), x)
        return function(b, x, axis, dtype, out, keepdims, initial, where)

    return apply


nansum = _nan_accumulate(sum_, 0.0)
nanprod = _nan_accumulate(prod, 1.0)


def _nan_extremum(function: Callable[..., Any], worst: float) -> Callable[..., Any]:
    def apply(b: ArrayBuilder, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        x = b.lift(a)
        if x.kind == "c":
            raise unsupported("the largest of complex numbers, NaN left out")
        if x.kind != "f":
            return function(b, x, axis, out, keepdims)
        missing = call_ufunc(b, np.isnan, x)
        found = function(b, b.elementwise("where", missing, b.number(worst, x.dtype), x), axis, keepdims=keepdims)
        nothing = all_(b, missing, axis, keepdims=keepdims)
        target = "quern.capture.frontends.numpy.checks:nowhere"
        strides = nothing.strides
        nothing = b.extern(target, [nothing], [Input(0)], nothing.shape, _BOOL, strides=strides, scalar=nothing.scalar)
        return b.into(out, b.elementwise("where", nothing, b.number(np.nan, x.dtype), found), "no")

    return apply


nanmax = _nan_extremum(max_, -np.inf)
nanmin = _nan_extremum(min_, np.inf)


def nanmean(b: ArrayBuilder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *,
            where: Any = True) -> Any:  # fmt: skip
    x, missing = missing_of(b, a)
    if missing is None:
        return mean(b, x, axis, dtype, out, keepdims, where=where)
    present = call_ufunc(b, np.logical_not, missing)
    if where is not True:
        present = call_ufunc(b, np.logical_and, present, where)
    return mean(b, x, axis, dtype, out, keepdims, where=present)


def _nan_variance(root: bool) -> Callable[..., Any]:
    def apply(b: ArrayBuilder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
              keepdims: bool = False) -> Any:  # fmt: skip
        x, missing = missing_of(b, a)
        if missing is None:
            return (std if root else var)(b, x, axis, dtype, out, ddof, keepdims)
        present = call_ufunc(b, np.logical_not, missing)
        result = _variance(b, x, axis, dtype, ddof, keepdims, present, None, root)
        # too few numbers left: NaN, where plain variance gives infinity
        enough = call_ufunc(b, np.greater, sum_(b, present, axis, keepdims=keepdims), ddof)
        return b.into(out, b.elementwise("where", enough, result, b.number(np.nan, result.dtype)), "no")

    return apply


nanvar, nanstd = _nan_variance(False), _nan_variance(True)


# --------------------------------------------------------------------------- order statistics: NumPy's own call


#: np.nanmedian takes longer axes row by row
_ROWS_OF_NANMEDIAN = 600


def _order_statistic(name: str, *, quantiles: bool, leaves_nan: bool) -> Callable[..., Any]:
    """quantiles: it is told which; leaves_nan: NaN is left out"""

    def apply(b: ArrayBuilder, a: Any, *args: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
              keepdims: bool = False, **kwargs: Any) -> Any:  # fmt: skip
        if quantiles and not args and "q" in kwargs:
            args = (kwargs.pop("q"),)
        rest = args[1:] if quantiles else args
        if rest:
            axis, rest = rest[0], rest[1:]
        changing = quantiles and isinstance(args[0], Array) and args[0].number is float
        if rest or (kwargs and set(kwargs) != {"method"}) or any_array(args[changing:]):
            raise unsupported(f"np.{name} with these arguments")
        x = b.lift(a)
        _check_axis(x, axis, name)
        if layout.is_zero(x.size):
            raise unsupported(f"np.{name} of no elements", why="NumPy warns of it", code="numpy-warning")
        axes = wrap_axes(axis, x.ndim)
        dtype = _FLOAT64 if x.kind in "biu" else x.dtype
        shape = [1 if d in axes else s for d, s in enumerate(x.shape) if keepdims or d not in axes]
        call: list[Any] = [Input(0)]
        if quantiles:
            q = np.asarray(0.5 if changing else args[0])
            dtype = np.result_type(dtype, 0.5) if q.ndim == 0 or x.kind in "biu" else np.result_type(dtype, q.dtype)
            shape = [*q.shape, *shape]
            call.append(Number(1) if changing else q.tolist())
        named = {"axis": None if axis is None else tuple(axes), "keepdims": bool(keepdims), **kwargs}
        if "f" != x.kind and x.kind not in "biu":
            raise unsupported(f"np.{name} of {x.dtype}")
        rows = leaves_nan and quantiles
        if (
            leaves_nan
            and not quantiles
            and any(layout.is_zero(t) and not layout.is_one(n) for n, t in zip(x.shape, x.strides))
        ):
            raise unsupported("np.nanmedian of an array that repeats its elements", why="its layout follows many steps")
        if rows and q.ndim > 1 and (keepdims or len(axes) > 1):
            raise unsupported(
                f"np.{name} of these axes for several rows of quantiles", why="NumPy turns the axes around"
            )
        strides = None
        if not quantiles and len(axes) == 1 and (not leaves_nan or layout.less(x.shape[axes[0]], _ROWS_OF_NANMEDIAN)):
            # a mean over a sorted copy; the others put their axis first
            copied = layout.order_strides(x.shape, x.strides, "K")
            strides = layout.reduced_strides(x.shape, copied, axes, bool(keepdims))
        elif rows and x.ndim > 1 and len(axes) < x.ndim:  # row by row, the quantiles of one side by side
            rest, ndim = layout.c_strides([*shape[q.ndim :], *shape[: q.ndim]]), len(shape) - q.ndim
            strides = (*rest[ndim:], *rest[:ndim])
        target = "quern.capture.frontends.numpy.checks:contiguous_" + name
        if keepdims and out is None and x.ndim:  # NumPy puts new axes into the result
            given = apply(b, a, *args, axis=axis, overwrite_input=overwrite_input, **kwargs)
            for d in sorted(axes):
                given = b.view(given, "unsqueeze", dim=d + (q.ndim if quantiles else 0))
            return given
        return b.into(
            out, b.extern(target, [x, *args[:changing]], call, shape, dtype, strides=strides, kwargs=named), "no"
        )

    return apply


median = _order_statistic("median", quantiles=False, leaves_nan=False)
percentile = _order_statistic("percentile", quantiles=True, leaves_nan=False)
quantile = _order_statistic("quantile", quantiles=True, leaves_nan=False)
nanmedian = _order_statistic("nanmedian", quantiles=False, leaves_nan=True)
nanpercentile = _order_statistic("nanpercentile", quantiles=True, leaves_nan=True)
nanquantile = _order_statistic("nanquantile", quantiles=True, leaves_nan=True)


# --------------------------------------------------------------------------- methods of ufuncs


def ufunc_reduce(b: ArrayBuilder, ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None,
                 keepdims: bool = False, initial: Any = None, where: Any = True) -> Any:  # fmt: skip
    """`ufunc.reduce`."""
    if ufunc in _SUMS:
        return _SUMS[ufunc](b, array, axis, dtype, out, keepdims, initial, where)
    if dtype is None and ufunc in _EXTREMA:
        return _EXTREMA[ufunc](b, array, axis, out, keepdims, initial, where)
    if dtype is None and initial is None and ufunc in _TRUTHS:
        return _TRUTHS[ufunc](b, array, axis, out, keepdims, where=where)
    raise unsupported(f"np.{ufunc.__name__}.reduce with these arguments")


_SUMS = {np.add: sum_, np.multiply: prod}
_EXTREMA = {np.maximum: max_, np.minimum: min_}
_TRUTHS = {np.logical_and: all_, np.logical_or: any_}


__all__ = ["moveaxis", "wrap_axes"]
