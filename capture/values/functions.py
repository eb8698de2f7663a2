"""Callables: Python functions with their cells, bound methods, builtins, `functools.partial`."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..guards.sources import Source
from ..machine.type_lookup import type_find
from .attribute_text import assignment, keywords
from .base import Args, Kwargs, Value
from .constant import FALSE, NONE, TRUE, ConstantValue
from .keys import MethodKey
from .literals import LITERAL_TYPES
from .mappings import DictValue
from .sequences import TupleValue

if TYPE_CHECKING:
    from ..machine.scopes import GlobalScope
    from .base import Emitter, Machine


class CellValue(Value):
    """A cell: a variable that several functions share. `content` is None while empty."""

    __slots__ = ("real", "_content", "_read", "changed")

    def __init__(self, content: Value | None = None, source: Source | None = None, real: Any = None) -> None:
        self.source = source
        self.real = real
        self._content = content
        self._read = real is None
        self.changed = False

    def python_type(self) -> type:
        return types.CellType

    def get(self, ev: Machine) -> Value | None:
        if not self._read:
            self._read = True
            assert self.source is not None
            try:
                content = self.real.cell_contents
            except ValueError:
                ev.guards.test(self.source, f"{ev.names.inject(_is_empty)}({{x}})", "the variable {label} was not set")
                return None
            self._content = ev.wrap(content, self.source.cell())
        return self._content

    def set(self, ev: Machine, value: Value | None) -> None:
        self._read = True
        self._content = value
        if self.source is not None:
            self.changed = True
            ev.effects.touch(self)

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name == "cell_contents":
            found = self.get(ev)
            if found is None:
                raise ev.raise_(ValueError, "Cell is empty")
            return found
        return super().getattr_(ev, name)

    def setattr_(self, ev: Machine, name: str, value: Value) -> None:
        if name != "cell_contents":
            return super().setattr_(ev, name, value)
        self.set(ev, value)

    def rebuild(self, rb: Emitter) -> str:
        cell = rb.inject(types.CellType, "cell")
        if self._content is None:
            return f"{cell}()"
        # filled last: a function may hold itself through its cell
        content = self._content
        name = rb.name_value(self, f"{cell}()")
        rb.defer(lambda: rb.emit(f"{name}.cell_contents = {rb.value(content)}"))
        return name

    def replay(self, rb: Emitter, target: str) -> None:
        if self._content is None:
            rb.effect(f"del {target}.cell_contents")
        else:
            rb.effect(f"{target}.cell_contents = {rb.value(self._content)}")


def _is_empty(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - raises when empty
    except ValueError:
        return True
    return False


#: functions of frameworks that are known by their code, for a new one is made by each call of another:
#: (ev, function, args, kwargs) -> Value
BY_CODE: dict[types.CodeType, Callable[[Machine, FunctionValue, Args, Kwargs], Value]] = {}


class FunctionValue(Value):
    """A Python function: a real one (`real`), or one made during capture.

    defaults, kwdefaults, closure of a real function are wrapped when first asked for.
    """

    __slots__ = (
        "real",
        "code",
        "scope",
        "name",
        "qualname",
        "made_from",
        "attrs",
        "changed",
        "_defaults",
        "_kwdefaults",
        "_closure",
        "_handler",
    )

    def __init__(
        self, code: types.CodeType, scope: GlobalScope, source: Source | None = None, real: Any = None
    ) -> None:
        self.source = source
        self.real = real
        self.code = code
        self.scope = scope
        self.name = real.__name__ if real is not None else code.co_name
        self.qualname = real.__qualname__ if real is not None else code.co_qualname
        #: attributes that were read or set, and the names of those set
        self.attrs: dict[str, Value] = {}
        self.changed: dict[str, None] = {}
        self._defaults: list[Value] | None = None
        self._kwdefaults: dict[str, Value] | None = None
        self._closure: list[CellValue] | None = None
        self._handler: Any = False

    def python_type(self) -> type:
        return types.FunctionType

    @property
    def is_constant(self) -> bool:  # type: ignore[override]
        return self.real is not None and self.source is not None and self.source.is_const and not self.changed

    def as_constant(self) -> Any:
        return self.real if self.is_constant else super().as_constant()

    def describe(self) -> str:
        return f"the function {self.name}"

    # ------------------------------------------------------------ parts

    def defaults(self, ev: Machine) -> list[Value]:
        found = self._defaults
        if found is None:
            real = self.real.__defaults__ if self.real is not None else None
            self._guard_part(ev, "__defaults__", real)
            found = [self._part(ev, obj, "__defaults__", i) for i, obj in enumerate(real or ())]
            self._defaults = found
        return found

    def kwdefaults(self, ev: Machine) -> dict[str, Value]:
        found = self._kwdefaults
        if found is None:
            real = self.real.__kwdefaults__ if self.real is not None else None
            self._guard_part(ev, "__kwdefaults__", real)
            found = {k: self._part(ev, obj, "__kwdefaults__", k) for k, obj in (real or {}).items()}
            self._kwdefaults = found
        return found

    def _guard_part(self, ev: Machine, where: str, real: Any) -> None:
        """The defaults of a real function, as a whole: a held function's tuple by identity, else by their number and names."""
        if self.real is None or self.scope.trusted:
            return
        assert self.source is not None
        source = self.source.attr(where)
        if real is None or self.source.is_const and where == "__defaults__":
            ev.guards.is_(source, real)
        elif where == "__defaults__":
            ev.guards.length(source, len(real))
        else:
            ev.guards.keys(source, tuple(real))

    def _part(self, ev: Machine, obj: Any, where: str, key: Any) -> Value:
        if type(obj) in LITERAL_TYPES and self.source is not None and self.source.is_const:
            if where == "__defaults__" or self.scope.trusted:
                return ConstantValue(obj)  # the tuple of defaults as a whole is guarded
        assert self.source is not None
        return ev.wrap(obj, self.source.attr(where).item(key))

    def closure(self, ev: Machine) -> list[CellValue]:
        found = self._closure
        if found is None:
            found = []
            if self.real is not None and self.real.__closure__:
                assert self.source is not None
                for i, (cell, name) in enumerate(zip(self.real.__closure__, self.code.co_freevars)):
                    # that cell would keep the class, and so the function
                    own_class = name == "__class__" and ev.names.holds_weakly(self.real)
                    if self.source.is_const and not own_class:
                        source = ev.names.const(cell, label=name)
                    else:
                        source = self.source.attr("__closure__").item(i)
                    found.append(ev.cell(cell, source))
            self._closure = found
        return found

    def made(
        self, defaults: list[Value] | None, kwdefaults: dict[str, Value] | None, closure: list[CellValue] | None
    ) -> FunctionValue:
        """Set the parts of a function made during capture."""
        self._defaults = defaults or []
        self._kwdefaults = kwdefaults or {}
        self._closure = closure or []
        return self

    # ------------------------------------------------------------ attributes

    def getattr_(self, ev: Machine, name: str) -> Value:
        found = self.attrs.get(name)
        if found is not None:
            return found
        special = _FUNCTION_ATTRIBUTES.get(name)
        if special is not None:
            return special(ev, self)
        if self.real is not None and name in self.real.__dict__:
            assert self.source is not None
            value = ev.wrap(self.real.__dict__[name], self.source.attr(name))
            self.attrs[name] = value
            return value
        return super().getattr_(ev, name)

    def setattr_(self, ev: Machine, name: str, value: Value) -> None:
        if name == "__defaults__":
            self._defaults = value.items(ev) if not ev.is_none(value) else []
        elif name == "__kwdefaults__":
            self._kwdefaults = {k.as_constant(): v for k, v in ev.mapping_pairs(value)} if not ev.is_none(value) else {}
        elif name in ("__code__", "__globals__", "__closure__"):
            raise ev.break_("function-attribute", f"setting {name} of a function")
        elif name in ("__name__", "__qualname__") and self.real is None:
            setattr(self, name.strip("_"), value.as_constant())
        self.attrs[name] = value
        self.changed[name] = None
        if self.source is not None:
            ev.effects.touch(self)

    def delattr_(self, ev: Machine, name: str) -> None:
        if self.real is not None or name not in self.attrs:
            return super().delattr_(ev, name)
        del self.attrs[name]
        self.changed.pop(name, None)

    def own_attributes(self, ev: Machine) -> dict[str, Value]:
        """What `fn.__dict__` holds."""
        if self.real is not None:
            for name in self.real.__dict__:
                if name not in self.attrs:
                    self.getattr_(ev, name)
        return {k: v for k, v in self.attrs.items() if k not in _FUNCTION_ATTRIBUTES}

    def m___get__(self, ev: Machine, obj: Value, cls: Value = NONE) -> Value:
        return self if ev.is_none(obj) else BoundMethodValue(self, obj)

    # ------------------------------------------------------------ calls

    def call(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        handler = self._handler
        if handler is False:
            known = BY_CODE.get(self.code) if self.scope.trusted else None
            if known is not None:
                return known(ev, self, args, kwargs)
            handler = self._handler = ev.handler(self.real) if self.real is not None else None
        if handler is not None:
            return handler(ev, args, kwargs)
        return ev.inline(self, args, kwargs)

    def repr_(self, ev: Machine) -> Value:
        if self.real is None or self.source is None:
            raise ev.break_("function-repr", "the repr of a function made here, which holds its address")
        if not self.source.is_const:
            ev.guards.is_(self.source, self.real)
        return ConstantValue(repr(self.real))

    # ------------------------------------------------------------ making it again

    def rebuild(self, rb: Emitter) -> str:
        make = rb.inject(types.FunctionType, "function")
        code = rb.inject(self.code, "code")
        scope = rb.inject(self.scope.real, "globals")
        closure = self._closure or []
        cells = f", ({''.join(rb.value(c) + ', ' for c in closure)})" if closure else ""
        defaults = f"({''.join(rb.value(v) + ', ' for v in self._defaults)})" if self._defaults else "None"
        name = rb.name_value(self, f"{make}({code}, {scope}, {self.name!r}, {defaults}{cells})")
        if self.qualname != self.code.co_qualname:
            rb.emit(f"{name}.__qualname__ = {self.qualname!r}")
        if self._kwdefaults:
            items = ", ".join(f"{k!r}: {rb.value(v)}" for k, v in self._kwdefaults.items())
            rb.emit(f"{name}.__kwdefaults__ = {{{items}}}")
        for attr in self.changed:
            if attr in self.attrs and attr not in ("__defaults__", "__kwdefaults__", "__name__", "__qualname__"):
                rb.emit(assignment(rb, name, attr, rb.value(self.attrs[attr])))
        return name

    def replay(self, rb: Emitter, target: str) -> None:
        for attr in self.changed:
            rb.effect(assignment(rb, target, attr, rb.value(self.attrs[attr])))


def _of_real(name: str) -> Any:
    def read(ev: Machine, fn: FunctionValue) -> Value:
        if fn.real is not None:
            assert fn.source is not None
            return ev.wrap(getattr(fn.real, name), fn.source.attr(name))
        return NONE

    return read


def _text_of(name: str, made: Any) -> Any:
    """`name` of a function: guarded for one of the program's, which may be given another."""

    def read(ev: Machine, fn: FunctionValue) -> Value:
        if fn.real is None or fn.source is None or fn.scope.trusted:
            return ConstantValue(made(fn))
        return ev.wrap(getattr(fn.real, name), fn.source.attr(name))

    return read


def _annotations(ev: Machine, fn: FunctionValue) -> Value:
    if fn.real is not None:
        assert fn.source is not None
        return ev.wrap(fn.real.__annotations__, fn.source.attr("__annotations__"))
    fn.attrs["__annotations__"] = DictValue()
    return fn.attrs["__annotations__"]


_FUNCTION_ATTRIBUTES: dict[str, Any] = {
    "__name__": _text_of("__name__", lambda fn: fn.name),
    "__qualname__": _text_of("__qualname__", lambda fn: fn.qualname),
    "__code__": lambda ev, fn: ConstantValue(fn.code),
    "__doc__": lambda ev, fn: ConstantValue(
        fn.real.__doc__ if fn.real is not None else fn.code.co_consts[0] if fn.code.co_consts and isinstance(fn.code.co_consts[0], str) else None
    ),
    "__module__": lambda ev, fn: ConstantValue(fn.real.__module__ if fn.real is not None else fn.scope.real.get("__name__")),
    "__defaults__": lambda ev, fn: TupleValue(fn.defaults(ev)) if fn.defaults(ev) else NONE,
    "__kwdefaults__": lambda ev, fn: _kwdefaults(fn.kwdefaults(ev)),
    "__closure__": lambda ev, fn: TupleValue(fn.closure(ev)) if fn.closure(ev) else NONE,
    "__annotations__": _annotations,
    "__type_params__": _of_real("__type_params__"),
    "__globals__": lambda ev, fn: ev.break_globals(),
    "__dict__": lambda ev, fn: DictValue(fn.own_attributes(ev).items()),
}  # fmt: skip


def _kwdefaults(found: dict[str, Value]) -> Value:
    return DictValue(found.items()) if found else NONE


class BoundMethodValue(Value):
    """A Python function (or any callable) bound to an object."""

    __slots__ = ("function", "owner")

    def __init__(self, function: Value, owner: Value, source: Source | None = None) -> None:
        self.source = source
        self.function = function
        self.owner = owner

    def python_type(self) -> type:
        return types.MethodType

    def describe(self) -> str:
        return f"the method {getattr(self.function, 'name', '')!r} of {self.owner.describe()}"

    def call(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        return self.function.call(ev, [self.owner, *args], kwargs)

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name == "__func__":
            return self.function
        if name == "__self__":
            return self.owner
        if name in ("__class__", "__get__"):
            return super().getattr_(ev, name)
        return self.function.getattr_(ev, name)

    def m___get__(self, ev: Machine, obj: Value, cls: Value = NONE) -> Value:
        return self

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        if op in ("==", "!=") and isinstance(other, BoundMethodValue):
            same = other.owner is self.owner and (
                other.function is self.function or ev.equal(other.function, self.function)
            )
            return TRUE if same == (op == "==") else FALSE
        return None

    def key(self, ev: Machine) -> Any:
        return MethodKey(self.function.key(ev), ev.identity_key(self.owner))

    def rebuild(self, rb: Emitter) -> str:
        return f"{rb.inject(types.MethodType, 'method')}({rb.value(self.function)}, {rb.value(self.owner)})"


class BuiltinValue(Value):
    """A callable written in C, or one that the tables know: the real object, held by the entry."""

    __slots__ = ("real", "_handler")

    is_constant = True

    def __init__(self, real: Any, source: Source) -> None:
        self.source = source
        self.real = real
        self._handler: Any = False

    def python_type(self) -> type:
        return type(self.real)

    def as_constant(self) -> Any:
        return self.real

    def key(self, ev: Machine) -> Any:
        return self.real

    def describe(self) -> str:
        module = getattr(self.real, "__module__", None)
        name = getattr(self.real, "__qualname__", None) or getattr(self.real, "__name__", repr(self.real))
        return f"{module}.{name}" if isinstance(module, str) and module != "builtins" else str(name)

    def call(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        handler = self._handler
        if handler is False:
            handler = self._handler = ev.handler(self.real)
        if handler is None:
            raise ev.unknown_callable(self, args, kwargs)
        return handler(ev, args, kwargs)

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name == "__class__":
            return ev.class_value(type(self.real))
        try:
            found = getattr(self.real, name)
        except AttributeError as error:
            raise ev.user_exception(error) from None
        return ev.wrap(found, ev.names.const(found))

    def m___get__(self, ev: Machine, obj: Value, cls: Value = NONE) -> Value:
        name = getattr(self.real, "__name__", "")
        if not isinstance(self.real, types.GetSetDescriptorType) or type_find(obj.python_type(), name) is not self.real:
            raise ev.break_("descriptor", f"__get__ of {self.describe()}", "it is not known what it gives")
        return obj.getattr_(ev, name)

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        if op in ("==", "!=") and isinstance(other, BuiltinValue):
            same = self.real == other.real
            return TRUE if same == (op == "==") else FALSE
        return None

    def repr_(self, ev: Machine) -> Value:
        return ConstantValue(repr(self.real))


class PartialValue(Value):
    """functools.partial."""

    __slots__ = ("function", "args", "keywords", "attrs")

    function: Value
    args: list[Value]
    keywords: dict[str, Value]

    def __init__(
        self, function: Value, args: list[Value], keywords: dict[str, Value], source: Source | None = None
    ) -> None:
        self.source = source
        self.attrs: dict[str, Value] = {}
        if isinstance(function, PartialValue):
            args, keywords = [*function.args, *args], {**function.keywords, **keywords}
            function = function.function
        self.function, self.args, self.keywords = function, args, keywords

    def python_type(self) -> type:
        return functools.partial

    def call(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        return self.function.call(ev, [*self.args, *args], {**self.keywords, **kwargs})

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name == "func":
            return self.function
        if name == "args":
            return TupleValue(self.args)
        if name == "keywords":
            return DictValue(self.keywords.items())
        found = self.attrs.get(name)
        return found if found is not None else super().getattr_(ev, name)

    def setattr_(self, ev: Machine, name: str, value: Value) -> None:
        if self.source is not None:
            super().setattr_(ev, name, value)
        self.attrs[name] = value

    def rebuild(self, rb: Emitter) -> str:
        parts = [rb.value(self.function), *map(rb.value, self.args), *keywords(rb, self.keywords)]
        name = rb.name_value(self, f"{rb.inject(functools.partial, 'partial')}({', '.join(parts)})")
        for attr, value in self.attrs.items():
            rb.emit(assignment(rb, name, attr, rb.value(value)))
        return name
