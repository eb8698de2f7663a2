"""NumPy functions whose results depend on their arguments' values in the numbers only: shape, dtype and layout do not.

What such a function gives is found by calling it on arrays of the same kind that hold harmless numbers. The call itself
goes into the graph as it stands. Functions are listed here by name; a function whose result's shape, dtype or class
depends on the numbers (`np.unique`, `np.roots`, `np.linalg.eig`) must not be.
"""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ....errors import Unsupported
from ....inductor.graph import Input, Number
from ....inductor.lower import is_dense
from . import layout
from .arrays import Array, Masked, any_array, unsupported
from .builder import ArrayBuilder
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
_KNOWN = (
    "hanning hamming blackman bartlett kaiser tril_indices triu_indices diag_indices mask_indices unravel_index "
    "ravel_multi_index roots poly polymul polydiv unique union1d intersect1d setdiff1d flatnonzero nonzero argwhere "
    "fft.fftfreq fft.rfftfreq bincount logspace geomspace linspace diagflat cumsum cumprod"
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
    **_found(" ".join((_ELEMENTWISE, _ORDER, _PARTS, _NUMBERS))),
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


def call_by_example(b: ArrayBuilder, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """`function(*args, **kwargs)` as one node. Raises Unsupported where an argument's size or kind is not known."""
    target = target_of_call(function)
    name = _name(target or "")
    lone_where = function is np.where and len(args) + len(kwargs) != 3
    given = [v for k, v in kwargs.items() if k in ("out", "full", "cov")]
    if (
        target is None
        or lone_where
        or any(v is not None and v is not False for v in given)
        or _named_bins(function, args, kwargs)
    ):
        raise unsupported(f"{name} with these arguments", why="what it gives depends on the data")
    if function in _ONE_ARRAY and any_array([*args[1:], *kwargs.values()]):
        raise unsupported(f"{name} with computed arguments", why="the result's size depends on the data")
    free = function in _ANY_ARRAY or isinstance(function, np.ufunc) or isinstance(_owner(function), np.ufunc)
    arrays: list[Array] = []

    def symbolic(value: Any) -> Any:
        """The argument as the graph holds it."""
        if isinstance(value, Array):
            if value.number is not None:
                raise unsupported("a computed Python number in a NumPy call")
            if not free and not value.ndim and value.kind in "biu":
                raise unsupported(f"{name} with a computed whole number", why="the result's size may depend on it")
            arrays.append(value)
            return (Number if value.scalar else Input)(len(arrays) - 1)
        if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
            return type(value)(map(symbolic, value))
        if value is None or isinstance(value, (bool, int, float, complex, str)):
            return value
        if layout.is_size(value):
            return b.static(value)
        if isinstance(value, slice):
            return slice(*map(symbolic, (value.start, value.stop, value.step)))
        if isinstance(value, (np.generic, np.ndarray)) and value.dtype.kind in "biufc":
            return symbolic(b.lift(value))
        if isinstance(value, (np.dtype, type)):
            return np.dtype(value).name
        raise unsupported(f"a NumPy call with an argument of type {type(value).__name__}")

    template = [symbolic(a) for a in args]
    named = {k: symbolic(v) for k, v in kwargs.items()}
    examples = [_example(b, a) for a in arrays]
    with warnings.catch_warnings(record=True) as said, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        result = function(*_filled(template, examples), **_filled(named, examples))
    if said and function not in _TELLING:  # of kinds or sizes, for the numbers are harmless
        raise unsupported(f"{name} with these arguments", why=f"NumPy warns: {said[0].message}", code="numpy-warning")
    return _emit(b, target, arrays, template, named, result, examples)


def _named_bins(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Bins by a rule ("auto"): how many depends on the data."""
    return function in (np.histogram, np.histogram_bin_edges) and any(
        isinstance(v, str) for v in (*args[1:2], kwargs.get("bins"))
    )


def _filled(value: Any, examples: Sequence[Any]) -> Any:
    if isinstance(value, (Input, Number)):
        return examples[value.index]
    if isinstance(value, dict):
        return {k: _filled(v, examples) for k, v in value.items()}
    if isinstance(value, slice):
        return slice(*(_filled(v, examples) for v in (value.start, value.stop, value.step)))
    return type(value)(_filled(v, examples) for v in value) if isinstance(value, (list, tuple)) else value


def _example(b: ArrayBuilder, a: Array) -> Any:
    """An array of the same shape, dtype and layout, or a scalar: ones, and on the diagonal of a matrix larger numbers."""
    shape = tuple(b.static(s) for s in a.shape)
    strides = tuple(b.static(s) for s in a.strides)
    low = sum((n - 1) * s for n, s in zip(shape, strides) if s < 0)
    high = sum((n - 1) * s for n, s in zip(shape, strides) if s > 0)
    memory = np.zeros(high - low + 1 if 0 not in shape else 1, a.dtype)
    start = -low * a.dtype.itemsize if 0 not in shape else 0
    made = np.ndarray(shape, a.dtype, memory, start, tuple(s * a.dtype.itemsize for s in strides))
    made[...] = 1
    if len(shape) >= 2 and shape[-1] == shape[-2] and a.kind in "fc":
        made[..., range(shape[-1]), range(shape[-1])] = shape[-1] + 1
    return made[()] if a.scalar else made


def _owner_of(value: Any) -> Any:
    """The array whose memory it is: what has no elements shares no address."""
    while (base := getattr(value, "base", None)) is not None:
        value = base
    return value


def _name(target: str) -> str:
    return f"np.{target.partition(':')[2]}"


def _emit(b: ArrayBuilder, target: str, arrays: list[Array], template: list[Any], named: dict[str, Any], result: Any,
          examples: Sequence[Any]) -> Any:  # fmt: skip
    several = isinstance(result, (tuple, list))
    parts = list(result) if several else [result]
    if not parts or not all(isinstance(p, (np.ndarray, np.generic)) and p.dtype.kind in "biufc" for p in parts):
        raise unsupported(f"{_name(target)} with these arguments", why="it gives no arrays of numbers")
    if any(_owner_of(p) is _owner_of(e) or np.may_share_memory(p, e) for p in parts for e in examples):
        raise unsupported(f"{_name(target)} with these arguments", why="its result is a view")
    strides = [tuple(s // p.itemsize for s in p.strides) for p in map(np.asarray, parts)]
    if not all(is_dense(p.shape, stride) for p, stride in zip(parts, strides)):
        raise unsupported(f"{_name(target)} with these arguments", why="its result is a part of a larger array")
    scalars = [isinstance(p, np.generic) for p in parts]
    if not several:
        return b.extern(
            target,
            arrays,
            template,
            parts[0].shape,
            parts[0].dtype,
            strides=strides[0],
            kwargs=named,
            scalar=scalars[0],
        )
    metas = [b.meta(p.shape, p.dtype, stride) for p, stride in zip(parts, strides)]
    made = b.extern_several(target, arrays, template, metas, named)
    for array, scalar in zip(made, scalars):
        array.scalar = scalar
    if hasattr(result, "_fields"):
        return type(result)(*made)
    return type(result)(made)


def or_by_example(b: ArrayBuilder, function: Any, handler: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """By the function's handler; what that refuses, by example where that is possible."""
    if handler is None:
        if target_of_call(function) is None:
            name = getattr(function, "__name__", str(function))
            raise unsupported(f"np.{name} of an array", why="what it gives depends on the array's elements",
                              rewrite="call it outside of the compiled function, or pass its result in")  # fmt: skip
        return call_by_example(b, function, args, kwargs)
    try:
        return handler(b, *args, **kwargs)
    except Unsupported as refusal:
        if refusal.code == "numpy-warning" or _chosen((args, list(kwargs.values()))):
            raise
        try:
            return call_by_example(b, function, args, kwargs)
        except Unsupported:
            raise refusal from None


def _chosen(value: Any) -> bool:
    return any(map(_chosen, value)) if isinstance(value, (list, tuple)) else isinstance(value, Masked)
