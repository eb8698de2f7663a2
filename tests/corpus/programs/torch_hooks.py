"""Hooks on tensors and modules, attributes on tensors, the state of random numbers."""

# ruff: noqa
# mypy: ignore-errors

import functools

import torch
from torch import nn
from torch_values import on_torch, randn

program = on_torch(__name__)


# ------------------------------------------------------------ attributes on tensors


@program
def attribute_set_on_an_argument(x):
    x.seen = 3
    return x * 2


@program
def attribute_set_and_read(x):
    x.scale = 2.0
    return x * x.scale


@program
def attribute_on_a_result(x):
    y = x + 1
    y.origin = "sum"
    y.parent = x
    return y


@program
def attribute_on_a_view(x):
    y = x[1:]
    y.part = (1, 3)
    return y, x[1:]


@program
def attribute_not_carried_over(x):
    y = x + 1
    y.tag = 1
    return hasattr(y * 2, "tag"), hasattr(y.detach(), "tag"), y.view(-1), hasattr(y, "tag")


@program
def attribute_kept_by_inplace(x):
    y = x + 1
    y.tag = 1
    y.mul_(2)
    y += 1
    return y, y.tag


@program
def attribute_missing(x):
    return getattr(x, "nothing", 5), hasattr(x, "nothing")


@program
def attribute_error(x):
    try:
        return x.nothing
    except AttributeError as error:
        return str(error)


@program
def attribute_deleted(x):
    x.a = 1
    x.b = 2
    del x.a
    y = x * 2
    y.c = 3
    delattr(y, "c")
    return y, hasattr(x, "a"), x.b, hasattr(y, "c")


@program
def attribute_delete_missing(x):
    del x.nothing
    return x


@program
def attribute_holds_itself(x):
    y = x * 2
    y.me = y
    y.list = [y, x]
    return y


@program
def attribute_holds_a_tensor(x):
    x.twice = x * 2
    return x.twice + 1


@program
def attribute_setattr_loop(x):
    for i in range(3):
        setattr(x, f"a{i}", i * x.sum())
    return x.a0 + x.a2


def _tagged(x, **attrs):
    for k, v in attrs.items():
        setattr(x, k, v)
    return x


@program(args=lambda call: (_tagged(randn(3, 4), n=call),), calls=4)
def attribute_that_changes(x):
    x.n += 1
    return x * x.n


@program(args=lambda call: (_tagged(randn(3, 4), on=True) if call % 2 else randn(3, 4),), calls=4)
def attribute_sometimes_there(x):
    return x + 1 if hasattr(x, "on") else x - 1


@program(args=lambda call: (lambda a, b: (a, b if call % 2 else a))(randn(3, 4), randn(3, 4)), calls=4)
def attribute_on_one_of_two(x, y):
    x.tag = 1
    return hasattr(y, "tag"), x + y


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))
        self.weight.uses = 0

    def forward(self, x):
        self.weight.uses += 1
        return x * self.weight, self.weight.uses


@program.maker(calls=4)
def attribute_of_a_parameter():
    m = Counting()
    return lambda x: m(x)


@program
def attribute_across_a_break(x):
    y = x + 1
    y.tag = 2
    x.tag = 3
    print("here")
    return y * y.tag + x.tag


# ------------------------------------------------------------ hooks on tensors


LOG = []


def _double(grad):
    LOG.append("double")
    return grad * 2


def _backward(c, fn):
    """Two calls and their backward passes."""
    f = c(fn)
    for number in range(2):
        LOG.clear()
        x = randn(3, 4).requires_grad_()
        found = f(x)
        loss, *rest = found if isinstance(found, tuple) else (found,)
        loss.backward()
        yield loss, x.grad, list(LOG), [r.grad if isinstance(r, torch.Tensor) else r for r in rest]


@program.script
def hook_on_an_argument(c):
    def fn(x):
        x.register_hook(_double)
        return (x * 3).sum()

    yield from _backward(c, fn)


@program.script
def hook_on_an_intermediate(c):
    def fn(x):
        y = x * 3
        y.register_hook(_double)
        return (y * y).sum()

    yield from _backward(c, fn)


