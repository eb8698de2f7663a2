"""The instruction layer: one normalised set in every Python version, and the flow of control through it."""

# The cases are meant to compile to many kinds of bytecode, not to be good style.
# ruff: noqa: B007, B018, B023

from __future__ import annotations

import dis
import pathlib
import random
import sys
import types
from typing import Any

import pytest
from quern.capture.bytecode import instructions
from quern.capture.bytecode import raw as bytecode_raw
from quern.capture.bytecode.instructions import (
    CallArgs,
    Slot,
    callee,
    check_python,
    decode,
    in_handler,
    live_locals,
    loop_of,
    loops,
    stack_depth,
    stack_shape,
)

from quern.errors import UnsupportedPython


def ops(function: Any) -> list[tuple[str, Any]]:
    return [(instr.op, instr.arg) for instr in decode(function.__code__).instructions]


def names(function: Any) -> list[str]:
    return [op for op, _ in ops(function)]


def only(function: Any, op: str) -> Any:
    """The argument of the only instruction `op`."""
    (arg,) = [arg for name, arg in ops(function) if name == op]
    return arg


def at(function: Any, op: str, arg: Any = None) -> int:
    """The index of the first instruction `op` (with argument `arg`)."""
    found = ops(function)
    return next(i for i, (name, given) in enumerate(found) if name == op and arg in (None, given))


# ---------------------------------------------------------------- one set for all versions


def test_a_plain_function_reads_the_same_everywhere() -> None:
    def f(a, b):
        c = a.real + b[0]
        return c

    assert ops(f) == [
        ("LOAD_FAST", "a"),
        ("LOAD_ATTR", "real"),
        ("LOAD_FAST", "b"),
        ("LOAD_CONST", 0),
        ("BINARY_SUBSCR", None),
        ("BINARY_OP", "+"),
        ("STORE_FAST", "c"),
        ("LOAD_FAST", "c"),
        ("RETURN_VALUE", None),
    ]


def test_operators_are_symbols() -> None:
    def f(a, b):
        a += b
        a @= b
        return a // b, a < b, a != b, a is b, a is not b, a in b, a not in b, -a, +a, ~a, not a

    found = ops(f)
    symbols = [arg for op, arg in found if op in ("BINARY_OP", "COMPARE_OP", "IS_OP", "CONTAINS_OP")]
    assert symbols == ["+=", "@=", "//", "<", "!=", "is", "is not", "in", "not in"]
    unary = [op for op, _ in found if op.startswith("UNARY")]
    assert unary == ["UNARY_NEGATIVE", "UNARY_POSITIVE", "UNARY_INVERT", "UNARY_NOT"]


def test_truth_is_tested_by_the_jump() -> None:
    def f(a, b):
        if a < b and a:
            return 1
        return not (a or b)

    assert "TO_BOOL" not in names(f)
    assert {"POP_JUMP_IF_FALSE", "COMPARE_OP", "UNARY_NOT"} <= set(names(f))
    for index, instr in enumerate(decode(f.__code__).instructions):
        assert instr.index == index


def test_calls() -> None:
    def f(a):
        print(a, sep="", end=a)
        a.method(1, k=2)
        return a(*a, **a)

    calls = [arg for op, arg in ops(f) if op == "CALL"]
    assert calls == [CallArgs(3, ("sep", "end")), CallArgs(2, ("k",))]
    assert only(f, "CALL_FUNCTION_EX") is True
    assert ("LOAD_ATTR", "method") in ops(f) and ("LOAD_GLOBAL", "print") in ops(f)
    assert names(f).count("PUSH_NULL") == 3


def test_callee() -> None:
    null = object()
    assert callee(null, "f", null) == ("f", ())
    assert callee("f", null, null) == ("f", ())
    assert callee("f", "self", null) == ("f", ("self",))


