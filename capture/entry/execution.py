"""How a captured graph runs. Everything that is decided about gradients and about running op by op is decided here.

    nothing to compute                  no executable, or one that hands inputs on
    a backend of the user's             what that gives; it is asked for each graph with a call of the framework
    another backend than "inductor"     what that backend gives
    the boundary says why               op by op
    gradients are wanted                generated parts, each a function that the framework differentiates (`inductor.training`)
    else                                generated kernels

Around all of them: the framework's modes that must not reach the graph are switched off; where a graph raises and its program is
run again, random numbers are drawn anew, and the program's own operators give what they gave.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...config import config
from ...inductor.checks import drawn_before_raising, may_raise
from ...inductor.compile import compile_graph
from ...inductor.executable import Executable
from ...inductor.graph import Graph
from ...inductor.interpreter import interpret
from ...inductor.ops import OPS
from ...inductor.training import compile_for_gradients
from .backend import Backend, BackendContext


def executable_of(graph: Graph, backend: Backend, examples: Sequence[Any], context: BackendContext) -> Executable:
    """What runs a graph that does something. Raises what the backend raises."""
    if config.verify:
        graph.verify(OPS)
    made = backend(graph, examples, context)
    executable = made if isinstance(made, Executable) else Executable(made)
    if context.frontend is None:
        return executable
    runtime, isolated = context.frontend.runtime, graph.boundary.isolated
    if isolated and context.program is None:
        executable = executable.around(lambda run: runtime.isolate(run, isolated))
    drawn = drawn_before_raising(graph)
    if drawn:
        executable = executable.around(lambda run: runtime.replayable(run, drawn))
    frontend = context.frontend
    return executable.around(lambda run: frontend.remembering(graph, run))


def does_something(graph: Graph) -> bool:
    """Whether a graph must be run: it has outputs, it writes, or an op of it has effects or may raise."""
    return bool(graph.outputs or any(n.effects or may_raise(n) for n in graph.nodes))


def handing_on(graph: Graph) -> Executable | None:
    """For a graph that computes nothing: what gives its inputs back."""
    where = {node: i for i, node in enumerate(graph.inputs)}
    if graph.op_count or graph.boundary.writes or not all(node in where for node in graph.outputs):
        return None
    positions = [where[node] for node in graph.returned]
    return Executable(lambda *inputs: [inputs[i] for i in positions])


# ---------------------------------------------------------------- the built-in backends


def inductor_backend(graph: Graph, example_inputs: Sequence[Any], context: BackendContext) -> Executable:
    """The compiling backend. Raises LoweringError, CompilerNotFound or CompilerFailed."""
    assert context.frontend is not None
    if graph.boundary.op_by_op:
        return eager_backend(graph, example_inputs, context)
    runtime = context.frontend.runtime
    if graph.boundary.gradients is not None:
        return compile_for_gradients(graph, runtime, context.options, label=context.name)
    weights = [i for i, x in enumerate(example_inputs[: len(graph.inputs)]) if not runtime.not_kept(x)]
    return compile_graph(graph, runtime, context.options, label=context.name, weights=weights)


def eager_backend(graph: Graph, example_inputs: Sequence[Any], context: BackendContext) -> Executable:
    """The debug backend: the framework's own functions, op by op. Raises LoweringError for an op that the framework lacks."""
    assert context.frontend is not None
    return Executable(interpret(graph, context.frontend.runtime))
