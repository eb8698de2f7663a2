"""`torch.func.functional_call`: a module called with other tensors in place of its parameters and buffers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.utils.stateless

from ...values.base import Args, Kwargs, Value
from ...values.constant import ConstantValue
from ...values.mappings import DictValue
from ...values.sequences import ListValue, TupleValue
from .handlers import FUNCTIONS
from .modules import NNModuleValue

if TYPE_CHECKING:
    from ...values.base import Machine

#: (a module's dict of members, member's name)
Place = tuple[DictValue, str]

_PARAMETERS = ("module", "parameter_and_buffer_dicts", "args", "kwargs")
_STATELESS = ("module", "parameters_and_buffers", "args", "kwargs")


def _handler(names: tuple[str, ...]) -> Any:
    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        named = dict(zip(names, args)) | dict(kwargs)
        module, given = named.pop(names[0]), named.pop(names[1])
        positional, by_name = named.pop("args", None), named.pop("kwargs", None)
        settings = {k: v.as_constant() for k, v in named.items()}
        if not isinstance(module, NNModuleValue) or settings.get("strict"):
            raise ev.break_("functional-call", f"functional_call of {module.describe()} (strict={settings.get('strict')})",
                            "", "call it without strict=, on a module made outside")  # fmt: skip
        tensors = _tensors(ev, given)
        call_args = _call_args(ev, positional)
        call_kwargs = {k.as_constant(): v for k, v in ev.mapping_pairs(by_name)} if _given(ev, by_name) else {}  # type: ignore[arg-type]
        assigned: dict[str, Value] = {}
        try:
            return _call_with(
                ev, module, tensors, bool(settings.get("tie_weights", True)), call_args, call_kwargs, assigned
            )
        finally:
            if not isinstance(given, (TupleValue, ListValue)):
                for key, value in assigned.items():
                    given.setitem(ev, ConstantValue(key), value)

    return handler


def _given(ev: Machine, value: Value | None) -> bool:
    return value is not None and not ev.is_none(value)


def _call_args(ev: Machine, positional: Value | None) -> list[Value]:
    if positional is None or ev.is_none(positional):
        return []
    return positional.items(ev) if isinstance(positional, TupleValue) else [positional]


def _tensors(ev: Machine, given: Value) -> dict[str, Value]:
    parts = given.items(ev) if isinstance(given, (TupleValue, ListValue)) else [given]
    found: dict[str, Value] = {}
    for part in parts:
        for key, value in ev.mapping_pairs(part):
            if key.as_constant() in found:
                raise ev.framework_error(ValueError(f"{key.as_constant()} appears in several dictionaries"))
            found[key.as_constant()] = value
    return found


def _call_with(
    ev: Machine,
    module: NNModuleValue,
    tensors: dict[str, Value],
    tie: bool,
    args: list[Value],
    kwargs: dict[str, Value],
    assigned: dict[str, Value],
) -> Value:
    """The call, with the members replaced in their registries for as long as it lasts. assigned: gets those that it assigned anew"""
    if tie:
        tensors = _with_tied(ev, module.real, tensors)
    before: list[tuple[str, Place, Any]] = []
    try:
        for name, value in tensors.items():
            registry, member = _place(ev, module, name)
            before.append((name, (registry, member), registry.table[member]))
            registry.table[member] = value
        return module.call(ev, args, kwargs)
    finally:
        for name, (registry, member), old in reversed(before):
            now = registry.table.get(member)
            if now is not None and now is not tensors[name]:
                assigned[name] = now
            registry.table[member] = old


def _place(ev: Machine, module: NNModuleValue, name: str) -> Place:
    *path, member = name.split(".")
    for step in path:
        found = module.getattr_(ev, step)
        if not isinstance(found, NNModuleValue):
            raise ev.framework_error(AttributeError(f"{name}: {step} is no module"))
        module = found
    if isinstance(module.real, torch.nn.RNNBase):
        raise ev.break_(
            "functional-call", "functional_call of a recurrent layer", "it keeps its weights in a second list"
        )
    for registry in ("_parameters", "_buffers"):
        members = module.getattr_(ev, registry)
        if isinstance(members, DictValue) and members.has(ev, ConstantValue(member)):
            return members, member
    raise ev.framework_error(AttributeError(f"{type(module.real).__name__} has no parameter or buffer {member!r}"))


def _with_tied(ev: Machine, module: Any, tensors: dict[str, Value]) -> dict[str, Value]:
    """Names of one and the same tensor are replaced together."""
    groups: dict[int, list[str]] = {}
    for name, tensor in _members(module):
        groups.setdefault(id(tensor), []).append(name)
    found = dict(tensors)
    for group in groups.values():
        given = {id(tensors[n]): tensors[n] for n in group if n in tensors}
        if len(given) > 1:
            raise ev.framework_error(ValueError(f"the tied tensors {group} are given different values"))
        for name in group if given else ():
            found[name] = next(iter(given.values()))
    return found


def _members(module: Any) -> Iterator[tuple[str, Any]]:
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


for _function, _names in (
    (torch.func.functional_call, _PARAMETERS),
    (torch.nn.utils.stateless.functional_call, _STATELESS),
):
    FUNCTIONS[_function] = _handler(_names)
