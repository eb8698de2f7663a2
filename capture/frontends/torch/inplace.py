"""In-place methods by rule: `x.name_(...)` is the functional `name`, written into `x`. The exceptions have their own rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...values.base import Value
from ...values.sequences import ListValue, TupleValue
from ...values.tensor import ArrayValue
from .argument_types import binds, given_to
from .calls import NUMERIC, assign, operand_of, takes_numbers, unwrap
from .context import Context, Declined, above
from .handlers import METHODS, OF_ARGUMENTS, refusal_of
from .names.index import fill
from .names.shape import squeeze, t, transpose, unsqueeze
from .overlapping import check_written, is_pointwise
from .state import state_of
from .training import count_relaying

if TYPE_CHECKING:
    from ...values.base import Machine

#: methods that end in `_` and are no in-place form of another: (cx, self, *args, **kwargs) -> what they return
INPLACE: dict[str, Callable[..., Any]] = {}
#: in-place methods that copy element by element
_COPIES = frozenset(("copy_", "fill_"))
#: in-place methods that are no in-place form of what has their name without `_`
RANDOM = frozenset(("bernoulli_",))
#: in-place methods that have no backward pass
_UNDIFFERENTIABLE = frozenset(("acosh_", "arccosh_", "arcsinh_", "arctanh_", "asinh_", "atanh_"))


def _method(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(fn: Callable[..., Any]) -> Callable[..., Any]:
        INPLACE[name] = fn
        return fn

    return add


def is_inplace(name: str) -> bool:
    """True for methods that write to the tensor, as far as the tables know."""
    return name.endswith("_") and not name.endswith("__") and (name in INPLACE or name[:-1] in METHODS)


def call_inplace(ev: Machine, x: ArrayValue, name: str, args: Sequence[Value], kwargs: Mapping[str, Value]) -> Value:
    """`x.name_(*args, **kwargs)`; answers with `x` itself."""
    state_of(ev).began = len(ev.graph.nodes)
    with state_of(ev).without_casts():  # autocast leaves in-place operators alone
        return _call_inplace(ev, x, name, args, kwargs)


def _call_inplace(ev: Machine, x: ArrayValue, name: str, args: Sequence[Value], kwargs: Mapping[str, Value]) -> Value:
    if not binds(name, given_to([x, *args], kwargs), method=True):
        return above.method_call(ev, name, [x, *args], kwargs)
    special = INPLACE.get(name)
    read = list(_arrays(ev, [*args, *kwargs.values()]))
    if read:
        check_written(ev, x, read, name in _COPIES or is_pointwise(name))
    if special is not None:
        given = operand_of if special in NUMERIC else unwrap
        try:
            special(Context(ev), x, *[given(ev, a) for a in args], **{k: given(ev, v) for k, v in kwargs.items()})
        except Declined:
            return above.method_call(ev, name, [x, *args], kwargs)
        except OF_ARGUMENTS as error:
            raise refusal_of(ev, special, [x, *args], kwargs, error) from error
        return x
    if name in RANDOM or name in _UNDIFFERENTIABLE and state_of(ev).grad and state_of(ev).requires_grad(x.node(ev)):
        return above.method_call(ev, name, [x, *args], kwargs)
    kept = state_of(ev).grad and any(a.storage is x.storage for a in read)
    result = METHODS[name[:-1]](ev, [operand(ev, x, args, kept), *args], kwargs)
    if result is x:
        return x
    if (
        kept
    ):  # the op, which reads `x` as another argument too, keeps that for the backward pass: it comes before the write
        state_of(ev).began = len(ev.graph.nodes)
    if not isinstance(result, ArrayValue) or result.storage is x.storage:
        raise ev.break_("metadata-inplace", f"the in-place method {name}", "it changes the tensor's layout, not its content",
                        f"use x = x.{name[:-1]}(...)")  # fmt: skip
    assign(Context(ev), x, result)
    return x


def _arrays(ev: Machine, values: Sequence[Value]) -> Iterator[ArrayValue]:
    """The tensors among arguments, those in lists and tuples included."""
    for v in values:
        if isinstance(v, ArrayValue):
            yield v
        elif isinstance(v, (TupleValue, ListValue)):
            yield from _arrays(ev, v.items(ev))


def operand(ev: Machine, x: ArrayValue, args: Sequence[Value], kept: bool = False) -> ArrayValue:
    """`x` as the functional form reads it. What autograd keeps of it for the backward pass must not be what is then written
    to, so a differentiated write to a tensor from outside starts from a copy; so does one that keeps another argument over the same
    memory.
    """
    state = state_of(ev)
    if not state.grad or not x.storage.is_input and not kept:
        return x
    tensors = [x, *(a for a in args if isinstance(a, ArrayValue))]
    return (
        Context(ev).array(ev.emit("clone", x.node(ev))) if any(state.requires_grad(t.node(ev)) for t in tensors) else x
    )


@_method("copy_")
def _copy(cx: Context, self: ArrayValue, src: Any, non_blocking: bool = False) -> None:
    source = cx.node(src)
    if isinstance(src, ArrayValue) and src.meta.device != self.meta.device:
        source = cx.op("to_device", source, device=self.meta.device)
    self.write(cx.ev, cx.op("copy", self, source))


@_method("fill_")
@takes_numbers
def _fill(cx: Context, self: ArrayValue, value: Any) -> None:
    fill(cx, self, value)


@_method("zero_")
def _zero(cx: Context, self: ArrayValue) -> None:
    fill(cx, self, 0)


@_method("detach_")
def _detach(cx: Context, self: Any) -> None:
    """Cut a tensor off from its history. Its views keep theirs, and it is refused for a view."""
    storage = self.storage
    is_view = self.call_method(cx.ev, "_is_view", [], {}).truth(cx.ev)
    gives = self.requires_grad(cx.ev)
    if is_view or gives and (storage.is_input or self.views):
        raise cx.broken("autograd", "Tensor.detach_ of an input, a view, or a tensor that has views",
                        "it cuts gradients that are recorded", "use x = x.detach()")  # fmt: skip
    if not gives:
        return
    storage.node = cx.op("detach", storage.current(cx.ev))
    storage.version += 1


@_method("requires_grad_")
def _requires_grad(cx: Context, self: ArrayValue, requires_grad: bool = True) -> None:
    set_requires_grad(cx, self, requires_grad)


def set_requires_grad(cx: Context, x: Any, wanted: Any) -> None:
    """`x.requires_grad_(wanted)`: nothing where it is so already."""
    if wanted is not x.requires_grad(cx.ev):
        raise cx.broken("requires-grad", f"changing whether {x.describe()} requires gradients",
                        "what was computed from it before is differentiated in another way than what follows",
                        "change it outside of the compiled function, or use x.detach()")  # fmt: skip


def _refused(name: str, why: str) -> None:
    def call(cx: Context, self: ArrayValue, *args: Any, **kwargs: Any) -> None:
        raise cx.broken("unsupported-inplace", f"the in-place method Tensor.{name}", why)

    INPLACE[name] = call


def _relaid(name: str) -> None:
    """`x.unsqueeze_(0)` and its kin: the tensor object becomes a view of what it was. Those that the program got from outside, or
    made views of, are left to the framework.
    """

    def call(cx: Context, self: ArrayValue, *args: Any, **kwargs: Any) -> None:
        state, refers = state_of(cx.ev), self.views or self.source is not None
        if refers or self.storage.is_input or self.storage in state.loose or self in state.chosen_from:
            raise cx.broken("unsupported-inplace", f"the in-place method Tensor.{name}",
                            "it changes the layout of a tensor that is an input, or that shares memory", f"use x = x.{name[:-1]}(...)")  # fmt: skip
        view = BY_NAME[name[:-1]](cx, self, *args, **kwargs)
        if view.parent is self:
            count_relaying(cx.ev, self)
            self.become(view)

    INPLACE[name] = call


BY_NAME = {"t": t, "transpose": transpose, "swapaxes": transpose, "swapdims": transpose, "squeeze": squeeze, "unsqueeze": unsqueeze}  # fmt: skip
#: in-place methods that change a tensor's layout alone
RELAID = frozenset(f"{_name}_" for _name in BY_NAME)
for _name in RELAID:
    _relaid(_name)
for _name in (
    "resize_",
    "resize_as_",
    "as_strided_",
    "share_memory_",
    "rename_",
    "detach_copy_",
    "sparse_resize_",
):
    _refused(_name, "it changes the tensor's layout or memory, not its content")
