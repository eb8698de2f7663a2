"""Functions and attributes with which a program talks to capture.

Attributes of functions, set by the public API:
    _quern_disable           call it for real: a graph break
    _quern_allow_in_graph    call it as one opaque node of the graph
    _quern_assume_constant   call it during capture and keep its result
"""

from __future__ import annotations

DISABLE = "_quern_disable"
ALLOW_IN_GRAPH = "_quern_allow_in_graph"
ASSUME_CONSTANT = "_quern_assume_constant"


def graph_break(message: str = "") -> None:
    """Break the graph here. Does nothing when the program is not being captured."""


def is_compiling() -> bool:
    """True in code that is being captured, False in plain Python."""
    return False
