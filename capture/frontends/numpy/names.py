"""What NumPy calls it -> what the graph makes of it. One line a name.

A handler is called with an `ArrayBuilder` and the arguments of the NumPy function: symbolic arrays, numbers, shapes,
dtypes, tuples and lists of those. It returns an array, a tuple or list of arrays, or plain Python.
`call` picks the handler; calls without a symbolic array are done at once, and their result becomes a constant.
"""

from __future__ import annotations

import enum
import functools
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ....errors import Unsupported
from . import creation, examples, externs, indexing, linalg, options, prefixes, reductions, selection, shaping
from .arrays import Array, Masked, any_array, unsupported
from .builder import ArrayBuilder, Maker
from .layout import is_size
from .ufuncs import call_operator, call_ufunc, operator_power, outer

# --------------------------------------------------------------------------- functions

#: functions that make arrays: handled also when no argument is an array
MAKERS: dict[Callable[..., Any], Maker] = {
    np.zeros: creation.zeros,
    np.ones: creation.ones,
    np.empty: creation.zeros,
    np.ndarray: creation.ndarray,
    np.full: creation.full,
    np.zeros_like: creation.filled_like(0),
    np.ones_like: creation.filled_like(1),
    np.empty_like: creation.filled_like(0),
    np.full_like: creation.full_like,
    np.arange: creation.arange,
    np.linspace: creation.linspace,
    np.eye: creation.eye,
    np.identity: creation.identity,
    np.tri: creation.tri,
    np.indices: creation.indices,
    np.array: creation.array,
    np.asarray: creation.asarray,
    np.asanyarray: creation.asarray,
    np.ascontiguousarray: creation.ascontiguousarray,
    np.asfortranarray: creation.asfortranarray,
    np.copy: creation.copy,
    np.broadcast_to: shaping.broadcast_to,
}

