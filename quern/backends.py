"""Backends by name: what turns a captured graph into a callable.

`"inductor"` compiles, `"eager"` runs the graph op by op with the framework (the debug backend). Every other backend is a function
`(module, example_inputs) -> callable`, as torch.compile takes it: for a PyTorch program the module is a `torch.fx.GraphModule` of the
program's own calls, with quern's graph as its `quern_graph`. One that is registered with `graph="quern"`, or offered in the entry
point group `quern.backends`, is given quern's `Graph` instead, and so is every one for a NumPy program. The callable takes the graph's
inputs and returns a tuple of its outputs.

Names are looked for among those registered here, in `quern.backends`, then in torch's own registry, with the entry point group
`torch_dynamo_backends`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .capture.entry.backend import UserBackend
from .capture.frontends import torch_backends
from .errors import InvalidBackend
from .words import nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Backend = Callable[..., Callable[..., Any]]

#: the graphs that a backend may ask for
_LANGUAGES = ("torch", "quern")


@dataclass(frozen=True)
class _Registered:
    function: Backend | None
    tags: tuple[str, ...]
    graph: str = "torch"


#: built-in backends are served by the engine itself (function None)
_registry: dict[str, _Registered] = {
    "inductor": _Registered(None, ()),
    "eager": _Registered(None, ("debug",)),
}
#: what quern is called in torch's registry
_ITSELF = "quern"


def register_backend(
    compiler_fn: Backend | None = None, name: str | None = None, tags: Sequence[str] = (), graph: str = "torch"
) -> Any:
    """Add a backend under `name` (default: the function's name). Also a decorator, with or without arguments.

    graph: "torch": it takes a `torch.fx.GraphModule`, as for torch.compile; "quern": it takes quern's own `Graph`

    Raises TypeError for something that cannot be called, ValueError for a name that is taken by another function, or an unknown
    kind of graph.
    """
    if graph not in _LANGUAGES:
        raise ValueError(f"register_backend(): graph must be 'torch' or 'quern', not {graph!r}")
    if compiler_fn is None:
        return lambda function: register_backend(function, name, tags, graph)
    if not callable(compiler_fn):
        raise TypeError(f"a backend must be callable, not {type(compiler_fn).__name__}")
    key = name or compiler_fn.__name__
    known = _registry.get(key)
    if known is not None and known.function is not compiler_fn:
        raise ValueError(f"a backend called {key!r} is registered already; choose another name")
    _registry[key] = _Registered(compiler_fn, tuple(tags), graph)
    return compiler_fn


def _entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # a fifth of the time that importing quern takes

    return {e.name: e for e in entry_points(group="quern.backends")}


def list_backends(exclude_tags: Sequence[str] = ("debug", "experimental")) -> list[str]:
    """Names that `backend=` accepts, without those that carry one of `exclude_tags`. torch's own are there once it is imported."""
    hidden = set(exclude_tags or ())
    names = {*_registry, *_entry_points()}
    if "torch" in sys.modules:
        names |= torch_backends().names(hidden) - {_ITSELF}
    return sorted(names - {name for name, row in _registry.items() if hidden & set(row.tags)})


def lookup_backend(backend: str | Backend) -> str | Backend:
    """A callable stays as it is; a name becomes its function, or itself when the engine serves it.

    Raises InvalidBackend with the known names and the nearest one, or why a known one cannot work here.
    """
    if not isinstance(backend, str):
        if callable(backend):
            return backend
        raise InvalidBackend(
            f"backend must be a name or a function (graph module, example inputs) -> callable, not {backend!r}"
        )
    if backend == _ITSELF:
        return "inductor"
    row = _registry.get(backend) or _found(backend)
    if row is None:
        known = list_backends(exclude_tags=())
        raise InvalidBackend(
            f"no backend is called {backend!r}.{nearest(backend, known)}\n"
            f"  known backends: {', '.join(known)}\n"
            "  add one with quern.register_backend(function, name=...)"
        )
    return backend if row.function is None else row.function


def _found(name: str) -> _Registered | None:
    """A backend that somebody else registered."""
    entry = _entry_points().get(name)
    if entry is not None:
        row = _registry[name] = _Registered(entry.load(), (), "quern")
        return row
    if "torch" not in sys.modules:
        return None
    theirs = torch_backends()
    function = theirs.find(name)
    if function is None:
        return None
    if why := theirs.refusal(name):
        raise InvalidBackend(
            f"the backend {name!r} cannot be used here: {why}\n  try: backend='inductor', or no backend="
        )
    row = _registry[name] = _Registered(function, tuple(getattr(function, "_tags", ())))
    return row


def user_backend(function: Backend, settings: Mapping[str, Any]) -> UserBackend:
    """A backend that is a function, as the engine calls it; `settings` are keyword arguments for it. An object may say
    `quern_graph = True` to be given quern's own graphs.
    """
    for name, row in _registry.items():
        if row.function is function:
            return UserBackend(name, function, row.graph, settings)
    name = getattr(function, "__name__", type(function).__name__)
    return UserBackend(name, function, "quern" if getattr(function, "quern_graph", False) else "torch", settings)
