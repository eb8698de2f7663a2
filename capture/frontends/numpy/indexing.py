"""Reading and writing parts: `x[key]`, `x[key] = v`, take, put and choose.

Slices, integers, None and ... make views. Integer arrays choose elements: their values are checked against the bounds
when the compiled function runs, as NumPy does. Boolean masks may be written through (`x[mask] = v` is a choice
between old and new); reading `x[mask]` has a size that depends on the data and breaks the graph.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....inductor.bounds import is_below
from ....inductor.dtypes import float64
from ....inductor.graph import Dim, Input, Node, TensorMeta
from ....inductor.ops.dims import less, plain
from ....inductor.ops.indexing import index_layout
from ....inductor.ops.promotion import broadcast_shapes
from ...values.overlap import Overlap, overlap
from . import layout
from .arrays import Array, Masked, any_array, known_number, same_mask, unsupported
from .builder import ArrayBuilder
from .shaping import moveaxis, ravel, wrap_axis
from .ufuncs import is_weak, operand

_BOOL, _INT64 = np.dtype(bool), np.dtype(np.int64)


# --------------------------------------------------------------------------- keys


def _items(key: Any) -> list[Any]:
    """A key as a list of its parts; lists, tuples inside and NumPy arrays as arrays of positions. Raises IndexError for what is no
    index, Unsupported for sequences that hold arrays.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    for i, p in enumerate(parts):
        if isinstance(p, (list, tuple)):
            if _holds_array(p):
                raise unsupported("an index that is a sequence of computed numbers", rewrite="index with an array")
            parts[i] = p = np.asarray(p)
        if not (
            p is None or p is Ellipsis or isinstance(p, slice) or _is_integer(p) or _is_positions(p) or _is_mask(p)
        ):
            raise IndexError("only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays "
                             "are valid indices")  # fmt: skip
    return parts


def _holds_array(value: Any) -> bool:
    """Whether a sequence holds what is known when the graph runs: arrays and sizes."""
    return isinstance(value, (list, tuple)) and any(
        isinstance(v, Array) or layout.is_size(v) or _holds_array(v) for v in value
    )


def _is_mask(part: Any) -> bool:
    return isinstance(part, (bool, np.bool_)) or (isinstance(part, (Array, np.ndarray)) and part.dtype == _BOOL)


def _is_positions(part: Any) -> bool:
    """An integer array of at least no axes that is not a known integer."""
    return isinstance(part, (Array, np.ndarray)) and part.dtype != _BOOL


def _is_integer(part: Any) -> bool:
    return (isinstance(part, (int, np.integer)) and not isinstance(part, bool)) or layout.is_size(part)


