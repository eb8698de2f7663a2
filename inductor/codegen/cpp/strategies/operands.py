"""The operands of a product in blocks: how they are read, and how those are laid down that cannot be read where they lie.

An operand may be any expression (normalised, gathered, dequantised): it is computed where it is laid down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ....contraction import Contraction
from ....kernel import Kernel
from ....loops import Expr, Index, Var, points, postorder
from ..cost import lanes_for
from ..indexing import dim_text
from ..nest import Nest
from ..reductions import position_in
from ..sharing import Sharing, take_apart
from ..types import SIZES, c_name, value_type
from ..writer import Writer
from .blocking import FEW_ROWS, Blocking, Pieces
from .panels import Panels, panels_of
from .tiles import keep_square, open_rows, open_squares, tiled_loads, turn_square
from .way import Function

#: elements to whose multiples lines are filled up
_ALIGNED = 16
#: an operand whose rows are so many bytes apart has them all in the same few places of the first cache, where so many find room together
_SAME_PLACE, _ROOM = 4096, 6


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
    panels: as what it was laid down once for many runs (None: it was not); it is not laid down then
    """

    turned: bool
    packed: bool = True
    column: int = 0
    inner: int = 0
    panels: Panels | None = None


@dataclass(frozen=True)
class Operands:
    """A contraction whose operands are read in blocks. nest: read with the last column in its lanes"""

    nest: Nest
    contraction: Contraction
    blocking: Blocking
    left: Left
    right: Right

    @property
    def sharing(self) -> Sharing:
        """Tasks are cut by the functions themselves."""
        return Sharing()


def count_points(variables: Iterable[Var]) -> int:
    """How many points these variables have, which are numbers here."""
    total = points(variables)
    assert isinstance(total, int)
    return total


def element_type(c: Contraction) -> str:
    """The C++ type of the sums."""
    return value_type(c.total, False)


def pieces_type(p: Pieces, lines: int = 1) -> str:
    """The C++ type that cuts a length so, or each of several lines of it."""
    one = f"Pieces<{p.size}, {p.longer}, {'true' if p.is_even else 'false'}>"
    return one if lines == 1 else f"Lines<{one}, {p.count}, {p.length}>"


