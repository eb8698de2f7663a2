"""NumPy functions that call the user's functions, as Python over functions that graphs know. Never run: capture inlines it.

Each follows NumPy's documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    x = np.asanyarray(x)
    conditions = list(condlist) if isinstance(condlist, (list, tuple)) else [condlist]
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        held = conditions[0]
        for condition in conditions[1:]:
            held = held | condition
        conditions.append(~held)
    elif len(functions) != len(conditions):
        n = len(conditions)
        raise ValueError(f"with {n} condition(s), either {n} or {n + 1} functions are expected")
    y = np.zeros_like(x)
    for condition, function in zip(conditions, functions):
        y[condition] = function(x[condition], *args, **kw) if callable(function) else function
    return y


def fromfunction(
    function: Callable[..., Any], shape: Any, *, dtype: Any = float, like: Any = None, **kwargs: Any
) -> Any:
    return function(*np.indices(shape, dtype=dtype), **kwargs)


def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    arr = np.asanyarray(arr)
    axis = axis % arr.ndim
    rows = np.moveaxis(arr, axis, -1)
    lead = rows.shape[:-1]
    flat = rows.reshape(-1, rows.shape[-1])
    made = [np.asanyarray(func1d(row, *args, **kwargs)) for row in flat]
    inner = made[0].shape
    stacked = np.stack(made).reshape(lead + inner)
    order = list(range(len(lead) + len(inner)))
    return stacked.transpose(order[:axis] + order[len(lead) :] + order[axis : len(lead)])


#: rows that are written out one by one
MAX_ROWS = 64
INLINED: dict[Any, Callable[..., Any]] = {
    np.piecewise: piecewise,
    np.fromfunction: fromfunction,
    np.apply_along_axis: apply_along_axis,
}
