"""Calls of NumPy functions as one node, whose results are known from calls on arrays of the same kind that hold harmless numbers.

Where sizes or Python's numbers change from call to call, the function is asked at several of them, and formulas are found that
give all its answers (see `size_formulas`); the running graph checks. Where there are none, they are constants.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ....clock import thread_time
from ....inductor.graph import Dim, Input, Number, Scalar
from ....inductor.lower import is_dense
from ..size_formulas import Point, another, asked_of_call, changes_of, layouts, symbols_in, valued
from . import layout
from .arrays import Array, unsupported
from .builder import ArrayBuilder

#: the most elements of arrays on which a function is asked what it gives at other sizes
_MOST_ELEMENTS = 1 << 18
#: seconds of processor time for those questions, and for one call that may be asked at larger sizes too
_PATIENCE, _QUICK = 0.5, 0.01


class NotByExample(Exception):
    """A call on examples gives what no graph holds. `args[0]` says why."""


class WarnedOf(NotByExample):
    """NumPy warns of kinds or sizes, for the numbers are harmless."""


@dataclass(frozen=True)
class Sort:
    """What is the same of a result at all sizes: its number of axes, its dtype, and whether it is a NumPy scalar."""

    ndim: int
    dtype: np.dtype
    scalar: bool


@dataclass(frozen=True)
class Given:
    """What a call on examples gave. cls: of several results, their tuple's or list's class; numbers: of each result its sizes, its
    strides in elements, and 0.
    """

    cls: type | None
    sorts: tuple[Sort, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class ExampleCall:
    """The function, its call's template (see `ExternRef`), and its arrays.

    hints: the Python numbers among the arrays, and what they are in the example
    quiet: what it warns of is no reason to refuse it
    """

    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    arrays: Sequence[Array]
    hints: Mapping[int, int | float]
    quiet: bool

    @property
    def symbols(self) -> dict[str, Any]:
        """The symbols of its sizes, by name."""
        return symbols_in((self.args, tuple(self.kwargs.values()), [(a.shape, a.strides) for a in self.arrays]))

    def at(self, point: Point, most: int | None = None) -> Given:
        """What it gives where the symbols have these values. Raises NotByExample, and the function's own errors.

        most: of elements, that its arrays may have
        """
        shapes = [valued(a.shape, point) for a in self.arrays]
        if any(n < 0 for shape in shapes for n in shape):
            raise NotByExample("a size below zero")
        if most is not None and sum(map(math.prod, shapes)) > most:
            raise NotByExample("its arrays are too large to ask")
        examples = [
            self.hints[i] if i in self.hints else _example(a, shape, valued(a.strides, point))
            for i, (a, shape) in enumerate(zip(self.arrays, shapes))
        ]
        args, kwargs = (_filled(valued(part, point), examples) for part in (self.args, self.kwargs))
        with warnings.catch_warnings(record=True) as said, np.errstate(all="ignore"):
            warnings.simplefilter("always")
            result = self.function(*args, **kwargs)
        if said and not self.quiet:
            raise WarnedOf(f"NumPy warns: {said[0].message}")
        return _looked_at(result, examples)

    def elements(self, point: Point) -> int:
        """How many elements its arrays have where the symbols have these values."""
        return sum(math.prod(valued(a.shape, point)) for a in self.arrays)

    def answer(self, point: Point, kind: Given, most: int) -> tuple[int, ...] | None:
        """The numbers of its results where the symbols have these values; none of other sorts than `kind`'s. None where it refuses."""
        try:
            given = self.at(point, most)
        except Exception:  # it is NumPy's, and of sizes that the program did not ask for
            return None
        return given.numbers if (given.cls, given.sorts) == (kind.cls, kind.sorts) else ()


