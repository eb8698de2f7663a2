"""Function transforms: vmap, grad, jvp, vjp, jacobians, functional_call, one inside another, and what their functions touch."""

# ruff: noqa
# mypy: ignore-errors

import collections
import functools

import torch
import torch.nn.functional as F
from torch_values import on_torch, randn
from torch import nn
from torch.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stack_module_state,
    vjp,
    vmap,
)

program = on_torch(__name__)


# ------------------------------------------------------------ vmap


@program
def vmap_of_a_lambda(x):
    return vmap(lambda row: row.sin() * 2 + row.sum())(x)


@program
def vmap_second_argument_whole(x, v):
    return vmap(lambda row, w: (row * w).sum(), in_dims=(0, None))(x, v)


@program
def vmap_over_columns(x):
    return vmap(lambda c: c.cumsum(0), in_dims=1, out_dims=1)(x)


@program
def vmap_negative_dims(x):
    return vmap(lambda c: c - c.mean(), in_dims=-1, out_dims=-1)(x)


@program
def vmap_several_results(x):
    return vmap(lambda row: (row.sum(), {"max": row.max(), "row": row * 2}), out_dims=0)(x)


@program
def vmap_out_dims_of_each(x):
    return vmap(lambda row: (row * 2, row + 1), out_dims=(0, 1))(x)


@program
def vmap_of_a_dict(x, y):
    return vmap(lambda d: d["x"] * d["y"][0])({"x": x, "y": (y,)})


@program
def vmap_in_dims_of_a_dict(x, v):
    return vmap(lambda d: d["x"] * d["v"], in_dims=({"x": 0, "v": None},))({"x": x, "v": v})


Pair = collections.namedtuple("Pair", "a b")


@program
def vmap_of_a_namedtuple(x, y):
    return vmap(lambda p: Pair(p.a + p.b, p.a * 2))(Pair(x, y))


@program
def vmap_by_keyword(x, v):
    return vmap(lambda row, *, scale: row * scale)(x, scale=v)


@program
def vmap_with_a_number(x):
    return vmap(lambda row, n: row**n, in_dims=(0, None))(x, 3)


@program
def vmap_twice(x):
    return vmap(vmap(lambda a: a.exp() + 1))(x)


@program
def vmap_all_pairs(x, y):
    return vmap(lambda a: vmap(lambda b: (a * b).sum())(y))(x)


@program
def vmap_in_chunks(x):
    return vmap(lambda row: row.softmax(0), chunk_size=2)(x)


@program
def vmap_random_different(x):
    return vmap(lambda row: row + torch.rand(4), randomness="different")(x)


@program
def vmap_random_same(x):
    return vmap(lambda row: row + torch.rand_like(row), randomness="same")(x)


@program
def vmap_random_refused(x):
    try:
        return vmap(lambda row: row + torch.rand(4))(x)
    except RuntimeError as error:
        return type(error)


@program
def vmap_dropout(x):
    return vmap(lambda row: F.dropout(row, 0.5), randomness="different")(x)


@program
def vmap_closure_over_a_tensor(x, v):
    w = v * 2
    return vmap(lambda row: row @ w + v)(x) + w


@program
def vmap_makes_tensors(x):
    return vmap(lambda row: row + torch.arange(4) + torch.zeros(4).fill_(2.0))(x)


@program
def vmap_constant_result(x):
    return vmap(lambda row: torch.ones(3))(x)


@program
def vmap_gives_its_argument(x):
    return vmap(lambda row: row)(x)


@program
def vmap_gives_a_closure(x, v):
    return vmap(lambda row: (row * 2, v))(x)


@program
def vmap_views(x):
    return vmap(lambda row: (row[1:], row.view(2, 2).t(), row.reshape(4, 1)))(x)


@program
def vmap_writes_to_its_own(x):
    def f(row):
        y = row.clone()
        y[0] = 7
        y.mul_(2)
        y[1:].add_(row[:-1])
        return y

    return vmap(f)(x)


@program
def vmap_indexing(x):
    i = torch.tensor([2, 0, 1])
    return vmap(lambda row, k: (row[i], row.gather(0, i), row.index_select(0, k.view(1))))(x, i)


