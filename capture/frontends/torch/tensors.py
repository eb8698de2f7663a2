"""Tensors during capture: attributes, operators and methods of torch.Tensor over `ArrayValue`."""

from __future__ import annotations

import operator
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ....inductor.graph import Dim, Node
from ....kernels.device import device_of
from ...breaks import Break
from ...machine.objects import MethodValue
from ...values.base import Args, Kwargs, Value
from ...values.constant import FALSE, NONE, TRUE, ConstantValue
from ...values.functions import BoundMethodValue
from ...values.item import ItemValue
from ...values.number import NumberValue
from ...values.tensor import ArrayState, ArrayValue, InputStorage, Storage, ViewStep
from . import reseating, tensor_attributes, training
from .calls import size_value, unwrap, wrap
from .context import Context, above
from .dtypes import LEGACY, from_torch, to_device, to_torch
from .externs import method_call
from .handlers import FUNCTIONS, METHODS
from .inplace import call_inplace, is_inplace, set_requires_grad
from .known import known_content
from .names import index as names_index
from .recording import note_write, recorded, recorded_attribute, recorded_output, recorded_rows
from .results import SizeValue
from .state import LooseStep, data_of, gradients, loose_piece, state_of
from .warned import gradient_of_no_leaf, transposed_cube, warn_of

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine

_BINARY = {
    "+": "__add__", "-": "__sub__", "*": "__mul__", "/": "__truediv__", "//": "__floordiv__", "%": "__mod__",
    "**": "__pow__", "@": "__matmul__", "&": "__and__", "|": "__or__", "^": "__xor__", "<<": "__lshift__",
    ">>": "__rshift__",
}  # fmt: skip
_REFLECTED = {op: f"__r{name[2:]}" for op, name in _BINARY.items()}
_INPLACE = {
    "+": "add_", "-": "sub_", "*": "mul_", "/": "div_", "//": "floor_divide_", "%": "remainder_", "**": "pow_",
    "&": "bitwise_and_", "|": "bitwise_or_", "^": "bitwise_xor_", "<<": "bitwise_left_shift_", ">>": "bitwise_right_shift_",
}  # fmt: skip
_COMPARE = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_UNARY = {"-": "neg", "+": "positive", "~": "bitwise_not"}


