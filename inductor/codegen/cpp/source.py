"""A graph's kernels as C++."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ....kernels.cpu.library import unit_texts
from ...contraction import Attention, Product
from ...kernel import Kernel, attends, rewrite_stores
from ...loops import spelled_out
from ...refusal import Refusal
from ..strategy import Choice, Emitted, choose
from .function import comment, kernel_text
from .nest import read_nest
from .strategies import STRATEGIES, attention, contraction
from .strategies.way import Way
from .types import c_name


@dataclass(frozen=True)
class CppSource:
    """Texts to compile and link into one library, which exports each kernel under its name.

    entries: those names, callable as `f(void* const* given, const int* places, int threads)`: the places of a kernel's buffers,
             then of the size symbols, in what it is given
    symbols: the order of the size symbols, which all kernels share
    """

    units: tuple[str, ...]
    entries: tuple[str, ...]
    symbols: tuple[str, ...]

    @property
    def text(self) -> str:
        """All units, for reading."""
        return "\n\n".join(self.units)


def emit(kernel: Kernel, vector_bytes: int) -> Emitted:
    """A kernel's functions, the last of them `run_kernel(given, places, threads)`, with nothing of its name or origin.

    vector_bytes: register width of the target (`host_cpu().vector_bytes`)

    Raises InternalError for a kernel outside the loop language (complex numbers among others).
    """
    choice = _choice(kernel, vector_bytes)
    return Emitted(kernel.name, f"{kernel.name}.cpp", kernel_text(choice.way), choice.strategy, choice.refused)


def emits(asked: Product | Attention, vector_bytes: int = 64) -> str | Refusal:
    """The strategy that emits a contraction in a way made for it, or why there is none."""
    if isinstance(asked, Attention):
        refusal = attention.worthwhile(asked)
        return "attention" if refusal is None else refusal
    refusal = contraction.worthwhile(asked, vector_bytes)
    return "contraction" if refusal is None else refusal


def _choice(kernel: Kernel, vector_bytes: int, symbols: tuple[str, ...] | None = None) -> Choice[Way]:
    nest = read_nest(kernel, vector_bytes, symbols)
    if not attends(kernel.stores):
        return choose(STRATEGIES, nest)
    way = attention.plan(nest)
    if not isinstance(way, Refusal):
        return Choice("attention", way, ())
    stores = tuple(rewrite_stores(kernel.stores, lambda e: spelled_out(e) if e.op == "attend" else None))
    choice = choose(STRATEGIES, read_nest(replace(kernel, stores=stores), vector_bytes, symbols))
    return replace(choice, refused=(("attention", way), *choice.refused))


def generate(
    kernels: Sequence[Kernel],
    *,
    symbols: Sequence[str] | None = None,
    vector_bytes: int = 64,
    units: int = 1,
    float_errors: bool = False,
) -> CppSource:
    """C++ for kernels that are called by hand, with comments that say what they compute.

    symbols:      order of the size symbols behind the buffers; default: as the kernels name them first
    units:        into how many texts to spread the kernels, for compiling in parallel
    float_errors: whether the kernels note floating-point errors (see kernels/cpu/flags.h)

    Raises as `emit`.
    """
    order = tuple(dict.fromkeys(s for k in kernels for s in k.symbols)) if symbols is None else tuple(symbols)
    texts: dict[str, str] = {}
    for kernel in kernels:
        way = _choice(kernel, vector_bytes, order).way
        texts[c_name(kernel.name)] = "\n".join([*(f"// {line}" for line in comment(way)), kernel_text(way)])
    return CppSource(unit_texts(texts, float_errors, units), tuple(texts), order)
