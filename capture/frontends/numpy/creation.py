"""New arrays: from numbers, shapes, ranges and other arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ....inductor.ops.dims import less
from . import layout
from .arrays import Array, any_array, unsupported
from .builder import ArrayBuilder
from .shaping import broadcast_arrays, broadcast_to, integer, refuse_below_zero, reshape, sizes, transpose
from .ufuncs import call_ufunc, is_weak, operand, resolve

_INT64 = np.dtype(np.int64)
_FLOAT64 = np.dtype(np.float64)


def element_type(dtype: Any, default: Any = np.float64) -> np.dtype:
    """A dtype argument. Raises TypeError as np.dtype does."""
    if isinstance(dtype, np.ndarray):
        raise TypeError("Cannot construct a dtype from an array")
    return np.dtype(default if dtype is None else dtype)


def _order_strides(shape: Any, order: str) -> Any:
    if order not in ("C", "F"):
        raise ValueError(f"only 'C' or 'F' order is permitted (got {order!r})")
    return layout.ordered_strides(shape, range(len(shape))) if order == "F" else None


def _like_nothing(like: Any) -> None:
    if like is not None:
        raise unsupported("like=", rewrite="leave it out")


# --------------------------------------------------------------------------- fills


def filled(value: int) -> Callable[..., Array]:
    """np.zeros and np.ones."""

    def apply(
        b: ArrayBuilder, shape: Any, dtype: Any = None, order: str = "C", *, device: Any = None, like: Any = None
    ) -> Array:
        _like_nothing(like)
        shape = sizes(shape)
        kind = element_type(dtype)
        return b.full(shape, _number(value, kind), kind, strides=_order_strides(shape, order))

    return apply


def _number(value: Any, dtype: np.dtype) -> Any:
    """`value` as a Python number of `dtype`. Raises OverflowError for an int that does not fit."""
    with np.errstate(all="ignore"):
        return np.array(value, dtype).item()


def _filled(b: ArrayBuilder, made: Array, value: Any) -> Array:
    b.write(made, operand(b, value, made.dtype) if is_weak(value) else b.lift(value))
    return made


zeros, ones = filled(0), filled(1)


def ndarray(b: ArrayBuilder, shape: Any, dtype: Any = float, buffer: Any = None, offset: int = 0, strides: Any = None,
            order: str | None = None) -> Array:  # fmt: skip
    """np.ndarray, called for an array of memory of its own."""
    if buffer is not None or offset or strides is not None:
        raise unsupported("np.ndarray over memory that is given")
    return zeros(b, shape, dtype, order or "C")


def full(b: ArrayBuilder, shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None,
         like: Any = None) -> Array:  # fmt: skip
    _like_nothing(like)
    shape = sizes(shape)
    strides = _order_strides(shape, order)
    if any_array(fill_value) or isinstance(fill_value, (list, tuple, np.ndarray)):
        made = b.full(shape, 0, b.lift(fill_value).dtype if dtype is None else np.dtype(dtype), strides=strides)
        return _filled(b, made, fill_value)
    kind = np.asarray(fill_value).dtype if dtype is None else np.dtype(dtype)
    return b.full(shape, _number(fill_value, kind), kind, strides=strides)


def filled_like(value: int) -> Callable[..., Array]:
    """np.zeros_like, np.ones_like (and np.empty_like, whose content is anything)."""

    def apply(b: ArrayBuilder, a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
              device: Any = None) -> Array:  # fmt: skip
        return full_like(b, a, value, dtype, order, subok, shape)

    return apply


def full_like(b: ArrayBuilder, a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True,
              shape: Any = None, *, device: Any = None) -> Array:  # fmt: skip
    x = b.lift(a)
    new = x.shape if shape is None else sizes(shape)
    kind = x.dtype if dtype is None else np.dtype(dtype)
    strides = layout.order_strides(x.shape, x.strides, order) if new == x.shape else None
    if any_array(fill_value) or isinstance(fill_value, (list, tuple, np.ndarray)):
        return _filled(b, b.full(new, 0, kind, strides=strides), fill_value)
    return b.full(new, _number(fill_value, kind), kind, strides=strides)


# --------------------------------------------------------------------------- ranges


def arange(b: ArrayBuilder, *args: Any, dtype: Any = None, device: Any = None, like: Any = None, **named: Any) -> Array:
    """np.arange of numbers, or of sizes that are dynamic."""
    _like_nothing(like)
    start, stop, step = _range_arguments(args, named)
    if any_array([start, stop, step]):
        raise unsupported("np.arange with bounds that are not known during capture", why="its size depends on the data")
    if any(layout.is_size(v) for v in (start, stop, step)):
        if not all(layout.is_size(v) or isinstance(v, int) for v in (start, stop, step)):
            raise unsupported("np.arange of a dynamic size with floats")
        if layout.less(stop, start) if layout.less(0, step) else layout.less(start, stop):
            stop = start  # there is nothing between
        whole = b.call("arange", scalar=False, start=start, end=stop, step=step, dtype=b.dtype(_INT64))
        return b.cast(whole, element_type(dtype, _INT64))
    if not all(isinstance(v, (int, float, np.number)) for v in (start, stop, step)):
        raise unsupported("np.arange of what are no numbers")
    # NumPy begins with its own int, so that narrow scalars make no narrow arrays
    kind = (
        np.result_type(_INT64, *(np.asarray(v).dtype for v in (start, stop, step)))
        if dtype is None
        else np.dtype(dtype)
    )
    count = max(0, math.ceil((stop - start) / step))
    negative_zero = type(start) is float and start == 0 > math.copysign(1, start)  # which a sum with it is not
    if kind.kind not in "iuf" or negative_zero:
        ramp: Any = np.arange
        return b.constant(ramp(start, stop, step, dtype))
    positions = b.call("arange", scalar=False, start=0, end=count, step=1, dtype=b.dtype(_INT64))
    # NumPy fills first + i * (second - first) in the element type
    first, second = (np.asarray(v).astype(kind) for v in (start, start + step))
    if kind.kind in "iu":
        if first == 0 and second == 1:
            return b.cast(positions, kind)
        ramp = b.elementwise("mul", positions, b.number(int(second) - int(first), _INT64))
        return b.cast(b.elementwise("add", ramp, b.number(int(first), _INT64)), kind)
    ramp = b.elementwise("mul", b.cast(positions, kind), b.number(second - first, kind))
    return b.elementwise("add", ramp, b.number(first, kind))


def _range_arguments(args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Any, Any]:
    values = dict(zip(("start", "stop", "step") if len(args) > 1 else ("stop",), args)) | named
    if len(args) > 3 or set(values) - {"start", "stop", "step"} or values.get("stop", values.get("start")) is None:
        raise unsupported("np.arange with these arguments")
    if values.get("stop") is None:
        values["stop"] = values.pop("start")
    if values.get("start", 0) is None:
        raise unsupported("np.arange from None")
    step = values.get("step")
    return values.get("start", 0), values["stop"], 1 if step is None else step


def linspace(b: ArrayBuilder, start: Any, stop: Any, num: Any = 50, endpoint: bool = True, retstep: bool = False,
             dtype: Any = None, axis: Any = 0, *, device: Any = None) -> Any:  # fmt: skip
    """Step by step as np.linspace computes it, so that every element is the same."""
    if any_array(num) or layout.is_size(num) or retstep or axis not in (0, -1):
        raise unsupported("np.linspace with retstep=, axis= or an unknown num")
    if not any_array([start, stop]) and num <= 64:
        return b.constant(np.linspace(start, stop, num, endpoint, dtype=dtype))
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    gaps = num - 1 if endpoint else num
    first = call_ufunc(b, np.multiply, b.lift(start), 1.0)
    last = call_ufunc(b, np.multiply, b.lift(stop), 1.0)
    if first.ndim or last.ndim:
        raise unsupported("np.linspace between arrays")
    kind = np.result_type(first.dtype, last.dtype, float(num))
    exact = resolve(np.add, (start, stop))[-1]  # where a Python number takes the other end's type
    if kind != (exact if exact.kind in "fc" else _FLOAT64):
        raise unsupported(f"np.linspace between a {exact} number and one of Python")
    wanted = kind if dtype is None else np.dtype(dtype)
    span = call_ufunc(b, np.subtract, last, first)
    ramp = b.cast(b.call("arange", scalar=False, start=0, end=num, step=1, dtype=b.dtype(_INT64)), kind)
    if gaps > 0:
        # the step's own zero is told apart from a span of zero: tiny spans divide first
        step = call_ufunc(b, np.true_divide, span, float(gaps))
        scaled = call_ufunc(b, np.multiply, ramp, step)
        tiny = call_ufunc(b, np.multiply, call_ufunc(b, np.true_divide, ramp, float(gaps)), span)
        ramp = b.elementwise("where", b.elementwise("eq", step, b.number(0.0, step.dtype)), tiny, scaled)
    else:
        ramp = call_ufunc(b, np.multiply, ramp, span)
    ramp = call_ufunc(b, np.add, ramp, first)
    if endpoint and num > 1:
        positions = b.call("arange", scalar=False, start=0, end=num, step=1, dtype=b.dtype(_INT64))
        at_end = b.elementwise("eq", positions, b.number(num - 1, _INT64))
        ramp = b.elementwise("where", at_end, b.cast(last, ramp.dtype), ramp)
    if wanted.kind in "iu":
        ramp = call_ufunc(b, np.floor, ramp)
    # NumPy computes in a view of the ramp, and copies it to another type only
    return b.view(ramp, "reshape", shape=ramp.shape) if ramp.dtype == wanted else b.cast(ramp, wanted)


def eye(b: ArrayBuilder, N: Any, M: Any = None, k: int = 0, dtype: Any = float, order: str = "C", *, device: Any = None,
        like: Any = None) -> Array:  # fmt: skip
    _like_nothing(like)
    if order != "C":
        raise unsupported("np.eye with order=")
    kind = element_type(dtype)
    columns = N if M is None else M
    if k == 0:
        return b.call("eye", scalar=False, n=N, m=columns, dtype=b.dtype(kind))
    return b.cast(_diagonal_mask(b, N, columns, np.equal, k), kind)


def _diagonal_mask(b: ArrayBuilder, rows: Any, columns: Any, relation: np.ufunc, k: int) -> Array:
    """relation(column, row + k) over a matrix."""
    row = b.call("arange", scalar=False, end=rows, dtype=b.dtype(_INT64))
    column = b.call("arange", scalar=False, end=columns, dtype=b.dtype(_INT64))
    return call_ufunc(b, relation, column, call_ufunc(b, np.add, b.view(row, "unsqueeze", dim=1), k))


def identity(b: ArrayBuilder, n: Any, dtype: Any = None, *, like: Any = None) -> Array:
    return eye(b, integer(n), dtype=dtype)


def tri(b: ArrayBuilder, N: Any, M: Any = None, k: int = 0, dtype: Any = float, *, like: Any = None) -> Array:
    _refuse_unsigned(k)
    return b.cast(_diagonal_mask(b, N, N if M is None else M, np.less_equal, k), element_type(dtype))


def _refuse_unsigned(k: Any) -> None:
    if isinstance(k, np.unsignedinteger):
        raise unsupported(
            "a diagonal given as an unsigned number", why="NumPy negates it in its own type, where it wraps"
        )


def triangle(op: str) -> Callable[..., Array]:
    """np.tril and np.triu."""

    def apply(b: ArrayBuilder, m: Any, k: int = 0) -> Array:
        _refuse_unsigned(k)
        x = b.lift(m)
        if x.ndim < 2:
            raise unsupported(f"np.{op} of an array with fewer than two axes")
        square = x.shape[-2:]  # of the mask, which np.where asks for its opinion too
        strides = layout.elementwise_strides([(square, layout.c_strides(square)), (x.shape, x.strides)], x.shape)
        return b.call(op, x, strides=strides, scalar=False, diagonal=k)

    return apply


def diag(b: ArrayBuilder, v: Any, k: int = 0) -> Array:
    _refuse_unsigned(k)
    x, k = b.lift(v), integer(k)
    if x.ndim == 2:
        return b.view(x, "diagonal", offset=k, dim1=0, dim2=1)
    if x.ndim != 1:
        raise ValueError("Input must be 1- or 2-d.")
    size = x.shape[0] + (-k if less(k, 0) else k)
    square = b.full((size, size), 0, x.dtype)
    node = b.emit("diagonal_scatter", b.node(square), b.node(x), offset=k, dim1=0, dim2=1)
    return b.fresh(node)


def meshgrid(b: ArrayBuilder, *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    n = len(xi)
    places = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    grids: Any = []
    for i, x in zip(places, (b.lift(x) for x in xi)):
        grids.append(reshape(b, x, (*(1,) * i, x.size, *(1,) * (n - 1 - i))))
    if not sparse and grids:
        grids = broadcast_arrays(b, *grids)
    return tuple(b.copy(g, "C") if copy else g for g in grids)


def indices(b: ArrayBuilder, dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    shape = sizes(dimensions)
    if sparse:
        raise unsupported("np.indices with sparse=True")
    parts = []
    for d, size in enumerate(shape):
        ramp = arange(b, size, dtype=dtype)
        parts.append(broadcast_to(b, reshape(b, ramp, (*(1,) * d, size, *(1,) * (len(shape) - 1 - d))), shape))
    return b.fresh(b.emit("stack", *[b.node(p) for p in parts], dim=0))


def grid(b: ArrayBuilder, key: Any, sparse: bool) -> Any:
    """`np.mgrid[key]` and, with `sparse`, `np.ogrid[key]`, of whole numbers."""
    parts = key if isinstance(key, tuple) else (key,)
    bounds = (
        [v for p in parts for v in (p.start, p.stop, p.step)] if all(isinstance(p, slice) for p in parts) else [0.5]
    )
    if any(v is not None and not layout.is_size(v) and type(v) is not int for v in bounds):
        raise unsupported("np.mgrid and np.ogrid with other bounds than whole numbers", rewrite="use np.meshgrid")
    ramps = [arange(b, p.start or 0, p.stop, 1 if p.step is None else p.step) for p in parts]
    if not isinstance(key, tuple):
        return ramps[0]
    n = len(ramps)
    axes = ramps
    for d in range(n):
        axes = [a if i == d else b.view(a, "unsqueeze", dim=d) for i, a in enumerate(axes)]
    if sparse:
        return tuple(axes)
    for p in parts:
        step = 1 if p.step is None else p.step
        reach = p.stop - (p.start or 0) + step  # (an axis has an element for each step that is begun)
        refuse_below_zero([reach - 1 if layout.less(0, step) else -reach - 1])
    shape = tuple(r.size for r in ramps)
    return b.fresh(b.emit("stack", *[b.node(broadcast_to(b, a, shape)) for a in axes], dim=0))


# --------------------------------------------------------------------------- from arrays


def array(b: ArrayBuilder, object: Any, dtype: Any = None, *, copy: bool | None = True, order: str = "K",
          subok: bool = False, ndmin: int = 0, like: Any = None) -> Any:  # fmt: skip
    """np.array of arrays, numbers and nested lists of both."""
    _like_nothing(like)
    x = _converted(b, object, dtype)
    if x.scalar and isinstance(object, Array):
        x = b.copy(x)
    elif isinstance(object, Array):
        moved = order in ("C", "F") and not _has_order(x, order)
        if moved and copy is False:
            raise ValueError("Unable to avoid copy while creating an array as requested.")
        if copy is True and x.storage is object.storage or moved:
            x = b.copy(x, order)
    x.scalar = False
    return _with_axes(b, x, ndmin - x.ndim, order == "F") if ndmin > x.ndim else x


def _with_axes(b: ArrayBuilder, x: Array, count: int, by_columns: bool) -> Array:
    """`x` behind new axes of size 1, which move by one element where it lies by columns."""
    ones = (1,) * count
    by_columns = by_columns or not _has_order(x, "C")
    if by_columns and _has_order(x, "F"):
        turned = transpose(b, x)
        return transpose(b, reshape(b, turned, turned.shape + ones))
    return reshape(b, x, ones + x.shape)


def _has_order(x: Array, order: str) -> bool:
    return (layout.is_f_contiguous if order == "F" else layout.is_c_contiguous)(x.shape, x.strides)


def _converted(b: ArrayBuilder, value: Any, dtype: Any) -> Array:
    if dtype is not None and not any_array(value):
        return b.constant(np.asarray(value, np.dtype(dtype)))
    if type(value) in (int, float, complex):
        return b.constant(np.asarray(value))
    if isinstance(value, Array) and value.number is not None:
        value = b.fresh(b.node(value), scalar=True)
    x = b.lift(value)
    return x if dtype is None else b.cast(x, np.dtype(dtype))


def asarray(b: ArrayBuilder, a: Any, dtype: Any = None, order: str | None = None, *, device: Any = None,
            copy: bool | None = None, like: Any = None) -> Any:  # fmt: skip
    """The array itself where nothing has to change."""
    if isinstance(a, Array) and not a.scalar and copy is not True:
        x = b.cast(a, a.dtype if dtype is None else np.dtype(dtype))
        if order in (None, "K", "A"):
            return x
        if x is not a:
            return _ordered(b, x, order)
        return x if _has_order(x, order) else b.copy(x, order)
    return array(b, a, dtype, copy=True, order=order or "K")


def ascontiguousarray(b: ArrayBuilder, a: Any, dtype: Any = None, *, like: Any = None) -> Array:
    return array(b, asarray(b, a, dtype, "C"), copy=None, ndmin=1)


def asfortranarray(b: ArrayBuilder, a: Any, dtype: Any = None, *, like: Any = None) -> Array:
    return array(b, asarray(b, a, dtype, "F"), copy=None, ndmin=1)


def copy(b: ArrayBuilder, a: Any, order: str = "K", subok: bool = False) -> Array:
    return array(b, a, order=order)


def copy_method(b: ArrayBuilder, a: Array, order: str = "C") -> Array:
    """`a.copy()`: row-major unless asked otherwise; the copy of a scalar is a scalar."""
    return b.copy(a, order, scalar=a.scalar)


def astype(b: ArrayBuilder, a: Any, dtype: Any, order: str = "K", casting: Any = "unsafe", subok: bool = True,
           copy: bool = True) -> Array:  # fmt: skip
    x = b.lift(a)
    if isinstance(dtype, (Array, np.ndarray)):
        raise TypeError("astype to a dtype that is an array")
    kind = np.dtype(dtype)
    if not np.can_cast(x.dtype, kind, casting):
        raise TypeError(f"Cannot cast array data from {x.dtype!r} to {kind!r} according to the rule {casting!r}")
    if x.dtype == kind:
        same_order = order in ("K", "A") or _has_order(x, order)
        return x if not copy and same_order and not x.scalar else b.copy(x, order, scalar=x.scalar)
    return _ordered(b, b.cast(x, kind), order, x)


def _ordered(b: ArrayBuilder, made: Array, order: str, like: Array | None = None) -> Array:
    """A new array in an order, which is that of `like` where "A" or "K" asks for one: axes of size 1 have a place in it too."""
    x = made if like is None else like
    if order == "K" or made.strides == layout.order_strides(x.shape, x.strides, order):
        return made
    return b.copy(made, order, scalar=made.scalar)


def scalar_type(cls: type) -> Callable[..., Any]:
    """np.float32(x) and the like: a NumPy scalar, or an array of that type."""

    def apply(b: ArrayBuilder, value: Any = 0) -> Any:
        if not any_array(value):
            return cls(value)
        x = b.lift(value)
        if x.dtype == np.dtype(cls) and x.ndim:
            return x  # the array itself
        made = b.cast(x, np.dtype(cls))
        made = b.copy(made) if isinstance(value, Array) and made.storage is value.storage else made
        made.scalar = not made.shape
        return made

    return apply
