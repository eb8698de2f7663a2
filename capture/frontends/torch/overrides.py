"""`__torch_function__`: modes, tensor subclasses, and classes that are no tensors.

Which function such code is given, with which types and arguments, is asked of torch: the call is made with stand-ins that stop it
where it is handed over. The code itself is Python, and is evaluated like any other.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch._tensor
import torch.overrides
from torch.overrides import TorchFunctionMode
from torch.utils._device import DeviceContext

from ...breaks import NotConstant
from ...machine.objects import MethodValue
from ...machine.type_lookup import MISSING, type_find
from ...values.base import Args, Kwargs, Value
from ...values.constant import FALSE, NONE, TRUE, ConstantValue
from ...values.mappings import DictValue
from ...values.objects import ObjectValue
from ...values.sequences import ListValue, SliceValue, TupleValue
from ...values.tensor import ArrayValue
from .context import above
from .handlers import FUNCTIONS
from .meta_results import stand_in, unnoticed
from .results import ReturnTypeValue
from .schemas import overloads_of
from .state import state_of

if TYPE_CHECKING:
    from ...values.base import Machine

Make = Callable[[], Any]


class _HandedOver(BaseException):
    """torch hands a call over: (function, types, args, kwargs)."""


def _hand_over(asked: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    raise _HandedOver(func, types, args, kwargs or {})


class _Observing(TorchFunctionMode):
    __torch_function__ = _hand_over


class _Tensor(torch.Tensor):
    """Stands in for an instance of a subclass."""

    __torch_function__ = classmethod(_hand_over)


class _Object:
    """Stands in for an object that is no tensor."""

    __torch_function__ = classmethod(_hand_over)


# ------------------------------------------------------------------ which calls


def is_overloaded(ev: Machine, value: Value) -> bool:
    """Whether a value, or one in a list of values, is of a class with a `__torch_function__` of its own."""
    if isinstance(value, ArrayValue):
        return value.is_overloaded and not state_of(ev).subclasses_disabled  # type: ignore[attr-defined]
    if isinstance(value, (TupleValue, ListValue)):
        return any(is_overloaded(ev, v) for v in value.items(ev))
    return isinstance(value, ObjectValue) and value.info.find("__torch_function__") is not MISSING


@functools.cache
def _overridable() -> frozenset[Any]:
    return frozenset(
        fn for found in torch.overrides.get_overridable_functions().values() for fn in found if callable(fn)
    )


def _may_be_asked(kind: str, target: Any) -> bool:
    """Whether torch may be asked about a call with stand-ins: it hands it over before it does anything."""
    if kind == "call_method" or target is getattr or type(target).__module__ != "builtins":
        return True
    if getattr(target, "__module__", "") in ("_operator", "builtins"):
        return True
    if isinstance(target, types.BuiltinFunctionType) and overloads_of(target.__name__):
        return True
    try:
        return target in _overridable()
    except TypeError:
        return False


def _override(ev: Machine, kind: str, target: Any, args: Args, kwargs: Kwargs, make: Make) -> Any:
    """Make a call, or let the program's code do it."""
    state = state_of(ev)
    if not state.modes and not any(is_overloaded(ev, v) for v in (*args, *kwargs.values())):
        return make()
    if not _may_be_asked(kind, target):
        if getattr(target, "__module__", "") == "torch.overrides" or target in _UNSEEN:
            return make()
        raise _refused(ev, f"{getattr(target, '__name__', target)} where calls of torch are overridden")
    seen = _handed_over(ev, kind, target, args, kwargs)
    if seen is None:
        return make()
    function, given_types, given, named = seen
    if state.modes:
        mode = state.modes.pop()
        try:
            found = _call(ev, mode.getattr_(ev, "__torch_function__"), function, given_types, given, named)
        finally:
            state.modes.append(mode)
        if _is_declined(found):
            raise _refused(ev, "a mode that does not implement a function")
        return found
    overloaded = _overloaded(ev, (*given, *named.values()))
    classes = TupleValue([ev.class_value(c) for c in overloaded])
    for cls in overloaded:
        method = type_find(cls, "__torch_function__")
        if not isinstance(method, classmethod):
            raise _refused(ev, f"the __torch_function__ of {cls.__name__}, which is no class method")
        found = _call(ev, ev.class_value(cls).getattr_(ev, "__torch_function__"), function, classes, given, named)
        if not _is_declined(found):
            return found
    raise ev.framework_error(
        TypeError("no implementation of a function was found on types that implement __torch_function__")
    )


above.override = _override


