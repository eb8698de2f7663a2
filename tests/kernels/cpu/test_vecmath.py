"""Accuracy of the math header in units in the last place, against 80-bit references, over the whole range of arguments.

`WORST` holds what dense sampling measured, rounded up; the slow test prints it anew (`pytest -m slow -s`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import minimax
import numpy as np
import pytest
from quern.kernels.cpu.build import HEADERS, LIBRARY, build, compile_units
from quern.kernels.cpu.toolchain import Cpu, find_compiler, host_cpu, x86_cpu

Array = np.ndarray
Long = np.longdouble

#: function -> worst error in ulp (float, double)
WORST: dict[str, tuple[float, float]] = {
    "exp": (0.86, 0.88), "exp2": (0.80, 0.95), "expm1": (1.4, 1.9), "log": (0.85, 0.85), "log2": (0.95, 0.95),
    "log10": (0.95, 1.0), "log1p": (0.95, 0.95), "sqrt": (0.5, 0.5), "rsqrt": (1.5, 1.5), "sin": (1.7, 1.75),
    "cos": (1.75, 1.75), "tan": (0.9, 1.2), "asin": (0.55, 1.6), "acos": (1.4, 1.1), "atan": (1.4, 1.5),
    "sinh": (0.51, 1.8), "cosh": (0.51, 1.5), "tanh": (1.6, 1.6), "asinh": (0.51, 1.6), "acosh": (0.51, 1.9),
    "atanh": (0.51, 1.1), "erf": (1.1, 1.2), "erfc": (0.51, 2.0), "sigmoid": (2.4, 2.4), "floor": (0, 0), "ceil": (0, 0), "trunc": (0, 0),
    "round": (0, 0),
}  # fmt: skip


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _erf_series(x: Array) -> Array:
    """2/sqrt(pi) exp(-x^2) (x + 2 x^3 / 3 + 4 x^5 / 15 + ...): no term cancels another."""
    term, total = x, x
    for k in range(1, 70):
        term = term * (2 * x * x / (2 * k + 1))
        total = total + term
    return total * _exp_minus_square(x) * (2 / np.sqrt(np.arctan(Long(1)) * 4))


def _exp_minus_square(x: Array) -> Array:
    """exp(-x^2), the square in two parts: the first exact in 64 bits."""
    high = np.round(x * 1024) / 1024
    return np.exp(-high * high) * np.exp(-(x - high) * (x + high))


def _erfc_fraction(x: Array) -> Array:
    """exp(-x^2) / sqrt(pi) / (x + (1/2) / (x + 1 / (x + (3/2) / (x + ...)))), for x > 2."""
    y = x
    for k in range(160, 0, -1):
        y = x + Long(k) / 2 / y
    return _exp_minus_square(x) / (y * np.sqrt(np.arctan(Long(1)) * 4))


def _erf(x: Array) -> Array:
    a = np.minimum(np.abs(x), 12)
    return np.copysign(np.where(a < 2, _erf_series(np.minimum(a, 2)), 1 - _erfc_fraction(np.maximum(a, 2))), x)


def _erfc(x: Array) -> Array:
    a = np.clip(x, -12, 120)
    return np.where(a < 2, 1 - _erf(a), _erfc_fraction(np.maximum(a, 2)))


REFERENCE: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log2": np.log2, "log10": np.log10, "log1p": np.log1p,
    "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "erf": _erf, "erfc": _erfc, "sigmoid": _sigmoid, "floor": np.floor, "ceil": np.ceil,
    "trunc": np.trunc, "round": np.rint,
}  # fmt: skip


#: function of two -> (reference, worst error in ulp (float, double)); where it is 0, special values are libm's too
BINARY: dict[str, tuple[Callable[[Array, Array], Array], tuple[float, float]]] = {
    "pow": (lambda x, y: np.power(x.astype(Long), y.astype(Long)), (0.55, 1.1)),
    "atan2": (lambda x, y: np.arctan2(x.astype(Long), y.astype(Long)), (1.6, 1.6)),
    "hypot": (lambda x, y: np.hypot(x.astype(Long), y.astype(Long)), (0.51, 1.3)),
    "fmod": (np.fmod, (0, 0)), "mod": (lambda x, y: _python_mod(x, y), (0, 0)), "floordiv": (lambda x, y: _floordiv(x, y), (0, 0)),
    "nextafter": (np.nextafter, (0, 0)),
}  # fmt: skip


def _python_mod(x: Array, y: Array) -> Array:
    r = np.fmod(x, y)
    return np.where((r != 0) & ((r < 0) != (y < 0)), r + y, r)


def _floordiv(x: Array, y: Array) -> Array:
    """One by one, as eager's kernels do it."""
    r = np.fmod(x, y)
    q = (x - r) / y
    q = np.where((r != 0) & ((r < 0) != (y < 0)), q - 1, q)
    whole = np.floor(q)
    whole = np.where(q - whole > 0.5, whole + 1, whole)
    return np.where(y == 0, x / y, np.where(q == 0, np.copysign(np.zeros_like(x), x / y), whole))


