"""Lists that a loop appends one item to in each round: rows of an array that is taken before the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .....inductor.sequential.program import ZERO, Apply, Check
from ....bytecode.instructions import Loop, loops, successors
from ....values.sequences import ListValue
from . import elements
from .elements import small
from .instructions import Frame
from .kinds import CannotRoll, Counted, Counting, Extent, Growing, InMemory, Number, Rows, Size, Zipped, literal
from .tracer import LISTED, Tracer

if TYPE_CHECKING:
    from ....machine.frames import Frame as Activation


def growing_list(activation: Activation, loop: Loop, start: int, listed: bool) -> str | None:
    """The variable with a list of the function's own to which each round of a `for` loop appends exactly once; None without one, or
    where the loop does anything else with lists. listed: the loop is that of a comprehension, and the list is LISTED
    """
    view, header = activation.view, loop.header
    if view.instructions[header].op != "FOR_ITER" or start != header - (not listed) or len(loop.exits) != 1:
        return None
    wanted, name = ("LIST_APPEND", None) if listed else ("LOAD_FAST", _own_list(activation, loop))
    appends = [
        i for i in loop.body if view.instructions[i].op == wanted and (listed or view.instructions[i].arg == name)
    ]
    if len(appends) != 1 or not listed and name is None:
        return None
    (at,) = appends
    if listed and view.instructions[at].arg != 2:
        return None
    if any(at in inner.body for inner in loops(view) if inner.header in loop.body and inner.header != header):
        return None
    seen, todo = {at}, [k for k in successors(view, header) if k in loop.body]
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            todo += successors(view, here)
    misses = header in seen or any(k not in loop.body for k in seen)
    leaves = any(k not in loop.body for here in loop.body if here != header for k in successors(view, here))
    ends = any(view.instructions[k].op.startswith(("RETURN", "RAISE", "RERAISE")) for k in loop.body)
    return None if misses or leaves or ends else LISTED if listed else name


def _own_list(activation: Activation, loop: Loop) -> str | None:
    """The only variable with a list of the function's own that a loop reads, and reads to append."""
    view = activation.view
    instructions = [(i, view.instructions[i]) for i in loop.body]
    names = {str(x.arg) for _, x in instructions if x.op == "LOAD_FAST" and _is_own_list(activation, x.arg)}
    if len(names) != 1:
        return None
    (name,) = names
    if any(x.arg == name and x.op in ("STORE_FAST", "DELETE_FAST") for _, x in instructions):
        return None
    reads = (view.instructions[i + 1] for i, x in instructions if x.op == "LOAD_FAST" and x.arg == name)
    return name if all(x.op == "LOAD_ATTR" and x.arg == "append" for x in reads) else None


def _is_own_list(activation: Activation, name: Any) -> bool:
    value = activation.slots.get(name)
    return type(value) is ListValue and value.source is None and not value.closed


def begin_of(name: str, item: Number | InMemory | None, over: Any) -> Callable[[Tracer, Frame], None]:
    """What is done before a loop over this: the memory for the items is taken, and the iterator of a comprehension's loop begins.
    Raises CannotRoll where the size of the memory is not known before the loop. item: the first; None where it is not known yet
    """

    def begin(t: Tracer, frame: Frame) -> None:
        if item is not None:
            grown = Growing(_memory(t, item, over), literal(0), isinstance(item, Number) and item.python)
            if name == LISTED:
                frame.stack[0] = grown
            else:
                frame.slots[name] = grown
        if name == LISTED:
            frame.stack[-1] = t.iterator(frame.stack[-1])
            t.enter(frame)

    return begin


def _memory(t: Tracer, item: Number | InMemory, over: Any) -> InMemory:
    """A row for each round."""
    sizes = [_rounds(t, over)]
    for size in item.sizes if isinstance(item, InMemory) else ():
        if size.known is None:
            raise CannotRoll("a list of arrays whose size is computed")
        known = t.given.size(size.known)
        t.emit(Check(Apply("ge", (known.expr, literal(0).expr), "bool")))
        sizes.append(known)
    return elements.new(t, sizes, item.dtype)


def _rounds(t: Tracer, over: Any) -> Extent:
    """How many rounds a loop has, which is known before it."""
    if isinstance(over, InMemory) and over.ndim:
        return over.sizes[0]
    if isinstance(over, Rows) and over.at.expr == ZERO:
        return over.array.sizes[0]
    if isinstance(over, Counted):
        return _rounds(t, over.inner)
    if isinstance(over, Zipped) and over.parts:
        first, *others = (_rounds(t, part) for part in over.parts)
        for other in others:
            if first.known != other.known:
                raise CannotRoll("a list that grows over items of several lengths")
            t.emit(Check(Apply("eq", (first.expr, other.expr), "bool")))
        return first
    if isinstance(over, Counting) and over.step == 1 and over.start.known is not None and over.stop.known is not None:
        known = over.stop.known - over.start.known
        if known.hint < 0 or not over.stop.natural:
            raise CannotRoll("a list that grows over a range of no numbers")
        expr = t.let(small("sub", over.stop.expr, over.start.expr))
        t.emit(Check(Apply("ge", (expr, literal(0).expr), "bool")))
        return Extent(expr, Size(known.value, known.hint))
    raise CannotRoll("a list that grows over this")
