"""Memory: which buffers share a place, and when. Decided here for every device, and stored in the plan.

A graph is functional: a write gives a whole new array. Where nobody reads the old array afterwards the new one takes its place, and only
what differs is stored:

    store_parts   before fusion: an array that differs from an input in one part is stored into the input (`regions`)
    store_whole   after fusion: an array that is an input's new content is computed in the input's memory
    place         intermediate arrays that do not live at one time lie at one address

An input is stored into only once nothing can raise any more (a graph that raises has changed nothing), when all readers of its old
content are done, and by kernels that read its old content at most at the very place where they write.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .checks import may_raise
from .fusion import group_reads, group_writes, loads_of, reads_where_it_writes
from .graph import Dim, contiguous_strides
from .kernel import Store
from .loops import Index, Indirect, as_index, load
from .lower import ExternCall, Group, Lowered, StridedBuffer, has_gaps_only
from .regions import cut_down, keeps, kept_place, lie_apart, renamed, renamed_index
from .splitting import split_divided

Step = Group | ExternCall


def store_parts(lowered: Lowered) -> Lowered:
    """Arrays that are a written input but for some part, stored into the input."""
    program = _Program(lowered, lowered.steps)
    while any(program.join_part(name) for name in program.partly_new()):
        pass
    return program.result()


def store_whole(steps: Sequence[Step], lowered: Lowered) -> tuple[list[Step], Lowered]:
    """The new content of written inputs, computed in the inputs' own memory. The steps are in the order in which they run."""
    program = _Program(lowered, steps)
    if not program.hears_errors:
        for position, storage in lowered.mutations:
            program.join_whole(lowered.inputs[position], storage)
    found = program.result()
    return found.steps, found


def raises(step: Step) -> bool:
    """Whether a step may raise for some data."""
    return isinstance(step, ExternCall) and may_raise(step.node)


def must_precede(earlier: Step, later: Step, stored: set[str], hears_errors: bool) -> bool:
    """Whether a step that stores into an input has to wait for another: after it, nothing may raise. Kernels raise where
    floating-point errors are heard.
    """
    if not isinstance(later, Group) or stored.isdisjoint(group_writes(later)):
        return False
    if not hears_errors or not isinstance(earlier, Group):
        return hears_errors or raises(earlier)
    return not earlier.publishes and not all(map(is_plain, earlier.stores))


def is_plain(store: Store) -> bool:
    """Whether a store gives what it reads, or a number: nothing is computed that could meet an error."""
    return store.value.op in ("const", "load") and store.mode == "store"


