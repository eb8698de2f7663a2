"""One workload on one system in this process: prints one line of JSON. Started by `bench.measure.in_fresh_process`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from .measure import steady
from .workloads import NUMPY, TORCH


def compiler(system: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The function that compiles, imported before the clock starts (as a user's program has imported it)."""
    if system == "quern":
        import quern

        return quern.compile
    if system == "torch.compile":
        import torch

        return torch.compile
    if system == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
        return jax.jit
    if system == "numba":
        import numba

        return numba.njit(parallel=True, fastmath=False)
    raise SystemExit(f"unknown system {system!r}")


def difference(a: Any, b: Any) -> float:
    """Largest absolute difference of two results."""
    import numpy as np

    a, b = (np.asarray(v.detach() if hasattr(v, "detach") else v, dtype=np.float64) for v in (a, b))
    return float(np.abs(a - b).max()) if a.size else 0.0


def main(workload: str, system: str, budget: str = "2.0") -> None:
    is_torch = workload in TORCH
    function, args = (TORCH if is_torch else NUMPY)[workload]()
    if is_torch:
        import torch

        torch.set_grad_enabled(False)
    start = time.perf_counter()
    expected = function(*args)
    eager_first = time.perf_counter() - start
    make = compiler(system)
    if system == "jax":
        import types

        import jax
        import jax.numpy as jnp

        # the same function, its `np` being jax.numpy
        function = types.FunctionType(
            function.__code__, {**function.__globals__, "np": jnp}, closure=function.__closure__
        )
        args_there = tuple(jnp.asarray(a) for a in args)
        jitted = make(function)
        call = lambda: jax.block_until_ready(jitted(*args_there))  # noqa: E731
    else:
        compiled = make(function)
        call = lambda: compiled(*args)  # noqa: E731
    start = time.perf_counter()
    result = call()
    first = time.perf_counter() - start
    eager = (TORCH if is_torch else NUMPY)[workload]()[0] if system == "jax" else function
    times = steady({"compiled": call, "eager": lambda: eager(*args)}, budget=float(budget))
    print(
        json.dumps(
            {
                "workload": workload,
                "system": system,
                "first": first,
                "eager_first": eager_first,
                "steady": times["compiled"],
                "eager": times["eager"],
                "difference": difference(result, expected),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
