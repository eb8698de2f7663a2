"""The array frameworks quern knows. Each is loaded when the program has imported the framework itself."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable

from ..frontend import Frontend, register_loader

#: framework module -> (front end module, class)
_KNOWN = {
    "torch": (".torch.frontend", "TorchFrontend"),
    "numpy": (".numpy.frontend", "NumpyFrontend"),
}


@functools.cache
def connect() -> None:
    """Make the known front ends available to all later captures. Calling it again does nothing."""
    for framework, (module, name) in _KNOWN.items():
        register_loader(_loader(framework, module, name))


def _loader(framework: str, module: str, name: str) -> Callable[[], Frontend | None]:
    def load() -> Frontend | None:
        # a framework that is still being imported is not ready
        found = sys.modules.get(framework)
        if found is None or not hasattr(found, "__version__"):
            return None
        return getattr(importlib.import_module(module, __name__), name)()

    return load
