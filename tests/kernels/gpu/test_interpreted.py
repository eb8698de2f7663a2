"""Generated Triton kernels under the interpreter, against the NumPy oracle."""

from __future__ import annotations

import numpy as np
import pytest
from quern.inductor.codegen.triton import generate
from quern.inductor.dtypes import bfloat16
from quern.inductor.kernel import Buffer, Kernel
from quern.inductor.reference import from_bfloat16_bits, numpy_dtype, run_kernel
from quern.kernels.gpu.interpreted import interpret
from triton_zoo import ZOO, Case

pytest.importorskip("triton")


def empty_like(b: Buffer, symbols: dict[str, int]) -> np.ndarray:
    size = b.size if isinstance(b.size, int) else int(b.size.subs({s: symbols[s.name] for s in b.size.free_symbols}))
    dtype = np.uint16 if b.dtype == bfloat16 else numpy_dtype(b.dtype)
    return np.zeros(size, dtype)


def run_both(case: Case, kernel: Kernel) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(buffer, ours, the oracle's) for every buffer that the kernel writes."""
    kernel.verify()
    start = {b.name: case.inputs.get(b.name, empty_like(b, dict(case.symbols))) for b in kernel.args}
    ours, theirs = ({name: a.copy() for name, a in start.items()} for _ in range(2))
    run_kernel(kernel, theirs, case.symbols)
    source = generate(kernel, case.options)
    launch = interpret(source)
    launch(*(ours[b.name].ctypes.data for b in kernel.args), *(case.symbols[s] for s in kernel.symbols))
    dtypes = {b.name: b.dtype for b in kernel.args}
    decode = lambda name, a: from_bfloat16_bits(a) if dtypes[name] == bfloat16 else a  # noqa: E731
    return [(name, decode(name, ours[name]), decode(name, theirs[name])) for name in sorted(kernel.writes)]


@pytest.mark.parametrize("form", ["canonical", "as lowered"])
@pytest.mark.parametrize("name", ZOO)
def test_against_the_oracle(name: str, form: str) -> None:
    case = ZOO[name]()
    for buffer, ours, theirs in run_both(case, case.kernel if form == "canonical" else case.lowered):
        if ours.dtype.kind == "f":
            np.testing.assert_allclose(ours, theirs, rtol=case.tolerance, atol=case.tolerance, err_msg=buffer)
        else:
            np.testing.assert_array_equal(ours, theirs, err_msg=buffer)
