"""Layers: products, convolutions, normalisation, activations, attention, pooling, dropout, resizing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .....inductor.dtypes import HALVES, DType, bool_, float32, uint8
from .....inductor.graph import Node
from .....inductor.ops.dims import is_one, is_zero, less
from .....inductor.ops.promotion import is_channels_last, is_contiguous, prefers_channels_last, suggested_format
from ....values.tensor import ArrayValue
from ..calls import assign
from ..context import Context, Declined
from ..dtypes import to_torch
from ..externs import call_target, extern_call
from ..handlers import name, register
from ..inplace import INPLACE
from ..state import gradients, state_of
from ..warned import norm_of_two_types, warn_of
from .data import data_size

# ------------------------------------------------------------------ products


@name("*matmul Tensor.__matmul__ torch.linalg.matmul")
def matmul(cx: Context, input: ArrayValue, other: ArrayValue) -> Node:
    return cx.op("matmul", input, other)


@name("Tensor.__rmatmul__")
def rmatmul(cx: Context, self: ArrayValue, other: ArrayValue) -> Node:
    return cx.op("matmul", other, self)


def _product(op: str, second: str) -> Any:
    def call(cx: Context, input: ArrayValue, other: ArrayValue | None = None, **named: Any) -> Node:
        return cx.op(op, input, named.pop(second) if other is None else other, **named)

    call.__name__ = op
    return call


for _op, _second in (("mm", "mat2"), ("bmm", "mat2"), ("mv", "vec"), ("dot", "tensor"), ("outer", "vec2")):
    register((f"torch.{_op}", f"Tensor.{_op}"), _product(_op, _second))


@name("*addmm")
def addmm(cx: Context, input: ArrayValue, mat1: ArrayValue, mat2: ArrayValue, *, beta: Any = 1, alpha: Any = 1) -> Node:
    return cx.op("addmm", input, mat1, mat2, beta=beta, alpha=alpha)


@name("*baddbmm")
def baddbmm(
    cx: Context, input: ArrayValue, batch1: ArrayValue, batch2: ArrayValue, *, beta: Any = 1, alpha: Any = 1
) -> Node:
    return cx.op("baddbmm", input, batch1, batch2, beta=beta, alpha=alpha)


def _product_axes(equation: Any, *operands: Any) -> tuple[tuple[int, ...], ...] | None:
    """Numbers for the axes of both operands and of the result. None where that is not all: a diagonal, an ellipsis."""
    if not isinstance(equation, str) or not all(isinstance(x, ArrayValue) for x in operands):
        return None
    given, arrow, result = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    if not arrow:
        result = "".join(sorted(label for label in given if label != "," and given.count(label) == 1))
    if len(terms) != len(operands) or any(len(t) != x.meta.ndim for t, x in zip(terms, operands)):
        return None
    if not all(t.isalpha() and len(set(t)) == len(t) for t in terms) or len(set(result)) < len(result):
        return None
    numbers = {label: i for i, label in enumerate(dict.fromkeys("".join(terms)))}
    if not set(result) <= set(numbers):
        return None
    return tuple(tuple(numbers[label] for label in part) for part in (*terms, result))


@name("torch.einsum")
def einsum(cx: Context, equation: Any, *operands: Any) -> Any:
    """One operand is a permutation, perhaps of a sum. Products are the framework's call, which says its axes if there are two."""
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if len(operands) == 2 and (axes := _product_axes(equation, *operands)) is not None:
        call = torch._VF.einsum  # type: ignore[attr-defined]
        return call_target(cx, "torch._VF:einsum", call, [equation, operands], {}, effects=False, axes=axes)
    labels, _, result = equation.replace(" ", "").partition("->") if isinstance(equation, str) else ("", "", "")
    if len(operands) != 1 or not result or not (labels + result).isalpha():
        raise Declined("a product")
    if len(set(labels)) < len(labels) or len(set(result)) < len(result) or not set(result) <= set(labels):
        raise Declined("a diagonal")
    x: Any = operands[0]
    summed = tuple(d for d, label in enumerate(labels) if label not in result)
    if summed:
        x = cx.array(cx.op("sum", x, dim=summed, keepdim=False, dtype=None))
        labels = "".join(label for label in labels if label in result)
    return x.view(cx.ev, "permute", dims=tuple(labels.index(label) for label in result))