FUNCTIONS: dict[Callable[..., Any], Maker] = {
    **MAKERS,
    np.diag: creation.diag,
    np.tril: creation.triangle("tril"),
    np.triu: creation.triangle("triu"),
    np.meshgrid: creation.meshgrid,
    np.astype: creation.astype,
    # shapes
    np.reshape: shaping.reshape,
    np.ravel: shaping.ravel,
    np.transpose: shaping.transpose,
    np.permute_dims: shaping.transpose,
    np.matrix_transpose: shaping.matrix_transpose,
    np.swapaxes: shaping.swapaxes,
    np.moveaxis: shaping.moveaxis,
    np.rollaxis: shaping.rollaxis,
    np.expand_dims: shaping.expand_dims,
    np.squeeze: shaping.squeeze,
    np.atleast_1d: shaping.atleast(1),
    np.atleast_2d: shaping.atleast(2),
    np.atleast_3d: shaping.atleast(3),
    np.broadcast_arrays: shaping.broadcast_arrays,
    np.diagonal: shaping.diagonal,
    np.flip: shaping.flip,
    np.fliplr: shaping.fliplr,
    np.flipud: shaping.flipud,
    np.rot90: shaping.rot90,
    np.concatenate: shaping.concatenate,
    np.stack: shaping.stack,
    np.vstack: shaping.vstack,
    np.hstack: shaping.hstack,
    np.dstack: shaping.dstack,
    np.column_stack: shaping.column_stack,
    np.append: shaping.append,
    np.array_split: shaping.array_split,
    np.split: shaping.split,
    np.hsplit: shaping.hsplit,
    np.vsplit: shaping.vsplit,
    np.dsplit: shaping.dsplit,
    np.tile: shaping.tile,
    np.repeat: shaping.repeat,
    np.roll: shaping.roll,
    np.pad: shaping.pad,
    np.lib.stride_tricks.sliding_window_view: shaping.sliding_window_view,
    # reductions and prefixes
    np.sum: reductions.sum_,
    np.prod: reductions.prod,
    np.any: reductions.any_,
    np.all: reductions.all_,
    np.count_nonzero: reductions.count_nonzero,
    np.max: reductions.max_,
    np.amax: reductions.max_,
    np.min: reductions.min_,
    np.amin: reductions.min_,
    np.ptp: reductions.ptp,
    np.argmax: reductions.argmax,
    np.argmin: reductions.argmin,
    np.mean: reductions.mean,
    np.var: reductions.var,
    np.std: reductions.std,
    np.average: reductions.average,
    np.median: reductions.median,
    np.percentile: reductions.percentile,
    np.quantile: reductions.quantile,
    np.nansum: reductions.nansum,
    np.nanprod: reductions.nanprod,
    np.nanmax: reductions.nanmax,
    np.nanmin: reductions.nanmin,
    np.nanmean: reductions.nanmean,
    np.nanvar: reductions.nanvar,
    np.nanstd: reductions.nanstd,
    np.nanmedian: reductions.nanmedian,
    np.nanpercentile: reductions.nanpercentile,
    np.nanquantile: reductions.nanquantile,
    np.cumsum: prefixes.cumsum,
    np.cumprod: prefixes.cumprod,
    np.nancumsum: prefixes.nancumsum,
    np.diff: prefixes.diff,
    # products
    np.matmul: linalg.matmul,
    np.dot: linalg.dot,
    np.vdot: linalg.vdot,
    np.inner: linalg.inner,
    np.outer: linalg.outer,
    np.tensordot: linalg.tensordot,
    np.einsum: linalg.einsum,
    np.trace: linalg.trace,
    np.cross: linalg.cross,
    np.kron: linalg.kron,
    np.linalg.norm: linalg.norm,
    np.linalg.matrix_power: linalg.matrix_power,
    np.linalg.inv: externs.inv,
    np.linalg.det: externs.det,
    np.linalg.slogdet: externs.slogdet,
    np.linalg.cholesky: externs.cholesky,
    np.linalg.eigvalsh: externs.eigvalsh,
    np.linalg.eigh: externs.eigh,
    np.linalg.svd: externs.svd,
    np.linalg.svdvals: externs.svdvals,
    np.linalg.qr: externs.qr,
    np.linalg.pinv: externs.pinv,
    np.linalg.solve: externs.solve,
    np.fft.fft: externs.fft,
    np.fft.ifft: externs.ifft,
    np.fft.rfft: externs.rfft,
    np.fft.irfft: externs.irfft,
    np.fft.fft2: externs.fft2,
    np.fft.ifft2: externs.ifft2,
    np.fft.fftshift: externs.fftshift,
    np.fft.ifftshift: externs.ifftshift,
    np.convolve: externs.convolution("convolve"),
    np.correlate: externs.convolution("correlate"),
    # choices, order, cleaning
    np.where: selection.where,
    np.clip: selection.clip,
    np.select: selection.select,
    np.copyto: selection.copyto,
    np.putmask: selection.putmask,
    np.round: selection.round_,
    np.around: selection.round_,
    np.fix: selection.fix,
    np.nan_to_num: selection.nan_to_num,
    np.isclose: selection.isclose,
    np.real: selection.real,
    np.imag: selection.imag,
    np.sinc: selection.sinc,
    np.polyval: selection.polyval,
    np.sort: externs.sort,
    np.argsort: externs.argsort,
    np.searchsorted: externs.searchsorted,
    np.digitize: externs.digitize,
    np.interp: externs.interp,
    np.gradient: selection.gradient,
    np.allclose: selection.allclose,
    np.array_equal: selection.array_equal,
    np.partition: externs.partition,
    np.argpartition: externs.argpartition,
    np.isin: externs.isin,
    np.histogram: externs.histogram,
    np.take: indexing.take,
    np.take_along_axis: indexing.take_along_axis,
    np.fill_diagonal: indexing.fill_diagonal,
    np.extract: indexing.extract,
    np.place: indexing.place,
    np.linalg.diagonal: lambda b, x, /, *, offset=0: shaping.diagonal(b, x, offset, -2, -1),
}
for _name, _same in (
    ("trapezoid", prefixes.trapezoid), ("trapz", prefixes.trapezoid), ("unstack", indexing.unstack),
):  # fmt: skip
    if hasattr(np, _name):
        FUNCTIONS[getattr(np, _name)] = _same
