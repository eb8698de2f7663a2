"""The op table in NumPy: how the debug backend runs a graph, and how plans run what has no generated kernel.

`TABLE[name](*arrays, **attrs)` has the meaning of the op's row; dtype attributes are the graph's. Ops that are defined by
a decomposition only are run through it, see `by_decomposition`. Arrays returned by ops that are not views own
their memory.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ....inductor.checks import REFUSED
from ....inductor.dtypes import DType
from ....inductor.graph import ExternRef, Graph, GraphBuilder, Input, Node, Number, Scalar
from ....inductor.ops import OPS
from .layout import numpy_dtype
from .memory import meta_of, restride, strided
from .rolling.run import run as run_loop

Array = Any
Function = Callable[..., Any]

TABLE: dict[str, Function] = {
    name: getattr(np, numpy_name)
    for name, numpy_name in (
        ("exp", "exp"), ("exp2", "exp2"), ("expm1", "expm1"), ("log", "log"), ("log2", "log2"), ("log10", "log10"),
        ("log1p", "log1p"), ("sqrt", "sqrt"), ("sin", "sin"), ("cos", "cos"), ("tan", "tan"), ("asin", "arcsin"),
        ("acos", "arccos"), ("atan", "arctan"), ("sinh", "sinh"), ("cosh", "cosh"), ("tanh", "tanh"),
        ("asinh", "arcsinh"), ("acosh", "arccosh"), ("atanh", "arctanh"), ("neg", "negative"), ("add", "add"),
        ("sub", "subtract"), ("mul", "multiply"), ("div", "true_divide"), ("remainder", "remainder"),
        ("fmod", "fmod"), ("floor_divide", "floor_divide"), ("pow", "power"), ("atan2", "arctan2"),
        ("hypot", "hypot"), ("copysign", "copysign"), ("nextafter", "nextafter"), ("maximum", "maximum"),
        ("minimum", "minimum"), ("fmax", "fmax"), ("fmin", "fmin"), ("bitwise_and", "bitwise_and"),
        ("bitwise_or", "bitwise_or"), ("bitwise_xor", "bitwise_xor"), ("bitwise_not", "invert"),
        ("bitwise_left_shift", "left_shift"), ("bitwise_right_shift", "right_shift"), ("eq", "equal"),
        ("ne", "not_equal"), ("lt", "less"), ("le", "less_equal"), ("gt", "greater"), ("ge", "greater_equal"),
        ("abs", "absolute"), ("sign", "sign"), ("floor", "floor"), ("ceil", "ceil"), ("trunc", "trunc"),
        ("isnan", "isnan"), ("isinf", "isinf"), ("isfinite", "isfinite"), ("isposinf", "isposinf"),
        ("isneginf", "isneginf"), ("signbit", "signbit"), ("logical_and", "logical_and"),
        ("logical_or", "logical_or"), ("logical_xor", "logical_xor"), ("logical_not", "logical_not"),
        ("where", "where"), ("square", "square"), ("reciprocal", "reciprocal"), ("positive", "positive"),
        ("rad2deg", "rad2deg"), ("deg2rad", "deg2rad"), ("heaviside", "heaviside"), ("matmul", "matmul"),
        ("mm", "matmul"), ("bmm", "matmul"), ("mv", "matmul"), ("dot", "dot"), ("outer", "outer"),
    )
}  # fmt: skip


def table_op(name: str) -> Callable[[Function], Function]:
    """Register the decorated function as the implementation of an op."""

    def register(function: Function) -> Function:
        TABLE[name] = function
        return function

    return register


# --------------------------------------------------------------------------- elementwise


def _by_element(name: str, function: Callable[[float], float]) -> None:
    """A function of the standard library, element by element."""

    def apply(x: Array) -> Array:
        x = np.asarray(x)
        out = np.array([function(float(v)) for v in x.ravel()], dtype=x.dtype)
        return out.reshape(x.shape)

    TABLE[name] = apply


def _lgamma(x: float) -> float:
    if math.isinf(x) or (x <= 0 and x == math.floor(x)):
        return math.inf
    return math.lgamma(x)


_by_element("erf", math.erf)
_by_element("erfc", math.erfc)
_by_element("lgamma", _lgamma)

TABLE["rsqrt"] = lambda x: 1 / np.sqrt(x)
TABLE["rsub"] = lambda x, y: np.subtract(y, x)
TABLE["frac"] = lambda x: x - np.trunc(x)
TABLE["sigmoid"] = lambda x: np.exp(-np.logaddexp(np.zeros((), np.asarray(x).dtype), np.negative(x)))


@table_op("trunc_divide")
def _trunc_divide(x: Array, y: Array) -> Array:
    if np.asarray(x).dtype.kind == "f":
        return np.trunc(np.true_divide(x, y))
    return np.floor_divide(np.subtract(x, np.fmod(x, y)), y)


@table_op("round")
def _round(x: Array, *, decimals: int) -> Array:
    return np.round(x, decimals)


@table_op("masked_fill")
def _masked_fill(x: Array, mask: Array, value: Array) -> Array:
    return np.where(mask, np.asarray(value).astype(x.dtype), x)


@table_op("cast")
def _cast(x: Array, *, dtype: DType) -> Array:
    return np.asarray(x).astype(numpy_dtype(dtype))


# --------------------------------------------------------------------------- creation


@table_op("scalar")
def _scalar(*, value: Any, dtype: DType | None) -> Any:
    # without a dtype a number is weak, as Python's own are
    return value if dtype is None else np.asarray(value, numpy_dtype(dtype))


@table_op("check")
def _check(flag: Any) -> Any:
    if flag:
        raise RuntimeError(REFUSED)
    return flag


@table_op("constant")
def _constant(*, value: Sequence[Any], shape: Sequence[int], dtype: DType, device: str) -> Array:
    made = np.empty(shape, numpy_dtype(dtype))  # of its own memory, no view of a row
    made.reshape(-1)[:] = np.array(value, made.dtype)
    return made


def _dtype_of(dtype: DType | None, value: Any) -> np.dtype:
    return np.result_type(value) if dtype is None else numpy_dtype(dtype)


@table_op("full")
def _full(*, shape: Sequence[int], value: Any, dtype: DType | None, device: str) -> Array:
    return np.full(tuple(shape), value, _dtype_of(dtype, value))


@table_op("full_like")
def _full_like(x: Array, *, value: Any, dtype: DType | None, device: Any, memory_format: Any) -> Array:
    return np.full_like(x, value, dtype=None if dtype is None else numpy_dtype(dtype))


@table_op("empty")
def _empty(*, shape: Sequence[int], stride: Any, dtype: DType, device: str) -> Array:
    return np.zeros(tuple(shape), numpy_dtype(dtype))


@table_op("arange")
def _arange(*, start: Any, end: Any, step: Any, dtype: DType | None, device: str) -> Array:
    size = max(0, math.ceil((end - start) / step))
    return (start + np.arange(size) * step).astype(_dtype_of(dtype, np.result_type(start, end, step).type(0)))


@table_op("linspace")
def _linspace(*, start: Any, end: Any, steps: int, dtype: DType | None, device: str) -> Array:
    return np.linspace(start, end, steps, dtype=_dtype_of(dtype, float(start)))


@table_op("eye")
def _eye(*, n: int, m: int | None, dtype: DType | None, device: str) -> Array:
    return np.eye(n, m, dtype=_dtype_of(dtype, 1.0))


TABLE["tril"] = lambda x, *, diagonal: np.tril(x, diagonal)
TABLE["triu"] = lambda x, *, diagonal: np.triu(x, diagonal)

# --------------------------------------------------------------------------- reductions


def _axes(dim: Any) -> Any:
    return None if dim is None or dim == () else dim if isinstance(dim, int) else tuple(dim)


def _reduction(name: str, function: Function) -> None:
    def apply(x: Array, *, dim: Any, keepdim: bool) -> Array:
        x = np.asarray(x)
        axes = _axes(dim)
        if x.ndim == 0:
            axes = None
        return np.asarray(function(x, axis=axes, keepdims=keepdim))

    TABLE[name] = apply


for _name, _function in (
    ("any", np.any), ("all", np.all), ("amax", np.max), ("amin", np.min), ("argmax", np.argmax), ("argmin", np.argmin),
):  # fmt: skip
    _reduction(_name, _function)


def _typed_reduction(name: str, function: Function) -> None:
    def apply(x: Array, *, dim: Any, keepdim: bool, dtype: DType | None) -> Array:
        x = np.asarray(x)
        wanted = None if dtype is None else numpy_dtype(dtype)
        if wanted is None and x.dtype.kind in "biu":
            wanted = np.dtype(np.int64)
        return np.asarray(function(x, axis=_axes(dim) if x.ndim else None, keepdims=keepdim, dtype=wanted))

    TABLE[name] = apply


_typed_reduction("sum", np.sum)
_typed_reduction("prod", np.prod)
_typed_reduction("mean", np.mean)


def _cumulative(name: str, function: Function) -> None:
    def apply(x: Array, *, dim: int, dtype: DType | None, accumulate: DType | None) -> Array:
        wanted = None if dtype is None else numpy_dtype(dtype)
        return function(x, axis=dim, dtype=wanted) if np.ndim(x) else np.array(x, wanted)

    TABLE[name] = apply


_cumulative("cumsum", np.cumsum)
_cumulative("cumprod", np.cumprod)

# --------------------------------------------------------------------------- views and copies


TABLE["alias"] = TABLE["detach"] = lambda x: x
TABLE["view"] = TABLE["reshape"] = lambda x, *, shape: np.reshape(x, tuple(shape))
TABLE["permute"] = lambda x, *, dims: np.transpose(x, tuple(dims))
TABLE["transpose"] = lambda x, *, dim0, dim1: np.swapaxes(x, dim0, dim1)
TABLE["unsqueeze"] = lambda x, *, dim: np.expand_dims(x, dim)
TABLE["diagonal"] = lambda x, *, offset, dim1, dim2: np.diagonal(x, offset, dim1, dim2)
TABLE["as_strided"] = lambda x, *, size, stride, storage_offset: strided(x, size, stride, storage_offset)
TABLE["clone"] = lambda x, *, memory_format: np.copy(x, order="K")
TABLE["contiguous"] = lambda x, *, memory_format: np.ascontiguousarray(x)
TABLE["to_device"] = lambda x, *, device: x
TABLE["copy"] = lambda x, src: np.broadcast_to(src, x.shape).astype(x.dtype)
TABLE["cat"] = lambda *parts, dim: np.concatenate(parts, axis=dim)
TABLE["stack"] = lambda *parts, dim: np.stack(parts, axis=dim)
TABLE["flip"] = lambda x, *, dims: np.flip(x, tuple(dims)).copy(order="K")
TABLE["roll_dims"] = lambda x, *, shifts, dims: np.roll(x, tuple(shifts), tuple(dims))
TABLE["repeat"] = lambda x, *, repeats: np.tile(x, tuple(repeats))
TABLE["repeat_interleave"] = lambda x, *, repeats, dim: np.repeat(x, repeats, dim)


@table_op("roll")
def _roll(x: Array, *, shifts: Sequence[int], dims: Sequence[int]) -> Array:
    return np.roll(x, tuple(shifts), tuple(dims)) if dims else np.roll(x, shifts[0])


TABLE["restride"] = restride


@table_op("flatten")
def _flatten(x: Array, *, start_dim: int, end_dim: int) -> Array:
    start, end = start_dim % max(x.ndim, 1), end_dim % max(x.ndim, 1)
    return x.reshape((*x.shape[:start], -1, *x.shape[end + 1 :]))


@table_op("unflatten")
def _unflatten(x: Array, *, dim: int, sizes: Sequence[int]) -> Array:
    d = dim % x.ndim
    return x.reshape((*x.shape[:d], *sizes, *x.shape[d + 1 :]))


@table_op("expand")
def _expand(x: Array, *, shape: Sequence[int]) -> Array:
    missing = len(shape) - np.ndim(x)
    sizes = [x.shape[i - missing] if s == -1 else s for i, s in enumerate(shape)]
    return np.broadcast_to(x, sizes)


@table_op("squeeze")
def _squeeze(x: Array, *, dim: Any) -> Array:
    dims = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    return np.squeeze(x, tuple(d for d in dims if x.shape[d] == 1))


def _part(x: Array, dim: int, key: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * (dim % x.ndim), key, ...)


@table_op("select")
def _select(x: Array, *, dim: int, index: int) -> Array:
    return x[_part(x, dim, index)]


@table_op("slice")
def _slice(x: Array, *, dim: int, start: Any, end: Any, step: int) -> Array:
    return x[_part(x, dim, slice(start, end, step))]


@table_op("unfold")
def _unfold(x: Array, *, dimension: int, size: int, step: int) -> Array:
    windows = sliding_window_view(x, size, axis=dimension)
    return windows[_part(windows, dimension % x.ndim, slice(None, None, step))]


@table_op("pad")
def _pad(x: Array, *, pad: Sequence[int], mode: str, value: Any) -> Array:
    pairs = [(pad[k], pad[k + 1]) for k in range(0, len(pad), 2)]
    widths = [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1]
    crops = tuple(slice(max(-low, 0), n - max(-high, 0)) for n, (low, high) in zip(x.shape, widths))
    widths = [(max(low, 0), max(high, 0)) for low, high in widths]
    name = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    extra = {"constant_values": value or 0} if mode == "constant" else {}
    padded: Any = np.pad
    return padded(x[crops], widths, name, **extra)


@table_op("one_hot")
def _one_hot(x: Array, *, num_classes: int) -> Array:
    return (x[..., None] == np.arange(num_classes)).astype(np.int64)


# --------------------------------------------------------------------------- reading and writing parts


TABLE["take"] = lambda x, index: np.take(x, index)
TABLE["gather"] = lambda x, index, *, dim: np.take_along_axis(x, index, dim)
TABLE["index_select"] = lambda x, index, *, dim: np.take(x, index, axis=dim)
TABLE["embedding"] = lambda index, weight, *, padding_idx: weight[index]


@table_op("index")
def _index(x: Array, *indices: Array | None) -> Array:
    return x[tuple(slice(None) if i is None else i for i in indices)]


@table_op("index_put")
def _index_put(x: Array, value: Array, *indices: Array | None, accumulate: bool) -> Array:
    out = x.copy(order="K")
    key = tuple(slice(None) if i is None else i for i in indices)
    if accumulate:
        add: Any = np.add
        add.at(out, key, value)
    else:
        out[key] = value
    return out


def _written(x: Array, key: Any, part: Array) -> Array:
    out = np.copy(x, order="K")
    out[key] = part
    return out


@table_op("slice_scatter")
def _slice_scatter(x: Array, part: Array, *, dim: int, start: Any, end: Any, step: int) -> Array:
    return _written(x, _part(x, dim, slice(start, end, step)), part)


@table_op("select_scatter")
def _select_scatter(x: Array, part: Array, *, dim: int, index: int) -> Array:
    return _written(x, _part(x, dim, index), part)


@table_op("diagonal_scatter")
def _diagonal_scatter(x: Array, part: Array, *, offset: int, dim1: int, dim2: int) -> Array:
    out = x.copy(order="K")
    view = np.diagonal(out, offset, dim1, dim2)
    view.flags.writeable = True
    view[...] = part
    return out


@table_op("scatter")
def _scatter(x: Array, index: Array, src: Array, *, dim: int) -> Array:
    out = x.copy(order="K")
    np.put_along_axis(out, index, src, dim)
    return out


# --------------------------------------------------------------------------- matrices


@table_op("addmm")
def _addmm(x: Array, a: Array, b: Array, *, beta: Any, alpha: Any) -> Array:
    product = np.matmul(a, b)
    return beta * x + (product if alpha == 1 else alpha * product)


TABLE["baddbmm"] = TABLE["addmm"]


@table_op("linear")
def _linear(x: Array, weight: Array, bias: Array | None) -> Array:
    product = np.matmul(x, weight.T)
    return product if bias is None else product + bias


# --------------------------------------------------------------------------- the rest


def by_decomposition(name: str) -> Function:
    """An op that the table defines by simpler ops, run through them. Raises KeyError for an op without one."""
    row = OPS[name]
    decompose = row.decompose
    if decompose is None:
        raise KeyError(f"NumPy has no implementation of op {name!r}")

    def apply(*arrays: Any, **attrs: Any) -> Any:
        arrays = tuple(None if a is None else np.asarray(a) for a in arrays)
        b = GraphBuilder(OPS, Graph())
        inputs = [None if a is None else b.input(meta_of(a)) for a in arrays]
        full = row.bind(attrs)
        meta = row.meta(*[None if i is None else i.meta for i in inputs], **full)
        node = Node(row, tuple(inputs), full, meta, b.fresh_name(name))
        result = decompose(b, node)
        values = dict(zip(inputs, arrays))
        for n in b.graph.nodes:
            if n not in values:
                values[n] = run(n.op.name)(*[values.get(i) for i in n.inputs], **n.attrs)
        return tuple(values[r] for r in result) if isinstance(result, tuple) else values[result]

    return apply


@table_op("getitem")
def _getitem(values: Sequence[Any], *, index: int) -> Any:
    return values[index]


def run(name: str) -> Function:
    """The implementation of a table op, giving arrays (never NumPy scalars). Raises KeyError for one that NumPy has not.

    Ops that plans call (kind "extern") give row-major arrays: kernels behind them rely on the layout that was promised.
    """
    found = _ready.get(name)
    if found is None:
        function = TABLE.get(name) or by_decomposition(name)
        if hasattr(function, "bound"):  # it gives arrays, laid out as the graph says
            wrapped = function
        else:
            wrapped = _row_major(function) if OPS[name].kind == "extern" else _as_arrays(function)
        found = _ready[name] = wrapped
    return found


_ready: dict[str, Function] = {}


def _as_arrays(function: Function) -> Function:
    def call(*arrays: Any, **attrs: Any) -> Any:
        made = function(*arrays, **attrs)
        if type(made) is tuple:
            return tuple(map(np.asarray, made))
        return made if isinstance(made, np.ndarray) or not isinstance(made, np.generic) else np.asarray(made)

    return call


def _row_major(function: Function) -> Function:
    def call(*arrays: Any, **attrs: Any) -> Any:
        made = function(*arrays, **attrs)
        if isinstance(made, tuple):
            return tuple(np.asarray(m, order="C") for m in made)
        return np.asarray(made, order="C")

    return call


@table_op("extern")
def _extern(
    *arrays: Any, ref: ExternRef, shapes: Any = None, dtypes: Any = None, below: int | None = None, raises: bool = False,
    library: str = "",
) -> Any:  # fmt: skip
    """A NumPy function called as the graph says; `below`, `raises` and `library` are for others.

    shapes, dtypes: what its results' must be, where that was not certain
    """
    found = _externs.get(ref.target)
    if found is None:
        found = _externs[ref.target] = resolve(ref.target)
    made = found(*[_filled(a, arrays) for a in ref.args], **{k: _filled(v, arrays) for k, v in ref.kwargs})
    if shapes is not None:
        _check_results(ref, made if isinstance(made, (tuple, list)) else (made,), shapes, dtypes)
    return made


def _check_results(ref: ExternRef, results: Sequence[Any], shapes: Any, dtypes: Any) -> None:
    for x, shape, dtype in zip(results, shapes, dtypes):
        if x.shape != tuple(shape) or x.dtype != numpy_dtype(dtype):
            raise RuntimeError(
                f"{ref.target.replace(':', '.')} gave {x.dtype} of shape {x.shape} where {dtype} of shape {tuple(shape)} was foreseen"
            )


TABLE["loop"] = run_loop


def _filled(value: Any, arrays: Sequence[Any]) -> Any:
    """A part of a call's template with arrays in their places."""
    if type(value) is Input:
        return arrays[value.index]
    if type(value) is Scalar:
        return arrays[value.index][()]
    if type(value) is Number:
        return arrays[value.index].item()
    if type(value) in (list, tuple):
        return type(value)(_filled(v, arrays) for v in value)
    if type(value) is slice:
        return slice(*(_filled(v, arrays) for v in (value.start, value.stop, value.step)))
    return value


#: resolved functions by the name that a reference gives
_externs: dict[str, Function] = {}


def resolve(target: str) -> Function:
    """The function called "module:qualified.name". Raises ImportError or AttributeError when there is none."""
    module, _, name = target.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found
