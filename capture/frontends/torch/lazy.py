"""Lazy modules: their parameters get shapes at the first call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from ...breaks import Restart
from ...values.base import Args, Kwargs, Value
from ...values.tensor import ArrayValue
from .dtypes import to_device, to_torch

if TYPE_CHECKING:
    from ...values.base import Machine


def is_lazy(obj: Any) -> bool:
    """True for a parameter, a buffer or a module that waits for its shape."""
    if isinstance(obj, LazyModuleMixin):
        return obj.has_uninitialized_params()  # type: ignore[misc]
    return isinstance(obj, UninitializedTensorMixin)


def initialize(ev: Machine, module: Any, args: Args, kwargs: Kwargs) -> None:
    """Initialise a lazy module for these arguments' shapes, as its first call does, and begin the capture anew."""
    plain = tuple(_stand_in(ev, a) for a in args)
    named = {k: _stand_in(ev, v) for k, v in kwargs.items()}
    module._infer_parameters(module, plain, named or None)
    raise Restart


def _stand_in(ev: Machine, value: Value) -> Any:
    if isinstance(value, ArrayValue):
        shape = [ev.hint(n) for n in value.meta.shape]
        return torch.empty(shape, dtype=to_torch(value.meta.dtype), device=to_device(value.meta.device))
    return ev.known(value)
