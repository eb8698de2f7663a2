"""The graph language: what capture produces and inductor consumes. No framework object appears in it.

A `Graph` is a list of SSA `Node`s in topological order. A node applies one op of the table
(`inductor.ops`) to input nodes; whatever is not a tensor (axes, dtypes, scalars, shapes) is a static
attribute. `TensorMeta` says what eager would have produced: shape, strides, dtype, device.

Dims are plain ints, or sympy expressions over the graph's size symbols when a dimension is dynamic.
Plain ints stay ints: sympy enters only with a symbol.

    %x = input()                        : float32[4, 8] cpu
    %w = input()                        : float32[8, 8] cpu
    %linear = linear(%x, %w, None)      : float32[4, 8] cpu   # model.py:12
    return %linear
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Union

from ..errors import InternalError, SourceLocation
from .boundary import Boundary
from .dtypes import DType

if TYPE_CHECKING:
    import sympy

    from .ops.table import Op

#: an int, or a sympy expression over size symbols
Dim = Union[int, "sympy.Expr"]


@dataclass(frozen=True)
class TensorMeta:
    """What is known of a tensor: shape and stride in elements, dtype, device ("cpu", "cuda:0").

    weak marks a Python scalar: it takes part in promotion by its category only.
    """

    shape: tuple[Dim, ...]
    stride: tuple[Dim, ...]
    dtype: DType
    device: str = "cpu"
    weak: bool = False

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def numel(self) -> Dim:
        return math.prod(self.shape)

    @property
    def is_contiguous(self) -> bool:
        """Row-major without gaps; dims of size 1 may have any stride, an empty tensor always is. Sizes that symbols leave open are
        neither 0 nor 1 here; `ops.promotion.is_contiguous` asks.
        """
        if 0 in self.shape:
            return True
        expected: Dim = 1
        for size, stride in zip(reversed(self.shape), reversed(self.stride)):
            if size != 1:
                if stride != expected:
                    return False
                expected = expected * size
        return True

    @property
    def is_dynamic(self) -> bool:
        return any(not isinstance(d, int) for d in (*self.shape, *self.stride))

    def __str__(self) -> str:
        text = f"{self.dtype}[{', '.join(map(str, self.shape))}] {self.device}"
        return text if self.is_contiguous else f"{text} stride ({', '.join(map(str, self.stride))})"


def contiguous_strides(shape: Sequence[Dim]) -> tuple[Dim, ...]:
    """Row-major strides as torch gives them (a size-0 dim counts as 1)."""
    strides: list[Dim] = []
    step: Dim = 1
    for size in reversed(shape):
        strides.append(step)
        step = step * (1 if size == 0 else size)
    return tuple(reversed(strides))


@dataclass(frozen=True)
class ExternRef:
    """A framework function called as it is, for what the table does not know.

    target:  "module:qualified.name", resolvable in a fresh process by the front end's runtime
    args, kwargs: the call's template; an `Input(i)` stands for the node's i-th input, all else is static
    """

    target: str
    args: tuple[Any, ...]
    kwargs: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Input:
    """A placeholder inside an `ExternRef` template: the node's `index`-th input tensor."""

    index: int


@dataclass(frozen=True)
class Number:
    """A placeholder inside an `ExternRef` template: the Python number that the node's `index`-th input, a 0-dim tensor, holds."""

    index: int


@dataclass(frozen=True)
class Scalar:
    """As `Number`: the number as an array library's own scalar, with the input's dtype."""

    index: int


