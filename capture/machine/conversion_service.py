"""Real objects to Values, and back. A part of the Evaluator."""

from __future__ import annotations

import decimal
import typing
from collections.abc import Callable, Iterator
from typing import Any

from ..breaks import Break, NotConstant, UserRaise
from ..values.base import Machine, Value
from ..values.constant import ConstantValue
from ..values.mappings import DictValue
from ..values.number import NumberValue
from ..values.objects import ObjectValue
from ..values.sequences import ListValue, SliceValue, TupleValue
from ..values.sets import DictViewValue, SetValue
from ..values.symint import SymIntValue
from . import operators, wrapping

#: what rounds decimals
_ROUNDING = {*operators.BINARY.values(), *operators.UNARY.values(), abs, round, divmod, pow, format}


class ConversionService:
    """See the module's text. Its `self` is the whole machine."""

    def constant(self: Machine, obj: Any) -> Value:
        """A Value for an immutable object known now; other objects are held by the entry."""
        if type(obj) in wrapping.CONSTANT_TYPES:
            return ConstantValue(obj)
        return self.wrap(obj, self.names.const(obj))

    def from_python(self: Machine, obj: Any) -> Value:
        """A Value for a real object that capture just made: nobody else has it, so containers become new ones."""
        cls = type(obj)
        if cls in wrapping.CONSTANT_TYPES:
            return ConstantValue(obj)
        if cls is tuple:
            return TupleValue([self.from_python(o) for o in obj])
        if cls is list:
            return ListValue([self.from_python(o) for o in obj])
        if cls is dict:
            new = DictValue()
            for k, v in obj.items():
                new.put(self, self.from_python(k), self.from_python(v))
            return new
        if cls in (set, frozenset):
            items = [self.from_python(o) for o in obj]
            made = SetValue.of(self, items, cls)
            made.arrange(item.key(self) for item in items)
            return made
        if isinstance(obj, Value):
            return obj
        if isinstance(obj, Iterator):  # used up by who iterates: the entry could give it out only once
            return self.iterator_of([self.from_python(o) for o in obj])
        return self.wrap(obj, self.names.const(obj))

    def to_python(self: Machine, value: Value, symbols: bool = False) -> Any:
        """The real object of a constant Value, or a new container of such. Raises NotConstant.

        A symbolic int becomes a constant, guarded; with `symbols` it is given as its expression.
        """
        if value.is_constant:
            return value.as_constant()
        if isinstance(value, TupleValue):
            return tuple(self.to_python(v, symbols) for v in value.items(self))
        if isinstance(value, ListValue):
            return [self.to_python(v, symbols) for v in value.elements(self)]
        if isinstance(value, SymIntValue):
            return value.expr if symbols else self.symbols.specialize(value)
        if symbols and isinstance(value, NumberValue) and hasattr(value, "expr"):
            return value.expr
        if isinstance(value, SliceValue):
            return slice(*(self.to_python(v, symbols) for v in (value.start, value.stop, value.step)))
        if isinstance(value, DictValue):
            return value.cls((self.to_python(k, symbols), self.to_python(v, symbols)) for k, v in value.pairs(self))
        if isinstance(value, DictViewValue):
            return [self.to_python(v, symbols) for v in value.items(self)]
        if isinstance(value, SetValue):
            return value.cls(self.to_python(v, symbols) for v in value.items(self))
        if (
            isinstance(value, ObjectValue)
            and isinstance(value.real, typing.TypeVar)
            and value.source is not None
            and value.source.is_const
        ):
            return value.real  # an annotation's
        if isinstance(value, ObjectValue) and type(value.payload) is ConstantValue:
            return value.real if value.real is not None else value.payload.value
        return value.as_constant()

    def as_python(self: Machine, value: Value) -> Any:
        """Lists, tuples, dicts and constants as Python objects, symbolic sizes as expressions; a Break for anything else."""
        return _or_break(self, value, True)

    def known(self: Machine, value: Value) -> Any:
        """As `as_python`, with symbolic sizes made constants."""
        return _or_break(self, value, False)

    def fold(self: Machine, function: Callable[..., Any], *args: Any) -> Value:
        """A Value for what a pure function gives; its exceptions become the program's."""
        return self.from_python(self.fold_raw(function, *args))

    def fold_raw(self: Machine, function: Callable[..., Any], *args: Any) -> Any:
        """Call a pure function during capture; its exceptions become the program's."""
        if decimal.Decimal in map(type, args) and function in _ROUNDING:
            raise self.decimal_break(f"{function.__name__} of decimals")
        try:
            for frontend in self.frontends:
                compute = getattr(frontend, "compute_at_once", None)
                if compute is not None and any(frontend.owns_type(type(a)) for a in args):
                    return compute(self, function, args)
            return function(*args)
        except (Break, UserRaise, NotConstant):
            raise
        except Exception as error:
            raise self.user_exception(error) from None


def _or_break(ev: Machine, value: Value, symbols: bool) -> Any:
    try:
        return ev.to_python(value, symbols)
    except NotConstant:
        raise ev.break_(
            "not-constant", f"{value.describe()} is needed as a constant", "its value is not known during capture"
        ) from None
