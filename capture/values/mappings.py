"""Dicts. Their views stand with the sets, in `sets`.

A dict from outside is looked into key by key: reading a key guards that key alone; only what depends on all keys
(iteration, length) guards them all. Values are wrapped when they are first read.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..sources import Source, is_literal
from .base import Args, Kwargs, Value
from .constant import FALSE, LITERAL_TYPES, NONE, TRUE, ConstantValue
from .sequences import TupleValue

if TYPE_CHECKING:
    from ..evaluator import Evaluator
    from ..rebuild import Rebuilder


#: how this Python shows an OrderedDict
_ORDERED_AS_PAIRS = repr(collections.OrderedDict(a=1)).startswith("OrderedDict([")


class Lazy:
    """A real object inside a container, not wrapped yet."""

    __slots__ = ("obj", "source")

    def __init__(self, obj: Any, source: Source) -> None:
        self.obj = obj
        self.source = source


class DictValue(Value):
    """A dict. `table` maps `key(key Value)` to a Value, or a `Lazy` one."""

    __slots__ = ("table", "key_values", "real", "whole", "cls", "removed", "reordered", "cleared", "attrs")

    def __init__(
        self, entries: Iterable[tuple[Any, Any]] = (), source: Source | None = None, real: Any = None, cls: type = dict
    ) -> None:
        self.source = source
        self.table: dict[Any, Any] = dict(entries)
        #: key Values that are not constants, by key
        self.key_values: dict[Any, Value] = {}
        self.real = real
        #: all keys are guarded (or the dict is our own)
        self.whole = real is None
        self.cls = cls
        #: keys deleted, even if set again later
        self.removed: set[Any] = set()
        #: keys were moved; the dict was emptied, whatever was in it
        self.reordered = self.cleared = False
        #: attributes of a new OrderedDict
        self.attrs: dict[str, Value] = {}

    def python_type(self) -> type:
        return self.cls

    def getattr_(self, ev: Evaluator, name: str) -> Value:
        found = self.attrs.get(name)
        if found is None and self.source is not None and name in getattr(self.real, "__dict__", ()):
            return ev.wrap(self.real.__dict__[name], self.source.attr(name))
        return found if found is not None else super().getattr_(ev, name)

    def setattr_(self, ev: Evaluator, name: str, value: Value) -> None:
        if self.cls is not collections.OrderedDict or self.source is not None or hasattr(self.cls, name):
            super().setattr_(ev, name, value)
        self.attrs[name] = value

    # ------------------------------------------------------------ inside

    def guard_keys(self, ev: Evaluator) -> None:
        """From here on the result depends on which keys there are."""
        if not self.whole:
            self.whole = True
            if self.source is not None:
                ev.guards.keys(self.source, tuple(self.real))

    def get(self, ev: Evaluator, key: Any) -> Value | None:
        """The Value at a key (as `Value.key` gives it); None when absent."""
        found = self.table.get(key)
        if found is None:
            if not self.whole and self.source is not None and key not in self.table and not self._was_real(key):
                ev.guards.lacks(self.source, key if is_literal(key) else ev.key_object(key))
            return None
        if type(found) is Lazy:
            found = self.table[key] = ev.wrap(found.obj, found.source)
        return found

    def _was_real(self, key: Any) -> bool:
        try:
            return key in self.real
        except TypeError:
            return False

    def has(self, ev: Evaluator, key: Any) -> bool:
        if key in self.table:
            if not self.whole and type(self.table[key]) is Lazy:
                text = (
                    repr(key)
                    if is_literal(key) and "{" not in repr(key)
                    else ev.names.inject(ev.key_object(key), "key")
                )
                ev.guards.test(self.source, f"{text} in {{x}}", f"{{label}} had the key {text}")
            return True
        return self.get(ev, key) is not None

    def put(self, ev: Evaluator, key_value: Value, value: Value) -> None:
        key = key_value.key(ev)
        if key not in self.table:
            if not self.whole:
                self.get(ev, key)  # guards its absence: the order of keys depends on it
            if type(key) not in LITERAL_TYPES:
                self.key_values[key] = key_value
        else:
            self.has(ev, key)  # guards its presence, for the same reason
        self.table[key] = value
        self.touch(ev)

    def remove(self, ev: Evaluator, key: Any) -> None:
        self.has(ev, key)
        del self.table[key]
        self.removed.add(key)
        self.touch(ev)

    def touch(self, ev: Evaluator) -> None:
        if self.source is not None:
            ev.effects.touch(self)

    def key_value(self, ev: Evaluator, key: Any) -> Value:
        found = self.key_values.get(key)
        return found if found is not None else ev.from_python(key)

    def pairs(self, ev: Evaluator) -> list[tuple[Value, Value]]:
        """All (key, value), in order."""
        self.guard_keys(ev)
        return [(self.key_value(ev, k), self.get(ev, k)) for k in list(self.table)]  # type: ignore[misc]

    def keys(self, ev: Evaluator) -> list[Value]:
        self.guard_keys(ev)
        return [self.key_value(ev, k) for k in self.table]

    def as_constant(self) -> Any:
        raise TypeError("dicts are not constants")

    # ------------------------------------------------------------ protocols

    def truth(self, ev: Evaluator) -> bool:
        if not self.whole and self.source is not None:
            ev.guards.test(
                self.source, "{x}" if self.real else "not {x}", f"{{label}} was {'not ' if self.real else ''}empty"
            )
        return bool(self.table)

    def len_(self, ev: Evaluator) -> Value:
        self.guard_keys(ev)
        return ConstantValue(len(self.table))

    def iter_(self, ev: Evaluator) -> Value:
        return ev.dict_iterator(self, "keys")

    def items(self, ev: Evaluator) -> list[Value]:
        return self.keys(ev)

    def getitem(self, ev: Evaluator, key: Value) -> Value:
        found = self.get(ev, key.key(ev))
        if found is None:
            raise ev.raise_value(KeyError, key)
        return found

    def setitem(self, ev: Evaluator, key: Value, value: Value) -> None:
        self.put(ev, key, value)

    def delitem(self, ev: Evaluator, key: Value) -> None:
        k = key.key(ev)
        if not self.has(ev, k):
            raise ev.raise_value(KeyError, key)
        self.remove(ev, k)

    def contains(self, ev: Evaluator, item: Value) -> bool:
        return self.has(ev, item.key(ev))

    def key(self, ev: Evaluator) -> Any:
        raise ev.type_error(f"unhashable type: '{self.cls.__name__}'")

    def compare(self, ev: Evaluator, op: str, other: Value) -> Value | None:
        other = ev.payload(other)
        if op not in ("==", "!=") or not isinstance(other, DictValue):
            return None
        mine, theirs = self.pairs(ev), other.pairs(ev)
        same = len(mine) == len(theirs)
        ordered = collections.OrderedDict
        if same and issubclass(self.cls, ordered) and issubclass(other.cls, ordered):
            same = all(ev.equal(a, b) for (a, _), (b, _) in zip(mine, theirs))
        for key, value in mine if same else ():
            found = other.get(ev, key.key(ev))
            if found is None or not (found is value or ev.equal(value, found)):
                same = False
                break
        return TRUE if same == (op == "==") else FALSE

    def binary(self, ev: Evaluator, op: str, other: Value, reflected: bool) -> Value | None:
        other = ev.payload(other)
        if op != "|" or not isinstance(other, DictValue):
            return None
        first, second = (other, self) if reflected else (self, other)
        result = DictValue(cls=first.cls)
        for key, value in [*first.pairs(ev), *second.pairs(ev)]:
            result.put(ev, key, value)
        return result

    def inplace(self, ev: Evaluator, op: str, other: Value) -> Value | None:
        if op == "|":
            self.m_update(ev, other)
            return self
        return None

    def repr_(self, ev: Evaluator) -> Value:
        with ev.repr_guard(self) as again:
            if again:
                return ConstantValue("{...}")
            pairs = [(ev.repr_text(k), ev.repr_text(v)) for k, v in self.pairs(ev)]
            if self.cls is dict:
                return ConstantValue("{" + ", ".join(f"{k}: {v}" for k, v in pairs) + "}")
            if not pairs:
                return ConstantValue(f"{self.cls.__name__}()")
            if _ORDERED_AS_PAIRS:
                return ConstantValue(f"{self.cls.__name__}([{', '.join(f'({k}, {v})' for k, v in pairs)}])")
            return ConstantValue(f"{self.cls.__name__}({{{', '.join(f'{k}: {v}' for k, v in pairs)}}})")

    # ------------------------------------------------------------ methods

    def m___init__(self, ev: Evaluator, *args: Value, **kwargs: Value) -> Value:
        return self.m_update(ev, *args, **kwargs)

    def m_get(self, ev: Evaluator, key: Value, default: Value = NONE) -> Value:
        found = self.get(ev, key.key(ev))
        return default if found is None else found

    def m_setdefault(self, ev: Evaluator, key: Value, default: Value = NONE) -> Value:
        found = self.get(ev, key.key(ev))
        if found is None:
            self.put(ev, key, default)
            return default
        return found

    def m_pop(self, ev: Evaluator, key: Value, *default: Value) -> Value:
        k = key.key(ev)
        found = self.get(ev, k)
        if found is None:
            if default:
                return default[0]
            raise ev.raise_value(KeyError, key)
        self.remove(ev, k)
        return found

    def m_popitem(self, ev: Evaluator, last: Value = TRUE) -> Value:
        self.guard_keys(ev)
        if not self.table:
            raise ev.raise_(KeyError, "popitem(): dictionary is empty")
        k = list(self.table)[-1 if last.truth(ev) else 0]
        pair = TupleValue([self.key_value(ev, k), self.get(ev, k)])  # type: ignore[list-item]
        self.remove(ev, k)
        return pair

    def m_move_to_end(self, ev: Evaluator, key: Value, last: Value = TRUE) -> Value:
        self.guard_keys(ev)
        k = key.key(ev)
        if k not in self.table:
            raise ev.raise_value(KeyError, key)
        moved = self.table.pop(k)
        if last.truth(ev):
            self.table[k] = moved
        else:
            rest = dict(self.table)
            self.table.clear()
            self.table[k] = moved
            self.table.update(rest)
        self.reordered = True
        self.touch(ev)
        return NONE

    def m_update(self, ev: Evaluator, *args: Value, **kwargs: Value) -> Value:
        for arg in args:
            for key, value in ev.mapping_pairs(arg):
                self.put(ev, key, value)
        for name, value in kwargs.items():
            self.put(ev, ConstantValue(name), value)
        return NONE

    def m_clear(self, ev: Evaluator) -> Value:
        self.table.clear()
        self.whole = True
        self.reordered = self.cleared = True
        self.touch(ev)
        return NONE

    def m_copy(self, ev: Evaluator) -> Value:
        self.guard_keys(ev)
        new = DictValue(((k, self.get(ev, k)) for k in list(self.table)), cls=self.cls)
        new.key_values.update(self.key_values)
        return new

    m___copy__ = m_copy

    def m_keys(self, ev: Evaluator) -> Value:
        return ev.dict_view(self, "keys")

    def m_values(self, ev: Evaluator) -> Value:
        return ev.dict_view(self, "values")

    def m_items(self, ev: Evaluator) -> Value:
        return ev.dict_view(self, "items")

    def m___reversed__(self, ev: Evaluator) -> Value:
        return ev.iterator_of(self.keys(ev)[::-1])

    def m_fromkeys(self, ev: Evaluator, keys: Value, value: Value = NONE) -> Value:
        new = DictValue(cls=self.cls)
        for key in keys.items(ev):
            new.put(ev, key, value)
        return new

    # ------------------------------------------------------------ making it again

    def display(self, rb: Rebuilder) -> str:
        """A dict display with all entries."""
        return (
            "{" + ", ".join(f"{self._key_text(rb, k)}: {self._value_text(rb, v)}" for k, v in self.table.items()) + "}"
        )

    def _key_text(self, rb: Rebuilder, key: Any) -> str:
        known = self.key_values.get(key)
        return rb.value(known) if known is not None else rb.constant(key)

    @staticmethod
    def _value_text(rb: Rebuilder, value: Any) -> str:
        return rb.source(value.source) if type(value) is Lazy else rb.value(value)

    def rebuild(self, rb: Rebuilder) -> str:
        if self.cls is dict:
            return rb.fill(self, "{}", lambda: self.display(rb), "{0}.update({1})")
        cls = rb.inject(self.cls, self.cls.__name__)
        text = rb.fill(self, f"{cls}()", lambda: f"{cls}({self.display(rb)})", "{0}.update({1})")
        if self.attrs:
            text = rb.name_value(self, text)
            for name, value in self.attrs.items():
                rb.emit(f"{text}.{name} = {rb.value(value)}")
        return text

    def replay(self, rb: Rebuilder, target: str) -> None:
        """Write the changes into the dict at `target`, keeping the order of its keys: those never deleted stay where they
        are, the others come behind them as they stand in the table.
        """
        base = rb.inject(self.cls, self.cls.__name__)
        if self.reordered:
            if not self.cleared:
                self.guard_keys(rb.ev)
            display = self.display(rb)
            rb.effect(f"{base}.clear({target})")
            rb.effect(f"{base}.update({target}, {display})")
            return
        for key in self.real:
            if key in self.removed:
                rb.effect(f"{base}.__delitem__({target}, {self._key_text(rb, key)})")
        for key, value in self.table.items():
            if type(value) is Lazy or key not in self.removed and self._unchanged(key, value):
                continue
            rb.effect(f"{base}.__setitem__({target}, {self._key_text(rb, key)}, {rb.value(value)})")

    def _unchanged(self, key: Any, value: Value) -> bool:
        """The value is the one read from this very place."""
        if (
            not self._was_real(key)
            or value.source is None
            or self.source is None
            or value.source.parent is not self.source
        ):
            return False
        return is_literal(key) and value.source is self.source.item(key)


class MappingProxyValue(Value):
    """types.MappingProxyType over a mapping: reads go to it."""

    __slots__ = ("owner",)

    def __init__(self, owner: Value) -> None:
        self.source = None
        self.owner = owner

    def python_type(self) -> type:
        return types.MappingProxyType

    def truth(self, ev: Evaluator) -> bool:
        return self.owner.truth(ev)

    def len_(self, ev: Evaluator) -> Value:
        return self.owner.len_(ev)

    def iter_(self, ev: Evaluator) -> Value:
        return self.owner.iter_(ev)

    def getitem(self, ev: Evaluator, key: Value) -> Value:
        return self.owner.getitem(ev, key)

    def contains(self, ev: Evaluator, item: Value) -> bool:
        return self.owner.contains(ev, item)

    def call_method(self, ev: Evaluator, name: str, args: Args, kwargs: Kwargs) -> Value:
        if name in ("get", "keys", "values", "items", "copy", "__reversed__"):
            return ev.call_method(self.owner, name, args, kwargs)
        return super().call_method(ev, name, args, kwargs)

    def binary(self, ev: Evaluator, op: str, other: Value, reflected: bool) -> Value | None:
        return self.owner.binary(ev, op, other.owner if isinstance(other, MappingProxyValue) else other, reflected)

    def compare(self, ev: Evaluator, op: str, other: Value) -> Value | None:
        return self.owner.compare(ev, op, other.owner if isinstance(other, MappingProxyValue) else other)

    def repr_(self, ev: Evaluator) -> Value:
        return ConstantValue(f"mappingproxy({ev.repr_text(self.owner)})")

    def rebuild(self, rb: Rebuilder) -> str:
        return f"{rb.inject(types.MappingProxyType, 'MappingProxyType')}({rb.value(self.owner)})"
