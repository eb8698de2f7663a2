"""How a kernel's index space is cut: which variables form a tile's axes, how large a block is, how many warps run it.

Outer variables become one to three axes (z, y, x; x innermost), each the row-major run of some variables. More than
one axis is used only where accesses disagree about which variable has stride 1 (a transpose): then each such
variable gets an axis and both sides move whole cache lines. Reduction variables form the axis r: in one block when
a row fits in registers (persistent), else walked by a loop.

All choices are heuristics: any choice is correct, and `TritonOptions` can force another one.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...graph import Dim
from ...kernel import Kernel
from ...loops import Index, Var, points, postorder

#: programs that fill a large GPU twice over
MANY_PROGRAMS = 264


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
    """One axis of the tile. role: "program" (one index per program, a scalar), "tile" (an arange), "loop" (arange in a loop).

    dim: the dimension of the tile that it is; None: its place among the axes that are dimensions
    """

    name: str
    vars: tuple[Var, ...]
    numel: Dim
    block: int
    role: str
    dim: int | None = None

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
    """The outer axes (outermost first), the reduction axis if there is one, and the launch options.

    k: the reduction axis once more, for a left operand: it lies along another dimension there
    """

    outer: tuple[Axis, ...]
    r: Axis | None
    num_warps: int
    num_stages: int = 1
    k: Axis | None = None

    @property
    def axes(self) -> tuple[Axis, ...]:
        return (*self.outer, *(a for a in (self.r, self.k) if a is not None))

    @property
    def shaped(self) -> tuple[Axis, ...]:
        """The axes that are dimensions of the tile."""
        return tuple(a for a in self.axes if a.role != "program")

    @property
    def dims(self) -> tuple[tuple[Axis, ...], ...]:
        """The axes that lie along each dimension of the tile; a value varies along one of them at most."""
        places: dict[int, tuple[Axis, ...]] = {}
        for i, a in enumerate(self.shaped):
            place = i if a.dim is None else a.dim
            places[place] = (*places.get(place, ()), a)
        return tuple(places[i] for i in sorted(places))


def next_power_of_2(n: int) -> int:
    """The smallest power of two that is at least n (1 for n < 1)."""
    return 1 << max(0, n - 1).bit_length()


def row_tiling(kernel: Kernel, options: TritonOptions, block: int, row_block: int, warps: int, role: str) -> Tiling:
    """All of p as one axis in blocks of rows, and r in steps of `row_block`; role: of the axis r."""
    block, warps = options.block or block, options.num_warps or warps
    r = Axis("r", kernel.r, points(kernel.r), row_block, role)
    if not kernel.p:
        return Tiling((), r, warps)
    return Tiling((Axis("x", kernel.p, points(kernel.p), block, "program" if block == 1 else "tile"),), r, warps)


# --------------------------------------------------------------------------- what heuristics look at


def accesses(kernel: Kernel) -> list[Index]:
    loads = [e.attr[1] for e in postorder([s.value for s in kernel.stores]) if e.op == "load"]
    return [s.index for s in kernel.stores] + loads


def unit_var(index: Index, variables: tuple[Var, ...]) -> Var | None:
    """The variable along which neighbours lie side by side in memory."""
    return next((v for v in reversed(variables) if index.coefficient(v) in (1, -1)), None)


def widest(kernel: Kernel) -> int:
    """Bytes of the largest element type in memory."""
    return max((b.dtype.size for b in kernel.args), default=4)


def reduces_columns(kernel: Kernel) -> bool:
    """True when neighbours in memory belong to different outputs rather than to one reduction."""
    along_r = along_p = 0
    for load in row_loads(kernel):
        index = load.attr[1]
        if unit_var(index, kernel.r) is not None:
            along_r += load.dtype.size
        elif unit_var(index, kernel.p) is not None:
            along_p += load.dtype.size
    return along_p > along_r


def row_loads(kernel: Kernel) -> list:
    return [e for e in postorder([s.value for s in kernel.stores]) if e.op == "load" and e.varies_in_r]
