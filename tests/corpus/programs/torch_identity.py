"""Which object is which, where it lies, how often it was written to, and objects that are given other memory."""

# ruff: noqa
# mypy: ignore-errors

import torch
from registry import Expect
from torch_values import on_torch, randn

program = on_torch(__name__)


@program(expect=Expect.WHOLE)
def seen_by_address(x):
    y = x * 2
    seen = {id(y)}
    z = y + 1
    again = y
    return y * 3 if id(z) in seen else y * 4, id(again) in seen, len({id(y), id(z), id(again)})


@program(expect=Expect.WHOLE)
def numbered_by_address(x):
    parts = [x * i for i in range(3)]
    numbers = {}
    for part in parts + parts:
        numbers.setdefault(id(part), len(numbers))
    lists = [x], [x]
    return (
        [part * numbers[id(part)] for part in parts],
        id(lists[0]) == id(lists[1]),
        {id(lists[0]): 1}.get(id(lists[0])),
    )


def _one_or_two(call):
    x = randn(3)
    return (x, x if call == 1 else randn(3))


@program(args=_one_or_two, calls=3)
def addresses_of_arguments(x, y):
    return x * 2 if id(x) == id(y) else x * 3, id(x) != None


@program
def addresses_as_numbers(x):
    y = x * 2
    return str(id(y)).isdigit(), id(y) % 8, f"{id(x)}".isdigit(), id(y) > 0


CACHE = {}


@program(state=("CACHE",), args=lambda: (KEPT,), calls=3)
def cached_by_address(x):
    if id(x) in CACHE:
        return CACHE[id(x)] + 100
    CACHE[id(x)] = x * 2
    return CACHE[id(x)]


KEPT = torch.arange(3.0)


@program
def which_of_the_two_it_is(x):
    a, b = x.sum(), x.mean()
    m = max(a, b)
    return a * 2 if m is a else b, m is b, id(m) == id(a)


@program
def marks_on_the_larger(x):
    a, b = x.sum(), x.mean()
    m = max(a, b)
    m.mark = 1
    return hasattr(a, "mark"), hasattr(b, "mark"), {m: 1}.get(a, 2)


@program(expect=Expect.WHOLE)
def the_larger_of_one_element(x):
    return max(x[:1, :1], x[1:2, 1:2]) + 1, min(x[0, :1], x[1, 1:2])


@program(expect=Expect.WHOLE)
def counted_writes(x):
    counts = [x._version]
    x.add_(1)
    counts.append(x._version)
    x[0] += 1
    row = x[0]
    row.mul_(2)
    counts.append((x._version, row._version))
    past = x.data
    past.add_(1)
    counts.append((past._version, x._version))
    y = x * 2
    y[0] = y[1]
    y.detach().zero_()
    return counts, y._version


# counts begin anew behind a break where gradients are recorded
@program(grad=True, args=lambda: (randn(3).requires_grad_(),), known=("cut",))
def counted_where_gradients_are_recorded(x):
    y = x * 2
    y.add_(1)
    y[0] = 3.0
    v = y.view(3, 1)
    v.mul_(2)
    return y, y._version, v._version, x._version


@program
def counts_of_what_operators_write(x):
    y = torch.nn.functional.pad(x[None], (1, 1), mode="circular")
    z = torch.nn.functional.margin_ranking_loss(x, x + 1, x.sign(), reduction="none")
    return y._version, z._version, x.isclose(x)._version, x.unsqueeze_(0)._version


@program(expect=Expect.WHOLE)
def where_they_lie(x):
    y = x * 2
    v = y.view(-1)
    return (
        y.data_ptr() == v.data_ptr(), y.data_ptr() == y[1].data_ptr(), y.data_ptr() != y.clone().data_ptr(),
        y.contiguous().data_ptr() == y.data_ptr(), y.t().contiguous().data_ptr() == y.data_ptr(),
        x.detach().data_ptr() == x.data_ptr(), y.untyped_storage().data_ptr() == y[1].untyped_storage().data_ptr(),
        x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr(),
    )  # fmt: skip


