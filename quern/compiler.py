"""The public twin of the package's switches, for code that is used to `torch.compiler`: same names, same signatures."""

from __future__ import annotations

from .api import get_default_backend, reset, set_default_backend, set_stance
from .backends import list_backends
from .decorators import (
    allow_in_graph,
    assume_constant_result,
    disable,
    error_on_graph_break,
    graph_break,
    is_compiling,
    is_dynamo_compiling,
    is_exporting,
    mark_dynamic,
    mark_static,
    mark_static_address,
    maybe_mark_dynamic,
    skip,
    substitute_in_graph,
    wrap_numpy,
)

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "disable",
    "error_on_graph_break",
    "get_default_backend",
    "graph_break",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "list_backends",
    "mark_dynamic",
    "mark_static",
    "mark_static_address",
    "maybe_mark_dynamic",
    "reset",
    "set_default_backend",
    "set_stance",
    "skip",
    "substitute_in_graph",
    "wrap_numpy",
]
