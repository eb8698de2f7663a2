"""The tasks of a product in blocks: some of its columns and some of its rows, summed strip by strip, and what becomes of the sums."""

from __future__ import annotations

from ....loops import Var
from ..nest import Nest
from ..reductions import know
from ..sharing import take_apart
from ..writer import Value, Writer
from .operands import (
    Operands,
    close_columns,
    count_points,
    element_type,
    open_columns,
    panel_size,
    pieces_type,
)
from .way import Function

#: nanoseconds of a product and its sum in a lane of 64 bytes, and of an element that is read: for how many threads are worth starting
_PRODUCT, _READ = 0.01, 0.2


def nanoseconds(nest: Nest, rows: int, size: int) -> float:
    """What a product and its sum take, with what is read for it."""
    return max(_PRODUCT, _READ / rows) * 64 / nest.vector_bytes * size / 4


def open_tasks(w: Writer, way: Operands) -> None:
    """Begin the loop over tasks, some at a time: their columns and blocks of rows, and the memory that they need."""
    c, b = way.contraction, way.blocking
    element, columns = element_type(c), count_points(c.columns)
    single = count_points(c.inner) == b.run
    height = b.rows.size if single else b.rows.size * (b.blocks if b.joined else b.task_rows)
    w.line(f"typedef {pieces_type(b.rows, b.lines)} Rows;")
    w.line(f"typedef {pieces_type(b.columns)} Columns;")
    w.line(f"Scratch<{element}> panel_memory({panel_size(way)}), sums_memory({height * b.width});")
    w.line(f"{element} *panel = panel_memory.data, *sums = sums_memory.data;")
    # tasks are pieces of the columns by strips of the rows, so that threads get as many each; a thread takes pieces together of which
    # it has all strips
    pieces, strips = b.columns.count, b.down
    w.open("for (i64 task = begin, next; task < end; task = next) {", *c.batch)
    w.line(f"const i64 left = task / {strips} % {pieces}, part = task % {strips};")
    whole = f"part ? 0 : min<i64>((end - task) / {strips}, {pieces} - left)" if b.joined else "0"
    w.line(f"const i64 whole = {whole};")
    w.line(f"const i64 right = left + (whole ? min<i64>(whole, {b.task_columns}) : 1);")
    w.line(f"const i64 parts = whole ? {strips} : min<i64>({'end - task' if b.joined else '1'}, {strips} - part);")
    w.line("next = task + parts * (right - left);")
    w.line(
        f"const i64 low = Columns::start(left) * {b.lanes}, high = min<i64>(Columns::start(right) * {b.lanes}, {columns});"
    )
    w.line(f"const i64 top = part * {b.task_rows}, bottom = min<i64>((part + parts) * {b.task_rows}, {b.blocks});")
    take_apart(w, f"task / {pieces * b.down}", c.batch)


def open_blocks(w: Writer, way: Operands) -> None:
    """Begin the loop over a task's blocks of rows, whose sums are kept until the inner axes have been walked. A block lies in one line."""
    single = count_points(way.contraction.inner) == way.blocking.run
    line = _line(way)
    w.open("for (i64 block = top; block < bottom; ++block) {", *line)
    w.line("const i64 row = Rows::start(block);")
    if line:
        take_apart(w, f"row / {way.blocking.rows.length}", line)
    w.line("auto strip = sums;" if single else f"auto strip = sums + (row - Rows::start(top)) * {way.blocking.width};")


def _line(way: Operands) -> tuple[Var, ...]:
    """The rows' variables that say in which line a block is."""
    return way.contraction.rows[:-1] if way.blocking.lines > 1 else ()


def close_tasks(w: Writer, way: Operands) -> Function:
    """Behind the multiplication: what becomes of the sums where they are whole, and the ends of all loops."""
    c, b = way.contraction, way.blocking
    inner = count_points(c.inner)
    if inner == b.run:
        _finish(w, way)
    else:
        w.open(f"if (from + run == {inner}) {{")
        _finish(w, way)
        w.close()
        w.close()
    w.close()
    w.close()
    return Function(w.blocks[0].lines, str(count_points(c.batch) * b.columns.count * b.down))


def _finish(w: Writer, way: Operands) -> None:
    """What becomes of the sums in a strip."""
    c, b = way.contraction, way.blocking
    element = element_type(c)
    rows = c.rows[len(_line(way)) :]
    w.open("for (i64 at = row; at < Rows::start(block + 1); ++at) {", *rows)
    take_apart(w, f"at % {b.rows.length}" if b.lines > 1 else "at", rows)
    number = open_columns(w, way)
    kind = w.type_name(element, True)
    name = w.fresh()
    w.line(f"{kind} {name} = load_raw<{kind}>(strip + (at - row) * {b.width} + ({number} - low), n);")
    for x in way.nest.reductions:
        know(w, x, Value(name, element, True, w.level, is_name=True))
    w.stores(way.nest.kernel.stores)
    close_columns(w, way)
    w.close()
