"""Copies of arrays that seldom change, laid out for kernels: made once, and used by all runs until one of the arrays changes.

A copy is good for the very arrays that it was made of (weak references), in the state that the framework says they are in
(`Runtime.stamps`: where their memory is, how often it was written to), as long as a look at some of their content finds what was
there. What is good for one plan is good for all of the process; it goes with the last of them, or with the arrays. Threads may call
at once: a copy is never written to again once others can see it, and a run holds what it uses. They may also give an array other
memory meanwhile: what is looked at or copied is held, so that nothing else comes to lie there.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import call, is_
from typing import Any

from ..config import config
from ..kernels.cpu.library import Glance, Segment, packer
from . import dtypes
from .memory import ALIGN
from .plan import Plan
from .runtime import Runtime, memory_of

#: how often copies are made before it is asked whether that is too often, and runs that are worth making them
_CHANGES, _RUNS = 4, 4


class NotKept(Exception):
    """Copies cannot be kept, or are not worth it: the graph is to run without. Raised before a run has done anything."""


@dataclass(frozen=True, eq=False)
class Copy:
    """One copy. arrays: what it was made of, weakly; stamps: their state then; glance: a look at their content then."""

    arrays: tuple[weakref.ref[Any], ...]
    stamps: tuple[Any, ...]
    glance: int
    memory: Any
    address: int
    bytes: int

    def holds(self, arrays: Sequence[Any], stamps: Sequence[Any], glance: int) -> bool:
        """Whether it is what would be made of these arrays now."""
        return all(map(is_, map(call, self.arrays), arrays)) and (*stamps,) == self.stamps and glance == self.glance


#: the process's copies by the kernel that makes them and the addresses of the array objects
_copies: weakref.WeakValueDictionary[Any, Copy] = weakref.WeakValueDictionary()
_lock = threading.RLock()


def bytes_kept() -> int:
    """Bytes of all copies of the process."""
    return sum(c.bytes for c in list(_copies.values()))


@dataclass(frozen=True)
class _Fill:
    """How one copy is made. kernel: the text of what fills it; takes: positions of its arrays among those of the keeper"""

    kernel: str
    segment: Segment
    takes: tuple[int, ...]
    dtype: str
    numel: int
    device: str

    @property
    def bytes(self) -> int:
        return self.numel * dtypes.get(self.dtype).size


@dataclass(frozen=True, eq=False)
class _State:
    """What holds as long as nothing changes."""

    arrays: tuple[weakref.ref[Any], ...]
    stamps: tuple[Any, ...]
    look: Glance
    glance: int
    copies: tuple[Copy, ...]
    addresses: tuple[int, ...]


class Keeper:
    """A plan's copies. A call with the arrays that they are of gives the copies, to be held during the run, and their addresses.

    inputs: the plan's inputs whose arrays it is called with
    """

    def __init__(self, plan: Plan, runtime: Runtime, segments: Sequence[Segment], threads: int | None) -> None:
        specs = {b.name: b for b in plan.buffers}
        self.inputs = tuple(dict.fromkeys(name for f in plan.fills for name in f.buffers[:-1]))
        self._sizes = [int(specs[n].numel) * dtypes.get(specs[n].dtype).size for n in self.inputs]
        self._fills = []
        for fill, segment in zip(plan.fills, segments):
            ((kernel, buffers),) = fill.launches
            target = specs[buffers[-1]]
            takes = tuple(self.inputs.index(n) for n in buffers[:-1])
            text = plan.sources[f"{kernel}.cpp"]
            self._fills.append(_Fill(text, segment, takes, target.dtype, int(target.numel), target.device))
        self._runtime = runtime
        self._memory_of = memory_of(runtime)
        self._threads = threads
        self._state: _State | None = None
        self._lock = threading.RLock()
        self._runs = self._renewals = 0

    def __call__(self, *arrays: Any) -> tuple[tuple[Copy, ...], tuple[int, ...]]:
        """Raises NotKept."""
        held = self._hold(arrays)  # noqa: F841 - until it was looked at
        state = self._state
        if state is not None and all(map(is_, map(call, state.arrays), arrays)):
            if self._runtime.stamps(arrays) == state.stamps and state.look() == state.glance:
                self._runs += 1
                return state.copies, state.addresses
        with self._lock:
            return self._renew(arrays)

    def _hold(self, arrays: Sequence[Any]) -> list[Any]:
        return [] if self._memory_of is None else list(map(self._memory_of, arrays))

    def _renew(self, arrays: Sequence[Any]) -> tuple[tuple[Copy, ...], tuple[int, ...]]:
        self._renewals += 1
        if self._renewals > _CHANGES and self._runs < _RUNS * self._renewals:
            raise NotKept("its weights change too often")
        reasons = filter(None, map(self._runtime.not_kept, arrays))
        if why := next(reasons, ""):
            raise NotKept(why)
        held = self._hold(arrays)
        while True:
            stamps = self._runtime.stamps(arrays)
            pointers = list(map(self._runtime.data_ptr, arrays))
            if held == (held := self._hold(arrays)):
                break
        if stamps is None:
            raise NotKept("writes to its weights are not counted")
        old: list[Copy | None] = [None] * len(self._fills) if self._state is None else list(self._state.copies)
        self._state = None
        copies = tuple(self._copy(f, arrays, stamps, pointers, old, i) for i, f in enumerate(self._fills))
        look = self._look(range(len(arrays)), pointers)
        refs = tuple(weakref.ref(x, _forgetting(self)) for x in arrays)
        # what was seen while the copies were made; had an array changed since, its stamp tells
        state = _State(refs, stamps, look, look(), copies, tuple(c.address for c in copies))
        self._state = state
        return state.copies, state.addresses

    def _look(self, which: Sequence[int], pointers: Sequence[int]) -> Glance:
        return Glance([pointers[i] for i in which], [self._sizes[i] for i in which], self._fills[0].segment)

    def _copy(
        self,
        fill: _Fill,
        arrays: Sequence[Any],
        stamps: Sequence[Any],
        pointers: Sequence[int],
        old: list[Copy | None],
        place: int,
    ) -> Copy:
        """The process's copy, made where there is none that is good. What was at this place of `old` is let go before."""
        own = tuple(arrays[i] for i in fill.takes)
        own_stamps = tuple(stamps[i] for i in fill.takes)
        glance = self._look(fill.takes, pointers)()
        key = (fill.kernel, *map(id, own))
        with _lock:
            found = _copies.get(key)
            if found is not None and found.holds(own, own_stamps, glance):
                return found
            _copies.pop(key, None)  # it lives as long as a run needs it
            found = old[place] = None
            if bytes_kept() + fill.bytes > config.kept_bytes:
                raise NotKept(f"copies of weights would have more than {config.kept_bytes} bytes")
            memory = self._runtime.empty((fill.bytes + ALIGN,), (1,), dtypes.uint8, fill.device)
            address = -(-self._runtime.data_ptr(memory) // ALIGN) * ALIGN
            given = packer(len(own) + 2, 0)(fill.segment.address, *(pointers[i] for i in fill.takes), address)
            fill.segment.run(given, self._runtime.num_threads() if self._threads is None else self._threads)
            made = Copy(tuple(map(weakref.ref, own)), own_stamps, glance, memory, address, fill.bytes)
            _copies[key] = made
            return made


def _forgetting(keeper: Keeper) -> Callable[[Any], None]:
    """What is called when an array is gone: its copy is of no use any more."""
    weakly = weakref.ref(keeper)

    def forget(gone: Any) -> None:
        found = weakly()
        if found is not None:
            state = found._state
            if state is not None and any(r is gone for r in state.arrays):
                found._state = None

    return forget


class Keeping:
    """A graph's call that keeps copies; where that comes to an end, it goes on without.

    otherwise: is told why, and gives the call without copies
    """

    def __init__(self, run: Callable[..., Any], otherwise: Callable[[str], Callable[..., Any]]) -> None:
        self._run = run
        self._otherwise: Callable[[str], Callable[..., Any]] | None = otherwise
        self._lock = threading.Lock()

    def __call__(self, *inputs: Any) -> Any:
        run = self._run
        try:
            return run(*inputs)
        except NotKept as why:
            reason = str(why)
        with self._lock:
            if self._otherwise is not None:
                self._run = self._otherwise(reason)
                self._otherwise = None
        return self._run(*inputs)
