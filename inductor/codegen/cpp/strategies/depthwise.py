"""Windows over images whose channels are filtered each for itself: the channels are the lanes.

A block is some places of a line, for a vector of channels: their sums are kept in registers while the window's places go by, and what
two neighbouring places read is loaded once. The weights are laid down as vectors of channels, once a task.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ....contraction import Contraction
from ....loops import Index
from ..indexing import dim_text
from ..nest import Nest
from ..reductions import know
from ..sharing import Sharing, take_apart
from ..types import SIZES, c_name
from ..writer import Value, Writer
from .blocking import Pieces, pieces
from .convolution import image_index, offsets_of
from .operands import count_points, element_type, lanes_along, operand, pieces_type
from .tasks import nanoseconds
from .way import Array, Function

#: taps along a line that are written out
_MOST_TAPS = 16
#: sums of places kept in registers, of 32 there may be and of 16
_SUMS = {64: 8, 32: 6}
#: tasks enough for the threads of most machines to end together, and the fewest places of one, which share the weights it lays down
_TASKS, _LEAST_PLACES = 32, 64


@dataclass(frozen=True)
class Depthwise:
    """A product of an image's windows with weights of their channels.

    contraction: its only batch axis being the channels; the last of the inner axes the taps along a line
    blocks: a line's places, in pieces; image: its buffer, and the index of a window's first element but for channel and place
    unit:   elements from one place of the image that is read to the next; step, gap: from row to row and tap to tap, in these
    task:   blocks of one
    """

    nest: Nest
    contraction: Contraction
    blocks: Pieces
    image: tuple[str, Index]
    unit: int
    step: int
    gap: int
    task: int

    @property
    def sharing(self) -> Sharing:
        return Sharing()

    @property
    def note(self) -> str:
        return f"; windows of {count_points(self.contraction.inner)} places, blocks of {self.blocks.size} rows by {self.nest.lanes} channels"

    @property
    def lines(self) -> int:
        return count_points(self.contraction.rows[:-1])

    def functions(self) -> list[Function]:
        return [_emit_tasks(self)]

    def arrays(self) -> list[Array]:
        return []


def depthwise(nest: Nest, c: Contraction) -> Depthwise | None:
    """For contractions of known sizes over windows of an image that is read where it lies, with its channels side by side."""
    return next((way for way in (_depthwise(nest, c), _depthwise(nest, c.turned)) if way is not None), None)


def _depthwise(nest: Nest, c: Contraction) -> Depthwise | None:
    index = image_index(nest, c)
    if index is None or c.columns or len(c.batch) != 1 or index.coefficient(c.batch[0]) != 1:
        return None
    (channels,) = c.batch
    size = SIZES[element_type(c)]
    lanes = lanes_along(nest, channels, size)
    rows, inner = (tuple(sorted(v, key=index.coefficient, reverse=True)) for v in (c.rows, c.inner))
    *_, place = rows
    *_, tap = inner
    steps = index.coefficient(place), index.coefficient(tap)
    unit = math.gcd(*steps)
    if lanes * size != nest.vector_bytes or count_points([tap]) > _MOST_TAPS or not unit:
        return None
    blocks = pieces(count_points([place]), _SUMS.get(nest.vector_bytes, 4))
    every = count_points(rows[:-1]) * blocks.count
    least = -(-_LEAST_PLACES // blocks.size)
    name = c.left.attr[0]
    for v in (place, channels, *inner):
        index = index.without(v)
    nest = replace(nest, vector=channels, lanes=lanes, nanoseconds=2 * nanoseconds(nest, count_points(rows), size))
    c = replace(c, rows=rows, inner=inner)
    return Depthwise(
        nest, c, blocks, (name, index), unit, steps[0] // unit, steps[1] // unit, max(-(-every // _TASKS), least)
    )


def _emit_tasks(way: Depthwise) -> Function:
    """A task: some blocks of places, with all channels."""
    c, nest, blocks = way.contraction, way.nest, way.blocks
    (channels,), (*outer, place), (*window, tap) = c.batch, c.rows, c.inner
    element, lanes = element_type(c), nest.lanes
    taps, places, every = count_points([tap]), count_points(c.inner), way.lines * blocks.count
    size = -(-count_points(c.batch) // lanes) * places * lanes
    offsets = offsets_of(c.left.attr[1], window)
    w = Writer(nest)
    w.line(f"static const i64 offsets[] = {{{', '.join(map(str, offsets))}}};")
    w.line(f"typedef {pieces_type(blocks, way.lines)} Rows;")
    w.line(f"Scratch<{element}> weights({size});")
    w.line(f"alignas(64) {element} strip[{blocks.size * lanes}];")
    if count_points(c.batch) % lanes:  # lanes behind the last channel are summed too
        w.line(f"for (i64 i = 0; i < {size}; ++i) weights.data[i] = 0;")
    w.open("for (i64 task = begin; task < end; ++task) {")
    _lay_down_weights(w, way)
    w.open(
        f"for (i64 block = task * {way.task}; block < min<i64>((task + 1) * {way.task}, {every}); ++block) {{", *outer
    )
    w.line("const i64 row = Rows::start(block);")
    take_apart(w, f"row / {blocks.length}", outer)
    name, index = way.image
    w.line(
        f"const auto image = {c_name(name)} + ({w.index(index)[0]}) + row % {blocks.length} * {way.step * way.unit};"
    )
    w.open_lanes("0", dim_text(channels.extent))
    v, V = channels.name, f"{element}x{lanes}"
    numbers = f"{taps}, {way.step}, {way.gap}"
    w.line(
        f"filter_rows<{V}, Rows, {numbers}>(Rows::is_shorter(block), strip, image + {v}, {way.unit}, offsets, {len(offsets)}, "
        f"weights.data + {v} * {places}, n);"
    )
    w.open("for (i64 at = row; at < Rows::start(block + 1); ++at) {", place)
    take_apart(w, f"at % {blocks.length}", [place])
    name = w.fresh()
    w.line(f"{V} {name} = load_raw<{V}>(strip + (at - row) * {lanes}, full);")
    for x in nest.reductions:
        know(w, x, Value(name, element, True, w.level, is_name=True))
    w.stores(nest.kernel.stores)
    w.close()
    w.close_lanes()
    w.close()
    w.close()
    return Function(w.blocks[0].lines, str(-(-every // way.task)))


def _lay_down_weights(w: Writer, way: Depthwise) -> None:
    """weights[vector of channels][place of the window][lane]"""
    c = way.contraction
    places, v = count_points(c.inner), c.batch[0].name
    w.open(f"for (i64 at = 0; at < {places}; ++at) {{", *c.inner)
    take_apart(w, "at", c.inner)
    w.open_lanes("0", dim_text(c.batch[0].extent))
    w.line(f"store(weights.data + {v} * {places} + at * {way.nest.lanes}, {operand(w, c.right, element_type(c))}, n);")
    w.close_lanes()
    w.close()
