"""Formulas for the sizes of opaque results, from the framework's own answers at many sizes.

A framework function's results have sizes that follow from its arguments' sizes by a rule which only the framework knows. It is
asked at the sizes at hand and at others, smaller and larger; a formula is taken when it gives every answer: a product of
sizes, the smaller or larger of two, or a sum of terms `(a*s + b) // c`, one for each symbol. What no such formula gives is
left unknown. The running graph checks.
"""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from ...clock import thread_time
from ...inductor.graph import Dim
from ...inductor.sizes import evaluator, strides_over

T = TypeVar("T")

#: values of the symbols, by name
Point = Mapping[str, int]
#: all numbers of a call's results at a point, in order; None where the call is refused there
Answer = Callable[[Point], "tuple[int, ...] | None"]

#: lengths of the steps in which a rounded quotient may grow, beside the numbers that the call itself holds
_STEPS = (1, 2, 3, 4, 5, 6, 8, 16, 32)
_LARGEST_STEP = 4096
#: other sizes of a symbol that tell enough
_FEWEST = 3
#: sizes from which products are built
_FACTORS = 6


@dataclass
class Asked:
    """The function's answers, each asked for once.

    symbols: by name; base: the sizes at hand
    sizes:   sizes of the call's arguments, numbers among them, which results' sizes may be made of
    steps:   numbers that the call holds (strides, factors)
    factors: floats that the call holds. The rule may multiply sizes by them and round, so that no quotient is believed but
             by their own denominators.
    patience: seconds of processor time after which no more answers are asked for
    lowest: the smallest values of symbols that count; none where all do
    """

    answer: Answer
    symbols: Mapping[str, Any]
    base: Mapping[str, int]
    sizes: Sequence[Dim]
    steps: Sequence[int] = ()
    factors: Sequence[float] = ()
    patience: float = 3.0
    lowest: Mapping[str, int] = field(default_factory=dict)
    _spent: float = 0.0
    _known: dict[tuple[int, ...], tuple[int, ...] | None] = field(default_factory=dict)

    def at(self, move: Mapping[str, int]) -> tuple[int, ...] | None:
        """The answer where symbols stand so far from the sizes at hand."""
        point = self.point(move)
        if any(point[name] < low for name, low in self.lowest.items()):
            return None
        key = tuple(point.values())
        if key not in self._known:
            began = thread_time()
            self._known[key] = self.answer(point) if self._spent < self.patience else None
            self._spent += thread_time() - began
        return self._known[key]

    def point(self, move: Mapping[str, int]) -> Point:
        return {name: value + move.get(name, 0) for name, value in self.base.items()}

    def without_small(self) -> Asked:
        """The same with no sizes below half of those at hand: rules often differ where an array is shorter than another."""
        return replace(self, lowest={name: max(2, here // 2) for name, here in self.base.items()})

    def denominators(self) -> list[int]:
        """What a size may be divided by."""
        own = [f.as_integer_ratio()[1] for f in self.factors if math.isfinite(f)]
        steps = {1, *own} if own else {*_STEPS, *self.steps}
        return sorted(s for s in steps if 0 < s <= _LARGEST_STEP)

    def moves(self) -> Iterator[dict[str, int]]:
        """Where formulas are tried: each symbol by itself, then all of them."""
        for name, here in self.base.items():
            yield from ({name: by} for by in _ways(here))
        for one, other in ((1, 2), (5, 3), (11, 17)):
            yield {name: one + other * i for i, name in enumerate(self.base)}

    @cached_property
    def answers(self) -> list[tuple[Point, tuple[int, ...]]] | None:
        """The answers at hand and where formulas are tried; None where they differ in kind, or where for some symbol too few
        sizes are allowed to tell.
        """
        here = self.at({})
        found = [(self.point(move), one) for move in self.moves() if (one := self.at(move)) is not None]
        if here is None or self.unknown() or any(len(one) != len(here) for _, one in found):
            return None
        return [(self.base, here), *found]

    def unknown(self) -> list[str]:
        """The symbols for which too few other sizes are allowed: nobody knows what follows from them."""
        allowed = [move for move in self.moves() if self.at(move) is not None]
        return [name for name in self.base if sum(name in move for move in allowed) < _FEWEST]


def _ways(here: int) -> list[int]:
    """How far one size is moved: a little and more, to about double, to about half, to the smallest."""
    return [by for by in (1, 2, 3, 7, 12, 101, here + 1, 2 - here, 3 - here, -(here // 2)) if by and here + by >= 2]


def formula(asked: Asked, i: int) -> Dim | None:
    """What gives the i-th number of every answer; None where nothing does."""
    answers = asked.answers
    return None if answers is None else _fitted(asked, answers, i)


def _fitted(asked: Asked, answers: Sequence[tuple[Point, tuple[int, ...]]], i: int) -> Dim | None:
    """What gives the i-th number of all these answers."""
    value = answers[0][1][i]
    if all(numbers[i] == value for _, numbers in answers):
        return value
    candidates = (
        _products(asked, value), _lines(asked, answers, i), _extremes(asked), _sums(asked, i, value),
        _quadratics(asked, i, value),
    )  # fmt: skip
    for candidate in itertools.chain(*candidates):
        if _holds(candidate, answers, i):
            return candidate
    return None


def strides(asked: Asked, shape: Sequence[Dim], first: int) -> tuple[Dim, ...] | None:
    """Formulas for the strides of a result whose sizes are known; they stand behind the sizes, from number `first` on.
    Where a size that varies is 0 or 1, strides mean nothing, and what they are when it grows is asked elsewhere.
    """
    answers, n = asked.answers, len(shape)
    assert answers is not None, "the sizes are known"
    varying = [first - n + k for k, size in enumerate(shape) if not isinstance(size, int)]
    telling = [(point, numbers) for point, numbers in answers if all(numbers[k] > 1 for k in varying)]
    if not telling:
        return None
    point, numbers = telling[0]
    sizes = [evaluator(s)(point) for s in shape]
    dense = strides_over(shape, sizes, numbers[first : first + n])
    found: list[Dim] = []
    for k, stride in enumerate(dense):
        moved = answers[0][1][first - n + k] > 1  # at hand
        known = telling if not moved or telling[0] is answers[0] else [*telling, answers[0]]
        steps = [stride, *(shape[d] * dense[d] for d in range(n) if d != k)]  # a stride of size 1 spans some other axis
        right = (s for s in steps if _holds(s, known, first + k))
        one = next(right, None) or _fitted(asked, known, first + k)
        if one is None:
            return None
        found.append(one)
    return tuple(found)


def _holds(candidate: Any, answers: Sequence[tuple[Point, tuple[int, ...]]], i: int) -> bool:
    value = evaluator(candidate)
    return all(value(point) == numbers[i] for point, numbers in answers)


def _products(asked: Asked, value: int) -> Iterator[Any]:
    """Sizes of the arguments, and products of two and three, times a number."""
    varying = [s for s in asked.sizes if not isinstance(s, int)][:_FACTORS]
    factors = [(s, evaluator(s)(asked.base)) for s in varying]
    for count in (1, 2, 3):
        for chosen in itertools.combinations_with_replacement(factors, count):
            product = math.prod(number for _, number in chosen)
            if product and value % product == 0:
                yield math.prod((s for s, _ in chosen), start=value // product)


def _lines(asked: Asked, answers: Sequence[tuple[Point, tuple[int, ...]]], i: int) -> Iterator[Any]:
    """a*size + b, for a size of the arguments."""
    for size in asked.sizes:
        if not isinstance(size, int):
            known = {(evaluator(size)(point), numbers[i]) for point, numbers in answers}
            (low, least), (high, most) = min(known), max(known)
            if high > low and (most - least) % (high - low) == 0:
                a = (most - least) // (high - low)
                if a:
                    yield a * size + (least - a * low)


def _extremes(asked: Asked) -> Iterator[Any]:
    """The smaller or larger of two sizes."""
    sympy = importlib.import_module("sympy")  # only captures with symbols come here
    for a, b in itertools.combinations(asked.sizes, 2):
        if not (isinstance(a, int) and isinstance(b, int)):
            for kind in (sympy.Min, sympy.Max):
                if not isinstance(chosen := kind(a, b), sympy.Number):
                    yield chosen


def _sums(asked: Asked, i: int, value: int) -> Iterator[Any]:
    """A term for each symbol, found while the others stand still."""
    total: Any = value
    for name in asked.base:
        term = _term(asked, i, name, value)
        if term is None:
            return
        total = total + term - value
    if hasattr(total, "free_symbols"):
        yield total


def _quadratics(asked: Asked, i: int, value: int) -> Iterator[Any]:
    """For one symbol: the number of pairs and the like, by what two steps add."""
    if len(asked.base) > 1:
        return
    ((name, here),) = asked.base.items()
    one, two = asked.at({name: 1}), asked.at({name: 2})
    if one is not None and two is not None:
        k = asked.symbols[name] - here
        first, second = one[i] - value, two[i] - 2 * one[i] + value
        total = value + first * k + second * k * (k - 1) / 2
        yield importlib.import_module("sympy").floor(total.expand())


def _term(asked: Asked, i: int, name: str, value: int) -> Any:
    """(a*s + b) // c with the smallest c that gives the answers for one symbol."""
    here = asked.base[name]

    def at(by: int) -> int | None:
        found = asked.at({name: by})
        return None if found is None else found[i]

    for c in asked.denominators():
        once, twice = at(c), at(2 * c)
        if once is None or twice is None or twice - value != 2 * (once - value):
            continue
        a = once - value
        low, high = c * value - a * here, c * value - a * here + c - 1  # c*value <= a*here + b < c*(value + 1)
        by: int | None = 1
        while by is not None and low <= high and (found := at(by)) is not None:
            low, high = max(low, c * found - a * (here + by)), min(high, c * found - a * (here + by) + c - 1)
            by = _telling(a, c, here, low, high) if low < high else None
        if low <= high:
            even = -(a * here) % c + c * ((low + a * here) // c)  # no remainder at hand, where the others were refused
            b = even if low <= even <= high else low
            if all(at(by) in (None, (a * (here + by) + b) // c) for by in _ways(here)):
                return _quotient(asked.symbols[name], a, b, c)
    return None


def _telling(a: int, c: int, here: int, low: int, high: int) -> int | None:
    """How far to go so that the answer tells which half b is in."""
    middle = (low + high + 1) // 2
    return next((by for by in range(1, c) if (a * (here + by) + middle) % c == 0), None)


def _quotient(symbol: Any, a: int, b: int, c: int) -> Any:
    sympy = importlib.import_module("sympy")
    above = a * symbol + b
    return above if c == 1 else sympy.floor(above / c)


# ------------------------------------------------------------------ templates of calls


def another(number: int | float) -> int | float:
    """What a number may be at another call: a part of one (a probability, a rate, a quantile) stays one."""
    if type(number) is float and 0 <= number <= 1:
        return number / 2 if number > 0.5 else number / 2 + 0.5
    return number * 2 + 1


def changes_of(numbers: Iterable[T]) -> list[set[T]]:
    """Which of some numbers to change together when it is asked whether a size depends on them: each alone, for what several do
    may cancel, and all.
    """
    every = set(numbers)
    return [*({n} for n in every), *([every] if len(every) > 1 else [])]


def numbers_in(tree: Any) -> Iterator[Any]:
    """The numbers of a call's template, symbolic ones among them."""
    if isinstance(tree, (list, tuple)):
        for part in tree:
            yield from numbers_in(part)
    elif isinstance(tree, slice):
        yield from numbers_in((tree.start, tree.stop, tree.step))
    elif isinstance(tree, (int, float)) and not isinstance(tree, bool) or hasattr(tree, "free_symbols"):
        yield tree


def symbols_in(tree: Any) -> dict[str, Any]:
    """The symbols of a template or of layouts, by name."""
    found = {s.name: s for d in numbers_in(tree) for s in getattr(d, "free_symbols", ())}
    return dict(sorted(found.items()))


def valued(tree: Any, point: Point) -> Any:
    """A template or a layout with numbers in place of symbols."""
    if hasattr(tree, "free_symbols"):
        return evaluator(tree)(point)
    if isinstance(tree, (list, tuple)):
        return type(tree)(valued(part, point) for part in tree)
    if isinstance(tree, slice):
        return slice(*(valued(part, point) for part in (tree.start, tree.stop, tree.step)))
    return {k: valued(v, point) for k, v in tree.items()} if isinstance(tree, Mapping) else tree


def asked_of_call(
    answer: Answer, base: Point, symbols: Mapping[str, Any], template: Any, shapes: Sequence[Sequence[Dim]], **more: Any
) -> Asked:
    """A call's answers: its results' sizes are made of those of its arrays and of the numbers in its template."""
    numbers = list(numbers_in(template))
    floats = [d for d in numbers if isinstance(d, float)]
    sizes = dict.fromkeys([*(d for shape in shapes for d in shape), *(d for d in numbers if d not in floats)])
    steps = [d for d in numbers if isinstance(d, int)]
    return Asked(answer, symbols, base, list(sizes), steps, floats, **more)


#: (shape, strides, offset)
Formulas = tuple[tuple[Dim, ...], tuple[Dim, ...], Dim]


def layouts(asked: Asked, ndims: Sequence[int], decide: Callable[[Any], bool]) -> list[Formulas] | None:
    """Formulas for results' layouts, whose numbers stand in the answers one behind the other; None where there are none.

    decide: guards that a relation holds. Some formulas hold for sizes from half of those at hand on.
    """
    found = _layouts(asked, ndims)
    if found is None:
        asked = asked.without_small()
        found = _layouts(asked, ndims)
        if found is not None:
            for name, low in asked.lowest.items():
                decide(importlib.import_module("sympy").Ge(asked.symbols[name], low))
    return found


def _layouts(asked: Asked, ndims: Sequence[int]) -> list[Formulas] | None:
    found, first = [], 0
    for ndim in ndims:
        sizes = [formula(asked, first + d) for d in range(ndim)]
        offset = formula(asked, first + 2 * ndim)
        if offset is None or any(s is None for s in sizes):
            return None
        shape: tuple[Dim, ...] = tuple(s for s in sizes if s is not None)
        stride = strides(asked, shape, first + ndim)
        if stride is None:
            return None
        found.append((shape, stride, offset))
        first += 2 * ndim + 1
    return found
