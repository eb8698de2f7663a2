"""Graph -> Graph passes. Each is a plain function with one purpose; the pipeline lists them in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InternalError, LoweringError
from .graph import Graph, GraphBuilder, Node
from .ops.table import Op

#: extern calls may have effects (random state), so they are neither merged nor dropped when unused... unless pure
_OPAQUE = ("extern", "input")


def _rebuild(
    graph: Graph, ops: Mapping[str, Op], visit: Callable[[GraphBuilder, Node, list[Node | None]], Node]
) -> Graph:
    """Copy the graph node by node; `visit` gets the builder, the old node and its new inputs, and returns the new node."""
    new = Graph(symbols=graph.symbols, int_inputs=graph.int_inputs, name=graph.name)
    b = GraphBuilder(ops, new)
    env: dict[Node, Node] = {}
    for n in graph.nodes:
        b.loc, b.origin = n.loc, n.origin or n.op.name
        if n.op.name == "input":
            env[n] = b.input(n.meta, n.name)
        else:
            env[n] = visit(b, n, [None if i is None else env[i] for i in n.inputs])
    new.outputs = [env[n] for n in graph.outputs]
    new.mutations = [(i, env[n]) for i, n in graph.mutations]
    return new


def decompose(graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """Replace composite ops by simpler ones until every node is a primitive or an extern call.

    The result keeps each node's dtype and shape; the strides of what leaves the graph are restored by lowering, which lays
    outputs out as their original meta says (recorded in `output_metas`).
    """

    def expand(b: GraphBuilder, n: Node, depth: int = 0) -> Node:
        if n.op.decompose is None:
            return n
        if depth > 20:
            raise InternalError(f"[decompose] {n.op.name} does not end in primitives")
        return n.op.decompose(b, n)

    def visit(b: GraphBuilder, n: Node, inputs: list[Node | None]) -> Node:
        if n.op.decompose is None:
            return b.append(n.op, inputs, n.attrs, n.meta)
        start = len(b.graph.nodes)
        # the composite itself stays out of the new graph: its decomposition reads a detached node
        detached = Node(n.op, tuple(inputs), n.attrs, n.meta, n.name, n.loc, n.origin)
        try:
            result = expand(b, detached)
        except (InternalError, LoweringError):
            raise
        except Exception as error:
            raise LoweringError(f"[decompose] {n}: {type(error).__name__}: {error}") from error
        return _decompose_new(b, start, result)

    return _rebuild(graph, ops, visit)


def _decompose_new(b: GraphBuilder, start: int, result: Node) -> Node:
    """Expand composites among the nodes appended since `start`, in place, until none is left."""
    while True:
        fresh = b.graph.nodes[start:]
        if all(m.op.decompose is None for m in fresh):
            return result
        del b.graph.nodes[start:]
        env: dict[Node, Node] = {}
        for m in fresh:
            inputs = tuple(env.get(i, i) if i is not None else None for i in m.inputs)
            moved = Node(m.op, inputs, m.attrs, m.meta, m.name, m.loc, m.origin)
            if m.op.decompose is None:
                b.graph.nodes.append(moved)
                env[m] = moved
            else:
                env[m] = m.op.decompose(b, moved)
        result = env.get(result, result)


def eliminate_dead(graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """Drop nodes that reach no output; random and other effectful extern calls stay."""
    live: set[Node] = {*graph.outputs, *(n for _, n in graph.mutations), *graph.inputs}
    for n in reversed(graph.nodes):
        if n in live or (n.op.kind == "extern" and n.attrs.get("effects")):
            live.add(n)
            live.update(i for i in n.inputs if i is not None)
    if len(live) == len(graph.nodes):
        return graph
    kept = [n for n in graph.nodes if n in live]
    return Graph(graph.inputs, kept, graph.outputs, graph.mutations, graph.symbols, graph.int_inputs, graph.name)


def merge_common(graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """One node for equal computations (same op, inputs and attributes). Extern calls are never merged."""
    seen: dict[Any, Node] = {}

    def visit(b: GraphBuilder, n: Node, inputs: list[Node | None]) -> Node:
        if n.op.name in _OPAQUE:
            return b.append(n.op, inputs, n.attrs, n.meta)
        key = (n.op.name, tuple(id(i) for i in inputs), _freeze(n.attrs), n.meta)
        found = seen.get(key)
        if found is None:
            found = seen[key] = b.append(n.op, inputs, n.attrs, n.meta)
        return found

    return _rebuild(graph, ops, visit)


def _freeze(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((k, _freeze(v)) for k, v in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(_freeze, value))
    if isinstance(value, float):
        return ("float", value.hex())
    try:
        hash(value)
    except TypeError:
        return ("id", id(value))
    return (type(value).__name__, value)
