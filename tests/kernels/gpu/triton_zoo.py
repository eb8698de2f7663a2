"""Hand-made loop nests in many shapes, each with data: run under the interpreter against the oracle, and compiled for GPUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import sympy
from quern.inductor import loops as L
from quern.inductor.canonical import canonical_form
from quern.inductor.codegen.triton import TritonOptions
from quern.inductor.dtypes import DType, bfloat16, bool_, float16, float32, float64, int32, int64, uint8
from quern.inductor.kernel import Buffer, Kernel, Store
from quern.inductor.loops import Expr, Index, Var, as_index
from quern.inductor.reference import numpy_dtype, to_bfloat16_bits

DEFAULT = TritonOptions()


@dataclass(frozen=True)
class Case:
    """A kernel as it is lowered, its data, and how it is to be compiled.

    data: values of buffers that are read (flat), or what makes them
    """

    lowered: Kernel
    data: Mapping[str, np.ndarray] | Callable[[], Mapping[str, np.ndarray]]
    options: TritonOptions = DEFAULT
    symbols: Mapping[str, int] = field(default_factory=dict)
    tolerance: float = 2e-6

    @property
    def kernel(self) -> Kernel:
        """The kernel that code is generated for."""
        return canonical_form(self.lowered)

    @property
    def inputs(self) -> Mapping[str, np.ndarray]:
        return self.data() if callable(self.data) else self.data


def storage(values: np.ndarray, dtype: DType) -> np.ndarray:
    """Values as they lie in memory: bfloat16 as bits."""
    return to_bfloat16_bits(values.astype(np.float32)) if dtype == bfloat16 else values.astype(numpy_dtype(dtype))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def op(name: str, *args: Expr, dtype: DType | None = None) -> Expr:
    return L.expr(name, *args, dtype=dtype or args[-1].dtype)


def f32(value: float) -> Expr:
    return L.const(value, float32)


def space(*extents: int, name: str = "p") -> tuple[Var, ...]:
    return tuple(Var(f"{name}{i}", e, name == "r") for i, e in enumerate(extents))


def at(variables: tuple[Var, ...], *strides: int) -> Index:
    return sum((as_index(v) * s for v, s in zip(variables, strides)), L.ZERO)


def buffers(**specs: tuple[DType, object]) -> tuple[Buffer, ...]:
    return tuple(Buffer(name, dtype, size) for name, (dtype, size) in specs.items())


def softmax(rows: int, columns: int, dtype: DType = float32, options: TritonOptions = DEFAULT) -> Case:
    p, r = space(rows), space(columns, name="r")
    where = at((*p, *r), columns, 1)
    a = L.cast(L.load("x", where, dtype), float32)
    e = op("exp", op("sub", a, L.reduce("max", a)))
    out = L.cast(op("div", e, L.reduce("sum", e)), dtype)
    args = buffers(x=(dtype, rows * columns), out=(dtype, rows * columns))
    kernel = Kernel("softmax", p, r, (Store("out", where, out),), args)

    def data() -> dict[str, np.ndarray]:
        return {"x": storage(rng().normal(size=rows * columns) * 3, dtype)}

    return Case(kernel, data, options, tolerance=0.01 if dtype.size == 2 else 2e-6)


def softmax_of_extremes(columns: int, options: TritonOptions) -> Case:
    """Rows with infinities and NaN: what eager makes of them, and nothing else."""
    case = softmax(6, columns, options=options)
    x = rng().normal(size=(6, columns)).astype("f") * 100
    x[0, 1:] = -np.inf
    x[1, :] = -np.inf
    x[2, 7] = np.inf
    x[3, columns - 1] = np.nan
    x[4, ::2] = -np.inf
    return Case(case.lowered, {"x": x.reshape(-1)}, options)


def count_up(rows: int, columns: int, options: TritonOptions) -> Case:
    """The prefix sums of a constant: a scan of what does not vary along the row."""
    p, r = space(rows), space(columns, name="r")
    running = L.expr("scan", f32(1.0), dtype=float32, attr="sum")
    kernel = Kernel(
        "count_up", p, r, (Store("out", at((*p, *r), columns, 1), running),), buffers(out=(float32, rows * columns))
    )
    return Case(kernel, {}, options)


def layer_norm(rows: int, columns: int, options: TritonOptions = DEFAULT) -> Case:
    """Also stores mean and rstd, as training needs."""
    p, r = space(rows), space(columns, name="r")
    where = at((*p, *r), columns, 1)
    x = L.load("x", where, float32)
    mean = op("div", L.reduce("sum", x), f32(columns))
    centred = op("sub", x, mean)
    variance = op("div", L.reduce("sum", op("mul", centred, centred)), f32(columns))
    rstd = op("rsqrt", op("add", variance, f32(1e-5)))
    w, b = (L.load(n, as_index(r[0]), float32) for n in ("w", "b"))
    y = op("add", op("mul", op("mul", centred, rstd), w), b)
    stores = (Store("out", where, y), Store("mean", as_index(p[0]), mean), Store("rstd", as_index(p[0]), rstd))
    n = rows * columns
    args = buffers(
        x=(float32, n),
        w=(float32, columns),
        b=(float32, columns),
        out=(float32, n),
        mean=(float32, rows),
        rstd=(float32, rows),
    )

    def data() -> dict[str, np.ndarray]:
        g = rng()
        return {k: g.normal(size=size).astype("f") for k, size in (("x", n), ("w", columns), ("b", columns))}

    return Case(Kernel("layer_norm", p, r, stores, args), data, options, tolerance=1e-5)


def pointwise(n: int, dtype: DType = float32, options: TritonOptions = DEFAULT) -> Case:
    p = space(n)
    x, y = (L.cast(L.load(name, as_index(p[0]), dtype), float32) for name in ("x", "y"))
    out = op("tanh", op("add", op("mul", x, y), f32(0.5)))
    args = buffers(x=(dtype, n), y=(dtype, n), out=(dtype, n))
    kernel = Kernel("chain", p, (), (Store("out", as_index(p[0]), L.cast(out, dtype)),), args)

    def data() -> dict[str, np.ndarray]:
        g = rng()
        return {k: storage(g.normal(size=n), dtype) for k in "xy"}

    return Case(kernel, data, options, tolerance=0.01 if dtype.size == 2 else 2e-6)


def transpose(m: int, n: int, dtype: DType = float32) -> Case:
    """out[j, i] = x[i, j] + bias[i]: unit strides along different variables."""
    p = space(n, m)
    x = L.cast(L.load("x", at(p, 1, n), dtype), float32)
    value = op("add", x, L.load("bias", as_index(p[1]), float32))
    args = buffers(x=(dtype, m * n), bias=(float32, m), out=(float32, m * n))
    kernel = Kernel("transpose", p, (), (Store("out", at(p, m, 1), value),), args)
    return Case(kernel, {"x": storage(rng().normal(size=m * n), dtype), "bias": rng().normal(size=m).astype("f")})


def permute3(a: int, b: int, c: int) -> Case:
    """Three accesses, three unit strides: a three-dimensional tile."""
    p = space(a, b, c)
    terms = [
        L.load("x", at(p, 1, a * c, a), float32),
        L.load("y", at(p, b, 1, a * b), float32),
        L.load("z", at(p, b * c, c, 1), float32),
    ]
    value = op("add", op("add", terms[0], terms[1]), terms[2])
    n = a * b * c
    args = buffers(x=(float32, n), y=(float32, n), z=(float32, n), out=(float32, n))
    g = rng()
    return Case(
        Kernel("permute", p, (), (Store("out", at(p, b * c, c, 1), value),), args),
        {k: g.normal(size=n).astype("f") for k in "xyz"},
    )


def broadcast(rows: int, columns: int) -> Case:
    p = space(rows, columns)
    value = op("mul", L.load("x", at(p, columns, 1), float32), L.load("w", as_index(p[1]), float32))
    value = op("add", value, L.load("v", as_index(p[0]), float32))
    args = buffers(x=(float32, rows * columns), w=(float32, columns), v=(float32, rows), out=(float32, rows * columns))
    g = rng()
    data = {"x": g.normal(size=rows * columns), "w": g.normal(size=columns), "v": g.normal(size=rows)}
    kernel = Kernel("broadcast", p, (), (Store("out", at(p, columns, 1), value),), args)
    return Case(kernel, {k: v.astype("f") for k, v in data.items()})


def reduce_all(n: int, kind: str = "sum", dtype: DType = float32, options: TritonOptions = DEFAULT) -> Case:
    r = space(n, name="r")
    value = L.reduce(kind, L.load("x", as_index(r[0]), dtype))
    args = buffers(x=(dtype, n), out=(value.dtype, 1))
    kernel = Kernel(f"{kind}_all", (), r, (Store("out", L.ZERO, value),), args)
    return Case(kernel, {"x": numbers(n, dtype)}, options, tolerance=2e-5)


def numbers(n: int, dtype: DType) -> np.ndarray:
    g = rng()
    if dtype.kind == "bool":
        return g.random(n) < 0.5
    if dtype.is_int:
        return g.integers(-3 if dtype.kind == "int" else 0, 4, n).astype(dtype.name)
    return storage(g.normal(size=n), dtype)


def rows(
    rows: int, columns: int, kinds: tuple[str, ...], dtype: DType, options: TritonOptions = DEFAULT, nans: bool = False
) -> Case:
    """Several reductions of the same rows into one output each."""
    p, r = space(rows), space(columns, name="r")
    x = L.load("x", at((*p, *r), columns, 1), dtype)
    values = [L.reduce(kind, x) for kind in kinds]
    stores = tuple(Store(f"out{i}", as_index(p[0]), v) for i, v in enumerate(values))
    args = buffers(x=(dtype, rows * columns), **{f"out{i}": (v.dtype, rows) for i, v in enumerate(values)})
    data = numbers(rows * columns, dtype)
    if nans:
        data[:: columns + 7] = np.nan
        data[5::97] = np.inf
        data[columns : 2 * columns] = -np.inf
    return Case(Kernel("rows", p, r, stores, args), {"x": data}, options, tolerance=1e-5)


def columns(rows: int, columns: int, options: TritonOptions = DEFAULT) -> Case:
    """Sum and maximum over the slow axis."""
    p, r = space(columns), space(rows, name="r")
    x = L.load("x", at((*p, *r), 1, columns), float32)
    stores = tuple(Store(f"out{i}", as_index(p[0]), L.reduce(k, x)) for i, k in enumerate(("sum", "max")))
    args = buffers(x=(float32, rows * columns), out0=(float32, columns), out1=(float32, columns))
    return Case(
        Kernel("columns", p, r, stores, args), lambda: {"x": numbers(rows * columns, float32)}, options, tolerance=1e-5
    )


def scan(rows: int, columns: int, kind: str, dtype: DType = float32, options: TritonOptions = DEFAULT) -> Case:
    """A prefix along each row, and the row's sum of prefixes."""
    p, r = space(rows), space(columns, name="r")
    where = at((*p, *r), columns, 1)
    x = L.load("x", where, dtype)
    running = L.expr("scan", x, dtype=dtype, attr=kind)
    stores = (Store("out", where, running), Store("last", as_index(p[0]), L.reduce("max", running)))
    n = rows * columns
    args = buffers(x=(dtype, n), out=(dtype, n), last=(dtype, rows))
    data = numbers(n, dtype)
    if kind == "prod":
        data = np.where(np.arange(n) % 3, data.dtype.type(1), data)
    return Case(Kernel(f"scan_{kind}", p, r, stores, args), {"x": data}, options, tolerance=1e-4)


