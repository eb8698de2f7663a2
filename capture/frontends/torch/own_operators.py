"""Operators of the program's own (`torch.library`), whose code may do more than compute: print, count, wait.

Where one raises in a graph, the program runs once more as plain Python, in which the error comes at its place. The operator has
run by then: there it raises what it raised, and is not run again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .schemas import FRAMEWORK

#: under this name an exception knows the call that raised it
_CALL = "_quern_call"


def own_name(fn: Any) -> str:
    """ "namespace::name" of an operator of the program's own, given itself, by one overload, or by what declared it; else ""."""
    fn = getattr(fn, "_opoverload", fn)
    if isinstance(fn, torch._ops.OpOverload):
        name = fn._schema.name
    elif isinstance(fn, torch._ops.OpOverloadPacket):
        name = fn._qualified_op_name
    else:
        return ""
    return "" if name.partition("::")[0] in FRAMEWORK else name


def note_call(error: Exception, own: tuple[str, int]) -> None:
    """Note which call raised: an operator's name, and how many calls of it came before. Called where it is caught first."""
    made = error.__traceback__
    error.__dict__[_CALL] = own, made and made.tb_next


def raising_again(error: Exception) -> contextlib.AbstractContextManager[Any]:
    """Around the program's plain run: what raised in the graph raises at its place."""
    own, traceback = error.__dict__.pop(_CALL, (None, None))
    return contextlib.nullcontext() if own is None else _Raising(error, own, traceback)


class _Raising(TorchDispatchMode):
    supports_higher_order_operators = True

    def __init__(self, error: Exception, own: tuple[str, int], traceback: TracebackType | None) -> None:
        super().__init__()
        self.error, self.traceback = error, traceback
        self.name, self.left = own

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if own_name(func) == self.name:
            self.left -= 1
            if self.left == -1:
                raise self.error.with_traceback(self.traceback)
        return func(*args, **(kwargs or {}))
