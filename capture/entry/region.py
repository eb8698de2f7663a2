"""What is captured: a function from its first instruction, or the rest of one behind a graph break.

A `Region` knows the parameters of its entries (stack slots, variables, cells) and makes the root frame for one set of
arguments. Parameters are wrapped when the program first uses them, so that what is not used is not guarded.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import InternalError
from ..breaks import BreakReason
from ..bytecode.continuation import UNBOUND
from ..bytecode.instructions import CodeView, Slot, decode
from ..guards.sources import Source, is_name, local
from ..machine.frames import NULL, Frame
from ..values.base import Value
from ..values.functions import CellValue, FunctionValue

if TYPE_CHECKING:
    from ..values.base import Machine


@dataclass(frozen=True, eq=False)
class Parameter:
    """One parameter of an entry.

    name: in the code of entries, which has builtins and names that begin with an underscore for its own use
    slot: the variable it fills ("" for a stack slot)
    kind: "value", or "cell" when the argument is the cell itself
    """

    name: str
    slot: str
    kind: str = "value"

    @property
    def given(self) -> str:
        """What callers and messages call it."""
        return self.slot if self.slot.isidentifier() else self.name


@dataclass
class Family:
    """What a function and its resume functions share: the places where capture must stop, and why.

    resumes: resume functions by (instruction, stack, variables, cells)
    """

    stops: dict[int, BreakReason] = field(default_factory=dict)
    #: stops at calls that were inlined and broke inside: the callee is compiled by itself
    inlined: set[int] = field(default_factory=set)
    #: of stops before loops that plain Python runs as a whole: where these are left
    exits: dict[int, tuple[int, ...]] = field(default_factory=dict)
    resumes: dict[Any, Any] = field(default_factory=dict)

    def forget(self, codes: Collection[str]) -> None:
        """Drop the stops for reasons with these codes."""
        for index in [i for i, reason in self.stops.items() if reason.code in codes]:
            del self.stops[index]
            self.exits.pop(index, None)
            self.inlined.discard(index)


class LazySlots(dict[str, Value]):
    """Variables of a root frame: a parameter becomes a Value when it is first read."""

    def __init__(self, ev: Machine, waiting: dict[str, tuple[Any, Source]]) -> None:
        super().__init__()
        self.ev = ev
        self.waiting = waiting
        self.removed: set[str] = set()

    def __missing__(self, name: str) -> Value:
        if name in self.removed or name not in self.waiting:
            raise KeyError(name)
        obj, source = self.waiting[name]
        try:
            value = self[name] = self.ev.wrap(obj, source)
        except KeyError as error:  # who asks takes a KeyError for an unbound variable
            raise InternalError(f"[capture] KeyError: {error}") from error
        return value

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self.waiting and name not in self.removed

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default

    def pop(self, name: str, default: Any = None) -> Any:
        self.removed.add(name)
        return super().pop(name, default)

    def __setitem__(self, name: str, value: Value) -> None:
        self.removed.discard(name)
        super().__setitem__(name, value)

    def assign(self, name: str, obj: Any, source: Source) -> None:
        """Bind a variable to a real object, to be wrapped when it is read."""
        super().pop(name, None)
        self.removed.discard(name)
        self.waiting[name] = (obj, source)

    def untouched(self, name: str) -> Source | None:
        """The source of a parameter that nobody read; None when it was read, set or deleted."""
        if super().__contains__(name) or name in self.removed or name not in self.waiting:
            return None
        return self.waiting[name][1]


class Region:
    """A function, or the rest of one from instruction `start` with `stack` on the stack."""

    def __init__(
        self,
        function: types.FunctionType,
        family: Family,
        *,
        start: int = 0,
        stack: tuple[Slot, ...] = (),
        locals_: tuple[str, ...] | None = None,
        cells: tuple[str, ...] = (),
    ) -> None:
        self.function = function
        self.view: CodeView = decode(function.__code__)
        self.family = family
        self.start = start
        self.stack = stack
        self.is_whole = locals_ is None
        self.parameters: list[Parameter] = []
        taken: set[str] = set()
        if locals_ is None:
            for name in self.view.parameters:
                self.parameters.append(Parameter(_fresh(name, taken), name))
        else:
            for i, kind in enumerate(stack):
                if kind is not Slot.NULL:
                    self.parameters.append(Parameter(_fresh(f"stack{i}", taken), ""))
            for name in locals_:
                self.parameters.append(Parameter(_fresh(name, taken), name))
            for name in cells:
                self.parameters.append(Parameter(_fresh(name, taken), name, "cell"))

    @property
    def name(self) -> str:
        return self.function.__name__ if self.is_whole else f"{self.function.__name__}_resume_{self.start}"

    @property
    def names(self) -> list[str]:
        """Parameter names in the code of entries."""
        return [p.name for p in self.parameters]

    @property
    def given_names(self) -> list[str]:
        """Parameter names of the dispatching function."""
        return [p.given for p in self.parameters] if self.is_whole else self.names

    @property
    def mark(self) -> str:
        """How names begin that are no parameter's of the dispatching function."""
        return "_" * (1 + max((len(n) - len(n.lstrip("_")) for n in self.given_names), default=0))

    def signature(self, namespace: dict[str, Any]) -> str:
        """The parameter list of the dispatching function: the user's own signature, defaults in `namespace`."""
        names, mark = self.given_names, self.mark
        if not self.is_whole:
            return ", ".join(names)
        view, fn = self.view, self.function
        defaults = fn.__defaults__ or ()
        first_default = view.argcount - len(defaults)
        parts: list[str] = []
        for i in range(view.argcount):
            text = names[i]
            if i >= first_default:
                namespace[f"{mark}default{i}"] = defaults[i - first_default]
                text += f"={mark}default{i}"
            parts.append(text)
            if i + 1 == view.posonlyargcount:
                parts.append("/")
        total = view.argcount + view.kwonlyargcount
        if view.has_varargs:
            parts.append(f"*{names[total]}")
        elif view.kwonlyargcount:
            parts.append("*")
        for i in range(view.argcount, total):
            text = names[i]
            real = view.local_names[i]
            if fn.__kwdefaults__ and real in fn.__kwdefaults__:
                namespace[f"{mark}default{i}"] = fn.__kwdefaults__[real]
                text += f"={mark}default{i}"
            parts.append(text)
        if view.has_varkw:
            parts.append(f"**{names[total + view.has_varargs]}")
        return ", ".join(parts)

    # ------------------------------------------------------------ the root frame

    def frame(self, ev: Machine, arguments: Mapping[str, Any]) -> Frame:
        """The frame to evaluate, for real arguments by parameter name."""
        fn = self.function
        value = ev.wrap(fn, ev.names.const(fn, label=fn.__name__))
        assert isinstance(value, FunctionValue)
        waiting: dict[str, tuple[Any, Source]] = {}
        stack_values: list[tuple[Any, Source]] = []
        cells: dict[str, Value] = {}
        for parameter in self.parameters:
            obj, source = arguments[parameter.name], local(parameter.name, parameter.given)
            if parameter.kind == "cell":
                cells[parameter.slot] = ev.cell(obj, source)
            elif not parameter.slot:
                stack_values.append((obj, source))
            elif obj is UNBOUND:
                ev.guards.is_(source, UNBOUND)
            else:
                if not self.is_whole:
                    ev.guards.test(
                        source, f"{{x}} is not {ev.names.inject(UNBOUND, 'unbound')}", "{label} was bound", 0
                    )
                waiting[parameter.slot] = (obj, source)
                if self.is_whole and self.view.has_varkw and parameter is self.parameters[-1]:
                    ev.fresh.add(source)
        slots = LazySlots(ev, waiting)
        for name in self.view.cell_names:
            slots[name] = cells.get(name) or CellValue(slots.get(name) if self.is_whole else None)
        for name, cell in zip(self.view.free_names, value.closure(ev)):
            slots[name] = cells.get(name) or cell
        frame = Frame(self.view, slots, value.scope, value)
        frame.root = True
        frame.pc = self.start
        remaining = iter(stack_values)
        inputs = [None if kind is Slot.NULL else next(remaining) for kind in self.stack]
        self._store_directly(frame, slots, inputs)
        for found in inputs:
            if found is None:
                frame.push(NULL)
            elif found[0] is UNBOUND:
                ev.guards.is_(found[1], UNBOUND)
                frame.push(NULL)
            else:
                frame.push(ev.wrap(*found))
        return frame

    def _store_directly(self, frame: Frame, slots: LazySlots, inputs: list[Any]) -> None:
        """What the first instructions only store in a variable, or drop, need not be looked at."""
        plain = {*self.view.local_names} - {*self.view.cell_names}
        while inputs and inputs[-1] is not None and inputs[-1][0] is not UNBOUND:
            instr = self.view.instructions[frame.pc]
            if frame.pc in self.family.stops:
                return
            if instr.op == "STORE_FAST" and instr.arg in plain:
                slots.assign(instr.arg, *inputs.pop())
            elif instr.op == "POP_TOP":
                inputs.pop()
            else:
                return
            frame.pc += 1


def _fresh(name: str, taken: set[str]) -> str:
    """A parameter name that can be written in code (comprehension variables are called `.0`) and is none of generated code's own."""
    text = "".join(c if is_name(f"_{c}") else "_" for c in name)
    if not is_name(text) or text.startswith("_") or hasattr(builtins, text):
        text = "a" + text
    while text in taken:
        text += "_"
    taken.add(text)
    return text
