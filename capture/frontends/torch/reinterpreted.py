"""Views that read memory as another element type (`view(dtype)`): made by calling the framework's own function.

In the graph such a view is a copy with the view's layout; outside of it, it is made again from the real tensor. A write into
it calls the function on a copy of the parent and writes there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ....inductor.graph import ExternRef, Input, Node, TensorMeta
from ....inductor.ops import OPS
from ...values.tensor import ArrayValue, ViewStep
from .runtime import TorchRuntime
from .state import state_of

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine

_runtime = TorchRuntime()


def call_on(base: torch.Tensor, ref: ExternRef) -> torch.Tensor:
    """The view of `base` that the call describes."""

    def fill(value: Any) -> Any:
        return base if isinstance(value, Input) else _runtime.encode(value)

    return _runtime.resolve(ref.target)(*map(fill, ref.args), **{k: fill(v) for k, v in ref.kwargs})


def write_through(parent: torch.Tensor, new: torch.Tensor, ref: ExternRef) -> torch.Tensor:
    """The parent's content once its view holds `new`."""
    copy = torch.empty_strided(parent.shape, parent.stride(), dtype=parent.dtype, device=parent.device).copy_(parent)
    call_on(copy, ref).copy_(new)
    return copy


@dataclass(frozen=True)
class CallStep(ViewStep):
    """A view made by a call of a framework function on its parent alone."""

    ref: ExternRef = field(default_factory=lambda: ExternRef("", ()))
    meta: TensorMeta | None = None

    is_placed = False

    def apply(self, ev: Machine, parent: Node) -> Node:
        assert self.meta is not None
        attrs: Mapping[str, Any] = {"ref": self.ref, "effects": False, "strides": (self.meta.stride,)}
        return ev.builder.append(OPS["extern"], (parent,), attrs, self.meta)

    def undo(self, ev: Machine, parent: Node, new: Node) -> Node:
        ref = ExternRef(f"{__name__}:write_through", (Input(0), Input(1), self.ref))
        attrs: Mapping[str, Any] = {"ref": ref, "effects": False, "strides": (parent.meta.stride,)}
        return ev.builder.append(OPS["extern"], (parent, new), attrs, parent.meta)

    def remake(self, rb: Emitter, parent: str) -> str:
        return f"{rb.inject(call_on, 'call_on')}({parent}, {rb.inject(self.ref, 'ref')})"


def reinterpret(ev: Machine, ref: ExternRef, source: ArrayValue, meta: TensorMeta) -> ArrayValue:
    """The view that `ref` makes of `source`."""
    step = CallStep("call", {}, ref, meta)
    made: Any = type(source)(
        source.storage, meta, step.apply(ev, source.node(ev)), parent=source, step=step, offset=source.offset
    )
    made.recorded = state_of(ev).grad
    return made
