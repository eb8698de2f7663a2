"""What a rolled loop's node does when the graph runs: its arrays and numbers laid out for the program, the program run, results taken.

That is a Python function of its own for each kind of call, generated as source and readable:

    def call(values, arrays, n0, a0):
        if not a0.flags.c_contiguous:
            a0 = row_major(a0)
        a0_0, = a0.shape
        block = words()
        pack(block, 40, n0.item(), values[1], pointer(a0), a0_0, 1)
        address = addressof(block)
        function(address, 1)
        heap, bailed, noted, r0, m0_0, m0_1, m0_2 = take(block)
        try:
            ...  # raises FloatErrors where it bailed, or noted an error
            return (array(r0, type_float64), taken(arrays[0][1], type_int64, m0_0, m0_1, m0_2), )
        finally:
            if heap:
                function(address, 0)

The node may be run again from the start, by plain Python or by the graph: arrays that the program writes to are copies, and what it
makes is copied out of its memory.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Callable, Mapping
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


class _Program:
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
def _program(*program: Any) -> _Program:
    return _Program(*program)


def prepare(attrs: Mapping[str, Any]) -> None:
    """Build a loop's program, whose attributes these are. Raises what `kernels.cpu.build.build` raises."""
    _program(
        attrs["text"],
        attrs["types"],
        attrs["ranks"],
        attrs["numbers"],
        tuple([len(shape) for _, shape in attrs["arrays"]]),
    )


def run(*inputs: Any, values: tuple[Any, ...], arrays: tuple[tuple[str, tuple[int, ...]], ...], own: tuple[bool, ...] = (),
        **program: Any) -> tuple[np.ndarray, ...]:  # fmt: skip
    """The op `loop` (see its row). own: which inputs may be written to; none where it is empty

    Raises FloatErrors where the program bailed or met one of the errors: the loop is then Python's.
    """
    made: tuple[np.ndarray, ...] = bound(**program)(*inputs, own=own, values=values, arrays=arrays)
    return made


def bound(*, text: str, types: tuple[str, ...], written: tuple[bool, ...], ranks: tuple[int, ...], numbers: tuple[str, ...],
          errors: int, **fixed: Any) -> Callable[..., Any]:  # fmt: skip
    """`run` with these attributes; `values` and `arrays` may be among them, or come with each call, of the same form each time."""
    calls: dict[tuple[bool, ...], Callable[..., Any]] = {}

    def call(
        *inputs: Any,
        own: tuple[bool, ...] = (),
        values: tuple[Any, ...] = fixed.get("values", ()),
        arrays: tuple[tuple[str, tuple[int, ...]], ...] = fixed.get("arrays", ()),
    ) -> tuple[np.ndarray, ...]:
        known = calls.get(own)
        if known is None:
            given = tuple([value is None for value in values])
            made = tuple([(kind, len(shape)) for kind, shape in arrays])
            own_arrays = own[len(inputs) - len(written) :]
            known = calls[own] = _call(text, types, given, written, ranks, numbers, made, errors, own_arrays)
        return known(values, arrays, *inputs)

    return call


run.bound = bound  # type: ignore[attr-defined]


