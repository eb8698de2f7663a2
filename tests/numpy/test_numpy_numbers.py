"""Python and NumPy numbers that change, in NumPy functions: results in NumPy's own types, compiled twice at most."""

from __future__ import annotations

import math
import warnings

import pytest

np = pytest.importorskip("numpy")

import quern  # noqa: E402

pytestmark = pytest.mark.sampled(4)

X = np.linspace(-2, 3, 20).reshape(5, 4)
SINGLE, WHOLE, SMALL = X.astype(np.float32), np.arange(20).reshape(5, 4), np.arange(20, dtype=np.int32).reshape(5, 4)
FLOATS = [0.1, 0.37, 1.5, 0.25, 3.0]
INTS = [0, 1, 2, 3, 7, -2, 40]


@pytest.fixture(autouse=True)
def strict():
    with quern.config.patch(on_error="raise"):
        yield


def written(x, t):
    x[0] = t
    x[1, 1:] = t * 2
    x += t
    y = np.zeros(3, np.float32)
    y.fill(t)
    y[:2] = t
    y *= t
    return x, y


CASES = {
    "NumPy's numbers": (
        lambda x, t: (x * np.float64(t), SINGLE * np.float32(t), np.float64(t) + 1, x + np.float16(t)),
        FLOATS,
    ),
    "NumPy's integers": (lambda x, k: (x + np.int64(k), WHOLE * np.int32(k), np.int16(k), np.float64(k) * x), INTS),
    "arithmetic": (lambda x, t: (x * t, t * x, t - x, x / t, x // t, x % t, SINGLE * t, WHOLE * t), FLOATS),
    "arithmetic of ints": (lambda x, k: (x * k, k - x, SINGLE * k, WHOLE * k, SMALL + k), INTS),
    "comparisons": (lambda x, t: (x < t, x == t, t >= x, SMALL > t), FLOATS),
    "ufuncs": (lambda x, t: (np.maximum(x, t), np.minimum(SINGLE, t), np.fmod(x, t), np.copysign(x, t)), FLOATS),
    "ufuncs of ints": (lambda x, k: (np.maximum(SINGLE, k), np.maximum(WHOLE, k), np.bitwise_and(SMALL, k)), INTS),
    "alone": (lambda x, t: (x * np.sin(t) + np.exp(-t), np.sqrt(t), math.cos(t), 0.5 * t), FLOATS),
    "clip": (lambda x, t: (np.clip(x, -t, t), SINGLE.clip(0, t), np.clip(WHOLE, 0, t)), FLOATS),
    "where": (lambda x, t: (np.where(x > 0, x, t), np.where(SINGLE > 0, SINGLE, t)), FLOATS),
    "where of ints": (lambda x, k: (np.where(SINGLE > 0, SINGLE, k), np.where(SMALL > 3, SMALL, k)), INTS),
    "full": (lambda x, t: (np.full((2, 3), t), np.full_like(x, t), np.full(3, t, np.float32)), FLOATS),
    "full of ints": (lambda x, k: (np.full((2, 3), k), np.full_like(WHOLE, k)), INTS),
    "array": (lambda x, t: (np.array([t, 1.0]) * x[0, :2], np.array(t), np.asarray([t, t * 2])), FLOATS),
    "array of ints": (lambda x, k: (np.array([k, 1]) * WHOLE[0, :2], np.array(k)), INTS),
    "writes": (written, FLOATS),
    "writes of ints": (written, INTS),
    "tolerances": (lambda x, t: (np.isclose(x, x + 0.1, atol=t), np.nan_to_num(x, nan=t)), FLOATS),
    "NumPy's ints": (lambda x, k: (x * k, WHOLE * k, SINGLE * k), [np.int64(k) for k in INTS]),
    "NumPy's floats": (lambda x, t: (x * t, SINGLE * t), [np.float32(t) for t in FLOATS]),
}
#: arguments that say where or how large: one version for each value
PLACES = {
    "axis": lambda x, k: (x.sum(k % 2), np.mean(x, axis=k % 2, keepdims=True), np.cumsum(x, k % 2)),
    "concatenate": lambda x, k: np.concatenate([x, x], k % 2) * 2,
    "round": lambda x, k: np.round(x, k) + 1,
    "roll": lambda x, k: np.roll(x, k, 0) + x,
    "repeat": lambda x, k: np.repeat(x, k) * 2,
    "tile": lambda x, k: np.tile(x, k),
    "pad": lambda x, k: np.pad(x, k) * 2,
    "ddof": lambda x, k: (x.std(0, ddof=k), np.var(x, ddof=k)),
    "diff": lambda x, k: np.diff(x, k),
    "sections": lambda x, k: np.array_split(x, k),
    "step": lambda x, k: x[::k] * 2,
    "index list": lambda x, k: x[[k, 0]] * 2,
    "power of a matrix": lambda x, k: np.linalg.matrix_power(x[:4], k),
}


def follow(function, values):
    """The recompilations over calls that all agree with NumPy, none of which breaks the graph."""
    compiled = quern.compile(function)
    for value in values:
        agree(function(X.copy(), value), compiled(X.copy(), value))
    assert not compiled.breaks
    return len(compiled.recompiles)


def agree(one, other):
    assert type(one) is type(other)
    if isinstance(one, (tuple, list)):
        assert len(one) == len(other)
        for a, b in zip(one, other):
            agree(a, b)
    elif isinstance(one, (np.ndarray, np.generic)):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_allclose(other, one, rtol=1e-6 if one.dtype == np.float32 else 1e-13)
    else:
        assert one == other and repr(one) == repr(other)


@pytest.mark.parametrize("name", CASES)
def test_the_second_value_is_the_last_compilation(name):
    assert follow(*CASES[name]) <= 1


@pytest.mark.parametrize("name", PLACES)
def test_places_have_a_version_for_each_value(name):
    assert follow(PLACES[name], [1, 2, 3, 1, 2, 3]) <= 2


def test_powers_that_numpy_computes_in_another_way():
    assert follow(lambda x, t: np.abs(x) ** t, [3.5, 2.5, 0.5, 1.5, 2, 2.0]) <= 4


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_an_int_that_does_not_fit_is_refused(dtype):
    compiled = quern.compile(lambda x, k: x + k)
    x = np.arange(4).astype(dtype)
    for k in (1, 2, 3):
        agree(x + k, compiled(x, k))
    with pytest.raises(OverflowError, match="out of bounds"):
        compiled(x, 300)
    agree(x + 4, compiled(x, 4))


STORES = {
    "part": lambda x, k: x.__setitem__(slice(1, None), k),
    "nothing": lambda x, k: x.ravel()[20:].__setitem__(..., k),
    "positions": lambda x, k: x.__setitem__([0, 2], k),
    "mask": lambda x, k: x.__setitem__(x > 5, k),
    "fill": lambda x, k: x.fill(k),
    "copyto": lambda x, k: np.copyto(x, k, casting="unsafe"),
    "putmask": lambda x, k: np.putmask(x, x > 50, k),
    "diagonal": lambda x, k: np.fill_diagonal(x, k),
    "full_like": lambda x, k: np.full_like(x, k),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64])
@pytest.mark.parametrize("values", [(1, 2, -2, 5, 300), (0.5, 2.5, -2.0, 1.5, 300.0, 1e30)], ids=["ints", "floats"])
@pytest.mark.parametrize("name", STORES)
def test_a_number_that_changes_is_stored_where_it_fits(name, values, dtype):
    def outcome(store, value):
        x = np.arange(20).astype(dtype).reshape(5, 4)
        try:
            made = store(x, value)
        except (OverflowError, TypeError) as error:
            return x.tolist(), None, (type(error), str(error))
        return x.tolist(), None if made is None else made.tolist(), None

    compiled = quern.compile(STORES[name])
    for value in values:
        assert outcome(compiled, value) == outcome(STORES[name], value)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128])
