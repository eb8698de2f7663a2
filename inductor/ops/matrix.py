"""Matrix products and convolutions. A library's kernel runs them, or generated code does what their contractions say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..dtypes import bool_
from ..graph import Dim, GraphBuilder, Node, TensorMeta, contiguous_strides
from .common import REQUIRED, args, fresh, new_meta, row
from .contractions import of_added_product, of_convolution, of_linear, of_product, of_turned_product
from .dims import floor_divide, is_zero, less, same, spread
from .promotion import (
    broadcast_shapes,
    channels_last_strides,
    common_device,
    expands_to,
    prefers_channels_last,
    result_dtype,
    suggested_strides,
    unsqueezed,
)


def _same_dtype(name: str, *metas: TensorMeta | None) -> None:
    found = {m.dtype.name for m in metas if m is not None}
    if len(found) > 1:
        raise TypeError(f"{name}: operands must have one dtype, got {' and '.join(sorted(found))}")


def _no_bool(name: str, x: TensorMeta) -> None:
    if x.dtype == bool_:
        raise TypeError(f"{name} is not defined for bool")


def _inner(name: str, a: TensorMeta, b: TensorMeta, left: Dim, right: Dim) -> None:
    if not same(left, right):
        raise ValueError(f"{name}: shapes {a.shape} and {b.shape} cannot be multiplied ({left} is not {right})")


def _ranks(name: str, *wanted: tuple[TensorMeta, int]) -> None:
    for m, ndim in wanted:
        if m.ndim != ndim:
            raise ValueError(f"{name}: expected a tensor of {ndim} dimensions, got shape {m.shape}")


def _new(shape: Sequence[Dim], a: TensorMeta, b: TensorMeta) -> TensorMeta:
    return new_meta(shape, a.dtype, common_device(a, b))


def _meta_matmul(a: TensorMeta, b: TensorMeta) -> TensorMeta:
    _same_dtype("matmul", a, b)
    _no_bool("matmul", a)
    if not a.ndim or not b.ndim:
        raise ValueError(f"matmul: both tensors need at least 1 dimension, got {a.shape} and {b.shape}")
    _inner("matmul", a, b, a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0])
    rows = a.shape[-2:-1] if a.ndim > 1 else ()
    columns = b.shape[-1:] if b.ndim > 1 else ()
    return _new((*broadcast_shapes(a.shape[:-2], b.shape[:-2]), *rows, *columns), a, b)


row("matmul", "extern", _meta_matmul, contraction=of_product, autocast="lower")


def _meta_turned(a: TensorMeta, b: TensorMeta, *, left: bool, right: bool) -> TensorMeta:
    if a.ndim < 2 or b.ndim < 2:
        raise ValueError(f"matmul_turned: both tensors need at least 2 dimensions, got {a.shape} and {b.shape}")
    return _meta_matmul(_turned(a) if left else a, _turned(b) if right else b)


def _turned(m: TensorMeta) -> TensorMeta:
    return replace(m, shape=(*m.shape[:-2], *m.shape[:-3:-1]), stride=(*m.stride[:-2], *m.stride[:-3:-1]))


# matmul of matrices of which some are turned around: gradients of products. They are read as they lie
row("matmul_turned", "extern", _meta_turned, attrs={"left": False, "right": False}, contraction=of_turned_product)


def _meta_mm(a: TensorMeta, b: TensorMeta) -> TensorMeta:
    _ranks("mm", (a, 2), (b, 2))
    _same_dtype("mm", a, b)
    _inner("mm", a, b, a.shape[1], b.shape[0])
    return _new((a.shape[0], b.shape[1]), a, b)


row("mm", "extern", _meta_mm, contraction=of_product, autocast="lower")


def _meta_bmm(a: TensorMeta, b: TensorMeta) -> TensorMeta:
    _ranks("bmm", (a, 3), (b, 3))
    _same_dtype("bmm", a, b)
    if not same(a.shape[0], b.shape[0]):
        raise ValueError(f"bmm: batch sizes {a.shape[0]} and {b.shape[0]} differ")
    _inner("bmm", a, b, a.shape[2], b.shape[1])
    return _new((a.shape[0], a.shape[1], b.shape[2]), a, b)


row("bmm", "extern", _meta_bmm, contraction=of_product, autocast="lower")


def _meta_mv(a: TensorMeta, v: TensorMeta) -> TensorMeta:
    _ranks("mv", (a, 2), (v, 1))
    return _meta_matmul(a, v)


def _meta_dot(a: TensorMeta, b: TensorMeta) -> TensorMeta:
    _ranks("dot", (a, 1), (b, 1))
    return _meta_matmul(a, b)


row("mv", "extern", _meta_mv, contraction=of_product)
row("dot", "extern", _meta_dot, contraction=of_product)


def _meta_addmm(x: TensorMeta, a: TensorMeta, b: TensorMeta, *, beta: float, alpha: float) -> TensorMeta:
    product = _meta_mm(a, b)
    return _added("addmm", x, product)


def _meta_baddbmm(x: TensorMeta, a: TensorMeta, b: TensorMeta, *, beta: float, alpha: float) -> TensorMeta:
    return _added("baddbmm", x, _meta_bmm(a, b))


def _added(name: str, x: TensorMeta, product: TensorMeta) -> TensorMeta:
    _same_dtype(name, x, product)
    if not expands_to(x.shape, product.shape):
        raise ValueError(f"{name}: a tensor of shape {x.shape} does not expand to {product.shape}")
    return product


row("addmm", "extern", _meta_addmm, attrs={"beta": 1, "alpha": 1}, contraction=of_added_product, autocast="lower")
row("baddbmm", "extern", _meta_baddbmm, attrs={"beta": 1, "alpha": 1}, contraction=of_added_product, autocast="lower")


def _meta_linear(x: TensorMeta, weight: TensorMeta, bias: TensorMeta | None) -> TensorMeta:
    _same_dtype("linear", x, weight, bias)
    _no_bool("linear", x)
    if not x.ndim or weight.ndim not in (1, 2):
        raise ValueError(f"linear: input {x.shape} and weight {weight.shape} need 1+ and 1 or 2 dimensions")
    if not same(x.shape[-1], weight.shape[-1]):
        raise ValueError(f"linear: input {x.shape} and weight {weight.shape} differ in their last size")
    out = (*x.shape[:-1], *weight.shape[:-1])
    if bias is not None and not expands_to(bias.shape, out):
        raise ValueError(f"linear: bias {bias.shape} does not fit the result {out}")
    return _new(out, x, weight)


# x @ weight.T + bias
row("linear", "extern", _meta_linear, contraction=of_linear, autocast="lower")


def _meta_outer(a: TensorMeta, b: TensorMeta) -> TensorMeta:
    _ranks("outer", (a, 1), (b, 1))
    return new_meta((a.shape[0], b.shape[0]), result_dtype(a, b), common_device(a, b))


def _decompose_outer(b: GraphBuilder, node: Node) -> Node:
    x, y = args(node)
    return b.mul(b.unsqueeze(x, dim=1), y)


row("outer", "composite", _meta_outer, decompose=_decompose_outer)


# --------------------------------------------------------------------------- convolution


def _convolved(x: TensorMeta, weight: TensorMeta, channels: Dim, spatial: Sequence[Dim]) -> TensorMeta:
    """A convolution's result. Without a batch dim it is that of a batch of one."""
    if x.ndim < weight.ndim:
        one = _convolved(unsqueezed(x, 0), weight, channels, spatial)
        return replace(one, shape=one.shape[1:], stride=one.stride[1:])
    if x.ndim == 3:  # computed as a contiguous image of height 1
        image = _convolved(unsqueezed(fresh(x), 2), unsqueezed(weight, 2), channels, (1, *spatial))
        return replace(image, shape=(*image.shape[:2], *spatial), stride=(*image.stride[:2], image.stride[3]))
    shape = (x.shape[0], channels, *spatial)
    return TensorMeta(shape, suggested_strides(x if prefers_channels_last(x) else weight, shape), x.dtype, x.device)


