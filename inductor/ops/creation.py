"""Tensors from numbers: inputs, constants, fills and ramps. All say their device by the attribute `device`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from .. import dtypes
from ..dtypes import DType, bool_, compute_dtype, int64, wrapped
from ..graph import Dim, GraphBuilder, Node, TensorMeta, contiguous_strides
from ..loops import Expr, Fn, Index, expr, index_value, linearize, masked
from .common import REQUIRED, args, both, compare, convert, new_meta, number, row, size_value, wrap_dim
from .facts import ALL_ERRORS, LAYOUT, QUIET
from .intervals import below_end, of_ramp
from .literals import literal
from .promotion import DEFAULT_FLOAT, channels_last_strides, like_strides
from .reductions import to, wide_dtype


def _meta_input(**_: Any) -> TensorMeta:
    raise TypeError("an input's meta is given, not computed: use GraphBuilder.input")


row("input", "input", _meta_input)


def _meta_constant(*, value: Sequence[Any], shape: tuple[int, ...], dtype: DType, device: str) -> TensorMeta:
    if len(value) != math.prod(shape):
        raise ValueError(f"constant of shape {shape} needs {math.prod(shape)} values, not {len(value)}")
    return new_meta(shape, dtype, device)


#: runs of equal values that are chosen between by comparisons; more lie in memory
_FEW_RUNS = 8


def is_table(node: Node) -> bool:
    """Whether a constant's values lie in memory, for kernels to load."""
    if node.op.name != "constant":
        return False
    if node.dtype.is_complex:  # kernels hold no complex numbers
        return True
    return sum(1 for _ in itertools.groupby(_exact(node.attrs["value"]))) > _FEW_RUNS


def _exact(values: Sequence[Any]) -> list[tuple[Any, float]]:
    """The values with their signs: the two zeros are equal, and are not the same."""
    return [(v, math.copysign(1.0, v)) for v in values]


def _lower_constant(node: Node) -> Fn:
    """Values chosen by position with a binary search of comparisons: meant for small tables."""
    values = node.attrs["value"]
    exact = _exact(values)

    def choose(position: Expr, low: int, high: int) -> Expr:
        if high - low <= 1 or len(set(exact[low:high])) == 1:
            return number(values[low], node.dtype) if high > low else number(0, node.dtype)
        middle = (low + high) // 2
        left = compare("lt", position, number(middle, int64))
        return expr("where", left, choose(position, low, middle), choose(position, middle, high),
                    dtype=compute_dtype(node.dtype))  # fmt: skip

    return lambda index: choose(index_value(linearize(index, node.shape)), 0, len(values))


row("constant", "constant", _meta_constant,
    attrs={"value": REQUIRED, "shape": REQUIRED, "dtype": REQUIRED, "device": "cpu"}, lower=_lower_constant)  # fmt: skip


def _check_shape(shape: Sequence[Dim]) -> tuple[Dim, ...]:
    for s in shape:
        if isinstance(s, int) and s < 0:
            raise ValueError(f"a tensor of shape {tuple(shape)} cannot exist: size {s} is negative")
    return tuple(shape)


def _number_dtype(value: Any) -> DType:
    if isinstance(value, bool):
        return bool_
    return DEFAULT_FLOAT if isinstance(value, float) else dtypes.complex64 if isinstance(value, complex) else int64


def _meta_full(*, shape: Sequence[Dim], value: Any, dtype: DType | None, device: str) -> TensorMeta:
    return new_meta(_check_shape(shape), dtype or _number_dtype(value), device)


def _lower_full(node: Node) -> Fn:
    return lambda index: literal(node.attrs["value"], node.dtype)


row("full", "pointwise", _meta_full,
    attrs={"shape": REQUIRED, "value": REQUIRED, "dtype": None, "device": "cpu"}, lower=_lower_full, numbers=("value",),
    elements="given")  # fmt: skip


def _meta_empty(*, shape: Sequence[Dim], stride: Any, dtype: DType, device: str) -> TensorMeta:
    shape = _check_shape(shape)
    return TensorMeta(shape, tuple(stride) if stride is not None else contiguous_strides(shape), dtype, device)


# eager's memory is arbitrary here; zeros are one of its possible contents
row("empty", "pointwise", _meta_empty,
    attrs={"shape": REQUIRED, "stride": None, "dtype": DEFAULT_FLOAT, "device": "cpu"},
    lower=lambda node: lambda index: number(0, node.dtype), errors=QUIET, heeds_determinism=("cpu", "cuda"))  # fmt: skip


