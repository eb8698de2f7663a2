"""The framework's control flow: cond, while_loop, scan, associative_scan, map, and operators that call functions.

In eager mode these compile their functions with torch's own compiler, so programs say in plain Python what they mean.
"""

# ruff: noqa
# mypy: ignore-errors

import torch
from torch import nn
from torch._higher_order_ops import associative_scan, scan
from torch._higher_order_ops.map import map as map_over
from torch_values import on_torch, randn

program = on_torch(__name__)


def _meant(c, compiled, plain, *inputs, grad=False):
    """What `compiled` gives where it is compiled, and `plain` where it is not."""
    f = c(compiled)
    f = plain if f is compiled else f
    for args in inputs:
        if not grad:
            with torch.no_grad():
                yield f(*args)
            continue
        args = [a.clone().requires_grad_() for a in args]
        found = f(*args)
        loss = sum(t.sum() for t in torch.utils._pytree.tree_leaves(found) if t.requires_grad)
        loss.backward()
        yield found, [a.grad for a in args]


def _inputs(*shape):
    x = randn(*shape)
    return (x.abs(),), (-x.abs(),), (x * 2,)


# ------------------------------------------------------------ cond


@program.script
def cond_of_lambdas(c):
    f = lambda x: torch.cond(x.sum() > 0, lambda v: v + 1, lambda v: v * 2, (x,))
    g = lambda x: x + 1 if x.sum() > 0 else x * 2
    yield from _meant(c, f, g, *_inputs(3, 4))


@program.script
def cond_nested(c):
    def f(x):
        inner = lambda v: torch.cond(v.max() > 1, lambda w: w.exp(), lambda w: w.sin(), (v,))
        return torch.cond(x.sum() > 0, inner, lambda v: v.cos(), (x,))

    g = lambda x: (x.exp() if x.max() > 1 else x.sin()) if x.sum() > 0 else x.cos()
    yield from _meant(c, f, g, *_inputs(3, 4))


@program.script
def cond_closures(c):
    w = torch.arange(4.0)
    lin = nn.Linear(4, 4)
    f = lambda x: torch.cond(x.sum() > 0, lambda: lin(x), lambda: x * w, ())
    g = lambda x: lin(x) if x.sum() > 0 else x * w
    yield from _meant(c, f, g, *_inputs(3, 4))
    yield from _meant(c, f, g, *_inputs(3, 4), grad=True)
    w.add_(1)
    yield from _meant(c, f, g, *_inputs(3, 4))


@program.script
def cond_gradients(c):
    """The branch that is not taken has no finite gradient."""
    f = lambda x: torch.cond(x.sum() > 0, lambda v: v.sqrt(), lambda v: v * 2, (x,))
    g = lambda x: x.sqrt() if x.sum() > 0 else x * 2
    yield from _meant(c, f, g, *_inputs(3, 4)[:2], grad=True)


@program.script
def cond_random(c):
    f = lambda x: (torch.cond(x.sum() > 0, lambda v: v + torch.rand(4), lambda v: v * 1, (x,)), torch.rand(2))
    g = lambda x: (x + torch.rand(4) if x.sum() > 0 else x * 1, torch.rand(2))
    for args in _inputs(3, 4):
        torch.manual_seed(0)
        yield from _meant(c, f, g, args)


@program.script
def cond_trees(c):
    f = lambda x: torch.cond(x.sum() > 0, lambda v: (v + 1, {"a": v.sum()}), lambda v: (v - 1, {"a": v.mean()}), (x,))
    g = lambda x: (x + 1, {"a": x.sum()}) if x.sum() > 0 else (x - 1, {"a": x.mean()})
    yield from _meant(c, f, g, *_inputs(3, 4))


@program.script
def cond_on_a_shape(c):
    f = lambda x: torch.cond(x.shape[0] > 3, torch.sin, torch.cos, (x,))
    g = lambda x: x.sin() if x.shape[0] > 3 else x.cos()
    yield from _meant(c, f, g, (randn(3, 4),), (randn(5, 4),), (randn(2, 4),))


@program.script
def cond_operator(c):
    f = lambda x: torch.ops.higher_order.cond(x.sum() > 0, lambda v: (v.sin(),), lambda v: (v.cos(),), (x,))
    g = lambda x: (x.sin() if x.sum() > 0 else x.cos(),)
    yield from _meant(c, f, g, *_inputs(3, 4))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.small, self.large = nn.Linear(4, 2), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x):
        return torch.cond(x.norm() > 4, self.large, self.small, (x,))


@program.script
def cond_modules(c):
    m = Gated()
    g = lambda x: m.large(x) if x.norm() > 4 else m.small(x)
    yield from _meant(c, lambda x: m(x), g, (randn(3, 4),), (randn(3, 4) * 9,))
    yield from _meant(c, lambda x: m(x), g, (randn(3, 4),), (randn(3, 4) * 9,), grad=True)


# ------------------------------------------------------------ while_loop


