"""torch.compile with quern behind it."""

from __future__ import annotations

import importlib.metadata

import pytest

torch = pytest.importorskip("torch")

from quern.inductor.compile import COUNTERS  # noqa: E402

import quern  # noqa: E402
from quern.dynamo import quern_backend  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quern. gradients")]


@pytest.fixture(autouse=True)
def clean():
    torch._dynamo.reset()
    quern.reset()
    yield
    torch._dynamo.reset()


def test_dynamo_captures_and_quern_compiles():
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.LayerNorm(16)).eval()
    x = torch.randn(4, 8)
    with torch.no_grad():
        before = COUNTERS["graphs"]
        compiled = torch.compile(lambda a: model(a), backend=quern_backend)
        torch.testing.assert_close(compiled(x), model(x))
        torch.testing.assert_close(compiled(x + 1), model(x + 1))
        assert COUNTERS["graphs"] == before + 1


def test_gradients_through_dynamo():
    model = torch.nn.Linear(8, 4)
    x = torch.randn(3, 8)
    torch.compile(model, backend=quern_backend)(x).sum().backward()
    got = model.weight.grad.clone()
    model.zero_grad()
    model(x).sum().backward()
    torch.testing.assert_close(got, model.weight.grad)


def test_found_by_name():
    points = {e.name: e.value for e in importlib.metadata.entry_points(group="torch_dynamo_backends")}
    assert points.get("quern") == "quern.dynamo:quern_backend"
    with torch.no_grad():
        f = torch.compile(lambda a: torch.sin(a) + 1, backend="quern")
        x = torch.randn(5)
        torch.testing.assert_close(f(x), torch.sin(x) + 1)
