"""Functions with a cache (`functools.lru_cache`): what is in it decides, as in plain Python, and its counts are the same."""

from __future__ import annotations

import enum
import functools

import pytest
import torch
from torch import nn

import quern


class Level(enum.IntEnum):
    LOW = 1


class Size(enum.Enum):
    SMALL = 1


def _counting():
    @functools.lru_cache
    def more(n):
        return n + 1

    return more


def _around_a_break(more):
    def f(x):
        y = x * more(1)
        quern.graph_break()
        return y * more(1)

    return f


COUNTED = {
    "once": lambda more: lambda x: x * more(3),
    "several times": lambda more: lambda x: x * more(3) + more(3) + more(4),
    "around a break": _around_a_break,
    "in a loop": lambda more: lambda x: x * sum(more(i % 2) for i in range(5)),
    "of members": lambda more: lambda x: x * more(Level.LOW) * more(Level.LOW) * more(1),
    "of members by name": lambda more: lambda x: x * more(n=Level.LOW) * len(str(more(Size.SMALL.value))),
    "by name": lambda more: lambda x: x * more(n=2) * more(2),
}


@pytest.mark.parametrize("name", COUNTED)
def test_calls_are_counted_as_in_plain_python(name):
    def counts(wrap):
        more = _counting()
        call, seen = wrap(COUNTED[name](more)), []
        for _ in range(4):
            call(torch.ones(2))
            seen.append(more.cache_info())
        return seen

    with quern.config.patch(on_error="warn"):  # with "raise" the guards are asked once more, in order to check them
        assert counts(lambda f: quern.compile(f, backend="eager")) == counts(lambda f: f)


@functools.lru_cache
def _summed(t):
    return t.sum()


@functools.lru_cache
def _doubled(t):
    return t * 2


WEIGHT = torch.ones(3)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.k, self.w = 2, nn.Parameter(torch.ones(3))

    @functools.lru_cache  # noqa: B019
    def scale(self, n):
        return self.k * n

    @functools.cache  # noqa: B019
    def total(self):
        return self.w.detach().sum()

    def forward(self, x):
        return x * self.scale(3) + self.total()


@pytest.mark.parametrize("f", [
    lambda x: x * _summed(WEIGHT), lambda x: _doubled(x), lambda x: _doubled(x + 1) + _doubled(x + 1),
])  # fmt: skip
def test_what_was_kept_stays_when_the_argument_changes(f):
    def results(call):
        _summed.cache_clear(), _doubled.cache_clear()
        x, found = torch.ones(3), []
        WEIGHT.fill_(1)
        for _ in range(3):
            found.append(call(x).tolist())
            x.add_(1), WEIGHT.add_(1)
        return found

    assert results(quern.compile(f, backend="eager")) == results(f)


def test_cached_methods():
    def results(wrap):
        module, found = Scaled(), []
        call = wrap(module)
        with torch.no_grad():
            for _ in range(3):
                found.append(call(torch.ones(1)).item())
                module.k += 1
                module.w.add_(1)
            Scaled.scale.cache_clear(), Scaled.total.cache_clear()
            found.append(call(torch.ones(1)).item())
        return found

    assert results(lambda m: quern.compile(m, backend="eager", fullgraph=True)) == results(lambda m: m)
