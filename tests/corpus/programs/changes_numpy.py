"""Programs over tensors and NumPy's arrays that change one fact between two calls: layouts, types, aliases, what may be written."""

# ruff: noqa: B006, B023, B905, E731
# mypy: ignore-errors

from __future__ import annotations

import numpy as np
import torch
from registry import Topic

program = Topic(__name__)


def array(*shape):
    return torch.randn(*shape).numpy().copy()


def shared():
    x = torch.randn(4)
    return x, x.numpy()


def read_only(a):
    a.flags.writeable = False
    return a


@program.script
def a_tensor_written_and_an_array_read(c):
    def f(x, a):
        x.add_(1)
        return torch.from_numpy(a) * 2, a + 1

    f = c(f)
    for x, a in ((torch.randn(4), array(4)), shared(), (torch.randn(4), array(4)), shared()):
        yield f(x, a), x, a


@program.script
def an_array_written_and_a_tensor_read(c):
    def f(x, a):
        a += 1
        return x * 2

    f = c(f)
    for x, a in (shared(), (torch.randn(4), array(4)), shared(), (torch.randn(4), array(3))):
        yield f(x, a) if a.shape == (4,) else None, x, a


@program.script
def apart_in_one_memory(c):
    def f(x, a):
        a += 1
        return x * 2, torch.from_numpy(a)

    f = c(f)
    whole = torch.randn(8)
    yield f(torch.randn(4), array(4))
    yield f(whole[:4], whole[4:].numpy()), whole
    yield f(whole[2:6], whole[4:].numpy()), whole


@program.script
def what_may_be_written(c):
    f = c(lambda a, x: (torch.tensor(a) + x, np.sin(a)))

    def g(a, x):
        try:
            a[0] = 3
        except ValueError as error:
            return str(error), x - 1
        return x + 1

    g = c(g)
    x = torch.randn(4)
    for a in (array(4), read_only(array(4)), array(4), read_only(array(4))):
        yield f(a, x), g(a, x), a


@program.script
def layouts_and_types(c):
    f = c(lambda a: (torch.from_numpy(a) * 2, torch.as_tensor(a).stride(), np.exp(-a), torch.from_numpy(a[..., 0])))
    for a in (array(4, 3), array(3, 4).T, array(4, 6)[:, ::2], array(4, 3).astype(np.float64), array(4, 3).astype(np.float16),
              array(4, 3).astype(np.int32), array(2, 4, 3), np.broadcast_to(array(3), (4, 3)).copy()):  # fmt: skip
        yield f(a)


@program.script
def strides_that_tensors_do_not_have(c):
    def f(a):
        try:
            return torch.from_numpy(a) * 2
        except ValueError as error:
            return str(error)[:30]

    f = c(f)
    for a in (array(4), array(4)[::-1], array(4, 3)[:, ::-1], array(0)[::-1]):
        yield f(a)


@program.script
def gradients(c):
    def f(x):
        try:
            return x.numpy() * 2
        except RuntimeError as error:
            return str(error)

    f = c(f)
    a = torch.randn(3)
    yield f(a)
    yield f(a.clone().requires_grad_())
    with torch.no_grad():
        yield f(a.clone().requires_grad_())
        yield f(a.clone().requires_grad_() * 2)
    yield f(a.clone().requires_grad_().detach())


@program.script
def lazy_conjugates(c):
    def f(x):
        try:
            return x.numpy() * 2
        except RuntimeError as error:
            return str(error)

    f = c(f)
    z = torch.randn(3, dtype=torch.complex64)
    yield f(z)
    yield f(z.conj())
    yield f(torch.view_as_real(z)[..., 0])


@program.script
def held_array_written_between(c):
    held = np.arange(4, dtype=np.float32)
    f = c(lambda x: x * torch.from_numpy(held) + held.sum())
    x = torch.ones(4)
    yield f(x)
    held[1] = 50
    yield f(x)
    held += 1
    yield f(x)


@program.script
def floating_point_errors(c):
    f = c(lambda x: torch.from_numpy(np.log(x.numpy())) + 1)
    for handling in ("ignore", "raise", "ignore"):
        with np.errstate(all=handling):
            for x in (torch.tensor([1.0, 2.0]), torch.tensor([0.0, -1.0])):
                try:
                    yield f(x)
                except FloatingPointError as error:
                    yield str(error)
