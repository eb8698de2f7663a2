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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ....contraction import Axes, Contraction, Product, recognise
from ....dtypes import float32, float64
from ....kernel import Kernel
from ....loops import Expr, Index, Var, points, postorder
from ....refusal import Refusal
from ....sizes import size_hint
from ..cost import lanes_for
from ..indexing import dim_text
from ..nest import Nest
from ..reductions import know, position_in
from ..sharing import Sharing, is_shareable, take_apart
from ..types import SIZES, c_name, value_type
from ..writer import Value, Writer
from .blocking import FEW_ROWS, Blocking, Pieces, choose_blocking, choose_dots, choose_reading
from .tiles import keep_square, open_rows, open_squares, tiled_loads, turn_square
from .way import Array, Function

#: nanoseconds of a product and its sum in a lane of 64 bytes, and of an element that is read: for how many threads are worth starting
_PRODUCT, _READ = 0.01, 0.2
#: bytes of an operand that no second cache holds
_FAR = 1 << 22
#: elements to whose multiples lines are filled up
_ALIGNED = 16
#: an operand whose rows are so many bytes apart has them all in the same few places of the first cache
_SAME_PLACE = 4096


@dataclass(frozen=True)
class Left:
    """How blocks read the left operand: steps along the rows and along the inner axes, in elements.

    packed: whether it is laid down first, `whole` elements for each point of the batch
    """

    packed: bool
    row: int
    inner: int
    whole: int = 0


@dataclass(frozen=True)
class Right:
    """How blocks read the right operand.

    turned: as vectors of columns, panel[vector][inner][lane]; else as lines along the inner axis, panel[column][inner]
    packed: whether it is laid down first; where it is not, its steps along the columns and along the inner axis are these
    """

    turned: bool
    packed: bool = True
    column: int = 0
    inner: int = 0


@dataclass(frozen=True)
class Blocks:
    """nest: read with the last column in its lanes"""

    nest: Nest
    contraction: Contraction
    blocking: Blocking
    left: Left
    right: Right

    @property
    def sharing(self) -> Sharing:
        return Sharing()

    @property
    def note(self) -> str:
        b = self.blocking
        along = "" if self.right.turned else ", lanes along the inner axis"
        return f"; blocks of {b.rows.size} rows by {b.columns.size} x {b.lanes} columns{along}"

    def functions(self) -> list[Function]:
        multiply = _emit_tasks(self)
        return [_emit_left(self), multiply] if self.left.packed else [multiply]

    def arrays(self) -> list[Array]:
        size = _count(self.contraction.batch) * self.left.whole
        return [Array("packed", _element(self.contraction), str(size))] if self.left.packed else []


