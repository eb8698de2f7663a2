"""Sizes and indices as C++ text (int64 arithmetic over loop variables and size symbols)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ....errors import InternalError
from ...graph import Dim
from ...loops import Atom, Expr, FloorDiv, Index, Indirect, Mod, Var, postorder

#: how an atom that is not plain arithmetic reads: a loop variable's name, an indirect value's name
AtomText = Callable[[Atom], str]


def dim_text(d: Dim) -> str:
    """A size as C++: an int, or a sympy expression over the size symbols.

    Raises InternalError for a sympy function without an integer meaning.
    """
    return str(int(d)) if isinstance(d, int) else _sympy_text(d)


def _sympy_text(e: Any) -> str:
    if e.is_Integer:
        return str(int(e))
    if e.is_Symbol:
        return e.name
    if e.is_Add:
        return "(" + " + ".join(_sympy_text(a) for a in e.args) + ")"
    if e.is_Mul:
        numbers = [a for a in e.args if a.is_Rational]
        rest = [_sympy_text(a) for a in e.args if not a.is_Rational]
        if numbers and not numbers[0].is_Integer:  # an exact division, as in s0*(s0 + 1)/2
            top = [str(numbers[0].p)] if numbers[0].p != 1 else []
            return f"({' * '.join([*top, *rest])} / {numbers[0].q})"
        return "(" + " * ".join([*(str(int(n)) for n in numbers), *rest]) + ")"
    if e.is_Pow and e.exp.is_Integer and e.exp > 0:
        return "(" + " * ".join([_sympy_text(e.base)] * int(e.exp)) + ")"
    name = type(e).__name__
    if name in ("floor", "ceiling"):
        above, below = e.args[0].as_numer_denom()
        return _quotient_text(above, below) if name == "floor" else f"(-{_quotient_text(-above, below)})"
    if name == "Mod":
        a, b = map(_sympy_text, e.args)
        return f"({a} % {b})" if _never_negative(*e.args) else f"mod<i64>({a}, {b})"
    if name in ("Max", "Min"):
        first, *others = map(_sympy_text, e.args)
        return functools.reduce(lambda a, b: f"{name.lower()}<i64>({a}, {b})", others, first)
    raise InternalError(f"[cpp] size {e} has no C++ form: {name}")


def _quotient_text(above: Any, below: Any) -> str:
    """Rounded down, as Python does; C++ rounds towards zero."""
    a, b = _sympy_text(above), _sympy_text(below)
    return f"({a} / {b})" if _never_negative(above, below) else f"floordiv<i64>({a}, {b})"


def _never_negative(*sizes: Any) -> bool:
    return all(s.is_nonnegative for s in sizes)


def index_text(index: Index, atom_text: AtomText) -> str:
    """An index as an int64 expression, with the largest strides first as they were built."""
    #: sign and size of each term
    terms = [_term(atom, c, atom_text) for atom, c in index.terms]
    if not terms or not (isinstance(index.const, int) and index.const == 0):
        terms.append(_signed(index.const))
    (minus, text), *others = terms
    return (f"-{text}" if minus else text) + "".join(f" {'-' if minus else '+'} {text}" for minus, text in others)


def _signed(d: Dim) -> tuple[bool, str]:
    return (True, dim_text(-d)) if isinstance(d, int) and d < 0 else (False, dim_text(d))


def _term(atom: Atom, c: Dim, atom_text: AtomText) -> tuple[bool, str]:
    if isinstance(atom, FloorDiv):
        text = f"({_inner(atom.base, atom_text)} / {dim_text(atom.divisor)})"
    elif isinstance(atom, Mod):
        text = f"({_inner(atom.base, atom_text)} % {dim_text(atom.divisor)})"
    else:
        text = atom_text(atom)
    if isinstance(c, int) and abs(c) == 1:
        return c < 0, text
    minus, factor = _signed(c)
    return minus, f"{factor} * {text}"


def _inner(index: Index, atom_text: AtomText) -> str:
    text = index_text(index, atom_text)
    simple = len(index.terms) == 1 and isinstance(index.const, int) and index.const == 0
    return text if simple else f"({text})"


#: variables that expressions depend on, kept for one kernel
Memo = dict[Expr, frozenset[Var]]


def free_vars(root: Expr, memo: Memo) -> frozenset[Var]:
    """Loop variables that the value depends on: reduction variables only where they are outside reductions."""
    for e in postorder([root], known=memo):
        own: set[Var] = set()
        if e.op in ("index", "load"):
            i: Index = e.attr if e.op == "index" else e.attr[1]
            own.update(atom for atom in i.atoms() if isinstance(atom, Var))
        for a in e.below():
            own |= memo[a]
        if e.op == "reduce":
            own = {v for v in own if not v.is_reduction}
        memo[e] = frozenset(own)
    return memo[root]


def index_vars(index: Index, memo: Memo) -> set[Var]:
    """Loop variables that an index depends on, as `free_vars` counts them."""
    found: set[Var] = set()
    for atom in index.atoms():
        if isinstance(atom, Var):
            found.add(atom)
        elif isinstance(atom, Indirect):
            found |= free_vars(atom.value, memo)
    return found


def stride_along(index: Index, v: Var, memo: Memo) -> Dim | None:
    """The constant step of `index` per step of `v`; None where it is not one (//, %, or an indirect part depends on v)."""
    for atom, _ in index.terms:
        if not isinstance(atom, Var) and v in index_vars(Index(((atom, 1),)), memo):
            return None
    return index.coefficient(v)
