"""What elementwise rows share: metas by the dtypes of their operands, lowerings from one scalar op, composites from a formula."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..dtypes import DType, bool_, compute_dtype
from ..graph import GraphBuilder, Node, TensorMeta
from ..loops import Expr, Fn, Index, expr
from .common import args, at, convert, number, row
from .promotion import float_dtype, pointwise_meta, result_dtype
from .scalar import SCALAR

# --------------------------------------------------------------------------- metas


def elementwise_meta(name: str, result: str, allowed: str = "any") -> Callable[..., TensorMeta]:
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
        whole = i.meta.weak or (i.shape == (1,) * i.ndim and k in node.op.rounding.whole)
        return value if whole or i.dtype == dtype or dtype not in dtypes.HALVES else round_half(value, dtype)

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


def truth(value: Expr) -> Expr:
    """`value` != 0."""
    return value if value.dtype == bool_ else expr("ne", value, number(0, value.dtype), dtype=bool_)


# --------------------------------------------------------------------------- halves


def round_half(x: Expr, dtype: DType) -> Expr:
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


def in_dtype(x: Expr, dtype: DType) -> Expr:
    """`x` with no more digits than `dtype` has."""
    return round_half(x, dtype) if dtype in dtypes.HALVES else x


# --------------------------------------------------------------------------- rows


def scalar_row(
    name: str,
    scalar: str,
    result: str,
    allowed: str,
    errors: int,
    meta: Callable[..., TensorMeta] | None = None,
    **fields: Any,
) -> None:
    """A row that applies one scalar op, which says what it costs."""
    row(name, "pointwise", meta or elementwise_meta(name, result, allowed), lower=scalar_lower(scalar), errors=errors,
        cost="heavy" if SCALAR[scalar].heavy else "cheap", **fields)  # fmt: skip


def composite(
    name: str, result: str, build: Callable[..., Node], allowed: str = "any", attrs: dict[str, Any] | None = None
) -> None:
    """A row from `build(b, *inputs, **attrs)`."""

    def decompose(b: GraphBuilder, node: Node) -> Node:
        return build(b, *args(node), **node.attrs)

    row(name, "composite", elementwise_meta(name, result, allowed), attrs=attrs or {}, decompose=decompose)


def literal_node(b: GraphBuilder, value: bool | int | float) -> Node:
    return b.scalar(value=value)
