"""Ints that are not known during capture: sizes and int arguments, as sympy expressions over the capture's symbols.

Arithmetic stays symbolic. A comparison is decided by the values at hand and guarded (see `capture.guards.guards.symbols`). Whatever needs the
number itself (an index into a list, the end of a Python loop, text) makes it a constant: `as_constant` begins the
capture anew.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .base import Value
from .constant import FALSE, TRUE, ConstantValue
from .item import ItemValue, number_node, operand_of
from .number import NumberValue, is_array_scalar

if TYPE_CHECKING:
    from .base import Emitter, Machine, SymbolTable


class SymIntValue(Value):
    """A Python int with an unknown value."""

    __slots__ = ("expr", "symbols")

    def __init__(self, expr: Any, symbols: SymbolTable) -> None:
        self.source = None
        self.expr = expr
        self.symbols = symbols

    def python_type(self) -> type:
        return int

    def as_constant(self) -> Any:
        return self.symbols.specialize(self.expr)

    def describe(self) -> str:
        return f"the int {self.symbols.text(self.expr, lambda place: place.label)}"

    def rebuild(self, rb: Emitter) -> str:
        return self.symbols.text(self.expr, rb.source, rb.computed)

    # ------------------------------------------------------------ arithmetic

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        other = ev.payload(other)
        if is_array_scalar(other):
            return ev.binary(op, other, known(self)) if reflected else ev.binary(op, known(self), other)
        number = _number(other)
        if self.symbols.is_unbacked(self.expr) and (number is None or op == "/") and operand_of(ev, other) is not None:
            return self.item(ev).binary(ev, op, other, reflected)
        if number is None:
            if type(other) is ConstantValue and isinstance(other.value, complex):
                return ev.binary(op, other, known(self)) if reflected else ev.binary(op, known(self), other)
            if other.python_type() is not float or self.symbols.is_unbacked(self.expr):
                return None
            return self.symbols.number_of(self.expr).binary(ev, op, other, reflected)
        left, right = (number, self.expr) if reflected else (self.expr, number)
        rule = RULES.get(op)
        made = None if rule is None else rule(self.symbols, left, right)
        if made is not None:
            return self.symbols.value_of(made)
        if not self.symbols.is_unbacked(self.expr) and not self.symbols.is_unbacked(number):
            return self.symbols.number_of(self.expr).binary(ev, op, other, reflected)
        return ev.fold(ev.operators.BINARY[op], *(self.symbols.specialize(x) for x in (left, right)))

    def unary(self, ev: Machine, op: str) -> Value:
        return self.symbols.value_of({"-": -self.expr, "+": self.expr, "~": -self.expr - 1}[op])

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        other = ev.payload(other)
        if is_array_scalar(other):
            return ev.compare(op, known(self), other)
        number = _number(other)
        if number is None and type(other) is ConstantValue and isinstance(other.value, float):
            if not math.isfinite(other.value):
                return ev.fold(ev.operators.COMPARE[op], 0, other.value)  # the same for every int
            number = _sympy().Rational(*other.value.as_integer_ratio())
        if number is None:
            if other.python_type() is not float or self.symbols.is_unbacked(self.expr):
                return None
            return self.symbols.number_of(self.expr).compare(ev, op, other)
        relation = getattr(_sympy(), _RELATIONS[op])(self.expr, number)
        if self.symbols.is_unbacked(relation) and self.symbols.relations.decided(relation) is None:
            return RelationValue(relation, self.symbols)
        return TRUE if self.symbols.decide(relation) else FALSE

    def truth(self, ev: Machine) -> bool:
        return self.symbols.decide(_sympy().Ne(self.expr, 0))

    # ------------------------------------------------------------ conversions

    def m___int__(self, ev: Machine) -> Value:
        return self

    m___index__ = m___trunc__ = m___floor__ = m___ceil__ = m___int__

    def m___round__(self, ev: Machine, ndigits: Value | None = None) -> Value:
        return (
            self
            if ndigits is None or ev.is_none(ndigits)
            else ev.fold(round, self.as_constant(), ndigits.as_constant())
        )

    def m___abs__(self, ev: Machine) -> Value:
        return self if self.symbols.decide(_sympy().Ge(self.expr, 0)) else self.unary(ev, "-")

    def item(self, ev: Machine, cls: type = int) -> ItemValue:
        """The int as a number that a node holds."""
        return ItemValue(number_node(ev, f"builtins:{cls.__name__}", [self.expr], cls), cls)

    def m___float__(self, ev: Machine) -> Value:
        if self.symbols.is_unbacked(self.expr):
            return self.item(ev, float)
        return self.symbols.number_of(self.expr).m___float__(ev)

    def m_bit_length(self, ev: Machine) -> Value:
        return ConstantValue(self.as_constant().bit_length())

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name in ("real", "numerator"):
            return self
        if name in ("imag", "denominator"):
            return ConstantValue(0 if name == "imag" else 1)
        return super().getattr_(ev, name)

    def key(self, ev: Machine) -> Any:
        return self.as_constant()

    def repr_(self, ev: Machine) -> Value:
        return ConstantValue(repr(self.as_constant()))

    def format_(self, ev: Machine, spec: str) -> Value:
        return ev.fold(format, self.as_constant(), spec)


class RelationValue(Value):
    """A bool: whether a relation holds between ints that the graph computes."""

    __slots__ = ("relation", "symbols")

    def __init__(self, relation: Any, symbols: SymbolTable) -> None:
        super().__init__()
        self.relation = relation
        self.symbols = symbols

    def python_type(self) -> type:
        return bool

    def describe(self) -> str:
        return f"whether {self.relation}"

    def truth(self, ev: Machine) -> bool:
        return self.symbols.decide(self.relation)

    def rebuild(self, rb: Emitter) -> str:
        sides = (f"({self.symbols.text(side, rb.source, rb.computed)})" for side in self.relation.args)
        return f"({_SIGNS[type(self.relation).__name__].join(sides)})"


def known(value: SymIntValue) -> Value:
    """The int as a constant."""
    return ConstantValue(value.as_constant())


def _number(value: Value) -> Any:
    """The int or expression behind a Value that takes part in integer arithmetic; None for another."""
    if isinstance(value, SymIntValue):
        return value.expr
    if isinstance(value, NumberValue) and value.can_be_size:
        return value.expr
    if type(value) is ConstantValue and isinstance(value.value, int):
        return int(value.value)
    return None


def _sympy() -> Any:
    return importlib.import_module("sympy")


#: sympy's relations as Python writes them
_SIGNS = {
    "Equality": " == ", "Unequality": " != ", "StrictLessThan": " < ", "LessThan": " <= ", "StrictGreaterThan": " > ",
    "GreaterThan": " >= ",
}  # fmt: skip
_RELATIONS = {"==": "Eq", "!=": "Ne", "<": "Lt", "<=": "Le", ">": "Gt", ">=": "Ge"}

# ---------------------------------------------------------------- rules: (symbols, left, right) -> expression, or None


def _floordiv(symbols: SymbolTable, a: Any, b: Any) -> Any:
    if not _positive(symbols, b):
        return None
    sympy = _sympy()
    quotient = sympy.cancel(sympy.sympify(a) / b)
    return quotient if quotient.is_integer else sympy.floor(quotient)


def _mod(symbols: SymbolTable, a: Any, b: Any) -> Any:
    if not _positive(symbols, b):
        return None
    sympy = _sympy()
    if isinstance(a, sympy.Expr) and a.has(sympy.Mod):
        # sympy's rule for a product with a Mod in it is wrong: it makes Mod(2*Mod(s, 9)**2, 17) of Mod(2*Mod(s, 9), 17)
        return a - b * _floordiv(symbols, a, b)
    return sympy.Mod(a, b)


def _positive(symbols: SymbolTable, b: Any) -> bool:
    return b > 0 if isinstance(b, int) else bool(symbols.relations.decided(_sympy().Gt(b, 0)))


def _pow(symbols: SymbolTable, a: Any, b: Any) -> Any:
    return a**b if isinstance(b, int) and 0 <= b <= 4 else None


def _shift(symbols: SymbolTable, a: Any, b: Any) -> Any:
    return a * 2**b if isinstance(b, int) and 0 <= b < 32 else None


#: rules by operator
RULES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "+": lambda symbols, a, b: a + b,
    "-": lambda symbols, a, b: a - b,
    "*": lambda symbols, a, b: a * b,
    "//": _floordiv,
    "%": _mod,
    "**": _pow,
    "<<": _shift,
}
