"""Writes, views and detached tensors where gradients are recorded: results, `requires_grad` and gradients equal eager's."""

from __future__ import annotations

import itertools
import re

import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import quern  # noqa: E402

pytestmark = [pytest.mark.sampled(2), pytest.mark.torch, pytest.mark.filterwarnings("ignore:quern. gradients")]

# x: a leaf that requires gradients; h: computed from another; b: a buffer without gradients


def buffer_accumulates(x, h, b):
    b += x.sum(0)
    return x * b


def buffer_multiplied(x, h, b):
    b.mul_(x[0])
    return b * 2


def buffer_rows(x, h, b):
    b[1:3].add_(x[0, 1:3])
    b[0] = x.sum()
    return b.sum() + x.sum()


def buffer_without_gradients(x, h, b):
    b.copy_(x.detach()[0] * 2)
    return x + b


def running_mean(x, h, b):
    with torch.no_grad():
        b.mul_(0.9).add_(x.mean(0), alpha=0.1)
    return x - b


def computed_input_written(x, h, b):
    h.mul_(x)
    h[0] += 1
    return h.sin(), h


def computed_input_twice(x, h, b):
    y = h * 3
    h += x
    return y, h * 2


def leaf_written_without_gradients(x, h, b):
    with torch.no_grad():
        x.mul_(2)
        x[0] = 1
    return x * x


def leaf_written_and_read_twice(x, h, b):
    y = x.sum()
    with torch.no_grad():
        x.add_(1)
    z = x * 3
    with torch.no_grad():
        x.add_(b)
    return y, z, x * 5


def leaf_written_past_autograd(x, h, b):
    x.data.mul_(2)
    x.detach().add_(b)
    return x * 1, x.detach()


def detached_results(x, h, b):
    y = x * 2
    return x.detach(), x.detach()[0], x[0].detach(), y.detach(), y, x.data.view(-1), x.detach().mean(), x.t()


def no_grad_results(x, h, b):
    with torch.no_grad():
        view, copy = x[0], x * 2
        with torch.enable_grad():
            inner = copy * x
    return view, copy, inner, copy * 2


def made_written_without_gradients(x, h, b):
    y = x * 2
    view = y[0]
    with torch.no_grad():
        y.mul_(3)
        seen = view.sum()
    y.data.add_(1)
    y.detach()[1] = 5
    with torch.no_grad():
        y.clamp_(-1, 1)
    return y * x, view * 2, seen, y


def views_outlive_modes(x, h, b):
    with torch.no_grad():
        early = b[:2]
    late = b[2:]
    with torch.no_grad():
        b.add_(1)
        late.sum()
    return early * x[0, :2], late * x[0, 2:]


def asks(x, h, b):
    made = x * 2
    return made.grad_fn is None, x.grad_fn is None, h.grad_fn is not None, h.is_leaf, x.is_leaf, x.grad is None, made


PROGRAMS = [
    buffer_accumulates, buffer_multiplied, buffer_rows, buffer_without_gradients, running_mean, computed_input_written,
    computed_input_twice, leaf_written_without_gradients, leaf_written_and_read_twice, leaf_written_past_autograd, detached_results,
    no_grad_results, made_written_without_gradients, views_outlive_modes, asks,
]  # fmt: skip


def run(call, f):
    """All that can be seen of two calls."""
    torch.manual_seed(0)
    seen = []
    for _ in range(2):
        x, root, b = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True), torch.randn(4)
        h = root * 1
        found = call(x, h, b)
        found = found if isinstance(found, tuple) else (found,)
        results = [t for t in found if isinstance(t, torch.Tensor)]
        memory = [t.untyped_storage()._cdata == x.untyped_storage()._cdata for t in results]
        seen += [t if not isinstance(t, torch.Tensor) else (t.detach().clone(), t.requires_grad) for t in found]
        seen += [
            memory,
            (x.requires_grad, h.requires_grad, b.requires_grad),
            x.detach().clone(),
            b.detach().clone(),
            h.detach().clone(),
        ]
        total = sum((t * (i + 1)).sum() for i, t in enumerate([*results, b, h]) if t.requires_grad)
        try:
            total.backward()
        except RuntimeError as error:
            seen.append(str(error)[:40])
        seen += [x.grad, root.grad]
    return seen


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_equals_eager(f, backend):
    plain, compiled = run(f, f), run(quern.compile(f, backend=backend, fullgraph=True), f)
    torch.testing.assert_close(compiled, plain, equal_nan=True)


