"""The comparer tells apart what can be told apart, and the runner what two runs did differently."""

# mypy: ignore-errors

from __future__ import annotations

import collections
import datetime
import functools

import numpy as np
import pytest
from comparison import Comparison, Difference, Recorder, within
from numpy_values import NUMPY
from registry import Topic
from running import Ground, agree

LINE = np.arange(6.0)
SHARED = [1]
CELL = 1


class Box:
    __slots__ = ("__hidden", "seen")

    def __init__(self, hidden, seen=None):
        self.__hidden, self.seen = hidden, seen


class Named:
    def __init__(self, **held):
        self.__dict__.update(held)


class Odd(list):
    """Shows nothing of what it holds."""

    def __iter__(self):
        return iter(())

    def __len__(self):
        return 0


def raised(*args, cause=None, context=None):
    error = ValueError(*args)
    error.__cause__, error.__context__ = cause, context
    return error


def closure(held, default=None):
    return lambda argument=default: (held, argument)


def facts(value):
    recorder = Recorder([NUMPY])
    recorder.write(value)
    return recorder.facts


#: values that must not pass for each other
APART = {
    "type": (1, True),
    "number": (1.0, 1.5),
    "sign of zero": (0.0, -0.0),
    "NaN": (float("nan"), 0.0),
    "list": ([1, 2], [1, 3]),
    "list's length": ([1, 2], [1]),
    "what a subclass hides": (Odd([1]), Odd([2])),
    "keys' order": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "ordered dict's own order": (
        collections.OrderedDict(a=1, b=2),
        functools.reduce(lambda d, k: d.move_to_end(k) or d, ["a"], collections.OrderedDict(a=1, b=2)),
    ),
    "set": ({1, "a"}, {1, "b"}),
    "set of objects": ({Named(a=1)}, {Named(a=2)}),
    "attribute": (Named(a=[1]), Named(a=[2])),
    "attributes' order": (Named(a=1, b=2), Named(b=2, a=1)),
    "slot": (Box(1), Box(2)),
    "slot without a value": (Box(1, None), Box.__new__(Box)),
    "deque": (collections.deque([1], 3), collections.deque([2], 3)),
    "an object of C": (datetime.date(2024, 1, 2), datetime.date(2024, 1, 3)),
    "bytes": (bytearray(b"a"), bytearray(b"b")),
    "partial": (functools.partial(max, 1), functools.partial(max, 2)),
    "view of a dict": ({"a": 1}.items(), {"a": 2}.items()),
    "exception's arguments": (raised("a"), raised("b")),
    "exception's cause": (raised(cause=raised("a")), raised()),
    "exception's context": (raised(context=raised("a")), raised()),
    "cell": (closure(1), closure(2)),
    "default": (closure(1, 2), closure(1, 3)),
    "function": (closure, facts),
    "bound method": (Named(a=1).__init__, Named(a=2).__init__),
    "built-in method": ([1].append, [1].pop),
    "built-in method's object": ([1].append, [2].append),
    "one object twice": ((SHARED, SHARED), (SHARED, [1])),
    "two objects": ((SHARED, [1]), (SHARED, SHARED)),
    "array's value": (LINE, LINE + 1e-3),
    "array's NaN": (LINE, np.where(LINE == 2, np.nan, LINE)),
    "array's sign of zero": (LINE, np.where(LINE == 0, -0.0, LINE)),
    "array's dtype": (LINE, LINE.astype(np.float32)),
    "array's shape": (LINE, LINE[None]),
    "array's strides": (LINE.reshape(2, 3), np.asfortranarray(LINE.reshape(2, 3))),
    "array's flag": (LINE, np.broadcast_to(LINE, LINE.shape)),
    "memory shared": ([LINE, LINE[1:]], [LINE, LINE[1:].copy()]),
    "memory not shared": ([LINE, LINE[1:].copy()], [LINE, LINE[1:]]),
    "scalar": (np.float32(1), np.float32(1.5)),
    "scalar or array": (np.float32(1), np.array(1, np.float32)),
    "objects in an array": (np.array([1, "a"], object), np.array([1, "b"], object)),
    "integers": (np.array([1 << 60]), np.array([(1 << 60) + 1])),
}


