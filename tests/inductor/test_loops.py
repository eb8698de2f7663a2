"""The loop language: index arithmetic and substitution."""

from __future__ import annotations

import itertools

import pytest
import sympy
from quern.inductor.dtypes import float32, int64
from quern.inductor.loops import (
    FloorDiv,
    Var,
    as_index,
    delinearize,
    expr,
    floordiv,
    index_value,
    indirect,
    linearize,
    load,
    mod,
    substitute,
    substitute_expr,
)

P0, P1 = Var("p0", 6), Var("p1", 8)


def value(index, **at):
    """An affine or divided index evaluated for given variables."""
    return int(substitute(index, {v: as_index(at[v.name]) for v in index.vars()}).const)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 6, 8, 48, 50])
def test_division_agrees_with_python(k):
    position = linearize((as_index(P0), as_index(P1)), (6, 8))
    for a, b in itertools.product(range(6), range(8)):
        assert value(floordiv(position, k), p0=a, p1=b) == (a * 8 + b) // k
        assert value(mod(position, k), p0=a, p1=b) == (a * 8 + b) % k


ROWS = sympy.Symbol("s0", integer=True, positive=True)


@pytest.mark.parametrize("shift", [-1, -5, 0, 3, ROWS - 1, -ROWS])
@pytest.mark.parametrize("sign", [1, -1])
def test_division_by_a_size_divides_nothing_negative(shift, sign):
    """Generated code rounds quotients towards zero."""
    position = as_index(P0) * ROWS + as_index(Var("q0", ROWS)) * sign + shift
    for rows, a in itertools.product((2, 3, 7), range(6)):
        for b in range(rows):
            point = {"p0": a, "q0": b}
            at = a * rows + sign * b + int(sympy.sympify(shift).subs(ROWS, rows))
            if at >= 0:
                assert truncated(floordiv(position, ROWS), point, rows) == at // rows
                assert truncated(mod(position, ROWS), point, rows) == at % rows


def truncated(index, point, rows):
    """The index at a point, // and % of negative numbers as in C++."""
    number = lambda d: int(sympy.sympify(d).subs(ROWS, rows))  # noqa: E731
    total = number(index.const)
    for atom, c in index.terms:
        if isinstance(atom, Var):
            part = point[atom.name]
        else:
            base, divisor = truncated(atom.base, point, rows), number(atom.divisor)
            quotient = int(base / divisor)
            part = quotient if isinstance(atom, FloorDiv) else base - quotient * divisor
        total += number(c) * part
    return total


def test_a_row_major_position_comes_apart_again():
    index = (as_index(P0), as_index(P1))
    assert delinearize(linearize(index, (6, 8)), (6, 8)) == index


def test_swapping_variables_reaches_indirect_indices_once():
    swap = {P0: as_index(P1), P1: as_index(P0)}
    rows = load("rows", as_index(P0), int64)
    gathered = load("table", indirect(rows) * 8 + as_index(P1), float32)
    swapped = substitute_expr(gathered, swap)
    assert swapped is load("table", indirect(load("rows", as_index(P1), int64)) * 8 + as_index(P0), float32)
    assert substitute_expr(swapped, swap) is gathered


def test_shared_parts_are_not_written_out_again():
    """Twenty doublings share their operands: the text of the last stays short."""
    e = index_value(as_index(P0))
    for _ in range(60):
        e = expr("add", e, e, dtype=int64)
    assert len(repr(e)) < 100 and len(repr(indirect(e))) < 100
