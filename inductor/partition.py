"""A joint graph as two: what runs forward, and what runs backward from the values that the former saves.

Which values are saved is the cheapest cut between what only the forward graph can compute and what the backward graph reads, by the
bytes of what crosses it: cheap elementwise work on it is done again, products and reductions are not (see T. Chen et al., "Training
deep nets with sublinear memory cost", 2016; the cut is the usual minimum cut of a network in which each value is an edge). What eager
keeps anyway, inputs and results that a derivative reads, costs nothing; other inputs are never saved: the program may write to them
before its backward pass, which eager allows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .boundary import Boundary
from .differentiate import Joint
from .graph import Graph, GraphBuilder, Node
from .maximum_flow import Network
from .ops.table import Op
from .passes import decompose_rounded, eliminate_dead, freeze, merge_common, outputs_in_strides

#: the cost of a result that eager does not keep: whoever has it may write to it
_UNWANTED = 1e30


class Unsaved(Exception):
    """The backward graph reads what was not saved, and cannot be computed again."""


@dataclass(frozen=True)
class Saved:
    """Where a saved value comes from: an input or output of the forward graph, by position, or one more of its results."""

    kind: str
    position: int


@dataclass(frozen=True)
class Parts:
    """The two graphs.

    forward:   inputs: as they were; outputs: as they were, then what more is saved
    saved:     the backward graph's first inputs
    backward:  inputs: the saved values, then the gradients of outputs; outputs: the gradients of inputs
    gradients: the inputs that these are of, by position
    """

    forward: Graph
    saved: tuple[Saved, ...]
    backward: Graph
    gradients: tuple[int, ...]


@dataclass
class Names:
    """What values are called across joint graphs of one program: equal computations have equal names."""

    known: dict[Any, int] = field(default_factory=dict)

    def of(self, graph: Graph, inputs: int) -> dict[Node, int]:
        """The names of what can be computed from these first inputs."""
        names: dict[Node, int] = {}
        singular = itertools.count()
        for position, node in enumerate(graph.inputs[:inputs]):
            names[node] = self._name(("input", position))
        for n in graph.nodes:
            if n.op.kind == "input" or any(i is not None and i not in names for i in n.inputs):
                continue
            own = next(singular) if n.op.opaque or n.effects else -1
            operands = tuple(None if i is None else names[i] for i in n.inputs)
            names[n] = self._name((n.op.name, operands, freeze(n.attrs), n.meta, own))
        return names

    def _name(self, key: Any) -> int:
        return self.known.setdefault(key, len(self.known))


def prepared(joint: Joint, ops: Mapping[str, Op]) -> Graph:
    """The joint graph down to primitives, without what is common or dead."""
    made = eliminate_dead(merge_common(decompose_rounded(merge_common(joint.graph, ops), ops), ops), ops)
    return outputs_in_strides(joint.graph, made, ops)


def partition(joint: Joint, ops: Mapping[str, Op], boundary: Boundary) -> tuple[Parts, tuple[int, ...], Names]:
    """The two graphs, and the names of what is saved, for backward graphs from fewer gradients (`backward_from`).

    boundary: of both: what is known of sizes
    """
    graph, names = prepared(joint, ops), Names()
    named = names.of(graph, joint.inputs)
    forward = [n for n in graph.nodes if n in named]
    wanted = _read_behind(graph, joint, named)
    saved = _cheapest(graph, joint, forward, wanted, boundary)
    results = graph.outputs[: joint.outputs]
    places: dict[Node, Saved] = {n: Saved("input", i) for i, n in enumerate(graph.inputs[: joint.inputs])}
    for i, n in enumerate(results):
        places.setdefault(n, Saved("output", i))
    more = [n for n in saved if n not in places]
    places |= {n: Saved("more", i) for i, n in enumerate(more)}
    forward, results = _apart(ops, forward, results)
    whole = Graph(
        graph.inputs[: joint.inputs],
        forward,
        [*results, *more],
        f"{graph.name}_forward",
        _closed(boundary, joint.inputs),
    )
    behind, gradients = _backward(graph, joint, ops, saved, boundary)
    parts = Parts(eliminate_dead(whole, ops), tuple(places[n] for n in saved), behind, gradients)
    return parts, tuple(named[n] for n in saved), names


def _apart(ops: Mapping[str, Op], nodes: Sequence[Node], results: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """The nodes, with others for results that are computed as one: the caller gets as many tensors."""
    b = GraphBuilder(ops, Graph(nodes=list(nodes)))
    seen: set[Node] = set()
    found = []
    for n in results:
        found.append(b.restride(n, stride=n.meta.stride) if n in seen else n)
        seen.add(n)
    return b.graph.nodes, found


def backward_from(joint: Joint, ops: Mapping[str, Op], boundary: Boundary, saved: Sequence[int], names: Names) -> Graph:
    """The backward graph of a program that was partitioned, from the gradients of fewer of its outputs. Raises Unsaved."""
    graph = prepared(joint, ops)
    named = {name: n for n, name in names.of(graph, joint.inputs).items()}
    found = [named.get(name) for name in saved]
    stand_ins = [n if n is not None else Node(ops["input"], (), {}, graph.inputs[0].meta, "unused") for n in found]
    return _backward(graph, joint, ops, stand_ins, boundary)[0]


def _read_behind(graph: Graph, joint: Joint, named: Mapping[Node, int]) -> list[Node]:
    """What can be computed before the gradients are there and is read behind."""
    gradients = graph.outputs[joint.outputs :]
    wanted = {i: None for n in graph.nodes if n not in named for i in n.inputs if i is not None and i in named}
    return [*wanted, *(n for n in dict.fromkeys(gradients) if n in named and n not in wanted)]


def is_repeatable(n: Node) -> bool:
    """Whether a value may be computed once more rather than kept."""
    if n.effects or n.op.opaque or n.op.raises or isinstance(n.meta, tuple):
        return False
    return n.op.kind in ("pointwise", "view", "literal", "constant") or (n.op.kind == "index" and n.op.cost == "cheap"
                                                                         and not n.op.replaces)  # fmt: skip


def _cheapest(
    graph: Graph, joint: Joint, forward: Sequence[Node], wanted: Sequence[Node], boundary: Boundary
) -> list[Node]:
    """The values to save, in program order."""
    numbers = {n: k for k, n in enumerate(forward)}
    network = Network(2 * len(forward) + 2)
    source, sink = 2 * len(forward), 2 * len(forward) + 1
    size = _sizes(boundary)
    inputs = {n: i for i, n in enumerate(graph.inputs[: joint.inputs])}
    outputs = set(graph.outputs[: joint.outputs])
    kept = {graph.outputs[i] for i in joint.kept}
    for n, k in numbers.items():
        if n in inputs:
            cost = 0.0 if inputs[n] in joint.read else math.inf
        elif isinstance(n.meta, tuple):
            cost = math.inf
        else:
            # a view is made again from what it shows, which lies in memory anyway
            cost = 0.0 if n in kept else _UNWANTED if n in outputs else 1.0 + (n.op.kind == "view") + size(n)
        network.connect(2 * k, 2 * k + 1, cost)
        if not is_repeatable(n) or n in kept:
            network.connect(source, 2 * k)
        else:
            for i in n.inputs:
                if i is not None:
                    network.connect(2 * numbers[i] + 1, 2 * k)
    for n in wanted:
        network.connect(2 * numbers[n] + 1, sink)
    behind = network.cut(source, sink)
    return [n for n, k in numbers.items() if 2 * k not in behind and 2 * k + 1 in behind]


def _sizes(boundary: Boundary) -> Callable[[Node], float]:
    """Bytes of a node's value, at the sizes that capture saw."""
    hints = {s.symbol: s.hint for s in boundary.symbols}

    def size(n: Node) -> float:
        count: Any = n.meta.numel
        return float(count if isinstance(count, int) else count.xreplace(hints)) * n.dtype.size

    return size


