"""Activation functions: each in terms of the pointwise rows.

Inside a fused loop the half types compute in float32, so these formulas round once, as eager's kernels do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..graph import GraphBuilder, Node, TensorMeta
from .common import args, new_meta, row
from .elementwise import check_dtype
from .facts import IN_STEPS, ROUNDED, Rounding
from .promotion import like_meta, pointwise_meta, result_dtype


def _meta(name: str, allowed: str) -> Callable[..., TensorMeta]:
    def meta(x: TensorMeta, *others: TensorMeta, **_: Any) -> TensorMeta:
        check_dtype(name, x.dtype, allowed)
        return pointwise_meta(x, *others, dtype=result_dtype(x, *others))

    return meta


def _clamped_meta(name: str) -> Callable[..., TensorMeta]:
    """Of what eager clamps into an `empty_like`."""

    def meta(x: TensorMeta, **_: Any) -> TensorMeta:
        check_dtype(name, x.dtype, "real-no-bool")
        return like_meta(x)

    return meta


def _activation(
    name: str,
    build: Callable[..., Node],
    allowed: str = "float",
    meta: Callable[..., TensorMeta] | None = None,
    *,
    numbers: tuple[int | str, ...] = (),
    rounding: Rounding = ROUNDED,
    **attrs: Any,
) -> None:
    """A row from `build(b, x, number, **attrs)`, where `number(v)` makes a Python scalar's node."""

    def decompose(b: GraphBuilder, node: Node) -> Node:
        return build(b, *args(node), lambda v: b.scalar(value=v), **node.attrs)

    row(
        name,
        "composite",
        meta or _meta(name, allowed),
        attrs=attrs,
        decompose=decompose,
        numbers=numbers,
        rounding=rounding,
    )


def _relu(b: GraphBuilder, x: Node, c: Any) -> Node:
    # max propagates NaN, and keeps a negative zero
    return b.maximum(c(0), x)


def _clamp_between(b: GraphBuilder, x: Node, c: Any, low: float, high: float) -> Node:
    return b.minimum(c(high), b.maximum(c(low), x))


def _hardtanh(b: GraphBuilder, x: Node, c: Any, min_val: float, max_val: float) -> Node:
    if not x.dtype.is_float:
        min_val, max_val = int(min_val), int(max_val)
    return _clamp_between(b, x, c, min_val, max_val)


def _meta_gelu(x: TensorMeta, *, approximate: str) -> TensorMeta:
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate must be "none" or "tanh", not {approximate!r}')
    return _meta("gelu", "float")(x)


def _gelu(b: GraphBuilder, x: Node, c: Any, approximate: str) -> Node:
    half = b.mul(x, c(0.5))
    if approximate == "none":
        return b.mul(half, b.add(b.erf(b.mul(x, c(math.sqrt(0.5)))), c(1.0)))
    cube = b.mul(b.mul(x, x), x)
    inner = b.mul(b.add(x, b.mul(cube, c(0.044715))), c(math.sqrt(2.0 / math.pi)))
    return b.mul(half, b.add(b.tanh(inner), c(1.0)))


def _softplus(b: GraphBuilder, x: Node, c: Any, beta: float, threshold: float) -> Node:
    scaled = b.mul(x, c(float(beta)))
    return b.where(b.gt(scaled, c(float(threshold))), x, b.div(b.log1p(b.exp(scaled)), c(float(beta))))


def _elu(b: GraphBuilder, x: Node, c: Any, alpha: float, scale: float, input_scale: float) -> Node:
    negative = b.mul(b.expm1(b.mul(x, c(float(input_scale)))), c(float(alpha) * float(scale)))
    return b.where(b.ge(x, c(0)), b.mul(x, c(float(scale))), negative)


def _meta_celu(x: TensorMeta, *, alpha: float) -> TensorMeta:
    if alpha == 0:
        raise ZeroDivisionError("celu: alpha must not be 0")
    return _meta("celu", "float")(x)


def _hardsigmoid(b: GraphBuilder, x: Node, c: Any) -> Node:
    return b.div(_clamp_between(b, b.add(x, c(3.0)), c, 0.0, 6.0), c(6.0))


