"""Generator expressions that a builtin takes whole: `sum(f(x) for x in xs)` as the loop that it stands for.

The generator's own instructions are evaluated, with what the builtin does of an item where the item would be yielded. What happens,
and in which order, is the same; but there is one loop now, and a front end may make it one node of the graph (`rolling`).
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..breaks import UserRaise
from ..bytecode.flow import CONDITIONAL
from ..bytecode.view import CodeView, Instr
from ..values.base import Value
from ..values.functions import CellValue
from ..values.generators import GeneratorValue
from ..values.iterators import EnumerateValue, IteratorValue, ZipValue
from ..values.sequences import ListValue
from ..values.tensor import ArrayValue
from .frames import Frame, run

if TYPE_CHECKING:
    from ..values.base import Machine

#: the variable of what the builtin has made so far
TOTAL = ".total"
#: stands for the place behind the yield
NEXT = object()
_Piece = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class _Consumer:
    """What a builtin does of the items, as (op, argument).

    begin: at first; item: in the place of a yield; end: in the place of the generator's None
    lists: it makes a list of them, whose loop a front end takes for a comprehension's
    """

    begin: _Piece
    item: _Piece
    end: _Piece
    lists: bool = False


_CONSUMERS = {
    "sum": _Consumer(
        (),
        (("LOAD_FAST", TOTAL), ("SWAP", 2), ("BINARY_OP", "+"), ("STORE_FAST", TOTAL)),
        (("LOAD_FAST", TOTAL),),
    ),
    "any": _Consumer(
        (), (("POP_JUMP_IF_FALSE", NEXT), ("LOAD_CONST", True), ("RETURN_VALUE", None)), (("LOAD_CONST", False),)
    ),
    "all": _Consumer(
        (), (("POP_JUMP_IF_TRUE", NEXT), ("LOAD_CONST", False), ("RETURN_VALUE", None)), (("LOAD_CONST", True),)
    ),
    "list": _Consumer((("BUILD_LIST", 0),), (("LIST_APPEND", 2),), (), lists=True),
}
_views: weakref.WeakKeyDictionary[CodeView, dict[str, CodeView | None]] = weakref.WeakKeyDictionary()


def consume(ev: Machine, items: Value, builtin: str, total: Value | None = None) -> Value | None:
    """What the builtin makes of a generator expression over arrays that was not begun; None for other iterables. total: what `sum`
    starts with
    """
    if not isinstance(items, GeneratorValue) or items.started or not _is_about_arrays(ev, items):
        return None
    view = _view_for(items.frame.view, builtin)
    if view is None:
        return None
    slots = dict(items.frame.slots)
    if total is not None:
        slots[TOTAL] = total
    frame = Frame(view, slots, items.frame.scope, items.function)
    items.started = items.finished = True
    items.arguments = None
    items.frame.slots = {}
    ev.depth += 1
    try:
        return run(ev, frame)
    except UserRaise as raised:
        if issubclass(raised.value.python_type(), StopIteration):
            raise UserRaise(ev.stop_iteration_error(raised.value)) from None
        raise
    finally:
        ev.depth -= 1


def array_behind(ev: Machine, items: Value) -> ArrayValue | None:
    """The array of a front end that rolls loops whose rows, one by one, are the items of an iterable: itself, or that of a list."""
    found = items.array if type(items) is ListValue else items
    return found if isinstance(found, ArrayValue) and _holds_array(ev, found) and found.meta.shape else None


def _is_about_arrays(ev: Machine, generator: GeneratorValue) -> bool:
    """Whether it goes over arrays of a front end that rolls loops, or reads such arrays."""
    return any(_holds_array(ev, v) for v in generator.frame.slots.values())


def _holds_array(ev: Machine, value: Value | None) -> bool:
    if isinstance(value, CellValue):
        value = value.get(ev)
    if isinstance(value, EnumerateValue):
        return _holds_array(ev, value.inner)
    if isinstance(value, ZipValue):
        return any(_holds_array(ev, v) for v in value.inner)
    found = value.owner if isinstance(value, IteratorValue) and hasattr(value, "owner") else value
    return isinstance(found, ArrayValue) and any(f.name == found.framework and f.rolls for f in ev.frontends)


def _view_for(view: CodeView, builtin: str) -> CodeView | None:
    made = _views.setdefault(view, {})
    if builtin not in made:
        made[builtin] = _rewritten(view, _CONSUMERS[builtin])
    return made[builtin]


def _rewritten(view: CodeView, consumer: _Consumer) -> CodeView | None:
    """The instructions of a generator expression as a loop; None where they are not as expected."""
    own = view.instructions
    yields = [i for i, x in enumerate(own) if x.op == "YIELD_VALUE"]
    begins = [i for i, x in enumerate(own) if x.op == "LOAD_FAST" and x.arg == ".0"]
    ends = [i for i, x in enumerate(own) if x.op == "RETURN_VALUE"]
    if view.code.co_name != "<genexpr>" or view.is_async_generator or not len(yields) == len(begins) == len(ends) == 1:
        return None
    (given,), (begin,), (end,) = yields, begins, ends
    expected = {0: "RETURN_GENERATOR", 1: "POP_TOP", begin + 1: "FOR_ITER", given + 1: "POP_TOP", end - 1: "LOAD_CONST"}
    if any(own[i].op != op for i, op in expected.items()) or own[end - 1].arg is not None:
        return None
    if consumer.lists and sum(x.op == "FOR_ITER" for x in own) > 1:
        return None
    made: list[Instr] = []
    places: dict[int, int] = {}
    pieces = {0: consumer.begin, 1: (), given: consumer.item, given + 1: (), end - 1: consumer.end}
    for i, x in enumerate(own[: end + 1]):
        places[i] = len(made)
        made += [replace(x, op=op, arg=arg) for op, arg in pieces[i]] if i in pieces else [x]
        if i == begin and not consumer.lists:
            made.append(replace(x, op="GET_ITER", arg=None))  # where a front end is asked
    placed = [_placed(x, i, places, places[given + 1]) for i, x in enumerate(made)]
    return replace(
        view, instructions=tuple(placed), handlers=(None,) * len(placed), local_names=(*view.local_names, TOTAL), is_generator=False,
        raws=(), micros=(), spans=(), protected=(),
    )  # fmt: skip


def _placed(instr: Instr, index: int, places: dict[int, int], behind: int) -> Instr:
    """An instruction at its new place. `places` is that of each old instruction."""
    if instr.op == "JUMP" or instr.op in CONDITIONAL:
        return replace(instr, index=index, arg=behind if instr.arg is NEXT else places[instr.arg])
    return replace(instr, index=index)