@functools.lru_cache(4096)
def _call(
    text: str,
    types: tuple[str, ...],
    given: tuple[bool, ...],
    written: tuple[bool, ...],
    ranks: tuple[int, ...],
    numbers: tuple[str, ...],
    arrays: tuple[tuple[str, int], ...],
    errors: int,
    own: tuple[bool, ...],
) -> Callable[..., tuple[np.ndarray, ...]]:
    """The function that runs a program, of the attributes `values` and `arrays` and its inputs.

    given: which numbers are inputs; own: which arrays may be written to as they are
    """
    program = _program(text, types, ranks, numbers, tuple([ndim for _, ndim in arrays]))
    names: dict[str, Any] = {
        "words": program.words, "pack": program.pack, "take": program.take, "function": program.function, "pointer": data_pointer,
        "addressof": ctypes.addressof, "array": np.array, "taken": _taken, "row_major": _row_major, "FloatErrors": FloatErrors,
    }  # fmt: skip
    lines, parameters, packed = [], [], []
    for i, kind in enumerate(types):
        number = f"n{i}.item()" if given[i] else f"values[{i}]"
        parameters += [f"n{i}"] if given[i] else []
        packed += [f"{number}.real", f"{number}.imag"] if kind.startswith("complex") else [number]
    for i, ndim in enumerate(ranks):
        parameters.append(f"a{i}")
        if written[i] and not (own and own[i]):
            lines.append(f"a{i} = a{i}.copy()")
        lines += [f"if not a{i}.flags.c_contiguous:", f"    a{i} = row_major(a{i})"]
        sizes = [f"a{i}_{d}" for d in range(ndim)]
        lines += [f"{', '.join(sizes)}, = a{i}.shape"] if sizes else []
        packed += [f"pointer(a{i})", *sizes, *(" * ".join(sizes[d + 1 :]) or "1" for d in range(ndim))]
    results = [f"a{i}" for i in range(len(ranks)) if written[i]]
    words: list[str] = []
    for i, kind in enumerate(numbers):
        names[f"type_{kind}"] = np.dtype(kind)
        parts = [f"r{i}", f"i{i}"] if kind.startswith("complex") else [f"r{i}"]
        words += parts
        results.append(f"array({'complex' if parts[1:] else ''}({', '.join(parts)}), type_{kind})")
    for i, (kind, ndim) in enumerate(arrays):
        names[f"type_{kind}"] = np.dtype(kind)
        parts = [f"m{i}_{k}" for k in range(1 + 2 * ndim)]
        words += parts
        results.append(f"taken(arrays[{i}][1], type_{kind}, {', '.join(parts)})")
    lines += [
        "block = words()",
        f"pack({', '.join(['block', str(program.lead), *packed])})",
        "address = addressof(block)",
        "function(address, 1)",
        f"{', '.join(['heap', 'bailed', 'noted', *words])} = take(block)",
        "try:",
        "    if bailed:",
        "        raise FloatErrors('a loop met what its generated code leaves to Python')",
        f"    if noted & {errors}:",
        "        raise FloatErrors('a loop met a floating-point error')",
        f"    return ({''.join(f'{r}, ' for r in results)})",
        "finally:",
        "    if heap:",
        "        function(address, 0)",
    ]
    source = f"def call({', '.join(['values', 'arrays', *parameters])}):\n" + "\n".join(f"    {line}" for line in lines)
    exec(compile(source, "<quern loop>", "exec"), names)  # noqa: S102 - our own text
    made: Callable[..., tuple[np.ndarray, ...]] = names["call"]
    return made


def _row_major(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(array.shape)


def _taken(wanted: tuple[int, ...], dtype: np.dtype, address: int, *words: int) -> np.ndarray:
    """A copy of an array that a program made: its sizes, then its strides in elements. Raises FloatErrors for other sizes than `wanted`."""
    ndim = len(wanted)
    shape, strides = words[:ndim], words[ndim:]
    if shape != wanted:
        raise FloatErrors("a loop made an array of another size than when it was captured")
    made = np.empty(shape, dtype)
    if not made.size:
        return made
    steps = tuple([s * dtype.itemsize for s in strides])
    if steps == made.strides:
        ctypes.memmove(data_pointer(made), address, made.nbytes)
        return made
    low = sum(min(0, (n - 1) * s) for n, s in zip(shape, steps))
    high = sum(max(0, (n - 1) * s) for n, s in zip(shape, steps))
    memory = (ctypes.c_char * (high - low + dtype.itemsize)).from_address(address + low)
    made[...] = np.ndarray(shape, dtype, memoryview(memory), -low, steps)
    return made