class TensorValue(ArrayValue):
    """One tensor of the program."""

    __slots__ = ("recorded", "original")
    #: of a view: whether gradients were on where it was made
    recorded: bool
    #: the tensor from outside that it is, where its memory does not tell
    original: torch.Tensor
    framework = "torch"
    #: it was made during capture as a leaf that gradients arrive at
    is_made_leaf = False

    #: only a jump may ask for its truth
    branches = True

    def python_type(self) -> type:
        real = tensor_attributes.real_of(self)
        return torch.Tensor if real is None else type(real)

    def describe(self) -> str:
        label = f" `{self.source.label}`" if self.source is not None else ""
        return f"a tensor{label}"

    def requires_grad(self, ev: Machine) -> bool:
        """Whether eager's tensor would."""
        real = tensor_attributes.real_of(self)
        if real is not None and real.requires_grad:
            return True
        return state_of(ev).requires_grad(self.node(ev))

    def node(self, ev: Machine) -> Node:
        storage = self.storage
        reseating.check_read(ev, self)
        if storage.is_input and storage.version and state_of(ev).delivers:
            training.settle(ev, storage)
        if self.parent is not None and storage.version != self.began and state_of(ev).grad:
            training.refuse_stale(ev, self)
        if self.parent is not None and self.recorded != state_of(ev).grad and self._version != storage.version:
            with gradients(ev, self.recorded):
                return super().node(ev)
        node = super().node(ev)
        if node.op.kind == "input" and isinstance(storage, InputStorage) and storage.requires_grad:
            state_of(ev).differentiated[node] = True
        return node

    def write(self, ev: Machine, node: Node) -> None:
        note_write(ev)
        training.write(ev, self, node, super().write)

    def view(self, ev: Machine, op: str, **attrs: Any) -> ArrayValue:
        made = super().view(ev, op, **attrs)
        made.recorded = state_of(ev).grad  # type: ignore[attr-defined]
        return made

    def pick(self, ev: Machine, indices: tuple[Node | None, ...]) -> ArrayValue:
        made = super().pick(ev, indices)
        made.recorded = state_of(ev).grad  # type: ignore[attr-defined]
        return made

    def leave_views(self) -> None:
        views = self.views
        super().leave_views()
        if views and self.parent is not None:
            views[0].parent.recorded = self.recorded  # type: ignore[union-attr]

    def become(self, view: ArrayValue) -> None:
        recorded = self.recorded if self.parent is not None else None
        super().become(view)
        self.recorded = view.recorded  # type: ignore[attr-defined]
        if recorded is not None:
            self.parent.recorded = recorded  # type: ignore[union-attr]

    # ------------------------------------------------------------ attributes

    def getattr_(self, ev: Machine, name: str) -> Value:
        attribute = _ATTRIBUTES.get(name)
        if attribute is not None:
            return recorded_attribute(ev, name, self, lambda: attribute(ev, self))
        own = _replaced(ev, name)
        if own is not None:
            return BoundMethodValue(own, self)
        if (name in METHODS or is_inplace(name)) and hasattr(torch.Tensor, name):  # `relu6` is a function only
            return MethodValue(self, name)
        own_value = tensor_attributes.own_of(ev, self, name)
        if own_value is not None:
            return own_value
        if name == "__class__":
            return ev.class_value(self.python_type())
        if not hasattr(torch.Tensor, name):
            raise ev.attribute_error(self, name)
        found = getattr(torch.Tensor, name)
        if callable(found):
            return MethodValue(self, name)
        raise ev.break_("tensor-attribute", f"the tensor attribute {name!r}", "capture does not model it")

    def setattr_(self, ev: Machine, name: str, value: Value) -> None:
        if name == "requires_grad" and value.is_constant:
            set_requires_grad(Context(ev), self, value.as_constant())
            return
        if name == "data":
            reseating.reseat(ev, self, value, "setting the data")
            return
        if not tensor_attributes.is_free(self, name):
            raise ev.break_("tensor-setattr", f"setting attribute {name!r} of {self.describe()}", "it is torch's own",
                            "set it outside of the compiled function")  # fmt: skip
        tensor_attributes.set_own(ev, self, name, value)

    def delattr_(self, ev: Machine, name: str) -> None:
        if not tensor_attributes.is_free(self, name):
            raise ev.break_("tensor-setattr", f"deleting attribute {name!r} of {self.describe()}", "it is torch's own",
                            "delete it outside of the compiled function")  # fmt: skip
        tensor_attributes.delete_own(ev, self, name)

    def replay(self, rb: Emitter, target: str) -> None:
        reseating.replay(rb, self, target)
        tensor_attributes.replay(rb, self, target)

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        own = _replaced(ev, name)
        if own is not None:
            return own.call(ev, [self, *args], kwargs)
        return recorded(
            ev, "call_method", name, [self, *args], kwargs, lambda: self._call_method(ev, name, args, kwargs)
        )

    def _call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        handler = METHODS.get(name)
        if handler is not None:
            return handler(ev, [self, *args], kwargs)
        if is_inplace(name):
            return call_inplace(ev, self, name, args, kwargs)
        special = _SPECIAL.get(name)
        if special is not None:
            return special(ev, self, *args)
        if name.startswith("__"):
            return super().call_method(ev, name, args, kwargs)
        return method_call(ev, name, [self, *args], kwargs)

    # ------------------------------------------------------------ protocols

    def truth(self, ev: Machine) -> bool:
        content = known_content(ev, self)
        if content is not None:
            return ev.fold_raw(bool, content)
        raise ev.branch_break(f"the value of {self.describe()}")

    def len_(self, ev: Machine) -> Value:
        def make() -> Value:
            if not self.meta.shape:
                raise ev.type_error("len() of a 0-d tensor")
            return size_value(ev, self.meta.shape[0])

        return recorded(ev, "call_function", len, [self], {}, make)

    def iter_(self, ev: Machine) -> Value:
        if not self.meta.shape:
            raise ev.type_error("iteration over a 0-d tensor")
        rows = recorded_rows(ev, self, operator.getitem, lambda: METHODS["unbind"](ev, [self], {}))
        return rows.iter_(ev)

    def contains(self, ev: Machine, item: Value) -> bool:
        raise ev.break_("data-dependent-value", f"`in` over the content of {self.describe()}", "the content is not known",
                        "use (tensor == value).any()")  # fmt: skip

    def getitem(self, ev: Machine, key: Value) -> Value:
        key = above.with_tensors(ev, key, scalars=False)

        def make() -> Value:
            return wrap(ev, _with_errors(ev, names_index.getitem, self, unwrap(ev, key)))

        return recorded(ev, "call_function", operator.getitem, [self, key], {}, make)

    def setitem(self, ev: Machine, key: Value, value: Value) -> None:
        key = above.with_tensors(ev, key, scalars=False)

        def make() -> None:
            state_of(ev).began = len(ev.graph.nodes)
            _with_errors(ev, names_index.setitem, self, unwrap(ev, key), unwrap(ev, value))

        recorded(ev, "call_function", operator.setitem, [self, key, value], {}, make, writes=True)

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        other = _operand(ev, other)
        if not _is_operand(other):
            return None
        operands = [other, self] if reflected else [self, other]
        name = (_REFLECTED if reflected else _BINARY)[op]
        return recorded(ev, "call_function", ev.operators.BINARY[op], operands, {},
                        lambda: METHODS[name](ev, [self, other], {}))  # fmt: skip

    def inplace(self, ev: Machine, op: str, other: Value) -> Value | None:
        name = _INPLACE.get(op)
        other = _operand(ev, other)
        if name is None or not _is_operand(other):
            return None
        return recorded(ev, "call_function", ev.operators.INPLACE[op], [self, other], {},
                        lambda: call_inplace(ev, self, name, [other], {}))  # fmt: skip

    def unary(self, ev: Machine, op: str) -> Value:
        return recorded(
            ev, "call_function", ev.operators.UNARY[op], [self], {}, lambda: METHODS[_UNARY[op]](ev, [self], {})
        )

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        other = _operand(ev, other)
        if not _is_operand(other):
            return None
        return recorded(ev, "call_function", ev.operators.COMPARE[op], [self, other], {},
                        lambda: METHODS[_COMPARE[op]](ev, [self, other], {}))  # fmt: skip

    def chosen(self, ev: Machine, op: str, other: Value) -> Value | None:
        return choice(ev, op, self, other)

    def repr_(self, ev: Machine) -> Value:
        raise ev.break_("tensor-text", f"formatting {self.describe()}", "its content is known only when the graph runs",
                        "print outside of the compiled function")  # fmt: skip

    def isinstance_(self, ev: Machine, cls: type) -> bool:
        if cls in LEGACY:
            return self.meta.dtype == from_torch(LEGACY[cls]) and self.meta.device == "cpu"
        if cls is torch.nn.Parameter:
            return isinstance(tensor_attributes.real_of(self), cls)
        return issubclass(self.python_type(), cls)

    def shallow_copy(self, ev: Machine) -> Value:
        """A tensor of its own in the same memory, without a history."""
        if self.requires_grad(ev) or self.isinstance_(ev, torch.nn.Parameter):
            raise ev.break_("requires-grad", f"a copy of {self.describe()}, which requires gradients",
                            "the copy would be a leaf of its own", "use x.detach()")  # fmt: skip
        made = self.view(ev, "detach")
        tensor_attributes.copy_own(ev, self, made)
        return made

    # ------------------------------------------------------------ NumPy's ufuncs

    def as_array(self, ev: Machine) -> Value:
        return self.call_method(ev, "numpy", [], {})

    def from_array(self, ev: Machine, array: Value) -> Value:
        if array.python_type() is np.bool_ or getattr(array, "dtype", None) == np.bool_:
            array = array.call_method(ev, "astype", [ConstantValue("uint8")], {})  # as Tensor.__array_wrap__ does
        made: Value = above.with_tensors(ev, array)
        return made

    # ------------------------------------------------------------ aliasing

    def state(self, ev: Machine) -> ArrayState:
        return state_of(ev).arrays

    def guard_apart(self, ev: Machine, one: InputStorage, other: InputStorage) -> None:
        ev.guards.apart(apart, one.source, other.source)

    def rebuild(self, rb: Emitter) -> str:
        return tensor_attributes.hang(rb, self, self._rebuilt(rb))

    def _rebuilt(self, rb: Emitter) -> str:
        output = recorded_output(rb, self)
        if output is not None:
            return output
        loose = loose_piece(self)
        if loose is not None and loose.parent is not None:
            rb.ev.boundary.claim(self.framework)
            near = loose.parent if loose is self else loose
            return self.rebuild_view(rb, rb.value(near), near.offset)
        made = _as_made(self)
        if made is self or made.parent is not None or state_of(rb.ev).requires_grad(self.node(rb.ev)):
            return super().rebuild(rb)  # where autograd saved it, its layout must stay: a view will do
        shape, stride, offset = rb.sizes(self.meta.shape), rb.sizes(self.meta.stride), rb.size(self.offset)
        return f"{rb.inject(training.relaid, 'relaid')}({rb.value(made)}, {shape}, {stride}, {offset})"

    def output(self, rb: Emitter) -> str:
        text, state = super().output(rb), state_of(rb.ev)
        root: ArrayValue = self
        while root.parent is not None:
            root = root.parent
        mode = state.is_inference(self.storage)
        if root.framework != self.framework:
            return text
        if mode is state.entry_inference:
            return training.counted(rb.ev, rb, self.storage, text)
        if state.requires_grad(self.storage.current(rb.ev)):
            raise rb.cannot(self, "it was made out of inference mode, which was on before, and gradients are recorded")
        return rb.temp(f"{rb.inject(made_in_mode)}({mode}, {text})")

    def rebuild_view(self, rb: Emitter, base: str, offset: Dim = 0) -> str:
        training.refuse_stale(rb.ev, self)
        restore = rb.inject(*training.view_maker(rb.ev, self))
        shape, stride = rb.sizes(self.meta.shape), rb.sizes(self.meta.stride)
        made = f"{restore}({base}, {shape}, {stride}, {rb.size(self.offset - offset)})"
        return training.counted(rb.ev, rb, self.storage, made, self)


