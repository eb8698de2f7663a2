"""Ranges whose bounds change from call to call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .base import Args, Kwargs, Value
from .constant import ConstantValue
from .iterators import IteratorValue, RangeIterator

if TYPE_CHECKING:
    from .base import Emitter, Machine


class RangeValue(Value):
    """`range(start, stop, step)` with a step that is known, and a bound that is not.

    Only a front end that makes one node of a loop leaves the bounds open; whatever else is asked of the range makes them constants.
    """

    __slots__ = ("start", "stop", "step")

    def __init__(self, start: Value, stop: Value, step: int) -> None:
        super().__init__()
        self.start = start
        self.stop = stop
        self.step = step

    @classmethod
    def of(cls, ev: Machine, args: Sequence[Value]) -> RangeValue | None:
        """The range of these arguments; None where all are known, or one is no plain int."""
        given = [ev.payload(a) for a in args]
        if (
            not 1 <= len(given) <= 3
            or not all(a.python_type() is int for a in given)
            or all(a.is_constant for a in given)
        ):
            return None
        start, stop = (ConstantValue(0), given[0]) if len(given) == 1 else given[:2]
        step = given[2] if len(given) == 3 else ConstantValue(1)
        if not step.is_constant or not step.as_constant():
            return None
        return cls(start, stop, step.as_constant())

    def python_type(self) -> type:
        return range

    def as_constant(self) -> Any:
        return range(self.start.as_constant(), self.stop.as_constant(), self.step)

    def numbers(self, ev: Machine) -> range:
        """The range with bounds that are constants from here on. Breaks where one is known only when the program runs."""
        return range(ev.index(self.start), ev.index(self.stop), self.step)

    def known(self, ev: Machine) -> Value:
        return ConstantValue(self.numbers(ev))

    def backward(self, ev: Machine) -> Value:
        """`reversed(self)`."""
        if self.step != 1:
            return ev.range_iterator(self.numbers(ev)[::-1])
        one = ConstantValue(1)
        return OpenRangeIterator(RangeValue(ev.binary("-", self.stop, one), ev.binary("-", self.start, one), -1))

    def rebuild(self, rb: Emitter) -> str:
        return f"range({rb.value(self.start)}, {rb.value(self.stop)}, {self.step})"

    # ------------------------------------------------------------ what needs the bounds

    def iter_(self, ev: Machine) -> Value:
        return OpenRangeIterator(self)

    def items(self, ev: Machine) -> list[Value]:
        return self.known(ev).items(ev)

    def len_(self, ev: Machine) -> Value:
        return self.known(ev).len_(ev)

    def truth(self, ev: Machine) -> bool:
        return self.known(ev).truth(ev)

    def getitem(self, ev: Machine, key: Value) -> Value:
        return self.known(ev).getitem(ev, key)

    def contains(self, ev: Machine, item: Value) -> bool:
        return self.known(ev).contains(ev, item)

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        return self.known(ev).compare(ev, op, other)

    def getattr_(self, ev: Machine, name: str) -> Value:
        return self.known(ev).getattr_(ev, name)

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        return self.known(ev).call_method(ev, name, args, kwargs)

    def key(self, ev: Machine) -> Any:
        return self.known(ev).key(ev)

    def repr_(self, ev: Machine) -> Value:
        return self.known(ev).repr_(ev)


class OpenRangeIterator(IteratorValue):
    """An iterator at the beginning of a range whose bounds change; the first item that is asked for makes them constants.

    begun: the iterator over the known range, from then on
    """

    __slots__ = ("values", "begun")

    cls = RangeIterator.cls

    def __init__(self, values: RangeValue) -> None:
        super().__init__()
        self.values = values
        self.begun: RangeIterator | None = None

    def next_(self, ev: Machine) -> Value | None:
        if self.begun is None:
            self.begun = RangeIterator(self.values.numbers(ev))
        return self.begun.next_(ev)

    def rebuild(self, rb: Emitter) -> str:
        return f"iter({rb.value(self.values)})" if self.begun is None else self.begun.rebuild(rb)
