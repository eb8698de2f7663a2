"""Code generation targets: how a schedule becomes source text, and how that text becomes something to call.

`CppTarget` makes one translation unit per graph, with one native entry per run of kernels that follow each other.
`triton_target.TritonTarget` makes one Triton kernel per loop nest; on CPU tensors it runs under Triton's interpreter.
`MixedTarget` is for graphs that have steps on a CPU and on GPUs: each step runs where its memory lies.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ...config import Options
from ...errors import CompilerNotFound, UserError
from ...kernels.cpu.build import build, load, toolchain_identity
from ...kernels.cpu.toolchain import host_target
from ..dtypes import DType
from ..graph import Graph, Node, TensorMeta
from ..kernel import Kernel
from ..plan import Plan, RunKernels
from ..runtime import Runtime
from ..schedule import Launch, Schedule
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

    def build(self, plan: Plan, runtime: Runtime, label: str) -> Built:
        """What the plan's steps call, built or found in the cache."""
        ...

    def adds_atomically(self, dtype: DType, device: str) -> bool:
        """Whether kernels on a device can add to elements of a type that others add to at the same time."""
        ...


@dataclass(frozen=True)
class Built:
    """What a plan's steps call.

    segments:  the native entry of each run of C++ kernels (`native_runs`), in order
    launchers: by kernel name and device, for Triton
    """

    segments: Sequence[Callable[..., None]] = ()
    launchers: Mapping[tuple[str, str], Callable[..., None]] = field(default_factory=dict)


class CppTarget:
    """C++ for the CPU that runs this process."""

    name = "cpp"

    def key(self) -> str:
        return toolchain_identity()

    def adapt(self, schedule: Schedule) -> Schedule:
        return schedule

    def generate(self, schedule: Schedule, plan: Plan) -> dict[str, str]:
        kernels = kernels_on(schedule, "cpu")
        if not kernels:
            return {}
        units = min(os.cpu_count() or 1, -(-len(kernels) // _KERNELS_PER_UNIT))
        symbols = [s.name for s in plan.symbols]
        made = cpp.generate(
            kernels,
            symbols=symbols,
            vector_bytes=host_target().vector_bytes,
            units=units,
            float_errors=bool(plan.float_errors),
        )
        texts = list(made.units)
        texts[-1] += "\n" + _segments_text(plan)
        return {f"kernels_{i}.cpp": text for i, text in enumerate(texts)}

    def build(self, plan: Plan, runtime: Runtime, label: str) -> Built:
        texts = [plan.sources[name] for name in sorted(plan.sources) if name.endswith(".cpp")]
        if not texts:
            return Built()
        library = load(build(texts, label=label))
        segments = []
        for i in range(len(native_runs(plan))):
            function = getattr(library, f"segment_{i}")
            function.restype = ctypes.c_int if plan.float_errors else None
            segments.append(function)
        return Built(segments)

    def adds_atomically(self, dtype: DType, device: str) -> bool:
        return True


@dataclass(frozen=True)
class MixedTarget:
    """C++ for steps on the CPU, Triton for those on GPUs."""

    cpu: Target
    gpu: Target
    name = "cpp"

    def key(self) -> str:
        try:
            host = self.cpu.key()
        except CompilerNotFound:  # said when a kernel has to be built: most such graphs have none on the CPU
            host = "no C++ compiler"
        return f"{host}; {self.gpu.key()}"

    def adapt(self, schedule: Schedule) -> Schedule:
        return self.gpu.adapt(self.cpu.adapt(schedule))

    def generate(self, schedule: Schedule, plan: Plan) -> dict[str, str]:
        return {**self.cpu.generate(schedule, plan), **self.gpu.generate(schedule, plan)}

    def build(self, plan: Plan, runtime: Runtime, label: str) -> Built:
        host, device = self.cpu.build(plan, runtime, label), self.gpu.build(plan, runtime, label)
        return Built(host.segments, {**host.launchers, **device.launchers})

    def adds_atomically(self, dtype: DType, device: str) -> bool:
        return (self.cpu if device == "cpu" else self.gpu).adds_atomically(dtype, device)


def device_kind(device: str) -> str:
    """ "cuda" for "cuda:1"."""
    return device.partition(":")[0]


def kernels_on(schedule: Schedule, kind: str) -> list[Kernel]:
    """The distinct kernels that are launched on devices of a kind, in order of first use."""
    buffers = schedule.lowered.buffers
    launches = [s for s in schedule.steps if isinstance(s, Launch)]
    return list(dict.fromkeys(s.kernel for s in launches if device_kind(buffers[s.buffers[0]].device) == kind))


def native_runs(plan: Plan) -> list[RunKernels]:
    """The steps that are one native call each."""
    return [s for s in plan.steps if isinstance(s, RunKernels) and plan.is_native(s)]


def _segments_text(plan: Plan) -> str:
    """One function per run of kernels that follow each other, so that each is a single native call. Where the graph asks for
    floating-point errors, it returns those that were noted.
    """
    names = dict.fromkeys(kernel for step in native_runs(plan) for kernel, _ in step.launches)
    lines = [f'extern "C" void {name}(void* const*, const long long*, int);' for name in names]
    for i, step in enumerate(native_runs(plan)):
        slots = {b: n for n, b in enumerate(dict.fromkeys(b for _, buffers in step.launches for b in buffers))}
        head = f"segment_{i}(void* const* b, const long long* symbols, int threads)"
        result = "int" if plan.float_errors else "void"
        lines.append(f'extern "C" __attribute__((visibility("default"))) {result} {head} {{')
        if plan.float_errors:
            lines.append("  quern::forget_errors();")
        for kernel, buffers in step.launches:
            arguments = ", ".join(f"b[{slots[b]}]" for b in buffers)
            lines.append(f"  {{ void* a[] = {{{arguments}}}; {kernel}(a, symbols, threads); }}")
        lines.append("  return (int)quern::noted_errors();\n}" if plan.float_errors else "}")
    return "\n".join(lines) + "\n"


def target_for(graph: Graph, options: Options) -> Target:
    """The target of a graph by its device and the options. Raises UserError for mixed or unknown devices."""
    kinds = {device_kind(m.device) for n in graph.nodes if n.op.name != "scalar" for m in _metas(n)}
    if kinds <= {"cpu"}:
        return _triton_target("cpu") if options.cpu_codegen == "triton" else CppTarget()
    if kinds == {"cuda"}:
        return _triton_target("cuda")
    if kinds == {"cpu", "cuda"}:
        return MixedTarget(CppTarget(), _triton_target("cuda"))
    raise UserError(f"no code generator for device {', '.join(sorted(kinds))}; quern compiles for cpu and cuda")


def _metas(n: Node) -> tuple[TensorMeta, ...]:
    return n.meta if isinstance(n.meta, tuple) else (n.meta,)


def _triton_target(device: str) -> Target:
    """Loaded when it is asked for: who compiles for the CPU need not wait for it."""
    return importlib.import_module(".triton_target", __package__).TritonTarget(device)
