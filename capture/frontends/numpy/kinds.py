"""Which objects are NumPy's own."""

from __future__ import annotations

import types
from typing import Any

import numpy as np

#: what np.sum and most functions of NumPy are: Python functions behind a dispatcher written in C
DISPATCHER = type(np.sum)
#: held objects of NumPy that are called
CALLABLES = (np.ufunc, DISPATCHER)


def is_numpy(fn: Any) -> bool:
    module = getattr(fn, "__module__", None)
    return isinstance(module, str) and (module == "numpy" or module.startswith("numpy."))


def is_of_numpy(fn: Any) -> bool:
    """Whether a callable may be one that `objects` knows: a function or class of NumPy, a ufunc of anybody, a ufunc's method."""
    owner = fn.__self__ if isinstance(fn, types.BuiltinFunctionType) else None
    return isinstance(fn, CALLABLES) or isinstance(owner, np.ufunc) or is_numpy(fn)
