"""Generated Triton kernels compile to machine code for each architecture, without spilling registers."""

from __future__ import annotations

import pytest

pytest.importorskip("triton")

from quern.inductor.codegen.triton import generate  # noqa: E402
from quern.kernels.gpu.toolchain import CompiledInfo, Gpu, compile_for  # noqa: E402
from triton_zoo import ZOO  # noqa: E402


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "quern-cache"))


def compiled(name: str, arch: int) -> CompiledInfo:
    case = ZOO[name]()
    return compile_for(generate(case.kernel, case.options), Gpu(arch=arch))


@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize("name", ZOO)
def test_compiles_without_spills(name: str, arch: int) -> None:
    info = compiled(name, arch)
    assert info.cubin[:4] == b"\x7fELF"
    assert info.spills == 0, info.summary()


@pytest.mark.slow
@pytest.mark.parametrize("arch", [75, 86, 89, 100, 120])
@pytest.mark.parametrize("name", ZOO)
def test_compiles_without_spills_on_other_architectures(name: str, arch: int) -> None:
    assert compiled(name, arch).spills == 0
