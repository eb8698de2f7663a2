"""Graph -> Graph passes. Each is a plain function with one purpose; the pipeline lists them in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import InternalError, LoweringError
from .dtypes import HALVES, round_to_half
from .graph import Graph, GraphBuilder, Node, TensorMeta
from .ops.table import Op


def rebuild(
    graph: Graph,
    ops: Mapping[str, Op],
    visit: Callable[[Any, Node, list[Node | None]], Node],
    builder: type[GraphBuilder] = GraphBuilder,
) -> Graph:
    """Copy the graph node by node; `visit` gets the builder, the old node and its new inputs, and returns the new node."""
    new = Graph(name=graph.name, boundary=graph.boundary)
    b = builder(ops, new)
    env: dict[Node, Node] = {}
    for n in graph.nodes:
        b.loc, b.origin, b.grad = n.loc, n.origin or n.op.name, n.grad
        if n.op.kind == "input":
            env[n] = b.input(n.meta, n.name)
        else:
            env[n] = visit(b, n, [None if i is None else env[i] for i in n.inputs])
    new.outputs = [env[n] for n in graph.outputs]
    return new


class Expanding(GraphBuilder):
    """Puts the decomposition of a composite op in place of the op, down to primitives and extern calls."""

    rounds = False

    def __init__(self, ops: Mapping[str, Op], graph: Graph) -> None:
        super().__init__(ops, graph)
        #: whether what is appended now is a step of its own in eager, which rounds halves after it
        self.stepwise = False
        #: composites with several results, which `getitem` picks from
        self.several: dict[Node | None, tuple[Node, ...]] = {}

    def append(self, row: Op, inputs: Sequence[Node | None], attrs: Mapping[str, Any], meta: TensorMeta) -> Node:
        if row.eager == "pick" and inputs[0] in self.several:
            return self.several[inputs[0]][attrs["index"]]
        if row.decompose is None:
            return self.kept(row, inputs, attrs, meta)
        # the composite stays out of the graph: its decomposition reads a detached node
        composite = Node(row, tuple(inputs), dict(attrs), meta, row.name, self.loc, self.origin)
        outer, self.stepwise = self.stepwise, row.rounding.steps and self.rounds
        try:
            made = row.decompose(self, composite)
        except InternalError:
            raise
        except Exception as error:
            if composite.is_dynamic:  # it needs numbers where there are symbols: the framework has them when it runs
                return super().append(row, inputs, attrs, meta)
            if isinstance(error, LoweringError):
                raise
            raise LoweringError(f"[decompose] {composite}: {type(error).__name__}: {error}") from error
        finally:
            self.stepwise = outer
        if isinstance(made, tuple):
            self.several[composite] = made
            return composite
        return _rounded(self, made) if outer else made

    def kept(self, row: Op, inputs: Sequence[Node | None], attrs: Mapping[str, Any], meta: TensorMeta) -> Node:
        """An op that stays."""
        made = super().append(row, inputs, attrs, meta)
        return _rounded(self, made) if self.stepwise else made


class Rounding(Expanding):
    """The same, with halves rounded wherever eager rounds them."""

    rounds = True


def decompose(graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """Replace composite ops by simpler ones until every node is a primitive or an extern call.

    Dtypes and shapes stay; strides may not: lowering gives outputs those of their original meta, and what reads memory gets
    its inputs in theirs.
    """
    return rebuild(graph, ops, lambda b, n, inputs: b.append(n.op, laid_out(b, n, inputs), n.attrs, n.meta), Expanding)


def laid_out(b: GraphBuilder, n: Node, inputs: list[Node | None]) -> list[Node | None]:
    """The new inputs of a node that reads memory, in the strides of its old ones."""
    return [
        in_strides(b, was, new) if n.op.operand(k).memory else new for k, (was, new) in enumerate(zip(n.inputs, inputs))
    ]


def in_strides(b: GraphBuilder, was: Node | None, new: Node | None) -> Node | None:
    """A node's new input in the strides of its old one."""
    if was is None or new is None or isinstance(new.meta, tuple) or new.meta.stride == was.meta.stride:
        return new
    return b.call("restride", new, stride=was.meta.stride)


