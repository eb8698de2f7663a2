"""Errors that only the data cause come at their place in a NumPy program: what was done before them stays done, what is behind
them is not, its handlers see them; type, message and context are NumPy's.
"""

from __future__ import annotations

import contextlib
import copy
import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy_compiled import BACKENDS, compiled
from numpy_values import equal

PROGRAMS: list[Any] = []


def program(*arguments: Any) -> Callable[[Any], Any]:
    """Register a program with the arguments of some calls; it raises in one of them at least, inside or out of itself."""

    def add(fn: Any) -> Any:
        PROGRAMS.append(pytest.param(fn, arguments, id=fn.__name__))
        return fn

    return add


def ints(*values: int) -> np.ndarray:
    return np.array(values)


@program((np.eye(3),), (np.zeros((3, 3)),))
def the_inverse_or_the_next_best(m):
    try:
        return np.linalg.inv(m), "inverse"
    except np.linalg.LinAlgError as error:
        return np.linalg.pinv(m), str(error)


@program((np.eye(2),), (np.ones((2, 2)),), (-np.eye(2),))
def jitter_is_added_until_it_works(m):
    for k in range(6):
        try:
            return np.linalg.cholesky(m + (10.0 ** (k - 9) if k else 0.0) * np.eye(len(m))), k
        except np.linalg.LinAlgError:
            continue
    return None, -1


@program((np.eye(2), []), (np.zeros((2, 2)), []))
def a_list_is_appended_to_before_and_behind(m, log):
    log.append("start")
    y = np.linalg.inv(m)
    log.append("end")
    return y


@program((np.arange(4.0), ints(1, 3)), (np.arange(4.0), ints(1, 9)), (np.arange(4.0), ints(-1, -5)))
def an_array_is_written_before_and_behind(x, i):
    x[0] = 99.0
    y = x[i]
    x += 1
    return y


@program((np.arange(4.0), ints(1, 3)), (np.arange(4.0), ints(1, 9)))
def all_clauses_of_a_try_statement(x, i):
    log = []
    try:
        x = x[i] * 2
        log.append("picked")
    except IndexError as error:
        log.append(str(error))
    else:
        log.append("else")
    finally:
        x = x + 1
    return x, log


@program((np.arange(4.0), ints(1, 3)), (np.arange(4.0), ints(1, 9)))
def an_error_is_suppressed(x, i):
    with contextlib.suppress(IndexError):
        x *= 2
        x = x[i]
    return x - 1


@program((np.arange(4.0), ints(1, 3)), (np.arange(4.0), ints(1, 9)))
def nobody_reads_the_result(x, i):
    try:
        x[i]
    except IndexError:
        return False
    return True


@program((np.arange(4.0), ints(1, 3)), (np.arange(4.0), ints(1, 9)))
def positions_taken(x, i):
    return np.take(x, i), np.take(x, i, mode="clip")


@program((np.arange(6.0).reshape(2, 3), ints(0, 2)), (np.arange(6.0).reshape(2, 3), ints(0, 3)))
def columns_written(x, i):
    x[:, i] = -1.0
    x[:, :1] += 1
    return x.sum()


@program((ints(2, 3), ints(1, 2)), (ints(2, 3), ints(1, -2)))
def integer_powers(a, b):
    total = a + 1
    total[0] = 7
    try:
        return a**b, total
    except ValueError as error:
        return str(error), total


@program((np.arange(3.0), np.arange(3.0)), (np.arange(3.0), np.zeros(3)))
def weights_that_sum_to_nothing(x, w):
    try:
        return np.average(x, weights=w)
    except ZeroDivisionError as error:
        return str(error)


@program((np.eye(2), np.ones(2)), (np.zeros((2, 2)), np.ones(2)))
def another_error_is_raised_from_it(m, b):
    try:
        return np.linalg.solve(m, b)
    except np.linalg.LinAlgError as error:
        raise ValueError("no solution") from error


@program((np.eye(2), {}), (np.zeros((2, 2)), {}))
def items_are_set_before_and_behind(m, stats):
    for k in range(2):
        stats["tries"] = k
        stats["inverse"] = np.linalg.inv(m + k * np.ones((2, 2)))
    return stats


def read_only() -> np.ndarray:
    x = np.zeros(3)
    x.flags.writeable = False
    return x


@program((np.zeros(3), np.zeros(3)), (np.zeros(3), read_only()), (read_only(), np.zeros(3)))
def two_arrays_are_written(a, b):
    a += 1
    b += 1
    return a


def outcome(fn: Any, args: list[Any]) -> list[Any]:
    """All that can be seen of one call."""
    try:
        gave: Any = ("gave", fn(*args))
    except Exception as error:
        gave = ("raised", type(error).__name__, str(error), repr(error.__cause__), repr(error.__context__))
    return [gave, args]


def copies(args: tuple[Any, ...]) -> list[Any]:
    made = copy.deepcopy(list(args))
    for new, old in zip(made, args):
        if isinstance(old, np.ndarray):
            new.flags.writeable = old.flags.writeable
    return made


