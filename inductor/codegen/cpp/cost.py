"""Which variable runs in vector lanes, in how many, and what a point costs: estimates that only steer, never decide results."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from ...dtypes import bool_, int64
from ...graph import Dim
from ...kernel import Kernel, Store, order_matters
from ...loops import Expr, Index, Var, points, postorder
from ...loops.reducers import REDUCERS
from ...sizes import size_hint
from .emit import HEAVY, LARGE, MOST_IN_PLACE
from .indexing import Memo, free_vars, is_near, stride_along
from .ranges import sum_fits_i32
from .types import SIZES, value_type


def lanes_for(kernel: Kernel, vector: Var, vector_bytes: int) -> int:
    """Lanes such that the widest value computed in them fills one register."""
    widest = 1
    memo: Memo = {}
    direct = {s.value for s in kernel.stores}
    for e in postorder([s.value for s in kernel.stores], through_indirect=False):
        if e.op == "reduce":
            if vector.is_reduction or vector in free_vars(e.args[0], memo):
                widest = max(widest, *(SIZES[t] for t in accumulator_types(kernel, e, vector, e in direct)))
        elif vector in free_vars(e, memo) and e.dtype != bool_:
            widest = max(widest, SIZES[value_type(e, True)])
    return max(vector_bytes // widest, 2)


def accumulator_types(kernel: Kernel, e: Expr, vector: Var | None, stored_as_is: bool) -> tuple[str, ...]:
    """Element types of a reduction's running state: the value's, and the position's where that is asked for."""
    row = REDUCERS[e.attr]
    extents = [v.extent for v in kernel.r]
    in_vectors = vector is not None
    may_narrow = vector is not None and (vector.is_reduction or stored_as_is)
    if row.is_position:
        sizes = [x for x in extents if isinstance(x, int)]
        short = may_narrow and len(sizes) == len(extents) and math.prod(sizes) < 1 << 31
        inner = "i32" if e.args[0].dtype == bool_ else value_type(e.args[0], in_vectors)
        return inner, "i32" if short else "i64"
    if e.dtype == int64 and row.bound == "count" and may_narrow and sum_fits_i32(e.args[0], list(extents)):
        return ("i32",)
    if e.dtype == int64 and row.bound == "element" and may_narrow:
        return (value_type(e.args[0], True),)
    return (value_type(e, False),)


def choose_vector(kernel: Kernel, vector_bytes: int, reduces: bool) -> Var | None:
    """The variable whose lanes make the points cheapest, or None for scalar loops."""
    candidates = [*kernel.p]
    if reduces:
        candidates += kernel.r[-1:] if order_matters(kernel.stores) else kernel.r
    best, best_cost = None, _cost(kernel, None, 1)
    for v in candidates:
        if size_hint(v.extent) < 2:
            continue
        cost = _cost(kernel, v, lanes_for(kernel, v, vector_bytes))
        if cost < best_cost * 0.999:
            best, best_cost = v, cost
    return best


def _accesses(kernel: Kernel) -> list[tuple[Index, float]]:
    """Every load and store with its weight."""
    exprs = postorder([s.value for s in kernel.stores], through_indirect=False)
    run = max(size_hint(points(kernel.r)), 1)  # a store after all of r comes once for so many loads
    stores = [
        (s.index, (2.0 if s.mode == "store" else 4.0) / (1 if s.value.varies_in_r else run)) for s in kernel.stores
    ]
    return [(e.attr[1], 1.0) for e in exprs if e.op == "load"] + stores


def _cost(kernel: Kernel, v: Var | None, N: int) -> float:
    """Relative time per point with `v` in N lanes: instructions per vector, spread over the lanes in use."""
    exprs = postorder([s.value for s in kernel.stores], through_indirect=False)
    ops = sum(1 + HEAVY.get(e.op, 0) / 5 for e in exprs if e.op not in ("const", "load", "index"))
    if v is None:
        return 4 * ops + sum(weight for _, weight in _accesses(kernel))
    total = float(ops)
    memo: Memo = {}
    loads = sum(1 for e in exprs if e.op == "load")
    for number, (index, weight) in enumerate(_accesses(kernel)):
        stride = stride_along(index, v, memo)
        total += weight * _access_cost(stride, N, is_load=number < loads)
    extent = size_hint(v.extent)
    cost = total * math.ceil(extent / N) / extent
    if v.is_reduction:
        run = size_hint(points(kernel.r))
        cost += 25 * sum(1 for e in exprs if e.op == "reduce") / max(run, 1)
    return cost


def _access_cost(stride: Dim | None, N: int, *, is_load: bool) -> float:
    """Instructions for the lanes of one load or store."""
    if stride is not None and (stride == 0 or stride == 1):
        return 0.5 if stride == 0 else 1
    return min(2.0 * abs(stride), 1.5 * N) if is_load and is_near(stride) else 1.5 * N  # type: ignore[arg-type]


def nanoseconds(kernel: Kernel, vector: Var | None, N: int) -> float:
    """Estimated time per point on one thread: only to decide whether threads are worth starting."""
    exprs = postorder([s.value for s in kernel.stores], through_indirect=False)
    heavy = sum(HEAVY.get(e.op, 2) / 100 for e in exprs if e.op not in ("const", "load", "index"))
    if vector is None:
        return 0.5 * len(exprs) + heavy * 5
    memory = 0.0
    memo: Memo = {}
    for index, weight in _accesses(kernel):
        stride = stride_along(index, vector, memo)
        memory += weight * (0.1 if stride == 1 else 0.01 if stride is not None and stride == 0 else 0.8)
    return memory + heavy * 16 / N


def called_functions(stores: Sequence[Store]) -> frozenset[str]:
    """Functions that are used too often to be put in place each time."""
    used = Counter(e.op for e in postorder([s.value for s in stores], through_indirect=False) if e.op in LARGE)
    return frozenset(op for op, count in used.items() if count > MOST_IN_PLACE)
