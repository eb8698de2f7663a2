"""Random programs of views and writes: compiled, they do to every array what NumPy does."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_compiled import BACKENDS, check, compiled
from numpy_programs import program


def make(seed):
    source, arguments = program(seed)
    scope = {"np": np}
    filename = f"<program {seed}>"
    exec(compile(source, filename, "exec"), scope)
    return scope["f"], source, arguments


@pytest.mark.parametrize(("backend", "seeds"), [("eager", range(200)), ("inductor", range(200, 240))])
def test_random_programs(backend, seeds):
    assert backend in BACKENDS
    for seed in seeds:
        function, source, arguments = make(seed)
        try:
            check(compiled(function, backend), function, *arguments, strides=backend == "inductor")
        except Exception as error:
            raise AssertionError(f"program {seed}:\n{source}") from error


def test_programs_are_made_again_from_their_seeds():
    assert program(5)[0] == program(5)[0]
    assert program(5)[0] != program(6)[0]
