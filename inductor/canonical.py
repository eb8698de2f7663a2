"""The canonical form of a kernel's loops: fewer variables, affine indices, the unit stride innermost.

A stage of the pipeline, behind fusion and before code generation: the kernel that is printed is the kernel that is compiled.
`canonical_form(kernel)` runs the passes in order; each is a plain function Kernel -> Kernel that keeps the kernel's meaning:

    drop_unit_vars      a variable of extent 1 is 0
    split_vars          v // k and v % k become affine: v = k*hi + lo
    merge_vars          two variables that every index uses as one (stride(u) == stride(v) * extent(v)) become one
    order_vars          p sorted by the stores' strides and r by the loads', unit stride innermost
    rename_vars         p0, p1, ... outermost first; r0, r1, ...

The order of `r` carries meaning for positions and scans (row-major positions); such kernels keep it, and merge only
neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from .kernel import Kernel, order_matters, substitute_stores
from .loops import ZERO, Index, Var, as_index, postorder
from .schedule import Launch, Schedule
from .sizes import size_hint
from .splitting import one_run, split_divided, store_indices


def canonical_schedule(schedule: Schedule) -> Schedule:
    """The schedule with every kernel in canonical form."""
    seen: dict[Kernel, Kernel] = {}  # loops that differed may be equal now
    forms: dict[int, Kernel] = {}
    for kernel in schedule.kernels:
        form = canonical_form(kernel)
        forms[id(kernel)] = seen.setdefault(form, form)
    steps = [replace(s, kernel=forms[id(s.kernel)]) if isinstance(s, Launch) else s for s in schedule.steps]
    return replace(schedule, steps=steps, canonical=True)


def canonical_form(kernel: Kernel) -> Kernel:
    """All passes. The result computes the same stores; its own canonical form is itself."""
    for transform in (drop_unit_vars, split_vars, merge_vars, order_vars, merge_vars, rename_vars):
        kernel = transform(kernel)
    return kernel


def drop_unit_vars(kernel: Kernel) -> Kernel:
    """Remove variables of extent 1. One reduction variable stays where a reduction needs a space to run over."""
    units = {v: ZERO for v in (*kernel.p, *kernel.r) if isinstance(v.extent, int) and v.extent == 1}
    if not units:
        return kernel
    p = [v for v in kernel.p if v not in units]
    r = [v for v in kernel.r if v not in units] or list(kernel.r[:1])
    return _substitute(kernel, units, p, r)


def split_vars(kernel: Kernel) -> Kernel:
    """Split variables so that // and % of them become affine, where the extents divide evenly."""
    p, r, stores = split_divided(kernel.p, kernel.r, kernel.stores)
    return replace(kernel, p=tuple(p), r=tuple(r), stores=tuple(stores))


def merge_vars(kernel: Kernel) -> Kernel:
    """Merge pairs of variables that every index walks as one row-major run."""
    ordered = order_matters(kernel.stores)
    merged = True
    while merged:
        merged = False
        for space in (kernel.p, kernel.r):
            neighbours_only = ordered and space is kernel.r
            pair = one_run(store_indices(kernel.stores), space, neighbours_only)
            if pair is not None:
                kernel = _merge(kernel, *pair)
                merged = True
                break
    return kernel


def _merge(kernel: Kernel, outer: Var, inner: Var) -> Kernel:
    """`outer` goes, and `inner` runs over both: its coefficient is that of the whole run."""
    one = Var(f"{inner.name}m", outer.extent * inner.extent, inner.is_reduction)
    p, r = ([one if w == inner else w for w in space if w != outer] for space in (kernel.p, kernel.r))
    return _substitute(kernel, {outer: ZERO, inner: as_index(one)}, p, r)


def order_vars(kernel: Kernel) -> Kernel:
    """Sort p by descending stride in the stores (then loads), r by descending stride in the loads."""
    stores = [s.index for s in kernel.stores]
    loads = [e.attr[1] for e in postorder([s.value for s in kernel.stores]) if e.op == "load"]
    p = _by_stride(kernel.p, stores, loads)
    r = kernel.r if order_matters(kernel.stores) else _by_stride(kernel.r, [], loads)
    return replace(kernel, p=p, r=r)


def _by_stride(space: tuple[Var, ...], first: list[Index], then: list[Index]) -> tuple[Var, ...]:
    def strides(v: Var, indices: list[Index]) -> list[int]:
        found = (abs(size_hint(index.coefficient(v))) for index in indices)
        return [s for s in found if s]

    def key(v: Var) -> tuple[float, float]:
        # the smallest stride decides: a variable that walks some access element by element belongs inside
        stored, loaded = strides(v, first), strides(v, then)
        return (min(stored, default=float("inf")), min(loaded, default=float("inf")))

    return tuple(sorted(space, key=key, reverse=True))


def rename_vars(kernel: Kernel) -> Kernel:
    """Number the variables in loop order: p0, p1, ..., r0, r1, ..."""
    p = tuple(Var(f"p{i}", v.extent) for i, v in enumerate(kernel.p))
    r = tuple(Var(f"r{i}", v.extent, True) for i, v in enumerate(kernel.r))
    pairs = list(zip((*kernel.p, *kernel.r), (*p, *r)))
    if all(a == b for a, b in pairs):
        return kernel
    return _substitute(kernel, {a: Index(((b, 1),)) for a, b in pairs}, p, r)


def _substitute(kernel: Kernel, values: Mapping[Var, Index], p: Iterable[Var], r: Iterable[Var]) -> Kernel:
    """The kernel over the loop spaces `p` and `r`, with variables replaced."""
    return replace(kernel, stores=tuple(substitute_stores(kernel.stores, values)), p=tuple(p), r=tuple(r))
