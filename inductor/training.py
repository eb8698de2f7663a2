"""How a graph runs where gradients are wanted: in parts, of which the framework sees each as one function that it can differentiate.

A part is what generated code computes, forward and backward (`differentiate`, `partition`). What has no rule stays a call of the
framework between two parts, which differentiates it itself. Where the graph is split is `parts`' business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..config import Options, config
from ..errors import QuernError, warn
from .boundary import Boundary
from .checks import check_requirements
from .compile import compile_graph
from .differentiate import Joint, differentiate
from .executable import CompileRecord, Differentiated, Executable
from .graph import Graph, Node, symbols_in
from .interpreter import Step, call_of, interpret, run_in_steps, settled, step_of
from .ops import OPS
from .partition import Names, Parts, Saved, Unsaved, backward_from, partition
from .parts import Part, Split, graph_of, is_float, is_free, split, unordered, wanting
from .passes import draw_apart
from .runtime import Runtime

#: what runs a graph: (tensors, ints) -> its outputs
Call = Callable[..., Sequence[Any]]
#: (graph, whether its call takes a list and empties it) -> its call
Compiling = Callable[..., Call]


def compile_for_gradients(graph: Graph, runtime: Runtime, options: Options, *, label: str = "") -> Executable:
    """What runs a graph whose boundary wants gradients. Raises LoweringError, CompilerNotFound or CompilerFailed."""
    records: list[CompileRecord] = []
    graph = draw_apart(graph, OPS)

    def compiling(part: Graph, consumes: bool = False) -> Call:
        made = compile_graph(part, runtime, options, label=label, consumes=consumes)
        records.extend(made.records)
        return made.call

    reason = unordered(graph)
    if reason:
        alone = Split((), frozenset(wanting(graph)), {})
        return Executable(interpret(graph, runtime), _differentiated(graph, alone, records, reason))
    found = split(graph)
    steps = [_part_step(graph, part, found, runtime, compiling) for part in found.parts]
    in_order = _in_order(graph, found, steps, runtime)
    return Executable(run_in_steps(graph, runtime, in_order), _differentiated(graph, found, records))


def _differentiated(graph: Graph, found: Split, records: list[CompileRecord], why: str = "") -> Differentiated:
    inside = {n for part in found.parts for n in part.nodes}
    ops = [
        n for n in graph.nodes if n in found.wants and n.op.kind != "input" and not is_free(n) and n.op.eager != "pick"
    ]
    return Differentiated(
        len(found.parts), sum(n in inside for n in ops), tuple(n.op.name for n in ops if n not in inside), why, records
    )


# --------------------------------------------------------------------------- a part


@dataclass
class Generated:
    """A part that runs, forward and backward.

    forward:  (tensors, ints) -> its outputs, then what more is saved
    saved:    what the backward function needs, in order
    outputs:  how many outputs it has
    given:    the outputs that gradients may come for
    wants:    the inputs that gradients go to
    again:    (tensors, ints) -> the outputs, op by op through the framework, which differentiates that to any order
    """

    forward: Call
    saved: tuple[Saved, ...]
    outputs: int
    given: tuple[int, ...]
    wants: tuple[int, ...]
    again: Call
    _source: _Source
    _backward: dict[tuple[int, ...], tuple[Call, tuple[int, ...]] | None] = field(default_factory=dict)

    def backward(self, given: tuple[int, ...]) -> tuple[Call, tuple[int, ...]] | None:
        """For gradients of these outputs: (a list of saved tensors, then these gradients, then ints, which is emptied) -> gradients of
        inputs, and which inputs these are. None where only the framework can do it, from `again`.
        """
        if given not in self._backward:
            self._backward[given] = self.compile_backward(given)
        return self._backward[given]

    def compile_backward(self, given: tuple[int, ...]) -> tuple[Call, tuple[int, ...]] | None:
        """As `backward`, anew. Raises what the compiler raises where `config.on_error` asks for that."""
        try:
            return self._source.backward(given)
        except QuernError as error:
            if config.on_error == "raise":
                raise
            warn(
                f"quern: a backward pass was not compiled and is left to the framework\n  {type(error).__name__}: {error}"
            )
            return None


@dataclass(frozen=True)
class _Source:
    """What a part's backward functions are made of.

    graph:  the part's own
    inputs: those that may want gradients
    parts:  the joint graph in two; saved, names: what the first saves, and what values are called
    """

    graph: Graph
    inputs: tuple[int, ...]
    joint: Joint
    parts: Parts
    saved: tuple[int, ...]
    names: Names
    compiling: Compiling

    def backward(self, given: tuple[int, ...]) -> tuple[Call, tuple[int, ...]] | None:
        if given == self.joint.given:
            return self.compiling(self.parts.backward, True), self.parts.gradients
        boundary = self.graph.boundary
        if boundary.symbols:
            return None
        fewer = differentiate(self.graph, OPS, self.inputs, given)
        try:
            behind = backward_from(fewer, OPS, boundary, self.saved, self.names)
        except Unsaved:
            return None
        return self.compiling(behind, True), fewer.gradients


def _generated(
    own: Graph, inputs: tuple[int, ...], given: tuple[int, ...], runtime: Runtime, compiling: Compiling
) -> Generated:
    """A part's graph as what runs it."""
    checked = check_requirements(own, OPS)
    joint = differentiate(checked, OPS, inputs, given)
    parts, saved, names = partition(joint, OPS, own.boundary)
    return Generated(
        forward=compiling(parts.forward),
        saved=parts.saved,
        outputs=len(own.outputs),
        given=given,
        wants=joint.gradients,
        again=call_of(own, runtime),
        _source=_Source(checked, inputs, joint, parts, saved, names, compiling),
    )


