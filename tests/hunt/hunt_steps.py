"""Random programs made of steps over a few arrays: how they are drawn, written down, run and compared.

A program is a list of steps, each a template with its operands; those that eager refuses on the first call's arguments are left
out (or, where errors are wanted, end the program). It is called several times with something changed between the calls: a size,
a layout, a type, a number, special values. Everything a caller can see is compared: values, types, shapes, strides, which
results and arguments share memory or are the same object, what was written into arguments, and exceptions.

How far a float may differ is measured, not guessed: the plain program is run again a few times, each step rounded otherwise
(see `Noise`), and a compiled result may differ by a small multiple of what that makes of it.
"""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from comparison import Comparison, Difference, Numbers, Part, Recorder
from running import Run

#: how far a float may differ where noise tells nothing, in units of the type's last place
ULPS = 32
#: how much of the disturbed runs' spread a result may differ by
SPREAD = 8
#: the smallest number of the float type whose next number from 1 is so far: below it there are no last places
LEAST = {2.0**-52: 2.0**-1074, 2.0**-23: 2.0**-149, 2.0**-10: 2.0**-24, 2.0**-7: 2.0**-133}
#: what a few messages of the framework end with
_STACK = re.compile(r"\nException raised from .*", re.DOTALL)
MOST_STEPS = 10
#: how many of its last values a program returns
SHOWN = 4
#: larger arrays make slow programs, and show nothing that small ones do not
MOST_ELEMENTS = 4000


@dataclass(frozen=True)
class Step:
    """One line of a program.

    template: text with {a} {b} {c} for earlier values, {d} for an axis, {i} for a small number, n and k for the program's own
              numbers (an int and a float that may change from call to call); one that begins with "!" is a statement
              that writes, the others make a value
    operands: which values, counted from the oldest, modulo how many there are
    """

    template: str
    operands: tuple[int, int, int] = (0, 0, 0)
    axis: int = 0
    number: int = 0

    @property
    def writes(self) -> bool:
        return self.template.startswith("!")

    def text(self, values: int) -> str:
        a, b, c = (f"v{o % values}" for o in self.operands)
        return self.template.removeprefix("!").format(a=a, b=b, c=c, d=self.axis, i=self.number)


@dataclass(frozen=True)
class ArraySpec:
    """One argument: everything needed to make it anew.

    special: infinities, NaN, signed zeros and the ends of the type's range among the values
    """

    shape: tuple[int, ...]
    dtype: str
    layout: str = "plain"
    seed: int = 0
    special: bool = False


@dataclass(frozen=True)
class CallSpec:
    """The arguments of one call: arrays, and the numbers n and k."""

    arrays: tuple[ArraySpec, ...]
    n: int = 2
    k: float = 0.5


class Arrays(Protocol):
    """What is different between the frameworks.

    names:   what a program's text may name
    refused: exceptions by which the framework refuses a step
    parts:   what there is to see of its values
    joins:   templates whose results are made of many elements each, joined in an order of the framework's choice
    typed:   templates that read the limits of their operands' type
    leaving: templates on whose way something may leave the range of the widest type where the result does not
    """

    names: dict[str, Any]
    refused: tuple[type[BaseException], ...]
    parts: tuple[Part, ...]
    joins: frozenset[str]
    typed: frozenset[str]
    leaving: frozenset[str]

    def make(self, spec: ArraySpec) -> Any: ...
    def is_array(self, value: Any) -> bool: ...
    def size(self, value: Any) -> tuple[int, int]: ...  # elements, axes
    def noise(self, seed: int) -> Any: ...  # a generator
    def is_float(self, value: Any) -> bool: ...  # real or complex
    def copy(self, value: Any, wide: bool = False) -> Any: ...  # wide: floats in their widest type
    def floating(self, value: Any) -> Any: ...  # integers of an array as floats
    def cancelled(
        self, value: Any, made: Any
    ) -> Any: ...  # `made`, with zeros for elements that are no larger than they changed by
    def assign(self, value: Any, made: Any) -> Any: ...  # `made` rounded, in place where it can be
    def unbounded(self, value: Any) -> Any: ...  # infinities for elements whose squares are beyond their type
    def bounded(self, value: Any) -> Any: ...  # ones for these, where there is no wider type
    def disturb(self, value: Any, rng: Any, negative: bool) -> Any: ...  # in place where it can be; the sign of NaNs
    def share(self, one: Any, other: Any) -> bool: ...
    def lent(self, value: Any) -> int: ...  # bytes of the array whose memory it shows; 0 for its own
    def compile(self, function: Callable[..., Any], settings: Any) -> Callable[..., Any]: ...


