"""Code generation targets: how a schedule becomes source text, and how that text becomes something to call.

`CppTarget` makes one translation unit per graph, with one native entry per run of kernels that follow each other.
`triton_target.TritonTarget` makes one Triton kernel per loop nest; on CPU tensors it runs under Triton's interpreter.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ...config import Options
from ...errors import UserError
from ...kernels.cpu.build import build, load, toolchain_identity
from ...kernels.cpu.toolchain import host_target
from ..graph import Graph
from ..plan import Plan, RunKernels
from ..runtime import Runtime
from ..schedule import Schedule
from . import cpp

#: kernels per translation unit before a graph's code is spread over several, to compile them in parallel
_KERNELS_PER_UNIT = 4


class Target(Protocol):
    """One way to make code."""

    name: str

    def key(self) -> str:
        """What of the machine and the compiler enters cache keys."""
        ...

    def adapt(self, schedule: Schedule) -> Schedule:
        """The schedule with what this target wants different (long reductions in pieces, say)."""
        ...

    def generate(self, schedule: Schedule, plan: Plan) -> dict[str, str]:
        """Source files by name."""
        ...

    def build(
        self, plan: Plan, runtime: Runtime, label: str
    ) -> tuple[Sequence[Callable[..., None]], Mapping[str, Callable[..., None]]]:
        """(native segment entries, launchers by kernel name), built or found in the cache."""
        ...


class CppTarget:
    """C++ for the CPU that runs this process."""

    name = "cpp"

    def key(self) -> str:
        return toolchain_identity()

    def adapt(self, schedule: Schedule) -> Schedule:
        return schedule

    def generate(self, schedule: Schedule, plan: Plan) -> dict[str, str]:
        kernels = schedule.kernels
        if not kernels:
            return {}
        units = min(os.cpu_count() or 1, -(-len(kernels) // _KERNELS_PER_UNIT))
        symbols = [s.name for s in plan.symbols]
        made = cpp.generate(kernels, symbols=symbols, vector_bytes=host_target().vector_bytes, units=units)
        texts = list(made.units)
        texts[-1] += "\n" + _segments_text(plan)
        return {f"kernels_{i}.cpp": text for i, text in enumerate(texts)}

    def build(self, plan: Plan, runtime: Runtime, label: str) -> tuple[list[Any], dict[str, Any]]:
        if not plan.kernels:
            return [], {}
        library = load(build([plan.sources[name] for name in sorted(plan.sources)], label=label))
        segments = []
        for i in range(len(native_runs(plan))):
            function = getattr(library, f"segment_{i}")
            function.restype = None
            segments.append(function)
        return segments, {}


def native_runs(plan: Plan) -> list[RunKernels]:
    return [s for s in plan.steps if isinstance(s, RunKernels)]


def _segments_text(plan: Plan) -> str:
    """One function per run of kernels that follow each other, so that each is a single native call."""
    lines = [f'extern "C" void {k.name}(void* const*, const long long*, int);' for k in plan.kernels]
    for i, step in enumerate(native_runs(plan)):
        slots = {b: n for n, b in enumerate(dict.fromkeys(b for _, buffers in step.launches for b in buffers))}
        head = f"segment_{i}(void* const* b, const long long* symbols, int threads)"
        lines.append(f'extern "C" __attribute__((visibility("default"))) void {head} {{')
        for kernel, buffers in step.launches:
            arguments = ", ".join(f"b[{slots[b]}]" for b in buffers)
            lines.append(f"  {{ void* a[] = {{{arguments}}}; {kernel}(a, symbols, threads); }}")
        lines.append("}")
    return "\n".join(lines) + "\n"


def target_for(graph: Graph, options: Options) -> Target:
    """The target of a graph by its device and the options. Raises UserError for mixed or unknown devices."""
    kinds = {n.meta.device.split(":")[0] for n in graph.inputs if n.meta.shape}
    if len(kinds) > 1:
        kinds.discard("cpu")
    if kinds <= {"cpu"}:
        return _triton_target("cpu") if options.cpu_codegen == "triton" else CppTarget()
    if kinds == {"cuda"}:
        return _triton_target("cuda")
    raise UserError(f"no code generator for device {', '.join(sorted(kinds))}; quern compiles for cpu and cuda")


def _triton_target(device: str) -> Target:
    """Loaded when it is asked for: who compiles for the CPU need not wait for it."""
    return importlib.import_module(".triton_target", __package__).TritonTarget(device)
