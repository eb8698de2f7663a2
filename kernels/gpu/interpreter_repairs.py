"""Where Triton's interpreter differs from what GPUs do, and what stands in for it while one of our kernels runs.

- reductions and scans combine halves of a whole block at a time with the kernel's own combining function
  (the interpreter calls it per element, or puts NumPy's reduction, with another meaning of NaN, in its place)
- conversion from float32 to bfloat16 rounds half to even (the interpreter truncates)
- atomic addition and products of blocks know bfloat16 (the interpreter multiplies its bits)
- a truth value made from a scalar stays one when it is spread over a block
- a scalar can bound a loop (Triton 3.6 fails with NumPy 2.4); fmax and fmin ignore NaN (Triton 3.6 propagates it)
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np


def repaired() -> ExitStack:
    """A context in which the interpreter is repaired. Not for several threads at once."""
    from triton.runtime import interpreter

    reduce_class, scan_class = _block_operations()
    stack = ExitStack()

    def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        original = getattr(owner, name)
        stack.callback(setattr, owner, name, original)
        setattr(owner, name, make(original))

    replace(interpreter, "ReduceOps", lambda _: reduce_class)
    replace(interpreter, "ScanOps", lambda _: scan_class)
    replace(interpreter, "_convert_float", lambda original: functools.partial(_convert_float, original))
    replace(interpreter, "_patch_lang_tensor", _with_index)
    builder = interpreter.InterpreterBuilder
    replace(builder, "create_maxnumf", lambda _: lambda self, a, b: self.binary_op(a, b, np.fmax))
    replace(builder, "create_minnumf", lambda _: lambda self, a, b: self.binary_op(a, b, np.fmin))
    replace(builder, "create_splat", _splat)
    replace(builder, "create_atomic_rmw", _atomic_rmw)
    replace(builder, "create_dot", _dot)
    return stack


def _with_index(original: Callable[..., None]) -> Callable[..., None]:
    def patch_lang_tensor(tensor: Any, scope: Any) -> None:
        original(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    return patch_lang_tensor


def _splat(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_splat(self: Any, kind: Any, value: Any) -> Any:
        made = original(self, kind, value)
        if value.data.dtype == np.bool_:
            made.data = made.data.astype(np.bool_)  # a comparison's handle carries its operands' type
        return made

    return create_splat


def _atomic_rmw(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_atomic_rmw(self: Any, op: Any, pointer: Any, value: Any, mask: Any, sem: Any, scope: Any) -> Any:
        if value.dtype.scalar.name != "bf16" or op.name not in ("ADD", "FADD"):
            return original(self, op, pointer, value, mask, sem, scope)
        inside = np.broadcast_to(mask.data, value.data.shape)
        for address, bits in zip(pointer.data[inside].tolist(), value.data[inside]):
            cell = np.ctypeslib.as_array((ctypes.c_uint16 * 1).from_address(address))
            cell[:] = to_bfloat16(from_bfloat16(cell) + from_bfloat16(np.atleast_1d(bits)))
        return value

    return create_atomic_rmw


def _dot(original: Callable[..., Any]) -> Callable[..., Any]:
    def wide(operand: Any) -> Any:
        from triton import language
        from triton.runtime.interpreter import TensorHandle

        if operand.dtype.scalar.name != "bf16":
            return operand
        return TensorHandle(from_bfloat16(operand.data), language.float32)

    def create_dot(self: Any, left: Any, right: Any, sums: Any, *rest: Any) -> Any:
        return original(self, wide(left), wide(right), sums, *rest)

    return create_dot


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """uint16 bits as float32."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """float32 rounded half to even, as uint16 bits."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(values), 0x7FC0, rounded).astype(np.uint16)


def _convert_float(original: Callable[..., Any], data: np.ndarray, source: Any, target: Any, mode: Any) -> np.ndarray:
    """Bits of `data` in another float type. bfloat16 lies in uint16 arrays."""
    if source.name == "bf16" and target.name == "fp32":
        return from_bfloat16(np.ascontiguousarray(data).view(np.uint16)).view(np.uint32)
    if source.name == "fp32" and target.name == "bf16":
        return to_bfloat16(data)
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
