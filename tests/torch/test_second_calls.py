"""Guards are sound: whatever changes between two calls, compiled code gives what plain Python gives."""

from __future__ import annotations

import warnings

import pytest
from comparison import Comparison, within
from registry import Program, programs
from running import agree
from torch_values import GROUND

import quern

pytestmark = pytest.mark.sampled(2)

#: generated kernels may differ in the last bits
COMPARISON = Comparison(within(1e-5))


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("program", programs("changes"), ids=lambda p: p.name)
def test_the_second_call_sees_what_changed(program: Program, backend: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree(program, lambda fn: quern.compile(fn, backend=backend), GROUND, COMPARISON)
