"""Warnings that the framework's compiled code gives: their text is asked of the framework itself, and given at the program's line."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache

import torch

from ...python.messages import warn_as
from ...values.base import Machine
from .meta_results import unnoticed


def warn_of_transposed(ev: Machine) -> None:
    """`x.T` of other ranks than two."""
    _warn(ev, _of_rank_three)


def warn_of_indexing(ev: Machine) -> None:
    """`torch.meshgrid` that is not told its order."""
    _warn(ev, _unordered_grid)


def warn_of_copies(ev: Machine, method: bool) -> None:
    """`torch.tensor` of a tensor, or the method `new_tensor`."""
    _warn(ev, _new_tensor_of_tensor if method else _tensor_of_tensor)


def warn_of_no_leaf(ev: Machine) -> None:
    """`x.grad` of a tensor that was computed."""
    _warn(ev, _gradient_of_no_leaf)


def _of_rank_three() -> object:
    return torch.zeros(1, 1, 1).T


def _unordered_grid() -> object:
    return torch.meshgrid(torch.zeros(1))


def _tensor_of_tensor() -> object:
    return torch.tensor(torch.zeros(1))


def _new_tensor_of_tensor() -> object:
    return torch.zeros(1).new_tensor(torch.zeros(1))


def _gradient_of_no_leaf() -> object:
    with torch.enable_grad():
        return torch.zeros(1, requires_grad=True).clone().grad


@cache
def _said(say: Callable[[], object]) -> tuple[tuple[str, type[Warning]], ...]:
    """What `say` makes the framework warn of where nobody has heard it before."""
    with unnoticed(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        say()
    return tuple((str(warned.message), warned.category) for warned in said)


def _warn(ev: Machine, say: Callable[[], object]) -> None:
    for text, category in _said(say):
        warn_as(ev, text, category, say)