FUNCTIONS.update({cls: creation.scalar_type(cls) for cls in (
    np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.float16, np.float32,
    np.float64,
)})  # fmt: skip

#: looked at at capture: shape and type, never elements
QUERIES: dict[Callable[..., Any], Maker] = {
    np.shape: lambda b, a: b.lift(a).shape,
    np.ndim: lambda b, a: b.lift(a).ndim,
    np.size: lambda b, a, axis=None: b.lift(a).size if axis is None else b.lift(a).shape[axis],
    np.result_type: lambda b, *types: np.result_type(*map(_type_of, types)),
    np.can_cast: lambda b, from_, to, casting="safe": np.can_cast(_type_of(from_), to, casting),
    np.promote_types: lambda b, one, other: np.promote_types(one, other),
    np.isscalar: lambda b, element: (
        element.scalar if isinstance(element, Array) else is_size(element) or np.isscalar(element)
    ),
    np.iscomplexobj: lambda b, x: b.lift(x).kind == "c",
    np.isrealobj: lambda b, x: b.lift(x).kind != "c",
    np.broadcast_shapes: lambda b, *shapes: np.broadcast_shapes(*shapes),
    np.dtype: lambda b, *args, **kwargs: np.dtype(*args, **kwargs),
    np.finfo: lambda b, dtype: np.finfo(_type_of(dtype)),
    np.iinfo: lambda b, dtype: np.iinfo(_type_of(dtype)),
    np.issubdtype: lambda b, one, other: np.issubdtype(one, other),
    np.ix_: lambda b, *args: _open_mesh(b, args),
}
FUNCTIONS.update(QUERIES)


def _open_mesh(b: ArrayBuilder, args: Sequence[Any]) -> Any:
    """np.ix_ of known lists, or of integer arrays."""
    if not any_array(args):
        return np.ix_(*args)
    arrays = [b.lift(a) for a in args]
    if any(a.ndim != 1 or a.kind not in "iu" for a in arrays):
        raise unsupported("np.ix_ of masks", why="the result's size depends on the data")
    shapes = [(1,) * i + (-1,) + (1,) * (len(arrays) - 1 - i) for i in range(len(arrays))]
    return tuple(shaping.reshape(b, a, shape) for a, shape in zip(arrays, shapes))


def _type_of(value: Any) -> Any:
    return value.dtype if isinstance(value, (Array, Masked)) else value


UFUNC_METHODS: dict[str, Maker] = {
    "reduce": reductions.ufunc_reduce,
    "accumulate": prefixes.ufunc_accumulate,
    "outer": outer,
    "at": indexing.add_at,
}

# --------------------------------------------------------------------------- ndarray


def _ufunc(ufunc: np.ufunc) -> Maker:
    return lambda b, *args, **kwargs: call_ufunc(b, ufunc, *args, **kwargs)


METHODS: dict[str, Maker] = {
    "all": reductions.all_,
    "any": reductions.any_,
    "argmax": reductions.argmax,
    "argmin": reductions.argmin,
    "argsort": externs.argsort,
    "astype": creation.astype,
    "clip": selection.clip,
    "conj": lambda b, a, out=None: _conjugate(b, a, out),
    "conjugate": lambda b, a, out=None: _conjugate(b, a, out),
    "copy": creation.copy_method,
    "cumprod": prefixes.cumprod,
    "cumsum": prefixes.cumsum,
    "diagonal": shaping.diagonal,
    "dot": linalg.dot,
    "fill": selection.fill,
    "flatten": shaping.flatten,
    "max": reductions.max_,
    "mean": reductions.mean,
    "min": reductions.min_,
    "prod": reductions.prod,
    "ravel": shaping.ravel,
    "repeat": shaping.repeat,
    "reshape": shaping.reshape_method,
    "round": selection.round_,
    "searchsorted": externs.searchsorted,
    "sort": externs.sort_method,
    "squeeze": shaping.squeeze,
    "std": reductions.std,
    "sum": reductions.sum_,
    "swapaxes": shaping.swapaxes,
    "take": indexing.take,
    "trace": linalg.trace,
    "transpose": shaping.transpose_method,
    "var": reductions.var,
    "view": lambda b, a, dtype=None, type=None: _reinterpret(b, a, dtype, type),
    "__getitem__": indexing.getitem,
    "__setitem__": indexing.setitem,
    "__abs__": lambda b, x: call_operator(b, np.absolute, x),
    "__divmod__": _ufunc(np.divmod),
    "__rdivmod__": lambda b, a, other: call_ufunc(b, np.divmod, other, a),
}

