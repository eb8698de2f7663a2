"""From a loop nest to Triton source, in one call."""

from __future__ import annotations

from ....kernels.gpu.source import TritonSource
from ...kernel import Kernel
from ..strategy import choose
from .module import module_source, refuse_masked_rows
from .strategies import STRATEGIES
from .strategies.way import Request
from .tiling import TritonOptions


def generate(kernel: Kernel, options: TritonOptions | None = None) -> TritonSource:
    """The Triton kernel that computes `kernel`'s stores.

    Pointers come in the order of `kernel.args`, then `kernel.symbols` as integers. Raises InternalError for what Triton
    cannot express (complex elements, atomic additions narrower than 32 bits).
    """
    refuse_masked_rows(kernel)
    way = choose(STRATEGIES, Request(kernel, options or TritonOptions())).way
    return module_source(way.write(kernel))
