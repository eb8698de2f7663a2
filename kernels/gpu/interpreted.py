"""Generated Triton kernels on the CPU, under Triton's own interpreter: every program in turn, blocks as NumPy arrays.

Works whether or not TRITON_INTERPRET is set. The interpreter is repaired where it differs from GPUs
(`interpreter_repairs`), and `libdevice`, which exists for GPUs only, is given by NumPy (`interpreted_math`).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .interpreted_math import make_libdevice
from .interpreter_repairs import repaired
from .source import ENTRY, TritonSource
from .toolchain import TRITON_LOCK, load_module, plain_functions


class HostPointer:
    """An address in this process's memory, in the shape in which Triton's interpreter takes arrays.

    The interpreter copies arguments to the host and back by way of torch's storage methods; for memory that is
    on the host already these have nothing to do.
    """

    def __init__(self, address: int, dtype: str) -> None:
        self.address = address
        self.dtype = dtype

    def data_ptr(self) -> int:
        return self.address

    def untyped_storage(self) -> HostPointer:
        return self

    def cpu(self) -> HostPointer:
        return self

    def new_empty(self, *_: Any, **__: Any) -> HostPointer:
        return HostPointer(0, self.dtype)

    def set_(self, storage: HostPointer, *_: Any) -> HostPointer:
        self.address = storage.address
        return self

    def copy_(self, _: HostPointer) -> HostPointer:
        return self

    def storage_offset(self) -> int:
        return 0

    def size(self) -> tuple[int, ...]:
        return ()

    def stride(self) -> tuple[int, ...]:
        return ()


def interpret(source: TritonSource) -> Callable[..., int]:
    """A function `(*pointers, *symbols, stream=0)` that runs the kernel on host memory, and gives the floating-point errors that
    it met, as NumPy's bits. Lanes that are masked meet errors too.

    Pointers are addresses; the memory behind them must be alive and large enough. Raises triton's
    InterpreterError for an error inside the kernel.
    """
    from triton.runtime.interpreter import InterpretedFunction

    with TRITON_LOCK:
        module = load_module(source)
        functions = plain_functions(module)
        for name, function in functions.items():
            setattr(module, name, function)
        if hasattr(module, "libdevice"):
            # an attribute of the kernel's own module: the real libdevice is left alone
            vars(module)["libdevice"] = make_libdevice()
        kernel = InterpretedFunction(functions[ENTRY])
    count = source.program_count()
    types = [dtype for _, dtype in source.pointers]
    constants = dict(source.constants)

    def launch(*args: int, stream: int = 0) -> int:
        pointers, symbols = args[: len(types)], args[len(types) :]
        programs = count(*symbols)
        if programs == 0:
            return 0
        handles = [HostPointer(address, dtype) for address, dtype in zip(pointers, types)]
        met: set[int] = set()
        with TRITON_LOCK, repaired(), np.errstate(all="call", call=lambda _, error: met.add(error)):
            kernel[(programs,)](*handles, *symbols, **constants)
        return functools.reduce(operator.or_, met, 0)

    return launch
