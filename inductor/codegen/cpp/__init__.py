"""Kernels to C++: `generate_kernel` gives the text; `kernels.cpu.library` compiles and loads it."""

from .source import CppSource, emits, generate, generate_kernel, strategy

__all__ = ["CppSource", "emits", "generate", "generate_kernel", "strategy"]
