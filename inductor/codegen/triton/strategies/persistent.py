"""Reductions and scans whose rows fit in registers: each in one block, read once."""

from __future__ import annotations

from dataclasses import dataclass

from ....loops import Expr, points
from ....refusal import Refusal
from ....sizes import size_hint
from ..reductions import (
    combine_function,
    know_scan,
    neutral_text,
    positions,
    reduce_line,
    reducible,
    row_of,
    scan_operand,
    without_tail,
)
from ..tiling import MANY_PROGRAMS, next_power_of_2, reduces_columns, row_loads, row_tiling
from ..writer import Mask, Writer
from .way import OneBlock, Request

#: the longest row kept in registers; of neighbouring columns
_LONGEST_ROW = 16384
_LONGEST_COLUMN = 128
#: a row longer than this with several live values is not
_LONG_ROW = 8192
#: row elements times live values that one program may hold
_ROW_BUDGET = 49152


@dataclass(frozen=True)
class Persistent(OneBlock):
    """Whole rows in one block."""

    def reduce(self, w: Writer, e: Expr) -> None:
        value, dtype = reducible(w, e)
        axes = value.axes | {"r"}
        operands = [without_tail(w, value, neutral_text(e), dtype)]
        if row_of(e).is_position:
            operands.append(positions(w, axes))
        reduce_line(w, e, operands, combine_function(w, e), axes)

    def scan(self, w: Writer, e: Expr, conds: tuple[Mask, ...]) -> None:
        operand, prefix = scan_operand(w, e)
        know_scan(w, e, conds, prefix, operand.axes)


def plan(request: Request) -> Persistent | Refusal:
    """For rows of known, moderate length."""
    kernel, options = request.kernel, request.options
    if not request.joins:
        return Refusal("joins-nothing", "heuristic", "neither a reduction nor a scan")
    row = points(kernel.r)
    if not isinstance(row, int):
        return Refusal("unknown-row", "legality", f"{row} elements")
    row_block, columns, live = next_power_of_2(row), reduces_columns(kernel), 1 + len(row_loads(kernel))
    fits = row_block <= (_LONGEST_COLUMN if columns else _LONGEST_ROW) and row_block * live <= _ROW_BUDGET
    if row_block > _LONG_ROW and live > 2:
        fits = False
    if not (fits if options.persistent is None else options.persistent):
        return Refusal("long-rows", "heuristic", f"{row} elements, {live} live values")
    rows = size_hint(points(kernel.p))
    block, warps = _blocks(row_block, columns, rows)
    if options.interpreted:
        block = max(block, min(next_power_of_2(rows), 1 << max(0, 16 - row_block.bit_length())))
    return Persistent(row_tiling(kernel, options, block, row_block, warps, "tile"))


def _blocks(row_block: int, columns: bool, rows: int) -> tuple[int, int]:
    """(rows per program, warps)."""
    if columns:
        block = min(max(16, 2048 // row_block), next_power_of_2(rows), 256)
        return block, max(1, min(8, block * row_block // 256))
    if row_block >= 1024:
        return 1, min(16, row_block // 256)
    block = 1024 // row_block
    while block > 1 and rows // block < MANY_PROGRAMS:
        block //= 2
    return block, max(1, min(4, block * row_block // 256))
