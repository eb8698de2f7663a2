"""Rows too long for one block: the reduction axis walked by loops, one for each depth of reductions.

    depth 0:  for start in ...: accumulate the maximum          then combine the lanes
    depth 1:  for start in ...: accumulate the sum of exp       then combine the lanes
    depth 2:  for start in ...: store exp / sum

Each loop reads again what it needs: pointwise work is repeated rather than kept. A sum of exp(value - maximum) is
accumulated along with the maximum itself (the streaming softmax of Milakov and Gimelshein, arXiv:1805.02867), which
saves one pass over the row.
"""

from __future__ import annotations

from dataclasses import dataclass

from .....errors import InternalError
from ....kernel import Kernel, Store
from ....loops import Expr, points
from ....refusal import Refusal
from ....sizes import size_hint
from ..reading import below, max_that_sum_follows, unique
from ..reductions import (
    combine_function,
    know_scan,
    neutral_text,
    positions,
    reduce_line,
    reducible,
    reducible_dtype,
    row_of,
    scan_operand,
    without_tail,
)
from ..scalars import type_text
from ..sizes import size_text
from ..tiling import Tiling, next_power_of_2, reduces_columns, row_loads, row_tiling, widest
from ..writer import Block, Mask, Value, Writer
from .way import Request


@dataclass(frozen=True)
class Looped:
    """Rows walked by loops."""

    tiling: Tiling

    def write(self, kernel: Kernel) -> Writer:
        loops = _Loops(kernel)
        w = Writer(kernel, self.tiling, loops)
        w.open_axes()
        loops.write(w)
        return w


def plan(request: Request) -> Looped | Refusal:
    """For all kernels with reductions or scans."""
    kernel, options = request.kernel, request.options
    if not request.joins:
        return Refusal("joins-nothing", "heuristic", "neither a reduction nor a scan")
    rows = size_hint(points(kernel.p))
    block, row_block, warps = _blocks(kernel, reduces_columns(kernel), rows, 1 + len(row_loads(kernel)))
    if options.interpreted:
        block = min(next_power_of_2(rows), 64)
    return Looped(row_tiling(kernel, options, block, options.row_block or row_block, warps, "loop"))


