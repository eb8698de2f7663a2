"""Copies that only move elements: clone, cat, pad, flip, roll, repeat. Each lowers to an index map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..dtypes import HALVES, int64, round_to_half
from ..graph import Dim, GraphBuilder, Node, TensorMeta, contiguous_strides
from ..loops import ZERO, Expr, Fn, Index, expr, index_value, indirect, masked, mod
from . import view_writes
from .common import (
    REQUIRED,
    TRUE,
    args,
    at,
    both,
    compare,
    convert,
    fresh,
    int_op,
    new_meta,
    number,
    row,
    size_value,
    wrap_dim,
)
from .creation import format_strides
from .dims import is_zero, less, same
from .facts import IS_HALF, LAYOUT, PART, QUIET, VALUE
from .promotion import (
    channels_last_strides,
    common_device,
    expands_to,
    is_channels_last,
    is_contiguous,
    like_meta,
    like_strides,
    prefers_channels_last,
    result_dtype,
    suggested_strides,
    unsqueezed,
)
from .requires import Range
from .views import view_strides

# --------------------------------------------------------------------------- copies


def _identity(node: Node, fn: Fn) -> Fn:
    return fn


def _meta_clone(x: TensorMeta, *, memory_format: str | None) -> TensorMeta:
    return TensorMeta(x.shape, format_strides(x, memory_format), x.dtype, x.device)


row("clone", "pointwise", _meta_clone, attrs={"memory_format": None}, lower=_identity, elements="first",
    rounding=IS_HALF)  # fmt: skip


def _meta_contiguous(x: TensorMeta, *, memory_format: str) -> TensorMeta:
    already = is_contiguous(x) if memory_format == "contiguous" else is_channels_last(x.shape, x.stride)
    return x if already else _meta_clone(x, memory_format=memory_format)


# the tensor itself when it already is contiguous, as in eager
row(
    "contiguous",
    "pointwise",
    _meta_contiguous,
    attrs={"memory_format": "contiguous"},
    lower=_identity,
    elements="first",
)


def _meta_restride(x: TensorMeta, *, stride: Sequence[Dim]) -> TensorMeta:
    return TensorMeta(x.shape, tuple(stride), x.dtype, x.device)


# the same values in the given layout: how a pass pins the strides of a result
row("restride", "pointwise", _meta_restride, attrs={"stride": REQUIRED}, lower=_identity, elements="first")
# the same in memory, for a reader that reads each element many times over and where it lies
row("stored", "pointwise", _meta_restride, attrs={"stride": REQUIRED}, lower=_identity, elements="first", stored=True,
    eager="none")  # fmt: skip


def _meta_copy(x: TensorMeta, src: TensorMeta) -> TensorMeta:
    if not expands_to(src.shape, x.shape):
        raise ValueError(f"copy: a tensor of shape {src.shape} does not expand to {x.shape}")
    return TensorMeta(x.shape, like_strides(x), x.dtype, x.device)


def _lower_copy(node: Node, x: Fn, src: Fn) -> Fn:
    """`src` in x's shape and dtype; x's values are not read."""
    source = args(node)[1]
    return lambda index: convert(at(src, index, source, node.shape), node.dtype)


row("copy", "pointwise", _meta_copy, lower=_lower_copy, numbers=(1,), operands=(LAYOUT, VALUE), elements="any")


def _meta_to_device(x: TensorMeta, *, device: str) -> TensorMeta:
    return TensorMeta(x.shape, like_strides(x), x.dtype, device)


row("to_device", "extern", _meta_to_device, attrs={"device": REQUIRED}, elements="first")


# --------------------------------------------------------------------------- joining


def _is_legacy_empty(x: TensorMeta) -> bool:
    """Eager lets cat skip 1-d tensors without elements, whatever the others' rank."""
    return x.ndim == 1 and is_zero(x.shape[0])


def _meta_cat(*metas: TensorMeta, dim: int) -> TensorMeta:
    if not metas:
        raise ValueError("cat needs at least one tensor")
    if any(not m.ndim for m in metas):
        raise ValueError("cat: a 0-dim tensor cannot be concatenated")
    real = [m for m in metas if not _is_legacy_empty(m)] or [metas[0]]
    first = real[0]
    d = wrap_dim(dim, first.ndim)
    total: Dim = 0
    for m in real:
        if m.ndim != first.ndim or any(not same(p, q) for i, (p, q) in enumerate(zip(m.shape, first.shape)) if i != d):
            raise ValueError(f"cat: shapes {first.shape} and {m.shape} differ outside dimension {d}")
        total = total + m.shape[d]
    shape = (*first.shape[:d], total, *first.shape[d + 1 :])
    last = all(prefers_channels_last(m) for m in real) and len(real) == len(metas)
    strides = channels_last_strides(shape) if last else contiguous_strides(shape)
    return TensorMeta(shape, strides, result_dtype(*metas), common_device(*metas))


