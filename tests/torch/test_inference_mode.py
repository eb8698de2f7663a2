"""`torch.inference_mode` entered and left inside of compiled code: tensors come out as such of inference mode where they were made in
it, and what eager refuses of them is refused.
"""

from __future__ import annotations

import types

import pytest
import torch

import quern

pytestmark = pytest.mark.filterwarnings("ignore:quern. gradients")
W = torch.ones(3, requires_grad=True)
HOLDER = types.SimpleNamespace()
PROGRAMS = []


def program(function):
    PROGRAMS.append(pytest.param(function, id=function.__name__))
    return function


@program
def made_inside(x):
    with torch.inference_mode():
        y = x * 2
    return y, y.is_inference(), x.is_inference()


@program
def views_and_what_is_made_behind(x):
    with torch.inference_mode():
        y = x * 2
        v = y[1:]
    w = y + 1
    return y, v, y[:1], w, [t.is_inference() for t in (y, v, w)]


@program
def views_of_what_was_there(x):
    with torch.inference_mode():
        v, y = x[1:], x.view(3, 1)
    return v, y, v * 1


@program
def written_inside(x):
    with torch.inference_mode():
        y = x * 2
        y.add_(1)
    return y


@program
def written_outside(x):
    with torch.inference_mode():
        y = x * 2
    y.add_(1)
    return y


@program
def argument_written_inside(x):
    with torch.inference_mode():
        y = x * 2
        x.mul_(2)
    return y, x, x.view(-1)


@program
def argument_written_from_what_was_made_inside(x):
    with torch.inference_mode():
        y = torch.zeros(3)
    x.copy_(y)
    return x


@program
def kept_for_a_backward_pass(x):
    with torch.inference_mode():
        y = x * 2
    return y * W


@program
def not_kept_for_a_backward_pass(x):
    with torch.inference_mode():
        y = x * 2
    return y + W


@program
def switched_off(x):
    with torch.inference_mode(False):
        y = x * 2
    return y, y.is_inference(), y * 1


@program
def recorded_where_it_is_switched_off(x):
    with torch.inference_mode(False):
        return W * 2


@program
def around_a_break(x):
    with torch.inference_mode():
        y = x * 2
        quern.graph_break()
        z = y + 1
    return y, z, z * W.detach(), W * 2, y.view(3, 1), z[0], z.clone()


@torch.inference_mode()
def _decorated(x):
    return x * 2, x


@program
def in_a_decorated_function(x):
    return _decorated(x)


@program
def kept_in_an_object(x):
    with torch.inference_mode():
        HOLDER.kept = x * 2
    return x + 1


@program
def asked_of_one(x):
    with torch.inference_mode():
        y = x * 2
    return y.detach(), y.clone(), y.requires_grad, y.sum().item()


def _seen(value):
    if isinstance(value, torch.Tensor):
        return value.tolist(), value.is_inference(), value.requires_grad, value.stride(), value._is_view()
    return [_seen(v) for v in value] if isinstance(value, (tuple, list)) else value


@pytest.mark.parametrize("f", PROGRAMS)
@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("argument", [False, True], ids=["plain argument", "argument of inference mode"])
@pytest.mark.parametrize("mode", [False, True], ids=["called outside", "called inside"])
def test_tensors_are_of_the_mode_that_they_were_made_in(f, backend, argument, mode):
    def outcome(call):
        vars(HOLDER).clear()
        with torch.inference_mode(argument):
            x = torch.arange(3.0)
        try:
            with torch.inference_mode(mode):
                result = call(x)
        except RuntimeError as refusal:
            return str(refusal)
        return _seen(result), _seen(x), _seen(getattr(HOLDER, "kept", None))

    compiled = quern.compile(f, backend=backend)
    for _ in range(2):
        assert outcome(compiled) == outcome(f)


def test_one_graph():
    def f(x):
        with torch.inference_mode():
            y = x * 2
            v = y[1:]
        return v, y, y + 1

    v, y, z = quern.compile(f, fullgraph=True)(torch.arange(3.0))
    assert v.is_inference() and y.is_inference() and not z.is_inference()
    assert v.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()
    with pytest.raises(RuntimeError, match="[Ii]nference tensor"):
        v.add_(1)
