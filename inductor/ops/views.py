"""Views: the same elements in another shape. Metas give the strides of eager's view; lowering maps the index.

`view_strides` says whether a reshape can be a view at all: capture uses it to know what aliases what.
Ops that look like views but copy in eager (flip, roll, repeat, cat, ...) stand in `shuffles`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..graph import Dim, Node, TensorMeta, contiguous_strides
from ..loops import ZERO, Fn, Index, as_index, delinearize, linearize
from . import view_writes
from .common import REQUIRED, args, row, wrap_dim, wrap_dims
from .dims import floor_divide, is_one, is_zero, less, plain, same
from .facts import MEMORY, PART, VALUE, Operand
from .promotion import is_dense, unsqueezed
from .view_writes import Undo


def _view(x: TensorMeta, shape: Sequence[Dim], stride: Sequence[Dim]) -> TensorMeta:
    return TensorMeta(tuple(shape), tuple(stride), x.dtype, x.device)


def _index_row(
    name: str,
    meta: Callable[..., TensorMeta],
    point: Callable[..., Any],
    *,
    operand: Operand = VALUE,
    gradient: str = "framework",
    span: Callable[[Node], tuple[int, Any, Any, Any]] | None = None,
    first: Callable[[Mapping[str, Any], TensorMeta], Dim] | None = None,
    undo: Undo | None = None,
    **attrs: Any,
) -> None:
    """A view row. `point(node, index)` is where an element of the result stands in the input."""

    def lower(node: Node, fn: Fn) -> Fn:
        return lambda index: fn(tuple(point(node, index)))

    row(name, "view", meta, attrs=attrs, lower=lower, operands=(operand,), gradient=gradient, span=span,
        first=first, undo=undo)  # fmt: skip


def _meta_positive(x: TensorMeta) -> TensorMeta:
    if x.dtype.kind == "bool":
        raise TypeError("positive is not defined for bool")
    return _view(x, x.shape, x.stride)


_index_row("alias", lambda x: _view(x, x.shape, x.stride), lambda node, index: index, undo=view_writes.the_same)
# the same as alias but for gradients
_index_row("detach", lambda x: _view(x, x.shape, x.stride), lambda node, index: index, gradient="stopped",
           undo=view_writes.the_same)  # fmt: skip
_index_row("positive", _meta_positive, lambda node, index: index)


# --------------------------------------------------------------------------- reshape


def resolve_shape(shape: Sequence[Dim], old: Sequence[Dim]) -> tuple[Dim, ...]:
    """`shape` with its -1 filled in. Raises ValueError when the element counts cannot agree."""
    shape = [plain(s) for s in shape]
    unknown = [i for i, s in enumerate(shape) if type(s) is int and s == -1]
    total = math.prod(old)
    if len(unknown) > 1:
        raise ValueError(f"only one size of {tuple(shape)} may be -1")
    if any(type(s) is int and s < -1 for s in shape):
        raise ValueError(f"invalid shape {tuple(shape)}")
    if unknown:
        rest = math.prod([s for s in shape if not (type(s) is int and s == -1)])
        if is_zero(rest):
            raise ValueError(f"cannot infer the -1 of {tuple(shape)}: the other sizes hold no element")
        shape[unknown[0]] = floor_divide(total, rest)
    if not same(math.prod(shape), total):
        raise ValueError(f"shape {tuple(shape)} does not hold the {total} elements of {tuple(old)}")
    return tuple(shape)


def view_strides(shape: Sequence[Dim], stride: Sequence[Dim], new: Sequence[Dim]) -> tuple[Dim, ...] | None:
    """Strides with which a tensor reads as shape `new` without a copy, or None when it cannot."""
    if is_zero(math.prod(shape)):
        return tuple(stride) if tuple(shape) == tuple(new) else contiguous_strides(new)
    if not shape:
        return (1,) * len(new)
    out: list[Dim] = [0] * len(new)
    at = len(new) - 1
    chunk_step = stride[-1]
    old_count: Dim = 1
    new_count: Dim = 1
    for d in range(len(shape) - 1, -1, -1):
        old_count = old_count * shape[d]
        # a chunk ends where the next dim outwards does not continue it
        ends = d == 0 or (not is_one(shape[d - 1]) and not same(stride[d - 1], old_count * chunk_step))
        if not ends:
            continue
        while at >= 0 and (is_one(new[at]) or (not same(new_count, old_count) and less(new_count, old_count))):
            out[at] = new_count * chunk_step
            new_count = new_count * new[at]
            at -= 1
        if not same(new_count, old_count):
            return None
        if d > 0:
            chunk_step = stride[d - 1]
            old_count = new_count = 1
    return tuple(out) if at < 0 else None


def _meta_view(x: TensorMeta, *, shape: Sequence[Dim]) -> TensorMeta:
    new = resolve_shape(shape, x.shape)
    strides = view_strides(x.shape, x.stride, new)
    if strides is None:
        raise ValueError(f"view: shape {new} cannot be had from shape {x.shape} with strides {x.stride}; use reshape")
    return _view(x, new, strides)


def _meta_reshape(x: TensorMeta, *, shape: Sequence[Dim]) -> TensorMeta:
    new = resolve_shape(shape, x.shape)
    strides = view_strides(x.shape, x.stride, new)
    return _view(x, new, contiguous_strides(new) if strides is None else strides)


def reshape_index(index: tuple[Index, ...], new: Sequence[Dim], old: Sequence[Dim]) -> tuple[Index, ...]:
    """A point of shape `new` as the point of shape `old` with the same row-major position.

    Both shapes are cut into the smallest groups of dims with equal products, so that unrelated dims are untouched.
    """
    if any(type(s) is int and s == 0 for s in (*new, *old)):
        return (ZERO,) * len(old)  # no point exists
    out: list[Index] = []
    i = j = 0
    while i < len(new) or j < len(old):
        start_i, start_j = i, j
        left = new[i] if i < len(new) else 1
        right = old[j] if j < len(old) else 1
        i, j = min(i + 1, len(new)), min(j + 1, len(old))
        while not _agree(left, right):
            if i < len(new) and (j == len(old) or _grows_left(left, right)):
                left, i = left * new[i], i + 1
            elif j < len(old):
                right, j = right * old[j], j + 1
            else:
                break
        new_group, old_group = tuple(new[start_i:i]), tuple(old[start_j:j])
        if len(new_group) == len(old_group) == 1:
            out.append(index[start_i])
        else:
            out.extend(_regroup(index[start_i:i], new_group, old_group))
    return tuple(out)


def _regroup(index: Sequence[Index], new: tuple[Dim, ...], old: tuple[Dim, ...]) -> list[Index]:
    """One group of `reshape_index`; dims of size 1 take no part."""
    kept = [(i, s) for i, s in zip(index, new) if not (type(s) is int and s == 1)]
    real = tuple(s for s in old if not (type(s) is int and s == 1))
    if len(kept) == len(real) == 1:
        parts = iter([kept[0][0]])
    else:
        parts = iter(delinearize(linearize([i for i, _ in kept], [s for _, s in kept]), real))
    return [ZERO if type(s) is int and s == 1 else next(parts) for s in old]


def _agree(a: Dim, b: Dim) -> bool:
    return a == b if type(a) is int and type(b) is int else bool(a == b)


def _grows_left(left: Dim, right: Dim) -> bool:
    """Whether the new shape's group is the one to grow: it is the smaller, or divides the other."""
    if type(left) is int and type(right) is int:
        return left < right
    ratio = right / left  # at least one is symbolic
    return bool(getattr(ratio, "is_integer", False) or getattr(ratio, "is_polynomial", lambda: False)())


