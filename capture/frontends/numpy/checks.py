"""Calls that a graph makes at run time: what must be looked at when the numbers are known.

Each is named as the target of an extern node, so each is a plain function of arrays that returns fresh arrays.
"""

from __future__ import annotations

import math
import operator
import warnings
from typing import Any

import numpy as np

from ....inductor.float_errors import FloatErrors


def indices(index: Any, size: int, axis: int) -> np.ndarray:
    """An integer index made non-negative. Raises IndexError, in NumPy's words, for one that is out of bounds."""
    index = np.asarray(index)
    if index.size:
        low, high = int(index.min()), int(index.max())
        if low < -size or high >= size:
            bad = high if high >= size else low
            raise IndexError(f"index {bad} is out of bounds for axis {axis} with size {size}")
        if low < 0:
            return np.where(index < 0, index + size, index).astype(np.int64)
    return index.astype(np.int64)


def weights(scale: Any) -> np.ndarray:
    """A copy of the sums of weights. Raises ZeroDivisionError when one is zero."""
    if np.any(scale == 0.0):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    return np.array(scale)


def divisors(y: Any, x: Any) -> np.ndarray:
    """A copy of an integer divisor. Raises FloatErrors for a zero, and for a quotient that does not fit its type."""
    if np.any(y == 0):
        raise FloatErrors("division by zero")
    if y.dtype.kind == "i" and np.any((y == -1) & (x == np.iinfo(x.dtype).min)):
        raise FloatErrors("overflow")
    return np.array(y)


def whole(number: Any, dtype: str) -> np.ndarray:
    """A float as an integer of a signed type. Raises FloatErrors for one that NumPy refuses to store as such: not a number, or outside."""
    value, limits = number.item(), np.iinfo(dtype)
    if not (math.isfinite(value) and limits.min <= int(value) <= limits.max):
        raise FloatErrors("a float that is no such integer")
    return np.array(int(value), dtype)


def _scalar(function: Any) -> Any:
    """An operator of integer scalars. Raises FloatErrors where it overflows: arrays do so without a word."""

    def call(*scalars: Any) -> np.ndarray:
        try:
            with np.errstate(over="raise"):
                return np.array(function(*(x[()] for x in scalars)))
        except FloatingPointError as error:
            raise FloatErrors(str(error)) from None

    return call


scalar_add, scalar_subtract, scalar_multiply = _scalar(operator.add), _scalar(operator.sub), _scalar(operator.mul)
scalar_negative, scalar_absolute = _scalar(operator.neg), _scalar(operator.abs)


def counts(count: Any, least: Any) -> np.ndarray:
    """A copy of the numbers of elements in each slice. Raises FloatErrors where NumPy warns that one has too few."""
    if np.any(count <= least):
        raise FloatErrors("too few elements in a slice")
    return np.array(count)


def nowhere(nothing: Any) -> np.ndarray:
    """A copy of an array of truths. Raises FloatErrors where a slice holds nothing but NaN: NumPy warns of it."""
    if np.any(nothing):
        raise FloatErrors("a slice of nothing but NaN")
    return np.array(nothing)


def some(result: Any, count: Any, name: str) -> np.ndarray:
    """A copy of an extremum. Raises ValueError when it was taken over no element."""
    if not count:
        raise ValueError(f"zero-size array to reduction operation {name} which has no identity")
    return np.array(result)


def fresh(function: Any) -> Any:
    """`function` with its result in row-major memory of its own."""

    def call(*args: Any, **kwargs: Any) -> np.ndarray:
        return np.array(function(*args, **kwargs), order="C")

    call.__name__ = f"contiguous_{function.__name__}"
    return call


def fresh_without_nan(function: Any) -> Any:
    """The same for a function that leaves NaN out, and warns where nothing is left."""
    made = fresh(function)

    def call(array: Any, *args: Any, axis: Any, **kwargs: Any) -> np.ndarray:
        nowhere(np.isnan(array).all(axis))
        return made(array, *args, axis=axis, **kwargs)

    return call


def polyfit(*args: Any, **kwargs: Any) -> Any:
    """np.polyfit. Raises FloatErrors where it warns of its matrix."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = np.polyfit(*args, **kwargs)
    if said:
        raise FloatErrors(str(said[0].message))
    return made


contiguous_median, contiguous_nanmedian = fresh(np.median), fresh_without_nan(np.nanmedian)
contiguous_percentile, contiguous_nanpercentile = fresh(np.percentile), fresh_without_nan(np.nanpercentile)
contiguous_quantile, contiguous_nanquantile = fresh(np.quantile), fresh_without_nan(np.nanquantile)


def real(array: Any) -> np.ndarray:
    """The real part, as a copy."""
    return np.array(np.real(array))


def imag(array: Any) -> np.ndarray:
    """The imaginary part, as a copy."""
    return np.array(np.imag(array))


def histogram_counts(array: Any, edges: Any, density: bool) -> np.ndarray:
    """How many elements lie between the edges. The edges themselves come back as they were given."""
    return np.histogram(array, edges, density=density)[0]
