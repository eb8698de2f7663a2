"""Functions of the standard library that need more than Python code in their place: functools, operator, copy, contextlib,
warnings and logging.
"""

from __future__ import annotations

import abc
import builtins
import collections
import copy
import dataclasses
import functools
import inspect
import itertools
import math
import operator
import os
import reprlib
import sys
import traceback
import types
import typing
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..machine import operators
from ..machine.type_lookup import HEAPTYPE, message_name
from ..switches import function_flags, stance
from ..values.base import Args, Kwargs, Value
from ..values.constant import NONE, TRUE, ConstantValue
from ..values.exceptions import ExceptionValue
from ..values.functions import BoundMethodValue, CellValue, FunctionValue, PartialValue
from ..values.iterators import CountValue
from ..values.mappings import DictValue, MappingProxyValue
from ..values.objects import ObjectValue
from ..values.sequences import DequeValue, ListValue, TupleValue
from ..values.sets import SetValue
from ..values.special_methods import SpecialMethods, length_hint
from ..values.weak import WeakValue
from . import polyfills
from .builtin_functions import CallEffect, boolean
from .builtin_table import CODE_CALLS, TABLE, TYPE_CALLS, handles, pure, simple

if TYPE_CHECKING:
    from ..values.base import Machine


# ---------------------------------------------------------------- functools


