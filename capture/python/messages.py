"""Messages of a captured program: `warnings.warn` and the functions of logging.

A message is given when the entry runs, behind the graph, in its place among the other effects and at the program's own line. That
nobody can tell from the real thing as long as it does not raise, and nobody of the program's own hears it while changes wait for the
end of the graph. A warning that a filter makes an error is raised during capture; where somebody may notice, the graph breaks and plain
Python gives the message.
"""

from __future__ import annotations

import functools
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import callers_frame
from ..breaks import NotConstant, UserRaise
from ..values.base import Args, Handler, Kwargs, Machine, Value
from ..values.constant import NONE, ConstantValue
from .builtin_functions import CallEffect
from .builtin_table import TABLE, handles


@dataclass(frozen=True, eq=False)
class Place:
    """A line of the program: in a captured frame, or (level > 0) so many frames out from the captured function."""

    filename: str = ""
    line: int = 0
    function: str = ""
    globals: dict[str, Any] | None = None
    level: int = 0

    def now(self) -> Place:
        """The line, looked up in the frames that the entry is called from. Raises ValueError where there are not so many."""
        if not self.level:
            return self
        frame: Any = callers_frame()
        for _ in range(self.level - 1):
            frame = frame and frame.f_back
        if frame is None:
            raise ValueError("call stack is not deep enough")
        return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, frame.f_globals)


def _place(ev: Machine, level: int) -> Place:
    """Where the caller stands, so many frames out (1: itself)."""
    frame = ev.frame
    for _ in range(level - 1):
        if frame is None:
            break
        frame, level = frame.parent, level - 1
    if frame is None:
        return Place(level=level)
    code = frame.view.code
    line = frame.view.instructions[max(frame.pc - 1, 0)].line or code.co_firstlineno
    return Place(code.co_filename, line, code.co_name, frame.scope.real)


class MessageEffect:
    """A message that the entry gives: `give` is called with the values."""

    source = None

    def __init__(self, give: Callable[..., None], values: Sequence[Value]) -> None:
        self.give, self.values = give, values

    def replay(self, rb: Any, target: str) -> None:
        rb.effect(f"{rb.inject(self.give, 'message')}({', '.join(map(rb.value, self.values))})")


def _unknown(ev: Machine, what: str) -> Exception:
    return ev.break_(
        "message", f"calling {what} with a value that is not known during capture", "it shows values while the program runs",
        "move it outside of the compiled function, or test quern.is_compiling()",
    )  # fmt: skip


def _heard(ev: Machine, what: str) -> Exception:
    return ev.break_("message", f"calling {what}, which may raise or show what was changed so far",
                     "the changes are written when the graph has run", "call it behind the compiled function")  # fmt: skip


def _may_be_noticed(ev: Machine) -> bool:
    """Whether code of the program's own that hears a message could tell that it comes late: it may raise, or look at what was changed."""
    return ev.is_protected() or any(not isinstance(e, (CallEffect, MessageEffect)) for e in ev.effects)


# --------------------------------------------------------------------------- warnings


def _fate(text: str, category: type[Warning], place: Place, filters: Sequence[Any] | None = None) -> str:
    """What becomes of a warning: it is "silent", "shown" (once or each time) or an "error". filters: None for those in force"""
    at = _place_of_warning(place)
    module = (at.globals or {}).get("__name__") or "<string>"
    for action, message, kind, where, line in warnings.filters if filters is None else filters:
        if issubclass(category, kind) and _matches(message, text) and _matches(where, module) and line in (0, at.line):
            return _FATES.get(action, "shown")
    return _FATES.get(warnings.defaultaction, "shown")  # type: ignore[attr-defined]


_FATES = {"ignore": "silent", "error": "error"}


def _matches(pattern: Any, text: str) -> bool:
    """As the interpreter compares them: those that it makes itself are text."""
    return pattern is None or (pattern == text if isinstance(pattern, str) else pattern.match(text) is not None)


def _place_of_warning(place: Place) -> Place:
    try:
        return place.now()
    except ValueError:  # as the interpreter names the place beyond the last frame
        name, line = ("<sys>", 0) if sys.version_info >= (3, 13) else ("sys", 1)
        return Place(name, line, "", vars(sys))


def _give_warning(category: type[Warning], place: Place, message: str | Warning) -> None:
    at = _place_of_warning(place)
    names = at.globals if at.globals is not None else {}
    registry = names.setdefault("__warningregistry__", {})
    warnings.warn_explicit(message, category, at.filename, at.line, names.get("__name__") or "<string>", registry)


