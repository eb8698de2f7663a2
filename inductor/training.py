"""How a graph runs where gradients are wanted: in parts, of which the framework sees each as one function that it can differentiate.

A part is what generated code computes, forward and backward (`differentiate`, `partition`). What has no rule stays a call of the
framework between two parts, which differentiates it itself. The framework's history so has all that the program can look at: the
graph's results, and what its own calls get and give, are results of parts, and nothing that one of them depends on is hidden
inside the part that makes the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..config import Options
from .boundary import Boundary, SymbolInfo
from .checks import check_requirements, unproven
from .compile import compile_graph
from .differentiate import Joint, Undifferentiable, differentiate, records
from .executable import CompileRecord, Differentiated, Executable
from .graph import Graph, GraphBuilder, Node, symbols_in
from .interpreter import Step, call_of, interpret, run_in_steps, settled, step_of
from .ops import OPS
from .partition import Names, Parts, Saved, Unsaved, backward_from, partition
from .passes import draw_apart
from .runtime import Runtime

#: a part is worth its call where it computes as many values; fewer are the framework's, one by one
WORTH = 2
#: what is no work of its own
_FREE = ("view", "literal", "constant")


#: a graph as what runs it
Compiling = Callable[[Graph], Callable[..., Sequence[Any]]]


@dataclass(frozen=True)
class Part:
    """Nodes that one generated function computes. inputs, outputs: the values that it gets, and that others need"""

    turn: int
    nodes: tuple[Node, ...]
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]


def compile_for_gradients(graph: Graph, runtime: Runtime, options: Options, *, label: str = "") -> Executable:
    """What runs a graph whose boundary wants gradients. Raises LoweringError, CompilerNotFound or CompilerFailed."""
    refused: set[Node] = set()
    records: list[CompileRecord] = []
    graph = draw_apart(graph, OPS)

    def compiling(part: Graph) -> Callable[..., Sequence[Any]]:
        made = compile_graph(part, runtime, options, label=label)
        records.extend(made.records)
        return made.call

    reason = unordered(graph)
    if reason:
        return Executable(interpret(graph, runtime), _differentiated(graph, (), wanting(graph), [], reason))
    while True:
        parts, wants, turn = split(graph, refused)
        try:
            made = [_compiled(graph, part, wants, runtime, compiling) for part in parts]
        except Undifferentiable as error:
            refused.add(error.node)
            records.clear()
            continue
        steps = _in_order(graph, parts, made, turn, runtime)
        return Executable(run_in_steps(graph, runtime, steps), _differentiated(graph, parts, wants, records))


def _differentiated(
    graph: Graph, parts: Sequence[Part], wants: set[Node], records: list[CompileRecord], why: str = ""
) -> Differentiated:
    inside = {n for part in parts for n in part.nodes}
    ops = [n for n in graph.nodes if n in wants and n.op.kind not in ("input", *_FREE) and n.op.eager != "pick"]
    return Differentiated(
        len(parts), sum(n in inside for n in ops), tuple(n.op.name for n in ops if n not in inside), why, records
    )


# --------------------------------------------------------------------------- what is generated


def wanting(graph: Graph) -> set[Node]:
    """The nodes through which gradients flow. A call with effects may make what requires gradients out of nothing; of the graph's
    results it is known.
    """
    gradients = graph.boundary.gradients
    assert gradients is not None
    wants = {graph.inputs[i] for i in gradients.inputs}
    without = {n for i, n in enumerate(graph.outputs) if i not in gradients.outputs and n not in wants}
    for n in graph.nodes:
        if n.op.kind == "input" or n in without:
            continue
        made_inside = n.op.eager == "call" and n.effects and n.grad and _is_float(n)
        if made_inside or records(n, wants) or _is_unrecorded(n, wants):
            wants.add(n)
    return wants


def _is_unrecorded(n: Node, wants: set[Node]) -> bool:
    """Whether it is a view that was made where nothing is recorded: like its base it requires gradients, but they end at it."""
    return n.op.kind == "view" and not n.grad and n.op.gradient != "stopped" and n.inputs[0] in wants


def _is_float(n: Node) -> bool:
    metas = n.meta if isinstance(n.meta, tuple) else (n.meta,)
    return any(m.dtype.is_float or m.dtype.is_complex for m in metas)


def is_generated(n: Node, wants: set[Node], fixed: frozenset[Any], raises: bool) -> bool:
    """Whether generated code may compute a node, and differentiate it.

    fixed: symbols that only the run finds out; raises: whether it may refuse elements: where nothing was done before that can
    be seen, the program is run again
    """
    if n.library or n.op.raises or n.attrs.get("raises") or n.effects:
        return False
    metas = [m for i in (n, *n.inputs) if i is not None for m in (i.meta if isinstance(i.meta, tuple) else (i.meta,))]
    if any(m.dtype.is_complex for m in metas) or len({m.device for m in metas if m.shape or not m.weak}) > 1:
        return False
    if fixed and not fixed.isdisjoint(symbols_in((*metas, n.attrs))):
        return False
    if not raises and any(True for _ in unproven(n)):
        return False
    if n.op.eager == "pick":
        return True  # with what it picks from
    if _is_unrecorded(n, wants):
        return False
    if n in wants:
        return callable(n.op.gradient) or n.op.gradient == "decomposition"
    if n.op.kind == "extern":
        return callable(n.op.gradient)
    return n.op.decompose is not None or n.op.lower is not None


def unordered(graph: Graph) -> str:
    """Why every call must leave its own mark in the framework's history; "" where it need not.

    A write to a tensor that a derivative reads is refused in the backward pass, by the tensor's own count of its writes.
    """
    stores = [n for n in graph.nodes if n.attrs.get("stores")]
    wants = wanting(graph) if stores else set()
    if any(n.attrs["stores"] == "content" and not wants.isdisjoint(n.inputs) for n in stores):
        return "a tensor that takes part in differentiation is written to"
    rewritten = {i for n in stores if n.attrs["stores"] == "count" for i in n.inputs}
    if rewritten:
        for n in graph.nodes:
            if n.op.kind == "view" and n.inputs[0] in rewritten:
                rewritten.add(n)
                continue
            touched = rewritten.intersection((n, *n.inputs))
            if (
                touched
                and n in wants
                and n.op.eager not in ("call", "pick")
                and not touched.isdisjoint(read_by_rule(n, wants))
            ):
                return "what a derivative reads is written to"
    return ""


def read_by_rule(n: Node, wants: set[Node]) -> set[Node | None]:
    """The inputs of a node, and itself, that its derivative by what wants gradients reads; all of them where it has no rule. What
    picks its results stands for these elsewhere.
    """
    everything: set[Node | None] = {n, *n.inputs}
    own = Graph()
    env = {i: Node(OPS["input"], (), {}, i.meta, i.name) for i in n.inputs if i is not None}
    own.inputs, own.nodes = list(env.values()), list(env.values())
    if not callable(n.op.gradient):
        return everything
    alone = replace(n, inputs=tuple(None if i is None else env[i] for i in n.inputs))
    own.nodes.append(alone)
    if isinstance(n.meta, tuple):  # of which the first result is a float
        GraphBuilder(OPS, own).getitem(alone, index=0)
    own.outputs = own.nodes[-1:]
    try:
        joint = differentiate(own, OPS, [i for i, m in enumerate(env) if m in wants], [0])
    except Undifferentiable:
        return everything
    order = list(env)
    return {*(order[i] for i in joint.read), *([n] if joint.kept else [])}


def split(graph: Graph, refused: set[Node]) -> tuple[list[Part], set[Node], dict[Node, int]]:
    """The graph's parts in order, the nodes that want gradients, and the turn of each node.

    Parts and calls of the framework take turns: a node belongs to the first turn that has all it needs. What has effects comes
    behind everything before it and before everything behind it; random numbers are drawn in the program's order.
    """
    wants = wanting(graph)
    fixed = frozenset(m.symbol for m in graph.boundary.measured)
    seen = {n for n in graph.outputs if n in wants}
    turn: dict[Node, int] = {n: 0 for n in graph.inputs}
    generated: set[Node] = set()
    least = drawn = called = latest = 0
    for n in graph.nodes:
        if n.op.kind == "input":
            continue
        inputs = [i for i in n.inputs if i is not None]
        ours = n not in refused and is_generated(n, wants, fixed, not least)
        if ours and n.op.eager == "pick":
            ours = inputs[0] in generated
        # turns of the framework are odd; what a caller can see ends a part
        after = [turn[i] + 2 * (ours and i in seen and i in generated) for i in inputs]
        at = max([least if ours else max(least, called), *after])
        turn[n] = at + (at % 2 == (1 if ours else 0))
        if ours:
            generated.add(n)
        elif n.effects and n.op.eager != "call":
            turn[n] = drawn = max(turn[n], drawn)
        elif n.attrs.get("stores") == "count":
            # the framework alone looks at the count; parts keep nothing that is written to
            turn[n] = called = max([latest, *(turn[i] for i in inputs)]) | 1
        elif n.effects:
            seen.update(_bases(i) for i in inputs if i in wants)
            turn[n] = max(turn.values()) | 1
            least = turn[n]
        if not ours:
            latest = max(latest, turn[n])
    return _parts(graph, turn, generated), wants, turn


def _bases(n: Node) -> Node:
    while n.op.kind == "view" and n.inputs[0] is not None:
        n = n.inputs[0]
    return n


def _parts(graph: Graph, turn: Mapping[Node, int], generated: set[Node]) -> list[Part]:
    """What is computed in one turn and has a value in common is one part; what has not is another, with a history of its own: a
    backward pass through one leaves the other. Views and numbers are made in each part that reads them.
    """
    order = {n: k for k, n in enumerate(graph.nodes)}
    own = _Groups()
    above: dict[Node, list[Node]] = {}  # the computed values of its turn that a node reads, itself or through views
    for n in graph.nodes:
        if n not in generated:
            continue
        near = [i for i in n.inputs if i is not None and i in generated and turn[i] == turn[n]]
        above[n] = [c for i in near for c in ([i] if i.op.kind not in _FREE else above[i])]
        if n.op.kind not in _FREE:
            for c in above[n]:
                own.join(n, c)
    groups: dict[Node, list[Node]] = {}
    for n in above:
        if n.op.kind not in _FREE:
            groups.setdefault(own.of(n), []).append(n)
    worth = {root: nodes for root, nodes in groups.items() if len(nodes) >= WORTH}
    inside = {n: root for root, nodes in worth.items() for n in nodes}
    within = {root: dict.fromkeys(nodes) for root, nodes in worth.items()}
    inputs: dict[Node, dict[Node, None]] = {root: {} for root in worth}
    for root, nodes in worth.items():
        todo = list(nodes)
        while todo:
            n = todo.pop()
            for i in n.inputs:
                if i is None or i in within[root]:
                    continue
                again = i.op.kind in _FREE and i in generated and turn[i] == turn[root]
                if again or i.op.kind in ("literal", "constant"):
                    within[root][i] = None
                    todo.append(i)
                else:
                    inputs[root][i] = None
    needed = {*graph.outputs, *(i for found in inputs.values() for i in found)}
    for n in reversed(graph.nodes):
        if n not in inside and (n in needed or n.op.kind not in _FREE):
            needed.update(i for i in n.inputs if i is not None)
    parts = []
    for root, nodes in worth.items():
        outputs = tuple(n for n in nodes if n in needed)
        if outputs:
            members = tuple(sorted(within[root], key=order.__getitem__))
            read = tuple(sorted(inputs[root], key=order.__getitem__))
            parts.append(Part(turn[root], members, read, outputs))
    return parts


class _Groups:
    """Disjoint groups of nodes, which can be joined."""

    def __init__(self) -> None:
        self._above: dict[Node, Node] = {}

    def of(self, n: Node) -> Node:
        """The node that stands for a node's group."""
        while n in self._above:
            n = self._above[n]
        return n

    def join(self, one: Node, other: Node) -> None:
        a, b = self.of(one), self.of(other)
        if a is not b:
            self._above[a] = b