@program
def vmap_matmul_shapes(batch, m):
    return vmap(lambda a: a @ m)(batch), vmap(torch.mv, in_dims=(None, 0))(m, batch[0])


@program
def vmap_conv(x):
    w = torch.randn(2, 1, 2)
    return vmap(lambda row: F.conv1d(row.view(1, 1, 4), w))(x)


@program
def vmap_where(x):
    return vmap(lambda row: torch.where(row > 0, row, row.exp()))(x)


@program
def vmap_of_a_torch_function(x, y):
    return vmap(torch.dot)(x, y), vmap(torch.outer)(x, y)


@program
def vmap_of_a_partial(x, v):
    return vmap(functools.partial(torch.mul, v))(x)


@program
def vmap_counts_calls(x):
    n = 0

    def f(row):
        nonlocal n
        n += 1
        return row * n

    return vmap(f)(x), n


@program
def vmap_notes_shapes(x):
    seen = []

    def f(row):
        seen.append(tuple(row.shape))
        return row + 1

    return vmap(f)(x), seen


LOG = []


@program(state=("LOG",))
def vmap_logs_to_a_global(x):
    def f(row):
        LOG.append(row.ndim)
        return row + len(LOG)

    return vmap(f)(x)


@program
def vmap_raises_its_own(x):
    def f(row):
        if row.ndim == 1:
            raise ValueError("one dimension")
        return row

    try:
        return vmap(f)(x)
    except ValueError as error:
        return str(error), x * 2


@program
def vmap_leaves_by_an_exception(x):
    def f(row):
        raise KeyError("left")

    return vmap(f)(x)


@program
def vmap_branches_on_a_shape(x):
    return vmap(lambda row: row * 2 if row.shape[0] == 4 else row)(x)


@program
def vmap_sizes_differ(x, v):
    return vmap(lambda a, b: a + b)(x, v)


@program
def vmap_bad_in_dims(x):
    return vmap(lambda a: a, in_dims=3)(x)


@program
def vmap_bad_randomness(x):
    return vmap(lambda a: a, randomness="sometimes")(x)


@program
def vmap_returns_a_number(x):
    return vmap(lambda a: 3)(x)


@program
def vmap_item(x):
    return vmap(lambda row: row.sum().item())(x)


@program
def vmap_data_branch(x):
    return vmap(lambda row: row if row.sum() > 0 else -row)(x)


@program(args=lambda call: (randn(3 + call, 4),), calls=4)
def vmap_other_sizes(x):
    return vmap(lambda row: row / row.norm())(x)


@program(args=lambda call: (randn(3, 4 + call),), calls=4)
def vmap_other_inner_sizes(x):
    return vmap(lambda row: row.view(1, -1).expand(2, row.shape[0]) + torch.arange(row.shape[0]))(x)


@program(args=lambda call: (randn(3, 4), call + 2), calls=4)
def vmap_other_number(x, n):
    return vmap(lambda row: row * n + n)(x)


@program(args=lambda call: (randn(3, 4), call + 0.5), calls=4)
def vmap_other_float(x, s):
    return vmap(lambda row: row * s)(x)


@program(args=lambda call: (randn(3, 4), torch.sin if call % 2 else torch.cos), calls=4)
def vmap_other_function(x, f):
    return vmap(f)(x)


@program.maker
def vmap_made_outside():
    f = vmap(lambda row: row.sin())
    return lambda x: f(x) + 1


@program.maker
def vmap_as_decorator():
    @vmap
    def f(row, other):
        """A row."""
        return row * other.sum()

    return lambda x, y: f(x, y)


@program
def vmap_names(x):
    def row_wise(row):
        return row

    f = vmap(row_wise)
    return f(x)


@program(grad=True, args=lambda: (randn(3, 4).requires_grad_(), randn(4).requires_grad_()))
def vmap_differentiated(x, v):
    y = vmap(lambda row: (row * v).sin())(x)
    return y, y.requires_grad


@program.maker(grad=True)
def vmap_backward():
    def fn(x):
        y = vmap(lambda row: row.exp() * row.sum())(x)
        return y

    return fn


