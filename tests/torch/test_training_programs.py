"""Programs as users write them around compiled models: training loops with all that belongs to them, trainers, checkpoints,
generation, denoising. Losses, weights and results are eager's, and graphs were captured.
"""

# mypy: ignore-errors

from __future__ import annotations

import contextlib
import copy
import functools
import io
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.checkpoint import checkpoint

import quern
from quern.callbacks import callback_handler

BACKENDS = ["eager", "inductor"]


@pytest.fixture(autouse=True)
def _installed():
    quern.install()
    yield
    quern.uninstall()


@contextlib.contextmanager
def captures():
    """The compilations inside."""
    seen = []
    quern.on_compile_end(seen.append)
    yield seen
    callback_handler.end_callbacks.remove(seen.append)


class Block(nn.Module):
    def __init__(self, norm=True):
        super().__init__()
        # in front of a batch norm a bias has no gradient but roundings, of whose signs Adam makes steps
        self.norm, self.linear, self.drop = nn.LayerNorm(8), nn.Linear(8, 8, bias=not norm), nn.Dropout(0.25)
        self.batch = nn.BatchNorm1d(8) if norm else nn.Identity()

    def forward(self, x):
        return x + torch.relu(self.batch(self.drop(self.linear(self.norm(x)))))


class Net(nn.Module):
    def __init__(self, checkpointed=False):
        super().__init__()
        self.a, self.b, self.head = Block(not checkpointed), Block(not checkpointed), nn.Linear(8, 4)
        self.checkpointed = checkpointed

    def forward(self, x):
        x = self.a(x)
        x = checkpoint(self.b, x, use_reentrant=False) if self.checkpointed else self.b(x)
        return self.head(x)


class Straight(Net):
    """Without what cannot be scripted."""

    def forward(self, x):
        return self.head(self.b(self.a(x)))


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 8, generator=generator), torch.randn(6, 4, generator=generator)


# ---------------------------------------------------------------- how a model is compiled


def whole(net, backend):
    return torch.compile(net, backend=backend)


def in_place(net, backend):
    net.compile(backend=backend)
    return net


def its_blocks(net, backend):
    for block in (net.a, net.b):
        block.compile(backend=backend)
    return net


def its_blocks_replaced(net, backend):
    net.a, net.b = torch.compile(net.a, backend=backend), torch.compile(net.b, backend=backend)
    return net


WAYS = [whole, in_place, its_blocks, its_blocks_replaced]


def weights(net):
    return {key.replace("_orig_mod.", ""): value.clone() for key, value in net.state_dict().items()}


# ---------------------------------------------------------------- training loops


def trains(compiled, before=None, loss_of=None, update=None, **settings):
    """before, update: called with (net, optimizer, step); loss_of: (net, x, y) -> loss."""
    torch.manual_seed(0)
    net = compiled(Net(**settings))
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.05)
    losses = []
    for step in range(4):
        x, y = batch(step)
        if before is not None:
            before(net, optimizer, step)
        loss = (loss_of or plain_loss)(net, x, y)
        loss.backward()
        losses.append(loss.item())
        if update is None or update(net, optimizer, step) is not False:
            optimizer.step()
            optimizer.zero_grad(set_to_none=step % 2 == 0)
    return losses, weights(net)


def plain_loss(net, x, y):
    return F.mse_loss(net(x), y)


def in_bfloat16(net, x, y):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return F.mse_loss(net(x).float(), y)


def clips(net, optimizer, step):
    torch.nn.utils.clip_grad_norm_(net.parameters(), 0.3)


def accumulates(net, optimizer, step):
    return step % 2 == 1


def freezes(net, optimizer, step):
    for p in net.a.parameters():
        p.requires_grad_(step % 2 == 0)


def warms_up(net, optimizer, step):
    for group in optimizer.param_groups:
        group["lr"] = 0.01 * (step + 1)


def evaluates(net, optimizer, step):
    net.eval()
    with torch.no_grad():
        net(batch(9)[0])
    net.train()


def moves_types(net, optimizer, step):
    net.double().float()


