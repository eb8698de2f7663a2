"""Element types and memory layout as NumPy has them.

Strides are in elements here, as everywhere in the graph, and may be negative (`x[::-1]`) or zero (a broadcast view).
A new result of an elementwise function or reduction is laid out in "K" order: its axes follow the order of the
operands' strides. The rule is that of NumPy's iterator (numpy/_core/src/multiarray/nditer_constr.c,
npyiter_find_best_axis_ordering): a stable insertion sort of the axes by absolute stride, C order in case of doubt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ....inductor import dtypes
from ....inductor.dtypes import DType
from ....inductor.graph import Dim
from ....inductor.ops.dims import is_one, is_zero, less, same

#: NumPy's name of an element type -> ours; what is not here stays outside of graphs
_SUPPORTED = {name: d for name, d in dtypes.ALL.items() if name != "bfloat16"}
_NUMPY = {d: np.dtype(name) for name, d in _SUPPORTED.items()}

Shape = Sequence[Dim]


def graph_dtype(dtype: np.dtype) -> DType | None:
    """The graph's element type; None for one that graphs do not know (objects, text, dates, other byte orders, ...)."""
    return _SUPPORTED.get(dtype.name) if dtype.isnative and dtype.names is None else None


def numpy_dtype(dtype: DType) -> np.dtype:
    """NumPy's element type. Raises KeyError for bfloat16."""
    return _NUMPY[dtype]


def is_size(value: Any) -> bool:
    """Whether a value is a size that capture knows as an expression only."""
    return hasattr(value, "free_symbols")


def c_strides(shape: Shape) -> tuple[Dim, ...]:
    """Row-major strides."""
    strides: list[Dim] = []
    step: Dim = 1
    for size in reversed(shape):
        strides.append(step)
        step = step * size
    return tuple(reversed(strides))


def _magnitude(stride: Dim) -> Dim:
    if type(stride) is int:
        return abs(stride)
    return -stride if stride.is_negative else stride  # type: ignore[union-attr]


def axis_order(
    operands: Sequence[tuple[Shape, Sequence[Dim]]], ndim: int, repeated_first: bool = False, ones: bool = False
) -> list[int]:
    """Axes from the fastest to the slowest, as the operands (shape, strides) suggest. Missing and size-1 axes abstain.

    repeated_first: axes along which an operand repeats its elements (stride 0) are the fastest, as where arrays are copied;
    else they abstain too
    ones: axes of size 1 do not abstain
    """
    table = _steps(operands, ndim, repeated_first, ones)
    return _inserted(range(ndim - 1, -1, -1), lambda axis, other: _faster(table[axis], table[other]))


def joined_order(operands: Sequence[tuple[Shape, Sequence[Dim]]], ndim: int) -> list[int]:
    """`axis_order` of arrays that are joined. NumPy sorts these from the slowest axis on: one that abstains, as the new one of a
    stack does, stays behind those before it (numpy/_core/src/multiarray/shape.c, PyArray_CreateMultiSortedStridePerm).
    """
    table = _steps(operands, ndim, repeated_first=True)
    return _inserted(range(ndim), lambda axis, other: _faster(table[other], table[axis]))[::-1]


def _steps(
    operands: Sequence[tuple[Shape, Sequence[Dim]]], ndim: int, repeated_first: bool, ones: bool = False
) -> list[list[Dim | None]]:
    """For each axis what each operand steps over along it; None where it abstains."""

    def step(shape: Shape, strides: Sequence[Dim], axis: int) -> Dim | None:
        own = axis - (ndim - len(shape))
        if own < 0 or (is_one(shape[own]) and not ones) or (is_zero(strides[own]) and not repeated_first):
            return None
        return _magnitude(strides[own])

    return [[step(shape, strides, axis) for shape, strides in operands] for axis in range(ndim)]


def _inserted(axes: Iterable[int], before: Callable[[int, int], bool | None]) -> list[int]:
    """The axes sorted by insertion. `before(axis, other)`: whether the axis is to come before one that stands; None: who knows."""
    order: list[int] = []
    for axis in axes:
        place = at = len(order)
        while at > 0:
            at -= 1
            verdict = before(axis, order[at])
            if verdict is True:
                place = at
            elif verdict is False:
                break
        order.insert(place, axis)
    return order


def _faster(one: Sequence[Dim | None], other: Sequence[Dim | None]) -> bool | None:
    """True when `one` is to come before `other`; None when no operand has an opinion. C order wins a conflict."""
    verdict: bool | None = None
    for mine, theirs in zip(one, other):
        if mine is None or theirs is None:
            continue
        if same(mine, theirs) or less(theirs, mine):
            verdict = False
        elif verdict is None:
            verdict = True
    return verdict


