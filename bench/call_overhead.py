"""`python -m bench calls`: what a call of compiled code costs beside its kernels.

- `two ops`: a function of two ops on eight elements: eager, quern and torch.compile, in turns in one process.
- `layers`: a GPT-2 of 36 layers (width 32) whose graph is replaced by a function that hands back finished results: what is left
  is the check of the guards, fetching the inputs and rebuilding the outputs. `guards` is the check alone; torch.compile
  is given a backend that hands back finished results in the same way. `graph` is the whole call less that.
"""

from __future__ import annotations

import argparse
import json
import platform
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .measure import steady


def two_ops(budget: float) -> dict[str, float]:
    """Microseconds per call."""
    import torch

    import quern

    def function(x: Any, y: Any) -> Any:
        return torch.relu(x + y)

    x, y = torch.randn(8), torch.randn(8)
    calls: dict[str, Callable[..., Any]] = {
        "eager": function,
        "quern": quern.compile(function),
        "torch.compile": torch.compile(function),
    }
    for call in calls.values():
        call(x, y)
    times = steady({name: lambda call=call: call(x, y) for name, call in calls.items()}, budget=budget)  # type: ignore[misc]
    return {name: seconds * 1e6 for name, seconds in times.items()}


def layers(count: int, budget: float) -> dict[str, float]:
    """Microseconds per call of a model of many layers, graph and overhead apart."""
    import torch
    import transformers

    import quern

    config = transformers.GPT2Config(vocab_size=99, n_positions=64, n_embd=32, n_layer=count, n_head=4, use_cache=False)
    model = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.randint(0, 99, (1, 8))

    # torch's comes first: it adds an attribute to the module, which an entry of ours would notice
    def hand_back(gm: Any, inputs: Any) -> Any:
        kept: list[Any] = []

        def run(*given: Any) -> Any:
            if not kept:
                kept.append(gm.forward(*given))
            return kept[0]

        return run

    theirs = torch.compile(model, backend=hand_back, fullgraph=True)
    theirs(ids)
    ours = quern.compile(model, backend="eager", fullgraph=True)
    ours(ids)
    (function,) = quern.api.functions_of(ours)
    (entry,) = function.entries
    names = entry.captured.names
    graph = names["_graph"]
    results: list[Any] = []
    names["_graph"] = lambda *inputs: results.append(graph(*inputs)) or results[-1]
    ours(ids)
    finished = results[0]

    names["_graph"] = graph
    whole = steady({"quern, op by op": lambda: ours(ids), "eager": lambda: model(ids)}, budget=budget)
    names["_graph"] = lambda *inputs: finished
    values = tuple(_bound(function, model, ids))
    assert entry.holds(values)
    times = steady(
        {
            "quern overhead": lambda: ours(ids),
            "quern guards": lambda: entry.holds(values),
            "torch.compile overhead": lambda: theirs(ids),
        },
        budget=budget,
    )
    found = {name: seconds * 1e6 for name, seconds in (whole | times).items()}
    return {**found, "guards": len(entry.captured.conditions)}


def _bound(function: Any, model: Any, ids: Any) -> list[Any]:
    """A call's arguments as the entry takes them, defaults filled in."""
    seen: list[Any] = []
    table = function.dispatcher._table
    kept = list(table)

    def note(*values: Any) -> Any:
        seen.extend(values)
        return kept[0](*values)

    table[:] = [note]
    try:
        function(model, ids)
    finally:
        table[:] = kept
    return seen


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench calls", description=__doc__)
    parser.add_argument("--budget", type=float, default=2.0, help="seconds of timing each")
    parser.add_argument("--layers", type=int, default=36)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    found = {"two ops": two_ops(options.budget), f"{options.layers} layers": layers(options.layers, options.budget)}
    made = Table(title="microseconds per call (medians, in turns)")
    for heading in ("case", "what", "us"):
        made.add_column(heading, justify="right" if heading == "us" else "left")
    for case, figures in found.items():
        for what, value in figures.items():
            made.add_row(case, what, f"{value:.0f}" if what == "guards" else f"{value:.2f}")
    Console().print(made)
    about = {"python": platform.python_version(), "torch": str(torch.__version__), "microseconds": found}
    if options.json:
        options.json.write_text(json.dumps(about, indent=1) + "\n")
