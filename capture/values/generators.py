"""Generators: frames that wait.

A generator that nobody holds any more is closed at once, and what its `finally` and `with` blocks do is seen. Python's count of
references does that here too: our Value of a generator dies when the program drops the generator, and reports itself.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from ..breaks import UserRaise
from .attribute_text import keywords
from .base import Value
from .constant import FALSE, NONE, TRUE
from .iterators import IteratorValue

if TYPE_CHECKING:
    from ..machine.frames import Frame
    from .base import Emitter, Machine
    from .functions import FunctionValue


class GeneratorValue(IteratorValue):
    """A generator made during capture. `result` is what it returned, once `finished`."""

    __slots__ = ("frame", "started", "running", "finished", "result", "handled", "function", "arguments", "abandoned")

    cls = types.GeneratorType

    def __init__(self, frame: Frame, function: FunctionValue, arguments: Any, abandoned: list[GeneratorValue]) -> None:
        self.source = None
        self.frame = frame
        self.function = function
        #: (args, kwargs) of the call that made it: enough to make it again before it starts
        self.arguments = arguments
        self.started = self.running = self.finished = False
        self.result: Value = NONE
        #: the exception that it is handling while it waits
        self.handled: Value | None = None
        #: the capture's list of generators that nobody holds and that have something left to do
        self.abandoned = abandoned

    def __del__(self) -> None:
        if self.has_pending:
            self.abandoned.append(self)

    @property
    def has_pending(self) -> bool:
        """Closing it runs code of the program's: it waits in a `try` or `with`."""
        waits = self.started and not self.finished and not self.running
        return waits and self.frame.view.handlers[self.frame.pc - 1] is not None

    def describe(self) -> str:
        return f"the generator {self.function.name}"

    def next_(self, ev: Machine) -> Value | None:
        return self.resume(ev, NONE)

    def resume(self, ev: Machine, sent: Value, error: UserRaise | None = None) -> Value | None:
        """Send a value or throw an exception in: the next value it yields, or None when it ended (see `result`)."""
        if self.running:
            raise ev.raise_(ValueError, "generator already executing")
        if self.finished:
            if error is not None:
                raise error
            self.result = NONE
            return None
        if not self.started:
            if not ev.is_none(sent):
                raise ev.type_error("can't send non-None value to a just-started generator")
            self.started = True
            self.arguments = None
        else:
            self.frame.push(sent)  # also where an exception is thrown in: its handler counts on it, as in CPython
        outer = ev.handled
        if self.handled is not None:
            ev.handled = self.handled
        self.running = True
        try:
            found = ev.run(self.frame, error)
        except UserRaise as raised:
            self.finished = True
            if issubclass(raised.value.python_type(), StopIteration):
                raise UserRaise(ev.stop_iteration_error(raised.value)) from None
            raise
        finally:
            self.running = False
            self.frame.parent = None  # holds the variables of whoever asked
            self.handled = ev.handled if ev.handled is not outer else None
            ev.handled = outer
        if self.frame.done:
            self.finished = True
            self.result = found
            self._let_go(ev)
            return None
        return found

    def _let_go(self, ev: Machine) -> None:
        """It has ended, and holds nothing any more: generators among its variables may be held by nobody now."""
        self.frame.slots = {}
        self.frame.stack.clear()
        if ev.abandoned:
            ev.close_abandoned()

    def throw(self, ev: Machine, error: UserRaise) -> Value | None:
        inner = self._delegate()
        if inner is None or self.finished or not self.started:
            return self.resume(ev, NONE, error)
        return self._throw_inside(ev, inner, error)

    def _throw_inside(self, ev: Machine, inner: Value, error: UserRaise) -> Value | None:
        """`yield from` passes exceptions on to what it delegates to."""
        try:
            if isinstance(inner, GeneratorValue):
                if issubclass(error.value.python_type(), GeneratorExit):
                    inner.close(ev)
                else:
                    found = inner.throw(ev, error)
                    if found is not None:
                        return found
                    return self._finish_delegate(ev, inner.result)
        except UserRaise as raised:
            error = raised
        return self.resume(ev, NONE, error)

    def _finish_delegate(self, ev: Machine, result: Value) -> Value | None:
        """The inner iterator returned while an exception was thrown in: go on behind the SEND."""
        frame = self.frame
        send = frame.view.instructions[frame.pc - 2]
        frame.stack.pop()
        frame.pc = send.arg
        return self.resume(ev, result)

    def _delegate(self) -> Value | None:
        """What `yield from` waits for; None when the generator waits in a plain `yield`."""
        frame = self.frame
        if not self.started or self.finished or frame.pc < 2:
            return None
        if (
            frame.view.instructions[frame.pc - 2].op == "SEND"
            and frame.view.instructions[frame.pc - 1].op == "YIELD_VALUE"
        ):
            return frame.stack[-1]
        return None

    def close(self, ev: Machine) -> None:
        if self.finished:
            return
        if not self.started:
            self.finished = True
            return
        try:
            found = self.throw(ev, ev.raise_(GeneratorExit))
        except UserRaise as raised:
            if not issubclass(raised.value.python_type(), (GeneratorExit, StopIteration)):
                raise
            raised.__traceback__ = None  # our frames, which hold this generator
            found = None
        if self.finished:
            self._let_go(ev)
        if found is not None:
            raise ev.raise_(RuntimeError, "generator ignored GeneratorExit")

    def _found(self, ev: Machine, found: Value | None) -> Value:
        if found is None:
            raise ev.raise_value(StopIteration, *([] if ev.is_none(self.result) else [self.result]))
        return found

    def m_send(self, ev: Machine, value: Value) -> Value:
        return self._found(ev, self.resume(ev, value))

    def m___next__(self, ev: Machine) -> Value:
        return self._found(ev, self.resume(ev, NONE))

    def m_throw(self, ev: Machine, error: Value, value: Value = NONE, tb: Value = NONE) -> Value:
        made = error if ev.is_none(value) else value
        if ev.isinstance(made, type):
            made = ev.call(made, [], {})
        return self._found(ev, self.throw(ev, UserRaise(made)))

    def m_close(self, ev: Machine) -> Value:
        self.close(ev)
        return NONE

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name == "gi_running":
            return TRUE if self.running else FALSE
        if name in ("__name__", "__qualname__"):
            return self.function.getattr_(ev, name)
        return super().getattr_(ev, name)

    def rebuild(self, rb: Emitter) -> str:
        if self.finished:
            return "(_ for _ in ())"
        if self.started:
            raise rb.cannot(self, "it is suspended in the middle of its code")
        args, kwargs = self.arguments
        parts = [*map(rb.value, args), *keywords(rb, kwargs)]
        return f"{rb.value(self.function)}({', '.join(parts)})"
