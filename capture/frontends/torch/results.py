"""Named results of torch functions: `torch.return_types.max(values=..., indices=...)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ...values.base import Value
from ...values.sequences import TupleValue

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine


@dataclass(frozen=True)
class Results:
    """A handler's named results: the return type and the results in its order."""

    cls: type
    values: tuple[Any, ...]


class ReturnTypeValue(TupleValue):
    """A torch.return_types tuple: fields by name and by position."""

    __slots__ = ("cls",)

    def __init__(self, cls: type, elements: list[Value]) -> None:
        super().__init__(elements)
        self.cls: Any = cls

    def python_type(self) -> type:
        return self.cls

    def getattr_(self, ev: Machine, name: str) -> Value:
        fields = getattr(self.cls, "__match_args__", ())
        if name in fields:
            return self.items(ev)[fields.index(name)]
        return super().getattr_(ev, name)

    def rebuild(self, rb: Emitter) -> str:
        return f"{rb.inject(self.cls, self.cls.__name__)}({super().rebuild(rb)})"


class SizeValue(TupleValue):
    """A torch.Size: a tuple of sizes that slices and adds to torch.Size again."""

    __slots__ = ()

    def python_type(self) -> type:
        return torch.Size

    def new(self, elements: Any) -> Value:
        return SizeValue(elements)

    def wrap_text(self, parts: list[str]) -> str:
        return f"torch.Size([{', '.join(parts)}])"

    def m_numel(self, ev: Machine) -> Value:
        from_items = ev.constant(1)
        for item in self.items(ev):
            from_items = ev.binary("*", from_items, item)
        return from_items

    def rebuild(self, rb: Emitter) -> str:
        return f"{rb.inject(torch.Size, 'Size')}({super().rebuild(rb)})"
