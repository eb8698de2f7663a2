"""Sizes and indices as C++ text (int64 arithmetic over loop variables and size symbols)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....errors import InternalError
from ...graph import Dim
from ...loops import Atom, FloorDiv, Index, Indirect, Mod, Var

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
    if name == "floor":
        return _floor_text(e.args[0])
    if name in ("Mod", "Max", "Min"):
        a, b = (_sympy_text(x) for x in e.args)
        return {"Mod": f"({a} % {b})", "Max": f"max<i64>({a}, {b})", "Min": f"min<i64>({a}, {b})"}[name]
    raise InternalError(f"[cpp] size {e} has no C++ form: {name}")


def _floor_text(e: Any) -> str:
    """floor(a/b) of non-negative sizes."""
    top, bottom = e.as_numer_denom()
    return f"({_sympy_text(top)} / {_sympy_text(bottom)})"


def index_text(index: Index, atom_text: AtomText) -> str:
    """An index as an int64 expression, with the largest strides first as they were built."""
    parts = [_term_text(atom, c, atom_text) for atom, c in index.terms]
    if not parts or not (isinstance(index.const, int) and index.const == 0):
        parts.append(dim_text(index.const))
    return " + ".join(parts).replace("+ -", "- ")


def _term_text(atom: Atom, c: Dim, atom_text: AtomText) -> str:
    if isinstance(atom, FloorDiv):
        text = f"({_inner(atom.base, atom_text)} / {dim_text(atom.divisor)})"
    elif isinstance(atom, Mod):
        text = f"({_inner(atom.base, atom_text)} % {dim_text(atom.divisor)})"
    else:
        text = atom_text(atom)
    if isinstance(c, int) and c == 1:
        return text
    if isinstance(c, int) and c == -1:
        return f"-{text}"
    return f"{dim_text(c)} * {text}"


def _inner(index: Index, atom_text: AtomText) -> str:
    text = index_text(index, atom_text)
    simple = len(index.terms) == 1 and isinstance(index.const, int) and index.const == 0
    return text if simple else f"({text})"


def stride_along(index: Index, v: Var) -> Dim | None:
    """The constant step of `index` per step of `v`; None where it is not one (//, %, or an indirect part depends on v)."""
    for atom, _ in index.terms:
        if isinstance(atom, (FloorDiv, Mod)) and v in atom.base.vars():
            return None
        if isinstance(atom, Indirect) and v in atom.value.vars():
            return None
    return index.coefficient(v)
