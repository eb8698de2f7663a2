"""The immutable types whose objects are known by their values."""

from __future__ import annotations

import datetime
import decimal
import fractions
import re
import types
import uuid

#: exact types whose objects are compared by value and written as literals or held by the entry
LITERAL_TYPES: frozenset[type] = frozenset(
    (int, float, complex, str, bytes, bool, type(None), type(Ellipsis), type(NotImplemented))
)
#: further immutable types: an object is held by the entry; operations on it are done at capture
CONSTANT_TYPES: frozenset[type] = LITERAL_TYPES | {
    range, re.Pattern, re.Match, decimal.Decimal, fractions.Fraction, uuid.UUID, datetime.date, datetime.datetime, datetime.timedelta,
    types.CodeType, types.GenericAlias, types.UnionType,
}  # fmt: skip
