"""Symbolic arrays: what an ndarray or a NumPy scalar is while a function is captured.

Memory, views and writes are the common ones of `values.tensor`; an `Array` adds what NumPy knows besides: strides that
may be negative, and whether it is a scalar. `ArrayBuilder` adds nodes for the handlers of NumPy's functions, and gives
results the strides that NumPy gives them (see `layout`) where the op table's rule is that of another framework.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import Unsupported
from ....inductor.dtypes import DType
from ....inductor.graph import Dim, ExternRef, Input, Node, TensorMeta
from ....inductor.ops.dims import same
from ...guards.guards import Guard
from ...values.tensor import ArrayState, ArrayValue, InputStorage, Storage, ViewStep
from . import layout
from .errstate import Settings
from .windows import VIEWS, python_view, view_window

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine
    from ...values.number import NumberValue

#: a Python number
Number = bool | int | float | complex


class Memory:
    """Identity of an input's real memory: equal to another's when the two may overlap."""

    __slots__ = ("array", "writeable")

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.writeable = bool(array.flags.writeable)

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
            ev.guards.test(self.storage.source, "{x}.flags.writeable", "{label} was not read-only", 2)

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


class ArrayBuilder:
    """Appends nodes to a graph for symbolic arrays."""

    def __init__(self, ev: Machine, array_class: type[Array], settings: Settings) -> None:
        self.ev = ev
        self.settings = settings
        self.builder = ev.builder
        self.array_class = array_class

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, NumPy computes with numbers that are known now. Raises Unsupported for a floating-point error that the
        program wants to hear of: it must hear of it at each call.
        """
        met: list[str] = []

        def note(text: str, error: int) -> None:
            if error & self.settings.count(self.ev):
                met.append(text)

        with np.errstate(all="call", call=note):
            yield
        if met:
            raise unsupported(
                f"{met[0]} in a call on known numbers",
                why="NumPy warns of it, or raises, at each call",
                code="numpy-float-error",
            )

    # ------------------------------------------------------------ nodes

    def node(self, a: Array) -> Node:
        """The node that holds the array's elements now."""
        return a.node(self.ev)

    def emit(self, op: str, *nodes: Node | None, strides: Sequence[Dim] | str | None = None, **attrs: Any) -> Node:
        """Append a table op; `strides` replaces the table's rule for the result's layout ("C": row-major)."""
        row = self.builder.ops[op]
        full = row.bind(attrs)
        meta = row.meta(*[None if n is None else n.meta for n in nodes], **full)
        if strides == "C":
            strides = layout.c_strides(meta.shape)
        if strides is not None and not same_layout(meta, strides):
            meta = replace(meta, stride=tuple(strides))
        return self.builder.append(row, nodes, full, meta)

    def call(
        self, op: str, *arrays: Array, strides: Sequence[Dim] | None = None, scalar: bool | None = None, **attrs: Any
    ) -> Array:
        """A fresh array from a table op. `scalar`: whether it is a NumPy scalar; None: when it has no axes."""
        node = self.emit(op, *map(self.node, arrays), strides=strides, **attrs)
        return self.fresh(node, scalar=not node.shape if scalar is None else scalar)

    def elementwise(self, op: str, *arrays: Array, **attrs: Any) -> Array:
        """A fresh array from an elementwise table op, laid out as NumPy's ufuncs do."""
        nodes = [self.node(a) for a in arrays]
        row = self.builder.ops[op]
        full = row.bind(attrs)
        meta = row.meta(*[n.meta for n in nodes], **full)
        strides = layout.elementwise_strides([(a.shape, a.strides) for a in arrays], meta.shape)
        meta = TensorMeta(meta.shape, strides, meta.dtype, "cpu")
        return self.fresh(self.builder.append(row, nodes, full, meta), scalar=not meta.shape)

    def call_node(self, node: Node) -> Array:
        """A fresh array that holds `node`, a NumPy scalar when it has no axes."""
        return self.fresh(node, scalar=not node.shape)

    def fresh(self, node: Node, scalar: bool = False) -> Array:
        """An array with memory of its own that holds `node`."""
        return self.array_class(Storage(node, node.meta), node.meta, node, scalar=scalar)

    def extern(
        self,
        target: str,
        arrays: Sequence[Array],
        args: Sequence[Any],
        shape: Sequence[Dim],
        dtype: np.dtype,
        *,
        strides: Sequence[Dim] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        scalar: bool | None = None,
        below: Dim | None = None,
    ) -> Array:
        """A fresh array from a NumPy function called as it is: `args` is the call, `Input(i)` standing for arrays[i].

        The runtime makes results of calls row-major; `strides` are those that NumPy would have given the array.
        below: the function sees to it that its results are integers from 0 to below - 1
        """
        meta = self.meta(shape, dtype)
        ref = ExternRef(target, tuple(args), tuple((kwargs or {}).items()))
        attrs: dict[str, Any] = {"ref": ref, "raises": True, "library": "numpy"}
        if below is not None:
            attrs["below"] = below
        node = self.builder.append(self.builder.ops["extern"], [self.node(a) for a in arrays], attrs, meta)
        if strides is not None and not same_layout(meta, strides):
            node = self.emit("restride", node, stride=tuple(strides))
        return self.fresh(node, scalar=not meta.shape if scalar is None else scalar)

    def extern_several(
        self,
        target: str,
        arrays: Sequence[Array],
        args: Sequence[Any],
        metas: Sequence[TensorMeta],
        kwargs: Mapping[str, Any] | None = None,
    ) -> tuple[Array, ...]:
        """As `extern`, for a function with several results, all row-major."""
        ref = ExternRef(target, tuple(args), tuple((kwargs or {}).items()))
        row = self.builder.ops["extern"]
        attrs = {"ref": ref, "raises": True, "library": "numpy"}
        node = self.builder.append(row, [self.node(a) for a in arrays], attrs, tuple(metas))  # type: ignore[arg-type]
        return tuple(
            self.fresh(self.builder.call("getitem", node, index=i), scalar=not m.shape) for i, m in enumerate(metas)
        )

    def meta(self, shape: Sequence[Dim], dtype: np.dtype, strides: Sequence[Dim] | None = None) -> TensorMeta:
        """A meta in NumPy's terms. Raises Unsupported for an element type that graphs do not know."""
        shape = tuple(shape)
        return TensorMeta(shape, layout.c_strides(shape) if strides is None else tuple(strides), self.dtype(dtype))

    def dtype(self, dtype: np.dtype) -> DType:
        """The graph's element type. Raises Unsupported for one that graphs do not know."""
        found = layout.graph_dtype(dtype)
        if found is None:
            raise unsupported(
                f"arrays of dtype {dtype}", why="graphs hold booleans, integers, floats and complex numbers"
            )
        return found

    def static(self, size: Dim) -> int:
        """A size as an int, from here on a constant."""
        return size if isinstance(size, int) else self.ev.symbols.specialize(size)

    # ------------------------------------------------------------ constants and conversion

    def number(self, value: Any, dtype: np.dtype) -> Array:
        """A number as a 0-d array of `dtype`. Raises OverflowError for an int that does not fit, as NumPy does."""
        exact = np.array(value, dtype)
        node = self.builder.call("scalar", value=exact.item(), dtype=self.dtype(dtype))
        return self.fresh(node, scalar=True)

    def constant(self, array: np.ndarray) -> Array:
        """A fresh array with known elements."""
        dtype = self.dtype(array.dtype)
        flat = array.ravel()
        if flat.size and (flat == flat[0]).all() and not _has_negative_zero(flat):
            return self.full(array.shape, flat[0].item(), array.dtype)
        node = self.builder.call("constant", value=tuple(flat.tolist()), shape=array.shape, dtype=dtype)
        return self.fresh(node)

    def full(self, shape: Sequence[Dim], value: Number, dtype: np.dtype, strides: Sequence[Dim] | None = None) -> Array:
        """A fresh array with one value everywhere."""
        return self.call(
            "full", strides=strides, scalar=False, shape=tuple(shape), value=value, dtype=self.dtype(dtype)
        )

    def lift(self, value: Any) -> Array:
        """An operand as an array: arrays as they are, numbers as 0-d, nested lists stacked."""
        if isinstance(value, Array):
            return value
        if isinstance(value, Masked):
            raise unsupported("a NumPy call on elements chosen by a mask", why="their number depends on the data",
                              rewrite="use np.where(mask, x, 0)", code="data-dependent-shape")  # fmt: skip
        if isinstance(value, np.generic):
            return self.number(value, value.dtype)
        if isinstance(value, (bool, int, float, complex)):
            return self.number(value, np.result_type(value))
        if isinstance(value, np.ndarray):
            return self.constant(value)
        if isinstance(value, (list, tuple)):
            return self.from_list(value)
        if layout.is_size(value):
            return self.fresh(
                self.builder.call("scalar", value=value, dtype=self.dtype(np.dtype(np.int64))), scalar=True
            )
        raise unsupported(f"an operand of type {type(value).__name__} in a NumPy call")

    def from_list(self, items: Sequence[Any]) -> Array:
        """`np.array(items)` for nested lists that may hold arrays."""
        if not any_array(items):
            return self.constant(np.asarray(items))
        parts = [self.lift(i) for i in items]
        weak = [_numbers_in(i) for i in items]
        dtype = np.result_type(*[w if w is not None else p.dtype for w, p in zip(weak, parts)])
        if any(p.shape != parts[0].shape for p in parts):
            raise ValueError("setting an array element with a sequence: the parts have different shapes")
        nodes = [self.node(self.cast(p, dtype)) for p in parts]
        return self.fresh(self.builder.call("stack", *nodes, dim=0))

    def cast(self, a: Array, dtype: np.dtype) -> Array:
        """The array as `dtype`, itself when it already is."""
        if a.dtype == dtype:
            return a
        if a.kind == "c" and dtype.kind not in "cb":
            raise unsupported("a cast that drops the imaginary part", why="NumPy warns of it", code="numpy-warning",
                              rewrite="take x.real")  # fmt: skip
        strides = layout.order_strides(a.shape, a.strides, "K")
        if "c" in (a.kind, dtype.kind):
            return self.extern(
                "numpy:asarray", [a], [Input(0), dtype.name], a.shape, dtype, strides=strides, scalar=a.scalar
            )
        return self.call("cast", a, strides=strides, scalar=a.scalar, dtype=self.dtype(dtype))

    def converted(self, a: Array, dtype: np.dtype) -> Array:
        """`cast` of an operand that NumPy's loop converts piece by piece: layouts of results follow the array as it was."""
        made = self.cast(a, dtype)
        if made is not a:
            made.strides = a.strides
        return made

    def snapshot(self, a: Array) -> Array:
        """The array's present elements: later writes do not show. (Nothing is copied: nodes do not change.)"""
        return self.fresh(self.node(a), scalar=a.scalar)

    def python_number(self, a: Array, kind: type) -> Array:
        """The only element of an array as a Python number. Raises Unsupported where Python could raise."""
        if not layout.same(a.size, 1):
            raise TypeError("only length-1 arrays can be converted to Python scalars")
        if a.kind == "c" or (kind is int and a.kind == "f") or kind is bool and a.kind != "b":
            raise unsupported(
                f"{kind.__name__}() of {a.dtype}", why="it depends on the number", code="data-dependent-scalar"
            )
        flat = a if not a.ndim else self.call("reshape", a, shape=())
        wanted = (
            a.dtype
            if kind is bool or (kind is int and a.dtype.itemsize == 8)
            else np.dtype(np.int64 if kind is int else np.float64)
        )
        made = self.fresh(self.node(self.cast(flat, wanted)), scalar=True)
        made.number = kind
        return made

    def copy(self, a: Array, order: str = "K", scalar: bool = False) -> Array:
        """Fresh memory with the array's elements."""
        strides = layout.order_strides(a.shape, a.strides, order)
        return self.call("clone", a, strides=strides, scalar=scalar)

    def same(self, a: Array) -> Array:
        """Fresh memory with the array's elements, laid out as a ufunc's result."""
        strides = layout.elementwise_strides([(a.shape, a.strides)], a.shape)
        return self.call("clone", a, strides=strides)

    def laid_out(self, a: Array, strides: Sequence[Dim]) -> Array:
        """A result with these strides: itself where it has them."""
        return a if same_layout(a.meta, strides) else self.call("clone", a, strides=strides, scalar=a.scalar)

    def as_copied(self, a: Array) -> Array:
        """`a` for a NumPy function that first copies it: results are laid out as the copy is."""
        strides = layout.order_strides(a.shape, a.strides, "K")
        return (
            a if strides == layout.elementwise_strides([(a.shape, a.strides)], a.shape) else self.laid_out(a, strides)
        )

    # ------------------------------------------------------------ views and writes

    def view(self, a: Array, op: str, **attrs: Any) -> Array:
        """A view of the array by one table op (see `windows`). A scalar has no memory to look at: it is copied."""
        if a.scalar:
            a = self.fresh(self.node(a))
        return a.view(self.ev, op, **attrs)

    def part(self, whole: Array, part: str, compute: Callable[[], Node]) -> Array:
        """The part of an array that its attribute `part` gives; `compute` gives the elements."""
        storage = PartStorage(whole, part, compute)
        return self.array_class(storage, storage.meta, storage.node)

    def write(self, a: Array, value: Array) -> None:
        """`a[...] = value`: convert, broadcast, and put the elements into the memory that `a` looks at.

        Raises ValueError for read-only arrays and for shapes that do not broadcast, as NumPy does.
        """
        if not a.writeable:
            raise ValueError("assignment destination is read-only")
        a.guard_writeable(self.ev)
        value = self.cast(value, a.dtype)
        while value.ndim > a.ndim and layout.is_one(value.shape[0]):
            value = self.view(value, "select", dim=0, index=0)
        node = self.node(value)
        if value.ndim != a.ndim or not all(same(x, y) for x, y in zip(node.shape, a.shape)):
            if value.ndim > a.ndim:
                raise ValueError(f"could not broadcast input array from shape {value.shape} into shape {a.shape}")
            node = self.emit("expand", node, shape=a.shape)
        a.write(self.ev, node)

    def into(self, out: Any, result: Array, casting: Any = "same_kind", *, spreads: bool = False) -> Array:
        """`out=`: the result written into `out`, which is returned; the result itself when `out` is None.

        casting: "no" for functions that compute in the type of `out`, so that it is not the result that is converted
        spreads: whether `out` may have more elements than the result, as ufuncs allow
        """
        if isinstance(out, tuple) and len(out) == 1:
            out = out[0]
        if out is None:
            return result
        if not isinstance(out, Array) or out.scalar:
            raise TypeError("return arrays must be of ArrayType")
        if not np.can_cast(result.dtype, out.dtype, casting):
            raise TypeError(f"Cannot cast output from {result.dtype!r} to {out.dtype!r} with casting rule {casting!r}")
        if len(out.shape) < result.ndim:
            raise ValueError("output parameter has too few dimensions for the result")
        if not spreads and (out.ndim != result.ndim or not all(map(same, out.shape, result.shape))):
            raise ValueError(f"output array of shape {out.shape} for a result of shape {result.shape}")
        self.write(out, result)
        return out


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


def _numbers_in(item: Any) -> np.dtype | None:
    """The dtype of a list element that holds no array; None when it does."""
    return None if any_array(item) else np.asarray(item).dtype


def _has_negative_zero(flat: np.ndarray) -> bool:
    parts = (flat.real, flat.imag) if flat.dtype.kind == "c" else (flat,)
    return flat.dtype.kind in "fc" and any(bool((np.signbit(part) & (part == 0)).any()) for part in parts)


#: what makes one NumPy function's arrays: (builder, *args, **kwargs) -> Array, tuple of Arrays, or a plain value
Maker = Callable[..., Any]
