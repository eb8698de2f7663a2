"""A kernel as the strategies of C++ code read it: which variable runs in vector lanes, which passes over r there are.

Dynamic sizes are weighed by a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...kernel import Kernel, Store
from ...loops import Expr, Indirect, Var, postorder
from .cost import accumulator_types, choose_vector, lanes_for, nanoseconds
from .indexing import index_vars


@dataclass(frozen=True)
class Pass:
    """One run over r: the reductions that it completes and the stores that it does on the way."""

    reductions: tuple[Expr, ...]
    stores: tuple[Store, ...]


@dataclass(frozen=True)
class Nest:
    """What all strategies start from.

    kernel:      the vector variable stands last in its space
    symbols:     names of the size arguments of its function, in order
    vector:      the variable that runs in lanes (None: scalar code); lanes: how many
    passes:      runs over r, in order; final: the stores after them, once per p
    nanoseconds: estimated time per point on one thread
    """

    kernel: Kernel
    symbols: tuple[str, ...]
    vector_bytes: int
    vector: Var | None
    lanes: int
    passes: tuple[Pass, ...]
    final: tuple[Store, ...]
    nanoseconds: float

    @property
    def along_r(self) -> bool:
        """Whether the lanes run along the reduction."""
        return self.vector is not None and self.vector.is_reduction

    @property
    def in_lanes(self) -> bool:
        """Whether the lanes run along p: each lane is a point of its own."""
        return self.vector is not None and not self.vector.is_reduction

    @property
    def reductions(self) -> tuple[Expr, ...]:
        """Of all passes, in order."""
        return tuple(x for one in self.passes for x in one.reductions)

    @property
    def has_scan(self) -> bool:
        """Whether some value runs along r step by step."""
        return any(e.op == "scan" for e in postorder([s.value for s in self.kernel.stores]))

    def accumulator_types(self, e: Expr) -> tuple[str, ...]:
        """Element types of a reduction's running state."""
        return accumulator_types(self.kernel, e, self.vector, any(s.value is e for s in self.kernel.stores))


def read_nest(kernel: Kernel, vector_bytes: int, symbols: tuple[str, ...] | None = None) -> Nest:
    """The kernel read for vectors of so many bytes. symbols: those of the function, if more than the kernel's own."""
    passes, final = find_passes(kernel)
    vector = choose_vector(kernel, vector_bytes, bool(passes))
    N = lanes_for(kernel, vector, vector_bytes) if vector is not None else 1
    if vector is not None:
        kernel = replace(kernel, p=_last(kernel.p, vector), r=_last(kernel.r, vector))
    time = nanoseconds(kernel, vector, N)
    return Nest(kernel, kernel.symbols if symbols is None else symbols, vector_bytes, vector, N, passes, final, time)


def _last(space: tuple[Var, ...], v: Var) -> tuple[Var, ...]:
    return (*(w for w in space if w != v), v) if v in space else space


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
    last = max([e.reduce_depth - 1 for e in reductions] + depths, default=-1)
    when = [last if s.buffer in kernel.reads else d for s, d in zip(along, depths)]
    passes = tuple(
        Pass(
            tuple(e for e in reductions if e.reduce_depth - 1 == d),
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


def find_reductions(kernel: Kernel) -> list[Expr]:
    """Every reduction below the stores, operands before users."""
    return [e for e in postorder(root for s in kernel.stores for root in s.roots) if e.op == "reduce"]
