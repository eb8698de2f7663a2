"""`python -m bench train`: a training step (forward and backward) of whole models on the CPU, float32, against eager and torch.compile.

    python -m bench train [NAME ...] [--systems eager,quern,torch.compile] [--threads N] [--budget S] [--json FILE]

As `bench models`, whose models these are, in training mode: dropout draws, batch norms take the batch's statistics. The loss is the mean
square of the result. `difference` is the largest difference of a parameter's gradient from eager's, as a share of its largest
element (of 1e-5 of the largest of all, where that is more: some gradients are zero but for rounding); each step starts from the same seed (torch.compile draws other numbers than eager).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .child import compiler
from .measure import seconds
from .model_zoo import MODELS, Model
from .models import SYSTEMS, in_turns, report

NAMES = tuple(name for name in MODELS if not name.endswith("-decode"))


def step_of(model: Model) -> Callable[[Callable[..., Any]], list[Any]]:
    """What runs one step of a compiled form of the module, and gives its parameters' gradients."""
    import torch

    parameters = list(model.module.parameters())

    def step(f: Callable[..., Any]) -> list[Any]:
        for p in parameters:
            p.grad = None
        torch.manual_seed(0)
        model.call(f).float().square().mean().backward()
        return [p.grad for p in parameters]

    return step


def first(name: str, system: str) -> dict[str, float]:
    """Seconds of the system's first step in this process, eager having run before."""
    model = MODELS[name]()
    model.module.train()
    step = step_of(model)
    step(model.module)
    compiled = compiler(system)(model.module)
    return {"first": seconds(lambda: step(compiled))}


def steady(name: str, systems: Sequence[str], budget: float) -> dict[str, Any]:
    """As `models.steady`, of steps."""
    model = MODELS[name]()
    model.module.train()
    step = step_of(model)
    runs = {"eager": model.module}
    expected = [None if g is None else g.clone() for g in step(model.module)]
    differences = {}
    for system in sorted(set(systems) - {"eager"}, reverse=True):
        runs[system] = compiler(system)(model.module)
        largest = max(float(g.abs().max()) for g in expected if g is not None)
        differences[system] = max(_difference(f, e, largest) for f, e in zip(step(runs[system]), expected))
    return in_turns({s: lambda f=f: step(f) for s, f in runs.items()}, differences, budget)  # type: ignore[misc]


def _difference(found: Any, expected: Any, largest: float) -> float:
    if found is None or expected is None:
        return 0.0 if found is expected else float("inf")
    return float((found - expected).abs().max()) / max(float(expected.abs().max()), 1e-5 * largest)


def main(argv: list[str]) -> None:
    report("train", "a training step", NAMES, argv, __doc__)


def child(what: str, name: str, systems: str, threads: str, budget: str) -> None:
    """One process of it: its last line is JSON."""
    import torch

    if int(threads):
        torch.set_num_threads(int(threads))
    found = first(name, systems) if what == "first" else steady(name, systems.split(","), float(budget))
    print(json.dumps(found))


__all__ = ["NAMES", "SYSTEMS", "main"]

if __name__ == "__main__":
    child(*sys.argv[1:])
