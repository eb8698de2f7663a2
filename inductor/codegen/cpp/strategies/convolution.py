"""Sums of products whose left operand is an image: each row is a place in it, and the inner axes are a window around the place.

The image is read where it lies. Its rows come in lines, along which a place is one step from the next; along one inner axis (the
channels, in images that lie channels last) its elements lie side by side, and the others, the window's, are a table of offsets. What
is laid down of the right operand, and what becomes of the sums, is as with other products (see `contraction`).

The scheme is that of direct convolutions: Georganas et al., "Anatomy of High-Performance Deep Learning Convolutions on SIMD
Architectures" (2018).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ....contraction import Contraction
from ....loops import Expr, Index, Var, as_index, load
from ....sizes import size_hint
from ..nest import Nest
from ..types import SIZES, c_name
from ..writer import Writer
from .blocking import choose_blocking
from .operands import Left, Operands, Right, count_points, element_type, lanes_along, lay_down, steps_of
from .tasks import close_tasks, nanoseconds, open_blocks, open_tasks
from .way import Array, Function


@dataclass(frozen=True)
class Windows(Operands):
    """A product over the windows of an image.

    along:  the inner axis along which the image's elements lie side by side; window: the others
    image:  its buffer, and the index of a window's first element
    """

    along: Var
    window: tuple[Var, ...]
    image: tuple[str, Index]

    @property
    def note(self) -> str:
        b = self.blocking
        return (
            f"; windows of {self.places} places, blocks of {b.rows.size} rows by {b.columns.size} x {b.lanes} columns"
        )

    @property
    def places(self) -> int:
        return count_points(self.window)

    def functions(self) -> list[Function]:
        return [_emit_tasks(self)]

    def arrays(self) -> list[Array]:
        return []


def windows(nest: Nest, c: Contraction) -> Windows | None:
    """For contractions of known sizes with an image that is read where it lies."""
    found = next((x for x in (_as_image(nest, c), _as_image(nest, c.turned)) if x is not None), None)
    if found is None:
        return None
    c, last = found, found.columns[-1]
    along, *window = c.inner
    size = SIZES[element_type(c)]
    *lines, line = (count_points([v]) for v in c.rows)
    batch, rows, columns, inner = (count_points(kind) for kind in (c.batch, c.rows, c.columns, c.inner))
    blocking = choose_blocking(
        batch, line, columns, inner, size, nest.vector_bytes, lines=rows // line, places=count_points(window)
    )
    name, index = c.left.attr
    nest = replace(nest, vector=last, lanes=lanes_along(nest, last, size), nanoseconds=nanoseconds(nest, rows, size))
    step = index.coefficient(c.rows[-1])
    for v in (c.rows[-1], *c.inner):
        index = index.without(v)
    return Windows(nest, c, blocking, Left(False, step, 1), Right(turned=True), along, tuple(window), (name, index))


def _as_image(nest: Nest, c: Contraction) -> Contraction | None:
    """The contraction with its axes in the order in which they lie in memory, the inner axis first along which the left operand's
    elements lie side by side. None where the left operand is not there to be read as it is, or has neither lines nor windows.
    """
    index = image_index(nest, c)
    if index is None or not c.columns or steps_of(nest.kernel, c, c.left, c.rows) is not None:
        return None
    along = next((v for v in c.inner if index.coefficient(v) == 1), None)
    if along is None:
        return None
    window = [v for v in c.inner if v != along]
    rows = sorted(c.rows, key=index.coefficient, reverse=True)
    columns = sorted(c.columns, key=lambda v: size_hint(c.stores[0].index.coefficient(v)), reverse=True)
    return replace(c, rows=tuple(rows), columns=tuple(columns), inner=(along, *window))


def image_index(nest: Nest, c: Contraction) -> Index | None:
    """The index of the left operand, where it is there to be read as it is, with steps that are numbers."""
    e = c.left
    if not c.rows or e.op != "load" or e.dtype != c.total.dtype or e.attr[0] in nest.kernel.writes:
        return None
    index: Index = e.attr[1]
    numbers = all(isinstance(index.coefficient(v), int) for v in (*c.rows, *c.inner))
    return index if index.is_affine and numbers else None


def offsets_of(index: Index, window: Sequence[Var]) -> list[int]:
    """Where an image is at the points of some of a window's axes, in row-major order."""
    ranges = [range(count_points([v])) for v in window]
    steps = [index.coefficient(v) for v in window]
    return [sum(at * step for at, step in zip(place, steps)) for place in itertools.product(*ranges)]


def _emit_tasks(way: Windows) -> Function:
    """A task: some columns of some places, at a point of the batch."""
    c, b, places = way.contraction, way.blocking, way.places
    inner, count = count_points(c.inner), count_points([way.along])
    element = element_type(c)
    w = Writer(way.nest)
    w.line(f"static const i64 offsets[] = {{{', '.join(map(str, offsets_of(c.left.attr[1], way.window)))}}};")
    open_tasks(w, way)
    if inner == b.run:
        w.line(f"constexpr i64 start = 0, from = 0, steps = {count}, run = {inner};")
    else:
        w.open(f"for (i64 start = 0; start < {count}; start += {b.run // places}) {{")
        w.line(
            f"const i64 steps = min<i64>({b.run // places}, {count} - start), from = start * {places}, run = steps * {places};"
        )
    lay_down(w, _as_lines(way))
    open_blocks(w, way)
    name, index = way.image
    at = f"{c_name(name)} + ({w.index(index)[0]}) + row % {b.rows.length} * {way.left.row} + start"
    vector = f"{element}x{b.lanes}"
    into = f"Rows::is_shorter(block), left, right, strip, {b.width}, from == 0, {{{at}, {way.left.row}, 1}}"
    panel = f"{{panel, run * {b.lanes}, {places * b.lanes}}}"
    walks = f"Windows{{offsets, {places}, {b.lanes}, steps}}" if places > 1 else "Walk{steps}"
    w.line(f"multiply_rows<false, {vector}, Rows, Columns>({into}, {panel}, {walks});")
    return close_tasks(w, way)


def _as_lines(way: Windows) -> Operands:
    """The operands with one inner axis where the right one lies along all of them as along one: it is read in long lines then."""
    c = way.contraction
    e: Expr = c.right
    base = Operands(way.nest, c, way.blocking, way.left, way.right)
    if e.op != "load" or len(c.inner) == 1 or steps_of(way.nest.kernel, c, e, c.columns) is None:
        return base
    name, index = e.attr
    step = index.coefficient(c.inner[-1])
    for v in c.inner:
        index = index.without(v)
    one = Var(f"{way.along.name}_all", count_points(c.inner), True)
    right = load(name, index + as_index(one) * step, e.dtype)
    return replace(base, contraction=replace(c, right=right, inner=(one,)))
