"""Generated C++ kernels against the kernel interpreter: every loop shape, on one thread and on several.

All hand-made kernels are compiled into one library (one g++ run), then run case by case.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import sympy
from quern.inductor import loops as L
from quern.inductor.canonical import canonical_form
from quern.inductor.codegen.cpp import emit, generate
from quern.inductor.codegen.cpp.emit import OPERATORS, template
from quern.inductor.codegen.cpp.nest import read_nest
from quern.inductor.codegen.cpp.strategies import STRATEGIES
from quern.inductor.codegen.strategy import Choice, choose
from quern.inductor.dtypes import (
    DType,
    bfloat16,
    bool_,
    complex64,
    float16,
    float32,
    float64,
    int8,
    int32,
    int64,
    uint8,
)
from quern.inductor.graph import Origin
from quern.inductor.kernel import Buffer, Kernel, Store
from quern.inductor.loops import Expr, Index, Var, as_index
from quern.inductor.ops.scalar import SCALAR
from quern.inductor.reference import from_bfloat16_bits, numpy_dtype, run_kernel, to_bfloat16_bits
from quern.kernels.cpu.build import LIBRARY, build, compile_units, load
from quern.kernels.cpu.library import Call, Segment, call_by_hand, functions, packer
from quern.kernels.cpu.toolchain import find_compiler, host_cpu, x86_cpu

from quern.errors import InternalError

S0, S1 = sympy.symbols("s0 s1", integer=True, positive=True)


@dataclass(frozen=True)
class Case:
    """A kernel and its data (flat arrays by buffer name; outputs are filled in).

    cancels: sums may cancel: a result is as exact as its terms, which are about as large as what else is there
    """

    kernel: Kernel
    arrays: Mapping[str, np.ndarray]
    symbols: Mapping[str, int] = field(default_factory=dict)
    tolerance: float = 2e-6
    cancels: bool = False


# --------------------------------------------------------------------------- building blocks


def op(name: str, *args: Expr, dtype: DType | None = None) -> Expr:
    result = bool_ if SCALAR[name].result == "bool" else args[-1].dtype
    return L.expr(name, *args, dtype=dtype or result)


def const(value: object, dtype: DType = float32) -> Expr:
    return L.const(value, dtype)


def space(*extents: object, name: str = "p") -> tuple[Var, ...]:
    return tuple(Var(f"{name}{i}", e, name == "r") for i, e in enumerate(extents))


def at(variables: tuple[Var, ...], *strides: object) -> Index:
    return sum((as_index(v) * s for v, s in zip(variables, strides)), L.ZERO)


def storage(values: np.ndarray, dtype: DType) -> np.ndarray:
    return to_bfloat16_bits(values.astype(np.float32)) if dtype == bfloat16 else values.astype(numpy_dtype(dtype))


def numbers(n: int, dtype: DType = float32, seed: int = 0) -> np.ndarray:
    g = np.random.default_rng(seed)
    if dtype.kind == "bool":
        return g.random(n) < 0.5
    if dtype.is_int:
        return g.integers(-9 if dtype.kind == "int" else 0, 10, n).astype(dtype.name)
    return storage(g.standard_normal(n), dtype)


def case(
    p: tuple[Var, ...],
    r: tuple[Var, ...],
    stores: list[Store],
    buffers: Mapping[str, tuple[DType, int | np.ndarray]],
    symbols: Mapping[str, int] | None = None,
    tolerance: float = 2e-6,
    sizes: Mapping[str, object] | None = None,
) -> Case:
    """buffers: (dtype, data) for what is read, (dtype, size) for what is only written."""
    arrays, args = {}, []
    written = {s.buffer for s in stores}
    for i, (name, (dtype, data)) in enumerate(buffers.items()):
        if isinstance(data, int):
            data = np.full(data, 7).astype(numpy_dtype(dtype)) if name in written else numbers(data, dtype, seed=i)
            data = to_bfloat16_bits(data) if dtype == bfloat16 and data.dtype != np.uint16 else data
        arrays[name] = data
        args.append(Buffer(name, dtype, (sizes or {}).get(name, data.size)))
    kernel = Kernel("k", p, r, tuple(stores), tuple(args), tuple(symbols or {}), (Origin("out", "hand"),))
    kernel.verify()
    return Case(kernel, arrays, symbols or {}, tolerance)


# --------------------------------------------------------------------------- pointwise


def pointwise(n: int, dtype: DType = float32) -> Case:
    p = space(n)
    x, y = (L.cast(L.load(b, as_index(p[0]), dtype), float32) for b in "xy")
    value = op("tanh", op("add", op("mul", x, y), const(0.5)))
    out = Store("out", as_index(p[0]), L.cast(value, dtype))
    return case(
        p, (), [out], {"x": (dtype, n), "y": (dtype, n), "out": (dtype, n)}, tolerance=0.01 if dtype.size == 2 else 2e-6
    )


def pointwise_double(n: int) -> Case:
    p = space(n)
    x = L.load("x", as_index(p[0]), float32)
    wide = op("mul", L.cast(x, float64), const(1.1, float64))
    value = op("where", op("gt", wide, const(0.0, float64)), op("exp", wide), op("neg", L.cast(x, float64)))
    stores = [Store("out", as_index(p[0]), value), Store("back", as_index(p[0]), L.cast(value, float32))]
    return case(p, (), stores, {"x": (float32, n), "out": (float64, n), "back": (float32, n)})


def integers(n: int, dtype: DType) -> Case:
    p = space(n)
    x, y = (L.load(b, as_index(p[0]), dtype) for b in "xy")
    value = op("add", op("mul", x, y), op("max", x, op("sub", y, const(3, dtype))))
    value = op("where", op("lt", x, y), value, op("floordiv", x, op("add", y, const(4, dtype))))
    small = L.cast(op("ge", value, const(5, dtype)), bool_)
    stores = [Store("out", as_index(p[0]), value), Store("flag", as_index(p[0]), small)]
    return case(p, (), stores, {"x": (dtype, n), "y": (dtype, n), "out": (dtype, n), "flag": (bool_, n)})


def booleans(n: int) -> Case:
    p = space(n)
    a, b = (L.load(name, as_index(p[0]), bool_) for name in "ab")
    value = op("or", op("and", a, op("not", b)), op("lt", b, a))
    stores = [
        Store("out", as_index(p[0]), value),
        Store("most", as_index(p[0]), op("max", a, b)),
        Store("number", as_index(p[0]), L.cast(op("xor", a, b), uint8)),
    ]
    return case(
        p, (), stores, {"a": (bool_, n), "b": (bool_, n), "out": (bool_, n), "most": (bool_, n), "number": (uint8, n)}
    )


def broadcast(rows: int, columns: int) -> Case:
    p = space(rows, columns)
    value = op("mul", L.load("x", at(p, columns, 1), float32), L.load("w", as_index(p[1]), float32))
    value = op("add", value, op("exp", L.load("v", as_index(p[0]), float32)))
    out = Store("out", at(p, columns, 1), value)
    n = rows * columns
    return case(p, (), [out], {"x": (float32, n), "w": (float32, columns), "v": (float32, rows), "out": (float32, n)})


def transpose(m: int, n: int, dtype: DType = float32) -> Case:
    p = space(n, m)
    x = L.cast(L.load("x", at(p, 1, n), dtype), float32)
    out = Store("out", at(p, m, 1), op("add", x, L.load("bias", as_index(p[1]), float32)))
    return case(p, (), [out], {"x": (dtype, m * n), "bias": (float32, m), "out": (float32, m * n)}, tolerance=1e-6)


def permute3(a: int, b: int, c: int) -> Case:
    p = space(a, b, c)
    terms = [
        L.load("x", at(p, 1, a * c, a), float32),
        L.load("y", at(p, b, 1, a * b), float32),
        L.load("z", at(p, b * c, c, 1), float32),
    ]
    n = a * b * c
    out = Store("out", at(p, b * c, c, 1), op("add", op("add", *terms[:2]), terms[2]))
    return case(p, (), [out], {"x": (float32, n), "y": (float32, n), "z": (float32, n), "out": (float32, n)})


def strided(n: int, step: int) -> Case:
    """Every step-th element, and a store with gaps."""
    p = space(n)
    x = L.load("x", as_index(p[0]) * step + 1, float32)
    return case(
        p, (), [Store("out", as_index(p[0]) * 2, op("neg", x))], {"x": (float32, n * step + 1), "out": (float32, 2 * n)}
    )


def reversed_(n: int) -> Case:
    p = space(n)
    x = L.load("x", as_index(n - 1) - as_index(p[0]), float32)
    return case(p, (), [Store("out", as_index(p[0]), x)], {"x": (float32, n), "out": (float32, n)})


def window(n: int, k: int) -> Case:
    """Mod and // that cannot be split evenly."""
    p = space(n)
    flat = as_index(p[0])
    x = op("add", L.load("x", L.mod(flat, k), float32), L.load("y", L.floordiv(flat, k), float32))
    value = op("add", x, L.cast(L.index_value(L.mod(flat, k)), float32))
    return case(
        p, (), [Store("out", flat, value)], {"x": (float32, k), "y": (float32, n // k + 1), "out": (float32, n)}
    )


def arange(n: int, dtype: DType) -> Case:
    p = space(n)
    i = op("add", op("mul", L.index_value(as_index(p[0])), const(3, int64)), const(-5, int64))
    stores = [Store("out", as_index(p[0]), L.cast(i, dtype)), Store("wide", as_index(p[0]), i)]
    return case(p, (), stores, {"out": (dtype, n), "wide": (int64, n)})


def pad(rows: int, columns: int, left: int, right: int) -> Case:
    width = left + columns + right
    p = space(rows, width)
    i = L.index_value(as_index(p[1]))
    inside = op("and", op("ge", i, const(left, int64)), op("lt", i, const(left + columns, int64)))
    x = L.load("x", at(p, columns, 1) - left, float32)
    out = Store("out", at(p, width, 1), L.masked(inside, op("add", x, const(1.0)), const(-7.0)))
    return case(p, (), [out], {"x": (float32, rows * columns), "out": (float32, rows * width)})


def concatenate(a: int, b: int, rows: int) -> Case:
    """Two sources side by side along the last axis, one of them only where the other is not."""
    width = a + b
    p = space(rows, width)
    first = op("lt", L.index_value(as_index(p[1])), const(a, int64))
    x = L.load("x", at(p, a, 1), float32)
    y = L.load("y", at(p, b, 1) - a, float32)
    value = L.masked(first, x, L.masked(op("not", first), y, const(0.0)))
    return case(
        p,
        (),
        [Store("out", at(p, width, 1), value)],
        {"x": (float32, rows * a), "y": (float32, rows * b), "out": (float32, rows * width)},
    )


def joined(widths: tuple[int, ...], rows: int, axis: int) -> Case:
    """Arrays joined along one of two axes, the last but one repeated along it; and 9 at one place of the axis."""
    size = sum(widths)
    p = space(rows, size) if axis else space(size, rows)
    along, other = p[axis], p[1 - axis]
    i, value, start, data = L.index_value(as_index(along)), const(0.0), size, {}
    for k, n in reversed(list(enumerate(widths))):
        start -= n
        name, repeated = f"x{k}", k == len(widths) - 2
        within = as_index(along) - start
        index = as_index(other)
        if not repeated:
            index = index * n + within if axis else within * rows + index
        inside = op("and", op("ge", i, const(start, int64)), op("lt", i, const(start + n, int64)))
        value = L.masked(inside, op("add", L.load(name, index, float32), const(1.0)), value)
        data[name] = (float32, rows if repeated else n * rows)
    value = op("where", op("eq", i, const(widths[0] + 1, int64)), const(9.0), value)
    store = Store("out", at(p, p[1].extent, 1), value)
    return case(p, (), [store], {**dict(reversed(data.items())), "out": (float32, rows * size)})


def masked_gather(n: int, table: int) -> Case:
    """An indirect load that would leave its buffer where the mask is off."""
    p = space(n)
    i = L.load("i", as_index(p[0]), int64)
    inside = op("and", op("ge", i, const(0, int64)), op("lt", i, const(table, int64)))
    value = L.masked(inside, L.load("w", L.indirect(i), float32), const(-1.0))
    index = np.random.default_rng(1).integers(-(10**9), 10**9, n)
    index[::3] = index[::3] % table
    return case(
        p, (), [Store("out", as_index(p[0]), value)], {"i": (int64, index), "w": (float32, table), "out": (float32, n)}
    )


def embedding(n: int, table: int, width: int) -> Case:
    p = space(n, width)
    i = L.load("i", as_index(p[0]), int64)
    wrapped = op("where", op("lt", i, const(0, int64)), op("add", i, const(table, int64)), i)
    value = op("mul", L.load("w", L.indirect(wrapped) * width + as_index(p[1]), float32), const(2.0))
    index = np.random.default_rng(1).integers(-table, table, n)
    buffers = {"i": (int64, index), "w": (float32, table * width), "out": (float32, n * width)}
    return case(p, (), [Store("out", at(p, width, 1), value)], buffers)


def scatter(n: int, bins: int, dtype: DType = float32, mode: str = "add") -> Case:
    p = space(n)
    target = L.indirect(L.load("i", as_index(p[0]), int64))
    index = (
        np.random.default_rng(1).integers(0, bins, n)
        if mode == "add"
        else np.random.default_rng(1).permutation(bins)[:n]
    )
    values = storage(numbers(n, int32), dtype)
    buffers = {"i": (int64, index), "x": (dtype, values), "out": (dtype, bins)}
    return case(p, (), [Store("out", target, L.load("x", as_index(p[0]), dtype), mode)], buffers)


def embedding_backward(n: int, table: int, width: int) -> Case:
    p = space(n, width)
    target = L.indirect(L.load("i", as_index(p[0]), int64)) * width + as_index(p[1])
    index = np.random.default_rng(1).integers(0, table, n)
    buffers = {"i": (int64, index), "g": (float32, n * width), "out": (float32, table * width)}
    return case(p, (), [Store("out", target, L.load("g", at(p, width, 1), float32), "add")], buffers, tolerance=1e-5)


# --------------------------------------------------------------------------- reductions


def rows(n: int, m: int, kinds: tuple[str, ...], dtype: DType = float32, nans: bool = False) -> Case:
    p, r = space(n), space(m, name="r")
    x = L.load("x", at((*p, *r), m, 1), dtype)
    data = numbers(n * m, dtype)
    if nans:
        data[:: m + 7] = np.nan
        data[5::97] = np.inf
        data[m : 2 * m] = -np.inf
    return reductions(p, r, x, kinds, data, n)


def columns(n: int, m: int, kinds: tuple[str, ...], dtype: DType = float32) -> Case:
    p, r = space(m), space(n, name="r")
    return reductions(p, r, L.load("x", at((*p, *r), 1, m), dtype), kinds, numbers(n * m, dtype), m)


def reductions(
    p: tuple[Var, ...], r: tuple[Var, ...], x: Expr, kinds: tuple[str, ...], data: np.ndarray, n: int
) -> Case:
    values = [L.reduce(k, x) for k in kinds]
    out = at(p, *_row_major(p))
    stores = [Store(f"out{i}", out, v) for i, v in enumerate(values)]
    buffers = {"x": (x.dtype, data), **{f"out{i}": (v.dtype, n) for i, v in enumerate(values)}}
    return case(p, r, stores, buffers, tolerance=2e-5)


def _row_major(p: tuple[Var, ...]) -> list[int]:
    strides, step = [], 1
    for v in reversed(p):
        strides.append(step)
        step *= v.extent
    return strides[::-1]


def everything(n: int, kind: str = "sum", dtype: DType = float32) -> Case:
    r = space(n, name="r")
    return reductions((), r, L.load("x", as_index(r[0]), dtype), (kind,), numbers(n, dtype), 1)


def middle(a: int, b: int, c: int, kinds: tuple[str, ...]) -> Case:
    """x[a, b, c] over b."""
    p, r = space(a, c), space(b, name="r")
    x = L.load("x", at((*p, *r), b * c, 1, c), float32)
    return reductions(p, r, x, kinds, numbers(a * b * c), a * c)


def outer_and_inner(a: int, b: int, c: int, kinds: tuple[str, ...]) -> Case:
    """x[a, b, c] over a and c: statistics per channel."""
    p, r = space(b), space(a, c, name="r")
    x = L.load("x", at((*p, *r), c, b * c, 1), float32)
    return reductions(p, r, x, kinds, numbers(a * b * c), b)


def channels_last(n: int) -> Case:
    """A short contiguous reduction: over three channels."""
    p, r = space(n), space(3, name="r")
    return reductions(p, r, L.load("x", at((*p, *r), 3, 1), float32), ("sum", "max"), numbers(3 * n), n)


def pooling(h: int, w: int) -> Case:
    """Windows of 2x2 with stride 2, and where the largest value is."""
    p, r = space(h, w), space(2, 2, name="r")
    x = L.load("x", at((*p, *r), 4 * w, 2, 2 * w, 1), float32)
    return reductions(p, r, x, ("max", "argmax"), numbers(4 * h * w), h * w)


def softmax(n: int, m: int, dtype: DType = float32, in_place: bool = False) -> Case:
    p, r = space(n), space(m, name="r")
    where = at((*p, *r), m, 1)
    a = L.cast(L.load("x", where, dtype), float32)
    e = op("exp", op("sub", a, L.reduce("max", a)))
    value = L.cast(op("div", e, L.reduce("sum", e)), dtype)
    tolerance = 0.01 if dtype.size == 2 else 2e-6
    if in_place:
        return case(p, r, [Store("x", where, value)], {"x": (dtype, numbers(n * m, dtype))}, tolerance=tolerance)
    return case(p, r, [Store("out", where, value)], {"x": (dtype, n * m), "out": (dtype, n * m)}, tolerance=tolerance)


def softmax_columns(n: int, m: int) -> Case:
    """Over the slow axis."""
    p, r = space(m), space(n, name="r")
    where = at((*p, *r), 1, m)
    a = L.load("x", where, float32)
    e = op("exp", op("sub", a, L.reduce("max", a)))
    return case(
        p, r, [Store("out", where, op("div", e, L.reduce("sum", e)))], {"x": (float32, n * m), "out": (float32, n * m)}
    )


def layer_norm(n: int, m: int) -> Case:
    p, r = space(n), space(m, name="r")
    where = at((*p, *r), m, 1)
    x = L.load("x", where, float32)
    mean = op("div", L.reduce("sum", x), const(float(m)))
    centred = op("sub", x, mean)
    variance = op("div", L.reduce("sum", op("mul", centred, centred)), const(float(m)))
    rstd = op("rsqrt", op("add", variance, const(1e-5)))
    w, b = (L.load(name, as_index(r[0]), float32) for name in "wb")
    y = op("add", op("mul", op("mul", centred, rstd), w), b)
    stores = [Store("out", where, y), Store("mean", as_index(p[0]), mean), Store("rstd", as_index(p[0]), rstd)]
    buffers = {
        "x": (float32, n * m),
        "w": (float32, m),
        "b": (float32, m),
        "out": (float32, n * m),
        "mean": (float32, n),
        "rstd": (float32, n),
    }
    return case(p, r, stores, buffers, tolerance=1e-5)


def three_depths(n: int, m: int) -> Case:
    p, r = space(n), space(m, name="r")
    where = at((*p, *r), m, 1)
    a = L.load("x", where, float32)
    e = op("exp", op("sub", a, L.reduce("max", a)))
    y = op("div", e, L.reduce("sum", e))
    stores = [
        Store("e", where, e),
        Store("norm", as_index(p[0]), op("sqrt", L.reduce("sum", op("mul", y, y)))),
        Store("y", where, y),
    ]
    return case(
        p,
        r,
        stores,
        {"x": (float32, n * m), "e": (float32, n * m), "norm": (float32, n), "y": (float32, n * m)},
        tolerance=1e-5,
    )


def causal(n: int) -> Case:
    p, r = space(n), space(n, name="r")
    seen = op("le", L.index_value(as_index(r[0])), L.index_value(as_index(p[0])))
    x = L.masked(seen, L.load("x", at((*p, *r), n, 1), float32), const(float("-inf")))
    e = op("exp", op("sub", x, L.reduce("max", x)))
    return case(
        p,
        r,
        [Store("out", as_index(p[0]), L.reduce("sum", e))],
        {"x": (float32, n * n), "out": (float32, n)},
        tolerance=1e-5,
    )


def count_true(n: int, m: int) -> Case:
    """Sums of truth values as int64."""
    p, r = space(n), space(m, name="r")
    big = op("gt", L.load("x", at((*p, *r), m, 1), float32), const(0.0))
    total = L.reduce("sum", L.cast(big, int64))
    mean = op("div", L.cast(total, float32), const(float(m)))
    return case(
        p,
        r,
        [Store("out", as_index(p[0]), total), Store("mean", as_index(p[0]), mean)],
        {"x": (float32, n * m), "out": (int64, n), "mean": (float32, n)},
    )


def masked_reduction(n: int, m: int) -> Case:
    """A reduction that only half of the points ask for."""
    p, r = space(2 * n), space(m, name="r")
    first = op("lt", L.index_value(as_index(p[0])), const(n, int64))
    total = L.reduce("sum", L.load("x", at((*p, *r), m, 1), float32))
    return case(
        p,
        r,
        [Store("out", as_index(p[0]), L.masked(first, total, const(-1.0)))],
        {"x": (float32, 2 * n * m), "out": (float32, 2 * n)},
        tolerance=1e-5,
    )


def masked_prefix(n: int, m: int, row: int, column: int) -> Case:
    """A running sum that only half of the points of each row ask for, some under two conditions and some lane by lane."""
    p, r = space(n), space(m, name="r")
    where = at((*p, *r), row, column)
    x, i = L.load("x", where, float32), L.load("i", where, int64)
    late = op("ge", L.index_value(as_index(r[0])), const(m // 2, int64))
    even = op("eq", op("mod", L.index_value(as_index(p[0]) + as_index(r[0])), const(2, int64)), const(0, int64))
    running = L.expr("scan", x, dtype=float32, attr="sum")
    place = L.expr("scan", i, dtype=int64, attr="sum")
    value = L.masked(late, L.masked(even, op("mul", running, x), L.load("w", L.indirect(place), float32)), const(-1.0))
    return case(
        p,
        r,
        [Store("out", where, value)],
        {
            "x": (float32, n * m),
            "i": (int64, np.arange(n * m) % 2),
            "w": (float32, m + 1),
            "out": (float32, n * m),
        },
        tolerance=1e-5,
    )


def gathered_rows(n: int, m: int, table: int) -> Case:
    """The sum over an embedding bag: the row is picked by an index along r."""
    p, r = space(n), space(m, name="r")
    i = L.load("i", as_index(r[0]), int64)
    value = L.reduce("sum", L.load("w", L.indirect(i) * n + as_index(p[0]), float32))
    index = np.random.default_rng(2).integers(0, table, m)
    return case(
        p,
        r,
        [Store("out", as_index(p[0]), value)],
        {"i": (int64, index), "w": (float32, table * n), "out": (float32, n)},
        tolerance=1e-5,
    )


def index_of_max(n: int, m: int) -> Case:
    """A load at the position that a reduction found."""
    p, r = space(n), space(m, name="r")
    best = L.reduce("argmax", L.load("x", at((*p, *r), m, 1), float32))
    value = L.load("y", L.indirect(best) + as_index(p[0]) * m, float32)
    stores = [Store("out", as_index(p[0]), value), Store("at", as_index(p[0]), best)]
    return case(p, r, stores, {"x": (float32, n * m), "y": (float32, n * m), "out": (float32, n), "at": (int64, n)})


def scan_rows(n: int, m: int, kind: str, dtype: DType = float32) -> Case:
    p, r = space(n), space(m, name="r")
    where = at((*p, *r), m, 1)
    return scan(p, r, where, kind, dtype, n, m)


def scan_columns(n: int, m: int, kind: str, dtype: DType = float32) -> Case:
    p, r = space(n), space(m, name="r")
    return scan(p, r, at((*p, *r), 1, n), kind, dtype, n, m)


def scan(p: tuple[Var, ...], r: tuple[Var, ...], where: Index, kind: str, dtype: DType, n: int, m: int) -> Case:
    running = L.expr("scan", L.load("x", where, dtype), dtype=dtype, attr=kind)
    data = numbers(n * m, dtype)
    if kind == "prod":
        data = np.where(np.arange(n * m) % 3, data.dtype.type(1), data)
    stores = [Store("out", where, running), Store("last", as_index(p[0]), L.reduce("max", running))]
    return case(p, r, stores, {"x": (dtype, data), "out": (dtype, n * m), "last": (dtype, n)}, tolerance=1e-4)


# --------------------------------------------------------------------------- sizes known at run time


def dynamic_pointwise(m: int, n: int) -> Case:
    p = space(S0, S1)
    where = at(p, S1, 1)
    value = op("add", L.load("x", where, float32), L.load("b", as_index(p[1]), float32))
    value = op("add", value, L.cast(L.index_value(as_index(p[0])), float32))
    buffers = {"x": (float32, m * n), "b": (float32, n), "out": (float32, m * n)}
    return case(
        p, (), [Store("out", where, value)], buffers, {"s0": m, "s1": n}, sizes={"x": S0 * S1, "b": S1, "out": S0 * S1}
    )


def dynamic_softmax(m: int, n: int) -> Case:
    p, r = space(S0), space(S1, name="r")
    where = at((*p, *r), S1, 1)
    a = L.load("x", where, float32)
    e = op("exp", op("sub", a, L.reduce("max", a)))
    mean = op("div", L.reduce("sum", a), L.cast(const(S1, int64), float32))
    stores = [Store("out", where, op("div", e, L.reduce("sum", e))), Store("mean", as_index(p[0]), mean)]
    buffers = {"x": (float32, m * n), "out": (float32, m * n), "mean": (float32, m)}
    return case(p, r, stores, buffers, {"s0": m, "s1": n}, 1e-5, {"x": S0 * S1, "out": S0 * S1, "mean": S0})


def dynamic_columns(m: int, n: int) -> Case:
    p, r = space(S1), space(S0, name="r")
    value = L.reduce("sum", L.load("x", at((*p, *r), 1, S1), float32))
    return case(
        p,
        r,
        [Store("out", as_index(p[0]), value)],
        {"x": (float32, m * n), "out": (float32, n)},
        {"s0": m, "s1": n},
        2e-5,
        {"x": S0 * S1, "out": S1},
    )


ALL_KINDS = ("sum", "max", "min", "argmax", "argmin")
ZOO: dict[str, Callable[[], Case]] = {
    **{f"pointwise {n}": lambda n=n: pointwise(n) for n in (0, 1, 2, 15, 16, 17, 1000, 40000)},
    **{f"pointwise {d} {n}": lambda d=d, n=n: pointwise(n, d) for d in (bfloat16, float16) for n in (5, 333)},
    "pointwise double": lambda: pointwise_double(77),
    **{f"integers {d}": lambda d=d: integers(101, d) for d in (int8, uint8, int32, int64)},
    "booleans": lambda: booleans(203),
    "booleans few": lambda: booleans(3),
    "broadcast": lambda: broadcast(24, 50),
    "broadcast narrow": lambda: broadcast(50, 3),
    "transpose": lambda: transpose(70, 45),
    "transpose exact": lambda: transpose(64, 128),
    "transpose bf16": lambda: transpose(64, 130, bfloat16),
    "permute3": lambda: permute3(17, 20, 9),
    "strided": lambda: strided(100, 3),
    "strided 2": lambda: strided(37, 2),
    "reversed": lambda: reversed_(50),
    "window": lambda: window(100, 7),
    "arange float": lambda: arange(100, float32),
    "arange int32": lambda: arange(33, int32),
    "pad": lambda: pad(5, 30, 3, 6),
    "concatenate": lambda: concatenate(5, 40, 7),
    "joined": lambda: joined((40, 16, 3, 70, 33), 7, 1),
    "joined evenly": lambda: joined((64, 32, 16, 16, 64), 7, 1),
    "joined down": lambda: joined((4, 1, 3, 7, 5), 45, 0),
    "joined long": lambda: joined((30000, 20000, 50000, 1000), 1, 1),
    "masked gather": lambda: masked_gather(300, 20),
    "embedding": lambda: embedding(37, 11, 20),
    "embedding scalar rows": lambda: embedding(37, 11, 1),
    "scatter add": lambda: scatter(5000, 13),
    "scatter add int64": lambda: scatter(500, 13, int64),
    "scatter store bf16": lambda: scatter(100, 200, bfloat16, "store"),
    "scatter store": lambda: scatter(300, 1000, float32, "store"),
    "embedding backward": lambda: embedding_backward(60, 9, 70),
    "rows": lambda: rows(9, 100, ALL_KINDS),
    "rows nan": lambda: rows(9, 100, ALL_KINDS, nans=True),
    "rows long": lambda: rows(3, 40001, ("sum", "prod", "max")),
    "rows int32": lambda: rows(9, 100, ALL_KINDS, int32),
    "rows int64": lambda: rows(9, 100, ALL_KINDS, int64),
    "rows uint8": lambda: rows(3, 200, ("max", "min", "argmax"), uint8),
    "rows double": lambda: rows(9, 100, (*ALL_KINDS, "prod"), float64),
    "rows bool": lambda: rows(9, 100, ("any", "all", "max", "min", "argmax"), bool_),
    "rows any all": lambda: rows(9, 100, ("any", "all"), float32),
    "rows short": lambda: rows(70, 5, ALL_KINDS),
    "rows of one": lambda: rows(70, 1, ALL_KINDS),
    "columns": lambda: columns(50, 70, ALL_KINDS),
    "columns int64": lambda: columns(50, 70, ALL_KINDS, int64),
    "columns bool": lambda: columns(20, 70, ("any", "all", "argmin"), bool_),
    "columns many": lambda: columns(3000, 33, ("sum", "max")),
    "columns wide": lambda: columns(30, 9000, ("sum",)),
    "columns split": lambda: columns(20000, 33, ("max", "min", "argmax", "argmin", "sum")),
    "columns split int64": lambda: columns(9000, 20, ALL_KINDS, int64),
    "columns split bool": lambda: columns(20000, 33, ("any", "all", "argmax"), bool_),
    "rows split": lambda: rows(3, 100001, ALL_KINDS),
    "rows split nan": lambda: rows(2, 100001, ALL_KINDS, nans=True),
    "rows split bool": lambda: rows(2, 100001, ("any", "all", "argmin"), bool_),
    "outer and inner split": lambda: outer_and_inner(64, 3, 1001, ("sum", "max", "argmax")),
    "outer and inner many": lambda: outer_and_inner(3, 40, 1001, ("sum", "min")),
    "middle split": lambda: middle(2, 5000, 20, ("sum", "argmin")),
    "softmax columns split": lambda: softmax_columns(9000, 20),
    "layer norm split": lambda: layer_norm(2, 100000),
    "all sum": lambda: everything(5000),
    "all sum long": lambda: everything(1 << 20),
    "all max": lambda: everything(70001, "max"),
    "all argmax": lambda: everything(70001, "argmax"),
    "all argmax split": lambda: everything(700001, "argmax"),
    "all max split": lambda: everything(700001, "max"),
    "all sum int64": lambda: everything(999, "sum", int64),
    "all prod double": lambda: everything(300, "prod", float64),
    "all of nothing": lambda: everything(0),
    "all of one": lambda: everything(1),
    "middle": lambda: middle(5, 33, 20, ("sum", "max", "argmax")),
    "middle narrow": lambda: middle(50, 33, 3, ("sum", "max", "argmax")),
    "outer and inner": lambda: outer_and_inner(6, 5, 49, ("sum", "max")),
    "outer and inner argmax": lambda: outer_and_inner(6, 5, 49, ("argmax", "argmin")),
    "channels last": lambda: channels_last(101),
    "pooling": lambda: pooling(13, 21),
    "softmax": lambda: softmax(7, 1000),
    "softmax exact": lambda: softmax(300, 256),
    "softmax short": lambda: softmax(50, 20),
    "softmax one": lambda: softmax(1, 5000),
    "softmax one long": lambda: softmax(1, 200000),
    "softmax bf16": lambda: softmax(5, 300, bfloat16),
    "softmax f16": lambda: softmax(5, 300, float16),
    "softmax in place": lambda: softmax(4, 200, in_place=True),
    "softmax columns": lambda: softmax_columns(300, 37),
    "softmax columns wide": lambda: softmax_columns(40, 5000),
    "layer norm": lambda: layer_norm(6, 768),
    "layer norm odd": lambda: layer_norm(300, 77),
    "three depths": lambda: three_depths(3, 200),
    "causal": lambda: causal(41),
    "count true": lambda: count_true(6, 100),
    "masked reduction": lambda: masked_reduction(4, 50),
    "masked prefix": lambda: masked_prefix(5, 100, 100, 1),
    "masked prefix columns": lambda: masked_prefix(50, 41, 1, 50),
    "gathered rows": lambda: gathered_rows(40, 30, 9),
    "index of max": lambda: index_of_max(20, 50),
    "cumsum": lambda: scan_rows(5, 100, "sum"),
    "cumprod": lambda: scan_rows(5, 60, "prod"),
    "cummax int64": lambda: scan_rows(5, 200, "max", int64),
    "cummin int32": lambda: scan_rows(5, 33, "min", int32),
    "cumsum double": lambda: scan_rows(3, 50, "sum", float64),
    "cumsum columns": lambda: scan_columns(50, 40, "sum"),
    "cummax columns": lambda: scan_columns(50, 40, "max", int32),
    "dynamic pointwise": lambda: dynamic_pointwise(33, 50),
    "dynamic softmax": lambda: dynamic_softmax(5, 300),
    "dynamic columns": lambda: dynamic_columns(40, 300),
    "dynamic softmax long": lambda: dynamic_softmax(3, 40000),
}  # fmt: skip


# --------------------------------------------------------------------------- running


def usual_size(x: np.ndarray) -> float:
    """The median of what is finite, at least 1."""
    finite = np.abs(x[np.isfinite(x)].astype(np.float64))
    return max(float(np.median(finite)), 1.0) if finite.size else 1.0


def same_storage(got: np.ndarray, want: np.ndarray, dtype: DType, c: Case, what: str) -> None:
    if dtype == bfloat16:
        got, want = from_bfloat16_bits(got), from_bfloat16_bits(want)
    if dtype.is_float:
        least = c.tolerance * (usual_size(want) if c.cancels else 1)
        np.testing.assert_allclose(got, want, rtol=c.tolerance, atol=least, equal_nan=True, err_msg=what)
    else:
        np.testing.assert_array_equal(got, want, err_msg=what)


def call(
    function: object,
    k: Kernel,
    arrays: Mapping[str, np.ndarray],
    symbols: Mapping[str, int],
    order: tuple[str, ...],
    threads: int,
) -> None:
    call_by_hand(function, [arrays[b.name].ctypes.data for b in k.args], [symbols.get(s, 0) for s in order], threads)


def guarded(array: np.ndarray, byte: int = 85) -> tuple[np.ndarray, np.ndarray]:
    """A copy with 128 known bytes on both sides: (all bytes, the part to use)."""
    whole = np.full(array.nbytes + 256, byte, np.uint8)
    inner = whole[128 : 128 + array.nbytes].view(array.dtype)
    inner[:] = array
    return whole, inner


Form = Callable[[Kernel], Kernel]
Library = tuple[ctypes.CDLL, dict[str, Case], tuple[str, ...]]
LEVELS = {"x86-64-v3": "avx2 fma bmi1 bmi2 f16c movbe sse4_2 popcnt ssse3 cx16", "x86-64": ""}


def compiled(cases: Mapping[str, Case], folder: Path, level: str, form: Form = canonical_form) -> Library:
    """All cases in one library, for the host or for an older kind of CPU: (library, cases renamed, order of the symbols).

    form: in which form the code generator gets the kernels
    """
    named = {}
    for name, c in cases.items():
        label = "k_" + "".join(x if x.isalnum() else "_" for x in name)
        named[name] = replace(c, kernel=replace(c.kernel, name=label))
    target = host_cpu() if level == "host" else x86_cpu(set(LEVELS[level].split()))
    source = generate([form(c.kernel) for c in named.values()], vector_bytes=target.vector_bytes, units=2)
    if level == "host":
        return load(build(source.units, label="test kernels")), named, source.symbols
    compile_units(source.units, folder, find_compiler(), target)
    return load(folder / LIBRARY), named, source.symbols


def check(library: Library, name: str, threads: int) -> None:
    """Run a case and compare all its buffers, and what lies around them, with the interpreter's."""
    functions, cases, order = library
    c = cases[name]
    want = {k: v.copy() for k, v in c.arrays.items()}
    got = {k: guarded(v) for k, v in c.arrays.items()}
    run_kernel(c.kernel, want, c.symbols)
    call(getattr(functions, c.kernel.name), c.kernel, {k: v for k, (_, v) in got.items()}, c.symbols, order, threads)
    for b in c.kernel.args:
        whole, inner = got[b.name]
        same_storage(inner, want[b.name], b.dtype, c, f"{b.name} of\n{c.kernel}")
        assert (whole[:128] == 85).all() and (whole[-128:] == 85).all(), f"{b.name} was written outside its bounds"


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return compiled({name: make() for name, make in ZOO.items()}, tmp_path_factory.mktemp("zoo"), "host")


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", list(ZOO))
def test_kernel_against_the_interpreter(zoo: Library, name: str, threads: int) -> None:
    check(zoo, name, threads)


def test_kernels_as_they_are_lowered(tmp_path: Path) -> None:
    """The canonical form makes code fast; it is right without."""
    library = compiled({name: make() for name, make in ZOO.items()}, tmp_path, "host", lambda kernel: kernel)
    for name in ZOO:
        check(library, name, 2)


@pytest.mark.slow
@pytest.mark.parametrize("level", list(LEVELS))
def test_kernels_at_other_register_widths(tmp_path: Path, level: str) -> None:
    library = compiled({name: make() for name, make in ZOO.items()}, tmp_path, level)
    for name in ZOO:
        check(library, name, 2)


@pytest.mark.parametrize("name", list(ZOO))
def test_results_do_not_depend_on_the_number_of_threads(
    zoo: tuple[ctypes.CDLL, dict[str, Case], tuple[str, ...]], name: str
) -> None:
    library, cases, order = zoo
    c = cases[name]
    results = []
    for threads in (1, 2, 5):
        arrays = {k: v.copy() for k, v in c.arrays.items()}
        call(getattr(library, c.kernel.name), c.kernel, arrays, c.symbols, order, threads)
        results.append({k: v.tobytes() for k, v in arrays.items()})
    assert results[0] == results[1] == results[2]


# --------------------------------------------------------------------------- random kernels


def random_case(seed: int) -> Case:
    """A kernel with random loops, layouts, types, arithmetic, and up to two levels of reduction."""
    g = np.random.default_rng(seed)
    p = space(*(int(x) for x in g.choice([1, 2, 3, 5, 16, 17, 33, 40], g.integers(0, 4))))
    r = space(*(int(x) for x in g.choice([1, 2, 4, 7, 16, 31, 50], g.integers(0, 3))), name="r")
    buffers: dict[str, tuple[DType, int | np.ndarray]] = {}

    def layout(variables: tuple[Var, ...]) -> tuple[Index, int]:
        """A dense array over the variables in random order, perhaps with gaps."""
        strides, step = {}, int(g.choice([1, 1, 1, 2, 3]))
        for k in g.permutation(len(variables)):
            strides[variables[k]] = step
            step *= variables[k].extent
        return at(variables, *(strides[v] for v in variables)), max(step, 1)

    def leaf() -> Expr:
        chosen = tuple(v for v in (*p, *r) if g.random() < 0.75)
        index, size = layout(chosen)
        dtype = [float32, float32, float32, bfloat16, int32, bool_, float64][g.integers(7)]
        name = f"x{len(buffers)}"
        if g.random() < 0.15 and chosen:
            rows = int(g.integers(1, 6))
            picks = Index(((chosen[0], 1),))
            ids = f"i{len(buffers)}"
            buffers[ids] = (int64, g.integers(0, rows, chosen[0].extent))
            buffers[name] = (dtype, rows * size)
            value = L.load(name, L.indirect(L.load(ids, picks, int64)) * size + index, dtype)
        else:
            buffers[name] = (dtype, size)
            value = L.load(name, index, dtype)
        if g.random() < 0.15 and chosen:
            v = chosen[-1]
            low = op("lt", L.index_value(as_index(v)), const(int(g.integers(0, v.extent + 1)), int64))
            return L.masked(low, L.cast(value, float32), const(0.25))
        return L.cast(value, float32)

    def tree(depth: int, leaves: list[Expr]) -> Expr:
        if depth == 0 or g.random() < 0.2:
            return leaves[g.integers(len(leaves))]
        kind = g.integers(4)
        a = tree(depth - 1, leaves)
        if kind == 0:
            return op(str(g.choice(["tanh", "sin", "abs", "neg", "sigmoid"])), a)
        b = tree(depth - 1, leaves)
        if kind == 1:
            return op("where", op("lt", a, b), a, op("mul", b, const(0.5)))
        return op(str(g.choice(["add", "sub", "mul", "max", "min"])), a, b)

    leaves = [leaf() for _ in range(g.integers(1, 4))]
    values = [tree(3, leaves)]
    if r:
        kinds = [str(k) for k in g.choice(["sum", "max", "min", "argmax", "argmin"], g.integers(1, 4))]
        reduced = [L.reduce(k, tree(2, leaves)) for k in kinds]
        values = [L.cast(v, float32) if v.dtype == int64 and g.random() < 0.5 else v for v in reduced]
        floats = [v for v in values if v.dtype == float32]
        if floats and g.random() < 0.6:
            centred = op("sub", tree(2, leaves), op("mul", floats[0], const(0.1)))
            values.append(L.reduce("sum", op("tanh", centred)))
            if g.random() < 0.7:
                values.append(op("add", centred, op("tanh", values[-1])))
    stores = []
    for value in values:
        varies = bool(r) and value.varies_in_r
        index, size = layout((*p, *r) if varies else p)
        name = f"out{len(stores)}"
        buffers[name] = (value.dtype, size)
        stores.append(Store(name, index, value))
    return case(p, r, stores, buffers, tolerance=3e-5)


def check_random(seeds: range, folder: Path, level: str) -> None:
    cases = {f"random {seed}": replace(random_case(seed), cancels=True) for seed in seeds}
    library = compiled(cases, folder, level)
    for name in cases:
        check(library, name, 1 + len(name) % 2)


def test_random_kernels(tmp_path: Path) -> None:
    check_random(range(40), tmp_path, "host")


@pytest.mark.slow
@pytest.mark.parametrize("level", ["host", *LEVELS])
@pytest.mark.parametrize("batch", range(6))
def test_more_random_kernels(tmp_path: Path, batch: int, level: str) -> None:
    check_random(range(1000 + 60 * batch, 1060 + 60 * batch), tmp_path, level)


# --------------------------------------------------------------------------- the text, and calling it


def test_segments_call_kernels_in_order() -> None:
    """One native call runs several kernels over places in one list of buffers, each with its own size symbols."""
    p = space(S0)
    i = as_index(p[0])

    def step(value: Expr, size: object = S0) -> str:
        p = space(size)
        args = (Buffer("a", float32, size), Buffer("b", float32, size))
        kernel = Kernel("any", p, (), (Store("b", as_index(p[0]), value),), args, (str(size),))
        return emit(kernel, host_cpu().vector_bytes).text

    double = step(op("mul", L.load("a", i, float32), const(2.0)))
    shift = step(op("add", L.load("a", as_index(space(S1)[0]), float32), const(1.0)), S1)
    made = functions([double, shift], notes_errors=False, label="segments")
    first = Segment([Call(made[double], (0, 1, 3)), Call(made[shift], (1, 2, 4))], notes_errors=False)
    second = Segment([Call(made[shift], (0, 1, 2))], notes_errors=False)
    x, y, z = (np.arange(5, dtype=np.float32) for _ in range(3))

    def run(segment: Segment, *arrays: np.ndarray) -> int:
        given = packer(1 + len(arrays), 2)(segment.address, *(a.ctypes.data for a in arrays), 5, 3)
        return segment.run(given, 1)

    assert run(first, x, y, z) == 0
    np.testing.assert_array_equal(y, 2 * x)
    np.testing.assert_array_equal(z, [*(2 * x + 1)[:3], 3, 4])
    run(second, x, y)
    np.testing.assert_array_equal(y, x + 1)


def test_text_tells_where_it_comes_from_and_is_stable() -> None:
    c = softmax(4, 64)
    one, two = (generate([c.kernel], vector_bytes=64).text for _ in range(2))
    assert one == two
    assert "// out: hand" in one and "// loops: p0 < 4, r0 < 64; 16 lanes along r0" in one
    assert one.count("exp(") == 1, "the row of exponentials is kept, not computed twice"


def chosen(c: Case) -> Choice:
    return choose(STRATEGIES, read_nest(canonical_form(c.kernel), 64))


#: a kernel for each strategy, and why the strategies before it in the list said no
CHOICES: dict[str, tuple[Callable[[], Case], str, list[str]]] = {
    "a row at a time": (lambda: softmax(40, 1000), "rows", ["not-one-sum", "enough-tasks", "no-scan", "lanes-not-along-p", "not-pointwise-in-lanes", "not-pointwise-in-lanes"]),
    "few rows": (lambda: middle(50, 9, 64, ("sum",)), "rows", ["no-product", "no-block-of-columns", "no-scan", "few-rows", "not-pointwise-in-lanes", "not-pointwise-in-lanes"]),
    "pointwise": (lambda: pointwise(300), "rows", ["not-one-sum", "no-reduction", "no-scan", "no-reduction", "no-strided-load", "one-piece"]),
    "many rows": (lambda: columns(50, 70, ("sum",)), "columns", ["no-product", "little-work", "no-scan"]),
    "one long sum": (lambda: everything(1 << 20), "split", ["no-product"]),
    "one short sum": (lambda: everything(1000), "rows", ["no-product", "little-work", "no-scan", "lanes-not-along-p", "not-pointwise-in-lanes", "not-pointwise-in-lanes"]),
    "long columns": (lambda: columns(1 << 14, 64, ("sum",)), "split", ["no-product"]),
    "prefixes": (lambda: scan_rows(5, 100, "sum"), "scan", ["runs-in-order", "order-matters"]),
    "a transpose": (lambda: transpose(70, 45), "tiles", ["not-one-sum", "no-reduction", "no-scan", "no-reduction"]),
    "a thin transpose": (lambda: transpose(300, 3), "rows", ["not-one-sum", "no-reduction", "no-scan", "no-reduction", "too-short", "one-piece"]),
    "parts of a row": (lambda: joined((40, 16, 3, 70, 33), 7, 1), "pieces", ["not-one-sum", "no-reduction", "no-scan", "no-reduction", "no-strided-load"]),
    "rows from several places": (lambda: joined((4, 1, 3, 7, 5), 45, 0), "pieces", ["not-one-sum", "no-reduction", "no-scan", "no-reduction", "no-strided-load"]),
    "elements from several places": (lambda: joined((1, 1, 2, 2, 1), 70, 1), "rows", ["not-one-sum", "no-reduction", "no-scan", "no-reduction", "no-strided-load", "short-pieces"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOICES)
def test_strategies_say_yes_or_why_not(name: str) -> None:
    make, strategy, reasons = CHOICES[name]
    choice = chosen(make())
    assert choice.strategy == strategy
    assert [refusal.code for _, refusal in choice.refused] == reasons
    assert all(refusal.kind in ("legality", "heuristic") for _, refusal in choice.refused)


def test_every_strategy_has_its_case() -> None:
    yes = {strategy for _, strategy, _ in CHOICES.values()}
    assert yes | {"contraction"} == {s.name for s in STRATEGIES}, "contraction says no to all (test_contraction)"


def test_lanes_and_tasks() -> None:
    assert chosen(softmax(40, 1000)).way.nest.along_r and chosen(softmax(40, 1000)).way.nest.lanes == 16
    assert chosen(rows(9, 100, ("sum",), float64)).way.nest.lanes == 8
    assert chosen(booleans(300)).way.nest.lanes == 64
    assert chosen(arange(100, int32)).way.nest.lanes == 16, "an int64 index that fits 32 bits does not halve the lanes"
    assert chosen(count_true(6, 100)).way.nest.lanes == 16
    shared = chosen(embedding_backward(60, 9, 70)).way.sharing
    assert shared.tasks == () and shared.block
    colliding = chosen(scatter(5000, 13)).way.sharing
    assert colliding.tasks == () and not colliding.block, "colliding targets stay on one thread"


def test_no_op_is_without_text() -> None:
    for name, row in SCALAR.items():
        for vector in (False, True):
            for truth in {"any": (False, True), "integral": (False, True), "bool": (True,)}.get(row.domain, (False,)):
                text = template(name, truth, vector).text
                assert all(f"{{{k}}}" in text for k in range(row.arity)) and f"{{{row.arity}}}" not in text
        assert template(name, False, False).mixes == (name in OPERATORS)


def test_complex_numbers_are_refused() -> None:
    p = space(4)
    k = Kernel(
        "k",
        p,
        (),
        (Store("out", as_index(p[0]), L.load("x", as_index(p[0]), complex64)),),
        (Buffer("x", complex64, 4), Buffer("out", complex64, 4)),
    )
    with pytest.raises(InternalError, match="complex64"):
        generate([k])


def test_float_sums_are_accurate() -> None:
    """Long sums in float32: as good as NumPy's pairwise sums, in every way that reductions run."""
    n = 1 << 20
    for make in (
        lambda: rows(2, n, ("sum",)),
        lambda: columns(n, 2, ("sum",)),
        lambda: columns(1 << 14, 64, ("sum",)),
        lambda: rows(40, 1 << 15, ("sum",)),
    ):
        c = make()
        data = np.random.default_rng(0).random(c.arrays["x"].size).astype(np.float32)
        c.arrays["x"][:] = data
        library, cases, order = compiled({"sum": c}, Path(), "host")
        call(library.k_sum, cases["sum"].kernel, c.arrays, {}, order, 2)
        shape = [v.extent for v in (*c.kernel.p, *c.kernel.r)]
        matrix = (
            data.reshape(shape)
            if c.kernel.stores[0].value.args[0].attr[1].coefficient(c.kernel.r[0]) == 1
            else data.reshape(shape[::-1]).T
        )
        exact = matrix.astype(np.float64).sum(axis=1)
        error = np.abs(c.arrays["out0"] - exact) / exact
        assert error.max() < 1e-6
