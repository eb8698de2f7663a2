"""Loop nests made simple before any text is emitted: fewer variables, affine indices, the unit stride innermost.

`simplify(kernel)` runs the passes in order; each is a plain function Kernel -> Kernel that keeps the kernel's meaning:

    drop_unit_vars      a variable of extent 1 is 0
    split_vars          v // k and v % k become affine: v = k*hi + lo
    merge_vars          two variables that every index uses as one (stride(u) == stride(v) * extent(v)) become one
    order_vars          p sorted by the stores' strides and r by the loads', unit stride innermost
    rename_vars         p0, p1, ... outermost first; r0, r1, ...

Both code generators use them. The order of `r` carries meaning for argmax, argmin and scans (row-major positions);
such kernels keep it, and merge only neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..graph import Dim
from ..kernel import Kernel
from ..loops import (
    Expr,
    FloorDiv,
    Index,
    Indirect,
    Mod,
    Var,
    as_index,
    expr,
    floordiv,
    index_value,
    int64,
    load,
    mod,
    postorder,
    rewrite,
)

#: what an unknown size is taken to be when sizes are compared
UNKNOWN_SIZE = 4096


def simplify(kernel: Kernel) -> Kernel:
    """All passes, to a fixed point for splitting and merging. The result computes the same stores."""
    kernel = drop_unit_vars(kernel)
    kernel = split_vars(kernel)
    kernel = merge_vars(kernel)
    kernel = order_vars(kernel)
    kernel = merge_vars(kernel)
    return rename_vars(kernel)


# --------------------------------------------------------------------------- reading a kernel


def kernel_indices(kernel: Kernel) -> list[Index]:
    """Every index of the kernel: of stores, of loads and of index values, those under an indirection included."""
    roots = [s.value for s in kernel.stores] + [_as_expr(s.index) for s in kernel.stores]
    found: list[Index] = []
    for e in postorder(roots):
        if e.op == "index":
            found.append(e.attr)
        elif e.op == "load":
            found.append(e.attr[1])
    return found


def size_hint(dim: Dim, hints: Mapping[str, int]) -> int:
    """A dimension as a plain number, for heuristics only: symbols take their hint, else UNKNOWN_SIZE."""
    if isinstance(dim, int):
        return dim
    values = {s: hints.get(s.name, UNKNOWN_SIZE) for s in dim.free_symbols}
    return int(dim.subs(values))


def is_order_sensitive(kernel: Kernel) -> bool:
    """Whether the order of the reduction variables shows in the result (argmax, argmin, scans)."""
    exprs = postorder([s.value for s in kernel.stores])
    return any(e.op == "scan" or (e.op == "reduce" and e.attr in ("argmax", "argmin")) for e in exprs)


def _as_expr(index: Index) -> Expr:
    return expr("index", dtype=int64, attr=index)


# --------------------------------------------------------------------------- rewriting a kernel


def map_indices(kernel: Kernel, change: Callable[[Index], Index], p: Iterable[Var], r: Iterable[Var]) -> Kernel:
    """The kernel over the loop spaces `p` and `r`, every index replaced by `change(index)`.

    `change` sees indices whose indirect parts have been rewritten already and must leave those alone.
    """

    def visit(e: Expr) -> Expr | None:
        if e.op == "index":
            return index_value(change(e.attr))
        if e.op == "load":
            return load(e.attr[0], change(e.attr[1]), e.dtype)
        return None

    count = len(kernel.stores)
    new = rewrite([s.value for s in kernel.stores] + [_as_expr(s.index) for s in kernel.stores], visit)
    stores = tuple(
        replace(s, value=value, index=where.attr if where.op == "index" else as_index(where.attr))
        for s, value, where in zip(kernel.stores, new[:count], new[count:])
    )
    return replace(kernel, stores=stores, p=tuple(p), r=tuple(r))


def replace_vars(index: Index, values: Mapping[Var, Index]) -> Index:
    """`index` with variables replaced and simplified again; indirect parts are left as they are."""
    total = as_index(index.const)
    for atom, c in index.terms:
        if isinstance(atom, Var):
            part = values[atom] if atom in values else as_index(atom)
        elif isinstance(atom, FloorDiv):
            part = floordiv(replace_vars(atom.base, values), atom.divisor)
        elif isinstance(atom, Mod):
            part = mod(replace_vars(atom.base, values), atom.divisor)
        else:
            part = Index(((atom, 1),))
        total = total + part * c
    return total


def _substitute(kernel: Kernel, values: Mapping[Var, Index], p: Iterable[Var], r: Iterable[Var]) -> Kernel:
    return map_indices(kernel, lambda index: replace_vars(index, values), p, r)


# --------------------------------------------------------------------------- the passes


def drop_unit_vars(kernel: Kernel) -> Kernel:
    """Remove variables of extent 1. One reduction variable stays where a reduction needs a space to run over."""
    units = {v: as_index(0) for v in (*kernel.p, *kernel.r) if isinstance(v.extent, int) and v.extent == 1}
    if not units:
        return kernel
    p = [v for v in kernel.p if v not in units]
    r = [v for v in kernel.r if v not in units] or list(kernel.r[:1])
    return _substitute(kernel, units, p, r)


def split_vars(kernel: Kernel) -> Kernel:
    """Split variables so that // and % of them become affine, where the extents divide evenly."""
    for _ in range(32):  # each round removes a // or a %; real kernels need a few
        found = _find_split(kernel)
        if found is None:
            return kernel
        v, low_extent, high_extent = found
        taken = {w.name for w in (*kernel.p, *kernel.r)}
        high, low = (Var(_fresh(v.name + suffix, taken), e) for suffix, e in (("h", high_extent), ("l", low_extent)))
        value = {v: as_index(high) * low_extent + as_index(low)}
        p, r = ([n for w in space for n in ((high, low) if w == v else (w,))] for space in (kernel.p, kernel.r))
        kernel = _substitute(kernel, value, p, r)
    return kernel


