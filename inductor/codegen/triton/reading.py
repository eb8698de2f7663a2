"""Questions that the generator asks of expressions."""

from __future__ import annotations

from ...dtypes import int64
from ...loops import Expr, FloorDiv, Index, Indirect, Mod, Var, postorder, upper_bound
from ...ops.scalar import SCALAR

#: comparisons of indices are made in 32 bits where the operands surely fit
COMPARISONS = frozenset(op.name for op in SCALAR.values() if op.is_comparison)


def emission_order(root: Expr) -> list[Expr]:
    """Operands before users. The value of a `masked` and the operand of a `reduce` are left to their own emission."""
    done: set[int] = set()
    out: list[Expr] = []
    stack: list[tuple[Expr, bool]] = [(root, False)]
    while stack:
        e, ready = stack.pop()
        if id(e) in done:
            continue
        if ready:
            done.add(id(e))
            out.append(e)
            continue
        stack.append((e, True))
        operands = [e.args[0]] if e.op == "masked" else [] if e.op in ("reduce", "scan") else list(e.args)
        if e.op in COMPARISONS and all(map(is_small, e.args)):
            operands = []
        index = e.attr if e.op == "index" else e.attr[1] if e.op == "load" else None
        if index is not None:
            operands += [a.value for a in index.atoms() if isinstance(a, Indirect)]
        stack.extend((b, False) for b in reversed(operands))
    return out


def below(value: Expr, index: Index | None = None) -> list[Expr]:
    """Every expression below a value and an index."""
    from_index = [a.value for a in index.atoms() if isinstance(a, Indirect)] if index is not None else []
    return postorder([value, *from_index])


def unique(exprs: list[Expr]) -> list[Expr]:
    return list({id(e): e for e in exprs}.values())


def has_load(e: Expr) -> bool:
    return any(b.op == "load" for b in postorder([e]))


def is_small(e: Expr) -> bool:
    """An integer that surely fits in 32 bits: a small constant, or an index with a small bound."""
    if e.dtype != int64:
        return False
    if e.op == "const":
        return isinstance(e.attr, int) and abs(e.attr) < 1 << 31
    if e.op != "index":
        return False
    return _is_small_index(e.attr)


def _is_small_index(index: Index) -> bool:
    """Whether an index, and all that it is computed from, surely fits in 32 bits."""
    top = upper_bound(index)
    if not (isinstance(top, int) and top < 1 << 31 and isinstance(index.const, int) and abs(index.const) < 1 << 31):
        return False
    return all(_is_small_index(a.base) for a in index.atoms() if isinstance(a, (FloorDiv, Mod)))


def fits_indices(index: Index) -> bool:
    """Whether a value computed from an index surely has room where positions in memory have: it is small, or it is one of the
    loop's own variables, which count the elements of a buffer.
    """
    if _is_small_index(index):
        return True
    if len(index.terms) != 1 or index.const != 0:
        return False
    ((atom, c),) = index.terms
    return isinstance(atom, Var) and c in (1, -1)


def max_that_sum_follows(e: Expr) -> Expr | None:
    """For a sum of exp(v - max v) over the row: that maximum. The two can be accumulated together."""
    if e.op != "reduce" or e.attr != "sum" or not e.dtype.is_float or e.args[0].op != "exp":
        return None
    difference = e.args[0].args[0]
    if difference.op != "sub":
        return None
    value, top = difference.args
    is_its_max = top.op == "reduce" and top.attr == "max" and top.args[0] is value
    return top if is_its_max else None
