"""Lowering: a decomposed Graph -> loop groups, extern calls and the buffers between them.

Every node's value is a function of its index (`Fn`). Cheap pointwise values and views stay functions and are inlined
into whoever reads them; a value is *realized* (given a buffer and a loop group) when it leaves the graph, feeds a
framework kernel, is a reduction, or would cost more to recompute for each reader than to keep. The scheduler
then fuses groups, and what is read only inside one fused group never reaches memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InternalError, LoweringError
from .dtypes import HALVES, DType, compute_dtype
from .graph import Dim, Graph, Node, Origin, TensorMeta, contiguous_strides
from .kernel import Store
from .loops import Attend, Expr, Fn, Index, Reduce, Scan, Scatter, Var, as_index, cast, expr, load
from .ops import OPS
from .ops.creation import is_table

#: a multi-reader value costing more than this many scalar ops is kept rather than recomputed
_INLINE_OPS = 4
#: an inlined expression larger than this is cut, so that no kernel explodes
_MAX_OPS = 80
_MAX_LOADS = 10


@dataclass(frozen=True)
class StridedBuffer:
    """A buffer, or a part of one, as a strided array: how a value lies in memory. Offsets and strides in elements."""

    name: str
    shape: tuple[Dim, ...]
    stride: tuple[Dim, ...]
    dtype: DType
    device: str
    offset: Dim = 0

    @property
    def size(self) -> Dim:
        """Elements spanned, gaps included."""
        last: Dim = 1
        for n, s in zip(self.shape, self.stride):
            if n == 0:
                return 0
            last = last + (n - 1) * s
        return last

    def index(self, idx: tuple[Index, ...]) -> Index:
        total = as_index(self.offset)
        for i, s in zip(idx, self.stride):
            total = total + i * s
        return total


@dataclass
class Group:
    """A loop nest being scheduled: variables, stores, and which graph nodes it computes."""

    p: list[Var]
    r: list[Var]
    stores: list[Store]
    device: str
    origins: list[Origin] = field(default_factory=list)
    #: it stores into an input what was computed before, and stays apart from what can raise
    publishes: bool = False


@dataclass(frozen=True)
class ExternCall:
    """A framework kernel: `outputs = op(*inputs, **attrs)`. Inputs are strided views of buffers (None where absent)."""

    node: Node
    inputs: tuple[StridedBuffer | None, ...]
    outputs: tuple[StridedBuffer, ...]


@dataclass
class Lowered:
    """The whole graph after lowering, in program order.

    buffers: every buffer by name; inputs: graph inputs' buffers in order; outputs: what is returned
    tables: known arrays that kernels load from, each with the node that says what is in it
    mutations: (input position, storage of the new value), to be copied at the end
    stored: positions of the inputs into which steps store
    """

    steps: list[Group | ExternCall] = field(default_factory=list)
    buffers: dict[str, StridedBuffer] = field(default_factory=dict)
    inputs: list[StridedBuffer] = field(default_factory=list)
    outputs: list[StridedBuffer] = field(default_factory=list)
    tables: list[tuple[StridedBuffer, Node]] = field(default_factory=list)
    mutations: list[tuple[int, StridedBuffer]] = field(default_factory=list)
    stored: tuple[int, ...] = ()
    graph: Graph | None = None


@dataclass
class _Value:
    """A node's value: its function, what recomputing it costs, and its buffer once it has one."""

    fn: Fn
    ops: int = 0
    loads: int = 1
    heavy: bool = False
    storage: StridedBuffer | None = None
    #: inputs that get new content, which recomputing it would read
    written: frozenset[str] = frozenset()


