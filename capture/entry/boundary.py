"""What capture learns of a graph's surroundings on its way, made a `Boundary` at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...inductor.boundary import Boundary, Gradients, Measured, SymbolInfo

if TYPE_CHECKING:
    import sympy

    from ...inductor.graph import Graph, Node


#: a framework, and those whose calls its graphs may hold: torch's tensors lie in the memory of NumPy's arrays, and the other way round
HOSTED = {"torch": ("numpy",)}


@dataclass
class BoundaryBuilder:
    """The fields of a `Boundary`, by nodes where that speaks of positions.

    writes:        (input node, node): after the run, the input holds the node's value
    measured:      (symbol, node, dim of its value or None for the value itself)
    requires_grad: whether eager's tensor at a node would require gradients; None where no gradient can be wanted
    """

    framework: str = ""
    op_by_op: str = ""
    own_history: bool = False
    isolated: frozenset[str] = frozenset()
    float_errors: int = 0
    writes: list[tuple[Node, Node]] = field(default_factory=list)
    measured: list[tuple[sympy.Symbol, Node, int | None]] = field(default_factory=list)
    symbols: list[SymbolInfo] = field(default_factory=list)
    int_inputs: list[str] = field(default_factory=list)
    requires_grad: Callable[[Node], bool] | None = None

    def claim(self, framework: str) -> None:
        """The graph holds calls of this framework. Where it holds another's too, it is run by the one that hosts the other."""
        if self.framework in ("", *HOSTED.get(framework, ())):
            self.framework = framework

    def close(self, graph: Graph) -> None:
        """Give the graph its boundary. Its outputs so far are what it returns; what it writes and measures is appended."""
        position = {node: i for i, node in enumerate(graph.inputs)}
        nodes = set(graph.nodes)
        returned = len(graph.outputs)
        measured = [m for m in self.measured if m[1] in nodes]
        gradients = None
        if self.requires_grad is not None:
            gradients = Gradients(*(_where(self.requires_grad, part) for part in (graph.inputs, graph.outputs)))
        graph.outputs += [node for _, node in self.writes] + [node for _, node, _ in measured]
        graph.boundary = Boundary(
            returned=returned,
            writes=tuple((position[target], returned + i) for i, (target, _) in enumerate(self.writes)),
            symbols=tuple(self.symbols),
            int_inputs=tuple(self.int_inputs),
            measured=tuple(
                Measured(symbol, returned + len(self.writes) + i, dim) for i, (symbol, _, dim) in enumerate(measured)
            ),
            gradients=gradients,
            op_by_op=self.op_by_op,
            own_history=self.own_history,
            isolated=self.isolated,
            framework=self.framework,
            float_errors=self.float_errors,
        )


def _where(holds: Callable[[Node], bool], nodes: list[Node]) -> tuple[int, ...]:
    return tuple(i for i, node in enumerate(nodes) if holds(node))
