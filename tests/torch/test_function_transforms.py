"""torch.func: what is one graph, beyond the public corpus (`torch_transforms.py`); gradients through a transform, and what breaks."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap
from torch_checks import compare, compiled, randn

import quern
from quern.testing import CompileCounter

pytestmark = pytest.mark.sampled(2)

X = randn(4, 3)


def _through(make):
    net = nn.Linear(3, 2)
    return make(net), list(net.parameters())


def _vjp_of(net, x):
    out, pull = vjp(lambda r: net(r).tanh(), x)
    return out, pull(out)[0]


def _without_recording(net, r):
    with torch.no_grad():
        w = net.weight * 2
    return (net(r) @ w).tanh().sum()


@pytest.mark.parametrize(
    "make",
    [
        lambda net: lambda x: vmap(lambda r: net(r).sin())(x),
        lambda net: lambda x: grad(lambda r: net(r).tanh().sum())(x),
        lambda net: lambda x: jvp(lambda r: net(r).tanh(), (x,), (x,)),
        lambda net: lambda x: _vjp_of(net, x),
        lambda net: lambda x: (jacrev(net)(x[0]), jacfwd(net)(x[0]), hessian(lambda a: net(a).tanh().sum())(x[0])),
        lambda net: lambda x: grad(lambda r: _without_recording(net, r))(x),
        lambda net: torch.no_grad()(lambda x: (grad(lambda r: net(r).tanh().sum())(x), vmap(net)(x))),
        lambda net: lambda x: vmap(grad(lambda r: functional_call(net, dict(net.named_parameters()), (r,)).sum()))(x),
    ],
)
@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_gradients_through_a_transform(make, backend):
    def observe(wrap):
        torch.manual_seed(0)
        function, parameters = _through(make)
        function, seen = wrap(function), []
        for wanted in (False, True, False):
            x = X.clone().requires_grad_(wanted)
            found = [t for t in torch.utils._pytree.tree_leaves(function(x)) if isinstance(t, torch.Tensor)]
            differentiable = [t.sum() for t in found if t.requires_grad]
            if differentiable:
                sum(differentiable).backward()
            grads = [None if p.grad is None else p.grad.clone() for p in (x, *parameters)]
            seen.append(([t.detach() for t in found], [t.requires_grad for t in found], grads))
        return seen

    expected = observe(lambda f: f)
    compare(expected, observe(lambda f: quern.compile(f, backend=backend, fullgraph=True)), 1e-5)


ROWS = torch.tensor([0, 2])


def _written(write):
    def body(r):
        r = r.clone()
        write(r)
        return r

    return body


#: functions of four numbers
BODIES = {
    "an item": _written(lambda r: r.__setitem__(0, r[0] * 2)),
    "the last item": _written(lambda r: r.__setitem__(-1, r[-1] * 3)),
    "items in a loop": _written(lambda r: [r.__setitem__(i, r[i] * (i + 2)) for i in range(3)]),
    "a slice": _written(lambda r: r.__setitem__(slice(1, 3), r[:2] * 3)),
    "every other": _written(lambda r: r.__setitem__(slice(0, 4, 2), r[:2] * 3)),
    "rows by index": _written(lambda r: r.__setitem__(ROWS, r[:2] * 3)),
    "a view": _written(lambda r: r.view(2, 2)[0].mul_(2)),
    "a diagonal": _written(lambda r: r.view(2, 2).diagonal().mul_(2)),
    "a fill": _written(lambda r: r[1:].fill_(2.0)),
    "scatter": _written(lambda r: r.scatter_(0, ROWS, r[:2] * 2)),
    "index_add": _written(lambda r: r.index_add_(0, ROWS, r[:2] * 2)),
    "accumulate": _written(lambda r: r.index_put_((ROWS,), r[:2] * 2, accumulate=True)),
    "views": lambda r: (r.unfold(0, 2, 1).sum(1), r.tensor_split(3)[0] * 2, r.view(1, 4, 1).squeeze()),
    "layouts": lambda r: r.view(2, 2).t().contiguous().view(4) * r.view(2, 2).t().reshape(4),
    "products": lambda r: (
        torch.einsum("i,j->i", r, r) + torch.outer(r, r).sum(0) + (r.view(2, 2) @ r.view(2, 2)).view(4)
    ),
    "reductions": lambda r: r * r.var() + r.logsumexp(0) + r.amax(0) + r.norm(),
    "layers": lambda r: (
        nn.functional.layer_norm(r, (4,), r, r) + nn.functional.conv1d(r.view(1, 1, 4), r[:1].view(1, 1, 1)).view(4)
    ),
    "factorisations": lambda r: torch.linalg.solve(r.view(2, 2) + 9 * torch.eye(2), r[:2]),
    "detached": lambda r: r * r.detach() + r.sin(),
}
TRANSFORMS = {
    "vmap": lambda f: lambda x: vmap(f)(x),
    "columns": lambda f: lambda x: vmap(f, in_dims=1, out_dims=-1)(x.t()),
    "vmap of grad": lambda f: lambda x: vmap(grad(lambda r: _sum_of_squares(f(r))))(x),
    "grad of vmap": lambda f: lambda x: grad(lambda z: _sum_of_squares(vmap(f)(z)))(x),
    "jvp": lambda f: lambda x: jvp(f, (x[0],), (x[1],)),
    "hessian": lambda f: lambda x: hessian(lambda r: _sum_of_squares(f(r)))(x[0]),
}


def _sum_of_squares(tree):
    return sum((t**2).sum() for t in torch.utils._pytree.tree_leaves(tree))


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("body", BODIES)
def test_functions_under_transforms(body, transform):
    fn, x = TRANSFORMS[transform](BODIES[body]), randn(3, 4, seed=1)
    compare(fn(x), compiled(fn)(x), 1e-3, ignore=("storage offset", "strides", "memory"))


@pytest.mark.parametrize("body", BODIES)
def test_gradients_through_a_mapped_function(body):
    grads = []
    for wrap in (lambda f: f, compiled):
        x = randn(3, 4, seed=1).requires_grad_()
        _sum_of_squares(wrap(lambda x: vmap(BODIES[body])(x))(x)).backward()
        grads.append(x.grad)
    compare(*grads, 1e-3)


def test_which_results_require_gradients():
    def fn(x):
        results = [
            grad(lambda r: (r**2).sum())(x),
            vmap(lambda r: r > 0)(x),
            vmap(lambda r: (r * 2).detach())(x),
            vmap(torch.sin)(x),
        ]
        return [r.requires_grad for r in results], results

    function = compiled(fn)
    for wanted in (False, True):
        x = X.clone().requires_grad_(wanted)
        expected, found = fn(x), function(x)
        assert expected[0] == found[0] == [r.requires_grad for r in found[1]]
        assert [r.requires_grad for r in expected[1]] == expected[0]


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
@pytest.mark.parametrize(
    "fn",
    [
        lambda x: vmap(grad(lambda r: (r**2).sum()))(x), lambda x: grad(lambda r: vmap(lambda q: q**2)(r).sum())(x),
        lambda x: jacfwd(torch.sin)(x[0]), lambda x: jacrev(torch.sin)(x[0]), lambda x: vjp(torch.sin, x)[1](x)[0],
        lambda x: jvp(torch.sin, (x,), (x,)), lambda x: hessian(lambda r: (r**3).sum())(x[0]), lambda x: vmap(torch.linalg.norm)(x),
    ],
)  # fmt: skip
def test_derivatives_do_not_depend_on_the_mode_around_them(fn, mode, backend):
    with mode():
        x = randn(4, 3)
        expected = fn(x)
        found = quern.compile(fn, backend=backend, fullgraph=True)(x)
        compare(expected, found, 1e-5)
        leaves = torch.utils._pytree.tree_leaves
        assert [t.is_inference() for t in leaves(expected)] == [t.is_inference() for t in leaves(found)]


def test_one_graph_for_all_sizes():
    counter = CompileCounter()

    def fn(x):
        return vmap(grad(lambda r: (r.view(1, -1) * r.unsqueeze(1)).sum()))(x), jacrev(lambda r: r.cumsum(0))(x[0])

    function = quern.compile(fn, backend=counter, fullgraph=True)
    for shape in ((4, 3), (5, 6), (7, 9), (3, 11)):
        x = randn(*shape)
        compare(fn(x), function(x), 1e-5)
    assert counter.frame_count == 2


def test_layouts_of_all_examples_together():
    """What is contiguous for one example need not be for all of them."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    weights = {k: v.detach() for k, v in layer.named_parameters()}

    def fn(weights, x):
        gradient = grad(lambda p, r: functional_call(layer, p, (r.unsqueeze(0),)).sum())
        return vmap(gradient, (None, 0))(weights, x)

    x = randn(3, 5, 8)
    compare(fn(weights, x), compiled(fn)(weights, x), 1e-4)


