"""From a kernel's text to machine code, with Triton as a library: no GPU is needed to compile for one.

`compile_for` gives a cubin and what the assembler says of it. Finished binaries lie in the cache as

    kernel.py     the source, launch line included
    kernel.cubin  machine code
    kernel.ptx    the assembler's input
    launch.json   shared memory, threads, parameter count, registers, spills

A process that finds its kernels there does not import Triton at all.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import linecache
import re
import subprocess
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ...cache import CacheKey, default_store
from ...errors import CompilerFailed, UserError
from .library import helper_names
from .source import ENTRY, POINTER_TYPES, TritonSource

#: bumped when binaries made by an older quern must not be used
BINARY_FORMAT = 1

#: Triton's compiler and interpreter keep state in module globals: one of them runs at a time
TRITON_LOCK = threading.RLock()


@dataclass(frozen=True)
class Gpu:
    """A GPU to compile for: backend ("cuda"), architecture (90 for sm_90), threads per warp."""

    backend: str = "cuda"
    arch: int = 90
    warp_size: int = 32

    def __str__(self) -> str:
        return f"sm_{self.arch}" if self.backend == "cuda" else f"{self.backend}:{self.arch}"


@dataclass(frozen=True)
class Variant:
    """What a binary may assume of its arguments.

    aligned: every pointer is a multiple of 16 bytes
    wide:    symbols are 64-bit and so are indices
    even:    for each symbol, whether it is a multiple of 16
    """

    aligned: bool = True
    wide: bool = False
    even: tuple[bool, ...] = ()


@dataclass(frozen=True)
class CompiledInfo:
    """A compiled kernel.

    registers: per thread; spills: bytes of registers kept in memory per thread; stack: bytes of local memory
    per thread (spills included); shared: bytes per block; params: kernel parameters, scratch pointers included
    """

    gpu: Gpu
    name: str
    registers: int
    spills: int
    stack: int
    shared: int
    threads: int
    params: int
    ptx: str
    cubin: bytes

    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.name} ({self.gpu}): {self.registers} registers, {self.spills} bytes spilled, "
            f"{self.shared} bytes shared, {self.threads} threads, cubin {len(self.cubin)} bytes"
        )


@functools.cache
def triton_version() -> str:
    """The installed Triton's version, without importing it. Raises UserError when there is none."""
    try:
        return importlib.metadata.version("triton")
    except importlib.metadata.PackageNotFoundError:
        raise UserError("Triton is not installed; GPU kernels need it: pip install 'triton>=3.6,<4'") from None


def toolchain_identity() -> str:
    """What of this installation decides about compiled kernels; enters cache keys. Raises UserError without Triton."""
    return f"triton {triton_version()}, binaries {BINARY_FORMAT}"


def load_module(source: TritonSource) -> ModuleType:
    """Execute a kernel's text as a module. Its functions are found by `inspect`, as Triton's front end needs."""
    file = f"<quern {source.name}>"
    lines = source.text.splitlines(keepends=True)
    linecache.cache[file] = (len(source.text), None, lines, file)
    module = ModuleType(f"quern_kernel_{source.name}")
    module.__file__ = file
    try:
        exec(compile(source.text, file, "exec"), module.__dict__)
    except Exception as error:
        raise CompilerFailed(
            f"the text of kernel {source.name} is not a Python module: {error}\n{source.text}"
        ) from error
    return module


def plain_functions(module: ModuleType) -> dict[str, Any]:
    """The module's kernels and device functions as plain Python functions, by name."""
    return {name: f.fn for name, f in vars(module).items() if hasattr(f, "fn") and callable(f.fn)}


def compile_for(source: TritonSource, gpu: Gpu, variant: Variant | None = None) -> CompiledInfo:
    """Compile, or fetch from the cache. Raises CompilerFailed with the kernel's text when Triton rejects it."""
    variant = variant or Variant(even=(False,) * len(source.symbols))
    entry = default_store().get_or_build(
        binary_key(source, gpu, variant),
        lambda folder: _build(source, gpu, variant, Path(folder)),
        manifest={"label": f"{source.name} (triton, {gpu})"},
    )
    facts = json.loads(entry.read("launch.json"))
    return CompiledInfo(
        gpu=gpu, ptx=bytes(entry.read("kernel.ptx")).decode(), cubin=bytes(entry.read("kernel.cubin")), **facts
    )


def binary_key(source: TritonSource, gpu: Gpu, variant: Variant) -> CacheKey:
    """What a binary depends on: not on what its kernel is called, nor on how many programs run."""
    parts = {
        "format": BINARY_FORMAT,
        "source": source.text,
        "arguments": [list(map(list, source.pointers)), list(source.symbols), list(map(list, source.constants))],
        "options": [source.num_warps, source.num_stages],
        "triton": triton_version(),
        "gpu": asdict(gpu),
        "variant": {**asdict(variant), "even": list(variant.even)},
    }
    return CacheKey.make(kind="triton-kernel", parts=parts)


