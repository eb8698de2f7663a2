"""torch functions that answer with Python objects or change torch's state: modes, dtype queries, checks.

Handlers here take Values. What they answer about global state is guarded by the front end's global guards.
"""

from __future__ import annotations

import functools
import importlib
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch.distributions.utils import lazy_property
from torch.optim.optimizer import _get_value

from ....inductor.dtypes import HALVES, float32
from ...values.base import Args, Kwargs, Value
from ...values.constant import FALSE, NONE, TRUE, ConstantValue
from ...values.objects import ObjectValue
from ...values.symint import RelationValue
from ...values.tensor import ArrayValue
from . import autocast
from .checks import FALSE_CONDITION, check_all, check_supported
from .context import Context
from .externs import call_target
from .handlers import FUNCTIONS, METHODS, as_written, register_handler, when_imported
from .known import known_content
from .names.data import check_number
from .places import resolve
from .results import SizeValue
from .state import state_of

if TYPE_CHECKING:
    from ...values.base import Machine


def _sympy() -> Any:
    return importlib.import_module("sympy")


def _query(*places: str) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Register a handler `(ev, *args, **kwargs)` of Values."""

    def add(fn: Callable[..., Value]) -> Callable[..., Value]:
        for place in places:
            register_handler(place, lambda ev, args, kwargs: fn(ev, *args, **kwargs))
        return fn

    return add


def _answers(value: Any, *places: str) -> None:
    """Functions whose answer in captured code is always the same."""
    for place in places:
        register_handler(place, lambda ev, args, kwargs: ev.constant(value))


#: asks whether it is captured in order to leave out what it does about exceptions, which capture models
_MODULE_CALL = torch.nn.Module._call_impl.__code__
#: asks in order not to look at a mask: in eager what is masked comes out as zeros where the padding is on the right
_ENCODER = torch.nn.TransformerEncoder.forward.__code__


@_query("torch.compiler.is_compiling", "torch.compiler.is_dynamo_compiling", "torch._utils.is_compiling")
def _is_compiling(ev: Machine) -> Value:
    code = None if ev.frame is None else ev.frame.view.code
    return FALSE if code is _MODULE_CALL or code is _ENCODER and _encoder_looks(ev) else TRUE


def _encoder_looks(ev: Machine) -> bool:
    """Whether an encoder looks at its mask, which ends the graph: not where one graph is wanted, nor where gradients are, which
    eager computes without zeros.
    """
    assert ev.frame is not None
    if ev.engine.fullgraph:
        return False
    encoder = getattr(ev.frame.slots.get("self"), "real", None)
    if not state_of(ev).grad or not isinstance(encoder, torch.nn.TransformerEncoder):
        return True
    return not any(p.requires_grad for p in encoder.layers[0].parameters())


_answers(
    False, "torch.compiler.is_exporting", "torch.jit.is_scripting", "torch.jit.is_tracing", "torch._jit_internal.is_scripting",
    "torch.cuda.is_current_stream_capturing",
    "torch._C._functorch.is_functorch_wrapped_tensor", "torch._C._is_torch_function_mode_enabled",
)  # fmt: skip
when_imported("torch.onnx", lambda: _answers(False, "torch.onnx.is_in_onnx_export"))
_answers(
    None, "torch._C._get_tracing_state", "torch._C._log_api_usage_once", "torch._C._functorch.peek_interpreter_stack"
)


def _folded(*places: str) -> None:
    """Questions about the machine or about dtypes: answered during capture, on constants."""
    for place in places:
        fn = resolve(place)
        if fn is not None:
            register_handler(place, called_now(fn))


def called_now(fn: Any) -> Callable[..., Value]:
    """The handler of a function that gives the same answer always: it is called during capture."""

    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        plain = [ev.as_python(a) for a in args]
        named = {k: ev.as_python(v) for k, v in kwargs.items()}
        return ev.fold(lambda: fn(*plain, **named))

    return handler


_folded(
    "torch.device", "torch.finfo", "torch.iinfo", "torch.get_default_dtype", "torch.get_default_device", "torch.cuda.is_available",
    "torch.cuda.device_count", "torch.cuda.get_device_capability", "torch.cuda.is_bf16_supported",
    "torch.backends.mps.is_available", "torch.xpu.is_available",
    "torch.backends.cudnn.is_available", "torch.backends.mps.is_built", "torch.distributed.is_available",
    "torch.is_storage", "torch.typename", "torch.mps.is_available", "torch.accelerator.is_available",
    "torch.amp.autocast_mode.is_autocast_available", "torch._C._is_autocast_available",
    "torch._C._get_privateuse1_backend_name", "torch.xpu.is_current_stream_capturing", "torch._C._nn._parse_to",
)  # fmt: skip


def _watched_handler(fn: Any) -> Callable[..., Value]:
    """Of a question about a setting that anyone may change: answered during capture, and asked again by the guards."""

    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        plain = [ev.as_python(a) for a in args]
        named = {k: ev.as_python(v) for k, v in kwargs.items()}
        answer = ev.fold_raw(lambda: fn(*plain, **named))
        ask = ev.names.inject(functools.partial(fn, *plain, **named), fn.__name__)
        ev.guards.test(None, f"{ask}() == {ev.names.inject(answer)}", f"{fn.__name__}() was {answer!r}")
        return ev.constant(answer)

    return handler


def _watched(*places: str) -> None:
    for place in places:
        fn = resolve(place)
        if fn is not None:
            register_handler(place, _watched_handler(fn))


_watched(
    "torch.get_num_threads", "torch.are_deterministic_algorithms_enabled", "torch.get_float32_matmul_precision",
    "torch.distributed.is_initialized", "torch.distributed.get_rank", "torch.distributed.get_world_size", "torch.distributed.get_backend",
    "torch.distributed.is_torchelastic_launched", "torch.backends.cuda.flash_sdp_enabled", "torch.is_anomaly_enabled",
    "torch.backends.cuda.mem_efficient_sdp_enabled", "torch.backends.cuda.math_sdp_enabled",
    "torch.is_deterministic_algorithms_warn_only_enabled",
    "torch.get_deterministic_debug_mode", "torch.is_warn_always_enabled", "torch.get_num_interop_threads",
)  # fmt: skip
_TOLD = (torch.nn.MultiheadAttention.forward.__code__, torch.nn.TransformerEncoder.forward.__code__)
_asks_fastpath = _watched_handler(torch.backends.mha.get_fastpath_enabled)


@_query("torch.backends.mha.get_fastpath_enabled")
def _fastpath_enabled(ev: Machine) -> Value:
    """Whether layers may leave their computation to one kernel. Captured ones do not; two are told the truth: attention, whose
    result is laid out otherwise where the kernel would have computed it, and the encoder, which gives zeros for what is masked.
    """
    return _asks_fastpath(ev, (), {}) if ev.frame is not None and ev.frame.view.code in _TOLD else FALSE


def _is_tracing_attention(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """What attention asks before it calls that kernel, which it does where it has biases. Who traces gets the ordinary ops, with
    the result laid out as the kernel's.
    """
    module = ev.frame.slots.get("self") if ev.frame is not None else None
    return FALSE if module is None or ev.is_none(module.getattr_(ev, "in_proj_bias")) else TRUE


FUNCTIONS[torch.nn.modules.activation._is_make_fx_tracing] = _is_tracing_attention


@_query("torch.jit.annotate")
def _annotate(ev: Machine, the_type: Value, the_value: Value) -> Value:
    return the_value


def _like_python(place: str, function: Any) -> None:
    """Functions over sizes that do with Python numbers what Python's own do."""
    register_handler(place, lambda ev, args, kwargs: ev.call_function(function, args, kwargs))