def made_in_mode(inference: bool, x: torch.Tensor) -> torch.Tensor:
    """What `x` would be, had it been made with inference mode on or off: another tensor over its memory."""
    with torch.inference_mode(inference):
        empty = torch.empty(0, dtype=x.dtype, device=x.device)
        return empty.set_(x.untyped_storage(), x.storage_offset(), x.shape, x.stride())


above.tensor = TensorValue


class ChosenTensor(TensorValue):
    """One of two tensors, which one only the data tell: `max(a, b)`. Outside of the graph it is that very tensor."""

    __slots__ = ("condition", "one", "other", "versions")
    is_undecided = True
    condition: Node
    one: TensorValue
    other: TensorValue
    versions: tuple[int, int]

    @classmethod
    def of(cls, node: Node, condition: Node, one: TensorValue, other: TensorValue) -> ChosenTensor:
        made = cls(Storage(node, node.meta, "it is one of two tensors"), node.meta, node)
        made.condition, made.one, made.other = condition, one, other
        made.versions = one.storage.version, other.storage.version
        return made

    def node(self, ev: Machine) -> Node:
        versions = self.one.storage.version, self.other.storage.version
        if self.versions != versions:  # one of the two was written to since
            self.versions = versions
            made = FUNCTIONS[torch.where](ev, [TensorValue.new(self.condition), self.one, self.other], {})
            assert isinstance(made, ArrayValue)
            self._node = made.node(ev)
        assert self._node is not None
        return self._node

    def view(self, ev: Machine, op: str, **attrs: Any) -> ArrayValue:
        return TensorValue.new(self.node(ev), self.storage.frozen).view(ev, op, **attrs)

    def setattr_(self, ev: Machine, name: str, value: Value) -> None:
        raise ev.break_("tensor-setattr", f"setting attribute {name!r} of {self.describe()}", "only the data tell which tensor it is",
                        "set it outside of the compiled function")  # fmt: skip

    def rebuild(self, rb: Emitter) -> str:
        return f"({rb.value(self.one)} if {rb.output(self.condition)} else {rb.value(self.other)})"


