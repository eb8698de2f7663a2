"""Arrays during capture: what is a view of what, and writes made functional.

A `Storage` is one block of memory that the program can see: a graph input, or a tensor that an op made. Its `node` is
the graph node that holds its present content. An `ArrayValue` is one array object of the program: the storage's base, or
a view of another array by one table op. Reading a view emits that op on the parent's present node; writing through
a view rebuilds the parent's content by the op's inverse (a scatter, a permutation back, ...) up to the storage.
So in-place programs become SSA graphs, and every other view sees the new content the next time it is read.

Outputs keep eager's aliasing: an array that is an input is returned as that very object; a view of an input is made
again from the real input when the entry runs; views of one new storage become views of one output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import InternalError
from ...inductor.graph import Dim, Node, TensorMeta
from ...inductor.ops import OPS
from ...inductor.ops.view_writes import overlaps
from .base import Value

if TYPE_CHECKING:
    from ..guards.sources import Source
    from .base import Emitter, Machine


class Storage:
    """One block of memory that the graph makes.

    node:    the graph node with its present content, laid out as `meta`
    made:    the node that it was made by (None: it comes from outside)
    meta:    layout of the base array, fixed
    version: counts writes
    frozen:  why it must not be written ("": it may be)
    """

    __slots__ = ("node", "made", "meta", "version", "frozen", "output")

    #: True for memory that comes from outside
    is_input = False

    def __init__(self, node: Node | None, meta: TensorMeta, frozen: str = "") -> None:
        self.node = self.made = node
        self.meta = meta
        self.version = 0
        self.frozen = frozen
        self.output: str | None = None

    def current(self, ev: Machine) -> Node:
        """The node with the present content."""
        assert self.node is not None
        return self.node


class InputStorage(Storage):
    """The memory of an array from outside. It becomes a graph input when its content is first used.

    source: where the entry finds the array
    real:   the array of this capture
    key:    identity of its memory: two inputs with one key overlap, perhaps
    """

    __slots__ = ("source", "real", "key")

    is_input = True

    def __init__(self, meta: TensorMeta, source: Source, real: Any, key: Any) -> None:
        super().__init__(None, meta)
        self.source = source
        self.real = real
        self.key = key

    def current(self, ev: Machine) -> Node:
        if self.node is None:
            self.node = self.entry_node(ev)
        return self.node

    @property
    def requires_grad(self) -> bool:
        """Whether the array of this capture records gradients."""
        return bool(getattr(self.real, "requires_grad", False))

    def entry_node(self, ev: Machine) -> Node:
        """The graph input, named after its place."""
        name = "".join(c if c.isalnum() else "_" for c in self.source.label).strip("_")
        return ev.add_input(self.source, self.meta, self.real, name or "arg")


@dataclass(frozen=True)
class ViewStep:
    """How a view is made from its parent: a table op with its attributes."""

    op: str
    attrs: Mapping[str, Any]

    #: False when where the view stands is known only at run time
    is_placed = True

    @property
    def stops_gradients(self) -> bool:
        """Whether no gradient flows through the view."""
        row = OPS.get(self.op)
        return row is not None and row.gradient == "stopped"

    def apply(self, ev: Machine, parent: Node) -> Node:
        """The view's content from its parent's."""
        return ev.emit(self.op, parent, **self.attrs)

    def undo(self, ev: Machine, parent: Node, new: Node) -> Node | None:
        """The parent's content once the view holds `new`; None when the op has no inverse."""
        row = OPS.get(self.op)
        return None if row is None or row.undo is None else row.undo(ev.emit, self.attrs, parent, new)

    def first(self, parent: TensorMeta) -> Dim:
        """Where the view's first element stands, counted from its parent's first, in elements."""
        row = OPS.get(self.op)
        return 0 if row is None or row.first is None else row.first(self.attrs, parent)

    def remake(self, rb: Emitter, parent: str) -> str:
        """Code for the view of the real array `parent`, where `is_placed` is False."""
        raise InternalError(f"a view by {self.op} has its place, and is not made again step by step")


@dataclass(frozen=True)
class PickStep(ViewStep):
    """A view at places that index tensors without dimensions tell: `x[i]`. `indices` as for the table's `index`."""

    indices: tuple[Node | None, ...] = ()

    is_placed = False

    def apply(self, ev: Machine, parent: Node) -> Node:
        picked = ev.emit("index", parent, *self.indices)
        left = [s for d, s in enumerate(parent.meta.stride) if d >= len(self.indices) or self.indices[d] is None]
        return ev.emit("restride", picked, stride=tuple(left))

    def undo(self, ev: Machine, parent: Node, new: Node) -> Node | None:
        return ev.emit("index_put", parent, new, *self.indices)

    def remake(self, rb: Emitter, parent: str) -> str:
        places = ", ".join(":" if i is None else rb.output(i) for i in self.indices)
        return f"{parent}[{places}]"


