"""What eager refuses while it runs, compiled code refuses too: the requirements of a graph's ops (`ops.requires`) become one flag,
and a graph whose flag is set raises instead of giving results.

The flag is looked at last, and before each call of the program's own code: until then nothing that the graph did can be seen from
outside, and generated code reads no memory that is not its own, whatever an index holds. Whoever called the graph then runs the program in plain
Python (see `capture.entry.dispatch`), which raises eager's own error at its own place. What follows from the graph alone (an
index that is an arange, a divisor that is a number) costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from .bounds import interval, is_below
from .dtypes import int64
from .graph import Graph, GraphBuilder, Node
from .ops.requires import Finite, NonZero, Requirement
from .ops.table import Op

#: what `check` says; seen only where plain Python does not raise, which is a defect
REFUSED = "a check of the graph failed: eager would refuse an element of an argument of one of its ops"


def may_raise(n: Node) -> bool:
    """Whether running a node may raise for some data: its place in the program matters then, also where nobody reads it."""
    return n.op.raises or bool(n.attrs.get("raises")) or any(True for _ in unproven(n))


def runs_own_code(n: Node) -> bool:
    """Whether a node runs an operator of the program's own, which must not run where something before it raises."""
    return bool(n.attrs.get("own"))


def drawn_before_raising(graph: Graph) -> list[str]:
    """The devices whose random numbers a graph may have drawn before it raises."""
    if not any(n.effects for n in graph.nodes) or not any(map(may_raise, graph.nodes)):
        return []
    metas = (m for n in graph.nodes for m in (n.meta if isinstance(n.meta, tuple) else (n.meta,)))
    return list(dict.fromkeys(m.device for m in metas))


def unproven(n: Node) -> Iterable[Requirement]:
    """What a node requires of its inputs and does not follow from the graph."""
    if n.op.requires is None or 0 in n.shape:
        return
    for r in n.op.requires(n):
        x = n.inputs[r.input]
        assert x is not None
        if isinstance(r, NonZero) and n.meta.device != "cpu":
            continue  # GPUs divide by zero without a word, in eager too
        if 0 not in x.shape and not _follows(x, r):
            yield r


def _follows(x: Node, r: Requirement) -> bool:
    if isinstance(r, Finite):
        return False
    if not isinstance(r, NonZero) and not isinstance(r.high, int):
        return r.low == 0 and is_below(x, r.high + 1)
    known = interval(x)
    if known is None:
        return False
    low, high = known
    if isinstance(r, NonZero):
        return low > 0 or high < 0
    return isinstance(r.low, int) and r.low <= low and high <= r.high


def check_requirements(graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """Append a flag for each device, and the op that looks at it. On a GPU nobody waits for it: the device stops with an
    assertion of its own, as eager's kernels do. NumPy's front end records its own checks.
    """
    if graph.boundary.framework == "numpy" or graph.boundary.checked:
        return graph
    if not any(True for n in graph.nodes if n.library != "numpy" for _ in unproven(n)):
        return graph
    b = GraphBuilder(ops, replace(graph, nodes=list(graph.nodes)))
    b.graph.nodes.clear()
    known: set[tuple[Node | None, Requirement]] = set()
    waiting: list[tuple[Node, Requirement]] = []
    for n in graph.nodes:
        if runs_own_code(n):
            _look(b, known, waiting)
            waiting.clear()
        b.graph.nodes.append(n)
        waiting += [(n, r) for r in unproven(n)] if n.library != "numpy" else []
    _look(b, known, waiting)
    return b.graph


def _look(
    b: GraphBuilder, known: set[tuple[Node | None, Requirement]], waiting: list[tuple[Node, Requirement]]
) -> None:
    """Append flags of these requirements, but of those that are known to hold already, and look at them."""
    flags: dict[str, Node] = {}
    for n, r in waiting:
        x = n.inputs[r.input]
        assert x is not None
        if (x, r) in known:
            continue
        known.add((x, r))
        b.loc, b.origin = n.loc, f"check_{n.op.name}"
        flag, device = b.any(_broken(b, x, r)), x.meta.device
        flags[device] = b.logical_or(flags[device], flag) if device in flags else flag
    for flag in flags.values():
        b.check(flag)


def _broken(b: GraphBuilder, x: Node, r: Requirement) -> Node:
    """Where a requirement does not hold. NaN lies in no range."""
    if x.dtype.is_int:
        x = b.cast(x, dtype=int64)  # bounds need not be numbers of a narrow type
    if isinstance(r, Finite):
        return b.logical_and(b.isfinite(x), b.gt(b.abs(x), b.scalar(value=r.bound)))
    if isinstance(r, NonZero):
        return b.eq(x, b.scalar(value=0))
    within = b.logical_and(b.ge(x, b.scalar(value=r.low)), b.le(x, b.scalar(value=r.high)))
    if r.ignored is not None:
        within = b.logical_or(within, b.eq(x, b.scalar(value=r.ignored)))
    return b.logical_not(within)
