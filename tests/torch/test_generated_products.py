"""Products of matrices and convolutions as generated kernels: eager's values, whatever the types, layouts and sizes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.sampled(3)
F = torch.nn.functional

from quern.inductor.refusal import Refusal  # noqa: E402
from quern.kernels.cpu.toolchain import host_cpu  # noqa: E402

import quern  # noqa: E402
from quern.config import Options  # noqa: E402

#: float32 sums in another order; halves are rounded once, where eager may round after the product too
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}
GENERATED = {"contractions": "generated"}
CODEGENS = ("cpp", "triton")


@pytest.fixture(params=CODEGENS)
def codegen(request):
    if request.param == "triton":
        pytest.importorskip("triton")
    return request.param


def T(*shape, dtype=torch.float32, seed=0):
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))
    return made.to(dtype)


def check(f, *args, codegen="cpp", kernels=None, calls=0):
    """The function's results generated and eager: values, types, layouts. What the plan holds comes back."""
    with torch.no_grad():
        wanted = f(*args)
        said = quern.explain(f, options={**GENERATED, "cpu_codegen": codegen})(*args)
    (graph,) = said.graphs
    plan = graph.record.plan
    got = said.result
    assert got.dtype == wanted.dtype and got.shape == wanted.shape and got.stride() == wanted.stride()
    tolerance = TOLERANCE[wanted.dtype]
    torch.testing.assert_close(got, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)
    assert graph.record.calls == calls, said
    assert all(c.choice.generated == (calls == 0) for c in plan.chosen), said
    if kernels is not None:
        assert len(plan.kernels) == kernels, said
    return plan


