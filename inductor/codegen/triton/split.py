"""Reductions with few results, cut into enough pieces to fill a GPU.

One program per row leaves most of a GPU idle when there are few rows: a sum over everything would run on one of its 132
processors. Such a kernel becomes several:

    part:    for each row and each chunk of it: the reduction of the chunk   -> a small buffer
    finish:  for each row: the reduction of its chunks, and what is stored once per row
    ... the same again for reductions that need the first ones (softmax: the sum after the maximum) ...
    apply:   for each element: what is stored along the row

The pieces are combined in a fixed order, so results are the same from run to run (atomic addition would not be).
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ...canonical import canonical_form
from ...dtypes import bool_, int64
from ...kernel import Buffer, Kernel, Store, rewrite_stores, substitute_stores
from ...loops import (
    Expr,
    Index,
    Var,
    as_index,
    const,
    expr,
    index_value,
    indirect,
    is_in_order,
    linearize,
    load,
    masked,
    points,
    postorder,
    reduce,
    substitute_expr,
)
from ...loops.reducers import REDUCERS, neutral_element, reducer
from ...lower import ExternCall, StridedBuffer
from ...schedule import Launch, Schedule
from .reading import below
from .strategies import looped
from .strategies.looped import Looped
from .strategies.way import Request
from .tiling import TritonOptions

#: programs that keep a large GPU busy (four on each of 132 processors); a kernel with an eighth of them or less is split
_WANTED_PROGRAMS = 528
#: elements that one program should reduce at least, for a second launch to pay
_LEAST_WORK = 1 << 14


@dataclass(frozen=True)
class Split:
    """Kernels that together do what one did, in order, and the buffers that they hand on."""

    kernels: tuple[Kernel, ...]
    temporary: tuple[Buffer, ...]


def split_reductions(schedule: Schedule) -> Schedule:
    """The schedule with every kernel split that would leave a GPU idle; steps on the CPU stay.

    What to cut is read off loops in canonical form; a schedule without it stays as it is.
    """
    if not schedule.canonical:
        return schedule
    steps: list[Launch | ExternCall] = []
    made: dict[int, Split | None] = {}
    seen: dict[Kernel, Kernel] = {}
    buffers = schedule.lowered.buffers
    for step in schedule.steps:
        if not isinstance(step, Launch) or buffers[step.buffers[0]].device == "cpu":
            steps.append(step)
            continue
        kernel = step.kernel
        if id(kernel) not in made:
            made[id(kernel)] = split(kernel)
        parts = made[id(kernel)]
        if parts is None:
            steps.append(step)
            continue
        names = dict(zip((b.name for b in kernel.args), step.buffers))
        for b in parts.temporary:
            names[b.name] = f"{b.name}_{len(buffers)}"
            device = buffers[step.buffers[0]].device
            buffers[names[b.name]] = StridedBuffer(names[b.name], (b.size,), (1,), b.dtype, device)
        steps += [Launch(seen.setdefault(k, k), tuple(names[b.name] for b in k.args)) for k in parts.kernels]
    return replace(schedule, steps=steps)


def split(kernel: Kernel, pieces: int | None = None) -> Split | None:
    """A canonical kernel in pieces, canonical too, or None where that is not possible or would not pay.

    pieces: chunks per row, if forced
    """
    exprs = postorder([s.value for s in kernel.stores])
    if kernel.symbols or not any(e.op == "reduce" for e in exprs) or any(e.op == "scan" for e in exprs):
        return None
    if any(s.mode != "store" for s in kernel.stores):
        return None
    ordered = any(map(is_in_order, exprs))
    cut = kernel.r[0] if ordered else max(kernel.r, key=lambda v: _extent(v))
    count = pieces or _pieces(kernel)
    count = _good_divisor(_extent(cut), min(count, _extent(cut)))
    if count < 2:
        return None
    made = _Splitter(kernel, cut, count).run()
    return made if _reads_before_it_writes(kernel.reads & kernel.writes, made.kernels) else None


def _reads_before_it_writes(buffers: Iterable[str], kernels: tuple[Kernel, ...]) -> bool:
    """Whether no piece reads what an earlier one has overwritten."""
    for name in buffers:
        overwritten = next(i for i, k in enumerate(kernels) if name in k.writes)
        if any(name in k.reads for k in kernels[overwritten + 1 :]):
            return False
    return True


def _extent(v: Var) -> int:
    assert isinstance(v.extent, int)
    return v.extent


def _pieces(kernel: Kernel) -> int:
    """How many chunks each row should have; 1 when the rows are enough by themselves."""
    way = looped.plan(Request(kernel, TritonOptions()))
    assert isinstance(way, Looped)
    programs = 1
    for a in way.tiling.outer:
        assert isinstance(a.numel, int)
        programs *= -(-a.numel // a.block)
    total = points((*kernel.p, *kernel.r))
    assert isinstance(total, int)
    if programs == 0 or programs * 8 > _WANTED_PROGRAMS:
        return 1
    return min(_WANTED_PROGRAMS // programs, total // programs // _LEAST_WORK)


def _good_divisor(extent: int, wanted: int) -> int:
    """A count near `wanted` that divides the extent if there is one (no chunk needs a mask then)."""
    exact = [n for n in range(max(2, wanted // 2), 2 * wanted + 1) if extent % n == 0]
    return min(exact, key=lambda n: abs(n - wanted), default=wanted) if wanted > 1 else 1


class _Splitter:
    def __init__(self, kernel: Kernel, cut: Var, count: int) -> None:
        self.kernel = kernel
        self.cut = cut
        self.count = count
        self.chunk = -(-_extent(cut) // count)
        self.row = linearize(map(as_index, kernel.p), (v.extent for v in kernel.p))
        rows = points(kernel.p)
        assert isinstance(rows, int)
        self.rows = rows
        self.arrays = {b.name: b for b in kernel.args}
        self.temporary: list[Buffer] = []
        self.kernels: list[Kernel] = []
        #: how many kernels of each sort there are
        self.emitted: collections.Counter[str] = collections.Counter()

    def run(self) -> Split:
        stores = list(self.kernel.stores)
        while reduces := self._next_reductions(stores):
            stores = self._one_depth(stores, reduces)
        if stores:
            self._apply(stores)
        return Split(tuple(self.kernels), tuple(self.temporary))

    def _next_reductions(self, stores: list[Store]) -> list[Expr]:
        """Reductions that need no other one."""
        found = {id(e): e for s in stores for e in below(s.value, s.index) if e.op == "reduce"}
        return [e for e in found.values() if e.args[0].reduce_depth == 0]

    def _buffer(self, stem: str, e_dtype: object, size: int) -> Buffer:
        made = Buffer(f"{stem}{len(self.temporary)}", e_dtype, size, self.kernel.args[0].device)  # type: ignore[arg-type]
        self.temporary.append(made)
        self.arrays[made.name] = made
        return made

    def _one_depth(self, stores: list[Store], reduces: list[Expr]) -> list[Store]:
        """Emit a part and a finish kernel; what is left to store, with these reductions replaced by loads."""
        chunk_var = Var("pc", self.count)
        steps = Var("rs", self.count, True)
        part_stores: list[Store] = []
        finished: dict[int, Expr] = {}
        for e in reduces:
            parts = self._partial(e, chunk_var)
            places = [self._buffer("part", value.dtype, self.rows * self.count) for value in parts]
            at = self.row * self.count + as_index(chunk_var)
            part_stores += [Store(b.name, at, value) for b, value in zip(places, parts)]
            read = [load(b.name, self.row * self.count + as_index(steps), b.dtype) for b in places]
            total = reduce(e.attr, read[0])
            if len(places) == 2:  # the position lies in the chunk that holds the extreme value
                total = load(places[1].name, self.row * self.count + indirect(total), int64)
            finished[id(e)] = total
        self._emit("part", part_stores, (*self.kernel.p, chunk_var), self._chunk_space())
        ready = [s for s in stores if not self._waits(s, reduces)]
        rest = [s for s in stores if self._waits(s, reduces)]
        finish_stores = [self._replaced(s, finished) for s in ready]
        loads: dict[int, Expr] = {}
        used = {id(x) for s in rest for x in below(s.value, s.index)}
        for e in reduces:
            if id(e) in used:
                b = self._buffer("row", e.dtype, self.rows)
                finish_stores.append(Store(b.name, self.row, finished[id(e)]))
                loads[id(e)] = load(b.name, self.row, e.dtype)
        self._emit("finish", finish_stores, self.kernel.p, (steps,))
        return [self._replaced(s, loads) for s in rest]

    def _chunk_space(self) -> tuple[Var, ...]:
        return tuple(replace(v, extent=self.chunk) if v == self.cut else v for v in self.kernel.r)

    def _partial(self, e: Expr, chunk_var: Var) -> list[Expr]:
        """A reduction of one chunk; for a position the value that it has and the position in the whole row."""
        short = replace(self.cut, extent=self.chunk)
        where = as_index(chunk_var) * self.chunk + as_index(short)
        value = substitute_expr(e.args[0], {self.cut: where})
        if self.chunk * self.count != self.cut.extent:
            inside = expr("lt", index_value(where), const(self.cut.extent, int64), dtype=bool_)
            fill = neutral_element(reducer(e.attr, value.dtype), value.dtype)
            value = masked(inside, value, const(fill, value.dtype))
        row = REDUCERS[e.attr]
        parts = [reduce(kind, value) for kind in row.partial or (row.name,)]
        if not row.is_position:
            return parts
        inner = points(v for v in self.kernel.r if v != self.cut)
        start = index_value(as_index(chunk_var) * (self.chunk * inner))
        return [parts[0], expr("add", parts[1], start, dtype=int64)]

    def _waits(self, s: Store, reduces: list[Expr]) -> bool:
        """Whether a store needs more than these reductions, or runs along the row."""
        if s.value.varies_in_r or any(v.is_reduction for v in s.index.vars()):
            return True
        now = {id(e) for e in reduces}
        return any(
            e.op == "reduce" and id(e) not in now and e.args[0].reduce_depth > 0 for e in below(s.value, s.index)
        )

    def _replaced(self, s: Store, values: dict[int, Expr]) -> Store:
        """The store with reductions replaced (by identity: expressions are interned)."""
        originals = {id(e): e for e in below(s.value, s.index) if id(e) in values}
        by_expr = {originals[k]: values[k] for k in originals}
        return rewrite_stores([s], by_expr.get)[0]

    def _apply(self, stores: list[Store]) -> None:
        """What is stored once all reductions are known: along the row, and once per row."""
        along = [s for s in stores if self._waits(s, [])]
        once = [s for s in stores if not self._waits(s, [])]
        if once:
            self._emit("finish", once, self.kernel.p, ())
        if along:
            outer = {v: Var(f"p_{v.name}", v.extent) for v in self.kernel.r}
            values: dict[Var, Index] = {v: as_index(w) for v, w in outer.items()}
            self._emit("apply", substitute_stores(along, values), (*self.kernel.p, *outer.values()), ())

    def _emit(self, what: str, stores: Iterable[Store], p: tuple[Var, ...], r: tuple[Var, ...]) -> None:
        stores = tuple(stores)
        if not stores:
            return
        draft = Kernel("draft", p, r, stores, ())
        touched = draft.reads | draft.writes
        number = self.emitted[what]
        self.emitted[what] += 1
        name = f"{self.kernel.name}_{what}{number or ''}"
        args = tuple(b for b in self.arrays.values() if b.name in touched)
        self.kernels.append(canonical_form(replace(draft, name=name, args=args, origins=self.kernel.origins)))
