"""The numerics contract (docs/numerics.md): precision and order where eager accumulates, values at the ends of each dtype's range,
numbers that a dtype cannot hold, and results that do not depend on what else the program computes.
"""

from __future__ import annotations

import pytest
import torch

import quern

F, T = torch.nn.functional, torch.tensor
INF, NAN = float("inf"), float("nan")
HALVES = (torch.float16, torch.bfloat16)


def compiled(fn, **settings):
    return quern.compile(fn, backend="inductor", **settings)


def outcome(fn, args):
    """(results, None) or (None, (exception type, message))."""
    args = [a.clone() if isinstance(a, torch.Tensor) else a for a in args]
    with torch.no_grad():
        try:
            found = fn(*args)
        except Exception as error:
            return None, (type(error), str(error))
    return list(found) if isinstance(found, (tuple, list)) else [found], None


def check(fn, *args, rtol=0.0, dynamic=(None, True)):
    """The compiled function gives what eager gives, to the sign of zeros, or raises what eager raises."""
    wanted, error = outcome(fn, args)
    for setting in dynamic:
        got, raised = outcome(compiled(fn, dynamic=setting), args)
        assert raised == error
        for w, g in zip(wanted or (), got or (), strict=True):
            assert (g.dtype, g.shape, g.stride()) == (w.dtype, w.shape, w.stride())
            torch.testing.assert_close(g, w, rtol=rtol, atol=0, equal_nan=True)
            zeros = (w == 0) & (g == 0)
            assert not w.is_floating_point() or torch.equal(w.signbit() & zeros, g.signbit() & zeros)
    return error


# ------------------------------------------------------------------ accumulation


CANCELS = [1e8, 1.0, -1e8, 1.0, 1e8, 1.0, -1e8, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALVES])
@pytest.mark.parametrize("width", [1, 9, 33])
def test_a_running_sum_is_taken_element_by_element(dtype, width):
    scale = 1e8 if dtype == torch.float64 else 1e-4 if dtype == torch.float16 else 1
    x = (T(CANCELS, dtype=torch.float64) * scale).to(dtype)
    check(lambda x: x.cumsum(0), x)
    check(lambda x: (x.cumsum(0), (x / 3).cumsum(1)), x[:, None].repeat(1, width))


def test_a_long_running_sum_and_product():
    torch.manual_seed(0)
    x = torch.randn(3, 1500)
    check(lambda x: (x.cumsum(1), x.cumsum(0), (1 + x / 100).cumprod(1), x.double().cumsum(1)), x, dynamic=(None,))


@pytest.mark.parametrize("scale", [1e30, 1e-30, 1.0])
def test_variances_are_accumulated_in_double(scale):
    torch.manual_seed(0)
    x = torch.randn(20, 50) * scale
    check(
        lambda x: (x.std(), x.std(0), *torch.std_mean(x, 1), x.double().var(1).float()), x, rtol=1e-6, dynamic=(None,)
    )


def test_a_variance_keeps_the_digits_that_its_mean_takes():
    torch.manual_seed(0)
    x = (torch.randn(50, 100, dtype=torch.float64) + 1e6).float()
    check(lambda x: (x.var(1), x.var(0, correction=0), *torch.var_mean(x)), x, rtol=1e-6, dynamic=(None,))


def test_batch_norm_rounds_as_eager_does_far_from_zero():
    torch.manual_seed(0)
    x = torch.randn(4, 7, 5, 5) + 100
    mean, var, weight, bias = torch.randn(7) + 100, torch.rand(7), torch.rand(7) + 0.5, torch.randn(7)
    for training in (True, False):

        def program(x, mean, var, weight, bias, training=training):
            return F.batch_norm(x, mean, var, weight, bias, training=training)

        (wanted,), _ = outcome(program, (x, mean, var, weight, bias))
        (got,), _ = outcome(compiled(program), (x, mean, var, weight, bias))
        assert (got - wanted).abs().max() < 5e-5  # (x - mean) * scale is up to 1e-3 away from it


# ------------------------------------------------------------------ powers and fused products


