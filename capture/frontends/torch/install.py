"""Putting quern in the place of torch.compile, and taking it out again."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from .module import compile_call

#: arguments of torch.compile that quern's compile takes too; of the others, `name` labels things, and each compiled
#: object keeps its own entries anyway
_ACCEPTED = ("fullgraph", "dynamic", "backend", "mode", "options", "disable")
_IGNORED = ("name", "isolate_recompiles", "recompile_limit")

#: what was replaced: (owner, attribute, original)
_replaced: list[tuple[Any, str, Any]] = []


def install(compile_function: Callable[..., Any]) -> None:
    """Make `torch.compile` and `nn.Module.compile` use `compile_function(model=None, *, ...)`. Does nothing when installed."""
    if _replaced:
        return
    original = torch.compile

    @functools.wraps(original)
    def compile(model: Any = None, **settings: Any) -> Any:
        return compile_function(model, **_settings(settings))

    def compile_method(self: torch.nn.Module, *args: Any, **settings: Any) -> None:
        """Compile this module's calls, in place."""
        if args:
            raise TypeError("Module.compile() takes keyword arguments only")
        wanted = _settings(settings)
        self._compiled_call_impl = compile_call(self, lambda fn: compile_function(fn, **wanted))

    _replace(torch, "compile", compile)
    _replace(torch.nn.Module, "compile", compile_method)


def uninstall() -> None:
    """Restore what `install` replaced. Modules compiled in between stay compiled."""
    while _replaced:
        owner, name, original = _replaced.pop()
        setattr(owner, name, original)


def is_installed() -> bool:
    return bool(_replaced)


def _replace(owner: Any, name: str, new: Any) -> None:
    _replaced.append((owner, name, owner.__dict__[name]))
    setattr(owner, name, new)


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    unknown = [k for k in given if k not in _ACCEPTED and k not in _IGNORED]
    if unknown:
        raise TypeError(f"torch.compile (quern) got an unexpected keyword argument {unknown[0]!r}")
    return {k: v for k, v in given.items() if k in _ACCEPTED}
