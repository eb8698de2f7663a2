"""How a contraction is cut into blocks: of registers, of what the caches hold, of what a thread does at a time.

All that is decided here changes speed alone: each element of the result is summed in runs of `Blocking.run`, whatever its block.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

#: products summed one after the other before they go to an outer total: bounds the rounding error
_LONGEST_RUN = 256
#: rows up to which the lanes may run along the inner axis, and nothing is turned around: sums of lanes are costly
FEW_ROWS = 8
#: elements of the right operand that are worth being handed out to a thread
_LEAST_READ = 1 << 16
#: bytes of the right operand that a task lays down at a time: they stay in the second cache, which is rarely below twice that
_PANEL_BYTES = 1 << 18
#: a task with fewer products than this is not worth being handed out
_LEAST_TASK = 1 << 21
#: tasks enough for the threads of most machines to end together
_TASKS = 32
#: bytes of sums that wait for the next run of the inner axes, where there is a choice, and at most
_SUMS_BYTES, _MOST_SUMS_BYTES = 1 << 19, 1 << 22
#: blocks of rows for which a task lays the right operand down for itself
_BLOCKS_PER_PANEL = 16
#: fused steps in flight that hide their latency
_IN_FLIGHT = 8


@dataclass(frozen=True)
class Pieces:
    """A length in pieces that differ by one at most: the first `longer` of `count` are of `size`, the others of one less."""

    size: int
    longer: int
    count: int

    @property
    def is_even(self) -> bool:
        return self.longer == self.count

    @property
    def length(self) -> int:
        return self.count * self.size - (self.count - self.longer)

    @property
    def lengths(self) -> tuple[tuple[int, int], ...]:
        """Each length with how often it is there."""
        return ((self.size, self.longer), (self.size - 1, self.count - self.longer))


def pieces(total: int, most: int) -> Pieces:
    """A length in as few pieces of at most `most` as there can be."""
    count = -(-total // most)
    least, longer = divmod(total, count)
    return Pieces(least + 1, longer, count) if longer else Pieces(least, count, count)


@dataclass(frozen=True)
class Blocking:
    """rows: the blocks of registers that follow each other down, in each of `lines`; columns: across, in vectors of `lanes`
    task_rows, task_columns: how many of these are computed together, at most
    run: how much of the inner axis is summed at a time
    joined: whether a thread takes pieces of the columns for all their rows together, where it can
    """

    rows: Pieces
    columns: Pieces
    lanes: int
    task_rows: int
    task_columns: int
    run: int
    lines: int = 1
    joined: bool = True

    @property
    def blocks(self) -> int:
        """Blocks of rows, of all lines."""
        return self.rows.count * self.lines

    @property
    def down(self) -> int:
        """Tasks along the rows."""
        return -(-self.blocks // self.task_rows)

    def begins_whole(self, lanes: int) -> bool:
        """Whether each piece of the columns begins with a whole vector of so many lanes."""
        return self.lanes % lanes == 0 or self.columns.is_even and self.columns.size * self.lanes % lanes == 0

    @property
    def width(self) -> int:
        """The most columns that a task has, those that fill up the last vector among them."""
        return self.task_columns * self.columns.size * self.lanes


def choose_blocking(
    batch: int, rows: int, columns: int, inner: int, size: int, vector_bytes: int, lines: int = 1, places: int = 1
) -> Blocking:
    """The blocks of a product whose lanes run along the columns.

    batch, rows, columns, inner: how many points along each kind of axis; size: bytes of an element of the sums
    lines:  how many lines of rows there are, each of which is cut for itself; `rows` is the length of one
    places: of a window, which stay together; `inner` has all of them
    """
    lanes = vector_bytes // size
    run = choose_run(inner, places)
    vectors = -(-columns // lanes)
    height, width = min(_register_blocks(vector_bytes), key=lambda block: _cycles(rows, vectors, *block))
    down, across = pieces(rows, height), pieces(vectors, width)
    fit = max(_PANEL_BYTES // (run * vector_bytes * across.size), 1)
    blocks = lines * down.count
    wanted = max(min(_TASKS, batch * lines * rows * columns * inner // _LEAST_TASK), 1)
    strips = max(min(-(-wanted // (batch * across.count)), blocks // _BLOCKS_PER_PANEL), 1)
    waiting = 0 if run == inner else lines * rows * vector_bytes * across.size
    if waiting > _MOST_SUMS_BYTES:
        strips = max(strips, -(-waiting // _SUMS_BYTES))
        return Blocking(down, across, lanes, -(-blocks // strips), 1, run, lines, joined=False)
    task_columns = max(min(fit, across.count, _SUMS_BYTES // max(waiting, 1)), 1)
    return Blocking(down, across, lanes, -(-blocks // strips), task_columns, run, lines)


def choose_run(inner: int, places: int = 1) -> int:
    """How much of the inner axes is summed at a time, whatever the rest of the product."""
    return pieces(inner // places, max(_LONGEST_RUN // places, 1)).size * places


def choose_dots(batch: int, rows: int, columns: int, inner: int, size: int, vector_bytes: int) -> Blocking:
    """The blocks of a product with few rows whose lanes run along the inner axis: the right operand comes by once, and that is
    what takes the time.
    """
    down = pieces(rows, FEW_ROWS)
    across = pieces(columns, widest(down.size, vector_bytes, most=8 if down.size == 1 else 4))
    run = pieces(inner, _LONGEST_RUN * vector_bytes // size).size  # each lane has a sum of its own
    fit = max(_PANEL_BYTES // (run * 8 * across.size), 1)
    return Blocking(down, across, 1, down.count, _task_reads(batch, columns, inner, across, fit), run)


def choose_reading(batch: int, rows: int, columns: int, inner: int, size: int, vector_bytes: int) -> Blocking:
    """The same where the lanes run along the columns, which are read where they lie."""
    lanes = vector_bytes // size
    down, vectors = pieces(rows, FEW_ROWS), -(-columns // lanes)
    across = pieces(vectors, widest(down.size, vector_bytes, most=8))
    run = pieces(inner, _LONGEST_RUN).size
    return Blocking(down, across, lanes, down.count, _task_reads(batch, columns, inner, across, across.count), run)


def _task_reads(batch: int, columns: int, inner: int, across: Pieces, fit: int) -> int:
    """Pieces of the columns for a task that reads the right operand once; at most `fit`."""
    wanted = max(min(_TASKS, batch * columns * inner // _LEAST_READ), 1)
    panels = max(-(-across.count // fit), min(across.count, -(-wanted // batch)))
    return -(-across.count // panels)


def widest(height: int, vector_bytes: int, most: int = 4) -> int:
    """The most vectors of columns, up to `most`, that a block of so many rows can have."""
    return max(w for h, w in _register_blocks(vector_bytes, most) if h == height)


def _register_blocks(vector_bytes: int, widest: int = 4) -> Iterator[tuple[int, int]]:
    """Rows and vectors of columns whose sums are kept in registers, beside the right operand's vectors and one of the left."""
    registers = 16 if vector_bytes == 32 else 32
    for width in range(1, widest + 1):
        for height in range(1, (registers - 1 - width) // width + 1):
            yield height, width


def _cycles(rows: int, vectors: int, height: int, width: int) -> float:
    """What one step of the inner axis takes, with two fused steps and two loads a cycle. Of equals the one with fewer loads."""
    return math.fsum(
        times * often * (max(h * w / 2, (h + w) / 2, _IN_FLIGHT / 2) + (h + w) / 16)
        for h, times in pieces(rows, height).lengths
        for w, often in pieces(vectors, width).lengths
    )
