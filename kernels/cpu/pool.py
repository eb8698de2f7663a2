"""Memory of large arrays that is kept for the next of the same size (pool.h)."""

from __future__ import annotations

import ctypes
import functools

from .build import build, load

#: bytes of the smallest array that is worth it (POOL_LEAST in pool.h)
LEAST = 1 << 20


@functools.cache
def handler() -> int:
    """The address of the memory handler, a `PyDataMem_Handler`, which lives as long as the process. Raises what `build` raises."""
    library = load(build(['#include "parallel.h"\n#include "pool.h"\n'], label="memory pool"))
    _libraries.append(library)
    return ctypes.addressof(ctypes.c_char.in_dll(library, "quern_pool"))


#: arrays in use hold addresses in it
_libraries: list[ctypes.CDLL] = []
