"""Pointwise kernels that read some buffer across the lanes (a transpose): what is contiguous along another variable is read as
square tiles and turned around in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from ....kernel import Store, rewrite_stores
from ....loops import Expr, Var, postorder
from ....refusal import Refusal
from ....sizes import size_hint
from ..indexing import dim_text
from ..nest import Nest
from ..reductions import mask_lane
from ..sharing import Sharing, close_tasks, is_shareable, open_tasks, shared_variables
from ..types import c_name, value_type
from ..writer import Value, Writer
from .pieces import pieces_along
from .way import Array, Function

#: elements of the tile's variable per task
_BLOCK = 256
#: vectors of lanes in a run, where there are more elements than the caches near a core hold
_RUN, _LARGE = 8, 1 << 21
#: fewer elements than this make no side of a tile
_LEAST_SIDE = 4


@dataclass(frozen=True)
class Part:
    """What is stored at the points from low to high (None: the end), where a condition that is the same for all of them holds or
    does not (None: always).
    """

    low: int
    high: int | None
    stores: tuple[Store, ...]
    condition: Expr | None = None
    holds: bool = True

    @property
    def values(self) -> list[Expr]:
        return [s.value for s in self.stores]


@dataclass(frozen=True)
class Tiles:
    """tile: the variable along which the loads are contiguous; parts: its points, cut where conditions of borders change."""

    nest: Nest
    sharing: Sharing
    tile: Var
    parts: tuple[Part, ...]
    note: str = ""

    def functions(self) -> list[Function]:
        return [_emit(self)]

    def arrays(self) -> list[Array]:
        return []


def plan(nest: Nest) -> Tiles | Refusal:
    """For pointwise kernels with loads that the lanes would stride through and another variable would not."""
    kernel, vector = nest.kernel, nest.vector
    if vector is None or vector.is_reduction or kernel.r:
        return Refusal("not-pointwise-in-lanes", "heuristic")
    loads = [e for e in postorder([s.value for s in kernel.stores]) if e.op == "load"]
    along = [v for v in kernel.p if v != vector and any(_is_turned(e, v, vector) for e in loads)]
    parts = {v: tuple(_parts(nest, v)) for v in along}
    counts = {v: sum(len(tiled_loads(nest, v, part.values)) for part in parts[v]) for v in parts}
    tile = max(counts, key=lambda v: counts[v], default=None)
    if tile is None or not counts[tile]:
        return Refusal("no-strided-load", "heuristic", "no load is contiguous along another variable")
    if min(size_hint(tile.extent), size_hint(vector.extent)) < _LEAST_SIDE:
        return Refusal("too-short", "heuristic", f"{tile} < {tile.extent}, {vector} < {vector.extent}")
    if not all(is_shareable(kernel, v) for v in (vector, tile)):
        return Refusal("colliding-stores", "legality", f"points along {vector} or {tile} may write the same element")
    tasks = tuple(v for v in shared_variables(kernel, vector) if v != tile)
    block = max(min(size_hint(tile.extent) // 16, _BLOCK) // nest.lanes, 2) * nest.lanes
    return Tiles(nest, Sharing(tasks, tile, block), tile, parts[tile])


def _parts(nest: Nest, v: Var) -> Iterator[Part]:
    """The parts of a variable's range."""
    stores = nest.kernel.stores
    whole: list[tuple[int, int | None, tuple[Store, ...]]] = [(0, None, stores)]
    for low, high, own in [(p.low, p.high, p.stores) for p in pieces_along(stores, v)] or whole:
        condition = next((c for c in _conditions(own) if not c.vars() & {v, nest.vector}), None)
        if condition is None:
            yield Part(low, high, own)
            continue
        for holds in (True, False):
            chosen = partial(_chosen, condition, holds)
            yield Part(low, high, tuple(rewrite_stores(own, chosen)), condition, holds)


def _conditions(stores: Iterable[Store]) -> Iterator[Expr]:
    return (e.args[0] for e in postorder([s.value for s in stores]) if e.op == "masked")


def _chosen(condition: Expr, holds: bool, e: Expr) -> Expr | None:
    """What stands in place of a choice by this condition."""
    return e.args[1 if holds else 2] if e.op == "masked" and e.args[0] == condition else None


def tiled_loads(nest: Nest, tile: Var, roots: Iterable[Expr]) -> list[Expr]:
    """Loads below `roots` that step by one along `tile` and further along the vector variable, and are done at every point."""
    assert nest.vector is not None
    found: dict[Expr, None] = {}
    stack = list(roots)
    seen: set[Expr] = set()
    while stack:
        e = stack.pop()
        if e in seen:
            continue
        seen.add(e)
        if e.op == "load" and _is_turned(e, tile, nest.vector):
            found[e] = None
        stack.extend(e.args if e.op != "masked" else (e.args[0], e.args[2]))
    return [e for e in found if e.attr[0] not in nest.kernel.writes]


