"""A tensor object that is given other memory: `x.data = y` and `x.set_(y)`.

From then on it is in the graph what `y.data` is: in the memory of `y`, with a count of writes of its own, and no view for autograd.
One from outside is given that memory when the entry ends. Views that the program made of it
before stay where they are. What is a view itself, or requires gradients, is left to the framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .context import Context, above
from .dtypes import to_device, to_torch
from .handlers import FUNCTIONS
from .inplace import INPLACE
from .recording import unrecordable
from .state import data_of, state_of
from .tensor_attributes import real_of
from .training import count_writes

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine


def reseat(ev: Machine, x: Any, given: Any, what: str, writes: int = 0) -> None:
    """Let the object of `x` be in the memory of `given`. writes: how many eager counts for that"""
    state = state_of(ev)
    if given is x or not all(map(_is_plain, (x, given))) or not _is_free(ev, x):
        raise ev.break_("tensor-data", f"{what} of {x.describe()}", "it is the same, a view, or requires gradients",
                        "make a new tensor, or do it outside of the compiled function")  # fmt: skip
    alike = given.meta.dtype == x.meta.dtype and given.meta.device == x.meta.device
    if (
        not alike
        or writes
        and given.requires_grad(ev)
        or state.is_inference(given.storage)
        or state.is_inference(x.storage)
    ):
        raise ev.break_("tensor-data", f"{what} of {x.describe()}", "the two tensors are of different kinds")
    unrecordable(ev)
    before = (
        state.counted.get(x if x in state.reseated else x.storage, 0) if x.source is None else state.counted.get(x, 0)
    )
    if x.source is not None:
        x.original = real_of(x)
        ev.effects.touch(x)
    x.leave_views()
    view: Any = data_of(ev, given)
    x.storage, x.parent, x.step, x.offset = view.storage, view.parent, view.step, view.offset
    x.meta, x.began, x.recorded = view.meta, view.began, view.recorded
    x._node, x._version = view._node, view._version
    state.reseated.add(x)
    state.rewritten[x] = state.counted[x] = before + writes


def _is_plain(value: Any) -> bool:
    return type(value) is above.tensor


def _is_free(ev: Machine, x: Any) -> bool:
    """Whether nothing but the object itself refers to its memory and history. That of a leaf does not matter while nothing is
    recorded.
    """
    state = state_of(ev)
    if x.relaid or x in state.chosen_from or state.bodies or x.storage in state.loose:
        return False
    if x.source is None:
        return (x.parent is None or x in state.reseated) and not x.requires_grad(ev)
    real = real_of(x)
    assert real is not None
    leaf = real.requires_grad and real.is_leaf and not state.grad and not state.entry_grad
    if leaf and x not in state.reseated:
        ev.guards.test(x.source, "{x}.requires_grad and {x}.is_leaf", "{label} was a leaf that requires gradients", 2)
    return (leaf or not real.requires_grad) and not real._is_view()


def check_read(ev: Machine, x: Any) -> None:
    """Before a tensor is read: a leaf in other memory is known where nothing is recorded."""
    state = state_of(ev)
    if state.grad and x in state.reseated and x.source is not None and x.original.requires_grad:
        raise ev.break_("tensor-data", f"reading {x.describe()}, which was given other memory, where gradients are recorded",
                        "they arrive at the tensor itself", "do it outside of the compiled function")  # fmt: skip


def _set(cx: Context, x: Any, source: Any = None, *rest: Any) -> None:
    """`x.set_(source)`."""
    if rest or source is not None and not isinstance(source, above.tensor):
        raise cx.broken(
            "tensor-data", "Tensor.set_ with a storage, or with a layout", "storage objects are not tracked"
        )
    if source is None:
        kind = cx.ev.constant(to_torch(x.meta.dtype)), cx.ev.constant(to_device(x.meta.device))
        source = FUNCTIONS[torch.empty](cx.ev, [cx.ev.constant(0)], dict(zip(("dtype", "device"), kind)))
    reseat(cx.ev, x, source, "Tensor.set_", writes=1)


INPLACE["set_"] = _set


def replay(rb: Emitter, x: Any, target: str) -> None:
    """Statements that give a tensor from outside its new memory, where the program did so."""
    state = state_of(rb.ev)
    if x in state.reseated:
        rb.effect(f"{target}.data = {rb.value(x.parent)}")
        if state.rewritten[x]:
            rb.effect(f"{rb.inject(count_writes, 'count_writes')}({target}, {state.rewritten[x]})")
