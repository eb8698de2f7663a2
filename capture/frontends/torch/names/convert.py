"""Aliases, copies and conversions: `x.to(...)`, `x.clone()`, `x.contiguous()`."""

from __future__ import annotations

from typing import Any

import torch

from .....inductor.graph import Node
from .....inductor.ops.promotion import suggested_format
from ....values.tensor import ArrayValue
from ..calls import reads_types
from ..context import Context
from ..dtypes import LEGACY, from_torch, to_device
from ..handlers import name, register
from ..state import detached
from .create import format_of, tensor_from
from .shape import is_contiguous

# ------------------------------------------------------------------ aliases and copies


@name("*detach")
def detach(cx: Context, input: ArrayValue) -> ArrayValue:
    return detached(cx.ev, input)


@name("torch.lift_fresh")
def lift_fresh(cx: Context, input: ArrayValue) -> ArrayValue:
    return input


@name("*clone")
def clone(cx: Context, input: ArrayValue, *, memory_format: Any = None) -> Node:
    return cx.op("clone", input, memory_format=format_of(memory_format))


@name("Tensor.contiguous")
def contiguous(cx: Context, self: ArrayValue, memory_format: Any = torch.contiguous_format) -> Any:
    if memory_format is torch.preserve_format:
        raise ValueError("contiguous does not take preserve_format")
    wanted = format_of(memory_format)
    return self if is_contiguous(cx, self, memory_format) else cx.op("clone", self, memory_format=wanted)


@name("torch.asarray torch.as_tensor")
@reads_types
def as_tensor(cx: Context, data: Any, dtype: Any = None, device: Any = None) -> Any:
    if isinstance(data, ArrayValue):
        return to_(cx, data, cx.dtype(dtype), None if device is None else cx.device(device))
    return tensor_from(cx, data, dtype, device)


# ------------------------------------------------------------------ conversion


def to_(cx: Context, x: ArrayValue, dtype: Any, device: str | None, copy: bool = False, fmt: str | None = None) -> Any:
    """`x.to(...)`: x itself when nothing changes."""
    preserved = fmt in (None, "preserve")
    laid = preserved or fmt == suggested_format(x.meta)
    same_dtype = dtype is None or dtype == x.meta.dtype
    same_device = device is None or device == x.meta.device
    if same_dtype and same_device and laid and not copy:
        return x
    node = cx.node(x)
    if not same_device:
        node = cx.op("to_device", node, device=device)
    if not same_dtype:
        node = cx.op("cast", node, dtype=dtype)
    if not preserved or (same_dtype and same_device):
        node = cx.op("clone", node, memory_format=fmt)
    return node


@name("Tensor.to")
def to(cx: Context, self: ArrayValue, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False,
       copy: bool = False, memory_format: Any = None) -> Any:  # fmt: skip
    flags: list[Any] = []
    for a in args:
        if isinstance(a, ArrayValue):
            dtype, device = getattr(torch, a.meta.dtype.name), a.meta.device
        elif isinstance(a, torch.dtype | type):
            dtype = a
        elif isinstance(a, bool):
            flags.append(a)
        elif a is not None:
            device = a
    copy = copy or (len(flags) > 1 and flags[1])
    target = None if device is None else cx.device(device)
    return to_(cx, self, cx.dtype(dtype), target, copy, format_of(memory_format))


def _conversion(dtype: torch.dtype) -> Any:
    def call(cx: Context, self: ArrayValue, *, memory_format: Any = torch.preserve_format) -> Any:
        return to_(cx, self, cx.dtype(dtype), None, False, format_of(memory_format))

    return call


for _method, _dtype in (
    ("float", torch.float32), ("double", torch.float64), ("half", torch.float16), ("bfloat16", torch.bfloat16),
    ("int", torch.int32), ("long", torch.int64), ("short", torch.int16), ("char", torch.int8), ("byte", torch.uint8),
    ("bool", torch.bool),
):  # fmt: skip
    register(f"Tensor.{_method}", _conversion(_dtype))


@name("Tensor.type_as")
def type_as(cx: Context, self: ArrayValue, other: ArrayValue) -> Any:
    return to_(cx, self, other.meta.dtype, other.meta.device)


@name("Tensor.type")
def type_(cx: Context, self: ArrayValue, dtype: Any = None, non_blocking: bool = False) -> Any:
    if dtype is None:
        where = to_device(self.meta.device).type
        prefix = "torch." if where == "cpu" else f"torch.{where}."
        return prefix + torch.empty(0, dtype=getattr(torch, self.meta.dtype.name)).type().rsplit(".", 1)[1]
    if isinstance(dtype, str) or dtype in LEGACY:
        device, kind = _named_type(dtype) if isinstance(dtype, str) else ("cpu", LEGACY[dtype])
        return to_(cx, self, from_torch(kind), device)
    if isinstance(dtype, type):
        raise ValueError(f"invalid type: {dtype.__name__!r}")
    return to_(cx, self, cx.dtype(dtype), None)


def _named_type(text: str) -> tuple[str, torch.dtype]:
    """ "torch.cuda.HalfTensor" -> its device and dtype."""
    cls = getattr(torch, text.rsplit(".", 1)[-1], None)
    if cls is None or text not in (f"torch.{cls.__name__}", f"torch.cuda.{cls.__name__}"):
        raise ValueError(f"invalid type: {text!r}")
    return "cuda" if text.startswith("torch.cuda.") else "cpu", cls.dtype


@name("Tensor.cpu")
def cpu(cx: Context, self: ArrayValue, memory_format: Any = torch.preserve_format) -> Any:
    return to_(cx, self, None, "cpu")


@name("Tensor.cuda")
def cuda(cx: Context, self: ArrayValue, device: Any = None, non_blocking: bool = False) -> Any:
    return to_(cx, self, None, cx.device("cuda" if device is None else device))
