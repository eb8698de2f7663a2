"""Asks torch.compile which programs it captures whole, and writes the answers to `modes.json`.

    python tests/corpus/classify.py [--all] [words of names]

Without `--all` only programs that have no answer yet are asked. Per program:
    mode:   "full" when `torch.compile(backend="eager", fullgraph=True)` runs it and all that can be seen agrees with plain
            Python; else "breaks"
    graphs: graphs of the first call without `fullgraph`; None when that failed
    why:    first line of the reason when it is not "full"
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from typing import Any

import torch
from registry import Program, programs
from running import agree
from torch_values import GROUND, MODES, modes


def ask(program: Program) -> dict[str, Any]:
    """The entry of one program."""
    counter = _Counter()
    torch._dynamo.reset()
    try:
        agree(program, lambda fn: torch.compile(fn, backend=counter, fullgraph=True), GROUND)
        return {"mode": "full", "graphs": counter.first}
    except Exception as error:
        text = str(error).strip().splitlines()
        why = f"{type(error).__name__}: {text[0] if text else ''}"
    torch._dynamo.reset()
    counter = _Counter()
    try:
        agree(program, lambda fn: torch.compile(fn, backend=counter), GROUND)
        return {"mode": "breaks", "graphs": counter.first, "why": why[:160]}
    except Exception as error:
        text = str(error).strip().splitlines()
        return {
            "mode": "breaks",
            "graphs": None,
            "why": why[:160],
            "wrong": f"{type(error).__name__}: {text[0] if text else ''}"[:160],
        }


class _Counter:
    """The eager backend, counting graphs."""

    def __init__(self) -> None:
        self.first = 0

    def __call__(self, gm: Any, example_inputs: Any) -> Any:
        self.first += 1
        return gm.forward


def main(words: list[str]) -> None:
    """Ask about the programs whose names contain a word."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    known = modes()
    everything = "--all" in words
    words = [w for w in words if w != "--all"]
    asked = programs("torch")
    found = {str(p): known[str(p)] for p in asked if str(p) in known}
    for program in asked:
        name = str(program)
        if words and not any(w in name for w in words) or not (everything or words) and name in found:
            continue
        found[name] = ask(program)
        print(name, found[name], flush=True)
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(found[k])}" for k in sorted(found))
    MODES.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
