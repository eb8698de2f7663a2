"""Calls that a graph makes at run time: what must be looked at when the numbers are known.

Each is named as the target of an extern node, so each is a plain function of arrays that returns fresh arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np


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


contiguous_median, contiguous_nanmedian = fresh(np.median), fresh(np.nanmedian)
contiguous_percentile, contiguous_nanpercentile = fresh(np.percentile), fresh(np.nanpercentile)
contiguous_quantile, contiguous_nanquantile = fresh(np.quantile), fresh(np.nanquantile)


def real(array: Any) -> np.ndarray:
    """The real part, as a copy."""
    return np.array(np.real(array))


def imag(array: Any) -> np.ndarray:
    """The imaginary part, as a copy."""
    return np.array(np.imag(array))


def histogram_counts(array: Any, edges: Any, density: bool) -> np.ndarray:
    """How many elements lie between the edges. The edges themselves come back as they were given."""
    return np.histogram(array, edges, density=density)[0]
