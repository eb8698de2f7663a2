"""Python numbers: known when the graph is made, or when it runs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from ...errors import LoweringError
from .. import dtypes
from ..dtypes import LARGEST, DType, bool_, float64, held_range
from ..graph import Node, TensorMeta
from ..loops import Expr, Fn, as_index, const, expr, index_value
from .common import REQUIRED, convert, number, row
from .facts import ALL_ERRORS, IS_HALF
from .promotion import DEFAULT_FLOAT
from .requires import Finite, Range, Requirement


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


def _meta_number(x: TensorMeta, *, fits: DType | None = None) -> TensorMeta:
    if x.shape or x.dtype not in (dtypes.float64, dtypes.int64):
        raise TypeError(f"a number is held in a 0-dim float64 or int64 tensor, not in {x}")
    return TensorMeta((), (), DEFAULT_FLOAT if x.dtype.is_float else dtypes.int64, x.device, weak=True)


def _fitting(node: Node) -> Iterator[Requirement]:
    fits = node.attrs["fits"]
    if fits is not None:
        yield Finite(0, LARGEST[fits]) if fits.is_float else Range(0, *held_range(fits, int))


# A Python float or int that is known only when the graph runs; with all its digits, whatever the dtype it meets. `fits`: eager
# refuses it where that dtype cannot hold it
NUMBER = row("number", "pointwise", _meta_number, attrs={"fits": None}, requires=_fitting,
             lower=lambda node, x: lambda index: x(()), errors=ALL_ERRORS)  # fmt: skip
