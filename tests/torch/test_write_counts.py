"""How often a tensor was written to is the program's to ask (`_version`), and autograd's: compiled code counts as eager does.

A graph writes once what the program wrote several times. Of tensors that a graph makes, the program's own writes are compared: what the
graph computes in one step eager may have written in several, and where gradients are recorded nothing is noted of new tensors.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import quern

pytestmark = pytest.mark.filterwarnings("ignore:quern. gradients")

MEAN, VAR = torch.zeros(4), torch.ones(4)


def several(x):
    x.add_(1)
    x.mul_(2)
    x[0] += 1  # two writes: the sum's, and that of `x[0] = ...`
    return x.sum()


def without_recording(x):
    with torch.no_grad():
        x.add_(1)
        x[:2].mul_(2)
    return x * 2


def without_recording_then_recorded(x):
    with torch.no_grad():
        x.add_(1)
        x.mul_(2)
    x.mul_(3)
    return x.sum()


def read_between(x):
    with torch.no_grad():
        x.add_(1)
        x.mul_(2)
    y = x * 2
    with torch.no_grad():
        x.zero_()
        x.add_(1)
        x.add_(2)
    return y.sum() + x.sum()


def past_autograd(x):
    x.data.add_(1)
    x.data.mul_(2)
    x.data[0] += 1
    return x * 2


def both_ways(x):
    x.data.add_(1)
    x.add_(1)
    x.data.mul_(2)
    x.detach().mul_(2)
    return x * 2


def around_a_break(x):
    x.add_(1)
    quern.graph_break()
    x.mul_(2)
    x.mul_(3)
    return x._version


def asked_between(x):
    x.add_(1)
    x.mul_(2)
    counted = x._version
    x.mul_(3)
    return counted


def views(x):
    v = x[1:]
    v += 1
    v.zero_()
    x.copy_(v.sum())
    x.clamp_(0, 1)
    x.masked_fill_(x > 0, 2)
    x[x > 1] = 0
    return x


def once(x):
    x += 1
    return x


def lists(x):
    torch._foreach_add_([x], 1)
    torch._foreach_mul_([x, x.clone()], 2)
    return x


def layers(x):
    F.relu(x, inplace=True)
    F.relu_(x)
    F.batch_norm(x[None].repeat(3, 1), MEAN, VAR, training=True)
    return x


def in_a_loop(x):
    for i in range(3):
        x[i] = i
    return x


def to_itself(x):
    x[1] = x[1]
    x.copy_(x)
    return x


def copied_and_stored(x, z):
    x.add_(1)
    z.copy_(z.sort()[0])
    z.mul_(2)
    return x.sum()


def a_new_tensor(x):
    y = x * 2
    y.add_(1)
    y.mul_(2)
    x.add_(y.detach())
    return y.sum()


PROGRAMS = [
    several, without_recording, without_recording_then_recorded, read_between, past_autograd, both_ways, around_a_break, asked_between, views,
    once, lists, layers, in_a_loop, to_itself, a_new_tensor,
]  # fmt: skip


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("grad", [False, True], ids=["no gradients", "gradients"])
def test_writes_are_counted_as_in_eager(f, backend, grad):
    def counts(call):
        MEAN.zero_(), VAR.fill_(1)
        x = torch.arange(4.0).requires_grad_(grad) * 1
        before = MEAN._version
        results = [call(x) for _ in range(2)]
        asked = [r for r in results if isinstance(r, int)]
        return x._version, MEAN._version - before, asked, x.tolist()

    assert counts(quern.compile(f, backend=backend)) == counts(f)


def made_and_written(x):
    y, z = x * 2, torch.zeros(4)
    y.add_(1)
    y.data.mul_(2)
    z[0] = 1
    z[1] += 1
    past = z.data
    past.add_(1)
    return y, y[1:], y.detach(), z, past, past[1:], x + 1


def made_by_the_framework(x):
    y, z = torch.empty(4), x.clone()
    y.uniform_()
    y.normal_()
    F.alpha_dropout(z, 0.5, True, True)
    return y, z.digamma_().add_(1), torch.cumsum(x, 0, out=torch.empty(4))


def relaid_in_place(x):
    y, z = x + 1, x.clone()
    y.unsqueeze_(0).t_().mul_(2)
    v = z[1:]
    v.unsqueeze_(0).add_(1)
    return y, z, v


def written_before_a_break(x):
    y = torch.stack([x, x])
    y[0].zero_()
    quern.graph_break()
    y += 1
    return y, y._version


def in_inference_mode(x):
    with torch.inference_mode():
        y = (x + 1).mul_(2)
    return (x + y).mul_(2)


MADE = [made_and_written, made_by_the_framework, relaid_in_place, written_before_a_break, in_inference_mode]


@pytest.mark.parametrize("f", MADE, ids=lambda f: f.__name__)
def test_writes_to_tensors_that_are_made_are_counted_as_in_eager(f):
    def counts(call):
        results = call(torch.arange(4.0))
        results = results if isinstance(results, tuple) else (results,)
        return [r._version if isinstance(r, torch.Tensor) else r for r in results]

    assert counts(quern.compile(f)) == counts(f)


def test_what_takes_no_part_in_differentiation_is_counted():
    w = torch.ones(4, requires_grad=True)

    def f(x):
        y, z, v = torch.zeros(4), x.clone(), x + 1
        y[0] = 1
        y.add_(x)
        z.t_()
        z.mul_(2)
        v.mul_(3)
        quern.graph_break()
        return y._version, z._version, z._is_view(), v[1:], y, z, (w * x).sum()

    def f_together(x):
        y, z = torch.zeros(4), x.clone()
        y[0] = 1
        y.fill_(2)
        z.t_()
        z.mul_(2)
        return y, z, (w * x).exp()

    for program in (f, f_together):
        found = []
        for call in (program, quern.compile(program)):
            results = call(torch.arange(4.0))
            found.append([(r._version, r._is_view()) if isinstance(r, torch.Tensor) else r for r in results])
        assert found[1] == found[0]


def test_counting_does_not_disturb_what_autograd_saved():
    def f(x, w):
        y = (x * 2).exp_()  # its result is saved
        z = x.detach().mul(3).add_(1)
        return y.sum() + (w * z).sum(), y, z

    def gradients(call):
        x, w = torch.arange(4.0).requires_grad_(), torch.ones(4, requires_grad=True)
        call(x, w)[0].backward()
        return x.grad.tolist(), w.grad.tolist()

    assert gradients(quern.compile(f)) == gradients(f)


def test_a_write_is_counted_once_however_it_is_made():
    """One input is stored to by a kernel, the other copied into behind it."""

    def counts(call):
        x, z = torch.ones(3), torch.tensor([3.0, 1.0, 2.0])
        call(x, z)
        return x._version, z._version, z.tolist()

    assert counts(quern.compile(copied_and_stored, fullgraph=True)) == counts(copied_and_stored)


def test_tensors_of_inference_mode_are_not_counted():
    with torch.inference_mode():
        x = torch.arange(4.0)
        quern.compile(several)(x)
    assert x.tolist() == [3, 4, 6, 8] and x.is_inference()


# ---------------------------------------------------------------- `out=` where gradients are recorded

W = torch.ones(4, requires_grad=True)
OUTS = {
    "recorded operand": lambda x: torch.add(W, 1, out=x),
    "own result": lambda x: torch.add(x, 1, out=torch.empty(4)),
    "of what was computed": lambda x: torch.mul(x.clone(), W * 2, out=torch.empty(4)),
    "recorded target": lambda x: torch.add(torch.ones(4), 1, out=x),
    "several operands": lambda x: torch.cat([W, x], out=torch.empty(8)),
    "product": lambda x: torch.matmul(W, x, out=torch.empty(())),
    "no gradient to record": lambda x: torch.eq(W, 1, out=torch.empty(4, dtype=torch.bool)),
    "index": lambda x: torch.argmax(W, dim=0, out=torch.empty((), dtype=torch.int64)),
    "two results": lambda x: torch.max(W, dim=0, out=(torch.empty(()), torch.empty((), dtype=torch.int64))),
    "made of nothing": lambda x: torch.zeros(4, out=x),
    "composite": lambda x: torch.linalg.norm(W, out=torch.empty(())),
}


@pytest.mark.parametrize("name", OUTS)
@pytest.mark.parametrize("grad", [False, True], ids=["no gradients", "gradients"])
@pytest.mark.parametrize("recording", [False, True], ids=["not recorded", "recorded"])
def test_out_where_gradients_are_recorded(name, grad, recording):
    def outcome(call):
        x = torch.arange(4.0).requires_grad_(grad) * 1
        try:
            with torch.set_grad_enabled(recording):
                result = call(x)
        except RuntimeError as refusal:
            return type(refusal), str(refusal)
        results = result if isinstance(result, tuple) else (result,)
        return [(r.tolist(), r.requires_grad) for r in results], x.tolist(), x._version

    def program(x):
        return OUTS[name](x)

    assert outcome(quern.compile(program)) == outcome(program)
