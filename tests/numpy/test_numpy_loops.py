"""Loops over NumPy's numbers and arrays that become one op of the graph."""

from __future__ import annotations

import copy
import importlib
import warnings

import numpy as np
import pytest
from loop_meanings import MEANINGS
from numpy_compiled import compiled
from numpy_values import equal

import quern
from bench.loop_zoo import ARGUMENTS, PROGRAMS

run = importlib.import_module("quern.capture.frontends.numpy.rolling.run")
build = run.build


def both(program, fast, arguments):
    """One call of both, each with its own copies: results, arguments, or errors and what was done before."""
    own, theirs = copy.deepcopy(arguments), copy.deepcopy(arguments)
    outcome = []
    for call, given in ((program, theirs), (fast, own)):
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            try:
                result = call(*given)
            except Exception as error:
                result = type(error), str(error)
        outcome.append((result, given, [(w.category, str(w.message)) for w in heard]))
    (expected, _, heard_there), (found, _, heard_here) = outcome
    equal((found, own), (expected, theirs), 1e-10, True, identity=False)
    assert heard_here == heard_there
    return found


def agree(program, *arguments, fullgraph=True):
    fast = compiled(program, "inductor", fullgraph=fullgraph)
    for _ in range(2):
        both(program, fast, arguments)
    return fast


def loops_of(fast):
    """How many loop ops the plans of a compiled function have."""
    plans = [e.executable.record.plan for e in fast.explain_records if e.executable is not None]
    return sum(getattr(step, "op", "") == "loop" for plan in plans for step in plan.steps)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name, monkeypatch):
    program, arguments = PROGRAMS[name].function, ARGUMENTS[name]
    fast = agree(program, *arguments(15))
    assert loops_of(fast) >= 1
    built = []
    monkeypatch.setattr(run, "build", lambda *a, **k: built.append(a) or build(*a, **k))
    both(program, fast, arguments(23))
    both(program, fast, arguments(31))
    assert not built, "another length must not compile a loop again"


@pytest.mark.parametrize("name", MEANINGS)
def test_meanings(name):
    program, arguments = MEANINGS[name]
    agree(program, *arguments, fullgraph=False)


# --------------------------------------------------------------------------- control flow


def left_by_break(x, limit):
    total = 0.0
    for i in range(len(x)):
        if total > limit:
            break
        total += x[i]
    return total, i


def with_else(x, wanted):
    found = -1.0
    for v in x:
        if v == wanted:
            found = v
            break
    else:
        found = 7.0
    return found


def continued(x):
    s = 0.0
    for i in range(len(x)):
        if i % 3 == 0 or x[i] < 0.2:
            continue
        s += x[i]
    return s


def counted_down(x):
    for i in range(len(x) - 1, 0, -2):
        x[i - 1] += x[i] * 0.5
    return x


def two_conditions(x):
    n = 0
    i = 0
    while i < len(x) and x[i] < 0.9:
        if not (x[i] > 0.3):
            n += 1
        i += 1
    return n, i


def chained_comparison(x):
    n = 0
    for v in x:
        if 0.2 < v <= 0.7:
            n += 1
    return n


def returned_in_a_function(x):
    def first_above(row, limit):
        for j in range(len(row)):
            if row[j] > limit:
                return j
        return -1

    out = np.zeros(len(x), np.int64)
    for i in range(len(x)):
        out[i] = first_above(x, x[i])
    return out


CONTROL = (
    left_by_break,
    with_else,
    continued,
    counted_down,
    two_conditions,
    chained_comparison,
    returned_in_a_function,
)


@pytest.mark.parametrize("program", CONTROL, ids=lambda f: f.__name__)
@pytest.mark.parametrize("size", [1, 2, 20])
def test_control_flow(program, size):
    x = np.random.default_rng(1).random(size)
    extra = {left_by_break: (2.0,), with_else: (x[-1],)}.get(program, ())
    agree(program, x, *extra, fullgraph=False)


@pytest.mark.parametrize("size", [0, 1, 3, 40])
def test_no_rounds_and_few(size):
    def program(x):
        last = -1.0
        for i in range(len(x)):
            last = x[i]
            x[i] = last * 2
        return last

    agree(program, np.random.default_rng(1).random(size), fullgraph=False)


