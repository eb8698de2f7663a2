"""`with` blocks of torch that change nothing of what a graph means: the choice of kernels for attention, labels for profilers, notes for who traces, hooks forbidden inside."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import attention

from ...machine.objects import MethodValue
from ...values.base import Args, Kwargs, Value
from ...values.constant import FALSE, NONE
from ...values.mappings import DictValue
from .handlers import FUNCTIONS
from .state import state_of

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine

_autograd = torch._C._autograd


class UnnoticedValue(Value):
    """A context manager that the program makes: entered once, left once, and entered for real behind a graph break inside.

    function, args, kwargs: the call that makes it; result: what `as` gives, None: itself
    """

    __slots__ = ("args", "function", "is_new", "is_open", "kwargs", "result")

    def __init__(self, function: Any, args: Args, kwargs: Kwargs, result: Value | None = None) -> None:
        super().__init__()
        self.function, self.args, self.kwargs, self.result = function, list(args), dict(kwargs), result
        self.is_new, self.is_open = True, False

    def python_type(self) -> type:
        return self.function if isinstance(self.function, type) else contextlib._GeneratorContextManager

    def getattr_(self, ev: Machine, name: str) -> Value:
        return MethodValue(self, name) if name in ("__enter__", "__exit__") else super().getattr_(ev, name)

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        if name == "__enter__" and self.is_new:
            self.is_new, self.is_open = False, True
            return self if self.result is None else self.result
        if name == "__exit__" and self.is_open:
            self.is_open = False
            return FALSE
        raise ev.break_("context-manager", f"{name} of {self.describe()}", "quern knows it as `with` uses it only")

    def rebuild(self, rb: Emitter) -> str:
        given = [rb.value(a) for a in self.args] + [f"{k}={rb.value(v)}" for k, v in self.kwargs.items()]
        name = rb.name_value(self, f"{rb.inject(self.function, self.function.__name__)}({', '.join(given)})")
        if self.is_open:
            rb.enter(f"{name}.__enter__()")
        return name


class KernelsValue(UnnoticedValue):
    """`sdpa_kernel(...)`, which calls of attention inside heed."""

    __slots__ = ("kernels",)

    def __init__(self, args: Args, kwargs: Kwargs, kernels: tuple[tuple[int, ...], bool]) -> None:
        super().__init__(attention.sdpa_kernel, args, kwargs, DictValue([]))
        self.kernels = kernels

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        found = super().call_method(ev, name, args, kwargs)
        if name == "__enter__":
            state_of(ev).attention.append(self.kernels)
        else:
            state_of(ev).attention.pop()
        return found


def _sdpa_kernel(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    named = dict(zip(("backends", "set_priority"), args)) | dict(kwargs)
    chosen = ev.known(named["backends"])
    in_order = "set_priority" in named and bool(ev.known(named["set_priority"]))
    one = isinstance(chosen, attention.SDPBackend)
    return KernelsValue(args, kwargs, (tuple(map(int, [chosen] if one else chosen)), in_order))


def _record_function(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """A label, which nobody reads while no profiler is on."""
    enabled = ev.names.inject(_autograd._profiler_enabled, "profiler_enabled")
    if _autograd._profiler_enabled():
        raise ev.break_(
            "profiler", "a label for the profiler, which is on", "it stands around calls that run one by one"
        )
    ev.guards.test(None, f"not {enabled}()", "no profiler was on", 0)
    return UnnoticedValue(torch.autograd.profiler.record_function, args, kwargs)


def _disable_saved_tensors_hooks(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """Hooks for saved tensors raise inside. Those that are on before do so at once."""
    hooks = ev.names.inject(_autograd._top_saved_tensors_default_hooks, "saved_tensors_hooks")
    if _autograd._top_saved_tensors_default_hooks(False) is not None:
        raise ev.framework_error(RuntimeError(*[a.as_constant() for a in (*args, *kwargs.values())]))
    ev.guards.test(None, f"{hooks}(False) is None", "there were no hooks for saved tensors", 0)
    return UnnoticedValue(torch.autograd.graph.disable_saved_tensors_hooks, args, kwargs, NONE)


def _annotate(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """A note on the nodes that torch's tracer makes inside."""
    return UnnoticedValue(torch.fx.traceback.annotate, args, kwargs, NONE)


FUNCTIONS[torch.autograd.profiler.record_function] = _record_function
FUNCTIONS[torch.fx.traceback.annotate] = _annotate
FUNCTIONS[attention.sdpa_kernel] = _sdpa_kernel
FUNCTIONS[torch.autograd.graph.disable_saved_tensors_hooks] = _disable_saved_tensors_hooks
