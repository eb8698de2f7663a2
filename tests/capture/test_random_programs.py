"""Random programs do, compiled, what they do as plain Python: see `random_programs.py`.

The default run is the same every time; the slow one draws new programs. A failing text is printed whole.
"""

from __future__ import annotations

import random

import hypothesis
import pytest
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
from random_programs import write  # noqa: E402
from random_runs import check  # noqa: E402

pytestmark = pytest.mark.torch
SETTINGS = hypothesis.settings(
    deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck), print_blob=False
)
SIZES = st.sampled_from((6, 14, 30))


def run(rng: random.Random, size: int, breaks: bool) -> None:
    text = write(rng, size, breaks)
    hypothesis.note(text)
    check(text)


@hypothesis.settings(SETTINGS, derandomize=True, max_examples=30)
@hypothesis.given(st.randoms(use_true_random=False), SIZES, st.booleans())
def test_random_programs(rng: random.Random, size: int, breaks: bool) -> None:
    run(rng, size, breaks)


@pytest.mark.parametrize("seed", range(20))
def test_seeded_programs(seed: int) -> None:
    check(write(random.Random(seed), 24, seed % 3 != 0))


@pytest.mark.slow
@hypothesis.settings(SETTINGS, max_examples=3000)
@hypothesis.given(st.randoms(use_true_random=False), SIZES, st.booleans())
def test_many_random_programs(rng: random.Random, size: int, breaks: bool) -> None:
    run(rng, size, breaks)


def test_the_generator_writes_valid_programs() -> None:
    for seed in range(200):
        compile(write(random.Random(seed)), "<program>", "exec")
