"""Comparing sizes. Ints are compared as ints; sympy is met only when a symbol is.

A relation between symbols may be undecidable from what is promised about them. Then `definitely` asks the decider:
capture installs one that answers with the sizes seen at this call and records a guard. Without a decider it raises
`NeedsGuard`, which carries the relation.

The decider sits in a context variable, the one piece of ambient state in inductor: meta rules are called from
everywhere (capture, decompositions, rewrites), and threading a decider through each of them would put a parameter
into every rule for the sake of the few relations that symbols cannot decide.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..graph import Dim

#: answers a relation that symbols leave open (and remembers that it did)
Decider = Callable[[Any], bool]

_decider: contextvars.ContextVar[Decider | None] = contextvars.ContextVar("decider", default=None)


class NeedsGuard(ValueError):
    """A meta rule depends on a relation between symbols that nothing promised. `relation` is the sympy relation."""

    def __init__(self, relation: Any) -> None:
        self.relation = relation
        super().__init__(f"the result depends on {relation}, which the symbols' ranges leave open")


@contextlib.contextmanager
def deciding(decider: Decider) -> Iterator[None]:
    """Let `decider` answer open relations inside the block."""
    token = _decider.set(decider)
    try:
        yield
    finally:
        _decider.reset(token)


@contextlib.contextmanager
def listening() -> Iterator[list[Any]]:
    """Inside the block the decider is asked as before; the list given collects the relations it was asked."""
    outer, asked = _decider.get(), []

    def decide(relation: Any) -> bool:
        if outer is None:
            raise NeedsGuard(relation)
        asked.append(relation)
        return outer(relation)

    with deciding(decide):
        yield asked


def definitely(relation: Any) -> bool:
    """The truth of a bool or a sympy relation. Raises NeedsGuard when it is open and no decider is set."""
    if relation is True or relation is False:
        return bool(relation)
    if relation == True:  # noqa: E712  sympy's true is not the object True
        return True
    if relation == False:  # noqa: E712
        return False
    decider = _decider.get()
    if decider is None:
        raise NeedsGuard(relation)
    return decider(relation)


def same(a: Dim, b: Dim) -> bool:
    """a == b. A lone size symbol is never 0 or 1: those sizes are always static."""
    if type(a) is int and type(b) is int:
        return a == b
    if a == b:
        return True
    if type(a) is int:
        a, b = b, a
    if type(b) is int and b <= 1 and _at_least_two(a):
        return False
    import sympy

    return definitely(sympy.Eq(a, b))


def _at_least_two(size: Any) -> bool:
    """A size symbol, or a product of size symbols and positive ints."""
    if size.is_Symbol:
        return True
    return size.is_Mul and all(f.is_Symbol or (f.is_Integer and f > 0) for f in size.args)


def is_one(size: Dim) -> bool:
    return size == 1 if type(size) is int else same(size, 1)


def is_zero(size: Dim) -> bool:
    return size == 0 if type(size) is int else same(size, 0)


def less(a: Dim, b: Dim) -> bool:
    """a < b."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a < b
    import sympy

    return definitely(sympy.Lt(a, b))


def is_whole(number: Any) -> bool:
    """Whether it is an int, or an expression of sizes that always is one."""
    return isinstance(number, int) or getattr(number, "is_integer", None) is True


def at_least(size: Any, low: int) -> Any:
    """The larger one; undecided where symbols leave it open."""
    if isinstance(size, (int, float)):
        return max(size, low)
    import sympy

    return plain(sympy.Max(size, low))


def floor_divide(a: Dim, b: Dim) -> Dim:
    """a // b for non-negative sizes; an exact symbolic quotient stays free of floor."""
    if type(a) is int and type(b) is int:
        return a // b
    import sympy

    quotient = sympy.cancel(sympy.sympify(a) / b)
    whole = quotient if quotient.is_integer else sympy.floor(quotient)
    return int(whole) if whole.is_Integer else whole


def plain(size: Any) -> Dim:
    """A size as an int when it is one (a sympy Integer, a NumPy integer), else unchanged."""
    if type(size) is int:
        return size
    if getattr(size, "is_Integer", False):
        return int(size)
    return int(size) if hasattr(size, "__index__") and not hasattr(size, "is_Symbol") else size


def spread(value: int | Sequence[int], n: int, what: str) -> tuple[int, ...]:
    """One number per spatial dim. Raises ValueError for a wrong count."""
    values = (value,) * n if isinstance(value, int) else tuple(value)
    if len(values) == 1:
        values = values * n
    if len(values) != n:
        raise ValueError(f"{what} {value} must be one int or {n}")
    return values
