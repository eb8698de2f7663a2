"""The teaching file runs, and what it compiles is right: also where it has to say no."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parent.parent / "docs" / "miniature.py"
SCALE = 2.0


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("miniature", PAGE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["miniature"] = module  # its dataclasses look there
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIATURE_CACHE", str(tmp_path_factory.mktemp("cache")))
        spec.loader.exec_module(module)
        yield module
    del sys.modules["miniature"]


def scaled(x):
    return x * SCALE


def by_number(x, k):
    return x / k if k == k else x


def in_place(x):
    y = x * 2
    x += 1
    return y + x


def guarded_by_try(x):
    try:
        return np.exp(x)
    finally:
        x *= 2


def two_widths(x, y):
    return x.sum(axis=1, keepdims=True) * y - y.max(axis=1, keepdims=True)


def one_row(x, row):
    return x - np.exp(row - row.max(axis=1, keepdims=True))


def branches(x):
    y = np.tanh(x)
    if (y - 1).sum() > 0:
        return y
    return -y


def loops(x, n):
    parts = ()
    for i in range(n):
        if i % 2:
            parts = parts + (x * i,)
        else:
            x = x + i
    a, b = parts[0], parts[len(parts) - 1]
    return a @ b


def misfit(x, y):
    return x + y


def run_both(miniature, function, *args):
    """Compiled, twice, against plain; the arguments are compared after the call."""
    fast = miniature.compile(function)
    for _ in range(2):
        ours = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        theirs = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        np.testing.assert_allclose(fast(*ours), function(*theirs), rtol=1e-12)
        for a, b in zip(ours, theirs):
            np.testing.assert_array_equal(a, b)
    return fast


def test_its_own_demonstration(miniature, capsys):
    miniature.main()
    said = capsys.readouterr().out
    assert "all results agree with NumPy's" in said
    assert said.count('extern "C" void kernel') == 3
    assert "x was a row-major float64 array of shape (300, 40)" in said


@pytest.mark.parametrize("function, breaks", [(in_place, 1), (branches, 1), (guarded_by_try, 0), (scaled, 0)])
def test_arrays(miniature, function, breaks):
    fast = run_both(miniature, function, np.random.default_rng(1).normal(size=(70, 9)))
    assert len(fast.breaks) == breaks


def test_widths_rows_and_loops(miniature):
    rng = np.random.default_rng(2)
    fast = run_both(miniature, two_widths, rng.normal(size=(5, 3)), rng.normal(size=(5, 8)))
    assert len(fast.entries[0][2]) == 1
    run_both(miniature, one_row, rng.normal(size=(5, 3)), rng.normal(size=(1, 3)))
    assert not run_both(miniature, loops, rng.normal(size=(4, 4)), 4).breaks


def test_guards(miniature, monkeypatch):
    x = np.ones((3, 4))
    fast = miniature.compile(scaled)
    np.testing.assert_array_equal(fast(x), x * 2)
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 3.0)
    np.testing.assert_array_equal(fast(x), x * 3)
    assert len(fast.entries) == 2
    fast = miniature.compile(by_number)
    with np.errstate(divide="ignore"):
        for k in (0.0, -0.0, 1, True, 1.0):
            np.testing.assert_array_equal(fast(x, k), by_number(x, k))
    assert len(fast.entries) == 5


def test_other_arguments_run_plainly(miniature):
    fast = miniature.compile(scaled)
    for x in (np.ones(3), np.ones((3, 4), np.float32), np.ones((4, 3)).T, np.ones((0, 3)), [1, 2]):
        if isinstance(x, list):
            with pytest.raises(TypeError):
                fast(x)
        else:
            found = fast(x)
            assert found.dtype == x.dtype and found.shape == x.shape
    assert not fast.entries


def test_numpys_own_errors(miniature):
    with pytest.raises(ValueError, match="could not be broadcast"):
        miniature.compile(misfit)(np.ones((2, 3)), np.ones((2, 4)))


def test_nan_and_infinity(miniature):
    x = np.array([[np.nan, 1.0, np.inf], [-np.inf, 0.0, -0.0]])
    fast = miniature.compile(lambda x: np.maximum(x, 0.0) - x.max(axis=1, keepdims=True))
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(fast(x), fast.function(x))
