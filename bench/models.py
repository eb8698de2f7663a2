"""`python -m bench models`: inference of whole models on the CPU, float32, against eager and torch.compile.

    python -m bench models [NAME ...] [--systems eager,quern,torch.compile] [--threads N] [--budget S]
                           [--json FILE]

Each first call is taken in a fresh process with empty caches. Steady times are taken in one more fresh process, in which the systems
take turns; a ratio is the median over the rounds, with its quartiles. `difference` is the largest difference of a result from eager's, as a
share of eager's largest element. With one thread steady times are the thread's own, so that a busy machine disturbs them less. The
models are `bench/model_zoo.py`'s.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .child import compiler, difference
from .measure import in_fresh_process, quartiles, samples, seconds
from .model_zoo import MODELS

SYSTEMS = ("eager", "quern", "torch.compile")


def first(name: str, system: str) -> dict[str, float]:
    """Seconds of the system's first call in this process, eager having run before."""
    model = MODELS[name]()
    model.call(model.module)
    compiled = compiler(system)(model.module)
    return {"first": seconds(lambda: model.call(compiled))}


def steady(name: str, systems: Sequence[str], budget: float) -> dict[str, Any]:
    """Medians and ratios of the systems' times in this process; `quern` over `torch.compile` where both are there."""
    model = MODELS[name]()
    runs = {"eager": model.module}
    expected = model.call(model.module).clone()
    differences = {}
    # torch.compile comes first: it adds an attribute to the module, which an entry of ours would notice
    for system in sorted(set(systems) - {"eager"}, reverse=True):
        runs[system] = compiler(system)(model.module)
        largest = float(expected.abs().max()) or 1.0
        differences[system] = difference(model.call(runs[system]), expected) / largest
    return in_turns({s: lambda f=f: model.call(f) for s, f in runs.items()}, differences, budget)  # type: ignore[misc]


def in_turns(calls: dict[str, Callable[[], Any]], differences: dict[str, float], budget: float) -> dict[str, Any]:
    """The systems' times, and how often they are faster than others."""
    import torch

    turns = samples(calls, budget=budget, clock=time.thread_time if torch.get_num_threads() == 1 else time.perf_counter)

    def times_faster(system: str, than: str) -> tuple[float, float, float]:
        return quartiles([slow / fast for slow, fast in zip(turns[than], turns[system])])

    return {
        "seconds": {s: statistics.median(turns[s]) for s in calls},
        "difference": differences,
        "against eager": {s: times_faster(s, "eager") for s in differences},
        "against torch.compile": times_faster("quern", "torch.compile") if len(differences) == 2 else None,
    }


def run(bench: str, name: str, systems: Sequence[str], threads: int, budget: float) -> dict[str, Any]:
    """All figures of one model, each from a fresh process of this bench's."""
    with tempfile.TemporaryDirectory() as cache:
        compiled = [s for s in systems if s != "eager"]
        cold = {s: _child(bench, "first", name, s, threads, 0.0, cache)["first"] for s in compiled}
        found = _child(bench, "steady", name, ",".join(systems), threads, budget, cache)
    return {"model": name, "cold": cold, **found}


def _child(bench: str, what: str, name: str, systems: str, threads: int, budget: float, cache: str) -> dict[str, Any]:
    return in_fresh_process(f"bench.{bench}", what, name, systems, str(threads), str(budget), cache=cache, timeout=1800)


def table(what: str, rows: Sequence[dict[str, Any]], systems: Sequence[str]) -> Table:
    compiled = [s for s in systems if s != "eager"]
    made = Table(title=f"models, {what} (x: times faster, medians over the rounds, with quartiles)")
    per_system = [h for s in compiled for h in (f"{s} cold s", "ms", "x eager", "difference")]
    for heading in ("model", "eager ms", *per_system, "x torch.compile"):
        made.add_column(heading, justify="left" if heading == "model" else "right")
    for r in rows:
        if "error" in r:
            made.add_row(r["model"], "failed", r["error"].splitlines()[-1][:60])
            continue
        cells = [r["model"], f"{r['seconds']['eager'] * 1e3:.2f}"]
        for s in compiled:
            cells += [f"{r['cold'][s]:.2f}", f"{r['seconds'][s] * 1e3:.2f}", _spread(r["against eager"][s]), f"{r['difference'][s]:.0e}"]  # fmt: skip
        made.add_row(*cells, _spread(r["against torch.compile"]) if r["against torch.compile"] else "")
    return made


def _spread(quartiles: tuple[float, float, float]) -> str:
    low, middle, high = quartiles
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Geometric mean and worst of quern's ratios, by what it is compared with."""
    made = {}
    for against in ("eager", "torch.compile"):
        found = {r["model"]: _quern(r, against) for r in rows if "error" not in r}
        ratios = {name: middle for name, middle in found.items() if middle}
        if ratios:
            worst = min(ratios, key=lambda name: ratios[name])
            mean = statistics.geometric_mean(ratios.values())
            made[against] = {"models": len(ratios), "mean": mean, "worst": worst, "least": ratios[worst]}
    return made


def _quern(row: dict[str, Any], against: str) -> float | None:
    spread = row["against eager"].get("quern") if against == "eager" else row["against torch.compile"]
    return spread[1] if spread else None


def main(argv: list[str]) -> None:
    report("models", "inference", tuple(MODELS), argv, __doc__)


def report(bench: str, what: str, names: Sequence[str], argv: list[str], about: str | None) -> None:
    """Run a bench of models as its command line asks, print its table, and write it as JSON where that is asked."""
    parser = argparse.ArgumentParser(prog=f"python -m bench {bench}", description=about)
    parser.add_argument("models", nargs="*", metavar="NAME", help=f"default: all of {', '.join(names)}")
    parser.add_argument("--systems", default=",".join(SYSTEMS), help=f"default: {','.join(SYSTEMS)}")
    parser.add_argument("--threads", type=int, default=0, help="default: as many as torch takes")
    parser.add_argument("--budget", type=float, default=10.0, help="seconds of steady timing of each model")
    parser.add_argument("--json", type=Path, help="write the rows there too")
    options = parser.parse_args(argv)
    systems = options.systems.split(",")
    for kind, asked, known in (("model", options.models, names), ("system", systems, SYSTEMS)):
        unknown = [a for a in asked if a not in known]
        if unknown:
            parser.error(f"no {kind} {unknown[0]!r}; known: {', '.join(known)}")
    rows = []
    for name in options.models or names:
        try:
            rows.append(run(bench, name, systems, options.threads, options.budget))
        except RuntimeError as error:
            rows.append({"model": name, "error": str(error)})
        print(json.dumps(rows[-1]), file=sys.stderr)
    Console(width=200).print(table(what, rows, systems))
    means = summary(rows)
    for against, s in means.items():
        print(
            f"quern against {against}: geometric mean {s['mean']:.2f} of {s['models']} models, least {s['least']:.2f} ({s['worst']})"
        )
    if options.json:
        found = {
            "python": platform.python_version(), "machine": platform.machine(), "threads": options.threads, "rows": rows,
            "summary": means,
        }  # fmt: skip
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def child(what: str, name: str, systems: str, threads: str, budget: str) -> None:
    """One process of `run`: its last line is JSON."""
    import torch

    torch.set_grad_enabled(False)
    if int(threads):
        torch.set_num_threads(int(threads))
    found = first(name, systems) if what == "first" else steady(name, systems.split(","), float(budget))
    print(json.dumps(found))


if __name__ == "__main__":
    child(*sys.argv[1:])
