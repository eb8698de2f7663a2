"""Symbolic sizes: as Python text, as ranges, and what is known of relations between them.

A size expression is built from integer symbols with +, *, floor, Mod, Max and Min. Relations are reduced to two forms over
one expression d: `d == 0` and `d < 0`. What the symbols' ranges do not settle may follow from a fact that was
noted before; the rest is open.

sympy is imported where a symbol is at hand, never for static graphs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

# --------------------------------------------------------------------------- text


#: text, and whether it can stand as an operand without parentheses
Piece = tuple[str, bool]


@dataclass(frozen=True)
class Dialect:
    """How integer arithmetic is written in some language, rounding down as in Python.

    symbol:    of a symbol
    quotient, remainder: of two operands and whether neither can be negative
    power:     of a base and an exponent above 0
    extreme:   of "max" or "min" and operands; None where the language has none
    """

    symbol: Callable[[Any], str]
    quotient: Callable[[str, str, bool], Piece]
    remainder: Callable[[str, str, bool], Piece]
    power: Callable[[str, int], Piece]
    extreme: Callable[[str, Sequence[str]], str] | None


def size_text(e: Any, dialect: Dialect, *, enclosed: bool = True) -> str:
    """A size as text. enclosed: with the parentheses that it needs as an operand.

    Raises ValueError for an expression without an integer form.
    """
    if isinstance(e, int):
        return str(e)
    printer = _Printer(dialect)
    return printer.text(e) if enclosed else printer.bare(e)[0]


@dataclass(frozen=True)
class _Printer:
    """Walks an expression. Kinds are told by name: who has no symbol at hand never imports sympy."""

    dialect: Dialect

    def text(self, e: Any) -> str:
        """As an operand."""
        text, is_word = self.bare(e)
        return text if is_word else f"({text})"

    def bare(self, e: Any) -> Piece:
        kind = type(e).__name__
        if e.is_Integer:
            return str(int(e)), bool(e >= 0)
        if e.is_Symbol:
            return self.dialect.symbol(e), True
        if e.is_Add:
            return self._sum(e.args), False
        if e.is_Mul:
            above, below = e.as_numer_denom()
            if below != 1:
                return self._quotient(above, below)
            if e.could_extract_minus_sign():
                return f"-{self.text(-e)}", False
            return " * ".join(map(self.text, e.args)), False
        if e.is_Pow and e.exp.is_Integer and e.exp > 0:
            return self.dialect.power(self.text(e.base), int(e.exp))
        if kind == "floor":
            return self._quotient(*e.args[0].as_numer_denom())
        if kind == "ceiling":
            above, below = e.args[0].as_numer_denom()
            minus = f"-{self.text(above)}"
            text, is_word = self.dialect.quotient(minus, self.text(below), _never_negative(-above, below))
            return f"-{text}" if is_word else f"-({text})", False
        if kind == "Mod":
            above, below = e.args
            return self.dialect.remainder(self.text(above), self.text(below), _never_negative(above, below))
        if kind in ("Max", "Min") and self.dialect.extreme is not None:
            return self.dialect.extreme(kind.lower(), [self.text(a) for a in e.args]), True
        raise ValueError(f"[sizes] expression {e} has no integer form")

    def _quotient(self, above: Any, below: Any) -> Piece:
        return self.dialect.quotient(self.text(above), self.text(below), _never_negative(above, below))

    def _sum(self, terms: Any) -> str:
        # positive terms first, constants last: `s0 + s1 - 1`
        first, *others = sorted(terms, key=lambda t: (t.is_number, t.could_extract_minus_sign(), str(t)))
        parts = [self.text(first)]
        for t in others:
            minus = t.could_extract_minus_sign()
            parts.append(f" - {self.text(-t)}" if minus else f" + {self.text(t)}")
        return "".join(parts)


def _never_negative(*sizes: Any) -> bool:
    return all(s.is_nonnegative for s in sizes)


def python_size(e: Any, names: Callable[[Any], str] = lambda symbol: symbol.name, *, enclosed: bool = True) -> str:
    """A size as Python source.

    names: what a symbol is called; enclosed: with the parentheses that it needs as an operand. Raises ValueError for what has
    no integer form.
    """
    python = Dialect(
        symbol=names,
        quotient=lambda a, b, _: (f"{a} // {b}", False),
        remainder=lambda a, b, _: (f"{a} % {b}", False),
        power=lambda base, n: (f"{base} ** {n}", False),
        extreme=lambda name, operands: f"{name}({', '.join(operands)})",
    )
    return size_text(e, python, enclosed=enclosed)


def evaluator(e: Any) -> Callable[[Mapping[str, int]], int]:
    """A function of symbol values by name that gives the value of a size expression."""
    if isinstance(e, int):
        return lambda values: e
    code = compile(python_size(e), "<quern size>", "eval")
    scope = {"__builtins__": {}, "max": max, "min": min}
    return lambda values: eval(code, scope, values)  # noqa: S307 - text made above


#: what an unknown size is taken to be when sizes are weighed
UNKNOWN_SIZE = 4096


def size_hint(e: Any) -> int:
    """A size as a plain number, for heuristics only."""
    return e if isinstance(e, int) else int(e.subs(dict.fromkeys(e.free_symbols, UNKNOWN_SIZE)))


def strides_over(dims: Sequence[Any], sizes: Sequence[int], strides: Sequence[int]) -> tuple[Any, ...]:
    """Strides as expressions: where one stride is another axis's size times its stride, and that size is a symbol, it is
    that product (x.T of a contiguous x has strides 1 and size 0); else it is the number that it is now.

    dims: sizes, symbols among them; sizes, strides: their numbers, strides of any sign
    """
    out: list[Any] = list(strides)
    order = sorted((d for d in range(len(sizes)) if sizes[d] != 1), key=lambda d: (abs(strides[d]), -d))
    for at, d in enumerate(order):
        sign = -1 if strides[d] < 0 else 1
        for inner in reversed(order[:at]):
            if sizes[inner] * abs(strides[inner]) == abs(strides[d]):
                magnitude = dims[inner] * (out[inner] if strides[inner] >= 0 else -out[inner])
                out[d] = sign * magnitude
                break
    return tuple(out)


# --------------------------------------------------------------------------- ranges

Range = tuple[Any, Any]
_ALL: Range = (-math.inf, math.inf)


def bounds(e: Any, ranges: Mapping[str, Range]) -> Range:
    """A range that surely holds an expression's value, for symbols within `ranges` (by name). Ends may be infinite."""
    if isinstance(e, int):
        return e, e
    if e.is_Rational:
        return (int(e), int(e)) if e.is_Integer else (Fraction(e.p, e.q),) * 2
    if e.is_Symbol:
        return ranges.get(e.name, _ALL)
    if e.is_Add:
        low, high = zip(*(bounds(a, ranges) for a in e.args))
        return sum(low), sum(high)
    if e.is_Mul:
        total: Range = (1, 1)
        for a in e.args:
            total = _times(total, bounds(a, ranges))
        return total
    if e.is_Pow and e.exp.is_Integer and e.exp > 0:
        low, high = bounds(e.base, ranges)
        return (low ** int(e.exp), high ** int(e.exp)) if low >= 0 else _ALL
    kind = type(e).__name__
    if kind in ("floor", "ceiling"):
        low, high = bounds(e.args[0], ranges)
        whole = math.floor if kind == "floor" else math.ceil
        return tuple(x if math.isinf(x) else whole(x) for x in (low, high))  # type: ignore[return-value]
    if kind == "Mod":
        (low, high), (least, most) = (bounds(a, ranges) for a in e.args)
        if least <= 0:
            return _ALL
        return (low, high) if 0 <= low and high < least else (0, min(most - 1, high) if low >= 0 else most - 1)
    if kind in ("Max", "Min"):
        pick = max if kind == "Max" else min
        lows, highs = zip(*(bounds(a, ranges) for a in e.args))
        return pick(lows), pick(highs)
    return _ALL


