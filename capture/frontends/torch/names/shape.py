"""torch's views, copies and rearrangements as table calls. What is a view in eager is an array view here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .....inductor.graph import Node
from .....inductor.ops.common import wrap_dim
from .....inductor.ops.dims import less, same
from .....inductor.ops.promotion import broadcast_shapes as broadcast
from .....inductor.ops.promotion import is_channels_last, is_dense
from .....inductor.ops.promotion import is_contiguous as lies_by_rows
from .....inductor.ops.views import flattened_shape, resolve_shape, view_strides
from ....breaks import Break
from ....values.tensor import ArrayValue, InputStorage
from ..calls import size_value
from ..context import Context, Declined
from ..dtypes import from_torch, to_device
from ..handlers import name, register
from ..known import known_content
from ..results import SizeValue
from ..state import state_of
from ..tensor_attributes import names_of
from ..warned import unordered_grid, warn_of
from .data import data_size, repeated, split_by_data

#: the number of dims that channels_last formats are of
_CHANNELS_LAST = {torch.channels_last: 4, torch.channels_last_3d: 5}


def sizes(cx: Context, args: Sequence[Any]) -> tuple[Any, ...]:
    """`f(2, 3)` and `f((2, 3))` alike. Breaks for a size that is a tensor whose content is not known."""
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = args[0]
    return tuple(data_size(cx, a, "a size") for a in args)


def refuse_below_zero(cx: Context, lengths: Sequence[Any], what: str) -> None:
    """Raise for a length below zero; those that change stay where they are, and what the data tell is no such."""
    for n in lengths:
        if not cx.ev.symbols.is_unbacked(n) and less(n, 0):
            raise ValueError(f"{what} below zero: {n}")


def _rank(x: ArrayValue) -> int:
    return len(x.meta.shape)


# ------------------------------------------------------------------ reshapes


def _reshaped(cx: Context, x: ArrayValue, shape: tuple[Any, ...]) -> ArrayValue | Node:
    """A view where the layout allows it, else a copy, as eager's reshape."""
    new = resolve_shape(shape, x.meta.shape)
    if view_strides(x.meta.shape, x.meta.stride, new) is not None:
        return x.view(cx.ev, "view", shape=new)
    return cx.op("reshape", x, shape=new)


@name("*reshape")
def reshape(cx: Context, input: ArrayValue, *shape: Any, **named: Any) -> Any:
    return _reshaped(cx, input, sizes(cx, shape or (named["shape"],)))


@name("Tensor.view")
def view(cx: Context, self: ArrayValue, *shape: Any, **named: Any) -> Any:
    first = shape[0] if shape else named.get("dtype", named.get("size"))
    if isinstance(first, torch.dtype):
        if from_torch(first) == self.meta.dtype:
            return self.view(cx.ev, "alias")
        raise Declined("memory viewed as another element type")
    return self.view(cx.ev, "view", shape=resolve_shape(sizes(cx, shape or (first,)), self.meta.shape))


@name("Tensor.view_as")
def view_as(cx: Context, self: ArrayValue, other: ArrayValue) -> ArrayValue:
    return self.view(cx.ev, "view", shape=other.meta.shape)


@name("Tensor.reshape_as")
def reshape_as(cx: Context, self: ArrayValue, other: ArrayValue) -> Any:
    return _reshaped(cx, self, other.meta.shape)


@name("*flatten")
def flatten(cx: Context, input: ArrayValue, start_dim: int = 0, end_dim: int = -1) -> Any:
    shape = flattened_shape(input.meta.shape, start_dim, end_dim)
    rank = _rank(input)
    if rank and start_dim % rank == end_dim % rank:
        return input
    return _reshaped(cx, input, shape)


@name("*ravel")
def ravel(cx: Context, input: ArrayValue) -> Any:
    if not lies_by_rows(input.meta):
        return cx.op("reshape", cx.op("clone", input, memory_format="contiguous"), shape=(-1,))
    return _reshaped(cx, input, (-1,))


@name("*unflatten")
def unflatten(cx: Context, input: ArrayValue, dim: int, sizes: Sequence[Any]) -> ArrayValue:
    return input.view(cx.ev, "unflatten", dim=dim, sizes=tuple(sizes))