# --------------------------------------------------------------------------- kinds of numbers


def test_a_variable_may_become_another_kind_in_the_first_round():
    def program(x):
        s = 0
        t = 1
        for v in x:
            s = s + v
            t = t * 2
        return s, t

    agree(program, np.arange(20, dtype=np.float32))
    agree(program, np.arange(20))


def test_integers_of_python_do_not_overflow():
    def program(x):
        k = 1
        for _ in range(len(x)):
            k = k * 3 + 1
        return k

    agree(program, np.zeros(30), fullgraph=False)
    agree(program, np.zeros(90), fullgraph=False)


def test_integers_of_numpy_wrap_or_warn_as_they_do():
    def arrays(x):
        for _ in range(20):
            x[:] = x * 3
        return x

    def scalars(x):
        s = x[0]
        for i in range(1, len(x)):
            s = s + x[i]
        return s

    agree(arrays, np.arange(5, dtype=np.int8) + 100)
    agree(scalars, np.full(20, 100, np.int8), fullgraph=False)
    agree(scalars, np.full(20, 2, np.int8), fullgraph=False)


@pytest.mark.parametrize("op", ["//", "%", "/", "**", "<<", ">>", "&", "|", "^"])
@pytest.mark.parametrize("kind", ["python", "numpy"])
def test_operators_of_integers(op, kind):
    scope: dict = {"np": np}
    left = "a[i]" if kind == "numpy" else "int(a[i])"
    right = "b[i]" if kind == "numpy" else "int(b[i])"
    if op == "**":
        left = "2" if kind == "python" else left
    exec(f"def program(a, b, out):\n    for i in range(len(a)):\n        out[i] = {left} {op} {right}\n", scope)
    a = np.array([7, -7, 5, -5, 0, 9, 1, 12, 3, 8, 100, -100, 6, 7])
    b = np.array([2, 2, 3, 3, 5, 4, 1, 5, 2, 2, 7, 7, 3, 4])
    out = np.zeros(len(a), np.float64 if op == "/" else np.int64)
    agree(scope["program"], a, b, out, fullgraph=False)
    if op in ("//", "%", "/"):
        b = b.copy()
        b[3] = 0
        agree(scope["program"], a, b, out, fullgraph=False)
        agree(scope["program"], a, -np.abs(b) - 1, out, fullgraph=False)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "int16", "int32", "uint8", "uint32", "uint64", "float32", "complex64", "complex128"]
)
def test_types_of_elements(dtype):
    def program(x, out):
        for i in range(len(x)):
            v = x[i] + x[len(x) - 1 - i]
            out[i] = v
        return v

    x = (np.arange(20) % 5).astype(dtype)
    agree(program, x, np.zeros_like(x), fullgraph=False)


def test_complex_numbers():
    def program(z, w):
        s = 0j
        for i in range(len(z)):
            s += z[i] * w[i].conjugate() / (1 + z[i])
            w[i] = abs(z[i]) + 1j * z[i].imag
        return s

    r = np.random.default_rng(0)
    z, w = (r.random(20) + 1j * r.random(20) for _ in range(2))
    agree(program, z, w, fullgraph=False)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, np.float32, np.int8, np.bool_])
def test_numbers_of_all_sizes_go_in_and_come_out(dtype):
    def program(x, first, k):
        last = first
        count = 0
        for v in x:
            count += k
            if count > 3.0:
                first = v
            last = v
        return first, last, count

    x = np.arange(20).astype(dtype)
    agree(program, x, x[3], 0.5)


def test_not_a_number_and_infinity():
    def program(x):
        largest = -np.inf
        n = 0
        for v in x:
            if v > largest:
                largest = v
            if v != v:
                n += 1
        return largest, n, np.maximum(x, 0.5)

    agree(program, np.array([1.0, np.nan, np.inf, -np.inf, 2.0] * 4))


# --------------------------------------------------------------------------- errors and warnings


def test_an_index_that_is_out_of_bounds_raises_at_its_place():
    def program(x, places):
        for i in range(len(places)):
            x[places[i]] += 1.0
        return x

    agree(program, np.zeros(10), np.arange(10))
    agree(program, np.zeros(10), np.arange(-10, 0))
    agree(program, np.zeros(10), np.array([*range(10), 10, 3]))
    agree(program, np.zeros(10), np.array([*range(10), -11, 3]))


