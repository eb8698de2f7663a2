"""Points of p one after the other or in lanes; at each, its passes over r. What every kernel can be emitted as.

lanes along r   one row at a time: vector accumulators, folded at the row's end
lanes along p   each lane its own point: r is a loop around vectors (few rows of r)
no r            pointwise
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ....loops import Expr, Var, points, postorder
from ....loops.reducers import REDUCERS
from ....sizes import size_hint
from ..emit import HEAVY
from ..indexing import dim_text
from ..nest import Nest, Pass
from ..reductions import accumulate, declare, finish, first_position, is_float_sum, is_position, position_in
from ..sharing import ENOUGH_TASKS, Cut, Sharing, close_tasks, is_shareable, open_tasks, shared_variables
from ..types import value_type
from ..writer import Value, Writer
from .way import Array, Function

#: points of r per task, where the vector variable is cut into blocks
_BLOCK = 4096
#: vectors of floats summed one after the other before they go to an outer total: bounds the rounding error
_RUN = 512
#: rows up to this long are kept between passes, if a value costs this much (in units of `HEAVY`)
_KEEP = 16384
_COSTLY = 25


@dataclass(frozen=True)
class Rows:
    """Passes over r at each point, or at each vector of points."""

    nest: Nest
    sharing: Sharing
    note: str = ""

    def functions(self) -> list[Function]:
        return [emit_points(self.nest, self.sharing, emit_passes)]

    def arrays(self) -> list[Array]:
        return []


def plan(nest: Nest) -> Rows:
    """Always possible."""
    return Rows(nest, share_rows(nest))


def share_rows(nest: Nest) -> Sharing:
    """Tasks of whole points, the vector variable in blocks where they are few."""
    kernel, vector, N = nest.kernel, nest.vector, nest.lanes
    tasks = shared_variables(kernel, vector)
    if vector is None or not is_shareable(kernel, vector) or vector.is_reduction:
        return Sharing(tasks, vector, 0, joins=True)
    inner = size_hint(points(v for v in (*kernel.p, *kernel.r) if v not in tasks and v != vector))
    block = max(max(_BLOCK // max(inner, 1), 64) // N, 1) * N if size_hint(points(tasks)) < ENOUGH_TASKS else 0
    if tasks and size_hint(vector.extent) < 2 * block:
        block = 0
    return Sharing(tasks, vector, block, joins=True)


def emit_points(nest: Nest, sharing: Sharing, emit_point: Callable[[Writer], None]) -> Function:
    """A function that does `emit_point` at each point of p, or at each vector of them."""
    w = Writer(nest)
    opened = open_tasks(w, sharing)
    if nest.in_lanes:
        w.open_lanes(opened.low, opened.high)
    emit_point(w)
    if nest.in_lanes:
        w.close_lanes()
    close_tasks(w, opened)
    return Function(w.blocks[0].lines, sharing.count)


def emit_passes(w: Writer) -> None:
    """All passes of a point, and its final stores."""
    kept = _kept_rows(w)
    for e, (_, row) in kept.items():
        w.line(f"alignas(64) {value_type(e, True)} {row}[{points(w.nest.kernel.r)}];")
    for number, one in enumerate(w.nest.passes):
        states = declare_states(w, one)
        emit_pass(w, one, states, keep={e: row for e, (first, row) in kept.items() if first == number})
        for state, x in zip(states, one.reductions):
            finish(w, state, x)
    w.stores(w.nest.final)


def declare_states(w: Writer, one: Pass, cut: Cut | None = None) -> list[str]:
    """Declare the running states of a pass over r, or over the chunk at hand of it."""
    start = first_position(w.nest.kernel.r, cut.var) if cut is not None else ""
    return [declare(w, e, _unroll(w.nest, one), start) for e in one.reductions]


def emit_pass(
    w: Writer, one: Pass, states: list[str], *, keep: dict[Expr, str] | None = None, cut: Cut | None = None
) -> None:
    """One run over r, or over the chunk at hand of it. keep: values to write into arrays for the passes that follow."""
    nest, r = w.nest, w.nest.kernel.r
    inner = nest.vector if nest.along_r else None
    scalar = [v for v in r if v != inner]
    for v in scalar:
        open_r(w, v, cut)
    runs = _open_row(w, one, inner, cut) if inner is not None else False
    for e in scans_of(
        one
    ):  # each takes its step here, whoever reads it: under a condition, lane by lane, in a loop of its own
        w.value(e)
    accumulate(w, states, one.reductions, one.stores)
    for e, row in (keep or {}).items():
        position, _ = w.index(position_in(r))
        w.line(f"store({row} + ({position}), {w.as_vector(w.value(e))}, n);")
        w.at_hand[e] = _reader(w, e, row)
    if inner is not None:
        w.close_lanes()
    if runs:
        for state, e in zip(states, one.reductions):
            if not REDUCERS[e.attr].exact:
                w.line(f"{state}.flush();")
        w.close()
    for _ in scalar:
        w.close()


def r_range(v: Var, cut: Cut | None) -> tuple[str, str]:
    """The ends of a variable of r, or of the chunk at hand of it."""
    return ("from", "to") if cut is not None and v == cut.var else ("0", dim_text(v.extent))


def open_r(w: Writer, v: Var, cut: Cut | None) -> None:
    """Begin a scalar loop over a variable of r."""
    low, high = r_range(v, cut)
    w.open(f"for (i64 {v.name} = {low}; {v.name} < {high}; ++{v.name}) {{", v)


def _open_row(w: Writer, one: Pass, v: Var, cut: Cut | None) -> bool:
    """Open the loop of lanes along r; a long run with float sums is cut into runs of bounded length."""
    sums = any(is_float_sum(e) for e in one.reductions)
    length = cut.length if cut is not None and v == cut.var else v.extent
    run, unroll = _RUN * w.nest.lanes, _unroll(w.nest, one)
    long = sums and (not isinstance(length, int) or length > 2 * run)
    low, high = r_range(v, cut)
    copy = "auto k" if one.reductions else "auto"
    if not long:
        w.open_lanes(low, high, unroll, copy)
        return False
    w.open(f"for (i64 run = {low}; run < {high}; run += {run}) {{")
    w.open_lanes("run", f"min<i64>(run + {run}, {high})", unroll, copy)
    return True


def _unroll(nest: Nest, one: Pass) -> int:
    """Independent accumulators hide the latency of additions; costly bodies hide it by themselves."""
    if not nest.along_r or not one.reductions or scans_of(one) or any(is_position(e) for e in one.reductions):
        return 1
    exprs = postorder([e.args[0] for e in one.reductions] + [s.value for s in one.stores], through_indirect=False)
    cost = sum(1 + HEAVY.get(e.op, 0) / 5 for e in exprs if e.op not in ("const", "reduce"))
    return 4 if cost <= 8 else 2 if cost <= 16 else 1


# --------------------------------------------------------------------------- rows kept between passes


def _kept_rows(w: Writer) -> dict[Expr, tuple[int, str]]:
    """Costly values that several passes need: expression -> (the pass that computes it, the array that keeps a row of it).

    The row stays in the cache, so reading it again is cheaper than another exponential.
    """
    nest, passes = w.nest, w.nest.passes
    row = points(nest.kernel.r)
    if not nest.along_r or len(passes) < 2 or not isinstance(row, int) or row > _KEEP:
        return {}
    kept: dict[Expr, tuple[int, str]] = {}
    needed = [_needed(one, under_masks=False) for one in passes]
    for number, one in enumerate(passes[1:], 1):
        stack, seen = _roots(one), set()
        while stack:
            e = stack.pop()
            if e in seen or e.op == "reduce" or not e.varies_in_r:
                continue
            seen.add(e)
            first = next((i for i in range(number) if e in needed[i]), number)
            if e in kept or (first < number and e.dtype.is_float and _own_cost(e) >= _COSTLY):
                kept.setdefault(e, (first, w.fresh("row")))
                continue
            stack.extend(e.args if e.op != "masked" else (e.args[0], e.args[2]))
    return kept


def _reader(w: Writer, e: Expr, row: str) -> Callable[[], Value]:
    def read() -> Value:
        text, level = w.index(position_in(w.nest.kernel.r))
        ctype = value_type(e, True)
        return Value(f"load<{w.type_name(ctype, True)}>({row} + ({text}), n)", ctype, True, level)

    return read


def _roots(one: Pass) -> list[Expr]:
    """What a pass evaluates at each point of r."""
    return [e.args[0] for e in one.reductions] + [root for s in one.stores for root in s.roots]


def _needed(one: Pass, under_masks: bool = True) -> dict[Expr, None]:
    """What a pass evaluates at each point of r, finished reductions aside; without `under_masks`, at surely every point."""
    found: dict[Expr, None] = {}
    stack = _roots(one)
    while stack:
        e = stack.pop()
        if e not in found and e.op != "reduce":
            found[e] = None
            stack.extend(e.below() if under_masks or e.op != "masked" else (e.args[0], e.args[2]))
    return found


def _own_cost(root: Expr) -> float:
    """Nanoseconds times 100 per lane that computing `root` takes, finished reductions aside."""
    total, stack, seen = 0.0, [root], set()
    while stack:
        e = stack.pop()
        if e not in seen and e.op != "reduce":
            seen.add(e)
            total += HEAVY.get(e.op, 2)
            stack.extend(e.args)
    return total


def scans_of(one: Pass) -> list[Expr]:
    """The running prefixes that a pass computes."""
    return [e for e in _needed(one) if e.op == "scan"]