def ordered_strides(shape: Shape, order: Sequence[int]) -> tuple[Dim, ...]:
    """Strides without gaps, `order` naming the axes from the fastest to the slowest."""
    strides: list[Dim] = [0] * len(shape)
    step: Dim = 1
    for axis in order:
        strides[axis] = step
        step = step * shape[axis]
    return tuple(strides)


def elementwise_strides(operands: Sequence[tuple[Shape, Sequence[Dim]]], shape: Shape) -> tuple[Dim, ...]:
    """Strides of a new elementwise result of shape `shape`."""
    return ordered_strides(shape, axis_order(operands, len(shape)))


def stacked_strides(operands: Sequence[tuple[Shape, Sequence[Dim]]], stack: int, shape: Shape) -> tuple[Dim, ...]:
    """Strides of new matrices (or vectors, numbers): those of one lie row by row, the `stack` axes before them as operands suggest.

    operands: the shapes and strides of their stacks
    """
    rows = range(len(shape) - 1, stack - 1, -1)
    return ordered_strides(shape, [*rows, *axis_order(operands, stack)])


def reduced_strides(shape: Shape, strides: Sequence[Dim], axes: Sequence[int], keepdims: bool) -> tuple[Dim, ...]:
    """Strides of a new reduction of an array over `axes`: all axes keep their order, those of size 1 too."""
    sizes = [1 if a in axes else s for a, s in enumerate(shape)]
    full = ordered_strides(sizes, axis_order([(shape, strides)], len(shape)))
    return full if keepdims else tuple(s for a, s in enumerate(full) if a not in axes)


def is_c_contiguous(shape: Shape, strides: Sequence[Dim]) -> bool:
    """Row-major without gaps; axes of size 1 do not matter, an empty array is."""
    return _follows(shape, strides, range(len(shape) - 1, -1, -1))


def is_f_contiguous(shape: Shape, strides: Sequence[Dim]) -> bool:
    """Column-major without gaps."""
    return _follows(shape, strides, range(len(shape)))


def _follows(shape: Shape, strides: Sequence[Dim], order: Sequence[int]) -> bool:
    if any(is_zero(s) for s in shape):
        return True
    expected: Dim = 1
    for axis in order:
        if not is_one(shape[axis]):
            if not same(strides[axis], expected):
                return False
            expected = expected * shape[axis]
    return True


def order_strides(shape: Shape, strides: Sequence[Dim], order: str) -> tuple[Dim, ...]:
    """Strides of a copy of an array with `order=` "C", "F", "A" or "K". Raises ValueError for another letter."""
    if order in ("A", "K"):
        by_rows, by_columns = is_c_contiguous(shape, strides), is_f_contiguous(shape, strides)
        if order == "K" and not by_rows and not by_columns:
            return ordered_strides(shape, axis_order([(shape, strides)], len(shape), repeated_first=True))
        order = "F" if by_columns and not by_rows else "C"
    if order == "C":
        return c_strides(shape)
    if order == "F":
        return ordered_strides(shape, range(len(shape)))
    raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")


def reshape_strides(shape: Shape, strides: Sequence[Dim], new: Shape) -> tuple[Dim, ...] | None:
    """Strides with which the array reads as shape `new` without a copy; None when it must be copied.

    The equivalent of NumPy's _attempt_nocopy_reshape: runs of axes that follow each other in memory may be cut anew.
    """
    if is_zero(math.prod(shape)):
        return c_strides(new)
    old = [(n, s) for n, s in zip(shape, strides) if not is_one(n)]
    out: list[Dim] = []
    i = j = 0
    while i < len(old) and j < len(new):
        start_i, start_j = i, j
        have, want = old[i][0], new[j]
        while not same(have, want):
            if less(want, have):
                j += 1
                want = want * new[j]
            else:
                i += 1
                have = have * old[i][0]
        for k in range(start_i, i):
            if not same(old[k][1], old[k + 1][0] * old[k + 1][1]):
                return None
        step = old[i][1]
        run: list[Dim] = []
        for k in range(j, start_j - 1, -1):
            run.append(step)
            step = step * new[k]
        out.extend(reversed(run))
        i, j = i + 1, j + 1
    out.extend([1] * (len(new) - len(out)))
    return tuple(out)


def element_strides(array: Any) -> tuple[int, ...] | None:
    """An array's strides in elements; None when they are not whole elements (a field of a record, say)."""
    size = array.itemsize
    if any(s % size for s in array.strides):
        return None
    return tuple(s // size for s in array.strides)
