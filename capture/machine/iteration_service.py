"""Iterators over Values, and what iteration gives. A part of the Evaluator."""

from __future__ import annotations

import collections
import types
from collections.abc import Iterator

from ..breaks import UserRaise
from ..values import special_methods
from ..values.base import Machine, Value
from ..values.constant import NONE
from ..values.iterators import (
    DictIterator,
    FixedIterator,
    ItemIterator,
    RangeIterator,
    SequenceIterator,
    SetIterator,
)
from ..values.mappings import DictValue
from ..values.objects import ObjectValue
from ..values.sequences import SequenceValue
from ..values.sets import DictViewValue, SetValue


class IterationService:
    """See the module's text. Its `self` is the whole machine."""

    def iterator_of(self: Machine, values: list[Value]) -> Value:
        return FixedIterator(values)

    def sequence_iterator(self: Machine, owner: SequenceValue) -> Value:
        return SequenceIterator(owner)

    def range_iterator(self: Machine, values: range) -> Value:
        return RangeIterator(values)

    def set_iterator(self: Machine, owner: SetValue) -> Value:
        owner.order(self)
        return SetIterator(owner)

    def dict_view(self: Machine, owner: DictValue, kind: str) -> Value:
        return DictViewValue(owner, kind)

    def dict_iterator(self: Machine, owner: DictValue, kind: str) -> Value:
        return DictIterator(self, owner, kind)

    def next_with_result(self: Machine, it: Value) -> tuple[Value | None, Value]:
        """`next(it)`, and what the iterator returned if it ended."""
        if not isinstance(it, ObjectValue):
            return it.next_(self), getattr(it, "result", NONE)
        method = it.special(self, "__next__")
        if method is None:
            return it.next_(self), NONE
        try:
            return method.call(self, [], {}), NONE
        except UserRaise as error:
            if not issubclass(error.value.python_type(), StopIteration):
                raise
            return None, error.value.getattr_(self, "value")

    def each(self: Machine, value: Value) -> Iterator[Value]:
        """The elements that iteration gives, one by one: between two of them the program's code may look at what was
        done with the first.
        """
        if type(value).items is not Value.items and not isinstance(value, ObjectValue):
            yield from value.items(self)
            return
        it = value.iter_(self)
        while (item := it.next_(self)) is not None:
            yield item

    def collected(self: Machine, value: Value) -> Iterator[Value]:
        """As `each`, for what `list(value)` does: an object of the program is asked how many elements there are, too."""
        asked = isinstance(value, (ObjectValue, ItemIterator))
        return special_methods.collected(self, value) if asked else self.each(value)

    def mapping_pairs(self: Machine, value: Value) -> Iterator[tuple[Value, Value]]:
        """(key, value) pairs as `dict(value)` takes them, one by one."""
        inside = self.payload(value)
        if isinstance(inside, DictValue) and (inside is value or not _overrides_reading(self, value)):
            yield from inside.pairs(self)
            return
        if self.has_special(value, "keys"):
            for key in self.each(self.call_method(value, "keys", [])):
                yield key, value.getitem(self, key)
            return
        for number, item in enumerate(self.each(value)):
            if not self.is_iterable(item):
                raise self.type_error(f"cannot convert dictionary update sequence element #{number} to a sequence")
            parts = item.items(self)
            if len(parts) != 2:
                raise self.raise_(
                    ValueError, f"dictionary update sequence element #{number} has length {len(parts)}; 2 is required"
                )
            yield parts[0], parts[1]

    def copied_content(self: Machine, value: Value) -> Value | None:
        """The builtin content as C code that copies it finds it: a dict is read through an `__iter__` of its class's own."""
        assert isinstance(value, ObjectValue)
        inside = value.payload
        if not isinstance(inside, DictValue) or inside.cls is not dict or not _overrides_reading(self, value):
            return inside
        found = DictValue()
        found.m_update(self, value)
        return found


def _overrides_reading(ev: Machine, value: Value) -> bool:
    assert isinstance(value, ObjectValue)
    ordered = issubclass(
        value.cls, collections.OrderedDict
    )  # C reads a dict past `keys`, and an OrderedDict through it
    names = ("__iter__", "keys", "__getitem__") if ordered else ("__iter__",)
    return any(isinstance(value.info.find(name), types.FunctionType) for name in names)
