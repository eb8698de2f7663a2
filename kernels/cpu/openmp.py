"""The process's OpenMP runtime: the one that is already loaded, else the system's. Never a second one.

A framework may bring its own copy of libgomp, libiomp5 or libomp; loading another beside it would start a second
pool of threads on the same cores. Kernel libraries are therefore linked to none: they get three functions of the
runtime found here (see parallel.h). libiomp5 and libomp export GOMP_parallel too.
"""

from __future__ import annotations

import ctypes
import functools
import re
import warnings

_RUNTIME = re.compile(r"/lib(gomp|iomp5|omp)\b[^/]*\.(so|dylib)[^/]*$")
_NAMES = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")


class Runtime(ctypes.Structure):
    """struct Runtime of parallel.h; null pointers mean: run on the calling thread."""

    _fields_ = [("parallel", ctypes.c_void_p), ("thread", ctypes.c_void_p), ("team", ctypes.c_void_p)]


def loaded_runtimes() -> list[str]:
    """Paths of the OpenMP runtimes mapped into this process, in address order, each once."""
    try:
        with open("/proc/self/maps") as file:
            paths = [line.rstrip("\n").split(None, 5)[5] for line in file if line.count("/")]
    except (OSError, IndexError):
        return []
    return list(dict.fromkeys(p for p in paths if _RUNTIME.search(p)))


@functools.cache
def runtime() -> Runtime:
    """The functions kernels start threads with. Where there is no OpenMP runtime: nulls, and one warning."""
    for name in [*loaded_runtimes(), "libgomp.so.1", "libomp.so.5", "libomp.so", "libiomp5.so"]:
        try:
            library = ctypes.CDLL(name)  # an already loaded path gives that very library
            addresses = [ctypes.cast(getattr(library, n), ctypes.c_void_p).value for n in _NAMES]
        except (OSError, AttributeError):
            continue
        return Runtime(*addresses)
    warnings.warn(
        "no OpenMP runtime was found (libgomp.so.1, libomp.so, libiomp5.so): generated kernels run on one thread. "
        "Install one, e.g. `apt install libgomp1`",
        RuntimeWarning,
        stacklevel=2,
    )
    return Runtime(None, None, None)