# ------------------------------------------------------------------ order and number of dims


@name("*permute")
def permute(cx: Context, input: ArrayValue, *dims: Any, **named: Any) -> ArrayValue:
    return input.view(cx.ev, "permute", dims=sizes(cx, dims or (named["dims"],)))


@name("*transpose *swapaxes *swapdims")
def transpose(cx: Context, input: ArrayValue, dim0: int, dim1: int) -> ArrayValue:
    return input.view(cx.ev, "transpose", dim0=dim0, dim1=dim1)


@name("*t")
def t(cx: Context, input: ArrayValue) -> ArrayValue:
    if _rank(input) > 2:
        raise ValueError(f"t() expects a tensor with at most 2 dimensions, got {_rank(input)}")
    return input.view(cx.ev, "transpose", dim0=0, dim1=1) if _rank(input) == 2 else input.view(cx.ev, "alias")


@name("*adjoint")
def adjoint(cx: Context, input: ArrayValue) -> ArrayValue:
    if input.meta.dtype.is_complex:
        raise Declined("the adjoint of a complex tensor")
    return input.view(cx.ev, "transpose", dim0=-2, dim1=-1)


@name("*movedim *moveaxis")
def movedim(cx: Context, input: ArrayValue, source: Any, destination: Any) -> ArrayValue:
    rank = _rank(input)
    src = [wrap_dim(d, rank) for d in ([source] if isinstance(source, int) else source)]
    dst = [wrap_dim(d, rank) for d in ([destination] if isinstance(destination, int) else destination)]
    if len(src) != len(dst) or len(set(src)) != len(src) or len(set(dst)) != len(dst):
        raise ValueError(f"movedim: invalid dims {source} and {destination}")
    rest = iter(d for d in range(rank) if d not in src)
    order = [src[dst.index(d)] if d in dst else next(rest) for d in range(rank)]
    return input.view(cx.ev, "permute", dims=tuple(order))


@name("*squeeze")
def squeeze(cx: Context, input: ArrayValue, dim: Any = None) -> ArrayValue:
    return input.view(cx.ev, "squeeze", dim=tuple(dim) if isinstance(dim, list) else dim)


@name("*unsqueeze")
def unsqueeze(cx: Context, input: ArrayValue, dim: int) -> ArrayValue:
    return input.view(cx.ev, "unsqueeze", dim=dim)


@name("Tensor.expand torch.broadcast_to Tensor.broadcast_to")
def expand(cx: Context, input: ArrayValue, *size: Any, implicit: bool = False, **named: Any) -> ArrayValue:
    return input.view(cx.ev, "expand", shape=sizes(cx, size or (named["size"],)))


@name("Tensor.expand_as")
def expand_as(cx: Context, self: ArrayValue, other: ArrayValue) -> ArrayValue:
    return self.view(cx.ev, "expand", shape=other.meta.shape)


@name("torch.broadcast_tensors")
def broadcast_tensors(cx: Context, *tensors: Any) -> tuple[ArrayValue, ...]:
    from_list = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if not all(isinstance(t, ArrayValue) for t in from_list):
        raise Declined("something that is no tensor")
    shape = broadcast_shapes(cx, *(t.meta.shape for t in from_list))
    return tuple(t if t.meta.shape == tuple(shape) else t.view(cx.ev, "expand", shape=tuple(shape)) for t in from_list)


@name("torch.broadcast_shapes")
def broadcast_shapes(cx: Context, *shapes: Any) -> Any:
    """The framework's own answer for numbers; sizes that are symbols follow the same rule here."""
    tuples = [(s,) if not isinstance(s, (tuple, list)) else tuple(s) for s in shapes]
    if any(hasattr(n, "free_symbols") for s in tuples for n in s):
        return SizeValue([size_value(cx.ev, n) for n in broadcast(*tuples)])
    return torch.broadcast_shapes(*shapes)