@handles(warnings.warn)
def _warn(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    given = dict(zip(("message", "category", "stacklevel", "source"), args), **kwargs)
    shown = given.pop("message", NONE)
    try:
        message = ev.to_python(shown)
        category, level = (
            ev.to_python(given.pop(name, d)) for name, d in (("category", NONE), ("stacklevel", ConstantValue(1)))
        )
    except NotConstant:
        raise _unknown(ev, "warn") from None
    if isinstance(message, Warning):
        category = type(message)
    category = UserWarning if category is None else category
    known = isinstance(category, type) and issubclass(category, Warning) and isinstance(message, (str, Warning))
    if given or not known or type(level) is not int:
        raise _heard(ev, "warn")
    _warned(ev, shown, message, category, _place(ev, max(level, 1)))
    return NONE


def warn_as(ev: Machine, text: str, category: type[Warning], say: Callable[[], object]) -> None:
    """What a library's compiled code warns of when it is called from the captured line. say: makes it warn again, which it does
    once or at each call, as it will.
    """
    place = _place(ev, 1)
    _warned(ev, ConstantValue(text), text, category, place, functools.partial(_say_again, say, place))


def _say_again(say: Callable[[], object], place: Place, text: str) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        say()
    for warned in said:
        _give_warning(warned.category, place, str(warned.message))


def _warned(ev: Machine, shown: Value, message: str | Warning, category: type[Warning], place: Place,
            give: Callable[[Any], None] | None = None) -> None:  # fmt: skip
    filters = _changed_filters(ev)
    fate = _fate(str(message), category, place, filters)
    if filters is None:
        asked = ev.names.inject(functools.partial(_fate, str(message), category, place), "fate")
        ev.guards.test(None, f"{asked}() == {fate!r}", "another warning filter decided about a warning", 2)
    if fate == "silent":
        return
    if fate == "error":
        raise UserRaise(shown if isinstance(message, Warning) else ev.class_value(category).call(ev, [shown], {}))
    hook = warnings.showwarning is not warnings._showwarning_orig  # type: ignore[attr-defined]
    if filters is not None or hook and _may_be_noticed(ev):
        raise _heard(ev, "warn")
    ev.effects.touch(MessageEffect(give or functools.partial(_give_warning, category, place), [shown]))


def _changed_filters(ev: Machine) -> Sequence[Any] | None:
    """The filters that the captured program has set; None where those outside are in force. Breaks where it has changed how warnings are shown."""
    scope = ev.scope(vars(warnings))
    for name, value in scope.written.items():
        if name != "filters" and not (
            value is not None and value.is_constant and value.as_constant() is scope.real[name]
        ):
            raise _heard(ev, "warn")
    value = scope.values.get("filters")
    if value is None:
        return None
    try:
        filters = ev.to_python(value)
    except NotConstant:
        raise _heard(ev, "warn") from None
    return None if filters == warnings.filters else filters


# --------------------------------------------------------------------------- logging


def _give_record(logger: logging.Logger, level: int, place: Place, extra: Any, message: Any, *args: Any) -> None:
    if logger is logging.root and not logger.handlers:
        logging.basicConfig()
    try:
        at = place.now()
    except ValueError:
        at = Place("(unknown file)", 0, "(unknown function)")
    record = logger.makeRecord(logger.name, level, at.filename, at.line, message, args, None, at.function, extra)
    logger.handle(record)


def _log(ev: Machine, logger: logging.Logger, name: str, args: Args, kwargs: Kwargs) -> Value:
    what = f"Logger.{name}"
    try:
        level = ev.to_python(args[0]) if name == "log" and args else _LEVELS.get(name)
        if type(level) is not int:
            raise _heard(ev, what)
        enabled = logger.isEnabledFor(level)
        asked = ev.names.inject(functools.partial(logger.isEnabledFor, level), "is_enabled")
        ev.guards.test(None, f"{asked}() is {enabled}", f"the logger {logger.name} was set to another level", 2)
        if not enabled:
            return NONE
        message, *values = args[1:] if name == "log" else args
        for value in (message, *values):
            ev.to_python(value)
        more = {k: ev.to_python(v) for k, v in kwargs.items()}
    except NotConstant:
        raise _unknown(ev, what) from None
    except ValueError:  # without a message
        raise _heard(ev, what) from None
    extra, out = more.pop("extra", None), more.pop("stacklevel", 1)
    if more.pop("exc_info", name == "exception") or more or type(out) is not int:
        raise _heard(ev, what)
    if _is_heard_by_others(logger) and _may_be_noticed(ev):
        raise _heard(ev, what)
    give = functools.partial(_give_record, logger, level, _place(ev, max(out, 1)), extra)
    ev.effects.touch(MessageEffect(give, [message, *values]))
    return NONE


_LEVELS = {
    "debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR,
    "exception": logging.ERROR, "critical": logging.CRITICAL,
}  # fmt: skip
_LIBRARY = ("logging", "logging.handlers")


def _is_heard_by_others(logger: logging.Logger) -> bool:
    """Whether a handler or filter that is not the library's sees what is logged."""
    at: logging.Logger | None = logger
    while at is not None:
        if at.filters or any(h.filters or type(h).__module__ not in _LIBRARY for h in at.handlers):
            return True
        at = at.parent if at.propagate else None
    return False


def _logger_method(name: str) -> Handler:
    def call(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        real = getattr(args[0], "real", None)
        if real is None or args[0].source is None or not args[0].source.is_const:
            raise ev.break_("message", f"calling Logger.{name} on a logger that is not a global",
                            "its level could not be followed")  # fmt: skip
        return _log(ev, real, name, args[1:], kwargs)

    return call


def _logging_function(name: str) -> Handler:
    return lambda ev, args, kwargs: _log(ev, logging.root, name, args, kwargs)


for _name in (*_LEVELS, "log"):
    TABLE[getattr(logging.Logger, _name)] = _logger_method(_name)
    TABLE[getattr(logging, _name)] = _logging_function(_name)
