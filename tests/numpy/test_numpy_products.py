"""NumPy's products of matrices as generated kernels: NumPy's values, layouts and warnings."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import quern

R = np.random.default_rng(0).standard_normal


def heard(f, *args):
    """A call's result and its warnings."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = f(*args)
    return result, [str(w.message) for w in said]


PRODUCTS = {
    "matrices": (lambda a, b: (a * 2) @ b + 1, (R((7, 5)), R((5, 9)))),
    "matrices of float32": (lambda a, b: (a * 2) @ b + 1, (R((7, 5)).astype("f"), R((5, 9)).astype("f"))),
    "matrices of float16": (lambda a, b: a @ b, (R((7, 5)).astype("e"), R((5, 9)).astype("e"))),
    "turned": (lambda a, b: a.T @ b.T, (R((5, 7)), R((9, 5)))),
    "backwards": (lambda a, b: a[::-1, ::-2] @ b[::2], (R((7, 5)), R((5, 9)))),
    "batches": (lambda a, b: a @ b, (R((3, 7, 5)), R((5, 9)))),
    "broadcast batches": (lambda a, b: a @ b, (R((3, 1, 7, 5)), R((2, 5, 9)))),
    "vectors": (lambda a, b: a @ b, (R(5), R(5))),
    "einsum": (lambda a, b: np.einsum("ij,kj->ik", a, b), (R((7, 5)), R((9, 5)))),
    "nothing to sum": (lambda a, b: a @ b, (R((7, 0)), R((0, 9)))),
    "overflow": (lambda a, b: a @ b, (np.full((3, 5), 1e300), np.full((5, 4), 1e300))),
    "infinity times zero": (lambda a, b: a @ b, (np.full((3, 5), np.inf), np.zeros((5, 4)))),
    "underflow": (lambda a, b: a @ b, (np.full((3, 37), 1e-300), np.full((37, 4), 1e-300))),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_generated_products_are_numpys(name):
    f, args = PRODUCTS[name]
    wanted, warned = heard(f, *args)
    said, heard_now = heard(quern.explain(f, options={"contractions": "generated"}), *args)
    got = said.result
    assert type(got) is type(wanted) and got.dtype == wanted.dtype and got.shape == wanted.shape
    assert got.strides == wanted.strides
    tolerance = {2: 1e-2, 4: 1e-5, 8: 1e-12}[got.dtype.itemsize]
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)
    assert heard_now == warned
    if not warned:  # else NumPy ran it
        assert said.graphs[0].record.calls == 0


def attention(q, k, v, mask):
    scores = q @ np.swapaxes(k, -1, -2) * 0.25 + mask
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True) @ v


@pytest.mark.parametrize("last", [0.0, -1.0, -np.inf, np.inf, np.nan, 1e30])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_attention_is_one_kernel(dtype, last):
    """Rows that may look at nothing, and scores beyond all bounds, make NumPy's warnings."""
    q, k, v = (R((2, 3, n, 16)).astype(dtype) for n in (48, 50, 50))
    mask = np.zeros((48, 50), dtype)
    mask[:, 40:], mask[3] = last, last
    wanted, warned = heard(attention, q, k, v, mask)
    said, heard_now = heard(quern.explain(attention), q, k, v, mask)
    np.testing.assert_allclose(said.result, wanted, rtol=1e-4, atol=1e-5)
    assert said.result.strides == wanted.strides and heard_now == warned
    (graph,) = said.graphs
    assert ([kernel.strategy for kernel in graph.record.plan.kernels], graph.record.calls) == (["attention"], 0)
