"""Continuations: a function left and entered again at any instruction does what it does when run plainly.

The cases are ordinary functions. For each instruction of each of them the run is cut there: a first continuation runs
from the start and leaves before the instruction, a second one goes on. Results, exceptions, tracebacks' lines
and the order of side effects must be those of a plain call.
"""

# The cases are meant to compile to many kinds of bytecode, not to be good style.
# ruff: noqa: B007, B018, B023, B026, UP030, UP032

from __future__ import annotations

import contextlib
import gc
import inspect
import sys
import traceback
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from quern.capture.continuation import UNBOUND, CannotContinue, TailSpec, build_continuation, tail_stack
from quern.capture.instructions import Slot, decode, live_locals, stack_shape, successors

from quern.errors import InternalError

# ---------------------------------------------------------------- the functions that are cut

trace: list[Any] = []


def log(value: Any) -> Any:
    trace.append(value)
    return value


class Guard:
    """A context manager that logs, and swallows ValueError if asked."""

    def __init__(self, name: str, swallow: bool = False) -> None:
        self.name, self.swallow = name, swallow

    def __enter__(self) -> Guard:
        log(("enter", self.name))
        return self

    def __exit__(self, kind: Any, value: Any, tb: Any) -> bool:
        log(("exit", self.name, kind))
        return self.swallow and kind is ValueError

    def method(self, *args: Any, **kwargs: Any) -> Any:
        return log((self.name, args, sorted(kwargs.items())))