def _at_least(rank: int) -> Any:
    def call(cx: Context, *tensors: Any) -> Any:
        if len(tensors) == 1 and not isinstance(tensors[0], ArrayValue):
            return tuple(_grown(cx, t, rank) for t in tensors[0])
        out = tuple(_grown(cx, t, rank) for t in tensors)
        return out[0] if len(out) == 1 else out

    return call


def _grown(cx: Context, x: ArrayValue, rank: int) -> ArrayValue:
    while _rank(x) < rank:
        x = x.view(cx.ev, "unsqueeze", dim=_rank(x) if rank == 3 and _rank(x) == 2 else 0)
    return x


for _k in (1, 2, 3):
    register(f"torch.atleast_{_k}d", _at_least(_k))


# ------------------------------------------------------------------ parts


@name("*select")
def select(cx: Context, input: ArrayValue, dim: int, index: Any) -> ArrayValue:
    return input.view(cx.ev, "select", dim=dim, index=index)


@name("*narrow")
def narrow(cx: Context, input: ArrayValue, dim: int, start: Any, length: Any) -> ArrayValue:
    (start,) = sizes(cx, (start,))
    size = input.meta.shape[dim]
    if any(map(cx.ev.symbols.is_unbacked, (start, size, length))):
        start = start + size if isinstance(start, int) and start < 0 else start
    else:
        if less(start, 0):
            start = start + size
        if less(start, 0) or less(size, start):
            raise IndexError(f"narrow: start {start} is out of range for the size {size}")
        if less(length, 0) or less(size, start + length):
            raise ValueError(f"narrow: start {start} with length {length} exceeds the size {size}")
    return input.view(cx.ev, "slice", dim=dim, start=start, end=start + length)


@name("*diagonal torch.linalg.diagonal")
def diagonal(cx: Context, input: ArrayValue, offset: int = 0, dim1: int = 0, dim2: int = 1) -> ArrayValue:
    return input.view(cx.ev, "diagonal", offset=offset, dim1=dim1, dim2=dim2)


