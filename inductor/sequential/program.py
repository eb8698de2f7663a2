"""The language of sequential programs: blocks of statements over numbers and arrays, with jumps between them.

Loops over pointwise nests and reductions (`inductor.loops`) have no order of their own. What a user's `for` or `while` does
has one: values are carried from one round to the next, elements are read and written in the middle, a round may end
early. Such a loop is a `Program`: a control-flow graph whose statements are assignments of numbers, views of arrays, loops over all
elements of an array (`Fill`, `Reduce`: nests inside of the sequential order), and checks that leave the program.

A program never reports: where a check fails it *bails*: it stops, and whoever ran it does the work in another way, from
the state before it began. So what a check asks may be looked at earlier than the user's program would.

Types are NumPy's names ("float64", "int32", "bool"). An array is a name, which stands for its pointer, its sizes and its strides, in elements.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# --------------------------------------------------------------------------- expressions


@dataclass(frozen=True)
class Var:
    """A number in a variable."""

    name: str
    type: str


@dataclass(frozen=True)
class Literal:
    value: bool | int | float | complex
    type: str


@dataclass(frozen=True)
class Apply:
    """An operation on numbers (`codegen.cpp.sequential` knows them all); operands have the types that it asks for."""

    op: str
    args: tuple[Expr, ...]
    type: str


@dataclass(frozen=True)
class ArrayRef:
    """An array: `sizes` and `strides` are variables or literals, so many as it has axes."""

    name: str
    type: str
    sizes: tuple[Expr, ...]
    strides: tuple[Expr, ...]

    @property
    def ndim(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True)
class Load:
    """An element of an array, at an index that is inside."""

    array: ArrayRef
    index: tuple[Expr, ...]

    @property
    def type(self) -> str:
        return self.array.type


Expr = Var | Literal | Apply | Load
ZERO, ONE = Literal(0, "int64"), Literal(1, "int64")


def loads(e: Expr) -> Iterator[Load]:
    """All elements that an expression reads."""
    if isinstance(e, Load):
        yield e
        for i in e.index:
            yield from loads(i)
    elif isinstance(e, Apply):
        for a in e.args:
            yield from loads(a)


# --------------------------------------------------------------------------- statements


@dataclass(frozen=True)
class Set:
    """`var = value`."""

    var: Var
    value: Expr


@dataclass(frozen=True)
class Checked:
    """`var = op(args)` in exact integers; bails where the result does not fit the type."""

    var: Var
    op: str
    args: tuple[Expr, ...]


@dataclass(frozen=True)
class Check:
    """Bails unless the condition holds."""

    condition: Expr


@dataclass(frozen=True)
class View:
    """`target` looks at memory of `base`, from `offset` elements behind its first on. The target's sizes and strides are set already."""

    target: ArrayRef
    base: ArrayRef
    offset: Expr


@dataclass(frozen=True)
class New:
    """`target` is a new array in memory of its own, row by row. zeroed: its bytes are zero"""

    target: ArrayRef
    zeroed: bool = False


@dataclass(frozen=True)
class Store:
    """`array[index] = value`, at an index that is inside."""

    array: ArrayRef
    index: tuple[Expr, ...]
    value: Expr


@dataclass(frozen=True)
class Fill:
    """`target[...] = value`, element by element; `value` is an expression over the index variables.

    guards: what must hold at each element; else it bails, before anything is stored
    apart: whether no array that is read can share memory with the target. Else the elements are computed first wherever they may lie upon each other.
    """

    target: ArrayRef
    index: tuple[Var, ...]
    value: Expr
    guards: tuple[Expr, ...] = ()
    apart: bool = True


@dataclass(frozen=True)
class Reduce:
    """`var` becomes what an operation ("add", "mul", "max", "min", "and", "or", "argmax", "argmin") makes of an expression's values over
    index variables that run over `sizes`, the last one fastest. Sums of floats are made in parts (see `sequential.h`).
    """

    var: Var
    op: str
    index: tuple[Var, ...]
    sizes: tuple[Expr, ...]
    value: Expr
    guards: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Accumulate:
    """`target[index without the axes] op= value` for all elements of a space: a reduction along some axes into an array that holds what the
    operation begins with.

    index, sizes: the whole space; kept: which of the index variables the target has
    """

    target: ArrayRef
    op: str
    index: tuple[Var, ...]
    sizes: tuple[Expr, ...]
    kept: tuple[int, ...]
    value: Expr
    guards: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Scan:
    """`target[..., i, ...]` becomes what an operation ("add", "mul", "max", "min") makes of an expression's values at 0, 1 ... i along an axis,
    one after the other. The target shares no memory with what is read.
    """

    target: ArrayRef
    op: str
    axis: int
    index: tuple[Var, ...]
    value: Expr
    guards: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Product:
    """`target = left @ right` of matrices; the target shares no memory with them."""

    target: ArrayRef
    left: ArrayRef
    right: ArrayRef


@dataclass(frozen=True)
class Solve:
    """`target`, one right side or several in columns, becomes the solution of equations whose matrix is `matrix`, in place of which its factors
    come. Both lie row by row. scratch: room for a real number of each column. Bails where the matrix is singular, or nearly so.
    """

    target: ArrayRef
    matrix: ArrayRef
    scratch: ArrayRef


@dataclass(frozen=True)
class Determinant:
    """`var` becomes the determinant of a matrix. See `Solve`."""

    var: Var
    matrix: ArrayRef
    scratch: ArrayRef


@dataclass(frozen=True)
class Cholesky:
    """A matrix becomes the lower factor that it is the product of with its adjoint. Bails where it is not positive definite."""

    matrix: ArrayRef
    scratch: ArrayRef


@dataclass(frozen=True)
class Choose:
    """`target`, a new array of one axis, gets the elements of `value` where `mask` holds. size: the variable of its size"""

    target: ArrayRef
    index: tuple[Var, ...]
    sizes: tuple[Expr, ...]
    mask: Expr
    value: Expr


@dataclass(frozen=True)
class Sweep:
    """A place where memory that none of these arrays looks at may be given back."""

    live: tuple[ArrayRef, ...]


Statement = (
    Set
    | Checked
    | Check
    | View
    | New
    | Store
    | Fill
    | Reduce
    | Accumulate
    | Scan
    | Product
    | Solve
    | Determinant
    | Cholesky
    | Choose
    | Sweep
)

# --------------------------------------------------------------------------- control flow


@dataclass(frozen=True)
class Edge:
    """A jump to block `target`: first, all at once, its variables and arrays get their values."""

    target: int
    numbers: tuple[tuple[Var, Expr], ...] = ()
    arrays: tuple[tuple[ArrayRef, ArrayRef], ...] = ()
    sweep: Sweep | None = None


@dataclass(frozen=True)
class Branch:
    """Where control goes: by the condition, or (None) always to `then`."""

    condition: Expr | None
    then: Edge
    other: Edge | None = None


@dataclass(frozen=True)
class Return:
    """The end of the program: numbers and arrays that it gives, in order."""

    numbers: tuple[Expr, ...]
    arrays: tuple[ArrayRef, ...]


@dataclass(frozen=True)
class Block:
    statements: tuple[Statement, ...]
    end: Branch | Return | None


@dataclass(frozen=True)
class Program:
    """blocks: the first is where it begins. numbers, arrays: what it is given. results: the types of the numbers it gives, and
    (type, axes) of the arrays that it makes and gives.
    """

    numbers: tuple[Var, ...]
    arrays: tuple[ArrayRef, ...]
    blocks: tuple[Block, ...]
    number_results: tuple[str, ...]
    array_results: tuple[tuple[str, int], ...]
