"""How compiled functions behave at present: the stance set by `quern.set_stance`, and regions that run as plain Python.

The usual case costs a call one look at `unusual`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

#: name -> what it does
STANCES = {
    "default": "compile as usual",
    "force_eager": "run plain Python",
    "eager_on_recompile": "use what was compiled; where nothing fits, run plain Python",
    "fail_on_recompile": "use what was compiled; where nothing fits, raise RecompileForbidden",
    "eager_then_compile": "run a function's first call as plain Python, compile it at the second",
}


@dataclass(frozen=True)
class Stance:
    """One stance. backend: what new captures are compiled with, in place of their own."""

    name: str = "default"
    backend: Any = None


DEFAULT = Stance()


class _Present:
    """The process's stance, and how many threads are in plain regions."""

    def __init__(self) -> None:
        self.stance = DEFAULT
        self.regions = 0
        self.unusual = False
        self.lock = threading.Lock()

    def _note(self) -> None:
        self.unusual = self.regions > 0 or self.stance.name in ("force_eager", "eager_then_compile")


present = _Present()
_thread = threading.local()


def put(stance: Stance) -> Stance:
    """Make `stance` the present one; the one before."""
    with present.lock:
        before, present.stance = present.stance, stance
        present._note()
    return before


def enter_plain() -> None:
    """This thread runs as plain Python until `leave_plain`."""
    _thread.depth = getattr(_thread, "depth", 0) + 1
    with present.lock:
        present.regions += 1
        present._note()


def leave_plain() -> None:
    """Undo one `enter_plain`."""
    _thread.depth -= 1
    with present.lock:
        present.regions -= 1
        present._note()


def runs_plain() -> bool:
    """Whether compiled functions called now are to run as plain Python."""
    return present.stance.name == "force_eager" or getattr(_thread, "depth", 0) > 0


def set_strict(mode: bool | None) -> bool | None:
    """Make graph breaks errors in this thread (True), allowed (False), or as each function says (None); the mode before."""
    before = strict()
    _thread.strict = mode
    return before


def strict() -> bool | None:
    """What `set_strict` set in this thread."""
    return getattr(_thread, "strict", None)
