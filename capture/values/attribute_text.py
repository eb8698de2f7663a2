"""Statements of entries that give an object an attribute, and calls with keywords: their names may be any text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..guards.sources import is_name

if TYPE_CHECKING:
    from .base import Emitter, Value


def assignment(rb: Emitter, target: str, name: str, value: str) -> str:
    """`target.name = value`."""
    if is_name(name):
        return f"{target}.{name} = {value}"
    return f"{rb.inject(setattr, 'setattr')}({target}, {name!r}, {value})"


def removal(rb: Emitter, target: str, name: str) -> str:
    """`del target.name`."""
    return f"del {target}.{name}" if is_name(name) else f"{rb.inject(delattr, 'delattr')}({target}, {name!r})"


def keywords(rb: Emitter, named: Mapping[str, Value]) -> list[str]:
    """The arguments of a call that are given by name."""
    values = {name: rb.value(value) for name, value in named.items()}
    if all(map(is_name, values)):
        return [f"{name}={value}" for name, value in values.items()]
    return [f"**{{{', '.join(f'{name!r}: {value}' for name, value in values.items())}}}"]
