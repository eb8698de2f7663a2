"""Sets, and the views of dicts that act like them."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Change:
    """A method that changed a set, and the keys that it was given; with Values where keys are no literals."""

    method: str
    items: dict[Any, Value | None]


class SetValue(Value):
    """A set or frozenset. The keys live in a real set, which goes through what the program's goes through, so that iteration has
    Python's own order: that depends on the hashes and on all that a set ever held.

    given:   the order of the program's set as long as it is unchanged, where `keys` has another one
    ordered: False when the order can no longer be told
    changes: what the program did to it since it came or was made
    """

    __slots__ = ("keys", "key_values", "cls", "real", "whole", "given", "ordered", "changes")

    def __init__(self, cls: type = set, source: Source | None = None, real: Any = None) -> None:
        self.source = source
        self.cls = cls
        self.keys: set[Any] = set()
        self.key_values: dict[Any, Value] = {}
        self.real = real
        self.whole = True
        self.given: tuple[Any, ...] | None = None
        self.ordered = True
        self.changes: list[Change] = []

    @classmethod
    def of(cls, ev: Machine, items: Iterable[Value], kind: type = set) -> SetValue:
        new = SetValue(kind)
        for item in items:
            new.add(ev, item)
        return new

    @classmethod
    def copied(cls, ev: Machine, value: Value, kind: type) -> SetValue:
        """`set(value)`. For the items of a set or dict Python makes room at once, and the room tells in their order."""
        inside = ev.payload(value)
        if isinstance(inside, SetValue):
            return inside._combine(ev, "union", [], kind)
        new = SetValue.of(ev, value.items(ev), kind)
        if isinstance(inside, DictValue) and inside.cls is dict:
            new.keys = set(dict.fromkeys(inside.table))
        return new

    def add(self, ev: Machine, item: Value) -> None:
        key = item.key(ev)
        if key not in self.keys:
            self.keys.add(key)
            if type(key) not in LITERAL_TYPES:
                self.key_values[key] = item
            self._changed("add", {key: item})

    def arrange(self, keys: Iterable[Any]) -> None:
        """Say in which order the program's set has its keys."""
        given = tuple(keys)
        self.given = None if tuple(self.keys) == given else given

    def order(self, ev: Machine) -> Collection[Any]:
        """The keys as the program's set gives them."""
        if not self.ordered:
            raise ev.break_(
                "set-order", f"going over {self.describe()} after it was changed",
                "the order of its items depends on what it held before it came here", "go over sorted(...) of it",
            )  # fmt: skip
        return self._in_order

    @property
    def _in_order(self) -> Collection[Any]:
        return self.keys if self.given is None else self.given

    def _changed(self, method: str, items: dict[Any, Value | None]) -> None:
        self.ordered &= self.given is None
        self.given = None
        if method == "clear":
            self.changes.clear()
        elif method == "discard" and all(v is not None and v.source is None for v in items.values()):
            # what the program made and took out again need not be made, nor be held here
            for change in self.changes:
                for key in items:
                    change.items.pop(key, None)
            return
        self.changes.append(Change(method, items))

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
        return [self.item(ev, k) for k in self.order(ev)]

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

    def _known(self, others: Iterable[SetValue]) -> dict[Any, Value]:
        """The Values of the keys that are no literals, here and there; what stands here comes first."""
        values = dict(self.key_values)
        for other in others:
            values = {**other.key_values, **values}
        return values

    def _combine(self, ev: Machine, method: str, others: Iterable[Value], cls: type | None = None) -> SetValue:
        """A new set. The real sets do the work, so that the order of iteration is Python's."""
        result = SetValue(cls or self.cls)
        theirs = [self._as_set(ev, o) for o in others]
        result.keys = getattr(self.keys, method)(*[t.keys for t in theirs])
        values = self._known(theirs)
        result.key_values = {k: v for k, v in values.items() if k in result.keys}
        result.ordered = all(s.ordered and s.given is None for s in (self, *theirs))
        result.changes.append(Change("update", {k: result.key_values.get(k) for k in result.keys}))
        return result

    def _change(self, ev: Machine, method: str, others: Iterable[Value]) -> Value:
        """Change this set by one of its own in-place methods."""
        theirs = [self._as_set(ev, o) for o in others]
        values = self._known(theirs)
        changes = [{k: values.get(k) for k in t.keys} for t in theirs]  # one may be this very set
        ordered = all(t.ordered and t.given is None for t in theirs)
        getattr(self.keys, method)(*[t.keys for t in theirs])
        self.key_values = {k: v for k, v in values.items() if k in self.keys}
        for items in changes:  # several are taken one after the other
            self._changed(method, items)
        self.ordered &= ordered
        self.touch(ev)
        return NONE

    def _become(self, ev: Machine, other: SetValue) -> None:
        self.keys.clear()  # iterators hold the real set
        self.keys |= other.keys
        self.key_values = other.key_values
        self.given, self.ordered = None, True
        self._changed("clear", {})
        self._changed("update", {k: other.key_values.get(k) for k in other.keys})
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
        if key in self.keys:
            self.keys.discard(key)
            self._changed("discard", {key: self.key_values.pop(key, None)})
            self.touch(ev)
        return NONE

    def m_remove(self, ev: Machine, item: Value) -> Value:
        if self._lookup_key(ev, item) not in self.keys:
            raise ev.raise_value(KeyError, item)
        return self.m_discard(ev, item)

    def m_pop(self, ev: Machine) -> Value:
        if not self.keys:
            raise ev.raise_(KeyError, "pop from an empty set")
        key = next(iter(self.order(ev)))
        self.keys.discard(key)
        found = self.key_values.pop(key, None)
        self._changed("discard", {key: found})
        self.touch(ev)
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

    def _displayed(self, rb: Emitter, items: Iterable[tuple[Any, Value | None]]) -> str:
        parts = [rb.constant(key) if value is None else rb.value(value) for key, value in items]
        return f"{{{', '.join(parts)}}}" if parts else "set()"

    def _display(self, rb: Emitter) -> str:
        return self._displayed(rb, ((key, self.key_values.get(key)) for key in self._in_order))

    def rebuild(self, rb: Emitter) -> str:
        order = list(self._in_order)
        display = self._display(rb)
        if order and self.ordered and list(self.cls(_added(order))) != order:
            # where hashes collide, the order depends on the room that there was, and on what came first
            if list(self.cls(dict.fromkeys(order))) == order:
                return f"{self.cls.__name__}(dict.fromkeys(({display[1:-1]},)))"
            if self._changed_little and list(self.cls(self._again())) == order:
                display = rb.temp("set()")
                for statement in self._statements(rb, display):
                    rb.emit(statement)
        return display if self.cls is set else f"frozenset({display if self.keys else ''})"

    def replay(self, rb: Emitter, target: str) -> None:
        """The program's set goes through the same changes, unless those are many for what is left."""
        if self._changed_little:
            for statement in self._statements(rb, target):
                rb.effect(statement)
            return
        rb.effect(self._call(rb, target, "clear"))
        rb.effect(self._call(rb, target, "update", self._display(rb)))

    @property
    def _changed_little(self) -> bool:
        """Whether the changes are no more work than filling it."""
        return len(self.changes) <= 2 * len(self.keys) + 8

    def _call(self, rb: Emitter, target: str, method: str, arg: str = "") -> str:
        if type(self.real) in (set, types.NoneType):
            return f"{target}.{method}({arg})"
        # a subclass may have methods of its own
        return f"{rb.inject(set, 'set')}.{method}({target}{arg and ', '}{arg})"

    def _again(self) -> set[Any]:
        """A set that went through the changes."""
        made: set[Any] = set()
        for change in self.changes:
            if change.method == "clear":
                made.clear()
            elif change.method in _OF_ONE:
                for key in change.items:
                    getattr(made, change.method)(key)
            else:
                getattr(made, change.method)(_added(change.items))
        return made

    def _statements(self, rb: Emitter, target: str) -> Iterator[str]:
        for change in self.changes:
            # what the program made itself, and is not there any more, need not be made
            items = [(k, v) for k, v in change.items.items() if v is None or v.source is not None or k in self.keys]
            if change.method in _OF_ONE:
                for key, value in items:
                    yield self._call(rb, target, change.method, rb.constant(key) if value is None else rb.value(value))
            elif change.method == "clear":
                yield self._call(rb, target, "clear")
            else:
                yield self._call(rb, target, change.method, self._displayed(rb, items))


#: methods that are given an item
_OF_ONE = frozenset(("add", "discard"))


def _added(keys: Iterable[Any]) -> set[Any]:
    """As a display makes it."""
    made = set()
    for key in keys:
        made.add(key)  # noqa: FURB142
    return made
