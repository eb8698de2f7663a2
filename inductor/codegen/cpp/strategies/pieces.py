"""Pointwise kernels whose values are made of parts side by side (arrays joined, borders): a loop for each part, in which nothing is
left of the conditions that tell the parts apart, nor of the other parts' loads.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ....dtypes import bool_
from ....kernel import Store
from ....loops import Expr, Index, Var, as_index, expr, postorder
from ....refusal import Refusal
from ..cost import nanoseconds
from ..indexing import dim_text
from ..nest import Nest
from ..sharing import Sharing, close_tasks, open_tasks
from ..writer import Writer
from .rows import share_rows
from .way import Array, Function

#: more parts than this take longer to look at than they save
_MOST = 512
#: what it takes to begin a loop, in operations
_BEGIN = 4
#: how often as many operations the code may have
_LONGER = 2

_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")
}


@dataclass(frozen=True)
class Piece:
    """What is stored at the points low <= v < high of a variable."""

    low: int
    high: int
    stores: tuple[Store, ...]


@dataclass(frozen=True)
class Pieces:
    """along: the variable whose points are cut into pieces"""

    nest: Nest
    sharing: Sharing
    along: Var
    pieces: tuple[Piece, ...]

    @property
    def note(self) -> str:
        return f"; {len(self.pieces)} pieces along {self.along}"

    def functions(self) -> list[Function]:
        return [_emit(self)]

    def arrays(self) -> list[Array]:
        return []


def plan(nest: Nest) -> Pieces | Refusal:
    """For pointwise kernels that are cheaper piece by piece."""
    kernel = nest.kernel
    if not nest.in_lanes or kernel.r:
        return Refusal("not-pointwise-in-lanes", "heuristic")
    found = [(v, pieces_along(kernel.stores, v)) for v in kernel.p]
    cut = [(_saved(nest, v, pieces), v, pieces) for v, pieces in found if len(pieces) > 1]
    if not cut:
        return Refusal("one-piece", "heuristic", "its values are of one form everywhere")
    saved, along, pieces = max(cut, key=lambda x: x[0])
    if saved <= 0:
        return Refusal("short-pieces", "heuristic", f"{len(pieces)} along {along}")
    parts = [nanoseconds(replace(kernel, stores=p.stores), nest.vector, nest.lanes) * (p.high - p.low) for p in pieces]
    assert isinstance(along.extent, int)
    nest = replace(nest, nanoseconds=sum(parts) / along.extent)
    return Pieces(nest, share_rows(nest), along, pieces)


def _saved(nest: Nest, v: Var, pieces: Sequence[Piece]) -> float:
    """Operations that are saved along a variable; none where the code gets too long."""
    lanes = nest.lanes if v == nest.vector else 1
    whole = _operations(nest.kernel.stores)
    each = [_operations(p.stores) for p in pieces]
    if sum(each) > _LONGER * whole:
        return 0
    assert isinstance(v.extent, int)
    return -(-v.extent // lanes) * whole - sum(-(-(p.high - p.low) // lanes) * n + _BEGIN for p, n in zip(pieces, each))


def _operations(stores: Iterable[Store]) -> int:
    return sum(e.op != "const" for e in postorder([s.value for s in stores]))


# --------------------------------------------------------------------------- finding the pieces


def pieces_along(stores: Sequence[Store], v: Var) -> tuple[Piece, ...]:
    """The stores at the pieces of a variable's range in which they have one form each; nothing where that is not known."""
    if not isinstance(v.extent, int):
        return ()
    conditions = [e.args[0] for e in postorder([s.value for s in stores]) if e.op in ("masked", "where")]
    found = ((e, _comparison(e, v)) for e in postorder(conditions))
    comparisons = {e: c for e, c in found if c is not None}
    ends = sorted({end for c in comparisons.values() for end in c.ends() if 0 < end < v.extent})
    if not ends or len(ends) > _MOST:
        return ()
    made: list[Piece] = []
    for low, high in zip((0, *ends), (*ends, v.extent)):
        known = {e: c.between(low, high) for e, c in comparisons.items()}
        values = _where([s.value for s in stores], known)
        piece = tuple(replace(s, value=value) for s, value in zip(stores, values))
        if made and made[-1].stores == piece:
            low = made.pop().low
        made.append(Piece(low, high, piece))
    return tuple(made)


