"""A number beside a tensor of a narrow type stays the number where the op computes in another type."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

import quern

pytestmark = pytest.mark.sampled(4)

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


KEEP_TYPE = {
    "fill_": lambda x, n: x.fill_(n),
    "setitem": lambda x, n: x.__setitem__(0, n) or x,
    "setitem by mask": lambda x, n: x.__setitem__(x > 0, n) or x,
    "setitem of a view": lambda x, n: x.view(-1)[1:].fill_(n),
    "masked_fill": lambda x, n: x.masked_fill(x > 0, n),
    "index_fill": lambda x, n: x.index_fill(0, torch.tensor([0]), n),
    "full_like": torch.full_like,
    "new_full": lambda x, n: x.new_full((2,), n),
    "tensor": lambda x, n: torch.tensor(n, dtype=x.dtype),
    "tensor of a list": lambda x, n: torch.tensor([[1, n], [n, 2]], dtype=x.dtype),
    "tensor with an element": lambda x, n: torch.tensor([x[0], n], dtype=x.dtype),
    "scalar_tensor": lambda x, n: torch.scalar_tensor(n, dtype=x.dtype),
    "pad": lambda x, n: torch.nn.functional.pad(x, (1, 1), value=n),
    "linspace": lambda x, n: torch.linspace(0, n, 3, dtype=x.dtype),
    "index_add": lambda x, n: x.index_add(0, torch.tensor([0]), x[:1], alpha=n),
}


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.float16])
@pytest.mark.parametrize("name", KEEP_TYPE)
def test_numbers_that_take_the_tensors_type(name, dtype, backend):
    """Negative ints wrap to unsigned types; negative floats, and whatever else is out of range, are refused."""
    fn = KEEP_TYPE[name]
    compiled = quern.compile(fn, backend=backend)
    for n in (2, 0.5, -2, -2.0, -0.5, 300, 300.0, -129, 70000.0, 3.0):
        try:
            want = fn(torch.tensor([0, 1, 2, 100]).to(dtype), n)
        except RuntimeError as error:
            with pytest.raises(type(error)) as caught:
                compiled(torch.tensor([0, 1, 2, 100]).to(dtype), n)
            assert str(caught.value) == str(error)
        else:
            torch.testing.assert_close(compiled(torch.tensor([0, 1, 2, 100]).to(dtype), n), want)


@pytest.mark.parametrize("op", [lambda x, n: n // x, lambda x, n: n % x, lambda x, n: n - x])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_ints_that_change_are_rounded_to_the_half_type(op, dtype):
    compiled = quern.compile(op)
    x = torch.tensor([1, 2, 3, 4, 100]).to(dtype)
    for n in (7, 300, 2051, 70000, 4099):
        torch.testing.assert_close(compiled(x, n), op(x, n), equal_nan=True, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int64, torch.float16])
@pytest.mark.parametrize(
    "low, high",
    [(-3, 0.5), (-3, 2), (-0.5, 2), (None, 0.5), (-3, None), (torch.tensor(-3.0), 2), (-3, torch.tensor(0.5))],
)
def test_bounds_of_different_types_meet_in_one(dtype, low, high):
    def program(x):
        return x.clamp(low, high)

    x = torch.tensor([0, 1, 2, 100]).to(dtype)
    try:
        want = program(x)
    except (RuntimeError, TypeError) as error:
        with pytest.raises(type(error)):
            quern.compile(program)(x)
    else:
        torch.testing.assert_close(quern.compile(program)(x), want)


def test_a_list_of_tensors_and_numbers_keeps_their_digits():
    def program(x):
        return torch.tensor([x[0], [0.5][0], 2**24 + 1], dtype=torch.float64)

    x = torch.tensor([2**53 - 1])
    assert quern.compile(program)(x).tolist() == program(x).tolist() == [2**53 - 1, 0.5, 2**24 + 1]


def test_a_list_of_ints_holds_no_float_tensors():
    def program(x):
        return torch.tensor([x[0], 2], dtype=torch.int64)

    for call in (program, quern.compile(program)):
        with pytest.raises(TypeError, match="only integer tensors"):
            call(torch.tensor([3.0]))


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("value", [-1, 127, 128, 255, -128, 3.7, -3.7, True])
@pytest.mark.parametrize("kind", [torch.uint8, torch.int8, torch.int16, torch.int64])
def test_fills_of_what_a_type_does_not_hold(kind, value, backend):
    """Negative numbers wrap to unsigned ones; what reads the fill reads what the tensor would hold."""

    def program(x):
        filled = torch.full((2,), value, dtype=kind)
        like = torch.full_like(x.to(kind), value)
        return (
            filled,
            filled.float().sin(),
            filled > 0,
            filled.sum(),
            like,
            like.double() + x,
            x.to(kind).new_full((3,), value).float(),
        )

    def outcome(function):
        try:
            return [(t.dtype, t.tolist()) for t in function(torch.zeros(2))]
        except RuntimeError as error:
            return str(error)

    assert outcome(quern.compile(program, backend=backend)) == outcome(program)


REPEATED = {
    "add": torch.add,
    "quotient": torch.div,
    "less": torch.lt,
    "arctangent": torch.atan2,
    "power": torch.pow,
    "chosen": lambda a, b: torch.where(a > 1, a, b),
    "chosen numbers": lambda a, b: torch.where(b.bool(), a, 1.5),
    "logical": torch.logical_and,
    "remainder": torch.fmod,
}


@pytest.mark.parametrize(
    "kinds", [(torch.int64, torch.float32), (torch.uint8, torch.int64), (torch.float32, torch.float32)]
)
@pytest.mark.parametrize("name", REPEATED)
def test_repeated_operands_of_another_type(name, kinds):
    """Eager converts them as a whole, into memory of its own: that has a say in how the result lies."""
    compiled = quern.compile(REPEATED[name])
    layouts = {
        "rows": lambda kind: torch.arange(1, 5).to(kind).expand(3, 4),
        "columns": lambda kind: torch.arange(1, 4).to(kind)[:, None].expand(3, 4),
        "turned": lambda kind: torch.arange(1, 13).reshape(4, 3).to(kind).t(),
    }
    for one, other in itertools.product(layouts.values(), layouts.values()):
        given = one(kinds[0]), other(kinds[1])
        wanted, found = REPEATED[name](*given), compiled(*given)
        torch.testing.assert_close(found, wanted, equal_nan=True)
        assert found.stride() == wanted.stride()