ATTRIBUTES: dict[str, Maker] = {
    "shape": lambda b, a: a.shape,
    "ndim": lambda b, a: a.ndim,
    "size": lambda b, a: a.size,
    "dtype": lambda b, a: a.dtype,
    "itemsize": lambda b, a: a.dtype.itemsize,
    "nbytes": lambda b, a: a.size * a.dtype.itemsize,
    "strides": lambda b, a: tuple(s * a.dtype.itemsize for s in a.strides),
    "T": lambda b, a: a if a.scalar else shaping.transpose(b, a),
    "mT": shaping.matrix_transpose,
    "real": selection.real,
    "imag": selection.imag,
}


def _conjugate(b: ArrayBuilder, a: Any, out: Any) -> Any:
    """`a.conj()`: the array itself where there is nothing to conjugate. (`np.conj(a)` is a copy.)"""
    if a.dtype.kind == "c" or out is not None:
        return call_ufunc(b, np.conjugate, a, out=out)
    return b.snapshot(a) if isinstance(a, Array) and a.scalar else a


def _reinterpret(b: ArrayBuilder, a: Array, dtype: Any, cls: Any) -> Array:
    if cls is not None or (dtype is not None and np.dtype(dtype) != a.dtype):
        raise unsupported("ndarray.view as another type", rewrite="use astype, or reinterpret outside the function")
    return b.snapshot(a) if a.scalar else b.view(a, "alias")


# --------------------------------------------------------------------------- what is done with numbers


class Takes(enum.Enum):
    """What a function does with Python ints that change: operands are numbers of the graph, other arguments sizes. What a function
    writes to says the type of the result itself.
    """

    ANY = "any"
    OPERANDS = "operands"
    WRITTEN = "written operands"
    WRITTEN_SIZES = "written sizes"


#: of the handlers that are not of ufuncs; `ANY` of all others
_TAKES: dict[Maker, Takes] = {
    selection.clip: Takes.OPERANDS,
    selection.where: Takes.OPERANDS,
    creation.full: Takes.OPERANDS,
    creation.full_like: Takes.OPERANDS,
    creation.array: Takes.OPERANDS,
    creation.asarray: Takes.OPERANDS,
    selection.copyto: Takes.WRITTEN,
    selection.putmask: Takes.WRITTEN,
    selection.fill: Takes.WRITTEN,
    indexing.place: Takes.WRITTEN,
    indexing.fill_diagonal: Takes.WRITTEN,
    indexing.setitem: Takes.WRITTEN_SIZES,
    externs.sort_method: Takes.WRITTEN,
}


def takes_of_method(name: str, kwargs: Mapping[str, Any]) -> Takes:
    """What an array's method does with numbers."""
    return Takes.WRITTEN if "out" in kwargs else _TAKES.get(METHODS[name], Takes.ANY)


def takes_of(function: Any, kwargs: Mapping[str, Any]) -> Takes:
    """What a NumPy callable does with numbers."""
    if "out" in kwargs:
        return Takes.WRITTEN
    if isinstance(function, np.ufunc):
        return Takes.OPERANDS
    found = handler(function)
    return Takes.ANY if found is None else _TAKES.get(found, Takes.ANY)


# --------------------------------------------------------------------------- operators

BINARY: dict[str, np.ufunc] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.true_divide, "//": np.floor_divide, "%": np.remainder,
    "**": np.power, "@": np.matmul, "<<": np.left_shift, ">>": np.right_shift, "&": np.bitwise_and, "|": np.bitwise_or,
    "^": np.bitwise_xor,
}  # fmt: skip
UNARY: dict[str, np.ufunc] = {"+": np.positive, "-": np.negative, "~": np.invert}
COMPARE: dict[str, np.ufunc] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip


