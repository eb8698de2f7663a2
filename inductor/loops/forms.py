"""What an op lowers to: a tensor as a function of its index, and the loops that are more than that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..graph import Dim
from .build import reduce
from .language import Expr, Index, expr

#: a tensor as a function: its value at a multi-index
Fn = Callable[[tuple[Index, ...]], Expr]


@dataclass(frozen=True)
class Reduce:
    """A reduction: out[o] = kind over r of inner(o, r). `extents` are the reduced sizes; o has the output's rank."""

    kind: str
    extents: tuple[Dim, ...]
    inner: Callable[[tuple[Index, ...], tuple[Index, ...]], Expr]

    def total(self, o: tuple[Index, ...], r: tuple[Index, ...]) -> Expr:
        """The value at a point of the output."""
        return reduce(self.kind, self.inner(o, r))


@dataclass(frozen=True)
class Attend:
    """out[o] = the mean over r of value(o, r), weighed by exp(score(o, r)). empty: as in `attend` expressions"""

    extents: tuple[Dim, ...]
    score: Callable[[tuple[Index, ...], tuple[Index, ...]], Expr]
    value: Callable[[tuple[Index, ...], tuple[Index, ...]], Expr]
    empty: str

    def total(self, o: tuple[Index, ...], r: tuple[Index, ...]) -> Expr:
        """The value at a point of the output."""
        score, value = self.score(o, r), self.value(o, r)
        return expr("attend", score, value, dtype=value.dtype, attr=self.empty)


@dataclass(frozen=True)
class Scan:
    """An inclusive prefix along axis `dim` of the output's shape: out[o] = kind over i <= o[dim] of inner(o with i).

    It runs in inner's dtype, which may be wider than the output's; sums and products of floats are taken one after the other.
    """

    kind: str
    dim: int
    inner: Fn


@dataclass(frozen=True)
class Scatter:
    """out = base, then for every point of `ranges`: out[target(o)] =, += or |= value(o), as a `kernel.Store`'s mode says.

    wide: sums of halves are kept in float32, and rounded when all are done; else after each addition.
    """

    base: Fn
    ranges: tuple[Dim, ...]
    target: Callable[[tuple[Index, ...]], tuple[Index, ...]]
    value: Fn
    mode: str = "store"
    wide: bool = False
