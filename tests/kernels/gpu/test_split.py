"""Reductions cut into pieces give what the whole gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from quern.inductor.codegen.triton import generate
from quern.inductor.codegen.triton.split import split
from quern.inductor.dtypes import bfloat16, bool_, float32, int64
from quern.inductor.kernel import Buffer, Store
from quern.inductor.loops import as_index, postorder
from quern.inductor.reference import numpy_dtype, run_kernel
from quern.kernels.gpu.interpreted import interpret
from triton_zoo import DEFAULT, ZOO, Case, columns, layer_norm, online_pair, pointwise, reduce_all, rows, scan, softmax

pytest.importorskip("triton")

CASES = {
    "sum": lambda: reduce_all(5000),
    "sum odd": lambda: reduce_all(4999),
    "prod": lambda: reduce_all(300, "prod"),
    "max min": lambda: rows(3, 300, ("max", "min", "argmax", "argmin"), float32, DEFAULT, nans=True),
    "arg odd": lambda: rows(3, 311, ("argmax", "argmin"), float32, DEFAULT, nans=True),
    "arg ties": lambda: rows(3, 320, ("argmax", "argmin", "max"), int64),
    "any all": lambda: rows(3, 311, ("any", "all"), bool_),
    "columns": lambda: columns(400, 33),
    "softmax": lambda: softmax(2, 1000),
    "layer norm": lambda: layer_norm(2, 700),
    "three depths": lambda: online_pair(2, 200),
    "in place": ZOO["softmax in place"],
}


def run_split(case: Case, pieces: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    parts = split(case.kernel, pieces)
    assert parts is not None and len(parts.kernels) >= 2
    start = {b.name: case.inputs.get(b.name, np.zeros(b.size, numpy_dtype(b.dtype))) for b in case.kernel.args}
    whole = {n: a.copy() for n, a in start.items()}
    run_kernel(case.kernel, whole)
    ours = {n: a.copy() for n, a in start.items()}
    ours |= {b.name: np.zeros(b.size, numpy_dtype(b.dtype)) for b in parts.temporary}
    for kernel in parts.kernels:
        kernel.verify()
        run_kernel(kernel, {n: a.copy() for n, a in ours.items()})  # bounds
        interpret(generate(kernel))(*(ours[b.name].ctypes.data for b in kernel.args))
    return ours, whole


@pytest.mark.parametrize("pieces", [2, 8])
@pytest.mark.parametrize("name", CASES)
def test_pieces_make_the_whole(name: str, pieces: int) -> None:
    case = CASES[name]()
    ours, whole = run_split(case, pieces)
    for written in sorted(case.kernel.writes):
        np.testing.assert_allclose(ours[written], whole[written], rtol=1e-5, atol=1e-5, err_msg=written)


def test_only_kernels_that_leave_a_gpu_idle_are_split() -> None:
    assert split(reduce_all(1 << 24).kernel) is not None
    assert split(columns(65536, 2048).kernel) is not None
    assert split(reduce_all(1000).kernel) is None, "little work"
    assert split(softmax(4096, 50257).kernel) is None, "enough rows"
    assert split(pointwise(1 << 20).kernel) is None
    assert split(scan(1, 1 << 20, "sum").kernel) is None


def test_no_piece_overwrites_what_a_later_one_reads() -> None:
    kernel = ZOO["softmax in place"]().kernel
    (apply,) = kernel.stores
    total = next(e for e in postorder([apply.value]) if e.op == "reduce")
    out = Buffer("out", float32, kernel.args[0].size)
    early = replace(
        kernel,
        stores=(Store("x", as_index(kernel.p[0]) * 200, total), replace(apply, buffer="out")),
        args=(*kernel.args, out),
    )
    assert split(kernel, 4) is not None
    assert split(early, 4) is None, "the row's first element is overwritten when its maximum is known"


def test_the_pieces_of_a_sum_can_be_read() -> None:
    parts = split(reduce_all(1 << 24).kernel)
    assert parts is not None
    part, finish = parts.kernels
    assert [k.name for k in parts.kernels] == ["sum_all_part", "sum_all_finish"]
    chunks = part.p[0].extent
    assert chunks * part.r[0].extent == 1 << 24 and 264 <= chunks <= 1056
    assert finish.r[0].extent == chunks and parts.temporary[0].size == chunks
    assert generate(part).grid[0] == (str(chunks), 1)


def test_dtypes_of_the_pieces() -> None:
    parts = split(softmax(2, 1 << 20, bfloat16).kernel)
    assert parts is not None
    assert {b.dtype for b in parts.temporary} == {float32}
    assert [k.name.rpartition("_")[2] for k in parts.kernels] == ["part", "finish", "part1", "finish1", "apply"]
