"""Generated Triton kernels compile to machine code for each architecture, without spilling registers."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.sampled(3)

pytest.importorskip("triton")

from quern.inductor.codegen.triton import generate  # noqa: E402
from quern.inductor.dtypes import bfloat16, float32  # noqa: E402
from quern.kernels.gpu.toolchain import CompiledInfo, Gpu, compile_for  # noqa: E402
from triton_zoo import DEFAULT, ZOO, product  # noqa: E402


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


#: the instruction that multiplies blocks of halves
MATRIX_UNITS = {80: "mma.sync", 90: "wgmma.mma_async", 100: "tcgen05.mma"}


@pytest.mark.parametrize("arch", MATRIX_UNITS)
def test_products_of_halves_run_on_the_matrix_units(arch: int) -> None:
    """With copies that run ahead. Products of float32 do not: they are not rounded on the way."""
    half, single = (
        compile_for(generate(product(2048, 128, 2048, dtype).kernel, DEFAULT), Gpu(arch=arch))
        for dtype in (bfloat16, float32)
    )
    assert half.ptx.count(MATRIX_UNITS[arch]) >= 4 and "cp.async" in half.ptx
    assert not any(instruction in single.ptx for instruction in MATRIX_UNITS.values())
    assert half.spills == single.spills == 0, (half.summary(), single.summary())


@pytest.mark.slow
@pytest.mark.parametrize("arch", [75, 86, 89, 100, 120])
@pytest.mark.parametrize("name", ZOO)
def test_compiles_without_spills_on_other_architectures(name: str, arch: int) -> None:
    if arch < 80 and name.startswith("product"):
        pytest.skip("their tiles are chosen for the matrix units from sm_80 on")
    assert compiled(name, arch).spills == 0
