"""The names of `torch`, `torch.nn.Module` and `torch.compiler`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch

from .....config import Options, config
from .....errors import UserError, warn
from ..module import compile_call
from ..optimized_module import around
from . import callers, everything
from .replacing import Replaced, copy_of

if TYPE_CHECKING:
    from ....entry.events import Listener

#: arguments of torch.compile that change nothing here: each compiled object keeps its own entries anyway
_IGNORED = ("isolate_recompiles",)
#: variables by which users turn torch.compile off
_DISABLING = ("TORCH_COMPILE_DISABLE", "TORCHDYNAMO_DISABLE")


@dataclass(frozen=True)
class Quern:
    """What torch's names lead to. callbacks: `quern.callbacks.callback_handler`

    lookup_backend: a backend for graph modules, by name
    functions: those of `torch.compiler` and `torch._dynamo` that have the same names and arguments
    """

    compile: Callable[..., Any]
    explain: Callable[..., Any]
    reset: Callable[[], None]
    set_stance: Callable[..., Any]
    lookup_backend: Callable[[Any], Any]
    functions: Mapping[str, Callable[..., Any]]
    callbacks: Any
    listeners: list[Listener]


replaced = Replaced()

#: names of `torch.compiler` whose work has no counterpart -> why, and whether that leaves the caller without a result
_WITHOUT = {
    "cudagraph_mark_step_begin": ("quern records no CUDA graphs", False),
    "set_enable_guard_collectives": ("guards are of one process; ranks do not wait for each other", False),
    "save_cache_artifacts": ("quern keeps its kernels on disk: see `quern cache export`", False),
    "load_cache_artifacts": ("quern keeps its kernels on disk: see `quern cache import`", False),
    "load_compiled_function": ("quern saves no compiled functions; its kernels are on disk already", True),
}

#: the backends that quern serves itself, or chooses; the options of every other are its own, and are handed to it as they are
_WITH_OPTIONS_OF_QUERN = (None, "inductor", "eager", "quern")


def install(quern: Quern) -> None:
    """Make `torch.compile`, `nn.Module.compile` and `torch.compiler` lead to quern."""
    native = copy_of(torch.compile)  # type: ignore[arg-type]

    def compile(model: Any = None, **settings: Any) -> Any:
        if callers.is_torch():
            return native(model, **settings)
        everything.the_program_compiles()
        made = quern.compile(model, **compile_settings(settings))
        return around(made, settings) if model is not None else lambda given: around(made(given), settings)

    def compile_method(self: torch.nn.Module, *args: Any, **settings: Any) -> None:
        if args:
            raise TypeError("Module.compile() takes keyword arguments only")
        everything.the_program_compiles()
        wanted = compile_settings(settings)
        self._compiled_call_impl = compile_call(self, lambda fn: quern.compile(fn, **wanted), in_place=True)

    replaced.function(torch, "compile", compile)
    replaced.function(torch.nn.Module, "compile", compile_method)
    replaced.function(torch.compiler, "set_stance", quern.set_stance)
    for name, function in {**quern.functions, "reset": quern.reset}.items():
        if name in torch.compiler.__dict__:
            replaced.function(torch.compiler, name, function)
    for name, (why, fatal) in _WITHOUT.items():
        if name in torch.compiler.__dict__:
            replaced.function(torch.compiler, name, without(f"torch.compiler.{name}", why, fatal))
    if config.compile_all:
        everything.install(replaced, lambda module: compile_call(module, quern.compile, in_place=True))


def without(name: str, why: str, fatal: bool, native: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """What a name without a counterpart does: it says so, once. fatal: it raises; native: it does torch's part."""
    said: list[bool] = []

    def say(*args: Any, **kwargs: Any) -> Any:
        if fatal:
            raise UserError(
                f"{name}() has no counterpart in quern, which is installed in the place of torch.compile: {why}"
            )
        if not said and not callers.is_torch():
            said.append(True)
            warn(f"quern: {name}() changes nothing for what quern compiles: {why}")
        return None if native is None else native(*args, **kwargs)

    return say


def compile_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """torch.compile's arguments as quern's compile takes them."""
    found = {k: v for k, v in given.items() if k not in _IGNORED}
    if any(os.environ.get(name) == "1" for name in _DISABLING):
        found["disable"] = True
    if found.get("shapes_spec", False) is None:
        del found["shapes_spec"]
    wanted = found.get("options")
    if wanted and found.get("backend") in _WITH_OPTIONS_OF_QUERN:
        options = [f.name for f in fields(Options)]
        unknown = [k for k in wanted if k not in options]
        if unknown:
            if found.get("backend") != "eager" and found.get("mode") is None:
                _refuse_as_torch({k: wanted[k] for k in unknown})
            warn(f"quern has no option {', '.join(map(repr, unknown))}: ignored")
        found["options"] = {k: v for k, v in wanted.items() if k in options}
    return found


def _refuse_as_torch(options: Mapping[str, Any]) -> None:
    """Raise what torch.compile raises for options that its compiler does not know, or of another type. Imports that compiler."""
    asked = object.__new__(torch._TorchCompileInductorWrapper)
    asked.config = {}
    asked.apply_options(dict(options))
