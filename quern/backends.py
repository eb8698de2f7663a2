"""Backends by name: what turns a captured graph into a callable.

A backend is a function `(graph, example_inputs) -> callable`; the callable takes the graph's inputs and returns a tuple of its
outputs. `"inductor"` compiles, `"eager"` runs the graph op by op with the framework (the debug backend). Others are found
in the entry point group `quern.backends`, or registered here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import InvalidBackend, nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Backend = Callable[..., Callable[..., Any]]


@dataclass(frozen=True)
class _Registered:
    function: Backend | None
    tags: tuple[str, ...]


#: built-in backends are served by the engine itself (function None)
_registry: dict[str, _Registered] = {
    "inductor": _Registered(None, ()),
    "eager": _Registered(None, ("debug",)),
}


def register_backend(compiler_fn: Backend | None = None, name: str | None = None, tags: Sequence[str] = ()) -> Any:
    """Add a backend under `name` (default: the function's name). Also a decorator, with or without arguments.

    Raises TypeError for something that cannot be called, ValueError for a name that is taken by another function.
    """
    if compiler_fn is None:
        return lambda function: register_backend(function, name, tags)
    if not callable(compiler_fn):
        raise TypeError(f"a backend must be callable, not {type(compiler_fn).__name__}")
    key = name or compiler_fn.__name__
    known = _registry.get(key)
    if known is not None and known.function is not compiler_fn:
        raise ValueError(f"a backend called {key!r} is registered already; choose another name")
    _registry[key] = _Registered(compiler_fn, tuple(tags))
    return compiler_fn


def _entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # a fifth of the time that importing quern takes

    return {e.name: e for e in entry_points(group="quern.backends")}


def list_backends(exclude_tags: Sequence[str] = ("debug", "experimental")) -> list[str]:
    """Names that `backend=` accepts, without those that carry one of `exclude_tags`."""
    hidden = set(exclude_tags or ())
    names = {name for name, row in _registry.items() if not hidden & set(row.tags)}
    return sorted(names | set(_entry_points()))


def lookup_backend(backend: str | Backend) -> str | Backend:
    """A callable stays as it is; a name becomes its function, or itself when the engine serves it.

    Raises InvalidBackend with the known names and the nearest one.
    """
    if not isinstance(backend, str):
        if callable(backend):
            return backend
        raise InvalidBackend(
            f"backend must be a name or a function (graph, example_inputs) -> callable, not {backend!r}"
        )
    row = _registry.get(backend)
    if row is None:
        found = _entry_points().get(backend)
        if found is not None:
            row = _registry[backend] = _Registered(found.load(), ())
    if row is None:
        known = list_backends(exclude_tags=())
        raise InvalidBackend(
            f"no backend is called {backend!r}.{nearest(backend, known)}\n"
            f"  known backends: {', '.join(known)}\n"
            "  add one with quern.register_backend(function, name=...)"
        )
    return backend if row.function is None else row.function
