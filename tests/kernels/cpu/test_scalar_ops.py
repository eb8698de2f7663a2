"""Every scalar op of the loop language in C++, as vectors and as scalars, against its Python meaning, special values first."""

from __future__ import annotations

import ctypes
import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from quern.inductor import loops as L
from quern.inductor.codegen.cpp import generate
from quern.inductor.codegen.cpp.emit import FUNCTIONS, OPERATORS
from quern.inductor.dtypes import DType, bool_, float32, float64, get, int64
from quern.inductor.kernel import Buffer, Kernel, Store
from quern.inductor.loops import Var, as_index
from quern.inductor.ops.scalar import SCALAR
from quern.inductor.reference import apply_scalar, numpy_dtype
from quern.kernels.cpu.build import build, load
from quern.kernels.cpu.library import call_by_hand
from quern.kernels.cpu.toolchain import host_cpu

FLOATS = ("float32", "float64")
INTS = ("int8", "uint8", "int16", "int32", "int64", "uint32")
DOMAINS = {
    "float": FLOATS,
    "int": INTS,
    "number": (*FLOATS, *INTS),
    "integral": ("bool", *INTS),
    "bool": ("bool",),
    "any": ("bool", *FLOATS, *INTS),
}
#: ulp allowed where the result is not exact; see test_vecmath.py for what is measured
ULP = {"sigmoid": 3, "lgamma": 5, "rsqrt": 2}
#: values that are exact in any correct implementation
EXACT = frozenset(
    "sqrt floor ceil trunc round isnan isinf signbit neg abs sign not add sub mul div mod fmod copysign nextafter max min fmax "
    "fmin and or xor shl shr eq ne lt le gt ge where".split()
)
SPACE = 8  # scalar kernels compute once per this many stored elements


@dataclass(frozen=True)
class Row:
    """One op at one dtype. scalar: the op is uniform along the vector variable, so scalar code computes it."""

    op: str
    dtype: DType
    scalar: bool

    @property
    def name(self) -> str:
        return f"{self.op}_{self.dtype.name}_{'scalar' if self.scalar else 'vector'}".replace("not_", "invert_")


ROWS = [
    Row(name, get(dtype), scalar)
    for name, row in SCALAR.items()
    for dtype in DOMAINS[row.domain]
    for scalar in (False, True)
    if not (scalar and dtype in ("int16", "uint32"))
]


def operand_dtypes(row: Row) -> list[DType]:
    arity = SCALAR[row.op].arity
    return [bool_, row.dtype, row.dtype] if row.op == "where" else [row.dtype] * arity


def result_dtype(row: Row) -> DType:
    return bool_ if SCALAR[row.op].result == "bool" else row.dtype


def specials(dtype: DType) -> np.ndarray:
    """The values that go wrong first, then ordinary ones."""
    g = np.random.default_rng(0)
    kind = numpy_dtype(dtype)
    if dtype.kind == "bool":
        return np.array([False, True])
    if dtype.is_int:
        info = np.iinfo(kind)
        edge = [0, 1, 2, 3, 7, info.max, info.max - 1, info.min, info.min + 1]
        edge += [-1, -2, -7] if info.min < 0 else [5, 9]
        return np.concatenate(
            [np.array(edge, kind), g.integers(max(info.min, -100), min(info.max, 100), 12).astype(kind)]
        )
    info = np.finfo(kind)
    edge = [
        0.0,
        1.0,
        0.5,
        2.0,
        3.0,
        1.5,
        2.5,
        np.inf,
        info.max,
        info.tiny,
        info.smallest_subnormal,
        info.eps,
        88.9,
        30001.0,
        1e-4,
    ]
    values = np.array(edge + [-e for e in edge] + [np.nan], kind)
    return np.concatenate([values, g.standard_normal(20).astype(kind), (g.uniform(-1, 1, 20) * 50).astype(kind)])


