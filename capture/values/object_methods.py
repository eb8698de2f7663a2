"""What `object` itself gives every instance: attribute access by the default rules, identity, text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Value
from .constant import FALSE, NONE, TRUE, ConstantValue

if TYPE_CHECKING:
    from ..evaluator import Evaluator
    from .objects import ObjectValue


def _object_init(ev: Evaluator, obj: ObjectValue, *args: Value, **kwargs: Value) -> Value:
    return NONE


def _get(ev: Evaluator, obj: ObjectValue, name: Value) -> Value:
    return obj.generic_getattr(ev, name.as_constant(), hook=False)


def _set(ev: Evaluator, obj: ObjectValue, name: Value, value: Value) -> Value:
    obj.generic_setattr(ev, name.as_constant(), value)
    return NONE


def _delete(ev: Evaluator, obj: ObjectValue, name: Value) -> Value:
    obj.generic_delattr(ev, name.as_constant())
    return NONE


def _eq(ev: Evaluator, obj: ObjectValue, other: Value) -> Value:
    return TRUE if other is obj else ConstantValue(NotImplemented)


def _ne(ev: Evaluator, obj: ObjectValue, other: Value) -> Value:
    found = obj.compare(ev, "==", other)
    return ConstantValue(NotImplemented) if found is None else FALSE if found.truth(ev) else TRUE


def _dir(ev: Evaluator, obj: ObjectValue) -> Value:
    names = {n for base in obj.cls.__mro__ for n in base.__dict__} | {
        k.as_constant() for k in obj.instance_dict(ev).items(ev)
    }
    return ev.from_python(sorted(names))


OBJECT_METHODS: dict[str, Any] = {
    "__init__": _object_init,
    "__init_subclass__": _object_init,
    "__getattribute__": _get,
    "__setattr__": _set,
    "__delattr__": _delete,
    "__eq__": _eq,
    "__ne__": _ne,
    "__hash__": lambda ev, obj: ev.hash_of(obj),
    "__dir__": _dir,
    "__str__": lambda ev, obj: obj.repr_(ev),
    "__repr__": lambda ev, obj: obj.repr_(ev),
    "__format__": lambda ev, obj, spec: obj.str_(ev),
    "__missing__": lambda ev, obj, key: obj._missing_key(ev, key),
}
