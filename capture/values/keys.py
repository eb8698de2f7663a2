"""Keys of dicts and items of sets during capture: Python objects that hash and compare as the program's own do.

`Value.key` gives one for a Value, `static_key` for a real object without looking into it. A number, a text, an enum member
stands for itself. What hashes by identity (parameters, functions, most objects) is an `Identity` when it came from outside,
and the Value itself when the program made it. A `UserKey` asks the program's own `__hash__` and `__eq__`.
"""

from __future__ import annotations

import enum
import types
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..machine.type_lookup import type_find
from .base import Value
from .literals import CONSTANT_TYPES

if TYPE_CHECKING:
    from .base import Machine


class Identity:
    """An object from outside that is equal to itself alone."""

    __slots__ = ("real",)

    def __init__(self, real: Any) -> None:
        self.real = real

    def __hash__(self) -> int:
        return hash(self.real)  # the order of a set depends on it

    def __eq__(self, other: object) -> bool:
        return type(other) is Identity and other.real is self.real


@dataclass(frozen=True, slots=True)
class MethodKey:
    """A bound method: equal to another of the same function and the very same object."""

    function: Any
    owner: Any


@dataclass(frozen=True, slots=True)
class WeakKey:
    """A weak reference to an object that is alive: equal to another when their objects are."""

    owner: Any


@dataclass(frozen=True, slots=True)
class AddressKey:
    """The address of an object that the program made: equal to that of the very same object alone."""

    owner: Value


class UserKey:
    """A key whose hash and equality are the program's own."""

    __slots__ = ("ev", "value", "hash")

    def __init__(self, ev: Machine, value: Value, hash_: int) -> None:
        self.ev, self.value, self.hash = ev, value, hash_

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        ev = self.ev
        theirs = other.value if isinstance(other, UserKey) else ev.key_value(other)
        if theirs is self.value:
            return True
        before = ev.effects.count
        found = ev.equal(self.value, theirs)
        if ev.effects.count != before:
            raise ev.break_(
                "key-effects", f"comparing {self.value.describe()}, whose __eq__ changes other objects",
                "how often a dict or set asks for it is not followed",
            )  # fmt: skip
        return found


def by_identity(cls: type) -> bool:
    """Whether instances hash by identity, and so are found in a dict by it."""
    found = type_find(cls, "__hash__")
    return any(found is known for known in IDENTITY_HASHES)


#: `__hash__`, as classes hold it, of those whose instances hash by identity; front ends add theirs
IDENTITY_HASHES: list[Any] = [object.__hash__]


class NotStatic(Exception):
    """Only the program's own code, or a Value, can tell."""


def static_key(obj: Any) -> Any:
    """The key of a real object, without looking into it or asking the program. Raises NotStatic."""
    cls = type(obj)
    if cls in CONSTANT_TYPES:
        return obj
    if by_identity(cls) and "__quern_compiled__" not in cls.__dict__:
        return Identity(obj)
    if cls is tuple or cls is frozenset:
        return cls([static_key(part) for part in obj])
    if cls is types.MethodType:
        return MethodKey(static_key(obj.__func__), Identity(obj.__self__))
    if cls is weakref.ReferenceType and (referent := obj()) is not None:
        return WeakKey(static_key(referent))
    if issubclass(cls, enum.Enum) and not user_hashed(cls):
        return obj
    if cls is types.BuiltinFunctionType and isinstance(obj.__self__, (type, types.ModuleType, types.NoneType)):
        return obj
    raise NotStatic


def user_hashed(cls: type) -> bool:
    """Whether an enum, or a class of one, is hashed or compared by Python code that is not the library's."""
    found = (type_find(cls, "__hash__"), type_find(cls, "__eq__"))
    return any(type(f) is types.FunctionType and f.__module__ != "enum" for f in found)


def has_identity(key: Any) -> bool:
    """Whether the hash of what `key` stands for depends on where an object is."""
    if isinstance(key, (tuple, frozenset)):
        return any(map(has_identity, key))
    return isinstance(key, (Value, Identity, AddressKey, MethodKey, WeakKey))


def asks_program(key: Any) -> bool:
    """Whether the program's own code takes part in comparing the key."""
    if isinstance(key, (tuple, frozenset)):
        return any(map(asks_program, key))
    return isinstance(key, UserKey) or isinstance(key, WeakKey) and asks_program(key.owner)
