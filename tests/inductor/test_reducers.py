"""A reduction is one row: the interpreter, C++ and Triton make all they need of it."""

from __future__ import annotations

import dataclasses

import pytest
from quern.inductor.codegen.cpp.emit import reducer_text
from quern.inductor.codegen.triton.scalars import combine_text
from quern.inductor.dtypes import bool_, float32, float64, int8, int32, int64, uint8
from quern.inductor.loops.reducers import REDUCERS, Reducer, neutral_element, reducer
from quern.inductor.ops.scalar import SCALAR


@pytest.mark.parametrize("row", REDUCERS.values(), ids=REDUCERS)
def test_a_row_is_complete(row: Reducer) -> None:
    missing = [f.name for f in dataclasses.fields(row) if getattr(row, f.name) is None]
    assert not missing, f"{row.name} says nothing of {missing}"
    assert row.combine in SCALAR and SCALAR[row.combine].arity == 2
    assert row.truths in REDUCERS and row.finish in ("value", "truth", "position")
    assert row.bound in ("element", "count", "open")
    assert all(part in REDUCERS for part in row.partial)


@pytest.mark.parametrize("dtype", [float32, float64, int8, int32, int64, uint8, bool_], ids=str)
@pytest.mark.parametrize("kind", REDUCERS)
def test_the_neutral_element_changes_nothing(kind: str, dtype: object) -> None:
    row = reducer(kind, dtype)
    if row.finish == "truth" and dtype != bool_:
        pytest.skip("of truth values")
    neutral = neutral_element(row, dtype)
    for value in (True, False) if dtype == bool_ else (0, 1, 5, 100):
        assert SCALAR[row.combine].python(neutral, value) == value


def test_texts_follow_from_the_row() -> None:
    assert "return a + x;" in reducer_text(REDUCERS["sum"]) and "Neutral<V>::zero()" in reducer_text(REDUCERS["sum"])
    assert "a + b" in combine_text(REDUCERS["sum"], float32)
    assert "return a | b" in combine_text(REDUCERS["any"], int32)
