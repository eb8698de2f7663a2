"""Accuracy of the math header in units in the last place, against 80-bit references, over the whole range of arguments.

`WORST` holds what dense sampling measured, rounded up; the slow test prints it anew (`pytest -m slow -s`).
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from quern.kernels.cpu.build import LIBRARY, build, compile_units
from quern.kernels.cpu.toolchain import Cpu, find_compiler, host_cpu, x86_cpu

Array = np.ndarray
Long = np.longdouble

#: function -> worst error in ulp (float, double)
WORST: dict[str, tuple[float, float]] = {
    "exp": (0.86, 0.88), "exp2": (0.80, 0.95), "expm1": (1.4, 1.9), "log": (0.85, 0.85), "log2": (0.95, 0.95),
    "log10": (0.95, 1.0), "log1p": (0.95, 0.95), "sqrt": (0.5, 0.5), "rsqrt": (1.5, 1.5), "sin": (1.7, 1.75),
    "cos": (1.75, 1.75), "tan": (0.9, 0.8), "asin": (0.55, 0.55), "acos": (1.4, 0.55), "atan": (1.9, 0.55),
    "sinh": (0.51, 2.0), "cosh": (0.51, 1.2), "tanh": (1.6, 1.6), "asinh": (0.51, 1.8), "acosh": (0.51, 2.4),
    "atanh": (0.51, 1.8), "erf": (1.0, 1.0), "sigmoid": (2.4, 2.4), "floor": (0, 0), "ceil": (0, 0), "trunc": (0, 0),
    "round": (0, 0),
}  # fmt: skip


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _erf(x: Array) -> Array:
    return np.array([math.erf(v) for v in x.astype(np.float64)]).astype(Long)


REFERENCE: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log2": np.log2, "log10": np.log10, "log1p": np.log1p,
    "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "erf": _erf, "sigmoid": _sigmoid, "floor": np.floor, "ceil": np.ceil,
    "trunc": np.trunc, "round": np.rint,
}  # fmt: skip


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
        text.append(
            f'extern "C" __attribute__((visibility("default"))) void pow_{ctype}(const {ctype}* x, const {ctype}* z, {ctype}* y, i64 n) {{'
            f"  vector_loop<{N}, 1, false>(0, n, [&](i64 i, auto k, auto) {{"
            f"    store(y + i, pow(load<{V}>(x + i, k), load<{V}>(z + i, k)), k); }}); }}"
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pow(library: ctypes.CDLL, dtype: type) -> None:
    x, y = points(dtype, 1 << 15, 1), points(dtype, 1 << 15, 2)
    g = np.random.default_rng(3)
    g.shuffle(y)
    x[1 << 14 :] = np.abs(x[1 << 14 :])
    y[1000:3000] = g.integers(-20, 20, 2000)
    special = np.array([0, -0.0, 1, -1, 2, -2, 0.5, -0.5, np.inf, -np.inf, np.nan, 3, -3], dtype)
    pairs = np.array(np.meshgrid(special, special)).reshape(2, -1)
    x[: pairs.shape[1]], y[: pairs.shape[1]] = pairs
    got = run(library, "pow", x, y)
    with np.errstate(all="ignore"):
        error = ulps(got, np.power(x.astype(Long), y.astype(Long)))
    i = int(np.argmax(error))
    assert error[i] <= 0.55, f"pow({x[i]!r}, {y[i]!r}) gave {got[i]!r}"


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
        errors = [
            worst(library, name, points(d, (1 << 17) if name == "erf" else 1 << 21, 9))
            for d in (np.float32, np.float64)
        ]
        print(f"{name:8s} {errors[0][0]:8.3f} {errors[1][0]:8.3f}")
        for (error, where), bound in zip(errors, WORST[name]):
            assert error <= bound, f"{where} (bound {bound})"
