"""What expressions may be: the table of `language.Expr`, checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..dtypes import HALVES, DType, bool_, int64
from ..ops.scalar import SCALAR, ScalarOp
from .language import Expr, FloorDiv, Index, Indirect, Mod, postorder
from .reducers import REDUCERS

#: operands of what is no scalar op
_ARITY = {"const": 0, "index": 0, "load": 0, "cast": 1, "masked": 3, "reduce": 1, "scan": 1, "dot": 1, "attend": 2}
#: what may have a half type
_HALF = ("load", "cast", "const", "masked", "where")


def malformed(e: Expr) -> str:
    """What is wrong with an expression, its operands taken as sound; or nothing."""
    row = SCALAR.get(e.op)
    arity = _ARITY.get(e.op, row.arity if row is not None else None)
    if arity is None:
        return f"an unknown op {e.op}"
    if len(e.args) != arity:
        return f"{e.op} of {len(e.args)} operands, not {arity}"
    if e.dtype in HALVES and e.op not in _HALF or e.op not in _HALF and any(a.dtype in HALVES for a in e.args):
        return f"arithmetic in a half type: {e.op}"
    types = [a.dtype for a in e.args]
    if row is not None:
        return _scalar(row, types, e.dtype)
    if e.op in ("reduce", "scan"):
        return _over_r(e)
    if e.op in ("dot", "attend") and (not e.dtype.is_float or {*types} != {e.dtype}):
        return f"{e.op} of {' and '.join(map(str, types))}, as {e.dtype}"
    if e.op == "masked" and (types[0] != bool_ or {*types[1:]} != {e.dtype}):
        return f"masked by {types[0]}: {types[1]} or {types[2]}, as {e.dtype}"
    if e.op == "index" and e.dtype != int64:
        return f"an index as {e.dtype}"
    if e.op in ("index", "load"):
        return _index(e.attr if e.op == "index" else e.attr[1])
    if e.op == "const" and not isinstance(e.attr, (bool, int, float)) and e.dtype != int64:
        return f"a size as {e.dtype}"
    return ""


def unconditional(roots: Iterable[Expr]) -> list[Expr]:
    """What is computed at every point: no condition stands above it, or one above what runs over r, which holds for no part of a row."""
    roots = list(roots)
    found: dict[int, Expr] = {}
    stack = roots + [e for e in postorder(roots) if e.op in ("reduce", "scan", "attend")]
    while stack:
        e = stack.pop()
        if id(e) not in found:
            found[id(e)] = e
            stack += (e.args[0], e.args[2]) if e.op == "masked" else e.below()
    return list(found.values())


def _scalar(row: ScalarOp, types: Sequence[DType], result: DType) -> str:
    given = types
    if row.name == "where":
        if types[0] != bool_:
            return f"where asks a {types[0]}"
        given = types[1:]
    if len({*given}) > 1:
        return f"{row.name} of {' and '.join(map(str, given))}"
    if not _in_domain(row.domain, given[0]):
        return f"{row.name} of {given[0]}, which is no {row.domain}"
    wanted = bool_ if row.result == "bool" else given[0]
    return "" if result == wanted else f"{row.name} of {given[0]} as {result}, not {wanted}"


def _in_domain(domain: str, dtype: DType) -> bool:
    return {
        "float": dtype.is_float,
        "int": dtype.is_int,
        "bool": dtype.kind == "bool",
        "number": dtype.is_float or dtype.is_int,
        "integral": dtype.is_int or dtype.kind == "bool",
        "any": True,
    }[domain]


def _over_r(e: Expr) -> str:
    if e.attr not in REDUCERS:
        return f"an unknown reduction {e.attr}"
    row, (value,) = REDUCERS[e.attr], e.args
    wanted = {"value": value.dtype, "truth": bool_, "position": int64}[row.finish]
    return "" if e.dtype == wanted else f"{e.op}.{e.attr} of {value.dtype} as {e.dtype}, not {wanted}"


def _index(index: Index) -> str:
    for atom in index.atoms():
        if isinstance(atom, Indirect) and not atom.value.dtype.is_int:
            return f"an index read as {atom.value.dtype}"
        if isinstance(atom, (FloorDiv, Mod)) and isinstance(atom.divisor, int) and atom.divisor < 1:
            return f"a divisor {atom.divisor}"
    return ""
