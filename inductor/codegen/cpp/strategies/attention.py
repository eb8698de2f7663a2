"""softmax(q @ k) @ v with the keys a block at a time: the scores of some rows and keys are made, weighed and summed over while they are
in the first cache.

A task has some rows at a point of the batch. It lays a block of keys down (and of values, if they cannot be read where they lie) and
walks its rows past them (with few rows the lanes run along a head, and nothing is laid down); each row keeps its largest score, the sum of its weights and the weighted sum of the values, which shrink
when a larger score comes by. What is said of scores by comparing places alone (a causal mask, a window) is known of whole blocks:
those of which no score counts are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ....contraction import Attention, Contraction
from ....dtypes import float32, float64
from ....kernel import Kernel
from ....loops import Atom, Expr, Index, Var, postorder
from ....refusal import Refusal
from ..indexing import AtomText, index_text
from ..nest import Nest
from ..sharing import Sharing, is_shareable, take_apart
from ..types import SIZES
from ..writer import Value, Writer
from .blocking import Blocking, choose_blocking, choose_dots, pieces, widest
from .operands import (
    Operands,
    Right,
    choose_right,
    count_points,
    direct_left,
    element_type,
    emit_left,
    lanes_along,
    lay_down,
    left_at,
    packed_left,
    panel_size,
    pieces_type,
    right_at,
    runs_along,
    steps_of,
)
from .way import Array, Function

#: rows that a task walks past a block of keys, and the fewest where there are few tasks
_TASK_ROWS, _LEAST_ROWS = 128, 32
#: tasks enough for the threads of most machines to end together
_TASKS = 32
#: keys in a block: their scores and their values stay in the caches that are near
_KEYS = 128
#: elements of a head beyond which sums do not stay near
_LARGEST_HEAD = 512
#: nanoseconds of a product and its sum in a lane of 64 bytes, and of an element that is read
_PRODUCT, _READ = 0.01, 0.2
#: products that are worth a kernel
_LEAST_PRODUCTS = 1 << 16


@dataclass(frozen=True)
class Shape:
    """What belongs to which axis: q[batch, rows, t], k[batch, key, t], v[batch, key, columns]."""

    batch: tuple[Var, ...]
    rows: tuple[Var, ...]
    key: Var
    columns: tuple[Var, ...]
    dots: Expr
    total: Expr

    @property
    def scores(self) -> Contraction:
        """The product that makes scores."""
        left, right = self.dots.args[0].args
        if self.key in left.vars():
            left, right = right, left
        return Contraction(self.batch, self.rows, (self.key,), (self.dots.attr,), left, right, self.dots, ())

    @property
    def sums(self) -> Contraction:
        """The product that weighs values."""
        score, value = self.total.args
        return Contraction(self.batch, self.rows, self.columns, (self.key,), score, value, self.total, ())


@dataclass(frozen=True)
class Streaming:
    """scores, sums: the two products, the second one's operands being weights and values."""

    nest: Nest
    shape: Shape
    scores: Operands
    sums: Operands

    @property
    def sharing(self) -> Sharing:
        return Sharing()

    @property
    def note(self) -> str:
        b = self.scores.blocking
        return f"; blocks of {b.rows.size} rows by {b.width} keys"

    def functions(self) -> list[Function]:
        walk = _emit_tasks(self)
        return [emit_left(self.scores), walk] if self.scores.left.packed else [walk]

    def arrays(self) -> list[Array]:
        if not self.scores.left.packed:
            return []
        size = count_points(self.shape.batch) * self.scores.left.whole
        return [Array("packed", element_type(self.shape.scores), str(size))]


def worthwhile(asked: Attention) -> Refusal | None:
    """Why an attention is better left to the library."""
    if asked.dtype not in (float32, float64):
        return Refusal("halves", "heuristic", "the library has instructions of its own for them")
    if math.prod((*asked.batch, *asked.rows, asked.keys)) * (asked.inner + math.prod(asked.columns)) < _LEAST_PRODUCTS:
        return Refusal("few-products", "heuristic", "a kernel would take longer to make than it saves")
    if len(asked.columns) != 1 or max(asked.columns[0], asked.inner) > _LARGEST_HEAD:
        return Refusal("large-heads", "heuristic", "a row's sums would not stay in the first cache")
    return None