# ------------------------------------------------------------ grad


@program
def grad_of_a_lambda(x):
    return grad(lambda t: (t.sin() * t).sum())(x)


@program
def grad_argnums(x, y):
    f = lambda a, b: (a * b.exp()).sum()
    return grad(f, argnums=1)(x, y), grad(f, argnums=(0, 1))(x, y), grad(f, argnums=(-1,))(x, y)


@program
def grad_with_aux(x):
    def f(t):
        y = t * t
        return y.sum(), (y, {"t": t})

    return grad(f, has_aux=True)(x)


@program
def grad_and_its_value(x):
    return grad_and_value(lambda t: (t**3).sum())(x), grad_and_value(lambda t: (t.sum(), t + 1), has_aux=True)(x)


@program
def grad_of_a_dict(x, v):
    return grad(lambda p: (p["w"] * p["b"]).sum())({"w": x, "b": v})


@program(args=lambda: (torch.tensor(0.7),))
def grad_of_grad(s):
    return grad(grad(grad(lambda t: t.sin() * t**3)))(s)


@program
def grad_by_keyword(x, y):
    return grad(lambda a, *, b: (a * b).sum())(x, b=y)


@program
def grad_unused_argument(x, y):
    return grad(lambda a, b: (a * 2).sum(), argnums=(0, 1))(x, y)


@program
def grad_independent(x):
    return grad(lambda a: torch.ones(()).sum())(x)


@program
def grad_detached_part(x):
    return grad(lambda a: (a * a.detach()).sum())(x)


@program
def grad_no_grad_part(x):
    def f(a):
        with torch.no_grad():
            c = a * 2
        return (a * c).sum()

    return grad(f)(x)


@program
def grad_under_no_grad(x):
    with torch.no_grad():
        return grad(lambda a: (a * a).sum())(x)


@program
def grad_enabled_inside(x):
    seen = []

    def f(a):
        seen.append((torch.is_grad_enabled(), a.requires_grad, a.shape, a.dtype))
        return (a * a).sum()

    with torch.no_grad():
        return grad(f)(x), seen, torch.is_grad_enabled()


@program
def grad_not_a_scalar(x):
    return grad(lambda a: a * 2)(x)


@program
def grad_of_integers(x):
    return grad(lambda a: a.sum())(x.long())


@program
def grad_bad_argnums(x):
    return grad(lambda a: a.sum(), argnums=2)(x)


@program
def grad_inplace_inside(x):
    def f(a):
        b = a * 1
        b.mul_(3)
        b[0] = 0
        return (b * a).sum()

    return grad(f)(x)


@program
def grad_item_inside(x):
    return grad(lambda a: a.sum() * a.detach().sum().item())(x)


@program
def grad_cross_entropy(x):
    target = torch.tensor([0, 1, 2])
    return grad(lambda a: F.cross_entropy(a, target))(x)


@program
def grad_of_a_product_with_a_closure(x, m):
    return grad(lambda a: (a @ m).tanh().sum())(x) @ m


@program.maker(grad=True, args=lambda: (randn(3, 4).requires_grad_(),))
def grad_penalty():
    net = nn.Linear(4, 1)

    def fn(x):
        g = grad(lambda t: net(t).tanh().sum())(x)
        loss = (g.norm(dim=1) - 1).pow(2).mean()
        return loss, loss.requires_grad

    return fn


@program
def value_then_grad_twice(x):
    f = lambda a: (a**2).sum()
    return x - 0.1 * grad(f)(x) - 0.1 * grad(f)(x * 2)


@program
def grad_steps(x):
    f = grad(lambda a: (a.cos() ** 2).sum())
    for _ in range(3):
        x = x - 0.1 * f(x)
    return x


# ------------------------------------------------------------ jvp, vjp, linearize


@program
def jvp_of_a_lambda(x, y):
    return jvp(lambda a: a.sin() * 2, (x,), (y,))


@program
def jvp_of_two(x, y):
    return jvp(lambda a, b: (a * b, a + b), (x, y), (y, x))


