"""Memory that is laid out in unusual ways: index arrays, reversed inputs, complex numbers, arrays without elements."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy_compiled import agree, check, compiled

R = np.random.default_rng(11)
X2, X3 = R.standard_normal((4, 5)), R.standard_normal((4, 5, 6))
I = np.array([[0, 1, 2], [1, 2, 3]])
TURNED = np.asfortranarray(I)
Z = R.standard_normal((4, 5)) + 1j * R.standard_normal((4, 5))


@pytest.mark.parametrize("x", [X3, np.asfortranarray(X3), X3.transpose(1, 0, 2)], ids=["C", "F", "turned"])
@pytest.mark.parametrize(
    ("i", "j"), [(I, TURNED), (TURNED, TURNED), (I[:, :1], I[0]), (np.array([0, 2]), np.array([1, 1]))]
)
def test_results_of_index_arrays_are_laid_out_as_numpys(x, i, j):
    def f(x, i, j):
        return (
            x[i],
            x[:, i],
            x[:, :, i],
            x[i, j],
            x[:, i, j],
            x[i, :, j],
            x[0, i, j],
            x[..., i],
            x[:, i, 1:3],
            x[i, j, j],
        )

    agree(f, x, i, j, backend="inductor")


def test_index_arrays_alone_give_their_own_layout():
    def f(v, x, i, j):
        return v[i], v[j], x[i, j], x[j, j], x[j, 2]

    agree(f, R.standard_normal(9), X2, I, TURNED, backend="inductor")


@pytest.mark.parametrize("dynamic", [None, True])
def test_views_of_reversed_arguments(dynamic):
    def f(x):
        return x.T, x * 2, x[1:], x

    fast = compiled(f, "inductor", dynamic=dynamic)
    for x in (X2[::-1], X2[:, ::-1], X2[::-1, ::-1]):
        memory = x.copy()[::-1]
        check(fast, f, memory)
        assert np.shares_memory(fast(memory)[0], memory)


def test_complex_arrays_are_moved_and_written_to():
    def f(z, k):
        spectrum = np.fft.fft(z, axis=0)
        spectrum[k:-k] = 0
        y = z.copy()
        y[0] = 1
        y[:, 1] += 2j
        made = np.zeros(z.shape, complex)
        made[1:] = z[1:]
        made[::2] *= 1j
        made[np.abs(made) > 1] = 2
        return (np.fft.ifft(spectrum, axis=0), y, made, y.T.reshape(-1), z[::-1], np.concatenate([z, y]), np.roll(z, 1, 0),
                np.broadcast_to(z[0], (2, 5)), z[[0, 1]], z.swapaxes(0, 1)[0])  # fmt: skip

    agree(f, Z, 1, backend="inductor")
    # transforms of arrays that are not row-major are not laid out as NumPy's
    agree(f, np.asfortranarray(Z.astype(np.complex64)), 2, backend="inductor", rtol=1e-4, strides=False)


def test_mandelbrot():
    def f(x, y):
        c = x[None, :] + 1j * y[:, None]
        z = np.zeros_like(c)
        n = np.zeros(c.shape, dtype=int)
        for _ in range(6):
            near = np.abs(z) <= 2
            z[near] = z[near] ** 2 + c[near]
            n += near
        return n

    agree(f, np.linspace(-2, 1, 13), np.linspace(-1.2, 1.2, 9), backend="inductor")


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0,), (2, 0, 3)])
@pytest.mark.parametrize("dynamic", [None, True])
def test_arrays_without_elements(shape, dynamic):
    def f(x):
        return (
            x.reshape(-1).cumsum(),
            x.sum(),
            x.sum(axis=0),
            x.T + 1,
            np.exp(x) * x.sum(axis=-1, keepdims=True),
            x.ravel(),
        )

    agree(f, np.zeros(shape), backend="inductor", dynamic=dynamic)


def test_numpys_types_give_back_an_array_of_that_type():
    def f(x, k):
        return np.float64(x), np.float32(x), np.int64(k)

    x, k = X2.copy(), np.arange(3)
    agree(f, x, k)
    found = compiled(f)(x, k)
    assert found[0] is x
    assert found[2] is k


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("dynamic", [None, True])
def test_operands_that_a_ufunc_converts_have_their_say_in_the_layout(backend, dynamic):
    """Repeated rows have no opinion, converted or not."""

    def f(rows, turned):
        return (
            np.sin(rows),
            rows + 1.5,
            rows * turned,
            rows // turned,
            turned % rows,
            rows > 1.5,
            np.where(rows, turned, rows),
        )

    rows = np.broadcast_to(np.arange(1, 6), (4, 5))
    agree(f, rows, np.asfortranarray(X2), backend=backend, dynamic=dynamic)


@pytest.mark.parametrize("dynamic", [None, True])
def test_the_backend_that_runs_op_by_op_lays_results_out_as_numpy_does(dynamic):
    def f(x, v):
        return (
            np.zeros_like(x),
            np.sin(np.full_like(x, 2)),
            np.take(x, [0, -1], -1),
            np.meshgrid(v, v)[0],
            np.sin(np.meshgrid(v, v)[0]),
            np.cumsum(x, 0),
            np.roll(x, 1, 0),
        )

    fast = compiled(f, dynamic=dynamic)
    for n in (4, 6):
        check(fast, f, R.standard_normal((n, 5)).T, np.arange(float(n)))


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", ["nansum", "nanprod", "nanmean", "nanmax", "nanmin", "nanvar", "nanstd", "nancumsum"])
def test_reductions_without_nan_lie_as_numpys(backend, name):
    """NumPy looks at a copy of the array, and the copy's axes are in another order where rows repeat."""
    function = getattr(np, name)

    def f(x):
        return [function(x, axis) for axis in (0, 1, -1)]

    rows = np.broadcast_to(np.array([1.0, np.nan, 3.0]), (2, 4, 3))[..., ::2]
    for x in (rows, np.broadcast_to(X2[0], (3, 4, 5)), X3.T, X3.transpose(1, 0, 2), np.asfortranarray(X3)):
        agree(f, x, backend=backend, rtol=1e-12)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_triangles_and_averages_lie_as_numpys(backend):
    def f(x):
        return (
            np.tril(x),
            np.triu(x, 1),
            np.average(x, axis=0, weights=np.ones(x.shape)),
            x[..., :2].mean(0, where=x[..., :2] > 9),
        )

    for x in (X3, X3.T, X3.transpose(1, 0, 2), np.asfortranarray(X3)):
        agree(f, x, backend=backend, fullgraph=False)


