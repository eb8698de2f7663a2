"""The public twin of the package's switches, for code that is used to `torch.compiler`: same names, same signatures."""

from __future__ import annotations

from .api import (
    allow_in_graph,
    assume_constant_result,
    disable,
    graph_break,
    is_compiling,
    reset,
)
from .backends import list_backends

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "disable",
    "graph_break",
    "is_compiling",
    "list_backends",
    "reset",
]