def _reshape_point(node: Node, index: tuple[Index, ...]) -> tuple[Index, ...]:
    return reshape_index(index, node.shape, args(node)[0].shape)


_index_row("view", _meta_view, _reshape_point, operand=MEMORY, undo=view_writes.reshaped, shape=REQUIRED)
_index_row("reshape", _meta_reshape, _reshape_point, undo=view_writes.reshaped, shape=REQUIRED)


def flattened_shape(shape: Sequence[Dim], start_dim: int, end_dim: int) -> tuple[Dim, ...]:
    """`shape` with dims start..end (inclusive) merged."""
    start, end = wrap_dim(start_dim, len(shape)), wrap_dim(end_dim, len(shape))
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    if not shape:
        return (1,)
    return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


def _meta_flatten(x: TensorMeta, *, start_dim: int, end_dim: int) -> TensorMeta:
    if x.ndim and wrap_dim(start_dim, x.ndim) == wrap_dim(end_dim, x.ndim):
        return _view(x, x.shape, x.stride)
    return _meta_reshape(x, shape=flattened_shape(x.shape, start_dim, end_dim))


_index_row("flatten", _meta_flatten, _reshape_point, undo=view_writes.reshaped, start_dim=0, end_dim=-1)


def _meta_unflatten(x: TensorMeta, *, dim: int, sizes: Sequence[Dim]) -> TensorMeta:
    d = wrap_dim(dim, x.ndim)
    return _meta_view(x, shape=(*x.shape[:d], *resolve_shape(sizes, (x.shape[d],)), *x.shape[d + 1 :]))


