"""Long and wide programs compile: nothing recurses as deep as a program is long, and time grows with its length alone."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import quern  # noqa: E402

pytestmark = [pytest.mark.sampled(2), pytest.mark.torch]


@pytest.fixture(autouse=True)
def strict():
    with quern.config.patch(on_error="raise"), torch.no_grad():
        yield
    quern.reset()


def times(x, count):
    for _ in range(count):
        x = 1.0 * x
    return x


def mixed(x, count):
    for k in range(count):
        x = torch.sin(x) * 1.01 + 0.5 if k % 3 else torch.where(x > 0.7, x - 0.5, x * 1.1)
    return x


def integers(x, count):
    i = (x * 100).long()
    for k in range(count):
        i = (i + k) % 97
    return i


def under_masks(x, count):
    for _ in range(count):
        x = torch.nn.functional.pad(x[1:-1], (1, 1)) + x * 0.5
    return x


def sum_of_sines(x, count):
    total = x
    for k in range(count):
        total = total + torch.sin(x * (k + 0.5))
    return total


def many_outputs(x, count):
    return [x * k + 1 for k in range(count)]


def reductions(x, count):
    for _ in range(count):
        x = x - x.mean() * 0.1
    return x


def writes(x, count):
    y = x.clone()
    for k in range(count):
        y[k % 60] += x[k % 50]
    return y


def halves(x, count):
    x = x.half()
    for _ in range(count):
        x = x * 0.99 + 0.01
    return x


LONG = {
    "products": (times, 2000), "mixed": (mixed, 600), "integers": (integers, 400), "under masks": (under_masks, 60),
    "sum of sines": (sum_of_sines, 600), "many outputs": (many_outputs, 150), "reductions": (reductions, 80),
    "writes": (writes, 100), "halves": (halves, 400),
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("dynamic", [None, True], ids=["static", "dynamic"])
def test_long_programs(name, dynamic):
    program, count = LONG[name]
    compiled = quern.compile(lambda x: program(x, count), fullgraph=True, dynamic=dynamic)
    x = torch.rand(64)
    torch.testing.assert_close(compiled(x), program(x, count), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["products", "mixed", "integers"])
def test_long_programs_for_triton(name):
    program = LONG[name][0]
    compiled = quern.compile(lambda x: program(x, 300), fullgraph=True, options={"cpu_codegen": "triton"})
    x = torch.rand(64)
    torch.testing.assert_close(compiled(x), program(x, 300), rtol=2e-3, atol=2e-3)


def test_many_inputs():
    def f(xs):
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total

    xs = [torch.rand(8) for _ in range(300)]
    torch.testing.assert_close(quern.compile(f, fullgraph=True)(xs), f(xs))


def test_one_expression():
    text = "x"
    for k in range(90):
        text = f"torch.tanh({text} + {k})"
    scope: dict = {"torch": torch}
    exec(f"def f(x): return {text} + ({' + '.join('torch.sin(x*' + str(k) + '.5)' for k in range(300))})", scope)
    x = torch.rand(16)
    torch.testing.assert_close(quern.compile(scope["f"], fullgraph=True)(x), scope["f"](x), rtol=1e-4, atol=1e-4)


def test_numpy():
    def f(x):
        for k in range(700):
            x = np.sin(x) * 1.01 + k % 3
        return x

    x = np.random.default_rng(0).random(32)
    np.testing.assert_allclose(quern.compile(f, fullgraph=True)(x), f(x), rtol=1e-9)


def test_a_function_used_very_often_is_called():
    record = quern.explain(lambda x: sum_of_sines(x, 40))(torch.rand(64))
    assert "1 kernel" in str(record)
    with quern.config.patch(on_error="raise"):
        few, many = torch.rand(64), torch.rand(64)
        for x, count in ((few, 4), (many, 40)):
            torch.testing.assert_close(quern.compile(lambda x, c=count: sum_of_sines(x, c))(x), sum_of_sines(x, count))
