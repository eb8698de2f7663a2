"""Who runs a product of matrices: the framework's library, or kernels generated from its contraction.

`choose` decides for one node, and says why. `choose_runners` asks it for each node whose row knows a contraction, puts the
contractions in place of those that are generated, and gives the choices, which go into the plan and which `explain` shows. Products
between which there is a softmax are one attention (see `inductor.attention`), if a strategy emits that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import InternalError, LoweringError
from .attention import Streaming, asked, describe, find
from .contraction import Attention, Axes, Product
from .graph import Graph, Node, Origin
from .ops.attention import ATTEND, DOTS
from .ops.common import args
from .ops.contractions import CONTRACT, axis_sizes
from .ops.table import Op
from .passes import eliminate_dead, freeze, laid_out, rebuild
from .refusal import Refusal
from .sizes import size_hint

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
Emits = Callable[["Product | Attention", str], "str | Refusal"]


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


def choose(
    node: Node, ops: Mapping[str, Op], contractions: str, emits: Emits, finished: bool = False, kept: int = 0
) -> Choice:
    """Who runs a node whose row has a contraction.

    contractions: "auto", or "generated" where all that can be are to be (`config.Options`)
    emits: asks the code generator about the contraction as it is, before anything is fused with it
    finished: whether there is something to fuse behind it
    kept:     bytes of an operand that is an input that seldom changes; 0: none is
    """
    if not node.dtype.is_float:
        return Choice("library", Reason("dtype", (node.dtype.name,)))
    subject = described(node, ops, finished, kept)
    if subject is None:
        return Choice("library", Reason("symbolic"))
    if contractions == "generated" and isinstance(subject, Product):
        return Choice("generated", Reason("asked-for"))
    return _chosen(subject, emits, node.meta.device)


def _chosen(subject: Product | Attention | Refusal, emits: Emits, device: str) -> Choice:
    found = subject if isinstance(subject, Refusal) else emits(subject, device)
    if isinstance(found, Refusal):
        return Choice("library", Reason("no-strategy", (found.code, found.detail)))
    return Choice("generated", Reason("strategy", (found,)))


def choose_runners(
    graph: Graph, ops: Mapping[str, Op], contractions: str, emits: Emits, weights: Collection[int] = ()
) -> tuple[Graph, tuple[Chosen, ...]]:
    """The graph with contractions where generated code was chosen, and each choice.

    weights: positions of the inputs of which copies may be kept
    """
    products = [n for n in graph.nodes if _is_product(n)]
    seldom = {graph.inputs[i] for i in weights}
    users = graph.users() if products else {}
    known: dict[Any, Choice] = {}  # repeated layers are asked about once
    choices: dict[Node, Choice] = {}
    rows: dict[Node, Op] = {}
    scores: dict[Node, Node] = {}
    for f in find(graph, users, _is_product) if len(products) > 1 else ():
        key: Any = (*map(_asks, (f.product, f.total)), f.scores.meta)
        if key not in known:
            known[key] = _chosen(asked(f, ops), emits, f.total.meta.device)
        if known[key].generated:
            choices.update({f.product: known[key], f.total: known[key]})
            rows.update({f.product: DOTS, f.total: ATTEND})
            scores[f.total] = f.scores
    for n in products:
        if n not in choices:
            finished, kept = _is_finished(n, users), _reads_weight(n, seldom)
            key = _asks(n), finished, kept
            if key not in known:
                known[key] = choose(n, ops, contractions, emits, finished, kept)
            choices[n] = known[key]
    chosen = tuple(Chosen(Origin(n.name, n.origin or n.op.name, n.loc), choices[n]) for n in products)
    if not any(c.generated for c in choices.values()):
        return graph, chosen

    new: dict[Node, Node] = {}

    def visit(b: Any, n: Node, inputs: list[Node | None]) -> Node:
        if n in scores:
            inputs = [new[scores[n]], *inputs[1:]]
        if n in choices and choices[n].generated:
            new[n] = b.put(n, inputs, rows.get(n, CONTRACT))
        else:
            new[n] = b.append(n.op, laid_out(b, n, inputs), n.attrs, n.meta)
        return new[n]

    graph = rebuild(graph, ops, visit, Streaming)
    return eliminate_dead(graph, ops) if scores else graph, chosen


def _asks(node: Node) -> Any:
    """What a choice for a node rests on, as a key."""
    return node.op.name, tuple(None if i is None else i.meta for i in node.inputs), freeze(node.attrs)


def _is_product(node: Node) -> bool:
    """Whether it has a contraction: by its row, and of a call because it says its axes."""
    return node.op.contraction is not None and (node.op.eager != "call" or node.attrs.get("axes") is not None)


def _reads_weight(node: Node, seldom: Collection[Node]) -> int:
    """Bytes of a factor of a product that is an input that seldom changes, or a view of one; 0 where none is."""
    for i in node.inputs:
        source = i
        while source is not None and source.op.kind == "view":
            source = source.inputs[0]
        if i is not None and source in seldom and i.meta.ndim > 1:
            return size_hint(i.meta.numel) * i.dtype.size
    return 0


def _is_finished(node: Node, users: Mapping[Node, Sequence[Node]]) -> bool:
    """Whether loops over its elements, in their order, read a node's result, all of it: as it is, or in another shape."""
    forms = [node]
    for form in forms:
        if not users[form]:
            return False
        for u in users[form]:
            if (
                u.op.kind == "view"
                and form.meta.is_contiguous
                and u.meta.is_contiguous
                and u.meta.numel == form.meta.numel
            ):
                forms.append(u)
            elif u.op.kind != "pointwise" or u.shape != form.shape:
                return False
    return True


