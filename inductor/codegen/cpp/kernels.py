"""One kernel as C++: its part functions, each a loop over tasks, and the entry that shares the tasks among threads."""

from __future__ import annotations

from ...kernel import Kernel
from ...loops import points, postorder
from ...loops.reducers import REDUCERS, reducer
from .emit import reducer_text
from .expressions import c_name, storage_type
from .indexing import dim_text
from .parts import Part
from .plan import Plan, Reduction


def kernel_text(plan: Plan) -> str:
    """The functions of one kernel, `run_kernel` last. Nothing of the kernel's name or origin is in it."""
    parts = _parts(plan)
    names = ["run_part"] if len(parts) == 1 else [f"run_part{i}" for i in range(len(parts))]
    memory = _memory(plan, parts)
    functions = [_function(part_name, plan, part, memory) for part_name, part in zip(names, parts)]
    return "\n\n".join([*_reducer_texts(plan.kernel), *functions, _entry(names, plan, parts, memory)])


def _reducer_texts(kernel: Kernel) -> list[str]:
    """What joins the values of the kernel's reductions and scans; positions have an accumulator of their own."""
    exprs = (e for e in postorder([s.value for s in kernel.stores]) if e.op in ("reduce", "scan"))
    rows = (reducer(e.attr, e.dtype) for e in exprs)
    used = {row.name for row in rows if not row.is_position}
    return [reducer_text(row) for name, row in REDUCERS.items() if name in used]


def _parts(plan: Plan) -> list[Part]:
    """All in one; or, where a reduction is split among threads, one part per pass and one for the final stores."""
    if plan.split is None:
        return [Part(plan, plan.passes, plan.final, [])]
    parts: list[Part] = []
    earlier: list[Reduction] = []
    for one in plan.passes:
        parts.append(Part(plan, (one,), (), list(earlier)))
        earlier += one.reductions
    if plan.final:
        parts.append(Part(plan, (), plan.final, earlier))
    return parts


def comment(plan: Plan) -> list[str]:
    """What the kernel computes and how its loops run, for readers."""
    kernel = plan.kernel
    spaces = ", ".join(f"{v.name} < {v.extent}" for v in (*kernel.p, *kernel.r))
    lanes = f"; {plan.lanes} lanes along {plan.vector.name}" if plan.vector is not None else ""
    split = f"; {plan.split.name} shared among threads" if plan.split is not None else ""
    return [*map(str, kernel.origins), f"loops: {spaces or 'one point'}{lanes}{split}"]


def _memory(plan: Plan, parts: list[Part]) -> list[tuple[str, str, str]]:
    """(name, element type, number of elements) of each array that parts hand on: partial results and totals."""
    if plan.split is None:
        return []
    last = parts[-1]
    known = last.earlier + [x for one in last.passes for x in one.reductions]
    columns = f" * {dim_text(plan.vector.extent)}" if plan.in_lanes and plan.vector is not None else ""
    count = dim_text(points(plan.tasks)) + columns
    arrays = []
    for x in known:
        for i, t in enumerate(last.lane_types(x[0])):
            arrays.append((last.partial(x, i), t, f"{count} * {last.chunks()}"))
            arrays.append((last.total(x, i), t, count))
    return arrays


def _function(name: str, plan: Plan, part: Part, memory: list[tuple[str, str, str]]) -> str:
    kernel = plan.kernel
    parameters = ["i64 begin", "i64 end"]
    for b in kernel.args:
        const = "" if b.name in kernel.writes else "const "
        parameters.append(f"{const}{storage_type(b.dtype)}* __restrict {c_name(b.name)}")
    parameters += [f"i64 {s}" for s in kernel.symbols]
    parameters += [f"{t}* {array}" for array, t, _ in memory]
    body = "\n".join(f"  {line}" for line in part.body())
    return f"static __attribute__((noinline)) void {name}({', '.join(parameters)}) {{\n{body}\n}}"


def _entry(names: list[str], plan: Plan, parts: list[Part], memory: list[tuple[str, str, str]]) -> str:
    kernel: Kernel = plan.kernel
    lines = ["static inline void run_kernel(void* const* buffers, const i64* symbols, int threads) {"]
    for i, b in enumerate(kernel.args):
        const = "" if b.name in kernel.writes else "const "
        lines.append(f"  auto {c_name(b.name)} = ({const}{storage_type(b.dtype)}*)buffers[{i}];")
    lines += [f"  i64 {s} = symbols[{i}];" for i, s in enumerate(kernel.symbols)]
    for array, t, count in memory:
        lines += [f"  Scratch<{t}> {array}_memory({count});", f"  {t}* {array} = {array}_memory.data;"]
    passed = [*(c_name(b.name) for b in kernel.args), *kernel.symbols, *(array for array, _, _ in memory)]
    total = dim_text(points((*kernel.p, *kernel.r)))
    lines.append(f"  threads = threads_for(i64({total} * {plan.nanoseconds:.3g}), threads);")
    for part_name, part in zip(names, parts):
        lines.append(f"  parallel_for(threads, {part.task_count()}, [&](i64 begin, i64 end) {{")
        lines.append(f"    {', '.join([f'{part_name}(begin', 'end', *passed])});")
        lines.append("  });")
        if plan.split is not None:
            lines += [f"  {part.combination(x)}" for one in part.passes for x in one.reductions]
    return "\n".join([*lines, "}"])
