"""A number beside a tensor of a narrow type stays the number where the op computes in another type."""

from __future__ import annotations

import math

import pytest
import torch

import quern

OPS = {
    "/": lambda x, n: x / n,
    "n /": lambda x, n: n / (x + 1),
    "true_divide": torch.true_divide,
    "trunc": lambda x, n: torch.div(x, n, rounding_mode="trunc"),
    "floor": lambda x, n: torch.div(x, n, rounding_mode="floor"),
    "fmod": torch.fmod,
    "copysign": torch.copysign,
    "xlogy": lambda x, n: torch.xlogy(x, abs(n)),
    "xlogy of a negative number": torch.xlogy,
    "float_power": lambda x, n: torch.float_power(x, math.copysign(1.5, n)),
    "rsub": lambda x, n: torch.rsub(x, n % 100),
}


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.float16, torch.bool])
@pytest.mark.parametrize("name", OPS)
def test_numbers_that_the_type_cannot_hold(name, dtype, backend):
    fn = OPS[name]
    compiled = quern.compile(fn, backend=backend)
    for x in (torch.tensor([0, 1, 2, 100]).to(dtype), torch.tensor(3).to(dtype)):
        for n in (2, -1, 200, 70000, -129):
            try:
                want = fn(x, n)
            except RuntimeError as error:
                with pytest.raises(type(error)) as caught:
                    compiled(x, n)
                assert str(caught.value) == str(error)
            else:
                torch.testing.assert_close(compiled(x, n), want, equal_nan=True)


@pytest.mark.parametrize("op", [torch.add, torch.sub])
@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.float16])
def test_a_scale_that_changes_and_no_longer_fits(op, dtype):
    def program(x, n):
        return op(x, x, alpha=n)

    compiled = quern.compile(program)
    x = torch.arange(5).to(dtype)
    for n in (2, 3, 4, 5):
        torch.testing.assert_close(compiled(x, n), program(x, n))
    for call in (program, compiled):
        with pytest.raises(RuntimeError, match="without overflow"):
            call(x, 70000)
