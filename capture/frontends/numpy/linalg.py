"""Products of vectors and matrices, einsum and norms."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....inductor.graph import Dim, Input
from ....inductor.ops.promotion import broadcast_shapes
from . import layout
from .arrays import Array, unsupported
from .builder import ArrayBuilder
from .reductions import max_, min_, sum_, wrap_axes
from .shaping import moveaxis, ravel, reshape, wrap_axis
from .ufuncs import call_ufunc

_FLOAT64 = np.dtype(np.float64)


# --------------------------------------------------------------------------- products


def matmul(b: ArrayBuilder, x1: Any, x2: Any, out: Any = None, *, dtype: Any = None, casting: str = "same_kind",
           order: str = "K", subok: bool = True) -> Any:  # fmt: skip
    """`x1 @ x2`."""
    x, y = b.lift(x1), b.lift(x2)
    if not x.ndim or not y.ndim:
        raise ValueError("matmul: Input operand does not have enough dimensions")
    if not layout.same(x.shape[-1], y.shape[-2] if y.ndim > 1 else y.shape[0]):
        raise ValueError(
            f"matmul: Input operand 1 has a mismatch in its core dimension 0 (shapes {x.shape} and {y.shape})"
        )
    kind = np.matmul.resolve_dtypes((x.dtype, y.dtype, None))[-1] if dtype is None else np.dtype(dtype)
    stacks = [(v.shape[:-2], v.strides[:-2]) for v in (x, y)]
    lead = broadcast_shapes(*(shape for shape, _ in stacks))
    rows = x.shape[-2:-1] if x.ndim > 1 else ()
    columns = y.shape[-1:] if y.ndim > 1 else ()
    shape = (*lead, *rows, *columns)
    strides = layout.stacked_strides(stacks, len(lead), shape)
    return b.into(out, _product(b, b.cast(x, kind), b.cast(y, kind), kind, shape, strides), spreads=True)


def _product(
    b: ArrayBuilder, x: Array, y: Array, kind: np.dtype, shape: Sequence[Dim], strides: Sequence[Dim]
) -> Array:
    """A matrix product of equal dtypes; floats by the table's op, others as NumPy's own call."""
    if kind.kind == "f":
        return b.call("matmul", x, y, strides=strides)
    return b.extern("numpy:matmul", [x, y], [Input(0), Input(1)], shape, kind, strides=strides)


def dot(b: ArrayBuilder, a: Any, b_: Any, out: Any = None) -> Any:
    x, y = b.lift(a), b.lift(b_)
    if out is not None and not (isinstance(out, Array) and out.dtype == np.result_type(x.dtype, y.dtype)):
        raise unsupported("np.dot with out= of another dtype")
    if isinstance(out, Array) and not (out.ndim and layout.is_c_contiguous(out.shape, out.strides)):
        raise unsupported("np.dot with out= of no axes, which it does not return, or not row by row, which it refuses")
    if not x.ndim or not y.ndim:
        return b.into(out, _with_scalar(b, x, y))
    if y.ndim <= 2 and x.ndim <= 2:
        return b.into(out, matmul(b, x, y))
    return b.into(out, tensordot(b, x, y, (x.ndim - 1, max(y.ndim - 2, 0))))


def _with_scalar(b: ArrayBuilder, x: Array, y: Array) -> Any:
    """A product with an array of no axes. NumPy lets BLAS add vectors and matrices of its types to zeros, matrices row by row."""
    kind, ndim = np.result_type(x.dtype, y.dtype), max(x.ndim, y.ndim)
    if kind.char not in "fdFD" or ndim not in (1, 2):
        return call_ufunc(b, np.multiply, x, y)
    return call_ufunc(b, np.add, call_ufunc(b, np.multiply, x, y, order="C"), kind.type(0))


def vdot(b: ArrayBuilder, a: Any, b_: Any) -> Any:
    x = ravel(b, a)
    return dot(b, call_ufunc(b, np.conjugate, x) if x.kind == "c" else x, ravel(b, b_))


def inner(b: ArrayBuilder, a: Any, b_: Any) -> Any:
    x, y = b.lift(a), b.lift(b_)
    if not x.ndim or not y.ndim:
        return _with_scalar(b, x, y)
    return matmul(b, x, y) if x.ndim == y.ndim == 1 else tensordot(b, x, y, (-1, -1))


def outer(b: ArrayBuilder, a: Any, b_: Any, out: Any = None) -> Any:
    x, y = ravel(b, a), ravel(b, b_)
    return call_ufunc(b, np.multiply, b.view(x, "unsqueeze", dim=1), b.view(y, "unsqueeze", dim=0), out=out)


def tensordot(b: ArrayBuilder, a: Any, b_: Any, axes: Any = 2) -> Any:
    """Sum over pairs of axes, as one product of two matrices."""
    x, y = b.lift(a), b.lift(b_)
    if isinstance(axes, int):
        left, right = list(range(x.ndim - axes, x.ndim)), list(range(axes))
    else:
        left, right = ([p] if isinstance(p, int) else list(p) for p in axes)
    left, right = [wrap_axis(d, x.ndim) for d in left], [wrap_axis(d, y.ndim) for d in right]
    if len(left) != len(right) or not all(layout.same(x.shape[i], y.shape[j]) for i, j in zip(left, right)):
        raise ValueError("shape-mismatch for sum")
    rows = [d for d in range(x.ndim) if d not in left]
    columns = [d for d in range(y.ndim) if d not in right]
    count = math.prod([x.shape[d] for d in left])
    flat_x = reshape(b, b.view(x, "permute", dims=(*rows, *left)), (math.prod([x.shape[d] for d in rows]), count))
    flat_y = reshape(
        b, b.view(y, "permute", dims=(*right, *columns)), (count, math.prod([y.shape[d] for d in columns]))
    )
    shape = (*(x.shape[d] for d in rows), *(y.shape[d] for d in columns))
    made = matmul(b, flat_x, flat_y)
    return reshape(b, made, shape) if shape else b.fresh(b.emit("reshape", b.node(made), shape=()), scalar=False)


def trace(
    b: ArrayBuilder, a: Any, offset: int = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None, out: Any = None
) -> Any:
    x = b.lift(a)
    if x.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    line = b.view(x, "diagonal", offset=offset, dim1=wrap_axis(axis1, x.ndim), dim2=wrap_axis(axis2, x.ndim))
    return sum_(b, line, -1, dtype, out)


def cross(b: ArrayBuilder, a: Any, b_: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = moveaxis(b, a, axisa, -1), moveaxis(b, b_, axisb, -1)
    if not (layout.same(x.shape[-1], 3) and layout.same(y.shape[-1], 3)):
        raise unsupported("np.cross of vectors that have not three elements")

    def part(v: Array, i: int) -> Array:
        return b.view(v, "select", dim=v.ndim - 1, index=i)

    def minor(i: int, j: int) -> Array:
        return call_ufunc(b, np.subtract, call_ufunc(b, np.multiply, part(x, i), part(y, j)),
                          call_ufunc(b, np.multiply, part(x, j), part(y, i)))  # fmt: skip

    parts = [minor(1, 2), minor(2, 0), minor(0, 1)]
    made = b.fresh(b.emit("stack", *[b.node(p) for p in parts], dim=-1))
    return moveaxis(b, made, -1, axisc) if made.ndim > 1 else made


def kron(b: ArrayBuilder, a: Any, b_: Any) -> Any:
    x, y = b.lift(a), b.lift(b_)
    if not x.ndim or not y.ndim:
        return call_ufunc(b, np.multiply, x, y)
    n = max(x.ndim, y.ndim)
    left, right = (1,) * (n - x.ndim) + x.shape, (1,) * (n - y.ndim) + y.shape
    x = reshape(b, x, [s for d in left for s in (d, 1)])
    y = reshape(b, y, [s for d in right for s in (1, d)])
    return reshape(b, call_ufunc(b, np.multiply, x, y), [m * k for m, k in zip(left, right)])


# --------------------------------------------------------------------------- einsum


def einsum(b: ArrayBuilder, *operands: Any, out: Any = None, dtype: Any = None, order: str = "K", casting: str = "safe",
           optimize: Any = False) -> Any:  # fmt: skip
    """Pairs of operands from the left: a matrix product where one sums over shared axes, else a product and a sum."""
    if not operands or not isinstance(operands[0], str) or order != "K":
        raise unsupported("np.einsum without a subscript string, or with order=")
    if optimize is not False and len(operands) > 2:
        raise unsupported("np.einsum with optimize=", why="its result is laid out as the order of the products says")
    arrays = [b.lift(o) for o in operands[1:]]
    inputs, result = _subscripts(operands[0], arrays)
    kind = np.result_type(*(a.dtype for a in arrays)) if dtype is None else np.dtype(dtype)
    if kind.kind == "b":
        raise unsupported("np.einsum of booleans")
    given = [_diagonals(b, a, labels) for a, labels in zip(arrays, inputs)]
    if len(given) == 1 and set(given[0][1]) == set(result):
        x, labels = given[0]  # a view, whatever dtype= says
        turned = b.view(x, "permute", dims=tuple(map(labels.index, result))) if result else b.call_node(b.node(x))
        return b.into(out, turned)
    terms = [(b.cast(a, kind), labels) for a, labels in given]
    while len(terms) > 1:
        (x, left), (y, right), *rest = terms
        wanted = set(result).union(*(labels for _, labels in rest)) if rest else set(result)
        terms = [_contract(b, x, left, y, right, wanted), *rest]
    made, labels = terms[0]
    made = _summed(b, made, labels, result)
    return b.into(out, made if optimize else b.laid_out(made, _strides(given, result, made.shape)))


def _strides(terms: Sequence[tuple[Array, str]], result: str, shape: Sequence[Dim]) -> tuple[Dim, ...]:
    """Those of a new result: NumPy goes over its axes, and over those that are summed, in the order of the operands' memory."""
    labels = [*result, *sorted({c for _, own in terms for c in own} - set(result))]

    def along(own: str, steps: Sequence[Dim], nothing: int) -> list[Dim]:
        return [steps[own.index(c)] if c in own else nothing for c in labels]

    order = layout.axis_order([(along(own, x.shape, 1), along(own, x.strides, 0)) for x, own in terms], len(labels))
    return layout.ordered_strides(shape, [axis for axis in order if axis < len(result)])


