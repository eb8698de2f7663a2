"""How a tensor lies in memory, where generated code reads it."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def laid_out(x: torch.Tensor, stride: Sequence[int]) -> torch.Tensor:
    """`x` with these strides, as its memory is read: itself, or a copy. What torch conjugates or negates only as it reads it is
    computed, and meta kernels do not always agree with real ones about strides.
    """
    if x.is_conj() or x.is_neg():
        x = x.resolve_conj().resolve_neg()
    if 0 in x.shape or all(have == want or n == 1 for n, have, want in zip(x.shape, x.stride(), stride)):
        return x
    return torch.empty_strided(x.shape, stride, dtype=x.dtype, device=x.device).copy_(x)
