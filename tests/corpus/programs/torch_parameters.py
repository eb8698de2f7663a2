"""Parameters and copies of tensors made in the program."""

# ruff: noqa
# mypy: ignore-errors

import copy

import torch
import torch.nn.functional as F
from registry import Expect
from torch import nn
from torch_values import on_torch, randn

program = on_torch(__name__)


# ------------------------------------------------------------ parameters and copies


@program(grad=True)
def parameter_made(x):
    p = nn.Parameter(torch.ones(4))
    return x * p, type(p).__name__, p.requires_grad


@program
def parameter_made_without_gradients(x):
    p = nn.Parameter(torch.ones(4), requires_grad=False)
    return x * p, isinstance(p, nn.Parameter)


@program(grad=True)
def parameter_of_an_argument(x):
    p = nn.Parameter(x)
    return (p * 2).sum(), p.shape


@program(grad=True)
def parameter_returned(x):
    return nn.Parameter(x.detach() * 2)


@program(grad=True)
def module_made(x):
    lin = nn.Linear(4, 2)
    with torch.no_grad():
        lin.weight.fill_(0.5)
        lin.bias.zero_()
    return lin(x)


@program
def copy_of_a_tensor(x):
    y = copy.copy(x)
    return y * 2


@program
def copy_returned(x):
    y = copy.copy(x + 1)
    return y


@program
def deepcopy_of_a_tensor(x):
    y = copy.deepcopy(x)
    y.add_(1)
    return x, y


@program
def copy_of_a_list_of_tensors(x):
    a = [x, x + 1]
    b = copy.copy(a)
    c = copy.deepcopy(a)
    return a, b, c


def _backward(c, fn):
    f = c(fn)
    for number in range(2):
        x = randn(3, 4).requires_grad_()
        loss, *rest = f(x)
        loss.backward()
        yield (
            loss,
            x.grad,
            [(r, r.grad, type(r).__name__, r.is_leaf) if isinstance(r, torch.Tensor) else r for r in rest],
        )


@program.script
def parameter_with_a_gradient(c):
    def fn(x):
        p = nn.Parameter(torch.arange(4.0))
        return (x * p).sum(), p

    yield from _backward(c, fn)


@program.script
def parameter_cuts_history(c):
    def fn(x):
        y = x * 2
        p = nn.Parameter(y)
        return (p * x).sum() + y.sum(), p, p.requires_grad, p.grad_fn is None

    yield from _backward(c, fn)


@program.script
def parameter_views_and_kinds(c):
    def fn(x):
        p = nn.Parameter(torch.ones(4, 4))
        q = nn.Parameter(torch.ones(4), requires_grad=False)
        names = [
            isinstance(p, nn.Parameter),
            isinstance(p[0], nn.Parameter),
            isinstance(p, torch.Tensor),
            type(p.t()) is torch.Tensor,
        ]
        return (x @ p.t() + p[1] + q).sum(), p, q, names

    yield from _backward(c, fn)


@program
def parameter_of_integers(x):
    return nn.Parameter(x.long())


@program(grad=True)
def parameter_written_through_its_data(x):
    y = x * 1
    p = nn.Parameter(y)
    y.add_(1)
    return p.sum()


@program(grad=True)
def parameter_under_no_grad(x):
    with torch.no_grad():
        p = nn.Parameter(x * 2)
        y = p * 2
    return y.requires_grad, (p * 3).requires_grad, p


def _tagged(x, **attrs):
    for k, v in attrs.items():
        setattr(x, k, v)
    return x


@program(args=lambda call: (_tagged(randn(3, 4), a=[call]) if call % 2 else randn(3, 4),), calls=4)
def copies_of_attributes(x):
    y = x + 1
    y.tag = [1]
    return copy.copy(x), copy.copy(y), copy.copy(y[0]), copy.deepcopy(x[1:])


@program(args=lambda call: (_tagged(randn(3, 4), a=[call]) if call % 2 else randn(3, 4),), calls=4)
def deep_copies_of_attributes(x):
    return copy.deepcopy(x)


@program
def copies_share_memory(x):
    y = copy.copy(x)
    z = copy.copy(x * 2)
    y.add_(1)
    return x, y, z, copy.copy(z)


@program(grad=True)
def layers_made_inside(x):
    linear, norm = torch.nn.Linear(4, 2), torch.nn.BatchNorm1d(2)
    out = norm(linear(x))
    return (
        out,
        linear.weight,
        norm.bias,
        norm.running_mean,
        linear.weight.is_leaf,
        isinstance(linear.bias, torch.nn.Parameter),
    )


@program(expect=Expect.WHOLE)
def layers_made_where_nothing_is_recorded(x):
    block = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4), torch.nn.ReLU(), torch.nn.Dropout(0.5))
    table = torch.nn.Embedding(5, 4, padding_idx=0)
    return block(x), table(torch.tensor([0, 1, 4])), table.weight


@program(expect=Expect.WHOLE)
def parameters_written_to(x):
    w = torch.nn.Parameter(torch.ones(4))
    with torch.no_grad():
        w.mul_(2)
        w[0] = 5
        w[1:].add_(x[0, 1:])
    w.data.sub_(1)
    return x * w, w


@program(grad=True, expect=Expect.WHOLE)
def parameters_initialised(x):
    w = torch.nn.Parameter(torch.empty(4, 4))
    torch.nn.init.xavier_uniform_(w)
    v = torch.nn.Parameter(torch.empty(4))
    torch.nn.init.zeros_(v)
    torch.nn.init.constant_(v, 2.0)
    torch.nn.init.orthogonal_(w) if x is None else w.data.mul_(0.5)
    return x @ w + v, w, v


@program(grad=True)
def a_leaf_written_to(x):
    w = torch.nn.Parameter(torch.ones(4))
    try:
        w.add_(1)
    except RuntimeError:
        return x * 2
    return w


@program
def a_parameter_and_its_data_written_to(x):
    data = torch.ones(4)
    w = torch.nn.Parameter(data)
    w.add_(1)
    seen = data * 1
    data.add_(x[0])
    return data, w, x * w, seen


@program(grad=True)
def a_parameter_read_between_writes(x):
    w = torch.nn.Parameter(torch.ones(4))
    before = w * 1
    with torch.no_grad():
        w.add_(1)
    after = w * x[0]
    with torch.no_grad():
        w.zero_()
    return before.detach(), after.detach(), w


@program
def an_argument_made_a_parameter_and_written_to(x):
    w = torch.nn.Parameter(x, requires_grad=False)
    w.add_(1)
    return w * 2, x


@program
def arguments_seen_through_parameters(x, y):
    w = torch.nn.Parameter(x, requires_grad=False)
    v = torch.nn.Parameter(y[0], requires_grad=False)
    w.add_(1)
    before = x * 1
    w[0] = 7
    v.mul_(3)
    return w, v, before, x + 0, y, w.data, type(w).__name__
