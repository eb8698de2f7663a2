"""The kernel oracle: its vector functions against the scalar ops' Python meanings, and small kernels by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from quern.inductor.dtypes import bfloat16, bool_, float32, float64, int8, int64
from quern.inductor.kernel import Buffer, Kernel, Store
from quern.inductor.loops import (
    ZERO,
    Var,
    as_index,
    cast,
    const,
    expr,
    floordiv,
    index_value,
    indirect,
    load,
    masked,
    mod,
    reduce,
)
from quern.inductor.ops.scalar import SCALAR
from quern.inductor.reference import apply_scalar, from_bfloat16_bits, run_kernel, to_bfloat16_bits

FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5, 7.25, math.inf, -math.inf, math.nan, 1e-3, -0.75]
INTS = [0, 1, -1, 2, 3, -3, 7, 5]


def points(name: str) -> list[tuple]:
    op = SCALAR[name]
    kinds: list[list] = []
    if op.domain in ("float", "number", "any"):
        kinds.append(FLOATS)
    if op.domain in ("int", "number", "integral", "any"):
        kinds.append([abs(v) for v in INTS] if name in ("shl", "shr", "pow") else INTS)
    if op.domain in ("bool", "integral", "any"):
        kinds.append([True, False])
    out = []
    for values in kinds:
        if op.arity == 1:
            out += [(v,) for v in values]
        elif name == "where":
            out += [(c, a, b) for c in (True, False) for a in values for b in values]
        elif op.arity == 2:
            out += [(a, b) for a in values for b in values]
        else:
            out += [(a, b, c) for a in values for b in values for c in values[:4]]
    return out


@pytest.mark.parametrize("name", sorted(SCALAR))
def test_scalar_op_agrees_with_its_meaning(name: str) -> None:
    for point in points(name):
        arrays = [np.array([v], dtype=np.float64 if isinstance(v, float) else None) for v in point]
        got = apply_scalar(name, *arrays)
        assert got.dtype == (np.bool_ if SCALAR[name].result == "bool" else arrays[-1].dtype)
        wanted = SCALAR[name].python(*point)
        np.testing.assert_allclose(got[0], wanted, rtol=1e-12, err_msg=f"{name}{point}")


def test_integers_wrap() -> None:
    assert apply_scalar("add", np.array([127], np.int8), np.array([1], np.int8))[0] == -128


def test_bfloat16_rounds_half_to_even() -> None:
    values = np.array([1.0, 1.0 + 2**-8, 1.0 + 3 * 2**-8, -0.0, math.inf, math.nan, 3e38], np.float32)
    got = from_bfloat16_bits(to_bfloat16_bits(values))
    np.testing.assert_array_equal(got[:5], np.array([1.0, 1.0, 1.0 + 2**-6, -0.0, math.inf], np.float32))
    assert np.isnan(got[5])
    assert np.signbit(got[3])


def kernel(p, r, stores, *args, name="k") -> Kernel:
    return Kernel(name, tuple(p), tuple(r), tuple(stores), tuple(args))


X, OUT = Buffer("x", float32, 12), Buffer("out", float32, 12)
P, R = Var("p0", 3), Var("r0", 4, True)
ROW = as_index(P) * 4 + as_index(R)


def test_softmax_needs_three_depths() -> None:
    x = np.linspace(-2, 3, 12, dtype=np.float32)
    a = load("x", ROW, float32)
    e = expr("exp", expr("sub", a, reduce("max", a), dtype=float32), dtype=float32)
    value = expr("div", e, reduce("sum", e), dtype=float32)
    arrays = {"x": x, "out": np.zeros(12, np.float32)}
    run_kernel(kernel([P], [R], [Store("out", ROW, value)], X, OUT), arrays)
    rows = x.reshape(3, 4)
    wanted = np.exp(rows - rows.max(1, keepdims=True))
    np.testing.assert_allclose(arrays["out"].reshape(3, 4), wanted / wanted.sum(1, keepdims=True), rtol=1e-6)


def test_value_constant_in_r_is_stored_once() -> None:
    arrays = {"x": np.arange(12, dtype=np.float32), "out": np.zeros(12, np.float32)}
    total = reduce("sum", load("x", ROW, float32))
    run_kernel(kernel([P], [R], [Store("out", as_index(P), total, "add")], X, OUT), arrays)
    np.testing.assert_array_equal(arrays["out"][:4], [6, 22, 38, 0])


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("max", [3, 7, math.nan]), ("argmax", [3, 3, 1]), ("argmin", [0, 0, 1]), ("prod", [0, 840, math.nan])],
)
def test_reductions(kind: str, wanted: list[float]) -> None:
    x = np.arange(12, dtype=np.float32)
    x[9] = math.nan
    out = Buffer("out", int64 if kind.startswith("arg") else float32, 3)
    arrays = {"x": x, "out": np.zeros(3, np.int64 if kind.startswith("arg") else np.float32)}
    run_kernel(kernel([P], [R], [Store("out", as_index(P), reduce(kind, load("x", ROW, float32)))], X, out), arrays)
    np.testing.assert_array_equal(arrays["out"], wanted)


def test_scan_runs_along_r() -> None:
    arrays = {"x": np.arange(12, dtype=np.float32), "out": np.zeros(12, np.float32)}
    value = expr("scan", load("x", ROW, float32), dtype=float32, attr="sum")
    run_kernel(kernel([P], [R], [Store("out", ROW, value)], X, OUT), arrays)
    np.testing.assert_array_equal(arrays["out"].reshape(3, 4), np.arange(12).reshape(3, 4).cumsum(1))


def test_masked_load_stays_inside() -> None:
    """The load below `masked` would leave the buffer where the condition fails; a bare one raises."""
    arrays = {"x": np.arange(12, dtype=np.float32), "out": np.zeros(12, np.float32)}
    at = as_index(Var("p0", 12)) - 2
    inside = expr("ge", index_value(at), const(0, int64), dtype=bool_)
    value = masked(inside, load("x", at, float32), const(-1.0, float32))
    store = Store("out", as_index(Var("p0", 12)), value)
    run_kernel(kernel([Var("p0", 12)], [], [store], X, OUT), arrays)
    np.testing.assert_array_equal(arrays["out"], [-1, -1, *range(10)])
    bare = Store("out", as_index(Var("p0", 12)), load("x", at, float32))
    with pytest.raises(IndexError, match=r"k loads x\[p0 \+ -2\] outside its 12 elements"):
        run_kernel(kernel([Var("p0", 12)], [], [bare], X, OUT), arrays)


def test_indirect_and_division() -> None:
    p = Var("p0", 12)
    order = Buffer("order", int64, 12)
    arrays = {
        "x": np.arange(12, dtype=np.float32) * 10,
        "order": np.arange(12)[::-1].copy(),
        "out": np.zeros(12, np.float32),
    }
    swapped = mod(as_index(p), 3) * 4 + floordiv(as_index(p), 3)
    value = load("x", indirect(load("order", swapped, int64)), float32)
    run_kernel(kernel([p], [], [Store("out", as_index(p), value)], X, order, OUT), arrays)
    np.testing.assert_array_equal(arrays["out"], 110 - 10 * np.arange(12).reshape(3, 4).T.reshape(-1))


def test_atomic_add_counts_every_point() -> None:
    p, q = Var("p0", 3), Var("p1", 5)
    out = Buffer("out", float32, 1)
    arrays = {"out": np.zeros(1, np.float32)}
    run_kernel(kernel([p, q], [], [Store("out", ZERO, const(1.0, float32), "add")], out), arrays)
    assert arrays["out"][0] == 15


def test_half_types_round_on_store_only() -> None:
    x, out = Buffer("x", bfloat16, 2), Buffer("out", bfloat16, 2)
    arrays = {"x": to_bfloat16_bits(np.array([1.0, 3.0], np.float32)), "out": np.zeros(2, np.uint16)}
    p = Var("p0", 2)
    wide = cast(load("x", as_index(p), bfloat16), float32)
    small = const(2**-9, float32)
    value = expr("add", expr("add", wide, small, dtype=float32), small, dtype=float32)
    run_kernel(kernel([p], [], [Store("out", as_index(p), cast(value, bfloat16))], x, out), arrays)
    np.testing.assert_array_equal(from_bfloat16_bits(arrays["out"]), [1.0, 3.0])


def test_symbolic_size() -> None:
    sympy = pytest.importorskip("sympy")
    s = sympy.Symbol("s0", integer=True, positive=True)
    p = Var("p0", 2 * s)
    out = Buffer("out", float64, 2 * s)
    arrays = {"out": np.zeros(6)}
    value = cast(index_value(as_index(p) * s), float64)
    run_kernel(kernel([p], [], [Store("out", as_index(p), value)], out), arrays, {"s0": 3})
    np.testing.assert_array_equal(arrays["out"], 3.0 * np.arange(6))


def test_int8_constants_fit() -> None:
    out = Buffer("out", int8, 1)
    arrays = {"out": np.zeros(1, np.int8)}
    run_kernel(kernel([Var("p0", 1)], [], [Store("out", ZERO, const(-5, int8))], out), arrays)
    assert arrays["out"][0] == -5