def gather(n: int, table: int, width: int) -> Case:
    """An embedding: rows of a table picked by an index, negative ones counted from the end."""
    p = space(n, width)
    i = L.load("i", as_index(p[0]), int64)
    wrapped = op("where", op("lt", i, L.const(0, int64), dtype=bool_), op("add", i, L.const(table, int64)), i)
    value = L.load("w", L.indirect(wrapped) * width + as_index(p[1]), float32)
    args = buffers(i=(int64, n), w=(float32, table * width), out=(float32, n * width))
    kernel = Kernel("gather", p, (), (Store("out", at(p, width, 1), op("mul", value, f32(2.0))),), args)
    g = rng()
    return Case(kernel, {"i": g.integers(-table, table, n), "w": g.normal(size=table * width).astype("f")})


def scatter_add(n: int, bins: int, dtype: DType = float32) -> Case:
    p = space(n)
    i = L.load("i", as_index(p[0]), int64)
    value = L.load("x", as_index(p[0]), dtype)
    args = buffers(i=(int64, n), x=(dtype, n), out=(dtype, bins))
    kernel = Kernel("scatter_add", p, (), (Store("out", L.indirect(i), value, "add"),), args)
    g = rng()
    values = numbers(n, dtype) if dtype != float32 else g.integers(-8, 8, n).astype("f")
    return Case(kernel, {"i": g.integers(0, bins, n), "x": values, "out": np.zeros(bins, numpy_dtype(dtype))})


