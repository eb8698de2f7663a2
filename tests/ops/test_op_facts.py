"""A row owns the facts about its op: no cell is empty, and nobody else keeps a list of ops."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest
from quern.inductor.ops import OPS, Op, OpTable
from quern.inductor.ops.facts import IS_HALF, MEMORY
from quern.inductor.ops.scalar import SCALAR
from quern.inductor.ops.table import empty_cells

from quern.errors import InternalError

ROOT = Path(__file__).parents[2]
#: rooms that ask rows for facts. The rows themselves stand in inductor/ops; front ends name the ops that they record.
ASKING = [
    *(p for p in sorted((ROOT / "inductor").rglob("*.py")) if p.parent.name != "ops"),
    *sorted((ROOT / "capture").rglob("*.py")),
]


@pytest.mark.parametrize("row", OPS.values(), ids=list(OPS))
def test_no_cell_is_empty(row: Op) -> None:
    assert empty_cells(row) == []


def test_an_empty_cell_is_named() -> None:
    half = Op("half", "pointwise", lambda x: x)
    assert empty_cells(half) == ["cost", "decompose or lower", "errors"]
    with pytest.raises(InternalError, match="the row of 'half' does not say: cost, decompose or lower, errors"):
        OpTable().add(half)
    sound = replace(half, lower=lambda node, fn: fn, cost="cheap", errors=0)
    assert empty_cells(sound) == []
    assert empty_cells(replace(sound, elements="moved", operands=())) == ["elements", "operands"]
    assert empty_cells(replace(sound, autocast="half")) == ["autocast"]


def test_facts_agree_with_each_other() -> None:
    for row in OPS.values():
        assert not row.aliases or row.elements == "first", f"{row.name}: memory of its input with other elements"
        assert row.kind != "view" or row.aliases and row.cost == "free", row.name
        assert row.span is None or row.operands[0].part, f"{row.name} reads a run of its input and not a part"
        assert all(k in row.attrs or isinstance(k, int) for k in row.numbers), row.name
        assert row.gradient != "stopped" or row.elements == "first", row.name
        assert row.gradient != "decomposition" or row.decompose is not None, row.name
    assert OPS["as_strided"].operand(0).memory and OPS["extern"].operand(7) == MEMORY
    assert OPS["index_put"].operand(5).role == "index" and OPS["copy"].operand(0).role == "layout"
    assert all(k < 2 for row in OPS.values() for k in row.naturals) and OPS["pow"].naturals == (1,)
    assert OPS["cast"].rounding == IS_HALF and not OPS["exp"].rounding.whole


def test_functions_of_the_scalar_table_are_ops() -> None:
    for scalar in SCALAR.values():
        if scalar.errors is not None:
            row = OPS[scalar.name]
            assert row.errors == scalar.errors and (row.cost == "heavy") == scalar.heavy


def test_what_ops_are_on_truth_values_and_with_their_operands_exchanged() -> None:
    for row in SCALAR.values():
        for a in (False, True):
            for b in (False, True):
                if row.on_bools:
                    assert row.python(a, b) == SCALAR[row.on_bools].python(a, b), row.name
                if row.swapped:
                    assert row.python(a, b) == SCALAR[row.swapped].python(b, a), row.name
    assert SCALAR["max"].on_bools == "or" and SCALAR["le"].swapped == "ge"


def test_functions_of_many_instructions_can_be_called() -> None:
    header = (ROOT / "kernels" / "cpu" / "vecmath.h").read_text()
    apart = set(re.findall(r"QUERN_APART(?:_BINARY)?\((\w+)\)", header))
    assert {op.name for op in SCALAR.values() if op.heavy} <= apart


def _names_an_op(node: ast.expr) -> bool:
    """`something.op.name`, or the name of a row."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "name"
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "op"
    )


@pytest.mark.parametrize("path", ASKING, ids=lambda p: str(p.relative_to(ROOT)))
def test_nobody_asks_for_an_ops_name(path: Path) -> None:
    """To print it, yes; to decide by it, no: what is decided by is a column."""
    asked = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare) and any(map(_names_an_op, [node.left, *node.comparators])):
            asked.append(node.lineno)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _names_an_op(node.func.value):
            asked.append(node.lineno)
    assert not asked, (
        f"{path.relative_to(ROOT)} decides by the name of an op in lines {asked}: make it a column of the row"
    )
