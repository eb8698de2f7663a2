"""NumPy as inductor sees it at run time."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from ....config import config
from ....errors import LoweringError
from ....inductor.dtypes import ALL, DType
from ....inductor.float_errors import FloatErrors
from ....inductor.graph import TensorMeta
from ....kernels.cpu.pool import LEAST
from ....kernels.device import usable_cpus
from . import layout, memory, pooled
from .errstate import BITS


def _table_ops() -> Any:
    """The op table in NumPy, loaded by the first plan with a step that no kernel was generated for."""
    from . import table_ops

    return table_ops


#: by name, which hashes faster than a DType
_KINDS = {name: layout.numpy_dtype(dtype) for name, dtype in ALL.items() if name != "bfloat16"}


@functools.lru_cache(4096)
def _is_row_major(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether these are the strides that NumPy gives a new array; those of axes of size 1 may be others. Those of an array without
    elements are NumPy's.
    """
    return 0 in shape or stride == layout.c_strides(shape)


class NumpyRuntime:
    """`inductor.runtime.Runtime` for ndarrays."""

    name = "numpy"
    graph_decides_layouts = True

    def __init__(self) -> None:
        self.data_ptr: Callable[[Any], int] = memory.data_pointer
        given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
        self._threads = int(given) if given.isdigit() and int(given) > 0 else usable_cpus()

    def version(self) -> str:
        return np.__version__

    def empty(self, shape: tuple[int, ...], stride: tuple[int, ...], dtype: DType, device: str) -> np.ndarray:
        kind = _KINDS[dtype.name]
        if _is_row_major(shape, stride):
            return (pooled.empty if math.prod(shape) * kind.itemsize >= LEAST else np.empty)(shape, kind)
        return memory.empty_strided(shape, stride, kind)

    def soil(self, array: np.ndarray) -> None:
        while isinstance(array.base, np.ndarray):
            array = array.base
        if array.flags.c_contiguous:
            array.reshape(-1).view(np.uint8)[...] = 255

    def as_strided(self, array: Any, shape: tuple[int, ...], stride: tuple[int, ...], offset: int) -> np.ndarray:
        return memory.strided(array, shape, stride, offset)

    def laid_out(self, array: Any, stride: tuple[int, ...]) -> Any:
        return memory.laid_out(array, stride)

    def meta_of(self, array: Any) -> TensorMeta:
        return memory.meta_of(array)

    def copy_(self, target: Any, source: Any) -> None:
        target[...] = source

    def not_kept(self, array: Any) -> str:
        return "NumPy counts no writes"

    def stamps(self, arrays: Sequence[Any]) -> None:
        """NumPy counts no writes."""
        return None

    def begin_writes(self, stored: Sequence[np.ndarray], copied: Sequence[np.ndarray]) -> None:
        if not all(map(memory.is_writeable, (*stored, *copied))):
            raise ValueError("assignment destination is read-only")

    def run_op(self, op: str, library: str = "") -> Callable[..., Any]:
        found: Callable[..., Any] = _table_ops().run(op)
        return found

    def resolve(self, target: str) -> Callable[..., Any]:
        found: Callable[..., Any] = _table_ops().resolve(target)
        return found

    def encode(self, value: Any) -> Any:
        return layout.numpy_dtype(value) if isinstance(value, DType) else value

    def num_threads(self) -> int:
        """`config.threads`, else what OMP_NUM_THREADS said at the start, else the CPUs this process may use."""
        return self._threads if config.threads is None else config.threads

    def isolate(self, run: Callable[..., Any], what: frozenset[str]) -> Callable[..., Any]:
        """NumPy does nothing of the kind."""
        return run

    def replayable(self, run: Callable[..., Any], devices: Collection[str]) -> Callable[..., Any]:
        """NumPy's random numbers are drawn outside of graphs."""
        return run

    def noting(self, run: Callable[..., Any], errors: int) -> Callable[..., Any]:
        def met(text: str, error: int) -> None:
            if error & errors:
                raise FloatErrors(text)

        modes: Any = {name: "call" if bit & errors else "ignore" for name, bit in BITS.items()}

        @functools.wraps(run)
        def call(*inputs: Any) -> Any:
            with np.errstate(call=met, **modes):
                return run(*inputs)

        return call

    def differentiable(self, part: Any) -> Callable[..., Sequence[Any]]:
        raise LoweringError("[numpy] arrays have no gradients")

    def set_grad(self, mode: bool) -> bool:
        """False: NumPy records no gradients."""
        return False

    def stream(self, device: str) -> int:
        return 0
