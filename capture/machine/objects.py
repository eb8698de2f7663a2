"""The object model of builtin types: attributes found on the type, methods written in C and modelled by Values.

User classes have their own part, in `values.objects`; both look names up by `type_lookup`.
"""

from __future__ import annotations

import collections
import inspect
import types
from typing import TYPE_CHECKING, Any

from ..values.base import Args, Kwargs, Value
from ..values.constant import FALSE, NONE, TRUE, ConstantValue
from ..values.keys import MethodKey
from .operators import BY_COMPARE, BY_DUNDER, BY_INPLACE, BY_REFLECTED, BY_UNARY
from .type_lookup import MISSING, type_find

if TYPE_CHECKING:
    from ..values.base import Machine


class MethodValue(Value):
    """A method of a builtin type bound to a Value: `[].append`, `"".join`."""

    __slots__ = ("owner", "name", "raw")

    def __init__(self, owner: Value, name: str, raw: Any = None) -> None:
        self.source = None
        self.owner = owner
        self.name = name
        #: the method itself, where the owner's class may have another one under this name
        self.raw = raw

    def python_type(self) -> type:
        return types.MethodWrapperType if self.name.startswith("__") else types.BuiltinMethodType

    def call(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        return self.owner.call_method(ev, self.name, args, kwargs)

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name == "__self__":
            return self.owner
        if name == "__name__":
            return ev.constant(self.name)
        return super().getattr_(ev, name)

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        if op in ("==", "!=") and isinstance(other, MethodValue):
            same = other.owner is self.owner and other.name == self.name
            return TRUE if same == (op == "==") else FALSE
        return None

    def key(self, ev: Machine) -> Any:
        return MethodKey(self.name if self.raw is None else self.raw, ev.identity_key(self.owner))

    def describe(self) -> str:
        return f"the method {self.name!r} of {self.owner.describe()}"

    def rebuild(self, rb: Any) -> str:
        if self.raw is not None:
            return f"{rb.inject(self.raw, self.name)}.__get__({rb.value(self.owner)})"
        return f"({rb.value(self.owner)}).{self.name}"


def getattr_default(ev: Machine, value: Value, name: str) -> Value:
    """Default of `Value.getattr_`."""
    cls = value.python_type()
    if name == "__class__":
        return ev.class_value(cls)
    if type_find(cls, name) is MISSING:
        raise ev.attribute_error(value, name)
    if name == "__doc__":
        return ev.constant(cls.__doc__)
    if name == "__hash__" and cls.__hash__ is None:
        return NONE
    return MethodValue(value, name)


def _protocol(ev: Machine, value: Value, name: str, args: Args) -> Value | None:
    """The dunder `name` by the operator protocol; None when it is none of it."""
    if name == "__pow__" and len(args) == 2:
        return ev.call(ev.constant(pow), [value, *args], {})
    if name in BY_DUNDER:
        return _or_not_implemented(value.binary(ev, BY_DUNDER[name], args[0], False))
    if name in BY_REFLECTED:
        return _or_not_implemented(value.binary(ev, BY_REFLECTED[name], args[0], True))
    if name in BY_INPLACE:
        return _or_not_implemented(value.inplace(ev, BY_INPLACE[name], args[0]))
    if name in BY_COMPARE:
        return _or_not_implemented(value.compare(ev, BY_COMPARE[name], args[0]))
    if name in BY_UNARY:
        return value.unary(ev, BY_UNARY[name])
    simple = _PROTOCOL.get(name)
    return simple(ev, value, *args) if simple is not None else None


def _or_not_implemented(found: Value | None) -> Value:
    return ConstantValue(NotImplemented) if found is None else found


def _next(ev: Machine, value: Value) -> Value:
    found = value.next_(ev)
    if found is None:
        raise ev.raise_(StopIteration)
    return found


def _set(ev: Machine, value: Value, key: Value, item: Value) -> Value:
    value.setitem(ev, key, item)
    return NONE


def _del(ev: Machine, value: Value, key: Value) -> Value:
    value.delitem(ev, key)
    return NONE


def _setattr(ev: Machine, value: Value, name: Value, item: Value) -> Value:
    value.setattr_(ev, ev.new_attribute_name(name), item)
    return NONE


def _delattr(ev: Machine, value: Value, name: Value) -> Value:
    value.delattr_(ev, ev.attribute_name(name))
    return NONE


_PROTOCOL: dict[str, Any] = {
    "__len__": lambda ev, v: v.len_(ev),
    "__iter__": lambda ev, v: v.iter_(ev),
    "__next__": _next,
    "__getitem__": lambda ev, v, k: v.getitem(ev, k),
    "__setitem__": _set,
    "__delitem__": _del,
    "__contains__": lambda ev, v, x: TRUE if v.contains(ev, x) else FALSE,
    "__bool__": lambda ev, v: TRUE if v.truth(ev) else FALSE,
    "__str__": lambda ev, v: v.str_(ev),
    "__repr__": lambda ev, v: v.repr_(ev),
    "__format__": lambda ev, v, spec: v.format_(ev, spec.as_constant()),
    "__hash__": lambda ev, v: ev.hash_of(v),
    "__getattribute__": lambda ev, v, name: v.getattr_(ev, ev.attribute_name(name)),
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__call__": lambda ev, v, *args: v.call(ev, args, {}),
    "__class_getitem__": lambda ev, v, *args: v,
    "__init_subclass__": lambda ev, v, *args: NONE,
    "__sizeof__": lambda ev, v: ev.fold(lambda: v.as_constant().__sizeof__()),
}


def call_method_default(ev: Machine, value: Value, name: str, args: Args, kwargs: Kwargs) -> Value:
    """Default of `Value.call_method`."""
    method = getattr(value, "m_" + name, None)
    if method is not None:
        try:
            return method(ev, *args, **kwargs)
        except TypeError:
            _check_arguments(ev, value, name, method, args, kwargs)
            raise
    if name == "__call__":
        return value.call(ev, args, kwargs)
    if not kwargs:
        found = _protocol(ev, value, name, args)
        if found is not None:
            return found
    raise ev.break_("unsupported-method", f"calling method {name!r} of {value.describe()}")


def _check_arguments(ev: Machine, value: Value, name: str, method: Any, args: Args, kwargs: Kwargs) -> None:
    """The program's TypeError, when arguments do not fit the method of a builtin type."""
    try:
        inspect.signature(method).bind(ev, *args, **kwargs)
    except TypeError as error:
        cls = value.python_type()
        if cls in _EMPTY:
            try:
                getattr(cls(), name)(*[None] * len(args), **dict.fromkeys(kwargs))
            except TypeError as real:
                raise ev.user_exception(real) from None
        raise ev.break_(
            "wrong-arguments",
            f"calling {name!r} of {value.describe()}: {error}",
            "plain Python raises the error",
            eager=True,
        ) from None


#: builtin types of which an instance can be made to ask how it refuses arguments
_EMPTY = (list, tuple, dict, set, frozenset, collections.deque, collections.OrderedDict)