@dataclass(frozen=True)
class Settings:
    """backend and dynamic as for `quern.compile`."""

    backend: str = "inductor"
    dynamic: bool | None = None


@dataclass(frozen=True)
class Case:
    """A drawn program with its calls."""

    steps: tuple[Step, ...]
    calls: tuple[CallSpec, ...]
    settings: Settings = Settings()
    errors: bool = False

    @property
    def inputs(self) -> int:
        return len(self.calls[0].arrays)


def changed(call: CallSpec, how: str, amount: int) -> CallSpec:
    """The arguments of a later call."""
    arrays = call.arrays
    if how == "size":
        sizes = sorted({s for a in arrays for s in a.shape if s > 1})
        if sizes:
            old = sizes[amount % len(sizes)]
            arrays = tuple(
                replace(a, shape=tuple(s + 1 + amount % 3 if s == old else s for s in a.shape)) for a in arrays
            )
    elif how == "layout":
        arrays = tuple(replace(a, layout=LAYOUTS[(LAYOUTS.index(a.layout) + amount) % len(LAYOUTS)]) for a in arrays)
    elif how == "values":
        arrays = tuple(replace(a, seed=a.seed + 1 + amount, special=amount % 2 == 0) for a in arrays)
    elif how == "numbers":
        return replace(call, n=(1, 3, 0, -1, 2)[amount % 5], k=(1.5, -2.0, 0.25, 3.0)[amount % 4])
    return replace(call, arrays=arrays)


LAYOUTS = ("plain", "transposed", "sliced", "expanded", "offset", "last")
CHANGES = ("nothing", "size", "layout", "values", "numbers")


def text_of(steps: Sequence[Step], inputs: int) -> str:
    """The program's text."""
    count, lines = inputs, []
    for step in steps:
        text = step.text(count)
        if step.writes:
            lines.append(text)
        else:
            lines.append(f"v{count} = {text}")
            count += 1
    arguments = ", ".join([f"v{i}" for i in range(inputs)] + ["n", "k"])
    shown = [f"v{i}" for i in range(max(0, count - SHOWN), count)]
    return (
        f"def program({arguments}):\n"
        + "".join(f"    {line}\n" for line in lines)
        + f"    return {', '.join(shown)},\n"
    )


def _lent(values: Sequence[Any], arrays: Arrays) -> list[int]:
    return [arrays.lent(v) for v in values]


def legal(case: Case, arrays: Arrays) -> tuple[Step, ...]:
    """The steps that the framework accepts one after the other on the first call's arguments. The last one stands before one that
    gives back memory that a value shows.
    """
    first = case.calls[0]
    values = [arrays.make(a) for a in first.arrays]
    kept: list[Step] = []
    for step in case.steps:
        if len(kept) == MOST_STEPS:
            break
        scope = {**arrays.names, **{f"v{i}": v for i, v in enumerate(values)}, "n": first.n, "k": first.k}
        text, lent = step.text(len(values)), _lent(values, arrays)
        try:
            if step.writes:
                exec(text, scope)  # noqa: S102 - our own text
            else:
                made = eval(text, scope)  # noqa: S307 - our own text
        except arrays.refused:
            if case.errors:
                return (*kept, step)
            continue
        if lent != _lent(values, arrays):
            break
        if not step.writes:
            if not arrays.is_array(made) or arrays.size(made)[0] > MOST_ELEMENTS or arrays.size(made)[1] > 5:
                continue
            values.append(made)
        # operands are counted among the values there are at this line: fix them, whatever is left out later
        count = len(values) - (not step.writes)
        kept.append(replace(step, operands=tuple(o % count for o in step.operands)))  # type: ignore[arg-type]
    return tuple(kept)


