"""The hunt sees what it looks for: faults planted in place of the compiled program are found, and the program itself is not one."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from comparison import Difference  # noqa: E402
from hunt_ops import TorchArrays  # noqa: E402
from hunt_steps import ArraySpec, CallSpec, Case, Step, changed, check  # noqa: E402

FIRST = CallSpec((ArraySpec((3, 4), "float32"), ArraySpec((3, 4), "float32", "transposed", 1)))
CASE = Case((Step("{a} * {b} + n", (0, 1, 0)), Step("!{a}.mul_(2)", (1, 0, 0))), (FIRST, changed(FIRST, "numbers", 1)))


class Planted(TorchArrays):
    """Compiles to the program with something wrong in it."""

    def __init__(self, fault):
        self.fault = fault

    def compile(self, function, settings):
        return lambda *args: self.fault(function, *args)


def frozen_number(function, *args):
    return function(*args[:-2], 2, args[-1])


FAULTS = {
    "a value": lambda f, *args: tuple(r + 1e-3 for r in f(*args)),
    "a type": lambda f, *args: tuple(r.double() for r in f(*args)),
    "a layout": lambda f, *args: tuple(r.t().contiguous().t() for r in f(*args)),
    "sharing memory": lambda f, *args: tuple(r.clone() for r in f(*args)),
    "a lost write": lambda f, x, y, *args: f(x, y.clone(), *args),
    "an error": lambda f, *args: f(*args) and [][0],
    "a number of the first call": frozen_number,
}


def test_the_program_itself_agrees() -> None:
    assert "v2 = v0 * v1 + n" in check(CASE, Planted(lambda f, *args: f(*args)))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault) -> None:
    with pytest.raises(Difference):
        check(CASE, Planted(FAULTS[fault]))
