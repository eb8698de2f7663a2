"""What a rolled loop's node does when the graph runs: its arrays and numbers laid out for the program, the program run, results taken.

The node may be run again from the start, by plain Python or by the graph: arrays that the program writes to are copies, and what it
makes is copied out of its memory.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from .....inductor.float_errors import FloatErrors
from .....inductor.sequential.words import WORDS
from .....kernels.cpu.build import build, load
from ..memory import data_pointer

_FORMATS = {
    "bool": "?7x", "int8": "b7x", "int16": "h6x", "int32": "i4x", "int64": "q", "uint8": "B7x", "uint16": "H6x", "uint32": "I4x",
    "uint64": "Q", "float32": "f4x", "float64": "d", "complex64": "ff", "complex128": "dd",
}  # fmt: skip
_HEAP, _ANSWER, _ERRORS = (WORDS.index(name) for name in ("heap", "answer", "errors"))
assert (_HEAP, _ANSWER, _ERRORS, len(WORDS)) == (0, 3, 4, 5)


class _Prepared:
    """A program that is built: how its words are packed, and its function.

    pack: (words, offset, numbers..., addresses, sizes and strides of arrays...); take: the heap's first word, the answer, the errors,
    then results
    """

    def __init__(self, text: str, numbers: tuple[str, ...], ranks: tuple[int, ...], number_results: tuple[str, ...],
                 array_ranks: tuple[int, ...]) -> None:  # fmt: skip
        self.function = load(build([text], label="loop")).quern_program
        self.function.argtypes = (ctypes.c_void_p, ctypes.c_int)
        self.function.restype = None
        given = struct.Struct("=" + "".join(_FORMATS[n] for n in numbers) + "q" * sum(1 + 2 * n for n in ranks))
        made = "".join(_FORMATS[n] for n in number_results) + "q" * sum(1 + 2 * n for n in array_ranks)
        results = struct.Struct(f"=Q16xqq{given.size}x{made}")
        self.pack, self.take = given.pack_into, results.unpack_from
        self.lead = 8 * len(WORDS)
        self.words = ctypes.c_char * results.size


@functools.lru_cache(4096)
def _prepared(*program: Any) -> _Prepared:
    return _Prepared(*program)


def prepare(attrs: Mapping[str, Any]) -> None:
    """Build a loop's program, whose attributes these are. Raises what `kernels.cpu.build.build` raises."""
    _prepared(
        attrs["text"],
        attrs["types"],
        attrs["ranks"],
        attrs["numbers"],
        tuple([len(shape) for _, shape in attrs["arrays"]]),
    )


def run(*inputs: Any, text: str, types: tuple[str, ...], values: tuple[Any, ...], written: tuple[bool, ...], ranks: tuple[int, ...],
        numbers: tuple[str, ...], arrays: tuple[tuple[str, tuple[int, ...]], ...], errors: int,
        own: tuple[bool, ...] = ()) -> tuple[np.ndarray, ...]:  # fmt: skip
    """The op `loop` (see its row). own: which inputs may be written to; none where it is empty

    Raises FloatErrors where the program bailed or met one of the errors: the loop is then Python's.
    """
    program = _prepared(text, types, ranks, numbers, tuple([len(shape) for _, shape in arrays]))
    given = iter(inputs)
    words: list[Any] = []
    for value, kind in zip(values, types):
        number = next(given).item() if value is None else value
        if kind.startswith("complex"):
            words += (number.real, number.imag)
        else:
            words.append(number)
    laid_out = []
    for writes, mine in zip(written, own[len(inputs) - len(written) :] or (False,) * len(written)):
        array = next(given)
        laid = array.copy() if writes and not mine else array
        if not laid.flags.c_contiguous:
            laid = np.ascontiguousarray(laid).reshape(array.shape)
        laid_out.append(laid)
        item = laid.itemsize
        words.append(data_pointer(laid))
        words += laid.shape
        words += [s // item for s in laid.strides]
    block = program.words()
    program.pack(block, program.lead, *words)
    address = ctypes.addressof(block)
    program.function(address, 1)
    heap, bailed, noted, *results = program.take(block)
    try:
        if bailed:
            raise FloatErrors("a loop met what its generated code leaves to Python")
        if noted & errors:
            raise FloatErrors("a loop met a floating-point error")
        made = [a for a, writes in zip(laid_out, written) if writes]
        at = 0
        for kind in numbers:
            if kind.startswith("complex"):
                made.append(np.array(complex(*results[at : at + 2]), kind))
                at += 2
            else:
                made.append(np.array(results[at], kind))
                at += 1
        for kind, shape in arrays:
            ndim = len(shape)
            made.append(_taken(results[at : at + 1 + 2 * ndim], np.dtype(kind), ndim))
            if made[-1].shape != shape:
                raise FloatErrors("a loop made an array of another size than when it was captured")
            at += 1 + 2 * ndim
        return tuple(made)
    finally:
        if heap:
            program.function(address, 0)


def _taken(words: list[int], dtype: np.dtype, ndim: int) -> np.ndarray:
    """A copy of an array that a program made."""
    address, shape, strides = words[0], words[1 : 1 + ndim], words[1 + ndim :]
    made = np.empty(shape, dtype)
    if made.size:
        low = sum(min(0, (n - 1) * s) for n, s in zip(shape, strides))
        high = sum(max(0, (n - 1) * s) for n, s in zip(shape, strides))
        memory = (ctypes.c_char * ((high - low + 1) * dtype.itemsize)).from_address(address + low * dtype.itemsize)
        steps = [s * dtype.itemsize for s in strides]
        made[...] = np.ndarray(shape, dtype, memoryview(memory), -low * dtype.itemsize, steps)
    return made
