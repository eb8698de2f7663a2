"""`python -m bench capture`: how long capture takes, model by model, against Dynamo's.

What is measured, for either system, in a process of its own: the first call of the compiled model, from the call until the
graph runs for the first time, less the time inside the backend (which does nothing but hand the graph on). Times are the
processor's (both systems capture in one thread), so that other work on the machine does not count; wall times stand beside them. So it holds the evaluation of the bytecode, the building of the graph, of the guards and of the code around the graph, and
one check of the guards; it holds no backend and no kernels. Before the clock starts, everything is imported, the model has run once in eager, and
a function of one op has been captured, so that neither system pays for its imports and first-use set-up.

Each process is forked from one that has imported the libraries and captured nothing. The systems take turns.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .measure import ROOT

SYSTEMS = ("quern", "dynamo")


def _zoo() -> Any:
    sys.path.insert(0, str(ROOT / "tests" / "models"))
    return importlib.import_module("zoo")


def now() -> tuple[float, float]:
    """Processor time and wall time, in seconds."""
    return time.process_time(), time.perf_counter()


def between(start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
    return end[0] - start[0], end[1] - start[1]


class Clock:
    """A backend for either system that notes when it is called and when its function first runs."""

    def __init__(self) -> None:
        self.asked = self.answered = self.entered = (0.0, 0.0)
        self.graphs = 0

    def backend(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """What the compiled code calls in place of the graph."""

        def first(*inputs: Any) -> Any:
            if not self.entered[1]:
                self.entered = now()
            return run(*inputs)

        self.answered = now()
        return first

    def for_dynamo(self, gm: Any, inputs: Any) -> Callable[..., Any]:
        self.asked, self.graphs = now(), self.graphs + 1
        return self.backend(gm.forward)

    def for_quern(self, graph: Any, inputs: Any, context: Any) -> Callable[..., Any]:
        from quern.capture.entry.execution import eager_backend

        self.asked, self.graphs = now(), self.graphs + 1
        run: list[Any] = []

        def later(*given: Any) -> Any:  # the interpreter is made when it is needed: it is no part of capture
            if not run:
                run.append(eager_backend(graph, inputs, context).call)
            return run[0](*given)

        return self.backend(later)


def _compile(system: str, target: Any, clock: Clock) -> Any:
    if system == "dynamo":
        import torch

        return torch.compile(target, backend=clock.for_dynamo, fullgraph=True)
    from quern import api

    made = api.compile(target, backend="eager", fullgraph=True)
    for function in api.functions_of(made):
        function.backend = clock.for_quern
    return made


def measure(system: str, name: str) -> dict[str, Any]:
    """One model on one system, in this process."""
    import torch

    import quern

    torch.set_num_threads(1)
    sample = _zoo().ALL[name]
    module, arguments = sample.module(), sample.call_arguments(0)
    quern.compile(lambda x: x + 1, backend="eager")  # connects the front ends
    with torch.no_grad():
        module(**arguments)
        _compile(system, torch.nn.ReLU(), Clock())(torch.ones(2))
        clock = Clock()
        compiled = _compile(system, module, clock)
        began = now()
        compiled(**arguments)
    until, wall_until = between(began, clock.asked)
    after, wall_after = between(clock.answered, clock.entered)
    return {
        "until_backend": until,
        "seconds": until + after,
        "wall": wall_until + wall_after,
        "graphs": clock.graphs,
    }


def in_fork(system: str, name: str) -> dict[str, Any]:
    """`measure` in a forked process."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = measure(system, name)
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"error": "the process died"}


def rows_for(names: list[str], repeats: int) -> list[dict[str, Any]]:
    """One row per model: medians over the repeats, each repeat a process per system."""
    rows = []
    for name in names:
        samples: dict[str, list[dict[str, Any]]] = {system: [] for system in SYSTEMS}
        for repeat in range(repeats):
            for system in SYSTEMS if repeat % 2 == 0 else SYSTEMS[::-1]:
                samples[system].append(in_fork(system, name))
        failed = [s["error"] for made in samples.values() for s in made if "error" in s]
        if failed:
            rows.append({"model": name, "error": failed[0]})
        else:
            row: dict[str, Any] = {"model": name}
            for system in SYSTEMS:
                for key, figure in (("", "seconds"), ("_until_backend", "until_backend"), ("_wall", "wall")):
                    row[system + key] = round(statistics.median(s[figure] for s in samples[system]), 4)
                row[f"{system}_graphs"] = samples[system][0]["graphs"]
            row["ratio"] = round(row["dynamo"] / row["quern"], 1)
            rows.append(row)
        print(json.dumps(rows[-1]), file=sys.stderr)
    return rows


def table(rows: list[dict[str, Any]]) -> Table:
    made = Table(
        title="capture alone: first call until the graph runs, without backend (processor time, medians of fresh processes)"
    )
    for heading in ("model", "quern ms", "Dynamo ms", "times faster"):
        made.add_column(heading, justify="left" if heading == "model" else "right")
    for r in rows:
        if "error" in r:
            made.add_row(r["model"], "failed", r["error"][:60], "")
        else:
            made.add_row(r["model"], f"{r['quern'] * 1e3:.0f}", f"{r['dynamo'] * 1e3:.0f}", f"{r['ratio']:.1f}")
    return made


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench capture", description=__doc__)
    parser.add_argument("models", nargs="*", help="default: the named models of tests/models/zoo.py")
    parser.add_argument("--repeats", type=int, default=3, help="processes per model and system")
    parser.add_argument("--json", type=Path, help="write the rows there too")
    options = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    import quern.capture.frontends.torch.frontend  # noqa: F401
    import torch
    import torch._dynamo  # noqa: F401 - imported before the forks
    import transformers

    transformers.logging.set_verbosity_error()
    zoo = _zoo()
    names = options.models or [s.name for s in zoo.NAMED]
    unknown = [n for n in names if n not in zoo.ALL]
    if unknown:
        parser.error(f"no model {unknown[0]!r} in tests/models/zoo.py")
    rows = rows_for(names, options.repeats)
    Console().print(table(rows))
    ratios = [r["ratio"] for r in rows if "ratio" in r]
    print(f"least ratio {min(ratios):.1f}, median {statistics.median(ratios):.1f}, largest {max(ratios):.1f}")
    about = {
        "what": " ".join(__doc__.split("\n\n")[1].split()),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
        "repeats": options.repeats,
        "rows": rows,
    }
    if options.json:
        options.json.write_text(json.dumps(about, indent=1) + "\n")