def plan(nest: Nest) -> Streaming | Refusal:
    """For kernels that are one attention, and what becomes of it."""
    kernel = nest.kernel
    shape = _recognise(kernel)
    if isinstance(shape, Refusal):
        return shape
    if not all(is_shareable(kernel, v) for v in kernel.p):
        return Refusal("colliding-stores", "legality", "two points may write the same element")
    size = SIZES[element_type(shape.sums)]
    vector, (column,) = nest.vector_bytes // size, shape.columns
    products, values = shape.scores, shape.sums
    batch, rows, keys, columns = (count_points(v) for v in (shape.batch, shape.rows, (shape.key,), shape.columns))
    inner = count_points(products.inner)
    right = choose_right(kernel, products, vector)
    left = direct_left(kernel, products, rows)
    if right.turned:
        blocks = choose_blocking(batch, rows, keys, inner, size, nest.vector_bytes)
        left = left or packed_left(products, turned=runs_along(products.left, shape.rows, products.inner))
    else:
        blocks = choose_dots(batch, rows, keys, inner, size, nest.vector_bytes)
        left = left if left is not None and left.inner == 1 else packed_left(products, turned=False)
    down, across = blocks.rows, blocks.columns
    wanted = max(-(-_TASKS // batch), 1)
    task_rows = max(min(_TASK_ROWS, max(-(-rows // wanted), _LEAST_ROWS)) // down.size, 1)
    task_columns = max(_KEYS // (across.size * blocks.lanes), 1)
    scores = replace(blocks, task_rows=task_rows, task_columns=task_columns, run=inner)
    wide = pieces(-(-columns // vector), widest(down.size, nest.vector_bytes, most=4 if right.turned else 8))
    sums = Blocking(down, wide, vector, task_rows, wide.count, scores.width)
    nanoseconds = max(_PRODUCT, _READ / rows) * 64 / nest.vector_bytes * size / 4 * (1 + inner / columns)
    along_keys = replace(nest, vector=shape.key, lanes=lanes_along(nest, shape.key, size))
    nest = replace(nest, vector=column, lanes=lanes_along(nest, column, size), nanoseconds=nanoseconds)
    return Streaming(
        nest,
        shape,
        Operands(along_keys, products, scores, left, right),
        Operands(nest, values, sums, left, _values(kernel, values, vector)),
    )


def _recognise(kernel: Kernel) -> Shape | Refusal:
    """The kernel read as an attention, or why it is none."""
    below = postorder([root for s in kernel.stores for root in s.roots])
    totals, dots = ([e for e in below if e.op == op] for op in ("attend", "dot"))
    if len(totals) != 1 or len(dots) != 1 or any(e.op in ("reduce", "scan") for e in below):
        return Refusal("no-attention", "legality", f"{len(totals)} sums of weighted values")
    (total,), (dot,) = totals, dots
    score, value = total.args
    if dot not in postorder([score]) or dot.args[0].op != "mul" or dot.dtype != total.dtype:
        return Refusal("no-attention", "legality", "its scores are no products")
    if any(s.value.varies_in_r or any(v.is_reduction for v in s.index.vars()) for s in kernel.stores):
        return Refusal("stores-along-keys", "legality", "something is stored for each key")
    if len(kernel.r) != 1:
        return Refusal("several-keys", "legality", f"{len(kernel.r)} variables count keys")
    (key,) = kernel.r
    sides = [e.vars() for e in dot.args[0].args]
    if (key in sides[0]) == (key in sides[1]):
        return Refusal("no-keys", "legality", "both factors vary with the key")
    queries, keys = sides if key in sides[1] else reversed(sides)
    scored, valued = score.vars(), value.vars()
    columns = tuple(v for v in kernel.p if v not in scored)
    rows = [v for v in kernel.p if v in scored and v not in valued and v not in keys]
    if len(columns) != 1 or any(v not in valued for v in columns):
        return Refusal("axes", "heuristic", f"{len(columns)} axes of values, {len(rows)} of rows")
    if dot.attr not in queries or dot.attr not in keys:
        return Refusal("no-product", "legality", "only one factor varies along what is summed over")
    # rows of a mask are walked by one variable; further ones (heads that share keys) are a batch if it is long enough
    own = [v for v in rows if isinstance(v.extent, int) and v.extent >= _LEAST_ROWS][-1:] or rows
    batch = tuple(v for v in kernel.p if v not in own and v not in columns)
    return Shape(batch, tuple(own), key, columns, dot, total)


def _values(kernel: Kernel, values: Contraction, lanes: int) -> Right:
    """Values are read where they lie if they fill vectors."""
    steps = steps_of(kernel, values, values.right, values.columns)
    if steps is None or steps[0] != 1 or count_points(values.columns) % lanes:
        return Right(turned=True)
    return Right(turned=True, packed=False, column=steps[0], inner=steps[1])


# --------------------------------------------------------------------------- the tasks


def _emit_tasks(way: Streaming) -> Function:
    """A task: some rows at a point of the batch, and all keys that they look at."""
    shape, b, sums = way.shape, way.scores.blocking, way.sums.blocking
    element = element_type(shape.sums)
    keys, height = count_points((shape.key,)), b.rows.size * b.task_rows
    w = Writer(way.nest)
    for name, p in (("Rows", b.rows), ("Keys", b.columns), ("Columns", sums.columns)):
        w.line(f"typedef {pieces_type(p)} {name};")
    arrays = {
        "keys": panel_size(way.scores), "values": panel_size(way.sums), "strip": b.rows.size * _pitch(way),
        "sums": height * sums.width, "most": height, "total": height,
    }  # fmt: skip
    w.line(f"Scratch<{element}> {', '.join(f'{name}_memory({size})' for name, size in arrays.items())};")
    w.line(f"{element} {', '.join(f'*{name} = {name}_memory.data' for name in arrays)};")
    w.open("for (i64 task = begin; task < end; ++task) {", *shape.batch)
    w.line(f"const i64 top = task % {b.down} * {b.task_rows}, bottom = min<i64>(top + {b.task_rows}, {b.rows.count});")
    take_apart(w, f"task / {b.down}", shape.batch)
    w.line("const i64 first_row = Rows::start(top), rows = Rows::start(bottom) - first_row;")
    w.line(f"for (i64 i = 0; i < rows; ++i) most[i] = limits<{element}>::lowest, total[i] = 0;")
    w.line(f"for (i64 i = 0; i < rows * {sums.width}; ++i) sums[i] = 0;")
    w.open(f"for (i64 left = 0; left < {b.columns.count}; left += {b.task_columns}) {{")
    w.line(f"const i64 right = min<i64>(left + {b.task_columns}, {b.columns.count});")
    w.line(f"const i64 low = Keys::start(left) * {b.lanes}, high = min<i64>(Keys::start(right) * {b.lanes}, {keys});")
    _leave_out(w, way, "first_row", "(first_row + rows - 1)")
    _lay_down(w, way)
    w.open("for (i64 block = top; block < bottom; ++block) {")
    w.line("const i64 row = Rows::start(block), end_row = Rows::start(block + 1);")
    _leave_out(w, way, "row", "(end_row - 1)")
    _score(w, way)
    _weigh(w, way)
    w.close()
    w.close()
    _finish(w, way)
    w.close()
    return Function(w.blocks[0].lines, str(count_points(shape.batch) * b.down))


def _lay_down(w: Writer, way: Streaming) -> None:
    """A block's keys and values."""
    shape = way.shape
    w.open("{")
    w.line(f"constexpr i64 from = 0, run = {count_points(way.scores.contraction.inner)};")
    w.line("auto panel = keys;")
    w.turn(shape.key, way.scores.nest.lanes)
    lay_down(w, way.scores)
    w.turn(shape.columns[0], way.nest.lanes)
    w.close()
    if way.sums.right.packed:
        w.open("{")
        _open_values(w, way)
        lay_down(w, way.sums)
        w.close()
        w.close()


def _open_values(w: Writer, way: Streaming) -> None:
    """The block's keys as the inner axis of the second product, whose columns are all there."""
    w.line("const i64 from = low, run = high - low;")
    w.open("{")
    w.line(f"constexpr i64 low = 0, high = {count_points(way.shape.columns)};")
    w.line("auto panel = values;")


def _pitch(way: Streaming) -> int:
    """From one row of scores to the next: whole vectors, of which the last is stored whole."""
    lanes = way.sums.blocking.lanes
    return -(-way.scores.blocking.width // lanes) * lanes


def _vector(way: Streaming) -> str:
    element = element_type(way.shape.sums)
    return f"{element}x{way.nest.vector_bytes // SIZES[element]}"


def _score(w: Writer, way: Streaming) -> None:
    """The scores of a block of rows: the product, and what becomes of it."""
    shape, width = way.shape, _pitch(way)
    w.open("{")
    w.line(f"constexpr i64 from = 0, run = {count_points(way.scores.contraction.inner)};")
    w.line("auto panel = keys;")
    into = f"Rows::is_shorter(block), left, right, strip, {width}, true, {left_at(w, way.scores)}"
    multiply = "multiply_rows<false, " if way.scores.right.turned else "dot_rows<"
    inner = "Walk{run}" if way.scores.right.turned else "run"
    w.line(f"{multiply}{_vector(way)}, Rows, Keys>({into}, {right_at(w, way.scores)}, {inner});")
    w.close()
    score = shape.total.args[0]
    if score is shape.dots:
        return
    w.open("for (i64 at = row; at < end_row; ++at) {", *shape.rows)
    take_apart(w, "at", shape.rows)
    w.turn(shape.key, way.scores.nest.lanes)
    w.open_lanes("low", "high", whole=way.scores.blocking.lanes % w.N == 0)
    place = f"strip + (at - row) * {width} + ({shape.key.name} - low)"
    element = element_type(shape.sums)
    kind = w.type_name(element, True)
    w.keep(shape.dots, lambda: Value(f"load_raw<{kind}>({place}, full)", element, True, w.level))
    w.line(f"store_raw({place}, {w.as_vector(w.as_type(w.value(score), element))}, full);")
    w.close_lanes()
    w.turn(shape.columns[0], way.nest.lanes)
    w.close()


def _weigh(w: Writer, way: Streaming) -> None:
    """The scores become weights, and what they weigh is added to the sums."""
    width, sums = _pitch(way), way.sums.blocking.width
    w.open("for (i64 i = row - first_row; i < end_row - first_row; ++i) {")
    w.line(f"auto scores = strip + (i + first_row - row) * {width};")
    w.line(f"const auto factor = weigh<{_vector(way)}>(scores, high - low, most[i], total[i]);")
    w.line(f"shrink<{_vector(way)}>(sums + i * {sums}, {sums}, factor);")
    w.close()
    w.open("{")
    w.line(f"const Left<{element_type(way.shape.sums)}> weights{{strip, {width}, 1}};")
    w.line(f"auto into = sums + (row - first_row) * {sums};")
    _open_values(w, way)
    into = f"Rows::is_shorter(block), 0, {way.sums.blocking.columns.count}, into, {sums}, false, weights"
    far = "false" if way.sums.right.packed or way.scores.right.turned else "true"
    w.line(f"multiply_rows<{far}, {_vector(way)}, Rows, Columns>({into}, {right_at(w, way.sums)}, Walk{{run}});")
    w.close()
    w.close()


def _finish(w: Writer, way: Streaming) -> None:
    """What becomes of the sums."""
    shape = way.shape
    (column,), element = shape.columns, element_type(shape.sums)
    w.open("for (i64 at = first_row; at < first_row + rows; ++at) {", *shape.rows)
    take_apart(w, "at", shape.rows)
    w.line(f"const {element} whole = total[at - first_row];")
    if shape.total.attr == "zero":
        w.line(f"const {element} share = whole == 0 ? {element}(0) : 1 / whole;")
    else:
        w.line(f"const {element} share = 1 / whole;")
    w.open_lanes("0", str(column.extent))
    kind = w.type_name(element, True)
    place = f"sums + (at - first_row) * {way.sums.blocking.width} + {column.name}"
    w.keep(
        shape.total,
        lambda: Value(f"load_raw<{kind}>({place}, n) * splat<{kind}>(share)", element, True, w.level),
    )
    w.stores(way.nest.kernel.stores)
    w.close_lanes()
    w.close()


# --------------------------------------------------------------------------- blocks that are left out


def _leave_out(w: Writer, way: Streaming, first: str, last: str) -> None:
    """Go on where no score of some rows counts for the block's keys."""
    shape = way.shape
    for rest, step in _bounds(shape):
        growing = rest.coefficient(shape.rows[0])
        most = last if isinstance(growing, int) and growing >= 0 else first  # the row that lets most keys in
        text = index_text(rest, _at_row(w, shape.rows[0], most))
        w.line(f"if (low > {text}) continue;" if step < 0 else f"if (high - 1 + {text} < 0) continue;")


def _at_row(w: Writer, row: Var, text: str) -> AtomText:
    """How the variables of an index read at a row."""

    def name(atom: Atom) -> str:
        assert isinstance(atom, Var)
        return text if atom == row else w.names.get(atom, atom.name)

    return name


def _bounds(shape: Shape) -> Iterator[tuple[Index, int]]:
    """Conditions `rest + step * key >= 0`, step being 1 or -1, without which a score is -inf; rest varies along the batch and one
    variable of the rows.
    """
    if len(shape.rows) != 1:
        return
    score = shape.total.args[0]
    while score.op in ("where", "masked") and score.args[2].op == "const" and score.args[2].attr == -math.inf:
        cond, score = score.args[0], score.args[1]
        for left, right in _differences(cond):
            difference = left - right
            step = difference.coefficient(shape.key)
            numbers = (c for _, c in difference.terms)
            if (
                difference.is_affine
                and isinstance(step, int)
                and step in (1, -1)
                and all(isinstance(c, int) for c in numbers)
            ):
                yield difference.without(shape.key), step


def _differences(cond: Expr) -> Iterator[tuple[Index, Index]]:
    """Pairs of indices of which the first must be at least the second."""
    if cond.op == "and":
        for part in cond.args:
            yield from _differences(part)
    if cond.op not in ("ge", "gt", "le", "lt") or not all(e.op == "index" for e in cond.args):
        return
    left, right = (e.attr for e in cond.args)
    if cond.op in ("le", "lt"):
        left, right = right, left
    yield left, right + (1 if cond.op in ("gt", "lt") else 0)
