"""From a loop nest to Triton source, in one call."""

from __future__ import annotations

from ....kernels.gpu.source import TritonSource
from ...contraction import Attention, Product
from ...kernel import Kernel
from ...refusal import Refusal
from ..strategy import Choice, Emitted, choose
from .module import module_source
from .strategies import STRATEGIES, contraction
from .strategies.way import Request, Way
from .tiling import TritonOptions


def generate(kernel: Kernel, options: TritonOptions | None = None) -> TritonSource:
    """The Triton kernel that computes `kernel`'s stores.

    Pointers come in the order of `kernel.args`, then `kernel.symbols` as integers. Raises InternalError for what Triton
    cannot express (complex elements, atomic additions narrower than 32 bits).
    """
    return module_source(_choice(kernel, options or TritonOptions()).way.write(kernel))


def emit(kernel: Kernel, options: TritonOptions) -> Emitted:
    """The file of a kernel. Raises as `generate`."""
    choice = _choice(kernel, options)
    text = module_source(choice.way.write(kernel)).file_text()
    return Emitted(kernel.name, f"{kernel.name}.py", text, choice.strategy, choice.refused)


def emits(asked: Product | Attention) -> str | Refusal:
    """The strategy that emits a contraction in a way made for it, or why there is none."""
    if isinstance(asked, Attention):
        return Refusal("not-streamed", "heuristic", "the scores of a row are not kept in one program")
    return contraction.tiles(asked.axes)


def _choice(kernel: Kernel, options: TritonOptions) -> Choice[Way]:
    return choose(STRATEGIES, Request(kernel, options))
