"""Part of a program captured on the side: its nodes are taken out of the graph again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....inductor.graph import Graph, Node
from ...values.tensor import ArrayValue, Storage
from .state import state_of

if TYPE_CHECKING:
    from ...evaluator import Evaluator


class Segment:
    """From its making to `end`, captured nodes belong to it. What runs inside must leave everything outside as it was."""

    def __init__(self, ev: Evaluator) -> None:
        self.ev = ev
        self.start = len(ev.graph.nodes)
        self.effects = len(ev.effects)
        self.inputs = [(s, s.version) for s in state_of(ev).arrays.inputs]
        self.older = {id(n) for n in ev.graph.nodes}
        self.watched: list[tuple[Storage, int]] = []
        self.nodes: list[Node] = []

    def watch(self, array: ArrayValue) -> None:
        """An argument: it must not be written to either."""
        self.watched.append((array.storage, array.storage.version))

    def end(self, what: str) -> None:
        """Take the nodes out; inputs of the whole graph stay. Breaks when something outside was changed."""
        ev, graph = self.ev, self.ev.graph
        tail = graph.nodes[self.start :]
        outside = set(graph.inputs)
        graph.nodes[self.start :] = [n for n in tail if n in outside]
        self.nodes = [n for n in tail if n not in outside]
        state = state_of(ev)
        written = any(s.version != version for s, version in [*self.inputs, *self.watched])
        if (
            written
            or any(s.version for s in state.arrays.inputs[len(self.inputs) :])
            or not state.stored.isdisjoint(self.nodes)
        ):
            raise ev.break_(
                "segment-mutation", f"{what} writes to a tensor from outside", "", "write to a copy inside of it"
            )
        if len(ev.effects) != self.effects:
            raise ev.break_("segment-effects", f"{what} changes objects outside of it", "", "return what it changes")

    def is_older(self, storage: Storage) -> bool:
        """True for memory from before the segment."""
        return storage.node is not None and id(storage.node) in self.older

    def graph(self, arguments: list[Node], outputs: list[Node]) -> tuple[Graph, list[Node]]:
        """The segment as a graph of its own, and the nodes from outside that it reads beside its arguments."""
        own = {*self.nodes, *arguments}
        free = list({i: None for n in self.nodes for i in n.inputs if i is not None and i not in own})
        free += [n for n in dict.fromkeys(outputs) if n not in own and n not in free]
        made = Graph(
            inputs=[*arguments, *free], nodes=list(self.nodes), outputs=outputs, framework="torch", autograd=True
        )
        return made, free
