"""Triton source: every scalar op and conversion against its Python meaning, and what the text looks like."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import sympy
from quern.inductor import dtypes as D
from quern.inductor import loops as L
from quern.inductor.codegen.strategy import choose
from quern.inductor.codegen.triton import TritonOptions, generate
from quern.inductor.codegen.triton.scalars import TEMPLATES, template
from quern.inductor.codegen.triton.strategies import STRATEGIES
from quern.inductor.codegen.triton.strategies.way import Request
from quern.inductor.dtypes import DType, bool_, float32, float64, int8, int32, int64, uint8, uint32
from quern.inductor.graph import Origin
from quern.inductor.kernel import Buffer, Kernel, Store
from quern.inductor.loops import Expr, Var, as_index
from quern.inductor.ops.scalar import SCALAR, ScalarOp

from quern.errors import InternalError

pytest.importorskip("triton")

from quern.kernels.gpu.interpreted import interpret  # noqa: E402
from quern.kernels.gpu.toolchain import Gpu, Variant, binary_key, compile_for  # noqa: E402

FLOATS = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.7, -3.7, 1e-3, -1e-3, 1e-20, -1e-20, 20.0, -20.0, 88.0, -88.0, 100.0,
    1e20, -1e20, math.inf, -math.inf, math.nan, 0.99999, -0.99999, 1.00001, math.pi, 1e-40, 3.4e38, 0.1,
]  # fmt: skip
DOMAINS = {
    "float": (float32, float64),
    "int": (int32, int64, uint8, int8),
    "bool": (bool_,),
    "number": (float32, float64, int32, int64, uint8, int8, uint32),
    "integral": (bool_, int32, int64, uint8),
    "any": (bool_, float32, float64, int32, int64, uint8),
}


_DIVISIONS = ("floordiv", "mod", "fmod")
_SHIFTS = ("shl", "shr")


def values_of(dtype: DType) -> list:
    if dtype.kind == "bool":
        return [False, True]
    if dtype.is_float:
        return FLOATS
    bits = 8 * dtype.size
    if dtype.kind == "uint":
        return [0, 1, 2, 3, 7, 8, 31, 100, (1 << bits) - 1, 1 << (bits - 1)]
    return [0, 1, -1, 2, -2, 3, -3, 7, -7, 8, 31, 64, 100, -100, (1 << (bits - 1)) - 1, -(1 << (bits - 1))]


def operands(op: ScalarOp, dtype: DType) -> list[tuple]:
    values = values_of(dtype)
    if op.name == "where":
        return [(c, a, b) for c in (False, True) for a in values[:6] for b in values[-6:]]
    if op.arity == 1:
        return [(v,) for v in values]
    if op.arity == 2:
        pairs = [(a, b) for a in values for b in values]
        if op.name in _DIVISIONS and dtype.is_int:
            lowest = values[-1]
            pairs = [(a, b) for a, b in pairs if b != 0 and not (a == lowest and b == -1)]
        if dtype.is_int and op.name in (
            *_SHIFTS,
            "pow",
        ):  # Python computes these powers and shifts exactly: keep them small
            pairs = [(a, b) for a, b in pairs if (0 if op.name != "pow" else -3) <= b <= 100]
        if op.name == "pow" and dtype.is_float:  # the table's meaning has +inf for a negative zero to an odd power
            pairs = [(a, b) for a, b in pairs if a != 0 or b >= 0]
        return pairs
    return [(a, b, c) for a in values[:8] for b in values[:8] for c in values[-8:]]


def wrap(value, dtype: DType):
    """An exact Python result as the dtype holds it."""
    if dtype.is_int:
        bits = 8 * dtype.size
        value &= (1 << bits) - 1
        return value - (1 << bits) if dtype.kind == "int" and value >> (bits - 1) else value
    return value


def meaning(op: ScalarOp, dtype: DType) -> Callable:
    """The table's meaning, made exact where Python computes in float64 what the dtype computes itself."""
    if op.name == "nextafter":
        return lambda a, b: np.nextafter(np.array(a, dtype.name), np.array(b, dtype.name)).item()
    if op.name == "fmod" and dtype.is_int:
        return lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1)
    return op.python


