"""How an entry looks into a dict from outside, and tells its keys again."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

from ..guards.seen import weak
from ..guards.sources import Names, Source
from ..machine.type_lookup import MISSING, type_find
from .keys import asks_program, has_identity
from .literals import CONSTANT_TYPES


@dataclass(frozen=True)
class Reading:
    """How an entry looks into a dict from outside without running what a subclass defines.

    cls:   the builtin class, whose own methods are called
    item, has, each: the subclass leaves `d[key]`, `key in d`, iteration with length and truth as they are
    missing: the subclass has a `__missing__`, which is the program's to call: an absent key reads as None
    """

    names: Names
    cls: type
    item: bool
    has: bool
    each: bool
    missing: bool

    @classmethod
    def of(cls, names: Names, kind: type, base: type) -> Reading:
        if kind is base:
            return cls(names, base, True, True, True, False)
        methods = ("__getitem__", "__contains__", "__iter__", "__len__", "__bool__")
        item, has, *walk = (type_find(kind, n) is type_find(base, n) for n in methods)
        missing = type_find(kind, "__missing__") is not MISSING
        return cls(names, base, item and not missing, has, all(walk), missing)

    @property
    def base(self) -> str:
        return self.names.inject(self.cls, self.cls.__name__)

    def at(self, source: Source, text: str) -> Source:
        """The place under the key written as `text`."""
        label = f"[{text}]"
        if self.item:
            return source.step("", label)
        return source.step(f"{self.base}.{'get' if self.missing else '__getitem__'}(", f", {text})", label)

    def contains(self, text: str, negated: str = "") -> str:
        if self.has:
            return f"{text} {negated}in {{x}}"
        return f"{negated}{self.base}.__contains__({{x}}, {text})"

    @property
    def keys(self) -> str:
        return "[*{x}]" if self.each else f"[*{self.base}.__iter__({{x}})]"

    def key_place(self, source: Source, index: int) -> Source:
        """The place of the key at a position."""
        before, after = self.keys.split("{x}")
        return source.step(before, after, "").item(index)

    def value_place(self, source: Source, index: int) -> Source:
        return source.step(f"[*{self.base}.values(", ")]", ".values()").item(index)


def is_object(key: Any) -> bool:
    """Whether a key is looked up by what the program has in its hands, and not by a constant."""
    return has_identity(key) or asks_program(key)


def remembered(key: Any) -> tuple[weakref.ref[Any] | None, Any]:
    """A key as an entry remembers it: the entry is no reason for it to live on."""
    reference = None if type(key) in CONSTANT_TYPES else weak(key)
    return reference, key if reference is None else None


def same_objects(found: list[Any], wanted: list[tuple[weakref.ref[Any] | None, Any]]) -> bool:
    """Whether the keys that were found are those remembered; of constants, equal ones of the same type are the same."""
    if len(found) != len(wanted):
        return False
    for one, (reference, held) in zip(found, wanted):
        if one is (held if reference is None else reference()):
            continue
        if reference is not None or type(one) is not type(held) or type(held) not in CONSTANT_TYPES or one != held:
            return False
    return True
