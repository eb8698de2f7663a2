"""The pipeline: a captured graph becomes a schedule of kernels. Read `schedule_graph` aloud: that is the compiler.

check requirements -> draw apart -> merge common -> channels last -> decompose -> move scalars -> merge common -> eliminate dead
-> choose runners -> lower
-> parts in place -> fuse and schedule, wholes in place -> canonical form
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from ..clock import perf_counter
from .canonical import canonical_schedule
from .checks import check_requirements
from .chooser import Emits, choose_runners
from .contraction import Attention, Product
from .dtypes import DType
from .graph import Graph
from .layouts import channels_last
from .lower import anything, lower
from .memory import store_parts
from .ops import OPS
from .passes import decompose, decompose_rounded, draw_apart, eliminate_dead, merge_common, move_scalars
from .refusal import Refusal
from .schedule import Schedule, schedule

#: graph -> graph, in order
PASSES = (
    check_requirements,
    draw_apart,
    merge_common,
    channels_last,
    decompose_rounded,
    move_scalars,
    merge_common,
    eliminate_dead,
)
#: the same where float16 and bfloat16 are rounded only where they are stored
UNROUNDED = tuple(decompose if p is decompose_rounded else p for p in PASSES)

#: the stages in order, by the names under which their seconds are counted
STAGES = ("passes", "choose runners", "lower", "memory", "schedule", "canonical form")


def emits_none(product: Product | Attention, device: str) -> Refusal:
    """What a code generator without a strategy for contractions says of one."""
    return Refusal("no-code-generator", "heuristic", "nothing was asked")


def schedule_graph(
    graph: Graph,
    *,
    fuse: bool = True,
    simplify: bool = True,
    round_halves: bool = True,
    verify: bool = True,
    times: dict[str, float] | None = None,
    adds_atomically: Callable[[DType, str], bool] = anything,
    contractions: str = "auto",
    emits: Emits = emits_none,
    weights: Collection[int] = (),
) -> Schedule:
    """All stages.

    fuse, simplify: whether loops are fused, and brought to canonical form
    verify: whether the legality specs are checked at every border; times: collects seconds by stage
    adds_atomically: what the code generator can do (see `lower`)
    contractions, emits: who runs products of matrices (see `chooser.choose`)
    weights: positions of the inputs of which copies may be kept

    Raises LoweringError for an op that cannot be lowered, InternalError where a stage broke its contract.
    """
    times = {} if times is None else times
    captured = graph.returned
    with timed(times, "passes"):
        if verify:
            graph.verify(OPS)
        decomposed = False
        for transform in PASSES if round_halves else UNROUNDED:
            graph = transform(graph, OPS)
            decomposed = decomposed or transform in (decompose, decompose_rounded)
            if verify:
                graph.verify(OPS, decomposed=decomposed)
    with timed(times, "choose runners"):
        graph, chosen = choose_runners(graph, OPS, contractions, emits, weights)
        if verify:
            graph.verify(OPS, decomposed=True)
    with timed(times, "lower"):
        lowered = lower(graph, captured, round_halves, adds_atomically)
    with timed(times, "memory"):
        lowered = store_parts(lowered)
    with timed(times, "schedule"):
        scheduled = schedule(lowered, enable_fusion=fuse)
        scheduled.chosen = chosen
        if verify:
            scheduled.verify()
    if simplify:
        with timed(times, "canonical form"):
            scheduled = canonical_schedule(scheduled)
            if verify:
                scheduled.verify()
    return scheduled


@contextmanager
def timed(times: dict[str, float], stage: str) -> Iterator[None]:
    """Add the seconds spent inside to `times[stage]`."""
    start = perf_counter()
    try:
        yield
    finally:
        times[stage] = times.get(stage, 0.0) + perf_counter() - start
