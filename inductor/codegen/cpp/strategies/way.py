"""What a strategy's decision gives: the functions of a kernel, written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..nest import Nest
from ..sharing import Sharing


@dataclass(frozen=True)
class Function:
    """One C++ function over a range of tasks.

    lines: its body; tasks: how many there are, as C++; after: statements of the kernel's entry behind it
    """

    lines: list[str]
    tasks: str
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Array:
    """Memory that a kernel's functions hand on. size: in elements, as C++."""

    name: str
    ctype: str
    size: str


class Way(Protocol):
    """A kernel's loops, decided on. note: what a reader of the code should know of it."""

    @property
    def nest(self) -> Nest: ...

    @property
    def sharing(self) -> Sharing: ...

    @property
    def note(self) -> str: ...

    def functions(self) -> list[Function]:
        """The functions that run one after the other, each with its tasks shared among threads."""
        ...

    def arrays(self) -> list[Array]:
        """What the functions hand on, after the kernel's own arguments."""
        ...
