"""Pooling and resampling over the last n dims, with or without a batch dim.

Small windows are written out, one term per window position, so that the result stays a pointwise function of the
output's index and vectorises along it; large ones become a reduction over an unfolded view.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..dtypes import DType, bool_, compute_dtype, float32, float64, int32, int64
from ..graph import Dim, GraphBuilder, Node, TensorMeta, contiguous_strides
from ..loops import Expr, Fn, Index, as_index, expr, floordiv, index_value, indirect, masked
from .common import REQUIRED, TRUE, args, both, compare, convert, int_op, new_meta, number, row, size_value, wrap_dim
from .dims import floor_divide, is_zero, less, same, spread
from .facts import ALL_ERRORS
from .promotion import (
    is_contiguous,
    is_laid_out,
    permuted_strides,
    prefers_channels_last,
    suggested_strides,
    unsqueezed,
)
from .reductions import accumulation_dtype, to

#: windows of at most this many elements are written out
UNROLL = 25
#: what mixed precision makes of what is pooled, by the number of spatial dims
_AUTOCAST = {1: "", 2: "", 3: "float32"}


def _spatial_meta(x: TensorMeta, n: int, sizes: Sequence[Dim]) -> TensorMeta:
    """A result with the last n sizes replaced; channels_last is kept."""
    shape = (*x.shape[: x.ndim - n], *sizes)
    strides = suggested_strides(x, shape) if x.ndim == n + 2 else contiguous_strides(shape)
    return TensorMeta(shape, strides, x.dtype, x.device)


def _contiguous_meta(x: TensorMeta, n: int, sizes: Sequence[Dim]) -> TensorMeta:
    return new_meta((*x.shape[: x.ndim - n], *sizes), x.dtype, x.device)


def _flat_meta(x: TensorMeta, n: int, sizes: Sequence[Dim]) -> TensorMeta:
    """Of one spatial dim where eager pools images of height 1."""
    d = x.ndim - 1
    image = _spatial_meta(unsqueezed(x, d), 2, (1, *sizes))
    return replace(image, shape=(*image.shape[:d], *sizes), stride=(*image.stride[:d], image.stride[-1]))


def _volume_meta(x: TensorMeta, n: int, sizes: Sequence[Dim]) -> TensorMeta:
    """Of three spatial dims where eager knows channels_last_3d. Without a batch dim it is that of a batch of one."""
    if x.ndim == n + 2:
        return _spatial_meta(x, n, sizes)
    if prefers_channels_last(x):
        raise ValueError("pooling: a volume without a batch dim whose strides read as channels_last")
    shape = (*x.shape[:1], *sizes)
    last = is_laid_out(x.shape, x.stride, (0, 3, 2, 1)) and not is_contiguous(x)
    strides = permuted_strides(shape, (0, 3, 2, 1)) if last else contiguous_strides(shape)
    return TensorMeta(shape, strides, x.dtype, x.device)


def _check_rank(name: str, x: TensorMeta, n: int) -> None:
    if x.ndim not in (n + 1, n + 2):
        raise ValueError(f"{name} needs {n + 1} or {n + 2} dimensions, got shape {x.shape}")


def pooled_size(size: Dim, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> Dim:
    """How many windows fit. In ceil mode the last may hang over the end, but must start inside."""
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    count = floor_divide(span + (stride - 1 if ceil_mode else 0), stride) + 1
    if ceil_mode and not less((count - 1) * stride, size + padding):
        count = count - 1
    if less(count, 1):
        raise ValueError(f"pooling: a window of {kernel} does not fit into size {size} with padding {padding}")
    return count


class _Windows:
    """The pooling attributes of a node, one number per spatial dim."""

    def __init__(self, name: str, x: TensorMeta, n: int, attrs: Mapping[str, Any]) -> None:
        _check_rank(name, x, n)
        self.kernel = spread(attrs["kernel_size"], n, "kernel_size")
        self.stride = self.kernel if attrs["stride"] is None else spread(attrs["stride"], n, "stride")
        self.padding = spread(attrs["padding"], n, "padding")
        self.dilation = spread(attrs.get("dilation", 1), n, "dilation")
        self.ceil_mode = attrs["ceil_mode"]
        if min(*self.kernel, *self.stride, *self.dilation) < 1:
            raise ValueError(f"{name}: windows, strides and dilations must be positive")
        for pad, kernel, gap in zip(self.padding, self.kernel, self.dilation):
            reach = (kernel - 1) * gap + 1
            if not 0 <= pad <= reach // 2:
                raise ValueError(f"{name}: padding {pad} must be at most half of the window {reach}")
        if any(map(is_zero, x.shape[x.ndim - n - 1 :])):
            raise ValueError(f"{name}: a tensor without channels, or with an empty axis to pool over")
        sizes = x.shape[x.ndim - n :]
        each = zip(sizes, self.kernel, self.stride, self.padding, self.dilation)
        self.sizes = [pooled_size(s, k, step, pad, gap, self.ceil_mode) for s, k, step, pad, gap in each]

    def window(self, b: GraphBuilder, x: Node, kind: str) -> Node:
        """max or sum over every window."""
        n = len(self.kernel)
        if math.prod(self.kernel) <= UNROLL:
            return b.window(x, kind=kind, kernel=self.kernel, stride=self.stride, padding=self.padding,
                            dilation=self.dilation, sizes=tuple(self.sizes))  # fmt: skip
        pad: list[int] = []
        for d in reversed(range(n)):
            reach = (self.sizes[d] - 1) * self.stride[d] + self.dilation[d] * (self.kernel[d] - 1) + 1
            # what the last window needs beyond the end; negative where elements are left over
            pad += [self.padding[d], reach - x.shape[x.ndim - n + d] - self.padding[d]]
        fill = 0.0 if kind == "sum" else -math.inf if x.dtype.is_float else _lowest(x)
        if any(pad):
            x = b.pad(x, pad=tuple(pad), value=fill)
        base = x.ndim - n
        for d in range(n):
            reach = self.dilation[d] * (self.kernel[d] - 1) + 1
            x = b.unfold(x, dimension=base + d, size=reach, step=self.stride[d])
            x = b.slice(x, dim=-1, step=self.dilation[d])
        return b.call("amax" if kind == "max" else "sum", x, dim=tuple(range(-n, 0)))


def _lowest(x: Node) -> int:
    return 0 if x.dtype.kind in ("uint", "bool") else -(1 << (8 * x.dtype.size - 1))


# --------------------------------------------------------------------------- a small window, written out


def _meta_window(x: TensorMeta, *, kind: str, kernel: Sequence[int], stride: Any, padding: Any, dilation: Any,
                 sizes: Sequence[Dim]) -> TensorMeta:  # fmt: skip
    return _spatial_meta(x, len(kernel), sizes)


@dataclass(frozen=True)
class _Place:
    """A place of the window around a point: how far it lies from the window's first in memory, whether it lies inside the tensor, and
    what is there (outside: the fill).
    """

    distance: Dim
    inside: Expr
    value: Expr


def _places(node: Node, fn: Fn, fill: Expr) -> Callable[[tuple[Index, ...]], tuple[Index, list[_Place]]]:
    """Of a point of the result: where its window begins among the spatial elements, and the window's places in memory's order."""
    a = node.attrs
    n = len(a["kernel"])
    shape = args(node)[0].shape
    lead, spatial = len(shape) - n, shape[len(shape) - n :]
    steps = contiguous_strides(spatial)

    def at(index: tuple[Index, ...]) -> tuple[Index, list[_Place]]:
        begin = as_index(0)
        for d in range(n):
            begin = begin + (index[lead + d] * a["stride"][d] - a["padding"][d]) * steps[d]
        places = []
        for window in itertools.product(*map(range, a["kernel"])):
            inside, point, distance = TRUE, list(index[:lead]), 0
            for d, k in enumerate(window):
                step, offset = a["stride"][d], k * a["dilation"][d] - a["padding"][d]
                moved = index[lead + d] * step + offset
                if offset < 0:
                    inside = both(inside, compare("ge", index_value(moved), number(0, int64)))
                if not _certainly_inside((a["sizes"][d] - 1) * step + offset, spatial[d]):
                    inside = both(inside, compare("lt", index_value(moved), size_value(spatial[d])))
                point.append(moved)
                distance = distance + k * a["dilation"][d] * steps[d]
            places.append(_Place(distance, inside, masked(inside, fn(tuple(point)), fill)))
        return begin, places

    return at


def _lower_window(node: Node, fn: Fn) -> Fn:
    dtype = compute_dtype(node.dtype)
    is_sum = node.attrs["kind"] == "sum"
    at = _places(node, fn, number(0 if is_sum else -math.inf if dtype.is_float else _lowest(node), dtype))
    op = "add" if is_sum else "max"
    return lambda index: functools.reduce(
        lambda out, place: expr(op, out, place.value, dtype=dtype), at(index)[1][1:], at(index)[1][0].value
    )


def _lower_window_place(node: Node, fn: Fn) -> Fn:
    """The first of several largest elements, or the last NaN."""
    dtype = compute_dtype(args(node)[0].dtype)
    at = _places(node, fn, number(-math.inf, dtype))

    def value(index: tuple[Index, ...]) -> Expr:
        begin, places = at(index)
        narrow = all(isinstance(p.distance, int) for p in places) and places[-1].distance < 2**31
        kind = int32 if narrow else int64

        def distance(p: _Place) -> Expr:
            return number(p.distance, kind) if isinstance(p.distance, int) else size_value(p.distance)

        found, best = distance(places[-1]), places[0].value
        for p in reversed(places):  # the first inside
            found = distance(p) if p.inside is TRUE else expr("where", p.inside, distance(p), found, dtype=kind)
        for p in places[1:]:
            larger = compare("or", compare("gt", p.value, best), expr("isnan", p.value, dtype=bool_))
            found = expr("where", larger, distance(p), found, dtype=kind)
            best = expr("where", larger, p.value, best, dtype=dtype)
        return int_op("add", index_value(begin), convert(found, int64))

    return value


def _certainly_inside(last: Dim, size: Dim) -> bool:
    return isinstance(last, int) and isinstance(size, int) and last < size


# the sum or maximum of a window around every point (an inner step of the pools)
row("window", "index", _meta_window,
    attrs={k: REQUIRED for k in ("kind", "kernel", "stride", "padding", "dilation", "sizes")},
    lower=_lower_window, errors=ALL_ERRORS, eager="none")  # fmt: skip


def _meta_window_place(x: TensorMeta, *, kernel: Sequence[int], sizes: Sequence[Dim], **_: Any) -> TensorMeta:
    return replace(_spatial_meta(x, len(kernel), sizes), dtype=int64)


# where the maximum of the window around every point is, counted through the spatial dims (an inner step of the pools)
row("window_place", "index", _meta_window_place,
    attrs={k: REQUIRED for k in ("kernel", "stride", "padding", "dilation", "sizes")}, lower=_lower_window_place,
    eager="none", errors=ALL_ERRORS)  # fmt: skip


# --------------------------------------------------------------------------- pools

_POOL_ATTRS: dict[str, Any] = {"kernel_size": REQUIRED, "stride": None, "padding": 0}


def _max_pool(n: int) -> None:
    name = f"max_pool{n}d"
    layout = {1: _contiguous_meta, 2: _spatial_meta, 3: _volume_meta}[n]

    def meta(x: TensorMeta, **attrs: Any) -> TensorMeta:
        if x.dtype == bool_ or x.dtype.is_complex:
            raise TypeError(f"{name} is not defined for {x.dtype}")
        return layout(x, n, _Windows(name, x, n, attrs).sizes)

    def meta_with_indices(x: TensorMeta, **attrs: Any) -> tuple[TensorMeta, TensorMeta]:
        values = meta(x, **attrs)
        if n == 1:  # another kernel than that without indices
            values = _flat_meta(x, n, values.shape[-1:])
        return values, replace(values, dtype=int64)

    def decompose(b: GraphBuilder, node: Node) -> Node:
        x = args(node)[0]
        return _Windows(name, x.meta, n, node.attrs).window(b, x, "max")

    def decompose_with_places(b: GraphBuilder, node: Node) -> tuple[Node, Node]:
        x = args(node)[0]
        w = _Windows(name, x.meta, n, node.attrs)
        return w.window(b, x, "max"), b.window_place(
            x, kernel=w.kernel, stride=w.stride, padding=w.padding, dilation=w.dilation, sizes=tuple(w.sizes)
        )

    attrs = {**_POOL_ATTRS, "dilation": 1, "ceil_mode": False}
    row(name, "composite", meta, attrs=attrs, decompose=decompose, autocast=_AUTOCAST[n])
    if n > 1:  # as with indices, of floats and windows of at most UNROLL elements
        row(f"{name}_with_places", "composite", meta_with_indices, attrs=attrs, decompose=decompose_with_places)
    row(f"{name}_with_indices", "extern", meta_with_indices, attrs=attrs, autocast=_AUTOCAST[n])


#: layouts of averages, and of adaptive pools, by the number of spatial dims
_AVERAGED = {1: _flat_meta, 2: _spatial_meta, 3: _contiguous_meta}


def _avg_pool(n: int) -> None:
    name = f"avg_pool{n}d"

    def meta(x: TensorMeta, **attrs: Any) -> TensorMeta:
        if not x.dtype.is_float:
            raise TypeError(f"{name} needs a float tensor, not {x.dtype}")
        if attrs["divisor_override"] == 0:
            raise ValueError(f"{name}: divisor_override must not be zero")
        return _AVERAGED[n](x, n, _Windows(name, x, n, attrs).sizes)

    def decompose(b: GraphBuilder, node: Node) -> Node:
        x = to(b, args(node)[0], accumulation_dtype(node.dtype))
        w = _Windows(name, x.meta, n, node.attrs)
        total = w.window(b, x, "sum")
        override = node.attrs["divisor_override"]
        plain = not w.ceil_mode and (node.attrs["count_include_pad"] or not any(w.padding))
        if override or plain:
            return to(b, b.div(total, b.scalar(value=float(override or math.prod(w.kernel)))), node.dtype)
        spatial = x.shape[x.ndim - n :]
        count = b.window_count(spatial=spatial, kernel=w.kernel, stride=w.stride, padding=w.padding,
                               sizes=tuple(w.sizes), include_pad=node.attrs["count_include_pad"],
                               dtype=x.dtype, device=x.meta.device)  # fmt: skip
        return to(b, b.div(total, count), node.dtype)

    attrs = {**_POOL_ATTRS, "ceil_mode": False, "count_include_pad": True, "divisor_override": None}
    row(name, "composite", meta, attrs=attrs, decompose=decompose, autocast=_AUTOCAST[n])


def _meta_window_count(*, sizes: Sequence[Dim], dtype: Any, device: str, **_: Any) -> TensorMeta:
    return TensorMeta(tuple(sizes), contiguous_strides(sizes), dtype, device)


def _lower_window_count(node: Node) -> Fn:
    a = node.attrs

    def along(i: Index, d: int) -> Expr:
        """Elements of the window in dim d: those inside the tensor, or inside the padded tensor."""
        first = index_value(i * a["stride"][d] - a["padding"][d])
        size, pad = a["spatial"][d], a["padding"][d]
        last = int_op("add", first, number(a["kernel"][d], int64))
        last = int_op("min", last, size_value(size + pad if a["include_pad"] else size))
        if not a["include_pad"]:
            first = int_op("max", first, number(0, int64))
        return int_op("sub", last, first)

    def value(index: tuple[Index, ...]) -> Expr:
        total = along(index[0], 0)
        for d in range(1, len(index)):
            total = int_op("mul", total, along(index[d], d))
        return convert(total, node.dtype)

    return value


row("window_count", "pointwise", _meta_window_count,
    attrs={**{k: REQUIRED for k in ("spatial", "kernel", "stride", "padding", "sizes", "include_pad", "dtype")},
           "device": "cpu"}, lower=_lower_window_count, errors=ALL_ERRORS, eager="none")  # fmt: skip


# --------------------------------------------------------------------------- adaptive pools


def _adaptive_sizes(x: TensorMeta, n: int, output_size: Any) -> list[Dim]:
    values = [output_size] * n if output_size is None or isinstance(output_size, int) else list(output_size)
    if len(values) != n:
        raise ValueError(f"adaptive pooling: output_size {output_size} must be one int or {n}")
    if any(isinstance(v, int) and v < 0 for v in values):
        raise ValueError(f"adaptive pooling: output_size {output_size} has a negative size")
    return [x.shape[x.ndim - n + d] if v is None else v for d, v in enumerate(values)]


def _adaptive_avg_pool(n: int) -> None:
    name = f"adaptive_avg_pool{n}d"

    def meta(x: TensorMeta, *, output_size: Any) -> TensorMeta:
        _check_rank(name, x, n)
        if not x.dtype.is_float:
            raise TypeError(f"{name} needs a float tensor, not {x.dtype}")
        sizes = _adaptive_sizes(x, n, output_size)
        whole = all(type(s) is int and s == 1 for s in sizes)  # eager takes the mean
        if not whole and any(map(is_zero, x.shape[x.ndim - n :])):
            raise ValueError(f"{name}: an axis to pool over is empty")
        return (_spatial_meta if whole and n > 1 else _AVERAGED[n])(x, n, sizes)

    def decompose(b: GraphBuilder, node: Node) -> Node:
        x = to(b, args(node)[0], accumulation_dtype(node.dtype))
        sizes = _adaptive_sizes(x.meta, n, node.attrs["output_size"])
        if all(isinstance(s, int) and s == 1 for s in sizes):
            return to(b, b.mean(x, dim=tuple(range(-n, 0)), keepdim=True), node.dtype)
        if any(type(s) is int and s == 0 for s in sizes):
            return b.full(shape=node.shape, value=0, dtype=node.dtype, device=node.meta.device)
        have = x.shape[x.ndim - n :]
        empty = is_zero(x.shape[x.ndim - n - 1])  # of which there are no plain averages
        if not empty and all(
            isinstance(h, int) and isinstance(s, int) and s and h % s == 0 for h, s in zip(have, sizes)
        ):
            kernel = tuple(h // s for h, s in zip(have, sizes))
            return to(b, b.call(f"avg_pool{n}d", x, kernel_size=kernel, stride=kernel), node.dtype)
        for d, size in enumerate(sizes):
            x = b.adaptive_mean(x, dim=d - n, size=size)  # windows are boxes: a mean of means over equal counts
        return to(b, x, node.dtype)

    row(name, "composite", meta, attrs={"output_size": REQUIRED}, decompose=decompose, autocast=_AUTOCAST[n])


def _meta_adaptive_mean(x: TensorMeta, *, dim: int, size: int) -> TensorMeta:
    d = wrap_dim(dim, x.ndim)
    if not isinstance(x.shape[d], int) or not isinstance(size, int):
        raise ValueError("adaptive pooling to sizes that do not divide the input needs static sizes")
    shape = (*x.shape[:d], size, *x.shape[d + 1 :])
    return TensorMeta(shape, contiguous_strides(shape), x.dtype, x.device)


def _lower_adaptive_mean(node: Node, fn: Fn) -> Fn:
    """Window o covers floor(o*n/m) to ceil((o+1)*n/m) of the n elements."""
    d = wrap_dim(node.attrs["dim"], node.ndim)
    have, size = args(node)[0].shape[d], node.shape[d]
    longest = max(-(-(o + 1) * have // size) - o * have // size for o in range(size)) if size else 0
    dtype = compute_dtype(node.dtype)

    def value(index: tuple[Index, ...]) -> Expr:
        first = floordiv(index[d] * have, size)
        end = index_value(floordiv(index[d] * have + (have + size - 1), size))
        total = number(0, dtype)
        for k in range(longest):
            moved = first + k
            part = fn((*index[:d], moved, *index[d + 1 :]))
            inside = compare("lt", index_value(moved), end)
            total = expr("add", total, masked(inside, part, number(0, dtype)), dtype=dtype)
        count = convert(int_op("sub", end, index_value(first)), dtype)
        return expr("div", total, count, dtype=dtype)

    return value


# one dim of an uneven adaptive average (an inner step of the pools)
row("adaptive_mean", "index", _meta_adaptive_mean, attrs={"dim": REQUIRED, "size": REQUIRED},
    lower=_lower_adaptive_mean, errors=ALL_ERRORS, eager="none")  # fmt: skip


def _adaptive_max_pool(n: int) -> None:
    name = f"adaptive_max_pool{n}d"

    def meta(x: TensorMeta, *, output_size: Any) -> tuple[TensorMeta, TensorMeta]:
        _check_rank(name, x, n)
        values = _AVERAGED[n](x, n, _adaptive_sizes(x, n, output_size))
        return values, replace(values, dtype=int64)

    # results: values, indices
    row(name, "extern", meta, attrs={"output_size": REQUIRED}, autocast=_AUTOCAST[n])


def _pool_backward(n: int) -> None:
    """The gradients of pooled inputs, from those of the results; of inputs with a batch dim."""

    def meta(g: TensorMeta, x: TensorMeta, *indices: TensorMeta, **attrs: Any) -> TensorMeta:
        if x.ndim != n + 2 or g.ndim != n + 2:
            raise ValueError(f"a pool's gradient needs {n + 2} dimensions, got {g.shape} and {x.shape}")
        return layout(x, n, x.shape[2:])

    layout = _spatial_meta
    attrs = {**_POOL_ATTRS, "ceil_mode": False}
    row(f"max_pool{n}d_backward", "extern", meta, attrs={**attrs, "dilation": 1})
    row(f"avg_pool{n}d_backward", "extern", meta if n == 2 else _contiguous_like,
        attrs={**attrs, "count_include_pad": True, "divisor_override": None})  # fmt: skip


def _contiguous_like(g: TensorMeta, x: TensorMeta, **_: Any) -> TensorMeta:
    return new_meta(x.shape, x.dtype, x.device)


for _n in (2, 3):
    _pool_backward(_n)
for _n in (1, 2, 3):
    _max_pool(_n)
    _avg_pool(_n)
    _adaptive_avg_pool(_n)
    _adaptive_max_pool(_n)


# --------------------------------------------------------------------------- resampling


def _resized(x: TensorMeta, size: Sequence[Dim]) -> TensorMeta:
    if x.ndim != len(size) + 2:
        raise ValueError(f"upsampling to {tuple(size)} needs {len(size) + 2} dimensions, got shape {x.shape}")
    return _spatial_meta(x, len(size), size)


def _meta_upsample(x: TensorMeta, *, size: Sequence[Dim], **_: Any) -> TensorMeta:
    return _resized(x, size)


def _source_scale(have: int, want: int, scale: float | None, dtype: DType = float32) -> float:
    """Input elements per output element, in the precision in which eager keeps it."""
    step = 1.0 / scale if scale else have / want
    return step if dtype == float64 else float(np.float32(step))


def _nearest_index(i: Index, have: int, want: int, scale: float | None, dims: int) -> Index:
    if dims == 2 and want in (have, 2 * have):
        # for images eager takes these sizes to mean factors of 1 and 2, whatever factor was given
        return floordiv(i, want // have)
    step = _source_scale(have, want, scale)
    places = np.minimum(np.floor(np.arange(want, dtype=np.float32) * np.float32(step)).astype(np.int64), have - 1)
    if want % have == 0 and (places == np.arange(want) // (want // have)).all():
        return floordiv(i, want // have)
    position = expr("mul", convert(index_value(i), float32), number(step, float32), dtype=float32)
    found = convert(expr("floor", position, dtype=float32), int64)
    return indirect(int_op("min", found, number(have - 1, int64)))


def _lower_upsample(point: Callable[..., Index]) -> Callable[..., Fn]:
    def lower(node: Node, fn: Fn) -> Fn:
        size = node.attrs["size"]
        scales = node.attrs["scales"] or (None,) * len(size)
        lead = node.ndim - len(size)
        have = args(node)[0].shape[lead:]

        def value(index: tuple[Index, ...]) -> Expr:
            moved = (point(i, h, w, s, len(size)) for i, h, w, s in zip(index[lead:], have, size, scales))
            return fn((*index[:lead], *moved))

        return value

    return lower


# size: the spatial sizes; scales: factors given by the user (None: taken from the sizes)
row("upsample_nearest", "index", _meta_upsample, attrs={"size": REQUIRED, "scales": None},
    lower=_lower_upsample(_nearest_index), errors=ALL_ERRORS)  # fmt: skip


def _decompose_upsample_linear(b: GraphBuilder, node: Node) -> Node:
    size = node.attrs["size"]
    scales = node.attrs["scales"] or (None,) * len(size)
    corners = node.attrs["align_corners"]
    x = to(b, args(node)[0], accumulation_dtype(node.dtype))
    for d in reversed(range(len(size))):
        have, want = x.shape[x.ndim - len(size) + d], size[d]
        if same(have, want):
            # whatever factor was given: an element and nothing of its neighbour, which is itself, so that infinity becomes NaN
            x = b.add(x, b.mul(x, b.scalar(value=0.0))) if x.dtype.is_float else x
        else:
            # found here, where sizes that are symbols leave the whole op to the framework: it has none for a single dim
            step = float((have - 1) / max(want - 1, 1)) if corners else _source_scale(have, want, scales[d], x.dtype)
            x = b.resize_linear(x, dim=d - len(size), size=want, step=step, align_corners=corners)
    return to(b, b.alias(x), node.dtype)


# linear, bilinear or trilinear by the number of sizes
row("upsample_linear", "composite", _meta_upsample,
    attrs={"size": REQUIRED, "scales": None, "align_corners": False}, decompose=_decompose_upsample_linear)  # fmt: skip


def _meta_resize_linear(x: TensorMeta, *, dim: int, size: Dim, **_: Any) -> TensorMeta:
    d = wrap_dim(dim, x.ndim)
    shape = (*x.shape[:d], size, *x.shape[d + 1 :])
    return TensorMeta(shape, contiguous_strides(shape), x.dtype, x.device)


def _lower_resize_linear(node: Node, fn: Fn) -> Fn:
    d = wrap_dim(node.attrs["dim"], node.ndim)
    have = args(node)[0].shape[d]
    corners = node.attrs["align_corners"]
    dtype = compute_dtype(node.dtype)
    step = node.attrs["step"]

    def op(name: str, x: Expr, y: Expr) -> Expr:
        return expr(name, x, y, dtype=dtype)

    def value(index: tuple[Index, ...]) -> Expr:
        i = convert(index_value(index[d]), dtype)
        position = op("mul", i, number(step, dtype))
        if not corners:
            half = number(0.5, dtype)
            position = op("sub", op("mul", op("add", i, half), number(step, dtype)), half)
            position = op("max", position, number(0.0, dtype))
        low = convert(expr("floor", position, dtype=dtype), int64)
        low = int_op("min", low, number(have - 1, int64))
        high = int_op("min", int_op("add", low, number(1, int64)), number(have - 1, int64))
        share = op("min", op("sub", position, convert(low, dtype)), number(1.0, dtype))
        left = fn((*index[:d], indirect(low), *index[d + 1 :]))
        right = fn((*index[:d], indirect(high), *index[d + 1 :]))
        return op("add", op("mul", left, op("sub", number(1.0, dtype), share)), op("mul", right, share))

    return value


# one dim of a linear upsampling (an inner step). step: input elements per output element
row("resize_linear", "index", _meta_resize_linear,
    attrs={"dim": REQUIRED, "size": REQUIRED, "step": REQUIRED, "align_corners": False}, lower=_lower_resize_linear,
    errors=ALL_ERRORS, eager="none")  # fmt: skip
