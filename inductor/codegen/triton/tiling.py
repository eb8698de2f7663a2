"""How a kernel's index space is cut: which variables form a tile's axes, how large a block is, how many warps run it.

Outer variables become one to three axes (z, y, x; x innermost), each the row-major run of some variables. More than
one axis is used only where accesses disagree about which variable has stride 1 (a transpose): then each such
variable gets an axis and both sides move whole cache lines. Reduction variables form the axis r: in one block when
a row fits in registers (persistent), else walked by a loop.

All choices are heuristics: any choice is correct, and `TritonOptions` can force another one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...graph import Dim
from ...kernel import Kernel
from ...loops import Index, Var, points, postorder
from ...sizes import size_hint

#: programs that fill a large GPU twice over
_MANY_PROGRAMS = 264
#: the longest row kept in registers
_LONGEST_ROW = 16384
#: row elements times live values that one program may hold
_ROW_BUDGET = 49152


@dataclass(frozen=True)
class TritonOptions:
    """Forced choices; None leaves the choice to the heuristics below.

    block:      outer elements per program (x axis)
    row_block:  reduction elements per step
    persistent: whole rows in registers, or a loop
    interpreted: choose large blocks: under the interpreter each program costs about a millisecond
    """

    block: int | None = None
    row_block: int | None = None
    persistent: bool | None = None
    num_warps: int | None = None
    interpreted: bool = False


@dataclass(frozen=True)
class Axis:
    """One axis of the tile. role: "program" (one index per program, a scalar), "tile" (an arange), "loop" (arange in a loop)."""

    name: str
    vars: tuple[Var, ...]
    numel: Dim
    block: int
    role: str

    @property
    def exact(self) -> bool:
        """Blocks cover the axis without a rest, so no mask is needed."""
        return self.role == "program" or (
            isinstance(self.numel, int) and self.numel > 0 and self.numel % self.block == 0
        )

    @property
    def constant(self) -> str:
        """The name of the block size in the kernel."""
        return f"{self.name.upper()}BLOCK"


@dataclass(frozen=True)
class Tiling:
    """The outer axes (outermost first), the reduction axis if there is one, and the launch options."""

    outer: tuple[Axis, ...]
    r: Axis | None
    num_warps: int

    @property
    def axes(self) -> tuple[Axis, ...]:
        return (*self.outer, self.r) if self.r else self.outer

    @property
    def shaped(self) -> tuple[Axis, ...]:
        """The axes that are dimensions of the tile."""
        return tuple(a for a in self.axes if a.role != "program")


def next_power_of_2(n: int) -> int:
    """The smallest power of two that is at least n (1 for n < 1)."""
    return 1 << max(0, n - 1).bit_length()


def choose_tiling(kernel: Kernel, options: TritonOptions) -> Tiling:
    """The tiling of a kernel."""
    exprs = postorder([s.value for s in kernel.stores])
    if any(e.op in ("reduce", "scan") for e in exprs):
        return _reduction(kernel, options)
    return _pointwise(kernel, options)


# --------------------------------------------------------------------------- pointwise


def _pointwise(kernel: Kernel, options: TritonOptions) -> Tiling:
    variables = (*kernel.p, *kernel.r)
    numel = points(variables)
    groups = _axis_groups(kernel, variables) if options.block is None and not options.interpreted else [variables]
    if len(groups) == 1:
        guess = size_hint(numel)
        largest = 65536 if options.interpreted else 1024
        block = min(largest, max(128, next_power_of_2(guess // _MANY_PROGRAMS)), next_power_of_2(guess))
        if options.interpreted:
            block = min(largest, next_power_of_2(guess))
        block = options.block or block
        axis = Axis("x", variables, numel, block, "program" if block == 1 else "tile")
        return Tiling((axis,), None, options.num_warps or max(1, min(8, block // 256)))
    side = 64 if _widest(kernel) <= 2 else 32
    if len(groups) == 3:
        side = 16
    axes = []
    for name, group in zip("zyx"[-len(groups) :], groups):
        size = points(group)
        block = min(side, next_power_of_2(size_hint(size)))
        axes.append(Axis(name, group, size, block, "program" if block == 1 else "tile"))
    elements = math.prod(a.block for a in axes)
    return Tiling(tuple(axes), None, options.num_warps or max(1, min(8, elements // 512)))


def _axis_groups(kernel: Kernel, variables: tuple[Var, ...]) -> list[tuple[Var, ...]]:
    """Cut the variables after each one that has stride 1 in some access and enough extent to make a tile side."""
    cuts = set()
    for index in _accesses(kernel):
        unit = _unit_var(index, variables)
        if unit is not None and size_hint(unit.extent) >= 8:
            cuts.add(variables.index(unit))
    cuts.add(len(variables) - 1)
    ends = sorted(cuts)[-3:]
    starts = [0] + [e + 1 for e in ends[:-1]]
    return [variables[a : b + 1] for a, b in zip(starts, ends)]


def _accesses(kernel: Kernel) -> list[Index]:
    loads = [e.attr[1] for e in postorder([s.value for s in kernel.stores]) if e.op == "load"]
    return [s.index for s in kernel.stores] + loads


def _unit_var(index: Index, variables: tuple[Var, ...]) -> Var | None:
    """The variable along which neighbours lie side by side in memory."""
    return next((v for v in reversed(variables) if index.coefficient(v) in (1, -1)), None)


def _widest(kernel: Kernel) -> int:
    """Bytes of the largest element type in memory."""
    return max((b.dtype.size for b in kernel.args), default=4)


# --------------------------------------------------------------------------- reductions


def _reduction(kernel: Kernel, options: TritonOptions) -> Tiling:
    numel = points(kernel.p)
    row = points(kernel.r)
    outer_hint = size_hint(numel)
    columns = _reduces_columns(kernel)
    live = 1 + len(_row_loads(kernel))
    row_block = next_power_of_2(row) if isinstance(row, int) else 0
    persistent = 0 < row_block <= (128 if columns else _LONGEST_ROW) and row_block * live <= _ROW_BUDGET
    if row_block > 8192 and live > 2:
        persistent = False
    if options.persistent is not None:
        persistent = options.persistent and row_block > 0
    if persistent:
        block, warps = _persistent_blocks(row_block, columns, outer_hint)
        if options.interpreted:
            block = max(block, min(next_power_of_2(outer_hint), 1 << max(0, 16 - row_block.bit_length())))
    else:
        block, row_block, warps = _looped_blocks(kernel, columns, outer_hint, live)
        if options.interpreted:
            block = min(next_power_of_2(outer_hint), 64)
        row_block = options.row_block or row_block
    block = options.block or block
    warps = options.num_warps or warps
    r = Axis("r", kernel.r, row, row_block, "tile" if persistent else "loop")
    if not kernel.p:
        return Tiling((), r, warps)
    return Tiling((Axis("x", kernel.p, numel, block, "program" if block == 1 else "tile"),), r, warps)


def _persistent_blocks(row_block: int, columns: bool, rows: int) -> tuple[int, int]:
    """(rows per program, warps)."""
    if columns:
        block = min(max(16, 2048 // row_block), next_power_of_2(rows), 256)
        return block, max(1, min(8, block * row_block // 256))
    if row_block >= 1024:
        return 1, min(16, row_block // 256)
    block = 1024 // row_block
    while block > 1 and rows // block < _MANY_PROGRAMS:
        block //= 2
    return block, max(1, min(4, block * row_block // 256))


def _looped_blocks(kernel: Kernel, columns: bool, rows: int, live: int) -> tuple[int, int, int]:
    """(rows per program, reduction elements per step, warps)."""
    row = size_hint(points(kernel.r))
    if columns:
        block = min(64 if _widest(kernel) >= 4 else 128, next_power_of_2(rows))
        step = min(max(8, 2048 // block), next_power_of_2(row))
        return block, step, max(1, min(8, block * step // 256))
    step = min(2048 if live <= 4 else 1024, next_power_of_2(row))
    block = 1 if step >= 512 else min(max(1, 1024 // step), next_power_of_2(rows))
    return block, step, max(1, min(8, block * step // 256))


def _reduces_columns(kernel: Kernel) -> bool:
    """True when neighbours in memory belong to different outputs rather than to one reduction."""
    along_r = along_p = 0
    for load in _row_loads(kernel):
        index = load.attr[1]
        if _unit_var(index, kernel.r) is not None:
            along_r += load.dtype.size
        elif _unit_var(index, kernel.p) is not None:
            along_p += load.dtype.size
    return along_p > along_r


def _row_loads(kernel: Kernel) -> list:
    return [e for e in postorder([s.value for s in kernel.stores]) if e.op == "load" and e.varies_in_r]
