"""One kernel as C++: the functions that its strategy writes, and the one that shares their tasks among threads."""

from __future__ import annotations

from ...kernel import Kernel
from ...loops import points, postorder
from ...loops.reducers import REDUCERS, reducer
from .emit import reducer_text
from .indexing import dim_text
from .nest import Nest
from .strategies.way import Array, Function, Way
from .types import c_name, storage_type


def kernel_text(way: Way) -> str:
    """The functions of one kernel, `run_kernel` last. Nothing of the kernel's name or origin is in it."""
    nest, functions, arrays = way.nest, way.functions(), way.arrays()
    names = ["run_part"] if len(functions) == 1 else [f"run_part{i}" for i in range(len(functions))]
    parts = [_function_text(name, nest, f, arrays) for name, f in zip(names, functions)]
    return "\n\n".join([*_reducer_texts(nest.kernel), *parts, _entry(names, nest, functions, arrays)])


def _reducer_texts(kernel: Kernel) -> list[str]:
    """What joins the values of the kernel's reductions and scans; positions have an accumulator of their own."""
    exprs = (e for e in postorder([s.value for s in kernel.stores]) if e.op in ("reduce", "scan"))
    rows = (reducer(e.attr, e.dtype) for e in exprs)
    used = {row.name for row in rows if not row.is_position}
    return [reducer_text(row) for name, row in REDUCERS.items() if name in used]


def comment(way: Way) -> list[str]:
    """What the kernel computes and how its loops run, for readers."""
    nest = way.nest
    spaces = ", ".join(f"{v.name} < {v.extent}" for v in (*nest.kernel.p, *nest.kernel.r))
    lanes = f"; {nest.lanes} lanes along {nest.vector.name}" if nest.vector is not None else ""
    return [*map(str, nest.kernel.origins), f"loops: {spaces or 'one point'}{lanes}{way.note}"]


def _function_text(name: str, nest: Nest, function: Function, arrays: list[Array]) -> str:
    kernel = nest.kernel
    parameters = ["i64 begin", "i64 end"]
    for b in kernel.args:
        const = "" if b.name in kernel.writes else "const "
        parameters.append(f"{const}{storage_type(b.dtype)}* __restrict {c_name(b.name)}")
    parameters += [f"i64 {s}" for s in nest.symbols]
    parameters += [f"{a.ctype}* {a.name}" for a in arrays]
    body = "\n".join(f"  {line}" for line in function.lines)
    return f"static __attribute__((noinline)) void {name}({', '.join(parameters)}) {{\n{body}\n}}"


def _entry(names: list[str], nest: Nest, functions: list[Function], arrays: list[Array]) -> str:
    kernel = nest.kernel
    lines = ["static inline void run_kernel(void* const* given, const int* places, int threads) {"]
    for i, b in enumerate(kernel.args):
        const = "" if b.name in kernel.writes else "const "
        lines.append(f"  auto {c_name(b.name)} = ({const}{storage_type(b.dtype)}*)given[places[{i}]];")
    lines += [f"  auto {s} = (i64)given[places[{i}]];" for i, s in enumerate(nest.symbols, len(kernel.args))]
    for a in arrays:
        lines += [f"  Scratch<{a.ctype}> {a.name}_memory({a.size});", f"  {a.ctype}* {a.name} = {a.name}_memory.data;"]
    passed = [*(c_name(b.name) for b in kernel.args), *nest.symbols, *(a.name for a in arrays)]
    total = dim_text(points((*kernel.p, *kernel.r)))
    lines.append(f"  threads = threads_for(i64({total} * {nest.nanoseconds:.3g}), threads);")
    for part_name, function in zip(names, functions):
        lines.append(f"  parallel_for(threads, {function.tasks}, [&](i64 begin, i64 end) {{")
        lines.append(f"    {', '.join([f'{part_name}(begin', 'end', *passed])});")
        lines.append("  });")
        lines += [f"  {statement}" for statement in function.after]
    return "\n".join([*lines, "}"])
