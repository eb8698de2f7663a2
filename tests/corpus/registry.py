"""The corpus: programs that do, compiled, what they do as plain Python.

A file of programs in `programs/` makes one `Topic` and decorates them:

    program = Topic(__name__, on_torch)    # on what they run: `on_torch`, `on_numpy`, `on_toy` tell how arguments are made

    @program                      # arguments by parameter name: x, y, z are 3x4, v, w have 4 elements, m is 4x4
    def add(x, y): ...

    @program(args=lambda: (randn(2), 3), state=("COUNT",))      # own arguments; globals that the program changes
    def count(x, n): ...

    @program(args=lambda call: (randn(2), call % 2 == 0), calls=4)     # other arguments at each call
    def flag(x, on): ...

    @program.given((1, [2]), (3, []))        # the arguments of each call
    def extend(x, items): ...

    @program.maker                # makes the function (or nn.Module) anew for every run
    def closure(): ...

    @program.script               # calls what it compiles itself, changes things in between, yields what it saw
    def global_rebound(c):
        f = c(lambda x: x * FACTOR)
        ...

`programs("torch")` are those of the files `torch_*.py`. `running.agree` runs one plain and compiled and compares.
"""

from __future__ import annotations

import copy
import enum
import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "programs"
sys.path.insert(0, str(FOLDER))  # the files are modules, whose globals the programs use


class Expect(enum.Enum):
    """What becomes of a program beside doing what plain Python does."""

    ANY = "it may break"
    WHOLE = "one graph, no breaks, the same code for every call"
    RAISES = "it raises, and runs as plain Python"
    REFUSED = "`fullgraph=True` is refused at the line whose comment is `here`"


@dataclass(frozen=True)
class Program:
    """One program.

    make:   gives the function or module to compile, anew each time; of a script the script itself
    args:   gives fresh arguments for call number n; drawn after seeding, so the same seed gives the same values
    calls:  how often it is called
    script: it makes its calls itself (see above)
    state:  globals of the file that the program reads and changes; each run starts from a deep copy
    grad:   run with gradients enabled (default: under no_grad)
    needs:  smallest Python version
    expect: see `Expect`
    error:  how far floats may differ, relatively
    known:  tests by whose ways it is known to differ
    """

    name: str
    topic: str
    make: Callable[[], Any]
    args: Callable[[int], tuple[Any, ...]]
    calls: int = 2
    script: bool = False
    state: tuple[str, ...] = ()
    grad: bool = False
    needs: tuple[int, int] = (3, 11)
    expect: Expect = Expect.ANY
    error: float = 1e-6
    known: tuple[str, ...] = ()

    @property
    def scope(self) -> dict[str, Any]:
        """Globals of the file."""
        return vars(sys.modules[self.topic])

    def __str__(self) -> str:
        return f"{self.topic.partition('_')[2]}:{self.name}"


class Topic(list[Program]):
    """The programs of one file, filled by decorators.

    arguments: makes a program's arguments where it gives no `args`
    settings:  what is the same for all of them
    """

    def __init__(
        self, module: str, arguments: Callable[[Any], Callable[..., Any]] | None = None, **settings: Any
    ) -> None:
        super().__init__()
        self.module, self.arguments, self.settings = module, arguments, settings

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

    def given(self, *calls: tuple[Any, ...]) -> Callable[[Any], Any]:
        """A decorator that says each call's arguments, which are copied."""
        return self(args=lambda call: copy.deepcopy(calls[call]), calls=len(calls))

    def script(self, fn: Any) -> Any:
        """A generator over the compiling decorator."""
        self._add(fn.__name__, lambda: fn, {"script": True, "args": tuple}, fn)
        return fn

    def _add(self, name: str, make: Any, settings: dict[str, Any], fn: Any) -> None:
        settings = {**self.settings, **settings}
        args = settings.pop("args", None) or self.arguments(fn if fn is not None else make())
        self.append(Program(name, self.module, make, numbered(args), **settings))


def numbered(args: Callable[..., tuple[Any, ...]]) -> Callable[[int], tuple[Any, ...]]:
    """Arguments by the number of the call, of which a maker need not know."""
    knows = isinstance(args, type(numbered)) and args.__code__.co_argcount
    return args if knows else lambda call: args()


def required(fn: Any) -> list[str]:
    """Names of the parameters that a call has to give."""
    target = getattr(fn, "forward", fn)
    parameters = inspect.signature(target).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]


def programs(kind: str) -> list[Program]:
    """Every program of the files `{kind}_*.py`, for this Python version."""
    found: list[Program] = []
    for path in sorted(FOLDER.glob(f"{kind}_*.py")):
        found += [p for p in importlib.import_module(path.stem).program if sys.version_info >= p.needs]
    return found
