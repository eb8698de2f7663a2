"""Tensors without data: a compiled program asked for shapes, and the same program with real tensors."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import quern

BACKENDS = pytest.mark.parametrize("backend", ["eager", "inductor"])


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@BACKENDS
def test_a_model_without_weights_and_with_them(backend):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.linear = nn.Embedding(10, 4), nn.Linear(4, 3)

        def forward(self, ids):
            return torch.softmax(self.linear(self.embedding(ids)).mean(1), -1)

    with torch.device("meta"):
        net = Net()
    function = quern.compile(net, backend=backend, fullgraph=True)
    out = function(torch.zeros(2, 5, dtype=torch.long, device="meta"))
    assert (out.device.type, out.shape, out.dtype) == ("meta", (2, 3), torch.float32)
    net.to_empty(device="cpu")
    for p in net.parameters():
        p.normal_()
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    assert torch.allclose(function(ids), net(ids))


@BACKENDS
def test_the_device_changes_from_call_to_call(backend):
    function = quern.compile(lambda x: x.sum(1) + x[:, 0], backend=backend)
    for device in ("meta", "cpu", "meta", "cpu"):
        for rows in (3, 4, 5):
            out = function(torch.ones(rows, 4, device=device))
            assert (out.device.type, out.shape) == (device, (rows,))
            assert device == "meta" or out.tolist() == [5.0] * rows


PROGRAMS = [
    lambda x: x.to("meta") + 1,
    lambda x: torch.zeros(3, device="meta") + 1,
    lambda x: x.mul_(2).sum(),
    lambda x: nn.functional.dropout(torch.rand_like(x) @ x.t(), 0.5),
    lambda x: x.topk(2).indices,
]


@BACKENDS
@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_over_meta_tensors(program, backend):
    x = torch.ones(2, 3, device="meta")
    expected, found = program(x), quern.compile(program, backend=backend, fullgraph=True)(x)
    assert (found.device, found.shape, found.dtype) == (expected.device, expected.shape, expected.dtype)
    assert found.stride() == expected.stride()


@BACKENDS
@pytest.mark.parametrize(
    "program", [lambda x: x + torch.ones(3), lambda x: x * 2 if x.sum() > 0 else x, lambda x: x.sum().item()]
)
def test_what_needs_data_is_refused_in_eagers_words(program, backend):
    x = torch.ones(3, device="meta")
    with pytest.raises(RuntimeError) as expected:
        program(x)
    with pytest.raises(RuntimeError) as found:
        quern.compile(program, backend=backend)(x)
    assert str(found.value) == str(expected.value)


def test_numbers_drawn_for_tensors_without_data():
    """A graph that draws and may raise keeps the generators' states: the meta device has none."""
    net = nn.LSTM(6, 5, num_layers=2, dropout=0.5).to("meta")
    out, _ = quern.compile(net, backend="eager")(torch.ones(4, 2, 6, device="meta"))
    assert out.device.type == "meta" and out.shape == (4, 2, 5)


def test_gradients_without_data():
    x = torch.ones(3, device="meta", requires_grad=True)
    with torch.enable_grad():
        quern.compile(lambda x: (x * x).sum(), backend="eager")(x).backward()
    assert x.grad.device.type == "meta"
