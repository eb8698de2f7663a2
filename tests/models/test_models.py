"""`transformers` models, small and with random weights: one graph each, the whole output equal to eager's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

from model_checks import check_model  # noqa: E402
from zoo import ALL, NAMED  # noqa: E402

import quern  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]

#: compiled with generated kernels in the default run; the others behind `slow`
KERNELS = ("bert", "gpt2", "llama", "t5", "vit", "resnet")


@pytest.fixture(autouse=True)
def forget():
    yield
    quern.reset()


@pytest.mark.parametrize("name", [s.name for s in NAMED])
def test_captured_whole(name):
    check_model(ALL[name])


@pytest.mark.parametrize("name", KERNELS)
def test_with_generated_kernels(name):
    check_model(ALL[name], backend="inductor", tolerance=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in ALL if n not in {s.name for s in NAMED}])
def test_captured_whole_further(name):
    check_model(ALL[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in ALL if n not in KERNELS])
def test_with_generated_kernels_further(name):
    check_model(ALL[name], backend="inductor", tolerance=1e-4)
