"""Functions of one or more elements."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...graph import GraphBuilder, Node
from ..common import args, scalar_value
from .common import Rule, by_decomposition, gradient, number, only_where, unless, zeros

# --------------------------------------------------------------------------- of one element


def _times(name: str, derivative: Callable[[GraphBuilder, Any, Node, Callable[[float], Node]], Node]) -> None:
    """The rule g * derivative(b, x, result, number)."""

    def rule(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
        return (b.mul(g, derivative(b, args(node)[0], node, lambda v: number(b, v))),)

    gradient(name)(rule)


def _over(name: str, divisor: Callable[[GraphBuilder, Any, Node, Callable[[float], Node]], Node]) -> None:
    """The rule g / divisor(b, x, result, number)."""

    def rule(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
        return (b.div(g, divisor(b, args(node)[0], node, lambda v: number(b, v))),)

    gradient(name)(rule)


_times("exp", lambda b, x, y, c: y)
_times("exp2", lambda b, x, y, c: b.mul(y, c(math.log(2.0))))
_times("expm1", lambda b, x, y, c: b.add(y, c(1.0)))
_over("log", lambda b, x, y, c: x)
_over("log2", lambda b, x, y, c: b.mul(x, c(math.log(2.0))))
_over("log10", lambda b, x, y, c: b.mul(x, c(math.log(10.0))))
_over("log1p", lambda b, x, y, c: b.add(x, c(1.0)))
_over("sqrt", lambda b, x, y, c: b.mul(y, c(2.0)))
_times("rsqrt", lambda b, x, y, c: b.mul(b.mul(b.mul(y, y), y), c(-0.5)))
_times("sin", lambda b, x, y, c: b.cos(x))
_times("cos", lambda b, x, y, c: b.neg(b.sin(x)))
_times("tan", lambda b, x, y, c: b.add(b.mul(y, y), c(1.0)))
_times("asin", lambda b, x, y, c: b.rsqrt(b.sub(c(1.0), b.mul(x, x))))
_times("acos", lambda b, x, y, c: b.neg(b.rsqrt(b.sub(c(1.0), b.mul(x, x)))))
_over("atan", lambda b, x, y, c: b.add(b.mul(x, x), c(1.0)))
_times("sinh", lambda b, x, y, c: b.cosh(x))
_times("cosh", lambda b, x, y, c: b.sinh(x))
_times("tanh", lambda b, x, y, c: b.sub(c(1.0), b.mul(y, y)))
_times("asinh", lambda b, x, y, c: b.rsqrt(b.add(b.mul(x, x), c(1.0))))
_times("acosh", lambda b, x, y, c: b.rsqrt(b.sub(b.mul(x, x), c(1.0))))
_over("atanh", lambda b, x, y, c: b.sub(c(1.0), b.mul(x, x)))
_times("sigmoid", lambda b, x, y, c: b.mul(b.sub(c(1.0), y), y))
_times("erf", lambda b, x, y, c: b.mul(b.exp(b.neg(b.mul(x, x))), c(2.0 / math.sqrt(math.pi))))
_times("erfc", lambda b, x, y, c: b.mul(b.exp(b.neg(b.mul(x, x))), c(-2.0 / math.sqrt(math.pi))))
_times("lgamma", lambda b, x, y, c: b.digamma(x))
_times("abs", lambda b, x, y, c: b.sign(x))
_times("sinc", lambda b, x, y, c: unless(b, b.eq(x, c(0.0)),
       b.div(b.sub(b.cos(b.mul(x, c(math.pi))), y), x)))  # fmt: skip


@gradient("neg")
def _neg(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    return (b.neg(g),)


@gradient("rounded", "cast", "clone", "contiguous", "restride", "stored", "frac")
def _same(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    return (g,)


@gradient("floor", "ceil", "trunc", "round", "sign", "floor_divide", "trunc_divide")
def _steps(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, ...]:
    return tuple(zeros(b, i) for i in args(node))


# --------------------------------------------------------------------------- of several


@gradient("add")
def _add(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
    return g, g


@gradient("sub")
def _sub(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
    return g, b.neg(g)


@gradient("mul")
def _mul(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
    x, y = args(node)
    return b.mul(g, y), b.mul(g, x)


@gradient("div")
def _div(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
    x, y = args(node)
    return b.div(g, y), b.mul(b.neg(g), b.div(b.div(x, y), y))


@gradient("fma")
def _fma(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node, Node]:
    x, y, _ = args(node)
    return b.mul(g, y), b.mul(g, x), g


@gradient("where")
def _where(b: GraphBuilder, node: Node, g: Node) -> tuple[None, Node, Node]:
    condition = args(node)[0]
    return None, only_where(b, condition, g), unless(b, condition, g)


@gradient("copy")
def _copy(b: GraphBuilder, node: Node, g: Node) -> tuple[None, Node]:
    return None, g


def _extremum(greatest: bool) -> Rule:
    """Equal operands share the gradient."""

    def rule(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
        x, y = args(node)
        half, equal = b.mul(g, number(b, 0.5)), b.eq(x, y)
        behind, ahead = (b.lt(x, y), b.gt(x, y)) if greatest else (b.gt(x, y), b.lt(x, y))
        return unless(b, behind, b.where(equal, half, g)), unless(b, ahead, b.where(equal, half, g))

    return rule


def _extremum_of_numbers(greatest: bool) -> Rule:
    """The first operand has it all where they are equal, or where the other is NaN."""

    def rule(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
        x, y = args(node)
        first = b.logical_or(b.ge(x, y) if greatest else b.le(x, y), b.isnan(y))
        return only_where(b, first, g), unless(b, first, g)

    return rule


gradient("maximum")(_extremum(greatest=True))
gradient("minimum")(_extremum(greatest=False))
gradient("fmax")(_extremum_of_numbers(greatest=True))
gradient("fmin")(_extremum_of_numbers(greatest=False))


@gradient("atan2")
def _atan2(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
    y, x = args(node)
    square = b.add(b.mul(x, x), b.mul(y, y))
    share = unless(b, b.eq(square, number(b, 0.0)), b.reciprocal(square))
    return b.mul(b.mul(g, x), share), b.mul(b.mul(g, b.neg(y)), share)


@gradient("hypot")
def _hypot(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
    x, y = args(node)
    return b.mul(g, b.div(x, node)), b.mul(g, b.div(y, node))


def _remainder(divide: str) -> Rule:
    def rule(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
        x, y = args(node)
        return g, b.mul(b.neg(g), b.call(divide, x, y))

    return rule


gradient("fmod")(_remainder("trunc_divide"))
gradient("remainder")(_remainder("floor_divide"))


@gradient("copysign")
def _copysign(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node | None]:
    x, y = args(node)
    ratio = unless(b, b.eq(x, number(b, 0.0)), b.div(node, x))
    return b.mul(g, ratio), zeros(b, y) if y.dtype.is_float and not y.meta.weak else None


@gradient("pow")
def _pow(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node | None]:
    x, y = args(node)
    exponent = scalar_value(y)
    if exponent is not None:
        if exponent == 0:
            return zeros(b, x), None
        return b.mul(g, b.mul(b.pow(x, number(b, exponent - 1)), y)), None
    zero = number(b, 0.0)
    of_x = unless(b, b.eq(y, zero), b.mul(g, b.mul(y, b.pow(x, b.sub(y, number(b, 1.0))))))
    settled = b.logical_and(b.eq(x, zero), b.ge(y, zero))
    of_y = b.mul(g, unless(b, settled, b.mul(node, b.log(x))))
    return of_x, of_y


def _times_log(log: str, pole: float) -> Rule:
    """Of x * log(y - pole), which is 0 where x is."""

    def rule(b: GraphBuilder, node: Node, g: Node) -> tuple[Node, Node]:
        x, y = args(node)
        settled = b.logical_and(b.eq(x, number(b, 0.0)), b.le(y, number(b, pole)))
        divisor = b.sub(y, number(b, pole)) if pole else y
        return unless(b, settled, b.mul(g, b.call(log, y))), b.mul(g, b.div(x, divisor))

    return rule


gradient("xlogy")(_times_log("log", 0.0))
gradient("xlog1py")(_times_log("log1p", -1.0))


@gradient("clamp")
def _clamp(b: GraphBuilder, node: Node, g: Node) -> tuple[Node | None, ...]:
    """What lies on a bound lies between them; a bound has the rest."""
    x, low, high = args(node)
    tensors = [i for i in (low, high) if i is not None and not i.meta.weak]
    inside = None
    for bound, compare in ((low, b.ge), (high, b.le)):
        if bound is not None:
            within = compare(x, bound)
            inside = within if inside is None else b.logical_and(inside, within)
    assert inside is not None
    of_x = only_where(b, b.logical_or(inside, b.isnan(x)) if not tensors else inside, g)
    of_low = of_high = None
    if low in tensors:
        below = b.lt(x, low)
        of_low = only_where(b, below if high is None else b.logical_and(below, b.lt(low, high)), g)
    if high in tensors:
        above = b.gt(x, high)
        of_high = only_where(b, above if low is None else b.logical_or(above, b.gt(low, high)), g)
    return of_x, of_low, of_high


by_decomposition(
    "rsub", "add_scaled", "reciprocal", "square", "rad2deg", "deg2rad", "addcmul", "addcdiv", "lerp", "prelu", "glu",
    "masked_fill", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits", "kl_div",
    "nll_loss", "cross_entropy", "take_along_dim", "stack", "roll", "trace", "outer", "mean", "full_like",
)  # fmt: skip
