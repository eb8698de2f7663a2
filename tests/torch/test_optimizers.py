"""Optimizers of torch, compiled whole, by their `step`, and called by a compiled function: parameters and state as in eager."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import quern

pytestmark = pytest.mark.sampled(2)

BACKENDS = pytest.mark.parametrize("backend", ["eager", "inductor"])
FOREACH = pytest.mark.parametrize("foreach", [False, True], ids=["one by one", "foreach"])
OPTIMIZERS = {
    "SGD": {"lr": 0.1},
    "SGD with momentum": {"lr": 0.1, "momentum": 0.9},
    "SGD nesterov": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "Adam": {"lr": 0.01},
    "Adam amsgrad": {"lr": 0.01, "amsgrad": True, "weight_decay": 0.1},
    "AdamW": {"lr": 0.01},
    "AdamW maximize": {"lr": 0.01, "maximize": True},
    "RMSprop": {"lr": 0.01},
    "RMSprop centered": {"lr": 0.01, "centered": True, "momentum": 0.9},
    "Adagrad": {"lr": 0.01, "lr_decay": 0.1},
    "NAdam": {"lr": 0.01},
    "RAdam": {"lr": 0.01},
    "Adamax": {"lr": 0.01},
    "Adadelta": {},
    "ASGD": {},
    "Rprop": {},
}


def undecorated(optimizer):
    """The step without what the framework wraps around it."""
    step = type(optimizer).step
    while hasattr(step, "__wrapped__"):
        step = step.__wrapped__
    return step


def whole(optimizer, compile):
    step = undecorated(optimizer)
    return torch.no_grad()(compile(lambda: step(optimizer)))


def by_its_step(optimizer, compile):
    return compile(optimizer.step)


def by_a_function(optimizer, compile):
    def step():
        optimizer.step()

    return compile(step)


def trained(name, settings, way, compile, steps=5):
    """The parameters and the state after some steps under a schedule."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    optimizer = getattr(torch.optim, name.split()[0])(model.parameters(), **copy.deepcopy(settings))
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    step = way(optimizer, compile)
    x = torch.randn(6, 4)
    for _ in range(steps):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        step()
        schedule.step()
    return [*model.parameters(), *(v for s in optimizer.state.values() for _, v in sorted(s.items()))]


def check(name, settings, way, backend, rtol):
    expected = trained(name, settings, way, lambda f: f)
    found = trained(name, settings, way, lambda f: quern.compile(f, backend=backend))
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=rtol, atol=1e-8)


@pytest.mark.filterwarnings("ignore:Detected call")
@BACKENDS
@FOREACH
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_compiled_whole(name, foreach, backend):
    rtol = 1e-4 if name == "NAdam" else 5e-6  # one minus a running product, which is kept in float32
    check(name, {**OPTIMIZERS[name], "foreach": foreach}, whole, backend, rtol)


