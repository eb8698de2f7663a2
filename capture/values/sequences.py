"""Lists, tuples, deques and slices.

A list that came from outside starts *closed*: only its type is guarded. Appending to it keeps it closed; anything that
looks inside opens it, which guards its length and wraps its elements. So a loop that only collects results in
a list does not depend on how many there are.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..breaks import NotConstant, UserRaise
from ..machine.type_lookup import message_name
from .base import Value
from .constant import FALSE, NONE, TRUE, ConstantValue

if TYPE_CHECKING:
    from .base import Emitter, Machine

#: elements of a held sequence that capture looks into: each takes a guard and about a kilobyte
MOST_ELEMENTS = 10_000


def check_size(ev: Machine, cls: type, count: int) -> None:
    """A graph break where a sequence from outside is too long to be guarded element by element."""
    if count > MOST_ELEMENTS:
        raise ev.break_(
            "long-sequence", f"looking into a {cls.__name__} of {count} elements",
            f"each would take a guard, and capture stops at {MOST_ELEMENTS}; an array holds many numbers better",
        )  # fmt: skip


class SliceValue(Value):
    """A slice object."""

    __slots__ = ("start", "stop", "step")

    def __init__(self, start: Value, stop: Value, step: Value) -> None:
        self.source = None
        self.start, self.stop, self.step = start, stop, step

    def python_type(self) -> type:
        return slice

    def as_constant(self) -> slice:
        return slice(self.start.as_constant(), self.stop.as_constant(), self.step.as_constant())

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name in ("start", "stop", "step"):
            return getattr(self, name)
        return super().getattr_(ev, name)

    def m_indices(self, ev: Machine, length: Value) -> Value:
        return ev.fold(lambda: self.concrete(ev).indices(length.as_constant()))

    def concrete(self, ev: Machine) -> slice:
        """The slice with Python ints in it."""
        return slice(*(None if ev.is_none(v) else ev.index(v) for v in (self.start, self.stop, self.step)))

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        if op in ("==", "!=") and isinstance(other, SliceValue):
            pairs = ((self.start, other.start), (self.stop, other.stop), (self.step, other.step))
            same = all(ev.equal(a, b) for a, b in pairs)
            return TRUE if same == (op == "==") else FALSE
        return None

    def repr_(self, ev: Machine) -> Value:
        parts = ", ".join(ev.repr_text(v) for v in (self.start, self.stop, self.step))
        return ConstantValue(f"slice({parts})")

    def rebuild(self, rb: Emitter) -> str:
        return f"slice({rb.value(self.start)}, {rb.value(self.stop)}, {rb.value(self.step)})"


class SequenceValue(Value):
    """What tuples, lists and deques share. `elements` is a tuple or a list of Values."""

    __slots__ = ("_elements",)

    cls: type = tuple
    has_slices = True

    def __init__(self, elements: Iterable[Value], source: Any = None) -> None:
        self.source = source
        self._elements: Any = elements

    def elements(self, ev: Machine) -> Any:
        return self._elements

    def python_type(self) -> type:
        return self.cls

    def truth(self, ev: Machine) -> bool:
        return bool(self.elements(ev))

    def len_(self, ev: Machine) -> Value:
        return ConstantValue(len(self.elements(ev)))

    def items(self, ev: Machine) -> list[Value]:
        return list(self.elements(ev))

    def iter_(self, ev: Machine) -> Value:
        self.elements(ev)
        return ev.sequence_iterator(self)

    def at(self, ev: Machine, i: int) -> Value | None:
        """Element `i`, for an iterator: None behind the end."""
        elements = self.elements(ev)
        return elements[i] if i < len(elements) else None

    if TYPE_CHECKING:  # each builtin's own Value brings it

        def new(self, elements: Iterable[Value]) -> Value:
            """A new object of the same builtin type."""

    def getitem(self, ev: Machine, key: Value) -> Value:
        if type(key) is ConstantValue and type(key.value) is int:
            try:
                return self.elements(ev)[key.value]
            except IndexError:
                raise self.out_of_range(ev) from None
        if self.has_slices and isinstance(key, SliceValue):
            return self.new(list(self.elements(ev))[key.concrete(ev)])
        if not ev.has_index(key):
            raise self.no_index(ev, key)
        try:
            return self.elements(ev)[ev.index(key)]
        except IndexError:
            raise self.out_of_range(ev) from None

    def out_of_range(self, ev: Machine, what: str = "index") -> UserRaise:
        return ev.raise_(IndexError, f"{self.cls.__name__} {what} out of range")

    def no_index(self, ev: Machine, key: Value) -> UserRaise:
        name = message_name(key.python_type())
        return ev.type_error(f"{self.cls.__name__} indices must be integers or slices, not {name}")

    def contains(self, ev: Machine, item: Value) -> bool:
        return any(ev.same_or_equal(e, item) for e in self.elements(ev))

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        if op == "+":
            # a subclass's payload stands for it
            other = ev.payload(other)
            if isinstance(other, SequenceValue) and other.cls is self.cls:
                one, two = (other, self) if reflected else (self, other)
                return self.new([*one.elements(ev), *two.elements(ev)])
        if op == "*" and ev.has_index(other):
            if not reflected and not other.is_constant:
                # sequences repeat after all else: an array with an index has a product of its own
                found = other.binary(ev, op, self, True)
                if found is not None:
                    return found
            return self.new(list(self.elements(ev)) * ev.index(other))
        return None

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        other = ev.payload(other)
        if not isinstance(other, SequenceValue) or other.cls is not self.cls:
            return None
        mine, theirs = self.elements(ev), other.elements(ev)
        if op in ("==", "!="):
            same = len(mine) == len(theirs) and all(ev.same_or_equal(a, b) for a, b in zip(mine, theirs))
            return TRUE if same == (op == "==") else FALSE
        for a, b in zip(mine, theirs):
            if not ev.same_or_equal(a, b):
                return ev.compare(op, a, b)
        return ev.fold(ev.operators.COMPARE[op], len(mine), len(theirs))

    def m_index(self, ev: Machine, item: Value, start: Value | None = None, stop: Value | None = None) -> Value:
        elements = list(self.elements(ev))
        low, high, _ = slice(ev.index(start) if start else 0, ev.index(stop) if stop else None).indices(len(elements))
        for i in range(low, high):
            if ev.same_or_equal(elements[i], item):
                return ConstantValue(i)
        what = (
            "tuple.index(x): x not in tuple"
            if self.cls is tuple
            else f"{ev.repr_text(item)} is not in {self.cls.__name__}"
        )
        raise ev.raise_(ValueError, what)

    def m_count(self, ev: Machine, item: Value) -> Value:
        return ConstantValue(sum(ev.same_or_equal(e, item) for e in self.elements(ev)))

    def m___reversed__(self, ev: Machine) -> Value:
        return ev.iterator_of(list(reversed(self.elements(ev))))

    def repr_(self, ev: Machine) -> Value:
        with ev.repr_guard(self) as again:
            if again:
                return ConstantValue("[...]" if self.cls is list else "(...)")
            return ConstantValue(self.wrap_text([ev.repr_text(e) for e in self.elements(ev)]))

    def wrap_text(self, parts: list[str]) -> str:
        return f"[{', '.join(parts)}]"


class TupleValue(SequenceValue):
    """A tuple. Immutable, so it may be shared between captures when all its elements are constants."""

    __slots__ = ()

    cls = tuple

    def __init__(self, elements: Iterable[Value], source: Any = None) -> None:
        self.source = source
        self._elements = elements if type(elements) is list else list(elements)

    def as_constant(self) -> tuple[Any, ...]:
        return tuple([e.as_constant() for e in self._elements])

    def new(self, elements: Iterable[Value]) -> Value:
        return TupleValue(elements)

    def key(self, ev: Machine) -> Any:
        return tuple([e.key(ev) for e in self._elements])

    def wrap_text(self, parts: list[str]) -> str:
        return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"

    def m___getnewargs__(self, ev: Machine) -> Value:
        return TupleValue([TupleValue(self._elements)])

    def rebuild(self, rb: Emitter) -> str:
        parts = [rb.value(e) for e in self._elements]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


class MutableSequence(SequenceValue):
    """Lists and deques: `change` gives the elements for writing and records the effect."""

    __slots__ = ("real", "closed", "appended", "rows")

    def __init__(self, elements: Iterable[Value] = (), source: Any = None, real: Any = None) -> None:
        self.source = source
        #: the object itself, when it came from outside
        self.real = real
        self.closed = real is not None
        self._elements = [] if self.closed else list(elements)
        self.appended = False
        #: of a closed list of the program's own: the array whose rows lie behind the elements, and the type of Python's numbers that they are
        self.rows: tuple[Any, type | None] | None = None

    def elements(self, ev: Machine) -> Any:
        if self.closed:
            self.open(ev)
        return self._elements

    @property
    def array(self) -> Any:
        """The array whose rows are all the items, as the array's library gives them; None where they are something else."""
        return self.rows[0] if self.rows is not None and self.rows[1] is None and not self._elements else None

    def grow(self, ev: Machine, rows: Value, number: type | None) -> None:
        """Add the rows of an array, one by one, without looking how many there are. number: the type of Python's numbers that they are"""
        self.change(ev)
        self.rows, self.closed = (rows, number), True

    def open(self, ev: Machine) -> None:
        """Look inside a list from outside, or into what it grew by."""
        if self.rows is not None:
            array, number = self.rows
            count = ev.symbols.specialize(array.shape[0], "the program looks at the items of a list")
            self.rows, self.closed = None, False
            self._elements += [array.row_of_its_own(ev, i, number) for i in range(count)]
            return
        base: Any = self.cls
        count = base.__len__(self.real)
        check_size(ev, base, count)
        self.closed = False
        if self.source is not None:
            if type(self.real) is self.cls:
                ev.guards.length(self.source, count)
                places = [self.source.item(i) for i in range(count)]
            else:  # a subclass may answer as it likes
                name = ev.names.inject(base, base.__name__)
                ev.guards.test(self.source, f"{name}.__len__({{x}}) == {count}", f"len({{label}}) was {count}", 1)
                places = [self.source.step(f"{name}.__getitem__(", f", {i})", f"[{i}]") for i in range(count)]
            self._elements[:0] = [ev.wrap(obj, place) for obj, place in zip(base.__iter__(self.real), places)]

    def change(self, ev: Machine) -> list[Value]:
        if self.closed:
            self.open(ev)
        if self.source is not None:
            ev.effects.touch(self)
        return self._elements

    def key(self, ev: Machine) -> Any:
        raise ev.type_error(f"unhashable type: '{message_name(self.cls)}'")

    def setitem(self, ev: Machine, key: Value, value: Value) -> None:
        elements = self.change(ev)
        if self.has_slices and isinstance(key, SliceValue):
            try:
                elements[key.concrete(ev)] = value.items(ev)
            except ValueError as error:
                raise ev.user_exception(error) from None
            return
        if not ev.has_index(key):
            raise self.no_index(ev, key)
        try:
            elements[ev.index(key)] = value
        except IndexError:
            raise self.out_of_range(ev, "assignment index") from None

    def delitem(self, ev: Machine, key: Value) -> None:
        elements = self.change(ev)
        sliced = self.has_slices and isinstance(key, SliceValue)
        if not sliced and not ev.has_index(key):
            raise self.no_index(ev, key)
        try:
            del elements[key.concrete(ev) if sliced else ev.index(key)]  # type: ignore[attr-defined]
        except IndexError:
            raise self.out_of_range(ev, "assignment index") from None

    def inplace(self, ev: Machine, op: str, other: Value) -> Value | None:
        if op == "+":
            self.m_extend(ev, other)
            return self
        if op == "*" and ev.has_index(other):
            elements = self.change(ev)
            elements[:] = elements * ev.index(other)
            return self
        return None

    def len_(self, ev: Machine) -> Value:
        if self.rows is not None:
            return ev.size(len(self._elements) + self.rows[0].shape[0])
        return super().len_(ev)

    def m_append(self, ev: Machine, item: Value) -> Value:
        if self.closed and self.rows is None:
            # stays closed: what lies before is not looked at
            self._elements.append(item)
            self.appended = True
            ev.effects.touch(self)
        else:
            self.change(ev).append(item)
        return NONE

    def m_extend(self, ev: Machine, items: Value) -> Value:
        if isinstance(items, SequenceValue):
            added = items.items(ev)  # before anything is added: it may be this list
            if self.closed and self.rows is None:
                self._elements.extend(added)
                self.appended = True
                ev.effects.touch(self)
            else:
                self.change(ev).extend(added)
            return NONE
        for item in ev.each(items) if self.cls is not list else ev.collected(items):
            self.m_append(ev, item)
        return NONE

    def m_insert(self, ev: Machine, index: Value, item: Value) -> Value:
        self.change(ev).insert(ev.index(index), item)
        return NONE

    def m_pop(self, ev: Machine, index: Value | None = None) -> Value:
        elements = self.change(ev)
        try:
            return elements.pop(-1 if index is None else ev.index(index))
        except IndexError as error:
            raise ev.user_exception(error) from None

    def m_remove(self, ev: Machine, item: Value) -> Value:
        elements = self.change(ev)
        for i, element in enumerate(elements):
            if ev.same_or_equal(element, item):
                del elements[i]
                return NONE
        raise self.not_there(ev, item)

    def not_there(self, ev: Machine, item: Value) -> UserRaise:
        return ev.raise_(ValueError, f"{self.cls.__name__}.remove(x): x not in {self.cls.__name__}")

    def m_clear(self, ev: Machine) -> Value:
        self.change(ev).clear()
        return NONE

    def m_reverse(self, ev: Machine) -> Value:
        self.change(ev).reverse()
        return NONE

    def m_copy(self, ev: Machine) -> Value:
        return self.new(list(self.elements(ev)))

    m___copy__ = m_copy


