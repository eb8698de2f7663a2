"""Division, rounding, shifts and powers: where eager does more than one scalar op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..dtypes import DType, bool_, compute_dtype
from ..graph import Node, TensorMeta
from ..loops import Expr, Fn, Index, expr
from .common import args, new_meta, number, row, scalar_value
from .dims import is_one
from .elementwise import check_dtype, elementwise_meta, in_dtype, operands
from .facts import ALL_ERRORS, QUIET, Rounding
from .literals import NUMBER
from .promotion import pointwise_meta, result_dtype
from .requires import divisor

# --------------------------------------------------------------------------- division and rounding


def _meta_floor_divide(x: TensorMeta, y: TensorMeta) -> TensorMeta:
    dtype = result_dtype(x, y)
    check_dtype("floor_divide", dtype, "real-no-bool")
    return pointwise_meta(x, y, dtype=dtype)


def _lower_trunc_divide(node: Node, *fns: Fn) -> Fn:
    dtype = node.dtype
    compute = compute_dtype(dtype)

    def fn(index: tuple[Index, ...]) -> Expr:
        a, b = operands(node, fns, index, dtype)
        if dtype.is_float:
            return expr("trunc", in_dtype(expr("div", a, b, dtype=compute), _step_dtype(node)), dtype=compute)
        # a - fmod(a, b) is an exact multiple of b, so flooring it truncates
        return expr("floordiv", expr("sub", a, expr("fmod", a, b, dtype=compute), dtype=compute), b, dtype=compute)

    return fn


def _step_dtype(node: Node) -> DType:
    """The dtype of a division's steps: eager's kernels round halves after each, but for divisors of one element."""
    single = all(is_one(s) for s in args(node)[1].shape)
    return compute_dtype(node.dtype) if single else node.dtype


def _float_floor_divide(a: Expr, b: Expr, dtype: DType) -> Expr:
    """The whole number of times b goes into a, found from the exact remainder as eager (and Python) do."""

    def op(name: str, *values: Expr) -> Expr:
        return in_dtype(expr(name, *values, dtype=a.dtype), dtype)

    zero, one = number(0, a.dtype), number(1, a.dtype)
    plain, rest = op("div", a, b), op("fmod", a, b)
    near = op("div", op("sub", a, rest), b)
    signs_differ = expr("ne", _less_than(b, zero), _less_than(rest, zero), dtype=bool_)
    behind = expr("and", expr("ne", rest, zero, dtype=bool_), signs_differ, dtype=bool_)
    near = op("where", behind, op("sub", near, one), near)
    floor = op("floor", near)
    floor = op("where", _less_than(number(0.5, a.dtype), op("sub", near, floor)), op("add", floor, one), floor)
    floor = op("where", expr("eq", near, zero, dtype=bool_), op("copysign", zero, plain), floor)
    return op("where", expr("eq", b, zero, dtype=bool_), plain, floor)


def _less_than(a: Expr, b: Expr) -> Expr:
    return expr("lt", a, b, dtype=bool_)


def _lower_floor_divide(node: Node, *fns: Fn) -> Fn:
    dtype = node.dtype

    def fn(index: tuple[Index, ...]) -> Expr:
        a, b = operands(node, fns, index, dtype)
        return _float_floor_divide(a, b, _step_dtype(node)) if dtype.is_float else expr("floordiv", a, b, dtype=dtype)

    return fn


row("floor_divide", "pointwise", _meta_floor_divide, lower=_lower_floor_divide, requires=divisor,
    errors=ALL_ERRORS, rounding=Rounding(numbers=(0,), whole=(1,)))  # fmt: skip
row("trunc_divide", "pointwise", elementwise_meta("trunc_divide", "same", "real-no-bool"), lower=_lower_trunc_divide,
    requires=divisor, errors=ALL_ERRORS, rounding=Rounding(numbers=(0,), whole=(1,)))  # fmt: skip


def _meta_round(x: TensorMeta, *, decimals: int) -> TensorMeta:
    check_dtype("round", x.dtype, "real-no-bool")
    if decimals and not x.dtype.is_float:
        raise TypeError(f"round with decimals is not defined for {x.dtype}")
    return pointwise_meta(x, dtype=x.dtype)


def _lower_round(node: Node, fn: Fn) -> Fn:
    if not node.dtype.is_float:
        return fn
    dtype = compute_dtype(node.dtype)
    decimals = node.attrs["decimals"]
    factor = number(10.0 ** abs(decimals), dtype)

    def scaled(index: tuple[Index, ...]) -> Expr:
        x = fn(index)
        if not decimals:
            return expr("round", x, dtype=dtype)
        there, back = ("mul", "div") if decimals > 0 else ("div", "mul")
        return expr(back, expr("round", expr(there, x, factor, dtype=dtype), dtype=dtype), factor, dtype=dtype)

    return scaled


row("round", "pointwise", _meta_round, attrs={"decimals": 0}, lower=_lower_round, errors=ALL_ERRORS)


# --------------------------------------------------------------------------- shifts, powers


def _lower_shift(op: str) -> Callable[..., Fn]:
    """Shifts: an amount outside [0, width) gives 0 (right shifts of negatives: -1), as eager does."""

    def lower(node: Node, *fns: Fn) -> Fn:
        dtype = node.dtype
        bits = 8 * dtype.size

        def fn(index: tuple[Index, ...]) -> Expr:
            a, b = operands(node, fns, index, dtype)
            top = number(bits - 1, dtype)
            outside = expr("ge", b, number(bits, dtype), dtype=bool_)
            if dtype.kind == "int":
                outside = expr("or", outside, expr("lt", b, number(0, dtype), dtype=bool_), dtype=bool_)
            amount = expr("where", outside, top if op == "shr" else number(0, dtype), b, dtype=dtype)
            shifted = expr(op, a, amount, dtype=dtype)
            if op == "shr" and dtype.kind == "int":
                return shifted  # an arithmetic shift by width - 1 leaves the sign
            return expr("where", outside, number(0, dtype), shifted, dtype=dtype)

        return fn

    return lower


def _meta_shift(name: str) -> Callable[..., TensorMeta]:
    return elementwise_meta(name, "same", "int")


row("bitwise_left_shift", "pointwise", _meta_shift("bitwise_left_shift"), lower=_lower_shift("shl"), errors=QUIET)
row("bitwise_right_shift", "pointwise", _meta_shift("bitwise_right_shift"), lower=_lower_shift("shr"), errors=QUIET)


def _meta_pow(x: TensorMeta, y: TensorMeta) -> TensorMeta:
    dtype = result_dtype(x, y)
    check_dtype("pow", dtype, "no-bool")
    return power_meta(x, y, dtype)


def power_meta(x: TensorMeta, y: TensorMeta, dtype: DType) -> TensorMeta:
    """A power. That of a Python number is contiguous, whatever the exponents' layout."""
    if x.weak and not y.weak:
        return new_meta(y.shape, dtype, y.device)
    return pointwise_meta(x, y, dtype=dtype)


