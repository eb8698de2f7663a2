"""Putting quern in the place of torch.compile, and taking it out again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields
from types import ModuleType
from typing import Any

from . import decorators, imports, journal
from .api import compile, explain, get_default_backend, reset, set_default_backend, set_stance
from .backends import list_backends, lookup_backend
from .callbacks import callback_handler
from .capture.frontends import torch_doors, torch_dynamo_doors
from .config import Options
from .dynamo import quern_backend

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
    quern = doors.Quern(
        compile=compile,
        explain=explain,
        reset=reset,
        set_stance=set_stance,
        lookup_backend=_for_graph_modules,
        functions={
            "set_default_backend": set_default_backend,
            "get_default_backend": get_default_backend,
            "list_backends": list_backends,
            "substitute_in_graph": decorators.substitute_in_graph,
        },
        options=[f.name for f in fields(Options)],
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
    if _installed and "torch" in sys.modules:
        _installed.pop()()


def _for_graph_modules(name: str) -> Any:
    """A backend by name, as a function `(graph module, example inputs) -> callable`. Raises InvalidBackend."""
    found = lookup_backend(name)
    return quern_backend if found == "inductor" else found
