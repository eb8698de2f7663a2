"""What generated Triton kernels stand on: device functions, compiling, the interpreter, launching.

    source = TritonSource.from_file_text(text)
    launch = build(source, "cuda:0")                    # or "cpu": under Triton's interpreter
    launch(x.data_ptr(), out.data_ptr(), stream=handle)

    compile_for(source, Gpu(arch=90)).summary()      # needs no GPU

Importing this package imports neither Triton nor a framework.
"""

from .launch import Launcher, build, prepare
from .parallel import build_all, compile_all
from .source import TritonSource
from .toolchain import CompiledInfo, Gpu, Variant, compile_for, toolchain_identity

__all__ = [
    "CompiledInfo",
    "Launcher",
    "Gpu",
    "TritonSource",
    "Variant",
    "build",
    "build_all",
    "compile_all",
    "compile_for",
    "prepare",
    "toolchain_identity",
]
