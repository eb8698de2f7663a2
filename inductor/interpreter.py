"""The graph's interpreter: runs a graph op by op with the framework's own functions. The eager backend is this."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import LoweringError
from .boundary import SymbolInfo
from .graph import ExternRef, Graph, Node
from .runtime import Runtime, write_all
from .sizes import evaluator


@dataclass(frozen=True)
class Step:
    """A part of a run.

    grad:    False where the program had turned gradient recording off
    run:     (values by node, sizes by symbol) -> the value that it makes, or a sequence of them
    several: whether it gives a sequence
    """

    makes: tuple[Node, ...]
    reads: tuple[Node, ...]
    grad: bool
    run: Callable[[dict[Node, Any], dict[str, int]], Any]
    several: bool = False


def interpret(graph: Graph, runtime: Runtime) -> Callable[..., list[Any]]:
    """A callable over the graph's inputs (arrays, then ints). It writes the graph's mutations into them and returns the
    outputs in order. Raises LoweringError at once for an op that the framework does not have.
    """
    return run_in_steps(graph, runtime, _steps_of(graph, runtime))


def call_of(graph: Graph, runtime: Runtime) -> Callable[..., list[Any]]:
    """As `interpret`, where the caller decides whether gradients are recorded. The graph writes to nothing."""
    return _computing(graph, runtime, _steps_of(graph, runtime), False)


def _steps_of(graph: Graph, runtime: Runtime) -> list[Step]:
    return [
        Step((n,), tuple(i for i in n.inputs if i is not None), n.grad, step_of(n, runtime))
        for n in graph.nodes
        if n.op.kind != "input"
    ]


def run_in_steps(graph: Graph, runtime: Runtime, steps: Sequence[Step]) -> Callable[..., list[Any]]:
    """As `interpret`, in these steps, each of which comes behind those that make what it reads."""
    records = graph.boundary.gradients is not None
    compute = _computing(graph, runtime, steps, records)

    def run(*inputs: Any) -> list[Any]:
        before = runtime.set_grad(records)
        try:
            return compute(*inputs)
        finally:
            runtime.set_grad(before)

    return runtime.noting(run, graph.boundary.float_errors)


def _computing(graph: Graph, runtime: Runtime, steps: Sequence[Step], records: bool) -> Callable[..., list[Any]]:
    """What runs the steps. records: whether each is run with gradients on or off, as it says"""
    boundary = graph.boundary
    symbols = {info.symbol.name: info for info in boundary.symbols}
    last_use: dict[Node, int] = {}
    for position, step in enumerate(steps):
        for used in (*step.reads, *step.makes):
            last_use[used] = position
    measured: dict[Node, list[tuple[str, int | None]]] = {}
    for m in boundary.measured:
        measured.setdefault(graph.outputs[m.output], []).append((m.symbol.name, m.dim))
    returned, mutations = graph.returned, graph.mutations
    keep = {*graph.outputs, *graph.inputs}
    dead: dict[int, list[Node]] = {}
    for node, position in last_use.items():
        if node not in keep:
            dead.setdefault(position, []).append(node)
    alone = [step.makes[0] if len(step.makes) == 1 and not step.several else None for step in steps]

    def compute(*inputs: Any) -> list[Any]:
        values: dict[Node, Any] = dict(zip(graph.inputs, inputs))
        sizes = {name: _size(info, inputs) for name, info in symbols.items()}
        for position, step in enumerate(steps):
            if records:
                runtime.set_grad(step.grad)
            made = step.run(values, sizes)
            node = alone[position]
            if node is None:
                values.update(zip(step.makes, made))
            else:
                values[node] = made
                for name, dim in measured.get(node, ()):
                    sizes[name] = made if dim is None else made.shape[dim]
            for gone in dead.get(position, ()):
                values.pop(gone, None)
        outputs = [values[node] for node in returned]
        write_all(runtime.copy_, [(inputs[position], values[node]) for position, node in mutations])
        return outputs

    return compute


def _size(info: SymbolInfo, inputs: Sequence[Any]) -> int:
    if info.dim is None:
        return inputs[info.input]
    return inputs[info.input].shape[info.dim]


Run = Callable[[dict[Node, Any], dict[str, int]], Any]


def step_of(node: Node, runtime: Runtime) -> Run:
    """How one node is computed from the values before it, and from the sizes' symbols by name."""
    if node.op.eager == "call":
        return _extern_step(node, runtime)
    if node.op.eager == "pick":
        source, index = node.inputs[0], node.attrs["index"]
        return lambda values, sizes: values[source][index]  # type: ignore[index]
    foreign = node.library not in ("", runtime.name)
    try:
        call = runtime.run_op(node.op.name, node.library) if foreign else runtime.run_op(node.op.name)
    except KeyError:
        raise LoweringError(f"[interpreter] the framework has no {node.op.name!r}; node: {node}") from None
    decides = runtime.graph_decides_layouts or foreign
    if node.op.kind == "extern" or (decides and node.op.kind != "view"):
        return settled(_called(node, call), node, runtime)
    return _called(node, call)


def _called(node: Node, call: Callable[..., Any]) -> Run:
    attrs = dict(node.attrs)
    inputs = node.inputs
    if any(_symbolic(v) for v in attrs.values()):
        return lambda values, sizes: call(*[None if i is None else values[i] for i in inputs], **concrete(attrs, sizes))
    return lambda values, sizes: call(*[None if i is None else values[i] for i in inputs], **attrs)


def settled(step: Run, node: Node, runtime: Runtime) -> Run:
    """A step whose result lies in memory as the graph says, should the framework have chosen otherwise."""
    if isinstance(node.meta, tuple):
        several = [m.stride for m in node.meta]
        return lambda values, sizes: tuple(map(runtime.laid_out, step(values, sizes), concrete(several, sizes)))
    stride = node.meta.stride
    if node.meta.weak:  # a Python number
        return step
    if _symbolic(stride):
        return lambda values, sizes: runtime.laid_out(step(values, sizes), concrete(stride, sizes))
    return lambda values, sizes: runtime.laid_out(step(values, sizes), stride)


def _extern_step(node: Node, runtime: Runtime) -> Run:
    call = runtime.run_op("extern")
    attrs, inputs = dict(node.attrs), node.inputs
    fixed = not any(_symbolic(v) for v in attrs.values())

    def step(values: dict[Node, Any], sizes: dict[str, int]) -> Any:
        given = attrs if fixed else concrete(attrs, sizes)
        return call(*[None if i is None else values[i] for i in inputs], **given)

    return step


def _symbolic(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_symbolic(v) for v in value)
    if isinstance(value, ExternRef):
        return _symbolic(value.args) or _symbolic(value.kwargs)
    if isinstance(value, slice):
        return _symbolic((value.start, value.stop, value.step))
    return hasattr(value, "free_symbols")


def concrete(value: Any, sizes: dict[str, int]) -> Any:
    """A static argument with the sizes of this call in place of symbols."""
    if isinstance(value, dict):
        return {k: concrete(v, sizes) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(concrete(v, sizes) for v in value)
    if isinstance(value, ExternRef) and _symbolic(value):
        return ExternRef(value.target, concrete(value.args, sizes), concrete(value.kwargs, sizes))
    if isinstance(value, slice):
        return slice(*(concrete(v, sizes) for v in (value.start, value.stop, value.step)))
    if hasattr(value, "free_symbols"):
        return _evaluator(value)(sizes)
    return value


_evaluator = functools.lru_cache(4096)(evaluator)
