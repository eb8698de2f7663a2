"""What surrounds a graph's nodes: everything that a run must know beside them, frozen when capture ends.

A boundary speaks of inputs and outputs by position, never of nodes. A pass that makes a new graph keeps the outputs in their
order and hands the boundary on as it is, so that it can lose no part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy


#: the sizes of an input or output; None where it is no tensor by itself
Shape = tuple[Any, ...] | None


@dataclass(frozen=True)
class SymbolInfo:
    """A size symbol's binding: dim `dim` of graph input `input`, or the int input itself when `dim` is None.

    hint is the value seen at capture; low/high the range promised (guarded) at run time.
    """

    symbol: sympy.Symbol
    input: int
    dim: int | None
    hint: int
    low: int = 2
    high: int | None = None


@dataclass(frozen=True)
class Measured:
    """A size or an int that is known only when the graph runs: dim `dim` of output `output`, or its value when `dim` is None."""

    symbol: sympy.Symbol
    output: int
    dim: int | None


@dataclass(frozen=True)
class Gradients:
    """What a backward pass may ask for: the inputs that require gradients, and the outputs that give them."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Boundary:
    """See the module's text.

    returned:     how many outputs, from the first on, go to the caller; None: all. Those behind serve `writes` and `measured`
    writes:       (input, output): after the run, the input holds the output's value
    symbols:      dynamic sizes
    int_inputs:   names of plain int inputs appended after the tensors at call time (dynamic Python ints)
    measured:     sizes and ints that the run itself finds out
    gradients:    None where none can be wanted; else the graph runs through the framework's own differentiable ops
    op_by_op:     why it must run op by op through the framework ("": it need not)
    own_history:  the run must leave each tensor at its place in the framework's history of gradients: something is hung on one
    isolated:     what the framework does around it and must not do to it ("gradients", "autocast")
    framework:    the front end that captured it ("torch", "numpy"), for backends that run it with the framework
    float_errors: floating-point errors that its run must note, a sum of `float_errors.BITS`
    trains:       it is half of a graph with gradients: what it makes is kept for the other half, laid out as the framework does
    checked:      what its ops require of elements was looked at already, or its nodes look at it
    """

    returned: int | None = None
    writes: tuple[tuple[int, int], ...] = ()
    symbols: tuple[SymbolInfo, ...] = ()
    int_inputs: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()
    gradients: Gradients | None = None
    op_by_op: str = ""
    own_history: bool = False
    isolated: frozenset[str] = frozenset()
    framework: str = ""
    float_errors: int = 0
    trains: bool = False
    checked: bool = False

    def misplaced(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> str:
        """The first of its positions that is out of range of a graph's inputs and outputs, or nothing."""
        if self.returned is not None and not 0 <= self.returned <= len(outputs):
            return f"number of returned outputs is {self.returned} of {len(outputs)}"
        if len({i for i, _ in self.writes}) < len(self.writes):
            return "writes give an input two values"
        sides = {"input": inputs, "output": outputs}
        gradients = self.gradients or Gradients((), ())
        places = [
            *(("writes", "input", i, None) for i, _ in self.writes),
            *(("writes", "output", o, None) for _, o in self.writes),
            *((f"size {m.symbol} is measured and", "output", m.output, m.dim) for m in self.measured),
            *((f"symbol {s.symbol}", "input", s.input, s.dim) for s in self.symbols if s.dim is not None),
            *(("gradients", "input", i, None) for i in gradients.inputs),
            *(("gradients", "output", o, None) for o in gradients.outputs),
        ]
        for what, side, position, dim in places:
            if not 0 <= position < len(sides[side]):
                return f"{what} name {side} {position} of {len(sides[side])}"
            shape = sides[side][position]
            if dim is not None and (shape is None or not 0 <= dim < len(shape)):
                return f"{what} names dim {dim} of {side} {position}, which has {shape and len(shape)}"
        ints = [s for s in self.symbols if s.dim is None]
        if stray := [s for s in ints if not len(inputs) <= s.input < len(inputs) + len(self.int_inputs)]:
            return f"symbol {stray[0].symbol} names int input {stray[0].input} of {len(inputs)} inputs and {len(self.int_inputs)} ints"
        return ""
