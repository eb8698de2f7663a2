"""Continuations: code objects that start in the middle of a function, and may leave it again before its end.

Quern has no frame hook. A compiled function runs its graph and then, at a graph break, calls a continuation made from
the user's own code object: it restores the stack and the variables, jumps to the breaking instruction and
goes on in plain Python. Where the code can be compiled again (a *tail*) it does not go on but returns
`resume(stack.., locals.., cells..)`: the values of that place, to be captured afresh.

What is kept: every instruction, variable slot, protected range and line of the original, so `with` and `try` around the
break work, tracebacks and `locals()` read as ever, and `super()` finds its first argument.
How a continuation is laid out:
    COPY_FREE_VARS
    push the stack's items and the variables' values (they are the parameters), unbind the parameter slots
    MAKE_CELL for each cell variable, then put the caller's cell in its slot
    store the variables; RESUME; jump to the entry
    the original body; each tail's instruction is preceded by a jump out
    the tails, outside of all protected ranges
A cell variable's cell arrives as an extra free variable; afterwards an empty cell takes its place there, so that
`locals()` does not show it.

What cannot be continued raises `CannotContinue`: generators and coroutines; module and class bodies; places where an exception is
being handled (the interpreter keeps it outside of the frame); the inside of a comprehension whose variable has
the name of a variable that inner functions share (Python 3.12 on: there the slot does not hold its cell).
"""

from __future__ import annotations

import inspect
import types
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import InternalError, QuernError
from .assemble import Assembly, Label, assemble
from .flow import StackItem, in_handler, live_locals, stack_shape
from .instructions import decode
from .raw import CHECKED_LOAD, HAS_PRECALL, JUMP_IF_FALSE, JUMP_OPS, LOAD_CELL, NULL_ABOVE, SLOT_OPS, TWO_SLOT_OPS
from .view import CodeView, Raw, Slot


class CannotContinue(QuernError):
    """No continuation can start or leave at this place; run the whole function in plain Python."""


class _Unbound:
    """Stands, in a call of `resume`, for a variable that is not bound."""

    def __repr__(self) -> str:
        return "UNBOUND"

    def __reduce__(self) -> str:
        return "UNBOUND"


UNBOUND = _Unbound()


@dataclass(frozen=True)
class TailSpec:
    """Leave through `resume(*stack, *locals, *cells)` and return what it returns.

    stack:  every stack slot, bottom first, but those that `tail_stack` says are NULL
    locals: the values of these plain variables; UNBOUND for one that is not bound
    cells:  the cells themselves of these cell or free variables
    `resume` must allow weak references; the continuation holds it. If it is a plain Python function, nothing but
    itself keeps its arguments alive while it runs.
    """

    resume: Callable[..., Any]
    locals: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Continuation:
    """A continuation's code, and what it must be given.

    Call `make(globals, cells)` per activation, and the function it returns with the non-NULL stack items, bottom
    first, then the values of `locals`.
    """

    code: types.CodeType
    original: types.CodeType
    entry: int
    stack: tuple[Slot, ...]
    locals: tuple[str, ...]
    #: names of the cells that `make` needs: the original's cell variables, then its free variables
    cells: tuple[str, ...]
    tails: Mapping[int, TailSpec] = field(default_factory=dict)
    defaults: tuple[None, ...] = ()

    def make(self, globals: dict[str, Any], cells: Mapping[str, types.CellType]) -> types.FunctionType:
        """The function that runs the rest of one activation, whose cells are given. KeyError if a cell is missing."""
        closure = tuple(cells[name.removeprefix(_CELL)] for name in self.code.co_freevars)
        function = types.FunctionType(self.code, globals, self.original.co_name, self.defaults, closure)
        # keeps the resume functions alive: the code only refers to them weakly, lest cycles leak
        function.__dict__["_continuation"] = self
        return function


_CELL = ".cell."
_cache: weakref.WeakValueDictionary[tuple[Any, ...], Continuation] = weakref.WeakValueDictionary()


def tail_stack(code: types.CodeType, index: int) -> tuple[Slot, ...]:
    """What a tail at `index` finds on the stack, bottom first: VALUE (passed to resume), NULL (not passed), MAYBE_NULL
    (passed; UNBOUND if it was NULL).

    Raises CannotContinue for a place that no tail can leave and no continuation can enter.
    """
    return tuple(item.kind for item in _reachable_shape(decode(code), index))


