"""Framework functions that no table names: their layouts, writes, aliases and random numbers are eager's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch_checks import check, compiled, randn

import quern

X, Y = randn(4, 6), randn(4, 6, seed=1)
COMPLEX = torch.complex(randn(3, 4), randn(3, 4, seed=1))
IMAGE = randn(2, 4, 8, 8).contiguous(memory_format=torch.channels_last)
VOLUME = randn(1, 2, 4, 6, 6).contiguous(memory_format=torch.channels_last_3d)
MASK = X > 0


@torch.library.custom_op("quern_tests::scaled", mutates_args=())
def scaled(x: torch.Tensor, n: int) -> torch.Tensor:
    return x.clone() * n


@scaled.register_fake
def _(x, n):
    return torch.empty_like(x)


@torch.library.custom_op("quern_tests::bump", mutates_args={"x"})
def bump(x: torch.Tensor) -> None:
    x.add_(1)


def f_custom_ops(x):
    y = scaled(x, 3)
    bump(y)
    return y, torch.ops.quern_tests.scaled(x, 2) + torch.ops.quern_tests.scaled.default(x, 2)


def f_write_as_ints(x):
    bits = x.view(torch.int32)
    bits[0] = 5
    return bits, x + 1


def f_write_strided(x):
    x.as_strided((2, 3), (6, 2), 1).zero_()
    return x * 2


def f_masks_in_keys(x, m, v):
    x[m] = v
    x[1:, m[0]] = 3.0
    return x


def f_layout_in_place(x):
    y = (x * 2).unsqueeze_(0)
    z = y.squeeze_(0).t_()
    z[0] = 1
    return y, z


CASES = {
    "custom ops": (f_custom_ops, X),
    "a write through another type": (f_write_as_ints, X),
    "a write through as_strided": (f_write_strided, X),
    "masks in keys": (f_masks_in_keys, X, MASK, randn(int(MASK.sum()))),
    "layouts in place": (f_layout_in_place, X),
    "in-place method of no row": (lambda x, v, out: out.addmv_(x, v), X, randn(6), randn(4)),
    "views": (lambda x: (torch.hsplit(x, 2), torch.unsafe_chunk(x, 2), x.conj_physical()), X),
    "random in place": (lambda x: (x.clone().uniform_(0, 3), x.bernoulli_(0.3), x.normal_()), X),
    "running statistics": (
        lambda x, m, v: torch.instance_norm(x, None, None, m, v, True, 0.1, 1e-5, True), randn(2, 3, 5), torch.zeros(3), torch.ones(3)
    ),
    "no meta kernel": (lambda x: (torch.histogram(x, 4), torch.cov(x), torch.corrcoef(x)), X),
    "operators": (lambda x: torch.ops.aten.relu.default(x) + torch.ops.aten.mul(x, 2), X),
    "out= of several": (lambda x, o, i: torch.max(x, 1, out=(o, i)), X, torch.zeros(4), torch.zeros(4, dtype=torch.int64)),
    "memory formats": (lambda x: (x.cfloat(memory_format=torch.channels_last), x.dim_order(), x.storage_offset()), IMAGE),
    "integers that the table refuses": (lambda i: (F.avg_pool2d(i, 2), F.softsign(i)), torch.arange(64).reshape(1, 1, 8, 8)),
    "max_norm": (lambda i, w: F.embedding(i, w, max_norm=1.0), torch.tensor([[0, 2], [3, 0]]), randn(5, 3)),
    "layouts of decompositions": (lambda x: (torch.linalg.svd(x), torch.linalg.eig(x[:, :4]), torch.fft.rfft2(x)), X),
    "channels last kept": (
        lambda x: (F.pad(x, (1, 2, 2, 1), mode="reflect"), F.channel_shuffle(x, 2), F.pad(x, (1, 1, 1, 1), mode="replicate")), IMAGE
    ),
    "channels last in three dims": (
        lambda x: (F.max_unpool3d(*F.max_pool3d(x, 2, return_indices=True), 2), F.conv3d(x, x[:, :, :2, :2, :2])), VOLUME
    ),
    "circular padding that crops": (lambda x: F.pad(x, (-1, 1, -2, 1), mode="circular"), randn(1, 3, 4, 4)),
    "rolling nothing": (lambda x: x.roll(1, 0), torch.zeros(0, 3)),
    "repeating nothing": (lambda x: x.repeat(2, 3, 2), torch.zeros(1, 3, 0)),
    "positions from the end": (
        lambda x, i: (torch.take_along_dim(x, i, 1), torch.take_along_dim(x, i.abs())), X, torch.tensor([[-6, -1], [0, 1], [2, -2], [5, 3]])
    ),
    "movedim of a number": (lambda x: x.movedim(0, -1), torch.tensor(2.0)),
    "sums of integers": (lambda i: (torch.round(i), i.prod(0, dtype=torch.bool)), torch.arange(6).reshape(2, 3)),
    "ravel copies": (lambda x: x[::2].ravel(), torch.arange(9.0)),
    "membership": (
        lambda x, y, few, many: [torch.isin(a, b, invert=i) for a in (x, y) for b in (few, many, few[0], 3.0) for i in (False, True)],
        torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1), torch.arange(24.0).reshape(4, 6)[::2], torch.tensor([3.0, 8.0]), torch.arange(90.0).reshape(9, 10).T,
    ),
    "membership of a number": (lambda x: (torch.isin(3.0, x), torch.isin(30, x)), torch.arange(24.0).reshape(4, 6).T),
    "operators by their methods' names": (
        lambda x, y: (x.__eq__(y), x.__ne__(y), x.__lt__(2), x.__le__(y), x.__gt__(0.5), x.__ge__(y), x.__add__(y), x.__rsub__(1)), X, Y.T.contiguous().T
    ),
    "positions among dims of one": (
        lambda x, i, j: (x[:, i], x[:, :, i], x[:, i, i], x[:, j], x[:, j[:, :1]], x[:, i.expand(2, 3)], x[:, :, j, :], x[:, i, :, j[0]]),
        randn(4, 4, 3, 1).permute(3, 2, 1, 0), torch.tensor([0, 0, -1]), torch.tensor([[0, 1, 2], [2, 0, 1]]).T.contiguous().T,
    ),
    "positions in dims of one": (
        lambda x, i: (x[:, :, i], x[i, :], x[:, i], x[..., i], x[:, i, i]), randn(1, 4, 1, 3).permute(3, 2, 1, 0), torch.tensor([[0, 0]]),
    ),
    "powers of two": (
        lambda x, y, i: (torch.ldexp(x[0, 0], y.T), torch.ldexp(x.T, y.T), torch.ldexp(x[:, :1], i.T), x.ldexp(y)), X, Y, torch.arange(24).reshape(6, 4)
    ),
    "masked reductions": (lambda x, m: (torch.masked.sum(x, 1, mask=m), torch.masked.softmax(x, 1, mask=m)), X, MASK),
    "windows": (lambda x: x * torch.signal.windows.hann(6), X),
    "gaussian_nll_loss": (lambda x, y: F.gaussian_nll_loss(x, y, x.abs(), full=True), X, Y),
    "layouts of complex numbers": (
        lambda c, i: (c[i], c[:, i], F.pad(c[None], (1, 1), mode="replicate"), c.roll(1, 0), c ** 2), COMPLEX.T, torch.tensor([[0, 1], [2, 0], [1, 1]]).T
    ),
    "layouts of unsigned integers": (
        lambda i, j: (i[j], i.roll(1, 0)), torch.arange(12).to(torch.uint16).reshape(3, 4).T, torch.tensor([[0, 1, 1], [2, 0, 1]]).T
    ),
    "complex moments": (lambda c: (torch.var_mean(c, 0), torch.std_mean(c)), COMPLEX),
    "running maximum of a complex number": (lambda c: (c.cummax(-1).values, c.cummin(0).indices), COMPLEX[0, 0]),
    "complex": (lambda c: (c.mH, c @ c.mH, c.exp().abs()), COMPLEX),
}  # fmt: skip


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("case", CASES)
def test_as_eager(case, backend):
    fn, *args = CASES[case]
    check(fn, *args, backend=backend, tolerance=2e-4)


def test_negative_variances_are_found_when_the_graph_runs():
    function = compiled(lambda x, y, var: F.gaussian_nll_loss(x, y, var))
    function(X, Y, X.abs())
    with pytest.raises(ValueError, match="negative entry"):
        function(X, Y, -X.abs())


def test_offset_is_guarded():
    base = torch.arange(20.0)
    function = compiled(lambda x: x.as_strided((2,), (2,), x.storage_offset() + 1))
    for start in (0, 3, 5):
        x = base[start : start + 6]
        assert torch.equal(function(x), x.as_strided((2,), (2,), start + 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.int8, torch.bool, torch.complex64])
@pytest.mark.parametrize("dynamic", [None, True])
def test_an_offset_counts_from_the_start_of_the_memory(dtype, dynamic):
    def f(x):
        return x.as_strided((2, 2), (2, 1), 1)

    base = torch.arange(7).to(dtype)
    for starts in ((1, 0, 1), (0, 1, 0)):
        quern.reset()
        function = quern.compile(f, backend="eager", dynamic=dynamic)
        for start in starts:
            x = base[start : start + 5 - start].reshape(5 - start, 1)
            assert torch.equal(function(x), f(x)) and function(x).storage_offset() == 1


def test_a_call_without_tensors_among_its_results_is_not_forgotten():
    @torch.library.custom_op("quern_tests::note", mutates_args=())
    def note(x: torch.Tensor) -> None:
        seen.append(float(x.sum()))

    seen: list[float] = []
    note.register_fake(lambda x: None)
    compiled(lambda x: (note(x), x + 1)[1])(X)
    quern.compile(lambda x: (note(x), x + 1)[1])(X)
    assert seen == [float(X.sum())] * 2
