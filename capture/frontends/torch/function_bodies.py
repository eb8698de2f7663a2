"""Functions that the framework is to call, captured on the side: their nodes become a callable over tensors.

What such a function is given stands in it as placeholders. What it uses from outside is found among the operands of its
nodes, and handed in beside its arguments, so guards, writes and gradients see it as they see any operand of the graph.
"""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.utils._pytree as pytree
from torch._subclasses.fake_tensor import DataDependentOutputException

from ....inductor.boundary import Boundary, Gradients, SymbolInfo
from ....inductor.graph import Graph, Input, Node, TensorMeta, symbols_in
from ....inductor.interpreter import interpret
from ....inductor.ops import OPS
from ....inductor.ops.literals import NUMBER
from ...breaks import UserRaise
from ...values.base import Kwargs, Value
from ...values.constant import ConstantValue
from ...values.mappings import DictValue
from ...values.sequences import ListValue, TupleValue
from ...values.tensor import ArrayValue
from .context import above
from .recording import unrecordable
from .results import ReturnTypeValue
from .runtime import TorchRuntime
from .segments import Segment
from .state import counts_a_write, gradients, state_of

if TYPE_CHECKING:
    from ...values.base import Machine


@dataclass(frozen=True)
class Kept:
    """In a tree: the `index`-th of what is no tensor. The framework hands it through."""

    index: int


@dataclass
class Leaves:
    """What stands at the leaves of trees: tensors, as `Input`s, and other Values, as `Kept`s."""

    arrays: list[ArrayValue] = field(default_factory=list)
    kept: list[Value] = field(default_factory=list)

    def at(self, leaf: Any) -> Value:
        """The Value for a leaf."""
        if isinstance(leaf, Input):
            return self.arrays[leaf.index]
        if isinstance(leaf, Kept):
            return self.kept[leaf.index]
        return leaf if isinstance(leaf, Value) else ConstantValue(leaf)


# ------------------------------------------------------------------ trees

_DICTS = (dict, collections.OrderedDict)


def to_tree(ev: Machine, value: Value, leaves: Leaves) -> Any:
    """A Value as a Python tree, as the framework takes trees apart."""
    if isinstance(value, ArrayValue):
        leaves.arrays.append(value)
        return Input(len(leaves.arrays) - 1)
    cls, inside = value.python_type(), ev.payload(value)
    if cls not in pytree.SUPPORTED_NODES and not pytree.is_namedtuple_class(cls) or value.is_constant:
        leaves.kept.append(value)
        return Kept(len(leaves.kept) - 1)
    if isinstance(inside, (TupleValue, ListValue)):
        parts = [to_tree(ev, v, leaves) for v in inside.items(ev)]
        return cls(*parts) if pytree.is_namedtuple_class(cls) else cls(parts)
    if isinstance(inside, DictValue) and cls in _DICTS:
        return cls([(k.as_constant(), to_tree(ev, v, leaves)) for k, v in ev.mapping_pairs(value)])
    raise ev.break_("tree", f"{value.describe()} in a tree of tensors", "it is not known how it is taken apart")


def to_value(ev: Machine, tree: Any, leaf: Callable[[Any], Value]) -> Value:
    """A Python tree as a Value; `leaf` gives the Values of its leaves."""
    cls = type(tree)
    if cls is tuple:
        return TupleValue([to_value(ev, t, leaf) for t in tree])
    if cls is list:
        return ListValue([to_value(ev, t, leaf) for t in tree])
    if cls in _DICTS:
        return DictValue([(k, to_value(ev, t, leaf)) for k, t in tree.items()], cls=cls)
    if pytree.is_namedtuple_class(cls):
        return ev.call_function(cls, [to_value(ev, t, leaf) for t in tree])
    if cls.__module__ == "torch.return_types":
        return ReturnTypeValue(cls, [to_value(ev, t, leaf) for t in tree])
    if cls in pytree.SUPPORTED_NODES:
        raise ev.break_("tree", f"a {cls.__name__} in a tree of tensors", "it is not known how it is put together")
    return leaf(tree)


# ------------------------------------------------------------------ bodies


