"""Looking things up on classes without running any code of the program: no `__getattr__`, no property, no descriptor."""

from __future__ import annotations

import types
from typing import Any


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


#: found nowhere
MISSING = _Missing()

#: flag of classes made by a class statement: they can change
HEAPTYPE = 1 << 9
#: flag of classes with abstract methods: no instance can be made
ABSTRACT = 1 << 20

#: per process, for classes that cannot change (written in C)
_static_lookups: dict[tuple[type, str], Any] = {}
_GETTERS = (types.GetSetDescriptorType, types.MemberDescriptorType)


def type_find(cls: type, name: str) -> Any:
    """The raw attribute `name` of a class, by its MRO and without binding; MISSING when there is none."""
    key = (cls, name)
    found = _static_lookups.get(key)
    if found is None:
        found = MISSING
        for base in cls.__mro__:
            names = base.__dict__
            if name in names:
                found = names[name]
                break
        if not cls.__flags__ & HEAPTYPE:
            _static_lookups[key] = found
    return found


def type_lookup(cls: type, name: str) -> Any:
    """As `type_find`, but None when there is none."""
    found = type_find(cls, name)
    return None if found is MISSING else found


def own_name(obj: Any) -> str:
    """The `__name__` that a function, class or module keeps in C; "" for any other object."""
    cls = type(obj)
    if issubclass(cls, types.ModuleType):
        name = types.ModuleType.__getattribute__(obj, "__dict__").get("__name__")
    else:
        getter = type_find(cls, "__name__")
        name = getter.__get__(obj) if type(getter) in _GETTERS else ""
    return name if isinstance(name, str) else ""


def message_name(cls: type) -> str:
    """How Python's own error messages name a class: what C code made carries its module, unless that is `builtins`."""
    made_in_c = not cls.__flags__ & HEAPTYPE or type(cls.__dict__.get("__new__")) is types.BuiltinFunctionType
    return f"{cls.__module__}.{cls.__name__}" if made_in_c and cls.__module__ != "builtins" else cls.__name__


def inherits(cls: type, base: type) -> bool:
    """`issubclass` as C code asks it: a metaclass is not heard."""
    return type.__subclasscheck__(base, cls)


def noted(obj: Any, name: str) -> Any:
    """What stands under a name on a function, a class (its bases count) or any other object itself; None where nothing does.
    A bound method has what its function has. For marks that other code leaves on callables.
    """
    if isinstance(obj, type):
        return type_lookup(obj, name)
    names = instance_dict(obj.__func__ if isinstance(obj, types.MethodType) else obj)
    return names.get(name) if names else None


def dict_getter(cls: type) -> Any:
    """What reads the dict of an instance in C, past a `__dict__` of the class's own; None where nothing does."""
    for base in cls.__mro__:
        getter = base.__dict__.get("__dict__")
        if getter is not None and type(getter) in _GETTERS:
            return getter
    return None


def instance_dict(obj: Any) -> dict[str, Any] | None:
    """The dict that an instance keeps its attributes in; None without one."""
    getter = dict_getter(type(obj))
    if getter is not None:
        return getter.__get__(obj)
    if type_find(type(obj), "__dict__") is not MISSING or not type(obj).__dictoffset__:
        return None
    return object.__getattribute__(obj, "__dict__")