def test_scalars_by_value_keep_the_sign_of_zero_and_know_nan(kind):
    def f(x, number):
        return x + 1, str(number), number

    x = np.ones(3)
    fast = quern.compile(f)
    numbers = [0.0, -0.0, np.nan, 0.0, np.nan, -0.0]
    if np.issubdtype(kind, np.complexfloating):
        numbers += [complex(0, -0.0), complex(-0.0, 0), complex(1, np.nan), complex(0, -0.0)]
    for number in map(kind, numbers):
        _, text, same = fast(x, number)
        assert (text, type(same), repr(same)) == (str(number), kind, repr(number))


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_scalars_that_stay_meet_numbers_that_change(backend):
    half, three = np.float32(0.5), np.int64(3)

    def f(x, k):
        return [half * k, k * half, k + three, three - k, k < half, half >= k, k**three, x * (half * k)]

    fast = quern.compile(f, backend=backend)
    for k in (1.5, 0.5, 2.5, 3.5, 2, 3, 4):
        want, got = f(np.arange(3.0), k), fast(np.arange(3.0), k)
        assert [type(a) for a in got] == [type(a) for a in want]
        for w, g in zip(want, got):
            np.testing.assert_array_equal(g, w)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_powers_of_truth_values_and_complex_numbers_take_numpys_shortcuts(backend):
    def f(x):
        return x**2, x**2.0, x**1, np.sin(x**2)

    def g(z):
        return z**2, z**-1, z**0.5, z**2.0, z**0

    m, z = np.array([True, False]), np.array([0, complex(1e200, 1e200), complex(np.inf, 1), complex(-1, -0.0), 3 + 4j])
    for function, value in ((f, m), (f, m[0]), (f, m.reshape(2, 1)[1:, 0].reshape(())), (g, z), (g, z[4])):
        with np.errstate(all="ignore"):
            want, got = function(value), quern.compile(function, backend=backend)(value)
        for w, n in zip(want, got):
            assert (n.dtype, type(n), n.tobytes()) == (w.dtype, type(w), w.tobytes())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_products_leave_their_range_where_numpys_do(dtype):
    def f(x):
        return np.multiply.reduce(x), x.prod(0), x.prod(-1), np.prod(x, initial=0.5), np.cumprod(x), np.nanprod(x, 1)

    fast, limits = quern.compile(f), np.finfo(dtype)
    choice = np.array([limits.max, limits.max / 2, limits.tiny, limits.tiny * 4, 1, 2, 0.5, -1], dtype)
    for shape in ((2, 4), (3, 17), (33, 1), (5, 5)):
        for seed in range(5):
            x = np.random.default_rng(seed).choice(choice, shape)
            with np.errstate(all="ignore"):
                for w, g in zip(f(x), fast(x)):
                    np.testing.assert_array_equal(g, w)


