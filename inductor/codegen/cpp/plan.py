"""How a kernel's loops will run: which variable goes into vector lanes, which passes over r there are, what threads share.

`make_plan` only looks and decides; `kernels.py` writes the text. All sizes are weighed by hints where they are dynamic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ...dtypes import bool_, int64
from ...graph import Dim
from ...loops import Expr, Index, Indirect, Kernel, Store, Var, expr, postorder
from ..simplify_loops import is_order_sensitive, simplify, size_hint
from .emit import HEAVY
from .expressions import SIZES, value_type
from .indexing import free_vars, index_vars, stride_along
from .ranges import sum_fits_i32

#: a reduction and the condition under which its loads may happen (None: always)
Reduction = tuple[Expr, "Expr | None"]

#: work enough per task that decoding its number costs nothing, and tasks enough for many threads
_TASKS = 128
_BLOCK = 4096


@dataclass(frozen=True)
class Pass:
    """One run over r: the reductions that it completes and the stores that it does on the way."""

    reductions: tuple[Reduction, ...]
    stores: tuple[Store, ...]


@dataclass(frozen=True)
class Plan:
    """kernel: simplified, the vector variable last in its space. tasks: the p variables that threads share;
    block: elements of the vector variable per task (0: a task has all of it). nanoseconds: estimated time per point."""

    kernel: Kernel
    vector: Var | None
    lanes: int
    vector_bytes: int
    passes: tuple[Pass, ...]
    final: tuple[Store, ...]
    tasks: tuple[Var, ...]
    block: int
    nanoseconds: float

    @property
    def along_r(self) -> bool:
        """Whether the lanes run along the reduction."""
        return self.vector is not None and self.vector.is_reduction


def make_plan(kernel: Kernel, vector_bytes: int) -> Plan:
    """Simplify the kernel and decide how it runs on vectors of so many bytes."""
    kernel = simplify(kernel)
    passes, final = find_passes(kernel)
    vector = choose_vector(kernel, vector_bytes)
    N = lanes_for(kernel, vector, vector_bytes) if vector is not None else 1
    if vector is not None:
        p, r = (
            tuple(v for v in space if v != vector) + ((vector,) if vector in space else ())
            for space in (kernel.p, kernel.r)
        )
        kernel = replace(kernel, p=p, r=r)
    tasks, block = share(kernel, vector, N)
    return Plan(kernel, vector, N, vector_bytes, passes, final, tasks, block, _nanoseconds(kernel, vector, N))


# --------------------------------------------------------------------------- passes


def find_passes(kernel: Kernel) -> tuple[tuple[Pass, ...], tuple[Store, ...]]:
    """The runs over r, in order, and the stores that follow them once per p.

    A store into a buffer that is also read waits for the last run: until then its old content may be needed.
    """
    reductions = find_reductions(kernel)
    along: list[Store] = []
    final: list[Store] = []
    for s in kernel.stores:
        (along if store_varies_in_r(s) else final).append(s)
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


def store_varies_in_r(s: Store) -> bool:
    return s.value.varies_in_r or any(v.is_reduction for v in index_vars(s.index, {}))


def _store_depth(s: Store) -> int:
    inside = [a.value.reduce_depth for a in s.index.atoms() if isinstance(a, Indirect)]
    return max([s.value.reduce_depth, *inside])


def find_reductions(kernel: Kernel) -> list[Reduction]:
    """Every reduction below the stores with the mask it stands under, operands before users."""
    found: dict[Reduction, None] = {}
    seen: set[tuple[Expr, Expr | None]] = set()

    def below(e: Expr) -> Iterable[Expr]:
        yield from e.args
        if e.op in ("index", "load"):
            index = e.attr if e.op == "index" else e.attr[1]
            yield from (a.value for a in index.atoms() if isinstance(a, Indirect))

    def visit(e: Expr, mask: Expr | None) -> None:
        if (e, mask) in seen:
            return
        seen.add((e, mask))
        if e.op == "masked":
            cond, inner, other = e.args
            visit(cond, mask)
            visit(inner, cond if mask is None else expr("and", mask, cond, dtype=bool_))
            visit(other, mask)
            return
        for b in below(e):
            visit(b, mask)
        if e.op == "reduce":
            reads = any(x.op == "load" for x in postorder([e]))
            found[e, mask if reads else None] = None

    for s in kernel.stores:
        visit(s.value, None)
        visit(expr("index", dtype=int64, attr=s.index), None)
    return list(found)


# --------------------------------------------------------------------------- lanes


def lanes_for(kernel: Kernel, vector: Var, vector_bytes: int) -> int:
    """Lanes such that the widest value computed in them fills one register."""
    widest = 1
    memo: dict[Expr, frozenset[Var]] = {}
    direct = {s.value for s in kernel.stores}
    for e in postorder([s.value for s in kernel.stores], through_indirect=False):
        if e.op == "reduce":
            inside = vector in free_vars(e.args[0], memo)
            if inside or vector.is_reduction:
                widest = max(widest, *(SIZES[t] for t in accumulator_types(kernel, e, vector, e in direct)))
        elif vector in free_vars(e, memo) and e.dtype != bool_:
            widest = max(widest, SIZES[value_type(e, True)])
    return max(vector_bytes // widest, 2)


def accumulator_types(kernel: Kernel, e: Expr, vector: Var | None, stored_as_is: bool) -> tuple[str, ...]:
    """Element types of a reduction's running state in lanes: the value's, and the position's for argmax and argmin."""
    extents = [v.extent for v in kernel.r]
    may_narrow = vector is not None and (vector.is_reduction or stored_as_is)
    if e.attr in ("argmax", "argmin"):
        short = may_narrow and all(isinstance(x, int) for x in extents) and math.prod(extents) < 1 << 31  # type: ignore[arg-type]
        inner = "i32" if e.args[0].dtype == bool_ else value_type(e.args[0], vector is not None)
        return inner, "i32" if short else "i64"
    if e.dtype == int64 and e.attr == "sum" and may_narrow and sum_fits_i32(e.args[0], list(extents)):
        return ("i32",)
    if e.dtype == int64 and e.attr in ("max", "min") and may_narrow:
        return (value_type(e.args[0], True),)
    return (value_type(e, False),)


