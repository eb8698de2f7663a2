"""What `object` itself gives every instance: attribute access by the default rules, identity, text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Value
from .constant import FALSE, NONE, TRUE, ConstantValue

if TYPE_CHECKING:
    from .base import Machine
    from .special_methods import SpecialMethods


def _object_init(ev: Machine, obj: SpecialMethods, *args: Value, **kwargs: Value) -> Value:
    return NONE


def _get(ev: Machine, obj: SpecialMethods, name: Value) -> Value:
    return obj.generic_getattr(ev, ev.attribute_name(name), hook=False)


def _set(ev: Machine, obj: SpecialMethods, name: Value, value: Value) -> Value:
    obj.generic_setattr(ev, ev.new_attribute_name(name), value)
    return NONE


def _delete(ev: Machine, obj: SpecialMethods, name: Value) -> Value:
    obj.generic_delattr(ev, ev.attribute_name(name))
    return NONE


def _eq(ev: Machine, obj: SpecialMethods, other: Value) -> Value:
    return TRUE if other is obj else ConstantValue(NotImplemented)


def _ne(ev: Machine, obj: SpecialMethods, other: Value) -> Value:
    found = obj.compare(ev, "==", other)
    return ConstantValue(NotImplemented) if found is None else FALSE if found.truth(ev) else TRUE


def _dir(ev: Machine, obj: SpecialMethods) -> Value:
    names = {n for base in obj.cls.__mro__ for n in base.__dict__} | {
        k.as_constant() for k in obj.instance_dict(ev).items(ev)
    }
    return ev.from_python(sorted(names))


def _hash(ev: Machine, obj: SpecialMethods) -> Value:
    raise ev.break_("object-hash", f"hash of {obj.describe()}", "it depends on the object's address")


def _str(ev: Machine, obj: SpecialMethods) -> Value:
    return obj.repr_(ev)


def _repr(ev: Machine, obj: SpecialMethods) -> Value:
    if obj.payload is not None:
        return ev.payload_repr(obj)
    raise ev.break_("object-repr", f"taking the repr of {obj.describe()}", "it holds the object's address")


def _format(ev: Machine, obj: SpecialMethods, spec: Value) -> Value:
    if spec.as_constant():
        raise ev.type_error(f"unsupported format string passed to {obj.info.name}.__format__")
    return obj.str_(ev)


#: methods of `object` that builtin content answers first, where its class has its own
PAYLOAD_FIRST = frozenset(("__init__", "__eq__", "__ne__", "__hash__", "__str__", "__format__"))
OBJECT_METHODS: dict[str, Any] = {
    "__init__": _object_init,
    "__init_subclass__": _object_init,
    "__getattribute__": _get,
    "__setattr__": _set,
    "__delattr__": _delete,
    "__eq__": _eq,
    "__ne__": _ne,
    "__hash__": _hash,
    "__dir__": _dir,
    "__str__": _str,
    "__repr__": _repr,
    "__format__": _format,
    "__missing__": lambda ev, obj, key: obj.make_missing(ev, key),
}
