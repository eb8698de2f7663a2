"""What eager gives a pointwise result: dtype by categories, broadcast shape, device, strides.

Sources: the behaviour documented for torch.result_type, and TensorIterator's rules for the layout of a new output.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from .. import dtypes
from ..dtypes import DType
from ..graph import Dim, TensorMeta, contiguous_strides
from .dims import is_one, is_zero, less, same

#: the float type of a Python float, and of a float function of integers
DEFAULT_FLOAT = dtypes.float32


def result_dtype(*metas: TensorMeta) -> DType:
    """Promotion by category: tensors with dims, then 0-dim tensors, then Python scalars (`weak`).

    A lower category counts only where it is of a higher kind (bool < int < float < complex).
    """
    found: list[DType | None] = [None, None, None]
    for m in metas:
        level = 2 if m.weak else 1 if m.ndim == 0 else 0
        before = found[level]
        found[level] = m.dtype if before is None else dtypes.promote(before, m.dtype)
    combined = _combine(found[0], _combine(found[1], found[2]))
    if combined is None:
        raise TypeError("no operand to take a dtype from")
    return combined


def _combine(higher: DType | None, lower: DType | None) -> DType | None:
    if higher is None or lower is None:
        return higher or lower
    if higher.is_complex:
        return higher
    if higher.is_float:
        return dtypes.promote(higher, dtypes.complex64) if lower.is_complex else higher
    if higher.kind == "bool" or lower.is_float or lower.is_complex:
        return dtypes.promote(higher, lower)
    return higher


def float_dtype(dtype: DType) -> DType:
    """The dtype of a float function of `dtype`: integers and bool become the default float."""
    return dtype if dtype.is_float or dtype.is_complex else DEFAULT_FLOAT


def broadcast_shapes(*shapes: Sequence[Dim]) -> tuple[Dim, ...]:
    """The common shape. Raises ValueError when two sizes differ and neither is 1."""
    ndim = max((len(s) for s in shapes), default=0)
    out: list[Dim] = [1] * ndim
    for shape in shapes:
        offset = ndim - len(shape)
        for i, size in enumerate(shape):
            have = out[offset + i]
            if type(size) is int and size == 1:
                continue
            if type(have) is int and have == 1:
                out[offset + i] = size
            elif not same(have, size):
                if is_one(have):
                    out[offset + i] = size
                elif not is_one(size):
                    text = " and ".join(str(tuple(s)) for s in shapes)
                    raise ValueError(
                        f"shapes {text} do not broadcast: sizes {have} and {size} at dimension {offset + i} differ"
                    )
    return tuple(out)


def expands_to(shape: Sequence[Dim], wanted: Sequence[Dim]) -> bool:
    """Whether `shape` broadcasts to exactly `wanted`."""
    offset = len(wanted) - len(shape)
    return offset >= 0 and all(is_one(s) or same(s, w) for s, w in zip(shape, wanted[offset:]))


def expanded(meta: TensorMeta, shape: tuple[Dim, ...]) -> TensorMeta:
    """The operand as a view of the broadcast `shape`: stride 0 where it is repeated."""
    return TensorMeta(shape, _aligned_strides(meta, shape), meta.dtype, meta.device)


def common_device(*metas: TensorMeta) -> str:
    """The device of the result: that of the tensors with dims; 0-dim CPU tensors go anywhere.

    Raises ValueError when tensors with dims stand on different devices.
    """
    device: str | None = None
    for m in metas:
        if m.weak or (m.ndim == 0 and m.device == "cpu"):
            continue
        if device is not None and device != m.device:
            raise ValueError(f"operands are on different devices: {device} and {m.device}")
        device = m.device
    return device or "cpu"


def unsqueezed(meta: TensorMeta, d: int) -> TensorMeta:
    """The tensor as a view with a dim of size 1 at `d`."""
    step = 1 if d == meta.ndim else meta.shape[d] * meta.stride[d]
    shape, stride = (*meta.shape[:d], 1, *meta.shape[d:]), (*meta.stride[:d], step, *meta.stride[d:])
    return TensorMeta(shape, stride, meta.dtype, meta.device)


def repeats(meta: TensorMeta) -> bool:
    """Whether some dim of more than one element does not move in memory."""
    return any(type(s) is int and s == 0 and n != 1 for n, s in zip(meta.shape, meta.stride))


def is_dense(shape: Sequence[Dim], stride: Sequence[Dim]) -> bool:
    """Every element of the storage range is used exactly once: some permutation is contiguous."""
    if any(is_zero(s) for s in shape):
        return True
    dims = [(stride[i], shape[i]) for i in range(len(shape)) if not is_one(shape[i])]
    expected: Dim = 1
    for _ in range(len(dims)):
        for k, (step, size) in enumerate(dims):
            if step == expected:
                expected = expected * size
                del dims[k]
                break
        else:
            return False
    return True


def is_channels_last(shape: Sequence[Dim], stride: Sequence[Dim], ndim: int = 4) -> bool:
    """Contiguous as channels_last: N, (D,) H, W, C from the slowest to the fastest (size-1 dims may have any stride). `ndim`
    5 asks for channels_last_3d.
    """
    return len(shape) == ndim and is_laid_out(shape, stride, (1, *range(ndim - 1, 1, -1), 0))


def is_contiguous(meta: TensorMeta) -> bool:
    """Whether a tensor lies row by row, as eager says of it (see `TensorMeta.is_contiguous`)."""
    if meta.is_contiguous or not meta.is_dynamic:
        return meta.is_contiguous
    return is_laid_out(meta.shape, meta.stride, range(meta.ndim)[::-1]) or any(is_zero(s) for s in meta.shape)


def is_laid_out(shape: Sequence[Dim], stride: Sequence[Dim], order: Sequence[int]) -> bool:
    """Without gaps, dims from the fastest to the slowest as in `order` (size-1 dims may have any stride)."""
    expected: Dim = 1
    for d in order:
        if not is_one(shape[d]):
            if stride[d] != expected:
                return False
            expected = expected * shape[d]
    return True


def prefers_channels_last(meta: TensorMeta) -> bool:
    """Whether eager takes a 4-d tensor's strides to mean channels_last (NC11 and N1HW shapes decided by stride order)."""
    return meta.ndim in (4, 5) and _strides_like(meta, (1, *range(meta.ndim - 1, 1, -1), 0))