def test_shapes_that_do_not_broadcast_raise_at_their_place():
    def program(x, y, n):
        for i in range(n):
            x[i : i + 3] = y[i:]
        return x

    agree(program, np.zeros(20), np.arange(20.0), 15, fullgraph=False)


def test_a_division_of_python_raises_and_one_of_numpy_warns():
    def of_python(x):
        s = 0.0
        for i in range(20):
            s += 1.0 / (10 - i)
            x[i] = s

    def of_numpy(x):
        for i in range(len(x)):
            x[i] = 1.0 / x[i]

    agree(of_python, np.zeros(20), fullgraph=False)
    agree(of_numpy, np.arange(20.0))
    agree(of_numpy, np.arange(20.0) + 1)


def test_errors_that_are_ignored_are_no_reason_to_leave_the_program():
    def program(x):
        with np.errstate(all="ignore"):
            for i in range(len(x)):
                x[i] = 1.0 / x[i]
        return x

    fast = agree(program, np.arange(20.0))
    assert loops_of(fast) == 1


# --------------------------------------------------------------------------- memory


def test_what_lies_upon_what_is_read_is_as_in_numpy():
    def forward(x):
        for _ in range(12):
            x[1:] = x[:-1]

    def backward(x):
        for _ in range(12):
            x[:-1] += x[1:] * 0.5

    def flipped(x):
        for i in range(13):
            x[:] = x[::-1] + i

    def columns(a):
        for j in range(1, a.shape[1]):
            a[:, j] += a[:, j - 1]

    for program in (forward, backward, flipped):
        agree(program, np.random.default_rng(0).random(30))
    agree(columns, np.random.default_rng(0).random((20, 20)))
    agree(columns, np.asfortranarray(np.random.default_rng(0).random((20, 20))))


def test_views_of_what_is_written_see_it():
    def program(a):
        row = a[3]
        other = a.T
        for i in range(a.shape[0]):
            a[i, 0] = i
            a[i] *= 2
        return row, other.sum(), row.sum()

    agree(program, np.random.default_rng(0).random((20, 6)), fullgraph=False)


def test_arguments_that_share_memory():
    def program(a, b):
        for i in range(len(b)):
            a[i] = b[i] + 1
        return a

    base, theirs = np.arange(30.0), np.arange(30.0)
    fast = compiled(program, "inductor", fullgraph=False)
    for _ in range(2):
        fast(base[1:], base[:-1])
        program(theirs[1:], theirs[:-1])
        np.testing.assert_array_equal(base, theirs)


def test_strided_and_reversed_arguments():
    def program(a, b):
        for i in range(a.shape[0]):
            a[i] = b[i] * 2
        return a

    r = np.random.default_rng(0)
    for a in (r.random((40, 6))[::2], r.random((6, 20)).T, r.random((20, 6))[::-1], r.random((20, 12))[:, ::2]):
        agree(program, a, r.random((20, 6)))


def test_a_read_only_argument_raises():
    def program(x):
        for i in range(len(x)):
            x[i] = i

    x = np.zeros(20)
    x.flags.writeable = False
    fast = compiled(program, "inductor", fullgraph=False)
    for _ in range(2):
        with pytest.raises(ValueError, match="read-only"):
            fast(x)


def test_an_array_that_is_made_in_each_round_is_its_own():
    def program(x):
        last = x
        for i in range(20):
            y = last * 0.5
            y[0] = i
            last = y + x
        return last

    agree(program, np.random.default_rng(0).random(50))


def test_items_are_taken_when_they_are_asked_for():
    def program(x):
        out = np.zeros_like(x)
        for i, v in enumerate(x):
            if i + 1 < len(x):
                x[i + 1] += v
            out[i] = v
        return out

    agree(program, np.arange(20.0), fullgraph=False)
    agree(program, np.arange(3.0), fullgraph=False)


# --------------------------------------------------------------------------- what is left to unrolling, or to Python


def test_what_a_program_cannot_say_is_as_before():
    def appended(x):
        out = []
        for i in range(10):
            out.append(x[i] * 2)
        return np.stack(out)

    def objects(x, parts):
        for p in parts:
            x = x + p["scale"]
        return x

    agree(appended, np.arange(20.0))
    agree(objects, np.arange(20.0), [{"scale": k} for k in range(15)])


