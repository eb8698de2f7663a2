"""Elementwise ops of several operands, and odd ones, in terms of the pointwise rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .. import dtypes
from ..dtypes import LARGEST, bool_
from ..graph import GraphBuilder, Node, TensorMeta
from .arithmetic import power_meta
from .common import args, new_meta, row, scalar_value, wrap_dim
from .dims import is_zero
from .elementwise import check_dtype
from .facts import ROUNDED, Rounding
from .promotion import (
    broadcast_shapes,
    common_device,
    float_dtype,
    like_meta,
    like_strides,
    pointwise_meta,
    result_dtype,
)
from .reductions import accumulation_dtype, reduced_shape, to


def _row(
    name: str,
    meta: Callable[..., Any],
    build: Callable[..., Node],
    *,
    numbers: tuple[int | str, ...] = (),
    rounding: Rounding = ROUNDED,
    autocast: str = "",
    **attrs: Any,
) -> None:
    """A composite row from `build(b, *inputs, number, **attrs)`; `number(v)` makes a Python scalar's node."""

    def decompose(b: GraphBuilder, node: Node) -> Node:
        return build(b, *args(node), lambda v: b.scalar(value=v), **node.attrs)

    row(
        name, "composite", meta, attrs=attrs, decompose=decompose, numbers=numbers, rounding=rounding, autocast=autocast
    )


def _promoted(name: str, allowed: str = "any") -> Callable[..., TensorMeta]:
    def meta(*metas: TensorMeta, **_: Any) -> TensorMeta:
        dtype = result_dtype(*metas)
        check_dtype(name, dtype, allowed)
        return pointwise_meta(*metas, dtype=dtype)

    return meta


def _floats(name: str) -> Callable[..., TensorMeta]:
    def meta(*metas: TensorMeta, **_: Any) -> TensorMeta:
        dtype = result_dtype(*metas)
        check_dtype(name, dtype, "real")
        return pointwise_meta(*metas, dtype=float_dtype(dtype))

    return meta


# --------------------------------------------------------------------------- bounds


def _meta_clamp(x: TensorMeta, low: TensorMeta | None, high: TensorMeta | None) -> TensorMeta:
    if low is None and high is None:
        raise ValueError("clamp needs min or max")
    bounds = [m for m in (low, high) if m is not None]
    dtype = result_dtype(x, *bounds)
    check_dtype("clamp", dtype, "real-no-bool")
    # Python bounds are arguments, not operands: they have no part in the layout
    return pointwise_meta(x, *(m for m in bounds if not m.weak), dtype=dtype)


def _clamp(b: GraphBuilder, x: Node, low: Node | None, high: Node | None, c: Any) -> Node:
    # the upper bound wins where the bounds cross; NaN anywhere stays. Where zeros of both signs meet, a number leaves x alone,
    # an array is taken. One bound's type decides for the other too: a negative one may not meet x as an unsigned number
    x = to(b, x, result_dtype(*(i.meta for i in (x, low, high) if i is not None)))
    for bound, pick in ((low, b.maximum), (high, b.minimum)):
        if bound is not None:
            x = pick(bound, x) if bound.meta.weak else pick(x, bound)
    return x


# inputs: x, min or None, max or None
_row("clamp", _meta_clamp, _clamp, numbers=(1, 2))


def _nan_to_num(b: GraphBuilder, x: Node, c: Any, nan: float, posinf: float | None, neginf: float | None) -> Node:
    if not x.dtype.is_float:
        return b.alias(x)
    top = LARGEST[x.dtype]
    out = b.where(b.isnan(x), c(float(nan)), x)
    out = b.where(b.isposinf(x), c(top if posinf is None else float(posinf)), out)
    return b.where(b.isneginf(x), c(-top if neginf is None else float(neginf)), out)


def _meta_like(x: TensorMeta, **_: Any) -> TensorMeta:
    return like_meta(x)


_row("nan_to_num", _meta_like, _nan_to_num, nan=0.0, posinf=None, neginf=None)


# --------------------------------------------------------------------------- three operands


def _scaled(b: GraphBuilder, x: Node, value: Node) -> Node:
    return x if scalar_value(value) == 1 else b.mul(x, value)


