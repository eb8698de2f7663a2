"""Compiled functions: guards and entries behind a callable, capture when none fits.

A call runs one generated function with the signature of the user's. It asks the entries in turn; each checks its guards
and, when they hold, runs. When none holds, the function is captured for these arguments. Entries are kept most recently
used first.

An entry that ends at a graph break calls a continuation, which may come to a `ResumeFunction`. That answers with a
`Tail`: the call still to be made. The outermost compiled function makes it, so that loops over graph breaks do not
deepen Python's stack.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import types
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...config import Options, config
from ...errors import (
    BackendFailed,
    InternalError,
    RecompileForbidden,
    RecompileLimitExceeded,
    SpecializationError,
    Unsupported,
    warn,
)
from ...inductor.float_errors import FloatErrors
from ...inductor.runtime import WritesBegun
from ..breaks import BreakReason
from ..bytecode.instructions import Slot
from ..frontend import frontends
from ..locations import of_code
from ..machine.evaluator import Evaluator
from ..machine.wrapping import Policy
from ..switches.function_flags import MARKS_DISABLED
from ..switches.stance import present, runs_plain
from . import making
from .backend import Backend, BackendContext, Callbacks, UserBackend
from .capture import call_parts, plain
from .captured import Captured
from .copies import CopiedAsOriginal
from .entries import MISS, Entry
from .events import Recompile
from .failures import ATTEMPTS, MOST, CallbackRaised, CompileFailure
from .making import say
from .region import Family, Region


class Tail:
    """A call of a resume function, still to be made."""

    __slots__ = ("dispatcher", "args")

    def __init__(self, dispatcher: Dispatcher, args: tuple[Any, ...]) -> None:
        self.dispatcher = dispatcher
        self.args = args

    def finish(self) -> Any:
        """Make the call, and those it leads to."""
        result: Any = self
        while type(result) is Tail:
            result = result.dispatcher.step(*result.args)
        return result


class ResumeFunction:
    """The rest of a function behind a graph break, as a continuation calls it."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher

    def __call__(self, *args: Any) -> Tail:
        return Tail(self.dispatcher, args)


#: captures of a region, for each entry that it may have at a time: entries go with the objects that they are about
CAPTURES_FOR_ENTRY = 16