class _Program:
    """The steps of a lowered graph, in order, while buffers are joined."""

    def __init__(self, lowered: Lowered, steps: Sequence[Step]) -> None:
        self.lowered = lowered
        self.steps = list(steps)
        self.buffers = lowered.buffers
        self.mutations = list(lowered.mutations)
        self.stored = set(lowered.stored)
        self.outputs = {s.name for s in lowered.outputs}
        self.hears_errors = lowered.graph is not None and bool(lowered.graph.boundary.float_errors)
        #: inputs that get new content, and hold each element once
        self.written = {
            s.name: i
            for i, s in enumerate(lowered.inputs)
            if any(i == j for j, _ in self.mutations) and has_gaps_only(s.shape, s.stride) and not s.dtype.is_complex
        }
        self._touched: dict[int, tuple[Step, set[str], set[str]]] = {}
        self._numbers = itertools.count()
        #: what is computed into memory of its own because the old content is still read: it must stay there
        self.apart: set[str] = set()
        #: inputs that hold their new content when all steps are done: what else is stored there must be part of that
        self.settled: set[str] = set()

    def result(self) -> Lowered:
        stored = tuple(sorted(self.stored))
        return replace(self.lowered, steps=self.steps, mutations=self.mutations, stored=stored)

    # ---- what steps touch

    def touched(self, step: Step) -> tuple[set[str], set[str]]:
        """(buffers it reads, buffers it writes)."""
        known = self._touched.get(id(step))
        if known is None:
            if isinstance(step, Group):
                sets = group_reads(step), group_writes(step)
            else:
                sets = {s.name for s in step.inputs if s is not None}, {s.name for s in step.outputs}
            known = self._touched[id(step)] = (step, *sets)
        return known[1], known[2]

    def reads(self, step: Step) -> set[str]:
        return self.touched(step)[0]

    def writes(self, step: Step) -> set[str]:
        return self.touched(step)[1]

    # ---- parts

    def partly_new(self) -> list[str]:
        """Buffers that begin as a written input, at least in part, or as another such buffer; the last ones first."""
        known = dict.fromkeys(self.written)
        seen: set[str] = set(known)
        for step in self.steps if known else ():
            new = self.writes(step) - seen
            seen |= new
            if not isinstance(step, Group) or len(step.stores) != 1 or not new:
                continue
            kept = kept_place(step.stores[0])
            if kept is not None and kept[0] in known:
                known[step.stores[0].buffer] = None
        return [name for name in reversed(known) if name not in self.written and name not in self.apart]

    def join_part(self, new: str) -> bool:
        """Let a buffer that begins as (part of) an input be the input, or that part of it; False where it must stay."""
        first = next(s for s in self.steps if new in self.writes(s))
        assert isinstance(first, Group)
        begin, old, difference = _copied_along(first)
        (store,) = begin.stores
        if not difference.is_const or first.r or not self._may_join(new, old, difference.const):
            return False
        offset = difference.const
        p, left = cut_down(begin.p, store, old, offset, self._numbers)
        steps: list[Step] = []
        for step in self.steps:
            if new not in self.writes(step):
                steps.append(step)
                continue
            if not isinstance(step, Group) or len(step.stores) != 1:
                return False
            if step is first:
                if left is None:
                    continue
                step = replace(begin, p=p, stores=[left])
            parts = self._apart(step, old, offset)
            if parts is None:
                return False
            steps += parts
        if self.hears_errors:
            steps = self._from_before(steps, new, old, offset)
        return self._join(steps, _position(self.steps, first), new, old, offset)

    def _may_join(self, new: str, old: str, offset: Dim) -> bool:
        a, b = self.buffers[new], self.buffers[old]
        if new in self.outputs or (a.dtype, a.device) != (b.dtype, b.device):
            return False
        if old not in self.written and (old in self.outputs or any(s.name == old for _, s in self.mutations)):
            return False
        goes_to = [i for i, s in self.mutations if s.name == new]
        fits = goes_to == [self.written[old]] if old in self.written else (a.shape, a.stride) == (b.shape, b.stride)
        return not goes_to or (offset == 0 and fits)

    def _apart(self, group: Group, old: str, offset: Dim) -> list[Step] | None:
        """The group itself, where it may read the old content while it writes the new one; else what it stores is computed into
        memory of its own first. None where its very places are read from the old content.
        """
        (store,) = group.stores
        places = [a.value for a in store.index.atoms() if isinstance(a, Indirect)]
        if loads_of(places, old):
            return None
        safe = not self.hears_errors or is_plain(store)
        if safe and reads_where_it_writes(group, store, old, offset):
            return [replace(group, publishes=self.hears_errors)]
        if self.hears_errors and store.mode != "store":
            return None
        shape = tuple(v.extent for v in group.p)
        name = f"{store.buffer}_part{next(self._numbers)}"
        dense = StridedBuffer(name, shape, contiguous_strides(shape), store.value.dtype, group.device)
        if dense.dtype != self.buffers[store.buffer].dtype:
            return None
        self.buffers[name] = dense
        self.apart.add(name)
        at = dense.index(tuple(map(as_index, group.p)))
        computed = replace(group, stores=[Store(name, at, store.value)])
        stored = replace(store, value=load(name, at, dense.dtype))
        return [computed, replace(group, stores=[stored], publishes=self.hears_errors)]

    def _from_before(self, steps: list[Step], new: str, old: str, offset: Dim) -> list[Step]:
        """Readers of the new array that read nothing of what was written to it so far can read the old one, before it is written to."""
        written: list[Index] = []
        found: list[Step] = []
        for step in steps:
            if new in self.writes(step):
                assert isinstance(step, Group)
                written += [s.index for s in step.stores if s.buffer == new]
            elif isinstance(step, Group) and new in self.reads(step):
                loads = loads_of([root for s in step.stores for root in s.roots], new)
                if all(lie_apart(index, w) for index in loads for w in written):
                    values = [renamed(s.value, new, old, offset) for s in step.stores]
                    places = [renamed_index(s.index, new, old, offset) for s in step.stores]
                    stores = [replace(s, value=v, index=i) for s, v, i in zip(step.stores, values, places)]
                    step = replace(step, stores=stores)
            found.append(step)
        return found

    # ---- wholes

    def join_whole(self, target: StridedBuffer, value: StridedBuffer) -> bool:
        """Let the buffer of an input's new content be the input."""
        new, old = value.name, target.name
        writers = [s for s in self.steps if new in self.writes(s)]
        same_layout = all(a == b or n == 1 for n, a, b in zip(target.shape, value.stride, target.stride))
        if old not in self.written or new in self.written or not writers:
            return False
        if not same_layout or value.offset != 0 or not self._may_join(new, old, 0):
            return False
        for step in writers:
            stores = [s for s in step.stores if s.buffer == new] if isinstance(step, Group) else []
            if len(stores) != 1:
                return False
            assert isinstance(step, Group)
            if not reads_where_it_writes(step, stores[0], old, 0):
                return False
        return self._join(self.steps, _position(self.steps, writers[0]), new, old, 0)

    # ---- joining

    def _join(self, steps: list[Step], begins: int, new: str, old: str, offset: Dim) -> bool:
        """Make `new` a name for `old` in these steps, the first of which from `begins` on may have been its copy; False where an
        order in which that means the same does not exist.
        """
        after = [self._renamed(s, new, old, offset) if new in (self.reads(s) | self.writes(s)) else s for s in steps]
        writers = [t for t, s in enumerate(steps) if new in self.writes(s) and after[t] is not None]
        if old in self.settled and writers:
            copies = [t for t, s in enumerate(steps) if after[t] is None and self._is_copy(s, new, old)]
            if not copies or copies[0] < writers[-1]:
                return False  # the input's new content does not have all that is stored
        later = [t for t in range(begins, len(steps)) if t not in writers and after[t] is not None]
        if any(old in self.writes(steps[t]) for t in later):
            return False  # others write to the old array, which then is no longer what the new one began as
        order: list[int] | None = list(range(len(steps)))
        if not writers and all(s.name != new for _, s in self.mutations):
            return False  # a copy that keeps the old content, because the program needs it later
        if writers:
            at, target = writers[0], after[writers[0]]
            assert target is not None
            direct, through_calls = self._readers(steps, old)
            if any(t in through_calls or (t != at and t in direct) for t in writers):
                return False
            wanted = {
                t
                for t in later
                if t > at
                and (
                    t in direct | through_calls
                    or must_precede(steps[t], target, {old} & set(self.written), self.hears_errors)
                )
            }
            order = self._brought_forward(steps, wanted, at)
        if order is None:
            return False
        self.steps = [s for t in order if (s := after[t]) is not None]
        if old in self.written:
            self.stored.add(self.written[old])
            if any(s.name == new for _, s in self.mutations):
                self.settled.add(old)
            self.mutations = [(i, s) for i, s in self.mutations if s.name != new]
        else:
            self.mutations = [(i, replace(s, name=old) if s.name == new else s) for i, s in self.mutations]
        return True

    def _is_copy(self, step: Step, new: str, old: str) -> bool:
        """Whether a step copies all elements of `new` into `old`."""
        if not isinstance(step, Group) or old not in self.writes(step):
            return False
        (store,) = step.stores
        whole = math.prod(v.extent for v in step.p) == math.prod(self.buffers[new].shape)
        return whole and store.mode == "store" and store.value.op == "load" and store.value.attr[0] == new

    def _readers(self, steps: list[Step], old: str) -> tuple[set[int], set[int]]:
        """Steps that read the array; and those that read what a call of the framework gave for it, which may be a view."""
        views: set[str] = set()
        direct, through_calls = set(), set()
        for t, step in enumerate(steps):
            reads = self.reads(step)
            if old in reads:
                direct.add(t)
            if not views.isdisjoint(reads):
                through_calls.add(t)
            if isinstance(step, ExternCall) and (old in reads or not views.isdisjoint(reads)) and _may_give_views(step):
                views |= self.writes(step)
        return direct, through_calls

    def _brought_forward(self, steps: list[Step], wanted: set[int], at: int) -> list[int] | None:
        """An order in which the wanted steps, and all that they need, come before step `at`; None where they need that one."""
        taken: list[int] = []
        reads: set[str] = set()
        writes: set[str] = set()
        effects = False
        for t in range(max(wanted, default=at), at - 1, -1):
            r, w = self.touched(steps[t])
            step = steps[t]
            effect = isinstance(step, ExternCall) and step.node.effects
            if t in wanted or not w.isdisjoint(reads | writes) or not r.isdisjoint(writes) or (effect and effects):
                if t == at:
                    return None
                taken.append(t)
                reads |= r
                writes |= w
                effects = effects or effect
        taken.reverse()
        moved = set(taken)
        return [*range(at), *taken, *(t for t in range(at, len(steps)) if t not in moved)]

    def _renamed(self, step: Step, new: str, old: str, offset: Dim) -> Step | None:
        """The step over the old array; None where nothing is left to store."""
        if isinstance(step, ExternCall):
            views = [
                replace(s, name=old, offset=s.offset + offset) if s is not None and s.name == new else s
                for s in step.inputs
            ]
            return replace(step, inputs=tuple(views))
        stores = []
        for s in step.stores:
            value, index = renamed(s.value, new, old, offset), renamed_index(s.index, new, old, offset)
            if s.buffer == new:
                stores.append(replace(s, buffer=old, index=index + offset, value=value))
            else:
                s = replace(s, value=value, index=index)
                if not (s.mode == "store" and keeps(s, s.buffer, s.index)):
                    stores.append(s)
        return replace(step, stores=stores) if stores else None


