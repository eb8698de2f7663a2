"""`out=`: what fits, what NumPy refuses, and in which type a function computes that is given an array to write into."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy_compiled import agree, copies

from quern import compile as quern_compile

R = np.random.default_rng(3)
X = np.array([[1.5, -0.5, 300.0], [0.5, 2.5, 40.75]])
V = X[0]


@pytest.mark.parametrize("function", [
    lambda x, out: np.sum(x, axis=0, out=out), lambda x, out: np.cumsum(x, axis=0, out=out), lambda x, out: x.mean(0, out=out),
    lambda x, out: np.max(x, axis=0, out=out), lambda x, out: np.take(x, [1, 0], 0, out=out), lambda x, out: np.ptp(x, 0, out=out),
    lambda x, out: np.round(x, 1, out=out), lambda x, out: np.concatenate([x, x], out=out), lambda x, out: np.nansum(x, 0, out=out),
    lambda x, out: np.einsum("ij->j", x, out=out), lambda x, out: np.add.reduce(x, 0, out=out), lambda x, out: np.dot(x.T, x, out=out),
    lambda x, out: np.median(x, axis=0, out=out), lambda x, out: np.argmax(x, axis=0, out=out), lambda x, out: np.trace(x, out=out),
])  # fmt: skip
@pytest.mark.parametrize("shape", [(), (3,), (1, 3), (2, 3), (4, 3), (2, 2, 3), (3, 3)])
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_an_array_that_does_not_fit_is_refused(function, shape, dtype):
    """Ufuncs spread their results over a larger array; nothing else does."""
    plain, mine = copies((X, np.zeros(shape, dtype))), copies((X, np.zeros(shape, dtype)))
    try:
        wanted = function(*plain)
    except (ValueError, TypeError) as error:
        with pytest.raises(type(error)) as met:
            quern_compile(function, backend="eager")(*mine)
        assert str(met.value) == str(error)
    else:
        found = quern_compile(function, backend="eager")(*mine)
        assert (found is mine[1]) == (wanted is plain[1])
        assert type(found) is type(wanted)
    np.testing.assert_array_equal(mine[1], plain[1])


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_a_ufunc_spreads_its_result(backend):
    def f(x, out):
        return np.add(x, 1, out=out), np.clip(x, 0, 1, out=out[1:])

    agree(f, V, np.zeros((3, 3)), backend=backend)


@pytest.mark.parametrize("function", [
    lambda x, out: np.sum(x, axis=0, out=out), lambda x, out: np.mean(x, axis=0, out=out), lambda x, out: np.max(x, axis=0, out=out),
    lambda x, out: np.prod(x, 0, out=out), lambda x, out: np.cumsum(x, 0, out=out[None])[0], lambda x, out: np.var(x, 0, out=out),
    lambda x, out: np.add.accumulate(x[:1], 0, out=out[None]),
])  # fmt: skip
@pytest.mark.parametrize("dtypes", [("f8", "i8"), ("i8", "i1"), ("f4", "f8"), ("f8", "f4"), ("i4", "f8"), ("?", "?")])
def test_reductions_compute_in_the_type_of_the_array_they_write_into(function, dtypes):
    def outcome(f):
        x, out = X.astype(dtypes[0]), np.zeros(3, dtypes[1])
        try:
            f(x, out)
        except (TypeError, ValueError) as error:
            return repr(error), out
        return "", out

    with np.errstate(all="ignore"):
        wanted, found = outcome(function), outcome(quern_compile(function, backend="inductor"))
    assert found[0] == wanted[0]
    np.testing.assert_array_equal(found[1], wanted[1])


def test_a_product_of_two_vectors_is_returned_as_a_number_and_written():
    def f(x, out):
        return np.dot(x, x, out=out), out

    agree(f, V, np.zeros(()), backend="inductor", fullgraph=False)


TYPES = ["f8", "f4", "f2", "i8", "i4", "u1", "?"]


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("decimals", [0, 1, -1])
def test_rounding_goes_on_in_the_type_of_the_array_it_writes_into(decimals, backend):
    """What is scaled stands in `out` already; an array of integers is only copied, where the types allow it."""

    def outcome(f, types):
        x, out = np.array([1.26, 2.5, 13.7]).astype(types[0]), np.zeros(3, types[1])
        try:
            f(x, out)
        except (TypeError, ValueError) as error:
            return type(error), str(error), out.tolist()
        return out.tolist(), out.dtype

    def f(x, out):
        return np.round(x, decimals, out=out)

    for types in itertools.product(TYPES, TYPES):
        assert outcome(quern_compile(f, backend=backend), types) == outcome(f, types), types
