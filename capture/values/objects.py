"""Instances of classes written in Python (and of C classes that nothing else models): Python's attribute protocol.

An `ObjectValue` from outside reads its instance attributes one by one, each guarded when read; what was set during
capture is kept and replayed. One made during capture holds all its attributes. A subclass of a builtin
container has a `payload`: the builtin's own Value, which the builtin's C methods work on.
"""

from __future__ import annotations

import collections
import functools
import types
from typing import TYPE_CHECKING, Any

from ..breaks import UserRaise
from ..guards.sources import Source, is_name
from ..machine.objects import MethodValue
from ..machine.type_lookup import HEAPTYPE, MISSING, instance_dict, type_find
from .base import Args, Kwargs, Value
from .class_info import C_DATA, C_METHODS, ClassInfo, descriptor_kind, is_data_descriptor
from .constant import NONE, ConstantValue
from .functions import BoundMethodValue
from .instance_dict import InstanceDictValue
from .object_methods import OBJECT_METHODS, PAYLOAD_FIRST
from .object_rebuild import fill_payload, initialize_base, shell
from .sequences import TupleValue
from .special_methods import SpecialMethods

if TYPE_CHECKING:
    from .base import Emitter, Machine

_FunctionType = types.FunctionType
#: callables written in C that become methods of the instance they are read through
_BOUND_BY_GET = (functools._lru_cache_wrapper,)