def test_the_stack_below_a_call_follows_the_rule() -> None:
    """Of the two slots below the arguments exactly one is NULL, for functions and methods alike."""

    def f(a):
        return len(a.method(1, k=a)), (a or len)(a)

    view = decode(f.__code__)
    calls = [instr for instr in view.instructions if instr.op == "CALL"]
    assert len(calls) == 3
    for call in calls:
        shape = stack_shape(view, call.index)
        assert shape is not None
        pair = [item.kind for item in shape[-call.arg.count - 2 :][:2]]
        assert sorted(kind.name for kind in pair) == ["NULL", "VALUE"]
        below = {view[pusher].op for item in shape for pusher in item.pushed_by}
        assert below == {"PUSH_NULL"}


def test_functions_and_their_attributes() -> None:
    def f(a):
        def g(x=1, *, y=a, z: int = 2) -> int:
            return a + x

        return g, lambda: 0

    made = [arg for op, arg in ops(f) if op == "MAKE_FUNCTION"]
    assert made == [("defaults", "kwdefaults", "annotations", "closure"), ()] or made == [
        ("defaults", "kwdefaults", "closure"),
        (),
    ]
    index = at(f, "MAKE_FUNCTION")
    depth = stack_depth(decode(f.__code__), index)
    assert depth == 1 + len(made[0])
    assert "MAKE_CELL" not in names(f) and "COPY_FREE_VARS" not in names(f)
    assert decode(f.__code__).cell_names == ("a",)
    inner = decode(f.__code__).code.co_consts
    (g,) = [const for const in inner if isinstance(const, types.CodeType) and const.co_name == "g"]
    assert decode(g).free_names == ("a",) and [i.op for i in decode(g).instructions][0] == "LOAD_DEREF"


def test_formatting() -> None:
    def f(a, w):
        return f"{a}{a!r}{a:>{w}}{a!s:x}"

    formats = [pair for pair in ops(f) if pair[0] in ("CONVERT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC")]
    assert [op for op, _ in formats].count("FORMAT_WITH_SPEC") == 2
    assert [arg for op, arg in formats if op == "CONVERT_VALUE"] == ["r", "s"]


def test_slices() -> None:
    def f(a):
        a[1:2] = a[:3]

    assert names(f).count("BUILD_SLICE") + names(f).count("LOAD_CONST") >= 2
    assert "BINARY_SUBSCR" in names(f) and "STORE_SUBSCR" in names(f)
    assert not {"BINARY_SLICE", "STORE_SLICE"} & set(names(f))


def test_unpacking() -> None:
    def f(a):
        x, *y, z = a
        p, q = a
        return [*x, *y], z, p, q

    assert only(f, "UNPACK_EX") == (1, 1)
    assert ("UNPACK_SEQUENCE", 2) in ops(f)


def test_super() -> None:
    class A(list):
        def f(self):
            return super().append(1)

    found = ops(A.f)
    if sys.version_info >= (3, 12):
        assert ("LOAD_SUPER_ATTR", ("append", 0)) in found
    else:
        assert ("LOAD_ATTR", "append") in found
    assert found[-1] == ("RETURN_VALUE", None) and ("CALL", CallArgs(1)) in found
    view = decode(A.f.__code__)
    assert all("self" in live_locals(view, index) for index in range(len(view)))


def test_for_loop_ends_behind_the_loop() -> None:
    def f(xs):
        for x in xs:
            print(x)
        return 1

    view = decode(f.__code__)
    header = at(f, "FOR_ITER")
    end = view[header].arg
    assert (view[end].op, view[end].arg) == ("LOAD_CONST", 1)
    assert stack_depth(view, header) == 1 and stack_depth(view, end) == 0
    assert "END_FOR" not in names(f)
    assert [view[header - 1].op, view[header + 1].op] == ["GET_ITER", "STORE_FAST"]


def test_short_circuit_values() -> None:
    def f(a, b):
        return a or b

    assert names(f)[:4] == ["LOAD_FAST", "COPY", "POP_JUMP_IF_TRUE", "POP_TOP"]


