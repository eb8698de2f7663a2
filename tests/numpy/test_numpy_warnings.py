"""Floating-point errors: compiled code warns, raises and calls as NumPy's setting asks, in NumPy's words and at the user's line.

Generated kernels only note that some error happened; the call then runs again as plain Python. So each test also looks whether
calls without an error stay compiled.
"""

from __future__ import annotations

import contextlib
import inspect
import warnings
from typing import Any

import numpy as np
import pytest
from numpy_compiled import compiled
from quern.capture.frontends.numpy.errstate import heard_now

import quern

pytestmark = pytest.mark.sampled(2)

R = np.random.default_rng(3)
ARGUMENTS = {
    "zeros": np.array([0.0, 1.0, 2.0]),
    "negative": np.array([-1.0, 0.0, 4.0]),
    "large": np.array([1e308, 1e10, -1e308]),
    "infinite": np.array([np.inf, 1.0, 0.0]),
    "nan": np.full(3, np.nan),
    "fine": np.arange(1.0, 11.0),
    "integers": np.array([5, -7, 0]),
    "last": np.concatenate([np.ones(33), [0.0]]),
    "many": R.random(1003) + 0.5,
}

EXPRESSIONS = """
1 / x; x / x; x * 10; x - x; x % 0.0; x // 0.0; x ** 0.5; x ** -1.5; x[0] / x[1]; x[1:] / x[:-1]; (1 / x)[1:]; x > 0; x @ x
np.log(x); np.sqrt(x); np.exp(x); np.log1p(-x); np.log2(x); np.log10(x); np.exp2(x); np.expm1(x); np.sin(x / 0.5); np.tan(x)
np.arcsin(x); np.arccosh(x); np.arctanh(x / 2); np.sinh(x); np.cosh(x); np.hypot(x, x); np.reciprocal(x); np.square(x)
np.where(x > 0, np.log(x), 0); 1 / np.where(x == 0, 1, x); np.clip(x, 0, 1) / x; np.maximum(x, 0); np.sign(x); np.rint(x)
x.sum(); x.mean(); x.std(); np.cumsum(x); np.prod(x); np.diff(x); np.log(x).sum(); np.sum(x * x); np.average(x); np.ptp(x)
x.astype(np.int32); x.astype(np.float32); x.astype(np.float32) * 2; x.astype(np.float16); x.astype(np.float16) * 1e4
np.exp(x.astype("f4")); np.power(x.astype("f4"), 3); np.float32(3e38) * x.astype("f4"); x.astype("f4") + 1e300
np.nanmean(x); np.nanmax(x); np.nanstd(x); np.nanmedian(x); np.nanmin(x.reshape(1, -1), axis=0); np.mean(x[:0])
np.var(x[:1], ddof=1); np.median(x[:0]); x[x > 1e6].mean(); np.fmod(x, x); np.divmod(x, x); np.float64(1) / x[0]; np.sinc(x)
np.float64(1) / np.float64(0); np.linalg.norm(x); np.einsum("i,i->", x, x); x.astype(complex) / x; (x * (1 + 0j)).astype(float)
"""


