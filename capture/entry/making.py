"""Making entries: a region is captured for a call's arguments, its graph compiled, and both become code that runs."""

from __future__ import annotations

import functools
import linecache
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ...clock import perf_counter
from ...config import Options, config
from ...errors import BackendFailed, UserError, warn
from ...inductor.executable import Executable
from ...inductor.ops.dims import deciding
from ..breaks import Restart
from ..guards.sources import is_name
from ..guards.symbols import Assumptions
from ..locations import of_code
from ..machine.wrapping import Policy
from .backend import Backend, BackendContext, Callbacks, UserBackend
from .capture import capture
from .captured import Captured
from .entries import MISS, NUMBERS, Entry, entry_source, filename_of
from .events import Compiled
from .execution import executable_of, handing_on
from .failures import CallbackRaised, CompileFailure
from .region import Region


class Asking(Protocol):
    """Who has the entries of a region. name, full_name: in graphs, in reports; location: file and line of the function"""

    region: Region
    policy: Policy

    @property
    def name(self) -> str: ...

    @property
    def full_name(self) -> str: ...

    @property
    def location(self) -> str: ...

    @property
    def graph_raised(self) -> Callable[..., Any]: ...

    def left_plain(self, captured: Captured) -> Captured: ...


class Owner(Protocol):
    """The compiled function: how it compiles, and where that is recorded."""

    options: Options
    callbacks: Callbacks

    @property
    def backend_in_use(self) -> Backend: ...

    def note_entry(self, entry: Entry) -> None: ...


def build(asking: Asking, owner: Any, arguments: dict[str, Any]) -> Entry:
    """Capture a region for these arguments and compile its graph."""
    captured, executable, seconds = _compiled(asking, owner, arguments)
    try:
        return entry(asking, owner, captured, executable, seconds)
    except Exception as error:  # code that Python refuses
        where = of_code(asking.region.view.code)
        raise CompileFailure(error, where, asking.left_plain(captured)) from error


def entry(
    asking: Asking, owner: Owner, captured: Captured, executable: Executable | None = None, seconds: float = 0.0
) -> Entry:
    """What was captured as code that runs."""
    source = entry_source(asking.region, captured)
    names = captured.names
    names["_MISS"] = MISS
    if executable is not None:
        names["_graph"] = executable.call
        names["_raised"] = functools.partial(asking.graph_raised, captured)
    number = next(NUMBERS)
    filename = filename_of(number)
    scope: dict[str, Any] = {}  # the entry's globals do not hold it: it goes with its last user
    exec(compile(source, filename, "exec"), names, scope)  # noqa: S102 - our own text
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    made = Entry(scope["entry"], source, captured, number, tuple(asking.region.names), executable, seconds)
    captured.finish()
    owner.note_entry(made)
    ops = 0 if captured.graph is None else captured.graph.op_count
    if executable is not None and (ops or captured.theirs):
        total = captured.seconds + seconds
        owner.callbacks.tell("compiled", Compiled.of(asking.full_name, asking.location, ops, executable, total))
    if "guards" in config.logs:
        say("guards", "\n".join(captured.readable()))
    say("code", source)
    say(
        "times",
        f"{asking.region.name}: captured in {captured.seconds:.3f} s, graph compiled in {seconds:.3f} s",
    )
    return made


def _compiled(asking: Asking, owner: Any, arguments: dict[str, Any]) -> tuple[Captured, Executable | None, float]:
    """The captured region and its compiled graph. Sizes that the backend needs as constants, or cannot have as symbols,
    are constants in another attempt.
    """
    assume = Assumptions()
    name = asking.name
    note = ""
    while True:
        captured = capture(asking.region, arguments, owner, asking.policy, assume)
        assert captured.making is not None
        symbols = captured.making.ev.symbols
        try:
            if not symbols:
                executable, seconds = _compile_graph(owner, captured, name)
                if note:
                    warn(note)
                return captured, executable, seconds
            with deciding(symbols.decide):
                executable, seconds = _compile_graph(owner, captured, name)
            captured.guard_late()
            return captured, executable, seconds
        except Restart as restart:
            captured.finish()
            if restart.error is not None:
                raise restart.error from None
        except CallbackRaised:
            captured.finish()
            raise
        except Exception as error:
            if isinstance(error, BackendFailed) and config.on_backend_error == "raise":
                captured.finish()
                raise
            if not symbols or isinstance(error, UserError) or config.on_error == "raise":
                where = of_code(asking.region.view.code)
                raise CompileFailure(error, where, asking.left_plain(captured)) from error
            note = (
                f"quern could not compile {name} for sizes that change ({type(error).__name__}: {error}); "
                "it is compiled for each size"
            )
            symbols.pin_all()
            captured.finish()


def _compile_graph(owner: Owner, captured: Captured, name: str) -> tuple[Executable | None, float]:
    graph = captured.graph
    if graph is None or not captured.runs:
        return None, 0.0
    assert captured.making is not None
    program, ev = captured.making.program, captured.making.ev
    trivial = handing_on(graph) if program is None else None
    if trivial is not None:
        return trivial, 0.0
    graph.name = identifier(name)
    context = BackendContext(captured.frontend, owner.options, graph.name, program, ev.symbols, captured.reason)
    captured.theirs = isinstance(owner.backend_in_use, UserBackend)
    began = perf_counter()
    _call(owner.callbacks.on_start, name)
    try:
        return executable_of(graph, owner.backend_in_use, captured.making.examples, context), perf_counter() - began
    finally:
        _call(owner.callbacks.on_end, name)


def _call(callbacks: Sequence[Callable[[str], None]], name: str) -> None:
    try:
        for call in callbacks:
            call(name)
    except Exception as error:
        raise CallbackRaised from error


def say(channel: str, text: str) -> None:
    """Print a stage that `QUERN_LOGS` asks for."""
    if channel in config.logs:
        print(f"[quern {channel}] {text}", file=sys.stderr)


def identifier(name: str) -> str:
    """A name as Python code can have it."""
    text = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    return text if is_name(text) else f"f_{text}"