def test_running_sums_of_halves_are_rounded_at_each_step():
    def f(x):
        return np.cumsum(x), np.cumsum(x, 0), np.cumprod(x, 1), np.add.accumulate(x), np.cumsum(x, dtype=np.float32)

    x = np.random.default_rng(3).standard_normal((5, 40)).astype(np.float16)
    for w, g in zip(f(x), quern.compile(f)(x)):
        assert w.dtype == g.dtype
        np.testing.assert_array_equal(g, w)


def test_numbers_stay_numbers_where_arrays_are_copied():
    def f(x, out):
        return np.nan_to_num(x), np.round(x), np.round(x, 0, out), x.round(1)

    for x in (np.array(3), np.int64(3), np.array(2.5), np.float64(2.5)):
        want, got = f(x, np.zeros(())), quern.compile(f)(x, np.zeros(()))
        assert [type(v) for v in got] == [type(v) for v in want]
        assert [float(v) for v in got] == [float(v) for v in want]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8", "bool"])
def test_rows_from_a_place_on_are_written_whatever_the_sizes(dtype):
    def f(x, n):
        x[n:] = 0
        y = x * 1
        y[:n] = 0
        return x, y

    fast = quern.compile(f, dynamic=True)
    for shape, n in (((3, 4), 2), ((5, 33), 3), ((40, 1), 7)):
        for w, g in zip(f(np.ones(shape, dtype), n), fast(np.ones(shape, dtype), n)):
            np.testing.assert_array_equal(g, w)


@pytest.mark.parametrize("name", ["isscalar", "ndim", "size", "shape", "isrealobj", "iscomplexobj"])
def test_what_numpy_says_of_numbers_that_change(name):
    fast = quern.compile(lambda x, n: (x * n, getattr(np, name)(n)))
    for n in (1, 2, 3, 4, 2.5, 3.5, 4.5):
        assert fast(np.ones(2), n)[1] == getattr(np, name)(n)