# --------------------------------------------------------------------------- what runs


@dataclass
class Generated:
    """A part that runs, forward and backward.

    forward:  (tensors, ints) -> its outputs, then what more is saved; None before it is compiled
    saved:    what the backward function needs, in order
    outputs:  how many outputs it has
    given:    the outputs that gradients may come for
    wants:    the inputs that gradients go to
    again:    (tensors, ints) -> the outputs, op by op through the framework, which differentiates that to any order
    """

    forward: Callable[..., Sequence[Any]]
    saved: tuple[Saved, ...]
    outputs: int
    given: tuple[int, ...]
    wants: tuple[int, ...]
    again: Callable[..., Sequence[Any]]
    _compile: Callable[[tuple[int, ...]], tuple[Callable[..., Sequence[Any]], tuple[int, ...]] | None]
    _backward: dict[tuple[int, ...], tuple[Callable[..., Sequence[Any]], tuple[int, ...]] | None] = field(
        default_factory=dict
    )

    def backward(self, given: tuple[int, ...]) -> tuple[Callable[..., Sequence[Any]], tuple[int, ...]] | None:
        """For gradients of these outputs: (saved tensors, then these gradients, then ints) -> gradients of inputs, and which
        inputs these are. None where only the framework can do it, from `again`.
        """
        if given not in self._backward:
            self._backward[given] = self._compile(given)
        return self._backward[given]