@program.script
def while_loop_counts(c):
    f = lambda x: torch.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, y.sin()), (torch.tensor(0), x))

    def g(x):
        i, y = torch.tensor(0), x
        while i < 5:
            i, y = i + 1, y.sin()
        return i, y

    yield from _meant(c, f, g, (randn(3, 4),), (randn(3, 4),), (randn(5, 2),))


@program.script
def while_loop_until_it_is_small(c):
    def f(x, scale):
        w = scale * 0.5
        return torch.while_loop(lambda y: y.abs().max() > 0.1, lambda y: (y * w,), (x,))

    def g(x, scale):
        while x.abs().max() > 0.1:
            x = x * (scale * 0.5)
        return (x * 1,)

    half = torch.tensor(1.0)
    yield from _meant(c, f, g, (randn(3, 4), half), (randn(3, 4) * 20, half), (randn(3, 4) * 0, half))
    yield from _meant(c, f, g, (randn(3, 4), half), (randn(3, 4) * 20, half), grad=True)


@program.script
def while_loop_of_a_module(c):
    lin = nn.Linear(4, 4)
    f = lambda x: torch.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, lin(y).tanh()), (torch.tensor(0), x))[1]

    def g(x):
        for _ in range(3):
            x = lin(x).tanh()
        return x

    yield from _meant(c, f, g, (randn(3, 4),), (randn(2, 4),))
    with torch.no_grad():
        lin.weight.mul_(2)
    yield from _meant(c, f, g, (randn(3, 4),))


@program.script
def while_loop_nested(c):
    def f(x):
        def body(i, y):
            inner = torch.while_loop(lambda j, z: j < i, lambda j, z: (j + 1, z + j), (torch.tensor(0), y))
            return i + 1, inner[1]

        return torch.while_loop(lambda i, y: i < 4, body, (torch.tensor(1), x))

    def g(x):
        i = torch.tensor(1)
        while i < 4:
            for j in range(int(i)):
                x = x + j
            i = i + 1
        return i, x

    yield from _meant(c, f, g, (randn(3, 4),), (randn(3, 4),))


# ------------------------------------------------------------ scans and map


@program.script
def scan_of_sums(c):
    f = lambda x: scan(lambda s, r: (s + r, (s * r).clone()), torch.zeros(4), x)

    def g(x):
        s, outs = torch.zeros(4), []
        for r in x:
            outs.append(s * r)
            s = s + r
        return s, torch.stack(outs)

    yield from _meant(c, f, g, (randn(3, 4),), (randn(5, 4),))
    yield from _meant(c, f, g, (randn(3, 4),), grad=True)


@program.script
def scan_trees_and_dims(c):
    def f(x, y):
        step = lambda s, r: ({"a": s["a"] * 0.5 + r[0]}, (s["a"] + r[1], r[0].clone()))
        return scan(step, {"a": torch.zeros(3)}, (x, y), dim=1, reverse=True)

    def g(x, y):
        s, outs = torch.zeros(3), []
        for r, q in reversed(list(zip(x.unbind(1), y.unbind(1)))):
            outs.append((s + q, r))
            s = s * 0.5 + r
        outs.reverse()
        return {"a": s}, tuple(torch.stack(o).movedim(0, 1) for o in zip(*outs))

    yield from _meant(c, f, g, (randn(3, 4), randn(3, 4)), (randn(3, 6), randn(3, 6)))


@program.script
def scan_with_weights(c):
    cell = nn.GRUCell(4, 4)
    f = lambda x: scan(lambda h, r: (lambda n: (n, n.clone()))(cell(r, h)), torch.zeros(2, 4), x)

    def g(x):
        h, outs = torch.zeros(2, 4), []
        for r in x:
            h = cell(r, h)
            outs.append(h)
        return h, torch.stack(outs)

    yield from _meant(c, f, g, (randn(3, 2, 4),))
    yield from _meant(c, f, g, (randn(3, 2, 4),), grad=True)


@program.script
def associative_scan_of_products(c):
    f = lambda x: associative_scan(lambda a, b: a * b, x, 0, combine_mode="generic")
    yield from _meant(c, f, lambda x: x.cumprod(0), (randn(3, 4),), (randn(6, 4),))


@program.script
def map_of_a_function(c):
    w = torch.arange(4.0)
    f = lambda x, y: map_over(lambda r, s: (r.sin() + s, r * w), x, y)
    g = lambda x, y: tuple(torch.stack(t) for t in zip(*[(r.sin() + y, r * w) for r in x]))
    yield from _meant(c, f, g, (randn(3, 4), randn(4)), (randn(5, 4), randn(4)))


# ------------------------------------------------------------ operators that call a function


@program.script
def wrap_operator(c):
    f = lambda x: torch.ops.higher_order.wrap(lambda v: v.sin() + x, x)
    yield from _meant(c, f, lambda x: x.sin() + x, (randn(3, 4),), (randn(3, 4),))


@program.script
def wrap_with_set_grad_enabled(c):
    f = lambda x: torch.ops.higher_order.wrap_with_set_grad_enabled(False, lambda v: v.sin(), x) + x
    yield from _meant(c, f, lambda x: x.detach().sin() + x, (randn(3, 4),), (randn(3, 4),), grad=True)