def build_continuation(
    code: types.CodeType,
    entry: int,
    stack: tuple[Slot, ...] = (),
    local_names: tuple[str, ...] = (),
    tails: Mapping[int, TailSpec] | None = None,
    maybe_unbound: bool = False,
) -> Continuation:
    """A function's rest, from instruction `entry` (an index into `decode(code).instructions`).

    stack:       kinds of the slots to restore, bottom first: VALUE or NULL
    local_names: plain variables (not cells) whose values are passed; the others start unbound
    tails:       index -> how to leave there. The instruction at `entry` runs first even if it has a tail
    maybe_unbound: a variable whose value is UNBOUND starts unbound

    The same request yields the same object while it is in use.
    Raises CannotContinue (see there), InternalError if the stack or a name does not fit the code.
    """
    tails = dict(tails or {})
    key = (
        id(code),
        entry,
        stack,
        local_names,
        maybe_unbound,
        tuple((i, id(t.resume), t.locals, t.cells) for i, t in tails.items()),
    )
    found = _cache.get(key)  # ids are safe: a cached continuation keeps its code and resume functions alive
    if found is None:
        found = _Builder(decode(code), entry, stack, local_names, tails, maybe_unbound).build()
        _cache[key] = found
    return found


def _reachable_shape(view: CodeView, index: int) -> tuple[StackItem, ...]:
    where = f"{view.code.co_qualname}, instruction {index}"
    if view.can_suspend:
        raise CannotContinue(f"{where}: a generator or coroutine cannot be continued in another frame")
    shape = stack_shape(view, index)
    if not view.code.co_flags & inspect.CO_OPTIMIZED:
        raise CannotContinue(f"{where}: the code of a module or class body has no variable slots")
    if shape is None:
        raise InternalError(f"{where}: control never arrives there")
    if in_handler(view, index):
        raise CannotContinue(f"{where}: an exception is being handled, which another frame cannot take over")
    borrowed = [item.saves for item in shape if item.saves in (*view.cell_names, *view.free_names)]
    if borrowed:
        raise CannotContinue(
            f"{where}: the comprehension variable {borrowed[0]!r} has the name of a variable that inner functions share"
        )
    return shape


