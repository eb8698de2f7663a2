"""One reduction shared among threads: r is cut into chunks, a function for each pass leaves partial results in arrays, and the
functions after it read what the chunks add up to.

Chunks depend on sizes alone, so results do not depend on the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

from ....loops import Expr, points
from ....refusal import Refusal
from ....sizes import size_hint
from ..indexing import dim_text
from ..nest import Nest, Pass
from ..reductions import direction, is_position, joiner, know, lane_types, result_type, state_type
from ..sharing import Cut, Sharing, close_tasks, is_shareable, open_tasks
from ..writer import Value, Writer
from . import columns
from .columns import ColumnBlock, Columns
from .rows import declare_states, emit_pass, share_rows
from .way import Array, Function

#: a reduction is split where fewer tasks than this remain, and there is this much to do
_FEW_TASKS = 32
_WORTH_SPLITTING = 1 << 17
_LEAST_RUN = 256
#: elements per task, at least; and how many tasks at most
_CHUNK = 16384
_CHUNKS = 128


@dataclass(frozen=True)
class Split:
    """Passes over chunks of r. sharing: of a pass."""

    nest: Nest
    sharing: Sharing

    @property
    def cut(self) -> Cut:
        assert self.sharing.cut is not None
        return self.sharing.cut

    @property
    def note(self) -> str:
        return f"; {self.cut.var.name} shared among threads"

    def functions(self) -> list[Function]:
        made: list[Function] = []
        earlier: list[Expr] = []
        for one in self.nest.passes:
            lines = self._columns(one, earlier) if self.nest.in_lanes else self._rows(one, earlier)
            made.append(Function(lines, self.sharing.count, tuple(self._combination(e) for e in one.reductions)))
            earlier += one.reductions
        if self.nest.final:
            lines = self._columns(None, earlier) if self.nest.in_lanes else self._rows(None, earlier)
            made.append(Function(lines, self._whole.count))
        return made

    def arrays(self) -> list[Array]:
        made = []
        for e in self.nest.reductions:
            for partial, total, ctype in zip(self._partial(e), self._total(e), lane_types(self.nest, e)):
                made.append(Array(partial, ctype, f"{self._points} * {self.cut.count}"))
                made.append(Array(total, ctype, self._points))
        return made

    @property
    def _whole(self) -> Sharing:
        """Of what runs once per point, behind the passes."""
        return Sharing(self.sharing.tasks, self.sharing.blocked)

    @property
    def _points(self) -> str:
        """How many results a reduction has, as C++."""
        vector = self.nest.vector
        columns = f" * {dim_text(vector.extent)}" if self.nest.in_lanes and vector is not None else ""
        return dim_text(points(self.sharing.tasks)) + columns

    def _partial(self, e: Expr) -> list[str]:
        """The names of the arrays with all chunks' results of a reduction: values, and positions if it has them."""
        stem = f"partial{self.nest.reductions.index(e)}"
        return [stem, f"{stem}_at"][: len(lane_types(self.nest, e))]

    def _total(self, e: Expr) -> list[str]:
        """The names of the arrays with the finished reduction, one element per point of p."""
        stem = f"total{self.nest.reductions.index(e)}"
        return [stem, f"{stem}_at"][: len(lane_types(self.nest, e))]

    def _rows(self, one: Pass | None, earlier: list[Expr]) -> list[str]:
        """A pass over a chunk of a row, or the final stores of a row."""
        sharing = self._whole if one is None else self.sharing
        w = Writer(self.nest)
        opened = open_tasks(w, sharing)
        for e in earlier:
            ctype = result_type(self.nest, e)
            name = w.fresh()
            w.line(f"{ctype} {name} = {self._total(e)[-1]}[{sharing.point}]{' != 0' if ctype == 'bool' else ''};")
            know(w, e, Value(name, ctype, False, w.level, is_name=True))
        if one is None:
            w.stores(self.nest.final)
        else:
            states = declare_states(w, one, self.cut)
            emit_pass(w, one, states, cut=self.cut)
            for state, e in zip(states, one.reductions):
                left = [f"{name}[task]" for name in self._partial(e)]
                w.line(f"{state}.fold({', '.join(left)});" if len(left) == 2 else f"{left[0]} = {state}.value();")
        close_tasks(w, opened)
        return w.blocks[0].lines

    def _columns(self, one: Pass | None, earlier: list[Expr]) -> list[str]:
        """A pass over a chunk of rows, or the final stores of all columns."""
        sharing = self._whole if one is None else self.sharing
        w = Writer(self.nest)
        opened = open_tasks(w, sharing)
        block = ColumnBlock(w, sharing, opened)
        for e in earlier:
            row = f"({sharing.point}) * {block.width}"
            block.arrays[e] = self._place(w, e, "const ", self._total(e), row)
        if one is None:
            block.emit_final()
        else:
            for e in one.reductions:
                block.arrays[e] = self._place(w, e, "", self._partial(e), f"task * {block.width}")
                block.clear(e)
            block.emit_rows(one, self.cut)
        close_tasks(w, opened)
        return w.blocks[0].lines

    def _place(self, w: Writer, e: Expr, const: str, arrays: list[str], offset: str) -> list[str]:
        """Name a reduction's part of some arrays."""
        names = []
        for ctype, array in zip(lane_types(self.nest, e), arrays):
            names.append(w.fresh("acc"))
            w.line(f"{const}{ctype}* {names[-1]} = {array} + {offset};")
        return names

    def _combination(self, e: Expr) -> str:
        """A statement that makes a reduction's total of its partial results."""
        arrays = ", ".join((*self._partial(e), *self._total(e)))
        counts = f"{dim_text(points(self.sharing.tasks))}, {self.cut.count}"
        vector = self.nest.vector
        if self.nest.in_lanes and vector is not None:
            kind = state_type(Writer(self.nest), e)
            return f"combine_columns<{kind}>({arrays}, {counts}, {dim_text(vector.extent)});"
        if is_position(e):
            return f"combine_positions<{direction(e)}>({arrays}, {counts});"
        return f"combine_rows<{joiner(e)}>({arrays}, {counts});"


