"""Running a random program plain and compiled: see `random_programs.py`."""

from __future__ import annotations

import linecache
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from comparison import Difference
from registry import Program
from running import agree
from torch_values import GROUND

import quern

NAME = "random_program"
#: eager refuses to write what it reads in the same op; the graph has a value for it
OVERLAP = "some elements of the input tensor and the written-to tensor refer to a single memory location"


@contextmanager
def module_of(text: str) -> Iterator[types.ModuleType]:
    """The text as an imported module, with its lines known to tracebacks and messages."""
    module = types.ModuleType(NAME)
    module.__file__ = f"<{NAME}>"
    linecache.cache[module.__file__] = (len(text), None, text.splitlines(True), module.__file__)
    sys.modules[NAME] = module
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(text, module.__file__, "exec"), module.__dict__)
            yield module
    finally:
        del sys.modules[NAME], linecache.cache[module.__file__]


def arguments(module: types.ModuleType, call: int) -> tuple[Any, ...]:
    """Arguments for call number `call`: sizes, lengths, aliases and types differ from call to call."""
    x, y = (torch.randint(-4, 5, (3,)).float() for _ in range(2))
    m = torch.randint(-4, 5, (2 + (call == 2), 3)).float()
    items = [1, 2, 3][: 3 - call % 2] + [call]
    table = {"a": 1, "b": call} if call != 1 else {"b": 4, "a": 2, "c": 0}
    vs = [x, y] if call != 3 else [y, y, m[0]]
    box = (module.Box if call % 3 else module.Sub)(call, y if call % 2 else x)
    box.items = items if call == 2 else [4]
    return (x, x if call == 3 else y, m, call, items, table, vs, box)


def check(text: str, calls: int = 4) -> None:
    """Raises Difference, or what quern raised, when the compiled program can be told from the plain one."""
    with module_of(text) as module:
        run = Program(
            NAME, NAME, lambda: module.program, lambda call: arguments(module, call), calls, state=("COUNT", "LOG")
        )
        with quern.config.patch(on_error="raise"):
            try:
                agree(run, lambda fn: quern.compile(fn, backend="eager"), GROUND)
            except Difference as difference:
                if OVERLAP not in str(difference):
                    raise
