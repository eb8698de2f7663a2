"""Choices between arrays, rounding, closeness, polynomials and slopes."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ....inductor.graph import Input
from ....inductor.ops.dims import less
from ....inductor.ops.promotion import broadcast_shapes
from . import layout
from .arrays import Array, any_array, unsupported
from .builder import ArrayBuilder
from .indexing import refuse_unsafe, stored
from .reductions import all_
from .shaping import wrap_axis
from .ufuncs import call_ufunc, is_weak, operand, weak_type

_BOOL, _INT64, _FLOAT64 = np.dtype(bool), np.dtype(np.int64), np.dtype(np.float64)
#: dtype kind of a Python number
_KIND = {int: "i", float: "f", complex: "c"}


def _common(*values: Any) -> np.dtype:
    """np.result_type where Python numbers are weak."""
    return np.result_type(
        *(weak_type(v)() if is_weak(v) else v.dtype if hasattr(v, "dtype") else np.asarray(v).dtype for v in values)
    )


# --------------------------------------------------------------------------- choices


def where(b: ArrayBuilder, condition: Any, x: Any = None, y: Any = None, /) -> Array:
    if x is None or y is None:
        raise unsupported("np.where with one argument", why="the size of its result depends on the data",
                          rewrite="use np.where(condition, x, y)", code="data-dependent-shape")  # fmt: skip
    x, y = (b.from_list(v) if isinstance(v, (list, tuple)) else v for v in (x, y))
    kind = _common(x, y)
    if kind.kind == "c":
        raise unsupported("np.where of complex numbers")
    mask = b.cast(b.lift(condition), _BOOL)
    made = b.elementwise("where", mask, operand(b, x, kind), operand(b, y, kind))
    made.scalar = False  # np.where gives arrays, also without axes
    return made


def clip(b: ArrayBuilder, a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None,
         max: Any = None, dtype: Any = None) -> Any:  # fmt: skip
    x = b.lift(a)
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    if x.kind in "iu":
        # Python ints beyond the type's range do not limit anything
        info = np.iinfo(x.dtype)
        low = None if type(low) is int and low <= info.min else low
        high = None if type(high) is int and high >= info.max else high
    if low is None and high is None:
        return call_ufunc(b, np.positive, x, out=out)
    if dtype is not None:
        raise unsupported("np.clip with dtype=")
    low, high = (b.from_list(v) if isinstance(v, (list, tuple)) else v for v in (low, high))
    given = [v for v in (x, low, high) if v is not None]
    kind = _common(*given)
    if kind.kind == "c":
        raise unsupported("np.clip of complex numbers")
    made = operand(b, x, kind)
    if low is not None:
        made = b.elementwise("maximum", made, operand(b, low, kind))
    if high is not None:
        made = b.elementwise("minimum", made, operand(b, high, kind))
    return b.into(out, made, spreads=True)


def select(b: ArrayBuilder, condlist: Any, choicelist: Any, default: Any = 0) -> Array:
    """The first choice whose condition holds."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    choices = [c if is_weak(c) else b.lift(c) for c in [*choicelist, default]]
    kind = _common(*choices)
    conditions = [b.lift(c) for c in condlist]
    if any(c.dtype != _BOOL for c in conditions):
        raise TypeError("invalid entry in condlist: should be boolean ndarray")
    made = operand(b, choices[-1], kind)
    for condition, choice in reversed(list(zip(conditions, choices))):
        made = b.elementwise("where", condition, operand(b, choice, kind), made)
    shape = broadcast_shapes(*(c.shape for c in conditions), *(c.shape for c in choices if isinstance(c, Array)))
    if made.shape != shape:
        made = b.view(made, "expand", shape=shape)
    made = b.copy(made, "C") if made.strides != layout.c_strides(shape) else made
    made.scalar = False
    return made


