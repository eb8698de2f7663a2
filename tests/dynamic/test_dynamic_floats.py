"""Floats that change between calls: one compilation for the first, one more for all others."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import quern  # noqa: E402

pytestmark = pytest.mark.torch
F = torch.nn.functional
FLOATS = [0.1, 0.37, 1.5, -2.25, 3.0, 1e-8]
X = torch.linspace(-2, 3, 20).reshape(5, 4)


@pytest.fixture(autouse=True)
def strict():
    with torch.no_grad():
        yield


def versions(function, calls, backend="eager"):
    """Number of compilations over calls that all agree with plain Python."""
    compiled = quern.compile(function, backend=backend, fullgraph=True)
    for arguments in calls:
        ours, theirs = ([a.clone() if isinstance(a, torch.Tensor) else a for a in arguments] for _ in "ab")
        agree(function(*ours), compiled(*theirs))
        agree(ours, theirs)
    assert all(entry.graph is not None for entry in compiled.explain_records)
    return len(compiled.explain_records)


def agree(one, other):
    assert type(one) is type(other)
    if isinstance(one, (tuple, list)):
        assert len(one) == len(other)
        for a, b in zip(one, other):
            agree(a, b)
    elif isinstance(one, torch.Tensor):
        half = one.dtype in (torch.float16, torch.bfloat16)
        tolerance = {"atol": 1e-2, "rtol": 1e-2} if half else {}
        torch.testing.assert_close(one, other, equal_nan=True, **tolerance)
    else:
        assert one == other or one != one and other != other, (one, other)


def everywhere(x, a):
    return (
        x + a, x - a, a - x, x / a, a / x, x**2 + a, x.abs() ** a, torch.maximum(x, x * a), x < a, a > x,
        torch.where(x > 0, x, a), x.clamp(a), torch.clamp(x, max=a), torch.lerp(x, x + 1, a), x.masked_fill(x > 0, a),
    )  # fmt: skip


def scaled(x, a):
    return x * a + 1


def derived(x, a):
    half = -a * 0.5 + 1
    return x * half, half, a, 1 - a, abs(a)


def two_floats(x, a, b):
    return x * (a + b), a * b, x - b


def quotient(x, a, b):
    return x * (a / b - b), a / b


def in_place(x, a):
    x.mul_(a)
    x += a
    return x


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("function", [everywhere, derived, two_floats, quotient, in_place])
def test_two_versions_serve_all_values(function, backend):
    second = function.__code__.co_argcount == 3
    assert versions(function, [(X, a, a + 1) if second else (X, a) for a in FLOATS], backend) == 2


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("x", [X.double(), X.half(), X.bfloat16(), torch.arange(6), torch.tensor(2.5), torch.tensor(3)])
def test_numbers_promote_as_python_floats_do(x, backend):
    assert versions(scaled, [(x, a) for a in FLOATS], backend) == 2


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_all_digits_reach_float64(backend):
    third = 1 / 3
    compiled = quern.compile(lambda x, a: x * a, backend=backend, fullgraph=True)
    ones = torch.ones(3, dtype=torch.float64)
    for a in (0.5, third, 2 * third):
        assert compiled(ones, a).tolist() == [a] * 3


def test_values_that_are_not_finite():
    values = [0.5, 0.25, float("nan"), float("inf"), -float("inf"), 0.0, -0.0]
    assert versions(lambda x, a: (x * a, a), [(X, a) for a in values]) == 2


def test_branches_are_guarded():
    def branch(x, p):
        return x * p if p > 0 else x - p

    assert versions(branch, [(X, p) for p in (0.5, 0.25, -1.0, 2.0, -3.0)]) == 3
    assert versions(lambda x, p: (x, p or 1.0), [(X, p) for p in (0.5, 0.25, 0.0, -0.0, 1.0)]) == 3


def test_division_by_zero_raises_as_in_python():
    compiled = quern.compile(lambda x, a: x * (1 / a), backend="eager")
    for a in (0.5, 0.25, 4.0):
        agree(X * (1 / a), compiled(X, a))
    with pytest.raises(ZeroDivisionError):
        compiled(X, 0.0)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, a: (x, f"{a:.2f}"),
        lambda x, a: (x, {a: 1}),
        lambda x, a: x.to(torch.complex128) * a,
    ],
    ids=["text", "key", "complex"],
)
def test_where_the_number_itself_is_needed_it_is_a_constant(function):
    assert versions(function, [(X, a) for a in FLOATS]) == len(FLOATS)


def test_ints_and_floats_are_told_apart():
    assert versions(lambda x, a: (x * a, a), [(X, a) for a in (0.5, 0.25, 2, 3, 0.125, True)]) <= 5


def test_attributes_of_modules():
    class Scaled(torch.nn.Module):
        scale = 1.0

        def forward(self, x):
            return x * self.scale

    module = Scaled()
    compiled = quern.compile(module, backend="eager", fullgraph=True)
    for a in FLOATS:
        module.scale = a
        agree(X * a, compiled(X))
    (function,) = quern.api.functions_of(compiled)
    assert len(function.explain_records) <= 3


def test_gradients_flow():
    def loss(w, rate):
        return (w * rate).sum()

    compiled = quern.compile(loss, backend="eager", fullgraph=True)
    with torch.enable_grad():
        for rate in FLOATS:
            w = torch.ones(3, requires_grad=True)
            compiled(w, rate).backward()
            agree(w.grad, torch.full((3,), rate))
    assert len(compiled.explain_records) == 2


def test_dynamic_false_keeps_constants():
    compiled = quern.compile(scaled, backend="eager", fullgraph=True, dynamic=False)
    for a in FLOATS[:3]:
        agree(scaled(X, a), compiled(X, a))
    assert len(compiled.explain_records) == 3


def test_next_to_numbers_that_the_graph_computes_it_is_a_constant():
    def mixed(x, a):
        total = x.sum().item()
        return x * (a * total), total - a, a > total

    assert versions(mixed, [(X, a) for a in FLOATS]) == len(FLOATS)
