"""Dicts. Their views stand with the sets, in `sets`.

A dict from outside is looked into key by key: reading a key guards that key alone; only what depends on all keys
(iteration, length) guards them all. Values are wrapped when they are first read.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..guards.guards import Guard
from ..guards.key_code import key_text
from ..guards.seen import Seen
from ..guards.sources import Source
from ..machine.type_lookup import message_name
from .attribute_text import assignment
from .base import Args, Kwargs, Value
from .constant import FALSE, NONE, TRUE, ConstantValue
from .dict_reading import Reading, is_object, remembered, same_objects
from .keys import asks_program
from .literals import LITERAL_TYPES
from .sequences import TupleValue

if TYPE_CHECKING:
    from .base import Emitter, Machine


#: how this Python shows an OrderedDict
_ORDERED_AS_PAIRS = repr(collections.OrderedDict(a=1)).startswith("OrderedDict([")


class Lazy:
    """A real object inside a dict, not wrapped yet."""

    __slots__ = ("obj",)

    def __init__(self, obj: Any) -> None:
        self.obj = obj


class DictValue(Value):
    """A dict. `table` maps `key(key Value)` to a Value, or a `Lazy` one."""

    __slots__ = (
        "table", "key_values", "real", "whole", "cls", "removed", "reordered", "cleared", "attrs", "positions", "reading", "read",
        "tied",
    )  # fmt: skip

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
        #: of a dict from outside: by key, where it stands and the real one; how the dict is read; what was read of it
        self.positions: dict[Any, tuple[int, Any]] = {}
        self.reading: Reading | None = None
        self.read: dict[Any, Value] = {}
        #: keys that the program's own objects are known to lead to
        self.tied: set[Any] = set()

    def python_type(self) -> type:
        return self.cls

    def getattr_(self, ev: Machine, name: str) -> Value:
        found = self.attrs.get(name)
        if found is None and self.source is not None and name in getattr(self.real, "__dict__", ()):
            return ev.wrap(self.real.__dict__[name], self.source.attr(name))
        return found if found is not None else super().getattr_(ev, name)

    def setattr_(self, ev: Machine, name: str, value: Value) -> None:
        if self.cls is not collections.OrderedDict or self.source is not None or hasattr(self.cls, name):
            super().setattr_(ev, name, value)
        self.attrs[name] = value

    # ------------------------------------------------------------ inside

    def guard_keys(self, ev: Machine) -> None:
        """From here on the result depends on which keys there are."""
        if self.whole:
            return
        self.whole = True
        source, reading = self.source, self.reading
        if source is None or reading is None:
            return
        keys = [key for _, key in self.positions.values()]
        if not any(map(is_object, self.positions)):
            ev.guards.keys(source, tuple(keys), reading.keys)
        elif source.is_const:
            known = ev.names.inject([remembered(key) for key in keys], "keys")
            test = f"{ev.names.inject(same_objects, 'same_objects')}({reading.keys}, {known})"
            ev.guards.test(source, test, "{label} had other keys")
        else:
            ev.guards.test(
                source, f"len({reading.keys}) == {len(self.positions)}", f"{{label}} had {len(self.positions)} keys"
            )
            for key in self.positions:
                self.key_value(ev, key)

    def get(self, ev: Machine, key_value: Value) -> Value | None:
        """The Value under a key of the program; None when absent."""
        key = key_value.key(ev)
        found = self.table.get(key)
        if found is None:
            self._guard_absence(ev, key, key_value)
        elif type(found) is Lazy:
            return self._wrapped(ev, key, found, key_value)
        else:
            self._tie(ev, key, key_value)
        return found

    def at(self, ev: Machine, key: Any) -> Value | None:
        """The Value under one of the table's own keys."""
        found = self.table.get(key)
        return self._wrapped(ev, key, found, None) if type(found) is Lazy else found

    def has(self, ev: Machine, key_value: Value) -> bool:
        """Whether a key of the program is there."""
        key = key_value.key(ev)
        found = self.table.get(key)
        if found is None:
            self._guard_absence(ev, key, key_value)
        elif type(found) is Lazy and not self.whole and not is_object(key):
            self._guard_presence(ev, key, key_value)
        else:
            self._tie(ev, key, key_value)
        return found is not None

    def _tie(self, ev: Machine, key: Any, key_value: Value) -> None:
        """Guard that an object of the program leads to the key that it leads to now."""
        if key in self.positions and key not in self.removed and key not in self.tied and is_object(key):
            self._guard_presence(ev, key, key_value)

    def _wrapped(self, ev: Machine, key: Any, lazy: Lazy, key_value: Value | None) -> Value:
        source = self._place(ev, key, key_value)
        assert self.reading is not None
        if self.reading.missing and not self.whole:
            self._guard_presence(ev, key, key_value)
        if key_value is not None:
            self.tied.add(key)
        found = self.table[key] = self.read[key] = ev.wrap(lazy.obj, source)
        return found

    def _place(self, ev: Machine, key: Any, key_value: Value | None) -> Source:
        """Where the value under a key stands. Under an object that may be another one at the next call: at its position, which
        the program's key must lead to.
        """
        source, reading = self.source, self.reading
        assert source is not None and reading is not None
        index, real = self.positions[key]
        if not is_object(key):
            return reading.at(source, ev.names.literal(real))
        if key_value is None:
            self.guard_keys(ev)
            return reading.value_place(source, index)
        written = key_text(ev, key_value)
        if written is not None and not written[1]:
            return reading.at(source, written[0])
        place = reading.value_place(source, index)
        if written is not None:
            text, places = written
            assert place.parent is not None
            test = f"{reading.at(source, text).render('{x}')} is {place.render(place.parent.render('{x}'))}"
            reason = f"{{label}} had another value under {key_value.describe()}"
            ev.guards.add(Guard(source, test, reason, places=places))
        return place

    def _guard_presence(self, ev: Machine, key: Any, key_value: Value | None) -> None:
        assert self.source is not None and self.reading is not None
        self.tied.add(key)
        if not is_object(key):
            self._guard_lookup(ev, (ev.names.literal(self.positions[key][1]), ()), "", key, key_value)
        elif key_value is None or (text := key_text(ev, key_value)) is None:
            self.guard_keys(ev)
        else:
            self._guard_lookup(ev, text, "", key, key_value)

    def _guard_absence(self, ev: Machine, key: Any, key_value: Value) -> None:
        if self.source is None or self.cleared or key in self.removed or self.whole and not is_object(key):
            return
        assert self.reading is not None
        text = key_text(ev, key_value)
        if text is not None:
            self._guard_lookup(ev, text, "not ", key, key_value)
        elif asks_program(key):  # nothing else that the program makes is in there
            self.guard_keys(ev)

    def _guard_lookup(
        self, ev: Machine, text: tuple[str, tuple[Source, ...]], negated: str, key: Any, by: Value | None
    ) -> None:
        assert self.reading is not None
        shown = by.describe() if by is not None and is_object(key) else "{was}"
        reason = f"{{label}} had {'no' if negated else 'the key'} {shown}"
        was = Seen(key) if shown == "{was}" else None
        ev.guards.add(Guard(self.source, self.reading.contains(text[0], negated), reason, was=was, places=text[1]))

    def put(self, ev: Machine, key_value: Value, value: Value) -> None:
        key = key_value.key(ev)
        self.has(ev, key_value)  # guards presence or absence: the order of keys depends on it
        if key not in self.table and type(key) not in LITERAL_TYPES:
            self.key_values[key] = key_value
        self.table[key] = value
        self.touch(ev)

    def remove(self, ev: Machine, key_value: Value) -> None:
        self.has(ev, key_value)
        self._drop(ev, key_value.key(ev), key_value)

    def _drop(self, ev: Machine, key: Any, key_value: Value) -> None:
        del self.table[key]
        self.removed.add(key)
        if type(key) not in LITERAL_TYPES:
            self.key_values.setdefault(key, key_value)
        self.touch(ev)

    def touch(self, ev: Machine) -> None:
        if self.source is not None:
            ev.effects.touch(self)

    def key_value(self, ev: Machine, key: Any) -> Value:
        found = self.key_values.get(key)
        if found is not None:
            return found
        if is_object(key) and self.source is not None and self.reading is not None:
            index, real = self.positions[key]
            place = self.reading.key_place(self.source, index)
            found = self.key_values[key] = ev.wrap(real, place)
            return found
        return ev.from_python(key)

    def pairs(self, ev: Machine) -> list[tuple[Value, Value]]:
        """All (key, value), in order."""
        self.guard_keys(ev)
        return [(self.key_value(ev, k), self.at(ev, k)) for k in list(self.table)]  # type: ignore[misc]

    def keys(self, ev: Machine) -> list[Value]:
        self.guard_keys(ev)
        return [self.key_value(ev, k) for k in self.table]

    def as_constant(self) -> Any:
        raise TypeError("dicts are not constants")

    # ------------------------------------------------------------ protocols

    def truth(self, ev: Machine) -> bool:
        if self.removed:
            self.guard_keys(ev)  # what is left depends on all that was there
        elif not self.whole and self.source is not None and (self.positions or not self.table):
            assert self.reading is not None
            there, was = ("", "not ") if self.positions else ("not ", "")
            test = f"{there}{{x}}" if self.reading.each else f"{there}{self.reading.base}.__len__({{x}})"
            ev.guards.test(self.source, test, f"{{label}} was {was}empty")
        return bool(self.table)

    def len_(self, ev: Machine) -> Value:
        self.guard_keys(ev)
        return ConstantValue(len(self.table))

    def iter_(self, ev: Machine) -> Value:
        return ev.dict_iterator(self, "keys")

    def items(self, ev: Machine) -> list[Value]:
        return self.keys(ev)

    def getitem(self, ev: Machine, key: Value) -> Value:
        found = self.get(ev, key)
        if found is None:
            raise ev.raise_value(KeyError, key)
        return found

    def setitem(self, ev: Machine, key: Value, value: Value) -> None:
        self.put(ev, key, value)

    def delitem(self, ev: Machine, key: Value) -> None:
        if not self.has(ev, key):
            raise ev.raise_value(KeyError, key)
        self.remove(ev, key)

    def contains(self, ev: Machine, item: Value) -> bool:
        return self.has(ev, item)

    def key(self, ev: Machine) -> Any:
        raise ev.type_error(f"unhashable type: '{message_name(self.cls)}'")

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        other = ev.payload(other)
        if op not in ("==", "!=") or not isinstance(other, DictValue):
            return None
        mine, theirs = self.pairs(ev), other.pairs(ev)
        same = len(mine) == len(theirs)
        ordered = collections.OrderedDict
        if same and issubclass(self.cls, ordered) and issubclass(other.cls, ordered):
            same = all(ev.equal(a, b) for (a, _), (b, _) in zip(mine, theirs))
        for key, value in mine if same else ():
            found = other.get(ev, key)
            if found is None or not ev.same_or_equal(value, found):
                same = False
                break
        return TRUE if same == (op == "==") else FALSE

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        inside = ev.payload(other)
        if op != "|" or not isinstance(inside, DictValue):
            return None
        mine, theirs = self.pairs(ev), list(ev.mapping_pairs(other))
        result = DictValue(cls=inside.cls if reflected else self.cls)
        for key, value in theirs + mine if reflected else mine + theirs:
            result.put(ev, key, value)
        return result

    def inplace(self, ev: Machine, op: str, other: Value) -> Value | None:
        if op == "|":
            self.m_update(ev, other)
            return self
        return None

    def repr_(self, ev: Machine) -> Value:
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

    def m___init__(self, ev: Machine, *args: Value, **kwargs: Value) -> Value:
        return self.m_update(ev, *args, **kwargs)

    def m_get(self, ev: Machine, key: Value, default: Value = NONE) -> Value:
        found = self.get(ev, key)
        return default if found is None else found

    def m_setdefault(self, ev: Machine, key: Value, default: Value = NONE) -> Value:
        found = self.get(ev, key)
        if found is None:
            self.put(ev, key, default)
            return default
        return found

    def m_pop(self, ev: Machine, key: Value, *default: Value) -> Value:
        found = self.get(ev, key)
        if found is None:
            if default:
                return default[0]
            raise ev.raise_value(KeyError, key)
        self.remove(ev, key)
        return found

    def m_popitem(self, ev: Machine, last: Value = TRUE) -> Value:
        self.guard_keys(ev)
        if not self.table:
            raise ev.raise_(KeyError, "popitem(): dictionary is empty")
        k = list(self.table)[-1 if last.truth(ev) else 0]
        pair = TupleValue([self.key_value(ev, k), self.at(ev, k)])  # type: ignore[list-item]
        self._drop(ev, k, self.key_value(ev, k))
        return pair

    def m_move_to_end(self, ev: Machine, key: Value, last: Value = TRUE) -> Value:
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

    def m_update(self, ev: Machine, *args: Value, **kwargs: Value) -> Value:
        for arg in args:
            for key, value in ev.mapping_pairs(arg):
                self.put(ev, key, value)
        for name, value in kwargs.items():
            self.put(ev, ConstantValue(name), value)
        return NONE

    def m_clear(self, ev: Machine) -> Value:
        self.table.clear()
        self.whole = True
        self.reordered = self.cleared = True
        self.touch(ev)
        return NONE

    def m_copy(self, ev: Machine) -> Value:
        self.guard_keys(ev)
        new = DictValue(cls=self.cls)
        for key in list(self.table):
            if type(key) not in LITERAL_TYPES:
                new.key_values[key] = self.key_value(ev, key)
            new.table[key] = self.at(ev, key)
        return new

    m___copy__ = m_copy

    def m_keys(self, ev: Machine) -> Value:
        return ev.dict_view(self, "keys")

    def m_values(self, ev: Machine) -> Value:
        return ev.dict_view(self, "values")

    def m_items(self, ev: Machine) -> Value:
        return ev.dict_view(self, "items")

    def m___reversed__(self, ev: Machine) -> Value:
        return ev.iterator_of(self.keys(ev)[::-1])

    def m_fromkeys(self, ev: Machine, keys: Value, value: Value = NONE) -> Value:
        new = DictValue(cls=self.cls)
        for key in keys.items(ev):
            new.put(ev, key, value)
        return new

    # ------------------------------------------------------------ making it again

    def display(self, rb: Emitter) -> str:
        """A dict display with all entries."""
        return (
            "{" + ", ".join(f"{self.key_text(rb, k)}: {self.value_text(rb, k, v)}" for k, v in self.table.items()) + "}"
        )

    def key_text(self, rb: Emitter, key: Any) -> str:
        known = self.key_values.get(key)
        if known is None and is_object(key):
            known = self.key_value(rb.ev, key)
        return rb.value(known) if known is not None else rb.constant(key)

    def value_text(self, rb: Emitter, key: Any, value: Any) -> str:
        if type(value) is not Lazy:
            return rb.value(value)
        return rb.source(self._place(rb.ev, key, None))

    def rebuild(self, rb: Emitter) -> str:
        if self.cls is dict:
            return rb.fill(self, "{}", lambda: self.display(rb), "{0}.update({1})")
        cls = rb.inject(self.cls, self.cls.__name__)
        text = rb.fill(self, f"{cls}()", lambda: f"{cls}({self.display(rb)})", "{0}.update({1})")
        if self.attrs:
            text = rb.name_value(self, text)
            for name, value in self.attrs.items():
                rb.emit(assignment(rb, text, name, rb.value(value)))
        return text

    def replay(self, rb: Emitter, target: str) -> None:
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
        for key in self.positions:
            if key in self.removed:
                rb.effect(f"{base}.__delitem__({target}, {self.key_text(rb, key)})")
        for key, value in self.table.items():
            if type(value) is Lazy or key not in self.removed and self.read.get(key) is value:
                continue
            rb.effect(f"{base}.__setitem__({target}, {self.key_text(rb, key)}, {rb.value(value)})")