def _hardswish(b: GraphBuilder, x: Node, c: Any) -> Node:
    return b.div(b.mul(x, _clamp_between(b, b.add(x, c(3.0)), c, 0.0, 6.0)), c(6.0))


def _meta_log_sigmoid(x: TensorMeta) -> TensorMeta:
    check_dtype("log_sigmoid", x.dtype, "float")
    # eager's CPU kernel writes a contiguous result whatever it reads
    return new_meta(x.shape, x.dtype, x.device) if x.device == "cpu" else pointwise_meta(x)


def _log_sigmoid(b: GraphBuilder, x: Node, c: Any) -> Node:
    return b.sub(b.minimum(x, c(0.0)), b.log1p(b.exp(b.neg(b.abs(x)))))


def _leaky_relu(b: GraphBuilder, x: Node, c: Any, negative_slope: float) -> Node:
    return b.where(b.gt(x, c(0)), x, b.mul(x, c(float(negative_slope))))


def _softshrink(b: GraphBuilder, x: Node, c: Any, lambd: float) -> Node:
    low = b.where(b.lt(x, c(-lambd)), b.add(x, c(lambd)), b.where(b.isnan(x), x, c(0.0)))
    return b.where(b.gt(x, c(lambd)), b.sub(x, c(lambd)), low)


def _hardshrink(b: GraphBuilder, x: Node, c: Any, lambd: float) -> Node:
    return b.where(b.logical_and(b.ge(x, c(-lambd)), b.le(x, c(lambd))), c(0.0), x)


def _threshold(b: GraphBuilder, x: Node, c: Any, threshold: float, value: float) -> Node:
    if not x.dtype.is_float:
        threshold, value = int(threshold), int(value)
    return b.cast(b.where(b.le(x, c(threshold)), c(value), x), dtype=x.dtype)


def _meta_hardtanh(x: TensorMeta, *, min_val: float, max_val: float) -> TensorMeta:
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _clamped_meta("hardtanh")(x)


_activation("relu", _relu, "real-no-bool")
_activation("relu6", lambda b, x, c: _clamp_between(b, x, c, 0, 6), meta=_clamped_meta("relu6"))
row("hardtanh", "composite", _meta_hardtanh, attrs={"min_val": -1.0, "max_val": 1.0}, numbers=("min_val", "max_val"),
    decompose=lambda b, node: _hardtanh(b, args(node)[0], lambda v: b.scalar(value=v), **node.attrs))  # fmt: skip
_activation("leaky_relu", _leaky_relu, numbers=("negative_slope",), negative_slope=0.01)
_activation("elu", _elu, numbers=("alpha", "scale", "input_scale"), alpha=1.0, scale=1.0, input_scale=1.0)
_activation(
    "selu", lambda b, x, c: _elu(b, x, c, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1)
)
_activation(
    "celu",
    lambda b, x, c, alpha: _elu(b, x, c, alpha, 1.0, 1.0 / alpha),
    meta=_meta_celu,
    numbers=("alpha",),
    alpha=1.0,
)
_activation("gelu", _gelu, meta=_meta_gelu, approximate="none")
_activation("silu", lambda b, x, c: b.mul(x, b.sigmoid(x)))
_activation("mish", lambda b, x, c: b.mul(x, b.tanh(b.softplus(x))))
_activation("softplus", _softplus, numbers=("beta", "threshold"), beta=1.0, threshold=20.0)
_activation("hardsigmoid", _hardsigmoid)
_activation("hardswish", _hardswish)
row("log_sigmoid", "composite", _meta_log_sigmoid,
    decompose=lambda b, node: _log_sigmoid(b, args(node)[0], lambda v: b.scalar(value=v)))  # fmt: skip
_activation("softsign", lambda b, x, c: b.div(x, b.add(b.abs(x), c(1.0))), rounding=IN_STEPS)
_activation("tanhshrink", lambda b, x, c: b.sub(x, b.tanh(x)), rounding=IN_STEPS)
_activation("softshrink", _softshrink, numbers=("lambd",), lambd=0.5)
_activation("hardshrink", _hardshrink, numbers=("lambd",), lambd=0.5)
_activation("threshold", _threshold, "real-no-bool", numbers=("threshold", "value"), threshold=0.0, value=0.0)
