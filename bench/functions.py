"""`python -m bench functions`: NumPy functions over one to eight million elements, against NumPy, numexpr, Numba and JAX.
`python -m bench numpy`: NumPy programs with loops, against NumPy and Numba.

    python -m bench functions|numpy [NAME ...] [--systems numexpr,numba,jax,...] [--threads N[,N...]] [--budget S] [--json FILE]

The programs are those of `bench/function_zoo.py` and `bench/loop_zoo.py`, and every system gets the same one: Numba with `@njit(parallel=True)` (loops
in order: without `parallel`), JAX jitted, with 64-bit types and its arguments on its side beforehand, numexpr the string that stands beside it. What
a program of the second kind may write to is copied for each call, which every system's time has in it. A system that is not installed, or cannot run a program, is
left out and named. Each program runs in a fresh process that may use as many processors as it has threads, and in which the systems
take turns; a ratio is the median over the rounds, with its quartiles. With one thread times are processor time of the whole process, so that
a busy machine disturbs them less. `difference` is the largest from NumPy's result, as a share of its largest element.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from . import function_zoo, loop_zoo
from .function_zoo import Program
from .measure import in_fresh_process, quartiles, samples, seconds

#: besides NumPy itself
SYSTEMS = {"functions": ("quern", "numba", "jax", "numexpr"), "numpy": ("quern", "numba")}
ZOOS = {"functions": function_zoo.PROGRAMS, "numpy": loop_zoo.PROGRAMS}


#: how far a result may be from NumPy's, as a share of its largest element: float32 sums of millions
TOLERANCE = 1e-3


class CannotRun(Exception):
    """A system has no way to say a program, or means something else by it."""


def _given(program: Program, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of one call."""
    return tuple(x.copy() if isinstance(x, np.ndarray) else x for x in inputs) if program.writes else inputs


def _quern(program: Program, inputs: tuple[Any, ...], threads: int) -> Callable[[], Any]:
    import quern

    compiled = quern.compile(program.function, fullgraph=True, options={"threads": threads})
    return lambda: compiled(*_given(program, inputs))


def _numba(program: Program, inputs: tuple[Any, ...], threads: int) -> Callable[[], Any]:
    import numba

    function = program.function
    helpers = {
        k: numba.njit(v)
        for k, v in function.__globals__.items()
        if k in function.__code__.co_names and inspect.isfunction(v)
    }
    if helpers:
        function = types.FunctionType(function.__code__, {**function.__globals__, **helpers})
    compiled = numba.njit(parallel=not program.writes, fastmath=False)(function)
    return lambda: compiled(*_given(program, inputs))


def _jax(program: Program, inputs: tuple[Any, ...], threads: int) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    there = types.FunctionType(program.function.__code__, {**program.function.__globals__, "np": jnp})
    compiled, moved = jax.jit(there), tuple(jnp.asarray(x) for x in inputs)
    return lambda: jax.block_until_ready(compiled(*moved))


def _numexpr(program: Program, inputs: tuple[Any, ...], threads: int) -> Callable[[], Any]:
    import numexpr

    if not program.numexpr:
        raise CannotRun("no such expression")
    numexpr.set_num_threads(threads)
    named = dict(zip(inspect.signature(program.function).parameters, inputs))
    return lambda: numexpr.evaluate(program.numexpr, local_dict=named)


MAKE = {"quern": _quern, "numba": _numba, "jax": _jax, "numexpr": _numexpr}


def difference(got: Any, wanted: Any) -> float:
    """Largest absolute difference as a share of the largest element, over all parts of the results. NaN where shapes differ."""
    if wanted is None:
        return 0.0
    if isinstance(wanted, tuple):
        return max((difference(g, w) for g, w in zip(got, wanted, strict=True)), default=0.0)
    g, w = (np.asarray(x, np.result_type(x, np.float64)) for x in (got, wanted))
    if g.shape != w.shape:
        return float("nan")
    return float(np.abs(g - w).max() / (np.abs(w).max() or 1.0))


def measure(zoo: str, name: str, systems: Sequence[str], threads: int, budget: float) -> dict[str, Any]:
    """One program in this process: first calls, medians, NumPy's time over each system's, quern's speed over each system's."""
    program = ZOOS[zoo][name]
    inputs = program.inputs(np.random.default_rng(0))
    calls: dict[str, Callable[[], Any]] = {"numpy": lambda: program.function(*_given(program, inputs))}
    wanted = calls["numpy"]()
    cold, differences, cannot = {}, {}, {}
    for system in systems:
        try:
            call = MAKE[system](program, inputs, threads)
            cold[system] = seconds(call)
            differences[system] = difference(call(), wanted)
            if not differences[system] <= TOLERANCE:
                raise CannotRun(f"another result: {differences.pop(system):.0e} from NumPy's")
        except Exception as error:  # whatever a peer says to a program that it cannot run
            if system == "quern":
                raise
            cannot[system] = f"{type(error).__name__}: {str(error).strip()}".splitlines()[0][:120]
            continue
        calls[system] = call
    turns = samples(calls, budget=budget, lasting=2e-3, clock=time.process_time if threads == 1 else time.perf_counter)

    def times_faster(system: str, than: str) -> tuple[float, float, float]:
        return quartiles([slow / fast for slow, fast in zip(turns[than], turns[system])])

    return {
        "cold": cold,
        "seconds": {s: statistics.median(turns[s]) for s in calls},
        "difference": differences,
        "cannot": cannot,
        "against numpy": {s: times_faster(s, "numpy") for s in differences},
        "quern against": {s: times_faster("quern", s) for s in differences if s != "quern" and "quern" in differences},
    }


