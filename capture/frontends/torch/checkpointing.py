"""Activation checkpointing: functions that the backward pass calls again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.utils.checkpoint

from ...values.base import Args, Kwargs, Value
from .handlers import FUNCTIONS
from .segments import seen_of
from .state import state_of

if TYPE_CHECKING:
    from ...values.base import Machine


_CHECKPOINT_SETTINGS = {
    "use_reentrant": (False,), "context_fn": (torch.utils.checkpoint.noop_context_fn,), "determinism_check": ("default", "none"),
    "debug": (False,), "early_stop": (True, False), "preserve_rng_state": (True, False),
}  # fmt: skip


def _checkpoint(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """Checkpointing changes what is kept for the backward pass, not what is computed: as long as the function has no effects, which
    the backward pass would repeat.
    """
    settings = {k: v for k, v in kwargs.items() if k in _CHECKPOINT_SETTINGS}
    rest = {k: v for k, v in kwargs.items() if k not in _CHECKPOINT_SETTINGS}
    function = args[0] if args else rest.pop("function")
    if not state_of(ev).grad:
        return ev.call(function, args[1:], rest)
    unknown = [k for k, v in settings.items() if not (v.is_constant and v.as_constant() in _CHECKPOINT_SETTINGS[k])]
    if unknown or "use_reentrant" not in settings:
        raise ev.break_(
            "checkpoint-setting", f"checkpointing with {', '.join(unknown) or 'use_reentrant left open'}",
            "the backward pass is another one then", "pass use_reentrant=False and nothing else",
        )  # fmt: skip
    given = (function, *args[1:], *rest.values())
    before = seen_of(ev, given)
    result = ev.call(function, args[1:], rest)
    if seen_of(ev, given) != before:
        raise ev.break_(
            "checkpoint-effects", "a checkpointed function changes something outside of itself",
            "the backward pass calls it again, and changes it again", "return what it computes instead",
        )  # fmt: skip
    return result


FUNCTIONS[torch.utils.checkpoint.checkpoint] = _checkpoint
