"""nn.Module: containers, parameters, buffers, hooks, counters, parametrisations, named iteration, model outputs, caches."""

# ruff: noqa
# mypy: ignore-errors

import collections
import dataclasses
import math

import torch
import torch.nn.functional as F
from torch_values import on_torch, randn
from torch import nn

program = on_torch(__name__)


@program.maker(args=lambda: (randn(2, 4),))
def linear():
    return nn.Linear(4, 3)


@program.maker(args=lambda: (randn(2, 4),))
def sequential():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2), nn.Softmax(dim=-1))


@program.maker(args=lambda: (randn(2, 4),))
def residual_block():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(4)
            self.fc = nn.Linear(4, 4)
            self.scale = 0.5

        def forward(self, x):
            return x + self.scale * F.gelu(self.fc(self.norm(x)))

    return Block()


@program.maker(args=lambda: (randn(2, 4),))
def module_list():
    class Stack(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])

        def forward(self, x):
            for i, layer in enumerate(self.layers):
                x = layer(x) + i
            return self.layers[-1](x), len(self.layers), [type(m).__name__ for m in self.layers[1:]]

    return Stack()


@program.maker(args=lambda: (randn(2, 4), "b"))
def module_dict():
    class Choice(nn.Module):
        def __init__(self):
            super().__init__()
            self.options = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Tanh()})

        def forward(self, x, which):
            out = self.options[which](x)
            for name, module in self.options.items():
                if name != which:
                    out = out + module(x)
            return out, list(self.options.keys()), "a" in self.options

    return Choice()


@program.maker(args=lambda: (randn(2, 4),))
def parameter_containers():
    class P(nn.Module):
        def __init__(self):
            super().__init__()
            self.ps = nn.ParameterList([nn.Parameter(torch.ones(4) * i) for i in range(3)])
            self.pd = nn.ParameterDict({"k": nn.Parameter(torch.ones(4) * 5)})
            self.single = nn.Parameter(torch.zeros(4))

        def forward(self, x):
            for p in self.ps:
                x = x + p
            return x * self.pd["k"] + self.single

    return P()


@program.maker(args=lambda: (randn(2, 4),))
def buffer_update():
    class Running(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.zeros(4))
            self.register_buffer("steps", torch.zeros((), dtype=torch.long))

        def forward(self, x):
            self.mean = self.mean * 0.9 + x.mean(0) * 0.1
            self.steps += 1
            return x - self.mean

    return Running()


@program.maker(args=lambda: (randn(2, 4),))
def buffer_inplace():
    class Running(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.zeros(4))
            self.register_buffer("hidden", torch.ones(4), persistent=False)

        def forward(self, x):
            self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
            self.hidden[0] = 5
            return x - self.mean * self.hidden

    return Running()


@program.maker(args=lambda: (randn(2, 4),))
def call_counter():
    class Counted(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return self.fc(x)

    return Counted()


@program.maker(args=lambda: (randn(2, 4),), calls=3)
def call_counter_used():
    class Counted(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0
            self.history = []

        def forward(self, x):
            self.calls += 1
            self.history.append(self.calls)
            return x * self.calls

    return Counted()


@program.maker(args=lambda: (randn(4, 3),))
def batch_norm_train():
    return nn.BatchNorm1d(3)


@program.maker(args=lambda: (randn(4, 3),))
def batch_norm_eval():
    return nn.BatchNorm1d(3).eval()


@program.maker(args=lambda: (randn(2, 4),))
def training_flag():
    class T(nn.Module):
        def forward(self, x):
            return x * 2 if self.training else x

    return T().eval()


@program.maker(args=lambda: (randn(2, 4),))
def dropout_eval():
    return nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2)).eval()


@program.maker(args=lambda: (randn(50, 40),))
def dropout_train():
    return nn.Dropout(0.3)


@program.maker(args=lambda: (randn(2, 4),))
def forward_hooks():
    m = nn.Linear(4, 4)
    m.register_forward_hook(lambda mod, args, out: out * 2)
    m.register_forward_pre_hook(lambda mod, args: (args[0] + 1,))
    return m


@program.maker(args=lambda: (randn(2, 4),))
def hook_on_child():
    m = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    seen = []
    m.seen = seen
    m[0].register_forward_hook(lambda mod, args, out: seen.append(out.shape))
    return m


@program.maker(args=lambda: (randn(2, 4),))
def shared_module():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4)
            self.b = self.a

        def forward(self, x):
            return self.b(self.a(x)), self.a is self.b

    return Shared()


