"""Symbolic arrays: what an ndarray or a NumPy scalar is while a function is captured.

Memory, views and writes are the common ones of `values.tensor`; an `Array` adds what NumPy knows besides: strides that
may be negative, and whether it is a scalar.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import Unsupported
from ....inductor.graph import Dim, Node, TensorMeta
from ...guards.guards import Guard
from ...values.tensor import ArrayState, ArrayValue, InputStorage, Storage, ViewStep
from . import layout
from .memory import is_writeable
from .windows import VIEWS, python_view, view_window

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine
    from ...values.number import NumberValue


class Memory:
    """Identity of an input's real memory: equal to another's when the two may overlap."""

    __slots__ = ("array", "writeable")

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.writeable = is_writeable(array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Memory) and bool(np.may_share_memory(self.array, other.array))

    __hash__ = None  # type: ignore[assignment]


class PartStorage(Storage):
    """The real or imaginary part of an array: in NumPy a view of its memory, in graphs numbers of their own.

    They are computed anew after a write to the whole array; outside of the graph the part is taken of the real array.
    """

    __slots__ = ("whole", "part", "compute", "seen")

    def __init__(self, whole: Array, part: str, compute: Callable[[], Node]) -> None:
        node = compute()
        super().__init__(node, node.meta, "it is a copy here, and a part of the complex array's memory in NumPy")
        self.whole = whole
        self.part = part
        self.compute = compute
        self.seen = whole.storage.version

    def refresh(self) -> None:
        """Follow the whole array's writes."""
        if self.seen != self.whole.storage.version:
            self.node = self.compute()
            self.seen = self.whole.storage.version
            self.version += 1


@dataclass(frozen=True)
class MadeBy(ViewStep):
    """A view that a table op describes, and that another NumPy function than the op's makes: its flags differ."""

    function: str = ""


class Array(ArrayValue):
    """A symbolic ndarray, or a NumPy scalar when `scalar` is set.

    strides: as NumPy has them, in elements
    number:  float, int or bool for a Python number that was taken out of an array (`float(x)`, `x.item()`), or that changes
    changing: the number that changes from call to call which it stands for
    """

    __slots__ = ("strides", "scalar", "number", "changing")
    framework = "numpy"
    counts_references = frozenset(("resize",))

    def __init__(self, storage: Storage, meta: TensorMeta, node: Node | None = None, *,
                 strides: tuple[Dim, ...] | None = None, scalar: bool = False, **fields: Any) -> None:  # fmt: skip
        super().__init__(storage, meta, node, **fields)
        self.strides = meta.stride if strides is None else strides
        self.scalar = scalar
        self.number: type | None = None
        self.changing: NumberValue | None = None

    @property
    def shape(self) -> tuple[Dim, ...]:
        return self.meta.shape

    @property
    def ndim(self) -> int:
        return len(self.meta.shape)

    @property
    def size(self) -> Dim:
        return math.prod(self.meta.shape)

    @property
    def dtype(self) -> np.dtype:
        return layout.numpy_dtype(self.meta.dtype)

    @property
    def kind(self) -> str:
        """NumPy's kind letter: b, i, u, f, c."""
        return self.dtype.kind

    @property
    def writeable(self) -> bool:
        """Whether NumPy would let the program write into the array."""
        if self.scalar:
            return False
        if isinstance(self.parent, Array):
            assert self.step is not None
            return not VIEWS[_maker(self.step)].read_only and self.parent.writeable
        if self.parent is not None:  # a tensor, and these are never read-only
            return True
        return not isinstance(self.storage, InputStorage) or self.storage.key.writeable

    def guard_writeable(self, ev: Machine) -> None:
        """That an array from outside stays as `writeable` found it."""
        if isinstance(self.storage, InputStorage) and isinstance(self.storage.key, Memory):
            ask = ev.names.inject(is_writeable)
            ev.guards.test(
                self.storage.source, f"{ask}({{x}})", "{label} was not read-only", 2, shown="{x}.flags.writeable"
            )

    def view(self, ev: Machine, op: str, **attrs: Any) -> Array:
        made: Any = super().view(ev, op, **attrs)
        _, made.strides = view_window(op, self.shape, self.strides, attrs)
        return made

    def made_by(self, function: str) -> Array:
        """The view that this is, as NumPy's `function` makes it (see `windows`)."""
        assert self.step is not None
        self.step = MadeBy(self.step.op, self.step.attrs, function)
        return self

    def __index__(self) -> int:
        raise unsupported(
            f"an int taken of an array of dtype {self.dtype}, where NumPy wants a size, an axis or a count",
            why="it is known when the program runs only",
            rewrite="compute it outside of the compiled function and pass it in",
            code="data-dependent-scalar",
        )

    __int__ = __index__

    def __float__(self) -> float:
        raise unsupported(
            f"a float taken of an array of dtype {self.dtype}",
            why="it is known when the program runs only",
            rewrite="keep it an array",
            code="data-dependent-scalar",
        )

    def node(self, ev: Machine) -> Node:
        if isinstance(self.storage, PartStorage):
            self.storage.refresh()
        if self.parent is not None and not isinstance(self.parent, Array):
            with ev.builder.of_library(""):  # another framework's own views
                return super().node(ev)
        return super().node(ev)

    def python_type(self) -> type:
        return self.number or (self.dtype.type if self.scalar else np.ndarray)

    def state(self, ev: Machine) -> ArrayState:
        return ev.states["numpy"]

    def guard_apart(self, ev: Machine, one: InputStorage, other: InputStorage) -> None:
        overlap = ev.names.inject(np.may_share_memory, "may_share_memory")
        reason = "{label} shares memory with another array that the function takes"
        ev.guards.add(Guard(one.source, f"not {overlap}({{x}}, {{y}})", reason, other.source, 2))

    def rebuild(self, rb: Emitter) -> str:
        storage = self.storage
        if isinstance(storage, PartStorage) and storage.output is None and not self.scalar:
            storage.output = rb.temp(f"{rb.value(storage.whole)}.{storage.part}")
        if self.is_placed() and not isinstance(storage, InputStorage) and storage.output is None:
            storage.node = own_memory(rb.ev, storage.current(rb.ev), storage.meta, set(rb.graph.outputs))
            if rb.ev.boundary.framework == "torch":
                storage.output = rb.temp(f"{rb.output(storage.node)}.numpy()")
        text = super().rebuild(rb)
        return f"{text}.item()" if self.number else f"{text}[()]" if self.scalar else text

    def rows_text(self, rb: Emitter, number: type | None) -> str:
        """The rows as objects of their own, in generated code. number: the type of Python's numbers that they are"""
        text = rb.value(self)
        if number is not None:
            return f"{text}.tolist()"
        return text if self.ndim == 1 else f"map({rb.inject(np.copy, 'copy')}, {text})"

    def rebuild_view(self, rb: Emitter, base: str, offset: Dim = 0) -> str:
        steps = []
        array: Any = self
        while array.parent is not None and array.step.is_placed:
            steps.append(array.step)
            array = array.parent
        module = rb.inject(np, "numpy")
        for step in reversed(steps):
            prefix, suffix = python_view(_maker(step), step.attrs, rb.size, module)
            base = f"{prefix}{base}{suffix}"
        return base

    def __repr__(self) -> str:
        return f"<{'scalar' if self.scalar else 'array'} {self.dtype}{list(self.shape)}>"