def _strides_like(meta: TensorMeta, order: Sequence[int]) -> bool:
    lowest: Dim = 0
    if type(meta.stride[1]) is int and meta.stride[1] == 0:
        return False
    for d in order:
        if is_zero(meta.shape[d]) or less(meta.stride[d], lowest):
            return False
        if d == 0 and lowest == meta.stride[1]:
            return False  # N111 with equal strides: contiguous by default
        lowest = meta.stride[d]
        if less(1, meta.shape[d]):
            lowest = lowest * meta.shape[d]
    return True


def channels_last_strides(shape: Sequence[Dim]) -> tuple[Dim, ...]:
    """Strides of a new channels_last tensor of 4 (NHWC) or 5 (NDHWC) dims."""
    order = (1, *range(len(shape) - 1, 1, -1), 0)
    return permuted_strides(shape, order, keep_zero=False)


def suggested_format(meta: TensorMeta) -> str:
    """The memory format in which eager takes a tensor to be: what `to(memory_format=...)` leaves as it is."""
    if not prefers_channels_last(meta):
        return "contiguous"
    return "channels_last" if meta.ndim == 4 else "channels_last_3d"


def suggested_strides(like: TensorMeta, shape: Sequence[Dim]) -> tuple[Dim, ...]:
    """Strides of a new tensor of `shape` in the memory format that `like` suggests: channels_last or contiguous."""
    return channels_last_strides(shape) if prefers_channels_last(like) else contiguous_strides(shape)


def permuted_strides(shape: Sequence[Dim], order: Sequence[int], *, keep_zero: bool = True) -> tuple[Dim, ...]:
    """Dense strides with dims laid out from the fastest to the slowest as in `order`."""
    out: list[Dim] = [0] * len(shape)
    step: Dim = 1
    for d in order:
        out[d] = step
        step = step * (1 if not keep_zero and is_zero(shape[d]) else shape[d])
    return tuple(out)