def _lower_cat(node: Node, *fns: Fn) -> Fn:
    """Each part is read only within its own range. (A scheduler may store the parts one by one instead.)"""
    d = wrap_dim(node.attrs["dim"], node.ndim)
    parts: list[tuple[Fn, Dim, Dim]] = []
    start: Dim = 0
    for fn, i in zip(fns, args(node)):
        if _is_legacy_empty(i.meta) or is_zero(i.shape[d]):
            continue
        parts.append((fn, start, start + i.shape[d]))
        start = start + i.shape[d]

    def value(index: tuple[Index, ...]) -> Expr:
        out: Expr = number(0, node.dtype)
        position = index_value(index[d])
        for k, (fn, begin, end) in reversed(list(enumerate(parts))):
            moved = convert(fn((*index[:d], index[d] - begin, *index[d + 1 :])), node.dtype)
            inside = TRUE if k == len(parts) - 1 else compare("lt", position, size_value(end))
            if k:
                inside = both(compare("ge", position, size_value(begin)), inside)
            out = masked(inside, moved, out)
        return out

    return value


row("cat", "index", _meta_cat, attrs={"dim": 0}, lower=_lower_cat, elements="any", autocast="widest")


def _meta_stack(*metas: TensorMeta, dim: int) -> TensorMeta:
    if not metas:
        raise ValueError("stack needs at least one tensor")
    shape = metas[0].shape
    for m in metas:
        if m.ndim != len(shape) or any(not same(p, q) for p, q in zip(m.shape, shape)):
            raise ValueError(f"stack: shapes {shape} and {m.shape} differ")
    d = wrap_dim(dim, len(shape) + 1)
    if d == len(shape):
        return _meta_cat(*(unsqueezed(m, d) for m in metas), dim=d)
    joined = _meta_cat(*metas, dim=d)
    split = (*shape[:d], len(metas), *shape[d:])
    strides = view_strides(joined.shape, joined.stride, split)
    assert strides is not None  # one dim of a dense tensor, split
    return replace(joined, shape=split, stride=strides)


def _decompose_stack(b: GraphBuilder, node: Node) -> Node:
    """Joined along a dim that is there, and that dim split: only along a new last dim are there none to join."""
    d = wrap_dim(node.attrs["dim"], node.ndim)
    if d == node.ndim - 1:
        return b.cat(*(b.unsqueeze(i, dim=d) for i in args(node)), dim=d)
    return b.view(b.cat(*args(node), dim=d), shape=node.shape)


row("stack", "composite", _meta_stack, attrs={"dim": 0}, decompose=_decompose_stack, elements="any", autocast="widest")


# --------------------------------------------------------------------------- padding


def _borders(pad: Sequence[int], ndim: int) -> list[tuple[int, int]]:
    """(before, after) for every dim; `pad` lists pairs from the last dim backwards."""
    if len(pad) % 2 or len(pad) // 2 > ndim:
        raise ValueError(f"pad: {tuple(pad)} does not pair up with a tensor of {ndim} dimensions")
    pairs = [(pad[k], pad[k + 1]) for k in range(0, len(pad), 2)]
    return [(0, 0)] * (ndim - len(pairs)) + pairs[::-1]


def _meta_pad(x: TensorMeta, *, pad: Sequence[int], mode: str, value: float | None) -> TensorMeta:
    borders = _borders(pad, x.ndim)
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise ValueError(f"pad: unknown mode {mode!r}")
    shape = []
    for size, (before, after) in zip(x.shape, borders):
        if mode == "reflect" and not (less(before, size) and less(after, size)):
            raise ValueError(f"pad: reflection by {before}, {after} needs a larger dimension than {size}")
        if mode == "circular" and (less(size, before) or less(size, after)):
            raise ValueError(f"pad: wrapping by {before}, {after} needs at least that many elements, not {size}")
        left = size
        for border in (before, after):  # eager crops first, then pads what is left
            if less(border, 0):
                left = left + border
                if less(left, 0):
                    raise ValueError(f"pad: {tuple(pad)} takes more than there is from shape {x.shape}")
        shape.append(size + before + after)
    part = replace(x, shape=tuple(shape))
    if mode == "constant":
        if all(isinstance(p, int) and p <= 0 for pair in borders for p in pair):
            return like_meta(part)  # a copy of what is left
        return replace(part, stride=suggested_strides(x, shape))
    batched = mode != "circular" and len(pad) // 2 == x.ndim - 2
    return replace(part, stride=suggested_strides(x, shape) if batched else contiguous_strides(shape))


def _certainly_crops(border: Dim) -> bool:
    return isinstance(border, int) and border <= 0


