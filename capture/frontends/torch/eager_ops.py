"""Every table op by eager torch: what the eager backend runs, what plans call for extern ops, what tests compare with.

`EAGER[name](*arrays, **attrs)`. Tensors are torch's; a `scalar` node's value is a plain Python number, so that torch
applies its own rules for numbers. Dtype attributes are `DType`s.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from ....inductor.checks import REFUSED
from ....inductor.dtypes import DType
from ....inductor.ops.scalar import SCALAR
from .dtypes import FROM_TORCH, to_device, to_torch

EAGER: dict[str, Callable[..., Any]] = {}


def _named(names: str, namespace: Any) -> None:
    """Ops whose name, arguments and attributes are torch's own."""
    for name in names.split():
        if (function := getattr(namespace, name, None)) is not None:
            EAGER[name] = function


def _op(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            EAGER[name] = function
        return function

    return add


def _dtype(dtype: DType | None) -> torch.dtype | None:
    return None if dtype is None else to_torch(dtype)


_FORMATS = {
    None: torch.preserve_format,
    "preserve": torch.preserve_format,
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
    "channels_last_3d": torch.channels_last_3d,
}

# ------------------------------------------------------------------ pointwise


#: in what eager holds a number until it knows the type of the other operand: 1e39 becomes infinite, it is not refused
_WIDEST = {float: torch.float64, complex: torch.complex128}


def _lift(function: Callable[..., Any], *numbers: int) -> Callable[..., Any]:
    """For functions that take tensors only, but for the positions `numbers`: elsewhere a number becomes a 0-dim tensor of the dtype
    it would give.
    """

    def call(*args: Any, **attrs: Any) -> Any:
        tensors = [a for a in args if isinstance(a, torch.Tensor)]
        if len(tensors) < len(args):
            like = tensors[0] if tensors else torch.tensor(args[0])
            args = tuple(
                a
                if isinstance(a, torch.Tensor) or (tensors and i in numbers)
                else torch.tensor(a, dtype=_WIDEST.get(type(a)), device=like.device).to(torch.result_type(like, a))
                for i, a in enumerate(args)
            )
        return function(*args, **attrs)

    return call


for _name in (op.name for op in SCALAR.values() if op.errors is not None):
    EAGER[_name] = _lift(getattr(torch, _name) if hasattr(torch, _name) else getattr(torch.special, _name))
for _name in (
    "abs ceil deg2rad erfinv floor frac isfinite isinf isnan isneginf isposinf digamma logical_not neg "
    "positive rad2deg reciprocal round sign signbit sinc square trunc bitwise_not logit atan2 fmax fmin hypot "
    "logical_and logical_or logical_xor maximum minimum nextafter heaviside logaddexp logaddexp2 ldexp gcd lcm"
).split():
    EAGER[_name] = _lift(getattr(torch, _name))
# these take numbers there, which kernels of halves read before they are rounded to a half, and of integers before they wrap
for _name in ("copysign", "div", "fmod", "rsub"):
    EAGER[_name] = _lift(getattr(torch, _name), 1)
for _name in ("xlogy", "float_power"):
    EAGER[_name] = _lift(getattr(torch, _name), 0, 1)

EAGER.update(
    add=operator.add, sub=operator.sub, mul=operator.mul, remainder=operator.mod,
    pow=operator.pow, eq=operator.eq, ne=operator.ne, lt=operator.lt, le=operator.le, gt=operator.gt, ge=operator.ge,
    bitwise_and=operator.and_, bitwise_or=operator.or_, bitwise_xor=operator.xor,
    bitwise_left_shift=operator.lshift, bitwise_right_shift=operator.rshift,
)  # fmt: skip

_named("where masked_fill clamp lerp nan_to_num isclose cosine_similarity", torch)
EAGER["cross"] = torch.linalg.cross
EAGER["cast"] = lambda x, *, dtype: _as_tensor(x).to(to_torch(dtype), copy=True)
EAGER["scalar"] = lambda *, value, dtype: value
EAGER["number"] = lambda x, *, fits: x.item()
EAGER["fma"] = lambda x, y, z: torch.addcmul(z, x, y)
EAGER["addcmul"] = lambda x, p, q, value: torch.addcmul(x, p, q, value=value)
EAGER["addcdiv"] = lambda x, p, q, value: torch.addcdiv(x, p, q, value=value)
EAGER["add_scaled"] = lambda x, y, scale: torch.add(x, y, alpha=scale)
EAGER["floor_divide"] = _lift(lambda x, y: torch.div(x, y, rounding_mode="floor"), 1)
EAGER["trunc_divide"] = _lift(lambda x, y: torch.div(x, y, rounding_mode="trunc"), 1)
EAGER["xlog1py"] = _lift(torch.special.xlog1py, 0, 1)
EAGER["round"] = lambda x, *, decimals: torch.round(_as_tensor(x), **({"decimals": decimals} if decimals else {}))
EAGER["fix"] = torch.trunc
EAGER["cbrt"] = lambda x: torch.sign(x) * torch.pow(torch.abs(x), 1.0 / 3.0)


def _as_tensor(x: Any) -> torch.Tensor:
    return x if isinstance(x, torch.Tensor) else torch.tensor(x)


# ------------------------------------------------------------------ activations

_named(
    "relu relu6 hardtanh leaky_relu elu selu celu gelu silu mish softplus hardsigmoid hardswish softsign tanhshrink "
    "softshrink hardshrink threshold glu",
    F,
)
EAGER["prelu"] = lambda x, weight: torch.where(x > 0, x, x * weight)
EAGER["log_sigmoid"] = F.logsigmoid
EAGER["elu"] = lambda x, *, alpha, scale, input_scale: torch.ops.aten.elu(x, alpha, scale, input_scale)

# ------------------------------------------------------------------ creation


@_op("full")
def _full(*, shape: Sequence[int], value: Any, dtype: DType | None, device: str) -> torch.Tensor:
    return torch.full(tuple(shape), value, dtype=_dtype(dtype), device=to_device(device))


@_op("empty")
def _empty(*, shape: Sequence[int], stride: Any, dtype: DType, device: str) -> torch.Tensor:
    options: dict[str, Any] = {"dtype": to_torch(dtype), "device": to_device(device)}
    return torch.empty(shape, **options) if stride is None else torch.empty_strided(shape, stride, **options)


@_op("full_like")
def _full_like(x: Any, *, value: Any, dtype: DType | None, device: str | None, memory_format: str | None) -> Any:
    return torch.full_like(x, value, dtype=_dtype(dtype), device=device, memory_format=_FORMATS[memory_format])


@_op("constant")
def _constant(*, value: Sequence[Any], shape: tuple[int, ...], dtype: DType, device: str) -> torch.Tensor:
    return torch.tensor(list(value), dtype=to_torch(dtype), device=to_device(device)).reshape(shape)


@_op("arange")
def _arange(*, start: Any, end: Any, step: Any, dtype: DType | None, device: str) -> torch.Tensor:
    return torch.arange(start, end, step, dtype=_dtype(dtype), device=to_device(device))


@_op("linspace")
def _linspace(*, start: float, end: float, steps: int, dtype: DType | None, device: str) -> torch.Tensor:
    return torch.linspace(start, end, steps, dtype=_dtype(dtype), device=to_device(device))


@_op("eye")
def _eye(*, n: int, m: int | None, dtype: DType | None, device: str) -> torch.Tensor:
    return torch.eye(n, n if m is None else m, dtype=_dtype(dtype), device=to_device(device))


_named("tril triu", torch)

# ------------------------------------------------------------------ reductions


def _with_dtype(function: Callable[..., Any]) -> Callable[..., Any]:
    """`dim` None means all dims; a DType becomes torch's. Eager chooses by itself in what it accumulates."""

    def call(x: torch.Tensor, *, dtype: DType | None = None, accumulate: DType | None = None, **attrs: Any) -> Any:
        return function(x, dtype=_dtype(dtype), **attrs)

    return call


for _name in ("sum", "mean", "cumsum", "cumprod", "softmax", "log_softmax"):
    EAGER[_name] = _with_dtype(getattr(torch, _name))


@_op("prod")
def _prod(x: torch.Tensor, *, dim: Any, keepdim: bool, dtype: DType | None) -> torch.Tensor:
    """torch.prod takes one dim at most; several are reduced one after the other, the last first."""
    dims = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    kind = _dtype(dtype)
    if not x.ndim or not len(list(dims)) or dim is None and not keepdim:
        return torch.prod(x, dtype=kind)
    out = x
    for d in sorted((d % x.ndim for d in dims), reverse=True):
        out = torch.prod(out, d, keepdim=keepdim, dtype=kind)
    return out


def _all_dims(function: Callable[..., Any], whole: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """For functions whose "all dims" is the empty tuple, or an absent argument that refuses keepdim; `whole` has a derivative of
    its own.
    """

    def call(x: torch.Tensor, *, dim: Any = None, keepdim: bool = False, **attrs: Any) -> Any:
        if dim is None and not keepdim and whole is not None:
            return whole(x, **attrs)
        if dim is None:
            dim = tuple(range(x.ndim))
        return function(x, dim=dim, keepdim=keepdim, **attrs)

    return call


_named("any all argmax argmin count_nonzero cummax cummin", torch)


def _moment(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *, accumulate, **attrs: function(x, **attrs)


for _name in ("var", "std", "var_mean", "std_mean"):
    EAGER[_name] = _moment(getattr(torch, _name))
for _name in ("logsumexp", "any", "all"):
    EAGER[_name] = _all_dims(getattr(torch, _name))
EAGER["amax"] = _all_dims(torch.amax, torch.max)
EAGER["amin"] = _all_dims(torch.amin, torch.min)
EAGER["max_dim"] = lambda x, *, dim, keepdim: tuple(torch.max(x, dim, keepdim))
EAGER["min_dim"] = lambda x, *, dim, keepdim: tuple(torch.min(x, dim, keepdim))


@_op("vector_norm")
def _vector_norm(x: torch.Tensor, *, ord: float, dim: Any, keepdim: bool, dtype: DType | None) -> torch.Tensor:
    return torch.linalg.vector_norm(x, ord, dim, keepdim, dtype=_dtype(dtype))


# ------------------------------------------------------------------ views and shuffles

EAGER.update(
    alias=lambda x: x.view_as(x) if isinstance(x, torch.Tensor) else torch.tensor(x),
    detach=lambda x: x.detach() if isinstance(x, torch.Tensor) else torch.tensor(x),
    view=lambda x, *, shape: x.view(shape),
    reshape=lambda x, *, shape: x.reshape(shape),
    flatten=torch.flatten,
    unflatten=lambda x, *, dim, sizes: x.unflatten(dim, sizes),
    permute=lambda x, *, dims: x.permute(dims),
    transpose=lambda x, *, dim0, dim1: x.transpose(dim0, dim1),
    expand=lambda x, *, shape: x.expand(shape),
    squeeze=lambda x, *, dim: x.squeeze() if dim is None else x.squeeze(dim),
    unsqueeze=lambda x, *, dim: x.unsqueeze(dim),
    select=lambda x, *, dim, index: x.select(dim, index),
    slice=lambda x, *, dim, start, end, step: torch.ops.aten.slice(x, dim, start, end, step),
    diagonal=torch.diagonal,
    unfold=lambda x, *, dimension, size, step: x.unfold(dimension, size, step),
    as_strided=lambda x, *, size, stride, storage_offset: x.as_strided(
        size, stride, x.storage_offset() + storage_offset
    ),
    getitem=lambda results, *, index: results[index],
)

# ------------------------------------------------------------------ networks


@_op("layer_norm")
def _layer_norm(x: Any, weight: Any, bias: Any, *, normalized_shape: Sequence[int], eps: float) -> torch.Tensor:
    return F.layer_norm(x, tuple(normalized_shape), weight, bias, eps)


@_op("rms_norm")
def _rms_norm(x: Any, weight: Any, *, normalized_shape: Sequence[int], eps: float | None) -> torch.Tensor:
    return F.rms_norm(x, tuple(normalized_shape), weight, eps)


@_op("group_norm")
def _group_norm(x: Any, weight: Any, bias: Any, *, num_groups: int, eps: float) -> torch.Tensor:
    return F.group_norm(x, num_groups, weight, bias, eps)


@_op("batch_norm")
def _batch_norm(x: Any, mean: Any, var: Any, weight: Any, bias: Any, *, eps: float) -> torch.Tensor:
    return F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)


@_op("batch_norm_train")
def _batch_norm_train(x: Any, mean: Any, var: Any, weight: Any, bias: Any, *, momentum: float, eps: float) -> Any:
    """Functional: the new running statistics are results. Without old ones the batch's own are given (momentum 1)."""
    channels = x.shape[1]
    if mean is None:
        momentum = 1.0
    new_mean = (
        mean.clone() if mean is not None else x.new_zeros(channels, dtype=torch.promote_types(x.dtype, torch.float32))
    )
    new_var = var.clone() if var is not None else torch.zeros_like(new_mean)
    out = F.batch_norm(x, new_mean, new_var, weight, bias, True, momentum, eps)
    return out, new_mean, new_var


@_op("scaled_dot_product_attention")
def _attention(
    q: Any, k: Any, v: Any, mask: Any, *, is_causal: bool, scale: float | None, enable_gqa: bool, plain: bool
) -> Any:
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
    )


def attention_by(kernels: Sequence[int], in_order: bool, *args: Any, **kwargs: Any) -> Any:
    """Attention by one of these kernels."""
    with sdpa_kernel([SDPBackend(k) for k in kernels], in_order):
        return F.scaled_dot_product_attention(*args, **kwargs)


# ------------------------------------------------------------------ products

EAGER["matmul_turned"] = lambda x, y, *, left, right: torch.matmul(x.mT if left else x, y.mT if right else y)
_named("matmul mm bmm mv dot addmm baddbmm outer", torch)
_named("linear", F)

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@_op("convolution")
def _convolution(x: Any, weight: Any, bias: Any, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    return _CONV[weight.ndim - 2](x, weight, bias, stride, padding, dilation, groups)


@_op("conv_transpose")
def _conv_transpose(
    x: Any, weight: Any, bias: Any, *, stride: Any, padding: Any, dilation: Any, groups: int, output_padding: Any
) -> Any:
    return _CONV_TRANSPOSE[weight.ndim - 2](x, weight, bias, stride, padding, output_padding, groups, dilation)


# ------------------------------------------------------------------ losses

_named("mse_loss l1_loss smooth_l1_loss huber_loss kl_div", F)


def _weighted(name: str) -> None:
    """Losses whose optional weight is the third input."""
    function = getattr(F, name)
    EAGER[name] = lambda x, y, weight=None, **attrs: function(x, y, weight, **attrs)


for _name in ("binary_cross_entropy", "nll_loss", "cross_entropy"):
    _weighted(_name)


@_op("binary_cross_entropy_with_logits")
def _bce_logits(x: Any, y: Any, weight: Any = None, pos_weight: Any = None, *, reduction: str) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(x, y, weight, reduction=reduction, pos_weight=pos_weight)


# ------------------------------------------------------------------ positions

_named("take take_along_dim searchsorted", torch)
EAGER.update(
    gather=lambda x, index, *, dim: torch.gather(x, dim, index),
    index_select=lambda x, index, *, dim: torch.index_select(x, dim, index),
    scatter=lambda x, index, src, *, dim: torch.scatter(x, dim, index, src),
    scatter_add=lambda x, index, src, *, dim: torch.scatter_add(x, dim, index, src),
    scatter_reduce=lambda x, index, src, *, dim, reduce, include_self: torch.scatter_reduce(
        x, dim, index, src, reduce, include_self=include_self
    ),
    index_add=lambda x, index, src, *, dim: torch.index_add(x, dim, index, src),
    index_copy=lambda x, index, src, *, dim: torch.index_copy(x, dim, index, src),
    index_fill=lambda x, index, value, *, dim: torch.index_fill(x, dim, index, value),
)
_named("masked_scatter", torch)


def _scatter_into(function: str, view: str) -> None:
    """Autograd does not know these functions of complex numbers: there they are a write into a view of a copy."""
    whole, part = getattr(torch, function), getattr(torch.ops.aten, view)

    def call(x: torch.Tensor, src: torch.Tensor, **attrs: Any) -> torch.Tensor:
        if not x.is_complex() or not torch.is_grad_enabled():
            return whole(x, src, **attrs)
        copy = x.clone()
        part(copy, **attrs).copy_(src)
        return copy

    EAGER[function] = call


for _name in ("slice", "select", "diagonal"):
    _scatter_into(f"{_name}_scatter", _name)


def _tensor_index(indices: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(slice(None) if i is None else i for i in indices)


@_op("check")
def _check(flag: torch.Tensor) -> torch.Tensor:
    if flag.is_cuda:
        torch._assert_async(
            flag.logical_not(), REFUSED
        )  # reported with the device's next error, as its kernels' own are
    elif flag:
        raise RuntimeError(REFUSED)
    return flag


@_op("embedding")
def _embedding(index: torch.Tensor, weight: torch.Tensor, *, padding_idx: int | None) -> torch.Tensor:
    return F.embedding(index, weight, padding_idx)


@_op("index")
def _index(x: torch.Tensor, *indices: Any) -> torch.Tensor:
    return x[_tensor_index(indices)]


@_op("index_put")
def _index_put(x: torch.Tensor, value: Any, *indices: Any, accumulate: bool) -> torch.Tensor:
    value = value if isinstance(value, torch.Tensor) else torch.scalar_tensor(value, dtype=x.dtype, device=x.device)
    return torch.ops.aten.index_put(x, list(indices), value, accumulate)


def copied(x: torch.Tensor) -> torch.Tensor:
    """A copy with the same strides."""
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=x.device).copy_(x)


def put_at_masks(x: torch.Tensor, indices: Sequence[Any], values: torch.Tensor, accumulate: bool) -> torch.Tensor:
    """torch.index_put where masks are among the indices; laid out as `x`."""
    return torch.ops.aten.index_put_(copied(x), list(indices), values, accumulate)


def set_item(x: torch.Tensor, key: Any, value: Any) -> torch.Tensor:
    """`x` after `x[key] = value`."""
    out = copied(x)
    out[key] = value
    return out


@_op("as_strided_scatter")
def _as_strided_scatter(x: Any, src: Any, *, size: Any, stride: Any, storage_offset: int) -> torch.Tensor:
    return torch.as_strided_scatter(x, src, size, stride, x.storage_offset() + storage_offset)


# ------------------------------------------------------------------ copies and joins

_named("flip roll repeat_interleave diag_embed trace", torch)
EAGER.update(
    clone=lambda x, *, memory_format: x.clone(memory_format=_FORMATS[memory_format]),
    contiguous=lambda x, *, memory_format: x.contiguous(memory_format=_FORMATS[memory_format]),
    restride=lambda x, *, stride: torch.empty_strided(x.shape, stride, dtype=x.dtype, device=x.device).copy_(x),
    copy=lambda x, src: torch.empty_like(x).copy_(_as_tensor(src)),
    to_device=lambda x, *, device: x.to(to_device(device), copy=True),
    cat=lambda *xs, dim: torch.cat(xs, dim),
    stack=lambda *xs, dim: torch.stack(xs, dim),
    roll_dims=lambda x, *, shifts, dims: torch.roll(x, shifts, dims),
    repeat=lambda x, *, repeats: x.repeat(repeats),
    one_hot=lambda x, *, num_classes: F.one_hot(x, num_classes),
)


@_op("pad")
def _pad(x: torch.Tensor, *, pad: Sequence[int], mode: str, value: float | None) -> torch.Tensor:
    """Eager's other modes need pairs for exactly the trailing 1 to 3 dims of a batched tensor; this takes any rank."""
    if mode == "constant":
        return F.pad(x, list(pad), mode, value)
    spatial = len(pad) // 2
    if x.ndim in (spatial + 1, spatial + 2) and spatial <= 3:
        return F.pad(x, list(pad), mode)
    lead = x.shape[: x.ndim - spatial]
    flat = x.reshape(1, -1, *x.shape[x.ndim - spatial :])
    out = F.pad(flat, list(pad), mode)
    return out.reshape(*lead, *out.shape[2:])


# ------------------------------------------------------------------ order statistics

_named("argsort logcumsumexp", torch)
EAGER["median_all"] = torch.median


def _tuples(*names: str) -> None:
    """Functions with several results: plain tuples."""
    for name in names:
        function = getattr(torch, name)
        EAGER[name] = lambda x, function=function, **attrs: tuple(function(x, **attrs))


_tuples("topk", "kthvalue", "median", "cummax", "cummin")
EAGER["sort"] = lambda x, *, dim, descending, stable: tuple(
    torch.sort(x, dim=dim, descending=descending, stable=stable)
)

# ------------------------------------------------------------------ pooling and resizing


def _pools(n: int) -> None:
    _named(f"max_pool{n}d avg_pool{n}d adaptive_avg_pool{n}d", F)
    with_indices = getattr(F, f"max_pool{n}d_with_indices")
    adaptive = getattr(F, f"adaptive_max_pool{n}d_with_indices")
    EAGER[f"max_pool{n}d_with_indices"] = lambda x, **attrs: tuple(with_indices(x, **attrs))
    EAGER[f"max_pool{n}d_with_places"] = EAGER[f"max_pool{n}d_with_indices"]
    EAGER[f"adaptive_max_pool{n}d"] = lambda x, *, output_size: tuple(adaptive(x, output_size))


for _n in (1, 2, 3):
    _pools(_n)


@_op("avg_pool1d")
def _avg_pool1d(x: Any, *, kernel_size: Any, divisor_override: int | None = None, **attrs: Any) -> torch.Tensor:
    """Eager's one-dimensional form knows no divisor."""
    if divisor_override is not None:
        raise ValueError("avg_pool1d takes no divisor_override")
    return F.avg_pool1d(x, kernel_size, **attrs)


def _scaled_size(scales: Any, size: Sequence[int]) -> dict[str, Any]:
    return {"size": list(size)} if scales is None else {"scale_factor": list(scales), "recompute_scale_factor": False}


@_op("upsample_nearest")
def _upsample_nearest(x: Any, *, size: Sequence[int], scales: Any) -> torch.Tensor:
    return F.interpolate(x, mode="nearest", **_scaled_size(scales, size))


@_op("upsample_linear")
def _upsample_linear(x: Any, *, size: Sequence[int], scales: Any, align_corners: bool) -> torch.Tensor:
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(size)]
    return F.interpolate(x, mode=mode, align_corners=align_corners, **_scaled_size(scales, size))


# ------------------------------------------------------------------ random numbers


def _random_fill(name: str) -> None:
    function = getattr(torch, name)
    like = getattr(torch, f"{name}_like")
    EAGER[name] = lambda *, shape, dtype, device: function(tuple(shape), dtype=_dtype(dtype), device=to_device(device))
    EAGER[f"{name}_like"] = lambda x, *, dtype: like(x, dtype=_dtype(dtype))


_random_fill("rand")
_random_fill("randn")
_named("bernoulli multinomial", torch)
EAGER["dropout_noise"] = lambda *, shape, stride, dtype, device, p: F.dropout(
    torch.empty_strided(shape, stride, dtype=to_torch(dtype), device=to_device(device)).fill_(1), p, training=True
)
EAGER["dropout"] = lambda x, *, p: F.dropout(x, p, training=True)


@_op("randint")
def _randint(*, low: int, high: int, shape: Sequence[int], dtype: DType | None, device: str) -> torch.Tensor:
    return torch.randint(low, high, tuple(shape), dtype=_dtype(dtype) or torch.int64, device=to_device(device))


@_op("randperm")
def _randperm(*, n: int, dtype: DType | None, device: str) -> torch.Tensor:
    return torch.randperm(n, dtype=_dtype(dtype) or torch.int64, device=to_device(device))


#: copies of what are views in eager: parts of complex tensors
EAGER.update(
    real=lambda x: x.real.clone(),
    imag=lambda x: x.imag.clone(),
    view_as_real=lambda x: torch.view_as_real(x).clone(),
    conj=lambda x: torch.conj(x).resolve_conj(),
    with_real=lambda x, part: torch.complex(part, x.imag),
    with_imag=lambda x, part: torch.complex(x.real, part),
    view_as_complex=lambda x: torch.view_as_complex(x).clone(),
)


class _Named:
    """`NAMED.exp` is `EAGER["exp"]` for code that finds functions by their qualified names; DTypes are taken as torch's."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        try:
            function = EAGER[name]
        except KeyError:
            raise AttributeError(name) from None

        def call(*args: Any, **attrs: Any) -> Any:
            return function(
                *args, **{k: FROM_TORCH.get(v, v) if isinstance(v, torch.dtype) else v for k, v in attrs.items()}
            )

        return call


NAMED = _Named()