def count_all(n: int) -> Case:
    """One atomic addition per point into a single place."""
    p = space(n)
    big = op("gt", L.load("x", as_index(p[0]), float32), f32(0.0), dtype=bool_)
    args = buffers(x=(float32, n), out=(int32, 1))
    kernel = Kernel("count", p, (), (Store("out", L.ZERO, L.cast(big, int32), "add"),), args)
    return Case(kernel, {"x": numbers(n, float32), "out": np.zeros(1, np.int32)})


def pad(rows: int, columns: int, left: int, right: int) -> Case:
    """Constant padding of the last axis: loads happen only inside."""
    width = left + columns + right
    p = space(rows, width)
    inside = op(
        "and",
        op("ge", L.index_value(as_index(p[1])), L.const(left, int64), dtype=bool_),
        op("lt", L.index_value(as_index(p[1])), L.const(left + columns, int64), dtype=bool_),
    )
    x = L.load("x", at(p, columns, 1) - left, float32)
    value = L.masked(inside, op("add", x, f32(1.0)), f32(-7.0))
    args = buffers(x=(float32, rows * columns), out=(float32, rows * width))
    kernel = Kernel("pad", p, (), (Store("out", at(p, width, 1), value),), args)
    return Case(kernel, {"x": numbers(rows * columns, float32)})