class Truth:
    """Comparison gives an object whose truth is asked for separately."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __lt__(self, other: int) -> Truth:
        log("lt")
        return Truth(self.value < other)

    def __bool__(self) -> bool:
        log(("bool", self.value))
        return bool(self.value)


class Raises:
    def __bool__(self) -> bool:
        raise ValueError("no truth value")


class Base:
    def greet(self, word: str) -> str:
        return f"base {word}"


class Derived(Base):
    def greet(self, word: str) -> str:
        here = super().greet(log(word))
        return here + "!"

    def greet_from_cell(self, word: str) -> Any:
        later = super()
        return [later.greet(word), (lambda: self is not None)()]

    def only_self_from_cell(self) -> Any:
        return super().greet("x"), (lambda: self is not None)()


def straight(a, b, *rest, c=3, **more):
    t = a + b * c
    t -= len(rest)
    return t, rest, more, -t, +t, ~t, not t


def loops(n):
    total = 0
    for i in range(n):
        if i == 1:
            continue
        for j in (i, i + 1):
            if j > 2:
                break
            total += log(j)
        else:
            total += 10
    while total > 5:
        total -= 4
        if total == 7:
            break
    else:
        total += 100
    return total


def calls(a):
    g = Guard("g")
    x = g.method(a, 1, k=a, *[2], **{"z": 3})
    y = g.method(log(a), k=log(a + 1))
    z = max(a, log(4), key=lambda v: -v)
    return x, y, z, "{}".format(a), print, (log if a else max)(a), sorted([3, 1, 2], reverse=True)


def nested_calls(a):
    return log(max(log(a), Guard("n").method(log(1), q=min(2, log(a)))[1][0], len([log(5)])))


def withs(a):
    with Guard("one") as one, Guard("two", swallow=True) as two:
        log(one.name)
        if a:
            raise ValueError(two.name)
        log("body done")
    return "after"


def with_return(a):
    with Guard("w"):
        for i in range(3):
            with Guard(i):
                if i == a:
                    return i
    return None


def tries(a):
    out = []
    try:
        out.append(10 // a)
        try:
            out.append([1][a])
        except (KeyError, TypeError):
            out.append("never")
        finally:
            log("inner finally")
    except ZeroDivisionError as e:
        out.append(str(e))
    except IndexError:
        out.append("index")
        raise
    else:
        out.append("else")
    finally:
        log("finally")
    return out


def try_loop(values):
    good = []
    for v in values:
        try:
            good.append(int(v))
        except ValueError:
            continue
        finally:
            log(v)
    return good


def raises_from(a):
    try:
        log(a)
        raise KeyError(a)
    except KeyError as e:
        raise RuntimeError("outer") from e


def closures(a):
    count = 0
    later = None

    def add(k, *, scale=2):
        nonlocal count
        count += k * scale
        return a + count

    def look():
        return later

    add(1)
    later = add(2, scale=3)
    a += 1
    return add(a), look(), count, [add(i) for i in range(2)]


def comprehensions(xs):
    squares = [x * x for x in xs if x]
    table = {x: [y for y in range(x)] for x in xs}
    return squares, table, {x % 2 for x in xs}, sum(x for x in xs), [(x, y) for x in xs for y in xs if x < y]


def comprehension_shadows(xs, x):
    before = x
    found = [x + before for x in xs]
    return found, x


def comprehension_of_cell(xs, x):
    show = lambda: x  # noqa: E731
    found = [x + 1 for x in xs]
    return found, show(), [(lambda: x)() for x in xs], x


def walrus(xs):
    if (n := len(xs)) > 1 and (m := xs[0]):
        return n, m
    return n, [last := x for x in xs], last


def booleans(a, b):
    c = a and b or not a
    d = a if a < b < 10 else b
    e = not (a < b)
    return c, d, e, a is None, b is not None, a in [b], a not in (1, 2), a == b, a != b


def truths(a):
    t = Truth(a)
    if t < 3 and not (t < 1):
        log("in")
    while t < 2:
        t = Truth(t.value + 1)
    x = t or None
    return x is t, t.value if t < 9 else None


def no_truth(a):
    try:
        if Raises() and a:
            return 1
    except ValueError as e:
        return str(e)


def nones(a, b=None):
    if a is None:
        return 0
    if b is not None:
        return 1
    while a is not None:
        a = None
    return 2


def deletes(a):
    b = [1, 2, 3]
    del b[0]
    x = a
    del a
    if x:
        a = 1
    g = Guard("d")
    g.extra = 5
    del g.extra
    return a, b, hasattr(g, "extra")


def unbound(a):
    if a:
        x = 1
    log("before")
    return x


def unbound_cell(a):
    def look():
        return x

    if a:
        x = 1
        del x
    x = look() if not a else 2
    return x


def slices(a):
    a[1:3] = [7, 8]
    a[0] = a[-1]
    del a[-1:]
    return a[1:], a[:2], a[::2], a[0]


def formats(a, w):
    return f"{a}{a!r}{a:>{w}}{a!s:<{w}}" + f"{a!a}" + "{0}".format(a)


def unpacks(a):
    first, *middle, last = a
    (p, q), r = (first, last), middle
    return [*a, *r], {*a, p}, {**{"q": q}, "r": 1}, (lambda *v, **k: (v, k))(*a, **{"z": 2})


def builds(a):
    return {"a": a, "b": {a, 1}, "c": (a, [a, 2]), a: 3, "d": slice(a, 2, 3)}


def matches(v):
    match v:
        case [1, x, *rest]:
            return "sequence", x, rest
        case {"k": w, **others}:
            return "mapping", w, others
        case Guard(name="g" as n, swallow=s):
            return "class", n, s
        case str() | int():
            return "value", v
        case _:
            return "other"


def globals_and_imports(a):
    global _made
    _made = a
    import math as m
    from os.path import join

    assert a, "a must be true"
    return m.floor(2.5), join("x", "y"), _made


def many_locals(a):
    b = c = d = e = f = g = h = i = j = k = l = m = n = o = p = a  # noqa: F841
    q, r = p, o
    s, t = q + 1, r + 2
    u = lambda: s + t  # noqa: E731
    q, s = s, q
    return u(), q, s, t


def sees_frame(a):
    b = a + 1
    c = lambda: b  # noqa: E731
    return sorted(locals()), eval("b + a"), c()


def method_call(a):
    return Derived().greet(a), Derived().greet_from_cell(a)


def decorated(a):
    class Inner(Base):
        value: int = a

        def get(self, plus: int = a) -> int:
            return self.value + plus

    return Inner().get(), Inner.value


def exception_group(a):
    try:
        raise ExceptionGroup("g", [ValueError(a), KeyError(a)])
    except* ValueError as eg:
        log(len(eg.exceptions))
    except* KeyError:
        log("key")
    return a


def dies(a):
    x = [a]
    y = {"k": x}
    return y["missing"]


def long_jumps(a):
    t = 0
    for i in range(2):
        t += a[0] + a[1] * a[2] - a[0] // a[1] + a[2] % a[1] + a[0] * a[1] - a[2] + a[0] + a[1] * a[2] - a[0] // a[1]
        t += a[0] + a[1] * a[2] - a[0] // a[1] + a[2] % a[1] + a[0] * a[1] - a[2] + a[0] + a[1] * a[2] - a[0] // a[1]
        if t > 1000:
            break
        t += a[0] + a[1] * a[2] - a[0] // a[1] + a[2] % a[1] + a[0] * a[1] - a[2] + a[0] + a[1] * a[2] - a[0] // a[1]
        t += a[0] + a[1] * a[2] - a[0] // a[1] + a[2] % a[1] + a[0] * a[1] - a[2] + a[0] + a[1] * a[2] - a[0] // a[1]
    return t


CASES: list[tuple[Callable[..., Any], list[tuple[Any, ...]]]] = [
    (straight, [(1, 2), (1, 2, 3, 4)]),
    (loops, [(0,), (4,)]),
    (calls, [(1,)]),
    (nested_calls, [(3,)]),
    (withs, [(0,), (1,)]),
    (with_return, [(1,), (7,)]),
    (tries, [(0,), (1,), (-1,)]),
    (try_loop, [(["1", "x", "3"],)]),
    (raises_from, [(1,)]),
    (closures, [(2,)]),
    (comprehensions, [([1, 2, 3],)]),
    (comprehension_shadows, [([1, 2], 5)]),
    (comprehension_of_cell, [([1, 2], 5)]),
    (walrus, [([1, 2],), ([0],), ([],)]),
    (booleans, [(1, 2), (0, 5), (7, 2)]),
    (truths, [(0,), (5,), (2,)]),
    (no_truth, [(1,)]),
    (nones, [(None,), (1,), (1, 2)]),
    (deletes, [(0,), (1,)]),
    (unbound, [(0,), (1,)]),
    (unbound_cell, [(0,), (1,)]),
    (slices, [([1, 2, 3, 4, 5],)]),
    (formats, [("é", 5)]),
    (unpacks, [([1, 2, 3],), ([1],)]),
    (builds, [(1,)]),
    (matches, [([1, 2, 3],), ({"k": 1, "m": 2},), (Guard("g"),), ("s",), (1.5,)]),
    (globals_and_imports, [(1,), (0,)]),
    (many_locals, [(1,)]),
    (sees_frame, [(1,)]),
    (method_call, [("hi",)]),
    (Derived.greet, [(Derived(), "hi")]),
    (Derived.greet_from_cell, [(Derived(), "hi")]),
    (Derived.only_self_from_cell, [(Derived(),)]),
    (decorated, [(3,)]),
    (exception_group, [(1,)]),
    (dies, [(1,)]),
    (long_jumps, [([5, 3, 2],)]),
]

# ---------------------------------------------------------------- how they are cut

Outcome = tuple[Any, ...]


def observe(run: Callable[[], Any], code: types.CodeType) -> Outcome:
    """Result or exception of `run`, the line of `code` it came from, and what was logged."""
    trace.clear()
    try:
        outcome: Outcome = ("returned", run())
    except Exception as error:
        lines = [
            line.lineno
            for line in traceback.extract_tb(error.__traceback__)
            if (line.filename, line.name) == (code.co_filename, code.co_name)
        ]
        chain = (type(error.__cause__), type(error.__context__))
        outcome = ("raised", type(error), str(error), lines[-1:], chain)
    return *outcome, list(trace)


class Activation:
    """One call of a function, run by continuations that are cut where `cuts` says."""

    def __init__(self, function: types.FunctionType, args: tuple[Any, ...]) -> None:
        self.function, self.view = function, decode(function.__code__)
        self.plain = frozenset(self.view.local_names) - set(self.view.cell_names)
        self.bound = self._bind(args)

    def _bind(self, args: tuple[Any, ...]) -> dict[str, Any]:
        """Parameter values by name, as a call would bind them."""
        bound = inspect.signature(self.function).bind(*args)
        bound.apply_defaults()
        return bound.arguments

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


def copies(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(list(a) if isinstance(a, list) else a for a in args)


@pytest.mark.parametrize(("function", "calls"), CASES, ids=[f.__qualname__ for f, _ in CASES])
def test_cut_at_every_instruction(function: types.FunctionType, calls: list[tuple[Any, ...]]) -> None:
    """Run to instruction k, leave, enter again at k and run to the end: for every k that can be left."""
    code = function.__code__
    view = decode(code)
    allowed = [index for index in range(len(view)) if can_cut(code, index)]
    assert len(allowed) >= 5
    for args in calls:
        plain = observe(lambda: function(*copies(args)), code)
        for cut in allowed:
            activation = Activation(function, copies(args))
            done = observe(lambda: activation.run(lambda entry: iter((cut,) if entry == 0 else ())), code)
            assert done == plain, f"cut at {view[cut]}\n{view}"


@pytest.mark.parametrize(("function", "calls"), CASES, ids=[f.__qualname__ for f, _ in CASES])
def test_single_steps(function: types.FunctionType, calls: list[tuple[Any, ...]]) -> None:
    """Leave after each instruction, on each way that control can go: every instruction is run by its own code."""
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
        for args in calls:
            plain = observe(lambda: function(*copies(args)), code)
            activation = Activation(function, copies(args))
            assert observe(lambda: activation.run(cuts), code) == plain
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
    assert (frame.filename, frame.name) == (__file__, "dies")
    assert frame.line == 'return y["missing"]'
    assert (frame.lineno, frame.colno, frame.end_colno) == (instr.line, instr.col, instr.end_col)


def test_lines_of_the_body_are_the_originals() -> None:
    """Every original instruction stands in the continuation, at its own line and columns."""
    for function, _ in CASES:
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
