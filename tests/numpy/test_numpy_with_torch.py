"""NumPy next to torch: a graph belongs to one framework, whichever is loaded."""

from __future__ import annotations

import numpy as np
import pytest

import quern

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def _kinds(values):
    return [type(v) for v in values]


def test_arrays_made_from_nothing_are_numpys():
    made = quern.compile(lambda: np.zeros(3) + 1, fullgraph=True)()
    assert type(made) is np.ndarray
    np.testing.assert_array_equal(made, [1, 1, 1])


def test_mixed_functions_keep_their_types():
    def f(t, x):
        return t * 2, x * 3, np.ones(2) * 4

    found = quern.compile(f)(torch.ones(2), np.ones(2))
    assert _kinds(found) == [torch.Tensor, np.ndarray, np.ndarray]
    assert found[0].tolist() == [2, 2]
    np.testing.assert_array_equal(found[1], [3, 3])
    np.testing.assert_array_equal(found[2], [4, 4])


def test_a_mixed_graph_is_refused_with_a_reason():
    with pytest.raises(quern.errors.Unsupported, match="a graph runs in one framework"):
        quern.compile(lambda t: (t * 2, np.ones(2) * 4), fullgraph=True)(torch.ones(2))


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_graphs_without_inputs_belong_to_what_they_give(backend):
    """Both frameworks are loaded; a graph that only creates arrays runs in the one whose arrays it gives."""
    made = quern.compile(lambda: torch.arange(4) * 2, backend=backend)()
    assert isinstance(made, torch.Tensor) and made.tolist() == [0, 2, 4, 6]
    made = quern.compile(lambda: np.arange(4) * 2, backend=backend)()
    assert isinstance(made, np.ndarray) and made.tolist() == [0, 2, 4, 6]