def unit(vector_bytes: int) -> str:
    """All functions over arrays, at one register width."""
    text = ['#include "reduce.h"', '#include "parallel.h"', "namespace quern {"]
    for ctype, size in (("f32", 4), ("f64", 8)):
        V, N = f"{ctype}x{vector_bytes // size}", vector_bytes // size
        for name in REFERENCE:
            text.append(
                f'extern "C" __attribute__((visibility("default"))) void {name}_{ctype}(const {ctype}* x, {ctype}* y, i64 n) {{'
                f"  vector_loop<{N}, 1, false>(0, n, [&](i64 i, auto k, auto) {{ store(y + i, {name}(load<{V}>(x + i, k)), k); }}); }}"
            )
        for name in BINARY:
            text.append(
                f'extern "C" __attribute__((visibility("default"))) void {name}_{ctype}(const {ctype}* x, const {ctype}* z, {ctype}* y, i64 n) {{'
                f"  vector_loop<{N}, 1, false>(0, n, [&](i64 i, auto k, auto) {{"
                f"    store(y + i, {name}(load<{V}>(x + i, k), load<{V}>(z + i, k)), k); }}); }}"
            )
    return "\n".join([*text, "}"])


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return ctypes.CDLL(str(build([unit(host_cpu().vector_bytes)], label="vecmath")))


def run(library: ctypes.CDLL, name: str, *inputs: Array) -> Array:
    out = np.empty_like(inputs[0])
    suffix = "f32" if out.dtype == np.float32 else "f64"
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*inputs, out)]
    getattr(library, f"{name}_{suffix}")(*pointers, ctypes.c_int64(out.size))
    return out


