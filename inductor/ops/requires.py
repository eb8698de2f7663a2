"""What eager asks of the elements that an op reads, beyond their dtype: an op that is given others raises while it runs.

A row names its requirements (`requires=`); `inductor.checks` makes generated code look. Where the framework's own kernel
runs, it looks by itself: such rows, and calls of the framework's functions, only say that they may raise (`raises=True`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ..graph import Dim, Node


@dataclass(frozen=True)
class Range:
    """Each element of the node's `input`-th input lies from `low` to `high`, both allowed, or is `ignored`."""

    input: int
    low: Dim | float
    high: Dim | float
    ignored: int | None = None


@dataclass(frozen=True)
class NonZero:
    """No element of the node's `input`-th input is zero."""

    input: int


@dataclass(frozen=True)
class Finite:
    """Each finite element of the node's `input`-th input lies within `bound` of zero."""

    input: int
    bound: float


Requirement = Range | NonZero | Finite
Requires = Callable[[Node], Iterable[Requirement]]


def divisor(node: Node) -> Iterator[Requirement]:
    """Integers are not divided by zero."""
    if node.dtype.is_int:
        yield NonZero(1)


def place(input: int, size: Dim, from_the_end: bool) -> Requirement:
    """Positions below `size`; negative ones count from the end, or are refused."""
    return Range(input, -size if from_the_end else 0, size - 1)


def along_dim(input: int, *, from_the_end: bool = False) -> Requires:
    """The input holds positions along the dim that the attribute `dim` names, of the node's first input."""

    def requires(node: Node) -> Iterator[Requirement]:
        x = node.inputs[0]
        assert x is not None
        if x.shape:
            yield place(input, x.shape[node.attrs["dim"] % len(x.shape)], from_the_end)

    return requires


def one_per_dim(first: int) -> Requires:
    """The inputs from `first` on hold positions along the leading dims of the node's first input; None: all of that dim."""

    def requires(node: Node) -> Iterator[Requirement]:
        x = node.inputs[0]
        assert x is not None
        for dim, index in enumerate(node.inputs[first:]):
            if index is not None and index.dtype.is_int:
                yield place(first + dim, x.shape[dim], True)

    return requires
