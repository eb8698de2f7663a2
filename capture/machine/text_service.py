"""str and repr of Values whose Python types write themselves in C."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..values.base import Value
from ..values.constant import NONE, ConstantValue
from ..values.special_methods import SpecialMethods
from .type_lookup import message_name


class TextService:
    """A part of the Evaluator."""

    def init_text(self) -> None:
        self._in_repr: set[int] = set()

    def _evaluator(self) -> Any:
        return self

    def repr_text(self, value: Value) -> str:
        return value.repr_(self._evaluator()).as_constant()

    def new_attribute_name(self, value: Value) -> str:
        """As `attribute_name`, for an attribute that is set: an instance's dict keeps the very object as its key."""
        if value.python_type() is not str:
            raise self._evaluator().break_(
                "attribute-name", f"setting an attribute by {value.describe()}",
                "the object's dict keeps a text of a class of its own as the key", "pass str(name), or the member's value",
            )  # fmt: skip
        return self.attribute_name(value)

    def attribute_name(self, value: Value) -> str:
        """The name that `getattr` and its kin were given: plain text, also of a member of a text enum."""
        ev = self._evaluator()
        if not issubclass(value.python_type(), str):
            raise ev.type_error(f"attribute name must be string, not '{message_name(value.python_type())}'")
        return str.__str__(ev.known(value))

    @contextlib.contextmanager
    def repr_guard(self, value: Value) -> Iterator[bool]:
        """True inside when the repr of `value` is being taken already."""
        again = id(value) in self._in_repr
        self._in_repr.add(id(value))
        try:
            yield again
        finally:
            if not again:
                self._in_repr.discard(id(value))

    def payload_repr(self, value: SpecialMethods) -> Value:
        """repr of an instance of a builtin container's subclass that does not override it."""
        inside = value.payload
        assert inside is not None
        text = self.repr_text(inside)
        base = inside.python_type()
        if issubclass(value.cls, (set, frozenset)) or base.__name__ in ("OrderedDict", "deque"):
            name = base.__name__
            text = text[len(name) + 1 : -1] if text.startswith(name + "(") else text
            return ConstantValue(f"{value.cls.__name__}({text if inside.truth(self._evaluator()) else ''})")
        if value.cls.__name__ == "defaultdict":
            factory = value.attrs.get("default_factory", NONE)
            return ConstantValue(f"defaultdict({self.repr_text(factory)}, {text})")
        return ConstantValue(text)