def described(
    node: Node, ops: Mapping[str, Op], finished: bool = False, kept: int = 0
) -> Product | Attention | Refusal | None:
    """What is asked of a code generator about a node. None where its rule needs numbers and there are symbols."""
    sums = _sums(node, ops)
    if sums is None:
        return None
    dots = [n for n in sums if n.op is DOTS]
    if dots:
        (attend,) = (n for n in sums if n.op is ATTEND)
        return describe(dots[0], attend, node.dtype)
    c = sums[0]
    return Product(contraction_axes(c), node.dtype, finished, _windows(c), _in_lines(c), kept, _across(c))


def _windows(c: Node) -> str:
    """How the windows of a `contract` lie in its left operand (see `contraction.WINDOWS`)."""
    image, _ = args(c)
    left, right, result = (c.attrs[k] for k in ("left", "right", "result"))
    steps = {label: step for label, n, step in zip(left, image.shape, image.meta.stride) if n != 1}
    beside = next((label for label, step in steps.items() if step == 1), None)
    if beside in right and beside in result:
        return "apart"
    if sum(label not in result for label in steps) < 2:
        return "none"
    return "summed" if beside in right else "gathered"


def contraction_axes(c: Node) -> Axes:
    """The axes of a `contract`."""
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


def _in_lines(c: Node) -> bool:
    """Whether the elements of a contraction's larger operand follow each other along an axis that is summed over."""
    operands = zip((i.meta for i in args(c)), (c.attrs["left"], c.attrs["right"]))
    larger, own = max(operands, key=lambda operand: size_hint(operand[0].numel))
    return any(step == 1 and a not in c.attrs["result"] for step, a in zip(larger.stride, own))


def _across(c: Node) -> bool:
    """Whether the elements of a contraction's left operand follow each other along an axis that the right one lacks."""
    left = args(c)[0].meta
    return any(
        step == 1 and n != 1 and a not in c.attrs["right"]
        for step, n, a in zip(left.stride, left.shape, c.attrs["left"])
    )


def _sums(node: Node, ops: Mapping[str, Op]) -> list[Node] | None:
    """The sums of products that a node's rule makes, in a graph of their own."""
    b = Streaming(ops, Graph())
    inputs = [None if i is None else b.input(i.meta) for i in node.inputs]
    try:
        b.put(node, inputs)
    except (TypeError, ValueError, LoweringError):
        if node.is_dynamic:
            return None
        raise
    return [n for n in b.graph.nodes if n.op.kind == "contraction"]
