"""Every function of the corpus: one graph, also for other numbers, NumPy's results."""

from __future__ import annotations

import numpy as np
import pytest
from comparison import Comparison
from numpy_compiled import compiled
from numpy_values import GROUND, near
from registry import Expect, Program, programs
from running import agree

PROGRAMS = programs("numpy")


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_workload(program: Program, backend: str) -> None:
    made = []

    def prepare(function):
        made.append(compiled(function, backend))
        return made[0]

    agree(program, prepare, GROUND, Comparison(near(program.error)))
    assert program.expect is Expect.WHOLE
    assert len(made[0].entries) == 1
    assert not made[0].breaks


def test_the_corpus_is_sound() -> None:
    assert len(PROGRAMS) >= 40
    assert len({p.name for p in PROGRAMS}) == len(PROGRAMS)
    for p in PROGRAMS:
        for a, b in zip(p.args(0), p.args(0)):
            np.testing.assert_array_equal(a, b)