def choice(ev: Machine, op: str, one: TensorValue, other: Value) -> Value | None:
    """`one if one op other else other` as a value of the graph: for two tensors that are alike, of one element each."""
    if not isinstance(other, TensorValue) or set(one.meta.shape) - {1} or one.meta.shape != other.meta.shape:
        return None
    if one.meta.stride != other.meta.stride:
        return None
    alike = one.meta.dtype == other.meta.dtype and one.meta.device == other.meta.device
    plain = {type(one), type(other)} <= {TensorValue, ChosenTensor}
    if not alike or not plain or one is other or not one.python_type() is other.python_type() is torch.Tensor:
        return None
    if known_content(ev, one) is not None and known_content(ev, other) is not None:
        return None
    condition = METHODS[_COMPARE[op]](ev, [one, other], {})
    made = FUNCTIONS[torch.where](ev, [condition, one, other], {})
    assert isinstance(condition, TensorValue) and isinstance(made, TensorValue)
    state_of(ev).chosen_from |= {one, other}
    return ChosenTensor.of(made.node(ev), condition.node(ev), one, other)


def apart(written: tuple[torch.Tensor, ...], others: tuple[torch.Tensor, ...]) -> bool:
    """Whether the storage of each of the first is that of no other tensor."""
    storages = {t.untyped_storage()._cdata for t in written}
    return len(storages) == len(written) and storages.isdisjoint([t.untyped_storage()._cdata for t in others])


