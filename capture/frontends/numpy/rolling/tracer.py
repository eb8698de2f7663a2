"""The abstract evaluation of a loop's bytecode: blocks of a sequential program, one for each combination of kinds that arrives.

A block is entered with its frames in *canonical* form: every number and array that changes from round to round is in a variable that is
named after its place (frame, slot). So two ways that arrive with the same kinds share the block, and an edge is an assignment of those
variables. Kinds are never joined: a variable that is an int at first and a float from the second round on makes a second version of
the loop, which is the one that stays ("Simple and effective type check removal through lazy basic block versioning", Chevalier-Boisvert and
Feeley, 2015).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .....inductor.sequential.program import (
    ONE,
    ZERO,
    Apply,
    ArrayRef,
    Block,
    Branch,
    Check,
    Edge,
    Expr,
    Literal,
    Program,
    Return,
    Set,
    Statement,
    Sweep,
    Var,
    View,
)
from ....bytecode.instructions import CodeView, live_locals, loops
from ....values.base import Value
from ....values.functions import BoundMethodValue, CellValue
from . import elements, functions, iterating, library, numbers
from .bounds import Bounds, Fits
from .canonical import PARTS, Moves, canonical
from .given import Given, is_given
from .instructions import HANDLERS, Frame, named
from .kinds import (
    LARGE,
    NONE,
    SMALL_BITS,
    CannotRoll,
    Chosen,
    Counted,
    Counting,
    Elements,
    Extent,
    Fixed,
    Growing,
    InMemory,
    Method,
    Number,
    Outside,
    PartOf,
    Pending,
    Placed,
    Rows,
    Several,
    Size,
    Walk,
    Zipped,
    literal,
    refusal_of_use,
    unknown,
)

if TYPE_CHECKING:
    from ....values.base import Machine

#: in deeper nests of loops, one that does not fit ends the versions of those around that do not look: in each of them all that lies
#: inside would be there once more
DEEP = 4
#: blocks before a loop is thought to have no end of kinds
MOST_BLOCKS = 400
MOST_FRAMES = 12


#: what stands for a function's result among variables, and for the list of a comprehension
RESULT, LISTED = "return", "[]"
#: among the bases of an array: a list holds it
HELD = "held"


class FirstAppended(Exception):
    """What the first round appends to a list: a number, or an array of sizes that capture knows."""

    def __init__(self, item: Number | InMemory) -> None:
        super().__init__("the first item")
        self.item = item


class TooManyBlocks(CannotRoll):
    """A program would have more blocks than anybody wants to wait for."""


@dataclass
class Exit:
    """Where the loop is left: the block that returns, and the variables that live on, or the function's result."""

    block: int
    values: dict[str, Any]


@dataclass
class _Block:
    frames: list[Frame]
    depth: int = 1
    statements: list[Statement | Fits] = field(default_factory=list)
    end: Branch | Return | None = None
    #: it is not expected that control comes here: the program bails if it cannot go on
    is_aside: bool = False
    refused: CannotRoll | None = None


