"""torch's state during one capture: grad mode, the tensors from outside, and what must be checked of them as a group."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ...values.tensor import ArrayState, ArrayValue, InputStorage, Storage, ViewStep
from . import autocast

if TYPE_CHECKING:
    from ....inductor.dtypes import DType
    from ....inductor.graph import GraphBuilder, Node
    from ...guards.sources import Source
    from ...values.base import Machine, Value


class TorchState:
    """See the module's text.

    grad:     grad mode as the program sees it at this point
    inference: inference mode likewise
    held:     parameters and buffers that the entry holds: their metadata is checked in one call
    hooks:    hook dicts of the modules that were called: all must stay empty
    modules:  held modules of which something was used that a new attribute of their own would hide
    quiet:    what is written now goes through `.data`: autograd does not count it as a change
    pending:  storages with writes that autograd does count and that are still to be made, and how many
    rewritten: how often the program wrote to storages that the graph makes, and to views that count for themselves
    written_inside: nodes of operators that in eager write to their results several times
    counted:  how often the program wrote to any storage or such view so far
    """

    def __init__(self, builder: GraphBuilder) -> None:
        self.arrays = ArrayState()
        self.builder = builder
        self._inference = torch.is_inference_mode_enabled()
        #: switches of inference mode: the mode before, and the nodes that there were
        self._switches: list[tuple[bool, set[Node]]] = []
        self.grad = torch.is_grad_enabled()
        self.entry_grad = self.grad
        self.entry_inference = self.inference
        #: the program as calls of torch, a `recording.Recording`, where the backend is to see it so
        self.recording: Any = None
        self.autocast = self.entry_autocast = autocast.ambient()
        #: casts of weights made in the open autocast region
        self.autocast_cache: dict[tuple[Node, DType], Node] = {}
        self._in_place = 0
        #: index tensors of the places where a mask is true
        self.positions: dict[Node, list[Node]] = {}
        #: symbols of the sizes of slices with bounds from data, by (size, start, end, step)
        self.slices: dict[tuple[Any, ...], Any] = {}
        #: graph nodes, and whether gradients flow through them
        self.differentiated: dict[Node, bool] = {}
        #: nodes that write to a real tensor and are that tensor; storages at the version that such a write left
        self.stored: set[Node] = set()
        self.settled: dict[InputStorage, int] = {}
        #: some node calls what no fresh process could find: the graph is run op by op and kept nowhere
        self.opaque = False
        #: some array of NumPy lies in a tensor's memory, or the other way round
        self.crossed = False
        self.held: list[torch.Tensor] = []
        #: graph inputs that hold numbers which change, by where the entry reads the number
        self.held_numbers: dict[Source, Node] = {}
        self.hooks: dict[int, dict[Any, Any]] = {}
        #: the dicts of held modules' attributes, by (their identity, the name under which hooks stand)
        self.module_hooks: dict[tuple[int, str], dict[str, Any]] = {}
        self.modules: dict[int, Any] = {}
        #: identities of the modules inside of those
        self.inside: set[int] = set()
        self.quiet = False
        self.pending: dict[Storage, int] = {}
        self.rewritten: dict[Storage | ArrayValue, int] = {}
        self.written_inside: set[Node] = set()
        self.counted: dict[Storage | ArrayValue, int] = {}
        #: storages that have loose pieces (see `LooseStep`)
        self.loose: set[Storage] = set()
        #: how many nodes there were when the call or statement began that is captured now
        self.began = 0
        #: nodes whose tensors are in eager one with a storage's memory, since its last write that autograd counts
        self.contents: dict[Storage, list[Node]] = {}
        #: what the program set on tensors, by name (see `tensor_attributes`)
        self.attributes: dict[ArrayValue, dict[str, Value | None]] = {}
        #: modes of `__torch_function__` that the program entered, and how often it disabled that of subclasses
        self.modes: list[Value] = []
        #: the kernels of attention that the program chose (their numbers, and whether their order counts), the innermost last
        self.attention: list[tuple[tuple[int, ...], bool]] = []
        self.subclasses_disabled = 0
        #: hooks that the program registered (see `hooks`)
        self.registrations: list[Any] = []
        #: segments that are captured as bodies of functions, the innermost last
        self.bodies: list[Any] = []
        #: of tensors from outside that have gaps: all the memory that they span and some before it, as tensors of their own
        self.spans: dict[tuple[Storage, int], ArrayValue] = {}
        #: tensors of which others are one or the other, which only the data tell
        self.chosen_from: set[ArrayValue] = set()
        #: tensors that were given other memory (see `reseating`)
        self.reseated: set[ArrayValue] = set()
        #: how often the program wrote to a tensor
        self.writes = 0
        self._looked_at = 0
        self._recorded = False

    @property
    def grad(self) -> bool:
        return self._grad

    @grad.setter
    def grad(self, mode: bool) -> None:
        self._grad = mode
        self.builder.grad = mode and not self._inference  # what is made in inference mode records nothing in any case

    @property
    def inference(self) -> bool:
        return self._inference

    @inference.setter
    def inference(self, mode: bool) -> None:
        """As eager's: recording is off inside, and on where the mode is switched off."""
        if mode is not self._inference:
            self._switches.append((self._inference, set(self.builder.graph.nodes)))
        self._inference = mode
        self.grad = not mode

    @property
    def inference_changed(self) -> bool:
        """Whether the program switched inference mode."""
        return bool(self._switches)

    def made_in_inference(self, node: Node) -> bool:
        """Whether inference mode was on when a node was made."""
        for before, nodes in self._switches:
            if node in nodes:
                return before
        return self._inference

    def is_inference(self, storage: Storage) -> bool:
        """Whether the tensors over a storage are such as only inference mode may write to."""
        if isinstance(storage, InputStorage):
            return isinstance(storage.real, torch.Tensor) and storage.real.is_inference()
        assert storage.made is not None
        return self.made_in_inference(storage.made)

    @property
    def delivers(self) -> bool:
        """Whether gradients may arrive at tensors from outside of what is captured now."""
        return self.grad and all(segment.grad for segment in self.bodies)

    @property
    def casts(self) -> bool:
        """Whether autocast may cast the operands of what is called now."""
        return self.autocast.active and not self._in_place

    @contextlib.contextmanager
    def without_casts(self) -> Iterator[None]:
        """Inside, autocast casts nothing."""
        self._in_place += 1
        try:
            yield
        finally:
            self._in_place -= 1

    @contextlib.contextmanager
    def body(self, segment: Any) -> Iterator[None]:
        """Inside, what is captured is the body of a function that the framework is to call."""
        self.bodies.append(segment)
        try:
            yield
        finally:
            self.bodies.pop()

    @contextlib.contextmanager
    def out_of_inference(self, out: bool) -> Iterator[None]:
        """Inside, nothing is in inference mode, if `out`; that is no switch of the program's."""
        before, self._inference = self._inference, self._inference and not out
        try:
            yield
        finally:
            self._inference = before
            self.grad = self._grad

    @contextlib.contextmanager
    def quietly(self, quiet: bool) -> Iterator[None]:
        """Inside, writes go through `.data`, if `quiet`."""
        before, self.quiet = self.quiet, quiet or self.quiet
        try:
            yield
        finally:
            self.quiet = before

    def is_leaf(self, node: Node) -> bool:
        """Whether a node is an input that gradients end at."""
        return node.op.kind == "input" and any(
            s.node is node and s.real.requires_grad and s.real.is_leaf for s in self.arrays.inputs
        )

    def requires_grad(self, node: Node) -> bool:
        """Whether eager's tensor at this node would record gradients."""
        known = self.differentiated.get(node)
        if known is None:
            meta = node.meta
            floats = isinstance(meta, tuple) or meta.dtype.is_float or meta.dtype.is_complex
            operand = node.op.operand
            inputs = (i for k, i in enumerate(node.inputs) if i is not None and operand(k).role != "layout")
            # a view records gradients in any mode, for its base's sake
            records = node.op.gradient != "stopped" if node.op.kind == "view" else node.grad
            known = self.differentiated[node] = records and floats and any(map(self.requires_grad, inputs))
        return known

    def records_gradients(self, node: Node) -> bool:
        """Whether running this node adds to what a backward pass goes through."""
        return node.op.kind != "input" and node.grad and self.requires_grad(node)

    def recorded(self) -> bool:
        """Whether any node so far does."""
        nodes = self.builder.graph.nodes
        if not self._recorded and self._looked_at < len(nodes):
            self._recorded = any(map(self.records_gradients, nodes[self._looked_at :]))
            self._looked_at = len(nodes)
        return self._recorded

    def guard_requires_grad(self, ev: Machine, storage: InputStorage) -> None:
        """The program looked at `requires_grad`."""
        ev.guards.test(storage.source, f"{{x}}.requires_grad is {storage.real.requires_grad}",
                       f"{{label}}.requires_grad was {storage.real.requires_grad}", 2)  # fmt: skip


