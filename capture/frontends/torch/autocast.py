"""Autocast during capture: the casts that eager's dispatcher makes become nodes of the graph.

torch casts by lists of operators: some run in the lower precision, some in float32, some in the widest type of their
arguments. What stands in no list keeps its types, but a function that is composed of others may call listed ones: such
a function runs under autocast as a whole, and its results' types are found by running it once; those of the program's own
operators are what their fake implementations say, and checked when the graph runs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from ....inductor import dtypes
from ....inductor.dtypes import DType
from ....inductor.graph import Node
from ....inductor.ops import OPS, Op
from ....kernels.device import device_of
from ...values.base import Value
from ...values.constant import FALSE, NONE, TRUE
from .dtypes import from_torch, to_torch
from .places import resolve_name

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine

#: device types whose autocast state is tracked
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class Autocast:
    """Autocast's state as a program sees it.

    enabled, lower: by device type, in the order of DEVICES
    nesting: how many contexts are open; the cache of cast weights lives until it is 0 again. It sets no state apart: where
        capture rests on it, it is guarded by itself
    """

    enabled: tuple[bool, ...]
    lower: tuple[torch.dtype, ...]
    cache: bool
    nesting: int = field(default=0, compare=False)

    @property
    def active(self) -> bool:
        return any(self.enabled)


def ambient() -> Autocast:
    """The state of this thread."""
    return Autocast(
        tuple(map(torch.is_autocast_enabled, DEVICES)),
        tuple(map(torch.get_autocast_dtype, DEVICES)),
        torch.is_autocast_cache_enabled(),
        depth(),
    )


def depth() -> int:
    """How many contexts of autocast are open in this thread."""
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


def restore(state: Autocast, opened: int) -> None:
    """Put this thread into a state, with so many more contexts open than there are (fewer, where it is negative)."""
    for device, enabled, lower in zip(DEVICES, state.enabled, state.lower):
        torch.set_autocast_enabled(device, enabled)
        torch.set_autocast_dtype(device, lower)
    torch.set_autocast_cache_enabled(state.cache)
    for _ in range(opened):
        torch.autocast_increment_nesting()
    for _ in range(-opened):
        if torch.autocast_decrement_nesting() == 0:
            torch.clear_autocast_cache()


@contextmanager
def switched_off() -> Iterator[None]:
    """Autocast off in this thread: graphs make their casts themselves."""
    before = [torch.is_autocast_enabled(device) for device in DEVICES]
    for device in DEVICES:
        torch.set_autocast_enabled(device, False)
    try:
        yield
    finally:
        for device, enabled in zip(DEVICES, before):
            torch.set_autocast_enabled(device, enabled)


# ------------------------------------------------------------------ the lists

#: operators of the CPU's list that run in the lower precision and have no row in the op table; the others of these, in float32
_LOWERED = frozenset(
    ("conv1d", "conv2d", "conv3d", "linalg_vecdot", "addbmm", "conv_tbc", "_convolution", "mkldnn_rnn_layer", "conv_transpose1d",
     "conv_transpose2d", "conv_transpose3d", "_native_multi_head_attention", "_addmm_activation")
)  # fmt: skip


@functools.cache
def _listed() -> frozenset[str]:
    """Operators that autocast treats on CPUs, as this torch registers them."""
    found = torch._C._dispatch_get_registrations_for_dispatch_key("AutocastCPU")
    return frozenset(name.removeprefix("aten::").partition(".")[0] for name in found)


def _policy(name: str) -> str:
    """What becomes of an operator's operands, one of PRECISIONS."""
    if name not in _listed():
        return ""
    if name in OPS:
        return _of_row(OPS[name], {})
    return "lower" if name in _LOWERED else "float32"


def _of_row(row: Op, attrs: Mapping[str, Any]) -> str:
    return row.autocast(row.bind(attrs)) if callable(row.autocast) else row.autocast


def cast_operands(cx: Any, row: Op, nodes: Sequence[Node | None], attrs: Mapping[str, Any]) -> list[Node | None]:
    """A table op's operands as autocast gives them to the operator."""
    return _cast_all(cx, _of_row(row, attrs), list(nodes))