def _blocks(kernel: Kernel, columns: bool, rows: int, live: int) -> tuple[int, int, int]:
    """(rows per program, reduction elements per step, warps)."""
    row = size_hint(points(kernel.r))
    if columns:
        block = min(64 if widest(kernel) >= 4 else 128, next_power_of_2(rows))
        step = min(max(8, 2048 // block), next_power_of_2(row))
        return block, step, max(1, min(8, block * step // 256))
    step = min(2048 if live <= 4 else 1024, next_power_of_2(row))
    block = 1 if step >= 512 else min(max(1, 1024 // step), next_power_of_2(rows))
    return block, step, max(1, min(8, block * step // 256))


@dataclass(frozen=True)
class Accumulator:
    """The loop-carried blocks of a reduction: names, their initial values, the axes they have."""

    names: list[str]
    initial: list[str]
    axes: frozenset[str]


class _Loops:
    """The loops of one kernel, while they are written."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.reduces = unique([e for s in kernel.stores for e in below(s.value, s.index) if e.op == "reduce"])
        followers = {id(e): top for e in self.reduces if (top := max_that_sum_follows(e)) is not None}
        #: maximum -> the sum that is accumulated along with it
        self.sums = {id(top): e for e in self.reduces if (top := followers.get(id(e))) is not None}
        self.own = [e for e in self.reduces if id(e) not in followers or self.sums[id(followers[id(e)])] is not e]
        #: values carried by scans of the current loop: (name, initial value)
        self.carries: list[tuple[str, str]] = []

    def write(self, w: Writer) -> None:
        """One loop per reduction depth, then what remains to be stored along r, then what is stored once per row."""
        along_r = [s for s in self.kernel.stores if w.along_r(s)]
        placed = {id(s): self._earliest_loop(s) for s in along_r}
        for depth in sorted({e.args[0].reduce_depth for e in self.own} | set(placed.values())):
            now = [e for e in self.own if e.args[0].reduce_depth == depth]
            self._one_loop(w, now, [s for s in along_r if placed[id(s)] == depth])
        w.stores([s for s in self.kernel.stores if not w.along_r(s)], w.outer)

    def reduce(self, w: Writer, e: Expr) -> None:
        raise InternalError(f"[triton] a reduction is used before its loop ran: {e}\n{self.kernel}")

    def scan(self, w: Writer, e: Expr, conds: tuple[Mask, ...]) -> None:
        """Carry the total of the blocks so far into this one."""
        operand, prefix = scan_operand(w, e)
        combine, position = combine_function(w, e), w.order.index("r")
        keep = ", keep_dims=True" if len(w.order) > 1 else ""
        shape = w.shape(operand.axes - {"r"}) if len(w.order) > 1 else "[]"
        carry = w.fresh(f"{e.attr}_carry")
        self.carries.append((carry, f"tl.full({shape}, {neutral_text(e)}, {type_text(reducible_dtype(e))})"))
        made = w.name_value(Value(f"{combine}({carry}, {prefix})", operand.axes), e.op, True)
        total = f"tl.reduce({operand.text}, {position}, {combine}{keep})"
        w.line(f"{carry} = {combine}({carry}, {total})", True)
        know_scan(w, e, conds, made.text, operand.axes)

    def _earliest_loop(self, s: Store) -> int:
        """The depth at which a store may run: its value is ready, and no later loop reads the buffer again."""
        depth = max((e.reduce_depth for e in below(s.value, s.index)), default=0)
        for e in self.reduces:
            if _reads(s.buffer, below(e.args[0])):
                depth = max(depth, e.args[0].reduce_depth)
        for other in self.kernel.stores:
            exprs = below(other.value, other.index)
            if other is not s and _reads(s.buffer, exprs):
                depth = max(depth, max((b.reduce_depth for b in exprs), default=0))
        return depth

    def _one_loop(self, w: Writer, reduces: list[Expr], stores: list[Store]) -> None:
        r = w.tiling.r
        assert r is not None
        w.inner, self.carries = Block(), []
        size = size_text(r.numel)
        accumulators = [(e, self._accumulate(w, e)) for e in reduces]
        w.stores(stores, w.inner)
        head = [f"for start in range(0, {size}, {r.constant}):", f"    r = start + lanes{w.widen()}"]
        if "r" in w.masks:
            head.append(f"    r_mask = r < {size}")
        lines = [f"    {line}" for line in w.inner.lines]
        carried = [pair for _, a in accumulators for pair in zip(a.names, a.initial)] + self.carries
        w.inner = None
        w.outer.lines += [*(f"{name} = {initial}" for name, initial in carried), *head, *lines]
        for e, a in accumulators:
            self._finish(w, e, a)

    def _accumulate(self, w: Writer, e: Expr) -> Accumulator:
        """Emit the loop body of a reduction."""
        value, dtype = reducible(w, e)
        axes = value.axes | {"r"}
        fill = neutral_text(e)
        name = w.fresh(f"{e.attr}_acc")
        combine = combine_function(w, e)
        initial = f"tl.full({w.shape(axes)}, {fill}, {type_text(dtype)})"
        operand = without_tail(w, value, fill, dtype)
        if row_of(e).is_position:
            at = w.fresh(f"{e.attr}_at")
            last, lane = ((1 << 31) - 1, "tl.int32") if w.wide is False else (1 << 62, "tl.int64")
            w.line(f"{name}, {at} = {combine}({name}, {at}, {operand}, {positions(w, axes)})", True)
            return Accumulator([name, at], [initial, f"tl.full({w.shape(axes)}, {last}, {lane})"], axes)
        if id(e) in self.sums:
            total = w.fresh("sum_acc")
            w.need("streaming_softmax")
            w.line(f"{name}, {total} = streaming_softmax({name}, {total}, {operand})", True)
            return Accumulator([name, total], [initial, f"tl.full({w.shape(axes)}, 0.0, {type_text(dtype)})"], axes)
        w.line(f"{name} = {combine}({name}, {operand})", True)
        return Accumulator([name], [initial], axes)

    def _finish(self, w: Writer, e: Expr, a: Accumulator) -> None:
        """Combine the lanes."""
        combine = combine_function(w, e)
        follower = self.sums.get(id(e))
        if follower is None:
            reduce_line(w, e, a.names, combine, a.axes)
            return
        name, total = a.names
        reduce_line(w, e, [name], combine, a.axes)
        scale = w.call("exp", follower.dtype, [f"{name} - {w.outer.known[e, ()].text}"])
        reduce_line(w, follower, [f"{total} * {scale}"], combine_function(w, follower), a.axes)


def _reads(buffer: str, exprs: list[Expr]) -> bool:
    return any(e.op == "load" and e.attr[0] == buffer for e in exprs)
