"""Graph breaks: the part before and the part after run compiled, what lies between as plain Python; results never differ."""

# ruff: noqa: B007, B008, B904, B023
# mypy: ignore-errors

from __future__ import annotations

import collections
import contextlib

import pytest
from quern.capture.switches.function_flags import graph_break, is_compiling
from registry import Expect
from toy import Toy, agree, agrees, on_toy, toy_compile

import quern
from quern.errors import Unsupported

program = on_toy(__name__, calls=3)


@program
def middle(x, y):
    a = x + y
    n = a.sum().item()
    return a * n + y


@program
def branch(x):
    if x.sum() > 0:
        return x * 2
    return x - 1


@program
def branch_joins(x, y):
    a = x + 1
    if a.sum() > 100:
        a = a * 2
    else:
        a = a - y
    return a + y


@program
def values_on_the_stack(x, y):
    return x + 1, [y * 2, x.sum().item()], {"k": x - y, "n": (y + 1).sum().item()}


@program
def explicit(x):
    x = x + 1
    graph_break()
    x = x * 2
    graph_break("again")
    return x - 3


@program
def in_with(x):
    log = []
    with Manager(log):
        x = x + 1
        n = x.sum().item()
        x = x * n
    return x, log


class Manager:
    def __init__(self, log):
        self.log = log

    def __enter__(self):
        self.log.append("enter")
        return self

    def __exit__(self, kind, value, tb):
        self.log.append(kind.__name__ if kind else "exit")
        return kind is KeyError


@program
def raises_in_with_after_break(x):
    log = []
    with Manager(log):
        x = x + 1
        graph_break()
        raise KeyError("swallowed")
    return x, log


@contextlib.contextmanager
def managed(log):
    log.append("in")
    try:
        yield len(log)
    finally:
        log.append("out")


@program
def in_contextmanager(x):
    log = []
    with managed(log) as n:
        x = x * n
        graph_break()
        x = x + 1
    return x, log


@program
def in_try(x):
    try:
        x = x + 1
        n = x.sum().item()
        [][int(n) + 5]
    except IndexError:
        x = x * 2
    finally:
        x = x - 1
    return x


@program
def in_except(x):
    try:
        raise ValueError(3)
    except ValueError as e:
        x = x + e.args[0]
        graph_break()
        x = x * 2
    return x


@program
def in_finally(x):
    log = []
    try:
        x = x + 1
    finally:
        graph_break()
        log.append("f")
    return x, log


@program
def in_for(x):
    out = []
    for i in range(4):
        x = x + i
        graph_break()
        out.append(x * 2)
    return out, x, i


@program
def in_while(x):
    n = 0
    while n < 3:
        n += 1
        x = x * n
        graph_break()
    return x, n


@program
def in_nested_loops(x):
    for i in range(2):
        for j in range(2):
            x = x + j
            if j:
                graph_break()
            x = x * 2
        x = x - i
    return x


@program
def in_enumerate_zip(x, y):
    total = x
    for i, (k, v) in enumerate(zip("ab", [x, y])):
        total = total + v * i
        graph_break()
    else:
        total = total * 2
    return total, k


@program
def loop_with_break_and_continue(x):
    for i in range(6):
        if i == 1:
            continue
        if x.sum() > 10:
            break
        x = x + i
    return x, i


@program
def over_generator(x):
    def gen():
        for i in range(3):
            yield x * i

    total = x
    for v in gen():
        total = total + v
        graph_break()
    return total


@program
def in_comprehension_caller(x):
    rows = [v * 2 for v in [x, x + 1]]
    graph_break()
    return [r + 1 for r in rows]


@program
def in_comprehension(x):
    return [v * v.sum().item() for v in [x, x + 1]]


def inner_breaks(v, n=1):
    v = v + n
    graph_break()
    return v * 2


@program
def in_callee(x):
    x = x + 1
    y = inner_breaks(x, n=2)
    return y - x


@program
def in_deep_callee(x):
    def a(v):
        return inner_breaks(v) + 1

    def b(v):
        return a(v * 2)

    return b(x) - 1


@program
def in_callee_in_loop(x):
    for i in range(3):
        x = inner_breaks(x, i)
    return x


class Model:
    def __init__(self):
        self.w = Toy([2.0, 1.0, 0.5])
        self.seen = 0

    def step(self, x):
        self.seen += 1
        y = x * self.w
        graph_break()
        return y + self.seen

    def __call__(self, x):
        for _ in range(2):
            x = self.step(x)
        return x


@program(args=lambda: (Toy([1.0, 2.0, 3.0]), Model()))
def method_breaks(x, model):
    return model(x), model.step(x)


@program
def callback_breaks(x):
    return list(map(inner_breaks, [x, x + 1])), sorted([3, 1], key=lambda v: (graph_break(), v)[1])


@program
def closure_across(x):
    n = 1

    def bump():
        nonlocal n
        n += 1
        return n

    x = x * bump()
    graph_break()
    x = x * bump()
    return x, n, bump


