"""Iterators made during capture. Each keeps enough to be made again where it stands, at a graph break.

`next_` answers None at the end, so that loops cost no exceptions.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..breaks import UserRaise
from .base import Value
from .constant import NONE, ConstantValue
from .mappings import DictValue
from .sequences import TupleValue

if TYPE_CHECKING:
    from .base import Emitter, Machine
    from .sets import SetValue


_ENDED = object()


class IteratorValue(Value):
    """What all iterators share."""

    __slots__ = ()

    cls: type = type(iter(()))

    def python_type(self) -> type:
        return self.cls

    def iter_(self, ev: Machine) -> Value:
        return self

    def m___length_hint__(self, ev: Machine) -> Value:
        return NONE


def advanced(rb: Emitter, text: str, taken: int) -> str:
    """The name of an iterator made anew, of which so many items were taken, where nothing else puts it there."""
    name = rb.temp(text)
    if taken:
        rb.emit(f"for _ in range({taken}): next({name})")
    return name


class SequenceIterator(IteratorValue):
    """Over a list or tuple by index: a list may grow meanwhile."""

    __slots__ = ("owner", "position")

    _TYPES: dict[Any, type] = {list: type(iter([])), tuple: type(iter(()))}

    def __init__(self, owner: Any) -> None:
        self.source = None
        self.owner = owner
        self.position = 0

    def python_type(self) -> type:
        return self._TYPES.get(self.owner.python_type(), self._TYPES[list])

    def next_(self, ev: Machine) -> Value | None:
        if self.owner is None:
            return None
        found = self.owner.at(ev, self.position)
        if found is None:
            self.owner = None
        self.position += 1
        return found

    def rebuild(self, rb: Emitter) -> str:
        if self.owner is None:
            return "iter(())"
        name = rb.temp(f"iter({rb.value(self.owner)})")
        if self.position:
            rb.emit(f"{name}.__setstate__({self.position})")
        return name


class FixedIterator(IteratorValue):
    """Over Values that are all known."""

    __slots__ = ("values", "position")

    def __init__(self, values: list[Value]) -> None:
        self.source = None
        self.values = values
        self.position = 0

    def next_(self, ev: Machine) -> Value | None:
        if self.position < len(self.values):
            self.position += 1
            return self.values[self.position - 1]
        return None

    def rebuild(self, rb: Emitter) -> str:
        return f"iter([{', '.join(rb.value(v) for v in self.values[self.position :])}])"


class WalkingIterator(IteratorValue):
    """Over a dict or a set by an iterator of Python's own over the keys it has during capture: what growing, shrinking or
    exchanging them meanwhile does to an iterator, that one knows.
    """

    __slots__ = ("owner", "walk", "position", "ended")

    def __init__(self, owner: Any, table: Iterable[Any]) -> None:
        self.source = None
        self.owner = owner
        self.walk = iter(table)
        self.position = 0
        self.ended = False

    def step(self, ev: Machine) -> Any:
        """The next key; _ENDED when there is none."""
        try:
            key = next(self.walk, _ENDED)
        except RuntimeError as error:
            raise ev.raise_(RuntimeError, str(error)) from None
        self.position += key is not _ENDED
        self.ended |= key is _ENDED
        return key

    def left(self, rb: Emitter, table: Iterable[Any]) -> list[Any]:
        """The keys to come, which are those that one made now gives from this position on."""
        try:
            left = list(copy.copy(self.walk))
        except RuntimeError as error:  # it fails when it is asked next, and one made now does not
            raise rb.cannot(self, str(error)) from None
        if list(table)[self.position :] != left:
            raise rb.cannot(self, "what it goes over has other keys than when it was made")
        return left

    def again(self, rb: Emitter, table: Iterable[Any], whole: str) -> str:
        """The iterator where it stands. whole: its text where it stands at the beginning."""
        self.left(rb, table)
        if self.owner in rb.ev.effects:  # the entry gives it its new keys first
            if not rb.replay(self.owner):
                raise rb.cannot(self, "what it goes over is to hold it")
            whole = rb.late_temp(whole)
        if not self.position:
            return whole
        name = rb.temp(whole)
        rb.emit(f"for _ in range({self.position}): next({name})")
        return name


class SetIterator(WalkingIterator):
    """Over a set."""

    __slots__ = ("given",)

    cls: type = type(iter(set()))

    def __init__(self, owner: SetValue) -> None:
        super().__init__(owner, owner.keys)
        self.given = owner.given

    def next_(self, ev: Machine) -> Value | None:
        key = self.step(ev)
        if key is not _ENDED and self.given is not None:
            key = self.given[self.position - 1]
        return None if key is _ENDED else self.owner.item(ev, key)

    def rebuild(self, rb: Emitter) -> str:
        if self.ended:
            return "iter(set())"
        if not self.position or self.owner.source is not None and self.owner not in rb.ev.effects:
            return self.again(rb, self.owner.keys, f"iter({rb.value(self.owner)})")
        # a set of the same elements may have them in another order
        left = self.left(rb, self.owner.keys)
        if self.given is not None:
            left = list(self.given[self.position :])
        return f"iter([{', '.join(rb.value(self.owner.item(rb.ev, k)) for k in left)}])"


class RangeIterator(IteratorValue):
    """Over a range."""

    __slots__ = ("left",)

    cls = type(iter(range(0)))

    def __init__(self, values: range) -> None:
        self.source = None
        self.left = values

    def next_(self, ev: Machine) -> Value | None:
        if not self.left:
            return None
        first = self.left[0]
        self.left = self.left[1:]
        return ConstantValue(first)

    def rebuild(self, rb: Emitter) -> str:
        return f"iter({self.left!r})"


class DictIterator(WalkingIterator):
    """Over keys, values or items of a dict."""

    __slots__ = ("kind",)

    _TYPES: dict[str, type] = {
        "keys": type(iter({})),
        "values": type(iter({}.values())),
        "items": type(iter({}.items())),
    }

    def __init__(self, ev: Machine, owner: DictValue, kind: str) -> None:
        owner.guard_keys(ev)
        super().__init__(owner, owner.table)
        self.kind = kind

    def python_type(self) -> type:
        return self._TYPES[self.kind]

    def next_(self, ev: Machine) -> Value | None:
        key = self.step(ev)
        if key is _ENDED:
            return None
        if self.kind == "keys":
            return self.owner.key_value(ev, key)
        value = self.owner.at(ev, key)
        return value if self.kind == "values" else TupleValue([self.owner.key_value(ev, key), value])

    def rebuild(self, rb: Emitter) -> str:
        if self.ended:
            return f"iter({{}}.{self.kind}())"
        return self.again(rb, self.owner.table, f"iter({rb.value(self.owner)}.{self.kind}())")


class EnumerateValue(IteratorValue):
    """enumerate(it, start)."""

    __slots__ = ("inner", "count")

    cls = enumerate

    def __init__(self, inner: Value, start: int) -> None:
        self.source = None
        self.inner = inner
        self.count = start

    def next_(self, ev: Machine) -> Value | None:
        item = self.inner.next_(ev)
        if item is None:
            return None
        self.count += 1
        return TupleValue([ConstantValue(self.count - 1), item])

    def rebuild(self, rb: Emitter) -> str:
        return f"enumerate({rb.value(self.inner)}, {self.count})"


class ZipValue(IteratorValue):
    """zip(*its, strict=...)."""

    __slots__ = ("inner", "strict")

    cls = zip

    def __init__(self, inner: list[Value], strict: bool) -> None:
        self.source = None
        self.inner = inner
        self.strict = strict

    def next_(self, ev: Machine) -> Value | None:
        found = []
        for number, it in enumerate(self.inner):
            item = it.next_(ev)
            if item is None:
                if self.strict:
                    self._check_strict(ev, number)
                return None
            found.append(item)
        return TupleValue(found) if found else None

    def _check_strict(self, ev: Machine, ended: int) -> None:
        def plural(n: int) -> str:
            return " " if n == 1 else "s 1-"

        if ended > 0:
            raise ev.raise_(ValueError, f"zip() argument {ended + 1} is shorter than argument{plural(ended)}{ended}")
        for number, it in enumerate(self.inner[1:], 1):
            if it.next_(ev) is not None:
                raise ev.raise_(
                    ValueError, f"zip() argument {number + 1} is longer than argument{plural(number)}{number}"
                )

    def rebuild(self, rb: Emitter) -> str:
        strict = ", strict=True" if self.strict else ""
        return f"zip({', '.join(rb.value(it) for it in self.inner)}{strict})"


class MapValue(IteratorValue):
    """map(function, *its)."""

    __slots__ = ("function", "inner")

    cls = map

    def __init__(self, function: Value, inner: list[Value]) -> None:
        self.source = None
        self.function = function
        self.inner = inner

    def next_(self, ev: Machine) -> Value | None:
        args = []
        for it in self.inner:
            item = it.next_(ev)
            if item is None:
                return None
            args.append(item)
        return self.function.call(ev, args, {})

    def rebuild(self, rb: Emitter) -> str:
        return f"map({rb.value(self.function)}, {', '.join(rb.value(it) for it in self.inner)})"


class FilterValue(IteratorValue):
    """filter(function, it)."""

    __slots__ = ("function", "inner")

    cls = filter

    def __init__(self, function: Value, inner: Value) -> None:
        self.source = None
        self.function = function
        self.inner = inner

    def next_(self, ev: Machine) -> Value | None:
        while (item := self.inner.next_(ev)) is not None:
            kept = item if ev.is_none(self.function) else self.function.call(ev, [item], {})
            if kept.truth(ev):
                return item
        return None

    def rebuild(self, rb: Emitter) -> str:
        return f"filter({rb.value(self.function)}, {rb.value(self.inner)})"


class CountValue(IteratorValue):
    """itertools.count(start, step)."""

    __slots__ = ("value", "step")

    cls = itertools.count

    def __init__(self, start: Value, step: Value) -> None:
        self.source = None
        self.value = start
        self.step = step

    def next_(self, ev: Machine) -> Value | None:
        found = self.value
        self.value = ev.binary("+", found, self.step)
        return found

    def rebuild(self, rb: Emitter) -> str:
        return f"{rb.inject(itertools.count, 'count')}({rb.value(self.value)}, {rb.value(self.step)})"


class CallIterator(IteratorValue):
    """iter(function, sentinel)."""

    __slots__ = ("function", "sentinel")

    cls = type(iter(int, 1))

    def __init__(self, function: Value, sentinel: Value) -> None:
        self.source = None
        self.function = function
        self.sentinel = sentinel

    def next_(self, ev: Machine) -> Value | None:
        found = self.function.call(ev, [], {})
        return None if ev.equal(found, self.sentinel) else found

    def rebuild(self, rb: Emitter) -> str:
        return f"iter({rb.value(self.function)}, {rb.value(self.sentinel)})"


class ItemIterator(IteratorValue):
    """Over an object that only has `__getitem__`: asks for 0, 1, 2 ... until IndexError."""

    __slots__ = ("owner", "position")

    def __init__(self, owner: Value) -> None:
        self.source = None
        self.owner = owner
        self.position = 0

    def next_(self, ev: Machine) -> Value | None:
        try:
            found = self.owner.getitem(ev, ConstantValue(self.position))
        except UserRaise as error:
            if issubclass(error.value.python_type(), (IndexError, StopIteration)):
                return None
            raise
        self.position += 1
        return found

    def rebuild(self, rb: Emitter) -> str:
        name = rb.temp(f"iter({rb.value(self.owner)})")
        if self.position:
            rb.emit(f"{name}.__setstate__({self.position})")
        return name
