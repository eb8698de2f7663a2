"""How the evaluator stops: exceptions of the program, and graph breaks. A part of the Evaluator."""

from __future__ import annotations

from typing import Any

from ...errors import SourceLocation
from .. import locations
from ..breaks import Break, UserRaise
from ..values.base import Machine, Value
from ..values.constant import NONE, TRUE, ConstantValue
from ..values.exceptions import ExceptionValue
from ..values.literals import LITERAL_TYPES
from .type_lookup import message_name


class ErrorService:
    """See the module's text. Its `self` is the whole machine."""

    def raise_(self: Machine, cls: type[BaseException], *args: Any) -> UserRaise:
        """`raise ev.raise_(ValueError, "...")`: the program raises."""
        return UserRaise(ExceptionValue(self.class_info(cls), [self.from_python(a) for a in args]))

    def raise_value(self: Machine, cls: type[BaseException], *args: Value) -> UserRaise:
        return UserRaise(ExceptionValue(self.class_info(cls), list(args)))

    def type_error(self: Machine, text: str) -> UserRaise:
        return self.raise_(TypeError, text)

    def attribute_error(self: Machine, value: Value, name: str) -> UserRaise:
        return self.raise_(AttributeError, f"'{message_name(value.python_type())}' object has no attribute '{name}'")

    def user_exception(self: Machine, error: BaseException) -> UserRaise:
        """A real exception, raised by something pure that was done during capture, as the program's."""
        value = ExceptionValue(self.class_info(type(error)), [])
        value.args = [
            self.from_python(a) if type(a) in LITERAL_TYPES or type(a) is tuple else ConstantValue(str(a))
            for a in error.args
        ]
        return UserRaise(value)

    def stop_iteration_error(self: Machine, error: Value) -> Value:
        """What a StopIteration that leaves a generator becomes."""
        new = ExceptionValue(self.class_info(RuntimeError), [ConstantValue("generator raised StopIteration")])
        new.attrs["__cause__"] = new.attrs["__context__"] = error
        new.attrs["__suppress_context__"] = TRUE
        return new

    def note_raised(self: Machine, raised: UserRaise) -> None:
        """Bookkeeping of CPython's raise: the exception being handled becomes the context."""
        value = raised.value
        if raised.location is None:
            raised.location = locations.current(self, text=True)
            if (
                not raised.again
                and isinstance(value, ExceptionValue)
                and self.handled is not None
                and self.handled is not value
            ):
                _set_context(self, value, self.handled)

    def break_(self: Machine, code: str, what: str, why: str = "", rewrite: str = "", eager: bool = False) -> Break:
        """`raise ev.break_(...)`: this cannot be captured."""
        error = Break(code, what, why, rewrite, eager)
        self.locate(error)
        return error

    def branch_break(self: Machine, what: str) -> Break:
        """`raise ev.branch_break(...)`: a jump asks for a truth that only the running graph knows."""
        return self.break_(
            "data-dependent-branch", f"branching on {what}", "which way to go is known only when the graph runs",
            "use torch.where, or move the decision out of the compiled function",
        )  # fmt: skip

    def decimal_break(self: Machine, what: str) -> Break:
        """`raise ev.decimal_break(...)`: precision, rounding and what raises are the thread's, and what happened is noted there."""
        return self.break_("decimal", what, "the result depends on the thread's decimal context, which notes what happened",
                           "compute it outside of the compiled function")  # fmt: skip

    def break_globals(self: Machine) -> Value:
        raise self.break_("globals-dict", "taking a module's globals as a dict", "writes to it could not be followed")

    def locate(self: Machine, error: Break) -> None:
        """Note where in the user's code the break happened."""
        error.strict = self.strict
        error.nested = self.frame is not None and self.frame.parent is not None
        error.stack = locations.stack(self)
        error.location = error.stack[-1] if error.stack else SourceLocation("<unknown>", 0, "<unknown>")


def _set_context(ev: Machine, value: ExceptionValue, handled: Value) -> None:
    """`value` is raised while `handled` is being handled. A chain that leads back to `value` is cut there."""
    link, seen = handled, set()
    while isinstance(link, ExceptionValue) and link not in seen:
        seen.add(link)
        before = link.attrs.get("__context__", NONE)
        if before is value:
            link.store(ev, "__context__", NONE)
        link = before
    value.store(ev, "__context__", handled)
