"""Part of a program captured on the side: its nodes are taken out of the graph again. And what such a part may have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...values.base import Value
from ...values.functions import BoundMethodValue, CellValue, FunctionValue
from ...values.mappings import DictValue
from ...values.objects import ObjectValue
from ...values.sequences import ListValue, TupleValue
from ...values.sets import SetValue
from ...values.tensor import ArrayValue, Storage
from .state import state_of

if TYPE_CHECKING:
    from ....inductor.graph import Node
    from ...values.base import Machine


class Segment:
    """From its making to `end`, captured nodes belong to it. What runs inside must leave everything outside as it was."""

    def __init__(self, ev: Machine) -> None:
        self.ev = ev
        self.start = len(ev.graph.nodes)
        #: whether gradients were on before it
        self.grad = state_of(ev).grad
        self.effects = ev.effects.count
        self.inputs = [(s, s.version) for s in state_of(ev).arrays.inputs]
        self.older = set(ev.graph.nodes)
        self.watched: list[tuple[Storage, int]] = []

    def watch(self, array: ArrayValue) -> None:
        """An argument: it must not be written to either."""
        self.watched.append((array.storage, array.storage.version))

    def take(self, what: str) -> list[Node]:
        """Take the nodes out; inputs of the whole graph stay. Breaks when a tensor outside was changed."""
        ev, graph = self.ev, self.ev.graph
        tail = graph.nodes[self.start :]
        outside = set(graph.inputs)
        graph.nodes[self.start :] = [n for n in tail if n in outside]
        state = state_of(ev)
        written = any(s.version != version for s, version in [*self.inputs, *self.watched])
        if (
            written
            or any(s.version for s in state.arrays.inputs[len(self.inputs) :])
            or not state.stored.isdisjoint(tail)
        ):
            raise ev.break_(
                "segment-mutation", f"{what} writes to a tensor from outside", "", "write to a copy inside of it"
            )
        return [n for n in tail if n not in outside]

    def end(self, what: str) -> None:
        """As `take`, and nothing else outside may have been changed."""
        self.take(what)
        ev = self.ev
        if ev.effects.count != self.effects:
            raise ev.break_("segment-effects", f"{what} changes objects outside of it", "", "return what it changes")

    def refuse_write(self, storage: Storage) -> None:
        """Break for a write to memory from before the segment."""
        if storage.is_input or all(n is not storage.node for n in self.ev.graph.nodes[self.start :]):
            raise self.ev.break_(
                "segment-mutation", "a function that the framework calls writes to a tensor from outside", "",
                "write to a copy inside of it",
            )  # fmt: skip

    def is_older(self, storage: Storage) -> bool:
        """True for memory from before the segment."""
        return storage.node in self.older


def seen_of(ev: Machine, values: tuple[Value, ...]) -> Any:
    """What can be seen of the objects that a call may change: those from outside by what was done to them, those made during
    capture by what is in them.
    """
    found: dict[int, Any] = {}
    todo = list(values)
    while todo:
        value = todo.pop()
        if id(value) in found:
            continue
        if isinstance(value, ArrayValue):
            found[id(value)] = value.storage.version
            continue
        parts = _parts(ev, value)
        table = value.keys if isinstance(value, SetValue) else value.table if isinstance(value, DictValue) else ()
        found[id(value)] = list(table), [id(part) for part in parts]
        todo += parts
    written = [(id(s), s.version) for s in state_of(ev).arrays.inputs if s.version]
    return ev.effects.count, written, found


def _parts(ev: Machine, value: Value) -> list[Value]:
    """What a function, or an object that was made during capture, holds."""
    if isinstance(value, BoundMethodValue):
        return [value.function, value.owner]
    if isinstance(value, FunctionValue):
        return list(value.closure(ev))
    if value.source is not None:
        return []
    if isinstance(value, CellValue):
        content = value.get(ev)
        return [] if content is None else [content]
    if isinstance(value, (TupleValue, ListValue)):
        return value.items(ev)
    if isinstance(value, DictValue):
        return [part for _, part in value.pairs(ev)]
    if isinstance(value, ObjectValue):
        return [*value.attrs.values(), *([] if value.payload is None else [value.payload])]
    return []
