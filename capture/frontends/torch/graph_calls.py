"""A graph of quern as a graph of torch, node by node: what backends are given of programs that are not recorded call by call.

Each op is a call of the function that does it in eager. What NumPy does is a call of one operator, `quern::numpy`, into whose
arrays nobody can look: whoever traces the module (`make_fx`, `aot_autograd`) finds that call, and not the numbers it gave once.
"""

from __future__ import annotations

import functools
import itertools
import operator
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.fx

from ....inductor.graph import Graph, Node, TensorMeta, symbols_in
from ....inductor.interpreter import concrete, step_of
from .array_memory import numpy_runtime
from .dtypes import to_torch
from .runtime import TorchRuntime


class Built:
    """A graph of torch in the making.

    inputs: its placeholders with what is known of them: a tensor's meta, a symbol, or a number
    held:   what must live as long as what a backend makes of the graph
    """

    def __init__(self) -> None:
        self.graph = torch.fx.Graph()
        self.held: list[Any] = []
        self.inputs: list[tuple[torch.fx.Node, Any]] = []
        self.names: set[str] = set()

    def take(self, label: str, known: Any) -> torch.fx.Node:
        name = stem = "".join(c if c.isalnum() else "_" for c in label)
        while name in self.names:
            name = f"{stem}{len(self.names)}"
        self.names.add(name)
        node = self.graph.placeholder(name)
        self.inputs.append((node, known))
        return node


def of_graph(graph: Graph, runtime: TorchRuntime) -> Built:
    """The calls of a graph, under the modes of the moment."""
    return _Writer(graph, runtime).built


class _Writer:
    """Writes a graph's nodes as calls."""

    def __init__(self, graph: Graph, runtime: TorchRuntime) -> None:
        self.built = Built()
        self.runtime = runtime
        self.boundary = graph.boundary
        self.records = graph.boundary.gradients is not None
        self.grad = self.entered = torch.is_grad_enabled()
        self.values: dict[Node, torch.fx.Node] = {}
        self.sizes: dict[str, torch.fx.Node] = {}
        self._inputs(graph)
        measured: dict[Node, list[tuple[str, int | None]]] = {}
        for m in self.boundary.measured:
            measured.setdefault(graph.outputs[m.output], []).append((m.symbol.name, m.dim))
        for node in graph.nodes:
            if node.op.kind != "input":
                self.values[node] = self._written(node)
            for name, dim in measured.get(node, ()):
                self.sizes[name] = self._measured(self.values[node], dim)
        self._writes(graph)
        self.built.graph.output(tuple(self.values[node] for node in graph.returned))

    def _inputs(self, graph: Graph) -> None:
        for node in graph.inputs:
            self.values[node] = self.built.take(f"L_{node.name}_", node.meta)
        symbols = {s.symbol.name: s.symbol for s in self.boundary.symbols}
        ints = [self.built.take(name, symbols[name]) for name in self.boundary.int_inputs]
        given = [*(self.values[node] for node in graph.inputs), *ints]
        for info in self.boundary.symbols:
            self.sizes[info.symbol.name] = self._measured(given[info.input], info.dim)

    def _measured(self, value: torch.fx.Node, dim: int | None) -> torch.fx.Node:
        return value if dim is None else self.built.graph.call_method("size", (value, dim))

    def _written(self, node: Node) -> torch.fx.Node:
        graph = self.built.graph
        operands = [None if n is None else self.values[n] for n in node.inputs]
        if node.op.eager == "pick":
            return graph.call_function(operator.getitem, (operands[0], node.attrs["index"]))
        if self.records:
            self._set_grad(node.grad)
        names = sorted({s.name for s in symbols_in((node.attrs, node.meta)) if s.name in self.sizes})
        sizes = [self.sizes[name] for name in names]
        if node.library != "numpy":
            return graph.call_function(_called(node, self.runtime, names), (*operands, *sizes))
        call = _NumpyCall(node, self.runtime, names, self.boundary.float_errors)
        self.built.held.append(call)
        return graph.call_function(_as_function(call, node.op.name), (*operands, *sizes))

    def _writes(self, graph: Graph) -> None:
        """What the run leaves in its inputs, of which autograd is told nothing."""
        if graph.mutations:
            self._set_grad(False)
        for position, node in graph.mutations:
            self.built.graph.call_method("copy_", (self.values[graph.inputs[position]], self.values[node]))
        self._set_grad(self.entered)

    def _set_grad(self, mode: bool) -> None:
        if mode != self.grad:
            self.built.graph.call_function(torch._C._set_grad_enabled, (mode,))
            self.grad = mode


