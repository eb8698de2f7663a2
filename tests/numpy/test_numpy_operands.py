"""Operands that are no arrays and no numbers: who answers, NumPy or the operand's class, and with what type."""

# ruff: noqa: UP031, UP032
from __future__ import annotations

import copy
import datetime
import decimal
import fractions
from typing import Any

import numpy as np
import pytest
from numpy_compiled import compiled


class Refuses:
    """Says that NumPy is to leave operators to it."""

    __array_ufunc__ = None

    def __radd__(self, other):
        return "radd", type(other).__name__

    def __eq__(self, other):
        return "eq"

    def __lt__(self, other):
        return "lt"

    __hash__ = None  # type: ignore[assignment]


class Answers:
    """Takes ufuncs and functions over."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return ufunc.__name__, method, len(inputs)

    def __array_function__(self, function, types, args, kwargs):
        return function.__name__


class Prior:
    __array_priority__ = 10

    def __rmul__(self, other):
        return "rmul", type(other).__name__


class Element:
    """NumPy makes an array of objects."""

    def __radd__(self, other):
        return ("element", type(other).__name__)

    __rmul__ = __rtruediv__ = __radd__


class Sequence:
    def __len__(self):
        return 3

    def __getitem__(self, i):
        if i > 2:
            raise IndexError
        return float(i)

    def __rmul__(self, other):
        return "never asked"


class Convertible:
    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0, 3.0])

    def __radd__(self, other):
        return "never asked"


class Tagged(np.ndarray):
    pass


OPERANDS = [
    None, "a", b"a", [1, 2, 3], (1.0, 2.0, 3.0), [None, 1, 2], [[1], [2]], range(3), {}, {1}, Ellipsis, NotImplemented, int, len,
    fractions.Fraction(1, 2), decimal.Decimal(1), datetime.timedelta(1), np.datetime64("2020-01-01"), np.timedelta64(3, "s"),
    np.float32(2), np.longdouble(2), np.str_("a"), np.bool_(True), True, 2, 1.5, 1 + 2j, np.complex64(2), np.array(3.0),
    np.array([1, "a", None], dtype=object), np.array(["a", "b", "c"]), np.arange(3.0).view(Tagged), np.matrix([1.0, 2, 3]),
    np.ma.masked_array([1.0, 2, 3], [0, 1, 0]), Refuses(), Answers(), Prior(), Element(), Sequence(), Convertible(), [Element()],
]  # fmt: skip


def add(x, o):
    return x + o


def multiply(x, o):
    return x * o


def divided(x, o):
    return x / o


def reflected(x, o):
    return o + x, o * x


def compared(x, o):
    return x == o, o != x


def ordered(x, o):
    return x < o


def in_place(x, o):
    x += o
    return x


def ufunc(x, o):
    return np.add(x, o)


def chosen(x, o):
    return np.where(x > 0, x, o)


def joined(x, o):
    return np.concatenate([x, o])


def stored(x, o):
    x[...] = o
    return x


def outcome(function: Any, x: Any, o: Any) -> Any:
    try:
        result = function(copy.deepcopy(x), o)
    except Exception as error:
        return type(error).__name__, str(error)
    return shown(result)


def shown(result: Any) -> Any:
    if type(result) is tuple:
        return tuple(map(shown, result))
    return type(result), getattr(result, "dtype", None), getattr(result, "shape", None), repr(result)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "function", [add, multiply, divided, reflected, compared, ordered, in_place, ufunc, chosen, joined, stored]
)
@pytest.mark.parametrize("x", [np.arange(3.0), np.float64(2.5), np.array(2)], ids=["array", "scalar", "no_axes"])
def test_foreign_operands_get_what_numpy_gives_them(function, x):
    for o in OPERANDS:
        fast = compiled(function, "inductor", fullgraph=False)
        for _ in range(2):
            assert outcome(fast, x, o) == outcome(function, x, o), o


def test_an_operand_that_graphs_do_not_hold_is_a_break_in_plain_words():
    def f(x, o):
        return (x * 2) + o

    fast = compiled(f, "inductor", fullgraph=False)
    fast(np.arange(3.0), Element())
    (reason,) = fast.breaks
    assert reason.code == "numpy-operand"
    assert "NumPy makes an array of the Element object" in str(reason)


def test_a_class_that_refuses_ufuncs_is_captured():
    def f(x, o):
        return x * 2 + o

    fast = compiled(f, "inductor", fullgraph=True)
    assert fast(np.arange(3.0), Refuses()) == ("radd", "ndarray")


def test_a_comparison_with_none_goes_element_by_element():
    def f(x):
        return np.where(x == None, 0.0, x), (x != None).all()  # noqa: E711

    fast = compiled(f, "inductor", fullgraph=False)
    found, every = fast(np.arange(3.0))
    assert found.tolist() == [0.0, 1.0, 2.0] and every


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda k: np.zeros(k.max() + 1) + k.sum(), "an int taken of an array"),
        (lambda k: np.arange(k.sum()) * 2, "bounds that are not known"),
        (lambda k: np.full((2, k.max()), 1.0), "an int taken of an array"),
        (lambda k: np.repeat(k, k.max()), "counts that are an array"),
        (lambda k: k.reshape(k.max(), -1) * 2, "an int taken of an array"),
        (lambda k: np.roll(k, k.max()), "by an amount that is not known"),
    ],
)
def test_a_computed_size_is_refused_in_plain_words(function, says):
    fast = compiled(function, "inductor", fullgraph=False)
    k = np.array([1, 2])
    assert np.array_equal(fast(k), function(k))
    assert fast.breaks and says in str(fast.breaks[0])
    assert all("framework-error" not in str(b) and "object cannot be" not in str(b) for b in fast.breaks)


def test_numbers_from_arrays_are_formatted():
    def f(x):
        y = x * 2
        return (
            "%.1f of %d, %s" % (y[1], 3, y[0]),
            "%.2e" % y.sum(),
            f"{y[2]:.3f}",
            "{:5.1f}".format(y[1]),
            "%5.1f" % y[1],
            y + 1,
        )

    fast = compiled(f, "inductor", fullgraph=False)
    for x in (np.arange(4.0), np.ones(3)):
        *texts, y = fast(x)
        *expected, z = f(x)
        assert texts == expected and np.array_equal(y, z)
