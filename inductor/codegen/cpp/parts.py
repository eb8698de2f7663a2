"""The body of one C++ function: the loop over tasks, the points of p inside it, and the passes over r of each point.

Reductions run in one of three ways:

    lanes along r   one row at a time: vector accumulators, folded at the row's end
    lanes along p   each lane its own point: r is a loop around vectors (few rows of r)
    scratch         lanes along p, many rows: running values of a block of columns lie in an array, and memory is walked
                    row by row, a few rows at a time, so that it streams

Where one reduction is split among threads, a part does one pass for one chunk of r, and leaves partial results in arrays
that the parts after it add up.
"""

from __future__ import annotations

from ...graph import Dim
from ...kernel import Store
from ...loops import Expr, Index, Var, as_index, points, postorder
from ...loops.reducers import REDUCERS, reducer
from .cost import accumulator_types, called_functions
from .emit import HEAVY, reducer_name
from .expressions import Value, Writer, c_name, storage_type, value_type
from .indexing import dim_text
from .plan import ROWS, Pass, Plan, Reduction, tiled_loads

#: vectors of floats summed one after the other before they go to an outer total: bounds the rounding error
_RUN = 512
#: the same where rows are added to a block of columns
_RUN_ROWS = 32 * ROWS
#: rows up to this long are kept between passes, if a value costs this much (in units of `HEAVY`)
_KEEP = 16384
_COSTLY = 25


