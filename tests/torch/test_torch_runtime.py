"""torch as a plan sees it."""

from __future__ import annotations

import pytest
import torch
from quern.capture.frontends.torch.dtypes import FROM_TORCH, TO_TORCH, device_text
from quern.capture.frontends.torch.eager_ops import EAGER
from quern.capture.frontends.torch.runtime import TorchRuntime
from quern.inductor import dtypes
from quern.inductor.graph import ExternRef, Input
from quern.inductor.ops import OPS
from torch_checks import compare, compiled, randn

RUNTIME = TorchRuntime()

#: steps of decompositions: loops that no framework function is


def test_every_op_of_the_table_has_an_eager_form():
    missing = [row.name for row in OPS.values() if row.eager == "function" and row.name not in EAGER]
    assert missing == ["loop"]  # NumPy runs it, wherever it stands
    assert callable(RUNTIME.run_op("loop"))


def test_dtypes_map_both_ways():
    assert all(FROM_TORCH[t] is d for d, t in TO_TORCH.items())
    assert {d.name for d in TO_TORCH} == set(dtypes.ALL)


def test_memory():
    x = RUNTIME.empty((2, 3), (1, 2), dtypes.float64, "cpu")
    assert x.shape == (2, 3) and x.stride() == (1, 2) and x.dtype == torch.float64
    meta = RUNTIME.meta_of(x)
    assert meta.shape == (2, 3) and meta.stride == (1, 2) and meta.dtype is dtypes.float64 and meta.device == "cpu"
    assert RUNTIME.data_ptr(x) == x.data_ptr()


def test_views_count_from_the_arrays_first_element():
    base = torch.arange(12.0)[2:]
    compare(base[3:5], RUNTIME.as_strided(base, (2,), (1,), 3))


def test_copy_into_a_leaf_that_requires_gradients():
    leaf = torch.zeros(3, requires_grad=True)
    RUNTIME.copy_(leaf, torch.ones(3))
    assert leaf.sum() == 3 and leaf.grad_fn is None


def test_extern_calls():
    ref = ExternRef("torch:cat", (((Input(0), Input(1))),), (("dim", 1),))
    x, y = randn(2, 3), randn(2, 4)
    compare(torch.cat((x, y), 1), RUNTIME.run_op("extern")(x, y, ref=ref))
    ref = ExternRef("torch:Tensor.to", (Input(0), dtypes.float64))
    assert RUNTIME.run_op("extern")(x, ref=ref).dtype == torch.float64


def test_results_are_laid_out_as_planned():
    ref = ExternRef("torch:clone", (Input(0),))
    out = RUNTIME.run_op("extern")(randn(3, 4), ref=ref, strides=((1, 3),))
    assert out.stride() == (1, 3)
    compare(randn(3, 4), out, ignore=["strides"])


def test_names_that_are_gone():
    with pytest.raises(AttributeError):
        RUNTIME.resolve("torch:no_such_function")
    with pytest.raises(KeyError):
        RUNTIME.run_op("no_such_op")


def test_devices_have_an_index():
    assert device_text(torch.device("cpu")) == "cpu" and device_text(torch.device("cpu", 0)) == "cpu"
    assert device_text(torch.device("cuda", 1)) == "cuda:1"


def test_number_of_threads():
    assert RUNTIME.num_threads() == torch.get_num_threads()


def test_graphs_print_like_the_program():
    """Ops stay at the level that the user wrote."""
    layer = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.GELU(), torch.nn.LayerNorm(4), torch.nn.Softmax(-1))
    function = compiled(layer)
    with torch.no_grad():
        function(randn(2, 4))
    (part,) = type(function)._quern_call.parts()
    graph = part.__func__.entries[0].graph
    assert [n.op.name for n in graph.nodes if n.op.name != "input"] == ["linear", "gelu", "layer_norm", "softmax"]