def function_of(text: str, arrays: Arrays) -> Callable[..., Any]:
    scope = dict(arrays.names)
    exec(_code_of(text), scope)  # noqa: S102 - our own text
    return scope["program"]


@functools.lru_cache(maxsize=256)
def _code_of(text: str) -> types.CodeType:
    return compile(text, "<hunted program>", "exec")


def observe(function: Callable[..., Any], call: CallSpec, arrays: Arrays) -> Run:
    """Call once, on fresh arguments."""
    arguments = [arrays.make(a) for a in call.arrays]
    results, error = [], None
    try:
        results = list(function(*arguments, call.n, call.k))
    except Exception as raised:
        error = raised
    return _recorded(arguments, results, error, arrays)


def _recorded(arguments: Sequence[Any], results: Sequence[Any], error: BaseException | None, arrays: Arrays) -> Run:
    recorder = Recorder(arrays.parts)
    for what, values in (("argument", arguments), ("result", results)):
        for i, value in enumerate(values):
            recorder.write(value, f"{what} {i}")
    return Run(recorder.facts, error)


# --------------------------------------------------------------------------- noise


@dataclass(frozen=True)
class Noise:
    """A run of the plain program, step by step, in which floats are rounded otherwise.

    What a step makes is disturbed by a rounding or two, and so are the elements that it joins, as another order would: so many
    roundings they may differ by. NaNs all have one sign, which no standard lays down.

    seed: of the disturbances; odd ones make NaNs negative
    wide: nothing is disturbed, but each step computed in the widest type there is and rounded once: how far the framework
          itself is from that, another way may be too. What may leave the range of that type where elements are joined does
    bounded: nothing leaves the range of the widest type on the way: whether it does is the framework's choice; and what cancels to
          the last digit where elements are joined is zero, as in another order it may be
    """

    seed: int
    wide: bool = False
    bounded: bool = False

    def run(self, steps: Sequence[Step], call: CallSpec, arrays: Arrays) -> Run | None:
        """None where the program shows memory of an array that was resized, which may be anybody's by now: no step runs on it."""
        arguments = [arrays.make(a) for a in call.arrays]
        values, error, rng = list(arguments), None, arrays.noise(self.seed)
        try:
            for step in steps:
                known, lent = list(values), _lent(values, arrays)
                self._step(step, values, call, arrays, rng)
                if lent != _lent(known, arrays):
                    return None
        except Exception as raised:
            error = raised
        return _recorded(arguments, [] if error else values[-SHOWN:], error, arrays)

    def _step(self, step: Step, values: list[Any], call: CallSpec, arrays: Arrays, rng: Any) -> None:
        used = sorted({o % len(values) for o in step.operands})
        target = step.operands[0] % len(values)
        function = function_of(_step_text(step, len(values), used), arrays)
        others = self._others(step, [values[i] for i in used], arrays, rng)
        made = function(*(values[i] for i in used), call.n, call.k)
        if arrays.is_float(made) and (step.writes or not any(arrays.share(made, v) for v in values)):
            other = self._other(function, others, call, arrays) if others else None
            if other is not None:
                lost = arrays.cancelled(made, other) if self.bounded else other
                made = arrays.assign(made, lost)
            made = made if self.wide else arrays.disturb(made, rng, self._negative)
        if step.writes:
            values[target] = made
        else:
            values.append(made)

    @property
    def _negative(self) -> bool:
        return self.seed % 2 == 1

    def _others(self, step: Step, operands: Sequence[Any], arrays: Arrays, rng: Any) -> list[Any] | None:
        """What the step's elements are computed from in the operands' place, if anything."""
        joins, leaves = step.template in arrays.joins, self.bounded and step.template in arrays.leaving
        if step.template in arrays.typed if self.wide else not joins and not leaves:
            return None
        copies = [arrays.copy(v, self.wide) for v in operands]
        if leaves:
            copies = [arrays.bounded(v) if arrays.is_float(v) else v for v in copies]
        if not self.wide:
            if joins:  # sums of integers that are floats on the way
                copies = [arrays.floating(v) for v in copies]
            return [arrays.disturb(v, rng, self._negative) if arrays.is_float(v) else v for v in copies]
        return [arrays.unbounded(v) if joins and arrays.is_float(v) else v for v in copies]

    @staticmethod
    def _other(function: Callable[..., Any], operands: Sequence[Any], call: CallSpec, arrays: Arrays) -> Any:
        try:
            return function(*operands, call.n, call.k)
        except arrays.refused:  # not for these types
            return None


