import warnings
from pathlib import Path

import pytest
from quern.cache import CacheKey, Store


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test here may touch the user's cache; degrading unasked is a failure."""
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path / "default"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


@pytest.fixture
def key():
    return CacheKey.make("cpp-kernel", {"source": "int f() { return 1; }" * 100, "flags": "-O3", "width": 16})


class Build:
    """A build function that writes `files` and counts its runs."""

    def __init__(self, **files: bytes) -> None:
        self.files = files or {"kernel_so": b"\x7fELF" + bytes(range(256)) * 8, "kernel_cpp": b"int f();"}
        self.runs = 0

    def __call__(self, folder: Path) -> None:
        assert list(folder.iterdir()) == []
        self.runs += 1
        for name, data in self.files.items():
            (folder / name).write_bytes(data)


@pytest.fixture
def build():
    return Build()
