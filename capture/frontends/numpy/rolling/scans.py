"""Running totals, and what a ufunc makes of all elements: `np.cumsum`, `np.maximum.accumulate`, `np.add.reduce` and their kin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .....inductor.sequential.program import Scan
from . import elements, functions
from .joining import as_array
from .kinds import FALSE, NONE, CannotRoll, Elements, InMemory, Trace, literal
from .rearranging import at_places
from .ufuncs import cast

#: the axis that a method of a ufunc takes where none is given
_FIRST = literal(0)


def _scanned(t: Trace, op: str, a: Elements, axis: int, dtype: np.dtype) -> InMemory:
    """A new array of what the elements up to each place along an axis make."""
    a = at_places(t, a)
    made = elements.new(t, a.sizes, dtype, by_rows=a.by_rows)
    index = t.index(a.ndim)
    t.emit(Scan(made.ref, op, axis, index, cast(a.at(index), dtype), a.guards(index)))
    return made


def _of_sums(dtype: np.dtype) -> np.dtype:
    """The type of sums and products: those of integers are of 64 bits."""
    return dtype if dtype.kind in "fc" else np.dtype(np.uint64 if dtype.kind == "u" else np.int64)


def _running(op: str) -> Callable[..., Any]:
    """`np.cumsum`, `np.cumprod`: along all elements where no axis is given."""

    def apply(t: Trace, a: Any, axis: Any = NONE, dtype: Any = NONE) -> Any:
        array = as_array(t, a)
        if axis == NONE and array.ndim != 1:
            array = elements.raveled(t, elements.in_memory(t, replace(array, by_rows=True), fresh=True))
        along = (0,) if axis == NONE else t.axes(axis, array.ndim)
        return _accumulated(t, op, array, along, dtype, _of_sums(array.dtype))

    return apply


def _accumulate(op: str) -> Callable[..., Any]:
    """`ufunc.accumulate`."""

    def apply(t: Trace, a: Any, axis: Any = _FIRST, dtype: Any = NONE) -> Any:
        array = as_array(t, a)
        default = _of_sums(array.dtype) if op in ("add", "mul") else array.dtype
        return _accumulated(t, op, array, t.axes(axis, array.ndim), dtype, default)

    return apply


def _accumulated(t: Trace, op: str, a: Elements, axes: Any, dtype: Any, default: np.dtype) -> InMemory:
    wanted = t.dtype(dtype, default)
    if axes is None or len(axes) != 1 or a.kind == "c" and wanted.kind != "c" or a.kind == "f" and wanted.kind in "iub":
        raise CannotRoll("a running total along other than one axis, or of another type")
    if wanted.kind == "b" or wanted.kind == "c" and op in ("max", "min"):
        raise CannotRoll(f"running totals of {wanted}")
    return _scanned(t, op, a, axes[0], wanted)


def _reduce(name: str) -> Callable[..., Any]:
    """`ufunc.reduce`, along the first axis where none is given."""

    def apply(t: Trace, a: Any, axis: Any = _FIRST, keepdims: Any = FALSE) -> Any:
        array = as_array(t, a)
        if array.kind == "b" and name not in ("any", "all"):
            raise CannotRoll(f"np.{name} of truth values")
        return functions.FUNCTIONS[getattr(np, name)](t, array, axis, keepdims=keepdims)

    return apply


_SCANS = {np.add: "add", np.multiply: "mul", np.maximum: "max", np.minimum: "min"}
_REDUCTIONS = {np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min",
               np.logical_or: "any", np.logical_and: "all"}  # fmt: skip

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.cumsum: _running("add"), np.cumprod: _running("mul"),
    **{ufunc.accumulate: _accumulate(op) for ufunc, op in _SCANS.items()},
    **{ufunc.reduce: _reduce(name) for ufunc, name in _REDUCTIONS.items()},
}  # fmt: skip
METHODS: dict[str, Callable[..., Any]] = {"cumsum": _running("add"), "cumprod": _running("mul")}