SPECIAL = [-INF, -0.0, 0.0, 4.0, INF, NAN, 2.25, -4.0, 9.0]


@pytest.mark.parametrize("exponent", [0.5, -0.5, 2.0, -1.0, 0.0, 1.0, 3.0, -2.0])
def test_an_exponent_that_is_a_tensor_is_no_number(exponent):
    x = T(SPECIAL)
    check(lambda x: (x**exponent, x ** torch.full_like(x, exponent), torch.pow(x, T(exponent))), x, rtol=2e-7)


def test_an_exponent_that_changes():
    f = compiled(lambda x, b: x**b)
    for b in (2.0, 3.0, 0.5, -0.5, 1.5):
        (wanted,), _ = outcome(lambda x, b: x**b, (T(SPECIAL), b))
        (got,), _ = outcome(f, (T(SPECIAL), b))
        torch.testing.assert_close(got, wanted, rtol=2e-7, atol=0, equal_nan=True)
        assert torch.equal(got.signbit() & (got == 0), wanted.signbit() & (wanted == 0))


def test_integers_to_negative_powers():
    x = T([2, -3, 1, -1, 7])
    check(lambda x: x ** torch.full_like(x, -1), x)
    error = check(lambda x: x**-1, x)
    assert error == (RuntimeError, "Integers to negative integer powers are not allowed.")


def test_a_scaled_sum_is_rounded_once():
    big = torch.finfo(torch.float32).max
    x = T([big, -big, 0.1, -7.3, 100.7, -0.0])
    check(
        lambda x: (
            torch.sub(x, x, alpha=2),
            torch.add(x, x, alpha=-2),
            torch.sub(x, x, alpha=3),
            torch.add(x, x, alpha=1.5),
        ),
        x,
    )
    check(lambda x: torch.sub(x, x, alpha=0), x)
    check(lambda x: torch.lerp(x, x + x, -2.0), x)


# ------------------------------------------------------------------ numbers outside a dtype


OUTSIDE = {
    "fill_": lambda x, v: x.clone().fill_(v),
    "masked_fill": lambda x, v: x.masked_fill(x > 0, v),
    "full_like": torch.full_like,
    "full": lambda x, v: torch.full((3,), v, dtype=x.dtype),
    "new_full": lambda x, v: x.new_full((2,), v),
    "where": lambda x, v: torch.where(x > 0, x, v),
    "clamp": lambda x, v: x.clamp(max=v),
    "setitem": lambda x, v: x.clone().__setitem__(0, v),
    "index_fill": lambda x, v: x.index_fill(0, T([0]), v),
    "scatter": lambda x, v: x.scatter(0, T([0]), v),
    "pad": lambda x, v: F.pad(x, (1, 1), value=v),
    "alpha": lambda x, v: torch.add(x, x, alpha=v),
    "threshold": lambda x, v: F.threshold(x, 1, v),
}


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize(
    ("dtype", "value"), [(torch.int8, 300), (torch.uint8, -300), (torch.int32, 1 << 40), (torch.float32, 1e300)]
)
def test_a_number_that_the_dtype_cannot_hold_is_refused(name, dtype, value):
    error = check(lambda x: OUTSIDE[name](x, value), T([1, 0, 5]).to(dtype), dynamic=(None,))
    assert error is not None
    assert error[0] is RuntimeError
    assert "cannot be converted to type" in error[1]


@pytest.mark.parametrize("value", [-200, 2.7, True, 255])
def test_a_number_that_loses_digits_or_wraps_is_taken(value):
    x = T([1, 0, 5], dtype=torch.uint8)
    check(
        lambda x: (x.clone().fill_(value), x.masked_fill(x > 0, value), torch.full_like(x, value)), x, dynamic=(None,)
    )


def test_arithmetic_and_comparisons_wrap_numbers_as_eager_does():
    x = T([-128, 0, 127, -56], dtype=torch.int8)
    check(lambda x: (x > 200, x == 200, x < 300, x + 300, x * 1000, x - 129), x)


