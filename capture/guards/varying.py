"""What a capture took as fixed, and what a later call that does not fit shows to change.

Each entry keeps one `Varying`. It holds places, numbers and weak references: nothing of the call that was captured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import exact
from .seen import Seen
from .sources import LAST, Source

if TYPE_CHECKING:
    from ..machine.wrapping import Policy

#: one dim or number: (address of the array, axis), or (address of the number, None)
Key = tuple[tuple[Any, ...], "int | None"]


class _Gone:
    """Stands for a place that cannot be read."""


@dataclass(frozen=True)
class Varying:
    """held: places guarded by identity, by label; constants: sizes and numbers taken as constants; equal: pairs of sizes that
    share one symbol.
    """

    held: tuple[tuple[Source, Seen], ...] = ()
    constants: tuple[tuple[Key, Source, Any], ...] = ()
    equal: tuple[tuple[tuple[Key, Source], tuple[Key, Source]], ...] = ()

    def reader(self, parameters: tuple[str, ...], names: dict[str, Any]) -> Callable[..., list[Any]]:
        """A function over an entry's parameters that reads all the places."""
        places = [source for source, _ in self.held] + [place for _, place, _ in self.constants]
        places += [place for pair in self.equal for _, place in pair]
        lines = [f"def places({', '.join(parameters)}):", " _found = []"]
        for place in places:
            lines += [
                f" try: _found.append({place.text if place.is_written else '_Gone'})",
                " except Exception: _found.append(_Gone)",
            ]
        names["_Gone"] = _Gone
        scope: dict[str, Any] = {}
        exec("\n".join([*lines, " return _found"]), names, scope)  # noqa: S102 - our own text
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


def _differ(one: Any, other: Any) -> bool:
    return _Gone not in (one, other) and one != other


def varying(
    held: Mapping[str, tuple[Source, Any]],
    constants: list[tuple[Key, Source, Any]],
    equal: list[tuple[tuple[Key, Source], tuple[Key, Source]]],
) -> Varying:
    """What one capture relied on, of what can be read without the program's seeing it."""
    found = tuple((source, Seen(obj)) for source, obj in held.values() if source.depth < LAST)
    known = tuple(row for row in constants if row[1].depth < LAST)
    return Varying(found, known, tuple(pair for pair in equal if all(place.depth < LAST for _, place in pair)))
