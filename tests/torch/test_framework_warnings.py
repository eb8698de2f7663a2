"""Warnings that torch's own functions give reach the program from compiled code, at its own line."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F

import quern

X = torch.arange(12.0).reshape(3, 4) / 12
ONE = X[:1].clone()
CALLS = {
    "mse_loss": lambda x: F.mse_loss(x, ONE),
    "l1_loss": lambda x: F.l1_loss(x, ONE),
    "smooth_l1_loss": lambda x: F.smooth_l1_loss(x, ONE),
    "huber_loss": lambda x: F.huber_loss(x, ONE),
    "a loss of equal sizes": lambda x: F.mse_loss(x, x * 2),
    "MSELoss": lambda x: torch.nn.MSELoss()(x, ONE),
    "softmax": lambda x: F.softmax(x),
    "log_softmax": lambda x: F.log_softmax(x),
    "softmin": lambda x: F.softmin(x),
    "softmax of a dim": lambda x: F.softmax(x, 1),
    "Softmax": lambda x: torch.nn.Softmax()(x),
    "kl_div": lambda x: F.kl_div(x, x),
    "kl_div of a batch": lambda x: F.kl_div(x, x, reduction="batchmean"),
    "tensor of a tensor": lambda x: torch.tensor(x),
    "new_tensor of a tensor": lambda x: x.new_tensor(x[0]),
    "gradient of no leaf": lambda x: (x, (x.clone().requires_grad_() * 2).grad)[0],
    "upsample": lambda x: F.upsample(x[None, None], scale_factor=2),
}
#: they are given by kernels
FEW = {
    "std of one": lambda x: torch.std(x[:1], 0),
    "var_mean of one": lambda x: torch.stack(torch.var_mean(x[:, :1], 1)),
    "var of one, uncorrected": lambda x: x[:1].var(0, correction=0),
    "var of two, corrected by two": lambda x: x[:2].var(0, correction=2),
    "std of none": lambda x: x[:0].std(0),
    "var of none": lambda x: x[:, :0].var(),
}

SILENT = ("a loss of equal sizes", "softmax of a dim", "kl_div of a batch", "var of none", "var of one, uncorrected")


def heard(function):
    """What a call warns of: text, class, file and line; and what it gives."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        value = function(X)
    return [(str(w.message), w.category, w.filename, w.lineno) for w in said], value


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", [*CALLS, *FEW])
def test_warnings(name, backend):
    """Those of kernels come from the line that calls the kernel, which is not the program's."""
    call = {**CALLS, **FEW}[name]
    parts = 4 if name in CALLS else 2
    wanted, value = heard(call)
    assert wanted or name in SILENT
    fast = quern.compile(call, backend=backend)
    for _ in range(2):
        got, found = heard(fast)
        assert [w[:parts] for w in got] == [w[:parts] for w in wanted]
        torch.testing.assert_close(found, value, equal_nan=True)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_too_few_for_a_correction_that_changes(backend):
    def spread(x, missing):
        return x[:, 0].var(correction=missing)

    compiled = quern.compile(spread, backend=backend)
    for missing in (0, 1, 4, 2, 3):
        wanted, value = heard(lambda x, missing=missing: spread(x, missing))
        got, found = heard(lambda x, missing=missing: compiled(x, missing))
        assert [w[0] for w in got] == [w[0] for w in wanted] and bool(wanted) == (missing >= 3)
        torch.testing.assert_close(found, value)


def test_warnings_that_are_given_once():
    def once(x):
        return torch.cross(x[:, :3], x[:, :3] + 1), F.rms_norm(x.half(), (4,), torch.ones(4))

    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        wanted, _ = heard(once)
        got, _ = heard(quern.compile(once))
    finally:
        torch.set_warn_always(before)
    assert len(wanted) == 2 and [w[0] for w in got] == [w[0] for w in wanted]
