"""Kernels to C++: `generate(kernels)` gives the text; `kernels.cpu.build` compiles and loads it."""

from .source import CppSource, Launch, generate

__all__ = ["CppSource", "Launch", "generate"]
