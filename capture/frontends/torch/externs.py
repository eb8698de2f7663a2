"""Framework functions called as they are: `extern` nodes, whose metas come from running the function on meta tensors."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional

from ....inductor.dtypes import DType
from ....inductor.graph import ExternRef, Input, Node, TensorMeta
from ....inductor.ops import OPS
from ...values.tensor import ArrayValue
from . import autocast, eager_ops
from .calls import COMPLEX, UNKNOWN, Context, resolve, unwrap, wrap
from .dtypes import device_text, from_torch, to_torch
from .eager_ops import EAGER
from .results import Results

if TYPE_CHECKING:
    from ...evaluator import Evaluator

_MODULES = {"torch": "torch", "Tensor": "torch", "F": "torch.nn.functional"}


def target_of(place: str) -> str:
    """ "torch.special.erfcx" -> "torch:special.erfcx": what `Runtime.resolve` reads."""
    head, _, rest = place.partition(".")
    return f"{_MODULES[head]}:{'Tensor.' + rest if head == 'Tensor' else rest}"


def extern_call(
    cx: Context, place: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, effects: bool = False
) -> Any:
    """Call the function at `place` ("torch.x", "Tensor.x", "F.x") in the graph. `effects`: it must neither be dropped nor
    merged nor moved (random numbers). Breaks when its results' metas cannot be known.
    """
    return call_target(cx, target_of(place), resolve(place), args, kwargs, effects)


def call_target(
    cx: Context, target: str, fn: Any, args: Sequence[Any], kwargs: Mapping[str, Any], effects: bool
) -> Any:
    """As `extern_call`, for a function and the "module:name" under which a fresh process finds it."""
    inputs: list[Node] = []
    template = [_template(cx, a, inputs) for a in args]
    named = {k: _template(cx, v, inputs) for k, v in kwargs.items()}
    cx.ev.graph.framework = "torch"
    wrapped = autocast.treat_call(cx, target, inputs, template) if cx.ev.states["torch"].casts else None
    if wrapped is None:
        results = _run_on_meta(cx, fn, target, template, named, inputs)
    else:
        ones = autocast.stand_ins(cx, target, inputs)
        target, template = wrapped
        results = _run_on(cx, autocast.under_autocast, target, template, named, ones)
    flat, rebuild = _flatten(cx, target, results)
    metas = tuple(_meta(cx, r, _device_of(kwargs, inputs)) for r in flat)
    ref = ExternRef(target, tuple(template), tuple(named.items()))
    attrs = {"ref": ref, "effects": effects, "strides": tuple(m.stride for m in metas)}
    single = len(metas) == 1 and isinstance(results, torch.Tensor)
    meta: Any = metas[0] if single else metas
    node = cx.ev.builder.append(OPS["extern"], tuple(inputs), attrs, meta)
    if single:
        return node
    return rebuild([cx.ev.emit("getitem", node, index=i) for i in range(len(metas))])


def _template(cx: Context, value: Any, inputs: list[Node]) -> Any:
    if isinstance(value, (ArrayValue, Node)):
        node = cx.node(value)
        if node in inputs:
            return Input(inputs.index(node))
        inputs.append(node)
        return Input(len(inputs) - 1)
    if isinstance(value, (list, tuple)):
        return type(value)(_template(cx, v, inputs) for v in value)
    if isinstance(value, torch.dtype):
        return cx.dtype(value)
    if isinstance(value, torch.device):
        return device_text(value)
    if hasattr(value, "free_symbols"):
        return value
    if value is None or isinstance(value, (bool, int, float, complex, str, DType)):
        return value
    if isinstance(value, (torch.layout, torch.memory_format)):
        raise cx.broken("extern-argument", f"the argument {value} of a framework function")
    raise cx.broken("extern-argument", f"an argument of type {type(value).__name__} to a framework function")


def _hint(cx: Context, size: Any) -> int:
    return size if isinstance(size, int) else cx.ev.hint(size)


def _meta_tensor(cx: Context, meta: TensorMeta) -> torch.Tensor:
    shape = [_hint(cx, s) for s in meta.shape]
    stride = [_hint(cx, s) for s in meta.stride]
    return torch.empty_strided(shape, stride, dtype=to_torch(meta.dtype), device="meta")


def _run_on_meta(
    cx: Context, fn: Any, target: str, template: Sequence[Any], named: Mapping[str, Any], inputs: Sequence[Node]
) -> Any:
    """Run on tensors without data. The results must be new tensors: neither inputs, nor views of them, nor inputs changed."""
    if any(n.meta.is_dynamic for n in inputs):
        raise cx.broken("dynamic-extern", f"the framework function {target} on tensors of dynamic size",
                        "its result's size is not known as a formula")  # fmt: skip
    return _run_on(cx, fn, target, template, named, [_meta_tensor(cx, n.meta) for n in inputs])


def _run_on(
    cx: Context,
    fn: Any,
    target: str,
    template: Sequence[Any],
    named: Mapping[str, Any],
    tensors: Sequence[torch.Tensor],
) -> Any:
    versions = [t._version for t in tensors]

    def fill(value: Any) -> Any:
        if isinstance(value, Input):
            return tensors[value.index]
        if isinstance(value, (list, tuple)):
            return type(value)(fill(v) for v in value)
        return to_torch(value) if hasattr(value, "kind") and hasattr(value, "size") else value

    kwargs = {k: fill(v) for k, v in named.items()}
    if not tensors or "device" in kwargs and tensors[0].is_meta:
        kwargs["device"] = "meta"
    try:
        with torch.no_grad():
            results = fn(*[fill(a) for a in template], **kwargs)
    except Exception as error:
        raise cx.broken(
            "unknown-function",
            f"the framework function {target.replace(':', '.')}",
            f"its result could not be foreseen without data ({type(error).__name__}: {str(error).splitlines()[0]})",
        ) from error
    if [t._version for t in tensors] != versions:
        raise cx.broken("extern-mutation", f"the framework function {target} changes its arguments")
    storages = {t.untyped_storage()._cdata for t in tensors}
    flat, _ = _flatten(cx, target, results)
    if any(r.untyped_storage()._cdata in storages for r in flat):
        raise cx.broken("extern-view", f"the framework function {target} returns a view of its argument")
    return results


def _flatten(cx: Context, target: str, results: Any) -> tuple[list[torch.Tensor], Any]:
    if isinstance(results, torch.Tensor):
        return [results], lambda nodes: nodes[0]
    if isinstance(results, (tuple, list)) and results and all(isinstance(r, torch.Tensor) for r in results):
        cls = type(results)
        if cls in (tuple, list):
            return list(results), cls
        return list(results), lambda nodes: Results(cls, tuple(nodes))
    raise cx.broken("extern-result", f"the framework function {target} gives a {type(results).__name__}",
                    "only tensors can leave the graph")  # fmt: skip


def _device_of(kwargs: Mapping[str, Any], inputs: Sequence[Node]) -> str | None:
    device = kwargs.get("device")
    if device is not None:
        return device_text(torch.device(device))
    for n in inputs:
        if n.meta.shape or len(inputs) == 1:
            return n.meta.device
    return inputs[0].meta.device if inputs else None


def _meta(cx: Context, result: torch.Tensor, device: str | None) -> TensorMeta:
    try:
        dtype = from_torch(result.dtype)
    except KeyError:
        raise cx.broken("dtype", f"a result of dtype {result.dtype}", "graphs have no such element type") from None
    return TensorMeta(tuple(result.shape), result.stride(), dtype, cx.device(None) if device is None else device)


# ------------------------------------------------------------------ functions that no table names


def handler_of_unknown(fn: Any) -> Any:
    """A handler that puts a C function of torch into the graph as it is; None for what is not a tensor function."""
    found = _place_of(fn) if isinstance(fn, types.BuiltinFunctionType) else None
    if found is None:
        return None
    place, effects = found

    def handler(ev: Evaluator, args: Any, kwargs: Any) -> Any:
        plain = [unwrap(ev, a) for a in args]
        named = {k: unwrap(ev, v) for k, v in kwargs.items()}
        return wrap(ev, call_target(Context(ev), place, fn, plain, named, effects))

    return handler


def opaque_call(ev: Evaluator, fn: Any, target: str, args: Any, kwargs: Any) -> Any:
    """A user's function as one node; its results' metas come from running it on meta tensors."""
    plain = [unwrap(ev, a) for a in args]
    named = {k: unwrap(ev, v) for k, v in kwargs.items()}
    return wrap(ev, call_target(Context(ev), target, fn, plain, named, False))


#: where C functions over tensors stand, and how their operators' names begin there
_HOMES: tuple[tuple[Any, str], ...] = (
    (torch, ""), (torch.nn.functional, ""), (torch.linalg, "linalg_"), (torch.fft, "fft_"), (torch.special, "special_"),
    (torch._C._nn, ""), (torch._VF, ""),
)  # fmt: skip


def _place_of(fn: types.BuiltinFunctionType) -> tuple[str, bool] | None:
    """ "module:name" of a C function over tensors, and whether it draws random numbers; None for other functions."""
    for module, prefix in _HOMES:
        for name in {fn.__name__, fn.__name__.removeprefix(prefix)}:
            if getattr(module, name, None) is fn and (overloads := _overloads(name, prefix)):
                random = any(torch.Tag.nondeterministic_seeded in o.tags for o in overloads)
                return f"{module.__name__}:{name}", random
    return None


def _overloads(name: str, prefix: str) -> list[Any]:
    """The operators behind a function; none for what writes or is internal."""
    packet = None if name.endswith("_") or name.startswith("_") else getattr(torch.ops.aten, prefix + name, None)
    return [getattr(packet, o) for o in packet.overloads()] if packet is not None else []


UNKNOWN.append(handler_of_unknown)


# ------------------------------------------------------------------ complex arithmetic


def complex_op(cx: Context, name: str, nodes: Sequence[Node | None], attrs: Mapping[str, Any]) -> Any:
    """A table op over complex tensors, as an opaque call of eager's implementation: generated kernels know real numbers."""
    row = OPS[name]
    if row.kind == "view" or name == "getitem":
        return cx.ev.emit(name, *nodes, **attrs)
    full = row.bind(attrs)
    operands = [n.attrs["value"] if n is not None and n.op.name == "scalar" else n for n in nodes]
    target = f"{eager_ops.__name__}:NAMED.{name}"
    return call_target(cx, target, EAGER[name], operands, full, effects=False)


COMPLEX.append(complex_op)
