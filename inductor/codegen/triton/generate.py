"""From a loop nest to Triton source, in one call."""

from __future__ import annotations

from ....kernels.gpu.source import TritonSource
from ...kernel import Kernel
from .generator import Generator
from .looped import LoopedGenerator
from .tiling import TritonOptions, choose_tiling


def generate(kernel: Kernel, options: TritonOptions | None = None) -> TritonSource:
    """The Triton kernel that computes `kernel`'s stores.

    Pointers come in the order of `kernel.args`, then `kernel.symbols` as integers. Raises InternalError for what Triton
    cannot express (complex elements, atomic additions narrower than 32 bits).
    """
    tiling = choose_tiling(kernel, options or TritonOptions())
    looped = tiling.r is not None and tiling.r.role == "loop"
    return (LoopedGenerator if looped else Generator)(kernel, tiling).source()
