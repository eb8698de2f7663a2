"""Functions of C extensions whose `__self__` is no owner (pybind11 keeps its own record there) live through a graph break."""

# mypy: ignore-errors

from __future__ import annotations

import copy

import pytest
import torch
import torch.distributed as dist
from torch.utils._foreach_utils import _group_tensors_by_device_and_dtype
from torch_checks import randn

import quern


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.Linear(8, 2))


def states(step, optimiser, backend, calls=3):
    """The weights after some training steps, plain and compiled, and what the steps gave."""
    found = []
    for compiling in (lambda fn: fn, lambda fn: quern.compile(fn, backend=backend)):
        net = network()
        run = compiling(step(net, optimiser(net.parameters())))
        gave = [run(randn(6, 4, seed=i), randn(6, 2, seed=10 + i)) for i in range(calls)]
        found.append((gave, [p.detach().clone() for p in net.parameters()]))
    return found


def trained_with(clip):
    def step(net, optimiser):
        def run(x, y):
            optimiser.zero_grad()
            loss = torch.nn.functional.mse_loss(net(x), y)
            loss.backward()
            norm = clip(net.parameters())
            optimiser.step()
            return loss.detach(), norm

        return run

    return step


OPTIMISERS = {
    "adamw": lambda params: torch.optim.AdamW(params, lr=0.05),
    "foreach adamw": lambda params: torch.optim.AdamW(params, lr=0.05, foreach=True),
    "foreach sgd": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9, foreach=True),
}
CLIPS = {
    "norm": lambda params: torch.nn.utils.clip_grad_norm_(params, 0.5),
    "foreach norm": lambda params: torch.nn.utils.clip_grad_norm_(params, 0.5, foreach=True),
    "value": lambda params: torch.nn.utils.clip_grad_value_(params, 0.05),
}


@pytest.mark.parametrize(
    ("clip", "optimiser"),
    [("norm", "adamw"), ("foreach norm", "foreach adamw"), ("value", "foreach sgd")],
)
def test_a_training_step_that_clips(clip, optimiser):
    expected, found = states(trained_with(CLIPS[clip]), OPTIMISERS[optimiser], "eager")
    torch.testing.assert_close(found, expected)


def test_a_function_that_pybind_made():
    def f(tensors):
        tensors = [t * 2 for t in tensors]
        grouped = _group_tensors_by_device_and_dtype([tensors])
        return [t + 1 for (group, _) in grouped.values() for t in group[0]]

    compiled = quern.compile(f, backend="eager")
    for _ in range(2):
        given = [randn(3), randn(2, seed=1).double()]
        torch.testing.assert_close(compiled(given), f(given))


def test_a_pybind_function_bound_to_a_name_and_passed_on():
    function = torch._C._group_tensors_by_device_and_dtype

    def f(function, x):
        x = x + 1
        found = function([[x]], False)
        return next(iter(found.values()))[0][0] * 3

    compiled = quern.compile(f, backend="eager")
    for _ in range(2):
        torch.testing.assert_close(compiled(function, randn(3)), f(function, randn(3)))


def test_methods_of_objects_stay_methods():
    def f(log, x):
        note = log.append
        quern.graph_break()
        note(x.sum())
        return x * 2

    theirs, ours = [], []
    torch.testing.assert_close(quern.compile(f, backend="eager")(ours, randn(3)), f(theirs, randn(3)))
    torch.testing.assert_close(ours, theirs)


@pytest.fixture
def one_process():
    if not dist.is_available() or not dist.is_gloo_available():
        pytest.skip("no gloo")
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_a_compiled_ddp_module(one_process):
    net = network()
    plain = torch.nn.parallel.DistributedDataParallel(copy.deepcopy(net))
    ours = quern.compile(torch.nn.parallel.DistributedDataParallel(copy.deepcopy(net)), backend="eager")
    for i in range(2):
        x = randn(6, 4, seed=i)
        for module in (plain, ours):
            module(x).sum().backward()
    grads = [[p.grad for p in module.parameters()] for module in (plain, ours)]
    torch.testing.assert_close(grads[1], grads[0])
