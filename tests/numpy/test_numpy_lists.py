"""Long lists of numbers or rows that become arrays: one input each, whatever their length; their loops are Python's."""

from __future__ import annotations

import numpy as np
import pytest

import quern

R = np.random.default_rng(2)


@pytest.fixture(autouse=True)
def strict():
    with quern.config.patch(on_error="raise"):
        yield


def smoothed(v):
    out, s = [], v[0]
    for x in v:
        s = 0.1 * x + 0.9 * s
        out.append(s)
    return np.array(out) * 2


def differences(v):
    out = []
    for i in range(1, len(v)):
        out.append((v[i] - v[i - 1]) / 2)
    return np.asarray(out).sum()


def positives(v):
    out = []
    for i in range(len(v)):
        if v[i] > 0:
            out.append(v[i])
    return np.array(out)


def rows(v):
    out = []
    for r in np.outer(v, v[:5]):
        out.append(r / r.sum())
    return np.stack(out)


@pytest.mark.parametrize("program", [smoothed, differences, positives, rows])
def test_growing_lists(program):
    fast = quern.compile(program)
    for n in (100, 130, 170, 90):
        v = R.standard_normal(n)
        np.testing.assert_allclose(fast(v), program(v), rtol=1e-12)
    assert len(fast.recompiles) <= 3  # of the function, its loop, its rest


LISTS = [
    [float(i) for i in range(40)], [float(i) for i in range(50)], list(range(60)), [True] * 40, [1.5, 2] * 30, [1j] * 33, [2**70] * 40,
    ["a"] * 40, [None] * 40, [np.float32(2)] * 50, [np.float64(2)] * 51, [[1, 2]] * 40, [1.0] * 3, [],
]  # fmt: skip


def test_lists_of_all_kinds_in_turn():
    def program(items):
        return np.array(items) * 2

    fast = quern.compile(program)
    for items in LISTS:
        outcomes = []
        for function in (program, fast):
            try:
                made = function(list(items))
                outcomes.append((made.dtype, repr(made)))
            except Exception as error:
                outcomes.append((type(error), str(error)))
        assert outcomes[0] == outcomes[1]


def test_the_array_is_the_programs_own():
    def program(items):
        made = np.array(items)
        made[0] = 99
        items.append(1.0)
        return made, np.asarray(items), items[0]

    fast = quern.compile(program)
    for n in (40, 41, 45):
        one, other = list(map(float, range(n))), list(map(float, range(n)))
        wanted, got = program(one), fast(other)
        assert repr(got) == repr(wanted) and one == other


def test_rows_that_were_written_to_before():
    def program(items, a):
        a[:] = 7
        return np.stack(items).sum()

    fast = quern.compile(program)
    for n in (40, 41, 45):
        items = [R.standard_normal(3) for _ in range(n)]
        copies = [r.copy() for r in items]
        assert program(items, items[5]) == pytest.approx(fast(copies, copies[5]))


def test_lists_inside_that_were_changed_before():
    def program(items, row):
        row.append(1.0)
        row.pop(0)
        return np.array(items).sum(), items[3] is row

    fast = quern.compile(program)
    for n in (40, 41, 45):
        items, others = ([[1.0, float(i)] for i in range(n)] for _ in range(2))
        assert program(items, items[3]) == fast(others, others[3]) and items == others


def test_rows_of_several_sizes_are_refused():
    fast = quern.compile(lambda items: np.stack(items).sum(0))
    fast([np.ones(3)] * 40)
    with pytest.raises(ValueError, match="same shape"):
        fast([*[np.ones(3)] * 39, np.ones(4)])


def test_a_list_of_the_programs():
    numbers = [1.0] * 40
    fast = quern.compile(lambda x: x + np.array(numbers))
    assert fast(np.zeros(40)).sum() == 40
    numbers[0] = 5.0
    assert fast(np.zeros(40)).sum() == 44
