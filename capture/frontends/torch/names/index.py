"""Indexing: `x[...]`, `x[...] = y`, gather, scatter and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .....inductor.dtypes import bool_, int32, int64, uint8
from .....inductor.graph import Node
from .....inductor.ops import OPS
from .....inductor.ops.dims import same
from .....inductor.ops.view_writes import overlaps
from ....values.overlap import Overlap, arrays_in, overlap
from ....values.tensor import ArrayValue, repeats
from .. import eager_ops
from ..calls import assign, eager_error
from ..context import Context, Declined
from ..externs import call_target
from ..handlers import name, register
from ..overlapping import check_written
from ..state import state_of
from ..training import write_again
from .create import tensor_from
from .data import data_size, is_mask, open_slice, positions
from .shape import as_strided, memory_of
from .shape import storage_offset as storage_begin

# ------------------------------------------------------------------ subscripts


def _is_advanced(item: Any) -> bool:
    return isinstance(item, (ArrayValue, list, tuple))


def basic_index(cx: Context, x: ArrayValue, key: Any) -> tuple[ArrayValue, list[Any]]:
    """The view that ints, slices, None and ... make of `x`, and what is left: for each of its dims an index tensor or None."""
    items = list(key) if isinstance(key, tuple) else [key]
    used = sum(_consumes(cx, i) for i in items)
    rank = len(x.meta.shape)
    dots = [k for k, i in enumerate(items) if i is Ellipsis]
    if len(dots) > 1 or used > rank:
        raise eager_error(cx.ev, f"too many indices for a tensor of {rank} dimensions")
    if dots:
        items[dots[0] : dots[0] + 1] = [slice(None)] * (rank - used)
    dim = 0
    advanced: list[Any] = []
    for item in items:
        if item is None:
            x = x.view(cx.ev, "unsqueeze", dim=dim)
            advanced.append(None)
            dim += 1
        elif item is True or item is False:
            raise cx.broken("bool-index", "indexing with True or False")
        elif isinstance(item, slice):
            x = _sliced(cx, x, dim, item)
            advanced.append(None)
            dim += 1
        elif is_mask(item) and cx.ev.sizes_from_data and item.meta.shape:
            advanced += positions(cx, item)
            dim += len(item.meta.shape)
        elif cx.ev.symbols.is_unbacked(item):
            place = cx.op("full", shape=(), value=item, dtype=int64, device=x.meta.device)
            x = x.pick(cx.ev, (*[None] * dim, place))
        elif _is_advanced(item):
            index = _index_tensor(cx, item)
            if index.meta.shape:
                advanced.append(index)
                dim += 1
            else:
                x = x.pick(cx.ev, (*[None] * dim, index.node(cx.ev)))
        elif isinstance(item, (float, complex, str)):
            raise IndexError("only integers, slices, ellipsis, None and tensors are valid indices")
        else:
            x = x.view(cx.ev, "select", dim=dim, index=item)
    return x, advanced if any(a is not None for a in advanced) else []


def _consumes(cx: Context, item: Any) -> int:
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    if isinstance(item, ArrayValue) and item.meta.dtype in (bool_, uint8):
        return len(item.meta.shape)
    return 1


def _sliced(cx: Context, x: ArrayValue, dim: int, part: slice) -> ArrayValue:
    part = slice(*(data_size(cx, bound, "a slice bound") for bound in (part.start, part.stop, part.step)))
    if any(isinstance(bound, (float, complex)) for bound in (part.start, part.stop, part.step)):
        raise TypeError("slice indices must be integers or None or have an __index__ method")
    if any(cx.ev.symbols.is_unbacked(bound) for bound in (part.start, part.stop)):
        return open_slice(cx, x, dim, part.start, part.stop, 1 if part.step is None else part.step)
    if part == slice(None):
        # eager makes no new view for a full slice; the subscript as a whole does
        return x
    return x.view(cx.ev, "slice", dim=dim, start=part.start, end=part.stop, step=1 if part.step is None else part.step)


def _index_tensor(cx: Context, item: Any) -> ArrayValue:
    if isinstance(item, ArrayValue):
        if item.meta.dtype in (bool_, uint8):
            raise cx.broken(
                "data-dependent-shape",
                "indexing with a boolean mask",
                "the size of the result depends on the mask's content",
                "use torch.where or masked_fill, which keep the size",
            )
        if item.meta.shape and item.meta.dtype not in (int32, int64):
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        return item
    return cx.array(tensor_from(cx, item, None, None))


#: lists of so many items are one index, whatever they have inside
_INDEX_LIST = 32


def _refuse_lists_of_indices(cx: Context, key: Any) -> None:
    """A short list with anything but numbers inside is taken for a tuple of indices, with a word that this will change."""
    if isinstance(key, list) and len(key) < _INDEX_LIST:
        if any(i is None or i is Ellipsis or isinstance(i, (ArrayValue, Sequence, slice)) for i in key):
            raise cx.broken("list-index", "indexing with a list of indices", "eager warns of it, and will take it for another index one day",
                            "index with a tuple, x[tuple(indices)], or with one tensor")  # fmt: skip


def getitem(cx: Context, x: ArrayValue, key: Any) -> Any:
    """`x[key]`."""
    _refuse_lists_of_indices(cx, key)
    view, indices = basic_index(cx, x, key)
    if not indices:
        return view if view is not x else x.view(cx.ev, "alias")
    return index_by(cx, view, indices)


def index_by(cx: Context, x: ArrayValue, indices: list[Any]) -> Node:
    """Advanced indexing. A 0-dim index tensor of an int dtype selects without making a dim."""
    while indices and indices[-1] is None:
        indices = indices[:-1]
    return cx.op("index", x, *indices)


register(("Tensor.__getitem__",), getitem)


def setitem(cx: Context, x: ArrayValue, key: Any, value: Any) -> None:
    """`x[key] = value`."""
    _refuse_lists_of_indices(cx, key)
    _check_assigned(cx, x, key, value)
    try:
        _set(cx, x, key, value)
    except Declined:
        _set_by_framework(cx, x, key, value)


def _set(cx: Context, x: ArrayValue, key: Any, value: Any) -> None:
    mask = key[0] if isinstance(key, tuple) and len(key) == 1 else key
    by_data = isinstance(value, ArrayValue) and any(map(cx.ev.symbols.is_unbacked, value.meta.shape))
    if is_mask(mask) and not by_data:
        _masked_set(cx, x, mask, value)
        return
    if isinstance(key, tuple) and any(map(is_mask, key)) and not by_data:
        _set_by_framework(cx, x, key, value)
        return
    view, indices = basic_index(cx, x, key)
    if not indices:
        if _is_there(cx, view, value):
            write_again(cx.ev, view)
        else:
            fill(cx, view, value)
        return
    while indices and indices[-1] is None:
        indices = indices[:-1]
    source = cx.cast(value, x.meta.dtype) if isinstance(value, ArrayValue) else value
    assign(cx, view, cx.op("index_put", view, source, *indices))


def _is_there(cx: Context, view: ArrayValue, value: Any) -> bool:
    """Whether a value is the very memory that it is written to, as after `x[key] += 1`."""
    if not view.storage.version or not isinstance(value, ArrayValue) or value.meta.dtype != view.meta.dtype:
        return False
    if overlap(view, value) is not Overlap.SAME:
        return False
    state = state_of(cx.ev)
    return not any(state.requires_grad(x.node(cx.ev)) for x in (view, value))


def _check_assigned(cx: Context, x: ArrayValue, key: Any, value: Any) -> None:
    """What is read of `x` as value or as positions must not be among what is written."""
    if not any(a.storage is x.storage for a in arrays_in([key, value])):
        return
    if any(map(is_mask, key if isinstance(key, tuple) else (key,))):
        check_written(cx.ev, x, [key, value], pointwise=False)
    else:
        target, indices = basic_index(cx, x, key)
        check_written(cx.ev, target, [indices, value], pointwise=not indices)


def _set_by_framework(cx: Context, x: ArrayValue, key: tuple[Any, ...], value: Any) -> None:
    """`x[key] = value` where masks stand in the key: eager's own, on a copy. What does not fit raises when the graph runs."""
    target = f"{eager_ops.__name__}:set_item"
    x.write(cx.ev, cx.node(call_target(cx, target, _like_first, [x, key, value], {}, effects=True)))


