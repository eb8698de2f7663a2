"""Triton source from loop nests: `generate`; `split_reductions` first, for GPUs."""

from .generate import emit, emits, generate
from .split import split_reductions
from .tiling import TritonOptions
from .writer import adds_atomically

__all__ = ["TritonOptions", "adds_atomically", "emit", "emits", "generate", "split_reductions"]
