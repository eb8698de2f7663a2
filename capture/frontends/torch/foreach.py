"""`torch._foreach_mul_(xs, ys)` and its kin: the same operator over lists of tensors, captured as one call for each position.

Eager runs them so too, where it has no kernel for lists. What does not fit (lists of different lengths) is left to the framework.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ...values.base import Args, Handler, Kwargs, Value
from ...values.sequences import ListValue, TupleValue
from ...values.tensor import ArrayValue
from .externs import handler_of_unknown
from .handlers import METHODS
from .inplace import call_inplace, is_inplace
from .recording import recorded, recording_handler

if TYPE_CHECKING:
    from ...values.base import Machine

_PREFIX = "_foreach_"
#: operators whose last positional argument is a keyword of the method
_WITH_VALUE = frozenset(("addcdiv", "addcmul"))
#: the same operators over lists and over tensors, each with a form that writes
_OPERATORS = frozenset(
    "abs acos add addcdiv addcmul asin atan ceil clamp_max clamp_min copy cos cosh div erf erfc exp expm1 floor frac lerp "
    "lgamma log log10 log1p log2 mul neg pow reciprocal round rsqrt sigmoid sign sin sinh sqrt sub tan tanh trunc zero".split()
)


def foreach_handler(fn: Any) -> Handler | None:
    """The handler of one of these functions; None for any other."""
    name = getattr(fn, "__name__", "")
    if not name.startswith(_PREFIX) or getattr(torch, name, None) is not fn:
        return None
    method = name.removeprefix(_PREFIX)
    if method.removesuffix("_") not in _OPERATORS:
        return None
    unknown = handler_of_unknown(fn)

    def call(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        rows = _rows(ev, method, args, kwargs)
        if rows is None:
            return unknown(ev, args, kwargs)
        results = [_recorded_call(ev, method, *row) for row in rows]
        return args[0] if is_inplace(method) else TupleValue(results)

    whole = recording_handler(fn, call)

    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        # what is a tensor during capture is a number in eager (see `queries`), which takes no list of tensors here
        numbers = _items(ev, args[3]) if len(args) == 4 else None
        return (call if any(isinstance(n, ArrayValue) for n in numbers or ()) else whole)(ev, args, kwargs)

    return handler


def _recorded_call(ev: Machine, method: str, args: Sequence[Value], kwargs: Kwargs) -> Value:
    return recorded(ev, "call_method", method, args, kwargs, lambda: _call(ev, method, args, kwargs))


def _call(ev: Machine, method: str, args: Sequence[Value], kwargs: Kwargs) -> Value:
    if is_inplace(method):
        x = args[0]
        assert isinstance(x, ArrayValue)
        return call_inplace(ev, x, method, args[1:], kwargs)
    return METHODS[method](ev, list(args), dict(kwargs))


def _rows(ev: Machine, method: str, args: Args, kwargs: Kwargs) -> list[tuple[list[Value], Kwargs]] | None:
    """The arguments of each position's call; None where they are of another form."""
    if not args or not (is_inplace(method) or method in METHODS):
        return None
    columns = [_items(ev, a) for a in args]
    first = columns[0]
    if not first or not all(isinstance(x, ArrayValue) for x in first):
        return None
    numbers = args[3] if len(args) == 4 and method.removesuffix("_") in _WITH_VALUE else None
    if isinstance(numbers, ArrayValue):  # a number for each, in one tensor
        if numbers.meta.shape != (len(first),):
            return None
        columns[3] = [numbers.view(ev, "select", dim=0, index=k) for k in range(len(first))]
    if any(c is None and isinstance(a, ArrayValue) and a.meta.shape for a, c in zip(args, columns)):
        return None
    if any(c is not None and len(c) != len(first) for c in columns) or any(
        _items(ev, v) is not None for v in kwargs.values()
    ):
        return None
    if kwargs and (len(columns) < 2 or columns[1] is None):
        return None
    rows = [[a if c is None else c[k] for a, c in zip(args, columns)] for k in range(len(first))]
    if method.removesuffix("_") not in _WITH_VALUE or len(columns) < 4:
        return [(row, kwargs) for row in rows]
    if len(columns) > 4:
        return None
    return [(row[:3], {**kwargs, "value": row[3]}) for row in rows]


def _items(ev: Machine, v: Value) -> list[Value] | None:
    return list(v.items(ev)) if isinstance(v, (ListValue, TupleValue)) else None