@name("*nonzero_static")
def nonzero_static(cx: Context, input: ArrayValue, *, size: int, fill_value: int = -1) -> Any:
    return call_target(cx, "torch:nonzero_static", _positions, [input], {"size": size, "fill_value": fill_value}, False)


def _positions(x: torch.Tensor, *, size: int, fill_value: int) -> torch.Tensor:
    return torch.empty((size, x.ndim), dtype=torch.int64, device=x.device)


@name("*cov")
def cov(cx: Context, input: ArrayValue, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    weights = {"correction": correction, "fweights": fweights, "aweights": aweights}
    return call_target(cx, "torch:cov", _between_rows, [input], weights, effects=False)


@name("*corrcoef")
def corrcoef(cx: Context, input: ArrayValue) -> Any:
    return call_target(cx, "torch:corrcoef", _between_rows, [input], {}, effects=False)


def _between_rows(x: torch.Tensor, **weights: Any) -> torch.Tensor:
    if x.ndim > 2:
        raise ValueError(f"expected a tensor of at most 2 dimensions, got {x.ndim}")
    kind = x.dtype if x.is_floating_point() or x.is_complex() else torch.get_default_dtype()
    for w in weights.values():
        kind = torch.promote_types(kind, w.dtype) if isinstance(w, torch.Tensor) and w.is_floating_point() else kind
    return torch.empty((x.shape[0],) * 2 if x.ndim == 2 else (), dtype=kind, device=x.device)


def _like_first(x: Any, *rest: Any) -> Any:
    """What functions give whose result is laid out as their first argument."""
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=x.device)


