"""torch.cond, checkpointing, autograd.Function, functions marked for the graph, modules made after torch.compile was used."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch_checks import check, compare, compiled, randn

import quern

X = randn(3, 4)


def branches(x):
    def yes(v):
        return v + 1, {"a": v.sum()}

    def no(v):
        return v - 1, {"a": v.mean()}

    return torch.cond(x.sum() > 0, yes, no, (x,))


def test_cond():
    function = compiled(branches)
    with torch.no_grad():
        for x in (X.abs(), -X.abs()):
            expected = (x + 1, {"a": x.sum()}) if x.sum() > 0 else (x - 1, {"a": x.mean()})
            compare(expected, function(x))


def test_cond_on_a_python_bool():
    def fn(x, flag):
        return torch.cond(flag, torch.sin, torch.cos, (x,))

    function = compiled(fn)
    with torch.no_grad():
        compare(X.sin(), function(X, True))
        compare(X.cos(), function(X, False))


@pytest.mark.parametrize(
    ("no", "code"),
    [(lambda v: v.sum(), "cond-branches"), (lambda v: (v, v), "cond-branches"), (lambda v: v.add_(1), "cond-mutation")],
)
def test_cond_that_cannot_be_captured(no, code):
    def fn(x):
        return torch.cond(x.sum() > 0, lambda v: v * 1, no, (x,))

    with torch.no_grad(), pytest.raises(quern.errors.Unsupported) as error:
        compiled(fn)(X.clone())
    assert error.value.code == code


def test_checkpoint():
    layer = nn.Linear(4, 4)

    def fn(x):
        return checkpoint(lambda v, k=1: layer(v).sin() * k, x, use_reentrant=False, k=3)

    check(fn, X)


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x * factor if ctx.needs_input_grad == (False, False) else x

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor, None


class Split(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x.sin(), x.cos()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx, a, b):
        return a


def test_autograd_function():
    def fn(x):
        a, b = Split.apply(x)
        return Scaled.apply(x, 2.0) + a * b

    check(fn, X)


def test_autograd_function_with_gradients():
    """Its backward is the program's own: it runs as plain Python inside the graph's two halves."""

    def fn(x):
        return (Scaled.apply(x * 1, 3.0) + 1).sum()

    x = X.clone().requires_grad_()
    fn(x).backward()
    y = X.clone().requires_grad_()
    quern.compile(fn, backend="eager")(y).backward()
    assert torch.equal(x.grad, y.grad)


def test_modules_made_after_torch_compile_was_used():
    """torch.compile replaces nn.Module.__init__ for the whole process."""
    torch.compile(lambda x: x + 1, backend="eager")(X)

    def fn(x):
        return nn.Sequential(nn.ReLU())(x)

    with torch.no_grad():
        compare(fn(X), compiled(fn)(X))


class Logged(torch.autograd.Function):
    log: list[str] = []

    @staticmethod
    def forward(ctx, x):
        Logged.log.append("forward")
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def test_effects_of_an_autograd_function_happen_once():
    def fn(x):
        Logged.log.append("before")
        return Logged.apply(x)

    x = X.clone().requires_grad_()
    Logged.log.clear()
    assert torch.equal(quern.compile(fn, backend="eager")(x), x * 2)
    assert Logged.log == ["before", "forward"]