def test_generators() -> None:
    def f(xs):
        y = yield 1
        yield from xs
        return y

    view = decode(f.__code__)
    assert view.is_generator and view.can_suspend and not view.is_coroutine
    assert names(f)[:2] == ["RETURN_GENERATOR", "POP_TOP"]
    send = at(f, "SEND")
    target = view[send].arg
    depth = stack_depth(view, send)
    assert depth == 2 and stack_depth(view, target) == 1 and stack_depth(view, send + 1) == 2


def test_parameters() -> None:
    def f(a, /, b, *args, c=1, **more):
        d = 1
        return d

    view = decode(f.__code__)
    assert view.parameters == ("a", "b", "c", "args", "more")
    assert (view.argcount, view.posonlyargcount, view.kwonlyargcount) == (2, 1, 1)
    assert view.has_varargs and view.has_varkw
    assert view.local_names == ("a", "b", "c", "args", "more", "d")


def test_slot_names_are_cpythons() -> None:
    def outer(free):
        def f(a, b):
            c = 1
            return [lambda: (a, c, free, x) for x in b]

        return f

    code = outer(1).__code__
    view = decode(code)
    named = [code._varname_from_oparg(i) for i in range(len(view.slot_names))]
    assert list(view.slot_names) == named


def test_handlers() -> None:
    def f(a):
        try:
            a()
        except ValueError:
            return 1
        with a:
            a()

    view = decode(f.__code__)
    call = at(f, "CALL")
    handler = view.handlers[call]
    assert handler is not None and view[handler.target].op == "PUSH_EXC_INFO"
    assert handler.depth == 0 and not handler.push_lasti
    with_call = max(i for i, (op, arg) in enumerate(ops(f)) if (op, arg) == ("CALL", CallArgs(0)))
    handler = view.handlers[with_call]
    assert handler is not None and (handler.depth, handler.push_lasti) == (1, True)
    assert in_handler(view, at(f, "WITH_EXCEPT_START")) and not in_handler(view, with_call)
    shape = stack_shape(view, at(f, "WITH_EXCEPT_START"))
    assert shape is not None
    assert [item.kind for item in shape] == [Slot.VALUE, Slot.LASTI, Slot.EXC_INFO, Slot.VALUE]


def test_positions() -> None:
    def f(a):
        return a.wrong(a)

    instr = decode(f.__code__)[at(f, "CALL")]
    text = pathlib.Path(__file__).read_text(encoding="utf-8").splitlines()[(instr.line or 0) - 1]
    assert text[instr.col : instr.end_col] == "a.wrong(a)"
    assert instr.offset < len(f.__code__.co_code) and instr.opname in dis.opmap


def test_printing() -> None:
    text = str(decode(test_callee.__code__))
    assert "test_callee" in text and "CALL CallArgs(count=0, names=())" in text


def test_decoded_once() -> None:
    assert decode(test_callee.__code__) is decode(test_callee.__code__)


def test_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "_CACHE_LIMIT", 3)
    monkeypatch.setattr(instructions, "_cache", type(instructions._cache)())
    for number in range(6):
        decode(compile(f"x = {number}", "<test>", "exec"))
    assert len(instructions._cache) == 3


def test_unknown_opcodes_stay_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(bytecode_raw._RULES, "BINARY_OP")

    def f(a):
        return a + 1

    view = instructions._decode(f.__code__)
    assert [instr.op for instr in view.instructions] == [
        "LOAD_FAST",
        "LOAD_CONST",
        "UNKNOWN:BINARY_OP",
        "RETURN_VALUE",
    ]
    assert stack_depth(view, 2) == 2 and stack_depth(view, 3) is None