def _unified(b: GraphBuilder, *nodes: Node) -> list[Node]:
    """All operands in their common dtype: eager converts before it computes."""
    dtype = result_dtype(*(n.meta for n in nodes))
    return [n if n.meta.weak else to(b, n, dtype) for n in nodes]


def _addcmul(b: GraphBuilder, x: Node, p: Node, q: Node, value: Node, c: Any) -> Node:
    x, p, q = _unified(b, x, p, q)
    known = scalar_value(value)
    p = _scaled(b, p, value if known is None or x.dtype.is_float else c(int(known)))
    dtype = result_dtype(x.meta, p.meta, q.meta)
    # eager's kernels on CPUs fuse product and sum
    return b.fma(p, q, x) if dtype.is_float else b.add(x, b.mul(p, q))


def _addcdiv(b: GraphBuilder, x: Node, p: Node, q: Node, value: Node, c: Any) -> Node:
    x, p, q = _unified(b, x, p, q)
    return b.add(x, b.div(_scaled(b, p, value), q))


def _without_value(meta: Callable[..., TensorMeta]) -> Callable[..., TensorMeta]:
    """The last input is a number, which has no part in the result's type and layout."""
    return lambda x, p, q, value: meta(x, p, q)


# inputs: x, p, q, value
_row("addcmul", _without_value(_promoted("addcmul", "no-bool")), _addcmul, numbers=(3,))
_row("addcdiv", _without_value(_promoted("addcdiv", "float")), _addcdiv, numbers=(3,))


def _meta_lerp(x: TensorMeta, end: TensorMeta, weight: TensorMeta) -> TensorMeta:
    tensors = [m for m in (x, end, weight) if not m.weak]
    if len({m.dtype.name for m in tensors}) > 1:
        raise TypeError(f"lerp: operands must have one dtype, got {', '.join(m.dtype.name for m in tensors)}")
    check_dtype("lerp", x.dtype, "float")
    return pointwise_meta(*tensors, dtype=x.dtype)


def _lerp(b: GraphBuilder, x: Node, end: Node, weight: Node, c: Any) -> Node:
    # counted from the nearer end, so that weights 0 and 1 are exact
    dtype = x.dtype
    x, end, weight = (to(b, i, accumulation_dtype(dtype)) for i in (x, end, weight))
    is_near = b.lt(b.abs(weight), c(0.5))
    share = b.where(is_near, weight, b.sub(weight, c(1.0)))
    return to(b, b.fma(share, b.sub(end, x), b.where(is_near, x, end)), dtype)


_row("lerp", _meta_lerp, _lerp, numbers=(2,))


def _meta_prelu(x: TensorMeta, weight: TensorMeta) -> TensorMeta:
    if x.dtype != weight.dtype:
        raise TypeError(f"prelu: the weight is {weight.dtype}, the tensor {x.dtype}")
    return replace(_promoted("prelu", "float")(x, weight), stride=like_strides(x))


_row("prelu", _meta_prelu, lambda b, x, w, c: b.where(b.gt(x, c(0)), x, b.mul(x, w)), autocast="lower")


# --------------------------------------------------------------------------- logarithms and exponentials


def _logaddexp(base: str) -> Callable[..., Node]:
    """log(exp(x) + exp(y)), in the base that `base` names ("exp" with log1p, or "exp2")."""

    def build(b: GraphBuilder, x: Node, y: Node, c: Any) -> Node:
        x, y = _unified(b, x, y)
        top = b.maximum(x, y)
        distance = b.neg(b.abs(b.sub(x, y)))
        if base == "exp2":
            total = b.fma(b.log1p(b.exp2(distance)), c(1.0 / math.log(2.0)), top)
        else:
            total = b.add(top, b.log1p(b.exp(distance)))
        # equal infinities have no distance
        return b.where(b.logical_and(b.isinf(x), b.eq(x, y)), x, total)

    return build


_row("logaddexp", _promoted("logaddexp", "float"), _logaddexp("exp"))
_row("logaddexp2", _promoted("logaddexp2", "float"), _logaddexp("exp2"))


