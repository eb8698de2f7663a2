"""Sets, and the views of dicts that act like them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..guards.sources import Source
from .base import Value
from .constant import FALSE, NONE, TRUE, ConstantValue
from .literals import LITERAL_TYPES
from .mappings import DictValue
from .sequences import TupleValue

if TYPE_CHECKING:
    from .base import Emitter, Machine


class DictViewValue(Value):
    """`d.keys()`, `d.values()`, `d.items()`."""

    __slots__ = ("owner", "kind")

    def __init__(self, owner: DictValue, kind: str) -> None:
        self.source = None
        self.owner = owner
        self.kind = kind

    def python_type(self) -> type:
        return type(getattr(self.owner.cls(), self.kind)())

    def items(self, ev: Machine) -> list[Value]:
        if self.kind == "keys":
            return self.owner.keys(ev)
        pairs = self.owner.pairs(ev)
        return [v for _, v in pairs] if self.kind == "values" else [TupleValue([k, v]) for k, v in pairs]

    def iter_(self, ev: Machine) -> Value:
        return ev.dict_iterator(self.owner, self.kind)

    def len_(self, ev: Machine) -> Value:
        return self.owner.len_(ev)

    def truth(self, ev: Machine) -> bool:
        return self.owner.truth(ev)

    def contains(self, ev: Machine, item: Value) -> bool:
        if self.kind == "keys":
            return self.owner.contains(ev, item)
        if self.kind == "items" and isinstance(item, TupleValue):
            key, value = item.items(ev)
            found = self.owner.get(ev, key)
            return found is not None and ev.same_or_equal(found, value)
        return super().contains(ev, item)

    def m___reversed__(self, ev: Machine) -> Value:
        return ev.iterator_of(self.items(ev)[::-1])

    def m_isdisjoint(self, ev: Machine, other: Value) -> Value:
        return self._as_set(ev).m_isdisjoint(ev, other)

    def _as_set(self, ev: Machine) -> SetValue:
        return SetValue.of(ev, self.items(ev))

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        if self.kind == "values" or op not in ("&", "|", "-", "^"):
            return None
        theirs = SetValue.of(ev, other.items(ev))
        one, two = (theirs, self._as_set(ev)) if reflected else (self._as_set(ev), theirs)
        return one.binary(ev, op, two, False)

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        other = ev.payload(other)
        if self.kind == "values" or not isinstance(other, (DictViewValue, SetValue)):
            return None
        mine, theirs = self.items(ev), other.items(ev)
        if op in ("<", "<=") or op in ("==", "!=") and len(mine) == len(theirs):
            inside = all(other.contains(ev, v) for v in mine)
        else:
            inside = op in (">", ">=") and all(self.contains(ev, v) for v in theirs)
        sizes = ev.operators.COMPARE[op](len(mine), len(theirs))
        if op == "!=":
            return FALSE if inside else TRUE
        return TRUE if inside and sizes else FALSE

    def repr_(self, ev: Machine) -> Value:
        inside = ", ".join(ev.repr_text(v) for v in self.items(ev))
        return ConstantValue(f"{self.python_type().__name__}([{inside}])")

    def rebuild(self, rb: Emitter) -> str:
        cls = self.owner.cls  # a subclass may have methods of its own
        return f"{rb.inject(cls, cls.__name__)}.{self.kind}({rb.value(self.owner)})"


class SetValue(Value):
    """A set or frozenset. The keys live in a real set, so that iteration has Python's own order."""

    __slots__ = ("keys", "key_values", "cls", "real", "whole")

    def __init__(self, cls: type = set, source: Source | None = None, real: Any = None) -> None:
        self.source = source
        self.cls = cls
        self.keys: set[Any] = set()
        self.key_values: dict[Any, Value] = {}
        self.real = real
        self.whole = True

    @classmethod
    def of(cls, ev: Machine, items: Iterable[Value], kind: type = set) -> SetValue:
        new = SetValue(kind)
        for item in items:
            new.add(ev, item)
        return new

    def add(self, ev: Machine, item: Value) -> None:
        key = item.key(ev)
        if key not in self.keys:
            self.keys.add(key)
            if type(key) not in LITERAL_TYPES:
                self.key_values[key] = item

    def touch(self, ev: Machine) -> None:
        if self.source is not None:
            ev.effects.touch(self)

    def python_type(self) -> type:
        return self.cls

    def as_constant(self) -> Any:
        if self.cls is not frozenset:
            return super().as_constant()
        return frozenset(self.key_values[k].as_constant() if k in self.key_values else k for k in self.keys)

    def items(self, ev: Machine) -> list[Value]:
        return [self.item(ev, k) for k in self.keys]

    def item(self, ev: Machine, key: Any) -> Value:
        """The element under a key."""
        return self.key_values[key] if key in self.key_values else ev.from_python(key)

    def iter_(self, ev: Machine) -> Value:
        return ev.set_iterator(self)

    def truth(self, ev: Machine) -> bool:
        return bool(self.keys)

    def len_(self, ev: Machine) -> Value:
        return ConstantValue(len(self.keys))

    def contains(self, ev: Machine, item: Value) -> bool:
        return self._lookup_key(ev, item) in self.keys

    def _lookup_key(self, ev: Machine, item: Value) -> Any:
        # a set looks up another set by its frozen content
        other = ev.payload(item)
        if isinstance(other, SetValue) and other.cls is set:
            return frozenset(other.keys)
        return item.key(ev)

    def key(self, ev: Machine) -> Any:
        if self.cls is frozenset:
            return frozenset(self.keys)
        raise ev.type_error("unhashable type: 'set'")

    _OPS = {"&": "intersection", "|": "union", "-": "difference", "^": "symmetric_difference"}

    def _as_set(self, ev: Machine, other: Value) -> SetValue:
        theirs = ev.payload(other)
        return theirs if isinstance(theirs, SetValue) else SetValue.of(ev, theirs.items(ev))

    def _combine(self, ev: Machine, method: str, others: Iterable[Value]) -> SetValue:
        """A new set. The real sets do the work, so that the order of iteration is Python's."""
        result = SetValue(self.cls)
        theirs = [self._as_set(ev, o) for o in others]
        result.keys = set(getattr(self.keys, method)(*[t.keys for t in theirs]))
        values = dict(self.key_values)
        for t in theirs:
            values = {**t.key_values, **values}
        result.key_values = {k: v for k, v in values.items() if k in result.keys}
        return result

    def _change(self, ev: Machine, method: str, others: Iterable[Value]) -> Value:
        """Change this set by one of its own in-place methods."""
        theirs = [self._as_set(ev, o) for o in others]
        getattr(self.keys, method)(*[t.keys for t in theirs])
        values = dict(self.key_values)
        for t in theirs:
            values = {**t.key_values, **values}
        self.key_values = {k: v for k, v in values.items() if k in self.keys}
        self.touch(ev)
        return NONE

    def _become(self, ev: Machine, other: SetValue) -> None:
        self.keys.clear()  # iterators hold the real set
        self.keys |= other.keys
        self.key_values = other.key_values
        self.touch(ev)

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        theirs = ev.payload(other)
        if op not in self._OPS or not isinstance(theirs, (SetValue, DictViewValue)):
            return None
        if isinstance(theirs, DictViewValue):
            theirs = self._as_set(ev, theirs)
        one, two = (theirs, self) if reflected else (self, theirs)
        return one._combine(ev, self._OPS[op], [two])

    def inplace(self, ev: Machine, op: str, other: Value) -> Value | None:
        if self.cls is frozenset or op not in self._OPS or not isinstance(ev.payload(other), (SetValue, DictViewValue)):
            return None
        self._change(ev, "update" if op == "|" else f"{self._OPS[op]}_update", [other])
        return self

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        theirs = ev.payload(other)
        if isinstance(theirs, DictViewValue):
            theirs = self._as_set(ev, theirs)
        if not isinstance(theirs, SetValue):
            return None
        return ev.fold(ev.operators.COMPARE[op], self.keys, theirs.keys)

    def repr_(self, ev: Machine) -> Value:
        inside = ", ".join(ev.repr_text(v) for v in self.items(ev))
        if self.cls is frozenset:
            return ConstantValue(f"frozenset({{{inside}}})" if inside else "frozenset()")
        return ConstantValue(f"{{{inside}}}" if inside else "set()")

    # ------------------------------------------------------------ methods

    def m___init__(self, ev: Machine, items: Value | None = None) -> Value:
        self._become(ev, SetValue.of(ev, items.items(ev) if items is not None else []))
        return NONE

    def m_add(self, ev: Machine, item: Value) -> Value:
        self.add(ev, item)
        self.touch(ev)
        return NONE

    def m_discard(self, ev: Machine, item: Value) -> Value:
        key = self._lookup_key(ev, item)
        self.keys.discard(key)
        self.key_values.pop(key, None)
        self.touch(ev)
        return NONE

    def m_remove(self, ev: Machine, item: Value) -> Value:
        if self._lookup_key(ev, item) not in self.keys:
            raise ev.raise_value(KeyError, item)
        return self.m_discard(ev, item)

    def m_pop(self, ev: Machine) -> Value:
        if not self.keys:
            raise ev.raise_(KeyError, "pop from an empty set")
        key = self.keys.pop()
        self.touch(ev)
        found = self.key_values.pop(key, None)
        return found if found is not None else ev.from_python(key)

    def m_clear(self, ev: Machine) -> Value:
        self._become(ev, SetValue())
        return NONE

    def m_copy(self, ev: Machine) -> Value:
        return self if self.cls is frozenset else self._combine(ev, "union", [])

    m___copy__ = m_copy

    def m_update(self, ev: Machine, *others: Value) -> Value:
        for other in others:
            if isinstance(ev.payload(other), SetValue):
                self._change(ev, "update", [other])
                continue
            for item in ev.each(other):
                self.m_add(ev, item)
        return NONE

    def m_intersection_update(self, ev: Machine, *others: Value) -> Value:
        return self._change(ev, "intersection_update", others)

    def m_difference_update(self, ev: Machine, *others: Value) -> Value:
        for other in others:
            if isinstance(ev.payload(other), SetValue):
                self._change(ev, "difference_update", [other])
                continue
            for item in ev.each(other):
                self.m_discard(ev, item)
        return NONE

    def m_symmetric_difference_update(self, ev: Machine, other: Value) -> Value:
        return self._change(ev, "symmetric_difference_update", [other])

    def m_union(self, ev: Machine, *others: Value) -> Value:
        return self._combine(ev, "union", others)

    def m_intersection(self, ev: Machine, *others: Value) -> Value:
        return self._combine(ev, "intersection", others)

    def m_difference(self, ev: Machine, *others: Value) -> Value:
        return self._combine(ev, "difference", others)

    def m_symmetric_difference(self, ev: Machine, other: Value) -> Value:
        return self._combine(ev, "symmetric_difference", [other])

    def m_isdisjoint(self, ev: Machine, other: Value) -> Value:
        return TRUE if not self._combine(ev, "intersection", [other]).keys else FALSE

    def m_issubset(self, ev: Machine, other: Value) -> Value:
        return TRUE if len(self._combine(ev, "intersection", [other]).keys) == len(self.keys) else FALSE

    def m_issuperset(self, ev: Machine, other: Value) -> Value:
        return TRUE if len(self._combine(ev, "union", [other]).keys) == len(self.keys) else FALSE

    # ------------------------------------------------------------ making it again

    def _display(self, rb: Emitter) -> str:
        parts = [rb.value(self.key_values[k]) if k in self.key_values else rb.constant(k) for k in self.keys]
        return f"{{{', '.join(parts)}}}" if parts else "set()"

    def rebuild(self, rb: Emitter) -> str:
        display = self._display(rb)
        return display if self.cls is set else f"frozenset({display if self.keys else ''})"

    def replay(self, rb: Emitter, target: str) -> None:
        display = self._display(rb)
        rb.effect(f"{target}.clear()")
        rb.effect(f"{target}.update({display})")