class Dispatcher:
    """The entries of one region.

    step: the generated function that asks the entries; it may answer with a Tail
    """

    def __init__(self, region: Region, owner: CompiledFunction) -> None:
        self.region = region
        self.owner = owner
        self.entries: list[Entry] = []
        self.policy = Policy()
        self.captures = 0
        #: attempts that failed, and what was said of them
        self.failures = 0
        self.said: set[Any] = set()
        #: the `run` of each entry, as the generated function iterates over them
        self._table: list[Any] = []
        own = region.mark
        self.namespace: dict[str, Any] = {
            f"{own}MISS": MISS,
            f"{own}miss": self._miss,
            f"{own}Tail": Tail,
            f"{own}table": self._table,
            f"{own}used": self._used,
            f"{own}type": type,
        }
        self.step = self._make("step", "step", f"return {own}r")
        whole = f"return {own}r if {own}type({own}r) is not {own}Tail else {own}r.finish()"
        # Python's own errors about arguments say the function's names
        self.run = self._make(region.function.__name__, region.function.__qualname__, whole)

    @property
    def name(self) -> str:
        """The region's name in graphs and reports."""
        label, own = self.owner.label, self.region.name
        return own if label is None else own.replace(self.region.function.__name__, label, 1)

    @property
    def full_name(self) -> str:
        """The function's name with its class."""
        return self.owner.label or self.region.function.__qualname__.rpartition("<locals>.")[2]

    @property
    def location(self) -> str:
        """File and line of the function."""
        code = self.region.function.__code__
        return f"{code.co_filename}:{code.co_firstlineno}"

    def _make(self, name: str, qualname: str, ending: str) -> Callable[..., Any]:
        region, own = self.region, self.region.mark
        args = ", ".join(region.given_names)
        lines = [
            f"def {own}call({region.signature(self.namespace)}):",
            f"    for {own}entry in {own}table:",
            f"        {own}r = {own}entry({args})",
            f"        if {own}r is not {own}MISS:",
            f"            if {own}entry is not {own}table[0]:",
            f"                {own}used({own}entry)",
            f"            {ending}",
            f"    {own}r = {own}miss({args})",
            f"    {ending}",
        ]
        exec(compile("\n".join(lines), f"<quern dispatch of {name}>", "exec"), self.namespace)  # noqa: S102 - our own text
        made: types.FunctionType = self.namespace[f"{own}call"]
        made.__code__ = made.__code__.replace(co_name=name, co_qualname=qualname)
        made.__name__, made.__qualname__ = name, qualname
        return made

    def _used(self, run: Callable[..., Any]) -> None:
        """An entry behind the first was used: it comes first from now on."""
        with self.owner.lock:
            found = [e for e in self.entries if e.run is run and not e.gives_up]
            self._keep([*found, *(e for e in self.entries if e not in found)])

    def _keep(self, entries: list[Entry]) -> None:
        """The entries from now on."""
        self.entries = entries
        self._table[:] = [e.run for e in entries]

    # ------------------------------------------------------------ entries that came to their end

    def watch(self, entry: Entry) -> None:
        """Drop an entry once an object that it is about is gone."""

        def gone(_: Any, at_the_end: Callable[[], bool] = sys.is_finalizing) -> None:
            if at_the_end():  # modules are taken apart
                return
            self._keep([e for e in self.entries if e is not entry])
            entry.drop()

        found = [reference() for reference in entry.captured.references]
        entry.watched += [weakref.ref(obj, gone) for obj in found if obj is not None]

    def _sweep(self) -> None:
        """Drop what `watch` missed: objects may go while entries change."""
        dead = [e for e in self.entries if e.is_dead]
        if dead:
            self._keep([e for e in self.entries if e not in dead])
            for entry in dead:
                entry.drop()

    # ------------------------------------------------------------ no entry fits

    def _miss(self, *values: Any) -> Any:
        owner = self.owner
        if any(f.records_calls() for f in frontends()):
            return self._run_plain(values)
        with owner.lock:
            self._sweep()
            # another thread may have made one while this one waited
            entry = next((e for e in self.entries if e.holds(values)), None)
            made = entry is None
            if entry is None:
                entry = self._capture(values)
                if entry is not None and config.on_error == "raise" and not entry.holds(values):
                    entry = self._captured_again(entry, values)
                    if entry is not None and not entry.holds(values):
                        why = entry.why_not(values) or "\n" + entry.source
                        raise InternalError(
                            f"[guards] an entry of {self.region.name} does not fit what it was made from: {why}"
                        )
        if entry is None:
            return self._run_plain(values)
        result = entry.run(*values)
        if result is MISS and made and entry.why_not(values):
            with self.owner.lock:
                entry = self._captured_again(entry, values)
            if entry is None:
                return self._run_plain(values)
            result = entry.run(*values)
        if result is MISS:  # another thread changed the arguments meanwhile; or the guards are wrong
            why = entry.why_not(values)
            if why:
                self._misfit(entry, why)
            return self._run_plain(values)
        return result

    def _misfit(self, entry: Entry, why: str) -> None:
        with self.owner.lock:
            self._discard(entry)
            error = InternalError(f"[guards] an entry does not fit what it was made from: {why}")
            self._fail(CompileFailure(error, of_code(self.region.view.code), None))

    def _captured_again(self, entry: Entry, values: tuple[Any, ...]) -> Entry | None:
        """In the place of an entry that does not fit: a module that the program imports may have changed what was read before."""
        self._discard(entry)
        return self._capture(values)

    def _discard(self, entry: Entry) -> None:
        self._keep([e for e in self.entries if e is not entry])
        entry.drop()

    def _capture(self, values: tuple[Any, ...]) -> Entry | None:
        owner = self.owner
        if config.disable or present.stance.name == "eager_on_recompile" or self.failures >= MOST:
            return None
        if present.stance.name == "fail_on_recompile":
            raise self._forbidden(
                values, "the stance is 'fail_on_recompile'", "before the stance is set, or quern.set_stance('default')"
            )
        limit = owner.recompile_limit()
        full = self._is_full(limit)
        if full and "limit" in self.said and not config.error_on_recompile:
            return None
        if self.entries:
            self._note_recompile(values)
            if config.error_on_recompile:
                raise self._forbidden(values, "quern.config.error_on_recompile is set", "before it is set")
        if full:
            self._say_full(limit)
            return None
        try:
            entry = making.build(self, owner, dict(zip(self.region.names, values)))
        except (Unsupported, RecompileLimitExceeded, RecompileForbidden, SpecializationError, BackendFailed):
            raise
        except CallbackRaised as raised:
            assert raised.__cause__ is not None
            raise raised.__cause__ from None
        except CompileFailure as failed:
            failure = failed
        except Exception as error:
            failure = CompileFailure(error, of_code(self.region.view.code), None)
        else:
            self.captures += 1
            self._add(entry, limit)
            return entry
        try:
            self._fail(failure)
        finally:
            del failure  # its traceback holds this frame, and the call's arguments
        return None

    def _add(self, entry: Entry, limit: int) -> None:
        """Put an entry before the others, or behind them where it gives up; those beyond the limit go."""
        kept = self.entries[: limit - 1]
        gone = self.entries[limit - 1 :]
        self._keep([*kept, entry] if entry.gives_up else [entry, *kept])
        for old in gone:
            old.drop()
        self.watch(entry)

    def _fail(self, failure: CompileFailure) -> None:
        """Raise, or say once that a call runs as plain Python. What fails again and again is not tried again."""
        mode = config.on_backend_error if isinstance(failure.error, BackendFailed) else config.on_error
        if self.owner.fullgraph or mode == "raise":
            error = failure.raised(self.name)
            if error is failure.error:
                raise error
            raise error from failure.error
        if failure.kind not in self.said:
            self.said.add(failure.kind)
            warn(failure.warning(self.name))
            self.owner.callbacks.tell("failed", failure.described(self.name))
        self.failures += 1
        if self.failures >= ATTEMPTS and failure.plain is not None:
            entry = making.entry(self, self.owner, failure.plain)
            entry.gives_up = True
            self._add(entry, self.owner.recompile_limit())
        failure.discard()

    def _forbidden(self, values: tuple[Any, ...], why: str, when: str) -> RecompileForbidden:
        code = self.region.function.__code__
        lines = [f"{self.region.name} would have to be compiled, and {why}"]
        lines.append(f'  File "{code.co_filename}", line {code.co_firstlineno}, in {code.co_name}')
        lines += [f"  entry {i}: {entry.why_not(values)}" for i, entry in enumerate(self.entries[:4])]
        lines.append(f"  try: call it with these arguments {when}")
        return RecompileForbidden("\n".join(lines))

    def _is_full(self, limit: int) -> bool:
        """Whether there are as many entries as there may be, or there were very many: what fits none runs as plain Python."""
        return len(self.entries) >= limit or self.captures >= CAPTURES_FOR_ENTRY * limit

    def _say_full(self, limit: int) -> None:
        """Raise, or say once that calls run as plain Python."""
        owner = self.owner
        last = owner.recompiles[-1] if owner.recompiles else None
        text = f"{self.region.name} was compiled {self.captures} times, the limit is {limit}"
        why = f"; the last time because: {last.failures[0]}" if last and last.failures else ""
        if owner.fullgraph:
            raise RecompileLimitExceeded(
                f"{text}{why}. Raise quern.config.recompile_limit, or make the value that changes an array"
            )
        if "limit" not in self.said:
            self.said.add("limit")
            warn(f"quern: {text}{why}. Calls that no version fits run as plain Python from now on.")

    def _note_recompile(self, values: tuple[Any, ...]) -> None:
        failures = []
        with contextlib.ExitStack() as unseen:
            for frontend in frontends():
                unseen.enter_context(frontend.unseen())
            for entry in self.entries:
                failures.append(entry.why_not(values))
                entry.captured.varying.learn(self.policy, entry.places(*values), config.automatic_dynamic_shapes)
        code = self.region.function.__code__
        self.owner.note_recompile(Recompile(self.name, self.location, tuple(failures)), code)

    def _run_plain(self, values: tuple[Any, ...]) -> Any:
        return self.plain_run(*values)

    def graph_raised(self, captured: Captured, error: Exception, *values: Any) -> Any:
        """Called by an entry whose graph raised. A graph that raises has changed nothing that the program can see (but where it
        says so), so the program is run as plain Python from the entry's start: the error comes at its place in the program,
        with all that was done before it, and the program's own handlers see it. What a backend of the user's raises where plain
        Python does not is raised as it is.
        """
        if isinstance(error, WritesBegun):
            assert error.__cause__ is not None
            raise error.__cause__
        if captured.writes or captured.frontend is not None and captured.frontend.raised_by_program(error):
            raise error
        if config.on_error != "raise":
            error.__traceback__ = None  # it holds the frames of the graph, and all arrays in them
        with contextlib.nullcontext() if captured.frontend is None else captured.frontend.repeating(error):
            result = self._run_plain(values)
        # (floating-point errors may be the kernels' own, or be ignored by a filter: see inductor.float_errors)
        if not captured.handled and not isinstance(error, FloatErrors):
            if captured.theirs:
                raise error
            self._only_the_graph_raised(captured, error)
        return result

    def _only_the_graph_raised(self, captured: Captured, error: Exception) -> None:
        """Nothing in the program catches the error, and yet plain Python raised none."""
        where, left = of_code(self.region.view.code), self.left_plain(captured)
        failure = CompileFailure(error, where, left, "ran a graph of {} that raised in vain")
        with self.owner.lock:
            if self.failures + 1 >= ATTEMPTS:
                self._keep([e for e in self.entries if e.captured is not captured])
            self._fail(failure)

    def left_plain(self, captured: Captured) -> Captured:
        """Plain Python where the guards of `captured` hold."""
        captured.names["_plain"] = self.plain_run
        body = [f"return _plain({', '.join(self.region.names)})"]
        return replace(captured, graph=None, runs=False, fetch=[], inputs=[], outputs=[], body=body)

    @functools.cached_property
    def plain_run(self) -> Callable[..., Any]:
        """The region as plain Python, with the entry's parameters."""
        ev = Evaluator([], None, self.owner)
        captured = plain(ev, self.region, None)
        lines = [f"def plain({', '.join(self.region.names)}):", *(f"    {line}" for line in captured.body)]
        exec("\n".join(lines), captured.names)  # noqa: S102 - our own text
        return captured.names["plain"]


