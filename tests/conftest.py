"""In every test, and in processes that tests start, the borders of the compiler's stages are checked and failures of quern
itself surface as errors. Tests of how quern gives up say so: `@pytest.mark.gives_up`.
"""

from __future__ import annotations

import gc
import sys
import zlib
from pathlib import Path

import pytest

import quern

# pytest put this folder on the path, where the folder `torch` would pass for the framework that may not be installed
sys.path[:] = [p for p in sys.path if Path(p) != Path(__file__).parent]
# the registry of programs and the comparer, for all folders
sys.path += [str(Path(__file__).parent / "corpus"), str(Path(__file__).parent / "corpus" / "programs")]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """`sampled(n)`: of a test's parameters the first runs by default, and about every n-th of the others; the rest is slow. Which
    ones hangs on their names alone, so it is always the same ones, and of all rows and columns some.
    """
    seen = set()
    for item in items:
        test = item.nodeid.partition("[")[0]
        sampled = item.get_closest_marker("sampled")
        if sampled is not None and test in seen and zlib.crc32(item.nodeid.encode()) % sampled.args[0]:
            item.add_marker(pytest.mark.slow)
        seen.add(test)


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
