"""Capturing one region for one set of arguments: from bytecode to the source text of an entry.

An attempt runs the evaluator over the root frame. It ends in one of three ways: the frame returns; it reaches a stop (a place
where an earlier attempt had to break) and goes on in a continuation; or it breaks, which adds a stop and starts anew.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from ...clock import perf_counter
from ...errors import InternalError, UserError
from ...inductor.checks import may_raise
from ...inductor.graph import Graph, Node, symbols_in
from ...inductor.ops.dims import deciding
from .. import locations
from ..breaks import Break, BreakReason, Restart, UserRaise
from ..bytecode.continuation import CannotContinue, TailSpec, build_continuation, tail_stack
from ..bytecode.instructions import Slot, live_locals, loops, stack_shape, successors
from ..frontend import Frontend, frontends
from ..guards.sources import Source
from ..guards.symbols import Assumptions
from ..guards.varying import varying
from ..machine import opcodes, opcodes_control
from ..machine.evaluator import Evaluator
from ..machine.frames import NULL, STOPPED, Frame, Program
from ..machine.wrapping import Policy
from ..python import builtin_functions, cached_functions, library, messages, polyfills
from ..values.base import Machine, Value
from ..values.constant import ConstantValue
from ..values.functions import BoundMethodValue, CellValue, FunctionValue
from ..values.generators import GeneratorValue
from ..values.objects import ObjectValue
from ..values.tensor import ArrayValue
from .boundary import BoundaryBuilder
from .captured import Captured, Making
from .execution import does_something
from .failures import CompileFailure
from .rebuild import Rebuilder
from .region import LazySlots, Region

#: modules whose import fills the tables of instructions and of modelled callables
TABLES = (builtin_functions, cached_functions, library, messages, opcodes, opcodes_control, polyfills)

#: codes of breaks that no place in the program is the cause of
_OF_THE_WHOLE = frozenset(("inference-mode", "packing-hooks", "frames", "weak-reference", "weak-callback"))
#: codes of breaks that other arguments may be spared: a loop over numbers of another type, a smaller list. They are met anew
_OF_THE_ARGUMENTS = frozenset(
    ("long-loop", "long-sequence", "numpy-unsupported", "numpy-warning", "overlapping-write", "set-order", "unknown-function")
)  # fmt: skip
#: attempts at one frame before it is left to plain Python
MAX_ATTEMPTS = 40


def capture(
    region: Region, arguments: Mapping[str, Any], engine: Any, policy: Policy, assume: Assumptions | None = None
) -> Captured:
    """Capture `region` for real arguments by parameter name.

    assume: what earlier attempts found out about sizes; grows
    engine offers `fullgraph`, `note_break(reason)`, `resume(region, index, ...)` and `compiled(function)`.
    Raises errors.Unsupported for a break under `fullgraph`.
    """
    began = perf_counter()
    if region.view.can_suspend:
        reason = BreakReason("generator", f"{region.name} is a generator or coroutine", "it runs as plain Python",
                             location=locations.of_code(region.view.code))  # fmt: skip
        if engine.fullgraph:
            raise reason.unsupported()
        engine.note_break(reason, False)
        return plain(Evaluator([], policy, engine), region, reason)
    assume = assume if assume is not None else Assumptions()
    region.family.forget(_OF_THE_ARGUMENTS)
    with room_for_calls():
        found = _until_settled(region, arguments, engine, policy, assume)
    found.seconds = perf_counter() - began
    return found


#: Python frames that the evaluator may need: about six for each inlined call
STACK = 6000
#: Python's limit before the first of the captures that run now, once for each of them; it is one for the whole process
_limits: list[int] = []
_limiting = threading.Lock()


@contextlib.contextmanager
def room_for_calls() -> Iterator[None]:
    """Allow deeper Python calls: evaluating a call takes more of Python's stack than making it. Captures of several threads
    may overlap: the last one to end sets the limit back, unless the program set another meanwhile.
    """
    with _limiting:
        if _limits:
            _limits.append(_limits[0])
        else:
            _limits.append(sys.getrecursionlimit())
            sys.setrecursionlimit(max(_limits[0], STACK))
    try:
        yield
    finally:
        with _limiting:
            before = _limits.pop()
            if not _limits and sys.getrecursionlimit() == max(before, STACK):
                sys.setrecursionlimit(before)


def _until_settled(
    region: Region, arguments: Mapping[str, Any], engine: Any, policy: Policy, assume: Assumptions
) -> Captured:
    """Attempts until one ends without learning anything new."""
    for _ in range(MAX_ATTEMPTS):
        ev = Evaluator(frontends(), policy, engine, assume)
        try:
            with deciding(ev.symbols.decide_layout):
                found = _attempt(ev, region, arguments)
        except Restart as restart:
            ev.discard()
            if restart.error is not None:
                raise restart.error from None
            continue
        except Break as broken:
            if ev.symbols.settle_scalars(branching=broken.code == "data-dependent-branch"):
                ev.discard()
                continue
            if not _learn(region, ev, broken):
                ending = _expecting_error if _is_error(ev, broken) else plain
                found = ending(ev, region, BreakReason.of(broken))
                engine.note_break(BreakReason.of(broken), broken.eager)
            else:
                ev.discard()
                continue
        except UserError:
            raise
        except Exception as error:
            raise _failure(ev, region, error) from error
        return found
    unsettled = InternalError(f"[capture] {region.name} did not settle in {MAX_ATTEMPTS} attempts")
    raise _failure(ev, region, unsettled)


def _failure(ev: Evaluator, region: Region, error: Exception) -> CompileFailure:
    """What an attempt that failed knows: where it was, and which facts led there."""
    location = ev.failure[1] if ev.failure is not None and ev.failure[0] is error else None
    for guard in ev.symbols.guards():
        ev.guards.add(guard)
    return CompileFailure(error, location or locations.of_code(region.view.code), plain(ev, region, None))


def _expecting_error(ev: Evaluator, region: Region, reason: BreakReason) -> Captured:
    """An entry of plain Python that is expected to raise; if it does not, it says why the program was not captured."""
    failed = ev.names.inject(reason.unsupported, "unsupported")
    return _run_plain(ev, [_plain_call(ev, region), f"raise {failed}()"], reason)


def _attempt(ev: Evaluator, region: Region, arguments: Mapping[str, Any]) -> Captured:
    for frontend in ev.frontends:
        frontend.global_guards(ev)
    ev.resuming = not region.is_whole
    frame = region.frame(ev, arguments)
    frame.program = with_stops(frame.program, region)
    ev.root = frame
    try:
        value = ev.run(frame)
    except UserRaise as raised:
        return _raises(ev, region, raised)
    except RecursionError:
        raise ev.break_("deep-recursion", "calls inside calls without end", "capture ran out of Python stack") from None
    if value is STOPPED:
        return _finish_stopped(ev, region, frame)
    ev.frame = frame
    for name in region.view.local_names:
        frame.slots.pop(name, None)
        ev.close_abandoned()
    ev.frame = None
    rb = Rebuilder(ev)
    for frontend in ev.frontends:
        frontend.finish(ev, rb)
    text = rb.value(value)
    rb.replay_effects()
    rb.settle()
    return assemble(ev, rb, f"return {text}", None)


def with_stops(program: Program, region: Region) -> Program:
    """The root's program, with the handlers at stops replaced."""
    stops = region.family.stops
    if not stops:
        return program
    changed = list(program)
    for index in stops:
        changed[index] = (_stop, index)
    return tuple(changed)


