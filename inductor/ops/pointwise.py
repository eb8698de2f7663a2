"""Elementwise ops. Their names are torch's; their arguments broadcast and promote as torch's do.

A row here is one line: name, scalar op, and how the result's dtype follows from the operands'
("float": integers become float32; "same": the promoted dtype; "bool").
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ...errors import LoweringError
from .. import dtypes
from ..dtypes import DType, bool_, compute_dtype, float64
from ..graph import GraphBuilder, Node, TensorMeta, contiguous_strides
from ..loops import Expr, Fn, Index, as_index, cast, const, expr, index_value
from .common import REQUIRED, args, at, convert, new_meta, number, row, scalar_value
from .dims import is_one
from .facts import ALL_ERRORS, DIVIDE, INVALID, IS_HALF, OVER, QUIET, UNDER, Rounding
from .intervals import of_corners
from .promotion import (
    DEFAULT_FLOAT,
    broadcast_shapes,
    common_device,
    float_dtype,
    like_meta,
    like_strides,
    pointwise_meta,
    result_dtype,
)
from .requires import divisor
from .scalar import SCALAR

# --------------------------------------------------------------------------- metas


def _meta(name: str, result: str, allowed: str = "any") -> Callable[..., TensorMeta]:
    """A meta rule. allowed: "any", "no-bool", "integral" (int and bool), "int", "real" (not complex)."""

    def meta(*metas: TensorMeta, **_: Any) -> TensorMeta:
        dtype = result_dtype(*metas)
        check_dtype(name, dtype, allowed)
        if result == "float":
            dtype = float_dtype(dtype)
        elif result == "bool":
            dtype = bool_
        return pointwise_meta(*metas, dtype=dtype)

    return meta


#: which dtypes a rule refuses
_REFUSED: dict[str, Callable[[DType], bool]] = {
    "any": lambda d: False,
    "no-bool": lambda d: d == bool_,
    "integral": lambda d: not (d.is_int or d == bool_),
    "int": lambda d: not d.is_int,
    "real": lambda d: d.is_complex,
    "real-no-bool": lambda d: d.is_complex or d == bool_,
    "float": lambda d: not d.is_float,
    "full-float": lambda d: not d.is_float or d in dtypes.HALVES,
}


def check_dtype(name: str, dtype: DType, allowed: str) -> None:
    """Raise TypeError for a dtype that the op `name` is not defined for; `allowed` is a key of `_REFUSED`."""
    if _REFUSED[allowed](dtype):
        raise TypeError(f"{name} is not defined for {dtype}")


# --------------------------------------------------------------------------- lowering


def operand_dtype(node: Node) -> DType:
    """The dtype in which an op computes: the promoted dtype of its operands, or float where the result is."""
    dtype = result_dtype(*(i.meta for i in args(node) if i is not None))
    return node.dtype if node.dtype.is_float else dtype


def operands(node: Node, fns: tuple[Fn, ...], index: tuple[Index, ...], dtype: DType) -> list[Expr]:
    """The inputs' values at a point of the result, converted to `dtype`'s compute form. What a half type cannot hold of a tensor of
    another type is lost, as in eager; only Python numbers stay what they are, and second factors and divisors of one element.
    """

    def operand(k: int, f: Fn, i: Node) -> Expr:
        value = convert(at(f, index, i, node.shape), dtype)
        whole = i.meta.weak or (not i.ndim and k in node.op.rounding.whole)
        return value if whole or i.dtype == dtype or dtype not in dtypes.HALVES else _round_half(value, dtype)

    return [operand(k, f, i) for k, (f, i) in enumerate(zip(fns, args(node)))]


def scalar_lower(op: str) -> Callable[..., Fn]:
    """A lowering that applies one scalar op."""

    def lower(node: Node, *fns: Fn) -> Fn:
        dtype = operand_dtype(node)
        result = bool_ if node.dtype == bool_ else compute_dtype(dtype)
        return lambda index: expr(op, *operands(node, fns, index, dtype), dtype=result)

    return lower


def expr_lower(build: Callable[..., Expr]) -> Callable[..., Fn]:
    """A lowering from `build(*operand values, dtype)`."""

    def lower(node: Node, *fns: Fn) -> Fn:
        dtype = operand_dtype(node)
        return lambda index: convert(build(*operands(node, fns, index, dtype), compute_dtype(dtype)), node.dtype)

    return lower


# --------------------------------------------------------------------------- plain rows


def _scalar_row(
    name: str,
    scalar: str,
    result: str,
    allowed: str,
    errors: int,
    meta: Callable[..., TensorMeta] | None = None,
    **fields: Any,
) -> None:
    """A row that applies one scalar op, which says what it costs."""
    row(name, "pointwise", meta or _meta(name, result, allowed), lower=scalar_lower(scalar), errors=errors,
        cost="heavy" if SCALAR[scalar].heavy else "cheap", **fields)  # fmt: skip


for _name, _errors in (
    ("exp", OVER | UNDER), ("exp2", OVER | UNDER), ("expm1", OVER | UNDER), ("log", DIVIDE | INVALID),
    ("log2", DIVIDE | INVALID), ("log10", DIVIDE | INVALID), ("log1p", DIVIDE | UNDER | INVALID), ("sqrt", INVALID),
    ("rsqrt", ALL_ERRORS), ("sin", INVALID | UNDER), ("cos", INVALID), ("tan", INVALID | UNDER), ("asin", INVALID | UNDER),
    ("acos", INVALID), ("atan", UNDER), ("sinh", OVER | UNDER), ("cosh", OVER), ("tanh", UNDER), ("asinh", UNDER),
    ("acosh", INVALID), ("atanh", DIVIDE | UNDER | INVALID), ("erf", ALL_ERRORS), ("erfc", ALL_ERRORS),
    ("lgamma", ALL_ERRORS), ("sigmoid", ALL_ERRORS),
):  # fmt: skip
    _scalar_row(_name, _name, "float", "any", _errors)

for _name, _scalar, _result, _allowed, _errors in (
    ("neg", "neg", "same", "no-bool", QUIET),
    ("maximum", "max", "same", "real", QUIET),
    ("minimum", "min", "same", "real", QUIET),
    ("atan2", "atan2", "float", "real", UNDER),
    ("hypot", "hypot", "same", "float", OVER | UNDER),
    ("copysign", "copysign", "float", "real", QUIET),
    ("nextafter", "nextafter", "same", "full-float", ALL_ERRORS),
    ("bitwise_and", "and", "same", "integral", QUIET),
    ("bitwise_or", "or", "same", "integral", QUIET),
    ("bitwise_xor", "xor", "same", "integral", QUIET),
    ("bitwise_not", "not", "same", "integral", QUIET),
):
    _scalar_row(_name, _scalar, _result, _allowed, _errors)

# numbers are compared, and divided by, in the tensor's own type
for _name, _allowed in (("eq", "any"), ("ne", "any"), ("lt", "real"), ("le", "real"), ("gt", "real"), ("ge", "real")):
    _scalar_row(_name, _name, "bool", _allowed, QUIET, rounding=Rounding(numbers=(0, 1)))
for _name, _scalar in (("remainder", "mod"), ("fmod", "fmod")):
    _scalar_row(
        _name, _scalar, "same", "real-no-bool", INVALID | UNDER, rounding=Rounding(numbers=(0, 1)), requires=divisor
    )

_scalar_row("div", "div", "float", "any", ALL_ERRORS, rounding=Rounding(whole=(1,)))


def _meta_sub(*metas: TensorMeta) -> TensorMeta:
    for m in metas:
        check_dtype("sub", m.dtype, "no-bool")  # not even beside numbers
    return pointwise_meta(*metas)


_scalar_row("sub", "sub", "same", "no-bool", OVER | INVALID, _meta_sub, rounding=Rounding(numbers=(0, 1)),
            bounds=of_corners(SCALAR["sub"].python))  # fmt: skip
row("rsub", "composite", lambda x, y: _meta_sub(y, x), decompose=lambda b, node: b.sub(args(node)[1], args(node)[0]))
# x * y + z, rounded once
_scalar_row("fma", "fma", "same", "float", ALL_ERRORS, lambda x, y, z: _meta("fma", "same", "float")(z, x, y))


def _decompose_add_scaled(b: GraphBuilder, node: Node) -> Node:
    """x + scale * y. Eager's kernels on CPUs fuse the two for floats: it shows where they cancel or overflow."""
    x, y, scale = args(node)
    if not node.dtype.is_float:
        return b.add(x, b.mul(b.cast(y, dtype=node.dtype), scale))
    return b.fma(*(b.cast(i, dtype=node.dtype) if i.dtype != node.dtype else i for i in (y, scale, x)))


