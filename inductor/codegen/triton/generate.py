"""From a loop nest to Triton source, in one call."""

from __future__ import annotations

from ....kernels.gpu.source import TritonSource
from ...contraction import recognise
from ...kernel import Kernel
from ...refusal import Refusal
from ..strategy import Choice, choose
from .module import module_source, refuse_masked_rows
from .strategies import STRATEGIES, contraction
from .strategies.way import Request, Way
from .tiling import TritonOptions


def generate(kernel: Kernel, options: TritonOptions | None = None) -> TritonSource:
    """The Triton kernel that computes `kernel`'s stores.

    Pointers come in the order of `kernel.args`, then `kernel.symbols` as integers. Raises InternalError for what Triton
    cannot express (complex elements, atomic additions narrower than 32 bits).
    """
    refuse_masked_rows(kernel)
    return module_source(_choice(kernel, options or TritonOptions()).way.write(kernel))


def strategy(kernel: Kernel, options: TritonOptions) -> str:
    """The name of the strategy that emits a kernel."""
    return _choice(kernel, options).strategy


def emits(kernel: Kernel) -> str | Refusal:
    """The strategy that emits a contraction in a way made for it, or why there is none."""
    found = recognise(kernel)
    return found if isinstance(found, Refusal) else contraction.tiles(found)


def _choice(kernel: Kernel, options: TritonOptions) -> Choice[Way]:
    return choose(STRATEGIES, Request(kernel, options))
