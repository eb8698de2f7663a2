"""Kernels without anything along r: one value per point, in tiles of one to three axes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .....errors import InternalError
from ....kernel import Kernel
from ....loops import Expr, Var, points
from ....refusal import Refusal
from ....sizes import size_hint
from ..tiling import MANY_PROGRAMS, Axis, Tiling, accesses, next_power_of_2, unit_var, widest
from ..writer import Mask, Writer
from .way import OneBlock, Request


@dataclass(frozen=True)
class Pointwise(OneBlock):
    """One tile per program."""

    def reduce(self, w: Writer, e: Expr) -> None:
        raise InternalError(f"[triton] a reduction in a pointwise kernel: {e}\n{w.kernel}")

    def scan(self, w: Writer, e: Expr, conds: tuple[Mask, ...]) -> None:
        raise InternalError(f"[triton] a scan in a pointwise kernel: {e}\n{w.kernel}")


def plan(request: Request) -> Pointwise | Refusal:
    """For all kernels without reductions and scans."""
    if request.joins:
        return Refusal("joins-elements", "legality", "a reduction or a scan")
    return Pointwise(_tiling(request))


def _tiling(request: Request) -> Tiling:
    kernel, options = request.kernel, request.options
    variables = (*kernel.p, *kernel.r)
    numel = points(variables)
    groups = _axis_groups(kernel, variables) if options.block is None and not options.interpreted else [variables]
    if len(groups) == 1:
        guess = size_hint(numel)
        largest = 65536 if options.interpreted else 1024
        block = min(largest, max(128, next_power_of_2(guess // MANY_PROGRAMS)), next_power_of_2(guess))
        if options.interpreted:
            block = min(largest, next_power_of_2(guess))
        block = options.block or block
        axis = Axis("x", variables, numel, block, "program" if block == 1 else "tile")
        return Tiling((axis,), None, options.num_warps or max(1, min(8, block // 256)))
    side = 64 if widest(kernel) <= 2 else 32
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
    for index in accesses(kernel):
        unit = unit_var(index, variables)
        if unit is not None and size_hint(unit.extent) >= 8:
            cuts.add(variables.index(unit))
    cuts.add(len(variables) - 1)
    ends = sorted(cuts)[-3:]
    starts = [0] + [e + 1 for e in ends[:-1]]
    return [variables[a : b + 1] for a, b in zip(starts, ends)]
