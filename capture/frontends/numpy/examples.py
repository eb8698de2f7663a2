"""NumPy functions whose results depend on their arrays' numbers in the numbers only: shape, dtype and layout do not.

What such a function gives is found by calling it (see `by_example`). Functions are listed here by name; a function whose
result's shape, dtype or class depends on the numbers (`np.unique`, `np.roots`, `np.linalg.eig`) must not be.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ....errors import Unsupported
from .arrays import Masked, any_array, unsupported
from .builder import ArrayBuilder
from .by_example import call_by_example, name_of
from .ufuncs import target_of

#: the class of np.r_ and np.c_
_CONCATENATOR = type(np.r_).__mro__[1]

_ELEMENTWISE = "angle iscomplex isreal isposinf isneginf i0 choose where clip round around nan_to_num"
_ORDER = "sort argsort partition argpartition lexsort searchsorted digitize nanargmax nanargmin median"
_PARTS = "insert delete resize diff ediff1d gradient packbits unpackbits block take select diagflat"
_NUMBERS = (
    "polyfit polyval polyadd polysub polyder polyint interp histogram histogram2d histogram_bin_edges linspace logspace "
    "geomspace convolve correlate var std average einsum"
)
_LINALG = (
    "cond matrix_rank multi_dot tensorinv tensorsolve norm matrix_norm vector_norm inv det slogdet solve pinv svd eigh "
    "eigvalsh cholesky qr trace outer cross matmul tensordot vecdot matrix_power"
)
_FFT = "fft ifft rfft irfft fft2 ifft2 fftn ifftn rfft2 irfft2 rfftn irfftn hfft ihfft fftshift ifftshift"
#: makers of arrays of a size
_MAKERS = "hanning hamming blackman bartlett kaiser tril_indices triu_indices diag_indices fft.fftfreq fft.rfftfreq"
_KNOWN = (
    "mask_indices unravel_index ravel_multi_index roots poly polymul polydiv unique union1d intersect1d setdiff1d flatnonzero "
    "nonzero argwhere bincount diagflat cumsum cumprod"
)


def _found(names: str, prefix: str = "") -> dict[Callable[..., Any], str]:
    table = {}
    for name in names.split():
        function: Any = np
        for part in f"{prefix}{name}".split("."):
            function = getattr(function, part, None)
        if function is not None:
            table[function] = f"numpy:{prefix}{name}"
    return table


#: function -> where a graph finds it
BY_EXAMPLE: dict[Callable[..., Any], str] = {
    **_found(" ".join((_ELEMENTWISE, _ORDER, _PARTS, _NUMBERS, _MAKERS))),
    **_found(_LINALG, "linalg."),
    **_found(_FFT, "fft."),
}
#: they warn in Python code, which would name our line: what runs tells of it instead
_TELLING = {np.polyfit: "quern.capture.frontends.numpy.checks:polyfit"}
BY_EXAMPLE.update(_TELLING)
#: functions that are called during capture when all that they are given is known
FOLDED = {**BY_EXAMPLE, **_found(_KNOWN)}
#: `np.polynomial` is loaded by its first use, which is the program's to make
_POLYNOMIALS = {
    ("numpy.polynomial.polynomial", name): f"numpy:polynomial.polynomial.{name}"
    for name in "polyval polyder polyint".split()
}


def target_by_example(function: Any) -> str | None:
    """Where a graph finds a function listed here; None for another."""
    found = BY_EXAMPLE.get(function)
    if found is None and isinstance(function, types.FunctionType):
        place = (function.__module__, function.__name__)
        if place in _POLYNOMIALS and getattr(sys.modules.get(place[0]), place[1], None) is function:
            return _POLYNOMIALS[place]
    return found


def is_folded(function: Any) -> bool:
    """Whether calls of a function are made during capture when all that it is given is known."""
    return function in FOLDED or target_by_example(function) is not None


_ANY_ARRAY = frozenset(_found(_ELEMENTWISE))
#: functions of which only the first argument may be computed: the others say how large the result is
_ONE_ARRAY = frozenset((np.delete, np.resize))


def _owner(function: Any) -> Any:
    return function.__self__ if isinstance(function, (types.BuiltinFunctionType, types.MethodType)) else None


def target_of_call(function: Any) -> str | None:
    """Where a graph finds a function whose result is known by example; None for another function."""
    owner = _owner(function)
    if isinstance(owner, np.ufunc) and function.__name__ in ("reduce", "accumulate", "reduceat", "outer"):
        return f"{target_of(owner)}.{function.__name__}"
    if isinstance(owner, _CONCATENATOR) and function.__name__ == "__getitem__":
        return f"numpy:{'r_' if owner is np.r_ else 'c_'}.__getitem__"
    if isinstance(function, np.ufunc):
        return target_of(function)
    return target_by_example(function)


def by_example(b: ArrayBuilder, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """`function(*args, **kwargs)` as one node. Raises Unsupported where what it gives depends on the data."""
    target = target_of_call(function)
    lone_where = function is np.where and len(args) + len(kwargs) != 3
    given = [v for k, v in kwargs.items() if k in ("out", "full", "cov")]
    if (
        target is None
        or lone_where
        or any(v is not None and v is not False for v in given)
        or _named_bins(function, args, kwargs)
    ):
        raise unsupported(f"{name_of(target or '')} with these arguments", why="what it gives depends on the data")
    if function in _ONE_ARRAY and any_array([*args[1:], *kwargs.values()]):
        raise unsupported(f"{name_of(target)} with computed arguments", why="the result's size depends on the data")
    free = function in _ANY_ARRAY or isinstance(function, np.ufunc) or isinstance(_owner(function), np.ufunc)
    return call_by_example(b, function, target, args, kwargs, free=free, quiet=function in _TELLING)


def _named_bins(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Bins by a rule ("auto"): how many depends on the data."""
    return function in (np.histogram, np.histogram_bin_edges) and any(
        isinstance(v, str) for v in (*args[1:2], kwargs.get("bins"))
    )


def or_by_example(b: ArrayBuilder, function: Any, handler: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """By the function's handler; what that refuses, by example where that is possible."""
    if handler is None:
        if target_of_call(function) is None:
            name = getattr(function, "__name__", str(function))
            raise unsupported(f"np.{name} of an array", why="what it gives depends on the array's elements",
                              rewrite="call it outside of the compiled function, or pass its result in")  # fmt: skip
        return by_example(b, function, args, kwargs)
    try:
        return handler(b, *args, **kwargs)
    except Unsupported as refusal:
        if refusal.code == "numpy-warning" or _chosen((args, list(kwargs.values()))):
            raise
        try:
            return by_example(b, function, args, kwargs)
        except Unsupported:
            raise refusal from None


def _chosen(value: Any) -> bool:
    return any(map(_chosen, value)) if isinstance(value, (list, tuple)) else isinstance(value, Masked)
