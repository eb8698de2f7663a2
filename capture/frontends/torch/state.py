"""torch's state during one capture: grad mode, the tensors from outside, and what must be checked of them as a group."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
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
        #: nodes that write to a real tensor and are that tensor; storages at the version that such a write left
        self.stored: set[Node] = set()
        self.settled: dict[InputStorage, int] = {}
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
            # a view records gradients in any mode, for its base's sake
            records = node.op.name != "detach" if node.op.kind == "view" else node.grad
            known = self.differentiated[node] = records and floats and any(map(self.requires_grad, inputs))
        return known

    def records_gradients(self, node: Node) -> bool:
        """Whether running this node adds to what a backward pass goes through."""
        return node.op.name != "input" and node.grad and self.requires_grad(node)

    def guard_requires_grad(self, ev: Evaluator, storage: InputStorage) -> None:
        """The program looked at `requires_grad`."""
        ev.guards.test(storage.source, f"{{x}}.requires_grad is {storage.real.requires_grad}",
                       f"{{label}}.requires_grad was {storage.real.requires_grad}", 2)  # fmt: skip


def state_of(ev: Evaluator) -> TorchState:
    return ev.states["torch"]


@contextlib.contextmanager
def gradients(ev: Evaluator, mode: bool) -> Iterator[None]:
    """What is done inside records gradients, or none."""
    state = state_of(ev)
    before, state.grad = state.grad, mode
    try:
        yield
    finally:
        state.grad = before


def detached(ev: Evaluator, x: ArrayValue) -> ArrayValue:
    """A view that gradients do not flow through."""
    return x.view(ev, "detach")
