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

from ....errors import InternalError
from ...kernel import Kernel, Store
from ...loops import Expr
from .generator import Block, Generator, Value
from .reading import below, max_that_sum_follows, unique
from .scalars import type_text
from .sizes import size_text
from .tiling import Tiling


@dataclass(frozen=True)
class Accumulator:
    """The loop-carried blocks of a reduction: names, their initial values, the axes they have."""

    names: list[str]
    initial: list[str]
    axes: frozenset[str]


class LoopedGenerator(Generator):
    """The generator for tilings whose axis r is a loop."""

    def __init__(self, kernel: Kernel, tiling: Tiling) -> None:
        super().__init__(kernel, tiling)
        #: values carried by scans of the current loop: (name, initial value)
        self.carries: list[tuple[str, str]] = []

    def _body(self) -> None:
        """One loop per reduction depth, then what remains to be stored along r, then what is stored once per row."""
        reduces = unique([e for s in self.kernel.stores for e in below(s.value, s.index) if e.op == "reduce"])
        followers = {id(e): top for e in reduces if (top := max_that_sum_follows(e)) is not None}
        self.sums = {id(top): e for e in reduces if (top := followers.get(id(e))) is not None}
        own = [e for e in reduces if id(e) not in followers or self.sums[id(followers[id(e)])] is not e]
        along_r = [s for s in self.kernel.stores if self._along_r(s)]
        placed = {id(s): self._earliest_loop(s, reduces) for s in along_r}
        for depth in sorted({e.args[0].reduce_depth for e in own} | set(placed.values())):
            now = [e for e in own if e.args[0].reduce_depth == depth]
            self._one_loop(now, [s for s in along_r if placed[id(s)] == depth])
        self._stores([s for s in self.kernel.stores if not self._along_r(s)], self.outer)

    def _earliest_loop(self, s: Store, reduces: list[Expr]) -> int:
        """The depth at which a store may run: its value is ready, and no later loop reads the buffer again."""
        depth = max((e.reduce_depth for e in below(s.value, s.index)), default=0)
        for e in reduces:
            if _reads(s.buffer, below(e.args[0])):
                depth = max(depth, e.args[0].reduce_depth)
        for other in self.kernel.stores:
            exprs = below(other.value, other.index)
            if other is not s and _reads(s.buffer, exprs):
                depth = max(depth, max((b.reduce_depth for b in exprs), default=0))
        return depth

    def _one_loop(self, reduces: list[Expr], stores: list[Store]) -> None:
        r = self.tiling.r
        assert r is not None
        self.inner, self.carries = Block(), []
        size = size_text(r.numel)
        accumulators = [(e, self._accumulate(e)) for e in reduces]
        self._stores(stores, self.inner)
        head = [f"for start in range(0, {size}, {r.constant}):", f"    r = start + lanes{self._widen()}"]
        if "r" in self.masks:
            head.append(f"    r_mask = r < {size}")
        lines = [f"    {line}" for line in self.inner.lines]
        carried = [pair for _, a in accumulators for pair in zip(a.names, a.initial)] + self.carries
        self.inner = None
        self.outer.lines += [*(f"{name} = {initial}" for name, initial in carried), *head, *lines]
        for e, a in accumulators:
            self._finish(e, a)

    def _accumulate(self, e: Expr) -> Accumulator:
        """Emit the loop body of a reduction."""
        value, dtype = self._reducible(e)
        axes = value.axes | {"r"}
        fill = self._neutral(e)
        name = self._fresh(f"{e.attr}_acc")
        combine = self._combine(e)
        initial = f"tl.full({self._shape(axes)}, {fill}, {type_text(dtype)})"
        operand = self._without_tail(value, fill, dtype)
        if self._row(e).is_position:
            at = self._fresh(f"{e.attr}_at")
            last, lane = ((1 << 31) - 1, "tl.int32") if self.wide is False else (1 << 62, "tl.int64")
            self._line(f"{name}, {at} = {combine}({name}, {at}, {operand}, {self._positions(axes)})", True)
            return Accumulator([name, at], [initial, f"tl.full({self._shape(axes)}, {last}, {lane})"], axes)
        if id(e) in self.sums:
            total = self._fresh("sum_acc")
            self._line(f"{name}, {total} = streaming_softmax({name}, {total}, {operand})", True)
            return Accumulator([name, total], [initial, f"tl.full({self._shape(axes)}, 0.0, {type_text(dtype)})"], axes)
        self._line(f"{name} = {combine}({name}, {operand})", True)
        return Accumulator([name], [initial], axes)

    def _finish(self, e: Expr, a: Accumulator) -> None:
        """Combine the lanes."""
        combine = self._combine(e)
        follower = self.sums.get(id(e))
        if follower is None:
            self._reduce_line(e, a.names, combine, a.axes)
            return
        name, total = a.names
        self._reduce_line(e, [name], combine, a.axes)
        top = self.outer.known[(id(e), ())].text
        self._reduce_line(follower, [f"{total} * libdevice.exp({name} - {top})"], self._combine(follower), a.axes)

    def _reduce(self, e: Expr) -> None:
        raise InternalError(f"[triton] a reduction is used before its loop ran: {e}\n{self.kernel}")

    def _scan_line(self, e: Expr, operand: Value, prefix: str, combine: str, initial: str) -> str:
        """Carry the total of the blocks so far into this one."""
        position = self.order.index("r")
        keep = ", keep_dims=True" if len(self.order) > 1 else ""
        shape = self._shape(operand.axes - {"r"}) if len(self.order) > 1 else "[]"
        carry = self._fresh(f"{e.attr}_carry")
        self.carries.append((carry, f"tl.full({shape}, {initial}, {type_text(self._reducible_dtype(e))})"))
        made = self._name(Value(f"{combine}({carry}, {prefix})", operand.axes), e.op, True)
        total = f"tl.reduce({operand.text}, {position}, {combine}{keep})"
        self._line(f"{carry} = {combine}({carry}, {total})", True)
        return made.text


def _reads(buffer: str, exprs: list[Expr]) -> bool:
    return any(e.op == "load" and e.attr[0] == buffer for e in exprs)
