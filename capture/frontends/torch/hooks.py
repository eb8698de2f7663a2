"""Hooks for the backward pass: those that a program registers on tensors, and those around a call for what is saved.

A hook belongs to the tensor's place in the history, not to when it was registered: so the entry registers it when the graph has
run, on the very tensor that stood there, which is an output of the graph for it. The graph then runs op by op, in the
framework's own autograd: no other tensor is at that place. With a backend that puts a graph into the history as a whole, the
graph breaks there instead.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.utils.hooks

from ...values.base import Args, Kwargs, Value
from ...values.constant import FALSE, NONE, TRUE
from ...values.tensor import InputStorage
from .handlers import register_handler
from .recording import unrecordable, wants_history
from .state import state_of
from .tensor_attributes import real_of

if TYPE_CHECKING:
    from ....inductor.graph import Node
    from ...values.base import Emitter, Machine
    from .tensors import TensorValue


@dataclass(eq=False)
class Registration:
    """One hook: `tensor.method(hook)`, where the tensor is an input (`node` is None) or what the graph has at `node`.

    version: how often its memory had been written to
    name:    what the entry calls the handle
    alive:   it was not removed again
    written: the statement that makes the handle is there
    """

    tensor: TensorValue
    node: Node | None
    method: str
    hook: Value
    name: str
    version: int
    alive: bool = True
    written: bool = False


class HandleValue(Value):
    """What registering a hook returns."""

    __slots__ = ("registration",)

    def __init__(self, registration: Registration) -> None:
        self.source = None
        self.registration = registration

    def python_type(self) -> type:
        return torch.utils.hooks.RemovableHandle

    def describe(self) -> str:
        return "the handle of a hook"

    def m_remove(self, ev: Machine) -> Value:
        self.registration.alive = False
        return NONE

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        if name == "remove" and not args and not kwargs:
            return self.m_remove(ev)
        raise ev.break_("hook-handle", f"the method {name!r} of {self.describe()}")

    def rebuild(self, rb: Emitter) -> str:
        if not self.registration.alive:
            raise rb.cannot(self, "the hook was removed again")
        if not self.registration.written:
            raise rb.cannot(self, "the hook, or one registered before it, holds it")
        return rb.late_temp(self.registration.name)


def _register(method: str) -> None:
    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        tensor, hook = [*args, *kwargs.values()]
        _check(ev, tensor, method)  # type: ignore[arg-type]
        state = state_of(ev)
        unrecordable(ev)
        if state.bodies:
            raise ev.break_("hook", f"{method} inside of a function that the framework calls")
        node = None
        if real_of(tensor) is None or tensor.storage.version:  # type: ignore[arg-type, attr-defined]
            node = tensor.node(ev)  # type: ignore[attr-defined]
            if node in state.stored or node.op.kind == "input":
                raise ev.break_("hook", f"{method} on {tensor.describe()}, which was written to or is a view",
                                "it is not known which place in its history is meant", "register it before the write")  # fmt: skip
            wants_history(ev, "a hook is registered on what it computes")
        version = tensor.storage.version  # type: ignore[attr-defined]
        made = Registration(tensor, node, method, hook, f"_h{len(state.registrations)}", version)  # type: ignore[arg-type]
        state.registrations.append(made)
        return HandleValue(made)

    register_handler(f"Tensor.{method}", handler)


def _check(ev: Machine, tensor: TensorValue, method: str) -> None:
    """What eager refuses."""
    real = real_of(tensor)
    if real is not None:
        assert isinstance(tensor.storage, InputStorage)
        state_of(ev).guard_requires_grad(ev, tensor.storage)
    if not tensor.requires_grad(ev):
        raise ev.framework_error(RuntimeError("cannot register a hook on a tensor that doesn't require gradient"))
    if method == "register_post_accumulate_grad_hook" and tensor.getattr_(ev, "is_leaf") is not TRUE:
        raise ev.framework_error(RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors"))


def _retain_grad(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    tensor = args[0]
    _check(ev, tensor, "retain_grad")  # type: ignore[arg-type]
    if tensor.getattr_(ev, "is_leaf") is FALSE:
        if tensor.parent is not None:  # type: ignore[attr-defined]
            raise ev.break_(
                "hook", f"retain_grad on {tensor.describe()}, a view", "it is made again outside of the graph"
            )
        wants_history(ev, "the gradient of what it computes is kept")
        state = state_of(ev)
        node = None if real_of(tensor) is not None else tensor.node(ev)  # type: ignore[arg-type, attr-defined]
        name, version = f"_h{len(state.registrations)}", tensor.storage.version  # type: ignore[attr-defined]
        state.registrations.append(Registration(tensor, node, "retain_grad", NONE, name, version))  # type: ignore[arg-type]
    return NONE


def saved_tensor_hook_raised(error: Exception) -> bool:
    """Whether an exception comes from the hooks around a call that pack what is saved for the backward pass, as checkpointing's
    do to end a recomputation early: the framework calls them in the midst of operators.
    """
    hooks = torch._C._autograd._top_saved_tensors_default_hooks(False)
    if hooks is None:
        return False
    code = getattr(hooks[0], "__code__", None)
    frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    return code is None or code in frames


def heed_packing(ev: Machine) -> None:
    """Where hooks pack what is saved for the backward pass, they may end the program in its midst, as checkpointing's do: what the
    program changed until then stays changed. A graph has changed nothing then, and neither has its entry.
    """
    state = state_of(ev)
    if not (len(ev.effects) or state.arrays.entries or state.stored) or not state.recorded():
        return
    asked = torch._C._autograd._top_saved_tensors_default_hooks
    none = asked(False) is None
    ev.guards.test(None, f"({ev.names.inject(asked, 'packing_hooks')}(False) is None) is {none}",
                   f"{'no ' if none else ''}hooks packed what is saved for the backward pass", 0)  # fmt: skip
    if not none:
        refusal = ev.break_("packing-hooks", "a function that changes what others see, under hooks for saved tensors",
                            "they may end it in its midst")  # fmt: skip
        refusal.strict = False  # its caller, not the function, brings them
        raise refusal


def finish(ev: Machine, rb: Emitter) -> None:
    """At the end of a capture: the statements that register."""
    for made in state_of(ev).registrations:
        if made.alive:
            if made.node is None and made.tensor.storage.version != made.version:
                raise ev.break_("hook", f"a write to {made.tensor.describe()}, on which there is a hook already",
                                "the hook belongs to what was there before")  # fmt: skip
            target = rb.value(made.tensor) if made.node is None else rb.output(made.node)
            hook = "" if made.method == "retain_grad" else rb.value(made.hook)
            rb.effect(f"{made.name} = {target}.{made.method}({hook})")
            made.written = True


_register("register_hook")
_register("register_post_accumulate_grad_hook")
register_handler("Tensor.retain_grad", _retain_grad)