def _graph_of(graph: Graph, part: Part) -> Graph:
    """A part as a graph of its own: values from before are inputs."""
    new = Graph(name=graph.name)
    env: dict[Node, Node] = {}
    for n in part.inputs:
        env[n] = Node(OPS["input"], (), {}, n.meta, n.name, n.loc)
        new.inputs.append(env[n])
        new.nodes.append(env[n])
    for n in part.nodes:
        inputs = tuple(None if i is None else env[i] for i in n.inputs)
        env[n] = replace(n, inputs=inputs)
        new.nodes.append(env[n])
    new.outputs = [env[n] for n in part.outputs]
    return new


def _used_symbols(boundary: Boundary, graph: Graph) -> tuple[SymbolInfo, ...]:
    used = {s for n in graph.nodes for s in symbols_in((n.meta, n.attrs))}
    return tuple(s for s in boundary.symbols if s.symbol in used)


def _compiled(
    graph: Graph, part: Part, wants: set[Node], runtime: Runtime, compiling: Compiling
) -> tuple[Callable[..., Sequence[Any]], tuple[SymbolInfo, ...]]:
    """(what runs a part, the symbols whose sizes it gets). Raises Undifferentiable with a node of `graph`."""
    own = _graph_of(graph, part)
    symbols = _used_symbols(graph.boundary, own)
    boundary = Boundary(symbols=symbols, framework=graph.boundary.framework)
    closed = replace(
        boundary,
        symbols=tuple(replace(s, input=len(own.inputs) + k, dim=None) for k, s in enumerate(symbols)),
        int_inputs=tuple(s.symbol.name for s in symbols),
    )
    own.boundary = closed
    inputs = tuple(i for i, n in enumerate(part.inputs) if n in wants and _is_float(n))
    given = tuple(i for i, n in enumerate(part.outputs) if n in wants)
    if not given:
        return compiling(own), symbols
    checked = check_requirements(own, OPS)
    try:
        joint = differentiate(checked, OPS, inputs, given)
    except Undifferentiable as error:
        raise Undifferentiable(_node_named(part, error.node)) from None
    parts, saved, names = partition(joint, OPS, closed)
    generated = Generated(
        forward=compiling(parts.forward),
        saved=parts.saved,
        outputs=len(part.outputs),
        given=given,
        wants=joint.gradients,
        again=call_of(own, runtime),
        _compile=_backward_compiler(checked, inputs, joint, parts, saved, names, closed, compiling),
    )
    if symbols:  # what it concludes of sizes is guarded while the program is captured
        generated.backward(given)
    return runtime.differentiable(generated), symbols


