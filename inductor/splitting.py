"""Loop variables split so that indices which take them apart with // and % become affine.

v // k and v % k with k dividing the extent of v: v = k*hi + lo, so that v // k is hi and v % k is lo
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .graph import Dim
from .kernel import Store, substitute_stores
from .loops import FloorDiv, Index, Mod, Var, exact_quotient, postorder, split_var

#: each round removes a // or a %; real loops need a few
_ROUNDS = 32


def split_divided(
    p: Sequence[Var], r: Sequence[Var], stores: Sequence[Store]
) -> tuple[list[Var], list[Var], list[Store]]:
    """The loop spaces and stores with every variable split that divides evenly where an index divides it."""
    p, r, stores = list(p), list(r), list(stores)
    for _ in range(_ROUNDS):
        cut = _find_split(store_indices(stores))
        if cut is None:
            break
        v, low, high = cut
        outer, inner, value = split_var(v, low, high)
        p, r = ([n for w in space for n in ((outer, inner) if w == v else (w,))] for space in (p, r))
        stores = substitute_stores(stores, {v: value})
    return p, r, stores


def store_indices(stores: Iterable[Store]) -> list[Index]:
    """Every index of some stores: their own, of loads and of index values, those under an indirection included."""
    exprs = postorder([root for s in stores for root in s.roots])
    return [e.attr if e.op == "index" else e.attr[1] for e in exprs if e.op in ("index", "load")]


def _find_split(indices: Iterable[Index]) -> tuple[Var, Dim, Dim] | None:
    """A variable to split as (variable, extent of the low part, extent of the high part)."""
    for index in indices:
        for atom in index.atoms():
            if not isinstance(atom, (FloorDiv, Mod)):
                continue
            for v, c in atom.base.terms:
                if not isinstance(v, Var) or (isinstance(c, int) and c <= 0):
                    continue
                low = exact_quotient(atom.divisor, c)  # c*v // k splits at v = k/c
                high = None if low is None else exact_quotient(v.extent, low)
                if low is not None and high is not None and low != 1 and high != 1:
                    return v, low, high
    return None