def _stop(ev: Machine, frame: Frame, index: int) -> Value:
    frame.pc = index
    return STOPPED


# ---------------------------------------------------------------- learning from breaks


def _learn(region: Region, ev: Evaluator, broken: Break) -> bool:
    """Add the stop that a break asks for. False when the frame must run as plain Python.

    Under `fullgraph` the break is raised as errors.Unsupported, except where plain Python is expected to raise.
    """
    strict = _is_error(ev, broken)
    if strict and broken.eager:
        return False
    if strict:
        raise BreakReason.of(broken).unsupported() from None
    root = ev.root
    if root is None or region.view.can_suspend:
        return False
    if broken.code in _OF_THE_WHOLE:
        return False
    if broken.code == "finalizer" or _counts_references(root):
        return False  # our frames around a continuation would hold the object longer than the program does
    index, exits = _place_of(region, ev, broken, max(root.pc - 1, region.start))
    stops = region.family.stops
    reason = BreakReason.of(broken)
    if index in stops:  # the stop itself failed: what lives there cannot be made again, or no code can start there
        earlier = _earlier_stop(region, index)
        if earlier is None:
            return False
        index = earlier
    stops[index] = reason
    if exits and not broken.nested:
        region.family.exits[index] = exits
    if broken.nested and broken.code != "deep-recursion":
        region.family.inlined.add(index)
    for loop in loops(region.view):
        if index in loop.body and loop.header not in stops and _can_start(region, loop.header):
            stops[loop.header] = reason
    return True


