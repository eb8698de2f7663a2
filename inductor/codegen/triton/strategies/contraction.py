"""Sums of products of two operands, tile by tile with `tl.dot`: y runs along the rows, x along the columns, r along the inner axes.

    for start in range(0, inner, RBLOCK):
        sums = tl.dot(left [YBLOCK, KBLOCK], right [RBLOCK, XBLOCK], sums)

The inner axes lie along the second dimension of the left operand and along the first of the right one: they are two axes of the
tiling, k and r, walked as one.
"""

from __future__ import annotations

from dataclasses import dataclass

from .....errors import InternalError
from ....contraction import Axes, Contraction, recognise
from ....dtypes import HALVES, DType, float32
from ....kernel import Kernel
from ....loops import Expr, Var, as_index, points, rewrite, substitution
from ....refusal import Refusal
from ....sizes import size_hint
from ..sizes import size_text
from ..tiling import MANY_PROGRAMS, Axis, Tiling, TritonOptions, next_power_of_2
from ..writer import Block, Mask, Value, Writer
from .way import Request

#: `tl.dot` takes no smaller side
_LEAST_SIDE = 16
#: under the interpreter a program costs about a millisecond, whatever it does
_INTERPRETED_SIDE = 256


@dataclass(frozen=True)
class Dot:
    """half: the type of both operands in memory, where it is a half type; they are multiplied as they are then."""

    tiling: Tiling
    contraction: Contraction
    half: DType | None

    def write(self, kernel: Kernel) -> Writer:
        w = Writer(kernel, self.tiling, self)
        w.open_axes()
        self._loop(w)
        w.stores(list(kernel.stores), w.outer)
        return w

    def _loop(self, w: Writer) -> None:
        r, k = w.tiling.r, w.tiling.k
        assert r is not None and k is not None
        total = w.fresh("sum")
        w.inner = Block()
        place = dict(zip(self.contraction.inner, (as_index(v) for v in k.vars)))
        (left,) = rewrite([self.contraction.left], substitution(place))
        operands = self._operand(w, left, "y", "k"), self._operand(w, self.contraction.right, "x", "r")
        w.line(f'{total} = tl.dot({", ".join(operands)}, {total}, input_precision="ieee")', True)
        body, w.inner = w.inner.lines, None
        size = size_text(r.numel)
        head = [f"    r = start + lanes{w.widen()}", f"    k = start + left_lanes{w.widen()}"]
        head += [f"    {a}_mask = {a} < {size}" for a in ("r", "k") if a in w.masks]
        zeros = f"tl.full({w.shape(frozenset({'y', 'x'}))}, 0.0, tl.float32)"
        loop = f"for start in range(0, {size}, {r.constant}):"
        w.outer.lines += [f"{total} = {zeros}", loop, *head, *(f"    {line}" for line in body)]
        w.remember(self.contraction.total, (), Value(total, frozenset({"y", "x"})))

    def _operand(self, w: Writer, e: Expr, side: str, inner: str) -> str:
        """An operand's block, with zeros beyond the end of the inner axes."""
        e, axes = e if self.half is None else e.args[0], frozenset({side, inner})
        value = w.load(e, (), "0.0") if e.op == "load" else w.value(e)
        text = value.text
        if inner in w.masks and (e.op != "load" or inner not in value.axes):
            text = f"tl.where({inner}_mask, {text}, 0.0)"
        if value.axes != axes:
            text = f"tl.broadcast_to({text}, {w.shape(axes)})"
        return text

    def reduce(self, w: Writer, e: Expr) -> None:
        raise InternalError(f"[triton] a second reduction in a contraction: {e}\n{w.kernel}")

    def scan(self, w: Writer, e: Expr, conds: tuple[Mask, ...]) -> None:
        raise InternalError(f"[triton] a scan in a contraction: {e}\n{w.kernel}")


def plan(request: Request) -> Dot | Refusal:
    """For contractions that tiles cover."""
    kernel = request.kernel
    c = recognise(kernel)
    if isinstance(c, Refusal):
        return c
    if not c.reuses:
        return Refusal("nothing-to-tile", "heuristic", "no element of an operand is used twice")
    if c.total.dtype != float32:
        return Refusal("no-dot", "heuristic", f"matrix units do not multiply {c.total.dtype}")
    if any(s.mode != "store" for s in kernel.stores):
        return Refusal("updates", "legality", "what is there is added to")
    c = c.turned if kernel.p[-1] in c.rows else c
    half = _half(c)
    return Dot(_tiling(c, request.options, half), c, half)


def _half(c: Contraction) -> DType | None:
    """The half type in which both operands lie in memory. Their products are exact in float32, in which they are summed."""
    if not all(e.op == "cast" and e.args[0].op == "load" for e in (c.left, c.right)):
        return None
    first, second = (e.args[0].dtype for e in (c.left, c.right))
    return first if first == second and first in HALVES else None


def _tiling(c: Contraction, options: TritonOptions, half: DType | None) -> Tiling:
    rows, columns, inner = (size_hint(points(kind)) for kind in (c.rows, c.columns, c.inner))
    batch = size_hint(points(c.batch))
    largest = _INTERPRETED_SIDE if options.interpreted else 128 if half else 64
    y, x = (min(max(next_power_of_2(n), _LEAST_SIDE), largest) for n in (rows, columns))
    if not options.interpreted:
        while max(y, x) > 32 and batch * -(-rows // y) * -(-columns // x) < MANY_PROGRAMS // 2:
            y, x = (y // 2, x) if y >= x else (y, x // 2)
    step = min(
        max(next_power_of_2(inner), _LEAST_SIDE), _INTERPRETED_SIDE if options.interpreted else 64 if half else 32
    )
    step = options.row_block or step
    warps = options.num_warps or max(4, min(8, y * x // 2048))
    axes = [] if not c.batch else [Axis("z", c.batch, points(c.batch), 1, "program")]
    axes += [Axis("y", c.rows, points(c.rows), y, "tile", 0), Axis("x", c.columns, points(c.columns), x, "tile", 1)]
    left = tuple(Var(f"k{i}", v.extent, is_reduction=True) for i, v in enumerate(c.inner))
    r, k = (Axis(n, own, points(c.inner), step, "loop", d) for n, own, d in (("r", c.inner, 0), ("k", left, 1)))
    return Tiling(tuple(axes), r, warps, 3 if half else 2, k)


def tiles(axes: Axes) -> Refusal:
    """Why a product is left to the library, for now: what tiles reach against it is not measured."""
    if not (axes.rows and axes.columns):
        return Refusal("nothing-to-tile", "heuristic", "no element of an operand is used twice")
    return Refusal("not-measured", "heuristic", "the library's kernel is known to be fast")
