"""NumPy functions that run as they are inside of one graph: what they give is known from a call on harmless numbers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_compiled import agree, check, compiled
from quern.capture.frontends.numpy import table_ops

import quern
from quern.errors import Unsupported

R = np.random.default_rng(5)
X, V, W = R.standard_normal((4, 4)), R.standard_normal(9), R.standard_normal(9)
K = R.integers(0, 3, 9)
Z = X + 1j * X[::-1]
ROWS = R.standard_normal((12, 3))

ONE_GRAPH = {
    "choose": (lambda v, k: np.choose(k, [v, v * 2, v * 3]), V, K),
    "insert and delete": (lambda v: (np.insert(v, 1, 9.0), np.delete(v, [0, 2]), np.resize(v, (5,))), V),
    "differences": (lambda v: (np.diff(v, prepend=0), np.ediff1d(v), np.gradient(v, edge_order=2)), V),
    "polynomials": (lambda v, w: (np.polyfit(v, w, 2), np.polyval(np.polyfit(v, w, 1), v), np.polyder(v)), V, W),
    "conditions of matrices": (lambda x: (np.linalg.cond(x), np.linalg.matrix_rank(x), np.linalg.norm(x, 2)), X),
    "several products": (lambda x: (np.linalg.multi_dot([x, x, x]), np.einsum("ij,jk,kl->li", x, x, x, optimize=True)), X),
    "lexsort": (lambda v, k: v[np.lexsort((v, k))], V, K),
    "histograms": (lambda v: (np.histogram(v), np.histogram(v, bins=4, density=True), np.histogram(v, np.linspace(-3, 3, 7))), V),
    "bits": (lambda v: (np.packbits(v > 0), np.unpackbits(np.packbits(v > 0))), V),
    "angles": (lambda z: (np.angle(z), np.iscomplex(z), np.sort(z.ravel()), np.var(z), np.round(z, 1)), Z),
    "parts of arrays": (lambda v: (np.r_[v, 1, v[:2]], np.c_[v, v * 2], np.r_[1:4, v], np.block([v, v])), V),
    "transforms": (lambda x: (np.fft.fftn(x), np.fft.rfft2(x), np.fft.fft(x, n=3, axis=0)), X),
    "segments": (lambda v: (np.add.reduceat(v, [0, 2, 5]), np.subtract.reduce(v), np.divide.accumulate(v)), V),
    "windows": (lambda v: (v * np.hanning(len(v)), np.fft.rfftfreq(v.shape[0], 0.5), np.logspace(0, 1, 4)), V),
    "triangles": (lambda x: x[np.triu_indices(len(x), k=1)].sum(), X),
    "limits": (lambda v: np.clip(v * 1000, np.iinfo(np.int8).min, np.iinfo(np.int8).max), V),
    "fill_diagonal": (lambda x: np.fill_diagonal(x, 0), X),
    "piecewise": (lambda v: np.piecewise(v, [v < -0.5, v > 0.5], [lambda t: t * t, 3, 0.5]), V),
    "fromfunction": (lambda v: np.fromfunction(lambda i, j: i * 10 + j, (3, 4)) + v[0], V),
    "apply_along_axis": (lambda x: (np.apply_along_axis(np.sort, 1, x), np.apply_along_axis(lambda r: r.max() - r.min(), 0, x)), X),
    "unstack": (lambda x: [r * 2 for r in x] + [a.sum() for a in np.array_split(x, 3)], X),
    "ix_": (lambda x, k: x[np.ix_(k, k[:2])], X, K),
    "rows by a mask": (lambda x, k: np.array([x[k == c].mean(axis=0) for c in range(3)]), ROWS, np.arange(12) % 3),
    "statistics of rows": (lambda x, k: (x[k > 0].sum(0), x[k > 0].std(axis=0), x[k > 0].max(axis=0), x[k > 0].mean()), ROWS, np.arange(12) % 3),
    "columns behind a mask": (lambda x, k: (x[k > 0, 1].sum(), x[k > 0, 1:].mean(axis=0)), ROWS, np.arange(12) % 3),
    "extract and place": (lambda v, w: (np.extract(v > 0, w), np.place(v, v > 1, 1.0)), V, W),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_GRAPH)
def test_one_graph_with_numpys_results(name):
    function, *args = ONE_GRAPH[name]
    agree(function, *args, backend="inductor", rtol=1e-9)


LENGTHS = {
    "convolve": lambda v: np.convolve(v, np.ones(3) / 3, mode="valid") + np.insert(v, 0, 1.0)[2:-1],
    "correlate": lambda v: np.correlate(v, v, "full") * 2,
    "factors": lambda v: np.linalg.svd(np.outer(v, v) + np.eye(len(v)))[1],
    "rows of factors": lambda v: np.linalg.qr(np.stack([v, v * v, np.ones(len(v))], 1)),
    "fits": lambda v: np.polyfit(np.arange(len(v)), v, 2),
    "histograms": lambda v: np.histogram(v, 4),
    "parts": lambda v: (np.delete(v, 2), np.ediff1d(v), np.resize(v, (3, 4)), np.block([[v, v], [v, v]])),
    "orders": lambda v: (np.lexsort((v, v)), np.fft.fftshift(v)),
    "bits": lambda v: np.packbits(v > 0),
    "windows": lambda v: (v * np.hanning(len(v)), v * np.hamming(v.size), v * np.kaiser(len(v), 3.0)),
    "frequencies": lambda v: (v * np.fft.fftfreq(len(v)), np.fft.rfftfreq(len(v), 0.5)),
    "spaces": lambda v: (v * np.linspace(0, 1, len(v)), v * np.logspace(0, 1, len(v)), v * np.geomspace(1, 9, len(v))),
    "triangles": lambda v: np.outer(v, v)[np.tril_indices(len(v))],
    "the diagonal": lambda v: (x := np.outer(v, v), np.fill_diagonal(x, 1.0))[0],
    "backwards": lambda v: (v[::-1] * 2, v[::-2] * 2, v[::-3] + 1),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_the_second_length_is_the_last_compilation(name):
    fast = compiled(LENGTHS[name], "inductor")
    for n in (12, 15, 22, 37, 9):
        check(fast, fast.fn, np.random.default_rng(n).standard_normal(n))
        assert len(fast.recompiles) <= 1
    assert not fast.breaks


NUMBERS = {
    "convolve": (lambda v, k: np.convolve(v, np.ones(k) / k), (2, 3, 4, 6)),
    "places": (lambda v, k: (np.insert(v, k, 1.0), np.delete(v, k), np.partition(v, k)[:2].sum()), (2, 3, 4, 6)),
    "roll": (lambda v, k: np.roll(v, k) * 2, (2, 3, 5, 8)),
    "roll backwards": (lambda v, k: np.roll(v, -k) * 2, (2, 3, 5, 8)),
    "repeat": (lambda v, k: np.repeat(v, k) * 2, (2, 3, 5, 4)),
    "pad": (lambda v, k: (np.pad(v, k), np.pad(v, (k, 2 * k)), np.pad(v, k, mode="edge")), (2, 3, 5, 4)),
    "spaces": (lambda v, k: (np.linspace(0, 1, k) * 2, np.logspace(0, 1, k)), (2, 3, 5, 4)),
    "windows": (lambda v, k: (np.hanning(k), np.blackman(k), np.bartlett(k)), (4, 5, 7, 6)),
    "decimals": (lambda v, k: np.round(v, k) * 2, (2, 3, 4, 5)),
    "degrees of freedom": (lambda v, k: np.var(v, ddof=k), (2, 3, 4, 5)),
    "bins": (lambda v, k: np.histogram(v, k), (2, 3, 5, 4)),
    "degrees": (lambda v, k: np.vander(v, k) * 2, (2, 3, 5, 4)),
    "transforms": (lambda v, k: np.fft.fft(v, k), (20, 30, 40, 50)),
    "the last": (lambda v, k: (v[-k:] * 2, v[-k] + 1, v[:-k].sum()), (2, 3, 5, 4)),
    "from a negative number": (lambda v, k: (v[k:] * 2, v[k] + 1, np.roll(v, k) * 1), (-2, -3, -5, -4)),
    "steps": (lambda v, k: v[::k] * 2, (2, 3, 5, 4)),
    "diagonals": (lambda v, k: np.diagonal(np.outer(v, v), k) * 2, (2, 3, 5, 4)),
    "quantiles": (lambda v, q: (np.quantile(v, q), np.percentile(v, 100 * q)), (0.1, 0.2, 0.7, 0.5)),
    "spacing": (lambda v, h: np.gradient(v, h), (0.1, 0.2, 0.7, 0.5)),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_second_number_is_the_last_compilation(name):
    function, numbers = NUMBERS[name]
    fast = compiled(function, "inductor")
    for k in numbers:
        check(fast, function, V, k)
        assert len(fast.recompiles) <= 1
    assert not fast.breaks


def test_a_turn_is_one_of_four():
    """A quarter turn is one of four: each has a version, however far the number goes."""
    fast = compiled(lambda x, k: np.rot90(x, k) * 2, "inductor")
    for k in range(2, 30):
        check(fast, fast.fn, X, k)
    assert len(fast.recompiles) <= 5


def test_sizes_that_differ_from_the_formula_are_refused(monkeypatch):
    """What a graph foresaw of a result is looked at when it runs."""
    fast = compiled(lambda v: np.resize(v, (len(v) + 1,)) * 2, "inductor")
    for n in (5, 6, 7):
        check(fast, fast.fn, np.arange(float(n)))
    monkeypatch.setitem(table_ops._externs, "numpy:resize", lambda v, shape: v)
    with pytest.raises(quern.errors.InternalError, match="numpy.resize gave float64 of shape"):
        fast(np.arange(8.0))


@pytest.mark.parametrize("function", [
    lambda v, k: np.delete(v, k), lambda v, k: np.linspace(0.0, 1.0, k.max()), lambda v, k: np.diff(v, n=k.min()),
    lambda v, k: np.histogram(v, "auto"), lambda v, k: np.where(v > 0), lambda v, k: np.bincount(k), lambda v, k: np.resize(v, k[:2]),
    lambda v, k: np.delete(v, v > 0),
])  # fmt: skip
def test_sizes_that_the_data_decide_break_the_graph(function):
    with pytest.raises(Unsupported):
        compiled(function, "inductor")(V, K)
    check(compiled(function, "inductor", fullgraph=False), function, V, K)


def test_what_numpy_warns_of_by_type_is_left_to_plain_python():
    def function(z):
        return np.interp(z.sum(), [0.0, 1.0, 2.0], [1.0, 3.0, 5.0])

    with pytest.raises(Unsupported):
        compiled(function, "inductor")(Z)
    fast = compiled(function, "inductor", fullgraph=False)
    with pytest.warns(np.exceptions.ComplexWarning, match="discards the imaginary part") as said:
        assert fast(Z) == function(Z)
    assert len({(w.filename, w.lineno) for w in said}) == 1


def test_a_number_is_handed_on_as_a_number():
    def function(v):
        return np.interp(v.sum(), v, v[::-1]), np.polyval(v[:3], v.max()), np.select([v[0] > 0], [v[1]], v[2])

    agree(function, V, backend="inductor")


def test_parts_of_complex_arrays_are_views():
    def f(z):
        before = z.real
        early = before + 1
        z[0] = 5
        z *= 2
        return before, early, before + 0, z.imag[1:], z

    z = Z.copy()
    agree(f, z, backend="inductor")
    agree(f, np.asfortranarray(z), backend="inductor")
    found = compiled(f, "inductor")(z)
    assert np.shares_memory(found[0], z)
    assert np.shares_memory(found[3], z)


def test_a_mask_that_chooses_no_row():
    def mean(x, k):
        return x[k > 9].sum(axis=0), x[k > 9].mean(axis=0)

    def largest(x, k):
        return x[k > 9].max(axis=0)

    agree(mean, ROWS, np.arange(12))
    with np.errstate(all="ignore"):
        check(compiled(mean), mean, ROWS, np.arange(12) % 3)
    with pytest.raises(ValueError, match="zero-size array to reduction operation maximum"):
        compiled(largest)(ROWS, np.arange(12) % 3)