def _in_one_memory(call):
    x = randn(4)
    return (x, (randn(4), x, x[1:], x.view(2, 2))[call])


@program(args=_in_one_memory, calls=4)
def where_arguments_lie(x, y):
    return x * 2 if x.data_ptr() == y.data_ptr() else x * 3


@program
def addresses_of_memory_as_numbers(x):
    y = x * 2
    return (
        y,
        y.data_ptr() % 4,
        y.data_ptr() == 0,
        x[:0].data_ptr() == torch.empty(0).data_ptr(),
        x.untyped_storage().nbytes(),
    )


# whether it is a view is not known any more behind a break
@program(expect=Expect.WHOLE, known=("cut",))
def given_other_memory(x):
    y = x * 2
    z = torch.zeros(3)
    z.data = y.t()[:, 0]
    z.add_(1)
    w = torch.zeros(2)
    w.data = torch.ones(4, 5) * x.sum()
    return y, z, z._version, w, w.shape, z._is_view(), z._base


@program(expect=Expect.WHOLE)
def set_to_other_memory(x):
    y = x * 2
    z, e = torch.zeros(2), torch.ones(3)
    z.set_(y[1])
    z.add_(1)
    e.set_()
    return y, z, z._version, e, e.numel()


@program(expect=Expect.WHOLE)
def an_argument_given_other_memory(x):
    y = torch.ones(2)
    x.add_(1)
    x.data = y
    x.add_(1)
    return x, y, x + 1


@program
def given_other_memory_before_a_break(x):
    y, z = x + 1, torch.zeros(2)
    z.data = y
    x.data = y * 2
    torch._dynamo.graph_break()
    z.add_(1)
    x.add_(1)
    return x, y, z


@program(expect=Expect.WHOLE)
def given_other_memory_with_views(x):
    z = torch.zeros(3, 4)
    v = z[0]
    z.data = x * 3
    v.add_(1)
    return z, v


@program
def given_its_own_memory(x):
    y = x * 2
    y.data = y
    y.add_(1)
    y.set_(y)
    return y


@program
def given_memory_of_another_type(x):
    z = torch.zeros(2)
    try:
        z.data = torch.ones(4, dtype=torch.int64)
    except RuntimeError:
        return "refused"
    return z


@program
def swapped_memory(x):
    y, z = x * 2, x + 1
    y.data, z.data = z.data, y.data
    return y, z


@program(grad=True, args=lambda: (randn(3).requires_grad_(),))
def memory_given_past_autograd(x):
    z = torch.zeros(2)
    z.data = x * 2
    out = z + x
    x.data = torch.ones(3)
    return z, out, (x * 2).sum()


@program
def marks_stay_with_the_object(x):
    x.mark = 3
    x.data = torch.ones(2)
    return x.mark, hasattr(x, "other"), x


@program
def both_arguments_are_one(x):
    def one(a, b):
        a.data = torch.ones(3)
        return b * 2

    return one(x, x)


class Smoothed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.weight = torch.nn.Parameter(torch.ones(4))

    def forward(self, x):
        self.mean.data = self.mean * 0.5 + x.sum(0)
        return self.mean * x * self.weight


class Halved(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(4))

    def forward(self, x):
        self.weight.data = self.weight.data * 0.5
        return x * self.weight


@program.maker(calls=3)
def a_weight_given_other_memory():
    return Halved()


@program.maker(calls=3)
def a_buffer_given_other_memory():
    return Smoothed()


@program(args=lambda call: (torch.arange(8.0 + 2 * call),), calls=3)
def split_in_half(x):
    a, b = x.split(x.shape[0] // 2)
    return a + b


@program(args=lambda call: (torch.arange(9.0 + call), 9 + call), calls=4)
def split_by_an_argument(x, n):
    return [p.sum() for p in x.split(n // 3)], [p.shape for p in x.split((n + 1) // 2)]


@program(args=lambda call: (torch.arange(4.0 + call * 3), call), calls=3)
def split_into_nothing(x, n):
    return x[:n].split(2), x[:0].split(n + 1)
