"""What rules share: how they are put into the table, and the nodes that they often need."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from ...graph import Dim, GraphBuilder, Node
from ..table import OPS

#: (b, node, gradient of its result) -> gradients of its inputs
Rule = Callable[[GraphBuilder, Node, Any], Sequence[Node | None]]
#: (b, node, the inputs that gradients go to) -> the same value, or None
Recording = Callable[[GraphBuilder, Node, Collection[int]], Node | None]


class NoRule(Exception):
    """An op has no rule for these attributes, dtypes or shapes: the framework differentiates this node."""


def gradient(*names: str) -> Callable[[Rule], Rule]:
    """The rule of these ops."""

    def fill(rule: Rule) -> Rule:
        for name in names:
            OPS.differentiate(name, rule)
        return rule

    return fill


def recording(*names: str) -> Callable[[Recording], Recording]:
    """What these ops become where gradients are wanted."""

    def fill(made: Recording) -> Recording:
        for name in names:
            OPS.record(name, made)
        return made

    return fill


def by_decomposition(*names: str) -> None:
    """Ops whose decomposition has eager's derivative everywhere, at its kinks too."""
    for name in names:
        OPS.differentiate(name, "decomposition")


def number(b: GraphBuilder, value: float) -> Node:
    """A Python number."""
    return b.scalar(value=value)


def zeros(b: GraphBuilder, like: Node, shape: Sequence[Dim] | None = None) -> Node:
    """Zeros of a node's shape, dtype and device."""
    return b.full(
        shape=like.shape if shape is None else tuple(shape), value=0.0, dtype=like.dtype, device=like.meta.device
    )


def only_where(b: GraphBuilder, condition: Node, g: Node) -> Node:
    """`g` where the condition holds, else 0."""
    return b.where(condition, g, number(b, 0.0))


def unless(b: GraphBuilder, condition: Node, g: Node) -> Node:
    """0 where the condition holds, else `g`."""
    return b.where(condition, number(b, 0.0), g)
