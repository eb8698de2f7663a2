"""How the objects that an entry holds are written in a guard that people read: as a path that leads to them, or a literal.

Nothing of the program's runs for it: no `__repr__`, no attribute lookup of its classes.
"""

from __future__ import annotations

import operator
import re
import sys
import types
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from ..machine.type_lookup import HEAPTYPE, own_name
from ..values.literals import LITERAL_TYPES
from .seen import describe
from .sources import Source

#: how `Names.inject` names things; a weak reference is called
_NAME = re.compile(r"\b_\w+_\d+\b(?:\(\))?")


def spelled(text: str, names: Mapping[str, Any]) -> str:
    """The text with the names of held objects spelled out. names: the entry's globals."""

    def spell(found: re.Match[str]) -> str:
        name, called, _ = found[0].partition("()")
        if name not in names:
            return found[0]
        obj = names[name]
        if called and type(obj) is weakref.ref:
            target = obj()
            return f"<a {name.strip('_')} that is gone>" if target is None else spelling(target)
        # another list of the same items is not the one that a place must hold
        depth = 0 if text.endswith(" is ", 0, found.start()) else 2
        return spelling(obj, depth) + called

    return _NAME.sub(spell, text)


def spelled_place(place: Source, names: Mapping[str, Any]) -> str:
    """A place as Python; one that hangs on an object without a spelling by its label, in angle brackets."""
    return _place_text(place, names) or f"<{place.label}>"


def _place_text(place: Source, names: Mapping[str, Any]) -> str:
    if place.is_const:
        text = spelled(place.text, names)
        return "" if text.startswith(("<", "(", "[", "{")) else text
    if place.parent is None or not place.is_written:
        return place.label
    if place.parent.is_const and not place.parent.label:
        return place.label  # a global of the program
    held_by = _place_text(place.parent, names)
    return held_by and place.render(held_by)


def spelling(obj: Any, depth: int = 2) -> str:
    """An object as Python that gives it; where there is none, a description in angle brackets."""
    return _python(obj, depth) or _described(obj)


def _described(obj: Any) -> str:
    if type(obj) is types.CodeType:
        return f"<code of {obj.co_qualname}, {obj.co_filename}:{obj.co_firstlineno}>"
    return f"<{describe(obj).strip('<>')} at {id(obj):#x}>"


def _python(obj: Any, depth: int) -> str:
    """As `spelling`; "" where there is none."""
    cls = type(obj)
    if cls in LITERAL_TYPES:
        text = repr(obj)
        made = f"{cls.__name__}({text!r})" if cls in (float, complex) and "n" in text else text
        return made if len(made) <= _LONGEST else ""
    if cls is operator.itemgetter:
        return f"operator.itemgetter({', '.join(spelling(key) for key in obj.__reduce__()[1])})"
    if cls in _BRACKETS:
        return _name_of_globals(obj) or (_container(obj, depth - 1) if depth and len(obj) <= _ITEMS else "")
    if cls is types.MappingProxyType:
        owner = _owner(obj)
        return f"{_python(owner, 0)}.__dict__" if owner is not None else ""
    module, name = _place(obj)
    return name if module == "builtins" else f"{module}.{name}".strip(".")


#: longer literals and containers are described
_LONGEST = 200
_ITEMS = 30
_BRACKETS: dict[type, str] = {tuple: "()", list: "[]", set: "{}", dict: "{}"}


def _name_of_globals(obj: Any) -> str:
    """The path of a module's dict."""
    name = obj.get("__name__") if type(obj) is dict else None
    module = sys.modules.get(name) if type(name) is str else None
    return f"{name}.__dict__" if module is not None and vars(module) is obj else ""


def _container(obj: Any, depth: int) -> str:
    """Its items' spellings; "" where no item has one."""
    if not obj:
        return repr(obj)
    start, end = tuple(_BRACKETS[type(obj)])
    if type(obj) is dict:
        parts = [f"{spelling(k, depth)}: {spelling(v, depth)}" for k, v in obj.items()]
    else:
        parts = [spelling(item, depth) for item in obj]
    text = f"{start}{', '.join(parts)}{',' if type(obj) is tuple and len(parts) == 1 else ''}{end}"
    return "" if len(text) > _LONGEST or all(part.startswith("<") for part in parts) else text


def _place(obj: Any) -> tuple[str, str]:
    """(module, path in it) from which an object can be imported; two empty texts for one without."""
    cls = type(obj)
    if issubclass(cls, types.ModuleType):
        name = own_name(obj)
        return ("", name) if sys.modules.get(name) is obj else ("", "")
    if cls is types.BuiltinFunctionType:
        owner = obj.__self__
        if issubclass(type(owner), types.ModuleType):
            places = [(own_name(owner), obj.__name__)]
        else:
            home = _home(owner if issubclass(type(owner), type) else type(owner))
            found = [m for m in list(sys.modules) if _at(m, obj.__name__) is obj]
            places = [(home, obj.__qualname__), *((m, obj.__name__) for m in sorted(found, key=len))]
    elif issubclass(cls, type):
        places = [(_home(obj), type.__dict__["__qualname__"].__get__(obj))]
    elif cls is types.FunctionType:
        places = [(obj.__module__, obj.__qualname__)]
    elif not cls.__flags__ & HEAPTYPE and cls not in _BRACKETS:
        module, _, name = repr(obj).rpartition(".")  # as those of dtypes are
        places = [(module, name)]
    else:
        places = []
    return next((place for place in places if _at(*place) is obj), ("", ""))


def _owner(namespace: Mapping[str, Any]) -> type | None:
    """The importable class whose namespace this is, if one of its functions leads to it."""
    functions = [f for f in namespace.values() if type(f) is types.FunctionType]
    for owner in (_at(f.__module__, f.__qualname__.rpartition(".")[0]) for f in functions):
        if issubclass(type(owner), type):
            own = _vars_of_class(owner)
            if len(own) == len(namespace) and all(namespace.get(name) is value for name, value in own.items()):
                return owner
    return None


def _home(cls: type) -> str:
    module = type.__dict__["__module__"].__get__(cls)
    return module if type(module) is str else ""


def _at(module: Any, qualname: str) -> Any:
    """What stands at a path; None where nothing does."""
    found: Any = sys.modules.get(module) if type(module) is str else None
    for name in qualname.split("."):
        if issubclass(type(found), types.ModuleType):
            found = _vars_of_module(found).get(name)
        elif issubclass(type(found), type):
            found = _vars_of_class(found).get(name)
        else:
            return None
    return found


_vars_of_module: Callable[[Any], Mapping[str, Any]] = vars(types.ModuleType)["__dict__"].__get__
_vars_of_class: Callable[[Any], Mapping[str, Any]] = vars(type)["__dict__"].__get__