def _subscripts(text: str, arrays: Sequence[Array]) -> tuple[list[str], str]:
    """Labels of each operand and of the result; an ellipsis becomes capital Greek letters."""
    text = text.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        raise ValueError("more operands provided to einstein sum function than specified in the subscripts string")
    dots = [a.ndim - len(t.replace("...", "")) if "..." in t else 0 for t, a in zip(terms, arrays)]
    letters = "".join(chr(ord("\u0391") + k) for k in range(max(dots, default=0)))
    named = [t.replace("...", letters[len(letters) - d :]) for t, d in zip(terms, dots)]
    for t, a in zip(named, arrays):
        if len(t) != a.ndim:
            raise ValueError(f"einstein sum subscripts string {t!r} does not fit an operand of {a.ndim} dimensions")
    if arrow:
        result = right.replace("...", letters)
    else:
        every = "".join(named)
        result = letters + "".join(sorted(c for c in set(every) if every.count(c) == 1 and c not in letters))
    if len(set(result)) != len(result) or not set(result) <= set("".join(named)):
        raise ValueError(f"einstein sum subscripts string has a bad output: {result!r}")
    return named, result


def _diagonals(b: ArrayBuilder, x: Array, labels: str) -> tuple[Array, str]:
    """Repeated labels become one axis: the diagonal."""
    for c in dict.fromkeys(labels):
        while labels.count(c) > 1:
            one = labels.index(c)
            other = labels.index(c, one + 1)
            if not layout.same(x.shape[one], x.shape[other]):
                raise ValueError(f"axes of index {c!r} have different sizes, {x.shape[one]} and {x.shape[other]}")
            rest = [d for d in range(x.ndim) if d not in (one, other)]
            x = b.view(x, "permute", dims=(*rest, one, other))
            x = b.view(x, "diagonal", offset=0, dim1=x.ndim - 2, dim2=x.ndim - 1).made_by("einsum")
            labels = "".join(k for d, k in enumerate(labels) if d not in (one, other)) + c
    return x, labels


