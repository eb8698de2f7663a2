"""Code generation targets: how a schedule becomes source text, and how that text becomes something to call.

`CppTarget` makes one C++ text per kernel, and one native call of kernels that follow each other.
`triton_target.TritonTarget` makes one Triton kernel per loop nest; on CPU tensors it runs under Triton's interpreter.
`MixedTarget` is for graphs that have steps on a CPU and on GPUs: each step runs where its memory lies.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ...errors import CompilerNotFound
from ...kernels.cpu.build import toolchain_identity
from ...kernels.cpu.library import Call, Function, Segment, functions
from ...kernels.cpu.toolchain import host_cpu
from ...kernels.device import device_of
from ..contraction import Attention, Product
from ..dtypes import DType
from ..kernel import Kernel
from ..plan import Plan, RunKernels
from ..refusal import Refusal
from ..runtime import Runtime
from ..schedule import Launch, Schedule
from . import cpp
from .strategy import Emitted


class Target(Protocol):
    """One way to make code."""

    name: str

    def key(self) -> str:
        """What of the machine and the compiler enters cache keys."""
        ...

    def adapt(self, schedule: Schedule) -> Schedule:
        """The schedule with what this target wants different (long reductions in pieces, say)."""
        ...

    def keep(self, schedule: Schedule, inputs: Collection[str], most: int) -> Schedule:
        """The schedule with copies of inputs that seldom change, laid out for its kernels (`Schedule.fills`).

        inputs: their buffers; most: bytes of copies that it may have
        """
        return schedule

    def emit(self, schedule: Schedule) -> list[Emitted]:
        """Each kernel's source file, and how it came about."""
        ...

    def generate(self, schedule: Schedule, plan: Plan) -> dict[str, str]:
        """The source files alone, by name."""
        return {e.file: e.text for e in self.emit(schedule)}

    def emits(self, product: Product | Attention, device: str) -> str | Refusal:
        """The strategy that emits a product of matrices, or an attention, in a way made for it, or why there is none."""
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

    segments:  the native call of each run of C++ kernels (`native_runs`), in order
    launchers: by kernel name and device, for Triton
    fills:     the native call of each of the plan's `fills`
    """

    segments: Sequence[Segment] = ()
    launchers: Mapping[tuple[str, str], Callable[..., None]] = field(default_factory=dict)
    fills: Sequence[Segment] = ()


class CppTarget(Target):
    """C++ for the CPU that runs this process."""

    name = "cpp"

    def key(self) -> str:
        return toolchain_identity()

    def adapt(self, schedule: Schedule) -> Schedule:
        return schedule

    def keep(self, schedule: Schedule, inputs: Collection[str], most: int) -> Schedule:
        return cpp.keep(schedule, inputs, most, host_cpu().vector_bytes)

    def emit(self, schedule: Schedule) -> list[Emitted]:
        width = host_cpu().vector_bytes
        fills = dict.fromkeys(f.kernel for f in schedule.fills)
        return [cpp.emit(k, width) for k in (*kernels_on(schedule, "cpu"), *fills)]

    def emits(self, product: Product | Attention, device: str) -> str | Refusal:
        return cpp.emits(product, host_cpu().vector_bytes)

    def build(self, plan: Plan, runtime: Runtime, label: str) -> Built:
        runs = native_runs(plan)
        if not runs:
            return Built()
        texts = {kernel: plan.sources[f"{kernel}.cpp"] for step in (*runs, *plan.fills) for kernel, _ in step.launches}
        notes_errors = bool(plan.float_errors)
        made = functions(texts.values(), notes_errors=notes_errors, label=label)
        kernels = {name: made[text] for name, text in texts.items()}
        return Built(
            [_segment(step, plan, kernels) for step in runs],
            fills=[_segment(step, plan, kernels) for step in plan.fills],
        )

    def adds_atomically(self, dtype: DType, device: str) -> bool:
        return True


@dataclass(frozen=True)
class MixedTarget(Target):
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

    def keep(self, schedule: Schedule, inputs: Collection[str], most: int) -> Schedule:
        return self.cpu.keep(schedule, inputs, most)

    def emit(self, schedule: Schedule) -> list[Emitted]:
        return self.cpu.emit(schedule) + self.gpu.emit(schedule)

    def emits(self, product: Product | Attention, device: str) -> str | Refusal:
        return self._on(device).emits(product, device)

    def build(self, plan: Plan, runtime: Runtime, label: str) -> Built:
        host, device = self.cpu.build(plan, runtime, label), self.gpu.build(plan, runtime, label)
        return Built(host.segments, {**host.launchers, **device.launchers}, host.fills)

    def adds_atomically(self, dtype: DType, device: str) -> bool:
        return self._on(device).adds_atomically(dtype, device)

    def _on(self, device: str) -> Target:
        return self.cpu if device == "cpu" else self.gpu


def kernels_on(schedule: Schedule, kind: str) -> list[Kernel]:
    """The distinct kernels that are launched on devices of a kind, in order of first use."""
    buffers = schedule.lowered.buffers
    launches = [s for s in schedule.steps if isinstance(s, Launch)]
    return list(dict.fromkeys(s.kernel for s in launches if device_of(buffers[s.buffers[0]].device).kind == kind))


def native_runs(plan: Plan) -> list[RunKernels]:
    """The steps that are one native call each."""
    return [s for s in plan.steps if isinstance(s, RunKernels) and plan.is_native(s)]


def _segment(step: RunKernels, plan: Plan, kernels: Mapping[str, Function]) -> Segment:
    """The calls of kernels that follow each other, over the step's buffers and the plan's size symbols."""
    buffers = {b: i for i, b in enumerate(step.buffers)}
    symbols = {s.name: i for i, s in enumerate(plan.symbols, len(buffers))}
    own = {k.name: k.symbols for k in plan.kernels}
    calls = [
        Call(kernels[kernel], (*(buffers[b] for b in names), *(symbols[s] for s in own.get(kernel, ()))))
        for kernel, names in step.launches
    ]
    return Segment(calls, bool(plan.float_errors))
