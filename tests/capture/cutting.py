"""Running a call in pieces: one continuation per piece, cut wherever a test wants."""

from __future__ import annotations

import inspect
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

import running
from comparison import Fact
from cut_functions import trace
from quern.capture.bytecode.continuation import UNBOUND, CannotContinue, TailSpec, build_continuation, tail_stack
from quern.capture.bytecode.instructions import Slot, decode, live_locals, stack_shape


def observe(run: Callable[[], Any], code: types.CodeType) -> list[Fact]:
    """All that can be seen of `run`: the line of `code` that an exception came from, and what was logged."""
    lines: list[int | None] = []

    def called() -> Any:
        try:
            return run()
        except Exception as error:
            passed = traceback.extract_tb(error.__traceback__)
            lines.extend(f.lineno for f in passed if (f.filename, f.name) == (code.co_filename, code.co_name))
            raise

    trace.clear()
    recorder = running.observe(called, running.Ground()).recorder
    recorder.write(lines[-1:], "line")
    recorder.write(list(trace), "trace")
    return recorder.facts


class Activation:
    """One call of a function, run by continuations that are cut where `cuts` says."""

    def __init__(
        self,
        function: types.FunctionType,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None = None,
        signature: inspect.Signature | None = None,
    ) -> None:
        self.function, self.view = function, decode(function.__code__)
        self.plain = frozenset(self.view.local_names) - set(self.view.cell_names)
        bound = (signature or inspect.signature(function, follow_wrapped=False)).bind(*args, **kwargs or {})
        bound.apply_defaults()
        self.bound = bound.arguments

    def cells(self) -> dict[str, types.CellType]:
        cells = {name: types.CellType() for name in self.view.cell_names}
        for name in set(cells) & set(self.bound):
            cells[name].cell_contents = self.bound[name]
        return cells | dict(zip(self.view.free_names, self.function.__closure__ or ()))

    def run(self, cuts: Callable[[int], Iterator[int]]) -> Any:
        """Run the call; `cuts(entry)` gives the places where a continuation that starts at `entry` is left."""
        values = {name: value for name, value in self.bound.items() if name in self.plain}
        return self.go_on(0, (), (), values, self.cells(), cuts)

    def go_on(
        self,
        entry: int,
        kinds: tuple[Slot, ...],
        stack: tuple[Any, ...],
        values: dict[str, Any],
        cells: dict[str, types.CellType],
        cuts: Callable[[int], Iterator[int]],
    ) -> Any:
        tails = {cut: self.tail(cut, cuts) for cut in cuts(entry)}
        made = build_continuation(self.view.code, entry, kinds, tuple(values), tails)
        # what lives on in a caller's frame must not change what the function sees
        return made.make(self.function.__globals__, cells)(*stack, *values.values())

    def tail(self, index: int, cuts: Callable[[int], Iterator[int]]) -> TailSpec:
        live = live_locals(self.view, index)
        names = tuple(name for name in self.view.local_names if name in live and name in self.plain)
        cell_names = (*self.view.cell_names, *self.view.free_names)
        kinds = tail_stack(self.view.code, index)

        def resume(*given: Any) -> Any:
            values = iter(given)
            slots, stack = [], []
            for kind in kinds:
                value = UNBOUND if kind is Slot.NULL else next(values)
                slots.append(Slot.NULL if value is UNBOUND else Slot.VALUE)
                stack += [] if value is UNBOUND else [value]
            found = {name: value for name, value in zip(names, values) if value is not UNBOUND}
            cells = dict(zip(cell_names, values))
            assert next(values, None) is None
            return self.go_on(index, tuple(slots), tuple(stack), found, cells, cuts)

        return TailSpec(resume, names, cell_names)


def can_cut(code: types.CodeType, index: int) -> bool:
    if stack_shape(decode(code), index) is None:
        return False
    try:
        tail_stack(code, index)
    except CannotContinue:
        return False
    return True