@dataclass(frozen=True)
class Named:
    """A constant of the framework inside an `ExternRef` template, by its "module:qualified.name"."""

    target: str


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One application of an op. Compared by identity; never changed after creation.

    inputs: tensors, positional; None for an optional tensor that is absent
    attrs:  static data by name
    meta:   one TensorMeta, or a tuple of them for the few ops with several results (then only
            `getitem` nodes read it)
    """

    op: Op
    inputs: tuple[Node | None, ...]
    attrs: Mapping[str, Any]
    meta: TensorMeta
    name: str
    loc: SourceLocation | None = None
    origin: str = ""
    #: False where the program had turned gradient recording off (matters in `autograd` graphs only)
    grad: bool = True
    #: the framework whose function the program called, where that is not the graph's own
    library: str = ""

    @property
    def shape(self) -> tuple[Dim, ...]:
        return self.meta.shape

    @property
    def dtype(self) -> DType:
        return self.meta.dtype

    @property
    def ndim(self) -> int:
        return len(self.meta.shape)

    @property
    def effects(self) -> bool:
        """True for what must run in its place, whether or not its result is used: random numbers, checks."""
        return self.op.effects or bool(self.attrs.get("effects"))

    @property
    def is_dynamic(self) -> bool:
        """Whether its own layout, that of an input, or an attribute holds symbols."""
        nodes = (self, *(i for i in self.inputs if i is not None))
        return any(True for _ in symbols_in((*(n.meta for n in nodes), self.attrs)))

    def __repr__(self) -> str:
        return f"%{self.name}"

    def __str__(self) -> str:
        parts = [repr(i) for i in self.inputs]
        parts += [f"{k}={_show(v)}" for k, v in self.attrs.items()]
        where = f"   # {self.loc.short}" if self.loc else ""
        meta = self.meta if isinstance(self.meta, TensorMeta) else f"({'; '.join(map(str, self.meta))})"
        return f"%{self.name} = {self.op.name}({', '.join(parts)}) : {meta}{where}"


@dataclass(frozen=True)
class Origin:
    """What a loop nest comes from: the node whose value it computes, the op that the program called, and where.

    place: the number of a node of the captured graph with this location. Plans keep that instead, for a plan may serve
    programs that differ in nothing but their lines (see `Plan.located`).
    """

    node: str
    op: str
    loc: SourceLocation | None = None
    place: int | None = None

    def __str__(self) -> str:
        return f"{self.node}: {self.op}" + (f"  {self.loc.short}" if self.loc is not None else "")


def symbols_in(value: Any) -> Iterator[sympy.Symbol]:
    """The size symbols that a meta or an attribute mentions, one for each mention."""
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from symbols_in(part)
    elif isinstance(value, TensorMeta):
        if value.is_dynamic:
            yield from symbols_in((value.shape, value.stride))
    elif isinstance(value, Mapping):
        yield from symbols_in(tuple(value.values()))
    elif isinstance(value, slice):
        yield from symbols_in((value.start, value.stop, value.step))
    elif isinstance(value, ExternRef):
        yield from symbols_in((value.args, value.kwargs))
    else:
        yield from getattr(value, "free_symbols", ())


#: elements of an attribute that are printed
_MOST_SHOWN = 16


def _show(value: Any) -> str:
    if isinstance(value, str) and "\n" in value:
        return f"<text of {value.count(chr(10))} lines>"
    if isinstance(value, tuple) and len(value) > _MOST_SHOWN:
        return f"({', '.join(map(_show, value[:_MOST_SHOWN]))}, ... {len(value)} in all)"
    return repr(value) if isinstance(value, (str, float)) else str(value)


@dataclass(init=False)
class Graph:
    """One captured or transformed program.

    inputs:   `input` nodes in call order (tensors only; sizes come in through the boundary's symbols)
    nodes:    every node in topological order, inputs first
    outputs:  nodes whose values are wanted, in order (a node may appear more than once): returned, written, measured
    boundary: what surrounds the nodes, by positions of inputs and outputs
    """

    inputs: list[Node]
    nodes: list[Node]
    outputs: list[Node]
    name: str
    boundary: Boundary

    def __init__(
        self,
        inputs: list[Node] | None = None,
        nodes: list[Node] | None = None,
        outputs: list[Node] | None = None,
        name: str = "graph",
        boundary: Boundary = Boundary(),  # noqa: B008 - frozen
        mutations: Sequence[tuple[int, Node]] | None = None,
    ) -> None:
        """Without arguments: an empty graph. mutations: (input position, node), in place of the writes that the boundary
        says, for a graph that is put together by hand.
        """
        self.inputs, self.nodes, self.outputs = inputs or [], nodes or [], outputs or []
        self.name, self.boundary = name, boundary
        if mutations is not None:
            self._write(mutations)

    def _write(self, mutations: Sequence[tuple[int, Node]]) -> None:
        first, measured = self.returned, [self.outputs[m.output] for m in self.boundary.measured]
        behind = len(first) + len(mutations)
        self.outputs = [*first, *(node for _, node in mutations), *measured]
        self.boundary = replace(
            self.boundary,
            returned=len(first),
            writes=tuple((position, len(first) + k) for k, (position, _) in enumerate(mutations)),
            measured=tuple(replace(m, output=behind + k) for k, m in enumerate(self.boundary.measured)),
        )

    @property
    def returned(self) -> list[Node]:
        """The outputs that go to the caller."""
        return self.outputs[: self.boundary.returned]

    @property
    def mutations(self) -> list[tuple[int, Node]]:
        """(input position, node): after the run, the input holds the node's value."""
        return [(i, self.outputs[output]) for i, output in self.boundary.writes]

    def __str__(self) -> str:
        lines = [str(n) for n in self.nodes]
        lines += [f"input {i} <- {n!r}" for i, n in self.mutations]
        lines.append("return " + ", ".join(map(repr, self.returned)))
        return "\n".join(lines)

    @property
    def op_count(self) -> int:
        """Nodes that compute something: all but inputs, constants and numbers."""
        return sum(1 for n in self.nodes if n.op.kind not in ("input", "literal", "constant"))

    def users(self) -> dict[Node, list[Node]]:
        """Every node's readers among the graph's nodes."""
        users: dict[Node, list[Node]] = {n: [] for n in self.nodes}
        for n in self.nodes:
            for i in n.inputs:
                if i is not None:
                    users[i].append(n)
        return users

    def verify(self, ops: Mapping[str, Op] | None = None, *, decomposed: bool = False) -> None:
        """Check legality. Raises InternalError that says what is wrong where, with the nodes around it.

        Legal: nodes use what was defined before them and have names of their own; input nodes are the graph's inputs; the
        boundary's positions are in range, and it binds each symbol where it binds any. Of a node: its op is a row of `ops` (not asked
        without), its attributes are the row's, and its shape, dtype and device are what the row's meta rule gives. Strides
        may be others: front ends lay results out as eager does.
        decomposed: nor are there ops left for which another one should stand.
        """
        seen: set[Node] = set()
        names: set[str] = set()
        hints = {info.symbol: info.hint for info in self.boundary.symbols}
        bound = {*hints, *(m.symbol for m in self.boundary.measured)}
        for position, n in enumerate(self.nodes):
            bad = [i for i in n.inputs if i is not None and i not in seen]
            wrong = f"uses {bad} before definition" if bad else "repeats a name" if n.name in names else ""
            if wrong := wrong or _illegal(n, ops, decomposed, bound, hints):
                around = "\n".join(str(m) for m in self.nodes[max(0, position - 5) : position + 5])
                raise InternalError(f"[graph] node {n!r} {wrong}; around it:\n{around}")
            seen.add(n)
            names.add(n.name)
        for n in [*self.outputs, *self.inputs]:
            if n not in seen:
                raise InternalError(f"[graph] {n!r} is returned or bound but is not in the graph:{self._listing()}")
        if [n for n in self.nodes if n.op.kind == "input"] != self.inputs:
            raise InternalError(
                f"[graph] the inputs {self.inputs} are not the graph's input nodes, in order:{self._listing()}"
            )
        shapes = [
            [None if isinstance(n.meta, tuple) else n.shape for n in side] for side in (self.inputs, self.outputs)
        ]
        if wrong := self.boundary.misplaced(*shapes):
            raise InternalError(f"[graph] the boundary's {wrong}: {self.boundary}, around:{self._listing()}")

    def _listing(self) -> str:
        """The nodes and outputs, also of a graph whose boundary is no guide to them."""
        return "".join(f"\n{n}" for n in self.nodes) + f"\nreturn {self.outputs}"


def _illegal(n: Node, ops: Mapping[str, Op] | None, decomposed: bool, bound: set[Any], hints: Mapping[Any, int]) -> str:
    """What is wrong with a node, or nothing."""
    row = n.op
    if ops is not None and ops.get(row.name) is not row:
        return f"has an op {row.name!r} that is not in the table"
    try:
        full = row.bind(n.attrs)
    except TypeError as error:
        return f"has other attributes: {error}"
    # a call of the framework says of itself only what is out of the ordinary
    if row.eager != "call" and (missing := [k for k in full if k not in n.attrs]):
        return f"lacks {row.name}'s attribute {missing[0]!r}"
    if decomposed and row.decompose is not None and not n.is_dynamic:
        return f"is left where the decomposition of {row.name} should stand"
    if decomposed and row.lower is None and row.kind not in ("input", "extern") and not n.is_dynamic:
        return f"can neither be lowered nor called: {row.name}"
    metas = n.meta if isinstance(n.meta, tuple) else (n.meta,)
    free = set(symbols_in((*metas, n.attrs)))
    if bound and free - bound:  # what is put together by hand may leave its symbols open
        return f"has a size with a symbol that nothing binds: {', '.join(sorted(map(str, free - bound)))}"
    if row.kind == "input" or row.eager == "call":
        return ""  # their metas are given
    operands = [None if i is None else _at(i.meta, hints) for i in n.inputs]
    attrs = {k: _at(v, hints) for k, v in n.attrs.items()}
    if any(True for _ in symbols_in((*operands, attrs))):
        return ""  # what its rule asks of sizes that are measured is not known here
    try:
        rule = row.meta(*operands, **attrs)
    except Exception as error:
        return f"is refused by the meta rule of {row.name}: {type(error).__name__}: {error}"
    given_metas, rule_metas = ((m if isinstance(m, tuple) else (m,)) for m in (_at(n.meta, hints), rule))
    if [_kind_of(m) for m in given_metas] != [_kind_of(m) for m in rule_metas]:
        return f"is not what the meta rule of {row.name} gives: {'; '.join(map(str, rule_metas))}"
    return ""


def _kind_of(meta: TensorMeta) -> tuple[Any, ...]:
    return tuple(meta.shape), meta.dtype, meta.device


def _at(value: Any, hints: Mapping[Any, int]) -> Any:
    """A meta or an attribute with the sizes that capture saw."""
    if not hints or not any(True for _ in symbols_in(value)):
        return value
    if isinstance(value, TensorMeta):
        return replace(value, shape=_at(value.shape, hints), stride=_at(value.stride, hints))
    if isinstance(value, (tuple, list)):
        return type(value)([_at(v, hints) for v in value])
    if isinstance(value, slice):
        return slice(*_at((value.start, value.stop, value.step), hints))
    size = value.xreplace(hints)
    return int(size) if isinstance(size, int) or size.is_Integer else size


class GraphBuilder:
    """Appends nodes to a graph; metas come from the op table.

    Used by capture (nodes at the user's level) and by decompositions (`b.call("exp", x)`).
    Raises whatever the op's meta rule raises for bad arguments: the same kind of error as eager's.
    """

    def __init__(self, ops: Mapping[str, Op], graph: Graph | None = None) -> None:
        self.ops = ops
        self.graph = graph if graph is not None else Graph()
        self._counters: dict[str, Iterator[int]] = {}
        self._taken = {n.name for n in self.graph.nodes}
        self.loc: SourceLocation | None = None
        #: where the program stands; asked for each node when set, else `loc` is taken
        self.locate: Callable[[], SourceLocation | None] | None = None
        self.origin = ""
        self.grad = True
        self.library = ""

    def fresh_name(self, stem: str) -> str:
        """`stem`, then `stem_1`, `stem_2`, ... unique within the graph."""
        counter = self._counters.setdefault(stem, itertools.count())
        while True:
            k = next(counter)
            name = stem if k == 0 else f"{stem}_{k}"
            if name not in self._taken:
                self._taken.add(name)
                return name

    @contextlib.contextmanager
    def of_library(self, library: str) -> Iterator[None]:
        """Inside, nodes are calls of this framework's functions ("": of the graph's own)."""
        before, self.library = self.library, library
        try:
            yield
        finally:
            self.library = before

    def input(self, meta: TensorMeta, name: str = "arg") -> Node:
        """Append a graph input."""
        node = Node(self.ops["input"], (), {}, meta, self.fresh_name(name), self.loc)
        self.graph.inputs.append(node)
        self.graph.nodes.append(node)
        return node

    def call(self, op: str, *inputs: Node | None, **attrs: Any) -> Node:
        """Append `op(*inputs, **attrs)`; its meta comes from the table.

        Raises KeyError for an op that is not in the table, and the meta rule's own errors.
        """
        row = self.ops[op]
        full = row.bind(attrs)
        meta = row.meta(*[None if i is None else i.meta for i in inputs], **full)
        return self.append(row, inputs, full, meta)

    def append(self, row: Op, inputs: Sequence[Node | None], attrs: Mapping[str, Any], meta: TensorMeta) -> Node:
        """Append a node whose meta is already known (extern nodes, rewrites)."""
        name = self.fresh_name(row.name)
        loc = self.loc if self.locate is None else self.locate()
        node = Node(row, tuple(inputs), dict(attrs), meta, name, loc, self.origin or row.name, self.grad, self.library)
        self.graph.nodes.append(node)
        return node

    def __getattr__(self, op: str) -> Callable[..., Node]:
        """`b.exp(x)` is `b.call("exp", x)`: decompositions read like the maths."""
        if op.startswith("_") or op not in self.ops:
            raise AttributeError(f"no op {op!r} in the table")
        return lambda *inputs, **attrs: self.call(op, *inputs, **attrs)
