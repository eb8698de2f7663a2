"""Exprs over many rows with the lanes along p: running values of a block of columns lie in an array, and memory is walked
row by row, a few rows at a time, so that it streams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ....loops import Expr, points
from ....refusal import Refusal
from ....sizes import size_hint
from ..indexing import dim_text
from ..nest import Nest, Pass
from ..reductions import accumulate, declare, is_float_sum, know, lane_types, result_type, state_type
from ..sharing import Cut, Range, Sharing, close_tasks, is_shareable, open_tasks, shared_variables
from ..writer import Value, Writer
from .rows import declare_states, open_r, r_range
from .way import Array, Function

#: elements of a block: its running reductions stay in the first-level cache
BLOCK = 1024
#: fewer points of r than this are reduced in registers alone
_FEW_ROWS = 16
#: rows added up in registers before the arrays are touched
ROWS = 8
#: rows of floats summed one after the other before they go to an outer total: bounds the rounding error
_RUN = 32 * ROWS


@dataclass(frozen=True)
class Columns:
    """Blocks of columns."""

    nest: Nest
    sharing: Sharing
    note: str = ""

    def functions(self) -> list[Function]:
        w = Writer(self.nest)
        opened = open_tasks(w, self.sharing)
        block = ColumnBlock(w, self.sharing, opened)
        for one in self.nest.passes:
            for e in one.reductions:
                block.arrays[e] = block.on_stack(e)
                block.clear(e)
            block.emit_rows(one)
        block.emit_final()
        close_tasks(w, opened)
        return [Function(w.blocks[0].lines, self.sharing.count)]

    def arrays(self) -> list[Array]:
        return []


def plan(nest: Nest) -> Columns | Refusal:
    """For reductions of many rows, lanes along p."""
    kernel, vector, N = nest.kernel, nest.vector, nest.lanes
    if vector is None or vector.is_reduction:
        return Refusal("lanes-not-along-p", "heuristic")
    if not nest.reductions:
        return Refusal("no-reduction", "heuristic")
    if size_hint(points(kernel.r)) <= _FEW_ROWS:
        return Refusal("few-rows", "heuristic", "they are reduced in registers alone")
    if nest.has_scan:
        return Refusal("scan", "legality", "prefixes run along every row")
    block = 0
    if is_shareable(kernel, vector):
        block = max(BLOCK // N, 1) * N
        if isinstance(vector.extent, int):
            even = -(-vector.extent // max(1, round(vector.extent / block)))  # blocks of equal length
            block = max(min(-(-even // N) * N, 2 * BLOCK), N)
    return Columns(nest, Sharing(shared_variables(kernel, vector), vector, block))


@dataclass
class ColumnBlock:
    """The block of columns of a task, while its code is written. arrays: of running or finished reductions."""

    w: Writer
    sharing: Sharing
    range: Range
    arrays: dict[Expr, list[str]]

    def __init__(self, w: Writer, sharing: Sharing, opened: Range) -> None:
        self.w, self.sharing, self.range, self.arrays = w, sharing, opened, {}

    @property
    def width(self) -> str:
        """Elements of one array: a block, or all columns."""
        v = self.w.nest.vector
        assert v is not None
        return dim_text(self.sharing.block or v.extent)

    def on_stack(self, e: Expr) -> list[str]:
        """Declare a reduction's arrays."""
        names = []
        for ctype in lane_types(self.w.nest, e):
            names.append(self.w.fresh("acc"))
            self.w.line(f"alignas(64) {ctype} {names[-1]}[{self.width}];")
        return names

    def clear(self, e: Expr) -> None:
        """Begin with the neutral element in every column."""
        v, low = self.w.nest.vector, self.range.low
        assert v is not None
        self._open_lanes()
        at = ", ".join(f"{name} + ({v.name} - {low})" for name in self.arrays[e])
        self.w.line(f"{state_type(self.w, e)}().save({at}, n);")
        self.w.close_lanes()

    def emit_rows(self, one: Pass, cut: Cut | None = None) -> None:
        """For a few rows at a time: every vector of the block takes them in before the next rows are touched.

        Float sums over many rows run in arrays of their own, added to the totals now and then.
        """
        w = self.w
        *outer, last = w.nest.kernel.r
        for v in outer:
            open_r(w, v, cut)
        start, stop = r_range(last, cut)
        length = cut.length if cut is not None and last == cut.var else last.extent
        long = not isinstance(length, int) or length > 2 * _RUN
        runs = [e for e in one.reductions if long and is_float_sum(e)]
        totals = {e: self.arrays[e] for e in runs}
        if runs:
            w.open(f"for (i64 run = {start}; run < {stop}; run += {_RUN}) {{")
            start, stop = "run", f"min<i64>(run + {_RUN}, {stop})"
            for e in runs:
                self.arrays[e] = self.on_stack(e)
                self.clear(e)
        w.open(f"for (i64 rows = {start}; rows < {stop}; rows += {ROWS}) {{")
        w.line(f"const i64 rows_end = min<i64>(rows + {ROWS}, {stop});")
        self._open_lanes()
        self._read_arrays(skip=one.reductions)
        states = declare_states(w, one, cut)
        for state, e in zip(states, one.reductions):
            w.line(f"{state}.resume({self._at(e)}, n);")
        w.open(f"for (i64 {last.name} = rows; {last.name} < rows_end; ++{last.name}) {{", last)
        accumulate(w, states, one.reductions, one.stores)
        w.close()
        for state, e in zip(states, one.reductions):
            w.line(f"{state}.save({self._at(e)}, n);")
        w.close_lanes()
        w.close()
        if runs:
            self._absorb(runs, totals)
            w.close()
        for _ in outer:
            w.close()

    def _absorb(self, runs: Sequence[Expr], totals: Mapping[Expr, list[str]]) -> None:
        """Add what a run of rows summed to the totals, which take its place."""
        w = self.w
        self._open_lanes()
        for e in runs:
            state, run = declare(w, e), self._at(e)
            self.arrays[e] = totals[e]
            w.line(f"{state}.resume({run}, n);")
            w.line(f"{state}.absorb({self._at(e)}, n);")
            w.line(f"{state}.save({self._at(e)}, n);")
        w.close_lanes()

    def emit_final(self) -> None:
        """The stores of the finished columns."""
        if self.w.nest.final:
            self._open_lanes()
            self._read_arrays()
            self.w.stores(self.w.nest.final)
            self.w.close_lanes()

    def _open_lanes(self) -> None:
        self.w.open_lanes(self.range.low, self.range.high)

    def _at(self, e: Expr) -> str:
        return ", ".join(self._places(e))

    def _places(self, e: Expr) -> list[str]:
        """Where the lanes at hand lie in a reduction's arrays."""
        v, low = self.w.nest.vector, self.range.low
        assert v is not None
        offset = v.name if low == "0" else f"({v.name} - {low})"
        return [f"{name} + {offset}" for name in self.arrays[e]]

    def _read_arrays(self, skip: tuple[Expr, ...] = ()) -> None:
        """Make finished reductions known to the lanes at hand."""
        w = self.w
        for e in self.arrays:
            if e in skip:
                continue
            ctype = result_type(w.nest, e)
            name = w.fresh()
            kind = w.type_name(ctype, True)
            w.line(f"{kind} {name} = load_raw<{kind}>({self._places(e)[-1]}, n);")
            know(w, e, Value(name, ctype, True, w.level, is_name=True))
