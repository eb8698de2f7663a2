"""What is asked of a class: names by its MRO, hooks that it overrides, what goes before an instance's own attributes."""

from __future__ import annotations

import types
import weakref
from collections.abc import Callable
from typing import Any

from ..machine.type_lookup import HEAPTYPE, MISSING, dict_getter, type_find

_FunctionType = types.FunctionType
#: descriptors of data computed or kept in C
C_DATA = (types.GetSetDescriptorType, types.MemberDescriptorType)
#: methods written in C that bind to an instance
C_METHODS = (types.MethodDescriptorType, types.WrapperDescriptorType)
#: modules whose C classes read and write attributes by the default rules, though they have slots of their own for it ...
_PLAIN_MODULES = frozenset((
    "builtins", "collections", "_collections", "functools", "operator", "itertools", "datetime", "array", "_random", "_io",
))  # fmt: skip
#: ... and the exceptions; and other classes that follow them
_OWN_RULES: frozenset[type] = frozenset((type, super, types.ModuleType, types.MethodType))
_PLAIN_CLASSES: frozenset[type] = frozenset((types.SimpleNamespace,))


class ClassInfo:
    """What one capture knows of a class: looked-up names, and which hooks it overrides."""

    __slots__ = (
        "cls",
        "_found",
        "getattribute",
        "getattr",
        "setattr",
        "delattr",
        "has_dict",
        "hides_dict",
        "steady",
        "framework_based",
        "name",
        "_passed",
        "_met",
    )

    def __init__(
        self,
        cls: type,
        steady: bool,
        framework_based: bool,
        passed: Callable[[type], None] = lambda cls: None,
        met: Callable[[type, str, Any], None] = lambda cls, name, raw: None,
    ) -> None:
        self.cls = cls
        #: told of each class that a lookup found without the name, and of the class that has it
        self._passed, self._met = passed, met
        self.name = cls.__name__
        self._found: dict[str, Any] = {}
        #: the class is trusted not to change
        self.steady = steady
        self.getattribute = self._hook("__getattribute__")
        self.getattr = self._hook("__getattr__")
        self.setattr = self._hook("__setattr__")
        self.delattr = self._hook("__delattr__")
        # a class in C may keep its dict to itself
        self.has_dict = bool(cls.__dictoffset__) and any("__dict__" in c.__dict__ for c in cls.__mro__)
        #: instances have a dict, and nothing that reads it without asking the class
        self.hides_dict = self.has_dict and dict_getter(cls) is None
        #: some base is a framework's class: nobody replaces the whole `__dict__` of its instances
        self.framework_based = framework_based

    def _hook(self, name: str) -> Any:
        """What overrides `name`, raw; None for the default rules."""
        found = self.find(name)
        if found is MISSING or type(found) is types.WrapperDescriptorType and self._by_default(name, found):
            return None
        return found

    def _by_default(self, name: str, raw: types.WrapperDescriptorType) -> bool:
        """Whether a C class's own slot follows the default rules. Of a class that is not known it is taken not to."""
        owner: type = raw.__objclass__
        if raw.__name__ != name:
            return False
        if owner is type:
            return issubclass(self.cls, type)
        return owner in _PLAIN_CLASSES or owner.__module__ in _PLAIN_MODULES and owner not in _OWN_RULES

    @property
    def is_c(self) -> bool:
        """Whether an instance can be hashed and asked for attributes without running code of the program."""
        if self.cls in (weakref.ProxyType, weakref.CallableProxyType):
            return False
        raws = (self.getattribute, self.getattr, self.find("__hash__"), self.find("__eq__"))
        return not any(type(raw) is _FunctionType for raw in raws)

    def find(self, name: str) -> Any:
        """Raw attribute by the MRO; MISSING when absent."""
        if name in self._found:
            return self._found[name]
        found = self._found[name] = type_find(self.cls, name)
        if not self.steady:
            for base in self.cls.__mro__:
                if name in base.__dict__:
                    self._met(base, name, found)
                    break
                self._passed(base)
        return found


_BINDERS = (property, staticmethod, classmethod)


def descriptor_kind(raw: Any) -> type:
    """The type of what a class holds; property, staticmethod or classmethod also for a subclass that binds as they do."""
    kind = type(raw)
    if kind.__flags__ & HEAPTYPE:
        for base in _BINDERS:
            if issubclass(kind, base) and type_find(kind, "__get__") is base.__dict__["__get__"]:
                return base
    return kind


def is_data_descriptor(raw: Any) -> bool:
    """True when an attribute of the class goes before the instance's own."""
    kind = type(raw)
    if kind is _FunctionType:
        return False
    if kind is property or kind in C_DATA:
        return True
    return type_find(kind, "__set__") is not MISSING or type_find(kind, "__delete__") is not MISSING
