"""Hunts for programs that compiled code gets wrong: `make hunt`, or `python tests/hunt/hunt.py --minutes 30 ops numpy python loops`.

Programs are drawn by hypothesis in rounds, each with a seed of its own, until the time is up; what fails is made as small as
possible and printed with the seed that finds it again. Exits with 1 when anything was found.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path[:0] = [
    str(Path(__file__).parent),
    *(str(Path(__file__).parents[1] / p) for p in ("capture", "corpus")),
]

import hunt_loops  # noqa: E402
import hunt_numpy  # noqa: E402
import hunt_ops  # noqa: E402
import hunt_python  # noqa: E402
import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from hunt_steps import CHANGES, LAYOUTS, ArraySpec, CallSpec, Case, Settings, Step, changed, check  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import quern  # noqa: E402

#: programs in one round: a round is the unit that a seed makes again
ROUND = 25


def step_cases(templates: tuple[str, ...], dtypes: tuple[str, ...], shapes: tuple[Any, ...]) -> st.SearchStrategy[Case]:
    """Programs of steps with two to four calls."""
    small = st.integers(0, 20)
    step = st.builds(
        Step,
        st.sampled_from(templates),
        st.tuples(small, small, small),
        st.sampled_from((-1, 0, 1)),
        st.integers(-2, 3),
    )
    array = st.builds(
        ArraySpec,
        st.sampled_from(shapes),
        st.sampled_from(dtypes),
        st.sampled_from(LAYOUTS),
        st.integers(0, 50),
        st.booleans(),
    )
    change = st.tuples(st.sampled_from(CHANGES), st.integers(0, 4))

    def calls(arrays: list[ArraySpec], changes: list[tuple[str, int]]) -> tuple[CallSpec, ...]:
        first = CallSpec(tuple(arrays))
        return (first, *(changed(first, how, amount) for how, amount in changes))

    def case(steps: list[Step], calls: tuple[CallSpec, ...], backend: str, dynamic: bool | None, errors: bool) -> Case:
        return Case(tuple(steps), calls, Settings(backend, dynamic), errors)

    return st.builds(
        case,
        # a few steps, or many of which what the framework refuses is left out
        st.one_of(st.lists(step, min_size=1, max_size=3), st.lists(step, min_size=8, max_size=20)),
        st.builds(calls, st.lists(array, min_size=1, max_size=3), st.lists(change, min_size=1, max_size=3)),
        st.sampled_from(("inductor", "inductor", "inductor", "eager")),
        st.sampled_from((None, None, False, True)),
        st.booleans(),
    )


def check_ops(case: Case) -> None:
    with torch.no_grad():
        check(case, hunt_ops.TorchArrays())


def check_numpy(case: Case) -> None:
    with np.errstate(all="ignore"):
        check(case, hunt_numpy.NumpyArrays())


#: what can be hunted: how cases are drawn, and how one is checked
KINDS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], None]]] = {
    "ops": (step_cases(hunt_ops.TEMPLATES, hunt_ops.DTYPES, hunt_ops.SHAPES), check_ops),
    "numpy": (step_cases(hunt_numpy.TEMPLATES, hunt_numpy.DTYPES, hunt_numpy.SHAPES), check_numpy),
    "python": (hunt_python.CASES, hunt_python.check),
    "loops": (hunt_loops.CASES, hunt_loops.check),
}


@dataclass
class Report:
    """What one kind's hunt did."""

    programs: int = 0
    found: list[tuple[int, str]] = field(default_factory=list)


@contextlib.contextmanager
def strict() -> Iterator[None]:
    """Failures of quern surface; warnings of the programs do not."""
    with warnings.catch_warnings(), quern.config.patch(on_error="raise", verify=True):
        warnings.simplefilter("ignore")
        yield


def hunt_round(kind: str, seed: int, programs: int, report: Report, shrink: bool = True) -> None:
    """One round; a failure is minimised and noted in the report."""
    cases, checker = KINDS[kind]
    phases = [p for p in hypothesis.Phase if p.name in ("generate", "shrink") and (shrink or p.name != "shrink")]

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=programs, database=None, deadline=None, phases=phases, report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck), print_blob=False, verbosity=hypothesis.Verbosity.quiet,
    )  # fmt: skip
    @hypothesis.given(cases)
    def one(case: Any) -> None:
        report.programs += 1
        random.seed(0)
        torch.manual_seed(0)
        checker(case)

    try:
        with strict():
            one()
    except Exception as error:
        report.found.append((seed, _shown(error)))


def _shown(error: BaseException) -> str:
    """The failure's own words; for an error inside quern also where it was raised."""
    text = f"{type(error).__name__}: {error}"
    if not isinstance(error, AssertionError):
        text += "\n" + "".join(traceback.format_exception(error)[-6:])
    elif error.__cause__ is not None:
        text += "\n" + "".join(traceback.format_exception(error.__cause__)[-6:])
    return text + "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="what to hunt; all by default")
    parser.add_argument("--minutes", type=float, default=5.0, help="time for each kind")
    parser.add_argument("--seed", type=int, default=None, help="of the first round; a random one by default")
    parser.add_argument("--rounds", type=int, default=None, help="stop after so many rounds, whatever the time")
    parser.add_argument("--no-shrink", action="store_true", help="print failures as they were drawn")
    args = parser.parse_args()
    torch.set_num_threads(1)
    bad = False
    for kind in args.kinds or KINDS:
        start, report = time.monotonic(), Report()
        seed = first = args.seed if args.seed is not None else random.SystemRandom().randrange(10**6)
        while time.monotonic() - start < 60 * args.minutes and (args.rounds is None or seed - first < args.rounds):
            known = len(report.found)
            hunt_round(kind, seed, ROUND, report, not args.no_shrink)
            for where, text in report.found[known:]:
                print(f"--- {kind}, seed {where}\n{text}\n", flush=True)
            seed += 1
        minutes = (time.monotonic() - start) / 60
        print(
            f"{kind}: {report.programs} programs in {minutes:.1f} minutes, seeds {first} to {seed - 1}, {len(report.found)} found",
            flush=True,
        )
        bad |= bool(report.found)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
