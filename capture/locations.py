"""Where in the user's code the evaluator stands."""

from __future__ import annotations

import linecache
import os
from types import CodeType
from typing import TYPE_CHECKING, Any

from ..errors import SourceLocation

if TYPE_CHECKING:
    from .machine.frames import Frame
    from .values.base import Machine

_plain: dict[tuple[CodeType, int], SourceLocation] = {}
_framework: dict[str, bool] = {}
#: where the standard library's own code is
_LIBRARY = ("<frozen", os.path.dirname(os.__file__) + os.sep, os.path.dirname(__file__) + os.sep)


def is_framework(ev: Any, filename: str) -> bool:
    """True for files whose lines say nothing to the user: the frameworks' and the standard library's own."""
    found = _framework.get(filename)
    if found is None:
        library = filename.startswith(_LIBRARY) and "site-packages" not in filename
        found = library or any(f.location_is_framework(filename) for f in ev.frontends)
        _framework[filename] = found
    return found


def _of(frame: Frame, text: bool) -> SourceLocation:
    code = frame.view.code
    index = max(frame.pc - 1, 0)
    line = frame.view.instructions[index].line or code.co_firstlineno
    if text:
        source = linecache.getline(code.co_filename, line).strip()
        return SourceLocation(code.co_filename, line, code.co_name, source)
    key = (code, line)
    found = _plain.get(key)
    if found is None:
        found = _plain[key] = SourceLocation(code.co_filename, line, code.co_name)
    return found


def of_code(code: CodeType) -> SourceLocation:
    """A function's first line."""
    text = linecache.getline(code.co_filename, code.co_firstlineno).strip()
    return SourceLocation(code.co_filename, code.co_firstlineno, code.co_name, text)


def current(ev: Machine, text: bool = False) -> SourceLocation | None:
    """The innermost line outside of the frameworks."""
    frame = ev.frame
    while frame is not None and frame.parent is not None and is_framework(ev, frame.view.code.co_filename):
        frame = frame.parent
    return None if frame is None else _of(frame, text)


def stack(ev: Machine) -> tuple[SourceLocation, ...]:
    """The user's frames, outermost first, with source text; framework frames are left out, the root stays."""
    found = []
    frame = ev.frame
    while frame is not None:
        if frame.parent is None or not is_framework(ev, frame.view.code.co_filename):
            found.append(_of(frame, True))
        frame = frame.parent
    return tuple(reversed(found))
