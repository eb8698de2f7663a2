"""What is known of a value while a loop is evaluated abstractly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from .....inductor.graph import Dim
from .....inductor.sequential.program import ONE, ArrayRef, Expr, Literal, Load, Statement, Var

INT, FLOAT, BOOL, COMPLEX = (np.dtype(t) for t in ("int64", "float64", "bool", "complex128"))
#: an int of no more bits can be added and multiplied by small numbers without looking
SMALL_BITS, WORD_BITS = 47, 63
LARGE = 1 << 46


class CannotRoll(Exception):
    """The loop cannot be a sequential program: why not."""

    def __init__(self, why: str, rounds: int | None = None, has_arrays: bool = False) -> None:
        """rounds: that the loop has now; has_arrays: whether arrays take part in it; as far as that was found out"""
        super().__init__(why)
        self.rounds = rounds
        self.has_arrays = has_arrays


class Draws(CannotRoll):
    """The loop draws random numbers, each by a call that only NumPy can do."""


def refusal_of_use(owner: type, what: str) -> CannotRoll:
    """Why an object of a class cannot be used so: it may be one of NumPy's generators of random numbers."""
    draws = issubclass(owner, (np.random.Generator, np.random.RandomState))
    return Draws(what) if draws else CannotRoll(what)


@dataclass(frozen=True)
class Size:
    """An int that capture knows: a number, or an expression of sizes that change from call to call, with its value now.

    It compares and hashes by the value now. What is taken for granted because of that is checked when the program runs: so the program
    is the same whether sizes are numbers or expressions.
    """

    value: Dim = field(compare=False)
    hint: int

    @staticmethod
    def of(number: int) -> Size:
        return Size(number, number)

    def __add__(self, other: Size) -> Size:
        return Size(self.value + other.value, self.hint + other.hint)

    def __sub__(self, other: Size) -> Size:
        return Size(self.value - other.value, self.hint - other.hint)

    def __mul__(self, other: Size) -> Size:
        return Size(self.value * other.value, self.hint * other.hint)

    @property
    def number(self) -> int | None:
        """The number, where it is one at every call."""
        return self.value if isinstance(self.value, int) else None


@dataclass(frozen=True)
class Term:
    """A number times a constant. loop: the one over a range that it is an item of, now or in an earlier round"""

    expr: Expr
    loop: int | None
    factor: int


@dataclass(frozen=True)
class Linear:
    """An int as a sum (see `bounds`)."""

    terms: tuple[Term, ...]
    offset: int


@dataclass(frozen=True)
class Number:
    """A number. python: it is Python's int, float, bool or complex (of the type that holds it), else NumPy's scalar

    known:   of an int, what capture knows of it
    bits:    its magnitude is less than 2 ** bits (of an int)
    natural: it is known not to be negative
    loop:    the one over a range that it is an item of, now or in an earlier round
    linear:  how it was made of other numbers, where it is a sum of some
    expected: of a truth value that sizes decide, what it is now
    """

    expr: Expr
    dtype: np.dtype
    python: bool = False
    known: Size | None = None
    bits: int = WORD_BITS
    natural: bool = False
    loop: int | None = None
    linear: Linear | None = None
    expected: bool | None = None

    @property
    def kind(self) -> str:
        return self.dtype.kind

    def python_type(self) -> type:
        if not self.python:
            return self.dtype.type
        return {"i": int, "f": float, "b": bool, "c": complex}[self.kind]


@dataclass(frozen=True)
class Extent:
    """A size of an array: an int64, and what capture knows of it."""

    expr: Expr
    known: Size | None = None

    @property
    def is_one(self) -> bool:
        return self.expr == ONE

    def number(self) -> Number:
        return Number(self.expr, INT, True, self.known, SMALL_BITS, True)


Index = tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Elements:
    """An array that is an expression over its index, not in memory yet.

    guards: what must hold at an index for the expression to be defined there
    bases:  the arrays that it reads (see `InMemory`)
    by_rows: whether NumPy would lay it out row by row; else in an order that is not followed
    """

    dtype: np.dtype
    sizes: tuple[Extent, ...]
    at: Callable[[Index], Expr]
    guards: Callable[[Index], tuple[Expr, ...]] = lambda index: ()
    bases: frozenset[str] = frozenset()
    by_rows: bool = True

    @property
    def ndim(self) -> int:
        return len(self.sizes)

    @property
    def kind(self) -> str:
        return self.dtype.kind


@dataclass(frozen=True, eq=False)
class InMemory(Elements):
    """An array in memory. ref: where; its `bases` name what it may lie in: arrays with no base in common are surely apart.

    identity: the array from outside that it is, as a whole; "" for all others
    """

    ref: ArrayRef = field(default_factory=lambda: ArrayRef("", "", (), ()))
    writeable: bool = True
    identity: str = ""

    @staticmethod
    def of(ref: ArrayRef, dtype: np.dtype, sizes: tuple[Extent, ...], bases: frozenset[str], by_rows: bool,
           writeable: bool = True, identity: str = "") -> InMemory:  # fmt: skip
        return InMemory(
            dtype, sizes, lambda index: Load(ref, index), lambda index: (), bases, by_rows, ref, writeable, identity
        )


