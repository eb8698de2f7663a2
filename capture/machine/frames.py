"""Frames as objects, the loop that evaluates them, and unwinding by the exception table.

A frame is code, a position, a stack and variables; a generator is a frame that waits. An inlined call evaluates
the callee's frame inside the caller's instruction, so Python's own call stack mirrors the program's.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...errors import InternalError
from ..breaks import Break, NotConstant, UserRaise
from ..bytecode.instructions import CodeView, Instr, Slot, decode
from ..values.base import Value
from ..values.constant import ConstantValue
from ..values.sequences import TupleValue
from ..values.sets import SetValue
from .scopes import GlobalScope

if TYPE_CHECKING:
    from ..values.base import Machine
    from ..values.functions import FunctionValue

#: (ev, frame, arg) -> None to go on, or the Value with which the frame is left
OpcodeHandler = Callable[["Machine", "Frame", Any], Value | None]
Program = tuple[tuple[OpcodeHandler, Any], ...]

#: handlers by normalised op, filled by the `opcodes` modules
OPCODES: dict[str, OpcodeHandler] = {}


def op(*names: str) -> Callable[[OpcodeHandler], OpcodeHandler]:
    """Register the handler of one or more normalised ops."""

    def add(handler: OpcodeHandler) -> OpcodeHandler:
        for name in names:
            OPCODES[name] = handler
        return handler

    return add


class _Null(Value):
    """The machine's NULL on the stack of a call."""

    __slots__ = ()

    def python_type(self) -> type:
        return Slot

    def __repr__(self) -> str:
        return "NULL"


NULL = _Null()
#: what `run` returns when the root frame reached a stop
STOPPED = _Null()


class Frame:
    """One activation of a code object.

    slots:  locals and cells by name; a missing name is unbound
    pc:     the next instruction; `pc - 1` is the one being evaluated
    done:   a generator's frame has returned
    """

    __slots__ = (
        "view",
        "program",
        "pc",
        "stack",
        "push",
        "slots",
        "scope",
        "function",
        "parent",
        "done",
        "root",
        "names",
    )

    def __init__(
        self, view: CodeView, slots: dict[str, Value], scope: GlobalScope, function: FunctionValue | None = None
    ) -> None:
        self.view = view
        self.program = program_of(view)
        self.pc = 0
        self.stack: list[Value] = []
        self.push = self.stack.append
        self.slots = slots
        self.scope = scope
        self.function = function
        self.parent: Frame | None = None
        self.done = False
        self.root = False
        #: the namespace of a class body, else None
        self.names: Any = None


_programs: weakref.WeakKeyDictionary[CodeView, Program] = weakref.WeakKeyDictionary()


def program_of(view: CodeView) -> Program:
    """The handlers and arguments of a code object, constants made Values; once per code object."""
    found = _programs.get(view)
    if found is None:
        found = tuple((OPCODES.get(i.op, _unknown), _argument(i)) for i in view.instructions)
        _programs[view] = found
    return found


def _argument(instr: Instr) -> Any:
    if instr.op == "LOAD_CONST":
        return constant_of(instr.arg)
    if instr.op == "CALL":
        return instr.arg.count, instr.arg.names
    return instr.arg if instr.op in OPCODES else instr.op


def constant_of(obj: Any) -> Value:
    """A Value for a constant of a code object, shared by all captures."""
    if type(obj) is tuple:
        return TupleValue([constant_of(o) for o in obj])
    if type(obj) is frozenset:
        value = SetValue(frozenset)
        value.keys = set(obj)
        value.arrange(obj)
        return value
    return ConstantValue(obj)


def _unknown(ev: Machine, frame: Frame, name: Any) -> Value | None:
    raise ev.break_("unsupported-instruction", f"the instruction {name}", "capture does not model it")


def run(ev: Machine, frame: Frame, error: UserRaise | None = None) -> Value:
    """Evaluate a frame until it returns, yields (`frame.done` tells which) or stops.

    error: an exception thrown in where the frame waits. Raises UserRaise when the program's exception leaves the frame.
    """
    parent = frame.parent = ev.frame
    ev.frame = frame
    program = frame.program
    try:
        while True:
            try:
                if error is not None:
                    thrown, error = error, None
                    raise thrown
                while True:
                    handler, arg = program[frame.pc]
                    frame.pc += 1
                    found = handler(ev, frame, arg)
                    if found is not None:
                        return found
            except UserRaise as raised:
                if not _unwind(ev, frame, raised):
                    frame.stack.clear()
                    if ev.abandoned:
                        ev.close_abandoned()
                    raise
                # it holds our frames, and they what the program may let go before its handler ends
                raised.__traceback__ = None
    except Break as broken:
        if broken.location is None:
            ev.locate(broken)
        raise
    except (UserRaise, NotConstant):
        raise
    except Exception as error:
        ev.note_failure(error)
        raise
    finally:
        ev.frame = parent


def _unwind(ev: Machine, frame: Frame, raised: UserRaise) -> bool:
    """Go to the handler that protects the current instruction. False when there is none."""
    value = raised.value
    ev.note_raised(raised)
    if frame.pc == 0:  # thrown into a generator that did not start
        return False
    handler = frame.view.handlers[frame.pc - 1]
    if handler is None:
        return False
    stack = frame.stack
    if len(stack) < handler.depth:
        raise InternalError(
            f"[capture] stack of {frame.view.code.co_name} is shorter than its exception handler expects"
        )
    del stack[handler.depth :]
    if ev.abandoned:
        ev.close_abandoned()
    if handler.push_lasti:
        stack.append(ConstantValue(frame.pc - 1))
    stack.append(value)
    frame.pc = handler.target
    return True


def view_of(code: Any) -> CodeView:
    return decode(code)
