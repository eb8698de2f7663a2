"""Loop variables split so that indices which take them apart with // and % become affine, and merged where indices have them as one.

v // k and v % k with k dividing the extent of v: v = k*hi + lo, so that v // k is hi and v % k is lo
k*u + v with k the extent of v: one variable that runs over both
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .graph import Dim
from .kernel import Store, substitute_stores
from .loops import ZERO, FloorDiv, Index, Mod, Var, as_index, exact_quotient, postorder, split_var

#: each round of splits removes a // or a %; real loops need a few
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


def one_run(indices: Sequence[Index], space: Sequence[Var], neighbours_only: bool = False) -> tuple[Var, Var] | None:
    """Two variables, outer and inner, that every index walks as one row-major run."""
    for i, u in enumerate(space):
        for j, v in enumerate(space):
            if i == j or (neighbours_only and j != i + 1):
                continue
            if all(_runs_on(index, u, v) for index in indices):
                return u, v
    return None


def _runs_on(index: Index, outer: Var, inner: Var) -> bool:
    """Whether `index` uses the two only as outer * extent(inner) + inner, also inside // and %."""
    if index.coefficient(outer) != index.coefficient(inner) * inner.extent:
        return False
    return all(_runs_on(a.base, outer, inner) for a, _ in index.terms if isinstance(a, (FloorDiv, Mod)))


def in_runs(p: Sequence[Var], store: Store, numbers: Iterator[int]) -> tuple[list[Var], Store]:
    """The loops of a store with variables split where indices divide them, and merged where all indices walk them as one run."""
    space, _, stores = split_divided(p, (), (store,))
    while pair := one_run(store_indices(stores), space):
        outer, inner = pair
        one = Var(f"{inner.name}m{next(numbers)}", outer.extent * inner.extent)
        space = [one if v == inner else v for v in space if v != outer]
        stores = substitute_stores(stores, {outer: ZERO, inner: as_index(one)})
    return space, stores[0]
