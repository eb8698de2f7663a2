"""Fields of `torch._dynamo.config` that have a counterpart in `quern.config`: they are one and the same, read and written by either
name, by `config.patch` and `unittest.mock.patch` too. torch's own code goes on with torch's own values.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch._dynamo import config as torch_config

from .....config import config
from .....errors import warn
from . import callers
from .replacing import Replaced


@dataclass(frozen=True)
class _Counterpart:
    """quern's fields that one of torch's stands for; what they are called in it, and what a value of it means for them."""

    fields: tuple[str, ...]
    shown: Callable[..., Any] = lambda value: value
    meant: Callable[[Any], tuple[Any, ...]] = lambda value: (value,)

    def get(self) -> tuple[Any, ...]:
        return tuple(getattr(config, name) for name in self.fields)

    def put(self, values: tuple[Any, ...]) -> None:
        for name, value in zip(self.fields, values):
            setattr(config, name, value)


_SAME = (
    "disable",
    "automatic_dynamic_shapes",
    "capture_scalar_outputs",
    "capture_dynamic_output_shape_ops",
    "error_on_recompile",
)
_COUNTERPARTS = {
    **{name: _Counterpart((name,)) for name in (*_SAME, "recompile_limit")},
    "cache_size_limit": _Counterpart(("recompile_limit",)),  # torch's older name
    "suppress_errors": _Counterpart(
        ("on_error", "on_backend_error"),
        lambda own, backends: own == backends == "warn",
        lambda suppressed: ("warn", "warn") if suppressed else ("raise", "raise"),
    ),
    "assume_static_by_default": _Counterpart(
        ("dynamic",), lambda dynamic: dynamic is not True, lambda static: (None if static else True,)
    ),
}

#: fields of older releases, which programs still set, and what they were
_OLDER: dict[str, Any] = {
    "log_level": 30, "output_code": False, "print_graph_breaks": False, "normalize_ir": False, "numpy_ndarray_as_tensor": False,
    "raise_on_backend_error": True, "specialize_int_float": True, "raise_on_assertion_error": False,
}  # fmt: skip


class _Exact(contextlib.ContextDecorator):
    """Changes fields that are quern's, and puts back exactly what quern's were: several of these may be called alike in torch's."""

    def __init__(self, changes: dict[str, Any]) -> None:
        self.changes = changes
        self.before: list[list[tuple[_Counterpart, tuple[Any, ...]]]] = []

    def __enter__(self) -> None:
        found = [(_COUNTERPARTS[name], value) for name, value in self.changes.items()]
        self.before.append([(own, own.get()) for own, _ in found])
        for own, value in found:
            own.put(own.meant(value))

    def __exit__(self, *error: Any) -> None:
        for own, values in reversed(self.before.pop()):
            own.put(values)


class _Both(contextlib.ContextDecorator):
    """Two context managers as one."""

    def __init__(self, first: Any, second: Any) -> None:
        self.parts = first, second

    def __enter__(self) -> None:
        for part in self.parts:
            part.__enter__()

    def __exit__(self, *error: Any) -> None:
        for part in reversed(self.parts):
            part.__exit__(*error)


def install(replaced: Replaced) -> None:
    """Make the two configurations one."""
    kind: Any = type(torch_config)
    #: what quern's fields were when `mock.patch` set one of torch's: it deletes that, then sets it anew
    mocked: dict[str, list[tuple[Any, ...]]] = {}
    hidden: set[str] = set()
    older = dict(_OLDER)
    said: set[str] = set()

    class Config(kind):
        """torch's fields, some of which are quern's."""

        def __getattr__(self, name: str) -> Any:
            if name in hidden:
                raise AttributeError(f"{self.__name__}.{name} does not exist")
            if name in _COUNTERPARTS and not callers.is_torch():
                found = _COUNTERPARTS[name]
                return found.shown(*found.get())
            if name in older and name not in self._config:
                return older[name]
            return kind.__getattr__(self, name)

        def __setattr__(self, name: str, value: Any) -> None:
            if callers.is_torch():
                kind.__setattr__(self, name, value)
            elif name in _COUNTERPARTS:
                found = _COUNTERPARTS[name]
                if name in hidden:
                    found.put(mocked[name].pop())
                else:
                    if callers.is_mock():
                        mocked.setdefault(name, []).append(found.get())
                    found.put(found.meant(value))
            elif name in older and name not in self._config:
                _say_of_no_effect(name, older[name], value)
                older[name] = value
            else:
                entry = self._config.get(name)
                if entry is not None and entry.alias is None and not name.startswith("_"):
                    _say_of_no_effect(name, kind.__getattr__(self, name), value)
                kind.__setattr__(self, name, value)
            hidden.discard(name)

        def __delattr__(self, name: str) -> None:
            if name in older or name in _COUNTERPARTS and mocked.get(name):
                hidden.add(name)
            else:
                kind.__delattr__(self, name)

        def patch(self, arg1: Any = None, arg2: Any = None, **kwargs: Any) -> Any:
            changes = {arg1: arg2} if isinstance(arg1, str) else arg1 if isinstance(arg1, dict) else kwargs
            ours = {} if callers.is_torch() else {k: v for k, v in changes.items() if k in _COUNTERPARTS}
            if not ours:
                return kind.patch(self, arg1, arg2, **kwargs)
            rest = {k: v for k, v in changes.items() if k not in ours}
            return _Both(_Exact(ours), kind.patch(self, rest)) if rest else _Exact(ours)

    def _say_of_no_effect(name: str, before: Any, value: Any) -> None:
        # (torch's classes for tests set some of them)
        if name not in said and value != before and not callers.is_of_torch(callers.module()):
            said.add(name)
            warn(
                f"quern: torch._dynamo.config.{name} has no counterpart; setting it changes nothing for what quern compiles"
            )

    replaced.change(torch_config, "__class__", Config)
