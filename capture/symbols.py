"""Sizes and ints: constants guarded by value, or symbols.

The first capture takes every size and every int argument as a constant. One that changed between calls (see
`wrapping.Policy.dynamic`) becomes a sympy symbol, except for the values 0 and 1. A branch on a relation between symbols is
decided by the values seen and guarded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .sources import Source
from .values.base import Value

if TYPE_CHECKING:
    from .evaluator import Evaluator


class Symbols:
    """The size symbols of one capture."""

    def __init__(self, ev: Evaluator) -> None:
        self.ev = ev

    def dim(self, source: Source, axis: int, size: int) -> Any:
        """Size `axis` of the array at `source`."""
        return size

    def wants_int(self, source: Source) -> bool:
        """True when the int at `source` is to be a symbol."""
        return False

    def int_input(self, source: Source, value: int) -> Value:
        """A symbol for the int at `source`."""
        raise NotImplementedError

    def specialize(self, value: Value) -> int:
        """The int of a symbolic value, from here on a constant: guarded."""
        return int(value.as_constant())