def outcome(function: Any, *args: Any) -> Any:
    """What a call gives or raises, and all that is said meanwhile."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            made: Any = function(*args)
        except Exception as error:
            made = type(error).__name__, str(error)
    told = [(str(w.message), w.category, w.filename, w.lineno) for w in said]
    return type(made), made if isinstance(made, tuple) and isinstance(made[0], str) else None, told


@pytest.mark.parametrize("text", [t.strip() for line in EXPRESSIONS.strip().splitlines() for t in line.split(";")])
def test_warnings_are_numpys(text):
    function = eval(f"lambda x: {text}", {"np": np})
    for name, x in ARGUMENTS.items():
        fast = compiled(function, "inductor", fullgraph=False)
        for _ in range(2):
            assert outcome(fast, x) == outcome(function, x), name


TRITON = """
1 / x; x * 10; np.log(x); np.sqrt(x)[1:]; np.exp(x * 1000).sum(); x / (x * 2).max(); np.cumsum(1 / x); x ** -1.5; x + 1; x.astype("f4") * 2; x > 0
"""


@pytest.mark.parametrize("text", [t.strip() for t in TRITON.split(";")])
def test_warnings_of_interpreted_kernels_are_numpys(text):
    pytest.importorskip("triton")
    function = eval(f"lambda x: {text}", {"np": np})
    for name in ("zeros", "large", "fine", "nan"):
        fast = quern.compile(function, options={"cpu_codegen": "triton"})
        for mode in ("warn", "raise", "ignore"):
            with np.errstate(all=mode):
                assert outcome(fast, ARGUMENTS[name]) == outcome(function, ARGUMENTS[name]), name


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_a_call_without_an_error_stays_compiled(backend):
    calls = []

    def f(x):
        return 1 / np.sqrt(x) + np.log(x)

    fast = compiled(f, backend)
    outcome(fast, np.array([4.0, 1.0, 0.0]))
    scope = fast.entries[0].run.__globals__
    plain = scope["_raised"]
    scope["_raised"] = lambda *given: calls.append(1) or plain(*given)
    assert np.allclose(fast(np.full(3, 4.0)), f(np.full(3, 4.0))) and not calls
    assert outcome(fast, np.array([4.0, 1.0, 0.0]))[2] and calls == [1]
    assert len(fast.entries) == 1


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_warnings_turned_into_errors_are_raised(backend):
    def f(x):
        return 1.0 / x

    fast = compiled(f, backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(RuntimeWarning, match="divide by zero encountered in divide"):
            fast(np.array([0.0, 1.0]))
        assert fast(np.array([2.0, 1.0])).tolist() == [0.5, 1.0]


def test_a_warning_names_the_users_line_and_comes_once_for_a_place(recwarn):
    def f(x):
        y = x + 1
        return np.log(x) + y

    fast = compiled(f, "inductor")
    for _ in range(3):
        fast(np.array([0.0]))
    warnings.simplefilter("default")
    recwarn.clear()
    for _ in range(3):
        fast(np.array([0.0]))
    (said,) = recwarn.list
    assert said.filename == __file__ and inspect.getsourcelines(f)[1] + 2 == said.lineno


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_errstate_around_the_call(backend):
    def f(x):
        return np.log(x) / x

    fast = compiled(f, backend)
    x, fine = np.array([0.0, -1.0]), np.array([1.0, 2.0])
    heard: list[Any] = []
    settings: list[dict[str, Any]] = [
        {}, {"all": "ignore"}, {"all": "raise"}, {"divide": "raise", "invalid": "ignore"}, {"invalid": "raise"},
        {"all": "call", "call": lambda text, flag: heard.append((text, flag))}, {"all": "warn"}, {"all": "ignore"}, {},
    ]  # fmt: skip
    for setting in settings:
        results = []
        for function in (f, fast):
            heard.clear()
            with np.errstate(**setting):
                results.append((outcome(function, x), outcome(function, fine), list(heard)))
        assert results[0] == results[1], setting
    assert len(fast.entries) <= 4


def test_printed_and_logged_errors(capsys):
    class Log:
        lines: list[str] = []

        def write(self, text: str) -> None:
            self.lines.append(text)

    def f(x):
        return 1 / x

    fast = compiled(f, "inductor")
    for setting in ({"divide": "print"}, {"divide": "log", "call": Log()}):
        said = []
        for function in (f, fast):
            Log.lines.clear()
            with np.errstate(**setting):
                function(np.zeros(2))
            said.append((capsys.readouterr(), list(Log.lines)))
        assert said[0] == said[1]


def inside_ignored(x):
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.log(x) / x
    return y, x + 1


def inside_in_part(x):
    with np.errstate(divide="ignore"):
        y = 1 / x
    return y, np.sqrt(-x), np.log(x)


def inside_nested(x):
    with np.errstate(all="ignore"):
        with np.errstate(divide="warn"):
            y = 1 / x
        z = np.sqrt(-1 - x)
    return y, z


def inside_raised_and_caught(x):
    log = []
    try:
        with np.errstate(divide="raise"):
            log.append("before")
            y = 1 / x
            log.append("after")
    except FloatingPointError as error:
        log.append(str(error))
        y = np.zeros_like(x)
    return y, log, np.log(x)


def inside_only_looked_at(x):
    try:
        with np.errstate(all="raise"):
            np.log(x)
    except FloatingPointError:
        return "refused"
    return "fine"


def inside_part_of_a_result(x):
    with np.errstate(divide="raise"):
        try:
            return (1 / x)[1:]
        except FloatingPointError:
            return -x


def inside_a_break(x):
    with np.errstate(divide="ignore"):
        y = 1 / x
        text = f"{x.sum():.2f}"
        z = np.log(x)
    return y, text, z, np.sqrt(-1 - x)


def called_with_a_function(x):
    heard = []
    with np.errstate(all="call", call=lambda text, flag: heard.append((text, flag))):
        y = np.log(x) / x
    return y, heard


def set_for_good(x):
    before = np.seterr(divide="ignore")
    y = 1 / x
    np.seterr(**before)
    return y, np.log(x)


INSIDE = [
    inside_ignored, inside_in_part, inside_nested, inside_raised_and_caught, inside_only_looked_at, inside_part_of_a_result,
    inside_a_break, called_with_a_function, set_for_good,
]  # fmt: skip


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("function", INSIDE)
def test_errstate_inside_of_the_function(function, backend):
    fast = compiled(function, backend, fullgraph=False)
    for x in (np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0])):
        for setting in ({}, {"all": "ignore"}, {"invalid": "raise"}):
            results = []
            for made in (function, fast):
                with np.errstate(**setting):
                    before = heard_now()
                    found = outcome(made, x)
                    with warnings.catch_warnings(), contextlib.suppress(FloatingPointError):
                        warnings.simplefilter("ignore")
                        found = (*found, repr(made(x)))
                    assert heard_now() == before
                results.append(found)
            assert results[0] == results[1]


def test_what_is_ignored_inside_of_the_function_costs_no_second_run():
    fast = compiled(inside_ignored, "inductor")
    fast(np.array([0.0, 1.0]))
    (entry,) = fast.entries
    assert entry.graph is not None and entry.graph.boundary.float_errors & 1 == 0


def test_elements_that_a_ufunc_leaves_out_cost_no_second_run():
    def f(x, k):
        return (
            np.divide(1, x, out=np.zeros_like(x), where=x != 0),
            np.log(x, out=np.zeros_like(x), where=x > 0),
            np.floor_divide(7, k, out=np.zeros_like(k), where=k != 0),
        )

    fast = compiled(f, "inductor")
    x, k = np.array([0.0, 1.0, -2.0]), np.array([0, 2, 3])
    fast(x, k)
    fast.entries[0].run.__globals__["_raised"] = lambda *given: pytest.fail("it ran again")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for found, expected in zip(fast(x, k), f(x, k)):
            assert np.array_equal(found, expected) and found.dtype == expected.dtype


def test_nothing_is_changed_before_the_warning_is_given():
    def f(x, log):
        log.append("begun")
        x[0] = 5
        x /= np.array([0.0, 1.0])
        log.append("done")
        return x

    fast = compiled(f, "inductor", fullgraph=False)
    for function in (f, fast, fast):
        x, log = np.ones(2), []
        with pytest.warns(RuntimeWarning, match="divide by zero encountered in divide"):
            function(x, log)
        assert log == ["begun", "done"] and x.tolist() == [np.inf, 1.0]
        x, log = np.ones(2), []
        with np.errstate(all="raise"), pytest.raises(FloatingPointError):
            function(x, log)
        assert log == ["begun"] and x[0] in (5, np.inf)


@pytest.mark.parametrize("size", [1, 7, 8, 9, 63, 1000, 4097])
def test_lanes_that_hold_no_element_raise_nothing(size):
    def f(x, i):
        return (
            1 / x,
            np.log(x),
            (1 / x).sum(),
            1 / x[i],
            x.reshape(1, -1).T / x[0],
            np.sqrt(x).astype(np.float32) ** -1.0,
        )

    fast = compiled(f, "inductor")
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        fast(np.full(size, 2.0), np.arange(size)[::-1].copy())
    calls: list[Any] = []
    fast.entries[0].run.__globals__["_raised"] = lambda *given: calls.append(given)
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        fast(np.full(size, 2.0), np.arange(size)[::-1].copy())
    assert not calls


def test_errors_of_all_threads_are_noted():
    def f(x):
        return np.exp(x) * 2

    fast = compiled(f, "inductor")
    x = np.ones(1 << 20)
    for place in (0, len(x) // 2, len(x) - 1):
        x[place] = 1e4
        with pytest.warns(RuntimeWarning, match="overflow encountered in exp"):
            fast(x)
        x[place] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fast(x)


#: operators of integer scalars, which look for an overflow, and functions and arrays, which do not
INTEGERS = {
    "minus a constant": (lambda s, t: s - np.uint8(10), np.uint8),
    "elements": (lambda s, t: np.array([s, t])[0] * np.array([s, t])[1], np.uint8),
    "abs": (lambda s, t: abs(s), np.int8),
    "negative": (lambda s, t: -s, np.int8),
    "a Python int": (lambda s, t: s + 100, np.int8),
    "wide": (lambda s, t: s * 2**56, np.int64),
    "beside an array": (lambda s, t: np.ones(3, s.dtype) * (s + s), np.int8),
    "maxima": (lambda s, t: np.array([s, t]).max() + t, np.uint8),
    "functions": (lambda s, t: np.add(s, t), np.uint8),
    "arrays": (lambda s, t: np.array([s, t]) * s, np.int8),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integer_scalars_that_overflow(name):
    f, cls = INTEGERS[name]
    compiled_f = compiled(f, fullgraph=False)  # numbers that are known during capture are NumPy's affair
    info = np.iinfo(cls)
    for s, t in ((3, 2), (info.max, 2), (info.min, 100), (1, 1)):
        with warnings.catch_warnings(record=True) as expected:
            warnings.simplefilter("always")
            wanted = f(cls(s), cls(t))
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            made = compiled_f(cls(s), cls(t))
        assert np.array_equal(made, wanted) and made.dtype == wanted.dtype
        assert [(str(w.message), w.lineno) for w in found] == [(str(w.message), w.lineno) for w in expected]


#: the same of numbers that are known during capture
KNOWN = {
    "two constants": lambda x: np.add(np.uint8(200), np.uint8(200)) + np.array(np.uint8(200))[()],
    "an element": lambda x: np.array([np.uint8(200)] * 2)[0] + np.uint8(100),
    "of a full array": lambda x: np.full(3, np.uint8(16))[1] * np.full(3, np.uint8(16))[2],
    "negative": lambda x: -(np.array(np.uint8(3)) + np.array(np.uint8(1))),
    "a function": lambda x: np.add(np.array(np.uint8(200)), np.uint8(200)),
    "fits": lambda x: np.array(np.uint8(100))[()] + np.uint8(100),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_integer_scalars_warn_at_each_call(name):
    def f(x):
        return KNOWN[name](x), x + 1

    compiled_f = compiled(f, fullgraph=False)
    for _ in range(2):
        with warnings.catch_warnings(record=True) as expected:
            warnings.simplefilter("always")
            wanted = f(np.ones(2))
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            made = compiled_f(np.ones(2))
        assert made[0] == wanted[0] and type(made[0]) is type(wanted[0])
        assert [(str(w.message), w.lineno) for w in found] == [(str(w.message), w.lineno) for w in expected]


#: a compiler knows both arms of these choices, and what comes of them
CHOSEN = """
2 / (x > 0); 2 / np.where(x > 0, 1.0, 0.0); np.float32(2) / np.where(x > 0, np.float32(1), np.float32(0)); (x > 0) ** -1.0
np.log(np.where(x > 0, 1.0, 0.0)); np.where(x > 0, 1e300, 1.0) * 1e300; (1 / (x > 0)).sum(); 1 / np.where(x > 0, 1, 0)
np.sqrt(np.where(x > 0, 1.0, -1.0)); 2 / np.where(x > 0, np.arange(11.0), 0.0); 2 // (x > 0); np.float16(1) / (x > 0)
"""


@pytest.mark.parametrize("text", [t.strip() for line in CHOSEN.strip().splitlines() for t in line.split(";")])
def test_choices_between_constants_warn_as_numpys(text):
    function = eval(f"lambda x: {text}", {"np": np})
    fast = compiled(function, "inductor", fullgraph=False)
    for x in (np.arange(11.0), np.arange(1.0, 12), np.arange(11.0) - 5):
        assert outcome(fast, x) == outcome(function, x)
        with np.errstate(all="ignore"):
            assert np.array_equal(fast(x), function(x), equal_nan=True)


#: integers that a compiler knows whatever x is
KNOWN_INTEGERS = (
    "x - x",
    "x * 0",
    "x & 0",
    "x ^ x",
    "(x > x) + 0",
    "np.where(x > 2, x - x, 0)",
    "np.minimum(x * 0, 0)",
    "x // (x + 1) * 0",
)


@pytest.mark.parametrize("text", KNOWN_INTEGERS)
def test_divisions_by_known_integers_warn_as_numpys(text):
    def in_rounds(x):
        total = 0.0
        for i in range(len(x)):
            total += 1 / element(x[i])
        return total

    element = eval(f"lambda x: {text}", {"np": np})
    for function in (lambda x: 1 / element(x), lambda x: element(x) ** -1.0, in_rounds):
        fast = compiled(function, "inductor", fullgraph=False)
        for x in (np.arange(11), np.arange(3)):
            assert outcome(fast, x) == outcome(function, x)
            with np.errstate(all="raise"):
                assert outcome(fast, x) == outcome(function, x)