def test_kronecker_products_of_numbers_are_numbers():
    def f(x, y):
        return np.kron(x, x), np.kron(x, y), np.kron(y, x)

    for y in (np.arange(3.0), X2, np.array(2.0)):
        agree(f, np.array(1.5), y, backend="inductor")


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_medians_lie_as_the_sorted_copy_they_are_taken_of(backend):
    def f(x):
        return [np.median(x, axis, keepdims=keep) for axis in (0, 1, -1) for keep in (False, True)]

    for x in (X3, X3.T, X3.transpose(1, 0, 2), np.broadcast_to(X2, (3, 4, 5)), np.broadcast_to(X2[0], (3, 4, 5)), X2.T):
        agree(f, x, backend=backend)


LAID_OUT = (
    X3, X3.T, X3.transpose(1, 0, 2), X3[:, ::2].transpose(1, 2, 0), np.broadcast_to(X2[0], (3, 4, 5)), np.broadcast_to(X2[:, None, :], (4, 3, 5)).T,
)  # fmt: skip


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_what_numpy_rounds_or_rids_of_nan_in_a_copy_lies_as_the_copy(backend):
    def f(x, i):
        return np.round(x), np.round(x, 1), x.round(-1), np.nan_to_num(x), np.round(i), i.round(2), np.nan_to_num(i)

    for x in LAID_OUT:
        agree(f, x, np.rint(8 * x).astype(np.int64, copy=False) if x.strides[0] else np.broadcast_to(I[0], (2, 3)), backend=backend)  # fmt: skip


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_nan_aware_order_statistics_lie_as_numpys(backend):
    def f(x):
        several = [np.nanpercentile(x, [20, 30], axis=0), np.nanquantile(x, [[0.2], [0.4]], axis=(0, 1), keepdims=True)]
        return [np.nanmedian(x, axis, keepdims=keep) for axis in (0, 1, -1, (0, 1)) for keep in (False, True)] + several

    for x in (*LAID_OUT[:5], R.standard_normal((2, 3, 700)).T):
        agree(f, x, backend=backend, fullgraph=False)


def test_axes_that_an_index_leaves_lie_as_copies_do():
    def f(x):
        return x[..., [[0], [-1]]], x[:, [0, 1]], x[[0, 1]], x[None, [0, -1]], np.take(x, [0, 1], 1)

    for x in LAID_OUT:
        agree(f, x, backend="inductor")


def test_parts_of_arrays_without_elements():
    for dynamic in (None, True):
        agree(lambda z: (np.diff(z), z[:, 1:] * 2, z.T + 1), np.zeros((0, 3), complex), backend="inductor", dynamic=dynamic)  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "int8", "complex64", "float16"])
