"""The reductions that loop expressions may hold (`reduce`, `scan`): one row each, which the interpreter and both code generators read.

A reduction joins the elements of a row two by two. Its running state is one value, or for positions a value and where it
stood. Truth values are joined by a row of their own: the largest of them is "any".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..dtypes import DType


@dataclass(frozen=True)
class Reducer:
    """One row.

    combine: the scalar op (`ops.scalar`) that joins two values; a position goes with the value that it keeps
    neutral: what changes nothing: "zero", "one", "lowest", "highest" of the type, or "ones", all bits set
    truths:  the row that does the same to truth values
    finish:  what is left at the end: the "value", its "truth", or its "position" in the row, the first of equals
    partial: the reductions of a part of a row that the whole can be made of
    exact:   whether joining floats loses no digits; where it does, long rows are joined in runs of bounded length
    bound:   how far an integer result can lie from the elements: "element" (it is one), "count" (at most as many times as
             far from 0 as there are elements), "open"
    """

    name: str
    combine: str
    neutral: str
    truths: str
    finish: str = "value"
    partial: tuple[str, ...] = ()
    exact: bool = True
    bound: str = "open"

    @property
    def is_position(self) -> bool:
        """Whether the order of the row shows in the result."""
        return self.finish == "position"


def _table(*rows: Reducer) -> Mapping[str, Reducer]:
    return MappingProxyType({r.name: r for r in rows})


REDUCERS = _table(
    Reducer("sum", "add", "zero", truths="any", exact=False, bound="count"),
    Reducer("prod", "mul", "one", truths="all", exact=False),
    Reducer("max", "max", "lowest", truths="any", bound="element"),
    Reducer("min", "min", "highest", truths="all", bound="element"),
    Reducer("any", "or", "zero", truths="any", finish="truth"),
    Reducer("all", "and", "ones", truths="all", finish="truth"),
    Reducer("argmax", "max", "lowest", truths="argmax", finish="position", partial=("max", "argmax")),
    Reducer("argmin", "min", "highest", truths="argmin", finish="position", partial=("min", "argmin")),
)


def reducer(kind: str, dtype: DType) -> Reducer:
    """The row of a reduction over elements of `dtype`."""
    row = REDUCERS[kind]
    return REDUCERS[row.truths] if dtype.kind == "bool" else row


def neutral_element(row: Reducer, dtype: DType) -> bool | int | float:
    """The number that changes nothing."""
    number = _NUMBERS[row.neutral](dtype)
    return bool(number) if dtype.kind == "bool" else float(number) if dtype.is_float else number


def _limit(dtype: DType, largest: bool) -> int | float:
    if dtype.is_float:
        return math.inf if largest else -math.inf
    if dtype.kind == "bool":
        return int(largest)
    bits = 8 * dtype.size
    if dtype.kind == "uint":
        return (1 << bits) - 1 if largest else 0
    return (1 << (bits - 1)) - 1 if largest else -(1 << (bits - 1))


_NUMBERS = MappingProxyType(
    {
        "zero": lambda dtype: 0,
        "one": lambda dtype: 1,
        "lowest": lambda dtype: _limit(dtype, False),
        "highest": lambda dtype: _limit(dtype, True),
        "ones": lambda dtype: _limit(dtype, True) if dtype.kind in ("uint", "bool") else -1,
    }
)