@program
def cell_shared_across(x):
    log = []

    def note(v):
        log.append(v)

    note(x)
    graph_break()
    note(x + 1)
    return log, note


@program(args=lambda: (Toy([1.0]), [1], {"k": []}))
def aliases_across(x, a, d):
    b = a
    c = [a, b]
    d["k"] = c
    b.append(x)
    graph_break()
    c[0].append(2)
    return a is c[1], d["k"] is c, a


@program
def objects_across(x):
    m = Model()
    m.me = m
    m.items = [x]
    graph_break()
    m.items.append(x + 1)
    return m.me is m, m.items, m


@program
def iterator_across(x):
    it = iter([1, 2, 3])
    a = next(it)
    e = enumerate("abc")
    next(e)
    z = zip([1, 2], [3, 4])
    graph_break()
    return x * a, list(it), list(e), list(z)


@program
def unbound_across(x):
    if x is None:
        late = 1
    graph_break()
    try:
        return late
    except UnboundLocalError:
        return x


@program
def deleted_across(x):
    a = 1
    del a
    graph_break()
    a = 2
    return x * a


@program
def star_args_across(x, *rest, **named):
    graph_break()
    return x, rest, named


@program
def keyword_call_breaks(x):
    def f(a, *b, c, **d):
        graph_break()
        return a + c, b, d

    return f(x, 1, c=2, d=3), f(*[x], **{"c": 4})


@program
def break_in_argument(x):
    return max(x.sum().item(), 1.0), f"{x.sum().item():.1f}", [*range(int(x.sum().item()))]


@program
def chained(x):
    return (x + 1).relu().sum().item() + (x * 2).sum().item()


@program(expect=Expect.RAISES)
def raises_after(x):
    x = x + 1
    graph_break()
    raise ValueError("after")


@program(expect=Expect.RAISES)
def raises_in_callee_after(x):
    def f(v):
        graph_break()
        return [1][v]

    return f(3)


@program
def caught_from_callee_after(x):
    def f(v):
        graph_break()
        return [1][v]

    try:
        f(3)
    except IndexError:
        return x + 1


@program
def assertion_on_array(x):
    assert x.sum() > 0, "positive"
    return x * 2


@program
def while_on_array(x):
    n = 0
    while x.sum() > 1:
        x = x - 1
        n += 1
    return x, n


@program
def boolean_operators_on_arrays(x):
    a = x.sum() > 0 and x.sum() > 100
    b = x.sum() > 0 or x.sum() > 1
    c = not (x.sum() > 0)
    return bool(a), bool(b), c


@program
def ternary_on_array(x):
    return (x * 2 if x.sum() > 0 else x) + 1


@program
def class_statement(x):
    class Local:
        k = 3

        def f(self):
            return x * self.k

    return Local().f()


@program
def recursion_breaks(x):
    def f(v, n):
        if n == 0:
            return v
        graph_break()
        return f(v + 1, n - 1)

    return f(x, 3)


@program
def generator_breaks(x):
    def gen():
        yield x
        graph_break()
        yield x + 1

    return list(gen())


@program
def match_on_array(x):
    match x.sum().item():
        case 2.0:
            return x
        case v:
            return x * v


@program
def lambda_breaks(x):
    f = lambda v: v.sum().item()  # noqa: E731
    return x * f(x)


@pytest.mark.parametrize("program", program, ids=lambda p: p.name)
def test_results_agree(program) -> None:
    compiled = agree(program)
    assert (
        compiled.breaks or program.expect is Expect.RAISES or program.name in ("in_contextmanager", "star_args_across")
    )


@pytest.mark.parametrize("name", ["middle", "in_for", "in_callee", "in_with", "branch", "in_while", "method_breaks"])
def test_calls_after_the_first_reuse_everything(name: str) -> None:
    found = next(p for p in program if p.name == name)
    compiled = toy_compile(found.make())
    compiled(*found.args(0))
    before = len(compiled.explain_records)
    for _ in range(4):
        compiled(*found.args(0))
    assert len(compiled.explain_records) == before


def test_a_loop_with_a_break_makes_few_graphs() -> None:
    def f(x):
        for _ in range(200):
            x = x + 1
            graph_break()
        return x

    compiled = toy_compile(f)
    assert compiled(Toy([0.0])).data.tolist() == [200.0]
    assert len(compiled.explain_records) < 8


def test_a_long_loop_does_not_deepen_the_stack() -> None:
    def f(x):
        n = 0
        while n < 3000:
            x = x + 1
            n += 1
            graph_break()
        return x

    assert toy_compile(f)(Toy([0.0])).data.tolist() == [3000.0]


