"""The Triton code generation target: one kernel per loop nest."""

from __future__ import annotations

from typing import Any

from ...kernels import gpu
from ..plan import Plan
from ..runtime import Runtime
from ..schedule import Schedule
from . import triton
from .target import native_runs


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
        options = triton.TritonOptions(interpreted=self.device == "cpu")
        return {f"{k.name}.py": triton.generate(k, options).file_text() for k in schedule.kernels}

    def build(self, plan: Plan, runtime: Runtime, label: str) -> tuple[list[Any], dict[str, Any]]:
        sources = {k.name: gpu.TritonSource.from_file_text(plan.sources[f"{k.name}.py"]) for k in plan.kernels}
        # the plan names the very device; the cache key only its kind
        device = next((step.device for step in native_runs(plan)), self.device)
        return [], gpu.build_all(sources, device)