def _is_turned(e: Expr, tile: Var, vector: Var) -> bool:
    """Whether a load steps by one along `tile`, and further along the lanes."""
    i = e.attr[1]
    step = i.coefficient(vector)
    return i.is_affine and i.coefficient(tile) == 1 and not (isinstance(step, int) and step in (0, 1))


def open_squares(w: Writer, u: Var, low: str, high: str) -> None:
    """Begin the loop over a piece of `u` in squares: each has `rows` elements of it, at most as many as lanes, from `tile` on."""
    w.open(f"for (i64 tile = {low}; tile < {high}; tile += {w.N}) {{", u)
    w.line(f"const int rows = (int)min<i64>({w.N}, {high} - tile);")


def turn_square(w: Writer, u: Var, e: Expr, into: str) -> None:
    """Read the square of a load and lay it down turned around: the lanes of the first element along `u`, of the second, ..."""
    assert w.vector is not None
    w.names[u] = "tile"
    place, _ = w.index(e.attr[1])
    del w.names[u]
    kind, stride = w.type_name(value_type(e, True), True), dim_text(e.attr[1].coefficient(w.vector))
    w.line(f"load_turned<{kind}>({into}, {c_name(e.attr[0])} + ({place}), {stride}, n, rows);")


def keep_square(w: Writer, u: Var, e: Expr) -> None:
    """The square of a load in an array, from which it is read from here on."""
    ctype = value_type(e, True)
    name = w.fresh("tile")
    w.line(f"alignas(64) {mask_lane(w.nest) if ctype == 'bool' else ctype} {name}[{w.N * w.N}];")
    turn_square(w, u, e, name)
    w.at_hand[e] = _reader(w, ctype, f"{name} + ({u.name} - tile) * {w.N}")


def open_rows(w: Writer, u: Var) -> None:
    """Begin the loop over the elements of `u` in a square."""
    w.open(f"for (i64 {u.name} = tile; {u.name} < tile + rows; ++{u.name}) {{", u)


def _emit(way: Tiles) -> Function:
    """Lanes and rows of the tile's variable, N rows at a time."""
    nest, u = way.nest, way.tile
    assert nest.vector is not None
    w = Writer(nest)
    opened = open_tasks(w, way.sharing, (u,))
    for part in way.parts:
        low, high = opened.low, opened.high
        if len(way.parts) > 1:
            end = dim_text(u.extent) if part.high is None else str(part.high)
            low, high = f"max<i64>({low}, {part.low})", f"min<i64>({high}, {end})"
        if part.condition is not None:
            w.open(f"if ({'' if part.holds else '!'}{w.value(part.condition).text}) {{")
        _emit_part(w, u, part, low, high)
        if part.condition is not None:
            w.close()
    close_tasks(w, opened)
    return Function(w.blocks[0].lines, way.sharing.count)


def _emit_part(w: Writer, u: Var, part: Part, low: str, high: str) -> None:
    """A part's points: in squares where there is something to turn around. Where memory is far, squares are taken one beside the other for a
    run of lanes, so that each row is stored some lines at a time.
    """
    assert w.vector is not None
    extent = w.vector.extent
    loads = tiled_loads(w.nest, u, part.values)
    if not loads:
        w.open_lanes("0", dim_text(extent))
        w.open(f"for (i64 {u.name} = {low}; {u.name} < {high}; ++{u.name}) {{", u)
        w.stores(part.stores)
        w.close()
        w.close_lanes()
        return
    run = _RUN * w.N
    in_runs = size_hint(extent) >= 2 * run and size_hint(extent) * size_hint(u.extent) >= _LARGE
    if in_runs:
        w.open(f"for (i64 run = 0; run < {dim_text(extent)}; run += {run}) {{")
        open_squares(w, u, low, high)
        w.open_lanes("run", f"min<i64>(run + {run}, {dim_text(extent)})")
    else:
        w.open_lanes("0", dim_text(extent))
        open_squares(w, u, low, high)
    for e in loads:
        keep_square(w, u, e)
    open_rows(w, u)
    w.stores(part.stores)
    w.close()
    if in_runs:
        w.close_lanes()
        w.close()
        w.close()
    else:
        w.close()
        w.close_lanes()
    for e in loads:
        del w.at_hand[e]


def _reader(w: Writer, ctype: str, row: str) -> Callable[[], Value]:
    """Reads one row of a tile."""
    return lambda: Value(f"load_raw<{w.type_name(ctype, True)}>({row}, full)", ctype, True, w.level)