def test_fullgraph_names_the_users_line() -> None:
    def f(x):
        y = x + 1
        return helper(y)

    def helper(v):
        return v.sum().item()

    with pytest.raises(Unsupported) as caught:
        toy_compile(f, fullgraph=True)(Toy([1.0]))
    text = str(caught.value)
    assert "test_breaks.py" in text and "return v.sum().item()" in text and "[item]" in text
    assert len(text.splitlines()) <= 12
    frames = []
    tb = caught.value.__traceback__
    while tb is not None:
        frames.append(tb.tb_frame.f_code.co_filename)
        tb = tb.tb_next
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_breaks_are_recorded_once_with_their_place() -> None:
    def f(x):
        x = x + 1
        graph_break("here")
        return x

    compiled = toy_compile(f)
    for _ in range(3):
        compiled(Toy([1.0]))
    assert [b.code for b in compiled.breaks] == ["graph-break"]
    assert compiled.breaks[0].location.text == 'graph_break("here")'
    assert "here" in str(compiled.breaks[0])


def test_callee_of_a_break_is_compiled_by_itself() -> None:
    compiled = toy_compile(in_callee)
    compiled(*[Toy([1.0])])
    ops = [
        [n.op.name for n in e.graph.nodes if n.op.name not in ("input", "scalar")]
        for e in compiled.explain_records
        if e.graph is not None
    ]
    assert ["add"] in ops and ["mul"] in ops


def test_is_compiling() -> None:
    def f(x):
        return x + (1 if is_compiling() else 2)

    assert f(Toy([0.0])).data.tolist() == [2.0]
    assert toy_compile(f)(Toy([0.0])).data.tolist() == [1.0]


def test_disable_runs_the_function_as_it_is() -> None:
    def plain(x):
        return x + (1 if is_compiling() else 2)

    plain._quern_disable = True

    def f(x):
        return plain(x) * 10

    compiled = toy_compile(f)
    assert compiled(Toy([0.0])).data.tolist() == [20.0]
    assert compiled.breaks[0].code == "disabled"


def test_config_disable() -> None:
    def f(x):
        return x + (1 if is_compiling() else 2)

    with quern.config.patch(disable=True):
        assert toy_compile(f)(Toy([0.0])).data.tolist() == [2.0]


def test_logs_show_breaks_recompiles_guards_and_code(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x, mode):
        x = x * len(mode)
        graph_break()
        return x

    compiled = toy_compile(f)
    with quern.config.patch(logs=("breaks", "recompiles", "guards", "code", "times")):
        compiled(Toy([1.0]), "a")
        compiled(Toy([1.0]), "bb")
    shown = capsys.readouterr().err
    for text in (
        "[quern breaks] graph break:",
        "mode was 'a'; now it is 'bb'",
        "mode == 'a'",
        "def entry(x, mode)",
        "captured in",
    ):
        assert text in shown


def test_deep_recursion_needs_no_more_stack_than_plain() -> None:
    def down(x, n):
        return x if n == 0 else down(x + 1, n - 1)

    def f(x):
        return down(x, 300)

    assert toy_compile(f, fullgraph=True)(Toy([0.0])).data.tolist() == [300.0]


def test_a_generator_function_runs_as_plain_python() -> None:
    def f(x):
        yield x + (1 if is_compiling() else 2)

    compiled = toy_compile(f)
    assert [v.data.tolist() for v in compiled(Toy([0.0]))] == [[2.0]]
    with pytest.raises(Unsupported, match="generator"):
        toy_compile(f, fullgraph=True)(Toy([0.0]))


def test_a_compiled_function_inside_another_is_one_graph() -> None:
    inner = toy_compile(lambda v: v * 5)

    def f(x):
        return inner(x) + 1

    compiled = toy_compile(f, fullgraph=True)
    assert compiled(Toy([1.0])).data.tolist() == [6.0]
    assert not inner.entries


def test_assumed_constants_are_called_once() -> None:
    calls = []

    def setting(n):
        calls.append(n)
        return n + 1

    setting._quern_assume_constant = True

    def f(x):
        return x * setting(2)

    compiled = toy_compile(f, fullgraph=True)
    assert [compiled(Toy([1.0])).data.tolist() for _ in range(3)] == [[3.0]] * 3
    assert calls == [2]


@pytest.mark.parametrize("kind", [list, tuple, collections.deque])
def test_a_sequence_too_long_to_guard_breaks_the_graph(kind):
    held = kind(range(200_000))

    def f(x, items):
        y = x + 1
        return y * items[3], len(items)

    compiled = agrees(f, lambda: (Toy([2.0]), held))
    assert {b.code for b in compiled.breaks} == {"long-sequence"}


@pytest.mark.parametrize("use", [list, sum, any, lambda r: [*r][-1], lambda r: max(r)])
def test_the_numbers_of_a_long_range_are_pythons(use):
    def program(x, n):
        try:
            return x + 1, use(range(n))
        except OverflowError as error:
            return x, str(error)

    compiled = quern.compile(program)
    for n in (5, 300_000, 7):
        assert compiled(1.5, n) == program(1.5, n)
    if use in (list, any):
        assert compiled(1.5, 2**70) == program(1.5, 2**70)
    assert {b.code for b in compiled.breaks} <= {"long-loop", "long-sequence"}
    assert compiled.breaks or use is any
