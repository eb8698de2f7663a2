"""Where functions stand in torch, as handlers are registered for them: "torch.exp", "Tensor.add", "F.gelu"."""

from __future__ import annotations

import importlib
import operator
from typing import Any

import torch
import torch.nn.functional as F

_PLACES = {"torch": torch, "Tensor": torch.Tensor, "F": F}
_MODULES = {"torch": "torch", "Tensor": "torch", "F": "torch.nn.functional"}


def resolve(place: str) -> Any:
    """ "torch.exp", "Tensor.add", "F.gelu", "torch.special.expm1" -> the object, or None where this torch lacks it."""
    head, *path = place.split(".")
    found: Any = _PLACES[head]
    for name in path:
        found = getattr(found, name, None)
        if found is None:
            return None
    return found


def expand(places: str) -> list[str]:
    """ "*exp F.exp" -> ["torch.exp", "Tensor.exp", "F.exp"]."""
    out = []
    for place in places.split():
        out += [f"torch.{place[1:]}", f"Tensor.{place[1:]}"] if place.startswith("*") else [place]
    return out


def target_of(place: str) -> str:
    """ "torch.special.erfcx" -> "torch:special.erfcx": what `Runtime.resolve` reads."""
    head, _, rest = place.partition(".")
    return f"{_MODULES[head]}:{'Tensor.' + rest if head == 'Tensor' else rest}"


def resolve_name(target: str) -> Any:
    """What "module:qualified.name" names. Raises ImportError or AttributeError when it is gone."""
    module, _, qualified = target.partition(":")
    return operator.attrgetter(qualified)(importlib.import_module(module))
