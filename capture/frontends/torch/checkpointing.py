"""Activation checkpointing: functions that the backward pass calls again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.utils.checkpoint

from ...values.base import Args, Kwargs, Value
from ...values.functions import BoundMethodValue, CellValue, FunctionValue
from ...values.mappings import DictValue
from ...values.objects import ObjectValue
from ...values.sequences import ListValue, TupleValue
from ...values.sets import SetValue
from ...values.tensor import ArrayValue
from .calls import FUNCTIONS
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


def seen_of(ev: Machine, values: tuple[Value, ...]) -> Any:
    """What can be seen of the objects that a call may change: those from outside by what was done to them, those made during
    capture by what is in them.
    """
    found: dict[int, Any] = {}
    todo = list(values)
    while todo:
        value = todo.pop()
        if id(value) in found:
            continue
        if isinstance(value, ArrayValue):
            found[id(value)] = value.storage.version
            continue
        parts = _parts(ev, value)
        keys = (
            list(value.keys)
            if isinstance(value, SetValue)
            else list(value.table)
            if isinstance(value, DictValue)
            else []
        )
        found[id(value)] = keys, [id(part) for part in parts]
        todo += parts
    written = [(id(s), s.version) for s in state_of(ev).arrays.inputs if s.version]
    return ev.effects.count, written, found


def _parts(ev: Machine, value: Value) -> list[Value]:
    """What a function, or an object that was made during capture, holds."""
    if isinstance(value, BoundMethodValue):
        return [value.function, value.owner]
    if isinstance(value, FunctionValue):
        return list(value.closure(ev))
    if value.source is not None:
        return []
    if isinstance(value, CellValue):
        content = value.get(ev)
        return [] if content is None else [content]
    if isinstance(value, (TupleValue, ListValue)):
        return value.items(ev)
    if isinstance(value, DictValue):
        return [part for _, part in value.pairs(ev)]
    if isinstance(value, ObjectValue):
        return [*value.attrs.values(), *([] if value.payload is None else [value.payload])]
    return []


FUNCTIONS[torch.utils.checkpoint.checkpoint] = _checkpoint
