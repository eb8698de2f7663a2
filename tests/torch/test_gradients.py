"""Where gradients are asked for: graphs are captured and run through autograd, and gradients equal eager's."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402

import quern  # noqa: E402
import quern.testing  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quern. gradients")]


def straight(x, w):
    return F.gelu(x @ w).sum()


def no_grad_inside(x, w):
    with torch.no_grad():
        scale = (x * x).mean()
    return (x * scale @ w).sum()


def enabled_inside(x, w):
    with torch.no_grad():
        a = x + 1
        with torch.enable_grad():
            b = (x * w).sum()
    return b + a.sum()


def detached(x, w):
    return ((x @ w).detach() * x).sum() + (x.data * w).sum()


def in_place_on_fresh(x, w):
    y = x @ w
    y += 1
    y[0] = y[1] * 2
    y.relu_()
    return y.sum()


def views(x, w):
    y = x.reshape(-1)
    return (y[::2] * w.t().reshape(-1)[1::2]).sum() + x.view(8, 2).permute(1, 0)[0].sum()


def flags(x, w):
    y = x * 2
    assert x.requires_grad and y.requires_grad and not y.detach().requires_grad
    with torch.no_grad():
        assert not (x * 2).requires_grad
    assert not (x > 0).requires_grad and not x.argmax().requires_grad
    return y.sum() + w.sum() * (3 if x.is_leaf and not y.is_leaf else 5)


def partly(x, w):
    return (x * w.detach()).sum()


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize(
    "f",
    [straight, no_grad_inside, enabled_inside, detached, in_place_on_fresh, views, flags, partly],
    ids=lambda f: f.__name__,
)
def test_gradients_equal_eager(f, backend):
    torch.manual_seed(0)
    start = [torch.randn(4, 4), torch.randn(4, 4)]
    results = []
    for call in (f, quern.compile(f, backend=backend, fullgraph=True)):
        x, w = (t.clone().requires_grad_() for t in start)
        out = call(x, w)
        out.backward()
        results.append((out.detach(), x.grad, w.grad))
    for plain, compiled in zip(*results):
        if plain is None:
            assert compiled is None
        else:
            torch.testing.assert_close(compiled, plain)


def test_requires_grad_is_guarded():
    """The same function with and without gradients: two versions, each right."""
    f = quern.compile(lambda x: (x * x).sum())
    x = torch.randn(3)
    assert not f(x).requires_grad
    y = x.clone().requires_grad_()
    out = f(y)
    assert out.requires_grad
    out.backward()
    torch.testing.assert_close(y.grad, 2 * x)
    with torch.no_grad():
        assert not f(y).requires_grad


def test_writing_into_a_differentiated_input_is_left_to_eager():
    @quern.compile(backend="eager")
    def f(x):
        x.mul_(2)
        return x.sum()

    leaf = torch.randn(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        f(leaf)
    inner = leaf * 1
    f(inner).backward()
    torch.testing.assert_close(leaf.grad, torch.full((3,), 2.0))


def test_a_training_loop_equals_eager():
    def train(compile_it):
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(6, 8), torch.nn.LayerNorm(8), torch.nn.GELU(), torch.nn.Linear(8, 1)
        )
        call = quern.compile(model) if compile_it else model
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses = []
        for _ in range(5):
            x = torch.randn(16, 6)
            loss = F.mse_loss(call(x), x.sum(1, keepdim=True))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    assert train(True) == pytest.approx(train(False), rel=1e-5)


NAN, INF = float("nan"), float("inf")
OF_TWO = torch.tensor([0.0, 1.0, 3.0]), torch.tensor([0.0, 0.0, 2.0])


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize(
    "program, values",
    [
        (torch.atan2, OF_TWO),
        (lambda x: x.max(), [torch.tensor([[1.0, NAN], [NAN, 3.0]])]),
        (lambda x: x.min(), [torch.tensor([[1.0, NAN], [2.0, 3.0]])]),
        (lambda x: x.amax(), [torch.tensor([[1.0, NAN], [2.0, 3.0]])]),
        (lambda x: x.amin(), [torch.tensor([[1.0, 1.0], [2.0, 3.0]])]),
        (lambda x: torch.aminmax(x)[1], [torch.tensor([[1.0, NAN], [2.0, 3.0]])]),
        (lambda x: x.max(), [torch.tensor([3.0, 1.0, 3.0])]),
        (lambda x: x.prod(), [torch.tensor([0.0, 0.0, INF])]),
        (lambda x: x.prod(), [torch.tensor([0.0, 2.0, 3.0])]),
        (lambda x, y: torch.div(x, y + 1, rounding_mode="floor") * x, OF_TWO),
        (lambda x, y: torch.div(x, y + 1, rounding_mode="floor"), OF_TWO),
        (lambda x, y: torch.floor_divide(x.detach(), 2) + x, OF_TWO),
        (lambda x, y: x.clone().copy_(y) * 2, OF_TWO),
        (lambda x, y: x.clone().fill_(y[1]), OF_TWO),
        (lambda x, y: in_whole(x.clone(), y), OF_TWO),
        (lambda x: x.clone().zero_().real, [torch.tensor([1j, 2.0])]),
        (lambda x: x.clone().fill_(2).real, [torch.tensor([1j, 2.0])]),
        (lambda x: x * torch.tensor([x[0], x[1], 2.0]), OF_TWO[:1]),
        (lambda x: x * torch.tensor(x), OF_TWO[:1]),
        (lambda x: x * x.new_tensor(x[1]), OF_TWO[:1]),
        (lambda x: x * torch.tensor([[x[0], x[1], x[2]]], dtype=torch.float64), OF_TWO[:1]),
        (lambda x: x * torch.as_tensor(x[1]), OF_TWO[:1]),
    ],
)
@pytest.mark.filterwarnings("ignore:To copy construct", "ignore:Converting a tensor with requires_grad")
def test_gradients_where_derivatives_have_no_value_or_end(program, values, backend):
    def gradients(function):
        leaves = [v.clone().requires_grad_() for v in values]
        result = function(*leaves)
        return [result, result.requires_grad, *torch.autograd.grad(result.sum(), leaves, allow_unused=True)]

    torch.testing.assert_close(gradients(quern.compile(program, backend=backend)), gradients(program), equal_nan=True)


def in_whole(x, y):
    x[:] = y
    return x


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("program", [lambda x: x // 2, lambda x: torch.floor_divide(x, 2), lambda x: 2 // x])
def test_floor_division_has_no_gradient(program, backend):
    result = quern.compile(program, backend=backend)(torch.tensor([3.0, 5.0], requires_grad=True))
    with pytest.raises(RuntimeError, match="derivative for aten::floor_divide is not implemented"):
        result.sum().backward()


def test_a_tensor_of_an_array_is_no_copy_of_a_tensor():
    import warnings

    import numpy as np

    function = quern.compile(lambda x: x + torch.tensor(np.arange(3)) * torch.tensor(np.float32(1.5)), backend="eager")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert function(torch.ones(3)).tolist() == [1.0, 2.5, 4.0]
