"""torch tests need torch; they run on one thread, so that results do not depend on the machine's load."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import quern  # noqa: E402


@pytest.fixture(autouse=True)
def _alone():
    """One thread, and nothing compiled is kept from test to test."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    quern.reset()
