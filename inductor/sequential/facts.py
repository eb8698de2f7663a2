"""What passes and code generators ask of sequential programs: which numbers are read, what may note an error, what is costly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from .program import (
    Apply,
    Block,
    Branch,
    Checked,
    Choose,
    Determinant,
    Edge,
    Expr,
    Fill,
    Load,
    New,
    Program,
    Reduce,
    Set,
    Statement,
    Store,
    Var,
)

#: operations on floats that note no error
_QUIET = frozenset("neg fabs max min copysign sign where real imag conj complex floor ceil trunc".split())


def may_note(e: Expr) -> bool:
    """Whether computing a number may note a floating-point error."""
    if not isinstance(e, Apply):
        return False
    exact = e.op in _QUIET or e.op == "cast" and not e.args[0].type.startswith(("float", "complex"))
    return e.type.startswith(("float", "complex")) and not exact or any(map(may_note, e.args))


def factors_of_runs(e: Apply) -> tuple[Load, Load] | None:
    """The factors of a sum of products of elements that follow each other along its index; None for another sum."""
    _, index, value = e.args
    if not isinstance(value, Apply) or value.op != "mul" or e.type not in ("float32", "float64"):
        return None
    left, right = value.args
    if not isinstance(left, Load) or not isinstance(right, Load) or not left.type == right.type == e.type:
        return None
    if any(f.index[-1:] != (index,) or any(has(i, index) for i in f.index[:-1]) for f in (left, right)):
        return None
    return left, right


def has(e: Expr, part: Expr) -> bool:
    """Whether an expression has a part."""
    inside: tuple[Expr, ...] = e.args if isinstance(e, Apply) else e.index if isinstance(e, Load) else ()
    return e == part or any(has(x, part) for x in inside)


#: functions of many instructions, which are vectors where a strip of values is computed
_HEAVY = frozenset(
    "exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh pow atan2 hypot".split()
)


def heavy_parts(e: Expr) -> list[Apply]:
    """The costly functions of an expression, operands first, each once."""
    found: dict[Apply, None] = {}

    def visit(x: Expr) -> None:
        if isinstance(x, Apply) and x.op not in ("sum_over", "all_over"):
            for a in x.args:
                visit(a)
            if x.op in _HEAVY and x.type in ("float32", "float64"):
                found[x] = None

    visit(e)
    return list(found)


def lasting(block: Block) -> tuple[Statement, ...]:
    """The statements of a block that no other one undoes: of several stores the last may be all that is left."""
    stores = sum(isinstance(s, Store) for s in block.statements)
    return tuple(s for s in block.statements if stores < 2 or not isinstance(s, Store))


def read_by(part: Any) -> Iterator[Var]:
    """The numbers that a statement, the end of a block or an expression reads, edges left out."""
    if isinstance(part, Var):
        yield part
    elif isinstance(part, tuple):
        for p in part:
            yield from read_by(p)
    elif is_dataclass(part) and not isinstance(part, Edge):
        for f in fields(part):
            if not (f.name == "var" and isinstance(part, (Set, Checked, Reduce, Determinant))):
                yield from read_by(getattr(part, f.name))


def takes_memory(block: Block) -> bool:
    """Whether a block takes memory each time that it runs."""
    return any(isinstance(s, (New, Choose)) or isinstance(s, Fill) and not s.apart for s in block.statements)


def loop_of(program: Program, last: int, head: int) -> list[Block]:
    """The blocks of the loop that a jump from block `last` back to block `head` makes."""
    before: dict[int, list[int]] = {}
    for number, block in enumerate(program.blocks):
        for edge in edges(block):
            before.setdefault(edge.target, []).append(number)
    found, todo = {head}, [last]
    while todo:
        at = todo.pop()
        if at not in found:
            found.add(at)
            todo += before.get(at, [])
    return [program.blocks[number] for number in sorted(found)]


def edges(block: Block) -> list[Edge]:
    """Where a block may go on."""
    if not isinstance(block.end, Branch):
        return []
    return [e for e in (block.end.then, block.end.other) if e is not None]
