"""quern: a just-in-time compiler for PyTorch modules and NumPy functions.

    import quern

    @quern.compile
    def f(x, y):
        return np.exp(x) * y

    fast = quern.compile(model)

Everything public is listed in `__all__` and loaded when first used: `import quern` itself is light.
"""

from __future__ import annotations

import importlib
from typing import Any

from . import clock as clock
from . import errors, imports
from .config import config

__version__ = "0.1.0"

#: public name -> module that has it
_LAZY = {
    "compile": "api",
    "explain": "api",
    "reset": "api",
    "set_stance": "api",
    "set_default_backend": "api",
    "get_default_backend": "api",
    "disable": "decorators",
    "skip": "decorators",
    "allow_in_graph": "decorators",
    "assume_constant_result": "decorators",
    "substitute_in_graph": "decorators",
    "graph_break": "decorators",
    "error_on_graph_break": "decorators",
    "is_compiling": "decorators",
    "is_dynamo_compiling": "decorators",
    "is_exporting": "decorators",
    "wrap_numpy": "decorators",
    "mark_dynamic": "decorators",
    "maybe_mark_dynamic": "decorators",
    "mark_static": "decorators",
    "mark_static_address": "decorators",
    "install": "place",
    "uninstall": "place",
    "list_backends": "backends",
    "register_backend": "backends",
    "on_compile_start": "callbacks",
    "on_compile_end": "callbacks",
}
_MODULES = ("compiler", "testing", "api", "backends", "callbacks", "decorators", "dynamo", "journal")

__all__ = ["__version__", "config", "errors", "compiler", "testing", *_LAZY]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    elif name in _MODULES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module 'quern' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if config.report:
    __getattr__("journal").report_at_exit()
if config.install:
    imports.when_imported("torch", lambda: __getattr__("install")())
