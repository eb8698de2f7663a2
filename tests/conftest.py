"""In every test, and in processes that tests start, the borders of the compiler's stages are checked and failures of quern
itself surface as errors. Tests of how quern gives up say so: `@pytest.mark.gives_up`.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

import quern

# pytest put this folder on the path, where the folder `torch` would pass for the framework that may not be installed
sys.path[:] = [p for p in sys.path if Path(p) != Path(__file__).parent]
# the registry of programs and the comparer, for all folders
sys.path += [str(Path(__file__).parent / "corpus"), str(Path(__file__).parent / "corpus" / "programs")]


def pytest_collection_finish():
    gc.freeze()  # modules and tests stay: the collector need not look at them again and again


@pytest.fixture(autouse=True)
def _borders_are_checked(monkeypatch):
    monkeypatch.setenv("QUERN_VERIFY", "1")
    with quern.config.patch(verify=True):
        yield


@pytest.fixture(autouse=True)
def _failures_raise(request, monkeypatch):
    if request.node.get_closest_marker("gives_up") is not None:
        yield
        return
    monkeypatch.setenv("QUERN_ON_ERROR", "raise")
    with quern.config.patch(on_error="raise"):
        yield