def test_without_a_compiler_loops_are_unrolled(monkeypatch):
    from quern.errors import CompilerNotFound

    entry = importlib.import_module("quern.capture.frontends.numpy.rolling.entry")

    def missing(attrs):
        raise CompilerNotFound("there is none")

    monkeypatch.setattr(entry, "prepare", missing)

    def program(x):
        for i in range(x.shape[0]):
            x[i] = x[i] * 2
        return x

    fast = agree(program, np.random.default_rng(0).random((6, 4)))
    assert loops_of(fast) == 0


@pytest.mark.parametrize("name", ["gauss_seidel", "bodies", "folding"])
def test_a_loop_has_one_text(name):
    program, arguments = PROGRAMS[name].function, ARGUMENTS[name]
    texts = []
    for _ in range(2):
        quern.reset()
        fast = compiled(program, "inductor")
        fast(*arguments(12))
        (graph,) = [e.graph for e in fast.explain_records if e.graph is not None]
        texts.append([n.attrs["text"] for n in graph.nodes if n.op.name == "loop"])
    assert texts[0] and texts[0] == texts[1]


def test_a_long_loop_that_cannot_be_rolled_is_left_to_python_as_a_whole():
    def program(x, n):
        before = x * 2 + 1
        parts = []
        for i in range(n):
            parts.append(np.sort(x)[:3] * i)
        after = np.concatenate(parts)
        return before.sum(), after, after.mean() + before[0]

    fast = agree(program, np.random.default_rng(0).random(20), 100, fullgraph=False)
    (reason,) = {r.code for r in fast.breaks}
    assert reason == "long-loop"
    both(program, fast, (np.random.default_rng(1).random(20), 40))

    def inside(x, n):
        return program(x, n)[1] + 1

    agree(inside, np.random.default_rng(0).random(20), 100, fullgraph=False)


def test_a_loop_that_is_not_rolled_after_all_has_no_effects_before():
    class Counting(type):
        @property
        def p(cls):
            cls.n += 1
            return cls.n

    class C(metaclass=Counting):
        n = 1

    class Reader:
        def __init__(self):
            self.reads = 0
            self.scale = 2.0

        def __getattr__(self, name):
            self.reads += 1
            return 1.5

        def half(self, v):
            return v / self.scale

    def of_class(x):
        out = []
        for _ in range(2):
            out.append(x * C.p)
        return out, C.n

    def of_object(x, reader):
        for i in range(len(x)):
            x[i] = x[i] * reader.missing
        return x, reader.reads

    def method(x, reader):
        for i in range(len(x)):
            x[i] = reader.half(x[i])
        return x

    for program, made in ((of_class, ()), (of_object, (Reader,)), (method, (Reader,))):
        C.n = 1
        expected = program(np.ones(20), *(make() for make in made))
        fast = compiled(program, "inductor", fullgraph=False)
        for _ in range(2):
            C.n = 1
            equal(fast(np.ones(20), *(make() for make in made)), expected, 1e-12, True)


def test_attributes_of_objects_and_methods_in_loops():
    class Filter:
        def __init__(self, a):
            self.a = a
            self.state = np.zeros(3)

        def step(self, s, v):
            return self.a * v + (1 - self.a) * s

    def program(f, x):
        s = 0.0
        for i in range(len(x)):
            s = f.step(s, x[i])
            x[i] = s + f.state[0]
        return x

    fast = compiled(program, "inductor")
    for a in (0.3, 0.7, 0.9):
        x = np.random.default_rng(0).random(30)
        equal(fast(Filter(a), x.copy()), program(Filter(a), x.copy()), 1e-12, True)
    assert loops_of(fast) >= 1


def test_explain_and_logs_show_loops(capsys, monkeypatch):
    program, arguments = PROGRAMS["gauss_seidel"].function, ARGUMENTS["gauss_seidel"]
    told = str(quern.explain(quern.compile(program, backend="inductor"))(*arguments(12)))
    assert "loop(" in told and "text=<text of" in told and "1 framework call" in told
    monkeypatch.setattr(quern.config, "logs", ("code",))
    compiled(program, "inductor")(*arguments(12))
    assert "quern_program" in capsys.readouterr().err


# --------------------------------------------------------------------------- returns