class Part:
    """Emits the loops of some passes and final stores. earlier: reductions that parts before this one left as partial results."""

    def __init__(
        self, plan: Plan, passes: tuple[Pass, ...], final: tuple[Store, ...], earlier: list[Reduction]
    ) -> None:
        self.plan, self.passes, self.final, self.earlier = plan, passes, final, earlier
        self.kernel = plan.kernel
        dtypes = {b.name: b.dtype for b in self.kernel.args}
        self.writer = Writer(dtypes, self.kernel.writes, plan.vector, plan.lanes, plan.vector_bytes)
        self.writer.apart = called_functions(self.kernel.stores)
        self.writer.overwrites = not self.kernel.reads.isdisjoint(self.kernel.writes)
        self.writer.may_hoist_loads = all(v.extent != 0 for v in self.kernel.r)
        self.direct = {s.value for s in self.kernel.stores}
        self.chunked = plan.split is not None and any(passes)
        #: arrays with running or finished reductions of a block of columns
        self.arrays: dict[Reduction, list[str]] = {}

    def body(self) -> list[str]:
        """The function's lines."""
        self._tasks()
        return self.writer.blocks[0].lines

    # ----------------------------------------------------------------- tasks

    def task_count(self) -> str:
        """How many tasks there are, as C++."""
        count = dim_text(points(self.plan.tasks))
        if self.plan.block:
            count = f"{count} * {self._blocks()}" if self.plan.tasks else self._blocks()
        return f"{count} * {self.chunks()}" if self.chunked else count

    def _blocks(self) -> str:
        """How many blocks the vector variable is cut into."""
        assert self.plan.blocked is not None
        return _pieces(self.plan.blocked.extent, self.plan.block)

    def chunks(self) -> str:
        """How many chunks the split variable is cut into."""
        assert self.plan.split is not None
        return _pieces(self.plan.split.extent, self.plan.chunk)

    def _tasks(self) -> None:
        """The loop over tasks, and inside it the p variables that tasks do not share."""
        w, plan = self.writer, self.plan
        low, high = "0", dim_text(plan.blocked.extent) if plan.blocked is not None else "0"
        left = [v for v in self.kernel.p if v not in plan.tasks and v not in (plan.vector, plan.tile)]
        opened = 0
        if not plan.tasks and not self.chunked:
            if plan.block and not plan.scratch and plan.tile is None:
                low, high = self._range("low", "high", f"begin * {plan.block}", f"end * {plan.block}", plan.blocked)
            elif plan.block:
                w.open("for (i64 task = begin; task < end; ++task) {")
                low, high = self._range("low", "high", f"task * {plan.block}", f"low + {plan.block}", plan.blocked)
                opened = 1
        elif len(plan.tasks) == 1 and not plan.block and not self.chunked:
            v = plan.tasks[0]
            w.open(f"for (i64 {v.name} = begin; {v.name} < end; ++{v.name}) {{", v)
            opened = 1
        else:
            w.open("for (i64 task = begin; task < end; ++task) {", *plan.tasks)
            low, high = self._decode(low, high)
            opened = 1
        for v in left:
            w.open(f"for (i64 {v.name} = 0; {v.name} < {dim_text(v.extent)}; ++{v.name}) {{", v)
            opened += 1
        self._points(low, high)
        for _ in range(opened):
            w.close()

    def _decode(self, low: str, high: str) -> tuple[str, str]:
        """A task's number taken apart: the chunk of r, the block of the vector variable, the p variables."""
        w, plan = self.writer, self.plan
        rest = "task"
        if self.chunked:
            start = f"{rest} % {self.chunks()} * {plan.chunk}"
            self._range("from", "to", start, f"from + {plan.chunk}", plan.split)
            rest = f"task / {self.chunks()}"
        if plan.block:
            low, high = self._range(
                "low", "high", f"{rest} % {self._blocks()} * {plan.block}", f"low + {plan.block}", plan.blocked
            )
            rest = f"{rest} / {self._blocks()}"
        for v in reversed(plan.tasks[1:]):
            w.line(f"const i64 {v.name} = {rest} % {dim_text(v.extent)};")
            rest = f"{rest} / {dim_text(v.extent)}"
        if plan.tasks:
            w.line(f"const i64 {plan.tasks[0].name} = {rest};")
        return low, high

    def _range(self, low: str, high: str, start: str, stop: str, v: Var | None) -> tuple[str, str]:
        """Name the ends of a piece of `v`."""
        assert v is not None
        self.writer.line(f"const i64 {low} = {start}, {high} = min<i64>({stop}, {dim_text(v.extent)});")
        return low, high

    # ----------------------------------------------------------------- points

    def _points(self, low: str, high: str) -> None:
        """What happens for one point of p, for N of them in lanes, or for a block of columns."""
        plan, w = self.plan, self.writer
        if plan.in_lanes and plan.scratch:
            return self._columns(low, high)
        if plan.tile is not None:
            return self._tiles(plan.tile, low, high)
        if plan.in_lanes:
            self._open_lanes(low, high, 1, "auto")
        for x in self.earlier:
            self._fetch(x)
        kept = self._kept_rows()
        for e in kept:
            w.line(f"alignas(64) {value_type(e, True)} {kept[e][1]}[{points(self.kernel.r)}];")
        for number, one in enumerate(self.passes):
            self._pass(one, {e: row for e, (first, row) in kept.items() if first == number})
        w.stores(self.final)
        if plan.in_lanes:
            w.close("});")

    def _tiles(self, u: Var, low: str, high: str) -> None:
        """Pointwise over lanes and rows of `u`, N rows at a time: what is contiguous along `u` is turned around first."""
        w, plan, N = self.writer, self.plan, self.plan.lanes
        assert plan.vector is not None
        self._open_lanes("0", dim_text(plan.vector.extent), 1, "auto")
        w.open(f"for (i64 tile = {low}; tile < {high}; tile += {N}) {{", u)
        w.line(f"const int rows = (int)min<i64>({N}, {high} - tile);")
        w.names[u] = "tile"
        for e in tiled_loads(self.kernel, plan.vector, u):
            ctype = value_type(e, True)
            element = self.mask_lane() if ctype == "bool" else ctype
            name, kind = w.fresh("tile"), w.type_name(ctype, True)
            text, _ = w.index(e.attr[1])
            w.line(f"alignas(64) {element} {name}[{N * N}];")
            stride = dim_text(e.attr[1].coefficient(plan.vector))
            w.line(f"load_turned<{kind}>({name}, {c_name(e.attr[0])} + ({text}), {stride}, n, rows);")
            w.tiles[e] = f"{name} + ({u.name} - tile) * {N}"
        del w.names[u]
        w.open(f"for (i64 {u.name} = tile; {u.name} < tile + rows; ++{u.name}) {{", u)
        w.stores(self.final)
        w.close()
        w.close()
        w.close("});")

    def _open_lanes(self, low: str, high: str, unroll: int, copy: str) -> None:
        v, N = self.plan.vector, self.plan.lanes
        assert v is not None
        exact = isinstance(v.extent, int) and v.extent % N == 0
        flags = f"{N}, {unroll}, {'true' if exact else 'false'}"
        self.writer.open(f"vector_loop<{flags}>({low}, {high}, [&](i64 {v.name}, auto n, {copy}) INLINE_BODY {{", v)

    def _kept_rows(self) -> dict[Expr, tuple[int, str]]:
        """Costly values that several passes need: expression -> (the pass that computes it, the array that keeps a row of it).

        The row stays in the cache, so reading it again is cheaper than another exponential.
        """
        row = points(self.kernel.r)
        if not self.plan.along_r or len(self.passes) < 2 or not isinstance(row, int) or row > _KEEP:
            return {}
        kept: dict[Expr, tuple[int, str]] = {}
        needed = [_needed(one, under_masks=False) for one in self.passes]
        for number, one in enumerate(self.passes[1:], 1):
            stack, seen = _roots(one), set()
            while stack:
                e = stack.pop()
                if e in seen or e.op == "reduce" or not e.varies_in_r:
                    continue
                seen.add(e)
                first = next((i for i in range(number) if e in needed[i]), number)
                if e in kept or (first < number and e.dtype.is_float and _own_cost(e) >= _COSTLY):
                    kept.setdefault(e, (first, self.writer.fresh("row")))
                    continue
                stack.extend(e.args if e.op != "masked" else (e.args[0], e.args[2]))
        return kept

    def _pass(self, one: Pass, keep: dict[Expr, str] | None = None) -> None:
        """One run over r, then the results of its reductions. keep: values to write into arrays for the passes that follow."""
        w, plan = self.writer, self.plan
        unroll = self._unroll(one)
        states = [self._declare(x[0], unroll) for x in one.reductions]
        for scan in _scans(one):
            self._declare_scan(scan)
        inner = plan.vector if plan.along_r else None
        scalar = [v for v in self.kernel.r if v != inner]
        for v in scalar:
            self._open_r(v)
        runs = self._open_row(one, unroll) if inner is not None else False
        self._visit(one, states)
        for e, row in (keep or {}).items():
            position, _ = w.index(_position(self.kernel.r))
            w.line(f"store({row} + ({position}), {w.as_vector(w.value(e))}, n);")
            w.rows[e] = (row, _position(self.kernel.r))
        if inner is not None:
            w.close("});")
        if runs:
            for state, (e, _) in zip(states, one.reductions):
                if not REDUCERS[e.attr].exact:
                    w.line(f"{state}.flush();")
            w.close()
        for _ in scalar:
            w.close()
        for state, x in zip(states, one.reductions):
            if self.chunked:
                self._leave(state, x)
            else:
                self._result(state, x)

    def _open_r(self, v: Var) -> None:
        low, high = self._r_range(v)
        self.writer.open(f"for (i64 {v.name} = {low}; {v.name} < {high}; ++{v.name}) {{", v)

    def _r_range(self, v: Var) -> tuple[str, str]:
        return ("from", "to") if self.chunked and v == self.plan.split else ("0", dim_text(v.extent))

    def _open_row(self, one: Pass, unroll: int) -> bool:
        """Open the loop of lanes along r; a long run with float sums is cut into runs of bounded length."""
        v = self.plan.vector
        assert v is not None
        sums = any(_is_float_sum(e) for e, _ in one.reductions)
        length = self.plan.chunk if self.chunked and v == self.plan.split else v.extent
        run = _RUN * self.plan.lanes
        long = sums and (not isinstance(length, int) or length > 2 * run)
        low, high = self._r_range(v)
        copy = "auto k" if one.reductions else "auto"
        if not long:
            self._open_lanes(low, high, unroll, copy)
            return False
        self.writer.open(f"for (i64 run = {low}; run < {high}; run += {run}) {{")
        self._open_lanes("run", f"min<i64>(run + {run}, {high})", unroll, copy)
        return True

    def _unroll(self, one: Pass) -> int:
        """Independent accumulators hide the latency of additions; costly bodies hide it by themselves."""
        if not self.plan.along_r or not one.reductions or _scans(one):
            return 1
        if any(REDUCERS[e.attr].is_position for e, _ in one.reductions):
            return 1
        exprs = postorder(
            [e.args[0] for e, _ in one.reductions] + [s.value for s in one.stores], through_indirect=False
        )
        cost = sum(1 + HEAVY.get(e.op, 0) / 5 for e in exprs if e.op not in ("const", "reduce"))
        return 4 if cost <= 8 else 2 if cost <= 16 else 1

    def _visit(self, one: Pass, states: list[str]) -> None:
        """What happens at one point of r."""
        for state, (e, mask) in zip(states, one.reductions):
            self._accumulate(state, e, mask)
        self.writer.stores(one.stores)

    # ----------------------------------------------------------------- a block of columns

    def _columns(self, low: str, high: str) -> None:
        """Passes over r with running values in arrays, rows outermost; then the stores of the finished columns."""
        w = self.writer
        for x in self.earlier:
            self._finished_arrays(x)
        for one in self.passes:
            for x in one.reductions:
                self._arrays(x)
                self._clear(x, low, high)
            self._rows(one, low, high)
        if self.final:
            self._open_lanes(low, high, 1, "auto")
            self._read_arrays()
            w.stores(self.final)
            w.close("});")

    def _width(self) -> Dim:
        """Elements of one array: a block, or all columns."""
        v = self.plan.vector
        assert v is not None
        return self.plan.block or v.extent

    def _arrays(self, x: Reduction) -> None:
        """Declare a reduction's arrays: on the stack, or its place among the partial results of all chunks."""
        w = self.writer
        names = []
        for i, t in enumerate(self.lane_types(x[0])):
            name = w.fresh("acc")
            if self.chunked and any(x in one.reductions for one in self.passes):
                w.line(f"{t}* {name} = {self.partial(x, i)} + task * {dim_text(self._width())};")
            else:
                w.line(f"alignas(64) {t} {name}[{dim_text(self._width())}];")
            names.append(name)
        self.arrays[x] = names

    def _clear(self, x: Reduction, low: str, high: str) -> None:
        kind, names = self._state_type(x[0], 1), self.arrays[x]
        self._open_lanes(low, high, 1, "auto")
        assert self.plan.vector is not None
        at = ", ".join(f"{name} + ({self.plan.vector.name} - {low})" for name in names)
        self.writer.line(f"{kind}().save({at}, n);")
        self.writer.close("});")

    def _rows(self, one: Pass, low: str, high: str) -> None:
        """For a few rows at a time: every vector of the block takes them in before the next rows are touched.

        Float sums over many rows run in arrays of their own, added to the totals now and then.
        """
        w = self.writer
        *outer, last = self.kernel.r
        for v in outer:
            self._open_r(v)
        start, stop = self._r_range(last)
        length = self.plan.chunk if self.chunked and last == self.plan.split else last.extent
        long = not isinstance(length, int) or length > 2 * _RUN_ROWS
        runs = [x for x in one.reductions if long and _is_float_sum(x[0])]
        totals = {x: self.arrays[x] for x in runs}
        if runs:
            w.open(f"for (i64 run = {start}; run < {stop}; run += {_RUN_ROWS}) {{")
            start, stop = "run", f"min<i64>(run + {_RUN_ROWS}, {stop})"
            for x in runs:
                self.arrays[x] = [w.fresh("acc")]
                w.line(f"alignas(64) {self.lane_types(x[0])[0]} {self.arrays[x][0]}[{dim_text(self._width())}];")
                self._clear(x, low, high)
        w.open(f"for (i64 rows = {start}; rows < {stop}; rows += {ROWS}) {{")
        w.line(f"const i64 rows_end = min<i64>(rows + {ROWS}, {stop});")
        self._open_lanes(low, high, 1, "auto")
        self._read_arrays(skip=one.reductions)
        states = [self._declare(x[0], 1) for x in one.reductions]
        for state, x in zip(states, one.reductions):
            w.line(f"{state}.resume({self._at(x, low)}, n);")
        w.open(f"for (i64 {last.name} = rows; {last.name} < rows_end; ++{last.name}) {{", last)
        self._visit(one, states)
        w.close()
        for state, x in zip(states, one.reductions):
            w.line(f"{state}.save({self._at(x, low)}, n);")
        w.close("});")
        w.close()
        if runs:
            self._open_lanes(low, high, 1, "auto")
            for x in runs:
                state, run = self._declare(x[0], 1), self._at(x, low)
                self.arrays[x] = totals[x]
                w.line(f"{state}.resume({run}, n);")
                w.line(f"{state}.absorb({self._at(x, low)}, n);")
                w.line(f"{state}.save({self._at(x, low)}, n);")
            w.close("});")
            w.close()
        for _ in outer:
            w.close()

    def _at(self, x: Reduction, low: str) -> str:
        assert self.plan.vector is not None
        offset = self.plan.vector.name if low == "0" else f"({self.plan.vector.name} - {low})"
        return ", ".join(f"{name} + {offset}" for name in self.arrays[x])

    def _read_arrays(self, skip: tuple[Reduction, ...] = ()) -> None:
        """Make finished reductions known to the lanes at hand."""
        low = "low" if self.plan.block else "0"
        for x in self.arrays:
            if x in skip:
                continue
            ctype = self._result_type(x[0])
            name = self.writer.fresh()
            kind = self.writer.type_name(ctype, True)
            self.writer.line(f"{kind} {name} = load_raw<{kind}>({self._at(x, low).split(', ')[-1]}, n);")
            self._know(x, Value(name, ctype, True, self.writer.level))

    # ----------------------------------------------------------------- partial results of a split reduction

    def partial(self, x: Reduction, i: int) -> str:
        """The name of the array with all chunks' results of a reduction (i: 1 for positions)."""
        order = self.earlier + [r for one in self.passes for r in one.reductions]
        return f"partial{order.index(x)}{'_at' if i else ''}"

    def _leave(self, state: str, x: Reduction) -> None:
        """Write a row's partial result."""
        if len(self.lane_types(x[0])) == 2:
            self.writer.line(f"{state}.fold({self.partial(x, 0)}[task], {self.partial(x, 1)}[task]);")
        else:
            self.writer.line(f"{self.partial(x, 0)}[task] = {state}.value();")

    def total(self, x: Reduction, i: int) -> str:
        """The name of the array with the finished reduction, one element per point of p."""
        return self.partial(x, i).replace("partial", "total")

    def combination(self, x: Reduction) -> str:
        """A statement that makes a reduction's total of its partial results."""
        arrays = [name(x, i) for name in (self.partial, self.total) for i in range(len(self.lane_types(x[0])))]
        rows = dim_text(points(self.plan.tasks))
        if self.plan.in_lanes:
            assert self.plan.vector is not None
            width = dim_text(self.plan.vector.extent)
            return (
                f"combine_columns<{self._state_type(x[0], 1)}>({', '.join(arrays)}, {rows}, {self.chunks()}, {width});"
            )
        if len(arrays) == 4:
            return f"combine_positions<{_direction(x[0])}>({', '.join(arrays)}, {rows}, {self.chunks()});"
        return f"combine_rows<{_reducer(x[0])}>({', '.join(arrays)}, {rows}, {self.chunks()});"

    def _row(self) -> str:
        """The number of the point (or row of columns) of p at hand."""
        return f"task / {self.chunks()}" if self.chunked else _linear(self.plan.tasks)

    def _fetch(self, x: Reduction) -> None:
        """Read a row's finished reduction."""
        e = x[0]
        ctype = self._result_type(e)
        name = self.writer.fresh()
        last = self.total(x, len(self.lane_types(e)) - 1)
        self.writer.line(f"{ctype} {name} = {last}[{self._row()}]{' != 0' if ctype == 'bool' else ''};")
        self._know(x, Value(name, ctype, False, self.writer.level))

    def _finished_arrays(self, x: Reduction) -> None:
        """Name the arrays of a finished reduction over columns."""
        w = self.writer
        names = []
        for i, t in enumerate(self.lane_types(x[0])):
            name = w.fresh("acc")
            w.line(f"const {t}* {name} = {self.total(x, i)} + ({self._row()}) * {dim_text(self._width())};")
            names.append(name)
        self.arrays[x] = names

    # ----------------------------------------------------------------- reductions

    def _types(self, e: Expr) -> tuple[str, ...]:
        return accumulator_types(self.kernel, e, self.plan.vector, e in self.direct)

    def lane_types(self, e: Expr) -> list[str]:
        """C++ types of one lane of a reduction's state, as it lies in arrays."""
        types = self._types(e)
        if not self.plan.in_lanes and self.plan.vector is not None and len(types) == 2:
            types = (types[0], "i64")
        return [self.mask_lane() if t == "bool" else t for t in types]

    def mask_lane(self) -> str:
        """The type of one lane of a mask (bool in scalar code)."""
        return "bool" if self.plan.vector is None else f"i{8 * self.plan.vector_bytes // self.plan.lanes}"

    def _state_type(self, e: Expr, unroll: int) -> str:
        names = [self.writer.type_name(t, self.plan.vector is not None) for t in self._types(e)]
        if REDUCERS[e.attr].is_position:
            return f"ArgAccumulator<{_direction(e)}, {', '.join(names)}>"
        return f"Accumulator<{_reducer(e)}, {names[0]}, {unroll}>"

    def _declare(self, e: Expr, unroll: int) -> str:
        state = self.writer.fresh("a")
        start = ""
        if REDUCERS[e.attr].is_position and self.chunked:
            start = f"({_linear_from(self.kernel.r, self.plan.split)})"
        self.writer.line(f"{self._state_type(e, unroll)} {state}{start};")
        return state

    def _accumulate(self, state: str, e: Expr, mask: Expr | None) -> None:
        w, plan = self.writer, self.plan
        types = self._types(e)
        value = w.as_type(w.value(e.args[0], mask), types[0])
        text = w.as_vector(value) if plan.vector is not None else value.text
        active = "n" if plan.along_r else "full"
        if not REDUCERS[e.attr].is_position:
            w.line(f"{state}.add({text}, {active}, {'k' if plan.along_r else 'Int<0>{}'});")
            return
        position, _ = w.index(_position(self.kernel.r))
        if plan.vector is not None:
            kind = w.type_name(types[1], True)
            position = f"count<{kind}>({position})" if plan.along_r else f"splat<{kind}>({position})"
        w.line(f"{state}.add({text}, {position}, {active});")

    def _result_type(self, e: Expr) -> str:
        """The element type in which a finished reduction is known."""
        types = self._types(e)
        if self.plan.in_lanes:
            return types[-1]
        if REDUCERS[e.attr].is_position or (types[0] == "i32" and e.dtype.name == "int64"):
            return "i64"
        return types[0]

    def _result(self, state: str, x: Reduction) -> None:
        """Name a finished reduction in the block around its loops."""
        w, e = self.writer, x[0]
        ctype, lanes = self._result_type(e), self.plan.in_lanes
        position = REDUCERS[e.attr].is_position
        part = (".at" if position else ".all()") if lanes else ".truth()" if ctype == "bool" else ".value()"
        name = w.fresh()
        w.line(f"{w.type_name(ctype, lanes)} {name} = {state}{part};")
        self._know(x, Value(name, ctype, lanes, w.level))

    def _know(self, x: Reduction, value: Value) -> None:
        e, mask = x
        self.writer.blocks[value.level].values[e, mask if self.writer.has_loads(e) else None] = value

    # ----------------------------------------------------------------- scans

    def _declare_scan(self, e: Expr) -> None:
        w, plan = self.writer, self.plan
        state = w.fresh("a")
        kind = "Scan" if plan.along_r else "ScanAcross"
        w.line(f"{kind}<{_reducer(e)}, {w.type_name(storage_type(e.dtype), plan.vector is not None)}> {state};")
        w.scans[e] = (state, plan.along_r)