class _Builder:
    """Builds one continuation. `out` holds the units made so far."""

    def __init__(
        self,
        view: CodeView,
        entry: int,
        stack: tuple[Slot, ...],
        local_names: tuple[str, ...],
        tails: dict[int, TailSpec],
        maybe_unbound: bool,
    ) -> None:
        self.view, self.entry, self.stack, self.local_names, self.tails = view, entry, stack, local_names, tails
        self.code = view.code
        self.names = view.slot_names
        self.slots = {name: index for index, name in enumerate(self.names)}
        self.entry_shape = _reachable_shape(view, entry)
        self.tail_shapes = {index: _reachable_shape(view, index) for index in tails}
        self.parameters = sum(kind is Slot.VALUE for kind in stack) + len(local_names)
        # super() wants a frame whose code has a parameter
        self.spare_parameter = not self.parameters and "super" in self.code.co_names and bool(self.code.co_varnames)
        self.cells = {*self.code.co_cellvars, *self.code.co_freevars}
        plain = len(self.code.co_varnames)
        deepest = max((len(shape) for shape in self.tail_shapes.values()), default=0)
        #: slots added behind the plain locals: parameters beyond their number, and a tail's stack
        self.extra = max(self.parameters - plain, deepest, 0)
        self.out = Assembly()
        self.consts: list[object] = list(self.code.co_consts)
        #: variables not passed: should the code read one before setting it, it must raise, never load NULL
        self.unsure = live_locals(view, entry) - set(() if maybe_unbound else local_names) - self.cells
        self.maybe_unbound = maybe_unbound
        self._check()

    def _check(self) -> None:
        where = f"{self.code.co_qualname}, instruction {self.entry}"
        expected = tuple(item.kind for item in self.entry_shape)
        fits = len(expected) == len(self.stack) and all(
            given in (Slot.VALUE, Slot.NULL) and (given is kind or kind is Slot.MAYBE_NULL)
            for given, kind in zip(self.stack, expected)
        )
        if not fits:
            raise InternalError(f"{where}: given the stack {self.stack}, the code has {expected}")
        plain = set(self.code.co_varnames) - self.cells
        named_plain = {*self.local_names, *(name for tail in self.tails.values() for name in tail.locals)}
        named_cells = {name for tail in self.tails.values() for name in tail.cells}
        wrong = sorted(named_plain - plain) + sorted(named_cells - self.cells)
        if wrong:
            raise InternalError(f"{where}: no such plain variable or cell: {', '.join(wrong)}")

    # -- slots

    def slot(self, old: int) -> int:
        """Where a variable slot of the original lies now: behind the plain locals all moved up."""
        return old if old < len(self.code.co_varnames) else old + self.extra

    def named(self, name: str) -> int:
        return self.slot(self.slots[name])

    def const(self, value: object) -> int:
        self.consts.append(value)
        return len(self.consts) - 1

    # -- the parts

    def build(self) -> Continuation:
        code, out = self.code, self.out
        entry_label = Label()
        freevars = (*code.co_freevars, *(_CELL + name for name in code.co_cellvars))
        out.position = self._position(self.entry)
        self._prologue(entry_label, len(freevars))
        tail_labels = {index: Label() for index in self.tails}
        self._body(entry_label, tail_labels)
        for index, label in tail_labels.items():
            out.mark(label)
            out.position = self._position(index)
            self._tail(self.tail_shapes[index], self.tails[index])
        tail_need = max(
            (len(self.tail_shapes[i]) + len(t.locals) + len(t.cells) + 4 for i, t in self.tails.items()), default=0
        )
        made = assemble(
            out,
            code,
            argcount=self.parameters + self.spare_parameter,
            flags=code.co_flags & ~(inspect.CO_VARARGS | inspect.CO_VARKEYWORDS),
            stacksize=max(code.co_stacksize + 1, len(self.stack) + len(self.local_names) + 2, tail_need),
            consts=self.consts,
            varnames=(*code.co_varnames, *(f".slot{i}" for i in range(self.extra))),
            freevars=freevars,
        )
        cells = code.co_cellvars + code.co_freevars
        defaults = (None,) if self.spare_parameter else ()
        return Continuation(made, code, self.entry, self.stack, self.local_names, cells, self.tails, defaults)

    def _position(self, index: int) -> tuple[int | None, int | None, int | None, int | None]:
        instr = self.view.instructions[index]
        return instr.line, instr.end_line, instr.col, instr.end_col

    def _prologue(self, entry: Label, free_count: int) -> None:
        emit, code = self.out.emit, self.code
        if free_count:
            emit("COPY_FREE_VARS", free_count)
        parameters = iter(range(self.parameters))
        for kind in self.stack:
            if kind is Slot.NULL:
                emit("PUSH_NULL")
            else:
                emit("LOAD_FAST", next(parameters))
        for parameter in parameters:
            emit("LOAD_FAST", parameter)
        for parameter in range(self.parameters + self.spare_parameter):
            emit("DELETE_FAST", parameter)
        first_cell = len(self.slots) + self.extra
        for number, name in enumerate(code.co_cellvars):
            emit("MAKE_CELL", self.named(name))
            emit(LOAD_CELL, first_cell + number)
            emit(LOAD_CELL, self.named(name))
            emit("STORE_FAST", first_cell + number)
            emit("STORE_FAST", self.named(name))
        for name in reversed(self.local_names):
            emit("STORE_FAST", self.named(name))
        for name in self.local_names if self.maybe_unbound else ():
            bound = Label()
            emit("LOAD_FAST", self.named(name))
            emit("LOAD_CONST", self.const(UNBOUND))
            emit("IS_OP", 0)
            emit(JUMP_IF_FALSE, target=bound)
            emit("DELETE_FAST", self.named(name))
            self.out.mark(bound)
        emit("RESUME", 0)
        emit("JUMP_FORWARD", target=entry)

    def _split(self) -> set[int]:
        """Raw instructions to be written as their micros: one is entered, left or takes NULL apart inside."""
        view = self.view
        split = set()
        pushers = {pusher for shape in self.tail_shapes.values() for item in shape for pusher in item.pushed_by}
        for index in {self.entry, *self.tails, *pushers}:
            start = view.spans[index][0]
            raw = view.micros[start].raw
            if index in pushers or (start > 0 and view.micros[start - 1].raw == raw):
                split.add(raw)
        return split

    def _body(self, entry: Label, tail_labels: dict[int, Label]) -> None:
        view, out = self.view, self.out
        starts = {view.spans[index][0]: index for index in {self.entry, *self.tails}}
        split = self._split()
        labels = [Label() for _ in range(len(view.raws) + 1)]
        leading = True
        position = 0
        for index, raw in enumerate(view.raws):
            out.mark(labels[index])
            out.position = raw.position
            leading = leading and raw.opname in ("COPY_FREE_VARS", "MAKE_CELL", "RESUME", "NOP")
            first = position
            while position < len(view.micros) and view.micros[position].raw == index:
                arrives = starts.get(position)
                if arrives in tail_labels:
                    out.emit("JUMP_FORWARD", target=tail_labels[arrives])
                if arrives == self.entry:
                    out.mark(entry)
                if not leading and index in split:
                    micro = view.micros[position]
                    self._copy(micro.opname, micro.oparg, raw, labels)
                elif not leading and position == first:
                    self._copy(raw.opname, raw.arg, raw, labels)
                position += 1
        out.mark(labels[-1])
        for start, end, target, depth, push_lasti in view.protected:
            out.protected.append((labels[start], labels[end], labels[target], depth, push_lasti))

    def _copy(self, opname: str, arg: int, raw: Raw, labels: list[Label]) -> None:
        """Write one original instruction, its variable slots moved."""
        if opname in JUMP_OPS:
            assert raw.target is not None
            self.out.emit(opname, target=labels[raw.target])
        elif opname in TWO_SLOT_OPS:
            for part, slot in zip(TWO_SLOT_OPS[opname], (arg >> 4, arg & 15)):
                self._copy(part, slot, raw, labels)
        elif opname == "LOAD_FAST" and self.names[arg] in self.unsure:
            self.out.emit(CHECKED_LOAD, self.slot(arg))
        else:
            self.out.emit(opname, self.slot(arg) if opname in SLOT_OPS else arg)

    def _tail(self, shape: tuple[StackItem, ...], spec: TailSpec) -> None:
        emit = self.out.emit
        first = len(self.code.co_varnames)
        for number in reversed(range(len(shape))):
            emit("STORE_FAST", first + number)
        self._push_callable(self.const(weakref.ref(spec.resume)))
        depth = 2
        for number, item in enumerate(shape):
            if item.kind is Slot.VALUE:
                emit("LOAD_FAST", first + number)
                emit("DELETE_FAST", first + number)
            elif item.kind is Slot.MAYBE_NULL:
                self._load_or_unbound(first + number, depth)
            depth += item.kind is not Slot.NULL
        for name in spec.locals:
            self._load_or_unbound(self.named(name), depth)
            depth += 1
        for name in spec.cells:
            emit(LOAD_CELL, self.named(name))
            depth += 1
        self._call(depth - 2)
        emit("RETURN_VALUE")

    def _push_callable(self, reference: int) -> None:
        """Push what a constant weak reference refers to, ready to be called. (A call of a weak proxy would do, but runs
        through C, which counts against C's recursion limit and keeps the arguments alive.)"""
        emit = self.out.emit
        if NULL_ABOVE:
            emit("LOAD_CONST", reference)
            emit("PUSH_NULL")
            self._call(0)
            emit("PUSH_NULL")
        else:
            emit("PUSH_NULL")
            emit("PUSH_NULL")
            emit("LOAD_CONST", reference)
            self._call(0)

    def _call(self, count: int) -> None:
        if HAS_PRECALL:
            self.out.emit("PRECALL", count)
        self.out.emit("CALL", count)

    def _load_or_unbound(self, slot: int, depth: int) -> None:
        """Push a variable and unbind it, so that the resumed function alone holds it; push UNBOUND if it is unbound.

        No instruction asks whether a variable is bound, so the error of reading one that is not is caught.
        """
        out = self.out
        handler, done = Label(), Label()
        begin = out.here()
        out.emit(CHECKED_LOAD, slot)
        end = out.here()
        out.protected.append((begin, end, handler, depth, False))
        out.emit("DELETE_FAST", slot)
        out.emit("JUMP_FORWARD", target=done)
        out.mark(handler)
        out.emit("PUSH_EXC_INFO")
        out.emit("POP_TOP")
        out.emit("POP_EXCEPT")
        out.emit("LOAD_CONST", self.const(UNBOUND))
        out.mark(done)