def first_above(x, t):
    for i in range(len(x)):
        if x[i] > t:
            return i
    return -1


def found_at(a, t):
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            if a[i, j] > t:
                return i, j, a[i, j]
    return -1, -1, a[0, 0]


def has(x, t):
    return any_is(x, t) or any_is(x, t + 1)


def any_is(x, t):
    for e in x:
        if e == t:
            return True
    return False


def until_settled(a, b, tolerance):
    x = np.zeros(len(b))
    for k in range(200):
        y = (b - a @ x + np.diag(a) * x) / np.diag(a)
        if np.abs(y - x).max() < tolerance:
            return y, k
        x = y
    return x, 200


def up_to_a_negative(x, out):
    for i in range(len(x)):
        if x[i] < 0:
            return out
        out[i] = np.sqrt(x[i])
    return out


def break_before_the_end(x, t):
    n = 0
    while True:
        n += 1
        if x[n % len(x)] > t or n > 500:
            break
    return n


def sum_from_the_first(x, t):
    s = 0.0
    for i in range(first_above(x, t), len(x)):
        s += x[i]
    return s


def left_by_break_or_not(x, t):
    for i in range(len(x)):
        if x[i] > t:
            found = i
            break
    else:
        found = -5
    return found * 2


def none_or_place(x, t):
    for i in range(len(x)):
        if x[i] > t:
            return i
    return None


_ROWS = np.random.default_rng(5).random((30, 30))
RETURNING = [
    (first_above, lambda n, t: (_ROWS.ravel()[:n].copy(), t)),
    (found_at, lambda n, t: (_ROWS[: n % 30].copy(), t)),
    (has, lambda n, t: (np.arange(n), int(t * 100))),
    (until_settled, lambda n, t: (_ROWS[:20, :20] + 20 * np.eye(20), _ROWS[0, :20].copy(), 1e-9 * t)),
    (up_to_a_negative, lambda n, t: (_ROWS.ravel()[:n] - (1 - t), np.zeros(n))),
    (break_before_the_end, lambda n, t: (_ROWS.ravel()[:n].copy(), t)),
    (sum_from_the_first, lambda n, t: (_ROWS.ravel()[:n].copy(), t)),
    (left_by_break_or_not, lambda n, t: (_ROWS.ravel()[:n].copy(), t)),
    (none_or_place, lambda n, t: (_ROWS.ravel()[:n].copy(), t)),
]


@pytest.mark.parametrize(("program", "arguments"), RETURNING, ids=lambda p: getattr(p, "__name__", ""))
def test_returns_out_of_loops(program, arguments):
    compiled = quern.compile(program)
    for n, t in ((200, 0.99), (200, 2.0), (113, 0.5), (64, 0.001), (200, 0.99)):
        given, other = arguments(n, t), arguments(n, t)
        want, got = program(*given), compiled(*other)
        assert type(got) is type(want)
        for w, g in zip(want if isinstance(want, tuple) else (want,), got if isinstance(got, tuple) else (got,)):
            assert type(g) is type(w)
            np.testing.assert_allclose(g, w, rtol=1e-12) if w is not None else None
        for w, g in zip(given, other):
            np.testing.assert_array_equal(g, w)
        if want is given[-1]:
            assert got is other[-1]
    whole = program not in (none_or_place, has)  # results of two kinds; a number that decides outside of a loop
    assert (not compiled.breaks) == whole


def test_a_result_that_is_a_view_is_pythons():
    def program(x, t):
        for i in range(len(x)):
            if x[i, 0] > t:
                return x[i]
        return x[0]

    compiled = quern.compile(program)
    x = _ROWS.copy()
    for t in (0.9, 0.5, 2.0):
        made = compiled(x, t)
        assert made.base is x
        np.testing.assert_array_equal(made, program(x, t))


# --------------------------------------------------------------------------- parts that are not expected


def by_sizes(x, y, kept):
    total = 0.0
    for i in range(20):
        if len(x) == len(y):
            kept.append(float(np.median(x * y)))  # no loop knows what to do with either
            total += kept[-1]
        elif len(x) > 2 * len(y) and i > 3:
            total += x[i] - y[0]
        else:
            total += x[i] * 2
    return total


