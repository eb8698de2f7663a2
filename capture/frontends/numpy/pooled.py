"""Large results in memory that earlier results have left: NumPy is told where to take it from (NEP 49), and the array owns it as any array does."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ....kernels.cpu import pool

#: large arrays made before the pool is built: programs that make a few do not wait for the compiler
_PATIENCE = 4
#: places in NumPy's table of C functions, which is part of its ABI since 1.22
_SET_HANDLER = 304

Empty = Callable[[tuple[int, ...], Any], np.ndarray]
_made = itertools.count()
_empty: Empty | None = None


def empty(shape: tuple[int, ...], kind: Any) -> np.ndarray:
    """`np.empty` for an array of `pool.LEAST` bytes or more."""
    global _empty
    if _empty is None:
        if next(_made) < _PATIENCE:
            return np.empty(shape, kind)
        _empty = _pooled()
    return _empty(shape, kind)


def _pooled() -> Empty:
    """`np.empty` with memory of the pool; NumPy's own where that cannot be had: no compiler, another NumPy."""
    try:
        capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
            ("PyCapsule_New", ctypes.pythonapi)
        )(pool.handler(), b"mem_handler", None)
        get_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
            ("PyCapsule_GetPointer", ctypes.pythonapi)
        )
        table = ctypes.cast(get_pointer(np._core._multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))  # type: ignore[attr-defined]
        set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[_SET_HANDLER])
        name_of = np._core.multiarray.get_handler_name  # type: ignore[attr-defined]

        def empty(shape: tuple[int, ...], kind: Any) -> np.ndarray:
            before = set_handler(capsule)
            try:
                return np.empty(shape, kind)
            finally:
                set_handler(before)

        usual = name_of()
        works = name_of(empty((pool.LEAST,), np.uint8)) == "quern" and name_of() == usual
    except Exception:  # whatever it is, NumPy's own memory is as good, only slower
        return np.empty
    return empty if works else np.empty
