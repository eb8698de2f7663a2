"""Views, writes and outputs that alias: what eager shares is shared, what eager changes is changed."""

from __future__ import annotations

import pytest
import torch
from torch_checks import check, compiled, randn

import quern

X, Y = randn(3, 4), randn(3, 4, seed=1)


def f_views_of_input(x):
    return x, x[0], x.t(), x.view(-1)[3:7], x.unsqueeze(0).expand(2, -1, -1)


def f_views_of_result(x):
    y = x * 2
    return y, y[1:], y.t(), y.view(2, 6)


def f_only_a_view(x):
    return (x + 1)[:, 1]


def f_same_object(x):
    y = x.contiguous()
    return y, x.to(torch.float32), x.detach(), x.expand(3, 4), x.reshape(3, 4)


def f_write_input(x, y):
    x.add_(y)
    return x


def f_write_through_view(x):
    x[0].mul_(10)
    x.t()[1].fill_(3)
    x.view(-1)[-1] = 7
    return x.sum()


def f_views_see_writes(x):
    y = x.clone()
    row, column = y[0], y[:, 0]
    y.zero_()
    row.add_(1)
    return y, row, column


def f_setitem(x, y):
    x[1:, ::2] = 5
    x[0] = y[0]
    x[..., -1] = y[:, 0] * 2
    return x


def f_setitem_lists(x, y):
    z = x.clone()
    z[[0, 2]] = y[:2]
    z[:, [1, 3]] = 0.0
    return z


def f_setitem_tensor(x, i, y):
    x[i] = y[:2]
    return x * 1


def f_setitem_number_tensor(x, i, y):
    z = x.clone()
    z[i] = y[0]
    z[i, 1:] = 2.5
    z[:, i] = y[:, 0]
    z[i, i] += 1
    return z


def f_write_picked(x, i):
    row = x[i]
    row += 1
    x[:, i].mul_(3)
    return row * 1, x[i, i] + 0


def f_mask(x):
    x[x > 0] = -1.0
    return x


def f_mask_rows(x, m):
    y = x.clone()
    y[m] = 0
    return y


def f_inplace_chain(x):
    y = x.exp()
    y += 1
    y *= x
    y -= 0.5
    y /= 2
    return y.relu_().clamp_(max=3).neg_()


def f_inplace_dtype(x):
    y = x.long()
    y += 1
    y.mul_(2)
    return y


def f_copy(x, y):
    x.copy_(y[0])
    return x


def f_copy_strided(x, y):
    z = x.t() + 0
    z.copy_(y.t())
    return z, z[0]


def f_transposed_buffer(x):
    y = torch.zeros(4, 3).t()
    y[0] = x[0]
    y[1:].add_(x[1:])
    return y


def f_diagonal(x):
    y = torch.zeros(4, 4)
    y.diagonal().copy_(x[0])
    y.diagonal(1).fill_(2)
    return y


def f_unsqueezed(x):
    y = x.clone()
    y.unsqueeze(1).add_(1)
    y.squeeze().mul_(2)
    y.flatten().sub_(1)
    y.permute(1, 0)[2].zero_()
    y.unflatten(1, (2, 2))[:, 0, 0] = 9
    return y


def f_split(x):
    a, b = x.split(2, 1)
    a.add_(b)
    return x


def f_out(x, y):
    z = torch.empty_like(x)
    torch.add(x, y, out=z)
    torch.mul(z, 2, out=z)
    return z


def f_scatter(x, i):
    y = x.clone()
    y.scatter_(1, i, 9.0)
    y.index_fill_(0, i[:, 0], 1.0)
    y.masked_fill_(y > 5, 0)
    return y


def f_index_put(x, i):
    x.index_add_(0, i, torch.ones(2, 4))
    x.index_put_((i,), torch.zeros(2, 4))
    return x


def f_return_input_twice(x):
    x.add_(1)
    return x, x, [x]


def f_argument_list(xs):
    xs[0].add_(1)
    xs.append(xs[0] * 2)
    return xs[1] + xs[2]


def f_data(x):
    x.data.add_(1)
    return x


def f_triangle(x):
    return torch.tril(x).t(), x.triu_()


