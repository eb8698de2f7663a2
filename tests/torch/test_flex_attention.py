"""flex_attention: the functions that change and mask scores are mapped over them, in the graph."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch_checks import compare, compiled

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
