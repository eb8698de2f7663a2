"""Marks on arrays: dims that the user says will change, or will not. Kept beside the arrays, for as long as they live."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mark:
    """One dim's mark. dynamic: whether it changes; low, high: the sizes it takes (high None: no limit); soft: a wish,
    that a program which works for one size only may ignore.
    """

    dynamic: bool
    low: int = 2
    high: int | None = None
    soft: bool = False


#: by the array's id; the reference removes the entry with the array
_marked: dict[int, tuple[weakref.ref[Any], dict[int, Mark]]] = {}
_NONE: dict[int, Mark] = {}


def of(array: Any) -> dict[int, Mark]:
    """The marks of an array, by axis."""
    entry = _marked.get(id(array))
    own = entry[1] if entry is not None and entry[0]() is array else _NONE
    given = getattr(array, "__dict__", None)
    return {**_given(given), **own} if given else own


def _given(attributes: dict[str, Any]) -> dict[int, Mark]:
    """The marks that torch's own functions left on a tensor."""
    found = {axis: Mark(True, soft=True) for axis in attributes.get("_dynamo_weak_dynamic_indices", ())}
    for name in ("_dynamo_dynamic_indices", "_dynamo_unbacked_indices"):
        found.update({axis: Mark(True) for axis in attributes.get(name, ())})
    for given in attributes.get("_dynamo_dynamic_range", ()):
        found[given.dim] = Mark(True, max(given.min or 2, 2), given.max)
    found.update({axis: Mark(False) for axis in attributes.get("_dynamo_static_indices", ())})
    return found


def put(array: Any, axis: int, mark: Mark) -> None:
    """Mark one dim. Raises TypeError for what has no shape."""
    entry = _marked.get(id(array))
    if entry is None or entry[0]() is not array:
        key = id(array)
        entry = (weakref.ref(array, lambda _: _marked.pop(key, None)), {})
        _marked[key] = entry
    entry[1][axis] = mark


def rank_of(array: Any) -> int:
    """How many dims an array has. Raises TypeError for what is no array."""
    shape = getattr(array, "shape", None)
    if not isinstance(shape, tuple):
        raise TypeError(f"a tensor or an array has dimensions to mark, a {type(array).__name__} has none")
    return len(shape)


def axis_of(array: Any, index: int) -> int:
    """An axis number made non-negative. Raises TypeError for what is no array, IndexError for an axis it does not have."""
    rank = rank_of(array)
    if not isinstance(index, int) or isinstance(index, bool):
        raise TypeError(f"the dimension must be an int, not {type(index).__name__}")
    if not -rank <= index < rank:
        raise IndexError(f"dimension {index} is out of range for an array of {rank} dimensions")
    return index % rank