def test_named_results():
    def fn(x):
        return vmap(lambda r: r.topk(2))(x), vmap(lambda r: r.sort())(x), vmap(lambda r: torch.max(r, 0))(x)

    compare([tuple(t) for t in fn(X)], [tuple(t) for t in compiled(fn)(X)])
    assert [type(t) for t in compiled(fn)(X)] == [type(t) for t in fn(X)]


def test_values_that_change_between_calls():
    def fn(x, n, scale, tables):
        return vmap(lambda r: r * n + scale + tables["a"].sum())(x)

    function = compiled(fn)
    for n, scale in ((2, 0.5), (3, 1.5), (4, 2.5), (2, 3.0)):
        table = {"a": randn(3, seed=n)}
        compare(fn(X, n, scale, table), function(X, n, scale, table))


def test_another_function_is_another_program():
    def fn(f, x):
        return vmap(grad(f))(x)

    function = compiled(fn)
    for power in (2, 3):
        f = (lambda p: lambda r: (r**p).sum())(power)
        compare(fn(f, X), function(f, X))
    mapped = [vmap(lambda r: r + 1), vmap(lambda r: r - 1), jacrev(lambda r: r * 2)]
    apply = compiled(lambda f, x: f(x))
    for f in mapped:
        compare(f(X), apply(f, X))