def _replaced(ev: Machine, name: str) -> Value | None:
    """The function that the program put into `torch.Tensor` under this name; None when it is torch's own."""
    found = torch.Tensor.__dict__.get(name)
    if found is None:
        return None
    ev.guards.steady(torch.Tensor, name, found, "Tensor")
    if not isinstance(found, types.FunctionType) or str(found.__module__).partition(".")[0] == "torch":
        return None
    return ev.wrap(found, ev.names.const(found, label=f"Tensor.{name}"))


def _is_operand(value: Value) -> bool:
    """What tensor operators take: tensors and numbers (known or symbolic)."""
    if isinstance(value, ArrayValue):
        return True
    if value.is_constant:
        return isinstance(value.as_constant(), (bool, int, float, complex))
    payload = getattr(value, "payload", None)  # an instance of a subclass of int or float
    if payload is not None and payload.is_constant:
        return isinstance(payload.as_constant(), (bool, int, float, complex))
    return isinstance(value, (NumberValue, ItemValue)) or getattr(value, "expr", None) is not None


def _operand(ev: Machine, value: Value) -> Value:
    """Another framework's scalar as the number that torch takes it for."""
    known = value.as_constant() if value.is_constant else None
    if known is not None and getattr(getattr(known, "dtype", None), "kind", "") in ("b", "i", "u", "f"):
        return ConstantValue(known.item())
    return value.python_number(ev) or value


def _with_errors(ev: Machine, fn: Callable[..., Any], *args: Any) -> Any:
    """Call a handler function; what it refuses is the program's own error."""
    try:
        return fn(Context(ev), *args)
    except Break:
        raise
    except (TypeError, ValueError, IndexError) as error:
        raise ev.framework_error(error) from error


# ---------------------------------------------------------------- attributes

Attribute = Callable[["Machine", TensorValue], Value]


def _shape(ev: Machine, x: TensorValue) -> Value:
    return SizeValue([size_value(ev, s) for s in x.meta.shape])


def _size(ev: Machine, x: TensorValue, dim: Value | None = None) -> Value:
    if dim is None or ev.is_none(dim):
        return _shape(ev, x)
    return _shape(ev, x).getitem(ev, dim)


def _transposed(ev: Machine, x: TensorValue) -> Value:
    rank = len(x.meta.shape)
    if rank != 2:
        warn_of(ev, transposed_cube)
    return x.view(ev, "permute", dims=tuple(reversed(range(rank))))


def _matrix_transposed(ev: Machine, x: TensorValue) -> Value:
    return _with_errors(ev, lambda cx: x.view(ev, "transpose", dim0=-2, dim1=-1))


def _grad(ev: Machine, x: TensorValue) -> Value:
    real = tensor_attributes.real_of(x)
    if real is None:
        if _is_leaf(ev, x) is FALSE:
            warn_of(ev, gradient_of_no_leaf)
        return NONE
    source = x.source if x.source is not None else x.storage.source  # type: ignore[attr-defined]
    return ev.wrap(real.grad, source.attr("grad"))


def _grad_fn(ev: Machine, x: TensorValue) -> Value:
    return NONE if _is_leaf(ev, x) is TRUE else HistoryValue()


class HistoryValue(Value):
    """`x.grad_fn` of a tensor that was computed: known not to be None, and no more."""

    __slots__ = ()

    def python_type(self) -> type:
        return torch.autograd.graph.Node

    def describe(self) -> str:
        return "a tensor's grad_fn"

    def getattr_(self, ev: Machine, name: str) -> Value:
        raise ev.break_(
            "autograd-attribute", f"the attribute {name!r} of a tensor's grad_fn", "gradients are not captured"
        )


def _is_leaf(ev: Machine, x: TensorValue) -> Value:
    if x.is_made_leaf:
        return TRUE
    storage = x.storage
    if isinstance(storage, InputStorage) and x.parent is None and storage.version == 0:
        leaf = storage.real.is_leaf
        ev.guards.test(storage.source, f"{{x}}.is_leaf is {leaf}", f"{{label}}.is_leaf was {leaf}", 2)
        return TRUE if leaf else FALSE
    unrecorded_view = x.parent is not None and not x.recorded
    return FALSE if x.requires_grad(ev) and not unrecorded_view else TRUE