def expected(op: ScalarOp, dtype: DType, rows: list[tuple]) -> np.ndarray:
    out = bool_ if op.result == "bool" else dtype
    made = []
    for row in rows:
        exact = [np.array(v, dtype.name).item() if dtype.is_float and not isinstance(v, bool) else v for v in row]
        made.append(wrap(meaning(op, dtype)(*exact), out))
    with np.errstate(all="ignore"):
        return np.array(made, dtype=out.name)


def ops_kernel(ops: list[ScalarOp], dtype: DType, n: int) -> Kernel:
    """One kernel for many ops of equal operands."""
    p = Var("p0", n)
    kinds = [bool_ if ops[0].name == "where" and i == 0 else dtype for i in range(ops[0].arity)]
    ins = [Buffer(f"in{i}", k, n) for i, k in enumerate(kinds)]
    loads = [L.load(b.name, as_index(p), b.dtype) for b in ins]
    outs, stores = [], []
    for i, op in enumerate(ops):
        out = bool_ if op.result == "bool" else dtype
        outs.append(Buffer(f"out{i}", out, n))
        stores.append(Store(f"out{i}", as_index(p), L.expr(op.name, *loads, dtype=out)))
    return Kernel("ops", (p,), (), tuple(stores), (*ins, *outs))


def run_ops(ops: list[ScalarOp], dtype: DType) -> list[tuple[ScalarOp, list[tuple], np.ndarray]]:
    """Run many ops of equal operand lists: (op, operands, results) each."""
    rows = operands(ops[0], dtype)
    kernel = ops_kernel(ops, dtype, len(rows))
    arity = ops[0].arity
    data = [np.array([row[i] for row in rows], b.dtype.name) for i, b in enumerate(kernel.args[:arity])]
    made = [np.zeros(len(rows), b.dtype.name) for b in kernel.args[arity:]]
    interpret(generate(kernel))(*(a.ctypes.data for a in (*data, *made)))
    return [(op, rows, array) for op, array in zip(ops, made)]


def groups() -> list[tuple[str, DType]]:
    return [
        (shape, d)
        for shape in ("1", "2", "3", "div", "shift", "pow", "where")
        for d in D.ALL.values()
        if ops_of(shape, d)
    ]


def ops_of(shape: str, dtype: DType) -> list[ScalarOp]:
    def belongs(op: ScalarOp) -> bool:
        special = (
            "where"
            if op.name == "where"
            else "div"
            if op.name in _DIVISIONS
            else "shift"
            if op.name in _SHIFTS
            else "pow"
            if op.name == "pow"
            else str(op.arity)
        )
        return special == shape and dtype in DOMAINS[op.domain]

    return [op for op in SCALAR.values() if belongs(op)]


