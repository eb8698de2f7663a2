"""What a NumPy program writes to an argument is stored into it: a row costs the row, and where an error is met nothing was written."""

from __future__ import annotations

import copy
import importlib.util
import warnings

import numpy as np
import pytest

import quern

#: Triton is there where it is installed
HAS_TRITON = importlib.util.find_spec("triton") is not None
BACKENDS = ({}, {"dynamic": True}, {"options": {"cpu_codegen": "triton"}})[: 2 + HAS_TRITON]
IDS = ("cpp", "dynamic", "triton")[: 2 + HAS_TRITON]


def run(fn, args, settings=None):
    """Run plain and compiled, twice each, and compare results and arguments; the only plan."""
    quern.reset()
    compiled = quern.compile(fn, fullgraph=True, **(settings or {}))
    ours, theirs = copy.deepcopy(args), copy.deepcopy(args)
    for _ in range(2):
        expected, found = fn(*theirs), compiled(*ours)
        if expected is not None:
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        for a, b in zip(ours, theirs):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    (plan,) = [e.executable.record.plan for e in compiled.explain_records if e.executable is not None]
    return plan


def draw(*shape):
    return np.random.default_rng(0).random(shape)


def assigned(a, b):
    a[3] = b[0]


def assigned_a_block(a, b):
    a[1:3, 2:9] = 0.5


def added_to_a_row(a, b):
    a[5] += b[1]


def smoothed(a, b):
    a[4, 1:-1] = (a[4, :-2] + a[4, 2:]) / 2


def added_within(a, b):
    a[2:4, 1:-1] += b[2:4, :-2]


def every_third(a, b):
    a[7, ::3] = b[7, 1::3]


def backwards(a, b):
    a[9, ::-1] = b[9] * 2


def row_after_row(a, b):
    for i in range(3):
        a[i] -= a[i].mean()


def at_places(a, b):
    a[[1, 5, 1]] = b[[0, 1, 2]]


def through_flat_views(a, b):
    a.reshape(-1)[130:140] = b[0, :10]
    a.ravel()[7] = 1
    a.reshape(-1, 4)[50, 1:] += 1


def added_then_read(a, b):
    a[0] += 1
    return a[0] * b[0]


PARTS = (
    assigned, assigned_a_block, added_to_a_row, smoothed, added_within, every_third, backwards, row_after_row, at_places,
    through_flat_views,
)  # fmt: skip


@pytest.mark.parametrize("settings", BACKENDS, ids=IDS)
@pytest.mark.parametrize("fn", PARTS, ids=lambda f: f.__name__)
def test_a_written_part_alone_is_stored(fn, settings):
    plan = run(fn, [draw(64, 128), draw(64, 128)], settings)
    if fn in (row_after_row, through_flat_views) and "dynamic" in settings:
        return  # whether two rows of unknown length meet is not known, nor which part of the whole they are
    assert not plan.mutations
    if "dynamic" not in settings:
        assert plan.bytes_moved() < 32 << 10  # the whole has 64 KiB


def whole(a, b):
    a += b


def into_out(a, b):
    np.multiply(a, b, out=a)
    np.exp(b, out=b)
    return a.sum()


def chosen(a, b):
    a[b > 0.5] = 0
    a[a < 0.1] *= 2


def copied_over(a, b):
    np.copyto(a, b)
    a[0] = b[1]


def read_later(a, b):
    old = a[0].copy()
    a[0] = b[0]
    return old + a[0]


def written_then_computed(a, b):
    a[0] = b[0]
    return a @ b.T


@pytest.mark.parametrize("settings", BACKENDS, ids=IDS)
@pytest.mark.parametrize(
    "fn",
    (whole, into_out, chosen, copied_over, read_later, written_then_computed, added_then_read),
    ids=lambda f: f.__name__,
)
def test_other_writes(fn, settings):
    for args in ([draw(16, 32), draw(16, 32)], [draw(16, 64)[:, ::2], draw(32, 16).T]):
        run(fn, args, settings)


