"""Backends of torch's own registry: those that it brings, and those that packages offer in `torch_dynamo_backends`.

Its tables are read, not its functions: those may be quern's own (`install`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch._dynamo.backends import registry


def names(exclude_tags: Collection[str]) -> set[str]:
    """The names there are, without those that carry one of the tags."""
    registry._lazy_import()
    made = registry._COMPILER_FNS
    return {n for n in registry._BACKENDS if not {*getattr(made.get(n), "_tags", ())} & {*exclude_tags}}


def find(name: str) -> Callable[..., Any] | None:
    """The backend of that name; None where there is none."""
    registry._lazy_import()
    offered = registry._BACKENDS.get(name)
    if name not in registry._COMPILER_FNS and offered is not None:
        registry._COMPILER_FNS[name] = offered.load()
    return registry._COMPILER_FNS.get(name)


def refusal(name: str) -> str:
    """Why a backend cannot work here ("": it can, as far as is known)."""
    if name == "cudagraphs" and not torch.cuda.is_available():
        return "it records CUDA graphs, and this process has no CUDA device"
    return ""
