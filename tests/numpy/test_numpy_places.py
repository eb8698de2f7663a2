"""`np.ndindex` and `np.ndenumerate`: loops over the places of an array, and arrays that `np.ndarray` makes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_compiled import agree, compiled
from test_numpy_loops import both, loops_of


def weighted(a):
    total = 0.0
    for i, j in np.ndindex(a.shape):
        total += a[i, j] * (i - 2 * j)
    return total


def as_numbers(a):
    total = 0.0
    for i, j in np.ndindex(len(a), a.shape[1]):
        total += a[i, j] * (i - 2 * j)
    return total


def by_place(a):
    total = 0.0
    for place in np.ndindex(a.shape):
        total += a[place] + place[0]
    return total


def with_values(a):
    total, largest = 0.0, (0, 0)
    for (i, j), v in np.ndenumerate(a):
        if v > a[largest]:
            largest = (i, j)
        total += v * i
    return total, largest


def smoothed(a):
    for i, j in np.ndindex(a.shape[0] - 2, a.shape[1] - 2):
        a[i + 1, j + 1] = (a[i, j + 1] + a[i + 2, j + 1] + a[i + 1, j] + a[i + 1, j + 2]) / 4
    return a


def seen_when_written(a):
    total = 0.0
    for (i, j), v in np.ndenumerate(a):
        a[-1, -1] = i + j
        total += v
    return total, a


def counted(a):
    total = 0.0
    for k, (i, j) in enumerate(np.ndindex(a.shape)):
        if k > 17:
            break
        total += a[i, j] * k
    return total


def in_a_loop(a):
    total = 0.0
    for t in range(3):
        for i, j in np.ndindex(a.shape):
            total += a[i, j] * t
    return total


def of_three_axes(a):
    b = a.reshape(2, -1, a.shape[1])
    total = 0.0
    for i, j, k in np.ndindex(b.shape):
        total += b[i, j, k] * (i + 2 * j + 3 * k)
    return total


LOOPS = [weighted, as_numbers, by_place, with_values, smoothed, of_three_axes]


@pytest.mark.parametrize("program", LOOPS)
def test_loops_over_places_are_rolled(program):
    fast = compiled(program, "inductor")
    for n in (10, 12, 14, 6):
        both(program, fast, (np.linspace(0, 1, n * (n + 1)).reshape(n, n + 1) * 7 % 1,))
    assert loops_of(fast) >= 1 and len(fast.explain_records) <= 2


def of_no_axes(a):
    return [p for p in np.ndindex()], [v * 2 for _, v in np.ndenumerate(a[0, :1])]


def partly(a):
    places = np.ndindex(a.shape)
    first = next(places)
    print(first)
    return first, list(places)[:3], a + 1


def empty(a):
    return list(np.ndindex(0, 3)), [p for p in np.ndindex(a[:0].shape)]


def below_zero(a):
    try:
        return list(np.ndindex(2, -1))
    except ValueError as error:
        return str(error)


def by_columns(a):
    return [(p, v) for p, v in np.ndenumerate(a.T)]


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize(
    "program", [seen_when_written, counted, in_a_loop, of_no_axes, partly, empty, below_zero, by_columns]
)
def test_places_are_numpys(program, backend):
    fast = compiled(program, backend, fullgraph=False)
    for n in (3, 3, 4):
        both(program, fast, (np.linspace(0, 1, n * 2).reshape(n, 2),))


def test_sizes_that_change_and_fall_below_zero():
    def program(n, x):
        total = 0
        for i, j in np.ndindex(n, 3):
            total += i * j + x[j]
        return total

    fast = compiled(program, "inductor", fullgraph=False)
    for n in (4, 5, 6, 0, 1, -2, 7):
        both(program, fast, (n, np.arange(3)))


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("make", [
    lambda a: np.ndarray(a.shape, dtype=np.float64), lambda a: np.ndarray(a.shape), lambda a: np.ndarray((len(a), 3), np.int32, order="F"),
    lambda a: np.ndarray(4),
])  # fmt: skip
def test_ndarray_makes_an_array(make, backend):
    def program(a):
        b = make(a)
        b[:] = a[0, 0] * 3
        return b

    agree(program, np.ones((2, 3)), backend=backend)


def test_ndarray_over_given_memory_is_numpys():
    def program(a):
        b = np.ndarray((2,), a.dtype, buffer=a, offset=8)
        b[0] = 5
        return b + 1, a

    fast = compiled(program, "inductor", fullgraph=False)
    both(program, fast, (np.arange(4.0),))


def test_places_of_an_array_that_lies_by_columns_are_left_to_python_where_they_are_many():
    def by_rows(a):
        total = 0.0
        for (i, _), v in np.ndenumerate(a):
            total += v * i
        return total

    fast = compiled(by_rows, "inductor", fullgraph=False)
    for n in (12, 12, 13):
        both(by_rows, fast, (np.asfortranarray(np.linspace(0, 1, n * n).reshape(n, n) * 7 % 1),))
    assert {b.code for b in fast.breaks} == {"long-loop"} and len(fast.recompiles) <= 1
