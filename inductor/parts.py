"""How a graph that wants gradients is split: into parts, of which the framework sees each as one function that it can differentiate, and
calls of the framework between them.

The framework's history so has all that the program can look at: the graph's results, and what its own calls get and give, are
results of parts, and nothing that one of them depends on is hidden inside the part that makes the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import LoweringError
from .checks import unproven
from .differentiate import Joint, differentiate, records
from .graph import Graph, GraphBuilder, Node, TensorMeta, symbols_in
from .ops import OPS
from .passes import freeze

#: a part is worth its call where it computes as many values; fewer are the framework's, one by one
WORTH = 2
#: what is no work of its own, beside arithmetic on numbers
_FREE = ("view", "literal", "constant")


@dataclass(frozen=True)
class Part:
    """Nodes that one generated function computes. inputs, outputs: the values that it gets, and that others need"""

    turn: int
    nodes: tuple[Node, ...]
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]


@dataclass(frozen=True)
class Split:
    """A graph as its parts, in order.

    wants: the nodes through which gradients flow
    turns: of each node, the step at which it is computed (see `split`)
    """

    parts: tuple[Part, ...]
    wants: frozenset[Node]
    turns: Mapping[Node, int]


def split(graph: Graph) -> Split:
    """The graph's parts. Parts and calls of the framework take turns: a node belongs to the first turn that has all it needs."""
    wants = wanting(graph)
    turns, generated = _turns(graph, wants)
    return Split(tuple(_parts(graph, turns, generated)), frozenset(wants), turns)


def is_free(n: Node) -> bool:
    """Whether it is no work of its own: parts make it for themselves."""
    return n.op.kind in _FREE or n.op.kind == "pointwise" and _is_number(n)


def _is_number(n: Node) -> bool:
    """Whether it is a Python number where the framework computes it. Parts are given tensors."""
    return n.op.kind != "input" and not isinstance(n.meta, tuple) and n.meta.weak


# --------------------------------------------------------------------------- what gradients flow through


def is_float(n: Node) -> bool:
    """Whether a value of it can have a gradient."""
    return any(m.dtype.is_float or m.dtype.is_complex for m in _metas(n))


def _metas(n: Node) -> tuple[TensorMeta, ...]:
    return n.meta if isinstance(n.meta, tuple) else (n.meta,)


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
        made_inside = n.op.eager == "call" and n.effects and n.grad and is_float(n)
        if made_inside or records(n, wants) or _is_unrecorded(n, wants):
            wants.add(n)
    return wants


def _is_unrecorded(n: Node, wants: set[Node]) -> bool:
    """Whether it is a view that was made where nothing is recorded: like its base it requires gradients, but they end at it."""
    return n.op.kind == "view" and not n.grad and n.op.gradient != "stopped" and n.inputs[0] in wants


class Derivatives:
    """The derivatives of single nodes by what wants gradients, found as those of whole graphs are; those of equal nodes once."""

    def __init__(self, wants: set[Node]) -> None:
        self._wants = wants
        self._found: dict[Any, Joint | None] = {}

    def of(self, n: Node) -> Joint | None:
        """That of a node as a graph of its own, whose inputs are the node's (each once, numbers left out). None where it has none."""
        given = _operands(n)
        operands = [_number(i) or (i.meta, i in self._wants) for i in given]
        places = tuple(None if i is None else given.index(i) for i in n.inputs)
        key = (n.op.name, freeze(n.attrs), n.meta, tuple(operands), places)
        if key not in self._found:
            self._found[key] = self._derivative(n)
        return self._found[key]

    def _derivative(self, n: Node) -> Joint | None:
        own = alone(n)
        wanted = [k for k, i in enumerate(i for i in _operands(n) if not _number(i)) if i in self._wants]
        try:
            return differentiate(own, OPS, wanted, range(len(own.outputs)))
        except LoweringError:
            return None

    def reads(self, n: Node) -> set[Node]:
        """The inputs of a node, and itself, that its derivative reads; all of them where no rule of its own says it."""
        joint = self.of(n) if callable(n.op.gradient) else None
        given = [i for i in _operands(n) if not _number(i)]
        if joint is None:
            return {n, *given}
        return {*(given[k] for k in joint.read), *([n] if joint.kept else [])}


