"""NumPy's arrays next to tensors: one graph holds both, and tensors run it.

`x.numpy()` and `torch.from_numpy(a)` give the same memory another class. In the graph that is nothing: the node is the same one,
and writes through either reach the one storage (`AcrossStep`). What NumPy's functions compute is computed by NumPy where the
graph runs op by op (`Node.library`), and by kernels like any other op elsewhere. At the borders of the graph arrays become
tensors over their memory, and back.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...guards.guards import Guard
from ...guards.sources import Source
from ...values.base import Args, Kwargs, Value
from ...values.constant import ConstantValue
from ...values.sequences import ListValue, TupleValue
from ...values.tensor import ArrayValue, ViewStep
from .array_memory import lie_apart, tensor_over
from .calls import mixed
from .complex_views import is_conj, is_neg
from .context import Context, above
from .dtypes import from_torch
from .handlers import name, register_handler
from .names.data import item_of
from .state import detached, state_of

if TYPE_CHECKING:
    from ....inductor.graph import Node
    from ...values.base import Emitter, Machine


@dataclass(frozen=True)
class AcrossStep(ViewStep):
    """The same elements as another framework's array. `function` makes it of the real one."""

    function: Callable[..., Any] | None = None

    is_placed = False

    def apply(self, ev: Machine, parent: Node) -> Node:
        return parent

    def undo(self, ev: Machine, parent: Node, new: Node) -> Node:
        if state_of(ev).requires_grad(new):
            raise ev.break_("training-inplace", "writing a value that requires gradients into memory shared with a NumPy array",
                            "the history would belong to the tensor alone", "write x.detach()")  # fmt: skip
        return new

    def remake(self, rb: Emitter, parent: str) -> str:
        assert self.function is not None
        return f"{rb.inject(self.function, self.op)}({parent})"


def array_of(ev: Machine, x: ArrayValue) -> Value:
    """The NumPy array over a tensor's memory."""
    numpy = ev.states.get("numpy")
    if numpy is None:
        raise ev.break_("mixed-frameworks", "Tensor.numpy", "quern captures no NumPy calls here")
    ev.boundary.claim("torch")
    state_of(ev).crossed = True
    step = AcrossStep("numpy", {}, torch.Tensor.numpy)
    made: Value = numpy.builder.array_class(x.storage, x.meta, x.node(ev), parent=x, step=step)
    return made


def tensor_of(ev: Machine, a: Any) -> ArrayValue:
    """The tensor over an array's memory; of a NumPy scalar, which has none, a new one."""
    ev.boundary.claim("torch")
    state_of(ev).crossed = True
    if a.scalar:
        made: ArrayValue = above.tensor.new(a.node(ev))
        return made
    if any(s < 0 for s in a.strides if isinstance(s, int)):
        raise ev.framework_error(ValueError("some of the strides of an array are negative: tensors have none"))
    if not a.writeable:
        raise ev.break_("read-only-memory", f"making a tensor of {a.describe()}, which is read-only",
                        "tensors cannot be read-only, and torch warns of it", "copy it")  # fmt: skip
    a.guard_writeable(ev)
    made = above.tensor(a.storage, a.meta, a.node(ev), parent=a, step=AcrossStep("from_numpy", {}, torch.from_numpy))
    made.recorded = state_of(ev).grad  # type: ignore[attr-defined]
    return made


def is_array(value: Value) -> bool:
    """Whether a Value is an array or a scalar of NumPy that the graph holds."""
    return isinstance(value, ArrayValue) and value.framework == "numpy"


def with_tensors(ev: Machine, value: Value, scalars: bool = True) -> Value:
    """An argument with tensors in the place of NumPy's arrays and scalars, also in a sequence."""
    if is_array(value):
        return tensor_of(ev, value) if scalars or not value.scalar else value  # type: ignore[attr-defined]
    if (
        scalars
        and type(value) is ConstantValue
        and type(value.value).__module__ == "numpy"
        and hasattr(value.value, "dtype")
    ):
        return _known_scalar(ev, value.value)
    if type(value) is ListValue or type(value) is TupleValue:
        items = value.items(ev)
        taken = [with_tensors(ev, v, scalars) for v in items]
        if any(map(operator.is_not, taken, items)):
            return type(value)(taken)
    return value


