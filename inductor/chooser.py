"""Who runs a product of matrices: the framework's library, or kernels generated from its contraction.

`choose` decides for one node, and says why. `choose_runners` asks it for each node whose row knows a contraction, puts the
contractions in place of those that are generated, and gives the choices, which go into the plan and which `explain` shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import InternalError, LoweringError
from .contraction import Axes, Product
from .graph import Graph, Node, Origin
from .ops.contractions import axis_sizes
from .ops.table import Op
from .passes import Expanding, freeze, laid_out, rebuild
from .refusal import Refusal

#: why a runner was chosen: each code with its text over the reason's operands
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "asked-for": "the options say so",
        "strategy": "{0} emits it",
        "no-strategy": "no strategy emits it: {0} ({1})",
        "dtype": "no kernel multiplies matrices of {0}",
        "symbolic": "its loops need a number where a size is dynamic",
    }
)

#: the strategy that emits a contraction on a device, or why none does
Emits = Callable[[Product, str], "str | Refusal"]


@dataclass(frozen=True)
class Reason:
    """Why one runner was chosen and not the other. code: one of REASONS"""

    code: str
    operands: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.code not in REASONS:
            raise InternalError(f"[chooser] unknown reason {self.code!r}; known: {', '.join(REASONS)}")

    def __str__(self) -> str:
        return REASONS[self.code].format(*self.operands)


@dataclass(frozen=True)
class Choice:
    """runner: "library" or "generated" """

    runner: str
    reason: Reason

    @property
    def generated(self) -> bool:
        return self.runner == "generated"

    def __str__(self) -> str:
        return f"{self.runner}, {self.reason}"


@dataclass(frozen=True)
class Chosen:
    """A node and its choice."""

    origin: Origin
    choice: Choice

    def __str__(self) -> str:
        return f"{self.origin}: {self.choice}"


def choose(node: Node, ops: Mapping[str, Op], contractions: str, emits: Emits, finished: bool = False) -> Choice:
    """Who runs a node whose row has a contraction.

    contractions: "auto", or "generated" where all that can be are to be (`config.Options`)
    emits: asks the code generator about the contraction as it is, before anything is fused with it
    finished: whether there is something to fuse behind it
    """
    if not node.dtype.is_float:
        return Choice("library", Reason("dtype", (node.dtype.name,)))
    axes = contraction_axes(node, ops)
    if axes is None:
        return Choice("library", Reason("symbolic"))
    if contractions == "generated":
        return Choice("generated", Reason("asked-for"))
    found = emits(Product(axes, node.dtype, finished), node.meta.device)
    if isinstance(found, Refusal):
        return Choice("library", Reason("no-strategy", (found.code, found.detail)))
    return Choice("generated", Reason("strategy", (found,)))


def choose_runners(
    graph: Graph, ops: Mapping[str, Op], contractions: str, emits: Emits
) -> tuple[Graph, tuple[Chosen, ...]]:
    """The graph with contractions where generated code was chosen, and each choice."""
    asked = [n for n in graph.nodes if _is_product(n)]
    known: dict[Any, Choice] = {}  # repeated layers are asked about once
    choices: dict[Node, Choice] = {}
    users = graph.users() if asked else {}
    for n in asked:
        finished = _is_finished(n, users)
        key = (n.op.name, tuple(None if i is None else i.meta for i in n.inputs), freeze(n.attrs), finished)
        choices[n] = (
            known[key] if key in known else known.setdefault(key, choose(n, ops, contractions, emits, finished))
        )
    chosen = tuple(Chosen(Origin(n.name, n.origin or n.op.name, n.loc), choices[n]) for n in asked)
    if not any(c.generated for c in choices.values()):
        return graph, chosen

    def visit(b: Any, n: Node, inputs: list[Node | None]) -> Node:
        rule = n.op.contraction
        if rule is None or n not in choices or not choices[n].generated:
            return b.append(n.op, laid_out(b, n, inputs), n.attrs, n.meta)
        made = rule(b, Node(n.op, tuple(inputs), n.attrs, n.meta, n.name, n.loc, n.origin))
        return made if made.meta.stride == n.meta.stride else b.call("restride", made, stride=n.meta.stride)

    return rebuild(graph, ops, visit, Expanding), chosen


def _is_product(node: Node) -> bool:
    """Whether it has a contraction: by its row, and of a call because it says its axes."""
    return node.op.contraction is not None and (node.op.eager != "call" or node.attrs.get("axes") is not None)


def _is_finished(node: Node, users: Mapping[Node, Sequence[Node]]) -> bool:
    """Whether loops over its elements read a node's result, all of it: views of another shape are no such loops."""
    read = users[node]
    return bool(read) and all(u.op.kind == "pointwise" and u.shape == node.shape for u in read)


def contraction_axes(node: Node, ops: Mapping[str, Op]) -> Axes | None:
    """The axes of a node's contraction. None where it needs numbers and there are symbols."""
    c = _expanded(node, ops)
    if c is None:
        return None
    labels, shapes = (c.attrs["left"], c.attrs["right"]), [i.shape for i in c.inputs if i is not None]
    sizes = axis_sizes(shapes, labels)
    left, right = ({a for a, n in zip(own, shape) if n != 1} for own, shape in zip(labels, shapes))
    result = c.attrs["result"]
    outer = [a for a in result if sizes[a] != 1]
    return Axes(
        batch=tuple(sizes[a] for a in outer if a in left and a in right),
        rows=tuple(sizes[a] for a in outer if a not in right),
        columns=tuple(sizes[a] for a in outer if a not in left),
        inner=tuple(n for a, n in sizes.items() if a not in result) or (1,),
    )


def _expanded(node: Node, ops: Mapping[str, Op]) -> Node | None:
    """The contraction of a node in a graph of its own. None where it needs numbers and there are symbols."""
    assert node.op.contraction is not None
    b = Expanding(ops, Graph())
    inputs = [None if i is None else b.input(i.meta) for i in node.inputs]
    try:
        node.op.contraction(b, Node(node.op, tuple(inputs), node.attrs, node.meta, node.name))
    except (TypeError, ValueError, LoweringError):
        if node.is_dynamic:
            return None
        raise
    return next(n for n in b.graph.nodes if n.op.kind == "contraction")
