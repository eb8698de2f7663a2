"""The public corpus's registry: small programs over torch tensors, and how to make fresh arguments for each.

A topic file makes one `Topic` and decorates its programs:

    program = Topic(__name__)

    @program                      # arguments by parameter name: x, y, z are 3x4, v, w have 4 elements, m is 4x4
    def add(x, y): ...

    @program(args=lambda: (randn(2), 3), state=("COUNT",))      # own arguments; globals that the program changes
    def count(x, n): ...

    @program(args=lambda call: (randn(2), call % 2 == 0), calls=4)     # other arguments at each call
    def flag(x, on): ...

    @program.maker                # makes the function (or nn.Module) anew for every run
    def closure(): ...

Which programs torch.compile captures whole is data: `modes.json`, written by `classify.py`.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

FOLDER = Path(__file__).parent
MODES = FOLDER / "modes.json"

#: shapes of arguments by parameter name
SHAPES: dict[str, tuple[int, ...]] = {
    "x": (3, 4), "y": (3, 4), "z": (3, 4), "v": (4,), "w": (4,), "m": (4, 4), "s": (), "batch": (2, 3, 4),
}  # fmt: skip


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape)


@dataclass(frozen=True)
class Program:
    """One program.

    make:  gives the function or module to compile, anew each time
    args:  gives fresh arguments for call number n; drawn after seeding, so the same seed gives the same values
    calls: how often it is called
    state: globals of the topic file that the program reads and changes; each run starts from a deep copy
    grad:  run with gradients enabled (default: under no_grad)
    needs: smallest Python version
    """

    name: str
    topic: str
    make: Callable[[], Any]
    args: Callable[[int], tuple[Any, ...]]
    calls: int = 2
    state: tuple[str, ...] = ()
    grad: bool = False
    needs: tuple[int, int] = (3, 11)

    @property
    def scope(self) -> dict[str, Any]:
        """Globals of the topic file."""
        return vars(sys.modules[self.topic])

    def __str__(self) -> str:
        return f"{self.topic.removeprefix('programs_')}:{self.name}"


def by_names(fn: Any) -> Callable[[], tuple[Any, ...]]:
    """An argument maker from the required parameters' names."""
    target = fn.forward if isinstance(fn, torch.nn.Module) else fn
    parameters = inspect.signature(target).parameters.values()
    wanted = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return lambda: tuple(randn(*SHAPES[name]) for name in wanted)


class Topic(list[Program]):
    """The programs of one file, filled by decorators."""

    def __init__(self, module: str) -> None:
        super().__init__()
        self.module = module

    def __call__(self, fn: Any = None, **settings: Any) -> Any:
        if fn is None:
            return functools.partial(self, **settings)
        self._add(fn.__name__, lambda: fn, settings, fn)
        return fn

    def maker(self, make: Any = None, **settings: Any) -> Any:
        """A function that makes the program."""
        if make is None:
            return functools.partial(self.maker, **settings)
        self._add(make.__name__, make, settings, None)
        return make

    def _add(self, name: str, make: Any, settings: dict[str, Any], fn: Any) -> None:
        args = settings.pop("args", None) or by_names(fn if fn is not None else make())
        numbered = args if args.__code__.co_argcount else lambda call: args()
        self.append(Program(name, self.module, make, numbered, **settings))


def all_programs() -> list[Program]:
    """Every program of every topic file, for this Python version."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    found: list[Program] = []
    for path in sorted(FOLDER.glob("programs_*.py")):
        module = __import__(path.stem)
        found += [p for p in module.program if sys.version_info >= p.needs]
    return found


def modes() -> dict[str, dict[str, Any]]:
    """What torch.compile made of each program, by `str(program)`."""
    return json.loads(MODES.read_text()) if MODES.exists() else {}