def test_a_branch_that_sizes_decide_is_left_to_python_where_it_is_not_taken():
    compiled = quern.compile(by_sizes)
    for n, m in ((40, 30), (40, 10), (25, 25), (31, 30), (25, 25), (50, 3)):
        x, y = np.arange(n) * 0.5, np.arange(m) * 1.5 + 1
        one, other = [], []
        assert compiled(x, y, one) == by_sizes(x, y, other)
        assert one == other


def test_a_loop_over_small_arrays_with_a_break_is_pythons_as_a_whole():
    def program(x, seen):
        for i in range(10):
            x = np.sin(x) + i
            seen.append(float(np.median(x)))
            if x[0] > 5:
                x = x - 1
        return x * 2 + 1

    compiled = quern.compile(program)
    for n in (5, 50, 5):
        one, other = [], []
        np.testing.assert_array_equal(compiled(np.arange(n * 1.0), one), program(np.arange(n * 1.0), other))
        assert one == other
    assert len(compiled.breaks) == 1


def left_by_a_jump(a, counts):
    """An item of an earlier run of the inner loop, which went further than this one."""
    last, s = 0, 0.0
    for i in range(len(counts)):
        for j in range(counts[i]):
            if i > 0:
                s += a[last]
            last = j
            if j == 9:
                break
    return s


def asked_in_a_function(a, counts):
    def inner(a, n, first):
        found = first
        for j in range(n):
            if first >= 0:
                a[first] += 1.0
            found = j
            if j == 9:
                return found
        return found

    last = -1
    for i in range(len(counts)):
        last = inner(a, counts[i], last)
    return last


@pytest.mark.parametrize("program", [left_by_a_jump, asked_in_a_function])
def test_items_of_an_earlier_run_of_a_loop_are_looked_at(program):
    compiled = quern.compile(program)
    for size in (5, 20, 9, 10):
        outcomes = []
        for function in (program, compiled):
            a = np.arange(float(size))
            try:
                outcomes.append((function(a, np.array([20, 3, 3])), a.tolist()))
            except IndexError as error:
                outcomes.append((str(error), a.tolist()))
        assert outcomes[0] == outcomes[1]


def test_a_variable_that_the_first_round_deletes_is_gone_in_the_second():
    def program(x, k):
        u = k
        for i in range(len(x)):
            x[i] = i
            del u
        return x

    def once(x, k):
        u = k
        for i in range(len(x)):
            x[i] = i * 2
            if i == 0:
                del u
        return x

    fast = quern.compile(program)
    for n in (20, 30):
        with pytest.raises(UnboundLocalError) as wanted:
            program(np.ones(n), 0.5)
        with pytest.raises(UnboundLocalError) as found:
            fast(np.ones(n), 0.5)
        assert str(found.value) == str(wanted.value)
    assert np.array_equal(quern.compile(once)(np.ones(20), 0.5), once(np.ones(20), 0.5))


def _divided(x):
    s = 0.0
    for v in x:
        d = 1.0 if v > 0 else 0.0
        s += np.float64(1.0) / np.float64(d)
    return s


def _power(x):
    s = np.zeros(len(x))
    for i in range(len(x)):
        d = np.float64(1.0) if x[i] > 0 else np.float64(0.0)
        s[i] = d**-1
    return s


def _overflowing(x):
    s = np.zeros(len(x))
    for i in range(len(x)):
        d = 1e300 if x[i] > 0 else 1.0
        s[i] = np.float64(d) * np.float64(1e300)
    return s


def _narrow(x):
    s = np.zeros(len(x), np.float32)
    for i in range(len(x)):
        d = np.float32(3e38) if x[i] > 0 else np.float32(0.0)
        s[i] = d * np.float32(10)
    return s


def _invalid(x):
    s = np.zeros(len(x))
    for i in range(len(x)):
        d = np.inf if x[i] > 0 else 1.0
        s[i] = np.float64(d) - np.float64(np.inf)
    return s


@pytest.mark.parametrize("program", [_divided, _power, _overflowing, _narrow, _invalid])
def test_errors_of_numbers_that_branches_choose(program):
    """A compiler that knows what is chosen between must still compute with it: the processor notes the error."""
    fast = quern.compile(program)
    for x in (np.arange(17), np.arange(20), np.arange(1, 21)):
        outcomes = []
        for function in (program, fast):
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                made = function(x)
            outcomes.append((np.asarray(made), {str(w.message) for w in said}))
        (wanted, warned), (found, noted) = outcomes
        assert np.array_equal(found, wanted, equal_nan=True) and noted == warned
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        fast(np.arange(17))