_like_python("torch.sym_int", int)
_like_python("torch.sym_float", float)
_like_python("torch.sym_max", max)
_like_python("torch.sym_min", min)
_like_python("torch.sym_not", operator.not_)
_like_python("torch.sym_sum", sum)


@_query("torch.is_tensor")
def _is_tensor(ev: Machine, obj: Value) -> Value:
    return TRUE if isinstance(obj, ArrayValue) else FALSE


@_query("torch.overrides.is_tensor_like")
def _is_tensor_like(ev: Machine, obj: Value) -> Value:
    return TRUE if isinstance(obj, ArrayValue) else FALSE


@_query("torch.Size")
def _size(ev: Machine, items: Value | None = None) -> Value:
    return SizeValue(items.items(ev) if items is not None else [])


def _value_of_state(ev: Machine, x: Value) -> Value:
    """What an optimizer counts. In compiled code it stays a tensor, with the digits of the Python float that eager reads of it: one
    minus a power of a decay rate has few of them in float32.
    """
    if isinstance(x, ArrayValue) and x.meta.dtype in (float32, *HALVES):
        return x.call_method(ev, "double", [], {})
    return x


FUNCTIONS[_get_value] = lambda ev, args, kwargs: _value_of_state(ev, *args, **kwargs)


# ------------------------------------------------------------------ modes


