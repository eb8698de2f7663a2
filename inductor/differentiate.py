"""Reverse-mode differentiation of a graph: from its results' gradients to its inputs', by the rules of the op table.

The joint graph holds the forward's nodes, and behind them those that compute gradients; what both compute is one node once common
nodes are merged. `partition` makes two graphs of it. Baydin et al., "Automatic differentiation in machine learning: a survey"
(2018), section 3.2, describes the method.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import LoweringError
from .graph import Dim, Graph, GraphBuilder, Node, TensorMeta, contiguous_strides
from .ops.dims import is_one, same
from .ops.gradients import NoRule
from .ops.promotion import is_dense
from .ops.table import Op
from .passes import Rounding, decompose_with, outputs_in_strides, rebuild


class Undifferentiable(LoweringError):
    """A node of the graph has no rule: the framework must differentiate it. node: of the graph down to what has rules"""

    def __init__(self, node: Node) -> None:
        super().__init__(f"[differentiate] {node} has no rule")
        self.node = node


@dataclass(frozen=True)
class Joint:
    """A graph with its gradients.

    graph:     inputs: those of the forward graph, then the gradients of its outputs that are given;
               outputs: those of the forward graph, then the gradients of its inputs
    inputs:    how many inputs the forward graph has
    outputs:   how many outputs it has
    given:     its outputs whose gradients are inputs
    gradients: its inputs whose gradients are outputs; the others have none
    read:      its inputs that a rule reads, which eager keeps too
    kept:      its outputs that a rule reads
    """

    graph: Graph
    inputs: int
    outputs: int
    given: tuple[int, ...]
    gradients: tuple[int, ...]
    read: frozenset[int]
    kept: frozenset[int]


class _Ruled(Rounding):
    """Puts decompositions in place of what has no rule."""

    def append(self, row: Op, inputs: Sequence[Node | None], attrs: Mapping[str, Any], meta: TensorMeta) -> Node:
        if callable(row.gradient):
            return self.kept(row, inputs, attrs, meta)
        return super().append(row, inputs, attrs, meta)


def records(node: Node, wants: Collection[Node]) -> bool:
    """Whether gradients flow through a node, where they do to these nodes of those before it."""
    metas = node.meta if isinstance(node.meta, tuple) else (node.meta,)
    if node.op.eager == "pick":
        (source,) = node.inputs
        assert source is not None
        flowing = source.op.differentiable
        if flowing is not None and node.attrs["index"] not in flowing:
            return False
    if not node.grad or node.op.gradient == "stopped" or not any(m.dtype.is_float or m.dtype.is_complex for m in metas):
        return False
    return any(i in wants for k, i in enumerate(node.inputs) if i is not None and node.op.operand(k).role != "layout")


def differentiate(graph: Graph, ops: Mapping[str, Op], inputs: Collection[int], given: Sequence[int]) -> Joint:
    """The gradients of a graph's inputs (by position), from those of these outputs.

    Raises Undifferentiable where a node on the way has no rule.
    """
    forward = outputs_in_strides(graph, decompose_with(_recording(graph, ops, inputs), ops, _Ruled), ops)
    b = GraphBuilder(ops, replace(forward, inputs=list(forward.inputs), nodes=list(forward.nodes)))
    wants = _wanting(forward, inputs)
    adjoints = _Adjoints(b, wants)
    for position in given:
        output = forward.outputs[position]
        adjoints.add(output, b.input(output.meta, "gradient"))
    began = len(b.graph.nodes)
    for n in reversed(forward.nodes):
        if n in wants and n.op.kind != "input":
            adjoints.pass_on(n)
    found = [
        (i, adjoints.of[node]) for i, node in enumerate(forward.inputs) if i in set(inputs) and node in adjoints.of
    ]
    made = [_laid_out(b, g, forward.inputs[i].meta) for i, g in found]
    b.graph.outputs = [*forward.outputs, *made]
    used = set(made)
    for n in reversed(b.graph.nodes[began:]):
        if n in used:
            used.update(i for i in n.inputs if i is not None)
    return Joint(
        b.graph,
        len(forward.inputs),
        len(forward.outputs),
        tuple(given),
        tuple(i for i, _ in found),
        frozenset(i for i, n in enumerate(forward.inputs) if n in used),
        frozenset(i for i, n in enumerate(forward.outputs) if n in used),
    )


def _wanting(graph: Graph, inputs: Collection[int]) -> set[Node]:
    """The nodes through which gradients flow to these inputs."""
    wants = {graph.inputs[i] for i in inputs}
    for n in graph.nodes:
        if n.op.kind != "input" and records(n, wants):
            wants.add(n)
    return wants


def _recording(graph: Graph, ops: Mapping[str, Op], inputs: Collection[int]) -> Graph:
    """The graph with ops that keep what their gradients read in place of those that do not."""
    if not any(n.op.recording for n in graph.nodes):
        return graph
    wants = _wanting(graph, inputs)

    def visit(b: GraphBuilder, n: Node, given: list[Node | None]) -> Node:
        if n.op.recording is not None and n in wants:
            wanted = [k for k, i in enumerate(n.inputs) if i in wants]
            made = n.op.recording(b, replace(n, inputs=tuple(given)), wanted)
            if made is not None:
                return made if made.meta.stride == n.meta.stride else b.restride(made, stride=n.meta.stride)
        return b.append(n.op, given, n.attrs, n.meta)

    return rebuild(graph, ops, visit)


class _Adjoints:
    """The gradients of nodes, summed as they come.

    of:      of nodes with one result
    several: of those with several, by result
    """

    def __init__(self, b: GraphBuilder, wants: Collection[Node]) -> None:
        self.b, self.wants = b, wants
        self.of: dict[Node, Node] = {}
        self.several: dict[Node, list[Node | None]] = {}

    def add(self, node: Node, g: Node) -> None:
        self.of[node] = self.b.add(self.of[node], g) if node in self.of else g

    def pass_on(self, n: Node) -> None:
        """From a node's result to its inputs. Raises Undifferentiable."""
        g: Any = self.several.get(n) if isinstance(n.meta, tuple) else self.of.get(n)
        if g is None:
            return
        if n.op.eager == "pick":
            source, index = n.inputs[0], n.attrs["index"]
            assert source is not None
            parts = self.several.setdefault(source, [None] * len(source.meta))  # type: ignore[arg-type]
            before = parts[index]
            parts[index] = g if before is None else self.b.add(before, g)
            return
        if not callable(n.op.gradient):
            raise Undifferentiable(n)
        self.b.loc, self.b.origin = n.loc, f"gradient of {n.origin or n.op.name}"
        try:
            made = n.op.gradient(self.b, n, g)
        except NoRule:
            raise Undifferentiable(n) from None
        for i, of_input in zip(n.inputs, made, strict=True):
            if i is not None and of_input is not None and i in self.wants:
                self.add(i, _fitted(self.b, of_input, i.meta))


def _fitted(b: GraphBuilder, g: Node, like: TensorMeta) -> Node:
    """A gradient summed over the dims that broadcasting repeated, in its operand's dtype."""
    lead = g.ndim - like.ndim
    if lead < 0 or any(is_one(s) and not is_one(t) for s, t in zip(g.shape[lead:], like.shape)):
        g, lead = b.expand(g, shape=like.shape), 0
    over = tuple(
        d for d in range(g.ndim) if d < lead or (is_one(like.shape[d - lead]) and not same(g.shape[d], 1))
    )  # fmt: skip
    if over:
        g = b.sum(g, dim=over, keepdim=True)
    if lead:
        g = b.reshape(g, shape=like.shape)
    return g if g.dtype == like.dtype else b.cast(g, dtype=like.dtype)


def _laid_out(b: GraphBuilder, g: Node, like: TensorMeta) -> Node:
    """A gradient in its input's layout, as the framework accumulates it; row-major where the input has gaps or repeats."""
    stride: tuple[Dim, ...] = like.stride if is_dense(like.shape, like.stride) else contiguous_strides(like.shape)
    return g if g.meta.stride == stride and g.op.kind != "view" else b.restride(g, stride=stride)
