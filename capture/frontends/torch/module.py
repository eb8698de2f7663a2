"""What `quern.compile(module)` returns (`torch.compile`'s result is in `optimized_module.py`), and what `module.compile()` installs.

A compiled module shares the original's `__dict__`: parameters, buffers, submodules, hooks and flags are one and the same,
so state dicts have no prefix and nothing can go stale. It is an instance of a subclass of the module's own class, in which
only calling differs.
"""

from __future__ import annotations

import copy
import operator
import types
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.modules import module as torch_module

from ...switches.function_flags import MARKS_DISABLED

#: members of a compiled module's class that TorchScript must not look at: it scripts the module itself
_NOT_SCRIPTED = ["_orig_mod", "dynamo_ctx", "_quern_module", "_quern_call", "_quern_compile"]

#: what makes a compiled function of a function: `quern.compile` with its settings filled in
Compile = Callable[[Callable[..., Any]], Callable[..., Any]]

#: where the hooks around the calls of one module stand, and those around all modules
FORWARD_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
HOOKS = (*FORWARD_HOOKS, "_backward_hooks", "_backward_pre_hooks")
GLOBAL_HOOKS = (
    torch_module._global_forward_hooks, torch_module._global_forward_pre_hooks, torch_module._global_backward_hooks,
    torch_module._global_backward_pre_hooks,
)  # fmt: skip
_CALL: Any = torch.nn.Module.__call__
#: what it does, whatever it leads to later (see `doors.everything`)
PLAIN_CALL = types.FunctionType(_CALL.__code__, _CALL.__globals__, "__call__")


def compile_call(module: torch.nn.Module, compile_function: Compile, in_place: bool = False) -> Callable[..., Any]:
    """A compiled `module(...)`. As long as no hook is registered, `forward` alone is compiled; otherwise all of
    `Module._call_impl`, hooks included. `.parts()` lists the compiled functions made so far.

    in_place: what the module's own `__call__` comes to, where its class has one (a GraphModule's); else that is compiled too
    """
    # (the class of a scripted module has no `forward` but in its instances)
    if type(module).__call__ is not _CALL or isinstance(module, torch.jit.ScriptModule):
        whole = compile_function(module._call_impl if in_place else module.__call__)
        return _with_parts(lambda *args, **kwargs: whole(*args, **kwargs), lambda: [whole])
    names = module.__dict__
    if _initializes(names):
        return _once_initialized(module, lambda: compile_call(module, compile_function, in_place))
    own_hooks = operator.itemgetter(*(h for h in HOOKS if h in names))  # the dicts themselves may be replaced
    cls, own_forward, class_forward = type(module), names.get("forward"), type(module).forward
    own_compiled = names.get("_compiled_call_impl")
    compiled = [compile_function(module.forward)]
    forward = compiled[0]

    def call(*args: Any, **kwargs: Any) -> Any:
        names = module.__dict__  # which may be replaced
        given = names.get("_compiled_call_impl")
        if given is not None and given is not own_compiled and given is not call:  # stands before all else
            return given(*args, **kwargs)
        if "_call_impl" in names:  # stands before `forward`, and its hooks
            return names["_call_impl"](*args, **kwargs)
        replaced = names.get("forward") is not own_forward or cls.forward is not class_forward
        if replaced or any(own_hooks(names)) or any(GLOBAL_HOOKS) or type(module) is not cls:
            if not replaced and has_hooks_outside(names):
                return between_hooks(module, forward, args, kwargs)
            if len(compiled) == 1:
                compiled.append(compile_function(module._call_impl))
            return compiled[1](*args, **kwargs)
        return forward(*args, **kwargs)

    return _with_parts(call, lambda: list(compiled))


def has_hooks_outside(names: dict[str, Any]) -> bool:
    """Whether a module with this `__dict__` has hooks around its `forward` that are never part of a graph."""
    return any(_stays_outside(hook) for where in FORWARD_HOOKS for hook in names.get(where, {}).values())


def _stays_outside(hook: Any) -> bool:
    """Whether it is marked with `disable`, or one of `fully_shard`'s, which gather a module's parameters and scatter them again."""
    marks = getattr(getattr(hook, "__func__", hook), "__dict__", {})
    return not MARKS_DISABLED.isdisjoint(marks) or getattr(hook, "__module__", "").startswith("torch.distributed.fsdp")


def forward_compiled(module: Any, forward: Any) -> Callable[..., Any]:
    """What a call of a module comes to where such hooks run as they are, and its `forward`, a function, is compiled."""
    return lambda *args, **kwargs: between_hooks(module, forward.__get__(module), args, kwargs)