def _times(a: Range, b: Range) -> Range:
    ends = [0 if x == 0 or y == 0 else x * y for x in a for y in b]  # 0 * inf is 0 here: the other end is finite
    return min(ends), max(ends)


# --------------------------------------------------------------------------- relations


@dataclass(frozen=True)
class Fact:
    """`d == 0` (kind "eq") or `d < 0` (kind "lt"), or, when `holds` is False, its negation."""

    kind: str
    d: Any
    holds: bool

    def text(self, names: Callable[[Any], str] = lambda symbol: symbol.name) -> str:
        """The relation as Python: terms with a minus stand on the right."""
        import sympy

        terms = sympy.Add.make_args(self.d)
        left = sympy.Add(*(t for t in terms if not t.could_extract_minus_sign() and t.free_symbols))
        right = left - self.d
        if left == 0:  # `3 - s0 < 0` reads `s0 > 3`
            left, right, mirrored = -self.d + self.d.as_coeff_Add()[0], self.d.as_coeff_Add()[0], True
        else:
            mirrored = False
        op = {("eq", True): "==", ("eq", False): "!=", ("lt", True): "<", ("lt", False): ">="}[self.kind, self.holds]
        if mirrored:
            op = {"<": ">", ">=": "<="}.get(op, op)
        one, other = (python_size(x, names, enclosed=False) for x in (left, right))
        return f"{one} {op} {other}"