_index_row("unflatten", _meta_unflatten, _reshape_point, undo=view_writes.reshaped, dim=REQUIRED, sizes=REQUIRED)


# --------------------------------------------------------------------------- permutations


def _permutation(dims: Sequence[int], ndim: int) -> tuple[int, ...]:
    if len(dims) != ndim:
        raise ValueError(f"permute: {tuple(dims)} does not name all {ndim} dimensions")
    order = tuple(wrap_dim(d, ndim) for d in dims)
    if len(set(order)) != ndim:
        raise ValueError(f"permute: {tuple(dims)} names a dimension twice")
    return order


def _meta_permute(x: TensorMeta, *, dims: Sequence[int]) -> TensorMeta:
    order = _permutation(dims, x.ndim)
    return _view(x, [x.shape[d] for d in order], [x.stride[d] for d in order])


def _permute_point(node: Node, index: tuple[Index, ...]) -> list[Index]:
    out = list(index)
    for i, d in zip(index, _permutation(node.attrs["dims"], node.ndim)):
        out[d] = i
    return out


_index_row("permute", _meta_permute, _permute_point, undo=view_writes.permuted, dims=REQUIRED)


def _swap(values: Sequence[Any], dim0: int, dim1: int) -> list[Any]:
    a, b = wrap_dim(dim0, len(values)), wrap_dim(dim1, len(values))
    out = list(values)
    if out:
        out[a], out[b] = out[b], out[a]
    return out


_index_row(
    "transpose",
    lambda x, *, dim0, dim1: _view(x, _swap(x.shape, dim0, dim1), _swap(x.stride, dim0, dim1)),
    lambda node, index: _swap(index, node.attrs["dim0"], node.attrs["dim1"]),
    undo=view_writes.again("transpose"),
    dim0=REQUIRED,
    dim1=REQUIRED,
)


# --------------------------------------------------------------------------- size-1 dims


def _meta_expand(x: TensorMeta, *, shape: Sequence[Dim]) -> TensorMeta:
    shape = [plain(s) for s in shape]
    offset = len(shape) - x.ndim
    if offset < 0:
        raise ValueError(f"expand: {tuple(shape)} has fewer dimensions than the tensor's shape {x.shape}")
    strides: list[Dim] = []
    for i, size in enumerate(shape):
        have = x.shape[i - offset] if i >= offset else 1
        if type(size) is int and size == -1:
            if i < offset:
                raise ValueError(f"expand: size -1 is not allowed for the new dimension {i}")
            shape[i] = size = have
        elif type(size) is int and size < 0:
            raise ValueError(f"expand: invalid shape {tuple(shape)}")
        if not same(have, size) and not is_one(have):
            raise ValueError(f"expand: size {have} at dimension {i - offset} cannot become {size}")
        if i < offset:
            # a new dim of size 1 continues the dims to its right; a repeated one does not move
            strides.append(0)
        else:
            strides.append(x.stride[i - offset] if same(have, size) else 0)
    for i in range(offset - 1 if x.ndim else -1, -1, -1):
        if is_one(shape[i]):
            strides[i] = shape[i + 1] * strides[i + 1]
    return _view(x, shape, strides)


def _expand_point(node: Node, index: tuple[Index, ...]) -> list[Index]:
    old = args(node)[0].shape
    tail = index[len(index) - len(old) :]
    return [ZERO if is_one(s) else i for i, s in zip(tail, old)]


_index_row("expand", _meta_expand, _expand_point, undo=view_writes.reshaped, shape=REQUIRED)


