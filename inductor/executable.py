"""What the compiler gives back: one callable per graph, with the record of how it was made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .plan import Plan


@dataclass
class CompileRecord:
    """What one compilation did, for `explain`, the demo and the benchmarks.

    kernels: generated kernels; loops_before: loop nests before fusion; launches and calls: steps of one run
    times: seconds by stage; cached: True when the plan came from the disk; source: the plan as Python
    not_kept: why runs go on without the copies of weights that they had ("": they did not have to); the plan is the present one
    """

    plan: Plan
    key: str
    cached: bool
    times: dict[str, float] = field(default_factory=dict)
    source: str = ""
    not_kept: str = ""

    @property
    def kernels(self) -> int:
        return len(self.plan.kernels)

    @property
    def loops_before(self) -> int:
        return self.plan.loops_before

    @property
    def launches(self) -> int:
        return sum(len(s.launches) for s in self.plan.steps if hasattr(s, "launches"))

    @property
    def calls(self) -> int:
        return sum(1 for s in self.plan.steps if not hasattr(s, "launches"))


@dataclass(frozen=True)
class Differentiated:
    """Who differentiates a graph's ops.

    parts:     generated functions, each with a backward function of its own
    generated: ops in these through which gradients flow
    framework: the others, by name: calls between parts
    why:       why it is all the framework's, "" where it is not
    records:   how its parts were compiled; their backward functions come when they are first asked for
    """

    parts: int
    generated: int
    framework: tuple[str, ...]
    why: str = ""
    records: list[CompileRecord] = field(default_factory=list)


class Executable(NamedTuple):
    """A graph that runs.

    call:   takes the graph's inputs, then its symbols' ints; gives a sequence of its outputs, and has written its mutations
    record: how it was compiled, or who differentiates it and how its parts were; None where it was not
    """

    call: Callable[..., Any]
    record: CompileRecord | Differentiated | None = None

    @property
    def gradients(self) -> Differentiated | None:
        """Who differentiates it; None where no gradients are wanted, or no one asked."""
        return self.record if isinstance(self.record, Differentiated) else None

    @property
    def records(self) -> Sequence[CompileRecord]:
        """How everything in it was compiled so far."""
        if isinstance(self.record, CompileRecord):
            return (self.record,)
        return () if self.record is None else self.record.records

    @property
    def plan(self) -> Plan | None:
        """The compiled plan; None where there is none, or are several."""
        return self.record.plan if isinstance(self.record, CompileRecord) else None

    def around(self, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Executable:
        """The same with `wrap` around its call."""
        return self._replace(call=wrap(self.call))
