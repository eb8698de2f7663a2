"""From real objects to Values: which kind of Value stands for an object, and what is guarded about it.

`wrap` is the only way in for objects of the program. How the object is guarded depends on how it was reached:

  by identity   what is reached from objects that the entry holds (globals, attributes of held objects), and functions,
                classes and modules everywhere. Its parts are then read from the held object itself: a guard's cost does not
                grow with the depth of the path.
  by structure  arguments and what hangs on them: type, and each part that was looked at.

A place whose identity guard failed once is guarded by structure from then on (`Policy.structural`).
"""

from __future__ import annotations

import collections
import enum
import functools
import itertools
import types
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..frontend import Frontend
from ..guards.sources import Source, is_local
from ..values.base import Value
from ..values.classes import ClassValue, PyModuleValue
from ..values.constant import FALSE, NONE, TRUE, ConstantValue, constant_of
from ..values.dict_reading import Reading
from ..values.exceptions import ExceptionValue
from ..values.functions import BoundMethodValue, BuiltinValue, CellValue, FunctionValue, PartialValue
from ..values.keys import NotStatic, static_key, user_hashed
from ..values.literals import CONSTANT_TYPES, LITERAL_TYPES
from ..values.mappings import DictValue, Lazy
from ..values.objects import ObjectValue
from ..values.sequences import DequeValue, ListValue, SliceValue, TupleValue, check_size
from ..values.sets import SetValue
from ..values.weak import WeakValue
from .type_lookup import HEAPTYPE, own_name, type_find

if TYPE_CHECKING:
    from ..values.base import Machine


@dataclass
class Policy:
    """What earlier captures of the same function taught.

    structural: labels of places whose identity changed between calls
    dynamic:    (address, axis) of dims whose size changed, and (address, None) of ints whose value changed
    unequal:    pairs of these that were equal once and are so no more
    """

    structural: set[str] = field(default_factory=set)
    dynamic: set[Any] = field(default_factory=set)
    unequal: set[Any] = field(default_factory=set)

    def is_structural(self, source: Source) -> bool:
        if not self.structural:
            return False
        return source.label in self.structural or any(a.label in self.structural for a in source.ancestors())


def wrap(ev: Machine, obj: Any, source: Source) -> Value:
    """The Value of `obj`, found at `source`, with the guards that make it valid at the next call."""
    cls = type(obj)
    if cls in LITERAL_TYPES:
        return wrap_literal(ev, obj, source)
    known = ev.memo.get(id(obj))
    if known is not None:
        return _again(ev, known, obj, source)
    wrapper = WRAPPERS.get(cls)
    if wrapper is None:
        wrapper = _find_wrapper(ev, cls)
    value = wrapper(ev, obj, source)
    ev.memo[id(obj)] = value
    ev.reals.setdefault(id(value), obj)
    ev.kept.append(obj)
    return value


def _again(ev: Machine, known: Value, obj: Any, source: Source) -> Value:
    """An object reached by a second path: guard that both paths lead to it."""
    first = known.source
    if source is not first and not source.is_const:
        if first is None or first.is_const:
            ev.guards.is_(source, obj)
        else:
            ev.guards.same(source, first)
    return known


def wrap_literal(ev: Machine, obj: Any, source: Source) -> Value:
    """int, str, None and the like: by value. An int or a float may be dynamic."""
    if not source.is_const:
        if type(obj) in (int, float) and (changing := ev.symbols.number_input(source, obj)) is not None:
            return changing
        ev.guards.equals(source, obj)
    return _SINGLETONS[obj] if obj is None or obj is True or obj is False else constant_of(obj, source)


_SINGLETONS: dict[Any, Value] = {None: NONE, True: TRUE, False: FALSE}


def anchor(ev: Machine, obj: Any, source: Source, by_identity: bool = False) -> Source:
    """Guard what stands at `source`; the source that the parts of `obj` are read from.

    By identity when the place hangs on an object that the entry holds, or when `by_identity` asks for it; else by type.
    """
    if source.is_const:
        return source
    if (by_identity or source.root.is_const) and not ev.policy.is_structural(source):
        own = _is_variable(ev, source) and not (source.root.is_const and _lasts(obj))
        held = ev.names.weakly(obj, source.label) if own else ev.names.const(obj, label=source.label)
        ev.guards.is_(source, obj)
        ev.identity_places[source.label] = (source, obj)
        return held
    ev.guards.type_is(source, type(obj))
    return source


