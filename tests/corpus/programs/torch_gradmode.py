"""Grad modes and what gradients leave to see: requires_grad, detach, .data, .grad, is_leaf, autograd.grad, backward."""

# ruff: noqa
# mypy: ignore-errors

import torch
import torch.nn.functional as F
from torch_values import on_torch, randn

program = on_torch(__name__)


def leaf(*shape):
    return randn(*shape).requires_grad_()


def with_leaf(fn):
    return program(fn, args=lambda: (leaf(3, 4), randn(3, 4)), grad=True)


@with_leaf
def no_grad_part(x, y):
    with torch.no_grad():
        a = x * y
    b = x * a
    return a, b, a.requires_grad, b.requires_grad


@with_leaf
def enable_grad_inside(x, y):
    with torch.no_grad():
        a = x * 2
        with torch.enable_grad():
            b = x * 3
        c = b * 2
    return a, b, c, torch.is_grad_enabled()


@with_leaf
def inference_inside(x, y):
    with torch.inference_mode():
        a = x * y
    return a * 1, torch.is_inference_mode_enabled()


@with_leaf
def set_grad_enabled_block(x, y):
    with torch.set_grad_enabled(False):
        a = x * 2
    with torch.set_grad_enabled(True):
        b = x * 2
    return a, b


@with_leaf
def set_grad_enabled_call(x, y):
    torch.set_grad_enabled(False)
    a = x * 2
    torch.set_grad_enabled(True)
    return a, x * 2


@torch.no_grad()
def _helper(x):
    return x * 2


@torch.enable_grad()
def _enabled(x):
    return x * 2


@torch.inference_mode()
def _inferring(x):
    return x * 2


@with_leaf
def decorated_helpers(x, y):
    return _helper(x), _enabled(x), _inferring(x) + 0


@program.maker(args=lambda: (leaf(3, 4),), grad=True)
def decorated_no_grad():
    @torch.no_grad()
    def fn(x):
        return x * 2, torch.is_grad_enabled()

    return fn


@with_leaf
def detach_and_data(x, y):
    a = x.detach()
    b = (x * 2).detach() + x
    c = x.data * 2
    return a, b, c, a.requires_grad, c.requires_grad, a.is_leaf


@with_leaf
def detach_shares_memory(x, y):
    h = x * 2
    d = h.detach()
    d.add_(1)
    return h.sum(), d


@with_leaf
def read_attributes(x, y):
    h = x * y
    return (
        x.requires_grad,
        y.requires_grad,
        h.requires_grad,
        x.is_leaf,
        y.is_leaf,
        h.is_leaf,
        x.grad is None,
        h.grad_fn is None,
    )


@with_leaf
def branch_on_requires_grad(x, y):
    if x.requires_grad and not y.requires_grad:
        return x * 2
    return y


@program(args=lambda call: (randn(3).requires_grad_(call % 2 == 0),), calls=4, grad=True)
def requires_grad_changes(x):
    y = x * 2
    return y, y.requires_grad


@program(args=lambda: (randn(3, 4),), grad=True)
def requires_grad_inplace_on_new(x):
    w = torch.ones(4).requires_grad_()
    y = (x * w).sum()
    return y, w.requires_grad, w.is_leaf


@program(args=lambda: (randn(3, 4),), grad=True)
def requires_grad_argument(x):
    w = torch.zeros(4, requires_grad=True)
    return (x + w).sum()


@program(args=lambda: (randn(3, 4),), grad=True)
def requires_grad_on_input(x):
    x.requires_grad_()
    return (x * 2).sum()


@with_leaf
def autograd_grad(x, y):
    z = (x * y).sum()
    (g,) = torch.autograd.grad(z, x)
    return z, g


@with_leaf
def autograd_grad_create_graph(x, y):
    z = (x.sin() * y).sum()
    (g,) = torch.autograd.grad(z, x, create_graph=True)
    return z + g.pow(2).sum()


@with_leaf
def backward_inside(x, y):
    z = (x * y).sum()
    z.backward()
    return z.detach(), x.grad


