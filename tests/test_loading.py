"""What a first call loads: parts of the frameworks that the program does not use stay unloaded, and are known once it uses them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from quern.capture.frontends.numpy import examples, inlined, names, objects
from quern.capture.frontends.numpy.frontend import is_of_numpy

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


def test_programs_over_torch_do_without_what_captures_numpy():
    assert (
        run_python(FIRST_CALL + "print([m for m in loaded if m.startswith('quern.capture.frontends.numpy.objects')])")
        == "[]"
    )


def test_arrays_of_numpy_are_captured_after_tensors():
    code = """
import numpy as np
double = quern.compile(lambda a: np.where(a > 1, a * 2, a), backend="eager", fullgraph=True)
print(double(np.arange(3.0)).tolist())
"""
    assert run_python(FIRST_CALL + code) == "[0.0, 1.0, 4.0]"


def test_every_function_that_graphs_know_is_recognised_as_one_of_numpy():
    known = [
        *names.FUNCTIONS,
        *examples.FOLDED,
        *examples.BY_EXAMPLE,
        *inlined.INLINED,
        *objects._INLINED_CODE,
        *objects._LIMITS,
    ]
    methods = [getattr(ufunc, name) for ufunc in (np.add, own_ufunc()) for name in names.UFUNC_METHODS]
    known += [objects._GRID, objects._CONCATENATED, np.r_.__getitem__, np.errstate, np.add, own_ufunc(), *methods]
    assert [fn for fn in known if not is_of_numpy(fn)] == []


def own_ufunc():
    return np.frompyfunc(lambda x: x, 1, 1)


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


def test_plans_of_generated_kernels_do_without_the_op_table_in_numpy():
    code = """
import sys, numpy as np, quern
assert np.array_equal(quern.compile(lambda x: x * 2 + 1)(np.ones(5)), np.full(5, 3.0))
print([m for m in sys.modules if m.endswith("numpy.table_ops")])
"""
    assert run_python(code) == "[]"


def test_a_program_that_compiles_nothing_loads_no_compiler():
    code = """
import os, sys
os.environ["QUERN_INSTALL"] = "1"
import quern, torch
names = [m for m in sys.modules if m.startswith(("quern.capture.entry", "quern.api", "torch._dynamo", "sympy"))]
print(names, torch.compile.__code__.co_filename)
"""
    assert run_python(code) == "[] <quern door>"