def _is_variable(ev: Machine, source: Source) -> bool:
    """Whether a place is an argument or part of one, a global, or a variable of a closure. What hangs on an object that the entry
    knows goes with that object.
    """
    root = source.root
    if not root.is_const or isinstance(root.const, types.CellType):
        return True
    return source.parent is root and ev.is_scope(root.const)


def _lasts(obj: Any) -> bool:
    """Whether an object that a variable holds lives as long as its module, as a function does that no other one made. Of what
    is passed to a call that says nothing: the caller may be its only owner.
    """
    return type(obj) is types.FunctionType and obj.__closure__ is None and not _made_per_call(obj)


def hold(ev: Machine, obj: Any, source: Source) -> Source:
    """Guard that `obj` itself stands at `source`, whatever was seen there before: it is what it is (a class, a module, a C
    function), there is no structure to guard instead.
    """
    if source.is_const:
        return source
    held = (ev.names.weakly if is_local(type(obj)) else ev.names.const)(obj, source.label)
    ev.guards.is_(source, obj)
    return held


def _find_wrapper(ev: Machine, cls: type) -> Any:
    """By the front ends, then by base class; remembered for the capture."""
    found = ev.wrappers.get(cls)
    if found is None:
        found = ev.wrappers[cls] = _choose_wrapper(ev, cls)
    return found


def _choose_wrapper(ev: Machine, cls: type) -> Any:
    _refuse_watched(ev, cls)
    if "__quern_compiled__" in cls.__dict__:
        return wrap_compiled
    for frontend in ev.frontends:
        if frontend.owns_type(cls):
            return _by_frontend(frontend)
    if issubclass(cls, type):
        return wrap_class
    if issubclass(cls, types.ModuleType):
        return wrap_module
    if issubclass(cls, enum.Enum):
        return wrap_held_object
    if issubclass(cls, BaseException):
        return wrap_exception
    for base, wrapper in _PAYLOADS:
        if issubclass(cls, base):
            return functools.partial(wrap_with_payload, base=base, make=wrapper)
    return wrap_object


def _by_frontend(frontend: Frontend) -> Any:
    def wrapper(ev: Machine, obj: Any, source: Source) -> Value:
        found = frontend.wrap(ev, obj, source)
        return found if found is not None else wrap_object(ev, obj, source)

    return wrapper


# ---------------------------------------------------------------- wrappers by type


def wrap_constant(ev: Machine, obj: Any, source: Source) -> Value:
    if not source.is_const:
        ev.guards.equals(source, obj)
    return constant_of(obj, source)


def wrap_tuple(ev: Machine, obj: tuple[Any, ...], source: Source) -> Value:
    check_size(ev, tuple, len(obj))
    source = anchor(ev, obj, source) if source.is_const else _type_and_length(ev, obj, source)
    value = TupleValue([wrap(ev, o, source.item(i)) for i, o in enumerate(obj)], source)
    return value


def _type_and_length(ev: Machine, obj: Any, source: Source) -> Source:
    ev.guards.type_is(source, type(obj))
    ev.guards.length(source, len(obj))
    return source


def wrap_list(ev: Machine, obj: list[Any], source: Source) -> Value:
    return ListValue(source=anchor(ev, obj, source), real=obj)


def wrap_deque(ev: Machine, obj: collections.deque[Any], source: Source) -> Value:
    source = anchor(ev, obj, source)
    ev.guards.equals(source.attr("maxlen"), obj.maxlen)
    return DequeValue(source=source, real=obj, maxlen=obj.maxlen)


def wrap_dict(ev: Machine, obj: dict[Any, Any], source: Source, cls: type | None = None) -> Value:
    return fill_dict(ev, obj, anchor(ev, obj, source), cls or type(obj))


def fill_dict(ev: Machine, obj: dict[Any, Any], source: Source, cls: Any) -> DictValue:
    """A DictValue over a real dict whose place is guarded. Items are wrapped when they are read."""
    value = DictValue(source=source, real=obj, cls=cls)
    reading = value.reading = Reading.of(ev.names, type(obj), cls)
    table, positions = value.table, value.positions
    for i, (key, item) in enumerate(cls.items(obj)):
        try:
            k = static_key(key)
        except NotStatic:
            key_value = wrap(ev, key, reading.key_place(source, i))
            k = key_value.key(ev)
            value.key_values[k] = key_value
        table[k] = Lazy(item)
        positions[k] = i, key
    return value


def wrap_set(ev: Machine, obj: Any, source: Source) -> Value:
    held = source.is_const and type(obj) is frozenset
    return fill_set(ev, obj, anchor(ev, obj, source), type(obj), held)


