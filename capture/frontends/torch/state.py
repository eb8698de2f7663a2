"""torch's state during one capture: grad mode, the tensors from outside, and what must be checked of them as a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ...values.tensor import ArrayState, ArrayValue, InputStorage

if TYPE_CHECKING:
    from ...evaluator import Evaluator


class TorchState:
    """See the module's text.

    grad:     grad mode as the program sees it at this point
    inference: inference mode likewise
    held:     parameters and buffers that the entry holds: their metadata is checked in one call
    hooks:    hook dicts of the modules that were called: all must stay empty
    """

    def __init__(self) -> None:
        self.arrays = ArrayState()
        self.grad = torch.is_grad_enabled()
        self.inference = torch.is_inference_mode_enabled()
        self.entry_grad = self.grad
        self.held: list[torch.Tensor] = []
        self.hooks: dict[int, dict[Any, Any]] = {}

    def refuse_gradients(self, ev: Evaluator, x: ArrayValue) -> None:
        """Called when the content of a tensor that requires gradients is used. Breaks where grad mode is on."""
        if self.grad:
            raise ev.break_(
                "training",
                f"{x.describe()} requires gradients",
                "compiled graphs do not record gradients yet; the function runs as plain Python",
                "call it under torch.no_grad(), or give tensors that do not require gradients",
            )

    def guard_requires_grad(self, ev: Evaluator, storage: InputStorage) -> None:
        """The program looked at `requires_grad`."""
        ev.guards.test(storage.source, f"{{x}}.requires_grad is {storage.real.requires_grad}",
                       f"{{label}}.requires_grad was {storage.real.requires_grad}", 2)  # fmt: skip


def state_of(ev: Evaluator) -> TorchState:
    return ev.states["torch"]
