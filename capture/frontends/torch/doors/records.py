"""What programs read about compilations in `torch._dynamo.utils`: counters, guard failures, hooks, the profiler."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import TYPE_CHECKING, Any

import torch
from torch._dynamo import utils
from torch._dynamo.types import GuardFail

from .explanation import reason_of

if TYPE_CHECKING:
    from ....breaks import BreakReason
    from ....entry.events import Compiled, Recompile


class Records:
    """Writes what happens into torch's own records: names that a program has bound to them stay good."""

    def compiled(self, event: Compiled) -> None:
        utils.counters["frames"]["total"] += 1
        utils.counters["frames"]["ok"] += 1
        utils.counters["stats"]["unique_graphs"] += 1
        utils.counters["stats"]["calls_captured"] += event.ops
        if event.kernels:
            utils.counters["inductor"]["fxgraph_cache_hit" if event.cached else "fxgraph_cache_miss"] += 1

    def broke(self, reason: BreakReason) -> None:
        utils.counters["graph_break"][reason.what] += 1
        utils.graph_break_reasons.append(reason_of(reason))

    def recompiled(self, event: Recompile, code: CodeType) -> None:
        utils.guard_failures[code] += event.failures
        for hook in utils.get_hook_for_recompile_user_context() or ():
            hook()

    def failed(self, text: str) -> None:
        utils.counters["unimplemented"][text.partition("\n")[0]] += 1


class GuardFailures:
    """Calls a program's `guard_fail_fn` when one of its functions is compiled again."""

    def __init__(self, code: CodeType, hook: Callable[[GuardFail], Any]) -> None:
        self.code = weakref.ref(code)
        self.hook = hook

    def compiled(self, event: Compiled) -> None: ...

    def broke(self, reason: BreakReason) -> None: ...

    def recompiled(self, event: Recompile, code: CodeType) -> None:
        if code is self.code() and event.failures:
            self.hook(GuardFail(event.failures[0], code))

    def failed(self, text: str) -> None: ...


@dataclass
class CompileProfiler:
    """A backend that runs graphs as they are and counts them, and tells what made new ones. (torch had it up to 2.3.)"""

    frame_count: int = 0
    op_count: int = 0

    def __call__(self, gm: torch.fx.GraphModule, example_inputs: Sequence[Any]) -> Callable[..., Any]:
        self.frame_count += 1
        self.op_count += sum("call" in node.op for node in gm.graph.nodes)
        return gm.forward

    def __enter__(self) -> CompileProfiler:
        return self

    def __exit__(self, *error: Any) -> None: ...

    def get_metrics(self) -> dict[str, Any]:
        """Guard failures by code object."""
        return {"guard_failures": utils.guard_failures}

    def report(self) -> str:
        """Graphs, breaks and recompilations as text."""
        lines = [f"{self.frame_count} graphs, {self.op_count} ops"]
        breaks = utils.counters["graph_break"]
        lines.append(f"graph breaks: {sum(breaks.values()) or 'none'}")
        lines += [f"  {count} x {what}" for what, count in breaks.most_common()]
        failures = utils.guard_failures
        lines.append(f"recompilations: {sum(map(len, failures.values())) or 'none'}")
        for code, texts in failures.items():
            lines.append(f"  {code.co_name} ({code.co_filename}:{code.co_firstlineno})")
            lines += [f"    {text}" for text in texts]
        return "\n".join(lines)
