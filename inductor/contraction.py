"""Contractions among kernels: a sum of products of two operands over axes that both have, and what is done with it.

    store(out, m*N + n, gelu(reduce.sum(load(a, m*K + k) * load(b, k*N + n)) + load(bias, n)))

Code generators emit such a kernel in blocks: what belongs to which axis is all they need to know. That a kernel is none is a
`Refusal` with one of the codes below; it is emitted as any other reduction then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from .dtypes import DType
from .graph import Dim
from .kernel import Store
from .loops import Expr, Indirect, Var, postorder
from .refusal import Refusal


@dataclass(frozen=True)
class Axes:
    """What kinds of axes a contraction has, and how many elements along each of them (see `Contraction`).

    All that is known of a product before it is lowered; axes of one element count as none, but for the inner ones.
    """

    batch: tuple[Dim, ...]
    rows: tuple[Dim, ...]
    columns: tuple[Dim, ...]
    inner: tuple[Dim, ...]


#: one inner axis at most; several, along one of which elements lie side by side; elements lie side by side along an axis that both
#: operands and the result have; along neither
WINDOWS = ("none", "summed", "apart", "gathered")


@dataclass(frozen=True)
class Product:
    """What a code generator is asked about before a product is lowered.

    dtype:    of its elements, which may be summed in a wider type
    finished: whether loops read its result at the places where it is made: they can be its epilogue
    windows:  whether its left operand is read in windows, and how they lie in memory: one of WINDOWS
    in_lines: whether the elements of the larger operand follow each other in memory along an inner axis
    kept:     bytes of an operand that may be laid down once for many runs; 0: none may
    across:   whether those of the left operand do along its rows' axis instead: a row's are far apart
    """

    axes: Axes
    dtype: DType
    finished: bool
    windows: str = "none"
    in_lines: bool = False
    kept: int = 0
    across: bool = False


@dataclass(frozen=True)
class Attention:
    """What a code generator is asked about before softmax(q @ k) @ v is lowered as one.

    batch: sizes of the axes that all three have; rows: only q; keys: k's and v's; inner: q's and k's; columns: only v
    dtype: of its elements
    """

    batch: tuple[int, ...]
    rows: tuple[int, ...]
    keys: int
    inner: int
    columns: tuple[int, ...]
    dtype: DType


@dataclass(frozen=True)
class Contraction:
    """One sum of products in a kernel.

    batch:   variables of p along which both operands vary; rows: only the left; columns: only the right
    inner:   variables of r, which are summed over. A window's place stands in an operand's index beside a row's: the left
             varies along both
    left, right: the operands at one point, with all that is computed on the way from memory (prologue)
    total:   the sum; stores: what becomes of it (epilogue), once per point of p
    """

    batch: tuple[Var, ...]
    rows: tuple[Var, ...]
    columns: tuple[Var, ...]
    inner: tuple[Var, ...]
    left: Expr
    right: Expr
    total: Expr
    stores: tuple[Store, ...]

    @property
    def axes(self) -> Axes:
        return Axes(*(tuple(v.extent for v in kind) for kind in (self.batch, self.rows, self.columns, self.inner)))

    @property
    def reuses(self) -> bool:
        """Whether elements of both operands are used more than once: then how it is emitted decides what it costs."""
        return bool(self.rows and self.columns)

    @property
    def turned(self) -> Contraction:
        """The same with left for right, and rows for columns."""
        return replace(self, rows=self.columns, columns=self.rows, left=self.right, right=self.left)


class Loops(Protocol):
    """A loop nest: outer variables, reduction variables, stores."""

    @property
    def p(self) -> Sequence[Var]: ...

    @property
    def r(self) -> Sequence[Var]: ...

    @property
    def stores(self) -> Sequence[Store]: ...


def recognise(kernel: Loops) -> Contraction | Refusal:
    """The loops read as a contraction, or why they are none."""
    below = postorder([root for s in kernel.stores for root in s.roots])
    sums = [e for e in below if e.op == "reduce"]
    if any(e.op == "scan" for e in below):
        return _no("runs-in-order", "prefixes are taken")
    if len(sums) != 1:
        return _no("not-one-sum", f"{len(sums)} reductions")
    (total,) = sums
    product = total.args[0]
    if total.attr != "sum" or not total.dtype.is_float:
        return _no("no-sum-of-floats", f"reduce.{total.attr} of {total.dtype}")
    if product.op != "mul":
        return _no("no-product", f"the sum of {product.op}")
    if any(map(_varies_in_r, kernel.stores)):
        return _no("stores-along-inner", "something is stored at each point of the inner axes")
    left, right = product.args
    first, second = left.vars(), right.vars()
    for v in kernel.r:
        if v.extent != 1 and not (v in first and v in second):
            return _no("inner-of-one-operand", f"only one operand varies along {v}")
    for v in kernel.p:
        if not (v in first or v in second):
            return _no("computed-again", f"no operand varies along {v}")
    return Contraction(
        batch=tuple(v for v in kernel.p if v in first and v in second),
        rows=tuple(v for v in kernel.p if v not in second),
        columns=tuple(v for v in kernel.p if v not in first),
        inner=tuple(kernel.r),
        left=left,
        right=right,
        total=total,
        stores=tuple(kernel.stores),
    )


def _no(code: str, detail: str) -> Refusal:
    return Refusal(code, "legality", detail)


def _varies_in_r(s: Store) -> bool:
    at = s.index.atoms()
    return s.value.varies_in_r or any(
        a.value.varies_in_r if isinstance(a, Indirect) else isinstance(a, Var) and a.is_reduction for a in at
    )
