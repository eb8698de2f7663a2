"""What a generated Triton kernel is: text, parameters, and how many programs to start. Plain data, no Triton object.

Sizes are texts over the kernel's symbols ("1024", "s0*128"), so that a kernel can be stored in a plan as JSON
and launched in any process.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InternalError, UserError

#: dtype name -> Triton's name for a pointer to it
POINTER_TYPES = {
    "bool": "*i1", "uint8": "*u8", "uint16": "*u16", "uint32": "*u32", "uint64": "*u64",
    "int8": "*i8", "int16": "*i16", "int32": "*i32", "int64": "*i64",
    "float16": "*fp16", "bfloat16": "*bf16", "float32": "*fp32", "float64": "*fp64",
}  # fmt: skip

#: indices below this are computed in 32 bits (the margin leaves room for the tail of a block)
INT32_LIMIT = (1 << 31) - (1 << 21)

#: what the kernel's function is called in its text; `TritonSource.name` is for people, and what a debugger shows
ENTRY = "kernel"

_LAUNCH_MARK = "# launch: "

_SIZE_TEXT = re.compile(r"[\w\s+\-*/%(),]*")


@dataclass(frozen=True)
class TritonSource:
    """One kernel: a Python module's text that defines `ENTRY`, and what is needed to compile and launch it.

    name:       what people call it; no part of what it is
    pointers:   (parameter name, dtype name) in argument order
    symbols:    names of the integer arguments after the pointers
    constants:  block sizes, passed as `tl.constexpr`
    grid:       (size, block) texts and numbers per axis: the program count is the product of ceil(size / block)
    extents:    sizes of all index spaces and buffers; when one reaches 2**31 symbols are passed as 64-bit
    num_warps, num_stages: Triton's launch options
    """

    name: str
    text: str
    pointers: tuple[tuple[str, str], ...]
    symbols: tuple[str, ...]
    constants: tuple[tuple[str, int], ...]
    grid: tuple[tuple[str, int], ...]
    extents: tuple[str, ...]
    num_warps: int = 4
    num_stages: int = 1

    def file_text(self) -> str:
        """One file that holds everything: the module, then a comment line with the other fields as JSON."""
        fields = dataclasses.asdict(self)
        del fields["text"]
        return f"{self.text}\n\n{_LAUNCH_MARK}{json.dumps(fields)}\n"

    @staticmethod
    def from_file_text(text: str) -> TritonSource:
        """The source written by `file_text`, edited by hand or not. Raises UserError where the launch line is missing."""
        body, mark, line = text.rpartition(_LAUNCH_MARK)
        if not mark:
            raise UserError(f"a Triton kernel file must end with its {_LAUNCH_MARK.strip()!r} line; put it back")
        fields: dict[str, Any] = json.loads(line)
        for name in ("pointers", "constants", "grid"):
            fields[name] = tuple(map(tuple, fields[name]))
        for name in ("symbols", "extents"):
            fields[name] = tuple(fields[name])
        return TritonSource(text=body.rstrip("\n") + "\n", **fields)

    @property
    def is_dynamic(self) -> bool:
        """True when sizes depend on symbols."""
        return bool(self.symbols)

    def program_count(self) -> Callable[..., int]:
        """A function of the symbols' values giving the number of programs (0 for an empty index space)."""
        factors = [f"((({size}) + {block - 1}) // {block})" if block > 1 else f"({size})" for size, block in self.grid]
        return _size_function(self.symbols, " * ".join(factors) or "1")

    def needs_int64(self) -> Callable[..., bool]:
        """A function of the symbols' values: True when an index, or a symbol itself, may leave 32 bits."""
        sizes = ", ".join((*self.extents, *self.symbols, *(f"-{s}" for s in self.symbols), "0"))
        return _size_function(self.symbols, f"max({sizes}) > {INT32_LIMIT}")


def _size_function(symbols: Sequence[str], text: str) -> Callable[..., Any]:
    """Compile a size text to a function of the symbols.

    Only numbers, names and arithmetic may occur: a stored plan can compute sizes here and nothing else.
    """
    bare = text.replace(">", "")
    words = set(re.findall(r"[A-Za-z_]\w*", bare))
    if not _SIZE_TEXT.fullmatch(bare) or not words <= {*symbols, "max", "min"}:
        raise InternalError(f"[triton] {text!r} is not a size over the symbols {list(symbols)}")
    scope = {"__builtins__": {}, "max": max, "min": min}
    return eval(f"lambda {', '.join(symbols)}: {text}", scope)  # noqa: S307 - restricted above
