"""The expression of a dict key that the program uses, in terms of places: what guards look up again, by the key's own equality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from ..values.base import Value
from ..values.keys import UserKey
from ..values.literals import CONSTANT_TYPES
from .sources import Source

if TYPE_CHECKING:
    from ..values.base import Machine
    from .sources import Names


class MadeNew(Exception):
    """The key is, or holds, an object that the program made."""


class KeyCode:
    """As much of a `rebuild.Rebuilder` as keys ask for: expressions over places, and nothing else."""

    def __init__(self, ev: Machine) -> None:
        self.ev = ev
        self.places: list[Source] = []

    @property
    def names(self) -> Names:
        return self.ev.names

    def value(self, value: Value) -> str:
        if value.source is not None:
            return self.source(value.source)
        key = value.key(self.ev)
        if type(key) in CONSTANT_TYPES:
            return self.constant(key)
        if key is value or isinstance(key, UserKey):
            raise MadeNew
        return self.ev.payload(value).rebuild(self)  # type: ignore[arg-type]

    def source(self, source: Source) -> str:
        if source.is_const:
            return source.text
        if source not in self.places:
            self.places.append(source)
        return f"{{p{self.places.index(source)}}}"

    def constant(self, obj: Any) -> str:
        return self.names.literal(obj)

    def inject(self, obj: Any, stem: str = "") -> str:
        return self.names.inject(obj, stem)

    def _refuse(self, *args: Any) -> NoReturn:
        raise MadeNew

    temp = name_value = emit = fill = output = defer = late_temp = _refuse


def key_text(ev: Machine, value: Value) -> tuple[str, tuple[Source, ...]] | None:
    """(expression with `{p0}`, `{p1}`, ... for places, the places); None for a key that the program made."""
    code = KeyCode(ev)
    try:
        return code.value(value), tuple(code.places)
    except MadeNew:
        return None
