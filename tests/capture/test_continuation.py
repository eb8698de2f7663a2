"""Continuations: a function left and entered again at any instruction does what it does when run plainly.

The cases are ordinary functions. For each instruction of each of them the run is cut there: a first continuation runs
from the start and leaves before the instruction, a second one goes on. Results, exceptions, tracebacks' lines
and the order of side effects must be those of a plain call.
"""

# Lambdas that are called at once may use loop variables; the small functions inside the tests are only read as bytecode.
# ruff: noqa: B018, B023

from __future__ import annotations

import contextlib
import gc
import sys
import traceback
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import cut_functions
import pytest
from comparison import Comparison, within
from cut_functions import closures, dies, log, loops, straight, tries
from cutting import Activation, can_cut, observe
from quern.capture.bytecode.continuation import UNBOUND, CannotContinue, TailSpec, build_continuation, tail_stack
from quern.capture.bytecode.instructions import Slot, decode, successors
from registry import Program, programs

from quern.errors import InternalError

EXACT = Comparison(within(0.0))
PROGRAMS = programs("cut")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_cut_at_every_instruction(program: Program) -> None:
    """Run to instruction k, leave, enter again at k and run to the end: for every k that can be left."""
    function = program.make()
    code = function.__code__
    view = decode(code)
    allowed = [index for index in range(len(view)) if can_cut(code, index)]
    assert len(allowed) >= 5
    for call in range(program.calls):
        plain = observe(lambda: function(*program.args(call)), code)
        for cut in allowed:
            activation = Activation(function, program.args(call))
            done = observe(lambda: activation.run(lambda entry: iter((cut,) if entry == 0 else ())), code)
            EXACT.check(plain, done, f"cut at {view[cut]}: ")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_single_steps(program: Program) -> None:
    """Leave after each instruction, on each way that control can go: every instruction is run by its own code."""
    function = program.make()
    code = function.__code__
    view = decode(code)
    steps = 0

    def cuts(entry: int) -> Iterator[int]:
        nonlocal steps
        steps += 1
        handler = view.handlers[entry]
        targets = {*successors(view, entry), *([handler.target] if handler else [])}
        return (target for target in targets if can_cut(code, target))

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        for call in range(program.calls):
            plain = observe(lambda: function(*program.args(call)), code)
            activation = Activation(function, program.args(call))
            EXACT.check(plain, observe(lambda: activation.run(cuts), code))
    finally:
        sys.setrecursionlimit(limit)
    assert steps >= 3


# ---------------------------------------------------------------- details


def rest(function: Callable[..., Any], opname: str, **keywords: Any) -> tuple[int, Any]:
    """Index of the first instruction with normalised op `opname` and, if given, argument `arg`."""
    for instr in decode(function.__code__).instructions:
        if instr.op == opname and keywords.get("arg", instr.arg) == instr.arg:
            return instr.index, instr
    raise AssertionError(f"no {opname} in {function}")


def test_stack_and_locals_are_passed_in_order() -> None:
    def f(a, b):
        return (a, b, [a, b])

    index, _ = rest(f, "BUILD_LIST")
    made = build_continuation(f.__code__, index, (Slot.VALUE,) * 4, ("b", "a"))
    assert made.make(globals(), {})(1, 2, 3, 4, "b", "a") == (1, 2, [3, 4])
    assert made.locals == ("b", "a")
    assert made.code.co_name == "f" and made.code.co_qualname == f.__code__.co_qualname


def test_same_request_same_object() -> None:
    resume = TailSpec(log)
    first = build_continuation(straight.__code__, 3, tail_stack(straight.__code__, 3), ("a",), {7: resume})
    assert build_continuation(straight.__code__, 3, first.stack, ("a",), {7: TailSpec(log)}) is first
    assert build_continuation(straight.__code__, 3, first.stack, (), {7: resume}) is not first


def test_nothing_is_kept_alive_by_a_tail() -> None:
    """What a tail hands over belongs to the resumed function alone."""

    class Big:
        pass

    died: list[str] = []

    def f():
        on_stack, in_local = Big(), Big()
        weakref.finalize(on_stack, died.append, "stack")
        weakref.finalize(in_local, died.append, "local")
        return (on_stack, log(on_stack := None), in_local)

    index, _ = rest(f, "LOAD_GLOBAL", arg="log")
    seen: list[list[str]] = []

    def resume(*values: Any) -> None:
        del values
        gc.collect()
        seen.append(sorted(died))

    names = ("in_local", "on_stack")
    free = dict(zip(f.__code__.co_freevars, f.__closure__ or ()))
    # up to 3.12 the NULL of the call lies below `log`, pushed by an instruction before
    index -= decode(f.__code__)[index - 1].op == "PUSH_NULL"
    build_continuation(f.__code__, 0, (), (), {index: TailSpec(resume, names)}).make(globals(), free)()
    del free
    assert seen == [["local", "stack"]]


