"""What handlers of framework calls are given: the `Context` of the call, in which they add nodes to the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from ....inductor.dtypes import (
    DType,
    bool_,
    held_range,
    holds,
    uint16,
    uint32,
    uint64,
)
from ....inductor.graph import Node
from ....inductor.ops import OPS, Op
from ....inductor.ops.dims import deciding, less
from ...breaks import Break
from ...values.tensor import ArrayValue
from .autocast import cast_operands
from .dtypes import PYTHON_TYPES, device_text, from_torch
from .held_numbers import fitting, guard_naturals, may_overflow

if TYPE_CHECKING:
    from ...values.base import Machine


Function = Callable[..., Any]
#: what an elementwise operand may be
Operand = "ArrayValue | Node | bool | int | float | complex"


#: the least size, but for 0, of numbers that generated code takes beside float32
LEAST = 1e-37


class Declined(Exception):
    """A handler leaves a call to the function's own Python code, or to the framework as an opaque node."""


class Context:
    """One call being captured: `cx.op(...)` appends nodes; the rest are the questions handlers ask."""

    __slots__ = ("ev",)

    def __init__(self, ev: Machine) -> None:
        self.ev = ev

    # ------------------------------------------------------------ nodes

    def node(self, x: Any) -> Node:
        """The node of an operand; a number becomes a `scalar`, which promotes as Python numbers do."""
        if isinstance(x, ArrayValue):
            return x.node(self.ev)
        if isinstance(x, Node):
            return x
        if x is None or isinstance(x, (str, list, tuple, dict, DType)):
            raise TypeError(f"expected a tensor or a number, got {type(x).__name__}")
        if type(x) is int and not -(1 << 63) <= x < 1 << 64:
            raise ValueError(f"the int {x} has more than 64 bits")
        return self.ev.emit("scalar", value=x)

    def op(self, name: str, *operands: Any, **attrs: Any) -> Node:
        """Append a table op; None operands are absent optional tensors. Complex arithmetic is left to the framework, and that of
        the unsigned integers for which it has kernels of few ops.
        """
        row, nodes = OPS[name], [None if x is None else self.node(x) for x in operands]
        self.ev.boundary.claim("torch")
        if any(map(_holds_tensor, attrs.values())):
            raise self.broken("data-dependent-value", f"{name} with a setting read from a tensor",
                              "settings must be known before the graph runs")  # fmt: skip
        if self.ev.states["torch"].casts:
            nodes = cast_operands(self, row, nodes, attrs)
        if row.numbers:
            self._hold_numbers(row, nodes, attrs)
        for n in nodes:
            if n is not None and not isinstance(n.meta, tuple) and _is_left(row, n.dtype):
                self.ev.symbols.pin_numbers(nodes)
                return above.complex_op(self, name, nodes, attrs)
        if row.naturals and self.ev.symbols.numbers:
            guard_naturals(self.ev, row, nodes)
        return self.ev.emit(name, *nodes, **attrs)

    def _hold_numbers(self, row: Op, nodes: list[Node | None], attrs: dict[str, Any]) -> None:
        """Numbers that an op holds to the result's dtype must fit it; of those that change, that is guarded."""
        given = [attrs.get(k) if isinstance(k, str) else k < len(nodes) and nodes[k] for k in row.numbers]
        values: list[Any] = [n.attrs["value"] if isinstance(n, Node) and n.op.kind == "literal" else n for n in given]
        if not any(map(may_overflow, values)):
            return
        meta = row.meta(*[None if n is None else n.meta for n in nodes], **row.bind(attrs))
        for where, v in zip(row.numbers, values):
            held = self.held(v, meta.dtype)
            if held is not v and isinstance(where, str):
                attrs[where] = held
            elif held is not v and isinstance(where, int):
                nodes[where] = self.node(held)

    def held(self, value: Any, dtype: DType) -> Any:
        """A number that eager converts to `dtype`, held to what that can hold. Other values are left alone. Raises Declined:
        eager refuses in words of its own.
        """
        if may_overflow(value):
            if isinstance(value, Node):
                return self.fitting(value, dtype)
            known = isinstance(value, (int, float, complex))
            if not (holds(dtype, value) if known else self._surely_holds(dtype, value)):
                raise Declined(f"the number {value}, which {dtype} cannot hold")
            if isinstance(value, complex) and not dtype.is_complex:
                return value.real
        return value

    def fitting(self, number: Node, dtype: DType) -> Node:
        """A number of the graph, held to what `dtype` can hold."""
        held = fitting(self.ev, number, dtype)
        if held is None:
            raise Declined(f"a number read from a tensor, which {dtype} may not hold")
        return held

    def _surely_holds(self, dtype: DType, value: Any) -> bool:
        """`holds` for an int that changes."""
        if dtype.is_complex or dtype == bool_ or dtype.size == 8 or (dtype.size == 4 and dtype.is_float):
            return True
        low, high = held_range(dtype, int)
        with deciding(self.ev.symbols.decide):
            return not (less(int(high), value) or less(value, int(low)))

    def results(self, name: str, *operands: Any, **attrs: Any) -> tuple[Node, ...]:
        """Append a table op that has several results."""
        made: Any = self.op(name, *operands, **attrs)
        if isinstance(made, tuple):  # the framework's own
            return made
        return tuple(self.ev.emit("getitem", made, index=i) for i in range(len(made.meta)))

    def cast(self, x: Any, dtype: DType) -> Node:
        """`x` as `dtype`, itself when it already is."""
        node = self.node(x)
        return node if node.dtype == dtype and not node.meta.weak else self.op("cast", node, dtype=dtype)

    def array(self, node: Node) -> ArrayValue:
        """A new tensor that holds `node`."""
        return above.tensor.new(node)

    # ------------------------------------------------------------ questions

    def dtype(self, dtype: torch.dtype | None) -> DType | None:
        """A dtype argument. Breaks for dtypes that graphs do not know."""
        if dtype is None:
            return None
        if isinstance(dtype, type):
            dtype = PYTHON_TYPES.get(dtype, dtype)
        try:
            return from_torch(dtype)
        except KeyError:
            raise self.broken("dtype", f"the dtype {dtype}", "graphs have no such element type") from None

    def device(self, device: Any) -> str:
        """A device argument as text; None is the default device."""
        if device is None:
            device = torch.get_default_device()
        if isinstance(device, int):
            device = torch.device("cuda", device)
        return device_text(torch.device(device) if isinstance(device, str) else device)

    def default_float(self) -> DType:
        return from_torch(torch.get_default_dtype())

    def broken(self, code: str, what: str, why: str = "", rewrite: str = "") -> Break:
        return self.ev.break_(code, what, why, rewrite)


def _is_left(row: Op, dtype: DType) -> bool:
    """Whether an op over `dtype` is the framework's: only the moving of elements is not."""
    return dtype.is_complex or (dtype in (uint16, uint32, uint64) and row.elements == "computed")


def _holds_tensor(attr: Any) -> bool:
    return isinstance(attr, (Node, ArrayValue)) or type(attr) in (tuple, list) and any(map(_holds_tensor, attr))


class Above:
    """What handlers need of modules that are built on this one. Each sets its own when it is imported.

    tensor:      the front end's tensor class (`tensors`)
    complex_op:  an op on complex operands, left to the framework (`externs`)
    unknown:     the handler of a function without one (`externs`)
    method_call: a call of a tensor's method as it is (`externs`)
    with_tensors: an argument with tensors in the place of NumPy's arrays (`arrays`)
    number_of:   the number that torch takes a computed NumPy scalar for (`arrays`)
    override:    a call that the program may override, made by its own code where it does (`overrides`)
    """

    tensor: Any
    complex_op: Callable[..., Any]
    unknown: Callable[..., Any]
    method_call: Callable[..., Any]
    with_tensors: Callable[..., Any]
    number_of: Callable[..., Any]
    override: Callable[..., Any]


above = Above()
