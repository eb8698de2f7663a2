"""Kernels as callables: `build(source, device)` gives `launch(*pointers, *symbols, stream=0)`.

Pointers are addresses (ints). On "cpu" the kernel runs under the interpreter. On "cuda:0" a small function is
generated for the kernel that counts programs, picks the machine code that fits the arguments (pointers aligned or not,
32- or 64-bit indices), packs the parameters and calls the driver:

    def launch(x_ptr, out_ptr, *, stream=0):
        key = (x_ptr | out_ptr) & 15 == 0
        binary = known.get(key) or load(key)
        try:
            slot = binary.slots.pop()  # never shared: pop and append are atomic
        except IndexError:
            slot = binary.new_slot()
        binary.pack(slot.buffer, 0, x_ptr, out_ptr)
        start(binary, 4096, stream, slot.extra)
        binary.slots.append(slot)

The first call with new properties compiles (or finds the binary in the cache) and loads; `prepare` does so ahead.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..device import device_of
from .cuda import WRONG_CONTEXT, Driver, Parameters, driver
from .interpreted import interpret
from .source import TritonSource
from .toolchain import CompiledInfo, Gpu, Variant, compile_for

#: (pointers..., symbols..., stream=handle) -> the floating-point errors of an interpreted kernel
Launcher = Callable[..., Any]


def build(source: TritonSource, device: str) -> Launcher:
    """A launcher of the kernel on "cpu" (interpreted), "cuda" or "cuda:<index>".

    Raises UserError where there is no NVIDIA driver; launching raises CompilerFailed or CudaError.
    """
    on = device_of(device)
    if on.kind == "cpu":
        return interpret(source)
    return CudaKernel(source, driver(), on.index).launcher()


def prepare(source: TritonSource, gpu: Gpu) -> CompiledInfo:
    """Compile the usual variant (aligned pointers, 32-bit indices) into the cache, on any machine."""
    return compile_for(source, gpu, usual_variant(source))


def usual_variant(source: TritonSource) -> Variant:
    """What arguments are like as a rule: memory as allocators give it, no particular sizes."""
    return Variant(aligned=True, wide=False, even=(False,) * len(source.symbols))


@dataclass(frozen=True)
class Loaded:
    """Machine code on a device. pack: writes the arguments into a buffer of `size` bytes; slots: buffers at rest."""

    function: int
    threads: int
    shared: int
    size: int
    pack: Callable[..., None]
    slots: list[Parameters] = field(default_factory=list)

    def new_slot(self) -> Parameters:
        return Parameters(self.size)


class CudaKernel:
    """A kernel on one device, with the binaries loaded so far."""

    def __init__(self, source: TritonSource, driver: Driver, device: int) -> None:
        self.source = source
        self.driver = driver
        self.device = device
        self.gpu = Gpu("cuda", driver.architecture(device), 32)
        self.known: dict[Any, Loaded] = {}
        self._mutex = threading.Lock()

    def load(self, key: Any) -> Loaded:
        """The binary for a launch key: alignment alone, or (alignment, 64-bit?, multiple of 16? per symbol)."""
        with self._mutex:
            if key not in self.known:
                variant = Variant(key[0], key[1], key[2:]) if self.source.symbols else Variant(aligned=key)
                info = compile_for(self.source, self.gpu, variant)
                function = self.driver.load(self.device, info.cubin, info.name, info.shared)
                # Parameters lie in order with C's alignment. Triton appends pointers to scratch memory: null here.
                pointers, symbols = len(self.source.pointers), len(self.source.symbols)
                own = "@" + "P" * pointers + ("q" if variant.wide else "i") * symbols
                size = struct.calcsize(own + "P" * (info.params - pointers - symbols))
                pack = struct.Struct(own).pack_into
                self.known[key] = Loaded(function, info.threads, info.shared, size, pack)
            return self.known[key]

    def launcher(self) -> Launcher:
        """The generated launch function."""
        text = self._launcher_text()
        several = self.driver.device_count() > 1
        scope: dict[str, Any] = {
            "known": self.known,
            "load": self.load,
            "count_programs": self.source.program_count(),
            "needs_int64": self.source.needs_int64(),
            "start": self._start_on_device if several else self._start,
        }
        exec(compile(text, f"<quern launch {self.source.name}>", "exec"), scope)
        return scope["launch"]

    def _launcher_text(self) -> str:
        source = self.source
        pointers, symbols = [name for name, _ in source.pointers], list(source.symbols)
        aligned = f"({' | '.join(pointers)}) & 15 == 0"
        if symbols:
            key = f"({aligned}, needs_int64({', '.join(symbols)}), {', '.join(f'{s} & 15 == 0' for s in symbols)})"
            programs = f"count_programs({', '.join(symbols)})"
        else:
            key, programs = aligned, str(source.program_count()())
        args = ", ".join([*pointers, *symbols])
        lines = [
            f"def launch({args}, *, stream=0):",
            *([f"    programs = {programs}", "    if programs == 0:", "        return"] if symbols else []),
            *(["    return"] if programs == "0" else []),
            f"    key = {key}",
            "    binary = known.get(key) or load(key)",
            "    try:",
            "        slot = binary.slots.pop()  # never shared: pop and append are atomic",
            "    except IndexError:",
            "        slot = binary.new_slot()",
            f"    binary.pack(slot.buffer, 0, {args})",
            f"    start(binary, {'programs' if symbols else programs}, stream, slot.extra)",
            "    binary.slots.append(slot)",
        ]
        return "\n".join(lines) + "\n"

    def _start(self, binary: Loaded, programs: int, stream: int, extra: Any) -> None:
        code = self.driver.launch_kernel(
            binary.function, programs, 1, 1, binary.threads, 1, 1, binary.shared, stream, None, extra
        )
        if code in WRONG_CONTEXT:  # a thread in which nothing has used this device yet
            self._start_on_device(binary, programs, stream, extra)
        elif code:
            self.driver.check(f"launching {self.source.name}", code)

    def _start_on_device(self, binary: Loaded, programs: int, stream: int, extra: Any) -> None:
        with self.driver.on(self.device):
            code = self.driver.launch_kernel(
                binary.function, programs, 1, 1, binary.threads, 1, 1, binary.shared, stream, None, extra
            )
        self.driver.check(f"launching {self.source.name}", code)
