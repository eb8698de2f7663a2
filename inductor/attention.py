"""Attention found in a graph: softmax(scores) @ values, where a product makes the scores and loops over their elements all that
happens to them. Both products and the softmax become one kernel's; the scores are never in memory.

However it was spelled (a library's function, `F.softmax` between two `@`, exponentials divided by their sum), decomposition has left

    total = product(e / sum(e), values)    e = exp(x - amax(x))    x = f(product(queries, keys))

where f works point by point: scales, masks, biases, soft caps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from .contraction import Attention
from .dtypes import DType
from .graph import Graph, Node, TensorMeta
from .ops import OPS
from .ops.attention import ATTEND, DOTS
from .ops.contractions import CONTRACT, labelled
from .ops.table import Op
from .passes import Expanding
from .refusal import Refusal

#: the rows that softmax is decomposed into
_DIV, _EXP, _SUM, _SUB, _AMAX = (OPS[name] for name in ("div", "exp", "sum", "sub", "amax"))


def describe(dots: Node, attend: Node, dtype: DType) -> Attention | Refusal:
    """What is asked of a code generator: the axes of a `dots` and of the `attend` whose scores have its shape, in a program's dtype."""
    first, second = labelled(dots), labelled(attend)
    scores, keyed = dots.attrs["result"], attend.attrs["left"]
    kept = attend.attrs["result"]
    if len(scores) != len(keyed) or len(first.summed) != 1 or len(second.summed) != 1:
        return _no("axes", "more than one axis is summed over")
    sizes = (*first.sizes.values(), *second.sizes.values())
    if not all(isinstance(n, int) and n > 0 for n in sizes):
        return _no("no-number", "blocks are cut for sizes that are known")
    ((summed, keys),) = second.summed
    if summed not in keyed:
        return _no("axes", "the scores are not summed over")
    own = _varying(dots)
    key = scores[keyed.index(summed)]
    if key not in own[0] | own[1]:
        return _no("one-key", "there is nothing to weigh")
    side = own[0] if key in own[0] else own[1]
    values = _varying(attend)[1]
    batch: list[Any] = []
    rows: list[Any] = []
    for score, label in zip(scores, keyed):
        if label == summed or second.sizes[label] == 1:
            continue
        if (score in side) != (label in values):
            return _no("axes", "keys and values vary along different axes")
        if label not in kept:
            return _no("axes", "more than the keys is summed over")
        (batch if score in side else rows).append(second.sizes[label])
    columns = [second.sizes[label] for label in kept if label not in keyed and second.sizes[label] != 1]
    ((_, inner),) = first.summed
    return Attention(tuple(batch), tuple(rows), keys, inner, tuple(columns), dtype)


def _varying(node: Node) -> tuple[set[int], set[int]]:
    """The axes along which each operand varies."""
    left, right = (
        {label for label, n in zip(own, i.shape) if n != 1}
        for own, i in zip(labelled(node).own, (i for i in node.inputs if i is not None))
    )
    return left, right


def _no(code: str, detail: str) -> Refusal:
    return Refusal(code, "heuristic", detail)


@dataclass(frozen=True)
class Found:
    """An attention in a graph: the product that makes scores, what becomes of them, and the product that ends it."""

    product: Node
    scores: Node
    total: Node


def find(graph: Graph, readers: Mapping[Node, Sequence[Node]], is_product: Callable[[Node], bool]) -> list[Found]:
    """All in a graph of which nothing but the end is read elsewhere. readers: of each node (`Graph.users`)"""
    users: dict[Node, Set[Node]] = {n: set(read) for n, read in readers.items()}
    kept = {*graph.outputs}
    found = []
    for total in filter(is_product, graph.nodes):
        weights = total.inputs[0] if total.inputs else None
        scores = None if weights is None or users[weights] != {total} else _softmax_of(weights, users)
        product = None if scores is None else _made_by(scores, users, is_product)
        if scores is not None and product is not None and kept.isdisjoint((weights, scores, product)):
            found.append(Found(product, scores, total))
    return found