@pytest.mark.parametrize("backend", list(BACKENDS))
@pytest.mark.parametrize(("fn", "calls"), PROGRAMS)
def test_as_in_numpy(fn, calls, backend):
    fast = compiled(fn, backend, fullgraph=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for args in (*calls, *calls):
            expected, found = outcome(fn, copies(args)), outcome(fast, copies(args))
            equal(found, expected, 1e-12)


@pytest.mark.parametrize("function", [
    lambda x: np.einsum("ii->i", x), lambda x: np.einsum("ii", x), lambda x: np.einsum("ii,ij->j", x, x),
    lambda x: np.median(x[0, 0], axis=-1), lambda x: np.average(x[0, 0], axis=0), lambda x: np.percentile(np.sin(x)[0, 0], 30, axis=0),
    lambda x: operator.setitem(x[0], ..., x[0][:, None]), lambda x: operator.setitem(x[:, :2], slice(1, None), x[1:, :2, None]),
    lambda x: np.cumsum(x[0, 0], axis=1), lambda x: np.array(x[0, 0]).cumprod(axis=-2), lambda x: np.add.accumulate(x[0, 0], axis=1),
    lambda x: np.fft.fftshift(x[0, 0, ...]), lambda x: np.roll(x[0, 0], (), 0), lambda x: np.roll(x[0, 0], 1, ()), lambda x: np.roll(x, (), 2),
    lambda x: operator.setitem(np.einsum("ii->i", np.broadcast_to(x[0] > 1, (0, 4))[:, :0]), ..., True),
])  # fmt: skip
@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_what_numpy_refuses_of_a_shape_is_refused(function, backend):
    x = np.arange(12.0).reshape(3, 4)
    with pytest.raises((ValueError, IndexError)) as wanted:
        function(x)
    with pytest.raises(type(wanted.value)) as found:
        compiled(function, backend, fullgraph=False)(x)
    assert str(found.value) == str(wanted.value)


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize("shape", [(2, 1), (1,), (3, 3), (2, 3)])
def test_a_gradient_over_too_few_elements_is_refused(shape, dynamic):
    def program(x):
        return np.gradient(x.diagonal(-1) if x.ndim > 1 else x, axis=-1)

    fast = compiled(program, "inductor", dynamic=dynamic, fullgraph=False)
    for x in (np.arange(25.0).reshape(5, 5)[tuple(slice(n) for n in s)] for s in ((4, 4), shape, (4, 3))):
        try:
            wanted = program(x)
        except ValueError as error:
            with pytest.raises(ValueError, match="too small") as refusal:
                fast(x)
            assert str(refusal.value) == str(error)
        else:
            assert np.array_equal(fast(x), wanted)


def test_a_scalar_is_accumulated_as_one_element_or_not_at_all():
    f = compiled(lambda x: (np.cumsum(x[0], axis=0), np.cumprod(x[0], axis=-1)), "inductor")
    for found in f(np.arange(2.0)):
        equal(found, np.zeros(1))
    with pytest.raises(TypeError, match="cannot accumulate on a scalar"):
        compiled(lambda x: np.multiply.accumulate(x[0]), "inductor", fullgraph=False)(np.arange(2.0))


def _root(parents, i):
    while parents[i] != i:
        i = parents[i]
    return i


def _joined(n):
    parents = np.arange(n)
    one, other = _root(parents, 0), _root(parents, 1)
    if one != other:
        parents[one] = other
    return parents


def _beyond(n):
    parents = np.arange(n)
    if _root(parents, 7):
        return parents
    return parents * 2


def _by_zero(n):
    given, total = np.arange(n) * 1.0, 0.0
    for i in range(n):
        total += 1 / given[i]
    return given if total > 3 else -given


def _by_whole_zero(n):
    made = np.zeros(n, int)
    for i in range(n):
        made[i] = 10 // (i - 2)
    return made if made[0] else made * 2


def _singular(n):
    return 1 if np.linalg.solve(np.zeros((n, n)), np.ones(n))[0] > 0 else 2


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("program", [_joined, _beyond, _by_zero, _by_whole_zero, _singular])
def test_what_fails_for_known_numbers_fails_in_its_place(program):
    """The content of arrays that numbers alone make is computed during capture, but for what warns or fails."""
    fast = compiled(program, fullgraph=False)
    for n in (3, 9, 5):
        try:
            wanted = program(n)
        except (IndexError, ZeroDivisionError, np.linalg.LinAlgError) as error:
            with pytest.raises(type(error)) as found:
                fast(n)
            assert str(found.value) == str(error)
        else:
            assert np.array_equal(fast(n), wanted)


@pytest.mark.parametrize("number", [1 << 31, 1 << 63, 1 << 64, -(1 << 63) - 1])
@pytest.mark.parametrize("kind", [bool, np.int8, np.uint64, np.float32])
@pytest.mark.parametrize("name", ["less", "equal", "add", "maximum", "true_divide"])
def test_large_numbers_beside_narrow_types(name, kind, number):
    x = np.array([1, 1], kind)
    for program in (lambda x: getattr(np, name)(x, number), lambda x: getattr(np, name)(number, x)):
        fast = compiled(program, fullgraph=False)
        try:
            wanted = program(x)
        except OverflowError as error:
            with pytest.raises(OverflowError) as found:
                fast(x)
            assert str(found.value) == str(error)
        else:
            equal(fast(x), wanted)
