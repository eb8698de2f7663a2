"""flex_attention: the functions that change and mask scores are mapped over them, in the graph. Kernels that the program chooses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch_checks import compare, compiled

import quern

SLOPES, RELATIVE = torch.linspace(0, 1, 4), torch.linspace(-1, 1, 31)
DOCUMENTS, LENGTHS = torch.tensor([0] * 6 + [1] * 10), torch.tensor([0, 9])


def biased(score, b, h, i, j):
    return score + SLOPES[h] * (i - j) + RELATIVE[i - j + 15]


def same_document(b, h, i, j):
    return (DOCUMENTS[i] == DOCUMENTS[j]) & (i >= j)


def masked(function, batches=None):
    return create_block_mask(function, batches, None, 16, 16, device="cpu")


OUTSIDE = masked(lambda b, h, i, j: j < LENGTHS[b], 2)

PROGRAMS = {
    "plain": flex_attention,
    "scores": lambda q, k, v: flex_attention(q, k, v, score_mod=biased),
    "capped": lambda q, k, v: flex_attention(q, k, v, score_mod=lambda s, b, h, i, j: 3 * torch.tanh(s / 3)) + 1,
    "mask made inside": lambda q, k, v: flex_attention(q, k, v, block_mask=masked(same_document)),
    "mask from outside": lambda q, k, v: flex_attention(q, k, v, block_mask=OUTSIDE, return_lse=True),
    "few keys": lambda q, k, v: flex_attention(q, k[:, :2], v[:, :2], score_mod=biased, enable_gqa=True, scale=0.3),
    "transposed": lambda *qkv: flex_attention(*(t.transpose(1, 2).contiguous().transpose(1, 2) for t in qkv)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_in_one_graph(name):
    function = compiled(PROGRAMS[name])
    for seed in (0, 1):
        torch.manual_seed(seed)
        given = [torch.randn(2, 4, 16, 8) for _ in range(3)]
        compare(PROGRAMS[name](*given), function(*given))
    assert len(function.entries) == 1


def test_a_size_that_changes():
    function = compiled(PROGRAMS["scores"])
    for batches in (2, 3, 5):
        given = [torch.randn(batches, 4, 16, 8) for _ in range(3)]
        compare(PROGRAMS["scores"](*given), function(*given))
    assert len(function.entries) == 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_types(dtype):
    for autocast in (False, True):
        given = [torch.randn(2, 4, 16, 8, dtype=dtype) for _ in range(3)]
        with torch.autocast("cpu", enabled=autocast):
            compare(PROGRAMS["scores"](*given), compiled(PROGRAMS["scores"])(*given))


# ------------------------------------------------------------ the choice of a kernel


def one(q):
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, q, q, is_causal=True)


def several(q):
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH], set_priority=True):
        x = F.scaled_dot_product_attention(q, q, q)
        with sdpa_kernel(backends=[SDPBackend.MATH]):
            y = F.scaled_dot_product_attention(q, q, q, dropout_p=1e-9)
    return x, y, F.scaled_dot_product_attention(q, q, q)


def the_same_again(q):
    """Leaving the innermost block gives back the choice of the one around it, whatever else was chosen outside."""
    with sdpa_kernel(SDPBackend.MATH), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        with sdpa_kernel(SDPBackend.MATH):
            x = F.scaled_dot_product_attention(q, q, q)
        return x, F.scaled_dot_product_attention(q, q, q)


def left_by_an_error(q):
    try:
        with sdpa_kernel(SDPBackend.MATH):
            raise ValueError
    except ValueError:
        return F.scaled_dot_product_attention(q, q, q)


def cast(q):
    with torch.autocast("cpu"), sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, q, q)


def kernels_of(result):
    """The nodes of autograd of what came out, which tell the kernels apart."""
    return [t.grad_fn.name() for t in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("program", [one, several, the_same_again, left_by_an_error, cast])
def test_a_chosen_kernel_runs(program, backend):
    function = compiled(program, backend=backend)
    q = torch.randn(2, 2, 8, 4, requires_grad=True)
    expected, found = program(q), function(q)
    assert kernels_of(found) == kernels_of(expected)
    with torch.no_grad():
        compare(program(q), function(q))
    assert torch.backends.cuda.flash_sdp_enabled()


def test_a_kernel_is_chosen_around_a_break():
    def program(q, chosen):
        with sdpa_kernel(chosen):
            x = F.scaled_dot_product_attention(q, q, q)
            quern.graph_break()
            y = F.scaled_dot_product_attention(q, q, q)
        return x, y, F.scaled_dot_product_attention(q, q, q)

    function = quern.compile(program, backend="eager")
    q = torch.randn(2, 2, 8, 4, requires_grad=True)
    for chosen in (SDPBackend.MATH, [SDPBackend.FLASH_ATTENTION]):
        assert kernels_of(function(q, chosen)) == kernels_of(program(q, chosen))


def test_a_backend_is_given_the_kernel_too():
    counter = quern.testing.CompileCounter()
    function = quern.compile(one, backend=counter)
    q = torch.randn(2, 2, 8, 4, requires_grad=True)
    assert kernels_of(function(q)) == kernels_of(one(q)) and counter.frame_count == 1