def _part_step(graph: Graph, part: Part, found: Split, runtime: Runtime, compiling: Compiling) -> Step:
    own = graph_of(graph, part)
    used = {s for n in own.nodes for s in symbols_in((n.meta, n.attrs))}
    symbols = [s for s in graph.boundary.symbols if s.symbol in used]
    names = tuple(s.symbol.name for s in symbols)
    own.boundary = Boundary(
        symbols=tuple(replace(s, input=len(own.inputs) + k, dim=None) for k, s in enumerate(symbols)),
        int_inputs=names,
        framework=graph.boundary.framework,
    )
    given = tuple(i for i, n in enumerate(part.outputs) if n in found.wants)
    if given:
        inputs = tuple(i for i, n in enumerate(part.inputs) if n in found.wants and is_float(n))
        generated = _generated(own, inputs, given, runtime, compiling)
        if symbols:  # what it concludes of sizes is guarded while the program is captured
            generated.backward(given)
        call = runtime.differentiable(generated)
    else:
        call = compiling(own)

    def run(values: Mapping[Node, Any], sizes: Mapping[str, int]) -> Sequence[Any]:
        return call(*[values[i] for i in part.inputs], *[sizes[name] for name in names])

    # what the program computed unrecorded is so here too, though what it reads requires gradients
    recorded = bool(given) or all(n.grad for n in part.nodes)
    return Step(part.outputs, part.inputs, recorded, run, True)


# --------------------------------------------------------------------------- all of them


def _in_order(graph: Graph, found: Split, parts: Sequence[Step], runtime: Runtime) -> list[Step]:
    """Parts, and what the framework runs, by turns: within one, a part before the views of what it makes."""
    inside = {n for part in found.parts for n in part.nodes if not is_free(n)}
    read = {i for part in found.parts for i in part.inputs}
    needed = {*graph.outputs, *read}
    order = {n: k for k, n in enumerate(graph.nodes)}
    steps = [((part.turn, 0, 0), step) for part, step in zip(found.parts, parts)]
    for n in reversed(graph.nodes):
        if n.op.kind == "input" or n in inside:
            continue
        if n in needed or n.effects or n.op.raises or n.attrs.get("raises") or not is_free(n):
            inputs = tuple(i for i in n.inputs if i is not None)
            needed.update(inputs)
            run = step_of(n, runtime)
            if n in read and not is_free(n) and n.op.eager != "call":
                run = settled(run, n, runtime)
            steps.append(((found.turns[n], 1, order[n]), Step((n,), inputs, n.grad, run)))
    return [step for _, step in sorted(steps, key=lambda item: item[0])]
