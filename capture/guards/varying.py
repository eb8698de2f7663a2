"""What a capture took as fixed, and what a later call that does not fit shows to change.

Each entry keeps one `Varying`. It holds places, numbers and weak references: nothing of the call that was captured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import exact
from .seen import Seen
from .sources import LAST, Computed, Source

if TYPE_CHECKING:
    from ..machine.wrapping import Policy

#: one dim or number: (address of the array, axis), or (address of the number, None)
Key = tuple[tuple[Any, ...], "int | None"]


class _Gone:
    """Stands for a place that cannot be read."""


#: modules of classes whose objects are read without running the program's code: containers, arrays, tensors
_QUIET = frozenset(("builtins", "numpy", "torch", "torch.nn.parameter"))


def _is_quiet(obj: Any) -> bool:
    return type(obj).__module__ in _QUIET


@dataclass(frozen=True)
class Varying:
    """held: places guarded by identity; types: names of the classes that places are guarded to have; constants: sizes and numbers
    taken as constants; equal: pairs of sizes that share one symbol.
    """

    held: tuple[tuple[Source, Seen], ...] = ()
    types: Mapping[Source, str] = field(default_factory=dict)
    constants: tuple[tuple[Key, Source, Any], ...] = ()
    equal: tuple[tuple[tuple[Key, Source], tuple[Key, Source]], ...] = ()

    def reader(self, parameters: tuple[str, ...], names: dict[str, Any]) -> Callable[..., list[Any]]:
        """A function over an entry's parameters that reads all the places. Of an object of another class than the capture met
        nothing is read: its attributes may be properties, and the program would see them run.
        """
        places = [source for source, _ in self.held] + [place for _, place, _ in self.constants]
        places += [place for pair in self.equal for _, place in pair]
        code = _Reading(self, names)
        found = ", ".join([code.read(place) for place in places])
        lines = [f"def places({', '.join(parameters)}):", *code.lines, f" return [{found}]"]
        scope: dict[str, Any] = {}
        exec("\n".join(lines), names, scope)  # noqa: S102 - our own text
        return scope["places"]

    def learn(self, policy: Policy, found: list[Any], dynamic: bool) -> None:
        """Note what has changed, given what the places hold now: places whose identity changed are guarded by structure in later
        captures; with `dynamic`, numbers that changed become symbols, and equal sizes that are so no more are told apart.
        """
        values = iter(found)
        for source, seen in self.held:
            now = next(values)
            if type(now) is seen.cls and not seen.is_(now):
                policy.structural.add(source.label)
        if not dynamic:
            return
        for key, _, value in self.constants:
            now = next(values)
            if type(now) is type(value) and not exact.same(now, value):
                policy.dynamic.add(key)
        for (first, _), (second, _) in self.equal:
            if _differ(next(values), next(values)):
                policy.unequal.add(frozenset((first, second)))


class _Reading:
    """The lines that read places one after the other, each from its parent."""

    def __init__(self, varying: Varying, names: dict[str, Any]) -> None:
        self.lines: list[str] = []
        self._types = varying.types
        self._seen = dict(varying.held)
        self._names = names
        self._read: dict[Source, str] = {}
        names.update(_Gone=_Gone, _quiet=_is_quiet)

    def read(self, place: Source) -> str:
        """The variable that holds what stands at a place, or `_Gone`."""
        path = []
        while place not in self._read and place.parent is not None:
            path.append(place)
            place = place.parent
        name = self._read.get(place, place.text)
        for place in reversed(path):
            text, condition = self._reading(place, name)
            name = self._read[place] = f"_v{len(self._read)}"
            self.lines += [f" try: {name} = {text} if {condition} else _Gone", f" except Exception: {name} = _Gone"]
        return name

    def _reading(self, place: Source, parent: str) -> tuple[str, str]:
        if isinstance(place, Computed):
            return place.computing(self.read), "True"
        assert place.parent is not None
        return place.render(parent), self._condition(place.parent, parent)

    def _condition(self, parent: Source, name: str) -> str:
        """Whether a step from a place may be made."""
        if parent.is_const:
            return "True"
        if parent in self._types:
            return f"type({name}) is {self._types[parent]}"
        if parent in self._seen:
            seen = f"_seen{len(self._names)}"
            self._names[seen] = self._seen[parent]
            return f"type({name}) is {seen}.cls"
        return f"_quiet({name})"


def _differ(one: Any, other: Any) -> bool:
    return _Gone not in (one, other) and one != other


def varying(
    held: Mapping[str, tuple[Source, Any]],
    types: Mapping[Source, str],
    constants: list[tuple[Key, Source, Any]],
    equal: list[tuple[tuple[Key, Source], tuple[Key, Source]]],
) -> Varying:
    """What one capture relied on, of what can be read without the program's seeing it."""
    found = tuple((source, Seen(obj)) for source, obj in held.values() if source.depth < LAST)
    known = tuple(row for row in constants if row[1].depth < LAST)
    return Varying(found, types, known, tuple(pair for pair in equal if all(place.depth < LAST for _, place in pair)))
