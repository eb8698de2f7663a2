"""Models as people write them by hand: one file of short classes over torch.nn, with a call's arguments for each.

Each entry is a `Made`: how to make the module and how to make a call's arguments from a seed; `loss` tells how to make one
number of its output for a training step. Sizes are tiny.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass(frozen=True)
class Made:
    """One model. `tags`: "random" draws random numbers."""

    name: str
    make: Callable[[], nn.Module]
    arguments: Callable[[torch.Generator], tuple[Any, ...]]
    tags: frozenset[str] = frozenset()

    def module(self) -> nn.Module:
        torch.manual_seed(0)
        return self.make()

    def call_arguments(self, seed: int = 0) -> tuple[Any, ...]:
        return self.arguments(torch.Generator().manual_seed(seed))


MODELS: dict[str, Made] = {}


def model(*arguments: Callable[[torch.Generator], Any], tags: str = "", **variants: Any) -> Callable[[type], type]:
    """Register a module class: makers of its call's arguments."""

    def add(cls: type) -> type:
        make = lambda: cls(**variants)  # noqa: E731
        name = cls.__name__ + "".join(f"-{v}" for v in variants.values())
        MODELS[name] = Made(name, make, lambda g: tuple(a(g) for a in arguments), frozenset(tags.split()))
        return cls

    return add


def floats(*shape: int) -> Callable[[torch.Generator], torch.Tensor]:
    return lambda g: torch.randn(*shape, generator=g)


def unit(*shape: int) -> Callable[[torch.Generator], torch.Tensor]:
    return lambda g: torch.rand(*shape, generator=g)


def ints(high: int, *shape: int) -> Callable[[torch.Generator], torch.Tensor]:
    return lambda g: torch.randint(0, high, shape, generator=g)


def constant(value: Any) -> Callable[[torch.Generator], Any]:
    return lambda g: value


# ---------------------------------------------------------------- transformers


class CausalSelfAttention(nn.Module):
    def __init__(self, width: int, heads: int, block: int, flash: bool):
        super().__init__()
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.attn_dropout = nn.Dropout(0.0)
        self.n_head, self.n_embd, self.flash = heads, width, flash
        self.register_buffer("bias", torch.tril(torch.ones(block, block)).view(1, 1, block, block))

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        if self.flash:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=True)
        else:
            att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
            y = self.attn_dropout(F.softmax(att, dim=-1)) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    def __init__(self, width, heads, block, flash):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = CausalSelfAttention(width, heads, block, flash)
        self.mlp = nn.ModuleDict(dict(up=nn.Linear(width, 4 * width), act=nn.GELU(), down=nn.Linear(4 * width, width)))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        m = self.mlp
        return x + m["down"](m["act"](m.up(self.ln_2(x))))


@model(ints(31, 2, 8), ints(31, 2, 8))
@model(ints(31, 2, 8), ints(31, 2, 8), flash=False)
class NanoGPT(nn.Module):
    def __init__(self, flash: bool = True):
        super().__init__()
        self.block_size = 16
        self.transformer = nn.ModuleDict(
            dict(
                wte=nn.Embedding(31, 16),
                wpe=nn.Embedding(16, 16),
                drop=nn.Dropout(0.0),
                h=nn.ModuleList([Block(16, 2, 16, flash) for _ in range(2)]),
                ln_f=nn.LayerNorm(16),
            )
        )
        self.lm_head = nn.Linear(16, 31, bias=False)
        self.transformer.wte.weight = self.lm_head.weight
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)

    def forward(self, idx, targets=None):
        device = idx.device
        b, t = idx.size()
        assert t <= self.block_size, f"Cannot forward sequence of length {t}, block size is only {self.block_size}"
        pos = torch.arange(0, t, dtype=torch.long, device=device)
        x = self.transformer.drop(self.transformer.wte(idx) + self.transformer.wpe(pos))
        for block in self.transformer.h:
            x = block(x)
        x = self.transformer.ln_f(x)
        if targets is not None:
            logits = self.lm_head(x)
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)
        else:
            logits = self.lm_head(x[:, [-1], :])
            loss = None
        return logits, loss


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

    def _norm(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)

    def forward(self, x):
        return self._norm(x.float()).type_as(x) * self.weight


