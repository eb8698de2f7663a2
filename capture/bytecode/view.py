"""The data of the instruction layer: what `instructions.decode` yields. No CPython version shows here.

Two levels stand side by side. `Instr` is what the evaluator reads. `Micro` is a *real* instruction of the
running Python; every `Instr` covers a run of micros (`CodeView.spans`), so that a continuation can
start exactly where the evaluator stopped. A raw instruction that does two things (load a global and push
NULL, say) is one raw instruction and several micros, each a real instruction that could stand in its place.
"""

from __future__ import annotations

import enum
import types
from dataclasses import dataclass
from typing import Any, NamedTuple


class Slot(enum.Enum):
    """What is known, without running, about one slot of the machine's stack."""

    VALUE = "value"
    #: the C NULL that marks "no self" below a call
    NULL = "null"
    #: pushed by LOAD_FAST_AND_CLEAR: the saved variable, or NULL if it was unbound
    MAYBE_NULL = "maybe-null"
    #: pushed by PUSH_EXC_INFO: the exception that was being handled before this one
    EXC_INFO = "exc-info"
    #: pushed on entry to a handler that re-raises: the offset of the raising instruction
    LASTI = "lasti"

    def __repr__(self) -> str:
        return f"Slot.{self.name}"


@dataclass(frozen=True, slots=True)
class CallArgs:
    """Argument of CALL: `count` values lie above the callable; the last `len(names)` are keywords."""

    count: int
    names: tuple[str, ...] = ()


class ExceptHandler(NamedTuple):
    """Where an exception raised by a protected instruction goes: the stack is cut to `depth` slots, LASTI is
    pushed if `push_lasti`, then the exception, and control goes to index `target`."""

    target: int
    depth: int
    push_lasti: bool


@dataclass(frozen=True, slots=True)
class Instr:
    """One normalised instruction. `arg` is resolved: see the table in `instructions`."""

    op: str
    arg: Any
    index: int
    #: byte offset in `co_code` where the first real instruction of this one starts
    offset: int
    #: 1-based source lines, 0-based UTF-8 byte columns; None where the compiler left none
    line: int | None
    end_line: int | None
    col: int | None
    end_col: int | None
    #: the real instruction's own name in the running Python
    opname: str

    def __str__(self) -> str:
        arg = "" if self.arg is None and self.op != "LOAD_CONST" else f" {self.arg!r}"
        return f"{self.index:4} {self.op}{arg}"


@dataclass(frozen=True, slots=True)
class Raw:
    """One instruction as it stands in `co_code`, its EXTENDED_ARG prefixes folded in. Offsets count 2-byte units."""

    opname: str
    arg: int
    start: int
    #: offset of the instruction itself, after any EXTENDED_ARG
    at: int
    #: index (in `CodeView.raws`) a jump goes to
    target: int | None
    position: tuple[int | None, int | None, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Micro:
    """A real instruction with the normalised op it stands for."""

    opname: str
    oparg: int
    #: normalised op, or "" for an instruction that the evaluator never sees
    op: str
    arg: Any
    #: index of the raw instruction this one is (part of)
    raw: int


@dataclass(frozen=True, eq=False)
class CodeView:
    """A code object, decoded. Compared and hashed by identity."""

    code: types.CodeType
    instructions: tuple[Instr, ...]
    #: per instruction: its exception handler, or None
    handlers: tuple[ExceptHandler | None, ...]
    #: parameters and plain locals, in slot order (`co_varnames`)
    local_names: tuple[str, ...]
    #: variables that inner functions see (`co_cellvars`), and those of outer ones (`co_freevars`)
    cell_names: tuple[str, ...]
    free_names: tuple[str, ...]
    #: positional parameters (positional-only ones included), of these positional-only, keyword-only
    argcount: int
    posonlyargcount: int
    kwonlyargcount: int
    has_varargs: bool
    has_varkw: bool
    is_generator: bool
    is_coroutine: bool
    is_async_generator: bool
    # -- the real instructions below the normalised ones
    raws: tuple[Raw, ...]
    micros: tuple[Micro, ...]
    #: per instruction: first and one-past-last index of its micros
    spans: tuple[tuple[int, int], ...]
    #: protected ranges: (first raw, one past last raw, target raw, depth, push_lasti)
    protected: tuple[tuple[int, int, int, int, bool], ...]

    def __len__(self) -> int:
        return len(self.instructions)

    def __getitem__(self, index: int) -> Instr:
        return self.instructions[index]

    @property
    def parameters(self) -> tuple[str, ...]:
        """All parameter names in slot order: positional, keyword-only, then *args, then **kwargs."""
        count = self.argcount + self.kwonlyargcount + self.has_varargs + self.has_varkw
        return self.local_names[:count]

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of all variable slots as CPython lays them out: locals, other cells, free variables."""
        plain = set(self.local_names)
        return self.local_names + tuple(c for c in self.cell_names if c not in plain) + self.free_names

    @property
    def can_suspend(self) -> bool:
        """True for generators and coroutines of every kind."""
        return self.is_generator or self.is_coroutine or self.is_async_generator

    def __str__(self) -> str:
        lines = [f"{self.code.co_qualname} ({self.code.co_filename}:{self.code.co_firstlineno})"]
        for instr, handler in zip(self.instructions, self.handlers):
            lines.append(f"{instr}  -> {handler.target} @{handler.depth}" if handler else str(instr))
        return "\n".join(lines)
