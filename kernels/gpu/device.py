"""Device functions that generated Triton kernels call. Read as text, never imported.

`library.helper_source` copies the functions a kernel uses into its module, so that a kernel's text is complete:
it can be read, hashed, edited and run by itself.
"""
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

# ----------------------------------------------------------------------------- joining two values and their positions


@triton.jit
def max_first(a, i, b, j):
    # the larger value, NaN above all, the smaller position among equals
    a_nan = a != a
    b_nan = b != b
    same = (a == b) | (a_nan & b_nan)
    left = (a > b) & ~b_nan | a_nan & ~b_nan | same & (i < j)
    return tl.where(left, a, b), tl.where(left, i, j)


@triton.jit
def min_first(a, i, b, j):
    a_nan = a != a
    b_nan = b != b
    same = (a == b) | (a_nan & b_nan)
    left = (a < b) & ~b_nan | a_nan & ~b_nan | same & (i < j)
    return tl.where(left, a, b), tl.where(left, i, j)


@triton.jit
def streaming_softmax(top, total, value):
    # the maximum so far, and the sum of exp(v - maximum) so far, after one more value.
    # equal infinities give 1, not NaN: exp(top - maximum of the row) sets such a lane to 0, or to NaN as in eager
    new_top = tl.maximum(top, value, propagate_nan=tl.PropagateNan.ALL)
    keep = tl.where(top == new_top, 1.0, libdevice.exp(top - new_top))  # noqa: F821
    more = tl.where(value == new_top, 1.0, libdevice.exp(value - new_top))  # noqa: F821
    return new_top, total * keep + more


# ----------------------------------------------------------------------------- scalar ops with Python's meaning


@triton.jit
def sign_float(x):
    return tl.where(x != x, x, (x > 0).to(x.dtype) - (x < 0).to(x.dtype))


@triton.jit
def sign_int(x):
    return (x > 0).to(x.dtype) - (x < 0).to(x.dtype)


@triton.jit
def floordiv_int(a, b):
    # Triton divides towards zero; step down where the exact quotient lies below
    quotient = a // b
    rest = a % b
    return tl.where((rest != 0) & ((rest < 0) != (b < 0)), quotient - 1, quotient)


@triton.jit
def mod_int(a, b):
    rest = a % b
    return tl.where((rest != 0) & ((rest < 0) != (b < 0)), rest + b, rest)


@triton.jit
def mod_float(a, b):
    rest = libdevice.fmod(a, b)  # noqa: F821 - imported by the kernel's module
    return tl.where((rest != 0) & ((rest < 0) != (b < 0)), rest + b, rest)


@triton.jit
def floordiv_float(a, b):
    # Python's: from the exact remainder, so that 1.0 // 0.1 is 9.0; the quotient itself where it is not finite
    rest = libdevice.fmod(a, b)  # noqa: F821
    quotient = libdevice.div_rn(a - rest, b)  # noqa: F821
    quotient = tl.where((rest != 0) & ((rest < 0) != (b < 0)), quotient - 1, quotient)
    whole = tl.floor(quotient)
    whole = tl.where(quotient - whole > 0.5, whole + 1, whole)
    exact = libdevice.div_rn(a, b)  # noqa: F821
    whole = tl.where(quotient == 0, libdevice.copysign(quotient, exact), whole)  # noqa: F821
    return tl.where(b == 0, exact, whole)


@triton.jit
def pow_int(a, b):
    # square and multiply; wraps around. Negative exponents give 1/a rounded to zero
    one = tl.full([], 1, a.dtype)
    result = tl.where(b < 0, tl.where(a == 1, one, one - one), one)
    result = tl.where((b < 0) & (a == -1), one - 2 * (b & 1), result)
    factor = tl.where(b < 0, one, a)
    exponent = tl.where(b < 0, one - one, b)
    for _ in range(a.dtype.primitive_bitwidth):
        result = tl.where((exponent & 1) != 0, result * factor, result)
        factor = factor * factor
        exponent = exponent >> 1
    return result


@triton.jit
def pow_uint(a, b):
    one = tl.full([], 1, a.dtype)
    result = one + (a ^ a)
    factor = a
    exponent = b
    for _ in range(a.dtype.primitive_bitwidth):
        result = tl.where((exponent & 1) != 0, result * factor, result)
        factor = factor * factor
        exponent = exponent >> 1
    return result


@triton.jit
def shift_left(a, b):
    # shifting by the width or more gives 0
    inside = (b >= 0) & (b < a.dtype.primitive_bitwidth)
    return tl.where(inside, a << tl.where(inside, b, b ^ b), a ^ a)


@triton.jit
def shift_right_int(a, b):
    # shifting by the width or more leaves only the sign
    last = tl.full([], a.dtype.primitive_bitwidth - 1, a.dtype)
    inside = (b >= 0) & (b < a.dtype.primitive_bitwidth)
    return a >> tl.where(inside, b, last)


@triton.jit
def shift_right_uint(a, b):
    inside = b < a.dtype.primitive_bitwidth
    return tl.where(inside, a >> tl.where(inside, b, b ^ b), a ^ a)
