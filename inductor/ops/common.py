"""What the rows share: how rows are added, argument checks, and the two steps of every pointwise lowering
(broadcast the index, convert the operands)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...errors import LoweringError
from ..dtypes import DType, bool_, compute_dtype, int64, int_range
from ..graph import Dim, Node, TensorMeta, contiguous_strides
from ..loops import ZERO, Expr, Fn, Index, as_index, cast, const, expr, index_value
from .dims import is_one
from .facts import ALL_ERRORS, QUIET
from .intervals import of_elements, of_number
from .table import OPS, REQUIRED, Op

__all__ = ["OPS", "REQUIRED", "Op", "row"]


#: what follows from an op's kind where its row does not say otherwise
_BY_KIND: dict[str, dict[str, Any]] = {
    "input": {"cost": "free", "errors": QUIET, "opaque": True, "eager": "none"},
    "literal": {"cost": "free", "elements": "given"},
    "constant": {"cost": "free", "elements": "given"},
    "pointwise": {"cost": "cheap"},
    "view": {"cost": "free", "elements": "first", "aliases": True},
    "reduction": {"cost": "cheap"},
    "index": {"cost": "cheap"},
    "scan": {"cost": "cheap"},
    "contraction": {"cost": "heavy"},
    "composite": {"cost": "cheap", "errors": ALL_ERRORS},
    "extern": {"cost": "call", "errors": ALL_ERRORS},
}
#: what follows from where its elements come from
_BY_ELEMENTS: dict[str, dict[str, Any]] = {
    "first": {"errors": QUIET, "bounds": of_elements},
    "any": {"errors": QUIET, "bounds": of_elements},
    "given": {"errors": QUIET, "bounds": of_number},
}


def row(name: str, kind: str, meta: Callable[..., Any], **fields: Any) -> Op:
    """Add a row to the table; `fields` are the columns of `Op`. What they leave out follows from the kind and from `elements`."""
    known = {**_BY_KIND.get(kind, {}), **fields}
    return OPS.add(Op(name, kind, meta, **{**known, **_BY_ELEMENTS.get(known.get("elements", ""), {}), **fields}))


def args(node: Node) -> tuple[Any, ...]:
    """The node's inputs. Which of them may be None the op's meta rule has checked, so their type is left open."""
    return node.inputs


def new_meta(shape: Sequence[Dim], dtype: DType, device: str) -> TensorMeta:
    """A fresh contiguous tensor."""
    shape = tuple(shape)
    return TensorMeta(shape, contiguous_strides(shape), dtype, device)


def fresh(x: TensorMeta) -> TensorMeta:
    """A fresh contiguous tensor like `x`."""
    return new_meta(x.shape, x.dtype, x.device)


def wrap_dim(dim: int, ndim: int, what: str = "dim") -> int:
    """A dimension number made non-negative. A 0-dim tensor accepts 0 and -1. Raises IndexError when out of range."""
    if isinstance(dim, bool) or not isinstance(dim, int):
        raise TypeError(f"{what} must be an int, not {type(dim).__name__}")
    rank = max(ndim, 1)
    if not -rank <= dim < rank:
        raise IndexError(f"{what} {dim} is out of range for a tensor of {ndim} dimensions ([{-rank}, {rank - 1}])")
    return dim % rank


def wrap_dims(dims: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Reduced dimensions in ascending order; None or empty means all. Raises ValueError for a repeated one."""
    if dims is None or (not isinstance(dims, int) and len(dims) == 0):
        return tuple(range(ndim))
    wrapped = [wrap_dim(d, ndim) for d in ([dims] if isinstance(dims, int) else dims)]
    if len(set(wrapped)) != len(wrapped):
        raise ValueError(f"a dimension appears twice in {dims}")
    return tuple(sorted(d for d in wrapped if d < ndim))


def scalar_value(node: Node | None) -> Any:
    """The Python number behind a `scalar` node, else None. A tensor that holds the same number everywhere is none."""
    if node is not None and node.op.kind == "literal" and isinstance(node.attrs["value"], (bool, int, float)):
        return node.attrs["value"]
    return None


# --------------------------------------------------------------------------- lowering


def convert(value: Expr, dtype: DType) -> Expr:
    """`value` in the compute form of `dtype`. A literal is retyped, so a Python float keeps its digits in float64."""
    if dtype.is_complex or value.dtype.is_complex:
        raise LoweringError(f"[ops] complex arithmetic has no loop lowering ({value.dtype} to {dtype})")
    target = compute_dtype(dtype)
    if value.op == "const" and value.dtype != target and target.is_float:
        if isinstance(value.attr, (bool, int, float)):
            return const(float(value.attr), target)
    return cast(value, target)


def at(fn: Fn, index: tuple[Index, ...], node: Node, shape: Sequence[Dim]) -> Expr:
    """The value of input `node` at the point `index` of the broadcast `shape`."""
    return fn(broadcast_index(index, node.shape, shape))


def broadcast_index(index: tuple[Index, ...], inner: Sequence[Dim], outer: Sequence[Dim]) -> tuple[Index, ...]:
    """A point of `outer` as a point of the smaller shape `inner`: leading dims dropped, repeated dims at 0."""
    tail = index[len(outer) - len(inner) :]
    return tuple(ZERO if is_one(size) else i for i, size in zip(tail, inner))


def number(value: bool | int | float, dtype: DType) -> Expr:
    """A literal in the compute form of `dtype`. What an integer type does not hold wraps, as -1 does to the largest uint8."""
    target = compute_dtype(dtype)
    if target.is_float:
        return const(float(value), target)
    if target == bool_:
        return const(bool(value), target)
    low, high = int_range(dtype)
    return const((int(value) - low) % (high - low + 1) + low, target)


def size_value(size: Dim) -> Expr:
    """A size as an int64 value."""
    return index_value(as_index(size))


def compare(op: str, a: Expr, b: Expr) -> Expr:
    """A comparison; int64 literals fold."""
    return expr(op, a, b, dtype=bool_)


def both(a: Expr, b: Expr) -> Expr:
    """Logical and of two bool values."""
    if a.op == "const":
        return b if a.attr else a
    if b.op == "const":
        return a if b.attr else b
    return expr("and", a, b, dtype=bool_)


def int_op(op: str, a: Expr, b: Expr) -> Expr:
    """Arithmetic on int64 values."""
    return expr(op, a, b, dtype=int64)


TRUE = const(True, bool_)
