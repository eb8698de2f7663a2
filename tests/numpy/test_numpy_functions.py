"""Every NumPy function that graphs know, against NumPy: values, dtype, shape, strides, scalars, writes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_tape import check

R = np.random.default_rng(7)
X = R.standard_normal((3, 4))
Y = R.standard_normal((3, 4))
F = X.astype(np.float32)
H = X.astype(np.float16)
I = R.integers(-5, 6, (3, 4))
I8 = I.astype(np.int8)
U8 = abs(I).astype(np.uint8)
B = X > 0
V = R.standard_normal(5)
C = R.standard_normal((2, 3, 4))
T = C.transpose(2, 0, 1)
REV = C[:, ::-1, ::2]
NAN = np.where(B, X, np.nan)
LARGE = np.array([65504, 60000, 7, -65504], np.float16)
EMPTY = np.zeros((0, 3))
ZERO_D = np.array(2.5)
SPD = X[:, :3] @ X[:, :3].T + 3 * np.eye(3)
ARRAYS = {"f64": X, "f32": F, "f16": H, "i64": I, "i8": I8, "u8": U8, "bool": B, "3d": C, "transposed": T,
          "reversed": REV, "1d": V, "0d": ZERO_D}  # fmt: skip

arrays = pytest.mark.parametrize("x", ARRAYS.values(), ids=ARRAYS.keys())


def ways(*calls):
    """Parametrise over calls: (function or name, *arguments, {keywords})."""

    def name(call):
        return " ".join(map(_shown, call))

    return pytest.mark.parametrize("call", calls, ids=map(name, calls))


def _shown(value):
    if isinstance(value, np.ndarray):
        return f"{value.dtype.char}{list(value.shape)}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return " ".join(f"{k}={_shown(v)}" for k, v in value.items())
    return getattr(value, "__name__", None) or str(value)


def go(call, **more):
    args = list(call)
    kwargs = args.pop() if isinstance(args[-1], dict) else {}
    return check(*args, **kwargs, **more)


# ------------------------------------------------------------------ reductions


@arrays
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "std", "var", "max", "min", "any", "all"])
def test_reductions_over_every_axis(name, x):
    np_function = getattr(np, name)
    for axis in [None, *range(-x.ndim, x.ndim)]:
        for keepdims in (False, True):
            check(np_function, x, axis=axis, keepdims=keepdims)
    if x.ndim > 1:
        check(np_function, x, axis=(0, -1))
        check(np_function, x, axis=())


@arrays
def test_positions(x):
    for name in ("argmax", "argmin"):
        for axis in [None, *range(x.ndim)]:
            check(getattr(np, name), x, axis=axis)
            check(getattr(np, name), x, axis=axis, keepdims=True)


@ways(
    (np.sum, X, {"dtype": np.float32}), (np.sum, I8, {"dtype": np.int8}), (np.sum, F, {"dtype": np.float64}),
    (np.sum, X, {"where": B}), (np.sum, X, {"where": B, "axis": 0}), (np.sum, X, {"initial": 3.0}),
    (np.sum, I, {"initial": 2, "axis": 1}), (np.prod, X, {"where": B, "axis": 1}), (np.max, X, {"initial": 0.5}),
    (np.max, X, {"where": B, "initial": -1.0, "axis": 0}), (np.min, X, {"initial": 0.0, "axis": 1}),
    (np.max, EMPTY, {"axis": 1}), (np.max, EMPTY, {"initial": 0.0}), (np.sum, EMPTY), (np.sum, EMPTY, {"axis": 0}),
    (np.mean, X, {"where": B}), (np.mean, X, {"axis": 0, "where": B}), (np.mean, X, {"dtype": np.float32}),
    (np.std, X, {"ddof": 1}), (np.var, X, {"ddof": 1, "axis": 0}), (np.var, X, {"where": B, "axis": 1}),
    (np.std, I, {"axis": 0}), (np.std, X, {"mean": np.mean(X)}), (np.var, EMPTY, {"axis": 1}),
    (np.any, X, {"where": B, "axis": 0}), (np.all, B, {"where": B}), (np.ptp, X), (np.ptp, X, {"axis": 1}),
    (np.count_nonzero, I), (np.count_nonzero, I, {"axis": 0}), (np.average, X), (np.average, X, {"axis": 1}),
    (np.average, X, {"weights": abs(Y)}), (np.average, X, {"axis": 1, "weights": abs(V[:4])}),
    (np.average, I, {"weights": abs(I) + 1}), (np.add.reduce, X), (np.multiply.reduce, X, 1), (np.maximum.reduce, X),
    (np.logical_and.reduce, B), (np.logical_or.reduce, B, 1), (np.add.reduce, X, {"axis": None}),
    (np.nansum, NAN), (np.nansum, NAN, {"axis": 0}), (np.nanprod, NAN), (np.nanmean, NAN), (np.nanmean, NAN, {"axis": 1}),
    (np.nanmax, NAN, {"axis": 0}), (np.nanmin, NAN), (np.nanstd, NAN),
    (np.nanvar, NAN, {"axis": 0}), (np.nanvar, NAN, {"ddof": 1, "axis": 1}), (np.nansum, I), (np.nanmax, I),
    (np.max, NAN), (np.min, NAN, {"axis": 0}), (np.argmax, NAN), (np.argmin, NAN, {"axis": 1}),
    (np.median, X), (np.median, X, {"axis": 0}), (np.median, I, {"axis": 1, "keepdims": True}), (np.median, F),
    (np.percentile, X, 30), (np.percentile, X, [25, 75], {"axis": 0}), (np.quantile, X, 0.5, {"axis": 1}),
    (np.nanmedian, NAN, {"axis": 0}), (np.percentile, I, 10), ("sum", X, 0), ("mean", I), ("max", X, 1),
    ("std", X, {"ddof": 1}), ("any", B, 0), ("argmax", X, 1), ("sum", X, {"axis": 0, "keepdims": True}), ("trace", X),
)  # fmt: skip
def test_reduction_arguments(call):
    go(call, strides=call[0] not in (np.median, np.percentile, np.quantile, np.nanmedian))


@arrays
def test_prefixes(x):
    for function in (np.cumsum, np.cumprod):
        check(function, x)
        for axis in range(x.ndim):
            check(function, x, axis=axis)


@ways(
    (np.cumsum, F, {"dtype": np.float64}), (np.nancumsum, NAN, {"axis": 0}), (np.diff, X), (np.diff, X, {"axis": 0}),
    (np.diff, V, {"n": 2}), (np.diff, B), (np.diff, U8), (np.maximum.accumulate, V), (np.minimum.accumulate, X, 1),
    (np.add.accumulate, I8), (np.logical_or.accumulate, B), (np.trapezoid, V), (np.trapezoid, V, np.sort(V)),
    (np.trapezoid, X, {"dx": 0.5, "axis": 0}), (np.gradient, V), (np.gradient, X), (np.gradient, V, 0.5),
    (np.gradient, X, {"axis": 1}), (np.gradient, I),
)  # fmt: skip
def test_prefix_arguments(call):
    go(call)


# ------------------------------------------------------------------ shapes


@arrays
def test_reshaping(x):
    for shape in [(-1,), (x.size,), (1, x.size), (x.size, 1), tuple(reversed(x.shape)), (1, *x.shape)]:
        for order in "CFA":
            check(np.reshape, x, shape, order=order)
    for order in "CFA":
        check(np.ravel, x, order)
        check("flatten", x, order)
        check("copy", x, order)
    check("copy", x, "K")
    check(np.copy, x)
    check(".T", x)
    check(np.transpose, x)
    check(np.expand_dims, x, 0)
    check(np.expand_dims, x, (0, -1))
    check(np.squeeze, x)
    for function in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
        check(function, x)


@ways(
    (np.transpose, C, (1, 2, 0)), ("transpose", C, 2, 0, 1), ("transpose", C, (2, 0, 1)), (np.swapaxes, C, 0, 2),
    (np.moveaxis, C, 0, -1), (np.moveaxis, C, (0, 1), (2, 0)), (np.rollaxis, C, 2), (np.matrix_transpose, C),
    (np.flip, C), (np.flip, C, 1), (np.flip, C, (0, 2)), (np.fliplr, X), (np.flipud, X), (np.rot90, X), (np.rot90, X, 2),
    (np.rot90, X, 3), (np.rot90, C, 1, (1, 2)), (np.squeeze, C[:, :1], 1), (np.broadcast_to, V, (3, 5)),
    (np.broadcast_to, 2.0, (3, 5)), (np.broadcast_arrays, V, X[:, :1]), (np.diagonal, X), (np.diagonal, C, 1, 0, 2),
    (np.diagonal, X, -1), ("swapaxes", C, 1, 2), (".mT", C), ("squeeze", C[:1]), ("reshape", X, 2, 6), ("reshape", X, (6, -1)),
    (np.concatenate, [X, Y]), (np.concatenate, [X, Y], {"axis": 1}), (np.concatenate, [X, I], {"axis": 0}),
    (np.concatenate, [X.T, Y.T]), (np.concatenate, [X, V], {"axis": None}), (np.concatenate, [F, H]),
    (np.concatenate, [X, np.zeros((0, 4))]),
    (np.stack, [V, V]), (np.stack, [X, Y], {"axis": -1}), (np.stack, (X, Y), 1), (np.vstack, [V, V]), (np.vstack, [X, Y]),
    (np.hstack, [V, V]), (np.hstack, [X, Y]), (np.dstack, [X, Y]), (np.column_stack, [V, V]), (np.append, X, V),
    (np.append, X, Y, {"axis": 0}), (np.split, X, 3), (np.split, X, [1], 1), (np.array_split, V, 3), (np.hsplit, X, 2),
    (np.vsplit, X, 3), (np.array_split, V, [1, 3]), (np.tile, V, 2), (np.tile, X, (2, 1)), (np.tile, X, (2, 1, 3)),
    (np.tile, V, (1,)), (np.repeat, X, 2), (np.repeat, X, 2, 0), (np.repeat, X, [1, 2, 0], 0), (np.repeat, V, 3),
    (np.roll, V, 2), (np.roll, X, -1, 0), (np.roll, X, 3), (np.roll, X, (1, 2), (0, 1)), (np.roll, X, 1, (0, 1)),
    (np.roll, X.T, 7, 1), (np.roll, EMPTY, 1, 0), (np.pad, X, 1), (np.pad, X, (1, 2)), (np.pad, X, ((1, 0), (0, 2))),
    (np.pad, V, 2, {"constant_values": 7}), (np.pad, I8, 1, {"constant_values": 1.9}), (np.pad, X, 2, "edge"),
    (np.pad, X, 2, "reflect"), (np.pad, V, 3, "symmetric"), (np.pad, X, 2, "wrap"), (np.pad, V, 9, "reflect"),
    (np.pad, V, 12, "wrap"), (np.pad, V, 0), (np.pad, X.T.copy().T, 1), (np.tril, X), (np.triu, X, 1), (np.tril, C, -1),
    (np.diag, V), (np.diag, V, -2), (np.diag, X), (np.diag, X, 1), (np.meshgrid, V, V[:3]),
    (np.meshgrid, V, V[:3], {"indexing": "ij"}), (np.meshgrid, V, V[:3], {"sparse": True}),
    (np.lib.stride_tricks.sliding_window_view, V, 3), (np.lib.stride_tricks.sliding_window_view, X, (2, 2)),
    (np.lib.stride_tricks.sliding_window_view, X, 2, {"axis": 0}),
)  # fmt: skip
def test_shapes(call):
    go(call)


# ------------------------------------------------------------------ creation


@ways(
    (np.zeros_like, X), (np.ones_like, X.T), (np.full_like, F, 2.5), (np.full_like, I8, 3), (np.zeros_like, T),
    (np.zeros_like, X, {"dtype": np.int32}), (np.full_like, X, 1, {"shape": (2, 2)}), (np.full_like, X, V[:4]),
    (np.full, (2, 5), V), (np.array, X), (np.array, [V, V]), (np.array, [[X, Y], [Y, X]]), (np.array, X.T, {"copy": None}),
    (np.array, X, {"ndmin": 3}), (np.array, X.T, {"order": "C"}), (np.asarray, X), (np.asarray, X, {"dtype": np.float32}),
    (np.ascontiguousarray, X.T), (np.asfortranarray, X), (np.ascontiguousarray, ZERO_D), ("astype", X, np.float32),
    ("astype", X, "int32"), ("astype", I, bool), ("astype", X.T, np.float64), ("astype", T, np.float32, {"order": "C"}),
    ("astype", F, np.float64, {"copy": False}), ("astype", U8, np.int8), ("astype", B, np.float64), (np.float32, X),
    (np.int64, X), (np.float64, ZERO_D), (np.array, [V, 1.0 * V.astype(np.float32)]), (np.linspace, 0.0, ZERO_D, 5),
    (np.linspace, ZERO_D, 10, 70),
)  # fmt: skip
def test_creation_from_arrays(call):
    go(call)


@ways(
    (np.zeros, (2, 3)), (np.ones, 4, {"dtype": np.int32}), (np.full, (2,), 7), (np.full, (2,), 7.5), (np.full, 3, True),
    (np.zeros, (2, 3), {"order": "F"}), (np.arange, 5), (np.arange, 2, 9), (np.arange, 2, 9, 3), (np.arange, 9, 2, -2),
    (np.arange, 0.0, 1.0, 0.1), (np.arange, 3.7), (np.arange, 1, 2, 0.3), (np.arange, 5, {"dtype": np.float32}),
    (np.arange, 0, 1, 0.1, {"dtype": np.float32}), (np.arange, 5, 2), (np.arange, 6, {"dtype": np.uint8}),
    (np.arange, {"stop": 4}), (np.linspace, 0, 1), (np.linspace, 1, 5, 100), (np.linspace, 0, 1, 200, {"endpoint": False}),
    (np.linspace, 3, 9, 80, {"dtype": np.int64}), (np.linspace, -1.5, 2, 1), (np.eye, 3), (np.eye, 3, 4), (np.eye, 3, {"k": 1}),
    (np.eye, 3, {"dtype": np.int32}), (np.identity, 3), (np.tri, 3), (np.tri, 3, 4, 1), (np.indices, (2, 3)),
    (np.array, [1, 2, 3]), (np.array, [[1.5, 2], [3, 4]]), (np.array, 5), (np.array, [1, 2], {"dtype": np.float32}),
    (np.array, [True, False]), (np.asarray, [1.0]), (np.array, []), (np.array, [0.0, -0.0]),
)  # fmt: skip
def test_creation_from_numbers(call):
    go(call)


# ------------------------------------------------------------------ indexing

KEYS = [
    0, -1, np.int64(1), slice(None), slice(1, None), slice(None, -1), slice(None, None, 2), slice(None, None, -1),
    slice(2, 0, -1), slice(-1, None, -2), slice(5, 9), slice(2, 1), ..., None, (0, 1, 2), (0, ..., 2), (..., None),
    (slice(None), 1), (slice(None), None, 0), (1, slice(None), slice(None, None, -1)), (None, slice(1, 2), None, ..., -1),
    (), (slice(None), [0, 2]), [1, 0, 1], ([0, 1], [2, 0]), (0, [1, 2]), (slice(None), 0, [1, 3]), ([0, 1], slice(None), [1, 2]),
    ([0, 1], slice(None), 2), (..., [0, 0]), np.array([[0, 1], [1, 0]]), (None, [1]), (0, slice(None), [3, -1]),
    (np.array(1), slice(None)), ([[0], [1]], [0, 2]),
]  # fmt: skip


def _key_id(key):
    return str(key).replace("\n", "")


@pytest.mark.parametrize("key", KEYS, ids=_key_id)
def test_reading_parts(key):
    advanced = any(isinstance(k, (list, np.ndarray)) for k in (key if isinstance(key, tuple) else (key,)))
    check("__getitem__", C, key, strides=not advanced)


@pytest.mark.parametrize("key", KEYS, ids=_key_id)
def test_writing_parts(key):
    for base in (C, C.copy(order="F")):
        part = base[key]
        check("__setitem__", base, key, 3)
        check("__setitem__", base, key, np.full(part.shape, 2.5))
        if part.ndim:
            check("__setitem__", base, key, np.arange(part.shape[-1]))


def test_index_arrays_are_values_too():
    index = np.array([2, 0, -1, 1])
    for key in (index, (slice(None), index), (index % 2, index % 3)):
        check("__getitem__", C[:, :, :3].transpose(2, 1, 0).copy(), key, strides=False)
    check("__setitem__", np.zeros((3, 2)), index, np.arange(8.0).reshape(4, 2)[:, ::-1].copy())
    check(np.take, X, index, 1, strides=False)
    check(np.take, X, [0, 2], 0, strides=False)
    check(np.take, X, 1, 0)
    check(np.take, X, index, strides=False)
    check(np.take_along_axis, X, np.argsort(X, axis=1), 1, strides=False)


def test_an_index_out_of_bounds_raises_at_run_time():
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 0 with size 3"):
        check("__getitem__", X, np.array([0, 3]))
    with pytest.raises(IndexError, match="index -4 is out of bounds for axis 0 with size 3"):
        check("__setitem__", X, np.array([0, -4]), 1.0)
    with pytest.raises(IndexError, match="index 5 is out of bounds for axis 1 with size 4"):
        check("__getitem__", X, (slice(None), 5))
    with pytest.raises(IndexError, match="too many indices"):
        check("__getitem__", X, (0, 0, 0))


@ways(
    ("__setitem__", X, B, 0), ("__setitem__", X, B, ZERO_D), ("__setitem__", X, B[:, 0], -1.0),
    ("__setitem__", X, (slice(None), B[0]), 5), ("__setitem__", X, (slice(1, None), B[0]), 5),
    ("__setitem__", X, B[:, 0], V[:4]), ("__setitem__", C, B[:2, :3], 0.5), ("__setitem__", X, (B, ...), 1),
    ("__setitem__", X, B, np.array([7.0])),
)  # fmt: skip
def test_writing_through_masks(call):
    go(call)


# ------------------------------------------------------------------ products


@ways(
    ("@", X, Y.T), ("@", V, V), ("@", X, V[:4]), ("@", V[:3], X), ("@", C, Y.T), ("@", C, C.transpose(0, 2, 1)), ("@", I, I.T),
    ("@", F, X.T), ("@", B, B.T), (np.dot, X, Y.T), (np.dot, V, V), (np.dot, C, Y.T), (np.dot, C, C.transpose(0, 2, 1)),
    (np.dot, X, 3), (np.vdot, X, Y), (np.inner, X, Y), (np.inner, V, V), (np.outer, V, X), (np.tensordot, C, C, 3),
    (np.tensordot, C, X, ([1, 2], [0, 1])), (np.tensordot, C, X, 2), (np.tensordot, C, C, ([0], [0])), (np.trace, X),
    (np.trace, C, 1, 0, 2), (np.cross, X[:, :3], Y[:, :3]), (np.kron, X, V), (np.kron, X, Y), ("dot", X, Y.T),
    (np.einsum, "ij,jk->ik", X, Y.T), (np.einsum, "ij->ji", X), (np.einsum, "ii", SPD), (np.einsum, "ii->i", SPD),
    (np.einsum, "ij->j", X), (np.einsum, "ij", X), (np.einsum, "...i,...i->...", X, X[:, None]), (np.einsum, "ijk->ki", T),
    (np.einsum, "ij,jk->ki", X.T, X), (np.einsum, "zi,ai", X, X), (np.einsum, "ij->ji", F, {"dtype": float}), (np.einsum, "ij,ij->i", X, Y), (np.einsum, "i,j->ij", V, V),
    (np.einsum, "bij,bkj->bik", C, C), (np.einsum, "...j,j->...", C, V[:4]), (np.einsum, "ij,jk,kl->il", X, Y.T, X),
    (np.einsum, "i,i,i->", V, V, V), (np.einsum, "ij,kj", X, Y), (np.einsum, "ij,ij", I, I), (np.einsum, "i,ij->j", V[:3], X),
    (np.einsum, "abc,abd->cd", C, C), (np.einsum, "abk,kbc->bca", C, C.T), (np.einsum, "...ij,...jk->...ik", C, C.transpose(0, 2, 1)),
    (np.linalg.norm, X), (np.linalg.norm, V), (np.linalg.norm, X, {"axis": 1}), (np.linalg.norm, V, 1), (np.linalg.norm, V, np.inf),
    (np.linalg.norm, V, -np.inf), (np.linalg.norm, V, 3), (np.linalg.norm, V, 0), (np.linalg.norm, X, "fro"),
    (np.linalg.norm, X, 1), (np.linalg.norm, X, np.inf), (np.linalg.norm, C, {"axis": (0, 2)}), (np.linalg.norm, I),
    (np.linalg.norm, X, {"axis": 0, "keepdims": True}), (np.linalg.inv, SPD), (np.linalg.det, SPD), (np.linalg.cholesky, SPD),
    (np.linalg.solve, SPD, V[:3]), (np.linalg.solve, SPD, X), (np.linalg.eigvalsh, SPD), (np.linalg.pinv, X),
    (np.linalg.matrix_power, SPD, 5), (np.linalg.matrix_power, SPD, 1), (np.linalg.svdvals, X), (np.linalg.inv, SPD.astype("f4")),
    (np.fft.fft, V), (np.fft.fft, X, {"axis": 0}), (np.fft.fft, X, 8), (np.fft.rfft, X), (np.fft.rfft, F), (np.fft.fft2, X),
    (np.fft.fftshift, V), (np.fft.ifftshift, X), (np.convolve, V, V[:2]), (np.convolve, V, V[:2], "same"), (np.correlate, V, V[:2]),
)  # fmt: skip
def test_products(call):
    go(call, strides=call[0] not in (np.tensordot, np.dot, np.inner, "@", np.linalg.pinv, np.cross))


# ------------------------------------------------------------------ choices


@ways(
    (np.where, B, X, Y), (np.where, B, X, 0), (np.where, B, F, 0.5), (np.where, B, 1, 2), (np.where, B, I8, F), (np.where, I, X, Y),
    (np.where, B.T, X.T, Y.T), (np.where, B, X, V[:4]), (np.where, ZERO_D, 1.0, 2.0), (np.where, True, X, Y),
    (np.clip, X, -0.5, 0.5), (np.clip, I, 0, 2), (np.clip, I8, 0, 127), (np.clip, X, None, 0.2), (np.clip, X, 0.1, None),
    (np.clip, F, 0, 1), (np.clip, X, Y, 2.0), (np.clip, U8, 1, 3), (np.clip, I, -0.5, 1.5), ("clip", X, 0, 1), ("clip", X, {"min": 0}),
    (np.clip, NAN, 0, 1), (np.clip, X.T, 0, 1), (np.select, [B, X < 1], [X, Y]), (np.select, [B], [1], {"default": 2}),
    (np.select, [B, ~B], [I8, F]), (np.round, X), (np.round, X, 2), (np.round, F, 1), (np.round, I), ("round", X, 3), (np.fix, X),
    (np.round, X * 100, -1), (np.round, H, 1), (np.round, LARGE, 1), (np.round, LARGE, -1), (np.nan_to_num, NAN), (np.nan_to_num, NAN, {"nan": 1.0}), (np.nan_to_num, I),
    (np.nan_to_num, np.array([np.inf, -np.inf, np.nan, 1])), (np.isclose, X, Y), (np.isclose, X, X + 1e-9),
    (np.isclose, NAN, NAN, {"equal_nan": True}), (np.real, X), (np.imag, X), (".real", X), (np.sinc, V), (np.sinc, np.zeros(2)),
    (np.polyval, [1.0, -2.0, 3.0], X), (np.polyval, V, X), (np.sort, X), (np.sort, X, 0), (np.sort, X, None), (np.argsort, X),
    (np.argsort, V, {"kind": "stable"}), (np.searchsorted, np.sort(V), X), (np.digitize, X, np.sort(V)),
    (np.interp, X, np.sort(V), V), (np.isin, I, [1, 2]), (np.isin, I, np.array([3])), (np.histogram, X, {"bins": 4, "range": (-1, 1)}),
    (np.partition, V, 2), (np.argsort, X, 0), ("sort", X), ("sort", X, 0), ("fill", X, 3), (np.copyto, X, 1.5), (np.copyto, X, Y, {"where": B}),
    (np.putmask, X, B, 0.0), (np.shape, X), (np.ndim, X), (np.size, X), (np.size, X, 1), (np.result_type, F, I8), (".size", X),
    (".dtype", F), (".strides", T), (".nbytes", F), (".itemsize", F), (np.isscalar, X),
)  # fmt: skip
def test_choices(call):
    go(call)


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(("call", "code"), [
    (("__getitem__", X, (0, B[0])), "data-dependent-shape"), ((np.where, B), "data-dependent-shape"),
    (("__setitem__", X, B, V), "data-dependent-shape"), ((np.unique, X), "numpy-unsupported"),
    ((np.nonzero, X), "numpy-unsupported"), ((np.bincount, I), "numpy-unsupported"),
])  # fmt: skip
def test_what_depends_on_the_data_is_refused_with_a_reason(call, code):
    from quern.errors import Unsupported

    with pytest.raises(Unsupported) as refusal:
        go(call)
    assert refusal.value.code == code
    assert "cannot capture in one graph" in str(refusal.value)
