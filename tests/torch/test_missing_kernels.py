"""Types for which the framework has no kernel are refused as it refuses them, whatever a row could compute."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import quern

INTS = torch.tensor([[3, 1, 2, 0], [1, 0, 1, 4], [2, 2, 0, 1]])
FLOATS = torch.tensor([[0.5, 1.0, 2.0, 0.0], [1.0, 0.25, 1.0, 4.0], [2.0, 2.0, 0.0, 1.0]])
TRUTHS = INTS > 1
COMPLEX = INTS.to(torch.complex64)

REFUSED = {
    "median of complex numbers": (lambda x: x.median(-1).values, COMPLEX),
    "median of all complex numbers": (lambda x: x.median(), COMPLEX),
    "kthvalue of complex numbers": (lambda x: torch.kthvalue(x, 1).values, COMPLEX),
    "mode of complex numbers": (lambda x: torch.mode(x).values, COMPLEX),
    "a max pool of integers in 1d": (lambda x: F.max_pool1d(x[None], 2), INTS),
    "an adaptive pool of integers": (lambda x: F.adaptive_avg_pool2d(x[None], 2), INTS),
    "a pool of truth values": (lambda x: F.max_pool2d(x[None, None], 2), TRUTHS),
    "group norm of integers": (lambda x: F.group_norm(x, 1), INTS),
    "layer norm of integers": (lambda x: F.layer_norm(x, (4,)), INTS),
    "gelu of integers": (lambda x: F.gelu(x), INTS),
    "softplus of integers": (lambda x: F.softplus(x), INTS),
    "softmax of integers": (lambda x: torch.softmax(x, 0), INTS),
    "a target that cannot hold its loss": (lambda x, y: F.binary_cross_entropy_with_logits(x, y), FLOATS, INTS),
    "minus of truth values": (lambda x: x - x, TRUTHS),
    "the same after a write": (lambda x: x.clone().mul_(True) - x, TRUTHS),
    "sort of complex numbers": (lambda x: x.sort(0).values, COMPLEX),
}  # fmt: skip


def outcome(fn, args):
    try:
        return fn(*args)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_no_kernel_is_for(name, backend):
    fn, *args = REFUSED[name]
    want = outcome(fn, args)
    assert isinstance(want, tuple), want
    compiled = quern.compile(fn, backend=backend)
    assert outcome(compiled, args) == want
    assert outcome(compiled, args) == want


@pytest.mark.parametrize("sizes", [(30, 40, 50), (300, 400)])
def test_large_tensors_are_refused_by_small_ones(sizes):
    ints = torch.ones(sizes, dtype=torch.int64)

    def pooled(x):
        return F.max_pool1d(x if x.ndim == 3 else x[None], 2)

    def loss(x, y):
        return F.binary_cross_entropy_with_logits(x, y)

    for fn, args in ((pooled, [ints]), (loss, [ints.float(), ints])):
        want = outcome(fn, args)
        assert isinstance(want, tuple)
        assert outcome(quern.compile(fn), args) == want


def test_the_error_is_the_programs_own():
    seen = []

    def program(x, y):
        seen.append("before")
        x.add_(1)
        try:
            return F.group_norm(y, 1)
        except NotImplementedError as error:
            return x, str(error)

    for fn in (program, quern.compile(program)):
        x = torch.zeros(3)
        _, text = fn(x, INTS)
        assert "not implemented for 'Long'" in text
        assert x.tolist() == [1.0, 1.0, 1.0]
    assert seen == ["before"] * 2


def test_asking_is_not_noticed():
    """Neither by random numbers, nor by warnings, nor by a mode over the program's functions."""

    def program(x):
        return F.dropout(x, 0.5, True), torch.rand(3), torch.bernoulli(x), torch.randn_like(x)

    x = torch.full((3, 4), 0.5, dtype=torch.bfloat16)
    results = []
    for fn in (program, quern.compile(program)):
        torch.manual_seed(3)
        results.append((*fn(x), torch.rand(4)))
    for want, got in zip(*results):
        assert torch.equal(want, got)


def test_refused_sizes_say_nothing_of_types():
    """A call that is refused for its sizes leaves later ones of its types compiled."""

    def program(x):
        return F.layer_norm(x, (4,)) + F.gelu(x)

    compiled = quern.compile(program, fullgraph=False)
    with pytest.raises(RuntimeError, match="normalized_shape"):
        compiled(torch.ones(3, 5, dtype=torch.bfloat16))
    quern.reset()
    x = FLOATS.bfloat16()
    torch.testing.assert_close(quern.compile(program, fullgraph=True)(x), program(x))


def test_shapes_that_do_not_broadcast():
    def program(a, b):
        return a.broadcast_to(torch.broadcast_shapes(a.shape, b.shape))

    args = torch.ones(3, 4), torch.ones(12)
    for dynamic in (None, True):
        assert outcome(quern.compile(program, dynamic=dynamic), args) == outcome(program, args)


@pytest.mark.parametrize("dim", [None, 0])
def test_deviations_over_the_whole_range_of_a_bfloat16(dim):
    largest = torch.finfo(torch.bfloat16).max
    x = torch.tensor([[largest, 1.0], [1.0, 4.0], [2.0, largest]], dtype=torch.bfloat16)

    def program(x):
        return x.std(dim), torch.std_mean(x, dim), x.var(dim)

    torch.testing.assert_close(quern.compile(program)(x), program(x))