def _refused(ev: Machine, what: str) -> BaseException:
    return ev.break_("torch-function", what, "it is not known what plain Python would do")


def _is_declined(value: Value) -> bool:
    return value.is_constant and value.as_constant() is NotImplemented


def _call(ev: Machine, method: Value, function: Value, classes: Value, args: Sequence[Value], kwargs: Kwargs) -> Value:
    more = [DictValue(kwargs.items())] if kwargs else []
    return method.call(ev, [function, classes, TupleValue(list(args)), *more], {})


def _overloaded(ev: Machine, values: Sequence[Value]) -> list[type]:
    """The classes that are asked, subclasses before their bases."""
    found: list[type] = []
    for value in values:
        for v in value.items(ev) if isinstance(value, (TupleValue, ListValue)) else [value]:
            cls = v.python_type()
            if is_overloaded(ev, v) and cls not in found:
                place = next((i for i, c in enumerate(found) if issubclass(cls, c)), len(found))
                found.insert(place, cls)
    return found


# ------------------------------------------------------------------ asking torch


class _StandIns:
    """Real objects for the arguments of a call, and back."""

    def __init__(self, ev: Machine) -> None:
        self.ev = ev
        self.values: dict[int, Value] = {}
        self.kept: list[Any] = []

    def of(self, value: Value) -> Any:
        ev = self.ev
        if isinstance(value, ArrayValue):
            meta = value.meta
            plain = stand_in(
                type(meta)(tuple(map(ev.hint, meta.shape)), tuple(map(ev.hint, meta.stride)), meta.dtype), "meta"
            )
            return self._known(plain.as_subclass(_Tensor) if is_overloaded(ev, value) else plain, value)
        if isinstance(value, ObjectValue) and value.info.find("__torch_function__") is not MISSING:
            return self._known(_Object(), value)
        if value.is_constant:
            return value.as_constant()
        if isinstance(value, (TupleValue, ListValue)):
            parts = [self.of(v) for v in value.items(ev)]
            return parts if isinstance(value, ListValue) else tuple(parts)
        if isinstance(value, DictValue):
            return {k.as_constant(): self.of(v) for k, v in ev.mapping_pairs(value)}
        if isinstance(value, SliceValue):
            return slice(*map(self.of, (value.start, value.stop, value.step)))
        try:
            return ev.index(value) if ev.has_index(value) else ev.to_python(value)
        except NotConstant:
            raise _refused(ev, f"{value.describe()} as an argument where calls of torch are overridden") from None

    def _known(self, obj: Any, value: Value) -> Any:
        self.values[id(obj)] = value
        self.kept.append(obj)
        return obj

    def back(self, obj: Any) -> Value:
        known = self.values.get(id(obj))
        if known is not None:
            return known
        if type(obj) is tuple:
            return TupleValue([self.back(o) for o in obj])
        if type(obj) is list:
            return ListValue([self.back(o) for o in obj])
        if type(obj) is slice:
            return SliceValue(*map(self.back, (obj.start, obj.stop, obj.step)))
        if isinstance(obj, (torch.Tensor, _Object)):
            raise _refused(self.ev, "a call of torch that makes a tensor of its arguments")
        return self.ev.constant(obj)


def _handed_over(
    ev: Machine, kind: str, target: Any, args: Args, kwargs: Kwargs
) -> tuple[Value, Value, list[Value], Mapping[str, Value]] | None:
    """What torch hands over of a call; None where it does it itself."""
    modes = bool(state_of(ev).modes)
    ins = _StandIns(ev)
    plain = [ins.of(a) for a in args]
    named = {k: ins.of(v) for k, v in kwargs.items()}
    try:
        _ask(modes, kind, target, plain, named)
    except _HandedOver as found:
        function, classes, given, by_name = found.args
        asked = list(dict.fromkeys(c for cls in classes for c in _classes_of(ev, cls, (*args, *kwargs.values()))))
        value = ev.wrap(function, ev.names.const(function))
        return (
            value,
            TupleValue([ev.class_value(c) for c in asked]),
            [ins.back(a) for a in given],
            {k: ins.back(v) for k, v in by_name.items()},
        )
    except Exception as error:
        raise ev.framework_error(error) from error
    return None