def _node_named(part: Part, node: Node) -> Node:
    """The node of the program that a node without a rule came from."""
    same = [n for n in part.nodes if n.name == node.name]
    if same:
        return same[0]
    near = [n for n in part.nodes if n.loc == node.loc and (n.origin or n.op.name) == node.origin]
    return near[0] if near else part.nodes[0]


def _backward_compiler(
    checked: Graph, inputs: Sequence[int], joint: Joint, parts: Parts, saved: Sequence[int], names: Names, boundary: Boundary,
    compiling: Compiling,
) -> Callable[[tuple[int, ...]], tuple[Callable[..., Sequence[Any]], tuple[int, ...]] | None]:  # fmt: skip
    def compile_backward(given: tuple[int, ...]) -> tuple[Callable[..., Sequence[Any]], tuple[int, ...]] | None:
        if given == joint.given:
            return compiling(parts.backward), parts.gradients
        if boundary.symbols:
            return None
        fewer = differentiate(checked, OPS, inputs, given)
        try:
            behind = backward_from(fewer, OPS, boundary, saved, names)
        except Unsaved:
            return None
        return compiling(behind), fewer.gradients

    return compile_backward


def _in_order(
    graph: Graph,
    parts: Sequence[Part],
    made: Sequence[tuple[Callable[..., Sequence[Any]], tuple[SymbolInfo, ...]]],
    turn: Mapping[Node, int],
    runtime: Runtime,
) -> list[Step]:
    """Parts, and what the framework runs, by turns: within one, a part before the views of what it makes."""
    inside = {n for part in parts for n in part.nodes if n.op.kind not in _FREE}
    own: list[tuple[tuple[int, int, int], Step]] = []
    read = {i for part in parts for i in part.inputs}
    needed = {*graph.outputs, *read}
    order = {n: k for k, n in enumerate(graph.nodes)}
    for n in reversed(graph.nodes):
        if n.op.kind == "input" or n in inside:
            continue
        if n in needed or n.effects or n.op.raises or n.attrs.get("raises") or n.op.kind not in _FREE:
            needed.update(i for i in n.inputs if i is not None)
            run = step_of(n, runtime)
            if n in read and n.op.kind not in _FREE and n.op.eager != "call":
                run = settled(run, n, runtime)
            step = Step((n,), tuple(i for i in n.inputs if i is not None), n.grad, run)
            own.append(((turn[n], 1, order[n]), step))
    for part, (call, symbols) in zip(parts, made):
        step = Step(part.outputs, part.inputs, True, _part_step(part, call, symbols), True)
        own.append(((part.turn, 0, 0), step))
    return [step for _, step in sorted(own, key=lambda item: item[0])]


def _part_step(part: Part, call: Callable[..., Sequence[Any]], symbols: Sequence[SymbolInfo]) -> Callable[..., Any]:
    names = [s.symbol.name for s in symbols]
    inputs = part.inputs

    def step(values: Mapping[Node, Any], sizes: Mapping[str, int]) -> Sequence[Any]:
        return call(*[values[i] for i in inputs], *[sizes[name] for name in names])

    return step
