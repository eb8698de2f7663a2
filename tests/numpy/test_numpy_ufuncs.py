"""Every ufunc with a rule, on every element type, in generated code: special values and all."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_compiled import agree
from numpy_tape import check
from quern.capture.frontends.numpy.ufuncs import RULES

DTYPES = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint8", "bool")
_SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 7.25, 1e-3, -60.0, 100.0]


def values(dtype):
    """All pairs of telling values of an element type."""
    kind = np.dtype(dtype).kind
    if kind == "f":
        one = np.array(_SPECIAL).astype(dtype)
    elif kind == "b":
        one = np.array([True, False])
    else:
        info = np.iinfo(dtype)
        one = np.array(
            [0, 1, 2, 3, 7, 100, info.max, info.min, info.max - 1, *([-1, -2, -7] if kind == "i" else [])]
        ).astype(dtype)
    x, y = np.meshgrid(one, one)
    return x.ravel().copy(), y.ravel().copy()


def applicable(dtype, nin):
    """The ufuncs of `nin` operands that NumPy has for an element type, and that do not raise for its values."""
    x, y = values(dtype)
    found = []
    for ufunc in RULES:
        if ufunc.nin != nin:
            continue
        try:
            with np.errstate(all="ignore"):
                ufunc(*(x, y)[:nin])
        except (TypeError, ValueError):  # no loop; integers to negative powers
            continue
        found.append(ufunc)
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nin", [1, 2])
def test_generated_code(dtype, nin):
    ufuncs = applicable(dtype, nin)
    assert ufuncs

    def f(x, y):
        return [u(x) for u in ufuncs] if nin == 1 else [u(x, y) for u in ufuncs]

    rtol = {"float16": 4e-3, "float32": 4e-6}.get(dtype, 1e-6 if np.dtype(dtype).kind == "f" else 4e-3)
    agree(f, *values(dtype), backend="inductor", rtol=rtol)


@pytest.mark.parametrize("first", ["float64", "float32", "int64", "int8", "uint8", "uint64", "bool"])
def test_promotion(first):
    """Types of results, over pairs of element types and Python numbers, against NumPy op by op."""
    x = values(first)[0][:4]
    others = [values(d)[1][:4] for d in DTYPES] + [2, 2.5, True, np.float32(1.5), np.int64(3), np.array(2.0)]
    for ufunc in (
        np.add,
        np.multiply,
        np.true_divide,
        np.maximum,
        np.less,
        np.arctan2,
        np.hypot,
        np.copysign,
        np.logical_and,
    ):
        for other in others:
            try:
                with np.errstate(all="ignore"):
                    ufunc(x, other)
            except TypeError:
                continue
            check(ufunc, x, other)
            check(ufunc, other, x)


@pytest.mark.parametrize("ufunc", [np.cbrt, np.spacing, np.gcd, np.lcm, np.ldexp, np.modf, np.frexp, np.bitwise_count])
def test_ufuncs_without_a_rule_run_as_numpys(ufunc):
    x = np.arange(1, 7) if ufunc.types[0][0] in "?bBhi" and ufunc is not np.ldexp else np.linspace(-2, 2, 6)
    args = (
        (x, x[::-1].copy())
        if ufunc.nin == 2 and ufunc is not np.ldexp
        else (x, np.arange(6))
        if ufunc is np.ldexp
        else (x,)
    )
    check(ufunc, *args)


def test_arguments_of_ufuncs():
    x, y = np.linspace(-1, 1, 6), np.arange(6.0)
    mask = x > 0
    check(np.add, x, y, dtype=np.float32)
    check(np.add, x, y, out=np.zeros(6))
    check(np.add, x, y, out=np.zeros(6), where=mask)
    check(np.add, x, y, np.zeros((2, 6)))
    check(np.divmod, x, y, out=(np.zeros(6), np.zeros(6)))
    check(np.sqrt, [4.0, 9.0])
    check(np.add.outer, x, y)
    check(np.subtract.outer, x, y.reshape(2, 3))
    check(np.add.at, np.zeros(3), np.array([0, 1, 1]), 2.0)
    check(np.subtract.at, np.zeros((3, 2)), np.array([0, 1, 1]), np.ones(2))
    check(np.less, np.arange(3, dtype=np.uint8), 300)
    check(np.greater, -1, np.arange(3, dtype=np.uint8))
    check(np.equal, np.arange(3), np.arange(3, dtype=np.uint64))


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("exponent", [0.5, -0.5, 2.0, -1.0])
def test_powers_to_arrays_of_one_number_have_the_arrays_shape(exponent, backend):
    def f(x, k):
        full = np.full(x.shape, exponent)
        return (
            2.0**full,
            np.power(2.0, full),
            np.power(x[0], full),
            x**full,
            k ** np.full((2,), exponent),
            np.float_power(3, full),
        )

    agree(f, np.array([[1.0, 2.0], [0.0, np.inf], [-np.inf, 4.0]]), 4.0, backend=backend)
