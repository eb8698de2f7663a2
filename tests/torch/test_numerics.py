"""The numerics contract (docs/numerics.md): precision and order where eager accumulates, values at the ends of each dtype's range,
numbers that a dtype cannot hold, and results that do not depend on what else the program computes.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import quern

pytestmark = pytest.mark.sampled(3)

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


def test_instance_norm_and_batch_norm_over_huge_values():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5, 5) * 1e30  # distances are squared in float32: no variance is left
    (wanted,), _ = outcome(lambda x: F.batch_norm(x, None, None, training=True), (x,))
    (got,), _ = outcome(compiled(lambda x: F.batch_norm(x, None, None, training=True)), (x,))
    assert torch.equal(got, wanted)
    near = torch.randn(2, 3, 40) + 100
    (wanted,), _ = outcome(F.instance_norm, (near,))
    (got,), _ = outcome(compiled(F.instance_norm), (near,))
    assert (got - wanted).abs().max() < 5e-5


def test_a_trace_is_summed_in_double():
    check(lambda x: x.trace(), torch.diag(T(CANCELS)))


@pytest.mark.parametrize("dtype", HALVES)
def test_sums_of_halves_at_positions(dtype):
    torch.manual_seed(0)
    at, columns = torch.randint(0, 3, (12,)), torch.randint(0, 3, (8,))
    for shape in ((12,), (12, 8), (12, 5, 8)):
        x, base = torch.randn(shape).to(dtype), torch.randn(shape).to(dtype)
        check(lambda base, x: base.index_add(0, at, x), base, x)
        check(lambda base, x: base.index_put((at,), x, accumulate=True), base, x)
        spread = at.reshape(-1, *(1,) * (len(shape) - 1)).expand(shape)
        check(lambda base, x, spread: base.scatter_add(0, spread, x) * 3, base, x, spread)
        if shape[-1] == 8:
            check(lambda base, x: base.index_add(-1, columns, x), base, x)


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
    check(lambda x: (torch.lerp(x, x + x, 0.3), torch.add(x, x, alpha=0.3)), x.double())


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


def test_an_int_that_changes_is_held_to_the_dtype():
    f = compiled(lambda x, n: x.clone().fill_(n))
    x = T([1, 2], dtype=torch.int8)
    for n in (3, 4, 100):
        assert f(x, n).tolist() == [n, n]
    with pytest.raises(RuntimeError, match="cannot be converted to type int8_t without overflow"):
        f(x, 300)


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


UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_unsigned_integers_have_the_ops_that_eager_has_for_them(dtype):
    x = T([1, 2, 7], dtype=torch.int64).to(dtype)
    for fn in (
        lambda x: x + x,
        lambda x: x < 2,
        lambda x: x.clamp(0, 1),
        torch.logical_not,
        lambda x: x << 1,
        lambda x: x == 2,
    ):
        check(fn, x, dynamic=(None,))
    check(lambda x: (x.clone(), torch.cat([x, x]), x[1:], x.reshape(3, 1).expand(3, 2).contiguous(), x.float() * 2), x)


REFUSED = {
    "delta": (lambda x: F.huber_loss(x, x, delta=-1.0), (4,)),
    "beta": (lambda x: F.smooth_l1_loss(x, x, beta=-1.0), (4,)),
    "smoothing": (lambda x: F.cross_entropy(x, T([0, 1]), label_smoothing=2.0), (2, 4)),
    "probability": (lambda x: F.binary_cross_entropy(x, x + 2), (4,)),
    "target size": (lambda x: F.binary_cross_entropy_with_logits(x, torch.ones(4)), (2, 4)),
    "movedim": (lambda x: x.movedim(0, 4), (2, 4)),
    "flipud": (torch.flipud, ()),
    "a mesh of two types": (lambda x: torch.meshgrid(x, x.double(), indexing="ij"), (4,)),
    "a mesh of a column": (lambda x: torch.meshgrid(x[:, None], x, indexing="ij"), (4,)),
    "repeated along no dim": (lambda x: x.repeat_interleave(2, -1), ()),
    "three dims turned in place": (lambda x: (x * 2).t_(), (2, 3, 4)),
    "diag": (torch.diag, (1, 2, 4)),
    "circular": (lambda x: F.pad(x, (1, 1), mode="circular"), (4,)),
    "replicate": (lambda x: F.pad(x, (1, 1, 1, 1), mode="replicate"), (2, 4)),
    "padding without channels": (lambda x: F.pad(x, (1, 1), mode="replicate"), (2, 0, 3)),
    "padding without rows": (lambda x: F.pad(x, (0, 0, 0, 0), mode="reflect"), (2, 0, 3)),
    "prelu": (lambda x: F.prelu(x, torch.ones(3)), ()),
    "prelu of integers": (lambda x: F.prelu((x * 9).int(), torch.ones(1)), (4,)),
    "huber of integers": (lambda x: F.huber_loss((x * 9).int(), x), (4,)),
    "kl of integers": (lambda x: F.kl_div((x * 9).int(), x, reduction="sum"), (4,)),
    "negative powers of bools": (lambda x: (x > 0) ** -1, (4,)),
    "batch norm of integers": (lambda x: F.batch_norm((x * 9).long(), torch.zeros(2), torch.ones(2)), (3, 2)),
    "padding of bools": (lambda x: F.pad(x > 0, (1, 1), mode="reflect"), (2, 3)),
    "channels of a matrix": (lambda x: F.channel_shuffle(x, 2), (3, 4)),
    "no groups of channels": (lambda x: F.channel_shuffle(x, 0), (3, 4, 2)),
    "odd groups of channels": (lambda x: F.channel_shuffle(x, 3), (1, 4, 2)),
    "pixels by nothing": (lambda x: F.pixel_shuffle(x, 0), (4, 2, 2)),
    "pixels of too few channels": (lambda x: F.pixel_shuffle(x, 2), (2, 0, 2)),
    "pixels of a volume": (lambda x: F.pixel_shuffle(x.permute(0, 4, 1, 2, 3), 1), (1, 2, 3, 4, 5)),
    "groups of one element": (lambda x: F.group_norm(x, 2), (1, 2)),
    "a group of one element": (lambda x: F.group_norm(x, 1), (1, 1, 1)),
    "instances of one element": (F.instance_norm, (2, 3, 1)),
    "addcmul of bools": (lambda x: torch.addcmul(x > 0, x > 0, x > 0), (4,)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ranks_dtypes_and_settings_that_eager_refuses(name):
    fn, shape = REFUSED[name]
    assert check(fn, torch.rand(shape), dynamic=(None,)) is not None


@pytest.mark.parametrize("order", [0, 0.5, 1, 2, 3, -2, INF])
@pytest.mark.parametrize("value", [1e-30, -1e30, 0.0, NAN])
def test_the_norm_of_one_element_is_its_size(order, value):
    norm = torch.linalg.vector_norm
    x = T([[value], [value]])
    check(lambda x: (norm(x, order, 1), norm(x[:1], order, keepdim=True), norm(x[0, 0], order), F.normalize(x)), x)


@pytest.mark.parametrize("dim", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("at", [(0, 0, 0), (1, 1, 2), (1, 2, 3)])
def test_a_mean_beside_a_variance_is_nan_behind_an_infinity(at, dim):
    """Eager's mean moves from element to element: only a last one leaves it infinite."""
    x = torch.rand(2, 3, 4)
    x[at] = INF
    check(lambda x: (*torch.var_mean(x, dim), *torch.std_mean(x, dim, keepdim=True)), x)