@handles(functools.partial)
def _partial(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    return PartialValue(args[0], list(args[1:]), dict(kwargs))


@handles(types.MappingProxyType)
def _mapping_proxy(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    if len(args) != 1 or kwargs or not ev.is_mapping(args[0]):
        raise ev.break_("bad-arguments", "mappingproxy() takes one mapping", "the arguments do not fit", eager=True)
    return MappingProxyValue(args[0])


@handles(functools.update_wrapper)
def _update_wrapper(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    named = dict(zip(("wrapper", "wrapped", "assigned", "updated"), args)) | dict(kwargs)
    wrapper, wrapped = named["wrapper"], named["wrapped"]
    assigned = (
        named["assigned"].items(ev)
        if "assigned" in named
        else [ConstantValue(n) for n in functools.WRAPPER_ASSIGNMENTS]
    )
    for name in assigned:
        text = name.as_constant()
        if text in ("__annotations__", "__type_params__"):
            continue
        value = ev.getattr_or_none(wrapped, text)
        if value is not None:
            wrapper.setattr_(ev, text, value)
    if isinstance(wrapped, FunctionValue):
        for text, value in wrapped.own_attributes(ev).items():
            wrapper.setattr_(ev, text, value)
    wrapper.setattr_(ev, "__wrapped__", wrapped)
    return wrapper


def _getter_call(make: Any) -> Any:
    """Real itemgetter, attrgetter and methodcaller objects: by the Python functions that stand for their classes."""

    def call(ev: Machine, obj: Any, args: Args, kwargs: Kwargs) -> Value:
        made = obj.__reduce__()
        parts = [ev.from_python(a) for a in made[1]]
        function = made[0]
        keywords = {}
        if isinstance(function, functools.partial):
            keywords = {k: ev.from_python(v) for k, v in function.keywords.items()}
            parts = [ev.from_python(a) for a in function.args] + parts
        return ev.call(ev.call_function(make, parts, keywords), args, kwargs)

    return call


@handles(sys._getframe, inspect.currentframe, inspect.stack, traceback.extract_stack, traceback.format_stack,
         traceback.print_stack, traceback.walk_stack)  # fmt: skip
def _frames(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """Who looks at the running frames shall see the program's: the function that does, and those that it was inlined into, run as
    plain Python. What a library wants to know of them is its own affair.
    """
    of_library = ev.trusted_module(ev.frame.scope.real.get("__name__"))
    raise ev.break_("library-frames" if of_library else "frames", "looking at the running frames", "compiled code has others",
                    "do it outside of the compiled function")  # fmt: skip


@handles(weakref.ref)
def _weak_reference(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    if len(args) != 1 or kwargs:
        raise ev.break_("weak-callback", "a weak reference with a callback", "when it is called is not known")
    if getattr(args[0], "info", None) is None:
        raise ev.break_("weak-reference", f"a weak reference to {args[0].describe()}")
    return WeakValue(args[0])


TYPE_CALLS[operator.itemgetter] = _getter_call(polyfills.itemgetter)
TYPE_CALLS[operator.attrgetter] = _getter_call(polyfills.attrgetter)
TYPE_CALLS[operator.methodcaller] = _getter_call(polyfills.methodcaller)


def _guarded_repr(fn: Any) -> Any:
    """`__repr__` made safe against recursion by an id(): the wrapped one is called, guarded here."""

    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        with ev.repr_guard(args[0]) as again:
            return ConstantValue("...") if again else ev.call_function(fn.__wrapped__, args)

    return handler


if hasattr(dataclasses, "_recursive_repr"):  # before Python 3.13
    CODE_CALLS[dataclasses._recursive_repr(repr).__code__] = _guarded_repr
CODE_CALLS[reprlib.recursive_repr()(repr).__code__] = _guarded_repr

# ---------------------------------------------------------------- operator


def _operator(fn: Any, count: int, call: Callable[..., Value]) -> None:
    """Register a function of so many operands. Another number of them, as from a class whose method it is, is the program's TypeError."""

    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        if len(args) != count or kwargs:
            what = f"{fn.__name__} of {len(args) + len(kwargs)} arguments"
            raise ev.break_("bad-arguments", what, "the arguments do not fit", eager=True)
        return call(ev, *args)

    TABLE[fn] = handler


def _of_symbol(call: Any, symbol: str) -> Callable[..., Value]:
    return lambda ev, left, right: call(ev, symbol, left, right)


for _symbol, _fn in operators.BINARY.items():
    _operator(_fn, 2, _of_symbol(operators.binary, _symbol))
for _symbol, _fn in operators.COMPARE.items():
    _operator(_fn, 2, _of_symbol(operators.compare, _symbol))
for _symbol, _fn in operators.UNARY.items():
    _operator(_fn, 1, lambda ev, a, symbol=_symbol: a.unary(ev, symbol))
for _symbol, _stem in operators.STEMS.items():
    _operator(getattr(operator, f"i{_stem}"), 2, _of_symbol(operators.inplace, _symbol))
_operator(operator.getitem, 2, lambda ev, a, key: a.getitem(ev, key))
_operator(operator.contains, 2, lambda ev, a, item: boolean(a.contains(ev, item)))
_operator(operator.truth, 1, lambda ev, a: boolean(a.truth(ev)))
_operator(operator.not_, 1, lambda ev, a: boolean(not a.truth(ev)))
_operator(operator.is_, 2, lambda ev, a, b: boolean(ev.is_same(a, b)))
_operator(operator.is_not, 2, lambda ev, a, b: boolean(not ev.is_same(a, b)))
_operator(operator.index, 1, lambda ev, a: ConstantValue(ev.index(a)))
_operator(operator.concat, 2, _of_symbol(operators.binary, "+"))
_operator(operator.iconcat, 2, _of_symbol(operators.inplace, "+"))


@simple(operator.length_hint)
def _length_hint(ev: Machine, obj: Value, default: Value | None = None, /) -> Value:
    if not isinstance(obj, SpecialMethods):
        return ev.fold(operator.length_hint, *[ev.known(v) for v in (obj, default) if v is not None])
    if default is not None and not issubclass(default.python_type(), int):
        raise ev.type_error(f"'{message_name(default.python_type())}' object cannot be interpreted as an integer")
    found = length_hint(ev, obj)
    return next(v for v in (found, default, ConstantValue(0)) if v is not None)


TABLE[operator.abs] = lambda ev, args, kwargs: TABLE[abs](ev, args, kwargs)


@simple(operator.setitem)
def _setitem(ev: Machine, obj: Value, key: Value, value: Value, /) -> Value:
    obj.setitem(ev, key, value)
    return NONE


@simple(operator.delitem)
def _delitem(ev: Machine, obj: Value, key: Value, /) -> Value:
    obj.delitem(ev, key)
    return NONE


@simple(operator.countOf)
def _count_of(ev: Machine, obj: Value, item: Value, /) -> Value:
    return ConstantValue(sum(ev.equal(v, item) for v in obj.items(ev)))


@simple(operator.call) if hasattr(operator, "call") else (lambda f: f)
def _call(ev: Machine, function: Value, /, *args: Value, **kwargs: Value) -> Value:
    return function.call(ev, args, kwargs)


@simple(itertools.count)
def _count(ev: Machine, start: Value = ConstantValue(0), step: Value = ConstantValue(1)) -> Value:  # noqa: B008 - immutable
    return CountValue(start, step)


# ---------------------------------------------------------------- copy


@simple(copy.copy)
def _copy(ev: Machine, value: Value) -> Value:
    if isinstance(value, (TupleValue, FunctionValue)) or value.is_constant:
        return value
    if isinstance(value, (ListValue, DictValue, SetValue, DequeValue)):
        return value.m_copy(ev)
    if not isinstance(value, ObjectValue):
        return value.shallow_copy(ev)
    hook = value.special(ev, "__copy__")
    return hook.call(ev, [], {}) if hook is not None else _same_parts(ev, value, lambda v: v)


@simple(copy.deepcopy)
def _deepcopy(ev: Machine, value: Value, memo: Value = NONE) -> Value:
    if not ev.is_none(memo):
        raise ev.break_(
            "unsupported-copy", f"copying {value.describe()} with a memo", "it holds what was copied before by its id"
        )
    return _deep(ev, value, {})


def _deep(ev: Machine, value: Value, memo: dict[int, Value]) -> Value:
    known = memo.get(id(value))
    if known is not None:
        return known
    if value.is_constant or isinstance(value, FunctionValue):
        return value
    if isinstance(value, TupleValue):
        parts = [_deep(ev, v, memo) for v in value.items(ev)]
        same = all(a is b for a, b in zip(parts, value.items(ev)))
        memo[id(value)] = value if same else TupleValue(parts)
        return memo[id(value)]
    if isinstance(value, (ListValue, DequeValue)):
        new = value.new([])
        memo[id(value)] = new
        new._elements.extend(_deep(ev, v, memo) for v in value.items(ev))  # type: ignore[attr-defined]
        return new
    if isinstance(value, DictValue):
        made = memo[id(value)] = DictValue(cls=value.cls)
        for k, v in value.pairs(ev):
            made.put(ev, _deep(ev, k, memo), _deep(ev, v, memo))
        return made
    if isinstance(value, SetValue):
        memo[id(value)] = SetValue.of(ev, [_deep(ev, v, memo) for v in value.items(ev)], value.cls)
        return memo[id(value)]
    if value.python_type() in (int, float, bool):
        return value
    if not isinstance(value, ObjectValue):
        memo[id(value)] = ev.call_method(value, "__deepcopy__", [DictValue()])
        return memo[id(value)]
    if value.special(ev, "__deepcopy__") is not None:
        raise ev.break_(
            "unsupported-copy", f"copying {value.describe()}", "its class defines __deepcopy__, which is given the memo"
        )
    return _same_parts(ev, value, lambda v: _deep(ev, v, memo), memo)


#: methods of the program's that copying an instance runs: what reads it, what fills the copy, for some C classes what makes it
_COPYING: dict[type, tuple[str, ...]] = {
    DictValue: ("__new__", "__setitem__", "__iter__", "keys", "items"),
    ListValue: ("__new__", "append", "extend", "__iter__"),
    SetValue: ("__new__", "__init__", "__iter__"),
    DequeValue: ("__new__", "__init__", "append", "extend", "__iter__"),
}


def _same_parts(ev: Machine, value: ObjectValue, part: Any, memo: dict[int, Value] | None = None) -> Value:
    """A new object of the same class with the same attributes."""
    for name in ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__"):
        if isinstance(value.info.find(name), types.FunctionType):
            raise ev.break_("unsupported-copy", f"copying {value.describe()}", f"its class defines {name}")
    for name in _COPYING.get(type(value.payload), ("__new__",)):
        raw = value.info.find(name)
        if isinstance(raw.__func__ if isinstance(raw, staticmethod) else raw, types.FunctionType):
            raise ev.break_("unsupported-copy", f"copying {value.describe()}", f"its class defines {name}")
    if value.payload is None and any(
        base is not object and not base.__flags__ & HEAPTYPE for base in value.cls.__mro__
    ):
        raise ev.break_("unsupported-copy", f"copying {value.describe()}", "C code keeps its content")
    payload = part(value.payload) if value.payload is not None else None
    if payload is value.payload and payload is not None and not isinstance(payload, (TupleValue, ConstantValue)):
        payload = payload.call_method(ev, "copy", [], {})
    new = ev.new_object(value.info, payload)
    if memo is not None:
        memo[id(value)] = new
    if value.info.has_dict:
        for k, v in value.instance_dict(ev).pairs(ev):  # type: ignore[attr-defined]
            new.store(ev, k.as_constant(), part(v))
    for name, raw in _slots(value.info.cls):
        found = ev.getattr_or_none(value, name) if raw is not None else None
        if found is not None:
            new.store(ev, name, part(found))
    return new


def _slots(cls: type) -> list[tuple[str, Any]]:
    return [
        (n, r)
        for base in cls.__mro__
        for n, r in base.__dict__.items()
        if isinstance(r, types.MemberDescriptorType) and base.__flags__ & HEAPTYPE
    ]


TABLE[os.fspath] = pure(os.fspath)

# ---------------------------------------------------------------- namespaces, typing, text


@handles(types.SimpleNamespace)
def _namespace(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    new = ev.new_object(ev.class_info(types.SimpleNamespace))
    new.new_args = []
    for k, v in ev.mapping_pairs(args[0]) if args else ():
        new.store(ev, k.as_constant(), v)
    for name, value in kwargs.items():
        new.store(ev, name, value)
    return new


@simple(types.MethodType)
def _method_type(ev: Machine, function: Value, owner: Value, /) -> Value:
    return BoundMethodValue(function, owner)


@handles(types.CellType)
def _cell_type(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    return CellValue(args[0] if args else None)


def _rounding(fn: Any, special: str) -> None:
    """math.trunc and its kin ask the object's own method before they ask for a float."""

    @handles(fn)
    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        if len(args) == 1 and isinstance(args[0], ObjectValue) and ev.has_special(args[0], special):
            return ev.get_special(args[0], special).call(ev, [], {})
        return pure(fn)(ev, args, kwargs)


for _fn, _special in ((math.trunc, "__trunc__"), (math.floor, "__floor__"), (math.ceil, "__ceil__")):
    _rounding(_fn, _special)


@simple(typing.cast)
def _cast(ev: Machine, typ: Value, val: Value) -> Value:
    return val


@handles(reprlib.recursive_repr)
def _recursive_repr(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    raise ev.break_(
        "unsupported-builtin", "reprlib.recursive_repr during capture", "decorate outside of the compiled function"
    )


@handles(abc.ABCMeta.register)
def _register(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    raise ev.break_("unsupported-builtin", "registering a class with an ABC", "classes are not changed during capture")


@handles(collections.namedtuple)
def _namedtuple(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """The class is made now; the calls of the entry share it."""
    plain = [ev.known(a) for a in args]
    named = {k: ev.known(v) for k, v in kwargs.items()}
    assert ev.frame is not None
    named.setdefault("module", ev.frame.scope.real.get("__name__"))
    cls = ev.fold_raw(lambda: collections.namedtuple(*plain, **named))
    return ev.wrap(cls, ev.names.const(cls))


# ---------------------------------------------------------------- inspect


class SignatureValue(Value):
    """An `inspect.Signature`, of which programs ask the parameters."""

    __slots__ = ("signature",)

    def __init__(self, signature: inspect.Signature) -> None:
        super().__init__()
        self.signature = signature

    def python_type(self) -> type:
        return inspect.Signature

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name == "parameters":
            return ev.from_python(dict(self.signature.parameters))
        return super().getattr_(ev, name)

    def rebuild(self, rb: Any) -> str:
        return rb.inject(self.signature, "signature")


@simple(inspect.signature)
def _signature(ev: Machine, fn: Value) -> Value:
    """Of functions whose code is known; a bound method has no first parameter."""
    bound = isinstance(fn, BoundMethodValue)
    function = fn.function if isinstance(fn, BoundMethodValue) else fn
    real = getattr(function, "real", None)
    if not callable(real):
        raise ev.break_(
            "inspect", f"inspect.signature of {fn.describe()}", "", "call it outside of the compiled function"
        )
    return SignatureValue(inspect.signature(types.MethodType(real, object()) if bound else real))


# ---------------------------------------------------------------- what is never captured


def _refuse(fn: Any, why: str, rewrite: str = "") -> None:
    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        raise ev.break_("unsupported-builtin", f"calling {fn.__name__}()", why, rewrite)

    TABLE[fn] = handler


for _name in (
    "open",
    "input",
    "exec",
    "eval",
    "breakpoint",
    "compile",
    "property",
    "staticmethod",
    "classmethod",
    "memoryview",
    "bytearray",
):
    _refuse(getattr(builtins, _name), "capture does not model it", "call it outside of the compiled function")


@simple(function_flags.is_compiling, function_flags.is_dynamo_compiling)
def _is_compiling(ev: Machine) -> Value:
    return TRUE


@simple(stance.set_strict)
def _set_strict(ev: Machine, mode: Value) -> Value:
    before, ev.strict = ev.strict, mode.as_constant()
    ev.effects.touch(CallEffect(stance.set_strict, [mode], {}))
    return ConstantValue(before)


@simple(function_flags.graph_break)
def _graph_break(ev: Machine, msg: Value = ConstantValue("")) -> Value:  # noqa: B008 - immutable
    text = msg.as_constant()
    raise ev.break_(
        "graph-break", f"quern.graph_break(){f': {text}' if text else ''}", "the program asks for it", "remove the call"
    )


@simple(sys.exc_info)
def _exc_info(ev: Machine) -> Value:
    error = ev.handled
    if not isinstance(error, ExceptionValue):
        return TupleValue([NONE, NONE, NONE])
    return TupleValue([ev.class_value(error.cls), error, error.getattr_(ev, "__traceback__")])


@simple(sys.exception)
def _exception(ev: Machine) -> Value:
    return ev.handled if ev.handled is not None else NONE