def _fresh(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _find_split(kernel: Kernel) -> tuple[Var, Dim, Dim] | None:
    """A variable to split as (variable, extent of the low part, extent of the high part)."""
    for index in kernel_indices(kernel):
        for atom in index.atoms():
            if not isinstance(atom, (FloorDiv, Mod)):
                continue
            for v, c in atom.base.terms:
                if not isinstance(v, Var) or (isinstance(c, int) and c <= 0):
                    continue
                low = _exact_quotient(atom.divisor, c)  # c*v // k splits at v = k/c
                high = None if low is None else _exact_quotient(v.extent, low)
                if low is None or high is None or _is_one(low) or _is_one(high):
                    continue
                return v, low, high
    return None


def _exact_quotient(a: Dim, b: Dim) -> Dim | None:
    """a / b when it is surely an integer, else None."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b != 0 and a % b == 0 else None
    if a == b:
        return 1
    ratio: Any = a / b
    if not ratio.is_integer:
        return None
    return int(ratio) if ratio.is_Integer else ratio


def _is_one(d: Dim) -> bool:
    return bool(d == 1)


def merge_vars(kernel: Kernel) -> Kernel:
    """Merge pairs of variables that every index walks as one row-major run."""
    ordered = is_order_sensitive(kernel)
    merged = True
    while merged:
        merged = False
        for space in (kernel.p, kernel.r):
            neighbours_only = ordered and space is kernel.r
            pair = _find_merge(kernel_indices(kernel), space, neighbours_only)
            if pair is not None:
                kernel = _merge(kernel, *pair)
                merged = True
                break
    return kernel


def _find_merge(indices: list[Index], space: tuple[Var, ...], neighbours_only: bool) -> tuple[Var, Var] | None:
    for i, u in enumerate(space):
        for j, v in enumerate(space):
            if i == j or (neighbours_only and j != i + 1):
                continue
            if all(_runs_on(index, u, v) for index in indices):
                return u, v
    return None


def _runs_on(index: Index, outer: Var, inner: Var) -> bool:
    """Whether `index` uses the two only as outer * extent(inner) + inner, also inside // and %."""
    if index.coefficient(outer) != index.coefficient(inner) * inner.extent:
        return False
    return all(_runs_on(a.base, outer, inner) for a, _ in index.terms if isinstance(a, (FloorDiv, Mod)))


def _merge(kernel: Kernel, outer: Var, inner: Var) -> Kernel:
    one = Var(_fresh(inner.name + "m", {w.name for w in (*kernel.p, *kernel.r)}), outer.extent * inner.extent)

    def change(index: Index) -> Index:
        total = as_index(index.const)
        for atom, c in index.terms:
            if atom == outer:
                continue
            if atom == inner:
                part = as_index(one)
            elif isinstance(atom, FloorDiv):
                part = floordiv(change(atom.base), atom.divisor)
            elif isinstance(atom, Mod):
                part = mod(change(atom.base), atom.divisor)
            else:
                part = Index(((atom, 1),))
            total = total + part * c
        return total

    p, r = ([one if w == inner else w for w in space if w != outer] for space in (kernel.p, kernel.r))
    return map_indices(kernel, change, p, r)


def order_vars(kernel: Kernel) -> Kernel:
    """Sort p by descending stride in the stores (then loads), r by descending stride in the loads."""
    stores = [s.index for s in kernel.stores]
    loads = [e.attr[1] for e in postorder([s.value for s in kernel.stores]) if e.op == "load"]
    p = _by_stride(kernel.p, stores, loads, kernel.hints)
    r = kernel.r if is_order_sensitive(kernel) else _by_stride(kernel.r, [], loads, kernel.hints)
    return replace(kernel, p=p, r=r)


def _by_stride(
    space: tuple[Var, ...], first: list[Index], then: list[Index], hints: Mapping[str, int]
) -> tuple[Var, ...]:
    def strides(v: Var, indices: list[Index]) -> list[int]:
        found = (abs(size_hint(index.coefficient(v), hints)) for index in indices)
        return [s for s in found if s]

    def key(v: Var) -> tuple[float, float]:
        # the smallest stride decides: a variable that walks some access element by element belongs inside
        stored, loaded = strides(v, first), strides(v, then)
        return (min(stored, default=float("inf")), min(loaded, default=float("inf")))

    return tuple(sorted(space, key=key, reverse=True))


def rename_vars(kernel: Kernel) -> Kernel:
    """Number the variables in loop order: p0, p1, ..., r0, r1, ..."""
    p = tuple(Var(f"p{i}", v.extent) for i, v in enumerate(kernel.p))
    r = tuple(Var(f"r{i}", v.extent) for i, v in enumerate(kernel.r))
    pairs = list(zip((*kernel.p, *kernel.r), (*p, *r)))
    if all(a == b for a, b in pairs):
        return kernel
    return _substitute(kernel, {a: Index(((b, 1),)) for a, b in pairs}, p, r)


def has_indirect(index: Index) -> bool:
    """Whether part of the index is read from memory."""
    return any(isinstance(a, Indirect) for a in index.atoms())
