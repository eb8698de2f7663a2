"""Functions of functions: torch.cond, activation checkpointing, scans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.utils._pytree as pytree
import torch.utils.checkpoint
from torch._higher_order_ops.associative_scan import associative_scan

from ...values.base import Args, Kwargs, Value
from ...values.functions import BoundMethodValue, CellValue, FunctionValue
from ...values.mappings import DictValue
from ...values.objects import ObjectValue
from ...values.sequences import ListValue, TupleValue
from ...values.sets import SetValue
from ...values.tensor import ArrayValue
from .calls import FUNCTIONS, Context
from .state import state_of

if TYPE_CHECKING:
    from ...values.base import Machine


# ------------------------------------------------------------------ torch.cond


def _cond(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """Both branches are captured, and each result is chosen by the predicate: branches of torch.cond are free of side
    effects, so computing both is safe.
    """
    named = dict(zip(("pred", "true_fn", "false_fn", "operands"), args)) | dict(kwargs)
    pred = named["pred"]
    operands = named["operands"].items(ev) if "operands" in named else []
    if not isinstance(pred, ArrayValue):
        return ev.call(named["true_fn" if pred.truth(ev) else "false_fn"], operands)
    versions = [(s, s.version) for s in state_of(ev).arrays.inputs]
    yes, no = ev.call(named["true_fn"], operands), ev.call(named["false_fn"], operands)
    if any(s.version != version for s, version in versions):
        raise ev.break_(
            "cond-mutation", "a branch of torch.cond writes to a tensor", "branches must be pure", "return the result"
        )
    cx = Context(ev)
    condition = cx.cast(cx.op("reshape", pred, shape=()), cx.dtype(torch.bool))  # type: ignore[arg-type]
    return _choose(cx, condition, yes, no)


def _choose(cx: Context, condition: Any, yes: Value, no: Value) -> Value:
    if isinstance(yes, ArrayValue) and isinstance(no, ArrayValue):
        if yes.meta.shape != no.meta.shape or yes.meta.dtype != no.meta.dtype:
            raise cx.broken("cond-branches", "the branches of torch.cond give tensors of different shape or dtype")
        return cx.array(cx.op("where", condition, yes, no))
    if isinstance(yes, (TupleValue, ListValue)) and type(yes) is type(no):
        ours, theirs = yes.items(cx.ev), no.items(cx.ev)
        if len(ours) == len(theirs):
            return yes.new([_choose(cx, condition, a, b) for a, b in zip(ours, theirs)])
    if isinstance(yes, DictValue) and isinstance(no, DictValue):
        mine, other = list(cx.ev.mapping_pairs(yes)), dict((k.key(cx.ev), v) for k, v in cx.ev.mapping_pairs(no))
        if [k.key(cx.ev) for k, _ in mine] == list(other):
            return DictValue([(k.as_constant(), _choose(cx, condition, v, other[k.key(cx.ev)])) for k, v in mine])
    if yes.is_constant and no.is_constant and yes.as_constant() == no.as_constant():
        return yes
    raise cx.broken("cond-branches", "the branches of torch.cond give results of different structure")


FUNCTIONS[torch.cond] = _cond


# ------------------------------------------------------------------ checkpointing

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


# ------------------------------------------------------------------ scans


def _scan_in_order(combine_fn: Any, xs: Any, dim: int, reverse: bool = False, combine_mode: str = "pointwise") -> Any:
    """What associative_scan means, one step after the other: no result depends on how steps are grouped."""
    leaves, spec = pytree.tree_flatten(xs)
    steps = list(zip(*[leaf.unbind(dim) for leaf in leaves]))
    if reverse:
        steps.reverse()
    done: list[Any] = [steps[0]]
    for step in steps[1:]:
        before = pytree.tree_unflatten(list(done[-1]), spec)
        done.append(pytree.tree_leaves(combine_fn(before, pytree.tree_unflatten(list(step), spec))))
    if reverse:
        done.reverse()
    return pytree.tree_unflatten([torch.stack(column, dim) for column in zip(*done)], spec)


FUNCTIONS[associative_scan] = lambda ev, args, kwargs: ev.call_function(_scan_in_order, args, kwargs)