def _operands(n: Node) -> list[Node]:
    return list(dict.fromkeys(i for i in n.inputs if i is not None))


def _number(n: Node) -> Any:
    """What is known of a number's value, on which derivatives may depend; None where it is no number."""
    return (n.op.name, freeze(n.attrs), n.meta) if n.op.kind == "literal" and not n.inputs else None


def alone(n: Node) -> Graph:
    """A node as a graph of its own, with its results through which gradients flow."""
    own = Graph()
    env: dict[Node, Node] = {}
    for i in _operands(n):
        env[i] = i if _number(i) else Node(OPS["input"], (), {}, i.meta, i.name)
        own.nodes.append(env[i])
    own.inputs = [i for i in own.nodes if i.op.kind == "input"]
    it = replace(n, inputs=tuple(None if i is None else env[i] for i in n.inputs))
    own.nodes.append(it)
    own.outputs = [it]
    if isinstance(n.meta, tuple):
        b = GraphBuilder(OPS, own)
        flowing = n.op.differentiable or [k for k, m in enumerate(n.meta) if m.dtype.is_float]
        own.outputs = [b.getitem(it, index=k) for k in flowing]
    return own


# --------------------------------------------------------------------------- what is generated


def _is_generated(n: Node, wants: set[Node], derivatives: Derivatives, fixed: frozenset[Any], raises: bool) -> bool:
    """Whether generated code may compute a node, and differentiate it. Of what picks results the node that it picks from decides.

    fixed: symbols that only the run finds out; raises: whether it may refuse elements: where nothing was done before that can
    be seen, the program is run again
    """
    if n.library or n.op.raises or n.attrs.get("raises") or n.effects:
        return False
    metas = [m for i in (n, *n.inputs) if i is not None for m in _metas(i)]
    if any(m.dtype.is_complex for m in metas) or len({m.device for m in metas if m.shape or not m.weak}) > 1:
        return False
    if fixed and not fixed.isdisjoint(symbols_in((*metas, n.attrs))):
        return False
    if not raises and any(True for _ in unproven(n)):
        return False
    if n.op.eager == "pick":
        return True
    if _is_unrecorded(n, wants):
        return False
    if n in wants:
        ruled = callable(n.op.gradient) or n.op.gradient == "decomposition" or n.op.recording is not None
        return ruled and derivatives.of(n) is not None
    if n.op.kind == "extern":
        return callable(n.op.gradient)
    return n.op.decompose is not None or n.op.lower is not None


def unordered(graph: Graph) -> str:
    """Why every call must leave its own mark in the framework's history; "" where it need not.

    A write to a tensor that a derivative reads is refused in the backward pass, by the tensor's own count of its writes.
    """
    stores = [n for n in graph.nodes if n.attrs.get("stores")]
    if not stores:
        return ""
    wants = wanting(graph)
    if any(n.attrs["stores"] == "content" and not wants.isdisjoint(n.inputs) for n in stores):
        return "a tensor that takes part in differentiation is written to"
    derivatives = Derivatives(wants)
    rewritten = {i for n in stores if n.attrs["stores"] == "count" for i in n.inputs}
    for n in graph.nodes:
        if n.op.kind == "view" and n.inputs[0] in rewritten:
            rewritten.add(n)
        elif n in wants and n.op.eager not in ("call", "pick") and not rewritten.isdisjoint((n, *n.inputs)):
            if not rewritten.isdisjoint(derivatives.reads(n)):
                return "what a derivative reads is written to"
    return ""


# --------------------------------------------------------------------------- when it is computed