def precompute_freqs_cis(dim, end, theta=10000.0):
    freqs = 1.0 / (theta ** (torch.arange(0, dim, 2)[: (dim // 2)].float() / dim))
    return torch.polar(torch.ones(end, dim // 2), torch.outer(torch.arange(end).float(), freqs))


def apply_rotary_emb(xq, xk, freqs_cis):
    xq_ = torch.view_as_complex(xq.float().reshape(*xq.shape[:-1], -1, 2))
    xk_ = torch.view_as_complex(xk.float().reshape(*xk.shape[:-1], -1, 2))
    freqs_cis = freqs_cis.view(1, xq_.shape[1], 1, xq_.shape[-1])
    xq_out = torch.view_as_real(xq_ * freqs_cis).flatten(3)
    xk_out = torch.view_as_real(xk_ * freqs_cis).flatten(3)
    return xq_out.type_as(xq), xk_out.type_as(xk)


def repeat_kv(x, n_rep):
    bs, slen, n_kv_heads, head_dim = x.shape
    if n_rep == 1:
        return x
    return x[:, :, :, None, :].expand(bs, slen, n_kv_heads, n_rep, head_dim).reshape(bs, slen, -1, head_dim)


@model(ints(31, 2, 3), constant(0))
@model(ints(31, 2, 3), constant(4), cache=True)
class MetaLlama(nn.Module):
    """Complex rotary embeddings, grouped heads, a cache in buffers that is written in place."""

    def __init__(self, cache: bool = False):
        super().__init__()
        self.embed, self.heads, self.kv, self.dim, self.cache = nn.Embedding(31, 16), 4, 2, 4, cache
        self.wq, self.wk = nn.Linear(16, 16, bias=False), nn.Linear(16, 8, bias=False)
        self.wv, self.wo = nn.Linear(16, 8, bias=False), nn.Linear(16, 16, bias=False)
        self.w1, self.w2, self.w3 = nn.Linear(16, 24), nn.Linear(24, 16), nn.Linear(16, 24)
        self.attention_norm, self.norm = RMSNorm(16), RMSNorm(16)
        self.freqs_cis = precompute_freqs_cis(4, 32)
        self.cache_k = torch.zeros(2, 16, 2, 4)
        self.cache_v = torch.zeros(2, 16, 2, 4)

    def forward(self, tokens, start_pos):
        bsz, seqlen = tokens.shape
        x = self.embed(tokens)
        freqs_cis = self.freqs_cis[start_pos : start_pos + seqlen]
        mask = None
        if seqlen > 1:
            mask = torch.full((seqlen, seqlen), float("-inf"), device=tokens.device)
            mask = torch.triu(mask, diagonal=1)
            mask = torch.hstack([torch.zeros((seqlen, start_pos if self.cache else 0)), mask]).type_as(x)
        h = self.attention_norm(x)
        xq = self.wq(h).view(bsz, seqlen, self.heads, self.dim)
        xk = self.wk(h).view(bsz, seqlen, self.kv, self.dim)
        xv = self.wv(h).view(bsz, seqlen, self.kv, self.dim)
        xq, xk = apply_rotary_emb(xq, xk, freqs_cis=freqs_cis)
        keys, values = xk, xv
        if self.cache:
            self.cache_k = self.cache_k.to(xq)
            self.cache_k[:bsz, start_pos : start_pos + seqlen] = xk.detach()
            self.cache_v[:bsz, start_pos : start_pos + seqlen] = xv.detach()
            keys, values = self.cache_k[:bsz, : start_pos + seqlen], self.cache_v[:bsz, : start_pos + seqlen]
        keys, values = repeat_kv(keys, self.heads // self.kv), repeat_kv(values, self.heads // self.kv)
        xq, keys, values = xq.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2)
        scores = torch.matmul(xq, keys.transpose(2, 3)) / math.sqrt(self.dim)
        if mask is not None:
            scores = scores + mask
        scores = F.softmax(scores.float(), dim=-1).type_as(xq)
        out = torch.matmul(scores, values).transpose(1, 2).contiguous().view(bsz, seqlen, -1)
        x = x + self.wo(out)
        return x + self.w2(F.silu(self.w1(self.norm(x))) * self.w3(self.norm(x)))


@model(floats(2, 6, 16))
class AlibiAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = 4
        self.qkv, self.out = nn.Linear(16, 48, bias=False), nn.Linear(16, 16)
        self.register_buffer("slopes", torch.tensor(self.get_slopes(4)), persistent=False)

    @staticmethod
    def get_slopes(n):
        start = 2 ** (-(2 ** -(math.log2(n) - 3)))
        return [start * start**i for i in range(n)]

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in self.qkv(x).chunk(3, -1))
        distance = torch.arange(t)[None, :] - torch.arange(t)[:, None]
        bias = self.slopes[:, None, None] * distance[None].to(x.dtype)
        causal = torch.ones(t, t, dtype=torch.bool).tril()
        bias = bias.masked_fill(~causal, torch.finfo(x.dtype).min)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(y.transpose(1, 2).flatten(2))


@model(ints(20, 2, 5), ints(20, 2, 4))
class Seq2SeqTransformer(nn.Module):
    """torch's own nn.Transformer with a sinusoidal table."""

    def __init__(self):
        super().__init__()
        self.embed, self.out = nn.Embedding(20, 16, padding_idx=0), nn.Linear(16, 20)
        self.transformer = nn.Transformer(16, 2, 1, 1, 32, dropout=0.0, batch_first=True)
        pe = torch.zeros(32, 16)
        position = torch.arange(0, 32).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, 16, 2) * (-math.log(10000.0) / 16))
        pe[:, 0::2], pe[:, 1::2] = torch.sin(position * div_term), torch.cos(position * div_term)
        self.register_buffer("pe", pe.unsqueeze(0))

    def forward(self, src, tgt):
        mask = nn.Transformer.generate_square_subsequent_mask(tgt.size(1))
        padding = src == 0
        a = self.embed(src) * math.sqrt(16) + self.pe[:, : src.size(1)]
        b = self.embed(tgt) * math.sqrt(16) + self.pe[:, : tgt.size(1)]
        h = self.transformer(a, b, tgt_mask=mask, src_key_padding_mask=padding, memory_key_padding_mask=padding)
        return self.out(h)


@model(floats(3, 4, 16))
class EncoderStack(nn.Module):
    """nn.TransformerEncoder in training form, with an attention that gives its weights."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(16), enable_nested_tensor=False)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x):
        h = self.encoder(x)
        out, weights = self.attention(h, h, h, need_weights=True, average_attn_weights=False)
        return out, weights


@model(floats(2, 3, 16, 16))
class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.cls = nn.Parameter(torch.zeros(1, 1, 16))
        self.pos = nn.Parameter(torch.randn(1, 17, 16) * 0.02)
        self.blocks = nn.Sequential(*[Block(16, 2, 17, True) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1) + self.pos
        return self.head(self.norm(self.blocks(x))[:, 0])


def window_partition(x, size):
    B, H, W, C = x.shape
    x = x.view(B, H // size, size, W // size, size, C)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, size, size, C)


def window_reverse(windows, size, H, W):
    B = int(windows.shape[0] / (H * W / size / size))
    x = windows.view(B, H // size, W // size, size, size, -1)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(B, H, W, -1)


@model(floats(2, 64, 8))
class SwinBlock(nn.Module):
    """Shifted windows with relative position bias and an attention mask."""

    def __init__(self):
        super().__init__()
        self.window, self.shift, self.heads = 4, 2, 2
        self.norm, self.qkv, self.proj = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)
        self.table = nn.Parameter(torch.randn(7 * 7, 2) * 0.02)
        coords = torch.stack(torch.meshgrid([torch.arange(4), torch.arange(4)], indexing="ij")).flatten(1)
        relative = (coords[:, :, None] - coords[:, None, :]).permute(1, 2, 0).contiguous() + 3
        relative[:, :, 0] *= 7
        self.register_buffer("index", relative.sum(-1))
        img_mask, cnt = torch.zeros((1, 8, 8, 1)), 0
        for h in (slice(0, -4), slice(-4, -2), slice(-2, None)):
            for w in (slice(0, -4), slice(-4, -2), slice(-2, None)):
                img_mask[:, h, w, :] = cnt
                cnt += 1
        windows = window_partition(img_mask, 4).view(-1, 16)
        mask = windows.unsqueeze(1) - windows.unsqueeze(2)
        self.register_buffer("attn_mask", mask.masked_fill(mask != 0, -100.0).masked_fill(mask == 0, 0.0))

    def forward(self, x):
        B, L, C = x.shape
        H = W = int(L**0.5)
        shortcut = x
        x = torch.roll(self.norm(x).view(B, H, W, C), shifts=(-self.shift, -self.shift), dims=(1, 2))
        w = window_partition(x, self.window).view(-1, self.window * self.window, C)
        B_, N, _ = w.shape
        q, k, v = self.qkv(w).reshape(B_, N, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        attn = (q * (C // self.heads) ** -0.5) @ k.transpose(-2, -1)
        bias = self.table[self.index.view(-1)].view(N, N, -1).permute(2, 0, 1).contiguous()
        attn = attn + bias.unsqueeze(0)
        nW = self.attn_mask.shape[0]
        attn = attn.view(B_ // nW, nW, self.heads, N, N) + self.attn_mask.unsqueeze(1).unsqueeze(0)
        attn = attn.view(-1, self.heads, N, N).softmax(-1)
        y = self.proj((attn @ v).transpose(1, 2).reshape(B_, N, C)).view(-1, self.window, self.window, C)
        y = torch.roll(window_reverse(y, self.window, H, W), shifts=(self.shift, self.shift), dims=(1, 2))
        return shortcut + y.view(B, H * W, C)


@model(floats(2, 6, 12), floats(2, 3, 8))
class Perceiver(nn.Module):
    def __init__(self):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(4, 16))
        self.cross = nn.MultiheadAttention(16, 2, kdim=12, vdim=12, batch_first=True)
        self.selfs = nn.ModuleList(nn.MultiheadAttention(16, 2, batch_first=True) for _ in range(2))
        self.norm, self.query, self.decode = (
            nn.LayerNorm(16),
            nn.Linear(8, 16),
            nn.MultiheadAttention(16, 2, batch_first=True),
        )

    def forward(self, data, queries):
        z = self.latents.unsqueeze(0).repeat(data.size(0), 1, 1)
        z = z + self.cross(z, data, data, need_weights=False)[0]
        for attend in self.selfs:
            h = self.norm(z)
            z = z + attend(h, h, h, need_weights=False)[0]
        q = self.query(queries)
        return self.decode(q, z, z)[0]


@model(floats(2, 16, 4, 4))
class DETRHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.query_pos = nn.Parameter(torch.rand(5, 16))
        self.row_embed, self.col_embed = nn.Parameter(torch.rand(10, 8)), nn.Parameter(torch.rand(10, 8))
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 2, 32, 0.0), 1)
        self.linear_class, self.linear_bbox = nn.Linear(16, 4), nn.Linear(16, 4)

    def forward(self, h):
        H, W = h.shape[-2:]
        pos = torch.cat(
            [
                self.col_embed[:W].unsqueeze(0).repeat(H, 1, 1),
                self.row_embed[:H].unsqueeze(1).repeat(1, W, 1),
            ],
            dim=-1,
        )
        pos = pos.flatten(0, 1).unsqueeze(1)
        memory = pos + 0.1 * h.flatten(2).permute(2, 0, 1)
        h = self.decoder(self.query_pos.unsqueeze(1).repeat(1, memory.shape[1], 1), memory).transpose(0, 1)
        return {"pred_logits": self.linear_class(h), "pred_boxes": self.linear_bbox(h).sigmoid()}


# ---------------------------------------------------------------- recurrence


@model(ints(20, 3, 7))
@model(ints(20, 3, 7), kind="GRU")
@model(ints(20, 3, 7), kind="RNN")
class RecurrentLanguageModel(nn.Module):
    def __init__(self, kind: str = "LSTM"):
        super().__init__()
        self.kind = kind
        self.encoder, self.decoder = nn.Embedding(20, 8), nn.Linear(24, 20)
        self.rnn = getattr(nn, kind)(8, 12, 2, batch_first=True, bidirectional=True)

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        if self.kind == "LSTM":
            return (weight.new_zeros(4, bsz, 12), weight.new_zeros(4, bsz, 12))
        return weight.new_zeros(4, bsz, 12)

    def forward(self, tokens):
        output, hidden = self.rnn(self.encoder(tokens), self.init_hidden(tokens.size(0)))
        return F.log_softmax(self.decoder(output), dim=-1), hidden


@model(floats(2, 5, 4))
class CellLoop(nn.Module):
    """LSTMCell and GRUCell in a Python loop, outputs gathered in a list."""

    def __init__(self):
        super().__init__()
        self.lstm, self.gru = nn.LSTMCell(4, 6), nn.GRUCell(6, 6)

    def forward(self, x):
        h, c, g = (torch.zeros(x.size(0), 6) for _ in range(3))
        outputs = []
        for step in x.unbind(1):
            h, c = self.lstm(step, (h, c))
            g = self.gru(h, g)
            outputs += [g]
        return torch.stack(outputs, dim=1), (h, c)


@model(floats(2, 7, 8))
class SelectiveScan(nn.Module):
    """A Mamba block by hand."""

    def __init__(self):
        super().__init__()
        self.in_proj, self.conv1d = nn.Linear(8, 32, bias=False), nn.Conv1d(16, 16, 4, groups=16, padding=3)
        self.x_proj, self.dt_proj, self.out_proj = nn.Linear(16, 9, bias=False), nn.Linear(1, 16), nn.Linear(16, 8)
        A = torch.arange(1, 5, dtype=torch.float32).repeat(16, 1)
        self.A_log, self.D = nn.Parameter(torch.log(A)), nn.Parameter(torch.ones(16))

    def forward(self, x):
        b, l, d = x.shape
        x, res = self.in_proj(x).split(split_size=[16, 16], dim=-1)
        x = F.silu(self.conv1d(x.transpose(1, 2))[:, :, :l].transpose(1, 2))
        return self.out_proj(self.ssm(x) * F.silu(res))

    def ssm(self, x):
        n = self.A_log.shape[1]
        A = -torch.exp(self.A_log.float())
        delta, B, C = self.x_proj(x).split(split_size=[1, n, n], dim=-1)
        delta = F.softplus(self.dt_proj(delta))
        deltaA = torch.exp(torch.einsum("bld,dn->bldn", delta, A))
        deltaB_u = torch.einsum("bld,bln,bld->bldn", delta, B, x)
        state, ys = torch.zeros((x.size(0), 16, n), device=deltaA.device), []
        for i in range(x.size(1)):
            state = deltaA[:, i] * state + deltaB_u[:, i]
            ys.append(torch.einsum("bdn,bn->bd", state, C[:, i, :]))
        return torch.stack(ys, dim=1) + x * self.D


@model(floats(2, 5, 8))
class RWKVTimeMix(nn.Module):
    def __init__(self):
        super().__init__()
        self.decay, self.first = nn.Parameter(torch.rand(8)), nn.Parameter(torch.rand(8))
        self.mix = nn.ParameterDict({k: nn.Parameter(torch.rand(1, 1, 8)) for k in "kvr"})
        self.key, self.value, self.receptance, self.output = (nn.Linear(8, 8, bias=False) for _ in range(4))
        self.time_shift = nn.ZeroPad2d((0, 0, 1, -1))

    def forward(self, x):
        B, T, C = x.size()
        xx = self.time_shift(x)
        k, v, r = (
            layer(x * self.mix[n] + xx * (1 - self.mix[n]))
            for n, layer in (("k", self.key), ("v", self.value), ("r", self.receptance))
        )
        aa, bb, pp = torch.zeros(B, C), torch.zeros(B, C), torch.full((B, C), -1e38)
        w, out = -torch.exp(self.decay), torch.empty(B, T, C)
        rows = []
        for t in range(T):
            ww = self.first + k[:, t]
            qq = torch.maximum(pp, ww)
            e1, e2 = torch.exp(pp - qq), torch.exp(ww - qq)
            rows.append((e1 * aa + e2 * v[:, t]) / (e1 * bb + e2))
            ww = pp + w
            qq = torch.maximum(ww, k[:, t])
            e1, e2 = torch.exp(ww - qq), torch.exp(k[:, t] - qq)
            aa, bb, pp = e1 * aa + e2 * v[:, t], e1 * bb + e2, qq
        out = torch.stack(rows, 1).to(out.dtype)
        return self.output(torch.sigmoid(r) * out)


# ---------------------------------------------------------------- images


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False), nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False), nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


@model(floats(2, 3, 16, 16))
class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.inplanes = 8
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        )
        self.layer1, self.layer2 = self._make_layer(8, 1, 1), self._make_layer(16, 2, 2)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(16, 5)

    def _make_layer(self, planes, blocks, stride):
        down = None
        if stride != 1 or self.inplanes != planes:
            down = nn.Sequential(nn.Conv2d(self.inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))
        layers = [BasicBlock(self.inplanes, planes, stride, down)]
        self.inplanes = planes
        return nn.Sequential(*layers, *[BasicBlock(planes, planes) for _ in range(1, blocks)])

    def forward(self, x):
        return self.fc(torch.flatten(self.avgpool(self.layer2(self.layer1(self.stem(x)))), 1))


@model(floats(2, 3, 8, 8))
class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict()
        for i in range(3):
            self.layers.add_module(
                f"dense{i + 1}",
                nn.Sequential(nn.BatchNorm2d(3 + 4 * i), nn.ReLU(), nn.Conv2d(3 + 4 * i, 4, 3, padding=1)),
            )
        self.head = nn.Linear(15, 4)

    def forward(self, x):
        features = [x]
        for _, layer in self.layers.items():
            features.append(layer(torch.cat(features, 1)))
        return self.head(torch.cat(features, 1).mean((2, 3)))


@model(floats(2, 8, 8, 8))
class MobileBlock(nn.Module):
    """Depthwise separable, squeeze and excitation, hard swish, stochastic depth that is off in eval mode."""

    def __init__(self):
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(16, 16, 5, 1, 2, groups=16, bias=False), nn.BatchNorm2d(16), nn.SiLU())
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), nn.ReLU6(), nn.Conv2d(4, 16, 1), nn.Hardsigmoid()
        )
        self.project = nn.Sequential(nn.Conv2d(16, 8, 1, bias=False), nn.BatchNorm2d(8))

    def forward(self, x):
        y = self.depthwise(self.expand(x))
        return x + self.project(y * self.squeeze(y))


@model(floats(1, 3, 32, 32))
class VGG(nn.Module):
    cfg = [8, "M", 8, "M", 16, 16, "M"]

    def __init__(self):
        super().__init__()
        layers, channels = [], 3
        for v in self.cfg:
            if v == "M":
                layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
            else:
                layers += [nn.Conv2d(channels, v, kernel_size=3, padding=1), nn.ReLU(True)]
                channels = v
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(16 * 4, 16), nn.ReLU(True), nn.Dropout(p=0.0), nn.Linear(16, 3))

    def forward(self, x):
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(self.features(x), (2, 2)), 1))


@model(floats(2, 4, 9, 9))
class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b1, self.b2 = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1), nn.Conv2d(2, 3, (1, 7), padding=(0, 3))
        self.c, self.pool = nn.Conv2d(4, 2, 3, stride=1, padding=1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        branches = [self.a(x), self.b2(F.relu(self.b1(x), inplace=True)), self.c(x)]
        branches.append(self.pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)))
        return F.local_response_norm(torch.cat(branches, 1), 2)


@model(floats(2, 3, 20, 20))
class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        double = lambda i, o: nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(inplace=True))  # noqa: E731
        self.down, self.middle, self.up = double(3, 4), double(4, 8), double(8, 4)
        self.pool, self.rise = nn.MaxPool2d(2), nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.smooth, self.out = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), nn.Conv2d(4, 1, 1)

    def forward(self, x):
        a = self.down(x)
        b = self.rise(self.middle(self.pool(a)))
        dy, dx = a.size()[2] - b.size()[2], a.size()[3] - b.size()[3]
        b = F.pad(b, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        h = self.up(torch.cat([a, b], dim=1))
        return torch.sigmoid(self.out(self.smooth(h)))


@model(floats(2, 3, 8, 8))
class MLPMixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 2, 2)
        mlp = lambda n: nn.Sequential(nn.Linear(n, 2 * n), nn.GELU(), nn.Linear(2 * n, n))  # noqa: E731
        self.tokens, self.channels, self.norms = mlp(16), mlp(8), nn.ModuleList([nn.LayerNorm(8) for _ in range(2)])

    def forward(self, x):
        x = self.patch(x)
        b, c, h, w = x.shape
        x = x.permute(0, 2, 3, 1).reshape(b, h * w, c)
        x = x + self.tokens(self.norms[0](x).mT).mT
        x = x + self.channels(self.norms[1](x))
        return x.mean(dim=1)


@model(floats(2, 1, 28, 28))
class CapsuleNet(nn.Module):
    """Dynamic routing, whose loop detaches all but the last step."""

    def __init__(self):
        super().__init__()
        self.conv, self.primary = nn.Conv2d(1, 8, 9, 2), nn.Conv2d(8, 8, 5, 2)
        self.W = nn.Parameter(torch.randn(1, 3, 18, 6, 4) * 0.1)

    @staticmethod
    def squash(x, dim=-1):
        squared = (x**2).sum(dim=dim, keepdim=True)
        return squared / (1 + squared) * x / (squared.sqrt() + 1e-8)

    def forward(self, x):
        u = self.squash(self.primary(F.relu(self.conv(x))).view(x.size(0), -1, 4))[:, :18]
        u_hat = (self.W @ u[:, None, :, :, None]).squeeze(-1)
        b = torch.zeros(*u_hat.shape[:3], 1)
        temp = u_hat.detach()
        for _ in range(2):
            v = self.squash((F.softmax(b, dim=1) * temp).sum(dim=2, keepdim=True))
            b = b + (temp * v).sum(-1, keepdim=True)
        return self.squash((F.softmax(b, dim=1) * u_hat).sum(dim=2)).norm(dim=-1)


@model(floats(1, 4, 6, 6))
class DeformableSampling(nn.Module):
    """Offsets learned from the image, sampled with grid_sample."""

    def __init__(self):
        super().__init__()
        self.offset, self.mix = nn.Conv2d(4, 2, 3, padding=1), nn.Conv2d(4, 4, 1)
        nn.init.normal_(self.offset.weight, std=0.1)

    def forward(self, x):
        n, _, h, w = x.shape
        ys, xs = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
        grid = torch.stack((xs, ys), -1).unsqueeze(0).expand(n, -1, -1, -1)
        grid = grid + self.offset(x).permute(0, 2, 3, 1).tanh() * 0.2
        theta = torch.eye(2, 3).unsqueeze(0).repeat(n, 1, 1)
        plain = F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)
        return self.mix(F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)) + plain


@model(floats(2, 3, 16))
class FourierOperator(nn.Module):
    """A spectral layer: rfft, complex weights on the low modes, irfft."""

    def __init__(self):
        super().__init__()
        self.modes = 5
        self.weights = nn.Parameter(0.1 * torch.rand(3, 3, 5, dtype=torch.cfloat))
        self.w = nn.Conv1d(3, 3, 1)

    def forward(self, x):
        x_ft = torch.fft.rfft(x)
        out_ft = torch.zeros(x.shape[0], 3, x.size(-1) // 2 + 1, device=x.device, dtype=torch.cfloat)
        out_ft[:, :, : self.modes] = torch.einsum("bix,iox->box", x_ft[:, :, : self.modes], self.weights)
        return F.gelu(torch.fft.irfft(out_ft, n=x.size(-1)) + self.w(x))


# ---------------------------------------------------------------- generative


@model(unit(3, 20), tags="random")
class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(20, 12), nn.Linear(12, 4), nn.Linear(12, 4)
        self.fc3, self.fc4 = nn.Linear(4, 12), nn.Linear(12, 20)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def forward(self, x):
        h = F.relu(self.fc1(x.view(-1, 20)))
        mu, logvar = self.fc21(h), self.fc22(h)
        recon = torch.sigmoid(self.fc4(F.relu(self.fc3(self.reparameterize(mu, logvar)))))
        BCE = F.binary_cross_entropy(recon, x.view(-1, 20), reduction="sum")
        KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return BCE + KLD, recon, mu, logvar


@model(floats(2, 6, 1, 1))
class DCGANGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(6, 8, 4, 1, 0, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
            nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z):
        return self.main(z)


@model(floats(2, 3, 8, 8))
class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 8, 4, 2, 1)), nn.LeakyReLU(0.2, inplace=True),
            nn.InstanceNorm2d(8, affine=True), nn.Conv2d(8, 1, 4, 1, 0), nn.Flatten(),
        )  # fmt: skip

    def forward(self, x):
        return self.main(x).squeeze(1)


@model(floats(2, 8, 8, 8), ints(100, 2))
class DiffusionUNet(nn.Module):
    """Timestep embedding, group norm, attention over pixels, a skip connection."""

    def __init__(self):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 16))
        self.norm1, self.conv1 = nn.GroupNorm(4, 8), nn.Conv2d(8, 8, 3, padding=1)
        self.down, self.up = nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(16, 8, 3, padding=1)
        self.norm2, self.qkv, self.proj = nn.GroupNorm(2, 8), nn.Conv1d(8, 24, 1), nn.Conv1d(8, 8, 1)

    @staticmethod
    def timestep_embedding(timesteps, dim, max_period=10000):
        half = dim // 2
        freqs = torch.exp(-math.log(max_period) * torch.arange(start=0, end=half, dtype=torch.float32) / half)
        args = timesteps[:, None].float() * freqs[None]
        embedding = torch.cat([torch.cos(args), torch.sin(args)], dim=-1)
        if dim % 2:
            embedding = torch.cat([embedding, torch.zeros_like(embedding[:, :1])], dim=-1)
        return embedding

    def attention(self, x):
        b, c, *spatial = x.shape
        x = x.reshape(b, c, -1)
        q, k, v = self.qkv(self.norm2(x)).reshape(b * 2, -1, x.shape[-1]).chunk(3, dim=1)
        weight = torch.softmax(torch.einsum("bct,bcs->bts", q / 2, k / 2).float(), dim=-1).type(q.dtype)
        return (x + self.proj(torch.einsum("bts,bcs->bct", weight, v).reshape(b, -1, x.shape[-1]))).reshape(
            b, c, *spatial
        )

    def forward(self, x, t):
        emb = self.mlp(self.timestep_embedding(t, 8))
        scale, shift = emb[:, :, None, None].chunk(2, dim=1)
        h = self.norm1(self.conv1(x)) * (1 + scale) + shift
        low = self.attention(F.silu(self.down(h)))
        high = F.interpolate(low, scale_factor=2, mode="nearest")
        return self.up(torch.cat([high, h], dim=1))


@model(floats(4, 6))
class RealNVP(nn.Module):
    """A normalising flow with its log-determinant."""

    def __init__(self):
        super().__init__()
        net = lambda: nn.Sequential(nn.Linear(6, 8), nn.LeakyReLU(), nn.Linear(8, 6))  # noqa: E731
        self.s, self.t = nn.ModuleList([net() for _ in range(3)]), nn.ModuleList([net() for _ in range(3)])
        self.register_buffer("mask", torch.tensor([[0.0, 1.0] * 3, [1.0, 0.0] * 3, [0.0, 1.0] * 3]))

    def forward(self, x):
        log_det, z = x.new_zeros(x.shape[0]), x
        for i in reversed(range(len(self.t))):
            z_ = self.mask[i] * z
            s = torch.tanh(self.s[i](z_)) * (1 - self.mask[i])
            t = self.t[i](z_) * (1 - self.mask[i])
            z = (1 - self.mask[i]) * (z - t) * torch.exp(-s) + z_
            log_det -= s.sum(dim=1)
        prior = torch.distributions.MultivariateNormal(torch.zeros(6), torch.eye(6))
        return z, log_det, prior.log_prob(z) + log_det


# ---------------------------------------------------------------- experts, graphs, fields


@model(floats(2, 5, 8))
class TopKExperts(nn.Module):
    """Every token's two best experts, by dense weights."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(8, 4, bias=False)
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(8, 12), nn.SiLU(), nn.Linear(12, 8)) for _ in range(4)])

    def forward(self, x):
        shape = x.shape
        x = x.view(-1, shape[-1])
        weights, selected = torch.topk(F.softmax(self.gate(x), dim=1, dtype=torch.float), 2, dim=-1)
        weights = (weights / weights.sum(-1, keepdim=True)).to(x.dtype)
        combine = torch.zeros(x.size(0), 4).scatter(1, selected, weights)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            out += combine[:, i : i + 1] * expert(x)
        load = F.one_hot(selected, 4).float().mean((0, 1))
        return out.view(shape), load