@program.script
def hook_behind_the_use(c):
    def fn(x):
        y = x * 3
        z = (y * y).sum()
        y.register_hook(lambda g: g + 1)
        return z

    yield from _backward(c, fn)


@program.script
def hook_lambda(c):
    def fn(x):
        y = x.sin()
        y.register_hook(lambda g: g.clamp(-0.1, 0.1))
        return y.sum()

    yield from _backward(c, fn)


@program.script
def hook_closure_over_a_tensor(c):
    def fn(x):
        scale = x.detach().abs().sum()
        y = x * 2
        y.register_hook(lambda g: g / scale)
        return y.sum()

    yield from _backward(c, fn)


@program.script
def hook_handle_returned(c):
    def fn(x):
        y = x * 2
        h = y.register_hook(_double)
        return y.sum(), type(h).__name__

    yield from _backward(c, fn)


@program.script
def hook_handle_used_later(c):
    def fn(x):
        y = x * 2
        return y.sum(), y.register_hook(_double)

    f = c(fn)
    for remove in (False, True):
        x = randn(3, 4).requires_grad_()
        loss, handle = f(x)
        if remove:
            handle.remove()
        loss.backward()
        yield x.grad


@program.script
def hook_removed(c):
    def fn(x):
        y = x * 2
        h = y.register_hook(_double)
        y.register_hook(lambda g: g + 1)
        h.remove()
        return y.sum()

    yield from _backward(c, fn)


@program.script
def hooks_in_a_loop(c):
    def fn(x):
        y = x * 2
        for k in range(3):
            y.register_hook(lambda g, k=k: g * (k + 1) + k)
        return (y * y).sum()

    yield from _backward(c, fn)


@program.script
def hook_partial(c):
    def fn(x):
        y = x * 2
        y.register_hook(functools.partial(torch.mul, 3.0))
        return y.sum()

    yield from _backward(c, fn)


@program.script
def hook_on_a_view(c):
    def fn(x):
        y = x * 2
        v = y[1:]
        v.register_hook(_double)
        return (v * v).sum() + y.sum()

    yield from _backward(c, fn)


@program.script
def hook_and_a_write(c):
    def fn(x):
        y = x * 2
        y.register_hook(_double)
        y.mul_(3)
        y.register_hook(lambda g: g - 1)
        return (y * y).sum()

    yield from _backward(c, fn)


@program.script
def hook_before_a_write_to_what_came_in(c):
    def fn(x):
        y = x * 2
        torch._dynamo.graph_break()
        y.register_hook(_double)
        y.mul_(3)
        y.register_hook(lambda g: g - 1)
        return (y * y).sum()

    yield from _backward(c, fn)


@program.script
def gradient_kept_before_a_write_to_what_came_in(c):
    def fn(x):
        y = x * 2
        torch._dynamo.graph_break()
        y.retain_grad()
        z = y.exp()
        y.mul_(3)
        return (y + z.detach()).sum()

    yield from _backward(c, fn)


@program.script
def hook_counts(c):
    def fn(x):
        n = [0]

        def hook(g):
            n[0] += 1
            LOG.append(n[0])

        y = x * 2
        y.register_hook(hook)
        z = y * 3
        z.register_hook(hook)
        n[0] = 10
        return (z * z).sum()

    yield from _backward(c, fn)


@program(grad=True)
def hook_without_gradients(x):
    x.register_hook(_double)
    return x


@program.script
def retain_grad(c):
    def fn(x):
        y = x * 2
        y.retain_grad()
        return (y * y).sum(), y

    yield from _backward(c, fn)


class Hooked(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 2)
        self.seen = []

    def forward(self, x):
        return self.lin(x).tanh().sum()


def _module_backward(c, prepare=None, call=None, hook=None):
    """Two calls of a module and their backward passes."""
    m = Hooked()
    if prepare is not None:
        prepare(m)
    f = c(m if call is None else lambda x: call(m, x))
    for number in range(2):
        x = randn(3, 4).requires_grad_()
        loss = f(x)
        loss.backward()
        yield loss, x.grad, m.lin.weight.grad.clone(), list(m.seen)