def _place_of(region: Region, ev: Evaluator, broken: Break, index: int) -> tuple[int, tuple[int, ...]]:
    """Where plain Python takes over, and where a loop that it runs as a whole is left: one round after the other would be a call each."""
    if not broken.exits and not broken.nested:
        around = [(start, loop) for (view, start), loop in ev.whole_loops.items()
                  if view is region.view and start >= region.start and index in loop.body]  # fmt: skip
        if around:
            start, loop = max(around, key=lambda found: len(found[1].body))
            return start, loop.exits
    return index, broken.exits


def _counts_references(frame: Frame) -> bool:
    """Whether a function may ask how many references there are to an array that it has made."""
    names = frame.view.code.co_names
    held = [v for v in (*dict.values(frame.slots), *frame.stack) if isinstance(v, ArrayValue)]
    return any(name in v.counts_references for v in held for name in names)


def _is_error(ev: Evaluator, broken: Break) -> bool:
    return ev.engine.fullgraph if broken.strict is None else broken.strict


def _can_start(region: Region, index: int) -> bool:
    try:
        tail_stack(region.view.code, index)
    except (CannotContinue, InternalError):
        return False
    return True


def _earlier_stop(region: Region, index: int) -> int | None:
    """The nearest `with` or loop that is entered before `index` and still open there."""
    view = region.view
    shape = stack_shape(view, index)
    if shape is None:
        return None
    for earlier in range(index - 1, region.start - 1, -1):
        if view.instructions[earlier].op not in ("BEFORE_WITH", "GET_ITER") or earlier in region.family.stops:
            continue
        before = stack_shape(view, earlier)
        if before is not None and len(before) <= len(shape) and _can_start(region, earlier):
            return earlier
    return None


# ---------------------------------------------------------------- endings


def plain(ev: Evaluator, region: Region, reason: BreakReason | None) -> Captured:
    """An entry that runs the region as plain Python."""
    return _run_plain(ev, [f"return {_plain_call(ev, region)}"], reason)


def _run_plain(ev: Evaluator, body: list[str], reason: BreakReason | None) -> Captured:
    return _captured(ev, None, ev.guards.conditions()[0], [], [], [], body, [], None, reason)


def _plain_call(ev: Evaluator, region: Region) -> str:
    """The region as an expression of plain Python."""
    if not region.is_whole:
        return _plain_rest(ev, region)
    return f"{ev.names.inject(region.function, 'plain')}({call_parts(region)})"


def call_parts(region: Region) -> str:
    """Arguments that pass the parameters of a whole function on to it."""
    view, names = region.view, region.names
    parts = list(names[: view.argcount])
    total = view.argcount + view.kwonlyargcount
    if view.has_varargs:
        parts.append(f"*{names[total]}")
    parts += [
        f"{real}={name}" for real, name in zip(view.local_names[view.argcount : total], names[view.argcount : total])
    ]
    if view.has_varkw:
        parts.append(f"**{names[total + view.has_varargs]}")
    return ", ".join(parts)