@program
def jvp_with_aux(x, y):
    return jvp(lambda a: (a.exp(), a * 2), (x,), (y,), has_aux=True)


@program
def jvp_of_a_dict(x, y):
    return jvp(lambda d: {"s": d["a"].sin()}, ({"a": x},), ({"a": y},))


@program
def jvp_independent(x, y):
    return jvp(lambda a: torch.ones(2), (x,), (y,))


@program
def jvp_of_jvp(x, y):
    return jvp(lambda t: jvp(lambda a: a.sin() * a, (t,), (y,))[1], (x,), (y,))


@program
def jvp_structure_differs(x, y):
    return jvp(lambda a: a, (x,), (y, y))


@program
def jvp_primals_not_a_tuple(x, y):
    return jvp(lambda a: a, x, (y,))


@program
def vjp_of_a_lambda(x, y):
    out, pull = vjp(lambda a: a.sin() * 2, x)
    return out, pull(y)


@program
def vjp_of_two(x, y):
    out, pull = vjp(lambda a, b: (a * b, a.sum()), x, y)
    return out, pull(out), pull((y, out[1]))


@program
def vjp_with_aux(x, y):
    out, pull, aux = vjp(lambda a: (a.exp(), {"twice": a * 2}), x, has_aux=True)
    return out, pull(y), aux


@program
def vjp_mapped(x, m):
    out, pull = vjp(lambda a: a @ m, x[0])
    return vmap(pull)(torch.eye(4))


@program
def vjp_wrong_structure(x, y):
    out, pull = vjp(lambda a: a * a, x)
    return pull((y, y))


@program
def vjp_of_integers(x):
    out, pull = vjp(lambda a: a.long(), x)
    return out


@program
def linearized(x, y):
    out, push = linearize(lambda a: a.sin() * a, x)
    return out, push(y), push(x)


# ------------------------------------------------------------ jacobians


@program
def jacrev_of_a_lambda(v):
    return jacrev(lambda a: a.sin() * a.sum())(v)


@program
def jacfwd_of_a_lambda(v):
    return jacfwd(lambda a: a.sin() * a.sum())(v)


@program
def jacobians_argnums(v, w):
    f = lambda a, b: a * b.exp()
    return jacrev(f, argnums=1)(v, w), jacrev(f, argnums=(0, 1))(v, w), sum(jacfwd(f, argnums=(0, 1))(v, w))


@program
def jacobians_with_aux(v):
    f = lambda a: (a**2, a + 1)
    return jacrev(f, has_aux=True)(v), jacfwd(f, has_aux=True)(v)


@program
def jacrev_in_chunks(v):
    return jacrev(lambda a: a.sin(), chunk_size=2)(v), jacrev(lambda a: a.sin(), chunk_size=1)(v)


@program
def jacrev_of_a_dict(v, w):
    return jacrev(lambda p: {"out": p["a"] * p["b"]})({"a": v, "b": w})


@program
def hessian_of_a_lambda(v):
    return hessian(lambda a: (a.sin() * a.roll(1)).sum())(v)


@program
def hessian_other_orders(v):
    f = lambda a: (a**3).sum() * a[0]
    return jacfwd(jacfwd(f))(v), jacrev(jacrev(f))(v), jacrev(jacfwd(f))(v)


@program
def hessian_of_each_row(x):
    return vmap(hessian(lambda a: (a**3).sum()))(x)


@program
def laplacian(x):
    return vmap(lambda p: torch.trace(hessian(lambda q: (q**4).sum())(p)))(x)


@program
def hessian_vector_product(v, w):
    f = lambda a: (a.sin() ** 2).sum()
    return jvp(grad(f), (v,), (w,))[1], vjp(grad(f), v)[1](w)


@program.maker
def jacobians_made_outside():
    j, h = jacrev(lambda a: a.sin()), hessian(lambda a: (a**3).sum())
    return lambda v: (j(v), h(v))


@program(args=lambda call: (randn(3 + call),), calls=4)
def jacrev_other_sizes(v):
    return jacrev(lambda a: a * a.sum())(v)


# ------------------------------------------------------------ modules


def _net():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))


