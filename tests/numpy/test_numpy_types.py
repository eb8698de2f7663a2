"""Of what type a result is: a number of Python, a scalar of NumPy or an array, and of which dtype."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from numpy_compiled import agree, compiled

import quern

pytestmark = pytest.mark.sampled(3)

EXPRESSIONS = """
x[0]; x[0] * 2; 2 * x[0]; x[0] + 1.5; float(x[0]); int(x[0]); complex(x[0]); bool(x[0] > 0); x[0] > 0; x[0] == 1; x.sum(); x.any()
x.size; len(x); x.argmax(); x[0].item(); x[0] * (1 + 2j); (1 + 2j) * x[0]; (1 + 2j) == x[0]; x[0] + np.complex64(1); 1 / x[1]
np.float32(1) * x[0]; np.int64(3) + x[0]; True & (x[0] > 0); not x[0] > 0; x[0] ** 2; divmod(x[0], 2); abs(x[0]); round(x[0])
round(x[0], 1); max(x[0], x[1]); sum(x); x @ x; np.allclose(x, x); np.count_nonzero(x); np.average(x, returned=True); x[0].conj()
np.array(x[0]); np.asarray(x[0]); np.where(x[0] > 0, 1, 2); np.clip(x[0], 0, 1); x[0].real; x[()]; np.array(2.0) * x[0]; x[-1:][0]
np.zeros(()) + 1; x.reshape(1, -1).sum(axis=0); np.sum(x, keepdims=True); abs(np.complex64(3 + 4j)); x.astype(complex)[0].real
math.floor(x[0]); np.int64(7) // 2; np.bool_(True) + np.bool_(True); x[x > 0].sum(); np.power(2, 3); np.sqrt(4); pow(2, x[0])
"""


def told(value: Any) -> Any:
    """Types and values, those of floats to six digits."""
    if isinstance(value, tuple):
        return tuple(map(told, value))
    if isinstance(value, np.ndarray):
        return type(value), value.dtype, value.shape, value.round(5).tolist()
    return type(value), f"{value:.6g}" if isinstance(value, (float, complex, np.inexact)) else repr(value)


def outcome(function: Any, x: np.ndarray) -> Any:
    try:
        return told(function(x))
    except TypeError as error:
        return str(error)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", [t.strip() for line in EXPRESSIONS.strip().splitlines() for t in line.split(";")])
def test_results_have_numpys_type(text):
    function = eval(f"lambda x: {text}", {"np": np, "math": math})
    for x in (np.array([0.5, 1.5, 2.0]), np.array([1, 2, 3]), np.array([True, False])):
        fast = compiled(function, "inductor", fullgraph=False)
        assert outcome(fast, x) == outcome(function, x)


@pytest.mark.parametrize("x", [np.array(2.5), np.float64(2.5)], ids=["array", "scalar"])
@pytest.mark.parametrize("function", [
    lambda x: np.isin(x, x), lambda x: np.broadcast_arrays(x, x), lambda x: x.view(), lambda x: np.kron(x, x),
    lambda x: x.mean(axis=()), lambda x: np.meshgrid(x, x), lambda x: np.broadcast_arrays(x, np.zeros(2)),
])  # fmt: skip
def test_functions_of_one_number_give_a_scalar_or_an_array_as_numpy_does(function, x):
    agree(function, x, backend="eager")
    agree(function, x, backend="inductor")


@pytest.mark.parametrize("name", ["mean", "std", "var", "median", "average", "sum", "max"])
@pytest.mark.parametrize("axis", [0, -1])
def test_a_number_has_no_axis_unless_a_ufunc_reduces_it(name, axis):
    def f(x):
        return getattr(np, name)(x, axis=axis)

    def outcome(function):
        try:
            return repr(function(np.float64(2.5)))
        except IndexError as error:
            return repr(error)

    assert outcome(compiled(f, fullgraph=False)) == outcome(f)


@pytest.mark.parametrize("write", [np.putmask, np.place], ids=["putmask", "place"])
@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "float64", "complex64"])
@pytest.mark.parametrize(
    "values", [np.float64(2.5), np.array(2.5), np.array(2), np.float32(1.5), 2.5, 3, True], ids=repr
)
@pytest.mark.parametrize("shape", [(), (3,)])
def test_values_that_are_not_safe_to_convert_are_refused(write, dtype, values, shape):
    def program(x):
        y = x.astype(dtype)
        write(y, y < 5, values)
        return y

    x = np.ones(shape)
    try:
        want = program(x)
    except TypeError as error:
        with pytest.raises(TypeError) as caught:
            quern.compile(program)(x)
        assert str(caught.value) == str(error)
    else:
        got = quern.compile(program)(x)
        assert got.dtype == want.dtype and np.array_equal(got, want)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i8", "i1", "c8"])
def test_linspace_between_an_element_and_a_python_number(dtype, backend):
    """The number takes the element's type where it can."""

    def f(x):
        return np.linspace(x[0], 5, 3), np.linspace(0, x[1], 70), np.linspace(x[0], x[1], 4), np.linspace(x[0], 2.5, 3)

    compiled = quern.compile(f, backend=backend)
    for x in (np.array([1, 3]).astype(dtype), np.array([2, 1]).astype(dtype)):
        for found, wanted in zip(compiled(x), f(x)):
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("never_negative", [np.abs, np.sqrt, np.exp, np.square])
@pytest.mark.parametrize("target", ["int64", "int32", "int16"])
@pytest.mark.parametrize("heard", ["ignore", "warn"])
def test_the_integer_of_what_has_none_is_negative(never_negative, target, heard):
    def program(x):
        i = never_negative(x).astype(target)
        return i, i % 5, i // 7, i < 0, abs(i) == i, i >> 3

    fast = compiled(program, "inductor")
    for value in (np.nan, np.inf, 1e19, 3.0):
        for x in (np.full((), value), np.full(3, value), np.full(19, value, np.float32)):
            with np.errstate(all=heard), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wanted, found = program(x), fast(x)
            for w, g in zip(wanted, found):
                assert w.dtype == g.dtype and np.array_equal(w, g)
