"""The memory of NumPy's arrays as tensors see it, at run time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ...frontend import frontends


class _Writeable:
    """The memory of a read-only array, for a tensor that nobody writes to."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def tensor_over(array: np.ndarray) -> torch.Tensor:
    """The tensor in an array's memory; in a copy of it where its strides are negative."""
    if min(array.strides, default=0) < 0:
        array = array.copy()
    return torch.from_numpy(array if array.flags.writeable else np.asarray(_Writeable(array)))


def lie_apart(tensor: torch.Tensor, array: np.ndarray) -> bool:
    """Whether the storage of a tensor holds no element of an array."""
    storage = tensor.untyped_storage()
    if tensor.device.type != "cpu" or not storage.nbytes() or not array.size:
        return True
    first = last = array.__array_interface__["data"][0]
    for size, stride in zip(array.shape, array.strides):
        first, last = (first + (size - 1) * stride, last) if stride < 0 else (first, last + (size - 1) * stride)
    begin = storage.data_ptr()
    return last + array.itemsize <= begin or begin + storage.nbytes() <= first


@functools.cache
def numpy_runtime() -> Any:
    """NumPy as its own graphs see it."""
    (frontend,) = (f for f in frontends() if f.name == "numpy")
    return frontend.runtime


def by_numpy(run: Callable[..., Any]) -> Callable[..., Any]:
    """A function over arrays as one over tensors."""

    def call(*tensors: Any, **attrs: Any) -> Any:
        made = run(*[x.numpy() if isinstance(x, torch.Tensor) else x for x in tensors], **attrs)
        return tuple(map(_tensor, made)) if type(made) is tuple else _tensor(made)

    return call


def _tensor(made: Any) -> Any:
    return tensor_over(np.asarray(made)) if isinstance(made, (np.ndarray, np.generic)) else made