def fill_set(ev: Machine, obj: Any, source: Source, cls: type, held: bool = False) -> SetValue:
    """A SetValue over a real set whose place is guarded."""
    value = SetValue(cls, source, obj)
    items = list(cls.__iter__(obj))  # type: ignore[attr-defined]
    own = all(type_find(type(obj), n) is type_find(cls, n) for n in ("__iter__", "__len__"))
    before, after = ("[*", "]") if own else (f"[*{ev.names.inject(cls, cls.__name__)}.__iter__(", ")]")
    if not held:
        # the order of iteration is part of what the program can see
        ev.guards.items(source, items, "{label} had other items", f"{before}{{x}}{after}")
    keys = items[:]
    for i, item in enumerate(items):
        if type(item) not in LITERAL_TYPES:
            item_value = wrap(ev, item, source.step(before, after, "").item(i))
            keys[i] = item_value.key(ev)
            if type(keys[i]) not in LITERAL_TYPES:
                value.key_values[keys[i]] = item_value
    if not value.key_values and type(obj) is cls:  # all items stand for themselves: a copy takes over how they lie
        value.keys = set(obj)  # type: ignore[call-overload]
    else:
        value.keys.update(keys)
    value.arrange(keys)
    return value


def wrap_slice(ev: Machine, obj: slice, source: Source) -> Value:
    if not source.is_const:
        ev.guards.type_is(source, slice)
    return SliceValue(*(wrap(ev, getattr(obj, n), source.attr(n)) for n in ("start", "stop", "step")))


def wrap_function(ev: Machine, obj: types.FunctionType, source: Source) -> Value:
    """By identity, except for functions that arrive as arguments or closures of those: by code, globals and parts."""
    by_identity = source.root.is_const or obj.__closure__ is None and not _made_per_call(obj)
    anchored = source
    if not source.is_const:
        if by_identity and not ev.policy.is_structural(source):
            anchored = anchor(ev, obj, source, by_identity=True)
        else:
            ev.guards.type_is(source, types.FunctionType)
            ev.guards.is_(source.attr("__code__"), obj.__code__)
            ev.guards.is_(source.attr("__globals__"), obj.__globals__)
    value = FunctionValue(obj.__code__, ev.scope(obj.__globals__), anchored, obj)
    if anchored.is_const and not value.scope.trusted:
        ev.guards.is_(anchored.attr("__code__"), obj.__code__)
    return value


def _made_per_call(fn: types.FunctionType) -> bool:
    """True for a function that is made again whenever an outer one runs."""
    return "<locals>" in fn.__qualname__


def wrap_method(ev: Machine, obj: types.MethodType, source: Source) -> Value:
    if not source.is_const:
        ev.guards.type_is(source, types.MethodType)
    function = wrap(ev, obj.__func__, source.attr("__func__"))
    owner = wrap(ev, obj.__self__, source.attr("__self__"))
    return BoundMethodValue(function, owner, source)


def wrap_builtin(ev: Machine, obj: Any, source: Source) -> Value:
    owner = getattr(obj, "__self__", None)
    if (
        owner is not None
        and not isinstance(owner, (type, types.ModuleType))
        and _is_method(obj.__name__, type(owner))
        and not any(f.function(obj) for f in ev.frontends)
    ):
        # a method bound to an object: [].append
        if not source.is_const:
            ev.guards.type_is(source, type(obj))
            ev.guards.equals(source.attr("__name__"), obj.__name__)
        return ev.c_method(wrap(ev, owner, source.attr("__self__")), obj.__name__, obj)
    return BuiltinValue(obj, hold(ev, obj, source))


_METHODS = (types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType)


def _is_method(name: str, owner: type) -> bool:
    """Whether a C function of this name is a method of a class. Extensions put what they like into a function's `__self__`
    (pybind11 its own record of the function).
    """
    return any(isinstance(c.__dict__.get(name), _METHODS) for c in owner.__mro__)


def _refuse_watched(ev: Machine, cls: type) -> None:
    """A metaclass with a `__getattribute__` sees whatever is asked of its classes; capture asks a lot. A slot of an extension's
    metaclass (pybind11 has one) is no code of the program's.
    """
    meta = type(cls)
    if meta is not type and not isinstance(type_find(meta, "__getattribute__"), types.WrapperDescriptorType):
        raise ev.break_(
            "metaclass-hook", f"using the class {own_name(cls)}", "its metaclass has a __getattribute__, which may see that capture looks at it",
            "use the class outside of the compiled function",
        )  # fmt: skip


