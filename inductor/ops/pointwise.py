"""Elementwise ops. Their names are torch's; their arguments broadcast and promote as torch's do.

A row here is one line: name, scalar op, and how the result's dtype follows from the operands'
("float": integers become float32; "same": the promoted dtype; "bool").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..dtypes import bool_
from ..graph import GraphBuilder, Node, TensorMeta
from ..loops import Expr, Fn, Index, cast, const, expr
from .common import args, convert, number, row
from .elementwise import (
    check_dtype,
    composite,
    elementwise_meta,
    expr_lower,
    literal_node,
    operands,
    scalar_row,
    truth,
)
from .facts import ALL_ERRORS, INVALID, OVER, QUIET, UNDER, Rounding
from .intervals import of_corners
from .promotion import (
    float_dtype,
    like_meta,
    pointwise_meta,
    result_dtype,
)
from .requires import divisor
from .scalar import SCALAR

# --------------------------------------------------------------------------- plain rows


for _function in SCALAR.values():
    if _function.errors is not None:
        scalar_row(_function.name, _function.name, "float", "any", _function.errors)

for _name, _scalar, _result, _allowed, _errors in (
    ("neg", "neg", "same", "no-bool", QUIET),
    ("maximum", "max", "same", "real", QUIET),
    ("minimum", "min", "same", "real", QUIET),
    ("atan2", "atan2", "float", "real", UNDER),
    ("hypot", "hypot", "same", "float", OVER | UNDER),
    ("nextafter", "nextafter", "same", "full-float", ALL_ERRORS),
    ("bitwise_and", "and", "same", "integral", QUIET),
    ("bitwise_or", "or", "same", "integral", QUIET),
    ("bitwise_xor", "xor", "same", "integral", QUIET),
    ("bitwise_not", "not", "same", "integral", QUIET),
):
    scalar_row(_name, _scalar, _result, _allowed, _errors)
scalar_row("copysign", "copysign", "float", "real", QUIET, measured=True)

# numbers are compared, and divided by, in the tensor's own type
for _name, _allowed in (("eq", "any"), ("ne", "any"), ("lt", "real"), ("le", "real"), ("gt", "real"), ("ge", "real")):
    scalar_row(_name, _name, "bool", _allowed, QUIET, rounding=Rounding(numbers=(0, 1)))
for _name, _scalar in (("remainder", "mod"), ("fmod", "fmod")):
    scalar_row(
        _name, _scalar, "same", "real-no-bool", INVALID | UNDER, rounding=Rounding(numbers=(0, 1)), requires=divisor
    )

scalar_row("div", "div", "float", "any", ALL_ERRORS, rounding=Rounding(whole=(1,)))


def _meta_sub(*metas: TensorMeta) -> TensorMeta:
    for m in metas:
        check_dtype("sub", m.dtype, "no-bool")  # not even beside numbers
    return pointwise_meta(*metas)


scalar_row("sub", "sub", "same", "no-bool", OVER | INVALID, _meta_sub, rounding=Rounding(numbers=(0, 1)),
            bounds=of_corners(SCALAR["sub"].python))  # fmt: skip
row("rsub", "composite", lambda x, y: _meta_sub(y, x), decompose=lambda b, node: b.sub(args(node)[1], args(node)[0]))
# x * y + z, rounded once
scalar_row("fma", "fma", "same", "float", ALL_ERRORS, lambda x, y, z: elementwise_meta("fma", "same", "float")(z, x, y))


def _decompose_add_scaled(b: GraphBuilder, node: Node) -> Node:
    """x + scale * y. Eager's kernels on CPUs fuse the two for floats: it shows where they cancel or overflow."""
    x, y, scale = args(node)
    if not node.dtype.is_float:
        return b.add(x, b.mul(b.cast(y, dtype=node.dtype), scale))
    return b.fma(*(b.cast(i, dtype=node.dtype) if i.dtype != node.dtype else i for i in (y, scale, x)))


# inputs: x, y, scale
row("add_scaled", "composite", lambda x, y, scale: elementwise_meta("add_scaled", "same", "no-bool")(x, y),
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


row("add", "pointwise", elementwise_meta("add", "same", "any"), lower=expr_lower(_by_kind("add", "add", "or")),
    errors=OVER | INVALID, rounding=Rounding(numbers=(0, 1)), bounds=of_corners(SCALAR["add"].python))  # fmt: skip
row("mul", "pointwise", elementwise_meta("mul", "same", "any"), lower=expr_lower(_by_kind("mul", "mul", "and")),
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
    row(_name, "pointwise", elementwise_meta(_name, "same", _allowed), lower=expr_lower(_build), errors=QUIET)


def _predicate(floats: Callable[[Expr], Expr], otherwise: bool) -> Callable[..., Fn]:
    """A question about one operand that integers answer with a constant."""

    def lower(node: Node, fn: Fn) -> Fn:
        dtype = args(node)[0].dtype
        if not dtype.is_float:
            return lambda index: const(otherwise, bool_)
        return lambda index: floats(convert(fn(index), dtype))

    return lower


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
    row(_name, "pointwise", elementwise_meta(_name, "bool"), lower=_predicate(_floats, _otherwise), errors=QUIET)


def _lower_signbit(node: Node, fn: Fn) -> Fn:
    dtype = args(node)[0].dtype
    if dtype.is_float:
        return lambda index: _ask("signbit", convert(fn(index), dtype))
    if dtype == bool_:
        return lambda index: const(False, bool_)
    return lambda index: expr("lt", fn(index), number(0, dtype), dtype=bool_)


row("signbit", "pointwise", elementwise_meta("signbit", "bool", "real"), lower=_lower_signbit, errors=QUIET)


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
    row(
        f"logical_{_name}",
        "pointwise",
        elementwise_meta(f"logical_{_name}", "bool"),
        lower=_lower_logical(_name),
        errors=QUIET,
    )


# --------------------------------------------------------------------------- in terms of the above


composite("reciprocal", "float", lambda b, x: b.div(literal_node(b, 1), x))
composite("frac", "same", lambda b, x: b.sub(x, b.trunc(x)), "float")
for _name, _factor in (("rad2deg", 180.0 / math.pi), ("deg2rad", math.pi / 180.0)):
    row(_name, "composite", lambda x: like_meta(x, float_dtype(x.dtype)),
        decompose=lambda b, node, factor=_factor: b.mul(args(node)[0], literal_node(b, factor)))  # fmt: skip


def _meta_heaviside(x: TensorMeta, y: TensorMeta) -> TensorMeta:
    if x.dtype != y.dtype and not y.weak:
        raise TypeError(f"heaviside is not defined for {x.dtype} with {y.dtype}")
    return pointwise_meta(x, y)


def _decompose_heaviside(b: GraphBuilder, node: Node) -> Node:
    x, y = args(node)
    return b.where(b.eq(x, literal_node(b, 0)), y, b.cast(b.gt(x, literal_node(b, 0)), dtype=x.dtype))


row("heaviside", "composite", _meta_heaviside, decompose=_decompose_heaviside)


def _meta_square(x: TensorMeta) -> TensorMeta:
    # a power with an int exponent: bool becomes int64
    return pointwise_meta(x, dtype=dtypes.int64 if x.dtype == bool_ else x.dtype)


def _decompose_square(b: GraphBuilder, node: Node) -> Node:
    x = args(node)[0]
    x = b.cast(x, dtype=node.dtype) if x.dtype != node.dtype else x
    return b.mul(x, x)


row("square", "composite", _meta_square, decompose=_decompose_square)