def _plain_rest(ev: Evaluator, region: Region) -> str:
    """The call of a continuation without tails: the rest of the function as plain Python."""
    plain_names = tuple(p.slot for p in region.parameters if p.slot and p.kind == "value")
    bound = [p for p in region.parameters if not p.slot or p.kind == "value"]
    continuation = build_continuation(region.view.code, region.start, _without_maybe(region.stack), plain_names,
                                      maybe_unbound=True)  # fmt: skip
    cells = {p.slot: p.name for p in region.parameters if p.kind == "cell"}
    return continue_call(ev, region, continuation, cells, [p.name for p in bound])


def _without_maybe(stack: tuple[Slot, ...]) -> tuple[Slot, ...]:
    return tuple(Slot.VALUE if kind is Slot.MAYBE_NULL else kind for kind in stack)


def _raises(ev: Evaluator, region: Region, raised: UserRaise) -> Captured:
    """The program's own exception leaves the frame. Plain Python raises it, with its true traceback."""
    value = raised.value
    said = ", ".join(repr(a.value) if type(a) is ConstantValue else a.describe() for a in getattr(value, "args", ()))
    reason = BreakReason(
        "raises",
        f"{value.python_type().__name__}({said}) leaves the function",
        "plain Python raises it",
        location=raised.location,
    )
    return (_expecting_error if ev.engine.fullgraph else plain)(ev, region, reason)


def _finish_stopped(ev: Evaluator, region: Region, frame: Frame) -> Captured:
    """The frame stands before a stop: rebuild its state and hand it to a continuation."""
    index = frame.pc
    reason = region.family.stops[index]
    frame.pc = index + 1
    ev.frame = frame  # messages about what cannot be made again name this place
    rb = Rebuilder(ev)
    for frontend in ev.frontends:
        frontend.finish(ev, rb)
    try:
        text = _continue(ev, rb, region, frame, index)
    except CannotContinue as error:
        raise ev.break_("cannot-continue", reason.what, str(error)) from None
    finally:
        ev.frame = None
    rb.replay_effects()
    rb.settle()
    ev.engine.note_break(reason, False)
    return assemble(ev, rb, f"return {text}", reason)


def _continue(ev: Evaluator, rb: Rebuilder, region: Region, frame: Frame, index: int) -> str:
    view = region.view
    cells = {*view.cell_names, *view.free_names}
    live = live_locals(view, index)
    names = tuple(n for n in view.local_names if n in live and n not in cells and n in frame.slots)
    if any(isinstance(v, GeneratorValue) and v.has_pending for n, v in frame.slots.items() if n not in names):
        raise CannotContinue("a generator waits inside a `try` or `with`, and is closed when the function ends")
    kinds = tuple(Slot.NULL if v is NULL else Slot.VALUE for v in frame.stack)
    callee = _callee_position(frame, index) if index in region.family.inlined else -1
    stack = [
        compiled_callee(ev, rb, v) if i == callee else rb.value(v) for i, v in enumerate(frame.stack) if v is not NULL
    ]
    values = [_variable(rb, frame, n) for n in names]
    tails = _tails(ev, region, index)
    continuation = build_continuation(view.code, index, kinds, names, tails)
    cell_texts = {n: _cell(rb, frame, n) for n in (*view.cell_names, *view.free_names)}
    return continue_call(ev, region, continuation, cell_texts, [*stack, *values])


def _variable(rb: Rebuilder, frame: Frame, name: str) -> str:
    slots = frame.slots
    if isinstance(slots, LazySlots):
        source = slots.untouched(name)
        if source is not None:
            return rb.source(source)
    return rb.value(slots[name])


def _cell(rb: Rebuilder, frame: Frame, name: str) -> str:
    cell = frame.slots[name]
    assert isinstance(cell, CellValue)
    return rb.value(cell)


