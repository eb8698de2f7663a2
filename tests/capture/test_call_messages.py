"""What the interpreter says of calls whose arguments cannot be put together: it names what was called."""

from __future__ import annotations

import inspect
import sys
import traceback

import numpy as np
import pytest

import quern


def _taking(a, *, c=1):
    return a + c


class _Taking:
    def method(self, *, c=1):
        return c

    def __str__(self):
        return "an object"

    __repr__ = __str__


CALLS = {
    "function": lambda: _taking(1, c=1, **{"c": 2}),
    "method": lambda: _Taking().method(c=1, **{"c": 2}),
    "class": lambda: _Taking(c=1, **{"c": 2}),
    "builtin class": lambda: dict(c=1, **{"c": 2}),
    "lambda": lambda: (lambda **k: k)(**{"a": 1}, **{"a": 2}),
    "object": lambda: _Taking()(**{"a": 1}, **{"a": 2}),
    "no mapping": lambda: _taking(1, **3),
    "no mapping beside keywords": lambda: _taking(1, c=1, **3),
    "no iterable": lambda: _taking(*3),
    "no iterable beside others": lambda: _taking(1, *3, **{"c": 1}),
    "no text": lambda: _taking(**{1: 2}),
    "method of a constant": lambda: "a".join(*1),
}


@pytest.mark.parametrize("name", CALLS)
def test_messages(name):
    def program(x):
        try:
            CALLS[name]()
        except TypeError as error:
            return x + 1, str(error)
        return x, "passed"

    _, wanted = program(np.ones(2))
    assert wanted != "passed"
    with quern.config.patch(on_error="raise"):
        assert quern.compile(program)(np.ones(2))[1] == wanted


def test_divmod_has_words_of_its_own():
    def program(x, number):
        said = []
        for call in (lambda: number // 0.0, lambda: divmod(number, 0.0), lambda: number % 0.0, lambda: divmod(7, 0)):
            try:
                call()
            except ZeroDivisionError as error:
                said.append(str(error))
        return x, said

    compiled = quern.compile(program)
    for number in (1.0, 2.0, 3.0):
        assert compiled(np.ones(1), number)[1] == program(np.ones(1), number)[1]


def _caller():
    return inspect.currentframe().f_back.f_code.co_name, inspect.stack()[1].function


FRAMES = {
    "variables": lambda x: (x + 1, sorted(inspect.currentframe().f_locals), inspect.currentframe().f_lineno),
    "caller": lambda x: (x + 1, _caller()),
    "getframe": lambda x: (x + 1, sys._getframe().f_code.co_name),
    "stack": lambda x: (x + 1, traceback.extract_stack()[-1].name),
    "text of the stack": lambda x: (x + 1, traceback.format_stack()[-1]),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_the_programs(name):
    """A function that looks at the running frames sees its own, not those of compiled code."""
    compiled = quern.compile(FRAMES[name])
    for _ in range(2):
        assert compiled(np.ones(2))[1:] == FRAMES[name](np.ones(2))[1:]