def _is_float_sum(e: Expr) -> bool:
    return e.dtype.is_float and not REDUCERS[e.attr].exact


def _reducer(e: Expr) -> str:
    return reducer_name(reducer(e.attr, e.dtype))


def _direction(e: Expr) -> int:
    """1 where a position of the largest value is looked for, -1 for the smallest."""
    return 1 if REDUCERS[e.attr].neutral == "lowest" else -1


def _roots(one: Pass) -> list[Expr]:
    """What a pass evaluates at each point of r."""
    return [e.args[0] for e, _ in one.reductions] + [s.value for s in one.stores]


def _needed(one: Pass, under_masks: bool = True) -> dict[Expr, None]:
    """What a pass evaluates at each point of r, finished reductions aside; without `under_masks`, at surely every point."""
    found: dict[Expr, None] = {}
    stack = _roots(one)
    while stack:
        e = stack.pop()
        if e not in found and e.op != "reduce":
            found[e] = None
            stack.extend(e.args if under_masks or e.op != "masked" else (e.args[0], e.args[2]))
    return found


def _scans(one: Pass) -> list[Expr]:
    """The running prefixes that a pass computes."""
    return [e for e in _needed(one) if e.op == "scan"]


def _own_cost(root: Expr) -> float:
    """Nanoseconds times 100 per lane that computing `root` takes, finished reductions aside."""
    total, stack, seen = 0.0, [root], set()
    while stack:
        e = stack.pop()
        if e not in seen and e.op != "reduce":
            seen.add(e)
            total += HEAVY.get(e.op, 2)
            stack.extend(e.args)
    return total


def _pieces(extent: Dim, length: int) -> str:
    """ceil(extent / length) as C++."""
    return str(-(-extent // length)) if isinstance(extent, int) else f"(({dim_text(extent)} + {length - 1}) / {length})"


def _position(r: tuple[Var, ...]) -> Index:
    """The row-major position of a point of r."""
    total = as_index(0)
    for v in r:
        total = total * v.extent + Index(((v, 1),))
    return total


def _linear(variables: tuple[Var, ...]) -> str:
    """The row-major number of a point of these variables, as C++."""
    text = ""
    for v in variables:
        text = f"({text}) * {dim_text(v.extent)} + {v.name}" if text else v.name
    return text or "0"


def _linear_from(r: tuple[Var, ...], split: Var | None) -> str:
    """The first position of a chunk."""
    after: Dim = 1
    seen = False
    for v in r:
        if seen:
            after = after * v.extent
        seen = seen or v == split
    return f"from * {dim_text(after)}"
