"""Making torch's functions lead elsewhere, and restoring them.

A function is replaced twice over: the module's attribute becomes a new function, and the old one, which programs may have bound
to names of their own before, gets code that leads to the same place. Both show the signature of the old one.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_ABSENT: Any = object()


def _template(*args: Any, **kwargs: Any) -> Any:
    target: Any = "<target>"
    return target(*args, **kwargs)


def _leading_to(target: Callable[..., Any], name: str, free: tuple[str, ...] = ()) -> types.CodeType:
    """Code of a function that calls `target` with whatever it is called with. free: what the function has in its closure,
    which Python wants code to have as well
    """
    code = _template.__code__
    constants: Any = tuple(target if c == "<target>" else c for c in code.co_consts)
    return code.replace(
        co_consts=constants, co_name=name, co_filename="<quern door>", co_firstlineno=1, co_freevars=free
    )


def copy_of(function: types.FunctionType) -> types.FunctionType:
    """The function as it is now, whatever becomes of it."""
    made = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


@dataclass
class Replaced:
    """What was changed in torch, in order."""

    attributes: list[tuple[Any, str, Any]] = field(default_factory=list)

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute of `owner` itself, which may be there or not."""
        self.attributes.append((owner, name, owner.__dict__.get(name, _ABSENT)))
        setattr(owner, name, value)

    def change(self, owner: Any, name: str, value: Any) -> None:
        """Set what every object of its kind has (`__class__`, `__bases__`, `__code__`)."""
        self.attributes.append((owner, name, getattr(owner, name)))
        _set(owner, name, value)

    def lead(self, function: types.FunctionType, target: Callable[..., Any]) -> None:
        """Make a function, wherever it is bound, call `target`. Its signature is shown as before."""
        shown = inspect.signature(function)
        self.change(function, "__code__", _leading_to(target, function.__name__, function.__code__.co_freevars))
        self.put(function, "__signature__", shown)

    def function(
        self,
        owner: Any,
        name: str,
        target: Callable[..., Any],
        *,
        also: tuple[Any, ...] = (),
    ) -> None:
        """Replace the function `owner.name`. also: other modules that have the function under its name"""
        old = owner.__dict__[name]
        shown = inspect.signature(old)
        new = types.FunctionType(_leading_to(target, name), old.__globals__, name)
        for attribute in ("__module__", "__qualname__", "__doc__", "__annotations__"):
            setattr(new, attribute, getattr(old, attribute))
        new.__dict__.update(old.__dict__)
        new.__signature__ = shown  # type: ignore[attr-defined]
        self.lead(old, target)
        for place in (owner, *also):
            if place.__dict__.get(name) is old:
                self.put(place, name, new)

    def undo(self) -> None:
        """Everything as it was."""
        while self.attributes:
            owner, name, original = self.attributes.pop()
            if original is _ABSENT:
                delattr(owner, name)
            else:
                _set(owner, name, original)


def _set(owner: Any, name: str, value: Any) -> None:
    """Set an attribute, also of a module whose own way of setting takes other names only."""
    if isinstance(owner, types.ModuleType):
        types.ModuleType.__setattr__(owner, name, value)
    else:
        setattr(owner, name, value)
