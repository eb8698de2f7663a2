"""The op table's frame: what a row holds and how rows are made. The rows stand in the sibling modules.

A row says everything that the compiler knows of an op, in one place; nothing else asks for an op's name to find out about it.
What runs an op (generated loops, or the framework's kernel where there is neither `decompose` nor `lower`) is chosen per node
and recorded in the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import InternalError
from .facts import COSTS, EAGER_FORMS, ELEMENTS, GRADIENTS, PRECISIONS, ROLES, ROUNDED, VALUE, Errors, Operand, Rounding


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


#: marks an attribute without a default
REQUIRED: Any = _Required()

KINDS = ("input", "literal", "constant", "pointwise", "view", "reduction", "index", "scan", "contraction", "composite",
         "extern")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Op:
    """One row.

    meaning     meta       (*TensorMeta | None, **attrs) -> TensorMeta: shape, strides as eager gives them, promoted dtype.
                           Raises ValueError/TypeError/IndexError with a message for arguments that eager would refuse.
                attrs      every attribute with its default, or REQUIRED
                decompose  (GraphBuilder, Node) -> Node: the same value from simpler ops; or
                lower      (Node, *Fn) -> Fn | Reduce | Attend | Scan | Scatter: the op as loops (see `inductor.loops`)
                contraction  (GraphBuilder, Node) -> Node: what a library's kernel runs as sums of products (`contract`), for
                           where generated code is chosen in its place
                gradient   its rule (see `ops.gradients`), which is filled in when all rows are there; or who differentiates it:
                           one of GRADIENTS
                recording  (GraphBuilder, Node, positions of the inputs that gradients go to) -> Node: the same value from ops that
                           have more results, which their gradients read; None: not for such inputs
                differentiable  which of its several results gradients flow through; None: all floats
                batching   its rule under a map over one more axis: (GraphBuilder, Node, axes) -> Node
    values      operands   what it takes of each input; the last holds for all that follow
                elements   where its elements come from: one of ELEMENTS
                span       (Node) -> (dim, start, end, step): the run of one axis of its input that it reads
                first      (attrs, TensorMeta of its input) -> where a view's first element stands, counted from its input's
                           first; None: there
                undo       what its input holds once a view holds something else (see `ops.view_writes`); None: not known
                bounds     (Node, interval of an input's node) -> the interval of an integer result, or None
                below      (Node) -> a size: its elements are integers from 0 to below it; or None
                aliases    whether the result may be the first input's memory
                replaces   whether the result is the first input with a part of it replaced, or added to
    numbers     rounding   how eager rounds halves around it
                errors     floating-point errors that an element may meet
                numbers    inputs (by position) and attributes (by name) whose Python numbers eager refuses when the result's
                           dtype cannot hold them
                naturals   inputs (by position) whose Python ints eager refuses below 0 among ints
    refusals    requires   what eager asks of the inputs' elements (see `ops.requires`)
                raises     whether the framework's own kernel raises for some elements
    running     eager      how the framework runs it: one of EAGER_FORMS
                cost       of evaluating an element again: one of COSTS
                stored     whether its result always gets memory, laid out as its meta says
                consumes   whether it may compute in the memory of inputs: it is told (`own=`) which of them nobody reads any more
                effects    random numbers: neither merged, nor dropped, nor moved past each other
                opaque     equal calls need not give equal results: never merged
                autocast   what mixed precision makes of its float operands: one of PRECISIONS, or (attrs) -> one of them
                channels_last  kinds of devices whose library runs it fastest on images that lie channels last
                measured   whether it lays its result out on a CPU in another way than it says without data
                heeds_determinism  kinds of devices on which eager takes another way, or refuses, where deterministic
                           algorithms are asked for
    """

    name: str
    kind: str
    meta: Callable[..., Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    decompose: Callable[..., Any] | None = None
    lower: Callable[..., Any] | None = None
    contraction: Callable[..., Any] | None = None
    gradient: str | Callable[..., Any] = "framework"
    recording: Callable[..., Any] | None = None
    differentiable: tuple[int, ...] | None = None
    batching: Callable[..., Any] | None = None
    operands: tuple[Operand, ...] = (VALUE,)
    elements: str = "computed"
    span: Callable[[Any], tuple[int, Any, Any, Any]] | None = None
    first: Callable[..., Any] | None = None
    undo: Callable[..., Any] | None = None
    bounds: Callable[..., Any] | None = None
    below: Callable[[Any], Any] | None = None
    aliases: bool = False
    replaces: bool = False
    rounding: Rounding = ROUNDED
    errors: Errors | None = None
    numbers: tuple[int | str, ...] = ()
    naturals: tuple[int, ...] = ()
    requires: Callable[[Any], Any] | None = None
    raises: bool = False
    eager: str = "function"
    cost: str | None = None
    stored: bool = False
    consumes: bool = False
    effects: bool = False
    opaque: bool = False
    autocast: str | Callable[[Mapping[str, Any]], str] = ""
    channels_last: tuple[str, ...] = ()
    measured: bool = False
    heeds_determinism: tuple[str, ...] = ()

    def operand(self, position: int) -> Operand:
        """What it takes of an input."""
        return self.operands[min(position, len(self.operands) - 1)]

    def bind(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given` completed with defaults. Raises TypeError for an unknown or missing attribute."""
        unknown = [k for k in given if k not in self.attrs]
        if unknown:
            raise TypeError(
                f"op {self.name} has no attribute {unknown[0]!r}; it has: {', '.join(self.attrs) or 'none'}"
            )
        full = {**self.attrs, **given}
        missing = [k for k, v in full.items() if v is REQUIRED]
        if missing:
            raise TypeError(f"op {self.name} needs attribute {missing[0]!r}")
        return full

    def __repr__(self) -> str:
        return f"<op {self.name}>"


_CHOICES: dict[str, tuple[str, ...]] = {
    "kind": KINDS, "elements": ELEMENTS, "cost": COSTS, "eager": EAGER_FORMS,
}  # fmt: skip


def empty_cells(row: Op) -> list[str]:
    """The columns in which a row says nothing, or what no reader would understand."""
    empty = [name for name, choices in _CHOICES.items() if getattr(row, name) not in choices]
    if row.kind not in ("input", "extern") and not (row.decompose or row.lower):
        empty.append("decompose or lower")
    if not callable(row.autocast) and row.autocast not in PRECISIONS:
        empty.append("autocast")
    if not callable(row.gradient) and row.gradient not in GRADIENTS:
        empty.append("gradient")
    if row.errors is None:
        empty.append("errors")
    if not row.operands or any(o.role not in ROLES for o in row.operands):
        empty.append("operands")
    return empty


class OpTable(Mapping[str, Op]):
    """Name -> row. Rows are added at import and never replaced. Their gradients, which are written in terms of other rows, are filled
    in when all are there.
    """

    def __init__(self) -> None:
        self._rows: dict[str, Op] = {}

    def __getitem__(self, name: str) -> Op:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def add(self, row: Op) -> Op:
        """Add a row. Raises InternalError for a duplicate, or a row with an empty cell."""
        if row.name in self._rows:
            raise InternalError(f"[ops] {row.name!r} is defined twice")
        if empty := empty_cells(row):
            raise InternalError(f"[ops] the row of {row.name!r} does not say: {', '.join(empty)}")
        self._rows[row.name] = row
        return row

    def differentiate(self, name: str, gradient: str | Callable[..., Any]) -> None:
        """Fill in a row's gradient. Raises InternalError for a name without a row, or a row that says it already."""
        row = self._rows.get(name)
        if row is None or row.gradient != "framework":
            raise InternalError(f"[ops] there is no row {name!r} whose gradient is open")
        object.__setattr__(row, "gradient", gradient)

    def record(self, name: str, recording: Callable[..., Any]) -> None:
        """Fill in how a row is computed where gradients are wanted."""
        object.__setattr__(self._rows[name], "recording", recording)


#: the table
OPS = OpTable()
