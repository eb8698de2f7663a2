"""Ints inside of a rolled loop as sums of others, each times a constant: so that `bounds` can tell between what they are."""

from __future__ import annotations

from .....inductor.sequential.program import Expr, Literal
from .kinds import SMALL_BITS, Linear, Number, Term

#: numbers that a sum may have: a long one is rarely an index
MOST_TERMS = 4
#: with these nothing is beyond 64 bits
_LARGEST_FACTOR, _LARGEST_OFFSET = 1 << 8, 1 << 32


def linear(number: Number) -> Linear:
    """An int as a sum."""
    if number.linear is not None:
        return number.linear
    if isinstance(number.expr, Literal) and isinstance(number.expr.value, int):
        return Linear((), number.expr.value)
    return Linear((Term(number.expr, number.loop, 1),), 0)


def combined(op: str, a: Number, b: Number) -> Linear | None:
    """The sum that `a + b`, `a - b` or `a * b` is: None for what is none, or might be beyond 64 bits where it is computed once more."""
    if any(n.linear is None and n.bits > SMALL_BITS for n in (a, b)):
        return None
    x, y = linear(a), linear(b)
    if op == "*":
        factor, of = (y, x) if not y.terms else (x, y)
        if factor.terms or not -_LARGEST_FACTOR <= factor.offset <= _LARGEST_FACTOR:
            return None
        return _bounded({t: factor.offset * n for t, n in _factors(of).items()}, factor.offset * of.offset)
    sign = 1 if op == "+" else -1
    terms = _factors(x)
    for key, n in _factors(y).items():
        terms[key] = terms.get(key, 0) + sign * n
    return _bounded(terms, x.offset + sign * y.offset)


def _factors(line: Linear) -> dict[tuple[Expr, int | None], int]:
    return {(t.expr, t.loop): t.factor for t in line.terms}


def _bounded(terms: dict[tuple[Expr, int | None], int], offset: int) -> Linear | None:
    made = tuple(Term(e, loop, n) for (e, loop), n in terms.items() if n)
    small = abs(offset) <= _LARGEST_OFFSET and all(abs(t.factor) <= _LARGEST_FACTOR for t in made)
    return Linear(made, offset) if small and len(made) <= MOST_TERMS else None