def test_continuations_can_be_collected() -> None:
    class Resume:
        def __call__(self, *values: Any) -> Any:
            return self.made

    def f(n):
        while n:
            n -= 1
        return n

    index, _ = rest(f, "BINARY_OP")
    resume = Resume()
    spec = TailSpec(resume, ("n",))
    resume.made = build_continuation(f.__code__, index, tail_stack(f.__code__, index), ("n",), {index: spec})
    alive = weakref.ref(resume)
    del resume, spec
    gc.collect()
    assert alive() is None


def test_traceback_shows_the_users_line() -> None:
    index, instr = rest(dies, "BINARY_SUBSCR")
    made = build_continuation(dies.__code__, index, (Slot.VALUE, Slot.VALUE)).make(globals(), {})
    with pytest.raises(KeyError) as caught:
        made({}, "missing")
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (frame.filename, frame.name) == (cut_functions.__file__, "dies")
    assert frame.line == 'return y["missing"]'
    assert (frame.lineno, frame.colno, frame.end_colno) == (instr.line, instr.col, instr.end_col)


def test_lines_of_the_body_are_the_originals() -> None:
    """Every original instruction stands in the continuation, at its own line and columns."""
    for function in [p.make() for p in PROGRAMS]:
        made = build_continuation(function.__code__, 0, (), ())
        original = [p for p in function.__code__.co_positions()]
        copied = [p for p in made.code.co_positions()]
        kept = [p for p in original if p[2] is not None]
        remaining = iter(copied)
        assert all(p in remaining for p in kept[8:]), function


def test_exception_of_the_resumed_part_is_not_caught_again() -> None:
    def f(a):
        try:
            log(a)
        except ValueError:
            return "caught"

    def resume(*values: Any) -> None:
        raise ValueError("from the resumed part")

    index, _ = rest(f, "POP_TOP")
    made = build_continuation(f.__code__, 0, (), ("a",), {index: TailSpec(resume, ("a",))})
    with pytest.raises(ValueError, match="resumed part"):
        made.make(globals(), {})(1)


def test_exception_before_the_tail_is_caught() -> None:
    def f(a):
        try:
            a.missing
        except AttributeError:
            return "caught"
        return "fine"

    index, _ = rest(f, "POP_TOP")
    made = build_continuation(f.__code__, 0, (), ("a",), {index: TailSpec(log, ("a",))})
    assert made.make(globals(), {})(1) == "caught"


def test_an_instruction_with_a_tail_runs_when_it_is_the_entry() -> None:
    """One turn of a loop per continuation."""

    def f(xs):
        out = []
        for x in xs:
            out.append(x)
        return out

    index, _ = rest(f, "FOR_ITER")
    turns = []

    def resume(iterator: Any, out: Any, xs: Any) -> Any:
        turns.append(list(out))
        return again.make(globals(), {})(iterator, out, xs)

    spec = TailSpec(resume, ("out", "xs"))
    again = build_continuation(f.__code__, index, (Slot.VALUE,), ("out", "xs"), {index: spec})
    assert again.make(globals(), {})(iter("abc"), [], "abc") == ["a", "b", "c"]
    assert turns == [["a"], ["a", "b"], ["a", "b", "c"]]


def test_locals_shows_the_users_variables_only() -> None:
    def f(a, b):
        c = a
        show = lambda: (b, c)  # noqa: E731
        return sorted(locals()), sorted(sys._getframe().f_locals), show()

    index, _ = rest(f, "LOAD_GLOBAL", arg="sorted")
    kinds = tail_stack(f.__code__, index)
    cells = {"b": types.CellType(2), "c": types.CellType(1)}
    made = build_continuation(f.__code__, index, kinds, ("a", "show"))
    names = ["a", "b", "c", "show"]
    assert made.make(globals(), cells)(1, lambda: "shown") == (names, names, "shown")
    assert cells["c"].cell_contents == 1


