"""What the compiler gives back: one callable per graph, with the record of how it was made."""

from __future__ import annotations

from collections.abc import Callable
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


class Executable(NamedTuple):
    """A graph that runs.

    call:   takes the graph's inputs, then its symbols' ints; gives a sequence of its outputs, and has written its mutations
    record: how it was compiled; None where it was not
    """

    call: Callable[..., Any]
    record: CompileRecord | None = None

    @property
    def plan(self) -> Plan | None:
        """The compiled plan; None where there is none."""
        return None if self.record is None else self.record.plan

    def around(self, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Executable:
        """The same with `wrap` around its call."""
        return self._replace(call=wrap(self.call))
