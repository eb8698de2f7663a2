"""Who calls. torch's own code compiles for purposes of its own (`torch.export`, the eager forms of `cond` and of flex_attention, ...):
that is torch's compiler's work, whatever is installed.
"""

from __future__ import annotations

import sys

#: modules of torch that act for a program that calls them
_FOR_PROGRAMS = (
    "torch.compiler", "torch.nn.modules.module", "torch._dynamo.testing", "torch._dynamo.test_case", "torch._dynamo.debug_utils",
    "torch.testing.", "torch.utils.benchmark", "torch.serialization",
)  # fmt: skip
#: what stands between a program and what it calls
_BETWEEN = ("torch.utils._config_module", "torch.utils._contextlib", "contextlib", "unittest.mock", "functools")


def is_torch() -> bool:
    """Whether the function that called a door is torch's own, and works for torch."""
    name = module()
    return is_of_torch(name) and not name.startswith(_FOR_PROGRAMS)


def is_of_torch(module: str) -> bool:
    """Whether it is a module of torch's."""
    return module == "torch" or module.startswith("torch.")


def module() -> str:
    """The module of the function that called a door."""
    frame = sys._getframe(1)
    while True:
        name = frame.f_globals.get("__name__", "")
        between = name in _BETWEEN or name.startswith(__package__) or frame.f_code.co_filename == "<quern door>"
        if not between or frame.f_back is None:
            return name
        frame = frame.f_back


def is_mock() -> bool:
    """Whether `unittest.mock` called a door."""
    return sys._getframe(2).f_globals.get("__name__") == "unittest.mock"
