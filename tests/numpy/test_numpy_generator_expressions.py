"""What builtins make of generator expressions over arrays, and of arrays: one loop for all lengths, with the builtin's own order, early
ends and exceptions.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
from numpy_values import equal

import quern

R = np.random.default_rng(7)
LENGTHS = (1, 2, 3, 20, 40, 50)


@pytest.fixture(autouse=True)
def strict():
    with quern.config.patch(on_error="raise"):
        yield


def _power(x, k):
    return x**k if x > 0 else -x


#: programs over an array v; each is one graph, the same one from the second length of many rounds on
ROLLED = {
    "sum": lambda v: sum(x * 2 for x in v),
    "sum of a range": lambda v: sum(v[i] * i for i in range(len(v))),
    "sum of pairs": lambda v: sum(x * y for x, y in zip(v, v[::-1])),
    "sum of numbered ones": lambda v: sum(i * x for i, x in enumerate(v)),
    "sum of chosen ones": lambda v: sum(x * x for x in v if x > 0),
    "count of chosen ones": lambda v: sum(1 for x in v if 0 < x < 1),
    "sum of truths": lambda v: sum(x > 0 for x in v),
    "sum with a start": lambda v: sum((x for x in v), 1.5),
    "sum of sums": lambda v: sum(r.sum() for r in np.outer(v, v)),
    "sum of rows": lambda v: sum(r * 2 for r in np.outer(v, v[:1])),
    "sum of all elements": lambda v: sum(x for r in np.outer(v, v) for x in r),
    "sum of elements by places": lambda v: sum(v[i] * j for i in range(len(v)) for j in range(3)),
    "sum with a function": lambda v: sum(_power(x, 2) for x in v),
    "sum of a list": lambda v: sum([x * x for x in v]),
    "sum of a list of rows": lambda v: sum([r * r.sum() for r in np.outer(v, v[:1])]),
    "sum of an array": lambda v: sum(v),
    "sum of an array's rows": lambda v: sum(np.outer(v, v[:1])),
    "sum of narrow floats": lambda v: sum(v.astype(np.float32)),
    "sum of truths of an array": lambda v: sum(v > 0),
    "any": lambda v: any(x > 1.5 for x in v),
    "all": lambda v: all(x > -1.5 for x in v),
    "any of neighbours": lambda v: any(v[i] > v[i + 1] for i in range(len(v) - 1)),
    "any of an array": lambda v: any(v > 2),
    "all of an array": lambda v: all(v > -9),
    "max of an array": lambda v: (max(v), min(v)),
    "max of rows": lambda v: (max(r.max() for r in np.outer(v, v)), min(r.min() for r in np.outer(v, v))),
    "max of values": lambda v: max(abs(x) for x in v),
    "max of NaN": lambda v: (max(np.where(v > 0, np.nan, v)), min(np.where(v > 0, np.nan, v))),
}


@pytest.mark.parametrize("name", ROLLED)
def test_one_graph_for_all_lengths(name):
    program = ROLLED[name]
    fast = quern.compile(program, fullgraph=True)
    before = None
    for n in (40, 50, 60, 45):
        v = R.standard_normal(n)
        with np.errstate(all="ignore"):
            equal(fast(v), program(v), rtol=1e-12)
        compiled = len(fast.recompiles)
        assert before is None or n == 50 or compiled == before
        before = compiled
    assert not fast.breaks


def _whole(v):
    items = (x for x in v)
    return sum(items), sum(items)


def _begun(v):
    items = (x * 2 for x in v)
    return next(items), sum(items)


def _writes(v):
    made = np.zeros(len(v))
    return made, sum(made.__setitem__(i, v[i]) is None for i in range(len(v)))


def _last(v):
    y = None
    return any((y := x) > 0.5 for x in v), y


def _noted(v):
    noted = []
    return sum((noted.append(1), x)[1] for x in v), len(noted)


def _caught(v):
    try:
        return sum(v[i + 1] for i in range(len(v)))
    except IndexError as error:
        return str(error)


#: the same answers, whether it is rolled or not
OTHERS = {
    "nothing": lambda v: (sum(x for x in v[:0]), any(x for x in v[:0]), all(x for x in v[:0]), sum(v[:0])),
    "largest of nothing": lambda v: max(x for x in v[:0]),
    "largest of chosen ones": lambda v: max((x for x in v if x > 0), default=-1),
    "largest by a key": lambda v: max((x for x in v), key=lambda x: -x),
    "a generator twice": _whole,
    "a generator that was begun": _begun,
    "writes": _writes,
    "an assignment inside": _last,
    "changes of a list": _noted,
    "an index beyond the end": lambda v: sum(v[i + 1] for i in range(len(v))),
    "an index beyond the end, caught": _caught,
    "an end before an index beyond": lambda v: any(v[i] > -9 and v[i + 5] > -99 for i in range(len(v))),
    "division by zero": lambda v: sum(1 / x for x in np.round(v)),
    "truths of rows": lambda v: any(np.outer(v, v)),
    "Python's floats": lambda v: sum(float(x) for x in v),
    "Python's ints": lambda v: (sum(int(x) for x in v), max(int(x) for x in v)),
    "complex numbers": lambda v: sum(x * 1j for x in v),
    "sums of generators": lambda v: sum(sum(x for x in r) for r in np.outer(v, v)),
    "lists of arrays": lambda v: sum([v, v * 2, v * 3]),
    "arrays of a list": lambda v: sum(x.sum() for x in [v, v * 2]),
    "kept items": lambda v: np.array(sorted(x * 2 for x in v)),
    "small integers": lambda v: sum(v.astype(np.int8)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_as_python_does_it(name):
    program = OTHERS[name]
    fast = quern.compile(program)
    for n in LENGTHS:
        v = R.standard_normal(n)
        outcomes = []
        for function in (program, fast):
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                try:
                    made = function(v)
                except (IndexError, ValueError) as error:
                    made = (type(error).__name__, str(error))
            outcomes.append((made, [str(w.message) for w in said]))
        (wanted, warned), (found, noted) = outcomes
        assert noted == warned
        if isinstance(wanted, tuple) and isinstance(wanted[0], str):
            assert found == wanted
        else:
            equal(found, wanted, rtol=1e-12)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sums of floats are plain there")
def test_sums_of_floats_are_as_exact_as_pythons():
    program = lambda v: sum(float(x) for x in v)  # noqa: E731
    v = np.array([1e16, 1.0, -1e16] * 20)
    assert quern.compile(program)(v) == program(v)
