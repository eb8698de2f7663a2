"""Views, and what puts elements in other places."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

from ...graph import GraphBuilder, Node
from ..common import args, wrap_dim
from ..table import OPS
from .common import NoRule, gradient, zeros


def _view(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    """What the view's base holds, otherwise of zeros, once the view holds the gradient."""
    (x,) = args(node)
    undo = node.op.undo
    assert undo is not None
    made = undo(functools.partial(b.call), node.attrs, zeros(b, x), g)
    if made is None:
        raise NoRule
    return (made,)


for _name in ("alias", "view", "reshape", "flatten", "unflatten", "permute", "transpose", "squeeze", "unsqueeze", "select", "slice",
              "diagonal", "flip"):  # fmt: skip
    assert OPS[_name].undo is not None
    gradient(_name)(_view)


@gradient("positive", "expand")
def _broadcast(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    return (g,)


@gradient("tril", "triu")
def _triangle(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    return (b.call(node.op.name, g, **node.attrs),)


@gradient("cat")
def _cat(b: GraphBuilder, node: Node, g: Node) -> list[Node | None]:
    d = wrap_dim(node.attrs["dim"], node.ndim)
    parts: list[Node | None] = []
    start: Any = 0
    for i in args(node):
        if i.ndim != node.ndim:  # a tensor of one dim without elements, which eager lets pass
            parts.append(zeros(b, i))
            continue
        parts.append(b.slice(g, dim=d, start=start, end=start + i.shape[d]))
        start = start + i.shape[d]
    return parts


@gradient("pad")
def _pad(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    (x,) = args(node)
    pad = node.attrs["pad"]
    if node.attrs["mode"] != "constant" or not all(isinstance(p, int) and p >= 0 for p in pad):
        raise NoRule
    for k in range(len(pad) // 2):
        d = x.ndim - 1 - k
        if pad[2 * k] or pad[2 * k + 1]:
            g = b.slice(g, dim=d, start=pad[2 * k], end=pad[2 * k] + x.shape[d])
    return (g,)


@gradient("roll_dims")
def _roll(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    shifts = tuple(-s for s in node.attrs["shifts"])
    return (b.roll_dims(g, shifts=shifts, dims=node.attrs["dims"]),)


@gradient("repeat")
def _repeat(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    (x,) = args(node)
    counts = node.attrs["repeats"]
    if 0 in counts or math.prod(x.shape) == 0:
        return (zeros(b, x),)
    shape = itertools.chain.from_iterable(zip(counts, (*(1,) * (node.ndim - x.ndim), *x.shape)))
    summed = b.sum(b.reshape(g, shape=tuple(shape)), dim=tuple(range(0, 2 * node.ndim, 2)))
    return (b.reshape(summed, shape=x.shape),)


@gradient("diag_embed")
def _diag_embed(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    attrs = node.attrs
    return (b.diagonal(g, offset=attrs["offset"], dim1=attrs["dim1"], dim2=attrs["dim2"]),)
