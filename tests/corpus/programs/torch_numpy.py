"""NumPy inside of PyTorch functions: arrays of tensors, tensors of arrays, both as arguments and results, writes through either."""

# ruff: noqa
# mypy: ignore-errors

import warnings

import numpy as np
import torch
from registry import Expect
from torch_values import on_torch, randn

program = on_torch(__name__)
FILTER = np.array([0.25, 0.5, 0.25, 0.0], np.float32)


def array(*shape):
    return randn(*shape).numpy()


@program(expect=Expect.WHOLE)
def there_and_back(x):
    return torch.from_numpy(np.sin(x.numpy()) + 1) * x


@program(expect=Expect.WHOLE)
def arrays_as_results(x):
    a = x.numpy()
    return np.cos(a) * 2, a, a[1:], a.T, x


@program(args=lambda: (array(2, 3), randn(2, 3)), expect=Expect.WHOLE)
def arrays_as_arguments(a, x):
    return torch.from_numpy(a) + x, a.sum(axis=0), a


@program(args=lambda: ({"a": array(3), "b": randn(3)},), expect=Expect.WHOLE)
def arrays_in_containers(d):
    return {"r": torch.from_numpy(d["a"]) * d["b"], "n": [d["a"] * 2, (d["a"],)]}


@program(args=lambda: (array(3),), expect=Expect.WHOLE)
def arrays_alone(a):
    return torch.from_numpy(np.exp(-a))


@program(expect=Expect.WHOLE)
def conversions(x):
    a = x.numpy()
    return (
        torch.tensor(a.astype(np.float64) ** 2),
        torch.as_tensor(np.maximum(a, 0.5)) + 1,
        torch.as_tensor(a, dtype=torch.int64),
    )


@program(args=lambda: (randn(3).requires_grad_(),), grad=True)
def force(x):
    return x.numpy(force=True) * 2, x.detach().cpu().numpy().sum()


@program(args=lambda: (randn(3).requires_grad_(),), grad=True)
def needs_detach(x):
    try:
        return x.numpy()
    except RuntimeError as error:
        return str(error)


@program(args=lambda: (randn(3).requires_grad_(),), grad=True)
def beside_gradients(x):
    k = np.exp(x.detach().numpy())
    return (x * torch.from_numpy(k)).sum(), torch.from_numpy(k)


@program(expect=Expect.WHOLE)
def attributes(x):
    a = x.numpy()
    return a.shape, a.ndim, a.size, a.itemsize, a.strides, a.dtype == np.float32, isinstance(a, np.ndarray), len(a)


@program(expect=Expect.WHOLE)
def methods(x):
    a = x.numpy()
    return (
        a.transpose(1, 0),
        a.reshape(-1),
        a.flatten(),
        a.mean(),
        a.sum(axis=1),
        a.argmax(),
        a.cumsum(),
        a.clip(0, 1),
        a.std(),
    )


@program(expect=Expect.WHOLE)
def shaping(x):
    a = x.numpy()
    joined = np.concatenate([a, a * 2]), np.stack([a, a]), np.vstack((a, a)), np.hstack((a, a))
    return (
        joined,
        np.expand_dims(a, 0),
        np.tile(a, 2),
        np.repeat(a, 2),
        np.flip(a),
        np.roll(a, 1),
        np.diff(a),
        np.outer(a[0], a[1]),
    )


@program(expect=Expect.WHOLE)
def choosing(x):
    a = x.numpy()
    i = np.argsort(a, axis=1)
    return (
        np.where(a > 0, a, -a),
        np.take_along_axis(a, i, axis=1),
        np.sort(a),
        np.logical_and(a > 0, ~(a > 1)),
        (a > 0).any(),
    )


@program(expect=Expect.WHOLE)
def products(x):
    a = x.numpy()
    return a @ a.T, np.einsum("ij,kj->ik", a, a), np.linalg.norm(a, axis=1), np.fft.fft(a)


