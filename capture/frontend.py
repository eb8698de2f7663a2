"""What capture asks of an array framework, and how front ends are found.

A front end is one object that follows `Frontend`. The evaluator asks it for a Value when it meets an object of a type
that the front end owns, and for a handler when a framework function is called. Everything else (Python itself,
containers, user objects, control flow) is the evaluator's own.

What a handler or a Value may use of the evaluator `ev`:

    ev.emit(op, *nodes, **attrs) -> Node      append a table op; wrong arguments become the program's own error
    ev.builder, ev.graph                      the GraphBuilder (for `append`, extern nodes) and its Graph
    ev.add_input(source, meta, example, name) -> Node    a tensor that the entry fetches at `source`
    ev.wrap(obj, source) -> Value             a Value for a real object, guarded
    ev.constant(obj) -> ConstantValue         a Value for an immutable object known now
    ev.as_python(value) -> object             lists, tuples, dicts, constants as Python objects; Break if not constant
    ev.guards                                 a GuardSet: .type_is, .is_, .equals, .test(source, "expr over {x}", reason)
    ev.names.inject(obj, stem) -> str         a name for an object in guard tests and in generated code
    ev.call(value, args, kwargs), ev.call_function(function, args, kwargs)     call a Value / inline a real function
    ev.break_(code, what, why, rewrite) -> Break         `raise ev.break_(...)`: cannot be captured
    ev.raise_(SomeError, *args) -> UserRaise             `raise ev.raise_(...)`: the program raises
    ev.states[frontend.name]                  the front end's own state during one capture (made by `new_state`)
    ev.dim(source, axis, size) -> Dim         an int, or a size symbol when that dim is dynamic
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ..inductor.graph import Graph
from ..inductor.runtime import Runtime

if TYPE_CHECKING:
    from .bytecode.instructions import Loop
    from .guards.sources import Source
    from .values.base import Emitter, Handler, Machine, Value


@runtime_checkable
class Frontend(Protocol):
    """One array framework. All methods are called during capture only, under a lock."""

    #: "torch", "numpy"
    name: str
    #: whether loops over its arrays may become nodes of the graph (`roll`)
    rolls: bool

    @property
    def runtime(self) -> Runtime:
        """The framework as inductor sees it."""
        ...

    def owns_type(self, cls: type) -> bool:
        """True when `wrap` makes the Values for instances of `cls` (asked once per class)."""
        ...

    def wrap(self, ev: Machine, obj: Any, source: Source) -> Value | None:
        """A Value for an object of an owned type, reached at `source`. Adds the guards it relies on (the type guard too).

        None leaves the object to the evaluator, which models it as an ordinary Python object.
        """
        ...

    def function(self, fn: Any) -> Handler | None:
        """The handler of a framework callable (function, builtin, class), asked once per callable; None to inline it
        when it is Python, and to break when it is not. `ev.memo` of the answer is kept per process.
        """
        ...

    def is_framework_code(self, fn: Any) -> bool:
        """True for Python functions and classes of the framework: not inlined unless `may_inline` says so, and
        not guarded against being replaced.
        """
        ...

    def may_inline(self, fn: Any) -> bool:
        """True when framework Python code can be captured like user code (layers' `forward`, say)."""
        ...

    def new_state(self, ev: Machine) -> Any:
        """State of one capture, kept as `ev.states[name]`. Called before anything is evaluated."""
        ...

    def global_guards(self, ev: Machine) -> None:
        """Add guards on the framework's global state (grad mode, default dtype) to `ev.guards`, with source None."""
        ...

    def finish(self, ev: Machine, rb: Emitter) -> None:
        """Called once the frame ended, before anything is rebuilt: writes to inputs go to `ev.boundary.writes` here, and
        global state that the program changed is set by `rb.effect(statement)`.
        """
        ...

    def take(self, ev: Machine, inputs: list[tuple[Source, Any]]) -> list[tuple[Source, Any]]:
        """The inputs of a graph that this front end runs, those of a framework that it hosts made its own."""
        ...

    def roll(self, ev: Machine, frame: Any, loop: Loop, start: int, top: list[Value], region: frozenset[int]) -> bool:
        """Whether a loop became one node of the graph; then its variables have their values, and the frame stands behind it, or at the
        function's return where the node is all the rest of it.

        start: the instruction at which it begins, of `region`, its instructions; top: what it finds on the stack there, and takes
        """
        ...

    def records_calls(self) -> bool:
        """Whether the framework itself writes down what is called now (torch.jit.trace), which compiled code would hide from
        it: calls run as plain Python meanwhile.
        """
        ...

    def raised_by_program(self, error: Exception) -> bool:
        """Whether what a graph raised comes from code of the program that the framework called while the graph ran (a hook for
        saved tensors): that code ran once, and must not run again for the error's sake.
        """
        ...

    def remembering(self, graph: Graph, run: Callable[..., Any]) -> Callable[..., Any]:
        """`run`, which runs the graph; where it raises, code of the program that the framework called (operators of its own) need
        not run again for the error's sake (see `repeating`).
        """
        ...

    def repeating(self, error: Exception) -> AbstractContextManager[Any]:
        """Around the plain run of a program whose graph raised: code of the program that the framework called in the graph gives,
        or raises, the same again.
        """
        ...

    def unseen(self) -> AbstractContextManager[Any]:
        """Inside, looking at the framework's objects runs no code of their classes, which may be the program's."""
        ...

    def location_is_framework(self, filename: str) -> bool:
        """True for source files of the framework: messages name the nearest caller outside of them."""
        ...


# A front end may also have `opaque(ev, fn, target, args, kwargs) -> Value`: a call of the user's function `fn`
# ("module:name" is `target`) as one extern node; without it such calls break. And `compute_at_once(ev, function, args)`: what
# `function(*args)` gives for known objects of the framework; it breaks where the call does more than give a result.

_frontends: list[Frontend] = []
_loaders: list[Callable[[], Frontend | None]] = []
_loading = threading.RLock()


def register_frontend(frontend: Frontend) -> None:
    """Add a front end for all later captures. One with the same name is replaced."""
    _frontends[:] = [f for f in _frontends if f.name != frontend.name] + [frontend]


def register_loader(loader: Callable[[], Frontend | None]) -> None:
    """Add a function that gives a front end as soon as its framework is imported (None until then). It is asked at
    every capture until it answers.
    """
    _loaders.append(loader)


def frontends() -> Sequence[Frontend]:
    """The front ends whose frameworks are in use."""
    if _loaders:
        with _loading:  # threads may ask for the first time at once
            for loader in list(_loaders):
                found = loader()
                if found is not None:
                    register_frontend(found)
                    _loaders.remove(loader)
    return _frontends
