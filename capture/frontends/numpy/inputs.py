"""What NumPy calls meet from outside: the memory of arrays, NumPy's scalars, Python numbers that change from call to call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ....inductor.graph import TensorMeta
from ...values.base import Value
from ...values.constant import ConstantValue
from ...values.number import INT64, NumberValue
from ...values.tensor import InputStorage
from . import layout
from .arrays import Array, Memory

if TYPE_CHECKING:
    from ...guards.sources import Source
    from ...values.base import Machine


def number_array(ev: Machine, number: NumberValue) -> Array:
    """A Python number that changes from call to call as an input without axes, whose type gives way to an array's."""
    numbers: dict[Source, Array] = ev.states["numpy"].numbers
    found = numbers.get(number.place)
    if found is None:
        kind = type(number.hint)
        if kind is int:
            number.check_range(ev, *INT64)
        dtype = np.dtype(np.int64 if kind is int else np.float64)
        found = numbers[number.place] = _input_scalar(ev, np.asarray(number.hint, dtype), number.place)
        found.number, found.changing = kind, number
    return found


def scalar_input(ev: Machine, obj: np.generic, source: Source) -> Value:
    """A NumPy number from outside: an input without axes, so that another number needs no new capture."""
    if layout.graph_dtype(obj.dtype) is None or type(obj) is not obj.dtype.type:  # or a class of the program's own
        ev.guards.equals(source, obj)
        return ConstantValue(obj)
    ev.guards.type_is(source, type(obj))
    made = _input_scalar(ev, np.asarray(obj), source)
    made.source = source
    return made


def _input_scalar(ev: Machine, array: np.ndarray, source: Source) -> Array:
    place = source.step(f"{ev.names.inject(np.asarray, 'asarray')}(", ")", "")
    dtype = layout.graph_dtype(array.dtype)
    assert dtype is not None
    meta = TensorMeta((), (), dtype)
    storage = InputStorage(meta, place, array, Memory(array))
    ev.states["numpy"].inputs.append(storage)
    return ev.states["numpy"].builder.array_class(storage, meta, scalar=True)


def guard_power(ev: Machine, exponent: NumberValue) -> None:
    """NumPy computes some powers in other ways than the rest: of those the exponent must be none."""
    special = (-1, 0, 0.5, 1, 2)
    if exponent.hint in special:
        exponent.as_constant()
    ev.guards.relation(f"{{p0}} not in {special}", (exponent.place,), f"{{p0}} was none of {special}")
