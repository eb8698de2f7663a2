"""Numbers inside of loops that become one op of the graph: complex numbers, rounding, bits, functions of `math` and `cmath`."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from numpy_compiled import compiled, some
from test_numpy_loops import both, loops_of


def looped(expression, step="x += 0.25"):
    """A loop that evaluates an expression of the array x, its element v, the round i, and the number k."""
    scope: dict = {"np": np, "math": math, "cmath": cmath}
    text = f"def program(x, k):\n    for i in range(15):\n        v = x[i % len(x)]\n        out = {expression}\n        {step}\n"
    exec(f"{text}    return out\n", scope)
    return scope["program"]


def rolled(program, *calls):
    fast = compiled(program, "inductor")
    both(program, fast, calls[0])
    assert loops_of(fast) == 1
    for arguments in calls:
        both(program, fast, arguments)


REAL = np.array([0.3, -1.7, 2.5, 3.5, -0.5, 12.345, 0.05, -7.25])
COMPLEX = REAL + 1j * REAL[::-1]

OF_COMPLEX = [f"np.{name}({arg})" for name in "exp log sqrt sin cos tan sinh cosh tanh angle".split() for arg in "xv"]
OF_COMPLEX += [
    f"{a} ** {b}" for a in "xv" for b in ("2", "3", "-1", "-2", "7", "0", "1", "0.5", "1.5", "1j", "k", "i", "x", "v")
]
OF_COMPLEX += [f"np.power({a}, {b})" for a in "xv" for b in ("2", "5", "-3", "2 + 1j", "k")]
OF_COMPLEX += [f"complex(v) {op} {b}" for op in ("+", "-", "*", "/", "==", "!=") for b in ("complex(v, k)", "2.0", "(i + 1)")
               if (op, b) != ("+", "complex(v, k)")]  # fmt: skip
OF_COMPLEX = [e.replace("complex(v, k)", "complex(k, i)") for e in OF_COMPLEX]
OF_COMPLEX += ["complex(v) ** 2", "complex(v) ** i", "complex(v) ** 0", "-complex(v)", "+complex(v)", "complex(i, k) * v",
               "complex(k)", "abs(complex(v))"]  # fmt: skip
OF_COMPLEX += [f"cmath.{name}(complex(v))" for name in "exp sqrt log sin cos sinh cosh phase".split()]
OF_COMPLEX += [
    f"(complex(v) * 0 + {b}) ** {n}"
    for b in ("0j", "complex(1, -0.0)", "complex(-0.0, -2)")
    for n in (0, 1, 2, 3, 4, 100)
]
OF_COMPLEX += ["cmath.exp(1j * k)", "cmath.exp(-2j * math.pi * i / 15)"]


@pytest.mark.parametrize("expression", some(OF_COMPLEX))
def test_complex_numbers(expression):
    rolled(looped(expression), (COMPLEX, 3.0), (COMPLEX, 1.5), (COMPLEX[:5], 0.5))


@pytest.mark.parametrize(
    "expression", some(["np.exp(x)", "x ** 3", "v ** -2", "np.sqrt(v)", "v ** 1.5", "np.angle(x)"])
)
def test_complex_numbers_in_single_precision(expression):
    program = looped(expression)
    x = COMPLEX.astype(np.complex64)
    fast = compiled(program, "inductor")
    found, expected = fast(x.copy(), 2.0), program(x.copy(), 2.0)
    assert found.dtype == expected.dtype and loops_of(fast) == 1
    np.testing.assert_allclose(found, expected, 1e-5)


@pytest.mark.parametrize("expression", some(["np.exp(x)", "np.log(x)", "np.sqrt(x)", "np.sin(x)", "np.tanh(x)", "x ** 2", "x ** 3", "x ** -1",
                                        "x ** 0.5", "x ** k", "np.power(x, 0.5)", "v ** 0.5", "v ** 0", "v ** 1j",
                                        "v ** 1", "v ** 2", "v ** 3", "np.power(x, 2)", "np.power(x, 1)", "x ** 1", "np.power(x, 3)", "np.angle(x)"]))  # fmt: skip
def test_complex_infinities_and_zeros(expression):
    parts = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan]
    x = np.array([complex(a, b) for a in parts for b in parts])
    program = looped(
        f"np.array([{expression}, {expression}])" if "v" in expression else expression, "x = np.roll(x, 1)"
    )
    with np.errstate(all="ignore"):
        for k in (2.0, 0.5, -3.0):
            both(program, compiled(program, "inductor", fullgraph=False), (x, k))


@pytest.mark.parametrize("expression", some(["complex(v) ** 2", "complex(v) ** 120", "complex(v) ** -1", "complex(v) / (i - 5)", "cmath.log(i - 3)",
                                        "cmath.exp(complex(v) * 100)", "complex(v, 1j)", "int(complex(v))", "cmath.sqrt(v * 1e300)"]))  # fmt: skip
def test_what_python_refuses(expression):
    program = looped(expression, "x *= 1e10")
    fast = compiled(program, "inductor", fullgraph=False)
    for _ in range(2):
        both(program, fast, (COMPLEX, 1.0))


ROUNDED = """
np.round(x)
np.round(x, 1)
np.around(x, 2)
np.round(x * 1000, -2)
np.round(v, 2)
np.round(v * k)
np.round(k, 1)
np.round(i)
np.round(i, 3)
x.round(1)
x.round(decimals=3)
round(v, 2)
round(v)
round(k)
round(v * k)
math.floor(v)
math.ceil(v)
math.trunc(v)
math.floor(k * i)
math.ceil(i)
math.atan2(v, k)
math.fmod(v, k)
math.pow(v * v, k)
math.copysign(k, v)
math.isnan(v)
math.isinf(k)
math.isfinite(v)
~i
~int(v)
~(v > 0)
~(x > 0)
-i
+i
""".strip().splitlines()


@pytest.mark.parametrize("expression", some(ROUNDED))
def test_rounding_and_bits(expression):
    rolled(looped(expression), (REAL, 1.75), (REAL * 3, -2.5), (REAL[:5], 0.5))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "bool", "float32"])
@pytest.mark.parametrize(
    "expression",
    some(["~v", "~x", "np.round(x)", "np.round(v, 1)", "np.round(x, -1)", "round(v)", "math.floor(v)", "x.round(2)"]),
)
def test_rounding_and_bits_of_other_types(expression, dtype):
    program = looped(expression, "x[i % len(x)] = i % 2")
    both(program, compiled(program, "inductor", fullgraph=False), ((np.abs(REAL) * 3).astype(dtype), 2))


def test_rounding_is_exact():
    r = np.random.default_rng(0)
    x = r.normal(size=4000) * 10.0 ** r.integers(-6, 6, 4000)
    for places in (0, 1, 2, 3, 8, -1, -3):
        for dtype in (np.float64, np.float32):
            program = looped(f"np.round(x, {places})", "x = x * 1.5")
            fast = compiled(program, "inductor")
            given = x.astype(dtype)
            assert fast(given.copy(), 1.0).tobytes() == program(given.copy(), 1.0).tobytes() and loops_of(fast) == 1


@pytest.mark.parametrize("expression", some(["round(v)", "math.floor(v)", "math.ceil(v)", "math.fmod(v, 0.0)", "math.pow(v, 0.5)", "math.isnan(v)",
                                        "math.isfinite(v)", "round(v, 1)", "math.copysign(1.0, v)"]))  # fmt: skip
def test_special_numbers(expression):
    program = looped(expression, "x = np.roll(x, 1)")
    x = np.array([1.5, np.nan, np.inf, -np.inf, -0.0, 1e300])
    for k in range(len(x)):
        both(program, compiled(program, "inductor", fullgraph=False), (x[k : k + 1], 1.0))