@_query("torch.is_grad_enabled")
def _is_grad_enabled(ev: Machine) -> Value:
    return TRUE if state_of(ev).grad else FALSE


@_query("torch._C._set_grad_enabled")
def _set_grad_enabled(ev: Machine, mode: Value) -> Value:
    state_of(ev).grad = bool(mode.as_constant())
    return NONE


@_query("torch.is_inference_mode_enabled")
def _is_inference(ev: Machine) -> Value:
    return TRUE if state_of(ev).inference else FALSE


class InferenceModeValue(Value):
    """The C object behind `torch.inference_mode`: inside, nothing is recorded for gradients."""

    __slots__ = ("mode", "before")

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = mode
        self.before = (False, False)

    def python_type(self) -> type:
        return torch._C._InferenceMode

    def m___enter__(self, ev: Machine) -> Value:
        state = state_of(ev)
        self.before = (state.grad, state.inference)
        state.inference = self.mode
        return NONE

    def m___exit__(self, ev: Machine, *error: Value) -> Value:
        state = state_of(ev)
        grad, state.inference = self.before
        state.grad = grad
        return NONE


@_query("torch._C._InferenceMode")
def _inference_mode(ev: Machine, mode: Value = TRUE) -> Value:
    return InferenceModeValue(bool(mode.as_constant()))


_query("torch.is_autocast_enabled")(autocast.is_enabled)
_query("torch.is_autocast_cpu_enabled")(lambda ev: autocast.is_enabled(ev, ConstantValue("cpu")))
_query("torch.get_autocast_dtype")(autocast.get_dtype)
_query("torch.get_autocast_cpu_dtype")(lambda ev: autocast.get_dtype(ev, ConstantValue("cpu")))
_query("torch.get_autocast_gpu_dtype")(lambda ev: autocast.get_dtype(ev, ConstantValue("cuda")))
_query("torch.set_autocast_enabled")(autocast.set_enabled)
_query("torch.set_autocast_dtype")(autocast.set_dtype)
_query("torch.is_autocast_cache_enabled")(autocast.is_cache_enabled)
_query("torch.set_autocast_cache_enabled")(autocast.set_cache_enabled)
_query("torch.clear_autocast_cache")(autocast.clear_cache)
_query("torch.autocast_increment_nesting")(lambda ev: autocast.nest(ev, 1))
_query("torch.autocast_decrement_nesting")(lambda ev: autocast.nest(ev, -1))
_query("torch._C._is_any_autocast_enabled")(lambda ev: TRUE if state_of(ev).autocast.active else FALSE)


# ------------------------------------------------------------------ checks


def _check(ev: Machine, condition: Value, message: Value = NONE, error: type[Exception] = RuntimeError) -> Value:
    if isinstance(condition, ArrayValue):
        raise ev.break_("tensor-check", "torch._check on a tensor", "a Python bool is needed")
    if isinstance(condition, RelationValue):
        return _check_later(ev, condition, error, message)
    if condition.truth(ev):
        return NONE
    raise ev.raise_(error, _message(ev, message))


def _message(ev: Machine, message: Value) -> str:
    text = message if ev.is_none(message) or message.is_constant else message.call(ev, [], {})
    return FALSE_CONDITION if ev.is_none(text) else str(text.as_constant())


def _check_later(ev: Machine, condition: RelationValue, error: type[Exception], message: Value = NONE) -> Value:
    """A relation of ints that the graph computes: checked when it runs, and relied on from here."""
    relation = condition.relation
    check_number(ev, relation.rel_op, relation.lhs - relation.rhs, error, _message(ev, message))
    ev.symbols.relations.note(relation, True)
    return NONE


@_query("torch._check")
def _torch_check(ev: Machine, cond: Value, message: Value = NONE) -> Value:
    return _check(ev, cond, message)


@_query("torch._check_with")
def _torch_check_with(ev: Machine, error_type: Value, cond: Value, message: Value = NONE) -> Value:
    return _check(ev, cond, message, error_type.as_constant())


