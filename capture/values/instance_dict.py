"""`obj.__dict__` during capture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Value
from .constant import NONE
from .mappings import DictValue

if TYPE_CHECKING:
    from .base import Emitter, Machine
    from .special_methods import SpecialMethods


class InstanceDictValue(DictValue):
    """`obj.__dict__`: the instance's attributes as a dict, kept in the object."""

    __slots__ = ("owner",)

    def __init__(self, owner: SpecialMethods) -> None:
        super().__init__()
        self.owner = owner
        self.key_values = {}
        self.real = owner.real_dict
        self.whole = owner.real_dict is None

    @property
    def table(self) -> dict[str, Any]:  # type: ignore[override]
        owner = self.owner
        if owner.real_dict is None:
            return dict(owner.attrs)
        names = {k: owner.attrs.get(k, owner) for k in owner.real_dict if k not in owner.removed}
        names.update({k: v for k, v in owner.attrs.items() if k not in names})
        return names

    @table.setter
    def table(self, value: dict[str, Any]) -> None:
        pass

    def guard_keys(self, ev: Machine) -> None:
        if not self.whole:
            self.whole = True
            ev.guards.keys(self.owner.dict_source(ev), tuple(self.owner.real_dict or ()))

    def truth(self, ev: Machine) -> bool:
        self.guard_keys(ev)
        return bool(self.table)

    def get(self, ev: Machine, key_value: Value) -> Value | None:
        key = key_value.key(ev)
        return self.at(ev, str.__str__(key)) if isinstance(key, str) else None

    def at(self, ev: Machine, key: Any) -> Value | None:
        return self.owner.instance_attr(ev, key)

    def has(self, ev: Machine, key_value: Value) -> bool:
        return self.get(ev, key_value) is not None

    def put(self, ev: Machine, key_value: Value, value: Value) -> None:
        self.owner.store(ev, ev.new_attribute_name(key_value), value)

    def _drop(self, ev: Machine, key: Any, key_value: Value) -> None:
        self.owner.attrs.pop(key, None)
        self.owner.changed.pop(key, None)
        self.owner.removed.add(key)
        if self.owner.source is not None:
            ev.effects.touch(self.owner)

    def m_clear(self, ev: Machine) -> Value:
        for key in self.keys(ev):
            self.remove(ev, key)
        return NONE

    def rebuild(self, rb: Emitter) -> str:
        return f"{rb.value(self.owner)}.__dict__"
