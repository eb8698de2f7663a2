"""Exceptions of the program, and their tracebacks."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from ..guards.sources import Source
from .attribute_text import assignment
from .base import Args, Kwargs, Value
from .class_info import ClassInfo
from .constant import FALSE, NONE, TRUE, ConstantValue
from .objects import ObjectValue
from .sequences import ListValue, TupleValue

if TYPE_CHECKING:
    from .base import Emitter, Machine


#: exceptions whose text is not that of their arguments, where they have several
_OWN_TEXT: tuple[type, ...] = (
    BaseExceptionGroup, ImportError, OSError, SyntaxError, UnicodeDecodeError, UnicodeEncodeError, UnicodeTranslateError,
)  # fmt: skip


class ExceptionValue(ObjectValue):
    """An exception instance."""

    __slots__ = ("args", "location")

    def __init__(self, info: ClassInfo, args: list[Value], source: Source | None = None, real: Any = None) -> None:
        super().__init__(info, source, real)
        self.args = args
        self.location: Any = None

    def generic_getattr(self, ev: Machine, name: str, hook: bool = True) -> Value:
        if name == "args":
            return TupleValue(self.args)
        found = self.attrs.get(name)
        if found is not None:
            return found
        if name in ("__cause__", "__context__"):
            return NONE
        if name == "__suppress_context__":
            return FALSE
        if name == "__traceback__":
            return TracebackValue()
        if name == "value" and issubclass(self.cls, StopIteration):
            return self.args[0] if self.args else NONE
        if name == "code" and issubclass(self.cls, SystemExit):
            return self.args[0] if self.args else NONE
        return super().generic_getattr(ev, name, hook)

    def generic_setattr(self, ev: Machine, name: str, value: Value) -> None:
        if name == "args":
            self.args = value.items(ev)
            self.changed["args"] = None
            self.attrs.pop("args", None)
        elif name == "__traceback__":
            pass
        elif name in ("__cause__", "__context__", "__suppress_context__"):
            if name == "__cause__":
                self.attrs["__suppress_context__"] = TRUE
            self.store(ev, name, value)
        else:
            super().generic_setattr(ev, name, value)

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        if name == "__init__":
            if kwargs:
                raise ev.break_(
                    "exception-arguments", f"making {self.describe()} with arguments by name", "C code keeps them"
                )
            self.args = list(args)
            return NONE
        if name in ("__str__", "__repr__"):
            return self._said(ev) if name == "__str__" else self._repr(ev)
        if name == "with_traceback":
            return self
        if name == "add_note":
            notes = self.attrs.get("__notes__")
            if notes is None:
                notes = ListValue([])
                self.store(ev, "__notes__", notes)
            return notes.call_method(ev, "append", args, {})
        return super().call_method(ev, name, args, kwargs)

    def models(self, owner: type) -> bool:
        return owner.__module__ == "builtins" and (owner not in _OWN_TEXT or len(self.args) < 2)

    def _said(self, ev: Machine) -> Value:
        if not self.args:
            return ConstantValue("")
        if len(self.args) == 1:
            return self.args[0].repr_(ev) if issubclass(self.cls, KeyError) else self.args[0].str_(ev)
        return TupleValue(self.args).repr_(ev)

    def _repr(self, ev: Machine) -> Value:
        return ConstantValue(f"{self.cls.__name__}({', '.join(ev.repr_text(a) for a in self.args)})")

    def str_(self, ev: Machine) -> Value:
        method = self.special(ev, "__str__")
        return self._text(ev, "__str__", method, []) if method is not None else self._said(ev)

    def repr_(self, ev: Machine) -> Value:
        method = self.special(ev, "__repr__")
        return self._text(ev, "__repr__", method, []) if method is not None else self._repr(ev)

    def rebuild(self, rb: Emitter) -> str:
        self.new_args = self.args
        self.changed.pop("args", None)
        return super().rebuild(rb)

    def _assignment(self, rb: Emitter, target: str, attr: str) -> str:
        return assignment(rb, target, attr, rb.value(self.attrs[attr]))

    def replay(self, rb: Emitter, target: str) -> None:
        if "args" in self.changed:
            rb.effect(f"{target}.args = {rb.value(TupleValue(self.args))}")
            self.changed.pop("args")
        super().replay(rb, target)


class TracebackValue(Value):
    """A traceback: it exists, and nothing can be asked of it during capture."""

    __slots__ = ()

    def __init__(self) -> None:
        self.source = None

    def python_type(self) -> type:
        return types.TracebackType
