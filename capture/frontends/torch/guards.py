"""Guards on tensors and on torch's global state."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import forward_ad

from ....inductor.graph import Dim, TensorMeta, contiguous_strides
from ....inductor.sizes import strides_over
from ....kernels.device import device_of
from ...guards.sources import Source
from .autocast import ambient
from .state import TorchState, state_of

if TYPE_CHECKING:
    from ...values.base import Machine

#: torch's own C++ comparison of tensors with what they were (class, dtype, device, sizes, strides, dispatch keys)
_TensorGuards: Any = getattr(getattr(getattr(torch._C, "_dynamo", None), "guards", None), "TensorGuards", None)


# ---------------------------------------------------------------- tensors


def tensor_key(x: torch.Tensor) -> int:
    """Identity of a tensor's memory."""
    return x.untyped_storage()._cdata


def checker(tensors: Sequence[torch.Tensor], sizes: Any = None, strides: Any = None) -> Callable[..., bool]:
    """A function of as many tensors: True when each agrees with its example in class, dtype, device, shape, strides and
    whether it requires gradients. `sizes`, `strides`: per tensor, None at dims that may differ.
    """
    if _TensorGuards is not None:
        sizes = sizes or [list(t.shape) for t in tensors]
        strides = strides or [list(t.stride()) for t in tensors]
        return _TensorGuards(*tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides).check
    wanted = [(type(t), t.dtype, t.device, t.requires_grad, tuple(sizes[i] if sizes else t.shape),
               tuple(strides[i] if strides else t.stride())) for i, t in enumerate(tensors)]  # fmt: skip

    def agrees(x: Any, cls: Any, dtype: Any, device: Any, grad: bool, shape: Any, stride: Any) -> bool:
        if type(x) is not cls or x.dtype is not dtype or x.device != device or x.requires_grad is not grad:
            return False
        have = (*x.shape, *x.stride())
        want = (*shape, *stride)
        return len(have) == len(want) and all(w is None or w == h for w, h in zip(want, have))

    return lambda *found: all(agrees(x, *w) for x, w in zip(found, wanted))


def guard_tensor(ev: Machine, x: torch.Tensor, source: Source, meta: TensorMeta, shape: tuple[Dim, ...]) -> TensorMeta:
    """Guard what is relied on of the tensor at `source`; its meta, with symbols for the sizes that may differ.

    A tensor of dynamic size must be contiguous at later calls when it is now; otherwise its strides must follow from its
    sizes in the same way.
    """
    dynamic = [not isinstance(s, int) for s in shape]
    label = f"{{label}} was a {str(x.dtype).removeprefix('torch.')} tensor of shape {tuple(x.shape)} with strides {x.stride()}"
    if not any(dynamic):
        check = ev.names.inject(checker([x]), "tensor_check")
        ev.guards.test(source, f"{check}({{x}})", label, 0, shown=_shown(x, x.shape, x.stride()))
        return meta
    contiguous = x.is_contiguous()
    sizes = [[None if d else s for d, s in zip(dynamic, x.shape)]]
    wanted = contiguous_strides(shape) if contiguous else strides_over(shape, x.shape, x.stride())
    strides = [[None if contiguous or not isinstance(s, int) else s for s in wanted]]
    check = ev.names.inject(checker([x], sizes, strides), "tensor_check")
    ev.guards.test(source, f"{check}({{x}})", label, 0, shown=_shown(x, sizes[0], strides[0]))
    if contiguous:
        ev.guards.test(source, "{x}.is_contiguous()", "{label} was contiguous", 1)
    else:
        for axis, s in enumerate(wanted):
            if not isinstance(s, int):
                ev.symbols.guard_equal(source.step("", f".stride({axis})"), s)
    return replace(meta, shape=shape, stride=wanted)


def _shown(x: torch.Tensor, sizes: Sequence[int | None], strides: Sequence[int | None]) -> str:
    """What `checker` asks of a tensor, in torch's own words."""
    cls = type(x)
    asked = [f"type({{x}}) is {cls.__module__}.{cls.__qualname__}", f"{{x}}.dtype is {x.dtype}",
             f"{{x}}.device == torch.device({str(x.device)!r})", f"{{x}}.requires_grad is {x.requires_grad}"]  # fmt: skip
    for method, wanted in (("size", sizes), ("stride", strides)):
        if None not in wanted:
            asked.append(f"{{x}}.{method}() == {tuple(wanted)}")
        else:
            asked.append(f"{{x}}.dim() == {len(wanted)}")
            asked += [f"{{x}}.{method}({d}) == {n}" for d, n in enumerate(wanted) if n is not None]
    return " and ".join(dict.fromkeys(asked))


