"""C++ source to a loaded library, by way of the cache.

    library = load(build([source.text], label="softmax_0"))
    library.softmax_0(given, places, threads)

One g++ command builds and links a single unit; several units compile in parallel and are linked once.
"""

from __future__ import annotations

import _ctypes
import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from ...cache import CacheKey, Store, default_store
from ...config import config
from ...errors import CompilerFailed, CompilerNotFound
from .openmp import runtime
from .toolchain import Compiler, Cpu, find_compiler, host_cpu

HEADERS = Path(__file__).parent
LIBRARY = "kernel.so"

#: No -ffast-math: results follow IEEE. No contraction: a*b+c rounds twice, as eager's; fused steps are explicit.
#: Null pointer checks stay: GCC may split an address into a null base and an offset (ivopts), and would take a function with such
#: an access for one that never gets there, and leave its call out.
#: -nostdlib halves the time of the linker; what remains undefined (memcpy) the process has loaded.
FLAGS = (
    "-std=c++17", "-O2", "-fPIC", "-w",
    "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fwrapv", "-fno-delete-null-pointer-checks",
    "-fno-exceptions", "-fno-rtti", "-fno-asynchronous-unwind-tables", "-fvisibility=hidden",
)  # fmt: skip
LINK_FLAGS = ("-shared", "-nostdlib", "-Wl,--build-id=none")
LIBRARIES = ("-lm",)


def build(units: Sequence[str], *, label: str, origin: str = "", store: Store | None = None) -> Path:
    """The shared library of some translation units, compiled unless the cache has it.

    units:  C++ texts; they may include the headers beside this file
    label:  what the cache's listing calls it; origin: where it came from (a model's name, a source line)

    Raises CompilerNotFound where a compiler is needed and missing, CompilerFailed where it rejects the source
    (the message has the compiler's words, and where the source is if `config.keep_failed` asks for it), and what the store raises.
    """
    store = default_store() if store is None else store
    return build_library(list(units), lambda: units, label=label, origin=origin, store=store)


def build_library(
    source: Any, units: Callable[[], Sequence[str]], *, label: str, origin: str = "", store: Store
) -> Path:
    """As `build`, for a library that is known by `source`, JSON data that determines its units. Raises what `build` raises."""
    cpu = host_cpu()
    try:
        compiler = find_compiler()
    except CompilerNotFound:
        path = find_library(source, store)
        if path is None:
            raise
        return path
    entry = store.get_or_build(
        library_key(source, cpu, compiler.identity),
        lambda folder: compile_units(units(), folder, compiler, cpu),
        {"label": f"{label} (cpp)", "origin": origin},
    )
    _remember_compiler(store, cpu, compiler.identity)
    return entry.path(LIBRARY)


def find_library(source: Any, store: Store) -> Path | None:
    """The library known by `source`, if the cache has it."""
    cpu = host_cpu()
    for compiler in compilers(store, cpu):
        if (entry := store.get(library_key(source, cpu, compiler))) is not None:
            return entry.path(LIBRARY)
    return None


def load(path: Path | str) -> ctypes.CDLL:
    """Load a kernel library and give it the process's OpenMP runtime. It is unloaded with the last that holds it or a function of
    its (which hold each other, until the collector comes).
    """
    library = ctypes.CDLL(str(path))
    weakref.finalize(library, _ctypes.dlclose, library._handle).atexit = False
    library.quern_set_runtime(ctypes.byref(runtime()))
    return library


def compile_units(units: Sequence[str], folder: Path, compiler: Compiler, cpu: Cpu) -> None:
    """Write the units into `folder` as kernel_0.cpp, ... and compile them there into one library.

    Raises CompilerFailed; with `config.keep_failed` the sources are kept in a temporary folder that the message names.
    """
    sources = [folder / f"kernel_{i}.cpp" for i in range(len(units))]
    for path, text in zip(sources, units):
        path.write_text(text)
    base = [*compiler.command, *FLAGS, *cpu.flags, f"-I{HEADERS}"]
    output = str(folder / LIBRARY)
    if len(sources) == 1:
        _run([[*base, *LINK_FLAGS, str(sources[0]), "-o", output, *LIBRARIES]], units)
        return
    objects = [path.with_suffix(".o") for path in sources]
    _run([[*base, "-c", str(s), "-o", str(o)] for s, o in zip(sources, objects)], units)
    _run([[*base, *LINK_FLAGS, *map(str, objects), "-o", output, *LIBRARIES]], units)
    for path in objects:
        path.unlink()


