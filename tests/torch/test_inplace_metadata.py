"""What changes of a tensor beside its content, in place: whether it requires gradients, its history, its memory, its layout, its
gradient. Compiled code does what eager does, to inputs, parameters, intermediates and views; gradients are compared afterwards.
"""

from __future__ import annotations

import copy
import types

import pytest
import torch
from torch import nn

import quern

PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


def _state():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    average = copy.deepcopy(net).requires_grad_(False)
    v, w = torch.randn(5, 3, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    return types.SimpleNamespace(net=net, average=average, x=torch.randn(5, 3), v=v, w=w, b=torch.randn(6))


# ---------------------------------------------------------------- requires_grad


@program
def frozen_for_a_part(s):
    s.net.requires_grad_(False)
    d = s.net(s.x)
    s.net.requires_grad_(True)
    return (d + s.net(s.x)).mean(), d.requires_grad


@program
def critic_frozen_by_attribute(s):
    for p in s.net.parameters():
        p.requires_grad = False
    fake = s.net(s.v * 2)
    for p in s.net.parameters():
        p.requires_grad = True
    return fake.mean(), fake.requires_grad


@program
def only_the_flag(s):
    s.net[2].weight.requires_grad_(False)


@program
def toggled(s):
    on = s.v.requires_grad
    s.v.requires_grad_(not on)
    y = (s.v * s.v).sum()
    s.v.requires_grad_(on)
    return y, on


@program
def leaf_made_of_an_intermediate(s):
    y = s.x * 2
    y.requires_grad_()
    return (y * 3).sum(), y.requires_grad, y.is_leaf, y


@program
def not_a_leaf(s):
    return (s.v * 2).requires_grad_(False)


@program
def flag_as_it_is(s):
    s.x.requires_grad_(False)
    s.v.requires_grad = True
    return (s.v * s.x).sum()


@program
def new_leaves(s):
    a, b = torch.arange(3.0, requires_grad=True), torch.full((3,), 2.0, requires_grad=True)
    return (a * b * s.x).sum(), a, b, torch.hann_window(4, requires_grad=True)


@program
def written_while_frozen(s):
    s.v.requires_grad_(False)
    s.v.add_(1)
    s.v.requires_grad_(True)
    return (s.v * s.v).sum()


@program
def gradient_penalty(s):
    m = (0.5 * s.x + 0.5 * s.v.detach()).requires_grad_(True)
    (g,) = torch.autograd.grad(s.net(m).sum(), m, create_graph=True)
    return ((g.norm(2, 1) - 1) ** 2).mean()


# ---------------------------------------------------------------- history and .data


@program
def cut_off(s):
    y = s.v * 2
    y.detach_()
    return (y * s.v).sum(), y


@program
def cut_off_with_a_view(s):
    y = s.v * 2
    first = y[0]
    y.detach_()
    return (first * 3).sum() + (y * s.v).sum(), first.requires_grad, y.requires_grad


@program
def cut_off_view(s):
    return (s.x * 2)[0].detach_()


@program
def differentiated_write_into_a_detached_tensor(s):
    a = s.x.detach()
    a.add_(s.v)
    return (a * 2).sum(), a.requires_grad, s.x.requires_grad


@program
def data_changed_after_its_use(s):
    y = (s.w * s.w).sum()
    s.w.data.zero_()
    return y


@program
def detached_changed_after_its_use(s):
    y = (s.w * s.w).sum()
    s.w.detach().zero_()
    return y


@program
def data_changed_between_uses(s):
    y = (s.w * s.w).sum()
    s.w.data.mul_(3)
    z = (s.w * s.w).sum()
    s.w.data[0].add_(1)
    return y + z


@program
def data_of_an_intermediate(s):
    y = s.v.exp()
    y.data.mul_(2)
    return (y * y).sum()


@program
def data_replaced(s):
    s.net[0].weight.data = s.net[0].weight.data * 2
    return s.net(s.x).sum()


@program
def moving_average(s):
    for p, q in zip(s.average.parameters(), s.net.parameters()):
        p.data.mul_(0.9).add_(q.data, alpha=0.1)
    return s.average(s.x).sum() + s.net(s.x).sum()


@program
def clipped_weights(s):
    for p in s.net.parameters():
        p.data.clamp_(-0.1, 0.1)
    return s.net(s.x).sum()


# ---------------------------------------------------------------- gradients


@program
def gradient_given(s):
    s.v.grad = torch.ones_like(s.v)
    s.v.grad += 1
    return s.v.sum()


@program
def gradient_dropped(s):
    (s.v * s.v).sum().backward()
    g = s.v.grad.clone()
    s.v.grad = None
    return g


@program
def gradients_zeroed(s):
    s.net(s.x).sum().backward()
    s.net.zero_grad(set_to_none=False)
    return s.net(s.x).sum(), s.net[0].weight.grad + 1


@program
def gradients_accumulated(s):
    for k in range(3):
        (s.net(s.x * (k + 1)).square().mean() / 3).backward()
    return [p.grad.clone() for p in s.net.parameters()]


@program
def gradient_retained(s):
    y = s.v * 2
    y.retain_grad()
    return (y * y).sum(), y


# ---------------------------------------------------------------- memory and layout


@program
def other_memory(s):
    s.x.set_(s.w.detach())
    return s.x * 2


@program
def resized(s):
    s.b.resize_(4)
    y = s.b + 1
    y.resize_as_(torch.empty(2, 2))
    return y * 2


@program
def shared_memory(s):
    s.x.share_memory_()
    return s.x.is_shared(), (s.x * 2).is_shared(), s.x * 2


@program
def laid_out_anew(s):
    y = s.v * 2
    y.t_()
    z = s.x * 1
    z.transpose_(0, 1).unsqueeze_(0)
    return (y @ s.v).sum(), z._is_view(), z._base is None, z


@program
def relaid_and_cut_off(s):
    z = s.v * 1
    z.t_()
    z.detach_()
    return z


@program
def input_laid_out_anew(s):
    s.x.t_()
    s.b.as_strided_((2, 2), (1, 2))
    return s.x * 2, s.b + 1


def _facts(tree):
    if isinstance(tree, torch.Tensor):
        grad = None if tree.grad is None else _facts(tree.grad)
        kind = type(tree), tree.dtype, tree.shape, tree.stride(), tree.requires_grad, tree.is_leaf, tree.is_shared()
        return [*kind, grad, tree.detach().double().tolist()]
    if isinstance(tree, nn.Module):
        return _facts(tree.state_dict(keep_vars=True))
    if isinstance(tree, dict):
        return {k: _facts(v) for k, v in tree.items()}
    return [_facts(t) for t in tree] if isinstance(tree, (list, tuple)) else tree


def _observe(function, grad):
    """Two calls, each with what a backward pass leaves behind."""
    state, seen = _state(), []
    for _ in range(2):
        try:
            with torch.set_grad_enabled(grad):
                result = function(state)
            seen += [_facts(result), _facts(state.__dict__)]
            loss = result[0] if isinstance(result, tuple) else result
            if isinstance(loss, torch.Tensor) and loss.requires_grad:
                loss.sum().backward()
            seen.append(_facts(result))
        except RuntimeError as error:
            seen.append(str(error)[:60])
        seen.append(_facts(state.__dict__))
    return seen


def _close(a, b):
    if isinstance(a, float):
        return a == pytest.approx(b, rel=1e-4, abs=1e-5)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_close, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(_close(a[k], b[k]) for k in a)
    return a == b


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("grad", [True, False], ids=["grad", "no_grad"])
@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_as_in_eager(name, backend, grad):
    expected = _observe(PROGRAMS[name], grad)
    found = _observe(quern.compile(PROGRAMS[name], backend=backend), grad)
    for part, (a, b) in enumerate(zip(expected, found, strict=True)):
        assert _close(a, b), f"part {part}: {b}, not {a}"


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_only_writes_past_data_count_as_changes(backend):
    """Autograd's own counter, which a later backward pass outside asks."""

    def counted(x):
        x.detach().mul_(2)

    def uncounted(x):
        x.data.mul_(2)
        x.data[0] = 5.0

    for function, changes in ((counted, 1), (uncounted, 0)):
        x = torch.ones(3)
        with torch.no_grad():
            quern.compile(function, backend=backend)(x)
        assert x._version == changes and x[1] == 2


def test_the_break_names_the_tensor():
    def f(x):
        x.requires_grad_()
        return x * 2

    with pytest.raises(quern.errors.Unsupported, match="changing whether a tensor `x` requires gradients"):
        quern.compile(f, backend="eager", fullgraph=True)(torch.ones(3))
