"""Reductions. `dim` is None (all), an int or a tuple of ints; results are contiguous, as eager's are.

sum and prod of integers and bool give int64. Half types accumulate in float32 (the compute form) and round once. What keeps more
digits than its operands have says so: variances and prefixes of float32 run in float64 on CPUs, as eager's do (docs/numerics.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import dtypes
from ..dtypes import DType, bool_, compute_dtype, float32, float64, int64
from ..graph import Dim, GraphBuilder, Node, TensorMeta
from ..loops import Expr, Fn, Index, Reduce, Scan
from .common import args, at, convert, new_meta, row, wrap_dim, wrap_dims
from .dims import at_least, is_zero
from .elementwise import round_half, truth
from .facts import INVALID, OVER, QUIET, UNDER
from .intervals import below_axis
from .promotion import float_dtype

Dims = int | Sequence[int] | None


def reduced_shape(shape: tuple[Dim, ...], dim: Dims, keepdim: bool) -> tuple[Dim, ...]:
    """The shape left after reducing `dim`."""
    gone = wrap_dims(dim, len(shape))
    if keepdim:
        return tuple(1 if i in gone else s for i, s in enumerate(shape))
    return tuple(s for i, s in enumerate(shape) if i not in gone)


def reduced_count(shape: tuple[Dim, ...], dim: Dims) -> Dim:
    """How many elements go into each result."""
    return math.prod([shape[d] for d in wrap_dims(dim, len(shape))])


def reduce_over(node: Node, fn: Fn, kind: str, step: Callable[[Expr], Expr]) -> Reduce:
    """The loops of a reduction of the node's input; `step` maps each element before it is reduced."""
    shape = args(node)[0].shape
    gone = wrap_dims(node.attrs["dim"], len(shape))
    keepdim = node.attrs.get("keepdim", False)
    if not gone:
        # a 0-dim input: the reduction of one element, written as a loop of one
        return Reduce(kind, (1,), lambda o, r: step(fn(())))

    def inner(o: tuple[Index, ...], r: tuple[Index, ...]) -> Expr:
        kept, reduced = iter(o), iter(r)
        point = []
        for d in range(len(shape)):
            if d in gone:
                point.append(next(reduced))
                if keepdim:
                    next(kept)
            else:
                point.append(next(kept))
        return step(fn(tuple(point)))

    return Reduce(kind, tuple(shape[d] for d in gone), inner)


# --------------------------------------------------------------------------- sum, prod, any, all


def _meta_sum(x: TensorMeta, *, dim: Dims, keepdim: bool, dtype: DType | None) -> TensorMeta:
    out = dtype or (x.dtype if x.dtype.is_float or x.dtype.is_complex else int64)
    return new_meta(reduced_shape(x.shape, dim, keepdim), out, x.device)


def _lower_arithmetic(kind: str) -> Callable[..., Reduce]:
    def lower(node: Node, fn: Fn) -> Reduce:
        x = args(node)[0]
        return reduce_over(node, fn, kind, lambda e: _as_asked(e, x.dtype, node.dtype))

    return lower


def _as_asked(value: Expr, dtype: DType, asked: DType) -> Expr:
    """An item of `dtype` in the type that `dtype=` asks for, which it takes before anything is added up: a half rounds it."""
    value = convert(value, asked)
    return round_half(value, asked) if asked in dtypes.HALVES and dtype != asked else value


_REDUCE_ATTRS: dict[str, Any] = {"dim": None, "keepdim": False}

for _name, _errors, _autocast in (("sum", OVER | INVALID, ""), ("prod", OVER | UNDER | INVALID, "float32")):
    row(_name, "reduction", _meta_sum, attrs={**_REDUCE_ATTRS, "dtype": None}, lower=_lower_arithmetic(_name),
        errors=_errors, autocast=_autocast)  # fmt: skip


