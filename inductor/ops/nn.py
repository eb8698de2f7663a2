"""Ops of neural networks as users write them; each decomposes into pointwise rows and reductions.

Half types accumulate in float32 and round once at the end, as eager's kernels do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..dtypes import DType
from ..graph import Dim, GraphBuilder, Node, TensorMeta, contiguous_strides
from .common import REQUIRED, args, new_meta, row, wrap_dim
from .dims import is_zero, same
from .promotion import is_contiguous, like_meta, suggested_strides
from .reductions import accumulation_dtype, reduced_count, size_scalar, to, variance, wide_dtype

# --------------------------------------------------------------------------- softmax


def _meta_softmax(x: TensorMeta, *, dim: int, dtype: DType | None) -> TensorMeta:
    wrap_dim(dim, x.ndim)
    out = dtype or x.dtype
    if not out.is_float:
        raise TypeError(f"softmax needs a float tensor, or dtype=; it got {out}")
    return new_meta(x.shape, out, x.device)


def _shifted(b: GraphBuilder, node: Node) -> tuple[Node, Any]:
    """x - max(x) in the accumulation dtype, and the dim as an attribute value."""
    x = to(b, to(b, args(node)[0], node.dtype), accumulation_dtype(node.dtype))
    dim = node.attrs["dim"] if x.ndim else None
    if is_zero(reduced_count(x.shape, dim)):
        return x, dim
    return b.sub(x, b.amax(x, dim=dim, keepdim=True)), dim


def _decompose_softmax(b: GraphBuilder, node: Node) -> Node:
    shifted, dim = _shifted(b, node)
    e = b.exp(shifted)
    return to(b, b.div(e, b.sum(e, dim=dim, keepdim=True)), node.dtype)


def _decompose_log_softmax(b: GraphBuilder, node: Node) -> Node:
    shifted, dim = _shifted(b, node)
    total = b.log(b.sum(b.exp(shifted), dim=dim, keepdim=True))
    return to(b, b.sub(shifted, total), node.dtype)


row("softmax", "composite", _meta_softmax, attrs={"dim": REQUIRED, "dtype": None}, decompose=_decompose_softmax)
row("log_softmax", "composite", _meta_softmax, attrs={"dim": REQUIRED, "dtype": None}, decompose=_decompose_log_softmax)


# --------------------------------------------------------------------------- normalisation


def _same_shape(a: Sequence[Dim], b: Sequence[Dim]) -> bool:
    return len(a) == len(b) and all(map(same, a, b))


def _check_normalized(name: str, x: TensorMeta, normalized_shape: Sequence[Dim], *affine: TensorMeta | None) -> None:
    k = len(normalized_shape)
    if k == 0 or k > x.ndim or not _same_shape(x.shape[x.ndim - k :], normalized_shape):
        raise ValueError(f"{name}: normalized_shape {tuple(normalized_shape)} is not the end of shape {x.shape}")
    for p in affine:
        if p is not None and not _same_shape(p.shape, normalized_shape):
            raise ValueError(f"{name}: weight and bias must have shape {tuple(normalized_shape)}, not {p.shape}")
    if not x.dtype.is_float:
        raise TypeError(f"{name} needs a float tensor, not {x.dtype}")


def _meta_layer_norm(
    x: TensorMeta,
    weight: TensorMeta | None,
    bias: TensorMeta | None,
    *,
    normalized_shape: Sequence[Dim],
    eps: float,
) -> TensorMeta:
    _check_normalized("layer_norm", x, normalized_shape, weight, bias)
    return new_meta(x.shape, x.dtype, x.device)


def _affine(b: GraphBuilder, x: Node, weight: Node | None, bias: Node | None, shape: Any = None) -> Node:
    """x * weight + bias in x's dtype; `shape` is that of the parameters when they are not aligned to the right."""
    if weight is not None:
        weight = to(b, weight, x.dtype)
        x = b.mul(x, weight if shape is None else b.reshape(weight, shape=shape))
    if bias is not None:
        bias = to(b, bias, x.dtype)
        x = b.add(x, bias if shape is None else b.reshape(bias, shape=shape))
    return x


def _decompose_layer_norm(b: GraphBuilder, node: Node) -> Node:
    x, weight, bias = args(node)
    dims = tuple(range(x.ndim - len(node.attrs["normalized_shape"]), x.ndim))
    x = to(b, x, accumulation_dtype(node.dtype))
    var, mean = variance(b, x, dims, True, 0)
    scale = b.rsqrt(b.add(var, b.scalar(value=float(node.attrs["eps"]))))
    return to(b, _affine(b, b.mul(b.sub(x, mean), scale), weight, bias), node.dtype)


