"""Many threads on one compiled function: one compilation, right answers for all."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import quern
import quern.testing


def run_together(count, work):
    """Start `count` threads at once on work(i); their results in order. Raises what a thread raised."""
    start = threading.Barrier(count)
    results, errors = [None] * count, []

    def body(i):
        start.wait()
        try:
            results[i] = work(i)
        except BaseException as error:  # handed to the caller below
            errors.append(error)

    threads = [threading.Thread(target=body, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert not any(t.is_alive() for t in threads), "a thread hangs"
    if errors:
        raise errors[0]
    return results


def chain(x):
    y = np.exp(x) * 2.0
    return y / y.sum(axis=-1, keepdims=True), np.sin(x)


@pytest.mark.parametrize("backend", ["counter", "inductor"])
def test_one_function_is_compiled_once(backend):
    counter = quern.testing.CompileCounter()
    f = quern.compile(chain, backend=counter if backend == "counter" else backend)
    inputs = [np.random.default_rng(i).standard_normal((64, 32)) for i in range(8)]

    def work(i):
        for _ in range(20):
            out = f(inputs[i])
        return out

    for x, (ratio, sine) in zip(inputs, run_together(8, work)):
        expected = chain(x)
        np.testing.assert_allclose(ratio, expected[0], rtol=1e-12)
        np.testing.assert_allclose(sine, expected[1], rtol=1e-12)
    assert len(f.entries) == 1
    if backend == "counter":
        assert counter.frame_count == 1


def test_each_thread_gets_its_own_version():
    """Threads that need different versions of one function, and scratch memory at the same time."""
    f = quern.compile(chain, dynamic=False)
    shapes = [(8, 16), (4, 4), (16, 8), (3, 7)]

    def work(i):
        x = np.random.default_rng(i).standard_normal(shapes[i % 4])
        for _ in range(30):
            out = f(x)
        np.testing.assert_allclose(out[0], chain(x)[0], rtol=1e-12)
        return True

    assert all(run_together(8, work))
    assert len(f.entries) == 4


def test_breaks_in_many_threads():
    def broken(x):
        y = x + 1.0
        quern.graph_break()
        return np.cos(y) * float(threading.current_thread().name is not None)

    f = quern.compile(broken)
    x = np.linspace(0, 1, 50)
    for out in run_together(6, lambda i: [f(x * i) for _ in range(10)][-1:]):
        assert out[0].shape == x.shape
    np.testing.assert_allclose(f(x), np.cos(x + 1.0), rtol=1e-12)