def _meta_any(x: TensorMeta, *, dim: Dims, keepdim: bool) -> TensorMeta:
    # eager answers uint8 with uint8
    out = x.dtype if x.dtype == dtypes.uint8 else bool_
    return new_meta(reduced_shape(x.shape, dim, keepdim), out, x.device)


def _lower_any(kind: str) -> Callable[..., Reduce]:
    # over uint8 the truth values 0 and 1 are reduced as numbers: any is max, all is min
    numeric = {"any": "max", "all": "min"}[kind]

    def lower(node: Node, fn: Fn) -> Reduce:
        if node.dtype == dtypes.uint8:
            return reduce_over(node, fn, numeric, lambda e: convert(truth(e), dtypes.uint8))
        return reduce_over(node, fn, kind, truth)

    return lower


for _name in ("any", "all"):
    row(_name, "reduction", _meta_any, attrs=_REDUCE_ATTRS, lower=_lower_any(_name), errors=QUIET)


# --------------------------------------------------------------------------- extrema


def _need_elements(name: str, shape: tuple[Dim, ...], dim: Dims) -> None:
    if is_zero(reduced_count(shape, dim)):
        raise IndexError(f"{name}: the reduced dimensions of shape {shape} hold no element, and {name} has no identity")


def _meta_extremum(name: str) -> Callable[..., TensorMeta]:
    def meta(x: TensorMeta, *, dim: Dims, keepdim: bool) -> TensorMeta:
        if x.dtype.is_complex:
            raise TypeError(f"{name} is not defined for {x.dtype}")
        _need_elements(name, x.shape, dim)
        return new_meta(reduced_shape(x.shape, dim, keepdim), x.dtype, x.device)

    return meta


def _lower_extremum(kind: str) -> Callable[..., Reduce]:
    def lower(node: Node, fn: Fn) -> Reduce:
        if node.dtype == bool_:
            return reduce_over(node, fn, "any" if kind == "max" else "all", lambda e: e)
        return reduce_over(node, fn, kind, lambda e: e)

    return lower


for _name, _kind in (("amax", "max"), ("amin", "min")):
    row(_name, "reduction", _meta_extremum(_name), attrs=_REDUCE_ATTRS, lower=_lower_extremum(_kind), errors=QUIET)


def _meta_arg(name: str) -> Callable[..., TensorMeta]:
    def meta(x: TensorMeta, *, dim: int | None, keepdim: bool) -> TensorMeta:
        if x.dtype.is_complex or x.dtype == bool_:
            raise TypeError(f"{name} is not defined for {x.dtype}")
        if dim is not None and not isinstance(dim, int):
            raise TypeError(f"{name} takes one dim, not {dim!r}")
        _need_elements(name, x.shape, dim)
        return new_meta(reduced_shape(x.shape, dim, keepdim), int64, x.device)

    return meta


for _name in ("argmax", "argmin"):
    row(_name, "reduction", _meta_arg(_name), attrs=_REDUCE_ATTRS,
        lower=lambda node, fn, kind=_name: reduce_over(node, fn, kind, lambda e: e), errors=QUIET,
        below=below_axis)  # fmt: skip


def _meta_values_indices(name: str) -> Callable[..., tuple[TensorMeta, TensorMeta]]:
    def meta(x: TensorMeta, *, dim: int, keepdim: bool) -> tuple[TensorMeta, TensorMeta]:
        if x.dtype.is_complex:
            raise TypeError(f"{name} is not defined for {x.dtype}")
        wrap_dim(dim, x.ndim)
        _need_elements(name, x.shape, dim)
        shape = reduced_shape(x.shape, dim, keepdim)
        return new_meta(shape, x.dtype, x.device), new_meta(shape, int64, x.device)

    return meta


def _decompose_values_indices(value: str, index: str) -> Callable[..., tuple[Node, Node]]:
    def decompose(b: GraphBuilder, node: Node) -> tuple[Node, Node]:
        x = args(node)[0]
        numbers = b.cast(x, dtype=dtypes.uint8) if x.dtype == bool_ else x
        return b.call(value, x, **node.attrs), b.call(index, numbers, **node.attrs)

    return decompose


