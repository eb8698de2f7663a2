"""Compiling NumPy functions in tests, and comparing all that a caller can see: results, types, layouts, arguments."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from numpy_values import equal
from quern.capture.entry.dispatch import CompiledFunction
from quern.capture.entry.execution import eager_backend, inductor_backend
from quern.capture.frontend import frontends, register_frontend
from quern.capture.frontends.numpy.frontend import NumpyFrontend

if not any(f.name == "numpy" for f in frontends()):
    register_frontend(NumpyFrontend())


BACKENDS = {"eager": eager_backend, "inductor": inductor_backend}


def compiled(function: Any, backend: str = "eager", **options: Any) -> CompiledFunction:
    """`function` compiled; one graph unless fullgraph=False is given."""
    return CompiledFunction(function, backend=BACKENDS[backend], **{"fullgraph": True, **options})


def agree(function: Any, *args: Any, backend: str = "eager", rtol: float = 1e-6, strides: bool = True,
          **options: Any) -> CompiledFunction:  # fmt: skip
    """Call plainly and compiled, each with its own copy of the arguments; compare results and arguments."""
    fast = compiled(function, backend, **options)
    check(fast, function, *args, rtol=rtol, strides=strides)
    return fast


def check(fast: Any, function: Any, *args: Any, rtol: float = 1e-6, strides: bool = True) -> Any:
    """One call of both; returns the compiled result."""
    own, theirs = copies(args), copies(args)
    with np.errstate(all="ignore"):
        expected = function(*theirs)
    found = fast(*own)
    equal((found, own), (expected, theirs), rtol, strides, identity=True)
    return found


def copies(args: Any) -> list[Any]:
    """Arguments for one call: overlapping arrays stay overlapping, read-only ones read-only."""
    memo: dict[int, Any] = {}

    def one(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return copy.deepcopy(value)
        if id(value) not in memo:
            base = value
            while isinstance(base.base, np.ndarray):
                base = base.base
            if id(base) not in memo:
                memo[id(base)] = np.copy(base, order="K")
            new_base = memo[id(base)]
            offset = value.__array_interface__["data"][0] - base.__array_interface__["data"][0]
            made = (
                np.ndarray(value.shape, value.dtype, _bytes(new_base), offset, value.strides)
                if value is not base
                else new_base
            )
            made.flags.writeable = value.flags.writeable
            memo[id(value)] = made
        return memo[id(value)]

    return [one(a) for a in args]


def _bytes(base: np.ndarray) -> Any:
    return base if base.flags.c_contiguous else base.T


def some(parameters, every=5):
    """One in `every` in the default suite, all of them in the slow one: each is a loop that is compiled."""
    return [p if k % every == 0 else pytest.param(p, marks=pytest.mark.slow) for k, p in enumerate(parameters)]
