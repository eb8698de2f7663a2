"""NumPy stand-ins for the `libdevice` functions that generated kernels call, for Triton's interpreter.

float32 functions are evaluated in float64 and rounded once, so they are within half an ulp of the exact value.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np


def _each(function: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    return np.vectorize(function, otypes=[np.float64])


def _lgamma(x: float) -> float:
    if x != x or math.isinf(x):
        return abs(x)
    return math.inf if x <= 0 and x == math.floor(x) else math.lgamma(x)


#: smooth functions, evaluated in float64
SMOOTH: dict[str, Callable[..., np.ndarray]] = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log2": np.log2, "log10": np.log10,
    "log1p": np.log1p, "rsqrt": lambda x: 1 / np.sqrt(x), "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "erf": _each(math.erf), "erfc": _each(math.erfc),
    "lgamma": _each(_lgamma), "pow": np.power, "atan2": np.arctan2, "hypot": np.hypot,
}  # fmt: skip

#: exact functions, evaluated in the operands' own type
EXACT: dict[str, Callable[..., np.ndarray]] = {
    "trunc": np.trunc, "rint": np.rint, "fmod": np.fmod, "copysign": np.copysign, "nextafter": np.nextafter,
    "div_rn": np.divide,
}  # fmt: skip


@functools.cache
def make_libdevice() -> SimpleNamespace:
    """An object with the functions above over the interpreter's tensors."""
    functions = {name: _lift(f, wide=True) for name, f in SMOOTH.items()}
    functions |= {name: _lift(f, wide=False) for name, f in EXACT.items()}
    return SimpleNamespace(**functions)


def _lift(function: Callable[..., np.ndarray], wide: bool) -> Callable[..., Any]:
    import triton.language as tl
    from triton.runtime.interpreter import TensorHandle, interpreter_semantic

    def call(*args: Any) -> Any:
        tensors = [interpreter_semantic.to_tensor(a) for a in args]
        dtype = tensors[0].dtype
        data = [t.handle.data for t in tensors]
        own = data[0].dtype
        made = function(*(a.astype(np.float64) for a in data)) if wide else function(*data)
        made = np.asarray(made).astype(own)
        blocks = [t.type for t in tensors if t.type.is_block()]
        kind = tl.block_type(dtype, list(made.shape)) if blocks else dtype
        return tl.tensor(TensorHandle(made, dtype), kind)

    return call
