"""Right operands of products that are laid down once for many runs: weights.

`keep` looks at each product of a schedule. Where its right operand is made of inputs alone that seldom change, the product reads
it from a buffer that is kept, in panels (`strategies.panels`), and a launch is set aside that fills it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from ...canonical import canonical_form
from ...contraction import Contraction
from ...kernel import Buffer, Kernel, rewrite_stores
from ...loops import expr, load
from ...lower import StridedBuffer
from ...schedule import Launch, Schedule
from .nest import read_nest
from .strategies import contraction
from .strategies.contraction import Blocks
from .strategies.operands import count_points
from .strategies.panels import LEAST_BYTES, Panels, filling, loaded, panels_of

#: rows beside which laying down is nothing
_MANY_ROWS = 1 << 12


@dataclass(frozen=True)
class _Kept:
    """A product over a kept operand: its kernel, and the one that fills it, with the arguments of the first that the second reads."""

    kernel: Kernel
    fills: Kernel
    reads: tuple[str, ...]


def keep(schedule: Schedule, inputs: Collection[str], most: int, vector_bytes: int) -> Schedule:
    """The schedule with kept operands: what fills them is in `Schedule.fills`.

    inputs: the buffers of inputs that seldom change; most: bytes that may be kept
    """
    wanted = set(inputs)
    found: dict[Kernel, _Kept | None] = {}
    fillers: dict[Kernel, Kernel] = {}
    buffers = dict(schedule.lowered.buffers)
    kept: dict[tuple[Kernel, tuple[str, ...]], str] = {}
    fills: list[Launch] = []
    steps = []
    for step in schedule.steps:
        steps.append(step)
        if not isinstance(step, Launch) or wanted.isdisjoint(step.buffers):
            continue
        if step.kernel not in found:
            found[step.kernel] = _kept(step.kernel, vector_bytes)
        one = found[step.kernel]
        if one is None:
            continue
        given = dict(zip((b.name for b in step.kernel.args), step.buffers))
        weights = tuple(given[name] for name in one.reads)
        if not wanted.issuperset(weights):
            continue
        filler = fillers.setdefault(one.fills, one.fills)
        target = filler.args[-1]
        assert isinstance(target.size, int)
        size = target.size * target.dtype.size
        key = filler, weights
        if key not in kept:
            if size > most or size < LEAST_BYTES:
                continue
            most -= size
            kept[key] = name = f"kept{len(kept)}"
            buffers[name] = StridedBuffer(name, (target.size,), (1,), target.dtype, target.device)
            fills.append(Launch(filler, (*weights, name)))
        steps[-1] = Launch(one.kernel, tuple(given.get(b.name, kept[key]) for b in one.kernel.args))
    if not fills:
        return schedule
    return replace(schedule, steps=steps, lowered=replace(schedule.lowered, buffers=buffers), fills=tuple(fills))


def _kept(kernel: Kernel, vector_bytes: int) -> _Kept | None:
    """A product's kernel with its right operand in a buffer that is kept. None where that is not worth it, or not possible."""
    way = contraction.plan(read_nest(kernel, vector_bytes))
    if not isinstance(way, Blocks) or not (way.right.packed and way.right.turned):
        return None
    c = way.contraction
    panels = panels_of(c, way.blocking.lanes)
    read = tuple(b.name for b in kernel.args if b.name in loaded(c.right))
    if panels is None or not read or count_points(c.rows) > _MANY_ROWS:
        return None
    made = _over_panels(kernel, c, panels)
    again = contraction.plan(read_nest(made, vector_bytes))
    if not isinstance(again, Blocks) or again.right.panels != panels:
        return None
    return _Kept(made, canonical_form(filling(kernel, c, panels, f"{kernel.name}_panels")), read)


def _over_panels(kernel: Kernel, c: Contraction, panels: Panels) -> Kernel:
    """The kernel with its product's right operand loaded from panels."""
    product = c.total.args[0]
    size = panels.whole * count_points(c.batch)
    lying = load("kept", panels.index(c), c.total.dtype)
    operands = tuple(lying if e is c.right else e for e in product.args)
    new = expr("mul", *operands, dtype=product.dtype, attr=product.attr)
    stores = tuple(rewrite_stores(kernel.stores, lambda e: new if e is product else None))
    used = {s.buffer for s in stores} | {name for s in stores for root in s.roots for name in loaded(root)}
    kept = Buffer("kept", c.total.dtype, size, kernel.args[0].device)
    args = (*(b for b in kernel.args if b.name in used), kept)
    return replace(kernel, name=f"{kernel.name}_kept", stores=stores, args=args)