@pytest.mark.parametrize("case", APART)
def test_differences_are_seen(case):
    one, other = APART[case]
    Comparison().check(facts(one), facts(one))
    for a, b in ((one, other), (other, one)):
        with pytest.raises(Difference, match="result"):
            Comparison().check(facts(a), facts(b))


def test_equal_values_made_twice_agree():
    def made():
        error, loop = raised("a", cause=KeyError(2)), [1]
        loop.append(loop)
        array = np.arange(6.0)
        local = type("Local", (), {})
        return [
            {1: (2, "a")},
            loop,
            error,
            closure([1]),
            Named(a=LINE),
            {Named(a=1)},
            [array, array[1:]],
            local(),
            object(),
        ]

    Comparison().check(facts(made()), facts(made()))


def test_what_may_differ():
    near, other = LINE + 1e-5, np.asfortranarray(LINE.reshape(2, 3))
    Comparison(within(1e-4)).check(facts(LINE), facts(near), "")
    Comparison(signs=False).check(facts([0.0, LINE]), facts([-0.0, LINE]))
    Comparison(ignore=frozenset({"strides"})).check(facts(LINE.reshape(2, 3)), facts(other))
    with pytest.raises(Difference, match=r"call 1 result: values 5 of 6 differ, element 1: 1\.00001 instead of 1\.0"):
        Comparison().check(facts(LINE), facts(LINE * (1 + 1e-5)), "call 1 ")


# ---------------------------------------------------------------- running

program = Topic(__name__, lambda fn: lambda call: (np.arange(3.0), call))
COUNT, LOG = 0, []


@program(state=("COUNT", "LOG"))
def busy(x, n):
    global COUNT
    COUNT += 1
    LOG.append(n)
    x += 1
    print("call", n)
    if n == 1:
        raise KeyError(n)
    return x[1:], COUNT


@program.script
def scripted(c):
    f = c(lambda x: x * 2)
    for n in (1.0, 2.0):
        yield f(n)


def printing(f, *args):
    print("more")
    return f(*args)


def forgetting(f, *args):
    global COUNT
    found, COUNT = f(*args), 0
    return found


def other_error(f, *args):
    try:
        return f(*args)
    except KeyError:
        raise KeyError(2) from None


FAULTS = {
    "a result": lambda f, *args: (f(*args)[0], 7),
    "memory": lambda f, *args: (lambda r: (r[0].copy(), r[1]))(f(*args)),
    "a lost write": lambda f, x, n: (x[1:] + 1, f(x.copy(), n)[1]),
    "a global": forgetting,
    "a global list": lambda f, *args: (f(*args), LOG.append(0))[0],
    "something printed": printing,
    "an error": other_error,
}
GROUND = Ground(parts=(NUMPY,))


@pytest.mark.parametrize("program", program, ids=str)
def test_a_program_agrees_with_itself(program):
    agree(program, lambda fn: fn, GROUND)
    assert COUNT == 0 and LOG == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault):
    with pytest.raises(Difference, match=r"^call [01]"):
        agree(program[0], lambda fn: functools.partial(FAULTS[fault], fn), GROUND)


def test_an_error_of_the_compiled_program_alone_is_raised():
    with pytest.raises(ZeroDivisionError):
        agree(program[0], lambda fn: lambda *args: 1 / 0, GROUND)


def test_what_a_script_sees_is_compared():
    with pytest.raises(Difference, match="call 1 result: value 5.0 instead of 4.0"):
        agree(program[1], lambda fn: lambda x: fn(x) + (x == 2.0), GROUND)


def test_what_depends_on_a_rounding_is_not_compared():
    def facts(value):
        recorder = Recorder((NUMPY,))
        recorder.write(value, "result")
        return recorder.facts

    want, other = facts([LINE, 1]), facts([LINE, 2])
    check = Comparison(lambda want, others: (0.0, 0.0)).check
    check(want, other, disturbed=[facts([LINE[0], 1])])  # one number, or several
    check(want, other, disturbed=[facts([LINE])])
    with pytest.raises(Difference, match="2 instead of 1"):
        check(want, other, disturbed=[facts([LINE, 1])])