def _turns(graph: Graph, wants: set[Node]) -> tuple[dict[Node, int], set[Node]]:
    """The turn of each node, even for generated code and odd for the framework, and the nodes that are generated. What has effects comes
    behind everything before it and before everything behind it; random numbers are drawn in the program's order.
    """
    derivatives = Derivatives(wants)
    fixed = frozenset(m.symbol for m in graph.boundary.measured)
    seen = {n for n in graph.outputs if n in wants}
    turns: dict[Node, int] = {n: 0 for n in graph.inputs}
    generated: set[Node] = set()
    # after effects; the last that drew or counted a write; the framework's last, and the last of all
    least = drawn = counted = latest = last = 0
    for n in graph.nodes:
        if n.op.kind == "input":
            continue
        inputs = [i for i in n.inputs if i is not None]
        given = all(i in generated for i in inputs if n.op.eager == "pick" or _is_number(i))
        ours = given and _is_generated(n, wants, derivatives, fixed, not least)
        # what a caller can see ends a part
        after = [turns[i] + 2 * (ours and i in seen and i in generated) for i in inputs]
        turn = max([least if ours else max(least, counted), *after])
        turn += turn % 2 == (1 if ours else 0)
        if ours:
            generated.add(n)
        elif n.effects and n.op.eager != "call":
            turn = drawn = max(turn, drawn)
        elif n.attrs.get("stores") == "count":
            # the framework alone looks at the count; parts keep nothing that is written to
            turn = counted = max([latest, *(turns[i] for i in inputs)]) | 1
        elif n.effects:
            seen.update(_base(i) for i in inputs if i in wants)
            turn = least = last | 1
        turns[n] = turn
        last = max(last, turn)
        if not ours:
            latest = max(latest, turn)
    return turns, generated


def _base(n: Node) -> Node:
    while n.op.kind == "view" and n.inputs[0] is not None:
        n = n.inputs[0]
    return n


def _parts(graph: Graph, turns: Mapping[Node, int], generated: set[Node]) -> list[Part]:
    """What is computed in one turn and has a value in common is one part; what has not is another, with a history of its own: a
    backward pass through one leaves the other. Views and numbers are made in each part that reads them.
    """
    order = {n: k for k, n in enumerate(graph.nodes)}
    own = _Groups()
    above: dict[Node, list[Node]] = {}  # the computed values of its turn that a node reads, itself or through views
    for n in graph.nodes:
        if n not in generated:
            continue
        near = [i for i in n.inputs if i is not None and i in generated and turns[i] == turns[n]]
        above[n] = [c for i in near for c in ([i] if not is_free(i) else above[i])]
        if not is_free(n):
            for c in above[n]:
                own.join(n, c)
    groups: dict[Node, list[Node]] = {}
    for n in above:
        if not is_free(n):
            groups.setdefault(own.of(n), []).append(n)
    worth = [nodes for nodes in groups.values() if len(nodes) >= WORTH]
    found = [(nodes, *_within(nodes, turns, generated)) for nodes in worth]
    inside = {n for nodes in worth for n in nodes}
    needed = {*graph.outputs, *(i for _, _, inputs in found for i in inputs)}
    for n in reversed(graph.nodes):
        if n not in inside and (n in needed or not is_free(n)):
            needed.update(i for i in n.inputs if i is not None)
    parts = []
    for nodes, members, inputs in found:
        outputs = tuple(n for n in nodes if n in needed)
        if outputs:
            own_order = tuple(sorted(members, key=order.__getitem__))
            parts.append(Part(turns[nodes[0]], own_order, tuple(sorted(inputs, key=order.__getitem__)), outputs))
    return parts


def _within(nodes: list[Node], turns: Mapping[Node, int], generated: set[Node]) -> tuple[set[Node], set[Node]]:
    """A part's nodes with the views and numbers that it makes for itself; and its inputs."""
    members, inputs, todo = set(nodes), set(), list(nodes)
    while todo:
        for i in todo.pop().inputs:
            if i is None or i in members:
                continue
            again = is_free(i) and i in generated and turns[i] == turns[nodes[0]]
            if again or i.op.kind in ("literal", "constant") or _is_number(i):
                members.add(i)
                todo.append(i)
            else:
                inputs.add(i)
    return members, inputs


class _Groups:
    """Disjoint groups of nodes, which can be joined."""

    def __init__(self) -> None:
        self._above: dict[Node, Node] = {}

    def of(self, n: Node) -> Node:
        """The node that stands for a node's group."""
        root = n
        while root in self._above:
            root = self._above[root]
        while n is not root:
            above, self._above[n] = self._above[n], root
            n = above
        return root

    def join(self, one: Node, other: Node) -> None:
        a, b = self.of(one), self.of(other)
        if a is not b:
            self._above[a] = b


def graph_of(graph: Graph, part: Part) -> Graph:
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