def lanes_along(nest: Nest, vector: Var, size: int) -> int:
    """Lanes along a variable; a vector of sums holds a whole number of these."""
    return min(lanes_for(nest.kernel, vector, nest.vector_bytes), nest.vector_bytes // size)


# --------------------------------------------------------------------------- the left operand


def direct_left(kernel: Kernel, c: Contraction, together: int) -> Left | None:
    """The left operand read where it lies: a load with one step along all rows, and one along all inner axes.

    together: rows that are read at a time
    """
    steps = steps_of(kernel, c, c.left, c.rows)
    if steps is None:
        return None
    row, inner = steps
    if 1 not in steps or (together > _ROOM and row and row * c.total.dtype.size % _SAME_PLACE == 0):
        return None
    return Left(False, row, inner)


def steps_of(kernel: Kernel, c: Contraction, e: Expr, own: Sequence[Var]) -> tuple[int, int] | None:
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
    behind = [count_points(variables[i + 1 :]) for i in range(len(variables))]
    return step if all(index.coefficient(v) == step * n for v, n in zip(variables, behind)) else None


def runs_along(e: Expr, first: Sequence[Var], second: Sequence[Var]) -> bool:
    """Whether more of an operand's loads run along the first axes than along the second."""
    loads = [x.attr[1] for x in postorder([e]) if x.op == "load"]
    one, other = (sum(i.coefficient(v) == 1 for i in loads for v in axes[-1:]) for axes in (first, second))
    return one > other


def packed_left(c: Contraction, turned: bool) -> Left:
    """The left operand laid down line by line; turned: a line has an element of each row."""
    rows, inner = count_points(c.rows), count_points(c.inner)
    pitch = -(-(rows if turned else inner) // _ALIGNED) * _ALIGNED
    if pitch * c.total.dtype.size % _SAME_PLACE == 0:
        pitch += _ALIGNED
    return Left(True, 1, pitch, pitch * inner) if turned else Left(True, pitch, 1, pitch * rows)


def emit_left(way: Operands) -> Function:
    """Lays the left operand down, in vectors along the axis on which its elements follow each other."""
    c, left = way.contraction, way.left
    outer, along = (c.inner, c.rows) if left.row == 1 else (c.rows, c.inner)
    vector, tasks = along[-1], (*c.batch, *outer)
    w = Writer(replace(way.nest, vector=vector, lanes=lanes_along(way.nest, vector, SIZES[element_type(c)])))
    w.open("for (i64 task = begin; task < end; ++task) {", *tasks)
    take_apart(w, "task", tasks)
    for v in along[:-1]:
        w.open(f"for (i64 {v.name} = 0; {v.name} < {dim_text(v.extent)}; ++{v.name}) {{", v)
    w.open_lanes("0", dim_text(vector.extent))
    value = operand(w, c.left, element_type(c))
    place, _ = w.index(
        position_in(c.batch) * left.whole + position_in(c.rows) * left.row + position_in(c.inner) * left.inner
    )
    w.line(f"store(packed + ({place}), {value}, n);")
    w.close_lanes()
    for _ in along:
        w.close()
    return Function(w.blocks[0].lines, str(count_points(tasks)))


def operand(w: Writer, e: Expr, ctype: str) -> str:
    """An operand's vector at hand."""
    return w.as_vector(w.as_type(w.value(e), ctype))


def left_at(w: Writer, way: Operands) -> str:
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


def choose_right(kernel: Kernel, c: Contraction, lanes: int, in_panels: bool = False) -> Right:
    """Few rows are no reason to turn the right operand around, or to lay it down where it can be read as it lies.

    in_panels: it lies in panels
    """
    if in_panels:
        return Right(turned=True, packed=False, panels=panels_of(c, lanes))
    if count_points(c.rows) > FEW_ROWS or len(c.inner) > 1:
        return Right(turned=True)
    turned = not runs_along(c.right, c.inner, c.columns)
    steps = steps_of(kernel, c, c.right, c.columns)
    if steps is None or steps[0 if turned else 1] != 1 or (turned and count_points(c.columns) % lanes):
        return Right(turned)
    column, inner = steps
    return Right(turned, packed=False, column=column, inner=inner)


def right_at(w: Writer, way: Operands) -> str:
    """Where the right operand of a task and a run begins, and its steps from one column (or vector of them) to the next, and inside."""
    c, b, right = way.contraction, way.blocking, way.right
    if right.packed:
        return f"{{panel, run * {b.lanes}, {b.lanes}}}" if right.turned else f"{{panel, {_pitch(way)}, 1}}"
    if right.panels is not None:
        return f"{{{_panel_at(w, way, 'low', 'from')}, {right.panels.run * b.lanes}, {b.lanes}}}"
    start = f"{_origin(w, c, c.right)} + low * {right.column} + from * {right.inner}"
    return f"{{{start}, {right.column * b.lanes}, {right.inner}}}"


def _panel_at(w: Writer, way: Operands, low: str, start: str) -> str:
    """Where the panel of a run begins that was laid down once, at a column that begins a vector."""
    c, panels = way.contraction, way.right.panels
    assert panels is not None
    point, _ = w.index(position_in(c.batch) * panels.whole)
    return f"{c_name(c.right.attr[0])} + ({point}) + {start} / {panels.run} * {panels.step} + {low} * {panels.run}"


def ask_ahead(w: Writer, way: Operands) -> None:
    """Ask memory for what the next run lays down, a share of it with each block of rows: it comes while these are multiplied. Not
    where its place is not known beforehand.
    """
    c, right = way.contraction, way.right
    steps = steps_of(way.nest.kernel, c, c.right, c.columns)
    if steps is None or not right.packed or 1 not in steps:
        return
    column, inner = steps
    w.line(f"const bool ends = from + run == {count_points(c.inner)};")
    w.line(f"const i64 next_low = ends ? high % {count_points(c.columns)} : low, next_from = ends ? 0 : from + run;")
    start = f"{_origin(w, c, c.right)} + next_low * {column} + next_from * {inner}"
    lines = f"high - low, {column}, run" if inner == 1 else f"run, {inner}, high - low"
    w.line(f"ask_ahead({start}, {lines}, block - top, bottom - top);")


def panel_size(way: Operands) -> int:
    """Elements of the right operand that a task lays down at a time, and what is written beyond them: whole squares are."""
    b = way.blocking
    if not way.right.packed:
        return 0
    return b.run * b.width + b.lanes * b.lanes if way.right.turned else _pitch(way) * b.width


def _pitch(way: Operands) -> int:
    """From one line in the panel to the next: not a whole page."""
    return -(-way.blocking.run // _ALIGNED) * _ALIGNED + _ALIGNED


def _lay_down_lines(w: Writer, way: Operands) -> None:
    """As they lie: panel[column][inner]."""
    c = way.contraction
    (inner,) = c.inner
    back, lanes = way.nest, lanes_along(way.nest, inner, SIZES[element_type(c)])
    w.turn(inner, lanes)
    w.open("for (i64 at = low; at < high; ++at) {", *c.columns)
    take_apart(w, "at", c.columns)
    w.open_lanes("from", "from + run", whole=way.blocking.run % lanes == 0)
    w.line(
        f"store(panel + (at - low) * {_pitch(way)} + ({inner.name} - from), {operand(w, c.right, element_type(c))}, n);"
    )
    w.close_lanes()
    w.close()
    assert back.vector is not None
    w.turn(back.vector, back.lanes)


def lay_down(w: Writer, way: Operands) -> None:
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
            f"store(panel + ({_place(way, column)}) + at * {way.blocking.lanes}, {operand(w, c.right, element_type(c))}, full);"
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


def _place(way: Operands, column: str) -> str:
    """Where a column's vector begins in the panel, and its lane in it."""
    lanes = way.blocking.lanes
    if way.nest.lanes == lanes:
        return f"({column} - low) * run"
    return f"({column} - low) / {lanes} * {lanes} * run + ({column} - low) % {lanes}"


def _squares(way: Operands) -> list[Expr]:
    """Loads of the right operand that run along the inner axis and step along the columns, of which there is one each."""
    c = way.contraction
    return tiled_loads(way.nest, c.inner[0], [c.right]) if len(c.inner) == len(c.columns) == 1 else []


def _lay_down_turned(w: Writer, way: Operands, loads: list[Expr]) -> None:
    """In squares, which are turned around in registers: into the panel itself where there is nothing else to do."""
    c, lanes = way.contraction, way.blocking.lanes
    (inner,), (column,) = c.inner, c.columns
    w.open_lanes("low", "high")
    w.line(f"auto vector = panel + ({_place(way, column.name)});")
    open_squares(w, inner, "from", "from + run")
    if loads == [c.right] and value_type(c.right, True) == element_type(c) and w.N == lanes:
        turn_square(w, inner, c.right, f"vector + (tile - from) * {lanes}")
    else:
        for e in loads:
            keep_square(w, inner, e)
        open_rows(w, inner)
        w.line(f"store(vector + ({inner.name} - from) * {lanes}, {operand(w, c.right, element_type(c))}, full);")
        w.close()
        for e in loads:
            del w.at_hand[e]
    w.close()
    w.close_lanes()


def _lay_down_by_line(w: Writer, way: Operands) -> None:
    """Where columns are places along several axes: a line of them for each inner point, which is then cut into vectors."""
    c, b = way.contraction, way.blocking
    _open_inner(w, c)
    w.line(f"alignas(64) {element_type(c)} line[{b.width + b.lanes}];")
    number = open_columns(w, way)
    w.line(f"store(line + ({number} - low), {operand(w, c.right, element_type(c))}, n);")
    close_columns(w, way)
    w.line(f"lay_down<{element_type(c)}x{b.lanes}>(panel + at * {b.lanes}, run * {b.lanes}, line, high - low);")
    w.close()


def _fill_up(w: Writer, way: Operands) -> None:
    """Lanes behind the last column are summed too, and must not make floating-point errors of their own."""
    N, lanes = way.nest.lanes, way.blocking.lanes
    w.line(f"const i64 used = (high - low + {N - 1}) / {N} * {N}, last = used / {lanes} * {lanes};")
    w.line(
        f"if (used > last) fill_up<{element_type(way.contraction)}x{lanes}>(panel + last * run, run, (int)(used - last));"
    )


# --------------------------------------------------------------------------- columns


def open_columns(w: Writer, way: Operands) -> str:
    """The loops over a task's columns, the last axis in lanes. Gives the number of the column at hand."""
    *outer, last = way.contraction.columns
    whole = way.blocking.begins_whole(way.nest.lanes)
    if not outer:
        w.open_lanes("low", "high", whole=whole)
        return last.name
    n = count_points([last])
    w.open(f"for (i64 line_number = low / {n}; line_number <= (high - 1) / {n}; ++line_number) {{", *outer)
    take_apart(w, "line_number", outer)
    w.line(f"const i64 first = line_number * {n};")
    w.open_lanes("max<i64>(low - first, 0)", f"min<i64>(high - first, {n})", whole=whole)
    return f"first + {last.name}"


def close_columns(w: Writer, way: Operands) -> None:
    w.close_lanes()
    if len(way.contraction.columns) > 1:
        w.close()
