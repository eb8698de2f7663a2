"""`torch.compile(model, backend="quern")`: torch's own capture in front, quern's compiler behind.

torch finds `quern_backend` by the entry point group `torch_dynamo_backends`. What Dynamo hands over is a module whose `forward` is
generated Python; quern captures that like any other function, with the same table of torch names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .api import compile


def quern_backend(
    gm: Any, example_inputs: Sequence[Any], *, mode: str | None = None, options: Mapping[str, Any] | None = None
) -> Callable[..., Any]:
    """A Dynamo backend: `(GraphModule, example inputs) -> callable`. mode, options: as for `quern.compile`."""
    # torch writes a graph module's code when it is first called; capture needs it now
    getattr(gm, "real_recompile", gm.recompile)()
    return compile(gm.forward, backend="inductor", mode=mode, options=options)
