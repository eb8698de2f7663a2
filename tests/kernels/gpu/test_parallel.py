"""Kernels compiled side by side in worker processes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from quern.cache import default_store
from quern.inductor.codegen.triton import generate
from quern.kernels.gpu import Gpu, TritonSource, build_all, compile_all, prepare
from triton_zoo import pointwise, reduce_all

from quern.errors import CompilerFailed

pytest.importorskip("triton")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path / "cache"))


def sources() -> list[TritonSource]:
    return [generate(pointwise(n).kernel) for n in (64, 128, 1000)] + [generate(reduce_all(64).kernel)]


def test_workers_fill_the_cache() -> None:
    made = sources()
    assert compile_all(made, Gpu(arch=90), workers=2) == 4
    store = default_store()
    assert store.counters.builds == 0, "all were built elsewhere"
    for source in made:
        assert prepare(source, Gpu(arch=90)).spills == 0
    assert store.counters.builds == 0
    assert compile_all(made, Gpu(arch=90), workers=2) == 0, "nothing is left to do"


def test_one_kernel_needs_no_worker() -> None:
    assert compile_all(sources()[:1], Gpu(arch=90)) == 1
    assert default_store().counters.builds == 1


def test_a_kernel_that_cannot_be_compiled_is_named_with_its_text() -> None:
    good, other = sources()[:2]
    bad = replace(other, text=other.text.replace("libdevice.tanh", "libdevice.no_such_function"))
    with pytest.raises(CompilerFailed, match="no_such_function"):
        compile_all([good, bad], Gpu(arch=90), workers=2)
    with pytest.raises(CompilerFailed, match=r"(?s)Triton could not compile chain for sm_90.*def kernel"):
        compile_all([bad], Gpu(arch=90))


def test_on_the_cpu_nothing_is_compiled() -> None:
    case = pointwise(64)
    launchers = build_all({"chain": generate(case.kernel)}, "cpu")
    x, y, out = case.inputs["x"], case.inputs["y"], np.zeros(64, "f")
    launchers["chain"](*(a.ctypes.data for a in (x, y, out)))
    np.testing.assert_allclose(out, np.tanh(x * y + 0.5), rtol=1e-6)
    assert default_store().counters.builds == 0
