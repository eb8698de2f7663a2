"""What captured graphs are handed to."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...config import Options
from ...errors import BackendFailed
from ...inductor.executable import Executable
from ...inductor.graph import Graph
from ..breaks import BreakReason
from ..frontend import Frontend
from .events import Listener


@dataclass(frozen=True)
class BackendContext:
    """What a backend may want to know beside the graph.

    frontend: the array framework of the graph (`frontend.runtime` runs ops); name: a readable name for the graph
    program: what the front end recorded of the program's own calls, where the backend asks for it (`Frontend.program`)
    symbols: the capture's, where what a backend concludes of sizes is guarded
    reason: the graph break that the graph ends at
    """

    frontend: Frontend | None
    options: Options
    name: str
    program: Any = None
    symbols: Any = None
    reason: BreakReason | None = None


#: (graph, example inputs, context) -> what runs the graph; a plain function stands for an Executable without a record
Backend = Callable[[Graph, Sequence[Any], BackendContext], "Executable | Callable[..., Any]"]


@dataclass(frozen=True)
class UserBackend:
    """A backend of the user's, or of the framework's registry.

    name:     what errors call it
    function: (module, example inputs) -> callable, where the module is the framework's own form of the program (`Frontend.call_backend`)
    settings: keyword arguments that it is called with
    language: "quern" for a function that takes graphs of quern; so does every one where the framework has no form of its own
    """

    name: str
    function: Callable[..., Any]
    language: str = "torch"
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wants_program(self) -> bool:
        """Whether the program's own calls are wanted."""
        return self.language != "quern"

    def __call__(self, graph: Graph, example_inputs: Sequence[Any], context: BackendContext) -> Executable:
        asked = functools.partial(self._ask, f"a graph of {context.name}")
        hand_over = getattr(context.frontend, "call_backend", None) if self.wants_program else None
        if hand_over is None:
            return Executable(asked(graph, example_inputs))
        return Executable(hand_over(asked, graph, example_inputs, context.program, context.symbols, context.reason))

    def _ask(self, where: str, module: Any, example_inputs: Sequence[Any]) -> Callable[..., Any]:
        try:
            made = self.function(module, example_inputs, **self.settings)
            if not callable(made):
                raise TypeError(f"a backend must return a callable, not {made!r}")
        except Exception as error:
            raise BackendFailed(self.name, error, where) from error
        return made


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