def with_scaler(compiled):
    torch.manual_seed(0)
    net = compiled(Net())
    optimizer, scaler, losses = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9), torch.amp.GradScaler("cpu"), []
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)
    for step in range(4):
        x, y = batch(step)
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.mse_loss(net(x).float(), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_value_(net.parameters(), 0.01)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        schedule.step()
        losses.append(loss.item())
    return losses, weights(net)


def with_average(compiled):
    torch.manual_seed(0)
    net = compiled(Net())
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.05)
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for step in range(3):
        x, y = batch(step)
        F.mse_loss(net(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(net)
    update_bn([batch(i)[0] for i in range(2)], average)
    average.eval()
    with torch.no_grad():
        return average(batch(5)[0]), weights(average.module), weights(net)


def through_copies(compiled, copied):
    """Training goes on in a copy."""
    torch.manual_seed(0)
    net = compiled(Net())
    for step in range(3):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        F.mse_loss(net(batch(step)[0]), batch(step)[1]).backward()
        optimizer.step()
        optimizer.zero_grad()
        net = copied(net)
    return weights(net)


def through_checkpoints(compiled):
    """Training goes on in another process, as it were, and the plain model takes the weights over."""
    torch.manual_seed(0)
    net = compiled(Net())
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.05)
    for step in range(3):
        F.mse_loss(net(batch(step)[0]), batch(step)[1]).backward()
        optimizer.step()
        optimizer.zero_grad()
        file = io.BytesIO()
        torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, file)
        file.seek(0)
        saved = torch.load(file)
        net = compiled(Net())
        net.load_state_dict(saved["net"])
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.05)
        optimizer.load_state_dict(saved["optimizer"])
    plain = Net()
    plain.load_state_dict(weights(net))
    return weights(plain)


def with_workers(compiled):
    torch.manual_seed(0)
    net = compiled(Net())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    data = torch.utils.data.TensorDataset(*(torch.cat(part) for part in zip(*(batch(i) for i in range(3)))))
    losses = []
    for x, y in torch.utils.data.DataLoader(data, batch_size=4, num_workers=1):  # the last batch is smaller
        loss = F.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, weights(net)


LOOPS = {
    "plain": trains,
    "bfloat16": functools.partial(trains, loss_of=in_bfloat16),
    "clipping": functools.partial(trains, update=clips),
    "accumulation": functools.partial(trains, update=accumulates),
    "freezing": functools.partial(trains, before=freezes),
    "schedule": functools.partial(trains, before=warms_up),
    "evaluation": functools.partial(trains, before=evaluates),
    "types": functools.partial(trains, before=moves_types),
    "checkpointing": functools.partial(trains, checkpointed=True),
    "scaler": with_scaler,
    "average": with_average,
    "deepcopy": functools.partial(through_copies, copied=copy.deepcopy),
    "pickle": functools.partial(through_copies, copied=lambda net: pickle.loads(pickle.dumps(net))),
    "checkpoints": through_checkpoints,
    "workers": with_workers,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.filterwarnings("ignore:.*gradients are asked for", "ignore:.*lr_scheduler.step")
def test_a_training_loop(loop, way):
    expected = LOOPS[loop](lambda net: net)
    for backend in BACKENDS:
        with captures() as seen:
            found = LOOPS[loop](functools.partial(way, backend=backend))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        assert seen


def test_a_checkpoint_ends_the_recomputation_in_the_midst_of_a_graph():
    """As the framework's checkpointing does, by an error in a hook that must not be called again."""
    packed = []

    def pack(tensor):
        packed.append(tensor.shape)
        if len(packed) % 2 == 0:
            raise ValueError("enough")
        return tensor

    def function(x):
        return (x.sin() * x).exp()

    x = torch.ones(3, requires_grad=True)
    for backend in BACKENDS:
        compiled = quern.compile(function, backend=backend)
        for called in (1, 2):
            packed.clear()
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t), pytest.raises(ValueError, match="enough"):
                compiled(x)
            assert len(packed) == 2, called


# ---------------------------------------------------------------- checkpoints and exports


@pytest.mark.parametrize("way", [whole, its_blocks_replaced])
def test_checkpoints_of_wrapped_modules_are_loaded(way):
    """torch.compile's wrapper has a name in the keys of its state dict."""
    torch.manual_seed(0)
    plain, net = Net(), way(Net(), "eager")
    saved = plain.state_dict()
    marked = ("",) if way is whole else ("a.", "b.")
    for prefix in marked:
        saved = {
            f"{prefix}_orig_mod.{key.removeprefix(prefix)}" if key.startswith(prefix) else key: value
            for key, value in saved.items()
        }
    assert saved.keys() == net.state_dict().keys()
    ours = quern.compile(Net(), backend="eager")  # which has no such names of its own
    for loading in (net, ours) if way is whole else (net,):
        loading.load_state_dict(saved)
        torch.testing.assert_close(weights(loading), weights(plain))
        with pytest.raises(RuntimeError, match="Unexpected key"):
            loading.load_state_dict({**saved, f"{marked[0]}_orig_mod.other": torch.ones(1)})


