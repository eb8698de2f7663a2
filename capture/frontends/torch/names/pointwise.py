"""torch's elementwise functions as table calls: a line each where the names and arguments agree."""

from __future__ import annotations

from typing import Any

import torch

from .....inductor.dtypes import HALVES, bool_, float32, round_to_half
from .....inductor.graph import Node
from .....inductor.ops.dims import less, same
from .....inductor.ops.promotion import result_dtype
from .....inductor.ops.scalar import SCALAR
from ....values.tensor import ArrayValue
from ..calls import takes_numbers
from ..context import LEAST, Context, Declined
from ..handlers import name, register
from ..places import expand
from ..state import state_of
from ..warned import cross_along_no_dim, warn_of
from .data import nonzero

# ------------------------------------------------------------------ one operand

#: op of the table: further places of the same meaning (the op's own name as torch.x and Tensor.x is understood, and every function
#: of the scalar table)
_UNARY = {
    **{op.name: "" for op in SCALAR.values() if op.errors is not None},
    "exp2": "torch.special.exp2", "expm1": "torch.special.expm1", "log1p": "torch.special.log1p", "asin": "*arcsin",
    "acos": "*arccos", "atan": "*arctan", "tanh": "F.tanh", "asinh": "*arcsinh", "acosh": "*arccosh",
    "atanh": "*arctanh", "erf": "torch.special.erf", "erfc": "torch.special.erfc", "lgamma": "torch.special.gammaln",
    "sigmoid": "F.sigmoid torch.special.expit", "neg": "*negative Tensor.__neg__", "abs": "*absolute Tensor.__abs__",
    "sign": "", "floor": "", "ceil": "", "trunc": "*fix", "frac": "", "reciprocal": "", "square": "", "isnan": "",
    "isinf": "", "isposinf": "", "isneginf": "", "isfinite": "", "signbit": "", "logical_not": "", "rad2deg": "",
    "deg2rad": "", "bitwise_not": "Tensor.__invert__", "sinc": "torch.special.sinc", "erfinv": "torch.special.erfinv",
}  # fmt: skip


def _unary(op: str) -> Any:
    def call(cx: Context, input: ArrayValue) -> Node:
        return cx.op(op, input)

    call.__name__ = op
    return call


for _op, _more in _UNARY.items():
    _own = f"*{_op}" if hasattr(torch, _op) else f"torch.special.{_op}"
    register(expand(f"{_own} {_more}"), _unary(_op))


@name("*round torch.special.round")
def round_(cx: Context, input: ArrayValue, *, decimals: int = 0) -> Node:
    return cx.op("round", input, decimals=decimals)


@name("*positive Tensor.__pos__")
def positive(cx: Context, input: ArrayValue) -> ArrayValue:
    if input.meta.dtype == bool_:
        raise TypeError("+ is not defined for bool")
    return input


# ------------------------------------------------------------------ two operands

_BINARY = {
    "maximum": "", "minimum": "", "fmax": "", "fmin": "", "atan2": "*arctan2", "hypot": "", "copysign": "",
    "nextafter": "", "heaviside": "", "fmod": "", "eq": "Tensor.__eq__", "ne": "*not_equal Tensor.__ne__",
    "lt": "*less Tensor.__lt__", "le": "*less_equal Tensor.__le__", "gt": "*greater Tensor.__gt__",
    "ge": "*greater_equal Tensor.__ge__", "logical_and": "", "logical_or": "", "logical_xor": "",
    "bitwise_and": "Tensor.__and__", "bitwise_or": "Tensor.__or__", "bitwise_xor": "Tensor.__xor__",
    "mul": "*multiply Tensor.__mul__ Tensor.__rmul__",
    "remainder": "Tensor.__mod__",
    "logaddexp": "", "logaddexp2": "", "xlogy": "torch.special.xlogy", "bitwise_left_shift": "Tensor.__lshift__", "bitwise_right_shift": "Tensor.__rshift__",
}  # fmt: skip


def _binary(op: str) -> Any:
    def call(cx: Context, input: Any, other: Any) -> Node:
        return cx.op(op, input, other)

    call.__name__ = op
    return call


for _op, _more in _BINARY.items():
    register(expand(f"*{_op} {_more}"), takes_numbers(_binary(_op)))


