"""Who is told what becomes of all compiled functions of the process, and the account that `quern run --report` prints."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import CodeType
from typing import TYPE_CHECKING

from .words import count

if TYPE_CHECKING:
    from .capture.breaks import BreakReason
    from .capture.entry.events import Compiled, Listener, Recompile

#: told of every compiled function, also of those that are there already
listeners: list[Listener] = []


@dataclass
class Journal:
    """Everything that happened, as text and numbers: it keeps none of the program's objects alive."""

    graphs: list[Compiled] = field(default_factory=list)
    breaks: list[BreakReason] = field(default_factory=list)
    recompiles: list[Recompile] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def compiled(self, event: Compiled) -> None:
        self.graphs.append(event)

    def broke(self, reason: BreakReason) -> None:
        self.breaks.append(reason)

    def recompiled(self, event: Recompile, code: CodeType) -> None:
        self.recompiles.append(event)

    def failed(self, text: str) -> None:
        self.failures.append(text)

    @property
    def is_empty(self) -> bool:
        return not (self.graphs or self.breaks or self.failures)

    def __str__(self) -> str:
        lines = [f"quern: report of process {os.getpid()}"]
        if not self.graphs:
            lines.append("  nothing was compiled")
        functions: dict[tuple[str, str], list[Compiled]] = {}
        for graph in self.graphs:
            functions.setdefault((graph.location, graph.function), []).append(graph)
        if self.graphs:
            lines.append(f"  compiled: {_sum(self.graphs)}")
        for (location, function), graphs in functions.items():
            lines.append(f"    {function} ({location}): {_sum(graphs)}")
        lines += _listed(
            "graph breaks", (_indented(str(reason).removeprefix("graph break: ")) for reason in self.breaks)
        )
        lines += _listed("recompilations", (_indented(str(event)) for event in self.recompiles))
        lines += _listed("left to plain Python", map(_indented, self.failures))
        return "\n".join(lines)


def _sum(graphs: list[Compiled]) -> str:
    parts = [count(len(graphs), "graph"), count(sum(g.ops for g in graphs), "op")]
    kernels = sum(g.kernels for g in graphs)
    if kernels:
        parts.append(count(kernels, "kernel"))
    cached = sum(g.cached for g in graphs)
    if cached:
        parts.append(f"{cached} found in the cache")
    return f"{', '.join(parts)}, {sum(g.seconds for g in graphs):.2f} s"


def _listed(title: str, texts: Iterable[str]) -> list[str]:
    found = list(texts)
    return [f"  {title}: {len(found) or 'none'}", *found]


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def report_at_exit() -> None:
    """Print to stderr, when the process ends, what was compiled. Processes that `quern run` did not start itself say nothing
    where nothing happened.
    """
    journal = Journal()
    listeners.append(journal)

    def report() -> None:
        started = os.environ.get("QUERN_REPORT") in ("1", str(os.getpid()))
        if started or not journal.is_empty:
            print(journal, file=sys.stderr)

    def begin_anew() -> None:
        for record in vars(journal).values():
            record.clear()

    atexit.register(report)
    os.register_at_fork(after_in_child=begin_anew)
