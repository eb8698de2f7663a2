"""Where a loop begins: it is traced, and becomes one node of the graph."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from .....errors import CompilerNotFound
from .....inductor.codegen.cpp.sequential import source
from .....inductor.sequential.program import ONE, ArrayRef, Check, Checked, Expr, Literal, Set, Store, Sweep, View
from ....breaks import Break, UserRaise
from ....bytecode.instructions import CodeView, Loop, live_locals, loops, successors
from ....values.base import Value
from ....values.functions import CellValue
from ....values.iterators import IteratorValue
from ....values.ranges import OpenRangeIterator, RangeValue
from ....values.sequences import ListValue, TupleValue
from ..arrays import Array
from ..values import RowIterator, attempt
from .bounds import Fits
from .given import Given, given_base, is_given
from .growing import begin_of, growing_list
from .instructions import Frame
from .kinds import (
    NONE,
    CannotRoll,
    Counted,
    Counting,
    Draws,
    Elements,
    Fixed,
    Growing,
    InMemory,
    Number,
    Outside,
    Placed,
    Rows,
    Several,
    Walk,
    Zipped,
    literal,
)
from .run import prepare
from .tracer import HELD, LISTED, RESULT, Exit, FirstAppended, TooManyBlocks, Tracer

if TYPE_CHECKING:
    from ....machine.frames import Frame as Activation
    from ....values.base import Machine
    from ..builder import ArrayBuilder
    from ..state import NumpyState

#: rounds up to which a loop without loops inside is unrolled, where it writes to items of arrays, and where it does not
UNROLLED_WRITES, UNROLLED = 4, 12
#: elements of arrays that are small
SMALL_ARRAY = 1 << 15
#: rounds beyond which a loop over arrays that cannot be rolled is left to Python
MOST_UNROLLED = 32
#: as that, of a list comprehension
MOST_LISTED = 128
#: as that, where the number of rounds changes from call to call: each would be compiled
MOST_CHANGING = 8


def roll(ev: Machine, activation: Activation, loop: Loop, start: int, top: list[Value], region: frozenset[int]) -> bool:
    """Whether the loop became one node of the graph: see `capture.frontend.Frontend.roll`."""
    try:
        _roll(ev, activation, loop, start, top, region)
    except Break as refused:
        # it is one program, which may not be run on what it is given: round after round it would be no better
        refused.exits = refused.exits or loop.exits
        raise
    except CannotRoll as error:
        most = MOST_CHANGING if _goes_on_changing(top) else MOST_UNROLLED if len(top) < 2 else MOST_LISTED
        around = _rounds_around(ev, activation, start)
        if error.has_arrays and error.rounds is not None and error.rounds * around > most and not ev.engine.fullgraph:
            within = f", in loops of {around}" if around > 1 else ""
            broken = ev.break_(
                "long-loop", f"a loop of {error.rounds} rounds{within}", f"it has {error}, and unrolled it would take long to compile",
                "write it over whole arrays, or compile what is called in it",
            )  # fmt: skip
            if around == 1:
                broken.exits = loop.exits
            raise broken from None
        ev.unrolled[activation.view, start] = loop, error.rounds or 1
        small = error.has_arrays and not isinstance(error, FewRounds) and _has_small_arrays(ev, activation)
        if small or isinstance(error, Draws):
            # the outermost: to the bytecode, a `while` with `continue` is a loop around the loop without it
            ev.whole_loops.setdefault((activation.view, start), loop)
        return False
    return True


def _rounds_around(ev: Machine, activation: Activation, start: int) -> int:
    """How often the loops around an instruction, as far as they are unrolled, come to it."""
    loops_around = (
        rounds for (view, _), (loop, rounds) in ev.unrolled.items() if view is activation.view and start in loop.body
    )
    return math.prod(loops_around)


def _roll(
    ev: Machine, activation: Activation, loop: Loop, start: int, top: list[Value], region: frozenset[int]
) -> None:
    """Make the loop one node of the graph, and go on behind it. Raises CannotRoll.

    start: the instruction where it begins, of `region`; top: what it finds on the stack
    """
    view = activation.view
    rounds = None
    try:
        listed = len(top) == 2
        if not listed and any(isinstance(v, IteratorValue) for v in top) and not _makes_iterator(view, start - 1):
            raise CannotRoll("an iterator that others may have")
        rounds = _rounds_now(ev, top)
        if rounds == 0:
            raise CannotRoll("no rounds")
        grows = growing_list(activation, loop, start, listed)
        if listed and grows is None:
            raise CannotRoll("a list that grows in some rounds")
        if grows is not None:
            (leave,) = loop.exits
            found = _traced(ev, activation, start, top, region, leave, grows)
        elif len(loop.exits) == 1:
            (leave,) = loop.exits
            found = _traced(ev, activation, start, top, region, leave)
            found = _with_numbers_behind(ev, activation, start, top, found) or found
        else:
            found = _traced(ev, activation, start, top, _rest(activation, start, top), None)
        given, tracer = found.given, found.tracer
        few = (
            rounds is not None
            and rounds <= _few(view, loop)
            and rounds * _rounds_around(ev, activation, start) <= MOST_UNROLLED
        )
        if few and not tracer.by_elements and not _goes_on_changing(top):
            raise FewRounds("few rounds")
        if not given.arrays and not any(
            isinstance(v, InMemory) for e in tracer.exits.values() for v in e.values.values()
        ):
            raise CannotRoll("no arrays")
        _check_writes(given, tracer)
        _emit(ev, activation, given, tracer, _exit_taken(tracer, loop, rounds), found.gone)
    except CannotRoll as error:
        error.rounds = error.rounds if rounds is None else rounds
        error.has_arrays = (
            error.has_arrays
            or _goes_over_arrays(top)
            or any(isinstance(_content(ev, activation.slots.get(n)), Array) for n in live_locals(view, start))
        )
        raise
    if top:
        del activation.stack[-len(top) :]
    if listed:
        activation.stack.append(top[0])
    if found.leave is None:
        activation.stack.append(activation.slots.pop(RESULT))
    returns = (i for i, instr in enumerate(view.instructions) if instr.op == "RETURN_VALUE")
    activation.pc = next(returns) if found.leave is None else found.leave


def _makes_iterator(view: CodeView, index: int) -> bool:
    """Whether nobody else has the iterator that an instruction gives: a call's, or what a generator expression goes over."""
    instr = view.instructions[index]
    return instr.op == "CALL" or instr.op == "LOAD_FAST" and instr.arg == ".0"