class Lowering:
    """Walks a graph once. One instance a graph."""

    def __init__(
        self,
        graph: Graph,
        captured: Sequence[Node],
        round_halves: bool,
        adds_atomically: Callable[[DType, str], bool],
    ) -> None:
        self.graph = graph
        self.round_halves = round_halves
        self.captured = captured
        self.adds_atomically = adds_atomically
        self.layouts: dict[Node, TensorMeta] = {}
        for n, was in zip(graph.returned, captured):
            self.layouts.setdefault(n, was.meta)
        for _, n in graph.mutations:
            self.layouts.setdefault(n, n.meta)
        #: writes of a part whose base becomes what an input holds
        self.parts = _writes_of_parts(graph)
        self.out = Lowered(graph=graph)
        self.values: dict[Node, _Value] = {}
        self.tuples: dict[Node, tuple[StridedBuffer, ...]] = {}
        self._vars: Iterator[int] = itertools.count()
        self._names: Iterator[int] = itertools.count()
        self.users = graph.users()
        self.written = frozenset(f"in{i}" for i, _ in graph.mutations)
        self.last_user = {n: users[-1] for n, users in self.users.items() if users} if self.written else {}
        self.position = {n: k for k, n in enumerate(graph.nodes)} if self.written else {}
        self.leaving: set[Node] = set(graph.outputs)
        #: products, and what becomes of their elements, one by one
        self.finishing: set[Node] = set()

    # ---- the walk

    def run(self) -> Lowered:
        """Lower every node. Raises LoweringError naming the node and the user's line."""
        for position, n in enumerate(self.graph.inputs):
            storage = StridedBuffer(f"in{position}", n.meta.shape, n.meta.stride, n.dtype, n.meta.device)
            self.out.inputs.append(storage)
            self._own(n, storage)
        for n in self.graph.nodes:
            if n in self.values:
                continue
            try:
                self._node(n)
            except (InternalError, LoweringError):
                raise
            except Exception as error:
                raise LoweringError(f"[lower] {n}: {type(error).__name__}: {error}" + _where(n)) from error
        # arrays that were two in the program stay two, even where passes found that they are equal
        left: dict[Node, StridedBuffer] = {}
        for n, was in zip(self.graph.returned, self.captured):
            if was not in left:
                left[was] = self._leave(n, was.meta, [s.name for s in left.values()])
            self.out.outputs.append(left[was])
        for i, n in self.graph.mutations:
            self.out.mutations.append((i, self._leave(n, n.meta, ())))
        return self.out

    def _node(self, n: Node) -> None:
        if n.op.eager == "pick":
            source = n.inputs[0]
            assert source is not None
            self._own(n, self.tuples[source][n.attrs["index"]])
            return
        if is_table(n):
            storage = StridedBuffer(f"table{len(self.out.tables)}", n.meta.shape, n.meta.stride, n.dtype, n.meta.device)
            self.out.tables.append((storage, n))
            self._own(n, storage)
            return
        if n.op.kind == "extern" or self._is_left_to_framework(n):
            self._extern(n)
            return
        if n.op.lower is None:
            if n.op.decompose is not None and n.is_dynamic:
                return self._extern(n)
            raise LoweringError(
                f"op {n.op.name!r} has no lowering and no decomposition{_where(n)}\n"
                "  add one to its row in inductor/ops (see CONTRIBUTING.md), or run with backend='eager'"
            )
        if self._finishes(n):
            self.finishing.add(n)
        if n in self.parts:
            self._keep_old(n)
        if n.op.stored and n not in self.leaving and self._lies_so(n):
            return
        operands = [i for i in n.inputs if i is not None]
        if not n.op.replaces:  # each element of theirs is asked for once
            for k, i in enumerate(n.inputs):
                if i is not None and not n.op.operand(k).once:
                    self._realize_before_reuse(n, i)
        lowered = self._as_loops(n)
        if lowered is None:
            self._extern(n)
        elif isinstance(lowered, (Reduce, Attend)):
            if n.op.kind == "contraction":
                self.finishing.add(n)
            self._reduction(n, lowered)
        elif isinstance(lowered, Scan):
            self._scan(n, lowered)
        elif isinstance(lowered, Scatter):
            if lowered.mode == "add" and not self.adds_atomically(n.dtype, n.meta.device):
                self._extern(n)  # the framework has a way of its own
            else:
                self._scatter(n, lowered)
        else:
            parts = [self.values[i] for i in operands]
            self.values[n] = value = _Value(
                lowered,
                sum(v.ops for v in parts) + (0 if n.op.kind == "view" else 1),
                sum(v.loads for v in parts),
                any(v.heavy for v in parts) or n.op.cost == "heavy",
                written=frozenset().union(*(v.written for v in parts)),
            )
            if self._worth_keeping(n, value):
                self.realize(n)

    def _lies_so(self, n: Node) -> bool:
        """Whether what is to be stored is in memory already, laid out as asked. Then it is that."""
        source = n.inputs[0]
        assert source is not None
        there = self._strided(source)
        if there is None or there.stride != n.meta.stride or self._is_unrounded(source):
            return False
        self.values[n] = replace(self.values[source], storage=there)
        return True

    def _as_loops(self, n: Node) -> Fn | Reduce | Attend | Scan | Scatter | None:
        """The node's rule applied. None where it needs numbers and there are symbols: the framework has them when it runs."""
        assert n.op.lower is not None
        try:
            lowered = n.op.lower(n, *[None if i is None else self.values[i].fn for i in n.inputs])
            if n.is_dynamic and not (n.inputs and n.op.kind in ("pointwise", "view")):
                self._evaluate(n, lowered)
        except (TypeError, ValueError, LoweringError):
            if not n.is_dynamic:
                raise
            return None
        return lowered

    def _evaluate(self, n: Node, lowered: Fn | Reduce | Attend | Scan | Scatter) -> None:
        """One point of a value, to find out whether it has a form."""
        _, idx = self._loop(n.meta.shape)
        if isinstance(lowered, (Reduce, Attend)):
            lowered.total(idx, self._loop(lowered.extents, "r")[1])
        elif isinstance(lowered, Scan):
            lowered.inner(idx)
        elif isinstance(lowered, Scatter):
            _, points = self._loop(lowered.ranges)
            lowered.base(idx), lowered.target(points), lowered.value(points)
        else:
            lowered(idx)

    def _worth_keeping(self, n: Node, value: _Value) -> bool:
        if n in self.leaving or n in self.parts or n.op.stored or value.ops > _MAX_OPS or value.loads > _MAX_LOADS:
            return True
        if n in self.finishing and n.op.kind == "pointwise" and not self._goes_on(n):
            return True  # a product is kept in any case: it is as well kept finished
        readers = len(self.users[n])
        return readers > 1 and (value.heavy or value.ops > _INLINE_OPS or (value.loads > 1 and value.ops > 1))

    def _finishes(self, n: Node) -> bool:
        """Whether a node is made of each element of a product that nobody else reads."""
        if n.op.kind not in ("pointwise", "view"):
            return False
        return any(
            i in self.finishing
            and len(self.users[i]) == 1
            and not isinstance(n.meta, tuple)
            and i.meta.numel == n.meta.numel
            for i in n.inputs
            if i is not None
        )

    def _goes_on(self, n: Node) -> bool:
        """Whether all that reads a node does so point by point, in loops over the same elements."""
        return all(u.op.kind == "pointwise" and u.shape == n.shape for u in self.users[n])

    def _realize_before_reuse(self, reader: Node, n: Node) -> None:
        """A costly value that the reader would evaluate many times over (broadcast, gather, product) is kept."""
        value = self.values[n]
        if value.storage is not None or value.ops == 0:
            return
        bigger = _numel_hint(reader.meta) > _numel_hint(n.meta)
        again = reader.op.kind == "contraction" and (value.heavy or value.ops > _INLINE_OPS)
        if (bigger and value.heavy) or again or reader.op.kind in ("index", "scan") and value.ops > 2:
            self.realize(n)

    def _keep_old(self, write: Node) -> None:
        """What was computed from old content that is about to be written over, and is needed afterwards, is kept where that is less
        than the whole: then the write need not go to a copy.
        """
        here = self.position[write]
        for n, value in list(self.values.items()):
            if value.storage is not None or not value.written or n not in self.last_user:
                continue
            if self.position[self.last_user[n]] > here and 2 * _numel_hint(n.meta) <= _numel_hint(write.meta):
                self.realize(n)

    # ---- realizing

    def _own(self, n: Node, storage: StridedBuffer) -> None:
        compute = compute_dtype(storage.dtype)
        self.out.buffers[storage.name] = storage
        self.values[n] = _Value(
            lambda idx: cast(load(storage.name, storage.index(idx), storage.dtype), compute),
            0,
            1,
            False,
            storage,
            self.written & {storage.name},
        )

    def _own_memory(self, n: Node, dtype: DType | None = None, base: Node | None = None) -> StridedBuffer:
        """A buffer for the node's value: an output's keeps the gaps that eager leaves, as it does after writes into a copy of
        a strided view; one that begins as a copy of `base` lies as that does where it may come to be in its place.
        """
        meta = self.layouts.get(n, n.meta)
        storage = self._fresh(replace(meta, dtype=dtype or n.dtype))
        keeps_gaps = n in self.layouts
        view = None if keeps_gaps or base is None else self._written_view(base)
        if view is not None and view.shape == meta.shape:
            meta, keeps_gaps = replace(meta, stride=view.stride), True
        if keeps_gaps and storage.stride != meta.stride and has_gaps_only(meta.shape, meta.stride):
            return replace(storage, stride=meta.stride)
        return storage

    def _written_view(self, n: Node) -> StridedBuffer | None:
        """The place of (a view of) an input that gets new content: a write to part of it may be one into the input."""
        if isinstance(n.meta, tuple) or n.dtype.is_complex:
            return None
        view = self._strided(n)
        return view if view is not None and view.name in self.written else None

    def _fresh(self, meta: TensorMeta) -> StridedBuffer:
        stride = meta.stride if is_dense(meta.shape, meta.stride) else contiguous_strides(meta.shape)
        return StridedBuffer(f"buf{next(self._names)}", meta.shape, stride, meta.dtype, meta.device)

    def _var(self, kind: str, extent: Dim) -> Var:
        return Var(f"{kind}{next(self._vars)}", extent, kind == "r")

    def _loop(self, shape: tuple[Dim, ...], kind: str = "p") -> tuple[list[Var], tuple[Index, ...]]:
        variables = [self._var(kind, s) for s in shape]
        return [v for v in variables if v.extent != 1], tuple(map(as_index, variables))

    def realize(self, n: Node) -> StridedBuffer:
        """Give a virtual value a buffer and a loop group; later readers load it."""
        value = self.values[n]
        if value.storage is not None:
            return value.storage
        dtype = compute_dtype(n.dtype) if self._is_unrounded(n) else n.dtype
        storage = self._own_memory(n, dtype, n.inputs[0] if n in self.parts else None)
        if storage.dtype.is_complex:
            view = self._strided(n)
            assert view is not None, "what is not a view of a buffer was computed by the framework"
            self._framework_copy(n, view, storage)
        else:
            p, idx = self._loop(storage.shape)
            self._emit(n, p, [], [Store(storage.name, storage.index(idx), cast(value.fn(idx), storage.dtype))])
        self._own(n, storage)
        return storage

    def _is_unrounded(self, n: Node) -> bool:
        """Whether a half-precision value inside a composite is in float32 still. It must stay so where it is kept: what else the
        program computes decides that, and may not show in results. What moves elements to other places leaves them as they are.
        """
        if not self.round_halves or isinstance(n.meta, tuple) or n.dtype not in HALVES:
            return False
        if n.op.kind == "view" or n.op.elements == "first" and n.op.rounding.result:
            return any(i is not None and self._is_unrounded(i) for i in n.inputs)
        return n.op.kind == "pointwise" and n.op.rounding.result

    def _emit(self, n: Node, p: list[Var], r: list[Var], stores: list[Store]) -> None:
        origin = Origin(n.name, n.origin or n.op.name, n.loc)
        self.out.steps.append(Group(p, r, stores, n.meta.device, [origin]))

    def _reduction(self, n: Node, lowered: Reduce | Attend) -> None:
        storage = self._own_memory(n)
        p, idx = self._loop(storage.shape)
        r, ridx = self._loop(lowered.extents, "r")
        total = lowered.total(idx, ridx)
        if not r:  # a space of one point still reduces: argmax needs its index, any/all their dtype
            one = self._var("r", 1)
            r = [one]
        self._emit(n, p, r, [Store(storage.name, storage.index(idx), cast(total, storage.dtype))])
        self._own(n, storage)

    def _scan(self, n: Node, lowered: Scan) -> None:
        storage = self._own_memory(n)
        p: list[Var] = []
        idx: list[Index] = []
        along = self._var("r", storage.shape[lowered.dim])
        for d, size in enumerate(storage.shape):
            var = along if d == lowered.dim else self._var("p", size)
            idx.append(as_index(var))
            if var is not along and size != 1:
                p.append(var)
        inner = lowered.inner(tuple(idx))
        value = expr("scan", inner, dtype=inner.dtype, attr=lowered.kind)
        self._emit(n, p, [along], [Store(storage.name, storage.index(tuple(idx)), cast(value, storage.dtype))])
        self._own(n, storage)

    def _scatter(self, n: Node, lowered: Scatter) -> None:
        storage = self._own_memory(n, compute_dtype(n.dtype) if lowered.wide else n.dtype, n.inputs[0])
        p, idx = self._loop(storage.shape)
        self._emit(n, p, [], [Store(storage.name, storage.index(idx), cast(lowered.base(idx), storage.dtype))])
        p, idx = self._loop(lowered.ranges)
        value = cast(lowered.value(idx), storage.dtype)
        self._emit(n, p, [], [Store(storage.name, storage.index(lowered.target(idx)), value, lowered.mode)])
        self._own(n, storage)
        if storage.dtype != n.dtype:
            sums = self.values[n].fn
            self.values[n] = _Value(lambda idx: cast(cast(sums(idx), n.dtype), storage.dtype))
            if n in self.leaving:
                self.realize(n)

    # ---- framework kernels

    def _extern(self, n: Node) -> None:
        inputs = tuple(None if i is None else self._as_view(i) for i in n.inputs)
        metas = n.meta if isinstance(n.meta, tuple) else (n.meta,)
        outputs = tuple(StridedBuffer(f"buf{next(self._names)}", m.shape, m.stride, m.dtype, m.device) for m in metas)
        self.out.steps.append(ExternCall(n, inputs, outputs))
        for storage in outputs:
            self.out.buffers[storage.name] = storage
        if isinstance(n.meta, tuple):
            self.tuples[n] = outputs
            self.values[n] = _Value(lambda idx: _no_value(n))
        elif n.op.aliases:  # the framework may have given a view of its argument
            copy = self._fresh(n.meta)
            self._framework_copy(n, outputs[0], copy)
            self._own(n, copy)
        else:
            self._own(n, outputs[0])

    def _is_left_to_framework(self, n: Node) -> bool:
        """Kernels hold no complex numbers: whatever touches them is a framework call, but for views of a buffer."""
        nodes = [n, *(i for i in n.inputs if i is not None)]
        if not any(m.dtype.is_complex for v in nodes for m in (v.meta if isinstance(v.meta, tuple) else (v.meta,))):
            return False
        if n.op.kind != "view" or n.op.lower is None:
            return True
        self.values[n] = _Value(n.op.lower(n, *[None if i is None else self.values[i].fn for i in n.inputs]))
        return self._strided(n) is None

    def _framework_copy(self, n: Node, source: StridedBuffer, target: StridedBuffer) -> None:
        clone = Node(OPS["clone"], (n,), {"memory_format": None}, n.meta, n.name, n.loc, n.origin)
        self.out.steps.append(ExternCall(clone, (source,), (target,)))
        self.out.buffers[target.name] = target

    def _as_view(self, n: Node) -> StridedBuffer:
        """The node's value as a strided view of a buffer: no copy when it is one already, in eager's strides."""
        if not self._is_unrounded(n):
            return self._strided(n) or self.realize(n)
        storage = self._fresh(n.meta)
        p, idx = self._loop(storage.shape)
        self._emit(n, p, [], [Store(storage.name, storage.index(idx), cast(self.values[n].fn(idx), storage.dtype))])
        self.out.buffers[storage.name] = storage
        return storage

    def _strided(self, n: Node) -> StridedBuffer | None:
        """The node's value as a strided view of a buffer in eager's strides, where it is one."""
        value = self.values[n]
        if value.storage is not None:
            return value.storage
        variables = tuple(Var(f"p_view{d}", s) for d, s in enumerate(n.meta.shape))
        body = value.fn(tuple(map(as_index, variables)))
        if body.op == "cast" and body.dtype == compute_dtype(n.dtype) and body.args[0].dtype == n.dtype:
            body = body.args[0]
        if body.op == "load" and body.dtype == n.dtype and body.attr[1].is_affine:
            name, index = body.attr
            stride = tuple(s if v.extent == 1 else index.coefficient(v) for v, s in zip(variables, n.meta.stride))
            if (stride == n.meta.stride or n.dtype.is_complex) and _non_negative(index.const):
                base = self.out.buffers[name]
                return StridedBuffer(name, n.meta.shape, stride, base.dtype, base.device, index.const)
        return None

    def _leave(self, n: Node, wanted: TensorMeta, taken: Collection[str]) -> StridedBuffer:
        """An output's own buffer: never an input or a table, nor one of those `taken` by other outputs; laid out as `wanted`."""
        storage = self.values[n].storage
        if storage is None:
            return self.realize(n)
        if (
            n.op.kind == "input"
            or any(storage is table for table, _ in self.out.tables)
            or storage.name in taken
            or (storage.stride != wanted.stride and has_gaps_only(wanted.shape, wanted.stride))
        ):
            copy = replace(self._fresh(wanted), stride=wanted.stride)
            if copy.dtype.is_complex:
                self._framework_copy(n, storage, copy)
                return copy
            p, idx = self._loop(copy.shape)
            body = load(storage.name, storage.index(idx), storage.dtype)
            self._emit(n, p, [], [Store(copy.name, copy.index(idx), body)])
            self.out.buffers[copy.name] = copy
            return copy
        return storage


