"""Putting quern in the place of torch.compile, and taking it out again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import imports, journal
from .callbacks import callback_handler
from .capture.frontends import torch_doors, torch_dynamo_doors

#: takes quern out again, where it is installed
_installed: list[Callable[[], None]] = []


def install() -> None:
    """Make every name by which a program comes to torch.compile use quern, until `uninstall()`: `torch.compile`,
    `nn.Module.compile`, `torch.compiler`, and `torch._dynamo`, whether it is imported now or later. Imports torch.

    Names that a program has bound before lead to quern too. Options that only torch's compiler has are ignored with a warning.
    """
    if _installed:
        return
    doors = torch_doors()
    same = (
        "set_default_backend",
        "get_default_backend",
        "list_backends",
        "substitute_in_graph",
        "error_on_graph_break",
    )
    quern = doors.Quern(
        compile=_later("compile"),
        explain=_later("explain"),
        reset=_later("reset"),
        set_stance=_later("set_stance"),
        lookup_backend=_for_graph_modules,
        functions={name: _later(name) for name in same},
        callbacks=callback_handler,
        listeners=journal.listeners,
    )
    opened: list[ModuleType] = []

    def dynamo_is_there() -> None:
        opened.append(torch_dynamo_doors())
        opened[0].install(quern)

    def undo() -> None:
        imports.forget(dynamo_is_there)
        for module in opened:
            module.uninstall(quern)
        doors.replaced.undo()

    _installed.append(undo)
    try:
        doors.install(quern)
        imports.when_imported("torch._dynamo", dynamo_is_there)
    except BaseException:
        uninstall()
        raise


def uninstall() -> None:
    """Give torch its own compiler back. Does nothing when quern is not installed. What was compiled in between stays compiled."""
    if _installed:
        _installed.pop()()


def _later(name: str) -> Callable[..., Any]:
    """A function of quern's front door. The compiler is loaded when it is first called: many programs and worker processes import
    torch and compile nothing.
    """
    return lambda *args, **kwargs: getattr(_front(), name)(*args, **kwargs)


def _front() -> Any:
    return sys.modules[__package__]


def _for_graph_modules(name: str) -> Any:
    """A backend by name, as a function `(graph module, example inputs) -> callable`. Raises InvalidBackend."""
    found = _front().backends.lookup_backend(name)
    return _front().dynamo.quern_backend if found == "inductor" else found
