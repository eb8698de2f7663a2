"""What shares memory with what: views exactly where NumPy gives views, its own argument where NumPy gives that, copies else.

Each expression is compared in type, identity, memory shared with the argument, flags, strides and content; then the result
is written to, and both arguments must look the same.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy_compiled import compiled

pytestmark = pytest.mark.sampled(3)

ARRAYS = {
    "rows": lambda: np.arange(9.0).reshape(3, 3) - 4,
    "columns": lambda: np.asfortranarray(np.arange(9.0).reshape(3, 3) - 4),
    "reversed": lambda: (np.arange(9.0).reshape(3, 3) - 4)[::-1],
    "part": lambda: (np.arange(36).reshape(6, 6) - 4)[::2, ::2],
    "complex": lambda: (np.arange(9.0).reshape(3, 3) - 4) * (1 + 2j),
    "read_only": lambda: np.broadcast_to(np.arange(3.0), (3, 3)),
}

EXPRESSIONS = """
np.take(x, 1, axis=0); np.take(x, [1], axis=0); x.take(1, 1); x[1]; x[...]; x[()]; x[None]; x[0, 0]; x[0, 0, ...]; x[[0, 1]]
x.reshape(-1); x.T.reshape(-1); x.reshape(-1, order="F"); x[:, 1:].reshape(-1); x.reshape(1, 3, 3); x[:, ::-1].reshape(-1)
x.ravel(); x.ravel("F"); x.T.ravel(); x[::2].ravel(); x[0].ravel(); x.flatten(); x.flatten("F"); x[0].flatten()
x.squeeze(); np.squeeze(x); x[None].squeeze(); x[:1].squeeze(); np.squeeze(x[:, :1], axis=1); x.T; x[0].T
x.swapaxes(0, 1); np.moveaxis(x, 0, 1); np.moveaxis(x, 0, 0); np.rollaxis(x, 1); np.rollaxis(x, 0); x.transpose(0, 1)
np.diagonal(x); x.diagonal(1); np.diag(x); np.diag(x, -1); np.diag(x[0]); np.linalg.diagonal(x)
np.einsum("ii->i", x); np.einsum("ij->ji", x); np.einsum("ij", x); np.einsum("...ii->...i", x[None]); np.einsum("ij->i", x)
np.broadcast_to(x, (2, 3, 3)); np.broadcast_to(x, x.shape); np.broadcast_arrays(x, x[0])[0]; np.meshgrid(x[0], x[1])[0]
np.meshgrid(x[0], x[1], sparse=True)[0]; np.meshgrid(x[0], x[1], sparse=True, copy=False)[1]; np.meshgrid(x[0], copy=False)[0]
x.real; x.imag; np.real(x); x.conj(); np.conj(x); x.conjugate(); +x; abs(x); x.view(); x.view(x.dtype); x[::-1].view()
np.split(x, 3)[1]; np.array_split(x, 2, axis=1)[0]; np.hsplit(x, 3)[0]; np.vsplit(x, 3)[2]; np.split(x, [1, 1])[1]
np.atleast_1d(x); np.atleast_2d(x[0]); np.atleast_3d(x); np.atleast_3d(x[0]); np.atleast_1d(x[0, 0]); np.expand_dims(x, (0, 3))
np.asarray(x); np.ascontiguousarray(x); np.asfortranarray(x); np.asarray(x, order="F"); np.asarray(x, copy=True)
np.asarray(x, copy=False); np.array(x); np.array(x, copy=None); np.array(x, copy=None, order="C"); np.copy(x); x.copy("K")
x.astype(x.dtype); x.astype(x.dtype, copy=False); x.astype("c8"); x.T.astype(x.dtype, order="C", copy=False)
np.flip(x); np.flip(x, 1); np.flip(x, ()); np.fliplr(x); np.rot90(x); np.rot90(x, 2); np.rot90(x, 4); np.rot90(x, -1)
sliding_window_view(x, 2, axis=0); sliding_window_view(x, (2, 2)); np.roll(x, 0); np.tile(x, 1); np.repeat(x, 1)
np.compress([True, False, True], x, axis=0); np.concatenate([x]); np.stack([x, x]); np.where(x == 0, x, x); np.clip(x, None, None)
np.linalg.matrix_power(x, 1); np.linalg.matrix_power(x, 2); np.sum(x, axis=()); np.diff(x, n=0); np.nan_to_num(x[0], copy=False)
x.flat[1]; x.flags.owndata; x[1:].flags.owndata; x.T.flags.f_contiguous; np.einsum("ii->i", x).flags.writeable; x.base is None
np.tile(x, 2); np.tile(x, (1, 1, 1)); np.tile(x, (2, 1, 1)); np.tile(x[:0], 2); np.tile(x[1:1], (3, 1, 1)); np.tile(x[0, 0], 1)
np.tile(A=[x[0, 0], 2], reps=1); np.tile(x[:, :0], (1, 1, 1)); np.einsum("->", x[0, 0]); np.einsum("...", x[0, 0, ...]); np.einsum(",->", x[0, 0], 2)
np.einsum("ii->i", x[:0, :0] > 0); np.resize(x[:0], (0, 3)); np.clip(x[:0], None, 1); np.select([x[:0] > 0], [x[:0]])
np.linspace(0, 1, 3); np.linspace(0, 1, 3, dtype=int); np.linspace(x[0, 0, 1], 9, 70); np.linspace(0, len(x), 70, dtype=int); np.linspace([0, 1], 2, 3)
np.linspace(0, 1, 3, retstep=True)[0]; np.tile([1, 2], 2); np.repeat([1, 2], 2); np.diag([1, 2]); np.polyfit([0, 1, 2], [0, 1, 4], 1)
np.unravel_index([1, 2], (2, 2))[1]; np.nonzero(np.eye(3))[1]; np.nonzero([0, 2, 1])[0]; np.tril_indices(3)[0]; np.histogram([1, 2, 3], 2)[1]
np.logspace(0, 1, 3); np.array([[1, 2], [3, 4]]); np.r_[1, 2, 3]; np.unique([1, 1, 2]); np.hanning(5); np.ogrid[0:3, 0:2][0]; np.ogrid[0:3, 0:2, 0:len(x)][2]
np.add(x, 1, out=x); np.multiply(x, 2, out=x[::-1]); x.sum(axis=0, out=x[0]); np.maximum(x, 0, out=x[1:], where=x[:-1] == 0)
"""


def facts(result: Any, x: np.ndarray) -> Any:
    """All that a caller can see of a result."""
    if isinstance(result, np.ndarray):
        f = result.flags
        flags = (f.c_contiguous, f.f_contiguous, f.owndata, f.writeable)
        strides = [s for s, n in zip(result.strides, result.shape) if n > 1]
        shared = np.shares_memory(result, x)
        place = result.__array_interface__["data"][0] - x.__array_interface__["data"][0] if shared else None
        kinds = type(result), type(result.base).__name__
        return kinds, result.dtype, result.shape, strides, flags, result is x, shared, place, result.tobytes()
    return type(result), repr(result)


def outcome(function: Any, x: np.ndarray) -> Any:
    """What a call gives or raises, and the argument after the result was written to."""
    try:
        result = function(x)
    except Exception as error:
        return type(error).__name__, str(error)
    found = facts(result, x)
    if isinstance(result, np.ndarray) and result.flags.writeable:
        result[...] = 77
    return found, x.tobytes()


@pytest.mark.parametrize("text", [t.strip() for line in EXPRESSIONS.strip().splitlines() for t in line.split(";")])
def test_memory_is_shared_where_numpy_shares_it(text):
    function = eval(f"lambda x: {text}", {"np": np, "sliding_window_view": sliding_window_view})
    for name, make in ARRAYS.items():
        for backend in ("inductor", "eager"):
            fast = compiled(function, backend, fullgraph=False)
            for _ in range(2):
                assert outcome(fast, make()) == outcome(function, make()), f"of {name}, {backend}"


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_the_diagonal_that_einsum_gives_may_be_written(backend):
    def f(a, b):
        np.einsum("ii->i", a)[...] = 0
        np.einsum("jii->ji", b)[1] += 5
        return a.sum(), np.einsum("iji->ij", b)

    fast = compiled(f, backend, fullgraph=True)
    own, theirs = [(np.arange(9.0).reshape(3, 3), np.arange(27.0).reshape(3, 3, 3)) for _ in range(2)]
    found, expected = fast(*own), f(*theirs)
    assert all(np.array_equal(m, t) for m, t in zip((*own, *found), (*theirs, *expected)))
    assert found[1].flags.writeable and np.shares_memory(found[1], own[1])


def test_what_broadcast_arrays_gives_is_written_with_numpys_warning():
    def f(x, y):
        return np.broadcast_arrays(x, y)

    fast = compiled(f, "inductor")
    for function in (f, fast):
        x, y = np.arange(3.0), np.zeros((2, 3))
        wide, same = function(x, y)
        assert same is y
        with pytest.warns(DeprecationWarning, match="np.broadcast_arrays"):
            wide[0, 0] = 5
        assert x[0] == 5


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("np.rot90(x, k)", (1, 2, 3, 4, 0, 5, -1)),
        ("np.roll(x, k)", (1, 2, 3, -1, 0, 50)),
        ("np.roll(x, (k, 1), (0, 1))", (1, 2, 3, -1)),
        ("x[k:]", (0, 1, 2, 3, 4)),
        ("x[:k].sum()", (3, 2, 1, 0)),
        ("np.take(x, k, axis=0)", (0, 1, -1)),
        ("np.diag(x, k)", (0, 1, 2, -1, -2)),
        ("np.eye(3, k=k) + x[:, :3]", (0, 1, 2, -1)),
        ("np.tril(x, k)", (0, 1, -1, 2)),
        ("np.moveaxis(x, k, 0)", (0, 1, -1)),
        ("x.sum(axis=k)", (0, 1, -1)),
        ("np.expand_dims(x, k)", (0, 1, 2, -1)),
        ("np.repeat(x, k, axis=0)", (1, 2, 3, 0)),
        ("np.split(x, [k])[1]", (1, 2, 0, 3)),
        ("np.arange(k) * 2.0", (3, 2, 1, 0, 5)),
        ("x[::k]", (1, 2, 3, -1)),
    ],
)
def test_counts_axes_and_shifts_that_change(text, values):
    function = eval(f"lambda x, k: {text}", {"np": np})
    fast = compiled(function, "inductor", fullgraph=False)
    for k in values:
        x, y = np.arange(12.0).reshape(3, 4), np.arange(12.0).reshape(3, 4)
        found, expected = fast(x, k), function(y, k)
        assert facts(found, x) == facts(expected, y), k


def test_an_argument_of_the_function_is_copied_only_where_it_is_asked():
    def f(x):
        kept = np.asarray(x), np.squeeze(x), np.ascontiguousarray(x), x.astype(x.dtype, copy=False), x.conj()
        return (*kept, np.array(x, copy=None), np.broadcast_arrays(x)[0], copy.copy(kept[0]))

    x = np.arange(6.0).reshape(2, 3)
    for function in (f, compiled(f, "inductor", fullgraph=False)):
        assert [r is x for r in function(x)] == [True] * 7 + [False]


@pytest.mark.parametrize("x", (np.arange(-3.0, 3.0), np.arange(-3, 3), np.array(2.0), np.arange(3) * 1j), ids=str)
def test_the_conjugate_of_what_a_mask_takes_is_the_array_itself_where_it_is_real(x):
    def f(x, mask):
        taken = x[mask]
        same, copied = taken.conj(), np.conj(taken)
        taken += 1
        return taken, same, taken.conjugate(), copied

    for function in (f, compiled(f, "inductor", fullgraph=False)):
        taken, same, also, copied = function(x.copy(), x.real > 0)
        real = x.dtype.kind != "c"
        assert (same is taken, also is taken, copied is taken) == (real, real, False)
        assert facts((same, copied), x) == facts((f(x.copy(), x.real > 0)[1], f(x.copy(), x.real > 0)[3]), x)


def test_a_row_at_a_computed_place_is_a_view():
    def largest(x):
        row = x[x[:, 0].argmax()]
        row += 1
        return row, x

    def rest(x):
        y = x * 1
        part = y[..., y[0].argmin()]
        part[0] = 5
        return part, y

    def copied(x):
        one, other = x[np.asarray(x[:, 0].argmax())], x[[x[:, 0].argmax()]]
        one += 1
        other[0] = 7
        return one, other, x

    def number(x):
        return x[x[:, 0].argmax(), 1], x[x[:, 0].argmax(), x[0].argmin()]

    for function in (largest, rest, copied, number):
        fast = compiled(function, "inductor", fullgraph=function in (number,))
        for seed in (0, 1):
            mine, theirs = (np.random.default_rng(seed).standard_normal((3, 4)) for _ in range(2))
            got, want = fast(mine), function(theirs)
            np.testing.assert_array_equal(mine, theirs)
            for g, w in zip(got, want):
                np.testing.assert_array_equal(g, w)
                assert np.shares_memory(g, got[-1]) == np.shares_memory(w, want[-1])


def test_what_a_number_gives_of_itself_is_a_number():
    def f(s):
        axes = np.transpose(s), s.transpose(), np.moveaxis(s, (), ()), np.squeeze(s), s.squeeze()
        return (*axes, s.reshape(()), s[()], s.view(), s.conj(), s.T, s.astype(s.dtype, copy=False))

    for s in (np.float64(3), np.float32(2), np.int64(4), np.complex128(1 + 2j)):
        fast = compiled(f, "inductor", fullgraph=False)
        fast(type(s)(7))
        for _ in range(2):
            got, want = fast(s), f(s)
            assert [type(g) for g in got] == [type(w) for w in want]
            assert [g is s for g in got] == [w is s for w in want]


@pytest.mark.parametrize("dropped", [True, False])
@pytest.mark.parametrize("text", [
    "np.tile(x, n)", "np.tile(x, (n, 1))", "np.tile(x, (1, n))", "np.tile(x[0], (n, 2))", "np.tile(x[:0], n)", "np.mgrid[0:n, 0:2]",
    "np.mgrid[0:n:2, 0:2]", "np.mgrid[n:0:-2, 0:n]", "np.mgrid[0:n]", "np.ogrid[0:n, 0:2][0]", "np.zeros((2, n))", "np.repeat(x, n)",
])  # fmt: skip
def test_a_count_that_goes_below_zero_is_refused(text, dropped):
    """Also where nobody needs what would have been made."""
    function = eval(f"lambda x, n: (({text}), x * 2)[{int(dropped)}]", {"np": np})
    fast = compiled(function, "inductor", fullgraph=False)
    for n in (2, 3, 1, -1, 0, -2, -3, 4):
        x = np.arange(4.0)
        assert outcome(lambda x: fast(x, n), x) == outcome(lambda x: function(x, n), x), n  # noqa: B023
