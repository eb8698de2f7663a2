"""Checks that run inside graphs."""

from __future__ import annotations

import torch


def check_all(condition: torch.Tensor) -> torch.Tensor:
    """`condition` again. Raises RuntimeError unless all of it is true, as `torch._check_tensor_all` does."""
    if not bool(condition.all()):
        raise RuntimeError("Test: a tensor condition checked in a compiled function does not hold")
    return condition.clone()


def non_negative(var: torch.Tensor) -> torch.Tensor:
    """Nothing of use. Raises ValueError when a variance is negative, as `gaussian_nll_loss` does."""
    if bool((var < 0).any()):
        raise ValueError("var has negative entry/entries")
    return torch.empty_like(var)


def check_supported(condition: torch.Tensor) -> torch.Tensor:
    """`condition` again. Raises ValueError unless all of it is true: a distribution's parameter or sample is not allowed."""
    if not bool(condition.all()):
        raise ValueError(
            "Expected a distribution's parameters to satisfy their constraints and values to be within its support, but found "
            "invalid values (call the function outside of compiled code to see which)"
        )
    return condition.clone()
