"""Every function of the corpus: one graph, NumPy's results."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_compiled import check, compiled
from numpy_corpus import WORKLOADS


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.name)
def test_workload(workload, backend):
    fast = compiled(workload.function, backend)
    check(fast, workload.function, *workload.make(workload.small), rtol=workload.rtol)
    # the same graph for other numbers
    check(fast, workload.function, *workload.make(workload.small, seed=1), rtol=workload.rtol)
    assert len(fast.entries) == 1
    assert not fast.breaks


def test_the_corpus_is_sound():
    assert len(WORKLOADS) >= 40
    assert len({w.name for w in WORKLOADS}) == len(WORKLOADS)
    for w in WORKLOADS:
        first, again = w.make(w.small), w.make(w.small)
        for a, b in zip(first, again):
            np.testing.assert_array_equal(a, b)
