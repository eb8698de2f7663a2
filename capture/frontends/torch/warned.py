"""Warnings that the framework's compiled code gives: their text is asked of the framework itself, and given at the program's line."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache

import torch

from ...python.messages import warn_as
from ...values.base import Machine
from .meta_results import unnoticed


def warn_of(ev: Machine, say: Callable[[], object]) -> None:
    """What the framework warns of in `say`, one of the functions below, it warns of in the captured line."""
    for text, category in _said(say):
        warn_as(ev, text, category, say)


@cache
def _said(say: Callable[[], object]) -> tuple[tuple[str, type[Warning]], ...]:
    """What `say` makes the framework warn of where nobody has heard it before."""
    with unnoticed(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        say()
    return tuple((str(warned.message), warned.category) for warned in said)


def transposed_cube() -> object:
    return torch.zeros(1, 1, 1).T


def unordered_grid() -> object:
    return torch.meshgrid(torch.zeros(1))


def tensor_of_tensor() -> object:
    return torch.tensor(torch.zeros(1))


def new_tensor_of_tensor() -> object:
    return torch.zeros(1).new_tensor(torch.zeros(1))


def cross_along_no_dim() -> object:
    return torch.cross(torch.zeros(3), torch.zeros(3))


@cache
def norm_of_two_types(input: torch.dtype, weight: torch.dtype) -> Callable[[], object]:
    return lambda: torch.rms_norm(torch.zeros(1, dtype=input), (1,), torch.ones(1, dtype=weight))


def gradient_of_no_leaf() -> object:
    with torch.enable_grad():
        return torch.zeros(1, requires_grad=True).clone().grad
