"""Backends that torch.compile knows: those of torch's own registry, and those that packages offer in `torch_dynamo_backends`.

The registry's tables are read, not its functions: those may be quern's own (`doors.install`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import torch
from torch._dynamo.backends import registry


def names(exclude_tags: Collection[str]) -> set[str]:
    """The names there are, without those that carry one of the tags."""
    registry._lazy_import()
    made = registry._COMPILER_FNS
    known = {*registry._BACKENDS, *made, *_offered()}
    return {n for n in known if not {*getattr(made.get(n), "_tags", ())} & {*exclude_tags}}


def find(name: str) -> Callable[..., Any] | None:
    """The backend of that name; None where there is none."""
    registry._lazy_import()
    found = registry._COMPILER_FNS.get(name)
    if found is None and name in (offered := _offered()):
        found = registry._COMPILER_FNS[name] = offered[name].load()
    return found


def _offered() -> dict[str, EntryPoint]:
    return {e.name: e for e in entry_points(group="torch_dynamo_backends")}


def refusal(name: str) -> str:
    """Why a backend cannot work here ("": it can, as far as is known)."""
    if name == "cudagraphs" and not torch.cuda.is_available():
        return "it records CUDA graphs, and this process has no CUDA device"
    return ""