def format_strides(x: TensorMeta, memory_format: str | None) -> tuple[Dim, ...]:
    """Strides of a new tensor shaped as `x`: "preserve" (or None), "contiguous", "channels_last", "channels_last_3d"."""
    if memory_format in (None, "preserve"):
        return like_strides(x)
    if memory_format == "contiguous":
        return contiguous_strides(x.shape)
    if memory_format in ("channels_last", "channels_last_3d"):
        need = 4 if memory_format == "channels_last" else 5
        if x.ndim != need:
            raise ValueError(f"{memory_format} needs a tensor of {need} dimensions, not {x.ndim}")
        return channels_last_strides(x.shape)
    raise ValueError(f"unknown memory format {memory_format!r}")


def _meta_full_like(
    x: TensorMeta, *, value: Any, dtype: DType | None, device: str | None, memory_format: str | None
) -> TensorMeta:
    return TensorMeta(x.shape, format_strides(x, memory_format), dtype or x.dtype, device or x.device)


def _decompose_full_like(b: GraphBuilder, node: Node) -> Node:
    return b.full(shape=node.shape, value=node.attrs["value"], dtype=node.dtype, device=node.meta.device)


row("full_like", "composite", _meta_full_like,
    attrs={"value": REQUIRED, "dtype": None, "device": None, "memory_format": None},
    decompose=_decompose_full_like, numbers=("value",), operands=(LAYOUT,), elements="given")  # fmt: skip


def _meta_arange(*, start: Any, end: Any, step: Any, dtype: DType | None, device: str) -> TensorMeta:
    if isinstance(step, (int, float)) and step == 0:
        raise ValueError("arange: step must not be 0")
    if dtype is None:
        floats = any(isinstance(v, float) for v in (start, end, step))
        dtype = DEFAULT_FLOAT if floats else int64
    return new_meta((arange_size(start, end, step),), dtype, device)