def _squeezed(shape: tuple[Dim, ...], dim: int | Sequence[int] | None) -> list[int]:
    """The dims that remain."""
    candidates = range(len(shape)) if dim is None else wrap_dims(dim, len(shape)) if dim != () else ()
    return [d for d in range(len(shape)) if d not in candidates or not is_one(shape[d])]


def _meta_squeeze(x: TensorMeta, *, dim: int | Sequence[int] | None) -> TensorMeta:
    kept = _squeezed(x.shape, dim)
    return _view(x, [x.shape[d] for d in kept], [x.stride[d] for d in kept])


def _squeeze_point(node: Node, index: tuple[Index, ...]) -> list[Index]:
    old = args(node)[0].shape
    out = [ZERO] * len(old)
    for i, d in zip(index, _squeezed(old, node.attrs["dim"])):
        out[d] = i
    return out


_index_row("squeeze", _meta_squeeze, _squeeze_point, undo=view_writes.reshaped, dim=None)


def _meta_unsqueeze(x: TensorMeta, *, dim: int) -> TensorMeta:
    d = wrap_dim(dim, x.ndim + 1)
    return unsqueezed(x, d)


def _unsqueeze_point(node: Node, index: tuple[Index, ...]) -> tuple[Index, ...]:
    d = wrap_dim(node.attrs["dim"], node.ndim)
    return (*index[:d], *index[d + 1 :])


_index_row("unsqueeze", _meta_unsqueeze, _unsqueeze_point, undo=view_writes.reshaped, dim=REQUIRED)


# --------------------------------------------------------------------------- parts


def wrap_index(i: Dim, size: Dim) -> Dim:
    """An element's index made non-negative. Raises IndexError when out of range."""
    if type(i) is int and type(size) is int:
        if not -size <= i < size:
            raise IndexError(f"index {i} is out of range for a dimension of size {size}")
        return i % size if i < 0 else i
    if type(i) is int:
        if not less(i if i >= 0 else -i - 1, size):
            raise IndexError(f"index {i} is out of range for a dimension of size {size}")
        return i if i >= 0 else size + i
    if less(i, 0):
        i = i + size
    if less(i, 0) or not less(i, size):
        raise IndexError(f"index {i} is out of range for a dimension of size {size}")
    return i


def _meta_select(x: TensorMeta, *, dim: int, index: Dim) -> TensorMeta:
    if not x.ndim:
        raise IndexError("select cannot be applied to a 0-dim tensor")
    d = wrap_dim(dim, x.ndim)
    wrap_index(index, x.shape[d])
    return _view(x, (*x.shape[:d], *x.shape[d + 1 :]), (*x.stride[:d], *x.stride[d + 1 :]))


def _select_point(node: Node, index: tuple[Index, ...]) -> tuple[Index, ...]:
    old = args(node)[0].shape
    d = wrap_dim(node.attrs["dim"], len(old))
    return (*index[:d], as_index(wrap_index(node.attrs["index"], old[d])), *index[d:])


def _start_of_select(attrs: Mapping[str, Any], x: TensorMeta) -> Dim:
    d = attrs["dim"] % x.ndim
    return wrap_index(attrs["index"], x.shape[d]) * x.stride[d]


def _selected(node: Node) -> tuple[int, Any, Any, Any]:
    index = node.attrs["index"]
    return node.attrs["dim"], index, None if index == -1 else index + 1, 1


_index_row(
    "select",
    _meta_select,
    _select_point,
    operand=PART,
    span=_selected,
    first=_start_of_select,
    undo=view_writes.scattered("select_scatter"),
    dim=0,
    index=REQUIRED,
)


def slice_bounds(start: Dim | None, end: Dim | None, step: Dim, size: Dim) -> tuple[Dim, Dim]:
    """(first index, number of elements) of a slice, bounds clamped as Python does. Raises ValueError for step < 1."""
    if isinstance(step, float) or not less(0, step):
        raise ValueError(f"slice step must be a positive int, not {step}")
    first = _clamp_bound(0 if start is None else start, size)
    last = size if end is None else _clamp_bound(end, size)
    if not _certainly_ordered(first, last) and less(last, first):
        last = first
    span = last - first
    if step == 1:
        return first, plain(span)
    return first, floor_divide(span + (step - 1), step)