def plan(nest: Nest) -> Split | Refusal:
    """For long reductions whose points of p alone are too few tasks."""
    kernel, vector = nest.kernel, nest.vector
    if not nest.reductions:
        return Refusal("no-reduction", "heuristic")
    if nest.has_scan or not all(is_shareable(kernel, v) for v in kernel.p):
        return Refusal("order-matters", "legality", "a scatter or a prefix")
    base = columns.plan(nest)
    in_columns = isinstance(base, Columns)
    sharing = base.sharing if isinstance(base, Columns) else share_rows(nest)
    runs, count = size_hint(points(kernel.r)), sharing.size()
    work = size_hint(points((*kernel.p, *kernel.r)))
    if nest.in_lanes and vector is not None:
        if not in_columns or size_hint(vector.extent) > 2 * columns.BLOCK or not isinstance(vector.extent, int):
            return Refusal(
                "no-block-of-columns", "heuristic", "partial results of all columns should stay in the cache"
            )
    if count >= _FEW_TASKS:
        return Refusal("enough-tasks", "heuristic", f"{count} by the points of p")
    if work < _WORTH_SPLITTING or runs < _LEAST_RUN:
        return Refusal("little-work", "heuristic", f"{work} points, {runs} in a row")
    widest = max(kernel.r, key=lambda v: size_hint(v.extent))
    long = max(size_hint(widest.extent), 1)
    per_step = work // (max(long * count, 1)) if in_columns else runs // long
    least = 4 * _CHUNK if in_columns else _CHUNK
    most = -(-long // _CHUNKS) if isinstance(widest.extent, int) else 1
    length = max(-(-least // max(per_step, 1)), most)
    grain = 4 * nest.lanes if widest == vector else columns.ROWS
    tasks = tuple(v for v in kernel.p if v != vector)
    return Split(nest, Sharing(tasks, vector, cut=Cut(widest, -(-length // grain) * grain)))
