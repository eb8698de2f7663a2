"""Arrays that are known when a function is compiled: windows, filter taps, look-up tables. They are memory that kernels load from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy_compiled import agree, check, compiled

A = np.linspace(-2, 2, 40)


def written(h: Any, write: Any) -> tuple[Any, Any]:
    write(h)
    return h, h.sum()


PROGRAMS = {
    "a window": lambda x: x * np.hanning(40),
    "returned": lambda x: np.hanning(40),
    "returned, and a view of another": lambda x: (np.hanning(40), np.hanning(40)[::2], x + 1),
    "written to": lambda x: written(np.hanning(40), lambda h: h.__setitem__(3, x[0])),
    "added to": lambda x: written(np.hanning(40), lambda h: h.__iadd__(x)),
    "sorted": lambda x: written(np.hanning(40), lambda h: h.sort()),
    "put into": lambda x: written(np.hanning(40), lambda h: np.put(h, [1, 2], x[:2])),
    "in a product": lambda x: x.reshape(5, 8) @ np.vander(np.arange(1.0, 9)),
    "complex": lambda x: x * np.exp(1j * np.hanning(40)),
    "into the argument": lambda x: np.add(x, np.hanning(40), out=x),
    "positions": lambda x: x[np.argsort(np.hanning(40))],
    "read at positions": lambda x: np.hanning(40)[(np.abs(x) * 10).astype(int)],
    "small integers": lambda x: x + np.arange(40, dtype=np.int8) ** 2,
    "booleans": lambda x: x * (np.hanning(40) > 0.5),
    "by columns": lambda x: x.reshape(5, 8) * np.vander(np.linspace(0, 1, 8)).T[:5],
    "zeros of both signs": lambda x: x * np.array([0.0, -0.0] * 20),
    "not numbers": lambda x: x + np.array([np.nan, np.inf, -np.inf, 1.0] * 10),
    "far apart": lambda x: x[:2].sum() + np.array([2**63 - 1 - i for i in range(20)], np.uint64),
}


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_results_are_numpys(name, backend):
    fast = agree(PROGRAMS[name], A, backend=backend, fullgraph=False)
    for _ in range(2):  # nothing was written to what all calls read
        check(fast, PROGRAMS[name], A)


def test_a_position_out_of_bounds_is_refused():
    fast = compiled(lambda i: np.hanning(40)[i], "inductor", fullgraph=False)
    assert fast(np.array([0, 39, -40])).shape == (3,)
    with pytest.raises(IndexError, match="index 40 is out of bounds for axis 0 with size 40"):
        fast(np.array([1, 40]))


def _plan(fast: Any) -> Any:
    (plan,) = [e.executable.record.plan for e in fast.explain_records if e.executable is not None]
    return plan


@pytest.mark.parametrize("size, tables", [(5, 0), (64, 1), (4096, 1)])
def test_many_values_are_loaded_and_few_are_literals(size, tables):
    fast = agree(lambda x: x * np.hanning(size), np.ones((3, size)), backend="inductor")
    plan = _plan(fast)
    assert len(plan.tables) == tables and len(plan.steps) == 1
    assert all(len(text) < 5000 for text in plan.sources.values())


def test_functions_with_other_values_share_a_kernel():
    hanning = _plan(agree(lambda x: x * np.hanning(64), np.ones((3, 64)), backend="inductor"))
    hamming = _plan(agree(lambda x: x * np.hamming(64), np.ones((3, 64)), backend="inductor"))
    assert [*hanning.sources.values()] == [*hamming.sources.values()] and hanning.tables != hamming.tables
