"""Kernels: loop nests as data, what scheduling ends with and code generators start from.

A kernel is a set of stores over an expression DAG (`inductor.loops`) and the loops around them. `verify` says what is legal.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..errors import InternalError
from .dtypes import DType, int64
from .graph import Dim, Origin
from .loops import (
    Expr,
    FloorDiv,
    Index,
    Indirect,
    Mod,
    Var,
    as_index,
    expr,
    index_interval,
    is_in_order,
    points,
    postorder,
    rewrite,
    substitution,
)
from .loops.legality import malformed, unconditional


@dataclass(frozen=True)
class Buffer:
    """Memory that a kernel touches. `size` is in elements (of storage, gaps included)."""

    name: str
    dtype: DType
    size: Dim
    device: str = "cpu"


#: how a store may change what is there, and the sign for it in a kernel's text
MODES = {"store": "=", "add": "+=", "or": "|="}


@dataclass(frozen=True)
class Store:
    """buffer[index] = value (mode "store"), += value atomically ("add"), or |= value for truth values ("or").

    A value that varies in r is stored at every (p, r); otherwise once per p.
    """

    buffer: str
    index: Index
    value: Expr
    mode: str = "store"

    @property
    def roots(self) -> tuple[Expr, Expr]:
        """The value and the index as expressions: all that the store computes lies below them."""
        return self.value, expr("index", dtype=int64, attr=self.index)


def rewrite_stores(stores: Iterable[Store], visit: Callable[[Expr], Expr | None]) -> list[Store]:
    """The stores with their values and indices rebuilt, as `loops.rewrite` does it."""
    stores = list(stores)
    new = rewrite([root for s in stores for root in s.roots], visit)
    # an index that became a plain number is a literal
    return [replace(s, value=v, index=as_index(i.attr)) for s, v, i in zip(stores, new[::2], new[1::2])]


def substitute_stores(stores: Iterable[Store], values: Mapping[Var, Index]) -> list[Store]:
    """The stores with loop variables replaced by indices."""
    return rewrite_stores(stores, substitution(values))


def attends(stores: Iterable[Store]) -> bool:
    """Whether something is weighed by a softmax on the way (`attend`)."""
    return any(e.op == "attend" for e in postorder([s.value for s in stores]))


def order_matters(stores: Iterable[Store]) -> bool:
    """Whether the order in which r is walked shows in the result: some reductions count positions, scans run along r."""
    return any(map(is_in_order, postorder([s.value for s in stores])))


def _read(index: Index) -> list[Expr]:
    """The values of an index that are read from memory."""
    return [a.value for a in index.atoms() if isinstance(a, Indirect)]


def symbols_of(variables: Iterable[Var], stores: Iterable[Store]) -> tuple[str, ...]:
    """The names of the size symbols in loops over the variables with the stores in them."""
    sizes: list[Dim] = [v.extent for v in variables]
    for e in postorder([root for s in stores for root in s.roots]):
        if e.op in ("load", "index"):
            sizes += _sizes_in(e.attr if e.op == "index" else e.attr[1])
        elif e.op == "const":
            sizes.append(e.attr)
    return tuple(sorted({s.name for d in sizes for s in getattr(d, "free_symbols", ())}))


def _sizes_in(index: Index) -> Iterator[Dim]:
    """Its constant, coefficients and divisors; values that it reads are expressions of their own."""
    yield index.const
    for atom, coefficient in index.terms:
        yield coefficient
        if isinstance(atom, (FloorDiv, Mod)):
            yield atom.divisor
            yield from _sizes_in(atom.base)


def _is_beyond(index: Index, size: Dim) -> bool:
    """Whether an index surely leaves a buffer at some point of its loops, which have points."""
    found = index_interval(index) if index.is_affine and isinstance(size, int) else None
    return found is not None and not 0 <= found[0] <= found[1] < size


def _touched(b: Buffer, places: Iterable[tuple[str, Index]]) -> Dim:
    """Bytes of a buffer at which some of these places are."""
    total: Dim = 0
    for index in {index for buffer, index in places if buffer == b.name}:
        total = total + points(index.vars())
    if isinstance(total, int) and isinstance(b.size, int):
        total = min(total, b.size)
    return total * b.dtype.size


@dataclass(frozen=True)
class Kernel:
    """One loop nest: what code generators turn into a function `(buffers..., size symbols...)`.

    reads/writes: argument order is `args`; a buffer both read and written is there once.
    symbols:      names of int64 size arguments after the buffers
    origins:      the graph nodes computed here

    Kernels are equal where their loops, stores and arguments are; what they are called and where they come from is no part of it.
    """

    name: str = field(compare=False)
    p: tuple[Var, ...]
    r: tuple[Var, ...]
    stores: tuple[Store, ...]
    args: tuple[Buffer, ...]
    symbols: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = field(default=(), compare=False)

    @property
    def reads(self) -> set[str]:
        return {
            e.attr[0] for e in postorder([s.value for s in self.stores] + self._store_indirects()) if e.op == "load"
        }

    @property
    def writes(self) -> set[str]:
        return {s.buffer for s in self.stores}

    @property
    def moved(self) -> Dim:
        """Bytes loaded and stored, each place once: no more of a buffer than it has (what stands under a condition counts whole)."""
        values = postorder([s.value for s in self.stores] + self._store_indirects())
        loaded = [(e.attr[0], e.attr[1]) for e in values if e.op == "load"]
        stored = [(s.buffer, s.index) for s in self.stores]
        loaded += [(s.buffer, s.index) for s in self.stores if s.mode != "store"]
        return sum((_touched(b, places) for b in self.args for places in (loaded, stored)), start=0)

    def _store_indirects(self) -> list[Expr]:
        return [e for s in self.stores for e in _read(s.index)]

    def __str__(self) -> str:
        spaces = ", ".join(f"{v.name} < {v.extent}" for v in (*self.p, *self.r))
        lines = [f"{self.name}({', '.join(f'{b.name}: {b.dtype}[{b.size}]' for b in self.args)}):", f"  for {spaces}:"]
        names: dict[int, str] = {}
        fresh = (f"t{k}" for k in itertools.count())
        users: dict[int, int] = {}
        order = postorder([root for s in self.stores for root in (s.value, *_read(s.index))])

        def name(e: Expr) -> str:
            return names[id(e)]

        for e in order:
            for a in e.args:
                users[id(a)] = users.get(id(a), 0) + 1
        for e in order:
            if e.op == "const" or (e.op == "index" and users.get(id(e), 0) < 2):
                names[id(e)] = e.shown(name)
                continue
            names[id(e)] = next(fresh)
            lines.append(f"    {names[id(e)]} = {e.shown(name)}")
        for s in self.stores:
            lines.append(f"    {s.buffer}[{s.index.shown(name)}] {MODES.get(s.mode, s.mode)} {name(s.value)}")
        return "\n".join(lines)

    def verify(self) -> None:
        """Check legality; raises InternalError with all that is wrong and the kernel's text.

        Legal: every buffer touched is an argument, and is loaded and stored as what it holds; one that is both is loaded only
        where it is stored at, and inside its bounds where no condition guards the load; variables belong to p or r, and symbols are arguments. Expressions are those of `loops.Expr`:
        scalar ops take their operands' types, half types are only loaded, cast, chosen and stored, and a reduction or prefix
        is taken over the whole of r.
        """
        args = {b.name: b for b in self.args}
        problems = [f"{name} is an argument twice" for name, n in Counter(b.name for b in self.args).items() if n > 1]
        places: dict[str, list[Index]] = {}
        has_points = all(v.extent != 0 for v in (*self.p, *self.r))
        computed = unconditional(root for s in self.stores for root in s.roots) if has_points else ()
        everywhere = set(map(id, computed))
        for s in self.stores:
            places.setdefault(s.buffer, []).append(s.index)
        for e in postorder([root for s in self.stores for root in s.roots]):
            if problem := malformed(e):
                problems.append(f"{problem}: {e}")
            if e.op == "load":
                name, index = e.attr
                if name not in args:
                    problems.append(f"{name} is not an argument")
                elif args[name].dtype != e.dtype:
                    problems.append(f"{name} holds {args[name].dtype} and is loaded as {e.dtype}")
                elif id(e) in everywhere and _is_beyond(index, args[name].size):
                    problems.append(f"{name} of {args[name].size} elements is read at {index} at every point")
                problems += [
                    f"{name} is read at {index} and written at {i}" for i in places.get(name, ()) if i != index
                ]
            if e.op in ("reduce", "scan", "attend") and not self.r:
                problems.append(f"{e.op} without a reduction space")
        for s in self.stores:
            problems += self._problems_of(s, args)
        variables = {*self.p, *self.r}
        names = Counter(v.name for v in variables)
        used = {v for s in self.stores for v in (*s.value.vars(), *s.index.vars())}
        problems += [f"variable {v} is not a loop variable" for v in used - variables]
        problems += [f"two loop variables are called {name}" for name, n in names.items() if n > 1]
        problems += [f"{v} is a reduction variable among the outer ones" for v in self.p if v.is_reduction]
        problems += [f"{v} is an outer variable among the reduction's" for v in self.r if not v.is_reduction]
        missing = sorted({*symbols_of(variables, self.stores)} - {*self.symbols})
        problems += [f"size symbol {name} is not an argument" for name in missing]
        if problems:
            raise InternalError("[loops] illegal kernel: " + "; ".join(dict.fromkeys(problems)) + f"\n{self}")

    def _problems_of(self, s: Store, args: Mapping[str, Buffer]) -> Iterator[str]:
        if s.buffer not in args:
            yield f"{s.buffer} is not an argument"
        elif args[s.buffer].dtype != s.value.dtype:
            yield f"{s.buffer} holds {args[s.buffer].dtype} and is given {s.value.dtype}"
        if s.mode not in MODES:
            yield f"{s.buffer} is stored in an unknown mode, {s.mode!r}"
        if s.mode == "or" and s.value.dtype.kind != "bool":
            yield f"{s.buffer} is no truth values and is joined by or"