PRODUCTS = {
    "mm": (torch.mm, (T(7, 5), T(5, 9))),
    "mm of columns": (torch.mm, (T(5, 7).t(), T(9, 5).t())),
    "mm of steps": (torch.mm, (T(14, 15)[::2, ::3], T(10, 9)[1::2])),
    "mm of repeated rows": (torch.mm, (T(1, 5).expand(7, 5), T(5, 9))),
    "bmm": (torch.bmm, (T(3, 7, 5), T(3, 5, 9))),
    "bmm of turned batches": (torch.bmm, (T(7, 3, 5).transpose(0, 1), T(3, 9, 5).transpose(1, 2))),
    "bmm of one repeated": (torch.bmm, (T(3, 7, 5), T(5, 9).expand(3, 5, 9))),
    "matmul of vectors": (torch.matmul, (T(6), T(6, seed=1))),
    "matrix by vector": (torch.matmul, (T(4, 6), T(6))),
    "vector by matrix": (torch.matmul, (T(6), T(6, 4))),
    "batches by vector": (torch.matmul, (T(2, 3, 4, 6), T(6))),
    "vector by batches": (torch.matmul, (T(6), T(2, 6, 4))),
    "broadcast batches": (torch.matmul, (T(2, 1, 4, 6), T(3, 6, 5))),
    "batches by matrix": (torch.matmul, (T(2, 3, 4, 6), T(6, 5))),
    "attention's scores": (lambda q, k: q.transpose(1, 2) @ k.transpose(1, 2).mT, (T(2, 5, 3, 8), T(2, 6, 3, 8))),
    "mv": (torch.mv, (T(4, 6), T(6))),
    "dot": (torch.dot, (T(600), T(600, seed=1))),
    "addmm": (torch.addmm, (T(9), T(7, 5), T(5, 9))),
    "addmm of a column": (torch.addmm, (T(7, 1), T(7, 5), T(5, 9))),
    "addmm weighed": (lambda x, a, b: torch.addmm(x, a, b, beta=0.5, alpha=-2), (T(7, 9), T(7, 5), T(5, 9))),
    "addmm of nothing": (
        lambda x, a, b: torch.addmm(x, a, b, beta=0), (torch.full((7, 9), torch.nan), T(7, 5), T(5, 9))
    ),
    "baddbmm": (lambda x, a, b: torch.baddbmm(x, a, b, alpha=3), (T(3, 1, 9), T(3, 7, 5), T(3, 5, 9))),
    "linear": (F.linear, (T(2, 3, 5), T(9, 5), T(9))),
    "linear without bias": (F.linear, (T(2, 3, 5), T(9, 5))),
    "linear of a vector": (F.linear, (T(5), T(9, 5), T(9))),
    "linear to a number": (F.linear, (T(7, 5), T(5))),
    "einsum": (lambda x, y: torch.einsum("bij, bkj -> kib", x, y), (T(2, 3, 4), T(2, 5, 4))),
    "einsum of several axes": (lambda x, y: torch.einsum("abcd,cdb->ba", x, y), (T(2, 3, 4, 5), T(4, 5, 3))),
    "einsum of repeated sizes": (lambda x, y: torch.einsum("ij,kj->ik", x, y), (T(3, 4), T(5, 1))),
    "einsum of one operand's axis": (lambda x, y: torch.einsum("ijk,jl->il", x, y), (T(3, 4, 2), T(4, 5))),
    "einsum without a sum": (lambda x, y: torch.einsum("i,j->ji", x, y), (T(3), T(4))),
    "einsum to a number": (lambda x, y: torch.einsum("ij,ij->", x, y), (T(3, 4), T(3, 4, seed=1))),
    "einsum that names no result": (lambda x, y: torch.einsum("jB,ja", x, y), (T(3, 4), T(3, 5))),
    "one row": (torch.mm, (T(1, 5), T(5, 9))),
    "one column": (torch.mm, (T(7, 5), T(5, 1))),
    "one step": (torch.mm, (T(7, 1), T(1, 9))),
    "one element": (torch.mm, (T(1, 1), T(1, 1))),
    "no row": (torch.mm, (T(0, 5), T(5, 9))),
    "no column": (torch.mm, (T(7, 5), T(5, 0))),
    "no step": (torch.mm, (T(7, 0), T(0, 9))),
    "no step with bias": (F.linear, (T(7, 0), T(9, 0), T(9))),
    "no batch": (torch.bmm, (T(0, 7, 5), T(0, 5, 9))),
    "long sums": (torch.mm, (T(3, 5000), T(5000, 2))),
    "many columns": (torch.mm, (T(3, 70), T(70, 300))),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_eagers(name, codegen):
    f, args = PRODUCTS[name]
    check(f, *args, codegen=codegen)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(
    "name",
    [
        "mm",
        "bmm",
        "broadcast batches",
        "mv",
        "addmm weighed",
        "linear",
        "no step with bias",
        "einsum",
        "einsum of several axes",
    ],
)
def test_types(name, dtype, codegen):
    f, args = PRODUCTS[name]
    check(f, *(a.to(dtype) for a in args), codegen=codegen)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_halves_are_summed_in_float32(dtype, codegen):
    """Ones added up in a half stop growing at 256 or 2048."""
    ones = torch.ones(2, 5000, dtype=dtype)

    def f(a, b):
        return a @ b.t()

    assert check(f, ones, ones, codegen=codegen) and f(ones, ones)[0, 0] == torch.tensor(5000.0, dtype=dtype)


def test_a_layer_is_one_kernel(codegen):
    """What is computed on the way to an operand, the product, its bias and its activation."""

    def layer(x, w, bias):
        return F.gelu((x * 0.5) @ w + bias)

    plan = check(layer, T(33, 40), T(40, 24), T(24), codegen=codegen, kernels=1)
    assert plan.kernels[0].strategy and len(plan.kernels[0].origins) == 2


def test_a_layer_of_halves_is_one_kernel(codegen):
    def layer(x, w, bias):
        return torch.relu(F.linear(x * 0.5, w, bias))

    halves = [t.to(torch.bfloat16) for t in (T(33, 40), T(24, 40), T(24))]
    check(layer, *halves, codegen=codegen, kernels=1)


def test_a_scaled_weight_of_integers_is_read_by_the_product(codegen):
    """Dequantisation is part of a load."""

    def f(x, q, scale):
        return x @ (q.to(torch.float32) * scale)

    q = torch.randint(-128, 127, (40, 24), dtype=torch.int8, generator=torch.Generator().manual_seed(1))
    check(f, T(33, 40), q, T(24) / 100, codegen=codegen, kernels=1)


def test_a_product_is_computed_once(codegen):
    """What reads it row by row, or again and again, does so from memory."""

    def f(a, b, c):
        scores = torch.softmax(a @ b, -1)
        return (scores @ c).unsqueeze(0) * torch.arange(1.0, 4.0).reshape(3, 1, 1)

    plan = check(f, T(17, 12), T(12, 23), T(23, 5), codegen=codegen)
    sums = [line for k in plan.kernels for line in k.loops.splitlines() if "reduce.sum" in line]
    assert len(sums) == 3, "two products and a softmax"


def test_costly_operands_are_computed_once(codegen):
    def f(a, b):
        return torch.exp(a) @ torch.sin(b)

    plan = check(f, T(17, 12), T(12, 23), codegen=codegen)
    assert not any("exp" in k.loops and "reduce" in k.loops for k in plan.kernels)


def test_products_without_fusion():
    def f(a, b):
        return torch.relu(a @ b + 1)

    with torch.no_grad():
        got = quern.compile(f, options={**GENERATED, "fuse": False, "simplify": False})(T(7, 5), T(5, 9))
    torch.testing.assert_close(got, f(T(7, 5), T(5, 9)))


def test_dynamic_sizes(codegen):
    def f(a, b, bias):
        return torch.relu(torch.baddbmm(bias, a * 2, b))

    compiled = quern.compile(f, dynamic=True, options={**GENERATED, "cpu_codegen": codegen})
    with torch.no_grad():
        for batch, m, n, k in ((2, 3, 4, 5), (3, 7, 2, 6), (5, 4, 9, 33), (4, 17, 3, 2)):
            args = T(batch, m, k), T(batch, k, n), T(n)
            torch.testing.assert_close(compiled(*args), f(*args), rtol=1e-5, atol=1e-5)


def test_dynamic_layers():
    model = torch.nn.Sequential(torch.nn.Linear(12, 20), torch.nn.GELU(), torch.nn.Linear(20, 6)).eval()
    compiled = quern.compile(model, dynamic=True, options=GENERATED)
    with torch.no_grad():
        for rows in (2, 9, 1, 33, 0):
            torch.testing.assert_close(compiled(T(rows, 12)), model(T(rows, 12)), rtol=1e-5, atol=1e-5)


def test_written_results(codegen):
    """A product stored into an argument is a store of its kernel."""

    def f(out, a, b):
        out += a @ b
        return out * 2

    first, second = T(7, 9), T(7, 9)
    with torch.no_grad():
        wanted = f(first, T(7, 5), T(5, 9))
        got = quern.compile(f, options={**GENERATED, "cpu_codegen": codegen})(second, T(7, 5), T(5, 9))
    torch.testing.assert_close(got, wanted)
    torch.testing.assert_close(second, first)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32], ids=str)