class _Items(dict[str, Any]):
    """A copy of a dict, unequal to one that holds other objects: equality of the objects is not asked."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, dict) and len(self) == len(other)
        return same and all(k in other and other[k] is v for k, v in self.items())  # type: ignore[operator, index]

    def __ne__(self, other: object) -> bool:
        return not self == other


class CompiledFunction(CopiedAsOriginal):
    """A function compiled on call. Works as a method: instances are passed as first argument.

    backend:   (graph, example inputs, BackendContext) -> callable over the graph's inputs, giving a sequence of outputs
    fullgraph: a graph break is an error (errors.Unsupported)
    dynamic:   True: sizes are symbols from the first call; None: once they changed; False: never
    limit:     entries per region; None: config.recompile_limit
    label:     what graphs and reports call it; None: the function's name
    """

    #: tells capture that instances stand for their function
    __quern_compiled__ = True

    def __init__(
        self,
        fn: types.FunctionType,
        *,
        backend: Backend,
        fullgraph: bool = False,
        dynamic: bool | None = None,
        options: Options | None = None,
        callbacks: Callbacks | None = None,
        limit: int | None = None,
        parent: CompiledFunction | None = None,
        label: str | None = None,
    ) -> None:
        self.fn = fn
        self.label = label
        self.backend = backend
        self.fullgraph = fullgraph
        self.dynamic = dynamic
        self.options = options if options is not None else Options()
        self.callbacks = callbacks if callbacks is not None else Callbacks()
        self.limit = limit
        functools.update_wrapper(self, fn)
        self.__dict__["__quern_wrapped__"] = fn
        self.parent = parent
        self.lock: Any = parent.lock if parent is not None else threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget all entries and records."""
        #: it was called once, under the stance "eager_then_compile"
        self.called = False
        self.breaks: list[BreakReason] = []
        self.recompiles: list[Recompile] = []
        self.explain_records: list[Entry] = []
        self.family = Family()
        self.callees: dict[int, CompiledFunction] = {}
        fn = self.fn
        self._code, self._defaults = fn.__code__, fn.__defaults__
        self._kwdefaults = None if fn.__kwdefaults__ is None else _Items(fn.__kwdefaults__)
        self.dispatcher = Dispatcher(Region(self.fn, self.family), self)
        self._run = self.dispatcher.run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        fn = self.fn
        if (
            fn.__code__ is not self._code
            or fn.__defaults__ is not self._defaults
            or fn.__kwdefaults__ != self._kwdefaults
        ):
            with self.lock:
                self.reset()
        if present.unusual:
            found = self._unusual(args, kwargs)
            if found is not None:
                return found[0]
        try:
            return self._run(*args, **kwargs)
        except Unsupported as error:
            raise error.with_traceback(None) from None  # the message names the user's line; our frames say nothing

    def _unusual(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any] | None:
        """The result of plain Python in a 1-tuple, where the stance or a plain region asks for that."""
        first = present.stance.name == "eager_then_compile" and not self.dispatcher.captures and not self.called
        self.called = True
        return (self.fn(*args, **kwargs),) if first or runs_plain() else None

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    # by these two torch finds what it is to disable when it is given a compiled function

    @property
    def _torchdynamo_orig_callable(self) -> types.FunctionType:
        return self.fn

    @property
    def _torchdynamo_wrapper_id(self) -> int:
        return id(self)

    @property
    def entries(self) -> list[Entry]:
        """The entries of the function itself (not of the rests behind its breaks)."""
        return self.dispatcher.entries

    def recompile_limit(self) -> int:
        return self.limit if self.limit is not None else config.recompile_limit

    # ------------------------------------------------------------ what capture asks (see `capture.entry.capture`)

    @property
    def records(self) -> CompiledFunction:
        """Where breaks, recompiles and graphs are recorded: with the function that the user compiled."""
        return self.parent.records if self.parent is not None else self

    @property
    def backend_in_use(self) -> Backend:
        """The stance's backend, or its own."""
        return present.stance.backend or self.backend

    @property
    def wants_program(self) -> bool:
        """Whether the program's own calls are wanted beside its graph."""
        return isinstance(self.backend_in_use, UserBackend) and self.backend_in_use.wants_program

    def note_break(self, reason: BreakReason, eager: bool) -> None:
        if not eager and reason not in self.records.breaks:
            self.records.breaks.append(reason)
            say("breaks", str(reason))
            self.callbacks.tell("broke", reason)

    def note_recompile(self, record: Recompile, code: types.CodeType) -> None:
        self.records.recompiles.append(record)
        say("recompiles", str(record))
        self.callbacks.tell("recompiled", record, code)

    def note_entry(self, entry: Entry) -> None:
        self.records.explain_records.append(entry)

    def resume(
        self, region: Region, index: int, stack: tuple[Slot, ...], names: tuple[str, ...], cells: tuple[str, ...]
    ) -> ResumeFunction:
        """The resume function for the rest of a region's code from `index`; the same request gives the same object."""
        key = (index, stack, names, cells)
        found = self.family.resumes.get(key)
        if found is None:
            rest = Region(region.function, self.family, start=index, stack=stack, locals_=names, cells=cells)
            found = self.family.resumes[key] = ResumeFunction(Dispatcher(rest, self))
        return found

    def compiled(self, fn: Any) -> CompiledFunction | None:
        """A callee that a break left to plain Python, compiled by itself; None when it is not to be compiled."""
        if not isinstance(fn, types.FunctionType) or not MARKS_DISABLED.isdisjoint(fn.__dict__):
            return None
        if any(f.is_framework_code(fn) and not f.may_inline(fn) for f in frontends()):
            return None
        found = self.records.callees.get(id(fn))
        if found is None:
            found = CompiledFunction(
                fn, backend=self.backend, dynamic=self.dynamic, options=self.options, callbacks=self.callbacks,
                limit=self.limit, parent=self.records,
            )  # fmt: skip
            self.records.callees[id(fn)] = found
        return found


__all__ = [
    "MISS",
    "Backend",
    "BackendContext",
    "Callbacks",
    "CompiledFunction",
    "Entry",
    "Recompile",
    "Tail",
    "call_parts",
]
