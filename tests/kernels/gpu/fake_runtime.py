"""A framework that is only told where its arrays lie: plans for GPUs run against the stand-in driver, and what they launch is seen."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from quern.inductor.dtypes import DType
from quern.inductor.graph import TensorMeta
from quern.kernels.gpu.cuda import Driver


class Launch(ctypes.Structure):
    """One launch as `fake_cuda.c` records it."""

    _fields_ = [
        ("function", ctypes.c_uint64), ("grid", ctypes.c_uint32), ("threads", ctypes.c_uint32), ("shared", ctypes.c_uint32),
        ("stream", ctypes.c_uint64), ("size", ctypes.c_uint64), ("params", ctypes.c_ubyte * 256), ("context", ctypes.c_uint64),
    ]  # fmt: skip

    def pointers(self) -> list[int]:
        """The parameters, read as addresses; null ones (scratch memory) left out."""
        return [p for p in struct.unpack_from(f"@{self.size // 8}P", bytes(self.params)) if p]


def history(driver: Driver) -> list[Launch]:
    """Every launch so far."""
    count = ctypes.c_int.in_dll(driver.library, "launches").value
    return list((Launch * 64).in_dll(driver.library, "history")[:count])


#: where a device's memory begins: an address tells its device
BASE = {"cuda:0": 0x7000_0000_0000, "cuda:1": 0x7100_0000_0000}


def device_at(address: int) -> str:
    """The device that an address belongs to."""
    return next((device for device, base in BASE.items() if base <= address < base + 0x0100_0000_0000), "cpu")


@dataclass
class Array:
    """Memory on a device: real on the CPU, an address elsewhere."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: DType
    device: str
    address: int = 0
    memory: Any = None

    def stride(self) -> tuple[int, ...]:
        return self.strides


class FakeRuntime:
    """The parts of `Runtime` that plans call; `calls` notes each framework op with the devices of its arrays."""

    name = "torch"
    graph_decides_layouts = False

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self._next = dict(BASE)

    def version(self) -> str:
        return "made up"

    def empty(self, shape: tuple[int, ...], stride: tuple[int, ...], dtype: DType, device: str) -> Array:
        if device == "cpu":
            memory = np.zeros(max(1, int(np.prod(shape))), "f8")
            return Array(tuple(shape), tuple(stride), dtype, device, memory.ctypes.data, memory)
        self._next[device] += 1 << 20
        return Array(tuple(shape), tuple(stride), dtype, device, self._next[device])

    def soil(self, array: Array) -> None:
        pass

    def as_strided(self, array: Array, shape: Any, stride: Any, offset: int) -> Array:
        return array

    def laid_out(self, array: Array, stride: Any) -> Array:
        return array

    def data_ptr(self, array: Array) -> int:
        return array.address

    def copy_(self, target: Array, source: Array) -> None:
        self.calls.append(("copy_", (target.device, source.device)))

    def run_op(self, op: str) -> Callable[..., Array]:
        def run(x: Array, *rest: Array, device: str | None = None, **attrs: Any) -> Array:
            self.calls.append((op, tuple(a.device for a in (x, *rest))))
            return self.empty(x.shape, x.strides, x.dtype, device or x.device)

        return run

    def num_threads(self) -> int:
        return 1

    def stream(self, device: str) -> int:
        return {"cuda:0": 70, "cuda:1": 71}[device]

    def like(self, meta: TensorMeta) -> Array:
        """An array for a graph's input."""
        return self.empty(meta.shape, meta.stride, meta.dtype, meta.device)
