"""Attention: softmax(scores) @ values, the scores being products too. The library's row, and the rows that a kernel computes both
products in, with the scores never in memory.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from .. import dtypes
from ..graph import GraphBuilder, Node, TensorMeta, contiguous_strides
from ..loops import Attend, Expr, Fn, Index, Var, as_index, expr
from .common import REQUIRED, args, row
from .contractions import Labels, element, labelled, meta_contract
from .dims import is_one, is_zero, same
from .facts import COMPUTED_IN_PLACE, INVALID, OVER, UNDER, VALUE
from .promotion import broadcast_shapes, like_strides, permuted_strides
from .reductions import accumulation_dtype, size_scalar, to


def _meta_attention(q: TensorMeta, k: TensorMeta, v: TensorMeta, mask: TensorMeta | None, *,
                    is_causal: bool, scale: float | None, enable_gqa: bool, plain: bool = False) -> TensorMeta:  # fmt: skip
    for name, t in (("query", q), ("key", k), ("value", v)):
        if t.ndim < 2:
            raise ValueError(f"scaled_dot_product_attention: {name} needs at least 2 dimensions, got {t.shape}")
        if t.dtype != q.dtype:
            raise TypeError(f"scaled_dot_product_attention: query is {q.dtype} but {name} is {t.dtype}")
    if not same(q.shape[-1], k.shape[-1]):
        raise ValueError(f"scaled_dot_product_attention: query {q.shape} and key {k.shape} differ in their last size")
    if not same(k.shape[-2], v.shape[-2]):
        raise ValueError(f"scaled_dot_product_attention: key {k.shape} and value {v.shape} differ in length")
    if is_causal and mask is not None:
        raise ValueError("scaled_dot_product_attention: attn_mask and is_causal exclude each other")
    if mask is not None and mask.dtype != dtypes.bool_ and not mask.dtype.is_float:
        raise TypeError(f"scaled_dot_product_attention: attn_mask must be bool or float, not {mask.dtype}")
    if mask is not None and not all(
        is_one(m) or same(m, s) for m, s in zip(mask.shape[::-1], (k.shape[-2], q.shape[-2]))
    ):
        raise ValueError(
            f"scaled_dot_product_attention: attn_mask {mask.shape} does not fit scores of {q.shape[-2]} by {k.shape[-2]}"
        )
    shared = [t.shape[-3] for t in (k, v) if enable_gqa and t.ndim > 2 and q.ndim > 2]
    if any(is_zero(heads) or not is_zero(q.shape[-3] % heads) for heads in shared):
        raise ValueError(
            f"scaled_dot_product_attention: the heads of {k.shape} and {v.shape} do not divide those of {q.shape}"
        )
    heads = q.shape[-3:-2] if enable_gqa else ()  # those of the queries, of which several share keys
    batches = (t.shape[: -2 - len(heads)] for t in (q, k, v))
    rows = () if mask is None else mask.shape[: -2 - len(heads)]
    shape = (*broadcast_shapes(*batches, rows), *heads, q.shape[-2], v.shape[-1])
    # eager's fused kernels keep the query's layout; the plain path, taken for other ranks and layouts and where something
    # broadcasts, is contiguous
    fused = not plain and q.ndim == k.ndim == v.ndim == 4 and same(q.shape[-1], v.shape[-1])
    fused = fused and (mask is None or mask.ndim in (2, 4))
    fused = fused and all(same(t.shape[0], q.shape[0]) and same(t.stride[-1], 1) for t in (q, k, v))
    fused = fused and (enable_gqa or all(same(t.shape[1], q.shape[1]) for t in (k, v)))
    return TensorMeta(shape, like_strides(q) if fused else contiguous_strides(shape), q.dtype, q.device)


def of_attention(b: GraphBuilder, node: Node) -> Node:
    """What the library's attention computes: products, scaled and masked, and their softmax by the values."""
    q, k, v, _ = args(node)
    if node.attrs["enable_gqa"] and k.shape[-3] != q.shape[-3]:
        k, v = (b.repeat_interleave(t, repeats=q.shape[-3] // t.shape[-3], dim=-3) for t in (k, v))
    acc = accumulation_dtype(node.dtype)
    batch = max(q.ndim, k.ndim) - 2
    r, c, d = batch, batch + 1, batch + 2
    left, right = ((*range(batch - t.ndim + 2, batch), own, d) for t, own in ((q, r), (k, c)))
    scores = b.call("dots", q, k, left=left, right=right, result=(*range(batch), r, c), dtype=acc)
    scores = masked_scores(b, node, scores)
    own = max(scores.ndim, v.ndim) - 2
    r, c, d = own, own + 1, own + 2
    left, right = ((*range(own - t.ndim + 2, own), *last) for t, last in ((scores, (r, c)), (v, (c, d))))
    total = b.call("attend", scores, to(b, v, acc), left=left, right=right, result=(*range(own), r, d), empty="zero")
    return to(b, total, node.dtype)


def masked_scores(b: GraphBuilder, node: Node, scores: Node) -> Node:
    """The products of an attention's queries and keys, scaled and masked as it says."""
    q, k, _, mask = args(node)
    scale = node.attrs["scale"]
    if scale is None:
        scores = b.div(scores, b.sqrt(to(b, size_scalar(b, q.shape[-1]), scores.dtype)))
    else:
        scores = b.mul(scores, b.scalar(value=float(scale)))
    if node.attrs["is_causal"]:
        return b.where(_is_past(b, q, k), scores, b.scalar(value=-math.inf))
    if mask is not None and mask.dtype == dtypes.bool_:
        return b.where(mask, scores, b.scalar(value=-math.inf))
    return scores if mask is None else b.add(scores, to(b, mask, scores.dtype))


def _is_past(b: GraphBuilder, q: Node, k: Node) -> Node:
    """Whether a query may look at a key: it does not come later."""
    rows, columns = (
        b.arange(start=0, end=t.shape[-2], step=1, dtype=dtypes.int64, device=q.meta.device) for t in (q, k)
    )
    return b.ge(b.unsqueeze(rows, dim=-1), columns)


# no dropout: front ends keep attention with dropout out of this row. plain: eager takes no fused kernel
row("scaled_dot_product_attention", "extern", _meta_attention, contraction=of_attention,
    attrs={"is_causal": False, "scale": None, "enable_gqa": False, "plain": False}, autocast="lower")  # fmt: skip


def _meta_with_logsumexp(
    q: TensorMeta, k: TensorMeta, v: TensorMeta, mask: TensorMeta | None, *, is_causal: bool, scale: float | None
) -> tuple[TensorMeta, TensorMeta]:
    if not q.ndim == k.ndim == v.ndim == 4:
        raise ValueError(f"attention with its logsumexp needs 4 dimensions, got {q.shape}, {k.shape} and {v.shape}")
    out = _meta_attention(q, k, v, mask, is_causal=is_causal, scale=scale, enable_gqa=False)
    rows = (q.shape[0], q.shape[1], q.shape[2])
    return replace(out, stride=like_strides(q)), TensorMeta(
        rows, permuted_strides(rows, (1, 2, 0)), accumulation_dtype(q.dtype), q.device
    )


def _meta_attention_backward(
    g: TensorMeta, q: TensorMeta, k: TensorMeta, v: TensorMeta, out: TensorMeta, logsumexp: TensorMeta, mask: TensorMeta | None, *,
    is_causal: bool, scale: float | None,
) -> tuple[TensorMeta, ...]:  # fmt: skip
    return tuple(TensorMeta(t.shape, permuted_strides(t.shape, (3, 1, 2, 0)), t.dtype, t.device) for t in (q, k, v))


# attention as its gradient needs it, on CPUs: results (the values, the logarithm of each row's sum of exponentials). The mask is
# added to the scores, in the others' type
row("attention_with_logsumexp", "extern", _meta_with_logsumexp, attrs={"is_causal": False, "scale": None},
    differentiable=(0,))  # fmt: skip
# the gradients of query, key and value, from the gradient of the values, these three, both results and the mask
row("attention_backward", "extern", _meta_attention_backward, attrs={"is_causal": False, "scale": None})


# --------------------------------------------------------------------------- as one kernel computes it


def _lower_dots(node: Node, x: Fn, y: Fn) -> Fn:
    """As a `contract` of one inner axis, computed where it is read."""
    first, second = args(node)
    axes = labelled(node)
    ((inner, size),) = axes.summed

    def at(o: tuple[Index, ...]) -> Expr:
        v = Var("t", size)
        place = {**dict(zip(node.attrs["result"], o)), inner: as_index(v)}
        left, right = (element(fn, of, own, place, axes) for fn, of, own in zip((x, y), (first, second), axes.own))
        return expr("dot", expr("mul", left, right, dtype=axes.dtype), dtype=axes.dtype, attr=v)

    return at


def _meta_attend(scores: TensorMeta, values: TensorMeta, *, empty: str, **labels: Any) -> TensorMeta:
    return meta_contract(scores, values, **labels)


def _lower_attend(node: Node, x: Fn, y: Fn) -> Attend:
    """result[o] = the mean over the keys of values[axes right], weighed by exp(scores[axes left])."""
    first, second = args(node)
    axes = labelled(node)

    def of(fn: Fn, tensor: Node, own: Labels, o: tuple[Index, ...], r: tuple[Index, ...]) -> Expr:
        place = dict(zip((*node.attrs["result"], *(label for label, _ in axes.summed)), (*o, *r)))
        return element(fn, tensor, own, place, axes)

    return Attend(
        tuple(size for _, size in axes.summed),
        lambda o, r: of(x, first, axes.own[0], o, r),
        lambda o, r: of(y, second, axes.own[1], o, r),
        node.attrs["empty"],
    )


_LABELS = {"left": REQUIRED, "right": REQUIRED, "result": REQUIRED, "dtype": None}
# left, right, result, dtype: as those of `contract`
DOTS = row("dots", "contraction", meta_contract, attrs=_LABELS, lower=_lower_dots, errors=OVER | UNDER | INVALID, eager="none",
    cost="cheap")  # fmt: skip
# empty: what a row without scores above -inf gives (`loops.EMPTY_ROWS`)
ATTEND = row("attend", "contraction", _meta_attend, attrs={**_LABELS, "empty": "nan"}, lower=_lower_attend,
    operands=(COMPUTED_IN_PLACE, VALUE), errors=OVER | UNDER | INVALID, eager="none")  # fmt: skip