# inputs: x, y, scale
row("add_scaled", "composite", lambda x, y, scale: _meta("add_scaled", "same", "no-bool")(x, y),
    decompose=_decompose_add_scaled, numbers=(2,))  # fmt: skip


# --------------------------------------------------------------------------- rows whose meaning depends on the dtype


def _by_kind(floats: Callable[..., Expr] | str | None, ints: str | None, bools: str | None) -> Callable[..., Expr]:
    """An expression that applies a different scalar op to floats, ints and bools; None: the first operand itself."""

    def build(*values_and_dtype: Any) -> Expr:
        *values, dtype = values_and_dtype
        op = floats if dtype.is_float else bools if dtype == bool_ else ints
        if op is None:
            return values[0]
        return op(*values) if callable(op) else expr(op, *values, dtype=dtype)

    return build


def _float_sign(x: Expr) -> Expr:
    """1, 0 or -1; eager's sign of NaN is 0."""
    zero = number(0, x.dtype)
    above, below = (cast(expr(op, x, zero, dtype=bool_), x.dtype) for op in ("gt", "lt"))
    return expr("sub", above, below, dtype=x.dtype)


row("add", "pointwise", _meta("add", "same", "any"), lower=expr_lower(_by_kind("add", "add", "or")),
    errors=OVER | INVALID, rounding=Rounding(numbers=(0, 1)), bounds=of_corners(SCALAR["add"].python))  # fmt: skip