def _summed(b: ArrayBuilder, x: Array, labels: str, result: str) -> Array:
    """`x` summed over the labels that the result lacks, its axes in the result's order."""
    gone = tuple(d for d, c in enumerate(labels) if c not in result)
    if gone:
        x = sum_(b, x, gone, dtype=x.dtype)
        labels = "".join(c for c in labels if c in result)
    order = tuple(labels.index(c) for c in result)
    if order == tuple(range(len(order))):
        return x
    return b.copy(b.view(x, "permute", dims=order), "K")


def _contract(b: ArrayBuilder, x: Array, left: str, y: Array, right: str, wanted: set[str]) -> tuple[Array, str]:
    """One product: labels outside `wanted` are summed over as soon as no other operand needs them."""
    x, left = _drop(b, x, left, wanted | set(right))
    y, right = _drop(b, y, right, wanted | set(left))
    shared = [c for c in left if c in right]
    summed = [c for c in shared if c not in wanted]
    batch = [c for c in shared if c in wanted]
    rows, columns = [c for c in left if c not in right], [c for c in right if c not in left]
    sizes = _sizes(x, left) | {c: s for c, s in _sizes(y, right).items() if not layout.is_one(s) or c not in left}
    repeated = any(layout.is_one(x.shape[left.index(c)]) != layout.is_one(y.shape[right.index(c)]) for c in shared)
    if summed and rows and columns and not repeated:
        return _as_matrices(b, x, left, y, right, batch, rows, columns, summed, sizes)
    labels = [*batch, *rows, *columns, *summed]
    product = call_ufunc(b, np.multiply, _aligned(b, x, left, labels), _aligned(b, y, right, labels))
    if summed:
        product = sum_(b, product, tuple(range(len(labels) - len(summed), len(labels))), dtype=product.dtype)
    return product, "".join(c for c in labels if c not in summed)