def _copied_along(group: Group) -> tuple[Group, str, Index]:
    """The group, its variables split where an index takes them apart; what its store keeps: of which buffer, and how much further on."""
    kept = kept_place(group.stores[0])
    assert kept is not None
    if not (kept[1] - group.stores[0].index).is_const:
        p, r, stores = split_divided(group.p, group.r, group.stores)
        group = replace(group, p=p, r=r, stores=stores)
        kept = kept_place(stores[0])
        assert kept is not None
    return group, kept[0], kept[1] - group.stores[0].index


def _may_give_views(call: ExternCall) -> bool:
    """Whether what a call gives may be memory of an argument: kernels of the framework give new memory, other functions may not."""
    op = call.node.op
    return op.kind != "extern" or op.aliases or op.opaque


def _position(steps: Sequence[Step], step: Step) -> int:
    return next(i for i, s in enumerate(steps) if s is step)


# --------------------------------------------------------------------------- intermediate arrays

ALIGN = 64


@dataclass(frozen=True)
class Lifetimes:
    """When buffers are touched: at which of a program's moments first, and last."""

    first: Mapping[str, int]
    last: Mapping[str, int]


def lifetimes(moments: Iterable[Collection[str]]) -> Lifetimes:
    """`moments`: the buffers touched at each."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for position, names in enumerate(moments):
        for name in names:
            first.setdefault(name, position)
            last[name] = position
    return Lifetimes(first, last)


@dataclass(frozen=True)
class Arena:
    """One block of memory of a device, and where buffers lie in it, in bytes."""

    device: str
    size: int
    places: Mapping[str, int] = field(default_factory=dict)


def place(device: str, sizes: Mapping[str, int], lives: Lifetimes) -> Arena:
    """An arena for buffers of these sizes in bytes, overlapping where lifetimes do not: the largest first, each at the first place that fits."""
    placed: list[tuple[int, int, int, int]] = []  # start, end in bytes; first, last moment
    offsets: dict[str, int] = {}
    for name in sorted(sizes, key=lambda n: -sizes[n]):
        need = max(ALIGN, -(-sizes[name] // ALIGN) * ALIGN)
        f, l = lives.first[name], lives.last[name]
        at = 0
        for start, end, pf, pl in sorted(placed):
            if pf <= l and f <= pl and at < end and start < at + need:
                at = end
        placed.append((at, at + need, f, l))
        offsets[name] = at
    return Arena(device, max((end for _, end, _, _ in placed), default=0), offsets)


def taken_over(buffers: Mapping[str, Hashable], lives: Lifetimes) -> dict[str, str]:
    """For buffers of equal description, of whose size only the run knows: each dead one's memory goes to the next that is made."""
    free: dict[Hashable, list[str]] = {}
    found: dict[str, str] = {}
    ends = sorted(buffers, key=lambda n: lives.last[n])
    for name in sorted(buffers, key=lambda n: lives.first[n]):
        while ends and lives.last[ends[0]] < lives.first[name]:
            gone = ends.pop(0)
            free.setdefault(buffers[gone], []).append(gone)
        waiting = free.get(buffers[name])
        if waiting:
            found[name] = waiting.pop()
    return found