def test_cells_are_shared_with_the_caller() -> None:
    def f():
        count = 0

        def add():
            nonlocal count
            count += 1

        add()
        return count

    index, _ = rest(f, "LOAD_FAST", arg="add")
    index -= decode(f.__code__)[index - 1].op == "PUSH_NULL"
    cell = types.CellType(40)
    made = build_continuation(f.__code__, index, tail_stack(f.__code__, index), ("add",))

    def add() -> None:
        cell.cell_contents += 2

    assert made.make(globals(), {"count": cell})(add) == 42


def test_generators_are_refused() -> None:
    def numbers():
        yield 1

    async def waits():
        await numbers()

    for function in (numbers, waits):
        with pytest.raises(CannotContinue, match="generator or coroutine"):
            build_continuation(function.__code__, 1)


def test_class_bodies_are_refused() -> None:
    code = compile("class C:\n    x = 1\n", "<body>", "exec").co_consts[0]
    with pytest.raises(CannotContinue, match="class body"):
        build_continuation(code, 0)


def test_a_value_that_was_not_passed_is_an_error_not_a_crash() -> None:
    def f(a, b):
        c = a
        return [c, b]

    index, _ = rest(f, "LOAD_FAST", arg="c")
    made = build_continuation(f.__code__, index, tail_stack(f.__code__, index), ("b",)).make(globals(), {})
    with pytest.raises(UnboundLocalError, match="'c'"):
        made(1)


def test_a_variable_that_is_passed_as_unbound_starts_unbound() -> None:
    def f(x: Any) -> Any:
        y = x
        log("here")
        try:
            return y
        except UnboundLocalError as error:
            return str(error)

    entry = next(i for i, instr in enumerate(decode(f.__code__).instructions) if instr.arg == "y") + 1
    names = ("x", "y")
    rest = build_continuation(f.__code__, entry, (), names, maybe_unbound=True).make(globals(), {})
    assert rest(1, 2) == 2
    assert "cannot access local variable 'y'" in rest(1, UNBOUND)


def test_handlers_are_refused() -> None:
    index, _ = rest(tries, "CHECK_EXC_MATCH")
    with pytest.raises(CannotContinue, match="an exception is being handled"):
        tail_stack(tries.__code__, index)


def test_wrong_requests_are_defects() -> None:
    with pytest.raises(InternalError, match="given the stack"):
        build_continuation(dies.__code__, rest(dies, "BINARY_SUBSCR")[0], (Slot.VALUE,))
    with pytest.raises(InternalError, match="no such plain variable or cell: zz"):
        build_continuation(dies.__code__, 0, (), ("zz",))
    with pytest.raises(InternalError, match="no such plain variable or cell: count"):
        build_continuation(closures.__code__, 0, (), ("count",))
    with pytest.raises(KeyError):
        build_continuation(closures.__code__, 0).make(globals(), {})


def test_argument_binding_of_the_original_is_gone() -> None:
    """A continuation takes its values by position, whatever the original's signature was."""
    made = build_continuation(straight.__code__, 0, (), ("more", "a", "b", "rest", "c"))
    assert made.make(globals(), {})({"k": 1}, 1, 2, (), 5) == straight(1, 2, c=5, k=1)
    with pytest.raises(TypeError, match="positional"):
        made.make(globals(), {})(1)


def test_tracing_sees_only_user_lines() -> None:
    lines: list[int] = []

    def tracer(frame: types.FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_name == "loops":
            lines.append(frame.f_lineno)
        return tracer

    made = build_continuation(loops.__code__, 0, (), ("n",)).make(globals(), {})
    old = sys.gettrace()
    with contextlib.ExitStack() as stack:
        stack.callback(sys.settrace, old)
        sys.settrace(tracer)
        made(3)
    first = loops.__code__.co_firstlineno
    assert set(lines) <= set(range(first, first + 20)) and len(lines) > 10


def test_names_with_a_dot_do_not_clash() -> None:
    """More values than the original has variables."""

    def f():
        return [1, 2, 3, (lambda: 4)()]

    index, _ = rest(f, "BUILD_LIST")
    made = build_continuation(f.__code__, index, (Slot.VALUE,) * 4)
    assert made.make(globals(), {})(*"abcd") == list("abcd")


def test_the_long_case_needs_long_jumps() -> None:
    jumps = [raw for raw in decode(cut_functions.long_jumps.__code__).raws if raw.target is not None]
    assert any(raw.at > raw.start for raw in jumps), "no jump of long_jumps has an EXTENDED_ARG"
