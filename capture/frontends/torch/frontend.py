"""The torch front end: what capture asks of torch (see `capture.frontend`)."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ....inductor.graph import Graph
from ...breaks import BreakReason, Restart
from ...guards.seen import DESCRIBERS
from ...guards.sources import Source
from ...machine.type_lookup import noted
from ...machine.wrapping import anchor
from ...switches import function_flags
from ...values.base import Args, Handler, Kwargs, Value
from ...values.constant import NONE, ConstantValue
from ...values.functions import BY_CODE, FunctionValue
from ...values.keys import IDENTITY_HASHES
from ...values.tensor import ArrayValue, InputStorage
from . import (  # noqa: F401  imported for the rows they add
    arrays,
    autocast,
    autograd_function,
    checkpointing,
    complex_views,
    contexts,
    control_flow,
    data_addresses,
    flex_attention,
    functional_call,
    hooks,
    overrides,
    parameters,
    queries,
    stand_ins,
    subclasses,
    training,
    transforms,
    triton_kernels,
)
from .context import Context
from .dtypes import FROM_TORCH
from .externs import OPERATORS, handler_of_unknown, opaque_call
from .foreach import foreach_handler
from .graph_module import call_backend
from .guards import (
    check_state,
    guard_state,
    guard_tensor,
    guard_together,
    heed_determinism,
    heed_meta_device,
    tensor_key,
)
from .handlers import add_imported, as_written, function_handler, when_imported
from .hooks import saved_tensor_hook_raised
from .inner_compile import inner_compile
from .inplace import RELAID, call_inplace, is_inplace
from .lazy import is_lazy
from .module import StandsForModule
from .modules import NNModuleValue
from .names import attention, convert, create, data, index, legacy, nn, pointwise, reduce, shape  # noqa: F401  imported for the rows they add
from .own_operators import remembering, repeating
from .recording import Program, Recording, Unrecorded, is_public, recorded, recording_handler
from .results import SizeValue
from .runtime import TorchRuntime, tensor_meta
from .state import TorchState, state_of
from .tensors import TensorValue

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine

#: immutable objects of torch, compared by value
_CONSTANTS = (
    torch.dtype, torch.device, torch.layout, torch.memory_format, torch.finfo, torch.iinfo, torch.nn.attention.SDPBackend,
)  # fmt: skip
#: operators that call functions
_CALLING = torch._ops.HigherOrderOperator
#: torch's Python code that is not captured like the user's: compilers, operators' machinery, devices and processes
_NOT_INLINED = (
    "torch._C", "torch._compile", "torch._decomp", "torch._dispatch", "torch._dynamo", "torch._export", "torch._functorch",
    "torch._guards", "torch._higher_order_ops", "torch._inductor", "torch._library", "torch._logging", "torch._ops",
    "torch._prims", "torch._refs", "torch._subclasses", "torch._tensor_str", "torch.amp", "torch.ao", "torch.autograd",
    "torch.backends", "torch.compiler", "torch.cpu", "torch.cuda", "torch.distributed", "torch.export", "torch.func",
    "torch.fx", "torch.hub", "torch.jit", "torch.library", "torch.multiprocessing", "torch.nested", "torch.onnx",
    "torch.overrides", "torch.package", "torch.profiler", "torch.random", "torch.serialization", "torch.sparse",
    "torch.storage", "torch.utils.checkpoint", "torch.utils.cpp_extension", "torch.utils.data", "torch.utils.hooks",
    "torch.utils._python_dispatch", "torch.utils._device", "torch.xpu",
)  # fmt: skip
_INLINED = (
    "torch._export.non_strict_utils", "torch._functorch.apis", "torch.amp.autocast_mode", "torch.autograd.grad_mode",
    "torch.export._tree_utils", "torch.export._unlift", "torch.fx._pytree",
)  # fmt: skip
#: a live view; torch.Tensor.__dict__ is a new one at each asking
_METHODS = torch.Tensor.__dict__
_FOLDER = torch.__file__.rsplit("/", 1)[0]


IDENTITY_HASHES.append(torch.Tensor.__hash__)


class TorchFrontend:
    """`capture.frontend.Frontend` for torch."""

    name = "torch"
    rolls = False

    def __init__(self) -> None:
        self.runtime = TorchRuntime()

    # ------------------------------------------------------------ objects

    def owns_type(self, cls: type) -> bool:
        return issubclass(cls, (torch.Tensor, torch.nn.Module, torch.Size, *_CONSTANTS, *OPERATORS, _CALLING))

    def wrap(self, ev: Machine, obj: Any, source: Source) -> Value | None:
        if isinstance(obj, torch.Tensor):
            return _wrap_tensor(ev, obj, source)
        if isinstance(obj, torch.nn.Module):
            return _wrap_module(ev, obj, source)
        if isinstance(obj, torch.Size):
            ev.guards.equals(source, obj) if not source.is_const else None
            return SizeValue([ConstantValue(n) for n in obj], source)
        if isinstance(obj, (*OPERATORS, _CALLING)):
            if not source.is_const:
                ev.guards.is_(source, obj)
            return OperatorValue(obj)
        if not source.is_const:
            ev.guards.equals(source, obj)
        return FrameworkConstant(obj)

    # ------------------------------------------------------------ callables

    def function(self, fn: Any) -> Handler | None:
        if fn is torch.compile:
            return inner_compile
        if _is_refused_by_torch(fn):
            return _break_at_refused(fn)
        try:
            found = function_handler(fn)
        except TypeError:
            return None
        if found is not None:
            return recording_handler(fn, found) if is_public(fn) else found
        if getattr(fn, "__module__", "") in _OF_DYNAMO:
            return _of_dynamo(fn)
        region = noted(fn, "__marked_compile_region_fn__")
        if region is not None:  # of `torch.compiler.nested_compile_region`: part of the graph, like any function
            return lambda ev, args, kwargs: ev.call_function(region, args, kwargs)
        if _is_allowed_by_torch(fn):
            return lambda ev, args, kwargs: ev.opaque_call(fn, args, kwargs)
        if noted(fn, "_dynamo_marked_constant") or noted(noted(fn, "__wrapped__"), "_dynamo_marked_constant"):
            return queries.called_now(fn)
        found = _tensor_method(fn) or _unpatched(fn) or foreach_handler(fn)
        if found is not None:
            return found
        call = _inplace_function(fn) or handler_of_unknown(fn)
        return None if call is None else recording_handler(fn, call)

    def is_framework_code(self, fn: Any) -> bool:
        module = getattr(fn, "__module__", None)
        return isinstance(module, str) and (module == "torch" or module.startswith("torch."))

    def may_inline(self, fn: Any) -> bool:
        module = fn.__module__
        if module in _INLINED or fn.__qualname__.startswith(("TorchFunctionMode.", "DeviceContext.")):
            return True
        return module != "torch" and not any(module == m or module.startswith(m + ".") for m in _NOT_INLINED)

    def inlined(self, ev: Machine, fn: Any) -> Handler | None:
        """How a function that is inlined is called; None: like any other. A public one is one call of a recorded program."""
        if state_of(ev).recording is None or not is_public(fn):
            return None
        return recording_handler(fn, as_written(fn))

    def opaque(self, ev: Machine, fn: Any, target: str, args: Any, kwargs: Any) -> Value:
        """A user's function as one node of the graph; it must take and give tensors, and have no effects."""
        return recorded(ev, "call_function", fn, args, kwargs, lambda: opaque_call(ev, fn, target, args, kwargs))

    # ------------------------------------------------------------ one capture

    def new_state(self, ev: Machine) -> TorchState:
        add_imported()
        state = TorchState(ev.builder)
        if getattr(ev.engine, "wants_program", False):
            ev.boundary.claim("torch")  # also where all calls are NumPy's: such a backend takes no other graphs
            if ev.symbols.assume.recorded:
                state.recording = Recording(state.grad)
        return state

    def program(self, ev: Machine, outputs: Sequence[Any], writes: bool) -> Program | None:
        """The program that was captured as calls of torch, giving these Values and nodes. None where it is not recorded; a program
        of which no whole recording can be made is captured again without one.
        """
        recording = state_of(ev).recording
        if recording is None or not recording.calls:
            return None
        try:
            return recording.close(ev, outputs, writes, self)
        except Unrecorded:
            ev.symbols.assume.recorded = False
            raise Restart from None

    def call_backend(
        self, backend: Callable[..., Any], graph: Graph, examples: Sequence[Any], program: Program | None, symbols: Any,
        reason: BreakReason | None,
    ) -> Callable[..., Any]:  # fmt: skip
        """What a backend that takes graph modules makes of a graph."""
        return call_backend(backend, graph, examples, program, symbols, self.runtime, reason)

    def global_guards(self, ev: Machine) -> None:
        check_state(ev)
        guard_state(ev)

    def finish(self, ev: Machine, rb: Emitter) -> None:
        state = state_of(ev)
        hooks.heed_packing(ev)
        training.heed_inference(ev)
        guard_together(ev, state)
        heed_determinism(ev)
        heed_meta_device(ev)
        if state.stored or state.opaque or any(map(state.records_gradients, ev.graph.nodes)):
            ev.boundary.requires_grad = state.requires_grad
        training.finish_quietly(ev)
        training.finish_counting(ev, rb)
        hooks.finish(ev, rb)
        for mode in state.modes:  # the continuation leaves them
            rb.enter(f"{rb.inject(torch.overrides._push_mode, 'push_mode')}({rb.value(mode)})")
        arrays.keep_apart(ev)
        ev.boundary.writes.extend(m for m in state.arrays.mutations(ev) if m[1] not in state.stored)
        if (
            state.entry_grad
            and ev.boundary.requires_grad is None
            and any(s.real.requires_grad for s in state.arrays.inputs)
        ):
            ev.boundary.isolated |= {"gradients"}
        if state.entry_autocast.active:
            ev.boundary.isolated |= {"autocast"}
        autocast.leave(ev, rb)
        if state.grad != state.entry_grad:
            rb.effect(f"{rb.inject(torch._C._set_grad_enabled, 'set_grad_enabled')}({state.grad})")

    def take(self, ev: Machine, inputs: list[tuple[Source, Any]]) -> list[tuple[Source, Any]]:
        return arrays.take_arrays(ev, inputs)

    def roll(self, ev: Machine, frame: Any, loop: Any, start: int, top: list[Value], region: frozenset[int]) -> bool:
        return False

    def records_calls(self) -> bool:
        return torch._C._is_tracing()

    def raised_by_program(self, error: Exception) -> bool:
        return saved_tensor_hook_raised(error)

    def remembering(self, graph: Graph, run: Callable[..., Any]) -> Callable[..., Any]:
        return remembering(graph, run)

    def repeating(self, error: Exception) -> contextlib.AbstractContextManager[Any]:
        return repeating(error)

    def unseen(self) -> contextlib.AbstractContextManager[Any]:
        return torch._C.DisableTorchFunctionSubclass()  # type: ignore[no-any-return]

    def location_is_framework(self, filename: str) -> bool:
        return filename.startswith(_FOLDER)


