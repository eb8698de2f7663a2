"""Small dense linear algebra: `np.linalg.solve` and its kin, by the factors of a matrix; cross products.

What LAPACK refuses, or answers with numbers that are all rounding, is left to Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .....inductor.sequential.program import ArrayRef, Cholesky, Determinant, Expr, Literal, Solve
from . import elements
from .functions import elementwise
from .joining import as_array
from .kinds import FLOAT, CannotRoll, Elements, Extent, InMemory, Number, Trace
from .making import identity
from .rearranging import at_places
from .ufuncs import cast


def _common(*arrays: Elements) -> np.dtype:
    """The type in which linear algebra computes: that of integers is float64."""
    dtypes = [a.dtype if a.kind in "fc" else FLOAT for a in arrays]
    if any(d == np.float16 for d in dtypes):
        raise CannotRoll("linear algebra of float16")
    return np.result_type(*dtypes)


def _square(t: Trace, a: Any) -> Elements:
    array = as_array(t, a)
    if array.ndim != 2 or not elements.agree(t, *array.sizes):
        raise CannotRoll("linear algebra of what is no square matrix")
    return array


def _own(t: Trace, a: Elements, dtype: np.dtype) -> InMemory:
    """A copy, row by row, to be worked in."""
    made = elements.new(t, a.sizes, dtype)
    elements.fill_new(t, made, a)
    return made


def _scratch(t: Trace, a: InMemory) -> ArrayRef:
    """Room for a real number of each row."""
    return elements.new(t, a.sizes[:1], np.dtype({"c8": "f4", "c16": "f8"}.get(a.dtype.str[1:], a.dtype))).ref


def _solve(t: Trace, a: Any, b: Any) -> Any:
    matrix, right = _square(t, a), as_array(t, b)
    if right.ndim not in (1, 2) or not elements.agree(t, matrix.sizes[0], right.sizes[0]):
        raise CannotRoll("np.linalg.solve with right sides of another size")
    return _solved(t, matrix, right)


def _solved(t: Trace, matrix: Elements, right: Elements) -> InMemory:
    dtype = _common(matrix, right)
    made = _own(t, right, dtype)
    t.emit(Solve(made.ref, _own(t, matrix, dtype).ref, _scratch(t, made)))
    return made


def _inverse(t: Trace, a: Any) -> Any:
    matrix = _square(t, a)
    return _solved(t, matrix, identity(matrix.sizes, _common(matrix)))


def _determinant(t: Trace, a: Any) -> Any:
    matrix = _square(t, a)
    dtype = _common(matrix)
    var, work = t.variable(dtype.name), _own(t, matrix, dtype)
    t.emit(Determinant(var, work.ref, _scratch(t, work)))
    return Number(var, dtype)


def _cholesky(t: Trace, a: Any) -> Any:
    matrix = _square(t, a)
    made = _own(t, matrix, _common(matrix))
    t.emit(Cholesky(made.ref, _scratch(t, made)))
    return made


# --------------------------------------------------------------------------- cross products


def _cross(t: Trace, a: Any, b: Any) -> Any:
    left, right = (at_places(t, as_array(t, x)) for x in (a, b))
    dtype = np.promote_types(left.dtype, right.dtype)
    if not left.ndim or not right.ndim or dtype.kind == "b":
        raise CannotRoll("np.cross of numbers or truth values")
    for x in (left, right):
        if not elements.agree(t, x.sizes[-1], elements.extent(3)):
            raise CannotRoll("np.cross of other than three numbers each")

    def part(x: Elements, k: int) -> Elements:
        at: Expr = Literal(k, "int64")
        return Elements(dtype, x.sizes[:-1], lambda i: cast(x.at((*i, at)), dtype), bases=x.bases, by_rows=x.by_rows)

    sizes: tuple[Extent, ...] = ()
    rows = []
    for i, j in ((1, 2), (2, 0), (0, 1)):
        products = [elementwise(t, np.multiply, [part(left, m), part(right, n)]) for m, n in ((i, j), (j, i))]
        rows.append(elementwise(t, np.subtract, products))
        sizes = rows[-1].sizes
    made = elements.new(t, (*sizes, elements.extent(3)), dtype)
    for k, row in enumerate(rows):
        target = elements.stretch(t, made, len(sizes), Literal(k, "int64"), elements.extent(1))
        elements.fill_new(t, target, elements.new_axis(row, len(sizes)))
    return made


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.linalg.solve: _solve, np.linalg.inv: _inverse, np.linalg.det: _determinant, np.linalg.cholesky: _cholesky,
    np.cross: _cross,
}  # fmt: skip