def _check_conv(name: str, x: TensorMeta, weight: TensorMeta, bias: TensorMeta | None, channels_in: Dim,
                channels_out: Dim, batched: bool, groups: int) -> None:  # fmt: skip
    _same_dtype(name, x, weight, bias)
    if groups < 1 or not is_zero(weight.shape[0] % groups):
        raise ValueError(f"{name}: the weight {weight.shape} does not divide into {groups} groups")
    if weight.ndim < 3 or x.ndim not in (weight.ndim, weight.ndim - 1):
        raise ValueError(f"{name}: input {x.shape} and weight {weight.shape} do not fit together")
    if not same(x.shape[1 if batched else 0], channels_in):
        raise ValueError(
            f"{name}: weight {weight.shape} expects {channels_in} input channels, the input {x.shape} has "
            f"{x.shape[1 if batched else 0]}"
        )
    if bias is not None and not (bias.ndim == 1 and same(bias.shape[0], channels_out)):
        raise ValueError(f"{name}: bias must have shape ({channels_out},), got {bias.shape}")


def _check_steps(name: str, stride: Sequence[int], dilation: Sequence[int]) -> None:
    if min(*stride, *dilation) < 1:
        raise ValueError(f"{name}: strides and dilations must be positive, not {tuple(stride)} and {tuple(dilation)}")


