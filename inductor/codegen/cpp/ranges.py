"""Which int64 values surely fit 32 bits: index arithmetic in vectors is twice as wide then."""

from __future__ import annotations

import itertools
import math
from weakref import WeakKeyDictionary

from ...dtypes import DType
from ...dtypes import int64 as int64_
from ...loops import Expr, index_interval, postorder
from ...ops.scalar import SCALAR

Interval = tuple[int, int]

_LOW, _HIGH = -(1 << 31), (1 << 31) - 1


def fits_i32(e: Expr) -> bool:
    """Whether an int64 expression can be computed in 32 bits, its operands included."""
    return interval(e) is not None


_known: WeakKeyDictionary[Expr, Interval | None] = WeakKeyDictionary()


def interval(e: Expr) -> Interval | None:
    """The range of an integer expression within 32 bits; None where it, or an operand, may leave them."""
    if e not in _known:
        for x in postorder([e], known=_known):  # operands first: expressions are deeper than Python's stack
            found = _interval(x)
            _known[x] = found if found is not None and _LOW <= found[0] and found[1] <= _HIGH else None
    return _known[e]


def _interval(e: Expr) -> Interval | None:
    if e.op == "const":
        return (int(e.attr), int(e.attr)) if isinstance(e.attr, (bool, int)) else None
    if e.op == "index":
        return index_interval(e.attr)
    if e.op == "cast":
        return _dtype_interval(e.args[0].dtype) if e.args[0].dtype != int64_ else interval(e.args[0])
    if e.op == "where" or e.op == "masked":
        return _union([interval(a) for a in e.args[1:]])
    if e.op in SCALAR and SCALAR[e.op].corners:
        args = [a for a in map(interval, e.args) if a is not None]
        if len(args) == len(e.args):
            ends = [SCALAR[e.op].python(*corner) for corner in itertools.product(*args)]
            return min(ends), max(ends)
    return None


def _dtype_interval(d: DType) -> Interval | None:
    if d.kind == "bool":
        return (0, 1)
    if d.is_int and d.size <= 2 or d.name == "int32":
        bits = 8 * d.size
        return (0, (1 << bits) - 1) if d.kind == "uint" else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return None


def _union(parts: list[Interval | None]) -> Interval | None:
    known = [p for p in parts if p is not None]
    return (min(p[0] for p in known), max(p[1] for p in known)) if len(known) == len(parts) else None


def sum_fits_i32(value: Expr, extents: list[object]) -> bool:
    """Whether summing `value` over so many points stays within 32 bits."""
    part = interval(value)
    if part is None or not all(isinstance(e, int) for e in extents):
        return False
    count = math.prod(extents)  # type: ignore[arg-type]
    return max(abs(part[0]), abs(part[1])) * count <= _HIGH
