"""Failures of quern itself surface as errors in every test, also in processes that tests start. Tests of how quern gives up
say so: `@pytest.mark.gives_up`.
"""

from __future__ import annotations

import pytest

import quern


@pytest.fixture(autouse=True)
def _failures_raise(request, monkeypatch):
    if request.node.get_closest_marker("gives_up") is not None:
        yield
        return
    monkeypatch.setenv("QUERN_ON_ERROR", "raise")
    with quern.config.patch(on_error="raise"):
        yield
