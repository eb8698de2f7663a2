"""How many kernels and library calls the usual blocks of models take: a lost fusion is seen here."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
F, nn = torch.nn.functional, torch.nn

import quern  # noqa: E402


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(64, 256), nn.Linear(256, 64)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(x)))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.project, self.out = nn.LayerNorm(64), nn.Linear(64, 192), nn.Linear(64, 64)

    def forward(self, x):
        q, k, v = (y.unflatten(-1, (4, 16)).transpose(1, 2) for y in self.project(self.norm(x)).split(64, -1))
        return x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = (nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(2))
        self.first, self.second = nn.BatchNorm2d(16), nn.BatchNorm2d(16)

    def forward(self, x):
        return F.relu(x + self.second(self.two(F.relu(self.first(self.one(x))))))


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(64))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class Llama(nn.Module):
    """Root mean squares, rotary positions, heads that share keys, a gate."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList([RMSNorm(), RMSNorm()])
        widths = {"q": 64, "k": 32, "v": 32, "o": 64, "gate": 128, "up": 128}
        self.linear = nn.ModuleDict({name: nn.Linear(64, n, bias=False) for name, n in widths.items()})
        self.down = nn.Linear(128, 64, bias=False)
        self.register_buffer("cos", torch.randn(48, 16))
        self.register_buffer("sin", torch.randn(48, 16))

    def rotated(self, x):
        left, right = x.chunk(2, -1)
        return x * self.cos + torch.cat([-right, left], -1) * self.sin

    def forward(self, x):
        h, linear = self.norms[0](x), self.linear
        q, k, v = (linear[n](h).unflatten(-1, (-1, 16)).transpose(1, 2) for n in "qkv")
        y = F.scaled_dot_product_attention(self.rotated(q), self.rotated(k), v, is_causal=True, enable_gqa=True)
        x = x + linear["o"](y.transpose(1, 2).flatten(2))
        h = self.norms[1](x)
        return x + self.down(F.silu(linear["gate"](h)) * linear["up"](h))


BLOCKS = {MLP: (2, 48, 64), Attention: (2, 48, 64), Residual: (2, 16, 20, 20), Llama: (2, 48, 64)}
#: launches and library calls, by the code generator and who multiplies matrices
COUNTS = {
    (MLP, "cpp", "auto"): (2, 0), (MLP, "cpp", "generated"): (2, 0),
    (MLP, "triton", "auto"): (2, 2), (MLP, "triton", "generated"): (2, 0),
    (Attention, "cpp", "auto"): (3, 1), (Attention, "cpp", "generated"): (4, 0),
    (Attention, "triton", "auto"): (3, 3), (Attention, "triton", "generated"): (3, 1),
    (Residual, "cpp", "auto"): (6, 0), (Residual, "cpp", "generated"): (6, 0),
    (Residual, "triton", "auto"): (5, 2), (Residual, "triton", "generated"): (6, 0),
    (Llama, "cpp", "auto"): (9, 3), (Llama, "cpp", "generated"): (12, 0),
    (Llama, "triton", "auto"): (7, 8), (Llama, "triton", "generated"): (11, 1),
}  # fmt: skip


@pytest.mark.parametrize(("block", "codegen", "contractions"), COUNTS)
def test_kernels(block, codegen, contractions):
    if codegen == "triton":
        pytest.importorskip("triton")
    torch.manual_seed(0)
    model, x = block().eval(), torch.randn(*BLOCKS[block])
    with torch.no_grad():
        said = quern.explain(model, options={"cpu_codegen": codegen, "contractions": contractions})(x)
        torch.testing.assert_close(said.result, model(x), rtol=1e-4, atol=1e-4)
    (graph,) = said.graphs
    launches = sum(len(s.launches) for s in graph.record.plan.steps if hasattr(s, "launches"))
    assert (launches, graph.record.calls) == COUNTS[block, codegen, contractions], said
