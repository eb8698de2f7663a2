"""Triton source from loop nests: see `generate`."""

from .generate import generate
from .tiling import TritonOptions

__all__ = ["TritonOptions", "generate"]
