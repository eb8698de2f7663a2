"""Numbers and sizes that depend on the data, in one graph under `fullgraph` or as the configuration says."""

from __future__ import annotations

import pytest
import torch
from torch_checks import compare

import quern
from quern.testing import CompileCounter

X = torch.tensor([[1.5, -2.0, 3.0], [0.0, -1.0, 4.0]])
COUNTS = torch.tensor([2, 0, 3])


def scaled(x, n):
    s = x.sum().item()
    return x * s + s, s * 2, (s + 1) / 2, -s, abs(s), s**2, s > 1, 3 - s


def whole(x, n):
    k = n[0].item()
    return k + 1, k * k, k / 2, x * k, torch.zeros(k, 2), torch.arange(k), x.new_ones(k), float(k), k // 2, k % 2


def from_float(x, n):
    return x + int(x[0, 0]), int(x[0, 2] * 2)


def truth(x, n):
    flag = (x > 0).any().item()
    return x + flag, flag


def listed(x, n):
    a, b, c = n.tolist()
    return a + b + c, x.view(-1)[:a], x * c, (x > 0).tolist()[0][0], x[0].tolist()


def slices(x, n):
    flat = x.view(-1)
    k = n[2].item()
    return flat[:k], flat[k:], flat[k - 1 : k + 1] * 2, flat[: n[0]], flat[-k:], x[:, : n[0]]


def written(x, n):
    x = x.clone()
    x.view(-1)[: n[2].item()] += 1
    x[:, n[0].item() - 1] = 7
    return x


def masks(x, n):
    y = x[x > 0]
    return y, y * 2 + 1, y.sum(), y.shape[0], y.numel(), y.sort().values, y.exp().softmax(0), len(y), y.unsqueeze(1)


def masked_write(x, n):
    x = x.clone()
    x[x < 0] *= -1
    mask = x > 1
    x[mask] = x[mask] - 1
    x[x > 3] = 0.5
    return x, x[mask]


def mask_of_rows(x, n):
    rows = x[x.sum(1) > 2.8]
    return rows, rows.sum(0), rows @ x.T, rows[:, 1]


def positions(x, n):
    i = x.nonzero()
    r, c = torch.nonzero(x > 0, as_tuple=True)
    return i, i.shape[0], x[r, c], r + c, torch.where(x < 0), torch.argwhere(x)


def uniques(x, n):
    u, inverse, counts = n.unique(return_inverse=True, return_counts=True)
    return (
        u,
        inverse,
        counts,
        u * counts,
        torch.unique_consecutive(n),
        torch.bincount(n),
        torch.bincount(n, minlength=9),
    )


def repeated(x, n):
    return torch.repeat_interleave(torch.arange(3), n), x.repeat_interleave(n, dim=1), x.T.repeat_interleave(n, 0)


def checked(x, n):
    k = n[0].item()
    torch._check(k >= 0)
    torch._check(k <= 3)
    return x[:, :k] + 1, torch.full((k,), 2.0)


def split(x, n):
    a, b, c = torch.arange(5.0).split(n.tolist())
    return a, b, c * 2


def dropped(x, n):
    x.sum().item()
    return x + 1


PROGRAMS = [
    scaled, whole, from_float, truth, listed, slices, written, masks, masked_write, mask_of_rows, positions, uniques, repeated,
    checked, split, dropped,
]  # fmt: skip


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("fn", PROGRAMS, ids=lambda f: f.__name__)
def test_in_one_graph(fn, backend):
    function = quern.compile(fn, backend=backend, fullgraph=True)
    arguments = [(X, COUNTS), (X.flip(0) + 0.25, torch.tensor([1, 2, 2])), (X.abs(), torch.tensor([3, 1, 1]))]
    with torch.no_grad():
        for x, n in arguments:
            compare(fn(x.clone(), n.clone()), function(x.clone(), n.clone()))
    assert len(function.entries) == 1


@pytest.mark.parametrize("fn", PROGRAMS, ids=lambda f: f.__name__)
def test_breaks_give_the_same(fn):
    function = quern.compile(fn, backend="eager")
    with torch.no_grad():
        for x, n in ((X, COUNTS), (X.flip(0) + 0.25, torch.tensor([1, 2, 2]))):
            compare(fn(x.clone(), n.clone()), function(x.clone(), n.clone()))


def test_configuration():
    counter = CompileCounter()
    with torch.no_grad():
        with quern.config.patch(capture_scalar_outputs=True):
            compare(scaled(X, COUNTS), quern.compile(scaled, backend=counter)(X, COUNTS))
        with quern.config.patch(capture_dynamic_output_shape_ops=True):
            compare(masks(X, COUNTS), quern.compile(masks, backend=counter)(X, COUNTS))
        assert counter.frame_count == 2
        quern.compile(lambda x: x * x.sum().item() + 1, backend=counter)(X)
        assert counter.frame_count > 3


def test_gradients_flow_through_masks():
    def fn(x):
        y = x[x > 0] * 2
        return (y * y.sum().item()).sum()

    grads = []
    for call in (fn, quern.compile(fn, backend="eager", fullgraph=True)):
        x = X.clone().requires_grad_()
        call(x).backward()
        grads.append(x.grad)
    compare(*grads)


def test_a_check_that_fails():
    function = quern.compile(checked, backend="eager", fullgraph=True)
    function(X, COUNTS)
    for n in (-1, 5):
        with pytest.raises(RuntimeError) as wanted:
            checked(X, torch.tensor([n]))
        with pytest.raises(RuntimeError) as found:
            function(X, torch.tensor([n, 0, 0]))
        assert str(found.value) == str(wanted.value)


def test_a_branch_is_refused():
    def fn(x):
        return x + 1 if x.sum().item() > 0 else x - 1

    with pytest.raises(quern.errors.Unsupported, match="branching on a bool read from a tensor"):
        quern.compile(fn, backend="eager", fullgraph=True)(X)

    def sizes(x):
        return x + 1 if x[x > 0].shape[0] > 2 else x - 1

    with pytest.raises(quern.errors.Unsupported, match=r"torch\._check"):
        quern.compile(sizes, backend="eager", fullgraph=True)(X)
