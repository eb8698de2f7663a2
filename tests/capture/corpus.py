"""The corpus's registry: small programs over arrays, each to be captured whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from toy import Toy


@dataclass(frozen=True)
class Program:
    """One program and how to make fresh arguments for it.

    raises: the program raises: it is compared, and runs as plain Python
    """

    fn: Callable[..., Any]
    make: Callable[[], tuple[Any, ...]]
    raises: bool = False

    @property
    def name(self) -> str:
        return self.fn.__name__


def two() -> tuple[Any, ...]:
    return Toy([1.0, -2.0, 3.0]), Toy([0.5, 0.25, -1.0])


def one() -> tuple[Any, ...]:
    return two()[:1]


class Corpus(list[Program]):
    """A list of programs, filled by decorators."""

    def __call__(self, make: Callable[[], tuple[Any, ...]] | None = None, raises: bool = False) -> Any:
        def add(fn: Callable[..., Any]) -> Callable[..., Any]:
            count = fn.__code__.co_argcount
            self.append(Program(fn, make or (one if count == 1 else two), raises))
            return fn

        return add