def _expanded(parts: list[Any], ndim: int) -> list[Any]:
    """The key with its ellipsis written out. Raises IndexError for too many indices."""
    used = sum(1 if _is_integer(p) or isinstance(p, slice) or _is_positions(p) else getattr(p, "ndim", 0) if _is_mask(p) else 0
               for p in parts)  # fmt: skip
    if used > ndim:
        raise IndexError(f"too many indices for array: array is {ndim}-dimensional, but {used} were indexed")
    dots = [i for i, p in enumerate(parts) if p is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    at = dots[0] if dots else len(parts)
    return [*parts[:at], *[slice(None)] * (ndim - used), *parts[at + 1 :]]


# --------------------------------------------------------------------------- views


def _basic(b: ArrayBuilder, x: Array, parts: Sequence[Any]) -> Array:
    """The view by slices, integers and None; other parts keep their axis."""
    axis = 0
    for part in parts:
        if part is None:
            x = b.view(x, "unsqueeze", dim=axis)
            axis += 1
        elif _is_integer(part):
            x = b.view(x, "select", dim=axis, index=_bounded(part, x.shape[axis], axis))
        elif isinstance(part, slice):
            x = _slice(b, x, axis, part)
            axis += 1
        else:
            axis += 1
    return x


def _bounded(index: Any, size: Dim, axis: int) -> Dim:
    if layout.is_size(index) or not isinstance(size, int):
        return index if layout.is_size(index) else operator.index(index)
    index = operator.index(index)
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of bounds for axis {axis} with size {size}")
    return index % size if size else index


def _slice(b: ArrayBuilder, x: Array, axis: int, part: slice) -> Array:
    start, stop, step = (
        None if v is None else v if layout.is_size(v) else _bound(v) for v in (part.start, part.stop, part.step)
    )
    step = 1 if step is None else step
    if step == 0:
        raise ValueError("slice step cannot be zero")
    size = x.shape[axis]
    if less(0, step):
        if start is None and stop is None and step == 1:
            return x
        if not any(map(layout.is_size, (start, stop, step, size))):
            start, stop, _ = slice(start, stop, step).indices(size)
            stop = max(start, stop)
        return b.view(x, "slice", dim=axis, start=start, end=stop, step=step)
    # backward: the same elements forward, then flipped
    if not any(map(layout.is_size, (start, stop, step, size))):
        positions = range(*slice(start, stop, step).indices(size))
        first, last = (positions[-1], positions[0] + 1) if positions else (0, 0)
        whole = len(positions) == size
    elif start is None and stop is None:
        whole, first, last = step == -1, plain((size - 1) % -step), size
    else:
        raise unsupported("a backward slice with bounds, along an axis whose size is dynamic")
    forward = x if whole else b.view(x, "slice", dim=axis, start=first, end=last, step=-step)
    return b.view(forward, "flip", dims=(axis,))


def _bound(value: Any) -> int:
    if isinstance(value, Array):
        raise unsupported("a slice bound that is not known during capture", why="the result's size depends on the data")
    return operator.index(value)


# --------------------------------------------------------------------------- reading


def getitem(b: ArrayBuilder, x: Array, key: Any) -> Any:
    """`x[key]`."""
    parts = _items(key)
    if any(_is_mask(p) for p in parts):
        return _chosen(b, x, parts)
    parts = _expanded(parts, x.ndim)
    if any(_is_positions(p) for p in parts):
        view, indices = _advanced(b, x, parts)
        strides = _advanced_strides(view, indices)
        node = b.emit("index", b.node(view), *indices, strides=strides)
        if node.shape and all(isinstance(p, Array) and p.scalar for p in parts if _is_positions(p)):
            raise unsupported("a part of an array at a position that is a computed number", why="it is a view at a place that depends on the data",
                              rewrite="index with an array (`x[[i]]`) to get a copy", code="data-dependent-scalar")  # fmt: skip
        return b.call_node(node)
    if x.scalar and not parts and not _identity_items(key):
        return b.snapshot(x)
    view = _basic(b, x, parts)
    if not view.ndim and Ellipsis not in _identity_items(key):
        known = known_number(view)
        if known is not None:
            return b.number(known, view.dtype)
        return b.fresh(b.node(view), scalar=True)
    return view if view is not x else b.view(x, "alias")


def _chosen(b: ArrayBuilder, x: Array, parts: list[Any]) -> Masked:
    """`x[mask]`, the mask alone or followed by plain slices."""
    parts = _expanded(parts, x.ndim)
    mask = b.lift(parts[0]) if _is_mask(parts[0]) else None
    if mask is None or (not mask.ndim and x.ndim) or not _follow_mask(parts[1:]):
        raise unsupported("a boolean mask together with other indices", why="the size of the result depends on the data",
                          rewrite="use np.where(mask, x, 0)", code="data-dependent-shape")  # fmt: skip
    _check_mask(x, mask, x.shape, 0)
    x = _basic(b, x, [*(slice(None),) * mask.ndim, *parts[1:]])
    return Masked(b.snapshot(x), b.snapshot(mask))


def _follow_mask(parts: Sequence[Any]) -> bool:
    """Whether `x[mask, *parts]` is `x[:, *parts][mask]`: slices, and integers right behind the mask."""
    slices = [isinstance(p, slice) for p in parts]
    return all(s or _is_integer(p) for s, p in zip(slices, parts)) and slices == sorted(slices)


def _check_mask(x: Array, mask: Array, shape: Sequence[Dim], axis: int) -> None:
    """Raises IndexError for a mask of another shape than the axes it stands for."""
    if not all(layout.same(m, n) for m, n in zip(mask.shape, shape[axis : axis + mask.ndim])):
        raise IndexError(f"boolean index did not match indexed array along axis {axis}; shape of the array is {x.shape} but "
                         f"the mask's is {mask.shape}")  # fmt: skip


def _identity_items(key: Any) -> list[Any]:
    """Ellipsis, if the key holds it. (`in` would compare arrays.)"""
    return [p for p in (key if isinstance(key, tuple) else (key,)) if p is Ellipsis]


def _advanced(b: ArrayBuilder, x: Array, parts: list[Any]) -> tuple[Array, list[Node | None]]:
    """(the view that slices leave, an index node or None for each of its axes).

    Next to integer arrays a plain integer counts as an array too: it takes part in deciding where the result's axes go.
    """
    kept = [np.asarray(p) if _is_integer(p) and not layout.is_size(p) else p for p in parts]
    if any(layout.is_size(p) for p in kept):
        raise unsupported("an index that mixes integer arrays and dynamic sizes")
    view = _basic(b, x, kept)
    indices: list[Node | None] = []
    for axis, part in enumerate(p for p in kept):
        indices.append(_positions(b, part, view.shape[axis], axis) if _is_positions(part) else None)
    while indices and indices[-1] is None:
        indices.pop()
    return view, indices


def _advanced_strides(view: Array, indices: Sequence[Node | None]) -> tuple[Dim, ...]:
    """NumPy's layout of `x[indices]`: the indices' axes are outermost, in row-major order, before the axes of `x` that
    stay, in their own order; then the axes go where they belong. Nothing but indices: laid out as they are.
    """
    metas = [None if i is None else i.meta for i in indices]
    dims, shape, position = index_layout(TensorMeta(view.shape, view.shape, float64), metas)
    given = [(m.shape, m.stride) for m in metas if m is not None]
    rest = [d for d in range(view.ndim) if d not in dims]
    if not rest:
        return layout.elementwise_strides(given, shape)
    kept = tuple(view.shape[d] for d in rest)
    order = layout.axis_order([(kept, tuple(view.strides[d] for d in rest))], len(rest), repeated_first=True, ones=True)
    lead = len(shape)
    fastest_first = [*(lead + a for a in order), *range(lead - 1, -1, -1)]
    strides = layout.ordered_strides((*shape, *kept), fastest_first)
    return (*strides[lead : lead + position], *strides[:lead], *strides[lead + position :])


def _positions(b: ArrayBuilder, part: Any, size: Dim, axis: int) -> Node:
    """An index array's node: int64, within bounds or wrapped. Raises IndexError for known values out of bounds."""
    if isinstance(part, np.ndarray):
        if part.size == 0 and part.dtype == np.float64:
            part = part.astype(np.int64)
        if part.dtype.kind not in "iu":
            raise IndexError("arrays used as indices must be of integer (or boolean) type")
        if isinstance(size, int):
            bad = part[(part < -size) | (part >= size)]
            if bad.size:
                raise IndexError(f"index {bad.flat[0]} is out of bounds for axis {axis} with size {size}")
            part = np.where(part < 0, part + size, part)
        return b.node(b.constant(part.astype(np.int64)))
    index = b.lift(part)
    if index.kind not in "iu":
        raise IndexError("arrays used as indices must be of integer (or boolean) type")
    return b.node(checked(b, index, size, axis))


def checked(b: ArrayBuilder, index: Array, size: Dim, axis: int) -> Array:
    """The index as int64, checked against the bounds at run time unless it is known to be inside."""
    if is_below(b.node(index), size):
        return b.cast(index, _INT64)
    target = "quern.capture.frontends.numpy.checks:indices"
    strides = layout.order_strides(index.shape, index.strides, "K")
    call = [Input(0), size, axis]
    return b.extern(target, [index], call, index.shape, _INT64, strides=strides, scalar=index.scalar, below=size)


def unstack(b: ArrayBuilder, x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """np.unstack: the rows along an axis."""
    a = b.lift(x)
    d = wrap_axis(axis, a.ndim)
    return tuple(getitem(b, a, (*(slice(None),) * d, i)) for i in range(b.static(a.shape[d])))


def extract(b: ArrayBuilder, condition: Any, arr: Any) -> Any:
    """np.extract of a condition in the array's shape."""
    mask, x = b.cast(b.lift(condition), np.dtype(bool)), b.lift(arr)
    if mask.ndim != x.ndim or not all(layout.same(m, n) for m, n in zip(mask.shape, x.shape)) or not x.ndim:
        raise unsupported("np.extract with a condition of another shape", code="data-dependent-shape")
    return Masked(b.snapshot(x), b.snapshot(mask))


def place(b: ArrayBuilder, arr: Any, mask: Any, vals: Any) -> None:
    """np.place of one number."""
    several = isinstance(vals, (list, tuple)) or (isinstance(vals, (Array, np.ndarray)) and vals.ndim)
    if not isinstance(arr, Array) or several:
        raise unsupported("np.place with several values")
    refuse_unsafe(b, "np.place", arr, vals)
    setitem(b, arr, b.cast(b.lift(mask), np.dtype(bool)), vals)


def refuse_unsafe(b: ArrayBuilder, what: str, arr: Array, vals: Any) -> None:
    """Values that have a dtype must be safe to convert; NumPy raises where they are not. Python's numbers are cut."""
    if not is_weak(vals) and not np.can_cast(b.lift(vals).dtype, arr.dtype):
        raise unsupported(f"{what} of {b.lift(vals).dtype} into {arr.dtype}")


def take(b: ArrayBuilder, a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    x = b.lift(a)
    if axis is None:
        x, axis = ravel(b, x), 0
    axis = wrap_axis(axis, x.ndim)
    size = x.shape[axis]
    if out is not None and not (isinstance(out, Array) and out.dtype == x.dtype):
        raise unsupported("np.take with out= of another dtype")
    if mode != "raise":
        raise unsupported(f"np.take with mode={mode!r}", rewrite="wrap or clip the indices first")
    if _is_integer(indices):
        chosen = getitem(b, x, (*(slice(None),) * axis, indices))
        return b.into(out, chosen if chosen.scalar else b.copy(chosen, "C"))  # `x[i]` is a view, this is none
    chosen = np.asarray(indices) if isinstance(indices, (list, tuple)) and not _holds_array(list(indices)) else indices
    index = _positions(b, chosen, size, axis)
    return b.into(out, b.call_node(b.emit("index", b.node(x), *(None,) * axis, index, strides="C")))


def take_along_axis(b: ArrayBuilder, arr: Any, indices: Any, axis: Any = -1) -> Array:
    x, index = b.lift(arr), b.lift(indices)
    if axis is None:
        x, axis = ravel(b, x), 0
    axis = wrap_axis(axis, x.ndim)
    if x.ndim != index.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    if index.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    index = checked(b, index, x.shape[axis], axis)
    return b.call("take_along_dim", x, index, scalar=False, dim=axis)


# --------------------------------------------------------------------------- writing


def setitem(b: ArrayBuilder, x: Array, key: Any, value: Any) -> None:
    """`x[key] = value`."""
    if x.scalar:
        raise TypeError(f"'{x.dtype.type.__module__}.{x.dtype.type.__name__}' object does not support item assignment")
    if not x.writeable:
        raise ValueError("assignment destination is read-only")
    x.guard_writeable(b.ev)  # also where nothing is written
    parts = _items(key)
    if any(_is_mask(p) for p in parts):
        _set_mask(b, x, parts, value)
        return
    ellipsis = any(p is Ellipsis for p in parts)
    parts = _expanded(parts, x.ndim)
    if not any(_is_positions(p) for p in parts):
        view = _basic(b, x, parts)
        if not (view.ndim or ellipsis) and x.ndim and isinstance(value, Array) and value.ndim:
            raise unsupported("writing an array with axes to one place", why="NumPy warns of it, or refuses it")
        there = (
            isinstance(value, Array)
            and not value.scalar
            and value.dtype == view.dtype
            and value.shape == view.shape
            and overlap(view, value) is Overlap.SAME
        )
        if not there:  # as after `x[key] += 1`
            b.write(view, stored(b, value, x.dtype))
        return
    view, indices = _advanced(b, x, parts)
    b.write(view, put(b, view, indices, _value(b, value, x.dtype)))


def fill_diagonal(b: ArrayBuilder, a: Any, val: Any, wrap: bool = False) -> None:
    """One number on the diagonal of a matrix."""
    if (
        not isinstance(a, Array)
        or a.ndim != 2
        or wrap
        or (any_array(val) and b.lift(val).ndim)
        or isinstance(val, (list, tuple))
    ):
        raise unsupported("np.fill_diagonal of anything but a matrix, or with several values")
    b.write(b.view(a, "diagonal", offset=0, dim1=0, dim2=1).made_by("einsum"), _value(b, val, a.dtype))


def stored(b: ArrayBuilder, value: Any, dtype: np.dtype) -> Array:
    """The right-hand side of an assignment to a slice. A float of NumPy's is made an int of Python's where signed integers are stored."""
    if not (isinstance(value, Array) and value.scalar and not value.number and value.kind == "f" and dtype.kind == "i"):
        return _value(b, value, dtype)
    return b.extern("quern.capture.frontends.numpy.checks:whole", [value], [Input(0), dtype.name], (), dtype)


def _value(b: ArrayBuilder, value: Any, dtype: np.dtype) -> Array:
    """The right-hand side in the array's dtype; a Python int must fit."""
    return operand(b, value, dtype) if is_weak(value) or type(value) is bool else b.cast(b.lift(value), dtype)


def put(b: ArrayBuilder, view: Array, indices: Sequence[Node | None], value: Array, accumulate: bool = False) -> Array:
    """`view` with the elements at `indices` replaced (or added to)."""
    node = b.node(value)
    target = b.builder.ops["index"].meta(b.node(view).meta, *[None if i is None else i.meta for i in indices]).shape
    while len(node.shape) > len(target) and layout.is_one(node.shape[0]):
        node = b.emit("select", node, dim=0, index=0)
    if broadcast_shapes(node.shape, target) != target:
        raise ValueError(f"shape mismatch: value array of shape {value.shape} could not be broadcast to indexing result "
                         f"of shape {target}")  # fmt: skip
    node = b.emit("index_put", b.node(view), node, *indices, accumulate=accumulate)
    return b.fresh(node)


def _set_mask(b: ArrayBuilder, x: Array, parts: list[Any], value: Any) -> None:
    """`x[mask] = v`, also `x[mask, ...]` and `x[rows, mask]` with slices: a choice between old and new elements."""
    parts = _expanded(parts, x.ndim)
    masks = [p for p in parts if _is_mask(p)]
    if len(masks) > 1 or any(_is_positions(p) for p in parts):
        raise unsupported("assigning through a mask together with other arrays")
    before = parts[: next(i for i, p in enumerate(parts) if _is_mask(p))]
    mask = b.lift(masks[0])
    axis = sum(1 for p in before if not _is_integer(p))
    stand_ins: list[Any] = []
    for p in parts:
        stand_ins.extend([slice(None)] * mask.ndim if _is_mask(p) else [p])
    view = _basic(b, x, stand_ins)
    _check_mask(x, mask, view.shape, axis)
    if isinstance(value, Masked):
        if axis or view.ndim != value.array.ndim or not same_mask(value, Masked(view, mask), b.ev):
            raise unsupported("elements chosen by one mask written through another", code="data-dependent-shape")
        value = value.array
        new = b.cast(value, x.dtype)
        _put_where(b, view, mask, new, axis)
        return
    new = _value(b, value, x.dtype)
    if new.ndim and (axis or new.ndim > view.ndim - mask.ndim):
        if not (new.ndim == 1 and layout.is_one(new.shape[0])):
            raise unsupported("assigning several values through a boolean mask", why="how many are needed depends on the data",
                              rewrite="use np.where(mask, values, x)", code="data-dependent-shape")  # fmt: skip
        new = b.view(new, "select", dim=0, index=0)
    _put_where(b, view, mask, new, axis)


def _put_where(b: ArrayBuilder, view: Array, mask: Array, new: Array, axis: int) -> None:
    """New elements where the mask, which stands for the axes from `axis` on, holds."""
    for _ in range(view.ndim - axis - mask.ndim):
        mask = b.view(mask, "unsqueeze", dim=mask.ndim)
    b.write(view, b.elementwise("where", mask, new, view))


def add_at(b: ArrayBuilder, ufunc: np.ufunc, a: Array, indices: Any, values: Any = None) -> None:
    """`np.add.at(a, indices, values)`: repeated positions add up."""
    if ufunc not in (np.add, np.subtract) or not isinstance(a, Array):
        raise unsupported(f"np.{ufunc.__name__}.at")
    if not np.can_cast(b.lift(values).dtype, a.dtype, "same_kind"):
        raise unsupported(f"np.{ufunc.__name__}.at with values of a wider type")
    parts = _items(indices)
    if any(_is_mask(p) for p in parts):
        raise unsupported(f"np.{ufunc.__name__}.at with a mask")
    parts = _expanded(parts, a.ndim)
    if not any(_is_positions(p) for p in parts):
        raise unsupported(f"np.{ufunc.__name__}.at without an integer array")
    value = _value(b, values, a.dtype)
    if ufunc is np.subtract:
        value = b.elementwise("neg", value)
    view, nodes = _advanced(b, a, parts)
    b.write(view, put(b, view, nodes, value, accumulate=True))


__all__ = ["moveaxis"]