def choose(b: ArrayBuilder, a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    raise unsupported("np.choose", rewrite="use np.select or np.where")


def copyto(b: ArrayBuilder, dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    if not isinstance(dst, Array):
        raise TypeError(f"copyto() argument 1 must be numpy.ndarray, not {type(dst).__name__}")
    if is_weak(src):
        if casting != "unsafe" and "bifc".index("i" if dst.kind == "u" else dst.kind) < "bifc".index(
            _KIND[weak_type(src)]
        ):
            raise TypeError(f"Cannot cast scalar of type {weak_type(src).__name__} to {dst.dtype!r}")
        source = operand(b, src, dst.dtype)
    else:
        source = b.lift(src)
        if not np.can_cast(source.dtype, dst.dtype, casting):
            raise TypeError(
                f"Cannot cast array data from {source.dtype!r} to {dst.dtype!r} according to the rule {casting!r}"
            )
    if where is not True:
        source = b.elementwise("where", b.cast(b.lift(where), _BOOL), b.cast(source, dst.dtype), dst)
    b.write(dst, source)


def putmask(b: ArrayBuilder, a: Any, mask: Any, values: Any) -> None:
    if not is_weak(values) and b.lift(values).shape not in ((), a.shape):
        raise unsupported("np.putmask with values of another shape")
    refuse_unsafe(b, "np.putmask", a, values)
    copyto(b, a, values, casting="unsafe", where=mask)


def fill(b: ArrayBuilder, a: Array, value: Any) -> None:
    """`a.fill(value)`; on a scalar it does nothing, as in NumPy."""
    if not a.scalar:
        if isinstance(value, (list, tuple)) or any_array(value) and b.lift(value).ndim:
            raise unsupported("fill() with what is no number")
        copyto(b, a, stored(b, value, a.dtype) if isinstance(value, Array) else value, casting="unsafe")


# --------------------------------------------------------------------------- rounding and cleaning


def round_(b: ArrayBuilder, a: Any, decimals: Any = 0, out: Any = None) -> Any:
    x = b.lift(a)
    if layout.is_size(decimals):
        raise unsupported("np.round to a number of decimals that changes")
    decimals = operator.index(decimals)
    if not -(1 << 31) <= decimals < 1 << 31:
        raise OverflowError(f"np.round to {decimals} decimals")
    target = out[0] if isinstance(out, tuple) and len(out) == 1 else out
    if x.kind == "f" and decimals:
        dtype = target.dtype if isinstance(target, Array) else x.dtype
        if not np.can_cast(x.dtype, dtype, "same_kind"):
            raise TypeError(f"Cannot cast output from {x.dtype!r} to {dtype!r} with casting rule 'same_kind'")
        by, back = (np.multiply, np.divide) if decimals > 0 else (np.divide, np.multiply)
        factor = 10.0 ** abs(decimals)
        # each step stands in `out`, or in an array of x's type, and may overflow there
        scaled = b.cast(call_ufunc(b, by, x, factor), dtype)
        made = call_ufunc(b, back, call_ufunc(b, np.rint, scaled), factor)
        if x.ndim:  # NumPy multiplies into an array that it makes in C or Fortran order
            made = b.laid_out(made, layout.order_strides(x.shape, x.strides, "A"))
        written = b.into(out, made)
    elif x.kind == "f":
        written = b.into(out, b.elementwise("round", x, decimals=0))
    elif x.kind in "iu" and decimals >= 0:
        written = b.into(out, b.copy(x, scalar=not x.ndim))
    else:
        written = None
    if written is not None:  # of a number comes a number, whatever was given as out=
        return b.fresh(b.node(written), scalar=True) if x.scalar and not written.scalar else written
    raise unsupported(f"np.round of {x.dtype} to {decimals} decimals")


def fix(b: ArrayBuilder, x: Any, out: Any = None) -> Any:
    return call_ufunc(b, np.trunc, x, out=out)


def nan_to_num(
    b: ArrayBuilder, x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Array:
    a = b.lift(x)
    if a.kind == "c":
        raise unsupported("np.nan_to_num of complex numbers")
    made = a = b.as_copied(a) if copy else a
    if a.kind == "f":
        info = np.finfo(a.dtype)
        high, low = (float(info.max) if posinf is None else posinf), (float(info.min) if neginf is None else neginf)
        for test, value in (("isnan", nan), ("isposinf", high), ("isneginf", low)):
            made = b.elementwise("where", b.elementwise(test, a), operand(b, value, a.dtype), made)
    elif copy:
        made = b.copy(a, scalar=not a.ndim)
    if copy or a.scalar:
        return made
    if made is not a:
        b.write(a, made)
    return a if a.ndim else b.fresh(b.node(a), scalar=True)


def isclose(b: ArrayBuilder, a: Any, b_: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Array:
    x = b.lift(a)
    y = b.lift(b_)
    if y.kind != "f":
        y = b.cast(y, np.result_type(y.dtype, 1.0))
    bound = call_ufunc(b, np.add, atol, call_ufunc(b, np.multiply, rtol, call_ufunc(b, np.absolute, y)))
    near = call_ufunc(b, np.less_equal, call_ufunc(b, np.absolute, call_ufunc(b, np.subtract, x, y)), bound)
    near = call_ufunc(b, np.logical_and, near, call_ufunc(b, np.isfinite, y))
    made = call_ufunc(b, np.logical_or, near, call_ufunc(b, np.equal, x, y))
    if equal_nan:
        both = call_ufunc(b, np.logical_and, call_ufunc(b, np.isnan, x), call_ufunc(b, np.isnan, y))
        made = call_ufunc(b, np.logical_or, made, both)
    return made


def allclose(b: ArrayBuilder, a: Any, b_: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Array:
    return b.python_number(all_(b, isclose(b, a, b_, rtol, atol, equal_nan)), bool)


def array_equal(b: ArrayBuilder, a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    x, y = b.lift(a1), b.lift(a2)
    if x.ndim != y.ndim or not all(layout.same(m, n) for m, n in zip(x.shape, y.shape)):
        return False
    same = call_ufunc(b, np.equal, x, y)
    if equal_nan and x.kind == y.kind == "f":
        both = call_ufunc(b, np.logical_and, call_ufunc(b, np.isnan, x), call_ufunc(b, np.isnan, y))
        same = call_ufunc(b, np.logical_or, same, both)
    return b.python_number(all_(b, same), bool)


def real(b: ArrayBuilder, val: Any) -> Array:
    x = b.lift(val)
    return _complex_part(b, x, "real") if x.kind == "c" else x


def imag(b: ArrayBuilder, val: Any) -> Array:
    x = b.lift(val)
    if x.kind == "c":
        return _complex_part(b, x, "imag")
    if x.scalar:
        return b.number(0, x.dtype)
    strides = layout.order_strides(x.shape, x.strides, "A")
    return b.part(x, "imag", lambda: b.node(b.full(x.shape, 0, x.dtype, strides=strides)))


def _complex_part(b: ArrayBuilder, x: Array, part: str) -> Array:
    dtype = np.dtype(np.float32 if x.dtype.itemsize == 8 else np.float64)
    target = f"quern.capture.frontends.numpy.checks:{part}"

    def compute() -> Array:
        return b.extern(target, [x], [Input(0)], x.shape, dtype, scalar=x.scalar)

    if x.scalar:
        return compute()
    made = b.part(x, part, lambda: b.node(compute()))
    made.strides = tuple(2 * s for s in x.strides)
    return made


def sinc(b: ArrayBuilder, x: Any) -> Any:
    a = b.lift(x)
    y = call_ufunc(b, np.multiply, math.pi, where(b, call_ufunc(b, np.equal, a, 0), 1.0e-20, a))
    return call_ufunc(b, np.true_divide, call_ufunc(b, np.sin, y), y)


# --------------------------------------------------------------------------- polynomials


def polyval(b: ArrayBuilder, p: Any, x: Any) -> Any:
    """Horner's rule over known coefficients or over the elements of a 1-d array."""
    coefficients = b.lift(p)
    if coefficients.ndim != 1 or not isinstance(coefficients.shape[0], int):
        raise unsupported("np.polyval with coefficients that are not 1-d")
    at = b.lift(x)
    made = b.full(at.shape, 0, at.dtype, strides=layout.order_strides(at.shape, at.strides, "K"))
    for i in range(coefficients.shape[0]):
        c = b.fresh(b.node(b.view(coefficients, "select", dim=0, index=i)), scalar=True)
        made = call_ufunc(b, np.add, call_ufunc(b, np.multiply, made, at), c)
    return made


# --------------------------------------------------------------------------- slopes


def gradient(b: ArrayBuilder, f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Central differences with constant spacing, one-sided at the ends, as np.gradient does for edge_order=1."""
    x = b.lift(f)
    if x.kind == "b":
        raise TypeError("numpy boolean subtract, the `-` operator, is not supported")
    axes = tuple(range(x.ndim)) if axis is None else tuple(
        wrap_axis(a, x.ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))  # fmt: skip
    spacing = list(varargs) or [1.0]
    spacing = spacing * len(axes) if len(spacing) == 1 else spacing
    if edge_order != 1 or len(spacing) != len(axes) or any(not isinstance(s, (int, float)) for s in spacing):
        raise unsupported("np.gradient with edge_order=2 or coordinates", rewrite="give one number per axis")
    x = b.cast(x, _FLOAT64) if x.kind in "biu" else x
    found = []
    for d, h in zip(axes, spacing):
        if less(x.shape[d], 2):
            raise ValueError("Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) "
                             "elements are required.")  # fmt: skip

        def part(start: Any, stop: Any, d: int = d) -> Array:
            return b.view(x, "slice", dim=d, start=start, end=stop, step=1)

        def slope(upper: Array, lower: Array, width: float) -> Array:
            return call_ufunc(b, np.true_divide, call_ufunc(b, np.subtract, upper, lower), width)

        inner = slope(part(2, None), part(None, -2), 2.0 * h)
        parts = [slope(part(1, 2), part(0, 1), h), inner, slope(part(-1, None), part(-2, -1), h)]
        found.append(b.call("cat", *parts, dim=d, strides=layout.order_strides(x.shape, x.strides, "K")))
    return found[0] if len(found) == 1 else tuple(found)
