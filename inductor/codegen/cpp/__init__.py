"""Kernels to C++: `emit` gives the text; `kernels.cpu.library` compiles and loads it."""

from .keeping import keep
from .source import CppSource, emit, emits, generate

__all__ = ["CppSource", "emit", "emits", "generate", "keep"]
