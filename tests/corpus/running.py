"""Running a program plain and compiled, and comparing all that can be seen of it."""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from comparison import Comparison, Difference, Fact, Part, Recorder, within
from registry import Program

_AS_IS: Callable[[Any], Any] = lambda fn: fn  # noqa: E731


@dataclass(frozen=True)
class Ground:
    """What a framework brings to a run.

    parts:  what there is to see of its values
    seed:   its random numbers from here on
    around: what a program's calls run under
    modes:  what a call may leave changed
    reset:  puts modes back
    """

    parts: tuple[Part, ...] = ()
    seed: Callable[[int], Any] = lambda number: None
    around: Callable[[Program], contextlib.AbstractContextManager[Any]] = lambda program: contextlib.nullcontext()
    modes: Callable[[], Any] = lambda: None
    reset: Callable[[Any], Any] = lambda modes: None


@dataclass(frozen=True)
class Run:
    """What one call could be seen to do, and the exception that it raised."""

    facts: list[Fact]
    error: BaseException | None = None


@dataclass(frozen=True)
class Seen:
    """One call, and its record, to which more can be written."""

    recorder: Recorder
    result: Any
    error: BaseException | None


def runs(
    program: Program, prepare: Callable[[Any], Any], ground: Ground, plain: Sequence[Run] | None = None
) -> Iterator[Run]:
    """The program's calls one after the other; `prepare` gives what is called in place of its function.

    plain: the same of the plain program: an error that it has not is raised
    """
    return _script(program, prepare, ground) if program.script else _calls(program, prepare, ground, plain)


def _script(program: Program, prepare: Callable[[Any], Any], ground: Ground) -> Iterator[Run]:
    ground.seed(0)
    for seen in program.make()(prepare):
        recorder = Recorder(ground.parts)
        recorder.write(seen)
        yield Run(recorder.facts)


def _calls(
    program: Program, prepare: Callable[[Any], Any], ground: Ground, plain: Sequence[Run] | None
) -> Iterator[Run]:
    state = copy.deepcopy({k: program.scope[k] for k in program.state if k in program.scope})
    with _installed(program, state), ground.around(program):
        ground.seed(0)
        function = program.make()
        callee = prepare(function)
    for number in range(program.calls):
        ground.seed(number)
        random.seed(number)
        args = program.args(number)
        ground.seed(100 + number)
        with _installed(program, state), ground.around(program):
            fails = plain is None or plain[number].error is not None
            seen = observe(functools.partial(callee, *args), ground, program.scope["__file__"], fails)
        seen.recorder.write((args, state, function), "(arguments, globals, function)")
        yield Run(seen.recorder.facts, seen.error)


def observe(call: Callable[[], Any], ground: Ground, file: str = "", fails: bool = True) -> Seen:
    """Make a call and write down its result or exception, the lines of `file` that this passed, what was printed, and modes.

    fails: the call may raise; otherwise what it raises is not written down but raised
    """
    result = error = None
    lines: list[tuple[str, int | None]] = []
    modes = ground.modes()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            result = call()
        except Exception as raised:
            if not fails:
                ground.reset(modes)
                raise
            error = raised
            lines = [(f.name, f.lineno) for f in traceback.extract_tb(raised.__traceback__) if f.filename == file]
            forget_tracebacks(raised)
    left = ground.modes()
    ground.reset(modes)
    recorder = Recorder(ground.parts)
    recorder.write(error, "error")
    recorder.write(lines, "traceback")
    recorder.write(result, "result")
    recorder.write(printed.getvalue(), "printed")
    recorder.write(left, "modes")
    return Seen(recorder, result, error)


def forget_tracebacks(error: BaseException | None) -> None:
    """Frames hold what the program let go."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = None
        if error.__cause__ is not None:
            forget_tracebacks(error.__cause__)
        error = error.__context__


@contextlib.contextmanager
def _installed(program: Program, state: dict[str, Any]) -> Iterator[None]:
    """The program's globals are this run's."""
    scope, names = program.scope, program.state
    before = {k: scope[k] for k in names if k in scope}
    for name in names:
        scope.pop(name, None)
    scope.update(state)
    try:
        yield
    finally:
        state.clear()
        state.update({k: scope[k] for k in names if k in scope})
        for name in names:
            scope.pop(name, None)
        scope.update(before)


def agree(
    program: Program, prepare: Callable[[Any], Any], ground: Ground, comparison: Comparison | None = None
) -> None:
    """Run a program plain and prepared; every call must agree."""
    comparison = comparison or Comparison(within(program.error))
    plain = list(runs(program, _AS_IS, ground))
    calls = 0
    for got in runs(program, prepare, ground, plain):
        if calls == len(plain):
            raise Difference(f"more calls than {calls}")
        comparison.check(plain[calls].facts, got.facts, f"call {calls} ")
        calls += 1
    if calls != len(plain):
        raise Difference(f"{calls} calls instead of {len(plain)}")