row("mul", "pointwise", _meta("mul", "same", "any"), lower=expr_lower(_by_kind("mul", "mul", "and")),
    errors=OVER | UNDER | INVALID, rounding=Rounding(whole=(1,)), bounds=of_corners(SCALAR["mul"].python))  # fmt: skip

for _name, _build, _allowed in (
    ("abs", _by_kind("abs", "abs", None), "no-bool"),
    ("sign", _by_kind(_float_sign, "sign", None), "real"),
    ("floor", _by_kind("floor", None, None), "real-no-bool"),
    ("ceil", _by_kind("ceil", None, None), "real-no-bool"),
    ("trunc", _by_kind("trunc", None, None), "real-no-bool"),
    ("fmax", _by_kind("fmax", "max", "max"), "real"),
    ("fmin", _by_kind("fmin", "min", "min"), "real"),
):
    row(_name, "pointwise", _meta(_name, "same", _allowed), lower=expr_lower(_build), errors=QUIET)


def _predicate(floats: Callable[[Expr], Expr], otherwise: bool) -> Callable[..., Fn]:
    """A question about one operand that integers answer with a constant."""

    def lower(node: Node, fn: Fn) -> Fn:
        dtype = args(node)[0].dtype
        if not dtype.is_float:
            return lambda index: const(otherwise, bool_)
        return lambda index: floats(convert(fn(index), dtype))

    return lower


def _not(x: Expr) -> Expr:
    return expr("not", x, dtype=bool_)


def _ask(op: str, x: Expr) -> Expr:
    return expr(op, x, dtype=bool_)


def _infinite(x: Expr, negative: bool) -> Expr:
    return expr("eq", x, number(-math.inf if negative else math.inf, x.dtype), dtype=bool_)


def _finite(x: Expr) -> Expr:
    # |x| < inf is false for NaN too
    return expr("lt", expr("abs", x, dtype=x.dtype), number(math.inf, x.dtype), dtype=bool_)


