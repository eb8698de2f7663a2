"""Partial writes found in whole ones: the loops of a store cut down to the part of its buffer that it changes.

A functional write gives a whole new array: the source where a condition on the index holds, the old array elsewhere. Where the new
array takes the old one's place in memory, all that keeps its value need not be stored:

    for p0 < 64, p1 < 8:  new[8*p0 + p1] = masked(p0 == 5, load(src, p1), load(old, 8*p0 + p1))
    for p1 < 8:           old[40 + p1]   = load(src, p1)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from .dtypes import DType, bool_, compute_dtype, int64
from .graph import Dim
from .kernel import Store
from .loops import (
    Expr,
    Index,
    Mod,
    Var,
    as_index,
    cast,
    const,
    expr,
    index_interval,
    load,
    masked,
    rewrite,
    substitute,
    substitute_expr,
)
from .ops.scalar import SCALAR
from .splitting import in_runs


def kept_place(store: Store) -> tuple[str, Index] | None:
    """(buffer, index) of the load whose value a store keeps, at every point or where the outermost condition does not hold."""
    value = store.value
    held = _loaded(value)
    if held is None:
        _, inner = _unwrapped(value)
        held = _loaded(inner.args[2]) if inner.op == "masked" else None
    return None if held is None else held.attr


def keeps(store: Store, buffer: str, index: Index) -> bool:
    """Whether a store writes nothing but what stands at `index` of `buffer` already."""
    held = _loaded(store.value)
    return held is not None and held.attr == (buffer, index)


def cut_down(
    p: list[Var], store: Store, buffer: str, offset: Dim, numbers: Iterator[int]
) -> tuple[list[Var], Store | None]:
    """The loops and the store where the stored value is not the one at the same place of `buffer` (`offset` elements further); no
    store where there is no such place. numbers: of variables, each given once in a program
    """
    coupled = False
    while True:
        place = store.index + offset
        if keeps(store, buffer, place):
            return p, None
        casts, inner = _unwrapped(store.value)
        if inner.op != "masked":
            return p, store
        cond, value, other = inner.args
        held = _loaded(other)
        if held is None or held.attr != (buffer, place):
            return p, store
        if not coupled and any(map(_couples, _conjuncts(cond))):
            coupled = True  # as those of an array that was written through a view of another shape
            p, store = in_runs(p, store, numbers)
            continue
        part = _Part(p)
        rest = [c for c in _conjuncts(cond) if not part.restrict(c)]
        if part.is_empty:
            return p, None
        values = part.values(numbers)
        if not values:
            return p, store
        for c in reversed(rest):
            value = masked(c, value, other)
        for dtype in reversed(casts):
            value = cast(value, dtype)
        value = _folded(substitute_expr(value, values))
        p, store = part.loops(), replace(store, index=substitute(store.index, values), value=value)


def _unwrapped(value: Expr) -> tuple[list[DType], Expr]:
    """The conversions around a value, outermost first, and the value."""
    casts: list[DType] = []
    while value.op == "cast":
        casts.append(value.dtype)
        value = value.args[0]
    return casts, value


def _loaded(value: Expr) -> Expr | None:
    """The load whose value this is; conversions to the type that its elements are computed in, and back, keep all values."""
    dtype = value.dtype
    casts, inner = _unwrapped(value)
    if inner.op != "load" or not {*casts, dtype} <= {inner.dtype, compute_dtype(inner.dtype)}:
        return None
    return inner


def _conjuncts(cond: Expr) -> Iterator[Expr]:
    if cond.op == "and" and cond.dtype == bool_:
        for a in cond.args:
            yield from _conjuncts(a)
    else:
        yield cond


def _couples(cond: Expr) -> bool:
    """Whether a condition is about several variables at once, or about a part of one."""
    indices = [i for a in cond.args if (i := _index_of(a)) is not None]
    return any(len(i.terms) > 1 or not i.is_affine for i in indices)


@dataclass
class _Range:
    """What is known of a variable: at least each of `low`, below each of `high`, `phase` modulo `step`."""

    low: list[Dim] = field(default_factory=list)
    high: list[Dim] = field(default_factory=list)
    step: int = 1
    phase: int = 0


class _Part:
    """The part of a loop space in which conditions hold."""

    def __init__(self, p: list[Var]) -> None:
        self.p = p
        self.ranges: dict[Var, _Range] = {}
        self.fixed: dict[Var, Index] = {}
        self.is_empty = False

    def restrict(self, cond: Expr) -> bool:
        """Take a condition into account; False for one that is no bound of a variable."""
        if cond.op == "const":
            self.is_empty = self.is_empty or not cond.attr
            return True
        if cond.op not in ("eq", "ge", "lt"):
            return False
        sides = [_index_of(a) for a in cond.args]
        if sides[0] is None or sides[1] is None:
            return False
        difference = sides[0] - sides[1]
        if cond.op == "eq" and self._steps(difference):
            return True
        if not difference.is_affine:
            return False
        terms = [(v, c) for v, c in difference.terms if isinstance(v, Var) and v in self.p]
        if len(terms) != len(difference.terms) or not terms:
            return False
        if cond.op == "eq":
            return self._fix(difference, terms)
        (v, c), *others = terms
        if others or c != 1 or v in self.fixed:
            return False
        found = self.ranges.setdefault(v, _Range())
        ends = found.low if cond.op == "ge" else found.high
        bound = difference.const * -1
        # symbolic ends are taken as they are, one on each side: they are those of a slice, which lies inside
        symbolic = any(not isinstance(d, int) for d in (v.extent, bound, *found.low, *found.high))
        if symbolic and (ends or found.step != 1):
            return False
        ends.append(bound)
        return True

    def _steps(self, difference: Index) -> bool:
        """(v + a) % step == 0."""
        if difference.const != 0 or len(difference.terms) != 1:
            return False
        atom, c = difference.terms[0]
        if not isinstance(atom, Mod) or c != 1 or not isinstance(atom.divisor, int) or len(atom.base.terms) != 1:
            return False
        (v, scale), start = atom.base.terms[0], atom.base.const
        if not isinstance(v, Var) or v not in self.p or scale != 1 or not isinstance(start, int) or v in self.fixed:
            return False
        found = self.ranges.setdefault(v, _Range())
        if found.step != 1 or any(not isinstance(d, int) for d in (v.extent, *found.low, *found.high)):
            return False
        found.step, found.phase = atom.divisor, -start % atom.divisor
        return True

    def _fix(self, difference: Index, terms: list[tuple[Var, Dim]]) -> bool:
        """One variable is what the others say."""
        for v, c in terms:
            if v in self.fixed or v in self.ranges or c not in (1, -1):
                continue
            value = difference.without(v) * (-1 if c == 1 else 1)
            if value.is_const:
                if any(v in other.vars() for other in self.fixed.values()):
                    continue
                where = value.const
                if isinstance(where, int) and isinstance(v.extent, int) and not 0 <= where < v.extent:
                    self.is_empty = True
                self.fixed[v] = value
                return True
            (w, scale), *others = value.terms
            numbers = (value.const, v.extent, getattr(w, "extent", None))
            if others or scale != 1 or not isinstance(w, Var) or w in self.fixed or w in self.ranges:
                continue
            if not all(isinstance(d, int) for d in numbers):
                continue
            self.ranges[w] = _Range([value.const * -1], [v.extent - value.const])
            self.fixed[v] = value
            return True
        return False

    def values(self, numbers: Iterator[int]) -> dict[Var, Index]:
        """What the old variables are over the new loops."""
        self._new: dict[Var, Var | None] = {}
        moved: dict[Var, Index] = {}
        for v, r in self.ranges.items():
            low, count = self._extent(v, r)
            if isinstance(low, int) and low == 0 and r.step == 1 and count == v.extent:
                continue
            w = Var(f"{v.name}w{next(numbers)}", count)
            self._new[v] = None if isinstance(count, int) and count == 1 else w
            moved[v] = as_index(w) * r.step + low
            self.is_empty = self.is_empty or (isinstance(count, int) and count <= 0)
        for v, value in self.fixed.items():
            self._new[v] = None
            moved[v] = substitute(value, moved)
        return moved

    def _extent(self, v: Var, r: _Range) -> tuple[Dim, Dim]:
        """(first value, number of values)."""
        if all(isinstance(d, int) for d in (v.extent, *r.low, *r.high)):
            low, high = max([0, *r.low]), min([v.extent, *r.high])  # type: ignore[type-var]
            low = low + (r.phase - low) % r.step  # type: ignore[operator]
            return low, max(0, -((low - high) // r.step))  # type: ignore[operator]
        low = r.low[0] if r.low else 0
        return low, (r.high[0] if r.high else v.extent) - low

    def loops(self) -> list[Var]:
        """The loops that are left."""
        left = [self._new.get(v, v) for v in self.p]
        return [v for v in left if v is not None]


def _index_of(e: Expr) -> Index | None:
    if e.op == "index":
        return e.attr
    return as_index(e.attr) if e.op == "const" and e.dtype == int64 else None


def _folded(value: Expr) -> Expr:
    """The value with the conditions gone that indices decide."""

    def visit(e: Expr) -> Expr | None:
        if e.op in SCALAR and SCALAR[e.op].is_comparison:
            sides = [_index_of(a) for a in e.args]
            if sides[0] is None or sides[1] is None:
                return None
            answer = _decided(e.op, sides[0] - sides[1])
            return None if answer is None else const(answer, bool_)
        if e.op == "and" and e.dtype == bool_:
            left, right = e.args
            if left.op == "const":
                return right if left.attr else left
            if right.op == "const":
                return left if right.attr else right
        if e.op == "masked":
            return masked(*e.args)
        return None

    return rewrite([value], visit)[0]


def _decided(op: str, difference: Index) -> bool | None:
    """Whether a comparison of a difference with 0 has the same answer at every point; None where it has not, or that is not known."""
    ends = index_interval(difference)
    if ends is None:
        return None
    low, high = ends
    answers = {SCALAR[op].python(d, 0) for d in (low, high, 0) if low <= d <= high}
    return answers.pop() if len(answers) == 1 else None


def lie_apart(one: Index, other: Index) -> bool:
    """Whether two indices, each at any point of its own loops, surely never meet."""
    a, b = index_interval(one), index_interval(other)
    return a is not None and b is not None and (a[1] < b[0] or b[1] < a[0])


def renamed(value: Expr, buffer: str, to: str, offset: Dim) -> Expr:
    """The value with loads of a buffer made loads of another, `offset` elements further."""

    def visit(e: Expr) -> Expr | None:
        if e.op == "load" and e.attr[0] == buffer:
            return load(to, e.attr[1] + offset, e.dtype)
        return None

    return rewrite([value], visit)[0]


def renamed_index(index: Index, buffer: str, to: str, offset: Dim) -> Index:
    """The same for an index, which may be read from memory."""
    if index.is_affine:
        return index
    carrier = renamed(expr("index", dtype=int64, attr=index), buffer, to, offset)
    return carrier.attr if carrier.op == "index" else as_index(carrier.attr)
