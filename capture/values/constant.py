"""Values that are fully known: immutable builtins and other immutable objects of the standard library."""

from __future__ import annotations

import decimal
import numbers
import re
import types
from typing import TYPE_CHECKING, Any

from ..breaks import NotConstant
from ..machine.type_lookup import message_name, type_lookup
from .base import Args, Kwargs, Value
from .literals import CONSTANT_TYPES

if TYPE_CHECKING:
    from ..guards.sources import Source
    from .base import Emitter, Machine

#: what methods of constants make that has a state of its own: two calls of the compiled function may not share it
_STATEFUL = (type(re.compile("").scanner("")),)  # type: ignore[attr-defined]


#: methods of decimals that heed no context
_EXACT_METHODS = frozenset(
    """as_tuple as_integer_ratio adjusted conjugate copy_abs copy_negate copy_sign is_canonical is_finite is_infinite is_nan is_qnan
    is_signed is_snan is_zero radix __bool__ __hash__ __int__ __float__ __trunc__ __copy__ __deepcopy__""".split()
)


def is_nan(value: Any) -> bool:
    """Whether a number, Python's or NumPy's, differs from itself."""
    known = type(value) in CONSTANT_TYPES or type(value).__module__ == "numpy"
    return known and isinstance(value, numbers.Complex) and bool(value != value)


#: numbers of a range that are taken one by one
MOST_NUMBERS = 20_000


