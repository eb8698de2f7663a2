"""docs/triton-softmax.md shows what quern generates today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from quern.inductor.codegen.triton import generate
from quern.kernels.gpu import Gpu, compile_for
from triton_zoo import softmax

pytest.importorskip("triton")

PAGE = Path(__file__).parents[3] / "docs" / "triton-softmax.md"


def test_the_page_shows_the_generated_kernel() -> None:
    kernel = softmax(4096, 1000).kernel
    text = generate(kernel).text.rstrip()
    shown = re.findall(r"```(?:python)?\n(.*?)\n```", PAGE.read_text(), re.S)
    assert str(kernel) == shown[0], "the loops on the page are not the generator's input any more"
    assert text == shown[1], f"the kernel on the page is not what quern generates; put this there:\n{text}"


def test_the_page_gives_the_right_numbers(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path / "cache"))
    info = compile_for(generate(softmax(4096, 1000).kernel), Gpu(arch=90))
    registers, threads, bytes_per_load = map(
        int,
        re.search(
            r"takes (\d+) registers per thread in (\d+) threads, spills none, and moves (\d+) bytes", PAGE.read_text()
        ).groups(),
    )
    assert (threads, info.spills) == (info.threads, 0)
    assert abs(registers - info.registers) <= 8, "Triton versions differ a little"
    loads = re.findall(r"ld\.global(?:\.v(\d))?\.b(\d+)", info.ptx)
    assert {int(v or 1) * int(b) // 8 for v, b in loads} == {bytes_per_load}