#: both signs of NaN, and the exact results
NOISES = (Noise(0), Noise(1), Noise(2, bounded=True), Noise(3, wide=True))
#: asked where those few let a difference stand: chance may have left alone the one rounding that it hangs on
DOUBTS = tuple(Noise(seed, bounded=seed % 4 > 1) for seed in range(4, 36))


def _step_text(step: Step, count: int, used: Sequence[int]) -> str:
    """One step as a program of its operands that returns what it makes, or what it wrote to."""
    text, target = step.text(count), f"v{step.operands[0] % count}"
    body = f"    {text}\n    return {target}\n" if step.writes else f"    return {text}\n"
    return f"def program({', '.join(f'v{i}' for i in used)}, n, k):\n{body}"


# --------------------------------------------------------------------------- comparing


def measured(want: Numbers, disturbed: Sequence[Numbers]) -> tuple[float, np.ndarray]:
    """By what the disturbed runs made of each number; the doubts do not excuse what leaves the range of its type."""
    w = want.elements
    largest = np.abs(w[np.isfinite(w)]).max(initial=0.0)
    allowed = ULPS * want.step * np.nan_to_num(np.abs(w)) + 4 * want.step * largest + LEAST.get(want.step, 0.0)
    for number, other in enumerate(disturbed):
        o = other.elements
        split = (np.isnan(o) != np.isnan(w)) | (np.isinf(o) != np.isinf(w))
        free = np.inf if number < len(NOISES) else 0.0
        allowed = np.maximum(allowed, np.where(split, free, SPREAD * np.nan_to_num(np.abs(o - w))))
    return 0.0, allowed


#: where a tensor without elements would lie is nobody's business
COMPARISON = Comparison(measured, signs=False, ignore=frozenset({"memory of nothing", "storage offset of nothing"}))


def check(case: Case, arrays: Arrays) -> str:
    """Run the program plain and compiled. Returns its text; raises Difference, or what quern raised."""
    steps = legal(case, arrays)
    text = text_of(steps, case.inputs)
    if not steps:
        return text
    plain = function_of(text, arrays)
    compiled = arrays.compile(function_of(text, arrays), case.settings)
    for number, call in enumerate(case.calls):
        noisy = _runs(NOISES, steps, call, arrays)
        if len(noisy) < len(NOISES):
            continue  # what it does is undefined
        want = observe(plain, call, arrays)
        if any(type(n.error) is not type(want.error) for n in noisy):
            continue  # whether it raises depends on a rounding
        got = observe(compiled, call, arrays)
        try:
            if _raises(want.error) != _raises(got.error):
                raise Difference(f"{_raises(got.error)}, eager {_raises(want.error)}")
            _compare(want, got, noisy, functools.partial(_runs, DOUBTS, steps, call, arrays))
        except Difference as difference:
            calls = "\n".join(map(str, case.calls[: number + 1]))
            error = Difference(f"call {number}: {difference}\n{text}{case.settings}\n{calls}")
            raise error from got.error
    return text


def _runs(noises: Sequence[Noise], steps: Sequence[Step], call: CallSpec, arrays: Arrays) -> list[Run]:
    return [run for noise in noises if (run := noise.run(steps, call, arrays)) is not None]


def _compare(want: Run, got: Run, noisy: Sequence[Run], doubts: Callable[[], list[Run]]) -> None:
    try:
        COMPARISON.check(want.facts, got.facts, disturbed=[n.facts for n in noisy])
    except Difference:
        more = [n for n in doubts() if n.error is None]
        COMPARISON.check(want.facts, got.facts, disturbed=[n.facts for n in (*noisy, *more)])


def _raises(error: BaseException | None) -> str:
    return "raises nothing" if error is None else f"raises {type(error).__name__}: {_STACK.sub('', str(error))}"
