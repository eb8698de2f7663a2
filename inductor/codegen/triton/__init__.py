"""Triton source from loop nests: `generate`; `split_reductions` first, for GPUs."""

from .generate import generate
from .generator import adds_atomically
from .split import split_reductions
from .tiling import TritonOptions

__all__ = ["TritonOptions", "adds_atomically", "generate", "split_reductions"]