def test_unsupported_version_says_what_to_do() -> None:
    with pytest.raises(UnsupportedPython) as caught:
        check_python((3, 15))
    message = str(caught.value)
    assert "Python 3.15" in message and "3.11, 3.12, 3.13" in message
    assert "quern.config.unsupported_python = 'eager'" in message
    check_python((3, 12))


# ---------------------------------------------------------------- flow


def test_loops_and_their_exits() -> None:
    def f(xs):
        for x in xs:
            while x > 1:
                x -= 1
                if x == 5:
                    break
            try:
                print(x)
            except ValueError:
                continue
        else:
            return 1
        return 2

    view = decode(f.__code__)
    outer, inner = loops(view)
    assert view[outer.header].op == "FOR_ITER" and outer.exit == view[outer.header].arg
    assert inner.body < outer.body
    assert loop_of(view, at(f, "BINARY_OP", "-=")) == (outer, inner)
    assert loop_of(view, at(f, "PUSH_EXC_INFO")) == (outer, outer)  # the handler continues the loop
    assert loop_of(view, 0) is None and loop_of(view, len(view) - 1) is None
    assert outer.header not in inner.body and inner.header in inner.body
    for loop in (outer, inner):
        for exit in loop.exits:
            assert exit not in loop.body and not in_handler(view, exit)


def test_a_handler_at_the_end_is_no_loop() -> None:
    """Handlers lie behind the function and jump back; only what can run again is a loop."""

    def f(a):
        try:
            a()
        except ValueError:
            a = 1
        return a

    assert loops(decode(f.__code__)) == ()


def test_endless_loop_has_no_exit() -> None:
    def f(a):
        while True:
            a()

    (loop,) = loops(decode(f.__code__))
    assert loop.exits == () and loop.exit is None


def test_live_locals() -> None:
    def f(a, b):
        c = a
        d = b
        if c:
            return d
        a = 1
        return a

    view = decode(f.__code__)
    assert live_locals(view, 0) == {"a", "b"}
    assert live_locals(view, at(f, "LOAD_FAST", "c")) == {"c", "d"}
    assert live_locals(view, at(f, "STORE_FAST", "a")) == set()
    assert live_locals(view, len(view) - 2) == {"a"}


def test_handlers_keep_variables_alive() -> None:
    def f(a, b):
        try:
            a()
            b = 1
        except ValueError:
            return b
        return 2

    assert "b" in live_locals(decode(f.__code__), at(f, "CALL"))
    assert "b" not in live_locals(decode(f.__code__), len(ops(f)) - 1)


def test_cells_live_while_they_are_used() -> None:
    def f():
        n = 0

        def g():
            return n

        n = 1
        return 2

    view = decode(f.__code__)
    assert "n" in live_locals(view, at(f, "LOAD_CONST", 1))  # a store reaches g through the cell
    assert "n" not in live_locals(view, len(view) - 1)


def test_code_that_reads_its_frame_keeps_everything() -> None:
    def f(a):
        b = 1
        return locals()

    view = decode(f.__code__)
    assert all(live_locals(view, index) == {"a", "b"} for index in range(len(view)))


# ---------------------------------------------------------------- code that has run


def test_specialised_code_reads_like_fresh_code() -> None:
    """Running code rewrites its instructions in place; what is decoded must not change."""

    def f(xs):
        total = 0
        for x in xs:
            total += x.real + len(xs)
        return total

    before = [(i.op, i.arg) for i in instructions._decode(f.__code__).instructions]
    for _ in range(200):
        f([1, 2, 3])
    assert [(i.op, i.arg) for i in instructions._decode(f.__code__).instructions] == before


def test_traced_code_reads_like_fresh_code() -> None:
    def f(xs):
        return [x for x in xs]

    before = [(i.op, i.arg) for i in instructions._decode(f.__code__).instructions]
    old = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        f(random.sample(range(9), 3))
        during = [(i.op, i.arg) for i in instructions._decode(f.__code__).instructions]
    finally:
        sys.settrace(old)
    assert during == before
