"""float16 and bfloat16: every op of the program rounds as eager's does, whatever is fused with it."""

from __future__ import annotations

import pytest
import torch

import quern

pytestmark = pytest.mark.sampled(3)

halves = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
F = torch.nn.functional


def chain(x, y):
    a = (x * y + x).relu() - y
    return (
        a,
        F.gelu(a) * torch.sigmoid(y),
        F.silu(x) * y,
        torch.exp(x) / (1 + torch.exp(x)),
        torch.cos(x) * x + torch.sin(x) * y,
    )


def explicit(x, y):
    return x.float(), x.float().to(x.dtype).float() * y.float() + 1, (x.float() * 3).to(x.dtype) - y


def normalised(x, y):
    return torch.softmax(x * y, -1) * y, F.layer_norm(x * y, (33,)) + x, x * x.mean(-1, keepdim=True)


def numbers(x, y):
    return (
        x + 0.3,
        0.3 - x,
        x > 0.3,
        x % 0.3,
        x * 0.1,
        x / 0.3,
        0.3 / x,
        x + torch.tensor(0.3),
        torch.full_like(x, 0.3) + x,
        torch.fmod(x, 0.3),
        torch.xlogy(x, 3.3),
        torch.float_power(x.abs(), 2.2),
        torch.div(x, 0.3, rounding_mode="trunc"),
        torch.div(x, 0.3, rounding_mode="floor"),
    )


@halves
@pytest.mark.parametrize("function", [chain, explicit, normalised, numbers])
@pytest.mark.parametrize("settings", [{}, {"dynamic": True}, {"backend": "eager"}], ids=["static", "dynamic", "eager"])
def test_bits_are_eagers(function, dtype, settings):
    torch.manual_seed(0)
    x, y = torch.randn(5, 33).to(dtype), torch.randn(5, 33).to(dtype)
    for found, expected in zip(quern.compile(function, **settings)(x, y), function(x, y)):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@halves
def test_a_rounding_between_two_float32_values_stays(dtype):
    def f(x, y):
        return x + 1, x.to(dtype).float() * y

    x, y = torch.randn(100), torch.randn(100)
    assert torch.equal(quern.compile(f)(x, y)[1], f(x, y)[1])


@pytest.mark.parametrize("alpha", [2, 0.5, -1])
def test_alpha_scales_in_the_type_of_the_sum(alpha):
    def f(x, y):
        return torch.add(x, y, alpha=alpha), torch.sub(x, y, alpha=alpha)

    x = torch.randn(9, dtype=torch.float16)
    for y in (torch.tensor([100, -100, 64] * 3, dtype=torch.int8), torch.randn(9, dtype=torch.float16)):
        for found, expected in zip(quern.compile(f)(x, y), f(x, y)):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_alpha_of_booleans():
    def f(x, y):
        return torch.add(x, y, alpha=2)

    x, y = torch.tensor([True, True, False]), torch.tensor([True, False, False])
    found = quern.compile(f)(x, y)
    assert found.dtype == torch.bool
    assert torch.equal(found, f(x, y))


@halves
def test_without_rounding_a_kernel_keeps_float32(dtype):
    torch.manual_seed(0)
    x, y = torch.randn(1000).to(dtype), torch.randn(1000).to(dtype)
    exact = ((x.double() * y.double() + x.double()) * y.double()).to(dtype)
    found = quern.compile(lambda x, y: (x * y + x) * y, options={"round_halves": False})(x, y)
    eager = (x * y + x) * y
    assert (found - exact).abs().sum() < (eager - exact).abs().sum()
    torch.testing.assert_close(found, exact)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "other",
    [
        torch.full((5,), 2049),
        torch.tensor(2049),
        torch.full((5,), 70000),
        torch.tensor(70000),
        torch.full((1, 1), 70000),
    ],
)
def test_integers_beside_halves_are_halves(dtype, other):
    """Their last digits are lost before anything is computed; a single factor or divisor keeps them."""
    x = torch.tensor([0, 0.5, 1, 2, 3]).to(dtype)

    def program(x, y):
        return (
            x + y,
            y - x,
            x * y,
            y * x,
            x / y,
            y / (x + 1),
            torch.maximum(x, y),
            torch.hypot(x, y),
            torch.atan2(x, y),
            x < y,
        )

    for want, got in zip(program(x, other), quern.compile(program)(x, other)):
        torch.testing.assert_close(got, want, rtol=0, atol=0, equal_nan=True)


@halves
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (64,)], ids=str)
@pytest.mark.parametrize("other", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_quotients_by_one_element(dtype, shape, other):
    """A divisor of one element is not rounded, nor are the steps of the division."""

    def f(x, y):
        modes = [torch.div(x, y, rounding_mode=mode) for mode in (None, "trunc", "floor")]
        return *modes, x // y, torch.floor_divide(x, y), torch.remainder(x, y), x * y

    torch.manual_seed(0)
    x = torch.cat([torch.randn(40) * 100, torch.arange(24)]).to(dtype)
    for value in (0.1, 0.3, 1 / 3, 7.01, 1e-3):
        y = torch.full(shape, value, dtype=other)
        quern.reset()
        for found, expected in zip(quern.compile(f)(x, y), f(x, y)):
            assert found.dtype == expected.dtype
            if found.dtype == dtype:
                torch.testing.assert_close(found, expected, rtol=0, atol=0)