def test_who_unwraps_a_model_puts_it_back():
    net, other, x = Net().eval(), Net().eval(), batch(0)[0]
    compiled = torch.compile(net, backend="eager")
    compiled._orig_mod = compiled._orig_mod
    assert list(compiled.state_dict()) == [f"_orig_mod.{key}" for key in net.state_dict()]
    torch.testing.assert_close(compiled(x), net(x))
    compiled._orig_mod = other
    with captures() as seen:
        torch.testing.assert_close(compiled(x), other(x))
    assert seen and compiled._orig_mod is other
    compiled.head.weight.data.zero_()
    assert not other.head.weight.any() and net.head.weight.any()


def test_another_function_with_the_settings_of_a_module():
    context = torch.compile(Net(), backend="eager", fullgraph=True).dynamo_ctx
    with pytest.raises(quern.errors.Unsupported):
        context(lambda x: (quern.graph_break(), x)[1])(torch.ones(2))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("strict", [False, True])
def test_a_compiled_module_is_exported_scripted_and_traced(way, strict):
    torch.manual_seed(0)
    x = batch(0)[0]
    net = way(Straight().eval(), "eager")
    expected = net(x)
    exported = torch.export.export(net, (x,), strict=strict)
    assert exported.state_dict.keys() == net.state_dict().keys()
    torch.testing.assert_close(exported.module()(x), expected)
    torch.testing.assert_close(torch.compile(exported.module(), backend="eager")(x), expected)
    torch.testing.assert_close(torch.jit.trace(net, x)(x), expected)
    scripted, file = torch.jit.script(net), io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    torch.testing.assert_close(torch.jit.load(file)(x), expected)
    torch.testing.assert_close(net(x), expected)


# ---------------------------------------------------------------- denoising


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(2, channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.time = nn.Linear(8, channels)

    def forward(self, x, time):
        return x + self.conv(F.silu(self.norm(x))) + self.time(time)[:, :, None, None]


class SmallUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.down = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.outer, self.inner, self.up = Residual(8), Residual(8), Residual(8)
        self.last = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x, time):
        angles = time[:, None] * torch.arange(1, 5)
        embedded = torch.cat([angles.sin(), angles.cos()], -1)
        outer = self.outer(self.first(x), embedded)
        inner = self.inner(self.down(outer), embedded)
        inner = self.up(F.interpolate(inner, scale_factor=2.0, mode="nearest"), embedded)
        return self.last(torch.cat([outer, inner], 1))


@torch.no_grad()
def denoise(net, size, steps=5, guidance=3.0):
    generator = torch.Generator().manual_seed(0)
    x, kept = torch.randn(1, 3, size, size, generator=generator), torch.linspace(0.99, 0.01, steps + 1)
    for i in reversed(range(steps)):
        with_prompt, without = net(torch.cat([x, x]), torch.full((2,), float(i))).chunk(2)
        noise = without + guidance * (with_prompt - without)
        clean = (x - (1 - kept[i]).sqrt() * noise) / kept[i].sqrt()
        x = kept[max(i - 1, 0)].sqrt() * clean.clamp(-1, 1) + (1 - kept[max(i - 1, 0)]).sqrt() * noise
        if i:
            x = x + 0.1 * torch.randn(x.shape, generator=generator)
    return x


@pytest.mark.parametrize("backend", BACKENDS)
def test_denoising(backend):
    torch.manual_seed(0)
    net = SmallUNet().eval()
    compiled = torch.compile(net, backend=backend)
    with captures() as seen:
        for size in (8, 12, 16):
            torch.testing.assert_close(denoise(compiled, size), denoise(net, size), atol=1e-4, rtol=1e-4)
    assert 1 <= len(seen) <= 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_diffusers_pipeline(backend):
    diffusers = pytest.importorskip("diffusers", exc_type=ImportError)
    torch.manual_seed(0)
    net = diffusers.UNet2DModel(
        sample_size=8, layers_per_block=1, block_out_channels=(8, 16), norm_num_groups=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    ).eval()  # fmt: skip
    pipeline = diffusers.DDPMPipeline(net, diffusers.DDPMScheduler(num_train_timesteps=20))
    pipeline.set_progress_bar_config(disable=True)

    def image():
        return pipeline(generator=torch.Generator().manual_seed(0), num_inference_steps=4, output_type="np").images

    expected = image()
    pipeline.unet = torch.compile(net, backend=backend)
    with captures() as seen:
        assert abs(image() - expected).max() < 1e-5
    assert seen


