"""What `torch._dynamo.explain(f)(*args)` gives, told by quern."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch._dynamo.output_graph import GraphCompileReason

from ....breaks import BreakReason
from ..graph_module import user_stack


@functools.cache
def _explained() -> Any:
    """The class of what is given. torch's is asked for late: its module imports much that may itself be on its way here."""
    from torch._dynamo.backends.debugging import ExplainOutput

    @dataclass
    class Explained(ExplainOutput):
        """torch's record of one run. quern: quern's own explanation, which knows kernels and times too"""

        quern: Any = None

        def __str__(self) -> str:
            return str(self.quern)

    return Explained


def explain(explain_by_quern: Callable[..., Any], f: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> Any:
    """Capture `f` for these arguments, and run it once."""
    graphs: list[torch.fx.GraphModule] = []

    def collect(gm: torch.fx.GraphModule, example_inputs: Sequence[Any]) -> Callable[..., Any]:
        graphs.append(gm)
        return gm.forward

    found = explain_by_quern(f, backend=collect)(*args, **kwargs)
    ops = [[node.target for node in gm.graph.nodes if node.op == "call_function"] for gm in graphs]
    return _explained()(
        graphs=graphs,
        graph_count=len(graphs),
        graph_break_count=found.graph_break_count,
        break_reasons=[reason_of(reason) for reason in found.breaks],
        op_count=sum(map(len, ops)),
        ops_per_graph=ops,
        out_guards=list(found.guards),
        compile_times=f"{found.first_seconds:.3f} s",
        quern=found,
    )


def reason_of(reason: BreakReason) -> GraphCompileReason:
    """A break in torch's words. It does not note itself in torch's list (see `records`)."""
    made = GraphCompileReason(reason.what, user_stack(reason), graph_break=False)
    made.graph_break = True
    return made