def _certainly_ordered(first: Dim, last: Dim) -> bool:
    return type(first) is int and first == 0


def _clamp_bound(bound: Dim, size: Dim) -> Dim:
    bound = plain(bound)
    if type(bound) is int and type(size) is int:
        return max(0, bound + size) if bound < 0 else min(bound, size)
    if type(bound) is int and bound == 0:
        return 0
    if type(bound) is int and bound >= (1 << 62):
        return size
    if less(bound, 0):
        bound = bound + size
        return 0 if less(bound, 0) else bound
    return size if not same(bound, size) and less(size, bound) else bound


def _meta_slice(x: TensorMeta, *, dim: int, start: Dim | None, end: Dim | None, step: Dim) -> TensorMeta:
    if not x.ndim:
        raise ValueError("slice cannot be applied to a 0-dim tensor")
    d = wrap_dim(dim, x.ndim)
    _, count = slice_bounds(start, end, step, x.shape[d])
    shape, stride = list(x.shape), list(x.stride)
    shape[d], stride[d] = count, stride[d] * step
    return _view(x, shape, stride)


def slice_part(attrs: Mapping[str, Any], shape: Sequence[Dim]) -> tuple[int, Dim, int, Dim]:
    """(dim, first index, step, count) of slice attributes over a tensor of `shape`."""
    d = wrap_dim(attrs["dim"], len(shape))
    first, count = slice_bounds(attrs["start"], attrs["end"], attrs["step"], shape[d])
    return d, first, attrs["step"], count


def _slice_point(node: Node, index: tuple[Index, ...]) -> list[Index]:
    d, first, step, _ = slice_part(node.attrs, args(node)[0].shape)
    out = list(index)
    out[d] = out[d] * step + first
    return out


SLICE_ATTRS: dict[str, Any] = {"dim": 0, "start": None, "end": None, "step": 1}


def _start_of_slice(attrs: Mapping[str, Any], x: TensorMeta) -> Dim:
    d = attrs["dim"] % x.ndim
    first, _ = slice_bounds(attrs.get("start"), attrs.get("end"), attrs.get("step", 1), x.shape[d])
    return first * x.stride[d]


def _sliced(node: Node) -> tuple[int, Any, Any, Any]:
    return node.attrs["dim"], node.attrs["start"], node.attrs["end"], node.attrs["step"]


_index_row("slice", _meta_slice, _slice_point, operand=PART, span=_sliced, first=_start_of_slice,
           undo=view_writes.sliced, **SLICE_ATTRS)  # fmt: skip


def diagonal_layout(shape: tuple[Dim, ...], offset: int, dim1: int, dim2: int) -> tuple[int, int, Dim]:
    """(dim1, dim2, length) of a diagonal. Raises ValueError for one dimension named twice."""
    a, b = wrap_dim(dim1, len(shape), "dim1"), wrap_dim(dim2, len(shape), "dim2")
    if a == b or len(shape) < 2:
        raise ValueError(f"diagonal needs two different dimensions, got {dim1} and {dim2}")
    left, right = (shape[a] + offset, shape[b]) if less(offset, 0) else (shape[a], shape[b] - offset)
    length = right if less(right, left) else left
    return a, b, 0 if less(length, 0) else length


def _meta_diagonal(x: TensorMeta, *, offset: int, dim1: int, dim2: int) -> TensorMeta:
    a, b, length = diagonal_layout(x.shape, offset, dim1, dim2)
    rest = [d for d in range(x.ndim) if d not in (a, b)]
    return _view(x, [*(x.shape[d] for d in rest), length], [*(x.stride[d] for d in rest), x.stride[a] + x.stride[b]])


def _diagonal_point(node: Node, index: tuple[Index, ...]) -> list[Index]:
    old, offset = args(node)[0].shape, node.attrs["offset"]
    a, b, _ = diagonal_layout(old, offset, node.attrs["dim1"], node.attrs["dim2"])
    rest = iter(index[:-1])
    spots = {a: index[-1] + max(-offset, 0), b: index[-1] + max(offset, 0)}
    return [spots[d] if d in spots else next(rest) for d in range(len(old))]


DIAGONAL_ATTRS: dict[str, Any] = {"offset": 0, "dim1": 0, "dim2": 1}


