"""Putting quern in the place of torch.compile, and taking it out again."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from .module import compile_call

#: arguments of torch.compile that change nothing here: each compiled object keeps its own entries anyway
_IGNORED = ("isolate_recompiles",)
#: torch's debug backends that mean the same as quern's
_BACKENDS = {
    "aot_eager": "eager",
    "eager_noexcept": "eager",
    "aot_eager_decomp_partition": "eager",
    "cudagraphs": "inductor",
}

#: what was replaced: (owner, attribute, original)
_replaced: list[tuple[Any, str, Any]] = []


def install(
    compile_function: Callable[..., Any], options: Sequence[str], compiler: Mapping[str, Callable[..., Any]]
) -> None:
    """Make `torch.compile` and `nn.Module.compile` use `compile_function(model=None, *, ...)`, and `torch.compiler` the functions
    of `compiler`. options: the names that `compile_function` knows. Does nothing when installed.
    """
    if _replaced:
        return
    original = torch.compile

    @functools.wraps(original)
    def compile(model: Any = None, **settings: Any) -> Any:
        return compile_function(model, **_settings(settings, options))

    def compile_method(self: torch.nn.Module, *args: Any, **settings: Any) -> None:
        """Compile this module's calls, in place."""
        if args:
            raise TypeError("Module.compile() takes keyword arguments only")
        wanted = _settings(settings, options)
        self._compiled_call_impl = compile_call(self, lambda fn: compile_function(fn, **wanted))

    _replace(torch, "compile", compile)
    _replace(torch.nn.Module, "compile", compile_method)
    for name, function in compiler.items():
        if name in torch.compiler.__dict__:
            _replace(torch.compiler, name, function)


def uninstall() -> None:
    """Restore what `install` replaced. Modules compiled in between stay compiled."""
    while _replaced:
        owner, name, original = _replaced.pop()
        setattr(owner, name, original)


def _replace(owner: Any, name: str, new: Any) -> None:
    _replaced.append((owner, name, owner.__dict__[name]))
    setattr(owner, name, new)


def _settings(given: dict[str, Any], options: Sequence[str]) -> dict[str, Any]:
    """torch.compile's arguments as quern's compile takes them."""
    found = {k: v for k, v in given.items() if k not in _IGNORED}
    if found.get("shapes_spec", False) is None:
        del found["shapes_spec"]
    if isinstance(found.get("backend"), str):
        found["backend"] = _BACKENDS.get(found["backend"], found["backend"])
    wanted = found.get("options")
    if wanted:
        unknown = [k for k in wanted if k not in options]
        if unknown:
            warnings.warn(f"quern has no option {', '.join(map(repr, unknown))}: ignored", stacklevel=3)
        found["options"] = {k: v for k, v in wanted.items() if k in options} or None
    return found