def _writes_of_parts(graph: Graph) -> set[Node]:
    """The chains of writes of parts that begin with what an input holds and end with what it is to hold."""
    found: set[Node] = set()
    for position, n in graph.mutations:
        chain = []
        while n.op.kind == "view" or n.op.replaces:
            if n.op.replaces:
                chain.append(n)
            base = n.inputs[0]
            assert base is not None
            n = base
        if n is graph.inputs[position]:
            found.update(chain)
    return found


def _no_value(n: Node) -> Expr:
    raise InternalError(f"[lower] {n!r} has several results; read them through getitem")


def _where(n: Node) -> str:
    return f"\n  {n.loc}" if n.loc else ""


def _non_negative(d: Dim) -> bool:
    return not isinstance(d, int) or d >= 0


def _numel_hint(meta: Any) -> int:
    if isinstance(meta, tuple):
        return 1
    n = 1
    for s in meta.shape:
        n *= s if isinstance(s, int) else 64
    return n


def is_dense(shape: tuple[Dim, ...], stride: tuple[Dim, ...]) -> bool:
    """True when some permutation of the dims is row-major without gaps or overlap, as far as the expressions tell: here, after
    capture, no relation between sizes can be guarded any more.
    """
    if 0 in shape:
        return True
    dims = [(st, s) for s, st in zip(shape, stride) if s != 1]
    expected: Dim = 1
    while dims:
        # the next faster dim is found by its stride: strides that are sums cannot be sorted by how they look
        at = next((k for k, (st, _) in enumerate(dims) if st == expected), None)
        if at is None:
            return False
        expected = expected * dims.pop(at)[1]
    return True


def has_gaps_only(shape: tuple[Dim, ...], stride: tuple[Dim, ...]) -> bool:
    """True for dense layouts, and for those of known sizes whose elements all have places of their own."""
    if is_dense(shape, stride):
        return True
    span = 0
    for step, size in sorted(
        (t, s) for s, t in zip(shape, stride) if s != 1 and isinstance(s, int) and isinstance(t, int)
    ):
        if step <= span:
            return False
        span += step * (size - 1)
    return all(isinstance(d, int) for d in (*shape, *stride))


def anything(dtype: DType, device: str) -> bool:
    """The ability to add to elements of any type on any device that others add to at the same time."""
    return True


def lower(
    graph: Graph,
    captured: Sequence[Node] | None = None,
    round_halves: bool = False,
    adds_atomically: Callable[[DType, str], bool] = anything,
) -> Lowered:
    """Lower a decomposed graph.

    captured:        the outputs before any pass; they say which are one array and their strides
    round_halves:    half-precision values are rounded where the graph says so, and nowhere else
    adds_atomically: whether kernels on a device can add to elements of a type that others add to at the same time; what
                     they cannot is left to the framework, op by op
    """
    return Lowering(graph, graph.returned if captured is None else captured, round_halves, adds_atomically).run()
