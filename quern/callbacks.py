"""Callbacks around compilations: `on_compile_start`, `on_compile_end`.

A callback takes no argument or one, a `CallbackArgs`. Both functions also work as decorators.
"""

from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class CallbackArgs:
    """What a callback is told: what started the compilation ("capture") and its running number."""

    callback_trigger: str
    compile_id: str


class _Thread(threading.local):
    """depth: compilations of this thread that have begun and not ended"""

    depth = 0


class CallbackHandler:
    """The registered callbacks. One instance, `callback_handler`, serves the process."""

    def __init__(self) -> None:
        self.start_callbacks: list[Callable[..., Any]] = []
        self.end_callbacks: list[Callable[..., Any]] = []
        self._ids = itertools.count()
        self._thread = _Thread()
        #: another handler whose callbacks to call, and what these are given: number -> arguments
        self._other: tuple[Any, Callable[[str], Any]] | None = None

    def run_start(self) -> CallbackArgs:
        """Call the start callbacks, unless this thread compiles already (a backend that compiles what it is given); the result goes to
        `run_end`.
        """
        args = CallbackArgs("capture", str(next(self._ids)))
        if self._thread.depth == 0:
            self._call(args, "start_callbacks")
        self._thread.depth += 1
        return args

    def run_end(self, args: CallbackArgs) -> None:
        """Call the end callbacks, where `run_start` called the others."""
        self._thread.depth -= 1
        if self._thread.depth == 0:
            self._call(args, "end_callbacks")

    def _call(self, args: CallbackArgs, which: str) -> None:
        for callback in list(getattr(self, which)):
            _call(callback, args)
        if self._other is not None:
            other, arguments = self._other
            for callback in list(getattr(other, which)):
                _call(callback, arguments(args.compile_id))

    def join(self, other: Any, arguments: Callable[[str], Any]) -> None:
        """Call the callbacks of another handler too, with arguments of its own kind, until `leave`."""
        self._other = other, arguments

    def leave(self) -> None:
        """Call its own callbacks alone."""
        self._other = None

    def clear(self) -> None:
        """Forget all callbacks."""
        self.start_callbacks.clear()
        self.end_callbacks.clear()


def _call(callback: Callable[..., Any], args: Any) -> None:
    if _takes_argument(callback):
        callback(args)
    else:
        callback()


def _takes_argument(callback: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) for p in parameters)


callback_handler = CallbackHandler()


def on_compile_start(callback: F) -> F:
    """Run `callback` before every compilation. Returns it, so that it can be used as a decorator.

    Raises TypeError for something that cannot be called.
    """
    callback_handler.start_callbacks.append(_checked(callback))
    return callback


def on_compile_end(callback: F) -> F:
    """Run `callback` after every compilation, also a failed one. Returns it.

    Raises TypeError for something that cannot be called.
    """
    callback_handler.end_callbacks.append(_checked(callback))
    return callback


def _checked(callback: Callable[..., Any]) -> Callable[..., Any]:
    if not callable(callback):
        raise TypeError(f"a compile callback must be callable, not {type(callback).__name__}")
    return callback
