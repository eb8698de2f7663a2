"""Reductions in C++: the type of a running state, taking values in, and naming what comes out.

The states are templates of kernels/cpu/reduce.h.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...kernel import Store
from ...loops import Expr, Index, Var, linearize, points
from ...loops.reducers import REDUCERS, reducer
from .emit import reducer_name
from .indexing import dim_text
from .nest import Nest
from .writer import Value, Writer


def is_float_sum(e: Expr) -> bool:
    """Whether rounding errors add up: such reductions run in pieces of bounded length."""
    return e.dtype.is_float and not REDUCERS[e.attr].exact


def is_position(e: Expr) -> bool:
    """Whether the result is a position."""
    return REDUCERS[e.attr].is_position


def joiner(e: Expr) -> str:
    """The struct that joins two values."""
    return reducer_name(reducer(e.attr, e.dtype))


def direction(e: Expr) -> int:
    """1 where a position of the largest value is looked for, -1 for the smallest."""
    return 1 if REDUCERS[e.attr].neutral == "lowest" else -1


def lane_types(nest: Nest, e: Expr) -> list[str]:
    """C++ types of one lane of a reduction's state, as it lies in arrays."""
    types = nest.accumulator_types(e)
    if not nest.in_lanes and nest.vector is not None and len(types) == 2:
        types = (types[0], "i64")
    return [mask_lane(nest) if t == "bool" else t for t in types]


def mask_lane(nest: Nest) -> str:
    """The type of one lane of a mask (bool in scalar code)."""
    return "bool" if nest.vector is None else f"i{8 * nest.vector_bytes // nest.lanes}"


def state_type(w: Writer, e: Expr, unroll: int = 1) -> str:
    """The C++ type of a running state."""
    names = [w.type_name(t, w.nest.vector is not None) for t in w.nest.accumulator_types(e)]
    if is_position(e):
        return f"ArgAccumulator<{direction(e)}, {', '.join(names)}>"
    return f"Accumulator<{joiner(e)}, {names[0]}, {unroll}>"


def declare(w: Writer, e: Expr, unroll: int = 1, start: str = "") -> str:
    """Declare a running state, and give its name. start: the position that is counted from."""
    state = w.fresh("a")
    w.line(f"{state_type(w, e, unroll)} {state}{f'({start})' if start and is_position(e) else ''};")
    return state


def accumulate(w: Writer, states: Sequence[str], reductions: Sequence[Expr], stores: Sequence[Store]) -> None:
    """What happens at one point of r: every state takes its value in, and the pass's stores are done."""
    for state, e in zip(states, reductions):
        _take(w, state, e)
    w.stores(stores)


def _take(w: Writer, state: str, e: Expr) -> None:
    nest = w.nest
    types = nest.accumulator_types(e)
    value = w.as_type(w.value(e.args[0]), types[0])
    text = w.as_vector(value) if nest.vector is not None else value.text
    active = "n" if nest.along_r else "full"
    if not is_position(e):
        w.line(f"{state}.add({text}, {active}, {'k' if nest.along_r else 'Int<0>{}'});")
        return
    position, _ = w.index(position_in(nest.kernel.r))
    if nest.vector is not None:
        kind = w.type_name(types[1], True)
        position = f"count<{kind}>({position})" if nest.along_r else f"splat<{kind}>({position})"
    w.line(f"{state}.add({text}, {position}, {active});")


def result_type(nest: Nest, e: Expr) -> str:
    """The element type in which a finished reduction is known."""
    types = nest.accumulator_types(e)
    if nest.in_lanes:
        return types[-1]
    if is_position(e) or (types[0] == "i32" and e.dtype.name == "int64"):
        return "i64"
    return types[0]


def finish(w: Writer, state: str, e: Expr) -> None:
    """Name a finished reduction in the block around its loops."""
    ctype, lanes = result_type(w.nest, e), w.nest.in_lanes
    part = (".at" if is_position(e) else ".all()") if lanes else ".truth()" if ctype == "bool" else ".value()"
    name = w.fresh()
    w.line(f"{w.type_name(ctype, lanes)} {name} = {state}{part};")
    know(w, e, Value(name, ctype, lanes, w.level, is_name=True))


def know(w: Writer, e: Expr, value: Value) -> None:
    """Make a finished reduction known in its block."""
    w.blocks[value.level].values[e, None] = value


def position_in(r: tuple[Var, ...]) -> Index:
    """The row-major position of a point of r."""
    return linearize((Index(((v, 1),)) for v in r), (v.extent for v in r))


def first_position(r: tuple[Var, ...], cut: Var) -> str:
    """The first position of a chunk, which begins at `from`."""
    return f"from * {dim_text(points(r[r.index(cut) + 1 :]))}"