def _cast_all(cx: Any, policy: str, nodes: list[Node | None]) -> list[Node | None]:
    state = _state(cx.ev)
    lower = _lower(cx, nodes)
    if not policy or lower is None:
        return nodes
    floats = [n for n in nodes if n is not None and _is_eligible(n)]
    target = dtypes.float32 if policy == "float32" else lower
    if policy == "widest":
        kinds = {n.dtype for n in nodes if n is not None and n.dtype.is_float and not n.meta.weak}
        if not kinds <= {dtypes.float32, lower}:
            raise cx.ev.framework_error(RuntimeError("autocast cannot promote these types"))
        target = dtypes.float32 if dtypes.float32 in kinds else lower
    made = {n: _cast(cx, state, n, target, keep=policy == "lower") for n in floats}
    return [n if n is None else made.get(n, n) for n in nodes]


def _cast(cx: Any, state: Any, node: Node, dtype: DType, keep: bool) -> Node:
    """`node` in another type. Casts of weights are made once in a region, so that their gradients add up in the lower type."""
    if node.dtype == dtype:
        return node
    cached = keep and node.dtype == dtypes.float32 and state.autocast.cache and state.is_leaf(node)
    if not cached:
        return cx.cast(node, dtype)
    key = (node, dtype)
    if key not in state.autocast_cache:
        state.autocast_cache[key] = cx.cast(node, dtype)
    return state.autocast_cache[key]


def _is_eligible(node: Node) -> bool:
    return node.dtype.is_float and node.dtype != dtypes.float64 and not node.meta.weak


def _lower(cx: Any, nodes: Sequence[Node | None]) -> DType | None:
    """The lower precision of the devices that these live on; None where autocast is off."""
    state = _state(cx.ev).autocast
    kinds = {device_of(n.meta.device).kind for n in nodes if n is not None and not n.meta.weak}
    on = {device: lower for device, enabled, lower in zip(DEVICES, state.enabled, state.lower) if enabled}
    hit = kinds & set(on)
    if not hit:
        return None
    if hit != {"cpu"}:
        raise cx.broken("autocast", f"autocast of tensors on {', '.join(sorted(hit))}", "its lists are not known to quern",
                        "cast explicitly, or enter it outside of the compiled function")  # fmt: skip
    return from_torch(on["cpu"])


def _state(ev: Machine) -> Any:
    return ev.states["torch"]


# ------------------------------------------------------------------ functions that no table names

_PREFIXES = {"torch.linalg": "linalg_", "torch.fft": "fft_", "torch.special": "special_"}


def treat_call(cx: Any, target: str, inputs: list[Node], template: list[Any]) -> tuple[str, list[Any]] | None:
    """Autocast for a call of the framework's: `inputs` may be cast in place. A (target, args) to call instead, or None."""
    if _lower(cx, inputs) is None or any(n.dtype.is_complex for n in inputs):
        return None
    module, _, qualified = target.partition(":")
    name = _PREFIXES.get(module, "") + qualified.rpartition(".")[2]
    policy = _policy(name)
    if policy:
        inputs[:] = [n for n in _cast_all(cx, policy, list(inputs)) if n is not None]
        return None
    if not _is_composed(name):
        return None
    state = _state(cx.ev).autocast
    lower = from_torch(state.lower[0])
    return UNDER_AUTOCAST, [target, lower, *template]


@functools.cache
def _is_composed(name: str) -> bool:
    """Whether a function may call other operators through the dispatcher."""
    packet = getattr(torch.ops.aten, name, None)
    if packet is None:
        return True
    names = [f"aten::{name}" if o == "default" else f"aten::{name}.{o}" for o in packet.overloads()]
    return any(torch._C._dispatch_has_kernel_for_dispatch_key(n, "CompositeImplicitAutograd") for n in names)


#: where graphs find what follows; the first argument is what is called
UNDER_AUTOCAST = f"{__name__}:under_autocast"


