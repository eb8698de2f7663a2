"""Activation functions. At a kink each has the side that eager's kernel takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...graph import GraphBuilder, Node
from ..common import args
from .common import by_decomposition, gradient, number, only_where, unless

by_decomposition("gelu", "silu", "mish", "softsign", "tanhshrink")

Number = Callable[[float], Node]


def _activation(*names: str) -> Callable[[Callable[..., Node]], Callable[..., Node]]:
    """The rule from `build(b, x, result, g, number, **attrs)`."""

    def fill(build: Callable[..., Node]) -> Callable[..., Node]:
        def rule(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
            return (build(b, args(node)[0], node, g, lambda v: number(b, v), **node.attrs),)

        gradient(*names)(rule)
        return build

    return fill


@_activation("relu")
def _relu(b: GraphBuilder, x: Node, y: Node, g: Node, c: Number) -> Node:
    return unless(b, b.le(y, c(0.0)), g)


@_activation("relu6")
def _relu6(b: GraphBuilder, x: Node, y: Node, g: Node, c: Number) -> Node:
    return _hardtanh(b, x, y, g, c, 0.0, 6.0)


@_activation("hardtanh")
def _hardtanh(b: GraphBuilder, x: Node, y: Node, g: Node, c: Number, min_val: float, max_val: float) -> Node:
    return unless(b, b.logical_or(b.le(x, c(float(min_val))), b.ge(x, c(float(max_val)))), g)


@_activation("leaky_relu")
def _leaky_relu(b: GraphBuilder, x: Node, y: Node, g: Node, c: Number, negative_slope: float) -> Node:
    return b.where(b.gt(x, c(0.0)), g, b.mul(g, c(float(negative_slope))))


@_activation("elu")
def _elu(b: GraphBuilder, x: Node, y: Node, g: Node, c: Number, alpha: float, scale: float, input_scale: float) -> Node:
    slope = b.mul(b.exp(b.mul(x, c(float(input_scale)))), c(float(input_scale) * float(alpha) * float(scale)))
    return b.where(b.le(x, c(0.0)), b.mul(g, slope), b.mul(g, c(float(scale))))


@_activation("selu")
def _selu(b: GraphBuilder, x: Node, y: Node, g: Node, c: Number) -> Node:
    return _elu(b, x, y, g, c, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1.0)


@_activation("celu")
def _celu(b: GraphBuilder, x: Node, y: Node, g: Node, c: Number, alpha: float) -> Node:
    return _elu(b, x, y, g, c, alpha, 1.0, 1.0 / alpha)


@_activation("softplus")
def _softplus(b: GraphBuilder, x: Node, y: Node, g: Node, c: Number, beta: float, threshold: float) -> Node:
    scaled = b.mul(x, c(float(beta)))
    e = b.exp(scaled)
    return b.where(b.gt(scaled, c(float(threshold))), g, b.div(b.mul(g, e), b.add(e, c(1.0))))


@_activation("log_sigmoid")
def _log_sigmoid(b: GraphBuilder, x: Node, y: Node, g: Node, c: Number) -> Node:
    e = b.exp(b.neg(b.abs(x)))
    share = b.div(e, b.add(e, c(1.0)))
    return b.mul(g, b.where(b.lt(x, c(0.0)), b.sub(c(1.0), share), share))


@_activation("hardsigmoid")
def _hardsigmoid(b: GraphBuilder, x: Node, y: Node, g: Node, c: Number) -> Node:
    return only_where(b, b.logical_and(b.gt(x, c(-3.0)), b.lt(x, c(3.0))), b.mul(g, c(1.0 / 6.0)))


@_activation("hardswish")
def _hardswish(b: GraphBuilder, x: Node, y: Node, g: Node, c: Number) -> Node:
    middle = b.mul(g, b.add(b.div(x, c(3.0)), c(0.5)))
    return unless(b, b.le(x, c(-3.0)), b.where(b.lt(x, c(3.0)), middle, g))


@_activation("softshrink", "hardshrink")
def _shrink(b: GraphBuilder, x: Node, y: Node, g: Node, c: Number, lambd: float) -> Node:
    return unless(b, b.logical_and(b.ge(x, c(-float(lambd))), b.le(x, c(float(lambd)))), g)


@_activation("threshold")
def _threshold(b: GraphBuilder, x: Node, y: Node, g: Node, c: Number, threshold: float, value: Any) -> Node:
    return unless(b, b.le(x, c(float(threshold))), g)