for _name, _value, _index in (("max_dim", "amax", "argmax"), ("min_dim", "amin", "argmin")):
    row(_name, "composite", _meta_values_indices(_name), attrs={"dim": -1, "keepdim": False},
        decompose=_decompose_values_indices(_value, _index))  # fmt: skip


# --------------------------------------------------------------------------- averages and norms


def accumulation_dtype(dtype: DType) -> DType:
    """The dtype in which composite reductions of `dtype` keep their intermediate values."""
    return compute_dtype(dtype)


def wide_dtype(dtype: DType, device: str) -> DType:
    """The dtype in which eager accumulates where it guards against cancellation: double for float32 on CPUs, float32 for halves."""
    return float64 if dtype == float32 and device == "cpu" else compute_dtype(dtype)


def to(b: GraphBuilder, x: Node, dtype: DType) -> Node:
    """`x` as `dtype`; itself when it already is."""
    return x if x.dtype == dtype else b.cast(x, dtype=dtype)


def size_scalar(b: GraphBuilder, size: Dim) -> Node:
    return b.scalar(value=size)


def _meta_mean(x: TensorMeta, *, dim: Dims, keepdim: bool, dtype: DType | None) -> TensorMeta:
    out = dtype or x.dtype
    if not (out.is_float or out.is_complex):
        raise TypeError(f"mean needs a float or complex tensor, or dtype=; it got {out}")
    return new_meta(reduced_shape(x.shape, dim, keepdim), out, x.device)


def _decompose_mean(b: GraphBuilder, node: Node) -> Node:
    dim, keepdim = node.attrs["dim"], node.attrs["keepdim"]
    x = to(b, args(node)[0], accumulation_dtype(node.dtype))
    total = b.sum(x, dim=dim, keepdim=keepdim)
    return to(b, b.div(total, size_scalar(b, reduced_count(x.shape, dim))), node.dtype)


row("mean", "composite", _meta_mean, attrs={**_REDUCE_ATTRS, "dtype": None}, decompose=_decompose_mean,
    errors=OVER | UNDER | INVALID)  # fmt: skip


def _meta_var(x: TensorMeta, *, dim: Dims, keepdim: bool, correction: float, accumulate: DType | None) -> TensorMeta:
    if not x.dtype.is_float:
        raise TypeError(f"var and std need a float tensor; got {x.dtype}")
    return new_meta(reduced_shape(x.shape, dim, keepdim), x.dtype, x.device)


def drop_dims(b: GraphBuilder, x: Node, shape: tuple[Dim, ...], dim: Dims, keepdim: bool) -> Node:
    """A result that was reduced over `dim` of `shape` with keepdim, in its final shape."""
    return x if keepdim or x.ndim == 0 else b.reshape(x, shape=reduced_shape(shape, dim, False))


def variance(b: GraphBuilder, x: Node, dim: Dims, keepdim: bool, correction: float) -> tuple[Node, Node]:
    """(variance, mean) in x's own dtype: the mean first, then the mean squared distance from it."""
    mean = b.mean(x, dim=dim, keepdim=True)
    distance = b.sub(x, mean)
    total = drop_dims(b, b.sum(b.mul(distance, distance), dim=dim, keepdim=True), x.shape, dim, keepdim)
    count = at_least(reduced_count(x.shape, dim) - correction, 0)
    divisor = b.scalar(value=float(count) if isinstance(count, int) else count)
    return b.div(total, divisor), drop_dims(b, mean, x.shape, dim, keepdim)


def _spread_dtype(dtype: DType, device: str) -> DType:
    """The squares of a bfloat16's whole range need a double, where their root is in it again."""
    return float64 if dtype == dtypes.bfloat16 and device == "cpu" else wide_dtype(dtype, device)


