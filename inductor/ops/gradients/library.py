"""What the framework's library computes forward and backward: convolutions, attention, pools. Parts call its kernels for both."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ....kernels.device import device_of
from ...dtypes import bool_
from ...graph import GraphBuilder, Node
from ..attention import masked_scores
from ..common import args
from ..dims import is_one, is_zero, same, spread
from ..pooling import UNROLL
from ..reductions import accumulation_dtype, to
from .common import NoRule, Rule, by_decomposition, gradient, number, recording, unless

# --------------------------------------------------------------------------- convolutions


def _convolution(transposed: bool) -> Rule:
    def rule(b: GraphBuilder, node: Node, g: Node) -> tuple[Node | None, ...]:
        x, weight, bias = args(node)
        attrs = {**node.attrs, "transposed": transposed}
        n = weight.ndim - 2
        if isinstance(attrs["padding"], str):
            reach = [d * (k - 1) for d, k in zip(spread(attrs["dilation"], n, "dilation"), weight.shape[2:])]
            if attrs["padding"] == "same" and any(r % 2 for r in reach):
                raise NoRule  # eager pads one side more
            attrs["padding"] = tuple(r // 2 for r in reach) if attrs["padding"] == "same" else 0
        whole, alone = x, x.ndim < weight.ndim
        if alone:
            whole, g = b.unsqueeze(x, dim=0), b.unsqueeze(g, dim=0)
        of_x, of_weight = (b.convolution_backward(g, whole, weight, of=of, **attrs) for of in ("input", "weight"))
        of_bias = None if bias is None else b.sum(g, dim=(0, *range(2, g.ndim)))
        return b.squeeze(of_x, dim=0) if alone else of_x, of_weight, of_bias

    return rule


gradient("convolution")(_convolution(transposed=False))
gradient("conv_transpose")(_convolution(transposed=True))


# --------------------------------------------------------------------------- attention


@recording("scaled_dot_product_attention")
def _recorded_attention(b: GraphBuilder, node: Node, wanted: Collection[int]) -> Node | None:
    """The library's kernel with what its gradient reads; where it takes no such operands, as eager does then, the products and the
    softmax between them.
    """
    if device_of(node.meta.device).kind != "cpu" or not node.dtype.is_float or any(is_zero(s) for s in node.shape):
        return None
    made = None if 3 in wanted else _with_logsumexp(b, node)
    return made if made is not None else _in_steps(b, node)


def _in_steps(b: GraphBuilder, node: Node) -> Node | None:
    """Attention in ops that have gradients. A row without scores above -inf gives zeros."""
    q, k, v, _ = args(node)
    acc = accumulation_dtype(node.dtype)
    if node.attrs["enable_gqa"] and not all(same(t.shape[-3], q.shape[-3]) for t in (k, v)):
        if not q.ndim == k.ndim == v.ndim == 4:
            return None
        k, v = (_shared(b, t, q) for t in (k, v))
    products = b.matmul(to(b, q, acc), b.transpose(to(b, k, acc), dim0=-2, dim1=-1))
    scores = masked_scores(b, node, products)
    if node.attrs["is_causal"] or args(node)[3] is not None:
        empty = b.eq(b.amax(scores, dim=-1, keepdim=True), number(b, -math.inf))
        weights = unless(b, empty, b.softmax(unless(b, empty, scores), dim=-1))
    else:
        weights = b.softmax(scores, dim=-1)
    return to(b, b.matmul(weights, to(b, v, acc)), node.dtype)


def _with_logsumexp(b: GraphBuilder, node: Node) -> Node | None:
    q, k, v, mask = args(node)
    if not q.ndim == k.ndim == v.ndim == 4 or not same(q.shape[-1], v.shape[-1]):
        return None
    if any(is_zero(s) for t in (k, v) for s in t.shape) or not all(is_one(t.meta.stride[-1]) for t in (q, k, v)):
        return None
    if not all(same(t.shape[0], q.shape[0]) for t in (k, v)):
        return None
    if not all(same(t.shape[1], q.shape[1]) for t in (k, v)):
        if not node.attrs["enable_gqa"]:
            return None
        k, v = (_shared(b, t, q) for t in (k, v))
    if mask is not None:
        whole = (*q.shape[:3], k.shape[2])
        if mask.ndim not in (2, 4) or not all(is_one(m) or same(m, s) for m, s in zip(mask.shape[::-1], whole[::-1])):
            return None
        if mask.dtype == bool_:
            mask = b.where(mask, number(b, 0.0), number(b, -math.inf))
        mask = mask if mask.dtype == q.dtype else b.cast(mask, dtype=q.dtype)
    made = b.attention_with_logsumexp(q, k, v, mask, is_causal=node.attrs["is_causal"], scale=node.attrs["scale"])
    return b.getitem(made, index=0)


def _shared(b: GraphBuilder, t: Node, q: Node) -> Node:
    """Keys or values with a head for each of the queries', of which several share one."""
    n, heads, length, width = t.shape
    times = q.shape[1] // heads
    return b.reshape(
        b.expand(b.unsqueeze(t, dim=2), shape=(n, heads, times, length, width)), shape=(n, q.shape[1], length, width)
    )


