"""Reading and writing at computed positions."""

from __future__ import annotations

import math
from typing import Any

from ...graph import GraphBuilder, Node
from ..common import args
from .common import NoRule, gradient, number, unless, zeros


@gradient("gather")
def _gather(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, None]:
    x, index = args(node)
    return b.scatter_add(zeros(b, x), index, g, dim=node.attrs["dim"]), None


@gradient("index_select")
def _index_select(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, None]:
    x, index = args(node)
    return b.index_add(zeros(b, x), index, g, dim=node.attrs["dim"]), None


@gradient("embedding")
def _embedding(b: GraphBuilder, node: Node, g: Node) -> tuple[None, Node]:
    index, weight = args(node)
    padding = node.attrs["padding_idx"]
    if padding is not None:
        at = padding if padding >= 0 else weight.shape[0] + padding
        g = unless(b, b.unsqueeze(b.eq(index, number(b, at)), dim=-1), g)
    count = math.prod(index.shape)
    rows, flat = b.reshape(g, shape=(count, weight.shape[1])), b.reshape(index, shape=(count,))
    return None, b.index_add(zeros(b, weight), flat, rows, dim=0)


@gradient("index")
def _index(b: GraphBuilder, node: Node, g: Node) -> tuple[Any, ...]:
    x, *indices = args(node)
    return b.index_put(zeros(b, x), g, *indices, accumulate=True), *(None for _ in indices)


@gradient("scatter")
def _scatter(b: GraphBuilder, node: Node, g: Node) -> tuple[Any, ...]:
    _, index, source = args(node)
    dim = node.attrs["dim"]
    of_x = b.scatter(g, index, number(b, 0.0), dim=dim)
    if source.meta.weak:
        return of_x, None, None
    if source.shape != index.shape:
        raise NoRule
    return of_x, None, b.gather(g, index, dim=dim)


@gradient("scatter_add")
def _scatter_add(b: GraphBuilder, node: Node, g: Node) -> tuple[Any, ...]:
    _, index, source = args(node)
    if source.meta.weak or source.shape != index.shape:
        raise NoRule
    return g, None, b.gather(g, index, dim=node.attrs["dim"])


@gradient("index_add")
def _index_add(b: GraphBuilder, node: Node, g: Node) -> tuple[Any, ...]:
    x, index, source = args(node)
    if source.meta.weak or not x.ndim or source.ndim != x.ndim or index.ndim != 1:
        raise NoRule
    return g, None, b.index_select(g, index, dim=node.attrs["dim"])


@gradient("index_copy", "index_fill")
def _index_copy(b: GraphBuilder, node: Node, g: Node) -> tuple[Any, ...]:
    x, index, source = args(node)
    dim = node.attrs["dim"]
    if not x.ndim or index.ndim != 1:
        raise NoRule
    of_x = b.index_fill(g, index, number(b, 0.0), dim=dim)
    if source.meta.weak:
        return of_x, None, None
    if source.ndim != x.ndim:
        raise NoRule
    return of_x, None, b.index_select(g, index, dim=dim)


@gradient("index_put")
def _index_put(b: GraphBuilder, node: Node, g: Node) -> tuple[Any, ...]:
    _, value, *indices = args(node)
    of_x = g if node.attrs["accumulate"] else b.index_put(g, number(b, 0.0), *indices, accumulate=False)
    rest = (None for _ in indices)
    return of_x, None if value.meta.weak else b.index(g, *indices), *rest


@gradient("slice_scatter")
def _slice_scatter(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
    return b.slice_scatter(g, number(b, 0.0), **node.attrs), b.slice(g, **node.attrs)


@gradient("select_scatter")
def _select_scatter(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
    return b.select_scatter(g, number(b, 0.0), **node.attrs), b.select(g, **node.attrs)


@gradient("diagonal_scatter")
def _diagonal_scatter(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
    return b.diagonal_scatter(g, number(b, 0.0), **node.attrs), b.diagonal(g, **node.attrs)