def guard_together(ev: Machine, state: TorchState) -> None:
    """One check for all tensors that the entry holds, one for all hook dicts, and one for the sizes of modules' own dicts."""
    if state.held:
        unique = list({id(t): t for t in state.held}.values())
        held = ev.names.inject(unique, "held")
        check = ev.names.inject(checker(unique), "held_check")
        ev.guards.test(None, f"{check}(*{held})", "parameters and buffers had other dtypes, shapes or devices", 2)
    if state.hooks:
        hooks = ev.names.inject(tuple(state.hooks.values()), "hooks")
        ev.guards.test(None, f"not any({hooks})", "no module had forward hooks", 2)
    if state.module_hooks:  # by the modules' own dicts: another dict of hooks may stand there later
        places = [ev.names.inject(f, f.__name__) for f in (map, operator.getitem)]
        places += [
            ev.names.inject(list(state.module_hooks.values()), "modules"),
            ev.names.inject([name for _, name in state.module_hooks], "hooks"),
        ]
        asked = "not any({}({}, {}, {}))".format(*places)
        ev.guards.test(None, asked, "no module had forward hooks", 2)
    for module in state.modules.values():
        module.guard_names(ev)


# ---------------------------------------------------------------- global state


def _determinism() -> tuple[Any, ...]:
    """What is asked of torch's kernels besides their results."""
    filled: Any = torch.utils.deterministic  # a module whose one attribute is a property
    return torch.get_deterministic_debug_mode(), filled.fill_uninitialized_memory


def heed_determinism(ev: Machine) -> None:
    """Where deterministic algorithms are asked for, a graph with ops that take another way then is left to the framework."""
    if not torch._C._get_deterministic_algorithms():
        return
    for n in ev.graph.nodes:
        if not isinstance(n.meta, tuple) and device_of(n.meta.device).kind in n.op.heeds_determinism:
            ev.boundary.op_by_op = f"deterministic algorithms are asked for, and {n.op.name} has one of its own"


def heed_meta_device(ev: Machine) -> None:
    """Tensors on the meta device have sizes and no content: there is nothing to generate kernels for."""
    for n in ev.graph.nodes:
        if any(m.device == "meta" for m in (n.meta if isinstance(n.meta, tuple) else (n.meta,))):
            ev.boundary.op_by_op = "tensors on the meta device hold no data"


#: what may sit between torch's API and its kernels: something true when it does
_MODES: dict[str, Callable[[], Any]] = {
    "torch.jit.trace": torch._C._is_tracing,
    "a torch function mode": torch._C._len_torch_function_stack,
    "a torch dispatch mode": torch._C._len_torch_dispatch_stack,
    "a torch.func transform": torch._C._functorch.peek_interpreter_stack,
}


def _modes_active() -> bool:
    """Whether something sits between torch's API and its kernels."""
    return any(asked() for asked in _MODES.values()) or forward_ad._current_level >= 0


def _guard_no_modes(ev: Machine) -> None:
    # each by its own function of C: a Python function that asks them all takes twice as long
    for mode, asked in _MODES.items():
        ev.guards.test(None, f"not {ev.names.inject(asked)}()", f"{mode} was not active", 0)
    ev.guards.test(
        None, f"{ev.names.inject(forward_ad)}._current_level < 0", "forward-mode differentiation was not active", 0
    )


def check_state(ev: Machine) -> None:
    """Break where captured code would not mean what it means in eager."""
    if _modes_active():
        ev.guards.test(None, f"{ev.names.inject(_modes_active, 'modes')}()", "a torch mode was active", 0)
        raise ev.break_("torch-mode", "a torch function mode, dispatch mode or torch.func transform is active",
                        "it would not see what runs in a compiled graph")  # fmt: skip
    default = torch.get_default_dtype()
    if default is not torch.float32:
        asked, held = ev.names.inject(torch.get_default_dtype, "default_dtype"), ev.names.inject(default, "dtype")
        ev.guards.test(None, f"{asked}() is {held}", f"the default dtype was {default}", 0)
        raise ev.break_("default-dtype", f"the default dtype is {default}",
                        "graphs take float32 for the default", "torch.set_default_dtype(torch.float32)")  # fmt: skip


def guard_state(ev: Machine) -> None:
    """Guards on grad mode and on all that `check_state` asks."""

    def call(fn: Any, stem: str) -> str:
        return f"{ev.names.inject(fn, stem)}()"

    grad = state_of(ev).entry_grad
    ev.guards.test(
        None, f"{call(torch.is_grad_enabled, 'grad_mode')} is {grad}", f"grad mode was {'on' if grad else 'off'}", 0
    )
    before = state_of(ev).entry_autocast
    if before.active:
        held = ev.names.inject(before, "autocast")
        ev.guards.test(None, f"{call(ambient, 'ambient_autocast')} == {held}", f"autocast was {before}", 0)
    else:
        ev.guards.test(None, f"not {call(torch._C._is_any_autocast_enabled, 'autocast')}", "autocast was off", 0)
    _guard_no_modes(ev)
    deterministic = torch._C._get_deterministic_algorithms
    if deterministic():
        asked = ev.names.inject(_determinism(), "determinism")
        ev.guards.test(None, f"{call(_determinism, 'asked')} == {asked}", "deterministic algorithms were asked for", 0)
    else:
        ev.guards.test(
            None, f"not {call(deterministic, 'deterministic')}", "deterministic algorithms were not asked for", 0
        )
    float32 = ev.names.inject(torch.float32, "float32")
    ev.guards.test(
        None, f"{call(torch.get_default_dtype, 'default_dtype')} is {float32}", "the default dtype was float32", 0
    )
