"""Loops that a front end makes one node of the graph: where one begins, and who is asked (`frontend.Frontend.roll`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..bytecode.instructions import Loop, loops, stack_depth, successors
from ..values.base import Value
from ..values.sequences import ListValue
from .frames import Frame

if TYPE_CHECKING:
    from ..values.base import Machine

#: rounds of a `while` that are evaluated before a front end is asked
ROUNDS = 4
#: how often a loop that cannot be rolled is tried: it may stand in another one that is unrolled
TRIES = 2


def roll_for(ev: Machine, frame: Frame) -> bool:
    """Whether the `for` loop whose iterable has just been computed became a node; then the frame stands behind it."""
    header = frame.pc
    if frame.view.instructions[header].op != "FOR_ITER":
        return False
    loop = _loop_at(frame, header)
    return loop is not None and _roll(ev, frame, loop, header - 1, frame.stack[-1:], loop.body | {header - 1})


def roll_comprehension(ev: Machine, frame: Frame) -> bool:
    """As `roll_for`, of a list comprehension's loop, which begins where its first item would be taken: the list lies below the iterator."""
    listed = frame.stack[-2] if len(frame.stack) > 1 else None
    if type(listed) is not ListValue or listed.closed or listed._elements or listed.source is not None:
        return False
    header = frame.pc - 1
    loop = _loop_at(frame, header)
    if loop is None or not any(frame.view.instructions[i].op == "LIST_APPEND" for i in loop.body):
        return False
    return _roll(ev, frame, loop, header, frame.stack[-2:], loop.body)


def roll_test(ev: Machine, frame: Frame) -> bool:
    """As `roll_for`, of a `while` loop whose condition, which has just been computed, is not known during capture."""
    here = frame.pc - 1
    ahead = {_arrival(frame, target) for target in successors(frame.view, here)}
    for loop in sorted(loops(frame.view), key=lambda loop: -len(loop.body)):
        if frame.view.instructions[loop.header].op == "FOR_ITER":
            continue  # its iterator lies on the stack
        if stack_depth(frame.view, loop.header) != len(frame.stack) - 1:
            continue  # in the middle of an expression
        if here in loop.body or loop.header in ahead and ahead - {loop.header} <= set(loop.exits):
            if _roll(ev, frame, loop, here, frame.stack[-1:], loop.body | {here}):
                return True
    return False


def roll_rest(ev: Machine, frame: Frame, header: int, rounds: int) -> bool:
    """As `roll_for`, of a loop that has gone round some times and would go on at `header`."""
    if rounds != ROUNDS or frame.view.instructions[header].op == "FOR_ITER":
        return False
    loop = _loop_at(frame, header)
    return loop is not None and _roll(ev, frame, loop, header, [], loop.body)


def _arrival(frame: Frame, index: int) -> int:
    """Where control arrives at `index`: some Pythons jump back from behind the condition."""
    instr = frame.view.instructions[index]
    if instr.op == "JUMP" and instr.arg < index and frame.view.instructions[instr.arg].op != "JUMP":
        return int(instr.arg)
    return index


def _loop_at(frame: Frame, header: int) -> Loop | None:
    return next((loop for loop in loops(frame.view) if loop.header == header), None)


def _roll(ev: Machine, frame: Frame, loop: Loop, start: int, top: list[Value], region: frozenset[int]) -> bool:
    tried = ev.rolled.get((frame.view, start), 0)
    if tried >= TRIES:
        return False
    if any(f.roll(ev, frame, loop, start, top, region) for f in ev.frontends):
        return True
    ev.rolled[frame.view, start] = tried + 1
    return False
