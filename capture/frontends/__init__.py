"""The array frameworks quern knows. Each is loaded when the program has imported the framework itself: here alone, inside the
functions, lie the imports of rooms that wait.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import ModuleType

from ..frontend import Frontend, register_loader


def _torch() -> Frontend:
    from .torch.frontend import TorchFrontend

    return TorchFrontend()


def _numpy() -> Frontend:
    from .numpy.frontend import NumpyFrontend

    return NumpyFrontend()


#: framework module -> what makes its front end
_KNOWN = {"torch": _torch, "numpy": _numpy}


@functools.cache
def connect() -> None:
    """Make the known front ends available to all later captures. Calling it again does nothing."""
    for framework, make in _KNOWN.items():
        register_loader(functools.partial(_load, framework, make))


def _load(framework: str, make: Callable[[], Frontend]) -> Frontend | None:
    # a framework that is still being imported is not ready
    found = sys.modules.get(framework)
    if found is None or not hasattr(found, "__version__"):
        return None
    return make()


def torch_module() -> ModuleType:
    """What compiles an `nn.Module`. Imports torch."""
    from .torch import module

    return module


def torch_doors() -> ModuleType:
    """What puts quern in the place of `torch.compile`. Imports torch."""
    from .torch.doors import install

    return install


def torch_backends() -> ModuleType:
    """torch's own registry of backends. Imports torch's compiler."""
    from .torch import registry

    return registry


def torch_dynamo_doors() -> ModuleType:
    """What makes `torch._dynamo` lead to quern. Imports it."""
    from .torch.doors import dynamo

    return dynamo