def scaled(a, b):
    a[1] = b[0]
    a[0] *= 1e200
    return a[0]


@pytest.mark.parametrize("settings", BACKENDS[:2], ids=IDS[:2])
def test_errors_are_met_before_anything_is_written(settings):
    """NumPy warns once, and what it leaves is what plain Python leaves."""
    quern.reset()
    compiled = quern.compile(scaled, **settings)
    compiled(draw(2, 4), draw(2, 4))
    for how in ("warn", "ignore", "raise"):
        ours, theirs = [np.full((2, 4), 1e200), draw(2, 4)], [np.full((2, 4), 1e200), draw(2, 4)]
        outcomes = []
        for f, args in ((scaled, theirs), (compiled, ours)):
            with np.errstate(over=how), warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                try:
                    f(*args)
                    outcomes.append([str(w.message) for w in seen])
                except FloatingPointError as error:
                    outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]
        np.testing.assert_array_equal(ours[0], theirs[0])


def test_arrays_that_must_not_be_written():
    def write(a, b):
        b[0] = 1.0
        a[0] = 2.0

    quern.reset()
    compiled = quern.compile(write)
    compiled(draw(4), draw(4))
    for f in (write, compiled):
        a, b = draw(4), draw(4)
        a.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            f(a, b)
        assert b[0] == 1.0


def test_arguments_that_overlap():
    def write(a, b):
        a[1:] = 3.0
        return b * 2

    quern.reset()
    compiled = quern.compile(write)
    for make in (lambda m: (m[:4], m[4:]), lambda m: (m[:6], m[3:]), lambda m: (m, m), lambda m: (m[::2], m[1::2])):
        one, two = np.arange(10.0), np.arange(10.0)
        np.testing.assert_array_equal(write(*make(one)), compiled(*make(two)))
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("size", [0, 1, 4])
@pytest.mark.parametrize(
    "write", ["x[:] = x", "x[::2] = x[1::2][:len(x[::2])]", "x.T[...] = x.T", "x[...] = x[...]", "x[2:2] = 1"]
)
def test_a_read_only_array_is_refused_where_nothing_is_written(write, size):
    scope = {}
    exec(f"def program(x):\n    {write}\n    return x", scope)
    fast = quern.compile(scope["program"], backend="eager")

    def outcome(function, writeable):
        x = np.arange(float(size))
        x.flags.writeable = writeable
        try:
            return function(x).tolist()
        except ValueError as error:
            return str(error)

    for writeable in (True, False, True):
        assert outcome(fast, writeable) == outcome(scope["program"], writeable)


FLOATS_STORED = {
    "one": lambda m, v: m.__setitem__(0, v[0]), "all": lambda m, v: m.__setitem__(slice(None), v[0] * 1),
    "part": lambda m, v: m.__setitem__(slice(1, None), v.sum()), "positions": lambda m, v: m.__setitem__([0, 1], v[0]),
    "mask": lambda m, v: m.__setitem__(m == 0, v[0]), "fill": lambda m, v: m.fill(v[0]), "dots": lambda m, v: m.__setitem__(Ellipsis, v[0]),
    "an array of no axes": lambda m, v: m.__setitem__(0, v[0:1].reshape(())), "an array": lambda m, v: m.__setitem__(slice(None), v),
}  # fmt: skip


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", FLOATS_STORED)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_floats_that_are_no_integers_are_refused_where_numpy_refuses_them(name, backend):
    store = FLOATS_STORED[name]
    fast = quern.compile(store, backend=backend)

    def outcome(function, dtype, x):
        m, v = np.zeros(3, dtype), np.array([x, 0, 0], np.float32)
        try:
            function(m, v)
        except (ValueError, OverflowError) as error:
            return f"{type(error).__name__}: {error}"
        return m.tolist()

    for dtype in (np.int8, np.int32, np.int64, np.uint8):
        for x in (2.7, np.nan, np.inf, 1e10, 300.0, -1.0):
            assert outcome(fast, dtype, x) == outcome(store, dtype, x)
