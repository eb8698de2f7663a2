"""Arrays made of long lists from outside: one input of the graph each, made where the entry begins, instead of an input for each item."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...values.base import Value
from ...values.sequences import ListValue
from . import layout
from .arrays import Array
from .state import NumpyState

if TYPE_CHECKING:
    from ...values.base import Machine

#: items up to which a list is looked into: each may be a constant, or one of several kinds
FEWEST = 32
#: numbers, which nobody can change
_NUMBERS = frozenset(
    (bool, int, float, complex, np.bool_, *(np.dtype(kind).type for kind in (*"bhilq", *"BHILQ", "e", *"fd", *"FD")))
)
_ARRAYS, _LISTS = frozenset((np.ndarray,)), frozenset((list,))
#: functions that make a new array of what a list holds
MAKERS = frozenset((np.array, np.asarray, np.stack, np.vstack, np.hstack, np.concatenate))
_OF_NUMBERS = frozenset((np.array, np.asarray))


def of_list(ev: Machine, function: Any, value: Value) -> Value | None:
    """What a maker gives of a long list of numbers or of arrays; None for another list, and where arrays may have been written to."""
    if type(value) is ListValue and value.rows is not None:
        return _of_rows(ev, function, value)
    if (
        type(value) is not ListValue
        or not value.closed
        or value.appended
        or value.source is None
        or value.source.is_const
    ):
        return None
    items: Any = value.real
    if type(items) is not list or len(items) <= FEWEST:
        return None
    kinds = set(map(type, items))
    allowed = _NUMBERS if kinds <= _NUMBERS else _LISTS if kinds == _LISTS else _ARRAYS
    if not kinds <= allowed or allowed is not _ARRAYS and function not in _OF_NUMBERS:
        return None
    if allowed is not _NUMBERS and (any(True for _ in ev.effects) or any(x.version for x in _inputs(ev))):
        return None  # an array or a list inside may have been written to before
    made = _made(function, allowed, items)
    if made is None or layout.graph_dtype(made.dtype) is None:
        return None
    ev.guards.type_is(value.source, list)
    maker = ev.names.inject(functools.partial(_made, function, allowed), f"{function.__name__}_of")
    found = ev.wrap(made, value.source.step(f"{maker}(", ")", ""))
    state: NumpyState = ev.states["numpy"]
    return state.builder.copy(found) if isinstance(found, Array) else None  # the program may write to what it was given


def _inputs(ev: Machine) -> Iterator[Any]:
    """The memory that the graph is given."""
    for state in ev.states.values():
        yield from getattr(state, "inputs", ())
        yield from getattr(getattr(state, "arrays", None), "inputs", ())


def _of_rows(ev: Machine, function: Any, value: ListValue) -> Value | None:
    """What a maker gives of a list that grew by the rows of an array in a loop."""
    assert value.rows is not None
    rows, state = value.rows[0], ev.states["numpy"]
    alike = _OF_NUMBERS if rows.ndim == 1 else {*_OF_NUMBERS, np.stack, *((np.vstack,) if rows.ndim == 2 else ())}
    if function not in alike or value._elements:
        return None
    made: Value = state.builder.copy(rows)
    return made


def _made(function: Callable[..., np.ndarray], allowed: frozenset[type], items: Sequence[Any]) -> np.ndarray | None:
    """What the maker gives; None where the list holds anything else, and where the maker refuses it."""
    if not allowed.issuperset(map(type, items)):
        return None
    if allowed is _LISTS and not all(_NUMBERS.issuperset(map(type, row)) for row in items):
        return None
    try:
        return function(items)
    except (ValueError, TypeError, OverflowError):
        return None
