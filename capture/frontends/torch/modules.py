"""nn.Module instances during capture.

A module that an entry holds is guarded by identity; its parameters, buffers and submodules are read from its own dicts,
so that no guard depends on how deep the module stands. One that is guarded by its type (one function called with many
modules, a loop over modules behind a graph break) is another module at each call: all that the entry assumed is asked of it.

A call evaluates `forward`; where hooks are registered, or calling is the instance's own affair, all of `Module.__call__`.
What was absent is watched: hooks that appear later make the entry invalid.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import torch

from ...guards.sources import Source
from ...machine.type_lookup import MISSING
from ...switches.function_flags import DISABLE, REASON
from ...values.base import Args, Kwargs, Value
from ...values.constant import ConstantValue
from ...values.functions import BoundMethodValue
from ...values.mappings import DictValue
from ...values.objects import ObjectValue
from ...values.tensor import ArrayValue
from .handlers import FUNCTIONS
from .lazy import initialize, is_lazy
from .module import FORWARD_HOOKS, GLOBAL_HOOKS, HOOKS, PLAIN_CALL, forward_compiled, has_hooks_outside
from .state import state_of

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine

_REGISTRIES = ("_parameters", "_buffers", "_modules")
#: what a module registers wherever it is assigned
_REGISTERED = (torch.nn.Module, torch.nn.Parameter)
_GETATTR = torch.nn.Module.__getattr__
_SETATTR = torch.nn.Module.__setattr__
_CALL = torch.nn.Module.__call__
#: names in a module's own dict that change what a call does; a class has `forward` in any case
_OWN_CALLS = ("_compiled_call_impl", "_call_impl", DISABLE)
_PLAIN = frozenset((int, float, bool, str, type(None), torch.dtype))


def _is_plain(obj: Any) -> bool:
    """Immutable settings: numbers, names, dtypes, and tuples of them."""
    return type(obj) in _PLAIN or type(obj) is tuple and all(_is_plain(o) for o in obj)


class NNModuleValue(ObjectValue):
    """One real nn.Module."""

    __slots__ = ()

    def describe(self) -> str:
        label = f" `{self.source.label}`" if self.source is not None and self.source.label else ""
        return f"the module{label} ({self.info.name})"

    @property
    def is_held(self) -> bool:
        """Whether the entry knows the module by its identity; otherwise another one may stand there at the next call."""
        return self.source is not None and self.source.is_const

    # ------------------------------------------------------------ attributes

    def generic_getattr(self, ev: Machine, name: str, hook: bool = True) -> Value:
        names = self.real_dict
        assert names is not None
        if name not in names and name not in self.attrs and self.info.find(name) is MISSING:
            if self.info.getattr is _GETATTR or not hook:
                registered = self.registered(ev, name)
                if registered is not None:
                    if self.is_held:
                        state_of(ev).modules[id(self)] = self
                    else:
                        self.guard_absent(ev, name)
                    return registered
        return super().generic_getattr(ev, name, hook)

    def instance_attr(self, ev: Machine, name: str) -> Value | None:
        """Settings (sizes, flags, names) are guarded by identity: one comparison each, whatever their type."""
        names = self.real_dict
        if names is not None and name in names and name not in self.attrs and name not in self.removed:
            obj = names[name]
            assert self.source is not None
            if self.source.is_const and _is_plain(obj):
                source = self.dict_source(ev).step("", f"[{name!r}]", f".{name}")
                if not ev.policy.is_structural(source):
                    ev.guards.is_(source, obj)
                    ev.identity_places[source.label] = (source, obj)
                    value = self.attrs[name] = ev.from_python(obj)
                    return value
        return super().instance_attr(ev, name)

    def registered(self, ev: Machine, name: str) -> Value | None:
        """A parameter, buffer or submodule, as `Module.__getattr__` finds it."""
        assert self.real_dict is not None
        for registry in _REGISTRIES:
            members = self._members(ev, registry)
            if isinstance(members, DictValue):
                found = members.get(ev, ConstantValue(name))
                if found is not None:
                    return found
            elif name in members:
                return ev.wrap(members[name], self.member_source(ev, registry, members, name))
        return None

    def _members(self, ev: Machine, registry: str) -> DictValue | dict[str, Any]:
        """The members of one kind: as the program has them, where it has the dict in its hands and may have changed it."""
        assert self.real_dict is not None
        members = self.real_dict.get(registry)
        known = ev.memo.get(id(members))
        return known if isinstance(known, DictValue) else {} if members is None else members

    def member_source(self, ev: Machine, registry: str, members: dict[str, Any], name: str) -> Source:
        """Where a registered member stands: the dict itself is held when the module is."""
        assert self.source is not None
        if self.source.is_const:
            part = ev.names.inject(members, "part")
            ev.guards.test(
                self._dict_place(ev), f"{{x}}[{registry!r}] is {part}", f"{{label}} had another dict under {registry}"
            )
            label = self.source.label
            return ev.names.const(members, label=label).step("", f"[{name!r}]", f".{name}")
        return self.source.step("", f".{registry}[{name!r}]", f".{name}")

    def setattr_(self, ev: Machine, name: str, value: Value) -> None:
        if self.info.setattr is not _SETATTR:
            super().setattr_(ev, name, value)
            return
        assert self.real_dict is not None
        registries = [self.real_dict.get(r, ()) for r in _REGISTRIES]
        if isinstance(value, NNModuleValue) and name not in self.attrs and self.registered(ev, name) is value:
            return  # what stands there already
        is_buffer = isinstance(value, ArrayValue) and _says(ev, value, "_is_buffer")
        if any(name in names for names in registries) and (is_buffer or not self._keeps_its_place(ev, name, value)):
            raise ev.break_("module-setattr", f"replacing {name!r} of {self.describe()}",
                            "parameters and submodules are guarded by identity", "replace it outside")  # fmt: skip
        if self._has_buffer(ev, name):
            buffers = self.getattr_(ev, "_buffers")
            assert isinstance(buffers, DictValue)
            buffers.put(ev, ConstantValue(name), value)
        elif is_buffer or issubclass(value.python_type(), _REGISTERED):
            raise ev.break_("module-setattr", f"registering {name!r} in {self.describe()}", "", "register it outside")
        else:
            self.generic_setattr(ev, name, value)

    def _keeps_its_place(self, ev: Machine, name: str, value: Value) -> bool:
        """Whether the name stays one of a buffer, and torch takes the value as one."""
        assert self.real_dict is not None
        is_buffer = self._has_buffer(ev, name) and name not in self.attrs
        is_tensor = isinstance(value, ArrayValue) and not issubclass(value.python_type(), _REGISTERED)
        return is_buffer and (is_tensor or ev.is_none(value))

    def _has_buffer(self, ev: Machine, name: str) -> bool:
        """Whether a buffer is registered under the name."""
        members = self._members(ev, "_buffers")
        return members.has(ev, ConstantValue(name)) if isinstance(members, DictValue) else name in members

    # ------------------------------------------------------------ calls

    def call(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        assert self.real_dict is not None
        if self.real_dict.get(DISABLE):
            reason = self.real_dict.get(REASON) or "it must run as it is"
            raise ev.break_(
                "disabled", f"calling {self.describe()}, which is marked with disable", reason, "remove the mark"
            )
        if is_lazy(self.real):
            initialize(ev, self.real, args, kwargs)
        if self.info.find("__call__") is not _CALL and not self.is_generated(ev):
            return super().call(ev, args, kwargs)
        if self.calls_plainly(ev):
            return self.getattr_(ev, "forward").call(ev, args, kwargs)
        implementation = ev.wrap(PLAIN_CALL, ev.names.const(PLAIN_CALL))
        return BoundMethodValue(implementation, self).call(ev, args, kwargs)

    def compiled_callee(self, ev: Machine, rb: Emitter) -> str | None:
        names, function = self.real_dict, type(self.real).forward
        if names is None or "forward" in names or not has_hooks_outside(names):
            return None
        compiled = ev.engine.compiled(function)
        if compiled is None:
            return None
        return f"{rb.inject(forward_compiled, 'forward_compiled')}({rb.value(self)}, {rb.inject(compiled, 'compiled')})"

    def is_generated(self, ev: Machine) -> bool:
        """Whether it is a `torch.fx.GraphModule`, whose class has a call and a `forward` of its own, which may be generated anew."""
        cls = type(self.real)
        if not isinstance(self.real, torch.fx.GraphModule) or "_wrapped_call" not in vars(cls):
            return False
        for name in ("__call__", "forward", "_wrapped_call"):
            ev.guards.steady(cls, name, vars(cls).get(name), cls.__name__)
        return cls._wrapped_call.cls_call is None and cls.__call__.__module__ == torch.fx.graph_module.__name__

    def calls_plainly(self, ev: Machine) -> bool:
        """Whether a call comes down to one of `forward`: no hooks, and nothing of the instance's own before it. If so, that
        is watched.
        """
        names = self.real_dict
        assert names is not None
        looked_at = not self.attrs.keys().isdisjoint(HOOKS) or any(id(hooks) in ev.memo for hooks in GLOBAL_HOOKS)
        if looked_at or any(GLOBAL_HOOKS) or not _is_plainly_called(names):
            return False
        state = state_of(ev)
        for hooks in GLOBAL_HOOKS:
            state.hooks[id(hooks)] = hooks
        if self.is_held:
            state.modules[id(self)] = self
            for name in HOOKS if state.grad else FORWARD_HOOKS:
                if name in names:
                    state.module_hooks[id(names), name] = names
        else:
            asked = ev.names.inject(_is_plainly_called, "called_plainly")
            ev.guards.test(self.dict_source(ev), f"{asked}({{x}})", "{label} had no hooks, and no call of its own")
        return True

    def guard_dict(self, ev: Machine) -> None:
        """The module, which is held, has its attributes in the dict that it had. Of modules inside of it nobody asks: there are many of
        them, and where their parts stand is guarded (`member_source`).
        """
        inside = state_of(ev).inside
        if id(self.real) not in inside:
            ev.guards.is_(self._dict_place(ev), self.real_dict)
            inside |= _inside(self.real)

    def guard_names(self, ev: Machine) -> None:
        """The module, which is held, got no further attributes of its own. Their number says so: what was used is still there.
        Where the program itself adds or removes some, those that matter for calls are asked one by one.
        """
        names = self.real_dict
        assert names is not None and self.source is not None
        if self.removed or not self.changed.keys() <= names.keys():
            for name in _OWN_CALLS:
                if name not in names:
                    self.guard_absent(ev, name)
        elif self.source.parent is None:
            ev.guards.size_stays(names)
        else:  # held weakly
            ev.guards.length(self.dict_source(ev), len(names))

    def truth(self, ev: Machine) -> bool:
        if self.info.find("__len__") is MISSING and self.info.find("__bool__") is MISSING:
            return True
        return super().truth(ev)


def _says(ev: Machine, value: Value, name: str) -> bool:
    """Whether an attribute that a value may have is true."""
    found = ev.getattr_or_none(value, name)
    return found is not None and found.truth(ev)


def _inside(module: Any) -> set[int]:
    """Identities of the modules in a module, at any depth."""
    found: set[int] = set()
    todo = [module]
    while todo:
        parts = [p for p in (vars(todo.pop()).get("_modules") or {}).values() if p is not None and id(p) not in found]
        found.update(map(id, parts))
        todo += parts
    return found


def _is_plainly_called(names: dict[str, Any]) -> bool:
    """Whether a module with this `__dict__` has no hooks, and nothing of its own that is called before `forward`."""
    if any([names[h] for h in HOOKS if h in names]):
        return False
    return not any(name in names and not _is_compiled(names[name]) for name in _OWN_CALLS)


def _is_compiled(call: Any) -> bool:
    """Whether what stands in the way of a module's call computes what the module does: `Module.compile` put it there."""
    return call is None or hasattr(call, "parts") or hasattr(call, "_torchdynamo_orig_callable")


def _to_is_done(module: torch.nn.Module, *args: Any, **kwargs: Any) -> torch.nn.Module:
    """`module.to(...)` where everything is there already: the module itself. What would change parameters is refused."""
    device, dtype, _, memory_format = torch._C._nn._parse_to(*args, **kwargs)
    for tensor in itertools.chain(module.parameters(), module.buffers()):
        converts = dtype is not None and dtype is not tensor.dtype
        if converts and (tensor.is_floating_point() or tensor.is_complex()):
            return _refuse_to(module)
        if memory_format is not None or device is not None and device != tensor.device:
            return _refuse_to(module)
    return module


def _refuse_to(module: Any) -> Any:
    """Has a handler: breaks."""
    raise AssertionError("only capture calls this")


def _refused_to(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    raise ev.break_("module-to", f"converting {args[0].describe()}", "its parameters would be replaced",
                    "convert it outside of the compiled function")  # fmt: skip


def _call_to(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    return ev.call_function(_to_is_done, args, kwargs)


FUNCTIONS[torch.nn.Module.to] = _call_to
FUNCTIONS[_refuse_to] = _refused_to
