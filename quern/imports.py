"""Doing something when a module has been imported, without importing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, cast

Action = Callable[[], None]

#: module -> what to do once it is there
_waiting: dict[str, list[Action]] = {}


def when_imported(name: str, action: Action) -> None:
    """Call `action` as soon as the module `name` has been imported: now, if that is done, else once, when it is."""
    found = sys.modules.get(name)
    if found is not None and not getattr(found.__spec__, "_initializing", False):
        action()
        return
    _waiting.setdefault(name, []).append(action)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def forget(action: Action) -> None:
    """Do not call it any more."""
    for name, actions in list(_waiting.items()):
        actions[:] = [a for a in actions if a != action]
        _close(name)


def _close(name: str) -> None:
    """Stop looking out for what nobody waits for."""
    if not _waiting.get(name):
        _waiting.pop(name, None)
    if not _waiting and _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)


class _Finder:
    """Finds the modules that are waited for where the other finders do, and has their loaders tell when they are done."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _waiting:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = cast(Any, _Loader(spec.loader))
                return spec
        return None


class _Loader:
    """A module's own loader, and then what waits for the module. The module never sees it."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        actions = _waiting.pop(module.__name__, [])
        _close(module.__name__)
        for action in actions:
            action()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


_FINDER: Any = _Finder()