def _fill_value(node: Node) -> Expr:
    """What constant padding puts in: a number of the result's own dtype."""
    value = 0 if node.attrs["value"] is None else node.attrs["value"]
    return number(round_to_half(float(value), node.dtype) if node.dtype in HALVES else value, node.dtype)


def _lower_pad(node: Node, fn: Fn) -> Fn:
    old = args(node)[0].shape
    borders = _borders(node.attrs["pad"], node.ndim)
    mode = node.attrs["mode"]

    def constant(index: tuple[Index, ...]) -> Expr:
        inside, point = TRUE, []
        for i, size, (before, after) in zip(index, old, borders):
            moved = i - before
            if not _certainly_crops(before):
                inside = both(inside, compare("ge", index_value(moved), number(0, int64)))
            if not _certainly_crops(after):
                inside = both(inside, compare("lt", index_value(moved), size_value(size)))
            point.append(moved)
        fill = _fill_value(node)
        if is_zero(math.prod(old)):
            return fill
        return masked(inside, fn(tuple(point)), fill)

    def bent(index: tuple[Index, ...]) -> Expr:
        bend = {"reflect": _reflect, "replicate": _replicate, "circular": _wrap}[mode]
        return fn(tuple(i if pair == (0, 0) else bend(i, pair[0], s) for i, s, pair in zip(index, old, borders)))

    return constant if mode == "constant" else bent


def _reflect(i: Index, before: int, size: Dim) -> Index:
    top = size_value(size - 1)
    inner = expr("abs", index_value(i - before), dtype=int64)
    folded = expr("abs", int_op("sub", top, inner), dtype=int64)
    return indirect(int_op("sub", top, folded))


def _replicate(i: Index, before: int, size: Dim) -> Index:
    low = int_op("max", index_value(i - before), number(0, int64))
    return indirect(int_op("min", low, size_value(size - 1)))


def _wrap(i: Index, before: int, size: Dim) -> Index:
    return mod(i + (size - before), size)


def _autocast_pad(attrs: Mapping[str, Any]) -> str:
    spatial = {"reflect": 2, "replicate": 3}.get(attrs["mode"], 0)
    return "float32" if len(attrs["pad"]) // 2 <= spatial else ""


row("pad", "index", _meta_pad, attrs={"pad": REQUIRED, "mode": "constant", "value": None}, lower=_lower_pad,
    numbers=("value",), operands=(PART,), errors=QUIET, autocast=_autocast_pad, measured=True)  # fmt: skip


# --------------------------------------------------------------------------- order


def _meta_flip(x: TensorMeta, *, dims: Sequence[int]) -> TensorMeta:
    wrapped = [wrap_dim(d, x.ndim) for d in dims]
    if len(set(wrapped)) != len(wrapped):
        raise ValueError(f"flip: a dimension appears twice in {tuple(dims)}")
    return TensorMeta(x.shape, like_strides(x), x.dtype, x.device)


def _lower_flip(node: Node, fn: Fn) -> Fn:
    dims = {wrap_dim(d, node.ndim) for d in node.attrs["dims"]}
    shape = node.shape
    return lambda index: fn(tuple((shape[d] - 1) - i if d in dims else i for d, i in enumerate(index)))


def _start_of_flip(attrs: Mapping[str, Any], x: TensorMeta) -> Dim:
    total: Dim = 0
    for d in attrs["dims"]:
        total = total + (x.shape[d] - 1) * x.stride[d]
    return total


row("flip", "index", _meta_flip, attrs={"dims": REQUIRED}, lower=_lower_flip, errors=QUIET,
    first=_start_of_flip, undo=view_writes.again("flip"))  # fmt: skip


def _meta_roll(x: TensorMeta, *, shifts: Sequence[int], dims: Sequence[int]) -> TensorMeta:
    if len(shifts) != len(dims) and not (len(shifts) == 1 and not dims):
        raise ValueError(f"roll: {len(shifts)} shifts for {len(dims)} dims")
    for d in dims:
        wrap_dim(d, x.ndim)
    if not dims:
        return fresh(x)
    for shift, dim in zip(shifts, dims):
        x = _rolled_meta(x, shift, wrap_dim(dim, x.ndim))
    return x


def _rolled_meta(x: TensorMeta, shift: int, d: int) -> TensorMeta:
    """Eager joins the two parts; the second may be empty."""
    if is_zero(math.prod(x.shape)):
        return like_meta(x)
    size = x.shape[d]
    if isinstance(size, int):
        cut = (-shift) % size
        parts = [replace(x, shape=(*x.shape[:d], n, *x.shape[d + 1 :])) for n in (size - cut, cut)]
        last = all(map(prefers_channels_last, parts))
    else:  # of two parts each is laid out as the whole
        last = prefers_channels_last(x) and not same(shift % size, 0)
    return replace(x, stride=channels_last_strides(x.shape) if last else contiguous_strides(x.shape))