@name("F.linear")
def linear(cx: Context, input: ArrayValue, weight: ArrayValue, bias: ArrayValue | None = None) -> Node:
    return cx.op("linear", input, weight, bias)


def _check_layout(*operands: ArrayValue) -> None:
    for x in operands:
        if x.meta.ndim == 5 and prefers_channels_last(x.meta):
            raise Declined("the layout of the result depends on the framework's choice of a kernel")


def _check_rank(op: str, input: ArrayValue, weight: ArrayValue) -> None:
    spatial = int(op[-2])
    if weight.meta.ndim != spatial + 2 or input.meta.ndim not in (spatial + 1, spatial + 2):
        raise ValueError(f"{op}: an input of {input.meta.ndim} dimensions, a weight of {weight.meta.ndim}")


def _convolution(op: str) -> Any:
    def call(cx: Context, input: ArrayValue, weight: ArrayValue, bias: ArrayValue | None = None, stride: Any = 1,
             padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Node:  # fmt: skip
        _check_layout(input, weight)
        _check_rank(op, input, weight)
        return cx.op("convolution", input, weight, bias, stride=_fixed(stride), padding=_fixed(padding),
                     dilation=_fixed(dilation), groups=groups)  # fmt: skip

    def transposed(cx: Context, input: ArrayValue, weight: ArrayValue, bias: ArrayValue | None = None, stride: Any = 1,
                   padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Node:  # fmt: skip
        _check_layout(input, weight)
        _check_rank(op, input, weight)
        return cx.op("conv_transpose", input, weight, bias, stride=_fixed(stride), padding=_fixed(padding),
                     dilation=_fixed(dilation), groups=groups, output_padding=_fixed(output_padding))  # fmt: skip

    register((f"F.{op}", f"torch.{op}"), call)
    register((f"F.{op.replace('conv', 'conv_transpose')}", f"torch.{op.replace('conv', 'conv_transpose')}"), transposed)


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


for _op in ("conv1d", "conv2d", "conv3d"):
    _convolution(_op)

# ------------------------------------------------------------------ activations

#: op: F's parameters after the input, in order
_ACTIVATIONS: dict[str, tuple[str, ...]] = {
    "relu": (), "relu6": (), "hardtanh": ("min_val", "max_val"), "leaky_relu": ("negative_slope",),
    "selu": (), "celu": ("alpha",), "silu": (), "mish": (), "hardsigmoid": (), "hardswish": (),
    "threshold": ("threshold", "value"),
}  # fmt: skip


#: activations whose in-place forms keep what they wrote for the backward pass, where the others keep what they read
_KEEPING_RESULTS = {
    "celu": ("torch:celu_", torch.celu_), "selu": ("torch:selu_", torch.selu_),
    "elu": ("torch._C._nn:elu_", torch._C._nn.elu_), "leaky_relu": ("torch._C._nn:leaky_relu_", torch._C._nn.leaky_relu_),
}  # fmt: skip


def _activate_in_place(cx: Context, op: str, input: ArrayValue, attrs: Mapping[str, Any]) -> ArrayValue:
    own = _KEEPING_RESULTS.get(op)
    if own is not None and state_of(cx.ev).grad and state_of(cx.ev).requires_grad(input.node(cx.ev)):
        call_target(cx, *own, [input, *attrs.values()], {}, effects=False, raises=False)
    else:
        assign(cx, input, cx.op(op, input, **attrs))
    return input


def _activation(op: str, parameters: Sequence[str]) -> Any:
    """Activations with `inplace=`."""

    def call(cx: Context, input: ArrayValue, *values: Any, inplace: bool = False, **named: Any) -> Any:
        attrs = dict(zip(parameters, values))
        if len(values) > len(parameters):
            inplace = values[len(parameters)]
        attrs.update(named)
        return _activate_in_place(cx, op, input, attrs) if inplace else cx.op(op, input, **attrs)

    call.__name__ = op
    return call


for _op, _parameters in _ACTIVATIONS.items():
    register((f"F.{_op}", f"torch.{_op}", f"Tensor.{_op}"), _activation(_op, _parameters))


INPLACE["celu_"] = lambda cx, self, alpha=1.0: _activate_in_place(cx, "celu", self, {"alpha": alpha})
INPLACE["selu_"] = lambda cx, self: _activate_in_place(cx, "selu", self, {})


@name("F.elu")
def elu(cx: Context, input: ArrayValue, alpha: float = 1.0, inplace: bool = False) -> Any:
    attrs = {"alpha": alpha}
    return _activate_in_place(cx, "elu", input, attrs) if inplace else cx.op("elu", input, **attrs)


@name("F.gelu")
def gelu(cx: Context, input: ArrayValue, approximate: str = "none") -> Node:
    return cx.op("gelu", input, approximate=approximate)


@name("F.softplus")
def softplus(cx: Context, input: ArrayValue, beta: float = 1, threshold: float = 20) -> Node:
    return cx.op("softplus", input, beta=beta, threshold=threshold)


@name("F.logsigmoid")
def logsigmoid(cx: Context, input: ArrayValue) -> Node:
    return cx.op("log_sigmoid", input)


for _op in ("softsign", "tanhshrink"):
    register(f"F.{_op}", lambda cx, input, op=_op: cx.op(op, input))


@name("F.softshrink")
def softshrink(cx: Context, input: ArrayValue, lambd: float = 0.5) -> Node:
    if lambd != lambd or less(lambd, 0.0):
        raise Declined("a threshold below 0")
    return cx.op("softshrink", input, lambd=lambd)


@name("F.hardshrink Tensor.hardshrink torch.hardshrink")
def hardshrink(cx: Context, input: ArrayValue, lambd: float = 0.5) -> Node:
    return cx.op("hardshrink", input, lambd=lambd)


# ------------------------------------------------------------------ softmax


def _softmax(op: str) -> Any:
    def call(cx: Context, input: ArrayValue, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Node:
        if isinstance(_stacklevel, torch.dtype):  # torch.softmax(input, dim, dtype)
            dtype = _stacklevel
        if dim is None:
            raise Declined("eager warns where it picks the dim")
        return cx.op(op, input, dim=dim, dtype=cx.dtype(dtype))

    call.__name__ = op
    return call


for _op in ("softmax", "log_softmax"):
    register((f"F.{_op}", f"torch.{_op}", f"Tensor.{_op}", f"torch.special.{_op}"), _softmax(_op))


@name("F.softmin")
def softmin(cx: Context, input: ArrayValue, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Node:
    if dim is None:
        raise Declined("eager warns where it picks the dim")
    return cx.op("softmax", cx.op("neg", input), dim=dim, dtype=cx.dtype(dtype))


# ------------------------------------------------------------------ normalisation


def _check_mixed(cx: Context, input: ArrayValue, *parameters: ArrayValue | None) -> None:
    """Eager's kernels take one type, or halves with parameters of float32; what else they take is for them to say."""
    found = {p.meta.dtype for p in parameters if p is not None}
    alike = found <= {input.meta.dtype} or found == {float32} and input.meta.dtype in HALVES
    if not alike and not state_of(cx.ev).casts:
        raise Declined("parameters of another type")


@name("F.layer_norm torch.layer_norm")
def layer_norm(cx: Context, input: ArrayValue, normalized_shape: Any, weight: Any = None, bias: Any = None,
               eps: float = 1e-5, cudnn_enable: bool = True) -> Node:  # fmt: skip
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    _check_mixed(cx, input, weight, bias)
    return cx.op("layer_norm", input, weight, bias, normalized_shape=shape, eps=eps)


@name("F.rms_norm torch.rms_norm")
def rms_norm(
    cx: Context, input: ArrayValue, normalized_shape: Any, weight: Any = None, eps: float | None = None
) -> Node:
    if weight is not None and weight.meta.dtype != input.meta.dtype:
        warn_of(cx.ev, norm_of_two_types(to_torch(input.meta.dtype), to_torch(weight.meta.dtype)))
    return cx.op("rms_norm", input, weight, normalized_shape=tuple(normalized_shape), eps=eps)


@name("torch._weight_norm")
def weight_norm(cx: Context, v: ArrayValue, g: ArrayValue, dim: int = 0) -> Node:
    """g * v / |v|, the norm taken over all dims but `dim`."""
    rank = len(v.meta.shape)
    others = tuple(d for d in range(rank) if d != dim % rank) if dim != -1 else None
    length = cx.op("vector_norm", v, ord=2.0, dim=others, keepdim=True)
    return cx.op("mul", v, cx.op("div", g, length))


@name("F.group_norm")
def group_norm(cx: Context, input: ArrayValue, num_groups: int, weight: Any = None, bias: Any = None,
               eps: float = 1e-5) -> Node:  # fmt: skip
    if is_one(math.prod(input.meta.shape) // num_groups):
        raise ValueError("group_norm: groups of one element")
    return plain_group_norm(cx, input, num_groups, weight, bias, eps)


@name("torch.group_norm")
def plain_group_norm(cx: Context, input: ArrayValue, num_groups: int, weight: Any = None, bias: Any = None,
                     eps: float = 1e-5, cudnn_enabled: bool = True) -> Node:  # fmt: skip
    _check_mixed(cx, input, weight, bias)
    return cx.op("group_norm", input, weight, bias, num_groups=num_groups, eps=eps)


@name("F.batch_norm")
def batch_norm(cx: Context, input: ArrayValue, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
               training: bool = False, momentum: float = 0.1, eps: float = 1e-5) -> Node:  # fmt: skip
    _check_mixed(cx, input, running_mean, running_var, weight, bias)
    if not training:
        return cx.op("batch_norm", input, running_mean, running_var, weight, bias, eps=eps)
    node = cx.op("batch_norm_train", input, running_mean, running_var, weight, bias, momentum=momentum, eps=eps)
    out = cx.ev.emit("getitem", node, index=0)
    if running_mean is not None:
        # the statistics are no part of what is differentiated, and autograd does not count that they change
        with gradients(cx.ev, False), state_of(cx.ev).quietly(True):
            assign(cx, running_mean, cx.ev.emit("getitem", node, index=1))
            assign(cx, running_var, cx.ev.emit("getitem", node, index=2))
    return out


@name("F.instance_norm")
def instance_norm(cx: Context, input: ArrayValue, running_mean: Any = None, running_var: Any = None, weight: Any = None,
                  bias: Any = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5) -> Node:  # fmt: skip
    """Instance norm as eager has it: batch norm over a single sample of all instances' channels."""
    batch, channels, *rest = input.meta.shape

    def tiled(x: Any) -> Any:
        return (
            None
            if x is None
            else cx.op("reshape", cx.op("expand", x, shape=(batch, channels)), shape=(batch * channels,))
        )

    contiguous = input if is_contiguous(input.meta) else cx.op("clone", input, memory_format="contiguous")
    flat = cx.op("reshape", contiguous, shape=(1, batch * channels, *rest))
    mean, var = tiled(running_mean), tiled(running_var)
    if not use_input_stats:
        out = cx.op("batch_norm", flat, mean, var, tiled(weight), tiled(bias), eps=eps)
        return cx.op("reshape", out, shape=input.meta.shape)
    out, mean, var = cx.results(
        "batch_norm_train", flat, mean, var, tiled(weight), tiled(bias), momentum=momentum, eps=eps
    )
    with gradients(cx.ev, False):
        for running, new in ((running_mean, mean), (running_var, var)):
            if running is not None:
                assign(
                    cx, running, cx.op("mean", cx.op("reshape", new, shape=(batch, channels)), dim=(0,), keepdim=False)
                )
    return cx.op("reshape", out, shape=input.meta.shape)


# ------------------------------------------------------------------ tables and attention


@name("F.embedding")
def embedding(cx: Context, input: ArrayValue, weight: ArrayValue, padding_idx: int | None = None,
              max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
              sparse: bool = False) -> Node:  # fmt: skip
    if max_norm is not None:
        raise Declined("max_norm=")
    if scale_grad_by_freq or sparse:
        raise Declined("its gradient is another one")
    if padding_idx is not None and padding_idx < 0:
        padding_idx = weight.meta.shape[0] + padding_idx
    return cx.op("embedding", input, weight, padding_idx=padding_idx)


@name("F.embedding_bag")
def embedding_bag(cx: Context, input: ArrayValue, weight: ArrayValue, offsets: ArrayValue | None = None,
                  max_norm: float | None = None, *args: Any, **kwargs: Any) -> Any:  # fmt: skip
    """As a whole: the sizes of what the operator below it gives besides depend on whether the weight requires gradients."""
    if max_norm is not None:
        raise Declined("max_norm= writes to the weight")
    return extern_call(cx, "F.embedding_bag", (input, weight, offsets, None, *args), kwargs)


@name("F.one_hot")
def one_hot(cx: Context, tensor: ArrayValue, num_classes: int = -1) -> Node:
    if num_classes == -1:
        raise cx.broken("data-dependent-shape", "F.one_hot without num_classes", "the number of classes is in the data",
                        "pass num_classes=")  # fmt: skip
    return cx.op("one_hot", tensor, num_classes=num_classes)


# ------------------------------------------------------------------ dropout


def _dropout(whole_channels: bool) -> Any:
    def call(cx: Context, input: ArrayValue, p: float = 0.5, training: bool = True, inplace: bool = False,
             train: bool | None = None) -> Any:  # fmt: skip
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        if whole_channels:
            raise Declined("whole channels are dropped")
        if not isinstance(training if train is None else train, bool):
            raise Declined("training= that is no bool")
        if not (training if train is None else train) or p == 0.0:
            return input
        out = cx.op("dropout", input, p=p)
        if not inplace:
            return out
        assign(cx, input, out)
        return input

    call.__name__ = "dropout"
    return call


register("F.dropout torch.dropout", _dropout(False))
register("F.dropout1d F.dropout2d F.dropout3d F.feature_alpha_dropout F.alpha_dropout", _dropout(True))


def _random_extern(place: str) -> None:
    def call(cx: Context, *args: Any, **kwargs: Any) -> Any:
        return extern_call(cx, place, args, kwargs, effects=True)

    register(place, call)


for _name in ("feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout", "rrelu"):
    _random_extern(f"torch.{_name}")

# ------------------------------------------------------------------ pooling and resizing


def _step(stride: Any) -> Any:
    """A pool's stride; without one its windows lie side by side."""
    return None if stride is None or stride in ((), []) else _fixed(stride)


def _pools(n: int) -> None:
    def max_pool(cx: Context, input: ArrayValue, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
                 ceil_mode: bool = False, return_indices: bool = False) -> Any:  # fmt: skip
        attrs = {"kernel_size": _fixed(kernel_size), "stride": _step(stride), "padding": _fixed(padding),
                 "dilation": _fixed(dilation), "ceil_mode": ceil_mode}  # fmt: skip
        if return_indices:
            return cx.results(f"max_pool{n}d_with_indices", input, **attrs)
        return cx.op(f"max_pool{n}d", input, **attrs)

    def avg_pool(cx: Context, input: ArrayValue, kernel_size: Any, stride: Any = None, padding: Any = 0,
                 ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None) -> Node:  # fmt: skip
        return cx.op(f"avg_pool{n}d", input, kernel_size=_fixed(kernel_size), stride=_step(stride),
                     padding=_fixed(padding), ceil_mode=ceil_mode, count_include_pad=count_include_pad,
                     divisor_override=divisor_override)  # fmt: skip

    def output_size(input: ArrayValue, size: Any) -> Any:
        given = (size,) * n if isinstance(size, int) else tuple(size)
        return tuple(have if want is None else want for have, want in zip(input.meta.shape[-n:], given))

    def adaptive_avg_pool(cx: Context, input: ArrayValue, output: Any) -> Node:
        return cx.op(f"adaptive_avg_pool{n}d", input, output_size=output_size(input, output))

    def adaptive_max_pool(cx: Context, input: ArrayValue, output: Any, return_indices: bool = False) -> Any:
        results = cx.results(f"adaptive_max_pool{n}d", input, output_size=output_size(input, output))
        return results if return_indices else results[0]

    register((f"F.max_pool{n}d", f"torch.max_pool{n}d"), max_pool)
    register((f"F.max_pool{n}d_with_indices",), lambda cx, *a, **k: max_pool(cx, *a, **{**k, "return_indices": True}))
    register((f"F.avg_pool{n}d", f"torch.avg_pool{n}d"), avg_pool)
    register((f"F.adaptive_avg_pool{n}d",), adaptive_avg_pool)
    register((f"F.adaptive_max_pool{n}d",), adaptive_max_pool)


for _n in (1, 2, 3):
    _pools(_n)


#: for how many spatial dims a mode is
_INTERPOLATES = {"nearest": (1, 2, 3), "linear": (1,), "bilinear": (2,), "trilinear": (3,)}


def _interpolates(dtype: DType, mode: str) -> bool:
    """Whether eager resamples this dtype as these rows do: bytes are averaged in fixed point."""
    return dtype.is_float or (mode == "nearest" and dtype == uint8)


@name("F.interpolate")
def interpolate(cx: Context, input: ArrayValue, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
                align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
                antialias: bool = False) -> Any:  # fmt: skip
    spatial = input.meta.shape[2:]
    n = len(spatial)
    if antialias or n not in _INTERPOLATES.get(mode, ()) or not _interpolates(input.meta.dtype, mode):
        raise Declined(f"mode {mode!r} of {n} dims of {input.meta.dtype}" + (" and antialias" if antialias else ""))
    given = size if scale_factor is None else scale_factor
    if (size is None) == (scale_factor is None) or (isinstance(given, (list, tuple)) and len(given) != n):
        raise Declined("sizes that are refused")
    if (align_corners is not None and mode == "nearest") or (recompute_scale_factor and size is not None):
        raise Declined("options that do not go together")
    scales: Any = None
    if size is not None:
        out = (size,) * n if isinstance(size, int) else tuple(data_size(cx, s, "a size") for s in size)
    else:
        factors = (scale_factor,) * n if isinstance(scale_factor, (int, float)) else tuple(scale_factor)
        out = tuple(int(s * f) for s, f in zip(spatial, factors))
        scales = None if recompute_scale_factor else tuple(float(f) for f in factors)
    batch, *rest = input.meta.shape
    if any(isinstance(s, int) and s <= 0 for s in (*spatial, *out)) or (0 in rest and batch != 0):
        raise Declined("sizes that are refused")
    if mode == "nearest":
        return cx.op("upsample_nearest", input, size=out, scales=scales)
    return cx.op("upsample_linear", input, size=out, scales=scales, align_corners=bool(align_corners))


@name("F.pad")
def pad(cx: Context, input: ArrayValue, pad: Any, mode: str = "constant", value: float | None = None) -> Node:
    amounts = tuple(data_size(cx, p, "a padding") for p in pad)
    if mode == "circular" and any(isinstance(p, int) and p < 0 for p in amounts):
        raise Declined("circular padding that crops")  # eager repeats what is left, and starts elsewhere
    if mode in ("reflect", "replicate") and input.meta.dtype == bool_:
        raise TypeError(f"{mode} padding is not defined for bool")
    shape, padded = input.meta.shape, len(amounts) // 2
    if mode != "constant" and len(shape) - padded not in (1, 2):
        raise ValueError(f"pad: {len(amounts)} amounts for a tensor of {len(shape)} dimensions")
    if mode in ("reflect", "replicate") and any(map(is_zero, shape[-1 - padded :])):
        raise ValueError(f"{mode} padding of shape {shape}: only the batch may be empty")
    out = cx.op("pad", input, pad=amounts, mode=mode, value=value)
    if mode == "circular":
        state_of(cx.ev).written_inside.add(out)
    if mode in ("reflect", "replicate") and len(amounts) == 2 * len(input.meta.shape) - 4:
        return _as_channels_last(cx, input, out)
    return out


def _as_channels_last(cx: Context, input: ArrayValue, out: Node) -> Node:
    """`out` in channels_last order where the input is, as the framework's kernels keep it."""
    shape, stride = input.meta.shape, input.meta.stride
    if is_channels_last(shape, stride) and not is_contiguous(input.meta):
        return cx.op("clone", out, memory_format="channels_last")
    if _is_channels_last_3d(shape, stride) and not is_contiguous(input.meta):
        return cx.op("clone", out, memory_format="channels_last_3d")
    return out


def _is_channels_last_3d(shape: Sequence[Any], stride: Sequence[Any]) -> bool:
    """As channels_last, over five dims: the spatial ones as one."""
    if len(shape) != 5 or not all(isinstance(n, int) for n in (*shape, *stride)):
        return False
    return stride == torch.empty(shape, device="meta").to(memory_format=torch.channels_last_3d).stride()


@name("F.rrelu")
def rrelu(cx: Context, input: ArrayValue, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False,
          inplace: bool = False) -> Node:  # fmt: skip
    if training or inplace or less(upper, lower):
        raise Declined("random slopes, a write, or bounds that contradict each other")
    return cx.op("leaky_relu", cx.op("clone", input, memory_format="contiguous"), negative_slope=(lower + upper) / 2)


@name("F.pixel_shuffle torch.pixel_shuffle")
def pixel_shuffle(cx: Context, input: ArrayValue, upscale_factor: int) -> Node:
    *lead, c, h, w = input.meta.shape
    r, k = upscale_factor, len(lead)
    if r <= 0:
        raise ValueError(f"pixel_shuffle: a factor of {r}")
    if not is_zero(c % (r * r)):
        raise ValueError(f"pixel_shuffle: {c} channels do not divide into squares of {r}")
    if input.meta.device == "cpu" and suggested_format(input.meta) == "channels_last_3d":
        raise ValueError("pixel_shuffle: a tensor laid out as channels_last_3d")
    split = cx.op("reshape", input, shape=(*lead, c // (r * r), r, r, h, w))
    moved = cx.op("permute", split, dims=(*range(k), k, k + 3, k + 1, k + 4, k + 2))
    flat = cx.op("reshape", moved, shape=(*lead, c // (r * r), h * r, w * r))
    return cx.op("clone", flat, memory_format=_shuffled_format(input))


def _shuffled_format(input: ArrayValue) -> str:
    """The kernels that shuffle on CPUs give the format that the strides suggest, of inputs with gaps too."""
    return suggested_format(input.meta) if input.meta.device == "cpu" else "contiguous"


@name("F.channel_shuffle torch.channel_shuffle torch.native_channel_shuffle")
def channel_shuffle(cx: Context, input: ArrayValue, groups: int) -> Any:
    n, c, *rest = input.meta.shape
    if not rest or groups <= 0:
        raise ValueError(f"channel_shuffle: {groups} groups of a tensor of {len(input.meta.shape)} dims")
    if not is_zero(c % groups):
        raise ValueError(f"channel_shuffle: {c} channels do not divide into {groups} groups")
    if input.meta.device != "cpu":
        raise Declined("a shuffle that may be a view, and refuses what is none")
    if any(map(is_zero, input.meta.shape)):
        return input.view(cx.ev, "alias")
    split = cx.op("reshape", input, shape=(n, groups, c // groups, *rest))
    moved = cx.op("transpose", split, dim0=1, dim1=2)
    flat = cx.op("reshape", moved, shape=input.meta.shape)
    return cx.op("clone", flat, memory_format=_shuffled_format(input))


def _ctc_on_meta(log_probs: torch.Tensor, *rest: Any) -> torch.Tensor:
    """What ctc_loss gives: torch has no kernel of it for tensors without data. `rest[4]` is the reduction, 0 for none."""
    reduction = rest[4] if len(rest) > 4 else 0
    whole = reduction != 0 or log_probs.dim() == 2
    return log_probs.new_empty(() if whole else (log_probs.shape[1],))


@name("torch.ctc_loss")
def ctc_loss(cx: Context, log_probs: ArrayValue, targets: ArrayValue, input_lengths: Any, target_lengths: Any,
             blank: int = 0, reduction: int = 1, zero_infinity: bool = False) -> Any:  # fmt: skip
    args = (log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity)
    return call_target(cx, "torch:ctc_loss", _ctc_on_meta, args, {}, effects=False)
