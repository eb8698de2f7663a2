"""The public corpus: every program does, compiled, exactly what it does as plain Python.

Each program runs twice in both forms, side by side, on fresh arguments of the same values: results, what happened to arguments,
globals and objects, aliasing, what was printed, and the exception with its traceback must agree. Programs that
torch.compile captures whole, and those that say so, are captured whole here: one graph and no break, under `fullgraph=True`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from registry import Expect, Program, programs  # noqa: E402
from running import agree  # noqa: E402
from torch_values import GROUND, modes  # noqa: E402

import quern  # noqa: E402

pytestmark = pytest.mark.torch
PROGRAMS = programs("torch")
MODES = modes()
#: files whose programs run as generated kernels too
GENERATED = ("torch_numpy", "torch_parity")


class Watch:
    """Compiles and keeps what was compiled."""

    def __init__(self, backend: str = "eager", **settings: Any) -> None:
        self.settings = {"backend": backend, **settings}
        self.compiled: Any = None

    def __call__(self, fn: Callable[..., Any]) -> Any:
        self.compiled = quern.compile(fn, **self.settings)
        return self.compiled

    def breaks(self) -> list[Any]:
        return [b for f in quern.api.functions_of(self.compiled) for b in f.breaks]


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_program(program: Program) -> None:
    check(program, "eager")


@pytest.mark.parametrize("program", [p for p in PROGRAMS if p.topic in GENERATED], ids=str)
def test_program_as_generated_code(program: Program) -> None:
    check(program, "inductor")


def check(program: Program, backend: str) -> None:
    full = program.expect is Expect.WHOLE or MODES[str(program)]["mode"] == "full"
    watch = Watch(backend, fullgraph=full)
    agree(program, watch, GROUND)
    if full:
        assert not watch.breaks()


def test_every_program_is_classified() -> None:
    assert sorted(map(str, PROGRAMS)) == sorted(MODES) or sys.version_info[:2] != (3, 11)