@pytest.mark.parametrize("repeated", [0, 1, 2])
@pytest.mark.parametrize("turned", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_prefixes_of_repeated_elements_are_laid_out_as_other_results(turned, repeated, dtype):
    def f(x):
        return x.cumsum(0), np.cumprod(x, 1), np.add.accumulate(x, -1), np.maximum.accumulate(x, 0)

    whole = np.arange(24.0).astype(dtype).reshape(2, 3, 4).transpose(turned)
    x = np.broadcast_to(whole[(*[slice(None)] * repeated, slice(1))], whole.shape)
    check(compiled(f, fullgraph=False), f, x)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_new_axes_of_stacks_lie_where_numpy_puts_them(backend):
    def f(x, y):
        made = [np.stack([a, b], d) for a, b in ((x, x), (x, y), (y, x)) for d in range(x.ndim + 1)]
        rows = [np.concatenate([a[:, None], b[:, None]], 1) for a, b in ((x, x), (x[:1], x[:1]), (y, x))]
        return (*made, *rows, np.sin(made[1]), np.dstack([x, x]), np.concatenate([x[None], y[None]], -1))

    broadcast = np.broadcast_to(X3[:1], X3.shape)
    for x, y in ((X2.T, X2.T), (X2, X2[:, ::-1]), (X3.T, X3.T), (X3.transpose(1, 0, 2), X3.transpose(1, 0, 2)),
                 (broadcast, X3), (X3[:, :, :1].T, X3[:, :, :1].T), (np.asfortranarray(X3), X3)):  # fmt: skip
        agree(f, x, y, backend=backend)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_a_part_without_elements_at_the_end_of_an_array(backend):
    def f(x):
        rest = np.array_split(x, 2)[1]
        return rest, np.maximum.accumulate(rest), np.minimum.accumulate(x[1:])

    agree(f, np.arange(2.0)[::2][:1], backend=backend)
    agree(f, np.arange(1.0), backend=backend)


SQUARES = R.standard_normal((2, 3, 4, 4)) + 5 * np.eye(4)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("turned", [(1, 0, 2, 3), (3, 1, 2, 0), (0, 1, 2, 3)])
def test_stacks_of_matrices_lie_as_the_operands_stacks(turned, backend):
    def f(x, i):
        return (
            x @ x,
            x @ x[0, 0],
            np.tanh(x[:1]) @ x,
            i @ i,
            x @ x[0, 0, 0],
            np.linalg.matrix_power(x, 3),
            np.linalg.svd(x),
        )

    def g(x):
        return (
            np.linalg.inv(x),
            np.linalg.inv(x) + 1,
            np.linalg.slogdet(x),
            np.linalg.eigvalsh(x),
            np.linalg.qr(x),
            np.linalg.pinv(x),
        )

    x = SQUARES.transpose(turned).copy().transpose(np.argsort(turned))
    agree(f, x, np.rint(9 * x).astype(int), backend=backend)
    agree(g, x, backend=backend)
    agree(g, np.broadcast_to(x[0], x.shape), backend=backend)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_spectra_and_parts_of_numbers_lie_as_what_they_are_made_of(backend):
    def f(x):
        spectra = (
            np.fft.fft(x),
            np.fft.rfft(x, axis=0).real * 2,
            np.fft.irfft(x, axis=1),
            np.fft.ifft2(x),
            np.fft.fft(x[:1], 3, 0),
        )
        return *spectra, *np.modf(x), *np.frexp(x), *np.divmod(x, 2), np.modf(x[0, 0, 0])

    for x in LAID_OUT:
        agree(f, x, backend=backend)


def test_a_product_with_a_scalar_is_row_major_where_numpy_asks_blas():
    def f(a, x):
        return np.dot(a, x), np.dot(x, a), x.dot(3), np.inner(a, x), np.multiply(a, x)

    for dtype in ("f4", "f8", "c16", "f2", "i8", "?"):
        for x in (np.asfortranarray(X2), X2.T, X2[:, ::-1], X3.transpose(1, 0, 2), X2[:, 0]):
            agree(f, np.array(2).astype(dtype), x.astype(dtype), backend="inductor")


def test_an_order_that_is_asked_of_a_ufunc():
    def f(x):
        return np.sin(x, order="C"), np.add(x, x, order="C", out=np.empty_like(x)), np.divmod(x, 2.0, order="C")

    for x in (np.asfortranarray(X2), X2.T, X2[:, ::-1], X3.transpose(1, 0, 2)):
        agree(f, x, backend="inductor")


@pytest.mark.parametrize("order", ["K", "C", "F"])
@pytest.mark.parametrize("ndmin", [2, 3, 4])
def test_new_axes_of_an_array_made_with_ndmin(ndmin, order):
    fast = compiled(lambda a: np.array(a, ndmin=ndmin, order=order), "inductor", fullgraph=False)
    for a in (
        np.ones((2, 3)),
        np.asfortranarray(np.ones((2, 3))),
        np.ones((4, 6))[::2, ::2],
        np.ones((1, 3)).T,
        np.ones(3),
    ):
        for x in (a, np.concatenate([a, a])):
            wanted, found = np.array(x, ndmin=ndmin, order=order), fast(x)
            assert found.strides == wanted.strides and np.array_equal(found, wanted)


def test_what_broadcasting_made_is_read_without_a_word():
    _, x = np.broadcast_arrays(np.ones((2, 3)), np.ones(3))
    fast = compiled(lambda a: a + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            assert np.array_equal(fast(x), x + 1)


IN_ORDER = {
    "cumsum": lambda x: np.cumsum(x),
    "cumprod": lambda x: np.cumprod(x % 3 + 1),
    "argmax": lambda x: np.argmax(x),
    "argmin": lambda x: np.argmin(x // 4),
    "both": lambda x: (np.argmax(x // 4), np.cumsum(x)),
    "of an axis": lambda x: (np.cumsum(x, axis=0), np.argmax(x // 4, axis=1)),
}


@pytest.mark.parametrize("kind", [np.int32, np.float64])
@pytest.mark.parametrize("name", IN_ORDER)
def test_what_goes_in_order_beside_a_write_of_another_order(name, kind):
    """The write runs as the memory lies, prefixes and positions as the axes do: one loop cannot do both."""

    def program(x):
        before = np.sin(x)
        x.T[-1] *= 2
        return before, np.cbrt(x), IN_ORDER[name](x), x * 3

    def flat(results):
        return [r for result in results for r in (result if isinstance(result, tuple) else (result,))]

    fast = compiled(program, "inductor", fullgraph=False)
    for shape in ((3, 4), (5, 2), (8, 24)):
        x = np.asfortranarray(R.integers(-8, 8, shape).astype(kind))
        given = x.copy("K")
        wanted, found = program(x), fast(given)
        assert np.array_equal(x, given)
        for w, f in zip(flat(wanted), flat(found)):
            np.testing.assert_allclose(f, w, rtol=1e-12)


@pytest.mark.parametrize("name", ["divmod", "add", "floor_divide", "hypot", "less"])
def test_results_beside_repeated_operands_and_axes_of_one(name):
    fast = compiled(lambda a, b: getattr(np, name)(a, b), "inductor", fullgraph=False)
    columns = np.asfortranarray(np.arange(1.0, 16).reshape(5, 3))
    repeated = np.broadcast_to(np.arange(1.0, 4), (5, 3))
    thin = np.asfortranarray(np.arange(1.0, 13).reshape(3, 4, 1))
    pairs = [(columns, repeated), (repeated, columns), (columns, columns), (columns, np.ones((5, 3))), (columns, 2.0)]
    for a, b in (*pairs, (thin, thin), (thin, 2.0), (thin, np.ones((3, 4, 1))), (thin.astype(int), 1.5)):
        wanted, found = getattr(np, name)(a, b), fast(a, b)
        for w, f in zip(wanted, found) if name == "divmod" else [(wanted, found)]:
            assert f.strides == w.strides and np.allclose(f, w)


@pytest.mark.parametrize(
    "turned",
    [
        lambda x, y: (x + x.T) + (x + x.T)[::-1],
        lambda x, y: x[:, ::-1] + x[::-1, ::-1].T + x[::-1],
        lambda x, y: x[:, ::-1] + y[::-1].T + x[:, ::-1].T + x[::-1] + y.T,
        lambda x, y: x[::-1].T + x[::-1, ::-1].T + x[::-1, ::-1],
    ],
    ids=["sum", "three", "five", "backwards"],
)
@pytest.mark.parametrize("size", [3, 4, 8, 12, 16])
@pytest.mark.parametrize("kind", ["f8", "f4", "i8"])
def test_small_squares_that_are_turned_and_read_backwards(turned, size, kind):
    """The C++ compiler sees all their places, and must not take the kernel for one that never gets to its stores."""
    x = np.arange(size * size, dtype=kind).reshape(size, size)
    assert np.array_equal(compiled(turned, "inductor")(x, 2 * x + 1), turned(x, 2 * x + 1))