def pointwise_strides(metas: Sequence[TensorMeta], shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """Strides of a pointwise result, as TensorIterator lays out a new output.

    Operands of one shape: contiguous if all are, channels_last if all are, or the common dense strides. Otherwise the
    dims are sorted by the operands' strides (broadcast dims abstain, the first operand with an opinion wins).
    """
    if len(shape) <= 1 and all(m.ndim <= 1 for m in metas):
        return (1,) * len(shape)
    if all(m.shape == metas[0].shape for m in metas):
        if any(is_zero(s) for s in shape) or all(is_contiguous(m) for m in metas):
            return contiguous_strides(shape)
        if all(is_channels_last(m.shape, m.stride) for m in metas):
            return channels_last_strides(shape)
        if all(m.stride == metas[0].stride for m in metas) and is_dense(metas[0].shape, metas[0].stride):
            return metas[0].stride
    order = iteration_order([_aligned_strides(m, shape) for m in metas], shape)
    if order == list(range(len(shape) - 1, -1, -1)):
        return contiguous_strides(shape)
    return permuted_strides(shape, order)


def _aligned_strides(meta: TensorMeta, shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The operand's strides in the broadcast shape: 0 where it is repeated."""
    offset = len(shape) - meta.ndim
    own = tuple(0 if is_one(s) and not is_one(shape[offset + i]) else meta.stride[i] for i, s in enumerate(meta.shape))
    return (0,) * offset + own


def iteration_order(strides: Sequence[Sequence[Dim]], shape: tuple[Dim, ...]) -> list[int]:
    """Dims from the fastest to the slowest: a stable insertion sort by the operands' strides."""
    order = list(range(len(shape) - 1, -1, -1))

    def compare(a: int, b: int) -> int:
        for s in strides:
            x, y = s[a], s[b]
            if is_zero(x) or is_zero(y):
                continue
            if x == y:
                if less(shape[b], shape[a]):
                    return 1
            else:
                return -1 if less(x, y) else 1
        return 0

    for i in range(1, len(order)):
        at = i
        for j in range(i - 1, -1, -1):
            c = compare(order[j], order[at])
            if c > 0:
                order[j], order[at] = order[at], order[j]
                at = j
            elif c < 0:
                break
    return order


def like_strides(meta: TensorMeta) -> tuple[Dim, ...]:
    """Strides of a new tensor that preserves `meta`'s format (`empty_like`, `clone`, `to`): its own when dense."""
    if is_dense(meta.shape, meta.stride):
        return meta.stride
    order = iteration_order([meta.stride], meta.shape)
    return permuted_strides(meta.shape, order, keep_zero=False)


def like_meta(x: TensorMeta, dtype: DType | None = None) -> TensorMeta:
    """A new tensor that preserves `x`'s format."""
    return TensorMeta(x.shape, like_strides(x), dtype or x.dtype, x.device)


@functools.lru_cache(maxsize=8192)
def _static_layout(operands: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]) -> tuple[Any, Any]:
    """Shape and strides of a pointwise result over operands of static (shape, strides): capture asks this for every op."""
    return _layout([TensorMeta(shape, stride, DEFAULT_FLOAT) for shape, stride in operands])


def _layout(metas: Sequence[TensorMeta]) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
    shape = broadcast_shapes(*(m.shape for m in metas))
    return shape, pointwise_strides(metas, shape)


def pointwise_meta(*metas: TensorMeta, dtype: DType | None = None, casts: bool = True) -> TensorMeta:
    """The meta of a pointwise op over `metas`; `dtype` None: their promoted dtype. casts: operands of other dtypes are converted
    to the one that it computes in.
    """
    device, promoted = common_device(*metas), result_dtype(*metas)
    if casts and device == "cpu":
        floats = dtype is not None and dtype.is_float and not (promoted.is_float or promoted.is_complex)
        metas = tuple([converted(m, dtype if floats and dtype else promoted) for m in metas])
    if any(m.is_dynamic for m in metas):
        shape, strides = _layout(metas)  # never cached: the decider must see every open relation
    else:
        shape, strides = _static_layout(tuple([(m.shape, m.stride) for m in metas]))  # type: ignore[misc]
    return TensorMeta(shape, strides, dtype or promoted, device)


def converted(meta: TensorMeta, dtype: DType) -> TensorMeta:
    """An operand as eager's loops on CPUs read it: one of another dtype is converted as a whole, into memory that repeats nothing."""
    if meta.dtype == dtype or meta.weak or not repeats(meta):
        return meta
    return like_meta(meta)