class Tracer:
    """Traces one loop. `given` makes numbers and arrays of what the loop finds outside.

    region: the loop's instructions; leave: where it is left, None where the program goes on to the function's end
    """

    def __init__(
        self, ev: Machine, given: Given, region: frozenset[int], leave: int | None, unswitches: bool = True,
        unsplit: frozenset[tuple[CodeView, int]] = frozenset(),
    ) -> None:  # fmt: skip
        self.ev = ev
        self.given = given
        self.region = region
        self.leave = leave
        #: whether loops get a version without checks of their items; heads of those that do not
        self.unswitches, self.unsplit = unswitches, unsplit
        self.blocks: list[_Block] = []
        self.keys: dict[Any, int] = {}
        self.exits: dict[Any, Exit] = {}
        self.names = itertools.count()
        self.block: _Block
        self.frames: list[Frame] = []
        self.memo: dict[Expr, Var] = {}
        self.parts: dict[Any, ArrayRef] = {}
        self.bounds = Bounds(given)
        #: the instruction of the function with the loop at which a block begins
        self.places: dict[int, int] = {}
        #: whether single elements are read, which are numbers: outside of a program they would be arrays, or break the graph
        self.by_elements = False
        #: arrays from outside that the program writes to
        self.writes: set[str] = set()

    # ------------------------------------------------------------ what rules use

    def name(self, stem: str) -> str:
        return f"{stem}{next(self.names)}"

    def variable(self, dtype: str) -> Var:
        return Var(self.name("t"), dtype)

    def index(self, ndim: int) -> tuple[Var, ...]:
        return tuple(Var(self.name("at"), "int64") for _ in range(ndim))

    def emit(self, statement: Statement) -> None:
        if isinstance(statement, Check) and isinstance(statement.condition, Literal):
            if statement.condition.value:
                return
            raise CannotRoll("what Python would refuse")
        self.block.statements.append(statement)

    def let(self, e: Expr, reads: bool = False) -> Expr:
        """The expression as a variable or literal. reads: it reads memory, and is another one each time"""
        if isinstance(e, (Var, Literal)):
            return e
        if not reads and e in self.memo:
            return self.memo[e]
        var = self.variable(e.type)
        self.emit(Set(var, e))
        self.by_elements |= reads
        if not reads:
            self.memo[e] = var
        return var

    def part(self, base: ArrayRef, sizes: tuple[Expr, ...], strides: tuple[Expr, ...], offset: Expr) -> ArrayRef:
        """A part of an array, `offset` elements behind its first."""
        key = (base, sizes, strides, offset)
        found = self.parts.get(key)
        if found is None:
            found = self.parts[key] = ArrayRef(self.name("a"), base.type, sizes, strides)
            self.emit(View(found, base, offset))
        return found

    def site(self) -> str:
        """What the memory that this place of the program takes is called."""
        return f"new:{len(self.frames)}:{self.frames[-1].pc}:{id(self.frames[-1].view)}:{len(self.block.statements)}"

    def written(self, target: InMemory) -> None:
        """An array is about to be written to: expressions that wait for their turn must not see it."""
        for frame in self.frames:
            for value in frame.stack:
                if (
                    isinstance(value, (Elements, Chosen))
                    and not isinstance(value, InMemory)
                    and value.bases & target.bases
                ):
                    raise CannotRoll("an expression that is used behind a write to what it reads")
        if HELD in target.bases:
            raise CannotRoll("a write to an array that a list holds")
        self.writes |= target.bases

    def constant(self, value: Any) -> Any:
        """What is known of a number or object. Raises CannotRoll for what is not."""
        if isinstance(value, Fixed):
            return value.value
        if isinstance(value, Number) and isinstance(value.expr, Literal):
            return value.expr.value
        if isinstance(value, Number) and value.known is not None and value.known.number is not None:
            return value.known.number
        if type(value) is Several:
            return tuple(self.constant(v) for v in value.items)
        raise CannotRoll("a number that decides about shapes and is computed in the loop")

    def axes(self, axis: Any, ndim: int) -> tuple[int, ...] | None:
        found = self.constant(axis)
        if found is None:
            return None
        axes = found if isinstance(found, tuple) else (found,)
        if not all(isinstance(a, int) and -ndim <= a < ndim for a in axes):
            raise CannotRoll("an axis that is out of range")
        return tuple(sorted({a % ndim for a in axes}))

    def shape(self, shape: Any) -> tuple[Extent, ...]:
        items = shape.items if isinstance(shape, Several) else (shape,)
        made = []
        for item in items:
            n = numbers.as_index(self, item)
            if not n.natural and not isinstance(n.expr, Literal):
                self.emit(Check(Apply("ge", (n.expr, Literal(0, "int64")), "bool")))
                self.emit(Check(Apply("lt", (n.expr, Literal(1 << 40, "int64")), "bool")))
            made.append(Extent(n.expr, n.known))
        return tuple(made)

    def dtype(self, given: Any, default: np.dtype | None) -> np.dtype:
        if given == NONE:
            if default is None:
                raise CannotRoll("a type that is not given")
            return default
        wanted = given.value if isinstance(given, Fixed) else None
        if isinstance(given, Outside):
            wanted = self.given.object_of(given.value)
        try:
            found = np.dtype(wanted)
        except TypeError as error:
            raise CannotRoll("a type that is not known") from error
        if (
            wanted is None
            or found.kind not in "biufc"
            or found == np.float16
            or found.itemsize > 16
            or not found.isnative
        ):
            raise CannotRoll(f"arrays of {found}")
        return found

    def extent_of_range(self, start: Number, stop: Number, step: int) -> Extent:
        """How many numbers a range has."""
        if start.expr == ZERO and step == 1 and stop.natural:
            return Extent(stop.expr, stop.known)
        known = None
        if start.known is not None and stop.known is not None:
            numbers_known = start.known.number is not None and stop.known.number is not None
            known = Size.of(len(range(start.known.hint, stop.known.hint, step))) if numbers_known else None
        return Extent(self.let(Apply("length", (start.expr, stop.expr, Literal(step, "int64")), "int64")), known)

    # ------------------------------------------------------------ iterators

    def iterator(self, value: Any) -> Any:
        """`iter(value)`."""
        if isinstance(value, (Walk, Rows)):
            return value
        if isinstance(value, (Counted, Placed)):
            return replace(value, inner=self.iterator(value.inner))
        if isinstance(value, Zipped):
            return Zipped(tuple(map(self.iterator, value.parts)))
        if isinstance(value, Counting):
            for n in (value.start, value.stop):
                if n.bits > SMALL_BITS:
                    self.emit(Check(Apply("lt", (n.expr, Literal(LARGE, "int64")), "bool")))
                    self.emit(Check(Apply("gt", (n.expr, Literal(-LARGE, "int64")), "bool")))
            start, stop = (replace(unknown(n), bits=SMALL_BITS, loop=None) for n in (value.start, value.stop))
            frame = self.frames[-1]
            return Walk(start, stop, value.step, self.bounds.loop_at(frame.view, frame.pc), False)
        if isinstance(value, Elements) and value.ndim and not isinstance(value, PartOf):
            return Rows(elements.in_memory(self, value), literal(0))
        raise CannotRoll(f"iterating over {type(value).__name__}")

    def enter(self, frame: Frame) -> None:
        """Begin the loop over the iterator on the stack: in a version whose items are known to be places inside of arrays, and one that looks
        each time (see `bounds`).
        """
        it = frame.stack[-1]
        self.left(
            it, self.frames
        )  # by a jump, at an earlier time: what items it had then says nothing of those that it has now
        around = [v for f in self.frames for v in f.stack[: -1 if f is frame else None] if isinstance(v, Walk)]
        if not isinstance(it, Walk) or not self.unswitches or not all(w.safe or self._is_unsplit(w) for w in around):
            return
        if self._is_unsplit(it):
            return
        low, high = it.at.expr, elements.small("sub", it.stop.expr, ONE)
        if it.step < 0:
            low, high = elements.small("add", it.stop.expr, ONE), it.at.expr
        fits = self.bounds.entry(self.frames, self.variable("bool"), it.loop, self.let(low), self.let(high))
        self.block.statements.append(fits)
        frame.stack[-1] = replace(it, safe=True)
        safe = self.edge(self.frames)
        frame.stack[-1] = it
        if _depth(frame.view) > DEEP:
            for f in self.frames:
                f.stack[:] = [replace(v, safe=False) if isinstance(v, Walk) else v for v in f.stack]
        self.block.end = Branch(fits.var, safe, self.edge(self.frames))

    def _is_unsplit(self, it: Walk) -> bool:
        return self.bounds.is_one_of(it.loop, self.unsplit)

    def split_in_vain(self) -> frozenset[tuple[CodeView, int]]:
        """Heads of loops for which two versions are one too many (see `bounds`)."""
        bodies = (([v for f in b.frames for v in f.stack if isinstance(v, Walk)], b.statements) for b in self.blocks)
        return self.bounds.split_in_vain(bodies)

    def are_inside(self, numbers: Iterable[Number], size: Extent, end: bool = False) -> bool:
        """Whether numbers are surely places along an axis of this size. end: or the place behind the last"""
        return self.bounds.are_inside(self.frames, numbers, size, end)

    def left(self, it: Any, frames: list[Frame]) -> None:
        """A loop is left: its items are plain numbers from here on."""
        for frame in frames:
            frame.slots = {k: _without_items(v, it) for k, v in frame.slots.items()}
            frame.stack[:] = [_without_items(v, it) for v in frame.stack]

    def plain_number(self, value: Any) -> Any:
        """What a function returns: its loops are left."""
        return _without_items(value, None)

    # ------------------------------------------------------------ edges

    def _expect(self, number: int) -> None:
        """Control is expected to come to a block after all."""
        block = self.blocks[number]
        if not block.is_aside:
            return
        if block.refused is not None:
            raise block.refused
        block.is_aside = False
        if isinstance(block.end, Branch):
            for edge in (block.end.then, block.end.other):
                if edge is not None:
                    self._expect(edge.target)

    def edge(self, frames: list[Frame], aside: bool = False) -> Edge:
        """A jump to where the innermost of the frames stands. aside: it is not expected to be taken"""
        depth = len(frames)
        if depth == 1 and frames[0].pc not in self.region:
            return self._leave(frames[0])
        moves = Moves()
        keys: list[Any] = []
        made: list[Frame] = []
        for level, frame in enumerate(frames):
            # a caller stands behind its call: what it keeps on its stack is live, and so are its variables there
            live = live_locals(frame.view, frame.pc)
            slots: dict[str, Any] = {}
            for name in sorted(frame.slots):
                if name not in live:
                    continue
                place = frame.view.slot_names.index(name)
                key, slots[name] = canonical(
                    self, self.given, frame.slots[name], f"v{level}_{place}", name not in frame.stored, moves
                )
                keys.append((name, key))
            stack = []
            for place, value in enumerate(frame.stack):
                key, form = canonical(self, self.given, value, f"s{level}_{place}", False, moves)
                keys.append(key)
                stack.append(form)
            keys.append((id(frame.view), frame.pc, len(stack)))
            made.append(Frame(frame.view, frame.scope, slots, stack, frame.pc, frame.stored))
        found = self.keys.get(tuple(keys))
        if found is None:
            found = self.keys[tuple(keys)] = len(self.blocks)
            if found >= MOST_BLOCKS:
                raise TooManyBlocks("too many combinations of types")
            self.places[found] = frames[0].pc
            self.blocks.append(_Block(made, depth, is_aside=aside or self.block.is_aside))
        elif not (aside or self.block.is_aside):
            self._expect(found)
        backward = found <= self.current
        sweep = None
        if backward:
            arrays = [v for f in made for v in (*f.slots.values(), *f.stack)]
            sweep = Sweep(tuple(a.ref for a in _arrays(arrays)))
        return Edge(found, tuple(moves.numbers), tuple(moves.arrays), sweep)

    def _leave(self, frame: Frame) -> Edge:
        if frame.pc != self.leave:
            raise CannotRoll("a loop that is left at several places")
        moves = Moves()
        keys: list[Any] = []
        values: dict[str, Any] = {}
        for name in sorted(self.given.results):
            if name in frame.slots:
                place = frame.view.slot_names.index(name)
                held = self.met(frame.slots[name])
                key, values[name] = canonical(self, self.given, held, f"v0_{place}", name not in frame.stored, moves)
                keys.append((name, key))
        for place, value in enumerate(frame.stack):  # a list that is being made
            key, values[LISTED] = canonical(self, self.given, value, f"s0_{place}", False, moves)
            keys.append((LISTED, key))
        return self._exit(tuple(keys), values, moves)

    def _exit(self, keys: Any, values: dict[str, Any], moves: Moves) -> Edge:
        found = self.exits.get(keys)
        if found is None:
            number = len(self.blocks)
            self.blocks.append(_Block([]))
            found = self.exits[keys] = Exit(number, values)
        return Edge(found.block, tuple(moves.numbers), tuple(moves.arrays))

    def finish(self, value: Any) -> None:
        """The function returns a value, of a program that is all the rest of it."""
        if self.leave is not None:
            raise CannotRoll("a return out of the loop")
        moves = Moves()
        value = self.met(value)
        _check_apart(_arrays([value]))
        key, made = canonical(self, self.given, _of_its_type(value), "r", False, moves)
        self.block.end = Branch(None, self._exit(key, {RESULT: made}, moves))

    # ------------------------------------------------------------ evaluation

    def trace(self, frame: Frame, begin: Callable[[Tracer, Frame], None] | None = None) -> None:
        """Trace all blocks that are reached from a frame. begin: what is done first"""
        self.blocks.append(_Block([frame]))
        self.places[0] = frame.pc if begin is None else -1  # what is done first is no round
        self.current = 0
        if begin is not None:
            self.block, self.frames = self.blocks[0], [frame]
            begin(self, frame)
        while self.current < len(self.blocks):
            block = self.blocks[self.current]
            if block.frames:
                self.block, self.frames, self.memo, self.parts = block, block.frames, {}, {}
                try:
                    self._run()
                except CannotRoll as error:
                    if not block.is_aside:
                        raise
                    block.statements, block.end, block.refused = [], None, error
            self.current += 1
        reached = self._reached()
        self.exits = {key: exit for key, exit in self.exits.items() if exit.block in reached}

    def _reached(self) -> set[int]:
        """The blocks to which edges lead: what was traced before a block was given up may be left over."""
        found: set[int] = set()
        todo = [0]
        while todo:
            at = todo.pop()
            end = self.blocks[at].end
            if at not in found and isinstance(end, Branch):
                todo += [e.target for e in (end.then, end.other) if e is not None]
            found.add(at)
        return found

    def _run(self) -> None:
        # what handles errors here is never reached: where Python would raise, the program bails
        first = True
        stack = self.frames[-1].stack
        if stack and isinstance(stack[-1], Pending):
            item, stack[-1] = iterating.item(self, stack[-1].it, self.unswitches)
            stack.append(item)
        while self.block.end is None:
            frame = self.frames[-1]
            if not first and (len(self.frames) == 1 and frame.pc not in self.region or frame.pc in _joins(frame.view)):
                self.jump()
                return
            first = False
            instr = frame.view.instructions[frame.pc]
            handler = HANDLERS.get(instr.op)
            if handler is None:
                raise CannotRoll(f"the instruction {instr.op}")
            frame.pc += 1
            handler(self, frame, instr.arg)

    def branch(self, condition: Expr, frame: Frame, jump: int, on: bool, expected: bool | None = None) -> None:
        """Go to `jump` where the condition is `on`, else on. expected: what it is at this call, where that is known"""
        if isinstance(condition, Literal):
            if bool(condition.value) == on:
                frame.pc = jump
            return
        ahead = self.edge(self._at(jump), expected == (not on))
        beside = self.edge(self._at(frame.pc), expected == on)
        self.block.end = Branch(condition, ahead if on else beside, beside if on else ahead)

    def _at(self, pc: int) -> list[Frame]:
        frames = [replace(f, slots=dict(f.slots), stack=list(f.stack)) for f in self.frames]
        frames[-1].pc = pc
        return frames

    def jump(self) -> None:
        """Go to where the innermost frame stands."""
        self.block.end = Branch(None, self.edge(self.frames))

    def loop(self, it: Any, frame: Frame, ended: int) -> None:
        """Go on with the next item of an iterator, or to `ended`. The item is read where one is known to be left: behind the edge."""
        more = iterating.more(self, it)
        behind = self._at(ended)
        self.left(it, behind)
        leave = self.edge(behind)
        frame.stack.append(Pending(it))
        self.block.end = Branch(more, self.edge(self._at(frame.pc)), leave)

    def global_of(self, frame: Frame, name: str) -> Any:
        return self.given.global_of(frame.scope, name)

    def met(self, value: Any) -> Any:
        """What a variable holds, which may be a Value that the loop found outside and did not look at so far."""
        return self.given.of(value) if isinstance(value, Value) and not isinstance(value, CellValue) else value

    def cell(self, cell: Any) -> Any:
        return self.given.cell(cell)

    # ------------------------------------------------------------ calls and attributes

    def call(self, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The result of a call; None where the callee's frame is entered."""
        if isinstance(function, Method):
            return self._call_method(function, args, kwargs)
        if isinstance(function, Outside):
            inlined = self.given.python_function(function.value)
            if inlined is not None:
                lead = [self.given.of(function.value.owner)] if isinstance(function.value, BoundMethodValue) else []
                return self._enter(inlined, [*lead, *args], kwargs)
            function = Fixed(self.given.object_of(function.value))
        if not isinstance(function, Fixed):
            raise CannotRoll(f"a call of {type(function).__name__}")
        real = function.value
        try:
            if isinstance(real, np.ufunc):
                return functions.apply_ufunc(self, real, args, kwargs)
            if isinstance(real, type) and issubclass(real, np.number) or real is np.bool_:
                return functions.scalar_of(self, np.dtype(real), *args)
            rule = functions.BUILTINS.get(real) or library.FUNCTIONS.get(real)
        except TypeError:
            rule = None
        if rule is None:
            owner = getattr(real, "__self__", None)
            if isinstance(owner, np.ufunc) and getattr(real, "__name__", "") == "outer":
                return functions._outer(owner)(self, *args, **kwargs)
            raise refusal_of_use(type(owner), f"a call of {getattr(real, '__name__', type(real).__name__)}")
        return _applied(rule, self, args, kwargs)

    def _call_method(self, method: Method, args: list[Any], kwargs: dict[str, Any]) -> Any:
        owner = method.owner
        if isinstance(owner, Number):
            if method.name == "item" and not args:
                return elements.item(self, Elements(owner.dtype, (), lambda i: owner.expr), ())
            if method.name in ("conjugate", "conj") and not args:
                return owner if owner.kind != "c" else functions.apply_ufunc(self, np.conjugate, [owner], {})
            if method.name == "astype" and not owner.python:
                return _applied(functions._astype, self, [owner, *args], kwargs)
        elif isinstance(owner, Growing) and method.name == "append" and len(args) == 1 and not kwargs:
            return self._append(args[0])
        elif isinstance(owner, (Elements, Chosen)) and method.name in library.METHODS:
            return _applied(library.METHODS[method.name], self, [owner, *args], kwargs)
        raise CannotRoll(f"the method {method.name} of {type(owner).__name__}")

    def _append(self, item: Any) -> Fixed:
        """`list.append(item)`, of the only list that the loop looks at."""
        slots = self.frames[0].slots
        ((name, grown),) = ((k, v) for k, v in slots.items() if isinstance(v, Growing))
        slots[name] = self.appended(grown, item)
        return NONE

    def appended(self, grown: Growing, item: Any) -> Growing:
        """A list with one item more. It holds the item's own memory, a copy of which lies in the list's rows: nobody may write to it
        any more.
        """
        if isinstance(item, InMemory):
            self._listed(item)
        item = named(self, item)
        if not isinstance(item, (Number, InMemory)) or isinstance(item, InMemory) and not item.by_rows:
            raise CannotRoll(f"appending {type(item).__name__}")
        if isinstance(grown.items, Fixed):
            raise FirstAppended(item)
        if grown.items.dtype != item.dtype or grown.python != (isinstance(item, Number) and item.python):
            raise CannotRoll("a list of several kinds of items")
        if isinstance(item, InMemory):
            sizes = [s.known for s in item.sizes]
            if sizes != [s.known for s in grown.items.sizes[1:]]:
                raise CannotRoll("a list of arrays of several sizes")
            elements.setitem(self, grown.items, grown.at, item)
        elif grown.items.ndim == 1:
            elements.setitem(self, grown.items, grown.at, item)
        else:
            raise CannotRoll("a list of several kinds of items")
        after = self.let(Apply("add", (grown.at.expr, ONE), "int64"))
        return replace(grown, at=replace(grown.at, expr=after))

    def _listed(self, item: InMemory) -> None:
        """Mark what shares memory with an array that a list will hold. Raises CannotRoll where others have it already."""
        if any(map(is_given, item.bases)) or HELD in item.bases:
            raise CannotRoll("a list that holds an array which others hold")

        def marked(value: Any) -> Any:
            if isinstance(value, Several):
                return replace(value, items=tuple(map(marked, value.items)))
            if iterating.gone_over(value) & item.bases:
                raise CannotRoll("a list that holds an array which is gone over")
            shares = isinstance(value, (Elements, Chosen)) and value.bases & item.bases
            if shares and not isinstance(value, InMemory):
                raise CannotRoll("an expression over an array that a list holds")
            return replace(value, bases=value.bases | {HELD}) if shares else value

        for frame in self.frames:
            frame.slots.update({name: marked(value) for name, value in frame.slots.items()})
            frame.stack[:] = map(marked, frame.stack)

    def _enter(self, inlined: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        if len(self.frames) >= MOST_FRAMES:
            raise CannotRoll("calls inside of calls without end")
        args, kwargs = [named(self, a) for a in args], {name: named(self, a) for name, a in kwargs.items()}
        view, scope, slots = self.given.bound(inlined, args, kwargs)
        stored = frozenset(i.arg for i in view.instructions if i.op in ("STORE_FAST", "DELETE_FAST"))
        self.frames.append(Frame(view, scope, slots, [], 0, stored))

    def attribute(self, owner: Any, name: str) -> Any:
        if isinstance(owner, Outside):
            return self.given.attribute(owner.value, name)
        if isinstance(owner, Fixed):
            return self.given.attribute_of_object(owner.value, name)
        if isinstance(owner, Chosen):
            if name in functions.CHOSEN_METHODS:
                return Method(owner, name)
            owner = elements.settled(self, owner)
        if isinstance(owner, Elements):
            reader = _ATTRIBUTES.get(name)
            return reader(self, elements.evaluated(self, owner)) if reader is not None else Method(owner, name)
        if isinstance(owner, Growing):
            return Method(owner, name)
        if isinstance(owner, Number):
            if name in ("real", "imag"):
                return elements.part_of(self, owner, name)
            return Method(owner, name)
        raise CannotRoll(f"the attribute {name} of {type(owner).__name__}")

    # ------------------------------------------------------------ the program

    def next_heads(self, block: int, header: int, inside: bool = False) -> set[int]:
        """The blocks at the loop's head that control may come to next from a block. inside: from a head, through its body"""
        end = self.blocks[block].end
        todo = [end.then.target] if inside and isinstance(end, Branch) else [block]
        seen: set[int] = set()
        heads: set[int] = set()
        while todo:
            at = todo.pop()
            if at in seen:
                continue
            seen.add(at)
            found = self.blocks[at]
            if self.places.get(at) == header and found.depth == 1:
                heads.add(at)
            elif isinstance(found.end, Branch):
                todo += [e.target for e in (found.end.then, found.end.other) if e is not None]
        return heads

    def exit_of(self, head: int) -> Exit | None:
        """Where control goes when the iterator of a head has no item left."""
        end = self.blocks[head].end
        if not isinstance(end, Branch) or end.other is None:
            return None
        return next((e for e in self.exits.values() if e.block == end.other.target), None)

    def program(self, exit: Exit, numbers: list[Expr], arrays: list[ArrayRef]) -> Program:
        """The program that returns these where it takes the exit; at the others it bails."""
        ends = {exit.block: Return(tuple(numbers), tuple(arrays))}
        blocks = []
        for number, block in enumerate(self.blocks):
            statements = tuple(self.bounds.settled(s) if isinstance(s, Fits) else s for s in block.statements)
            blocks.append(Block(statements, ends.get(number, block.end)))
        blocks[0] = replace(blocks[0], statements=(*self.given.assumed, *blocks[0].statements))
        return Program(
            tuple(self.given.numbers),
            tuple(self.given.arrays),
            tuple(blocks),
            tuple(n.type for n in numbers),
            tuple((a.type, a.ndim) for a in arrays),
        )


def _without_items(value: Any, it: Any) -> Any:
    """A value in which numbers are no items of the loops over an iterator (None: of any)."""
    if isinstance(value, Number):
        gone = it is None or value.loop in iterating.loops_of(it)
        return replace(value, loop=None if gone else value.loop, linear=None)
    if isinstance(value, Several):
        return replace(value, items=tuple(_without_items(v, it) for v in value.items))
    return value


def _of_its_type(value: Any, path: str = "") -> Any:
    """A result of which nothing but its type is known: so different numbers, and arrays of different memory, are one kind of result."""
    if isinstance(value, Number):
        return Number(value.expr, value.dtype, value.python)
    if isinstance(value, InMemory) and not value.identity:
        return replace(value, bases=frozenset((f"result{path}",)))
    if not isinstance(value, Several):
        return value
    return replace(value, items=tuple(_of_its_type(item, f"{path}_{i}") for i, item in enumerate(value.items)))


def _check_apart(results: Iterable[InMemory]) -> None:
    """Raise CannotRoll where a result that is not an array from outside may share memory."""
    seen: frozenset[str] = frozenset()
    for array in results:
        if not array.identity:
            if array.bases & seen or any(map(is_given, array.bases)):
                raise CannotRoll("a result that may share memory with another array")
            seen |= array.bases


def _arrays(values: Iterable[Any]) -> list[InMemory]:
    found: list[InMemory] = []
    for value in values:
        if isinstance(value, InMemory):
            found.append(value)
        else:
            for name in PARTS.get(type(value), ()):
                child = getattr(value, name)
                found += _arrays(child if isinstance(child, tuple) else [child])
    return found


_joined: dict[int, tuple[CodeView, frozenset[int]]] = {}


def _joins(view: CodeView) -> frozenset[int]:
    """Instructions to which something jumps."""
    found = _joined.get(id(view))
    if found is None:
        jumps = frozenset(i.arg for i in view.instructions if i.op.startswith(("JUMP", "POP_JUMP", "FOR_ITER")))
        found = _joined[id(view)] = (view, jumps)
    return found[1]


def _applied(rule: Callable[..., Any], t: Tracer, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """A rule's result; arguments that it does not have are none that it knows."""
    try:
        return rule(t, *args, **kwargs)
    except TypeError as error:
        if "argument" in str(error):
            raise CannotRoll(f"a call with arguments that are not known here ({error})") from error
        raise


_ATTRIBUTES: dict[str, Callable[[Tracer, Elements], Any]] = {
    "shape": lambda t, a: Several(tuple(s.number() for s in a.sizes)),
    "ndim": lambda t, a: literal(a.ndim),
    "size": lambda t, a: _size(t, a),
    "dtype": lambda t, a: Fixed(a.dtype),
    "T": lambda t, a: elements.transposed(elements.in_memory(t, a), list(range(a.ndim))[::-1]),
    "real": lambda t, a: elements.part_of(t, a, "real"),
    "imag": lambda t, a: elements.part_of(t, a, "imag"),
}


def _size(t: Tracer, a: Elements) -> Number:
    made = literal(1)
    for s in a.sizes:
        made = numbers.binary(t, "*", made, s.number())
    return replace(made, bits=SMALL_BITS)


@functools.cache
def _depth(view: CodeView) -> int:
    """How many loops of a code stand inside of each other."""
    return max((sum(inner.header in outer.body for outer in loops(view)) for inner in loops(view)), default=0)