def _goes_on_changing(top: Sequence[Value]) -> bool:
    """Whether a loop counts to a number that changes from call to call: unrolled, it would be compiled for each."""
    return any(isinstance(v, (RangeValue, OpenRangeIterator)) for v in top)


def _goes_over_arrays(top: Sequence[Value]) -> bool:
    """Whether a loop takes its items from arrays."""
    return any(isinstance(v, (RowIterator, Array)) for v in top)


def _content(ev: Machine, value: Value | None) -> Value | None:
    """What a variable holds, or a cell that functions share."""
    return value.get(ev) if isinstance(value, CellValue) else value


@dataclass(frozen=True)
class _Traced:
    """A loop, or it and what comes behind it (leave: None). gone: variables that nobody reads any more"""

    given: Given
    tracer: Tracer
    leave: int | None
    gone: frozenset[str]


def _traced(
    ev: Machine, activation: Activation, start: int, top: Sequence[Value], region: frozenset[int], leave: int | None,
    grows: str | None = None,
) -> _Traced:  # fmt: skip
    """grows: the list to which each round appends an item"""
    view = activation.view
    stored = frozenset(
        view.instructions[i].arg for i in region if view.instructions[i].op in ("STORE_FAST", "DELETE_FAST")
    )
    alive = frozenset() if leave is None else live_locals(view, leave)
    lists = frozenset(() if grows in (None, LISTED) else (grows,))
    stored |= lists
    given = Given(ev, stored & alive | lists)
    slots: dict[str, Any] = {n: activation.slots[n] for n in live_locals(view, start) if n in activation.slots}
    begun = _begun(given, top)
    begin = None
    if grows is not None:
        empty = Growing(NONE, literal(0), False)
        if grows == LISTED:
            begun[0] = empty
        else:
            slots[grows] = empty
        try:
            Tracer(ev, given, region, leave).trace(
                Frame(view, activation.scope, dict(slots), list(begun), start, stored), begin_of(grows, None, begun[-1])
            )
        except FirstAppended as found:
            begin = begin_of(grows, found.item, begun[-1])
        except (Break, UserRaise) as error:
            raise CannotRoll(str(error)) from error
    tracer = Tracer(ev, given, region, leave)
    try:
        try:
            tracer.trace(Frame(view, activation.scope, dict(slots), list(begun), start, stored), begin)
            if vain := tracer.split_in_vain():
                tracer = Tracer(ev, given, region, leave, unsplit=vain)
                tracer.trace(Frame(view, activation.scope, dict(slots), list(begun), start, stored), begin)
        except TooManyBlocks:
            tracer = Tracer(ev, given, region, leave, unswitches=False)
            tracer.trace(Frame(view, activation.scope, slots, begun, start, stored), begin)
    except (Break, UserRaise) as error:
        raise CannotRoll(str(error)) from error
    return _Traced(given, tracer, leave, stored - alive - lists)


