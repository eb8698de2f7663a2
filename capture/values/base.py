"""The protocol of symbolic values: what the evaluator asks of anything that stands on its stack.

A `Value` stands for one Python object of the captured program. `source` says where the entry can fetch the object
again; None means that it came into being during capture and must be rebuilt. One object is one Value: aliases
are the same Value, so that mutation is seen everywhere and `is` is identity of Values.

Every method that may run user code or add to the graph gets the evaluator `ev` first. Operations answer with Values,
raise `UserRaise` (by `ev.raise_`) when the program would raise, and raise `Break` (by `ev.break_`) when they cannot
be modelled. The defaults here break, naming the operation and the type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..breaks import NotConstant

if TYPE_CHECKING:
    from ..evaluator import Evaluator
    from ..rebuild import Rebuilder
    from ..sources import Source

Args = Sequence["Value"]
Kwargs = Mapping[str, "Value"]


class Value:
    """One object of the captured program. Compared and hashed by identity."""

    __slots__ = ("source",)

    #: True when `as_constant` cannot fail
    is_constant = False

    def __init__(self, source: Source | None = None) -> None:
        self.source = source

    # ------------------------------------------------------------ what it is

    def python_type(self) -> type:
        """The class of the object: what `type(x)` gives."""
        raise NotImplementedError(type(self).__name__)

    def as_constant(self) -> Any:
        """The object itself, when it is fully known. Raises NotConstant."""
        raise NotConstant(self)

    def describe(self) -> str:
        """How messages call it."""
        label = f" `{self.source.label}`" if self.source is not None else ""
        return f"a value of type {self.python_type().__name__}{label}"

    def rebuild(self, rb: Rebuilder) -> str:
        """Code that makes the object again (asked only when it has no source). Emits statements through `rb`, returns an
        expression. Raises Break when the object cannot be made again.
        """
        raise rb.cannot(self)

    def python_number(self, ev: Evaluator) -> Value | None:
        """A framework's scalar from outside as the Python number that other frameworks take it for; None for another Value."""
        return None

    # ------------------------------------------------------------ attributes and calls

    def getattr_(self, ev: Evaluator, name: str) -> Value:
        """`self.name`. Default: `__class__`, and the methods and data of the type."""
        return ev.objects.getattr_default(ev, self, name)

    def setattr_(self, ev: Evaluator, name: str, value: Value) -> None:
        raise ev.break_("unsupported-setattr", f"setting attribute {name!r} of {self.describe()}")

    def delattr_(self, ev: Evaluator, name: str) -> None:
        raise ev.break_("unsupported-delattr", f"deleting attribute {name!r} of {self.describe()}")

    def call(self, ev: Evaluator, args: Args, kwargs: Kwargs) -> Value:
        """`self(*args, **kwargs)`."""
        raise ev.break_("unsupported-call", f"calling {self.describe()}")

    def call_method(self, ev: Evaluator, name: str, args: Args, kwargs: Kwargs) -> Value:
        """`type(self).name(self, *args, **kwargs)` for a method that is not Python code.

        Default: the Python methods `m_<name>(ev, *args, **kwargs)` of this class, then the operator protocol below.
        """
        return ev.objects.call_method_default(ev, self, name, args, kwargs)

    # ------------------------------------------------------------ protocols

    def truth(self, ev: Evaluator) -> bool:
        """`bool(self)`, decided during capture."""
        return True

    def len_(self, ev: Evaluator) -> Value:
        raise ev.type_error(f"object of type '{self.python_type().__name__}' has no len()")

    def iter_(self, ev: Evaluator) -> Value:
        """`iter(self)`."""
        raise ev.type_error(f"'{self.python_type().__name__}' object is not iterable")

    def next_(self, ev: Evaluator) -> Value | None:
        """`next(self)`; None when exhausted."""
        raise ev.type_error(f"'{self.python_type().__name__}' object is not an iterator")

    def items(self, ev: Evaluator) -> list[Value]:
        """All elements that iteration gives, as Values; containers answer at once."""
        it = self.iter_(ev)
        found = []
        while (item := it.next_(ev)) is not None:
            found.append(item)
        return found

    def getitem(self, ev: Evaluator, key: Value) -> Value:
        raise ev.type_error(f"'{self.python_type().__name__}' object is not subscriptable")

    def setitem(self, ev: Evaluator, key: Value, value: Value) -> None:
        raise ev.type_error(f"'{self.python_type().__name__}' object does not support item assignment")

    def delitem(self, ev: Evaluator, key: Value) -> None:
        raise ev.type_error(f"'{self.python_type().__name__}' object does not support item deletion")

    def contains(self, ev: Evaluator, item: Value) -> bool:
        """`item in self`. Default: iterate and compare."""
        try:
            it = self.iter_(ev)
        except ev.UserRaise as error:
            if issubclass(error.value.python_type(), TypeError):
                raise ev.type_error(f"argument of type '{self.python_type().__name__}' is not iterable") from None
            raise
        while (element := it.next_(ev)) is not None:
            if ev.same_or_equal(element, item):
                return True
        return False

    def binary(self, ev: Evaluator, op: str, other: Value, reflected: bool) -> Value | None:
        """`self op other`, or `other op self` when `reflected`; None for NotImplemented. `op` is '+', '@', '**', ..."""
        return None

    def inplace(self, ev: Evaluator, op: str, other: Value) -> Value | None:
        """`self op= other`: the new object; None to go on with `binary`. `op` has no '=' here."""
        return None

    def unary(self, ev: Evaluator, op: str) -> Value:
        """`op` is '+', '-' or '~'."""
        raise ev.type_error(f"bad operand type for unary {op}: '{self.python_type().__name__}'")

    def compare(self, ev: Evaluator, op: str, other: Value) -> Value | None:
        """`self op other` for '==', '!=', '<', '<=', '>', '>='; None for NotImplemented."""
        return None

    # ------------------------------------------------------------ hashing and text

    def key(self, ev: Evaluator) -> Any:
        """A Python object that hashes and compares as this one does as a dict key (see `keys`). Default: by identity, for
        a type that says so.
        """
        return ev.default_key(self)

    def str_(self, ev: Evaluator) -> Value:
        """`str(self)`."""
        return self.repr_(ev)

    def repr_(self, ev: Evaluator) -> Value:
        raise ev.break_("unsupported-repr", f"taking the repr of {self.describe()}")

    def format_(self, ev: Evaluator, spec: str) -> Value:
        """`format(self, spec)`."""
        if not spec:
            return self.str_(ev)
        raise ev.break_("unsupported-format", f"formatting {self.describe()} with {spec!r}")

    def isinstance_(self, ev: Evaluator, cls: type) -> bool:
        """`isinstance(self, cls)` for one class. Default: by `python_type`."""
        return issubclass(self.python_type(), cls)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{f' {self.source.text}' if self.source else ''}>"