def test_what_is_no_product_of_floats_stays_with_the_library(dtype):
    x = torch.arange(12).reshape(3, 4).to(dtype)
    with torch.no_grad():
        said = quern.explain(lambda a: a @ a.t(), options=GENERATED)(x)
    assert torch.equal(said.result, x @ x.t())
    (chosen,) = said.graphs[0].record.plan.chosen
    assert chosen.choice.runner == "library" and chosen.choice.reason.code == "dtype"
    assert "library, no kernel multiplies matrices of" in str(said)


def test_an_einsum_of_more_than_sums_is_a_call():
    def f(x, y):
        return torch.einsum("iij,...j->...i", x, y)

    with torch.no_grad():
        said = quern.explain(f, options=GENERATED)(T(3, 3, 4), T(2, 5, 4))
    torch.testing.assert_close(said.result, f(T(3, 3, 4), T(2, 5, 4)))
    assert said.graphs[0].record.calls == 1 and not said.graphs[0].record.plan.chosen


def test_an_einsum_under_autocast_is_a_call():
    def f(x, y):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return torch.einsum("ij,kj->ik", x, y)

    with torch.no_grad():
        got = quern.compile(f, options=GENERATED)(T(3, 4), T(5, 4))
        wanted = f(T(3, 4), T(5, 4))
    assert got.dtype == wanted.dtype == torch.bfloat16 and torch.equal(got, wanted)