row("layer_norm", "composite", _meta_layer_norm, attrs={"normalized_shape": REQUIRED, "eps": 1e-5},
    decompose=_decompose_layer_norm)  # fmt: skip


def _normed_strides(x: TensorMeta) -> tuple[Dim, ...]:
    """Contiguous where `x` is, whatever else the strides of its dims of size 1 suggest."""
    return contiguous_strides(x.shape) if is_contiguous(x) else suggested_strides(x, x.shape)


def _meta_rms_norm(
    x: TensorMeta, weight: TensorMeta | None, *, normalized_shape: Sequence[Dim], eps: float | None
) -> TensorMeta:
    _check_normalized("rms_norm", x, normalized_shape, weight)
    return TensorMeta(x.shape, _normed_strides(x), x.dtype, x.device)


#: machine epsilons, where eager's default eps comes from
EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


def _decompose_rms_norm(b: GraphBuilder, node: Node) -> Node:
    x, weight = args(node)
    dims = tuple(range(x.ndim - len(node.attrs["normalized_shape"]), x.ndim))
    wide = to(b, x, accumulation_dtype(node.dtype))
    eps = node.attrs["eps"]
    # eager takes the epsilon of the dtype it computes in
    eps = EPSILON[wide.dtype.name] if eps is None else float(eps)
    scale = b.rsqrt(b.add(b.mean(b.mul(wide, wide), dim=dims, keepdim=True), b.scalar(value=eps)))
    return to(b, _affine(b, b.mul(wide, scale), weight, None), node.dtype)


row("rms_norm", "composite", _meta_rms_norm, attrs={"normalized_shape": REQUIRED, "eps": None},
    decompose=_decompose_rms_norm)  # fmt: skip


def _meta_group_norm(
    x: TensorMeta, weight: TensorMeta | None, bias: TensorMeta | None, *, num_groups: int, eps: float
) -> TensorMeta:
    if x.ndim < 2:
        raise ValueError(f"group_norm needs at least 2 dimensions, got shape {x.shape}")
    if not is_zero(x.shape[1] % num_groups):
        raise ValueError(f"group_norm: {x.shape[1]} channels do not divide into {num_groups} groups")
    for p in (weight, bias):
        if p is not None and not _same_shape(p.shape, x.shape[1:2]):
            raise ValueError(f"group_norm: weight and bias must have shape ({x.shape[1]},), not {p.shape}")
    return TensorMeta(x.shape, suggested_strides(x, x.shape), x.dtype, x.device)


