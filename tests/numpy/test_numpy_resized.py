"""`a.resize(...)` in place, which NumPy refuses where anything else refers to the array: compiled code holds none of them then."""

from __future__ import annotations

import numpy as np
import pytest

import quern


def behind_a_copy(x):
    v = x * 2
    v.copy()
    quern.graph_break()
    v.resize(2)
    return v


def larger(x):
    v = x * 2
    w = v.copy()
    quern.graph_break()
    v.resize(9)
    return v, w


def with_a_view(x):
    v = x * 2
    w = v[1:]
    quern.graph_break()
    v.resize(9)
    return v, w


def without_another_break(x):
    v = x + 1
    v.resize((2, 2))
    return v


def made_behind_a_break(x):
    quern.graph_break()
    v = np.zeros(5) + x[0]
    quern.graph_break()
    v.resize(2)
    return v


def several_times(x):
    v = x + 1
    for size in (2, 3):
        quern.graph_break()
        v.resize(size)
    return v


def _resized(x):
    v = x - 1
    v.resize(3)
    return v


def in_a_call(x):
    return _resized(x) * 2, _resized(x * 2)


def to_the_same_size(x):
    v = x * 3
    v.resize(5)
    return v * 2


PROGRAMS = [
    behind_a_copy, larger, with_a_view, without_another_break, made_behind_a_break, several_times, in_a_call, to_the_same_size,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_an_array_is_resized_as_in_plain_python(program, backend):
    def outcome(call):
        try:
            result = call(np.arange(5.0))
        except ValueError as refusal:
            return str(refusal)
        return [a.tolist() for a in (result if isinstance(result, tuple) else (result,))]

    compiled = quern.compile(program, backend=backend)
    for _ in range(2):
        assert outcome(compiled) == outcome(program)


def test_a_program_that_resizes_something_else_is_captured():
    class Picture:
        size = 1

        def resize(self, size):
            self.size = size

    def program(x):
        picture = Picture()
        picture.resize(3)
        return x * picture.size

    assert (quern.compile(program, fullgraph=True)(np.arange(5.0)) == np.arange(5.0) * 3).all()