# ------------------------------------------------------------------ other refusals


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x - True,
        lambda x: True - x,
        lambda x: x - (x > 0),
        lambda x: torch.add(x, x, alpha=0.5),
        lambda x: F.hardtanh(x, 1, -1),
        lambda x: torch.heaviside(x, T(0.5)),
    ],
)
def test_what_eager_refuses_of_integers(fn):
    assert check(fn, T([1, 2, 3])) is not None


# ------------------------------------------------------------------ conversions, zeros


FLOATS = [0.0, -0.0, 1.5, -3.0, -7.3, 300.0, 65504.0, 1e10, 3e9, -1e19, 1e30, INF, -INF, NAN, 2.5, 3.5]


@pytest.mark.parametrize("target", "int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool float16 bfloat16".split())
@pytest.mark.parametrize("source", [torch.float32, torch.float64])
def test_conversions_at_the_ends_of_the_range(source, target):
    x = T(FLOATS * 2, dtype=source)
    wanted = x.to(getattr(torch, target))
    got = compiled(lambda x: x.to(getattr(torch, target)))(x)
    assert got.dtype == wanted.dtype
    assert got.tolist() == wanted.tolist() or (got.isnan() == wanted.isnan()).all()


def test_zeros_keep_their_sign_where_bounds_are_zero():
    x = T([-0.0, 0.0, -1.0, NAN, 2.0])
    check(
        lambda x: (x.clamp(min=0), x.clamp(max=0.0), torch.relu(x), x.clamp(-0.0, 0.0), F.pad(x, (1, 1), value=-0.0)), x
    )


# ------------------------------------------------------------------ company


COMPANIONS = [
    torch.sigmoid,
    torch.tanh,
    torch.exp,
    torch.erf,
    lambda x: F.softplus(x),
    lambda x: torch.log1p(torch.exp(x)),
]


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(
    "fn", [F.silu, F.mish, F.gelu, F.softsign, F.tanhshrink, F.logsigmoid, F.elu], ids=lambda f: f.__name__
)
def test_a_half_does_not_depend_on_what_else_is_computed(dtype, fn):
    torch.manual_seed(0)
    x = torch.randn(333).to(dtype)
    alone = compiled(fn)(x)
    together = compiled(lambda x: (fn(x), *(g(x) for g in COMPANIONS)))(x)
    torch.testing.assert_close(together[0], alone, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", HALVES)
def test_a_fill_of_a_half_is_rounded(dtype):
    x = torch.zeros(3).to(dtype)
    check(lambda x: F.pad(x, (1, 1), value=0.1) * 3, x)
    check(lambda x: torch.where(x > 0, x, 0.1) * 3, x)


# ------------------------------------------------------------------ resampling


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("factor", [1.05, 1.2, 1.3, 2.0, 2.1, 2.4, 0.7])
def test_nearest_at_factors_that_give_round_sizes(dims, factor):
    x = torch.arange(4.0 * 3**dims).reshape(2, 2, *(3,) * dims)
    check(lambda x: F.interpolate(x, scale_factor=factor, mode="nearest"), x)


@pytest.mark.parametrize(("mode", "dims"), [("linear", 1), ("bilinear", 2), ("trilinear", 3)])
def test_a_linear_resampling_to_the_same_size_is_a_copy(mode, dims):
    x = torch.rand(1, 2, *(3,) * dims)
    check(lambda x: F.interpolate(x, scale_factor=1.3, mode=mode), x)
    check(lambda x: F.interpolate(x.double(), scale_factor=1.7, mode=mode, align_corners=False), x, rtol=1e-12)


@pytest.mark.parametrize(
    "kw",
    [
        {"scale_factor": 2.0, "mode": "nearest", "align_corners": True},
        {"size": 4, "scale_factor": 2.0},
        {"mode": "nearest"},
        {"size": (4, 4, 4)},
        {"scale_factor": 0.1},
        {"size": 4, "mode": "trilinear"},
    ],
)
def test_resampling_that_eager_refuses(kw):
    assert check(lambda x: F.interpolate(x, **kw), torch.rand(1, 1, 3, 3), dynamic=(None,)) is not None
