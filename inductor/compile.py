"""From a captured graph to a callable: the pipeline's schedule, code for it, and a plan bound to the framework.

A finished plan is stored under the graph's key, so another process skips all of it and only loads its kernels.
"""

from __future__ import annotations

import functools
import hashlib
import math
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..cache import CacheKey, default_store
from ..config import Options, config
from .codegen import target_for
from .codegen.strategy import Emitted
from .codegen.target import Target
from .executable import CompileRecord, Executable
from .execute import bind
from .graph import Graph
from .kept import Keeping
from .keys import graph_data
from .ops.dims import listening
from .pipeline import schedule_graph, timed
from .plan import PLAN_FORMAT, Plan, make_plan
from .runtime import Runtime
from .sizes import Relations

#: counters of this process: a warm process lowers and builds nothing
COUNTERS = {"graphs": 0, "lowerings": 0, "plans_loaded": 0}


def compile_graph(
    graph: Graph,
    runtime: Runtime,
    options: Options,
    *,
    label: str = "",
    origin: str = "",
    weights: Collection[int] = (),
    consumes: bool = False,
) -> Executable:
    """Compile a graph for a framework. The call takes the graph's inputs (and symbol ints) and returns a tuple of its outputs.

    weights: positions of the inputs that seldom change, of which copies may be kept
    consumes: the call takes a list of them, and empties it (see `execute.bind`)

    Raises LoweringError, CompilerNotFound or CompilerFailed.
    """
    COUNTERS["graphs"] += 1
    times: dict[str, float] = {}
    target = target_for(graph, options)
    most = config.kept_bytes if options.keep_weights else 0
    written = {i for i, _ in graph.boundary.writes}
    weights = tuple(i for i in weights if i not in written) if most else ()
    with timed(times, "key"):
        key = plan_key(graph, runtime, options, target, weights, most)
    store = default_store()
    with timed(times, "load"):
        entry = store.get(key)
        plan = Plan.from_json(entry.read("plan.json")) if entry is not None else None
    cached = plan is not None
    if plan is None:
        with listening() as asked:
            plan = _make(graph, options, target, times, weights, most)
        if _follows_from_ranges(asked, graph):
            store.put(key, {"plan.json": plan.to_json().encode()}, {"label": label or graph.name, "origin": origin})
    else:
        plan = plan.located(graph)
        COUNTERS["plans_loaded"] += 1
    with timed(times, "kernels"):
        built = target.build(plan, runtime, label or graph.name)
    with timed(times, "bind"):
        run, source = bind(plan, runtime, built.segments, built.launchers, options.threads, built.fills, consumes)
    record = CompileRecord(plan, key.digest, cached, times, source)
    _log(graph, record)
    if not plan.fills:
        return Executable(run, record)

    def without(why: str) -> Callable[..., Any]:
        made = compile_graph(graph, runtime, replace(options, keep_weights=False), label=label, origin=origin)
        assert isinstance(made.record, CompileRecord)
        record.plan, record.source, record.not_kept = made.record.plan, made.record.source, why
        return made.call

    return Executable(Keeping(run, without), record)


def _follows_from_ranges(asked: Sequence[Any], graph: Graph) -> bool:
    """Whether the answers to these relations are part of the graph's key. Others were guarded by this process alone, and a
    plan that rests on them must not reach another one.
    """
    relations = Relations(
        {s.symbol.name: (s.low, math.inf if s.high is None else s.high) for s in graph.boundary.symbols}
    )
    return all(relations.decided(r) is not None for r in asked)


def _make(
    graph: Graph, options: Options, target: Target, times: dict[str, float], weights: Collection[int], most: int
) -> Plan:
    COUNTERS["lowerings"] += 1
    scheduled = schedule_graph(
        graph,
        fuse=options.fuse,
        simplify=options.simplify,
        round_halves=options.round_halves,
        verify=config.verify,
        times=times,
        adds_atomically=target.adds_atomically,
        contractions=options.contractions,
        emits=target.emits,
        weights=weights,
    )
    with timed(times, "codegen"):
        scheduled = target.adapt(scheduled)
        if weights:
            scheduled = target.keep(scheduled, [scheduled.lowered.inputs[i].name for i in weights], most)
            if config.verify:
                scheduled.verify()
        return _with_code(make_plan(graph, scheduled, {}, target.name), target.emit(scheduled))


def _with_code(plan: Plan, emitted: Sequence[Emitted]) -> Plan:
    """The plan with its kernels' texts and the strategies that made them."""
    made = {e.kernel: e for e in emitted}
    kernels = [replace(k, strategy=made[k.name].strategy, refused=made[k.name].refused) for k in plan.kernels]
    return replace(plan, sources={e.file: e.text for e in emitted}, kernels=tuple(kernels))


def plan_key(
    graph: Graph, runtime: Runtime, options: Options, target: Target, weights: Collection[int] = (), most: int = 0
) -> CacheKey:
    """Everything that can change the plan, and nothing of this process or machine beyond the target's features."""
    return CacheKey.make(
        "plan",
        {
            "graph": graph_data(graph),
            "kept": [list(weights), most if weights else 0],
            "options": {k: v for k, v in options.key()},
            "framework": f"{runtime.name} {runtime.version()}",
            "target": target.key(),
            "format": PLAN_FORMAT,
            "compiler": compiler_id(),
        },
    )


@functools.cache
def compiler_id() -> str:
    """Hash of quern's own code that turns graphs into kernels: an edited compiler never meets its old plans."""
    digest = hashlib.sha256(f"python {sys.version_info[:2]}".encode())
    here = Path(__file__).resolve().parent
    for folder in (here, here.parent / "kernels"):
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".py", ".h"):
                digest.update(path.name.encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _log(graph: Graph, record: CompileRecord) -> None:
    for channel in config.logs:
        if channel == "graph":
            _print("graph", str(graph))
        elif channel == "fusion":
            loops = [f"{k.loops}\n  computes: {'; '.join(map(str, k.origins))}" for k in record.plan.kernels]
            head = f"{record.loops_before} loop nests -> {record.kernels} kernels, {record.calls} framework calls"
            _print(
                "fusion",
                "\n".join(
                    [head, *loops, *(f"not fused: {n}" for n in record.plan.not_fused), *map(str, record.plan.chosen)]
                ),
            )
        elif channel == "code":
            loops_kept = {n.name: n.attrs["text"] for n in graph.nodes if "text" in n.attrs}
            texts = {**record.plan.sources, **loops_kept}
            _print("code", "\n\n".join([*(f"{name}:\n{text}" for name, text in texts.items()), record.source]))
        elif channel == "times":
            _print("times", ", ".join(f"{k} {v * 1e3:.1f} ms" for k, v in record.times.items()))
        elif channel == "cache":
            _print("cache", f"plan {record.key[:16]} {'found' if record.cached else 'made'}")


def _print(channel: str, text: str) -> None:
    body = "\n".join(f"[quern {channel}] {line}" for line in text.splitlines())
    print(body, file=sys.stderr)
