"""How a right operand lies that was laid down once for many runs: in panels, as tasks lay it down for themselves.

    [batch][run of the inner axes][vector of columns][inner][lane]

Whole vectors and runs: what is beyond the last column or the end of the inner axes is 0. It is an index like any other: a kernel that
reads such an operand loads it at `Panels.index`, which the strategy for contractions knows again, and another kernel fills it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ....contraction import Contraction
from ....dtypes import bool_, int64
from ....kernel import Buffer, Kernel, Store
from ....loops import (
    Expr,
    Index,
    Var,
    as_index,
    cast,
    const,
    delinearize,
    expr,
    floordiv,
    index_value,
    masked,
    mod,
    points,
    postorder,
    substitute_expr,
)
from ..reductions import position_in
from .blocking import choose_run

#: bytes of a copy that are worth being looked after before each run, which takes some microseconds
LEAST_BYTES = 1 << 17


@dataclass(frozen=True)
class Panels:
    """columns, inner: how many points along these axes; lanes: of a vector; run: inner points of a panel."""

    columns: int
    inner: int
    lanes: int
    run: int

    @property
    def vectors(self) -> int:
        return -(-self.columns // self.lanes)

    @property
    def runs(self) -> int:
        return -(-self.inner // self.run)

    @property
    def step(self) -> int:
        """Elements of a run, all its columns: from a run to the next."""
        return self.vectors * self.run * self.lanes

    @property
    def whole(self) -> int:
        """Elements for a point of the batch."""
        return self.runs * self.step

    def place(self, run: Index, vector: Index, inner: Index, lane: Index) -> Index:
        """Where an element lies, counted from its point of the batch."""
        return run * self.step + vector * (self.run * self.lanes) + inner * self.lanes + lane

    def index(self, c: Contraction) -> Index:
        """Where the right operand lies at a point of the contraction's loops."""
        column, inner = position_in(c.columns), position_in(c.inner)
        place = self.place(
            floordiv(inner, self.run), floordiv(column, self.lanes), mod(inner, self.run), mod(column, self.lanes)
        )
        return position_in(c.batch) * self.whole + place


def panels_of(c: Contraction, lanes: int) -> Panels | None:
    """The panels of a contraction's right operand. None where a size is no number."""
    columns, inner = points(c.columns), points(c.inner)
    if not isinstance(columns, int) or not isinstance(inner, int):
        return None
    return Panels(columns, inner, lanes, choose_run(inner))


def in_panels(kernel: Kernel, c: Contraction, lanes: int) -> Contraction | None:
    """The contraction with its axes as they stand in panels, where one of its operands lies in such."""
    sizes = {b.name: b.size for b in kernel.args}
    for one in (c, c.turned):
        panels, e = panels_of(one, lanes), one.right
        if panels is None or e.op != "load" or e.dtype != c.total.dtype or e.attr[0] in kernel.writes:
            continue
        if not one.columns or sizes[e.attr[0]] != panels.whole * points(one.batch):
            continue
        for ordered in _orders(one):
            if panels.index(ordered) == e.attr[1]:
                return ordered
    return None


def _orders(c: Contraction) -> Iterator[Contraction]:
    kinds = (c.batch, c.columns, c.inner)
    for batch, columns, inner in itertools.product(*map(itertools.permutations, kinds)):
        yield replace(c, batch=batch, columns=columns, inner=inner)


def filling(kernel: Kernel, c: Contraction, panels: Panels, name: str) -> Kernel:
    """What fills the panels of a contraction's right operand, its last argument. The others are those of `kernel` that it reads."""
    run, vector, inner, lane = (
        Var(n, extent)
        for n, extent in (
            ("run", panels.runs),
            ("vector", panels.vectors),
            ("inner", panels.run),
            ("lane", panels.lanes),
        )
    )
    column = as_index(vector) * panels.lanes + as_index(lane)
    along = as_index(run) * panels.run + as_index(inner)
    places = (*zip(c.columns, _places(column, c.columns)), *zip(c.inner, _places(along, c.inner)))
    value = cast(substitute_expr(c.right, dict(places)), c.total.dtype)
    zero = const(0.0, value.dtype)
    for at, count, whole in (
        (along, panels.inner, panels.runs * panels.run),
        (column, panels.columns, panels.vectors * panels.lanes),
    ):
        if count != whole:
            value = masked(expr("lt", index_value(at), const(count, int64), dtype=bool_), value, zero)
    place = panels.place(*map(as_index, (run, vector, inner, lane)))
    read = [b for b in kernel.args if b.name in loaded(c.right)]
    target = Buffer("panels", value.dtype, panels.whole * points(c.batch), read[0].device)
    store = Store(target.name, position_in(c.batch) * panels.whole + place, value)
    p = tuple(v for v in (*c.batch, run, vector, inner, lane) if v.extent != 1)
    return Kernel(name, p, (), (store,), (*read, target), origins=kernel.origins)


def _places(position: Index, variables: tuple[Var, ...]) -> tuple[Index, ...]:
    return delinearize(position, tuple(v.extent for v in variables))


def loaded(e: Expr) -> set[str]:
    """The buffers that an expression reads."""
    return {x.attr[0] for x in postorder([e]) if x.op == "load"}
