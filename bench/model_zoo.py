"""Models of small configuration and random weights, with a call for each: what `python -m bench models` runs.

A call of eager takes some 10 to 200 ms on two cores. `MODELS` maps a name to a maker; nothing is imported before one is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .workloads import make_gpt


@dataclass(frozen=True)
class Model:
    """call: runs what it is given (the module, or what a compiler made of it) once and returns the array to compare"""

    module: Any
    call: Callable[[Callable[..., Any]], Any]


MODELS: dict[str, Callable[[], Model]] = {}


def _model(make: Callable[[], Model]) -> Callable[[], Model]:
    MODELS[make.__name__.replace("_", "-")] = make
    return make


def _of_transformers(name: str, config: str, **settings: Any) -> Any:
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    return getattr(transformers, name)(getattr(transformers, config)(**settings)).eval()


def _ids(*shape: int, below: int = 1000) -> Any:
    import torch

    return torch.randint(5, below, shape, generator=torch.Generator().manual_seed(0))


def _numbers(*shape: int) -> Any:
    import torch

    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def _on(module: Any, *args: Any, **named: Any) -> Model:
    """Called with these; the first of the results is compared."""
    return Model(module, lambda f: f(*args, **named)[0])


# --------------------------------------------------------------------------- text

_LLAMA = dict(
    vocab_size=2000, hidden_size=512, intermediate_size=1376, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=4
)  # fmt: skip


@_model
def bert() -> Model:
    """4 layers of width 768, 2x128 tokens."""
    return _on(_of_transformers("BertModel", "BertConfig", num_hidden_layers=4), _ids(2, 128))


@_model
def gpt2() -> Model:
    """4 layers of width 768 and the head, 1x128 tokens."""
    return _on(_of_transformers("GPT2LMHeadModel", "GPT2Config", n_layer=4), _ids(1, 128), use_cache=False)


@_model
def nanogpt() -> Model:
    """Written by hand: 4 layers of width 384, 1x128 tokens."""
    module, args = make_gpt()
    return Model(module, lambda f: f(*args))


@_model
def llama() -> Model:
    """4 layers of width 512, grouped heads, 1x128 tokens."""
    return _on(_of_transformers("LlamaForCausalLM", "LlamaConfig", **_LLAMA), _ids(1, 128), use_cache=False)


@_model
def qwen2() -> Model:
    """4 layers of width 448, 7 heads for each that has keys, 1x128 tokens."""
    settings = _LLAMA | dict(hidden_size=448, intermediate_size=2432, num_attention_heads=7, num_key_value_heads=1)
    return _on(_of_transformers("Qwen2ForCausalLM", "Qwen2Config", **settings), _ids(1, 128), use_cache=False)


@_model
def t5() -> Model:
    """3 and 3 layers of width 512, 1x64 tokens."""
    module = _of_transformers("T5Model", "T5Config", vocab_size=2000, num_layers=3, num_decoder_layers=3)
    return _on(module, input_ids=_ids(1, 64), decoder_input_ids=_ids(1, 64), use_cache=False)


@_model
def mamba() -> Model:
    """2 layers of width 256, 1x64 tokens, one after the other."""
    settings = dict(vocab_size=2000, hidden_size=256, num_hidden_layers=2)
    return _on(_of_transformers("MambaForCausalLM", "MambaConfig", **settings), _ids(1, 64), use_cache=False)


@_model
def lstm() -> Model:
    """A language model of two layers of width 512, 4x64 tokens."""
    import torch
    from torch import nn

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(2000, 512)
            self.recurrent = nn.LSTM(512, 512, num_layers=2, batch_first=True)
            self.norm = nn.LayerNorm(512)
            self.head = nn.Linear(512, 2000)

        def forward(self, ids: Any) -> Any:
            states, _ = self.recurrent(self.embedding(ids))
            return self.head(self.norm(states))

    torch.manual_seed(0)
    ids = _ids(4, 64)
    return Model(Recurrent().eval(), lambda f: f(ids))


def _decoding(module: Any, prompt: int, longest: int) -> Model:
    """One token at a time, batch 1, behind a prompt: the same step again and again, for the cache forgets each."""
    import torch
    import transformers

    cache = transformers.StaticCache(config=module.config, max_cache_len=longest)
    with torch.no_grad():
        module(_ids(1, prompt), past_key_values=cache, use_cache=True)
    token = _ids(1, 1)

    def step(f: Callable[..., Any]) -> Any:
        logits = f(token, past_key_values=cache, use_cache=True).logits
        cache.crop(-1)
        return logits

    return Model(module, step)


@_model
def llama_decode() -> Model:
    """4 layers of width 1024, grouped heads: a token behind 255 in a cache for 512."""
    settings = _LLAMA | dict(hidden_size=1024, intermediate_size=2752, num_attention_heads=16, num_key_value_heads=8)
    return _decoding(_of_transformers("LlamaForCausalLM", "LlamaConfig", **settings), 255, 512)


@_model
def gpt2_decode() -> Model:
    """4 layers of width 768 and the head: a token behind 255 in a cache for 512."""
    return _decoding(_of_transformers("GPT2LMHeadModel", "GPT2Config", n_layer=4), 255, 512)


# --------------------------------------------------------------------------- images and sound


@_model
def vit() -> Model:
    """4 layers of width 768, 2x224x224."""
    return _on(_of_transformers("ViTModel", "ViTConfig", num_hidden_layers=4), _numbers(2, 3, 224, 224))


@_model
def clip() -> Model:
    """Images and text, 3 layers of width 512 each: 2x224x224 in patches of 32, 4x32 tokens."""
    sides = dict(
        hidden_size=512, intermediate_size=2048, num_hidden_layers=3, num_attention_heads=8, projection_dim=256
    )
    text = sides | dict(vocab_size=2000, eos_token_id=2, bos_token_id=0)
    module = _of_transformers(
        "CLIPModel", "CLIPConfig", text_config=text, vision_config=sides | dict(patch_size=32), projection_dim=256
    )
    return _on(module, input_ids=_ids(4, 32), pixel_values=_numbers(2, 3, 224, 224))


@_model
def swin() -> Model:
    """Two layers in each of four stages, width 96 and up, 1x224x224."""
    return _on(_of_transformers("SwinModel", "SwinConfig", depths=[2, 2, 2, 2]), _numbers(1, 3, 224, 224))


@_model
def resnet() -> Model:
    """The shape of ResNet-18, 2x224x224."""
    module = _of_transformers(
        "ResNetModel", "ResNetConfig", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic"
    )
    return _on(module, _numbers(2, 3, 224, 224))


@_model
def mobilenet() -> Model:
    """MobileNetV2, 2x224x224."""
    return _on(_of_transformers("MobileNetV2Model", "MobileNetV2Config"), _numbers(2, 3, 224, 224))


@_model
def convnext() -> Model:
    """Stages of 1, 1, 3 and 1 blocks, width 96 and up, 1x224x224."""
    return _on(_of_transformers("ConvNextModel", "ConvNextConfig", depths=[1, 1, 3, 1]), _numbers(1, 3, 224, 224))


@_model
def whisper_encoder() -> Model:
    """4 layers of width 384, 1x1000 frames."""
    import torch
    import transformers
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    torch.manual_seed(0)
    settings = dict(
        d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536, max_source_positions=500
    )
    return _on(WhisperEncoder(transformers.WhisperConfig(**settings)).eval(), _numbers(1, 80, 1000))


@_model
def unet() -> Model:
    """Three levels, 32 to 128 channels, 1x128x128."""
    import torch
    from torch import nn

    def two(c: int, o: int) -> Any:
        layers = [nn.Conv2d(c, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.Conv2d(o, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU()]  # fmt: skip
        return nn.Sequential(*layers)

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down1, self.down2, self.middle = two(3, 32), two(32, 64), two(64, 128)
            self.pool = nn.MaxPool2d(2)
            self.rise2, self.up2 = nn.ConvTranspose2d(128, 64, 2, stride=2), two(128, 64)
            self.rise1, self.up1 = nn.ConvTranspose2d(64, 32, 2, stride=2), two(64, 32)
            self.out = nn.Conv2d(32, 2, 1)

        def forward(self, x: Any) -> Any:
            one = self.down1(x)
            half = self.down2(self.pool(one))
            quarter = self.middle(self.pool(half))
            half = self.up2(torch.cat([self.rise2(quarter), half], 1))
            return self.out(self.up1(torch.cat([self.rise1(half), one], 1)))

    torch.manual_seed(0)
    x = _numbers(1, 3, 128, 128)
    return Model(UNet().eval(), lambda f: f(x))
