"""Kernels to C++: `generate_kernel` gives the text; `kernels.cpu.library` compiles and loads it."""

from .source import CppSource, generate, generate_kernel

__all__ = ["CppSource", "generate", "generate_kernel"]
