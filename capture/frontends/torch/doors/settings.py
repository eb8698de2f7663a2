"""Fields of `torch._dynamo.config` that have a counterpart in `quern.config`: they are one and the same, read and written by either
name, by `config.patch` and `unittest.mock.patch` too. torch's own code goes on with torch's own values.
"""

from __future__ import annotations

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
    """quern's field, and what its values are called in torch's."""

    name: str
    shown: Callable[[Any], Any] = lambda value: value
    meant: Callable[[Any], Any] = lambda value: value


_COUNTERPARTS = {
    "recompile_limit": _Counterpart("recompile_limit"),
    "cache_size_limit": _Counterpart("recompile_limit"),  # torch's older name
    "suppress_errors": _Counterpart("on_error", lambda v: v == "warn", lambda v: "warn" if v else "raise"),
    "disable": _Counterpart("disable"),
    "automatic_dynamic_shapes": _Counterpart("automatic_dynamic_shapes"),
    "assume_static_by_default": _Counterpart("dynamic", lambda v: v is not True, lambda v: None if v else True),
    "capture_scalar_outputs": _Counterpart("capture_scalar_outputs"),
    "capture_dynamic_output_shape_ops": _Counterpart("capture_dynamic_output_shape_ops"),
    "error_on_recompile": _Counterpart("error_on_recompile"),
}

#: fields of older releases, which programs still set, and what they were
_OLDER: dict[str, Any] = {
    "log_level": 30, "output_code": False, "print_graph_breaks": False, "normalize_ir": False, "numpy_ndarray_as_tensor": False,
    "raise_on_backend_error": True, "specialize_int_float": True, "raise_on_assertion_error": False,
}  # fmt: skip


def install(replaced: Replaced) -> None:
    """Make the two configurations one."""
    kind: Any = type(torch_config)
    hidden: set[str] = set()  # deleted by mock.patch, which sets it anew
    older = dict(_OLDER)
    said: set[str] = set()

    class Config(kind):
        """torch's fields, some of which are quern's."""

        def __getattr__(self, name: str) -> Any:
            if name in hidden:
                raise AttributeError(f"{self.__name__}.{name} does not exist")
            if name in _COUNTERPARTS and not callers.is_torch():
                found = _COUNTERPARTS[name]
                return found.shown(getattr(config, found.name))
            if name in older and name not in self._config:
                return older[name]
            return kind.__getattr__(self, name)

        def __setattr__(self, name: str, value: Any) -> None:
            hidden.discard(name)
            if callers.is_torch():
                kind.__setattr__(self, name, value)
            elif name in _COUNTERPARTS:
                found = _COUNTERPARTS[name]
                setattr(config, found.name, found.meant(value))
            elif name in older and name not in self._config:
                _say_of_no_effect(name, older[name], value)
                older[name] = value
            else:
                entry = self._config.get(name)
                if entry is not None and entry.alias is None and not name.startswith("_"):
                    _say_of_no_effect(name, kind.__getattr__(self, name), value)
                kind.__setattr__(self, name, value)

        def __delattr__(self, name: str) -> None:
            if name in _COUNTERPARTS or name in older:
                hidden.add(name)
            else:
                kind.__delattr__(self, name)

    def _say_of_no_effect(name: str, before: Any, value: Any) -> None:
        # (torch's classes for tests set some of them)
        if name not in said and value != before and not callers.is_of_torch(callers.module()):
            said.add(name)
            warn(
                f"quern: torch._dynamo.config.{name} has no counterpart; setting it changes nothing for what quern compiles"
            )

    replaced.change(torch_config, "__class__", Config)