def wrap_class(ev: Machine, obj: type, source: Source) -> Value:
    _refuse_watched(ev, obj)
    hold(ev, obj, source)
    return ClassValue(ev.class_info(obj), ev.names.const(obj, label=obj.__name__))


def wrap_module(ev: Machine, obj: types.ModuleType, source: Source) -> Value:
    return PyModuleValue(obj, hold(ev, obj, source))


def wrap_partial(ev: Machine, obj: functools.partial[Any], source: Source) -> Value:
    source = anchor(ev, obj, source)
    if obj.__dict__:
        return wrap_object(ev, obj, source)
    args = wrap(ev, obj.args, source.attr("args")).items(ev)
    keywords = wrap(ev, obj.keywords, source.attr("keywords"))
    pairs = {k.as_constant(): v for k, v in ev.mapping_pairs(keywords)}
    return PartialValue(wrap(ev, obj.func, source.attr("func")), args, pairs, source)


def wrap_cell(ev: Machine, obj: types.CellType, source: Source) -> Value:
    if not source.is_const:
        ev.guards.type_is(source, types.CellType)
    return CellValue(None, source, obj)


def wrap_weak(ev: Machine, obj: weakref.ReferenceType[Any], source: Source) -> Value:
    """A weak reference; whether its object is alive is guarded with it."""
    source = anchor(ev, obj, source)
    target, place = obj(), source.step("", "()", "")
    if target is not None and source.is_const and not ev.policy.is_structural(place):
        held = ev.names.weakly(target, place.label)  # first: an entry is no reason for it to live on
        ev.guards.is_(place, target)
        ev.identity_places[place.label] = (place, target)
        place = held
    return WeakValue(wrap(ev, target, place), source)


def wrap_object(ev: Machine, obj: Any, source: Source) -> Value:
    """Any other object: by its class's attribute protocol."""
    source = anchor(ev, obj, source)
    _keeps_class(ev, obj, source)
    return ObjectValue(ev.class_info(type(obj)), source, obj)


def _keeps_class(ev: Machine, obj: Any, source: Source) -> None:
    """Guard the class of an object that is known by its identity; only classes written in Python can be exchanged."""
    if ev.class_info(type(obj)).hides_dict:
        raise ev.break_(
            "hidden-dict", f"the {type(obj).__name__} `{source.label}`",
            "its class puts something of its own in the place of __dict__, past which its attributes cannot be read",
        )  # fmt: skip
    if source.is_const and type(obj).__flags__ & HEAPTYPE and not ev.trusted_module(type(obj).__module__):
        ev.guards.class_stays(source, obj)


def wrap_compiled(ev: Machine, obj: Any, source: Source) -> Value:
    """A compiled function inside of captured code: the function that it was made from."""
    hold(ev, obj, source)
    return wrap(ev, obj.fn, ev.names.const(obj.fn, label=source.label))


def wrap_held_object(ev: Machine, obj: Any, source: Source) -> Value:
    """Objects that are what they are: enum members. By identity everywhere."""
    source = hold(ev, obj, source)
    payload = None
    for base in _CONTENT:
        if isinstance(obj, base):
            payload = ev.from_python(_CONTENT[base](obj))
    return EnumValue(ev.class_info(type(obj)), ev.names.const(obj, label=source.label), obj, payload)


class EnumValue(ObjectValue):
    """A member of an enum: a constant."""

    __slots__ = ()

    is_constant = True

    def as_constant(self) -> Any:
        return self.real

    def key(self, ev: Machine) -> Any:
        return super().key(ev) if user_hashed(self.cls) else self.real

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name in ("name", "value", "_name_", "_value_"):
            found = getattr(self.real, name)
            return ev.wrap(found, ev.names.const(found))
        return super().getattr_(ev, name)

    def str_(self, ev: Machine) -> Value:
        return self._own_text(ev, "__str__", str)

    def repr_(self, ev: Machine) -> Value:
        return self._own_text(ev, "__repr__", repr)

    def _own_text(self, ev: Machine, name: str, function: Any) -> Value:
        raw = self.info.find(name)
        if type(raw) is not types.FunctionType or ev.trusted_module(raw.__module__):
            return ConstantValue(function(self.real))
        return self._text(ev, name, self.bind(ev, name, raw), [])

    def format_(self, ev: Machine, spec: str) -> Value:
        return ev.fold(format, self.real, spec)

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        if isinstance(self.real, enum.Flag) and other.is_constant:
            fn = ev.operators.BINARY[op]
            theirs = other.as_constant()
            return ev.fold(lambda: fn(theirs, self.real) if reflected else fn(self.real, theirs))
        return super().binary(ev, op, other, reflected)

    def unary(self, ev: Machine, op: str) -> Value:
        if isinstance(self.real, enum.Flag):
            return ev.fold(ev.operators.UNARY[op], self.real)
        return super().unary(ev, op)

    def contains(self, ev: Machine, item: Value) -> bool:
        if isinstance(self.real, enum.Flag) and item.is_constant:
            return ev.fold_raw(lambda: item.as_constant() in self.real)
        return super().contains(ev, item)

    def truth(self, ev: Machine) -> bool:
        if isinstance(self.real, enum.Flag):
            return bool(self.real)
        return super().truth(ev)

    def rebuild(self, rb: Any) -> str:
        return rb.inject(self.real, self.info.name)


