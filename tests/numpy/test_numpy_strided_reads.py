"""Elements a few places apart are read as whole vectors and shuffled: all types, strides and lengths, and nothing beyond the last element."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
import pytest

import quern

DTYPES = ["float32", "float64", "float16", "int8", "uint8", "int16", "int32", "int64", "uint64", "bool"]


def compiled(function, **options):
    quern.reset()
    return quern.compile(function, fullgraph=True, options=options)


def anything(shape, dtype):
    return np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", [-1, 2, 3, 4, 5])
def test_every_so_many_elements(dtype, step):
    def f(x, y):
        return x[::step] + y, np.where(x[::step] > y, y, x[::step])

    fast = compiled(f)
    for n in (1, 7, 64, 201, 1000):
        x = anything(n, dtype)
        y = anything(x[::step].shape, dtype)
        for got, want in zip(fast(x, y), f(x, y)):
            assert got.dtype == want.dtype
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_channels_of_an_image(channels, dtype):
    def f(image, weights):
        last = image[..., channels - 1]
        return (image * weights).sum(axis=-1), last + image[..., 0], image[:, ::-1].max(axis=-1)

    image, weights = anything((37, 61, channels), dtype), anything(channels, dtype)
    for got, want in zip(compiled(f)(image, weights), f(image, weights)):
        np.testing.assert_array_equal(got, want)


def test_what_is_written_in_the_same_kernel_is_read_element_by_element():
    def f(x):
        x[::2] = x[::2] * 2 + x[1::2]

    x = anything(1000, "float64")
    want = x.copy()
    f(want)
    fast = compiled(f)
    fast(x)
    np.testing.assert_array_equal(x, want)


@pytest.mark.parametrize("step", [-1, 2, 3, 4])
def test_nothing_is_read_outside_of_the_elements(step):
    """The array ends, and begins, where memory that must not be touched does."""
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 3 * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    for start in (address, address + 2 * page):
        assert libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(page), 0) == 0
    inside = np.frombuffer((ctypes.c_char * page).from_address(address + page), np.float32)
    inside[:] = np.arange(inside.size)

    def f(x):
        return x[::step] * 2, x[1 if step > 0 else None :: step] + 1

    fast = compiled(f)
    for n in (16 * 4 * 4, 16 * 3 * 5, 1000, 1024):
        for x in (inside[:n], inside[inside.size - n :]):
            for got, want in zip(fast(x), f(x)):
                np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("rows, columns", [(40, 70), (7, 300)])
def test_lanes_run_along_what_is_stored_side_by_side(rows, columns):
    """Distances of points: both operands are read three apart, so the store decides."""

    def f(a, b):
        d = a.reshape(-1, 1, 3) - b.reshape(1, -1, 3)
        return np.sqrt((d * d).sum(axis=-1))

    a, b = np.random.default_rng(0).standard_normal((rows, 3)), np.random.default_rng(1).standard_normal((columns, 3))
    fast = compiled(f)
    np.testing.assert_allclose(fast(a, b), f(a, b), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "bool"])
def test_large_arrays_are_turned_around_in_runs(dtype):
    """More elements than caches hold, sides that no square divides, with a part that is read as it lies."""

    def f(x, y):
        return x.T + y, x[:, 5:].T

    x = anything((1501, 1433), dtype)
    y = anything((1433, 1501), dtype)
    for got, want in zip(compiled(f)(x, y), f(x, y)):
        np.testing.assert_array_equal(got, want)


def test_turned_around_beside_something_else():
    def f(x, y):
        return np.concatenate([x.T, y[:, :1501]]) * 2

    x, y = anything((1501, 1433), "float32"), anything((200, 2000), "float32")
    np.testing.assert_array_equal(compiled(f)(x, y), f(x, y))
