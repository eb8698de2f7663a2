"""Losses. `reduction` is "none", "mean" or "sum"; half types accumulate in float32 and round once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ..dtypes import int64
from ..graph import Dim, GraphBuilder, Node, TensorMeta
from .common import args, new_meta, row
from .dims import is_zero, same
from .facts import IN_STEPS, ROUNDED, Rounding
from .promotion import expanded, like_strides, pointwise_meta, result_dtype
from .reductions import accumulation_dtype, size_scalar, to
from .requires import Range, Requirement, Requires


def _check_reduction(reduction: str) -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f'reduction must be "none", "mean" or "sum", not {reduction!r}')


def _finish(b: GraphBuilder, each: Node, reduction: str) -> Node:
    if reduction == "none":
        return each
    return b.sum(each) if reduction == "sum" else b.mean(each)


def _of_input(x: TensorMeta, y: TensorMeta) -> TensorMeta:
    """Laid out as the input: eager writes into an `empty_like` of it."""
    full = pointwise_meta(x, y)
    return replace(full, stride=like_strides(expanded(x, full.shape)))


def _of_target(x: TensorMeta, y: TensorMeta) -> TensorMeta:
    """Laid out by a term of the target alone, which eager combines with a product of both."""
    return pointwise_meta(pointwise_meta(y), pointwise_meta(y, x))


def _loss(
    name: str,
    build: Callable[..., Node],
    layout: Callable[..., TensorMeta] = pointwise_meta,
    *,
    rounding: Rounding = ROUNDED,
    float_input: bool = False,
    requires: Requires | None = None,
    **attrs: Any,
) -> None:
    """An elementwise loss of (input, target): `build(b, x, y, number, **attrs)` gives the loss of each element, which is a tensor
    of its own in eager, laid out as `layout(x, y)`. float_input: the input is not promoted to a target of floats.
    """

    def meta(x: TensorMeta, y: TensorMeta, *, reduction: str, **_: Any) -> TensorMeta:
        _check_reduction(reduction)
        laid = layout(x, y)
        # expanded before they meet: a tensor without dims counts as much as the other
        dtype = result_dtype(*(expanded(m, laid.shape) for m in (x, y)))
        if not dtype.is_float or (float_input and not x.dtype.is_float):
            raise TypeError(f"{name} needs float tensors, not {x.dtype} and {y.dtype}")
        full = replace(laid, dtype=dtype)
        return full if reduction == "none" else new_meta((), dtype, x.device)

    def decompose(b: GraphBuilder, node: Node) -> Node:
        rest = {k: v for k, v in node.attrs.items() if k != "reduction"}
        x, y = (to(b, i, node.dtype if rounding.steps else accumulation_dtype(node.dtype)) for i in args(node))
        each = to(b, build(b, x, y, lambda v: b.scalar(value=v), **rest), node.dtype)
        return to(b, _finish(b, each, node.attrs["reduction"]), node.dtype)

    row(name, "composite", meta, attrs={**attrs, "reduction": "mean"}, decompose=decompose, rounding=rounding,
        requires=requires, autocast="float32")  # fmt: skip


def _mse(b: GraphBuilder, x: Node, y: Node, c: Any) -> Node:
    distance = b.sub(x, y)
    return b.mul(distance, distance)


def _smooth_l1(b: GraphBuilder, x: Node, y: Node, c: Any, beta: float) -> Node:
    distance = b.abs(b.sub(x, y))
    if beta == 0:
        return distance
    near = b.div(b.mul(b.mul(distance, distance), c(0.5)), c(float(beta)))
    return b.where(b.lt(distance, c(float(beta))), near, b.sub(distance, c(0.5 * beta)))


def _huber(b: GraphBuilder, x: Node, y: Node, c: Any, delta: float) -> Node:
    distance = b.abs(b.sub(x, y))
    near = b.mul(b.mul(distance, distance), c(0.5))
    return b.where(b.le(distance, c(float(delta))), near, b.mul(b.sub(distance, c(0.5 * delta)), c(float(delta))))


def _bce(b: GraphBuilder, x: Node, y: Node, c: Any) -> Node:
    # logs are cut at -100, so that a target met exactly costs nothing
    def log(v: Node) -> Node:
        return b.maximum(b.log(v), c(-100.0))

    rest = b.mul(b.sub(y, c(1.0)), b.maximum(b.log1p(b.neg(x)), c(-100.0)))
    return b.sub(rest, b.mul(y, log(x)))


def _bce_with_logits(b: GraphBuilder, x: Node, y: Node, c: Any) -> Node:
    return b.sub(b.mul(b.sub(c(1.0), y), x), b.log_sigmoid(x))


def _kl_div(b: GraphBuilder, x: Node, y: Node, c: Any, log_target: bool) -> Node:
    if log_target:
        return b.mul(b.exp(y), b.sub(y, x))
    return b.sub(b.xlogy(y, y), b.mul(y, x))


_loss("mse_loss", _mse, rounding=IN_STEPS)
_loss("l1_loss", lambda b, x, y, c: b.abs(b.sub(x, y)))
_loss("smooth_l1_loss", _smooth_l1, beta=1.0)
_loss("huber_loss", _huber, _of_input, float_input=True, delta=1.0)
_loss(
    "binary_cross_entropy", _bce, _of_input, float_input=True, requires=lambda n: [Range(i, 0.0, 1.0) for i in (0, 1)]
)
_loss("binary_cross_entropy_with_logits", _bce_with_logits, _of_target, rounding=IN_STEPS, float_input=True)
_loss("kl_div", _kl_div, _of_target, rounding=IN_STEPS, float_input=True, log_target=False)


# --------------------------------------------------------------------------- classification


def _class_dim(ndim: int) -> int:
    return 0 if ndim == 1 else 1


def _check_classes(name: str, x: TensorMeta, target: TensorMeta, weight: TensorMeta | None) -> None:
    if x.ndim == 0 or not x.dtype.is_float:
        raise ValueError(f"{name} needs a float tensor with a class dimension, got {x.dtype}{list(x.shape)}")
    rest = _without(x.shape, _class_dim(x.ndim))
    if len(rest) != target.ndim or any(not same(p, q) for p, q in zip(rest, target.shape)):
        raise ValueError(f"{name}: an input of shape {x.shape} needs a target of shape {rest}, got {target.shape}")
    if not target.dtype.is_int:
        raise TypeError(f"{name} needs class numbers, not {target.dtype}")
    classes = x.shape[_class_dim(x.ndim)]
    if is_zero(classes) and not is_zero(target.numel):
        raise IndexError(f"{name}: an input of shape {x.shape} has no classes")
    if weight is not None and not (weight.ndim == 1 and same(weight.shape[0], classes)):
        raise ValueError(f"{name}: weight must have shape ({classes},), got {weight.shape}")


def _without(shape: tuple[Dim, ...], d: int) -> tuple[Dim, ...]:
    return (*shape[:d], *shape[d + 1 :])


def _meta_nll(
    x: TensorMeta, target: TensorMeta, weight: TensorMeta | None, *, ignore_index: int, reduction: str
) -> TensorMeta:
    _check_reduction(reduction)
    _check_classes("nll_loss", x, target, weight)
    return new_meta(target.shape if reduction == "none" else (), x.dtype, x.device)


def _decompose_nll(b: GraphBuilder, node: Node) -> Node:
    x, target, weight = args(node)
    reduction = node.attrs["reduction"]
    acc = accumulation_dtype(node.dtype)
    target = to(b, target, int64)
    zero = b.scalar(value=0)
    kept = b.ne(target, b.scalar(value=node.attrs["ignore_index"]))
    safe = b.where(kept, target, zero)
    d = _class_dim(x.ndim)
    picked = b.squeeze(b.gather(x, b.unsqueeze(safe, dim=d), dim=d), dim=d)
    ones = b.cast(kept, dtype=acc)
    if weight is not None:
        each_weight = b.embedding(safe, b.unsqueeze(to(b, weight, acc), dim=1))
        ones = b.where(kept, b.squeeze(each_weight, dim=-1), b.scalar(value=0.0))
    # `where` rather than a product: an ignored element may be infinite
    each = b.where(kept, b.neg(b.mul(to(b, picked, acc), ones)), b.scalar(value=0.0))
    if reduction == "mean":
        return to(b, b.div(b.sum(each), b.sum(ones)), node.dtype)
    return to(b, _finish(b, each, reduction), node.dtype)


_CLASS_ATTRS: dict[str, Any] = {"ignore_index": -100, "reduction": "mean"}


def _classes(node: Node) -> Iterator[Requirement]:
    """Class numbers below the number of classes, or the one to ignore."""
    x, target = args(node)[:2]
    if not target.dtype.is_float:
        yield Range(1, 0, x.shape[_class_dim(x.ndim)] - 1, node.attrs["ignore_index"])


row("nll_loss", "composite", _meta_nll, attrs=_CLASS_ATTRS, decompose=_decompose_nll, requires=_classes,
    autocast="float32", heeds_determinism=("cuda",))  # fmt: skip


def _meta_cross_entropy(x: TensorMeta, target: TensorMeta, weight: TensorMeta | None, *, ignore_index: int,
                        reduction: str, label_smoothing: float) -> TensorMeta:  # fmt: skip
    _check_reduction(reduction)
    if not target.dtype.is_float:
        _check_classes("cross_entropy", x, target, weight)
        return new_meta(target.shape if reduction == "none" else (), x.dtype, x.device)
    if x.shape != target.shape:
        raise ValueError(f"cross_entropy: class probabilities of shape {target.shape} for an input of shape {x.shape}")
    if ignore_index >= 0:
        raise ValueError("cross_entropy: ignore_index cannot be used with class probabilities")
    shape = _without(x.shape, _class_dim(x.ndim)) if reduction == "none" else ()
    return new_meta(shape, result_dtype(x, target), x.device)


def _decompose_cross_entropy(b: GraphBuilder, node: Node) -> Node:
    x, target, weight = args(node)
    attrs = {k: node.attrs[k] for k in ("ignore_index", "reduction")}
    smoothing = float(node.attrs["label_smoothing"])
    d = _class_dim(x.ndim)
    logs = b.log_softmax(to(b, x, accumulation_dtype(node.dtype)), dim=d)
    if target.dtype.is_float:
        return to(b, _soft_cross_entropy(b, logs, target, weight, attrs["reduction"], smoothing), node.dtype)
    loss = b.nll_loss(logs, target, weight, **attrs)
    if smoothing:
        smooth = _smooth_loss(b, logs, target, weight, **attrs)
        rest = b.scalar(value=1.0 - smoothing)
        share = b.div(b.scalar(value=smoothing), size_scalar(b, x.shape[d]))
        loss = b.add(b.mul(loss, rest), b.mul(smooth, share))
    return to(b, loss, node.dtype)


def _weighted(b: GraphBuilder, values: Node, weight: Node | None) -> Node:
    if weight is None:
        return values
    shape = [1] * values.ndim
    d = _class_dim(values.ndim)
    shape[d] = values.shape[d]
    return b.mul(values, b.reshape(to(b, weight, values.dtype), shape=tuple(shape)))


def _soft_cross_entropy(
    b: GraphBuilder, logs: Node, target: Node, weight: Node | None, reduction: str, smoothing: float
) -> Node:
    d = _class_dim(logs.ndim)
    target = to(b, target, logs.dtype)
    if smoothing:
        spread = b.div(b.scalar(value=smoothing), size_scalar(b, logs.shape[d]))
        target = b.add(b.mul(target, b.scalar(value=1.0 - smoothing)), spread)
    each = b.neg(b.sum(_weighted(b, b.mul(logs, target), weight), dim=d))
    if reduction == "mean":
        return b.div(b.sum(each), size_scalar(b, math.prod(_without(logs.shape, d))))
    return _finish(b, each, reduction)


def _smooth_loss(
    b: GraphBuilder, logs: Node, target: Node, weight: Node | None, ignore_index: int, reduction: str
) -> Node:
    """The part of the loss that label smoothing spreads over all classes."""
    d = _class_dim(logs.ndim)
    kept = b.ne(target, b.scalar(value=ignore_index))
    each = b.where(kept, b.neg(b.sum(_weighted(b, logs, weight), dim=d)), b.scalar(value=0.0))
    if reduction != "mean":
        return _finish(b, each, reduction)
    counts = b.cast(kept, dtype=logs.dtype)
    if weight is not None:
        safe = b.where(kept, to(b, target, int64), b.scalar(value=0))
        own = b.squeeze(b.embedding(safe, b.unsqueeze(to(b, weight, logs.dtype), dim=1)), dim=-1)
        counts = b.mul(counts, own)
    return b.div(b.sum(each), b.sum(counts))


row("cross_entropy", "composite", _meta_cross_entropy, attrs={**_CLASS_ATTRS, "label_smoothing": 0.0},
    decompose=_decompose_cross_entropy, requires=_classes, autocast="float32", heeds_determinism=("cuda",))  # fmt: skip