def _sizes(x: Array, labels: str) -> dict[str, Dim]:
    return dict(zip(labels, x.shape))


def _drop(b: ArrayBuilder, x: Array, labels: str, needed: set[str]) -> tuple[Array, str]:
    gone = tuple(d for d, c in enumerate(labels) if c not in needed)
    return (sum_(b, x, gone, dtype=x.dtype), "".join(c for c in labels if c in needed)) if gone else (x, labels)


def _aligned(b: ArrayBuilder, x: Array, labels: str, order: Sequence[str]) -> Array:
    """`x` with its axes in `order`, of size 1 where it lacks one."""
    x = b.view(x, "permute", dims=tuple(labels.index(c) for c in order if c in labels))
    for d, c in enumerate(order):
        if c not in labels:
            x = b.view(x, "unsqueeze", dim=d)
    return x


def _as_matrices(b: ArrayBuilder, x: Array, left: str, y: Array, right: str, batch: list[str], rows: list[str],
                 columns: list[str], summed: list[str], sizes: dict[str, Dim]) -> tuple[Array, str]:  # fmt: skip
    def size(labels: Sequence[str]) -> Dim:
        return math.prod([sizes[c] for c in labels])

    lead = [sizes[c] for c in batch]
    one = reshape(b, _aligned(b, x, left, [*batch, *rows, *summed]), (*lead, size(rows), size(summed)))
    two = reshape(b, _aligned(b, y, right, [*batch, *summed, *columns]), (*lead, size(summed), size(columns)))
    labels = [*batch, *rows, *columns]
    return reshape(b, matmul(b, one, two, dtype=x.dtype), [sizes[c] for c in labels]), "".join(labels)


