"""`id(x)` of an object whose address differs from call to call."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

from .base import Value
from .constant import FALSE, TRUE, ConstantValue

if TYPE_CHECKING:
    from ..breaks import Break
    from .base import Emitter, Machine


class AddressValue(Value):
    """Known to be the address of one object: it equals another's where the two are one, and what number it is nobody knows."""

    __slots__ = ("owner",)

    def __init__(self, owner: Value) -> None:
        super().__init__()
        self.owner = owner

    def python_type(self) -> type:
        return int

    def describe(self) -> str:
        return f"id() of {self.owner.describe()}"

    def equals(self, ev: Machine, other: AddressValue) -> bool:
        """Whether two addresses are one."""
        return ev.is_same(self.owner, other.owner)

    def number(self, ev: Machine) -> int:
        """The address itself, where the object stays the same. Breaks for another."""
        key = ev.address_key(self.owner)
        if type(key) is not int:
            raise self.unknown(ev)
        return key

    def key(self, ev: Machine) -> Any:
        return ev.address_key(self.owner)

    def truth(self, ev: Machine) -> bool:
        return True

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        if op in ("==", "!=") and type(other) is type(self):
            return TRUE if self.equals(ev, other) == (op == "==") else FALSE
        if not issubclass(other.python_type(), numbers.Number):
            return None
        return ConstantValue(self.number(ev)).compare(ev, op, other)

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        raise self.unknown(ev)

    def unary(self, ev: Machine, op: str) -> Value:
        raise self.unknown(ev)

    def repr_(self, ev: Machine) -> Value:
        raise self.unknown(ev)

    def call_method(self, ev: Machine, name: str, args: Any, kwargs: Any) -> Value:
        raise self.unknown(ev)

    def unknown(self, ev: Machine) -> Break:
        """`raise a.unknown(ev)`: the program asks for more than which of two it is."""
        return ev.break_("object-id", f"the value of {self.describe()}", "addresses change from call to call",
                         "compare with `is`")  # fmt: skip

    def rebuild(self, rb: Emitter) -> str:
        return f"{rb.inject(id, 'id')}({rb.value(self.owner)})"