def outputs_in_strides(was: Graph, graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """A graph that was made of another, with outputs in the strides that the other's had: where nobody lowers it and remembers."""
    b = GraphBuilder(ops, replace(graph, nodes=list(graph.nodes)))
    b.graph.outputs = [n for pair in zip(was.outputs, graph.outputs) if (n := in_strides(b, *pair)) is not None]
    return b.graph


def decompose_rounded(graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """As `decompose`. Kernels compute in float32 where the program says float16 or bfloat16, and inside a composite nothing is
    rounded; what an op of the program gives is.
    """
    return decompose_with(graph, ops, Rounding)


def decompose_with(graph: Graph, ops: Mapping[str, Op], builder: type[Rounding]) -> Graph:
    """As `decompose_rounded`, down to what the builder keeps."""

    def visit(b: Any, n: Node, inputs: list[Node | None]) -> Node:
        made = b.append(n.op, laid_out(b, n, _half_numbers(b, n, inputs)), n.attrs, n.meta)
        if made in b.several:
            b.several[made] = tuple(_rounded(b, part) for part in b.several[made])
        return _rounded(b, made)

    return rebuild(graph, ops, visit, builder)


def _half_numbers(b: GraphBuilder, n: Node, inputs: list[Node | None]) -> list[Node | None]:
    """Eager's kernels on CPUs round a number to the tensor's half type first, but for products and quotients."""
    numbers = n.op.rounding.numbers
    if not numbers or n.meta.device != "cpu":
        return inputs
    halves = {i.dtype for i in inputs if i is not None and i.dtype in HALVES and i.shape}
    if len(halves) != 1:
        return inputs
    (half,) = halves

    def number(i: Node | None) -> Node | None:
        if i is None or i.shape or i.dtype == half:
            return i
        if i.op.kind == "literal" and type(i.attrs["value"]) in (int, float):
            return b.call("scalar", value=round_to_half(float(i.attrs["value"]), half))
        return b.call("cast", i, dtype=half)

    return [number(i) if k in numbers else i for k, i in enumerate(inputs)]


def _rounded(b: GraphBuilder, n: Node) -> Node:
    if isinstance(n.meta, tuple) or n.dtype not in HALVES or n.op.kind != "pointwise" or not n.op.rounding.result:
        return n
    return b.call("rounded", n)


def move_scalars(graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """0-dim tensors of the CPU may meet tensors of any device, as in eager; a kernel reads memory of its own device only, so
    what they come from is copied there.
    """

    known: dict[tuple[Node, str], Node] = {}

    def moved(b: GraphBuilder, i: Node, device: str) -> Node:
        if (i, device) not in known:
            known[i, device] = copied(b, i, device)
        return known[i, device]

    def copied(b: GraphBuilder, i: Node, device: str) -> Node:
        if i.op.kind == "input" or i.op.kind == "extern":
            return b.call("to_device", i, device=device)
        if not i.inputs:
            return i
        sources = [None if k is None else moved(b, k, device) for k in i.inputs]
        return b.append(i.op, sources, i.attrs, replace(i.meta, device=device))

    def visit(b: GraphBuilder, n: Node, inputs: list[Node | None]) -> Node:
        device = n.meta.device if not isinstance(n.meta, tuple) else "cpu"
        if device != "cpu" and n.op.kind != "extern":
            inputs = [moved(b, i, device) if i is not None and _on_cpu(i) else i for i in inputs]
        return b.append(n.op, inputs, n.attrs, n.meta)

    if all(n.meta.device == "cpu" for n in graph.inputs):
        return graph
    return rebuild(graph, ops, visit)


def _on_cpu(n: Node) -> bool:
    return not isinstance(n.meta, tuple) and n.meta.device == "cpu"


def draw_apart(graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """The graph with random numbers drawn by nodes of their own, in the order of their memory that eager has: whatever becomes of the
    layout of what is computed from them, and that can be computed again.
    """
    if not any(n.effects and n.op.decompose for n in graph.nodes):
        return graph
    b = GraphBuilder(ops, replace(graph, nodes=[]))
    b._taken.update(n.name for n in graph.nodes)
    env: dict[Node, Node] = {}
    for n in graph.nodes:
        inputs = tuple(None if i is None else env[i] for i in n.inputs)
        if n.effects and n.op.decompose is not None:
            b.loc, b.origin, b.grad, b.library = n.loc, n.origin or n.op.name, n.grad, n.library
            env[n] = n.op.decompose(b, replace(n, inputs=inputs))
        else:
            env[n] = n if inputs == n.inputs else replace(n, inputs=inputs)
            b.graph.nodes.append(env[n])
    return replace(b.graph, inputs=list(graph.inputs), outputs=[env[n] for n in graph.outputs], boundary=graph.boundary)


def eliminate_dead(graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """Drop nodes that reach no output. Random ops stay: they move the generator's state; and calls that may raise."""
    live: set[Node] = {*graph.outputs, *graph.inputs}
    for n in reversed(graph.nodes):
        if n in live or n.effects or n.op.raises or n.attrs.get("raises"):
            live.add(n)
            live.update(i for i in n.inputs if i is not None)
    if len(live) == len(graph.nodes):
        return graph
    return replace(graph, nodes=[n for n in graph.nodes if n in live])


def merge_common(graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """One node for equal computations (same op, inputs and attributes). Extern calls and random ops are never merged."""
    seen: dict[Any, Node] = {}

    def visit(b: GraphBuilder, n: Node, inputs: list[Node | None]) -> Node:
        if n.op.opaque or n.effects:
            return b.append(n.op, inputs, n.attrs, n.meta)
        key = (n.op.name, tuple(id(i) for i in inputs), freeze(n.attrs), n.meta)
        found = seen.get(key)
        if found is None:
            found = seen[key] = b.append(n.op, inputs, n.attrs, n.meta)
        return found

    return rebuild(graph, ops, visit)


def freeze(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((k, freeze(v)) for k, v in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(freeze, value))
    if isinstance(value, float):  # told apart: 0.0 and -0.0; equal: two NaNs
        return ("float", value.hex())
    if isinstance(value, complex):
        return ("complex", value.real.hex(), value.imag.hex())
    try:
        hash(value)
    except TypeError:
        return ("id", id(value))
    return (type(value).__name__, value)
