"""Choosing how a kernel is emitted: the first strategy of a list that says yes.

A strategy looks at a kernel (as its code generator reads it) and gives a way to emit it, or a `Refusal` that says why not. The
way holds what was decided as fields, and emits the kernel over the code generator's writer. The plan keeps which strategy it
was, and what those before it said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ...errors import InternalError
from ..refusal import Refusal

Subject = TypeVar("Subject")
Way = TypeVar("Way")


@dataclass(frozen=True)
class Strategy(Generic[Subject, Way]):
    """plan: the way that this strategy would emit a kernel, or why it does not."""

    name: str
    plan: Callable[[Subject], Way | Refusal]


@dataclass(frozen=True)
class Choice(Generic[Way]):
    """The way a kernel is emitted: the strategy's name, and why those before it in the list said no."""

    strategy: str
    way: Way
    refused: tuple[tuple[str, Refusal], ...]


@dataclass(frozen=True)
class Emitted:
    """A kernel's source text in a file of the plan, the strategy that made it, and why those before it said no."""

    kernel: str
    file: str
    text: str
    strategy: str
    refused: tuple[tuple[str, Refusal], ...]


def choose(strategies: Sequence[Strategy[Subject, Way]], subject: Subject) -> Choice[Way]:
    """The first strategy that says yes. Raises InternalError when none does: the last of a list takes every kernel."""
    refused: list[tuple[str, Refusal]] = []
    for strategy in strategies:
        way = strategy.plan(subject)
        if not isinstance(way, Refusal):
            return Choice(strategy.name, way, tuple(refused))
        refused.append((strategy.name, way))
    raise InternalError(f"[codegen] no strategy emits {subject}: " + "; ".join(f"{n}: {r}" for n, r in refused))
