"""The operator of `flex_attention`: scores that a function of the program changes, and another one masks.

It is captured as what it does in eager: the scores are computed, both functions mapped over them, and the rest is attention as ever.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch
from torch._higher_order_ops.flex_attention import _math_attention_inner, flex_attention, math_attention

from .handlers import FUNCTIONS, as_written, when_imported

if TYPE_CHECKING:
    from ...values.base import Args, Kwargs, Machine, Value


def _attention(query: Any, key: Any, value: Any, *rest: Any, **named: Any) -> tuple[Any, Any, Any]:
    device = query.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        cast = [t.to(dtype) if t.dtype != torch.float64 else t for t in (query, key, value)]
        with torch.autocast(device, enabled=False):
            return _attention(*cast, *rest, **named)
    out, lse, largest = math_attention(query, key, value, *rest, **named)
    return _laid_out(out, query.stride()), lse, largest


def _laid_out(out: Any, strides: Any) -> Any:
    """In the order of these strides, the last dimension innermost."""
    last = out.dim() - 1
    order = sorted(range(last), key=lambda dim: (-strides[dim], dim)) + [last]
    return out.permute(order).contiguous().permute([order.index(dim) for dim in range(last + 1)])


def _call(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    return ev.call_function(_attention, args, kwargs)


def _index(cls: Any, tensor: Any, indices: Any) -> Any:
    """Indices that are mapped over stay tensors, whose numbers nobody reads."""
    return torch.ops.aten.index(tensor, indices)


def _add_mode() -> None:
    module = sys.modules[_MODE]
    function = module.TransformGetItemToIndex.__torch_function__
    FUNCTIONS[function] = as_written(function)
    FUNCTIONS[module.ModIndex.apply.__func__] = lambda ev, args, kwargs: ev.call_function(_index, args, kwargs)


#: where the mode is defined in which both functions run
_MODE = "torch._dynamo._trace_wrapped_higher_order_op"

FUNCTIONS[flex_attention] = _call
FUNCTIONS.update({fn: as_written(fn) for fn in (math_attention, _math_attention_inner)})
when_imported(_MODE, _add_mode)