OF_ONE_NUMBER = {
    "square root": lambda x, n: x * np.sqrt(n),
    "logarithm": lambda x, n: x * np.log(n) + 1,
    "exponential": lambda x, n: np.exp(n) * x,
    "several": lambda x, n: (np.sqrt(n), n // 2, np.arange(3) * n),
    "behind arithmetic": lambda x, n: x + np.sqrt(1 - n),
}


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", OF_ONE_NUMBER)
def test_errors_of_functions_of_changing_numbers_come_at_their_place(name, backend):
    function = OF_ONE_NUMBER[name]
    compiled = quern.compile(function, backend=backend)

    def outcome(call, n):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                made = repr(call(np.ones(3), n))
            except Exception as error:
                made = f"{type(error).__name__}: {error}"
        return made, [(str(w.message), w.filename, w.lineno) for w in said]

    for n in (2.0, 3.0, -1.0, -2.0, 1e300, 0.0, 5.0, 2**70, 3, 7):
        for errors in ("warn", "raise"):
            with np.errstate(all=errors):
                assert outcome(compiled, n) == outcome(function, n)


#: of an int that says a size, a count, a place
OF_AN_INT = {
    "tri": np.tri, "lower triangle": lambda n: np.tril(X, n - 3), "tri of three": lambda n: np.tri(n, n + 1, n - 2), "eye": lambda n: np.eye(n, n + 1, k=n - 2),
    "identity": np.identity, "square eye": np.eye, "diagonal": lambda n: np.diag(X, n - 2), "matrix of a diagonal": lambda n: np.diag(X[0], n - 2),
    "diagflat": lambda n: np.diagflat(X[0], n - 2), "quarter turns": lambda n: np.rot90(X, n), "transform": lambda n: np.fft.fft(X, n),
    "zeros": lambda n: np.zeros((n, 2)), "full": lambda n: np.full((2, n), n), "range": lambda n: np.arange(n, n * 3),
    "linspace": lambda n: np.linspace(0, 1, n), "repeat": lambda n: np.repeat(X, n), "roll": lambda n: np.roll(X, n),
    "sections": lambda n: np.array_split(X, n), "vander": lambda n: np.vander(X[0], n), "differences": lambda n: np.diff(X, n - 1),
    "indices": lambda n: np.indices((n, 2)), "windows": lambda n: np.lib.stride_tricks.sliding_window_view(X[0], n),
    "partition": lambda n: np.partition(X.ravel(), n), "positions in order": lambda n: np.argpartition(X, n - 1)[..., n - 1], "trace": lambda n: np.trace(X, n - 2), "a window": np.hanning, "a power": lambda n: np.linalg.matrix_power(X[:4], n),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_AN_INT)
@pytest.mark.parametrize(
    "values", [(3, 4, np.int64(2), np.int32(3)), (np.int64(2), np.int64(3), 4, 2), (np.int8(3), np.int16(2))]
)
def test_numpys_integers_say_sizes(name, values):
    function = OF_AN_INT[name]
    compiled = quern.compile(function)
    for n in values:
        agree(function(n), compiled(n))


def test_a_diagonal_given_as_an_unsigned_number_is_left_to_numpy():
    compiled = quern.compile(lambda k: np.tril(X, k - np.uint8(3)) * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree(np.tril(X, np.uint8(255)) * 2, compiled(np.uint8(2)))


OF_A_LENGTH = {
    "difference": lambda x: len(x) - 1 - np.int64(2), "difference the other way": lambda x: np.int64(30) - len(x),
    "comparisons": lambda x: (len(x) == np.int64(15), len(x) < np.int64(16), np.int64(15) != len(x), len(x) >= np.float64(15.5)),
    "product": lambda x: len(x) * np.float32(2), "quotient": lambda x: len(x) // np.uint8(4), "power": lambda x: len(x) ** np.int64(2),
    "place": lambda x: x[len(x) - 1 - np.int64(2)], "branch": lambda x: "fifteen" if len(x) == np.int64(15) else "other",
    "membership": lambda x: len(x) in (np.int64(15), 3), "divmod": lambda x: divmod(len(x), np.int64(4)),
    "larger": lambda x: max(len(x), np.int64(16)),
}  # fmt: skip


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", OF_A_LENGTH)
def test_lengths_beside_numpys_numbers(name, backend):
    function = OF_A_LENGTH[name]
    compiled = quern.compile(function, dynamic=True, backend=backend)
    for n in (15, 16, 17, 15):
        x = np.arange(float(n))
        agree(function(x), compiled(x))


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("kind", ["c8", "c16", "f2", "f4", "u8"])
@pytest.mark.parametrize("operate", [
    lambda a, n: a + n, lambda a, n: n - a, lambda a, n: a * n, lambda a, n: a / n, lambda a, n: n / a, lambda a, n: a**n,
    lambda a, n: a.sum() * n, lambda a, n: a[1] * n, lambda a, n: a.__iadd__(n),
])  # fmt: skip
def test_a_changing_int_gives_way_to_the_arrays_type(operate, kind, backend):
    compiled = quern.compile(operate, backend=backend)
    for n in (2, 3, 4):
        expected, found = operate(np.array([1, 2, 3], kind), n), compiled(np.array([1, 2, 3], kind), n)
        assert (found.dtype, type(found)) == (expected.dtype, type(expected))
        np.testing.assert_allclose(found, expected, rtol=2e-3 if kind == "f2" else 1e-6)
