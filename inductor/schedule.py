"""Scheduling: which loop groups become one kernel, and in which order everything runs.

Units (loop groups and framework calls) form a dependency graph through the buffers they touch. Groups are fused
greedily, the pair that saves most memory traffic first, as long as no dependency would run backwards. Then stores that
nobody reads are dropped and the units are put in an order that respects the dependencies.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field, replace

from ..errors import InternalError
from .checks import runs_own_code
from .chooser import Chosen
from .fusion import fuse, group_reads, group_writes, score
from .graph import Origin
from .kernel import Buffer, Kernel, Store, rewrite_stores, substitute_stores, symbols_of
from .loops import Expr, Var, as_index, load, points, postorder
from .lower import ExternCall, Group, Lowered, StridedBuffer
from .memory import must_precede, raises, store_whole
from .refusal import Refusal
from .splitting import split_divided

#: siblings that share only inputs are fused when they share at least this much memory traffic
_SIBLING_BYTES = 1 << 14
_SIBLINGS_TRIED = 4


@dataclass
class Unit:
    """One step being scheduled. `after` holds the units that must run before, `above` their closure as a bit set."""

    index: int
    step: Group | ExternCall
    reads: set[str]
    writes: set[str]
    after: set[int] = field(default_factory=set)
    above: int = 0


@dataclass(frozen=True)
class Launch:
    """Run a kernel on buffers (one per kernel argument)."""

    kernel: Kernel
    buffers: tuple[str, ...]

    @property
    def writes(self) -> set[str]:
        """The buffers that it stores into."""
        names = self.kernel.writes
        return {b for b, a in zip(self.buffers, self.kernel.args) if a.name in names}


@dataclass(frozen=True)
class NotFused:
    """Two neighbours that stayed apart, and why."""

    first: Origin
    second: Origin
    why: Refusal

    def __str__(self) -> str:
        return f"{self.first} | {self.second}: {self.why}"


@dataclass
class Schedule:
    """What to run, in order.

    refused:   for each pair of neighbours why they were not fused
    canonical: whether the kernels' loops are in canonical form (`inductor.canonical`)
    chosen:    who runs each product of matrices
    fills:     what fills buffers that are kept from run to run, of inputs that seldom change: no steps
    """

    steps: list[Launch | ExternCall]
    lowered: Lowered
    loops_before: int = 0
    refused: list[NotFused] = field(default_factory=list)
    canonical: bool = False
    chosen: tuple[Chosen, ...] = ()
    fills: tuple[Launch, ...] = ()

    @property
    def kernels(self) -> list[Kernel]:
        """Distinct kernels, in order of first use."""
        return list(dict.fromkeys(s.kernel for s in self.steps if isinstance(s, Launch)))

    def verify(self) -> None:
        """Check that every kernel is legal, and each step's place among the others. Raises InternalError that names the step.

        Legal: what a step reads is an input, a table, or was written before it; a kernel is given the buffers that its arguments
        describe, each once; what leaves the graph was written.
        """
        for kernel in (*self.kernels, *(f.kernel for f in self.fills)):
            kernel.verify()
        known = {s.name for s in (*self.lowered.inputs, *(table for table, _ in self.lowered.tables))}
        for fill in self.fills:
            if problem := self._misfit(fill, known):
                raise InternalError(f"[schedule] {_titled(fill)}, which fills a buffer that is kept, {problem}")
        known |= {name for fill in self.fills for name in fill.writes}
        for position, step in enumerate(self.steps):
            if isinstance(step, Launch):
                problem = self._misfit(step, known)
                written = step.writes
            else:
                unread = [s.name for s in step.inputs if s is not None and s.name not in known]
                problem = f"reads {unread[0]} before it is written" if unread else ""
                written = {s.name for s in step.outputs}
            if problem:
                around = "\n".join(map(_titled, self.steps[max(0, position - 3) : position + 4]))
                raise InternalError(f"[schedule] step {position}, {_titled(step)}, {problem}; around it:\n{around}")
            known |= written
        left = [*self.lowered.outputs, *(s for _, s in self.lowered.mutations)]
        if lost := [s.name for s in left if s.name not in known]:
            raise InternalError(f"[schedule] {lost[0]} leaves the graph, but no step writes it")

    def _misfit(self, launch: Launch, known: set[str]) -> str:
        """What is wrong with the buffers of a launch, or nothing."""
        if len(launch.buffers) != len(launch.kernel.args) or len({*launch.buffers}) < len(launch.buffers):
            return f"has {len(launch.kernel.args)} arguments for {launch.buffers}"
        reads, writes = launch.kernel.reads, launch.kernel.writes
        for name, argument in zip(launch.buffers, launch.kernel.args):
            storage = self.lowered.buffers.get(name)
            if storage is None:
                return f"is given {name}, which is no buffer"
            if (storage.dtype, storage.device, storage.size) != (argument.dtype, argument.device, argument.size):
                return f"is given {storage} for {argument}"
            if name not in known and (argument.name in reads or argument.name not in writes):
                return f"reads {name} before it is written"
        return ""


def _titled(step: Launch | ExternCall) -> str:
    """A step for readers."""
    if isinstance(step, ExternCall):
        inputs = ", ".join("None" if s is None else s.name for s in step.inputs)
        return f"{step.node.op.name}({inputs}) -> {', '.join(s.name for s in step.outputs)}"
    return f"{step.kernel.name}({', '.join(step.buffers)})"


def schedule(lowered: Lowered, *, enable_fusion: bool = True, name: str = "kernel") -> Schedule:
    """Order and fuse the steps of a lowered graph."""
    units = _units(lowered)
    before = sum(isinstance(u.step, Group) for u in units.values())
    refused: list[NotFused] = []
    if enable_fusion:
        _fuse_all(units, _sizes(lowered), refused)
    kept = {s.name for s in lowered.outputs} | {s.name for _, s in lowered.mutations} | _stored(lowered)
    _drop_unread(units, kept)
    ordered, lowered = store_whole([u.step for u in _in_order(units)], lowered)
    steps: list[Launch | ExternCall] = []
    seen: dict[Kernel, Kernel] = {}
    for step in ordered:
        steps.append(step if isinstance(step, ExternCall) else _launch(step, lowered, seen, name))
    return Schedule(steps, lowered, before, refused)


def _stored(lowered: Lowered) -> set[str]:
    """The inputs into which steps store."""
    return {lowered.inputs[i].name for i in lowered.stored}


def _units(lowered: Lowered) -> dict[int, Unit]:
    stored = _stored(lowered)
    hears_errors = lowered.graph is not None and bool(lowered.graph.boundary.float_errors)
    units: dict[int, Unit] = {}
    writers: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    last_effect: int | None = None
    for i, step in enumerate(lowered.steps):
        if isinstance(step, ExternCall):
            reads = {s.name for s in step.inputs if s is not None}
            writes = {s.name for s in step.outputs}
        else:
            p, r, stores = split_divided(step.p, step.r, step.stores)
            step = replace(step, p=p, r=r, stores=stores)
            reads, writes = group_reads(step), group_writes(step)
        unit = units[i] = Unit(i, step, reads, writes)
        unit.after = {writers[b] for b in reads | writes if b in writers}
        unit.after |= {k for b in writes for k in readers.get(b, ())}
        if not stored.isdisjoint(writes):
            unit.after |= {k for k, u in units.items() if must_precede(u.step, step, stored, hears_errors)} - {i}
        if isinstance(step, ExternCall) and step.node.effects:
            if last_effect is not None:
                unit.after.add(last_effect)
            last_effect = i
            if runs_own_code(step.node):
                unit.after |= {k for k, u in units.items() if raises(u.step)} - {i}
        for k in unit.after:
            unit.above |= units[k].above | 1 << k
        for b in writes:
            writers[b] = i
        for b in reads:
            readers.setdefault(b, []).append(i)
    return units


def _sizes(lowered: Lowered) -> dict[str, int]:
    """Bytes of each buffer (symbolic sizes count as large)."""
    return {n: (s.size if isinstance(s.size, int) else 1 << 20) * s.dtype.size for n, s in lowered.buffers.items()}


def _fuse_all(units: dict[int, Unit], sizes: dict[str, int], refused: list[NotFused]) -> None:
    """Fuse until nothing changes. Each round walks the units in order and tries each against what it reads and its siblings."""
    tried: dict[tuple[int, int], Refusal] = {}
    changed = True
    while changed:
        changed = False
        writers = {b: u.index for u in units.values() for b in u.writes}
        readers: dict[str, list[int]] = {}
        for u in units.values():
            for b in u.reads:
                readers.setdefault(b, []).append(u.index)
        for i in sorted(units):
            if i not in units or not isinstance(units[i].step, Group):
                continue
            for k in _candidates(units, units[i], writers, readers, sizes):
                first, second = units[k], units[i]
                if (k, i) in tried or k not in units or not _acyclic(units, first, second):
                    continue
                assert isinstance(first.step, Group) and isinstance(second.step, Group)
                forward = first.writes & second.reads
                shared = sorted(forward, key=lambda b: -sizes[b])
                shared += sorted((first.reads & second.reads) - forward, key=lambda b: -sizes[b])
                fused = fuse(first.step, second.step, shared)
                if isinstance(fused, Refusal):
                    tried[k, i] = fused
                    refused.append(NotFused(first.step.origins[-1], second.step.origins[0], fused))
                    continue
                _merge(units, first, second, fused)
                tried = {pair: r for pair, r in tried.items() if k not in pair and i not in pair}
                for b in units[k].writes:
                    writers[b] = k
                for b in units[k].reads:
                    readers.setdefault(b, []).append(k)
                changed = True
                break


def _candidates(
    units: dict[int, Unit], unit: Unit, writers: dict[str, int], readers: dict[str, list[int]], sizes: dict[str, int]
) -> list[int]:
    """Groups worth trying, best first: producers of what the unit reads, then siblings that read the same large buffer."""
    assert isinstance(unit.step, Group)
    producers = {writers[b] for b in unit.reads if b in writers}
    siblings: list[int] = []
    for b in unit.reads:
        if sizes[b] >= _SIBLING_BYTES:
            siblings += [k for k in readers.get(b, ())[-8:] if k < unit.index]
    found: list[tuple[int, int]] = []
    for k in {*producers, *siblings[-2 * _SIBLINGS_TRIED :]} - {unit.index}:
        other = units.get(k)
        # a unit that was fused into an earlier one may read what stands between the two
        if other is None or (k > unit.index and k not in producers) or not isinstance(other.step, Group):
            continue
        if other.step.publishes or unit.step.publishes:
            continue
        if not _same_space(other.step, unit.step, strict=k not in producers):
            continue
        found.append((-score(other.step, unit.step, sizes), k))
    return [k for _, k in sorted(found)]


def _same_space(a: Group, b: Group, strict: bool) -> bool:
    """A quick test that the iteration spaces can agree at all."""
    ap, bp, ar, br = points(a.p), points(b.p), points(a.r), points(b.r)
    if ap * ar == bp * br:
        return True
    return not strict and (ap == bp or ap * ar == bp or bp * br == ap)


def _acyclic(units: dict[int, Unit], first: Unit, second: Unit) -> bool:
    """Fusing keeps the dependencies acyclic: nothing between the two depends on the first and feeds the second."""
    if second.index in first.after or first.above >> second.index & 1:
        return False
    return all(not (units[k].above >> first.index & 1) for k in second.after if k != first.index)


def _merge(units: dict[int, Unit], first: Unit, second: Unit, fused: Group) -> None:
    """`second` becomes part of `first`."""
    gone = second.index
    first.step = fused
    first.writes |= second.writes
    first.reads = group_reads(fused)
    first.after |= second.after
    first.after -= {first.index, gone}
    del units[gone]
    bit = 1 << gone
    for u in units.values():
        if gone in u.after:
            u.after.discard(gone)
            u.after.add(first.index)
    first.above = 0
    for k in first.after:
        first.above |= units[k].above | 1 << k
    for u in units.values():
        if u.above & bit or u.above >> first.index & 1:
            u.above = (u.above & ~bit) | first.above | 1 << first.index


def _drop_unread(units: dict[int, Unit], kept: set[str]) -> None:
    """Remove stores nobody reads (values forwarded inside a kernel), then groups without stores; to a fixed point."""
    while True:
        read = {b for u in units.values() for b in u.reads} | kept
        changed = False
        for i, u in list(units.items()):
            if not isinstance(u.step, Group) or u.writes <= read:
                continue
            changed = True
            stores = [s for s in u.step.stores if s.buffer in read]
            if not stores:
                _remove(units, i)
                continue
            u.step.stores = stores
            u.writes = group_writes(u.step)
            u.reads = group_reads(u.step)
        if not changed:
            return


def _remove(units: dict[int, Unit], gone: int) -> None:
    unit = units.pop(gone)
    for u in units.values():
        if gone in u.after:
            u.after.discard(gone)
            u.after |= unit.after


def _in_order(units: dict[int, Unit]) -> list[Unit]:
    """Topological order, program order where free."""
    waiting = {i: len(u.after) for i, u in units.items()}
    then: dict[int, list[int]] = {}
    for i, u in units.items():
        for k in u.after:
            then.setdefault(k, []).append(i)
    ready = [i for i, n in waiting.items() if n == 0]
    heapq.heapify(ready)
    out: list[Unit] = []
    while ready:
        i = heapq.heappop(ready)
        out.append(units[i])
        for j in then.get(i, ()):
            waiting[j] -= 1
            if waiting[j] == 0:
                heapq.heappush(ready, j)
    assert len(out) == len(units), "dependency cycle between kernels"
    return out


# --------------------------------------------------------------------------- kernels


def _launch(group: Group, lowered: Lowered, seen: dict[Kernel, Kernel], name: str) -> Launch:
    """The group as a kernel in canonical names, so that equal loops (repeated layers) are one kernel."""
    outer = tuple(Var(f"p{k}", v.extent) for k, v in enumerate(group.p))
    inner = tuple(Var(f"r{k}", v.extent, True) for k, v in enumerate(group.r))
    sub = {v: as_index(w) for v, w in zip((*group.p, *group.r), (*outer, *inner))}
    fused = substitute_stores(group.stores, sub)
    order = _argument_names(fused)
    stores = [replace(s, buffer=order[s.buffer]) for s in rewrite_stores(fused, lambda e: _renamed(e, order))]
    args = tuple(_buffer(lowered.buffers[b], alias) for b, alias in order.items())
    symbols = symbols_of((*outer, *inner), stores)
    title = _title(name, group, len(seen))
    kernel = Kernel(title, outer, inner, tuple(stores), args, symbols, tuple(group.origins))
    return Launch(seen.setdefault(kernel, kernel), tuple(order))


def _title(name: str, group: Group, number: int) -> str:
    """A readable kernel name from the ops it computes: `kernel_3_layer_norm_gelu`."""
    ops = dict.fromkeys(o.op for o in group.origins)
    return "_".join([name, str(number), *itertools.islice(ops, 5)])


def _argument_names(stores: list[Store]) -> dict[str, str]:
    """Buffers by their first use in the values, then in the places of the stores -> names of arguments."""
    used = [e.attr[0] for e in postorder([s.value for s in stores]) if e.op == "load"]
    for s in stores:
        _, place = s.roots
        used += [s.buffer, *(e.attr[0] for e in postorder([place]) if e.op == "load")]
    return {b: f"arg{k}" for k, b in enumerate(dict.fromkeys(used))}


def _renamed(e: Expr, names: dict[str, str]) -> Expr | None:
    return load(names[e.attr[0]], e.attr[1], e.dtype) if e.op == "load" else None


def _buffer(storage: StridedBuffer, alias: str) -> Buffer:
    return Buffer(alias, storage.dtype, storage.size, storage.device)