def _masked_set(cx: Context, x: ArrayValue, mask: ArrayValue, value: Any) -> None:
    """A mask over the leading dims and one number: the masked elements become it. (Eager refuses masks of uint8 here.)"""
    if mask.meta.dtype == uint8 or isinstance(value, ArrayValue) and value.meta.numel != 1:
        _set_by_framework(cx, x, (mask,), value)
        return
    if mask.meta.shape != x.meta.shape[: len(mask.meta.shape)]:
        raise eager_error(cx.ev, f"a mask of shape {mask.meta.shape} does not index a tensor of shape {x.meta.shape}")
    extra = len(x.meta.shape) - len(mask.meta.shape)
    node = cx.node(mask)
    if extra:
        node = cx.op("reshape", node, shape=(*mask.meta.shape, *(1,) * extra))
    number = cx.op("reshape", value, shape=()) if isinstance(value, ArrayValue) else value
    assign(cx, x, cx.op("masked_fill", x, cx.cast(node, bool_), number))


def fill(cx: Context, target: ArrayValue, value: Any) -> None:
    """`target.copy_(value)`: broadcast and convert. A source of more leading dims of size 1 is accepted by subscripts."""
    source = cx.node(value)
    while len(source.shape) > len(target.meta.shape) and source.shape[0] == 1:
        source = cx.op("squeeze", source, dim=0)
    target.write(cx.ev, cx.op("copy", target, source))


register(("Tensor.__setitem__",), setitem)


# ------------------------------------------------------------------ reading at positions


@name("*gather")
def gather(cx: Context, input: ArrayValue, dim: int, index: ArrayValue, *, sparse_grad: bool = False) -> Node:
    return cx.op("gather", input, index, dim=dim)


