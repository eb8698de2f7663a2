"""Autocast: inside the function, around it, nested, switched off, with gradients."""

# ruff: noqa
# mypy: ignore-errors

import torch
import torch.nn.functional as F
from torch_values import on_torch, randn

program = on_torch(__name__)


@program
def autocast_matmul(x, m):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = x @ m
        z = y + x
    return y, z, y.dtype


@program
def autocast_default_dtype(x, m):
    with torch.autocast("cpu"):
        return torch.mm(x, m), x.softmax(-1)


@program
def autocast_half(x, m):
    with torch.autocast(device_type="cpu", dtype=torch.float16):
        return torch.mm(x, m)


@program
def autocast_disabled_inside(x, m):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        a = x @ m
        with torch.autocast("cpu", enabled=False):
            b = x @ m
            c = a.float() @ m
        d = x @ m
    return a, b, c, d


@program
def autocast_fp32_ops(x, m):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = x @ m
        return h.softmax(-1), F.mse_loss(h, h * 2), h.cumsum(0), h.sum(), h.exp(), F.gelu(h), F.layer_norm(h, (4,))


@program
def autocast_promote(x, m):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = x @ m
        return torch.cat([h, x]), torch.stack([h, x]), torch.where(x > 0, h, x)


@torch.autocast("cpu", dtype=torch.bfloat16)
def _decorated(x, m):
    return x @ m


@program
def autocast_decorated_callee(x, m):
    return _decorated(x, m), x @ m


@program.maker
def autocast_decorated():
    @torch.autocast("cpu", dtype=torch.bfloat16)
    def fn(x, m):
        return x @ m, torch.is_autocast_enabled("cpu")

    return fn


@program
def autocast_queries(x):
    before = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
        cache = torch.is_autocast_cache_enabled()
    return x + 1, before, inside, cache, torch.is_autocast_enabled("cpu")


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = torch.nn.Linear(4, 8)
        self.norm = torch.nn.LayerNorm(8)
        self.out = torch.nn.Linear(8, 4)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            h = self.norm(F.gelu(self.proj(x)))
            return self.out(h)


@program.maker
def autocast_module():
    torch.manual_seed(0)
    return Block()


@program.maker(grad=True)
def autocast_module_with_gradients():
    torch.manual_seed(0)
    return Block()


@program(args=lambda: (randn(3, 4).requires_grad_(), randn(4, 4).requires_grad_()), grad=True)
def autocast_gradients(x, m):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = (x @ m).relu() @ m
        return h.float().pow(2).sum()


@program
def autocast_around_a_call(x, m):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return _plain_products(x, m)


def _plain_products(x, m):
    return F.linear(x, m), torch.einsum("ij,jk->ik", x, m), torch.addmm(x, x, m), torch.bmm(x[None], m[None])


@program(args=lambda: (randn(1, 2, 6, 6), randn(3, 2, 3, 3)))
def autocast_conv(x, w):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return F.conv2d(x, w, padding=1), F.avg_pool2d(x, 2), F.interpolate(x, scale_factor=2)


@program(args=lambda: (randn(2, 2, 5, 4), randn(2, 2, 5, 4), randn(2, 2, 5, 4)))
def autocast_attention(q, k, v):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return F.scaled_dot_product_attention(q, k, v), F.scaled_dot_product_attention(q, k, v, is_causal=True)


@program(args=lambda: (randn(3, 4).double(), randn(4, 4).double(), torch.arange(12).view(3, 4)))
def autocast_other_dtypes(x, m, i):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return x @ m, i @ i.T, i.sum()


@program
def autocast_object_reused(x, m):
    ctx = torch.autocast("cpu", dtype=torch.bfloat16)
    with ctx:
        a = x @ m
    with ctx:
        b = m @ m
    return a, b


@program
def autocast_inplace(x, m):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = x @ m
        h += x
        h.add_(1)
        x.mul_(2)
    return h


@program
def autocast_amp_module(x, m):
    with torch.amp.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            return x @ m


@program(args=lambda: (randn(3, 4), randn(4, 4), True), calls=2)
def autocast_flag(x, m, on):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=on):
        return x @ m


@program
def autocast_break_inside(x, m):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        a = x @ m
        torch._dynamo.graph_break()
        b = x @ m
    return a, b, x @ m


@program(args=lambda: (torch.randint(0, 5, (3,)), randn(5, 4), randn(3, 5)))
def autocast_losses(i, table, logits):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = F.embedding(i, table)
        return h, F.cross_entropy(logits, i), F.nll_loss(F.log_softmax(logits, -1), i)


class Square(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * x * grad


@program
def autocast_custom_fwd(x, m):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return Square.apply(x @ m)


@program
def autocast_set_by_hand(x, m):
    torch.set_autocast_enabled("cpu", True)
    y = x @ m
    torch.set_autocast_enabled("cpu", False)
    return y, x @ m


@program(args=lambda: (randn(2, 5, 4), randn(2, 4)))
def autocast_rms_norm(x, h):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = x @ x.transpose(1, 2)
        variance = y.to(torch.float32).pow(2).mean(-1, keepdim=True)
        y = y * torch.rsqrt(variance + 1e-6)
        return y, F.cosine_similarity(x, x, dim=-1), torch.outer(h[0], h[1]), torch.baddbmm(x @ x.mT, x, x.mT)
