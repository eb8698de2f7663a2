"""What operators declare: while a call runs over stand-ins, every operator that it reaches is held to its schema.

A fake implementation tells shapes. What is written, what is a view of what and what is new stands in the schema alone: a fake
need not write, and may return its argument where the real kernel makes a new tensor.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch._prims_common import suggest_memory_format
from torch.utils._python_dispatch import TorchDispatchMode

#: namespaces of the framework's own operators, whose fakes do what the schemas say and which have no effects beside them
FRAMEWORK = frozenset(("aten", "prims", "prim", "quantized", "mkldnn"))


def _resized(x: torch.Tensor, size: Sequence[int], *_: Any, **__: Any) -> torch.Tensor:
    return torch.empty((*x.shape[:2], *size), dtype=x.dtype, device=x.device, memory_format=suggest_memory_format(x))


#: operators whose fakes compute at length what their arguments say
_QUICK = {torch.ops.aten.upsample_bicubic2d.default: _resized}


#: Operators older than schemas with writes in them, which write to these arguments all the same; some of them only where their
#: argument `training` is true.
_WRITTEN = dict.fromkeys(
    (
        torch.ops.aten.native_batch_norm.default,
        torch.ops.aten.cudnn_batch_norm.default,
        torch.ops.aten.miopen_batch_norm.default,
        torch.ops.aten.batch_norm_update_stats.default,
        torch.ops.aten.batch_norm_gather_stats.default,
        torch.ops.aten.batch_norm_gather_stats_with_counts.default,
    ),
    ("running_mean", "running_var"),
)


class Undeclared(Exception):
    """A fake implementation and its operator's schema do not go together; `args[0]` says how."""


class Watch(TorchDispatchMode):
    """Notes what the operators of a call declare.

    written: storages that they write to (see `storage_of`)
    effects: whether one of them draws random numbers, or is not the framework's own: it must run whether or not its result
             is used
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.written: set[int] = set()
        self.effects = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not isinstance(func, torch._ops.OpOverload):
            return func(*args, **kwargs)
        schema = func._schema
        given = list(bound(schema, args, kwargs))
        beside = _WRITTEN.get(func, ())
        if any(argument.name == "training" and not value for argument, value in given):
            beside = ()
        for argument, value in given:
            if argument.name in beside or argument.alias_info is not None and argument.alias_info.is_write:
                self.written.update(storage_of(t) for t in _tensors(value))
        own = func.namespace not in FRAMEWORK
        if own or torch.Tag.nondeterministic_seeded in func.tags:
            self.effects = True
        if own and not schema.returns:
            return None  # whatever its kernel does, nothing comes out
        quick = _QUICK.get(func)
        result = func(*args, **kwargs) if quick is None else quick(*args, **kwargs)
        return _as_declared(func, given, result) if own else result


def bound(schema: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """The schema's arguments in order, with what was given for them."""
    for i, argument in enumerate(schema.arguments):
        if i < len(args) and not argument.kwarg_only:
            yield argument, args[i]
        elif argument.name in kwargs:
            yield argument, kwargs[argument.name]


def _as_declared(func: Any, given: Sequence[tuple[Any, Any]], result: Any) -> Any:
    returns = func._schema.returns
    if len(returns) == 1:
        return _one(func, returns[0], given, result)
    if not isinstance(result, (tuple, list)) or len(result) != len(returns):
        raise Undeclared(f"the fake implementation of {func} does not give the {len(returns)} results of its schema")
    return tuple(_one(func, declared, given, part) for declared, part in zip(returns, result))


def _one(func: Any, declared: Any, given: Sequence[tuple[Any, Any]], result: Any) -> Any:
    """One result: an argument where the schema says that it is written and returned, a view where it says so, else new."""
    if isinstance(result, (bool, int, float, complex)):
        raise Undeclared(f"{func} gives a number, which may depend on the data")
    alias = declared.alias_info
    arguments = [t for _, value in given for t in _tensors(value)]
    if alias is None:
        taken = {storage_of(t) for t in arguments}
        return _mapped(result, lambda t: _new(t) if storage_of(t) in taken else t)
    if alias.is_write:
        for argument, value in given:
            info = argument.alias_info
            if info is not None and info.is_write and info.before_set & alias.before_set:
                return value
    shared = {storage_of(t) for a, value in given if a.alias_info is not None for t in _tensors(value)}
    if any(storage_of(t) not in shared for t in _tensors(result)):
        raise Undeclared(f"by its schema {func} returns a view of its argument, and its fake implementation does not")
    return result


def _new(t: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=t.device)


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    return type(value)(_mapped(v, change) for v in value) if type(value) in (list, tuple) else value


def _tensors(value: Any) -> Iterable[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _tensors(v)


def storage_of(t: torch.Tensor) -> int:
    """What tensors that share memory have in common; a number of its own for a tensor without strided memory."""
    return t.untyped_storage()._cdata if t.layout is torch.strided else id(t)


# ------------------------------------------------------------------ arguments that are numbers


def overloads_of(name: str) -> list[Any]:
    """The operators behind a function's name; none for what is no operator."""
    packet = getattr(torch.ops.aten, name, None)
    return [getattr(packet, o) for o in packet.overloads()] if isinstance(packet, torch._ops.OpOverloadPacket) else []


def of_python(overloads: Sequence[Any]) -> list[Any]:
    """Those that Python's functions come to: TorchScript has operators on numbers and words beside them, which have no kernels."""
    return [o for o in overloads if torch._C._dispatch_has_kernel(o.name())]


def scalars(overloads: Sequence[Any]) -> frozenset[str | int]:
    """Positions and names of the arguments that are numbers of any type in all overloads that have them."""
    kinds: dict[str | int, set[bool]] = {}
    for overload in overloads:
        for i, argument in enumerate(overload._schema.arguments):
            kind = argument.type.getElementType() if argument.type.kind() == "OptionalType" else argument.type
            scalar = kind.kind() in ("NumberType", "FloatType")
            for where in (argument.name, *(() if argument.kwarg_only else (i,))):
                kinds.setdefault(where, set()).add(scalar)
    return frozenset(where for where, found in kinds.items() if found == {True})


@functools.cache
def numbers_of(name: str) -> frozenset[str | int]:
    """`scalars` of the operators of this name."""
    return scalars(overloads_of(name))