def between_hooks(module: Any, forward: Any, args: Any, kwargs: Any) -> Any:
    """A module's call as plain Python, with the compiled `forward` inside. Who calls the module meanwhile may find either one."""
    names = module.__dict__
    if "forward" in names:
        return module._call_impl(*args, **kwargs)
    names["forward"] = forward
    try:
        return module._call_impl(*args, **kwargs)
    finally:
        names.pop("forward", None)


def _initializes(names: dict[str, Any]) -> bool:
    """Whether a module has a hook that gives its parameters their shapes (`LazyModuleMixin`)."""
    return "_initialize_hook" in names


def _once_initialized(module: Any, compile_now: Callable[[], Any]) -> Callable[..., Any]:
    """The first call initialises the module, which may become one of another class then, and compiles it."""
    compiled: list[Any] = []

    def call(*args: Any, **kwargs: Any) -> Any:
        if not compiled:
            if _initializes(module.__dict__):
                module._infer_parameters(module, args, kwargs)
            compiled.append(compile_now())
        return compiled[0](*args, **kwargs)

    return _with_parts(call, lambda: compiled[0].parts() if compiled else [])


def _with_parts(call: Any, parts: Callable[[], list[Any]]) -> Callable[..., Any]:
    call.parts = parts
    return call


class StandsForModule:
    """The class of every compiled module. `_orig_mod` is the module that was compiled."""

    _orig_mod: Any


class CompiledModule(StandsForModule):
    """Mixed into the class of every module that `quern.compile` compiled."""

    #: set in the class made for each compiled module
    _quern_module: torch.nn.Module
    _quern_call: Any
    _quern_compile: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Hooks of the module's own class are for the user's subclasses, not for this one."""

    @property
    def _orig_mod(self) -> torch.nn.Module:  # type: ignore[override]
        return type(self)._quern_module

    @property
    def dynamo_ctx(self) -> Compile:
        """What compiles other functions with the settings of this module, by the name under which trainers ask for it."""
        return type(self)._quern_compile  # type: ignore[no-any-return]

    def __setattr__(self, name: str, value: Any) -> None:
        """Who unwraps a model puts the module back under `_orig_mod`; in the one `__dict__` it would be a part of itself."""
        if name != "_orig_mod":
            super().__setattr__(name, value)
        elif value is not type(self)._quern_module:
            self._stand_for(value)

    def _stand_for(self, module: torch.nn.Module) -> None:
        """Be the compiled form of another module."""
        cls: Any = type(self)
        call = _call_of(module, cls._quern_compile)
        cls._quern_module, cls._quern_call, cls.__call__ = module, staticmethod(call), staticmethod(call)
        object.__setattr__(self, "__dict__", module.__dict__)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Checkpoints of modules that torch.compile wrapped have its name for the module in their keys."""
        wrapped = f"{prefix}_orig_mod."
        for key in [key for key in state_dict if key.startswith(wrapped)]:
            state_dict[prefix + key.removeprefix(wrapped)] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *rest)  # type: ignore[misc]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Saved as the plain module: compiled code belongs to a process. Loading needs no quern: the first of a tuple that
        holds the module is the module.
        """
        return operator.itemgetter(0), ((type(self)._quern_module,),)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy is compiled anew, with the same settings."""
        return compile_module(copy.deepcopy(type(self)._quern_module, memo), type(self)._quern_compile)

    def __copy__(self) -> Any:
        return compile_module(copy.copy(type(self)._quern_module), type(self)._quern_compile)


def _call_of(module: torch.nn.Module, compile_function: Compile) -> Any:
    """What calls the compiled form of a module. Who captures it with Dynamo (`torch.export`) captures the module's own call."""
    call: Any = compile_call(module, compile_function)
    call._torchdynamo_inline = type(module).__call__
    return call


def compile_module(module: torch.nn.Module, compile_function: Compile) -> torch.nn.Module:
    """The compiled form of `module`. Raises TypeError for a class that cannot be extended (conflicting layouts)."""
    if isinstance(module, StandsForModule):
        module = module._orig_mod
    cls = type(module)
    call = _call_of(module, compile_function)
    members = {
        "__call__": staticmethod(call),
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "_quern_module": module,
        "_quern_call": staticmethod(call),
        "_quern_compile": staticmethod(compile_function),
        "__jit_unused_properties__": [*getattr(cls, "__jit_unused_properties__", ()), "_orig_mod", "dynamo_ctx"],
        "__jit_ignored_attributes__": [*getattr(cls, "__jit_ignored_attributes__", ()), *_NOT_SCRIPTED],
    }
    make: Any = type(cls)
    made = make(cls.__name__, (CompiledModule, cls), members)
    compiled = object.__new__(made)
    object.__setattr__(compiled, "__dict__", module.__dict__)
    return compiled