for _name, _floats, _otherwise in (
    ("isnan", lambda x: _ask("isnan", x), False),
    ("isinf", lambda x: _ask("isinf", x), False),
    ("isfinite", _finite, True),
    ("isposinf", lambda x: _infinite(x, False), False),
    ("isneginf", lambda x: _infinite(x, True), False),
):
    row(_name, "pointwise", _meta(_name, "bool"), lower=_predicate(_floats, _otherwise), errors=QUIET)


def _lower_signbit(node: Node, fn: Fn) -> Fn:
    dtype = args(node)[0].dtype
    if dtype.is_float:
        return lambda index: _ask("signbit", convert(fn(index), dtype))
    if dtype == bool_:
        return lambda index: const(False, bool_)
    return lambda index: expr("lt", fn(index), number(0, dtype), dtype=bool_)


row("signbit", "pointwise", _meta("signbit", "bool", "real"), lower=_lower_signbit, errors=QUIET)


def truth(value: Expr) -> Expr:
    """`value` != 0."""
    return value if value.dtype == bool_ else expr("ne", value, number(0, value.dtype), dtype=bool_)


def _lower_logical(op: str) -> Callable[..., Fn]:
    def lower(node: Node, *fns: Fn) -> Fn:
        dtype = result_dtype(
            *(i.meta for i in args(node))
        )  # a 0-dim operand becomes of the other's dtype before it is asked

        def fn(index: tuple[Index, ...]) -> Expr:
            return expr(op, *map(truth, operands(node, fns, index, dtype)), dtype=bool_)

        return fn

    return lower


for _name in ("and", "or", "xor", "not"):
    row(f"logical_{_name}", "pointwise", _meta(f"logical_{_name}", "bool"), lower=_lower_logical(_name), errors=QUIET)


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
            return expr("trunc", _in_dtype(expr("div", a, b, dtype=compute), _step_dtype(node)), dtype=compute)
        # a - fmod(a, b) is an exact multiple of b, so flooring it truncates
        return expr("floordiv", expr("sub", a, expr("fmod", a, b, dtype=compute), dtype=compute), b, dtype=compute)

    return fn


def _step_dtype(node: Node) -> DType:
    """The dtype of a division's steps: eager's kernels round halves after each, but for divisors of one element."""
    single = all(is_one(s) for s in args(node)[1].shape)
    return compute_dtype(node.dtype) if single else node.dtype


def _in_dtype(x: Expr, dtype: DType) -> Expr:
    """`x` with no more digits than `dtype` has."""
    return _round_half(x, dtype) if dtype in dtypes.HALVES else x


