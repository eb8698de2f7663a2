"""`python -m bench models`: one small model measured in this process, and what is said of the rows."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from bench import models  # noqa: E402
from bench.model_zoo import MODELS  # noqa: E402


def test_a_model_is_measured():
    with torch.no_grad():
        found = models.steady("lstm", ["eager", "quern"], budget=0.0)
    assert found["seconds"].keys() == {"eager", "quern"} and min(found["seconds"].values()) > 0
    low, middle, high = found["against eager"]["quern"]
    assert 0 < low <= middle <= high and found["against torch.compile"] is None
    assert found["difference"]["quern"] < 1e-4


def row(name: str, eager: float, compiled: float) -> dict:
    spread = {"quern": (eager, eager, eager), "torch.compile": (1.0, 1.0, 1.0)}
    return {"model": name, "against eager": spread, "against torch.compile": (compiled, compiled, compiled)}


def test_the_summary_is_of_quern_and_leaves_out_what_failed():
    rows = [row("one", 2.0, 4.0), row("two", 8.0, 1.0), {"model": "three", "error": "killed"}]
    assert models.summary(rows) == {
        "eager": {"models": 2, "mean": pytest.approx(4.0), "worst": "one", "least": 2.0},
        "torch.compile": {"models": 2, "mean": pytest.approx(2.0), "worst": "two", "least": 1.0},
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_model_does_the_same_compiled(name):
    with torch.no_grad():
        found = models.steady(name, ["eager", "quern"], budget=0.0)
    assert found["difference"]["quern"] < 1e-4
