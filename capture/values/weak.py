"""Weak references."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from ..guards.sources import Source
from .base import Args, Kwargs, Value
from .constant import FALSE, TRUE
from .functions import CellValue
from .keys import WeakKey

if TYPE_CHECKING:
    from .base import Emitter, Machine


class WeakValue(Value):
    """A weak reference, and what it refers to: that is alive as long as the capture knows it. None when it is gone."""

    __slots__ = ("owner",)

    def __init__(self, owner: Value, source: Source | None = None) -> None:
        super().__init__(source)
        self.owner = owner

    def python_type(self) -> type:
        return weakref.ReferenceType

    def call(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        if self.owner.source is None and not _is_held(ev, self.owner):
            raise ev.break_("weak-reference", "a weak reference to an object that no variable holds",
                            "whether it is alive depends on who else holds it", "keep it in a variable")  # fmt: skip
        return self.owner

    def key(self, ev: Machine) -> Any:
        if ev.is_none(self.owner):
            raise ev.break_("weak-key", "a weak reference to an object that is gone as a dict key")
        return WeakKey(self.owner.key(ev))

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        if op in ("==", "!=") and isinstance(other, WeakValue):
            gone = ev.is_none(self.owner) or ev.is_none(other.owner)
            same = self is other if gone else ev.equal(self.owner, other.owner)
            return TRUE if same == (op == "==") else FALSE
        return None

    def rebuild(self, rb: Emitter) -> str:
        return f"{rb.inject(weakref.ref, 'ref')}({rb.value(self.owner)})"


def _is_held(ev: Machine, made: Value) -> bool:
    """Whether a variable of the frames being captured holds what they made."""
    frame = ev.frame
    while frame is not None:
        if any(v is made or isinstance(v, CellValue) and v.get(ev) is made for v in frame.slots.values()):
            return True
        frame = frame.parent
    return False
