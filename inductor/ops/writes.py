"""Writing through a view: the base with a part replaced. What functionalisation makes of `x[1:3] = y` and its kin.

The source is broadcast to the part and converted to the base's dtype, as eager's copy_ does. Results keep the base's
strides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..dtypes import int64
from ..graph import Dim, Node, TensorMeta
from ..loops import Expr, Fn, Index, Scatter, as_index, floordiv, index_value, masked, mod
from .common import REQUIRED, TRUE, args, at, both, compare, convert, new_meta, number, row, size_value, wrap_dim
from .dims import same
from .facts import ALL_ERRORS, MEMORY, QUIET
from .promotion import broadcast_shapes, expands_to, like_meta, repeats
from .views import DIAGONAL_ATTRS, SLICE_ATTRS, diagonal_layout, slice_part, storage_point, wrap_index


def _written(name: str, x: TensorMeta, src: TensorMeta, part: Sequence[Dim]) -> TensorMeta:
    part = tuple(part)
    if not expands_to(src.shape, part):
        raise ValueError(f"{name}: a source of shape {src.shape} does not expand to {part}")
    # eager writes into a copy with the same strides, unless elements repeat
    return like_meta(x) if repeats(x) else TensorMeta(x.shape, x.stride, x.dtype, x.device)


def _source(node: Node, src: Fn, point: Sequence[Index], part: Sequence[Dim]) -> Expr:
    """The source's value at a point of the part."""
    source = args(node)[1]
    assert source is not None
    return convert(at(src, tuple(point), source, part), node.dtype)


# --------------------------------------------------------------------------- slice


def _meta_slice_scatter(x: TensorMeta, src: TensorMeta, **attrs: Any) -> TensorMeta:
    d, _, _, count = slice_part(attrs, x.shape)
    return _written("slice_scatter", x, src, (*x.shape[:d], count, *x.shape[d + 1 :]))


def _lower_slice_scatter(node: Node, x: Fn, src: Fn) -> Fn:
    d, first, step, count = slice_part(node.attrs, node.shape)
    part = (*node.shape[:d], count, *node.shape[d + 1 :])

    def value(index: tuple[Index, ...]) -> Expr:
        if isinstance(count, int) and count == 0:
            return x(index)
        moved = index[d] - first
        inside = TRUE
        position = index_value(moved)
        if not (isinstance(first, int) and first == 0):
            inside = both(inside, compare("ge", position, number(0, int64)))
        if not same(first + count * step, node.shape[d]):
            inside = both(inside, compare("lt", position, size_value(count * step)))
        if step != 1:
            inside = both(inside, compare("eq", index_value(mod(moved, step)), number(0, int64)))
        point = (*index[:d], floordiv(moved, step), *index[d + 1 :])
        return masked(inside, _source(node, src, point, part), x(index))

    return value


row("slice_scatter", "index", _meta_slice_scatter, attrs=SLICE_ATTRS, lower=_lower_slice_scatter, errors=QUIET,
    replaces=True)  # fmt: skip


# --------------------------------------------------------------------------- select


def _meta_select_scatter(x: TensorMeta, src: TensorMeta, *, dim: int, index: Dim) -> TensorMeta:
    if not x.ndim:
        raise IndexError("select_scatter cannot be applied to a 0-dim tensor")
    d = wrap_dim(dim, x.ndim)
    wrap_index(index, x.shape[d])
    return _written("select_scatter", x, src, (*x.shape[:d], *x.shape[d + 1 :]))


def _lower_select_scatter(node: Node, x: Fn, src: Fn) -> Fn:
    d = wrap_dim(node.attrs["dim"], node.ndim)
    chosen = size_value(wrap_index(node.attrs["index"], node.shape[d]))
    part = (*node.shape[:d], *node.shape[d + 1 :])

    def value(index: tuple[Index, ...]) -> Expr:
        inside = compare("eq", index_value(index[d]), chosen)
        return masked(inside, _source(node, src, (*index[:d], *index[d + 1 :]), part), x(index))

    return value


row("select_scatter", "index", _meta_select_scatter, attrs={"dim": 0, "index": REQUIRED}, lower=_lower_select_scatter,
    errors=QUIET, replaces=True)  # fmt: skip


# --------------------------------------------------------------------------- diagonal


def _diagonal_part(shape: tuple[Dim, ...], offset: int, dim1: int, dim2: int) -> tuple[Dim, ...]:
    a, b, length = diagonal_layout(shape, offset, dim1, dim2)
    return (*(s for d, s in enumerate(shape) if d not in (a, b)), length)


def _meta_diagonal_scatter(x: TensorMeta, src: TensorMeta, *, offset: int, dim1: int, dim2: int) -> TensorMeta:
    return _written("diagonal_scatter", x, src, _diagonal_part(x.shape, offset, dim1, dim2))


def _lower_diagonal_scatter(node: Node, x: Fn, src: Fn) -> Fn:
    offset = node.attrs["offset"]
    a, b, _ = diagonal_layout(node.shape, **node.attrs)
    part = _diagonal_part(node.shape, **node.attrs)

    def value(index: tuple[Index, ...]) -> Expr:
        inside = compare("eq", index_value(index[a] + offset), index_value(index[b]))
        along = index[b] if offset <= 0 else index[a]
        rest = [i for d, i in enumerate(index) if d not in (a, b)]
        return masked(inside, _source(node, src, (*rest, along), part), x(index))

    return value


row("diagonal_scatter", "index", _meta_diagonal_scatter, attrs=DIAGONAL_ATTRS, lower=_lower_diagonal_scatter,
    errors=QUIET, replaces=True)  # fmt: skip


# --------------------------------------------------------------------------- as_strided


def _meta_as_strided_scatter(
    x: TensorMeta, src: TensorMeta, *, size: Sequence[Dim], stride: Sequence[Dim], storage_offset: Dim
) -> TensorMeta:
    if len(size) != len(stride):
        raise ValueError(f"as_strided_scatter: {len(size)} sizes but {len(stride)} strides")
    return _written("as_strided_scatter", x, src, size)


def _lower_as_strided_scatter(node: Node, x: Fn, src: Fn) -> Scatter:
    size, steps = tuple(node.attrs["size"]), node.attrs["stride"]
    meta = args(node)[0].meta

    def target(point: tuple[Index, ...]) -> tuple[Index, ...]:
        position = as_index(node.attrs["storage_offset"])
        for i, step in zip(point, steps):
            position = position + i * step
        return tuple(storage_point(position, meta.shape, meta.stride))

    return Scatter(x, size, target, lambda point: _source(node, src, point, size))


row("as_strided_scatter", "index", _meta_as_strided_scatter,
    attrs={"size": REQUIRED, "stride": REQUIRED, "storage_offset": 0}, lower=_lower_as_strided_scatter,
    operands=(MEMORY,), errors=ALL_ERRORS, replaces=True)  # fmt: skip


# --------------------------------------------------------------------------- mask


def _meta_masked_scatter(x: TensorMeta, mask: TensorMeta, src: TensorMeta) -> TensorMeta:
    if mask.dtype.name != "bool":
        raise TypeError(f"masked_scatter needs a bool mask, not {mask.dtype}")
    if x.dtype != src.dtype:
        raise TypeError(f"masked_scatter: the source is {src.dtype}, the tensor {x.dtype}")
    return new_meta(broadcast_shapes(x.shape, mask.shape), x.dtype, x.device)


row("masked_scatter", "extern", _meta_masked_scatter, raises=True)
