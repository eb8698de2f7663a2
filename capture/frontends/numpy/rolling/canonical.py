"""What lives from one block of a rolled loop to another: a key that says of what kind it is, and the value in terms of variables of
the block's own, to which whoever jumps there assigns.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from .....inductor.sequential.program import ArrayRef, Expr, Literal, Var
from ....values.base import Value
from . import elements
from .given import Given
from .kinds import (
    CannotRoll,
    Chosen,
    Counted,
    Counting,
    Elements,
    Extent,
    Fixed,
    Growing,
    InMemory,
    Listed,
    Method,
    Null,
    Number,
    Outside,
    Part,
    PartOf,
    Pending,
    Placed,
    Rows,
    Several,
    Trace,
    Walk,
    Zipped,
    unknown,
)


@dataclass
class Moves:
    """What a jump assigns: variables and arrays of the block, and what they become."""

    numbers: list[tuple[Var, Expr]] = field(default_factory=list)
    arrays: list[tuple[ArrayRef, ArrayRef]] = field(default_factory=list)


#: the fields of values that are made of others
PARTS: dict[type, tuple[str, ...]] = {
    Several: ("items",), Listed: ("items",), Part: ("start", "stop", "step"), Method: ("owner", "name"), Counting: ("start", "stop", "step"),
    Growing: ("items", "at", "python"), Walk: ("at", "stop", "step", "loop", "safe"), Rows: ("array", "at"), Counted: ("inner", "at"), Zipped: ("parts",), Placed: ("inner", "sizes"), Pending: ("it",),
}  # fmt: skip


def canonical(t: Trace, given: Given, value: Any, path: str, keep: bool, moves: Moves) -> tuple[Any, Any]:
    """(key, value in canonical form); what has to be assigned is added to `moves`. keep: its numbers do not change"""
    if isinstance(value, Value):
        if keep:
            return ("value", id(value)), value
        value = t.met(value)
    if isinstance(value, Number):
        if keep and given.is_invariant(value.expr):
            return (value,), value
        plain = unknown(value)
        var = Var(f"{path}_{value.dtype.name}", value.dtype.name)
        moves.numbers.append((var, value.expr))
        made = replace(plain, expr=var)
        return (made,), made
    if isinstance(value, Chosen):
        value = elements.settled(t, value)
    if isinstance(value, PartOf):
        raise CannotRoll("a view of the parts of complex numbers")
    if isinstance(value, Elements):
        return _canonical_array(given, elements.in_memory(t, value), path, keep, moves)
    if isinstance(value, (Fixed, Null)):
        return _key(value), value
    if isinstance(value, Outside):
        return ("outside", id(value.value)), value
    parts = PARTS.get(type(value))
    if parts is None:
        raise CannotRoll(f"{type(value).__name__} that lives from one round to the next")
    keys: list[Any] = []
    fields: dict[str, Any] = {}
    for name in parts:
        child = getattr(value, name)
        fixed = keep or isinstance(value, (Walk, Counting)) and name != "at" or name == "sizes"
        if isinstance(child, tuple):
            pairs = [canonical(t, given, c, f"{path}_{name}{i}", fixed, moves) for i, c in enumerate(child)]
            keys.append(tuple(k for k, _ in pairs))
            fields[name] = tuple(c for _, c in pairs)
        elif isinstance(child, (str, int)):
            keys.append(child)
            fields[name] = child
        else:
            key, fields[name] = canonical(t, given, child, f"{path}_{name}", fixed, moves)
            keys.append(key)
    return (type(value).__name__, *keys), type(value)(**fields)


def _canonical_array(given: Given, a: InMemory, path: str, keep: bool, moves: Moves) -> tuple[Any, Any]:
    invariant = given.is_invariant
    if keep and given.is_array(a.ref) and all(invariant(e) for e in (*a.ref.sizes, *a.ref.strides)):
        return ("array", a.ref, tuple(s.known for s in a.sizes), a.bases, a.by_rows, a.writeable, a.identity), a
    sizes, strides = [], []
    for d, (size, stride) in enumerate(zip(a.sizes, a.ref.strides)):
        if not invariant(size.expr):
            var = Var(f"{path}_n{d}", "int64")
            moves.numbers.append((var, size.expr))
            size = Extent(var, size.known)
        if not isinstance(stride, Literal) and not invariant(stride):
            var = Var(f"{path}_s{d}", "int64")
            moves.numbers.append((var, stride))
            stride = var
        sizes.append(size)
        strides.append(stride)
    ref = ArrayRef(f"{path}_{a.ref.type}s", a.ref.type, tuple(s.expr for s in sizes), tuple(strides))
    moves.arrays.append((ref, a.ref))
    made = InMemory.of(ref, a.dtype, tuple(sizes), a.bases, a.by_rows, a.writeable, a.identity)
    return ("array", ref, tuple(s.known for s in sizes), a.bases, a.by_rows, a.writeable, a.identity), made


def _key(value: Any) -> Any:
    return ("null",) if isinstance(value, Null) else ("fixed", type(value.value), id(value.value))
