"""Functions and attributes with which a program talks to capture.

Attributes of functions, set by the public API:
    _quern_disable           call it for real: a graph break
    _quern_allow_in_graph    call it as one opaque node of the graph
    _quern_assume_constant   call it during capture and keep its result
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from . import stance

DISABLE = "_quern_disable"
REASON = "_quern_disable_reason"
ALLOW_IN_GRAPH = "_quern_allow_in_graph"
ASSUME_CONSTANT = "_quern_assume_constant"

#: what functions have that are to be called for real, torch's own mark included
MARKS_DISABLED = frozenset((DISABLE, "_torchdynamo_disable"))

#: function -> the Python function that is captured in its place, and whether calls on constants are made during capture
SUBSTITUTES: dict[Any, tuple[Callable[..., Any], bool]] = {}


def graph_break(msg: str = "") -> None:
    """Break the graph here. Does nothing when the program is not being captured."""


def is_compiling() -> bool:
    """True in code that is being captured, False in plain Python."""
    return False


def is_dynamo_compiling() -> bool:
    """As `is_compiling`: quern captures from bytecode as Dynamo does."""
    return False


def is_exporting() -> bool:
    """False: quern does not export programs."""
    return False


class error_on_graph_break:  # noqa: N801 - a context manager, named as torch names it
    """Inside, and in functions decorated with it, a graph break is an error (True) or allowed (False), whatever
    `fullgraph` says. Works inside of compiled functions and around their calls.
    """

    def __init__(self, error_on_graph_break: bool) -> None:
        if not isinstance(error_on_graph_break, bool):
            raise TypeError(f"error_on_graph_break takes True or False, not {type(error_on_graph_break).__name__}")
        self.mode = error_on_graph_break

    def __enter__(self) -> None:
        self.before = stance.set_strict(self.mode)

    def __exit__(self, *error: Any) -> None:
        stance.set_strict(self.before)

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        mode = self.mode

        @functools.wraps(fn)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with error_on_graph_break(mode):
                return fn(*args, **kwargs)

        return inside