def _needs_grad(ev: Machine, x: TensorValue) -> Value:
    if isinstance(x.storage, InputStorage) and x.parent is None:
        state_of(ev).guard_requires_grad(ev, x.storage)
    return TRUE if x.requires_grad(ev) else FALSE


def _base_of(ev: Machine, x: TensorValue) -> Value:
    made = _as_made(x)
    if made.step is not None and _begins(made.step) or made.parent is None and x.relaid:
        return NONE
    if x.parent is not None:
        root: ArrayValue = x
        while root.parent is not None and root.step is not None and not _begins(root.step):
            root = root.parent
        if root.parent is not None:
            return root
        if not root.storage.is_input:
            return root
        held = _base_of(ev, root)  # type: ignore[arg-type]
        return root if ev.is_none(held) else held
    storage = x.storage
    if not isinstance(storage, InputStorage):
        return NONE
    return ev.wrap(storage.real._base, storage.source.attr("_base"))


def _is_view(ev: Machine, x: TensorValue) -> Value:
    made = _as_made(x)
    if made.step is not None:
        return FALSE if _begins(made.step) else TRUE
    return _asked(ev, x, "_is_view")


def _begins(step: ViewStep) -> bool:
    """Whether what the step makes is no view to autograd."""
    return step.stops_gradients or isinstance(step, LooseStep)


def _as_made(x: ArrayValue) -> ArrayValue:
    """The tensor as it was made, before its layout was changed in place."""
    while x.relaid:
        assert x.parent is not None
        x = x.parent
    return x


def _asked(ev: Machine, x: TensorValue, question: str) -> Value:
    """What a method says of a tensor from outside, guarded; False for one that the graph makes."""
    storage = x.storage
    if not isinstance(storage, InputStorage):
        return FALSE
    answer = getattr(storage.real, question)()
    ev.guards.test(storage.source, f"{{x}}.{question}() is {answer}", f"{{label}}.{question}() was {answer}", 2)
    return TRUE if answer else FALSE


def _on(kind: str) -> Attribute:
    return lambda ev, x: TRUE if device_of(x.meta.device).kind == kind else FALSE


def _fixed(value: Any) -> Attribute:
    return lambda ev, x: ev.constant(value)


_ATTRIBUTES: dict[str, Attribute] = {
    "shape": _shape,
    "dtype": lambda ev, x: ev.constant(to_torch(x.meta.dtype)),
    "device": lambda ev, x: ev.constant(to_device(x.meta.device)),
    "ndim": lambda ev, x: ConstantValue(len(x.meta.shape)),
    "layout": _fixed(torch.strided),
    "itemsize": lambda ev, x: ConstantValue(x.meta.dtype.size),
    "nbytes": lambda ev, x: size_value(ev, x.meta.numel * x.meta.dtype.size),
    "real": lambda ev, x: FUNCTIONS[torch.real](ev, [x], {}),
    "imag": lambda ev, x: FUNCTIONS[torch.imag](ev, [x], {}),
    "T": _transposed,
    "H": lambda ev, x: METHODS["adjoint"](ev, [x], {}),
    "mH": lambda ev, x: METHODS["adjoint"](ev, [x], {}),
    "mT": _matrix_transposed,
    "data": lambda ev, x: data_of(ev, x),
    "grad": _grad,
    "grad_fn": _grad_fn,
    "requires_grad": _needs_grad,
    "is_leaf": _is_leaf,
    "_base": _base_of,
    "_version": training.version_of,
    "is_cpu": _on("cpu"),
    "is_cuda": _on("cuda"),
    "is_xpu": _on("xpu"),
    "is_mps": _on("mps"),
    "is_meta": _on("meta"),
    "is_sparse": _fixed(False),
    "is_sparse_csr": _fixed(False),
    "is_quantized": _fixed(False),
    "is_nested": _fixed(False),
    "is_mkldnn": _fixed(False),
}

#: methods that take and give Values
_SPECIAL: dict[str, Callable[..., Value]] = {
    "size": _size,
    "_is_view": _is_view,
    "is_shared": lambda ev, x: _asked(ev, x, "is_shared"),
    "is_pinned": lambda ev, x: _asked(ev, x, "is_pinned"),
}
METHODS["size"] = lambda ev, args, kwargs: _size(ev, *args, *kwargs.values())  # type: ignore[arg-type]