def arange_size(start: Any, end: Any, step: Any) -> Dim:
    """ceil((end - start) / step). Raises ValueError when the bounds disagree with the step's sign."""
    if all(isinstance(v, (int, float)) for v in (start, end, step)):
        if (end - start) * (1 if step > 0 else -1) < 0:
            raise ValueError(f"arange: the bounds {start} and {end} contradict step {step}")
        if all(isinstance(v, int) for v in (start, end, step)):
            return -((start - end) // step)
        return math.ceil((end - start) / step)
    if step == 1:
        return end - start
    import sympy

    return sympy.ceiling(sympy.sympify(end - start) / step)


def _lower_arange(node: Node) -> Fn:
    start, step = node.attrs["start"], node.attrs["step"]
    dtype = node.dtype
    if dtype.is_float and (isinstance(start, float) or isinstance(step, float)):
        # eager computes start + i * step in double for every element
        wide = dtypes.float64

        def ramp(index: tuple[Index, ...]) -> Expr:
            i = convert(index_value(index[0]), wide)
            scaled = expr("mul", i, number(step, wide), dtype=wide)
            return convert(expr("add", scaled, number(start, wide), dtype=wide), dtype)

        return ramp
    if isinstance(start, float) or isinstance(step, float):
        start, step = int(start), int(step)
    return lambda index: convert(index_value(index[0] * step + start), dtype)


row("arange", "pointwise", _meta_arange,
    attrs={"start": 0, "end": REQUIRED, "step": 1, "dtype": None, "device": "cpu"}, lower=_lower_arange,
    errors=QUIET, bounds=of_ramp, below=below_end)  # fmt: skip


def _meta_linspace(*, start: float, end: float, steps: int, dtype: DType | None, device: str) -> TensorMeta:
    if steps < 0:
        raise ValueError(f"linspace: steps must not be negative, got {steps}")
    return new_meta((steps,), dtype or DEFAULT_FLOAT, device)


def _lower_linspace(node: Node) -> Fn:
    """Counted from the nearer end, so that both ends are exact."""
    start, end = (wrapped(node.attrs[k], node.dtype) for k in ("start", "end"))
    steps = node.attrs["steps"]
    wide = compute_dtype(node.dtype) if node.dtype.is_float else dtypes.float64
    step = (end - start) / max(steps - 1, 1)

    def fn(index: tuple[Index, ...]) -> Expr:
        i = convert(index_value(index[0]), wide)
        left = expr("add", number(start, wide), expr("mul", i, number(step, wide), dtype=wide), dtype=wide)
        back = convert(index_value(index[0] * -1 + (steps - 1)), wide)
        right = expr("sub", number(end, wide), expr("mul", back, number(step, wide), dtype=wide), dtype=wide)
        first_half = compare("lt", index_value(index[0]), size_value(steps // 2))
        if steps == 1:
            return convert(number(start, wide), node.dtype)
        return convert(expr("where", first_half, left, right, dtype=wide), node.dtype)

    return fn


row("linspace", "pointwise", _meta_linspace,
    attrs={"start": REQUIRED, "end": REQUIRED, "steps": REQUIRED, "dtype": None, "device": "cpu"},
    lower=_lower_linspace, numbers=("start", "end"), errors=ALL_ERRORS)  # fmt: skip


def _meta_eye(*, n: Dim, m: Dim | None, dtype: DType | None, device: str) -> TensorMeta:
    return new_meta(_check_shape((n, n if m is None else m)), dtype or DEFAULT_FLOAT, device)


def _lower_eye(node: Node) -> Fn:
    return lambda index: convert(compare("eq", index_value(index[0]), index_value(index[1])), node.dtype)


row("eye", "pointwise", _meta_eye, attrs={"n": REQUIRED, "m": None, "dtype": None, "device": "cpu"}, lower=_lower_eye,
    errors=QUIET)  # fmt: skip


# --------------------------------------------------------------------------- triangles


def _meta_triangle(x: TensorMeta, *, diagonal: int) -> TensorMeta:
    if x.ndim < 2:
        raise ValueError(f"tril and triu need at least 2 dimensions, got shape {x.shape}")
    return new_meta(x.shape, x.dtype, x.device)


def _lower_triangle(keep: str) -> Any:
    def lower(node: Node, fn: Fn) -> Fn:
        def value(index: tuple[Index, ...]) -> Expr:
            row_index = index_value(index[-2] + node.attrs["diagonal"])
            kept = compare(keep, index_value(index[-1]), row_index)
            return expr("where", kept, fn(index), number(0, node.dtype), dtype=compute_dtype(node.dtype))

        return value

    return lower


row("tril", "pointwise", _meta_triangle, attrs={"diagonal": 0}, lower=_lower_triangle("le"), errors=QUIET)
row("triu", "pointwise", _meta_triangle, attrs={"diagonal": 0}, lower=_lower_triangle("ge"), errors=QUIET)


def _meta_diag_embed(x: TensorMeta, *, offset: int, dim1: int, dim2: int) -> TensorMeta:
    if not x.ndim:
        raise ValueError("diag_embed needs at least 1 dimension")
    a, b = wrap_dim(dim1, x.ndim + 1, "dim1"), wrap_dim(dim2, x.ndim + 1, "dim2")
    if a == b:
        raise ValueError(f"diag_embed needs two different dimensions, got {dim1} and {dim2}")
    side = x.shape[-1] + abs(offset)
    shape = list(x.shape[:-1])
    for d in sorted((a, b)):
        shape.insert(d, side)
    return new_meta(shape, x.dtype, x.device)


def _lower_diag_embed(node: Node, fn: Fn) -> Fn:
    offset = node.attrs["offset"]
    a, b = wrap_dim(node.attrs["dim1"], node.ndim), wrap_dim(node.attrs["dim2"], node.ndim)

    def value(index: tuple[Index, ...]) -> Expr:
        on = compare("eq", index_value(index[a] + offset), index_value(index[b]))
        along = index[a] - max(-offset, 0)
        if offset < 0:
            on = both(on, compare("ge", index_value(along), number(0, int64)))
        if offset > 0:
            on = both(on, compare("lt", index_value(along), size_value(node.shape[a] - offset)))
        rest = [i for d, i in enumerate(index) if d not in (a, b)]
        return masked(on, fn((*rest, along)), number(0, node.dtype))

    return value


# the last dim becomes a diagonal of dims dim1 and dim2
row("diag_embed", "index", _meta_diag_embed, attrs={"offset": 0, "dim1": -2, "dim2": -1}, lower=_lower_diag_embed,
    errors=QUIET)  # fmt: skip


def _meta_trace(x: TensorMeta) -> TensorMeta:
    if x.ndim != 2:
        raise ValueError(f"trace needs 2 dimensions, got shape {x.shape}")
    if x.dtype == bool_:
        raise TypeError(f"trace is not defined for {x.dtype}")
    return new_meta((), x.dtype if x.dtype.is_float or x.dtype.is_complex else int64, x.device)


def _decompose_trace(b: GraphBuilder, node: Node) -> Node:
    diagonal = b.diagonal(args(node)[0])
    return to(b, b.sum(to(b, diagonal, wide_dtype(diagonal.dtype, diagonal.meta.device))), node.dtype)


row("trace", "composite", _meta_trace, decompose=_decompose_trace, autocast="float32")
