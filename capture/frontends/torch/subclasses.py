"""Tensors of subclasses written in Python: a plain tensor in the graph, whose class takes calls over (see `overrides`)."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING

import torch

from ...machine.type_lookup import type_find
from ...values.base import Args, Kwargs, Value
from ...values.classes import ClassValue
from ...values.functions import BoundMethodValue
from ...values.tensor import ArrayValue
from . import tensor_attributes
from .handlers import register_handler
from .recording import unrecordable
from .state import state_of
from .tensors import TensorValue

if TYPE_CHECKING:
    from ...guards.sources import Source
    from ...values.base import Emitter, Machine

_DISPATCH = type_find(torch.Tensor, "__torch_dispatch__")


class SubclassValue(TensorValue):
    """A tensor of a subclass. original: the object itself, when it came from outside."""

    __slots__ = ("cls",)
    cls: type
    original: torch.Tensor | None  # type: ignore[assignment]

    @property
    def is_overloaded(self) -> bool:  # type: ignore[override]
        return getattr(self.cls, "__torch_function__", None) is not torch._C._disabled_torch_function_impl

    def python_type(self) -> type:
        return self.cls

    def viewed_as(self) -> type[ArrayValue]:
        return TensorValue

    def isinstance_(self, ev: Machine, cls: type) -> bool:
        return issubclass(self.cls, cls)

    def getattr_(self, ev: Machine, name: str) -> Value:
        for base in _above_tensor(self.cls):
            if name not in base.__dict__ or name in _OF_CLASSES:
                continue
            raw = base.__dict__[name]
            ev.guards.steady(base, name, raw, base.__name__)
            if isinstance(raw, types.FunctionType):
                return BoundMethodValue(ev.wrap(raw, ev.names.const(raw, label=name)), self)
            if isinstance(raw, property) and isinstance(raw.fget, types.FunctionType):
                return ev.wrap(raw.fget, ev.names.const(raw.fget, label=name)).call(ev, [self], {})
            if isinstance(raw, (classmethod, staticmethod)) or hasattr(type(raw), "__get__"):
                raise ev.break_("tensor-subclass", f"the attribute {name!r} of {self.describe()}")
            return ev.wrap(raw, ev.names.const(base, label=base.__name__).attr(name))
        return super().getattr_(ev, name)

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        if any(name in base.__dict__ for base in _above_tensor(self.cls)):
            return self.getattr_(ev, name).call(ev, args, kwargs)
        return super().call_method(ev, name, args, kwargs)

    def rebuild(self, rb: Emitter) -> str:
        of_class, cls = rb.inject(as_subclass, "as_subclass"), rb.inject(self.cls, self.cls.__name__)
        return tensor_attributes.hang(rb, self, f"{of_class}({self._rebuilt(rb)}, {cls})")


def _above_tensor(cls: type) -> tuple[type, ...]:
    """A subclass and those of its bases that stand before `torch.Tensor`."""
    return cls.__mro__[: cls.__mro__.index(torch.Tensor)]


#: what a class has for itself
_OF_CLASSES = frozenset(("__module__", "__doc__", "__dict__", "__weakref__", "__torch_function__", "__class__"))


def as_subclass(x: torch.Tensor, cls: type) -> torch.Tensor:
    """`x` as an instance of a subclass, or as a plain tensor."""
    with torch._C.DisableTorchFunctionSubclass():
        return x.as_subclass(cls)  # type: ignore[arg-type]


def plain(x: torch.Tensor) -> torch.Tensor:
    """The plain tensor in the memory of an instance of a subclass."""
    return as_subclass(x, torch.Tensor)


def refused(cls: type) -> str:
    """Why tensors of a class are not captured; "" where they are."""
    if type_find(cls, "__torch_dispatch__") is not _DISPATCH:
        return f"it is a {cls.__name__}: its operators are its own (__torch_dispatch__)"
    names = [n for base in _above_tensor(cls) for n in base.__dict__]
    changed = [n for n in names if n.startswith("__") and n not in (*_OF_CLASSES, *_HARMLESS)]
    return f"it is a {cls.__name__}, which has a {changed[0]} of its own" if changed else ""


#: what a class may define without changing how its instances, once made, are used
_HARMLESS = frozenset(
    ("__new__", "__init__", "__slots__", "__annotations__", "__qualname__", "__firstlineno__", "__static_attributes__")
)


def wrap_subclass(ev: Machine, obj: torch.Tensor, source: Source, inner: TensorValue) -> Value:
    """The Value of an instance of a subclass; inner: that of the plain tensor in its memory."""
    cls = type(obj)
    ev.guards.type_is(source, cls)
    if "__torch_function__" in cls.__dict__:
        ev.guards.steady(cls, "__torch_function__", cls.__dict__["__torch_function__"], cls.__name__)
    return _of(inner, cls, source, obj)


def _of(x: TensorValue, cls: type, source: Source | None = None, original: torch.Tensor | None = None) -> SubclassValue:
    made = SubclassValue(x.storage, x.meta, x._node, x.parent, x.step, x.offset, source)
    made._version = x._version
    made.cls, made.original = cls, original
    if x.parent is not None:
        made.recorded = x.recorded
    return made


def _as_subclass(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    x, cls = [*args, *kwargs.values()]
    assert isinstance(x, TensorValue)
    if not isinstance(cls, ClassValue) or not issubclass(cls.real, torch.Tensor):
        raise ev.framework_error(TypeError("cls must be a type (not Tensor) that derives from Tensor"))
    if cls.real is not torch.Tensor and refused(cls.real):
        raise ev.break_("tensor-subclass", f"making {x.describe()} an instance of {cls.describe()}", refused(cls.real))
    unrecordable(ev)
    if state_of(ev).bodies:
        raise ev.break_("tensor-subclass", "a tensor subclass in a function that the framework calls")
    view = x.view(ev, "alias")
    assert isinstance(view, TensorValue)
    return view if cls.real is torch.Tensor else _of(view, cls.real)


register_handler("Tensor.as_subclass", _as_subclass)