@pytest.mark.parametrize("make", [lambda: nn.BatchNorm1d(4), lambda: nn.BatchNorm1d(4, affine=False)])
def test_batch_norm_trains(make):
    def train(wrap):
        torch.manual_seed(0)
        m = nn.Sequential(nn.Linear(4, 4), make(), nn.ReLU())
        call, optimizer = wrap(m), torch.optim.SGD(m.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            call(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
        return m.state_dict()

    compiled = train(lambda m: quern.compile(m, backend="eager", fullgraph=True))
    torch.testing.assert_close(compiled, train(lambda m: m))


NORMED_OFTEN = {
    "one after the other": lambda m, x: m(m(x)),
    "beside each other": lambda m, x: m(x) * m(x.sin()),
    "over a stack": lambda m, x: torch.stack([m(p) for p in torch.stack([x, x * 2, x + 1])]),
    "the statistics are read": lambda m, x: m(x) * m.running_mean.clone() + m(x * m.running_var),
    "trained, then not": lambda m, x: (m(x), m.eval()(x), m.train())[1],
    "not trained, then": lambda m, x: (m.eval()(x), m.train()(x))[0],
}


@pytest.mark.parametrize("f", NORMED_OFTEN.values(), ids=NORMED_OFTEN)
@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_a_batch_norm_is_called_more_than_once(f, backend):
    def train(wrap):
        torch.manual_seed(0)
        m, x = nn.BatchNorm1d(4), torch.randn(8, 4, requires_grad=True)
        call = wrap(f)
        for _ in range(2):
            call(m, x).square().mean().backward()
        return (
            m.state_dict(),
            x.grad,
            [p.grad for p in m.parameters()],
            [b._version for b in (m.running_mean, m.running_var)],
        )

    compiled = train(lambda f: quern.compile(f, backend=backend))
    torch.testing.assert_close(compiled, train(lambda f: f), atol=1e-5, rtol=1e-4)


def test_statistics_that_the_program_changes_refuse_a_backward_pass():
    def f(x, mean, var):
        y = F.batch_norm(x, mean, var, training=True)
        mean.add_(1)
        return y

    for call in (f, quern.compile(f, backend="eager")):
        y = call(torch.randn(8, 4, requires_grad=True), torch.zeros(4), torch.ones(4))
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


def test_a_leaf_written_in_place_raises_as_in_eager():
    f = quern.compile(lambda x: x.mul_(2).sum(), backend="eager", fullgraph=True)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        f(torch.randn(3, requires_grad=True))
    assert f(torch.ones(3)) == 6


def test_a_graph_without_gradients_records_none():
    """All is detached: nothing of the parameter's history may reach the result, on either backend."""
    for backend in ("eager", "inductor"):
        f = quern.compile(lambda x: F.pdist(x.detach()) + 1, backend=backend, fullgraph=True)
        assert not f(torch.randn(4, 3, requires_grad=True)).requires_grad


def test_deep_copies_of_leaves_break():
    import copy

    f = quern.compile(lambda x: copy.deepcopy(x) * 2, backend="eager")
    out = f(torch.ones(3, requires_grad=True))
    assert out.requires_grad


# x, w: leaves that require gradients. What eager's ops keep for the backward pass, and what is written after that


def result_of_exp(x, w):
    y = x.exp()
    y.add_(1)
    return y


def result_of_exp_without_recording(x, w):
    y = x.exp()
    with torch.no_grad():
        y.mul_(3)
    return y


def result_of_exp_detached(x, w):
    y = x.exp()
    y.detach().mul_(3)
    return y


def result_of_exp_past_autograd(x, w):
    y = x.exp()
    y.data.mul_(3)
    return y


def result_of_softmax_assigned(x, w):
    y = x.softmax(-1)
    y[0] = 0
    return y


def copy_of_softmax_assigned(x, w):
    y = x.softmax(-1).clone()
    y[0] = 0
    return y


def factor_written(x, w):
    y = x * 2
    z = y * w
    y.add_(1)
    return z + y


def summand_written(x, w):
    y = x * 2
    z = y + w
    y.add_(1)
    return z + y


def other_row_of_a_factor_written(x, w):
    y = x * 2
    z = y[0] * w[0]
    y[1].add_(1)
    return z + y


def detached_factor_written(x, w):
    b = w.detach() * 2
    z = x * b
    b.add_(1)
    return z


def multiplied_in_place(x, w):
    y = x * 2
    y.mul_(w)
    y /= w.abs() + 1
    y.pow_(2)
    return y


def exp_in_place_then_written(x, w):
    y = x * 2
    y.exp_()
    y.add_(1)
    return y


def exp_of_a_row_in_place_then_written(x, w):
    y = x * 2
    y[0].exp_()
    y.add_(1)
    return y


def exp_in_place(x, w):
    y = x * 2
    y.exp_()
    return y + 1


def relu_in_place_then_written(x, w):
    y = x @ w
    F.relu(y, inplace=True)
    y += 1
    return y


def sigmoid_in_place_in_a_loop(x, w):
    y = x * 1
    for _ in range(3):
        y.sigmoid_()
    return y


def multiplied_in_place_in_a_loop(x, w):
    y = x * 1
    for _ in range(3):
        y.mul_(w)
    return y


def view_of_exp_written(x, w):
    y = x.exp().view(2, 8)
    y.mul_(2)
    return y


def rows_filled(x, w):
    y = torch.zeros(4, 4)
    y[:2] = x[:2].exp()
    y[2:] = w[2:] * x[2:]
    return y * y


def written_after_a_copy(x, w):
    y = torch.zeros_like(x)
    y.copy_(x)
    y.mul_(w)
    y.copy_(w)
    return y * x


KEPT = [
    result_of_exp, result_of_exp_without_recording, result_of_exp_detached, result_of_exp_past_autograd, result_of_softmax_assigned,
    copy_of_softmax_assigned, factor_written, summand_written, other_row_of_a_factor_written, detached_factor_written,
    multiplied_in_place, exp_in_place_then_written, exp_of_a_row_in_place_then_written, exp_in_place, relu_in_place_then_written,
    sigmoid_in_place_in_a_loop, multiplied_in_place_in_a_loop, view_of_exp_written, rows_filled, written_after_a_copy,
]  # fmt: skip


@pytest.mark.parametrize("f", KEPT, ids=lambda f: f.__name__)
@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_a_backward_pass_over_what_was_written_is_refused(f, backend):
    """Where eager refuses it, and only there."""

    def gradients(call):
        torch.manual_seed(0)
        x, w = torch.randn(4, 4, requires_grad=True), torch.randn(4, 4, requires_grad=True)
        result = call(x, w)
        refusal = ""
        try:
            result.sum().backward()
        except RuntimeError as error:
            refusal = str(error).partition(":")[0]
        return refusal, (result.detach(), *(() if refusal else (x.grad, w.grad)))

    (refusal, found), (said, expected) = gradients(quern.compile(f, backend=backend, fullgraph=True)), gradients(f)
    assert refusal == said
    torch.testing.assert_close(found, expected)


#: in-place calls on `y`, a result of the function
IN_PLACE = {
    "celu_": lambda y, w: torch.celu_(y, 0.5),
    "selu_": lambda y, w: torch.selu_(y),
    "F.elu": lambda y, w: F.elu(y, 0.5, inplace=True),
    "F.celu": lambda y, w: F.celu(y, inplace=True),
    "F.selu": lambda y, w: F.selu(y, inplace=True),
    "F.leaky_relu": lambda y, w: F.leaky_relu(y, 0.2, True),
    "F.relu": lambda y, w: F.relu(y, inplace=True),
    "F.silu": lambda y, w: F.silu(y, inplace=True),
    "acosh_": lambda y, w: y.acosh_(),
    "mul_ by itself": lambda y, w: y.mul_(y),
    "mul_ by a view": lambda y, w: y.mul_(y.view(4, 4)),
    "mul_ by itself detached": lambda y, w: y.mul_(y.detach()),
    "mul_ by a copy": lambda y, w: y.mul_(y.clone()),
    "div_": lambda y, w: y.div_(y),
    "add_": lambda y, w: y.add_(y),
    "pow_": lambda y, w: y.pow_(y),
    "atan2_": lambda y, w: y.atan2_(y),
    "addcmul_": lambda y, w: y.addcmul_(y, w),
    "lerp_": lambda y, w: y.lerp_(y, w.mean()),
    "mul_ by another": lambda y, w: y.mul_(w).mul_(w),
}


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("written", [False, True], ids=["alone", "written afterwards"])
def test_what_in_place_calls_keep_for_the_backward_pass(name, written, backend):
    def f(x, w):
        y = x * 2
        IN_PLACE[name](y, w)
        return y.add_(1) if written else y

    def gradients(call):
        torch.manual_seed(0)
        x, w = torch.rand(4, 4, requires_grad=True), torch.rand(4, 4, requires_grad=True)
        try:
            call(x, w).sum().backward()
        except RuntimeError as error:
            return str(error).partition(":")[0]
        return x.grad, w.grad

    found, expected = gradients(quern.compile(f, backend=backend, fullgraph=True)), gradients(f)
    if isinstance(expected, str):
        assert found == expected
    else:
        torch.testing.assert_close(found, expected, equal_nan=True)


# ---------------------------------------------------------------- views that autograd lets nobody write to


@torch.no_grad()
def made_without_recording(y):
    return [y[:2]]


@torch.no_grad()
def split_without_recording(y):
    return y.split(2)


#: how views of `y`, a matrix of four rows, are taken; autograd refuses writes to most of them
VIEWS = {
    "split": lambda y: y.split(2),
    "torch.split": lambda y: torch.split(y, [1, 3]),
    "split_with_sizes": lambda y: y.split_with_sizes([1, 3]),
    "chunk": lambda y: y.chunk(2),
    "unbind": lambda y: y.unbind(),
    "rows": list,
    "unpacked": lambda y: (lambda a, b, c, d: [b])(*y),
    "a view of one": lambda y: [y.split(2)[0][:1]],
    "another shape of one": lambda y: [y.reshape(2, 8).split(1)[0].view(2, 4)],
    "one detached": lambda y: [y.split(2)[0].detach()],
    "of what is detached": lambda y: y.detach().split(2),
    "of data": lambda y: y.data.split(2),
    "without recording": made_without_recording,
    "several without recording": split_without_recording,
    "tensor_split": lambda y: y.tensor_split(2),
    "subscript": lambda y: [y[:2]],
}


def one_written(x, views, w):
    y = x * 1
    views(y)[0].mul_(w)
    return y.sum()


def one_of_an_input_written(x, views, w):
    views(x)[0].mul_(w)
    return x.sum()


def base_written(x, views, w):
    y = x * 1
    parts = views(y)
    y.mul_(2)
    return parts[0].sum()


def one_written_without_recording(x, views, w):
    y = x * 1
    with torch.no_grad():
        parts = views(y)
        parts[0].mul_(2)
    return y.sum() + parts[0].sum()


def one_zeroed_without_recording(x, views, w):
    y = x * 1
    parts = views(y)
    with torch.no_grad():
        parts[0].zero_()
    return y.sum() + (parts[0] * 2).sum()


WRITING = [
    one_written,
    one_of_an_input_written,
    base_written,
    one_written_without_recording,
    one_zeroed_without_recording,
]


@pytest.mark.parametrize("how", VIEWS)
@pytest.mark.parametrize("f", WRITING, ids=lambda f: f.__name__)
def test_writes_to_views_that_autograd_refuses(how, f):
    """Where eager refuses a write, or a read behind one, so does compiled code; elsewhere it is allowed. (Eager names the
    function that made a view, which behind a break is another.)
    """

    def outcome(call, of_x, of_w, mode):
        x = torch.arange(16.0).reshape(4, 4).requires_grad_(of_x) * 1
        w = torch.tensor(2.0, requires_grad=of_w)
        try:
            with torch.set_grad_enabled(mode):
                result = call(x, VIEWS[how], w)
        except RuntimeError as refusal:
            return re.sub(r"^Output \d of \w+", "", str(refusal))
        return result.tolist(), result.requires_grad, x.tolist()

    for case in itertools.product((True, False), repeat=3):
        quern.reset()
        assert outcome(quern.compile(f, backend="eager"), *case) == outcome(f, *case), case


def test_a_piece_that_leaves_the_graph_is_not_written_to():
    def f(x):
        y = x * 2
        return y, y.split(2)[1], y.unbind()[0]

    for call in (f, quern.compile(f, backend="eager", fullgraph=True)):
        y, *pieces = call(torch.arange(4.0, requires_grad=True))
        assert all(p._base is y and p.requires_grad for p in pieces)
        assert [p.stride() for p in pieces] == [(1,), ()] and [p.tolist() for p in pieces] == [[4, 6], 0]
        for p in pieces:
            with pytest.raises(RuntimeError, match="output of a function that returns multiple views"):
                p.mul_(2)
        sum(p.sum() for p in pieces).backward()


def test_without_gradients_pieces_are_written_to_in_one_graph():
    def f(x):
        with torch.no_grad():
            for row in x:
                row.mul_(2)
            a, b = x.chunk(2)
            a.copy_(b)
        return x * 2

    x = torch.arange(4.0).reshape(4, 1).requires_grad_() * 1
    z = x.detach().clone().requires_grad_() * 1
    result, expected = quern.compile(f, backend="eager", fullgraph=True)(x), f(z)
    assert result.tolist() == expected.tolist() and x.tolist() == z.tolist() and result.requires_grad


def test_a_view_that_autograd_does_not_know_is_refused_when_it_is_given_back():
    """Its base was written to: eager's tells as it is looked at, so the write is the program's own."""

    def base_written(x):
        y = x * 1
        with torch.no_grad():
            v = y[..., -1]
        y.mul_(2)
        return v

    def view_written(x):
        v = (x * 1).unbind(0)[0]
        v.detach().mul_(1)
        return v

    for f in (base_written, view_written):
        seen = []
        for call in (f, quern.compile(f)):
            x = torch.arange(6.0).reshape(2, 3).requires_grad_()
            try:
                result = call(x)
                seen.append((result.detach(), str(result.grad_fn)))
            except RuntimeError as error:
                seen.append(str(error))
        assert isinstance(seen[0], str) and seen[1] == seen[0]