def _decompose_roll(b: GraphBuilder, node: Node) -> Node:
    """Without dims the flattened tensor is rolled."""
    x = args(node)[0]
    shifts, dims = node.attrs["shifts"], node.attrs["dims"]
    if not dims:
        flat = b.roll_dims(b.reshape(x, shape=(-1,)), shifts=tuple(shifts), dims=(0,))
        return b.reshape(flat, shape=x.shape)
    return b.roll_dims(x, shifts=tuple(shifts), dims=tuple(dims))


def _lower_roll(node: Node, fn: Fn) -> Fn:
    def value(index: tuple[Index, ...]) -> Expr:
        point = list(index)
        for shift, dim in zip(node.attrs["shifts"], node.attrs["dims"]):
            d = wrap_dim(dim, node.ndim)
            size = node.shape[d]
            if isinstance(size, int) and size == 0:
                continue  # no element is ever asked for
            # a non-negative amount, so that the index never is negative before the modulo
            point[d] = mod(point[d] + (size - shift % size), size)
        return fn(tuple(point))

    return value


row("roll", "composite", _meta_roll, attrs={"shifts": REQUIRED, "dims": ()}, decompose=_decompose_roll, errors=QUIET,
    measured=True)  # fmt: skip
row("roll_dims", "index", _meta_roll, attrs={"shifts": REQUIRED, "dims": REQUIRED}, lower=_lower_roll, errors=QUIET,
    measured=True)  # fmt: skip


# --------------------------------------------------------------------------- repetition


def _meta_repeat(x: TensorMeta, *, repeats: Sequence[Dim]) -> TensorMeta:
    if len(repeats) < x.ndim:
        raise ValueError(f"repeat: {tuple(repeats)} has fewer numbers than the tensor's {x.ndim} dimensions")
    padded = (1,) * (len(repeats) - x.ndim) + x.shape
    return new_meta([s * r for s, r in zip(padded, repeats)], x.dtype, x.device)


def _lower_repeat(node: Node, fn: Fn) -> Fn:
    old = args(node)[0].shape
    times = node.attrs["repeats"][len(node.shape) - len(old) :]

    def value(index: tuple[Index, ...]) -> Expr:
        tail = index[len(index) - len(old) :]
        return fn(tuple(i if r == 1 else ZERO if s in (0, 1) else mod(i, s) for i, s, r in zip(tail, old, times)))

    return value


row("repeat", "index", _meta_repeat, attrs={"repeats": REQUIRED}, lower=_lower_repeat, elements="first")


def _meta_repeat_interleave(x: TensorMeta, *, repeats: Dim, dim: int | None) -> TensorMeta:
    if isinstance(repeats, float) or less(repeats, 0):
        raise ValueError(f"repeat_interleave: repeats must be a non-negative int, not {repeats}")
    if dim is None:
        return new_meta((math.prod(x.shape) * repeats,), x.dtype, x.device)
    d = wrap_dim(dim, x.ndim)
    shape = x.shape or (1,)
    return new_meta((*shape[:d], shape[d] * repeats, *shape[d + 1 :]), x.dtype, x.device)


def _decompose_repeat_interleave(b: GraphBuilder, node: Node) -> Node:
    x, dim = args(node)[0], node.attrs["dim"]
    if dim is None or not x.ndim:
        x, dim = b.reshape(x, shape=(-1,)), 0
    d = wrap_dim(dim, x.ndim)
    wide = b.expand(b.unsqueeze(x, dim=d + 1), shape=(*x.shape[: d + 1], node.attrs["repeats"], *x.shape[d + 1 :]))
    return b.reshape(wide, shape=node.shape)


row("repeat_interleave", "composite", _meta_repeat_interleave, attrs={"repeats": REQUIRED, "dim": None},
    decompose=_decompose_repeat_interleave, errors=QUIET)  # fmt: skip


def _meta_one_hot(x: TensorMeta, *, num_classes: int) -> TensorMeta:
    if x.dtype != int64:
        raise TypeError(f"one_hot needs int64 class numbers, not {x.dtype}")
    if isinstance(num_classes, int) and num_classes <= 0:
        raise ValueError("one_hot: num_classes must be given and positive (its default depends on the data)")
    return new_meta((*x.shape, num_classes), int64, x.device)


def _lower_one_hot(node: Node, fn: Fn) -> Fn:
    return lambda index: convert(compare("eq", fn(index[:-1]), index_value(index[-1])), int64)


row("one_hot", "pointwise", _meta_one_hot, attrs={"num_classes": REQUIRED}, lower=_lower_one_hot,
    requires=lambda n: [Range(0, 0, n.attrs["num_classes"] - 1)], errors=QUIET)  # fmt: skip
