"""Tensors whose content capture knows (see `frontends.contents`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ...values.tensor import ArrayValue
from ..contents import content_of
from .autocast import switched_off
from .runtime import TorchRuntime

if TYPE_CHECKING:
    from ...values.base import Machine

_runtime = TorchRuntime()


def known_content(ev: Machine, array: ArrayValue) -> torch.Tensor | None:
    """What `array` holds at every call, or None where that is not known."""
    node = array.node(ev)
    with torch.no_grad(), switched_off():
        found: torch.Tensor | None = content_of(ev, node, _runtime)
    return found
