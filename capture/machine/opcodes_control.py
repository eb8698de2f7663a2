"""Jumps, loops, calls, function making, generators, `with`, exceptions, imports and `match`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..breaks import UserRaise
from ..values.base import Value
from ..values.classes import ClassValue, PyModuleValue
from ..values.constant import FALSE, NONE, TRUE, ConstantValue
from ..values.exceptions import ExceptionValue, TracebackValue
from ..values.functions import FunctionValue
from ..values.generators import GeneratorValue
from ..values.mappings import DictValue
from ..values.sequences import ListValue, TupleValue
from .frames import NULL, Frame, op
from .opcodes import called_text, take
from .rolling import roll_comprehension, roll_for, roll_rest, roll_test
from .type_lookup import inherits, message_name

if TYPE_CHECKING:
    from ..values.base import Machine


# ---------------------------------------------------------------- jumps and loops


@op("JUMP")
def jump(ev: Machine, frame: Frame, target: int) -> None:
    if target < frame.pc and roll_rest(ev, frame, target, ev.count_iteration(frame, target)):
        return
    frame.pc = target


@op("POP_JUMP_IF_TRUE")
def pop_jump_if_true(ev: Machine, frame: Frame, target: int) -> None:
    if ev.branches_itself(frame.stack[-1]) and roll_test(ev, frame):
        return
    jumps = frame.stack[-1].truth(ev)  # a break in there finds it on the stack
    frame.stack.pop()
    if jumps:
        jump(ev, frame, target)


@op("POP_JUMP_IF_FALSE")
def pop_jump_if_false(ev: Machine, frame: Frame, target: int) -> None:
    if ev.branches_itself(frame.stack[-1]) and roll_test(ev, frame):
        return
    jumps = not frame.stack[-1].truth(ev)
    frame.stack.pop()
    if jumps:
        jump(ev, frame, target)


@op("POP_JUMP_IF_NONE")
def pop_jump_if_none(ev: Machine, frame: Frame, target: int) -> None:
    if ev.is_none(frame.stack.pop()):
        jump(ev, frame, target)


@op("POP_JUMP_IF_NOT_NONE")
def pop_jump_if_not_none(ev: Machine, frame: Frame, target: int) -> None:
    if not ev.is_none(frame.stack.pop()):
        jump(ev, frame, target)


@op("GET_ITER")
def get_iter(ev: Machine, frame: Frame, arg: Any) -> None:
    if not roll_for(ev, frame):
        frame.stack[-1] = frame.stack[-1].iter_(ev)


@op("FOR_ITER")
def for_iter(ev: Machine, frame: Frame, target: int) -> None:
    if roll_comprehension(ev, frame):
        return
    item = frame.stack[-1].next_(ev)
    if item is None:
        frame.stack.pop()
        frame.pc = target
        if ev.abandoned:
            ev.close_abandoned()
    else:
        frame.push(item)


# ---------------------------------------------------------------- calls and functions


@op("CALL")
def call(ev: Machine, frame: Frame, arg: tuple[int, tuple[str, ...]]) -> None:
    stack = frame.stack
    count, names = arg
    args = take(frame, count)
    second = stack.pop()
    first = stack.pop()
    if first is NULL:
        callee = second
    elif second is NULL:
        callee = first
    else:
        callee = first
        args.insert(0, second)
    if names:
        kwargs = dict(zip(names, args[-len(names) :]))
        del args[-len(names) :]
        stack.append(callee.call(ev, args, kwargs))
        del kwargs
    else:
        stack.append(callee.call(ev, args, {}))
    del args, callee, first, second
    if ev.abandoned:
        ev.close_abandoned()


@op("CALL_FUNCTION_EX")
def call_function_ex(ev: Machine, frame: Frame, has_keywords: bool) -> None:
    stack = frame.stack
    keywords = stack.pop() if has_keywords else None
    positional = stack.pop()
    second = stack.pop()
    first = stack.pop()
    callee = second if first is NULL else first
    if not ev.is_iterable(positional):
        said = f"argument after * must be an iterable, not {message_name(positional.python_type())}"
        raise ev.type_error(f"{called_text(ev, callee)} {said}")
    args = list(ev.collected(positional))
    if first is not NULL and second is not NULL:
        args.insert(0, second)
    kwargs: dict[str, Value] = {}
    if keywords is not None:
        if not ev.is_mapping(keywords):
            said = f"argument after ** must be a mapping, not {message_name(keywords.python_type())}"
            raise ev.type_error(f"{called_text(ev, callee)} {said}")
        for key, value in ev.mapping_pairs(keywords):
            if not (key.is_constant and isinstance(key.as_constant(), str)):
                raise ev.type_error("keywords must be strings")
            kwargs[key.as_constant()] = value
    stack.append(callee.call(ev, args, kwargs))
    del args, kwargs, positional, callee, first, second
    if ev.abandoned:
        ev.close_abandoned()


@op("MAKE_FUNCTION")
def make_function(ev: Machine, frame: Frame, attributes: tuple[str, ...]) -> None:
    code = frame.stack.pop().as_constant()
    parts = dict(zip(attributes, take(frame, len(attributes))))
    fn = FunctionValue(code, frame.scope).made(None, None, None)
    for name, value in parts.items():
        _set_function_part(ev, fn, name, value)
    frame.push(fn)


@op("SET_FUNCTION_ATTRIBUTE")
def set_function_attribute(ev: Machine, frame: Frame, name: str) -> None:
    fn = frame.stack.pop()
    assert isinstance(fn, FunctionValue)
    _set_function_part(ev, fn, name, frame.stack.pop())
    frame.push(fn)


def _set_function_part(ev: Machine, fn: FunctionValue, name: str, value: Value) -> None:
    if name == "defaults":
        fn._defaults = value.items(ev)
    elif name == "kwdefaults":
        fn._kwdefaults = {k.as_constant(): v for k, v in ev.mapping_pairs(value)}
    elif name == "closure":
        fn._closure = value.items(ev)  # type: ignore[assignment]
    elif name == "annotations":
        items = value.items(ev) if isinstance(value, TupleValue) else []
        pairs = [(items[i].as_constant(), items[i + 1]) for i in range(0, len(items), 2)]
        fn.attrs["__annotations__"] = DictValue(pairs)
        fn.changed["__annotations__"] = None


@op("LOAD_BUILD_CLASS")
def load_build_class(ev: Machine, frame: Frame, arg: Any) -> None:
    raise ev.break_(
        "class-statement",
        "a class statement",
        "class bodies are not captured",
        "define the class outside of the compiled function",
    )


@op("CALL_INTRINSIC_1")
def call_intrinsic_1(ev: Machine, frame: Frame, name: str) -> None:
    if name == "LIST_TO_TUPLE":
        frame.stack[-1] = TupleValue(frame.stack[-1].items(ev))
    elif name == "STOPITERATION_ERROR":
        error = frame.stack[-1]
        if issubclass(error.python_type(), StopIteration):
            frame.stack[-1] = ev.stop_iteration_error(error)
    else:
        raise ev.break_("unsupported-instruction", f"the instruction {name}", "capture does not model it")


@op("RETURN_VALUE")
def return_value(ev: Machine, frame: Frame, arg: Any) -> Value:
    frame.done = True
    return frame.stack.pop()


# ---------------------------------------------------------------- generators


@op("RETURN_GENERATOR")
def return_generator(ev: Machine, frame: Frame, arg: Any) -> None:
    frame.push(NONE)


@op("YIELD_VALUE")
def yield_value(ev: Machine, frame: Frame, arg: Any) -> Value:
    return frame.stack.pop()


@op("GET_YIELD_FROM_ITER")
def get_yield_from_iter(ev: Machine, frame: Frame, arg: Any) -> None:
    if not isinstance(frame.stack[-1], GeneratorValue):
        frame.stack[-1] = frame.stack[-1].iter_(ev)


@op("SEND")
def send(ev: Machine, frame: Frame, target: int) -> None:
    stack = frame.stack
    value = stack.pop()
    it = stack[-1]
    if isinstance(it, GeneratorValue):
        found = it.resume(ev, value)
        result = it.result
    elif ev.is_none(value):
        found, result = ev.next_with_result(it)
    else:
        try:
            found, result = ev.call_method(it, "send", [value]), NONE
        except UserRaise as error:
            if not issubclass(error.value.python_type(), StopIteration):
                raise
            found, result = None, error.value.getattr_(ev, "value")
    if found is None:
        stack[-1] = result
        frame.pc = target
    else:
        stack.append(found)


@op("END_SEND")
def end_send(ev: Machine, frame: Frame, arg: Any) -> None:
    value = frame.stack.pop()
    frame.stack[-1] = value


@op("CLEANUP_THROW")
def cleanup_throw(ev: Machine, frame: Frame, arg: Any) -> None:
    error = frame.stack.pop()
    if not issubclass(error.python_type(), StopIteration):
        raise UserRaise(error, again=True)
    del frame.stack[-2:]
    frame.push(NONE)
    frame.push(error.getattr_(ev, "value"))


# ---------------------------------------------------------------- with and exceptions


@op("BEFORE_WITH")
def before_with(ev: Machine, frame: Frame, arg: Any) -> None:
    manager = frame.stack[-1]
    cls = manager.python_type()
    for name in ("__enter__", "__exit__"):
        if not ev.has_special(manager, name):
            missing = " (missed __exit__ method)" if name == "__exit__" else ""
            raise ev.type_error(f"'{message_name(cls)}' object does not support the context manager protocol{missing}")
    leave = ev.get_special(manager, "__exit__")
    entered = ev.get_special(manager, "__enter__").call(ev, [], {})
    frame.stack[-1] = leave
    frame.push(entered)


@op("WITH_EXCEPT_START")
def with_except_start(ev: Machine, frame: Frame, arg: Any) -> None:
    stack = frame.stack
    error = stack[-1]
    leave = stack[-4]
    frame.push(leave.call(ev, [ev.class_value(error.python_type()), error, TracebackValue()], {}))


@op("PUSH_EXC_INFO")
def push_exc_info(ev: Machine, frame: Frame, arg: Any) -> None:
    error = frame.stack.pop()
    frame.push(ev.handled if ev.handled is not None else NONE)
    frame.push(error)
    ev.handled = error


@op("POP_EXCEPT")
def pop_except(ev: Machine, frame: Frame, arg: Any) -> None:
    previous = frame.stack.pop()
    ev.handled = None if ev.is_none(previous) else previous


@op("CHECK_EXC_MATCH")
def check_exc_match(ev: Machine, frame: Frame, arg: Any) -> None:
    wanted = frame.stack.pop()
    error = frame.stack[-1]
    classes = wanted.items(ev) if isinstance(wanted, TupleValue) else [wanted]
    for cls in classes:
        if not (isinstance(cls, ClassValue) and issubclass(cls.real, BaseException)):
            raise ev.type_error("catching classes that do not inherit from BaseException is not allowed")
    frame.push(TRUE if any(inherits(error.python_type(), c.as_constant()) for c in classes) else FALSE)


@op("RAISE_VARARGS")
def raise_varargs(ev: Machine, frame: Frame, n: int) -> None:
    cause = frame.stack.pop() if n == 2 else None
    if n == 0:
        if ev.handled is None:
            raise ev.raise_(RuntimeError, "No active exception to reraise")
        raise UserRaise(ev.handled, again=True)
    error = as_exception(ev, frame.stack.pop(), "exceptions must derive from BaseException")
    if cause is not None:
        if not ev.is_none(cause):
            cause = as_exception(ev, cause, "exception causes must derive from BaseException")
        error.attrs["__cause__"] = cause
        error.attrs["__suppress_context__"] = TRUE
        error.changed["__cause__"] = None
    raise UserRaise(error)


def as_exception(ev: Machine, value: Value, complaint: str) -> ExceptionValue:
    """An exception instance from what follows `raise`."""
    if isinstance(value, ClassValue) and issubclass(value.real, BaseException):
        value = value.call(ev, [], {})
    if not isinstance(value, ExceptionValue):
        raise ev.type_error(complaint)
    return value


@op("RERAISE")
def reraise(ev: Machine, frame: Frame, n: int) -> None:
    raise UserRaise(frame.stack.pop(), again=True)


@op("LOAD_ASSERTION_ERROR")
def load_assertion_error(ev: Machine, frame: Frame, arg: Any) -> None:
    frame.push(ev.class_value(AssertionError))


# ---------------------------------------------------------------- imports


@op("IMPORT_NAME")
def import_name(ev: Machine, frame: Frame, name: str) -> None:
    fromlist = frame.stack.pop().as_constant()
    level = frame.stack.pop().as_constant()
    try:
        module = importlib.__import__(name, frame.scope.real, None, fromlist or (), level)
    except ImportError as error:
        raise ev.user_exception(error) from None
    frame.push(ev.wrap(module, _place_of_module(ev, frame, module, name, level, bool(fromlist))))


def _place_of_module(ev: Machine, frame: Frame, module: Any, name: str, level: int, whole: bool) -> Any:
    """Where an imported module is found again: it may be exchanged in `sys.modules`."""
    if level:
        package = frame.scope.real.get("__package__") or ""
        name = f"{package.rsplit('.', level - 1)[0]}.{name}".rstrip(".")
    key = name if whole else name.partition(".")[0]
    if ev.trusted_module(key) or sys.modules.get(key) is not module:
        return ev.names.const(module, label=name)
    return ev.names.const(sys.modules, label="sys.modules").step("", f"[{key!r}]", f"[{key!r}]")


@op("IMPORT_FROM")
def import_from(ev: Machine, frame: Frame, name: str) -> None:
    module = frame.stack[-1]
    try:
        frame.push(module.getattr_(ev, name))
    except UserRaise:
        if not isinstance(module, PyModuleValue):
            raise
        try:
            found = importlib.import_module(f"{module.real.__name__}.{name}")
        except ImportError:
            where = getattr(module.real, "__file__", None) or "unknown location"
            raise ev.raise_(
                ImportError, f"cannot import name {name!r} from {module.real.__name__!r} ({where})"
            ) from None
        frame.push(ev.wrap(found, ev.names.const(found)))


# ---------------------------------------------------------------- match


@op("GET_LEN")
def get_len(ev: Machine, frame: Frame, arg: Any) -> None:
    frame.push(frame.stack[-1].len_(ev))


@op("MATCH_MAPPING")
def match_mapping(ev: Machine, frame: Frame, arg: Any) -> None:
    frame.push(TRUE if issubclass(frame.stack[-1].python_type(), Mapping) else FALSE)


@op("MATCH_SEQUENCE")
def match_sequence(ev: Machine, frame: Frame, arg: Any) -> None:
    cls = frame.stack[-1].python_type()
    is_sequence = issubclass(cls, Sequence) and not issubclass(cls, (str, bytes, bytearray))
    frame.push(TRUE if is_sequence else FALSE)


@op("MATCH_KEYS")
def match_keys(ev: Machine, frame: Frame, arg: Any) -> None:
    keys, subject = frame.stack[-1].items(ev), frame.stack[-2]
    found = []
    for key in keys:
        if not subject.contains(ev, key):
            frame.push(NONE)
            return
        found.append(subject.getitem(ev, key))
    frame.push(TupleValue(found))


_SELF_MATCHING = (bool, bytearray, bytes, dict, float, frozenset, int, list, set, str, tuple)


@op("MATCH_CLASS")
def match_class(ev: Machine, frame: Frame, count: int) -> None:
    names = frame.stack.pop().as_constant()
    cls = frame.stack.pop()
    subject = frame.stack.pop()
    if not isinstance(cls, ClassValue):
        raise ev.type_error("called match pattern must be a class")
    if not ev.isinstance(subject, cls.real):
        frame.push(NONE)
        return
    found: list[Value] = []
    if count:
        if issubclass(cls.real, _SELF_MATCHING) and not hasattr(cls.real, "__match_args__"):
            found.append(subject)
        else:
            args = cls.getattr_(ev, "__match_args__").items(ev) if hasattr(cls.real, "__match_args__") else []
            if len(args) < count:
                s = "" if len(args) == 1 else "s"
                raise ev.type_error(
                    f"{cls.real.__name__}() accepts {len(args)} positional sub-pattern{s} ({count} given)"
                )
            names = tuple(a.as_constant() for a in args[:count]) + names
    for name in names:
        value = ev.getattr_or_none(subject, name)
        if value is None:
            frame.push(NONE)
            return
        found.append(value)
    frame.push(TupleValue(found))


__all__ = ["ConstantValue", "ListValue"]