def _begun(given: Given, top: Sequence[Value]) -> list[Any]:
    return [given.iterator_of(v) if isinstance(v, IteratorValue) else given.of(v) for v in top]


def _rounds_now(ev: Machine, top: Sequence[Value]) -> int | None:
    """How often a loop over what lies on the stack goes round now; None where capture does not know."""
    begun = _begun(Given(ev, frozenset()), top)
    return _rounds(begun[-1]) if begun else None


def _with_numbers_behind(
    ev: Machine, activation: Activation, start: int, top: Sequence[Value], loop: _Traced
) -> _Traced | None:
    """The loop with the rest of the function, where that is about Python's numbers which come out of the loop: they would break the graph."""
    numbers = (v for e in loop.tracer.exits.values() for v in e.values.values() if isinstance(v, Number))
    if not any(n.python for n in numbers):
        return None
    try:
        whole = _traced(ev, activation, start, top, _rest(activation, start, top), None)
        _exit_taken(whole.tracer, None, None)
    except CannotRoll:
        return None
    same = _array_statements(whole.tracer) == _array_statements(loop.tracer)
    return whole if same and whole.tracer.exits else None


def _array_statements(tracer: Tracer) -> int:
    """How many statements a program has that are about whole arrays."""
    return sum(not isinstance(s, _OF_NUMBERS) for block in tracer.blocks for s in block.statements)


_OF_NUMBERS = (Set, Checked, Check, Store, Sweep, View, Fits)


def _rest(activation: Activation, start: int, top: Sequence[Value]) -> frozenset[int]:
    """All instructions of the function from there on: a loop that is left at several places is one program with what comes behind it."""
    if len(activation.stack) > len(top):
        raise CannotRoll("a loop that is left at several places, inside of something that is open")
    found: set[int] = set()
    todo = [start]
    while todo:
        at = todo.pop()
        if at not in found:
            found.add(at)
            todo += successors(activation.view, at)
    return frozenset(found)


class FewRounds(CannotRoll):
    """It could be rolled, and is better unrolled."""


def _has_small_arrays(ev: Machine, activation: Activation) -> bool:
    """Whether what a loop does to arrays in a round takes less than what a graph break does."""
    arrays = [v for v in activation.slots.values() if isinstance(v, Array)]
    return all(math.prod(ev.hint(n) for n in a.shape) <= SMALL_ARRAY for a in arrays)


def _few(view: CodeView, loop: Loop) -> int:
    """Up to how many rounds a loop of array operations is better unrolled: they become kernels over all rounds."""
    ops = {view.instructions[i].op for i in loop.body}
    if any(other.header in loop.body and other.header != loop.header for other in loops(view)):
        return 0
    return UNROLLED_WRITES if "STORE_SUBSCR" in ops else UNROLLED