def _lower_pow(node: Node, *fns: Fn) -> Fn:
    dtype = node.dtype
    compute = compute_dtype(dtype)
    exponent = scalar_value(args(node)[1])
    open_number = args(node)[1].op is NUMBER
    # eager takes no roots of float16
    simple_powers = [p for p in _SIMPLE_POWERS if dtype != dtypes.float16 or abs(p) != 0.5]

    def fn(index: tuple[Index, ...]) -> Expr:
        x, y = operands(node, fns, index, dtype)
        power = expr("pow", x, y, dtype=compute)
        if exponent in simple_powers or exponent in (0, 1):
            return _simple_power(x, exponent) or power
        for simple in simple_powers if open_number and dtype.is_float else ():
            # which number it is shows only when the graph runs: -inf ** 0.5 and -0.0 ** 0.5 tell
            chosen = expr("eq", y, number(simple, y.dtype), dtype=bool_)
            power = expr("where", chosen, _simple_power(x, simple) or power, power, dtype=compute)
        return power

    return fn


#: powers by a literal number that eager computes without pow: one that changes may come to be one of them
_SIMPLE_POWERS = (2.0, 3.0, 0.5, -0.5, -1.0, -2.0)


def _simple_power(x: Expr, exponent: Any) -> Expr | None:
    """x to a literal power that eager computes without pow, else None."""
    if exponent is None:
        return None

    def mul(a: Expr, b: Expr) -> Expr:
        return expr("mul", a, b, dtype=x.dtype)

    if exponent == 0:
        return number(1, x.dtype)
    if exponent == 1:
        return x
    if exponent == 2:
        return mul(x, x)
    if exponent == 3:
        return mul(mul(x, x), x)
    if not x.dtype.is_float:
        return None
    one = number(1, x.dtype)
    if exponent == 0.5:
        return expr("sqrt", x, dtype=x.dtype)
    if exponent == -0.5:
        return expr("div", one, expr("sqrt", x, dtype=x.dtype), dtype=x.dtype)
    if exponent == -1:
        return expr("div", one, x, dtype=x.dtype)
    if exponent == -2:
        return expr("div", one, mul(x, x), dtype=x.dtype)
    return None


row("pow", "pointwise", _meta_pow, lower=_lower_pow, numbers=(1,), naturals=(1,), errors=ALL_ERRORS, cost="heavy", measured=True,
    rounding=Rounding(numbers=(0, 1)))  # fmt: skip
