"""Twenty steps of AdamW: the losses of compiled models are eager's, step by step."""

# mypy: ignore-errors

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import torch.nn.functional as F  # noqa: E402
from handmade import MODELS  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402
from zoo import ALL  # noqa: E402

import quern  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

STEPS = 20


@pytest.fixture(autouse=True)
def forget():
    yield
    quern.reset()


#: of `transformers`, of small configuration
TRANSFORMERS = ("bert", "gpt2", "llama", "t5", "vit", "resnet", "swin", "whisper", "mamba", "convnext")
HANDMADE = ("RecurrentLanguageModel", "UNet", "VAE", "LoRANet", "NanoGPT", "ResNet", "DiffusionUNet")


def numbers(output):
    """The float tensors of a result."""
    if isinstance(output, torch.Tensor):
        return [output] if output.is_floating_point() and output.requires_grad else []
    parts = output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else ()
    return [t for part in parts for t in numbers(part)]


def squares(output):
    return sum(t.square().mean() for t in numbers(output))


def adamw(module):
    return torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], 1e-3)


def trained(module, call, loss_of=squares):
    """The losses of twenty steps. call: (compiled or plain module, step) -> its result"""
    optimizer, losses = adamw(module), []
    for step in range(STEPS):
        torch.manual_seed(step)
        optimizer.zero_grad()
        loss = loss_of(call(step))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def agree(train):
    """train: (what compiles a module) -> losses"""
    expected, found = train(lambda module: module), train(quern.compile)
    assert found == pytest.approx(expected, rel=1e-4)
    assert len(set(expected)) == STEPS


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name):
    def train(compiling):
        module = ALL[name].module().train()
        run = compiling(module)
        return trained(module, lambda step: run(**ALL[name].call_arguments(step % 4)))

    agree(train)


@pytest.mark.parametrize("name", HANDMADE)
def test_models_by_hand(name):
    made = MODELS[name]

    def train(compiling):
        module = made.module().train()
        run = compiling(module)
        return trained(module, lambda step: run(*made.call_arguments(step % 4)))

    agree(train)


def test_a_generator_and_its_critic():
    def train(compiling):
        torch.manual_seed(0)
        makers = [MODELS[n].module().train() for n in ("DCGANGenerator", "Discriminator")]
        (generator, critic), optimizers = map(compiling, makers), [adamw(m) for m in makers]
        losses = []
        for step in range(STEPS):
            torch.manual_seed(step)
            made = generator(torch.randn(4, 6, 1, 1))
            for optimizer in optimizers:
                optimizer.zero_grad()
            scores = critic(torch.randn(4, 3, 8, 8)), critic(made.detach())
            targets = torch.ones_like(scores[0]), torch.zeros_like(scores[1])
            of_critic = sum(map(F.binary_cross_entropy_with_logits, scores, targets))
            of_critic.backward()
            optimizers[1].step()
            again = critic(made)
            of_generator = F.binary_cross_entropy_with_logits(again, torch.ones_like(again))
            of_generator.backward()
            optimizers[0].step()
            losses.append(float(of_critic.detach() + of_generator.detach()))
        return losses

    agree(train)


def test_gradients_of_checkpointed_blocks_are_accumulated():
    def train(compiling):
        module = MODELS["NanoGPT"].module().train()
        for block in module.transformer.h:
            block.forward = lambda x, forward=block.forward: checkpoint(forward, x, use_reentrant=False)
        run, optimizer, losses = compiling(module), adamw(module), []
        for step in range(STEPS):
            optimizer.zero_grad()
            total = 0.0
            for k in range(3):
                ids = torch.randint(0, 31, (4, 17), generator=torch.Generator().manual_seed(3 * step + k))
                _, loss = run(ids[:, :-1].contiguous(), ids[:, 1:].contiguous())
                (loss / 3).backward()
                total += float(loss.detach())
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            losses.append(total)
        return losses

    agree(train)
