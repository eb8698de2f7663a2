"""Random programs made of steps over a few arrays: how they are drawn, written down, run and compared.

A program is a list of steps, each a template with its operands; those that eager refuses on the first call's arguments are left
out (or, where errors are wanted, end the program). It is called several times with something changed between the calls: a size,
a layout, a type, a number, special values. Everything a caller can see is compared: values, types, shapes, strides, which
results and arguments share memory or are the same object, what was written into arguments, and exceptions.

How far a float may differ is measured, not guessed: the plain program is run again with every step's result disturbed by a
rounding or two, and a compiled result may differ by a small multiple of what that makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from comparison import Comparison, Difference, Numbers, Part, Recorder
from running import Run

#: as many disturbed runs of the plain program as are compared
NOISY_RUNS = 3
#: how far a float may differ where noise tells nothing, in units of the type's last place
ULPS = 32
#: how much of the disturbed runs' spread a result may differ by
SPREAD = 8
#: the smallest number of the float type whose next number from 1 is so far: below it there are no last places
LEAST = {2.0**-52: 2.0**-1074, 2.0**-23: 2.0**-149, 2.0**-10: 2.0**-24, 2.0**-7: 2.0**-133}
MOST_STEPS = 10
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
    """

    names: dict[str, Any]
    refused: tuple[type[BaseException], ...]
    parts: tuple[Part, ...]

    def make(self, spec: ArraySpec) -> Any: ...
    def is_array(self, value: Any) -> bool: ...
    def size(self, value: Any) -> tuple[int, int]: ...  # elements, axes
    def disturb(self, value: Any, rng: Any) -> Any: ...
    def disturb_inside(self, value: Any, rng: Any) -> None: ...
    def noise(self, seed: int) -> Any: ...
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


def text_of(steps: Sequence[Step], inputs: int, noisy: bool = False) -> str:
    """The program's text; `noisy`: each step's result passes through D (disturb) or W (disturb what was written)."""
    count, lines = inputs, []
    for step in steps:
        text = step.text(count)
        if step.writes:
            lines.append(text)
            if noisy:
                lines.append(f"W(v{step.operands[0] % count})")
        else:
            lines.append(f"v{count} = D({text})" if noisy else f"v{count} = {text}")
            count += 1
    shown = [f"v{i}" for i in range(max(0, count - 4), count)]
    arguments = ", ".join([f"v{i}" for i in range(inputs)] + ["n", "k"])
    return (
        f"def program({arguments}):\n"
        + "".join(f"    {line}\n" for line in lines)
        + f"    return {', '.join(shown)},\n"
    )


def legal(case: Case, arrays: Arrays) -> tuple[Step, ...]:
    """The steps that the framework accepts one after the other on the first call's arguments."""
    first = case.calls[0]
    values = [arrays.make(a) for a in first.arrays]
    kept: list[Step] = []
    for step in case.steps:
        if len(kept) == MOST_STEPS:
            break
        scope = {**arrays.names, **{f"v{i}": v for i, v in enumerate(values)}, "n": first.n, "k": first.k}
        text = step.text(len(values))
        try:
            if step.writes:
                exec(text, scope)  # noqa: S102 - our own text
            else:
                made = eval(text, scope)  # noqa: S307 - our own text
        except arrays.refused:
            if case.errors:
                return (*kept, step)
            continue
        if not step.writes:
            if not arrays.is_array(made) or arrays.size(made)[0] > MOST_ELEMENTS or arrays.size(made)[1] > 5:
                continue
            values.append(made)
        # operands are counted among the values there are at this line: fix them, whatever is left out later
        count = len(values) - (not step.writes)
        kept.append(replace(step, operands=tuple(o % count for o in step.operands)))  # type: ignore[arg-type]
    return tuple(kept)


def function_of(text: str, arrays: Arrays, extra: dict[str, Any] | None = None) -> Callable[..., Any]:
    scope = {**arrays.names, **(extra or {})}
    exec(compile(text, "<hunted program>", "exec"), scope)  # noqa: S102 - our own text
    return scope["program"]


def observe(function: Callable[..., Any], call: CallSpec, arrays: Arrays) -> Run:
    """Call once, on fresh arguments."""
    arguments = [arrays.make(a) for a in call.arrays]
    results, error = [], None
    try:
        results = list(function(*arguments, call.n, call.k))
    except Exception as raised:
        error = raised
    recorder = Recorder(arrays.parts)
    for what, values in (("argument", arguments), ("result", results)):
        for i, value in enumerate(values):
            recorder.write(value, f"{what} {i}")
    return Run(recorder.facts, error)


def measured(want: Numbers, disturbed: Sequence[Numbers]) -> tuple[float, np.ndarray]:
    """By what the disturbed runs made of each number."""
    w = want.elements
    largest = np.abs(w[np.isfinite(w)]).max(initial=0.0)
    allowed = ULPS * want.step * np.nan_to_num(np.abs(w)) + 4 * want.step * largest + LEAST.get(want.step, 0.0)
    for other in disturbed:
        o = other.elements
        split = (np.isnan(o) != np.isnan(w)) | (np.isinf(o) != np.isinf(w))
        allowed = np.where(split, np.inf, np.maximum(allowed, SPREAD * np.nan_to_num(np.abs(o - w))))
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
        want = observe(plain, call, arrays)
        noisy = [_noisy(steps, case, call, arrays, seed) for seed in range(NOISY_RUNS)]
        if any(type(n.error) is not type(want.error) for n in noisy):
            continue  # whether it raises depends on a rounding
        got = observe(compiled, call, arrays)
        try:
            if _raises(want.error) != _raises(got.error):
                raise Difference(f"{_raises(got.error)}, eager {_raises(want.error)}")
            COMPARISON.check(want.facts, got.facts, disturbed=[n.facts for n in noisy])
        except Difference as difference:
            calls = "\n".join(map(str, case.calls[: number + 1]))
            error = Difference(f"call {number}: {difference}\n{text}{case.settings}\n{calls}")
            raise error from got.error
    return text


def _noisy(steps: Sequence[Step], case: Case, call: CallSpec, arrays: Arrays, seed: int) -> Run:
    rng = arrays.noise(seed)
    extra = {"D": lambda v: arrays.disturb(v, rng), "W": lambda v: arrays.disturb_inside(v, rng)}
    return observe(function_of(text_of(steps, case.inputs, noisy=True), arrays, extra), call, arrays)


def _raises(error: BaseException | None) -> str:
    return "raises nothing" if error is None else f"raises {type(error).__name__}: {error}"
