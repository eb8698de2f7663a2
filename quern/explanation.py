"""What `quern.explain` returns: one run of a function, explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .capture.breaks import BreakReason
from .capture.entry.dispatch import CompiledFunction, Entry, Recompile
from .clock import perf_counter
from .inductor.chooser import Choice, Chosen
from .inductor.executable import CompileRecord, Differentiated
from .inductor.graph import Graph
from .words import count


@dataclass(frozen=True)
class GraphReport:
    """One compiled graph.

    records:   how it was compiled, forward and so far backward: empty for backends other than inductor
    gradients: who differentiates it; None where no gradients are wanted
    """

    name: str
    graph: Graph
    guards: tuple[str, ...]
    entry_source: str
    seconds: float
    records: tuple[CompileRecord, ...]
    gradients: Differentiated | None = None

    @property
    def record(self) -> CompileRecord | None:
        """How it was compiled, where it is one plan."""
        return self.records[0] if len(self.records) == 1 else None

    @property
    def ops(self) -> int:
        return self.graph.op_count


@dataclass(frozen=True)
class Explanation:
    """Graphs, guards, breaks, kernels and times of one run.

    first_seconds: the call that captured and compiled; result: what it returned
    """

    graphs: tuple[GraphReport, ...]
    breaks: tuple[BreakReason, ...]
    recompiles: tuple[Recompile, ...]
    first_seconds: float
    result: Any = field(repr=False, default=None)

    @property
    def graph_count(self) -> int:
        return len(self.graphs)

    @property
    def graph_break_count(self) -> int:
        return len(self.breaks)

    @property
    def op_count(self) -> int:
        return sum(g.ops for g in self.graphs)

    @property
    def ops_per_graph(self) -> tuple[tuple[str, ...], ...]:
        """The names of each graph's ops, in order."""
        return tuple(
            tuple(n.op.name for n in g.graph.nodes if n.op.name not in ("input", "scalar")) for g in self.graphs
        )

    @property
    def out_guards(self) -> tuple[str, ...]:
        """As `guards`: the name that torch uses."""
        return self.guards

    @property
    def break_reasons(self) -> tuple[BreakReason, ...]:
        return self.breaks

    @property
    def guards(self) -> tuple[str, ...]:
        return tuple(text for g in self.graphs for text in g.guards)

    @property
    def kernels(self) -> int:
        """Distinct generated kernels in all graphs."""
        return sum(r.kernels for g in self.graphs for r in g.records)

    @property
    def compile_times(self) -> dict[str, float]:
        """Seconds by stage, over all graphs."""
        total: dict[str, float] = {}
        for r in [r for g in self.graphs for r in g.records]:
            for stage, seconds in r.times.items():
                total[stage] = total.get(stage, 0.0) + seconds
        total["capture and the rest"] = max(0.0, self.first_seconds - sum(total.values()))
        return total

    def __str__(self) -> str:
        lines = [
            f"{count(self.graph_count, 'graph')}, {count(self.graph_break_count, 'graph break')}, "
            f"{count(self.op_count, 'op')}, {count(len(self.guards), 'guard')}; first call {self.first_seconds * 1e3:.0f} ms"
        ]
        for g in self.graphs:
            lines.append(f"\ngraph {g.name}: {count(g.ops, 'op')}, {count(len(g.guards), 'guard')}")
            lines += [f"  {line}" for line in str(g.graph).splitlines()]
            if g.gradients is not None:
                lines.append(f"  {_differentiation(g.gradients)}")
            for r in g.records:
                lines += [f"  {line}" for line in _plan(r)]
        for i, reason in enumerate(self.breaks):
            lines.append(f"\nbreak {i + 1}: {reason}")
        for recompile in self.recompiles:
            lines.append(f"\n{recompile}")
        if self.compile_times:
            parts = ", ".join(f"{k} {v * 1e3:.1f}" for k, v in self.compile_times.items())
            lines.append(f"\ntimes in ms: {parts}")
        return "\n".join(lines)


def _differentiation(g: Differentiated) -> str:
    """Who computes gradients."""
    if g.why:
        return f"differentiated op by op by the framework: {g.why}"
    named = ", ".join(name if n == 1 else f"{n} x {name}" for name, n in Counter(g.framework).items())
    ours = f"{count(g.parts, 'generated part')} with the gradients of {count(g.generated, 'op')}"
    return f"{ours}; differentiated by the framework: {named or 'nothing'}"


def _plan(r: CompileRecord) -> list[str]:
    """One plan: what it runs, moves, and how its kernels were emitted."""
    origin = "found in the cache" if r.cached else "made now"
    lines = [
        f"{count(r.loops_before, 'loop nest')} -> {count(r.launches, 'kernel launch', 'kernel launches')} of "
        f"{count(r.kernels, 'kernel')}, {count(r.calls, 'framework call')}; plan {r.key[:12]} {origin}"
    ]
    if not r.plan.symbols:
        moved, held = (f"{n / 1024:.1f} KiB" for n in (r.plan.bytes_moved(), r.plan.bytes_held()))
        lines.append(f"moves {moved} to and from memory; its inputs and results are {held}")
    if r.plan.fills:
        fills = count(len(r.plan.fills), "weight")
        kept = f"{r.plan.bytes_kept / 1024:.1f} KiB"
        lines.append(f"keeps copies of {fills}, {kept}, for all calls until a weight changes")
    elif r.not_kept:
        lines.append(f"keeps no copies of weights any more: {r.not_kept}")
    for k in r.plan.kernels:
        lines.append(f"  {k.name}: {'; '.join(map(str, k.origins))}")
        lines.append("    " + "; ".join([f"emitted by {k.strategy}", *(f"not {s}: {why}" for s, why in k.refused)]))
    return lines + [f"  {line}" for line in _products(r.plan.chosen)]


def _products(chosen: Sequence[Chosen]) -> list[str]:
    """Who runs the products of matrices: one line for all of an op that are alike, with the first of them."""
    alike: dict[tuple[str, Choice], list[Chosen]] = {}
    for c in chosen:
        alike.setdefault((c.origin.op, c.choice), []).append(c)
    more = {key: f" and {len(found) - 1} more" if len(found) > 1 else "" for key, found in alike.items()}
    return [f"{found[0].origin}{more[key]}: {key[1]}" for key, found in alike.items()]


def explain_call(
    call: Callable[..., Any], functions: Sequence[CompiledFunction], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Explanation:
    """Run `call` and collect what the compiled functions behind it recorded."""
    start = perf_counter()
    result = call(*args, **kwargs)
    seconds = perf_counter() - start
    entries = [e for f in functions for e in f.explain_records if e.graph is not None and e.graph.op_count]
    return Explanation(
        graphs=tuple(map(_report, entries)),
        breaks=tuple(b for f in functions for b in f.breaks),
        recompiles=tuple(r for f in functions for r in f.recompiles),
        first_seconds=seconds,
        result=result,
    )


def _report(entry: Entry) -> GraphReport:
    assert entry.graph is not None
    return GraphReport(
        name=entry.graph.name,
        graph=entry.graph,
        guards=entry.captured.readable(),
        entry_source=entry.source,
        seconds=entry.compile_seconds,
        records=() if entry.executable is None else tuple(entry.executable.records),
        gradients=None if entry.executable is None else entry.executable.gradients,
    )
