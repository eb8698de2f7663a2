"""Objects of the program as entries remember them and reports show them: never the objects themselves.

An entry outlives the call that it was made for. What that call was given must not live as long, so a report that names an
object later has its name, and a weak reference where the class allows one. Text is made without the program's help: no
`__repr__` of it runs, and no array's elements are read.
"""

from __future__ import annotations

import types
import weakref
from collections.abc import Callable
from typing import Any

from ..machine.type_lookup import own_name
from ..values.literals import LITERAL_TYPES

#: how front ends describe objects of theirs, by type
DESCRIBERS: dict[type, Callable[[Any], str]] = {}

#: characters of a described constant, and items of a described container
_LONGEST = 60
_ITEMS = 6
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


class Seen:
    """One object that a capture met."""

    __slots__ = ("_cls", "_id", "_literal", "_name", "_ref", "_text")

    def __init__(self, obj: Any) -> None:
        cls = type(obj)
        self._cls, self._name = weakref.ref(cls), own_name(cls)
        self._id = id(obj)
        self._literal = obj if cls in LITERAL_TYPES else None
        self._ref = None if cls in LITERAL_TYPES else weak(obj)
        self._text = describe(obj) if self._ref is None else ""

    @property
    def cls(self) -> type | None:
        """Its class; None when that is gone."""
        return self._cls()

    def is_(self, obj: Any) -> bool:
        """Whether `obj` is the object. For what takes no weak references: as far as its class and its address tell."""
        if type(obj) is not self.cls:
            return False
        if type(obj) in LITERAL_TYPES:
            return obj is self._literal
        return self._ref() is obj if self._ref is not None else id(obj) == self._id

    def __str__(self) -> str:
        if self._ref is None:
            return self._text
        obj = self._ref()
        return describe(obj) if obj is not None else f"a {self._name} that is gone"


def weak(obj: Any) -> weakref.ref[Any] | None:
    """A weak reference to an object; None where its class allows none."""
    try:
        return weakref.ref(obj)
    except TypeError:
        return None


def describe(obj: Any, depth: int = 1) -> str:
    """An object in a few words."""
    cls = type(obj)
    if cls in LITERAL_TYPES:
        return _constant(obj)
    for base in cls.__mro__:
        if base in DESCRIBERS:
            return DESCRIBERS[base](obj)
    if cls in (list, tuple, set, frozenset, dict):
        return _container(obj, depth)
    name = own_name(obj) if issubclass(cls, _NAMED) else ""
    return f"<{cls.__name__} {name}>" if name else f"a {cls.__name__}"


def _constant(obj: Any) -> str:
    if type(obj) is int and abs(obj) >> 200:
        return f"an int of {obj.bit_length()} bits"
    if type(obj) in (str, bytes) and len(obj) > _LONGEST:
        obj = obj[:_LONGEST]  # a long text is not copied for the sake of its beginning
    text = repr(obj)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


_BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("{", "}"),
    dict: ("{", "}"),
}


def _container(obj: Any, depth: int) -> str:
    cls = type(obj)
    if depth < 0 or len(obj) > _ITEMS:
        return f"a {cls.__name__} of length {len(obj)}"
    if cls is dict:
        parts = [f"{describe(k, depth - 1)}: {describe(v, depth - 1)}" for k, v in obj.items()]
    else:
        parts = [describe(item, depth - 1) for item in obj]
    start, end = _BRACKETS[cls]
    return f"{start}{', '.join(parts)}{',' if cls is tuple and len(parts) == 1 else ''}{end}"


def said_of(error: Exception) -> str:
    """An exception in a few words; its message only where that shows no more than constants."""
    plain = all(type(a) in LITERAL_TYPES for a in error.args)
    return f"{type(error).__name__}: {error}" if plain and error.args else type(error).__name__


__all__ = ["DESCRIBERS", "Seen", "describe", "said_of", "weak"]
