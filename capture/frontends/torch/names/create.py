"""torch's functions that make tensors from numbers, and its random functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from .....inductor.dtypes import DType, bool_, held_range, int64, int_range
from .....inductor.graph import Node
from .....inductor.ops import OPS
from .....inductor.ops.dims import is_whole, less
from .....inductor.ops.promotion import is_dense
from ....values.tensor import ArrayValue
from ..calls import reads_types, takes_bounds, takes_numbers
from ..context import Context, Declined
from ..dtypes import from_torch, to_torch
from ..handlers import name, register
from ..warned import new_tensor_of_tensor, tensor_of_tensor, warn_of
from .data import data_size

#: memory formats as the table names them
_FORMATS = {
    None: None,
    torch.contiguous_format: "contiguous",
    torch.preserve_format: "preserve",
    torch.channels_last: "channels_last",
    torch.channels_last_3d: "channels_last_3d",
}


def format_of(memory_format: Any) -> str | None:
    """A memory format as the table names it. Raises TypeError for what is none."""
    if memory_format is not None and type(memory_format) is not torch.memory_format:
        raise TypeError(f"argument 'memory_format' must be torch.memory_format, not {type(memory_format).__name__}")
    return _FORMATS[memory_format]


def _shape(cx: Context, size: Sequence[Any]) -> tuple[Any, ...]:
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = size[0]
    return tuple(data_size(cx, s, "a size") for s in size)


def _filled(cx: Context, shape: tuple[Any, ...], value: Any, dtype: Any, device: Any) -> Node:
    kind = cx.dtype(dtype)
    return cx.op("full", shape=shape, value=value, dtype=kind or cx.default_float(), device=cx.device(device))


def _constant_fill(function: str, value: Any) -> None:
    """zeros, ones: by shape, and `_like`."""

    def fill(cx: Context, *size: Any, dtype: Any = None, layout: Any = None, device: Any = None,
             pin_memory: bool = False, requires_grad: bool = False, **named: Any) -> Node:  # fmt: skip
        return _filled(cx, _shape(cx, size or (named["size"],)), value, dtype, device)

    def like(cx: Context, input: ArrayValue, *, dtype: Any = None, layout: Any = None, device: Any = None,
             pin_memory: bool = False, requires_grad: bool = False, memory_format: Any = None) -> Node:  # fmt: skip
        return cx.op("full_like", input, value=value, dtype=cx.dtype(dtype),
                     device=None if device is None else cx.device(device), memory_format=format_of(memory_format))  # fmt: skip

    def new(cx: Context, self: ArrayValue, *size: Any, dtype: Any = None, layout: Any = None, device: Any = None,
            pin_memory: bool = False, requires_grad: bool = False, **named: Any) -> Node:  # fmt: skip
        return cx.op("full", shape=_shape(cx, size or (named["size"],)), value=value,
                     dtype=cx.dtype(dtype) or self.meta.dtype,
                     device=self.meta.device if device is None else cx.device(device))  # fmt: skip

    register(f"torch.{function}", fill)
    register(f"torch.{function}_like", like)
    register(f"Tensor.new_{function}", new)


_constant_fill("zeros", 0)
_constant_fill("ones", 1)


@name("torch.full")
@takes_numbers
def full(cx: Context, size: Any, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
         pin_memory: bool = False, requires_grad: bool = False) -> Node:  # fmt: skip
    kind = cx.dtype(dtype)
    if isinstance(fill_value, ArrayValue):
        value = cx.op("expand", fill_value, shape=_shape(cx, (size,)))
        return cx.op("clone", cx.cast(value, kind or fill_value.meta.dtype), memory_format="contiguous")
    if isinstance(fill_value, Node):
        return _changing_fill(cx, fill_value, kind, _shape(cx, (size,)), cx.device(device))
    if kind is None and isinstance(fill_value, float):
        kind = cx.default_float()
    return cx.op("full", shape=_shape(cx, (size,)), value=fill_value, dtype=kind, device=cx.device(device))


def _changing_fill(cx: Context, value: Node, kind: DType | None, shape: tuple[Any, ...], device: str) -> Node:
    """A new tensor full of a number that changes from call to call."""
    kind = kind or (cx.default_float() if value.dtype.is_float else int64)
    return cx.op("copy", cx.op("full", shape=shape, value=0, dtype=kind, device=device), value)


@name("torch.full_like")
@takes_numbers
def full_like(cx: Context, input: ArrayValue, fill_value: Any, *, dtype: Any = None, layout: Any = None,
              device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
              memory_format: Any = None) -> Node:  # fmt: skip
    where = None if device is None else cx.device(device)
    if isinstance(fill_value, (ArrayValue, Node)):
        empty = cx.op(
            "full_like", input, value=0, dtype=cx.dtype(dtype), device=where, memory_format=format_of(memory_format)
        )
        return cx.op("copy", empty, fill_value)
    return cx.op("full_like", input, value=fill_value, dtype=cx.dtype(dtype), device=where,
                 memory_format=format_of(memory_format))  # fmt: skip


@name("Tensor.new_full")
@takes_numbers
def new_full(cx: Context, self: ArrayValue, size: Any, fill_value: Any, *, dtype: Any = None, layout: Any = None,
             device: Any = None, pin_memory: bool = False, requires_grad: bool = False) -> Node:  # fmt: skip
    kind, where = cx.dtype(dtype) or self.meta.dtype, self.meta.device if device is None else cx.device(device)
    if isinstance(fill_value, Node):
        return _changing_fill(cx, fill_value, kind, _shape(cx, (size,)), where)
    return cx.op("full", shape=_shape(cx, (size,)), value=fill_value, dtype=kind, device=where)


@name("torch.empty")
def empty(cx: Context, *size: Any, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
          requires_grad: bool = False, memory_format: Any = None, **named: Any) -> Node:  # fmt: skip
    shape = _shape(cx, size or (named["size"],))
    node = cx.op("empty", shape=shape, dtype=cx.dtype(dtype) or cx.default_float(), device=cx.device(device))
    if memory_format in (torch.channels_last, torch.channels_last_3d):
        return cx.op("clone", node, memory_format=format_of(memory_format))
    return node


@name("torch.empty_like")
def empty_like(cx: Context, input: ArrayValue, *, dtype: Any = None, layout: Any = None, device: Any = None,
               pin_memory: bool = False, requires_grad: bool = False, memory_format: Any = None) -> Node:  # fmt: skip
    like = OPS["full_like"].meta(input.meta, value=0, dtype=cx.dtype(dtype),
                                 device=None if device is None else cx.device(device),
                                 memory_format=format_of(memory_format))  # fmt: skip
    return cx.op("empty", shape=like.shape, stride=like.stride, dtype=like.dtype, device=like.device)


@name("Tensor.new_empty")
def new_empty(cx: Context, self: ArrayValue, *size: Any, dtype: Any = None, layout: Any = None, device: Any = None,
              pin_memory: bool = False, requires_grad: bool = False, **named: Any) -> Node:  # fmt: skip
    return cx.op("empty", shape=_shape(cx, size or (named["size"],)), dtype=cx.dtype(dtype) or self.meta.dtype,
                 device=self.meta.device if device is None else cx.device(device))  # fmt: skip


@name("torch.empty_strided")
def empty_strided(cx: Context, size: Any, stride: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
                  requires_grad: bool = False, pin_memory: bool = False) -> Node:  # fmt: skip
    if not is_dense(tuple(size), tuple(stride)):
        raise Declined("strides that leave gaps or repeat elements")
    return cx.op("empty", shape=_shape(cx, (size,)), stride=tuple(stride), dtype=cx.dtype(dtype) or cx.default_float(),
                 device=cx.device(device))  # fmt: skip


# ------------------------------------------------------------------ ramps


@name("torch.arange")
@takes_bounds
def arange(cx: Context, *bounds: Any, start: Any = 0, end: Any = None, step: Any = 1, dtype: Any = None,
           layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False) -> Node:  # fmt: skip
    if len(bounds) == 1:
        end = bounds[0]
    elif bounds:
        start, end = bounds[:2]
        step = bounds[2] if len(bounds) > 2 else step
    if not any(isinstance(v, ArrayValue) and v.meta.dtype.is_float for v in (start, end, step)):
        start, end, step = (data_size(cx, v, "a bound of torch.arange") for v in (start, end, step))
    for v in (start, end, step):
        if isinstance(v, ArrayValue):
            raise cx.broken("data-dependent-size", "torch.arange with a tensor as a bound",
                            "sizes must be known before the graph runs", "pass Python numbers")  # fmt: skip
    sized = [v for v in (start, end, step) if hasattr(v, "free_symbols")]
    if sized and not any(map(cx.ev.symbols.is_unbacked, sized)):
        if less(end, start) if less(0, step) else less(start, end):
            raise ValueError(f"arange: the bounds {start} and {end} contradict step {step}")
    kind = cx.dtype(dtype)
    if kind is None and any(isinstance(v, float) for v in (start, end, step)):
        kind = cx.default_float()
    _refuse_bools(kind)
    if any(isinstance(v, float) and not math.isfinite(v) for v in (start, end, step)):
        raise Declined("no end")
    if kind is not None and not kind.is_float and not all(map(is_whole, (start, end, step))):
        # eager makes integers of the bounds and the step before it counts, where they are of 64 bits
        bounds = (start, end, step)
        start, end, step = (v if isinstance(v, (int, float)) else cx.ev.symbols.specialize(v) for v in bounds)
        if kind != int64 or not int(step):
            raise Declined("the bounds are no integers")
        start, end, step = int(start), int(end), int(step)
    return cx.op("arange", start=start, end=end, step=step, dtype=kind, device=cx.device(device))


def _refuse_bools(kind: DType | None) -> None:
    if kind == bool_:
        raise Declined("eager has no kernel for bools")


@name("torch.linspace")
def linspace(cx: Context, start: Any, end: Any, steps: int, *, dtype: Any = None, layout: Any = None, device: Any = None,
             pin_memory: bool = False, requires_grad: bool = False) -> Node:  # fmt: skip
    if isinstance(start, ArrayValue) or isinstance(end, ArrayValue):
        raise Declined("tensors as bounds")
    _refuse_bools(cx.dtype(dtype))
    return cx.op("linspace", start=start, end=end, steps=steps, dtype=cx.dtype(dtype) or cx.default_float(),
                 device=cx.device(device))  # fmt: skip


@name("torch.eye")
def eye(cx: Context, n: Any, m: Any = None, *, dtype: Any = None, layout: Any = None, device: Any = None,
        pin_memory: bool = False, requires_grad: bool = False) -> Node:  # fmt: skip
    return cx.op("eye", n=n, m=m, dtype=cx.dtype(dtype) or cx.default_float(), device=cx.device(device))


# ------------------------------------------------------------------ from Python data


@name("torch.scalar_tensor")
@takes_numbers
def scalar_tensor(cx: Context, data: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
                  pin_memory: bool = False) -> Node:  # fmt: skip
    return tensor_from(cx, data, torch.get_default_dtype() if dtype is None else dtype, device)


@name("torch.tensor")
@takes_numbers
@reads_types
def tensor(cx: Context, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
           pin_memory: bool = False, layout: Any = None) -> Node:  # fmt: skip
    if isinstance(data, ArrayValue) and issubclass(data.python_type(), torch.Tensor):
        warn_of(cx.ev, tensor_of_tensor)
    return tensor_from(cx, data, dtype, device)


@name("Tensor.new_tensor")
@takes_numbers
def new_tensor(cx: Context, self: ArrayValue, data: Any, *, dtype: Any = None, device: Any = None,
               requires_grad: bool = False, layout: Any = None, pin_memory: bool = False) -> Node:  # fmt: skip
    if isinstance(data, ArrayValue) and issubclass(data.python_type(), torch.Tensor):
        warn_of(cx.ev, new_tensor_of_tensor)
    return tensor_from(cx, data, to_torch(self.meta.dtype) if dtype is None else dtype,
                       self.meta.device if device is None else device)  # fmt: skip


def tensor_from(cx: Context, data: Any, dtype: Any, device: Any) -> Node:
    """A tensor of nested sequences of numbers; tensors among the elements are 0-dim ones and are stacked. No gradients flow through it."""
    where = cx.device(device)
    kind = cx.dtype(dtype)
    if isinstance(data, ArrayValue):
        node = cx.op("clone", cx.op("detach", data))  # its numbers alone are read
        node = node if node.meta.device == where or device is None else cx.op("to_device", node, device=where)
        return node if kind is None else cx.cast(node, kind)
    if isinstance(data, Node):
        return _changing_fill(cx, data, kind, (), where)
    if type(data) in (bool, int, float, complex):
        kind = kind or {bool: bool_, int: int64, float: cx.default_float()}.get(type(data))
        if kind is None:
            kind = from_torch(torch.tensor(data).dtype)
        cx.held(data, kind)
        return cx.op("full", shape=(), value=_number(data, kind), dtype=kind, device=where)
    if hasattr(data, "free_symbols"):
        return cx.op("full", shape=(), value=data, dtype=kind or int64, device=where)
    if _holds_tensors(data):
        return _stacked(cx, data, kind, where)
    flat = torch.tensor(data, dtype=None if kind is None else to_torch(kind))
    kind = from_torch(flat.dtype)
    return cx.op("constant", value=tuple(flat.reshape(-1).tolist()), shape=tuple(flat.shape), dtype=kind, device=where)


def _whole(kind: DType) -> bool:
    return kind.is_int or kind == bool_


def _may_overflow(given: DType, wanted: DType) -> bool:
    """Whether eager refuses some of the ints of a type."""
    (low, high), (lowest, highest) = held_range(wanted, int), int_range(given)
    return lowest < low or highest > high


def _number(value: Any, kind: DType) -> Any:
    return bool(value) if kind == bool_ else int(value) if kind.is_int and not isinstance(value, complex) else value


def _holds_tensors(data: Any) -> bool:
    if isinstance(data, (list, tuple)):
        return any(_holds_tensors(d) for d in data)
    return isinstance(data, (ArrayValue, Node)) or hasattr(data, "free_symbols")


def _stacked(cx: Context, data: Any, kind: DType | None, where: str) -> Node:
    """torch.tensor([x[0], 2.0]): reads 0-dim tensors. Their values stay in the graph."""
    parts = [_stacked(cx, d, kind, where) if isinstance(d, (list, tuple)) else d for d in data]
    dtype = None if kind is None else to_torch(kind)
    nodes = []
    for p in parts:
        known = isinstance(p, ArrayValue) or isinstance(p, Node) and not p.meta.weak
        node = cx.node(p) if known else tensor_from(cx, p, dtype, where)
        if isinstance(p, ArrayValue):
            node = cx.op("detach", node)
            if p.meta.numel != 1:
                raise cx.broken("tensor-of-tensors", "torch.tensor of tensors that hold more than one element")
            if kind is not None and _whole(kind) and not _whole(node.dtype):
                raise Declined("an int or a bool read from a tensor of another type")
            if kind is not None and kind.is_int and node.dtype.is_int and _may_overflow(node.dtype, kind):
                raise Declined("an int read from a tensor whose type holds others")
            node = cx.op("reshape", node, shape=())
        nodes.append(node if kind is None else cx.cast(node, kind))  # each by itself: together they may lose digits
    return cx.op("stack", *nodes, dim=0)


# ------------------------------------------------------------------ random numbers: eager's own, in the program's order


def _no_generator(cx: Context, generator: Any) -> None:
    if generator is not None:
        raise cx.broken("generator", "a random function with generator=", "", "use torch.manual_seed")


def _random_fill(op: str) -> None:
    def fill(cx: Context, *size: Any, generator: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
             pin_memory: bool = False, requires_grad: bool = False, names: Any = None, **named: Any) -> Node:  # fmt: skip
        _no_generator(cx, generator)
        kind = cx.dtype(dtype) or cx.default_float()
        return cx.op(op, shape=_shape(cx, size or (named["size"],)), dtype=kind, device=cx.device(device))

    def like(cx: Context, input: ArrayValue, *, dtype: Any = None, layout: Any = None, device: Any = None,
             pin_memory: bool = False, requires_grad: bool = False, memory_format: Any = None) -> Node:  # fmt: skip
        if device is not None and cx.device(device) != input.meta.device or memory_format is not None:
            raise Declined("device= or memory_format=")
        return cx.op(f"{op}_like", input, dtype=cx.dtype(dtype))

    register(f"torch.{op}", fill)
    register(f"torch.{op}_like", like)


_random_fill("rand")
_random_fill("randn")


@name("torch.randint")
def randint(cx: Context, *bounds: Any, low: Any = None, high: Any = None, size: Any = None, generator: Any = None,
            dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
            requires_grad: bool = False) -> Node:  # fmt: skip
    _no_generator(cx, generator)
    given = list(bounds)
    if size is None:
        size = given.pop()
    if given:
        high = given.pop() if high is None else high
    if given:
        low = given.pop()
    return cx.op("randint", low=0 if low is None else low, high=high, shape=_shape(cx, (size,)), dtype=cx.dtype(dtype),
                 device=cx.device(device))  # fmt: skip


@name("torch.randperm")
def randperm(cx: Context, n: Any, *, generator: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
             pin_memory: bool = False, requires_grad: bool = False) -> Node:  # fmt: skip
    _no_generator(cx, generator)
    return cx.op("randperm", n=n, dtype=cx.dtype(dtype), device=cx.device(device))


@name("*bernoulli")
def bernoulli(cx: Context, input: ArrayValue, p: Any = None, *, generator: Any = None) -> Node:
    _no_generator(cx, generator)
    if p is not None:
        raise Declined("p=")
    return cx.op("bernoulli", input)


@name("*multinomial")
def multinomial(cx: Context, input: ArrayValue, num_samples: int, replacement: bool = False, *,
                generator: Any = None) -> Node:  # fmt: skip
    _no_generator(cx, generator)
    return cx.op("multinomial", input, num_samples=num_samples, replacement=replacement)