def _maker(step: ViewStep) -> str:
    return step.function if isinstance(step, MadeBy) else step.op


def own_memory(ev: Machine, node: Node, meta: TensorMeta, taken: set[Node]) -> Node:
    """`node` as something that has memory to itself: no view of an input, and not what another array holds already.

    Nodes have no memory, so `y[...] = x` makes two arrays of one node; outside of the graph they must be two arrays.
    """
    if not node.op.aliases and node.op.kind != "input" and node not in taken:
        return node
    row = ev.builder.ops["clone"]
    return ev.builder.append(row, (node,), row.bind({}), replace(node.meta, stride=meta.stride, weak=False))


class Masked:
    """`array[mask]`: elements chosen by a mask, so many as the data says. Not an array: its size is not known.

    What is done to each element is done to all, what is summed is summed over the chosen ones; what is returned is
    indexed when the compiled function has run.

    array: all the elements, its leading axes those of the mask; mask: which of them
    """

    __slots__ = ("array", "mask", "value")

    def __init__(self, array: Array, mask: Array) -> None:
        self.array = array
        self.mask = mask
        #: the evaluator's object for it, once there is one
        self.value: Any = None

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    def __getattr__(self, name: str) -> Any:
        """A handler takes it for an array, or NumPy is about to make one of it."""
        raise of_unknown_size("a NumPy call")


def of_unknown_size(what: str) -> Unsupported:
    """The refusal of what cannot be done to elements chosen by a mask."""
    return unsupported(f"{what} on elements chosen by a mask", why="their number depends on the data",
                       rewrite="use np.where(mask, x, 0)", code="data-dependent-shape")  # fmt: skip


def same_mask(one: Masked, other: Masked, ev: Machine) -> bool:
    """Whether two selections choose by the same condition: one node, or two that compute the same."""
    return _same_node(one.mask.node(ev), other.mask.node(ev), 8)


def _same_node(a: Node | None, b: Node | None, depth: int) -> bool:
    if a is b:
        return True
    if a is None or b is None or a.op is not b.op or depth == 0 or a.op.kind in ("input", "extern"):
        return False
    same_inputs = len(a.inputs) == len(b.inputs) and all(
        _same_node(x, y, depth - 1) for x, y in zip(a.inputs, b.inputs)
    )
    return same_inputs and a.meta == b.meta and dict(a.attrs) == dict(b.attrs)


def unsupported(what: str, *, why: str = "", rewrite: str = "", code: str = "numpy-unsupported") -> Unsupported:
    """What handlers raise for something that graphs cannot hold; it becomes a graph break."""
    return Unsupported(code, what, why=why, rewrite=rewrite)


def same_layout(meta: TensorMeta, strides: Sequence[Dim]) -> bool:
    """Equal strides, axes of size 1 and empty arrays aside."""
    sized = [(s, mine, theirs) for s, mine, theirs in zip(meta.shape, meta.stride, strides)]
    return any(s == 0 for s in meta.shape) or all(s == 1 or mine == theirs for s, mine, theirs in sized)


def any_array(value: Any) -> bool:
    """Whether a (nested) argument holds a symbolic array."""
    if isinstance(value, (list, tuple)):
        return any(any_array(v) for v in value)
    if isinstance(value, dict):
        return any(any_array(v) for v in value.values())
    return isinstance(value, (Array, Masked))


def known_number(a: Array) -> Any:
    """The number that every element of an array is known to be during capture, else None."""
    node = a.storage.node
    if node is None or node.op.elements != "given" or "value" not in node.attrs:
        return None
    value = node.attrs["value"]
    return value if isinstance(value, (bool, int, float)) else None
