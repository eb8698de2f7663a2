"""`python -m bench functions`: one program measured in this process, what is said of the rows, and that all programs do the same compiled."""

from __future__ import annotations

import numpy as np
import pytest

import quern
from bench import functions
from bench.function_zoo import PROGRAMS, Program


def doubled(x):
    return x * 2


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setitem(PROGRAMS, "doubled", Program(doubled, lambda g: (g.standard_normal(1000),)))


def test_a_program_is_measured_and_what_a_system_cannot_do_is_said(small):
    found = functions.measure("functions", "doubled", ["quern", "numexpr"], 1, budget=0.0)
    assert found["seconds"].keys() == {"numpy", "quern"} and min(found["seconds"].values()) > 0
    low, middle, high = found["against numpy"]["quern"]
    assert 0 < low <= middle <= high and found["difference"]["quern"] == 0
    assert found["cannot"].keys() == {"numexpr"} and not found["quern against"]


def test_a_system_with_another_result_is_left_out(small, monkeypatch):
    monkeypatch.setitem(functions.MAKE, "other", lambda program, inputs, threads: lambda: inputs[0] * 3)
    found = functions.measure("functions", "doubled", ["quern", "other"], 1, budget=0.0)
    assert "another result" in found["cannot"]["other"] and "other" not in found["seconds"]


def test_differences_are_shares_of_the_largest_element():
    assert functions.difference(np.array([1.0, 4.0]), np.array([1.0, 5.0])) == pytest.approx(0.2)
    assert functions.difference((np.zeros(2), np.ones(1)), (np.zeros(2), np.zeros(1))) == 1
    assert not functions.difference(np.zeros(2), np.zeros(3)) <= 1


def row(name: str, numpy: float, jax: float | None) -> dict:
    against = {} if jax is None else {"jax": (jax, jax, jax)}
    return {"program": name, "against numpy": {"quern": (numpy, numpy, numpy)}, "quern against": against}


def test_the_summary_counts_where_both_run_and_names_what_is_behind():
    rows = [row("one", 2.0, 0.5), row("two", 8.0, None), {"program": "three", "error": "killed"}]
    assert functions.summary(rows, ["quern", "jax"]) == {
        "numpy": {"programs": 2, "mean": pytest.approx(4.0), "behind": {}},
        "jax": {"programs": 1, "mean": pytest.approx(0.5), "behind": {"one": 0.5}},
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_does_the_same_compiled(name):
    program = PROGRAMS[name]
    inputs = program.inputs(np.random.default_rng(0))
    compiled = quern.compile(program.function, fullgraph=True)
    assert functions.difference(compiled(*inputs), program.function(*inputs)) < 1e-4