def _float_floor_divide(a: Expr, b: Expr, dtype: DType) -> Expr:
    """The whole number of times b goes into a, found from the exact remainder as eager (and Python) do."""

    def op(name: str, *values: Expr) -> Expr:
        return _in_dtype(expr(name, *values, dtype=a.dtype), dtype)

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
row("trunc_divide", "pointwise", _meta("trunc_divide", "same", "real-no-bool"), lower=_lower_trunc_divide,
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
    return _meta(name, "same", "int")


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


row("pow", "pointwise", _meta_pow, lower=_lower_pow, numbers=(1,), errors=ALL_ERRORS, cost="heavy",
    rounding=Rounding(numbers=(0, 1)))  # fmt: skip


# --------------------------------------------------------------------------- selection, conversion


def _meta_where(cond: TensorMeta, x: TensorMeta, y: TensorMeta) -> TensorMeta:
    if cond.dtype not in (bool_, dtypes.uint8):
        raise TypeError(f"where needs a bool condition, not {cond.dtype}")
    out = pointwise_meta(cond, x, y, dtype=result_dtype(x, y))
    return out


def _lower_where(node: Node, cond: Fn, x: Fn, y: Fn) -> Fn:
    c_node, x_node, y_node = args(node)

    def fn(index: tuple[Index, ...]) -> Expr:
        c = truth(at(cond, index, c_node, node.shape))
        a = convert(at(x, index, x_node, node.shape), node.dtype)
        b = convert(at(y, index, y_node, node.shape), node.dtype)
        return expr("where", c, a, b, dtype=compute_dtype(node.dtype))

    return fn


row("where", "pointwise", _meta_where, lower=_lower_where, numbers=(1, 2), errors=QUIET)


def _meta_masked_fill(x: TensorMeta, mask: TensorMeta, value: TensorMeta) -> TensorMeta:
    if mask.dtype != bool_:
        raise TypeError(f"masked_fill needs a bool mask, not {mask.dtype}")
    if value.ndim:
        raise ValueError(f"masked_fill needs a 0-dim value, not one of shape {value.shape}")
    shape = broadcast_shapes(x.shape, mask.shape)
    return TensorMeta(shape, contiguous_strides(shape), x.dtype, common_device(x, mask))


def _decompose_masked_fill(b: GraphBuilder, node: Node) -> Node:
    x, mask, value = args(node)
    return b.where(mask, b.cast(value, dtype=node.dtype), x)


row("masked_fill", "composite", _meta_masked_fill, decompose=_decompose_masked_fill, numbers=(2,), errors=QUIET)


def _meta_cast(x: TensorMeta, *, dtype: DType) -> TensorMeta:
    return TensorMeta(x.shape, like_strides(x), dtype, x.device)


def _lower_cast(node: Node, fn: Fn) -> Fn:
    """A conversion that narrows a float rounds at once: what follows sees the narrow value, as in eager."""
    source, target = args(node)[0].dtype, node.dtype

    def cast_value(index: tuple[Index, ...]) -> Expr:
        x = fn(index)
        if target in (dtypes.float16, dtypes.bfloat16) and source != target:
            return expr("cast", expr("cast", x, dtype=target), dtype=dtypes.float32)
        if target == bool_:
            return truth(x)
        return convert(x, target)

    return cast_value


def _errors_of_cast(node: Node) -> int:
    to, of = node.dtype, args(node)[0].dtype
    if to.is_float:
        return (
            OVER | UNDER if of.is_float and of.size > to.size else OVER if to.size == 2 and not of.is_float else QUIET
        )
    return INVALID if of.is_float and to != bool_ else QUIET


row("cast", "pointwise", _meta_cast, attrs={"dtype": REQUIRED}, lower=_lower_cast, elements="first", errors=_errors_of_cast,
    rounding=IS_HALF)  # fmt: skip


def _lower_rounded(node: Node, fn: Fn) -> Fn:
    return lambda index: _round_half(fn(index), node.dtype)


def _round_half(x: Expr, dtype: DType) -> Expr:
    """The nearest number of a half type, in compute form."""
    return x if _is_half(x, dtype) else expr("cast", expr("cast", x, dtype=dtype), dtype=dtypes.float32)


def _is_half(x: Expr, dtype: DType, depth: int = 3) -> bool:
    """Whether a float32 value surely is a number of the half type."""
    if x.op == "cast":
        return x.args[0].dtype == dtype
    if x.op == "const":
        return bool(x.attr in (0, 1)) or x.attr != x.attr or math.isinf(x.attr)
    if depth == 0 or not (SCALAR[x.op].exact if x.op in SCALAR else x.op == "masked"):
        return False
    return all(_is_half(a, dtype, depth - 1) for a in x.args if a.dtype == x.dtype)


#: the border of an op that the program called: float16 and bfloat16 results are rounded there, as eager's are
row("rounded", "pointwise", lambda x: x, lower=_lower_rounded, errors=ALL_ERRORS, rounding=IS_HALF)


# --------------------------------------------------------------------------- constants


def _meta_scalar(*, value: Any, dtype: DType | None) -> TensorMeta:
    if dtype is None:
        if isinstance(value, bool):
            dtype = bool_
        elif isinstance(value, float) or not getattr(value, "is_integer", True):
            dtype = DEFAULT_FLOAT
        elif isinstance(value, complex):
            dtype = dtypes.complex64
        else:
            dtype = dtypes.int64
    return TensorMeta((), (), dtype, "cpu", weak=True)


def _lower_scalar(node: Node) -> Fn:
    return lambda index: literal(node.attrs["value"], node.dtype)


def literal(value: Any, dtype: DType) -> Expr:
    """A Python number or a size as a value of `dtype`. Raises LoweringError for a complex number."""
    if isinstance(value, (bool, int, float)):
        return number(value, dtype)
    if isinstance(value, complex):
        return convert(const(0, dtype), dtype)
    if not getattr(value, "is_integer", True):
        return convert(_real(value), dtype)
    return convert(index_value(as_index(value)), dtype)


def _real(e: Any) -> Expr:
    """Arithmetic of sizes and floats, in Python's double precision. Raises LoweringError for another function."""
    if e.is_Number:
        return const(float(e), float64)
    if e.is_integer:
        return convert(index_value(as_index(e)), float64)
    if e.is_Pow and e.exp in (-1, Fraction(1, 2)):
        base = _real(e.base)
        return (
            expr("sqrt", base, dtype=float64) if e.exp != -1 else expr("div", const(1.0, float64), base, dtype=float64)
        )
    op = {"Add": "add", "Mul": "mul", "Max": "max", "Min": "min"}.get(type(e).__name__)
    if op is None:
        raise LoweringError(f"[ops] the symbolic number {e} is no arithmetic of sizes")
    return functools.reduce(lambda a, b: expr(op, a, b, dtype=float64), map(_real, e.args))


row("scalar", "literal", _meta_scalar, attrs={"value": REQUIRED, "dtype": None}, lower=_lower_scalar, rounding=IS_HALF)


def _meta_number(x: TensorMeta) -> TensorMeta:
    if x.shape or x.dtype not in (dtypes.float64, dtypes.int64):
        raise TypeError(f"a number is held in a 0-dim float64 or int64 tensor, not in {x}")
    return TensorMeta((), (), DEFAULT_FLOAT if x.dtype.is_float else dtypes.int64, "cpu", weak=True)


# a Python float or int that is known only when the graph runs; with all its digits, whatever the dtype it meets
NUMBER = row("number", "pointwise", _meta_number, lower=lambda node, x: lambda index: x(()), errors=ALL_ERRORS)


# --------------------------------------------------------------------------- in terms of the above


def _composite(
    name: str, result: str, build: Callable[..., Node], allowed: str = "any", attrs: dict[str, Any] | None = None
) -> None:
    """A row from `build(b, *inputs, **attrs)`."""

    def decompose(b: GraphBuilder, node: Node) -> Node:
        return build(b, *args(node), **node.attrs)

    row(name, "composite", _meta(name, result, allowed), attrs=attrs or {}, decompose=decompose)


def _c(b: GraphBuilder, value: bool | int | float) -> Node:
    return b.scalar(value=value)


_composite("reciprocal", "float", lambda b, x: b.div(_c(b, 1), x))
_composite("frac", "same", lambda b, x: b.sub(x, b.trunc(x)), "float")
for _name, _factor in (("rad2deg", 180.0 / math.pi), ("deg2rad", math.pi / 180.0)):
    row(_name, "composite", lambda x: like_meta(x, float_dtype(x.dtype)),
        decompose=lambda b, node, factor=_factor: b.mul(args(node)[0], _c(b, factor)))  # fmt: skip


def _meta_heaviside(x: TensorMeta, y: TensorMeta) -> TensorMeta:
    if x.dtype != y.dtype and not y.weak:
        raise TypeError(f"heaviside is not defined for {x.dtype} with {y.dtype}")
    return pointwise_meta(x, y)


def _decompose_heaviside(b: GraphBuilder, node: Node) -> Node:
    x, y = args(node)
    return b.where(b.eq(x, _c(b, 0)), y, b.cast(b.gt(x, _c(b, 0)), dtype=x.dtype))


row("heaviside", "composite", _meta_heaviside, decompose=_decompose_heaviside)


def _meta_square(x: TensorMeta) -> TensorMeta:
    # a power with an int exponent: bool becomes int64
    return pointwise_meta(x, dtype=dtypes.int64 if x.dtype == bool_ else x.dtype)


def _decompose_square(b: GraphBuilder, node: Node) -> Node:
    x = args(node)[0]
    x = b.cast(x, dtype=node.dtype) if x.dtype != node.dtype else x
    return b.mul(x, x)


row("square", "composite", _meta_square, decompose=_decompose_square)