def normal_form(relation: Any) -> tuple[str, Any, bool]:
    """(kind, d, positive): the relation says `d == 0` or `d < 0`, or the opposite where `positive` is False.

    Raises TypeError for what is no relation between sizes.
    """
    import sympy

    op = getattr(relation, "rel_op", None)
    if op is None:
        raise TypeError(f"[sizes] {relation!r} is no relation between sizes")
    d = sympy.expand(relation.lhs - relation.rhs)
    if op in (">", "<="):
        d = -d  # a > b is b - a < 0; a <= b is not (b - a < 0)
    numerator, _ = d.as_numer_denom() if op in ("==", "!=") or _has_fraction(d) else (d, 1)
    d = numerator
    content, primitive = d.as_content_primitive()
    d = primitive if content > 0 else -primitive
    if op in ("==", "!=") and d.could_extract_minus_sign():
        d = -d
    d = sympy.expand(d)
    return ("eq" if op in ("==", "!=") else "lt"), d, op in ("==", "<", ">")


def _has_fraction(d: Any) -> bool:
    import sympy

    return any(c.is_Rational and not c.is_Integer for t in sympy.Add.make_args(d) for c in (t.as_coeff_Mul()[0],))


@dataclass
class Relations:
    """What is known of some symbols: a range each, and facts.

    ranges: by symbol name, ends included; facts: noted with `note`, in order
    """

    ranges: dict[str, Range] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    _answers: dict[Any, bool | None] = field(default_factory=dict)

    def decided(self, relation: Any) -> bool | None:
        """Whether a relation holds; None when it is open."""
        if relation == True or relation == False:  # noqa: E712 - sympy's own truth values, too
            return bool(relation)
        if relation in self._answers:
            return self._answers[relation]
        kind, d, positive = normal_form(relation)
        known = self._known(kind, d)
        answer = None if known is None else known is positive
        if answer is not None:
            self._answers[relation] = answer
        return answer

    def _known(self, kind: str, d: Any) -> bool | None:
        low, high = bounds(d, self.ranges)
        if kind == "lt":
            if high < 0 or low >= 0:
                return bool(high < 0)
            return self._follows_less(d)
        if low > 0 or high < 0:
            return False
        if low == high == 0:
            return True
        for fact in self.facts:
            if fact.kind == "eq" and fact.d == d:
                return fact.holds
            if fact.kind == "lt" and fact.holds and fact.d in (d, -d):
                return False  # d < 0 is not d == 0
        return None

    def _follows_less(self, d: Any) -> bool | None:
        """Whether d < 0 by comparison with a fact."""
        for fact in self.facts:
            if fact.kind == "eq" and fact.holds:
                for sign in (1, -1):  # d plus something that is zero
                    low, high = bounds(_expanded(d + sign * fact.d), self.ranges)
                    if high < 0 or low >= 0:
                        return bool(high < 0)
            elif fact.kind == "lt":
                low, high = bounds(_expanded(d - fact.d), self.ranges)
                if fact.holds and high <= 0:
                    return True  # d <= fact.d < 0
                if not fact.holds and low >= 0:
                    return False  # d >= fact.d >= 0
                if fact.holds and bounds(_expanded(d + fact.d), self.ranges)[0] >= 0:
                    return False  # d >= -fact.d > 0
        return None

    def note(self, relation: Any, holds: bool) -> Fact | None:
        """Remember an open relation's truth. Returns the fact to be guarded, or None where it only narrows a range."""
        kind, d, positive = normal_form(relation)
        fact = Fact(kind, d, holds is positive)
        self._answers.clear()
        if kind == "lt" and self._narrow(d, fact.holds):
            return None
        self.facts.append(fact)
        return fact

    def _narrow(self, d: Any, holds: bool) -> bool:
        """Take `d < 0` (or its opposite) into a symbol's range, where d is linear in a single symbol."""
        line = linear(d)
        if line is None:
            return False
        symbol, a, b = line
        low, high = self.ranges.get(symbol.name, _ALL)
        root = Fraction(-b, a)  # where a*s + b is 0
        if holds == (a > 0):  # s < root, or s <= root
            high = min(high, math.ceil(root) - 1 if holds else math.floor(root))
        else:  # s > root, or s >= root
            low = max(low, math.floor(root) + 1 if holds else math.ceil(root))
        self.ranges[symbol.name] = (low, high)
        return True


def linear(d: Any) -> tuple[Any, int, int] | None:
    """(symbol, a, b) when d is a*symbol + b with integers a and b; else None."""
    b, rest = d.as_coeff_Add()
    a, symbol = rest.as_coeff_Mul()
    if symbol.is_Symbol and a.is_Integer and b.is_Integer:
        return symbol, int(a), int(b)
    return None


def _expanded(e: Any) -> Any:
    import sympy

    return sympy.expand(e)
