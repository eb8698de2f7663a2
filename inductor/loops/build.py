"""Expressions made: literals, loads, conversions, masks, reductions."""

from __future__ import annotations

import math
from typing import Any

from ...errors import InternalError
from ..dtypes import HALVES, DType, bool_, float32, int64
from .language import Expr, Index, expr
from .reducers import REDUCERS


def const(value: Any, dtype: DType) -> Expr:
    """A literal."""
    return expr("const", dtype=dtype, attr=value)


def index_value(index: Index) -> Expr:
    """An index as an int64 value."""
    return const(index.const, int64) if index.is_const else expr("index", dtype=int64, attr=index)


def load(buffer: str, index: Index, dtype: DType) -> Expr:
    """An element of a buffer."""
    return expr("load", dtype=dtype, attr=(buffer, index))


def cast(value: Expr, dtype: DType) -> Expr:
    """`value` as `dtype`; the identity when it already is."""
    if value.dtype == dtype:
        return value
    if dtype in HALVES and value.op == "cast" and value.args[0].dtype == dtype and value.dtype == float32:
        return value.args[0]  # widened, and back
    if value.op == "const" and isinstance(value.attr, (bool, int, float)):
        v = value.attr
        if dtype.kind == "bool":
            return const(bool(v), dtype)
        if dtype.is_float and isinstance(v, (bool, int)) and abs(v) < 1 << 24:
            return const(float(v), dtype)
        if dtype.is_int and isinstance(v, (bool, int)) and 0 <= v < 128:
            return const(int(v), dtype)
    return expr("cast", value, dtype=dtype)


def masked(cond: Expr, value: Expr, other: Expr) -> Expr:
    """`value` where `cond`, else `other`; loads below `value` are not performed where `cond` is false."""
    if cond.op == "const":
        return value if cond.attr else other
    return expr("masked", cond, value, other, dtype=value.dtype)


def reduces_under_mask(e: Expr) -> bool:
    """Whether a `masked` holds a reduction while its condition differs along r: what both read is computed with and without it."""
    return e.op == "masked" and e.args[0].varies_in_r and e.args[1].reduce_depth > 0


def is_in_order(e: Expr) -> bool:
    """Whether the order in which r is walked shows in a value: positions and prefixes."""
    return e.op == "scan" or (e.op == "reduce" and REDUCERS[e.attr].is_position)


def spelled_out(e: Expr) -> Expr:
    """An `attend` in reductions: three passes over its row."""
    score, value = e.args
    most = reduce("max", score)
    weight = expr("exp", expr("sub", score, most, dtype=e.dtype), dtype=e.dtype)
    total = reduce("sum", expr("mul", weight, value, dtype=e.dtype))
    mean = expr("div", total, reduce("sum", weight), dtype=e.dtype)
    if e.attr == "nan":
        return mean
    is_empty = expr("eq", most, const(-math.inf, e.dtype), dtype=bool_)
    return expr("where", is_empty, const(0.0, e.dtype), mean, dtype=e.dtype)


def reduce(kind: str, value: Expr) -> Expr:
    """Reduce `value` over r. A position is an int64, a truth a bool."""
    if kind not in REDUCERS:
        raise InternalError(f"[loops] unknown reduction {kind!r}; known: {', '.join(REDUCERS)}")
    dtype = {"value": value.dtype, "truth": bool_, "position": int64}[REDUCERS[kind].finish]
    return expr("reduce", value, dtype=dtype, attr=kind)