def wrap_exception(ev: Machine, obj: BaseException, source: Source) -> Value:
    source = anchor(ev, obj, source)
    args = wrap(ev, obj.args, source.attr("args")).items(ev)
    value = ExceptionValue(ev.class_info(type(obj)), args, source, obj)
    for name in ("__cause__", "__context__"):
        value.attrs[name] = wrap(ev, getattr(obj, name), source.attr(name))
    return value


def wrap_with_payload(ev: Machine, obj: Any, source: Source, base: type, make: Any) -> Value:
    """An instance of a subclass of a builtin container or number."""
    source = anchor(ev, obj, source)
    _keeps_class(ev, obj, source)
    return ObjectValue(ev.class_info(type(obj)), source, obj, make(ev, obj, source, base))


def _payload_tuple(ev: Machine, obj: Any, source: Source, base: type) -> Value:
    if not source.is_const:
        count = tuple.__len__(obj)
        ev.guards.test(source, f"tuple.__len__({{x}}) == {count}", f"len({{label}}) was {count}")
    item = lambda i: source.step("tuple.__getitem__(", f", {i})", f"[{i}]")  # noqa: E731
    return TupleValue([wrap(ev, o, item(i)) for i, o in enumerate(tuple.__iter__(obj))])


def _payload_dict(ev: Machine, obj: Any, source: Source, base: type) -> Value:
    return fill_dict(ev, obj, source, base)


def _payload_list(ev: Machine, obj: Any, source: Source, base: type) -> Value:
    return ListValue(source=source, real=obj)


def _payload_set(ev: Machine, obj: Any, source: Source, base: type) -> Value:
    return fill_set(ev, obj, source, base)


#: what an instance of a subclass is as a plain number, text or tuple: by C code that asks nothing of the subclass
_CONTENT: dict[type, Any] = {
    int: int.__pos__, float: float.__pos__, str: str.__str__,
    bytes: lambda obj: bytes.__getitem__(obj, slice(None)), tuple: lambda obj: tuple.__getitem__(obj, slice(None)),
}  # fmt: skip


def _payload_literal(ev: Machine, obj: Any, source: Source, base: type) -> Value:
    plain = _CONTENT[base](obj)
    if not source.is_const:
        ev.guards.test(source, f"{base.__name__}.__eq__({{x}}, {ev.names.inject(plain)})", f"{{label}} was {plain!r}")
    return ConstantValue(plain)


_PAYLOADS: tuple[tuple[type, Any], ...] = (
    (collections.OrderedDict, _payload_dict),
    (dict, _payload_dict),
    (tuple, _payload_tuple),
    (list, _payload_list),
    (set, _payload_set),
    (frozenset, _payload_set),
    (int, _payload_literal),
    (float, _payload_literal),
    (str, _payload_literal),
    (bytes, _payload_literal),
)

_BUILTIN_CALLABLES = (
    types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType,
    types.MethodWrapperType, types.GetSetDescriptorType, types.MemberDescriptorType, functools._lru_cache_wrapper,
    type(functools.reduce), staticmethod,
)  # fmt: skip

WRAPPERS: dict[type, Any] = {
    **dict.fromkeys(CONSTANT_TYPES - LITERAL_TYPES, wrap_constant),
    **dict.fromkeys(_BUILTIN_CALLABLES, wrap_builtin),
    tuple: wrap_tuple,
    list: wrap_list,
    collections.deque: wrap_deque,
    dict: wrap_dict,
    collections.OrderedDict: wrap_dict,
    set: wrap_set,
    frozenset: wrap_set,
    slice: wrap_slice,
    types.FunctionType: wrap_function,
    types.MethodType: wrap_method,
    type: wrap_class,
    types.ModuleType: wrap_module,
    functools.partial: wrap_partial,
    types.CellType: wrap_cell,
    itertools.count: wrap_object,
    weakref.ReferenceType: wrap_weak,
}
