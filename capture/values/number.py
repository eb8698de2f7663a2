"""Python numbers that are not known during capture: arguments, attributes, globals that changed between calls.

Such a number is a place that the entry reads at each call, or what Python computes of such places, done by Python itself as
the program would do it, so that the result has its type and all its digits. What Python would refuse there, or answer
with another type, is guarded. Where the number meets an array it becomes a number of the graph; a comparison is decided by
the values at hand and guarded. An int is a size only where the program uses it as one: then it is a symbol (`values.symint`).
Whatever needs the number itself (an argument of an op that is part of the kernel, text) makes it a constant: `as_constant`
begins the capture anew.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..guards.sources import written
from .base import Value
from .constant import FALSE, TRUE, ConstantValue
from .sequences import ListValue, SliceValue, TupleValue

if TYPE_CHECKING:
    from ..guards.sources import Source
    from ..guards.varying import Key
    from .base import Emitter, Machine, SymbolTable

#: what an int64 holds
INT64 = (-(1 << 63), (1 << 63) - 1)
#: what never raises, and whose type follows from the operands', for two floats, and for two ints
_SAFE = ("+", "-", "*")
_NUMBERS = (int, float, bool)
#: an int that is computed here is no larger: 3 ** k ** k shall not be computed for the sake of a guard
_MOST_BITS = 4096
#: operations within one expression of the entry's code: Python does not parse deep ones
_DEEPEST = 32


def is_array_scalar(v: Value) -> bool:
    """Whether a constant is an array library's own number: what it makes of Python's is known to that library alone."""
    return type(v) is ConstantValue and hasattr(type(v.value), "__array_priority__")


class NumberValue(Value):
    """A Python int or float with an unknown value.

    place:  where the entry reads it
    hint:   its value in this capture
    origin: the number from outside that becomes a constant where this one must be known
    sized:  of an int, gives its size expression; None where no rule of sizes computes it
    """

    __slots__ = ("place", "hint", "origin", "symbols", "sized", "_expr")

    def __init__(
        self,
        place: Source,
        hint: int | float,
        origin: Key,
        symbols: SymbolTable,
        sized: Callable[[], Any] | None = None,
    ) -> None:
        self.source = None
        self.place = place
        self.hint = hint
        self.origin = origin
        self.symbols = symbols
        self.sized = sized
        self._expr: Any = None

    def python_type(self) -> type:
        return type(self.hint)

    def as_constant(self) -> Any:
        return self.symbols.pin(self.origin)

    def known(self) -> Value:
        """The number as a constant: the capture begins anew."""
        return ConstantValue(self.as_constant())

    @property
    def expr(self) -> Any:
        """An int as a size. What cannot be a size becomes a constant."""
        if type(self.hint) is not int:
            raise AttributeError("expr")
        if self._expr is None:
            made = self.sized() if self.sized is not None and self.place.is_written else None
            self._expr = made if made is not None else self.symbols.bind_number(self)
        return self._expr

    @property
    def can_be_size(self) -> bool:
        return type(self.hint) is int and self.symbols.in_range(abs(self.hint))

    def check_range(self, ev: Machine, low: int | float, high: int | float) -> None:
        """Guard that the number is in a range; one that is not becomes a constant."""
        if not low <= self.hint <= high:
            self.as_constant()
        ev.guards.relation(f"{low!r} <= {{p0}} <= {high!r}", (self.place,), f"{{p0}} was from {low} to {high}")

    def describe(self) -> str:
        return f"the {type(self.hint).__name__} {self.place.label}"

    def rebuild(self, rb: Emitter) -> str:
        return rb.source(self.place)

    # ------------------------------------------------------------ arithmetic

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        other = ev.payload(other)
        scalar = is_array_scalar(other)
        if other.python_type() not in _NUMBERS and not scalar:
            return None
        number = None if scalar else at_hand(ev, other)
        if number is None:
            return ev.binary(op, other, self.known()) if reflected else ev.binary(op, self.known(), other)
        left, right = (number, self) if reflected else (self, number)
        made = computed(ev, f"({{}} {op} {{}})", ev.operators.BINARY[op], [left, right], _is_safe(op, left, right))
        if made is None:
            return ev.binary(op, other, self.known()) if reflected else ev.binary(op, self.known(), other)
        if isinstance(made, NumberValue) and type(made.hint) is int:
            made.sized = _sized(self.symbols, op, left, right)
        return made

    def unary(self, ev: Machine, op: str) -> Value:
        if op == "~" and type(self.hint) is float:
            raise ev.type_error("bad operand type for unary ~: 'float'")
        if op == "+":
            return self
        made = self._apply(ev, f"({op}{{}})", ev.operators.UNARY[op], safe=True)
        if isinstance(made, NumberValue) and self.can_be_size:
            made.sized = lambda: -self.expr if op == "-" else -self.expr - 1
        return made

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        other = ev.payload(other)
        if is_array_scalar(other):
            return ev.compare(op, self.known(), other)
        if other.python_type() not in _NUMBERS:
            return None
        if self.can_be_size and hasattr(other, "expr") and not isinstance(other, NumberValue):
            return ev.compare(op, ev.size(self.expr), other)
        number = at_hand(ev, other)
        if number is None:
            return ev.compare(op, self.known(), other)
        template, numbers, values = _arranged(ev, f"{{}} {op} {{}}", [self, number])
        return _decided(ev, template, numbers, ev.operators.COMPARE[op](*values))

    def truth(self, ev: Machine) -> bool:
        return _decided(ev, "{p0} != 0", [self], self.hint != 0) is TRUE

    # ------------------------------------------------------------ conversions and methods

    def _apply(self, ev: Machine, template: str, function: Any, *args: Value, safe: bool = False) -> Value:
        """What a function without effects gives for the number and further constants."""
        made = None
        if all(a.is_constant for a in args):
            made = computed(ev, template, function, [self, *args], safe)
        return made if made is not None else ev.fold(function, self.as_constant(), *(a.as_constant() for a in args))

    def _call(self, ev: Machine, function: Any, *args: Value) -> Value:
        return self._apply(ev, _call_template(ev, function, 1 + len(args)), function, *args)

    def m___float__(self, ev: Machine) -> Value:
        return self if type(self.hint) is float else self._call(ev, float)

    def m___int__(self, ev: Machine) -> Value:
        return self if type(self.hint) is int else self._call(ev, int)

    def m___index__(self, ev: Machine) -> Value:
        if type(self.hint) is not int:
            raise ev.type_error("'float' object cannot be interpreted as an integer")
        return self

    def m___trunc__(self, ev: Machine) -> Value:
        return self if type(self.hint) is int else self._call(ev, math.trunc)

    def m___floor__(self, ev: Machine) -> Value:
        return self if type(self.hint) is int else self._call(ev, math.floor)

    def m___ceil__(self, ev: Machine) -> Value:
        return self if type(self.hint) is int else self._call(ev, math.ceil)

    def m___round__(self, ev: Machine, *digits: Value) -> Value:
        return self._call(ev, round, *digits)

    def m___abs__(self, ev: Machine) -> Value:
        return self._apply(ev, _call_template(ev, abs, 1), abs, safe=True)

    def m_is_integer(self, ev: Machine) -> Value:
        return self._apply(ev, "{}.is_integer()", lambda x: x.is_integer())

    def m_bit_length(self, ev: Machine) -> Value:
        return self._apply(ev, "{}.bit_length()", int.bit_length)

    def m_conjugate(self, ev: Machine) -> Value:
        return self

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name == "real" or name == "numerator" and type(self.hint) is int:
            return self
        if name == "imag":
            return ConstantValue(type(self.hint)(0))
        if name == "denominator" and type(self.hint) is int:
            return ConstantValue(1)
        return super().getattr_(ev, name)

    def key(self, ev: Machine) -> Any:
        return ConstantValue(self.as_constant()).key(ev)

    def repr_(self, ev: Machine) -> Value:
        return ConstantValue(repr(self.as_constant()))

    def format_(self, ev: Machine, spec: str) -> Value:
        return ev.fold(format, self.as_constant(), spec)


def changing(ev: Machine, values: Iterable[Value]) -> list[NumberValue]:
    """The numbers that change from call to call among arguments and their items."""
    found: list[NumberValue] = []
    for value in values if ev.symbols.changing else ():
        if isinstance(value, (TupleValue, ListValue)):
            found += changing(ev, value.items(ev))
        elif isinstance(value, SliceValue):
            found += changing(ev, (value.start, value.stop, value.step))
        elif isinstance(value, NumberValue):
            found.append(value)
    return found


# ---------------------------------------------------------------- what Python computes of numbers


def at_hand(ev: Machine, value: Value) -> Value | None:
    """A number whose value is known now, or when the entry begins: a constant or a NumberValue. None for another, which the
    graph computes.
    """
    if isinstance(value, NumberValue):
        return value
    if value.is_constant:
        return value if type(value.as_constant()) in _NUMBERS else None
    expr = getattr(value, "expr", None)
    return ev.symbols.number_of(expr) if expr is not None and not ev.symbols.is_unbacked(expr) else None


def call_of_numbers(ev: Machine, function: Any, args: Sequence[Value]) -> Value | None:
    """A call of a function without effects over numbers of which some change; None where Python cannot do it at each call."""
    numbers = [at_hand(ev, ev.payload(a)) if not a.is_constant else a for a in args]
    given = [n for n in numbers if n is not None]
    if len(given) < len(args) or not any(isinstance(n, NumberValue) for n in given):
        return None
    return computed(ev, _call_template(ev, function, len(args)), function, given, False)


def computed(
    ev: Machine, template: str, function: Callable[..., Any], operands: list[Value], safe: bool
) -> Value | None:
    """What a function gives for constants and numbers that change, done in Python at each call; `{}` stands for each operand in
    the template. None where it raises now, or gives no number: then the program needs constants.

    safe: it never raises, and its result's type follows from the operands'
    """
    text, numbers, values = _arranged(ev, template, operands)
    if _is_huge(function, values):
        return None
    try:
        hint = function(*values)
    except (ArithmeticError, ValueError, TypeError):
        return None
    if type(hint) is bool:
        return _decided(ev, text, numbers, hint)
    if type(hint) not in _NUMBERS:
        return None
    first = numbers[0]
    place = first.place.computed(text, tuple(n.place for n in numbers[1:]))
    if not safe or place.nesting > _DEEPEST:
        ev.guards.type_is(place, type(hint))
        place.nesting = 0  # the test gives it a name
    return NumberValue(place, hint, first.origin, first.symbols)


def place_of_call(ev: Machine, function: Any, now: Callable[..., Any], args: Sequence[Value]) -> tuple[Source, Any]:
    """The place where the entry computes a function of numbers, and what `now`, which does the same, gives in this capture."""
    text, numbers, values = _arranged(ev, _call_template(ev, function, len(args)), list(args))
    return numbers[0].place.computed(text, tuple(n.place for n in numbers[1:])), now(*values)


def _arranged(ev: Machine, template: str, operands: list[Value]) -> tuple[str, list[NumberValue], list[Any]]:
    """The template over places, the numbers that stand there, and all values now."""
    numbers: list[NumberValue] = []
    texts, values = [], []
    for operand in operands:
        if isinstance(operand, NumberValue):
            if operand not in numbers:
                numbers.append(operand)
            texts.append(f"{{p{numbers.index(operand)}}}")
            values.append(operand.hint)
            continue
        value = operand.as_constant()
        text = written(value) or ev.names.inject(value, "number")
        texts.append(f"({text})" if text.startswith("-") else text)  # -0.0 is not less than 0
        values.append(value)
    return template.format(*texts), numbers, values


def _decided(ev: Machine, template: str, numbers: list[NumberValue], holds: bool) -> Value:
    """A bool, decided by the values at hand and guarded."""
    places = tuple(n.place for n in numbers)
    ev.guards.relation(template if holds else f"not ({template})", places, f"{template} was {holds}")
    return TRUE if holds else FALSE


def _call_template(ev: Machine, function: Any, count: int) -> str:
    return f"{ev.names.inject(function, getattr(function, '__name__', ''))}({', '.join(['{}'] * count)})"


def _is_safe(op: str, left: Value, right: Value) -> bool:
    return op in _SAFE and left.python_type() is right.python_type()


#: how many bits the result of an int operation has, at most, where that may fill the memory
_BITS_OF: dict[Any, Callable[[int, int], int]] = {
    **dict.fromkeys((operator.pow, pow), lambda left, right: left.bit_length() * max(right, 1)),
    operator.lshift: lambda left, right: left.bit_length() + max(right, 0),
}


def _is_huge(function: Callable[..., Any], operands: list[Any]) -> bool:
    """Whether the result would fill the memory."""
    bits = _BITS_OF.get(function)
    return bits is not None and [type(n) for n in operands] == [int, int] and bits(*operands) > _MOST_BITS


def _sized(symbols: SymbolTable, op: str, left: Value, right: Value) -> Callable[[], Any] | None:
    """How the result of int arithmetic is a size, where its operands may be."""

    def size() -> Any:
        sides = [side.expr if isinstance(side, NumberValue) else side.as_constant() for side in (left, right)]
        return symbols.derived(op, *sides)

    usable = all(s.can_be_size if isinstance(s, NumberValue) else type(s.as_constant()) is int for s in (left, right))
    return size if usable else None