# ------------------------------------------------------------------ conversions, zeros


FLOATS = [0.0, -0.0, 1.5, -3.0, -7.3, 300.0, 65504.0, 1e10, 3e9, -1e19, 1e30, INF, -INF, NAN, 2.5, 3.5]


@pytest.mark.parametrize("target", "int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool float16 bfloat16".split())
@pytest.mark.parametrize("source", [torch.float32, torch.float64])
def test_conversions_at_the_ends_of_the_range(source, target):
    x = T(FLOATS * 2, dtype=source)
    wanted = x.to(getattr(torch, target))
    got = compiled(lambda x: x.to(getattr(torch, target)))(x)
    assert got.dtype == wanted.dtype and torch.equal(got.isnan(), wanted.isnan())
    assert got[~got.isnan()].tolist() == wanted[~got.isnan()].tolist()


@pytest.mark.parametrize(
    "never_negative", [torch.abs, torch.sqrt, torch.exp, torch.square, lambda x: x * x, torch.relu]
)
@pytest.mark.parametrize("source", [torch.float32, torch.float64])
@pytest.mark.parametrize("target", [torch.int64, torch.int32, torch.int16])
def test_the_integer_of_what_has_none_is_negative(never_negative, source, target):
    def program(x):
        i = never_negative(x).to(target)
        return i, i % 5, i // 7, i < 0, i.abs() == i, i >> 3

    for value in (NAN, INF, 1e19, 3.0):
        for shape in ((), (3,), (19,)):
            check(program, torch.full(shape, value, dtype=source))


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
@pytest.mark.parametrize("value", [0.3, 1.7, 2049, 1 << 40, 0.5, -0.5])
def test_halves_meet_numbers_as_in_eager(dtype, value):
    torch.manual_seed(0)
    x = (torch.rand(256) * 4 + 0.1).to(dtype)
    x[:4] = T([INF, -INF, -0.0, NAN])
    check(lambda x: (x + value, value - x, x**value, x % value, x // value, torch.fmod(x, value), x > value), x)
    check(lambda x: (value**x, x * value, x / value, torch.div(x, value, rounding_mode="trunc")), x)


@pytest.mark.parametrize("dtype", HALVES)
def test_halves_are_rounded_between_the_steps_of_what_eager_has_no_kernel_for(dtype):
    torch.manual_seed(0)
    x, y = torch.randn(256).to(dtype), torch.rand(256).to(dtype)
    check(
        lambda x, y: (
            F.softsign(x),
            F.tanhshrink(x),
            F.mse_loss(x, y, reduction="none"),
            F.l1_loss(x, y, reduction="none"),
        ),
        x,
        y,
    )
    check(lambda x, y: (F.kl_div(x, y, reduction="none"), torch.xlogy(x, y), x // y), x, y)
    check(lambda x, y: torch.div(x, y, rounding_mode="trunc"), x, y)


def test_logic_asks_operands_of_one_dtype():
    x = T([1, 0, 5], dtype=torch.int8)
    check(lambda x: (torch.logical_and(x, T(256)), torch.logical_or(x, T(0.5)), torch.logical_xor(x, x.long())), x)


def test_settings_of_integers_are_integers():
    x = T([1, -2, 3, 127], dtype=torch.int8)
    check(lambda x: (torch.addcmul(x, x, x, value=0.5), torch.addcmul(x, x, x, value=1.5), F.threshold(x, -0.5, 7)), x)


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


@pytest.mark.parametrize(("mode", "dims"), [("linear", 1), ("bilinear", 2), ("trilinear", 3)])
@pytest.mark.parametrize("corners", [False, True])
def test_a_linear_resampling_to_the_same_size_of_an_infinity(mode, dims, corners):
    x = torch.rand(1, 2, *(4,) * dims)
    x.view(-1)[::5] = T([INF, -INF, NAN, -0.0, 1.5] * 30)[: x.view(-1)[::5].numel()]
    for sizes in ((4,) * dims, (4,) * (dims - 1) + (8,), (8,) + (4,) * (dims - 1)):
        check(lambda x, sizes=sizes: F.interpolate(x, size=sizes, mode=mode, align_corners=corners), x, rtol=1e-6)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_images_without_channels_are_not_resampled(mode):
    ours = quern.compile(lambda x: F.interpolate(x, size=9, mode=mode))
    assert ours(torch.empty(0, 3, 6)).shape == (0, 3, 9)
    with pytest.raises(RuntimeError, match="Non-empty 3D data tensor expected"):
        ours(torch.empty(3, 0, 6))


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


NOWHERE = {
    "embedding": lambda x, i: F.embedding(i, x),
    "index_select": lambda x, i: x.index_select(0, i),
    "index": lambda x, i: x[i],
    "gather": lambda x, i: x.gather(0, i[:, None]),
    "scatter": lambda x, i: x.scatter(0, i[:, None], 1.0),
    "index_add": lambda x, i: x.index_add(0, i, torch.ones(2, 3)),
    "index_fill": lambda x, i: x.index_fill(0, i, 1.0),
    "index_put": lambda x, i: x.index_put((i,), T(1.0)),
    "nll_loss": lambda x, i: F.nll_loss(x.t()[:2], i[:2]),
}


@pytest.mark.parametrize("name", NOWHERE)
def test_indices_into_nothing_are_refused(name):
    error = check(NOWHERE[name], torch.rand(0, 3), T([0, 1]), dynamic=(None,))
    assert error is not None or name == "index_add"  # eager does not look where it has nothing to write


@pytest.mark.parametrize("bound", [-(2**63), 2**63 - 1])
def test_bounds_at_the_ends_of_the_range(bound):
    x = torch.tensor([-(2**63), -1, 0, 2**63 - 1])

    def f(x):
        return x.clamp(max=bound), x.clamp(min=bound), torch.where(x > bound, x, bound), x == bound, x.fill_(bound)

    for got, expected in zip(quern.compile(f)(x.clone()), f(x.clone()), strict=True):
        assert got.dtype == expected.dtype and torch.equal(got, expected)


@pytest.mark.parametrize(
    "values", [[math.inf] * 2, [math.inf, -math.inf], [1.0, math.inf], [math.inf, 1.0], [math.inf], [-math.inf] * 3]
)
@pytest.mark.parametrize("function", [torch.var_mean, torch.std_mean])
def test_means_of_several_infinities_beside_a_variance(function, values):
    x = torch.tensor(values, dtype=torch.float32)
    for found, expected in zip(quern.compile(function)(x), function(x)):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


#: tables of numbers that hold both zeros
ZEROS = {
    "one of each": lambda x: 1 / torch.tensor([0.0, -0.0]),
    "the other first": lambda x: torch.tensor([-0.0, 0.0]).signbit(),
    "halves": lambda x: torch.tensor([0.0, -0.0, -0.0, 0.0, 0.0], dtype=torch.float16).signbit(),
    "beside an operand": lambda x: torch.copysign(x, torch.tensor([[0.0, -0.0], [-0.0, -0.0]])),
    "of NumPy": lambda x: torch.from_numpy(np.array([0.0, -0.0])).signbit(),
}


@pytest.mark.parametrize("name", ZEROS)
def test_the_zeros_of_a_table_keep_their_signs(name):
    x = torch.ones(2, 2)
    for backend in ("eager", "inductor"):
        assert torch.equal(quern.compile(ZEROS[name], backend=backend)(x), ZEROS[name](x))


LOSSES = [F.huber_loss, F.kl_div, F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.mse_loss, F.smooth_l1_loss,
          F.cosine_similarity, lambda x, y: F.cross_entropy(x, y)]  # fmt: skip
FLOAT_TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_losses_of_two_types_compute_each_step_in_the_type_that_eager_does(loss):
    x, y = torch.rand(4, 5, dtype=torch.float64) * 0.8 + 0.1, torch.rand(4, 5, dtype=torch.float64) * 0.8 + 0.1

    def outcome(f, one, two):
        try:
            return f(x.to(one), y.to(two))
        except RuntimeError as error:
            return str(error)

    for one in FLOAT_TYPES:
        for two in FLOAT_TYPES:
            wanted, found = outcome(loss, one, two), outcome(quern.compile(loss), one, two)
            if isinstance(wanted, str):
                assert found == wanted
            else:
                assert found.dtype == wanted.dtype
                least = max((one, two), key=lambda t: torch.finfo(t).eps)
                torch.testing.assert_close(found, wanted, rtol=2 * torch.finfo(least).eps, atol=0)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_the_variance_of_no_elements_is_nan_whatever_its_correction(backend):
    def f(x):
        return x.var(0, correction=-1), x.std(correction=-2), *torch.var_mean(x, 1, correction=-1), x.std(0)

    for shape in ((0, 3), (3, 0), (1, 3)):
        x = torch.ones(shape)
        torch.testing.assert_close(quern.compile(f, backend=backend)(x), f(x), equal_nan=True)


def test_losses_expand_a_tensor_without_dims_before_its_type_counts():
    def f(x, y):
        return F.mse_loss(x, y), F.mse_loss(y, x), F.l1_loss(x, y, reduction="none"), F.smooth_l1_loss(y, x)

    for one, two in ((torch.float32, torch.float16), (torch.float64, torch.float32)):
        x, y = torch.tensor(0.5, dtype=one), torch.tensor([0.25, 2.0], dtype=two)
        torch.testing.assert_close(quern.compile(f)(x, y), f(x, y))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["sum", "nansum", "prod", "cumsum", "cumprod", "mean"])
@pytest.mark.parametrize(
    "x", [torch.tensor([257.0, -256.0]), torch.tensor([2049, -2048]), torch.tensor([70000.0, -70000.0])], ids=str
)
def test_items_take_the_type_that_is_asked_for_before_they_are_added(name, kind, x):
    def reduced(x):
        return getattr(x, name)(0, dtype=kind) if name.startswith("cum") else getattr(x, name)(dtype=kind)

    torch.testing.assert_close(quern.compile(reduced)(x), reduced(x), rtol=0, atol=0, equal_nan=True)
    half = x.half()
    torch.testing.assert_close(quern.compile(reduced)(half), reduced(half), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8, None])
def test_ramps_of_integers_between_floats(kind):
    def ramp(x, *bounds):
        return x + torch.arange(*bounds, dtype=kind)

    compiled = quern.compile(ramp)
    x = torch.tensor(0)
    for bounds in ((0, 3, 1.5), (7, 0, -2.5), (0.5, 3.7, 1), (0, 2.9, 1), (0.5, 3, 1.5), (3.5,)):
        torch.testing.assert_close(compiled(x, *bounds), ramp(x, *bounds), rtol=0, atol=0)
    for step in (1.0, 1.5, 2.5, 3.0):
        torch.testing.assert_close(compiled(x, 0, 5, step), ramp(x, 0, 5, step), rtol=0, atol=0)