@program.maker(args=lambda: (randn(3, 4),), grad=True)
def training_step():
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 2)
    opt = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(x):
        opt.zero_grad()
        loss = model(x).pow(2).mean()
        loss.backward()
        opt.step()
        return loss.detach()

    return step


@with_leaf
def no_grad_update(x, y):
    with torch.no_grad():
        x.mul_(0.5)
        x -= y
    return x.sum()


@with_leaf
def data_update(x, y):
    x.data.add_(y)
    return x * 1


@with_leaf
def inplace_on_intermediate(x, y):
    h = x * 2
    h.add_(y)
    h[0] = 0
    return h.sum()


@with_leaf
def inplace_view_of_intermediate(x, y):
    h = x * 2
    h[:, 1:].mul_(3)
    h.T[0].zero_()
    return (h * y).sum()


@program(args=lambda: (leaf(3, 4), randn(3, 4)), grad=True)
def write_into_plain_input(x, y):
    y.copy_(x.detach())
    return y * 2


@program(args=lambda: (leaf(3, 4), randn(3, 4)), grad=True)
def write_gradient_into_plain_input(x, y):
    y.copy_(x)
    return y * 2


@program(args=lambda: (leaf(3, 4), randn(3, 4)), grad=True)
def write_item_of_plain_input(x, y):
    y[0] = x[1]
    return y.sum()


@with_leaf
def detach_inplace(x, y):
    h = x * 2
    h.detach_()
    return h * x, h.requires_grad


@with_leaf
def return_input_itself(x, y):
    return x, y, x.view(-1), x.T, x.detach()


@with_leaf
def grad_attribute(x, y):
    if x.grad is None:
        return x * 2
    return x.grad


@program(args=lambda: (_with_grad(3, 4),), grad=True)
def read_grad(x):
    return x.grad * 2, (x * 2).sum()


def _with_grad(*shape):
    x = leaf(*shape)
    (x * 3).sum().backward()
    return x


@program(args=lambda: (_with_grad(3, 4),), grad=True)
def zero_grad_inside(x):
    x.grad.zero_()
    return x * 2


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 5


@with_leaf
def retain_grad(x, y):
    h = x * 2
    h.retain_grad()
    return h, h.sum()


@with_leaf
def dtype_stops_gradient(x, y):
    i = x.to(torch.int64)
    return (x > 0), i, x.argmax(), x.round(), (x > 0).float() * x


@with_leaf
def split_outputs(x, y):
    a, b = (x * 2).split(2, dim=1)
    return a, b, a.requires_grad


@with_leaf
def no_grad_output_view(x, y):
    with torch.no_grad():
        v = x.view(-1)
    return v, v.requires_grad


@with_leaf
def nested_modes_and_break(x, y):
    with torch.no_grad():
        a = x * 2
        with torch.enable_grad():
            b = x * 3
            torch._dynamo.graph_break()
            c = x * b
        d = x * c
    e = x * 4
    return a, b, c, d, e


@with_leaf
def exception_leaves_no_grad(x, y):
    try:
        with torch.no_grad():
            a = x * 2
            raise ValueError("no")
    except ValueError:
        b = x * 3
    return a, b


@with_leaf
def jacobian_like(x, y):
    with torch.enable_grad():
        h = x.detach().requires_grad_()
        out = (h**2).sum()
        g = torch.autograd.grad(out, h)[0]
    return g + y


@program(args=lambda: (randn(3, 4).requires_grad_(),), grad=False)
def leaf_under_no_grad(x):
    y = x * 2
    return y, y.requires_grad, x.requires_grad


@with_leaf
def overwrite_intermediate(x, y):
    h = x * 2
    h.zero_()
    g = x * 3
    g.copy_(y)
    return h, g, h.requires_grad, (h + g).sum()


@with_leaf
def no_grad_write_of_intermediate(x, y):
    h = x * 2
    with torch.no_grad():
        h[0].add_(1)
        h.mul_(2)
    return h, (h * y).sum()


@with_leaf
def no_grad_view_used_later(x, y):
    with torch.no_grad():
        v = x.view(-1)
        w = v[2:6]
    return v * 2, w, w.requires_grad, w.is_leaf


@with_leaf
def unused_random(x, y):
    torch.rand(3)
    return 1, torch.rand(2).shape
