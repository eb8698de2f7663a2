"""Expressions and indices rebuilt with parts of them replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ..graph import Dim
from .arithmetic import floordiv, indirect, mod
from .build import index_value, load
from .language import Expr, FloorDiv, Index, Indirect, Mod, Var, as_index, expr, postorder


def map_atoms(index: Index, change: Callable[[Var | Indirect], Index | None]) -> Index:
    """The index with its variables and its values read from memory replaced (None: kept), simplified again."""
    total = as_index(index.const)
    for atom, c in index.terms:
        if isinstance(atom, FloorDiv):
            part = floordiv(map_atoms(atom.base, change), atom.divisor)
        elif isinstance(atom, Mod):
            part = mod(map_atoms(atom.base, change), atom.divisor)
        else:
            new = change(atom)
            part = new if new is not None else as_index(atom) if isinstance(atom, Var) else Index(((atom, 1),))
        total = total + part * c
    return total


def rewrite(roots: Iterable[Expr], visit: Callable[[Expr], Expr | None]) -> list[Expr]:
    """Rebuild the DAG bottom-up. `visit` sees each node with rewritten operands and may return a replacement.

    Indirect indices are rewritten too.
    """
    roots = list(roots)
    new: dict[int, Expr] = {}

    def follow(atom: Var | Indirect) -> Index | None:
        return indirect(new[id(atom.value)]) if isinstance(atom, Indirect) else None

    def move(index: Index) -> Index:
        return map_atoms(index, follow) if any(isinstance(a, Indirect) for a in index.atoms()) else index

    for e in postorder(roots):
        args = tuple(new[id(a)] for a in e.args)
        attr = e.attr
        if e.op == "index":
            attr = move(attr)
        elif e.op == "load":
            attr = (attr[0], move(attr[1]))
        same = attr is e.attr and all(a is b for a, b in zip(args, e.args))
        rebuilt = e if same else expr(e.op, *args, dtype=e.dtype, attr=attr)
        new[id(e)] = visit(rebuilt) or rebuilt
    return [new[id(e)] for e in roots]


def substitution(values: Mapping[Var, Index]) -> Callable[[Expr], Expr | None]:
    """A visitor for `rewrite` that replaces loop variables in every index."""

    # `rewrite` has replaced the variables inside indirect values when it comes to the index that holds them
    def replaced(index: Index) -> Index:
        return map_atoms(index, lambda atom: values.get(atom) if isinstance(atom, Var) else None)

    def visit(e: Expr) -> Expr | None:
        if e.op == "index":
            return index_value(replaced(e.attr))
        if e.op == "load":
            return load(e.attr[0], replaced(e.attr[1]), e.dtype)
        return None

    return visit


def substitute_expr(value: Expr, values: Mapping[Var, Index]) -> Expr:
    """Replace loop variables in every index below `value`."""
    return rewrite([value], substitution(values))[0]


def substitute(index: Index, values: Mapping[Var, Index]) -> Index:
    """Replace loop variables by indices, inside values read from memory too."""

    def change(atom: Var | Indirect) -> Index | None:
        return values.get(atom) if isinstance(atom, Var) else indirect(substitute_expr(atom.value, values))

    return map_atoms(index, change)


def split_var(v: Var, low: Dim, high: Dim) -> tuple[Var, Var, Index]:
    """Two variables in place of one: (outer, inner, the old one's value low * outer + inner). low * high is its extent."""
    outer, inner = Var(f"{v.name}h", high, v.is_reduction), Var(f"{v.name}l", low, v.is_reduction)
    return outer, inner, as_index(outer) * low + as_index(inner)
