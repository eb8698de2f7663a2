"""What Values are as keys of dicts and members of sets. A part of the Evaluator."""

from __future__ import annotations

from typing import Any

from ..values.base import Machine, Value
from ..values.constant import ConstantValue
from ..values.functions import BoundMethodValue
from ..values.keys import AddressKey, Identity, MethodKey, NotStatic, UserKey, by_identity, has_identity, static_key
from .type_lookup import message_name, type_find
from .wrapping import anchor


class KeyService:
    """See the module's text. Its `self` is the whole machine."""

    def hash_of(self: Machine, value: Value) -> Value:
        """`hash(value)`."""
        key = value.key(self)
        if has_identity(key):
            raise self.break_("object-hash", f"hash of {value.describe()}", "it depends on the object's address")
        return ConstantValue(hash(key))

    def default_key(self: Machine, value: Value) -> Any:
        """The key of a Value whose type is compared by identity. Breaks for a type that is not."""
        cls = value.python_type()
        if by_identity(cls):
            return self.identity_key(value)
        if type_find(cls, "__hash__") is None:
            raise self.type_error(f"unhashable type: '{message_name(cls)}'")
        raise self.break_(
            "unknown-key", f"{value.describe()} as a dict key or in a set",
            f"how a {cls.__name__} is hashed and compared is not modelled",
        )  # fmt: skip

    def constant_key(self: Machine, obj: Any) -> Any:
        """The key of a framework's constant: a dtype, a device, an operator."""
        try:
            return static_key(obj)
        except NotStatic:
            return obj

    def identity_key(self: Machine, value: Value) -> Any:
        """The key of a Value that is equal to itself alone. Breaks where only the data tell which object that is."""
        if value.is_undecided:
            raise self.break_("object-hash", f"hash of {value.describe()}", "only the data tell which object it is")
        if value.source is not None and value not in self.keyed:
            self.keyed.append(value)
        real = self.reals.get(id(value))
        return value if real is None else Identity(real)

    def address_key(self: Machine, value: Value) -> Any:
        """The key of `id(value)`. That of an object from outside is a number that others may know: the object is guarded."""
        source, real = value.source, self.reals.get(id(value))
        if source is None:
            return AddressKey(value)
        if real is None or self.policy.is_structural(source):
            raise self.break_(
                "object-id",
                f"id() of {value.describe()} as a key",
                "it is another object at each call",
                "use the object as the key",
            )
        anchor(self, real, source, by_identity=True)
        return id(real)

    def key_value(self: Machine, key: Any) -> Value:
        """The Value that a key stands for."""
        if isinstance(key, Identity):
            return self.wrap(key.real, self.names.const(key.real))
        if isinstance(key, UserKey):
            return key.value
        if isinstance(key, MethodKey):
            owner = self.key_value(key.owner)
            return BoundMethodValue(self.key_value(key.function), owner)
        return self.from_python(key)