@program.maker
def per_sample_gradients():
    net = _net()

    def loss(params, row, target):
        out = functional_call(net, params, (row.unsqueeze(0),))
        return F.mse_loss(out.squeeze(0), target), out

    def fn(x):
        params = {k: p.detach() for k, p in net.named_parameters()}
        target = torch.ones(3, 2)
        return vmap(grad(loss, has_aux=True), in_dims=(None, 0, 0))(params, x, target)

    return fn


@program.maker(grad=True)
def per_sample_gradients_of_parameters():
    net = _net()

    def fn(x):
        params = dict(net.named_parameters())
        g = vmap(grad(lambda p, row: functional_call(net, p, (row,)).sum()), (None, 0))(params, x)
        return {k: t.flatten(1).norm(dim=1) for k, t in g.items()}

    return fn


@program.maker
def ensemble():
    nets = [_net() for _ in range(3)]
    params, buffers = stack_module_state(nets)
    base = nets[0]

    def fn(x):
        return vmap(lambda p, b: functional_call(base, (p, b), (x,)))(params, buffers)

    return fn


@program.maker
def module_in_vmap():
    net = _net()
    return lambda x: vmap(net)(x)


@program.maker
def jacobian_of_a_module():
    net = _net()
    return lambda x: (vmap(jacrev(net))(x), jacfwd(net)(x[0]))


@program.maker
def batch_norm_in_vmap():
    norm = nn.BatchNorm1d(4).eval()
    return lambda x: vmap(lambda row: norm(row.unsqueeze(0)).squeeze(0))(x)


class Meta(nn.Module):
    """One inner step of gradient descent on its own weights."""

    def __init__(self):
        super().__init__()
        self.net = _net()

    def forward(self, x):
        params = dict(self.net.named_parameters())
        loss = lambda p: functional_call(self.net, p, (x,)).pow(2).mean()
        g = grad(loss)(params)
        return loss({k: p - 0.1 * g[k] for k, p in params.items()})


@program.maker(args=lambda: (randn(3, 4),), grad=True)
def inner_step():
    return Meta()


@program.maker(args=lambda: (randn(3, 4),))
def changed_between_calls():
    net = nn.Linear(4, 2)
    calls = []

    def fn(x):
        calls.append(1)
        with torch.no_grad():
            net.weight.add_(len(calls))
        return vmap(grad(lambda row: net(row).sum()))(x)

    return fn


@program
def transform_of_transforms_with_closures(x, m):
    w = m.sin()

    def energy(p):
        return (p @ w).tanh().sum()

    force = lambda p: -grad(energy)(p)
    return vmap(force)(x), vmap(jacrev(force))(x)


@program
def results_that_are_one(x):
    y, (z, (w, u)) = grad_and_value(lambda a: (a.sum(), (a.sum(), a)), has_aux=True)(x)
    loss, (value, aux) = grad_and_value(lambda a: (lambda s: (s, s))((a * a).sum()), has_aux=True)(x)
    value.add_(1)
    both = vmap(lambda a: (lambda b: (b, b))(a * 2))(x)
    both[0].mul_(2)
    return y, z, w, u, loss, value, aux, both


@program
def results_that_share_memory(x):
    y, part = vmap(lambda a: (lambda b: (b, b[1:3]))(a * 2))(x)
    return y, part


@program
def leaked_and_used(x):
    kept = []

    def f(row):
        kept.append(row.sum())
        return row + 1

    y = vmap(f)(x)
    return y + kept[0]


@program
def leaks(x):
    kept = []

    def f(row):
        kept.append(row * 2)
        return row + 1

    y = vmap(f)(x)
    return y, len(kept)


@program
def prints(x):
    def f(row):
        print("row", row.shape)
        return row

    return vmap(f)(x)


@program
def autocast_around(x, m):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return vmap(lambda row: row @ m)(x), grad(lambda a: (a @ m).float().sum())(x)


@program
def autocast_inside(x, m):
    def f(row):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return row @ m

    return vmap(f)(x)


@program
def strides_of_results(x):
    y = vmap(lambda row: row.view(2, 2).t(), out_dims=2)(x)
    return y, y.stride()
