"""Reading and writing at computed positions: gather, index, embedding, scatter.

Bounds: eager raises for an index out of range, so rows require them to be in range. Generated code must not read outside
a tensor before that was looked at, so every index is clamped into range after negative ones are wrapped (where eager wraps them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..dtypes import bool_, int64
from ..graph import Dim, GraphBuilder, Node, TensorMeta, contiguous_strides
from ..loops import Expr, Fn, Index, Scatter, as_index, cast, delinearize, expr, indirect
from .common import (
    REQUIRED,
    args,
    at,
    broadcast_index,
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
from .dims import is_one, is_zero, less, same
from .facts import ALL_ERRORS, INDEX, INVALID, OVER, PART, QUIET, VALUE
from .promotion import broadcast_shapes, common_device, expands_to, like_meta, pointwise_strides
from .requires import Requirement, along_dim, one_per_dim, place
from .views import view_strides

# --------------------------------------------------------------------------- index values


def safe_index(value: Expr, size: Dim, *, wrap: bool) -> Index:
    """An index from memory, made safe: negative values wrapped (`wrap`), then clamped into [0, size)."""
    value = cast(value, int64)
    if value.op == "const" and isinstance(value.attr, int) and isinstance(size, int) and size:
        known = value.attr + size if wrap and value.attr < 0 else value.attr
        return as_index(min(max(known, 0), size - 1))
    n = size_value(size)
    if wrap:
        negative = compare("lt", value, number(0, int64))
        value = expr("where", negative, int_op("add", value, n), value, dtype=int64)
    value = int_op("max", value, number(0, int64))
    return indirect(int_op("min", value, size_value(size - 1)))


def _check_index(name: str, index: TensorMeta) -> None:
    if not index.dtype.is_int:
        raise TypeError(f"{name} needs an integer index, not {index.dtype}")


def _check_wide_index(name: str, index: TensorMeta) -> None:
    if index.dtype.name not in ("int64", "int32"):
        raise TypeError(f"{name} needs an int64 or int32 index, not {index.dtype}")


# --------------------------------------------------------------------------- reading


def _check_places(name: str, x: TensorMeta, d: int, index: TensorMeta) -> None:
    """Raise IndexError where an index has nowhere to point: clamping it would give a place before the memory."""
    if x.ndim and is_zero(x.shape[d]) and not is_zero(index.numel):
        raise IndexError(f"{name}: dimension {d} of shape {x.shape} holds nothing that an index could name")


def _meta_gather(x: TensorMeta, index: TensorMeta, *, dim: int) -> TensorMeta:
    _check_wide_index("gather", index)
    d = wrap_dim(dim, x.ndim)
    _check_places("gather", x, d, index)
    if max(x.ndim, 1) != max(index.ndim, 1):
        raise ValueError(f"gather: input {x.shape} and index {index.shape} must have as many dimensions")
    for k in range(min(x.ndim, index.ndim)):
        if k != d and less(x.shape[k], index.shape[k]):
            raise ValueError(f"gather: index {index.shape} is larger than the input {x.shape} at dimension {k}")
    return new_meta(index.shape, x.dtype, x.device)


def _lower_gather(node: Node, x: Fn, index: Fn) -> Fn:
    source = args(node)[0]
    d = wrap_dim(node.attrs["dim"], source.ndim)

    def value(point: tuple[Index, ...]) -> Expr:
        if not source.ndim:
            return x(())
        found = safe_index(index(point), source.shape[d], wrap=False)
        return x((*point[:d], found, *point[d + 1 :]))

    return value


row("gather", "index", _meta_gather, attrs={"dim": REQUIRED}, lower=_lower_gather, requires=along_dim(1),
    operands=(PART, INDEX), errors=QUIET)  # fmt: skip


def _meta_take_along_dim(x: TensorMeta, index: TensorMeta, *, dim: int | None) -> TensorMeta:
    _check_wide_index("take_along_dim", index)
    if dim is None:
        for m in (x, index):
            if view_strides(m.shape, m.stride, (m.numel,)) is None:
                raise ValueError(f"take_along_dim: a tensor of shape {m.shape} and strides {m.stride} has no flat view")
        return new_meta((index.numel,), x.dtype, x.device)
    d = wrap_dim(dim, x.ndim)
    if x.ndim != index.ndim:
        raise ValueError(f"take_along_dim: input {x.shape} and indices {index.shape} differ in dimensions")
    return new_meta(_along_shape(x.shape, index.shape, d), x.dtype, x.device)


def _along_shape(x: tuple[Dim, ...], index: tuple[Dim, ...], d: int) -> tuple[Dim, ...]:
    outer = broadcast_shapes((*x[:d], 1, *x[d + 1 :]), (*index[:d], 1, *index[d + 1 :]))
    return (*outer[:d], index[d], *outer[d + 1 :])


def _decompose_take_along_dim(b: GraphBuilder, node: Node) -> Node:
    x, index = args(node)
    if node.attrs["dim"] is None:
        x, index = b.reshape(x, shape=(-1,)), b.reshape(index, shape=(-1,))
        return b.gather(x, index, dim=0)
    d = wrap_dim(node.attrs["dim"], x.ndim)
    x_shape = (*node.shape[:d], x.shape[d], *node.shape[d + 1 :])
    index = _from_the_end(b, index, x.shape[d])
    return b.gather(b.expand(x, shape=x_shape), b.expand(index, shape=node.shape), dim=d)


def _from_the_end(b: GraphBuilder, index: Node, size: Dim) -> Node:
    """Negative positions count from the end."""
    zero, length = b.scalar(value=0), b.scalar(value=size)
    return b.where(b.lt(index, zero), b.add(index, length), index)


def _places_of_take_along_dim(node: Node) -> Iterator[Requirement]:
    """Along a dim positions may count from the end; into the flattened tensor they may not."""
    x = args(node)[0]
    if node.attrs["dim"] is not None:
        yield from along_dim(1, from_the_end=True)(node)
    elif x.shape:
        yield place(1, x.meta.numel, False)


row("take_along_dim", "composite", _meta_take_along_dim, attrs={"dim": None}, decompose=_decompose_take_along_dim,
    requires=_places_of_take_along_dim, operands=(PART, INDEX), errors=QUIET)  # fmt: skip


def _meta_index_select(x: TensorMeta, index: TensorMeta, *, dim: int) -> TensorMeta:
    _check_wide_index("index_select", index)
    d = wrap_dim(dim, x.ndim)
    _check_places("index_select", x, d, index)
    if index.ndim > 1:
        raise ValueError(f"index_select needs a 1-d index, not one of shape {index.shape}")
    if not x.ndim:
        return new_meta((), x.dtype, x.device)
    count = index.shape[0] if index.ndim else 1
    return new_meta((*x.shape[:d], count, *x.shape[d + 1 :]), x.dtype, x.device)


def _lower_index_select(node: Node, x: Fn, index: Fn) -> Fn:
    source, chooser = args(node)
    d = wrap_dim(node.attrs["dim"], source.ndim)

    def value(point: tuple[Index, ...]) -> Expr:
        if not source.ndim:
            return x(())
        found = safe_index(index(point[d : d + 1] if chooser.ndim else ()), source.shape[d], wrap=False)
        return x((*point[:d], found, *point[d + 1 :]))

    return value


row("index_select", "index", _meta_index_select, attrs={"dim": REQUIRED}, lower=_lower_index_select,
    requires=along_dim(1), operands=(PART, INDEX), errors=QUIET)  # fmt: skip


def _meta_take(x: TensorMeta, index: TensorMeta) -> TensorMeta:
    if index.dtype != int64:
        raise TypeError(f"take needs an int64 index, not {index.dtype}")
    if is_zero(x.numel) and not is_zero(index.numel):
        raise IndexError("take: cannot take from an empty tensor")
    return new_meta(index.shape, x.dtype, x.device)


def _lower_take(node: Node, x: Fn, index: Fn) -> Fn:
    source = args(node)[0]
    return lambda point: x(delinearize(safe_index(index(point), math.prod(source.shape), wrap=True), source.shape))


row("take", "index", _meta_take, lower=_lower_take,
    requires=lambda n: [place(1, args(n)[0].meta.numel, True)], operands=(PART, INDEX), errors=QUIET)  # fmt: skip


def _meta_embedding(index: TensorMeta, weight: TensorMeta, *, padding_idx: int | None) -> TensorMeta:
    _check_wide_index("embedding", index)
    if weight.ndim != 2:
        raise ValueError(f"embedding: weight must have 2 dimensions, got shape {weight.shape}")
    _check_places("embedding", weight, 0, index)
    return new_meta((*index.shape, weight.shape[1]), weight.dtype, common_device(weight, index))


def _lower_embedding(node: Node, index: Fn, weight: Fn) -> Fn:
    rows = args(node)[1].shape[0]
    return lambda point: weight((safe_index(index(point[:-1]), rows, wrap=False), point[-1]))


# padding_idx matters to the gradient alone
row("embedding", "index", _meta_embedding, attrs={"padding_idx": None}, lower=_lower_embedding,
    requires=lambda n: [place(0, args(n)[1].shape[0], False)], operands=(INDEX, PART), errors=QUIET)  # fmt: skip


# --------------------------------------------------------------------------- x[i, j, :, k]


def index_layout(x: TensorMeta, indices: Sequence[TensorMeta | None]) -> tuple[list[int], tuple[Dim, ...], int]:
    """(indexed dims, broadcast shape of the indices, position of that shape in the result).

    Indexed dims next to each other are replaced in place; otherwise the indices' shape comes first.
    """
    if len(indices) > x.ndim:
        raise IndexError(f"index: {len(indices)} indices for a tensor of {x.ndim} dimensions")
    dims = [d for d, i in enumerate(indices) if i is not None]
    if not dims:
        raise ValueError("index needs at least one index tensor")
    for i in indices:
        if i is not None:
            _check_index("index", i)
    adjacent = dims[-1] - dims[0] == len(dims) - 1
    try:
        shape = broadcast_shapes(*(i.shape for i in indices if i is not None))
    except ValueError as error:
        raise IndexError(f"index: {error}") from None
    return dims, shape, dims[0] if adjacent else 0


def _meta_index(x: TensorMeta, *indices: TensorMeta | None) -> TensorMeta:
    dims, shape, position = index_layout(x, indices)
    if not is_zero(math.prod(shape)) and any(is_zero(x.shape[d]) for d in dims):
        raise IndexError(f"index: a dimension of size 0 in shape {x.shape} is indexed")
    rest = [d for d in range(x.ndim) if d not in dims]
    before, after = rest[:position], rest[position:]
    out = (*(x.shape[d] for d in before), *shape, *(x.shape[d] for d in after))
    # eager iterates over the source with repeated index dims, and over the index tensors viewed with dims of one around them
    source = (*(x.stride[d] for d in before), *(0,) * len(shape), *(x.stride[d] for d in after))
    operands = [TensorMeta(out, source, x.dtype)]
    around = (1,) * len(before) + shape + (1,) * len(after)
    for i in indices:
        if i is not None:
            lead = len(shape) - i.ndim
            stride = (0,) * lead + tuple(0 if is_one(s) and not is_one(t) else v
                                         for s, v, t in zip(i.shape, i.stride, shape[lead:]))  # fmt: skip
            viewed = view_strides(shape, stride, around)
            operands.append(TensorMeta(around, contiguous_strides(around) if viewed is None else viewed, i.dtype))
    return TensorMeta(out, pointwise_strides(operands, out), x.dtype, x.device)


def _indexed_point(
    x: Node, indices: Sequence[Node | None], fns: Sequence[Fn | None], point: tuple[Index, ...]
) -> tuple[Index, ...]:
    """Where a point of the indexed result stands in the source."""
    dims, shape, position = index_layout(x.meta, [None if i is None else i.meta for i in indices])
    inner = point[position : position + len(shape)]
    rest = iter((*point[:position], *point[position + len(shape) :]))
    out: list[Index] = []
    for d in range(x.ndim):
        if d in dims:
            chooser, fn = indices[d], fns[d]
            assert chooser is not None and fn is not None
            value = fn(broadcast_index(inner, chooser.shape, shape))
            out.append(safe_index(value, x.shape[d], wrap=True))
        else:
            out.append(next(rest))
    return tuple(out)


def _lower_index(node: Node, x: Fn, *fns: Fn | None) -> Fn:
    return lambda point: x(_indexed_point(args(node)[0], args(node)[1:], fns, point))


# inputs: x, then one index tensor or None per leading dim; integer tensors only (a bool mask makes the shape
# depend on the data)
row("index", "index", _meta_index, lower=_lower_index, requires=one_per_dim(1), operands=(PART, INDEX), errors=QUIET,
    measured=True)  # fmt: skip


# --------------------------------------------------------------------------- writing at positions


def _meta_index_put(x: TensorMeta, value: TensorMeta, *indices: TensorMeta | None, accumulate: bool) -> TensorMeta:
    if value.dtype != x.dtype and not value.weak:
        raise TypeError(f"index_put: the values are {value.dtype}, the tensor {x.dtype}")
    target = _put_shape(x, indices)
    if not expands_to(value.shape, target):
        raise ValueError(f"index_put: values of shape {value.shape} do not expand to {target}")
    return like_meta(x)


def _put_shape(x: TensorMeta, indices: Sequence[TensorMeta | None]) -> tuple[Dim, ...]:
    dims, shape, position = index_layout(x, indices)
    if not is_zero(math.prod(shape)) and any(is_zero(x.shape[d]) for d in dims):
        raise IndexError(f"index_put: a dimension of size 0 in shape {x.shape} is indexed")
    rest = [x.shape[d] for d in range(x.ndim) if d not in dims]
    return (*rest[:position], *shape, *rest[position:])


def _accumulating(node: Node) -> str:
    """The store mode that adds: True and True is True."""
    return "or" if node.dtype == bool_ else "add"


def _lower_index_put(node: Node, x: Fn, value: Fn, *fns: Fn | None) -> Scatter:
    source, values, indices = args(node)[0], args(node)[1], args(node)[2:]
    shape = _put_shape(source.meta, [None if i is None else i.meta for i in indices])
    return Scatter(
        x,
        shape,
        lambda point: _indexed_point(source, indices, fns, point),
        lambda point: convert(at(value, point, values, shape), node.dtype),
        _accumulating(node) if node.attrs["accumulate"] else "store",
    )


def _errors_of_sums(node: Node) -> int:
    """Elements are put in their places, or added to what is there."""
    return OVER | INVALID if node.attrs["accumulate"] and not node.dtype.is_int and node.dtype != bool_ else QUIET


row("index_put", "index", _meta_index_put, attrs={"accumulate": False}, lower=_lower_index_put,
    numbers=(1,), requires=one_per_dim(2), operands=(VALUE, VALUE, INDEX), errors=_errors_of_sums,
    heeds_determinism=("cpu", "cuda"), replaces=True)  # fmt: skip


def _check_scatter(name: str, x: TensorMeta, index: TensorMeta, src: TensorMeta, dim: int) -> int:
    if index.dtype.name not in ("int64", "int32"):
        raise TypeError(f"{name} needs an int64 index, not {index.dtype}")
    if src.dtype != x.dtype and not src.weak:
        raise TypeError(f"{name}: the source is {src.dtype}, the tensor {x.dtype}")
    d = wrap_dim(dim, x.ndim)
    _check_places(name, x, d, index)
    if max(x.ndim, 1) != max(index.ndim, 1) or (not src.weak and max(src.ndim, 1) != max(index.ndim, 1)):
        raise ValueError(f"{name}: input {x.shape}, index {index.shape} and source {src.shape} differ in dimensions")
    if is_zero(index.numel):
        return d
    for k in range(min(x.ndim, index.ndim)):
        if k != d and less(x.shape[k], index.shape[k]):
            raise ValueError(f"{name}: index {index.shape} is larger than the input {x.shape} at dimension {k}")
        if not src.weak and src.ndim and less(src.shape[k], index.shape[k]):
            raise ValueError(f"{name}: index {index.shape} is larger than the source {src.shape} at dimension {k}")
    return d


def _meta_scatter(name: str) -> Any:
    def meta(x: TensorMeta, index: TensorMeta, src: TensorMeta, *, dim: int) -> TensorMeta:
        _check_scatter(name, x, index, src, dim)
        return new_meta(x.shape, x.dtype, x.device)

    return meta


def _lower_scatter(accumulate: bool) -> Any:
    def lower(node: Node, x: Fn, index: Fn, src: Fn) -> Scatter:
        base, chooser, source = args(node)
        d = wrap_dim(node.attrs["dim"], base.ndim)

        def target(point: tuple[Index, ...]) -> tuple[Index, ...]:
            if not base.ndim:
                return ()
            found = safe_index(index(point[: chooser.ndim]), base.shape[d], wrap=False)
            return (*point[:d], found, *point[d + 1 :])

        def value(point: tuple[Index, ...]) -> Expr:
            return convert(src(point if source.ndim else ()), node.dtype)

        wide = accumulate and node.meta.device == "cpu"
        return Scatter(x, chooser.shape, target, value, _accumulating(node) if accumulate else "store", wide)

    return lower


#: written into: the tensor, at positions, what is written
_WRITE = (VALUE, INDEX, VALUE)
# src may be a `scalar` node
row("scatter", "index", _meta_scatter("scatter"), attrs={"dim": REQUIRED}, lower=_lower_scatter(False),
    numbers=(2,), requires=along_dim(1), operands=_WRITE, errors=QUIET, heeds_determinism=("cuda",), replaces=True)  # fmt: skip
row("scatter_add", "index", _meta_scatter("scatter_add"), attrs={"dim": REQUIRED}, lower=_lower_scatter(True),
    requires=along_dim(1), operands=_WRITE, errors=ALL_ERRORS, heeds_determinism=("cuda",), replaces=True)  # fmt: skip


def _meta_index_write(name: str, layout: Callable[[TensorMeta], TensorMeta]) -> Any:
    def meta(x: TensorMeta, index: TensorMeta, src: TensorMeta, *, dim: int) -> TensorMeta:
        _check_wide_index(name, index)
        if src.dtype != x.dtype and not src.weak:
            raise TypeError(f"{name}: the source is {src.dtype}, the tensor {x.dtype}")
        d = wrap_dim(dim, x.ndim)
        _check_places(name, x, d, index)
        if index.ndim > 1:
            raise ValueError(f"{name} needs a 1-d index, not one of shape {index.shape}")
        count = index.shape[0] if index.ndim else 1
        wanted = (*x.shape[:d], count, *x.shape[d + 1 :]) if x.ndim else ()
        if src.ndim and (len(wanted) != src.ndim or any(not same(p, q) for p, q in zip(wanted, src.shape))):
            raise ValueError(f"{name}: the source must have shape {wanted}, not {src.shape}")
        return layout(x)

    return meta


def _lower_index_write(accumulate: bool = False, from_the_end: bool = False) -> Any:
    def lower(node: Node, x: Fn, index: Fn, src: Fn) -> Scatter:
        base, chooser, source = args(node)
        d = wrap_dim(node.attrs["dim"], base.ndim)
        count = chooser.shape[0] if chooser.ndim else 1
        ranges = (*base.shape[:d], count, *base.shape[d + 1 :])

        def target(point: tuple[Index, ...]) -> tuple[Index, ...]:
            if not base.ndim:
                return ()
            found = safe_index(index(point[d : d + 1] if chooser.ndim else ()), base.shape[d], wrap=from_the_end)
            return (*point[:d], found, *point[d + 1 :])

        def value(point: tuple[Index, ...]) -> Expr:
            return convert(src(point if source.ndim else ()), node.dtype)

        # eager's kernel for the outermost and the innermost dim keeps the sums in float32, the other one rounds them
        wide = accumulate and node.meta.device == "cpu" and base.ndim > 1 and d in (0, base.ndim - 1)
        return Scatter(x, ranges, target, value, _accumulating(node) if accumulate else "store", wide)

    return lower


# whole slices of x along dim, at a 1-d index: added, or overwritten (src may be a `scalar` node: index_fill)
row("index_add", "index", _meta_index_write("index_add", fresh), attrs={"dim": REQUIRED}, lower=_lower_index_write(accumulate=True),
    requires=along_dim(1), operands=_WRITE, errors=ALL_ERRORS, heeds_determinism=("cuda",), replaces=True)  # fmt: skip
row("index_copy", "index", _meta_index_write("index_copy", fresh), attrs={"dim": REQUIRED}, lower=_lower_index_write(),
    requires=along_dim(1), operands=_WRITE, autocast="widest", errors=ALL_ERRORS, heeds_determinism=("cpu", "cuda"), replaces=True)  # fmt: skip
row("index_fill", "index", _meta_index_write("index_fill", like_meta), attrs={"dim": REQUIRED},
    lower=_lower_index_write(from_the_end=True), numbers=(2,), requires=along_dim(1, from_the_end=True),
    operands=_WRITE, errors=ALL_ERRORS, replaces=True)  # fmt: skip
