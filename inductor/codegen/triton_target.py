"""The Triton code generation target: one kernel per loop nest."""

from __future__ import annotations

from ...kernels import gpu
from ...kernels.device import device_of
from ..contraction import Attention, Product
from ..dtypes import DType
from ..plan import Plan, RunKernels
from ..refusal import Refusal
from ..runtime import Runtime
from ..schedule import Schedule
from . import triton
from .strategy import Emitted
from .target import Built, Target, kernels_on


class TritonTarget(Target):
    """Triton for one GPU kind, or for CPU tensors under the interpreter (`device` "cpu")."""

    name = "triton"

    def __init__(self, device: str) -> None:
        self.device = device

    def key(self) -> str:
        return f"{gpu.toolchain_identity()}; {self.device}"

    def adapt(self, schedule: Schedule) -> Schedule:
        return schedule if self.device == "cpu" else triton.split_reductions(schedule)

    def emit(self, schedule: Schedule) -> list[Emitted]:
        options = triton.TritonOptions(interpreted=self.device == "cpu")
        return [triton.emit(k, options) for k in kernels_on(schedule, self.device)]

    def emits(self, product: Product | Attention, device: str) -> str | Refusal:
        return triton.emits(product)

    def build(self, plan: Plan, runtime: Runtime, label: str) -> Built:
        """A launcher for each kernel on each device that it runs on: the plan names the very device, the cache key only its kind."""
        launched: dict[str, dict[str, gpu.TritonSource]] = {}
        for step in plan.steps:
            if isinstance(step, RunKernels) and device_of(step.device).kind == self.device:
                for kernel, _ in step.launches:
                    source = gpu.TritonSource.from_file_text(plan.sources[f"{kernel}.py"])
                    launched.setdefault(step.device, {})[kernel] = source
        made = {device: gpu.build_all(sources, device) for device, sources in launched.items()}
        return Built(launchers={(kernel, device): run for device, runs in made.items() for kernel, run in runs.items()})

    def adds_atomically(self, dtype: DType, device: str) -> bool:
        return triton.adds_atomically(dtype)
