"""Framework functions that no table row describes stay dynamic: two compilations for all sizes, eager's results and layouts."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from quern.capture.frontends.size_formulas import Asked, formula, strides  # noqa: E402
from quern.inductor.sizes import evaluator  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import quern  # noqa: E402
from quern.testing import CompileCounter  # noqa: E402

SIZES = (20, 23, 18, 31, 6, 47)


@torch.library.custom_op("quern_dynamic::every_third", mutates_args=())
def every_third(x: torch.Tensor, start: int) -> torch.Tensor:
    return x[start::3].clone()


@every_third.register_fake
def _(x, start):
    return x.new_empty((x.shape[0] - start + 2) // 3, x.shape[1])


@torch.library.custom_op("quern_dynamic::pairs", mutates_args=())
def pairs(x: torch.Tensor) -> torch.Tensor:
    return x[: x.shape[0] // 2 * 2].reshape(-1, 2, 4).sum(1)


@pairs.register_fake
def _(x):
    return x.new_empty(x.shape[0] // 2, 4)


@torch.library.custom_op("quern_dynamic::fill_rows", mutates_args=("into",))
def fill_rows(into: torch.Tensor, x: torch.Tensor) -> None:
    into[:] = x.sum(1, keepdim=True)


torch.manual_seed(0)
GRU, RNN, CELL = nn.GRU(4, 5), nn.RNN(4, 4), nn.LSTMCell(4, 5)
LSTM = nn.LSTM(4, 5, batch_first=True, num_layers=2, bidirectional=True)
BAG = nn.EmbeddingBag(10, 4)


def _filled(x):
    out = torch.zeros_like(x)
    fill_rows(out, x)
    return out + x


PROGRAMS = {
    "einsum": lambda x: torch.einsum("id,jd->ij", x, x) / 3,
    "cdist": lambda x: torch.cdist(x, x),
    "tensordot": lambda x: torch.tensordot(x, x, dims=([1], [1])),
    "rfft": lambda x: torch.fft.rfft(x, dim=0).abs(),
    "rfft2": lambda x: torch.fft.rfft2(x).abs(),
    "irfft": lambda x: torch.fft.irfft(torch.fft.rfft(x, dim=0), n=x.shape[0], dim=0) + x,
    "stft": lambda x: torch.stft(x.reshape(-1), 16, 8, window=torch.ones(16), return_complex=True).abs(),
    "quantile": lambda x: torch.quantile(x, 0.3, dim=0),
    "bicubic": lambda x: F.interpolate(x[None, None], scale_factor=2, mode="bicubic"),
    "nearest to a size": lambda x: F.interpolate(x[None, None], size=7),
    "linear to a size": lambda x: F.interpolate(x[None], size=7, mode="linear"),
    "linear in corners": lambda x: F.interpolate(x[None], size=7, mode="linear", align_corners=True),
    "bilinear to a size": lambda x: F.interpolate(x[None, None], size=(7, 5), mode="bilinear"),
    "trilinear to a size": lambda x: F.interpolate(x[None, None, None], size=(2, 7, 5), mode="trilinear"),
    "grid_sample": lambda x: F.grid_sample(x[None, None], torch.zeros(1, 5, 5, 2), align_corners=False),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x[None], (3, 4)),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x[None], (2, 2)),
    "GRU": lambda x: GRU(x)[0] + x.sum(),
    "LSTM": lambda x: LSTM(x[None])[0] * x.sum(1)[None, :, None],
    "RNN": lambda x: RNN(x)[0] + x,
    "LSTMCell": lambda x: CELL(x)[0],
    "EmbeddingBag": lambda x: BAG((x.abs() * 2).long().clamp(0, 9)) + x,
    "kron": lambda x: torch.kron(x, x),
    "unfold": lambda x: F.unfold(x[None, None], (3, 3)),
    "svdvals": lambda x: torch.linalg.svdvals(x),
    "solve": lambda x: torch.linalg.solve(x @ x.T + torch.eye(x.shape[0]) * 9, x) + x,
    "pdist": lambda x: torch.pdist(x),
    "tril_indices": lambda x: torch.tril_indices(x.shape[0], x.shape[0]),
    "linspace": lambda x: torch.linspace(0, 1, x.shape[0]) + x[:, 0],
    "hamming_window": lambda x: torch.hamming_window(x.shape[0]) * x[:, 0],
    "variance": lambda x: x.var(0, correction=2.5),
    "block_diag": lambda x: torch.block_diag(x, x),
    "tensor_split": lambda x: [p * 2 for p in torch.tensor_split(x, 3, 0)],
    "pad_sequence": lambda x: nn.utils.rnn.pad_sequence([x, x * 2]),
    "as_strided": lambda x: torch.as_strided(x, (3,), (2,)) * 2,
    "broadcast_tensors": lambda x: torch.broadcast_tensors(x, torch.ones(1, 4))[1] * 2,
    "broadcast_shapes": lambda x: torch.zeros(torch.broadcast_shapes(x.shape, (4,), 1)) + x,
    "distribution": lambda x: torch.distributions.Normal(x, torch.ones(4)).log_prob(torch.zeros(x.shape)),
    "product of the sizes": lambda x: x / math.prod(x.shape),
    "pieces": lambda x: [p * 2 for p in x.chunk(3, 0)],
    "linspace to a size": lambda x: torch.linspace(0, x.shape[0], 5) * 2,
    "custom op": lambda x: every_third(x, 1) + 1,
    "custom op that halves": lambda x: pairs(x) * 2,
    "custom op that writes": _filled,
}


def agree(found, wanted):
    if isinstance(wanted, list):
        assert len(found) == len(wanted)
        for f, w in zip(found, wanted):
            agree(f, w)
        return
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert found.stride() == wanted.stride() or wanted.numel() < 2


@pytest.mark.parametrize("name", PROGRAMS)
def test_two_compilations_for_all_sizes(name):
    program = PROGRAMS[name]
    with torch.no_grad(), quern.config.patch(on_error="raise"):
        for backend in (CompileCounter(graph="quern"), "inductor"):
            quern.reset()
            compiled = quern.compile(program, backend=backend, fullgraph=True)
            for n in SIZES:
                x = torch.randn(n, 4)
                agree(compiled(x), program(x))
            if isinstance(backend, CompileCounter):
                assert backend.frame_count <= 2


def test_two_symbols():
    def f(x, y):
        return torch.kron(x, y), torch.einsum("ik,jk->ij", x, y), torch.cat([torch.cdist(x, y), torch.cdist(x, x)], 1)

    counter = CompileCounter(graph="quern")
    with torch.no_grad(), quern.config.patch(on_error="raise"):
        compiled = quern.compile(f, backend=counter, fullgraph=True, dynamic=True)
        for n, m in ((3, 5), (4, 7), (9, 2), (6, 6), (5, 11)):
            x, y = torch.randn(n, 3), torch.randn(m, 3)
            for found, wanted in zip(compiled(x, y), f(x, y)):
                agree(found, wanted)
    assert counter.frame_count <= 2
    quern.reset()


CELLS = {
    "gru_cell": (lambda x, h, a, b, c, d: torch.gru_cell(x, h, a, b, c, d), 3),
    "lstm_cell": (lambda x, h, a, b, c, d: torch.lstm_cell(x, (h, h), a, b, c, d)[0], 4),
    "rnn_tanh_cell": (lambda x, h, a, b, c, d: torch.rnn_tanh_cell(x, h, a, b, c, d), 1),
    "gru": (lambda x, h, a, b, c, d: torch.gru(x[None], h[None], [a, b, c, d], True, 1, 0.0, False, False, False)[0], 3),
    "lstm": (lambda x, h, a, b, c, d: torch.lstm(x[None], (h[None], h[None]), [a, b, c, d], True, 1, 0.0, False, False, False)[0], 4),
}  # fmt: skip


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize("name", CELLS)
def test_kernels_that_take_sizes_as_they_are_get_none_that_do_not_fit(name, dynamic):
    """They would read beyond their weights."""
    cell, gates = CELLS[name]
    fast = quern.compile(lambda *args: cell(*args), dynamic=dynamic)
    for hidden, batch in ((5, 2), (6, 2), (8, 2), (8, 3), (8, 4), (8, 5)):
        n = gates * hidden
        args = [torch.rand(s) for s in ((batch, 3), (batch, hidden), (n, 3), (n, hidden), (n,), (n,))]
        torch.testing.assert_close(fast(*args), cell(*args))


def test_sizes_that_would_be_below_zero_are_not_asked_about():
    def f(x, n):
        return torch.isin(torch.tensor(2.0), x[n:]), torch.cdist(x[n:, None], x[:n, None])

    with torch.no_grad(), quern.config.patch(on_error="raise"):
        compiled = quern.compile(f, fullgraph=True)
        for n in (2, 3, 4, 2):
            for found, wanted in zip(compiled(torch.arange(6.0), n), f(torch.arange(6.0), n)):
                agree(found, wanted)
    quern.reset()


def test_a_factor_that_floats_cannot_hold_is_no_formula():
    def f(x):
        return F.interpolate(x[None, None], scale_factor=0.7, mode="bicubic")

    with torch.no_grad(), quern.config.patch(on_error="raise"):
        compiled = quern.compile(f, backend="eager", fullgraph=True)
        for n in (10, 20, 30, 40, 50):
            x = torch.randn(n, 4)
            agree(compiled(x), f(x))
    quern.reset()


# ---------------------------------------------------------------- formulas by themselves


def asked(rule, *, here=20, **more):
    sympy = pytest.importorskip("sympy")
    s = sympy.Symbol("s0", integer=True, positive=True)
    return Asked(lambda point: rule(point["s0"]), {"s0": s}, {"s0": here}, [s, *more.pop("sizes", ())], **more)


RULES = {
    "twice": lambda n: 2 * n,
    "half": lambda n: n // 2 + 1,
    "hops": lambda n: (n + 13) // 7,
    "window": lambda n: (3 * n - 5) // 4 + 2,
    "square": lambda n: n * n,
    "pairs": lambda n: n * (n - 1) // 2,
    "at most": lambda n: min(n, 8),
    "at least": lambda n: max(n, 33),
    "none": lambda n: 5,
}


@pytest.mark.parametrize("name", RULES)
def test_rules_are_found(name):
    rule = RULES[name]
    found = formula(asked(lambda n: (rule(n),), sizes=(8, 33), steps=(7,)), 0)
    value = evaluator(found)
    assert [value({"s0": n}) for n in range(2, 300)] == [rule(n) for n in range(2, 300)]


def test_what_is_no_formula_is_left_unknown():
    assert formula(asked(lambda n: (int(n * 1.3),), factors=(1.3,)), 0) is None
    assert formula(asked(lambda n: (n.bit_length(),)), 0) is None
    assert formula(asked(lambda n: (n,) if n == 20 else None), 0) is None
    assert formula(asked(lambda n: (n,) * (1 + n % 2)), 0) is None


def test_sizes_that_are_refused_do_not_count():
    value = evaluator(formula(asked(lambda n: None if n % 2 else (n // 2,)), 0))
    assert [value({"s0": n}) for n in (2, 8, 64)] == [1, 4, 32]


def test_strides_follow_the_sizes():
    one = asked(lambda n: (1, n // 2, 3, 3 * (n // 2), 3, 1, 0))
    shape = [formula(one, i) for i in range(3)]
    assert [str(s) for s in strides(one, shape, 3)] == ["3*floor(s0/2)", "3", "1"]


def test_strides_of_sizes_that_are_one_now_are_those_of_larger_sizes():
    one = asked(lambda n: (4 * n, n // 2, n // 2, (n // 2) ** 2, n // 2, 1, 0), here=2)
    shape = [formula(one, i) for i in range(3)]
    values = [evaluator(s) for s in strides(one, shape, 3)]
    assert [[v({"s0": n}) for v in values] for n in (4, 20)] == [[4, 2, 1], [100, 10, 1]]


def test_results_of_one_pixel_grow():
    @quern.compile(dynamic=True)
    def f(x):
        return F.pixel_unshuffle(x, 2).sgn()

    for shape in ((2, 2, 2), (4, 4, 4), (2, 6, 8)):
        x = torch.randn(shape)
        expected = F.pixel_unshuffle(x, 2).sgn()
        found = f(x)
        assert torch.equal(found, expected)
        assert all(n == 1 or a == b for n, a, b in zip(found.shape, found.stride(), expected.stride()))


def test_a_recursion_by_halves_has_a_version_for_each_size():
    """Sizes that are rounded again and again until they are one would be computed with at every step."""
    np = pytest.importorskip("numpy")

    def transform(x):
        if len(x) == 1:
            return x.astype(complex)
        even, odd = transform(x[::2]), transform(x[1::2])
        turns = np.exp(-2j * np.pi * np.arange(len(x) // 2) / len(x))
        return np.concatenate([even + turns * odd, even - turns * odd])

    fast = quern.compile(lambda x: transform(x), backend="eager")
    for n in (4, 8, 16, 8, 16):
        np.testing.assert_allclose(fast(np.arange(float(n))), np.fft.fft(np.arange(float(n))), atol=1e-9)
    assert len(fast.recompiles) == 2