def _check_kind(error: type[Exception]) -> Callable[..., Value]:
    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        condition, *message = (*args, *kwargs.values())
        return _check(ev, condition, message[0] if message else NONE, error)

    return handler


for _name, _error in (
    ("index", IndexError),
    ("value", ValueError),
    ("type", TypeError),
    ("not_implemented", NotImplementedError),
):
    register_handler(f"torch._check_{_name}", _check_kind(_error))


@_query("torch._check_is_size")
def _check_is_size(ev: Machine, i: Value, message: Value = NONE, *, max: Value = NONE) -> Value:
    dim = getattr(i, "expr", None)
    if dim is not None and ev.symbols.is_unbacked(dim):
        return _check_later(ev, RelationValue(_sympy().Ge(dim, 0), ev.symbols), RuntimeError)
    return NONE


@_query("torch._check_tensor_all")
def _check_tensor_all(ev: Machine, cond: Value, message: Value = NONE) -> Value:
    """Checked when the graph runs."""
    call_target(Context(ev), f"{check_all.__module__}:check_all", _check_on_meta, [cond], {}, effects=True)
    return NONE


def _check_on_meta(condition: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(condition)


@_query("torch._check_tensor_all_with")
def _check_tensor_all_with(ev: Machine, error_type: Value, cond: Value, message: Value = NONE) -> Value:
    return _check_tensor_all(ev, cond, message)


@_query("torch._assert_async")
def _assert_async(ev: Machine, condition: Value, message: Value = NONE) -> Value:
    return _check_tensor_all(ev, condition, message)


@_query("torch._assert")
def _assert(ev: Machine, condition: Value, message: Value = NONE) -> Value:
    if isinstance(condition, ArrayValue):
        return _check_tensor_all(ev, condition, message)
    return _check(ev, condition, message, AssertionError)


# ------------------------------------------------------------------ refused, with a reason


def _refused(place: str, code: str, why: str, rewrite: str = "") -> None:
    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        raise ev.break_(code, place, why, rewrite)

    register_handler(place, handler)


_refused("torch.manual_seed", "random-state", "it changes the random state", "seed outside of the compiled function")
_refused("torch.seed", "random-state", "it changes the random state", "seed outside of the compiled function")
_refused(
    "torch.set_rng_state", "random-state", "it changes the random state", "set it outside of the compiled function"
)
_refused("torch.get_rng_state", "random-state", "the random state is known only when the graph runs")
_refused("torch.set_default_dtype", "global-state", "it changes torch for everyone", "call it outside")
_refused("torch.save", "input-output", "it writes a file", "call it outside")
_refused("torch.load", "input-output", "it reads a file", "call it outside")
_refused("torch.cuda.synchronize", "device-synchronisation", "it waits for the device", "call it outside")
_refused("torch.autograd.grad", "autograd", "gradients are not captured")
_refused(
    "Tensor.backward", "autograd", "gradients are not captured", "call backward() outside of the compiled function"
)


# ------------------------------------------------------------------ torch.distributions


@_query("torch._is_all_true")
def _is_all_true(ev: Machine, input: Value) -> Value:
    """Distributions ask whether their arguments are valid, and raise ValueError at once when they are not: what only the run
    can tell is checked then. Elsewhere it is a tensor like that of `all`.
    """
    assert isinstance(input, ArrayValue) and ev.frame is not None
    asked = str(ev.frame.scope.real.get("__name__")).startswith("torch.distributions.")
    if not asked or known_content(ev, input) is not None:
        return METHODS["all"](ev, [input], {})
    target = f"{check_supported.__module__}:check_supported"
    call_target(Context(ev), target, _check_on_meta, [input], {}, effects=True)
    return TRUE


_LAZY_GET = lazy_property.__get__


def _lazy_get(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """Asked of the class, a lazy property makes a property object for documentation: known now. Else its code is inlined."""
    owner, instance = args[0], args[1]
    if ev.is_none(instance) and isinstance(owner, ObjectValue) and owner.real is not None:
        found = _LAZY_GET(owner.real, None, type(None))
        return ev.wrap(found, ev.names.const(found))
    return as_written(_LAZY_GET)(ev, args, kwargs)


FUNCTIONS[_LAZY_GET] = _lazy_get
