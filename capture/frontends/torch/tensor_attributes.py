"""Attributes that programs hang on tensors: names, flags, loaders.

What is set on a tensor from outside is written to it when the entry ends; what is set on one that the graph makes, when that
leaves the graph. Other tensors never get them, as in eager: no operation carries them over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ...machine.type_lookup import MISSING, type_find
from ...values.attribute_text import assignment, removal
from ...values.base import Value
from ...values.tensor import ArrayValue, InputStorage
from .state import state_of

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine


def written_of(ev: Machine, x: ArrayValue) -> dict[str, Value | None]:
    """What the program set on a tensor so far; None: it deleted that."""
    return state_of(ev).attributes.get(x, {})


def is_free(x: ArrayValue, name: str) -> bool:
    """Whether `name` is an attribute of the tensor alone: neither its class nor what the program put there knows it."""
    return type_find(x.python_type(), name) is MISSING and (not name.startswith("__") or not name.endswith("__"))


def own_of(ev: Machine, x: ArrayValue, name: str) -> Value | None:
    """`x.name` from the tensor's own attributes; None where it has none."""
    written = written_of(ev, x)
    if name in written:
        return written[name]
    real = real_of(x)
    if real is None:
        return None
    source = x.source
    assert source is not None
    if name in getattr(real, "__dict__", ()):
        return ev.wrap(real.__dict__[name], source.attr(name))
    if is_free(x, name):
        has = ev.names.inject(hasattr)
        ev.guards.test(source, f"not {has}({{x}}, {ev.names.literal(name)})", f"{{label}} had no attribute {name}")
    return None


def copy_own(ev: Machine, x: ArrayValue, made: ArrayValue) -> None:
    """Give `made` what `x` has."""
    for name in names_of(ev, x):
        found = own_of(ev, x, name)
        if found is not None:
            set_own(ev, made, name, found)


def names_of(ev: Machine, x: ArrayValue) -> list[str]:
    """The names of a tensor's own attributes."""
    written, real = written_of(ev, x), real_of(x)
    names = list(getattr(real, "__dict__", ()))
    if real is not None:
        shown = f" {', '.join(names)}" if names else " none"
        wanted = ", ".join(map(ev.names.literal, names))
        source = x.source
        assert source is not None
        ev.guards.test(source, f"list({{x}}.__dict__) == [{wanted}]", f"{{label}}'s own attributes were{shown}")
    return [n for n in dict.fromkeys([*names, *written]) if written.get(n, x) is not None]


def real_of(x: ArrayValue) -> torch.Tensor | None:
    """The tensor from outside that a Value stands for."""
    if x.source is not None and hasattr(x, "original"):
        return x.original  # type: ignore[no-any-return]
    return x.storage.real if isinstance(x.storage, InputStorage) and x.parent is None else None


def set_own(ev: Machine, x: ArrayValue, name: str, value: Value) -> None:
    """`x.name = value`, for a name that is free."""
    state_of(ev).attributes.setdefault(x, {})[name] = value
    if x.source is not None:
        ev.effects.touch(x)


def delete_own(ev: Machine, x: ArrayValue, name: str) -> None:
    """`del x.name`. Raises the program's AttributeError where there is none."""
    if own_of(ev, x, name) is None:
        raise ev.attribute_error(x, name)
    state_of(ev).attributes.setdefault(x, {})[name] = None
    if x.source is not None:
        ev.effects.touch(x)


def replay(rb: Emitter, x: ArrayValue, target: str) -> None:
    """Statements for what was set on, and deleted from, a tensor from outside."""
    real: Any = real_of(x)
    for name, value in written_of(rb.ev, x).items():
        if value is not None:
            rb.effect(assignment(rb, target, name, rb.value(value)))
        elif name in getattr(real, "__dict__", ()):
            rb.effect(removal(rb, target, name))


def hang(rb: Emitter, x: ArrayValue, made: str) -> str:
    """The tensor that the expression `made` makes, with its attributes: a name for it."""
    written = {k: v for k, v in written_of(rb.ev, x).items() if v is not None}
    if not written:
        return made
    name = rb.name_value(x, made)
    for attr, value in written.items():
        rb.defer(lambda attr=attr, value=value: rb.emit(assignment(rb, name, attr, rb.value(value))))  # type: ignore[misc]
    return name
