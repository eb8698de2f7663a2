"""Index arithmetic: // and % simplified by the ranges of the variables, positions and multi-indices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..graph import Dim
from .language import ZERO, Atom, Expr, FloorDiv, Index, Indirect, Mod, Var, as_index, canonical_terms, is_zero


def points(space: Iterable[Var]) -> Dim:
    """The number of points of a loop space."""
    return math.prod(v.extent for v in space)


def exact_quotient(a: Dim, b: Dim) -> Dim | None:
    """a / b where it is surely an integer, else None."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b != 0 and a % b == 0 else None
    if a == b:
        return 1
    ratio: Any = a / b  # sympy cancels a product's factor
    if not ratio.is_integer:
        return None
    return int(ratio) if ratio.is_Integer else ratio


def indirect(value: Expr) -> Index:
    """The index given by an integer expression's value (constant values fold)."""
    if value.op == "const":
        return as_index(int(value.attr))
    if value.op == "index":
        return value.attr
    return Index(((Indirect(value), 1),))


def upper_bound(index: Index) -> Dim | None:
    """The largest value an index can take, or None when unknown (indirect, negative coefficient, dynamic)."""
    total = index.const
    for atom, c in index.terms:
        if isinstance(atom, Var):
            top: Dim | None = atom.extent - 1
        elif isinstance(atom, Mod):
            inner = upper_bound(atom.base)
            top = atom.divisor - 1
            if isinstance(inner, int) and isinstance(top, int):
                top = min(inner, top)
        elif isinstance(atom, FloorDiv):
            inner = upper_bound(atom.base)
            if inner is None or not isinstance(inner, int) or not isinstance(atom.divisor, int):
                return None
            top = inner // atom.divisor
        else:
            return None
        if top is None or not isinstance(c, int) or not isinstance(top, int) or c < 0:
            return None
        total = total + c * top
    return total if isinstance(total, int) else None


def index_interval(index: Index) -> tuple[int, int] | None:
    """The range of an index whose sizes are all plain ints and which reads nothing from memory."""
    if not isinstance(index.const, int):
        return None
    low = high = index.const
    for atom, c in index.terms:
        if not isinstance(c, int):
            return None
        part = _atom_interval(atom)
        if part is None:
            return None
        ends = (c * part[0], c * part[1])
        low, high = low + min(ends), high + max(ends)
    return low, high


def _atom_interval(atom: object) -> tuple[int, int] | None:
    if isinstance(atom, Var):
        return (0, max(atom.extent - 1, 0)) if isinstance(atom.extent, int) else None
    if isinstance(atom, (FloorDiv, Mod)) and isinstance(atom.divisor, int):
        base = index_interval(atom.base)
        if base is None:
            return None
        if isinstance(atom, Mod):
            return (0, min(base[1], atom.divisor - 1) if base[0] >= 0 else atom.divisor - 1)
        return (base[0] // atom.divisor, base[1] // atom.divisor)
    return None


def _split_multiples(index: Index, k: Dim) -> tuple[Index, Index]:
    """index = k * quotient + rest, moving every term whose coefficient is a multiple of k into the quotient.

    The rest stays non-negative, since // and % of generated code round towards zero: where the sizes leave that open, nothing
    is moved.
    """
    quotient: dict[Atom, Dim] = {}
    rest: dict[Atom, Dim] = {}
    for atom, c in index.terms:
        q = exact_quotient(c, k)
        if q is None:
            rest[atom] = c
        else:
            quotient[atom] = q
    least = _least(rest)
    if isinstance(index.const, int) and isinstance(k, int) and isinstance(least, int):
        qc, rc = divmod(index.const + least, k)
        rc -= least
    else:
        exact = exact_quotient(index.const, k)
        qc, rc = (0, index.const) if exact is None or least is None or not is_zero(least) else (exact, 0)
        if (quotient or not is_zero(qc)) and (least is None or not _is_natural(least + rc)):
            return ZERO, index
    return Index(canonical_terms(quotient), qc), Index(canonical_terms(rest), rc)


def _least(terms: Mapping[Atom, Dim]) -> Dim | None:
    """The smallest value of a sum of terms; None where it is not known."""
    total: Dim = 0
    for atom, c in terms.items():
        if _is_natural(c):
            continue
        top = atom.extent - 1 if isinstance(atom, Var) else upper_bound(Index(((atom, 1),)))
        if top is None or not _is_natural(-c):
            return None
        total = total + c * top
    return total


def _is_natural(d: Dim) -> bool:
    return d >= 0 if isinstance(d, int) else bool(d.is_nonnegative)


def floordiv(index: Index, k: Dim) -> Index:
    """index // k for a non-negative index, simplified by the ranges of its variables."""
    if isinstance(k, int) and k == 1:
        return index
    quotient, rest = _split_multiples(index, k)
    if _below(rest, k):
        return quotient  # (k*q + r) // k = q when 0 <= r < k
    if len(rest.terms) == 1 and is_zero(rest.const):
        inner, c = rest.terms[0]
        if isinstance(inner, FloorDiv) and isinstance(c, int) and c == 1:
            return quotient + Index(((FloorDiv(inner.base, inner.divisor * k), 1),))  # x//a//b = x//(a*b)
    return quotient + Index(((FloorDiv(rest, k), 1),))


def mod(index: Index, k: Dim) -> Index:
    """index % k for a non-negative index, simplified by the ranges of its variables."""
    if isinstance(k, int) and k == 1:
        return ZERO
    _, rest = _split_multiples(index, k)
    if _below(rest, k):
        return rest  # (k*q + r) % k = r when 0 <= r < k
    return Index(((Mod(rest, k), 1),))


def _below(rest: Index, k: Dim) -> bool:
    if rest.is_const and is_zero(rest.const):
        return True
    if isinstance(k, int):
        top = upper_bound(rest)
        return top is not None and top < k
    # dynamic: a lone variable whose extent is k itself
    return (
        len(rest.terms) == 1
        and is_zero(rest.const)
        and isinstance(rest.terms[0][0], Var)
        and rest.terms[0][1] == 1
        and rest.terms[0][0].extent == k
    )


def linearize(indices: Iterable[Index], shape: Iterable[Dim]) -> Index:
    """Row-major position of a multi-index."""
    total = ZERO
    for i, size in zip(indices, shape):
        total = total * size + i
    return total


def delinearize(position: Index, shape: tuple[Dim, ...]) -> tuple[Index, ...]:
    """The multi-index of a row-major position."""
    out: list[Index] = []
    for size in reversed(shape[1:]):
        out.append(mod(position, size))
        position = floordiv(position, size)
    if shape:
        out.append(position)
    return tuple(reversed(out))
