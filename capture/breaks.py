"""How capture stops: graph breaks, symbolic exceptions, restarts, and the records of what was met.

Four things travel as Python exceptions inside capture, and nothing else does:

  Break      something cannot be captured here; becomes a graph break or, under `fullgraph`, `Unsupported`
  UserRaise  the *program* raises: unwound through the exception table of its frames, like the real one
  Restart    the capture learnt where it must stop, and begins anew with that knowledge
  NotConstant  a value has no constant form (always caught close by)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import SourceLocation, Unsupported


class NotConstant(Exception):
    """The value is not known as a Python constant."""


#: codes of breaks at what only the data decides
OF_DATA = frozenset(f"data-dependent-{what}" for what in ("branch", "scalar", "shape", "size", "text", "value"))


class Break(Exception):
    """Capture cannot go on at this instruction. Fields as in `errors.Unsupported`.

    eager: the program is expected to raise a real error here: plain Python shall raise it
    """

    def __init__(self, code: str, what: str, why: str = "", rewrite: str = "", eager: bool = False) -> None:
        super().__init__(code, what)
        self.code = code
        self.what = what
        self.why = why
        self.rewrite = rewrite
        self.eager = eager
        self.location: SourceLocation | None = None
        self.stack: tuple[SourceLocation, ...] = ()
        #: of a loop that plain Python shall run as a whole: where it is left
        self.exits: tuple[int, ...] = ()
        #: it happened inside an inlined call
        self.nested = False
        #: whether the program made breaks errors, or allowed them, where it happened; None: neither
        self.strict: bool | None = None


class UserRaise(Exception):
    """The captured program raises `value`, an exception instance modelled as a Value."""

    def __init__(self, value: Any, again: bool = False) -> None:
        super().__init__()
        self.value = value
        #: raised before: its context stays
        self.again = again
        #: innermost place, for messages
        self.location: SourceLocation | None = None


class Restart(BaseException):
    """Begin the capture anew: the attempt learnt what it must assume (see `symbols.Assumptions`). No handler of the
    program's or a framework's errors may catch it.

    error: what to raise to the caller instead
    """

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error


@dataclass(frozen=True)
class BreakReason:
    """One graph break: a stable code, what was met and why, where, and the smallest rewrite.

    stack: the user's frames, outermost first; the last one is `location`
    """

    code: str
    what: str
    why: str = ""
    rewrite: str = ""
    location: SourceLocation | None = None
    stack: tuple[SourceLocation, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, error: Break) -> BreakReason:
        return cls(error.code, error.what, error.why, error.rewrite, error.location, error.stack)

    def unsupported(self) -> Unsupported:
        """The error that `fullgraph=True` raises for this break."""
        why, rewrite = _one_line(self.why) or _WHY, _one_line(self.rewrite) or _REWRITE
        return Unsupported(self.code, _one_line(self.what), why=why, rewrite=rewrite, location=self.location)

    def __str__(self) -> str:
        return str(self.unsupported()).replace("cannot capture in one graph", "graph break", 1)


#: what a break says that has nothing special to say
_WHY = "quern does not model it"
_REWRITE = "move it out of the compiled function, or into one marked with quern.disable"
#: characters of one part of a message
_LONGEST = 300


def _one_line(text: str) -> str:
    text = " ".join(str(text).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