@unnoticed()
def _ask(modes: bool, kind: str, target: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    function = getattr(type(args[0]), target) if kind == "call_method" else target
    if modes:
        with _Observing():
            function(*args, **kwargs)
    else:
        function(*args, **kwargs)


def _classes_of(ev: Machine, cls: type, args: Args) -> list[type]:
    """What a class that torch names stands for: a stand-in's for those of the values that are overloaded."""
    if cls in (_Tensor, _Object):
        return _overloaded(ev, args)
    return [next((a.python_type() for a in args if isinstance(a, ArrayValue)), cls)]


# ------------------------------------------------------------------ what such code calls


def _push(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    state_of(ev).modes.append(args[0])
    return NONE


def _pop(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    modes = state_of(ev).modes
    if not modes:
        raise _refused(ev, "leaving a mode that was entered outside")
    return modes.pop()


def _enter_device(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """`with torch.device(...)`: a mode that gives what makes tensors this device."""
    _push(ev, [ev.call(ev.constant(DeviceContext), args, {})], {})
    return args[0]


def _leave_device(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    _pop(ev, [], {})
    return NONE


class DisabledValue(Value):
    """`torch._C.DisableTorchFunctionSubclass()`."""

    __slots__ = ()

    def python_type(self) -> type:
        return torch._C.DisableTorchFunctionSubclass  # type: ignore[return-value]

    def m___enter__(self, ev: Machine) -> Value:
        state_of(ev).subclasses_disabled += 1
        return NONE

    def m___exit__(self, ev: Machine, *error: Value) -> Value:
        state_of(ev).subclasses_disabled -= 1
        return NONE


def _default(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """`torch.Tensor.__torch_function__`: the function on plain tensors; its results are made instances of the class."""
    named = dict(zip(("cls", "func", "types", "args", "kwargs"), args)) | dict(kwargs)
    cls = named["cls"].real  # type: ignore[attr-defined]
    if not all(issubclass(cls, c.real) for c in named["types"].items(ev)):  # type: ignore[attr-defined]
        return ConstantValue(NotImplemented)
    by_name = named.get("kwargs", NONE)
    passed = {} if ev.is_none(by_name) else {k.as_constant(): v for k, v in ev.mapping_pairs(by_name)}
    state = state_of(ev)
    state.subclasses_disabled += 1
    try:
        result = named["func"].call(ev, named["args"].items(ev), passed)
    finally:
        state.subclasses_disabled -= 1
    return (
        result
        if _real(named["func"]) in torch.overrides.get_default_nowrap_functions()
        else _converted(ev, result, cls)
    )


def _real(function: Value) -> Any:
    """The function that a Value stands for: a method of a descriptor is bound anew whenever it is read."""
    if isinstance(function, MethodValue) and function.owner.is_constant:
        return getattr(function.owner.as_constant(), function.name)
    return function.as_constant() if function.is_constant else None


def _converted(ev: Machine, value: Value, cls: type) -> Value:
    if cls is torch.Tensor:
        return value
    if isinstance(value, ArrayValue):
        return (
            value
            if issubclass(value.python_type(), cls)
            else ev.call_method(value, "as_subclass", [ev.class_value(cls)])
        )
    if isinstance(value, ReturnTypeValue):
        return ReturnTypeValue(value.python_type(), [_converted(ev, v, cls) for v in value.items(ev)])
    if isinstance(value, (TupleValue, ListValue)) and value.python_type() in (tuple, list):
        return value.new([_converted(ev, v, cls) for v in value.items(ev)])
    return value


def _has_torch_function(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    return TRUE if state_of(ev).modes or any(is_overloaded(ev, v) for v in args) else FALSE


def _handle(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    raise _refused(ev, "a function of torch that hands itself over")


#: functions that no mode sees
_UNSEEN = frozenset(
    (torch.is_tensor, torch.is_grad_enabled, torch.get_default_dtype, torch.typename, torch.Tensor.__torch_function__.__func__,  # type: ignore[attr-defined]
     torch._C._has_torch_function, torch._C._has_torch_function_unary, torch._C._has_torch_function_variadic,
     torch._C.DisableTorchFunctionSubclass, torch.device, torch.device.__enter__, torch.device.__exit__)
)  # fmt: skip

FUNCTIONS[torch.overrides._push_mode] = _push
FUNCTIONS[torch.overrides._pop_mode] = _pop
FUNCTIONS[torch.device.__enter__] = _enter_device
FUNCTIONS[torch.device.__exit__] = _leave_device
FUNCTIONS[torch._C.DisableTorchFunctionSubclass] = lambda ev, args, kwargs: DisabledValue()
FUNCTIONS[torch.Tensor.__torch_function__.__func__] = _default  # type: ignore[attr-defined]
FUNCTIONS[torch.overrides.handle_torch_function] = _handle
for _name in ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"):
    FUNCTIONS[getattr(torch.overrides, _name)] = _has_torch_function
    FUNCTIONS[getattr(torch._C, f"_{_name}")] = _has_torch_function
