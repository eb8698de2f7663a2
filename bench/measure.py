"""Honest timing inside one process, and one fresh process per figure that must be cold."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def seconds(call: Callable[[], Any]) -> float:
    """One call's wall time."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def samples(
    calls: dict[str, Callable[[], Any]],
    *,
    budget: float = 2.0,
    least: int = 5,
    lasting: float = 2e-4,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each call, one sample a round, taken in turns so that a drifting machine drifts for all alike.

    budget: seconds in all; short calls are repeated inside one sample until it is about `lasting` seconds.
    """
    repeats = {}
    for name, call in calls.items():
        call()
        once = min(seconds(call) for _ in range(3))
        repeats[name] = max(1, int(lasting / max(once, 1e-7)))
    found: dict[str, list[float]] = {name: [] for name in calls}
    start = time.perf_counter()
    while time.perf_counter() - start < budget or len(next(iter(found.values()))) < least:
        for name, call in calls.items():
            k = repeats[name]
            begin = clock()
            for _ in range(k):
                call()
            found[name].append((clock() - begin) / k)
    return found


def steady(calls: dict[str, Callable[[], Any]], *, budget: float = 2.0, least: int = 5) -> dict[str, float]:
    """Median seconds of each call, see `samples`."""
    return {name: statistics.median(values) for name, values in samples(calls, budget=budget, least=least).items()}


def quartiles(values: list[float]) -> tuple[float, float, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return low, middle, high


def in_fresh_process(module: str, *args: str, cache: str, timeout: float = 600) -> dict[str, Any]:
    """Run `python -m module args` with all compiler caches in the folder `cache`; its last line is JSON.

    Raises RuntimeError with the end of the child's output when it fails.
    """
    env = {
        **os.environ,
        "QUERN_CACHE_DIR": f"{cache}/quern",
        "TORCHINDUCTOR_CACHE_DIR": f"{cache}/inductor",
        "TRITON_CACHE_DIR": f"{cache}/triton",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
    }
    done = subprocess.run(
        [sys.executable, "-m", module, *args], env=env, cwd=ROOT, capture_output=True, text=True, timeout=timeout
    )
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(args)} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