def test_an_einsum_is_refused_as_in_eager():
    def f(x, y):
        return torch.einsum("ij,kj->ik", x, y)

    with pytest.raises(RuntimeError, match="einsum"):
        quern.compile(f, options=GENERATED)(T(3, 4), T(5, 6))


def test_refused_products_are_refused():
    def f(a, b):
        return a @ b

    with pytest.raises(RuntimeError, match="not implemented for 'Bool'"):
        quern.compile(f, options=GENERATED)(torch.ones(2, 2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))


def test_the_library_runs_where_no_strategy_takes_a_product(codegen):
    with torch.no_grad():
        said = quern.explain(torch.nn.Linear(5, 9), options={"cpu_codegen": codegen})(T(7, 5))
    plan = said.graphs[0].record.plan
    assert said.graphs[0].record.calls == 1 and not plan.kernels
    (chosen,) = plan.chosen
    assert chosen.choice.runner == "library" and chosen.choice.reason.code == "no-strategy"
    assert "library, no strategy emits it" in str(said)


def test_a_layer_with_an_activation_is_generated():
    """One kernel then, and no call of the framework."""
    with torch.no_grad():
        said = quern.explain(torch.nn.Sequential(torch.nn.Linear(5, 9), torch.nn.GELU()))(T(7, 5))
    plan = said.graphs[0].record.plan
    assert said.graphs[0].record.calls == 0 and [k.strategy for k in plan.kernels] == ["contraction"]
    (chosen,) = plan.chosen
    assert chosen.choice.generated and "generated, contraction emits it" in str(said)


def test_who_emits_a_kernel_and_who_refused_is_in_the_plan(codegen):
    """Also of a plan that comes from the cache."""

    def f(x):
        return torch.softmax(x, -1)

    for found in (False, True):
        said = quern.explain(f, options={"cpu_codegen": codegen})(T(7, 5))
        quern.reset()
        (graph,) = said.graphs
        (kernel,) = graph.record.plan.kernels
        assert graph.record.cached or not found
        assert kernel.strategy == {"cpp": "rows", "triton": "persistent"}[codegen]
        assert kernel.refused[0] == ("contraction", Refusal("not-one-sum", "legality", "2 reductions"))
        assert f"emitted by {kernel.strategy}; not contraction: not-one-sum (legality): 2 reductions" in str(said)


def test_equal_choices_are_said_once():
    def f(x, w):
        for _ in range(3):
            x = x @ w
        return x

    with torch.no_grad():
        said = quern.explain(f)(T(5, 5), T(5, 5))
    assert str(said).count("library, no strategy") == 1 and "and 2 more" in str(said)
    assert len(said.graphs[0].record.plan.chosen) == 3


