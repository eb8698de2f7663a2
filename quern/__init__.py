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

from . import errors
from .config import config

__version__ = "0.1.0"

#: public name -> module that has it
_LAZY = {
    "compile": "api",
    "explain": "api",
    "reset": "api",
    "disable": "api",
    "allow_in_graph": "api",
    "assume_constant_result": "api",
    "graph_break": "api",
    "is_compiling": "api",
    "mark_dynamic": "api",
    "mark_static": "api",
    "install": "api",
    "uninstall": "api",
    "list_backends": "backends",
    "register_backend": "backends",
    "on_compile_start": "callbacks",
    "on_compile_end": "callbacks",
}
_MODULES = ("compiler", "testing", "api", "backends", "callbacks")

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