def _build(source: TritonSource, gpu: Gpu, variant: Variant, folder: Path) -> None:
    cubin, ptx, shared = _run_triton(source, gpu, variant)
    registers, stack, spills = _resources(cubin, ptx, gpu)
    header = ptx[ptx.index(".entry") :]
    facts = {
        "name": _machine_name(source),
        "registers": registers,
        "spills": spills,
        "stack": stack,
        "shared": shared,
        "threads": source.num_warps * gpu.warp_size,
        "params": header[: header.index(")")].count(".param"),
    }
    (folder / "kernel.py").write_text(source.file_text())
    (folder / "kernel.cubin").write_bytes(cubin)
    (folder / "kernel.ptx").write_text(ptx)
    (folder / "launch.json").write_text(json.dumps(facts))


def _machine_name(source: TritonSource) -> str:
    """What the machine code calls the kernel: debuggers and profilers show it."""
    return f"{source.name}_kernel" if source.name in helper_names() else source.name


def _run_triton(source: TritonSource, gpu: Gpu, variant: Variant) -> tuple[bytes, str, int]:
    """(cubin, PTX, bytes of shared memory)."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.runtime.jit import JITFunction

    with TRITON_LOCK:
        module = load_module(source)
        functions = plain_functions(module)
        functions[ENTRY].__name__ = functions[ENTRY].__qualname__ = _machine_name(source)
        for name, function in functions.items():
            setattr(module, name, JITFunction(function))  # also where TRITON_INTERPRET made them something else
        signature = {name: POINTER_TYPES[dtype] for name, dtype in source.pointers}
        signature |= {name: "i64" if variant.wide else "i32" for name in source.symbols}
        signature |= {name: "constexpr" for name, _ in source.constants}
        divisible = [variant.aligned] * len(source.pointers) + list(variant.even)
        attrs = {(i,): [["tt.divisibility", 16]] for i, yes in enumerate(divisible) if yes}
        options = {
            "num_warps": source.num_warps,
            "num_stages": source.num_stages,
            "enable_fp_fusion": False,  # a * b + c rounds twice, as eager's two ops do
            "enable_reflect_ftz": False,  # tiny numbers are kept, as eager keeps them
        }
        with triton.knobs.cache.scope(), tempfile.TemporaryDirectory(prefix="quern-triton-") as scratch:
            triton.knobs.cache.dir = scratch  # the result goes to quern's own cache
            try:
                tree = ASTSource(getattr(module, ENTRY), signature, dict(source.constants), attrs)
                target = GPUTarget(gpu.backend, gpu.arch, gpu.warp_size)
                made = triton.compile(tree, target=target, options=options)
            except Exception as error:
                raise CompilerFailed(
                    f"Triton could not compile {source.name} for {gpu}: {error}\n{source.text}"
                ) from error
            if made.metadata.global_scratch_size:
                raise CompilerFailed(f"{source.name} asks for scratch memory, which quern's launcher does not provide")
            return made.asm["cubin"], made.asm["ptx"], made.metadata.shared


# ----------------------------------------------------------------------------- what the assembler says


def _tool(name: str) -> str:
    import triton

    return str(Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name)


def _resources(cubin: bytes, ptx: str, gpu: Gpu) -> tuple[int, int, int]:
    """(registers per thread, bytes of stack per thread, bytes spilled per thread)."""
    with tempfile.TemporaryDirectory(prefix="quern-triton-") as scratch:
        file = Path(scratch) / "kernel.cubin"
        file.write_bytes(cubin)
        text = _output([_tool("cuobjdump"), "-res-usage", str(file)])
        found = re.search(r"REG:(\d+) STACK:(\d+)", text)
        if found is None:
            raise CompilerFailed(f"cuobjdump's report has no resource usage:\n{text}")
        registers, stack = int(found[1]), int(found[2])
        if stack == 0:
            return registers, 0, 0
        # Stack may also hold arrays of library functions (sin's range reduction); the assembler tells them apart.
        file.with_suffix(".ptx").write_text(ptx)
        from triton.backends.nvidia.compiler import get_ptxas

        chip = re.search(r"\.target\s+(\w+)", ptx)
        name = f"--gpu-name={chip[1] if chip else f'sm_{gpu.arch}'}"
        text = _output([get_ptxas(gpu.arch).path, "-v", name, str(file.with_suffix(".ptx")), "-o", str(file)])
        return registers, stack, sum(map(int, re.findall(r"(\d+) bytes spill stores", text)))


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise CompilerFailed(f"{' '.join(command)} failed with code {done.returncode}:\n{done.stderr}")
    return done.stdout + done.stderr
