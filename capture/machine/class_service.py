"""What one capture knows of classes: looked-up attributes, the guards on them, functions found on them."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..guards.sources import is_local
from ..values.base import Args, Kwargs, Value
from ..values.class_info import C_DATA, C_METHODS, ClassInfo
from ..values.classes import ClassValue
from ..values.objects import ObjectValue
from .objects import MethodValue
from .type_lookup import HEAPTYPE, MISSING, inherits, type_find

if TYPE_CHECKING:
    from ..breaks import Break
    from ..guards.guards import GuardSet
    from ..guards.sources import Names, Source

#: what a class holds that is known by what it is: nothing of it is wrapped
_IN_C = (*C_METHODS, *C_DATA, types.ClassMethodDescriptorType)
#: what `type` itself puts into a class
_MADE_BY_TYPE = ("__dict__", "__weakref__")


class Written:
    """Stands in a class for an attribute that the captured program set."""

    def __init__(self, value: Value) -> None:
        self.value = value


class ClassService:
    """A part of the Evaluator."""

    guards: GuardSet
    names: Names

    if TYPE_CHECKING:  # the other parts of the Evaluator

        def trusted_module(self, name: Any) -> bool: ...
        def break_(self, code: str, what: str, why: str = "", rewrite: str = "", eager: bool = False) -> Break: ...
        def is_steady(self, obj: Any) -> bool: ...
        def wrap(self, obj: Any, source: Source) -> Value: ...
        def fold_raw(self, function: Callable[..., Any], *args: Any) -> Any: ...

    def init_classes(self) -> None:
        self._infos: dict[type, ClassInfo] = {}
        self._class_guards: set[tuple[type, str]] = set()
        self._class_values: dict[type, ClassValue] = {}
        self._class_writes: list[tuple[type, str, Value]] = []

    def class_info(self, cls: type) -> ClassInfo:
        info = self._infos.get(cls)
        if info is None:
            info = self._infos[cls] = ClassInfo(
                cls,
                self.trusted_module(cls.__module__),
                any(self.trusted_module(b.__module__) for b in cls.__mro__[:-1]),
                self._passed,
                self._met,
            )
            for written, name, value in self._class_writes:
                self._override(info, written, name, value)
            if not info.steady and cls.__flags__ & HEAPTYPE:
                self.guards.bases(cls)
        return info

    def _passed(self, cls: type) -> None:
        """A lookup went past this class: it must not get the name later."""
        if cls.__flags__ & HEAPTYPE and not self.trusted_module(cls.__module__):
            self.guards.class_names(cls)

    def _met(self, cls: type, name: str, raw: Any) -> None:
        """A lookup ended at this class. What is written in C is known by what it is, so it must stay; the rest is guarded as it is bound."""
        if name not in _MADE_BY_TYPE and cls.__flags__ & HEAPTYPE and (raw is None or type(raw) in _IN_C):
            if not self.trusted_module(cls.__module__):
                self.guards.steady(cls, name, raw, cls.__name__)

    def guard_unnamed(self, cls: type) -> None:
        """Neither the class nor a base has a name that was looked for: of those that are taken not to change their number says so."""
        for base in cls.__mro__:
            if base.__flags__ & HEAPTYPE and self.trusted_module(base.__module__) and not self.names.holds_weakly(base):
                self.guards.class_size_stays(base)

    def class_value(self, cls: type) -> ClassValue:
        """The Value of a class that is known."""
        found = self._class_values.get(cls)
        if found is None:
            value = self.wrap(cls, self.names.const(cls, label=cls.__name__))
            assert isinstance(value, ClassValue)
            found = self._class_values[cls] = value
        return found

    def new_object(self, info: ClassInfo, payload: Value | None = None) -> ObjectValue:
        """A Value for an instance made during capture."""
        if info.find("__del__") is not MISSING:
            raise self.break_(
                "finalizer", f"making an instance of {info.name}, which has a __del__ method",
                "it runs when the last reference goes, which capture does not see",
                "make it outside of the compiled function",
            )  # fmt: skip
        return ObjectValue(info, payload=payload)

    def guard_class_attr(self, info: ClassInfo, name: str, raw: Any) -> None:
        """The class must still hold `raw` under this name."""
        key = (info.cls, name)
        if key in self._class_guards:
            return
        self._class_guards.add(key)
        if is_local(info.cls):
            self.names.weakly(raw, name)
        if info.steady:
            owner = next((base for base in info.cls.__mro__ if name in base.__dict__), info.cls)
            if owner.__flags__ & HEAPTYPE and not isinstance(raw, Written):
                self.guards.steady(owner, name, raw, owner.__name__)
            return
        source = self.names.const(info.cls, label=info.cls.__name__).attr(name)
        kind = type(raw) if type_find(type(info.cls), name) is MISSING else None  # the metaclass's own goes before
        if kind is types.FunctionType or kind is property:
            self.guards.is_(source, raw)
        elif kind is staticmethod:
            self.guards.is_(source, raw.__func__)
        elif kind is classmethod:
            self.guards.is_(source.attr("__func__"), raw.__func__)
        elif not isinstance(raw, Written):
            self.guards.is_(self._held_by_class(info, name), raw)

    def _held_by_class(self, info: ClassInfo, name: str) -> Source:
        """Where a class or a base of it keeps the raw attribute, past what its metaclass says."""
        owner = next(base for base in info.cls.__mro__ if name in base.__dict__)
        return self.names.const(owner, label=owner.__name__).step("", f".__dict__[{name!r}]", f".{name}")

    def class_function(self, info: ClassInfo, name: str, raw: Any) -> Value:
        """The function `raw` found on a class."""
        self.guard_class_attr(info, name, raw)
        return self.wrap(raw, self.names.const(raw))

    def metaclass_check(self, cls: type, name: str) -> Value | None:
        """What the program's own metaclass answers `isinstance` or `issubclass` with; None where it is Python's, or a framework's."""
        check = type_find(type(cls), name)
        if not isinstance(check, types.FunctionType) or self.trusted_module(check.__module__):
            return None
        return self.class_function(self.class_info(type(cls)), name, check)

    def class_attr(self, info: ClassInfo, name: str, raw: Any) -> Value:
        """Plain data found on a class."""
        if isinstance(raw, Written):
            return raw.value
        if info.steady and self.is_steady(raw):
            return self.wrap(raw, self.names.const(raw))
        if type_find(type(info.cls), name) is not MISSING:
            return self.wrap(raw, self._held_by_class(info, name))
        return self.wrap(raw, self.names.const(info.cls, label=info.cls.__name__).attr(name))

    def class_c_attr(self, value: ClassValue, name: str, raw: Any) -> Value:
        """An attribute of the metaclass written in C, seen through the class: `Cls.mro`, `Cls.__subclasses__`."""
        found = self.fold_raw(lambda: getattr(value.real, name))
        return self.wrap(found, self.names.const(found))

    def c_method(self, owner: Value, name: str, raw: Any) -> Value:
        """A method written in C, bound to a Value."""
        return MethodValue(owner, name)

    def class_written(self, cls: ClassValue, name: str, value: Value) -> None:
        """The captured program set a class attribute: later lookups see it."""
        self._class_writes.append((cls.real, name, value))
        for info in self._infos.values():
            self._override(info, cls.real, name, value)

    @staticmethod
    def _override(info: ClassInfo, cls: type, name: str, value: Value) -> None:
        if not inherits(info.cls, cls):
            return
        owner = next((b for b in info.cls.__mro__ if name in b.__dict__ or b is cls), None)
        if owner is cls:
            info._found[name] = Written(value)


__all__ = ["MISSING", "Args", "ClassService", "Kwargs"]