@model(floats(6, 5), constant(torch.tensor([[0, 1, 2, 3, 4, 5, 0], [1, 2, 3, 4, 5, 0, 3]])))
class GraphNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin1, self.lin2, self.att = nn.Linear(5, 8), nn.Linear(8, 3), nn.Parameter(torch.randn(16) * 0.3)

    def forward(self, x, edge_index):
        row, col = edge_index
        h = self.lin1(x)
        deg = torch.zeros(x.size(0)).scatter_add_(0, col, torch.ones(col.size(0)))
        norm = deg.clamp(min=1).pow(-0.5)
        message = h[row] * (norm[row] * norm[col]).unsqueeze(-1)
        out = torch.zeros_like(h).index_add_(0, col, message)
        e = F.leaky_relu((torch.cat([h[row], h[col]], -1) * self.att).sum(-1), 0.2)
        e = (e - torch.full((x.size(0),), -1e9).scatter_reduce(0, col, e, "amax")[col]).exp()
        alpha = e / torch.zeros(x.size(0)).index_add(0, col, e)[col]
        out = out + torch.zeros_like(h).scatter_add(0, col[:, None].expand(-1, 8), alpha[:, None] * h[row])
        return F.log_softmax(self.lin2(F.elu(out)), dim=1)


@model(floats(4, 3), floats(4, 3), constant(torch.linspace(2.0, 6.0, 5)))
class NeRF(nn.Module):
    """Positional encoding, an MLP with a skip, and volume rendering along rays."""

    def __init__(self):
        super().__init__()
        self.pts = nn.ModuleList([nn.Linear(15, 16), nn.Linear(16, 16), nn.Linear(31, 16)])
        self.skips, self.rgb, self.sigma = [1], nn.Linear(19, 3), nn.Linear(16, 1)

    @staticmethod
    def encode(x, bands=2):
        return torch.cat([x] + [fn((2.0**i) * x) for i in range(bands) for fn in (torch.sin, torch.cos)], dim=-1)

    def forward(self, origins, directions, z):
        points = origins[:, None, :] + directions[:, None, :] * z[None, :, None]
        inputs = self.encode(points)
        h = inputs
        for i, layer in enumerate(self.pts):
            h = F.relu(layer(h))
            if i in self.skips:
                h = torch.cat([inputs, h], -1)
        view = F.normalize(directions, dim=-1)[:, None].expand(-1, z.size(0), -1)
        rgb, sigma = torch.sigmoid(self.rgb(torch.cat([h, view], -1))), F.relu(self.sigma(h)).squeeze(-1)
        dists = torch.cat([z[1:] - z[:-1], torch.full((1,), 1e10)]) * directions.norm(dim=-1, keepdim=True)
        alpha = 1.0 - torch.exp(-sigma * dists)
        trans = torch.cumprod(torch.cat([torch.ones(alpha.size(0), 1), 1.0 - alpha + 1e-10], -1), -1)[:, :-1]
        weights = alpha * trans
        return (weights[..., None] * rgb).sum(-2), (weights * z).sum(-1)


