"""Waiting for a module to be imported: what waits is called once, behind the import, and the module sees nothing of it."""

from __future__ import annotations

import importlib
import inspect
import sys

import pytest

from quern.imports import _waiting, forget, when_imported


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "awaited.py").write_text(
        "import sys\nhere = sys.modules[__name__]\nloader = __loader__\ndef f():\n    return 1\n"
    )
    yield tmp_path / "awaited.py"
    sys.modules.pop("awaited", None)
    _waiting.clear()
    forget(lambda: None)


def finders():
    return [f for f in sys.meta_path if type(f).__module__ == "quern.imports"]


def test_what_is_there_is_not_waited_for():
    called = []
    when_imported("sys", lambda: called.append(1))
    assert called == [1] and "sys" not in _waiting


def test_what_waits_is_called_once_behind_the_import(module):
    seen = []
    when_imported("awaited", lambda: seen.append(sys.modules["awaited"].f()))
    when_imported("awaited", lambda: seen.append("second"))
    before = len(finders())
    assert before == 1 and seen == []
    made = importlib.import_module("awaited")
    assert seen == [1, "second"]
    importlib.reload(made)
    assert seen == [1, "second"]
    assert finders() == []


def test_the_module_has_its_own_loader(module):
    when_imported("awaited", lambda: None)
    made = importlib.import_module("awaited")
    assert made.here is made and made.loader is made.__loader__ is made.__spec__.loader
    assert type(made.__loader__).__module__.startswith("_frozen_importlib")
    assert inspect.getsource(made.f) == "def f():\n    return 1\n"


def test_a_spec_that_is_only_asked_for_imports_nothing(module):
    seen = []
    when_imported("awaited", lambda: seen.append(1))
    spec = importlib.util.find_spec("awaited")
    assert spec is not None and spec.origin == str(module) and seen == []
    assert "def f" in spec.loader.get_source("awaited")


def test_what_is_forgotten_is_not_called(module):
    seen = []

    def action():
        seen.append(1)

    when_imported("awaited", action)
    forget(action)
    assert finders() == []
    importlib.import_module("awaited")
    assert seen == []


def test_a_module_that_fails_is_waited_for_still(module):
    seen = []
    when_imported("awaited", lambda: seen.append(1))
    good = module.read_text()
    module.write_text("raise OSError('not now')")
    with pytest.raises(OSError, match="not now"):
        importlib.import_module("awaited")
    assert seen == []
    module.write_text(good + "# again\n")
    importlib.invalidate_caches()
    importlib.import_module("awaited")
    assert seen == [1]


def test_a_module_that_is_nowhere_is_nobodys(module):
    when_imported("awaited_in_vain", lambda: None)
    with pytest.raises(ModuleNotFoundError, match="No module named 'awaited_in_vain'"):
        importlib.import_module("awaited_in_vain")