def _times_log(log: str) -> Callable[..., Node]:
    """x * log(y), 0 where x is 0; NaN where y is."""

    def build(b: GraphBuilder, x: Node, y: Node, c: Any) -> Node:
        dtype = float_dtype(result_dtype(x.meta, y.meta))
        x, y = to(b, x, dtype), to(b, y, dtype)
        product = b.mul(x, b.call(log, y))
        return b.where(b.logical_and(b.eq(x, c(0)), b.logical_not(b.isnan(y))), c(0.0), product)

    return build


_row("xlogy", _floats("xlogy"), _times_log("log"), rounding=Rounding(steps=True, numbers=(0, 1)))
_row("xlog1py", _floats("xlog1py"), _times_log("log1p"), rounding=Rounding(steps=True, numbers=(0, 1)))


def _logit(b: GraphBuilder, x: Node, c: Any, eps: float | None) -> Node:
    x = to(b, x, float_dtype(x.dtype))
    if eps is not None:
        low, high = float(eps), 1.0 - float(eps)
        # eager asks in this order, which an eps above 0.5, or a NaN, shows
        x = b.where(b.lt(x, c(low)), c(low), b.where(b.gt(x, c(high)), c(high), x))
    return b.log(b.div(x, b.sub(c(1.0), x)))


_row("logit", _floats("logit"), _logit, eps=None)


def _sinc(b: GraphBuilder, x: Node, c: Any) -> Node:
    angle = b.mul(x, c(math.pi))
    return b.where(b.eq(x, c(0)), c(1.0), b.div(b.sin(angle), angle))


_row("sinc", _floats("sinc"), _sinc)
_row("cbrt", _floats("cbrt"), lambda b, x, c: b.mul(b.sign(x), b.pow(b.abs(x), c(1.0 / 3.0))))
_row("fix", _promoted("fix", "real-no-bool"), lambda b, x, c: b.trunc(x))


def _erfinv(b: GraphBuilder, x: Node, c: Any) -> Node:
    """A rational start (M. Giles, "Approximating the erfinv function", 2010), then two Newton steps in float64."""
    wide = to(b, x, dtypes.float64)
    w = b.neg(b.log(b.mul(b.sub(c(1.0), wide), b.add(c(1.0), wide))))

    def horner(at: Node, coefficients: tuple[float, ...]) -> Node:
        total = c(coefficients[0])
        for k in coefficients[1:]:
            total = b.add(b.mul(total, at), c(k))
        return total

    centre = horner(b.sub(w, c(2.5)), _ERFINV_CENTRE)
    tail = horner(b.sub(b.sqrt(w), c(3.0)), _ERFINV_TAIL)
    y = b.mul(b.where(b.lt(w, c(5.0)), centre, tail), wide)
    for _ in range(2):
        slope = b.mul(b.exp(b.neg(b.mul(y, y))), c(2.0 / math.sqrt(math.pi)))
        y = b.sub(y, b.div(b.sub(b.erf(y), wide), slope))
    ends = b.eq(b.abs(wide), c(1.0))
    return to(b, b.where(ends, b.mul(wide, c(math.inf)), y), float_dtype(x.dtype))


_row("erfinv", _floats("erfinv"), _erfinv)

_ERFINV_CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
    -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_ERFINV_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
    -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip


row("digamma", "extern", _floats("digamma"))


def _meta_integers(name: str) -> Callable[..., TensorMeta]:
    def meta(x: TensorMeta, y: TensorMeta) -> TensorMeta:
        check_dtype(name, result_dtype(x, y), "int")
        return pointwise_meta(x, y)

    return meta


row("gcd", "extern", _meta_integers("gcd"))
row("lcm", "extern", _meta_integers("lcm"))


def _meta_float_power(x: TensorMeta, y: TensorMeta) -> TensorMeta:
    check_dtype("float_power", result_dtype(x, y), "real")
    return power_meta(x, y, dtypes.float64)


def _float_power(b: GraphBuilder, x: Node, y: Node, c: Any) -> Node:
    return b.pow(b.cast(x, dtype=dtypes.float64), y if y.meta.weak else b.cast(y, dtype=dtypes.float64))


_row("float_power", _meta_float_power, _float_power)
_row("ldexp", _floats("ldexp"), lambda b, x, y, c: b.mul(x, b.pow(c(2.0), y)))


# --------------------------------------------------------------------------- closeness