def binary(b: ArrayBuilder, op: str, left: Any, right: Any) -> Any:
    """`left op right`, one of them an array."""
    if op == "@":
        return linalg.matmul(b, left, right)
    if op == "**":
        return operator_power(b, left, right)
    return call_operator(b, BINARY[op], left, right)


def unary(b: ArrayBuilder, op: str, x: Array) -> Any:
    """`op x`."""
    return call_operator(b, UNARY[op], x) if x.scalar else call(b, UNARY[op], [x], {})


def inplace(b: ArrayBuilder, op: str, left: Array, right: Any) -> Any:
    """`left op= right`: arrays are written into; scalars give way to a new object."""
    if left.scalar:
        return binary(b, op, left, right)
    if op in ("**", "@"):
        return b.into(left, binary(b, op, left, right))
    return call_ufunc(b, BINARY[op], left, right, out=left)


def inplace_chosen(b: ArrayBuilder, op: str, left: Masked, right: Any) -> Masked:
    """`x[mask] op= right`, before it is put back through the mask."""
    made = binary(b, op, left, right)
    if not np.can_cast(made.dtype, left.dtype, "same_kind"):
        raise TypeError(f"Cannot cast ufunc output from {made.dtype!r} to {left.dtype!r} with casting rule 'same_kind'")
    left.array = b.cast(made.array, left.dtype)
    return left


# --------------------------------------------------------------------------- the call


def handler(function: Any) -> Maker | None:
    """The handler of a NumPy callable; None for one that graphs do not know."""
    found = FUNCTIONS.get(function)
    if found is None and isinstance(function, np.ufunc):
        return _of_ufunc(function)
    owner = function.__self__ if isinstance(function, types.BuiltinFunctionType) else None
    return _of_method(owner, function.__name__) if isinstance(owner, np.ufunc) else found


@functools.cache
def _of_ufunc(function: np.ufunc) -> Maker | None:
    return _ufunc(function)


@functools.cache
def _of_method(owner: np.ufunc, name: str) -> Maker | None:
    method = UFUNC_METHODS.get(name)
    return None if method is None else lambda b, *args, **kwargs: method(b, owner, *args, **kwargs)


def is_known(function: Any) -> bool:
    """Whether graphs know a NumPy callable."""
    return handler(function) is not None or examples.is_folded(function)


def call(b: ArrayBuilder, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """`function(*args, **kwargs)`. Raises Unsupported for what graphs do not know, and the function's own errors."""
    found = handler(function)
    if found is not None:
        options.check(found, args, kwargs)
    if any_array([args, kwargs]) or _has_size([args, kwargs]):
        return examples.or_by_example(b, function, found, args, kwargs)
    if function in MAKERS or function in QUERIES:
        try:
            return MAKERS.get(function, found)(b, *args, **kwargs)  # type: ignore[misc]
        except Unsupported:
            if not examples.is_folded(function):
                raise
    elif found is None and not examples.is_folded(function) and examples.target_of_call(function) is None:
        raise unsupported(f"np.{getattr(function, '__name__', function)}", why="it has no counterpart in a graph")
    return at_once(b, function, args, kwargs)


#: arrays with more elements than this are made when the graph runs
_LARGE = 4096


def at_once(b: ArrayBuilder, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A call on known values, done now: arrays that it gives become constants."""
    with b.at_once():
        result = function(*args, **kwargs)
    if isinstance(result, (tuple, list)):
        parts: list[Any] = [b.constant(r) if isinstance(r, np.ndarray) else r for r in result]
        make: Any = type(result)
        return make(*parts) if hasattr(result, "_fields") else make(parts)
    if isinstance(result, np.ndarray) and result.size > _LARGE and examples.target_by_example(function) is not None:
        return examples.by_example(b, function, args, kwargs)
    return b.constant(result) if isinstance(result, np.ndarray) else result


def _has_size(value: Any) -> bool:
    """Whether a (nested) argument holds a dynamic size."""
    if isinstance(value, (list, tuple)):
        return any(map(_has_size, value))
    if isinstance(value, Mapping):
        return any(map(_has_size, value.values()))
    return is_size(value)