@dataclass(frozen=True, eq=False)
class PartOf(Elements):
    """The real or imaginary parts of complex numbers: computed here, in NumPy a view of the memory of these."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """`whole[mask]`, not taken yet: what is done to its elements is done to all elements of `whole`."""

    whole: Elements
    mask: InMemory

    @property
    def dtype(self) -> np.dtype:
        return self.whole.dtype

    @property
    def kind(self) -> str:
        return self.whole.kind

    @property
    def bases(self) -> frozenset[str]:
        return self.whole.bases | self.mask.bases


@dataclass(frozen=True)
class Fixed:
    """A Python object that is the same in every round: a module, a function, None, text."""

    value: Any

    def __eq__(self, other: object) -> bool:
        # NumPy's float64 is equal to None
        return type(other) is Fixed and type(self.value) is type(other.value) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


NONE, FALSE = Fixed(None), Fixed(False)


@dataclass(frozen=True)
class Outside:
    """A Value of the evaluator that is no number and no array: a function of the program, a module."""

    value: Any


@dataclass(frozen=True)
class Several:
    """A tuple."""

    items: tuple[Any, ...]


@dataclass(frozen=True)
class Listed(Several):
    """A list, which nothing is done to: as an index it is no tuple."""


@dataclass(frozen=True)
class Growing:
    """A list to which each round appends one item: where the items lie, how many there are, whether they are Python's numbers.

    items: NONE before the first round was looked at
    """

    items: InMemory | Fixed
    at: Number
    python: bool


@dataclass(frozen=True)
class Part:
    """A slice."""

    start: Any
    stop: Any
    step: Any


@dataclass(frozen=True)
class Method:
    """A method of a value, bound."""

    owner: Any
    name: str


@dataclass(frozen=True)
class Counting:
    """A range."""

    start: Number
    stop: Number
    step: int


@dataclass(frozen=True)
class Walk:
    """An iterator over a range: the next number, where it ends, its step.

    loop: the loop; safe: its items, with the offsets that they are used with, are places inside of the arrays that they index
    """

    at: Number
    stop: Number
    step: int
    loop: int
    safe: bool


@dataclass(frozen=True)
class Rows:
    """An iterator over an array: the place of the next item."""

    array: InMemory
    at: Number


@dataclass(frozen=True)
class Counted:
    """`enumerate`: an iterator with the count of its next item."""

    inner: Any
    at: Number


@dataclass(frozen=True)
class Zipped:
    """`zip` of iterators."""

    parts: tuple[Any, ...]


@dataclass(frozen=True)
class Placed:
    """`np.ndindex`: an iterator over the numbers of the places, and the sizes of their axes."""

    inner: Any
    sizes: tuple[Number, ...]


@dataclass(frozen=True)
class Pending:
    """An iterator that is known to have an item, which the block behind takes."""

    it: Any


class Null:
    """The machine's NULL below a call."""


NULL = Null()


def literal(value: Any) -> Number:
    """A constant of the loop's own text."""
    if type(value) is bool:
        return Number(Literal(value, "bool"), BOOL, True, None, 1, True)
    if type(value) is int:
        if not -(1 << 63) <= value < 1 << 63:
            raise CannotRoll("an integer beyond 64 bits")
        return Number(Literal(value, "int64"), INT, True, Size.of(value), value.bit_length(), value >= 0)
    if type(value) is float:
        return Number(Literal(value, "float64"), FLOAT, True)
    if type(value) is complex:
        return Number(Literal(value, "complex128"), COMPLEX, True)
    assert isinstance(value, np.generic)
    return Number(Literal(value.item(), value.dtype.name), value.dtype)


def plain(value: Any) -> Any:
    """A Python object that stands in the loop's text, as the evaluation knows it."""
    if type(value) in (bool, int, float, complex):
        return literal(value)
    if isinstance(value, tuple):
        return Several(tuple(plain(v) for v in value))
    if isinstance(value, slice):
        return Part(*(plain(v) for v in (value.start, value.stop, value.step)))
    return Fixed(value)


def step_of(number: Number, what: str) -> int:
    """A step, whose value the program is made for. Raises CannotRoll for one that is computed in the loop, or zero."""
    known = number.known.number if number.known is not None else None
    if not known:
        raise CannotRoll(f"{what} whose step is computed")
    return known


def unknown(number: Number) -> Number:
    """The number without what is known of its value, but that it is an item of a loop."""
    bits = SMALL_BITS if number.bits <= SMALL_BITS else WORD_BITS
    return replace(number, known=None, bits=bits, linear=None, expected=None)


class Trace(Protocol):
    """The evaluation of a loop as rules see it: see `tracer.Tracer`."""

    def name(self, stem: str) -> str: ...
    def variable(self, dtype: str) -> Var: ...
    def index(self, ndim: int) -> tuple[Var, ...]: ...
    def emit(self, statement: Statement) -> None: ...
    def let(self, e: Expr, reads: bool = False) -> Expr: ...
    def part(self, base: ArrayRef, sizes: tuple[Expr, ...], strides: tuple[Expr, ...], offset: Expr) -> ArrayRef: ...
    def are_inside(self, numbers: Iterable[Number], size: Extent, end: bool = False) -> bool: ...
    def site(self) -> str: ...
    def written(self, target: InMemory) -> None: ...
    def constant(self, value: Any) -> Any: ...
    def axes(self, axis: Any, ndim: int) -> tuple[int, ...] | None: ...
    def shape(self, shape: Any) -> tuple[Extent, ...]: ...
    def dtype(self, given: Any, default: np.dtype | None) -> np.dtype: ...
    def extent_of_range(self, start: Number, stop: Number, step: int) -> Extent: ...
    def iterator(self, value: Any) -> Any: ...
    def met(self, value: Any) -> Any: ...