def _elements(x):
    for i in range(len(x)):
        y = x[i, ...]
        y += 1
    return x, y


def _elements_of_rows(x):
    m, s = np.outer(x, x[:2]), 0
    for i in range(m.shape[0]):
        a = m[i, 0, ...]
        b = a
        a += i
        s = s + b
    return s, m


@pytest.mark.parametrize("program", [_elements, _elements_of_rows])
def test_an_ellipsis_gives_a_view_of_one_element(program):
    fast = quern.compile(program)
    for n in (17, 20):
        x, y = np.arange(n), np.arange(n)
        for found, wanted in zip(fast(x), program(y)):
            assert type(found) is type(wanted) and np.array_equal(found, wanted)
        assert np.array_equal(x, y)


def _rolled_on(u, n):
    for _ in range(n):
        u = u + 0.1 * np.roll(u, 1)
    return u


def _chosen(u, n):
    for _ in range(n):
        u = np.where(u > 0.2, u, u * 0.5)
    return u


def _turned(u, n):
    v = u.copy()
    for _ in range(n):
        w = np.zeros_like(u)
        w[1:] = u[:-1] + v[1:]
        v, u = u, w
    return u


def _written_down(u, n):
    energies = []
    for _ in range(n):
        u = u * 0.9
        energies.append(float(u.sum()))
    return u, energies


def _stepped(u, n):
    for _ in range(n):
        u = u.copy()
        u[1:-1] += 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
    return u


@pytest.mark.parametrize("program", [_rolled_on, _chosen, _turned, _written_down, _stepped])
def test_few_rounds_whose_number_changes_are_compiled_once_for_all(program):
    fast = compiled(program, "inductor")
    for n in (5, 6, 7, 9, 3, 12, 30, 4):
        both(program, fast, (np.linspace(0, 1, 20), n))
        if n == 6:
            made = len(fast.explain_records)
    assert len(fast.explain_records) == made <= 2


def _cheapest_products(p):
    n = len(p) - 1
    m = np.zeros((n, n), np.int64)
    for length in range(2, n + 1):
        for i in range(n - length + 1):
            j = i + length - 1
            m[i, j] = np.iinfo(np.int64).max
            for k in range(i, j):
                cost = m[i, k] + m[k + 1, j] + p[i] * p[k + 1] * p[j + 1]
                if cost < m[i, j]:
                    m[i, j] = cost
    return m


def _least(x):
    best, total = np.finfo(x.dtype).max, 0.0
    for i in range(len(x)):
        if x[i] < best:
            best = x[i]
        total += np.finfo(np.float64).eps * np.finfo(x.dtype).bits + x[i]
    return best, total


@pytest.mark.parametrize("program", [_cheapest_products, _least])
@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64])
def test_limits_of_types_are_numbers_of_a_loop(program, dtype):
    if program is _least and dtype is np.int64:
        pytest.skip("np.finfo is of floats")
    fast = compiled(program, "inductor")
    for n in (9, 12, 14, 20):
        both(program, fast, (np.arange(1, n + 1).astype(dtype) % 7 + 1,))
    assert loops_of(fast) >= 1 and len(fast.explain_records) <= 2


def test_loops_that_are_unrolled_together_are_left_to_python():
    def medians(image):
        padded, result = np.pad(image, 1, mode="edge"), np.zeros_like(image)
        for i in range(image.shape[0]):
            for j in range(image.shape[1]):
                result[i, j] = np.median(padded[i : i + 3, j : j + 3])
        return result

    fast = compiled(medians, "inductor", fullgraph=False)
    for n in (7, 8, 9):
        both(medians, fast, (np.arange(n * n, dtype=np.uint8).reshape(n, n) * 7 % 31,))
    assert {b.code for b in fast.breaks} == {"long-loop"}
    assert sum(len(e.graph.nodes) for e in fast.explain_records if e.graph is not None) < 100


def _zipped_ranges(x, n):
    total = 0.0
    for i, j in zip(range(n), range(3, n + 3)):
        total += x[i] * j
    return total