class MappingProxyValue(Value):
    """types.MappingProxyType over a mapping: reads go to it."""

    __slots__ = ("owner",)

    def __init__(self, owner: Value) -> None:
        self.source = None
        self.owner = owner

    def python_type(self) -> type:
        return types.MappingProxyType

    def truth(self, ev: Machine) -> bool:
        return self.owner.truth(ev)

    def len_(self, ev: Machine) -> Value:
        return self.owner.len_(ev)

    def iter_(self, ev: Machine) -> Value:
        return self.owner.iter_(ev)

    def getitem(self, ev: Machine, key: Value) -> Value:
        return self.owner.getitem(ev, key)

    def contains(self, ev: Machine, item: Value) -> bool:
        return self.owner.contains(ev, item)

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        if name in ("get", "keys", "values", "items", "copy", "__reversed__"):
            return ev.call_method(self.owner, name, args, kwargs)
        return super().call_method(ev, name, args, kwargs)

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        return self.owner.binary(ev, op, other.owner if isinstance(other, MappingProxyValue) else other, reflected)

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        return self.owner.compare(ev, op, other.owner if isinstance(other, MappingProxyValue) else other)

    def repr_(self, ev: Machine) -> Value:
        return ConstantValue(f"mappingproxy({ev.repr_text(self.owner)})")

    def rebuild(self, rb: Emitter) -> str:
        return f"{rb.inject(types.MappingProxyType, 'MappingProxyType')}({rb.value(self.owner)})"
