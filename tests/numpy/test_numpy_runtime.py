"""NumPy as plans see it, and layouts as NumPy makes them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy_tape import RUNTIME
from quern.capture.frontends.numpy import layout, table_ops
from quern.inductor import dtypes
from quern.inductor.graph import ExternRef, Input, TensorMeta

from quern.config import config


def test_addresses_are_those_of_the_first_element():
    x = np.arange(12.0).reshape(3, 4)
    for view in (x, x[1:], x[::-1], x.T[2:, 1], np.array(3.0), x[:0]):
        assert RUNTIME.data_ptr(view) == view.__array_interface__["data"][0]


@pytest.mark.parametrize("stride", [(4, 1), (1, 3), (8, 2)])
def test_empty_has_the_layout_asked_for(stride):
    x = RUNTIME.empty((3, 4), stride, dtypes.float32, "cpu")
    assert (x.shape, x.dtype) == ((3, 4), np.float32)
    assert layout.element_strides(x) == stride
    x[...] = 1
    assert RUNTIME.empty((0, 4), (4, 1), dtypes.bool_, "cpu").shape == (0, 4)


def test_as_strided_counts_from_the_first_element():
    x = np.arange(12.0).reshape(3, 4)
    for base in (x, np.asfortranarray(x)):
        steps = layout.element_strides(base)
        np.testing.assert_array_equal(RUNTIME.as_strided(base, (2, 3), steps, sum(steps)), base[1:, 1:])
    np.testing.assert_array_equal(RUNTIME.as_strided(x[::-1], (2, 3), (-4, 1), 1), x[:0:-1, 1:])
    assert np.shares_memory(RUNTIME.as_strided(x, (2,), (5,), 1), x)


def test_metas_say_what_arrays_are():
    x = np.arange(12, dtype=np.int16).reshape(3, 4)[:, ::-2]
    assert RUNTIME.meta_of(x) == TensorMeta((3, 2), (4, -2), dtypes.int16)
    with pytest.raises(TypeError, match="graphs cannot hold an array of dtype object"):
        RUNTIME.meta_of(np.array([None]))


def test_results_of_calls_are_row_major_arrays():
    x = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    made = RUNTIME.run_op("extern")(x, ref=ExternRef("numpy:sort", (Input(0), 0)))
    assert made.flags.c_contiguous
    dot = RUNTIME.run_op("dot")(np.arange(3.0), np.arange(3.0))
    assert type(dot) is np.ndarray and dot == 5.0
    values, vectors = RUNTIME.run_op("extern")(np.eye(2), ref=ExternRef("numpy:linalg.eigh", (Input(0),)))
    assert values.flags.c_contiguous and vectors.flags.c_contiguous


def test_unknown_ops_are_refused():
    with pytest.raises(KeyError, match="NumPy has no implementation of op 'convolution'"):
        RUNTIME.run_op("convolution")


def test_ops_without_a_numpy_function_run_by_their_decomposition():
    x = np.random.default_rng(0).standard_normal((3, 4))
    out = RUNTIME.run_op("softmax")(x, dim=1, dtype=None)
    np.testing.assert_allclose(out.sum(axis=1), 1.0)
    np.testing.assert_allclose(RUNTIME.run_op("var")(x, dim=0, keepdim=False, correction=1), x.var(axis=0, ddof=1))


def test_threads_follow_the_setting():
    with config.patch(threads=3):
        assert RUNTIME.num_threads() == 3
    assert RUNTIME.num_threads() >= 1


# ------------------------------------------------------------------ layouts


def _any_layout(rng, shape):
    """An array of random axis order, gaps, and reversed axes."""
    order = list(range(len(shape)))
    rng.shuffle(order)
    gaps = [rng.choice([1, 1, 2]) for _ in shape]
    memory = np.zeros([shape[d] * gaps[d] for d in order])
    x = memory.transpose(np.argsort(order))
    x = x[tuple(slice(None, None, g) if s else slice(0) for g, s in zip(gaps, shape))]
    return np.flip(x, [d for d in range(len(shape)) if rng.random() < 0.15])


def _agrees(array, strides):
    mine = layout.element_strides(array)
    return array.size == 0 or all(n == 1 or a == s for n, a, s in zip(array.shape, mine, strides))


@pytest.mark.parametrize("seed", range(6))
def test_new_results_are_laid_out_as_numpys(seed):
    rng = random.Random(seed)
    for _ in range(150):
        shape = tuple(rng.choice([1, 2, 3, 4]) for _ in range(rng.randint(1, 4)))
        xs = [
            _any_layout(rng, [1 if rng.random() < 0.2 else n for n in shape][rng.choice([0, 0, 0, 1]) :])
            for _ in range(rng.randint(1, 3))
        ]
        result = {1: np.negative, 2: np.add, 3: np.clip}[len(xs)](*xs)
        if isinstance(result, np.ndarray):
            found = layout.elementwise_strides([(x.shape, layout.element_strides(x)) for x in xs], result.shape)
            assert _agrees(result, found), [(x.shape, x.strides) for x in xs]
        x = _any_layout(rng, shape)
        own = layout.element_strides(x)
        axes = tuple(d for d in range(x.ndim) if rng.random() < 0.4)
        total = np.add.reduce(x, axis=axes, keepdims=True)
        assert _agrees(total, layout.reduced_strides(x.shape, own, axes, True)), (x.shape, x.strides, axes)
        for order in "CFAK":
            assert _agrees(x.copy(order=order), layout.order_strides(x.shape, own, order))
        new = rng.choice([(x.size,), (x.size, 1), tuple(sorted(shape)), shape[::-1], (1, *shape)])
        view = layout.reshape_strides(x.shape, own, new)
        assert (view is not None) == np.shares_memory(x.reshape(new), x), (x.shape, x.strides, new)
        assert view is None or _agrees(x.reshape(new), view)


def test_element_types():
    assert layout.graph_dtype(np.dtype("float32")) is dtypes.float32
    assert layout.numpy_dtype(dtypes.bool_).name == "bool"
    for odd in (">f8", "M8[D]", "O", "U3", "g", [("a", "i4")]):
        assert layout.graph_dtype(np.dtype(odd)) is None or np.dtype(odd) == np.float64


def test_every_extern_op_of_the_table_that_numpy_has_gives_arrays():
    x = np.arange(6.0).reshape(2, 3)
    for name, args in (("matmul", (x, x.T)), ("mm", (x, x.T)), ("mv", (x, x[0])), ("addmm", (np.ones((2, 2)), x, x.T))):
        attrs = {"beta": 2, "alpha": 3} if name == "addmm" else {}
        made = table_ops.run(name)(*args, **attrs)
        want = {"mv": x @ x[0], "addmm": 2 + 3 * (x @ x.T)}.get(name, x @ x.T)
        np.testing.assert_allclose(made, want)