CONVOLUTIONS = {
    "1-d": (F.conv1d, (2, 4, 9), (6, 4, 3), {}),
    "2-d": (F.conv2d, (2, 4, 7, 8), (6, 4, 3, 2), {}),
    "3-d": (F.conv3d, (1, 2, 5, 6, 7), (3, 2, 2, 3, 2), {}),
    "strides": (F.conv2d, (2, 4, 9, 8), (6, 4, 3, 2), {"stride": (2, 3)}),
    "gaps": (F.conv2d, (2, 4, 9, 8), (6, 4, 3, 2), {"dilation": (2, 3)}),
    "borders": (F.conv2d, (2, 4, 7, 8), (6, 4, 3, 2), {"padding": (1, 2)}),
    "groups": (F.conv2d, (2, 4, 7, 8), (6, 2, 3, 2), {"groups": 2}),
    "depthwise": (F.conv2d, (2, 4, 7, 8), (8, 1, 3, 3), {"groups": 4, "padding": 1}),
    "same": (F.conv2d, (2, 4, 7, 8), (6, 4, 3, 2), {"padding": "same", "dilation": 2}),
    "valid": (F.conv1d, (2, 4, 9), (6, 4, 3), {"padding": "valid"}),
    "all at once": (F.conv2d, (2, 4, 13, 14), (6, 2, 3, 2), {"stride": 2, "padding": 3, "dilation": 2, "groups": 2}),
    "3-d all at once": (F.conv3d, (1, 4, 5, 6, 7), (6, 2, 2, 3, 2), {"stride": 2, "padding": 1, "groups": 2}),
    "points": (F.conv2d, (2, 4, 5, 6), (6, 4, 1, 1), {}),
    "no batch dim": (F.conv2d, (4, 7, 8), (6, 4, 3, 2), {"padding": 1}),
    "no image": (F.conv2d, (0, 4, 7, 8), (6, 4, 3, 2), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_are_eagers(name, codegen):
    f, image, weight, attrs = CONVOLUTIONS[name]
    check(lambda x, w, b: f(x * 2, w, b, **attrs) + 1, T(*image), T(*weight), T(weight[0]), codegen=codegen)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_convolutions_of_other_types(dtype, codegen):
    args = (t.to(dtype) for t in (T(2, 4, 7, 8), T(6, 4, 3, 2), T(6)))
    check(lambda x, w, b: F.conv2d(x, w, b, padding=1), *args, codegen=codegen)


def test_convolutions_keep_channels_last(codegen):
    x, w = (t.contiguous(memory_format=torch.channels_last) for t in (T(2, 4, 7, 8), T(6, 4, 3, 2)))
    check(lambda x, w: F.conv2d(x, w, padding=1), x, w, codegen=codegen)


def test_a_convolution_and_what_follows_are_one_kernel(codegen):
    def f(x, w, b):
        return torch.relu(F.conv2d(x, w, b, padding=1, stride=2))

    check(f, T(2, 4, 7, 8), T(6, 4, 3, 3), T(6), codegen=codegen, kernels=2)  # the other lays the image out


def test_dynamic_convolutions():
    compiled = quern.compile(lambda x, w: F.conv2d(x, w, padding=1, stride=2), dynamic=True, options=GENERATED)
    with torch.no_grad():
        for batch, side in ((2, 7), (3, 12), (5, 9)):
            args = T(batch, 4, side, side), T(6, 4, 3, 3)
            torch.testing.assert_close(compiled(*args), F.conv2d(*args, padding=1, stride=2), rtol=1e-5, atol=1e-5)


def test_how_products_are_run_is_part_of_a_plan_s_key():
    assert Options(contractions="generated").key() != Options().key()
    keys = set()
    with torch.no_grad():
        for options in ({}, GENERATED):
            keys.add(quern.explain(torch.nn.Linear(5, 9), options=options)(T(7, 5)).graphs[0].record.key)
    assert len(keys) == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_more_rows_than_sums_are_kept_of(threads):
    """The sums of all rows would take too much memory while the inner axis is walked: strips of rows are done one after the other."""
    x, w = T(50000, 300), T(80, 300)

    def f(x, w):
        return torch.relu(F.linear(x, w))

    with torch.no_grad():
        said = quern.explain(f, options={**GENERATED, "threads": threads})(x, w)
        wanted = torch.relu(F.linear(x.double(), w.double())).float()
    torch.testing.assert_close(said.result, wanted, rtol=1e-5, atol=1e-4)
    if "x86-64" in host_cpu().name:
        assert "whole = 0;" in "".join(said.graphs[0].record.plan.sources.values())
