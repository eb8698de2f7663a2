"""Indices out of range are errors in compiled code too, and what is known to be in range costs no check."""

from __future__ import annotations

import pytest
from quern.inductor import dtypes
from quern.inductor.bounds import interval
from quern.inductor.checks import check_requirements
from quern.inductor.graph import ExternRef, Input
from quern.inductor.ops import OPS
from schedule_support import builder, tensor

torch = pytest.importorskip("torch")

import quern  # noqa: E402


def checks(b, *outputs):
    b.graph.outputs = list(outputs)
    return sum(n.op.name == "any" for n in check_requirements(b.graph, OPS).nodes)


def test_what_the_graph_knows_is_not_checked():
    b = builder()
    weight = tensor(b, (16, 4))
    assert checks(b, b.embedding(b.arange(start=0, end=16, step=1), weight)) == 0
    assert checks(b, b.embedding(b.arange(start=0, end=17, step=1), weight)) == 1
    tokens = tensor(b, (3,), dtypes.int64)
    assert interval(tokens) is None
    assert checks(b, b.embedding(tokens, weight)) == 2  # the graph also holds the longer arange


CASES = {
    "embedding": (lambda w, i: torch.nn.functional.embedding(i, w), [9]),
    "embedding negative": (lambda w, i: torch.nn.functional.embedding(i, w), [-1]),
    "index": (lambda w, i: w[i], [8]),
    "index negative": (lambda w, i: w[i], [-9]),
    "index_select": (lambda w, i: w.index_select(0, i), [8]),
    "gather": (lambda w, i: w.gather(0, i[:, None]), [8]),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", CASES)
def test_out_of_range_raises_as_eager(name):
    f, bad = CASES[name]
    weight, good = torch.randn(8, 4), torch.tensor([0, 7, 3])
    compiled = quern.compile(f)
    with torch.no_grad():
        torch.testing.assert_close(compiled(weight, good), f(weight, good))
        wrong = torch.tensor([0, *bad, 1])
        with pytest.raises((IndexError, RuntimeError)) as eager:
            f(weight, wrong)
        with pytest.raises(type(eager.value), match="out of (range|bounds)"):
            compiled(weight, wrong)
        if name == "index":
            torch.testing.assert_close(compiled(weight, torch.tensor([0, -1, -8])), weight[[0, 7, 0]])


@pytest.mark.torch
def test_an_expanded_index_is_checked():
    weight, row = torch.randn(8, 4), torch.tensor([[0, 7, 3]])
    f = quern.compile(lambda w, i: torch.nn.functional.embedding(i.expand(2, 3), w))
    with torch.no_grad():
        torch.testing.assert_close(f(weight, row), weight[row.expand(2, 3)])


@torch.library.custom_op("quern_bounds::my_indices", mutates_args=())
def my_indices(x: torch.Tensor) -> torch.Tensor:
    return torch.full((2,), 9, dtype=torch.int64)


@my_indices.register_fake
def _(x):
    return x.new_empty(2, dtype=torch.int64)


@pytest.mark.torch
@pytest.mark.parametrize("take", [lambda x, i: x[i], lambda x, i: x.index_select(0, i), lambda x, i: x[:, i]])
def test_the_name_of_an_operator_says_nothing_of_its_indices(take):
    def f(x):
        return take(x, my_indices(x)) * 2

    x = torch.randn(4, 4)
    with pytest.raises((IndexError, RuntimeError)) as eager:
        f(x)
    with torch.no_grad(), pytest.raises(type(eager.value), match="out of (range|bounds)"):
        quern.compile(f)(x)


def test_an_index_that_was_checked_is_not_checked_again():
    b = builder()
    weight, tokens = tensor(b, (16, 4)), tensor(b, (3,), dtypes.int64)
    ref = ExternRef("numpy:copy", (Input(0),))

    def call(below):
        return b.append(OPS["extern"], [tokens], {"ref": ref, "below": below}, tokens.meta)

    assert checks(b, b.embedding(b.restride(call(16), stride=(1,)), weight)) == 0
    assert checks(b, b.embedding(call(17), weight)) == 1
    assert checks(b, b.embedding(call(None), weight)) == 2


def test_bounds_of_shared_operands_are_found_once_and_wrap_around_nowhere():
    b = builder()
    doubled = b.arange(start=0, end=4, step=1)
    for _ in range(60):
        doubled = b.add(doubled, doubled)
    assert interval(doubled) == (0, 3 << 60)
    assert interval(b.add(doubled, doubled)) == (0, 3 << 61)
    assert interval(b.mul(doubled, b.scalar(value=8))) is None
    narrow = b.cast(b.arange(start=0, end=200, step=1), dtype=dtypes.int8)
    assert interval(narrow) is None
