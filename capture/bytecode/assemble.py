"""From a list of units (real instructions with labels for jump targets) to a code object.

Layout - EXTENDED_ARG prefixes, CACHE entries, jump distances, protected ranges - is done here, by variable slot and by
index, so that what is not changed stays as CPython compiled it. The encodings of bytes, line table and exception
table are those of the `bytecode` package.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass, field

from bytecode import UNSET, CompilerFlags, ConcreteBytecode, ConcreteInstr
from bytecode.concrete import ExceptionTableEntry
from bytecode.instr import InstrLocation

from .raw import cache_entries, has_argument

Position = tuple[int | None, int | None, int | None, int | None]


@dataclass(eq=False)
class Label:
    """A place in a unit list; `at` is the index of the unit it precedes."""

    at: int = -1


@dataclass
class Unit:
    """One real instruction to be laid out. A jump has a `target` and no argument of its own."""

    opname: str
    arg: int = 0
    target: Label | None = None
    position: Position = (None, None, None, None)
    extended: int = 0


@dataclass
class Assembly:
    """Units under construction, and the ranges of them whose exceptions are caught."""

    units: list[Unit] = field(default_factory=list)
    #: (first, one past last, handler, stack depth there, push_lasti); in order, not overlapping
    protected: list[tuple[Label, Label, Label, int, bool]] = field(default_factory=list)
    position: Position = (None, None, None, None)

    def emit(self, opname: str, arg: int = 0, target: Label | None = None) -> None:
        self.units.append(Unit(opname, arg, target, self.position))

    def mark(self, label: Label) -> None:
        label.at = len(self.units)

    def here(self) -> Label:
        return Label(len(self.units))


def assemble(
    assembly: Assembly,
    template: types.CodeType,
    *,
    argcount: int,
    flags: int,
    stacksize: int,
    consts: Sequence[object],
    varnames: Sequence[str],
    freevars: Sequence[str],
) -> types.CodeType:
    """The code object of `assembly`; all that is not given is taken from `template`. All parameters are positional."""
    starts = _layout(assembly.units)
    bytecode = ConcreteBytecode(consts=tuple(consts), names=template.co_names, varnames=varnames)
    bytecode.exception_table = [
        ExceptionTableEntry(starts[first.at], starts[end.at] - 1, starts[target.at], depth, push_lasti)
        for first, end, target, depth, push_lasti in assembly.protected
        if starts[first.at] < starts[end.at]
    ]
    bytecode.name = template.co_name
    bytecode.qualname = template.co_qualname
    bytecode.filename = template.co_filename
    bytecode.first_lineno = template.co_firstlineno
    bytecode.argcount = argcount
    bytecode.posonlyargcount = argcount
    bytecode.kwonlyargcount = 0
    bytecode.flags = CompilerFlags(flags)
    bytecode.freevars = list(freevars)
    bytecode.cellvars = list(template.co_cellvars)
    locations: dict[Position, InstrLocation] = {}
    for unit in assembly.units:
        location = locations.get(unit.position)
        if location is None:
            location = locations[unit.position] = _location(unit.position)
        arg = unit.arg if has_argument(unit.opname) else UNSET
        bytecode.append(ConcreteInstr(unit.opname, arg, location=location, extended_args=unit.extended))
        for _ in range(cache_entries(unit.opname)):
            bytecode.append(ConcreteInstr("CACHE", 0, location=location))
    return bytecode.to_code(stacksize=stacksize, compute_exception_stack_depths=False)


def _location(position: Position) -> InstrLocation:
    line, end_line, col, end_col = position
    if line is None or end_line is None or col is None or end_col is None:
        return InstrLocation(line, None, None, None)
    return InstrLocation(line, end_line, col, end_col)


def _layout(units: list[Unit]) -> list[int]:
    """Fix jump arguments and EXTENDED_ARG counts; gives each unit's offset in code units, and the end.

    Prefixes only ever grow, so the loop ends.
    """
    caches = [cache_entries(unit.opname) for unit in units]
    while True:
        starts = [0]
        for unit, cached in zip(units, caches):
            unit.extended = max(unit.extended, _prefixes(unit.arg))
            starts.append(starts[-1] + unit.extended + 1 + cached)
        stable = True
        for index, unit in enumerate(units):
            if unit.target is not None:
                distance = starts[unit.target.at] - starts[index + 1]
                unit.arg = -distance if "BACKWARD" in unit.opname else distance
                assert unit.arg >= 0, f"{unit.opname} would jump the other way"
                stable = stable and _prefixes(unit.arg) <= unit.extended
        if stable:
            return starts


def _prefixes(arg: int) -> int:
    return max(0, (arg.bit_length() - 1) // 8)
