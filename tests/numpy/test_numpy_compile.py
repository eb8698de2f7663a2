"""Compiled NumPy functions from end to end: what a caller can see is what NumPy would have done."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
from numpy_compiled import agree, check, compiled

from quern.errors import Unsupported

R = np.random.default_rng(3)
X = R.standard_normal((4, 5))
Y = R.standard_normal((4, 5))
V = R.standard_normal(5)

both = pytest.mark.parametrize("backend", ["eager", "inductor"])


# ------------------------------------------------------------------ values, types, layouts


@both
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int32", "int8", "uint8", "bool"])
def test_element_types(dtype, backend):
    def f(x, y):
        return x + y, x * y, x > y, np.maximum(x, y), (x * 0.5).sum(axis=0), x.mean(), x.astype("float32") / 3

    x, y = (abs(a * 5).astype(dtype) for a in (X, Y))
    agree(f, x, y, backend=backend, rtol=1e-3 if dtype == "float16" else 1e-6)


@both
@pytest.mark.parametrize("layout", ["C", "F", "reversed", "strided", "broadcast", "permuted", "read-only"])
def test_layouts_of_inputs(layout, backend):
    base = R.standard_normal((8, 10))
    x = {
        "C": base[:4, :5].copy(), "F": np.asfortranarray(base[:4, :5]), "reversed": base[3::-1, 4::-1], "strided": base[::2, ::2],
        "broadcast": np.broadcast_to(V, (4, 5)), "permuted": R.standard_normal((5, 3, 4)).transpose(2, 0, 1)[:, :, 1],
        "read-only": base[:4, :5].copy(),
    }[layout]  # fmt: skip
    if layout == "read-only":
        x.flags.writeable = False

    def f(x, y):
        return np.sin(x) + y, x.sum(axis=1), x.T @ y, x[1:, ::-1] * 2

    # the debug backend runs NumPy op by op, and does not see the layout of views
    agree(f, x, Y, backend=backend, strides=backend == "inductor")


@both
def test_special_values(backend):
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e300, 1e-300])

    def f(x, y):
        return (
            x + y, x * y, x / y, x // y, x % y, x**2, x**0.5, np.power(x, 0.5), np.sqrt(x), np.exp(x), np.log(x), np.maximum(x, y),
            np.fmin(x, y), np.sign(x), np.floor(x), np.isnan(x), x == y, np.signbit(x), x.max(), np.nanmax(x), np.hypot(x, y),
            np.arctan2(x, y), np.logaddexp(x, y), np.copysign(x, y),
        )  # fmt: skip

    x, y = np.meshgrid(special, special)
    agree(f, x.copy(), y.copy(), backend=backend)


@both
def test_signed_zeros_survive(backend):
    def f(x, y):
        return 1 / (x % y), 1 / (x // y), 1 / np.power(x * 0.0, 0.5), 1 / -x * 0.0

    agree(f, np.array([-4.0, 4.0, -0.0, 1.0]), np.array([2.0, -2.0, 3.0, -3.0]), backend=backend)


@both
def test_empty_and_zero_dimensional_arrays(backend):
    def f(empty, zero, x):
        return (
            empty + 1,
            empty.sum(),
            empty.sum(axis=0),
            zero + 1,
            zero * x,
            zero.reshape(1),
            np.concatenate([x, x[:0]]),
        )

    agree(f, np.zeros((0, 3)), np.array(2.5), V, backend=backend)


@both
def test_scalars_are_numpy_scalars(backend):
    def f(x, k):
        s = x.sum()
        return s, s * 2, x[0, 0], x.max() - x.min(), (x > 0).any(), x.argmax(), k.sum(), s + x, np.float32(s)

    fast = agree(f, X, np.arange(3, dtype=np.int8), backend=backend)
    assert type(fast(X, np.arange(3, dtype=np.int8))[0]) is np.float64


@both
def test_integer_division_by_zero_gives_zero(backend):
    def f(a, b):
        return a // b, a % b, np.fmod(a, b), np.divmod(a, b)

    a = np.array([7, -7, 0, np.iinfo(np.int64).min, 5])
    agree(f, a, np.array([0, 2, 0, -1, -2]), backend=backend)
    agree(f, a.astype(np.int8), np.array([0, 2, 0, -1, -2], np.int8), backend=backend)
    agree(f, a.astype(np.uint8), np.array([0, 2, 0, 1, 3], np.uint8), backend=backend)


def test_python_numbers_are_weak_and_numpy_scalars_strong():
    def f(x, k):
        return x + 1, x + 1.5, x * np.float64(2), k + 1, k + 1.5, k + np.int64(1), x + True, k * np.float32(1)

    agree(f, V.astype(np.float32), np.arange(4, dtype=np.int8))


def test_a_numpy_float_argument_is_an_input():
    def f(x, a):
        return x * a, a + 1

    fast = agree(f, V.astype(np.float32), np.float64(2.0))
    check(fast, f, V.astype(np.float32), np.float64(3.0))
    check(fast, f, V.astype(np.float32), np.float64(-1.0))
    assert len(fast.entries) == 1
    check(fast, f, V.astype(np.float32), np.float32(-1.0))
    assert len(fast.entries) == 2


# ------------------------------------------------------------------ writes


@both
def test_writes_to_arguments(backend):
    def f(x, y):
        x += y
        x[1:3, ::2] = 0
        x[:, -1] *= 2
        np.exp(y, out=y)
        x[0] = y[0]
        x[x > 1] = 1
        return x.sum()

    agree(f, X, Y, backend=backend)
    agree(f, np.asfortranarray(X), Y, backend=backend)
    agree(f, X[::-1, ::-1].copy()[::-1, ::-1], Y, backend=backend)
    wide = R.standard_normal((8, 10))
    agree(f, wide[::2, ::2], Y, backend=backend)


@both
def test_writes_through_views(backend):
    def f(x):
        row = x[1]
        column = x.T[2]
        row += 10
        column[...] = -1
        flat = x.reshape(-1)
        flat[::7] = 5
        x.ravel()[0] = 8
        x[::-1][0, 0] = 9
        return row, column, flat.sum(), x.diagonal()

    agree(f, X, backend=backend)


def test_views_of_new_arrays_share_memory():
    def f(x):
        y = x * 2
        return y, y[1:], y.T

    y, part, turned = compiled(f)(X)
    part[0, 0] = 99
    assert y[1, 0] == 99
    assert turned[0, 1] == 99


def test_a_view_of_an_argument_is_a_view_of_it():
    def f(x):
        return x[1:, ::-1], x.T, np.broadcast_to(x[0], (2, 5)), x.reshape(2, 2, 5)

    x = X.copy()
    agree(f, x)
    views = compiled(f)(x)
    assert all(np.shares_memory(v, x) for v in views)
    views[0][0, 0] = 7
    assert x[1, -1] == 7


def test_an_argument_comes_back_as_itself():
    def f(x, y):
        x += 1
        return x, np.asarray(y), y

    x, y = X.copy(), Y.copy()
    found = compiled(f)(x, y)
    assert found[0] is x
    assert found[1] is y
    assert found[2] is y


def test_copies_are_copies():
    def f(x):
        return x.copy(), np.array(x), +x, x[:], x.flatten(), x.astype(x.dtype), x[[0, 1]], np.ravel(x), x.reshape(5, 4)

    x = X.copy()
    agree(f, x)
    shared = [np.shares_memory(v, x) for v in compiled(f)(x)]
    assert (
        shared == [np.shares_memory(v, x) for v in f(x)] == [False, False, False, True, False, False, False, True, True]
    )


@both
def test_arrays_with_equal_content_are_two_arrays(backend):
    def f(x, y):
        copied = np.empty_like(x)
        copied[...] = x
        first = x[0, 0]
        chosen = x[x > 0]
        double = y * 2
        again = np.zeros_like(y)
        again[...] = double
        x[...] = y
        y[:] = double
        x *= 0.5
        return copied, first, chosen, double, again

    fast = agree(f, X, Y, backend=backend)
    x, y = X.copy(), Y.copy()
    copied, _, _, double, again = fast(x, y)
    assert not any(np.shares_memory(p, q) for p, q in [(copied, x), (double, again), (double, y), (again, y)])

    def only_a_copy(x):
        made = np.zeros_like(x)
        made[...] = x
        return made

    x = X.copy()
    assert not np.shares_memory(compiled(only_a_copy, backend)(x), x)


def test_overlapping_arguments_that_are_written_run_as_numpy_does():
    def f(x, y):
        x += 1
        return y * 2

    memory = np.arange(10.0)
    fast = compiled(f, fullgraph=False)
    check(fast, f, memory[:6], memory[4:])
    assert [b.code for b in fast.breaks] == ["aliased-input-write"]
    apart = compiled(f)
    check(apart, f, memory[:5], memory[5:])
    with pytest.raises(Unsupported, match="whose memory was written to as `x`"):
        apart(memory[:5], memory[1:6])


def test_the_same_array_twice():
    def f(x, y):
        x += y
        return x * y

    fast = compiled(f, fullgraph=False)
    check(fast, f, X, Y)
    check(fast, f, X, X)
    check(fast, f, X, Y)


def test_numpy_errors_are_numpys():
    def read_only(x):
        x[0] = 1

    frozen = X.copy()
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        compiled(read_only)(frozen)

    def cast(k):
        k += 0.5
        return k

    with pytest.raises(TypeError, match="Cannot cast ufunc 'add' output"):
        compiled(cast)(np.arange(3))

    def shapes(x, y):
        return x + y

    with pytest.raises(ValueError, match="could not be broadcast"):
        compiled(shapes)(np.zeros(3), np.zeros(4))

    def bounds(x):
        return x[10]

    with pytest.raises(IndexError, match="out of bounds"):
        compiled(bounds)(X)

    def overflow(k):
        return k + 300

    with pytest.raises(OverflowError):
        compiled(overflow)(np.arange(3, dtype=np.uint8))


@both
def test_index_arrays_are_checked_when_the_function_runs(backend):
    def f(x, i):
        return x[i] * 2

    fast = compiled(f, backend)
    np.testing.assert_array_equal(fast(V, np.array([0, -1, 4])), V[[0, -1, 4]] * 2)
    with pytest.raises(IndexError, match="index 5 is out of bounds for axis 0 with size 5"):
        fast(V, np.array([0, 1, 5]))


# ------------------------------------------------------------------ guards


def test_recompiles_for_other_types_and_layouts_only():
    def f(x):
        return np.tanh(x) * 2

    fast = compiled(f)
    for x in (X, Y, X.astype(np.float32), X.T, X[:2], X[::2], X, X.T):
        check(fast, f, x)
    assert len(fast.entries) == 5
    reasons = " ".join(text for r in fast.recompiles for text in r.failures)
    assert "x had dtype float64" in reasons
    assert "x had shape (4, 5)" in reasons or "x had strides" in reasons


TABLE = np.arange(5.0)


def test_global_arrays_are_read_at_each_call():
    def f(x):
        return x + TABLE

    fast = compiled(f)
    check(fast, f, V)
    TABLE[0] = 17
    check(fast, f, V)
    assert len(fast.entries) == 1


def test_arrays_that_graphs_cannot_hold_stay_with_numpy():
    def f(x):
        return x[1:]

    for odd in (np.array(["a", "b"]), np.array([1, None], dtype=object), np.arange(3).astype("M8[D]"), np.arange(3, dtype=">f8"),
                np.zeros(2, dtype=[("a", "i1"), ("b", "f8")])["b"]):  # fmt: skip
        fast = compiled(f, fullgraph=False)
        np.testing.assert_array_equal(fast(odd), f(odd))


# ------------------------------------------------------------------ Python around arrays


@both
def test_loops_closures_containers_and_early_returns(backend):
    def f(x, steps, extra=None):
        scale = 0.5

        def smooth(a):
            return (a[1:] + a[:-1]) * scale

        parts = []
        for _ in range(steps):
            x = smooth(x)
            parts.append(x.sum())
            if x.shape[0] < 4:
                break
        if extra is not None:
            return {"parts": parts, "last": x + extra}
        return {"parts": parts, "last": x, "size": len(x), "shape": x.shape}

    agree(f, np.arange(8.0), 3, backend=backend)
    agree(f, np.arange(8.0), 9, backend=backend)
    agree(f, np.arange(8.0), 2, 1.0, backend=backend)


def test_iteration_and_unpacking():
    def f(x):
        first, *rest = x
        total = np.zeros_like(first)
        for row in rest:
            total += row
        a, b = x.shape
        return total, a * b, [r.max() for r in x], sum(x)

    agree(f, X)


def test_attributes_and_queries():
    def f(x):
        if x.ndim == 2 and x.dtype == np.float64 and isinstance(x, np.ndarray) and np.issubdtype(x.dtype, np.floating):
            return x.size, x.shape[0], x.itemsize, x.nbytes, x.strides, x.dtype, np.finfo(x.dtype).eps, x.T.shape
        return None

    agree(f, X)


def test_grids_and_index_expressions():
    def f(x):
        rows, columns = np.mgrid[0:4, 1:6]
        row, column = np.ogrid[:4, 0:10:2]
        return x * rows + columns, x + row * column, x[np.s_[1:, ::2]], np.mgrid[2:5]

    agree(f, X)
    agree(f, X, dynamic=True)


def test_errstate_is_passed_over():
    def f(x, y):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(y == 0, 0.0, x / y)

    agree(f, V, np.array([0.0, 1.0, 2.0, 0.0, -1.0]))


def test_builtin_functions_on_arrays():
    def f(x, y):
        return abs(x), divmod(x, y), pow(x, 2), round(2.5), len(x), -x, ~(x > 0), sum([x, y])

    agree(f, V, abs(V) + 1)


def test_masks():
    def f(x, y):
        positive = x[x > 0]
        x[x < -1] = x[x < -1] * 2 + 1
        y[y > 0] += 10
        y[x > 0] = 0
        return (
            positive,
            positive.sum(),
            x[x > 0].mean(),
            x[x > 0].max(),
            np.log(positive),
            np.count_nonzero(x[x > 0] > 0.5),
        )

    agree(f, X, Y)
    agree(f, X, Y, backend="inductor")

    def nothing(x):
        return x[x > 100].min()

    with pytest.raises(ValueError, match="zero-size array to reduction operation minimum"):
        compiled(nothing)(X)


def test_python_numbers_out_of_arrays():
    def f(x):
        loss = float((x * x).mean())
        return loss, int(x.argmax()), x.max().item(), x / float(x.sum()), loss * 2 + 1, x.sum().item() / 4

    agree(f, X.astype(np.float32))
    agree(f, X, backend="inductor")


@both
def test_complex_numbers(backend):
    def f(z, x):
        return z * z + x, np.abs(z), z.real, z.imag, np.exp(1j * x), z.sum(axis=0), z.conj() * z, z + 1, z[1:], z.T

    z = X + 1j * Y
    agree(f, z, X, backend=backend, strides=False)


@both
def test_factorisations_and_transforms(backend):
    def f(x):
        m = x.T @ x + np.eye(x.shape[1])
        w, v = np.linalg.eigh(m)
        q, r = np.linalg.qr(x)
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        sign, logdet = np.linalg.slogdet(m)
        spectrum = np.fft.rfft(x, axis=0)
        return (
            v @ np.diag(w) @ v.T,
            q @ r,
            u * s @ vt,
            sign * logdet,
            np.abs(spectrum),
            np.fft.irfft(spectrum, x.shape[0], axis=0),
        )

    agree(f, X, backend=backend, strides=False)


def test_named_results_of_factorisations():
    def f(x):
        return np.linalg.eigh(x @ x.T)

    found = compiled(f)(X)
    assert type(found) is type(np.linalg.eigh(np.eye(2)))
    np.testing.assert_allclose(found.eigenvalues, f(X).eigenvalues)


def test_functions_that_numpy_writes_in_python():
    def f(x):
        return np.cov(x), np.corrcoef(x[0], x[1]), np.vander(x[0], 3)

    agree(f, X, strides=False)


def test_closeness_is_a_python_bool():
    def f(x, y):
        return np.allclose(x, y), np.array_equal(x, x), np.array_equal(x, x[1:])

    agree(f, X, Y)
    assert type(compiled(f)(X, Y)[0]) is bool


# ------------------------------------------------------------------ graph breaks


def test_breaks_are_told_and_harmless():
    seen = []

    def f(x):
        y = x * 2
        seen.append(float(y.sum()) > 0)
        if y.sum() > 0:
            y = y + 1
        u = np.unique(y > 0)
        return y, u

    fast = compiled(f, fullgraph=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(fast(X)[0], f(X)[0])
        np.testing.assert_array_equal(fast(-X)[0], f(-X)[0])
    assert any(b.code == "data-dependent-branch" for b in fast.breaks)
    assert any("np.unique" in b.what or "numpy.unique" in b.what for b in fast.breaks)


@pytest.mark.parametrize(("function", "code"), [
    (lambda x: 1 if x.sum() > 0 else 2, "data-dependent-branch"), (lambda x: np.unique(x), "numpy-unsupported"),
    (lambda x: np.nonzero(x), "numpy-unsupported"), (lambda x: x.tolist(), "data-dependent-scalar"),
    (lambda x: np.random.rand(3) + x[0, :3], "numpy-unsupported"), (lambda x: len(x[x > 0]), "data-dependent-shape"),
    (lambda x: x.flat, "numpy-attribute"), (lambda x: np.where(x > 0), "data-dependent-shape"), (lambda x: f"{x}", "data-dependent-text"),
])  # fmt: skip
def test_what_cannot_be_captured_is_said(function, code):
    with pytest.raises(Unsupported) as refusal:
        compiled(function)(X)
    assert refusal.value.code == code
    text = str(refusal.value)
    assert "test_numpy_compile.py" in text
    assert "why:" in text


# ------------------------------------------------------------------ sizes that change


def _normalise(x):
    n, m = x.shape
    centred = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1)
    return centred, centred[1:, ::-1].T, x.reshape(-1)[: n * m - 1], np.zeros((m, n)) + n, len(x) * 2, np.arange(n) / n


@both
def test_a_size_that_changed_becomes_a_symbol(backend):
    fast = compiled(_normalise, backend)
    for n in (4, 5, 6, 9, 33):
        check(fast, _normalise, R.standard_normal((n, 3)))
    assert len(fast.entries) == 2  # one for size 4, one for the others
    check(fast, _normalise, R.standard_normal((7, 3)))
    assert len(fast.entries) == 2


@both
def test_sizes_are_symbols_at_once_when_asked(backend):
    def f(x, y):
        both = np.concatenate([x, y])
        padded = np.pad(both, 1)
        total = np.zeros(both.shape[0])
        total[: x.shape[0]] += x
        total[-1] = 3
        return (
            np.exp(both),
            padded[2:],
            np.roll(both, 1),
            total,
            both[::-1],
            both.sum() / both.size,
            np.stack([x, x]),
            np.diff(both),
        )

    fast = compiled(f, backend, dynamic=True)
    for n in (5, 6, 7, 20):
        check(fast, f, R.standard_normal(n), R.standard_normal(n + 2))
    assert len(fast.entries) == 1


def test_writes_and_views_with_dynamic_sizes():
    def f(x):
        x[1:-1] = (x[2:] + x[:-2]) / 2
        x[x < 0] = 0
        return x[1:], x[::-1], x.reshape(1, -1), x.sum()

    fast = compiled(f, dynamic=True)
    for n in (4, 8, 11):
        check(fast, f, R.standard_normal(n))
    assert len(fast.entries) == 1


def test_matrices_with_dynamic_sizes():
    def f(x, w):
        scores = x @ w
        best = scores.argmax(axis=1)
        top = np.maximum(scores, 0).mean(axis=0)
        return scores, best, top, np.einsum("ij,ij->i", x, x), np.outer(x[:, 0], w[0]), x[best % x.shape[0]]

    fast = compiled(f, dynamic=True)
    for n in (4, 8, 11):
        check(fast, f, R.standard_normal((n, 5)), R.standard_normal((5, 3)), strides=False)
    assert len(fast.entries) == 1


def test_floats_that_change_are_right_at_every_value():
    def f(x, a):
        return np.where(x > a, x * a, a), x.astype(np.float32) * a, a

    fast = compiled(f)
    for a in (0.1, 0.37, 1.5):
        check(fast, f, np.linspace(-1, 2, 12).reshape(3, 4), a)
    assert all(entry.graph is not None for entry in fast.explain_records)


@both
@pytest.mark.parametrize("name", ["time", "perf_counter", "time_ns", "monotonic"])
def test_the_compiler_does_not_ask_a_clock_that_the_program_put_in_place(name, backend, monkeypatch):
    """Its calls would be counted as the program's."""
    counted = []
    monkeypatch.setattr(time, name, lambda: counted.append(1) or len(counted))

    def f(x):
        began = getattr(time, name)()
        y = np.exp(x) * began
        return y * (getattr(time, name)() - began), len(counted)

    function = compiled(f, backend=backend)
    for call in range(3):
        result, calls = function(X)
        assert calls == len(counted) == 2 * call + 2
        np.testing.assert_allclose(result, np.exp(X) * (calls - 1))