# --------------------------------------------------------------------------- norms


def norm(b: ArrayBuilder, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """np.linalg.norm of vectors, and of matrices for the norms that need no singular values."""
    a = b.lift(x)
    if a.kind == "c":
        raise unsupported("np.linalg.norm of complex numbers")
    a = b.cast(a, _FLOAT64) if a.kind in "biu" else a
    if axis is None and (ord is None or (ord in ("f", "fro") and a.ndim == 2) or (ord == 2 and a.ndim == 1)):
        flat = ravel(b, a, "A" if layout.is_f_contiguous(a.shape, a.strides) else "C")
        made = call_ufunc(b, np.sqrt, dot(b, flat, flat))
        return reshape(b, made, (1,) * a.ndim) if keepdims else made
    axes = wrap_axes(axis, a.ndim)
    if len(axes) == 1:
        return _vector_norm(b, a, ord, axes, keepdims)
    if len(axes) == 2 and axis is not None or a.ndim == 2:
        return _matrix_norm(b, a, ord, axes if axis is None else tuple(wrap_axis(d, a.ndim) for d in axis), keepdims)
    raise ValueError("Improper number of dimensions to norm.")


def _vector_norm(b: ArrayBuilder, a: Array, order: Any, axes: tuple[int, ...], keepdims: bool) -> Array:
    size = call_ufunc(b, np.absolute, a)
    if order == math.inf:
        return max_(b, size, axes, keepdims=keepdims)
    if order == -math.inf:
        return min_(b, size, axes, keepdims=keepdims)
    if order == 0:
        return sum_(b, b.cast(call_ufunc(b, np.not_equal, a, 0), a.dtype), axes, keepdims=keepdims)
    if order == 1:
        return sum_(b, size, axes, keepdims=keepdims)
    if order is None or order == 2:
        return call_ufunc(b, np.sqrt, sum_(b, call_ufunc(b, np.multiply, a, a), axes, keepdims=keepdims))
    if isinstance(order, str):
        raise ValueError(f"Invalid norm order '{order}' for vectors")
    total = sum_(b, call_ufunc(b, np.power, size, order), axes, keepdims=keepdims)
    return call_ufunc(b, np.power, total, 1 / order)


def _matrix_norm(b: ArrayBuilder, a: Array, order: Any, axes: tuple[int, ...], keepdims: bool) -> Array:
    if order in (None, "fro", "f"):
        return call_ufunc(b, np.sqrt, sum_(b, call_ufunc(b, np.multiply, a, a), axes, keepdims=keepdims))
    if order in (1, -1, math.inf, -math.inf):
        inner_axis, outer_axis = axes if abs(order) == 1 else axes[::-1]
        sums = sum_(b, call_ufunc(b, np.absolute, a), inner_axis, keepdims=True)
        made = (max_ if order > 0 else min_)(b, sums, outer_axis, keepdims=True)
        if keepdims:
            return made
        made = b.view(made, "squeeze", dim=tuple(sorted(axes)))
        return made if made.ndim else b.fresh(b.node(made), scalar=True)
    raise unsupported(f"np.linalg.norm with ord={order!r} of matrices")


def matrix_power(b: ArrayBuilder, a: Any, n: Any) -> Any:
    """Repeated squaring, as np.linalg.matrix_power does it."""
    x, n = b.lift(a), operator.index(n)
    if n < 0 or x.ndim < 2:
        raise unsupported("np.linalg.matrix_power with a negative power")
    if n == 0:
        raise unsupported("np.linalg.matrix_power with power 0", rewrite="use np.eye")
    if n == 1:
        return x
    made, square = None, x
    while n:
        n, bit = divmod(n, 2)
        if bit:
            made = square if made is None else matmul(b, made, square)
        square = matmul(b, square, square) if n else square
    return made