def causal_row_max(n: int, options: TritonOptions = DEFAULT) -> Case:
    """A masked reduction: the load of a row stops at the diagonal."""
    p, r = space(n), space(n, name="r")
    seen = op("le", L.index_value(as_index(r[0])), L.index_value(as_index(p[0])), dtype=bool_)
    x = L.masked(seen, L.load("x", at((*p, *r), n, 1), float32), f32(float("-inf")))
    e = op("exp", op("sub", x, L.reduce("max", x)))
    args = buffers(x=(float32, n * n), out=(float32, n))
    kernel = Kernel("causal", p, r, (Store("out", as_index(p[0]), L.reduce("sum", e)),), args)
    return Case(kernel, {"x": numbers(n * n, float32)}, options, tolerance=1e-5)


def halves(n: int) -> Case:
    """out[i, j] with i // and % of a flat variable: a reshape of a transposed array."""
    (p,) = space(n * 6)
    flat = as_index(p)
    x = L.load("x", L.mod(flat, 6) * n + L.floordiv(flat, 6), float32)
    args = buffers(x=(float32, 6 * n), out=(float32, 6 * n))
    return Case(Kernel("reshape", (p,), (), (Store("out", flat, op("neg", x)),), args), {"x": numbers(6 * n, float32)})


def in_place_softmax(rows: int, columns: int, options: TritonOptions) -> Case:
    case = softmax(rows, columns)
    x = case.inputs["x"]
    where = case.kernel.stores[0].index
    kernel = Kernel(
        "softmax_",
        case.kernel.p,
        case.kernel.r,
        (Store("x", where, case.kernel.stores[0].value),),
        case.kernel.args[:1],
    )
    return Case(kernel, {"x": x}, options)


