"""`torch.compile` called inside of compiled code: what it gives is called as part of the graph, whatever its settings."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING

import torch

from ...values.base import Args, Kwargs, Value

if TYPE_CHECKING:
    from ...values.base import Machine


class InnerCompiledValue(Value):
    """What `torch.compile(target, ...)` gives there, or, where it has no target yet, the decorator. It cannot leave the
    graph: the statement that would let it out runs as plain Python.
    """

    __slots__ = ("target",)

    def __init__(self, target: Value | None) -> None:
        super().__init__()
        self.target = target

    def python_type(self) -> type:
        """Of a module its own class; else torch's compiled functions are functions."""
        made = types.FunctionType if self.target is None else self.target.python_type()
        return made if issubclass(made, torch.nn.Module) else types.FunctionType

    def call(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        if self.target is not None:
            return ev.call(self.target, args, kwargs)
        if len(args) != 1 or kwargs:
            raise ev.break_("inner-compile", "calling what torch.compile gave with these arguments")
        return InnerCompiledValue(args[0])


def inner_compile(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """`torch.compile(...)`."""
    target = args[0] if args else kwargs.get("model")
    return InnerCompiledValue(None if target is None or ev.is_none(target) else target)