def call_by_example(
    b: ArrayBuilder,
    function: Any,
    target: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    free: bool,
    quiet: bool,
) -> Any:
    """`function(*args, **kwargs)` as one node, which finds it as `target`. Raises Unsupported where an argument's kind is not known.

    free: whole numbers that are computed say nothing about the result's size
    quiet: what it warns of is no reason to refuse it
    """
    name = name_of(target)
    arrays: list[Array] = []
    hints: dict[int, int | float] = {}

    def placed(value: Array) -> Input | Scalar | Number:
        if value.number is not None:
            if not (free or value.number is float) or value.changing is None:
                raise unsupported("a computed Python number in a NumPy call")
            hints[len(arrays)] = value.changing.hint
        elif not free and not value.ndim and value.kind in "biu":
            raise unsupported(f"{name} with a computed whole number", why="the result's size may depend on it")
        arrays.append(value)
        kind = Number if value.number is not None else Scalar if value.scalar else Input
        return kind(len(arrays) - 1)

    def template(value: Any) -> Any:
        """The argument as the graph holds it."""
        if isinstance(value, Array):
            return placed(value)
        if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
            return type(value)(map(template, value))
        if value is None or isinstance(value, (bool, int, float, complex, str)) or layout.is_size(value):
            return value
        if isinstance(value, slice):
            return slice(*map(template, (value.start, value.stop, value.step)))
        if isinstance(value, (np.generic, np.ndarray)) and value.dtype.kind in "biufc":
            return template(b.lift(value))
        if isinstance(value, (np.dtype, type)):
            return np.dtype(value).name
        raise unsupported(f"a NumPy call with an argument of type {type(value).__name__}")

    if any(isinstance(a, type) for a in args):  # an operand of its own kind, or a dtype: the function knows
        raise unsupported(f"{name} with a class")
    plain, named = [template(a) for a in args], {k: template(v) for k, v in kwargs.items()}
    call = ExampleCall(function, plain, named, arrays, hints, quiet)
    base = {n: b.ev.symbols.hint(s) for n, s in call.symbols.items()}
    began = thread_time()
    try:
        given = call.at(base)
        took = thread_time() - began
        for changed in changes_of(hints):
            if replace(call, hints={i: another(n) if i in changed else n for i, n in hints.items()}).at(base) != given:
                raise NotByExample("the result's size depends on a number")
    except NotByExample as error:
        code = "numpy-warning" if isinstance(error, WarnedOf) else "numpy-unsupported"
        raise unsupported(f"{name} with these arguments", why=str(error), code=code) from error
    if not call.symbols:
        return _emit(b, call, target, given, _layouts_of(given))
    most = _MOST_ELEMENTS if took < _QUICK else min(_MOST_ELEMENTS, call.elements(base))
    asked = asked_of_call(
        lambda point: given.numbers if point == base else call.answer(point, given, most),
        base, call.symbols, (plain, tuple(named.values())), [a.shape for a in arrays], patience=_PATIENCE,
    )  # fmt: skip
    found = layouts(asked, [s.ndim for s in given.sorts], b.ev.symbols.decide)
    if found is None:
        for symbol in [call.symbols[name] for name in asked.unknown()] or call.symbols.values():
            b.static(symbol)
        raise AssertionError("a symbol was specialised")
    return _emit(b, call, target, given, [(shape, stride) for shape, stride, _ in found])


def name_of(target: str) -> str:
    """What messages call a function."""
    return f"np.{target.partition(':')[2]}"


def _filled(value: Any, examples: Sequence[Any]) -> Any:
    if isinstance(value, (Input, Scalar, Number)):
        return examples[value.index]
    if isinstance(value, dict):
        return {k: _filled(v, examples) for k, v in value.items()}
    if isinstance(value, slice):
        return slice(*(_filled(v, examples) for v in (value.start, value.stop, value.step)))
    return type(value)(_filled(v, examples) for v in value) if isinstance(value, (list, tuple)) else value


def _example(a: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """An array of this shape and layout, or a scalar: ones, and on the diagonal of a matrix larger numbers."""
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


def _looked_at(result: Any, examples: Sequence[Any]) -> Given:
    """Raises NotByExample for what is not fresh, whole arrays of numbers."""
    several = isinstance(result, (tuple, list))
    parts = list(result) if several else [result]
    if not parts or not all(isinstance(p, (np.ndarray, np.generic)) and p.dtype.kind in "biufc" for p in parts):
        raise NotByExample("it gives no arrays of numbers")
    if any(_owner_of(p) is _owner_of(e) or np.may_share_memory(p, e) for p in parts for e in examples):
        raise NotByExample("its result is a view")
    strides = [tuple(s // p.itemsize for s in p.strides) for p in map(np.asarray, parts)]
    if not all(is_dense(p.shape, stride) for p, stride in zip(parts, strides)):
        raise NotByExample("its result is a part of a larger array")
    numbers = tuple(n for p, stride in zip(parts, strides) for n in (*p.shape, *stride, 0))
    return Given(
        type(result) if several else None,
        tuple(Sort(p.ndim, p.dtype, isinstance(p, np.generic)) for p in parts),
        numbers,
    )


_Layout = tuple[tuple[Dim, ...], tuple[Dim, ...]]


def _layouts_of(given: Given) -> list[_Layout]:
    """The results' shapes and strides where no size changes."""
    found, first = [], 0
    for s in given.sorts:
        found.append((given.numbers[first : first + s.ndim], given.numbers[first + s.ndim : first + 2 * s.ndim]))
        first += 2 * s.ndim + 1
    return found


def _emit(b: ArrayBuilder, call: ExampleCall, target: str, given: Given, found: Sequence[_Layout]) -> Any:
    kwargs, checked = dict(call.kwargs), bool(call.symbols)
    metas = [b.meta(shape, s.dtype, stride) for (shape, stride), s in zip(found, given.sorts)]
    if given.cls is None:
        (m,), (sort,) = metas, given.sorts
        return b.extern(
            target, call.arrays, call.args, m.shape, sort.dtype, strides=m.stride, kwargs=kwargs, scalar=sort.scalar, checked=checked
        )  # fmt: skip
    made = b.extern_several(target, call.arrays, call.args, metas, kwargs, checked=checked)
    for array, sort in zip(made, given.sorts):
        array.scalar = sort.scalar
    return given.cls(*made) if hasattr(given.cls, "_fields") else given.cls(made)