def _rounds(it: Any) -> int | None:
    """How often a loop over this goes round now; None where capture does not know."""
    if isinstance(it, (Counting, Walk)):
        first, last = ((it.start if isinstance(it, Counting) else it.at).known, it.stop.known)
        return None if first is None or last is None else len(range(first.hint, last.hint, it.step))
    if isinstance(it, Elements) and it.ndim:
        size = it.sizes[0].known
        return None if size is None else size.hint
    if isinstance(it, Rows):
        return _rounds(it.array)
    if isinstance(it, (Counted, Placed)):
        return _rounds(it.inner)
    if isinstance(it, Zipped):
        parts = [_rounds(p) for p in it.parts]
        return None if None in parts or not parts else min(p for p in parts if p is not None)
    return None


def _exit_taken(tracer: Tracer, loop: Loop | None, rounds: int | None) -> Exit:
    """The exit that this capture's run takes; where another one is taken, the program bails. Variables may have other kinds at each.

    rounds: how many rounds the loop has now; None: not known
    """
    exits = list(tracer.exits.values())
    if not exits:
        raise CannotRoll("a loop without an end")
    if RESULT in exits[0].values and any(
        _outline(e.values[RESULT]) != _outline(exits[0].values[RESULT]) for e in exits
    ):
        raise CannotRoll("returns of several types")
    if len(exits) == 1 or rounds is None or loop is None or RESULT in exits[0].values:
        return exits[-1]
    at = tracer.next_heads(0, loop.header)
    passed: dict[int, int] = {}
    while len(at) == 1 and rounds:
        (head,) = at
        if head in passed:
            rounds %= passed[head] - rounds
            passed = {}
            if not rounds:
                break
        passed[head] = rounds
        at = tracer.next_heads(head, loop.header, inside=True)
        rounds -= 1
    if len(at) == 1 and not rounds:
        found = tracer.exit_of(next(iter(at)))
        if found is not None:
            return found
    return exits[-1]


def _outline(value: Any) -> Any:
    """What a result is, whichever array it is."""
    if type(value) is Several:
        return tuple(map(_outline, value.items))
    if isinstance(value, InMemory):
        return value.dtype, value.ndim
    return (value.dtype, value.python) if isinstance(value, Number) else value


def _check_writes(given: Given, tracer: Tracer) -> None:
    """Arrays that are written to must be alone in their memory: the program sees each for itself."""
    storages = [a.storage for a in given.array_args]
    for number, value in enumerate(given.array_args):
        if given_base(number) in tracer.writes and storages.count(value.storage) > 1:
            raise CannotRoll("a write to an array beside a view of it")


def _outputs(values: dict[str, Any]) -> tuple[list[Expr], list[ArrayRef], list[InMemory]]:
    numbers, arrays = [], []
    for value in _leaves(values):
        if isinstance(value, Number):
            numbers.append(value.expr)
        elif isinstance(value, InMemory) and not value.identity:
            arrays.append(value)
    seen: set[str] = set()
    for array in arrays:
        if not array.by_rows:
            raise CannotRoll("an array behind the loop that does not lie row by row")
        if any(map(is_given, array.bases)):
            raise CannotRoll("a view that is used behind the loop")
        if HELD in array.bases:
            raise CannotRoll("an array that a list holds, and that is used behind the loop")
        if array.bases & seen:
            raise CannotRoll("two arrays that may share memory behind the loop")
        seen |= array.bases
        if any(s.known is None for s in array.sizes):
            raise CannotRoll("an array of a size that is computed, behind the loop")
    return numbers, [a.ref for a in arrays], arrays


def _leaves(values: dict[str, Any]) -> Iterator[Any]:
    for _, value in sorted(values.items()):
        yield from _parts(value)


def _parts(value: Any) -> Iterator[Any]:
    if type(value) is Several:
        for item in value.items:
            yield from _parts(item)
    elif isinstance(value, Growing) and isinstance(value.items, InMemory):
        yield value.items
    elif isinstance(value, (Number, InMemory, Fixed, Outside)):
        yield value
    else:
        raise CannotRoll(f"{type(value).__name__} behind the loop")


