"""Launches of a program's own Triton kernels: one node each, which counts as a write to every tensor that the kernel is given.

What a kernel writes to stands in its code alone. One that is tuned, or wrapped otherwise, chooses its settings while it runs: its
launch breaks the graph.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ....inductor.ops.promotion import is_dense
from ...values.base import Args, Kwargs, Value
from ...values.constant import NONE
from ...values.mappings import DictValue
from ...values.number import NumberValue
from ...values.tensor import ArrayValue
from .calls import unwrap
from .context import Context
from .externs import call_target
from .handlers import FUNCTIONS, when_imported
from .state import state_of

if TYPE_CHECKING:
    from ...values.base import Machine


#: what a kernel runs over; other tensors are somebody's who traces the graph
_DATA = (torch.Tensor, torch.nn.Parameter)


class Launch:
    """What a node calls: a kernel, with the names of what it is given and the settings that stay the same.

    sizes: how many of the values say how large the grid is; the others are named
    """

    def __init__(self, kernel: Any, sizes: int, names: Sequence[str], settings: Mapping[str, Any]) -> None:
        self.kernel, self.sizes, self.names, self.settings = kernel, sizes, tuple(names), dict(settings)

    def __call__(self, *values: Any) -> None:
        grid, given = values[: self.sizes], values[self.sizes :]
        tensors = [v for v in given if isinstance(v, torch.Tensor)]
        traced = torch._C._len_torch_dispatch_stack() or any(type(t) not in _DATA for t in tensors)
        kernel = torch.library.wrap_triton(self.kernel) if traced else self.kernel
        if traced and kernel is self.kernel:
            raise NotImplementedError(f"{self} runs in Triton's interpreter, which wants data: it cannot be traced")
        kernel[grid](**dict(zip(self.names, given)), **self.settings)

    def foresee(self, *values: Any) -> None:
        """Over stand-ins: the writes."""
        with torch.no_grad():
            for value in values:
                if isinstance(value, torch.Tensor):
                    value.zero_()

    def __repr__(self) -> str:
        return f"the Triton kernel {self.kernel.__name__}"


def _run(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """`kernel.run(*args, grid=, warmup=, **kwargs)`, to which `kernel[grid](...)` comes."""
    kernel, place = getattr(args[0], "real", None), args[0].source
    if kernel is None or place is None:
        raise ev.break_(
            "triton-kernel", "a launch of a Triton kernel that is made inside", "the graph holds those from outside"
        )
    if not place.is_const:
        ev.guards.is_(place, kernel)
    what = f"a launch of the Triton kernel {kernel.__name__}"
    named = dict(zip(kernel.arg_names, args[1:])) | dict(kwargs)
    grid, warmup = named.pop("grid"), named.pop("warmup")
    if warmup.truth(ev):
        raise ev.break_("triton-kernel", what, "it only warms up")
    if grid.python_type() not in (tuple, list):
        grid = ev.call(grid, [DictValue(list(named.items()))])
    state = state_of(ev)
    arrays = {k: v for k, v in named.items() if isinstance(v, ArrayValue)}
    if state.grad and any(state.requires_grad(v.node(ev)) for v in arrays.values()):
        raise ev.break_(
            "triton-kernel", what, "autograd does not see what it writes to a tensor that requires gradients"
        )
    if not all(is_dense(v.meta.shape, v.meta.stride) for v in arrays.values()):
        raise ev.break_(
            "triton-kernel", what, "a copy of a tensor with gaps is laid out otherwise, and it writes to copies"
        )
    sizes = [unwrap(ev, v) for v in grid.items(ev)]
    varying = {k: v for k, v in named.items() if k in arrays or not v.is_constant}
    settings = {k: v.as_constant() for k, v in named.items() if k not in varying}
    launch = Launch(kernel, len(sizes), list(varying), settings)
    values = [v if isinstance(v, NumberValue) else unwrap(ev, v) for v in varying.values()]
    with state.without_casts():
        call_target(Context(ev), repr(launch), launch, [*sizes, *values], {}, True, held=True)
    ev.boundary.op_by_op = f"{launch} is held by the graph"
    return NONE


def _break(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    raise ev.break_(
        "triton-kernel", "a launch of a Triton kernel that is tuned or wrapped", "it chooses its settings while it runs"
    )


def _add(module: str, name: str, handler: Any) -> None:
    def add() -> None:
        FUNCTIONS[getattr(sys.modules[module], name).run] = handler

    when_imported(module, add)


def _wrapped(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """The kernel, which needs no mark to be captured."""
    return args[0] if args else kwargs["triton_kernel"]


_add("triton.runtime.jit", "JITFunction", _run)
_add("triton.runtime.interpreter", "InterpretedFunction", _run)
_add("triton.runtime.autotuner", "Autotuner", _break)
_add("triton.runtime.autotuner", "Heuristics", _break)
FUNCTIONS[torch.library.wrap_triton] = _wrapped