class FrameworkConstant(ConstantValue):
    """A dtype, a device...: known, and held by the entry."""

    __slots__ = ()

    def rebuild(self, rb: Emitter) -> str:
        return rb.inject(self.value, type(self.value).__name__)

    def isinstance_(self, ev: Machine, cls: type) -> bool:
        return isinstance(self.value, cls)

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        if isinstance(other, ConstantValue):
            return ev.fold(ev.operators.COMPARE[op], self.value, other.value)
        return None


class OperatorValue(FrameworkConstant):
    """An operator of `torch.ops`, or a user's own: called as one node of the graph."""

    __slots__ = ()

    def call(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        found = self._known(ev, args, kwargs) or self._of_memory(ev, args, kwargs)
        if found is not None:
            return found
        if not isinstance(self.value, _CALLING):
            return recording_handler(self.value, handler_of_unknown(self.value))(ev, args, kwargs)
        handler = function_handler(self.value)
        if handler is None:
            raise ev.break_("higher-order-operator", f"calling the operator {self.value}", "quern does not model it")
        return handler(ev, args, kwargs)

    @property
    def _aten(self) -> str:
        """The operator's name where it is torch's own."""
        packet = getattr(self.value, "overloadpacket", self.value)
        namespace, _, name = getattr(packet, "_qualified_op_name", "").partition("::")
        return name if namespace == "aten" else ""

    def _known(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value | None:
        """What it gives for numbers alone in the places of tensors."""
        values = (*args, *kwargs.values())
        if not self._aten or not all(type(v) is ConstantValue and type(v.value) in (bool, int, float) for v in values):
            return None
        value = self.value
        packet = isinstance(value, torch._ops.OpOverloadPacket)
        overloads = [getattr(value, name) for name in value.overloads()] if packet else [value]
        if any(torch.Tag.nondeterministic_seeded in o.tags for o in overloads) or not _of_tensors(overloads[0]._schema):
            return None
        plain, named = [v.as_constant() for v in args], {k: v.as_constant() for k, v in kwargs.items()}
        made = ev.fold_raw(lambda: value(*plain, **named))
        if type(made) in (bool, int, float):
            return ConstantValue(made)
        if not isinstance(made, torch.Tensor) or made.shape:
            return None
        attrs = {"value": made.item(), "dtype": FROM_TORCH[made.dtype], "device": "cpu"}
        return TensorValue.new(Context(ev).op("full", shape=(), **attrs))

    def _of_memory(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value | None:
        """What is a matter of where the tensor stands in its memory, as torch's own functions have it."""
        if not args or not isinstance(args[0], TensorValue):
            return None
        if self._aten in RELAID:
            return args[0].call_method(ev, self._aten, args[1:], kwargs)
        handler = function_handler(getattr(torch, self._aten)) if self._aten in index.OF_MEMORY else None
        return None if handler is None else recording_handler(self.value, handler)(ev, args, kwargs)
        return None

    def getattr_(self, ev: Machine, name: str) -> Value:
        found = getattr(self.value, name, None)
        if isinstance(found, OPERATORS):
            return OperatorValue(found)
        return super().getattr_(ev, name)


def _of_tensors(schema: Any) -> bool:
    """Whether an operator's first argument is a tensor."""
    return bool(schema.arguments) and isinstance(schema.arguments[0].type, torch.TensorType)


# ---------------------------------------------------------------- wrapping


def _wrap_tensor(ev: Machine, obj: torch.Tensor, source: Source) -> Value:
    cls = type(obj)
    if not _is_plain(cls) and not subclasses.refused(cls):
        inside = source.step(f"{ev.names.inject(subclasses.plain, 'plain')}(", ")", "")
        inner = _wrap_tensor(ev, subclasses.plain(obj), inside)
        return subclasses.wrap_subclass(ev, obj, source, inner)  # type: ignore[arg-type]
    refused = _unusable(obj)
    if refused:
        raise ev.break_("tensor-kind", f"the tensor `{source.label}`", refused, "pass a plain dense tensor")
    held = isinstance(obj, torch.nn.Parameter) or "_buffers" in source.label
    if held and source.root.is_const:
        source = anchor(ev, obj, source)
    meta = tensor_meta(obj)
    state = state_of(ev)
    if source.is_const:
        state.held.append(obj)
    else:
        shape = tuple(ev.dim(source, axis, size, obj) for axis, size in enumerate(meta.shape))
        meta = guard_tensor(ev, obj, source, meta, shape)
    methods = ev.names.inject(_METHODS, "methods")
    ev.guards.test(None, f"len({methods}) == {len(_METHODS)}", "torch.Tensor got or lost methods")
    storage = InputStorage(meta, source, obj, tensor_key(obj))
    value = TensorValue(storage, meta, source=source)
    state.arrays.add(ev, value)
    if meta.is_dynamic:
        value.node(ev)  # its symbols are bound to a graph input
    return value


def _is_plain(cls: type) -> bool:
    """Whether tensors of a class are torch's own."""
    return cls is torch.Tensor or issubclass(cls, (torch.nn.Parameter, torch.nn.Buffer))


def _unusable(obj: torch.Tensor) -> str:
    """Why a tensor cannot be captured; "" when it can."""
    if is_lazy(obj):
        return "it is not initialised yet"
    if not _is_plain(type(obj)):
        return subclasses.refused(type(obj))
    if obj.layout is not torch.strided:
        return f"its layout is {obj.layout}"
    if obj.dtype not in FROM_TORCH:
        return f"its dtype is {obj.dtype}"
    if obj.is_nested or obj.is_quantized or obj.is_neg():
        return "it is nested, quantised, or lazily negated"
    if torch._C._functorch.is_functorch_wrapped_tensor(obj):
        return "it belongs to a torch.func transform"
    return ""


def _wrap_module(ev: Machine, obj: torch.nn.Module, source: Source) -> Value | None:
    if isinstance(obj, torch.jit.ScriptModule):
        raise ev.break_(
            "script-module", f"the ScriptModule `{source.label}`", "it runs TorchScript, which is not captured"
        )
    held = anchor(ev, obj, source, by_identity=True)
    if isinstance(obj, StandsForModule):
        # compiled by itself elsewhere; inside another compiled function it is the plain module
        return ev.wrap(obj._orig_mod, ev.names.const(obj._orig_mod, label=held.label))
    value = NNModuleValue(ev.class_info(type(obj)), held, obj)
    if held.is_const:
        ev.guards.class_stays(held, obj)
        value.guard_dict(ev)
    return value


# ---------------------------------------------------------------- callables


#: functions of `torch._dynamo` that quern has under its own names; it is not imported for their sake
_OF_DYNAMO = ("torch._dynamo.decorators", "torch._dynamo.external_utils")
_SAME = {
    "graph_break": function_flags.graph_break, "skip_frame": function_flags.graph_break, "step_unsupported": function_flags.graph_break,
    "error_on_graph_break": function_flags.error_on_graph_break, "is_compiling": function_flags.is_compiling,
}  # fmt: skip
_NO_EFFECT = ("mark_dynamic", "maybe_mark_dynamic", "mark_static", "mark_static_address", "mark_unbacked")


def _of_dynamo(fn: Any) -> Handler | None:
    """Functions with which a program talks to torch's own capture."""
    name = fn.__name__
    if name in _NO_EFFECT:  # on tensors that the program made: their sizes follow from those of its inputs
        return lambda ev, args, kwargs: NONE
    same = _SAME.get(name)
    return None if same is None else lambda ev, args, kwargs: ev.call_function(same, args, kwargs)


def _under_settings(ev: Machine, made: FunctionValue, args: Args, kwargs: Kwargs) -> Value:
    """A function that runs under other settings of torch's own capture."""
    cells = dict(zip(made.code.co_freevars, made.closure(ev)))
    around, function = cells["self"].get(ev), cells["func"].get(ev)
    if around is None or function is None or around.python_type().__name__ != "DynamoConfigPatchProxy":
        return ev.inline(made, args, kwargs)
    return function.call(ev, args, kwargs)


def _add_under_settings() -> None:
    wrap = sys.modules["torch._dynamo.external_utils"].wrap_dunder_call_ctx_manager
    BY_CODE.update({c: _under_settings for c in wrap.__code__.co_consts if isinstance(c, types.CodeType)})


when_imported("torch._dynamo.external_utils", _add_under_settings)


def _is_allowed_by_torch(fn: Any) -> bool:
    """Whether `torch.compiler.allow_in_graph` was told of a user's function."""
    rules = sys.modules.get("torch._dynamo.trace_rules")
    return rules is not None and isinstance(fn, types.FunctionType) and rules.is_callable_allowed(fn)


def _is_refused_by_torch(fn: Any) -> bool:
    """Whether `torch._dynamo.disallow_in_graph` or `forbid_in_graph` was told of a function."""
    rules = sys.modules.get("torch._dynamo.trace_rules")
    if rules is None or getattr(fn, "__module__", "") == "torch._dynamo.decorators":  # see `_of_dynamo`
        return False
    return rules.is_callable_disallowed(fn) or isinstance(fn, types.FunctionType) and "_dynamo_forbidden" in fn.__dict__


def _break_at_refused(fn: Any) -> Handler:
    def handler(ev: Machine, args: Any, kwargs: Any) -> Value:
        raise ev.break_("disallowed", f"calling {fn.__name__}", "torch._dynamo was told not to have it in graphs")

    return handler


def _unpatched(fn: Any) -> Handler | None:
    """torch.compile replaces `Module.__init__` and `__setstate__` by functions that also count modules for its own use."""
    if getattr(fn, "__module__", "") != "torch._dynamo.mutation_guard" or not fn.__name__.startswith("patched_"):
        return None
    (original,) = (cell.cell_contents for cell in fn.__closure__)
    return lambda ev, args, kwargs: ev.call_function(original, args, kwargs)


def _tensor_method(fn: Any) -> Handler | None:
    """`torch.Tensor.name`."""
    name = getattr(fn, "__name__", "")
    if isinstance(fn, (types.MethodDescriptorType, types.WrapperDescriptorType)):
        owner = fn.__objclass__
        if issubclass(torch.Tensor, owner) and owner is not object:
            return lambda ev, args, kwargs: args[0].call_method(ev, name, args[1:], kwargs)
    return None


def _inplace_function(fn: Any) -> Handler | None:
    """`torch.name_` by the in-place rule."""
    name = getattr(fn, "__name__", "")
    if is_inplace(name) and isinstance(fn, types.BuiltinFunctionType) and getattr(torch, name, None) is fn:

        def handler(ev: Machine, args: Any, kwargs: Any) -> Value:
            if not isinstance(args[0], ArrayValue):
                raise ev.type_error(f"{name}() needs a tensor")
            return call_inplace(ev, args[0], name, args[1:], kwargs)

        return handler
    return None


def _describe_tensor(x: torch.Tensor) -> str:
    with torch._C.DisableTorchFunctionSubclass():  # the class of `x` may be the program's
        return f"a {str(x.dtype).removeprefix('torch.')} tensor of shape {tuple(x.shape)} on {x.device}"


DESCRIBERS[torch.Tensor] = _describe_tensor
DESCRIBERS[torch.nn.Module] = lambda m: f"a {type(m).__name__} module"