# ---------------------------------------------------------------- transformers, and trainers


def llama():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64,
        )
    )  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cache", [None, "static"])
def test_generation(cache, backend):
    net, words = llama().eval(), torch.randint(0, 64, (2, 5), generator=torch.Generator().manual_seed(0))
    compiled = copy.deepcopy(net)
    compiled.forward = torch.compile(compiled.forward, backend=backend)
    for settings in ({}, {"do_sample": True}):
        given = dict(max_new_tokens=6, cache_implementation=cache, pad_token_id=0, do_sample=False) | settings
        torch.manual_seed(0)
        expected = net.generate(words, disable_compile=True, **given)
        with captures() as seen:
            torch.manual_seed(0)
            assert torch.equal(compiled.generate(words, **given), expected)
        assert len(seen) <= 12


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"gradient_accumulation_steps": 2, "bf16": True},
        {"gradient_checkpointing": True, "max_grad_norm": 0.1, "lr_scheduler_type": "cosine", "warmup_steps": 2},
    ],
    ids=["plain", "accumulation", "checkpointing"],
)
@pytest.mark.filterwarnings("ignore")
def test_the_trainer_of_transformers(settings, tmp_path, monkeypatch):
    pytest.importorskip("accelerate")
    from transformers import Trainer, TrainingArguments

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    words = torch.randint(0, 64, (12, 16), generator=torch.Generator().manual_seed(0))

    def trained(**more):
        given = dict(max_steps=3, per_device_train_batch_size=2, logging_steps=1, use_cpu=True, save_strategy="no")
        arguments = TrainingArguments(tmp_path, report_to=[], disable_tqdm=True, seed=1, **given, **settings, **more)
        trainer = Trainer(llama(), arguments, train_dataset=[{"input_ids": w, "labels": w} for w in words])
        trainer.train()
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry], weights(trainer.model)

    expected = trained()
    with captures() as seen:
        found = trained(torch_compile=True, torch_compile_backend="inductor")
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert seen


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.filterwarnings("ignore")
def test_accelerate(precision, backend):
    accelerate = pytest.importorskip("accelerate")
    from accelerate.state import AcceleratorState

    def trained(backend):
        AcceleratorState._reset_state(True)
        torch.manual_seed(0)
        accelerator = accelerate.Accelerator(
            cpu=True, dynamo_backend=backend, mixed_precision=precision, gradient_accumulation_steps=2
        )
        net, losses = Net(), []
        data = torch.utils.data.DataLoader([batch(i) for i in range(4)], batch_size=None)
        net, optimizer, data = accelerator.prepare(net, torch.optim.AdamW(net.parameters(), lr=0.05), data)
        for x, y in data:
            with accelerator.accumulate(net):
                loss = F.mse_loss(net(x), y)
                accelerator.backward(loss)
                accelerator.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                losses.append(loss.item())
        return losses, weights(accelerator.unwrap_model(net)), accelerator.get_state_dict(net)

    expected = trained("no")
    with captures() as seen:
        torch.testing.assert_close(trained(backend), expected, atol=1e-5, rtol=1e-5)
    assert seen


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.filterwarnings("ignore")
def test_lightning(backend):
    lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = Net()

        def training_step(self, batch, index):
            loss = F.mse_loss(self.net(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=0.05)

    def trained(compiled):
        torch.manual_seed(0)
        module = Module()
        data = torch.utils.data.DataLoader([batch(i) for i in range(4)], batch_size=None)
        trainer = lightning.Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, gradient_clip_val=0.5,
        )  # fmt: skip
        trainer.fit(compiled(module), data)
        return trainer.callback_metrics["loss"], weights(module)

    expected = trained(lambda module: module)
    with captures() as seen:
        found = trained(functools.partial(torch.compile, backend=backend))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert seen
