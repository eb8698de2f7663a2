"""`quern run --all`: the outermost calls of modules are compiled, in programs that compile nothing themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch

from ..module import PLAIN_CALL
from .replacing import Replaced


class _Thread(threading.local):
    """inside: this thread runs a module's call"""

    inside = False


class _Program:
    """compiles: it compiled something itself"""

    compiles = False


_thread, _program = _Thread(), _Program()


def the_program_compiles() -> None:
    """It knows what it wants compiled: nothing more is, from now on."""
    _program.compiles = True


def install(replaced: Replaced, compile_call: Callable[[torch.nn.Module], Callable[..., Any]]) -> None:
    """Compile modules in place when they are first called from outside of any module."""
    _program.compiles = False

    def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        if _thread.inside or torch.compiler.is_compiling():
            return PLAIN_CALL(module, *args, **kwargs)
        scripted = isinstance(module, torch.jit.ScriptModule)  # compiled by TorchScript
        if module._compiled_call_impl is None and not _program.compiles and not scripted:
            module.__dict__["_compiled_call_impl"] = compile_call(module)  # whatever its class says of attributes
        _thread.inside = True
        try:
            return PLAIN_CALL(module, *args, **kwargs)
        finally:
            _thread.inside = False

    wrapped: Any = torch.nn.Module._wrapped_call_impl
    replaced.lead(wrapped, call)
