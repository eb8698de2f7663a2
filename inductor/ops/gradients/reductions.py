"""Reductions, and what is built of them: softmax and the normalisations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...dtypes import int64
from ...graph import GraphBuilder, Node
from ..common import args, wrap_dim, wrap_dims
from ..reductions import accumulation_dtype, reduced_count, size_scalar, to, variance, wide_dtype
from .common import NoRule, Rule, gradient, number, only_where, unless


def kept(b: GraphBuilder, r: Node, node: Node) -> Node:
    """A value of a reduction's result, broadcastable to the shape that it reduced."""
    (x,) = args(node)
    if node.attrs.get("keepdim", False) or not x.ndim:
        return r
    gone = wrap_dims(node.attrs["dim"], x.ndim)
    return b.reshape(r, shape=tuple(1 if d in gone else s for d, s in enumerate(x.shape)))


@gradient("sum")
def _sum(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    (x,) = args(node)
    return (b.expand(kept(b, g, node), shape=x.shape),)


@gradient("amax", "amin")
def _extremum(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    """Those that are equal to it share the gradient; those that are NaN too where all of an array is reduced."""
    (x,) = args(node)
    if not x.ndim:
        return (g,)
    found = b.eq(x, kept(b, node, node))
    if node.attrs["dim"] is None:
        found = b.logical_or(found, b.logical_and(b.isnan(x), b.isnan(node)))
    count = b.sum(b.cast(found, dtype=g.dtype), dim=node.attrs["dim"], keepdim=True)
    return (only_where(b, found, b.div(kept(b, g, node), count)),)


@gradient("max_dim", "min_dim")
def _extremum_at(b: GraphBuilder, node: Node, g: Sequence[Node | None]) -> tuple[Node | None]:
    """The element that was found has it all."""
    (x,) = args(node)
    if g[0] is None:
        return (None,)
    if not x.ndim:
        return (g[0],)
    d = wrap_dim(node.attrs["dim"], x.ndim)
    index = kept(b, b.getitem(node, index=1), node)
    along = b.arange(start=0, end=x.shape[d], step=1, dtype=int64, device=x.meta.device)
    place = b.reshape(along, shape=tuple(x.shape[d] if k == d else 1 for k in range(x.ndim)))
    return (only_where(b, b.eq(place, index), kept(b, g[0], node)),)


def _distances(b: GraphBuilder, node: Node, dtype: Any) -> tuple[Node, Node]:
    """(x - mean, the divisor of the variance)."""
    (x,) = args(node)
    x = to(b, x, dtype)
    count = reduced_count(x.shape, node.attrs["dim"])
    divisor = count - node.attrs["correction"]
    if not isinstance(divisor, (int, float)) or divisor <= 0:
        raise NoRule
    return b.sub(x, b.mean(x, dim=node.attrs["dim"], keepdim=True)), number(b, float(divisor))


def _of_variance(b: GraphBuilder, node: Node, g: Node, spread: Node | None) -> Node:
    """The gradient of a variance, or of its root `spread`."""
    dtype = wide_dtype(args(node)[0].dtype, node.inputs[0].meta.device)  # type: ignore[union-attr]
    distance, divisor = _distances(b, node, dtype)
    factor: Node = number(b, 2.0)
    if spread is not None:
        g, factor = unless(b, b.eq(spread, number(b, 0.0)), b.div(g, spread)), number(b, 1.0)
    return b.mul(b.mul(kept(b, to(b, g, dtype), node), b.div(factor, divisor)), distance)


@gradient("var")
def _var(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    return (_of_variance(b, node, g, None),)


@gradient("std")
def _std(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    return (_of_variance(b, node, g, node),)


def _with_mean(root: bool) -> Rule:
    def rule(b: GraphBuilder, node: Node, g: Sequence[Node | None]) -> tuple[Node | None]:
        (x,) = args(node)
        of_spread, of_mean = g
        total = None
        if of_spread is not None:
            total = _of_variance(b, node, of_spread, b.getitem(node, index=0) if root else None)
        if of_mean is not None:
            share = b.div(kept(b, of_mean, node), size_scalar(b, reduced_count(x.shape, node.attrs["dim"])))
            total = b.expand(share, shape=x.shape) if total is None else b.add(total, share)
        return (total,)

    return rule


gradient("var_mean")(_with_mean(root=False))
gradient("std_mean")(_with_mean(root=True))


@gradient("logsumexp")
def _logsumexp(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    (x,) = args(node)
    return (b.mul(kept(b, g, node), b.exp(b.sub(x, kept(b, node, node)))),)


@gradient("vector_norm")
def _norm(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    (x,) = args(node)
    order = node.attrs["ord"]
    if order == 1:
        return (b.mul(b.sign(x), kept(b, g, node)),)
    if order != 2:
        raise NoRule
    norm = kept(b, node, node)
    return (unless(b, b.eq(norm, number(b, 0.0)), b.mul(x, b.div(kept(b, g, node), norm))),)


@gradient("cumsum")
def _cumsum(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    (x,) = args(node)
    if not x.ndim:
        return (g,)
    dim = node.attrs["dim"]
    return (b.flip(b.cumsum(b.flip(g, dims=(dim,)), dim=dim), dims=(dim,)),)


# --------------------------------------------------------------------------- softmax


@gradient("softmax")
def _softmax(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    dim = node.attrs["dim"] if node.ndim else None
    wide = accumulation_dtype(node.dtype)
    g, y = to(b, g, wide), to(b, node, wide)
    product = b.mul(g, y)
    return (b.sub(product, b.mul(y, b.sum(product, dim=dim, keepdim=True))),)


@gradient("log_softmax")
def _log_softmax(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
    dim = node.attrs["dim"] if node.ndim else None
    wide = accumulation_dtype(node.dtype)
    g, y = to(b, g, wide), to(b, node, wide)
    return (b.sub(g, b.mul(b.exp(y), b.sum(g, dim=dim, keepdim=True))),)


# --------------------------------------------------------------------------- normalisation


def _normalized(b: GraphBuilder, normal: Node, scale: Node, g: Node, dims: Sequence[int], centred: bool = True) -> Node:
    """The gradient of (x - mean) * scale by x, from the normalised values: both statistics depend on x too."""
    along = b.mul(normal, b.mean(b.mul(g, normal), dim=dims, keepdim=True))
    rest = b.sub(b.sub(g, b.mean(g, dim=dims, keepdim=True)), along) if centred else b.sub(g, along)
    return b.mul(rest, scale)


def _of_affine(
    b: GraphBuilder, g: Node, normal: Node, weight: Node | None, bias: Node | None, over: Sequence[int]
) -> tuple[Node | None, Node | None]:
    """The gradients of a weight and a bias, summed over these dims."""
    return (
        None if weight is None else b.sum(b.mul(g, normal), dim=tuple(over)) if over else b.mul(g, normal),
        None if bias is None else b.sum(g, dim=tuple(over)) if over else g,
    )


@gradient("layer_norm")
def _layer_norm(b: GraphBuilder, node: Node, g: Node) -> tuple[Node | None, ...]:
    x, weight, bias = args(node)
    lead = x.ndim - len(node.attrs["normalized_shape"])
    dims = tuple(range(lead, x.ndim))
    wide = accumulation_dtype(node.dtype)
    x, g = to(b, x, wide), to(b, g, wide)
    var, mean = variance(b, x, dims, True, 0)
    scale = b.rsqrt(b.add(var, number(b, float(node.attrs["eps"]))))
    normal = b.mul(b.sub(x, mean), scale)
    scaled = g if weight is None else b.mul(g, to(b, weight, wide))
    of_x = _normalized(b, normal, scale, scaled, dims)
    return of_x, *_of_affine(b, g, normal, weight, bias, range(lead))


@gradient("rms_norm")
def _rms_norm(b: GraphBuilder, node: Node, g: Node) -> tuple[Node | None, ...]:
    x, weight = args(node)
    eps = node.attrs["eps"]
    lead = x.ndim - len(node.attrs["normalized_shape"])
    dims = tuple(range(lead, x.ndim))
    wide = accumulation_dtype(node.dtype)
    if eps is None:
        raise NoRule
    x, g = to(b, x, wide), to(b, g, wide)
    scale = b.rsqrt(b.add(b.mean(b.mul(x, x), dim=dims, keepdim=True), number(b, float(eps))))
    normal = b.mul(x, scale)
    scaled = g if weight is None else b.mul(g, to(b, weight, wide))
    of_x = _normalized(b, normal, scale, scaled, dims, centred=False)
    return of_x, _of_affine(b, g, normal, weight, None, range(lead))[0]


@gradient("group_norm")
def _group_norm(b: GraphBuilder, node: Node, g: Node) -> tuple[Node | None, ...]:
    x, weight, bias = args(node)
    n, c, *rest = x.shape
    groups = node.attrs["num_groups"]
    wide = accumulation_dtype(node.dtype)
    shape = (n, groups, c // groups, *rest)
    whole, g = x.shape, to(b, g, wide)
    grouped = b.reshape(to(b, x, wide), shape=shape)
    dims = tuple(range(2, grouped.ndim))
    var, mean = variance(b, grouped, dims, True, 0)
    scale = b.rsqrt(b.add(var, number(b, float(node.attrs["eps"]))))
    normal = b.mul(b.sub(grouped, mean), scale)
    scaled = g if weight is None else b.mul(g, b.reshape(to(b, weight, wide), shape=_per_channel(whole)))
    of_x = b.reshape(_normalized(b, normal, scale, b.reshape(scaled, shape=shape), dims), shape=whole)
    over = (0, *range(2, x.ndim))
    return of_x, *_of_affine(b, g, b.reshape(normal, shape=whole), weight, bias, over)


def _per_channel(shape: Sequence[Any]) -> tuple[Any, ...]:
    return (1, shape[1], *(1,) * (len(shape) - 2))


@gradient("batch_norm_train")
def _batch_norm_train(b: GraphBuilder, node: Node, g: Sequence[Node | None]) -> tuple[Node | None, ...]:
    """Of the normalised result; the running statistics give none."""
    x, _, _, weight, bias = args(node)
    if any(part is not None for part in g[1:]):
        raise NoRule
    if g[0] is None:
        return (None,) * 5
    acc = accumulation_dtype(x.dtype)
    sums = wide_dtype(x.dtype, x.meta.device)
    dims, shape = (0, *range(2, x.ndim)), _per_channel(x.shape)
    wide, of = to(b, x, acc), to(b, g[0], acc)
    mean = to(b, b.mean(to(b, wide, sums), dim=dims, keepdim=True), acc)
    distance = b.sub(wide, mean)
    squares = b.reshape(b.sum(to(b, b.mul(distance, distance), sums), dim=dims, keepdim=True), shape=(x.shape[1],))
    var = b.div(squares, size_scalar(b, reduced_count(x.shape, dims)))
    scale = b.reshape(to(b, b.rsqrt(b.add(var, number(b, float(node.attrs["eps"])))), acc), shape=shape)
    normal = b.mul(distance, scale)
    total = scale if weight is None else b.mul(scale, b.reshape(to(b, weight, acc), shape=shape))
    of_x = _normalized(b, normal, total, of, dims)
    of_weight, of_bias = _of_affine(b, of, normal, weight, bias, dims)
    return of_x, None, None, of_weight, of_bias


@gradient("batch_norm")
def _batch_norm(b: GraphBuilder, node: Node, g: Node) -> tuple[Node | None, ...]:
    """With known statistics, which give none."""
    x, mean, var, weight, bias = args(node)
    acc = accumulation_dtype(node.dtype)
    shape, over, g = _per_channel(x.shape), (0, *range(2, x.ndim)), to(b, g, acc)
    scale = b.rsqrt(b.add(to(b, var, acc), number(b, float(node.attrs["eps"]))))
    normal = b.mul(b.sub(to(b, x, acc), b.reshape(to(b, mean, acc), shape=shape)), b.reshape(scale, shape=shape))
    total = scale if weight is None else b.mul(scale, to(b, weight, acc))
    of_weight, of_bias = _of_affine(b, g, normal, weight, bias, over)
    return b.mul(g, b.reshape(total, shape=shape)), None, None, of_weight, of_bias
