"""Programs whose graphs are compared with torch.compile's: (function, arguments of each call), by name.

Arguments are made anew for each side. A class with `forward` is a module: it is made under one seed for each side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

PROGRAMS: dict[str, tuple[Any, list[Callable[[], tuple[Any, ...]]]]] = {}


def program(*calls: Callable[[], tuple[Any, ...]]) -> Callable[[Any], Any]:
    def add(function: Any) -> Any:
        PROGRAMS[function.__name__] = function, list(calls)
        return function

    return add


def _x(*shape: int) -> torch.Tensor:
    return torch.linspace(-2, 3, max(1, torch.Size(shape).numel())).reshape(shape)


def _w(*shape: int) -> torch.Tensor:
    return _x(*shape).requires_grad_()


@program(lambda: (_x(4, 3),))
def pointwise(x):
    return torch.sin(x) + x.cos() * 2


@program(lambda: (_x(4, 3),))
def a_view_alone(x):
    return x.view(-1)


@program(lambda: (_x(4, 3),))
def a_transposition_alone(x):
    return x.t()


@program(lambda: (_x(4, 3),))
def a_cast_alone(x):
    return x.to(torch.float64)


@program(lambda: (_x(4, 3),))
def a_cast_to_what_it_is(x):
    return x.to(torch.float32)


@program(lambda: (_x(4, 3),))
def detached(x):
    return x.detach()


@program(lambda: (_x(4, 3),))
def an_item(x):
    return x[1]


@program(lambda: (_x(4, 3),))
def nothing(x):
    return x


@program(lambda: (_x(4, 3),))
def shapes_alone(x):
    return x.shape, x.dim(), x.dtype, x.numel()


@program(lambda: (3, "a"))
def no_tensors(n, text):
    return [n] * 2, text.upper()


@program(lambda: (_x(4, 3),))
def a_result_nobody_needs(x):
    x + 1
    return 5


@program(lambda: (_x(4, 3),))
def written_in_place(x):
    x.add_(1)
    return x


@program(lambda: (_x(4, 3),))
def augmented(x):
    x *= 2
    x += 1
    return x.sum()


@program(lambda: (_x(4, 3),))
def stored_into(x):
    x[0] = 7
    x[:, 1] += 1


@program(lambda: (_x(4, 3),))
def written_through_a_view(x):
    y = x.view(-1)
    y[3] = 0
    return x * 2, y


@program(lambda: (_x(4, 3),))
def two_views_of_one(x):
    y = x + 1
    return y[0], y[1:], y


@program(lambda: (_x(4, 3),))
def several_results(x):
    a, b = x.max(dim=1)
    return a, b, x.split(2), torch.unbind(x, 1)


@program(lambda: (_x(4, 3),))
def created_inside(x):
    return torch.zeros(3) + x, torch.arange(4), x.new_ones(2)


@program(lambda: (_x(4, 3), _x(4, 3)))
def a_break_between(x, y):
    a = x + 1
    torch._dynamo.graph_break()
    return a * y


@program(lambda: (_x(4, 3),))
def a_branch_on_data(x):
    if x.sum() > 0:
        return x - 1
    return x + 1


@program(lambda: (_x(4, 3),))
def printing(x):
    y = x * 2
    print("between")
    return y + 1


@program(lambda: (_x(4, 3),), lambda: (_x(5, 3),), lambda: (_x(7, 3),))
def sizes_that_change(x):
    return x.reshape(x.shape[0] * 3) + x.shape[0]


@program(lambda: (_x(4, 3), 2), lambda: (_x(4, 3), 5), lambda: (_x(4, 3), 9))
def a_number_that_changes(x, n):
    return x * n


@program(lambda: (_w(4, 3),))
def with_gradients(x):
    return (x.exp() * x).sum()


@program(lambda: (_w(4, 3),))
def without_gradients_inside(x):
    y = x * 2
    with torch.no_grad():
        z = y * 3
    return y + z


@program(lambda: (_x(4, 4),))
def under_autocast(x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return x @ x


@program(lambda: ([_x(2), _x(2)], {"a": _x(2)}))
def containers(xs, named):
    xs.append(xs[0] + xs[1])
    named["b"] = named["a"] * 2
    return xs, named


@program(lambda: (_x(4, 3),))
def a_closure(x):
    def scaled(y):
        return y * x

    return scaled(x + 1) - scaled(x)


@program(lambda: (_x(4, 3),))
def a_loop(x):
    for i in range(3):
        x = x + i
    return x


@program(lambda: (_x(4, 3),))
def functions_of_nn(x):
    return F.softmax(F.gelu(x), dim=-1), F.layer_norm(x, (3,)), F.relu(x), F.pad(x, (1, 1))


@program(lambda: (_x(4, 3), _x(3, 5)))
def products(x, y):
    return x @ y, torch.matmul(x, y), torch.einsum("ij,jk->ik", x, y), torch.addmm(torch.ones(5), x, y)


@program(lambda: (_x(4, 3),))
def written_out(x):
    out = torch.empty(4, 3)
    torch.add(x, 1, out=out)
    return out


@program(lambda: (_x(4, 3),))
def comparisons(x):
    return torch.where(x > 0, x, -x), (x == 0) | (x != 1), ~(x < 2)


@program(lambda: (_x(4, 3), torch.tensor([0, 2])))
def indexing(x, i):
    return x[i], x[..., 1], x[None], x[1:3, ::2], x.index_select(0, i), x.gather(1, torch.zeros(4, 1, dtype=torch.long))


@program(lambda: (_x(4, 3),))
def shuffled(x):
    return torch.cat([x, x]), torch.stack([x, x], 1), x.permute(1, 0), x.unsqueeze(0), x.expand(2, 4, 3), x.flatten()


@program(lambda: (_x(2),))
def a_try(x):
    try:
        y = x + 1
    except ValueError:
        y = x
    return y


@program(lambda: (_x(4, 3),), lambda: (_x(4, 3).double(),))
def another_dtype(x):
    return x + 1


@program(lambda: (_x(4, 3),))
class a_linear_model(nn.Module):  # noqa: N801 - the name of a program
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 5), nn.Linear(5, 2)

    def forward(self, x):
        return self.second(self.first(x).relu())


@program(lambda: (_x(2, 3, 8, 8),))
class a_convolution(nn.Module):  # noqa: N801
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))

    def forward(self, x):
        return self.layers(x).mean((2, 3))


@program(lambda: (torch.tensor([[1, 2], [3, 0]]),))
class an_embedding(nn.Module):  # noqa: N801
    def __init__(self):
        super().__init__()
        self.table, self.norm = nn.Embedding(5, 4), nn.LayerNorm(4)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, i):
        self.seen += 1
        return self.norm(self.table(i)) * self.seen


@program(lambda: (_x(2, 5, 8),))
class attention(nn.Module):  # noqa: N801
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        q, k, v = (part(x).view(2, 5, 2, 4).transpose(1, 2) for part in (self.q, self.k, self.v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(2, 5, 8)
