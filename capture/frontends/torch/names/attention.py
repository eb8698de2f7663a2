"""Attention, by the kernel that the program chose for it, if it did."""

from __future__ import annotations

from typing import Any

from .....inductor.graph import Node
from ....values.tensor import ArrayValue
from .. import eager_ops
from ..context import Context
from ..externs import call_target, extern_call
from ..handlers import name
from ..recording import unrecordable
from ..state import state_of


@name("F.scaled_dot_product_attention")
def attention(cx: Context, query: ArrayValue, key: ArrayValue, value: ArrayValue, attn_mask: Any = None,
              dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
              enable_gqa: bool = False) -> Node:  # fmt: skip
    chosen = state_of(cx.ev).attention
    if dropout_p or chosen:
        args, more = (query, key, value, attn_mask, dropout_p, is_causal), {"scale": scale, "enable_gqa": enable_gqa}
        if not chosen:
            return extern_call(cx, "F.scaled_dot_product_attention", args, more, effects=True)
        unrecordable(cx.ev)
        target = f"{eager_ops.__name__}:attention_by"
        return call_target(cx, target, eager_ops.attention_by, (*chosen[-1], *args), more, effects=bool(dropout_p))
    learned = attn_mask is not None and attn_mask.requires_grad(cx.ev)
    return cx.op("scaled_dot_product_attention", query, key, value, attn_mask, is_causal=is_causal, scale=scale,
                 enable_gqa=enable_gqa, plain=learned and state_of(cx.ev).grad)  # fmt: skip
