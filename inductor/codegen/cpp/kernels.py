"""One kernel as C++ functions: `NAME_part`, the loops over a range of tasks, and `NAME`, which shares the tasks among threads."""

from __future__ import annotations

import math

from ...dtypes import bool_
from ...loops import Expr, Index, Kernel, Var, as_index, postorder
from .emit import BOOL_REDUCERS, HEAVY, REDUCERS
from .expressions import Value, Writer, c_name, storage_type
from .indexing import dim_text
from .plan import Pass, Plan, Reduction, accumulator_types, total_points

#: floats summed one after the other in a lane before they are added to an outer total: bounds the rounding error
_RUN = 8192


def kernel_text(plan: Plan) -> str:
    """The functions of one kernel, under a comment that says what it computes."""
    return _Emitter(plan).text()


class _Emitter:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.kernel: Kernel = plan.kernel
        dtypes = {b.name: b.dtype for b in self.kernel.args}
        self.writer = Writer(dtypes, self.kernel.writes, plan.vector, plan.lanes, plan.vector_bytes)
        self.writer.may_hoist_loads = all(v.extent != 0 for v in self.kernel.r)
        self.direct = {s.value for s in self.kernel.stores}

    # ----------------------------------------------------------------- functions

    def text(self) -> str:
        name = c_name(self.kernel.name)
        parameters = ", ".join(["i64 begin", "i64 end", *self._parameters()])
        self._tasks()
        body = "\n".join(f"  {line}" for line in self.writer.blocks[0].lines)
        comment = "\n".join(f"// {line}" for line in self._comment())
        return f"{comment}\nstatic __attribute__((noinline)) void {name}_part({parameters}) {{\n{body}\n}}\n\n{self._entry(name)}"

    def _comment(self) -> list[str]:
        spaces = ", ".join(f"{v.name} < {v.extent}" for v in (*self.kernel.p, *self.kernel.r))
        lanes = f"; {self.plan.lanes} lanes along {self.plan.vector.name}" if self.plan.vector is not None else ""
        return [*self.kernel.origins, f"loops: {spaces or 'one point'}{lanes}"]

    def _parameters(self) -> list[str]:
        out = []
        for b in self.kernel.args:
            const = "" if b.name in self.kernel.writes else "const "
            out.append(f"{const}{storage_type(b.dtype)}* __restrict {c_name(b.name)}")
        return out + [f"i64 {s}" for s in self.kernel.symbols]

    def _entry(self, name: str) -> str:
        lines = [f'extern "C" QUERN_EXPORT void {name}(void* const* buffers, const i64* symbols, int threads) {{']
        for i, b in enumerate(self.kernel.args):
            const = "" if b.name in self.kernel.writes else "const "
            lines.append(f"  auto {c_name(b.name)} = ({const}{storage_type(b.dtype)}*)buffers[{i}];")
        lines += [f"  i64 {s} = symbols[{i}];" for i, s in enumerate(self.symbol_order())]
        arguments = ", ".join([*(c_name(b.name) for b in self.kernel.args), *self.kernel.symbols])
        points = dim_text(total_points((*self.kernel.p, *self.kernel.r)))
        work = f"i64({points} * {self.plan.nanoseconds:.3g})"
        lines.append(f"  parallel_for(threads_for({work}, threads), {self._task_count()}, [&](i64 begin, i64 end) {{")
        lines.append(f"    {name}_part(begin, end{', ' if arguments else ''}{arguments});")
        return "\n".join([*lines, "  });", "}"])

    def symbol_order(self) -> tuple[str, ...]:
        return self.kernel.symbols

    # ----------------------------------------------------------------- tasks

    def _task_count(self) -> str:
        count = dim_text(total_points(self.plan.tasks))
        return f"{count} * {self._blocks()}" if self.plan.block else count

    def _blocks(self) -> str:
        """How many blocks the vector variable is cut into."""
        assert self.plan.vector is not None
        extent, block = self.plan.vector.extent, self.plan.block
        return (
            str(-(-extent // block)) if isinstance(extent, int) else f"(({dim_text(extent)} + {block - 1}) / {block})"
        )

    def _tasks(self) -> None:
        """The loop over tasks, and inside it the p variables that tasks do not share."""
        w, plan = self.writer, self.plan
        low, high = "0", dim_text(plan.vector.extent) if plan.vector is not None else "0"
        opened = 0
        if plan.block and not plan.tasks:
            low = f"begin * {plan.block}"
            high = f"min<i64>(end * {plan.block}, {dim_text(plan.vector.extent)})"  # type: ignore[union-attr]
            if self._loops_left():
                low, high = self._named_range(low, high)
        elif len(plan.tasks) == 1 and not plan.block:
            v = plan.tasks[0]
            w.open(f"for (i64 {v.name} = begin; {v.name} < end; ++{v.name}) {{", v)
            opened = 1
        elif plan.tasks:
            w.open("for (i64 task = begin; task < end; ++task) {", *plan.tasks)
            rest = "task"
            if plan.block:
                low, high = self._block_range()
                rest = f"task / {self._blocks()}"
            for v in reversed(plan.tasks[1:]):
                w.line(f"i64 {v.name} = ({rest}) % {dim_text(v.extent)};")
                rest = f"{rest} / {dim_text(v.extent)}"
            w.line(f"i64 {plan.tasks[0].name} = {rest};")
            opened = 1
        for v in self._loops_left():
            w.open(f"for (i64 {v.name} = 0; {v.name} < {dim_text(v.extent)}; ++{v.name}) {{", v)
            opened += 1
        self._points(low, high)
        for _ in range(opened):
            w.close()

    def _loops_left(self) -> list[Var]:
        return [v for v in self.kernel.p if v not in self.plan.tasks and v != self.plan.vector]

    def _named_range(self, low: str, high: str) -> tuple[str, str]:
        self.writer.line(f"const i64 low = {low}, high = {high};")
        return "low", "high"

    def _block_range(self) -> tuple[str, str]:
        assert self.plan.vector is not None
        block = self.plan.block
        start = f"task % {self._blocks()} * {block}"
        self.writer.line(
            f"const i64 low = {start}, high = min<i64>(low + {block}, {dim_text(self.plan.vector.extent)});"
        )
        return "low", "high"

    # ----------------------------------------------------------------- points

    def _points(self, low: str, high: str) -> None:
        """What happens for one point of p, or for N of them in lanes."""
        w, plan = self.writer, self.plan
        in_lanes = plan.vector is not None and not plan.along_r
        if in_lanes:
            self._open_lanes(low, high, 1, "auto")
        for one in plan.passes:
            self._pass(one)
        for s in plan.final:
            w.store(s)
        if in_lanes:
            w.close("});")

    def _open_lanes(self, low: str, high: str, unroll: int, copy: str) -> None:
        v, N = self.plan.vector, self.plan.lanes
        assert v is not None
        exact = isinstance(v.extent, int) and v.extent % N == 0
        flags = f"{N}, {unroll}, {'true' if exact else 'false'}"
        self.writer.open(f"vector_loop<{flags}>({low}, {high}, [&](i64 {v.name}, auto n, {copy}) INLINE_BODY {{", v)

    def _pass(self, one: Pass) -> None:
        """One run over r, then the results of its reductions."""
        w, plan = self.writer, self.plan
        unroll = self._unroll(one)
        states = [self._declare(x, unroll) for x in one.reductions]
        for scan in self._scans(one):
            self._declare_scan(scan)
        inner = plan.vector if plan.along_r else None
        scalar = [v for v in self.kernel.r if v != inner]
        for v in scalar:
            w.open(f"for (i64 {v.name} = 0; {v.name} < {dim_text(v.extent)}; ++{v.name}) {{", v)
        runs = self._open_row(one, unroll) if inner is not None else False
        for state, (e, mask) in zip(states, one.reductions):
            self._accumulate(state, e, mask)
        for s in one.stores:
            w.store(s)
        if inner is not None:
            w.close("});")
        if runs:
            for state, (e, _) in zip(states, one.reductions):
                if e.attr in ("sum", "prod"):
                    w.line(f"{state}.flush();")
            w.close()
        for _ in scalar:
            w.close()
        for state, x in zip(states, one.reductions):
            self._result(state, *x)

    def _open_row(self, one: Pass, unroll: int) -> bool:
        """Open the loop of lanes along r; a long run with float sums is cut into runs of bounded length."""
        v = self.plan.vector
        assert v is not None
        sums = any(e.attr in ("sum", "prod") and e.dtype.is_float for e, _ in one.reductions)
        long = sums and (not isinstance(v.extent, int) or v.extent > 2 * _RUN)
        extent = dim_text(v.extent)
        copy = "auto k" if one.reductions else "auto"
        if not long:
            self._open_lanes("0", extent, unroll, copy)
            return False
        self.writer.open(f"for (i64 run = 0; run < {extent}; run += {_RUN}) {{")
        self._open_lanes("run", f"min<i64>(run + {_RUN}, {extent})", unroll, copy)
        return True

    def _unroll(self, one: Pass) -> int:
        """Independent accumulators hide the latency of additions; costly bodies hide it by themselves."""
        if not self.plan.along_r or not one.reductions or list(self._scans(one)):
            return 1
        if any(e.attr.startswith("arg") for e, _ in one.reductions):
            return 1
        exprs = postorder(
            [e.args[0] for e, _ in one.reductions] + [s.value for s in one.stores], through_indirect=False
        )
        cost = sum(1 + HEAVY.get(e.op, 0) / 5 for e in exprs if e.op not in ("const", "reduce"))
        return 4 if cost <= 8 else 2 if cost <= 16 else 1

    # ----------------------------------------------------------------- reductions

    def _declare(self, x: Reduction, unroll: int) -> str:
        e = x[0]
        w, in_lanes = self.writer, self.plan.vector is not None
        state = w.fresh("a")
        types = accumulator_types(self.kernel, e, self.plan.vector, e in self.direct)
        names = [w.type_name(t, in_lanes) for t in types]
        if e.attr in ("argmax", "argmin"):
            sign = 1 if e.attr == "argmax" else -1
            w.line(f"ArgAccumulator<{sign}, {', '.join(names)}> {state}(0);")
        else:
            w.line(f"Accumulator<{self._reducer(e)}, {names[0]}, {unroll}> {state};")
        return state

    def _reducer(self, e: Expr) -> str:
        return (BOOL_REDUCERS if e.dtype == bool_ else REDUCERS)[e.attr]

    def _accumulate(self, state: str, e: Expr, mask: Expr | None) -> None:
        w, plan = self.writer, self.plan
        types = accumulator_types(self.kernel, e, plan.vector, e in self.direct)
        value = w.as_type(w.value(e.args[0], mask), types[0])
        text = w.as_vector(value) if plan.vector is not None else value.text
        active = "n" if plan.along_r else "full"
        if e.attr not in ("argmax", "argmin"):
            w.line(f"{state}.add({text}, {active}, {'k' if plan.along_r else 'Int<0>{}'});")
            return
        position, _ = w.index(_position(self.kernel.r))
        if plan.vector is not None:
            kind = w.type_name(types[1], True)
            position = f"count<{kind}>({position})" if plan.along_r else f"splat<{kind}>({position})"
        w.line(f"{state}.add({text}, {position}, {active});")

    def _result(self, state: str, e: Expr, mask: Expr | None) -> None:
        """Name a finished reduction in the block around its loops."""
        w, plan = self.writer, self.plan
        types = accumulator_types(self.kernel, e, plan.vector, e in self.direct)
        lanes = plan.vector is not None and not plan.along_r
        is_arg = e.attr in ("argmax", "argmin")
        ctype = types[-1] if lanes else "i64" if is_arg else "bool" if e.dtype == bool_ else types[0]
        if not lanes and ctype == "i32" and e.dtype.name == "int64":
            ctype = "i64"
        part = (".at" if is_arg else ".all()") if lanes else ".truth()" if ctype == "bool" else ".value()"
        name = w.fresh()
        w.line(f"{w.type_name(ctype, lanes)} {name} = {state}{part};")
        key = mask if w.has_loads(e) else None
        w.blocks[w.level].values[e, key] = Value(name, ctype, lanes, w.level)

    # ----------------------------------------------------------------- scans

    def _scans(self, one: Pass) -> list[Expr]:
        """The running prefixes that this pass computes: those not hidden under a reduction."""
        found: dict[Expr, None] = {}
        stack = [e.args[0] for e, _ in one.reductions] + [s.value for s in one.stores]
        seen: set[Expr] = set()
        while stack:
            e = stack.pop()
            if e in seen or e.op == "reduce":
                continue
            seen.add(e)
            if e.op == "scan":
                found[e] = None
            stack.extend(e.args)
        return list(found)

    def _declare_scan(self, e: Expr) -> None:
        w, plan = self.writer, self.plan
        state = w.fresh("a")
        kind = "Scan" if plan.along_r else "ScanAcross"
        reducer = (BOOL_REDUCERS if e.dtype == bool_ else REDUCERS)[e.attr]
        ctype = "i64" if e.dtype.name == "int64" else w.type_name(storage_type(e.dtype), False)
        w.line(f"{kind}<{reducer}, {w.type_name(ctype, plan.vector is not None)}> {state};")
        w.scans[e] = (state, plan.along_r)


def _position(r: tuple[Var, ...]) -> Index:
    """The row-major position of a point of r."""
    total = as_index(0)
    for v in r:
        total = total * v.extent + Index(((v, 1),))
    return total


def points_hint(extents: list[int]) -> int:
    """Product of sizes."""
    return math.prod(extents)