def _run(commands: list[list[str]], units: Sequence[str]) -> None:
    """Run the commands, as many at once as there are processors. Raises CompilerFailed at the first that fails."""
    waiting = list(commands)
    running: list[tuple[subprocess.Popen, list[str], IO[bytes]]] = []
    width = os.cpu_count() or 1
    try:
        while waiting or running:
            while waiting and len(running) < width:
                # close_fds=False lets Python use posix_spawn: no copy of a large process's page tables
                errors: IO[bytes] = tempfile.TemporaryFile()
                command = waiting.pop(0)
                started = subprocess.Popen(command, close_fds=False, stdin=subprocess.DEVNULL, stderr=errors)
                running.append((started, command, errors))
            process, command, errors = running.pop(0)
            code = process.wait()
            with errors:
                if code != 0:
                    errors.seek(0)
                    raise _failure(command, code, errors.read().decode(errors="replace"), units)
    finally:
        for process, _, errors in running:
            process.kill()
            process.wait()
            errors.close()


def _failure(command: list[str], code: int, message: str, units: Sequence[str]) -> CompilerFailed:
    if config.keep_failed:
        kept = Path(tempfile.mkdtemp(prefix="quern-failed-"))
        for i, text in enumerate(units):
            (kept / f"kernel_{i}.cpp").write_text(text)
        where = f"The source is kept in {kept}"
    else:
        where = "Run again with QUERN_KEEP_FAILED=1 to keep its source"
    lines = message.strip().splitlines()
    shown = "\n  ".join(lines[:20] + ([f"... ({len(lines) - 20} more lines)"] if len(lines) > 20 else []))
    return CompilerFailed(
        f"the C++ compiler rejected a generated kernel (exit code {code}); this is a defect in quern, or the compiler is too "
        f"old (GCC 11 or newer is needed). {where}; please report it.\n"
        f"  command: {' '.join(command)}\n  {shown}"
    )


# --------------------------------------------------------------------------- keys


def library_key(source: Any, cpu: Cpu, compiler: str, kind: str = "cpp-kernel") -> CacheKey:
    """What a library depends on. kind: of another entry that goes with it."""
    flags = [*FLAGS, *LINK_FLAGS, *LIBRARIES, *cpu.flags]
    parts = {
        "source": source,
        "headers": headers_hash(),
        "cpu": cpu.name,
        "compiler": compiler,
        "flags": flags,
    }
    return CacheKey.make(kind, parts)


@functools.cache
def headers_hash() -> str:
    """A hash of every header that a kernel may include."""
    digest = hashlib.sha256()
    for path in sorted(HEADERS.glob("*.h")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


# Keys hold the compiler's version. Where no compiler is installed, the versions that filled this cache are known from
# small entries numbered 0, 1, ...; the kernel is looked up under each.


def _note_key(cpu: Cpu, number: int) -> CacheKey:
    return CacheKey.make("cpp-compiler", {"cpu": cpu.name, "number": number})


def known_compilers(store: Store, cpu: Cpu) -> list[str]:
    """Identities of the compilers that have filled this cache for `cpu`, oldest first."""
    found: list[str] = []
    while (entry := store.get(_note_key(cpu, len(found)))) is not None:
        found.append(entry.read("compiler.txt").decode())
    return found


_remembered: set[tuple[int, str, str]] = set()


def _remember_compiler(store: Store, cpu: Cpu, identity: str) -> None:
    once = (id(store), cpu.name, identity)
    if once in _remembered:
        return
    known = known_compilers(store, cpu)
    if identity not in known:
        store.put(_note_key(cpu, len(known)), {"compiler.txt": identity.encode()}, {"label": identity})
    _remembered.add(once)


def compilers(store: Store, cpu: Cpu) -> list[str]:
    """Identities under which libraries may lie in the cache: this machine's compiler, or those that have filled it, latest first."""
    try:
        return [find_compiler().identity]
    except CompilerNotFound:
        return known_compilers(store, cpu)[::-1]


def toolchain_identity(store: Store | None = None) -> str:
    """What a plan's cache key must hold of the compiler and the CPU.

    Without a compiler: the one that last filled the cache. Raises CompilerNotFound where there is none either.
    """
    cpu = host_cpu()
    try:
        identity = find_compiler().identity
    except CompilerNotFound:
        known = known_compilers(default_store() if store is None else store, cpu)
        if not known:
            raise
        identity = known[-1]
    return f"{identity}; {cpu.name}; {headers_hash()[:16]}"
