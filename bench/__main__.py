"""`python -m bench`: cold, warm and steady times of quern against eager and its peers, in one table and as JSON.

Every cold figure comes from a fresh process with empty caches, every warm one from a second process with the caches of the
first; steady times are medians, taken in turns with eager in the same process. Ratios are what to quote.

`python -m bench models` compares whole models, `python -m bench train` steps of their training, `python -m bench functions` NumPy functions,
`python -m bench numpy` NumPy programs with loops; `python -m bench capture`, `python -m bench calls`, `python -m bench cpu` and
`python -m bench bytes` measure capture, the overhead of a call, products and kernels against the machine's limits, and what is moved to and
from memory beside the least; see there.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from . import call_overhead, capture_speed, coverage, cpu, functions, models, traffic, train
from .measure import in_fresh_process
from .workloads import NUMPY, TORCH


def run(workload: str, system: str, budget: float) -> dict[str, Any]:
    """Cold and warm processes of one workload on one system."""
    with tempfile.TemporaryDirectory() as cache:
        cold = in_fresh_process("bench.child", workload, system, "0.3", cache=cache)
        warm = in_fresh_process("bench.child", workload, system, str(budget), cache=cache)
    return {**warm, "cold": cold["first"], "warm": warm["first"]}


def table(rows: list[dict[str, Any]]) -> Table:
    """The figures for a terminal; `x` columns are ratios to eager in the same process."""
    made = Table(title="first call and steady state (x: times faster than eager, same process)")
    for heading in ("workload", "system", "cold s", "warm s", "steady ms", "eager ms", "x eager", "difference"):
        made.add_column(heading, justify="left" if heading in ("workload", "system") else "right")
    for r in rows:
        if "error" in r:
            made.add_row(r["workload"], r["system"], "failed", r["error"].splitlines()[-1][:60])
            continue
        made.add_row(
            r["workload"], r["system"], f"{r['cold']:.2f}", f"{r['warm']:.3f}", f"{r['steady'] * 1e3:.3f}",
            f"{r['eager'] * 1e3:.3f}", f"{r['eager'] / r['steady']:.2f}", f"{r['difference']:.1e}",
        )  # fmt: skip
    return made


#: measurements of one stage, by the first argument
STAGES = {
    "models": models.main, "train": train.main, "functions": functions.main, "numpy": functools.partial(functions.main, zoo="numpy"), "coverage": coverage.main, "capture": capture_speed.main, "calls": call_overhead.main, "cpu": cpu.main, "bytes": traffic.main
}  # fmt: skip


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] in STAGES:
        STAGES[sys.argv[1]](sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    known = [*TORCH, *NUMPY]
    parser.add_argument("workloads", nargs="*", help=f"default: all of {', '.join(known)}")
    parser.add_argument("--systems", help="comma-separated: quern, torch.compile, jax, numba")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds of steady timing each")
    parser.add_argument("--json", type=Path, help="write the rows there too")
    options = parser.parse_args()
    unknown = [w for w in options.workloads if w not in known]
    if unknown:
        parser.error(f"no workload {unknown[0]!r}; known: {', '.join(known)}")
    rows = []
    for workload in options.workloads or known:
        peers = ["torch.compile"] if workload in TORCH else [p for p in ("jax",) if importlib.util.find_spec(p)]
        for system in options.systems.split(",") if options.systems else ["quern", *peers]:
            try:
                rows.append(run(workload, system, options.budget))
            except RuntimeError as error:
                rows.append({"workload": workload, "system": system, "error": str(error)})
            print(json.dumps(rows[-1]), file=sys.stderr)
    Console().print(table(rows))
    about = {"python": platform.python_version(), "machine": platform.machine(), "rows": rows}
    if options.json:
        options.json.write_text(json.dumps(about, indent=1))


if __name__ == "__main__":
    main()