class ListValue(MutableSequence):
    """A list."""

    __slots__ = ()

    cls = list

    def as_constant(self) -> Any:
        raise NotConstant(self)

    def new(self, elements: Iterable[Value]) -> Value:
        return ListValue(elements)

    def m___init__(self, ev: Machine, items: Value | None = None) -> Value:
        self.change(ev)[:] = items.items(ev) if items is not None else []
        return NONE

    def m_sort(self, ev: Machine, key: Value | None = None, reverse: Value = FALSE) -> Value:
        elements = self.change(ev)
        elements[:] = sort_values(ev, elements, key, reverse.truth(ev))
        return NONE

    def rebuild(self, rb: Emitter) -> str:
        return rb.fill(self, "[]", lambda: self._written(rb), "{0}[:] = {1}")

    def _written(self, rb: Emitter) -> str:
        parts = [rb.value(e) for e in self._elements]
        if self.rows is not None:
            array, number = self.rows
            parts.append(f"*{array.rows_text(rb, number)}")
        return f"[{', '.join(parts)}]"

    def replay(self, rb: Emitter, target: str) -> None:
        """Write the changes into the list at `target`."""
        new = self._written(rb)
        if type(self.real) is list:
            rb.effect(f"{target}.extend({new})" if self.closed else f"{target}[:] = {new}")
        else:  # a subclass may have its own methods
            base = rb.inject(list, "list")
            change = f"extend({target}, {new})" if self.closed else f"__setitem__({target}, slice(None), {new})"
            rb.effect(f"{base}.{change}")