def _enumerated_range(x, n):
    total = 0.0
    for i, j in enumerate(range(2, n)):
        total += x[i] * j
    return total


def _both_ways(x, n):
    total = 0.0
    for i, (j, v) in enumerate(zip(range(2, n), x)):
        total += x[i] * j + v
    return total


@pytest.mark.parametrize("program", [_zipped_ranges, _enumerated_range, _both_ways])
def test_ranges_beside_other_iterators_are_rolled(program):
    fast = compiled(program, "inductor")
    for n in (20, 25, 30, 3):
        both(program, fast, (np.linspace(0, 1, 40), n))
    assert loops_of(fast) >= 1


def _chosen_in_an_expression(x):
    i = q = 0
    s = 0.0
    while q < 12:
        q += 1
        s += x[i] if x[i] > x[i + 1] else x[i + 1]
    return s


def _broken_out_of(x):
    q, s = 0, 0.0
    with np.errstate(all="ignore"):
        while q < 12:
            q += 1
            for i in range(len(x)):
                s += 1
                if x[i] > 0.5:
                    break
    return s


@pytest.mark.parametrize("program", [_chosen_in_an_expression, _broken_out_of])
def test_a_loop_does_not_begin_in_the_middle_of_an_expression(program):
    agree(program, np.linspace(0, 1, 15), fullgraph=False)


def _one_into_the_other(a, b):
    for i in range(len(a) - 1):
        b[i + 1] = a[i] + b[i]
    return a.sum()


def test_a_loop_over_arrays_that_overlap_is_pythons_as_a_whole():
    fast = compiled(_one_into_the_other, "inductor", fullgraph=False)
    for n in (30, 30, 40):
        mine, theirs = np.arange(float(n)), np.arange(float(n))
        assert fast(mine[1:], mine[:-1]) == _one_into_the_other(theirs[1:], theirs[:-1])
        np.testing.assert_array_equal(mine, theirs)
    assert [b.code for b in fast.breaks] == ["aliased-input-write"]


def test_rounds_whose_number_changes_are_not_compiled_for_each_where_they_cannot_be_rolled():
    def carried_rows(a):
        before = a[0]
        for i in range(1, len(a)):
            row = a[i]
            row += before * 0.5
            before = row
        return before

    fast = compiled(carried_rows, "inductor", fullgraph=False)
    for n in (9, 12, 20, 25, 30):
        both(carried_rows, fast, (np.arange(n * 4.0).reshape(n, 4),))
    assert len(fast.recompiles) <= 2


def test_a_loop_that_one_type_leaves_to_python_is_rolled_for_another():
    def blurred(x):
        out = np.zeros_like(x)
        for i in range(1, len(x) - 1):
            out[i] = x[i - 1 : i + 2].mean()
        return out

    compiled = quern.compile(blurred)
    for size, kind in ((70, "u1"), (300, "f8"), (80, "u1"), (301, "f4"), (400, "f8")):
        x = (np.arange(size) % 7).astype(kind)
        assert np.array_equal(compiled(x), blurred(x))
    broken = [entry.captured.reason is not None for entry in compiled.entries]
    assert broken == [False, False, True, True]  # the last that was compiled stands first
    assert all(reason.code == "long-loop" for reason in compiled.breaks)


def test_a_while_loop_over_a_stack_is_left_to_python_as_a_whole():
    def flooded(grid, y, x, new):
        old, stack, count = grid[y, x], [(y, x)], 0
        while stack:
            y, x = stack.pop()
            if y < 0 or x < 0 or y >= grid.shape[0] or x >= grid.shape[1] or grid[y, x] != old:
                continue
            grid[y, x] = new
            count += 1
            stack.append((y + 1, x))
            stack.append((y - 1, x))
            stack.append((y, x + 1))
            stack.append((y, x - 1))
        return count, grid.sum()

    compiled = quern.compile(flooded)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it would say that a part was compiled again and again
        for size in (5, 6, 7, 8):
            grid = np.zeros((size, size), int)
            grid[2, :3] = 1
            assert compiled(grid.copy(), 0, 0, 9) == flooded(grid.copy(), 0, 0, 9)
    assert len(compiled.entries) == 2 and [reason.code for reason in compiled.breaks] == ["data-dependent-branch"]