def test_settings_of_a_transform_made_outside():
    def fn(f, x):
        return f(x)

    function = compiled(fn)
    for d in (0, 1, -1):
        f = vmap(lambda r: r.sum(), in_dims=d)
        compare(f(X), function(f, X))


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_errors_come_from_the_framework(backend):
    def fn(x):
        y = vmap(lambda r: torch.linalg.solve(r.view(2, 2), torch.ones(2)))(x)
        return y * 2

    function = quern.compile(fn, backend=backend, fullgraph=True)
    good = randn(3, 4)
    compare(fn(good), function(good), 1e-4)
    with pytest.raises(torch.linalg.LinAlgError):
        function(torch.zeros(3, 4))
    compare(fn(good), function(good), 1e-4)
    assert torch._C._functorch.maybe_current_level() is None


def test_random_numbers_are_drawn_as_in_eager():
    def fn(x):
        a = vmap(lambda r: torch.randn(3) + r, randomness="different")(x)
        b = vmap(lambda r: torch.randn(3) + r, randomness="same")(x)
        return a, b, grad(lambda r: nn.functional.dropout(r, 0.5).sum())(x), torch.randn(2)

    function = compiled(fn)
    for _ in range(2):
        torch.manual_seed(3)
        expected = fn(X)
        torch.manual_seed(3)
        compare(expected, function(X))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad])
def test_nothing_of_the_first_call_is_kept(mode):
    function = compiled(lambda net, x: vmap(grad(lambda r: net(r).sum()))(x))
    net, x = nn.Linear(3, 2), X.clone()
    given, weight = weakref.ref(x), weakref.ref(net.weight)
    with mode():
        function(net, x)
    del net, x
    gc.collect()
    assert given() is None
    assert weight() is None or mode is torch.enable_grad


def _counts_in_chunks(x):
    n = []

    def f(row):
        n.append(1)
        return row * 2

    return vmap(f, chunk_size=1)(x), n


def _pulls_behind_a_write(x):
    z = x.clone()
    _, pull = vjp(lambda a: a * a, z)
    z.add_(1)
    return pull(x), z


def _pulls_at_random(x):
    out, pull = vjp(lambda r: nn.functional.dropout(r, 0.5), x)
    return out, pull(x)


def _writes_to_an_argument(x):
    y = x.clone()
    vmap(lambda row: row.mul_(2))(y)
    return y


def _writes_to_what_is_around(x):
    total = torch.zeros(())
    vmap(lambda row: (total.add_(1), row)[1])(x)
    return total


@pytest.mark.parametrize(
    "fn",
    [
        _counts_in_chunks, _pulls_behind_a_write, _pulls_at_random, _writes_to_an_argument, _writes_to_what_is_around,
        lambda x: vmap(lambda r: r.as_strided((2,), (1,)))(x), lambda x: linearize(torch.sin, x)[1](x),
    ],
)  # fmt: skip
def test_what_is_not_one_graph_runs_as_it_is(fn):
    with pytest.raises(quern.errors.Unsupported):
        compiled(fn)(X)
    for backend in ("eager", "inductor"):
        torch.manual_seed(0)
        expected = fn(X)
        torch.manual_seed(0)
        compare(expected, quern.compile(fn, backend=backend)(X))
