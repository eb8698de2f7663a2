"""What each instruction of a loop's bytecode does to the stack and the variables of its abstract evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .....inductor.sequential.program import Apply, Expr, Literal
from ....bytecode.instructions import CodeView
from ....bytecode.instructions import callee as callee_of
from . import elements, functions, numbers
from .kinds import (
    NONE,
    NULL,
    CannotRoll,
    Chosen,
    Counted,
    Elements,
    Fixed,
    Growing,
    Listed,
    Number,
    Part,
    PartOf,
    Placed,
    Rows,
    Several,
    Trace,
    Walk,
    Zipped,
    literal,
    plain,
)


@dataclass
class Frame:
    """An activation: of the function with the loop, or of one that is called in it."""

    view: CodeView
    scope: Any
    slots: dict[str, Any]
    stack: list[Any]
    pc: int
    #: variables that instructions of the loop assign
    stored: frozenset[str]


class Evaluation(Trace, Protocol):
    """The evaluation as instructions see it: see `tracer.Tracer`."""

    frames: list[Frame]

    def jump(self) -> None: ...
    def branch(self, condition: Expr, frame: Frame, jump: int, on: bool, expected: bool | None) -> None: ...
    def loop(self, it: Any, frame: Frame, ended: int) -> None: ...
    def call(self, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any: ...
    def appended(self, grown: Growing, item: Any) -> Growing: ...
    def attribute(self, owner: Any, name: str) -> Any: ...
    def global_of(self, frame: Frame, name: str) -> Any: ...
    def cell(self, cell: Any) -> Any: ...
    def met(self, value: Any) -> Any: ...
    def enter(self, frame: Frame) -> None: ...
    def left(self, it: Any, frames: list[Frame]) -> None: ...
    def plain_number(self, value: Any) -> Any: ...
    def finish(self, value: Any) -> None: ...


Handler = Callable[[Evaluation, Frame, Any], None]
HANDLERS: dict[str, Handler] = {}


def _op(*names: str) -> Callable[[Handler], Handler]:
    def add(handler: Handler) -> Handler:
        for name in names:
            HANDLERS[name] = handler
        return handler

    return add


@_op("LOAD_CONST")
def _load_const(t: Evaluation, frame: Frame, value: Any) -> None:
    frame.stack.append(plain(value))


@_op("LOAD_FAST")
def _load_fast(t: Evaluation, frame: Frame, name: str) -> None:
    if name not in frame.slots:
        raise CannotRoll(f"the variable {name}, which may have no value")
    frame.stack.append(t.met(frame.slots[name]))


@_op("STORE_FAST")
def _store_fast(t: Evaluation, frame: Frame, name: str) -> None:
    value = frame.stack.pop()
    frame.slots[name] = named(t, value)


def named(t: Trace, value: Any) -> Any:
    """What a value is once it has a name: an expression is the array that it would be in Python."""
    if isinstance(value, (Walk, Rows, Counted, Zipped, Placed)):
        raise CannotRoll("an iterator that has a name")
    if isinstance(value, PartOf):
        raise CannotRoll("a view of the parts of complex numbers")
    if isinstance(value, Chosen):
        return elements.settled(t, value)
    return elements.in_memory(t, value) if isinstance(value, Elements) else value


@_op("DELETE_FAST")
def _delete_fast(t: Evaluation, frame: Frame, name: str) -> None:
    if name not in frame.slots:
        raise CannotRoll(f"the variable {name}, which may have no value")
    del frame.slots[name]


@_op("LOAD_GLOBAL")
def _load_global(t: Evaluation, frame: Frame, name: str) -> None:
    frame.stack.append(t.global_of(frame, name))


@_op("LOAD_DEREF")
def _load_deref(t: Evaluation, frame: Frame, name: str) -> None:
    frame.stack.append(t.cell(frame.slots[name]))


@_op("LOAD_ATTR")
def _load_attr(t: Evaluation, frame: Frame, name: str) -> None:
    frame.stack[-1] = t.attribute(frame.stack[-1], name)


@_op("BINARY_SUBSCR")
def _binary_subscr(t: Evaluation, frame: Frame, arg: Any) -> None:
    key = frame.stack.pop()
    frame.stack[-1] = elements.getitem(t, frame.stack[-1], key)


@_op("STORE_SUBSCR")
def _store_subscr(t: Evaluation, frame: Frame, arg: Any) -> None:
    key, owner, value = (frame.stack.pop() for _ in range(3))
    elements.setitem(t, owner, key, value)


@_op("BINARY_OP")
def _binary_op(t: Evaluation, frame: Frame, symbol: str) -> None:
    right = frame.stack.pop()
    left = frame.stack.pop()
    made = (
        functions.inplace(t, symbol[:-1], left, right)
        if symbol[-1] == "="
        else functions.binary(t, symbol, left, right)
    )
    frame.stack.append(made)


@_op("COMPARE_OP")
def _compare_op(t: Evaluation, frame: Frame, symbol: str) -> None:
    right = frame.stack.pop()
    left = frame.stack.pop()
    if isinstance(left, Fixed) and isinstance(right, Fixed) and symbol in ("==", "!="):
        frame.stack.append(literal(bool((left.value == right.value) == (symbol == "=="))))
        return
    frame.stack.append(functions.binary(t, symbol, left, right))


@_op("IS_OP")
def _is_op(t: Evaluation, frame: Frame, symbol: str) -> None:
    right = frame.stack.pop()
    left = frame.stack.pop()
    if not (isinstance(right, Fixed) and right.value is None):
        raise CannotRoll("`is` of values")
    same = isinstance(left, Fixed) and left.value is None
    frame.stack.append(literal(same == (symbol == "is")))


def _unary(symbol: str, ufunc: np.ufunc) -> Handler:
    def apply(t: Evaluation, frame: Frame, arg: Any) -> None:
        a = frame.stack.pop()
        if isinstance(a, Number):
            frame.stack.append(numbers.unary(t, symbol, a))
        else:
            frame.stack.append(functions.apply_ufunc(t, ufunc, [a], {}))

    return apply


HANDLERS["UNARY_NEGATIVE"] = _unary("-", np.negative)
HANDLERS["UNARY_POSITIVE"] = _unary("+", np.positive)
HANDLERS["UNARY_INVERT"] = _unary("~", np.invert)


def _truth(t: Evaluation, value: Any) -> Expr:
    if isinstance(value, Number):
        return numbers.truth(t, value)
    if isinstance(value, Fixed) and (value.value is None or isinstance(value.value, (str, bool))):
        return Literal(bool(value.value), "bool")
    if isinstance(value, Several):
        return Literal(bool(value.items), "bool")
    if isinstance(value, Elements):
        return numbers.truth(t, elements.item(t, value, ()))
    raise CannotRoll(f"the truth of {type(value).__name__}")


def _expected(value: Any) -> bool | None:
    """What a truth value is now, where sizes decide it."""
    return value.expected if isinstance(value, Number) else None


@_op("UNARY_NOT")
def _unary_not(t: Evaluation, frame: Frame, arg: Any) -> None:
    e = _truth(t, frame.stack.pop())
    made = (
        literal(not e.value)
        if isinstance(e, Literal)
        else Number(t.let(Apply("not", (e,), "bool")), np.dtype(bool), True)
    )
    frame.stack.append(made)


@_op("TO_BOOL")
def _to_bool(t: Evaluation, frame: Frame, arg: Any) -> None:
    value = frame.stack.pop()
    e, expected = _truth(t, value), _expected(value)
    made = literal(bool(e.value)) if isinstance(e, Literal) else Number(e, np.dtype(bool), True, expected=expected)
    frame.stack.append(made)


@_op("JUMP")
def _jump(t: Evaluation, frame: Frame, target: int) -> None:
    frame.pc = target
    t.jump()


@_op("POP_JUMP_IF_TRUE")
def _jump_if_true(t: Evaluation, frame: Frame, target: int) -> None:
    value = frame.stack.pop()
    t.branch(_truth(t, value), frame, target, True, _expected(value))


@_op("POP_JUMP_IF_FALSE")
def _jump_if_false(t: Evaluation, frame: Frame, target: int) -> None:
    value = frame.stack.pop()
    t.branch(_truth(t, value), frame, target, False, _expected(value))


@_op("POP_JUMP_IF_NONE", "POP_JUMP_IF_NOT_NONE")
def _jump_if_none(t: Evaluation, frame: Frame, target: int) -> None:
    value = frame.stack.pop()
    is_none = isinstance(value, Fixed) and value.value is None
    wanted = frame.view.instructions[frame.pc - 1].op == "POP_JUMP_IF_NONE"
    if is_none == wanted:
        frame.pc = target


@_op("GET_ITER")
def _get_iter(t: Evaluation, frame: Frame, arg: Any) -> None:
    frame.stack[-1] = t.iterator(frame.stack[-1])
    t.enter(frame)


@_op("FOR_ITER")
def _for_iter(t: Evaluation, frame: Frame, target: int) -> None:
    it = frame.stack.pop()
    t.loop(it, frame, target)


@_op("COPY")
def _copy(t: Evaluation, frame: Frame, n: int) -> None:
    value = frame.stack[-n] = named(t, frame.stack[-n])
    frame.stack.append(value)


@_op("SWAP")
def _swap(t: Evaluation, frame: Frame, n: int) -> None:
    frame.stack[-1], frame.stack[-n] = frame.stack[-n], frame.stack[-1]


@_op("POP_TOP")
def _pop_top(t: Evaluation, frame: Frame, arg: Any) -> None:
    value = frame.stack.pop()
    if isinstance(value, (Elements, Chosen)):
        named(t, value)


@_op("PUSH_NULL")
def _push_null(t: Evaluation, frame: Frame, arg: Any) -> None:
    frame.stack.append(NULL)


def _take(frame: Frame, n: int) -> list[Any]:
    found = frame.stack[len(frame.stack) - n :]
    del frame.stack[len(frame.stack) - n :]
    return found


@_op("CALL")
def _call(t: Evaluation, frame: Frame, arg: Any) -> None:
    args = _take(frame, arg.count)
    second, first = frame.stack.pop(), frame.stack.pop()
    function, lead = callee_of(first, second, NULL)
    args = [*lead, *args]
    named = dict(zip(arg.names, args[len(args) - len(arg.names) :])) if arg.names else {}
    if named:
        del args[len(args) - len(named) :]
    made = t.call(function, args, named)
    if made is not None:
        frame.stack.append(made)


@_op("BUILD_TUPLE", "BUILD_LIST")
def _build_tuple(t: Evaluation, frame: Frame, n: int) -> None:
    listed = frame.view.instructions[frame.pc - 1].op == "BUILD_LIST"
    if listed and not n and not _is_constant_list(frame):
        raise CannotRoll("a list that grows")
    kind = Listed if listed else Several
    items = _take(frame, n)
    frame.stack.append(kind(tuple(named(t, i) for i in items)))


def _is_constant_list(frame: Frame) -> bool:
    """Whether the list that is begun gets all its items from a constant, as `[1.0, 2.0, 3.0]` does."""
    following = frame.view.instructions[frame.pc : frame.pc + 2]
    return [i.op for i in following] == ["LOAD_CONST", "LIST_EXTEND"]


@_op("LIST_EXTEND")
def _list_extend(t: Evaluation, frame: Frame, n: int) -> None:
    items = frame.stack.pop()
    if frame.stack[-n] != Listed(()) or type(items) is not Several:
        raise CannotRoll("a list that grows")
    frame.stack[-n] = Listed(items.items)


@_op("LIST_APPEND")
def _list_append(t: Evaluation, frame: Frame, n: int) -> None:
    item = frame.stack.pop()
    if n > len(frame.stack) or not isinstance(frame.stack[-n], Growing):
        raise CannotRoll("a list that grows")
    frame.stack[-n] = t.appended(frame.stack[-n], item)


@_op("UNPACK_SEQUENCE")
def _unpack(t: Evaluation, frame: Frame, n: int) -> None:
    value = frame.stack.pop()
    if not isinstance(value, Several) or len(value.items) != n:
        raise CannotRoll("unpacking of this")
    frame.stack += reversed(value.items)


@_op("BUILD_SLICE")
def _build_slice(t: Evaluation, frame: Frame, n: int) -> None:
    parts = _take(frame, n)
    frame.stack.append(Part(*parts, *[NONE] * (3 - n)))


@_op("RETURN_VALUE")
def _return(t: Evaluation, frame: Frame, arg: Any) -> None:
    value = named(t, frame.stack.pop())
    if len(t.frames) == 1:
        t.finish(value)
        return
    t.frames.pop()
    t.frames[-1].stack.append(t.plain_number(value))