def _start_of_diagonal(attrs: Mapping[str, Any], x: TensorMeta) -> Dim:
    offset = attrs.get("offset", 0)
    a, b, _ = diagonal_layout(x.shape, offset, attrs.get("dim1", 0), attrs.get("dim2", 1))
    return offset * x.stride[b] if offset >= 0 else -offset * x.stride[a]


_index_row("diagonal", _meta_diagonal, _diagonal_point, operand=PART, first=_start_of_diagonal,
           undo=view_writes.scattered("diagonal_scatter"), **DIAGONAL_ATTRS)  # fmt: skip


def _meta_unfold(x: TensorMeta, *, dimension: int, size: int, step: int) -> TensorMeta:
    d = wrap_dim(dimension, x.ndim)
    whole = x.shape[d] if x.ndim else 1
    if step <= 0:
        raise ValueError(f"unfold: step must be positive, got {step}")
    if less(whole, size):
        raise ValueError(f"unfold: size {size} is larger than the dimension's {whole}")
    if not x.ndim:
        return _view(x, (size,), (1,))
    shape, stride = list(x.shape), list(x.stride)
    inner = stride[d]
    shape[d] = floor_divide(whole - size, step) + 1
    stride[d] = inner * step
    return _view(x, [*shape, size], [*stride, inner])


def _unfold_point(node: Node, index: tuple[Index, ...]) -> list[Index]:
    if not args(node)[0].ndim:
        return []
    d = wrap_dim(node.attrs["dimension"], args(node)[0].ndim)
    out = list(index[:-1])
    out[d] = out[d] * node.attrs["step"] + index[-1]
    return out


_index_row("unfold", _meta_unfold, _unfold_point, operand=PART, dimension=REQUIRED, size=REQUIRED, step=REQUIRED)


# --------------------------------------------------------------------------- as_strided


def _meta_as_strided(x: TensorMeta, *, size: Sequence[Dim], stride: Sequence[Dim], storage_offset: Dim) -> TensorMeta:
    if len(size) != len(stride):
        raise ValueError(f"as_strided: {len(size)} sizes but {len(stride)} strides")
    if not is_dense(x.shape, x.stride):
        raise ValueError(f"as_strided of a tensor with gaps or repeats (shape {x.shape}, strides {x.stride})")
    if all(isinstance(v, int) for v in (*size, *stride, storage_offset, x.numel)) and 0 not in size:
        last = storage_offset + sum((n - 1) * s for n, s in zip(size, stride))
        if storage_offset < 0 or last >= x.numel:
            raise ValueError(f"as_strided reaches element {last} of a tensor that holds {x.numel}")
    return _view(x, size, stride)


def storage_point(position: Index, shape: Sequence[Dim], stride: Sequence[Dim]) -> list[Index]:
    """The point of a dense tensor that stands at `position` of its storage."""
    real = [d for d in range(len(shape)) if not is_one(shape[d])]
    slow_to_fast = sorted(real, key=_StrideKey.over(stride), reverse=True)
    parts = delinearize(position, tuple(shape[d] for d in slow_to_fast))
    out = [ZERO] * len(shape)
    for d, part in zip(slow_to_fast, parts):
        out[d] = part
    return out


class _StrideKey:
    """Orders dims by stride through `less`, so that symbolic strides compare too."""

    def __init__(self, step: Dim) -> None:
        self.step = step

    @classmethod
    def over(cls, stride: Sequence[Dim]) -> Callable[[int], _StrideKey]:
        return lambda d: cls(stride[d])

    def __lt__(self, other: _StrideKey) -> bool:
        return less(self.step, other.step)


def _as_strided_point(node: Node, index: tuple[Index, ...]) -> list[Index]:
    x = args(node)[0].meta
    position = as_index(node.attrs["storage_offset"])
    for i, step in zip(index, node.attrs["stride"]):
        position = position + i * step
    return storage_point(position, x.shape, x.stride)


# storage_offset counts from the input's own first element
_index_row("as_strided", _meta_as_strided, _as_strided_point, operand=Operand(part=True, memory=True),
           first=lambda attrs, x: attrs.get("storage_offset", 0), undo=view_writes.restrided,
           size=REQUIRED, stride=REQUIRED, storage_offset=0)  # fmt: skip
