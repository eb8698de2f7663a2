"""Views of complex memory (`real`, `imag`, `view_as_real`, `view_as_complex`, the lazy `conj`): their contents are computed by
the framework, and where they leave the graph they are made again from the real tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from ....inductor.graph import Node
from ...values.tensor import ArrayValue, ViewStep
from . import eager_ops
from .context import Context, above
from .eager_ops import EAGER
from .externs import call_target
from .handlers import name, register
from .state import state_of

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine

#: strides of the view per stride of the tensor
_STRETCH = {"real": 2, "imag": 2}


def _named(ev: Machine, op: str, *nodes: Node) -> Node:
    target = f"{eager_ops.__name__}:NAMED.{op}"
    return call_target(Context(ev), target, EAGER[op], nodes, {}, effects=False, raises=False)


class ComplexStep(ViewStep):
    """One of these views. `op` is the function's name."""

    is_placed = False

    def apply(self, ev: Machine, parent: Node) -> Node:
        node = _named(ev, self.op, parent)
        stretch = _STRETCH.get(self.op)
        if stretch is None:
            return node
        return ev.emit("restride", node, stride=tuple(s * stretch for s in parent.meta.stride))

    def undo(self, ev: Machine, parent: Node, new: Node) -> Node | None:
        if self.op in ("real", "imag"):
            return _named(ev, f"with_{self.op}", parent, new)
        inverse = {"view_as_real": "view_as_complex", "view_as_complex": "view_as_real"}.get(self.op, "conj")
        return _named(ev, inverse, new)

    def remake(self, rb: Emitter, parent: str) -> str:
        return f"{rb.inject(getattr(torch, self.op), self.op)}({parent})"


def _viewed(ev: Machine, x: ArrayValue, op: str) -> ArrayValue:
    step = ComplexStep(op, {})
    node = step.apply(ev, x.node(ev))
    made = above.tensor(x.storage, node.meta, node, parent=x, step=step, offset=x.offset)
    made.recorded = state_of(ev).grad
    return made


def _view(op: str) -> Callable[..., Any]:
    def call(cx: Context, input: ArrayValue) -> Any:
        if op in ("real", "imag", "conj") and not input.meta.dtype.is_complex:
            if op == "imag":
                raise ValueError("imag is not implemented for real tensors")
            return input
        return _viewed(cx.ev, input, op)

    call.__name__ = op
    return call


for _name in ("real", "imag", "view_as_real", "view_as_complex"):
    register((f"torch.{_name}",), _view(_name))
register(("torch.conj", "Tensor.conj"), _view("conj"))


def _is_lazy(x: ArrayValue) -> bool:
    """Whether eager's tensor would have its conjugation still to do."""
    if x.parent is None:
        return x.storage.is_input and bool(x.storage.real.is_conj())  # type: ignore[attr-defined]
    inner = _is_lazy(x.parent)
    if x.step is not None and isinstance(x.step, ComplexStep):
        return not inner if x.step.op == "conj" else False
    return inner


@name("*is_conj")
def is_conj(cx: Context, input: ArrayValue) -> bool:
    return _is_lazy(input)


@name("*resolve_conj")
def resolve_conj(cx: Context, input: ArrayValue) -> Any:
    return cx.op("clone", input, memory_format="preserve") if _is_lazy(input) else input


def _negated(cx: Context, x: ArrayValue) -> bool:
    """Whether eager's tensor would have its negation still to do: the imaginary part of a lazy conjugate."""
    while x.parent is not None:
        if x.step is not None and x.step.op == "imag" and _is_lazy(x.parent):
            return True
        x = x.parent
    return False


@name("*is_neg")
def is_neg(cx: Context, input: ArrayValue) -> bool:
    return _negated(cx, input)


@name("*resolve_neg")
def resolve_neg(cx: Context, input: ArrayValue) -> Any:
    return cx.op("clone", input, memory_format="preserve") if _negated(cx, input) else input
