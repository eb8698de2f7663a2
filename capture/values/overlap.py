"""Whether two arrays of the program share elements: what an in-place op is about to write, and what it reads.

Layouts are compared as arithmetic. The element at (i, j, ...) of an array stands at offset + i*stride + ...; two arrays of one
storage meet where the difference of two such sums is 0. Sizes may be symbols: then a bound that is not known does not
bound, and what remains open counts as shared.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any

from ...inductor.graph import Dim, TensorMeta
from ...inductor.ops.dims import less
from ...inductor.ops.promotion import is_dense
from .tensor import ArrayValue

#: more branches than this are not followed
_MOST_STEPS = 4096


class Overlap(enum.Enum):
    """How the memory of two arrays meets."""

    NONE = "no element is shared"
    SAME = "they are the same elements in the same order"
    PARTIAL = "both are dense, and share elements in another order or only some"
    UNCLEAR = "they share elements, or may"


def overlap(a: ArrayValue, b: ArrayValue) -> Overlap:
    """How the two meet."""
    if _made_alike(a, b):
        return Overlap.SAME
    if a.storage is not b.storage or _is_empty(a.meta) or _is_empty(b.meta):
        return Overlap.NONE
    if not (a.is_placed() and b.is_placed()):
        return Overlap.UNCLEAR
    if a.offset == b.offset and _axes(a.meta) == _axes(b.meta):
        # PyTorch calls them the same only if the strides of axes that do not move are equal too
        return Overlap.SAME if a.meta.stride == b.meta.stride else Overlap.UNCLEAR
    if _in_order(a, b) or _in_order(b, a) or not _may_meet(a, b):
        return Overlap.NONE
    dense = all(is_dense(x.meta.shape, x.meta.stride) for x in (a, b))
    return Overlap.PARTIAL if dense else Overlap.UNCLEAR


def _made_alike(a: ArrayValue, b: ArrayValue) -> bool:
    """Whether the two are one array, or views made of one array in the same steps."""
    if a is b:
        return True
    if a.parent is None or b.parent is None:
        return a.parent is b.parent and a.storage is b.storage
    return a.step == b.step and _made_alike(a.parent, b.parent)


def _is_empty(meta: TensorMeta) -> bool:
    return 0 in meta.shape


def _axes(meta: TensorMeta) -> list[tuple[Dim, Dim]]:
    """(size, stride) of the dims that move."""
    return [(n, s) for n, s in zip(meta.shape, meta.stride) if n != 1]


def _in_order(a: ArrayValue, b: ArrayValue) -> bool:
    """Whether `a` ends before `b` begins."""
    end: Dim = a.offset
    for n, s in _axes(a.meta):
        end = end + (n - 1) * s
    return less(end, b.offset)


def _may_meet(a: ArrayValue, b: ArrayValue) -> bool:
    """Whether offset difference + sum of stride * step = 0 has a solution within the steps' ranges."""
    difference = b.offset - a.offset
    bounded: dict[int, tuple[int, int]] = {}
    unit = 0  # what all unbounded terms together can make: the multiples of this
    for meta, sign in ((a.meta, -1), (b.meta, 1)):
        for n, s in _axes(meta):
            if not isinstance(s, int):
                return True
            if not isinstance(n, int):
                unit = _gcd(unit, s)
            elif s:
                low, high = bounded.get(s, (0, 0))
                bounded[s] = (low - (n - 1), high) if sign < 0 else (low, high + n - 1)
    if not isinstance(difference, int):
        return True
    terms = [(s, low, high) for s, (low, high) in sorted(bounded.items(), reverse=True)]
    if unit:
        low, high = (difference + sum(t[0] * t[side] for t in terms) for side in (1, 2))
        return -(-low // unit) * unit <= high
    return _solvable(difference, terms, [_MOST_STEPS])


def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


def _solvable(rest: int, terms: list[tuple[int, int, int]], left: list[int]) -> bool:
    """Whether rest + sum of stride * step = 0, the largest stride first. True as well when `left` steps do not tell."""
    if not terms:
        return rest == 0
    (stride, low, high), *others = terms
    least, most = (sum(t[0] * t[side] for t in others) for side in (1, 2))
    first, last = max(low, -((rest + most) // stride)), min(high, (-rest - least) // stride)
    for step in range(first, last + 1):
        left[0] -= 1
        if left[0] < 0 or _solvable(rest + stride * step, others, left):
            return True
    return False


def arrays_in(operands: Any) -> Iterator[ArrayValue]:
    """The arrays in nested lists, tuples and dicts."""
    if isinstance(operands, ArrayValue):
        yield operands
    elif isinstance(operands, (list, tuple, dict)):
        for x in operands.values() if isinstance(operands, dict) else operands:
            yield from arrays_in(x)


def shared_with(target: ArrayValue, operands: Any) -> set[Overlap]:
    """The ways in which the arrays among `operands` meet `target`."""
    return {overlap(target, x) for x in arrays_in(operands)}