@gradient("attention_with_logsumexp")
def _attention(b: GraphBuilder, node: Node, g: Sequence[Node | None]) -> tuple[Node | None, ...]:
    q, k, v, mask = args(node)
    if g[0] is None:
        return None, None, None, None
    results = (b.getitem(node, index=i) for i in (0, 1))
    made = b.attention_backward(g[0], q, k, v, *results, mask, **node.attrs)
    return (*(b.getitem(made, index=i) for i in range(3)), None)


# --------------------------------------------------------------------------- pools


def _per_image(b: GraphBuilder, x: Node, n: int, attrs: Mapping[str, Any]) -> tuple[Node, dict[str, Any]]:
    """The input of a pool over n dims with a batch dim and two pooled ones at least, and the attributes for these."""
    found = dict(attrs)
    if n == 1:
        x = b.unsqueeze(x, dim=-2)
        found["stride"] = attrs["stride"] or attrs["kernel_size"]
        aside = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}
        found |= {name: (beside, *spread(found[name], 1, name)) for name, beside in aside.items() if name in found}
    return (x if x.ndim == max(n, 2) + 2 else b.unsqueeze(x, dim=0)), found


def _back(b: GraphBuilder, x: Node, like: Node) -> Node:
    return b.reshape(x, shape=like.shape) if x.ndim != like.ndim else x


def _max_pool(n: int) -> None:
    over = max(n, 2)

    @recording(f"max_pool{n}d")
    def with_places(b: GraphBuilder, node: Node, wanted: Collection[int]) -> Node | None:
        x, attrs = _per_image(b, args(node)[0], n, node.attrs)
        if not x.dtype.is_float:
            return None
        small = math.prod(spread(attrs["kernel_size"], over, "kernel_size")) <= UNROLL
        made = b.call(f"max_pool{over}d_with_{'places' if small else 'indices'}", x, **attrs)
        return _back(b, b.getitem(made, index=0), node)

    if n == 1:
        return

    @gradient(f"max_pool{n}d_with_places", f"max_pool{n}d_with_indices")
    def rule(b: GraphBuilder, node: Node, g: Sequence[Node | None]) -> tuple[Node | None]:
        (x,) = args(node)
        if x.ndim != n + 2:
            raise NoRule
        if g[0] is None:
            return (None,)
        return (b.call(f"max_pool{n}d_backward", g[0], x, b.getitem(node, index=1), **node.attrs),)


def _avg_pool(n: int) -> None:
    @gradient(f"avg_pool{n}d")
    def rule(b: GraphBuilder, node: Node, g: Node) -> tuple[Node]:
        (x,) = args(node)
        whole, attrs = _per_image(b, x, n, node.attrs)
        g = b.reshape(g, shape=(*whole.shape[: whole.ndim - n], *node.shape[node.ndim - n :]))
        return (_back(b, b.call(f"avg_pool{max(n, 2)}d_backward", g, whole, **attrs), x),)


for _n in (1, 2, 3):
    _max_pool(_n)
    _avg_pool(_n)
    by_decomposition(f"adaptive_avg_pool{_n}d")
