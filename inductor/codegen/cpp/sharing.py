"""What threads share: the tasks of a kernel, and the loop over them.

Only variables under which no two points touch the same element may be shared: all of them for plain stores; under a scatter those
that the target counts off by itself. So results never depend on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...graph import Dim
from ...kernel import Kernel, Store
from ...loops import Indirect, Var, points
from ...sizes import size_hint
from .indexing import Memo, dim_text, index_vars
from .writer import Writer

#: tasks enough for many threads
ENOUGH_TASKS = 128


@dataclass(frozen=True)
class Cut:
    """A variable of r cut into chunks of some length, so that threads share one reduction."""

    var: Var
    length: int

    @property
    def count(self) -> str:
        """How many chunks there are, as C++."""
        return pieces(self.var.extent, self.length)


@dataclass(frozen=True)
class Sharing:
    """How the points of p become tasks.

    tasks:   p variables that threads share, outermost first
    blocked: the further variable of p that they share by blocks; block: its elements per task (0: a task has all)
    joins:   whether blocks that follow each other are run as one
    cut:     how r is shared too
    """

    tasks: tuple[Var, ...] = ()
    blocked: Var | None = None
    block: int = 0
    joins: bool = False
    cut: Cut | None = None

    @property
    def blocks(self) -> str:
        """How many blocks there are, as C++."""
        assert self.blocked is not None
        return pieces(self.blocked.extent, self.block)

    @property
    def count(self) -> str:
        """How many tasks there are, as C++."""
        count = dim_text(points(self.tasks))
        if self.block:
            count = f"{count} * {self.blocks}" if self.tasks else self.blocks
        return f"{count} * {self.cut.count}" if self.cut is not None else count

    @property
    def point(self) -> str:
        """The number of the point of the task variables at hand, as C++."""
        return f"task / {self.cut.count}" if self.cut is not None else _linear(self.tasks)

    def size(self) -> int:
        """A guess of how many tasks there are."""
        blocks = -(-size_hint(self.blocked.extent) // self.block) if self.block and self.blocked is not None else 1
        return math.prod(size_hint(v.extent) for v in self.tasks) * blocks


@dataclass(frozen=True)
class Range:
    """The piece of the blocked variable that a task has, as C++; depth: blocks that were opened around it."""

    low: str
    high: str
    depth: int


def shared_variables(kernel: Kernel, vector: Var | None) -> tuple[Var, ...]:
    """The p variables beside the vector's that make up enough tasks, outermost first."""
    chosen: list[Var] = []
    for v in kernel.p:
        if size_hint(points(chosen)) < ENOUGH_TASKS and v != vector and is_shareable(kernel, v):
            chosen.append(v)
    return tuple(chosen)


def is_shareable(kernel: Kernel, v: Var) -> bool:
    """Whether points with different values of `v` touch different elements."""
    return all(_is_disjoint(s, v) for s in kernel.stores)


def _is_disjoint(s: Store, v: Var) -> bool:
    """Whether different values of `v` always write different elements."""
    if s.mode == "store" and not any(isinstance(a, Indirect) for a in s.index.atoms()):
        return v in index_vars(s.index, {})  # a write at a place known beforehand may be done over and over
    if v.extent == 0:
        return True
    step = s.index.coefficient(v)
    if not isinstance(step, int) or step == 0 or not isinstance(v.extent, int):
        return False
    memo: Memo = {}
    others = [(a, c) for a, c in s.index.terms if a != v]
    if any(v in index_vars(replace(s.index, terms=((a, 1),), const=0), memo) for a, _ in others):
        return False
    return all(isinstance(c, int) and c % (abs(step) * v.extent) == 0 for _, c in others)


def open_tasks(w: Writer, sharing: Sharing, inside: tuple[Var, ...] = ()) -> Range:
    """Open the loop over tasks, and inside it the p variables that tasks do not share, but for those that the strategy runs itself
    (`inside`, beside the vector's).
    """
    blocked, block, cut = sharing.blocked, sharing.block, sharing.cut
    low, high = "0", dim_text(blocked.extent) if blocked is not None else "0"
    depth = 0
    if not sharing.tasks and cut is None:
        if block and sharing.joins:
            low, high = name_range(w, "low", "high", f"begin * {block}", f"end * {block}", blocked)
        elif block:
            w.open("for (i64 task = begin; task < end; ++task) {")
            low, high = name_range(w, "low", "high", f"task * {block}", f"low + {block}", blocked)
            depth = 1
    elif len(sharing.tasks) == 1 and not block and cut is None:
        v = sharing.tasks[0]
        w.open(f"for (i64 {v.name} = begin; {v.name} < end; ++{v.name}) {{", v)
        depth = 1
    else:
        w.open("for (i64 task = begin; task < end; ++task) {", *sharing.tasks)
        low, high = _decode(w, sharing, low, high)
        depth = 1
    for v in w.nest.kernel.p:
        if v not in sharing.tasks and v != w.nest.vector and v not in inside:
            w.open(f"for (i64 {v.name} = 0; {v.name} < {dim_text(v.extent)}; ++{v.name}) {{", v)
            depth += 1
    return Range(low, high, depth)


def close_tasks(w: Writer, opened: Range) -> None:
    for _ in range(opened.depth):
        w.close()


def _decode(w: Writer, sharing: Sharing, low: str, high: str) -> tuple[str, str]:
    """A task's number taken apart: the chunk of r, the block of the blocked variable, the p variables."""
    rest = "task"
    cut, block, tasks = sharing.cut, sharing.block, sharing.tasks
    if cut is not None:
        name_range(w, "from", "to", f"{rest} % {cut.count} * {cut.length}", f"from + {cut.length}", cut.var)
        rest = f"task / {cut.count}"
    if block:
        start = f"{rest} % {sharing.blocks} * {block}"
        low, high = name_range(w, "low", "high", start, f"low + {block}", sharing.blocked)
        rest = f"{rest} / {sharing.blocks}"
    take_apart(w, rest, tasks)
    return low, high


def take_apart(w: Writer, number: str, variables: Sequence[Var]) -> None:
    """Name the variables of a point, of which the row-major number is given as C++."""
    for v in reversed(variables[1:]):
        w.line(f"const i64 {v.name} = {number} % {dim_text(v.extent)};")
        number = f"{number} / {dim_text(v.extent)}"
    if variables:
        w.line(f"const i64 {variables[0].name} = {number};")


def name_range(w: Writer, low: str, high: str, start: str, stop: str, v: Var | None) -> tuple[str, str]:
    """Name the ends of a piece of `v`."""
    assert v is not None
    w.line(f"const i64 {low} = {start}, {high} = min<i64>({stop}, {dim_text(v.extent)});")
    return low, high


def pieces(extent: Dim, length: int) -> str:
    """ceil(extent / length) as C++."""
    return str(-(-extent // length)) if isinstance(extent, int) else f"(({dim_text(extent)} + {length - 1}) / {length})"


def _linear(variables: tuple[Var, ...]) -> str:
    """The row-major number of a point of these variables, as C++."""
    text = ""
    for v in variables:
        text = f"({text}) * {dim_text(v.extent)} + {v.name}" if text else v.name
    return text or "0"