class ObjectValue(SpecialMethods):
    """One instance. See the module's text.

    real:    the object itself, when it came from outside
    attrs:   instance attributes read or set so far
    changed: names set, in order of first setting; removed: names deleted
    """

    __slots__ = (
        "info",
        "cls",
        "real",
        "real_dict",
        "attrs",
        "changed",
        "removed",
        "payload",
        "_dict_source",
        "_dict_value",
        "new_args",
    )

    def __init__(
        self, info: ClassInfo, source: Source | None = None, real: Any = None, payload: Value | None = None
    ) -> None:
        self.source = source
        self.info = info
        self.cls = info.cls
        self.real = real
        self.real_dict: dict[str, Any] | None = None
        if real is not None and info.has_dict:
            self.real_dict = instance_dict(real)
        self.attrs: dict[str, Value] = {}
        self.changed: dict[str, None] = {}
        self.removed: set[str] = set()
        self.payload = payload
        self._dict_source: Source | None = None
        self._dict_value: Value | None = None
        #: arguments for `cls.__new__` when it is not object's (exceptions)
        self.new_args: list[Value] | None = None

    def python_type(self) -> type:
        return self.cls

    def describe(self) -> str:
        label = f" `{self.source.label}`" if self.source is not None and self.source.label else ""
        return f"a {self.info.name} object{label}"

    # ------------------------------------------------------------ reading attributes

    def getattr_(self, ev: Machine, name: str) -> Value:
        hook = self.info.getattribute
        if hook is not None:
            try:
                return self._call_hook(ev, "__getattribute__", hook, [ConstantValue(name)])
            except UserRaise as error:
                return self._missing(ev, name, error)
        return self.generic_getattr(ev, name)

    def generic_getattr(self, ev: Machine, name: str, hook: bool = True) -> Value:
        """`object.__getattribute__`, then `__getattr__` when `hook`."""
        raw = self.info.find(name)
        if raw is MISSING:
            found = self.instance_attr(ev, name)
            if found is not None:
                return found
            if self.payload is not None and name in ("__dict__",):
                return self.instance_dict(ev)
            ev.guard_unnamed(self.cls)
            return self._missing(ev, name, None) if hook else self._raise_missing(ev, name)
        if is_data_descriptor(raw):
            try:
                return self.bind(ev, name, raw)
            except UserRaise as error:
                return self._missing(ev, name, error) if hook else self._reraise(error)
        if type(raw).__flags__ & HEAPTYPE:  # its class may become one of data descriptors
            ev.class_info(type(raw)).find("__set__")
        found = self.instance_attr(ev, name)
        if found is not None:
            return found
        try:
            return self.bind(ev, name, raw)
        except UserRaise as error:
            return self._missing(ev, name, error) if hook else self._reraise(error)

    @staticmethod
    def _reraise(error: BaseException) -> Value:
        raise error

    def _missing(self, ev: Machine, name: str, error: Any) -> Value:
        """AttributeError so far: ask `__getattr__`."""
        hook = self.info.getattr
        if error is not None and not issubclass(error.value.python_type(), AttributeError):
            raise error
        if hook is not None:
            return self._call_hook(ev, "__getattr__", hook, [ConstantValue(name)])
        if error is not None:
            raise error
        return self._raise_missing(ev, name)

    def _raise_missing(self, ev: Machine, name: str) -> Value:
        raise ev.attribute_error(self, name)

    def _call_hook(self, ev: Machine, name: str, hook: Any, args: list[Value]) -> Value:
        if type(hook) is _FunctionType:
            return ev.class_function(self.info, name, hook).call(ev, [self, *args], {})
        if type(hook) in C_METHODS and hook.__name__ == name:
            raise self.refusal(ev, name)
        return self.bind(ev, name, hook).call(ev, args, {})

    def instance_attr(self, ev: Machine, name: str) -> Value | None:
        """The instance's own attribute, past the class."""
        found = self.attrs.get(name)
        if found is not None:
            return found
        names = self.real_dict
        if names is not None and name not in self.removed:
            if name in names:
                value = self.attrs[name] = ev.wrap(names[name], self.attr_source(ev, name))
                return value
            self.guard_absent(ev, name)
        return None

    def guard_absent(self, ev: Machine, name: str) -> None:
        """The instance has no attribute `name` of its own. Of held instances of library classes one test asks all."""
        assert self.source is not None and self.real_dict is not None
        if self.source.is_const and self.info.steady and self.info.find(name) is not MISSING:
            ev.guards.not_hidden(self.real_dict, name)
        else:
            ev.guards.lacks(self.dict_source(ev), name)

    def dict_source(self, ev: Machine) -> Source:
        """Where the instance's `__dict__` is."""
        found = self._dict_source
        if found is None:
            assert self.source is not None
            if self.source.is_const:
                if not self.info.framework_based:
                    ev.guards.is_(self._dict_place(ev), self.real_dict)
                found = ev.names.const(self.real_dict, label=self.source.label)
            else:
                found = self._dict_place(ev)
            self._dict_source = found
        return found

    def _dict_place(self, ev: Machine) -> Source:
        """The instance's dict, read past what the class may have under `__dict__` and past its `__getattribute__`."""
        assert self.source is not None
        if self.info.getattribute is None and type(self.info.find("__dict__")) in C_DATA:
            return self.source.step("", ".__dict__", "")
        return self.source.step(f"{ev.names.inject(instance_dict, 'instance_dict')}(", ")", "")

    def isinstance_(self, ev: Machine, cls: type) -> bool:
        if issubclass(self.cls, cls):
            return True
        if self.info.getattribute is None and self._is_objects("__class__"):
            return False
        found = ev.getattr_or_none(self, "__class__")  # Python believes what the object says of itself
        known = found.as_constant() if found is not None and found.is_constant else None
        return isinstance(known, type) and issubclass(known, cls)

    def attr_source(self, ev: Machine, name: str) -> Source:
        assert self.source is not None
        # a hook of the class is the program's to call, not a guard's
        hooked = self.info.getattribute is not None or self.info.getattr is not None
        if self.source.is_const or hooked or self.info.find(name) is not MISSING:
            return self.dict_source(ev).step("", f"[{name!r}]", f".{name}")
        return self.source.attr(name)

    def instance_dict(self, ev: Machine) -> Value:
        """`vars(self)`."""
        if self._dict_value is None:
            self._dict_value = InstanceDictValue(self)
            if self.real_dict is not None:
                if id(self.real_dict) in ev.memo:
                    raise ev.break_("aliased-dict", f"__dict__ of {self.describe()}, which is reached as a dict as well",
                                    "the two would have to be changed together")  # fmt: skip
                ev.memo[id(self.real_dict)] = self._dict_value
        return self._dict_value

    # ------------------------------------------------------------ binding what the class holds

    def bind(self, ev: Machine, name: str, raw: Any, info: ClassInfo | None = None) -> Value:
        """The attribute `raw` of the class (or of a base's `info`), seen through this instance."""
        kind = descriptor_kind(raw)
        info = info or self.info
        if kind is _FunctionType:
            return BoundMethodValue(ev.class_function(info, name, raw), self)
        if kind is property:
            if raw.fget is None:
                raise ev.raise_(AttributeError, f"property '{name}' of '{self.info.name}' object has no getter")
            ev.guard_class_attr(info, name, raw)
            return ev.wrap(raw.fget, ev.names.const(raw.fget)).call(ev, [self], {})
        if kind is staticmethod:
            ev.guard_class_attr(info, name, raw)
            return ev.wrap(raw.__func__, ev.names.const(raw.__func__))
        if kind is classmethod:
            ev.guard_class_attr(info, name, raw)
            return BoundMethodValue(ev.wrap(raw.__func__, ev.names.const(raw.__func__)), ev.class_value(self.cls))
        if kind is functools.cached_property:
            ev.guard_class_attr(info, name, raw)
            value = ev.wrap(raw.func, ev.names.const(raw.func)).call(ev, [self], {})
            self.store(ev, raw.attrname or name, value)
            return value
        if kind in C_DATA:
            return self._c_data(ev, name, raw)
        if kind in C_METHODS:
            return self._c_method(ev, raw)
        if kind is types.MethodType:  # bound already
            return ev.class_attr(info, name, raw)
        if kind is types.ClassMethodDescriptorType:
            found = raw.__get__(None, self.cls)
            return ev.wrap(found, ev.names.const(found))
        getter = ev.class_info(kind).find("__get__")
        if isinstance(getter, _FunctionType):
            ev.guard_class_attr(info, name, raw)
            descriptor = ev.wrap(raw, ev.names.const(raw))
            function = ev.class_function(ev.class_info(kind), "__get__", getter)
            return function.call(ev, [descriptor, self, ev.class_value(self.cls)], {})
        if getter is not MISSING:
            return self._c_descriptor(ev, name, raw)
        return ev.class_attr(info, name, raw)

    def _c_method(self, ev: Machine, raw: Any) -> Value:
        """A method written in C, whatever the class calls it."""
        if not issubclass(self.cls, raw.__objclass__):
            raise ev.type_error(
                f"descriptor '{raw.__name__}' for '{raw.__objclass__.__name__}' objects doesn't apply to a '{self.info.name}' object"
            )
        return MethodValue(self, raw.__name__, raw)

    def _c_data(self, ev: Machine, name: str, raw: Any) -> Value:
        """A slot, or data computed in C."""
        if name == "__class__":
            return ev.class_value(self.cls)
        if name == "__dict__":
            return self.instance_dict(ev)
        found = self.attrs.get(name)
        if found is not None:
            return found
        if self.real is None and not raw.__objclass__.__flags__ & HEAPTYPE:
            raise ev.break_("unsupported-descriptor", f"attribute {name!r} of {self.describe()}", "C code computes it")
        if self.real is None or name in self.removed:
            raise ev.attribute_error(self, name)
        assert self.source is not None
        try:
            obj = raw.__get__(self.real)
        except AttributeError as error:
            lacks = ev.names.inject(functools.partial(_lacks, raw), "lacks")
            ev.guards.test(self.source, f"{lacks}({{x}})", f"{{label}} had no attribute {name}")
            raise ev.user_exception(error) from None
        if self.info.getattribute is None and self.info.getattr is None:
            source = self.source.attr(name)
        else:  # a hook of the class is the program's to call, not a guard's
            source = self.source.step(f"{ev.names.inject(raw, name)}.__get__(", ")", f".{name}")
        value = ev.wrap(obj, source)
        if isinstance(raw, types.MemberDescriptorType):
            self.attrs[name] = value
        return value

    def _c_descriptor(self, ev: Machine, name: str, raw: Any) -> Value:
        """A descriptor written in C: namedtuple fields, partialmethod..."""
        if isinstance(raw, _TupleGetter) and self.payload is not None:
            index = raw.__reduce__()[1][0]
            return self.payload.getitem(ev, ConstantValue(index))
        if type(raw) in _BOUND_BY_GET:
            return BoundMethodValue(ev.wrap(raw, ev.names.const(raw)), self)
        raise ev.break_("unsupported-descriptor", f"attribute {name!r} of {self.describe()} is a {type(raw).__name__}")

    # ------------------------------------------------------------ writing attributes

    def setattr_(self, ev: Machine, name: str, value: Value) -> None:
        hook = self.info.setattr
        if hook is not None:
            self._call_hook(ev, "__setattr__", hook, [ConstantValue(name), value])
        else:
            self.generic_setattr(ev, name, value)

    def generic_setattr(self, ev: Machine, name: str, value: Value) -> None:
        """`object.__setattr__`."""
        raw = self.info.find(name)
        if raw is not MISSING and is_data_descriptor(raw):
            if descriptor_kind(raw) is property:
                if raw.fset is None:
                    raise ev.raise_(AttributeError, f"property '{name}' of '{self.info.name}' object has no setter")
                ev.guard_class_attr(self.info, name, raw)
                ev.wrap(raw.fset, ev.names.const(raw.fset)).call(ev, [self, value], {})
                return
            setter = type_find(type(raw), "__set__")
            if isinstance(setter, _FunctionType):
                ev.guard_class_attr(self.info, name, raw)
                descriptor = ev.wrap(raw, ev.names.const(raw))
                ev.wrap(setter, ev.names.const(setter)).call(ev, [descriptor, self, value], {})
                return
            if type(raw) is not types.MemberDescriptorType:
                raise ev.break_("object-surgery", f"setting {name} of {self.describe()}", "C code keeps it")
        elif not self.info.has_dict:
            try:
                _Slotless().anything = None  # type: ignore[attr-defined]
            except AttributeError as error:  # in this Python's own words
                raise ev.raise_(
                    AttributeError, str(error).replace("_Slotless", self.info.name).replace("anything", name)
                ) from None
        self.store(ev, name, value)

    def store(self, ev: Machine, name: str, value: Value) -> None:
        """Set an instance attribute, past all descriptors."""
        if name in self.removed:
            self.changed.pop(name, None)  # deleted and set again: it comes last
        self.attrs[name] = value
        self.changed[name] = None
        if self.source is not None:
            ev.effects.touch(self)

    def delattr_(self, ev: Machine, name: str) -> None:
        hook = self.info.delattr
        if hook is not None:
            self._call_hook(ev, "__delattr__", hook, [ConstantValue(name)])
        else:
            self.generic_delattr(ev, name)

    def generic_delattr(self, ev: Machine, name: str) -> None:
        raw = self.info.find(name)
        if raw is not MISSING and descriptor_kind(raw) is property:
            if raw.fdel is None:
                raise ev.raise_(AttributeError, f"property '{name}' of '{self.info.name}' object has no deleter")
            ev.wrap(raw.fdel, ev.names.const(raw.fdel)).call(ev, [self], {})
            return
        deleter = type_find(type(raw), "__delete__") if raw is not MISSING else MISSING
        if isinstance(deleter, _FunctionType):
            ev.wrap(deleter, ev.names.const(deleter)).call(ev, [ev.wrap(raw, ev.names.const(raw)), self], {})
            return
        if type(raw) is types.MemberDescriptorType:
            try:
                self._c_data(ev, name, raw)
            except UserRaise:  # an empty slot: the interpreter says no more than its name
                raise ev.raise_(AttributeError, name) from None
        elif deleter is not MISSING:
            raise ev.break_("object-surgery", f"deleting {name} of {self.describe()}", "C code keeps it")
        elif self.instance_attr(ev, name) is None:
            raise ev.attribute_error(self, name)
        self.attrs.pop(name, None)
        self.changed.pop(name, None)
        self.removed.add(name)
        if self.source is not None:
            ev.effects.touch(self)

    # ------------------------------------------------------------ methods written in C

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        """A C method of the class: object's own, or the payload's."""
        if name == "__init__" and issubclass(self.cls, collections.defaultdict):
            self.store(ev, "default_factory", args[0] if args else NONE)
            args = args[1:]
        if name in ("update", "__init__", "setdefault") and issubclass(self.cls, collections.OrderedDict):
            setter = self.special(ev, "__setitem__")
            if setter is not None:  # OrderedDict fills itself by the subclass's own method
                return self._fill_by(ev, setter, name, args, kwargs)
        if name == "__getitem__" and len(args) == 1:
            return self.builtin_getitem(ev, args[0])
        generic = OBJECT_METHODS.get(name)
        if self.payload is not None and (generic is None or name in PAYLOAD_FIRST and self.builtin_method(name)):
            inside = ev.copied_content(self) if name == "copy" else self.payload
            assert inside is not None
            return inside.call_method(ev, name, args, kwargs)
        if generic is not None:
            return generic(ev, self, *args, **kwargs)
        raise ev.break_("unsupported-method", f"calling {self.info.name}.{name}", "it is written in C and not modelled")

    def _fill_by(self, ev: Machine, setter: Value, name: str, args: Args, kwargs: Kwargs) -> Value:
        if name == "setdefault":
            if self.contains(ev, args[0]):
                return self.getitem(ev, args[0])
            default = args[1] if len(args) > 1 else NONE
            setter.call(ev, [args[0], default], {})
            return default
        for arg in args:
            for key, value in ev.mapping_pairs(arg):
                setter.call(ev, [key, value], {})
        for text, value in kwargs.items():
            setter.call(ev, [ConstantValue(text), value], {})
        return NONE

    # ------------------------------------------------------------ making it again

    def rebuild(self, rb: Emitter) -> str:
        name = rb.name_value(self, shell(self, rb))
        initialize_base(self, rb, name)
        if self.payload is not None and not isinstance(self.payload, (TupleValue, ConstantValue)):
            self.payload.source = None
            fill_payload(self, rb, name)
        for attr in self.changed:
            if attr in self.attrs:
                rb.emit(self._assignment(rb, name, attr))
        return name

    def _assignment(self, rb: Emitter, target: str, attr: str) -> str:
        value = rb.value(self.attrs[attr])
        raw = self.info.find(attr)
        if self.info.setattr is None and (raw is MISSING or not is_data_descriptor(raw)):
            if is_name(attr):
                return f"{target}.{attr} = {value}"
            return f"{self._dict_text(rb, target)}[{attr!r}] = {value}"
        if self._in_slot(raw):
            return f"{rb.inject(object.__setattr__, 'setattr')}({target}, {attr!r}, {value})"
        return f"{self._dict_text(rb, target)}[{attr!r}] = {value}"

    def _removal(self, rb: Emitter, target: str, attr: str) -> str:
        raw = self.info.find(attr)
        if raw is MISSING or not is_data_descriptor(raw) or self._in_slot(raw):
            return f"{rb.inject(object.__delattr__, 'delattr')}({target}, {attr!r})"
        return f"del {self._dict_text(rb, target)}[{attr!r}]"  # the descriptor's own method has run during capture

    def _dict_text(self, rb: Emitter, target: str) -> str:
        if self.info.getattribute is None:
            return f"{target}.__dict__"
        return f"{rb.inject(object.__getattribute__, 'getattribute')}({target}, '__dict__')"

    def _in_slot(self, raw: Any) -> bool:
        """Whether C code keeps the attribute that the class has `raw` for, so that only object's own methods reach it."""
        return isinstance(raw, types.MemberDescriptorType) or not self.info.has_dict

    def replay(self, rb: Emitter, target: str) -> None:
        """Write the changes into the object at `target`, in order."""
        for attr in sorted(self.removed):
            readded = attr in self.changed
            was_there = self.real_dict is None or attr in self.real_dict
            if was_there and (not readded or self.real_dict is not None):
                rb.effect(self._removal(rb, target, attr))
        for attr in self.changed:
            if attr in self.attrs:
                rb.effect(self._assignment(rb, target, attr))


def _lacks(slot: Any, obj: Any) -> bool:
    """Whether a slot of an instance is empty."""
    try:
        slot.__get__(obj)
    except AttributeError:
        return True
    return False


class _Slotless:
    """Has no attributes."""

    __slots__ = ()


_TupleGetter: Any = type(collections.namedtuple("_Pair", "first").first)  # type: ignore[attr-defined]
