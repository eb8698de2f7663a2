"""Large results: the memory of earlier ones is used again, but of none that somebody still sees."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from quern.capture.frontends.numpy import pooled

import quern

SHAPE = (1 << 18,)
name_of = np._core.multiarray.get_handler_name


@pytest.fixture
def double(monkeypatch):
    """A compiled function whose results are of the pool from the first on."""
    monkeypatch.setattr(pooled, "_empty", pooled._pooled())
    quern.reset()
    return quern.compile(lambda x: x * 2, fullgraph=True)


def test_results_own_their_memory_and_it_is_used_again(double):
    x = np.random.default_rng(0).standard_normal(SHAPE)
    result = double(x)
    assert name_of(result) == "quern" and name_of() == "default_allocator"
    assert result.flags.owndata and result.base is None and result.flags.writeable
    address = result.ctypes.data
    del result
    again = double(x)
    assert again.ctypes.data == address
    np.testing.assert_array_equal(again, x * 2)


def test_what_is_still_seen_keeps_its_elements(double):
    x = np.random.default_rng(0).standard_normal(SHAPE)
    kept = [double(x + i)[i:] for i in range(5)]  # views: the arrays themselves have no name
    for i, view in enumerate(kept):
        np.testing.assert_array_equal(view, ((x + i) * 2)[i:])


def test_results_can_be_resized(double):
    x = np.random.default_rng(0).standard_normal(SHAPE)
    result = double(x)
    result.resize(3 * SHAPE[0])
    np.testing.assert_array_equal(result[: SHAPE[0]], x * 2)
    assert not result[SHAPE[0] :].any()
    result.resize(3)
    np.testing.assert_array_equal(result, x[:3] * 2)
    del result
    np.testing.assert_array_equal(double(x), x * 2)


def test_no_more_is_kept_than_is_said(double):
    """Blocks of many sizes: the oldest go back to the system, and all results are right."""
    for n in range(1 << 17, (1 << 17) + 60):
        x = np.full(n, float(n))
        assert (double(x) == 2 * n).all()


def test_threads_take_turns_at_the_pool(double):
    x = np.random.default_rng(0).standard_normal(SHAPE)
    double(x)
    wrong = []

    def work(k):
        for _ in range(30):
            if not (double(x + k) == (x + k) * 2).all():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_the_first_few_large_results_and_small_ones_are_numpys(monkeypatch):
    monkeypatch.setattr(pooled, "_empty", None)
    monkeypatch.setattr(pooled, "_made", iter(range(10)))
    quern.reset()
    f = quern.compile(lambda x: x * 2, fullgraph=True)
    found = [name_of(f(np.ones(SHAPE))) for _ in range(6)]
    assert found == ["default_allocator"] * 4 + ["quern"] * 2
    assert name_of(f(np.ones(1000))) == "default_allocator"


def test_without_a_compiler_memory_is_numpys(monkeypatch):
    def fails():
        raise OSError("no compiler")

    monkeypatch.setattr(pooled.pool, "handler", fails)
    assert pooled._pooled() is np.empty
