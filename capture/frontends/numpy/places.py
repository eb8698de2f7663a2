"""`np.ndindex` and `np.ndenumerate`: iterators over the places of an array, row by row."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from ...values.base import Args, Kwargs, Value
from ...values.constant import ConstantValue
from ...values.iterators import IteratorValue, ZipValue, advanced
from ...values.number import NumberValue
from ...values.sequences import ListValue, TupleValue
from ...values.symint import SymIntValue
from .layout import is_c_contiguous
from .values import NumpyArray, RowIterator

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine


#: sizes of axes, of which so many have no more places than an int says
LARGEST = 1 << 15


class PlaceIterator(IteratorValue):
    """Over the places of a shape. Sizes stay open until the first item is asked for.

    left: the places from then on; taken: how many were taken
    """

    __slots__ = ("shape", "left", "taken")

    cls = np.ndindex

    def __init__(self, shape: list[Value]) -> None:
        super().__init__()
        self.shape = shape
        self.left: itertools.product[tuple[int, ...]] | None = None
        self.taken = 0

    def next_(self, ev: Machine) -> Value | None:
        if self.left is None:
            self.left = itertools.product(*[range(ev.index(size)) for size in self.shape])
        place = next(self.left, None)
        if place is None:
            return None
        self.taken += 1
        return TupleValue([ConstantValue(i) for i in place])

    def rebuild(self, rb: Emitter) -> str:
        text = f"{rb.inject(np.ndindex, 'ndindex')}({', '.join(rb.value(size) for size in self.shape)})"
        return advanced(rb, text, self.taken)


class ElementIterator(IteratorValue):
    """Over places and the elements there, each read when it is asked for."""

    __slots__ = ("array", "places")

    cls = np.ndenumerate

    def __init__(self, array: NumpyArray, places: PlaceIterator) -> None:
        super().__init__()
        self.array = array
        self.places = places

    def next_(self, ev: Machine) -> Value | None:
        place = self.places.next_(ev)
        return None if place is None else TupleValue([place, self.array.getitem(ev, place)])

    def rebuild(self, rb: Emitter) -> str:
        return advanced(rb, f"{rb.inject(np.ndenumerate, 'ndenumerate')}({rb.value(self.array)})", self.places.taken)


def ndindex(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """`np.ndindex(*shape)`, or of one tuple."""
    shape = [ev.payload(a) for a in (args[0].items(ev) if len(args) == 1 and _is_sequence(ev, args[0]) else args)]
    if kwargs or not all(size.python_type() is int for size in shape):
        raise ev.break_("numpy-unsupported", "np.ndindex of these arguments", "its sizes are no plain ints")
    for size in shape:
        if isinstance(size, NumberValue):
            size.check_range(ev, 0, LARGEST)
        elif (
            isinstance(size, SymIntValue)
            and ev.symbols.decide(size.expr < 0)
            or size.is_constant
            and size.as_constant() < 0
        ):
            raise ev.framework_error(ValueError("negative dimensions are not allowed"))
    return PlaceIterator(shape)


def ndenumerate(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """`np.ndenumerate(array)`: what it gives sees what is written meanwhile. An array that lies row by row is one of a single axis."""
    array = args[0] if len(args) == 1 and not kwargs else None
    if not isinstance(array, NumpyArray) or array.scalar:
        raise ev.break_("numpy-unsupported", "np.ndenumerate of this", "it is no array")
    places = PlaceIterator([ev.symbols.value_of(n) for n in array.shape])
    if not is_c_contiguous(array.shape, array.strides):
        return ElementIterator(array, places)
    flat = array.call_method(ev, "reshape", [ConstantValue(-1)], {})
    assert isinstance(flat, NumpyArray)
    return ZipValue([places, RowIterator(flat)], False)


def _is_sequence(ev: Machine, value: Value) -> bool:
    return (
        isinstance(ev.payload(value), (TupleValue, ListValue))
        or type(value) is ConstantValue
        and type(value.value) is tuple
    )
