"""Threads that call compiled functions at once: compiled once, right results, whatever others do meanwhile."""

# mypy: ignore-errors

from __future__ import annotations

import threading
import warnings

import pytest
import torch

import quern
from quern.testing import CompileCounter


def together(n, work):
    """`work(i)` in `n` threads that start at once; what they raised."""
    errors, start = [], threading.Barrier(n)

    def run(i):
        try:
            start.wait()
            work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return errors


@pytest.mark.parametrize("n", [2, 32])
def test_one_function_is_compiled_once(n):
    counter = CompileCounter()
    f = quern.compile(lambda x: torch.sin(x) + 1, backend=counter)

    def work(i):
        x = torch.full((4,), float(i))
        for _ in range(5):
            assert torch.equal(f(x), torch.sin(x) + 1)

    assert together(n, work) == []
    assert counter.frame_count == 1


def test_many_functions():
    functions = [quern.compile(lambda x, k=k: x * k + 1) for k in range(4)]

    def work(i):
        x = torch.full((4,), float(i))
        for k in range(4):
            n = (k + i) % 4
            torch.testing.assert_close(functions[n](x), x * n + 1)

    assert together(8, work) == []


def test_recompiling_breaking_and_resetting_meanwhile():
    def g(x, n):
        y = x + n
        quern.graph_break()
        return y * 2

    f = quern.compile(g, backend="eager")

    def work(i):
        for j in range(20):
            n = (i * 7 + j) % 5 if i % 2 else bool(j % 2)
            x = torch.ones(2 + j % 3)
            assert torch.equal(f(x, n), (x + n) * 2)
            if i == 0 and j % 10 == 5:
                quern.reset()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert together(8, work) == []


def test_patches_that_overlap_leave_nothing():
    before = quern.config.recompile_limit
    entered, may_leave = threading.Event(), threading.Event()

    def first():
        with quern.config.patch(recompile_limit=3):
            entered.set()
            may_leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(10)
    with quern.config.patch(recompile_limit=5):
        may_leave.set()
        thread.join()
        assert quern.config.recompile_limit == 5
    assert quern.config.recompile_limit == before
    with pytest.raises(AttributeError), quern.config.patch(recompile_limits=5):
        pass
    with quern.config.patch(recompile_limit=3):
        with quern.config.patch(recompile_limit=4):
            assert quern.config.recompile_limit == 4
        assert quern.config.recompile_limit == 3
    assert quern.config.recompile_limit == before