@name("*diag_embed")
def diag_embed(cx: Context, input: ArrayValue, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Node:
    return cx.op("diag_embed", input, offset=offset, dim1=dim1, dim2=dim2)


@name("*trace")
def trace(cx: Context, input: ArrayValue) -> Node:
    return cx.op("trace", input)


@name("*diag")
def diag(cx: Context, input: ArrayValue, diagonal: int = 0) -> Any:
    """A matrix from its diagonal, or a copy of a matrix's diagonal."""
    if _rank(input) not in (1, 2):
        raise ValueError(f"diag of a tensor of {_rank(input)} dimensions")
    if _rank(input) == 1:
        return cx.op("diag_embed", input, offset=diagonal)
    part = cx.op("diagonal", input, offset=diagonal)
    return cx.op("clone", part, memory_format="contiguous")


@name("Tensor.unfold")
def unfold(cx: Context, self: ArrayValue, dimension: int, size: int, step: int) -> ArrayValue:
    refuse_below_zero(cx, (size,), "a window")
    return self.view(cx.ev, "unfold", dimension=dimension, size=size, step=step)


def _pieces(cx: Context, x: ArrayValue, lengths: Sequence[Any], dim: int) -> tuple[ArrayValue, ...]:
    out, start = [], 0
    for length in lengths:
        out.append(x.view(cx.ev, "slice", dim=dim, start=start, end=start + length))
        start = start + length
    return tuple(out)


def several(views: tuple[ArrayValue, ...]) -> tuple[ArrayValue, ...]:
    """Views that one call gives: autograd lets nobody write to them."""
    for view in views:
        view.one_of_several = True
    return views


@name("*split")
def split(cx: Context, tensor: ArrayValue, split_size_or_sections: Any = None, dim: int = 0, **named: Any) -> Any:
    sections = named.get("split_size", split_size_or_sections)
    if sections is None:
        raise TypeError("split needs the sizes of the pieces")
    size = tensor.meta.shape[dim]
    if isinstance(sections, (list, tuple)):
        if any(map(cx.ev.symbols.is_unbacked, sections)):
            return several(split_by_data(cx, tensor, sections, dim))
        refuse_below_zero(cx, sections, "a piece")
        if not same(sum(sections), size):
            raise ValueError(f"split: sections {sections} do not add up to the size {size}")
        return several(_pieces(cx, tensor, sections, dim))
    refuse_below_zero(cx, (sections,), "a piece")
    if isinstance(sections, int) and sections >= 1 << 63:
        raise Declined("a size of more than 63 bits")
    lengths = _symbolic_lengths(cx, size, sections)
    if lengths is None:
        size, sections = cx.ev.symbols.specialize(size), cx.ev.symbols.specialize(sections)
        count = max(-(-size // sections), 1) if size or sections else 1
        lengths = [min(sections, size - k * sections) for k in range(count)]
    return several(_pieces(cx, tensor, lengths, dim))


def _symbolic_lengths(cx: Context, size: Any, length: Any) -> list[Any] | None:
    """The lengths of the pieces of a size, each but the last of this length, where one of the two is symbolic: as many as there are
    now, which is guarded. None where values must tell.
    """
    hint = cx.ev.symbols.hint
    if isinstance(size, int) and isinstance(length, int) or hint(size) < 1 or hint(length) < 1:
        return None
    count = -(-hint(size) // hint(length))
    before = (count - 1) * length
    if not less(before, size) or less(before + length, size):
        return None
    return [*[length] * (count - 1), size - before]


@name("*split_with_sizes")
def split_with_sizes(cx: Context, input: ArrayValue, split_sizes: Any, dim: int = 0) -> Any:
    return split(cx, input, list(split_sizes), dim)


@name("*chunk")
def chunk(cx: Context, input: ArrayValue, chunks: int, dim: int = 0) -> Any:
    size = input.meta.shape[dim]
    if chunks <= 0:
        raise ValueError(f"chunk expects chunks to be positive, got {chunks}")
    if isinstance(size, int) and size == 0:
        return several(_pieces(cx, input, [0] * chunks, dim))
    if not isinstance(size, int) and chunks > 1:
        piece = (size + chunks - 1) // chunks
        if not less((chunks - 1) * piece, size):  # the last piece would be empty: there are fewer
            return split(cx, input, -(-cx.ev.symbols.specialize(size) // chunks), dim)
        return several(_pieces(cx, input, [*[piece] * (chunks - 1), size - (chunks - 1) * piece], dim))
    return split(cx, input, -(-size // chunks), dim)


@name("*tensor_split")
def tensor_split(cx: Context, input: ArrayValue, indices_or_sections: Any, dim: int = 0) -> Any:
    size = input.meta.shape[dim]
    if isinstance(indices_or_sections, int):
        n = indices_or_sections
        if n < 1:
            raise ValueError(f"tensor_split into {n} sections")
        return _pieces(cx, input, [(size + n - 1 - k) // n for k in range(n)], dim)
    if isinstance(indices_or_sections, ArrayValue):
        at = known_content(cx.ev, indices_or_sections)
        if at is None:
            raise cx.broken("data-dependent-size", "torch.tensor_split at positions given as a tensor")
        return tensor_split(cx, input, at.tolist(), dim)
    cuts = [0, *indices_or_sections, size]
    return tuple(input.view(cx.ev, "slice", dim=dim, start=a, end=b) for a, b in zip(cuts, cuts[1:]))


@name("*unbind")
def unbind(cx: Context, input: ArrayValue, dim: int = 0) -> Any:
    size = cx.ev.symbols.specialize(input.meta.shape[dim])  # the program holds each piece
    return several(tuple(input.view(cx.ev, "select", dim=dim, index=i) for i in range(size)))


@name("torch.as_strided Tensor.as_strided")
def as_strided(cx: Context, input: ArrayValue, size: Any, stride: Any, storage_offset: Any = None) -> Any:
    """torch counts the offset from the storage's start, and reaches whatever lies there; the graph reaches what the storage's
    first tensor spans, or the view that counts other elements than the tensor it was made of, or stands at a place that data tell.
    """
    root = _counted_from(cx, input)
    size, stride = sizes(cx, (size,)), sizes(cx, (stride,))
    first = input.offset - root.offset
    if root.parent is not None and not (storage_offset is None and is_dense(root.meta.shape, root.meta.stride)):
        raise _not_placed(cx, "torch.as_strided")
    if storage_offset is not None:
        first = storage_offset - storage_start(cx, root)
    last = first + sum((n - 1) * s for n, s in zip(size, stride))
    if not is_dense(root.meta.shape, root.meta.stride):
        root = _spanned(cx, root)
    end = root.meta.numel
    if 0 not in size and (less(first, 0) or not less(last, end)):
        raise cx.broken("as-strided", "torch.as_strided", "it may reach memory that capture does not see")
    return root.view(cx.ev, "as_strided", size=size, stride=stride, storage_offset=first)


def _counted_from(cx: Context, x: ArrayValue) -> ArrayValue:
    """The tensor from which a view's place is known, in elements of its own type: its storage's first, or the nearest that has none."""
    while x.parent is not None and x.step is not None and x.step.is_placed:
        if x.framework != x.parent.framework:
            raise cx.broken(
                "as-strided",
                "torch.as_strided of a tensor over a NumPy array",
                "it counts from the array's first element",
            )
        x = x.parent
    return x


def _not_placed(cx: Context, what: str) -> Break:
    return cx.broken(
        "as-strided",
        f"{what} of a view of other elements, or at a place that a tensor tells",
        "where it stands in its memory is not known",
    )


@name("*as_strided_copy")
def as_strided_copy(cx: Context, input: ArrayValue, size: Any, stride: Any, storage_offset: Any = None) -> Node:
    return cx.op("clone", as_strided(cx, input, size, stride, storage_offset), memory_format="contiguous")


def memory_of(cx: Context, x: ArrayValue, start: Any) -> ArrayValue:
    """The memory of a tensor that begins `start` elements into it, from the memory's first element to the tensor's last."""
    root = _counted_from(cx, x)
    before = storage_start(cx, root)
    if before:
        root = _spanned(cx, root, before)
    last = start + sum((n - 1) * s for n, s in zip(x.meta.shape, x.meta.stride))
    return as_strided(cx, root, (0 if 0 in x.meta.shape else last + 1,), (1,), 0)


def _spanned(cx: Context, root: Any, before: int = 0) -> ArrayValue:
    """All that lies between the first and the last element of a tensor from outside, as another tensor from outside; with it
    what lies `before` the first.
    """
    storage, spans = root.storage, state_of(cx.ev).spans
    if (storage, before) in spans:
        return spans[storage, before]
    if not isinstance(storage, InputStorage) or storage.version or root.meta.is_dynamic or root.requires_grad(cx.ev):
        raise cx.broken(
            "as-strided", "torch.as_strided of a tensor with gaps", "it may reach memory that capture does not see"
        )
    place = storage.source.step(f"{cx.ev.names.inject(spanned, 'spanned')}(", f", {before})", "")
    found = spans[storage, before] = cx.ev.wrap(spanned(storage.real, before), place)  # type: ignore[assignment]
    assert isinstance(found, ArrayValue)
    return found


def spanned(x: torch.Tensor, before: int) -> torch.Tensor:
    """What an entry takes for it."""
    if not x.numel():
        return x.flatten()
    count = before + 1 + sum((n - 1) * s for n, s in zip(x.shape, x.stride()))
    return x.as_strided((count,), (1,), x.storage_offset() - before)


def storage_start(cx: Context, root: ArrayValue) -> int:
    """Where in its storage an array that is no view begins."""
    storage = root.storage
    if not isinstance(storage, InputStorage):
        return 0
    start = storage.real.storage_offset()
    if not storage.source.is_const:
        reason = f"{{label}} began {start} elements into its memory"
        cx.ev.guards.test(storage.source, f"{{x}}.storage_offset() == {start}", reason, 2)
    return start


@name("Tensor.dim_order")
def dim_order(cx: Context, self: ArrayValue, ambiguity_check: Any = False) -> Any:
    if self.meta.is_dynamic:
        raise cx.broken("dynamic-layout", "Tensor.dim_order of a tensor of dynamic size")
    like = torch.empty_strided(self.meta.shape, self.meta.stride, device="meta")
    return tuple(like.dim_order(ambiguity_check=ambiguity_check))


@name("Tensor.storage_offset")
def storage_offset(cx: Context, self: ArrayValue) -> Any:
    root = _counted_from(cx, self)
    if root.parent is not None:
        raise _not_placed(cx, "the offset")
    return storage_start(cx, root) + self.offset


# ------------------------------------------------------------------ joining and repeating


@name("torch.cat torch.concat torch.concatenate")
def cat(cx: Context, tensors: Any, dim: int = 0, *, axis: int | None = None) -> Node:
    return cx.op("cat", *tensors, dim=dim if axis is None else axis)


@name("torch.stack")
def stack(cx: Context, tensors: Any, dim: int = 0) -> Node:
    return cx.op("stack", *tensors, dim=dim)


@name("torch.hstack")
def hstack(cx: Context, tensors: Any) -> Node:
    tensors = [_grown(cx, t, 1) for t in tensors]
    return cx.op("cat", *tensors, dim=0 if _rank(tensors[0]) == 1 else 1)


@name("torch.vstack torch.row_stack")
def vstack(cx: Context, tensors: Any) -> Node:
    return cx.op("cat", *(_grown(cx, t, 2) for t in tensors), dim=0)


@name("Tensor.repeat")
def repeat(cx: Context, self: ArrayValue, *repeats: Any, **named: Any) -> Node:
    times = sizes(cx, repeats or (named["repeats"],))
    refuse_below_zero(cx, times, "repeats")
    return cx.op("repeat", self, repeats=times)


@name("*tile")
def tile(cx: Context, input: ArrayValue, *dims: Any, **named: Any) -> Node:
    times = sizes(cx, dims or (named["dims"],))
    refuse_below_zero(cx, times, "repeats")
    return cx.op("repeat", input, repeats=(1,) * (_rank(input) - len(times)) + times)


@name("*repeat_interleave")
def repeat_interleave(cx: Context, input: ArrayValue, repeats: Any = None, dim: int | None = None, *,
                      output_size: Any = None) -> Node:  # fmt: skip
    if isinstance(repeats, ArrayValue) and output_size is not None:
        raise Declined("repeats given as a tensor")
    if isinstance(repeats, ArrayValue) and cx.ev.sizes_from_data:
        return repeated(cx, input, repeats, dim)
    if repeats is None or isinstance(repeats, ArrayValue):
        raise cx.broken("data-dependent-shape", "torch.repeat_interleave with repeats given as a tensor",
                        "the size of its result depends on the data", "pass the repeats as an int")  # fmt: skip
    if dim is not None and not input.meta.shape:
        raise IndexError(f"repeat_interleave: dimension {dim} of a tensor without dimensions")
    return cx.op("repeat_interleave", input, repeats=repeats, dim=dim)


@name("*flip")
def flip(cx: Context, input: ArrayValue, *dims: Any, **named: Any) -> Node:
    return cx.op("flip", input, dims=sizes(cx, dims or (named["dims"],)))


@name("*fliplr")
def fliplr(cx: Context, input: ArrayValue) -> Node:
    return cx.op("flip", input, dims=(1,))


@name("*flipud")
def flipud(cx: Context, input: ArrayValue) -> Node:
    if not input.meta.shape:
        raise ValueError("flipud needs at least one dimension")
    return cx.op("flip", input, dims=(0,))


@name("*roll")
def roll(cx: Context, input: ArrayValue, shifts: Any, dims: Any = ()) -> Node:
    as_tuple = lambda v: (v,) if isinstance(v, int) else tuple(v)  # noqa: E731
    return cx.op("roll", input, shifts=as_tuple(shifts), dims=as_tuple(dims))


@name("torch.meshgrid")
def meshgrid(cx: Context, *tensors: Any, indexing: str | None = None) -> Any:
    found = list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else list(tensors)
    if any(_rank(t) > 1 for t in found) or len({(t.meta.dtype, t.meta.device) for t in found}) > 1:
        raise ValueError("meshgrid takes tensors of at most one dim, of one type")
    if indexing is None:
        warn_of(cx.ev, unordered_grid)
    elif not isinstance(indexing, str):
        raise Declined("an order that is no text")
    swap = indexing == "xy" and len(found) >= 2
    if swap:
        found[0], found[1] = found[1], found[0]
    counts = [t.meta.shape[0] if _rank(t) else 1 for t in found]
    out = []
    for k, t in enumerate(found):
        shape = [1] * len(found)
        shape[k] = counts[k]
        out.append(t.view(cx.ev, "view", shape=tuple(shape)).view(cx.ev, "expand", shape=tuple(counts)))
    if swap:
        out[0], out[1] = out[1], out[0]
    return tuple(out)


@name("*tril")
def tril(cx: Context, input: ArrayValue, diagonal: int = 0) -> Node:
    return cx.op("tril", input, diagonal=diagonal)


@name("*triu")
def triu(cx: Context, input: ArrayValue, diagonal: int = 0) -> Node:
    return cx.op("triu", input, diagonal=diagonal)


# ------------------------------------------------------------------ questions about shape


@name("Tensor.dim Tensor.ndimension")
def dim(cx: Context, self: ArrayValue) -> int:
    return _rank(self)


@name("Tensor.numel Tensor.nelement torch.numel")
def numel(cx: Context, input: ArrayValue) -> Any:
    return input.meta.numel


@name("Tensor.element_size")
def element_size(cx: Context, self: ArrayValue) -> int:
    return self.meta.dtype.size


@name("Tensor.stride")
def stride(cx: Context, self: ArrayValue, dim: int | None = None) -> Any:
    return tuple(self.meta.stride) if dim is None else self.meta.stride[dim]


@name("Tensor.is_contiguous")
def is_contiguous(cx: Context, self: ArrayValue, memory_format: Any = torch.contiguous_format) -> bool:
    if type(memory_format) is not torch.memory_format:
        raise TypeError("argument 'memory_format' must be torch.memory_format")
    if memory_format in _CHANNELS_LAST:
        return is_channels_last(self.meta.shape, self.meta.stride, _CHANNELS_LAST[memory_format])
    return lies_by_rows(self.meta)


@name("Tensor.is_floating_point torch.is_floating_point")
def is_floating_point(cx: Context, input: ArrayValue) -> bool:
    return input.meta.dtype.is_float


@name("Tensor.is_complex torch.is_complex")
def is_complex(cx: Context, input: ArrayValue) -> bool:
    return input.meta.dtype.is_complex


@name("Tensor.is_signed torch.is_signed")
def is_signed(cx: Context, input: ArrayValue) -> bool:
    return input.meta.dtype.kind not in ("uint", "bool")


@name("Tensor.get_device torch.get_device")
def get_device(cx: Context, input: ArrayValue) -> int:
    index = to_device(input.meta.device).index
    return -1 if index is None else index


@name("Tensor.__len__")
def length(cx: Context, self: ArrayValue) -> Any:
    if not self.meta.shape:
        raise TypeError("len() of a 0-d tensor")
    return self.meta.shape[0]


@name("*is_inference")
def is_inference(cx: Context, input: ArrayValue) -> bool:
    return state_of(cx.ev).is_inference(input.storage)


@name("Tensor.__deepcopy__")
def deepcopy(cx: Context, self: ArrayValue, memo: Any = None) -> Node:
    if state_of(cx.ev).requires_grad(cx.node(self)) or self.isinstance_(cx.ev, torch.nn.Parameter):
        raise cx.broken("requires-grad", "a deep copy of a tensor that requires gradients",
                        "the copy would be a leaf of its own", "use x.detach().clone()")  # fmt: skip
    if self.parent is not None:
        raise cx.broken("copied-view", "a deep copy of a view", "it copies the whole memory, which other copies may share",
                        "use x.clone()")  # fmt: skip
    if names_of(cx.ev, self):
        raise cx.broken("tensor-attributes", f"a deep copy of {self.describe()}, which has attributes of its own",
                        "they are copied too", "use x.clone()")  # fmt: skip
    return cx.op("clone", self, memory_format="preserve")
