"""Compiled functions and modules in the hands of code that copies, saves or traces them."""

from __future__ import annotations

import copy
import functools
import io
import pickle

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import quern

compiled = functools.partial(quern.compile, backend="eager")


def double(x):
    return x * 2


doubled = compiled(double)


@compiled
def tripled(x):
    return x * 3


class Scale:
    def __init__(self):
        self.by = 2.0

    def __call__(self, x):
        return x * self.by


class Holder(nn.Module):
    """Holds compiled functions, a callable object, a method, a module, in attributes and containers."""

    def __init__(self):
        super().__init__()
        self.linear, self.inner = nn.Linear(2, 2), compiled(nn.Linear(2, 2))
        self.act, self.decorated, self.scale = doubled, tripled, compiled(Scale())
        self.table = {"loss": compiled(nn.functional.mse_loss), "native": compiled(torch.sigmoid)}
        self.step, self.partial = compiled(self._step), functools.partial(doubled)

    def _step(self, x):
        return self.linear(x) * 5

    def forward(self, x):
        y = self.scale(self.partial(self.inner(self.act(self.linear(x)))))
        return y + self.step(x) + self.decorated(x) + self.table["native"](x) + self.table["loss"](x, y)


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


def _through_a_file(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m)), _through_a_file]


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("called_before", [True, False])
def test_a_module_that_holds_compiled_functions(copied, called_before):
    torch.manual_seed(0)
    module, x = Holder(), torch.randn(3, 2)
    if called_before:
        module(x)
    other = copied(module)
    assert torch.allclose(other(x), module(x))


def test_a_deep_copy_has_parameters_and_objects_of_its_own():
    torch.manual_seed(0)
    module, x = Holder(), torch.randn(3, 2)
    before, other = module(x), copy.deepcopy(module)
    for p in other.parameters():
        p.zero_()
    assert other.step.__self__ is other and other.scale is not module.scale
    assert torch.allclose(module(x), before) and not torch.allclose(other(x), before)
    assert other.table["native"] is module.table["native"]  # as the C function is its own copy


def test_functions_are_their_own_copies_and_are_saved_by_name():
    assert copy.copy(doubled) is doubled and copy.deepcopy([doubled])[0] is doubled
    assert pickle.loads(pickle.dumps(tripled)) is tripled
    assert pickle.loads(pickle.dumps(doubled)) is double
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(compiled(lambda x: x))


def test_methods_move_to_the_copy():
    class Counter:
        def __init__(self):
            self.n = 1.0

        @compiled
        def add(self, x):
            return x + self.n

    counter = Counter()
    method = copy.deepcopy(counter.add)
    method.__self__.n = 5.0
    assert method(torch.zeros(2)).tolist() == [5.0, 5.0] and counter.add(torch.zeros(2)).tolist() == [1.0, 1.0]


# ---------------------------------------------------------------- torch.jit.trace, and modes


def _halves(x):
    return x.reshape(x.shape[0] // 2, -1).mean(0) * x.shape[0]


@pytest.mark.parametrize("fullgraph", [True, False])
@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("called_before", [True, False])
def test_a_trace_sees_what_the_program_calls(called_before, backend, fullgraph):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)).eval()
    for program in (net, _halves):
        function = quern.compile(program, backend=backend, fullgraph=fullgraph)
        x, y = torch.randn(6, 4), torch.randn(8, 4)
        if called_before:
            function(x), function(y)
        traced = torch.jit.trace(function, x)
        assert "aten::" in str(traced.inlined_graph)
        assert torch.allclose(traced(x), program(x), atol=1e-5)
        assert torch.allclose(function(x), program(x), atol=1e-5)  # compiled code is there as before
        assert torch.allclose(function(y), program(y), atol=1e-5)


def test_a_first_call_under_a_mode_does_not_make_a_function_plain():
    class Counting(TorchFunctionMode):
        calls = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            Counting.calls += 1
            return func(*args, **(kwargs or {}))

    counter = quern.testing.CompileCounter()
    function = quern.compile(lambda x: x * 2 + 1, backend=counter)
    x = torch.ones(3)
    with Counting():
        function(x)
    assert Counting.calls and not counter.frame_count
    function(x)
    assert counter.frame_count == 1
    torch.set_default_dtype(torch.float64)
    try:
        function(x)
        other = quern.compile(lambda x: x * 2 + 1, backend=counter)
        other(x)
    finally:
        torch.set_default_dtype(torch.float32)
    other(x)
    assert counter.frame_count == 2
