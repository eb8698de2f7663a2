"""Where a loop begins: it is traced, and becomes one node of the graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .....errors import CompilerNotFound
from .....inductor.codegen.cpp.sequential import source
from .....inductor.sequential.program import ArrayRef, Expr, Literal
from ....breaks import Break, UserRaise
from ....bytecode.instructions import CodeView, Loop, live_locals, loops
from ....values.base import Value
from ....values.iterators import IteratorValue
from ..arrays import Array
from ..values import attempt
from .given import Given
from .instructions import Frame
from .kinds import (
    CannotRoll,
    Counted,
    Counting,
    Elements,
    Fixed,
    InMemory,
    Number,
    Outside,
    Rows,
    Walk,
    Zipped,
)
from .run import prepare
from .tracer import Exit, TooManyBlocks, Tracer

if TYPE_CHECKING:
    from ....machine.frames import Frame as Activation
    from ....values.base import Machine
    from ..builder import ArrayBuilder
    from ..state import NumpyState

#: rounds up to which a loop without loops inside is unrolled, where it writes to items of arrays, and where it does not
UNROLLED_WRITES, UNROLLED = 4, 12
#: rounds beyond which a loop over arrays that cannot be rolled is left to Python
MOST_UNROLLED = 32


def roll(ev: Machine, activation: Activation, loop: Loop, start: int, top: list[Value], region: frozenset[int]) -> bool:
    """Whether the loop became one node of the graph: see `capture.frontend.Frontend.roll`."""
    try:
        _roll(ev, activation, loop, start, top, region)
    except CannotRoll as error:
        if error.has_arrays and error.rounds is not None and error.rounds > MOST_UNROLLED and not ev.engine.fullgraph:
            broken = ev.break_(
                "long-loop", f"a loop of {error.rounds} rounds", f"it has {error}, and unrolled it would take long to compile",
                "write it over whole arrays, or compile what is called in it",
            )  # fmt: skip
            broken.exits = loop.exits
            raise broken from None
        return False
    return True


def _roll(
    ev: Machine, activation: Activation, loop: Loop, start: int, top: list[Value], region: frozenset[int]
) -> None:
    """Make the loop one node of the graph, and go on behind it. Raises CannotRoll.

    start: the instruction where it begins, of `region`; top: what it finds on the stack
    """
    view = activation.view
    if len(loop.exits) != 1:
        raise CannotRoll("a loop that is left at several places")
    (leave,) = loop.exits
    stored = frozenset(
        view.instructions[i].arg for i in region if view.instructions[i].op in ("STORE_FAST", "DELETE_FAST")
    )
    alive = live_locals(view, leave)
    given = Given(ev, stored & alive)
    slots = {name: activation.slots[name] for name in live_locals(view, start) if name in activation.slots}
    rounds = None
    try:
        if any(isinstance(v, IteratorValue) for v in top) and view.instructions[start - 1].op != "CALL":
            raise CannotRoll("an iterator that others may have")
        begun = [given.iterator_of(v) if isinstance(v, IteratorValue) else given.of(v) for v in top]
        rounds = _rounds(begun[0]) if begun else None
        if rounds == 0:
            raise CannotRoll("no rounds")
        tracer = Tracer(ev, given, region, leave)
        try:
            try:
                tracer.trace(Frame(view, activation.scope, dict(slots), list(begun), start, stored))
            except TooManyBlocks:
                tracer = Tracer(ev, given, region, leave, unswitches=False)
                tracer.trace(Frame(view, activation.scope, slots, begun, start, stored))
        except (Break, UserRaise) as error:
            raise CannotRoll(str(error)) from error
        if rounds is not None and rounds <= _few(view, loop) and not tracer.by_elements:
            raise CannotRoll("few rounds")
        if not given.arrays and not any(
            isinstance(v, InMemory) for e in tracer.exits.values() for v in e.values.values()
        ):
            raise CannotRoll("no arrays")
        _check_writes(given, tracer)
        _emit(ev, activation, given, tracer, _exit_taken(tracer, loop, rounds), stored - alive)
    except CannotRoll as error:
        error.rounds, error.has_arrays = rounds, any(isinstance(v, Array) for v in slots.values())
        raise
    activation.pc = leave


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
    if isinstance(it, Counted):
        return _rounds(it.inner)
    if isinstance(it, Zipped):
        parts = [_rounds(p) for p in it.parts]
        return None if None in parts or not parts else min(p for p in parts if p is not None)
    return None


def _exit_taken(tracer: Tracer, loop: Loop, rounds: int | None) -> Exit:
    """The exit that this capture's run takes; where another one is taken, the program bails. Variables may have other kinds at each.

    rounds: how many rounds the loop has now; None: not known
    """
    exits = list(tracer.exits.values())
    if not exits:
        raise CannotRoll("a loop without an end")
    if len(exits) == 1 or rounds is None:
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


def _check_writes(given: Given, tracer: Tracer) -> None:
    """Arrays that are written to must be alone in their memory: the program sees each for itself."""
    storages = [a.storage for a in given.array_args]
    for number, value in enumerate(given.array_args):
        if f"given:{number}" in tracer.writes and storages.count(value.storage) > 1:
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
        if any(b.startswith("given:") for b in array.bases):
            raise CannotRoll("a view that is used behind the loop")
        if array.bases & seen:
            raise CannotRoll("two arrays that may share memory behind the loop")
        seen |= array.bases
        if any(s.known is None for s in array.sizes):
            raise CannotRoll("an array of a size that is computed, behind the loop")
    return numbers, [a.ref for a in arrays], arrays


def _leaves(values: dict[str, Any]) -> Iterator[Any]:
    for _, value in sorted(values.items()):
        if isinstance(value, (Number, InMemory, Fixed, Outside)):
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
    written = tuple(f"given:{k}" in tracer.writes for k in range(len(given.arrays)))
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
    names = sorted(values)
    given_out = iter(results)
    for name in names:
        value = values[name]
        if isinstance(value, Number):
            number: Any = next(given_out)
            number.number = value.python_type() if value.python else None
            activation.slots[name] = number
    for name in names:
        value = values[name]
        if isinstance(value, Fixed):
            activation.slots[name] = ev.constant(value.value)
        elif isinstance(value, Outside):
            activation.slots[name] = value.value
        elif isinstance(value, InMemory):
            own = value.identity
            activation.slots[name] = given.array_args[int(own.partition(":")[2])] if own else next(given_out)