def _backward(
    graph: Graph, joint: Joint, ops: Mapping[str, Op], saved: Sequence[Node], boundary: Boundary
) -> tuple[Graph, tuple[int, ...]]:
    b = GraphBuilder(
        ops, Graph(name=f"{graph.name}_backward", boundary=_closed(boundary, len(saved) + len(joint.given)))
    )
    env: dict[Node, Node] = {}
    for n in (*saved, *graph.inputs[joint.inputs :]):
        env[n] = b.input(n.meta, n.name)
    needed = set(graph.outputs[joint.outputs :])
    for n in reversed(graph.nodes):
        if n in needed and n not in env:
            needed.update(i for i in n.inputs if i is not None)
    for n in graph.nodes:
        if n not in needed or n in env:
            continue
        if n.op.kind == "input" or n.effects:
            raise Unsaved(str(n))
        b.loc, b.origin = n.loc, n.origin
        env[n] = b.append(n.op, [None if i is None else env[i] for i in n.inputs], n.attrs, n.meta)
    b.graph.outputs = [env[n] for n in graph.outputs[joint.outputs :]]
    return b.graph, joint.gradients


def _closed(boundary: Boundary, tensors: int) -> Boundary:
    """What is known of sizes, which come as ints behind this many tensors."""
    symbols = tuple(replace(s, input=tensors + k, dim=None) for k, s in enumerate(boundary.symbols))
    ints = tuple(s.symbol.name for s in symbols)
    return Boundary(symbols=symbols, int_inputs=ints, framework=boundary.framework, trains=True, checked=True)
