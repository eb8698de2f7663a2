"""What depends on the data: item, tolist, branches, nonzero, unique, numpy, loops over tensors, and random numbers."""

# ruff: noqa
# mypy: ignore-errors

import numpy as np
import torch
import torch.nn.functional as F
from torch_values import on_torch, randn

program = on_torch(__name__)


@program
def item_scale(x):
    s = x.sum().item()
    return x * s


@program
def item_branch(x):
    if x.sum().item() > 0:
        return x + 1
    return x - 1


@program
def bool_branch(x):
    if (x > 0).all():
        return x
    elif (x > -100).any():
        y = x * 2
    else:
        y = x * 3
    return y + 1


@program
def conversions(x):
    n, f, b = int(x[0, 0] * 10), float(x[1, 1]), bool(x[2, 2] > 0)
    return x * f + n, b, complex(x[0, 1])


@program
def tolist(x):
    rows = (x * 10).long().tolist()
    return x + rows[0][0], len(rows)


@program
def while_on_tensor(x):
    n = 0
    while x.abs().sum() > 1:
        x = x / 2
        n += 1
    return x, n


@program(args=lambda: (torch.tensor([3, 0, 2]), randn(5)))
def loop_over_values(i, v):
    total = torch.zeros(())
    for k in i:
        total = total + v[k]
    return total


@program(args=lambda: (torch.tensor([3, 0, 2]), randn(5)))
def loop_over_items(i, v):
    total = torch.zeros(())
    for k in i.tolist():
        total = total + v[:k].sum()
    return total


@program
def loop_over_rows(x):
    out = []
    for row in x:
        out.append(row.softmax(0))
    return torch.stack(out), len(x)


@program
def nonzero(x):
    i = (x > 0).nonzero()
    return i, x[x > 0].sum()


@program
def nonzero_tuple(x):
    r, c = torch.nonzero(x > 0, as_tuple=True)
    return x[r, c], r.shape[0]


@program
def where_one_argument(x):
    r, c = torch.where(x > 0)
    return r + c


@program
def masked_select(x):
    y = torch.masked_select(x, x > 0)
    return y * 2, y.numel()


@program(args=lambda: (torch.tensor([3, 1, 3, 2, 1]),))
def unique(x):
    u, inverse, counts = torch.unique(x, return_inverse=True, return_counts=True)
    return u, inverse, counts, u[counts.argmax()]


@program(args=lambda: (torch.tensor([3, 1, 3, 2, 1]),))
def bincount(x):
    return torch.bincount(x), torch.unique_consecutive(x)


@program(args=lambda: (torch.tensor([1, 2, 3]), randn(3, 2)))
def repeat_interleave(n, x):
    return torch.repeat_interleave(x, n, dim=0)


@program
def tensor_in_list(x):
    a = x.sum()
    return a in [a], x + 1


@program
def equal(x, y):
    if torch.equal(x, y):
        return x
    if torch.allclose(x, x.clone()):
        return x + y
    return y


@program(args=lambda: (randn(6), torch.tensor(3)))
def data_dependent_slice(x, n):
    return x[:n], x[n:] * 2


@program(args=lambda: (randn(6), torch.tensor(3)))
def data_dependent_size(x, n):
    k = n.item()
    return torch.zeros(k), x[:k], torch.arange(k), x.new_ones(k, 2)


@program(args=lambda: (randn(6), torch.tensor([1, 2, 3])))
def data_dependent_split(x, sizes):
    return x.split(sizes.tolist())


@program(args=lambda: (randn(6), torch.tensor(2)))
def data_dependent_index(x, i):
    return x[i], x[i.item()], x[int(i) + 1]


@program
def format_of_tensor(x):
    s = f"{x.sum().item():.2f}"
    return x + len(s), s


@program
def repr_of_tensor(x):
    return str(x.shape), repr(x.dtype), x + 1


@program
def print_value(x):
    y = x * 2
    print("sum", y.sum().item())
    return y + 1


@program
def max_item_loop(x):
    best = None
    for i in range(x.shape[0]):
        v = x[i].max().item()
        if best is None or v > best:
            best = v
    return x * best


@program
def topk_threshold(x):
    k = max(1, int(0.5 * x.shape[1]))
    values, idx = x.topk(k, dim=1)
    return values, idx, torch.zeros_like(x).scatter(1, idx, values)


@program
def argmax_index(x):
    i = x.argmax()
    return x.view(-1)[i], x[x.sum(1).argmax()]


@program
def check_on_item(x):
    n = x.abs().sum().int().item()
    torch._check(n >= 0)
    return x + n


@program
def sorted_by_value(x):
    rows = sorted(x, key=lambda r: r.sum().item())
    return torch.stack(rows)


@program
def sum_builtin(x):
    return sum(x), sum(r.sum() for r in x), sum([x, x], torch.zeros(()))


@program
def conditional_expression(x):
    return x + 1 if x.mean() > 0 else x - 1


@program(args=lambda: (randn(3), torch.tensor(1.0)))
def and_or_on_tensors(x, s):
    return (x.sum() > 0 and s) if x is not None else (s or x)


@program(args=lambda: (torch.tensor(1.0),))
def not_tensor(s):
    return not (s > 0), s


# ------------------------------------------------------------------ random numbers


@program
def rand_family(x):
    torch.manual_seed(3)
    return torch.rand(2, 3), torch.randn(4), torch.randint(0, 9, (3,)), torch.randperm(5), x + 1


@program
def random_from_outside(x):
    return x + torch.rand_like(x), torch.randn_like(x), torch.bernoulli(torch.full((4,), 0.5)), torch.rand(3)


@program
def dropout(x):
    return F.dropout(x, 0.5), F.dropout(x, 0.5, training=False), F.dropout(x, 0.3, inplace=True)


@program
def multinomial(x):
    return torch.multinomial(x.softmax(-1), 2), torch.multinomial(x[0].exp(), 3, replacement=True)


@program
def normal(x):
    return torch.normal(0.0, 1.0, (3,)), torch.normal(x, 1.0), torch.normal(x, x.abs()), torch.normal(0.0, x.abs())


@program.maker
def generator():
    def fn(x):
        g = torch.Generator().manual_seed(7)
        return x + torch.rand(4, generator=g), torch.randn(3, generator=g)

    return fn


@program(args=lambda: (randn(3, 4), torch.Generator().manual_seed(1)))
def generator_argument(x, g):
    return x + torch.rand(4, generator=g), torch.randperm(4, generator=g)


@program
def fork_rng(x):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        a = torch.rand(3)
    b = torch.rand(3)
    return a, b, x + 1


@program
def rng_state(x):
    state = torch.get_rng_state()
    a = torch.rand(3)
    torch.set_rng_state(state)
    b = torch.rand(3)
    return a, b, x


@program
def random_after_break(x):
    a = torch.rand(3)
    torch._dynamo.graph_break()
    b = torch.rand(3)
    return a, b, x + a.sum()


@program.maker(args=lambda: (randn(3, 4),))
def dropout_module():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5), torch.nn.ReLU())


@program
def randint_low_high(x):
    return torch.randint(5, (2,)), torch.randint(2, 5, (2,)), torch.randint_like(x, 5), torch.randint(3, size=(2,))