def _scaled_sum(cx: Context, op: str, x: Any, other: Any, alpha: Any) -> Node:
    """`x + alpha * other` in the result's dtype, where a half type rounds once."""
    if type(alpha) in (int, float) and alpha == 1:
        return cx.op(op, x, other)
    computed = isinstance(alpha, Node)
    left, right = cx.node(x), cx.node(other)
    dtype = result_dtype(left.meta, right.meta)
    if type(alpha) is bool and dtype != bool_:
        raise ValueError("Boolean alpha only supported for Boolean results.")
    if (type(alpha) is float or computed and alpha.dtype.is_float) and not dtype.is_float and not dtype.is_complex:
        raise ValueError("For integral input tensors, argument alpha must not be a floating point number.")
    if op == "sub" and bool_ in (left.dtype, right.dtype):
        return cx.op(op, left, right)  # refused as it would be without alpha
    if dtype == bool_:
        return cx.op(op, left, cx.op("mul", right, cx.cast(alpha, bool_) if computed else bool(alpha)))
    if computed:
        alpha = cx.fitting(alpha, dtype)
    if op == "sub":
        alpha = cx.op("neg", alpha) if isinstance(alpha, Node) else -alpha
    if dtype in HALVES and left.meta.device == "cpu":
        left, right = cx.cast(left, float32), cx.cast(right, float32)
        scale = cx.cast(cx.cast(alpha, dtype), float32) if computed else round_to_half(float(alpha), dtype)
        return cx.cast(cx.op("add_scaled", left, right, scale), dtype)
    return cx.op("add_scaled", left, right, alpha)


@name("*add Tensor.__add__ Tensor.__radd__")
@takes_numbers
def add(cx: Context, input: Any, other: Any, *, alpha: Any = 1) -> Node:
    return _scaled_sum(cx, "add", input, other, alpha)


@name("*sub *subtract Tensor.__sub__")
@takes_numbers
def sub(cx: Context, input: Any, other: Any, *, alpha: Any = 1) -> Node:
    return _scaled_sum(cx, "sub", input, other, alpha)


@name("torch.rsub Tensor.__rsub__")
@takes_numbers
def rsub(cx: Context, input: Any, other: Any, *, alpha: Any = 1) -> Node:
    return _scaled_sum(cx, "sub", other, input, alpha)


@name("*div *divide *true_divide Tensor.__truediv__")
@takes_numbers
def div(cx: Context, input: Any, other: Any, *, rounding_mode: str | None = None) -> Node:
    if rounding_mode not in (None, "floor", "trunc"):
        raise ValueError(f"div: unknown rounding_mode {rounding_mode!r}")
    return cx.op({None: "div", "floor": "floor_divide", "trunc": "trunc_divide"}[rounding_mode], input, other)


@name("Tensor.__rtruediv__ Tensor.__rdiv__")
@takes_numbers
def rtruediv(cx: Context, input: Any, other: Any) -> Node:
    """`number / tensor` is the reciprocal times the number in eager: the rounding differs from a division's."""
    return cx.op("mul", cx.op("reciprocal", input), other)


@name("*floor_divide Tensor.__floordiv__")
@takes_numbers
def floor_divide(cx: Context, input: Any, other: Any) -> Node:
    """As `div` with rounding, but that eager has no gradient of it, and says so in the backward pass."""
    state = state_of(cx.ev)
    if state.grad and any(isinstance(x, ArrayValue) and state.requires_grad(x.node(cx.ev)) for x in (input, other)):
        raise Declined("it has no gradient")
    return cx.op("floor_divide", input, other)


@name("Tensor.__rfloordiv__")
@takes_numbers
def rfloordiv(cx: Context, input: Any, other: Any) -> Node:
    return floor_divide(cx, other, input)


@name("Tensor.__rmod__")
@takes_numbers
def rmod(cx: Context, input: Any, other: Any) -> Node:
    return cx.op("remainder", other, input)


@name("*pow Tensor.__pow__")
@takes_numbers
def pow_(cx: Context, input: Any, exponent: Any) -> Node:
    base = cx.node(input)
    counted = not isinstance(exponent, (ArrayValue, Node, float, complex))  # an int, or one that changes between calls
    if counted and (base.dtype.is_int or base.dtype == bool_) and less(exponent, 0):
        raise ValueError("Integers to negative integer powers are not allowed.")
    if type(exponent) is float and 0 < abs(exponent) < LEAST:
        raise Declined("an exponent that float32 may not hold: eager's kernels do not agree about it")
    return cx.op("pow", base, exponent)


@name("Tensor.__rpow__")
@takes_numbers
def rpow(cx: Context, input: Any, other: Any) -> Node:
    return cx.op("pow", other, input)


def _reflected(op: str) -> Any:
    return lambda cx, input, other: cx.op(op, other, input)


for _place, _op in (
    ("Tensor.__rand__", "bitwise_and"), ("Tensor.__ror__", "bitwise_or"), ("Tensor.__rxor__", "bitwise_xor"),
    ("Tensor.__rlshift__", "bitwise_left_shift"), ("Tensor.__rrshift__", "bitwise_right_shift"),
):  # fmt: skip
    register(_place, _reflected(_op))


# ------------------------------------------------------------------ several operands


@name("*clamp *clip")
@takes_numbers
def clamp(cx: Context, input: ArrayValue, min: Any = None, max: Any = None) -> Node:
    return cx.op("clamp", input, min, max)


@name("*clamp_min")
@takes_numbers
def clamp_min(cx: Context, input: ArrayValue, min: Any) -> Node:
    return cx.op("clamp", input, min, None)


