"""`make demo`: a transformer and a NumPy function, compiled cold, then found warm by a second process.

Every figure is measured here and now. The cold part uses an empty cache in a temporary folder, the warm part a new process with that
same folder; steady times are medians, taken in turns with eager.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from quern.cache import default_store
from quern.inductor.compile import COUNTERS
from rich.console import Console
from rich.table import Table

import quern
from quern.api import functions_of

from .child import difference
from .measure import in_fresh_process, steady
from .workloads import NUMPY, make_gpt


def transformer() -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A GPT-style forward: 4 layers, width 384, 128 tokens."""
    import torch

    torch.set_grad_enabled(False)
    return make_gpt(layers=4, width=384, tokens=128)


def numpy_function() -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Black-Scholes prices of a million options."""
    return NUMPY["black_scholes"]()


WORKLOADS = {"transformer": transformer, "numpy": numpy_function}


def run(name: str, budget: float) -> dict[str, Any]:
    """Compile one workload in this process and measure it."""
    function, args = WORKLOADS[name]()
    expected = function(*args)
    compiled = quern.compile(function)
    start = time.perf_counter()
    result = compiled(*args)
    first = time.perf_counter() - start
    times = steady({"compiled": lambda: compiled(*args), "eager": lambda: function(*args)}, budget=budget)
    (front,) = functions_of(compiled)
    records = [e.executable.record for e in front.explain_records if e.graph is not None and e.graph.op_count]
    return {
        "graphs": len(records),
        "breaks": len(front.breaks),
        "loops_before": sum(r.loops_before for r in records),
        "launches": sum(r.launches for r in records),
        "kernels": sum(r.kernels for r in records),
        "calls": sum(r.calls for r in records),
        "first": first,
        "steady": times["compiled"],
        "eager": times["eager"],
        "difference": difference(result, expected),
        "lowerings": COUNTERS["lowerings"],
        "builds": default_store().counters.builds,
        "plans_loaded": COUNTERS["plans_loaded"],
    }


def show(title: str, rows: dict[str, dict[str, Any]]) -> Table:
    """One column per workload."""
    table = Table(title=title)
    table.add_column("")
    for name in rows:
        table.add_column(name, justify="right")
    lines: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("graphs (breaks)", lambda r: f"{r['graphs']} ({r['breaks']})"),
        ("loop nests before fusion", lambda r: str(r["loops_before"])),
        ("kernel launches after fusion (distinct kernels)", lambda r: f"{r['launches']} ({r['kernels']})"),
        ("framework calls (matrix products, attention)", lambda r: str(r["calls"])),
        ("first call", lambda r: f"{r['first'] * 1e3:.0f} ms"),
        ("steady", lambda r: f"{r['steady'] * 1e3:.2f} ms"),
        ("eager", lambda r: f"{r['eager'] * 1e3:.2f} ms"),
        ("times faster than eager", lambda r: f"{r['eager'] / r['steady']:.2f}"),
        ("largest difference from eager", lambda r: f"{r['difference']:.1e}"),
        ("graphs lowered", lambda r: str(r["lowerings"])),
        ("entries built for the cache", lambda r: str(r["builds"])),
        ("finished plans found in the cache", lambda r: str(r["plans_loaded"])),
    ]
    for label, text in lines:
        table.add_row(label, *(text(r) for r in rows.values()))
    return table


def main() -> None:
    console = Console()
    with tempfile.TemporaryDirectory() as cache:
        for title, budget in (("cold: empty cache", "2.0"), ("warm: a second process, the same cache", "2.0")):
            rows = {name: in_fresh_process("bench.demo", name, budget, cache=cache) for name in WORKLOADS}
            console.print(show(title, rows))
    warm = rows
    if any(r["lowerings"] or r["builds"] for r in warm.values()):
        console.print("[red]the second process compiled again: the cache did not serve it[/red]")
        raise SystemExit(1)
    console.print("The second process lowered nothing and built nothing: plans and kernels came from the cache.")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(run(sys.argv[1], float(sys.argv[2]))))
    else:
        main()