CASES = [
    (f_views_of_input, X), (f_views_of_result, X), (f_only_a_view, X), (f_same_object, X), (f_write_input, X, Y),
    (f_write_input, X.t(), Y.t()), (f_write_through_view, X), (f_views_see_writes, X), (f_setitem, X, Y),
    (f_setitem_lists, X, Y), (f_setitem_tensor, X, torch.tensor([2, 0]), Y),
    (f_setitem_number_tensor, X, torch.tensor(1), Y), (f_write_picked, X, torch.tensor(2)), (f_mask, X), (f_mask_rows, X, torch.tensor([True, False, True])),
    (f_inplace_chain, X), (f_inplace_dtype, X), (f_copy, X, Y), (f_copy_strided, X, Y), (f_transposed_buffer, X),
    (f_diagonal, X), (f_unsqueezed, X), (f_split, X), (f_out, X, Y), (f_scatter, X, torch.tensor([[0], [2], [1]])),
    (f_index_put, X, torch.tensor([2, 0])), (f_return_input_twice, X), (f_argument_list, [X, Y]), (f_data, X),
    (f_triangle, randn(4, 4)), (f_views_of_input, X[1:, :].t().t()),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{c[0].__name__}-{k}" for k, c in enumerate(CASES)])
def test_aliasing(case):
    fn, *args = case
    check(fn, *args)


def test_one_object_in_two_places():
    """One tensor passed twice is one tensor; passed as two, they are two again."""

    def fn(x, y):
        x.add_(1)
        return x + y

    function = compiled(fn)
    x = randn(3)
    with torch.no_grad():
        same = x.clone()
        assert torch.equal(function(same, same), (x + 1) * 2)
        assert torch.equal(function(x.clone(), x), x + 1 + x)


def test_overlapping_inputs_are_refused_when_written():
    def fn(x, y):
        x.add_(1)
        return y * 2

    base = randn(6)
    with torch.no_grad(), pytest.raises(quern.errors.Unsupported, match="shares") as error:
        compiled(fn)(base[:4], base[2:])
    assert error.value.code == "aliased-input-write"


def test_overlap_that_appears_later_is_noticed():
    def fn(x, y):
        x.add_(1)
        return y * 2

    function = quern.compile(fn, backend="eager")
    base = randn(6)
    with torch.no_grad():
        assert torch.equal(function(base[:3].clone(), base[3:]), base[3:] * 2)
        expected = base.clone()
        expected[:3] += 1
        assert torch.equal(function(base[:3], base[:3].view(3)), expected[:3] * 2)


@pytest.mark.parametrize(
    ("fn", "code"),
    [
        (lambda x: x.expand(2, 3).add_(1), "write-through-view"),
        (lambda x: x.unsqueeze_(0), "unsupported-inplace"),
        (lambda x: x.resize_(1), "unsupported-inplace"),
    ],
)
def test_writes_that_break(fn, code):
    with torch.no_grad(), pytest.raises(quern.errors.Unsupported) as error:
        compiled(fn)(randn(3))
    assert error.value.code == code
    assert "test_torch_aliasing.py" in str(error.value)


def test_errors_of_the_program_are_eagers_own():
    """A shape that eager refuses raises eager's own error."""

    def fn(x, y):
        return x @ y

    with torch.no_grad(), pytest.raises(RuntimeError, match="mat1 and mat2 shapes"):
        quern.compile(fn, backend="eager")(randn(2, 3), randn(2, 3))


def test_inplace_that_needs_a_higher_kind_is_eagers_error():
    def fn(x):
        x += 1.5
        return x

    with torch.no_grad(), pytest.raises(RuntimeError, match="can't be cast"):
        quern.compile(fn, backend="eager")(torch.arange(3))


# ---------------------------------------------------------------- pieces that autograd takes for tensors of their own


def loose_pieces_are_read(x):
    y = x * 2
    v, w = torch.unsafe_chunk(y, 2)
    return v._is_view(), v._base is None, v[1:]._is_view(), v, w[1:], v.sum() + 2 * w.sum(), y


def loose_pieces_are_written(x):
    y = x * 2
    v, w = y.unsafe_split(2)
    v.mul_(3)
    return v, w, y, v.sum() + w.sum() + y.sum()


def under_loose_pieces_is_written(x):
    y = x * 2
    v, w = torch.unsafe_split_with_sizes(y, [1, 3])
    y.mul_(3)
    return v, y, v.sum() + w.sum() + y.sum()


def loose_pieces_of_an_input(x):
    v, w = torch.unsafe_split(x, 2)
    u = v[1:]
    u.add_(1)
    return v, w, u, x.sum()


LOOSE = [loose_pieces_are_read, loose_pieces_are_written, under_loose_pieces_is_written, loose_pieces_of_an_input]


@pytest.mark.parametrize("f", LOOSE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("grad", [False, True], ids=["no gradients", "gradients"])
def test_loose_pieces_are_no_views_to_autograd(f, grad):
    def outcome(call):
        leaf = torch.arange(4.0).requires_grad_(grad)
        x = leaf * 1
        *rest, total = sorted(call(x), key=lambda r: isinstance(r, torch.Tensor) and not r.ndim)
        if grad:
            total.backward()
        facts = [(r.tolist(), r._version, r._is_view(), r.is_leaf) if isinstance(r, torch.Tensor) else r for r in rest]
        return facts, total.item(), leaf.grad, x._version, x.tolist()

    got, want = outcome(quern.compile(f)), outcome(f)
    assert str(got) == str(want)