def _running_mean(b: GraphBuilder, x: Node, mean: Node, dim: Dims, keepdim: bool) -> Node:
    """`mean` as eager finds it, moving from element to element: once infinite, the next element makes it NaN. It stays infinite
    where the last element, which must be certain to exist, is alone so.
    """
    gone = wrap_dims(dim, x.ndim)
    if not gone or not all(s > 0 if isinstance(s, int) else s.is_Symbol for s in (x.shape[d] for d in gone)):
        return mean
    last = x
    for d in gone:
        last = b.slice(last, dim=d, start=x.shape[d] - 1)
    went_on = b.logical_not(b.isinf(drop_dims(b, last, x.shape, dim, keepdim)))
    count = b.sum(b.cast(b.isinf(x), dtype=x.dtype), dim=dim, keepdim=keepdim)
    went_on = b.logical_or(went_on, b.gt(count, b.scalar(value=1)))
    return b.where(b.logical_and(b.isinf(mean), went_on), b.scalar(value=math.nan), mean)


def _moments(root: bool, with_mean: bool) -> Callable[..., Node | tuple[Node, Node]]:
    def decompose(b: GraphBuilder, node: Node) -> Node | tuple[Node, Node]:
        (x,) = args(node)
        attrs = dict(node.attrs)
        wide = attrs.pop("accumulate") or _spread_dtype(x.dtype, x.meta.device)
        values = to(b, x, wide)
        var, mean = variance(b, values, **attrs)
        if with_mean:
            mean = _running_mean(b, values, mean, attrs["dim"], attrs["keepdim"])
        spread = to(b, b.sqrt(var) if root else var, x.dtype)
        return (spread, to(b, mean, x.dtype)) if with_mean else spread

    return decompose


def _meta_var_mean(x: TensorMeta, **attrs: Any) -> tuple[TensorMeta, TensorMeta]:
    meta = _meta_var(x, **attrs)
    return meta, meta


#: accumulate: the dtype of sums and distances; None: as torch has it (NumPy keeps the operand's)
_VAR_ATTRS = {**_REDUCE_ATTRS, "correction": 1, "accumulate": None}
for _name, _root in (("var", False), ("std", True)):
    row(_name, "composite", _meta_var, attrs=_VAR_ATTRS, decompose=_moments(_root, with_mean=False))
    row(f"{_name}_mean", "composite", _meta_var_mean, attrs=_VAR_ATTRS, decompose=_moments(_root, with_mean=True))


def _meta_logsumexp(x: TensorMeta, *, dim: Dims, keepdim: bool) -> TensorMeta:
    return new_meta(reduced_shape(x.shape, dim, keepdim), float_dtype(x.dtype), x.device)


def _decompose_logsumexp(b: GraphBuilder, node: Node) -> Node:
    dim, keepdim = node.attrs["dim"], node.attrs["keepdim"]
    x = to(b, args(node)[0], accumulation_dtype(node.dtype))
    zero = b.scalar(value=0.0)
    if is_zero(reduced_count(x.shape, dim)):
        return to(b, b.log(b.sum(b.exp(x), dim=dim, keepdim=keepdim)), node.dtype)

    def finite(top: Node) -> Node:
        # an infinite maximum would give inf - inf; exp then meets the plain values
        return b.where(b.isinf(top), zero, top)

    top = finite(b.amax(x, dim=dim, keepdim=True))
    total = b.log(b.sum(b.exp(b.sub(x, top)), dim=dim, keepdim=True))
    return to(b, drop_dims(b, b.add(total, top), x.shape, dim, keepdim), node.dtype)


row("logsumexp", "composite", _meta_logsumexp, attrs=_REDUCE_ATTRS, decompose=_decompose_logsumexp)