def _channel_shape(shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    return (1, shape[1], *(1,) * (len(shape) - 2))


def _decompose_group_norm(b: GraphBuilder, node: Node) -> Node:
    x, weight, bias = args(node)
    n, c, *rest = x.shape
    groups = node.attrs["num_groups"]
    wide = to(b, x, accumulation_dtype(node.dtype))
    grouped = b.reshape(wide, shape=(n, groups, c // groups, *rest))
    dims = tuple(range(2, grouped.ndim))
    var, mean = variance(b, grouped, dims, True, 0)
    scale = b.rsqrt(b.add(var, b.scalar(value=float(node.attrs["eps"]))))
    normal = b.reshape(b.mul(b.sub(grouped, mean), scale), shape=x.shape)
    return to(b, _affine(b, normal, weight, bias, _channel_shape(x.shape)), node.dtype)


row("group_norm", "composite", _meta_group_norm, attrs={"num_groups": REQUIRED, "eps": 1e-5},
    decompose=_decompose_group_norm)  # fmt: skip


def _check_channels(name: str, x: TensorMeta, *per_channel: TensorMeta | None) -> None:
    if x.ndim < 2:
        raise ValueError(f"{name} needs at least 2 dimensions, got shape {x.shape}")
    if not x.dtype.is_float:
        raise TypeError(f"{name} needs a float tensor, not {x.dtype}")
    for p in per_channel:
        if p is not None and not (p.ndim == 1 and same(p.shape[0], x.shape[1])):
            raise ValueError(f"{name}: per-channel tensors must have shape ({x.shape[1]},), not {p.shape}")


def _meta_batch_norm(x: TensorMeta, mean: TensorMeta, var: TensorMeta, weight: TensorMeta | None,
                     bias: TensorMeta | None, *, eps: float) -> TensorMeta:  # fmt: skip
    if mean is None or var is None:
        raise ValueError("batch_norm: inference needs the running statistics")
    _check_channels("batch_norm", x, mean, var, weight, bias)
    return TensorMeta(x.shape, _normed_strides(x), x.dtype, x.device)


def _linear_in(b: GraphBuilder, x: Node, mean: Node, scale: Node, bias: Node | None, shape: Any) -> Node:
    """(x - mean) * scale + bias per channel, as x * scale + constant: one operation per element, and eager's rounding on CPUs."""
    constant = b.mul(b.neg(mean), scale) if bias is None else b.fma(b.neg(mean), scale, to(b, bias, mean.dtype))
    return b.fma(x, b.reshape(scale, shape=shape), b.reshape(constant, shape=shape))


def _decompose_batch_norm(b: GraphBuilder, node: Node) -> Node:
    x, mean, var, weight, bias = args(node)
    shape = _channel_shape(x.shape)
    acc = accumulation_dtype(node.dtype)
    x, mean, var = to(b, x, acc), to(b, mean, acc), to(b, var, acc)
    scale = b.rsqrt(b.add(var, b.scalar(value=float(node.attrs["eps"]))))
    if weight is not None:
        scale = b.mul(scale, to(b, weight, acc))
    return to(b, _linear_in(b, x, mean, scale, bias, shape), node.dtype)


# inference: inputs x, running_mean, running_var, weight, bias
row("batch_norm", "composite", _meta_batch_norm, attrs={"eps": 1e-5}, decompose=_decompose_batch_norm)


def _meta_batch_norm_train(
    x: TensorMeta,
    mean: TensorMeta | None,
    var: TensorMeta | None,
    weight: TensorMeta | None,
    bias: TensorMeta | None,
    *,
    momentum: float,
    eps: float,
) -> tuple[TensorMeta, ...]:
    _check_channels("batch_norm", x, mean, var, weight, bias)
    if isinstance(count := reduced_count(x.shape, _all_but_channel(x.ndim)), int) and count <= 1:
        raise ValueError(f"batch_norm expects more than 1 value per channel when training, got shape {x.shape}")
    out = TensorMeta(x.shape, _normed_strides(x), x.dtype, x.device)
    own = new_meta((x.shape[1],), accumulation_dtype(x.dtype), x.device)
    return out, *(own if running is None else like_meta(running) for running in (mean, var))


def _all_but_channel(ndim: int) -> tuple[int, ...]:
    return (0, *range(2, ndim))


def _decompose_batch_norm_train(b: GraphBuilder, node: Node) -> tuple[Node, ...]:
    x, mean, var, weight, bias = args(node)
    acc = accumulation_dtype(x.dtype)
    wide, dims, shape = to(b, x, acc), _all_but_channel(x.ndim), _channel_shape(x.shape)
    # eager sums a batch's statistics in double on CPUs, but takes the distances, and normalises, in the dtype at hand
    sums = wide_dtype(x.dtype, x.meta.device)
    count = reduced_count(x.shape, dims)
    flat = (x.shape[1],)
    mean_of_batch = to(b, b.mean(to(b, wide, sums), dim=dims, keepdim=True), acc)
    distance = b.sub(wide, mean_of_batch)
    squares = b.reshape(b.sum(to(b, b.mul(distance, distance), sums), dim=dims, keepdim=True), shape=flat)
    wide_var = b.div(squares, size_scalar(b, count))
    scale = to(b, b.rsqrt(b.add(wide_var, b.scalar(value=float(node.attrs["eps"])))), acc)
    flat_mean, unbiased = b.reshape(mean_of_batch, shape=flat), to(b, b.div(squares, size_scalar(b, count - 1)), acc)
    scaled = scale if weight is None else b.mul(scale, to(b, weight, acc))
    out = _linear_in(b, wide, flat_mean, scaled, bias, shape)
    momentum = float(node.attrs["momentum"])

    def blend(old: Node | None, new: Node) -> Node:
        if old is None:
            return new
        moved = b.add(b.mul(to(b, old, acc), b.scalar(value=1.0 - momentum)), b.mul(new, b.scalar(value=momentum)))
        return to(b, moved, old.dtype)

    return to(b, out, x.dtype), blend(mean, flat_mean), blend(var, unbiased)


# training: results (normalised, new running_mean, new running_var); a None running statistic gives the batch's own
row("batch_norm_train", "composite", _meta_batch_norm_train, attrs={"momentum": 0.1, "eps": 1e-5},
    decompose=_decompose_batch_norm_train, differentiable=(0,))  # fmt: skip
