"""Entries: the compiled versions of a function, each with its guards, and what is said when none of them fits a call."""

from __future__ import annotations

import functools
import itertools
import linecache
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...inductor.executable import Executable
from ...inductor.graph import Graph
from ..guards.guards import explain, failing
from .captured import Captured
from .region import Region


class _Miss:
    def __repr__(self) -> str:
        return "MISS"


#: what an entry answers when its guards do not hold
MISS = _Miss()


@dataclass(eq=False)
class Entry:
    """One compiled version: code that checks its guards, then runs.

    source: the generated Python; captured: what it was made from; parameters: of the generated code
    watched: references whose ends make it useless (see `Dispatcher.watch`)
    """

    run: Callable[..., Any]
    source: str
    captured: Captured
    number: int
    parameters: tuple[str, ...]
    executable: Executable | None = None
    compile_seconds: float = 0.0
    watched: list[weakref.ref[Any]] = field(default_factory=list)
    #: it stands for inputs that could not be compiled: it stays behind all others
    gives_up: bool = False

    @property
    def graph(self) -> Graph | None:
        return self.captured.graph

    @property
    def is_plain(self) -> bool:
        """The region runs as plain Python."""
        return self.captured.graph is None

    @functools.cached_property
    def failing(self) -> Callable[..., tuple[int, str]]:
        """See `guards.failing`. Made when a call first comes to no entry."""
        return failing(self.captured.conditions, self.parameters, self.captured.names)

    @functools.cached_property
    def places(self) -> Callable[..., list[Any]]:
        """See `Varying.reader`."""
        return self.captured.varying.reader(self.parameters, self.captured.names)

    def holds(self, values: tuple[Any, ...]) -> bool:
        """Whether all guards hold for these arguments."""
        return self.failing(*values)[0] < 0

    def why_not(self, values: tuple[Any, ...]) -> str:
        """The first guard that fails for these arguments, in the user's words; "" when all hold."""
        position, error = self.failing(*values)
        if position < 0:
            return ""
        return explain(
            self.captured.checks[position], {**self.captured.names, **dict(zip(self.parameters, values))}, error
        )

    @property
    def is_dead(self) -> bool:
        """Whether an object that it is about is gone, so that its guards can never hold again."""
        return any(reference() is None for reference in self.captured.references)

    def drop(self) -> None:
        """It is not asked any more: what remains is the record of a compilation."""
        self.run = _never
        self.captured.names = {}
        self.captured.references = []
        self.watched.clear()
        self.__dict__.pop("failing", None)
        self.__dict__.pop("places", None)
        linecache.cache.pop(filename_of(self.number), None)


def _never(*values: Any) -> Any:
    """The code of an entry that was dropped."""
    return MISS


def filename_of(number: int) -> str:
    """What tracebacks call the code of an entry."""
    return f"<quern entry {number}>"


#: numbers of entries, each used once in the process
NUMBERS = itertools.count()


def entry_source(region: Region, captured: Captured) -> str:
    """The entry as Python text: guards, then the body."""
    params = ", ".join(region.names)
    test = "\n            and ".join(captured.conditions) or "True"
    lines = [
        f"def entry({params}):",
        "    try:",
        "        if not (",
        f"            {test}",
        "        ):",
        "            return _MISS",
        "    except Exception:",
        "        return _MISS",
        *(f"    {line}" for line in captured.fetch),
    ]
    if not captured.runs:
        lines += [f"    {line}" for line in captured.body]
        return "\n".join(lines) + "\n"
    called = f"_graph({', '.join(captured.inputs)})"
    lines += [
        "    try:",
        f"        {', '.join(captured.outputs)}, = {called}" if captured.outputs else f"        {called}",
        "    except Exception as _error:",
        "        _failed = _error",
        "    else:",
        *(f"        {line}" for line in captured.body),
        # outside of the handler: what plain Python raises must not have been raised while handling this
        f"    return {', '.join(['_raised(_failed', *region.names])})",
    ]
    return "\n".join(lines) + "\n"
