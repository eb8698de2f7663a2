"""Kernels: loop nests as data, what scheduling ends with and code generators start from.

A kernel is a set of stores over an expression DAG (`inductor.loops`) and the loops around them. `verify` says what is legal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..errors import InternalError
from .dtypes import DType, int64
from .graph import Dim, Origin
from .loops import (
    Expr,
    Index,
    Indirect,
    Var,
    as_index,
    expr,
    is_in_order,
    postorder,
    reduces_under_mask,
    rewrite,
    substitution,
)


@dataclass(frozen=True)
class Buffer:
    """Memory that a kernel touches. `size` is in elements (of storage, gaps included)."""

    name: str
    dtype: DType
    size: Dim
    device: str = "cpu"


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


def order_matters(stores: Iterable[Store]) -> bool:
    """Whether the order in which r is walked shows in the result: some reductions count positions, scans run along r."""
    return any(map(is_in_order, postorder([s.value for s in stores])))


def _read(index: Index) -> list[Expr]:
    """The values of an index that are read from memory."""
    return [a.value for a in index.atoms() if isinstance(a, Indirect)]


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
        """Bytes loaded and stored, each place once (what stands under a condition counts whole)."""
        sizes = {b.name: b.dtype.size for b in self.args}
        values = postorder([s.value for s in self.stores] + self._store_indirects())
        places = [(e.attr[0], e.attr[1]) for e in values if e.op == "load"]
        places += [(s.buffer, s.index) for s in self.stores for _ in range(1 if s.mode == "store" else 2)]
        total: Dim = 0
        for buffer, index in places:
            points: Dim = sizes[buffer]
            for v in index.vars():
                points = points * v.extent
            total = total + points
        return total

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
            op = {"store": "=", "add": "+=", "or": "|="}[s.mode]
            lines.append(f"    {s.buffer}[{s.index.shown(name)}] {op} {name(s.value)}")
        return "\n".join(lines)

    def verify(self) -> None:
        """Check legality; raises InternalError with the kernel's text.

        Legal: every buffer touched is an argument; variables belong to p or r; half types are only loaded, cast
        and stored; a buffer both stored and loaded is loaded only at the index it is stored at.
        """
        known = {b.name for b in self.args}
        variables = set(self.p) | set(self.r)
        problems: list[str] = []
        stored = {s.buffer: s.index for s in self.stores}
        for e in postorder([s.value for s in self.stores] + self._store_indirects()):
            if e.op == "load":
                if e.attr[0] not in known:
                    problems.append(f"{e.attr[0]} is not an argument")
                if e.attr[0] in stored and e.attr[1] != stored[e.attr[0]]:
                    problems.append(f"{e.attr[0]} is read at {e.attr[1]} and written at {stored[e.attr[0]]}")
            if reduces_under_mask(e):
                problems.append(f"a reduction under a condition that varies along r: {e}")
            if e.op not in ("load", "cast", "const", "masked", "where") and e.dtype.name in ("float16", "bfloat16"):
                problems.append(f"arithmetic in a half type: {e.op}")
            if e.op in ("reduce", "scan") and not self.r:
                problems.append(f"{e.op} without a reduction space")
        used = {v for s in self.stores for v in (*s.value.vars(), *s.index.vars())}
        problems += [f"variable {v} is not a loop variable" for v in used - variables]
        problems += [f"{v} is a reduction variable among the outer ones" for v in self.p if v.is_reduction]
        problems += [f"{v} is an outer variable among the reduction's" for v in self.r if not v.is_reduction]
        problems += [f"{s.buffer} is not an argument" for s in self.stores if s.buffer not in known]
        if problems:
            raise InternalError("[loops] illegal kernel: " + "; ".join(dict.fromkeys(problems)) + f"\n{self}")