# ---------------------------------------------------------------- sound and sequences


@model(floats(2, 1, 200), ints(9, 2, 3))
class SpeechCTC(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.rnn = nn.Conv1d(1, 8, 11, 5, 5), nn.GRU(8, 8, batch_first=True, bidirectional=True)
        self.fc, self.ctc = nn.Linear(16, 10), nn.CTCLoss(blank=9, zero_infinity=True)

    def forward(self, wave, targets):
        h, _ = self.rnn(F.gelu(self.conv(wave)).transpose(1, 2))
        logp = F.log_softmax(self.fc(h), dim=2)
        lengths = torch.full((wave.size(0),), logp.size(1), dtype=torch.long)
        sizes = torch.full((wave.size(0),), targets.size(1), dtype=torch.long)
        return self.ctc(logp.transpose(0, 1), targets, lengths, sizes), logp.argmax(-1)


@model(floats(2, 2, 32))
class WaveNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.start, self.end = nn.Conv1d(2, 8, 1), nn.Conv1d(6, 4, 1)
        self.dilations = [1, 2, 4]
        self.filters = nn.ModuleList([nn.Conv1d(8, 8, 2, dilation=d) for d in self.dilations])
        self.gates = nn.ModuleList([nn.Conv1d(8, 8, 2, dilation=d) for d in self.dilations])
        self.residuals = nn.ModuleList([nn.Conv1d(8, 8, 1) for _ in self.dilations])
        self.skips = nn.ModuleList([nn.Conv1d(8, 6, 1) for _ in self.dilations])

    def forward(self, x):
        x, skip = self.start(x), 0
        for i, d in enumerate(self.dilations):
            padded = F.pad(x, (d, 0))
            h = torch.tanh(self.filters[i](padded)) * torch.sigmoid(self.gates[i](padded))
            s = self.skips[i](h)
            try:
                skip = skip[:, :, -s.size(2) :]
            except TypeError:
                skip = 0
            skip = s + skip
            x = self.residuals[i](h) + x
        return self.end(F.relu(skip))


class Chomp1d(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.chomp_size = size

    def forward(self, x):
        return x[:, :, : -self.chomp_size].contiguous()


@model(floats(2, 3, 12))
class TCN(nn.Module):
    def __init__(self):
        super().__init__()
        wn = nn.utils.parametrizations.weight_norm
        layers = []
        for i in range(2):
            d = 2**i
            layers.append(
                nn.Sequential(
                    wn(nn.Conv1d(3 if i == 0 else 6, 6, 3, padding=2 * d, dilation=d)), Chomp1d(2 * d), nn.ReLU()
                )
            )
        self.network = nn.Sequential(*layers)

    def forward(self, x):
        return self.network(x)[:, :, -1]


# ---------------------------------------------------------------- recommenders, metric learning, tables


@model(floats(3, 4), ints(10, 3, 2), ints(7, 6), constant(torch.tensor([0, 2, 5])))
class DLRM(nn.Module):
    def __init__(self):
        super().__init__()
        self.bottom = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        self.one, self.bag = nn.Embedding(10, 8), nn.EmbeddingBag(7, 8, mode="sum")
        self.top = nn.Linear(14, 1)

    def forward(self, dense, ids, flat, offsets):
        x = self.bottom(dense)
        T = torch.cat([x.unsqueeze(1), self.one(ids), self.bag(flat, offsets).unsqueeze(1)], dim=1)
        Z = torch.bmm(T, torch.transpose(T, 1, 2))
        _, ni, nj = Z.shape
        li = torch.tensor([i for i in range(ni) for j in range(i)])
        lj = torch.tensor([j for i in range(nj) for j in range(i)])
        return torch.sigmoid(self.top(torch.cat([x, Z[:, li, lj]], dim=1)))


@model(ints(10, 4), ints(12, 4, 3))
class TwoTower(nn.Module):
    """In-batch softmax over cosine similarity with a learned temperature."""

    def __init__(self):
        super().__init__()
        self.users, self.items = nn.Embedding(10, 6), nn.EmbeddingBag(12, 6, mode="mean")
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, users, items):
        u, v = F.normalize(self.users(users), dim=-1), F.normalize(self.items(items), p=2.0, dim=-1)
        logits = self.logit_scale.exp().clamp(max=100) * u @ v.t()
        labels = torch.arange(u.size(0))
        loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2
        return loss, (logits.argmax(1) == labels).float().mean()


@model(floats(4, 6), floats(4, 6), constant(torch.tensor([0, 1, 0, 1])))
class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.margin = nn.Sequential(nn.Linear(6, 8), nn.PReLU(), nn.Linear(8, 4)), 1.0
        self.triplet = nn.TripletMarginLoss(margin=0.5)

    def forward(self, a, b, label):
        x, y = self.net(a), self.net(b)
        d = F.pairwise_distance(x, y)
        contrastive = torch.mean((1 - label) * d.pow(2) + label * torch.clamp(self.margin - d, min=0.0).pow(2))
        z = F.normalize(torch.cat([x, y]), dim=1)
        sim = (z @ z.T / 0.5).masked_fill(torch.eye(z.size(0), dtype=torch.bool), float("-inf"))
        target = torch.arange(z.size(0)).roll(z.size(0) // 2)
        return (
            contrastive
            + F.cross_entropy(sim, target)
            + self.triplet(x, y, x.flip(0))
            + F.cosine_embedding_loss(x, y, 1 - 2 * label)
        )


@model(floats(5, 4), floats(5, 1))
class QuantileRegressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.quantiles = nn.Linear(4, 3), (0.1, 0.5, 0.9)

    def forward(self, x, y):
        out, losses = self.net(x), []
        for i, q in enumerate(self.quantiles):
            errors = y.squeeze(-1) - out[:, i]
            losses.append(torch.max((q - 1) * errors, q * errors).unsqueeze(1))
        return (
            torch.mean(torch.sum(torch.cat(losses, dim=1), dim=1))
            + F.huber_loss(out[:, 1:2], y)
            + F.smooth_l1_loss(out[:, 1:2], y)
        )


class LoRALinear(nn.Linear):
    def __init__(self, i, o, r=2, alpha=4):
        super().__init__(i, o)
        self.lora_A, self.lora_B = nn.Parameter(torch.randn(r, i) * 0.1), nn.Parameter(torch.randn(o, r) * 0.1)
        self.scaling, self.merged = alpha / r, False
        self.weight.requires_grad = False

    def forward(self, x):
        if not self.merged:
            result = F.linear(x, self.weight, bias=self.bias)
            return result + (x @ self.lora_A.transpose(0, 1) @ self.lora_B.transpose(0, 1)) * self.scaling
        return super().forward(x)


@model(floats(3, 6))
class LoRANet(nn.Module):
    """Low-rank adapters, a bottleneck adapter, a tied decoder."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([LoRALinear(6, 6) for _ in range(2)])
        self.adapter = nn.Sequential(nn.Linear(6, 2), nn.ReLU(), nn.Linear(2, 6))
        self.encode = nn.Linear(6, 4)

    def forward(self, x):
        for layer in self.layers:
            x = F.gelu(layer(x), approximate="tanh")
            x = x + self.adapter(x)
        return F.linear(self.encode(x), self.encode.weight.t())


@model(floats(3, 4))
class NeuralODE(nn.Module):
    """Euler and Runge-Kutta steps of a learned field, in Python loops."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 4))

    def field(self, t, y):
        return self.net(torch.cat([y, torch.full_like(y[:, :1], t)], 1))

    def forward(self, y):
        t, dt, path = 0.0, 0.25, [y]
        while t < 1.0:
            y = y + dt * self.field(t, y)
            path.append(y)
            t += dt
        k1 = self.field(t, y)
        k2 = self.field(t + dt / 2, y + dt * k1 / 2)
        k3 = self.field(t + dt / 2, y + dt * k2 / 2)
        k4 = self.field(t + dt, y + dt * k3)
        return torch.stack(path), y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


@model(floats(2, 4, 6, 8))
class Rearranged(nn.Module):
    """Shapes parsed from text, as einops does it."""

    @staticmethod
    def rearrange(x, pattern, **sizes):
        left, right = (side.strip().split() for side in pattern.split("->"))
        known = dict(zip(left, x.shape)) | sizes
        x = x.permute([left.index(n) for n in " ".join(right).replace("(", " ").replace(")", " ").split()])
        shape, group = [], None
        for token in right:
            name = token.strip("()")
            if token.startswith("("):
                group = 1
            if group is not None:
                group *= known[name]
                if token.endswith(")"):
                    shape.append(group)
                    group = None
            else:
                shape.append(known[name])
        return x.reshape(shape)

    def forward(self, x):
        a = self.rearrange(x, "b c h w -> b (h w) c")
        b = self.rearrange(x, "b c h w -> (b h) w c")
        return a.softmax(-1), b.mean(0)


@model(floats(2, 6, 8))
class SharedAndFrozen(nn.Module):
    """Buffers updated in forward, a running mean, parameters in lists, a frozen part."""

    def __init__(self):
        super().__init__()
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(8) * (i + 1)) for i in range(3)])
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x):
        self.mean.mul_(0.9).add_(x.detach().mean((0, 1)), alpha=0.1)
        self.steps += 1
        for i, scale in enumerate(self.scales):
            x = x * scale + i
        with torch.no_grad():
            offset = self.frozen(x)
        return (x + offset - self.mean).tanh()
