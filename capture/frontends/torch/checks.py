"""Checks that run inside graphs."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable

import torch

#: torch's words for a condition that does not hold
FALSE_CONDITION = (
    "Expected cond to be True, but got False. (Could this error message be improved? If so, please report an "
    "enhancement request to PyTorch.)"
)


def check_all(condition: torch.Tensor) -> torch.Tensor:
    """`condition` again. Raises RuntimeError unless all of it is true, as `torch._check_tensor_all` does."""
    if not bool(condition.all()):
        raise RuntimeError(FALSE_CONDITION)
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


#: what a relation says of the difference of its sides
_HOLDS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def check_number(sign: str, difference: int, error: str, text: str) -> int:
    """`difference` again. Raises the builtin exception `error` unless its relation to 0 is `sign`."""
    if not _HOLDS[sign](difference, 0):
        raise getattr(builtins, error)(text)
    return difference
