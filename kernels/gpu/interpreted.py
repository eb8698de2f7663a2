"""Generated Triton kernels on the CPU, under Triton's own interpreter: every program in turn, blocks as NumPy arrays.

Works whether or not TRITON_INTERPRET is set. Some things of the interpreter are replaced while a kernel runs:

  - reductions and scans combine halves of a whole block at a time with the kernel's own combining function
    (Triton's interpreter calls it per element, or puts NumPy's reduction in its place)
  - conversion from float32 to bfloat16 rounds half to even, as GPUs do (Triton's interpreter truncates)
  - a scalar can bound a loop (the interpreter of Triton 3.6 fails with NumPy 2.4)
  - fmax and fmin ignore NaN (the interpreter of Triton 3.6 propagates it)
  - `libdevice`, which exists for GPUs only, is given by NumPy (see `interpreted_math`)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest import mock

import numpy as np

from .interpreted_math import make_libdevice
from .source import TritonSource
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


def interpret(source: TritonSource) -> Callable[..., None]:
    """A function `(*pointers, *symbols, stream=0)` that runs the kernel on host memory.

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
        kernel = InterpretedFunction(functions[source.name])
    count = source.program_count()
    types = [dtype for _, dtype in source.pointers]
    constants = dict(source.constants)

    def launch(*args: int, stream: int = 0) -> None:
        pointers, symbols = args[: len(types)], args[len(types) :]
        programs = count(*symbols)
        if programs == 0:
            return
        handles = [HostPointer(address, dtype) for address, dtype in zip(pointers, types)]
        with TRITON_LOCK, _repaired_interpreter(), np.errstate(all="ignore"):
            kernel[(programs,)](*handles, *symbols, **constants)

    return launch


def _repaired_interpreter() -> ExitStack:
    from triton.runtime import interpreter

    stack = ExitStack()
    reduce_class, scan_class = _block_operations()
    original, patch_tensor = interpreter._convert_float, interpreter._patch_lang_tensor

    def patch_lang_tensor(tensor: Any, scope: Any) -> None:
        patch_tensor(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    for name, replacement in (
        ("_patch_lang_tensor", patch_lang_tensor),
        ("ReduceOps", reduce_class),
        ("ScanOps", scan_class),
        ("_convert_float", functools.partial(_convert_float, original)),
    ):
        stack.enter_context(mock.patch.object(interpreter, name, replacement))
    builder = interpreter.InterpreterBuilder
    for name, function in (("create_maxnumf", np.fmax), ("create_minnumf", np.fmin)):
        stack.enter_context(mock.patch.object(builder, name, _binary(function)))
    return stack


def _binary(function: Callable[..., np.ndarray]) -> Callable[..., Any]:
    return lambda builder, left, right: builder.binary_op(left, right, function)


def _convert_float(original: Callable[..., np.ndarray], data: np.ndarray, source: Any, target: Any, mode: Any) -> np.ndarray:
    """Bits of `data` in another float type. bfloat16 lies in uint16 arrays."""
    if source.name == "bf16" and target.name == "fp32":
        return data.view(np.uint16).astype(np.uint32) << np.uint32(16)
    if source.name == "fp32" and target.name == "bf16":
        bits = np.ascontiguousarray(data).view(np.uint32)
        rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
        return np.where(np.isnan(data), 0x7FC0, rounded).astype(np.uint16)
    return original(data, source, target, mode)


@functools.cache
def _block_operations() -> tuple[type, type]:
    from triton.runtime import interpreter

    def arrays(tensors: tuple[Any, ...]) -> list[np.ndarray]:
        return [t.handle.data for t in tensors]

    def combine(op: Any, left: list[np.ndarray], right: list[np.ndarray], like: tuple[Any, ...]) -> list[np.ndarray]:
        function = getattr(op.combine_fn, "fn", op.combine_fn)
        sides = [op.to_tensor(np.ascontiguousarray(a), t.dtype) for part in (left, right) for a, t in zip(part, like)]
        made = function(*sides)
        return arrays(made if isinstance(made, tuple) else (made,))

    def cut(parts: list[np.ndarray], axis: int, start: int | None, stop: int | None) -> list[np.ndarray]:
        where = tuple(slice(start, stop) if i == axis else slice(None) for i in range(parts[0].ndim))
        return [a[where] for a in parts]

    class TreeReduce(interpreter.ReduceOps):
        """Halves are combined until one element is left along the axis (block sizes are powers of two)."""

        def apply_impl(self, input: tuple[Any, ...]) -> list[Any]:
            parts, axis = arrays(input), self.axis
            while (n := parts[0].shape[axis]) > 1:
                parts = combine(self, cut(parts, axis, None, n // 2), cut(parts, axis, n // 2, None), input)
            if not self.keep_dims:
                parts = [np.squeeze(a, axis) for a in parts]
            return [self.to_tensor(a, t.dtype) for a, t in zip(parts, input)]

    class DoublingScan(interpreter.ScanOps):
        """Inclusive prefix in log2(n) steps: each element takes in the one 1, 2, 4, ... before it."""

        def apply_impl(self, input: tuple[Any, ...]) -> list[Any]:
            if self.reverse:
                return super().apply_impl(input)
            parts, axis = arrays(input), self.axis
            step = 1
            while step < parts[0].shape[axis]:
                # whole blocks, since Triton's have power-of-two sizes; what wrapped around is put back
                made = combine(self, [np.roll(a, step, axis) for a in parts], parts, input)
                first, later = cut(parts, axis, None, step), cut(made, axis, step, None)
                parts = [np.concatenate(pair, axis) for pair in zip(first, later)]
                step *= 2
            return [self.to_tensor(a, t.dtype) for a, t in zip(parts, input)]

    return TreeReduce, DoublingScan
