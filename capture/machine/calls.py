"""Binding arguments to parameters and inlining Python functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..bytecode.instructions import CodeView
from ..values.base import Args, Kwargs, Value
from ..values.constant import ConstantValue
from ..values.functions import CellValue, FunctionValue
from ..values.generators import GeneratorValue
from ..values.mappings import DictValue
from ..values.sequences import TupleValue
from .frames import Frame, run, view_of

if TYPE_CHECKING:
    from ..values.base import Machine

#: inlined calls inside one another; deeper programs are run as they are
MAX_DEPTH = 600


def inline(ev: Machine, fn: FunctionValue, args: Args, kwargs: Kwargs) -> Value:
    """Evaluate a call of a Python function. A generator function answers with its generator."""
    view = view_of(fn.code)
    if view.is_coroutine or view.is_async_generator:
        raise ev.break_("async-function", f"calling the coroutine {fn.name}", "coroutines are not captured")
    slots = bind(ev, fn, view, args, kwargs)
    frame = Frame(view, slots, fn.scope, fn)
    if view.is_generator:
        return GeneratorValue(frame, fn, (list(args), dict(kwargs)), ev.abandoned)
    if ev.depth >= MAX_DEPTH:
        raise ev.break_(
            "deep-recursion", f"{fn.name} is called inside {MAX_DEPTH} calls", "capture would run out of Python stack"
        )
    ev.depth += 1
    try:
        return run(ev, frame)
    finally:
        ev.depth -= 1


def bind(ev: Machine, fn: FunctionValue, view: CodeView, args: Args, kwargs: Kwargs) -> dict[str, Value]:
    """Local variables of a call: parameters, then cells. Raises the program's TypeError for arguments that do not fit."""
    names = view.local_names
    count = view.argcount
    if len(args) == count and not kwargs and not view.kwonlyargcount and not view.has_varargs and not view.has_varkw:
        slots = dict(zip(names, args))
    else:
        slots = _bind_general(ev, fn, view, args, kwargs)
    if view.cell_names or view.free_names:
        for name in view.cell_names:
            slots[name] = CellValue(slots.get(name))
        if view.free_names:
            slots.update(zip(view.free_names, fn.closure(ev)))
    return slots


def _bind_general(ev: Machine, fn: FunctionValue, view: CodeView, args: Args, kwargs: Kwargs) -> dict[str, Value]:
    names, count = view.local_names, view.argcount
    total = count + view.kwonlyargcount
    slots: dict[str, Value] = dict(zip(names[:count], args))
    extra = list(args[count:])
    more: dict[str, Value] = {}
    positional_only = names[: view.posonlyargcount]
    for name, value in kwargs.items():
        if name in names[:total] and name not in positional_only:
            if name in slots:
                raise ev.type_error(f"{fn.qualname}() got multiple values for argument '{name}'")
            slots[name] = value
        elif view.has_varkw:
            more[name] = value
        else:
            _reject_keyword(ev, fn, name, positional_only, kwargs)
    if extra and not view.has_varargs:
        _reject_positional(ev, fn, view, len(args), len(slots.keys() & set(names[count:total])))
    _fill_defaults(ev, fn, view, slots)
    if view.has_varargs:
        slots[names[total]] = TupleValue(extra)
    if view.has_varkw:
        slots[names[total + view.has_varargs]] = DictValue(more.items())
    return slots


def _fill_defaults(ev: Machine, fn: FunctionValue, view: CodeView, slots: dict[str, Value]) -> None:
    names, count = view.local_names, view.argcount
    missing = [n for n in names[:count] if n not in slots]
    if missing:
        defaults = fn.defaults(ev)
        for name, value in zip(names[count - len(defaults) : count], defaults):
            slots.setdefault(name, value)
        missing = [n for n in missing if n not in slots]
        if missing:
            raise ev.type_error(_missing_text(fn, missing, "positional"))
    keyword_only = names[count : count + view.kwonlyargcount]
    missing = [n for n in keyword_only if n not in slots]
    if missing:
        defaults_by_name = fn.kwdefaults(ev)
        for name in missing:
            if name in defaults_by_name:
                slots[name] = defaults_by_name[name]
        missing = [n for n in missing if n not in slots]
        if missing:
            raise ev.type_error(_missing_text(fn, missing, "keyword-only"))


def _missing_text(fn: FunctionValue, names: list[str], kind: str) -> str:
    quoted = [f"'{n}'" for n in names]
    if len(quoted) == 1:
        shown = quoted[0]
    elif len(quoted) == 2:
        shown = " and ".join(quoted)
    else:
        shown = ", ".join(quoted[:-1]) + ", and " + quoted[-1]
    plural = "s" if len(names) > 1 else ""
    return f"{fn.qualname}() missing {len(names)} required {kind} argument{plural}: {shown}"


def _reject_keyword(
    ev: Machine, fn: FunctionValue, name: str, positional_only: tuple[str, ...], kwargs: Kwargs
) -> None:
    if name in positional_only:
        wrong = ", ".join(n for n in positional_only if n in kwargs)
        raise ev.type_error(
            f"{fn.qualname}() got some positional-only arguments passed as keyword arguments: '{wrong}'"
        )
    raise ev.type_error(f"{fn.qualname}() got an unexpected keyword argument '{name}'")


def _reject_positional(ev: Machine, fn: FunctionValue, view: CodeView, given: int, by_keyword: int) -> None:
    """by_keyword: keyword-only arguments that were given"""
    count, defaults = view.argcount, len(fn.defaults(ev))
    takes = f"from {count - defaults} to {count}" if defaults else str(count)
    s = "" if count == 1 and not defaults else "s"
    verb = "was" if given == 1 and not by_keyword else "were"
    more = ""
    if by_keyword:
        more = f" positional argument{'s' * (given != 1)} (and {by_keyword} keyword-only argument{'s' * (by_keyword != 1)})"
    raise ev.type_error(f"{fn.qualname}() takes {takes} positional argument{s} but {given}{more} {verb} given")


def call_python(ev: Machine, function: Any, args: Args, kwargs: Kwargs | None = None) -> Value:
    """Call a real Python function, method or class with Values."""
    return ev.wrap(function, ev.names.const(function)).call(ev, args, kwargs or {})


def constants(*values: Any) -> list[Value]:
    """Values for immutable objects."""
    return [ConstantValue(v) for v in values]