def operands(row: Row) -> list[np.ndarray]:
    """Every combination of special values, shortened for three operands."""
    parts = [specials(d) for d in operand_dtypes(row)]
    if len(parts) == 3:
        parts = [x if x.dtype == bool else x[::4] for x in parts]
    if row.op in ("shl", "shr"):  # the meaning wraps counts that are out of range; they have a test of their own
        parts[1] = np.arange(0, min(8 * row.dtype.size, 60), 3).astype(parts[1].dtype)
    if row.op == "pow" and row.dtype.is_int:
        parts[1] = parts[1][np.abs(parts[1].astype(float)) < 20]
    columns = list(zip(*itertools.product(*parts)))
    return [np.array(c, p.dtype) for c, p in zip(columns, parts)]


def kernel(row: Row, n: int) -> Kernel:
    p = (Var("p0", n), Var("p1", SPACE)) if row.scalar else (Var("p0", n),)
    i = as_index(p[0])
    args = [L.load(f"x{k}", i, d) for k, d in enumerate(operand_dtypes(row))]
    value = L.expr(row.op, *args, dtype=result_dtype(row))
    out = i * SPACE + as_index(p[1]) if row.scalar else i
    buffers = [Buffer(f"x{k}", d, n) for k, d in enumerate(operand_dtypes(row))]
    buffers.append(Buffer("out", value.dtype, n * (SPACE if row.scalar else 1)))
    return Kernel(row.name, p, (), (Store("out", out, value),), tuple(buffers))


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    kernels = [kernel(row, operands(row)[0].size) for row in ROWS]
    source = generate(kernels, vector_bytes=host_cpu().vector_bytes, units=4)
    return load(build(source.units, label="scalar ops"))


def run(library: ctypes.CDLL, row: Row, inputs: list[np.ndarray]) -> np.ndarray:
    out = np.zeros(inputs[0].size * (SPACE if row.scalar else 1), numpy_dtype(result_dtype(row)))
    arrays = [*inputs, out]
    call_by_hand(getattr(library, row.name), [a.ctypes.data for a in arrays])
    return out[::SPACE] if row.scalar else out


def meaning(row: Row, inputs: list[np.ndarray]) -> np.ndarray:
    """The op's Python meaning at each point: integers wrap, floats are computed in double and not rounded."""
    if row.dtype.kind in ("int", "uint") and row.op not in ("where", "sign", "pow", "shl"):
        return apply_scalar(row.op, *inputs)
    f = SCALAR[row.op].python
    points = [f(*(x.item() for x in point)) for point in zip(*inputs)]
    if row.dtype.is_int and result_dtype(row) != bool_:
        bits = 8 * row.dtype.size
        wrapped = [v & ((1 << bits) - 1) for v in points]
        return np.array(wrapped, f"uint{bits}").view(numpy_dtype(row.dtype))
    return np.array(points, bool if result_dtype(row) == bool_ else np.float64)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_op_means_what_the_table_says(library: ctypes.CDLL, row: Row) -> None:
    inputs = operands(row)
    got = run(library, row, inputs)
    if not row.dtype.is_float or result_dtype(row) == bool_:
        np.testing.assert_array_equal(got, meaning(row, inputs))
        return
    keep = np.ones(got.size, bool)
    if row.op == "floordiv":  # eager goes by the exact remainder, as NumPy does; the rounded quotient may be one more
        with np.errstate(all="ignore"):
            want = np.floor_divide(*inputs)
    elif row.op == "fma":
        with np.errstate(all="ignore"):
            want = np.array([exact_fma(*(x.item() for x in point)) for point in zip(*inputs)]).astype(got.dtype)
    elif row.op == "lgamma":  # Python's own is off by some ulp
        want = np.array([exact_lgamma(float(x)) for x in inputs[0]]).astype(got.dtype)
    elif row.op in (
        "add",
        "sub",
        "mul",
        "div",
        "sqrt",
        "fmod",
        "copysign",
        "nextafter",
        "floor",
        "ceil",
        "trunc",
        "round",
    ):
        want = apply_scalar(row.op, *inputs)
    else:
        with np.errstate(all="ignore"):
            want = meaning(row, inputs).astype(got.dtype)
    if row.op == "pow":
        keep = ~((inputs[0] == 0) & (inputs[1] < 0))  # C knows the sign of 0 ** -3; Python only raises
    same_floats(got[keep], want[keep], 0 if row.op in EXACT else ULP.get(row.op, 2), [x[keep] for x in inputs])