def under_autocast(target: str, lower: torch.dtype, *args: Any, **kwargs: Any) -> Any:
    """Call the function at "module:name" under autocast."""
    with torch.autocast("cpu", dtype=lower):
        return resolve_name(target)(*args, **kwargs)


#: elements of all arguments up to which a function is run once to find its results' types
MAX_ELEMENTS = 1 << 22


def stand_ins(cx: Any, target: str, inputs: Sequence[Node]) -> list[torch.Tensor]:
    """Tensors of ones in the place of a call's arguments."""
    if any(n.meta.is_dynamic for n in inputs) or sum(int(n.meta.numel) for n in inputs) > MAX_ELEMENTS:
        raise cx.broken("autocast", f"{target.replace(':', '.')} under autocast", "the types of its results are not known",
                        "call it outside of autocast")  # fmt: skip
    return [torch.empty_strided(n.meta.shape, n.meta.stride, dtype=to_torch(n.dtype)).fill_(1) for n in inputs]


# ------------------------------------------------------------------ what programs ask and change


def _set(ev: Machine, device: Value, which: str, value: Any) -> Value:
    state = _state(ev)
    kind = device.as_constant()
    if kind not in DEVICES:
        raise ev.break_("autocast", f"autocast on {kind}", "it is not tracked")
    position = DEVICES.index(kind)
    values = list(getattr(state.autocast, which))
    values[position] = value
    state.autocast = replace(state.autocast, **{which: tuple(values)})
    return NONE


def is_enabled(ev: Machine, device: Value | None = None) -> Value:
    kind = "cuda" if device is None else device.as_constant()
    if kind not in DEVICES:
        return FALSE
    return TRUE if _state(ev).autocast.enabled[DEVICES.index(kind)] else FALSE


def get_dtype(ev: Machine, device: Value) -> Value:
    kind = device.as_constant()
    if kind not in DEVICES:
        return ev.fold(lambda: torch.get_autocast_dtype(kind))
    state = _state(ev)
    lower = state.autocast.lower[DEVICES.index(kind)]
    if lower is state.entry_autocast.lower[DEVICES.index(kind)]:
        ask = ev.names.inject(functools.partial(torch.get_autocast_dtype, kind), "autocast_dtype")
        ev.guards.test(None, f"{ask}() is {ev.names.inject(lower, 'dtype')}", f"autocast's type for {kind} was {lower}")
    return ev.constant(lower)


def set_enabled(ev: Machine, device: Value, enabled: Value | None = None) -> Value:
    if enabled is None:
        raise ev.break_("autocast", "torch.set_autocast_enabled without a device type")
    return _set(ev, device, "enabled", bool(enabled.as_constant()))


def set_dtype(ev: Machine, device: Value, dtype: Value) -> Value:
    return _set(ev, device, "lower", dtype.as_constant())


def is_cache_enabled(ev: Machine) -> Value:
    return TRUE if _state(ev).autocast.cache else FALSE


def set_cache_enabled(ev: Machine, enabled: Value) -> Value:
    state = _state(ev)
    state.autocast = replace(state.autocast, cache=bool(enabled.as_constant()))
    return NONE


def clear_cache(ev: Machine) -> Value:
    _state(ev).autocast_cache.clear()
    return NONE


def nest(ev: Machine, step: int) -> Value:
    state = _state(ev)
    outside = state.entry_autocast.nesting
    ev.guards.test(
        None, f"{ev.names.inject(depth, 'autocast_depth')}() == {outside}", f"open contexts of autocast were {outside}"
    )
    state.autocast = replace(state.autocast, nesting=state.autocast.nesting + step)
    return ev.constant(state.autocast.nesting)


def leave(ev: Machine, rb: Emitter) -> None:
    """The state that the program leaves behind."""
    state = _state(ev)
    opened = state.autocast.nesting - state.entry_autocast.nesting
    if opened or state.autocast != state.entry_autocast:
        rb.effect(f"{rb.inject(restore, 'restore_autocast')}({rb.inject(state.autocast, 'autocast')}, {opened})")
