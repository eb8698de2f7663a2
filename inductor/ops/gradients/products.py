"""Products of matrices."""

from __future__ import annotations

import math
from typing import Any

from ...graph import GraphBuilder, Node
from ..common import args
from .common import NoRule, gradient, number


def _rows(b: GraphBuilder, x: Node) -> Node:
    """All dims but the last as one."""
    return x if x.ndim == 2 else b.reshape(x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))


@gradient("matmul", "mm", "bmm", "mv", "dot")
def _matmul(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
    x, y = args(node)
    if x.ndim == 1 and y.ndim == 1:
        return b.mul(g, y), b.mul(g, x)
    if y.ndim == 1:
        column = b.unsqueeze(g, dim=-1)
        of_y = b.matmul_turned(_rows(b, x), b.reshape(g, shape=(math.prod(g.shape), 1)), left=True)
        return b.mul(column, y), b.reshape(of_y, shape=y.shape)
    if x.ndim == 1:
        if y.ndim != 2:
            raise NoRule
        return b.matmul(y, g), b.mul(b.unsqueeze(x, dim=-1), g)
    if y.ndim == 2:
        return b.linear(g, y, None), b.matmul_turned(_rows(b, x), _rows(b, g), left=True)
    return b.matmul_turned(g, y, right=True), b.matmul_turned(x, g, left=True)


@gradient("matmul_turned")
def _matmul_turned(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
    x, y = args(node)
    left, right = node.attrs["left"], node.attrs["right"]
    of_x = b.matmul_turned(y, g, left=right, right=True) if left else b.matmul_turned(g, y, right=not right)
    of_y = b.matmul_turned(g, x, left=True, right=left) if right else b.matmul_turned(x, g, left=not left)
    return of_x, of_y


@gradient("linear")
def _linear(b: GraphBuilder, node: Node, g: Node) -> tuple[Node | None, ...]:
    x, weight, bias = args(node)
    if weight.ndim != 2:
        raise NoRule
    if x.ndim == 1:
        of_weight = b.mul(b.unsqueeze(g, dim=-1), x)
    else:
        of_weight = b.matmul_turned(_rows(b, g), _rows(b, x), left=True)
    return b.matmul(g, weight), of_weight, g if bias is not None else None


@gradient("addmm", "baddbmm")
def _addmm(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node, Node]:
    _, x, y = args(node)
    beta, alpha = node.attrs["beta"], node.attrs["alpha"]

    def times(n: Node, factor: Any) -> Node:
        return n if factor == 1 else b.mul(n, number(b, factor))

    of_x, of_y = b.matmul_turned(g, y, right=True), b.matmul_turned(x, g, left=True)
    return times(g, beta), times(of_x, alpha), times(of_y, alpha)
