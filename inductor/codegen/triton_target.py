"""The Triton code generation target: one kernel per loop nest."""

from __future__ import annotations

from ...kernels import gpu
from ..dtypes import DType
from ..kernel import Kernel
from ..plan import Plan, RunKernels
from ..refusal import Refusal
from ..runtime import Runtime
from ..schedule import Schedule
from . import triton
from .target import Built, device_kind, kernels_on


class TritonTarget:
    """Triton for one GPU kind, or for CPU tensors under the interpreter (`device` "cpu")."""

    name = "triton"

    def __init__(self, device: str) -> None:
        self.device = device

    def key(self) -> str:
        return f"{gpu.toolchain_identity()}; {self.device}"

    def adapt(self, schedule: Schedule) -> Schedule:
        return schedule if self.device == "cpu" else triton.split_reductions(schedule)

    def generate(self, schedule: Schedule, plan: Plan) -> dict[str, str]:
        options = self._options()
        return {f"{k.name}.py": triton.generate(k, options).file_text() for k in kernels_on(schedule, self.device)}

    def _options(self) -> triton.TritonOptions:
        return triton.TritonOptions(interpreted=self.device == "cpu")

    def emits(self, kernel: Kernel) -> str | Refusal:
        return triton.emits(kernel)

    def strategy(self, kernel: Kernel) -> str:
        return triton.strategy(kernel, self._options())

    def build(self, plan: Plan, runtime: Runtime, label: str) -> Built:
        """A launcher for each kernel on each device that it runs on: the plan names the very device, the cache key only its kind."""
        launched: dict[str, dict[str, gpu.TritonSource]] = {}
        for step in plan.steps:
            if isinstance(step, RunKernels) and device_kind(step.device) == self.device:
                for kernel, _ in step.launches:
                    source = gpu.TritonSource.from_file_text(plan.sources[f"{kernel}.py"])
                    launched.setdefault(step.device, {})[kernel] = source
        made = {device: gpu.build_all(sources, device) for device, sources in launched.items()}
        return Built(launchers={(kernel, device): run for device, runs in made.items() for kernel, run in runs.items()})

    def adds_atomically(self, dtype: DType, device: str) -> bool:
        return triton.adds_atomically(dtype)