@program.maker(args=lambda: (randn(2, 4),))
def tied_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc = nn.Linear(4, 3, bias=False)
            self.dec = nn.Linear(3, 4, bias=False)
            self.dec.weight = nn.Parameter(self.enc.weight.T.clone())

        def forward(self, x):
            return F.linear(self.enc(x), self.enc.weight.T) + self.dec(self.enc(x))

    return Tied()


@program.maker(args=lambda: (torch.tensor([[1, 2], [3, 0]]),))
def embedding():
    return nn.Embedding(5, 3, padding_idx=0)


@program.maker(args=lambda: (randn(1, 2, 8, 8),))
def convolutions():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


@program.maker(args=lambda: (randn(2, 5, 8),))
def attention():
    class Attention(nn.Module):
        def __init__(self, dim=8, heads=2):
            super().__init__()
            self.heads, self.size = heads, dim // heads
            self.qkv = nn.Linear(dim, 3 * dim)
            self.out = nn.Linear(dim, dim)

        def forward(self, x):
            b, t, d = x.shape
            q, k, v = self.qkv(x).view(b, t, 3, self.heads, self.size).permute(2, 0, 3, 1, 4)
            scores = q @ k.transpose(-2, -1) / math.sqrt(self.size)
            mask = torch.tril(torch.ones(t, t, dtype=torch.bool))
            weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
            return self.out((weights @ v).transpose(1, 2).reshape(b, t, d))

    return Attention()


@program.maker(args=lambda: (randn(2, 5, 8),))
def multihead_attention():
    m = nn.MultiheadAttention(8, 2, batch_first=True)

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.m = m

        def forward(self, x):
            return self.m(x, x, x, need_weights=True)

    return M()


@program.maker(args=lambda: (randn(2, 4),))
def named_parameters_in_forward():
    class N(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.register_buffer("b", torch.ones(4))

        def forward(self, x):
            names = [n for n, _ in self.named_parameters()]
            total = sum(p.sum() for p in self.parameters())
            return (
                x + total,
                names,
                [n for n, _ in self.named_buffers()],
                [n for n, _ in self.named_children()],
                len(list(self.modules())),
            )

    return N()


@program.maker(args=lambda: (randn(2, 4),))
def weight_norm():
    return torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))


@program.maker(args=lambda: (randn(2, 3),))
def custom_parametrization():
    class Symmetric(nn.Module):
        def forward(self, w):
            return w.triu() + w.triu(1).T

    m = nn.Linear(3, 3)
    nn.utils.parametrize.register_parametrization(m, "weight", Symmetric())
    return m


@program.maker(args=lambda: (randn(2, 4),))
def lazily_made_state():
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.cache = None

        def forward(self, x):
            if self.cache is None:
                self.cache = x * 2
            return x + self.cache

    return Lazy()


@program.maker(args=lambda: (randn(2, 4),))
def returns_intermediates():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])

        def forward(self, x, output_hidden=True):
            hidden = () if output_hidden else None
            for layer in self.layers:
                if output_hidden:
                    hidden = hidden + (x,)
                x = layer(x)
            return {"last": x, "hidden": hidden}

    return Deep()


@dataclasses.dataclass
class Output(collections.OrderedDict):
    """In the manner of a transformers ModelOutput."""

    logits: torch.Tensor = None
    past: object = None

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None:
                self[field.name] = value

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        super().__setattr__(key, value)

    def to_tuple(self):
        return tuple(self[k] for k in self.keys())


@program.maker(args=lambda: (randn(2, 4),))
def model_output():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x, return_dict=True):
            out = Output(logits=self.fc(x), past=[x])
            return out if return_dict else out.to_tuple()

    return M()


class Cache:
    def __init__(self):
        self.keys = []
        self.seen = 0

    def update(self, k, layer):
        if len(self.keys) <= layer:
            self.keys.append(k)
        else:
            self.keys[layer] = torch.cat([self.keys[layer], k], dim=0)
        self.seen += k.shape[0] if layer == 0 else 0
        return self.keys[layer]


@program.maker(args=lambda: (randn(2, 4), Cache()))
def growing_cache():
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])

        def forward(self, x, cache):
            for i, layer in enumerate(self.layers):
                x = layer(x) + cache.update(x, i).mean(0)
            return x, cache

    return Decoder()


@program.maker(args=lambda: (randn(1, 4),), calls=4)
def cache_kept_in_module():
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.cache = Cache()

        def forward(self, x):
            past = self.cache.update(x, 0)
            return x + past.mean(0), self.cache.seen

    return Decoder()


