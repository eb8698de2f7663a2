"""What captured graphs are handed to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...config import Options
from ...inductor.executable import Executable
from ...inductor.graph import Graph
from ..frontend import Frontend
from .events import Listener


@dataclass(frozen=True)
class BackendContext:
    """What a backend may want to know beside the graph.

    frontend: the array framework of the graph (`frontend.runtime` runs ops); name: a readable name for the graph
    """

    frontend: Frontend | None
    options: Options
    name: str


#: (graph, example inputs, context) -> what runs the graph; a plain function stands for an Executable without a record
Backend = Callable[[Graph, Sequence[Any], BackendContext], "Executable | Callable[..., Any]"]


@dataclass
class Callbacks:
    """Functions to call around each compilation of a graph, with the function's name; and who is told of what happens."""

    on_start: list[Callable[[str], None]] = field(default_factory=list)
    on_end: list[Callable[[str], None]] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)

    def tell(self, what: str, *details: Any) -> None:
        """Call the method `what` of every listener."""
        for listener in self.listeners:
            getattr(listener, what)(*details)
