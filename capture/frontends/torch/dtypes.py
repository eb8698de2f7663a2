"""DType and torch.dtype, device text and torch.device: the one place that maps between them."""

from __future__ import annotations

import functools

import torch

from ....inductor import dtypes
from ....inductor.dtypes import DType

TO_TORCH: dict[DType, torch.dtype] = {d: getattr(torch, name) for name, d in dtypes.ALL.items() if hasattr(torch, name)}
FROM_TORCH: dict[torch.dtype, DType] = {t: d for d, t in TO_TORCH.items()}

#: Python's types where torch takes a dtype
PYTHON_TYPES: dict[type, torch.dtype] = {
    float: torch.float64, int: torch.int64, bool: torch.bool, complex: torch.complex128,
}  # fmt: skip

#: classes named after an element type: `torch.LongTensor`
LEGACY: dict[type, torch.dtype] = {
    getattr(torch, f"{name}Tensor"): dtype
    for name, dtype in (
        ("Float", torch.float32), ("Double", torch.float64), ("Half", torch.float16), ("BFloat16", torch.bfloat16),
        ("Int", torch.int32), ("Long", torch.int64), ("Short", torch.int16), ("Char", torch.int8), ("Byte", torch.uint8),
        ("Bool", torch.bool),
    )
}  # fmt: skip


def to_torch(dtype: DType) -> torch.dtype:
    """The torch dtype. Raises KeyError for one that this torch lacks."""
    return TO_TORCH[dtype]


def from_torch(dtype: torch.dtype) -> DType:
    """The DType. Raises KeyError for a torch dtype without one (quantised, float8, complex32)."""
    return FROM_TORCH[dtype]


@functools.cache
def device_text(device: torch.device) -> str:
    """ "cpu", "cuda:0": always with the index for accelerators, as tensors report it."""
    if device.type != "cpu" and device.type != "meta" and device.index is None:
        module = getattr(torch, device.type, None)
        index = module.current_device() if module is not None and hasattr(module, "current_device") else 0
        return f"{device.type}:{index}"
    return "cpu" if device.type == "cpu" else str(device)


@functools.cache
def to_device(text: str) -> torch.device:
    """The torch device for "cpu", "cuda:0", ..."""
    return torch.device(text)