def dynamic(kind: str, m: int, n: int) -> Case:
    """Sizes as symbols: an addition with broadcasting, or a row softmax."""
    s0, s1 = sympy.symbols("s0 s1", integer=True, positive=True)
    if kind == "add":
        p = (Var("p0", s0), Var("p1", s1))
        where = as_index(p[0]) * s1 + as_index(p[1])
        value = op("add", L.load("x", where, float32), L.load("b", as_index(p[1]), float32))
        args = buffers(x=(float32, s0 * s1), b=(float32, s1), out=(float32, s0 * s1))
        kernel = Kernel("add", p, (), (Store("out", where, value),), args, ("s0", "s1"))
        data = {"x": numbers(m * n, float32), "b": numbers(n, float32)}
        return Case(kernel, data, symbols={"s0": m, "s1": n})
    p, r = (Var("p0", s0),), (Var("r0", s1, True),)
    where = as_index(p[0]) * s1 + as_index(r[0])
    a = L.load("x", where, float32)
    e = op("exp", op("sub", a, L.reduce("max", a)))
    args = buffers(x=(float32, s0 * s1), out=(float32, s0 * s1))
    kernel = Kernel("softmax", p, r, (Store("out", where, op("div", e, L.reduce("sum", e))),), args, ("s0", "s1"))
    return Case(kernel, {"x": numbers(m * n, float32)}, symbols={"s0": m, "s1": n})


def online_pair(rows: int, columns: int) -> Case:
    """Three depths: normalise by the maximum, then by the sum, then reduce again; a store at each depth."""
    p, r = space(rows), space(columns, name="r")
    where = at((*p, *r), columns, 1)
    a = L.load("x", where, float32)
    e = op("exp", op("sub", a, L.reduce("max", a)))
    y = op("div", e, L.reduce("sum", e))
    stores = (
        Store("e", where, e),
        Store("norm", as_index(p[0]), op("sqrt", L.reduce("sum", op("mul", y, y)))),
        Store("y", where, y),
    )
    n = rows * columns
    args = buffers(x=(float32, n), e=(float32, n), norm=(float32, rows), y=(float32, n))
    return Case(
        Kernel("three", p, r, stores, args),
        {"x": numbers(n, float32)},
        TritonOptions(persistent=False, row_block=64),
        tolerance=1e-5,
    )


LOOPED = TritonOptions(persistent=False, row_block=128)
BLOCKS = TritonOptions(block=4)


def product(
    m: int,
    k: int,
    n: int,
    dtype: DType = float32,
    batch: int = 1,
    turned: bool = False,
    options: TritonOptions = DEFAULT,
) -> Case:
    """tanh(a @ b + bias), a batch of them; turned: b lies by columns."""
    p, r = space(batch, m, n), space(k, name="r")
    b, row, column = map(as_index, p)
    inner = as_index(r[0])
    left = L.load("a", (b * m + row) * k + inner, dtype)
    right = L.load("b", (b * n + column) * k + inner if turned else (b * k + inner) * n + column, dtype)
    factors = (x if dtype == float32 else L.cast(x, float32) for x in (left, right))
    total = op("add", L.reduce("sum", op("mul", *factors)), L.load("bias", column, float32))
    value = op("tanh", total)
    store = Store("out", at(p, m * n, n, 1), value if dtype == float32 else L.cast(value, dtype))
    sizes = {"a": batch * m * k, "b": batch * k * n}
    args = buffers(a=(dtype, sizes["a"]), b=(dtype, sizes["b"]), bias=(float32, n), out=(dtype, batch * m * n))
    g = rng()
    data = {x: storage(g.standard_normal(size) / k**0.5, dtype) for x, size in sizes.items()}
    data["bias"] = g.standard_normal(n).astype(np.float32)
    tolerance = 1e-5 if dtype == float32 else 1e-2
    return Case(Kernel("product", p, r, (store,), args), data, options, tolerance=tolerance)