def _meta_norm(x: TensorMeta, *, ord: float, dim: Dims, keepdim: bool, dtype: DType | None) -> TensorMeta:
    if not x.dtype.is_float:
        raise TypeError(f"vector_norm needs a float tensor; got {x.dtype}")
    if dtype is not None and not (dtype.is_float and dtypes.promote(x.dtype, dtype) == dtype):
        raise TypeError(f"vector_norm: {x.dtype} would lose digits as {dtype}")
    if (ord < 0 or ord == math.inf) and is_zero(reduced_count(x.shape, dim)):
        raise IndexError(f"vector_norm of order {ord} has no value over no elements")
    return new_meta(reduced_shape(x.shape, dim, keepdim), dtype or x.dtype, x.device)


def _decompose_norm(b: GraphBuilder, node: Node) -> Node:
    order, dim, keepdim = node.attrs["ord"], node.attrs["dim"], node.attrs["keepdim"]
    x = to(b, args(node)[0], accumulation_dtype(node.dtype))
    size = b.abs(x)
    if order == math.inf:
        out = b.amax(size, dim=dim, keepdim=keepdim)
    elif order == -math.inf:
        out = b.amin(size, dim=dim, keepdim=keepdim)
    elif order == 0:
        out = b.sum(b.cast(b.ne(x, b.scalar(value=0)), dtype=x.dtype), dim=dim, keepdim=keepdim)
    elif order == 1 or reduced_count(x.shape, dim) == 1:
        # the power of one element could leave the range
        out = b.sum(size, dim=dim, keepdim=keepdim)
    elif order == 2:
        out = b.sqrt(b.sum(b.mul(x, x), dim=dim, keepdim=keepdim))
    else:
        total = b.sum(b.pow(size, b.scalar(value=float(order))), dim=dim, keepdim=keepdim)
        out = b.pow(total, b.scalar(value=1.0 / order))
    return to(b, out, node.dtype)


row("vector_norm", "composite", _meta_norm, attrs={"ord": 2.0, **_REDUCE_ATTRS, "dtype": None},
    decompose=_decompose_norm)  # fmt: skip


def _meta_count_nonzero(x: TensorMeta, *, dim: Dims) -> TensorMeta:
    return new_meta(reduced_shape(x.shape, dim, False), int64, x.device)


row("count_nonzero", "composite", _meta_count_nonzero, attrs={"dim": None},
    decompose=lambda b, node: b.sum(b.ne(args(node)[0], b.scalar(value=0)), dim=node.attrs["dim"]))  # fmt: skip


# --------------------------------------------------------------------------- prefixes


def _meta_cumulative(x: TensorMeta, *, dim: int, dtype: DType | None, accumulate: DType | None) -> TensorMeta:
    wrap_dim(dim, x.ndim)
    out = dtype or (x.dtype if x.dtype.is_float or x.dtype.is_complex else int64)
    if out == bool_:
        raise TypeError("truth values are not added up")
    return new_meta(x.shape, out, x.device)


def _lower_cumulative(kind: str) -> Callable[..., Scan | Fn]:
    def lower(node: Node, fn: Fn) -> Scan | Fn:
        wide = node.attrs["accumulate"] or wide_dtype(node.dtype, node.meta.device)
        x = args(node)[0]

        def inner(index: tuple[Index, ...]) -> Expr:
            return convert(_as_asked(at(fn, index, x, node.shape), x.dtype, node.dtype), wide)

        if not node.ndim:
            return lambda index: convert(inner(index), node.dtype)
        return Scan(kind, wrap_dim(node.attrs["dim"], node.ndim), inner)

    return lower


# accumulate: the dtype of the running value; None: as torch has it (NumPy keeps the operand's)
for _name, _kind, _errors, _devices in (
    ("cumsum", "sum", OVER | INVALID, ("cuda",)),
    ("cumprod", "prod", OVER | UNDER | INVALID, ()),
):
    row(_name, "scan", _meta_cumulative, attrs={"dim": 0, "dtype": None, "accumulate": None},
        lower=_lower_cumulative(_kind), errors=_errors, heeds_determinism=_devices)  # fmt: skip