def _meta_isclose(x: TensorMeta, y: TensorMeta, **_: Any) -> TensorMeta:
    if x.dtype != y.dtype and not (x.weak or y.weak):
        raise TypeError(f"isclose: operands must have one dtype, got {x.dtype} and {y.dtype}")
    return pointwise_meta(x, y, dtype=bool_)


def _isclose(b: GraphBuilder, x: Node, y: Node, c: Any, rtol: float, atol: float, equal_nan: bool) -> Node:
    close = b.eq(x, y)
    if equal_nan and x.dtype.is_float:
        close = b.logical_or(close, b.logical_and(b.isnan(x), b.isnan(y)))
    if x.dtype == bool_ or (rtol == 0 and atol == 0):
        return close
    if not x.dtype.is_float:
        x, y = b.cast(x, dtype=dtypes.float64), b.cast(y, dtype=dtypes.float64)
    allowed = b.add(b.abs(b.mul(y, c(float(rtol)))), c(float(atol)))
    distance = b.abs(b.sub(x, y))
    return b.logical_or(close, b.logical_and(b.isfinite(distance), b.le(distance, allowed)))


_row("isclose", _meta_isclose, _isclose, rtol=1e-5, atol=1e-8, equal_nan=False)


# --------------------------------------------------------------------------- vectors


def _meta_glu(x: TensorMeta, *, dim: int) -> TensorMeta:
    check_dtype("glu", x.dtype, "float")
    d = wrap_dim(dim, x.ndim)
    if not x.ndim or not is_zero(x.shape[d] % 2):
        raise ValueError(f"glu: dimension {dim} of shape {x.shape} must be even")
    half = (*x.shape[:d], x.shape[d] // 2, *x.shape[d + 1 :])
    part = TensorMeta(half, x.stride, x.dtype, x.device)
    return pointwise_meta(part, part)


def _glu(b: GraphBuilder, x: Node, c: Any, dim: int) -> Node:
    size = x.shape[wrap_dim(dim, x.ndim)] // 2
    left, right = b.slice(x, dim=dim, end=size), b.slice(x, dim=dim, start=size)
    return b.mul(left, b.sigmoid(right))


_row("glu", _meta_glu, _glu, dim=-1)


def _meta_cosine(x: TensorMeta, y: TensorMeta, *, dim: int, eps: float) -> TensorMeta:
    dtype = result_dtype(x, y)
    check_dtype("cosine_similarity", dtype, "float")
    shape = reduced_shape(broadcast_shapes(x.shape, y.shape), dim, False)
    return new_meta(shape, dtype, common_device(x, y))


def _cosine(b: GraphBuilder, x: Node, y: Node, c: Any, dim: int, eps: float) -> Node:
    dtype = result_dtype(x.meta, y.meta)
    shape = broadcast_shapes(x.shape, y.shape)
    x, y = (b.expand(to(b, t, accumulation_dtype(dtype)), shape=shape) for t in (x, y))

    def unit(t: Node) -> Node:
        return b.div(t, b.maximum(b.vector_norm(t, dim=dim, keepdim=True), c(float(eps))))

    return to(b, b.sum(b.mul(unit(x), unit(y)), dim=dim), dtype)


_row("cosine_similarity", _meta_cosine, _cosine, dim=1, eps=1e-8)


def _meta_cross(x: TensorMeta, y: TensorMeta, *, dim: int) -> TensorMeta:
    meta = pointwise_meta(x, y)
    d = wrap_dim(dim, meta.ndim)
    if x.ndim != y.ndim or x.shape[wrap_dim(dim, x.ndim)] != 3 or y.shape[wrap_dim(dim, y.ndim)] != 3:
        raise ValueError(f"cross: shapes {x.shape} and {y.shape} must both have size 3 at dimension {d}")
    return new_meta(meta.shape, meta.dtype, meta.device)


def _cross(b: GraphBuilder, x: Node, y: Node, c: Any, dim: int) -> Node:
    def turned(t: Node, by: int) -> Node:
        return b.roll(t, shifts=(by,), dims=(dim,))

    return b.sub(b.mul(turned(x, -1), turned(y, 1)), b.mul(turned(x, 1), turned(y, -1)))


_row("cross", _meta_cross, _cross, dim=-1)
