"""The public corpus with a graph break before statements: results, mutations and exceptions stay plain Python's.

Where a frame may be left and entered again is asked of the continuations; the break is put there as a stop that an earlier
attempt would have learned, so the pieces before and behind it are compiled like any others.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from cutting import can_cut  # noqa: E402
from quern.capture.breaks import BreakReason  # noqa: E402
from quern.capture.entry.dispatch import CompiledFunction  # noqa: E402
from registry import Program, programs  # noqa: E402
from running import agree  # noqa: E402
from torch_values import GROUND  # noqa: E402

import quern  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
PROGRAMS = programs("torch")

CASES = [pytest.param(p, marks=[pytest.mark.xfail] if "cut" in p.known else []) for p in PROGRAMS]


def statements(function: CompiledFunction) -> list[int]:
    """Instructions that begin a line, where a continuation can begin."""
    view = function.dispatcher.region.view
    found, line = [], None
    for index, instruction in enumerate(view.instructions):
        here = instruction.line
        if here is not None and here != line and index and can_cut(view.code, index):
            found.append(index)
        line = here if here is not None else line
    return found


def cut(compiled: Any, choose: Any) -> None:
    """Put stops into every compiled function behind `compiled`."""
    for function in quern.api.functions_of(compiled):
        if not function.dispatcher.region.view.can_suspend:
            for index in choose(statements(function)):
                function.family.stops[index] = BreakReason("cut", "a statement that the test chose")


def run_cut(program: Program, choose: Any) -> None:
    def prepare(fn: Any) -> Any:
        compiled = quern.compile(fn, backend="eager")
        cut(compiled, choose)
        return compiled

    agree(program, prepare, GROUND)


@pytest.mark.parametrize("program", CASES[::7], ids=list(map(str, PROGRAMS[::7])))
def test_cut_before_every_statement(program: Program) -> None:
    run_cut(program, lambda places: places)


@pytest.mark.slow
@pytest.mark.parametrize("program", CASES, ids=list(map(str, PROGRAMS)))
def test_cut_anywhere(program: Program) -> None:
    run_cut(program, lambda places: places)
    chosen = random.Random(0)
    for _ in range(3):
        run_cut(program, lambda places: chosen.sample(places, min(1, len(places))))
