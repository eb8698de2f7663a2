"""Sums of products of two operands, in blocks of registers: rows by vectors of columns, the inner axes walked once for a block.

A task lays the right operand down, some of its columns and a run of the inner axes at a time, and walks the rows past it. An operand
may be any expression (normalised, gathered, dequantised): it is computed where it is laid down. The left operand is read where it
lies if it can be, and is laid down once for all tasks otherwise. What becomes of the sums is computed from a strip of them that is
still in the first cache.

With few rows and a right operand that runs along the inner axis, so do the lanes: each element of it is used so seldom that to turn it
around would take longer than the product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ....contraction import Axes, Product, recognise
from ....dtypes import float32, float64
from ....loops import Var
from ....refusal import Refusal
from ....sizes import size_hint
from ..nest import Nest
from ..sharing import is_shareable
from ..types import SIZES
from ..writer import Writer
from .blocking import FEW_ROWS, choose_blocking, choose_dots, choose_reading
from .convolution import Windows, windows
from .depthwise import Depthwise, depthwise
from .operands import (
    Operands,
    ask_ahead,
    choose_right,
    count_points,
    direct_left,
    element_type,
    emit_left,
    lanes_along,
    lay_down,
    left_at,
    packed_left,
    right_at,
    runs_along,
)
from .panels import LEAST_BYTES, in_panels
from .tasks import close_tasks, nanoseconds, open_blocks, open_tasks
from .way import Array, Function

#: bytes of an operand that is far from the processor when its product begins, whoever had it before
_FAR = 1 << 20
#: products that are worth a kernel of their own where it takes a tenth less than the library's: with registers of 64 bytes, or beyond
#: so many bytes of the larger operand
_MANY_PRODUCTS, _LARGE = 1 << 26, 1 << 23
#: the same of products whose right operand is laid down once for many runs
_KEPT_PRODUCTS = 1 << 22
#: sums of so many terms are made faster where they are needed than in blocks, if each factor of the large operand is used once
_FEW_TERMS = 4


@dataclass(frozen=True)
class Blocks(Operands):
    """A product in blocks."""

    @property
    def note(self) -> str:
        b = self.blocking
        along = "" if self.right.turned else ", lanes along the inner axis"
        return f"; blocks of {b.rows.size} rows by {b.columns.size} x {b.lanes} columns{along}"

    def functions(self) -> list[Function]:
        multiply = _emit_tasks(self)
        return [emit_left(self), multiply] if self.left.packed else [multiply]

    def arrays(self) -> list[Array]:
        size = count_points(self.contraction.batch) * self.left.whole
        return [Array("packed", element_type(self.contraction), str(size))] if self.left.packed else []


def plan(nest: Nest) -> Blocks | Windows | Depthwise | Refusal:
    """For contractions whose blocks fit."""
    c = recognise(nest.kernel)
    if isinstance(c, Refusal):
        return c
    refusal = blocks(c.axes)
    if refusal is not None:
        return refusal
    if not all(is_shareable(nest.kernel, v) for v in nest.kernel.p):
        return Refusal("colliding-stores", "legality", "two points may write the same element")
    image = windows(nest, c) or depthwise(nest, c)
    if image is not None:
        return image
    kept = in_panels(nest.kernel, c, nest.vector_bytes // SIZES[element_type(c)])
    last = _side_by_side(nest) if kept is None else kept.columns[-1]
    c = kept or (c.turned if last in c.rows else c)
    if last not in c.columns:
        return Refusal(
            "batch-innermost", "heuristic", f"results lie side by side along {last}, which both operands have"
        )
    c = replace(c, columns=(*(v for v in c.columns if v != last), last))
    size = SIZES[element_type(c)]
    batch, rows, columns, inner = (count_points(kind) for kind in (c.batch, c.rows, c.columns, c.inner))
    if kept is None and rows == 1 and inner <= _FEW_TERMS:
        return Refusal("few-terms", "heuristic", f"each sum has {inner} terms, and nothing is read twice")
    lanes = nest.vector_bytes // size
    right = choose_right(nest.kernel, c, lanes, kept is not None)
    if not right.turned:
        blocking = choose_dots(batch, rows, columns, inner, size, nest.vector_bytes)
    elif not right.packed and right.panels is None:
        blocking = choose_reading(batch, rows, columns, inner, size, nest.vector_bytes)
    else:
        blocking = choose_blocking(batch, rows, columns, inner, size, nest.vector_bytes)
    left = direct_left(nest.kernel, c, blocking.rows.size)
    if not right.turned and (left is None or left.inner != 1):
        left = packed_left(c, turned=False)
    p = (*(v for v in nest.kernel.p if v != last), last)
    nest = replace(nest, kernel=replace(nest.kernel, p=p), vector=last)
    nest = replace(nest, lanes=lanes_along(nest, last, size), nanoseconds=nanoseconds(nest, rows, size))
    return Blocks(nest, c, blocking, left or packed_left(c, turned=runs_along(c.left, c.rows, c.inner)), right)


def _side_by_side(nest: Nest) -> Var:
    """The axis along which results lie side by side."""
    place = nest.kernel.stores[0].index
    return next((v for v in nest.kernel.p if place.coefficient(v) == 1), nest.kernel.p[-1])


def blocks(axes: Axes) -> Refusal | None:
    """Why a contraction is not emitted in blocks."""
    if not (axes.rows or axes.columns):
        return Refusal("nothing-to-block", "heuristic", "neither operand varies along an axis of its own")
    if not all(isinstance(n, int) and n > 0 for n in (*axes.batch, *axes.rows, *axes.columns, *axes.inner)):
        return Refusal("no-number", "heuristic", "blocks are cut for sizes that are known")
    return None


def worthwhile(product: Product, vector_bytes: int) -> Refusal | None:
    """Why a product is better left to the library, which multiplies small matrices as fast as blocks do, but does nothing else."""
    axes = product.axes
    reads = _reads_long(product)
    refusal = blocks(axes)
    if refusal is None and not (axes.rows and (axes.columns or product.windows == "apart") or reads):
        refusal = Refusal("nothing-to-block", "heuristic", "no element of an operand is used twice")
    if refusal is not None:
        return refusal
    if product.dtype not in (float32, float64):
        return Refusal("halves", "heuristic", "the library has instructions of its own for them")
    if product.windows == "gathered":
        return Refusal("windows", "heuristic", "the library reads an image in better order")
    if product.across and product.windows == "none" and not (product.finished or reads):
        return Refusal("across", "heuristic", "the library is faster where a row's elements are far apart")
    much = _multiplies_much(product, vector_bytes) or _reads_kept(product, vector_bytes)
    if not (product.finished or reads or product.windows == "apart" or much):
        return Refusal(
            "nothing-to-finish", "heuristic", "no loop follows that its result could be handed to in registers"
        )
    return None


def _reads_long(product: Product) -> bool:
    """Whether it takes as long as reading its larger operand from memory, which blocks read further ahead than the library does; of a
    single row if that reads line by line.
    """
    few = min(_across(product.axes))
    return few <= FEW_ROWS and (product.in_lines or few > 1) and _larger_bytes(product) >= _FAR


def _multiplies_much(product: Product, vector_bytes: int) -> bool:
    faster = vector_bytes >= 64 or _larger_bytes(product) >= _LARGE
    return len(product.axes.inner) == 1 and _products(product) >= _MANY_PRODUCTS and faster


def _reads_kept(product: Product, vector_bytes: int) -> bool:
    """Whether it reads what was laid down once, where the library lays it down each time, and is worth a kernel of its own. With
    registers of 32 bytes products take so much longer that it makes no difference.
    """
    few, _ = _across(product.axes)
    return (
        product.kept >= LEAST_BYTES
        and vector_bytes >= 64
        and few > FEW_ROWS
        and len(product.axes.inner) == 1
        and _products(product) >= _KEPT_PRODUCTS
    )


def _products(product: Product) -> int:
    axes = product.axes
    return math.prod(size_hint(n) for n in (*axes.batch, *axes.rows, *axes.columns, *axes.inner))


def _larger_bytes(product: Product) -> int:
    return max(_across(product.axes)) * size_hint(math.prod(product.axes.inner)) * product.dtype.size


def _across(axes: Axes) -> tuple[int, int]:
    """How many rows and columns there are."""
    return size_hint(math.prod(axes.rows)), size_hint(math.prod(axes.columns))


# --------------------------------------------------------------------------- the tasks


def _emit_tasks(way: Blocks) -> Function:
    """A task: some columns of some rows, at a point of the batch."""
    c, b = way.contraction, way.blocking
    inner = count_points(c.inner)
    single = inner == b.run
    element = element_type(c)
    w = Writer(way.nest)
    open_tasks(w, way)
    if single:
        w.line(f"constexpr i64 from = 0, run = {inner};")
    else:
        w.open(f"for (i64 from = 0; from < {inner}; from += {b.run}) {{")
        w.line(f"const i64 run = min<i64>({b.run}, {inner} - from);")
    lay_down(w, way)
    open_blocks(w, way)
    into = f"Rows::is_shorter(block), left, right, strip, {b.width}, from == 0, {left_at(w, way)}"
    vector = f"{element}x{way.nest.vector_bytes // SIZES[element]}"
    as_it_lies = not way.right.packed and way.right.panels is None
    multiply = f"multiply_rows<{'true' if as_it_lies else 'false'}, " if way.right.turned else "dot_rows<"
    w.line(
        f"{multiply}{vector}, Rows, Columns>({into}, {right_at(w, way)}, {'Walk{run}' if way.right.turned else 'run'});"
    )
    ask_ahead(w, way)
    return close_tasks(w, way)
