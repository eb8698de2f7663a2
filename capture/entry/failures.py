"""Failures of quern itself, and how it gives up.

Under `fullgraph=True`, or with `config.on_error = "raise"`, a failure raises. Else the call that met it runs as plain Python, a
warning says so once, and the next call that no compiled version fits is tried again. After `ATTEMPTS` failures of one code
object the inputs that lead to one are left to plain Python: an entry keeps them from being tried again, under
the guards of the attempt that failed. Other inputs are captured as before, so that an odd one does not spoil the rest; after
`MOST` failures quern leaves what no compiled version fits to plain Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import InternalError, QuernError, SourceLocation, UserError

if TYPE_CHECKING:
    from .captured import Captured

#: failures of one code object before inputs that lead to one are left to plain Python
ATTEMPTS = 3
#: failures of one code object after which no further version of it is tried
MOST = 64


class CallbackRaised(Exception):
    """A callback of the program's around a compilation raised; the cause is the program's own error. Never leaves `dispatch`."""


class CompileFailure(Exception):
    """A region could not be captured or compiled, through no fault of the program. Never leaves `dispatch`.

    error:    what was raised
    location: the innermost line of the user's code that was being captured
    plain:    an entry for inputs like these: the guards so far, then plain Python; None where that is not known
    what:     what quern did, after its name
    """

    def __init__(
        self, error: Exception, location: SourceLocation, plain: Captured | None, what: str = "could not compile {}"
    ) -> None:
        super().__init__(error)
        self.what = what
        self.error = error
        self.location = location
        self.plain = plain

    @property
    def kind(self) -> tuple[str, type, SourceLocation]:
        """What makes it another failure than an earlier one: texts may differ in numbers."""
        return self.what, type(self.error), self.location

    def described(self, name: str) -> str:
        """What happened, and where."""
        first, *rest = str(self.error).splitlines() or [""]
        lines = [f"quern {self.what.format(name)} ({type(self.error).__name__}: {first})", *rest]
        where = str(self.location)
        if where not in str(self.error):
            lines.append("  " + where.replace("\n", "\n  "))
        return "\n".join(lines)

    def warning(self, name: str) -> str:
        """What the user is told once."""
        head, *rest = self.described(name).split("\n")
        return "\n".join(
            [
                f"{head}; this call runs as plain Python.",
                *rest,
                f"  Calls that no compiled version fits are tried again; what fails {ATTEMPTS} times stays plain Python.",
                *self._advice(),
                "  To see more: quern.config.on_error = 'raise' (or QUERN_ON_ERROR=raise) raises the error with its traceback.",
            ]
        )

    def raised(self, name: str) -> QuernError:
        """What is raised instead: quern's own errors as they are."""
        if isinstance(self.error, QuernError):
            return self.error
        return InternalError("\n".join([self.described(name), *self._advice()]))

    def discard(self) -> None:
        """Let go of the call's objects: tracebacks hold the frames of the attempt, and those hold everything."""
        if self.plain is not None:
            self.plain.finish()
        error: BaseException | None = self.error
        while error is not None:
            error.__traceback__ = None
            error = error.__cause__ or error.__context__

    def _advice(self) -> list[str]:
        if isinstance(self.error, UserError):
            return []
        return ["  This is a defect of quern: please report these lines, with what `quern info` prints."]