@program(expect=Expect.WHOLE)
def held_arrays(x):
    return x * torch.from_numpy(FILTER), FILTER + 1


@program(expect=Expect.WHOLE)
def arrays_from_nothing(x):
    g, h = np.meshgrid(np.linspace(-1, 1, 3), np.arange(4))
    lower = torch.from_numpy(np.tril(np.ones((4, 4), np.float32)))
    return torch.from_numpy(g).sum() + x, h, lower @ x.T, np.full_like(x.numpy(), 2)


@program(expect=Expect.WHOLE)
def known_contents(x):
    weights = np.arange(3)
    if weights.sum() > 2:
        x = x + sum(weights.tolist()) * weights[2].item()
    return x.reshape(int(np.prod([3, 4]))) + float(np.sqrt(2.0))


@program(expect=Expect.WHOLE)
def writes_through_the_array(x):
    a = x.numpy()
    a += 1
    a[0] = 5.0
    return x * 2


@program(args=lambda: (array(4), randn(4)), expect=Expect.WHOLE)
def writes_through_the_tensor(a, x):
    t = torch.from_numpy(a)
    t.mul_(2)
    a[0] = 7
    return x + t, t


@program(expect=Expect.WHOLE)
def writes_through_views(x):
    view = x.view(2, 6).t()
    a = view.numpy()
    b = a[1:]
    b *= 3
    torch.from_numpy(b)[0] = -1
    return a, view, x.sum()


@program(args=lambda: (randn(4), randn(4)), expect=Expect.WHOLE)
def out(x, y):
    np.add(x.numpy(), 1, out=y.numpy())
    return y * 2


@program(
    args=lambda call: (array(4, 3) if call == 1 else array(3, 4).T if call else array(4, 6)[:, ::2], randn(4, 3)),
    calls=3,
)
def layouts(a, x):
    r = np.exp(-a)
    return r, torch.from_numpy(r).stride(), torch.from_numpy(a[1:]), torch.from_numpy(a) + x


@program(args=lambda call: (array(6)[::-1] if call % 2 else array(6), randn(6)), calls=3)
def backwards(a, x):
    a[0] = 100.0
    return torch.as_tensor(a.copy()) + x, a * 2


@program(args=lambda call: (randn(4 + 2 * call),), calls=4)
def growing(x):
    a = x.numpy()
    a[::2] = 0
    return a.reshape(2, -1).sum(axis=0), torch.from_numpy(a[1:]) * 2, a.shape[0] * x


@program(args=lambda: (randn(4) + 1,))
def warnings_of_numpy(x):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        r = torch.from_numpy(np.log(x.numpy()) / (x.numpy() * 0)) + 1
    return r, [str(w.message) for w in heard]


@program(args=lambda call: (torch.tensor([1, 2, call]), torch.tensor([3, 0, 5])), calls=2)
def integer_division(x, y):
    with np.errstate(all="ignore"):
        return y.numpy() // x.numpy(), torch.from_numpy(y.numpy() % x.numpy())


@program(args=lambda call: (randn(4), torch.tensor([1, 3 + call])), calls=2)
def index_errors(x, i):
    try:
        return x.numpy()[i.numpy()]
    except IndexError as error:
        return str(error)


@program(args=lambda: (randn(4).bfloat16(),))
def no_such_type(x):
    try:
        return x.numpy()
    except TypeError as error:
        return str(error)


@program(args=lambda: (torch.randn(3, dtype=torch.complex64),))
def complex_numbers(x):
    return np.abs(x.numpy()), torch.from_numpy(x.numpy() * 2).real, x.numpy().real


@program
def scalars_of_arrays(x):
    s, n = x.numpy().max(), x.numpy().argmax()
    return x * s, s * x, x + n, torch.tensor(s), torch.as_tensor(s), x / s, torch.tensor([x.numpy()[0, 0], 2.0])


