"""What a first call loads: parts of the frameworks that the program does not use stay unloaded, and are known once it uses them."""

from __future__ import annotations

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


FIRST_CALL = """
import sys, torch, quern
before = set(sys.modules)
quern.compile(lambda x: x + 1, backend="eager")(torch.ones(2))
loaded = set(sys.modules) - before
"""


def test_a_first_call_loads_no_parts_that_torch_and_numpy_load_late():
    late = ("torch.onnx", "torch._dynamo", "numpy.polynomial")
    assert run_python(FIRST_CALL + f"print([m for m in {late} if m in loaded])") == "[]"


def test_functions_of_a_part_that_is_imported_later_are_known():
    code = """
def choose(x):
    return x if torch.onnx.is_in_onnx_export() else x * 2
print(quern.compile(choose, backend="eager", fullgraph=True)(torch.ones(2)).tolist())
"""
    assert run_python(FIRST_CALL + code) == "[2.0, 2.0]"


def test_polynomials_of_numpy_are_known_once_they_are_imported():
    code = """
import numpy as np, quern
quern.compile(lambda x: x + 1, backend="eager")(np.ones(2))
from numpy.polynomial import polynomial
f = quern.compile(lambda x, c: (polynomial.polyval(x, c), polynomial.polyder(c)), backend="eager", fullgraph=True)
print([r.tolist() for r in f(np.arange(3.0), np.array([1.0, 2.0, 3.0]))])
"""
    assert run_python(code) == "[[1.0, 6.0, 17.0], [2.0, 6.0]]"