@name("*take_along_dim")
def take_along_dim(cx: Context, input: ArrayValue, indices: ArrayValue, dim: int | None = None) -> Node:
    return cx.op("take_along_dim", input, indices, dim=dim)


@name("*index_select")
def index_select(cx: Context, input: ArrayValue, dim: int, index: ArrayValue) -> Node:
    return cx.op("index_select", input, index, dim=dim)


@name("*take")
def take(cx: Context, input: ArrayValue, index: ArrayValue) -> Node:
    return cx.op("take", input, index)


@name("torch.searchsorted")
def searchsorted(cx: Context, sorted_sequence: ArrayValue, input: Any, *, out_int32: bool = False, right: bool = False,
                 side: str | None = None, sorter: Any = None) -> Node:  # fmt: skip
    if sorter is not None or not isinstance(input, ArrayValue):
        raise Declined("a number, or sorter=")
    if side not in (None, "left", "right") or right and side == "left":
        raise Declined("a side that is none, or sides that contradict each other")
    return cx.op("searchsorted", sorted_sequence, input, right=right or side == "right", out_int32=out_int32)


@name("torch.bucketize Tensor.bucketize")
def bucketize(cx: Context, input: Any, boundaries: ArrayValue, *, out_int32: bool = False, right: bool = False) -> Node:
    if not isinstance(input, ArrayValue):
        raise Declined("a number")
    return cx.op("searchsorted", boundaries, input, right=right, out_int32=out_int32)


# ------------------------------------------------------------------ writing at positions (functional forms)


@name("*scatter")
def scatter(cx: Context, input: ArrayValue, dim: int, index: ArrayValue, src: Any = None, *, value: Any = None,
            reduce: str | None = None) -> Node:  # fmt: skip
    source = value if src is None else src
    if reduce == "add":
        return cx.op("scatter_add", input, index, _spread(cx, source, index, input), dim=dim)
    if reduce is not None:
        raise Declined(f"reduce={reduce!r}")
    return cx.op("scatter", input, index, source, dim=dim)


def _spread(cx: Context, source: Any, index: ArrayValue, like: ArrayValue) -> Any:
    if isinstance(source, ArrayValue):
        return source
    return cx.op("full", shape=index.meta.shape, value=source, dtype=like.meta.dtype, device=like.meta.device)


@name("*scatter_add")
def scatter_add(cx: Context, input: ArrayValue, dim: int, index: ArrayValue, src: ArrayValue) -> Node:
    return cx.op("scatter_add", input, index, src, dim=dim)


@name("*scatter_reduce")
def scatter_reduce(cx: Context, input: ArrayValue, dim: int, index: ArrayValue, src: ArrayValue, reduce: str, *,
                   include_self: bool = True) -> Node:  # fmt: skip
    return cx.op("scatter_reduce", input, index, src, dim=dim, reduce=reduce, include_self=include_self)


@name("*index_add")
def index_add(
    cx: Context, input: ArrayValue, dim: int, index: ArrayValue, source: ArrayValue, *, alpha: Any = 1
) -> Node:
    alpha = cx.held(alpha, input.meta.dtype)
    return cx.op("index_add", input, index, source if alpha == 1 else cx.op("mul", source, alpha), dim=dim)


@name("*index_copy")
def index_copy(cx: Context, input: ArrayValue, dim: int, index: ArrayValue, source: ArrayValue) -> Node:
    return cx.op("index_copy", input, index, source, dim=dim)


@name("*index_fill")
def index_fill(cx: Context, input: ArrayValue, dim: int, index: ArrayValue, value: Any) -> Node:
    return cx.op("index_fill", input, index, value, dim=dim)


