"""Indices that are surely inside: loops over ranges get a version in which they need not be looked at.

An index is a sum of numbers, each times a constant (`kinds.Linear`). In the innermost loop that goes through the values of one of them, while
the others stay as they are, the sum is between two values that are known where the loop is entered. So what is asked of it in each
round is asked there once (loop unswitching): where it holds, the loop's version without checks is entered, else the other one. What
will be asked is known only when the loop's body has been traced: `Fits` stands for the question until then.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .....inductor.sequential.program import (
    ZERO,
    Accumulate,
    Apply,
    Cholesky,
    Choose,
    Determinant,
    Expr,
    Fill,
    Literal,
    Product,
    Reduce,
    Scan,
    Set,
    Solve,
    Statement,
    Var,
)
from ....bytecode.instructions import CodeView, loops
from .given import Given
from .instructions import Frame
from .kinds import INT, Extent, Linear, Number, Walk
from .linear import linear

#: statements about whole arrays in a loop from which on it gets one version only
MANY_ARRAYS = 4

#: a variable of a frame, by the frame's level
Slot = tuple[int, str]


@dataclass(frozen=True)
class Question:
    """Whether a sum lies within `size`, but for its constant.

    factors: of the loop's items; others: what else is added, with its factor: what the loop is given, or variables that stay as they are in it
    """

    factors: tuple[int, ...]
    others: tuple[tuple[Expr | Slot, int], ...]
    size: Expr


@dataclass(frozen=True)
class Fits:
    """A place in a block where a loop's version is chosen: `var` tells whether all that is asked in it holds.

    low, high: the loop's first and last item, the smaller one first; slots: the variables' values when it is entered
    """

    var: Var
    loop: int
    low: Expr
    high: Expr
    slots: Mapping[Slot, Expr]


class Bounds:
    """What is asked of each loop's items."""

    def __init__(self, given: Given) -> None:
        self.given = given
        #: loops by the instruction at their head
        self.loops: dict[tuple[CodeView, int], int] = {}
        #: where they stand, and the variables that their bodies assign, by the loop
        self.at: list[tuple[CodeView, int]] = []
        self.assigned: list[frozenset[str]] = []
        #: by the loop and the question: the least and the largest constant that were asked for
        self.asked: dict[int, dict[Question, tuple[int, int]]] = {}

    def is_one_of(self, loop: int, heads: Container[tuple[CodeView, int]]) -> bool:
        """Whether a loop stands at one of these heads."""
        return self.at[loop] in heads

    def split_in_vain(
        self, bodies: Iterable[tuple[Sequence[Walk], Iterable[Statement | Fits]]]
    ) -> frozenset[tuple[CodeView, int]]:
        """Heads of loops for which two versions are one too many: nothing is asked of their items, or they work on whole arrays, beside
        which a look at an index costs nothing. bodies: the loops that blocks stand in, outermost first, and their statements
        """
        weights = [0] * len(self.at)
        for walks, statements in bodies:
            if walks and walks[-1].safe:
                weights[walks[-1].loop] += sum(map(_is_large, statements))
        return frozenset(
            head for loop, head in enumerate(self.at) if weights[loop] >= MANY_ARRAYS or not self.asked.get(loop)
        )

    def loop_at(self, view: CodeView, head: int) -> int:
        """The number of the loop whose head stands there."""
        found = self.loops.get((view, head))
        if found is None:
            found = self.loops[view, head] = len(self.at)
            self.at.append((view, head))
            bodies = [loop.body for loop in loops(view) if loop.header == head]
            stores = (view.instructions[i] for body in bodies for i in body)
            self.assigned.append(frozenset(i.arg for i in stores if i.op in ("STORE_FAST", "DELETE_FAST")))
        return found

    def entry(self, frames: Sequence[Frame], var: Var, loop: int, low: Expr, high: Expr) -> Fits:
        """Where a loop is entered, with the variables as they are there."""
        slots = {
            (level, name): value.expr
            for level, frame in enumerate(frames)
            for name, value in frame.slots.items()
            if isinstance(value, Number) and value.dtype == INT
        }
        return Fits(var, loop, low, high, slots)

    def are_inside(self, frames: Sequence[Frame], numbers: Iterable[Number], size: Extent, end: bool = False) -> bool:
        """Whether numbers are surely places along an axis of this size: loops are asked to see to it. end: or the place behind the last"""
        if not self.given.is_invariant(size.expr):
            return False
        found = [self._asks(frames, linear(n), size) for n in numbers]
        if None in found:
            return False
        for loop, question, offset in filter(None, found):
            asked = self.asked.setdefault(loop, {})
            low, high = asked.get(question, (offset, offset - end))
            asked[question] = min(low, offset), max(high, offset - end)
        return True

    def _asks(self, frames: Sequence[Frame], line: Linear, size: Extent) -> tuple[int, Question, int] | None:
        """The loop to be asked, what, and the constant."""
        for level in range(len(frames) - 1, -1, -1):
            for it in reversed(frames[level].stack):
                if isinstance(it, Walk) and it.safe and any(t.loop == it.loop for t in line.terms):
                    question = self._question(frames[: level + 1], it.loop, line, size.expr)
                    if question is not None:
                        return it.loop, question, line.offset
        return None

    def _question(self, frames: Sequence[Frame], loop: int, line: Linear, size: Expr) -> Question | None:
        others: list[tuple[Expr | Slot, int]] = []
        for term in line.terms:
            if term.loop == loop:
                continue
            if self.given.is_invariant(term.expr):
                others.append((term.expr, term.factor))
                continue
            slot = self._constant_slot(frames, loop, term.expr)
            if slot is None:
                return None
            others.append((slot, term.factor))
        factors = tuple(t.factor for t in line.terms if t.loop == loop)
        return Question(factors, tuple(sorted(others, key=repr)), size)

    def _constant_slot(self, frames: Sequence[Frame], loop: int, e: Expr) -> Slot | None:
        """The variable that holds a number now, and through the loop, which the last of the frames is in."""
        for level, frame in enumerate(frames):
            stays = frozenset() if level < len(frames) - 1 else self.assigned[loop]
            for name, value in frame.slots.items():
                if isinstance(value, Number) and value.expr == e and name not in stays:
                    return level, name
        return None

    def settled(self, fits: Fits) -> Set:
        """What makes a loop's version without checks right."""
        holds: Expr = Literal(True, "bool")
        for question, (least, most) in self.asked.get(fits.loop, {}).items():
            asked = self._holds(fits, question, least, most)
            holds = asked if holds == Literal(True, "bool") else Apply("both", (holds, asked), "bool")
        return Set(fits.var, holds)

    def _holds(self, fits: Fits, question: Question, least: int, most: int) -> Expr:
        first: Expr = Literal(least, "int64")
        last: Expr = Literal(most, "int64")
        for factor in question.factors:
            low, high = (fits.low, fits.high) if factor > 0 else (fits.high, fits.low)
            first, last = _plus(first, low, factor), _plus(last, high, factor)
        for other, factor in question.others:
            e: Any = fits.slots.get(other) if isinstance(other, tuple) else other
            if e is None:
                return Literal(False, "bool")
            first, last = _plus(first, e, factor), _plus(last, e, factor)
        inside = (Apply("ge", (first, ZERO), "bool"), Apply("lt", (last, question.size), "bool"))
        return Apply("both", inside, "bool")


def _plus(e: Expr, other: Expr, factor: int) -> Expr:
    scaled = other if factor == 1 else Apply("mul", (other, Literal(factor, "int64")), "int64")
    return Apply("add", (e, scaled), "int64")


def _is_large(statement: Statement | Fits) -> bool:
    """Whether a statement goes through arrays whose sizes the program's text does not tell."""
    if isinstance(statement, (Fill, Scan)):
        sizes = statement.target.sizes
    elif isinstance(statement, (Reduce, Accumulate, Choose)):
        sizes = statement.sizes
    else:
        return isinstance(statement, (Product, Solve, Determinant, Cholesky))
    return not all(isinstance(n, Literal) for n in sizes)
