"""The op table's frame: what a row holds and how rows are made. The rows stand in the sibling modules.

A row says everything that the compiler knows of an op, in one place:

  meta       (*TensorMeta | None, **attrs) -> TensorMeta: shape, strides as eager gives them, promoted dtype.
             Raises ValueError/TypeError/IndexError with a message for arguments that eager would refuse.
  decompose  (GraphBuilder, Node) -> Node: the same value from simpler ops; or
  lower      (Node, *Fn) -> Fn | Reduce | Scan | Scatter: the op as loops (see `inductor.loops`); or neither, for `kind="extern"`:
             the framework's own kernel is called.
  gradient   (GraphBuilder, Node, grad: Node) -> sequence of Node | None, one per input (filled in with training).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import InternalError


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


#: marks an attribute without a default
REQUIRED: Any = _Required()

KINDS = ("input", "constant", "pointwise", "view", "reduction", "index", "scan", "composite", "extern")


@dataclass(frozen=True, eq=False)
class Op:
    """One row. `attrs` maps every attribute name to its default (or REQUIRED)."""

    name: str
    kind: str
    meta: Callable[..., Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    decompose: Callable[..., Any] | None = None
    lower: Callable[..., Any] | None = None
    gradient: Callable[..., Any] | None = None
    #: inputs (by position) and attributes (by name) whose Python numbers eager refuses when the result's dtype cannot hold them
    numbers: tuple[int | str, ...] = ()
    #: eager runs a composite as several ops: halves are rounded after each
    stepwise: bool = False
    #: what eager asks of the elements of the inputs (see `ops.requires`); None: nothing
    requires: Callable[[Any], Any] | None = None
    #: True where the framework's own kernel raises for some elements
    raises: bool = False
    #: kinds of devices on which eager takes another way, or refuses, where deterministic algorithms are asked for
    heeds_determinism: tuple[str, ...] = ()
    #: True for random numbers: such nodes are neither merged, nor dropped, nor moved past each other
    effects: bool = False

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


class OpTable(Mapping[str, Op]):
    """Name -> row. Rows are added at import and never replaced."""

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
        """Add a row. Raises InternalError for a duplicate, an unknown kind, or a row nobody can execute."""
        if row.name in self._rows:
            raise InternalError(f"[ops] {row.name!r} is defined twice")
        if row.kind not in KINDS:
            raise InternalError(f"[ops] {row.name!r}: unknown kind {row.kind!r}")
        if row.kind not in ("input", "constant", "extern") and not (row.decompose or row.lower):
            raise InternalError(f"[ops] {row.name!r} has neither a decomposition nor a lowering")
        self._rows[row.name] = row
        return row


#: the table
OPS = OpTable()
