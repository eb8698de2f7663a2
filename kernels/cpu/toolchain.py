"""Which C++ compiler, and for which kind of CPU. Nothing here is run before a kernel has to be built."""

from __future__ import annotations

import functools
import os
import platform
import shlex
import shutil
import subprocess
from dataclasses import dataclass

from ...config import config
from ...errors import CompilerNotFound, UserError

#: newest first; each level of the x86-64 psABI and the /proc/cpuinfo flags that it stands for
_X86_LEVELS = (
    ("x86-64-v4", 64, "avx512f avx512bw avx512cd avx512dq avx512vl avx2 fma bmi1 bmi2 f16c movbe"),
    ("x86-64-v3", 32, "avx2 fma bmi1 bmi2 f16c movbe"),
    ("x86-64-v2", 16, "sse4_2 popcnt ssse3 cx16"),
)
#: instructions beyond a level that some kernel uses: (flag in /proc/cpuinfo, compiler option)
_X86_EXTRAS = (("avx512_bf16", "avx512bf16"), ("avx512_vnni", "avx512vnni"))


@dataclass(frozen=True)
class Cpu:
    """A kind of CPU, shared by all machines that have the same instructions.

    name:         enters cache keys, e.g. "x86-64-v4+avx512bf16+avx512vnni"; never a host's name
    vector_bytes: width of a vector register as vector.h will choose it
    flags:        compiler options that select it
    """

    name: str
    vector_bytes: int
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Compiler:
    """command: program (absolute path) and leading arguments; identity: its name and version, for cache keys."""

    command: tuple[str, ...]
    identity: str


def x86_cpu(features: set[str]) -> Cpu:
    """The best level whose instructions are all in `features` (names as in /proc/cpuinfo)."""
    for level, vector_bytes, needs in _X86_LEVELS:
        if features.issuperset(needs.split()):
            extras = [option for flag, option in _X86_EXTRAS if flag in features and vector_bytes == 64]
            return Cpu("+".join([level, *extras]), vector_bytes, (f"-march={level}", *(f"-m{e}" for e in extras)))
    return Cpu("x86-64", 16, ("-march=x86-64",))


def _cpu_features() -> set[str]:
    """The first processor's feature names; empty where the system does not tell."""
    try:
        with open("/proc/cpuinfo", "rb") as file:
            head = file.read(8192).decode(errors="replace")
    except OSError:
        return set()
    for line in head.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return set()


def host_cpu() -> Cpu:
    """The kind of CPU that this process runs on, held down to `config.cpu_level` where that is set.

    Raises UserError for a level that there is not, or that this CPU lacks.
    """
    return _host_cpu(config.cpu_level)


@functools.cache
def _host_cpu(level: str | None) -> Cpu:
    machine = platform.machine().lower()
    features = _cpu_features()
    if level is not None:
        return _held_down(level, features if machine in ("x86_64", "amd64") else set())
    if machine in ("x86_64", "amd64") and features:
        return x86_cpu(features)
    if machine in ("aarch64", "arm64") and features:
        return Cpu("aarch64+" + "+".join(sorted(features)), 16, ("-mcpu=native",))
    return Cpu(f"{machine}-{platform.processor()}", 16, ("-march=native",) if machine == "x86_64" else ())


def _held_down(level: str, features: set[str]) -> Cpu:
    """The cpu of a level of the x86-64 psABI, without instructions beyond it."""
    for name, vector_bytes, needs in _X86_LEVELS:
        if name == level and features.issuperset(needs.split()):
            return Cpu(level, vector_bytes, (f"-march={level}",))
    has = [name for name, _, needs in _X86_LEVELS if features.issuperset(needs.split())]
    raise UserError(
        f"quern.config.cpu_level (or $QUERN_CPU_LEVEL) asks for code for {level!r}, and this CPU has "
        f"{', '.join(has) or 'none of the x86-64 levels'}; choose one of these, or leave it unset for the best"
    )


def find_compiler() -> Compiler:
    """The compiler to use: `config.cxx`, `$CXX`, g++, clang++, the first that is installed.

    Raises CompilerNotFound, also where the one asked for by name is missing.
    """
    asked = config.cxx or os.environ.get("CXX")
    for command in [asked] if asked else ["g++", "clang++"]:
        words = shlex.split(command)
        path = shutil.which(words[0]) if words else None
        if path is not None:
            return Compiler((path, *words[1:]), _identity(path, tuple(words[1:])))
    what = f"the C++ compiler {asked!r} (from quern.config.cxx or $CXX)" if asked else "a C++ compiler (g++ or clang++)"
    raise CompilerNotFound(
        f"{what} was not found on the PATH, and this kernel is not in the cache. Install one: `apt install g++` "
        "(Debian, Ubuntu), `dnf install gcc-c++` (Fedora, RHEL), `apk add g++` (Alpine), `conda install gxx` (conda); or "
        "set quern.config.cxx or $CXX. A warm cache needs no compiler: QUERN_CACHE_DIR can point to one that was filled "
        "on another machine with the same kind of CPU (`quern cache export` and `import` carry it over)"
    )


@functools.cache
def _identity(path: str, arguments: tuple[str, ...]) -> str:
    """Name and version, as `g++ 12.2.0`: the first line of --version without the path it was called by."""
    try:
        done = subprocess.run([path, *arguments, "--version"], capture_output=True, text=True, close_fds=False)
    except OSError as error:
        raise CompilerNotFound(f"the C++ compiler {path} cannot be run: {error}") from error
    first = done.stdout.splitlines()[0].strip() if done.stdout.strip() else "unknown version"
    return " ".join([first, *arguments])