class ArrayState:
    """The arrays of one capture, as far as the end of the capture needs them."""

    def __init__(self) -> None:
        self.inputs: list[InputStorage] = []
        #: graph inputs of the written storages, as they were before the first write
        self.entries: dict[InputStorage, Node] = {}

    def add(self, ev: Machine, array: ArrayValue) -> None:
        """Note an array from outside."""
        storage = array.storage
        assert isinstance(storage, InputStorage)
        for written in self.entries:
            array.check_apart(ev, written, storage)
        self.inputs.append(storage)

    def mutations(self, ev: Machine) -> list[tuple[Node, Node]]:
        """(input node, node) of every input whose content the program changed."""
        found = []
        for storage, entry in self.entries.items():
            if storage.node is not entry:
                found.append((entry, storage.current(ev)))
        return found


class ArrayValue(Value):
    """One array. Front ends derive their own class and give it operators, attributes and methods."""

    #: the front end's name
    framework = ""
    #: its class takes calls over
    is_overloaded = False
    #: methods that do something else where others refer to the array
    counts_references: frozenset[str] = frozenset()

    __slots__ = (
        "storage",
        "parent",
        "step",
        "meta",
        "offset",
        "views",
        "relaid",
        "began",
        "one_of_several",
        "_node",
        "_version",
    )

    def __init__(
        self,
        storage: Storage,
        meta: TensorMeta,
        node: Node | None = None,
        parent: ArrayValue | None = None,
        step: ViewStep | None = None,
        offset: Dim = 0,
        source: Source | None = None,
    ) -> None:
        super().__init__(source)
        self.storage = storage
        self.meta = meta
        self.parent = parent
        self.step = step
        #: first element, counted in elements from the storage's first element
        self.offset = offset
        #: views that were made of it
        self.views: list[ArrayValue] = []
        #: its parent is itself, as it was laid out before (see `become`)
        self.relaid = False
        if parent is not None:
            parent.views.append(self)
        #: the storage's version when it was made
        self.began = storage.version
        #: it is a view from a call that gives several
        self.one_of_several = False
        self._node = node
        self._version = storage.version if node is not None else -1

    # ------------------------------------------------------------ making

    @classmethod
    def new(cls, node: Node, frozen: str = "") -> ArrayValue:
        """A new array that holds `node`."""
        return cls(Storage(node, node.meta, frozen), node.meta, node)

    def viewed_as(self) -> type[ArrayValue]:
        """The class of its views."""
        return type(self)

    def view(self, ev: Machine, op: str, **attrs: Any) -> ArrayValue:
        """A view of this array by table op `op`."""
        step = ViewStep(op, dict(attrs))
        node = step.apply(ev, self.node(ev))
        offset = self.offset + step.first(self.meta)
        return self.viewed_as()(self.storage, node.meta, node, parent=self, step=step, offset=offset)

    def pick(self, ev: Machine, indices: tuple[Node | None, ...]) -> ArrayValue:
        """The view at a place that 0-dim index tensors tell."""
        step = PickStep("pick", {}, indices)
        node = step.apply(ev, self.node(ev))
        return self.viewed_as()(self.storage, node.meta, node, parent=self, step=step, offset=self.offset)

    def become(self, view: ArrayValue) -> None:
        """Take the layout of a view that was just made of this array, in place (`x.unsqueeze_(0)`)."""
        before = type(self)(self.storage, self.meta, self._node, self.parent, self.step, self.offset)
        before._version, before.began, before.one_of_several = self._version, self.began, self.one_of_several
        self.one_of_several = False
        self.meta, self.parent, self.step, self.offset = view.meta, before, view.step, view.offset
        self._node, self._version = view._node, view._version
        before.relaid, self.relaid = self.relaid, True
        self.views = []

    def leave_views(self) -> None:
        """Its views go on as those of another array in the memory where it is now: it is about to get other memory."""
        before = type(self)(self.storage, self.meta, self._node, self.parent, self.step, self.offset)
        before._version, before.began, before.views, self.views = self._version, self.began, self.views, []
        for view in before.views:
            view.parent = before

    # ------------------------------------------------------------ reading and writing

    def node(self, ev: Machine) -> Node:
        """The node with this array's present content."""
        if self._version != self.storage.version:
            if self.parent is None:
                self._node = self.storage.current(ev)
            else:
                assert self.step is not None
                self._node = self.step.apply(ev, self.parent.node(ev))
            self._version = self.storage.version
        assert self._node is not None
        return self._node

    def _overlaps(self, ev: Machine) -> bool:
        """Whether two elements stand at one place now."""
        shape, stride = (
            tuple(n if isinstance(n, int) else ev.hint(n) for n in dims) for dims in (self.meta.shape, self.meta.stride)
        )
        return overlaps(shape, stride)

    def write(self, ev: Machine, node: Node) -> None:
        """Make `node` this array's content. It must have the array's shape and dtype. Breaks for an array that repeats
        elements, or a view whose op has no inverse.
        """
        node = with_layout(ev, node, self.meta)
        if self.parent is None:
            if repeats(self.meta) or self.storage.is_input and self._overlaps(ev):
                raise ev.break_("repeated-elements", f"writing to {self.describe()}, some elements of which are one",
                                "the framework may refuse it", "write to a copy (.clone())")  # fmt: skip
            self._before_write(ev)
            self.storage.node = node
            self.storage.version += 1
        else:
            assert self.step is not None
            whole = None if repeats(self.meta) else self.step.undo(ev, self.parent.node(ev), node)
            if whole is None:
                raise ev.break_(
                    "write-through-view",
                    f"writing through a view made by {self.step.op}",
                    "the elements that the write reaches cannot be told apart",
                    "write to the array that the view was made from, or to a copy",
                )
            self.parent.write(ev, whole)
        self._node = node
        self._version = self.storage.version

    def _before_write(self, ev: Machine) -> None:
        """Refuse what cannot be tracked. A write to an input must not be seen through another input: overlap breaks, and
        the absence of overlap is guarded.
        """
        storage = self.storage
        if storage.frozen:
            raise ev.break_(
                "untracked-write", f"writing to {self.describe()}", storage.frozen, "write to a copy (.clone())"
            )
        if not isinstance(storage, InputStorage):
            return
        state = self.state(ev)
        if storage in state.entries:
            return
        if repeats(self.meta):
            raise ev.break_(
                "write-through-view",
                f"writing to the input `{storage.source.label}`, which repeats its elements",
                "one write reaches several of them",
                "write to the array that the view was made from, or to a copy",
            )
        state.entries[storage] = storage.current(ev)
        for other in state.inputs:
            if other is not storage:
                self.check_apart(ev, storage, other)

    def check_apart(self, ev: Machine, written: InputStorage, other: InputStorage) -> None:
        """A written input must not share memory with another."""
        if other.key is not None and other.key == written.key:
            raise ev.break_(
                "aliased-input-write",
                f"writing to the input `{written.source.label}`, whose memory the input `{other.source.label}` shares",
                "the two inputs would have to be updated together",
                "pass one of them, or a copy",
            )
        self.guard_apart(ev, written, other)

    def as_array(self, ev: Machine) -> Value | None:
        """The array that NumPy's ufuncs take it for; None where they do not."""
        return None

    def from_array(self, ev: Machine, array: Value) -> Value:
        """What such a ufunc gives: the array that it made, as one of this framework."""
        raise ev.break_("mixed-frameworks", f"a NumPy call with {self.describe()}")

    if TYPE_CHECKING:  # each front end's arrays bring these

        def state(self, ev: Machine) -> ArrayState:
            """The front end's `ArrayState` of this capture."""

        def guard_apart(self, ev: Machine, one: InputStorage, other: InputStorage) -> None:
            """Guard that two inputs, apart now, do not share memory at a later call."""

        def rebuild_view(self, rb: Emitter, base: str, offset: Dim = 0) -> str:
            """Code for this array as a view of the real array `base`, which begins at `offset` in its storage."""

    # ------------------------------------------------------------ leaving the graph

    def rebuild(self, rb: Emitter) -> str:
        """A new base is a graph output; a view is made again from the real input, or from the base's output. (An input
        itself has a source, and is not asked.) A view whose place only the data tell is made again step by step.
        """
        storage = self.storage
        rb.ev.boundary.claim(self.framework)
        if not self.is_placed():
            return self._remake(rb)
        if isinstance(storage, InputStorage):
            return self.rebuild_view(rb, rb.source(storage.source))
        if storage.output is None:
            storage.output = self.output(rb)
        return storage.output if self.parent is None else self.rebuild_view(rb, storage.output)

    def output(self, rb: Emitter) -> str:
        """Code for the base array of a storage that the graph makes."""
        return rb.output(self.storage.current(rb.ev))

    def _remake(self, rb: Emitter) -> str:
        near: ArrayValue = self
        while near.step is None or near.step.is_placed:
            assert near.parent is not None
            near = near.parent
        if near is not self:
            return self.rebuild_view(rb, rb.value(near), near.offset)
        assert self.parent is not None and self.step is not None
        return self.step.remake(rb, rb.value(self.parent))

    def is_placed(self) -> bool:
        """Whether where it stands in its storage is known before the graph runs."""
        return self.parent is None or self.step is not None and self.step.is_placed and self.parent.is_placed()


# ---------------------------------------------------------------- layouts


def with_layout(ev: Machine, node: Node, meta: TensorMeta) -> Node:
    """`node` in the strides of `meta`: in-place ops keep the layout of what they write to."""
    if _same_layout(node.meta, meta):
        return node
    return ev.emit("restride", node, stride=meta.stride)


def _same_layout(a: TensorMeta, b: TensorMeta) -> bool:
    """Strides agree where they matter: dims of size 1 may have any."""
    return all(x == y or n == 1 for n, x, y in zip(a.shape, a.stride, b.stride)) or 0 in a.shape


def repeats(meta: TensorMeta) -> bool:
    """Whether some dim of more than one element does not move in memory."""
    return any(s == 0 and n != 1 for n, s in zip(meta.shape, meta.stride))
