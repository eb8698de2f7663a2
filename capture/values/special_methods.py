"""Python's special methods on an instance of a class written in Python: who answers, and what an answer may be.

The class's own answer where it has one, whatever that is written in; else the builtin content of a subclass of a builtin
type (`payload`). C code of any other class is not modelled: a graph break.
"""

from __future__ import annotations

import collections
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..breaks import UserRaise
from ..machine.operators import COMPARE_STEMS, STEMS, UNARY_STEMS
from ..machine.type_lookup import MISSING, message_name, type_find
from .base import Args, Kwargs, Value
from .class_info import C_METHODS, ClassInfo
from .constant import FALSE, TRUE, ConstantValue
from .iterators import ItemIterator
from .keys import UserKey
from .mappings import DictValue

if TYPE_CHECKING:
    from ..guards.sources import Source
    from .base import Machine

#: C classes whose methods `payload` and `SpecialMethods` answer beside those of the payload's own class
_MODELLED = (object, collections.defaultdict)


class SpecialMethods(Value):
    """What the interpreter asks of an instance by its class."""

    __slots__ = ()

    info: ClassInfo
    cls: type
    real: Any
    payload: Value | None
    attrs: dict[str, Value]
    real_dict: dict[str, Any] | None
    changed: dict[str, None]
    removed: set[str]
    new_args: list[Value] | None

    if TYPE_CHECKING:  # what an instance's Value brings: see `objects.ObjectValue`

        def bind(self, ev: Machine, name: str, raw: Any, info: ClassInfo | None = None) -> Value: ...
        def generic_getattr(self, ev: Machine, name: str, hook: bool = True) -> Value: ...
        def generic_setattr(self, ev: Machine, name: str, value: Value) -> None: ...
        def generic_delattr(self, ev: Machine, name: str) -> None: ...
        def instance_attr(self, ev: Machine, name: str) -> Value | None: ...
        def instance_dict(self, ev: Machine) -> Value: ...
        def dict_source(self, ev: Machine) -> Source: ...
        def store(self, ev: Machine, name: str, value: Value) -> None: ...

    # ------------------------------------------------------------ who answers

    def special(self, ev: Machine, name: str) -> Value | None:
        """The class's own special method, bound. None: there is none, or it is the one of `object` or of the builtin content."""
        raw = self.info.find(name)
        if raw is MISSING:
            return None
        if type(raw) in C_METHODS and raw.__name__ == name:
            if not self.models(raw.__objclass__):
                raise self.refusal(ev, name)
            return None
        return self.bind(ev, name, raw)

    def models(self, owner: type) -> bool:
        """Whether the C methods of `owner` are answered here."""
        return owner in _MODELLED or self.payload is not None and owner in self.payload.python_type().__mro__

    def refusal(self, ev: Machine, name: str) -> BaseException:
        return ev.break_(
            "unsupported-object", f"{name} of {self.describe()}", "it is written in C and quern does not model it"
        )

    def _has(self, name: str) -> bool:
        return self.info.find(name) is not MISSING

    def _is_none(self, name: str) -> bool:
        return self.info.find(name) is None

    def _is_objects(self, name: str) -> bool:
        """The class inherits `name` from object."""
        return self.info.find(name) is object.__dict__[name]

    # ------------------------------------------------------------ truth, length, iteration

    def truth(self, ev: Machine) -> bool:
        method = self.special(ev, "__bool__")
        if method is not None:
            found = method.call(ev, [], {})
            if not issubclass(found.python_type(), bool):
                raise ev.type_error(f"__bool__ should return bool, returned {message_name(found.python_type())}")
            return found.truth(ev)
        if self.special(ev, "__len__") is not None:
            return self.len_(ev).truth(ev)
        return self.payload.truth(ev) if self.payload is not None else True

    def len_(self, ev: Machine) -> Value:
        method = self.special(ev, "__len__")
        if method is not None:
            return as_length(ev, method.call(ev, [], {}), "__len__")
        return self.payload.len_(ev) if self.payload is not None else super().len_(ev)

    def iter_(self, ev: Machine) -> Value:
        if self._is_none("__iter__"):
            return super().iter_(ev)
        method = self.special(ev, "__iter__")
        if method is not None:
            found = method.call(ev, [], {})
            if not ev.has_special(found, "__next__"):
                raise ev.type_error(f"iter() returned non-iterator of type '{message_name(found.python_type())}'")
            return found
        if self.payload is not None:
            return self.payload.iter_(ev)
        return ItemIterator(self) if self._has("__getitem__") else super().iter_(ev)

    def items(self, ev: Machine) -> list[Value]:
        if self.payload is not None and self.special(ev, "__iter__") is None:
            return self.payload.items(ev)
        return super().items(ev)

    def next_(self, ev: Machine) -> Value | None:
        method = self.special(ev, "__next__")
        if method is None:
            return super().next_(ev)
        try:
            return method.call(ev, [], {})
        except UserRaise as error:
            if issubclass(error.value.python_type(), StopIteration):
                return None
            raise

    # ------------------------------------------------------------ items

    def getitem(self, ev: Machine, key: Value) -> Value:
        method = self.special(ev, "__getitem__")
        return method.call(ev, [key], {}) if method is not None else self.builtin_getitem(ev, key)

    def builtin_getitem(self, ev: Machine, key: Value) -> Value:
        """The builtin content's `__getitem__`. A dict's asks the class for `__missing__`."""
        if self.payload is None:
            return super().getitem(ev, key)
        if isinstance(self.payload, DictValue):
            found = self.payload.get(ev, key)
            return found if found is not None else self.missing_key(ev, key)
        return self.payload.getitem(ev, key)

    def missing_key(self, ev: Machine, key: Value) -> Value:
        hook = self.special(ev, "__missing__")
        if hook is not None:
            return hook.call(ev, [key], {})
        return self.make_missing(ev, key)

    def make_missing(self, ev: Machine, key: Value) -> Value:
        """`defaultdict.__missing__`; any other dict has no such key."""
        factory = None
        if issubclass(self.cls, collections.defaultdict) and (self.real is not None or "default_factory" in self.attrs):
            factory = self.bind(ev, "default_factory", collections.defaultdict.__dict__["default_factory"])
        if factory is None or ev.is_none(factory):
            raise ev.raise_value(KeyError, key)
        value = factory.call(ev, [], {})
        self.setitem(ev, key, value)
        return value

    def setitem(self, ev: Machine, key: Value, value: Value) -> None:
        method = self.special(ev, "__setitem__")
        if method is not None:
            method.call(ev, [key, value], {})
        elif self.payload is not None:
            self.payload.setitem(ev, key, value)
        else:
            super().setitem(ev, key, value)

    def delitem(self, ev: Machine, key: Value) -> None:
        method = self.special(ev, "__delitem__")
        if method is not None:
            method.call(ev, [key], {})
        elif self.payload is not None:
            self.payload.delitem(ev, key)
        else:
            super().delitem(ev, key)

    def contains(self, ev: Machine, item: Value) -> bool:
        if self._is_none("__contains__"):
            raise ev.type_error(f"'{self.info.name}' object is not a container")
        method = self.special(ev, "__contains__")
        if method is not None:
            return method.call(ev, [item], {}).truth(ev)
        if self.payload is not None and self._has("__contains__"):
            return self.payload.contains(ev, item)
        return super().contains(ev, item)

    # ------------------------------------------------------------ operators

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        name = f"__r{STEMS[op]}__" if reflected else f"__{STEMS[op]}__"
        method = self.special(ev, name)
        if method is not None:
            return none_if_not_implemented(method.call(ev, [other], {}))
        inside = ev.copied_content(self) if op == "|" else self.payload
        return inside.binary(ev, op, other, reflected) if inside is not None else None

    def inplace(self, ev: Machine, op: str, other: Value) -> Value | None:
        method = self.special(ev, f"__i{STEMS[op]}__")
        if method is not None:
            return none_if_not_implemented(method.call(ev, [other], {}))
        if self.payload is None:
            return None
        found = self.payload.inplace(ev, op, other)
        return self if found is self.payload else found

    def unary(self, ev: Machine, op: str) -> Value:
        method = self.special(ev, f"__{UNARY_STEMS[op]}__")
        if method is not None:
            return method.call(ev, [], {})
        return self.payload.unary(ev, op) if self.payload is not None else super().unary(ev, op)

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        method = self.special(ev, f"__{COMPARE_STEMS[op]}__")
        if method is not None:
            return none_if_not_implemented(method.call(ev, [other], {}))
        if op == "!=" and self._is_objects("__ne__"):
            found = self.compare(ev, "==", other)
            return None if found is None else FALSE if found.truth(ev) else TRUE
        return self.payload.compare(ev, op, other) if self.payload is not None else None

    # ------------------------------------------------------------ hashing and text

    def key(self, ev: Machine) -> Any:
        hasher = self.special(ev, "__hash__")
        if self._is_none("__hash__"):
            raise ev.type_error(f"unhashable type: '{self.info.name}'")
        equal = self.special(ev, "__eq__")
        if hasher is None and equal is None:
            return self.payload.key(ev) if self.payload is not None else ev.default_key(self)
        return UserKey(ev, self, self._hash(ev, hasher))

    def _hash(self, ev: Machine, hasher: Value | None) -> int:
        before = ev.effects.count
        if hasher is not None:
            found = ev.known(hasher.call(ev, [], {}))
            if not isinstance(found, int):
                raise ev.type_error("__hash__ method should return an integer")
        else:
            found = self.payload.key(ev) if self.payload is not None else ev.identity_key(self)
        if ev.effects.count != before:
            raise ev.break_(
                "hash-effects", f"hashing {self.describe()}, whose __hash__ changes other objects",
                "how often a dict or set asks for it is not followed",
            )  # fmt: skip
        return hash(found)

    def str_(self, ev: Machine) -> Value:
        method = self.special(ev, "__str__")
        if method is not None:
            return self._text(ev, "__str__", method, [])
        if not self._is_objects("__str__"):
            assert self.payload is not None
            return self.payload.str_(ev)
        method = self.special(ev, "__repr__")
        return self.repr_(ev) if method is None else self._text(ev, "__str__", method, [])

    def repr_(self, ev: Machine) -> Value:
        method = self.special(ev, "__repr__")
        if method is not None:
            return self._text(ev, "__repr__", method, [])
        if self.payload is not None:
            return ev.payload_repr(self)
        raise ev.break_("object-repr", f"taking the repr of {self.describe()}", "it holds the object's address")

    def format_(self, ev: Machine, spec: str) -> Value:
        method = self.special(ev, "__format__")
        if method is not None:
            return as_text(ev, "__format__", method.call(ev, [ConstantValue(spec)], {}))
        if not spec:
            return self.str_(ev)
        if self._is_objects("__format__"):
            raise ev.type_error(f"unsupported format string passed to {self.info.name}.__format__")
        assert self.payload is not None
        return self.payload.format_(ev, spec)

    def _text(self, ev: Machine, name: str, method: Value, args: Args) -> Value:
        return as_text(ev, name, method.call(ev, args, {}))

    # ------------------------------------------------------------ calls

    def call(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        raw = self.info.find("__call__")
        if raw is MISSING:
            raise ev.type_error(f"'{self.info.name}' object is not callable")
        if type(raw) not in C_METHODS:
            return self.bind(ev, "__call__", raw).call(ev, args, kwargs)
        held = self.real is not None and self.source is not None and self.source.is_const
        handler = ev.handler(self.real) if held and self.info.is_c else None
        if handler is not None:
            return handler(ev, args, kwargs)
        if raw.__name__ != "__call__":
            return self.bind(ev, "__call__", raw).call(ev, args, kwargs)
        raise ev.break_("unsupported-call", f"calling {self.describe()}", "its __call__ is not Python code")

    def builtin_method(self, name: str) -> bool:
        """Whether the C method `name` is the builtin content's own, and not object's."""
        if self.payload is None:
            return False
        raw = type_find(self.payload.python_type(), name)
        return raw is not MISSING and raw is not object.__dict__.get(name)


def as_length(ev: Machine, value: Value, name: str) -> Value:
    """What `__len__` or `__length_hint__` gave, as a size."""
    if not ev.has_index(value):
        what = message_name(value.python_type())
        raise ev.type_error(
            f"'{what}' object cannot be interpreted as an integer"
            if name == "__len__"
            else f"{name} must be an integer, not {what}"
        )
    if not value.is_constant and value.python_type() is int:
        # a size that changes from call to call
        fits = ev.compare(">=", value, ConstantValue(0)).truth(ev) and ev.compare(
            "<=", value, ConstantValue(sys.maxsize)
        ).truth(ev)
        if fits:
            return value
    n = ev.index(value)
    if n < 0:
        raise ev.raise_(ValueError, f"{name}() should return >= 0")
    if n > sys.maxsize:
        raise ev.raise_(OverflowError, "cannot fit 'int' into an index-sized integer")
    return ConstantValue(n)


def length_hint(ev: Machine, value: Value) -> Value | None:
    """What `list(value)` and its kin do beside iterating: they ask the object how many there are, and do not rely on it. None where
    it does not say.
    """
    if isinstance(value, ItemIterator):
        value = value.owner
    if not isinstance(value, SpecialMethods):
        return None
    method = value.special(ev, "__len__")
    if method is not None:
        try:
            return as_length(ev, method.call(ev, [], {}), "__len__")
        except UserRaise as error:
            if not issubclass(error.value.python_type(), TypeError):
                raise
    hint = value.special(ev, "__length_hint__")
    if hint is None:
        return None
    try:
        found = hint.call(ev, [], {})
    except UserRaise as error:
        if not issubclass(error.value.python_type(), TypeError):
            raise
        return None
    if found.is_constant and found.as_constant() is NotImplemented:
        return None
    return as_length(ev, found, "__length_hint__")


def collected(ev: Machine, value: Value) -> Iterator[Value]:
    """The elements one by one, as `list(value)` takes them."""
    it = value.iter_(ev)
    length_hint(ev, value)
    while (item := it.next_(ev)) is not None:
        yield item


def none_if_not_implemented(value: Value) -> Value | None:
    return None if type(value) is ConstantValue and value.value is NotImplemented else value


def as_text(ev: Machine, name: str, found: Value) -> Value:
    """What `__str__`, `__repr__` or `__format__` gave. Raises the program's TypeError where that is no text."""
    if issubclass(found.python_type(), str):
        return found
    cls = message_name(found.python_type())
    if name == "__format__":
        raise ev.type_error(f"__format__ must return a str, not {cls}")
    raise ev.type_error(f"{name} returned non-string (type {cls})")