def _emit(
    ev: Machine,
    activation: Activation,
    given: Given,
    tracer: Tracer,
    chosen: Exit,
    gone: frozenset[str],
) -> None:
    """Append the node, and give the loop's variables its results. gone: variables that nobody reads any more"""
    numbers, refs, arrays = _outputs(chosen.values)
    if not numbers and not arrays:  # it runs all the same: it may raise, or be left elsewhere
        numbers = [Literal(True, "bool")]
    program = tracer.program(chosen, numbers, refs)
    state: NumpyState = ev.states["numpy"]
    written = tuple(given_base(k) in tracer.writes for k in range(len(given.arrays)))
    targets = [a for a, writes in zip(given.array_args, written) if writes]
    inputs = [a for a in (*given.number_args, *given.array_args) if isinstance(a, Array)]
    count = len(targets) + len(numbers) + len(arrays)
    attrs = {
        "text": source(program),
        "types": tuple(v.type for v in program.numbers),
        "values": tuple(None if isinstance(a, Array) else a for a in given.number_args),
        "written": written,
        "ranks": tuple(a.ndim for a in program.arrays),
        "numbers": program.number_results,
        "arrays": tuple((a.dtype.name, tuple(s.known.value for s in a.sizes if s.known is not None)) for a in arrays),
        "errors": state.settings.count(ev),
    }
    try:
        prepare(attrs)
    except CompilerNotFound as error:
        raise CannotRoll(str(error)) from error

    def emitted(builder: ArrayBuilder) -> tuple[Array, ...]:
        node = ev.builder.call("loop", *map(builder.node, inputs), **attrs)
        made = tuple(builder.call_node(ev.builder.call("getitem", node, index=i)) for i in range(count))
        for target, content in zip(targets, made):
            builder.write(target, content)
        return made[len(targets) :]

    results = attempt(ev, emitted).items(ev)
    for name in gone:
        activation.slots.pop(name, None)
    _bind(ev, activation, given, chosen.values, results)


def _bind(ev: Machine, activation: Activation, given: Given, values: dict[str, Any], results: Sequence[Value]) -> None:
    """Give the loop's variables their values behind it. results: numbers, then arrays, in the order of the variables' names"""
    for name in given.results - values.keys():  # deleted
        activation.slots.pop(name, None)
    leaves = list(_leaves(values))
    numbers = iter(results)
    arrays = iter(results[sum(isinstance(leaf, Number) for leaf in leaves) :])
    made = iter([_value(ev, given, leaf, numbers if isinstance(leaf, Number) else arrays) for leaf in leaves])
    for name in sorted(values):
        value, held = values[name], activation.stack[-2] if name == LISTED else activation.slots.get(name)
        if isinstance(value, Growing) and isinstance(held, ListValue):
            held.grow(ev, next(made), _type_of_items(value))
        else:
            activation.slots[name] = _whole(value, made)


def _type_of_items(value: Growing) -> type | None:
    """The type of Python's numbers that a list's items are."""
    assert isinstance(value.items, InMemory)
    return Number(ONE, value.items.dtype, True).python_type() if value.python else None


def _value(ev: Machine, given: Given, leaf: Any, results: Iterator[Value]) -> Value:
    if isinstance(leaf, Fixed):
        return ev.constant(leaf.value)
    if isinstance(leaf, Outside):
        return cast(Value, leaf.value)
    if isinstance(leaf, InMemory) and leaf.identity:
        return given.array_args[int(leaf.identity.partition(":")[2])]
    found: Any = next(results)
    if isinstance(leaf, Number):
        found.number = leaf.python_type() if leaf.python else None
    return cast(Value, found)


def _whole(value: Any, leaves: Iterator[Value]) -> Value:
    """A value of its leaves."""
    return TupleValue([_whole(item, leaves) for item in value.items]) if type(value) is Several else next(leaves)
