"""Floats that are not known during capture: an argument that changed between calls (a learning rate, a temperature).

Such a value is a place that the entry reads at each call, or simple arithmetic on one, done in Python as the program would
do it. Where it meets an array it becomes a number of the graph; a comparison is decided by the value at hand and
guarded. Whatever needs the number itself (an argument of an op that is part of the kernel, text) makes it a constant:
`as_constant` begins the capture anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .base import Value
from .constant import FALSE, TRUE, ConstantValue

if TYPE_CHECKING:
    from ..evaluator import Evaluator
    from ..rebuild import Rebuilder
    from ..sources import Source

#: what is done in Python, at each call, to a float and a number: none of these raises for floats
_ARITHMETIC = ("+", "-", "*")


class SymFloatValue(Value):
    """A Python float with an unknown value.

    place:      where the entry reads it
    hint:       its value in this capture
    specialize: begins the capture anew with the float behind it as a constant
    """

    __slots__ = ("place", "hint", "specialize")

    def __init__(self, place: Source, hint: float, specialize: Callable[[], Any]) -> None:
        self.source = None
        self.place = place
        self.hint = hint
        self.specialize = specialize

    def python_type(self) -> type:
        return float

    def as_constant(self) -> Any:
        return self.specialize()

    def known(self) -> Value:
        """The float as a constant: the capture begins anew."""
        return ConstantValue(self.as_constant())

    def describe(self) -> str:
        return f"the float {self.place.label}"

    def rebuild(self, rb: Rebuilder) -> str:
        return rb.source(self.place)

    # ------------------------------------------------------------ arithmetic

    def _derived(self, prefix: str, suffix: str, hint: float) -> Value:
        """Arithmetic on this float. Of two that meet, the first becomes a constant where the result must be known."""
        return SymFloatValue(self.place.step(prefix, suffix), hint, self.specialize)

    def binary(self, ev: Evaluator, op: str, other: Value, reflected: bool) -> Value | None:
        other = ev.payload(other)
        if other.python_type() not in (int, float, bool):
            return None
        if not _is_at_hand(other):
            return ev.binary(op, other, self.known()) if reflected else ev.binary(op, self.known(), other)
        text, number = _operand(other)
        divisor = self if reflected else other
        if text and (op in _ARITHMETIC or op == "/" and _is_not_zero(ev, divisor)):
            left, right = (number, self.hint) if reflected else (self.hint, number)
            hint = ev.operators.BINARY[op](left, right)
            if reflected:
                return self._derived(f"({text} {op} ", ")", hint)
            return self._derived("(", f" {op} {text})", hint)
        return ev.binary(op, other, self.known()) if reflected else ev.binary(op, self.known(), other)

    def unary(self, ev: Evaluator, op: str) -> Value:
        if op == "~":
            raise ev.type_error("bad operand type for unary ~: 'float'")
        return self if op == "+" else self._derived("(-", ")", -self.hint)

    def compare(self, ev: Evaluator, op: str, other: Value) -> Value | None:
        other = ev.payload(other)
        if other.python_type() not in (int, float, bool):
            return None
        if not _is_at_hand(other):
            return ev.compare(op, self.known(), other)
        number = other.as_constant()
        if not math.isfinite(number):
            return ev.fold(ev.operators.COMPARE[op], self.as_constant(), number)
        holds = ev.operators.COMPARE[op](self.hint, number)
        test = f"{{x}} {op} {number!r}"
        said = f"{{label}} {op} {number!r} was {holds}"
        ev.guards.test(self.place, test if holds else f"not {test}", said, 2)
        return TRUE if holds else FALSE

    def truth(self, ev: Evaluator) -> bool:
        return self.compare(ev, "!=", ConstantValue(0.0)) is TRUE

    # ------------------------------------------------------------ conversions

    def m___float__(self, ev: Evaluator) -> Value:
        return self

    def m___abs__(self, ev: Evaluator) -> Value:
        return self._derived("abs(", ")", abs(self.hint))

    def _known(self, ev: Evaluator, function: Callable[..., Any], *args: Value) -> Value:
        return ev.fold(function, self.as_constant(), *(a.as_constant() for a in args))

    def m___int__(self, ev: Evaluator) -> Value:
        return self._known(ev, int)

    m___trunc__ = m___int__

    def m___floor__(self, ev: Evaluator) -> Value:
        return self._known(ev, math.floor)

    def m___ceil__(self, ev: Evaluator) -> Value:
        return self._known(ev, math.ceil)

    def m___round__(self, ev: Evaluator, *digits: Value) -> Value:
        return self._known(ev, round, *digits)

    def m_is_integer(self, ev: Evaluator) -> Value:
        return self._known(ev, float.is_integer)

    def key(self, ev: Evaluator) -> Any:
        return self.as_constant()

    def repr_(self, ev: Evaluator) -> Value:
        return ConstantValue(repr(self.as_constant()))

    def format_(self, ev: Evaluator, spec: str) -> Value:
        return self._known(ev, lambda value: format(value, spec))


def _is_at_hand(value: Value) -> bool:
    """Whether a number's value is known now, or when the entry begins; others the graph computes."""
    return value.is_constant or isinstance(value, SymFloatValue)


def _operand(value: Value) -> tuple[str, Any]:
    """The text of a number in the entry, and its value now; "" for one whose arithmetic with floats may raise."""
    if isinstance(value, SymFloatValue):
        return value.place.text, value.hint
    number = value.as_constant()
    exact = type(number) is float and math.isfinite(number) or type(number) is int and abs(number) < 1 << 53
    return repr(number) if exact else "", number


def _is_not_zero(ev: Evaluator, value: Value) -> bool:
    if isinstance(value, SymFloatValue):
        return value.hint != 0 and value.truth(ev)
    return value.as_constant() != 0