@name("*clamp_max")
@takes_numbers
def clamp_max(cx: Context, input: ArrayValue, max: Any) -> Node:
    return cx.op("clamp", input, None, max)


@name("torch.where")
@takes_numbers
def where(cx: Context, condition: ArrayValue, input: Any = None, other: Any = None) -> Any:
    if input is None and other is None and cx.ev.sizes_from_data:
        return nonzero(cx, condition, as_tuple=True)
    if input is None or other is None:
        raise cx.broken(
            "data-dependent-shape",
            "torch.where with a condition alone",
            "the size of its result depends on the data",
            "use the three-argument form",
        )
    return cx.op("where", condition, input, other)


@name("Tensor.where")
@takes_numbers
def tensor_where(cx: Context, self: ArrayValue, condition: ArrayValue, other: Any) -> Node:
    return cx.op("where", condition, self, other)


@name("*masked_fill")
@takes_numbers
def masked_fill(cx: Context, input: ArrayValue, mask: ArrayValue, value: Any) -> Node:
    return cx.op("masked_fill", input, mask, value)


@name("*lerp")
@takes_numbers
def lerp(cx: Context, input: ArrayValue, end: ArrayValue, weight: Any) -> Node:
    return cx.op("lerp", input, end, weight)


def _added(op: str) -> Any:
    def call(cx: Context, input: ArrayValue, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Node:
        if isinstance(value, Node) and value.dtype.is_float:
            dtype = result_dtype(*(cx.node(x).meta for x in (input, tensor1, tensor2)))
            if not dtype.is_float:
                raise Declined("a factor that loses its fraction, known only when the graph runs")
        return cx.op(op, input, tensor1, tensor2, value)

    call.__name__ = op
    return call


for _op in ("addcmul", "addcdiv"):
    register(expand(f"*{_op}"), takes_numbers(_added(_op)))


@name("*isclose")
def isclose(cx: Context, input: ArrayValue, other: ArrayValue, rtol: float = 1e-05, atol: float = 1e-08,
            equal_nan: bool = False) -> Node:  # fmt: skip
    return cx.op("isclose", input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


@name("*nan_to_num")
def nan_to_num(cx: Context, input: ArrayValue, nan: float | None = None, posinf: float | None = None,
               neginf: float | None = None) -> Node:  # fmt: skip
    return cx.op("nan_to_num", input, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)


@name("*logit torch.special.logit")
def logit(cx: Context, input: ArrayValue, eps: float | None = None) -> Node:
    return cx.op("logit", input, eps=eps)


@name("F.glu")
def glu(cx: Context, input: ArrayValue, dim: int = -1) -> Node:
    return cx.op("glu", input, dim=dim)


@name("*prelu F.prelu")
def prelu(cx: Context, input: ArrayValue, weight: ArrayValue) -> Any:
    """One weight for all, or one per channel (dim 1)."""
    w: Any = weight
    channels = input.meta.shape[1] if len(input.meta.shape) > 1 else 1
    if (
        not input.meta.shape
        or len(weight.meta.shape) > 1
        or not (weight.meta.numel == 1 or weight.meta.numel == channels)
    ):
        raise ValueError(f"prelu: weights of shape {weight.meta.shape} for an input of shape {input.meta.shape}")
    if weight.meta.numel != 1 and len(input.meta.shape) > 1:
        w = cx.op("reshape", weight, shape=(-1, *(1,) * (len(input.meta.shape) - 2)))
    return cx.op("prelu", input, w)


@name("torch.linalg.cross")
def linalg_cross(cx: Context, input: ArrayValue, other: ArrayValue, *, dim: int = -1) -> Node:
    if input.meta.dtype != other.meta.dtype:
        raise Declined("operands of two types")
    return cx.op("cross", input, other, dim=dim)


@name("*cross")
def cross(cx: Context, input: ArrayValue, other: ArrayValue, dim: int | None = None) -> Node:
    """Without dim: the first of size 3."""
    if dim is None:
        dim = next((d for d, n in enumerate(input.meta.shape) if same(n, 3)), -1)
        warn_of(cx.ev, cross_along_no_dim)
    return linalg_cross(cx, input, other, dim=dim)


@name("torch.result_type")
def result_type(cx: Context, tensor1: Any, tensor2: Any) -> torch.dtype:
    return getattr(torch, cx.op("add", tensor1, tensor2).dtype.name)


@name("torch.can_cast")
def can_cast(cx: Context, from_: torch.dtype, to: torch.dtype) -> bool:
    return torch.can_cast(from_, to)


@name("torch.promote_types")
def promote_types(cx: Context, type1: torch.dtype, type2: torch.dtype) -> torch.dtype:
    return torch.promote_types(type1, type2)


@name("*logical_not")
def logical_not(cx: Context, input: ArrayValue) -> Node:
    return cx.op("bitwise_not" if input.meta.dtype == bool_ else "logical_not", input)
