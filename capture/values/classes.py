"""Classes, `super()`, Python modules, and exceptions."""

from __future__ import annotations

import collections
import enum
import types
from typing import TYPE_CHECKING, Any

from ..guards.sources import Source
from ..machine.operators import COMPARE_STEMS
from ..machine.type_lookup import ABSTRACT, HEAPTYPE, MISSING, inherits, message_name, type_find
from .attribute_text import assignment
from .base import Args, Kwargs, Value
from .class_info import C_DATA, ClassInfo, descriptor_kind, is_data_descriptor
from .constant import FALSE, NONE, TRUE, ConstantValue
from .exceptions import ExceptionValue
from .functions import BoundMethodValue
from .literals import CONSTANT_TYPES
from .mappings import DictValue
from .objects import ObjectValue
from .sequences import DequeValue, ListValue, TupleValue
from .sets import SetValue
from .special_methods import as_text

if TYPE_CHECKING:
    from .base import Emitter, Machine

_FunctionType = types.FunctionType


class ClassValue(Value):
    """A class that exists: its identity is guarded, its attributes are guarded one by one as they are read."""

    __slots__ = ("real", "info", "written")

    is_constant = True

    def __init__(self, info: ClassInfo, source: Source) -> None:
        self.source = source
        self.real: Any = info.cls
        self.info = info
        self.written: dict[str, Value] = {}

    def python_type(self) -> type:
        return type(self.real)

    def as_constant(self) -> Any:
        return self.real

    def describe(self) -> str:
        return f"the class {self.real.__name__}"

    def getattr_(self, ev: Machine, name: str) -> Value:
        found = self.written.get(name)
        if found is not None:
            return found
        special = _CLASS_ATTRIBUTES.get(name)
        if special is not None:
            return special(ev, self)
        meta = ev.class_info(type(self.real))
        above = meta.find(name)
        if (
            above is not MISSING and type(above) not in C_DATA and is_data_descriptor(above)
        ):  # goes before the class's own
            return self._through_metaclass(ev, meta, name, above)
        if isinstance(self.real, enum.EnumMeta):
            member = self.info.find("_member_map_").get(name)
            if member is not None:
                return ev.wrap(member, ev.names.const(member, label=f"{self.real.__name__}.{name}"))
        raw = self.info.find(name)
        if raw is not MISSING:
            return self.bind(ev, name, raw)
        if above is not MISSING:
            return self._through_metaclass(ev, meta, name, above)
        if meta.getattr is not None:
            return ev.class_function(meta, "__getattr__", meta.getattr).call(ev, [self, ConstantValue(name)], {})
        ev.guard_unnamed(self.real)
        raise ev.raise_(AttributeError, f"type object '{message_name(self.real)}' has no attribute '{name}'")

    def _through_metaclass(self, ev: Machine, meta: ClassInfo, name: str, raw: Any) -> Value:
        """The metaclass's attribute `raw` seen through the class."""
        if isinstance(raw, _FunctionType):
            return BoundMethodValue(ev.class_function(meta, name, raw), self)
        if type(raw) is property:
            ev.guard_class_attr(meta, name, raw)
            return ev.wrap(raw.fget, ev.names.const(raw.fget)).call(ev, [self], {})
        getter = type_find(type(raw), "__get__")
        if getter is MISSING:
            return ev.class_attr(meta, name, raw)
        if isinstance(getter, _FunctionType):
            ev.guard_class_attr(meta, name, raw)
            descriptor, owner = ev.wrap(raw, ev.names.const(raw)), ev.class_value(meta.cls)
            return ev.class_function(ev.class_info(type(raw)), "__get__", getter).call(
                ev, [descriptor, self, owner], {}
            )
        return ev.class_c_attr(self, name, raw)

    def bind(self, ev: Machine, name: str, raw: Any) -> Value:
        """The attribute `raw` seen through the class."""
        kind = descriptor_kind(raw)
        if kind is _FunctionType:
            return ev.class_function(self.info, name, raw)
        if kind is staticmethod:
            ev.guard_class_attr(self.info, name, raw)
            return ev.wrap(raw.__func__, ev.names.const(raw.__func__))
        if kind is classmethod:
            ev.guard_class_attr(self.info, name, raw)
            return BoundMethodValue(ev.wrap(raw.__func__, ev.names.const(raw.__func__)), self)
        if kind is types.ClassMethodDescriptorType or kind is types.BuiltinMethodType:
            found = getattr(self.real, name)
            return ev.wrap(found, ev.names.const(found))
        getter = ev.class_info(kind).find("__get__")
        if isinstance(getter, _FunctionType):
            ev.guard_class_attr(self.info, name, raw)
            descriptor = ev.wrap(raw, ev.names.const(raw))
            return ev.class_function(ev.class_info(kind), "__get__", getter).call(ev, [descriptor, NONE, self], {})
        if getter is not MISSING:  # property, slots, C methods: the descriptor itself
            ev.guard_class_attr(self.info, name, raw)
            return ev.wrap(raw, ev.names.const(raw))
        return ev.class_attr(self.info, name, raw)

    def setattr_(self, ev: Machine, name: str, value: Value) -> None:
        raw = self.info.find(name)
        meta = ev.class_info(type(self.real))
        if meta.setattr is not None or isinstance(self.real, enum.EnumMeta) or name.startswith("__"):
            raise ev.break_("class-setattr", f"setting attribute {name!r} of {self.describe()}")
        above = meta.find(name)
        if type(above) is property and above.fset is not None:
            ev.guard_class_attr(meta, name, above)
            ev.wrap(above.fset, ev.names.const(above.fset)).call(ev, [self, value], {})
            return
        if above is not MISSING and is_data_descriptor(above):
            raise ev.break_(
                "class-setattr",
                f"setting attribute {name!r} of {self.describe()}",
                "its metaclass has a descriptor of that name",
            )
        if raw is not MISSING and is_data_descriptor(raw) or isinstance(value, (ClassValue, PyModuleValue)):
            raise ev.break_("class-setattr", f"replacing the descriptor {name!r} of {self.describe()}")
        if isinstance(value, Value) and value.python_type() is types.FunctionType:
            raise ev.break_("class-setattr", f"replacing the method {name!r} of {self.describe()}")
        self.written[name] = value
        ev.class_written(self, name, value)
        ev.effects.touch(self)

    def replay(self, rb: Emitter, target: str) -> None:
        for name, value in self.written.items():
            rb.effect(assignment(rb, target, name, rb.value(value)))

    def call(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        handler = ev.handler(self.real)
        if handler is not None:
            return handler(ev, args, kwargs)
        maker = type_find(type(self.real), "__call__")
        if isinstance(self.real, enum.EnumMeta):
            member = ev.fold_raw(lambda: self.real(*[ev.known(a) for a in args]))
            return ev.wrap(member, ev.names.const(member))
        if isinstance(maker, _FunctionType):
            return ev.class_function(ev.class_info(type(self.real)), "__call__", maker).call(ev, [self, *args], kwargs)
        return instantiate(ev, self, args, kwargs)

    def iter_(self, ev: Machine) -> Value:
        if isinstance(self.real, enum.EnumMeta):
            members: list[Any] = list(self.real)
            return ev.iterator_of([ev.wrap(member, ev.names.const(member)) for member in members])
        return self._meta_call(ev, "__iter__", [])

    def len_(self, ev: Machine) -> Value:
        if isinstance(self.real, enum.EnumMeta):
            return ConstantValue(len(self.real))
        return self._meta_call(ev, "__len__", [])

    def getitem(self, ev: Machine, key: Value) -> Value:
        if isinstance(self.real, enum.EnumMeta):
            member = ev.fold_raw(lambda: self.real[key.as_constant()])
            return ev.wrap(member, ev.names.const(member))
        meta = ev.class_info(type(self.real)).find("__getitem__")
        if isinstance(meta, _FunctionType):
            return self._meta_call(ev, "__getitem__", [key])
        item = self.info.find("__class_getitem__")
        if (
            isinstance(item, classmethod)
            and isinstance(item.__func__, _FunctionType)
            and not ev.trusted_module(item.__func__.__module__)
        ):
            return self.getattr_(ev, "__class_getitem__").call(ev, [key], {})
        return ev.fold(lambda: self.real[ev.known(key)])

    def contains(self, ev: Machine, item: Value) -> bool:
        if isinstance(self.real, enum.EnumMeta):
            return ev.fold_raw(lambda: ev.known(item) in self.real)
        return self._meta_call(ev, "__contains__", [item]).truth(ev)

    def _meta_call(self, ev: Machine, name: str, args: list[Value]) -> Value:
        meta = ev.class_info(type(self.real))
        raw = meta.find(name)
        if not isinstance(raw, _FunctionType):
            raise ev.type_error(f"'{message_name(type(self.real))}' object does not support {name}")
        return ev.class_function(meta, name, raw).call(ev, [self, *args], {})

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        if op == "|":
            mine, theirs = self.real, ev.known(other)
            return ev.fold(lambda: theirs | mine if reflected else mine | theirs)
        return None

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        found = self._metaclass_answer(ev, f"__{COMPARE_STEMS[op]}__", [other])
        if found is None and op == "!=" and type_find(type(self.real), "__ne__") is object.__ne__:
            equal = self._metaclass_answer(ev, "__eq__", [other])
            found = None if equal is None else FALSE if equal.truth(ev) else TRUE
        return found

    def _metaclass_answer(self, ev: Machine, name: str, args: list[Value]) -> Value | None:
        """What the program's own metaclass says; None where it says nothing, or is Python's."""
        raw = type_find(type(self.real), name)
        if not isinstance(raw, _FunctionType) or raw is enum.EnumMeta.__dict__.get(name):
            return None
        found = self._meta_call(ev, name, args)
        return None if type(found) is ConstantValue and found.value is NotImplemented else found

    def truth(self, ev: Machine) -> bool:
        found = self._metaclass_answer(ev, "__bool__", [])
        if found is None:
            size = self._metaclass_answer(ev, "__len__", [])
            return size is None or size.truth(ev)
        if not issubclass(found.python_type(), bool):
            raise ev.type_error(f"__bool__ should return bool, returned {message_name(found.python_type())}")
        return found.truth(ev)

    def str_(self, ev: Machine) -> Value:
        return self._metaclass_text(ev, "__str__", []) or self.repr_(ev)

    def repr_(self, ev: Machine) -> Value:
        return self._metaclass_text(ev, "__repr__", []) or ConstantValue(repr(self.real))

    def format_(self, ev: Machine, spec: str) -> Value:
        return self._metaclass_text(ev, "__format__", [ConstantValue(spec)]) or super().format_(ev, spec)

    def _metaclass_text(self, ev: Machine, name: str, args: list[Value]) -> Value | None:
        """A text that the program's own metaclass gives; None where Python's does."""
        raw = type_find(type(self.real), name)
        if not isinstance(raw, _FunctionType) or raw is enum.EnumMeta.__dict__.get(name):
            return None
        return as_text(ev, name, self._meta_call(ev, name, args))

    def rebuild(self, rb: Emitter) -> str:
        return rb.inject(self.real, self.real.__name__)


class ClassDict(Value):
    """`cls.__dict__`, of which a program asks only whether a name is there."""

    __slots__ = ("owner",)

    def __init__(self, owner: ClassValue) -> None:
        super().__init__()
        self.owner = owner

    def python_type(self) -> type:
        return types.MappingProxyType

    def describe(self) -> str:
        return f"__dict__ of {self.owner.describe()}"

    def contains(self, ev: Machine, item: Value) -> bool:
        name = ev.known(item)
        if type(name) is not str or self.owner.written:
            raise self._unread(ev)
        there = name in type.__dict__["__dict__"].__get__(self.owner.real)
        place = ev.names.const(self.owner.real, label=self.owner.real.__name__)
        what = "was" if there else "was not"
        test = f"{ev.names.literal(name)} {'' if there else 'not '}in {{x}}.__dict__"
        ev.guards.test(place, test, f"{name!r} {what} in {{label}}.__dict__")
        return there

    def _unread(self, ev: Machine) -> Exception:
        return ev.break_("class-dict", f"reading {self.describe()}", rewrite="use getattr with a known name")

    def getattr_(self, ev: Machine, name: str) -> Value:
        raise self._unread(ev)

    def getitem(self, ev: Machine, key: Value) -> Value:
        raise self._unread(ev)

    def iter_(self, ev: Machine) -> Value:
        raise self._unread(ev)

    def len_(self, ev: Machine) -> Value:
        raise self._unread(ev)

    def truth(self, ev: Machine) -> bool:
        raise self._unread(ev)

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        raise self._unread(ev)

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        raise self._unread(ev)


def _class_dict(ev: Machine, value: ClassValue) -> Value:
    return ClassDict(value)


def _class_annotations(ev: Machine, value: ClassValue) -> Value:
    """The class's own, never a base's; asking a class that has none gives it an empty dict."""
    cls = value.real
    if "__annotations__" in cls.__dict__:
        place = ev.names.const(cls, label=cls.__name__).step("", ".__dict__['__annotations__']", ".__annotations__")
        return ev.wrap(cls.__dict__["__annotations__"], place)
    if cls.__flags__ & HEAPTYPE:
        raise ev.break_(
            "class-annotations",
            f"reading __annotations__ of {value.describe()}",
            "Python makes them when they are asked for",
        )
    raise ev.raise_(AttributeError, f"type object '{message_name(cls)}' has no attribute '__annotations__'")


def _class_text(name: str) -> Any:
    """A text that a class bears, guarded where the program may write it."""

    def read(ev: Machine, value: ClassValue) -> Value:
        cls = value.real
        text = getattr(cls, name)
        if cls.__flags__ & HEAPTYPE and not ev.trusted_module(cls.__module__):
            ev.guards.equals(ev.names.const(cls, label=cls.__name__).attr(name), text)
        return ConstantValue(text)

    return read


_CLASS_ATTRIBUTES: dict[str, Any] = {
    **{name: _class_text(name) for name in ("__name__", "__qualname__", "__module__", "__doc__")},
    "__mro__": lambda ev, c: TupleValue([ev.class_value(b) for b in c.real.__mro__]),
    "__bases__": lambda ev, c: TupleValue([ev.class_value(b) for b in c.real.__bases__]),
    "__base__": lambda ev, c: ev.class_value(c.real.__base__),
    "__class__": lambda ev, c: ev.class_value(type(c.real)),
    "__dict__": _class_dict,
    "__annotations__": _class_annotations,
}


# ---------------------------------------------------------------- making instances


def instantiate(ev: Machine, cls: ClassValue, args: Args, kwargs: Kwargs) -> Value:
    """`type.__call__`: `__new__`, then `__init__`."""
    info = cls.info
    new = info.find("__new__")
    obj: Value
    if new is object.__new__:
        obj = object_new(ev, info)
    elif isinstance(new, staticmethod):
        ev.guard_class_attr(info, "__new__", new)
        obj = ev.wrap(new.__func__, ev.names.const(new.__func__)).call(ev, [cls, *args], kwargs)
    elif isinstance(new, types.BuiltinFunctionType):
        obj = builtin_new(ev, new.__self__, info, args, kwargs)  # type: ignore[arg-type]
    else:
        raise ev.break_("unsupported-class", f"making an instance of {cls.describe()}")
    if not isinstance(obj, ObjectValue) or not inherits(obj.cls, info.cls):
        return obj
    init = obj.info.find("__init__")
    if isinstance(init, _FunctionType):
        result = ev.class_function(obj.info, "__init__", init).call(ev, [obj, *args], kwargs)
        if not ev.is_none(result):
            raise ev.type_error(f"__init__() should return None, not '{message_name(result.python_type())}'")
    elif init is object.__init__:
        if (args or kwargs) and new is object.__new__:
            raise ev.type_error(f"{info.name}() takes no arguments")
    else:
        obj.call_method(ev, "__init__", args, kwargs)
    return obj


def object_new(ev: Machine, info: ClassInfo) -> ObjectValue:
    """`object.__new__(cls)`."""
    if info.cls.__flags__ & ABSTRACT:
        missing = info.cls.__abstractmethods__  # type: ignore[attr-defined]
        names = ", ".join(f"'{n}'" for n in sorted(missing)) if ev.quotes_abstract else ", ".join(sorted(missing))
        plural = "s" if len(missing) > 1 else ""
        without = (
            f"without an implementation for abstract method{plural} {names}"
            if ev.quotes_abstract
            else f"with abstract method{plural} {names}"
        )
        raise ev.type_error(f"Can't instantiate abstract class {info.name} {without}")
    return ev.new_object(info)


_EMPTY: dict[type, Any] = {
    list: ListValue,
    dict: DictValue,
    set: SetValue,
    collections.deque: DequeValue,
    collections.OrderedDict: lambda: DictValue(cls=collections.OrderedDict),
    collections.defaultdict: DictValue,
}


def builtin_new(ev: Machine, base: type, info: ClassInfo, args: Args, kwargs: Kwargs) -> Value:
    """`base.__new__(info.cls, *args)` for a builtin base: an object with the base's own content as payload."""
    if issubclass(base, BaseException):
        return ExceptionValue(info, list(args))
    if base is object:
        return object_new(ev, info)
    if base in _EMPTY:
        # OrderedDict and defaultdict share dict's __new__: the nearest base says which content it is
        return ev.new_object(info, payload=_EMPTY[next(b for b in info.cls.__mro__ if b in _EMPTY)]())
    if base is tuple:
        payload: Value = TupleValue(ev.collected(args[0]) if args else [])
    elif base is frozenset:
        payload = SetValue.of(ev, args[0].items(ev) if args else [], frozenset)
    elif base in CONSTANT_TYPES:
        payload = ev.call(ev.class_value(base), args, kwargs)
        if type(payload) is not ConstantValue:
            raise ev.break_("unsupported-class", f"making a {info.name} from what is not a constant")
    else:
        raise ev.break_(
            "unsupported-class",
            f"making an instance of {info.name}",
            f"its base {base.__name__} is written in C and not modelled",
        )
    return payload if info.cls is base else ev.new_object(info, payload=payload)


# ---------------------------------------------------------------- super


class SuperValue(Value):
    """super(cls, obj): names are looked up behind `cls` in the MRO of the object's class."""

    __slots__ = ("cls", "owner")

    def __init__(self, cls: type, owner: Value) -> None:
        self.source = None
        self.cls = cls
        self.owner = owner

    def python_type(self) -> type:
        return super

    def describe(self) -> str:
        return f"super() of {self.owner.describe()}"

    def getattr_(self, ev: Machine, name: str) -> Value:
        owner = self.owner
        by_class = isinstance(owner, ClassValue)
        mro = (owner.real if isinstance(owner, ClassValue) else owner.python_type()).__mro__
        if by_class and self.cls not in mro:
            mro = owner.python_type().__mro__
            by_class = False
        for base in mro[mro.index(self.cls) + 1 :]:
            if name in base.__dict__:
                return self._bind(ev, name, base.__dict__[name], base, by_class)
        if name == "__class__":
            return ev.class_value(super)
        raise ev.raise_(AttributeError, f"'super' object has no attribute '{name}'")

    def _bind(self, ev: Machine, name: str, raw: Any, base: type, by_class: bool) -> Value:
        info = ev.class_info(base)
        owner = self.owner
        if type(raw) is classmethod and isinstance(owner, (ClassValue, ObjectValue)):
            ev.guard_class_attr(info, name, raw)
            cls = owner if isinstance(owner, ClassValue) else ev.class_value(owner.cls)
            return BoundMethodValue(ev.wrap(raw.__func__, ev.names.const(raw.__func__)), cls)
        if name == "__new__" or type(raw) is staticmethod:
            fn = raw.__func__ if isinstance(raw, staticmethod) else raw
            return ev.wrap(fn, ev.names.const(fn))
        if isinstance(raw, _FunctionType) and by_class:
            return ev.class_function(info, name, raw)
        if isinstance(raw, _FunctionType):
            return BoundMethodValue(ev.class_function(info, name, raw), owner)
        if isinstance(owner, ObjectValue):
            return owner.bind(ev, name, raw, info)
        if by_class and isinstance(owner, ClassValue):
            return owner.bind(ev, name, raw)
        if isinstance(owner, ClassValue):  # a metaclass's method
            return BoundMethodValue(ev.wrap(raw, ev.names.const(raw)), owner)
        return ev.c_method(owner, name, raw)

    def rebuild(self, rb: Emitter) -> str:
        return f"super({rb.inject(self.cls, self.cls.__name__)}, {rb.value(self.owner)})"


# ---------------------------------------------------------------- modules


class PyModuleValue(Value):
    """A Python module."""

    __slots__ = ("real",)

    is_constant = True

    def __init__(self, real: types.ModuleType, source: Source) -> None:
        self.source = source
        self.real = real

    def python_type(self) -> type:
        return type(self.real)

    def as_constant(self) -> Any:
        return self.real

    def describe(self) -> str:
        return f"the module {self.real.__name__}"

    def getattr_(self, ev: Machine, name: str) -> Value:
        scope = ev.scope(self.real.__dict__)
        if name in scope.values and name in self.real.__dict__ or name in scope.written:
            return scope.read(ev, name)
        if name in self.real.__dict__:
            obj = self.real.__dict__[name]
            label = f"{self.real.__name__}.{name}"
            if scope.trusted and ev.is_steady(obj):
                ev.guards.steady(self.real.__dict__, name, obj, self.real.__name__)
                source = ev.names.const(obj, label=label)
            else:
                source = ev.names.const(self.real.__dict__).step("", f"[{name!r}]", label)
            scope.values[name] = ev.wrap(obj, source)
            return scope.values[name]
        if name == "__class__":
            return ev.class_value(type(self.real))
        if name == "__dict__":
            raise ev.break_("module-dict", f"reading __dict__ of {self.describe()}")
        hook = self.real.__dict__.get("__getattr__")
        if type(hook) is _FunctionType and type(self.real) is types.ModuleType and not scope.trusted:
            ev.guards.lacks(ev.names.const(self.real.__dict__, label=self.real.__name__), name)
            return self.getattr_(ev, "__getattr__").call(ev, [ConstantValue(name)], {})
        if hook is not None or type(self.real) is not types.ModuleType:
            found = ev.fold_raw(lambda: getattr(self.real, name))
            if scope.trusted and ev.is_steady(found):
                return ev.wrap(found, ev.names.const(found, label=f"{self.real.__name__}.{name}"))
            return ev.wrap(found, ev.names.const(self.real, label=self.real.__name__).attr(name))
        raise ev.raise_(AttributeError, f"module '{self.real.__name__}' has no attribute '{name}'")

    def setattr_(self, ev: Machine, name: str, value: Value) -> None:
        ev.scope(self.real.__dict__).write(ev, name, value)

    def delattr_(self, ev: Machine, name: str) -> None:
        ev.scope(self.real.__dict__).delete(ev, name)

    def repr_(self, ev: Machine) -> Value:
        return ConstantValue(repr(self.real))


# ---------------------------------------------------------------- exceptions
