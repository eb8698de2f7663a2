"""autograd.Function during capture.

Without gradients, `apply` is `forward` with a context that is thrown away. With gradients it is one node that calls `apply`
itself, so that autograd finds the program's own `backward`; `forward` is captured once on the side, to know what comes
out and that it changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from ....inductor.graph import ExternRef, Input, Node
from ....inductor.ops import OPS
from ...breaks import NotConstant
from ...values.base import Args, Kwargs, Value
from ...values.classes import ClassValue
from ...values.sequences import TupleValue
from ...values.tensor import ArrayValue
from .context import above
from .handlers import FUNCTIONS
from .recording import recorded
from .segments import Segment
from .state import gradients, state_of

if TYPE_CHECKING:
    from ...values.base import Machine


class ForwardContext:
    """What `forward` of an autograd.Function is given as `ctx` during capture."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self.saved_tensors = ()
        self.undifferentiated = ()
        self.dirty = ()

    def save_for_backward(self, *tensors: Any) -> None:
        self.saved_tensors = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Nothing reads it during `forward`."""

    def mark_dirty(self, *tensors: Any) -> None:
        self.dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        self.undifferentiated = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """It matters to `backward` alone."""


_NO_SETUP = torch.autograd.function._SingleLevelFunction.setup_context


def _apply(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """`Function.apply`."""
    cls, *rest = args
    assert isinstance(cls, ClassValue)
    return recorded(ev, "call_function", _applying(cls.real), rest, kwargs, lambda: _applied(ev, cls, rest, kwargs))


def _applying(cls: Any) -> Callable[..., Any]:
    """`cls.apply` as a function of its own, as a graph of torch names what it calls."""

    def apply(*args: Any) -> Any:
        return cls.apply(*args)

    apply.__name__, apply.__module__ = f"{cls.__name__}_apply", cls.__module__
    return apply


def _applied(ev: Machine, cls: ClassValue, rest: list[Value], kwargs: Kwargs) -> Value:
    state = state_of(ev)
    needs = tuple(isinstance(a, ArrayValue) and state.requires_grad(a.node(ev)) for a in rest)
    if state.grad and any(needs):
        return _apply_recorded(ev, cls, rest, kwargs, needs)
    return _forward(ev, cls, rest, kwargs, (False,) * len(rest))[0]


def _forward(
    ev: Machine, cls: ClassValue, args: list[Value], kwargs: Kwargs, needs: tuple[bool, ...]
) -> tuple[Value, Value]:
    """The result of `forward`, and its context."""
    context = ev.call_function(ForwardContext, [ev.from_python(needs)])
    with gradients(ev, False):
        if cls.real.setup_context is _NO_SETUP:
            return ev.call(cls.getattr_(ev, "forward"), [context, *args], kwargs), context
        result = ev.call(cls.getattr_(ev, "forward"), args, kwargs)
        ev.call(cls.getattr_(ev, "setup_context"), [context, TupleValue(args), result])
        return result, context


def _apply_recorded(ev: Machine, cls: ClassValue, args: list[Value], kwargs: Kwargs, needs: tuple[bool, ...]) -> Value:
    what = f"{cls.real.__name__}.apply"
    inputs: list[Node] = []
    template = [_template(ev, what, a, inputs) for a in args]
    segment = Segment(ev)
    for arg in args:
        if isinstance(arg, ArrayValue):
            segment.watch(arg)
    result, context = _forward(ev, cls, args, kwargs, needs)
    segment.end(what)
    if kwargs:
        raise ev.break_("autograd-function", f"{what} with keyword arguments", "eager takes none")
    elements = result.items(ev) if isinstance(result, TupleValue) else [result]
    arrays = [e for e in elements if isinstance(e, ArrayValue)]
    if not arrays or not all(isinstance(e, ArrayValue) or e.is_constant for e in elements):
        raise ev.break_(
            "autograd-function", f"{what}, which gives {result.describe()}", "tensors and constants are expected"
        )
    single = not isinstance(result, TupleValue)
    metas = tuple(a.meta for a in arrays)
    frozen = ["it may be a view that an autograd.Function made" if a.storage.is_input or a.parent is not None
              or segment.is_older(a.storage) else "" for a in arrays]  # fmt: skip
    plain = {id(e) for e in context.getattr_(ev, "undifferentiated").items(ev)}
    ref = ExternRef(_caller(cls.real, template), tuple(Input(i) for i in range(len(inputs))))  # type: ignore[arg-type]
    attrs = {"ref": ref, "effects": True, "raises": True, "strides": None}
    node = ev.builder.append(OPS["extern"], tuple(inputs), attrs, metas)  # type: ignore[arg-type]
    state = state_of(ev)
    state.opaque = True
    made = []
    for i, (array, why) in enumerate(zip(arrays, frozen)):
        part = ev.emit("getitem", node, index=i)
        if id(array) in plain:
            state.differentiated[part] = False
        made.append(above.tensor.new(part, frozen=why))
    if single:
        return made[0]
    remaining = iter(made)
    return TupleValue([next(remaining) if isinstance(e, ArrayValue) else e for e in elements])


def _template(ev: Machine, what: str, value: Value, inputs: list[Node]) -> Any:
    """An argument as the node keeps it: tensors as placeholders, all else as it is."""
    if isinstance(value, ArrayValue):
        inputs.append(value.node(ev))
        return Input(len(inputs) - 1)
    if isinstance(value, TupleValue):
        parts = tuple(_template(ev, what, v, inputs) for v in value.items(ev))
        if any(isinstance(p, Input) for p in parts):
            raise ev.break_("autograd-function", f"{what} with tensors inside a tuple", "autograd does not look inside")
        return parts
    try:
        return ev.to_python(value)
    except NotConstant:
        pass
    real = getattr(value, "real", None)
    if real is not None and value.source is not None and value.source.is_const and value not in ev.effects:
        return real
    raise ev.break_(
        "autograd-function", f"{what} with {value.describe()} as an argument", "only tensors and constants are kept"
    )


def _caller(cls: Any, template: list[Any]) -> Callable[..., tuple[torch.Tensor, ...]]:
    def call(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = cls.apply(*[tensors[t.index] if isinstance(t, Input) else t for t in template])
        given = given if isinstance(given, tuple) else (given,)
        return tuple(t for t in given if isinstance(t, torch.Tensor))

    call.__qualname__ = f"{cls.__qualname__}.apply"
    return call


FUNCTIONS[torch.autograd.Function.apply.__func__] = _apply  # type: ignore[attr-defined]
