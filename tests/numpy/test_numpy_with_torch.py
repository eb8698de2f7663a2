"""NumPy next to torch: one graph holds both; one of NumPy alone is NumPy's, whichever is loaded."""

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


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_a_mixed_function_is_one_graph(backend):
    compiled = quern.compile(lambda t, x: (t * 2, np.sin(x) * 4, np.ones(2)), fullgraph=True, backend=backend)
    found = compiled(torch.ones(2), np.zeros(3))
    assert _kinds(found) == [torch.Tensor, np.ndarray, np.ndarray]
    assert found[0].tolist() == [2, 2] and found[1].tolist() == [0, 0, 0] and found[2].tolist() == [1, 1]


def test_an_array_as_a_tensors_operand_is_refused_with_a_reason():
    with pytest.raises(quern.errors.Unsupported, match="convert it: torch.from_numpy"):
        quern.compile(lambda t: torch.add(t, np.ones(2) * 4), fullgraph=True)(torch.ones(2))


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_graphs_without_inputs_belong_to_what_they_give(backend):
    """Both frameworks are loaded; a graph that only creates arrays runs in the one whose arrays it gives."""
    made = quern.compile(lambda: torch.arange(4) * 2, backend=backend)()
    assert isinstance(made, torch.Tensor) and made.tolist() == [0, 2, 4, 6]
    made = quern.compile(lambda: np.arange(4) * 2, backend=backend)()
    assert isinstance(made, np.ndarray) and made.tolist() == [0, 2, 4, 6]


def _outcome(function, *args):
    try:
        found = function(*args)
    except TypeError as error:
        return str(error)
    return type(found), found.dtype, found.tolist()


FROM_ARRAYS = {
    "tensor": lambda a: torch.tensor(a),
    "as_tensor": lambda a: torch.as_tensor(a),
    "tensor, then an op": lambda a: torch.tensor(a) + torch.ones(2),
    "tensor of elements": lambda a: torch.tensor([a[0], a[1]]),
    "operand": lambda a: torch.ones(2) * a,
    "method": lambda a: torch.ones(2).add(a),
    "element as an operand": lambda a: torch.ones(2) * a[0],
    "element as a bound": lambda a: torch.linspace(0, a[0], 3),
    "tensors of elements": lambda a: torch.stack([torch.tensor(v) for v in a]),
    "result as a number": lambda a: torch.full((2,), a.max()),
    "result as a tensor": lambda a: torch.tensor(a.mean()),
    "result as a position": lambda a: torch.zeros(a.shape[0])[a.argmax()],
}


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", FROM_ARRAYS)
@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
def test_an_array_that_a_tensor_function_is_given(name, backend):
    function = FROM_ARRAYS[name]
    compiled = quern.compile(function, backend=backend)
    for elements in ([1.0, 2.0], [3.0, 4.0], [5.0, 4.0]):
        array = np.array(elements)
        assert _outcome(compiled, array) == _outcome(function, array)


OF_SCALARS = {
    "tensor": lambda x, n: torch.tensor(n),
    "tensor of several": lambda x, n: torch.tensor([n, n]),
    "as_tensor": lambda x, n: torch.as_tensor(n),
    "tensor of a dtype": lambda x, n: torch.tensor(n, dtype=torch.float64),
    "new_tensor": lambda x, n: x.new_tensor(n),
    "full": lambda x, n: torch.full((2,), n),
    "new_full": lambda x, n: x.new_full((2,), n),
    "fill_": lambda x, n: x.clone().fill_(n),
    "arange": lambda x, n: torch.arange(n),
    "linspace": lambda x, n: torch.linspace(0, n, 3),
    "alpha": lambda x, n: x.add(x, alpha=n),
    "operand": lambda x, n: n * x + n,
    "where": lambda x, n: torch.where(x > n, x, n),
    "clamp": lambda x, n: x.clamp(max=n),
    "pad": lambda x, n: torch.nn.functional.pad(x, (0, 1), value=n),
}


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("kind", [np.int64, np.int32, np.float64, np.float32, np.bool_])
@pytest.mark.parametrize("name", OF_SCALARS)
def test_numpys_scalars_are_what_torch_takes_them_for(name, kind, backend):
    function = OF_SCALARS[name]
    compiled = quern.compile(function, backend=backend)
    for number in (3, 4, 0, 5):
        x = torch.arange(4.0)
        assert _outcome(compiled, x, kind(number)) == _outcome(function, x, kind(number))


def test_what_numpy_writes_beside_a_users_backend():
    def f(x, a):
        a += 1
        return x * 2

    x, a = torch.ones(3), np.zeros(3)
    compiled = quern.compile(f, backend=lambda gm, inputs: gm.forward)
    for times in (1, 2):
        assert compiled(x, a).tolist() == [2, 2, 2]
        assert a.tolist() == [times] * 3