def _softmax_of(weights: Node, users: Mapping[Node, Set[Node]]) -> Node | None:
    """The scores of which a node is the softmax along the last axis, where nobody else reads a part of it."""
    if weights.op is not _DIV:
        return None
    powers, total = weights.inputs
    if (
        powers is None
        or powers.op is not _EXP
        or total is None
        or total.op is not _SUM
        or total.inputs[0] is not powers
    ):
        return None
    (shifted,) = powers.inputs
    if shifted is None or shifted.op is not _SUB:
        return None
    scores, most = shifted.inputs
    if scores is None or most is None or most.op is not _AMAX or most.inputs[0] is not scores:
        return None
    along_last = (*scores.shape[:-1], 1)
    if not scores.shape or scores.shape[-1] == 1 or not most.shape == total.shape == along_last:
        return None
    if not total.dtype == weights.dtype == scores.dtype:
        return None  # a sum may be asked for in a wider type
    read = {scores: {most, shifted}, most: {shifted}, shifted: {powers}, powers: {total, weights}, total: {weights}}
    return scores if all(users[n] == by for n, by in read.items()) else None


def _made_by(scores: Node, users: Mapping[Node, Set[Node]], is_product: Callable[[Node], bool]) -> Node | None:
    """The only product that scores come from, point by point, where nobody else reads what lies between."""
    order, seen, stack = [], {scores}, [scores]
    while stack:
        n = stack.pop()
        order.append(n)
        if n.op.kind == "pointwise":
            new = [i for i in n.inputs if i is not None and i.shape == scores.shape and i not in seen]
            seen.update(new)
            stack += new
    products = [n for n in order if is_product(n)]
    if len(products) != 1:
        return None
    path = set(products)
    stack = [*products]
    while stack:
        n = stack.pop()
        if n is not scores:
            if not users[n] <= seen:
                return None
            new = [u for u in users[n] if u not in path]
            path.update(new)
            stack += new
    return products[0] if scores in path else None


class Streaming(Expanding):
    """Puts what a product means in place of it, its sum over the inner axis as another row says it."""

    def __init__(self, ops: Mapping[str, Op], graph: Graph) -> None:
        super().__init__(ops, graph)
        #: the row in place of `contract`
        self.sums = CONTRACT
        #: how the result is to lie in memory
        self.result: TensorMeta | None = None

    def append(self, row: Op, inputs: Sequence[Node | None], attrs: Mapping[str, Any], meta: TensorMeta) -> Node:
        if row is CONTRACT and self.sums is not CONTRACT:
            row, attrs = self.sums, self.sums.bind(attrs)
        if row is ATTEND and self.result is not None and meta.shape == self.result.shape:
            # laid out as the program's own result: what reads that in another shape finds heads side by side
            meta = replace(meta, stride=self.result.stride)
        return super().append(row, inputs, attrs, meta)

    def put(self, node: Node, inputs: Sequence[Node | None], sums: Op = CONTRACT) -> Node:
        """What a node's row says that it computes, in the node's own strides."""
        assert node.op.contraction is not None
        outer, self.sums, self.result = self.sums, sums, None if isinstance(node.meta, tuple) else node.meta
        detached = Node(node.op, tuple(inputs), node.attrs, node.meta, node.name, node.loc, node.origin)
        try:
            made: Node = node.op.contraction(self, detached)
        finally:
            self.sums, self.result = outer, None
        return made if made.meta.stride == node.meta.stride else self.call("restride", made, stride=node.meta.stride)


def asked(found: Found, ops: Mapping[str, Op]) -> Attention | Refusal:
    """What is asked of a code generator about an attention in a graph."""
    b = Streaming(ops, Graph())
    sums = []
    for node, row in ((found.product, DOTS), (found.total, ATTEND)):
        inputs = [None if i is None else b.input(i.meta) for i in node.inputs]
        b.put(node, inputs, row)
        sums += [n for n in b.graph.nodes if n.op is row]
    dots, attend = sums
    if attend.inputs[0] is not inputs[0] or dots.shape != found.scores.shape:
        return _no("axes", "the scores are no operand as they are")
    return describe(dots, attend, found.total.dtype)
