"""Code that makes an instance again without running its `__init__`."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING

from .constant import ConstantValue
from .mappings import DictValue
from .sequences import TupleValue

if TYPE_CHECKING:
    from .base import Emitter
    from .special_methods import SpecialMethods


def shell(obj: SpecialMethods, rb: Emitter) -> str:
    cls = rb.inject(obj.cls, obj.info.name)
    payload = obj.payload
    if payload is None:
        if obj.new_args is not None:
            args = [rb.value(arg) for arg in obj.new_args]
            if type(obj.info.find("__init__")) is types.WrapperDescriptorType:
                return f"{cls}({', '.join(args)})"
            return f"{cls}.__new__({', '.join([cls, *args])})"
        news = (base.__dict__.get("__new__") for base in obj.cls.__mro__)
        if next(new for new in news if isinstance(new, types.BuiltinFunctionType)) is not object.__new__:
            raise rb.cannot(obj, "its base in C keeps content of its own")
        return f"{rb.inject(object.__new__, 'new')}({cls})"
    base = rb.inject(payload.python_type(), payload.python_type().__name__)
    if isinstance(payload, (TupleValue, ConstantValue)) or payload.python_type() is frozenset:
        return f"{base}.__new__({cls}, {payload.rebuild(rb)})"
    return f"{base}.__new__({cls})"


def initialize_base(obj: SpecialMethods, rb: Emitter, name: str) -> None:
    """What the C base of a class with an `__init__` in Python keeps of the arguments: the value of a StopIteration."""
    if obj.new_args is None or type(obj.info.find("__init__")) is types.WrapperDescriptorType:
        return
    raws = (base.__dict__.get("__init__") for base in obj.cls.__mro__)
    init = next(raw for raw in raws if type(raw) is types.WrapperDescriptorType)
    if init is not object.__init__ and init is not BaseException.__init__:
        rb.emit(f"{rb.inject(init, 'init')}({', '.join([name, *map(rb.value, obj.new_args)])})")


def fill_payload(obj: SpecialMethods, rb: Emitter, name: str) -> None:
    payload = obj.payload
    assert payload is not None
    base = rb.inject(payload.python_type(), payload.python_type().__name__)
    if isinstance(payload, DictValue):
        for k, v in payload.table.items():
            rb.emit(f"{base}.__setitem__({name}, {payload.key_text(rb, k)}, {payload.value_text(rb, k, v)})")
    else:
        maxlen = getattr(payload, "maxlen", None)
        rb.emit(f"{base}.__init__({name}, {payload.rebuild(rb)}{f', {maxlen}' if maxlen is not None else ''})")
