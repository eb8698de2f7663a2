"""The loop language: index arithmetic and substitution."""

from __future__ import annotations

import itertools

import pytest
from quern.inductor.dtypes import float32, int64
from quern.inductor.loops import (
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
