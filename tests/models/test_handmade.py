"""Models written by hand: one graph each, in inference and in training, outputs, buffers and gradients equal to eager's."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent))

from handmade import MODELS  # noqa: E402
from model_checks import differences, leaves  # noqa: E402

import quern  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]

#: what the generated kernels' random numbers cannot be compared with
RANDOM = {name for name, made in MODELS.items() if "random" in made.tags}


@pytest.fixture(autouse=True)
def forget():
    yield
    quern.reset()


def loss_of(output):
    """One number of everything that can be differentiated."""
    tensors = [t for _, t in leaves(output) if isinstance(t, torch.Tensor) and t.requires_grad]
    return sum(t.square().mean() for t in tensors)


def pair(made, backend):
    """The same model twice: plain, and compiled."""
    plain = made.module()
    twin = copy.deepcopy(plain)
    return plain, twin, quern.compile(twin, backend=backend, fullgraph=True)


def run(module, made, step):
    arguments = [a.clone() if isinstance(a, torch.Tensor) else a for a in made.call_arguments(step)]
    torch.manual_seed(step)
    return module(*arguments)


def agree(name, expected, found, plain, twin, tolerance):
    wrong = differences(expected, found, tolerance)
    wrong += differences(dict(plain.state_dict()), dict(twin.state_dict()), tolerance)
    assert not wrong, f"{name}: " + "; ".join(wrong[:5])


def check_inference(name, backend, tolerance):
    made = MODELS[name]
    plain, twin, compiled = pair(made, backend)
    plain.eval(), twin.eval()
    with torch.no_grad():
        for step in range(2):
            agree(name, run(plain, made, step), run(compiled, made, step), plain, twin, tolerance)
    assert not [str(r) for f in quern.api.functions_of(compiled) for r in f.recompiles]


@pytest.mark.parametrize("name", MODELS)
def test_inference(name):
    check_inference(name, "eager", 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(MODELS) - RANDOM))
def test_inference_with_generated_kernels(name):
    check_inference(name, "inductor", 1e-4)


@pytest.mark.parametrize("name", [n for n, made in MODELS.items() if list(made.module().parameters())])
def test_training(name):
    """Three steps of an optimizer: the second and third see weights that changed, and must not be captured anew."""
    made = MODELS[name]
    plain, twin, compiled = pair(made, "eager")
    plain.train(), twin.train()
    optimizers = [
        torch.optim.SGD([p for p in m.parameters() if p.requires_grad], 0.01, momentum=0.9) for m in (plain, twin)
    ]
    for step in range(3):
        expected, found = run(plain, made, step), run(compiled, made, step)
        agree(name, expected, found, plain, twin, 1e-4)
        for output in (expected, found):
            loss_of(output).backward()
        gradients = [{k: p.grad for k, p in m.named_parameters()} for m in (plain, twin)]
        wrong = differences(*gradients, 1e-4)
        assert not wrong, f"{name}, step {step}: gradients: " + "; ".join(wrong[:5])
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    assert not [str(r) for f in quern.api.functions_of(compiled) for r in f.recompiles]
