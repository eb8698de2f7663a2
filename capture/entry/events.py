"""What happens to compiled functions, for those who keep records of it: reports, counters, hooks."""

from __future__ import annotations

from dataclasses import dataclass
from types import CodeType
from typing import Protocol

from ...inductor.executable import Executable
from ..breaks import BreakReason


@dataclass(frozen=True)
class Compiled:
    """One compiled version of a function, or of what lies behind one of its breaks.

    ops: of its graph; kernels: generated for it; cached: its plan was found on the disk; seconds: capture and compilation
    """

    function: str
    location: str
    ops: int
    kernels: int
    cached: bool
    seconds: float

    @classmethod
    def of(cls, function: str, location: str, ops: int, made: Executable, seconds: float) -> Compiled:
        kernels, cached = (
            sum(r.kernels for r in made.records),
            bool(made.records) and all(r.cached for r in made.records),
        )
        return cls(function, location, ops, kernels, cached, seconds)


@dataclass(frozen=True)
class Recompile:
    """One capture beyond the first: which function, and the guard that failed in each entry there was."""

    function: str
    location: str
    failures: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"recompiling {self.function} ({self.location})"]
        lines += [f"  entry {i}: {text}" for i, text in enumerate(self.failures)]
        return "\n".join(lines)


class Listener(Protocol):
    """Is told what happens, when it happens."""

    def compiled(self, event: Compiled) -> None: ...

    def broke(self, reason: BreakReason) -> None:
        """A graph ends here, which was not known before."""

    def recompiled(self, event: Recompile, code: CodeType) -> None:
        """No version fits a call; another is about to be made. code: of the function"""

    def failed(self, text: str) -> None:
        """Something runs as plain Python that quern wanted to compile."""