def _called(node: Node, runtime: TorchRuntime, names: Sequence[str]) -> Callable[..., Any]:
    """A node as a function of its operands, then of the sizes it mentions."""
    step, operands = step_of(node, runtime), node.inputs

    def call(*given: Any) -> Any:
        values = {n: x for n, x in zip(operands, given) if n is not None}
        return step(values, dict(zip(names, given[len(operands) :])))

    return _as_function(call, node.op.name)


def _as_function(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A callable under a name that code can have, and that is nobody's place."""

    def function(*given: Any) -> Any:
        return call(*given)

    function.__name__ = function.__qualname__ = name
    function.__module__ = __name__
    return function


# ------------------------------------------------------------------ what NumPy does

#: the calls in use by their numbers, by which the operator finds them
_calls: weakref.WeakValueDictionary[int, _NumpyCall] = weakref.WeakValueDictionary()
_numbers = itertools.count()


class _NumpyCall:
    """A node that NumPy computes, as a function of its operands, then of the sizes it mentions."""

    def __init__(self, node: Node, runtime: TorchRuntime, names: Sequence[str], errors: int) -> None:
        self.operands, self.names = node.inputs, names
        self.metas: tuple[TensorMeta, ...] = node.meta if isinstance(node.meta, tuple) else (node.meta,)
        self.several = isinstance(node.meta, tuple)
        step = step_of(node, runtime)
        self.step = numpy_runtime().noting(step, errors) if errors else step
        self.number = next(_numbers)
        _calls[self.number] = self

    def __call__(self, *given: Any) -> Any:
        operands, sizes = given[: len(self.operands)], given[len(self.operands) :]
        kinds = "".join("t" if isinstance(x, torch.Tensor) else "n" if x is not None else "-" for x in operands)
        tensors = [x if k == "t" else torch.scalar_tensor(x) for k, x in zip(kinds, operands) if k != "-"]
        made = _operator()[0](tensors, list(sizes), kinds, self.number)
        return tuple(made) if self.several else made[0]

    def compute(self, tensors: Sequence[torch.Tensor], sizes: Sequence[int], kinds: str) -> list[torch.Tensor]:
        waiting = iter(tensors)
        given = [None if k == "-" else next(waiting) if k == "t" else next(waiting).item() for k in kinds]
        values = {n: x for n, x in zip(self.operands, given) if n is not None}
        made = self.step(values, dict(zip(self.names, sizes)))
        found = list(made) if self.several else [made]
        held = {x.untyped_storage().data_ptr() for x in tensors}
        return [
            x.clone() if x.untyped_storage().data_ptr() in held else x for x in found
        ]  # an operator gives new memory

    def foreseen(self, sizes: Sequence[Any]) -> list[torch.Tensor]:
        """Tensors like those that it will give."""
        known = dict(zip(self.names, sizes))
        return [
            torch.empty_strided(concrete(m.shape, known), concrete(m.stride, known), dtype=to_torch(m.dtype))
            for m in self.metas
        ]


@functools.cache
def _operator() -> tuple[Any, torch.library.Library]:
    """`quern::numpy`, of operands, sizes, which of the operands are numbers, and the call's number; and what keeps it defined."""
    library = torch.library.Library("quern", "FRAGMENT")
    library.define("numpy(Tensor[] operands, SymInt[] sizes, str kinds, int call) -> Tensor[]")
    library.impl("numpy", lambda operands, sizes, kinds, call: _calls[call].compute(operands, sizes, kinds),
                 "CompositeExplicitAutograd")  # fmt: skip
    torch.library.register_fake(
        "quern::numpy", lambda operands, sizes, kinds, call: _calls[call].foreseen(sizes), lib=library
    )
    return torch.ops.quern.numpy.default, library