@name("*index_put")
def index_put(cx: Context, input: ArrayValue, indices: Any, values: ArrayValue, accumulate: bool = False) -> Node:
    by_data = isinstance(values, ArrayValue) and any(map(cx.ev.symbols.is_unbacked, values.meta.shape))
    if by_data:
        indices = [p for i in indices for p in (positions(cx, i) if is_mask(i) else (i,))]
    if any(isinstance(i, ArrayValue) and i.meta.dtype in (bool_, uint8) for i in indices):
        return call_target(cx, f"{eager_ops.__name__}:put_at_masks", _like_first,
                           [input, list(indices), values, accumulate], {}, effects=False)  # fmt: skip
    return cx.op("index_put", input, values, *indices, accumulate=accumulate)


@name("*masked_scatter")
def masked_scatter(cx: Context, input: ArrayValue, mask: ArrayValue, source: ArrayValue) -> Node:
    return cx.op("masked_scatter", input, mask, source)


def _replaced(cx: Context, part: str, input: ArrayValue, src: ArrayValue, **attrs: Any) -> Any:
    """`input` with the part that the view `part` shows replaced by `src`, which eager does not expand. What begins further on in its
    memory, eager copies with the memory before it, and gives a tensor that begins there.
    """
    shape, given = OPS[part].meta(input.meta, **attrs).shape, src.meta.shape
    if len(given) != len(shape) or not all(map(same, given, shape)):
        raise ValueError(f"{part}_scatter: a source of shape {given} for a part of shape {shape}")
    start = storage_begin(cx, input)
    if repeats(input.meta) or same(start, 0) and not overlaps(input.meta.shape, input.meta.stride):
        return cx.op(f"{part}_scatter", input, src, **attrs)
    _, made = _copied_memory(cx, input, start)
    fill(cx, made.view(cx.ev, part, **attrs), src)
    return made


#: functions that look at the memory in which a tensor lies: where it begins, and what lies around it
OF_MEMORY = frozenset(
    ("as_strided", "as_strided_copy", "as_strided_scatter", "select_scatter", "slice_scatter", "diagonal_scatter")
)


def _copied_memory(cx: Context, x: ArrayValue, start: Any) -> tuple[ArrayValue, ArrayValue]:
    """A copy of all the memory up to the end of a tensor that begins `start` elements into it, and the tensor in the copy."""
    memory = cx.array(cx.op("clone", memory_of(cx, x, start)))
    shape, stride = x.meta.shape, x.meta.stride
    return memory, memory.view(cx.ev, "as_strided", size=shape, stride=stride, storage_offset=start)


@name("*as_strided_scatter")
def as_strided_scatter(
    cx: Context, input: ArrayValue, src: ArrayValue, size: Any, stride: Any, storage_offset: Any = None
) -> Any:
    """The part is one of the memory, of which eager copies all unless elements of `input` repeat."""
    begins = storage_begin(cx, input)
    if repeats(input.meta):
        memory = made = cx.array(cx.op("clone", input, memory_format="preserve"))
        begins = 0
    else:
        memory, made = _copied_memory(cx, input, begins)
    part = as_strided(cx, memory, size, stride, begins if storage_offset is None else storage_offset)
    if not (len(part.meta.shape) == src.meta.ndim and all(map(same, src.meta.shape, part.meta.shape))):
        raise eager_error(cx.ev, "a source of another shape than the part")
    fill(cx, part, src)
    return made


@name("*slice_scatter")
def slice_scatter(cx: Context, input: ArrayValue, src: ArrayValue, dim: int = 0, start: Any = None, end: Any = None,
                  step: int = 1) -> Any:  # fmt: skip
    return _replaced(cx, "slice", input, src, dim=dim, start=start, end=end, step=step)


@name("*select_scatter")
def select_scatter(cx: Context, input: ArrayValue, src: ArrayValue, dim: int, index: int) -> Any:
    return _replaced(cx, "select", input, src, dim=dim, index=index)


@name("*diagonal_scatter")
def diagonal_scatter(
    cx: Context, input: ArrayValue, src: ArrayValue, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Any:
    return _replaced(cx, "diagonal", input, src, offset=offset, dim1=dim1, dim2=dim2)
