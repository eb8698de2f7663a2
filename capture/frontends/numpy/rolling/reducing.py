"""Reductions and products of arrays inside of a rolled loop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .....inductor.sequential.program import (
    ONE,
    ZERO,
    Accumulate,
    Apply,
    Check,
    Expr,
    Fill,
    Literal,
    Product,
    Reduce,
    Var,
)
from . import elements
from .kinds import INT, CannotRoll, Elements, Extent, InMemory, Number, Size, Trace
from .ufuncs import cast

_JOINS = {
    "sum": "add",
    "prod": "mul",
    "max": "max",
    "min": "min",
    "any": "or",
    "all": "and",
    "argmax": "argmax",
    "argmin": "argmin",
}


def reduced(t: Trace, name: str, a: Elements, axes: tuple[int, ...] | None, keep: bool) -> Any:
    """`a.sum(axis)` and its kin. Numbers for all axes."""
    dtype = a.dtype
    if name in ("any", "all"):
        dtype = np.dtype(bool)
    elif name in ("argmax", "argmin"):
        dtype = INT
    elif name in ("sum", "prod") and a.kind in "biu":
        dtype = np.dtype(np.uint64 if a.kind == "u" else np.int64)
    if a.kind == "c" and name != "sum" or a.dtype == np.float16:
        raise CannotRoll(f"{name} of {a.dtype}")

    def value(index: tuple[Expr, ...]) -> Expr:
        e = a.at(index)
        if dtype.kind == "b" and a.kind != "b":
            return Apply("ne", (e, cast(Literal(0, "int64"), a.dtype)), "bool")
        return e if name.startswith("arg") else cast(e, dtype)

    if name in ("max", "min", "argmax", "argmin"):
        for d, s in enumerate(a.sizes):
            if (axes is None or d in axes) and not (isinstance(s.expr, Literal) and s.expr.value):
                t.emit(Check(Apply("gt", (s.expr, ZERO), "bool")))
    if not isinstance(a, InMemory) and elements.is_heavy(a):
        a = elements.in_memory(t, a)
    join = _JOINS[name]
    whole = axes is None or len(axes) == a.ndim
    index = t.index(a.ndim)
    sizes = tuple(s.expr for s in a.sizes)
    if whole:
        var = t.variable(dtype.name)
        t.emit(Reduce(var, join, index, sizes, value(index), a.guards(index)))
        made: Any = Number(var, dtype)
        if keep:
            made = elements.full(t, [Extent(ONE, Size.of(1))] * a.ndim, dtype, made, a.by_rows)
        return made
    assert axes is not None
    if name.startswith("arg"):
        raise CannotRoll(f"{name} along an axis")
    kept = [d for d in range(a.ndim) if d not in axes]
    last = a.ndim - 1 in axes
    if last and len(axes) == 1 and name == "sum" and dtype.kind in "fc":
        made = _summed_rows(t, a, dtype)
    else:
        made = elements.full(t, [a.sizes[d] for d in kept], dtype, _beginning(join, dtype), a.by_rows)
        t.emit(Accumulate(made.ref, join, index, sizes, tuple(kept), value(index), a.guards(index)))
    if keep:
        for d in sorted(axes):
            made = elements.new_axis(made, d)
    return made


def _beginning(join: str, dtype: np.dtype) -> Any:
    if join in ("add", "or"):
        return 0
    if join in ("mul", "and"):
        return 1
    if dtype.kind == "f":
        return Number(Literal(-math.inf if join == "max" else math.inf, dtype.name), dtype)
    if dtype.kind == "b":
        return Number(Literal(join == "min", "bool"), dtype)
    info = np.iinfo(dtype)
    return Number(Literal(int(info.min if join == "max" else info.max), dtype.name), dtype)


def _summed_rows(t: Trace, a: Elements, dtype: np.dtype) -> InMemory:
    """Sums along the last axis: each as a sum of all."""
    made = elements.new(t, a.sizes[:-1], dtype, by_rows=a.by_rows)
    index = t.index(a.ndim)
    inner = SumOf(a.sizes[-1].expr, index[-1], cast(a.at(index), dtype), dtype.name)
    t.emit(Fill(made.ref, index[:-1], inner.expr(), tuple(inner.over(g) for g in a.guards(index))))
    return made


class SumOf:
    """A sum over one more index, as an expression of the others."""

    def __init__(self, size: Expr, index: Var, value: Expr, dtype: str) -> None:
        self.size, self.index, self.value, self.dtype = size, index, value, dtype

    def expr(self) -> Expr:
        return Apply("sum_over", (self.size, self.index, self.value), self.dtype)

    def over(self, guard: Expr) -> Expr:
        return Apply("all_over", (self.size, self.index, guard), "bool")


def matmul(t: Trace, a: Elements, b: Elements) -> Any:
    """`a @ b` of vectors and matrices."""
    if not a.ndim or not b.ndim or a.ndim > 2 or b.ndim > 2:
        raise CannotRoll("a product of stacks of matrices")
    a, b = elements.evaluated(t, a), elements.evaluated(t, b)
    dtype = np.result_type(a.dtype, b.dtype)
    if dtype.kind == "b" or dtype == np.float16:
        raise CannotRoll(f"a product of {dtype}")
    if a.ndim == b.ndim == 2 or elements.is_heavy(a) or elements.is_heavy(b):
        a, b = elements.in_memory(t, a), elements.in_memory(t, b)
    left, right = (a, b) if a.ndim >= b.ndim else (elements.in_memory(t, a), b)  # a vector is read again for each row
    if a.ndim > b.ndim:
        right = elements.in_memory(t, b)
    elements.same_sizes(t, left.sizes[-1:], right.sizes[:1])

    def product(x: Expr, y: Expr) -> Expr:
        return Apply("mul", (cast(x, dtype), cast(y, dtype)), dtype.name)

    if left.ndim == right.ndim == 1:
        var = t.variable(dtype.name)
        index = t.index(1)
        guards = (*left.guards(index), *right.guards(index))
        t.emit(Reduce(var, "add", index, (left.sizes[0].expr,), product(left.at(index), right.at(index)), guards))
        return Number(var, dtype)
    if left.ndim == 2 and right.ndim == 1:
        made = elements.new(t, left.sizes[:1], dtype)
        i, k = t.index(2)
        total = SumOf(left.sizes[1].expr, k, product(left.at((i, k)), right.at((k,))), dtype.name)
        t.emit(Fill(made.ref, (i,), total.expr(), tuple(total.over(g) for g in left.guards((i, k)))))
        return made
    if left.ndim == 1:
        made = elements.full(t, right.sizes[1:], dtype, 0)
        k, j = t.index(2)
        t.emit(
            Accumulate(
                made.ref,
                "add",
                (k, j),
                tuple(s.expr for s in right.sizes),
                (1,),
                product(left.at((k,)), right.at((k, j))),
                right.guards((k, j)),
            )
        )
        return made
    left, right = (elements.in_memory(t, elements.converted(m, dtype)) for m in (left, right))
    made = elements.new(t, (left.sizes[0], right.sizes[1]), dtype)
    t.emit(Product(made.ref, left.ref, right.ref))
    return made