def run(zoo: str, name: str, systems: Sequence[str], threads: int, budget: float) -> dict[str, Any]:
    """The figures of one program from a fresh process with empty caches."""
    with tempfile.TemporaryDirectory() as cache:
        arguments = (zoo, name, ",".join(systems), str(threads), str(budget))
        return {
            "program": name,
            "threads": threads,
            **in_fresh_process("bench.functions", *arguments, cache=cache, timeout=1800),
        }


def table(rows: Sequence[dict[str, Any]], systems: Sequence[str], threads: int) -> Table:
    made = Table(
        title=f"NumPy functions, {threads} thread{'s' * (threads > 1)}: x: times faster than NumPy, medians (quartiles of quern's)"
    )
    peers = [s for s in systems if s != "quern"]
    for heading in ("program", "numpy ms", "quern ms", "x", *(f"{s} x" for s in peers), "cold s", "difference"):
        made.add_column(heading, justify="left" if heading == "program" else "right")
    for r in rows:
        if "error" in r:
            made.add_row(r["program"], "failed", r["error"].splitlines()[-1][:60])
            continue
        low, middle, high = r["against numpy"]["quern"]
        ahead = [f"{r['against numpy'][s][1]:.2f}" if s in r["against numpy"] else "-" for s in peers]
        made.add_row(
            r["program"], f"{r['seconds']['numpy'] * 1e3:.2f}", f"{r['seconds']['quern'] * 1e3:.2f}",
            f"{middle:.2f} ({low:.2f}-{high:.2f})", *ahead, f"{r['cold']['quern']:.2f}", f"{r['difference']['quern']:.0e}",
        )  # fmt: skip
    return made


def summary(rows: Sequence[dict[str, Any]], systems: Sequence[str]) -> dict[str, dict[str, Any]]:
    """quern against NumPy and each peer where both run: geometric mean, how many, which are behind (by 3 % or more)."""
    made = {}
    for against in ("numpy", *(s for s in systems if s != "quern")):
        ratios = {}
        for r in rows:
            spread = (
                r.get("against numpy", {}).get("quern")
                if against == "numpy"
                else r.get("quern against", {}).get(against)
            )
            if spread:
                ratios[r["program"]] = spread[1]
        if ratios:
            behind = {n: round(x, 2) for n, x in sorted(ratios.items(), key=lambda i: i[1]) if x < 0.97}
            made[against] = {
                "programs": len(ratios),
                "mean": statistics.geometric_mean(ratios.values()),
                "behind": behind,
            }
    return made


def main(argv: list[str], zoo: str = "functions") -> None:
    programs, systems_known = ZOOS[zoo], SYSTEMS[zoo]
    parser = argparse.ArgumentParser(prog=f"python -m bench {zoo}", description=__doc__)
    parser.add_argument("programs", nargs="*", metavar="NAME", help=f"default: all of {', '.join(programs)}")
    parser.add_argument("--systems", default=",".join(systems_known), help=f"default: {','.join(systems_known)}")
    parser.add_argument("--threads", default="1,2", help="one run for each number; default: 1,2")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds of steady timing of each program")
    parser.add_argument("--json", type=Path, help="write the rows there too")
    options = parser.parse_args(argv)
    asked = ["quern", *(s for s in options.systems.split(",") if s != "quern")]
    for kind, names, known in (("program", options.programs, programs), ("system", asked, MAKE)):
        unknown = [a for a in names if a not in known]
        if unknown:
            parser.error(f"no {kind} {unknown[0]!r}; known: {', '.join(known)}")
    absent = [s for s in asked if not importlib.util.find_spec(s)]
    systems = [s for s in asked if s not in absent]
    rows, means = [], {}
    for threads in map(int, options.threads.split(",")):
        here = []
        for name in options.programs or programs:
            try:
                here.append(run(zoo, name, systems, threads, options.budget))
            except RuntimeError as error:
                here.append({"program": name, "threads": threads, "error": str(error)})
            print(json.dumps(here[-1]), file=sys.stderr)
        Console(width=180).print(table(here, systems, threads))
        means[threads] = summary(here, systems)
        for against, s in means[threads].items():
            behind = ", ".join(f"{n} {x}" for n, x in s["behind"].items()) or "none"
            print(
                f"quern against {against}, {threads} threads: geometric mean {s['mean']:.2f} of {s['programs']}; behind: {behind}"
            )
        rows += here
    for system in absent:
        print(f"{system} is not installed: left out")
    if options.json:
        about = {
            "python": platform.python_version(), "numpy": np.__version__, "machine": platform.machine(), "absent": absent,
            "summary": means, "rows": rows,
        }  # fmt: skip
        options.json.write_text(json.dumps(about, indent=1) + "\n")


def child(zoo: str, name: str, systems: str, threads: str, budget: str) -> None:
    """One process of `run`: its last line is JSON."""
    if hasattr(os, "sched_setaffinity"):  # JAX takes as many threads as there are processors
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    os.environ.update({"NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "passive"})
    print(json.dumps(measure(zoo, name, systems.split(","), int(threads), float(budget))))


if __name__ == "__main__":
    child(*sys.argv[1:])