def _known_scalar(ev: Machine, scalar: Any) -> Value:
    """A NumPy number that is the same at every call, as a tensor of its type."""
    kind = torch.from_numpy(np.asarray(scalar)).dtype
    made: Value = above.tensor.new(
        Context(ev).op("full", shape=(), value=scalar.item(), dtype=from_torch(kind), device="cpu")
    )
    return made


def number_of(ev: Machine, value: Any) -> Any:
    """A NumPy scalar that the graph computes as the number that torch takes it for; None for an array, and for other numbers."""
    kind = {"f": float, "i": int, "u": int}.get(value.kind) if value.scalar else None
    return None if kind is None else item_of(Context(ev), tensor_of(ev, value), kind)


above.with_tensors, above.number_of = with_tensors, number_of


# ------------------------------------------------------------------ functions


@name("Tensor.numpy")
def numpy(cx: Context, self: ArrayValue, *, force: bool = False) -> Any:
    if self.meta.dtype.name == "bfloat16":
        raise TypeError("NumPy has no bfloat16")
    if force:
        self = detached(cx.ev, self) if self.requires_grad(cx.ev) else self  # type: ignore[attr-defined]
        if self.meta.device != "cpu":
            self = cx.array(cx.op("to_device", self, device="cpu"))
    elif self.requires_grad(cx.ev):  # type: ignore[attr-defined]
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    if self.meta.device != "cpu":
        raise TypeError(f"a tensor on {self.meta.device} cannot be an array of NumPy")
    if is_conj(cx, self) or is_neg(cx, self):
        raise cx.broken("lazy-conjugate", "Tensor.numpy of a tensor whose conjugation is still to do")
    return array_of(cx.ev, self)


def _from_numpy(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    if len(args) != 1 or kwargs or not is_array(args[0]):
        raise mixed(ev, f"torch.from_numpy of {args[0].describe() if args else 'nothing'}")
    if args[0].scalar:  # type: ignore[attr-defined]
        raise ev.framework_error(TypeError("torch.from_numpy takes arrays, not scalars"))
    return tensor_of(ev, args[0])


register_handler("torch.from_numpy", _from_numpy)


# ------------------------------------------------------------------ the borders of a graph


def take_arrays(ev: Machine, inputs: list[tuple[Source, Any]]) -> list[tuple[Source, Any]]:
    """The inputs of a graph that tensors run: arrays become tensors over their memory."""
    over = ev.names.inject(tensor_over, "tensor_over")
    return [(s, x) if isinstance(x, torch.Tensor) else (s.step(f"{over}(", ")", ""), tensor_over(x)) for s, x in inputs]


def keep_apart(ev: Machine) -> None:
    """Where a tensor or an array from outside is written to, none of the other kind may share its memory: that is guarded. Breaks
    where one does now.
    """
    numpy, tensors = ev.states.get("numpy"), state_of(ev).arrays
    if numpy is None or not numpy.inputs or not (numpy.entries or tensors.entries):
        return
    for one in tensors.inputs:
        for other in numpy.inputs:
            if one not in tensors.entries and other not in numpy.entries:
                continue
            if not lie_apart(one.real, other.real):
                raise ev.break_("aliased-input-write", f"writing to `{one.source.label}` or `{other.source.label}`, which share memory",
                                "the two inputs would have to be updated together", "pass one of them, or a copy")  # fmt: skip
            apart = ev.names.inject(lie_apart, "lie_apart")
            reason = "{label} shares memory with an array that the function takes"
            ev.guards.add(Guard(one.source, f"{apart}({{x}}, {{y}})", reason, other.source, 2))