def choose_vector(kernel: Kernel, vector_bytes: int) -> Var | None:
    """The variable whose lanes make the points cheapest, or None for scalar loops."""
    candidates = [*kernel.p]
    if kernel.r and find_passes(kernel)[0]:
        candidates += kernel.r[-1:] if is_order_sensitive(kernel) else kernel.r
    best, best_cost = None, _cost(kernel, None, 1)
    for v in candidates:
        if size_hint(v.extent, kernel.hints) < 2:
            continue
        cost = _cost(kernel, v, lanes_for(kernel, v, vector_bytes))
        if cost < best_cost * 0.999:
            best, best_cost = v, cost
    return best


def accesses(kernel: Kernel) -> list[tuple[Index, float]]:
    """Every load and store with its weight."""
    found = [
        (e.attr[1], 1.0) for e in postorder([s.value for s in kernel.stores], through_indirect=False) if e.op == "load"
    ]
    return found + [(s.index, 2.0 if s.mode == "store" else 4.0) for s in kernel.stores]


def _cost(kernel: Kernel, v: Var | None, N: int) -> float:
    """Relative time per point with `v` in N lanes: instructions per vector, spread over the lanes in use."""
    exprs = postorder([s.value for s in kernel.stores], through_indirect=False)
    ops = sum(1 + HEAVY.get(e.op, 0) / 5 for e in exprs if e.op not in ("const", "load", "index"))
    if v is None:
        return 4 * ops + sum(weight for _, weight in accesses(kernel))
    total = float(ops)
    memo: dict[Expr, frozenset[Var]] = {}
    for index, weight in accesses(kernel):
        stride = stride_along(index, v, memo)
        total += weight * (1 if stride == 1 else 0.5 if stride is not None and stride == 0 else 1.5 * N)
    extent = size_hint(v.extent, kernel.hints)
    cost = total * math.ceil(extent / N) / extent
    if v.is_reduction:
        run = math.prod(size_hint(x.extent, kernel.hints) for x in kernel.r)
        cost += 25 * sum(1 for e in exprs if e.op == "reduce") / max(run, 1)
    return cost


def _nanoseconds(kernel: Kernel, vector: Var | None, N: int) -> float:
    """Estimated time per point on one thread: only to decide whether threads are worth starting."""
    exprs = postorder([s.value for s in kernel.stores], through_indirect=False)
    heavy = sum(HEAVY.get(e.op, 2) / 100 for e in exprs if e.op not in ("const", "load", "index"))
    if vector is None:
        return 0.5 * len(exprs) + heavy * 5
    memory = 0.0
    memo: dict[Expr, frozenset[Var]] = {}
    for index, weight in accesses(kernel):
        stride = stride_along(index, vector, memo)
        memory += weight * (0.1 if stride == 1 else 0.01 if stride is not None and stride == 0 else 0.8)
    return memory + heavy * 16 / N


# --------------------------------------------------------------------------- threads


def share(kernel: Kernel, vector: Var | None, N: int) -> tuple[tuple[Var, ...], int]:
    """The p variables that make up tasks, outermost first, and the block of the vector variable per task.

    Only variables under which no two points touch the same element may be shared: all of them for plain stores; under a
    scatter those that the target counts off by itself. So results never depend on the number of threads.
    """
    safe = [v for v in kernel.p if all(_is_disjoint(s, v) for s in kernel.stores)]
    lanes_in_p = vector is not None and not vector.is_reduction
    outer = [v for v in safe if v != vector]
    chosen: list[Var] = []
    count = 1
    for v in outer:
        if count >= _TASKS:
            break
        chosen.append(v)
        count *= size_hint(v.extent, kernel.hints)
    block = 0
    if lanes_in_p and vector in safe and count < _TASKS:
        extent = size_hint(vector.extent, kernel.hints)
        inner = math.prod(
            size_hint(v.extent, kernel.hints) for v in (*kernel.p, *kernel.r) if v not in chosen and v != vector
        )
        block = max(_BLOCK // max(inner, 1), 64) // N * N or N
        if extent < 2 * block and chosen:
            block = 0
    return tuple(chosen), block


def _is_disjoint(s: Store, v: Var) -> bool:
    """Whether different values of `v` always write different elements."""
    if s.mode == "store" and not any(isinstance(a, Indirect) for a in s.index.atoms()):
        return True
    step = s.index.coefficient(v)
    if not isinstance(step, int) or step == 0 or not isinstance(v.extent, int):
        return False
    others = [c for a, c in s.index.terms if a != v]
    if any(v in index_vars(Index(((a, 1),)), {}) for a, _ in s.index.terms if a != v):
        return False
    return all(isinstance(c, int) and c % (abs(step) * v.extent) == 0 for c in others)


def total_points(spaces: Iterable[Var]) -> Dim:
    """Number of points of a loop space."""
    total: Dim = 1
    for v in spaces:
        total = total * v.extent
    return total
