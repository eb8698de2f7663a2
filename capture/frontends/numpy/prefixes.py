"""Prefixes and differences: running sums and products, differences of neighbours, the trapezoidal rule.

The arguments of each function are NumPy's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ....inductor.graph import Input
from . import layout
from .arrays import unsupported
from .builder import ArrayBuilder
from .reductions import missing_of, sum_, sum_dtype
from .shaping import ravel, wrap_axis
from .ufuncs import call_ufunc


def _prefix(op: str, function: str) -> Callable[..., Any]:
    def apply(b: ArrayBuilder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        x = b.lift(a)
        wanted = sum_dtype(x.dtype) if dtype is None else np.dtype(dtype)
        if axis is None or not x.ndim:  # a scalar is an array of one element
            x, axis = ravel(b, x), axis or 0
        axis = wrap_axis(axis, x.ndim)
        strides = layout.elementwise_strides([(x.shape, x.strides)], x.shape)
        if wanted.kind == "c" or wanted == np.float16:  # halves are rounded at each step, which kernels do not
            result = b.extern(
                f"numpy:{function}", [b.cast(x, wanted)], [Input(0), axis], x.shape, wanted, strides=strides
            )
        else:
            result = b.call(
                op, b.cast(x, wanted), strides=strides, dim=axis, dtype=b.dtype(wanted), accumulate=b.dtype(wanted)
            )
        return b.into(out, result, "no")

    return apply


cumsum, cumprod = _prefix("cumsum", "cumsum"), _prefix("cumprod", "cumprod")


def nancumsum(b: ArrayBuilder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    x, missing = missing_of(b, a)
    if missing is not None:
        x = b.elementwise("where", missing, b.number(0.0, x.dtype), x)
    return cumsum(b, x, axis, dtype, out)


def diff(b: ArrayBuilder, a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    if prepend is not None or append is not None:
        raise unsupported("np.diff with prepend= or append=", rewrite="concatenate first")
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    x = b.lift(a)
    axis = wrap_axis(axis, x.ndim)
    ufunc = np.not_equal if x.kind == "b" else np.subtract
    for _ in range(n):
        upper = b.view(x, "slice", dim=axis, start=1, end=None, step=1)
        lower = b.view(x, "slice", dim=axis, start=None, end=-1, step=1)
        x = call_ufunc(b, ufunc, upper, lower)
    return x


def trapezoid(b: ArrayBuilder, y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The trapezoidal rule, term by term as np.trapezoid writes it."""
    y = b.lift(y)
    axis = wrap_axis(axis, y.ndim)
    if x is None:
        width = dx
    else:
        x = b.lift(x)
        width = diff(b, x, axis=0 if x.ndim == 1 else axis)
        if x.ndim == 1:
            for _ in range(y.ndim - 1 - axis):
                width = b.view(width, "unsqueeze", dim=width.ndim)
    upper = b.view(y, "slice", dim=axis, start=1, end=None, step=1)
    lower = b.view(y, "slice", dim=axis, start=None, end=-1, step=1)
    area = call_ufunc(b, np.multiply, width, call_ufunc(b, np.add, upper, lower))
    return sum_(b, call_ufunc(b, np.true_divide, area, 2.0), axis)


def ufunc_accumulate(
    b: ArrayBuilder, ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Any:
    """`ufunc.accumulate`: prefix sums and products; others as NumPy's own call."""
    x = b.lift(array)
    if not x.ndim:
        if axis not in (0, -1, None):
            raise np.exceptions.AxisError(axis, 0)
        raise TypeError("cannot accumulate on a scalar")
    if ufunc in (np.add, np.multiply):
        return (cumsum if ufunc is np.add else cumprod)(b, x, axis, dtype, out)
    if dtype is not None or ufunc.nin != 2 or ufunc.signature is not None:
        raise unsupported(f"np.{ufunc.__name__}.accumulate with these arguments")
    types = ufunc.resolve_dtypes((x.dtype, x.dtype, None), reduction=True)
    if types[-1] != x.dtype:
        raise unsupported(f"np.{ufunc.__name__}.accumulate of {x.dtype}")
    axis = wrap_axis(axis, x.ndim)
    strides = layout.elementwise_strides([(x.shape, x.strides)], x.shape)
    target = f"numpy:{ufunc.__name__}.accumulate"
    return b.into(out, b.extern(target, [x], [Input(0), axis], x.shape, x.dtype, strides=strides), "no")
