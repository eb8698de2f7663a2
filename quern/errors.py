"""Every error quern raises on purpose.

Two roots tell whose fault it is: `UserError` (something in the program or its environment can be
changed to make it work) and `InternalError` (a defect in quern; the message asks for a report).
Each message says what happened, where in the user's code, and what to do next.
"""

from __future__ import annotations

import linecache
import os
import sys
import types
import warnings
from dataclasses import dataclass
from typing import Any


class _Root(Exception):
    """What lets `QuernError` have other parents beside it (see `quern.install`): Python exchanges classes of its own kind only."""


class QuernError(_Root):
    """Root of all errors raised by quern. Made, shown and copied as exceptions are, whatever parents it has beside."""

    def __init__(self, *args: Any) -> None:
        Exception.__init__(self, *args)

    __str__ = Exception.__str__
    __reduce__ = Exception.__reduce__
    __setstate__ = Exception.__setstate__

    @property
    def msg(self) -> str:
        """The message, by the name that torch's errors have for it."""
        return str(self)


class UserError(QuernError):
    """The program, an argument or the environment must change."""


class InternalError(QuernError):
    """A defect in quern itself. The message names the stage and asks for a report."""


class InvalidBackend(UserError):
    """No backend has the given name."""


class InvalidOption(UserError):
    """`mode=` or `options=` holds something unknown, or both were given."""


class UnsupportedPython(UserError):
    """The running Python's bytecode is not known to quern."""


class CompilerNotFound(UserError):
    """No C++ compiler was found, and the kernel is not in the cache."""


class CompilerFailed(InternalError):
    """The C++ or Triton compiler rejected a generated kernel."""


class CacheError(UserError):
    """The cache folder or an entry cannot be used as asked."""


class UnsafeCacheDirectory(CacheError):
    """The cache folder can be written by other users: nothing executable is loaded from it."""


class BackendFailed(UserError):
    """A backend raised while compiling a graph; the original error is the cause.

    backend_name:    the backend's name
    inner_exception: what it raised
    """

    def __init__(self, backend_name: str, inner_exception: BaseException, where: str = "") -> None:
        self.backend_name = backend_name
        self.inner_exception = inner_exception
        self.where = where
        super().__init__(backend_name, inner_exception, where)

    def __str__(self) -> str:
        lines = [
            f"backend={self.backend_name!r} raised:",
            f"{type(self.inner_exception).__name__}: {self.inner_exception}",
        ]
        if self.where:
            lines.append(f"  while it compiled {self.where}")
        return "\n".join(lines)


class LoweringError(InternalError):
    """An op of the graph has neither a decomposition nor a lowering, or its lowering failed."""


class SpecializationError(UserError):
    """A dimension marked dynamic was forced to one value by the program."""


class RecompileLimitExceeded(UserError):
    """Raised under `fullgraph=True` when a function was compiled too often."""


class RecompileForbidden(UserError, RuntimeError):
    """Something would have to be compiled under the stance `fail_on_recompile`."""


@dataclass(frozen=True)
class SourceLocation:
    """Where in the user's code something stands. `text` is the source line, stripped; looked up when empty."""

    file: str
    line: int
    function: str
    text: str = ""

    @property
    def short(self) -> str:
        """File and line, without the folder."""
        return f"{os.path.basename(self.file)}:{self.line}"

    def __str__(self) -> str:
        head = f'File "{self.file}", line {self.line}, in {self.function}'
        text = self.text or linecache.getline(self.file, self.line).strip()
        return f"{head}\n    {text}" if text else head


class Unsupported(UserError):
    """Capture met something it cannot put into the graph (an error only under `fullgraph=True`).

    code:     a stable short name of the kind of break, e.g. ``"data-dependent-branch"``
    what:     one sentence: what was met
    why:      one sentence: why it cannot be captured
    rewrite:  the smallest change that would let it be captured
    location: the innermost line of the user's own code
    """

    def __init__(
        self,
        code: str,
        what: str,
        *,
        why: str = "",
        rewrite: str = "",
        location: SourceLocation | None = None,
    ) -> None:
        self.code = code
        self.what = what
        self.why = why
        self.rewrite = rewrite
        self.location = location
        super().__init__(code, what)

    def __str__(self) -> str:
        lines = [f"cannot capture in one graph: {self.what} [{self.code}]"]
        if self.location is not None:
            lines.append(f"  {str(self.location)}".replace("\n", "\n  "))
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.rewrite:
            lines.append(f"  try: {self.rewrite}")
        return "\n".join(lines)


_HERE = os.path.dirname(os.path.abspath(__file__))
#: where our own frames come from: generated code, and the rooms (folders inside of this one, or beside it in a checkout)
_OURS = (
    "<quern",
    _HERE + os.sep,
    *(os.path.join(os.path.dirname(_HERE), room, "") for room in ("capture", "inductor", "kernels", "cache")),
)


def callers_frame() -> types.FrameType:
    """The innermost frame that is not ours: where the user's program called quern."""
    return _outwards()[0]


def _outwards() -> tuple[types.FrameType, int]:
    """The user's frame, and how many frames it is out from the one that asks for it."""
    frame, level = sys._getframe(2), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame, level = frame.f_back, level + 1
    return frame, level


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """A warning that names the line of the user's program from which quern was called."""
    warnings.warn(message, category, stacklevel=_outwards()[1] + 1)