def continue_call(ev: Evaluator, region: Region, continuation: Any, cells: dict[str, str], args: list[str]) -> str:
    """The expression that runs a continuation."""
    names = ev.names
    if not continuation.cells:
        function = names.inject(continuation.make(region.function.__globals__, {}), "continue")
    else:
        own = dict(zip(region.view.free_names, region.function.__closure__ or ()))
        texts = {
            n: cells.get(n) or names.inject(own[n], "cell") if n in own or n in cells else ""
            for n in continuation.cells
        }
        given = ", ".join(f"{n!r}: {t or names.inject(_new_cell, 'cell') + '()'}" for n, t in texts.items())
        make, scope = names.inject(continuation.make, "make"), names.inject(region.function.__globals__, "globals")
        function = f"{make}({scope}, {{{given}}})"
    return f"{function}({', '.join(args)})"


def _new_cell() -> Any:
    return (lambda x: lambda: x)(None).__closure__[0]  # type: ignore[index]


def _tails(ev: Evaluator, region: Region, index: int) -> dict[int, TailSpec]:
    """Where the continuation of a break at `index` may be compiled again: right behind the instruction, or the loop."""
    view = region.view
    if view.instructions[index].op in ("RETURN_VALUE", "RAISE_VARARGS", "RERAISE"):
        return {}
    tails = {}
    for following in region.family.exits.get(index) or successors(view, index):
        place = _startable(region, following)
        if place is None:
            continue
        cells = {*view.cell_names, *view.free_names}
        live = live_locals(view, place)
        names = tuple(n for n in view.local_names if n in live and n not in cells)
        held = tuple(n for n in (*view.cell_names, *view.free_names))
        resume = ev.engine.resume(region, place, tail_stack(view.code, place), names, held)
        tails[place] = TailSpec(resume, names, held)
    return tails


def _startable(region: Region, place: int) -> int | None:
    """The first instruction from `place` on, along straight code, where code can start again and something is left to do."""
    view = region.view
    while place < len(view):
        op = view.instructions[place].op
        if op == "RETURN_VALUE":
            return None
        if _can_start(region, place):
            return place
        following = successors(view, place)
        if len(following) != 1:
            return None
        place = following[0]
    return None


# ---------------------------------------------------------------- calls that are compiled by themselves


def _callee_position(frame: Frame, index: int) -> int:
    """Stack position of what a call instruction calls; -1 for other instructions."""
    instr = frame.view.instructions[index]
    size = len(frame.stack)
    if instr.op == "CALL":
        base = size - instr.arg.count - 2
    elif instr.op == "CALL_FUNCTION_EX":
        base = size - 3 - bool(instr.arg)
    else:
        return -1
    return base if frame.stack[base] is not NULL else base + 1


def compiled_callee(ev: Evaluator, rb: Rebuilder, value: Value) -> str:
    """A callable that a break left to plain Python, wrapped so that it is compiled by itself."""
    if (
        isinstance(value, FunctionValue)
        and value.real is not None
        and value.source is not None
        and value.source.is_const
    ):
        compiled = ev.engine.compiled(value.real)
        return rb.inject(compiled, "compiled") if compiled is not None else rb.value(value)
    own = value.compiled_callee(ev, rb)
    if own is not None:
        return own
    method = value
    if isinstance(value, ObjectValue):
        bound = value.special(ev, "__call__")
        method = bound if bound is not None else value
    if (
        isinstance(method, BoundMethodValue)
        and isinstance(method.function, FunctionValue)
        and method.function.real is not None
    ):
        compiled = ev.engine.compiled(method.function.real)
        if compiled is not None:
            return f"{rb.inject(compiled, 'compiled')}.__get__({rb.value(method.owner)})"
    return rb.value(value)


# ---------------------------------------------------------------- the entry's code