class DequeValue(MutableSequence):
    """A collections.deque; its elements are kept in a list."""

    __slots__ = ("maxlen",)

    cls = collections.deque
    has_slices = False

    def __init__(
        self, elements: Iterable[Value] = (), source: Any = None, real: Any = None, maxlen: int | None = None
    ) -> None:
        super().__init__(elements, source, real)
        self.maxlen = maxlen
        self._trim()

    def _trim(self, left: bool = False) -> None:
        if self.maxlen is not None and len(self._elements) > self.maxlen:
            extra = len(self._elements) - self.maxlen
            del self._elements[slice(-extra, None) if left else slice(0, extra)]

    def new(self, elements: Iterable[Value]) -> Value:
        return DequeValue(elements, maxlen=self.maxlen)

    def out_of_range(self, ev: Machine, what: str = "index") -> UserRaise:
        return super().out_of_range(ev)

    def no_index(self, ev: Machine, key: Value) -> UserRaise:
        return ev.type_error(f"sequence index must be integer, not '{message_name(key.python_type())}'")

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name == "maxlen":
            return ConstantValue(self.maxlen)
        return super().getattr_(ev, name)

    def m___init__(self, ev: Machine, iterable: Value | None = None, maxlen: Value = NONE) -> Value:
        self.maxlen = maxlen.as_constant()
        self.change(ev)[:] = iterable.items(ev) if iterable is not None else []
        self._trim()
        return NONE

    def m_append(self, ev: Machine, item: Value) -> Value:
        self.change(ev).append(item)
        self._trim()
        return NONE

    def m_extend(self, ev: Machine, items: Value) -> Value:
        for item in ev.each(items):
            self.m_append(ev, item)
        return NONE

    def m_appendleft(self, ev: Machine, item: Value) -> Value:
        self.change(ev).insert(0, item)
        self._trim(left=True)
        return NONE

    def m_extendleft(self, ev: Machine, items: Value) -> Value:
        for item in ev.each(items):
            self.m_appendleft(ev, item)
        return NONE

    def not_there(self, ev: Machine, item: Value) -> UserRaise:
        return ev.raise_(ValueError, f"{ev.repr_text(item)} is not in deque")

    def m_pop(self, ev: Machine) -> Value:  # type: ignore[override]
        if not self.elements(ev):
            raise ev.raise_(IndexError, "pop from an empty deque")
        return self.change(ev).pop()

    def m_popleft(self, ev: Machine) -> Value:
        if not self.elements(ev):
            raise ev.raise_(IndexError, "pop from an empty deque")
        return self.change(ev).pop(0)

    def m_rotate(self, ev: Machine, n: Value = ConstantValue(1)) -> Value:  # noqa: B008 - immutable
        elements = self.change(ev)
        if elements:
            k = ev.index(n) % len(elements)
            elements[:] = elements[-k:] + elements[:-k] if k else elements
        return NONE

    def repr_(self, ev: Machine) -> Value:
        inside = ", ".join(ev.repr_text(e) for e in self.elements(ev))
        bound = f", maxlen={self.maxlen}" if self.maxlen is not None else ""
        return ConstantValue(f"deque([{inside}]{bound})")

    def rebuild(self, rb: Emitter) -> str:
        cls = rb.inject(collections.deque, "deque")
        empty = f"{cls}(maxlen={self.maxlen})"
        whole = lambda: f"{cls}([{', '.join([rb.value(e) for e in self._elements])}], {self.maxlen})"  # noqa: E731
        return rb.fill(self, empty, whole, "{0}.extend({1})")

    def replay(self, rb: Emitter, target: str) -> None:
        new = f"[{', '.join([rb.value(e) for e in self._elements])}]"
        base = rb.inject(collections.deque, "deque")
        rb.effect(f"{base}.clear({target}); {base}.extend({target}, {new})")


class _SortKey:
    """Lets Python's own sort compare Values."""

    __slots__ = ("ev", "value")

    def __init__(self, ev: Machine, value: Value) -> None:
        self.ev, self.value = ev, value

    def __lt__(self, other: _SortKey) -> bool:
        return self.ev.compare("<", self.value, other.value).truth(self.ev)


def sort_values(ev: Machine, values: Iterable[Value], key: Value | None, reverse: bool) -> list[Value]:
    """`sorted(values, key=key, reverse=reverse)`, stable as Python's."""
    keys = [v if key is None or ev.is_none(key) else ev.call(key, [v], {}) for v in values]
    make: Callable[[Value], Any] = lambda k: _SortKey(ev, k)  # noqa: E731
    pairs = list(zip(keys, values))
    pairs.sort(key=lambda pair: make(pair[0]), reverse=reverse)
    return [value for _, value in pairs]