def state_of(ev: Machine) -> TorchState:
    return ev.states["torch"]


#: the table's `copy` where complex numbers keep it out of generated code
COPY = f"{__package__}.eager_ops:NAMED.copy"
#: what tells autograd that a tensor changed
COUNT_A_WRITE = "torch.autograd.graph:increment_version"


def counts_a_write(node: Node) -> bool:
    """Whether a node only tells autograd that tensors change."""
    ref = node.attrs.get("ref")
    return ref is not None and ref.target == COUNT_A_WRITE


@contextlib.contextmanager
def gradients(ev: Machine, mode: bool) -> Iterator[None]:
    """What is done inside records gradients, or none."""
    state = state_of(ev)
    before, state.grad = state.grad, mode
    try:
        yield
    finally:
        state.grad = before


@dataclass(frozen=True)
class DataStep(ViewStep):
    """`x.data`: a detached view, through which `x` changes without autograd's knowledge."""


@dataclass(frozen=True)
class LooseStep(ViewStep):
    """A piece of `torch.unsafe_split` and its kin: in its parent's memory, but for autograd a tensor of its own."""


def loosened(ev: Machine, x: ArrayValue) -> ArrayValue:
    """A view that was just made, as such a piece."""
    assert x.step is not None
    x.step = LooseStep(x.step.op, x.step.attrs)
    state_of(ev).loose.add(x.storage)
    return x


def loose_piece(x: ArrayValue) -> ArrayValue | None:
    """The nearest such piece that `x` is, or is a view of."""
    link: ArrayValue | None = x
    while link is not None and not isinstance(link.step, LooseStep):
        link = link.parent
    return link


def detached(ev: Machine, x: ArrayValue) -> ArrayValue:
    """A view that gradients do not flow through."""
    return x.view(ev, "detach")


def data_of(ev: Machine, x: ArrayValue) -> ArrayValue:
    """`x.data`."""
    made = x.view(ev, "detach")
    made.step = DataStep("detach", {})
    return made


def is_cut(x: ArrayValue) -> bool:
    """Whether `x` is a view, at any distance, of a tensor to which it gives no history: by `detach()` or `.data`."""
    link: ArrayValue | None = x
    while link is not None and link.step is not None:
        if link.step.stops_gradients:
            return True
        link = link.parent
    return False
