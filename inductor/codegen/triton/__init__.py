"""Triton source from loop nests: `generate`; `split_reductions` first, for GPUs."""

from .generate import generate
from .split import split_reductions
from .tiling import TritonOptions

__all__ = ["TritonOptions", "generate", "split_reductions"]
