"""Every op of the table through the Triton generator: its kernels under the interpreter against the NumPy oracle."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.sampled(3)

pytest.importorskip("torch")
pytest.importorskip("triton")
sys.path.insert(0, str(Path(__file__).parents[2]))  # the folder that holds the `ops` test package

from ops import evaluate, test_op_table  # noqa: E402
from ops.samples import Sample  # noqa: E402
from quern.inductor.codegen.triton import TritonOptions, generate  # noqa: E402
from quern.inductor.dtypes import bfloat16  # noqa: E402
from quern.inductor.kernel import Kernel  # noqa: E402
from quern.inductor.reference import from_bfloat16_bits, run_kernel  # noqa: E402
from quern.kernels.gpu.interpreted import interpret  # noqa: E402

#: how far float results may be apart: summation order and math functions differ
TOLERANCE = {"float16": 1e-2, "bfloat16": 2e-2, "float32": 2e-5, "float64": 1e-12}
LOOPED = TritonOptions(persistent=False, row_block=4)


def check(sample: Sample, options: TritonOptions, monkeypatch) -> None:
    """Compute a sample as the op tests do, every kernel of it twice: by the oracle, which checks bounds, then by Triton."""

    def run_both(kernel: Kernel, arrays: Mapping[str, np.ndarray], symbols: Mapping[str, int]) -> None:
        expected = {name: a.copy() for name, a in arrays.items()}
        run_kernel(kernel, expected, symbols)
        launch = interpret(generate(kernel, options))
        launch(*(arrays[b.name].ctypes.data for b in kernel.args), *(symbols[s] for s in kernel.symbols))
        for b in kernel.args:
            ours, theirs = arrays[b.name], expected[b.name]
            if b.dtype == bfloat16:
                ours, theirs = from_bfloat16_bits(ours), from_bfloat16_bits(theirs)
            tolerance = TOLERANCE.get(b.dtype.name, 0)
            np.testing.assert_allclose(
                ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True, err_msg=f"{sample}\n{kernel}"
            )

    monkeypatch.setattr(evaluate, "run_kernel", run_both)
    test_op_table.check_value(sample)  # its own verdict, against eager, is the op tests' business


@pytest.mark.parametrize("op", sorted(test_op_table.BY_OP))
def test_op(op: str, monkeypatch) -> None:
    for sample in test_op_table.BY_OP[op][:2]:
        check(sample, TritonOptions(), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("options", [TritonOptions(), LOOPED], ids=["default", "looped"])
@pytest.mark.parametrize("op", sorted(test_op_table.BY_OP))
def test_op_in_full(op: str, options: TritonOptions, monkeypatch) -> None:
    for sample in test_op_table.BY_OP[op]:
        check(sample, options, monkeypatch)