@pytest.mark.filterwarnings("ignore:Detected call")
@BACKENDS
@FOREACH
@pytest.mark.parametrize("way", [by_its_step, by_a_function])
@pytest.mark.parametrize("name", ["SGD nesterov", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam"])
def test_steps_of_optimizers(name, way, foreach, backend):
    check(name, {**OPTIMIZERS[name], "foreach": foreach}, way, backend, 5e-6)


@FOREACH
def test_an_optimizer_compiled_whole_is_one_graph(foreach):
    p = nn.Parameter(torch.ones(3))
    p.grad = torch.ones(3)
    optimizer = torch.optim.AdamW([p], foreach=foreach)
    step = undecorated(optimizer)
    with torch.no_grad():
        step(optimizer)  # makes the state
        function = quern.compile(lambda: step(optimizer), fullgraph=True)
        function()
    assert optimizer.state[p]["step"] == 2


@BACKENDS
def test_a_learning_rate_in_a_tensor(backend):
    settings = {"lr": torch.tensor(0.01), "foreach": False}
    check("AdamW", settings, whole, backend, 5e-6)


# ------------------------------------------------------------------ functions over lists of tensors


def lists_in_place(x, y):
    tensors = [x.clone(), y.clone()]
    returned = torch._foreach_add_(tensors, [y, x], alpha=0.5)
    torch._foreach_mul_(tensors, 1.5)
    torch._foreach_sub_(tensors, [1.0, 2.0])
    torch._foreach_lerp_(tensors, [y, x], 0.3)
    torch._foreach_addcmul_(tensors, [x, y], [y, x], value=0.1)
    torch._foreach_addcdiv_(tensors, [x, y], [y, x], [0.1, 0.2])
    return returned is tensors, tensors


def lists_anew(x, y):
    t = (x, y)
    return torch._foreach_sqrt(t), torch._foreach_pow(t, 2.0), torch._foreach_div([x], [y]), torch._foreach_neg(t)


def bounds(x, y):
    return (
        torch._foreach_maximum([x, y], 1.5),
        torch._foreach_minimum([x, y], [y, x]),
        torch._foreach_clamp_max([x], [2.0]),
    )


def a_tensor_for_all(x, y):
    return torch._foreach_mul([x, y], torch.tensor(0.5)), torch._foreach_add([x], torch.tensor(2.0), alpha=3)


def numbers_in_a_tensor(x, y):
    numbers = torch.stack([x.sum(), y.mean()])
    return torch._foreach_addcdiv([x, y], [y, x], [x, y], numbers), torch._foreach_addcmul([x], [y], [x], numbers[1:])


def shared_memory(x, y):
    tensors = [x, x, x[1:]]
    torch._foreach_add_(tensors, 1.0)
    torch._foreach_copy_([x[:1]], [y[:1]])
    torch._foreach_zero_([y])
    return x, y


def powers_and_norms(x, y):
    return torch._foreach_pow(2.0, [x, y]), torch._foreach_norm([x, y]), torch._foreach_norm([x], 1)


@BACKENDS
@pytest.mark.parametrize(
    "program",
    [lists_in_place, lists_anew, bounds, a_tensor_for_all, numbers_in_a_tensor, shared_memory, powers_and_norms],
)
def test_functions_over_lists(program, backend):
    function = quern.compile(program, backend=backend, fullgraph=True)
    for shift in (0.0, 1.0):
        given = torch.tensor([1.0, 2.0, 3.0]) + shift, torch.tensor([0.5, 1.5, 2.5])
        copies = [t.clone() for t in given]
        expected, found = program(*given), function(*copies)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(copies, list(given))


@pytest.mark.parametrize(
    "program",
    [
        lambda x: torch._foreach_add([x, x], [x]),
        lambda x: torch._foreach_mul_([x], torch.ones(1)),
        lambda x: torch._foreach_addcdiv_([x], [x], [x], torch.ones(2)),
        lambda x: torch._foreach_add_([], 1.0),
    ],
    ids=["lengths", "a number of one dim", "too many numbers", "no tensors"],
)
def test_lists_that_eager_refuses(program):
    with pytest.raises(RuntimeError) as expected:
        program(torch.ones(3))
    with pytest.raises(RuntimeError) as found:
        quern.compile(program)(torch.ones(3))
    assert str(found.value) == str(expected.value)


# ------------------------------------------------------------------ tensors in the place of numbers


def f32(value):
    return torch.tensor(value, dtype=torch.float32)


def f64(value):
    return torch.tensor(value, dtype=torch.float64)


FLOATS = torch.tensor([1.0, 2.0, 3.0])
PLACES = {
    "add": (lambda x, s: x.add(x, alpha=s), [FLOATS, f32(0.3)], [FLOATS, f32(0.7)], [FLOATS, torch.tensor(3)]),
    "sub of doubles": (lambda x, s: x.sub(x + 1, alpha=s), [FLOATS.double(), f64(0.1)], [FLOATS.double(), f64(0.3)]),
    "add to integers": (lambda x, s: x.add(x, alpha=s), [FLOATS.long(), torch.tensor(3)], [FLOATS.long(), f32(0.5)]),
    "narrow integers": (lambda x, s: x.add(x, alpha=s), [FLOATS.char(), torch.tensor(3)], [FLOATS.char(), torch.tensor(300)]),
    "halves": (lambda x, s: x.add(x, alpha=s), [FLOATS.bfloat16(), torch.tensor(0.3).bfloat16()], [FLOATS.half(), f32(0.3)]),
    "what does not fit": (lambda x, s: x.add(x, alpha=s), [FLOATS, f64(0.1)], [FLOATS, f64(1e300)], [FLOATS, f64(float("inf"))]),
    "addcmul": (lambda x, s: torch.addcmul(x, x, x, value=s), [FLOATS, f32(0.3)], [FLOATS, f64(1e300)], [FLOATS.long(), torch.tensor(3)], [FLOATS.long(), f32(1.5)]),
    "addcdiv_": (lambda x, s: x.clone().addcdiv_(x, x + 1, value=-s), [FLOATS, f32(0.3)], [FLOATS, f64(0.2)], [FLOATS.double(), f64(0.2)]),
    "full": (lambda x, s: (torch.full((2,), s), torch.full_like(x, s), x.new_full((2,), s)), [FLOATS, f32(0.3)], [FLOATS, torch.tensor(3)]),
    "activations": (lambda x, s: (F.leaky_relu(-x, s), F.elu(-x, s), F.threshold(x, s, 0), F.softplus(x, s)), [FLOATS, f32(0.3)], [FLOATS, f32(2.0)]),
    "a norm": (lambda x, s: (x.norm(s), F.normalize(x, s, 0)), [FLOATS, f32(3.0)], [FLOATS, f32(1.0)]),
    "padding": (lambda x, s: (F.pad(x, (1, 1), value=s), x.index_add(0, torch.tensor([0]), x[:1], alpha=s)), [FLOATS, f32(3.0)], [FLOATS, f32(1.0)]),
    "products": (lambda x, s: torch.addmm(x, x[:, None], x[None], beta=s, alpha=s), [FLOATS, f32(3.0)], [FLOATS, f32(1.0)]),
    "gradients": (lambda x, s: x.add(x, alpha=s), [FLOATS, torch.tensor(0.3, requires_grad=True)]),
    "bools and one dim": (lambda x, s: x.add(x, alpha=s), [FLOATS, torch.tensor(True)], [FLOATS, torch.tensor([1.0])], [FLOATS > 1, torch.tensor(True)]),
    "places and sizes": (lambda x, s: (x.sum(s), x.roll(s), x.narrow(0, s, 1), torch.zeros(s, 2)), [FLOATS, torch.tensor(0)], [FLOATS, torch.tensor(-1)]),
}  # fmt: skip


def outcome(function, args):
    try:
        return function(*args)
    except (RuntimeError, TypeError) as error:
        return [type(error).__name__, str(error)]


@BACKENDS
@pytest.mark.parametrize("name", PLACES)
def test_tensors_stand_for_the_numbers_that_they_hold(name, backend):
    program, *calls = PLACES[name]
    function = quern.compile(program, backend=backend)
    for args in calls:
        expected, found = outcome(program, args), outcome(function, args)
        if isinstance(expected, list):
            assert found == expected
        else:
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_tensors_as_factors_need_no_break():
    def f(x, s):
        y = x.add(x, alpha=s).sub(x, alpha=s)
        return y.addcdiv_(x, x + 1, value=-s).addcmul(x, x, value=1 - s)

    with torch.no_grad():
        function = quern.compile(f, fullgraph=True)
        for s in (0.25, 0.75):
            torch.testing.assert_close(function(FLOATS, f32(s)), f(FLOATS, f32(s)))
