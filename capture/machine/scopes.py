"""Module globals and builtins as a captured frame sees them, with writes kept until the entry replays them."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from ..values.base import Value

if TYPE_CHECKING:
    from ..values.base import Emitter, Machine


class GlobalScope:
    """One module's `__dict__`."""

    def __init__(self, ev: Machine, real: dict[str, Any]) -> None:
        self.real = real
        self.root = ev.names.const(real, label="")
        #: names that were read or written so far
        self.values: dict[str, Value] = {}
        #: names written (a Value) or deleted (None)
        self.written: dict[str, Value | None] = {}
        self.trusted = ev.trusted_module(real.get("__name__"))

    def read(self, ev: Machine, name: str) -> Value:
        """The value of a global or builtin name. Raises UserRaise(NameError)."""
        found = self.values.get(name)
        if found is not None:
            return found
        if name in self.real and self.written.get(name, name) is not None:
            obj = self.real[name]
            if self.trusted and ev.is_steady(obj):
                ev.guards.steady(self.real, name, obj, self.real.get("__name__", ""))
                found = ev.wrap(obj, ev.names.const(obj))
            else:
                found = ev.wrap(obj, self._source(name))
        else:
            if name not in self.written and not self.trusted:
                ev.guards.lacks(self.root, name)
            names = self._builtins()
            if name not in names:
                raise ev.raise_(NameError, f"name '{name}' is not defined")
            obj = names[name]
            if not self.trusted and names is not builtins.__dict__ or obj is not _ORIGINAL.get(name):
                root = ev.names.const(names, label="")
                found = ev.wrap(obj, root.step("", f"[{name!r}]", name))
            else:
                ev.guard_builtin(name, obj)
                found = ev.wrap(obj, ev.names.const(obj, label=name))
        self.values[name] = found
        return found

    def _source(self, name: str) -> Any:
        return self.root.step("", f"[{name!r}]", name)

    def _builtins(self) -> dict[str, Any]:
        found = self.real.get("__builtins__", builtins)
        return found if isinstance(found, dict) else found.__dict__

    def write(self, ev: Machine, name: str, value: Value) -> None:
        self.values[name] = value
        self.written.pop(name, None)
        self.written[name] = value
        ev.effects.touch(self)

    def delete(self, ev: Machine, name: str) -> None:
        if self.written.get(name, name) is None or name not in self.written and name not in self.real:
            raise ev.raise_(NameError, f"name '{name}' is not defined")
        if name in self.real:
            ev.guards.test(self.root, f"{ev.names.literal(name)} in {{x}}", f"the global {name!r} was there")
        else:
            ev.guards.lacks(self.root, name)
        self.values.pop(name, None)
        self.written.pop(name, None)
        self.written[name] = None
        ev.effects.touch(self)

    def replay(self, rb: Emitter, target: str) -> None:
        """Write changed globals into the module's dict."""
        for name, value in self.written.items():
            if value is not None:
                rb.effect(f"{target}[{name!r}] = {rb.value(value)}")
            elif name in self.real:
                rb.effect(f"del {target}[{name!r}]")


#: builtins as they were when quern was imported: one flag guard per name tells when one was replaced
_ORIGINAL = dict(builtins.__dict__)
