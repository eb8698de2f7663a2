"""Every option and every mode changes something, or says that it does not."""

from __future__ import annotations

import warnings
from dataclasses import fields

import numpy as np
import pytest
from quern.capture.frontends.numpy.runtime import NumpyRuntime

import quern
from quern import api
from quern.config import Options
from quern.errors import InvalidOption

X = np.linspace(0.5, 2, 4096, dtype=np.float32).reshape(64, 64)


def spread(x):
    return (x - x.mean(axis=1, keepdims=True)) * 2 + np.exp(x).T


def plan(**options):
    said = quern.explain(spread, options=options)(X)
    np.testing.assert_allclose(said.result, spread(X), rtol=1e-5)
    (graph,) = said.graphs
    return graph.record.plan


def test_fuse():
    assert len(plan(fuse=False).kernels) == plan().loops_before > len(plan().kernels)


def test_simplify():
    """The printed kernels are those that were compiled."""

    def double(x):
        return x * 2

    loops = {}
    for simplify in (False, True):
        said = quern.explain(double, options={"simplify": simplify})(X)
        np.testing.assert_array_equal(said.result, X * 2)
        (graph,) = said.graphs
        loops[simplify] = graph.record.plan.kernels[0].loops
    assert "for p0 < 64, p1 < 64:" in loops[False] and "for p0 < 4096:" in loops[True]


def test_cpu_codegen():
    pytest.importorskip("triton")
    assert "@triton.jit" in "".join(plan(cpu_codegen="triton").sources.values())
    assert "@triton.jit" not in "".join(plan(cpu_codegen="cpp").sources.values())


def test_round_halves():
    torch = pytest.importorskip("torch")
    x = torch.linspace(0.1, 1, 64, dtype=torch.bfloat16)

    def f(x):
        return (x * x + x) * x

    with torch.no_grad():
        rounded, kept = (quern.compile(f, options={"round_halves": v})(x) for v in (True, False))
    assert torch.equal(rounded, f(x)) and not torch.equal(kept, f(x))


def test_contractions():
    def product(x):
        return (x * 2) @ x.T

    steps = {}
    for contractions in ("auto", "generated"):
        said = quern.explain(product, options={"contractions": contractions})(X)
        np.testing.assert_allclose(said.result, product(X), rtol=1e-5)
        (graph,) = said.graphs
        steps[contractions] = (graph.record.calls, graph.record.kernels)
    assert steps["auto"][0] == 1 and steps["generated"] == (0, 1)


def test_keep_weights():
    torch = pytest.importorskip("torch")
    model, x = torch.nn.Linear(256, 512), torch.randn(64, 256)
    kept = {}
    with torch.no_grad():
        for keep in (True, False):
            said = quern.explain(model, options={"keep_weights": keep, "contractions": "generated"})(x)
            torch.testing.assert_close(said.result, model(x), rtol=1e-4, atol=1e-4)
            kept[keep] = said.graphs[0].record.plan.bytes_kept
    assert kept == {True: 256 * 512 * 4, False: 0}


def test_threads(monkeypatch):
    asked = []
    monkeypatch.setattr(NumpyRuntime, "num_threads", lambda self: asked.append(1) or 1)
    plan(threads=2)
    assert not asked
    plan()
    assert asked
    assert Options(threads=2).key() == Options().key(), "threads are no part of the code"


def test_the_setting_for_all_compilations_reaches_torch_too():
    torch = pytest.importorskip("torch")
    from quern.capture.frontends.torch.runtime import TorchRuntime

    with quern.config.patch(threads=3):
        assert TorchRuntime().num_threads() == 3
    assert TorchRuntime().num_threads() == torch.get_num_threads()


def test_every_option_has_a_test_above():
    assert {f"test_{f.name}" for f in fields(Options)} <= set(globals())


REFUSED = {
    "fuse": (1, "True or False"),
    "simplify": (None, "True or False"),
    "round_halves": ("no", "True or False"),
    "keep_weights": (0, "True or False"),
    "contractions": (True, "'auto' or 'generated'"),
    "threads": (0, "at least 1"),
    "cpu_codegen": ("fortran", "'cpp' or 'triton'"),
    "cudagraphs": (
        True,
        "Known options: cpu_codegen, fuse, simplify, round_halves, contractions, keep_weights, threads",
    ),
    "max_autotune": (True, "Known options"),
    "device": ("cuda", "Known options"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_an_option_does_not_take_is_refused(name):
    value, said = REFUSED[name]
    with pytest.raises(InvalidOption, match=said):
        quern.compile(spread, options={name: value})


def test_threads_are_of_cpp_kernels():
    with pytest.raises(InvalidOption, match="threads is of C\\+\\+ kernels"):
        quern.compile(spread, options={"threads": 2, "cpu_codegen": "triton"})


def test_options_of_the_compiler_say_that_another_backend_has_none():
    with pytest.warns(UserWarning, match="fuse: options of the backend 'inductor' change nothing"):
        quern.compile(spread, backend="eager", options={"fuse": False})


@pytest.mark.parametrize("mode", ["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs", "lite"])
def test_a_mode_works_and_says_once_that_it_changes_nothing(mode):
    api._say_once_about_mode.cache_clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(3):
            np.testing.assert_allclose(quern.compile(spread, mode=mode)(X), spread(X), rtol=1e-5)
    assert len(said) == (mode != "default")
    for w in said:
        assert f"mode={mode!r} is the same as 'default'" in str(w.message) and w.filename == __file__
    asks_for = {"reduce-overhead": ["CUDA graphs", "one native call"], "max-autotune": ["variants", "CUDA graphs"]}
    assert all(word in str(w.message) for w in said for word in asks_for.get(mode, []))