@program(expect=Expect.WHOLE)
def rows(x):
    total = 0
    for row in x.numpy():
        total = total + row.sum()
    return total, torch.stack([torch.from_numpy(r) for r in np.outer(x.numpy()[0], x.numpy()[1])])


@program(expect=Expect.WHOLE)
def indexed_by_arrays(x):
    i = np.array([0, 2])
    y = x.clone()
    y[i] = 0
    return x[i], x[:, np.array([True, False, True, False])], y


@program
def array_of_a_tensor(x):
    a, b = np.asarray(x), np.array(x)
    a[0] = 5
    b[1] = 6
    return a, b, np.asarray(x, dtype=np.float64)


@program(expect=Expect.WHOLE)
def numbers_of_numpy(x):
    return (
        x * np.pi + np.sqrt(2),
        x + np.finfo(np.float32).eps,
        torch.tensor([np.float32(1.5), np.float32(2)]),
        x * np.float32(3.0),
    )


@program
def a_break_between(x):
    a = np.sin(x.numpy())
    torch._dynamo.graph_break()
    t = torch.from_numpy(a)
    t += 1
    return a, t


@program.maker(expect=Expect.WHOLE)
def held_by_a_module():
    class Scale(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = np.arange(4, dtype=np.float32)

        def forward(self, x):
            return x * torch.from_numpy(self.weight)

    return Scale()


def sized(*first):
    return [(randn(8), np.int64(n)) for n in first]


@program(args=lambda call: sized(2, 3, 4)[call], calls=3, expect=Expect.WHOLE)
def integers_that_change(x, n):
    return x * n, n + 1, type(n).__name__, n


@program(args=lambda call: sized(2, 3, 4)[call], calls=3, expect=Expect.WHOLE)
def integers_as_sizes(x, n):
    return x[:n], x.new_zeros(n), torch.arange(n), x[n], x.view(-1)[n:]


@program(args=lambda call: sized(2, 1, 0, -1)[call], calls=4)
def integers_that_are_no_sizes(x, n):
    return x[:n], x[n], x.sum(dim=n * 0)


@program(args=lambda call: sized(2, 3, 2)[call], calls=3)
def integers_that_decide(x, n):
    for i in range(n):
        x = x + i
    return x + 1 if n > 2 else x - 1, [x, x, x, x][n], {2: "two", 3: "three"}[n]


@program(expect=Expect.WHOLE)
def ufuncs_of_tensors(x):
    y = np.sin(x)
    y.add_(1)
    return y, np.add(x, np.arange(4.0)), np.multiply(np.float64(2), x), np.maximum(x, x.double()), np.sqrt(x.abs())


@program(expect=Expect.WHOLE)
def ufuncs_of_tensors_without_dimensions(x):
    return np.exp(x[0, 0]), np.negative(x.sum()) + 1, np.add(x[0, 0], 1), np.exp(x.t()), np.exp(x[:, ::2])


@program(expect=Expect.WHOLE)
def truths_of_tensors_by_numpy(x):
    return np.greater(x, 0), np.isnan(x), np.logical_not(x[0, 0])


@program(grad=True, args=lambda: (randn(3).requires_grad_(),))
def ufuncs_of_tensors_that_record(x):
    try:
        return np.sin(x)
    except RuntimeError:
        return x * 2


@program
def other_calls_with_tensors(x):
    out = np.zeros((3, 4), dtype=np.float32)
    return np.sin(x, out=out), np.add.reduce(x), np.frexp(x), np.reshape(x, (4, 3))


@program(expect=Expect.WHOLE)
def arrays_made_of_tensors(x):
    joined = np.concatenate([x, x.numpy()])
    joined[0] = 100
    chosen = np.where(x.numpy() > 0, x, -x), np.where(x > 0, x, 0)
    return joined, chosen, np.stack((x, x)), np.hstack([x, x]), np.dot(x, x.t()), np.einsum("ij,kj->ik", x, x)