def ulps(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Distance in units in the last place of the expected value (0 where both are the same infinity, NaN or number)."""
    with np.errstate(all="ignore"):
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        spacing = np.spacing(np.maximum(np.abs(theirs), np.finfo(theirs.dtype).tiny))
        return np.where(same, 0.0, np.abs(ours - theirs) / spacing)


@pytest.mark.parametrize(("shape", "dtype"), groups(), ids=str)
def test_every_scalar_op_has_its_python_meaning(shape: str, dtype: DType) -> None:
    for op, rows, ours in run_ops(ops_of(shape, dtype), dtype):
        theirs = expected(op, dtype, rows)
        if dtype.is_float and op.name == "floordiv":
            continue  # compared below: the table's meaning rounds the quotient first
        if ours.dtype.kind == "f":
            distance = ulps(ours, theirs)
            worst = int(np.nanargmax(np.where(np.isnan(distance), np.inf, distance)))
            assert not (distance > 4).any() and not np.isnan(distance).any(), (
                f"{op.name}{rows[worst]} is {ours[worst]!r}, expected {theirs[worst]!r}"
            )
            zero = (ours == 0) & (theirs == 0)
            if op.name not in ("fmod", "mod", "sign", "fmax", "fmin", "max", "min", "pow"):
                wrong = zero & (np.signbit(ours) != np.signbit(theirs))
                assert not wrong.any(), f"{op.name}{rows[int(np.argmax(wrong))]}: sign of zero"
        else:
            wrong = ours != theirs
            worst = int(np.argmax(wrong))
            assert not wrong.any(), f"{op.name}{rows[worst]} is {ours[worst]!r}, expected {theirs[worst]!r}"


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "quern-cache"))


def compile_groups() -> list:
    """float64's unary functions take 12 s to assemble."""
    slow = pytest.mark.slow
    return [pytest.param(s, d, marks=[slow] if (s, d) == ("1", float64) else []) for s, d in groups()]


@pytest.mark.parametrize(("shape", "dtype"), compile_groups(), ids=str)
def test_every_scalar_op_compiles_for_a_gpu(shape: str, dtype: DType) -> None:
    info = compile_for(generate(ops_kernel(ops_of(shape, dtype), dtype, 4096)), Gpu(arch=90))
    assert info.cubin[:4] == b"\x7fELF"


def test_float_floor_division_is_pythons() -> None:
    for dtype in (float32, float64):
        [(_, rows, ours)] = [x for x in run_ops(ops_of("div", dtype), dtype) if x[0].name == "floordiv"]
        for (a, b), got in zip(rows, ours.tolist()):
            a, b = (np.array(v, dtype.name).item() for v in (a, b))
            if b == 0 or not math.isfinite(a) or not math.isfinite(b) or not math.isfinite(a / b):
                continue
            with np.errstate(over="ignore"):
                want = np.array(a // b, dtype.name).item()
            assert got == want or abs(got - want) <= abs(want) * np.finfo(dtype.name).eps, (a, b, got, want)


def test_every_row_of_the_table_has_a_template() -> None:
    assert set(TEMPLATES) == set(SCALAR)
    for op in SCALAR.values():
        for dtype in DOMAINS[op.domain]:
            assert template(op.name, dtype)
    with pytest.raises(InternalError, match=r"exp is not defined on int32 \(domain: float\)"):
        template("exp", int32)


CASTS = [d for d in D.ALL.values() if not d.is_complex and d.name != "bfloat16"]


@pytest.mark.parametrize("source", CASTS, ids=str)
def test_casts(source: DType) -> None:
    from quern.inductor.reference import convert

    values = [
        v
        for v in values_of(source)
        if not source.is_float or (math.isfinite(v) and abs(v) < 60000 and v >= 0) or v != v
    ]
    if source.is_float:
        values = [v for v in values if v == v and v < 120]
    data = np.array(values, source.name)
    n, p = len(data), Var("p0", len(data))
    load = L.load("x", as_index(p), source)
    outs = [Buffer(f"out{i}", d, n) for i, d in enumerate(CASTS)]
    stores = tuple(Store(b.name, as_index(p), L.cast(load, b.dtype)) for b in outs)
    made = [np.zeros(n, b.dtype.name) for b in outs]
    kernel = Kernel("casts", (p,), (), stores, (Buffer("x", source, n), *outs))
    interpret(generate(kernel))(data.ctypes.data, *(a.ctypes.data for a in made))
    for b, ours in zip(outs, made):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(ours, convert(data, b.dtype), err_msg=f"{source} to {b.dtype}")


def pointwise_kernel(value: Expr, n: int, name: str = "k") -> Kernel:
    return Kernel(
        name,
        (Var("p0", n),),
        (),
        (Store("out", as_index(Var("p0", n)), value),),
        (Buffer("x", float32, n), Buffer("out", value.dtype, n)),
    )


def test_literals_keep_their_type_and_value() -> None:
    x = L.load("x", as_index(Var("p0", 4)), float32)
    wide = L.cast(x, float64)
    for value, kind in ((0.1, float64), (1e300, float64), (-3, int64), (1 << 40, int64), (200, uint8)):
        base = L.cast(x, kind)
        positive = L.expr("gt", x, L.const(0.0, float32), dtype=bool_)
        for made in (
            L.expr("add", base, L.const(value, kind), dtype=kind),
            L.expr("where", positive, L.const(value, kind), base, dtype=kind),
            L.expr("max", base, L.const(value, kind), dtype=kind),
        ):
            data = np.array([1, 2, 0, 3], "f")
            out = np.zeros(4, kind.name)
            interpret(generate(pointwise_kernel(made, 4)))(data.ctypes.data, out.ctypes.data)
            v, b = np.array(value, kind.name), data.astype(kind.name)
            want = {"add": b + v, "where": np.where(data > 0, v, b), "max": np.maximum(b, v)}[made.op]
            np.testing.assert_array_equal(out, want, err_msg=f"{made.op} {value} {kind}")
    assert wide.dtype == float64


def test_masks_only_where_sizes_leave_a_rest() -> None:
    x = L.load("x", as_index(Var("p0", 4096)), float32)
    assert "mask" not in generate(pointwise_kernel(x, 4096)).text
    x = L.load("x", as_index(Var("p0", 4095)), float32)
    assert "x_mask = x < 4095" in generate(pointwise_kernel(x, 4095)).text


def test_wide_indices_only_when_needed() -> None:
    for n, wide in ((1 << 20, False), (1 << 31, True)):
        x = L.load("x", as_index(Var("p0", n)), float32)
        assert ("tl.int64" in generate(pointwise_kernel(x, n)).text) is wide


def test_names_that_would_clash_are_changed() -> None:
    p = Var("p0", 8)
    args = (Buffer("x", float32, 8), Buffer("tl", float32, 8), Buffer("sign_int", float32, 8))
    value = L.expr("add", L.load("x", as_index(p), float32), L.load("tl", as_index(p), float32), dtype=float32)
    source = generate(Kernel("sign_int", (p,), (), (Store("sign_int", as_index(p), value),), args))
    assert source.name == "sign_int"
    x, y, out = np.arange(8, dtype="f"), np.ones(8, "f"), np.zeros(8, "f")
    interpret(source)(*(a.ctypes.data for a in (x, y, out)))
    np.testing.assert_array_equal(out, x + y)


def test_a_row_under_a_condition_is_read_whole() -> None:
    p, r = Var("p0", 8), Var("r0", 4, True)
    at = as_index(p) * 4 + as_index(r)
    x = L.load("x", at, float32)
    prefix = L.expr("scan", x, dtype=float32, attr="sum")
    inside = L.expr("lt", L.index_value(as_index(p) + as_index(r)), L.const(5, int64), dtype=bool_)
    value = L.masked(inside, L.expr("sub", prefix, L.reduce("max", x), dtype=float32), L.const(0.0, float32))
    args = (Buffer("x", float32, 32), Buffer("out", float32, 32))
    given = np.random.default_rng(0).standard_normal((8, 4)).astype("f")
    expected = given.cumsum(1) - given.max(1, keepdims=True)
    expected[np.add.outer(np.arange(8), np.arange(4)) >= 5] = 0
    for options in (TritonOptions(), TritonOptions(persistent=False, row_block=2)):
        out = np.empty((8, 4), "f")
        source = generate(Kernel("m", (p,), (r,), (Store("out", at, value),), args), options)
        interpret(source)(given.ctypes.data, out.ctypes.data)
        np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_softmax_of_a_long_row_reads_it_twice() -> None:
    p, r = Var("p0", 8), Var("r0", 100000, True)
    where = as_index(p) * 100000 + as_index(r)
    x = L.load("x", where, float32)
    e = L.expr("exp", L.expr("sub", x, L.reduce("max", x), dtype=float32), dtype=float32)
    value = L.expr("div", e, L.reduce("sum", e), dtype=float32)
    args = (Buffer("x", float32, 800000), Buffer("out", float32, 800000))
    text = generate(Kernel("softmax", (p,), (r,), (Store("out", where, value),), args)).text
    assert text.count("tl.load(x_ptr") == 2 and text.count("for start in") == 2


def test_narrow_atomic_additions_are_refused() -> None:
    p = Var("p0", 8)
    store = Store("out", L.ZERO, L.load("x", as_index(p), int8), "add")
    kernel = Kernel("k", (p,), (), (store,), (Buffer("x", int8, 8), Buffer("out", int8, 1)))
    with pytest.raises(InternalError, match=r"GPUs have no atomic addition of int8 \(out in k\)"):
        generate(kernel)


def test_text_is_the_same_every_time() -> None:
    x = L.load("x", as_index(Var("p0", 100)), float32)
    value = L.expr("exp", L.expr("neg", x, dtype=float32), dtype=float32)
    assert generate(pointwise_kernel(value, 100)) == generate(pointwise_kernel(value, 100))


def row_kernel(rows: int, columns: int, across: bool = False) -> Kernel:
    """Sums of rows, or of columns."""
    p, r = Var("p0", rows), Var("r0", columns, True)
    where = as_index(r) * rows + as_index(p) if across else as_index(p) * columns + as_index(r)
    args = (Buffer("x", float32, rows * columns), Buffer("out", float32, rows))
    return Kernel("k", (p,), (r,), (Store("out", as_index(p), L.reduce("sum", L.load("x", where, float32))),), args)


@pytest.mark.parametrize(
    ("kernel", "options", "strategy", "reasons"),
    [
        (row_kernel(8, 1000), TritonOptions(), "persistent", ["no-product"]),
        (row_kernel(8, 100000), TritonOptions(), "looped", ["no-product", "long-rows"]),
        (row_kernel(64, 1000, across=True), TritonOptions(), "looped", ["no-product", "long-rows"]),
        (row_kernel(64, 100, across=True), TritonOptions(), "persistent", ["no-product"]),
        (row_kernel(8, 1000), TritonOptions(persistent=False), "looped", ["no-product", "long-rows"]),
        (row_kernel(8, sympy.Symbol("s0", integer=True)), TritonOptions(), "looped", ["no-product", "unknown-row"]),
        (
            pointwise_kernel(L.load("x", as_index(Var("p0", 100)), float32), 100),
            TritonOptions(),
            "pointwise",
            ["not-one-sum", "joins-nothing", "joins-nothing"],
        ),
    ],
)
def test_strategies_say_yes_or_why_not(
    kernel: Kernel, options: TritonOptions, strategy: str, reasons: list[str]
) -> None:
    choice = choose(STRATEGIES, Request(kernel, options))
    assert choice.strategy == strategy and [refusal.code for _, refusal in choice.refused] == reasons


def test_a_product_of_sizes_is_one_divisor() -> None:
    """Variables that are taken out of a flat position: what lies faster is a product of two sums."""
    s0, s1 = sympy.symbols("s0 s1", integer=True, positive=True)
    p = (Var("p0", 4), Var("p1", s0 + 1), Var("p2", s1 + 1))
    value = L.cast(L.load("x", as_index(p[0]), float32), float32)
    where = as_index(p[0]) * ((s0 + 1) * (s1 + 1)) + as_index(p[1]) * (s1 + 1) + as_index(p[2])
    args = (Buffer("x", float32, 4), Buffer("out", float32, 4 * (s0 + 1) * (s1 + 1)))
    kernel = Kernel("spread", p, (), (Store("out", where, value),), args, ("s0", "s1"))
    x, out = np.arange(4, dtype="f"), np.full(4 * 3 * 5, -1, "f")
    interpret(generate(kernel))(x.ctypes.data, out.ctypes.data, 2, 4)
    np.testing.assert_array_equal(out.reshape(4, 15), np.repeat(x, 15).reshape(4, 15))


def test_a_binary_is_known_by_what_its_kernel_does() -> None:
    def key(name: str, origin: str, n: int = 4096) -> str:
        kernel = pointwise_kernel(L.load("x", as_index(Var("p0", n)), float32), n)
        kernel = dataclasses.replace(kernel, name=name, origins=(Origin("a", origin),))
        return binary_key(generate(kernel), Gpu(arch=90), Variant()).digest

    assert key("kernel_0_exp", "exp") == key("kernel_7_other", "elsewhere")
    assert key("kernel_0_exp", "exp") != key("kernel_0_exp", "exp", 4095)