@dataclass(frozen=True)
class _Comparison:
    """step * v + start, compared with 0."""

    op: str
    step: int
    start: int

    def ends(self) -> tuple[int, ...]:
        """The values of the variable from which on it says something else."""
        at, behind = -(self.start // self.step), -self.start // self.step + 1  # from 0 on, and beyond it
        if self.op in ("eq", "ne"):
            return at, behind
        return (at,) if (self.op in ("lt", "ge")) == (self.step > 0) else (behind,)

    def between(self, low: int, high: int) -> bool | None:
        """What it says at all points low <= v < high. None where it does not say the same."""
        first, last = self.step * low + self.start, self.step * (high - 1) + self.start
        within = (0,) if min(first, last) <= 0 <= max(first, last) else ()
        said = {_COMPARISONS[self.op](d, 0) for d in (first, last, *within)}
        return said.pop() if len(said) == 1 else None


def _comparison(e: Expr, v: Var) -> _Comparison | None:
    """A comparison of a variable with a number."""
    if e.op not in _COMPARISONS:
        return None
    left, right = (_as_index(a) for a in e.args)
    if left is None or right is None:
        return None
    difference = left - right
    step, start = difference.coefficient(v), difference.const
    if len(difference.terms) != 1 or not isinstance(step, int) or not isinstance(start, int) or not step:
        return None
    return _Comparison(e.op, step, start)


def _as_index(e: Expr) -> Index | None:
    if e.op == "index":
        index: Index = e.attr
        return index
    return as_index(e.attr) if e.op == "const" and type(e.attr) is int else None


def _where(roots: Sequence[Expr], known: dict[Expr, bool | None]) -> list[Expr]:
    """Expressions where comparisons say what is known: what is chosen by decided conditions stands in place of the choice."""
    new: dict[Expr, Expr] = {}
    stack = [(e, False) for e in roots]
    while stack:
        e, ready = stack.pop()
        if e in new:
            continue
        truth = _decided(e.args[0], known) if e.op in ("masked", "where") else None
        needed = e.args if truth is None else (e.args[1 if truth else 2],)
        if not ready:
            stack.append((e, True))
            stack.extend((a, False) for a in needed)
        elif truth is not None:
            new[e] = new[needed[0]]
        elif e in known and _joins(e) and (open_ := [a for a in e.args if known[a] is None]) != list(e.args):
            new[e] = new[open_[0]] if open_ else e  # of two conditions joined the other has no say
        else:
            args = tuple(new[a] for a in e.args)
            new[e] = e if args == e.args else expr(e.op, *args, dtype=e.dtype, attr=e.attr)
    return [new[e] for e in roots]


def _decided(cond: Expr, known: dict[Expr, bool | None]) -> bool | None:
    """Whether a condition holds everywhere (True), or nowhere (False)."""
    if cond not in known:
        for e in postorder([cond], known=known):
            known[e] = _truth(e, known)
    return known[cond]


def _joins(e: Expr) -> bool:
    return e.op in ("and", "or") and e.dtype == bool_


def _truth(e: Expr, known: dict[Expr, bool | None]) -> bool | None:
    if e.op == "const" and type(e.attr) is bool:
        return e.attr
    if _joins(e):
        decides = e.op == "or"  # what one operand says alone
        parts = [known[a] for a in e.args]
        return decides if decides in parts else None if None in parts else not decides
    return None


# --------------------------------------------------------------------------- writing them


def _emit(way: Pieces) -> Function:
    nest, along = way.nest, way.along
    w = Writer(nest)
    opened = open_tasks(w, way.sharing)
    if along == nest.vector:
        blocked = (opened.low, opened.high) != ("0", dim_text(along.extent))
        for p in way.pieces:
            low, high = str(p.low), str(p.high)
            if blocked:
                low, high = f"max<i64>({opened.low}, {low})", f"min<i64>({opened.high}, {high})"
            whole = p.low % nest.lanes == 0 and (p.high % nest.lanes == 0 or p.high == along.extent)
            w.open_lanes(low, high, whole=whole)
            w.stores(p.stores)
            w.close_lanes()
    else:
        for p in way.pieces:
            # the variable is known anew in there: nothing that it is part of is computed outside. Other things are, in front of an
            # `if`, which therefore stands for itself
            w.open(f"if ({along.name} >= {p.low} && {along.name} < {p.high}) {{", along)
            w.open_lanes(opened.low, opened.high)
            w.stores(p.stores)
            w.close_lanes()
            w.close()
    close_tasks(w, opened)
    return Function(w.blocks[0].lines, way.sharing.count)