def plan(nest: Nest) -> Blocks | Refusal:
    """For contractions whose blocks fit."""
    c = recognise(nest.kernel)
    if isinstance(c, Refusal):
        return c
    refusal = blocks(c.axes)
    if refusal is not None:
        return refusal
    if not all(is_shareable(nest.kernel, v) for v in nest.kernel.p):
        return Refusal("colliding-stores", "legality", "two points may write the same element")
    if any(mask is not None for _, mask in nest.reductions):
        return Refusal("under-a-mask", "legality", "its elements are not read everywhere")
    last = nest.kernel.p[-1]
    c = c.turned if last in c.rows else c
    if last not in c.columns:
        return Refusal(
            "batch-innermost", "heuristic", f"results lie side by side along {last}, which both operands have"
        )
    size = SIZES[_element(c)]
    batch, rows, columns, inner = (_count(kind) for kind in (c.batch, c.rows, c.columns, c.inner))
    right, left = _right(nest.kernel, c, nest.vector_bytes // size), _direct(nest.kernel, c)
    if not right.turned:
        blocking = choose_dots(batch, rows, columns, inner, nest.vector_bytes)
        left = left if left is not None and left.inner == 1 else _packed(c, turned=False)
    elif not right.packed:
        blocking = choose_reading(batch, rows, columns, inner, size, nest.vector_bytes)
    else:
        blocking = choose_blocking(batch, rows, columns, inner, size, nest.vector_bytes)
    nanoseconds = max(_PRODUCT, _READ / rows) * 64 / nest.vector_bytes * size / 4
    nest = replace(nest, vector=last, lanes=_lanes(nest, last, size), nanoseconds=nanoseconds)
    return Blocks(nest, c, blocking, left or _packed(c, turned=_runs_along(c.left, c.rows, c.inner)), right)


def blocks(axes: Axes) -> Refusal | None:
    """Why a contraction is not emitted in blocks."""
    if not (axes.rows or axes.columns):
        return Refusal("nothing-to-block", "heuristic", "neither operand varies along an axis of its own")
    if not all(isinstance(n, int) and n > 0 for n in (*axes.batch, *axes.rows, *axes.columns, *axes.inner)):
        return Refusal("no-number", "heuristic", "blocks are cut for sizes that are known")
    return None


def worthwhile(product: Product) -> Refusal | None:
    """Why a product is better left to the library, which multiplies matrices as fast as blocks do, but does nothing else."""
    axes = product.axes
    if not (axes.rows and axes.columns):
        return Refusal("nothing-to-block", "heuristic", "no element of an operand is used twice")
    refusal = blocks(axes)
    if refusal is not None:
        return refusal
    if product.dtype not in (float32, float64):
        return Refusal("halves", "heuristic", "the library has instructions of its own for them")
    if len(axes.inner) > 1:
        return Refusal("windows", "heuristic", "the library reads an image in better order")
    if not product.finished and not _reads_long(axes, product.dtype.size):
        return Refusal(
            "nothing-to-finish", "heuristic", "no loop follows that its result could be handed to in registers"
        )
    return None


def _reads_long(axes: Axes, size: int) -> bool:
    """Whether it takes as long as reading its larger operand from memory: blocks read further ahead than the library does."""
    rows, columns, inner = (size_hint(math.prod(kind)) for kind in (axes.rows, axes.columns, axes.inner))
    return 1 < min(rows, columns) <= FEW_ROWS and max(rows, columns) * inner * size >= _FAR


def _count(variables: Iterable[Var]) -> int:
    """How many points these variables have, which are numbers here."""
    total = points(variables)
    assert isinstance(total, int)
    return total


def _element(c: Contraction) -> str:
    """The C++ type of the sums."""
    return value_type(c.total, False)


def _lanes(nest: Nest, vector: Var, size: int) -> int:
    """Lanes along a variable; a vector of sums holds a whole number of these."""
    return min(lanes_for(nest.kernel, vector, nest.vector_bytes), nest.vector_bytes // size)


# --------------------------------------------------------------------------- the left operand


def _direct(kernel: Kernel, c: Contraction) -> Left | None:
    """The left operand read where it lies: a load with one step along all rows, and one along all inner axes."""
    steps = _steps(kernel, c, c.left, c.rows)
    if steps is None:
        return None
    row, inner = steps
    if 1 not in steps or (row and row * c.total.dtype.size % _SAME_PLACE == 0):
        return None
    return Left(False, row, inner)


def _steps(kernel: Kernel, c: Contraction, e: Expr, own: Sequence[Var]) -> tuple[int, int] | None:
    """The steps of an operand along its own axes and along the inner ones. None where it is not there to be read as it is."""
    if e.op != "load" or e.dtype != c.total.dtype or e.attr[0] in kernel.writes or not e.attr[1].is_affine:
        return None
    along_own, along_inner = _step(e.attr[1], own), _step(e.attr[1], c.inner)
    return None if along_own is None or along_inner is None else (along_own, along_inner)


def _step(index: Index, variables: Sequence[Var]) -> int | None:
    """The step of an index along variables that are walked as one. None where it has no single step."""
    step = index.coefficient(variables[-1]) if variables else 0
    if not isinstance(step, int):
        return None
    behind = [_count(variables[i + 1 :]) for i in range(len(variables))]
    return step if all(index.coefficient(v) == step * n for v, n in zip(variables, behind)) else None


def _runs_along(e: Expr, first: Sequence[Var], second: Sequence[Var]) -> bool:
    """Whether more of an operand's loads run along the first axes than along the second."""
    loads = [x.attr[1] for x in postorder([e]) if x.op == "load"]
    one, other = (sum(i.coefficient(v) == 1 for i in loads for v in axes[-1:]) for axes in (first, second))
    return one > other


def _packed(c: Contraction, turned: bool) -> Left:
    """The left operand laid down line by line; turned: a line has an element of each row."""
    rows, inner = _count(c.rows), _count(c.inner)
    pitch = -(-(rows if turned else inner) // _ALIGNED) * _ALIGNED
    if pitch * c.total.dtype.size % _SAME_PLACE == 0:
        pitch += _ALIGNED
    return Left(True, 1, pitch, pitch * inner) if turned else Left(True, pitch, 1, pitch * rows)


def _emit_left(way: Blocks) -> Function:
    """Lays the left operand down, in vectors along the axis on which its elements follow each other."""
    c, left = way.contraction, way.left
    outer, along = (c.inner, c.rows) if left.row == 1 else (c.rows, c.inner)
    vector, tasks = along[-1], (*c.batch, *outer)
    w = Writer(replace(way.nest, vector=vector, lanes=_lanes(way.nest, vector, SIZES[_element(c)])))
    w.open("for (i64 task = begin; task < end; ++task) {", *tasks)
    take_apart(w, "task", tasks)
    for v in along[:-1]:
        w.open(f"for (i64 {v.name} = 0; {v.name} < {dim_text(v.extent)}; ++{v.name}) {{", v)
    w.open_lanes("0", dim_text(vector.extent))
    value = _operand(w, c.left, _element(c))
    place, _ = w.index(
        position_in(c.batch) * left.whole + position_in(c.rows) * left.row + position_in(c.inner) * left.inner
    )
    w.line(f"store(packed + ({place}), {value}, n);")
    w.close_lanes()
    for _ in along:
        w.close()
    return Function(w.blocks[0].lines, str(_count(tasks)))


def _operand(w: Writer, e: Expr, ctype: str) -> str:
    """An operand's vector at hand."""
    return w.as_vector(w.as_type(w.value(e), ctype))


# --------------------------------------------------------------------------- the tasks


def _emit_tasks(way: Blocks) -> Function:
    """A task: some columns of some rows, at a point of the batch."""
    c, b = way.contraction, way.blocking
    columns, inner = _count(c.columns), _count(c.inner)
    single = inner == b.run
    element = _element(c)
    w = Writer(way.nest)
    height = b.rows.size if single else b.rows.size * b.task_rows
    w.line(f"typedef {_pieces(b.rows)} Rows;")
    w.line(f"typedef {_pieces(b.columns)} Columns;")
    w.line(f"Scratch<{element}> panel_memory({_panel_size(way)}), sums_memory({height * b.width});")
    w.line(f"{element} *panel = panel_memory.data, *sums = sums_memory.data;")
    w.open("for (i64 task = begin; task < end; ++task) {", *c.batch)
    w.line(
        f"const i64 left = task % {b.across} * {b.task_columns}, right = min<i64>(left + {b.task_columns}, {b.columns.count});"
    )
    w.line(
        f"const i64 low = Columns::start(left) * {b.lanes}, high = min<i64>(Columns::start(right) * {b.lanes}, {columns});"
    )
    w.line(
        f"const i64 top = task / {b.across} % {b.down} * {b.task_rows}, bottom = min<i64>(top + {b.task_rows}, {b.rows.count});"
    )
    take_apart(w, f"task / {b.across * b.down}", c.batch)
    if single:
        w.line(f"constexpr i64 from = 0, run = {inner};")
    else:
        w.open(f"for (i64 from = 0; from < {inner}; from += {b.run}) {{")
        w.line(f"const i64 run = min<i64>({b.run}, {inner} - from);")
    _lay_down(w, way)
    w.open("for (i64 block = top; block < bottom; ++block) {")
    w.line("const i64 row = Rows::start(block);")
    w.line("auto strip = sums;" if single else f"auto strip = sums + (row - Rows::start(top)) * {b.width};")
    into = f"Rows::is_shorter(block), left, right, strip, {b.width}, from == 0, {_left_at(w, way)}"
    vector = f"{element}x{way.nest.vector_bytes // SIZES[element]}"
    multiply = f"multiply_rows<{'false' if way.right.packed else 'true'}, " if way.right.turned else "dot_rows<"
    w.line(f"{multiply}{vector}, Rows, Columns>({into}, {_right_at(w, way)}, run);")
    if not single:
        w.open(f"if (from + run == {inner}) {{")
    _finish(w, way)
    if not single:
        w.close()
        w.close()
    w.close()
    w.close()
    return Function(w.blocks[0].lines, str(_count(c.batch) * b.across * b.down))


def _panel_size(way: Blocks) -> int:
    """Elements of the right operand that a task lays down at a time, and what is written beyond them: whole squares are."""
    b = way.blocking
    if not way.right.packed:
        return 0
    return b.run * b.width + b.lanes * b.lanes if way.right.turned else _pitch(way) * b.width


def _pieces(p: Pieces) -> str:
    return f"Pieces<{p.size}, {p.longer}, {'true' if p.is_even else 'false'}>"


def _left_at(w: Writer, way: Blocks) -> str:
    """Where the left operand of a block and a run begins."""
    c, left = way.contraction, way.left
    if left.packed:
        start = f"packed + ({w.index(position_in(c.batch) * left.whole)[0]})"
    else:
        start = _origin(w, c, c.left)
    return f"{{{start} + row * {left.row} + from * {left.inner}, {left.row}, {left.inner}}}"


def _origin(w: Writer, c: Contraction, e: Expr) -> str:
    """Where an operand that is read as it lies begins, at a point of the batch."""
    name, index = e.attr
    for v in (*c.rows, *c.columns, *c.inner):
        index = index.without(v)
    return f"{c_name(name)} + ({w.index(index)[0]})"


# --------------------------------------------------------------------------- the right operand


def _right(kernel: Kernel, c: Contraction, lanes: int) -> Right:
    """Few rows are no reason to turn the right operand around, or to lay it down where it can be read as it lies."""
    if _count(c.rows) > FEW_ROWS or len(c.inner) > 1:
        return Right(turned=True)
    turned = not _runs_along(c.right, c.inner, c.columns)
    steps = _steps(kernel, c, c.right, c.columns)
    if steps is None or steps[0 if turned else 1] != 1 or (turned and _count(c.columns) % lanes):
        return Right(turned)
    column, inner = steps
    return Right(turned, packed=False, column=column, inner=inner)


def _right_at(w: Writer, way: Blocks) -> str:
    """Where the right operand of a task and a run begins, and its steps from one column (or vector of them) to the next, and inside."""
    c, b, right = way.contraction, way.blocking, way.right
    if right.packed:
        return f"{{panel, run * {b.lanes}, {b.lanes}}}" if right.turned else f"{{panel, {_pitch(way)}, 1}}"
    start = f"{_origin(w, c, c.right)} + low * {right.column} + from * {right.inner}"
    return f"{{{start}, {right.column * b.lanes}, {right.inner}}}"


def _pitch(way: Blocks) -> int:
    """From one line in the panel to the next: not a whole page."""
    return -(-way.blocking.run // _ALIGNED) * _ALIGNED + _ALIGNED


def _lay_down_lines(w: Writer, way: Blocks) -> None:
    """As they lie: panel[column][inner]."""
    c = way.contraction
    (inner,) = c.inner
    back, lanes = way.nest, _lanes(way.nest, inner, SIZES[_element(c)])
    w.turn(inner, lanes)
    w.open("for (i64 at = low; at < high; ++at) {", *c.columns)
    take_apart(w, "at", c.columns)
    w.open_lanes("from", "from + run", whole=way.blocking.run % lanes == 0)
    w.line(
        f"store(panel + (at - low) * {_pitch(way)} + ({inner.name} - from), {_operand(w, c.right, _element(c))}, n);"
    )
    w.close_lanes()
    w.close()
    assert back.vector is not None
    w.turn(back.vector, back.lanes)


def _lay_down(w: Writer, way: Blocks) -> None:
    """The right operand's columns `low` to `high` over a run, a vector of them after the other: panel[vector][inner][lane]."""
    c = way.contraction
    if not way.right.packed:
        return
    if not way.right.turned:
        _lay_down_lines(w, way)
    elif len(c.columns) > 1:
        _lay_down_by_line(w, way)
    elif loads := _squares(way):
        _lay_down_turned(w, way, loads)
    else:
        _open_inner(w, c)
        w.open_lanes("low", "high")
        column = c.columns[0].name
        w.line(
            f"store(panel + ({_place(way, column)}) + at * {way.blocking.lanes}, {_operand(w, c.right, _element(c))}, full);"
        )
        w.close_lanes()
        w.close()
    if way.right.turned and len(c.columns) == 1 and way.nest.lanes < way.blocking.lanes:
        _fill_up(w, way)


def _open_inner(w: Writer, c: Contraction) -> None:
    """The loop over a run of the inner axes; `at` counts in it."""
    w.open("for (i64 at = 0; at < run; ++at) {", *c.inner)
    w.line("const i64 inner = from + at;")
    take_apart(w, "inner", c.inner)


def _place(way: Blocks, column: str) -> str:
    """Where a column's vector begins in the panel, and its lane in it."""
    lanes = way.blocking.lanes
    if way.nest.lanes == lanes:
        return f"({column} - low) * run"
    return f"({column} - low) / {lanes} * {lanes} * run + ({column} - low) % {lanes}"


def _squares(way: Blocks) -> list[Expr]:
    """Loads of the right operand that run along the inner axis and step along the columns, of which there is one each."""
    c = way.contraction
    return tiled_loads(way.nest, c.inner[0], [c.right]) if len(c.inner) == len(c.columns) == 1 else []


def _lay_down_turned(w: Writer, way: Blocks, loads: list[Expr]) -> None:
    """In squares, which are turned around in registers: into the panel itself where there is nothing else to do."""
    c, lanes = way.contraction, way.blocking.lanes
    (inner,), (column,) = c.inner, c.columns
    w.open_lanes("low", "high")
    w.line(f"auto vector = panel + ({_place(way, column.name)});")
    open_squares(w, inner, "from", "from + run")
    if loads == [c.right] and value_type(c.right, True) == _element(c) and w.N == lanes:
        turn_square(w, inner, c.right, f"vector + (tile - from) * {lanes}")
    else:
        for e in loads:
            keep_square(w, inner, e)
        open_rows(w, inner)
        w.line(f"store(vector + ({inner.name} - from) * {lanes}, {_operand(w, c.right, _element(c))}, full);")
        w.close()
        for e in loads:
            del w.at_hand[e]
    w.close()
    w.close_lanes()


def _lay_down_by_line(w: Writer, way: Blocks) -> None:
    """Where columns are places along several axes: a line of them for each inner point, which is then cut into vectors."""
    c, b = way.contraction, way.blocking
    _open_inner(w, c)
    w.line(f"alignas(64) {_element(c)} line[{b.width + b.lanes}];")
    number = _open_columns(w, way)
    w.line(f"store(line + ({number} - low), {_operand(w, c.right, _element(c))}, n);")
    _close_columns(w, way)
    w.line(f"lay_down<{_element(c)}x{b.lanes}>(panel + at * {b.lanes}, run * {b.lanes}, line, high - low);")
    w.close()


def _fill_up(w: Writer, way: Blocks) -> None:
    """Lanes behind the last column are summed too, and must not make floating-point errors of their own."""
    N, lanes = way.nest.lanes, way.blocking.lanes
    w.line(f"const i64 used = (high - low + {N - 1}) / {N} * {N}, last = used / {lanes} * {lanes};")
    w.line(
        f"if (used > last) fill_up<{_element(way.contraction)}x{lanes}>(panel + last * run, run, (int)(used - last));"
    )


# --------------------------------------------------------------------------- columns, and what becomes of the sums


def _open_columns(w: Writer, way: Blocks) -> str:
    """The loops over a task's columns, the last axis in lanes. Gives the number of the column at hand."""
    *outer, last = way.contraction.columns
    whole = way.blocking.width % way.nest.lanes == 0
    if not outer:
        w.open_lanes("low", "high", whole=whole)
        return last.name
    n = _count([last])
    w.open(f"for (i64 line_number = low / {n}; line_number <= (high - 1) / {n}; ++line_number) {{", *outer)
    take_apart(w, "line_number", outer)
    w.line(f"const i64 first = line_number * {n};")
    w.open_lanes("max<i64>(low - first, 0)", f"min<i64>(high - first, {n})", whole=whole)
    return f"first + {last.name}"


def _close_columns(w: Writer, way: Blocks) -> None:
    w.close_lanes()
    if len(way.contraction.columns) > 1:
        w.close()


def _finish(w: Writer, way: Blocks) -> None:
    """What becomes of the sums in a strip."""
    c, b = way.contraction, way.blocking
    element = _element(c)
    w.open("for (i64 at = row; at < Rows::start(block + 1); ++at) {", *c.rows)
    take_apart(w, "at", c.rows)
    number = _open_columns(w, way)
    kind = w.type_name(element, True)
    name = w.fresh()
    w.line(f"{kind} {name} = load_raw<{kind}>(strip + (at - row) * {b.width} + ({number} - low), n);")
    for x in way.nest.reductions:
        know(w, x, Value(name, element, True, w.level, is_name=True))
    w.stores(way.nest.kernel.stores)
    _close_columns(w, way)
    w.close()