class ConstantValue(Value):
    """An immutable object, known now. Only a NaN has a source: generated code writes the others down again."""

    __slots__ = ("value",)

    is_constant = True

    def __init__(self, value: Any) -> None:
        self.source = None
        self.value = value

    def python_type(self) -> type:
        return type(self.value)

    def as_constant(self) -> Any:
        return self.value

    def describe(self) -> str:
        return repr(self.value)

    def rebuild(self, rb: Emitter) -> str:
        return rb.constant(self.value)

    def getattr_(self, ev: Machine, name: str) -> Value:
        cls = type(self.value)
        attr = type_lookup(cls, name)
        if attr is None:
            raise ev.attribute_error(self, name)
        if name != "__class__" and isinstance(attr, (types.GetSetDescriptorType, types.MemberDescriptorType, property)):
            return ev.fold(getattr, self.value, name)
        return super().getattr_(ev, name)

    def call(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        if isinstance(self.value, types.GenericAlias):
            return ev.call(ev.constant(self.value.__origin__), args, kwargs)
        raise ev.type_error(f"'{message_name(type(self.value))}' object is not callable")

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        special = getattr(self, "m_" + name, None)
        if special is not None:
            found = special(ev, args, kwargs)
            if found is not None:
                return found
        if name in ("__enter__", "__exit__"):  # what it changes is not in the constant
            return ev.call(ev.constant(getattr(type(self.value), name)), [self, *args], kwargs)
        try:
            plain = [ev.to_python(a) for a in args]
            named = {k: ev.to_python(v) for k, v in kwargs.items()}
        except NotConstant:
            if name.startswith("__"):
                return ev.objects.call_method_default(ev, self, name, args, kwargs)
            raise ev.break_(
                "constant-method",
                f"calling {type(self.value).__name__}.{name} with arguments that are not known during capture",
            ) from None
        if type(self.value) is decimal.Decimal and name not in _EXACT_METHODS:
            raise ev.decimal_break(f"the method {name!r} of a decimal")
        found = ev.fold_raw(lambda: getattr(self.value, name)(*plain, **named))
        if isinstance(found, _STATEFUL):
            raise ev.break_(
                "constant-method", f"calling {type(self.value).__name__}.{name}",
                f"it makes a {type(found).__name__}, which the compiled function would keep from call to call",
                "call it outside of the compiled function",
            )  # fmt: skip
        return ev.from_python(found)

    # str methods that take other than constants

    def m_join(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value | None:
        if not isinstance(self.value, (str, bytes)) or len(args) != 1:
            return None
        return ev.fold(self.value.join, [ev.known(ev.payload(item)) for item in args[0].items(ev)])

    def m_format(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value | None:
        if not isinstance(self.value, str):
            return None
        plain = [_Formatted(ev, a) for a in args]
        named = {k: _Formatted(ev, v) for k, v in kwargs.items()}
        return ev.fold(lambda: self.value.format(*plain, **named))

    def m___mod__(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value | None:
        return self.binary(ev, "%", args[0], False)

    def m_sub(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value | None:
        """`pattern.sub(function, text)`: the function is the program's."""
        if (
            not isinstance(self.value, re.Pattern)
            or not args
            or args[0].is_constant
            and not callable(args[0].as_constant())
        ):
            return None
        named = dict(zip(("repl", "string", "count"), args)) | dict(kwargs)
        text, limit = ev.known(named["string"]), ev.known(named["count"]) if "count" in named else 0
        parts, end = [], 0
        for number, found in enumerate(self.value.finditer(text)):
            if limit and number >= limit:
                break
            parts += [text[end : found.start()], ev.known(ev.call(named["repl"], [ConstantValue(found)]))]
            end = found.end()
        return ConstantValue("".join([*parts, text[end:]]))

    # ------------------------------------------------------------ protocols

    def truth(self, ev: Machine) -> bool:
        return bool(self.value)

    def len_(self, ev: Machine) -> Value:
        return ev.fold(len, self.value)

    def iter_(self, ev: Machine) -> Value:
        if type(self.value) is range:
            return ev.range_iterator(self.value)
        try:
            return ev.iterator_of([ConstantValue(v) for v in self.value])
        except TypeError as error:
            raise ev.user_exception(error) from None

    def items(self, ev: Machine) -> list[Value]:
        if type(self.value) is range and self.value[MOST_NUMBERS:]:
            raise ev.break_("long-loop", f"the numbers of {self.value!r}, one by one", "capture makes a value of each",
                            "use np.arange or torch.arange")  # fmt: skip
        try:
            return [ConstantValue(v) for v in self.value]
        except TypeError as error:
            raise ev.user_exception(error) from None

    def getitem(self, ev: Machine, key: Value) -> Value:
        return ev.fold(lambda: self.value[ev.known(key)])

    def contains(self, ev: Machine, item: Value) -> bool:
        return ev.fold(lambda: ev.known(item) in self.value).as_constant()

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        given, other = other, ev.payload(other)
        if op == "%" and not reflected and isinstance(self.value, str) and given is not other:
            if not issubclass(given.python_type(), (tuple, dict)):
                return ev.fold(lambda: self.value % _Formatted(ev, given))  # its class may have a text of its own
        if type(other) is ConstantValue:
            return ev.fold(
                ev.operators.BINARY[op], *((other.value, self.value) if reflected else (self.value, other.value))
            )
        if op == "%" and not reflected and isinstance(self.value, str):
            return self._percent(ev, other)
        self._ask_for_foreign(ev, op, other)
        return None

    def _ask_for_foreign(self, ev: Machine, op: str, other: Value) -> None:
        """Break where the constant is a scalar of an array library (known by `__array_priority__`): its operators make an array of
        an object that they do not know, or ask its class in ways of their own.
        """
        if not hasattr(type(self.value), "__array_priority__"):
            return
        cls = other.python_type()
        if cls not in (bool, int, float, complex) and not any(f.owns_type(cls) for f in ev.frontends):
            raise ev.break_("numpy-operand", f"`{op}` between {self.describe()} and {other.describe()}",
                            f"NumPy makes an array of the {cls.__name__} object, or asks its class what to do",
                            "convert it before")  # fmt: skip

    def _percent(self, ev: Machine, other: Value) -> Value:
        """`"..." % other`: what is not constant is formatted by its own str and repr."""
        try:
            plain = ev.to_python(other)
        except NotConstant:
            if issubclass(other.python_type(), tuple):
                plain = tuple(v.as_constant() if v.is_constant else _Formatted(ev, v) for v in other.items(ev))
            else:
                plain = _Formatted(ev, other)
        return ev.fold(lambda: self.value % plain)

    def unary(self, ev: Machine, op: str) -> Value:
        return ev.fold(ev.operators.UNARY[op], self.value)

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        other = ev.payload(other)
        if type(other) is ConstantValue:
            return ev.fold(ev.operators.COMPARE[op], self.value, other.value)
        self._ask_for_foreign(ev, op, other)
        return None

    def key(self, ev: Machine) -> Any:
        if self.source is not None:  # a NaN from outside; one that capture made is the object that it is
            raise ev.break_("nan-key", f"{self.value!r} as a key of a dict or set", "a NaN equals itself alone, and which one a call brings is not guarded",
                            "use another key")  # fmt: skip
        if type(self.value) not in CONSTANT_TYPES:
            return ev.constant_key(self.value)
        try:
            hash(self.value)
        except TypeError as error:
            raise ev.user_exception(error) from None
        return self.value

    def str_(self, ev: Machine) -> Value:
        return ConstantValue(str(self.value))

    def repr_(self, ev: Machine) -> Value:
        return ConstantValue(repr(self.value))

    def format_(self, ev: Machine, spec: str) -> Value:
        return ev.fold(format, self.value, spec)

    def __repr__(self) -> str:
        return f"<constant {self.value!r}>"


class _Formatted:
    """Lets `str.format` and `%` call back for a Value's own text. All its attributes are the Value's, `__class__` too."""

    def __init__(self, ev: Machine, value: Value) -> None:
        object.__setattr__(self, "_stands_for", (ev, value))

    def __format__(self, spec: str) -> str:
        ev, value = _stood_for(self)
        return value.format_(ev, spec).as_constant()

    def __str__(self) -> str:
        ev, value = _stood_for(self)
        return value.str_(ev).as_constant()

    def __repr__(self) -> str:
        ev, value = _stood_for(self)
        return value.repr_(ev).as_constant()

    def __getattribute__(self, name: str) -> Any:
        ev, value = _stood_for(self)
        return _Formatted(ev, value.getattr_(ev, name))

    def __getitem__(self, key: Any) -> Any:
        ev, value = _stood_for(self)
        return _Formatted(ev, value.getitem(ev, ConstantValue(key)))

    def __int__(self) -> int:
        ev, value = _stood_for(self)
        return int(ev.known(value))

    def __index__(self) -> int:
        ev, value = _stood_for(self)
        return ev.known(value).__index__()

    def __float__(self) -> float:
        ev, value = _stood_for(self)
        return float(ev.known(value))


def _stood_for(formatted: _Formatted) -> tuple[Machine, Value]:
    return object.__getattribute__(formatted, "_stands_for")


def constant_of(obj: Any, source: Source) -> ConstantValue:
    """The constant found at `source`. A NaN is told from others by identity, so it is fetched from there again."""
    made = ConstantValue(obj)
    if not source.is_const and is_nan(obj):
        made.source = source
    return made


NONE = ConstantValue(None)
TRUE = ConstantValue(True)
FALSE = ConstantValue(False)