def assemble(ev: Evaluator, rb: Rebuilder, ending: str, reason: BreakReason | None) -> Captured:
    """Put the pieces of an entry together; drop what the graph computes for nobody."""
    ev.guard_aliases()
    kept = prune(ev.graph, ev.boundary)
    inputs = [(source, example) for (source, example), keep in zip(ev.inputs, kept) if keep]
    frontend = owner_of(ev, inputs)
    ev.boundary.framework = frontend.name if frontend is not None else ""
    inputs = frontend.take(ev, inputs) if frontend is not None and inputs else inputs
    inputs += ev.symbols.bind(ev.graph, inputs)
    program = recorded_program(ev, rb)
    if program is not None:
        frontend, inputs = program.frontend, [(taken.source, taken.example) for taken in program.taken]
    guards = ev.guards
    for guard in ev.symbols.guards():
        guards.add(guard)
    # in the order in which the entry runs them: a place is named where it is read first
    places = list(rb.fetched) + [s for s, _ in inputs]
    conditions, read = guards.conditions(places)
    fetch = [f"{name} = {read(source)}" for source, name in rb.fetched.items()]
    expressions = [read(s) for s, _ in inputs]
    body = [*rb.built, *rb.effects, *rb.entered, ending]
    graph = ev.graph
    ev.boundary.close(graph)
    examples = [e for _, e in inputs]
    return _captured(
        ev, graph, conditions, fetch, expressions, rb.output_names, body, examples, frontend, reason, program
    )


def recorded_program(ev: Evaluator, rb: Rebuilder) -> Any:
    """What a front end recorded of the program's own calls, where the backend asks for it."""
    writes = bool(ev.boundary.writes) or ev.wrote_outside
    for frontend in ev.frontends:
        record = getattr(frontend, "program", None)
        program = None if record is None else record(ev, rb.outputs, writes)
        if program is not None:
            return program
    return None


def _captured(
    ev: Evaluator, graph: Graph | None, conditions: list[str], fetch: list[str], inputs: list[str], outputs: list[str],
    body: list[str], examples: list[Any], frontend: Frontend | None, reason: BreakReason | None, program: Any = None,
) -> Captured:  # fmt: skip
    symbols = ev.symbols
    fixed = varying(ev.identity_places, ev.guards.types, symbols.constants, symbols.equal_places())
    return Captured(
        graph, ev.guards.ordered(), ev.names.namespace, conditions, fetch, inputs, outputs, body, frontend, fixed,
        Making(ev, examples, program), reason, references=ev.names.references,
        handled=graph is not None and not ev.builder.protected.isdisjoint(graph.nodes),
        runs=program is not None or graph is not None and does_something(graph),
        writes=program is not None and program.writes,
    )  # fmt: skip


def owner_of(ev: Evaluator, inputs: list[tuple[Source, Any]]) -> Frontend | None:
    """The front end whose arrays the graph gives, or takes."""
    if ev.boundary.framework:
        return next(f for f in ev.frontends if f.name == ev.boundary.framework)
    for _, example in inputs:
        for frontend in ev.frontends:
            if frontend.owns_type(type(example)):
                return frontend
    return ev.frontends[0] if ev.frontends else None


def prune(graph: Graph, boundary: BoundaryBuilder) -> list[bool]:
    """Drop nodes that no output and no mutation needs. Returns, per former input, whether it stayed."""
    needed: set[Node] = set()
    todo = [*graph.outputs, *(node for write in boundary.writes for node in write)]
    # random numbers are drawn, and errors are raised, whether or not the results are used
    todo += [node for node in graph.nodes if node.effects or may_raise(node)]
    measured = list(boundary.measured)
    while todo:
        node = todo.pop()
        if node not in needed:
            needed.add(node)
            todo.extend(i for i in node.inputs if i is not None)
        if not todo and measured:  # what tells the sizes of others
            used = set(symbols_in([(n.meta, n.attrs) for n in needed]))
            todo = [node for symbol, node, _ in measured if symbol in used]
            measured = [m for m in measured if m[0] not in used]
    kept = [node in needed for node in graph.inputs]
    graph.inputs[:] = [node for node in graph.inputs if node in needed]
    graph.nodes[:] = [node for node in graph.nodes if node in needed]
    return kept