class _Inside(TorchRuntime):
    """The runtime of a body: its tensors may be the framework's wrappers, whose memory nobody may look at."""

    def laid_out(self, array: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
        return array

    def run_op(self, op: str, library: str = "") -> Callable[..., Any]:
        own = _INSIDE.get(op)
        return super().run_op(op, library) if own is None else own

    def _run_extern(self, *arrays: Any, writes: tuple[int, ...] = (), **attrs: Any) -> Any:
        attrs["strides"] = attrs["shapes"] = attrs["dtypes"] = attrs["own"] = None
        if attrs["ref"].target == "torch:Tensor.item":
            return _number(*arrays)
        arrays = tuple(x.clone() if i in writes else x for i, x in enumerate(arrays))
        return super()._run_extern(*arrays, writes=writes, copies=False, **attrs)


def _as_it_is(x: torch.Tensor, *, stride: Any) -> torch.Tensor:
    return x


def _number(x: torch.Tensor, *, fits: Any = None) -> Any:
    """What `x` holds; for a stand-in, some number."""
    try:
        return x.item()
    except DataDependentOutputException:
        return 1.0 if x.is_floating_point() else x.dtype != torch.bool and 1


def _reshaped(x: torch.Tensor, *, shape: Any) -> torch.Tensor:
    """A view, where the memory of all examples together allows it: capture looked at one of them."""
    return x.reshape(shape)


def _select_scatter(x: torch.Tensor, src: torch.Tensor, *, dim: int, index: int) -> torch.Tensor:
    """torch's own, mapped over a dimension, has a wrong derivative: it counts each example once for each of them."""
    place = index % x.shape[dim]
    return torch.slice_scatter(x, src.unsqueeze(dim), dim, place, place + 1)


_INSIDE: dict[str, Callable[..., Any]] = {
    "restride": _as_it_is, "number": _number, "view": _reshaped, "select_scatter": _select_scatter,
}  # fmt: skip


@dataclass(frozen=True)
class Body:
    """A captured function.

    run:      (tensors of its arguments, then what it uses from outside, then its symbols' values) -> tensors
    free:     the nodes that it uses from outside
    symbols:  of the sizes in it
    result:   the tree of what it returns; `Input(i)` is the i-th tensor that `run` gives
    effects:  it draws random numbers, or has other effects of its own
    metas:    of the tensors that `run` gives
    """

    run: Callable[..., list[Any]]
    free: tuple[Node, ...]
    symbols: tuple[Any, ...]
    result: Any
    effects: bool
    metas: tuple[TensorMeta, ...]

    def numbers(self, tensors: Sequence[Any]) -> list[Any]:
        """What it uses from outside, with Python numbers where its nodes are numbers and stand-ins were given."""
        return [
            (1.0 if n.dtype.is_float else 1) if n.meta.weak and isinstance(t, torch.Tensor) else t
            for n, t in zip(self.free, tensors)
        ]


def placeholder(ev: Machine, meta: TensorMeta, requires_grad: bool) -> ArrayValue:
    """A tensor that a body will be given."""
    node = Node(OPS["input"], (), {}, meta, ev.builder.fresh_name("inner"))
    state_of(ev).differentiated[node] = requires_grad
    return above.tensor.new(node, frozen="it is an argument of a function that the framework calls")


def capture_body(
    ev: Machine, what: str, function: Value, args: Sequence[Value], kwargs: Kwargs, given: Sequence[ArrayValue],
    kept: list[Value], records: bool = False, differentiates: bool = False,
) -> Body:  # fmt: skip
    """Capture a call of `function`, whose tensor arguments are the placeholders `given`. What it returns that is no tensor is
    appended to `kept`. records: with gradients on; differentiates: out of inference mode.
    """
    unrecordable(ev)
    state = state_of(ev)
    segment = Segment(ev)
    outs = Leaves(kept=kept)
    try:
        with _apart(ev, records, differentiates), state.body(segment):
            result = to_tree(ev, ev.call(function, args, kwargs), outs)
            made = [array.node(ev) for array in outs.arrays]
    except UserRaise:
        segment.take(what)
        raise
    taken = segment.take(what)
    ev.graph.nodes += [n for n in taken if n.op is NUMBER]  # read once, whoever uses them
    nodes = [n for n in taken if n.op is not NUMBER]
    places = [array.node(ev) for array in given]
    inside = {*nodes, *places}
    _check(ev, what, nodes)
    operands = [i for n in nodes for i in n.inputs if i is not None]
    free = tuple(dict.fromkeys(n for n in [*operands, *made] if n not in inside))
    found = {s.name: s for n in [*nodes, *places] for s in symbols_in((n.meta, n.attrs))}
    symbols = tuple(found[name] for name in sorted(found))
    inputs = [*places, *free]
    infos = tuple(SymbolInfo(s, len(inputs) + i, None, ev.symbols.hint(s)) for i, s in enumerate(symbols))
    graph = Graph(inputs, list(nodes), made, what, Boundary(symbols=infos, gradients=Gradients((), ())))
    ev.seal(inside)
    effects = any(n.effects and not counts_a_write(n) for n in nodes)
    return Body(interpret(graph, _Inside()), free, symbols, result, effects, tuple(n.meta for n in made))


@contextlib.contextmanager
def _apart(ev: Machine, records: bool, differentiates: bool) -> Iterator[None]:
    """What is kept of computed values inside is not used outside."""
    state = state_of(ev)
    cache, positions, slices = state.autocast_cache, state.positions, state.slices
    state.autocast_cache, state.positions, state.slices = {}, {}, {}
    try:
        with state.out_of_inference(differentiates), gradients(ev, records or state.grad):
            yield
    finally:
        state.autocast_cache, state.positions, state.slices = cache, positions, slices


def _check(ev: Machine, what: str, nodes: Sequence[Node]) -> None:
    inside = set(nodes)
    if any(node in inside for _, node, _ in ev.boundary.measured):
        raise ev.break_("body-size", f"a size that depends on the data inside of a function given to {what}")
    if any((o := n.op.operand(k)).part and o.memory for n in nodes for k in range(len(n.inputs))):
        raise ev.break_(
            "body-layout", f"a view by its strides inside of a function given to {what}", "its tensors may be laid out otherwise",
            "use views by dimensions",
        )  # fmt: skip
