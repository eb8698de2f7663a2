"""Immutable objects that `==` takes for equal and a program can tell apart.

1 == True, 0.0 == -0.0, Decimal("1.0") == Decimal("1.00"), range(0, 3, 2) == range(0, 4, 2), and one instant in two time zones. What
tells such objects apart is their form: two objects of a type are the same where their forms are equal. A NaN differs from
itself, and its form does not.
"""

from __future__ import annotations

import datetime
import decimal
import math
import types
import uuid
from collections.abc import Callable
from typing import Any

#: a type -> the form of its objects; for the classes of other types too (see `form_of`)
_FORMS: dict[type, Callable[[Any], Any]] = {
    decimal.Decimal: decimal.Decimal.as_tuple,
    range: lambda r: (r.start, r.stop, r.step),
    datetime.datetime: lambda d: (d.replace(tzinfo=None, fold=0), d.fold, d.tzinfo, repr(d.tzinfo)),
    types.CodeType: lambda code: (code, code.co_filename),
    types.UnionType: lambda union: union.__args__,
    uuid.UUID: lambda u: (u.int, u.is_safe),
}


def register_form(cls: type, form: Callable[[Any], Any]) -> None:
    """What tells objects of a class and of its subclasses apart, where `==` does not."""
    _FORMS[cls] = form


def form_of(cls: type) -> Callable[[Any], Any] | None:
    """The form of a class's objects; None where `==` tells them apart."""
    return next((_FORMS[base] for base in cls.__mro__ if base in _FORMS), None)


def same(one: Any, other: Any) -> bool:
    """Whether two immutable objects are of one type and cannot be told apart by their values, also inside tuples."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(other, float):
        return _same_float(one, other)
    if isinstance(other, complex):
        return _same_float(one.real, other.real) and _same_float(one.imag, other.imag)
    if isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(other, frozenset):
        return same_items(one, other) and bool(one == other)
    form = form_of(type(other))
    return bool(one == other) if form is None else bool(form(one) == form(other))


def same_items(found: Any, wanted: Any) -> bool:
    """Whether objects that are equal pairwise are the same where their types have such differences."""
    return all(
        one is other or not (isinstance(other, _TOLD) or form_of(type(other)) is not None) or same(one, other)
        for one, other in zip(found, wanted)
    )


#: types of which objects of another type are equal, and what may hold such
_TOLD = (bool, int, float, complex, tuple, frozenset)


def _same_float(one: Any, other: Any) -> bool:
    """Whether floats have the same value and sign; NaN is NaN."""
    one, other = float.__float__(one), float.__float__(other)
    return one == other and math.copysign(1.0, one) == math.copysign(1.0, other) or one != one and other != other