ZOO: dict[str, Callable[[], Case]] = {
    "product": lambda: product(70, 50, 90),
    "product exact": lambda: product(128, 64, 64),
    "product bf16": lambda: product(70, 50, 90, bfloat16),
    "product fp16": lambda: product(64, 128, 96, float16, turned=True),
    "product few rows": lambda: product(3, 300, 200, turned=True),
    "products": lambda: product(20, 33, 17, batch=3, turned=True),
    "pointwise": lambda: pointwise(4096),
    "pointwise tail": lambda: pointwise(1000),
    "pointwise one": lambda: pointwise(1),
    "pointwise empty": lambda: pointwise(0),
    "pointwise bf16": lambda: pointwise(1000, bfloat16),
    "pointwise fp16": lambda: pointwise(512, float16),
    "broadcast": lambda: broadcast(24, 50),
    "transpose": lambda: transpose(70, 45),
    "transpose bf16": lambda: transpose(64, 128, bfloat16),
    "permute3": lambda: permute3(17, 20, 9),
    "reshape": lambda: halves(40),
    "softmax": lambda: softmax(7, 1000),
    "softmax exact": lambda: softmax(3, 256),
    "softmax bf16": lambda: softmax(5, 300, bfloat16),
    "softmax short rows": lambda: softmax(50, 20),
    "softmax long rows": lambda: softmax(2, 8192),
    "softmax looped": lambda: softmax(5, 300, options=LOOPED),
    "softmax looped blocks": lambda: softmax(6, 300, options=TritonOptions(persistent=False, row_block=64, block=4)),
    "softmax extremes": lambda: softmax_of_extremes(200, DEFAULT),
    "softmax extremes looped": lambda: softmax_of_extremes(200, TritonOptions(persistent=False, row_block=64)),
    "softmax extremes looped blocks": lambda: softmax_of_extremes(
        200, TritonOptions(persistent=False, row_block=32, block=4)
    ),
    "count up": lambda: count_up(3, 40, DEFAULT),
    "count up looped": lambda: count_up(3, 40, TritonOptions(persistent=False, row_block=16)),
    "softmax in place": lambda: in_place_softmax(4, 200, TritonOptions()),
    "softmax in place looped": lambda: in_place_softmax(4, 200, LOOPED),
    "layer norm": lambda: layer_norm(6, 768),
    "layer norm looped": lambda: layer_norm(3, 700, LOOPED),
    "three depths": lambda: online_pair(3, 200),
    "sum all": lambda: reduce_all(5000),
    "sum all looped": lambda: reduce_all(40000),
    "sum of nothing": lambda: reduce_all(0),
    "sum int64": lambda: reduce_all(999, "sum", int64),
    "prod float64": lambda: reduce_all(300, "prod", float64),
    "any all": lambda: rows(9, 100, ("any", "all"), bool_),
    "any all floats": lambda: rows(9, 100, ("any", "all"), float32, BLOCKS),
    "max min nan": lambda: rows(9, 100, ("max", "min", "argmax", "argmin"), float32, nans=True),
    "max min nan looped": lambda: rows(9, 300, ("max", "min", "argmax", "argmin"), float32, LOOPED, nans=True),
    "max min nan blocks": lambda: rows(
        9, 300, ("max", "argmax"), float32, TritonOptions(persistent=False, row_block=64, block=4), True
    ),
    "argmax ints": lambda: rows(9, 100, ("argmax", "argmin", "max", "min"), int32, BLOCKS),
    "argmax int64 looped": lambda: rows(3, 300, ("argmax", "argmin", "max"), int64, LOOPED),
    "argmax uint8": lambda: rows(3, 100, ("argmax", "argmin", "min"), uint8),
    "argmax bool": lambda: rows(3, 100, ("argmax", "argmin", "max", "min"), bool_),
    "columns": lambda: columns(50, 70),
    "columns looped": lambda: columns(400, 33),
    "cumsum": lambda: scan(5, 100, "sum"),
    "cumsum looped": lambda: scan(3, 300, "sum", options=LOOPED),
    "cumprod": lambda: scan(5, 60, "prod", options=BLOCKS),
    "cummax int looped": lambda: scan(5, 200, "max", int64, TritonOptions(persistent=False, row_block=64, block=2)),
    "gather": lambda: gather(37, 11, 20),
    "scatter add": lambda: scatter_add(500, 13),
    "scatter add ints": lambda: scatter_add(500, 13, int64),
    "count": lambda: count_all(300),
    "pad": lambda: pad(5, 30, 3, 6),
    "causal": lambda: causal_row_max(40),
    "causal looped": lambda: causal_row_max(150, LOOPED),
    "dynamic add": lambda: dynamic("add", 33, 50),
    "dynamic softmax": lambda: dynamic("softmax", 5, 300),
}