def points(dtype: type, n: int, seed: int = 0) -> Array:
    """Every exponent and sign alike, ordinary numbers, and the values at which something changes."""
    g = np.random.default_rng(seed)
    words = np.uint32 if dtype is np.float32 else np.uint64
    anything = g.integers(0, np.iinfo(words).max, n // 2, dtype=words, endpoint=True).view(dtype)
    normal = (g.standard_normal(n // 4) * 3).astype(dtype)
    scales = (g.uniform(-1, 1, n // 4) * 10.0 ** g.uniform(-6, 3, n // 4)).astype(dtype)
    info = np.finfo(dtype)
    edges = [
        0,
        1,
        0.5,
        2,
        np.inf,
        info.max,
        info.tiny,
        info.smallest_subnormal,
        0.55,
        0.92,
        3.93,
        88.7,
        88.73,
        103.9,
        104.0,
    ]
    edges += [
        709.78,
        709.79,
        745.1,
        745.2,
        708.4,
        29999.9,
        30000.1,
        1e8,
        1.1e8,
        1e9,
        1e22,
        1e300 if dtype is np.float64 else 1e30,
    ]
    special = np.array([*edges, *(-e for e in edges), np.nan], dtype)
    return np.concatenate([special, anything, normal, scales])


def ulps(got: Array, want: Array) -> Array:
    """Distance in units of the last place; infinite where only one is NaN, infinite, or a zero of the other sign."""
    with np.errstate(all="ignore"):
        rounded = want.astype(got.dtype)
        spacing = np.spacing(np.abs(np.where(np.isfinite(rounded), rounded, 1))).astype(Long)
        error = np.abs(got.astype(Long) - want) / spacing
    error = np.where(np.isinf(got) | np.isinf(rounded), np.where(got == rounded, 0, np.inf), error)
    rim = np.isinf(got) & (np.abs(rounded) == np.finfo(got.dtype).max) & (np.sign(got) == np.sign(rounded))
    error = np.where(rim, 1, error)
    error = np.where(np.isnan(got) & np.isnan(rounded), 0, error)
    error = np.where(np.isnan(got) != np.isnan(rounded), np.inf, error)
    return np.where((rounded == 0) & (got == 0) & (np.signbit(got) != np.signbit(rounded)), np.inf, error).astype(
        np.float64
    )


def worst(library: ctypes.CDLL, name: str, x: Array) -> tuple[float, str]:
    got = run(library, name, x)
    with np.errstate(all="ignore"):
        error = ulps(got, REFERENCE[name](x.astype(Long)))
    i = int(np.argmax(error))
    return float(error[i]), f"{name}({x[i]!r}) gave {got[i]!r}, {error[i]:.3g} ulp off"


def check(library: ctypes.CDLL, name: str, dtype: type, n: int) -> None:
    bound = WORST[name][0 if dtype is np.float32 else 1]
    error, where = worst(library, name, points(dtype, n))
    assert error <= bound, where


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(REFERENCE))
def test_accuracy(library: ctypes.CDLL, name: str, dtype: type) -> None:
    check(library, name, dtype, 1 << 15)


def pairs(dtype: type, n: int) -> tuple[Array, Array]:
    """Anything with anything, numbers of like size, whole numbers, ratios far apart; all special values with each other first."""
    x, y = points(dtype, n, 1), points(dtype, n, 2)
    g = np.random.default_rng(3)
    g.shuffle(y)
    x[n // 2 :] = np.abs(x[n // 2 :])
    y[n // 32 : n // 16] = g.integers(-20, 20, n // 32)
    x[n // 16 : n // 8] = g.integers(-(1 << 20), 1 << 20, n // 16)
    y[n // 16 : n // 8] = g.integers(1, 1000, n // 16) / dtype(8)
    x[n // 8 : n // 4] = y[n // 8 : n // 4] * g.uniform(-3, 3, n // 8).astype(dtype)
    info = np.finfo(dtype)
    edges = [0, 1, 2, 0.5, 3, np.inf, info.max, info.tiny, info.smallest_subnormal, info.eps, 1 + info.eps, 1e9, 1 / 3]
    special = np.array([*edges, *(-e for e in edges), np.nan], dtype)
    grid = np.array(np.meshgrid(special, special)).reshape(2, -1)
    return np.concatenate([grid[0], x]), np.concatenate([grid[1], y])


def worst_of_two(library: ctypes.CDLL, name: str, x: Array, y: Array) -> tuple[float, str]:
    got = run(library, name, x, y)
    with np.errstate(all="ignore"):
        error = ulps(got, BINARY[name][0](x, y))
    i = int(np.argmax(error))
    return float(error[i]), f"{name}({x[i]!r}, {y[i]!r}) gave {got[i]!r}, {error[i]:.3g} ulp off"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(BINARY))
def test_functions_of_two(library: ctypes.CDLL, name: str, dtype: type) -> None:
    with np.errstate(all="ignore"):
        x, y = pairs(dtype, 1 << 15)
    error, where = worst_of_two(library, name, x, y)
    assert error <= BINARY[name][1][0 if dtype is np.float32 else 1], where


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_large_angles_are_reduced_exactly(library: ctypes.CDLL, name: str) -> None:
    for dtype in (np.float32, np.float64):
        k = np.arange(1, 3000)
        near = np.concatenate(
            [(k * np.pi / 2).astype(dtype), (k * 1e5 * np.pi).astype(dtype), np.geomspace(1, 1e30, 3000).astype(dtype)]
        )
        bound = WORST[name][0 if dtype is np.float32 else 1]
        error, where = worst(library, name, near)
        assert error <= bound, where


def test_no_lane_disturbs_another(library: ctypes.CDLL) -> None:
    """A lane that takes the slow path, or is NaN, leaves its neighbours bit for bit as they were."""
    x = np.linspace(0.1, 3, 64, dtype=np.float32)
    for name in REFERENCE:
        alone = run(library, name, x)
        for value in (1e30, np.nan, np.inf, -1e-40):
            mixed = x.copy()
            mixed[::5] = value
            np.testing.assert_array_equal(
                np.delete(run(library, name, mixed), np.s_[::5]), np.delete(alone, np.s_[::5]), err_msg=name
            )


def test_ulps_sees_wrong_results() -> None:
    one = np.array([1.0, 0.0, np.inf, np.nan])
    got = np.array([1.0 + 2**-51, -0.0, 1e308, 1.0])
    assert ulps(got, one.astype(Long)).tolist() == [2.0, np.inf, np.inf, np.inf]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["x86-64-v4", "x86-64-v3", "x86-64"])
def test_accuracy_densely_at_every_width(level: str, tmp_path: Path) -> None:
    features = {
        "x86-64-v4": "avx512f avx512bw avx512cd avx512dq avx512vl avx2 fma bmi1 bmi2 f16c movbe",
        "x86-64-v3": "avx2 fma bmi1 bmi2 f16c movbe",
    }
    cpu: Cpu = x86_cpu(set(features.get(level, "").split()))
    if cpu.vector_bytes > host_cpu().vector_bytes:
        pytest.skip(f"this CPU has no {level}")
    compile_units([unit(cpu.vector_bytes)], tmp_path, find_compiler(), cpu)
    library = ctypes.CDLL(str(tmp_path / LIBRARY))
    for name in REFERENCE:
        errors = [worst(library, name, points(d, 1 << 21, 9)) for d in (np.float32, np.float64)]
        print(f"{name:8s} {errors[0][0]:8.3f} {errors[1][0]:8.3f}")
        for (error, where), bound in zip(errors, WORST[name]):
            assert error <= bound, f"{where} (bound {bound})"
    for name, (_, bounds) in BINARY.items():
        with np.errstate(all="ignore"):
            errors = [worst_of_two(library, name, *pairs(d, 1 << 20)) for d in (np.float32, np.float64)]
        print(f"{name:8s} {errors[0][0]:8.3f} {errors[1][0]:8.3f}")
        for (error, where), bound in zip(errors, bounds):
            assert error <= bound, f"{where} (bound {bound})"


@pytest.mark.slow
@pytest.mark.parametrize("name", list(minimax.FITS))
def test_coefficients_are_those_that_the_script_makes(name: str) -> None:
    fit = minimax.FITS[name]
    text = "".join((HEADERS / f"{h}.h").read_text() for h in ("angles", "error_function", "hyperbolic", "power"))
    for c in minimax.fit(fit)[0]:
        assert (repr(float(c)) if fit.kind is np.float64 else f"{np.float32(float(c))!s}f") in text