def exact_fma(a: float, b: float, c: float) -> float:
    """a * b + c rounded once."""
    if not all(map(math.isfinite, (a, b, c))):
        return a * b + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    try:
        return float(exact) if exact else a * b + c
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def exact_lgamma(x: float) -> float:
    """log |gamma(x)|; infinite at infinities and at the poles."""
    if math.isinf(x) or (x <= 0 and x == math.floor(x)):
        return math.inf
    try:
        return x if math.isnan(x) else float(mpmath.re(mpmath.loggamma(x)))
    except OverflowError:
        return math.inf


def same_floats(got: np.ndarray, want: np.ndarray, ulp: float, inputs: list[np.ndarray]) -> None:
    nan = np.isnan(got) & np.isnan(want)
    with np.errstate(all="ignore"):
        spacing = np.spacing(np.maximum(np.abs(np.where(np.isfinite(want), want, 1)), np.finfo(want.dtype).tiny))
        close = np.abs(got.astype(np.longdouble) - want.astype(np.longdouble)) <= (ulp + 0.5 * (ulp > 0)) * spacing
    edge = (ulp > 0) & np.isinf(got) & (np.abs(want) == np.finfo(want.dtype).max)
    good = nan | (got == want) | (close & np.isfinite(got) & np.isfinite(want)) | edge
    bad = np.flatnonzero(~good)
    points = [(tuple(x[i] for x in inputs), got[i], want[i]) for i in bad[:5]]
    assert bad.size == 0, f"{bad.size} of {got.size} differ; (inputs, got, wanted): {points}"


def test_every_op_has_a_text() -> None:
    assert not set(SCALAR) - {*OPERATORS, *FUNCTIONS}


@pytest.mark.parametrize("scalar", [False, True])
def test_floor_division_follows_the_exact_remainder(library: ctypes.CDLL, scalar: bool) -> None:
    """1 // 0.1 is 9, as in Python and eager: the quotient 10.0 was rounded up."""
    row = Row("floordiv", float64, scalar)
    n = operands(row)[0].size
    g = np.random.default_rng(1)
    a, b = g.integers(-50, 50, n).astype(float), np.round(g.uniform(-1, 1, n), 1)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(run(library, row, [a, b]), np.floor_divide(a, b))


@pytest.mark.parametrize("scalar", [False, True])
def test_shifts_by_the_width_or_more(library: ctypes.CDLL, scalar: bool) -> None:
    for name, beyond in (("shl", lambda a: 0), ("shr", lambda a: -1 if a < 0 else 0)):
        row = Row(name, int64, scalar)
        n = operands(row)[0].size
        a = np.random.default_rng(2).integers(-100, 100, n)
        b = np.resize(np.array([64, 65, 1000, -1]), n)
        np.testing.assert_array_equal(run(library, row, [a, b]), [beyond(x) for x in a])


def test_signs_of_zero_survive(library: ctypes.CDLL) -> None:
    odd = (
        "sin",
        "tan",
        "asin",
        "atan",
        "sinh",
        "tanh",
        "asinh",
        "atanh",
        "expm1",
        "log1p",
        "erf",
        "neg",
        "round",
        "trunc",
        "ceil",
    )
    for name, dtype, scalar in itertools.product(odd, (float32, float64), (False, True)):
        row = Row(name, dtype, scalar)
        n = operands(row)[0].size
        x = np.resize(np.array([-0.0, 0.0]), n).astype(numpy_dtype(dtype))
        want = -x if name == "neg" else x
        np.testing.assert_array_equal(np.signbit(run(library, row, [x])), np.signbit(want), err_msg=row.name)


def test_meaning_helper_rejects_a_wrong_result() -> None:
    """The comparison used above does fail where it should."""
    one = np.ones(3, np.float32)
    with pytest.raises(AssertionError, match="1 of 3 differ"):
        same_floats(one, np.array([1, 1 + 4 * 2**-23, 1], np.float32), 2, [one])
    with pytest.raises(AssertionError):
        same_floats(np.array([math.nan]), np.array([1.0]), 2, [np.array([1.0])])
