"""Choosing between values, and values in another type."""

from __future__ import annotations

from .. import dtypes
from ..dtypes import DType, bool_, compute_dtype
from ..graph import GraphBuilder, Node, TensorMeta, contiguous_strides
from ..loops import Expr, Fn, Index, expr
from .common import REQUIRED, args, at, convert, row
from .elementwise import round_half, truth
from .facts import ALL_ERRORS, INVALID, IS_HALF, OVER, QUIET, UNDER
from .promotion import broadcast_shapes, common_device, converted, like_strides, pointwise_meta, result_dtype


def _meta_where(cond: TensorMeta, x: TensorMeta, y: TensorMeta) -> TensorMeta:
    if cond.dtype not in (bool_, dtypes.uint8):
        raise TypeError(f"where needs a bool condition, not {cond.dtype}")
    dtype = result_dtype(x, y)
    given = (converted(t, dtype) if t.device == "cpu" else t for t in (x, y))
    out = pointwise_meta(cond, *given, dtype=dtype, casts=False)
    return out


def _lower_where(node: Node, cond: Fn, x: Fn, y: Fn) -> Fn:
    c_node, x_node, y_node = args(node)

    def fn(index: tuple[Index, ...]) -> Expr:
        c = truth(at(cond, index, c_node, node.shape))
        a = convert(at(x, index, x_node, node.shape), node.dtype)
        b = convert(at(y, index, y_node, node.shape), node.dtype)
        return expr("where", c, a, b, dtype=compute_dtype(node.dtype))

    return fn


row("where", "pointwise", _meta_where, lower=_lower_where, numbers=(1, 2), errors=QUIET)


def _meta_masked_fill(x: TensorMeta, mask: TensorMeta, value: TensorMeta) -> TensorMeta:
    if mask.dtype != bool_:
        raise TypeError(f"masked_fill needs a bool mask, not {mask.dtype}")
    if value.ndim:
        raise ValueError(f"masked_fill needs a 0-dim value, not one of shape {value.shape}")
    shape = broadcast_shapes(x.shape, mask.shape)
    return TensorMeta(shape, contiguous_strides(shape), x.dtype, common_device(x, mask))


def _decompose_masked_fill(b: GraphBuilder, node: Node) -> Node:
    x, mask, value = args(node)
    return b.where(mask, b.cast(value, dtype=node.dtype), x)


row("masked_fill", "composite", _meta_masked_fill, decompose=_decompose_masked_fill, numbers=(2,), errors=QUIET)


def _meta_cast(x: TensorMeta, *, dtype: DType) -> TensorMeta:
    return TensorMeta(x.shape, like_strides(x), dtype, x.device)


def _lower_cast(node: Node, fn: Fn) -> Fn:
    """A conversion that narrows a float rounds at once: what follows sees the narrow value, as in eager."""
    source, target = args(node)[0].dtype, node.dtype

    def cast_value(index: tuple[Index, ...]) -> Expr:
        x = fn(index)
        if target in (dtypes.float16, dtypes.bfloat16) and source != target:
            return expr("cast", expr("cast", x, dtype=target), dtype=dtypes.float32)
        if target == bool_:
            return truth(x)
        return convert(x, target)

    return cast_value


def _errors_of_cast(node: Node) -> int:
    to, of = node.dtype, args(node)[0].dtype
    if to.is_float:
        return (
            OVER | UNDER if of.is_float and of.size > to.size else OVER if to.size == 2 and not of.is_float else QUIET
        )
    return INVALID if of.is_float and to != bool_ else QUIET


CAST = row("cast", "pointwise", _meta_cast, attrs={"dtype": REQUIRED}, lower=_lower_cast, elements="first", errors=_errors_of_cast,
    rounding=IS_HALF)  # fmt: skip


def _lower_rounded(node: Node, fn: Fn) -> Fn:
    return lambda index: round_half(fn(index), node.dtype)


#: the border of an op that the program called: float16 and bfloat16 results are rounded there, as eager's are
row("rounded", "pointwise", lambda x: x, lower=_lower_rounded, errors=ALL_ERRORS, rounding=IS_HALF, eager="none")