def _meta_convolution(
    x: TensorMeta,
    weight: TensorMeta,
    bias: TensorMeta | None,
    *,
    stride: int | Sequence[int],
    padding: int | str | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
) -> TensorMeta:
    n = weight.ndim - 2
    batched = x.ndim == weight.ndim
    _check_conv("convolution", x, weight, bias, weight.shape[1] * groups, weight.shape[0], batched, groups)
    steps, gaps = spread(stride, n, "stride"), spread(dilation, n, "dilation")
    _check_steps("convolution", steps, gaps)
    if isinstance(padding, str) and padding not in ("same", "valid"):
        raise ValueError(f'convolution: padding must be numbers, "same" or "valid", not {padding!r}')
    spatial = []
    for i in range(n):
        size, kernel = x.shape[x.ndim - n + i], weight.shape[2 + i]
        reach = gaps[i] * (kernel - 1) + 1
        if padding == "same":
            if steps[i] != 1:
                raise ValueError('convolution: padding="same" needs stride 1')
            spatial.append(size)
            continue
        border = 0 if isinstance(padding, str) else spread(padding, n, "padding")[i]
        if less(size + 2 * border, reach):
            raise ValueError(f"convolution: the padded size {size + 2 * border} is smaller than the kernel's {reach}")
        spatial.append(floor_divide(size + 2 * border - reach, steps[i]) + 1)
    return _convolved(x, weight, weight.shape[0], spatial)


_CONV_ATTRS: dict[str, Any] = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
# 1, 2 or 3 spatial dims, told by the weight; an input without a batch dim is allowed
row("convolution", "extern", _meta_convolution, attrs=_CONV_ATTRS, contraction=of_convolution, autocast="lower",
    channels_last=("cpu",), measured=True)  # fmt: skip


def _meta_conv_transpose(
    x: TensorMeta,
    weight: TensorMeta,
    bias: TensorMeta | None,
    *,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
    output_padding: int | Sequence[int],
) -> TensorMeta:
    n = weight.ndim - 2
    batched = x.ndim == weight.ndim
    channels = weight.shape[1] * groups
    _check_conv("conv_transpose", x, weight, bias, weight.shape[0], channels, batched, groups)
    steps, gaps = spread(stride, n, "stride"), spread(dilation, n, "dilation")
    _check_steps("conv_transpose", steps, gaps)
    borders, extra = spread(padding, n, "padding"), spread(output_padding, n, "output_padding")
    spatial = [
        (x.shape[x.ndim - n + i] - 1) * steps[i] - 2 * borders[i] + gaps[i] * (weight.shape[2 + i] - 1) + extra[i] + 1
        for i in range(n)
    ]
    return _convolved(x, weight, channels, spatial)


row("conv_transpose", "extern", _meta_conv_transpose, attrs={**_CONV_ATTRS, "output_padding": 0}, autocast="lower",
    channels_last=("cpu",), measured=True)  # fmt: skip


def _meta_convolution_backward(
    g: TensorMeta, x: TensorMeta, weight: TensorMeta, *, of: str, transposed: bool, groups: int, **_: Any
) -> TensorMeta:
    if g.ndim != weight.ndim or x.ndim != weight.ndim:
        raise ValueError(f"convolution_backward: {g.shape}, {x.shape} and {weight.shape} differ in their dimensions")
    inner, outer = (
        (weight.shape[0], weight.shape[1] * groups) if transposed else (weight.shape[1] * groups, weight.shape[0])
    )
    if not same(x.shape[1], inner) or not same(g.shape[1], outer):
        raise ValueError(
            f"convolution_backward: weight {weight.shape} does not fit channels of {x.shape} and {g.shape}"
        )
    if weight.ndim == 3:  # computed as an image of height 1
        images = (unsqueezed(t, 2) for t in (g, x, weight))
        image = _meta_convolution_backward(*images, of=of, transposed=transposed, groups=groups)
        return replace(image, shape=(*image.shape[:2], image.shape[3]), stride=(*image.stride[:2], image.stride[3]))
    like = {"input": x, "weight": weight}[of]
    last = prefers_channels_last(x) or prefers_channels_last(weight)
    strides = channels_last_strides(like.shape) if last else contiguous_strides(like.shape)
    return TensorMeta(like.shape, strides, like.dtype, like.device)


# the gradient of an input ("input" or "weight"), from those of the result: of batches, with numbers for the padding
row("convolution_backward", "extern", _meta_convolution_backward,
    attrs={**_CONV_ATTRS, "of": REQUIRED, "transposed": False, "output_padding": 0})  # fmt: skip
