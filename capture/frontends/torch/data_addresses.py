"""Where tensors lie: `x.data_ptr()` and `x.untyped_storage().data_ptr()`, as far as it can be told whether two are one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ....inductor.ops.dims import same
from ...machine.objects import MethodValue
from ...values.address import AddressValue
from ...values.base import Args, Kwargs, Value
from ...values.tensor import ArrayValue, InputStorage
from .handlers import register_handler

if TYPE_CHECKING:
    from ...breaks import Break
    from ...values.base import Emitter, Machine


class DataAddressValue(AddressValue):
    """The address of a tensor's first element, or of its storage."""

    __slots__ = ("of_storage",)
    owner: ArrayValue

    def __init__(self, owner: ArrayValue, of_storage: bool) -> None:
        super().__init__(owner)
        self.of_storage = of_storage

    def describe(self) -> str:
        return f"the address of {self.owner.describe()}"

    def equals(self, ev: Machine, other: AddressValue) -> bool:
        assert isinstance(other, DataAddressValue)
        one, two = self.owner, other.owner
        if not _is_told(one) or not _is_told(two) or self.of_storage != other.of_storage:
            raise self.unknown(ev)
        if one.storage is two.storage:
            if self.of_storage:
                return True
            if one.meta.dtype.size != two.meta.dtype.size:
                raise self.unknown(ev)
            return same(one.offset, two.offset)
        first, second = one.storage, two.storage
        if isinstance(first, InputStorage) and isinstance(second, InputStorage):
            if first.key is None or first.key == second.key:
                raise self.unknown(ev)
            one.guard_apart(ev, first, second)
        return False

    def number(self, ev: Machine) -> int:
        raise self.unknown(ev)

    def key(self, ev: Machine) -> object:
        raise self.unknown(ev)

    def unknown(self, ev: Machine) -> Break:
        return ev.break_(
            "memory-address", f"the value of {self.describe()}", "addresses are known only when the graph runs"
        )

    def rebuild(self, rb: Emitter) -> str:
        storage = ".untyped_storage()" if self.of_storage else ""
        return f"{rb.value(self.owner)}{storage}.data_ptr()"


class StorageValue(Value):
    """`x.untyped_storage()`: where it lies can be asked, and no more."""

    __slots__ = ("owner",)

    def __init__(self, owner: ArrayValue) -> None:
        super().__init__()
        self.owner = owner

    def python_type(self) -> type:
        return torch.UntypedStorage

    def m_data_ptr(self, ev: Machine) -> Value:
        return DataAddressValue(self.owner, of_storage=True)

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name == "data_ptr":
            return MethodValue(self, name)
        raise ev.break_(
            "memory-address", f"{name!r} of the storage of {self.owner.describe()}", "storage objects are not tracked"
        )

    def rebuild(self, rb: Emitter) -> str:
        return f"{rb.value(self.owner)}.untyped_storage()"


def _is_told(x: ArrayValue) -> bool:
    """Whether it is known where a tensor begins. The address of one without elements is 0."""
    return x.is_placed() and not x.is_undecided and 0 not in x.meta.shape


def _data_ptr(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    (tensor,) = args
    assert isinstance(tensor, ArrayValue)
    return DataAddressValue(tensor, of_storage=False)


def _untyped_storage(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    (tensor,) = args
    assert isinstance(tensor, ArrayValue)
    return StorageValue(tensor)


register_handler("Tensor.data_ptr", _data_ptr)
register_handler("Tensor.untyped_storage", _untyped_storage)
