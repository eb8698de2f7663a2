"""Shapes: views by another shape or order of axes, and functions that join, repeat, pad and shift."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from ....inductor.graph import Dim
from ....inductor.ops.dims import plain
from ....inductor.ops.promotion import broadcast_shapes
from ....inductor.ops.views import resolve_shape
from . import layout
from .arrays import Array, any_array, unsupported
from .builder import ArrayBuilder
from .layout import is_one, less, same


def wrap_axis(axis: Any, ndim: int) -> int:
    """An axis made non-negative. Raises AxisError when there is none such."""
    _refuse_bool(axis)
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis % ndim


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    axes = tuple(wrap_axis(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    if len(set(axes)) != len(axes):
        raise ValueError("repeated axis")
    return axes


def _refuse_bool(*values: Any) -> None:
    """Raises TypeError: NumPy takes no bool for an int."""
    if any(isinstance(v, (bool, np.bool_)) for v in values):
        raise TypeError("an integer is required")


def integer(k: Any) -> Any:
    """An int argument: Python's int for NumPy's, sizes as they are. Raises TypeError for what is none."""
    return k if layout.is_size(k) else operator.index(k)


def sizes(shape: Any) -> tuple[Dim, ...]:
    """A shape argument: an int, or several."""
    _refuse_bool(*(shape if isinstance(shape, (tuple, list)) else (shape,)))
    return tuple(map(integer, shape if isinstance(shape, (tuple, list)) else (shape,)))


# --------------------------------------------------------------------------- views


def reshape(b: ArrayBuilder, a: Any, shape: Any, order: str = "C", *, copy: bool | None = None) -> Array:
    """A view where memory allows it, else a copy."""
    x = b.lift(a)
    new = resolve_shape(sizes(shape), x.shape)
    if x.scalar and not new:
        return b.snapshot(x)
    if order == "A":
        order = (
            "F"
            if layout.is_f_contiguous(x.shape, x.strides) and not layout.is_c_contiguous(x.shape, x.strides)
            else "C"
        )
    if order == "F":
        return transpose(b, reshape(b, transpose(b, x), new[::-1], copy=copy))
    if order != "C":
        raise ValueError(f"order must be one of 'C', 'F' or 'A' (got {order!r})")
    if copy is not True and layout.reshape_strides(x.shape, x.strides, new) is not None:
        return b.view(x, "reshape", shape=new)
    if copy is False:
        raise ValueError("Unable to avoid creating a copy while reshaping.")
    return b.view(b.copy(x, "C"), "reshape", shape=new)


def reshape_method(b: ArrayBuilder, a: Array, *shape: Any, order: str = "C", copy: bool | None = None) -> Array:
    """`a.reshape(2, 3)` or `a.reshape((2, 3))`."""
    return reshape(b, a, shape[0] if len(shape) == 1 else shape, order, copy=copy)


def ravel(b: ArrayBuilder, a: Any, order: str = "C") -> Array:
    """A view of an array that lies in memory as asked, else a copy. (`reshape(-1)` finds more views.)"""
    x = b.lift(a)
    if order == "K":
        raise unsupported("ravel with order='K'")
    rows = layout.is_c_contiguous(x.shape, x.strides)
    columns = layout.is_f_contiguous(x.shape, x.strides)
    if order == "A":
        order = "F" if columns and not rows else "C"
    in_place = rows if order == "C" else columns
    if x.ndim == 1 and in_place:
        return b.view(x, "alias")
    flat = reshape(b, x, (x.size,), order)
    return flat if in_place else _own(b, flat)


def flatten(b: ArrayBuilder, a: Any, order: str = "C") -> Array:
    x = b.lift(a)
    flat = reshape(b, x, (x.size,), order)
    return b.copy(flat, "C") if flat.storage is x.storage else _own(b, flat)


def _own(b: ArrayBuilder, flat: Array) -> Array:
    """An array of one axis with memory of its own, no view of another one."""
    return flat if flat.parent is None else b.copy(flat, "C")


def transpose(b: ArrayBuilder, a: Any, axes: Any = None) -> Array:
    x = b.lift(a)
    order = tuple(reversed(range(x.ndim))) if axes is None else _axes(axes, x.ndim)
    if len(order) != x.ndim:
        raise ValueError("axes don't match array")
    if x.scalar:
        return b.snapshot(x)
    return b.view(x, "permute", dims=order) if x.ndim else b.view(x, "alias")


def transpose_method(b: ArrayBuilder, a: Array, *axes: Any) -> Array:
    """`a.transpose()`, `a.transpose(1, 0)` or `a.transpose((1, 0))`."""
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        return transpose(b, a, axes[0])
    return transpose(b, a, axes or None)


def matrix_transpose(b: ArrayBuilder, a: Any) -> Array:
    return swapaxes(b, a, -1, -2)


def swapaxes(b: ArrayBuilder, a: Any, axis1: Any, axis2: Any) -> Array:
    x = b.lift(a)
    order = list(range(x.ndim))
    one, other = wrap_axis(axis1, x.ndim), wrap_axis(axis2, x.ndim)
    order[one], order[other] = order[other], order[one]
    return b.view(x, "permute", dims=tuple(order))


def moveaxis(b: ArrayBuilder, a: Any, source: Any, destination: Any) -> Array:
    x = b.lift(a)
    origins, targets = _axes(source, x.ndim), _axes(destination, x.ndim)
    if len(origins) != len(targets):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [d for d in range(x.ndim) if d not in origins]
    for target, origin in sorted(zip(targets, origins)):
        order.insert(target, origin)
    return transpose(b, x, order)


def rollaxis(b: ArrayBuilder, a: Any, axis: Any, start: int = 0) -> Array:
    x = b.lift(a)
    axis = wrap_axis(axis, x.ndim)
    start = start + x.ndim if start < 0 else start
    return moveaxis(b, x, axis, start - 1 if axis < start else start)


def expand_dims(b: ArrayBuilder, a: Any, axis: Any) -> Array:
    x = b.lift(a)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = _axes(axis, x.ndim + count)
    old = iter(x.shape)
    return reshape(b, x, tuple(1 if d in axes else next(old) for d in range(x.ndim + count)))


def squeeze(b: ArrayBuilder, a: Any, axis: Any = None) -> Array:
    x = b.lift(a)
    if axis is None:
        axes = tuple(d for d in range(x.ndim) if is_one(x.shape[d]))
    else:
        if isinstance(axis, list):
            raise TypeError("'list' object cannot be interpreted as an integer")
        axes = _axes(axis, x.ndim)
        if not all(is_one(x.shape[d]) for d in axes):
            raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    if x.scalar:
        return b.snapshot(x)
    return b.view(x, "squeeze", dim=axes) if axes else x


def atleast(ndim: int) -> Any:
    """np.atleast_1d, np.atleast_2d, np.atleast_3d."""

    def apply(b: ArrayBuilder, *arrays: Any) -> Any:
        found = tuple(_atleast(b, b.lift(a), ndim) for a in arrays)
        return found[0] if len(found) == 1 else found

    return apply


def _atleast(b: ArrayBuilder, x: Array, ndim: int) -> Array:
    if not x.ndim:
        return reshape(b, x, (1,) * ndim)
    # where three axes are wanted, one or two axes of elements come first: (1, N, 1) and (M, N, 1)
    places = {(3, 1): (0, 2), (3, 2): (2,), (2, 1): (0,)}
    for dim in places.get((ndim, x.ndim), ()):
        x = b.view(x, "unsqueeze", dim=dim)
    return x


def broadcast_to(b: ArrayBuilder, array: Any, shape: Any, subok: bool = False) -> Array:
    x = b.lift(array)
    new = sizes(shape)
    if broadcast_shapes(x.shape, new) != new:
        raise ValueError(f"operands could not be broadcast together with remapped shapes {x.shape} and {new}")
    return b.view(x, "expand", shape=new)


def broadcast_arrays(b: ArrayBuilder, *arrays: Any, subok: bool = False) -> tuple[Array, ...]:
    lifted = [b.lift(a) for a in arrays]
    xs = [b.copy(x) if x.scalar else x for x in lifted]  # arrays even of one number
    shape = broadcast_shapes(*(x.shape for x in xs))
    return tuple(x if x.shape == shape else b.view(x, "expand", shape=shape).made_by("broadcast_arrays") for x in xs)


def diagonal(b: ArrayBuilder, a: Any, offset: int = 0, axis1: Any = 0, axis2: Any = 1) -> Array:
    x = b.lift(a)
    if x.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    one, other = wrap_axis(axis1, x.ndim), wrap_axis(axis2, x.ndim)
    if one == other:
        raise ValueError("axis1 and axis2 cannot be the same")
    return b.view(
        x, "diagonal", offset=offset if layout.is_size(offset) else operator.index(offset), dim1=one, dim2=other
    )


def flip(b: ArrayBuilder, m: Any, axis: Any = None) -> Array:
    x = b.lift(m)
    axes = tuple(range(x.ndim)) if axis is None else _axes(axis, x.ndim)
    if not x.ndim:
        return b.fresh(b.node(x), scalar=True)
    return b.view(x, "flip", dims=axes) if axes else b.view(x, "alias")


def fliplr(b: ArrayBuilder, m: Any) -> Array:
    return flip(b, m, 1)


def flipud(b: ArrayBuilder, m: Any) -> Array:
    return flip(b, m, 0)


def rot90(b: ArrayBuilder, m: Any, k: int = 1, axes: Any = (0, 1)) -> Array:
    x = b.lift(m)
    one, other = (wrap_axis(a, x.ndim) for a in axes)
    if one == other:
        raise ValueError("Axes must be different.")
    k = next(r for r in range(4) if same(integer(k) % 4, r))
    if k == 0:
        return b.view(x, "alias")
    if k == 2:
        return flip(b, flip(b, x, one), other)
    return swapaxes(b, flip(b, x, other), one, other) if k == 1 else flip(b, swapaxes(b, x, one, other), other)


# --------------------------------------------------------------------------- joining and splitting


def _together(b: ArrayBuilder, arrays: Any, dtype: Any) -> list[Array]:
    """The parts in their common dtype."""
    xs = [b.lift(a) for a in arrays]
    if not xs:
        raise ValueError("need at least one array to concatenate")
    wanted = np.result_type(*(x.dtype for x in xs)) if dtype is None else np.dtype(dtype)
    for x in xs:
        if not np.can_cast(x.dtype, wanted, "same_kind"):
            raise TypeError(f"Cannot cast array data from {x.dtype!r} to {wanted!r} according to the rule 'same_kind'")
    return [b.cast(x, wanted) for x in xs]


def _items(arrays: Any, b: ArrayBuilder) -> list[Any]:
    """A sequence of arrays; an array is the sequence of its rows."""
    if isinstance(arrays, Array):
        return [b.view(arrays, "select", dim=0, index=i) for i in range(b.static(arrays.shape[0]))]
    return list(arrays)


def concatenate(b: ArrayBuilder, arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None,
                casting: str = "same_kind") -> Array:  # fmt: skip
    if casting != "same_kind":
        raise unsupported("np.concatenate with casting=")
    xs = _together(b, _items(arrays, b), dtype)
    if axis is None:
        xs, axis = [ravel(b, x) for x in xs], 0
    if any(x.ndim == 0 for x in xs):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    if any(x.ndim != xs[0].ndim for x in xs):
        raise ValueError("all the input array dimensions except for the concatenation axis must match exactly")
    axis = wrap_axis(axis, xs[0].ndim)
    shape = list(xs[0].shape)
    shape[axis] = sum((x.shape[axis] for x in xs[1:]), start=xs[0].shape[axis])
    order = layout.joined_order([(x.shape, x.strides) for x in xs], xs[0].ndim)
    strides = layout.ordered_strides(shape, order)
    return b.into(out, b.call("cat", *xs, strides=strides, dim=axis))


def stack(b: ArrayBuilder, arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None,
          casting: str = "same_kind") -> Array:  # fmt: skip
    xs = [b.lift(x) for x in _items(arrays, b)]
    if not xs:
        raise ValueError("need at least one array to stack")
    if any(x.ndim != xs[0].ndim or not all(same(m, n) for m, n in zip(x.shape, xs[0].shape)) for x in xs):
        raise ValueError("all input arrays must have the same shape")
    axis = wrap_axis(axis, xs[0].ndim + 1)
    return concatenate(b, [b.view(x, "unsqueeze", dim=axis) for x in xs], axis, out, dtype=dtype, casting=casting)


def vstack(b: ArrayBuilder, tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Array:
    return concatenate(b, [_atleast(b, b.lift(a), 2) for a in _items(tup, b)], 0, dtype=dtype, casting=casting)


def hstack(b: ArrayBuilder, tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Array:
    xs = [_atleast(b, b.lift(a), 1) for a in _items(tup, b)]
    return concatenate(b, xs, 0 if xs and xs[0].ndim == 1 else 1, dtype=dtype, casting=casting)


def dstack(b: ArrayBuilder, tup: Any) -> Array:
    return concatenate(b, [_atleast(b, b.lift(a), 3) for a in _items(tup, b)], 2)


def column_stack(b: ArrayBuilder, tup: Any) -> Array:
    xs = [b.lift(a) for a in _items(tup, b)]
    return concatenate(b, [x if x.ndim > 1 else transpose(b, _atleast(b, x, 2)) for x in xs], 1)


def append(b: ArrayBuilder, arr: Any, values: Any, axis: Any = None) -> Array:
    if axis is None:
        return concatenate(b, [ravel(b, arr), ravel(b, values)])
    return concatenate(b, [arr, values], axis)


def array_split(b: ArrayBuilder, ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Array]:
    x = b.lift(ary)
    axis = wrap_axis(axis, x.ndim)
    total = b.static(x.shape[axis])
    if isinstance(indices_or_sections, (int, np.integer)):
        if indices_or_sections <= 0:
            raise ValueError("number sections must be larger than 0.")
        each, extra = divmod(total, int(indices_or_sections))
        lengths = [each + 1] * extra + [each] * (int(indices_or_sections) - extra)
        points = [0, *np.cumsum(lengths).tolist()]
        bounds: list[Any] = list(zip(points, points[1:]))
    else:
        cuts = [operator.index(i) for i in indices_or_sections]
        bounds = list(zip([0, *cuts], [*cuts, total]))
    return [b.view(x, "slice", dim=axis, start=start, end=max(end, start) if start >= 0 <= end else end, step=1)
            for start, end in bounds]  # fmt: skip


def split(b: ArrayBuilder, ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Array]:
    x = b.lift(ary)
    if isinstance(indices_or_sections, (int, np.integer)):
        if indices_or_sections > 0 and b.static(x.shape[wrap_axis(axis, x.ndim)]) % indices_or_sections:
            raise ValueError("array split does not result in an equal division")
    return array_split(b, x, indices_or_sections, axis)


def hsplit(b: ArrayBuilder, ary: Any, indices_or_sections: Any) -> list[Array]:
    x = b.lift(ary)
    return split(b, x, indices_or_sections, 1 if x.ndim > 1 else 0)


def vsplit(b: ArrayBuilder, ary: Any, indices_or_sections: Any) -> list[Array]:
    return split(b, ary, indices_or_sections, 0)


def dsplit(b: ArrayBuilder, ary: Any, indices_or_sections: Any) -> list[Array]:
    return split(b, ary, indices_or_sections, 2)


# --------------------------------------------------------------------------- repeating and shifting


def tile(b: ArrayBuilder, A: Any, reps: Any) -> Array:
    x = b.lift(A)
    times = sizes(reps)
    more = (1,) * (len(times) - x.ndim)
    if all(map(is_one, times)) and isinstance(A, Array) and not A.scalar:
        return _with_axes(b, b.copy(x, "K"), more)
    if not layout.is_zero(x.size):
        refuse_below_zero(times)
    x = _with_axes(b, x, more)
    times = (*(1,) * (x.ndim - len(times)), *times)
    if layout.is_zero(x.size):  # no copy is made of no elements
        return reshape(b, x, [n * t for n, t in zip(x.shape, times)])
    return b.view(b.call("repeat", x, scalar=False, repeats=times), "alias")


def refuse_below_zero(counts: Iterable[Dim]) -> None:
    """Raise what NumPy raises for a size below zero; those that change stay where they are."""
    if any(less(n, 0) for n in counts):
        raise ValueError("negative dimensions are not allowed")


def _with_axes(b: ArrayBuilder, x: Array, more: tuple[int, ...]) -> Array:
    """The array with as many axes in front."""
    for _ in more:
        x = b.view(x, "unsqueeze", dim=0)
    return x


def repeat(b: ArrayBuilder, a: Any, repeats: Any, axis: Any = None) -> Array:
    if any_array(repeats):
        raise unsupported("np.repeat with counts that are an array", why="the result's size depends on the data")
    x = b.lift(a)
    if axis is None:
        x, axis = ravel(b, x), 0
    axis = wrap_axis(axis, x.ndim)
    if layout.is_size(repeats):
        return b.call("repeat_interleave", x, scalar=False, repeats=repeats, dim=axis)
    counts = np.asarray(repeats)
    if counts.dtype.kind not in "biu":
        raise TypeError(f"Cannot cast array data from {counts.dtype!r} to dtype('int64') according to the rule 'safe'")
    if counts.size == 1:
        return b.call("repeat_interleave", x, scalar=False, repeats=int(counts.ravel()[0]), dim=axis)
    index = np.repeat(np.arange(b.static(x.shape[axis])), counts)
    return b.call("index_select", x, b.constant(index), scalar=False, dim=axis)


def roll(b: ArrayBuilder, a: Any, shift: Any, axis: Any = None) -> Array:
    x = b.lift(a)
    if any_array(shift):
        raise unsupported("np.roll by an amount that is not known during capture")
    shifts = sizes(shift)
    if axis is None:
        flat = roll(b, ravel(b, x), sum(shifts), 0)
        return reshape(b, flat, x.shape)
    axes = [wrap_axis(d, x.ndim) for d in sizes(axis)]
    if not x.ndim:
        raise ValueError("np.roll of an array of no axes, along axes")
    amounts: dict[int, Dim] = {}
    for amount, d in np.broadcast(np.asarray(shifts, object), np.asarray(axes)):
        amounts[int(d)] = amounts.get(int(d), 0) + plain(amount)
    if layout.is_zero(x.size) or not amounts:
        return b.copy(x, "K")
    if any(not isinstance(x.shape[d], int) and less(x.shape[d], abs(amount)) for d, amount in amounts.items()):
        raise unsupported("np.roll by more than a size that is dynamic")
    strides = layout.order_strides(x.shape, x.strides, "K")
    return b.call("roll_dims", x, strides=strides, scalar=False, shifts=tuple(amounts.values()), dims=tuple(amounts))


#: np.pad without its overloads
pad_constant: Any = np.pad
_PAD_MODES = {"constant": "constant", "edge": "replicate", "reflect": "reflect", "wrap": "circular"}


def pad(b: ArrayBuilder, array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Array:
    x = b.lift(array)
    if isinstance(pad_width, dict) or any_array(pad_width):
        raise unsupported("np.pad with these widths")
    if mode not in (*_PAD_MODES, "symmetric") or set(kwargs) - {"constant_values"}:
        raise unsupported(f"np.pad with mode={mode!r}", rewrite="use constant, edge, reflect, symmetric or wrap")
    widths = np.broadcast_to(np.asarray(pad_width, object), (x.ndim, 2))
    if not all(isinstance(w, (int, np.signedinteger)) or layout.is_size(w) for w in widths.flat):
        raise TypeError("`pad_width` must be of integral type.")
    if any(less(w, 0) for w in map(plain, widths.flat)):
        raise ValueError("index can't contain negative values")
    strides = None
    if layout.is_f_contiguous(x.shape, x.strides) and not layout.is_c_contiguous(x.shape, x.strides):
        strides = layout.ordered_strides([s + plain(w.sum()) for s, w in zip(x.shape, widths)], range(x.ndim))
    flat = [plain(w) for pair in widths[::-1].tolist() for w in pair]
    if all(map(layout.is_zero, flat)):
        return b.copy(x, "A")
    if mode == "constant":
        values = np.asarray(kwargs.get("constant_values", 0))
        if values.dtype == object or values.size != 1:
            raise unsupported("np.pad with several constant_values")
        value = values.astype(x.dtype).item()
        return b.call("pad", x, strides=strides, pad=tuple(flat), mode="constant", value=value)
    if mode == "symmetric" or any(less(limit, w) for w, limit in _pad_limits(mode, x, widths)):
        return _pad_by_index(b, x, widths, mode)
    return b.call("pad", x, strides=strides, pad=tuple(flat), mode=_PAD_MODES[mode], value=None)


def _pad_limits(mode: str, x: Array, widths: np.ndarray) -> list[tuple[Dim, Dim]]:
    """(width, largest width for which the border is a single pass over the array)."""
    reach = {
        "edge": lambda n: 1 << 40 if not layout.is_zero(n) else 0,
        "reflect": lambda n: n - 1,
        "wrap": lambda n: n,
    }[mode]
    return [(plain(w), reach(n)) for n, pair in zip(x.shape, widths) for w in pair]


def _pad_by_index(b: ArrayBuilder, x: Array, widths: np.ndarray, mode: str) -> Array:
    """Padding as a choice of elements: each axis by the positions that NumPy's own pad puts there."""
    for d, (before, after) in enumerate(widths.tolist()):
        if before or after:
            positions = pad_constant(np.arange(b.static(x.shape[d])), (b.static(before), b.static(after)), mode)
            x = b.call("index_select", x, b.constant(positions), scalar=False, dim=d)
    return x


def sliding_window_view(b: ArrayBuilder, x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False,
                      writeable: bool = False) -> Array:  # fmt: skip
    """np.lib.stride_tricks.sliding_window_view."""
    x = b.lift(x)
    window = sizes(window_shape)
    axes = tuple(range(x.ndim)) if axis is None else tuple(
        wrap_axis(a, x.ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))  # fmt: skip
    if len(window) != len(axes):
        raise ValueError(f"Must provide matching length window_shape and axis; got {len(window)} and {len(axes)}")
    if writeable:
        raise unsupported("sliding_window_view with writeable=True")
    for d, size in zip(axes, window):
        x = b.view(x, "unfold", dimension=d, size=size, step=1)
    return x
