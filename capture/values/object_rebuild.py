"""Code that makes an instance again without running its `__init__`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .constant import ConstantValue
from .mappings import DictValue, Lazy
from .sequences import TupleValue

if TYPE_CHECKING:
    from ..rebuild import Rebuilder
    from .objects import ObjectValue


def shell(obj: ObjectValue, rb: Rebuilder) -> str:
    cls = rb.inject(obj.cls, obj.info.name)
    payload = obj.payload
    if payload is None:
        if obj.new_args is not None:
            return f"{cls}.__new__({', '.join([cls, *map(rb.value, obj.new_args)])})"
        return f"{rb.inject(object.__new__, 'new')}({cls})"
    base = rb.inject(payload.python_type(), payload.python_type().__name__)
    if isinstance(payload, (TupleValue, ConstantValue)) or payload.python_type() is frozenset:
        return f"{base}.__new__({cls}, {payload.rebuild(rb)})"
    return f"{base}.__new__({cls})"


def fill_payload(obj: ObjectValue, rb: Rebuilder, name: str) -> None:
    payload = obj.payload
    assert payload is not None
    base = rb.inject(payload.python_type(), payload.python_type().__name__)
    if isinstance(payload, DictValue):
        for k, v in payload.table.items():
            value = rb.source(v.source) if type(v) is Lazy else rb.value(v)
            rb.emit(f"{base}.__setitem__({name}, {payload._key_text(rb, k)}, {value})")
    else:
        maxlen = getattr(payload, "maxlen", None)
        rb.emit(f"{base}.__init__({name}, {payload.rebuild(rb)}{f', {maxlen}' if maxlen is not None else ''})")