@program.script
def post_accumulate_hook_before(c):
    def prepare(m):
        m.lin.weight.register_post_accumulate_grad_hook(lambda p: m.seen.append(p.grad.shape))

    yield from _module_backward(c, prepare)


@program.script
def post_accumulate_hook_inside(c):
    def call(m, x):
        m.lin.weight.register_post_accumulate_grad_hook(lambda p: m.seen.append(p.grad.shape))
        return m(x)

    yield from _module_backward(c, call=call)


# ------------------------------------------------------------ hooks on modules


@program.maker(grad=True)
def forward_hooks():
    m = Hooked()
    m.lin.register_forward_pre_hook(lambda mod, args: (args[0] * 2,))
    m.lin.register_forward_hook(lambda mod, args, out: out + 1)
    return lambda x: m(x)


@program.maker(grad=True)
def forward_hook_with_kwargs():
    m = Hooked()
    m.lin.register_forward_hook(lambda mod, args, kwargs, out: out * len(kwargs), with_kwargs=True)
    return lambda x: m.lin(input=x)


@program.maker(grad=True)
def forward_hook_notes():
    m = Hooked()
    m.lin.register_forward_hook(lambda mod, args, out: m.seen.append(tuple(out.shape)))
    return lambda x: (m(x), list(m.seen))


@program.maker(grad=True)
def forward_hook_keeps_activations():
    m = Hooked()
    kept = {}
    m.lin.register_forward_hook(lambda mod, args, out: kept.__setitem__("lin", out.detach()))
    return lambda x: (m(x), kept)


@program.maker(grad=True)
def forward_hook_inside():
    m = Hooked()

    def fn(x):
        h = m.lin.register_forward_hook(lambda mod, args, out: out * 2)
        y = m(x)
        h.remove()
        return y

    return fn


@program.script
def full_backward_hook_before(c):
    def prepare(m):
        m.lin.register_full_backward_hook(lambda mod, gi, go: tuple(g * 2 if g is not None else None for g in gi))

    yield from _module_backward(c, prepare)


@program.script
def full_backward_pre_hook_before(c):
    def prepare(m):
        m.lin.register_full_backward_pre_hook(lambda mod, go: (go[0] * 3,))

    yield from _module_backward(c, prepare)


@program.script
def full_backward_hook_notes(c):
    def prepare(m):
        m.lin.register_full_backward_hook(lambda mod, gi, go: m.seen.append((go[0].shape, gi[0].shape)))
        m.register_full_backward_hook(lambda mod, gi, go: m.seen.append("outer"))

    yield from _module_backward(c, prepare)


@program.script
def full_backward_hook_removed(c):
    m = Hooked()
    h = m.lin.register_full_backward_hook(lambda mod, gi, go: m.seen.append(len(gi)))
    f = c(m)
    for number in range(3):
        x = randn(3, 4).requires_grad_()
        f(x).backward()
        h.remove() if number == 1 else None
        yield x.grad, list(m.seen)


# ------------------------------------------------------------ random numbers


@program
def seeded_inside(x):
    torch.manual_seed(3)
    return x + torch.rand(4), torch.randn(2)


@program
def seeded_twice(x):
    torch.manual_seed(3)
    a = torch.rand(4)
    torch.manual_seed(3)
    return a, torch.rand(4)


@program(args=lambda call: (randn(3, 4), call), calls=3)
def seeded_with_an_argument(x, seed):
    torch.manual_seed(seed)
    return x + torch.rand_like(x)


@program.maker
def generator_from_outside():
    g = torch.Generator().manual_seed(5)
    return lambda x: x + torch.rand(3, 4, generator=g)


@program
def generator_made_inside(x):
    g = torch.Generator()
    g.manual_seed(7)
    return x + torch.rand(3, 4, generator=g), torch.randint(0, 9, (3,), generator=g)


@program
def random_state_kept(x):
    state = torch.get_rng_state()
    a = torch.rand(3)
    torch.set_rng_state(state)
    return a, torch.rand(3)


@program
def forked_rng(x):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        a = torch.rand(3)
    return a, torch.rand(3)
