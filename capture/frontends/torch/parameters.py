"""Parameters that a program makes: leaves of autograd's own, which share memory with the tensors that they were made from.

Gradients arrive at the very object, so a graph in which one is made runs op by op, and gives that object where it leaves the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ....inductor.graph import ExternRef, Input, Node
from ....inductor.ops import OPS
from ...values.base import Args, Kwargs, Value
from ...values.tensor import ArrayValue, ViewStep, with_layout
from . import training
from .handlers import register_handler
from .recording import unrecordable, wants_history
from .state import gradients, state_of
from .tensors import TensorValue

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine


@dataclass(frozen=True)
class ParameterStep(ViewStep):
    """How a parameter is made from its data."""

    @property
    def stops_gradients(self) -> bool:
        return True

    def apply(self, ev: Machine, parent: Node) -> Node:
        ref = ExternRef(f"{__name__}:made", (Input(0), self.attrs["requires_grad"]))
        return ev.builder.append(OPS["extern"], (parent,), {"ref": ref, "effects": True}, parent.meta)


class ParameterValue(TensorValue):
    """A parameter that was made during capture."""

    __slots__ = ("made",)
    is_made_leaf = True
    #: the node that is the very object
    made: Node

    def python_type(self) -> type:
        return torch.nn.Parameter

    def viewed_as(self) -> type[ArrayValue]:
        return TensorValue

    def node(self, ev: Machine) -> Node:
        if self._version != self.storage.version:
            raise ev.break_(
                "parameter-data", f"using {self.describe()}, whose data was written to", "it shares them with a parameter",
                "make the parameter of a copy",
            )  # fmt: skip
        assert self._node is not None
        return self._node

    def write(self, ev: Machine, node: Node) -> None:
        """The very tensor is written to at this place, and its data with it."""
        state, data = state_of(ev), self.parent
        assert data is not None
        if self.requires_grad(ev) and state.grad and not state.quiet:
            raise ev.framework_error(RuntimeError("a leaf that requires gradients, written to in place"))
        if self.storage.is_input and not self.requires_grad(
            ev
        ):  # it sees what is written to the input when all is done
            data.write(ev, node)
            self._node, self._version = data.node(ev), self.storage.version
            return
        if self.storage.is_input:
            raise ev.break_(
                "parameter-data", f"writing to {self.describe()}, a parameter made of an input", "it shares the input's memory",
                "make the parameter of a copy",
            )  # fmt: skip
        with gradients(ev, False):
            stored = training.store(ev, self.storage, self.node(ev), with_layout(ev, node, self.meta))
            state.differentiated[stored] = self.requires_grad(ev)
            data.write(ev, ev.emit("detach", stored))
        self._node = self.made = stored
        self._version = self.storage.version

    def isinstance_(self, ev: Machine, cls: type) -> bool:
        return issubclass(torch.nn.Parameter, cls)

    def rebuild(self, rb: Emitter) -> str:
        rb.ev.boundary.claim("torch")
        self.node(rb.ev)
        return rb.output(self.made)


def made(data: torch.Tensor, requires_grad: bool) -> torch.Tensor:
    """What the node runs."""
    return torch.nn.Parameter(data, requires_grad)


def _make_subclass(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """`Tensor._make_subclass(cls, data, requires_grad)`: what `Parameter(...)` calls."""
    cls, data, *rest = args
    wanted = rest[0] if rest else kwargs.get("require_grad")
    requires_grad = wanted is not None and wanted.truth(ev)
    if not isinstance(data, TensorValue) or getattr(cls, "real", None) is not torch.nn.Parameter:
        raise ev.break_(
            "tensor-subclass", f"making {cls.describe()} of a tensor", "only parameters are made in a graph"
        )
    if requires_grad and not (data.meta.dtype.is_float or data.meta.dtype.is_complex):
        raise ev.framework_error(RuntimeError("only tensors of floating point and complex dtype can require gradients"))
    unrecordable(ev)
    if state_of(ev).bodies:
        raise ev.break_("parameter", "a parameter made in a function that the framework calls")
    wants_history(ev, "a parameter is made, at which gradients arrive")
    step = ParameterStep("parameter", {"requires_grad": requires_grad})
    node = step.apply(ev, data.node(ev))
    state_of(ev).differentiated[node] = requires_grad
    found = ParameterValue(data.storage, node.meta, node, parent=data, step=step, offset=data.offset)
    found.recorded, found.made = state_of(ev).grad, node
    return found


register_handler("Tensor._make_subclass", _make_subclass)
