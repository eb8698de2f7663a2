"""What the benchmarks run. Each workload builds a callable and its inputs; the same arguments go to every system.

Sizes follow the published baselines; add a workload by adding a function to `TORCH` or `NUMPY`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

#: name -> function that returns (callable, args)
TORCH: dict[str, Callable[[], tuple[Callable[..., Any], tuple[Any, ...]]]] = {}
NUMPY: dict[str, Callable[[], tuple[Callable[..., Any], tuple[Any, ...]]]] = {}


def torch_workload(make):
    TORCH[make.__name__] = make
    return make


def numpy_workload(make):
    NUMPY[make.__name__] = make
    return make


# --------------------------------------------------------------------------- torch


@torch_workload
def pointwise_chain():
    """Two arrays of 16 MB through sin, cos, exp, gelu, tanh: bound by arithmetic."""
    import torch
    import torch.nn.functional as F

    def f(x, y):
        return torch.tanh(F.gelu(torch.sin(x) * torch.cos(y)) + torch.exp(-x * x))

    return f, (torch.randn(2048, 2048), torch.randn(2048, 2048))


@torch_workload
def norm_softmax():
    """Layer norm, then softmax, of 4096 rows of 1024: bound by memory."""
    import torch
    import torch.nn.functional as F

    weight, bias = torch.randn(1024), torch.randn(1024)

    def f(x):
        return torch.softmax(F.layer_norm(x, (1024,), weight, bias), dim=-1)

    return f, (torch.randn(4096, 1024),)


@torch_workload
def mlp():
    """512-2048-512 with GELU, 256 rows."""
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(512, 2048), nn.GELU(), nn.Linear(2048, 512)).eval()
    return model, (torch.randn(256, 512),)


@torch_workload
def tiny():
    """Two ops on 10 elements: nothing but call overhead."""
    import torch

    def f(x, y):
        return torch.relu(x + y)

    return f, (torch.randn(10), torch.randn(10))


def make_gpt(layers: int = 4, width: int = 384, heads: int = 6, vocabulary: int = 1000, tokens: int = 128):
    """A GPT-style transformer written by hand, in eval mode, with its input tokens."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(width, 3 * width)
            self.out = nn.Linear(width, width)

        def forward(self, x):
            batch, length, _ = x.shape
            q, k, v = (
                t.view(batch, length, heads, width // heads).transpose(1, 2) for t in self.qkv(x).split(width, dim=2)
            )
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(y.transpose(1, 2).reshape(batch, length, width))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attention = Attention()
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(vocabulary, width)
            self.positions = nn.Embedding(tokens, width)
            self.blocks = nn.ModuleList(Block() for _ in range(layers))
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, vocabulary, bias=False)

        def forward(self, index):
            positions = torch.arange(index.shape[1], device=index.device)
            x = self.tokens(index) + self.positions(positions)
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    torch.manual_seed(0)
    return GPT().eval(), (torch.randint(0, vocabulary, (1, tokens)),)


@torch_workload
def gpt():
    """A hand-written GPT: 4 layers, width 384, 128 tokens."""
    return make_gpt()


def _transformers_model(name: str, config: dict[str, Any], *shape: int):
    import torch
    import transformers

    torch.manual_seed(0)
    configuration = getattr(transformers, f"{name}Config")(**config)
    model = getattr(transformers, f"{name}Model")(configuration).eval()
    return lambda ids: model(ids)[0], (torch.randint(0, 1000, shape),)


@torch_workload
def bert():
    """BERT, 4 layers, 2x128 tokens."""
    return _transformers_model("Bert", {"num_hidden_layers": 4}, 2, 128)


@torch_workload
def llama():
    """Llama, 4 layers, width 512, 1x128 tokens."""
    config = {
        "num_hidden_layers": 4, "hidden_size": 512, "intermediate_size": 1376, "num_attention_heads": 8,
        "num_key_value_heads": 4, "vocab_size": 2000, "use_cache": False,
    }  # fmt: skip
    return _transformers_model("Llama", config, 1, 128)


@torch_workload
def resnet():
    """The shape of ResNet-18, 2x224x224."""
    import torch
    import transformers

    torch.manual_seed(0)
    configuration = transformers.ResNetConfig(
        depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic", embedding_size=64
    )
    model = transformers.ResNetModel(configuration).eval()
    return lambda x: model(x)[0], (torch.randn(2, 3, 224, 224),)


# --------------------------------------------------------------------------- NumPy


@numpy_workload
def black_scholes():
    """Option prices of a million contracts."""
    rng = np.random.default_rng(0)
    n = 1_000_000
    args = (rng.uniform(50, 150, n), rng.uniform(50, 150, n), rng.uniform(0.1, 2, n))

    def f(price, strike, years):
        rate, volatility = 0.02, 0.3
        root = volatility * np.sqrt(years)
        d1 = (np.log(price / strike) + (rate + 0.5 * volatility * volatility) * years) / root
        d2 = d1 - root
        # the normal distribution function by way of tanh (Page, 1977)
        n1 = 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (d1 + 0.044715 * d1**3)))
        n2 = 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (d2 + 0.044715 * d2**3)))
        return price * n1 - strike * np.exp(-rate * years) * n2

    return f, args


@numpy_workload
def pairwise_distances():
    """Distances between two sets of 1500 points in 8 dimensions."""
    rng = np.random.default_rng(0)

    def f(a, b):
        d = a[:, None, :] - b[None, :, :]
        return np.sqrt((d * d).sum(axis=-1))

    return f, (rng.standard_normal((1500, 8)), rng.standard_normal((1500, 8)))


@numpy_workload
def normalise_rows():
    """Softmax of standardised rows, 2000 x 1000."""
    rng = np.random.default_rng(0)

    def f(x):
        z = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    return f, (rng.standard_normal((2000, 1000)).astype(np.float32),)


@numpy_workload
def grey_image():
    """Weighted sum over 3 channels of a 2048 x 1024 image, then contrast."""
    rng = np.random.default_rng(0)
    weights = np.array([0.299, 0.587, 0.114], np.float32)

    def f(image):
        grey = (image * weights).sum(axis=-1)
        return np.clip((grey - grey.mean()) * 1.5 + 0.5, 0.0, 1.0)

    return f, (rng.random((1024, 2048, 3), np.float32),)