@program.maker(args=lambda: (randn(2, 4), {"k": torch.zeros(8, 4), "pos": 0}))
def static_cache():
    class Decoder(nn.Module):
        def forward(self, x, cache):
            start = cache["pos"]
            cache["k"][start : start + x.shape[0]] = x
            cache["pos"] = start + x.shape[0]
            return cache["k"][: cache["pos"]].sum(0)

    return Decoder()


@program.maker(args=lambda: (randn(2, 4),))
def getattr_module():
    class G(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = nn.Linear(4, 4)
            self.fc2 = nn.Linear(4, 4)

        def forward(self, x):
            for i in (1, 2):
                x = getattr(self, f"fc{i}")(x)
            return x, hasattr(self, "fc3"), self.get_submodule("fc1") is self.fc1

    return G()


@program.maker(args=lambda: (randn(2, 4),))
def module_missing_attribute():
    class G(nn.Module):
        def forward(self, x):
            return x + self.nothing

    return G()


@program.maker(args=lambda: (randn(2, 4),))
def module_with_property_and_static():
    class G(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        @property
        def weight(self):
            return self.fc.weight

        @staticmethod
        def act(x):
            return torch.relu(x)

        @torch.no_grad()
        def forward(self, x):
            return self.act(x @ self.weight)

    return G()


@program.maker(args=lambda: (randn(2, 4),))
def forward_calls_own_methods():
    class G(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.fns = [self.first, torch.relu, lambda t: t + 1]

        def first(self, x):
            return self.fc(x)

        def forward(self, x):
            for f in self.fns:
                x = f(x)
            return x

    return G()


@program.maker(args=lambda: (randn(2, 4),))
def module_subclass_of_sequential():
    class MySeq(nn.Sequential):
        def forward(self, x):
            for m in self:
                x = m(x) + 1
            return super().forward(x)

    return MySeq(nn.Linear(4, 4), nn.ReLU())


@program.maker(args=lambda: (randn(2, 4),))
def checkpoint_like_kwargs():
    class G(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def block(self, x, *, scale=1.0, **kwargs):
            return self.fc(x) * scale + len(kwargs)

        def forward(self, x, **kwargs):
            return self.block(x, scale=2.0, a=1, **kwargs)

    return G()


@program.maker(args=lambda: (randn(3, 2, 4),))
def recurrent_by_hand():
    class RNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(4, 4)

        def forward(self, xs):
            h = torch.zeros(xs.shape[1], 4)
            out = []
            for x in xs:
                h = self.cell(x, h)
                out.append(h)
            return torch.stack(out), h

    return RNN()


@program.maker(args=lambda: (randn(2, 4),))
def function_over_module():
    m = nn.Linear(4, 2)

    def f(x):
        return m(x).relu(), m.weight.shape, m.in_features

    return f


@program(args=lambda: (nn.Linear(4, 2), randn(3, 4)))
def module_as_argument(m, x):
    return m(x) + m.bias


@program.maker(args=lambda: (randn(2, 4),))
def module_state_dict_read():
    class G(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return x + self.fc.weight.sum(), sorted(self.state_dict())

    return G()


@program.maker(args=lambda: (randn(2, 4),))
def apply_function_to_parameters():
    class G(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            norm = torch.stack([p.norm() for p in self.parameters()]).norm()
            return self.fc(x) / norm

    return G()


@program.maker(args=lambda: (randn(2, 4),))
def extra_attributes_on_module():
    m = nn.Linear(4, 4)
    m.config = {"scale": 2.0, "names": ["a"]}
    m.tag = ("x", 1)

    class G(nn.Module):
        def __init__(self):
            super().__init__()
            self.m = m

        def forward(self, x):
            self.m.config["calls"] = self.m.config.get("calls", 0) + 1
            return self.m(x) * self.m.config["scale"] if self.m.tag[1] else x

    return G()


@program.maker(args=lambda: (randn(2, 4),))
def module_call_overridden():
    class G(nn.Module):
        def __call__(self, x):
            return super().__call__(x) + 100

        def forward(self, x):
            return x * 2

    class H(nn.Module):
        def __init__(self):
            super().__init__()
            self.g = G()

        def forward(self, x):
            return self.g(x)

    return H()


@program.maker(args=lambda: (randn(2, 4),))
def containers_repr_len_iter():
    class G(nn.Module):
        def __init__(self):
            super().__init__()
            self.seq = nn.Sequential(collections.OrderedDict(a=nn.Linear(4, 4), b=nn.ReLU()))

        def forward(self, x):
            return (
                self.seq.a(x),
                len(self.seq),
                self.seq[0] is self.seq.a,
                [n for n, _ in self.seq.named_children()],
                self.seq[1:](x),
            )

    return G()
