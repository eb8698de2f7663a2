"""What one capture found: the entry to be, as text and objects."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

from ...inductor.graph import Graph
from ..breaks import BreakReason
from ..frontend import Frontend
from ..guards.guards import Guard
from ..guards.varying import Varying
from ..machine.evaluator import Evaluator


@dataclass
class Captured:
    """What one capture found.

    graph:     what the frame computed up to its end or stop; None when it runs as plain Python
    checks:    what must hold for it to be used again
    names:     the entry's globals
    conditions, body: the entry's code: one expression per check, then statements
    outputs:   names that receive the graph's outputs
    inputs:    expressions of the graph's inputs
    reason:    the graph break it ends with
    varying:   what it took as fixed
    making:    what only the compilation of the graph needs; None once that is done
    references: objects that it is about: once one is gone, nothing can use it
    runs:      the graph must be run
    theirs:    by a backend of the user's
    writes:    what runs are the program's own calls (see `Frontend.program`), some of which write to arrays from outside
    """

    graph: Graph | None
    checks: list[Guard]
    names: dict[str, Any]
    conditions: list[str]
    fetch: list[str]
    inputs: list[str]
    outputs: list[str]
    body: list[str]
    frontend: Frontend | None
    varying: Varying
    making: Making | None
    reason: BreakReason | None = None
    seconds: float = 0.0
    references: list[weakref.ref[Any]] = field(default_factory=list)
    #: the program may catch what the graph raises
    handled: bool = False
    runs: bool = False
    theirs: bool = False
    writes: bool = False

    def guard_late(self) -> None:
        """Conditions for what the backend decided about symbolic sizes after the capture had ended."""
        assert self.making is not None
        for guard in self.making.ev.symbols.guards():
            if guard not in self.making.ev.guards:
                self.making.ev.guards.add(guard)
                self.checks.append(guard)
                self.conditions.append(guard.plain_text())

    def readable(self) -> tuple[str, ...]:
        """The conditions for people."""
        return tuple(guard.readable(self.names) for guard in self.checks)

    def finish(self) -> None:
        """The graph is compiled: let go of this call's objects."""
        if self.making is not None:
            self.making.ev.discard()
            self.making = None


@dataclass(frozen=True)
class Making:
    """The evaluator of a capture, the values of the graph's inputs in this call, and what the front end recorded of the program."""

    ev: Evaluator
    examples: list[Any]
    program: Any = None
