"""Sizes and indices as C++ text (int64 arithmetic over loop variables and size symbols)."""

from __future__ import annotations

import functools
from collections.abc import Callable

from ....errors import InternalError
from ...graph import Dim
from ...loops import Atom, Expr, FloorDiv, Index, Indirect, Mod, Var, postorder
from ...sizes import Dialect, size_text

#: how an atom that is not plain arithmetic reads: a loop variable's name, an indirect value's name
AtomText = Callable[[Atom], str]


#: C++ rounds quotients towards zero
_CPP = Dialect(
    symbol=lambda symbol: symbol.name,
    quotient=lambda a, b, plain: (f"{a} / {b}", False) if plain else (f"floordiv<i64>({a}, {b})", True),
    remainder=lambda a, b, plain: (f"{a} % {b}", False) if plain else (f"mod<i64>({a}, {b})", True),
    power=lambda base, n: (" * ".join([base] * n), False),
    extreme=lambda name, operands: functools.reduce(lambda a, b: f"{name}<i64>({a}, {b})", operands),
)


def dim_text(d: Dim) -> str:
    """A size as C++: an int, or a sympy expression over the size symbols.

    Raises InternalError for a sympy function without an integer meaning.
    """
    try:
        return size_text(d, _CPP)
    except ValueError as error:
        raise InternalError(f"[cpp] size {d} has no C++ form") from error


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
        if e.op in ("reduce", "attend"):
            own = {v for v in own if not v.is_reduction}
        if e.op == "dot":
            own.discard(e.attr)
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


def is_near(stride: Dim | None) -> bool:
    """Whether lanes that are `stride` apart are read as whole vectors and shuffled (`load_every` in kernels/cpu/vector.h)."""
    return isinstance(stride, int) and (stride == -1 or 2 <= stride <= 4)
