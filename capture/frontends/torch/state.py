"""torch's state during one capture: grad mode, the tensors from outside, and what must be checked of them as a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ...values.tensor import ArrayState, ArrayValue, InputStorage

if TYPE_CHECKING:
    from ....inductor.graph import GraphBuilder, Node
    from ...evaluator import Evaluator


class TorchState:
    """See the module's text.

    grad:     grad mode as the program sees it at this point
    inference: inference mode likewise
    held:     parameters and buffers that the entry holds: their metadata is checked in one call
    hooks:    hook dicts of the modules that were called: all must stay empty
    """

    def __init__(self, builder: GraphBuilder) -> None:
        self.arrays = ArrayState()
        self.builder = builder
        self.grad = torch.is_grad_enabled()
        self.inference = torch.is_inference_mode_enabled()
        self.entry_grad = self.grad
        #: graph nodes, and whether gradients flow through them
        self.differentiated: dict[Node, bool] = {}
        self.held: list[torch.Tensor] = []
        self.hooks: dict[int, dict[Any, Any]] = {}

    @property
    def grad(self) -> bool:
        return self.builder.grad

    @grad.setter
    def grad(self, mode: bool) -> None:
        self.builder.grad = mode

    def requires_grad(self, node: Node) -> bool:
        """Whether eager's tensor at this node would record gradients."""
        known = self.differentiated.get(node)
        if known is None:
            meta = node.meta
            floats = isinstance(meta, tuple) or meta.dtype.is_float or meta.dtype.is_complex
            inputs = (i for i in node.inputs if i is not None)
            known = self.differentiated[node] = node.grad and floats and any(map(self.requires_grad, inputs))
        return known

    def guard_requires_grad(self, ev: Evaluator, storage: InputStorage) -> None:
        """The program looked at `requires_grad`."""
        ev.guards.test(storage.source, f"{{x}}.requires_grad is {storage.real.requires_grad}",
                       f"{{label}}.requires_grad was {storage.real.requires_grad}", 2)  # fmt: skip


def state_of(ev: Evaluator) -> TorchState:
    return ev.states["torch"]


def detached(ev: Evaluator, x: ArrayValue) -> ArrayValue:
    """A view that gradients do not flow through."""
    state = state_of(ev)
    before, state.grad = state.grad, False
    try:
        return x.view(ev, "alias")
    finally:
        state.grad = before
