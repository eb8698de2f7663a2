"""How a kernel's loops will run: which variable goes into vector lanes, which passes over r there are, what threads share.

`make_plan` only looks and decides; `parts.py` and `kernels.py` write the text. Dynamic sizes are weighed by a guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ...dtypes import bool_, int64
from ...kernel import Kernel, Store
from ...loops import Expr, Indirect, Var, expr, postorder
from ...sizes import size_hint
from .cost import choose_vector, lanes_for, nanoseconds
from .indexing import Memo, index_vars

#: a reduction and the condition under which its loads may happen (None: always)
Reduction = tuple[Expr, "Expr | None"]

#: tasks enough for many threads
_TASKS = 128
#: elements of the vector variable per task, where it is cut into blocks
_BLOCK = 4096
#: elements of the tile's variable per task
_TILE_BLOCK = 256
#: the same where a block's running reductions lie in scratch memory (they stay in the first-level cache)
_SCRATCH_BLOCK = 1024
#: rows added up in registers before scratch memory is touched
ROWS = 8
#: fewer points of r than this are reduced in registers alone
_FEW_ROWS = 16
#: a reduction is split among threads where fewer tasks than this remain, and there is this much to do
_FEW_TASKS = 32
_WORTH_SPLITTING = 1 << 17
#: elements of a split reduction per task, at least; and how many tasks at most
_CHUNK = 16384
_CHUNKS = 128


@dataclass(frozen=True)
class Pass:
    """One run over r: the reductions that it completes and the stores that it does on the way."""

    reductions: tuple[Reduction, ...]
    stores: tuple[Store, ...]


@dataclass(frozen=True)
class Plan:
    """The decisions for one kernel.

    kernel:      the vector variable stands last in its space
    vector:      the variable that runs in lanes (None: scalar code); lanes: how many
    passes:      runs over r, in order; final: the stores after them, once per p
    tasks:       p variables that threads share; block: elements of `blocked` per task (0: a task has all)
    blocked:     the further variable of p that threads share by blocks: the tile's, else the vector variable
    tile:        a variable of p along which some loads are contiguous that the lanes would stride through: they are read
                 as square tiles and turned around in registers
    scratch:     lanes run along p and running reductions are kept in memory, rows of r outermost
    split:       the variable of r that is cut into chunks, so that threads share one reduction; chunk: its length
    nanoseconds: estimated time per point on one thread
    """

    kernel: Kernel
    vector_bytes: int
    vector: Var | None
    lanes: int
    passes: tuple[Pass, ...]
    final: tuple[Store, ...]
    tasks: tuple[Var, ...]
    block: int
    blocked: Var | None
    tile: Var | None
    scratch: bool
    split: Var | None
    chunk: int
    nanoseconds: float

    @property
    def along_r(self) -> bool:
        """Whether the lanes run along the reduction."""
        return self.vector is not None and self.vector.is_reduction

    @property
    def in_lanes(self) -> bool:
        """Whether the lanes run along p: each lane is a point of its own."""
        return self.vector is not None and not self.vector.is_reduction


def make_plan(kernel: Kernel, vector_bytes: int) -> Plan:
    """Decide how the kernel runs on vectors of so many bytes."""
    passes, final = find_passes(kernel)
    vector = choose_vector(kernel, vector_bytes, bool(passes))
    N = lanes_for(kernel, vector, vector_bytes) if vector is not None else 1
    if vector is not None:
        kernel = replace(kernel, p=_last(kernel.p, vector), r=_last(kernel.r, vector))
    scratch = vector is not None and not vector.is_reduction and _uses_scratch(kernel, passes)
    tile = find_tile(kernel, vector)
    blocked = vector if tile is None else tile
    tasks, block = _share(kernel, vector, N, _SCRATCH_BLOCK if scratch else _BLOCK)
    if tile is not None:
        tasks = tuple(v for v in tasks if v != tile)
        block = max(min(size_hint(tile.extent) // 16, _TILE_BLOCK) // N, 2) * N
    split, chunk = _split(kernel, passes, final, vector, N, tasks, block, scratch)
    if split is not None:
        tasks, block = tuple(v for v in kernel.p if v != vector), 0
    time = nanoseconds(kernel, vector, N)
    return Plan(
        kernel, vector_bytes, vector, N, passes, final, tasks, block, blocked, tile, scratch, split, chunk, time
    )


def _last(space: tuple[Var, ...], v: Var) -> tuple[Var, ...]:
    return (*(w for w in space if w != v), v) if v in space else space


# --------------------------------------------------------------------------- passes


def find_passes(kernel: Kernel) -> tuple[tuple[Pass, ...], tuple[Store, ...]]:
    """The runs over r, in order, and the stores that follow them once per p.

    A store into a buffer that is also read waits for the last run: until then its old content may be needed.
    """
    reductions = find_reductions(kernel)
    along: list[Store] = []
    final: list[Store] = []
    for s in kernel.stores:
        (along if _varies_in_r(s) else final).append(s)
    depths = [_store_depth(s) for s in along]
    last = max([e.reduce_depth - 1 for e, _ in reductions] + depths, default=-1)
    when = [last if s.buffer in kernel.reads else d for s, d in zip(along, depths)]
    passes = tuple(
        Pass(
            tuple(x for x in reductions if x[0].reduce_depth - 1 == d),
            tuple(s for s, at in zip(along, when) if at == d),
        )
        for d in range(last + 1)
    )
    return passes, tuple(final)


def _varies_in_r(s: Store) -> bool:
    return s.value.varies_in_r or any(v.is_reduction for v in index_vars(s.index, {}))


def _store_depth(s: Store) -> int:
    inside = [a.value.reduce_depth for a in s.index.atoms() if isinstance(a, Indirect)]
    return max([s.value.reduce_depth, *inside])


def find_reductions(kernel: Kernel) -> list[Reduction]:
    """Every reduction below the stores with the mask it stands under, operands before users."""
    found: dict[Reduction, None] = {}
    seen: set[Reduction] = set()
    reading: dict[Expr, bool] = {}

    def reads(e: Expr) -> bool:
        for x in postorder([e], known=reading):
            reading[x] = x.op == "load" or any(reading[b] for b in x.below())
        return reading[e]

    def below(e: Expr, mask: Expr | None) -> list[Reduction]:
        if e.op == "masked":
            cond, inner, other = e.args
            both = cond if mask is None else expr("and", mask, cond, dtype=bool_)
            return [(cond, mask), (inner, both), (other, mask)]
        return [(b, mask) for b in e.below()]

    roots = [e for s in kernel.stores for e in (s.value, expr("index", dtype=int64, attr=s.index))]
    stack: list[tuple[Reduction, bool]] = [((e, None), False) for e in reversed(roots)]
    while stack:
        (e, mask), ready = stack.pop()
        if ready:
            if e.op == "reduce":
                found[e, mask if reads(e) else None] = None
        elif (e, mask) not in seen:
            seen.add((e, mask))
            stack.append(((e, mask), True))
            stack.extend((x, False) for x in reversed(below(e, mask)))
    return list(found)


def has_scan(kernel: Kernel) -> bool:
    """Whether some value runs along r step by step."""
    return any(e.op == "scan" for e in postorder([s.value for s in kernel.stores]))


def find_tile(kernel: Kernel, vector: Var | None) -> Var | None:
    """The variable along which the most strided loads of a pointwise kernel are contiguous."""
    if vector is None or vector.is_reduction or kernel.r:
        return None
    counts = {v: len(tiled_loads(kernel, vector, v)) for v in kernel.p if v != vector}
    best = max(counts, key=lambda v: counts[v], default=None)
    long = best is not None and size_hint(best.extent) >= 4 and size_hint(vector.extent) >= 4
    safe = all(_is_disjoint(s, v) for s in kernel.stores for v in (vector, best) if v is not None)
    return best if best is not None and counts[best] and long and safe else None


def tiled_loads(kernel: Kernel, vector: Var, tile: Var) -> list[Expr]:
    """Loads that step by one along `tile` and further along `vector`, and are done at every point."""
    found: dict[Expr, None] = {}
    stack = [s.value for s in kernel.stores]
    seen: set[Expr] = set()
    while stack:
        e = stack.pop()
        if e in seen:
            continue
        seen.add(e)
        if e.op == "load":
            i = e.attr[1]
            step = i.coefficient(vector)
            if i.is_affine and i.coefficient(tile) == 1 and not (isinstance(step, int) and step in (0, 1)):
                found[e] = None
        stack.extend(e.args if e.op != "masked" else (e.args[0], e.args[2]))
    return [e for e in found if e.attr[0] not in kernel.writes]


# --------------------------------------------------------------------------- threads


def _uses_scratch(kernel: Kernel, passes: tuple[Pass, ...]) -> bool:
    """Many rows: walk memory row by row, for a block of columns at a time, rather than column by column."""
    rows = math.prod(size_hint(v.extent) for v in kernel.r)
    return any(one.reductions for one in passes) and rows > _FEW_ROWS and not has_scan(kernel)


def _share(kernel: Kernel, vector: Var | None, N: int, most: int) -> tuple[tuple[Var, ...], int]:
    """The p variables that make up tasks, outermost first, and the block of the vector variable per task.

    Only variables under which no two points touch the same element may be shared: all of them for plain stores; under a
    scatter those that the target counts off by itself. So results never depend on the number of threads.
    """
    safe = [v for v in kernel.p if all(_is_disjoint(s, v) for s in kernel.stores)]
    chosen: list[Var] = []
    count = 1
    for v in safe:
        if count >= _TASKS or v == vector:
            continue
        chosen.append(v)
        count *= size_hint(v.extent)
    block = 0
    if vector is not None and vector in safe:
        extent = size_hint(vector.extent)
        rest = [v for v in (*kernel.p, *kernel.r) if v not in chosen and v != vector]
        inner = math.prod(size_hint(v.extent) for v in rest)
        wanted = most if most == _SCRATCH_BLOCK else max(most // max(inner, 1), 64)
        if count < _TASKS or most == _SCRATCH_BLOCK:
            block = max(wanted // N, 1) * N
        if isinstance(vector.extent, int) and most == _SCRATCH_BLOCK:
            even = -(-extent // max(1, round(extent / block)))  # blocks of equal length
            block = max(min(-(-even // N) * N, 2 * most), N)
        if extent < 2 * block and chosen and most != _SCRATCH_BLOCK:
            block = 0
    return tuple(chosen), block


def _is_disjoint(s: Store, v: Var) -> bool:
    """Whether different values of `v` always write different elements."""
    if s.mode == "store" and not any(isinstance(a, Indirect) for a in s.index.atoms()):
        return v in index_vars(s.index, {})  # a write at a place known beforehand may be done over and over
    step = s.index.coefficient(v)
    if not isinstance(step, int) or step == 0 or not isinstance(v.extent, int):
        return False
    memo: Memo = {}
    others = [(a, c) for a, c in s.index.terms if a != v]
    if any(v in index_vars(replace(s.index, terms=((a, 1),), const=0), memo) for a, _ in others):
        return False
    return all(isinstance(c, int) and c % (abs(step) * v.extent) == 0 for _, c in others)


def _split(
    kernel: Kernel,
    passes: tuple[Pass, ...],
    final: tuple[Store, ...],
    vector: Var | None,
    N: int,
    tasks: tuple[Var, ...],
    block: int,
    scratch: bool,
) -> tuple[Var | None, int]:
    """The variable of r to cut into chunks for threads, where p alone has too few tasks for them; and the chunk's length.

    Chunks depend on sizes alone, so results do not depend on the number of threads.
    """

    def size(v: Var) -> int:
        return size_hint(v.extent)

    runs = math.prod(map(size, kernel.r))
    count = math.prod(map(size, tasks)) * (-(-size(vector) // block) if block and vector is not None else 1)
    points = runs * math.prod(map(size, kernel.p))
    scatters = any(not all(_is_disjoint(s, v) for v in kernel.p) for s in kernel.stores)
    if not any(one.reductions for one in passes) or scatters or has_scan(kernel):
        return None, 0
    if vector is not None and not vector.is_reduction and not (scratch and size(vector) <= 2 * _SCRATCH_BLOCK):
        return None, 0
    if vector is not None and not vector.is_reduction and not isinstance(vector.extent, int):
        return None, 0
    if count >= _FEW_TASKS or points < _WORTH_SPLITTING or runs < 256:
        return None, 0
    widest = max(kernel.r, key=size)
    per_step = points // max(size(widest) * count, 1) if scratch else runs // max(size(widest), 1)
    least = 4 * _CHUNK if scratch else _CHUNK
    length = max(-(-least // max(per_step, 1)), -(-size(widest) // _CHUNKS) if isinstance(widest.extent, int) else 1)
    grain = 4 * N if widest == vector else ROWS
    return widest, -(-length // grain) * grain
