"""Copying and saving compiled functions: as what they were made from."""

from __future__ import annotations

import copy
import operator
import sys
from collections.abc import Callable
from typing import Any


class CopiedAsOriginal:
    """Base of compiled functions. A function is its own copy, and is saved by its name; where a compiled function stands for a
    callable object, the object is copied or saved. Compiled code belongs to a process: what is loaded is plain, unless the name
    leads to a compiled function.
    """

    #: what is compiled
    fn: Any
    #: the object that `fn` only calls, and what compiles another one as this one was; None where `fn` is the program's own
    _original: tuple[Any, Callable[[Any], Any]] | None = None

    def stands_for(self, target: Any, compile_anew: Callable[[Any], Any]) -> None:
        """`fn` only calls `target`, which is what the program sees."""
        self._original = target, compile_anew

    def __copy__(self) -> Any:
        return self._copied(copy.copy)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self._copied(lambda target: copy.deepcopy(target, memo))

    def _copied(self, copied: Callable[[Any], Any]) -> Any:
        if self._original is None:
            return self
        target, compile_anew = self._original
        other = copied(target)
        return self if other is target else compile_anew(other)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Loading a plain function or object needs no quern: the first of a tuple that holds it is it."""
        if self._original is not None:
            return operator.itemgetter(0), ((self._original[0],),)
        found: Any = sys.modules.get(self.fn.__module__)
        for name in self.fn.__qualname__.split("."):
            found = getattr(found, name, None)
        return self.fn.__qualname__ if found is self else (operator.itemgetter(0), ((self.fn,),))
